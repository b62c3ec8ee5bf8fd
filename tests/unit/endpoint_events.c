/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pub/sub in a real endpoint: its data directory, its loops, reload, stop and start. */
#include "core/endpoint.h"
#include "core/router.h"
#include "ops/dispatch.h"
#include "ops/events_ops.h"
#include "support/node.h"
#include "support/ops_world.h"

#include <stdio.h>

struct service {
    struct alk_ops *ops; /* of the test: outlives the node */
    void *part;
    char why[512];
};

/* The handler has no other way to the test than this. */
static struct service service;

static alk_err use(const struct alk_conf *conf)
{
    void *next = NULL;
    ALK_TRY(alk_events_part.prepare(service.part, alk_conf_get(conf, "events"), service.why,
                                    sizeof(service.why), &next));
    alk_events_part.commit(service.part, next);
    return ALK_OK;
}

static alk_err service_start(const struct alk_conf *conf, const struct alk_env *env,
                             void **ret_service)
{
    struct alk_part_env part_env = {.mem = env->mem, .ops = service.ops, .env = env};
    ALK_TRY(alk_events_part.start(&part_env, service.why, sizeof(service.why), &service.part));
    *ret_service = &service;
    return use(conf);
}

static alk_err service_reconfigure(void *state, const struct alk_conf *conf)
{
    (void)state;
    return use(conf);
}

static void service_stop(void *state)
{
    (void)state;
    alk_events_part.stop(service.part);
    service.part = NULL;
}

static alk_err service_open(void *state, struct alk_conn *conn, const struct alk_auth_context *auth,
                            void **ret_state)
{
    (void)state;
    (void)conn;
    (void)auth;
    (void)ret_state;
    return ALK_E_FORBIDDEN;
}

static const struct alk_alpn ALPNS[] = {{"test/events", ALK_TRANSPORT_ANY}};
static const struct alk_conf_row ROWS[] = {
    {.name = "events", .type = ALK_CONF_MAP, .sub = alk_events_rows},
    {0},
};
static const struct alk_handler handler = {.struct_size = sizeof(struct alk_handler),
                                           .abi = ALK_HANDLER_ABI,
                                           .name = "events",
                                           .alpns = ALPNS,
                                           .alpn_count = 1,
                                           .settings = ROWS,
                                           .flags = ALK_HANDLER_DEFAULT_ON,
                                           .start = service_start,
                                           .reconfigure = service_reconfigure,
                                           .stop = service_stop,
                                           .open = service_open};
static const struct alk_handler *const handlers[] = {&handler, NULL};

#define CONFIG(topics) "services: {events: {events: {topics: [" topics "]}}}\n"
#define DURABLE        "{match: 'd.>', durable: true, publish: any, subscribe: any}"

static void begin(struct node *n, struct ops_world *w, const char *yaml)
{
    struct alk_ops_options options = {.struct_size = sizeof(options)};
    service = (struct service){.part = NULL};
    check_err(alk_ops_new(&options, &service.ops), ALK_OK);
    node_init(n, yaml);
    n->loops = 2;
    node_start(n, handlers);
    *w = (struct ops_world){.loop = alk_endpoint_loop(n->ep), .ops = service.ops};
}

static bool has_answer(void *ctx)
{
    const struct ops_call *c = ctx;
    return c->ends > 0;
}

static bool has_heard(void *ctx)
{
    const struct ops_call *c = ctx;
    return c->heard[0] != '\0';
}

static void durable_events_are_in_the_data_directory(void **state)
{
    (void)state;
    struct node n = {0};
    struct ops_world w;
    struct ops_call p = {.full = 0}, a = {.full = 0};
    const struct alk_identity *someone = ops_somebody("someone", "", NULL);
    char path[128];
    begin(&n, &w, CONFIG(DURABLE));
    ops_start(&w, &p, someone, "events/publish", "{\"topic\":\"d.x\",\"data\":1}");
    node_until(&n, has_answer, &p);
    assert_int_equal(strncmp(p.heard, "={\"seq\":", 8), 0);
    (void)snprintf(path, sizeof(path), "%s/data/events.db", n.dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    (void)fclose(file);
    ops_start(&w, &a, someone, "events/subscribe", "{\"topics\":[\"d.>\"],\"from\":\"earliest\"}");
    node_until(&n, has_heard, &a);
    assert_non_null(strstr(a.heard, "\"data\":1}"));
    /* Under way when it stops: an answer and an end for both. */
    struct ops_call q = {.full = 0};
    ops_start(&w, &q, someone, "events/publish", "{\"topic\":\"d.x\",\"data\":2}");
    node_turn(&n, 0);
    node_fini(&n);
    assert_int_equal(q.ends, 1);
    assert_int_equal(a.ends, 1);
    assert_non_null(strstr(a.heard, "UNAVAILABLE"));
    alk_ops_free(service.ops);
    alk_identity_unref(someone);
}

struct reload {
    bool is_over;
    alk_err err;
    char message[512];
};

static void reloaded(void *ctx, alk_err err, const char *message)
{
    struct reload *r = ctx;
    *r = (struct reload){.is_over = true, .err = err};
    (void)snprintf(r->message, sizeof(r->message), "%s", message == NULL ? "" : message);
}

static bool is_reloaded(void *ctx)
{
    const struct reload *r = ctx;
    return r->is_over;
}

static alk_err reload(struct node *n, const char *yaml)
{
    struct reload r = {.is_over = false};
    node_write_config(n, yaml);
    alk_endpoint_reload(n->ep, reloaded, &r);
    node_until(n, is_reloaded, &r);
    return r.err;
}

static void a_reload_changes_the_rules_of_live_subscriptions(void **state)
{
    (void)state;
    struct node n = {0};
    struct ops_world w;
    struct ops_call a = {.full = 0}, b = {.full = 0}, p = {.full = 0};
    const struct alk_identity *someone = ops_somebody("someone", "x", NULL);
    begin(&n, &w, CONFIG("{match: a, subscribe: any}, {match: b, subscribe: any}"));
    ops_start(&w, &a, someone, "events/subscribe", "{\"topics\":[\"a\"]}");
    ops_start(&w, &b, someone, "events/subscribe", "{\"topics\":[\"b\"]}");
    node_turn(&n, 0);
    /* A mistake changes nothing. */
    check_err(reload(&n, CONFIG("{match: a, subscribe: any}, {match: a, subscribe: y}")),
              ALK_E_CONFIG);
    node_turn(&n, 0);
    assert_int_equal(a.ends + b.ends, 0);
    check_err(reload(&n, CONFIG("{match: a, subscribe: y}, {match: b, subscribe: x, publish: x},"
                                " " DURABLE)),
              ALK_OK);
    node_until(&n, has_answer, &a);
    assert_int_equal(strncmp(a.heard, "!FORBIDDEN", 10), 0);
    ops_start(&w, &p, someone, "events/publish", "{\"topic\":\"b\",\"data\":1}");
    node_until(&n, has_heard, &b);
    assert_int_equal(b.ends, 0);
    /* The log was opened by the reload. */
    struct ops_call q = {.full = 0};
    ops_start(&w, &q, someone, "events/publish", "{\"topic\":\"d.y\",\"data\":1}");
    node_until(&n, has_answer, &q);
    assert_int_equal(strncmp(q.heard, "={\"seq\":", 8), 0);
    node_fini(&n);
    alk_ops_free(service.ops);
    alk_identity_unref(someone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durable_events_are_in_the_data_directory),
        cmocka_unit_test(a_reload_changes_the_rules_of_live_subscriptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
