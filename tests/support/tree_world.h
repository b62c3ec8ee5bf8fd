/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/tree_world.h - a directory with everything in it that a path can meet, for tests
 * of core/store/tree.h. */
#ifndef ALK_TEST_TREE_WORLD_H
#define ALK_TEST_TREE_WORLD_H

#include "core/store/tree.h"
#include "support/check.h"

#include <sys/types.h>

/*   <base>/outside            "secret"
 *   <base>/top/file          "hello", 0640
 *   <base>/top/dir/inner     "inner"
 *   <base>/top/fifo, socket, and links of all kinds */
struct tree_world {
    char base[64], root[80];
    struct alk_tree *tree;
};

/* A path beneath base; good until the second next call. */
const char *tree_at(const struct tree_world *p, const char *name);
void tree_put(const struct tree_world *p, const char *name, const char *text, mode_t mode);
void tree_link(const struct tree_world *p, const char *name, const char *target);
/* is_plain: of the tree. */
void tree_world_init_as(struct tree_world *p, bool is_plain);
void tree_world_init(struct tree_world *p);
void tree_world_fini(struct tree_world *p);
alk_err tree_write_text(struct alk_tree *tree, const char *path, const char *text);
/* The first bytes of a file, as text. */
alk_err tree_read_text(struct alk_tree *tree, const char *path, char *ret, size_t size);
void tree_check_reads(const struct tree_world *p, const char *path, const char *want);
unsigned tree_mode(const struct tree_world *p, const char *path);
/* Up to ten entries, which nobody looks at. */
alk_err tree_list_some(struct alk_tree *tree, struct alk_span path);
/* Entries, with "." and "..". */
size_t tree_count(const struct tree_world *p, const char *name);

#endif
