/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/part.h - the groups of operations that a node brings, each with a section of
 * settings beneath services.call: node, events, fs, operations, workers.
 *
 * A part registers its fixed operations once; its settings come and change later:
 * prepare does everything that can fail beside what is in force, commit swaps and
 * cannot fail. All calls come on the endpoint's first loop.
 */
#ifndef ALK_OPS_PART_H
#define ALK_OPS_PART_H

#include "alknet/handler.h"
#include "alknet/ops.h"
#include "base/err.h"
#include "base/rand.h"

struct alk_part_env {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    const struct alk_env *env; /* of the service; env->endpoint NULL: in tests */
};

struct alk_part {
    /* The member of services.call that is its section; NULL: it has no settings. */
    const char *section;
    alk_err (*start)(const struct alk_part_env *env, char *why, size_t why_size, void **ret);
    /* section NULL: absent. Not called, as commit and drop, without a section. */
    alk_err (*prepare)(void *part, const struct alk_conf *section, char *why, size_t why_size,
                       void **ret_next);
    void (*commit)(void *part, void *next);
    void (*drop)(void *part, void *next);
    /* Its operations are removed; requests under way are ended by the part. */
    void (*stop)(void *part);
};

/* The sections' rows, for the table of services.call: MAP events, MAP fs, LIST
 * operations (its element is the first row). */
extern const struct alk_conf_row alk_events_rows[];
extern const struct alk_conf_row alk_fs_rows[];
extern const struct alk_conf_row alk_exec_op_rows[];

extern const struct alk_part alk_node_part;   /* node/... */
extern const struct alk_part alk_events_part; /* events/... */
extern const struct alk_part alk_fs_part;     /* fs/... */
extern const struct alk_part alk_exec_part;   /* operations of the configuration */

#endif
