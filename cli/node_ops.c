/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "node_ops.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/auth/date.h"
#include "core/auth/fingerprint.h"
#include "core/frame.h"
#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "core/io/rand.h"
#include "core/metrics.h"
#include "core/store/auth_ops.h"

#include <sys/resource.h>
#include <unistd.h>

/* --- building ----------------------------------------------------------------- */

struct out {
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *object;
};

static void put_u64(struct out o, const char *name, uint64_t v)
{
    (void)yyjson_mut_obj_add_uint(o.doc, o.object, name, v);
}

static void put_text(struct out o, const char *name, const char *text)
{
    if (text != NULL) {
        (void)yyjson_mut_obj_add_strcpy(o.doc, o.object, name, text);
    }
}

static void put_bool(struct out o, const char *name, bool v)
{
    (void)yyjson_mut_obj_add_bool(o.doc, o.object, name, v);
}

static void put_date(struct out o, const char *name, uint64_t unix_s)
{
    char text[ALK_DATE_SIZE];
    alk_date_format(unix_s, text);
    put_text(o, name, text);
}

static struct out put_object(struct out o, const char *name)
{
    return (struct out){o.doc, yyjson_mut_obj_add_obj(o.doc, o.object, name)};
}

/* A new object at the end of a list. */
static struct out add_object(struct yyjson_mut_doc *doc, struct yyjson_mut_val *list)
{
    return (struct out){doc, yyjson_mut_arr_add_obj(doc, list)};
}

/* --- info --------------------------------------------------------------------- */

bool cli_certificate_hex(const struct alk_endpoint *ep, char ret[static 65],
                         uint64_t *ret_not_after)
{
    uint8_t sha256[32];
    return alk_endpoint_certificate(ep, sha256, ret_not_after) &&
           alk_hex(alk_span(sha256, sizeof sha256), ret, 65);
}

static void put_info(struct out o, struct alk_endpoint *ep)
{
    const struct alk_dynamic_config *config = alk_endpoint_config(ep);
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(o.doc, o.object, "addresses");
    const char *address;
    char hex[65];
    uint64_t not_after = 0;

    put_text(o, "version", ALK_VERSION);
    put_text(o, "key", alk_endpoint_key(ep));
    for (size_t i = 0; (address = alk_endpoint_address(ep, i)) != NULL; i++) {
        (void)yyjson_mut_arr_add_strcpy(o.doc, list, address);
    }
    put_text(o, "advertise", config->advertise);
    put_u64(o, "pid", (uint64_t)getpid());
    if (cli_certificate_hex(ep, hex, &not_after)) {
        struct out cert = put_object(o, "certificate");
        put_text(cert, "sha256", hex);
        put_date(cert, "not_after", not_after);
    }
}

static void op_info(void *ctx, struct alk_admin_call *call)
{
    struct yyjson_mut_doc *doc = alk_admin_doc(call);
    struct out o = {doc, yyjson_mut_obj(doc)};
    put_info(o, (struct alk_endpoint *)ctx);
    alk_admin_done(call, o.object);
}

/* --- status ------------------------------------------------------------------- */

struct request {
    struct alk_endpoint *ep;
    struct alk_admin_call *call;
};

static struct request *new_request(void *ctx, struct alk_admin_call *call)
{
    struct request *r = ALK_NEW(NULL, struct request);
    if (r == NULL) {
        alk_admin_fail(call, ALK_E_NOMEM, NULL);
        return NULL;
    }
    r->ep = (struct alk_endpoint *)ctx;
    r->call = call;
    return r;
}

static void put_services(struct out o, const struct alk_routes *routes)
{
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(o.doc, o.object, "services");
    for (size_t i = 0; i < routes->service_count; i++) {
        struct alk_service *s = routes->services[i];
        struct out one = add_object(o.doc, list);
        put_text(one, "name", s->name);
        struct yyjson_mut_val *alpns = yyjson_mut_obj_add_arr(o.doc, one.object, "alpns");
        for (size_t k = 0; k < s->alpn_count; k++) {
            (void)yyjson_mut_arr_add_strcpy(o.doc, alpns, s->alpns[k].name);
        }
        bool is_process = s->is_isolated || (s->handler->flags & ALK_HANDLER_SPAWNS) != 0;
        put_text(one, "isolation", is_process ? "process" : "in-process");
        put_text(one, "require", s->require == ALK_REQUIRE_NONE ? "none" : "identity");
        put_u64(one, "connections", atomic_load(&s->conns_now));
        put_u64(one, "connections_total", atomic_load(&s->conns_total));
        put_u64(one, "streams_total", atomic_load(&s->streams_total));
        put_u64(one, "refused_total", atomic_load(&s->refused_total));
        put_u64(one, "bytes_in", atomic_load(&s->bytes_in));
        put_u64(one, "bytes_out", atomic_load(&s->bytes_out));
    }
}

static void put_loops(struct out o, const struct alk_endpoint_status *st)
{
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(o.doc, o.object, "loops");
    uint64_t connections = 0;

    for (size_t i = 0; i < st->loop_count; i++) {
        const struct alk_loop_status *l = &st->loops[i];
        struct out one = add_object(o.doc, list);
        put_u64(one, "connections", l->connections);
        put_u64(one, "tcp_accepted", l->tcp_accepted);
        put_u64(one, "tcp_refused", l->tcp_refused);
        put_u64(one, "tcp_starved", l->tcp_starved);
        put_u64(one, "strays_in", l->strays_in);
        put_u64(one, "strays_out", l->strays_out);
        put_u64(one, "strays_dropped", l->strays_dropped);
        put_u64(one, "send_errors", l->send_errors);
        connections += l->connections;
    }
    put_u64(o, "connections", connections);
}

static void put_isolation(struct out o, struct alk_endpoint *ep)
{
    const struct alk_spawner *spawner = alk_endpoint_spawner(ep);
    struct out one = put_object(o, "isolation");
    put_bool(one, "spawner", spawner != NULL);
    put_bool(one, "root", geteuid() == 0);
}

static void put_limits(struct out o, const struct alk_endpoint_status *st)
{
    struct out one = put_object(o, "auth");
    put_u64(one, "identities", st->identities);
    put_u64(one, "generation", st->auth_generation);
    put_u64(one, "failures", st->auth_failures);
    put_u64(one, "addresses_watched", st->addresses_watched);
}

static void on_status(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct alk_endpoint *ep = r->ep;
    struct yyjson_mut_doc *doc = alk_admin_doc(r->call);
    struct out o = {doc, yyjson_mut_obj(doc)};
    uint64_t now = alk_clock_unix(), since = alk_endpoint_started_at(ep);
    struct rusage usage;

    put_info(o, ep);
    put_date(o, "started_at", since);
    put_u64(o, "uptime_s", now > since ? now - since : 0);
    put_text(o, "config", alk_endpoint_config_file(ep));
    put_text(o, "data_dir", alk_endpoint_datadir(ep)->path);
    put_u64(o, "generation", st->generation);
    put_u64(o, "reloads", st->reloads);
    put_u64(o, "reloads_failed", st->reloads_failed);
    put_bool(o, "stopping", alk_endpoint_is_stopping(ep));
    put_loops(o, st);
    put_limits(o, st);
    put_services(o, alk_endpoint_routes(ep));
    put_isolation(o, ep);
    put_u64(o, "log_dropped", st->log_dropped);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        put_u64(o, "cpu_ms",
                (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                    (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
        put_u64(o, "memory_max", (uint64_t)usage.ru_maxrss * 1024);
    }
    alk_admin_done(r->call, o.object);
    alk_free(NULL, r);
}

static void ask_status(void *ctx, struct alk_admin_call *call, bool with_connections,
                       alk_endpoint_status_fn *fn)
{
    struct request *r = new_request(ctx, call);
    if (r == NULL) {
        return;
    }
    alk_err err = alk_endpoint_status(r->ep, with_connections, fn, r);
    if (err != ALK_OK) {
        alk_free(NULL, r);
        alk_admin_fail(call, err, NULL);
    }
}

static void op_status(void *ctx, struct alk_admin_call *call)
{
    ask_status(ctx, call, false, on_status);
}

static void on_metrics(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct yyjson_mut_doc *doc = alk_admin_doc(r->call);
    struct out o = {doc, yyjson_mut_obj(doc)};
    struct alk_buf text;

    alk_buf_init(&text, NULL, ALK_FRAME_MAX);
    alk_err err = alk_metrics_print(st, alk_endpoint_routes(r->ep), &text);
    if (err == ALK_OK) {
        put_text(o, "text", alk_buf_cstr(&text));
        alk_admin_done(r->call, o.object);
    } else {
        alk_admin_fail(r->call, err, NULL);
    }
    alk_buf_fini(&text);
    alk_free(NULL, r);
}

static void op_metrics(void *ctx, struct alk_admin_call *call)
{
    ask_status(ctx, call, false, on_metrics);
}

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

static void put_connection(struct out o, const struct alk_conn_status *c)
{
    put_text(o, "log_id", c->log_id);
    put_text(o, "alpn", c->alpn);
    put_text(o, "remote", c->remote);
    if (c->id[0] != '\0') {
        put_text(o, "id", c->id);
    }
    put_text(o, "transport", transport_name(c->transport));
    put_bool(o, "resumed", c->is_resumed);
    put_u64(o, "age_ms", c->age / ALK_MS);
    put_u64(o, "rtt_us", c->rtt / ALK_US);
    put_u64(o, "streams", c->streams_open);
    put_u64(o, "streams_total", c->streams_total);
    put_u64(o, "bytes_in", c->bytes_in);
    put_u64(o, "bytes_out", c->bytes_out);
    put_u64(o, "packets_lost", c->packets_lost);
}

static void on_connections(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct yyjson_mut_doc *doc = alk_admin_doc(r->call);
    struct out o = {doc, yyjson_mut_obj(doc)};
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, o.object, "connections");

    for (size_t i = 0; i < st->loop_count; i++) {
        for (size_t k = 0; k < st->loops[i].conn_count; k++) {
            put_connection(add_object(doc, list), &st->loops[i].conns[k]);
        }
    }
    alk_admin_done(r->call, o.object);
    alk_free(NULL, r);
}

static void op_connections(void *ctx, struct alk_admin_call *call)
{
    ask_status(ctx, call, true, on_connections);
}

/* --- changes ------------------------------------------------------------------ */

/* One line of the audit log for what a local user has asked for. */
static void audit(struct alk_endpoint *ep, const struct alk_admin_call *call, const char *what,
                  const char *target, alk_err err)
{
    char who[32];
    (void)snprintf(who, sizeof who, "uid:%u", (unsigned)alk_admin_uid(call));
    const struct alk_audit_record r = {.who = alk_span_str(who),
                                       .what = alk_span_str(what),
                                       .target = alk_span_str(target),
                                       .remote = "admin",
                                       .reason = err == ALK_OK ? alk_span(NULL, 0)
                                                               : alk_span_str(alk_err_text(err)),
                                       .is_allowed = err == ALK_OK};
    alk_endpoint_audit(ep, &r);
}

static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    struct request *r = (struct request *)ctx;
    struct yyjson_mut_doc *doc = alk_admin_doc(r->call);
    struct out o = {doc, yyjson_mut_obj(doc)};

    if (err != ALK_OK) {
        alk_admin_fail(r->call, err, message);
    } else {
        put_u64(o, "generation", alk_endpoint_config(r->ep)->generation);
        put_text(o, "note", message != NULL ? message : "");
        alk_admin_done(r->call, o.object);
    }
    alk_free(NULL, r);
}

static void op_reload(void *ctx, struct alk_admin_call *call)
{
    struct request *r = new_request(ctx, call);
    if (r != NULL) {
        alk_endpoint_reload(r->ep, on_reloaded, r);
    }
}

/* Blocks on the disk for a moment: once in the life of a key. */
static void op_rotate(void *ctx, struct alk_admin_call *call)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    struct alk_rand rand = alk_rand_system();
    struct alk_rotation rotation;
    char why[ALK_DATADIR_WHY] = "", key[ALK_Z32_ADDRESS_SIZE];
    char statement[ALK_ROTATION_TEXT_SIZE];
    struct yyjson_mut_doc *doc = alk_admin_doc(call);
    struct out o = {doc, yyjson_mut_obj(doc)};

    alk_err err = alk_datadir_rotate(alk_endpoint_datadir(ep), alk_endpoint_static(ep)->node_key,
                                     &rand, alk_clock_unix(), &rotation, why, sizeof why);
    audit(ep, call, "key.rotate", "", err);
    if (err != ALK_OK) {
        alk_admin_fail(call, err, why);
        return;
    }
    alk_key_address(rotation.new_key, key);
    alk_rotation_print(&rotation, statement);
    alk_endpoint_log(ep, ALK_LOG_INFO, "node", "the key was rotated: %s from the next start", key);
    put_text(o, "key", key);
    put_text(o, "statement", statement);
    alk_admin_done(call, o.object);
}

static void op_stop(void *ctx, struct alk_admin_call *call)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    audit(ep, call, "stop", "", ALK_OK);
    alk_admin_done(call, NULL);
    alk_endpoint_stop(ep);
}

/* audited_as: NULL for what changes nothing. */
static void run_auth(void *ctx, struct alk_admin_call *call, const char *name,
                     const char *audited_as)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    struct yyjson_val *input = alk_admin_input(call);
    struct yyjson_mut_val *out = NULL;
    char why[ALK_AUTH_OPS_WHY] = "";
    alk_err err =
        alk_endpoint_auth_op(ep, name, input, alk_admin_doc(call), why, sizeof why, &out);
    if (audited_as != NULL) {
        /* A token is known by its prefix, which is new when it is. */
        const char *prefix = yyjson_mut_get_str(yyjson_mut_obj_get(out, "prefix"));
        const char *id = yyjson_get_str(yyjson_obj_get(input, "id"));
        char target[2 * ALK_ID_MAX];
        (void)snprintf(target, sizeof target, "%s%s%s", id != NULL ? id : "",
                       id != NULL && prefix != NULL ? "/" : "", prefix != NULL ? prefix : "");
        audit(ep, call, audited_as, target, err);
    }
    if (err == ALK_OK) {
        alk_admin_done(call, out);
    } else {
        alk_admin_fail(call, err, why);
    }
}

#define AUTH_OP(fn, name, audited_as)                                                              \
    static void fn(void *ctx, struct alk_admin_call *call)                                         \
    {                                                                                              \
        run_auth(ctx, call, name, audited_as);                                                     \
    }
AUTH_OP(op_token_new, "auth/token/new", "token.new")
AUTH_OP(op_token_list, "auth/token/list", NULL)
AUTH_OP(op_token_revoke, "auth/token/revoke", "token.revoke")
AUTH_OP(op_peer_add, "auth/peer/add", "peer.add")
AUTH_OP(op_peer_list, "auth/peer/list", NULL)
AUTH_OP(op_peer_disable, "auth/peer/disable", "peer.disable")
AUTH_OP(op_peer_enable, "auth/peer/enable", "peer.enable")
AUTH_OP(op_peer_remove, "auth/peer/remove", "peer.remove")

const struct alk_admin_op cli_node_ops[] = {{"node/info", op_info},
                                            {"node/status", op_status},
                                            {"node/connections", op_connections},
                                            {"node/metrics", op_metrics},
                                            {"node/reload", op_reload},
                                            {"node/rotate", op_rotate},
                                            {"node/stop", op_stop},
                                            {"auth/token/new", op_token_new},
                                            {"auth/token/list", op_token_list},
                                            {"auth/token/revoke", op_token_revoke},
                                            {"auth/peer/add", op_peer_add},
                                            {"auth/peer/list", op_peer_list},
                                            {"auth/peer/disable", op_peer_disable},
                                            {"auth/peer/enable", op_peer_enable},
                                            {"auth/peer/remove", op_peer_remove},
                                            {NULL, NULL}};
