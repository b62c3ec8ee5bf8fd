/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The hub and a store: acknowledged when on disk, replayed, numbered in order. */
#include "support/events_world.h"

#define DURABLE                                                                                    \
    "topics: [{match: 'd.>', durable: true},"                                                      \
    " {match: 'few.>', durable: true, retain: {count: 2}}]"

static void a_durable_event_is_delivered_and_stays(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0}, c = {0};
    events_world_init(&w, NULL, DURABLE);
    events_listen(&w, &a, ">");
    uint64_t first = events_publish(&w, "d.x", "1");
    uint64_t second = events_publish(&w, "d.y", "2");
    uint64_t third = events_publish(&w, "lost", "3");
    assert_true(first < second && second < third);
    events_run(&w);
    assert_string_equal(a.heard, "d.x=1 d.y=2 lost=3 ");
    check_err(events_try_listen(&w, &b, ">", ALK_EVENTS_EARLIEST, 0), ALK_OK);
    check_err(events_try_listen(&w, &c, "d.*", ALK_EVENTS_SEQ, second), ALK_OK);
    events_publish(&w, "live", "4");
    events_publish(&w, "d.x", "5");
    while (b.count < 4 || c.count < 2) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    assert_string_equal(b.heard, "d.x=1 d.y=2 live=4 d.x=5 ");
    assert_string_equal(c.heard, "d.y=2 d.x=5 ");
    events_world_fini(&w);
}

static void numbers_go_on_after_a_restart(void **state)
{
    (void)state;
    struct events_world w, again;
    struct listener a = {0};
    char why[512] = "";
    events_world_init(&w, NULL, DURABLE);
    uint64_t durable = events_publish(&w, "d.x", "1");
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        last = events_publish(&w, "x", "2");
    }
    char dir[sizeof(w.dir)];
    memcpy(dir, w.dir, sizeof(dir));
    w.dir[0] = '\0'; /* stays */
    events_world_fini(&w);
    events_world_init(&again, NULL, NULL);
    atomic_store(&again.now_ns, 1000 * ALK_SECOND); /* the clock was set back, too */
    memcpy(again.dir, dir, sizeof(dir));
    check_err(events_rules(&again, DURABLE, why, sizeof(why)), ALK_OK);
    assert_true(events_publish(&again, "x", "3") > last);
    check_err(events_try_listen(&again, &a, "d.>", ALK_EVENTS_SEQ, durable), ALK_OK);
    while (a.count == 0) {
        (void)alk_loop_run_once(again.loop, 1000);
    }
    assert_string_equal(a.heard, "d.x=1 ");
    events_world_fini(&again);
}

static void below_retention_it_is_expired(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0}, b = {0};
    uint64_t seqs[4];
    events_world_init(&w, NULL, DURABLE);
    for (size_t i = 0; i < 4; i++) {
        seqs[i] = events_publish(&w, "few.x", "1");
    }
    check_err(events_try_listen(&w, &a, "few.x", ALK_EVENTS_SEQ, seqs[0]), ALK_OK);
    while (a.sub != NULL) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    assert_string_equal(a.code, "EXPIRED");
    assert_true(a.oldest > seqs[1] && a.oldest <= seqs[2]);
    check_err(events_try_listen(&w, &b, "few.x", ALK_EVENTS_SEQ, a.oldest), ALK_OK);
    while (b.count < 2) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    assert_int_equal(b.first, seqs[2]);
    events_world_fini(&w);
}

struct flood {
    struct events_world *w;
    size_t written;
};

static void flood_done(void *ctx, alk_err err, uint64_t seq)
{
    struct flood *f = ctx;
    (void)seq;
    check_err(err, ALK_OK);
    f->written++;
}

/* Several at once: nothing is waited for. */
static void flood(struct flood *f, const char *topic, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t seq = 0;
        struct alk_publish p = {.topic = alk_span_str(topic), .data = ALK_LIT("1")};
        alk_err err = alk_events_publish(f->w->hub, f->w->loop, &p, flood_done, f, &seq);
        f->written += err == ALK_OK;
        assert_true(err == ALK_OK || err == ALK_MORE);
    }
}

static void replay_and_live_join_without_gap_or_disorder(void **state)
{
    (void)state;
    struct events_world w;
    struct listener early = {0}, a[4] = {{0}};
    struct flood f = {.w = &w};
    events_world_init(&w, NULL, DURABLE);
    events_listen(&w, &early, "d.x");
    flood(&f, "d.x", 1500);
    while (f.written < 1500) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    uint64_t from = early.first;
    size_t total = 1500, plain = 0;
    for (size_t round = 0; round < 40; round++) {
        if (round % 10 == 0) {
            check_err(events_try_listen(&w, &a[round / 10], "d.x", ALK_EVENTS_SEQ, from), ALK_OK);
        }
        flood(&f, "d.x", 50);
        flood(&f, "x", 20); /* numbers in between */
        total += 50;
        plain += 20;
        (void)alk_loop_run_once(w.loop, 0);
    }
    while (f.written < total + plain || early.count < total || a[0].count < total ||
           a[1].count < total || a[2].count < total || a[3].count < total) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    events_run(&w);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(a[i].count, total);
        assert_false(a[i].is_out_of_order);
        assert_int_equal(a[i].last, early.last);
    }
    assert_false(early.is_out_of_order);
    events_world_fini(&w);
}

static void a_replay_waits_for_a_reader_that_is_slow(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    struct flood f = {.w = &w};
    events_world_init(&w, NULL, "{topics: [{match: 'd.>', durable: true}], queue: {count: 10}}");
    flood(&f, "d.x", 1000);
    while (f.written < 1000) {
        (void)alk_loop_run_once(w.loop, 1000);
    }
    check_err(events_try_listen(&w, &a, "d.x", ALK_EVENTS_EARLIEST, 0), ALK_OK);
    a.room = 1;
    while (a.count < 1000) {
        (void)alk_loop_run_once(w.loop, 10);
        if (a.room == 0) {
            events_take(&w, &a, 100);
        }
        assert_string_equal(a.code, "");
    }
    assert_false(a.is_out_of_order);
    events_world_fini(&w);
}

static void a_full_disk_is_told_to_the_publisher_alone(void **state)
{
    (void)state;
    struct events_world w;
    struct listener a = {0};
    struct alk_event_store *store = NULL;
    static char data[200001];
    uint64_t seq = 0;
    memset(data, '1', sizeof(data) - 1);
    events_world_init(&w, NULL, NULL);
    (void)snprintf(w.dir, sizeof(w.dir), "%s", "/tmp/alknet-hub-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    struct alk_event_log_options o = {
        .dir = w.dir, .writer = alk_events_writer(w.hub), .pages_max = 128};
    check_err(alk_event_log_open(&o, NULL, &store), ALK_OK);
    alk_events_set_store(w.hub, store);
    char why[256] = "";
    check_err(events_rules(&w, DURABLE, why, sizeof(why)), ALK_OK);
    events_listen(&w, &a, ">");
    alk_err err = ALK_OK;
    size_t stored = 0;
    for (int i = 0; i < 10 && err == ALK_OK; i++) {
        err = events_try_publish(&w, "d.x", data, NULL, &seq);
        stored += err == ALK_OK;
    }
    check_err(err, ALK_E_IO);
    events_publish(&w, "x", "1");
    events_run(&w);
    assert_int_equal(a.count, stored + 1); /* what failed reached nobody */
    events_world_fini(&w);
}

/* --- a store that is held, to look at numbers ------------------------------ */

struct fake {
    struct alk_event_store base;
    struct alk_event_writer writer;
    struct alk_event_entry *first, **end;
};

static alk_err fake_append(struct alk_event_store *store, struct alk_event_entry *entry)
{
    struct fake *f = ALK_CONTAINER(store, struct fake, base);
    *f->end = entry;
    f->end = &entry->next;
    entry->next = NULL;
    return ALK_OK;
}

static void fake_read(struct alk_event_store *store, struct alk_event_page *page)
{
    (void)store;
    (void)page;
    fail();
}

static void fake_retain(struct alk_event_store *store, const struct alk_event_retention *rules)
{
    (void)store;
    rules->release(rules->ctx);
}

static uint64_t fake_last(const struct alk_event_store *store)
{
    (void)store;
    return 0;
}

static void fake_begin(struct fake *f, size_t n)
{
    uint64_t first = f->writer.number(f->writer.ctx, n);
    for (struct alk_event_entry *e = f->first; e != NULL; e = e->next) {
        e->seq = first++;
    }
}

static void fake_end(struct fake *f, alk_err err)
{
    struct alk_event_entry *batch = f->first;
    f->first = NULL;
    f->end = &f->first;
    f->writer.written(f->writer.ctx, batch, err);
}

static void fake_close(struct alk_event_store *store)
{
    struct fake *f = ALK_CONTAINER(store, struct fake, base);
    if (f->first != NULL) {
        fake_begin(f, 1);
        fake_end(f, ALK_OK);
    }
}

static void while_the_disk_works_others_are_numbered_below_it_or_held(void **state)
{
    (void)state;
    static const struct alk_event_store_calls calls = {fake_append, fake_read, fake_retain,
                                                       fake_last, fake_close};
    struct events_world w;
    struct listener a = {0};
    struct flood f = {.w = &w};
    char why[256] = "";
    events_world_init(&w, NULL, NULL);
    struct fake store = {.base = {&calls}, .writer = alk_events_writer(w.hub)};
    store.end = &store.first;
    alk_events_set_store(w.hub, &store.base);
    check_err(events_rules(&w, DURABLE, why, sizeof(why)), ALK_OK);
    events_listen(&w, &a, ">");
    flood(&f, "d.x", 1);
    fake_begin(&store, 1);
    uint64_t base = store.first->seq;
    uint64_t low = events_publish(&w, "x", "1");
    assert_true(low < base); /* delivered at once */
    events_run(&w);
    assert_int_equal(a.count, 1);
    uint64_t seq = low;
    size_t n = 1;
    while (seq < base) {
        seq = events_publish(&w, "x", "2");
        n++;
        if (n % 200 == 0) {
            events_run(&w);
        }
    }
    events_publish(&w, "x", "3");
    assert_true(seq > base); /* the gap is used up: held */
    events_run(&w);
    assert_int_equal(a.count, n - 1);
    fake_end(&store, ALK_OK);
    events_run(&w);
    assert_int_equal(a.count, n + 2);
    assert_false(a.is_out_of_order);
    assert_int_equal(f.written, 1);
    /* Stopping writes what waits. */
    flood(&f, "d.x", 1);
    events_world_fini(&w);
    assert_int_equal(f.written, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_durable_event_is_delivered_and_stays),
        cmocka_unit_test(numbers_go_on_after_a_restart),
        cmocka_unit_test(below_retention_it_is_expired),
        cmocka_unit_test(replay_and_live_join_without_gap_or_disorder),
        cmocka_unit_test(a_replay_waits_for_a_reader_that_is_slow),
        cmocka_unit_test(a_full_disk_is_told_to_the_publisher_alone),
        cmocka_unit_test(while_the_disk_works_others_are_numbered_below_it_or_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
