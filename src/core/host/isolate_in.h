/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/isolate_in.h - the endpoint's side of isolation, shared by isolate.c
 * (service and process, on the first loop), shard.c (one loop's connections) and
 * shard_stream.c (their streams).
 *
 * Threads: everything of a shard belongs to its loop. struct isolate belongs to
 * the first loop except its counter and what is fixed at its making.
 */
#ifndef ALK_CORE_HOST_ISOLATE_IN_H
#define ALK_CORE_HOST_ISOLATE_IN_H

#include "base/list.h"
#include "base/map.h"
#include "core/host/channel.h"
#include "core/host/isolate.h"
#include "core/host/lines.h"
#include "core/host/proto.h"
#include "core/host/relay.h"
#include "core/io/loop.h"

#include <stdatomic.h>

#define ALK_SHARD_OPENS_MAX 64   /* streams of the host that wait for credit, per connection */
#define ALK_SHARD_QUERIES_MAX 64 /* credentials asked for at one time, per connection */
#define ALK_HOST_WINDOW ((uint32_t)256 * 1024)

struct shard {
    struct isolate *iso;
    struct alk_loop *loop;
    unsigned index;
    struct alk_channel channel; /* fd -1: no host now */
    struct alk_watch *watch;
    enum alk_host_state state;
    uint64_t epoch; /* which host */
    struct alk_list conns;
    struct alk_map conn_ids, stream_ids;
    uint64_t next_conn, next_stream;
    struct alk_list verdicts; /* streams that ended without a statement */
    struct alk_timer verdict_timer;
    alk_time log_second;
    unsigned log_count;
    bool in_read;
    struct alk_loop_end end;
};

struct shard_conn {
    struct shard *shard;
    struct alk_conn *conn;
    uint64_t id;
    bool is_open; /* the host of this epoch knows it */
    struct alk_list streams;
    struct alk_list waiting; /* streams of the host that have no credit yet */
    unsigned waiting_count, query_count;
    struct alk_link in;
};

struct shard_stream {
    struct shard *shard;
    struct shard_conn *conn;
    struct alk_stream *stream; /* NULL: over for the peer; the host still takes the rest */
    uint64_t id;
    struct alk_relay relay;
    bool in_over, out_over;
    bool has_finish; /* the host has stated its end */
    struct alk_link in, verdict;
};

/* A stream that the host has opened and the transport has no credit for. */
struct shard_waiting {
    uint64_t id;
    int fd;
    struct alk_link in;
};

struct isolate {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_handler handler; /* the proxy */
    const struct alk_handler *inner;
    struct alk_isolate_options options;
    char *name;
    char *settings;
    size_t settings_n;
    uint64_t memory;
    struct shard *shards;
    size_t shard_count;
    /* On the first loop: */
    struct alk_proc *proc;
    struct alk_lines lines;
    struct alk_timer retry_timer, ping_timer, quit_timer;
    struct alk_loop_end end;
    alk_time retry_delay, started_at, heard_at;
    uint64_t epoch;
    bool is_stopping;
    bool is_over; /* the first loop has gone before `stop` came */
    struct alk_isolate_status status;
};

struct isolate *alk_isolate_ref(struct isolate *iso);
void alk_isolate_unref(struct isolate *iso);
void alk_isolate_say(const struct isolate *iso, enum alk_log_level level, const char *fmt, ...)
    ALK_PRINTF(3, 4);

/* --- isolate.c: told by shards -------------------------------------------- */

/* The host has broken the protocol, or its channel is over: kill it. From every
 * loop. */
void alk_isolate_condemn(struct isolate *iso, uint64_t epoch);
/* On the first loop: messages of its own channel. */
void alk_isolate_ready(struct isolate *iso, unsigned sandbox);
void alk_isolate_pong(struct isolate *iso);

/* --- shard.c -------------------------------------------------------------- */

void alk_shard_init(struct shard *s, struct isolate *iso, unsigned index);
/* On its loop. A new host's channel; takes the descriptor. */
void alk_shard_adopt(struct shard *s, int fd, uint64_t epoch);
/* On its loop. No host any more: streams are reset with code 6. */
void alk_shard_drop(struct shard *s);
/* On its loop; frees what it holds. Connections must be gone. */
void alk_shard_fini(struct shard *s);
/* ALK_OK, ALK_FULL, ALK_E_TOO_BIG, ALK_E_CLOSED. The descriptor is taken. */
ALK_NODISCARD alk_err alk_shard_send(struct shard *s, const struct alk_host_msg *m, int fd,
                                     bool is_urgent);
/* Reads the channel until it is empty. */
void alk_shard_read(struct shard *s);
/* Calls of the proxy. */
alk_err alk_shard_open(struct isolate *iso, struct alk_conn *conn, void **ret_state);
void alk_shard_close(struct shard_conn *c, alk_err why, uint64_t code);
void alk_shard_auth_changed(struct shard_conn *c);
/* Makes sure that the host knows the connection. */
ALK_NODISCARD alk_err alk_shard_introduce(struct shard_conn *c);

/* --- shard_stream.c ------------------------------------------------------- */

ALK_NODISCARD alk_err alk_shard_stream_new(struct shard_conn *c, struct alk_stream *stream);
/* The host is gone. Frees the stream or leaves it to finish what was stated. */
void alk_shard_stream_lose(struct shard_stream *t);
/* The connection is gone. */
void alk_shard_stream_free(struct shard_stream *t);
/* Streams whose descriptor ended: the channel has been read, is there a word? */
void alk_shard_verdicts(struct shard *s);
/* Opens waiting streams as far as there is credit. */
void alk_shard_credit(struct shard_conn *c);
/* Messages. False: impossible, the host is to be killed. */
bool alk_shard_on_stream(struct shard *s, struct alk_host_msg *m, int fd);
bool alk_shard_on_finish(struct shard *s, struct alk_host_msg *m);
bool alk_shard_on_reset(struct shard *s, struct alk_host_msg *m);
bool alk_shard_on_stop(struct shard *s, struct alk_host_msg *m);

#endif
