/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node/...: asked from another loop than the endpoint's first, on a real endpoint. */
#include "core/endpoint.h"
#include "ops/part.h"
#include "support/node.h"
#include "support/ops_world.h"

#include <stdio.h>

#define TOKEN_HASH "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONFIG                                                                                     \
    "auth: {peers: [{id: laptop, scopes: [admin]}], tokens: [{id: laptop, prefix: abcd1234, "      \
    "hash: '" TOKEN_HASH "'}]}\n"

struct desk {
    struct node n;
    struct ops_world w; /* its loop is the client's */
    void *part;
    const struct alk_identity *root, *ann;
};

static void begin(struct desk *d)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .check_outputs = true};
    *d = (struct desk){.part = NULL};
    node_init(&d->n, CONFIG);
    node_start(&d->n, NULL);
    d->w.loop = d->n.client;
    check_err(alk_ops_new(&options, &d->w.ops), ALK_OK);
    struct alk_env env = {.struct_size = sizeof env, .endpoint = d->n.ep};
    struct alk_part_env part_env = {.ops = d->w.ops, .env = &env};
    char why[128] = "";
    check_err(alk_node_part.start(&part_env, why, sizeof why, &d->part), ALK_OK);
    d->root = ops_somebody("root", "admin", NULL);
    d->ann = ops_somebody("ann", "", NULL);
}

static void end(struct desk *d)
{
    if (d->part != NULL) {
        alk_node_part.stop(d->part);
    }
    for (int i = 0; i < 3; i++) {
        node_turn(&d->n, 0); /* answers that are on their way */
    }
    node_fini(&d->n);
    alk_ops_free(d->w.ops);
    alk_identity_unref(d->root);
    alk_identity_unref(d->ann);
}

static bool has_ended(void *ctx)
{
    const struct ops_call *c = ctx;
    return c->ends == 1;
}

static void ask(struct desk *d, struct ops_call *c, const struct alk_identity *who, const char *op,
                const char *input)
{
    ops_start(&d->w, c, who, op, input);
    node_until(&d->n, has_ended, c);
}

static void the_node_says_who_it_is(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    char text[128];
    (void)state;
    begin(&d);
    ask(&d, &c, d.ann, "node/info", "");
    (void)snprintf(text, sizeof text, "={\"version\":\"%s\",\"key\":\"%s\",\"addresses\":[\"%s\"]",
                   ALK_VERSION, alk_endpoint_key(d.n.ep), alk_endpoint_address(d.n.ep, 0));
    assert_memory_equal(c.heard, text, strlen(text));
    assert_non_null(strstr(c.heard, "\"protocols\":{"));
    assert_null(strstr(c.heard, "\"pid\""));
    ask(&d, &c, d.root, "node/info", "");
    assert_non_null(strstr(c.heard, "\"pid\":"));
    ask(&d, &c, NULL, "node/info", "");
    assert_string_equal(c.heard, "!UNAUTHENTICATED an identity is needed");
    end(&d);
}

static void a_ping_needs_no_identity_and_echoes(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    ask(&d, &c, NULL, "node/ping", "{\"payload\": {\"a\": [1, null]}}");
    assert_memory_equal(c.heard, "={\"time\":\"20", 12);
    assert_non_null(strstr(c.heard, "Z\",\"payload\":{\"a\":[1,null]}}"));
    ask(&d, &c, NULL, "node/ping", "");
    assert_null(strstr(c.heard, "payload"));
    end(&d);
}

static void only_an_admin_sees_status_connections_metrics_and_configuration(void **state)
{
    static const char *const ops[] = {"node/status", "node/connections", "node/metrics",
                                      "node/config", "node/reload",      "node/logs"};
    struct desk d;
    struct ops_call c = {.full = 0};
    struct client peer = {.node = NULL};
    (void)state;
    begin(&d);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        ask(&d, &c, d.ann, ops[i], "");
        assert_string_equal(c.heard, "!NOT_FOUND there is no such operation");
    }
    ask(&d, &c, d.root, "node/status", "");
    assert_memory_equal(c.heard, "={\"version\":", 12);
    assert_non_null(strstr(c.heard, "\"protocols\":{"));
    assert_non_null(strstr(c.heard, "\"uptime_s\":"));
    assert_non_null(strstr(c.heard, "\"services\":[{\"name\":"));
    client_open(&peer, &d.n, "test/echo", ALK_TRANSPORT_QUIC, NULL);
    ask(&d, &c, d.root, "node/connections", "");
    assert_non_null(strstr(c.heard, "\"alpn\":\"test/echo\",\"remote\":\"127.0.0.1:"));
    ask(&d, &c, d.root, "node/connections", "{\"cursor\":\"ffffffff-0\",\"limit\":1}");
    assert_string_equal(c.heard, "={\"connections\":[]}");
    ask(&d, &c, d.root, "node/connections", "{\"cursor\":\"here\"}");
    assert_non_null(strstr(c.heard, "!INVALID_INPUT"));
    client_close(&peer);

    static struct ops_call big;
    big = (struct ops_call){.keeps_end = true};
    ask(&d, &big, d.root, "node/metrics", ""); /* the operations come last */
    assert_non_null(strstr(big.heard, "alknet_op_seconds_count{op=\\\"node/status\\\"} 1"));
    ask(&d, &big, d.root, "node/config", "");
    assert_non_null(strstr(big.heard, "hash: \\\"(hidden)\\\""));
    assert_null(strstr(big.heard, "0123456789abcdef"));
    assert_null(strstr(big.heard, "!"));
    end(&d);
}

static void a_reload_tells_what_is_wrong_and_what_is_new(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    ask(&d, &c, d.root, "node/reload", "");
    assert_string_equal(c.heard, "={\"generation\":2,\"note\":\"\"}");
    node_write_config(&d.n, "limits: {connections: many}\n");
    ask(&d, &c, d.root, "node/reload", "");
    assert_memory_equal(c.heard, "!INVALID_INPUT ", 15);
    assert_non_null(strstr(c.heard, "alknet.yaml:1:"));
    end(&d);
}

static void an_answer_on_its_way_finds_a_cancelled_request_gone(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    ops_start(&d.w, &c, d.root, "node/connections", "");
    (void)alk_loop_run_once(d.n.client, 0); /* asked, not answered */
    assert_int_equal(c.ends, 0);
    alk_request_cancel(c.request);
    for (int i = 0; i < 10; i++) {
        node_turn(&d.n, 1);
    }
    assert_string_equal(c.heard, "");
    end(&d);
}

/* --- the log ---------------------------------------------------------------------- */

static bool has_said(void *ctx)
{
    const struct ops_call *c = ctx;
    return strstr(c->heard, "enough") != NULL;
}

static void followers_hear_the_log_by_level_and_component(void **state)
{
    struct desk d;
    struct ops_call all = {.full = 0}, some = {.full = 0};
    (void)state;
    begin(&d);
    ops_start(&d.w, &all, d.root, "node/logs", "{\"component\":\"test\"}");
    ops_start(&d.w, &some, d.root, "node/logs", "{\"level\":\"warn\",\"component\":\"test\"}");
    node_turn(&d.n, 0);
    alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "test", "one \"%s\"", "x");
    alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "other", "not for them");
    alk_endpoint_log(d.n.ep, ALK_LOG_WARN, "test", "enough");
    node_until(&d.n, has_said, &all);
    node_until(&d.n, has_said, &some);
    assert_non_null(strstr(all.heard, "\"level\":\"info\",\"component\":\"test\",\"message\":"
                                      "\"one \\\"x\\\"\"}"));
    assert_null(strstr(all.heard, "other"));
    assert_null(strstr(some.heard, "\"one "));
    alk_request_cancel(all.request);
    alk_node_part.stop(d.part); /* ends the other */
    d.part = NULL;
    node_until(&d.n, has_ended, &some);
    assert_non_null(strstr(some.heard, "?UNAVAILABLE"));
    end(&d);
}

static void the_last_lines_come_first_when_asked_for(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    for (int i = 0; i < 5; i++) {
        alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "test", "line %d", i);
    }
    alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "test", "enough");
    ops_start(&d.w, &c, d.root, "node/logs", "{\"history\":3}");
    node_until(&d.n, has_said, &c);
    assert_null(strstr(c.heard, "line 2"));
    assert_non_null(strstr(c.heard, "line 3"));
    alk_request_cancel(c.request);
    end(&d);
}

static void who_does_not_keep_up_with_the_log_is_cut_off(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 1}; /* refuses one answer and is told to go on late */
    (void)state;
    begin(&d);
    ops_start(&d.w, &c, d.root, "node/logs", "{\"component\":\"test\"}");
    node_turn(&d.n, 0);
    alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "test", "first");
    for (int i = 0; i < 3; i++) {
        node_turn(&d.n, 1);
    }
    assert_string_equal(c.heard, "");
    for (int i = 0; i < 600; i++) {
        alk_endpoint_log(d.n.ep, ALK_LOG_INFO, "test", "line %d", i);
    }
    for (int i = 0; i < 3; i++) {
        node_turn(&d.n, 1);
    }
    assert_string_equal(c.heard, ""); /* nothing is pushed on somebody who is full */
    alk_request_writable(c.request);
    assert_non_null(strstr(c.heard, "first"));
    assert_non_null(strstr(c.heard, "?SLOW_CONSUMER"));
    assert_null(strstr(c.heard, "line"));
    end(&d);
}

static void only_so_many_follow_the_log(void **state)
{
    static struct ops_call c[65];
    struct desk d;
    (void)state;
    memset(c, 0, sizeof c);
    begin(&d);
    for (size_t i = 0; i < 65; i++) {
        ops_start(&d.w, &c[i], d.root, "node/logs", "{\"component\":\"none\"}");
    }
    node_turn(&d.n, 0);
    node_until(&d.n, has_ended, &c[64]);
    assert_non_null(strstr(c[64].heard, "?EXHAUSTED"));
    for (size_t i = 0; i < 64; i++) {
        alk_request_cancel(c[i].request);
    }
    end(&d);
}

/* --- without an endpoint ----------------------------------------------------------- */

static void without_an_endpoint_only_a_ping_is_answered(void **state)
{
    struct ops_world w;
    struct alk_env env = {.struct_size = sizeof env};
    char why[128];
    void *part = NULL, *twice = NULL;
    const struct alk_identity *root = ops_somebody("root", "admin", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    struct alk_part_env part_env = {.ops = w.ops, .env = &env};
    check_err(alk_node_part.start(&part_env, why, sizeof why, &part), ALK_OK);
    check_err(alk_node_part.start(&part_env, why, sizeof why, &twice), ALK_E_EXISTS);
    ops_check(&w, root, "node/info", "", "?UNAVAILABLE not available now");
    struct ops_call c = {.full = 0};
    ops_ask(&w, &c, NULL, "node/ping", "");
    assert_memory_equal(c.heard, "={\"time\"", 8);
    alk_node_part.stop(part);
    ops_check(&w, root, "node/ping", "", "!NOT_FOUND there is no such operation");
    alk_identity_unref(root);
    ops_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_node_says_who_it_is),
        cmocka_unit_test(a_ping_needs_no_identity_and_echoes),
        cmocka_unit_test(only_an_admin_sees_status_connections_metrics_and_configuration),
        cmocka_unit_test(a_reload_tells_what_is_wrong_and_what_is_new),
        cmocka_unit_test(an_answer_on_its_way_finds_a_cancelled_request_gone),
        cmocka_unit_test(followers_hear_the_log_by_level_and_component),
        cmocka_unit_test(the_last_lines_come_first_when_asked_for),
        cmocka_unit_test(who_does_not_keep_up_with_the_log_is_cut_off),
        cmocka_unit_test(only_so_many_follow_the_log),
        cmocka_unit_test(without_an_endpoint_only_a_ping_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
