/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/event_log.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "support/oom.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ENTRIES_MAX = 4096 };

struct slot {
    struct alk_event_entry entry;
    char topic[32], id[32];
    alk_err err;
    bool is_back;
};

struct fixture {
    char dir[64];
    const struct alk_mem *mem;
    struct alk_event_store *store;
    uint64_t next, now_ms, pages_max;
    size_t queue_max;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t back, batches, biggest;
    bool is_held; /* the store's thread waits in `number` */
    bool is_in_number;
    struct slot slots[ENTRIES_MAX];
    size_t n;
};

static uint64_t now_of(void *ctx)
{
    struct fixture *f = ctx;
    (void)pthread_mutex_lock(&f->lock);
    uint64_t now = f->now_ms;
    (void)pthread_mutex_unlock(&f->lock);
    return now;
}

static uint64_t number(void *ctx, size_t n)
{
    struct fixture *f = ctx;
    (void)pthread_mutex_lock(&f->lock);
    f->is_in_number = true;
    (void)pthread_cond_broadcast(&f->wake);
    while (f->is_held) {
        (void)pthread_cond_wait(&f->wake, &f->lock);
    }
    f->is_in_number = false;
    uint64_t first = f->next;
    f->next += n;
    f->batches++;
    f->biggest = n > f->biggest ? n : f->biggest;
    (void)pthread_mutex_unlock(&f->lock);
    return first;
}

static void written(void *ctx, struct alk_event_entry *batch, alk_err err)
{
    struct fixture *f = ctx;
    (void)pthread_mutex_lock(&f->lock);
    while (batch != NULL) {
        struct slot *s = ALK_CONTAINER(batch, struct slot, entry);
        batch = batch->next;
        s->err = err;
        s->is_back = true;
        f->back++;
    }
    (void)pthread_cond_broadcast(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
}

static alk_err try_open(struct fixture *f)
{
    char message[ALK_DB_MESSAGE_SIZE] = "";
    struct alk_event_log_options o = {.mem = f->mem,
                                      .dir = f->dir,
                                      .writer = {number, written, f},
                                      .now_ms = now_of,
                                      .now_ctx = f,
                                      .queue_max = f->queue_max,
                                      .pages_max = f->pages_max};
    return alk_event_log_open(&o, message, &f->store);
}

static void open_log(struct fixture *f)
{
    check_err(try_open(f), ALK_OK);
    uint64_t last = f->store->calls->last(f->store);
    f->next = last >= f->next ? last + 1 : f->next;
}

static void close_log(struct fixture *f)
{
    if (f->store != NULL) {
        f->store->calls->close(f->store);
        f->store = NULL;
    }
}

static void reopen(struct fixture *f)
{
    close_log(f);
    open_log(f);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return 1;
    }
    (void)snprintf(f->dir, sizeof(f->dir), "%s", "/tmp/alknet-events-XXXXXX");
    if (mkdtemp(f->dir) == NULL) {
        free(f);
        return 1;
    }
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->wake, NULL);
    f->next = 1;
    f->now_ms = 1000000;
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_log(f);
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_cond_destroy(&f->wake);
    int failed = nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return failed;
}

static void set_now(struct fixture *f, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&f->lock);
    f->now_ms = now_ms;
    (void)pthread_mutex_unlock(&f->lock);
}

/* Appends one; nothing is waited for. */
static alk_err try_append(struct fixture *f, const char *stream, const char *topic, const char *id,
                          struct alk_span data)
{
    assert_true(f->n < ENTRIES_MAX);
    struct slot *s = &f->slots[f->n];
    *s = (struct slot){0};
    (void)snprintf(s->topic, sizeof(s->topic), "%s", topic);
    (void)snprintf(s->id, sizeof(s->id), "%s", id);
    s->entry = (struct alk_event_entry){.stream = alk_span_str(stream),
                                        .topic = alk_span_str(s->topic),
                                        .publisher = ALK_LIT("laptop"),
                                        .event_id = alk_span_str(s->id),
                                        .data = data,
                                        .time_ms = now_of(f)};
    alk_err err = f->store->calls->append(f->store, &s->entry);
    f->n += err == ALK_OK;
    return err;
}

static void wait_all(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->lock);
    while (f->back < f->n) {
        (void)pthread_cond_wait(&f->wake, &f->lock);
    }
    (void)pthread_mutex_unlock(&f->lock);
}

/* Appends and waits until it is on disk. */
static struct slot *append(struct fixture *f, const char *stream, const char *topic, const char *id,
                           const char *data)
{
    struct slot *s = &f->slots[f->n];
    check_err(try_append(f, stream, topic, id, alk_span_str(data)), ALK_OK);
    wait_all(f);
    return s;
}

static void hold(struct fixture *f, bool is_held)
{
    (void)pthread_mutex_lock(&f->lock);
    f->is_held = is_held;
    (void)pthread_cond_broadcast(&f->wake);
    (void)pthread_mutex_unlock(&f->lock);
}

static void wait_held(struct fixture *f)
{
    (void)pthread_mutex_lock(&f->lock);
    while (!f->is_in_number) {
        (void)pthread_cond_wait(&f->wake, &f->lock);
    }
    (void)pthread_mutex_unlock(&f->lock);
}

/* --- reading ------------------------------------------------------------------- */

struct reader {
    struct fixture *f;
    struct alk_event_page page;
    const char *topic; /* NULL: all */
    const char *stream;
    size_t rows;
    uint64_t first, last;
    char text[256]; /* topic=data of each, as far as there is room */
    alk_err err;
    bool is_done;
    size_t fail_at;
};

static bool touches(void *ctx, struct alk_span stream)
{
    const struct reader *r = ctx;
    return r->stream == NULL || alk_span_is(stream, r->stream);
}

static bool wants(void *ctx, struct alk_span topic)
{
    const struct reader *r = ctx;
    return r->topic == NULL || alk_span_is(topic, r->topic);
}

static alk_err row(void *ctx, const struct alk_event_record *record)
{
    struct reader *r = ctx;
    if (r->fail_at != 0 && r->rows + 1 == r->fail_at) {
        return ALK_E_NOMEM;
    }
    assert_true(record->seq > r->last);
    r->first = r->rows == 0 ? record->seq : r->first;
    r->last = record->seq;
    r->rows++;
    size_t n = strlen(r->text);
    (void)snprintf(r->text + n, sizeof(r->text) - n, "%.*s=%.*s ", (int)record->topic.n,
                   (const char *)record->topic.p, (int)record->data.n,
                   (const char *)record->data.p);
    return ALK_OK;
}

static void page_done(void *ctx, struct alk_event_page *page, alk_err err)
{
    struct reader *r = ctx;
    (void)page;
    (void)pthread_mutex_lock(&r->f->lock);
    r->err = err;
    r->is_done = true;
    (void)pthread_cond_broadcast(&r->f->wake);
    (void)pthread_mutex_unlock(&r->f->lock);
}

static alk_err read_page(struct fixture *f, struct reader *r)
{
    r->f = f;
    r->is_done = false;
    r->page.touches = touches;
    r->page.wants = wants;
    r->page.row = row;
    r->page.done = page_done;
    r->page.ctx = r;
    f->store->calls->read(f->store, &r->page);
    (void)pthread_mutex_lock(&f->lock);
    while (!r->is_done) {
        (void)pthread_cond_wait(&f->wake, &f->lock);
    }
    (void)pthread_mutex_unlock(&f->lock);
    r->page.after = r->page.up_to;
    return r->err;
}

static void check_log(struct fixture *f, const char *want)
{
    struct reader r = {.page = {.is_earliest = true}};
    check_err(read_page(f, &r), ALK_OK);
    assert_true(r.page.is_end);
    assert_string_equal(r.text, want);
}

static void an_event_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    assert_int_equal(f->store->calls->last(f->store), 0);
    assert_int_equal(append(f, "a.>", "a.x", "", "1")->entry.seq, 1);
    assert_int_equal(append(f, "a.>", "a.y", "", "{\"b\":2}")->entry.seq, 2);
    check_log(f, "a.x=1 a.y={\"b\":2} ");
    reopen(f);
    assert_int_equal(f->store->calls->last(f->store), 2);
    assert_int_equal(append(f, "b", "b", "", "3")->entry.seq, 3);
    check_log(f, "a.x=1 a.y={\"b\":2} b=3 ");
}

static void the_next_batch_gathers_while_one_is_written(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    hold(f, true);
    check_err(try_append(f, "a", "a", "", ALK_LIT("0")), ALK_OK);
    wait_held(f);
    for (int i = 0; i < 300; i++) {
        check_err(try_append(f, "a", "a", "", ALK_LIT("1")), ALK_OK);
    }
    assert_int_equal(f->back, 0);
    hold(f, false);
    wait_all(f);
    assert_int_equal(f->batches, 2);
    assert_int_equal(f->biggest, 300);
    for (size_t i = 0; i < f->n; i++) {
        check_err(f->slots[i].err, ALK_OK);
        assert_int_equal(f->slots[i].entry.seq, i + 1);
    }
}

static void a_batch_is_bounded_in_events_and_bytes(void **state)
{
    struct fixture *f = *state;
    static char big[1 << 20];
    memset(big, '1', sizeof(big));
    open_log(f);
    hold(f, true);
    check_err(try_append(f, "a", "a", "", ALK_LIT("0")), ALK_OK);
    wait_held(f);
    for (int i = 0; i < ALK_EVENT_LOG_BATCH + 1; i++) {
        check_err(try_append(f, "a", "a", "", ALK_LIT("1")), ALK_OK);
    }
    hold(f, false);
    wait_all(f);
    assert_int_equal(f->biggest, ALK_EVENT_LOG_BATCH);
    f->biggest = 0;
    f->batches = 0;
    hold(f, true);
    for (int i = 0; i < 10; i++) {
        check_err(try_append(f, "a", "a", "", alk_span(big, sizeof(big))), ALK_OK);
    }
    hold(f, false);
    wait_all(f);
    assert_true(f->biggest <= 4);
    assert_true(f->batches >= 3);
}

static void a_full_queue_says_so(void **state)
{
    struct fixture *f = *state;
    f->queue_max = 3;
    open_log(f);
    hold(f, true);
    check_err(try_append(f, "a", "a", "", ALK_LIT("0")), ALK_OK);
    wait_held(f);
    for (int i = 0; i < 3; i++) {
        check_err(try_append(f, "a", "a", "", ALK_LIT("1")), ALK_OK);
    }
    check_err(try_append(f, "a", "a", "", ALK_LIT("2")), ALK_FULL);
    hold(f, false);
    wait_all(f);
    append(f, "a", "a", "", "3");
    check_log(f, "a=0 a=1 a=1 a=1 a=3 ");
}

static void a_clock_that_was_set_back_makes_event_ids_old(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    uint64_t then = 1000000;
    set_now(f, then);
    append(f, "a", "a", "one", "1");
    append(f, "a", "a", "two", "2");
    set_now(f, then - ALK_EVENT_DEDUP_AHEAD_MS);
    assert_true(append(f, "a", "a", "one", "3")->entry.is_duplicate);
    set_now(f, then - ALK_EVENT_DEDUP_AHEAD_MS - 1);
    assert_false(append(f, "a", "a", "one", "4")->entry.is_duplicate);
    assert_true(append(f, "a", "a", "one", "5")->entry.is_duplicate);
    /* What has been forgotten does not come back with the time. */
    set_now(f, then);
    assert_false(append(f, "a", "a", "two", "6")->entry.is_duplicate);
    check_log(f, "a=1 a=2 a=4 a=6 ");
}

static void an_event_id_counts_once_for_two_minutes(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    uint64_t first = append(f, "a", "a", "one", "1")->entry.seq;
    struct slot *s = append(f, "a", "a", "one", "2");
    assert_true(s->entry.is_duplicate);
    assert_int_equal(s->entry.seq, first);
    assert_false(append(f, "a", "b", "one", "3")->entry.is_duplicate); /* of another topic */
    reopen(f);
    set_now(f, 1000000 + ALK_EVENT_DEDUP_MS - 1);
    assert_true(append(f, "a", "a", "one", "4")->entry.is_duplicate);
    set_now(f, 1000000 + ALK_EVENT_DEDUP_MS);
    assert_false(append(f, "a", "a", "one", "5")->entry.is_duplicate);
    assert_true(append(f, "a", "a", "one", "6")->entry.is_duplicate);
    check_log(f, "a=1 b=3 a=5 ");
    /* Two in one batch. */
    hold(f, true);
    for (int i = 0; i < 2; i++) {
        check_err(try_append(f, "c", "c", "two", ALK_LIT("7")), ALK_OK);
    }
    hold(f, false);
    wait_all(f);
    assert_false(f->slots[f->n - 2].entry.is_duplicate);
    assert_true(f->slots[f->n - 1].entry.is_duplicate);
    assert_int_equal(f->slots[f->n - 1].entry.seq, f->slots[f->n - 2].entry.seq);
}

static void set_rule(struct fixture *f, struct alk_event_retain rule)
{
    struct alk_event_retain *copy = malloc(sizeof(*copy));
    assert_non_null(copy);
    *copy = rule;
    copy->stream = ALK_LIT("a");
    f->store->calls->retain(f->store, &(struct alk_event_retention){copy, 1, free, copy});
}

static void retention_by_count_and_by_size(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    set_rule(f, (struct alk_event_retain){.count = 2});
    append(f, "b", "b", "", "0");
    append(f, "a", "a", "", "1");
    append(f, "a", "a", "", "2");
    append(f, "a", "a", "", "3");
    check_log(f, "b=0 a=2 a=3 ");
    reopen(f);
    set_rule(f, (struct alk_event_retain){.count = 2});
    append(f, "a", "a", "", "4");
    check_log(f, "b=0 a=3 a=4 ");
    /* Each row counts its texts and 32 bytes: 40 here, so two fit. */
    set_rule(f, (struct alk_event_retain){.size = 80});
    append(f, "a", "a", "", "5");
    check_log(f, "b=0 a=4 a=5 ");
}

static void retention_by_age(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    set_rule(f, (struct alk_event_retain){.age_ms = 1000});
    append(f, "a", "a", "", "1");
    set_now(f, 1000500);
    append(f, "a", "a", "", "2");
    set_now(f, 1001400);
    append(f, "a", "a", "", "3");
    check_log(f, "a=2 a=3 ");
    /* Without a new event: new rules are applied at once. */
    set_now(f, 1002401);
    set_rule(f, (struct alk_event_retain){.age_ms = 1000});
    struct reader r = {.page = {.is_earliest = true}};
    check_err(read_page(f, &r), ALK_OK); /* the page may come before it */
    check_log(f, "");
}

static void a_reader_below_retention_is_told_where_it_can_start(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    set_rule(f, (struct alk_event_retain){.count = 1});
    append(f, "a", "a", "", "1");
    append(f, "b", "b", "", "2");
    append(f, "a", "a", "", "3");
    append(f, "a", "a", "", "4");
    struct reader r = {.stream = "a"};
    check_err(read_page(f, &r), ALK_E_EXPIRED);
    assert_int_equal(r.page.oldest, 4);
    r = (struct reader){.page = {.after = 3}, .stream = "a"};
    check_err(read_page(f, &r), ALK_OK);
    assert_string_equal(r.text, "a=4 ");
    /* Nothing was removed from b. */
    r = (struct reader){.stream = "b", .topic = "b"};
    check_err(read_page(f, &r), ALK_OK);
    assert_string_equal(r.text, "b=2 ");
    /* The earliest there is: no complaint, but what goes while it reads is a gap. */
    r = (struct reader){.page = {.is_earliest = true}, .topic = "b"};
    check_err(read_page(f, &r), ALK_OK);
    append(f, "a", "a", "", "5");
    r.page.after = 2;
    check_err(read_page(f, &r), ALK_E_EXPIRED);
    assert_int_equal(r.page.oldest, 5);
}

static void pages_are_bounded_and_join_without_a_gap(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    for (int i = 0; i < 600; i++) {
        check_err(try_append(f, "a", i % 2 == 0 ? "even" : "odd", "", ALK_LIT("1")), ALK_OK);
    }
    wait_all(f);
    struct reader r = {.topic = "even"};
    size_t pages = 0;
    do {
        check_err(read_page(f, &r), ALK_OK);
        pages++;
    } while (!r.page.is_end);
    assert_int_equal(r.rows, 300);
    assert_int_equal(pages, 2);
    assert_int_equal(r.page.up_to, 600);
    r = (struct reader){.fail_at = 3};
    check_err(read_page(f, &r), ALK_E_NOMEM);
    assert_int_equal(r.rows, 2);
}

static void a_full_disk_fails_the_batch_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static char big[64 << 10];
    memset(big, '2', sizeof(big));
    f->pages_max = 64; /* 256 KiB */
    open_log(f);
    append(f, "a", "a", "", "1");
    size_t failed = 0;
    for (int i = 0; i < 6; i++) {
        struct slot *s = &f->slots[f->n];
        check_err(try_append(f, "big", "big", "", alk_span(big, sizeof(big))), ALK_OK);
        wait_all(f);
        failed += s->err != ALK_OK;
        if (s->err != ALK_OK) {
            check_err(s->err, ALK_E_IO);
        }
    }
    assert_in_range(failed, 2, 5);
    /* Readers go on, and so do publishers once there is room. */
    struct reader r = {.topic = "a"};
    check_err(read_page(f, &r), ALK_OK);
    assert_string_equal(r.text, "a=1 ");
    f->pages_max = 0;
    reopen(f);
    check_err(append(f, "a", "a", "", "2")->err, ALK_OK);
    r = (struct reader){.topic = "a"};
    check_err(read_page(f, &r), ALK_OK);
    assert_string_equal(r.text, "a=1 a=2 ");
}

static void closing_writes_what_waits(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    for (int i = 0; i < 2000; i++) {
        check_err(try_append(f, "a", "a", "", ALK_LIT("1")), ALK_OK);
    }
    close_log(f);
    assert_int_equal(f->back, 2000);
    open_log(f);
    assert_int_equal(f->store->calls->last(f->store), 2000);
}

static void a_damaged_file_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/%s", f->dir, ALK_EVENT_LOG_FILE);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++) {
        assert_true(fputs("this is not a database at all; ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(try_open(f) < 0);
}

static alk_err open_write_close(const struct alk_mem *mem, void *ctx)
{
    struct fixture *f = ctx;
    f->mem = mem;
    ALK_TRY(try_open(f));
    f->n = f->back = 0;
    f->next = f->store->calls->last(f->store) + 1;
    set_rule(f, (struct alk_event_retain){.count = 5});
    alk_err err = append(f, "a", "a", "", "1")->err;
    close_log(f);
    return err;
}

static void the_log_survives_lack_of_memory(void **state)
{
    oom_sweep(open_write_close, *state);
}

/* --- kill -9 -------------------------------------------------------------------- */

struct child_state {
    struct fixture *f;
    int fd;
};

/* Acknowledges as a node would: after `written`, over a pipe to its client. */
static void child_written(void *ctx, struct alk_event_entry *batch, alk_err err)
{
    struct child_state *c = ctx;
    (void)pthread_mutex_lock(&c->f->lock);
    while (batch != NULL) {
        struct slot *s = ALK_CONTAINER(batch, struct slot, entry);
        batch = batch->next;
        uint64_t line[2] = {s->entry.seq, s->entry.time_ms};
        if (err != ALK_OK || write(c->fd, line, sizeof(line)) != (ssize_t)sizeof(line)) {
            _exit(3);
        }
        s->is_back = true;
    }
    (void)pthread_cond_broadcast(&c->f->wake);
    (void)pthread_mutex_unlock(&c->f->lock);
}

static uint64_t child_number(void *ctx, size_t n)
{
    struct child_state *c = ctx;
    c->f->next += n;
    return c->f->next - n;
}

/* Publishes without end: 64 events in flight, numbered in time_ms. */
static void child_main(struct fixture *f, int fd, uint64_t counter)
{
    struct child_state c = {f, fd};
    struct alk_event_log_options o = {.dir = f->dir, .writer = {child_number, child_written, &c}};
    if (alk_event_log_open(&o, NULL, &f->store) != ALK_OK) {
        _exit(4);
    }
    f->next = f->store->calls->last(f->store) + 1;
    for (size_t i = 0;; i++) {
        struct slot *s = &f->slots[i % 64];
        (void)pthread_mutex_lock(&f->lock);
        while (i >= 64 && !s->is_back) {
            (void)pthread_cond_wait(&f->wake, &f->lock);
        }
        s->is_back = false;
        (void)pthread_mutex_unlock(&f->lock);
        s->entry = (struct alk_event_entry){.stream = ALK_LIT("a"),
                                            .topic = ALK_LIT("a"),
                                            .publisher = ALK_LIT("p"),
                                            .data = ALK_LIT("{\"some\":\"data\"}"),
                                            .time_ms = ++counter};
        if (f->store->calls->append(f->store, &s->entry) != ALK_OK) {
            _exit(5);
        }
    }
}

struct audit {
    struct reader reader;
    uint64_t *seqs; /* by counter - 1; 0: not acknowledged */
    uint64_t last_counter;
    size_t found;
};

static alk_err audit_row(void *ctx, const struct alk_event_record *record)
{
    struct audit *a = ctx;
    assert_true(record->seq > a->reader.last);
    assert_true(record->time_ms > a->last_counter); /* in order of publishing */
    a->reader.last = record->seq;
    a->last_counter = record->time_ms;
    if (a->seqs[record->time_ms - 1] != 0) {
        assert_int_equal(a->seqs[record->time_ms - 1], record->seq);
        a->found++;
    }
    return ALK_OK;
}

static void audit_done(void *ctx, struct alk_event_page *page, alk_err err)
{
    struct audit *a = ctx;
    page_done(&a->reader, page, err);
}

static bool audit_touches(void *ctx, struct alk_span text)
{
    (void)ctx;
    (void)text;
    return true;
}

enum { COUNTERS_MAX = 4000000 };

/* Everything that was acknowledged is there, with its number, in order. */
static void check_acknowledged(struct fixture *f, uint64_t *seqs, size_t acknowledged)
{
    struct audit a = {.reader = {.f = f}, .seqs = seqs};
    f->next = 1;
    open_log(f);
    a.reader.page = (struct alk_event_page){.touches = audit_touches,
                                            .wants = audit_touches,
                                            .row = audit_row,
                                            .done = audit_done,
                                            .ctx = &a};
    do {
        a.reader.is_done = false;
        f->store->calls->read(f->store, &a.reader.page);
        (void)pthread_mutex_lock(&f->lock);
        while (!a.reader.is_done) {
            (void)pthread_cond_wait(&f->wake, &f->lock);
        }
        (void)pthread_mutex_unlock(&f->lock);
        check_err(a.reader.err, ALK_OK);
        a.reader.page.after = a.reader.page.up_to;
    } while (!a.reader.page.is_end);
    assert_int_equal(a.found, acknowledged);
    close_log(f);
}

static void nothing_acknowledged_is_lost_by_kill_9(void **state)
{
    struct fixture *f = *state;
    const char *soak = getenv("ALK_SOAK");
    int points = soak != NULL && soak[0] == '1' ? 50 : 4;
    uint64_t *seqs = calloc(COUNTERS_MAX, sizeof(*seqs));
    size_t acknowledged = 0;
    uint64_t highest = 0;
    struct alk_prng g;
    assert_non_null(seqs);
    alk_prng_init(&g, 77);
    for (int point = 0; point < points; point++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            (void)close(fds[0]);
            /* Far enough that numbers of unacknowledged ones are not used again. */
            child_main(f, fds[1], highest + 1000);
        }
        (void)close(fds[1]);
        size_t until = 1 + alk_prng_next(&g) % 600;
        uint64_t line[2];
        for (size_t i = 0; i < until; i++) {
            assert_int_equal(read(fds[0], line, sizeof(line)), sizeof(line));
            assert_true(line[1] <= COUNTERS_MAX);
            seqs[line[1] - 1] = line[0];
            highest = line[1];
            acknowledged++;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (read(fds[0], line, sizeof(line)) == (ssize_t)sizeof(line)) {
            seqs[line[1] - 1] = line[0];
            highest = line[1];
            acknowledged++;
        }
        (void)close(fds[0]);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        check_acknowledged(f, seqs, acknowledged);
    }
    print_message("%d kills, %zu events acknowledged\n", points, acknowledged);
    free(seqs);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(an_event_is_there_after_a_restart),
        T(the_next_batch_gathers_while_one_is_written),
        T(a_batch_is_bounded_in_events_and_bytes),
        T(a_full_queue_says_so),
        T(an_event_id_counts_once_for_two_minutes),
        T(a_clock_that_was_set_back_makes_event_ids_old),
        T(retention_by_count_and_by_size),
        T(retention_by_age),
        T(a_reader_below_retention_is_told_where_it_can_start),
        T(pages_are_bounded_and_join_without_a_gap),
        T(a_full_disk_fails_the_batch_and_nothing_else),
        T(closing_writes_what_waits),
        T(a_damaged_file_is_refused),
        T(the_log_survives_lack_of_memory),
        T(nothing_acknowledged_is_lost_by_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
