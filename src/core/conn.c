/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/conn.h"

#include "base/assert.h"
#include "base/mem.h"
#include "core/router.h"

#define CONN_MAGIC 0x414c4b43u /* "ALKC" */

static struct alk_span serial_key(const struct alk_conn *conn)
{
    return alk_span(&conn->serial, sizeof conn->serial);
}

void alk_conn_init(struct alk_conn *conn, const struct alk_conn_ops *ops, struct alk_hub *hub)
{
    conn->magic = CONN_MAGIC;
    conn->ops = ops;
    conn->hub = hub;
    conn->mem = hub->mem;
    conn->serial = ++hub->next_serial;
    conn->made_at = hub->now;
    conn->auth.struct_size = sizeof conn->auth;
    conn->auth.transport = ops->transport;
    alk_list_init(&conn->streams);
    alk_list_init(&conn->ready);
    alk_list_append(&hub->conns, &conn->all);
    hub->conn_count++;
    alk_err err = alk_map_put(&hub->by_serial, serial_key(conn), conn);
    (void)err; /* without memory the weak handle resolves to NULL */

    struct alk_buf id; /* "2-1f": loop and serial */
    alk_buf_init(&id, conn->mem, sizeof conn->auth.log_id - 1);
    if (alk_buf_printf(&id, "%llx-%llx", (unsigned long long)hub->loop_id,
                       (unsigned long long)conn->serial) == ALK_OK) {
        (void)alk_span_cstr(alk_buf_span(&id), conn->auth.log_id, sizeof conn->auth.log_id);
    }
    alk_buf_fini(&id);
}

static void drop_datagrams(struct alk_conn *conn)
{
    while (conn->dgram_head != NULL) {
        struct alk_conn_datagram *d = conn->dgram_head;
        conn->dgram_head = d->next;
        alk_free(conn->mem, d);
    }
    conn->dgram_tail = NULL;
    conn->dgram_count = 0;
    conn->dgram_bytes = 0;
}

/* What waits for an open connection is delivered in the same turn. */
static bool has_place(const struct alk_conn *conn, size_t n)
{
    bool is_held = conn->conn_state != ALK_CONN_OPEN;
    return conn->dgram_count < ALK_CONN_DATAGRAMS_MAX && !conn->is_closing &&
           !(is_held && conn->dgram_bytes + n > ALK_CONN_DATAGRAM_BYTES);
}

void alk_conn_fini(struct alk_conn *conn)
{
    ALK_ASSERT(conn->magic == CONN_MAGIC);
    ALK_ASSERT(alk_list_is_empty(&conn->streams));
    drop_datagrams(conn);
    alk_list_remove(&conn->all);
    alk_list_remove(&conn->ready_in);
    conn->hub->conn_count--;
    (void)alk_map_remove(&conn->hub->by_serial, serial_key(conn));
    alk_identity_unref(conn->auth.identity);
    conn->auth.identity = NULL;
    if (conn->service != NULL) {
        alk_service_unref(conn->service);
        conn->service = NULL;
    }
    conn->magic = 0;
    if (conn->on_released != NULL) {
        conn->on_released(conn->service_state);
    }
}

void alk_conn_raise(struct alk_conn *conn, unsigned events)
{
    conn->pending |= events;
    alk_list_append(&conn->hub->ready, &conn->ready_in);
}

void alk_conn_raise_closed(struct alk_conn *conn, alk_err err, uint64_t code,
                           struct alk_span reason)
{
    if ((conn->pending & ALK_CONN_CLOSED) != 0 || conn->conn_state == ALK_CONN_DONE) {
        return;
    }
    conn->is_closing = true;
    conn->close_err = err;
    conn->close_code = code;
    (void)alk_span_cstr(alk_span_head(reason, ALK_CONN_REASON_MAX), conn->close_reason,
                        sizeof conn->close_reason);
    alk_conn_raise(conn, ALK_CONN_CLOSED);
}

void alk_conn_rx_datagram(struct alk_conn *conn, struct alk_span data)
{
    struct alk_conn_datagram *d = NULL;
    if (has_place(conn, data.n)) {
        d = alk_alloc(conn->mem, sizeof *d + data.n);
    }
    if (d == NULL) {
        conn->dgrams_dropped++;
        return;
    }
    d->next = NULL;
    d->n = data.n;
    if (data.n > 0) {
        memcpy(d->data, data.p, data.n);
    }
    if (conn->dgram_tail == NULL) {
        conn->dgram_head = d;
    } else {
        conn->dgram_tail->next = d;
    }
    conn->dgram_tail = d;
    conn->dgram_count++;
    conn->dgram_bytes += d->n;
    alk_conn_raise(conn, ALK_CONN_DATAGRAM);
}

/* --- the handler's side -------------------------------------------------------- */

const struct alk_auth_context *alk_conn_auth(const struct alk_conn *conn)
{
    ALK_ASSERT(conn->magic == CONN_MAGIC);
    return &conn->auth;
}

struct alk_loop *alk_conn_loop(const struct alk_conn *conn)
{
    return conn->hub->loop;
}

enum alk_transport alk_conn_transport(const struct alk_conn *conn)
{
    return conn->ops->transport;
}

alk_err alk_conn_open_stream(struct alk_conn *conn, alk_stream_fn *fn, void *ctx,
                             struct alk_stream **ret)
{
    ALK_ASSERT(conn->magic == CONN_MAGIC);
    if (conn->is_closing) {
        return ALK_E_CLOSED;
    }
    struct alk_stream *s;
    ALK_TRY(conn->ops->open_stream(conn, &s));
    alk_stream_on(s, fn, ctx);
    *ret = s;
    return ALK_OK;
}

size_t alk_conn_datagram_max(const struct alk_conn *conn)
{
    return conn->ops->datagram_max == NULL ? 0 : conn->ops->datagram_max(conn);
}

alk_err alk_conn_datagram(struct alk_conn *conn, struct alk_span data)
{
    if (conn->ops->datagram == NULL) {
        return ALK_E_UNSUPPORTED;
    }
    return conn->is_closing ? ALK_E_CLOSED : conn->ops->datagram(conn, data);
}

void alk_conn_close(struct alk_conn *conn, uint64_t code, struct alk_span reason)
{
    ALK_ASSERT(conn->magic == CONN_MAGIC);
    if (!conn->is_closing) {
        conn->is_closing = true;
        conn->ops->close(conn, code, alk_span_head(reason, ALK_CONN_REASON_MAX));
        alk_conn_raise_closed(conn, ALK_OK, code, reason);
    }
}

struct alk_conn_handle alk_conn_handle(const struct alk_conn *conn)
{
    return (struct alk_conn_handle){.loop = conn->hub->loop_id, .serial = conn->serial};
}

void alk_conn_stats(const struct alk_conn *conn, struct alk_conn_stats *ret)
{
    struct alk_conn_stats s = {.struct_size = sizeof s};
    s.streams_opened = conn->streams_opened;
    s.datagrams_dropped = conn->dgrams_dropped;
    if (conn->ops->stats != NULL) {
        conn->ops->stats(conn, &s);
    }
    size_t n = ret->struct_size;
    n = n == 0 || n > sizeof s ? sizeof s : n; /* an older caller knows fewer fields */
    s.struct_size = n;
    memcpy(ret, &s, n);
}

/* --- credentials ---------------------------------------------------------------- */

void alk_conn_count_failure(struct alk_conn *conn, const char *method, const char *reason)
{
    struct alk_hub *hub = conn->hub;
    conn->auth_failures++;
    if (hub->auth.failed != NULL) {
        hub->auth.failed(hub->auth.ctx, conn, method, reason);
    }
    if (hub->conn_auth_failures != 0 && conn->auth_failures >= hub->conn_auth_failures) {
        alk_conn_close(conn, ALK_CODE_AUTH, ALK_LIT("too many failures"));
    }
}

static const char *failure_reason(alk_err err)
{
    switch ((int)err) {
    case ALK_E_EXPIRED:
        return "expired";
    case ALK_E_REVOKED:
        return "revoked";
    case ALK_E_UNAVAILABLE:
        return "unavailable";
    default:
        return "unknown";
    }
}

/* A question that is under way. The connection waits for the answer before it
 * ends, so the pointer stays good. */
struct question {
    struct alk_conn *conn;
    char method[24];
    alk_auth_done_fn *done;
    void *ctx;
    bool is_counted; /* a failure counts against the peer */
};

static void answered(void *ctx, alk_err err, const struct alk_identity *identity,
                     uint64_t generation)
{
    struct question *q = ctx;
    struct alk_conn *conn = q->conn;
    conn->resolving--;
    if (err != ALK_OK && q->is_counted) {
        alk_conn_count_failure(conn, q->method, failure_reason(err));
    }
    q->done(q->ctx, err, identity, generation);
    alk_free(conn->mem, q);
    alk_conn_raise(conn, 0); /* its end may have waited for this */
}

static void ask(struct alk_conn *conn, const char *method, const struct alk_auth_query *query,
                bool is_counted, alk_auth_done_fn *done, void *ctx)
{
    struct alk_hub *hub = conn->hub;
    struct question *q = ALK_NEW(conn->mem, struct question);
    if (q == NULL) {
        done(ctx, ALK_E_UNAVAILABLE, NULL, 0);
        return;
    }
    *q = (struct question){.conn = conn, .done = done, .ctx = ctx, .is_counted = is_counted};
    conn->resolving++;
    (void)alk_span_cstr(alk_span_head(alk_span_str(method), sizeof q->method - 1), q->method,
                        sizeof q->method);
    if (hub->auth.provider == NULL) {
        answered(q, ALK_E_AUTH, NULL, 0);
        return;
    }
    struct alk_auth_query full = *query;
    full.context = &conn->auth;
    full.method = q->method;
    hub->auth.provider->resolve(hub->auth.provider_ctx, &full, answered, q);
}

void alk_conn_resolve(struct alk_conn *conn, const char *method, const struct alk_auth_query *query,
                      alk_auth_done_fn *done, void *ctx)
{
    ask(conn, method, query, true, done, ctx);
}

void alk_conn_recheck(struct alk_conn *conn, const char *method, const struct alk_auth_query *query,
                      alk_auth_done_fn *done, void *ctx)
{
    ask(conn, method, query, false, done, ctx);
}

void alk_conn_count_refused(struct alk_conn *conn)
{
    if (conn->service != NULL) {
        (void)atomic_fetch_add_explicit(&conn->service->refused_total, 1, memory_order_relaxed);
    }
}

void alk_conn_deny(struct alk_conn *conn, const char *method, const char *reason)
{
    alk_conn_count_failure(conn, method, reason);
    alk_conn_count_refused(conn);
    alk_conn_close(conn, ALK_CODE_AUTH, ALK_LIT("authentication required"));
}
