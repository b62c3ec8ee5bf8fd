/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/map.h"
#include "base/text.h"
#include "core/io/rand.h"
#include "core/store/session_cache.h"
#include "core/tls/key.h"
#include "core/tls/tcp.h"

/* Tickets and tokens come within a round trip or two of the handshake. */
#define FRESH   (10 * ALK_SECOND)
#define KEY_MAX 2048

/* --- session cache -------------------------------------------------------- */

/* Everything that decides whether a session may be used again: the node, what is
 * asked of it, and as whom we come (a ticket carries our identity). */
static bool cache_key(const struct alk_dial *d, char kind, struct alk_buf *ret)
{
    char hex[ALK_HEX_SIZE(32)] = "";
    alk_buf_init(ret, NULL, KEY_MAX);
    (void)alk_buf_printf(ret, "%c %s %u", kind, d->o.host, (unsigned)d->o.port);
    if (kind == 'w') {
        return ret->err == ALK_OK;
    }
    for (size_t i = 0; d->alpns[i] != NULL; i++) {
        (void)alk_buf_printf(ret, " a=%s", d->alpns[i]);
    }
    if (d->o.pinned_key != NULL && alk_hex(alk_span(d->pinned_key, 32), hex, sizeof hex)) {
        (void)alk_buf_printf(ret, " k=%s", hex);
    }
    if (d->o.pinned_cert != NULL && alk_hex(alk_span(d->pinned_cert, 32), hex, sizeof hex)) {
        (void)alk_buf_printf(ret, " c=%s", hex);
    }
    if (d->o.key != NULL && alk_hex(alk_span(alk_key_public(d->o.key), 32), hex, sizeof hex)) {
        (void)alk_buf_printf(ret, " i=%s", hex);
    }
    (void)alk_buf_printf(ret, " s=%s f=%s ca=%s r=%d", d->o.sni == NULL ? "" : d->o.sni,
                         d->o.cert_file == NULL ? "" : d->o.cert_file,
                         d->o.ca_file == NULL ? "" : d->o.ca_file, d->o.is_insecure ? 1 : 0);
    return ret->err == ALK_OK;
}

static char kind_of(enum alk_transport transport)
{
    return transport == ALK_TRANSPORT_QUIC ? 'q' : 't';
}

void alk_dial_session(const struct alk_dial *d, enum alk_transport transport, struct alk_buf *ret)
{
    struct alk_buf key;
    alk_buf_init(ret, d->dialer->pump->mem, ALK_SESSION_VALUE_MAX);
    if (d->o.cache == NULL) {
        return;
    }
    if (!cache_key(d, kind_of(transport), &key) ||
        alk_session_cache_get(d->o.cache, alk_buf_span(&key), alk_clock_unix(), ret) != ALK_OK) {
        alk_buf_clear(ret);
    }
    alk_buf_fini(&key);
}

void alk_dial_save(struct alk_dial *d)
{
    struct alk_buf session;
    struct alk_buf key;
    if (d->o.cache == NULL || d->winner == NULL || d->winner->conn == NULL) {
        return;
    }
    alk_buf_init(&session, d->dialer->pump->mem, ALK_SESSION_VALUE_MAX);
    alk_err err = d->winner->transport == ALK_TRANSPORT_QUIC
                      ? alk_quic_client_session(d->winner->conn, &session)
                      : alk_tcp_client_session(d->winner->conn, &session);
    /* Asked for at every turn: only what is new goes to the disk. */
    static const uint64_t seed[2] = {0, 0};
    uint64_t hash = err == ALK_OK ? alk_siphash(seed, alk_buf_span(&session)) : d->saved_hash;
    if (err == ALK_OK && hash != d->saved_hash) {
        d->saved_hash = hash;
        if (cache_key(d, kind_of(d->winner->transport), &key)) {
            alk_session_cache_put(d->o.cache, alk_buf_span(&key), alk_clock_unix(),
                                  alk_buf_span(&session));
        }
        alk_buf_fini(&key);
    }
    alk_buf_fini_secret(&session);
}

bool alk_dial_prefers_tcp(const struct alk_dial *d)
{
    struct alk_buf key;
    struct alk_buf value;
    bool is_tcp = false;
    if (d->o.cache == NULL) {
        return false;
    }
    alk_buf_init(&value, NULL, 16);
    if (cache_key(d, 'w', &key) &&
        alk_session_cache_get(d->o.cache, alk_buf_span(&key), alk_clock_unix(), &value) == ALK_OK) {
        is_tcp = strcmp(alk_buf_cstr(&value), "tcp") == 0;
    }
    alk_buf_fini(&key);
    alk_buf_fini(&value);
    return is_tcp;
}

/* Only where both were tried does the winner say anything about the network. */
static void remember_winner(const struct alk_dial *d)
{
    struct alk_buf key;
    if (d->o.cache == NULL || !d->lanes[0].is_used || !d->lanes[1].is_used) {
        return;
    }
    if (cache_key(d, 'w', &key)) {
        bool is_quic = d->winner->transport == ALK_TRANSPORT_QUIC;
        alk_session_cache_put(d->o.cache, alk_buf_span(&key), alk_clock_unix(),
                              is_quic ? ALK_LIT("quic") : ALK_LIT("tcp"));
    }
    alk_buf_fini(&key);
}

/* --- the connection's calls ----------------------------------------------- */

/* The node has answered on this way: no other is needed. */
static void settle_on(struct alk_attempt *a)
{
    struct alk_dial *d = a->dial;
    struct alk_loop *loop = d->dialer->pump->loop;
    d->state = ALK_DIAL_OPEN;
    d->winner = a;
    alk_timer_stop(loop, &d->deadline);
    alk_race_end(d);
    remember_winner(d);
    if (d->o.cache != NULL) {
        d->fresh_until = alk_loop_now(loop) + FRESH;
        alk_list_append(&d->dialer->fresh, &d->fresh);
    }
}

static alk_err on_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                       void **ret_state)
{
    struct alk_attempt *a = service;
    struct alk_dial *d = a->dial;
    *ret_state = a;
    if (a->is_over || d->state >= ALK_DIAL_OPEN) {
        return ALK_E_CLOSED; /* lost: its Finished is never sent */
    }
    if (auth->is_early) {
        d->state = ALK_DIAL_EARLY;
        d->winner = a;
        d->o.want_early = false; /* one is enough */
    } else {
        settle_on(a);
    }
    if (a->transport == ALK_TRANSPORT_QUIC) {
        alk_quic_release_finished(conn);
    } else {
        alk_tcp_release_finished(conn);
    }
    d->calls->opened(d->ctx, conn);
    return ALK_OK;
}

static bool is_heard(const struct alk_attempt *a)
{
    return a->dial->winner == a &&
           (a->dial->state == ALK_DIAL_EARLY || a->dial->state == ALK_DIAL_OPEN);
}

static void on_auth_changed(void *state)
{
    struct alk_attempt *a = state;
    /* Not only when it is confirmed: that may come long after the answer to early data, and
     * what was read of that answer cannot be taken back for another way. */
    bool is_answered = a->conn->is_answered || alk_conn_auth(a->conn)->is_confirmed;
    if (is_heard(a) && a->dial->state == ALK_DIAL_EARLY && is_answered) {
        settle_on(a);
    }
}

static alk_err on_stream(void *state, struct alk_stream *stream)
{
    const struct alk_attempt *a = state;
    if (!is_heard(a) || a->dial->calls->stream == NULL) {
        return ALK_E_PROTOCOL; /* this side takes no streams */
    }
    a->dial->calls->stream(a->dial->ctx, stream);
    return ALK_OK;
}

static void on_datagram(void *state, struct alk_span data)
{
    const struct alk_attempt *a = state;
    if (is_heard(a) && a->dial->calls->datagram != NULL) {
        a->dial->calls->datagram(a->dial->ctx, data);
    }
}

static void on_credit(void *state)
{
    const struct alk_attempt *a = state;
    if (is_heard(a) && a->dial->calls->credit != NULL) {
        a->dial->calls->credit(a->dial->ctx);
    }
}

static void on_close(void *state, alk_err why, uint64_t code)
{
    struct alk_attempt *a = state;
    struct alk_dial *d = a->dial;
    if (!is_heard(a)) {
        return;
    }
    if (d->state == ALK_DIAL_EARLY && why != ALK_OK && why != ALK_E_CLOSED) {
        alk_attempt_failed(a, why, a->conn->close_reason); /* neither side wanted it */
        return;
    }
    alk_dial_stay(d);
    d->state = ALK_DIAL_OVER;
    alk_list_remove(&d->fresh);
    if (d->calls->closed != NULL) {
        d->calls->closed(d->ctx, why, code, alk_span_str(a->conn->close_reason));
    }
}

const struct alk_handler alk_dial_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "client",
    .flags = ALK_HANDLER_EARLY_SAFE,
    .open = on_open,
    .stream = on_stream,
    .datagram = on_datagram,
    .credit = on_credit,
    .auth_changed = on_auth_changed,
    .close = on_close,
};

void alk_dial_on_unopened(void *attempt, struct alk_conn *conn)
{
    alk_attempt_failed(attempt, conn->close_err, conn->close_reason);
}

void alk_dial_on_early_rejected(void *attempt)
{
    const struct alk_attempt *a = attempt;
    if (is_heard(a) && a->dial->calls->early_rejected != NULL) {
        a->dial->calls->early_rejected(a->dial->ctx);
    }
}

void alk_dial_on_released(void *attempt)
{
    struct alk_attempt *a = attempt;
    a->conn = NULL;
    alk_attempt_free(a);
}
