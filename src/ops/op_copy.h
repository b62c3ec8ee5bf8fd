/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/op_copy.h - checking what somebody wants to register, and one block of memory
 * that holds all of it.
 *
 * Pure but for the allocation. A copy is immutable.
 */
#ifndef ALK_OPS_OP_COPY_H
#define ALK_OPS_OP_COPY_H

#include "alknet/ops.h"
#include "base/err.h"
#include "base/span.h"
#include "ops/schema.h"

/* Rows of one operation's lists: calls, scopes, errors. */
#define ALK_OP_LIST_MAX 256

/* "namespace/name", 2-4 segments of [a-z0-9_-]+, at most ALK_OP_NAME_MAX bytes. */
bool alk_op_name_is_valid(struct alk_span name);
/* [A-Z][A-Z0-9_]{0,63} */
bool alk_op_code_is_valid(struct alk_span code);

struct alk_op_copy {
    const struct alk_mem *mem;
    struct alk_op op;          /* its texts and lists are in the same block */
    struct alk_schema *input;  /* owns; NULL: takes anything */
    struct alk_schema *output; /* owns; NULL: anything, or outputs are not checked */
    /* Of the details, in the order of op.errors, each owned or NULL: anything. NULL: not
     * checked. Owns. */
    struct alk_schema **details;
};

/* with_outputs: outputs and details of errors can be checked. ALK_E_INVALID: why says
 * what, with a JSON Pointer for a schema. ALK_E_NOMEM. A struct_size below ours is an
 * older caller's: what he did not know is zero. */
ALK_NODISCARD alk_err alk_op_copy_new(const struct alk_mem *mem, const struct alk_op *op,
                                      bool with_outputs, char *why, size_t why_size,
                                      struct alk_op_copy **ret);
void alk_op_copy_free(struct alk_op_copy *copy);

/* Whether two operations may stand in for each other: kind, schemas and errors are
 * equal, schemas as JSON values. ALK_OK, ALK_E_EXISTS: they differ, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_op_copy_equal(const struct alk_op *a, const struct alk_op *b);

#endif
