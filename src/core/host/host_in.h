/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/host_in.h - inside of a handler host, shared by host.c (process,
 * control channel) and host_conn.c (connections and streams).
 *
 *     channel --OPEN, STREAM, FINISH...--> conn, stream --> hub --> handler
 *     socketpair --bytes--> stream.rx            stream.tx --> socketpair
 */
#ifndef ALK_CORE_HOST_HOST_IN_H
#define ALK_CORE_HOST_HOST_IN_H

#include "base/list.h"
#include "base/map.h"
#include "core/conn.h"
#include "core/host/channel.h"
#include "core/host/host.h"
#include "core/host/proto.h"
#include "core/io/loop.h"

#define ALK_HOST_CONNS_MAX ((size_t)1 << 20)
#define ALK_HOST_OPENS_MAX 64    /* streams of ours that the endpoint has not opened yet */
#define ALK_HOST_QUERIES_MAX 256 /* per channel */

struct host_chan {
    struct alk_host *host;
    unsigned index;
    struct alk_channel ch;
    struct alk_watch *watch;
    enum alk_host_state state;
    uint64_t window;
    struct alk_map conns;   /* by id */
    struct alk_map streams; /* by id */
    struct alk_list dirty;  /* streams with work for the transport */
    struct alk_list queries;
    size_t query_count;
    struct host_late *late; /* descriptors to close once the queue is empty */
    uint64_t next_stream;   /* odd */
    uint64_t next_query;
};

struct alk_host {
    const struct alk_host_options *options;
    struct alk_loop *loop;
    struct alk_hub hub;
    struct alk_turn turn;
    struct alk_env env;
    char service_name[256];
    struct alk_buf settings;
    uint32_t settings_len;
    uint64_t memory;
    const struct alk_conf *conf;
    void *service;
    bool is_started;
    bool is_answering; /* a RESOLVED is being delivered: its failure is counted already */
    unsigned sandbox;
    struct host_chan *chans; /* owns */
    size_t chan_count;
    int status; /* of the process */
};

struct host_conn {
    struct alk_conn conn; /* first */
    struct host_chan *chan;
    uint64_t id;
    uint32_t datagram_max;
    unsigned opens; /* streams of ours that wait for OPENED */
    bool wants_credit;
};

struct host_stream {
    struct alk_stream s; /* first */
    struct host_conn *conn;
    uint64_t id;
    int fd;
    struct alk_watch *watch;
    uint64_t rx_bytes, rx_expect; /* expect: UINT64_MAX until FINISH says */
    uint64_t tx_bytes;
    bool is_rx_over, is_tx_over;
    bool is_blocked; /* waits for the descriptor to take more */
    bool is_opening; /* ours, waits for OPENED */
};

/* A statement must be in the channel before the descriptor ends: the endpoint
 * looks for it there when it sees the end. */
struct host_late {
    struct host_late *next;
    int fd;
};

/* --- host.c --------------------------------------------------------------- */

/* Sends a message; the process ends when that is impossible. fd -1: none; taken. */
void alk_host_send(struct host_chan *c, const struct alk_host_msg *m, int fd);
/* As alk_host_send, but false when the queue is full (datagrams). */
bool alk_host_try_send(struct host_chan *c, const struct alk_host_msg *m);

/* Closes a stream's descriptor, now or behind what waits in the queue. */
void alk_host_close_fd(struct host_chan *c, int fd);

/* --- host_conn.c ---------------------------------------------------------- */

/* Handlers of messages. False: the message is impossible, the channel ends. */
bool alk_host_conn_open(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_conn_auth(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_conn_close(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_conn_drain(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_conn_datagram(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_stream_new(struct host_chan *c, struct alk_host_msg *m, int fd);
bool alk_host_stream_opened(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_stream_finish(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_stream_reset(struct host_chan *c, struct alk_host_msg *m);
bool alk_host_stream_stop(struct host_chan *c, struct alk_host_msg *m);
/* Sends what the handler has written, finished, reset, stopped and consumed. */
void alk_host_flush(struct host_chan *c);

#endif
