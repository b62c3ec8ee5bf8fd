/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/dial.h - inside of alk_dial: one dial, its lanes and attempts.
 *
 *   resolve -> lane QUIC: attempt to address 1, 2, ... (each 250 ms later)
 *           -> lane TCP:  the same, the lane itself 250 ms later, or first
 *              where it is remembered to be what worked
 *
 * The first attempt whose handshake is complete wins; it alone sends its
 * Finished, the others are closed. A lane whose attempts have all failed lets
 * the other start at once.
 *
 * With early data the caller gets the connection before the node has answered.
 * The race and the deadline go on until its handshake is confirmed: another way
 * may still win, and `opened` comes again with that.
 *
 *   dial_port.c     the loop's client sockets and QUIC machines (struct alk_dialer)
 *   dial_resolve.c  name -> addresses
 *   dial_race.c     lanes and attempts
 *   dial_open.c     the winner: events to the caller, session cache
 *   dial_text.c     sentences for people
 */
#ifndef ALK_CORE_IO_DIAL_H
#define ALK_CORE_IO_DIAL_H

#include "alknet/client.h"
#include "core/io/log.h"
#include "core/io/pump.h"
#include "core/tls/creds.h"

#define ALK_DIAL_PORT    4433
#define ALK_DIAL_STAGGER (250 * ALK_MS)
#define ALK_DIAL_TIMEOUT (15 * ALK_SECOND)
#define ALK_DIAL_ADDRS   8
#define ALK_DIAL_ALPNS   8 /* limit of GnuTLS 3.7 */
#define ALK_DIAL_TEXT    512

struct alk_attempt {
    struct alk_dial *dial;
    enum alk_transport transport;
    struct alk_addr remote;
    struct alk_conn *conn;   /* NULL: none yet, or released */
    struct alk_watch *watch; /* TCP: while connecting */
    int fd;                  /* TCP: while connecting; else -1 */
    bool is_over;            /* failed or lost; err says why */
    alk_err err;
    struct alk_link in; /* dial->attempts */
};

struct alk_lane {
    enum alk_transport transport;
    bool is_used; /* the options allow it */
    bool is_started;
    size_t next; /* address of the next attempt */
    struct alk_timer timer;
};

enum alk_dial_state {
    ALK_DIAL_RESOLVING,
    ALK_DIAL_RACING,
    ALK_DIAL_EARLY, /* `opened` was called, and the node has not answered yet */
    ALK_DIAL_OPEN, /* `opened` was called, and there is only this connection */
    ALK_DIAL_OVER  /* failed, cancelled or closed: no calls any more */
};

struct alk_dial {
    struct alk_dialer *dialer;
    struct alk_dial_options o; /* strings are copies, owned by `text` */
    uint8_t pinned_key[32], pinned_cert[32];
    const char *alpns[ALK_DIAL_ALPNS + 1];
    char *text; /* owns */
    const struct alk_client_calls *calls;
    void *ctx;
    enum alk_dial_state state;
    struct alk_tls_creds *creds;  /* one reference */
    struct alk_line_file *keylog; /* NULL: none */
    struct alk_addr addrs[ALK_DIAL_ADDRS];
    size_t addr_count;
    struct alk_dial_lookup *lookup; /* under way */
    struct alk_lane lanes[2];       /* QUIC, TLS */
    struct alk_list attempts;
    struct alk_attempt *winner;
    struct alk_timer deadline;
    alk_err err; /* best explanation of a failure so far */
    enum alk_transport err_transport;
    char why[ALK_DIAL_TEXT]; /* what the transport said about it */
    alk_time fresh_until;    /* open: tickets may still come */
    uint64_t saved_hash;     /* of the session that was saved last; 0: none */
    struct alk_link all, fresh, dead;
};

/* --- dial_port.c: one per loop -------------------------------------------- */

struct alk_dialer {
    struct alk_pump *pump;
    struct alk_port *ports[2]; /* without and with qlog; made on first use */
    struct alk_turn turn;
    struct alk_list dials;
    struct alk_list fresh; /* open ones whose session may still be news */
    struct alk_list dead;  /* to be freed at the end of the turn */
    char *qlog_dir;        /* of the newest dial that has one; owns */
};

ALK_NODISCARD alk_err alk_dialer_get(struct alk_loop *loop, struct alk_dialer **ret);
/* The QUIC machine for a dial, with a socket of the family. qlog_dir: NULL: none. */
ALK_NODISCARD alk_err alk_dialer_port(struct alk_dialer *dialer, const char *qlog_dir,
                                      uint8_t family, const char *bind_address,
                                      struct alk_port **ret, uint16_t *ret_port);
/* The local address from which `remote` is reached. ALK_E_UNREACHABLE. */
ALK_NODISCARD alk_err alk_dial_route(const struct alk_addr *remote, const char *bind_address,
                                     struct alk_addr *ret);

/* --- dial.c --------------------------------------------------------------- */

/* The name has its addresses (or err). */
void alk_dial_resolved(struct alk_dial *d, alk_err err, const struct alk_addr *addrs, size_t n);
/* The last attempt failed, or time is up: tells the caller. */
void alk_dial_fail(struct alk_dial *d, alk_err err);
/* Gives up all ways but an early connection, which is heard of to its end. */
void alk_dial_stay(struct alk_dial *d);
/* Frees it at the end of the turn, once nothing refers to it. */
void alk_dial_settle(struct alk_dial *d);
void alk_dial_free(struct alk_dial *d);

/* --- dial_resolve.c ------------------------------------------------------- */

ALK_NODISCARD alk_err alk_dial_lookup(struct alk_dial *d);
/* The answer will not be delivered. */
void alk_dial_lookup_cancel(struct alk_dial *d);
/* Puts the families in turn: v6, v4, v6, ... [RFC 8305 §4]; at most `max`. Pure. */
size_t alk_dial_interleave(const struct alk_addr *in, size_t n, struct alk_addr *ret, size_t max);

/* --- dial_race.c ---------------------------------------------------------- */

void alk_race_start(struct alk_dial *d);
/* Ends every attempt but the winner. */
void alk_race_end(struct alk_dial *d);
/* An ICMP error about this address. */
void alk_race_unreachable(struct alk_dialer *dialer, const struct alk_addr *remote);
/* The attempt will not make it. */
void alk_attempt_failed(struct alk_attempt *a, alk_err err, const char *why);
void alk_attempt_free(struct alk_attempt *a);

/* --- dial_open.c ---------------------------------------------------------- */

extern const struct alk_handler alk_dial_handler;
void alk_dial_on_unopened(void *attempt, struct alk_conn *conn);
void alk_dial_on_early_rejected(void *attempt);
void alk_dial_on_released(void *attempt);
/* What the cache remembers for this transport; empty when nothing. */
void alk_dial_session(const struct alk_dial *d, enum alk_transport transport, struct alk_buf *ret);
/* Keeps what has come from the server. */
void alk_dial_save(struct alk_dial *d);
/* Whether TCP was what worked last time. */
bool alk_dial_prefers_tcp(const struct alk_dial *d);

/* --- dial_text.c: pure ---------------------------------------------------- */

/* Which of two failures explains more. */
bool alk_dial_explains_more(alk_err a, alk_err b);
/* One sentence with what to do next. */
void alk_dial_explain(const struct alk_dial *d, alk_err err, char *ret, size_t ret_size);

#endif
