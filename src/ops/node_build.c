/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/node_build.h"

#include "base/text.h"
#include "core/auth/date.h"
#include "core/frame.h"
#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "core/io/self.h"
#include "core/metrics.h"
#include "ops/metrics.h"
#include "ops/out.h"

#include <yyjson.h>

/* Of the metrics' text: escaped as JSON its quotes take two bytes. */
#define METRICS_BYTES_MAX ((size_t)700 << 10)

/* --- members ------------------------------------------------------------------ */

static void put_u64(struct alk_out *out, const char *name, uint64_t v)
{
    alk_out_key(out, name);
    alk_out_u64(out, v);
}

/* NULL: left out. */
static void put_text(struct alk_out *out, const char *name, const char *text)
{
    if (text != NULL) {
        alk_out_key(out, name);
        alk_out_text(out, text);
    }
}

static void put_bool(struct alk_out *out, const char *name, bool v)
{
    alk_out_key(out, name);
    alk_out_bool(out, v);
}

static void put_date(struct alk_out *out, const char *name, uint64_t unix_s)
{
    char text[ALK_DATE_SIZE];
    alk_date_format(unix_s, text);
    put_text(out, name, text);
}

static void begin_object(struct alk_out *out, const char *name)
{
    alk_out_key(out, name);
    alk_out_object(out);
}

static void begin_array(struct alk_out *out, const char *name)
{
    alk_out_key(out, name);
    alk_out_array(out);
}

/* --- info --------------------------------------------------------------------- */

bool alk_node_certificate_hex(const struct alk_endpoint *ep, char ret[static 65],
                              uint64_t *ret_not_after)
{
    uint8_t sha256[32];
    return alk_endpoint_certificate(ep, sha256, ret_not_after) &&
           alk_hex(alk_span(sha256, sizeof sha256), ret, 65);
}

void alk_node_put_info(struct alk_out *out, struct alk_endpoint *ep, bool with_process)
{
    const char *address;
    char hex[65];
    uint64_t not_after = 0;

    put_text(out, "version", ALK_VERSION);
    put_text(out, "key", alk_endpoint_key(ep));
    begin_array(out, "addresses");
    for (size_t i = 0; (address = alk_endpoint_address(ep, i)) != NULL; i++) {
        alk_out_text(out, address);
    }
    alk_out_end(out);
    put_text(out, "advertise", alk_endpoint_config(ep)->advertise);
    if (with_process) {
        put_u64(out, "pid", alk_self_look().pid);
    }
    if (alk_node_certificate_hex(ep, hex, &not_after)) {
        begin_object(out, "certificate");
        put_text(out, "sha256", hex);
        put_date(out, "not_after", not_after);
        alk_out_end(out);
    }
}

void alk_node_put_protocols(struct alk_out *out, struct alk_endpoint *ep)
{
    const struct alk_routes *routes = alk_endpoint_routes(ep);

    begin_object(out, "protocols");
    for (size_t i = 0; i < routes->service_count; i++) {
        const struct alk_service *s = routes->services[i];
        for (size_t k = 0; k < s->alpn_count; k++) {
            /* An incompatible change takes a new string, so each is at its first. */
            if (alk_span_starts(alk_span_str(s->alpns[k].name), ALK_LIT("alknet/"))) {
                put_u64(out, s->alpns[k].name, 1);
            }
        }
    }
    alk_out_end(out);
}

/* --- status ------------------------------------------------------------------- */

static void put_service(struct alk_out *out, struct alk_service *s)
{
    bool is_process = s->is_isolated || (s->handler->flags & ALK_HANDLER_SPAWNS) != 0;

    alk_out_object(out);
    put_text(out, "name", s->name);
    begin_array(out, "alpns");
    for (size_t k = 0; k < s->alpn_count; k++) {
        alk_out_text(out, s->alpns[k].name);
    }
    alk_out_end(out);
    put_text(out, "isolation", is_process ? "process" : "in-process");
    put_text(out, "require", s->require == ALK_REQUIRE_NONE ? "none" : "identity");
    put_u64(out, "connections", atomic_load(&s->conns_now));
    put_u64(out, "connections_total", atomic_load(&s->conns_total));
    put_u64(out, "streams_total", atomic_load(&s->streams_total));
    put_u64(out, "refused_total", atomic_load(&s->refused_total));
    put_u64(out, "bytes_in", atomic_load(&s->bytes_in));
    put_u64(out, "bytes_out", atomic_load(&s->bytes_out));
    alk_out_end(out);
}

static void put_services(struct alk_out *out, const struct alk_routes *routes)
{
    begin_array(out, "services");
    for (size_t i = 0; i < routes->service_count; i++) {
        put_service(out, routes->services[i]);
    }
    alk_out_end(out);
}

static void put_loops(struct alk_out *out, const struct alk_endpoint_status *st)
{
    uint64_t connections = 0;

    begin_array(out, "loops");
    for (size_t i = 0; i < st->loop_count; i++) {
        const struct alk_loop_status *l = &st->loops[i];
        alk_out_object(out);
        put_u64(out, "connections", l->connections);
        put_u64(out, "tcp_accepted", l->tcp_accepted);
        put_u64(out, "tcp_refused", l->tcp_refused);
        put_u64(out, "tcp_starved", l->tcp_starved);
        put_u64(out, "strays_in", l->strays_in);
        put_u64(out, "strays_out", l->strays_out);
        put_u64(out, "strays_dropped", l->strays_dropped);
        put_u64(out, "send_errors", l->send_errors);
        alk_out_end(out);
        connections += l->connections;
    }
    alk_out_end(out);
    put_u64(out, "connections", connections);
}

static void put_auth(struct alk_out *out, const struct alk_endpoint_status *st)
{
    begin_object(out, "auth");
    put_u64(out, "identities", st->identities);
    put_u64(out, "generation", st->auth_generation);
    put_u64(out, "failures", st->auth_failures);
    put_u64(out, "addresses_watched", st->addresses_watched);
    alk_out_end(out);
}

static void put_process(struct alk_out *out, struct alk_endpoint *ep)
{
    struct alk_self self = alk_self_look();

    begin_object(out, "isolation");
    put_bool(out, "spawner", alk_endpoint_spawner(ep) != NULL);
    put_bool(out, "root", self.is_root);
    alk_out_end(out);
    put_u64(out, "cpu_ms", self.cpu_ms);
    put_u64(out, "memory_max", self.memory_max);
}

void alk_node_put_status(struct alk_out *out, struct alk_endpoint *ep,
                         const struct alk_endpoint_status *st)
{
    uint64_t now = alk_clock_unix();
    uint64_t since = alk_endpoint_started_at(ep);

    put_date(out, "started_at", since);
    put_u64(out, "uptime_s", now > since ? now - since : 0);
    put_text(out, "config", alk_endpoint_config_file(ep));
    put_text(out, "data_dir", alk_endpoint_datadir(ep)->path);
    put_u64(out, "generation", st->generation);
    put_u64(out, "reloads", st->reloads);
    put_u64(out, "reloads_failed", st->reloads_failed);
    put_bool(out, "stopping", alk_endpoint_is_stopping(ep));
    put_loops(out, st);
    put_auth(out, st);
    put_services(out, alk_endpoint_routes(ep));
    put_u64(out, "log_dropped", st->log_dropped);
    put_u64(out, "audit_lost", st->audit_lost);
    put_process(out, ep);
}

/* --- connections -------------------------------------------------------------- */

static const char *transport_name(enum alk_transport transport)
{
    switch (transport) {
    case ALK_TRANSPORT_QUIC:
        return "quic";
    case ALK_TRANSPORT_TLS:
        return "tls";
    case ALK_TRANSPORT_WEBTRANSPORT:
        return "webtransport";
    case ALK_TRANSPORT_MEMORY:
    case ALK_TRANSPORT_ANY:
        break;
    }
    return "memory";
}

static void put_connection(struct alk_out *out, const struct alk_conn_status *c)
{
    alk_out_object(out);
    put_text(out, "log_id", c->log_id);
    put_text(out, "alpn", c->alpn);
    put_text(out, "remote", c->remote);
    put_text(out, "id", c->id[0] != '\0' ? c->id : NULL);
    put_text(out, "transport", transport_name(c->transport));
    put_bool(out, "resumed", c->is_resumed);
    put_u64(out, "age_ms", c->age / ALK_MS);
    put_u64(out, "rtt_us", c->rtt / ALK_US);
    put_u64(out, "streams", c->streams_open);
    put_u64(out, "streams_total", c->streams_total);
    put_u64(out, "bytes_in", c->bytes_in);
    put_u64(out, "bytes_out", c->bytes_out);
    put_u64(out, "packets_lost", c->packets_lost);
    alk_out_end(out);
}

/* One part of a cursor. */
static bool read_part(struct alk_span text, uint64_t *ret)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f')) {
            return false;
        }
        n = n << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *ret = n;
    return text.n > 0 && text.n <= 16;
}

bool alk_node_read_page(struct yyjson_val *input, struct alk_node_page *ret)
{
    struct yyjson_val *cursor = yyjson_obj_get(input, "cursor");
    struct yyjson_val *limit = yyjson_obj_get(input, "limit");
    struct alk_span serial = alk_span(yyjson_get_str(cursor), yyjson_get_len(cursor));

    *ret = (struct alk_node_page){.limit = ALK_STATUS_CONNS_MAX};
    if (cursor != NULL) {
        struct alk_span loop = alk_span_cut(&serial, '-');
        if (!yyjson_is_str(cursor) || !read_part(loop, &ret->from.loop) ||
            !read_part(serial, &ret->from.serial)) {
            return false;
        }
    }
    if (limit != NULL) {
        uint64_t n = yyjson_get_uint(limit); /* 0 for what is no such number */
        ret->limit = n > ALK_STATUS_CONNS_MAX ? 0 : (size_t)n;
    }
    return ret->limit > 0;
}

void alk_node_put_connections(struct alk_out *out, const struct alk_endpoint_status *st,
                              size_t limit)
{
    const struct alk_conn_status *last = NULL;
    uint64_t more = 0;

    begin_array(out, "connections");
    for (size_t i = 0; i < st->loop_count; i++) {
        const struct alk_loop_status *l = &st->loops[i];
        size_t n = l->conn_count < limit ? l->conn_count : limit;
        for (size_t k = 0; k < n; k++) {
            put_connection(out, &l->conns[k]);
            last = &l->conns[k];
        }
        limit -= n;
        more += l->conn_count - n + l->conn_more;
        limit = more > 0 ? 0 : limit; /* in their order, also where a loop left some out */
    }
    alk_out_end(out);
    if (more > 0) {
        put_u64(out, "more", more);
        put_text(out, "next", last == NULL ? NULL : last->log_id);
    }
}

/* --- metrics ------------------------------------------------------------------ */

alk_err alk_node_put_metrics(struct alk_out *out, struct alk_endpoint *ep, struct alk_ops *ops,
                             const struct alk_endpoint_status *st)
{
    struct alk_buf text;

    alk_buf_init(&text, NULL, METRICS_BYTES_MAX);
    alk_err err = alk_metrics_print(st, alk_endpoint_routes(ep), &text);
    if (err == ALK_OK && ops != NULL) {
        err = alk_ops_metrics_print(ops, &text);
    }
    if (err == ALK_OK) {
        alk_out_key(out, "text");
        alk_out_span(out, alk_buf_span(&text));
    }
    alk_buf_fini(&text);
    return err;
}
