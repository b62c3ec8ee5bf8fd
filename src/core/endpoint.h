/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/endpoint.h - what the command (admin socket, status, doctor) may see and do
 * with a running endpoint, beyond alknet/endpoint.h.
 *
 * All of it is for the first loop's thread unless it says otherwise, between
 * alk_endpoint_start and alk_endpoint_free.
 */
#ifndef ALK_CORE_ENDPOINT_H
#define ALK_CORE_ENDPOINT_H

#include "alknet/endpoint.h"
#include "core/auth/audit.h"
#include "core/config/node.h"
#include "core/quic/quic.h"
#include "core/router.h"
#include "core/store/datadir.h"

struct alk_log_tap;
struct yyjson_val;
struct yyjson_mut_doc;
struct yyjson_mut_val;

/* SIGTERM and SIGINT stop (a second one at once), SIGHUP reloads, SIGPIPE is
 * ignored. After start; for a program that owns its process. */
ALK_NODISCARD alk_err alk_endpoint_handle_signals(struct alk_endpoint *ep);

const struct alk_static_config *alk_endpoint_static(const struct alk_endpoint *ep);
/* In force now; borrows until the next reload. */
const struct alk_dynamic_config *alk_endpoint_config(const struct alk_endpoint *ep);
/* Services with their counters, as new connections find them; borrows until the
 * next reload. */
const struct alk_routes *alk_endpoint_routes(const struct alk_endpoint *ep);
const struct alk_datadir *alk_endpoint_datadir(const struct alk_endpoint *ep);
/* NULL: none (no_spawner). */
struct alk_spawner *alk_endpoint_spawner(const struct alk_endpoint *ep);
const char *alk_endpoint_config_file(const struct alk_endpoint *ep); /* NULL: none */
size_t alk_endpoint_loop_count(const struct alk_endpoint *ep);
uint64_t alk_endpoint_started_at(const struct alk_endpoint *ep); /* unix seconds */
bool alk_endpoint_is_stopping(const struct alk_endpoint *ep);
/* SHA-256 of the default X.509 certificate and its end (unix seconds): for
 * serverCertificateHashes. False: there is none. */
bool alk_endpoint_certificate(const struct alk_endpoint *ep, uint8_t ret_sha256[static 32],
                              uint64_t *ret_not_after);

/* An operation of core/store/auth_ops.h on this node's store. After ALK_OK what
 * changed is stored and on its way to all loops, which close revoked peers with
 * code 8. */
ALK_NODISCARD alk_err alk_endpoint_auth_op(struct alk_endpoint *ep, const char *name,
                                           struct yyjson_val *input, struct yyjson_mut_doc *doc,
                                           char *why, size_t why_size, struct yyjson_mut_val **ret);

/* From every thread. Levels as configured; control bytes are escaped. */
void alk_endpoint_log(struct alk_endpoint *ep, enum alk_log_level level, const char *component,
                      const char *fmt, ...) ALK_PRINTF(4, 5);
/* From every thread. Reads along (core/io/log.h). */
void alk_endpoint_tap_log(struct alk_endpoint *ep, struct alk_log_tap *tap);
void alk_endpoint_untap_log(struct alk_endpoint *ep, struct alk_log_tap *tap);
/* From every thread. Without an audit log: nothing. */
void alk_endpoint_audit(struct alk_endpoint *ep, const struct alk_audit_record *record);
/* The same for what is frequent, on a loop of the endpoint alone: one write for all
 * records of a turn, before that loop sends anything of the turn. */
void alk_endpoint_audit_soon(struct alk_endpoint *ep, const struct alk_audit_record *record);

/* --- status: gathered from all loops, answered on the first --------------- */

struct alk_conn_status {
    char log_id[20];
    char alpn[ALK_ALPN_MAX + 1];
    char remote[ALK_ADDR_TEXT_MAX];
    char id[ALK_ID_MAX + 1]; /* "": unknown peer */
    enum alk_transport transport;
    bool is_early, is_resumed;
    unsigned streams_open;
    uint64_t streams_total, bytes_in, bytes_out, packets_lost;
    alk_time age, rtt;
};

/* Connections listed per loop and answer, oldest first: what fits into a frame of the
 * admin socket however long their names are. */
#define ALK_STATUS_CONNS_MAX 1500
/* Where a list of connections goes on: after the one with this log_id, "loop-serial" in
 * hex digits. Zeroed: from the first. Loops come in the order of their ids. */
struct alk_status_from {
    uint64_t loop, serial;
};

struct alk_loop_status {
    size_t connections; /* of both transports, now */
    struct alk_quic_stats quic;
    uint64_t tcp_accepted, tcp_refused, tcp_starved;
    uint64_t tcp_shed;                              /* closed because memory was short */
    uint64_t strays_in, strays_out, strays_dropped; /* datagrams handed between loops */
    uint64_t send_errors;
    struct alk_conn_status *conns; /* NULL unless asked for */
    size_t conn_count;
    size_t conn_more; /* that were open as well, later ones */
};

struct alk_endpoint_status {
    const struct alk_loop_status *loops;
    size_t loop_count;
    uint64_t generation;      /* of the configuration */
    uint64_t auth_generation; /* of identities and tokens */
    size_t identities;
    uint64_t auth_failures;   /* since start */
    size_t addresses_watched; /* with failures in the current window */
    uint64_t reloads, reloads_failed;
    uint64_t log_dropped;
    uint64_t audit_lost; /* records of the audit log that could not be written */
};
/* status borrows until fn returns. */
typedef void alk_endpoint_status_fn(void *ctx, const struct alk_endpoint_status *status);
/* from NULL: without connections. ALK_OK: fn runs once, later, on the first loop; also
 * when the endpoint stops. */
ALK_NODISCARD alk_err alk_endpoint_status(struct alk_endpoint *ep,
                                          const struct alk_status_from *from,
                                          alk_endpoint_status_fn *fn, void *ctx);

#endif
