/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The registry: what may be added, several providers of one name, many threads. */
#include "ops/registry.h"
#include "support/oom.h"
#include "support/ops_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

static void answer(void *ctx, struct alk_request *r)
{
    if (ctx != NULL) {
        alk_out_text(alk_request_out(r), ctx);
    }
    check_err(alk_request_respond(r), ALK_OK);
}

static unsigned released;
static void on_release(void *ctx)
{
    (void)ctx;
    released++;
}

/* --- what may be added ---------------------------------------------------------- */

static void what_is_wrong_with_an_operation_is_said_in_a_sentence(void **state)
{
    static const char *const bad_scope[] = {"fs:read", "FS", NULL};
    static const char *const good_scope[] = {"fs:read", NULL};
    static const char *const bad_call[] = {"fs/read", "fs", NULL};
    static const struct alk_op_error bad_error[] = {{"lower", NULL, NULL}, {NULL, NULL, NULL}};
    static const struct alk_op rows[] = {
        {.name = NULL},
        {.name = "one"},
        {.name = "a/b/c/d/e"},
        {.name = "a//b"},
        {.name = "/a/b"},
        {.name = "a/b/"},
        {.name = "a/B"},
        {.name = "a/b c"},
        {.name = "a/b", .fn = NULL},
        {.name = "a/b", .fn = answer, .kind = (enum alk_op_kind)9},
        {.name = "a/b", .fn = answer, .access = {.all_scopes = bad_scope}},
        {.name = "a/b", .fn = answer, .access = {.any_scopes = bad_scope}},
        {.name = "a/b", .fn = answer, .flags = ALK_OP_PUBLIC, .access = {.all_scopes = good_scope}},
        {.name = "a/b", .fn = answer, .access = {.resource_type = "repo"}},
        {.name = "a/b", .fn = answer, .calls = bad_call},
        {.name = "a/b", .fn = answer, .errors = bad_error},
    };
    struct ops_world w;
    char name[ALK_OP_NAME_MAX + 2];
    (void)state;
    ops_world_init(&w, NULL);
    released = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_op op = rows[i];
        char why[128] = "";
        op.struct_size = sizeof op;
        op.release = on_release;
        check_err(alk_ops_add(w.ops, &op, NULL, why, sizeof why), ALK_E_INVALID);
        assert_true(strlen(why) > 5);
        check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_E_INVALID);
    }
    assert_int_equal(released, 2 * sizeof rows / sizeof rows[0]);
    struct alk_op op = {.struct_size = 8, .name = "a/b", .fn = answer};
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_E_INVALID);
    memset(name, 'a', sizeof name);
    name[1] = '/';
    name[ALK_OP_NAME_MAX + 1] = '\0';
    op = (struct alk_op){.struct_size = sizeof op, .name = name, .fn = answer};
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_E_INVALID);
    name[ALK_OP_NAME_MAX] = '\0';
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_OK);
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_E_EXISTS);
    check_err(alk_ops_remove(w.ops, name), ALK_OK);
    check_err(alk_ops_remove(w.ops, name), ALK_E_NOENT);
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_OK);
    ops_world_fini(&w);
}

static void what_was_added_is_a_copy(void **state)
{
    struct ops_world w;
    char name[] = "t/copy", scope[] = "fs:read";
    const char *scopes[] = {scope, NULL};
    struct alk_op op = {
        .struct_size = sizeof op, .name = name, .fn = answer, .access = {.all_scopes = scopes}};
    const struct alk_identity *ann = ops_somebody("ann", "fs:read", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_OK);
    memset(name, 'x', sizeof name - 1);
    memset(scope, 'x', sizeof scope - 1);
    scopes[0] = NULL;
    ops_check(&w, ann, "t/copy", "", "={}");
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void the_number_of_operations_has_a_limit(void **state)
{
    struct ops_world w;
    char name[32];
    struct alk_op op = {.struct_size = sizeof op, .name = name, .fn = answer};
    struct alk_op_provider *p = NULL;
    (void)state;
    ops_world_init(&w, NULL);
    for (unsigned i = 0; i < 8192; i++) {
        (void)snprintf(name, sizeof name, "t/op%u", i);
        if (i == 7) { /* one that was a worker's, and has gone */
            check_err(alk_ops_add_remote(w.ops, &op, "w", NULL, NULL, 0, &p), ALK_OK);
            alk_ops_remove_remote(w.ops, p);
        } else {
            check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_OK);
        }
    }
    (void)snprintf(name, sizeof name, "t/more");
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_OK); /* in its place */
    (void)snprintf(name, sizeof name, "t/evenmore");
    check_err(alk_ops_add(w.ops, &op, NULL, NULL, 0), ALK_E_LIMIT);
    ops_world_fini(&w);
}

/* --- workers -------------------------------------------------------------------- */

struct worker {
    struct alk_op_provider *provider;
    struct alk_request *waiting[8];
    unsigned n;
    unsigned passes; /* requests that it hands on */
    alk_err passed;
};

static void work(void *ctx, struct alk_request *r)
{
    struct worker *w = ctx;
    if (w->passes > 0) {
        w->passes--;
        w->passed = alk_request_retry(r);
        if (w->passed != ALK_OK) {
            alk_request_fail(r, ALK_OPS_UNAVAILABLE, NULL);
        }
        return;
    }
    w->waiting[w->n++] = r;
}

static struct alk_op work_op(void)
{
    static const struct alk_op_error errors[] = {{"JAM", NULL, "{}"}, {NULL, NULL, NULL}};
    return (struct alk_op){.struct_size = sizeof(struct alk_op),
                           .name = "w/do",
                           .kind = ALK_OP_QUERY,
                           .fn = work,
                           .release = on_release,
                           .errors = errors,
                           .input = "{\"type\":\"object\",\"title\":\"x\"}"};
}

static void join_op(struct ops_world *w, struct alk_op op, struct worker *worker,
                    const char *source)
{
    char why[128] = "";
    check_err(alk_ops_add_remote(w->ops, &op, source, worker, why, sizeof why, &worker->provider),
              ALK_OK);
}

static void join(struct ops_world *w, struct worker *worker, const char *source)
{
    join_op(w, work_op(), worker, source);
}

static void workers_share_the_calls_and_the_least_busy_one_gets_the_next(void **state)
{
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    struct ops_call c[6] = {{.full = 0}};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    join(&w, &a, "a");
    join(&w, &b, "b");
    for (size_t i = 0; i < 4; i++) {
        ops_ask(&w, &c[i], ann, "w/do", "");
    }
    assert_int_equal(a.n, 2);
    assert_int_equal(b.n, 2);
    check_err(alk_request_respond(b.waiting[0]), ALK_OK);
    check_err(alk_request_respond(b.waiting[1]), ALK_OK);
    b.n = 0;
    ops_ask(&w, &c[4], ann, "w/do", "");
    ops_ask(&w, &c[5], ann, "w/do", "");
    assert_int_equal(b.n, 2);
    for (size_t i = 0; i < 2; i++) {
        check_err(alk_request_respond(a.waiting[i]), ALK_OK);
        check_err(alk_request_respond(b.waiting[i]), ALK_OK);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(c[i].heard, "={}");
    }
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void workers_that_are_equally_busy_take_turns(void **state)
{
    struct ops_world w;
    struct worker v[3] = {{.n = 0}};
    struct ops_call c = {.full = 0};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    for (size_t i = 0; i < 3; i++) {
        join(&w, &v[i], "w");
    }
    for (size_t i = 0; i < 9; i++) { /* one after the other has been answered */
        ops_ask(&w, &c, ann, "w/do", "");
        assert_int_equal(v[i % 3].n, 1);
        check_err(alk_request_respond(v[i % 3].waiting[0]), ALK_OK);
        v[i % 3].n = 0;
    }
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

/* As one whose machine has lost its power, until its connection times out. */
static void a_worker_that_lets_requests_time_out_is_passed_over(void **state)
{
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    struct ops_call c = {.full = 0}, late = {.full = 0};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    struct alk_op op = work_op();
    (void)state;
    op.timeout_ms = 100;
    ops_world_init(&w, NULL);
    join_op(&w, op, &a, "a");
    join(&w, &b, "b");
    for (int round = 0; round < 2; round++) {
        a.n = b.n = 0;
        ops_ask(&w, &late, ann, "w/do", "");
        assert_int_equal(a.n, 1);
        ops_world_until(&w, alk_request_deadline(a.waiting[0]));
        assert_string_equal(late.heard, "?TIMEOUT no answer in time");
        alk_request_fail(a.waiting[0], ALK_OPS_ABORTED, NULL);
        for (unsigned i = 0; i < (round == 0 ? ALK_PASSED_OVER : 5); i++) {
            b.n = 0;
            ops_ask(&w, &c, ann, "w/do", "");
            assert_int_equal(b.n, 1);
            check_err(alk_request_respond(b.waiting[0]), ALK_OK);
        }
    }
    /* It speaks again, if only because the other is away. */
    alk_ops_remove_remote(w.ops, b.provider);
    a.n = 0;
    ops_ask(&w, &c, ann, "w/do", "");
    assert_int_equal(a.n, 1);
    alk_request_heard(a.waiting[0]);
    check_err(alk_request_respond(a.waiting[0]), ALK_OK);
    join(&w, &b, "b");
    b.n = 0;
    for (unsigned i = 0; i < 2; i++) { /* both have their turns again */
        ops_ask(&w, &c, ann, "w/do", "");
        assert_int_equal(b.n, 1);
        assert_int_equal(a.n, 1 + i);
        check_err(alk_request_respond(i == 0 ? b.waiting[0] : a.waiting[1]), ALK_OK);
    }
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void when_the_last_worker_has_gone_its_callers_hear_unavailable(void **state)
{
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    struct ops_call c = {.full = 0};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    released = 0;
    join(&w, &a, "a");
    join(&w, &b, "b");
    alk_ops_remove_remote(w.ops, a.provider);
    assert_int_equal(released, 1);
    ops_ask(&w, &c, ann, "w/do", "");
    alk_ops_remove_remote(w.ops, b.provider);
    assert_int_equal(released, 1); /* a request is under way */
    ops_check(&w, ann, "w/do", "", "?UNAVAILABLE no worker offers it now");
    ops_check(&w, NULL, "w/do", "", "!UNAUTHENTICATED an identity is needed");
    check_err(alk_request_respond(b.waiting[0]), ALK_OK);
    assert_int_equal(released, 2);
    assert_string_equal(c.heard, "={}");
    ops_check(&w, ann, "w/do", "", "?UNAVAILABLE no worker offers it now");
    b.n = 0;
    join(&w, &b, "b"); /* back again */
    ops_ask(&w, &c, ann, "w/do", "");
    check_err(alk_request_respond(b.waiting[0]), ALK_OK);
    assert_string_equal(c.heard, "={}");
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void providers_of_one_name_must_be_equal_and_a_local_one_wins(void **state)
{
    static const struct alk_op_error other_errors[] = {{"JAM", NULL, "{\"type\":\"null\"}"},
                                                       {NULL, NULL, NULL}};
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    char why[128] = "";
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    join(&w, &a, "a");
    struct alk_op op = work_op();
    op.input = "{ \"title\" : \"x\", \"type\" : \"object\" }"; /* the same value */
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, why, sizeof why, &b.provider), ALK_OK);
    struct alk_op_provider *p = NULL;
    op.input = "{\"title\":\"y\",\"type\":\"object\"}";
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, why, sizeof why, &p), ALK_E_EXISTS);
    assert_string_equal(why, "\"w/do\" is there already, of another kind or with other schemas");
    op = work_op();
    op.kind = ALK_OP_MUTATION;
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, NULL, 0, &p), ALK_E_EXISTS);
    op = work_op();
    op.errors = other_errors;
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, NULL, 0, &p), ALK_E_EXISTS);
    op.errors = NULL;
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, NULL, 0, &p), ALK_E_EXISTS);

    char local[] = "local";
    ops_world_add(&w, (struct alk_op){.name = "w/do", .fn = answer}, local);
    ops_check(&w, ann, "w/do", "", "=\"local\"");
    check_err(alk_ops_remove(w.ops, "w/do"), ALK_OK);
    struct ops_call c = {.full = 0};
    ops_ask(&w, &c, ann, "w/do", "");
    struct worker *who = a.n == 1 ? &a : &b;
    assert_int_equal(a.n + b.n, 1);
    check_err(alk_request_respond(who->waiting[0]), ALK_OK);
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void the_providers_of_one_name_have_a_limit(void **state)
{
    struct ops_world w;
    struct worker a = {.n = 0};
    struct alk_op op = work_op();
    struct alk_op_provider *p = NULL;
    (void)state;
    ops_world_init(&w, NULL);
    for (int i = 0; i < 64; i++) {
        join(&w, &a, "a");
    }
    check_err(alk_ops_add_remote(w.ops, &op, "a", &a, NULL, 0, &p), ALK_E_LIMIT);
    ops_world_fini(&w);
}

static void a_provider_can_be_guarded_anew_while_it_works(void **state)
{
    static const char *const scopes[] = {"works", NULL};
    const struct alk_op_access access = {.all_scopes = scopes};
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    struct ops_call c[2] = {{.full = 0}};
    struct alk_op_provider *p = NULL;
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    const struct alk_identity *bob = ops_somebody("bob", "works", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    join(&w, &a, "a");
    ops_ask(&w, &c[0], ann, "w/do", "");
    assert_int_equal(a.n, 1);
    check_err(alk_ops_guard_remote(w.ops, a.provider, 0, &access, &b, &p), ALK_OK);
    ops_check(&w, ann, "w/do", "", "!NOT_FOUND there is no such operation");
    ops_ask(&w, &c[1], bob, "w/do", "");
    assert_int_equal(b.n, 1);
    check_err(alk_request_respond(a.waiting[0]), ALK_OK); /* began before */
    check_err(alk_request_respond(b.waiting[0]), ALK_OK);
    alk_ops_remove_remote(w.ops, p);
    ops_check(&w, bob, "w/do", "", "?UNAVAILABLE no worker offers it now");
    alk_identity_unref(ann);
    alk_identity_unref(bob);
    ops_world_fini(&w);
}

static void a_worker_that_cannot_carry_a_request_hands_it_to_another(void **state)
{
    struct ops_world w;
    struct worker a = {.passes = 1}, b = {.n = 0};
    struct ops_call c = {.full = 0};
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    (void)state;
    ops_world_init(&w, NULL);
    join(&w, &a, "a");
    ops_check(&w, ann, "w/do", "", "?UNAVAILABLE not available now"); /* there is no other */
    check_err(a.passed, ALK_E_NOENT);
    join(&w, &b, "b");
    b.passes = 1; /* it is its turn */
    ops_ask(&w, &c, ann, "w/do", "");
    check_err(b.passed, ALK_OK);
    assert_int_equal(a.n, 1);
    check_err(alk_request_respond(a.waiting[0]), ALK_OK);
    assert_string_equal(c.heard, "={}");
    a.passes = 10; /* round and round, but not for ever */
    b.passes = 10;
    ops_check(&w, ann, "w/do", "", "?UNAVAILABLE not available now");
    assert_int_equal(a.passes + b.passes, 15);
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

/* The rule came while the request waited at a worker that is not under it. */
static void a_rule_that_cannot_be_looked_at_allows_nothing(void **state)
{
    const struct alk_op_access access = {
        .resource_type = "repo", .resource_action = "read", .resource_member = "name"};
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    struct ops_call c = {.full = 0};
    struct alk_op op = work_op();
    struct alk_op_provider *p = NULL;
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    const struct alk_identity *later = ops_somebody("ann", "", NULL);
    (void)state;
    op.flags = ALK_OP_TEXT_INPUT;
    op.input = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}";
    ops_world_init(&w, NULL);
    check_err(alk_ops_add_remote(w.ops, &op, "a", &a, NULL, 0, &a.provider), ALK_OK);
    ops_ask(&w, &c, ann, "w/do", "{\"name\":\"x\"}");
    assert_int_equal(a.n, 1);
    check_err(alk_ops_add_remote(w.ops, &op, "b", &b, NULL, 0, &b.provider), ALK_OK);
    check_err(alk_ops_guard_remote(w.ops, b.provider, op.flags, &access, &b, &p), ALK_OK);
    check_err(alk_request_retry(a.waiting[0]), ALK_OK);
    assert_int_equal(b.n, 1);
    alk_request_set_caller(c.request, later);
    ops_world_run(&w);
    assert_string_equal(c.heard, "!UNAUTHENTICATED an identity is needed");
    check_err(alk_request_respond(b.waiting[0]), ALK_OK);
    alk_identity_unref(ann);
    alk_identity_unref(later);
    ops_world_fini(&w);
}

static void count_info(void *ctx, const struct alk_op_info *info)
{
    char *text = ctx;
    size_t n = strlen(text);
    (void)snprintf(text + n, 256 - n, "%s %s %u;", info->op->name, info->source, info->providers);
}

static bool count_each(void *ctx, const struct alk_op_info *info)
{
    count_info(ctx, info);
    return strncmp(info->op->name, "a/stop", 6) != 0;
}

static void what_is_listed_is_what_can_be_called_now(void **state)
{
    struct ops_world w;
    struct worker a = {.n = 0}, b = {.n = 0};
    char text[256] = "";
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    struct alk_span none = {NULL, 0};
    (void)state;
    ops_world_init(&w, NULL);
    ops_world_add(&w, (struct alk_op){.name = "a/local", .fn = answer}, NULL);
    ops_world_add(&w, (struct alk_op){.name = "a/in", .fn = answer, .flags = ALK_OP_INTERNAL},
                  NULL);
    join(&w, &a, "pi");
    join(&w, &b, "vps");
    check_err(alk_ops_each(w.ops, ann, none, none, count_each, text), ALK_OK);
    assert_string_equal(text, "a/local  1;w/do pi 2;");
    text[0] = '\0';
    check_err(alk_ops_each_offered(w.ops, none, count_each, text), ALK_OK);
    assert_string_equal(text, "a/local  1;");
    text[0] = '\0';
    alk_ops_remove_remote(w.ops, a.provider);
    assert_true(alk_ops_find(w.ops, ann, ALK_LIT("w/do"), count_info, text));
    assert_string_equal(text, "w/do vps 1;");
    alk_ops_remove_remote(w.ops, b.provider);
    assert_false(alk_ops_find(w.ops, ann, ALK_LIT("w/do"), count_info, text));
    text[0] = '\0';
    check_err(alk_ops_each(w.ops, ann, ALK_LIT("w/"), none, count_each, text), ALK_OK);
    assert_string_equal(text, "");
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

static void a_list_goes_on_where_it_is_told_and_stops_when_told(void **state)
{
    static const char *const names[] = {"a/b", "a/ba", "a/c", "a/stop", "a/z", "b/a"};
    struct ops_world w;
    const struct alk_identity *ann = ops_somebody("ann", "", NULL);
    struct alk_span none = {NULL, 0};
    static const struct {
        const char *prefix, *after, *want;
    } rows[] = {
        {"", "", "a/b  1;a/ba  1;a/c  1;a/stop  1;"},
        {"", "a/b", "a/ba  1;a/c  1;a/stop  1;"},
        {"", "a/bz", "a/c  1;a/stop  1;"},
        {"", "a/stop", "a/z  1;b/a  1;"},
        {"a/", "a/stop", "a/z  1;"},
        {"b", "a", "b/a  1;"},
        {"a", "b", ""},
        {"", "b/a", ""},
    };
    (void)state;
    ops_world_init(&w, NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ops_world_add(&w, (struct alk_op){.name = names[i], .fn = answer}, NULL);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256] = "";
        check_err(alk_ops_each(w.ops, ann, alk_span_str(rows[i].prefix),
                               rows[i].after[0] == '\0' ? none : alk_span_str(rows[i].after),
                               count_each, text),
                  ALK_OK);
        assert_string_equal(text, rows[i].want);
    }
    alk_identity_unref(ann);
    ops_world_fini(&w);
}

/* --- threads -------------------------------------------------------------------- */

#define ROUNDS 2000

struct hammer {
    struct alk_ops *ops;
    const struct alk_identity *ann;
    atomic_bool is_done;
    unsigned answers, refusals;
};

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct hammer *h = ctx;
    (void)r;
    (void)output;
    (void)is_last;
    h->answers++;
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct hammer *h = ctx;
    (void)r;
    assert_true(strcmp(o->code, "NOT_FOUND") == 0 || strcmp(o->code, "UNAVAILABLE") == 0);
    h->refusals++;
}

static void *call_on_a_loop(void *ctx)
{
    static const struct alk_face face = {on_responded, on_ended};
    struct hammer *h = ctx;
    struct alk_loop *loop = NULL;
    struct alk_start_spec spec = {.op = ALK_LIT("w/do"), .caller = h->ann};
    char text[256] = "";
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    spec.loop = loop;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct alk_request *r = NULL;
        check_err(alk_ops_start(h->ops, &spec, &face, h, &r), ALK_OK);
        if (i % 64 == 0) {
            text[0] = '\0';
            (void)alk_ops_find(h->ops, h->ann, ALK_LIT("w/do"), count_info, text);
            alk_request_cancel(r);
            h->refusals++;
        }
        (void)alk_loop_run_once(loop, 0);
    }
    while (h->answers + h->refusals < ROUNDS) {
        (void)alk_loop_run_once(loop, 0);
    }
    alk_loop_free(loop);
    return NULL;
}

static void *come_and_go(void *ctx)
{
    struct hammer *h = ctx;
    struct alk_op op = work_op();
    op.fn = answer;
    op.release = NULL;
    while (!atomic_load(&h->is_done)) {
        struct alk_op_provider *p = NULL;
        check_err(alk_ops_add_remote(h->ops, &op, "w", NULL, NULL, 0, &p), ALK_OK);
        alk_err err = alk_ops_add(h->ops, &op, NULL, NULL, 0);
        if (err == ALK_OK) {
            check_err(alk_ops_remove(h->ops, op.name), ALK_OK);
        } else {
            check_err(err, ALK_E_EXISTS);
        }
        alk_ops_remove_remote(h->ops, p);
    }
    return NULL;
}

static void two_loops_call_while_two_threads_add_and_remove(void **state)
{
    struct alk_ops_options options = {.struct_size = sizeof options};
    struct hammer h[4] = {{.answers = 0}};
    pthread_t threads[4];
    (void)state;
    h[0].ann = ops_somebody("ann", "", NULL);
    check_err(alk_ops_new(&options, &h[0].ops), ALK_OK);
    for (size_t i = 1; i < 4; i++) {
        h[i].ops = h[0].ops;
        h[i].ann = h[0].ann;
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < 2 ? call_on_a_loop : come_and_go, &h[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(h[i].answers + h[i].refusals, ROUNDS);
    }
    for (size_t i = 2; i < 4; i++) {
        atomic_store(&h[i].is_done, true);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    alk_ops_free(h[0].ops);
    alk_identity_unref(h[0].ann);
}

/* --- memory --------------------------------------------------------------------- */

static alk_err add_with(const struct alk_mem *mem, void *ctx)
{
    static const char *const scopes[] = {"fs:read", NULL};
    struct alk_ops_options options = {
        .struct_size = sizeof options, .mem = mem, .check_outputs = true};
    struct alk_ops *ops = NULL;
    struct alk_op op = work_op();
    struct alk_op_provider *p = NULL;
    (void)ctx;
    op.output = op.input;
    op.access.all_scopes = scopes;
    op.release = NULL;
    alk_err err = alk_ops_new(&options, &ops);
    err = err == ALK_OK ? alk_ops_add(ops, &op, NULL, NULL, 0) : err;
    err = err == ALK_OK ? alk_ops_add_remote(ops, &op, "a", NULL, NULL, 0, &p) : err;
    op.input = "{\"title\":\"x\",\"type\":\"object\"}";
    err = err == ALK_OK ? alk_ops_add_remote(ops, &op, "b", NULL, NULL, 0, &p) : err;
    alk_ops_free(ops);
    return err;
}

static void lack_of_memory_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(add_with, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_with_an_operation_is_said_in_a_sentence),
        cmocka_unit_test(what_was_added_is_a_copy),
        cmocka_unit_test(the_number_of_operations_has_a_limit),
        cmocka_unit_test(workers_share_the_calls_and_the_least_busy_one_gets_the_next),
        cmocka_unit_test(workers_that_are_equally_busy_take_turns),
        cmocka_unit_test(a_worker_that_lets_requests_time_out_is_passed_over),
        cmocka_unit_test(when_the_last_worker_has_gone_its_callers_hear_unavailable),
        cmocka_unit_test(providers_of_one_name_must_be_equal_and_a_local_one_wins),
        cmocka_unit_test(the_providers_of_one_name_have_a_limit),
        cmocka_unit_test(a_provider_can_be_guarded_anew_while_it_works),
        cmocka_unit_test(a_worker_that_cannot_carry_a_request_hands_it_to_another),
        cmocka_unit_test(a_rule_that_cannot_be_looked_at_allows_nothing),
        cmocka_unit_test(what_is_listed_is_what_can_be_called_now),
        cmocka_unit_test(a_list_goes_on_where_it_is_told_and_stops_when_told),
        cmocka_unit_test(two_loops_call_while_two_threads_add_and_remove),
        cmocka_unit_test(lack_of_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
