/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hub: turns event bits into handler calls, one connection at a time.
 * See core/conn.h for the order of calls and alknet/handler.h for the promises. */
#include "base/assert.h"
#include "base/mem.h"
#include "core/conn.h"
#include "core/router.h"

#define TURN_BUDGET 4096u

void alk_hub_init(struct alk_hub *hub, const struct alk_mem *mem, uint64_t loop_id)
{
    *hub = (struct alk_hub){.mem = mem, .loop_id = loop_id, .turn_budget = TURN_BUDGET};
    alk_list_init(&hub->conns);
    alk_list_init(&hub->ready);
    alk_list_init(&hub->late);
    /* Serials are ours: no seed is needed against chosen collisions. */
    static const uint8_t seed[16] = {0};
    alk_map_init(&hub->by_serial, mem, SIZE_MAX / 2, seed);
}

void alk_hub_fini(struct alk_hub *hub)
{
    ALK_ASSERT(alk_list_is_empty(&hub->conns));
    alk_map_fini(&hub->by_serial);
}

struct alk_conn *alk_hub_find(struct alk_hub *hub, uint64_t serial)
{
    return alk_map_get(&hub->by_serial, alk_span(&serial, sizeof serial));
}

static void log_line(struct alk_conn *conn, enum alk_log_level level, const char *text)
{
    if (conn->hub->auth.log != NULL) {
        conn->hub->auth.log(conn->hub->auth.ctx, level, conn, text);
    }
}

static void audit(struct alk_conn *conn, const char *what, bool allowed)
{
    if (conn->hub->auth.audit != NULL && conn->is_server) {
        conn->hub->auth.audit(conn->hub->auth.ctx, conn, what, allowed);
    }
}

/* --- opening ---------------------------------------------------------------------- */

static bool has_scopes(const struct alk_conn *conn)
{
    const struct alk_service *service = conn->service;
    for (size_t i = 0; i < service->scope_count; i++) {
        if (!alk_identity_has_scope(conn->auth.identity, alk_span_str(service->scopes[i]))) {
            return false;
        }
    }
    return true;
}

/* ALK_OK, ALK_E_AUTH (no identity where one is needed) or ALK_E_FORBIDDEN. */
static alk_err admit(const struct alk_conn *conn)
{
    if (conn->service == NULL || conn->service->require == ALK_REQUIRE_NONE) {
        return ALK_OK;
    }
    if (conn->auth.identity == NULL) {
        return ALK_E_AUTH;
    }
    return has_scopes(conn) ? ALK_OK : ALK_E_FORBIDDEN;
}

static void call_open(struct alk_conn *conn)
{
    if (conn->is_closing) {
        return;
    }
    alk_err err = admit(conn);
    if (err == ALK_E_AUTH) {
        audit(conn, "open", false);
        alk_conn_deny(conn, conn->auth.cert_kind == ALK_CERT_NONE ? "none" : "key",
                      conn->auth.cert_kind == ALK_CERT_NONE ? "no-credential" : "unknown");
        return;
    }
    if (err == ALK_E_FORBIDDEN) {
        audit(conn, "open", false);
        alk_conn_count_refused(conn);
        alk_conn_close(conn, ALK_CODE_FORBIDDEN, ALK_LIT("not permitted"));
        return;
    }
    conn->conn_state = ALK_CONN_OPEN;
    conn->is_early_open = conn->auth.is_early;
    conn->opened_at = conn->hub->now;
    if (conn->service != NULL) {
        (void)atomic_fetch_add_explicit(&conn->service->conns_now, 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&conn->service->conns_total, 1, memory_order_relaxed);
    }
    audit(conn, "open", true);
    err = conn->handler->open(conn->service_state, conn, &conn->auth, &conn->state);
    if (err != ALK_OK) {
        log_line(conn, ALK_LOG_WARN, alk_err_text(err));
        alk_conn_close(conn, alk_err_code(err), alk_span_str(alk_err_text(err)));
    }
}

static void set_identity(struct alk_conn *conn, const struct alk_identity *identity,
                         uint64_t generation)
{
    const struct alk_identity *old = conn->auth.identity;
    conn->auth.identity = identity == NULL ? NULL : alk_identity_ref(identity);
    conn->auth.source = identity == NULL ? ALK_AUTH_NONE : ALK_AUTH_TLS_KEY;
    conn->auth.generation = generation;
    alk_identity_unref(old);
    if (identity != NULL && conn->ops->identity_known != NULL) {
        conn->ops->identity_known(conn);
    }
}

/* The answer about the key that TLS showed. An unknown key is no identity; one
 * that is known and revoked, or that nobody can tell about, ends the connection:
 * nothing falls back. */
static void tls_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                         uint64_t generation)
{
    struct alk_conn *conn = ctx;
    conn->resolving--;
    bool is_refused = err != ALK_OK && err != ALK_E_AUTH;
    bool had_identity = conn->auth.identity != NULL;
    if (conn->conn_state == ALK_CONN_DONE || (conn->pending & ALK_CONN_CLOSED) != 0) {
        alk_conn_raise(conn, 0); /* its end waits for this answer */
        return;
    }
    if (conn->conn_state == ALK_CONN_RESOLVING) {
        if (is_refused) {
            alk_conn_deny(conn, "key", err == ALK_E_UNAVAILABLE ? "unavailable" : "revoked");
            return;
        }
        set_identity(conn, err == ALK_OK ? identity : NULL, generation);
        alk_conn_raise(conn, ALK_CONN_AUTH);
        return;
    }
    if (err == ALK_E_UNAVAILABLE) {
        return; /* of an open connection: keep what was known until it can be told */
    }
    if (had_identity && err != ALK_OK) {
        set_identity(conn, NULL, generation);
        audit(conn, "revoke", false);
        alk_conn_close(conn, ALK_CODE_REVOKED, ALK_LIT("revoked"));
        return;
    }
    if (err == ALK_E_AUTH) {
        conn->auth.generation = generation;
        alk_conn_raise(conn, ALK_CONN_AUTH); /* requests may have credentials of their own */
        return;
    }
    if (err == ALK_OK) {
        set_identity(conn, identity, generation);
        if (admit(conn) != ALK_OK) {
            audit(conn, "revoke", false);
            alk_conn_close(conn, ALK_CODE_REVOKED, ALK_LIT("rights withdrawn"));
            return;
        }
        alk_conn_raise(conn, ALK_CONN_AUTH);
    }
}

static void resolve_tls(struct alk_conn *conn)
{
    struct alk_hub *hub = conn->hub;
    size_t count = 0;
    while (count < 4 && conn->auth.fingerprints[count][0] != '\0') {
        count++;
    }
    if (count == 0 || hub->auth.provider == NULL || !conn->is_server) {
        conn->resolving++;
        tls_resolved(conn, ALK_E_AUTH, NULL, 0);
        return;
    }
    struct alk_auth_query query = {
        .kind = ALK_CREDENTIAL_FINGERPRINTS,
        .context = &conn->auth,
        .fingerprints = (const char(*)[ALK_FINGERPRINT_MAX])conn->auth.fingerprints,
        .fingerprint_count = count,
    };
    conn->resolving++;
    hub->auth.provider->resolve(hub->auth.provider_ctx, &query, tls_resolved, conn);
}

/* Early data reaches only handlers that declare it safe. */
static bool may_start(const struct alk_conn *conn)
{
    return !conn->auth.is_early || conn->is_confirmed ||
           (conn->handler != NULL && (conn->handler->flags & ALK_HANDLER_EARLY_SAFE) != 0);
}

/* Takes a connection from its handshake to `open`. */
static void advance(struct alk_conn *conn)
{
    if (conn->conn_state == ALK_CONN_NEW && (conn->pending & ALK_CONN_HANDSHAKE) != 0 &&
        may_start(conn)) {
        conn->pending &= ~(unsigned)ALK_CONN_HANDSHAKE;
        conn->conn_state = ALK_CONN_RESOLVING;
        resolve_tls(conn);
    }
    if (conn->conn_state == ALK_CONN_RESOLVING && conn->resolving == 0 &&
        (conn->pending & ALK_CONN_AUTH) != 0) {
        conn->pending &= ~(unsigned)(ALK_CONN_AUTH | ALK_CONN_HANDSHAKE);
        call_open(conn);
    }
}

/* --- events of an open connection ---------------------------------------------------- */

static void deliver_auth(struct alk_conn *conn)
{
    if ((conn->pending & ALK_CONN_AUTH) != 0) {
        conn->pending &= ~(unsigned)ALK_CONN_AUTH;
        if (conn->handler->auth_changed != NULL) {
            conn->handler->auth_changed(conn->state);
        }
    }
}

static void deliver_datagrams(struct alk_conn *conn)
{
    conn->pending &= ~(unsigned)ALK_CONN_DATAGRAM;
    while (conn->dgram_head != NULL) {
        struct alk_conn_datagram *d = conn->dgram_head;
        conn->dgram_head = d->next;
        if (conn->dgram_head == NULL) {
            conn->dgram_tail = NULL;
        }
        conn->dgram_count--;
        conn->dgram_bytes -= d->n;
        if (conn->handler->datagram != NULL) {
            conn->handler->datagram(conn->state, (struct alk_span){d->data, d->n});
        }
        alk_free(conn->mem, d);
    }
}

static void announce(struct alk_conn *conn, struct alk_stream *s)
{
    s->is_announced = true;
    if (conn->service != NULL) {
        (void)atomic_fetch_add_explicit(&conn->service->streams_total, 1, memory_order_relaxed);
        s->announced_at = conn->hub->now;
    }
    if (conn->is_closing) {
        s->is_detached = true;
        return;
    }
    alk_err err = ALK_E_UNSUPPORTED;
    if (conn->handler->stream != NULL) {
        err = conn->handler->stream(conn->state, s);
    }
    if (err != ALK_OK && !s->is_detached) {
        if (err != ALK_E_UNSUPPORTED) {
            log_line(conn, ALK_LOG_WARN, alk_err_text(err));
        }
        alk_stream_close(s, alk_err_code(err));
    }
}

/* One stream: its announcement, its events, its end. */
static void deliver_stream(struct alk_conn *conn, struct alk_stream *s)
{
    if (!s->is_announced) {
        announce(conn, s);
    }
    unsigned events = s->pending;
    if (s->fn != NULL && events != 0) {
        s->pending = 0;
        s->fn(s->ctx, s, events);
    }
    if (s->is_gone && ((events & ALK_STREAM_CLOSED) != 0 || s->is_detached)) {
        /* A handler that never said who listens loses the stream with its end. */
        if (s->announced_at != 0 && conn->service != NULL) {
            alk_histogram_add(&conn->service->stream_times, conn->hub->now - s->announced_at);
        }
        conn->ops->stream_free(s);
        if (conn->hub->is_draining && conn->is_server && conn->streams_open == 0) {
            alk_conn_close(conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
        }
    }
}

/* Streams that were ready when the turn began; those that become ready meanwhile
 * wait for the next, so that no stream starves another. */
static unsigned deliver_streams(struct alk_conn *conn, unsigned budget)
{
    struct alk_list batch;
    alk_list_init(&batch);
    struct alk_link *l;
    while ((l = alk_list_pop(&conn->ready)) != NULL) {
        alk_list_append(&batch, l);
    }
    unsigned used = 0;
    while (used < budget && (l = alk_list_pop(&batch)) != NULL) {
        deliver_stream(conn, ALK_CONTAINER(l, struct alk_stream, ready));
        used++;
    }
    while (!alk_list_is_empty(&batch)) {
        l = batch.head.prev;
        alk_list_remove(l);
        alk_list_prepend(&conn->ready, l);
    }
    return used;
}

static void deliver_drain(struct alk_conn *conn)
{
    conn->pending &= ~(unsigned)ALK_CONN_DRAIN;
    if (conn->handler->drain != NULL) {
        conn->handler->drain(conn->state, conn->hub->drain_deadline);
    }
    if (conn->is_server && conn->streams_open == 0) {
        alk_conn_close(conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
    }
}

/* --- the end ---------------------------------------------------------------------------- */

static void end_streams(struct alk_conn *conn)
{
    while (!alk_list_is_empty(&conn->ready)) {
        (void)deliver_streams(conn, UINT32_MAX);
    }
    for (struct alk_link *l = conn->streams.head.next; l != &conn->streams.head; l = l->next) {
        struct alk_stream *s = ALK_CONTAINER(l, struct alk_stream, all);
        alk_stream_rx_reset(s, conn->close_code);
        alk_stream_gone(s);
        alk_stream_raise(s, ALK_STREAM_CLOSED); /* also with a rest that nobody has read */
    }
    while (!alk_list_is_empty(&conn->ready)) {
        (void)deliver_streams(conn, UINT32_MAX);
    }
    while (!alk_list_is_empty(&conn->streams)) { /* those nobody listened to */
        conn->ops->stream_free(ALK_CONTAINER(conn->streams.head.next, struct alk_stream, all));
    }
}

static void end(struct alk_conn *conn)
{
    bool was_open = conn->conn_state == ALK_CONN_OPEN;
    if (was_open) {
        end_streams(conn);
        if (conn->handler->close != NULL) {
            conn->handler->close(conn->state, conn->close_err, conn->close_code);
        }
        if (conn->service != NULL) {
            (void)atomic_fetch_sub_explicit(&conn->service->conns_now, 1, memory_order_relaxed);
            alk_histogram_add(&conn->service->conn_times, conn->hub->now - conn->opened_at);
            alk_metrics_count_bytes(conn);
        }
    } else if (conn->on_unopened != NULL) {
        conn->on_unopened(conn->service_state, conn);
    }
    conn->conn_state = ALK_CONN_DONE;
    conn->state = NULL;
    while (!alk_list_is_empty(&conn->streams)) {
        conn->ops->stream_free(ALK_CONTAINER(conn->streams.head.next, struct alk_stream, all));
    }
    alk_list_remove(&conn->ready_in);
    conn->ops->release(conn);
}

/* --- the turn ------------------------------------------------------------------------------ */

static unsigned deliver_open(struct alk_conn *conn, unsigned budget)
{
    deliver_auth(conn);
    if ((conn->pending & ALK_CONN_CREDIT) != 0) {
        conn->pending &= ~(unsigned)ALK_CONN_CREDIT;
        if (conn->handler->credit != NULL) {
            conn->handler->credit(conn->state);
        }
    }
    if ((conn->pending & ALK_CONN_DATAGRAM) != 0) {
        deliver_datagrams(conn);
    }
    unsigned used = deliver_streams(conn, budget);
    if ((conn->pending & ALK_CONN_DRAIN) != 0) {
        deliver_drain(conn);
    }
    return used + 1;
}

static unsigned deliver(struct alk_conn *conn, unsigned budget)
{
    unsigned used = 1;
    if ((conn->pending & ALK_CONN_CONFIRMED) != 0) {
        conn->pending &= ~(unsigned)ALK_CONN_CONFIRMED;
        conn->is_confirmed = true;
        conn->auth.is_confirmed = true;
        conn->auth.is_early = false;
        if (conn->conn_state == ALK_CONN_OPEN && conn->is_early_open) {
            conn->pending |= ALK_CONN_AUTH;
        }
    }
    if (conn->conn_state < ALK_CONN_OPEN && !conn->is_closing) {
        advance(conn);
    }
    if ((conn->pending & ALK_CONN_EARLY_REJECTED) != 0) {
        conn->pending &= ~(unsigned)ALK_CONN_EARLY_REJECTED;
        if (conn->on_early_rejected != NULL && conn->conn_state == ALK_CONN_OPEN) {
            conn->on_early_rejected(conn->service_state);
        }
    }
    if (conn->conn_state == ALK_CONN_OPEN) {
        used = deliver_open(conn, budget);
    }
    if ((conn->pending & ALK_CONN_CLOSED) != 0 && conn->resolving == 0 &&
        conn->conn_state != ALK_CONN_DONE) {
        end(conn); /* the connection may be freed now */
        return used;
    }
    /* What was raised meanwhile waits for its next turn. */
    bool has_more = conn->conn_state == ALK_CONN_OPEN &&
                    (!alk_list_is_empty(&conn->ready) || conn->pending != 0);
    if (has_more) {
        alk_list_append(&conn->hub->ready, &conn->ready_in);
    }
    return used;
}

void alk_hub_late(struct alk_hub *hub, struct alk_late *late)
{
    alk_list_append(&hub->late, &late->in);
}

bool alk_hub_has_work(const struct alk_hub *hub)
{
    return !alk_list_is_empty(&hub->ready) || !alk_list_is_empty(&hub->late);
}

static void run_late(struct alk_hub *hub)
{
    struct alk_late mark = {.fn = NULL};
    struct alk_link *l;
    if (alk_list_is_empty(&hub->late)) {
        return;
    }
    alk_list_append(&hub->late, &mark.in);
    while ((l = alk_list_pop(&hub->late)) != NULL && l != &mark.in) {
        struct alk_late *late = ALK_CONTAINER(l, struct alk_late, in);
        late->fn(late->ctx);
    }
}

bool alk_hub_run(struct alk_hub *hub)
{
    unsigned budget = hub->turn_budget == 0 ? TURN_BUDGET : hub->turn_budget;
    struct alk_link *l;
    while (budget > 0 && (l = alk_list_pop(&hub->ready)) != NULL) {
        unsigned used = deliver(ALK_CONTAINER(l, struct alk_conn, ready_in), budget);
        budget -= used < budget ? used : budget;
    }
    run_late(hub);
    return alk_hub_has_work(hub);
}

void alk_hub_auth_changed(struct alk_hub *hub)
{
    struct alk_link *next;
    for (struct alk_link *l = alk_list_first(&hub->conns); l != NULL; l = next) {
        next = alk_list_next(&hub->conns, l);
        struct alk_conn *conn = ALK_CONTAINER(l, struct alk_conn, all);
        if (conn->conn_state == ALK_CONN_OPEN && conn->is_server && !conn->is_closing &&
            conn->resolving == 0) {
            resolve_tls(conn);
        }
    }
}

void alk_hub_drain(struct alk_hub *hub, alk_time deadline)
{
    hub->is_draining = true;
    hub->drain_deadline = deadline;
    struct alk_link *next;
    for (struct alk_link *l = alk_list_first(&hub->conns); l != NULL; l = next) {
        next = alk_list_next(&hub->conns, l);
        struct alk_conn *conn = ALK_CONTAINER(l, struct alk_conn, all);
        if (conn->conn_state == ALK_CONN_OPEN) {
            alk_conn_raise(conn, ALK_CONN_DRAIN);
        } else if (conn->is_server && conn->conn_state != ALK_CONN_DONE) {
            alk_conn_close(conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
        }
    }
}

void alk_hub_close_all(struct alk_hub *hub, const struct alk_service *service, uint64_t code)
{
    struct alk_link *next;
    for (struct alk_link *l = alk_list_first(&hub->conns); l != NULL; l = next) {
        next = alk_list_next(&hub->conns, l);
        struct alk_conn *conn = ALK_CONTAINER(l, struct alk_conn, all);
        if ((service == NULL || conn->service == service) && conn->conn_state != ALK_CONN_DONE) {
            alk_conn_close(conn, code, alk_span_str(alk_code_name(code)));
        }
    }
}
