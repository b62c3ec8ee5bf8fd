/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/tree.h - inside struct alk_conf. Private to core/config.
 *
 * A tree lives in one arena of its document and is freed as one: a reference to
 * any value of it keeps all of it. It needs no table once it is built. Immutable
 * after building, except for the count.
 */
#ifndef ALK_CORE_CONFIG_TREE_H
#define ALK_CORE_CONFIG_TREE_H

#include "core/config/arena.h"
#include "core/config/conf.h"

#include <stdatomic.h>

struct alk_conf {
    struct alk_conf_doc *doc;
    const char *key; /* "" for list elements and the root */
    enum alk_conf_type type;
    enum alk_conf_reload reload;
    bool is_set;
    bool is_secret;
    bool is_bad;           /* while building: an error was reported about it */
    size_t at;             /* byte offset in the text; of a default: no meaning */
    uint32_t line, column; /* 0: a default */
    uint64_t num;          /* BOOL, UINT, SIZE, DURATION, ENUM */
    const char *str;       /* STRING, ENUM: zero-terminated */
    size_t n;              /* bytes of str, or elements */
    struct alk_conf *kids; /* LIST, MAP, DICT: n of them */
};

struct alk_conf_doc {
    const struct alk_mem *mem;
    atomic_size_t refs;
    struct alk_arena arena;
    const char *name;
    struct alk_conf *root;
};

#endif
