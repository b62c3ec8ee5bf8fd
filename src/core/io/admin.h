/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/admin.h - the node's admin socket: <data_dir>/admin.sock.
 *
 * A Unix stream socket, 0600; the peer's uid must be root's or ours
 * (SO_PEERCRED). It speaks DESIGN.md §9's frames, one request and its answer at a
 * time or many at once; `operationId` names a row of the table below. Everything
 * is bounded (clients, frame size, requests under way, bytes queued), a client
 * that is silent for a minute with nothing under way is dropped, and nothing
 * blocks the loop.
 *
 * Operations of a node (input -> output, all JSON objects):
 *
 *     /node/info          {} -> version, key, addresses, advertise, pid
 *     /node/status        {} -> that, uptime, config, loops, services, counters, ...
 *     /node/connections   {cursor?, limit?} -> {connections: [...], more?, next?}
 *     /node/reload        {} -> {generation, note}
 *     /node/rotate        {} -> {key, statement}
 *     /node/stop          {} -> {}
 *     /auth/...           core/store/auth_ops.h
 *
 * Threads: a server belongs to its loop.
 */
#ifndef ALK_CORE_IO_ADMIN_H
#define ALK_CORE_IO_ADMIN_H

#include "alknet/loop.h"
#include "base/err.h"
#include "base/span.h"

#include <sys/types.h>
#include <yyjson.h>

#define ALK_ADMIN_CLIENTS_MAX 32
#define ALK_ADMIN_CALLS_MAX   16 /* under way, per client */
#define ALK_ADMIN_IDLE        (60 * ALK_SECOND)

/* One request. Answered exactly once, with done or fail, inside fn or later; that
 * frees it. Answering after the client has gone is right and does nothing. All
 * calls are answered before the server is freed, or by its free. */
struct alk_admin_call;
/* The request's input: borrows until the answer. NULL when there is none. */
struct yyjson_val *alk_admin_input(const struct alk_admin_call *call);
/* Whose process asks: for the audit log. */
uid_t alk_admin_uid(const struct alk_admin_call *call);
/* Where the output is built; never NULL. Freed with the call. */
struct yyjson_mut_doc *alk_admin_doc(const struct alk_admin_call *call);
/* Takes call. output: a value of alk_admin_doc; NULL is {}. */
void alk_admin_done(struct alk_admin_call *call, struct yyjson_mut_val *output);
/* Takes call. message: for a person, may have several lines; NULL: the error's. */
void alk_admin_fail(struct alk_admin_call *call, alk_err err, const char *message);

typedef void alk_admin_fn(void *ctx, struct alk_admin_call *call);
/* A row of operations; the table ends with a row whose name is NULL. */
struct alk_admin_op {
    const char *name; /* "node/status": without the slash of the wire */
    alk_admin_fn *fn;
};

struct alk_admin_options {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    const char *path;               /* an old socket there is replaced: hold the data_dir's lock */
    const struct alk_admin_op *ops; /* borrows until free */
    void *ctx;
    bool has_owner; /* started as root: the socket is given to, and open to, */
    uid_t uid;      /* this user too */
    gid_t gid;
};
struct alk_admin;
/* Binds and listens. ALK_E_IO, ALK_E_PERM, ALK_E_INVALID (path too long, 107
 * bytes are the system's limit), with one sentence in why. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_admin_new(const struct alk_admin_options *options, char *why,
                                    size_t why_size, struct alk_admin **ret);
/* Closes all clients and removes the socket. On its loop, or after it ended. */
void alk_admin_free(struct alk_admin *admin);

/* The other side, blocking: for commands. Connects, asks, waits.
 *
 * input: a JSON object's text; empty is {}. ALK_OK: *ret_doc (gives,
 * yyjson_doc_free) holds the answer and *ret_output its output.
 * ALK_E_UNREACHABLE: no socket or nobody listens: no node runs there. ALK_E_PERM. ALK_E_TIMEOUT.
 * ALK_E_PROTOCOL: the peer is no node. Any other error is the node's own answer;
 * in all cases why holds what to tell the person. */
struct alk_admin_ask {
    const struct alk_mem *mem;
    const char *path;
    const char *operation; /* "node/status" */
    struct alk_span input;
    alk_time timeout; /* 0: 30 s */
};
ALK_NODISCARD alk_err alk_admin_ask(const struct alk_admin_ask *ask, char *why, size_t why_size,
                                    struct yyjson_doc **ret_doc, struct yyjson_val **ret_output);

#endif
