/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hub with several loops, each on a thread of its own. */
#include "support/events_world.h"

#include "ops/part.h"

#include <ftw.h>
#include <pthread.h>

enum { LOOPS = 3, EACH = 400, SUBS = 4 };

/* What one subscription has seen of the publishers. */
struct ear {
    struct alk_event_sub *sub;
    struct side *side;
    uint64_t last;
    uint64_t next[LOOPS + 1]; /* of each publisher, counted in the data */
    size_t count;
    bool is_wrong, is_over;
};

struct side {
    struct world *w;
    struct alk_loop *loop;
    pthread_t thread;
    unsigned number;
    struct ear ears[SUBS];
    size_t published, acknowledged;
    atomic_size_t heard;
    struct alk_soon soon;
    const char *topic;
};

struct world {
    struct alk_events *hub;
    struct side sides[LOOPS];
    char dir[64];
    atomic_int ready;
    atomic_bool is_go;
    const char *topics[LOOPS];
};

static alk_err on_event(void *ctx, struct alk_span json)
{
    struct ear *ear = ctx;
    uint64_t seq = 0, who = 0, n = 0;
    const char *at = memmem(json.p, json.n, "\"seq\":", 6);
    struct alk_span rest = alk_span_tail(json, (size_t)((const uint8_t *)at - json.p) + 6);
    ear->is_wrong |= !alk_span_u64(alk_span_trim(alk_span_cut(&rest, ',')), UINT64_MAX, &seq);
    at = memmem(json.p, json.n, "\"data\":[", 8);
    rest = alk_span_tail(json, (size_t)((const uint8_t *)at - json.p) + 8);
    ear->is_wrong |= !alk_span_u64(alk_span_cut(&rest, ','), LOOPS, &who);
    ear->is_wrong |= !alk_span_u64(alk_span_cut(&rest, ']'), UINT64_MAX, &n);
    /* In order of the numbers, and of each publisher none missing. */
    ear->is_wrong |= seq <= ear->last || n != ear->next[who];
    ear->next[who] = n + 1;
    ear->last = seq;
    ear->count++;
    (void)atomic_fetch_add(&ear->side->heard, 1);
    return ALK_OK;
}

static void on_ended(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    struct ear *ear = ctx;
    (void)message;
    (void)oldest;
    ear->is_over = true;
    ear->is_wrong |= strcmp(code, "UNAVAILABLE") != 0;
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

static const struct alk_event_sink sink = {
    .event = on_event, .ended = on_ended, .caller = no_caller, .has_scope = every_scope};

static void on_published(void *ctx, alk_err err, uint64_t seq)
{
    struct side *s = ctx;
    (void)seq;
    s->acknowledged += err == ALK_OK;
}

static alk_err publish(struct world *w, struct side *s, unsigned who, size_t n, const char *topic)
{
    char data[32];
    uint64_t seq = 0;
    (void)snprintf(data, sizeof(data), "[%u,%zu]", who, n);
    struct alk_publish p = {.topic = alk_span_str(topic), .data = alk_span_str(data)};
    return alk_events_publish(w->hub, s == NULL ? NULL : s->loop, &p,
                              s == NULL ? NULL : on_published, s, &seq);
}

/* A few at a time, from within the loop. */
static void publish_some(void *ctx)
{
    struct side *s = ctx;
    if (!atomic_load(&s->w->is_go)) {
        alk_loop_soon(s->loop, &s->soon);
        return;
    }
    for (int i = 0; i < 20 && s->published < EACH; i++) {
        alk_err err = publish(s->w, s, s->number, s->published, s->topic);
        s->published += err == ALK_OK || err == ALK_MORE;
        s->acknowledged += err == ALK_OK;
    }
    if (s->published < EACH) {
        alk_loop_soon(s->loop, &s->soon);
    }
}

static void begin(void *ctx)
{
    struct side *s = ctx;
    struct alk_span patterns[] = {ALK_LIT("*.x"), ALK_LIT("d.>")};
    for (size_t i = 0; i < SUBS; i++) {
        s->ears[i].side = s;
        struct alk_event_listen o = {
            .loop = s->loop, .patterns = patterns, .count = 2, .sink = &sink, .ctx = &s->ears[i]};
        assert_int_equal(alk_events_subscribe(s->w->hub, &o, &s->ears[i].sub), ALK_OK);
    }
    s->soon = (struct alk_soon){.fn = publish_some, .ctx = s};
    alk_loop_soon(s->loop, &s->soon);
    (void)atomic_fetch_add(&s->w->ready, 1);
}

static void *side_main(void *arg)
{
    struct side *s = arg;
    alk_loop_run(s->loop);
    return NULL;
}

static void set_rules(struct world *w, const char *yaml)
{
    const struct alk_conf *conf = NULL;
    const struct alk_event_rules *rules = NULL;
    struct alk_conf_errors errors = {0};
    assert_int_equal(
        alk_conf_parse(NULL, alk_span_str(yaml), "events", alk_events_rows, &errors, &conf),
        ALK_OK);
    assert_int_equal(
        alk_event_rules_new(NULL, conf, alk_events_generation(w->hub), NULL, 0, &rules), ALK_OK);
    alk_events_set_rules(w->hub, rules);
    alk_event_rules_unref(rules);
    alk_conf_unref(conf);
}

static void start_world(struct world *w, const char *rules, const char *const *topics)
{
    struct alk_events_options o = {.seed = {5}};
    *w = (struct world){.dir = "/tmp/alknet-loops-XXXXXX"};
    atomic_init(&w->ready, 0);
    atomic_init(&w->is_go, false);
    assert_int_equal(alk_events_new(&o, &w->hub), ALK_OK);
    assert_non_null(mkdtemp(w->dir));
    struct alk_event_store *store = NULL;
    struct alk_event_log_options log = {.dir = w->dir, .writer = alk_events_writer(w->hub)};
    assert_int_equal(alk_event_log_open(&log, NULL, &store), ALK_OK);
    alk_events_set_store(w->hub, store);
    set_rules(w, rules);
    for (unsigned i = 0; i < LOOPS; i++) {
        struct side *s = &w->sides[i];
        s->w = w;
        s->number = i;
        s->topic = topics[i];
        atomic_init(&s->heard, 0);
        assert_int_equal(alk_loop_new(NULL, &s->loop), ALK_OK);
        assert_int_equal(alk_post(s->loop, begin, s), ALK_OK);
        assert_int_equal(pthread_create(&s->thread, NULL, side_main, s), 0);
    }
}

static void stop_threads(struct world *w)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        alk_loop_stop(w->sides[i].loop);
        assert_int_equal(pthread_join(w->sides[i].thread, NULL), 0);
    }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void end_world(struct world *w)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        alk_loop_free(w->sides[i].loop);
    }
    alk_events_unref(w->hub);
    assert_int_equal(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void wait_ready(struct world *w)
{
    while (atomic_load(&w->ready) < LOOPS) {
        (void)sched_yield();
    }
}

static void wait_heard(struct world *w, size_t each)
{
    alk_time limit = alk_clock_now() + 60 * ALK_SECOND;
    for (unsigned i = 0; i < LOOPS; i++) {
        while (atomic_load(&w->sides[i].heard) < each) {
            (void)sched_yield();
            assert_true(alk_clock_now() < limit);
        }
    }
}

static void check_all(const struct world *w, size_t publishers)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        const struct side *s = &w->sides[i];
        for (size_t k = 0; k < SUBS; k++) {
            assert_false(s->ears[k].is_wrong);
            assert_int_equal(s->ears[k].count, publishers * EACH);
        }
    }
}

/* Three loops and this thread publish; two of the topics are not durable, one is. */
static void every_loop_sees_all_events_in_one_order(void **state)
{
    (void)state;
    struct world w;
    static const char *const topics[] = {"a.x", "d.y", "c.x"};
    start_world(&w, "topics: [{match: 'd.>', durable: true}]", topics);
    wait_ready(&w);
    atomic_store(&w.is_go, true);
    for (size_t n = 0; n < EACH; n++) {
        assert_int_equal(publish(&w, NULL, LOOPS, n, "b.x"), ALK_OK);
    }
    wait_heard(&w, (size_t)(LOOPS + 1) * EACH * SUBS);
    stop_threads(&w);
    check_all(&w, LOOPS + 1);
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(w.sides[i].published, EACH);
    }
    alk_events_stop(w.hub);
    end_world(&w);
}

/* Rules change and the hub stops while everybody is busy: every publisher gets an
 * answer or a refusal, every subscription its end. */
static void it_stops_while_everybody_is_busy(void **state)
{
    (void)state;
    struct world w;
    static const char *const topics[] = {"a.x", "d.y", "d.z"};
    start_world(&w, "topics: [{match: 'd.>', durable: true}]", topics);
    wait_ready(&w);
    atomic_store(&w.is_go, true);
    for (int i = 0; i < 10; i++) {
        set_rules(&w, i % 2 == 0
                          ? "topics: [{match: 'd.>', durable: true}, {match: 'a.>', publish: any}]"
                          : "topics: [{match: 'd.>', durable: true}]");
        (void)publish(&w, NULL, LOOPS, 0, "other");
        (void)sched_yield();
    }
    alk_events_stop(w.hub);
    assert_int_equal(publish(&w, NULL, LOOPS, 0, "b.x"), ALK_E_CLOSED);
    alk_time limit = alk_clock_now() + 60 * ALK_SECOND;
    struct alk_events_stats s = {.subscriptions = 1};
    while (s.subscriptions > 0) {
        alk_events_stats(w.hub, &s);
        (void)sched_yield();
        assert_true(alk_clock_now() < limit);
    }
    /* A publisher that is refused tries again for ever. */
    stop_threads(&w);
    for (unsigned i = 0; i < LOOPS; i++) {
        for (size_t k = 0; k < SUBS; k++) {
            assert_true(w.sides[i].ears[k].is_over);
            assert_false(w.sides[i].ears[k].is_wrong);
        }
        assert_int_equal(w.sides[i].acknowledged, w.sides[i].published);
    }
    end_world(&w);
}

/* The loops go first, with subscriptions and publishers that wait. */
static void loops_may_end_before_the_hub(void **state)
{
    (void)state;
    struct world w;
    static const char *const topics[] = {"a.x", "d.y", "d.z"};
    start_world(&w, "topics: [{match: 'd.>', durable: true}]", topics);
    wait_ready(&w);
    atomic_store(&w.is_go, true);
    wait_heard(&w, 1);
    stop_threads(&w);
    for (unsigned i = 0; i < LOOPS; i++) {
        alk_loop_free(w.sides[i].loop);
        w.sides[i].loop = NULL;
        for (size_t k = 0; k < SUBS; k++) {
            assert_true(w.sides[i].ears[k].is_over);
        }
    }
    assert_int_equal(publish(&w, NULL, LOOPS, 0, "b.x"), ALK_OK);
    alk_events_stop(w.hub);
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loop_sees_all_events_in_one_order),
        cmocka_unit_test(it_stops_while_everybody_is_busy),
        cmocka_unit_test(loops_may_end_before_the_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
