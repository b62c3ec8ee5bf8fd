/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/metrics.h"

#include "core/conn.h"
#include "core/endpoint.h"
#include "core/router.h"

static const alk_time bounds[ALK_HISTOGRAM_BUCKETS - 1] = {
    1 * ALK_MS,    5 * ALK_MS,      25 * ALK_MS,     100 * ALK_MS,     500 * ALK_MS,
    2500 * ALK_MS, 10 * ALK_SECOND, 60 * ALK_SECOND, 600 * ALK_SECOND, 3600 * ALK_SECOND};
static const char *const bound_texts[ALK_HISTOGRAM_BUCKETS] = {
    "0.001", "0.005", "0.025", "0.1", "0.5", "2.5", "10", "60", "600", "3600", "+Inf"};

void alk_histogram_add(struct alk_histogram *h, alk_time time)
{
    size_t i = 0;
    while (i < ALK_HISTOGRAM_BUCKETS - 1 && time > bounds[i]) {
        i++;
    }
    (void)atomic_fetch_add_explicit(&h->counts[i], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&h->sum_us, time / ALK_US, memory_order_relaxed);
}

void alk_metrics_count_bytes(struct alk_conn *conn)
{
    struct alk_conn_stats now = {.struct_size = sizeof now};
    if (conn->service == NULL) {
        return;
    }
    alk_conn_stats(conn, &now);
    (void)atomic_fetch_add_explicit(&conn->service->bytes_in, now.bytes_in - conn->counted_in,
                                    memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&conn->service->bytes_out, now.bytes_out - conn->counted_out,
                                    memory_order_relaxed);
    conn->counted_in = now.bytes_in;
    conn->counted_out = now.bytes_out;
}

/* --- the text --------------------------------------------------------------- */

/* The first failure stays; what follows adds nothing. */
struct page {
    struct alk_buf *b;
    alk_err err;
};

static void put_head(struct page *p, const char *name, const char *type, const char *help)
{
    if (p->err == ALK_OK) {
        p->err = alk_buf_printf(p->b, "# HELP alknet_%s %s\n# TYPE alknet_%s %s\n", name, help,
                                name, type);
    }
}

static void put_value(struct page *p, const char *name, const char *labels, uint64_t value)
{
    if (p->err == ALK_OK) {
        p->err =
            alk_buf_printf(p->b, "alknet_%s%s %llu\n", name, labels, (unsigned long long)value);
    }
}

/* Seconds, from microseconds. */
static void put_seconds(struct page *p, const char *name, const char *labels, uint64_t us)
{
    if (p->err == ALK_OK) {
        p->err =
            alk_buf_printf(p->b, "alknet_%s%s %llu.%06llu\n", name, labels,
                           (unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
    }
}

/* --- of the node -------------------------------------------------------------- */

static void put_node(struct page *p, const struct alk_endpoint_status *s)
{
    put_head(p, "config_generation", "gauge", "Configuration in force.");
    put_value(p, "config_generation", "", s->generation);
    put_head(p, "reloads_total", "counter", "Reloads, by result.");
    put_value(p, "reloads_total", "{result=\"ok\"}", s->reloads);
    put_value(p, "reloads_total", "{result=\"failed\"}", s->reloads_failed);
    put_head(p, "auth_failures_total", "counter", "Credentials that did not resolve.");
    put_value(p, "auth_failures_total", "", s->auth_failures);
    put_head(p, "identities", "gauge", "Peers that are known.");
    put_value(p, "identities", "", s->identities);
    put_head(p, "log_dropped_total", "counter", "Lines that the log could not take.");
    put_value(p, "log_dropped_total", "", s->log_dropped);
    put_head(p, "audit_lost_total", "counter", "Audit records that could not be written.");
    put_value(p, "audit_lost_total", "", s->audit_lost);
}

/* --- of the loops ------------------------------------------------------------- */

struct loop_row {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t in struct alk_loop_status */
};

#define OF(member) offsetof(struct alk_loop_status, member)
static const struct loop_row loop_rows[] = {
    {"tcp_accepted_total", "counter", "TCP connections that were let in.", OF(tcp_accepted)},
    {"tcp_refused_total", "counter", "TCP connections over a limit.", OF(tcp_refused)},
    {"tcp_starved_total", "counter", "TCP connections for want of a descriptor.", OF(tcp_starved)},
    {"quic_datagrams_received_total", "counter", "UDP datagrams.", OF(quic.datagrams_in)},
    {"quic_received_bytes_total", "counter", "Bytes of UDP payload.", OF(quic.bytes_in)},
    {"quic_packets_sent_total", "counter", "Packets sent.", OF(quic.packets_out)},
    {"quic_sent_bytes_total", "counter", "Bytes of UDP payload.", OF(quic.bytes_out)},
    {"quic_handshakes_total", "counter", "Handshakes that were completed.",
     OF(quic.handshakes_done)},
    {"quic_handshakes_failed_total", "counter", "Handshakes that were not.",
     OF(quic.handshakes_failed)},
    {"quic_retries_sent_total", "counter", "Retry packets.", OF(quic.retries_sent)},
    {"quic_resets_sent_total", "counter", "Stateless resets.", OF(quic.resets_sent)},
    {"quic_dropped_limit_total", "counter", "First packets over a limit.", OF(quic.dropped_limit)},
    {"quic_dropped_garbage_total", "counter", "Datagrams that are none of ours.",
     OF(quic.dropped_garbage)},
    {"quic_shed_total", "counter", "Streams and connections ended over the budget of memory.",
     OF(quic.shed)},
    {"quic_early_accepted_total", "counter", "Connections with early data.",
     OF(quic.early_accepted)},
    {"quic_early_rejected_total", "counter", "Connections whose early data was refused.",
     OF(quic.early_rejected)},
    {"quic_migrations_total", "counter", "Connections that changed their path.",
     OF(quic.migrations)},
    {"strays_handed_over_total", "counter", "Datagrams handed to another loop.", OF(strays_out)},
    {"strays_dropped_total", "counter", "Datagrams that could not be.", OF(strays_dropped)},
    {"send_errors_total", "counter", "Sends that the system refused.", OF(send_errors)},
};
#undef OF

static void put_loop_rows(struct page *p, const struct alk_endpoint_status *s)
{
    for (size_t r = 0; r < sizeof loop_rows / sizeof loop_rows[0]; r++) {
        const struct loop_row *row = &loop_rows[r];
        put_head(p, row->name, row->type, row->help);
        for (size_t i = 0; i < s->loop_count; i++) {
            char labels[40];
            uint64_t value;
            memcpy(&value, (const uint8_t *)&s->loops[i] + row->offset, sizeof value);
            (void)snprintf(labels, sizeof labels, "{loop=\"%zu\"}", i);
            put_value(p, row->name, labels, value);
        }
    }
}

static void put_loops(struct page *p, const struct alk_endpoint_status *s)
{
    static const char *const names[] = {"connections", "quic_handshakes", "quic_memory_bytes"};
    static const char *const helps[] = {"Connections, of both transports.", "Handshakes under way.",
                                        "Memory of buffers."};
    for (size_t k = 0; k < 3; k++) {
        put_head(p, names[k], "gauge", helps[k]);
        for (size_t i = 0; i < s->loop_count; i++) {
            const struct alk_loop_status *l = &s->loops[i];
            const size_t values[] = {l->connections, l->quic.handshaking, l->quic.memory};
            char labels[40];
            (void)snprintf(labels, sizeof labels, "{loop=\"%zu\"}", i);
            put_value(p, names[k], labels, values[k]);
        }
    }
    put_loop_rows(p, s);
}

/* --- of the services ---------------------------------------------------------- */

/* A label's value: '\', '"' and line breaks are escaped; ALPNs may hold any other
 * printable byte. */
#define LABEL_SIZE (2 * (ALK_ID_MAX + 1) + 32)
static void service_label(const struct alk_service *s, char ret[static LABEL_SIZE])
{
    size_t n = (size_t)snprintf(ret, LABEL_SIZE, "service=\"");
    for (const char *c = s->name; *c != '\0' && n + 4 < LABEL_SIZE; c++) {
        if (*c == '\\' || *c == '"') {
            ret[n++] = '\\';
        }
        ret[n++] = *c;
    }
    ret[n++] = '"';
    ret[n] = '\0';
}

struct service_row {
    const char *name, *type, *help;
    size_t offset; /* of an atomic_uint_fast64_t in struct alk_service */
};
static const struct service_row service_rows[] = {
    {"service_connections", "gauge", "Connections now.", offsetof(struct alk_service, conns_now)},
    {"service_connections_total", "counter", "Connections that were opened.",
     offsetof(struct alk_service, conns_total)},
    {"service_refused_total", "counter", "Connections without the identity or scopes needed.",
     offsetof(struct alk_service, refused_total)},
    {"service_streams_total", "counter", "Streams that peers opened.",
     offsetof(struct alk_service, streams_total)},
    {"service_received_bytes_total", "counter", "Bytes from peers, with the transport's own.",
     offsetof(struct alk_service, bytes_in)},
    {"service_sent_bytes_total", "counter", "Bytes to peers, with the transport's own.",
     offsetof(struct alk_service, bytes_out)},
};

static void put_service_rows(struct page *p, const struct alk_routes *routes)
{
    for (size_t r = 0; r < sizeof service_rows / sizeof service_rows[0]; r++) {
        const struct service_row *row = &service_rows[r];
        put_head(p, row->name, row->type, row->help);
        for (size_t i = 0; i < routes->service_count; i++) {
            char label[LABEL_SIZE];
            char labels[LABEL_SIZE + 2];
            const void *at = (const uint8_t *)routes->services[i] + row->offset;
            const atomic_uint_fast64_t *value = at;
            service_label(routes->services[i], label);
            (void)snprintf(labels, sizeof labels, "{%s}", label);
            put_value(p, row->name, labels, atomic_load_explicit(value, memory_order_relaxed));
        }
    }
}

static void put_histogram(struct page *p, const char *name, const char *label,
                          const struct alk_histogram *h)
{
    char full[64];
    char labels[ALK_LABEL_SIZE + 32];
    uint64_t sum = 0;
    (void)snprintf(full, sizeof full, "%s_bucket", name);
    for (size_t i = 0; i < ALK_HISTOGRAM_BUCKETS; i++) {
        sum += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        (void)snprintf(labels, sizeof labels, "{%s,le=\"%s\"}", label, bound_texts[i]);
        put_value(p, full, labels, sum);
    }
    (void)snprintf(labels, sizeof labels, "{%s}", label);
    (void)snprintf(full, sizeof full, "%s_sum", name);
    put_seconds(p, full, labels, atomic_load_explicit(&h->sum_us, memory_order_relaxed));
    (void)snprintf(full, sizeof full, "%s_count", name);
    put_value(p, full, labels, sum);
}

alk_err alk_histogram_print(struct alk_buf *b, const char *name, const char *label,
                            const struct alk_histogram *h)
{
    struct page p = {.b = b};
    put_histogram(&p, name, label, h);
    return p.err;
}

static void put_histograms(struct page *p, const struct alk_routes *routes)
{
    char label[LABEL_SIZE];
    put_head(p, "service_connection_seconds", "histogram", "How long connections lasted.");
    for (size_t i = 0; i < routes->service_count; i++) {
        service_label(routes->services[i], label);
        put_histogram(p, "service_connection_seconds", label, &routes->services[i]->conn_times);
    }
    put_head(p, "service_stream_seconds", "histogram", "How long streams of peers lasted.");
    for (size_t i = 0; i < routes->service_count; i++) {
        service_label(routes->services[i], label);
        put_histogram(p, "service_stream_seconds", label, &routes->services[i]->stream_times);
    }
}

alk_err alk_metrics_print(const struct alk_endpoint_status *status, const struct alk_routes *routes,
                          struct alk_buf *b)
{
    struct page p = {.b = b};
    put_node(&p, status);
    put_loops(&p, status);
    put_service_rows(&p, routes);
    put_histograms(&p, routes);
    return p.err;
}
