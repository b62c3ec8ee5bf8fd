/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/isolate.h - a service whose handler runs in a process of its own.
 *
 * The endpoint keeps QUIC and TLS; the host gets one end of a socketpair per
 * stream over a control channel (core/host/proto.h). There is one host per
 * service and one channel per loop and host, so loops share nothing.
 *
 *     loop 0: conns --- shard ---channel---\
 *     loop 1: conns --- shard ---channel----+--- host process: hub, real handler
 *     loop n: conns --- shard ---channel---/
 *
 * Finish is stated on the control channel with the number of bytes, never
 * inferred. A host that crashes, hangs (no PONG) or breaks the protocol is
 * killed: its streams are reset with code 6, connections stay and are opened
 * again in the next one, which is started after 100 ms, doubling to 30 s.
 */
#ifndef ALK_CORE_HOST_ISOLATE_H
#define ALK_CORE_HOST_ISOLATE_H

#include "alknet/loop.h"
#include "core/host/spawner.h"
#include "core/router.h"

struct alk_isolate_options {
    struct alk_spawner *spawner;
    struct alk_loop *const *loops; /* all of the endpoint; the first one owns the host. Copied */
    size_t loop_count;             /* 1..ALK_SPAWN_FDS_MAX */
    alk_log_fn *log;               /* may be NULL */
    void *log_ctx;
    /* 0: the defaults */
    alk_time ping_every;   /* 5 s */
    alk_time ping_timeout; /* 15 s */
    alk_time retry_min;    /* 100 ms */
    alk_time retry_max;    /* 30 s */
    alk_time stable_after; /* 60 s of life: the next restart is quick again */
};

/* In place of handler->start, on the first loop: service->handler becomes the
 * proxy, ->inner the real one, ->state the proxy's, is_started and is_isolated
 * true. The host starts behind the caller's back; streams that come meanwhile
 * wait. handler->stop of the proxy ends the host.
 * ALK_E_INVALID: the handler is none of the spawner's. ALK_E_NOMEM, ALK_E_IO,
 * ALK_E_HOST_LOST: the service is as it was. */
ALK_NODISCARD alk_err alk_isolate_service(struct alk_service *service,
                                          const struct alk_isolate_options *options);

struct alk_isolate_status {
    pid_t pid;          /* 0: none runs now */
    unsigned restarts;  /* crashes, hangs and failed starts so far */
    bool is_ready;      /* the real handler's start has succeeded */
    unsigned sandbox;   /* ALK_SANDBOX_* that are in force */
};
/* On the first loop. The service must be isolated. */
void alk_isolate_status(const struct alk_service *service, struct alk_isolate_status *ret);

#endif
