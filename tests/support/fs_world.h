/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/fs_world.h - the operations fs/... on a real directory with `file` ("hello") and
 * `docs/a` ("text a"), for their tests. */
#ifndef ALK_TEST_FS_WORLD_H
#define ALK_TEST_FS_WORLD_H

#include "ops/fs.h"
#include "support/part_world.h"

extern const struct alk_conf_row fs_world_table[];

struct fs_world {
    struct part_world p;
    char dir[64];
};

/* A path in the directory; good until the second next call. */
const char *fs_at(const struct fs_world *d, const char *name);
void fs_put(const struct fs_world *d, const char *name, const char *bytes, size_t n);
void fs_put_text(const struct fs_world *d, const char *name, const char *text);
/* more: further settings, as ", read: files". */
void fs_configure(struct fs_world *d, const char *more);
void fs_world_init_with(struct fs_world *d, const char *more);
void fs_world_init(struct fs_world *d);
void fs_world_fini(struct fs_world *d);
/* Starts it and waits for its end. */
void fs_ask_as(struct fs_world *d, const struct alk_identity *who, struct ops_call *c,
               const char *op, const char *input);
void fs_check_begins(const struct ops_call *c, const char *want);
/* The value of a text member of what was heard. */
void fs_member(const struct ops_call *c, const char *name, char *ret, size_t size);

#endif
