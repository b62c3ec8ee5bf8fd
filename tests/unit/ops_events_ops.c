/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* events/publish, events/subscribe, events/topics through the registry, and the part. */
#include "ops/events_ops.h"

#include "call/proto/envelope.h"
#include "call/proto/write.h"
#include "core/frame.h"
#include "support/events_world.h"
#include "support/meter.h"
#include "support/oom.h"
#include "support/ops_world.h"

struct fixture {
    struct ops_world w;
    void *part;
    const struct alk_identity *admin, *reader, *nobody;
};

static const struct alk_conf *section_of(const char *yaml)
{
    const struct alk_conf *conf = NULL;
    struct alk_conf_errors errors = {0};
    alk_err err =
        alk_conf_parse(NULL, alk_span_str(yaml), "events", alk_events_rows, &errors, &conf);
    if (err != ALK_OK) {
        print_error("%s\n", errors.text);
    }
    check_err(err, ALK_OK);
    return conf;
}

static alk_err configure(struct fixture *f, const char *yaml, char *why, size_t why_size)
{
    const struct alk_conf *conf = section_of(yaml);
    void *next = NULL;
    alk_err err = alk_events_part.prepare(f->part, conf, why, why_size, &next);
    if (err == ALK_OK) {
        alk_events_part.commit(f->part, next);
    }
    alk_conf_unref(conf);
    return err;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char why[256] = "";
    if (f == NULL) {
        return 1;
    }
    ops_world_init(&f->w, NULL);
    struct alk_part_env env = {.ops = f->w.ops};
    check_err(alk_events_part.start(&env, why, sizeof(why), &f->part), ALK_OK);
    f->admin = ops_somebody("boss", "admin", NULL);
    f->reader = ops_somebody("reader", "events:subscribe", "repo:one:read");
    f->nobody = ops_somebody("nobody", "", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->part != NULL) {
        alk_events_part.stop(f->part);
    }
    ops_world_fini(&f->w);
    alk_identity_unref(f->admin);
    alk_identity_unref(f->reader);
    alk_identity_unref(f->nobody);
    free(f);
    return 0;
}

/* The data of the events that a call heard, and how it ended. */
static void check_heard(const struct ops_call *c, const char *want)
{
    char got[1024] = "";
    const char *at = c->heard;
    while ((at = strstr(at, "\"data\":")) != NULL) {
        at += 7;
        const char *end = strchr(at, '}');
        assert_non_null(end);
        (void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s ", (int)(end - at), at);
    }
    at = strpbrk(c->heard, "!?");
    if (at != NULL) {
        (void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s", (int)strcspn(at, " "),
                       at);
    }
    assert_string_equal(got, want);
}

static void publish(struct fixture *f, const struct alk_identity *who, const char *topic,
                    const char *data)
{
    struct ops_call c = {.full = 0};
    char input[256];
    (void)snprintf(input, sizeof(input), "{\"topic\":\"%s\",\"data\":%s}", topic, data);
    ops_ask(&f->w, &c, who, "events/publish", input);
    if (strncmp(c.heard, "={\"seq\":", 8) != 0) {
        fail_msg("%s", c.heard);
    }
}

static void an_event_goes_from_publish_to_subscribe(void **state)
{
    struct fixture *f = *state;
    struct ops_call a = {.full = 0}, p = {.full = 0};
    ops_ask(&f->w, &a, f->reader, "events/subscribe", "{\"topics\":[\"a.*\",\"a.b\"]}");
    ops_ask(&f->w, &p, f->admin, "events/publish",
            "{\"data\": {\"k\": [1, 2]} , \"t\\u006fpic\":\"a.b\"}");
    assert_int_equal(strncmp(p.heard, "={\"seq\":", 8), 0);
    assert_int_equal(strncmp(a.heard, "~{\"topic\":\"a.b\",\"seq\":", 22), 0);
    assert_non_null(strstr(a.heard, ",\"publisher\":\"boss\",\"data\":{\"k\": [1, 2]}}"));
    alk_request_cancel(a.request);
    publish(f, f->admin, "a.b", "2");
    check_heard(&a, "{\"k\": [1, 2] ");
}

static void errors_say_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *op, *input, *want;
    } rows[] = {
        {"events/publish", "{\"topic\":\"a..b\",\"data\":1}", "!INVALID_INPUT"},
        {"events/publish", "{\"topic\":\"a.*\",\"data\":1}", "!INVALID_INPUT"},
        {"events/publish", "{\"topic\":\"a\",\"data\":{\"b\":1,\"b\":2}}", "!INVALID_INPUT"},
        {"events/publish", "{\"topic\":\"a\",\"data\":[1e999]}", "!INVALID_INPUT"},
        {"events/publish", "{\"topic\":\"a\",\"data\":1,\"event_id\":\"a\\u0000b\"}",
         "!INVALID_INPUT"},
        {"events/subscribe", "{\"topics\":[\"a*\"]}", "!INVALID_INPUT"},
        {"events/subscribe", "{\"topics\":[\"a\"],\"from\":9007199254740000}", "!INVALID_INPUT"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ops_call c = {.full = 0};
        ops_ask(&f->w, &c, f->admin, rows[i].op, rows[i].input);
        if (strncmp(c.heard, rows[i].want, strlen(rows[i].want)) != 0) {
            fail_msg("%s: %s", rows[i].input, c.heard);
        }
    }
    ops_check(&f->w, NULL, "events/publish", "{\"topic\":\"a\",\"data\":1}",
              "!UNAUTHENTICATED an identity is needed");
}

static void topics_without_a_rule_need_scopes(void **state)
{
    struct fixture *f = *state;
    struct ops_call a = {.full = 0}, b = {.full = 0}, c = {.full = 0};
    ops_ask(&f->w, &a, f->nobody, "events/subscribe", "{\"topics\":[\">\"]}");
    check_heard(&a, "!FORBIDDEN");
    ops_ask(&f->w, &b, f->reader, "events/publish", "{\"topic\":\"a\",\"data\":1}");
    check_heard(&b, "!FORBIDDEN");
    ops_ask(&f->w, &c, f->reader, "events/subscribe", "{\"topics\":[\">\"]}");
    publish(f, f->admin, "a", "1");
    check_heard(&c, "1 ");
    alk_request_cancel(c.request);
    ops_check(&f->w, f->nobody, "events/topics", "{}", "={\"topics\":[]}");
    ops_check(&f->w, f->reader, "events/topics", "{}",
              "={\"topics\":[{\"match\":\"git.push\",\"durable\":false,\"publish\":false,"
              "\"subscribe\":true},"
              "{\"match\":\">\",\"durable\":false,\"publish\":false,\"subscribe\":true}]}");
}

static void a_caller_that_takes_no_more_is_cut(void **state)
{
    struct fixture *f = *state;
    struct ops_call a = {.full = 1000}, b = {.full = 1};
    char why[256] = "";
    check_err(configure(f, "queue: {count: 2}", why, sizeof(why)), ALK_OK);
    ops_ask(&f->w, &a, f->reader, "events/subscribe", "{\"topics\":[\"a\"]}");
    ops_ask(&f->w, &b, f->reader, "events/subscribe", "{\"topics\":[\"a\"]}");
    publish(f, f->admin, "a", "1");
    publish(f, f->admin, "a", "2");
    check_heard(&b, "");
    alk_request_writable(b.request);
    ops_world_run(&f->w);
    check_heard(&b, "1 2 ");
    publish(f, f->admin, "a", "3");
    check_heard(&a, "?SLOW_CONSUMER");
    check_heard(&b, "1 2 3 ");
    alk_request_cancel(b.request);
}

static void rights_are_those_of_the_newest_identity(void **state)
{
    struct fixture *f = *state;
    struct ops_call a = {.full = 0}, b = {.full = 0}, c = {.full = 0};
    char why[256] = "";
    const struct alk_identity *other = ops_somebody("reader", "events:subscribe", "repo:two:read");
    check_err(configure(f,
                        "topics: [{match: 'git.push.*', publish: none,"
                        " resource: {type: repo, token: 3}}]",
                        why, sizeof(why)),
              ALK_OK);
    ops_ask(&f->w, &a, f->reader, "events/subscribe", "{\"topics\":[\"git.>\"]}");
    ops_ask(&f->w, &b, f->reader, "events/subscribe", "{\"topics\":[\"git.>\"]}");
    ops_ask(&f->w, &c, f->admin, "events/publish", "{\"topic\":\"git.push.one\",\"data\":1}");
    check_heard(&c, "!FORBIDDEN"); /* none is none, for admin too */
    struct alk_publish p = {.topic = ALK_LIT("git.push.one"), .data = ALK_LIT("1")};
    uint64_t seq = 0;
    struct alk_events *hub = alk_events_part_hub(f->part);
    check_err(alk_events_publish(hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
    p.topic = ALK_LIT("git.push.two");
    p.data = ALK_LIT("2");
    check_err(alk_events_publish(hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
    ops_world_run(&f->w);
    check_heard(&a, "1 ");
    alk_request_set_caller(a.request, other);
    alk_request_set_caller(b.request, f->nobody);
    check_err(alk_events_publish(hub, NULL, &p, NULL, NULL, &seq), ALK_OK);
    ops_world_run(&f->w);
    check_heard(&a, "1 2 ");
    check_heard(&b, "1 !FORBIDDEN");
    alk_request_cancel(a.request);
    alk_identity_unref(other);
}

static void durable_topics_need_a_data_directory(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";
    check_err(configure(f, "topics: [{match: a, durable: true}]", why, sizeof(why)), ALK_E_CONFIG);
    assert_string_equal(why, "durable topics need a data directory");
    publish(f, f->admin, "a", "1"); /* what was in force stays */
    void *next = NULL;
    check_err(alk_events_part.prepare(f->part, NULL, why, sizeof(why), &next), ALK_OK);
    alk_events_part.drop(f->part, next);
}

static void stopping_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct ops_call a = {.full = 0};
    ops_ask(&f->w, &a, f->reader, "events/subscribe", "{\"topics\":[\"a\"]}");
    alk_events_part.stop(f->part);
    f->part = NULL;
    ops_world_run(&f->w);
    check_heard(&a, "?UNAVAILABLE");
    ops_check(&f->w, f->admin, "events/topics", "{}", "!NOT_FOUND there is no such operation");
}

/* --- with a store ------------------------------------------ */

static bool has_answer(void *ctx)
{
    const struct ops_call *c = ctx;
    return c->ends > 0;
}

static void a_durable_publish_answers_when_it_is_stored(void **state)
{
    (void)state;
    struct events_world e;
    struct alk_ops *ops = NULL;
    struct alk_ops_options options = {.struct_size = sizeof(options)};
    const struct alk_identity *admin = ops_somebody("boss", "admin", NULL);
    struct ops_call p = {.full = 0}, again = {.full = 0}, a = {.full = 0}, b = {.full = 0};
    char why[256] = "", from[96];
    events_world_init(&e, NULL, "topics: [{match: few, durable: true, retain: {count: 1}}]");
    check_err(alk_ops_new(&options, &ops), ALK_OK);
    check_err(alk_events_add_ops(e.hub, ops, why, sizeof(why)), ALK_OK);
    struct ops_world w = {.loop = e.loop, .ops = ops};
    static const char *const input = "{\"topic\":\"few\",\"data\":1,\"event_id\":\"x\"}";
    ops_ask(&w, &p, admin, "events/publish", input);
    events_until(&e, has_answer, &p);
    assert_int_equal(strncmp(p.heard, "={\"seq\":", 8), 0);
    ops_ask(&w, &again, admin, "events/publish", input);
    events_until(&e, has_answer, &again);
    assert_string_equal(p.heard, again.heard);
    (void)events_publish(&e, "few", "2");
    /* Below retention: the number to go on from is in the details, and works. */
    (void)snprintf(from, sizeof(from), "{\"topics\":[\"few\"],\"from\":%.*s}",
                   (int)strcspn(p.heard + 8, "}"), p.heard + 8);
    ops_ask(&w, &a, admin, "events/subscribe", from);
    events_until(&e, has_answer, &a);
    const char *oldest = strstr(a.heard, "{\"oldest\":");
    assert_int_equal(strncmp(a.heard, "!EXPIRED ", 9), 0);
    assert_non_null(oldest);
    (void)snprintf(from, sizeof(from), "{\"topics\":[\"few\"],\"from\":%.*s}",
                   (int)strcspn(oldest + 10, "}"), oldest + 10);
    ops_ask(&w, &b, admin, "events/subscribe", from);
    while (b.heard[0] == '\0') {
        (void)alk_loop_run_once(e.loop, 1000);
    }
    check_heard(&b, "2 ");
    alk_request_cancel(b.request);
    alk_events_remove_ops(ops);
    events_world_fini(&e);
    alk_ops_free(ops);
    alk_identity_unref(admin);
}

enum { MANY = 10000 };

static alk_err count_responded(void *ctx, struct alk_request *r, struct alk_span output,
                               bool is_last)
{
    size_t *n = ctx;
    (void)r;
    assert_false(is_last);
    *n += output.n > 0;
    return ALK_OK;
}

static void count_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    (void)ctx;
    (void)r;
    fail_msg("%s", o->code);
}

/* As a caller does who reads it as a tree, from a frame. */
static alk_err read_responded(void *ctx, struct alk_request *r, struct alk_span output,
                              bool is_last)
{
    size_t *n = ctx;
    struct yyjson_doc *doc = NULL;
    struct alk_call_envelope e;
    struct alk_buf b;
    (void)r;
    assert_false(is_last);
    check_err(alk_json_parse(output, &doc), ALK_OK);
    yyjson_doc_free(doc);
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    check_err(alk_call_put_responded(&b, ALK_LIT("1"), output, (size_t)1 << 20), ALK_OK);
    check_err(alk_call_envelope_read(alk_span_tail(alk_buf_span(&b), 4), &e), ALK_OK);
    alk_buf_fini(&b);
    (*n)++;
    return ALK_OK;
}

static void publish_numbers(struct fixture *f, size_t n, const char *between, const char *want)
{
    struct ops_call p = {.full = 0};
    struct alk_buf b;
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    check_err(alk_buf_put_str(&b, "{\"topic\":\"t\",\"data\":[0"), ALK_OK);
    for (size_t i = 1; i < n; i++) {
        (void)alk_buf_put_str(&b, between);
        (void)alk_buf_put_u8(&b, '0');
    }
    check_err(alk_buf_put_str(&b, "]}"), ALK_OK);
    ops_ask(&f->w, &p, f->admin, "events/publish", alk_buf_cstr(&b));
    assert_int_equal(strncmp(p.heard, want, strlen(want)), 0);
    alk_buf_fini(&b);
}

/* Whoever reads an event bounds its values, as we do: one that has more would end the
 * subscription of everybody who hears it, a durable one each time that it is replayed. */
static void an_event_has_no_more_values_than_its_readers_take(void **state)
{
    static const struct alk_face face = {read_responded, count_ended};
    /* Of the event: itself, nine names and values, and the list. */
    static const size_t most = ALK_JSON_VALUES_MAX - 11;
    struct fixture *f = *state;
    struct alk_request *sub = NULL;
    size_t heard = 0;
    struct alk_start_spec spec = {.loop = f->w.loop,
                                  .op = ALK_LIT("events/subscribe"),
                                  .input = ALK_LIT("{\"topics\":[\"t\"]}"),
                                  .caller = f->reader};
    check_err(alk_ops_start(f->w.ops, &spec, &face, &heard, &sub), ALK_OK);
    ops_world_run(&f->w);
    publish_numbers(f, most, ",", "={\"seq\":");
    publish_numbers(f, most + 1, ",", "!TOO_LARGE the event is too large");
    publish_numbers(f, most, ", ", "={\"seq\":");
    publish_numbers(f, most + 1, ", ", "!TOO_LARGE the event is too large");
    assert_int_equal(heard, 2);
    alk_request_cancel(sub);
}

static void ten_thousand_callers_listen(void **state)
{
    (void)state;
    static const struct alk_face face = {count_responded, count_ended};
    struct meter m;
    struct alk_loop *loop = NULL;
    struct alk_ops *ops = NULL;
    void *part = NULL;
    char why[256] = "";
    size_t heard = 0;
    struct alk_request **all = calloc(MANY, sizeof(*all));
    const struct alk_identity *someone = ops_somebody("someone", "events:*", NULL);
    assert_non_null(all);
    meter_init(&m);
    struct alk_ops_options options = {.struct_size = sizeof(options), .mem = &m.mem};
    check_err(alk_loop_new(NULL, &loop), ALK_OK);
    check_err(alk_ops_new(&options, &ops), ALK_OK);
    struct alk_part_env env = {.mem = &m.mem, .ops = ops};
    check_err(alk_events_part.start(&env, why, sizeof(why), &part), ALK_OK);
    struct ops_world w = {.loop = loop, .ops = ops};
    size_t before = m.live;
    for (size_t i = 0; i < MANY; i++) {
        char input[64];
        (void)snprintf(input, sizeof(input), "{\"topics\":[\"sensor.n%zu.temperature\"]}", i);
        struct alk_start_spec spec = {.loop = loop,
                                      .op = ALK_LIT("events/subscribe"),
                                      .input = alk_span_str(input),
                                      .caller = someone};
        check_err(alk_ops_start(ops, &spec, &face, &heard, &all[i]), ALK_OK);
    }
    ops_world_run(&w);
    size_t each = (m.live - before) / MANY;
    print_message("%d subscriptions with their requests: %zu bytes each\n", MANY, each);
    assert_true(each < 4096);
    struct ops_call p = {.full = 0};
    ops_ask(&w, &p, someone, "events/publish",
            "{\"topic\":\"sensor.n77.temperature\",\"data\":20}");
    ops_world_run(&w);
    assert_int_equal(heard, 1);
    for (size_t i = 0; i < MANY; i++) {
        alk_request_cancel(all[i]);
    }
    alk_events_part.stop(part);
    ops_world_run(&w);
    alk_loop_free(loop);
    alk_ops_free(ops);
    assert_int_equal(m.live, 0);
    alk_identity_unref(someone);
    free(all);
}

static alk_err start_and_stop(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_ops *ops = NULL;
    struct alk_ops_options options = {.struct_size = sizeof(options)};
    void *part = NULL, *next = NULL;
    char why[256] = "";
    check_err(alk_ops_new(&options, &ops), ALK_OK);
    struct alk_part_env env = {.mem = mem, .ops = ops};
    const struct alk_conf *conf = section_of("topics: [{match: a, subscribe: any}]");
    alk_err err = alk_events_part.start(&env, why, sizeof(why), &part);
    if (err == ALK_OK) {
        err = alk_events_part.prepare(part, conf, why, sizeof(why), &next);
        if (err == ALK_OK) {
            alk_events_part.commit(part, next);
        }
        alk_events_part.stop(part);
    }
    alk_conf_unref(conf);
    alk_ops_free(ops);
    return err;
}

static void the_part_survives_lack_of_memory(void **state)
{
    (void)state;
    oom_sweep(start_and_stop, NULL);
}

/* One event: on its text, by way of a tree, with an id. */
static alk_err publish_once(struct ops_world *w, const struct alk_identity *who, const char *input)
{
    struct ops_call c = {.full = 0};
    struct alk_start_spec spec = {.loop = w->loop,
                                  .op = ALK_LIT("events/publish"),
                                  .input = alk_span_str(input),
                                  .caller = who};
    alk_err err = alk_ops_start(w->ops, &spec, &ops_call_face, &c, &c.request);
    if (err != ALK_OK) {
        return err;
    }
    ops_world_run(w);
    assert_int_equal(c.ends, 1);
    if (strncmp(c.heard, "={\"seq\":", 8) == 0) {
        return ALK_OK;
    }
    assert_memory_equal(c.heard, "?EXHAUSTED", 10);
    return ALK_E_NOMEM;
}

static alk_err publish_with(const struct alk_mem *mem, void *ctx)
{
    const struct alk_identity *who = ctx;
    struct alk_ops_options options = {.struct_size = sizeof(options), .mem = mem};
    struct ops_world w = {.loop = NULL};
    void *part = NULL;
    char why[256] = "";
    check_err(alk_loop_new(NULL, &w.loop), ALK_OK);
    alk_err err = alk_ops_new(&options, &w.ops);
    if (err == ALK_OK) {
        struct alk_part_env env = {.mem = mem, .ops = w.ops};
        err = alk_events_part.start(&env, why, sizeof(why), &part);
    }
    static const char *const inputs[] = {"{\"topic\":\"a\",\"data\":{\"b\":1}}",
                                         "{\"t\\u006fpic\":\"a\",\"data\":{\"b\":1}}",
                                         "{\"topic\":\"a\",\"data\":1,\"event_id\":\"x\"}"};
    for (size_t i = 0; i < 3 && err == ALK_OK; i++) {
        err = publish_once(&w, who, inputs[i]);
    }
    if (part != NULL) {
        alk_events_part.stop(part);
    }
    if (w.ops != NULL) {
        ops_world_run(&w);
    }
    alk_loop_free(w.loop);
    alk_ops_free(w.ops);
    return err;
}

static void publishing_survives_lack_of_memory(void **state)
{
    const struct alk_identity *admin = ops_somebody("boss", "admin", NULL);
    (void)state;
    oom_sweep(publish_with, (void *)(uintptr_t)admin);
    alk_identity_unref(admin);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_event_goes_from_publish_to_subscribe),
        T(errors_say_what_is_wrong),
        T(topics_without_a_rule_need_scopes),
        T(a_caller_that_takes_no_more_is_cut),
        T(rights_are_those_of_the_newest_identity),
        T(durable_topics_need_a_data_directory),
        T(stopping_ends_what_is_under_way),
        T(an_event_has_no_more_values_than_its_readers_take),
        cmocka_unit_test(a_durable_publish_answers_when_it_is_stored),
        cmocka_unit_test(ten_thousand_callers_listen),
        cmocka_unit_test(the_part_survives_lack_of_memory),
        cmocka_unit_test(publishing_survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
