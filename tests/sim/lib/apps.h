/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim/lib/apps.h - a server and clients whose bytes can be told right from wrong.
 *
 * A stream begins with a request of SIM_REQUEST bytes: what to do, a seed and a
 * size. Bytes are a function of seed and offset, so that either side can check
 * any of them without keeping them.
 */
#ifndef ALK_SIM_APPS_H
#define ALK_SIM_APPS_H

#include "sim/lib/link.h"

enum sim_op {
    SIM_ECHO = 'E',  /* returns what comes */
    SIM_PUT = 'P',   /* checks what comes; answers one byte: 1 right, 0 wrong */
    SIM_GET = 'G',   /* sends size bytes */
    SIM_HOLD = 'H',  /* reads nothing more */
    SIM_RESET = 'R', /* resets with code 77 and stops with 78 */
    SIM_STOP = 'S'   /* stops with 78 at once, then sends size bytes */
};
#define SIM_REQUEST 17

void sim_pattern(uint64_t seed, uint64_t at, uint8_t *p, size_t n);
bool sim_pattern_ok(uint64_t seed, uint64_t at, const uint8_t *p, size_t n);

/* --- the server side ---------------------------------------------------------------- */

struct sim_server {
    struct sim_node *node;
    struct alk_tls_server *tls;
    struct alk_tls_creds *creds;
    struct alk_routes *routes;
    struct alk_service *services[2];
    struct alk_identity_provider provider;
    const struct alk_identity *identity; /* everybody's, when not NULL */
    const char *accepted; /* only of those with this fingerprint, when not NULL */
    unsigned resolved;    /* times that was asked */
    uint8_t key[32];        /* public key */
    struct alk_conn *conn;  /* the last that opened; NULL when it closed */
    struct alk_auth_context auth; /* of the last that opened */
    unsigned opens, closes, confirmed, streams, bad;
    unsigned early_opens, early_streams;
    alk_err close_err;
    uint64_t close_code;
    uint64_t datagrams;
    bool echo_datagrams, open_back; /* open_back: a stream of ours for each of theirs */
};

struct sim_server_options {
    struct alk_replay_db *replay;
    const char *const *names; /* X.509 for these; NULL: none */
    bool no_raw_key;
};

/* Credentials, routes ("sim/1", and "sim/early" which is early-safe), TLS. */
ALK_NODISCARD alk_err sim_server_init(struct sim_server *s, struct sim_node *node,
                                      const struct sim_server_options *options);
void sim_server_fini(struct sim_server *s);

/* --- the client side ------------------------------------------------------------------ */

struct sim_client;
struct sim_request {
    struct sim_client *client;
    enum sim_op op;
    uint64_t seed, size;
    uint64_t sent, got;
    uint8_t head[SIM_REQUEST];
    size_t head_sent;
    struct alk_stream *stream;
    bool is_done;  /* CLOSED came */
    bool is_right; /* everything arrived, ended and was as it should be */
    bool has_end, is_bad, is_refused, was_stopped;
    bool keep_open; /* do not finish */
    bool hold;      /* do not read */
    uint64_t peer_code;
    uint64_t stop_code; /* known when STOPPED came */
};

struct sim_client {
    struct sim_node *node;
    struct alk_tls_creds *creds;
    struct alk_dial_options dial;
    const char *alpns[3];
    struct alk_quic_connect connect;
    struct alk_conn *conn;
    struct alk_auth_context auth;
    struct alk_buf session; /* from the last connection */
    bool is_open, is_closed, is_confirmed, is_early_rejected;
    unsigned opens, closes, credits;
    alk_err close_err;
    uint64_t close_code;
    char reason[ALK_CONN_REASON_MAX + 1];
    uint64_t datagrams;
    uint8_t last_datagram;
    /* Runs in open; may be NULL. */
    void (*on_open)(struct sim_client *c);
    void (*on_credit)(struct sim_client *c);
    void *ctx;
};

/* seed: of the client's own raw key; 0: none. Pins the server's key. */
ALK_NODISCARD alk_err sim_client_init(struct sim_client *c, struct sim_node *node,
                                      const struct sim_server *server, uint8_t key_seed,
                                      const char *alpn);
/* A self-signed certificate besides the raw key, or instead of it (key_seed 0); its
 * fingerprint "cert:..." goes to ret_name. Before the first connection. */
ALK_NODISCARD alk_err sim_client_use_x509(struct sim_client *c, uint8_t key_seed,
                                          char ret_name[static ALK_FINGERPRINT_MAX]);
void sim_client_fini(struct sim_client *c);
/* Uses c->connect (version, hold) and c->session. */
ALK_NODISCARD alk_err sim_client_connect(struct sim_client *c, const struct sim_node *to);
/* Takes the session for next time out of the connection. */
alk_err sim_client_remember(struct sim_client *c);

/* Opens a stream and starts. */
ALK_NODISCARD alk_err sim_request_start(struct sim_request *r, struct sim_client *c, enum sim_op op,
                                        uint64_t size);
/* Reads what a request with hold has let lie, and goes on. */
void sim_request_resume(struct sim_request *r);

bool sim_client_is_open(void *client);
bool sim_client_is_closed(void *client);
bool sim_client_is_confirmed(void *client);
bool sim_request_is_done(void *request);

#endif
