/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hub on one loop: order, rules, slow subscribers. */
#include "core/auth/identity.h"
#include "support/events_world.h"
#include "support/meter.h"
#include "support/oom.h"

/* --- live ------------------------------------------ */

static void an_event_reaches_those_whose_pattern_matches(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0}, c = {0};
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "x.y");
    events_listen(&w, &b, "x.* x.> x.y"); /* once, though all three match */
    events_listen(&w, &c, "x.z");
    uint64_t first = events_publish(&w, "x.y", "{\"n\":1}");
    uint64_t second = events_publish(&w, "x.z", "2");
    assert_true(second > first);
    assert_int_equal(a.count, 0); /* never inside the call */
    events_run(&w);
    assert_string_equal(a.heard, "x.y={\"n\":1} ");
    assert_string_equal(b.heard, "x.y={\"n\":1} x.z=2 ");
    assert_string_equal(c.heard, "x.z=2 ");
    assert_int_equal(b.last, second);
    alk_event_sub_cancel(b.sub);
    b.sub = NULL;
    events_publish(&w, "x.y", "3");
    events_run(&w);
    assert_int_equal(a.count, 2);
    assert_int_equal(b.count, 2);
    struct alk_events_stats s;
    alk_events_stats(w.hub, &s);
    assert_int_equal(s.published, 3);
    assert_int_equal(s.delivered, 5);
    assert_int_equal(s.subscriptions, 2);
    assert_int_equal(s.memory, 0); /* nothing waits */
    events_world_fini(&w);
    assert_string_equal(a.code, "UNAVAILABLE");
    assert_string_equal(b.code, "");
}

static alk_err raw_event(void *ctx, struct alk_span json)
{
    char *text = ctx;
    assert_true(json.n < 512);
    memcpy(text, json.p, json.n);
    text[json.n] = '\0';
    return ALK_OK;
}

static const struct alk_identity *no_caller(void *ctx)
{
    (void)ctx;
    return NULL;
}

static bool every_scope(void *ctx, const char *scope)
{
    (void)ctx;
    (void)scope;
    return true;
}

static void who_comes_or_goes_between_events_of_one_topic_is_noticed(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0}, c = {0};
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "x.y");
    events_publish(&w, "x.y", "1");
    events_run(&w);
    events_listen(&w, &b, "x.*");
    events_publish(&w, "x.y", "2");
    events_run(&w);
    alk_event_sub_cancel(a.sub);
    a.sub = NULL;
    events_publish(&w, "x.y", "3");
    events_publish(&w, "x.yy", "4");
    events_publish(&w, "x.y", "5");
    events_run(&w);
    alk_event_sub_cancel(b.sub);
    b.sub = NULL;
    events_listen(&w, &c, "*.y");
    events_publish(&w, "x.y", "6");
    events_run(&w);
    assert_string_equal(a.heard, "x.y=1 x.y=2 ");
    assert_string_equal(b.heard, "x.y=2 x.y=3 x.yy=4 x.y=5 ");
    assert_string_equal(c.heard, "x.y=6 ");
    events_world_fini(&w);
}

static void no_end(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    (void)ctx;
    (void)code;
    (void)message;
    (void)oldest;
}

static void the_text_of_an_event_is_what_the_protocol_says(void **state)
{
    (void)state;
    static const struct alk_event_sink sink = {
        .event = raw_event, .ended = no_end, .caller = no_caller, .has_scope = every_scope};
    struct events_world w;
    struct alk_event_sub *sub;
    char text[512] = "";
    uint64_t seq = 0;
    events_world_init(&w, NULL, NULL);
    struct alk_span pattern = ALK_LIT("a.b");
    struct alk_event_listen o = {
        .loop = w.loop, .patterns = &pattern, .count = 1, .sink = &sink, .ctx = text};
    check_err(alk_events_subscribe(w.hub, &o, &sub), ALK_OK);
    events_publish(&w, "a.b", "[1, \"x\"]");
    events_run(&w);
    assert_string_equal(text, "{\"topic\":\"a.b\",\"seq\":   1000000000001,\"time\":1000000000,"
                              "\"publisher\":\"laptop\",\"data\":[1, \"x\"]}");
    struct alk_publish p = {.topic = pattern, .data = ALK_LIT("null")};
    check_err(alk_events_publish(w.hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
    events_run(&w);
    assert_string_equal(text, "{\"topic\":\"a.b\",\"seq\":   1000000000002,\"time\":1000000000,"
                              "\"publisher\":null,\"data\":null}");
    events_world_fini(&w);
}

static void what_was_published_before_is_not_heard(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0};
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "x");
    events_publish(&w, "x", "1");
    events_listen(&w, &b, "x"); /* the first event waits still */
    events_publish(&w, "x", "2");
    events_run(&w);
    assert_string_equal(a.heard, "x=1 x=2 ");
    assert_string_equal(b.heard, "x=2 ");
    events_world_fini(&w);
}

static void on_nothing(void *arg)
{
    unsigned *n = arg;
    (*n)++;
}

static void a_loop_that_takes_no_posts_looks_for_itself(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    unsigned n = 0;
    uint64_t seq = 0;
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "x");
    alk_err err = ALK_OK;
    while (err == ALK_OK) {
        err = alk_post(w.loop, on_nothing, &n);
    }
    check_err(err, ALK_FULL);
    struct alk_publish p = {.topic = ALK_LIT("x"), .data = ALK_LIT("1")};
    check_err(alk_events_publish(w.hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
    events_run(&w);
    assert_int_equal(n, ALK_POSTS_MAX);
    assert_int_equal(a.count, 1);
    events_world_fini(&w);
}

static void wrong_input_is_refused(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    uint64_t seq = 0;
    static char big[ALK_EVENT_DATA_MAX + 1];
    char many[4 * ALK_EVENT_PATTERNS_MAX + 8] = "";
    char id[ALK_EVENT_ID_MAX + 2] = "";
    events_world_init(&w, NULL, NULL);
    check_err(events_try_publish(&w, "a.*", "1", NULL, &seq), ALK_E_INVALID);
    check_err(events_try_publish(&w, "", "1", NULL, &seq), ALK_E_INVALID);
    memset(id, 'i', sizeof(id) - 1);
    check_err(events_try_publish(&w, "a", "1", id, &seq), ALK_E_TOO_BIG);
    struct alk_publish p = {.topic = ALK_LIT("a"), .data = alk_span(big, sizeof(big))};
    check_err(alk_events_publish(w.hub, NULL, &p, NULL, NULL, &seq), ALK_E_TOO_BIG);
    p = (struct alk_publish){
        .topic = ALK_LIT("a"), .data = ALK_LIT("1"), .publisher = ALK_LIT("a\"b")};
    check_err(alk_events_publish(w.hub, NULL, &p, NULL, NULL, &seq), ALK_E_INVALID);
    check_err(events_try_listen(&w, &a, "", ALK_EVENTS_LATEST, 0), ALK_E_INVALID);
    check_err(events_try_listen(&w, &a, "a..b", ALK_EVENTS_LATEST, 0), ALK_E_INVALID);
    check_err(events_try_listen(&w, &a, "a", ALK_EVENTS_SEQ, ALK_EVENT_SEQ_MAX), ALK_E_INVALID);
    for (size_t i = 0; i <= ALK_EVENT_PATTERNS_MAX; i++) {
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "%zu ", i);
    }
    check_err(events_try_listen(&w, &a, many, ALK_EVENTS_LATEST, 0), ALK_E_INVALID);
    events_world_fini(&w);
}

static void an_event_id_counts_once(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    uint64_t first = 0, second = 0;
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, ">");
    check_err(events_try_publish(&w, "a", "1", "one", &first), ALK_OK);
    check_err(events_try_publish(&w, "a", "2", "one", &second), ALK_OK);
    assert_int_equal(first, second);
    check_err(events_try_publish(&w, "b", "3", "one", &second), ALK_OK);
    atomic_fetch_add(&w.now_ns, (ALK_EVENT_DEDUP_MS - 1) * ALK_MS);
    check_err(events_try_publish(&w, "a", "4", "one", &second), ALK_OK);
    assert_int_equal(first, second);
    atomic_fetch_add(&w.now_ns, ALK_MS);
    check_err(events_try_publish(&w, "a", "5", "one", &second), ALK_OK);
    assert_true(second > first);
    events_run(&w);
    assert_string_equal(a.heard, "a=1 b=3 a=5 ");
    events_world_fini(&w);
}

/* --- rules ------------------------------------------ */

static void rules_say_who_may_listen(void **state)
{
    (void)state;
    struct events_world w;
    struct listener all = {0}, some = {.scopes = "ops"}, none = {.scopes = ""};
    events_world_init(&w, NULL,
                      "topics: [{match: 'open.>', subscribe: any},"
                      " {match: 'ops.*', subscribe: [ops, other]},"
                      " {match: 'node.>', subscribe: none}]");
    events_listen(&w, &all, ">");
    events_listen(&w, &some, ">");
    check_err(events_try_listen(&w, &none, "ops.x", ALK_EVENTS_LATEST, 0), ALK_E_FORBIDDEN);
    check_err(events_try_listen(&w, &none, "else", ALK_EVENTS_LATEST, 0), ALK_E_FORBIDDEN);
    check_err(events_try_listen(&w, &all, "node.x", ALK_EVENTS_LATEST, 0), ALK_E_FORBIDDEN);
    check_err(events_try_listen(&w, &none, "open.a ops.*", ALK_EVENTS_LATEST, 0), ALK_E_FORBIDDEN);
    events_listen(&w, &none, ">"); /* some topics of it are open */
    events_listen(&w, &all, ">");
    events_publish(&w, "open.a", "1");
    events_publish(&w, "ops.a", "2");
    events_publish(&w, "node.a", "3");
    events_publish(&w, "else", "4");
    events_run(&w);
    assert_string_equal(all.heard, "open.a=1 open.a=1 ops.a=2 ops.a=2 else=4 else=4 ");
    assert_string_equal(some.heard, "open.a=1 ops.a=2 ");
    assert_string_equal(none.heard, "open.a=1 ");
    events_world_fini(&w);
}

static bool only_ops(void *ctx, const char *scope)
{
    (void)ctx;
    return strcmp(scope, "ops") == 0;
}

static void rules_say_who_may_publish(void **state)
{
    (void)state;
    struct events_world w;
    events_world_init(&w, NULL,
                      "topics: [{match: 'open.>', publish: any}, {match: 'ops.*', publish: ops},"
                      " {match: 'node.>', publish: none}]");
    static const struct {
        const char *topic;
        alk_err want;
    } rows[] = {{"open.a", ALK_OK},
                {"ops.a", ALK_OK},
                {"ops.a.b", ALK_E_FORBIDDEN}, /* no rule matches: events:publish */
                {"node.a", ALK_E_FORBIDDEN},
                {"else", ALK_E_FORBIDDEN}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t seq = 0;
        struct alk_publish p = {
            .topic = alk_span_str(rows[i].topic), .data = ALK_LIT("1"), .has_scope = only_ops};
        check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), rows[i].want);
        p.has_scope = NULL; /* the node itself */
        check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_OK);
    }
    events_world_fini(&w);
}

/* It may publish everywhere. */
static void node_says(struct events_world *w, const char *data)
{
    const struct alk_publish p = {.topic = ALK_LIT("git.push"), .data = alk_span_str(data)};
    uint64_t seq = 0;
    check_err(alk_events_publish(w->hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
}

static void pushes_are_told_by_the_node_to_those_who_may_read(void **state)
{
    static const char *const settings[] = {
        NULL,
        "topics: [{match: '>', publish: any, subscribe: any}]",
        "topics: [{match: git.push, publish: any, subscribe: any}, {match: '>'}]",
        "topics: [{match: git.push, resource: {type: other, token: 1}}]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        struct events_world w;
        struct listener a = {.names = "one"}, b = {.names = "two"};
        events_world_init(&w, NULL, settings[i]);
        events_listen(&w, &a, ">");
        events_listen(&w, &b, "git.push");
        node_says(&w, "{\"repository\":\"one\",\"public\":false}");
        node_says(&w, "{\"repository\":\"none\",\"public\":true}");
        node_says(&w, "{\"repository\":\"none\",\"public\":\"true\"}");
        node_says(&w, "{\"refs\":{\"public\":true}}");
        events_run(&w);
        assert_string_equal(a.heard, "git.push={\"repository\":\"one\",\"public\":false} "
                                     "git.push={\"repository\":\"none\",\"public\":true} ");
        assert_string_equal(b.heard, "git.push={\"repository\":\"none\",\"public\":true} ");
        const struct alk_publish p = {.topic = ALK_LIT("git.push"),
                                      .data = ALK_LIT("{\"repository\":\"one\"}"),
                                      .publisher = ALK_LIT("admin"),
                                      .has_scope = every_scope};
        uint64_t seq = 0;
        check_err(alk_events_publish(w.hub, NULL, &p, NULL, NULL, &seq), ALK_E_FORBIDDEN);
        events_world_fini(&w);
    }
}

static void a_resource_is_checked_for_each_event_and_subscriber(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {.names = "one,two"}, b = {.names = "two"}, c = {0};
    events_world_init(&w, NULL,
                      "topics: [{match: 'git.*.*', resource: {type: repo, token: 3}},"
                      " {match: 'push', resource: {type: repo, member: target/repo}}]");
    events_listen(&w, &a, ">");
    events_listen(&w, &b, "git.> push");
    events_listen(&w, &c, ">");
    events_publish(&w, "git.push.one", "1");
    events_publish(&w, "git.push.two", "2");
    events_publish(&w, "push", "{\"x\":{\"repo\":\"one\"},\"target\":{\"repo\":\"two\"}}");
    events_publish(&w, "push", "{\"target\":{\"repo\":\"t\\u0077o\"}}");
    events_publish(&w, "push", "{\"target\":{\"repo\":1}}");
    events_publish(&w, "push", "[\"two\"]");
    events_run(&w);
    assert_string_equal(a.heard, "git.push.one=1 git.push.two=2 "
                                 "push={\"x\":{\"repo\":\"one\"},\"target\":{\"repo\":\"two\"}} ");
    assert_string_equal(
        b.heard, "git.push.two=2 push={\"x\":{\"repo\":\"one\"},\"target\":{\"repo\":\"two\"}} ");
    assert_string_equal(c.heard, "");
    /* Rights count when it is sent, not when it came. */
    b.room = 0;
    events_publish(&w, "git.push.two", "3");
    events_run(&w);
    b.names = "";
    b.heard[0] = '\0';
    events_take(&w, &b, 5);
    assert_string_equal(b.heard, "");
    events_world_fini(&w);
}

static void new_rules_end_what_is_not_allowed_any_more(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {.scopes = ""}, b = {.scopes = ""};
    uint64_t seq = 0;
    char why[512] = "";
    events_world_init(&w, NULL, "topics: [{match: '>', subscribe: any, publish: any}]");
    events_listen(&w, &a, "a.x");
    events_listen(&w, &b, "b.x a.>");
    check_err(events_rules(&w,
                           "topics: [{match: a.x, subscribe: no-one, publish: none},"
                           " {match: '>', subscribe: any}]",
                           why, sizeof(why)),
              ALK_OK);
    /* Publishers meet them at once. */
    struct alk_publish p = {.topic = ALK_LIT("a.x"), .data = ALK_LIT("1"), .has_scope = only_ops};
    check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_E_FORBIDDEN);
    events_publish(&w, "a.x", "1");
    events_publish(&w, "a.y", "2");
    events_run(&w);
    assert_string_equal(a.code, "FORBIDDEN");
    assert_int_equal(a.count, 0);
    assert_string_equal(b.heard, "a.y=2 ");
    assert_string_equal(b.code, "");
    events_world_fini(&w);
}

static void the_end_of_one_may_cancel_others(void **state)
{
    (void)state;
    struct events_world w;
    struct listener c = {.scopes = ""}, b = {.scopes = "", .takes_along = &c};
    struct listener a = {.scopes = "", .takes_along = &b}, d = {0};
    char why[512] = "";
    events_world_init(&w, NULL, "topics: [{match: '>', subscribe: any}]");
    events_listen(&w, &a, "x");
    events_listen(&w, &b, "x");
    events_listen(&w, &c, "x");
    events_listen(&w, &d, "x");
    check_err(events_rules(&w, "topics: [{match: '>', subscribe: one}]", why, sizeof(why)), ALK_OK);
    events_run(&w);
    assert_string_equal(a.code, "FORBIDDEN");
    assert_string_equal(b.code, "");
    assert_string_equal(c.code, "FORBIDDEN");
    events_publish(&w, "x", "1");
    events_run(&w);
    assert_int_equal(d.count, 1);
    events_world_fini(&w);
}

static void rights_of_the_caller_are_looked_at_anew_when_they_change(void **state)
{
    (void)state;
    struct events_world w;
    struct alk_identity_spec spec = {.id = ALK_LIT("someone")};
    const struct alk_identity *before, *after;
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &before), ALK_OK);
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &after), ALK_OK);
    struct listener a = {.scopes = "ops,more", .caller = before};
    struct listener b = {.scopes = "ops", .caller = before};
    events_world_init(&w, NULL,
                      "topics: [{match: 'a.>', subscribe: ops},"
                      " {match: 'b.>', subscribe: more}]");
    events_listen(&w, &a, "*.x");
    events_listen(&w, &b, "a.x");
    a.scopes = "ops";
    b.scopes = "";
    events_publish(&w, "b.x", "1");
    events_run(&w);
    assert_string_equal(a.heard, "b.x=1 "); /* the same identity: nothing is asked again */
    a.caller = b.caller = after;
    events_publish(&w, "b.x", "2");
    events_publish(&w, "a.x", "3");
    events_run(&w);
    assert_string_equal(a.heard, "b.x=1 a.x=3 ");
    assert_string_equal(b.heard, "");
    assert_string_equal(b.code, "FORBIDDEN");
    events_world_fini(&w);
    alk_identity_unref(before);
    alk_identity_unref(after);
}

static void wrong_rules_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *why;
    } rows[] = {
        {"topics: [{match: 'a..b'}]", "must be 1-16 tokens"},
        {"topics: [{match: 'a.>'}, {match: a.b}]", "a rule before it matches all"},
        {"topics: [{match: a, publish: [any, x]}]", "'any' and 'none' stand alone"},
        {"topics: [{match: a, publish: 'X Y'}]", "any, none or a scope"},
        {"topics: [{match: a, retain: {count: 1}}]", "for durable topics"},
        {"topics: [{match: a, resource: {type: repo}}]", "by 'token' or by 'member'"},
        {"topics: [{match: a, resource: {type: repo, token: 1, member: x}}]", "by 'token'"},
        {"topics: [{match: a.b, resource: {type: repo, token: 3}}]", "fewer tokens"},
        {"topics: [{match: a, resource: {type: Repo, token: 1}}]", "lower-case"},
        {"queue: {count: 0}", "count"},
        {"memory: 1KiB", "memory"},
    };
    struct events_world w;
    events_world_init(&w, NULL, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char why[1024] = "";
        check_err(events_rules(&w, rows[i].yaml, why, sizeof(why)), ALK_E_CONFIG);
        if (strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].yaml, why);
        }
    }
    events_world_fini(&w);
}

/* --- slow ones ------------------------------------------ */

static void a_slow_subscriber_is_cut_and_the_others_are_not(void **state)
{
    (void)state;
    struct events_world w;
    struct listener slow = {0}, quick = {0};
    events_world_init(&w, NULL, "queue: {count: 3}");
    events_listen(&w, &slow, "a");
    events_listen(&w, &quick, "a");
    slow.room = 0;
    for (int i = 0; i < 3; i++) {
        events_publish(&w, "a", "1");
    }
    events_run(&w);
    assert_string_equal(slow.code, "");
    assert_int_equal(slow.count, 0);
    events_publish(&w, "a", "1");
    events_run(&w);
    assert_string_equal(slow.code, "SLOW_CONSUMER");
    assert_int_equal(quick.count, 4);
    struct alk_events_stats s;
    alk_events_stats(w.hub, &s);
    assert_int_equal(s.slow, 1);
    assert_int_equal(s.memory, 0);
    events_world_fini(&w);
}

static void one_that_catches_up_loses_nothing(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    events_world_init(&w, NULL, "queue: {count: 100}");
    events_listen(&w, &a, "a");
    for (int i = 0; i < 500; i++) {
        a.room = a.room > 2 ? 2 : a.room;
        events_publish(&w, "a", "1");
        events_run(&w);
        if (i % 50 == 49) {
            events_take(&w, &a, 60);
        }
    }
    events_take(&w, &a, 100);
    assert_string_equal(a.code, "");
    assert_int_equal(a.count, 500);
    assert_false(a.is_out_of_order);
    events_world_fini(&w);
}

static void what_comes_while_a_burst_is_worked_off_is_not_forgotten(void **state)
{
    (void)state;
    /* More than one pass delivers, so that the second burst meets what is left. */
    for (unsigned first = 260; first < 1100; first += 60) {
        struct events_world w;
        struct listener l = {.room = 100000};
        events_world_init(&w, NULL, NULL);
        events_listen(&w, &l, "a");
        for (unsigned i = 0; i < first; i++) {
            (void)events_publish(&w, "a", "1");
        }
        (void)alk_loop_run_once(w.loop, 0);
        for (unsigned i = 0; i < 10; i++) {
            (void)events_publish(&w, "a", "2");
        }
        events_run(&w);
        assert_int_equal(l.count, first + 10);
        assert_false(l.is_out_of_order);
        events_world_fini(&w);
    }
}

static void the_queue_is_bounded_in_bytes(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    char data[700];
    events_world_init(&w, NULL, "queue: {bytes: 1KiB}");
    events_listen(&w, &a, "a");
    a.room = 0;
    memset(data, '1', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    events_publish(&w, "a", data);
    events_run(&w);
    assert_string_equal(a.code, "");
    events_publish(&w, "a", data);
    events_run(&w);
    assert_string_equal(a.code, "SLOW_CONSUMER");
    events_world_fini(&w);
}

static void short_of_memory_publishers_are_refused_and_the_heaviest_go(void **state)
{
    (void)state;
    struct events_world w;
    struct listener slow = {0}, quick = {0};
    static char data[100001];
    uint64_t seq = 0;
    alk_err err = ALK_OK;
    size_t n = 0;
    memset(data, '1', sizeof(data) - 1);
    events_world_init(&w, NULL, "{memory: 1MiB, queue: {bytes: 100MiB}}");
    events_listen(&w, &slow, "a");
    events_listen(&w, &quick, "a");
    slow.room = 0;
    while (n < 100 && err == ALK_OK) {
        err = events_try_publish(&w, "a", data, NULL, &seq);
        n += err == ALK_OK;
    }
    check_err(err, ALK_E_LIMIT);
    assert_in_range(n, 8, 11);
    events_run(&w);
    assert_string_equal(slow.code, "SLOW_CONSUMER");
    assert_int_equal(quick.count, n);
    check_err(events_try_publish(&w, "a", data, NULL, &seq), ALK_OK);
    events_world_fini(&w);
}

static void subscriptions_are_bounded(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0}, c = {0};
    events_world_init(&w, NULL, "subscriptions: 2");
    events_listen(&w, &a, "a");
    events_listen(&w, &b, "a");
    check_err(events_try_listen(&w, &c, "a", ALK_EVENTS_LATEST, 0), ALK_E_LIMIT);
    alk_event_sub_cancel(a.sub);
    events_listen(&w, &c, "a");
    events_world_fini(&w);
}

static void a_subscription_may_be_cancelled_in_its_event(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {.cancels = true}, b = {0};
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "a");
    events_listen(&w, &b, "a");
    events_publish(&w, "a", "1");
    events_publish(&w, "a", "2");
    events_run(&w);
    assert_null(a.sub);
    assert_int_equal(b.count, 2);
    events_world_fini(&w);
}

static void an_event_that_cannot_be_sent_ends_the_subscription(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {.fails = ALK_E_TOO_BIG}, b = {.fails = ALK_E_NOMEM}, c = {0};
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &a, "a");
    events_listen(&w, &b, "a");
    events_listen(&w, &c, "a");
    c.room = 0;
    events_publish(&w, "a", "1");
    events_run(&w);
    assert_string_equal(a.code, "TOO_LARGE");
    assert_string_equal(b.code, "EXHAUSTED");
    c.fails = ALK_E_TOO_BIG; /* also when it has waited */
    events_take(&w, &c, 1);
    assert_string_equal(c.code, "TOO_LARGE");
    events_world_fini(&w);
}

/* --- ten thousand ------------------------------------------ */

enum { MANY = 10000 };

static void ten_thousand_subscriptions_are_cheap(void **state)
{
    (void)state;
    struct events_world w;
    struct meter m;
    struct listener *all = calloc(MANY, sizeof(*all));
    assert_non_null(all);
    meter_init(&m);
    events_world_init(&w, &m.mem, NULL);
    size_t before = m.live;
    for (size_t i = 0; i < MANY; i++) {
        char topic[32];
        (void)snprintf(topic, sizeof(topic), "sensor.n%zu.temperature", i);
        events_listen(&w, &all[i], topic);
    }
    size_t each = (m.live - before) / MANY;
    print_message("%d subscriptions of one topic each: %zu bytes each\n", MANY, each);
    assert_true(each < 1024);
    for (size_t i = 0; i < MANY; i += 97) {
        char topic[32];
        (void)snprintf(topic, sizeof(topic), "sensor.n%zu.temperature", i);
        events_publish(&w, topic, "20");
    }
    events_run(&w);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(all[i].count, i % 97 == 0 ? 1 : 0);
        alk_event_sub_cancel(all[i].sub);
    }
    struct alk_events_stats s;
    alk_events_stats(w.hub, &s);
    assert_int_equal(s.subscriptions, 0);
    events_world_fini(&w);
    assert_int_equal(m.live, 0);
    free(all);
}

/* --- lack of memory ------------------------------------------ */

static alk_err a_bit_of_everything(const struct alk_mem *mem, void *ctx)
{
    struct events_world w;
    struct listener a = {0}, b = {0};
    uint64_t seq = 0;
    (void)ctx;
    ALK_TRY(events_try_init(&w, mem, NULL));
    alk_err err = events_try_listen(&w, &a, "a.* b", ALK_EVENTS_LATEST, 0);
    if (err == ALK_OK) {
        err = events_try_listen(&w, &b, "a.b", ALK_EVENTS_LATEST, 0);
    }
    b.room = 0;
    for (int i = 0; i < 12 && err == ALK_OK; i++) {
        err = events_try_publish(&w, "a.b", "1", i == 0 ? "id" : NULL, &seq);
    }
    events_run(&w);
    if (b.code[0] != '\0') {
        assert_string_equal(b.code, "EXHAUSTED"); /* its queue could not grow */
        err = err == ALK_OK ? ALK_E_NOMEM : err;
    }
    events_take(&w, &b, 100);
    if (err == ALK_OK) {
        assert_int_equal(a.count, 12);
        assert_int_equal(b.count, 12);
    }
    events_world_fini(&w);
    return err;
}

static void the_hub_survives_lack_of_memory(void **state)
{
    (void)state;
    oom_sweep(a_bit_of_everything, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_reaches_those_whose_pattern_matches),
        cmocka_unit_test(who_comes_or_goes_between_events_of_one_topic_is_noticed),
        cmocka_unit_test(the_text_of_an_event_is_what_the_protocol_says),
        cmocka_unit_test(what_was_published_before_is_not_heard),
        cmocka_unit_test(a_loop_that_takes_no_posts_looks_for_itself),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(an_event_id_counts_once),
        cmocka_unit_test(rules_say_who_may_listen),
        cmocka_unit_test(rules_say_who_may_publish),
        cmocka_unit_test(pushes_are_told_by_the_node_to_those_who_may_read),
        cmocka_unit_test(a_resource_is_checked_for_each_event_and_subscriber),
        cmocka_unit_test(new_rules_end_what_is_not_allowed_any_more),
        cmocka_unit_test(the_end_of_one_may_cancel_others),
        cmocka_unit_test(rights_of_the_caller_are_looked_at_anew_when_they_change),
        cmocka_unit_test(wrong_rules_are_refused),
        cmocka_unit_test(a_slow_subscriber_is_cut_and_the_others_are_not),
        cmocka_unit_test(one_that_catches_up_loses_nothing),
        cmocka_unit_test(what_comes_while_a_burst_is_worked_off_is_not_forgotten),
        cmocka_unit_test(the_queue_is_bounded_in_bytes),
        cmocka_unit_test(short_of_memory_publishers_are_refused_and_the_heaviest_go),
        cmocka_unit_test(subscriptions_are_bounded),
        cmocka_unit_test(a_subscription_may_be_cancelled_in_its_event),
        cmocka_unit_test(an_event_that_cannot_be_sent_ends_the_subscription),
        cmocka_unit_test(ten_thousand_subscriptions_are_cheap),
        cmocka_unit_test(the_hub_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
