/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/exec_op.h - inside of the operations of the configuration: what their settings
 * (exec_part.c) and their runs (exec_op.c) share.
 */
#ifndef ALK_OPS_EXEC_OP_H
#define ALK_OPS_EXEC_OP_H

#include "alknet/conf.h"
#include "alknet/handler.h"
#include "alknet/ops.h"

#include <stdatomic.h>

#define ALK_EXEC_ARGS_MAX   256
#define ALK_EXEC_SCOPES_MAX 16
#define ALK_EXEC_ERRORS_MAX 32

/* The ctx of the registry's entry; counted, because runs may outlive it. */
struct alk_exec_op {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_env *env;
    const struct alk_conf *conf; /* a reference; the texts below are its */
    const char *argv[ALK_EXEC_ARGS_MAX + 1];
    const char *scopes[ALK_EXEC_SCOPES_MAX + 1];
    struct alk_op_error errors[ALK_EXEC_ERRORS_MAX + 1];
    atomic_uint instances;
    unsigned instances_max;
};

/* Gives up a reference; alk_op.release. */
void alk_exec_op_release(void *ctx);
/* alk_op.fn: runs the program for one request. */
void alk_exec_op_run(void *ctx, struct alk_request *r);

#endif
