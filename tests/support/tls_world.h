/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/tls_world.h - a TLS client and a TLS server, joined by pipes in memory.
 *
 * Each side has a hub, one connection and a handler that opens or takes the one
 * stream, writes down what it hears and writes what it is given. Nothing moves but
 * through tw_step, so a test decides what arrives, in which pieces and when.
 */
#ifndef ALK_TEST_TLS_WORLD_H
#define ALK_TEST_TLS_WORLD_H

#include "core/tls/replay.h"
#include "core/tls/tcp.h"
#include "support/check.h"

/* Seeds of the keys in play, and their public halves through tw_public. */
extern const uint8_t tw_server_seed[32], tw_client_seed[32], tw_other_seed[32];

/* Credentials of every kind the matrix needs. The caller unrefs. */
enum tw_creds { TW_NONE = 0, TW_RAW = 1, TW_X509 = 2, TW_BOTH = 3 };
/* name: of the certificate, valid now; ca: PEM that the client trusts, or empty. */
struct alk_tls_creds *tw_creds_new(enum tw_creds kind, const uint8_t seed[static 32],
                                   struct alk_span chain, struct alk_span key, struct alk_span ca);

/* A self-signed certificate as PEM; free both with alk_buf_fini. shift_s is added
 * to the clock: the past for an expired one. */
void tw_certificate(const char *name, int64_t shift_s, struct alk_buf *ret_chain,
                    struct alk_buf *ret_key);

struct tw;

struct tw_side {
    struct tw *w;
    bool is_server;
    struct alk_hub hub;
    struct alk_conn *conn; /* NULL once it is over */
    struct alk_stream *stream;
    struct alk_auth_context auth; /* as of open */
    unsigned opens, closes, unopened;
    alk_err close_err; /* of the handler's close, or of a connection never opened */
    uint64_t close_code;
    alk_err verify_err;
    char verify_text[200];
    bool is_over, was_abort;
    bool mute;           /* reads nothing */
    bool echo;           /* what is read is written back; the end too */
    bool finish;         /* finish when everything of `say` is written */
    struct alk_span say; /* written as room allows; borrows */
    struct alk_buf got;
    bool got_end, got_reset, got_closed, got_stopped;
    uint64_t got_code;
    unsigned wakes;
    /* the wire out of this side */
    struct alk_buf wire; /* sent and not delivered yet */
    uint64_t wire_total;
    bool is_shut; /* the end of file is behind what is on the wire */
    bool is_shut_told;
    bool is_abort_told;
    bool is_frozen;  /* the peer's network takes nothing: output stays in the machine */
    size_t wire_max; /* most that waits on the wire; 0: 64 KiB */
};

struct tw_service {
    const char *alpn;
    unsigned transports; /* 0: any */
    bool early_safe;
};

struct tw_options {
    const struct alk_mem *mem; /* NULL: the heap */
    const struct tw_service *services;
    size_t service_count;        /* 0: one service "test" */
    struct alk_tls_creds *creds; /* server's; NULL: raw key of tw_server_seed */
    const struct alk_tls_sni *snis;
    size_t sni_count;
    const char *default_alpn;
    uint8_t secret; /* first byte of the ticket secret */
    struct alk_replay_db *replay;
    void (*keylog)(void *ctx, const char *line);
    void *keylog_ctx;
};

#define TW_SERVICES_MAX 20

struct tw {
    const struct alk_mem *mem;
    struct alk_service *services[TW_SERVICES_MAX];
    size_t service_count;
    struct alk_routes *routes;
    struct alk_tls_server *server_conf;
    struct alk_tls_loop *loop;
    struct tw_side client, server;
    alk_time now;
    size_t piece; /* most bytes of one delivery; 0: 16384 */
    /* client defaults, changed by the test before tw_connect */
    struct alk_dial_options dial;
    struct alk_tls_creds *client_creds; /* NULL: made with nothing */
    bool hold_finished;
    alk_time keep_alive;   /* ALK_NEVER in tw_init */
    struct alk_buf ticket; /* used by tw_connect; filled by tw_take_ticket */
};

/* In place: *w must not move. dial offers "test", pins tw_server_seed's key. */
alk_err tw_try_init(struct tw *w, const struct tw_options *options);
void tw_init(struct tw *w, const struct tw_options *options);
void tw_fini(struct tw *w);
/* New connections on both sides; those before must be gone (tw_drop). */
alk_err tw_try_connect(struct tw *w);
void tw_connect(struct tw *w);
/* Only a server or only a client, for tests that play the other side. */
alk_err tw_try_listen(struct tw *w);
/* Frees both connections without ceremony. */
void tw_drop(struct tw *w);
/* Both hubs, both flushes, one delivery each way. False: nothing moved. */
bool tw_step(struct tw *w);
/* Steps until nothing moves. */
void tw_run(struct tw *w);
/* tw_run, and moves the clock to the next deadline and on, for `t` altogether. */
void tw_pass(struct tw *w, alk_time t);
/* connect + run; both sides must be open. */
void tw_establish(struct tw *w);
/* The client's ticket into w->ticket; fails the test when there is none. */
void tw_take_ticket(struct tw *w);
/* Bytes of output, wire and stream buffers that wait between writer and reader. */
size_t tw_in_flight(const struct tw *w);

#endif
