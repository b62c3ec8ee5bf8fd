/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fs/read and fs/watch, and what a reload and the end of a loop do to them. */
#include "base/text.h"
#include "support/fs_world.h"
#include "support/oom.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- fs/read --------------------------------------------------------------------------- */

struct taker {
    struct fs_world *d;
    uint8_t *bytes;
    size_t n, pieces, piece_max;
    bool refuses, is_text;
    unsigned ends;
    char code[64];
};

static alk_err take_piece(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct taker *t = ctx;
    char head[48];
    (void)r;
    (void)is_last;
    if (t->refuses) {
        return ALK_FULL;
    }
    int k = snprintf(head, sizeof head, "{\"offset\":%zu,\"%s\":\"", t->n,
                     t->is_text ? "text" : "data");
    assert_true(alk_span_starts(output, alk_span_str(head)));
    struct alk_span data = alk_span_tail(output, (size_t)k);
    data = alk_span_head(data, alk_span_find(data, '"'));
    size_t n = data.n;
    if (t->is_text) {
        memcpy(t->bytes + t->n, data.p, n);
    } else {
        check_err(alk_unbase64(data, t->bytes + t->n, data.n, &n), ALK_OK);
    }
    t->n += n;
    t->piece_max = n > t->piece_max ? n : t->piece_max;
    t->pieces++;
    return ALK_OK;
}

static void take_end(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct taker *t = ctx;
    (void)r;
    (void)snprintf(t->code, sizeof t->code, "%s", o->code == NULL ? "" : o->code);
    t->ends++;
}

static bool taker_has_ended(void *ctx)
{
    return ((struct taker *)ctx)->ends > 0;
}

static struct alk_request *take(struct taker *t, struct fs_world *d, const char *input)
{
    static const struct alk_face face = {take_piece, take_end};
    struct alk_request *r = NULL;
    struct alk_start_spec spec = {.loop = d->p.w.loop,
                                  .op = ALK_LIT("fs/read"),
                                  .input = alk_span_str(input),
                                  .caller = d->p.root};
    t->d = d;
    check_err(alk_ops_start(d->p.w.ops, &spec, &face, t, &r), ALK_OK);
    return r;
}

static uint8_t *random_bytes(size_t n)
{
    uint8_t *p = malloc(n);
    uint32_t x = 12345;
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (uint8_t)(x >> 24);
    }
    return p;
}

static void a_file_comes_whole_in_pieces(void **state)
{
    static const size_t sizes[] = {1, ALK_FS_CHUNK - 1, ALK_FS_CHUNK, ALK_FS_CHUNK + 1, 1000000};
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *want = random_bytes(sizes[i]);
        struct taker t = {.bytes = malloc(sizes[i] + 1)};
        fs_put(&d, "big", (const char *)want, sizes[i]);
        (void)take(&t, &d, "{\"path\": \"big\"}");
        part_world_until(&d.p, taker_has_ended, &t);
        assert_string_equal(t.code, "");
        assert_int_equal(t.n, sizes[i]);
        assert_memory_equal(t.bytes, want, sizes[i]);
        assert_int_equal(t.pieces, (sizes[i] + ALK_FS_CHUNK - 1) / ALK_FS_CHUNK);
        free(want);
        free(t.bytes);
    }
    fs_world_fini(&d);
}

static void a_range_is_read_and_nothing_else(void **state)
{
    static const struct {
        const char *range, *data;
    } rows[] = {
        {"\"offset\": 1", "\"offset\":1,\"data\":\"ZWxsbw==\""},
        {"\"offset\": 1, \"length\": 2", "\"offset\":1,\"data\":\"ZWw=\""},
        {"\"length\": 1", "\"offset\":0,\"data\":\"aA==\""},
        {"\"offset\": 4, \"length\": 9007199254740991", "\"offset\":4,\"data\":\"bw==\""},
        {"\"offset\": 5", NULL},
        {"\"length\": 0", NULL},
        {"\"offset\": 9223372036854775807", NULL},
    };
    struct fs_world d;
    struct ops_call c = {.full = 0};
    char input[160];
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(input, sizeof input, "{\"path\": \"file\", %s}", rows[i].range);
        part_ask(&d.p, &c, "fs/read", input);
        if (rows[i].data == NULL ? strcmp(c.heard, ".") != 0
                                 : strstr(c.heard, rows[i].data) == NULL) {
            fail_msg("%s: %s", rows[i].range, c.heard);
        }
    }
    fs_world_fini(&d);
}

/* However characters fall on the ends of pieces. */
static void text_is_cut_between_characters(void **state)
{
    static const char *const chars[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < 4; i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            size_t n = strlen(chars[i]);
            size_t total = shift + n * 50000;
            char *want = malloc(total);
            struct taker t = {.bytes = malloc(total + 1), .is_text = true};
            memset(want, 'x', shift);
            for (size_t k = 0; k < 50000; k++) {
                memcpy(want + shift + k * n, chars[i], n);
            }
            fs_put(&d, "text", want, total);
            (void)take(&t, &d, "{\"path\": \"text\", \"text\": true}");
            part_world_until(&d.p, taker_has_ended, &t);
            assert_string_equal(t.code, "");
            assert_int_equal(t.n, total);
            assert_memory_equal(t.bytes, want, total);
            free(want);
            free(t.bytes);
        }
    }
    fs_world_fini(&d);
}

static void what_is_not_text_says_so(void **state)
{
    static const char *const bad[] = {"\xff", "a\xc3",    "\xe2\x82",     "\xf0\x9f\x98",
                                      "\x80", "\xc0\x80", "\xed\xa0\x80", "ok\xf5"};
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fs_put_text(&d, "bad", bad[i]);
        part_check(&d.p, "fs/read", "{\"path\": \"bad\", \"text\": true}",
                   "!NOT_TEXT the file is not UTF-8: read it as data");
    }
    fs_put_text(&d, "bad", "\xe2\x82\xac!"); /* the range ends within a character */
    part_check(&d.p, "fs/read", "{\"path\": \"bad\", \"text\": true, \"length\": 2}", ".");
    part_ask(&d.p, &c, "fs/read", "{\"path\": \"bad\", \"text\": true, \"length\": 3}");
    fs_check_begins(&c, "~{\"offset\":0,\"text\":\"\xe2\x82\xac\",\"size\":4");
    fs_world_fini(&d);
}

static bool nothing_works(void *ctx)
{
    (void)ctx;
    return alk_work_count() == 0;
}

/* Nothing is read ahead while an answer waits. */
static void a_slow_reader_makes_the_node_wait(void **state)
{
    size_t n = 10 * ALK_FS_CHUNK;
    struct fs_world d;
    struct taker t = {.refuses = true, .bytes = malloc(n + 1)};
    (void)state;
    fs_world_init(&d);
    uint8_t *want = random_bytes(n);
    fs_put(&d, "big", (const char *)want, n);
    struct alk_request *r = take(&t, &d, "{\"path\": \"big\"}");
    ops_world_run(&d.p.w);
    part_world_until(&d.p, nothing_works, NULL);
    ops_world_run(&d.p.w);
    assert_int_equal(alk_work_count(), 0);
    assert_int_equal(t.n, 0);
    /* What is behind the first piece changes: it has not been read yet. */
    want[n - 1] ^= 0xff;
    fs_put(&d, "big", (const char *)want, n);
    t.refuses = false;
    alk_request_writable(r);
    part_world_until(&d.p, taker_has_ended, &t);
    assert_int_equal(t.n, n);
    assert_memory_equal(t.bytes, want, n);
    free(want);
    free(t.bytes);
    fs_world_fini(&d);
}

static void open_files_are_limited(void **state)
{
    static struct taker t[ALK_FS_READ_MAX + 1];
    static struct alk_request *r[ALK_FS_READ_MAX];
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i <= ALK_FS_READ_MAX; i++) {
        t[i] = (struct taker){.refuses = true};
        struct alk_request *one = take(&t[i], &d, "{\"path\": \"file\"}");
        if (i < ALK_FS_READ_MAX) {
            r[i] = one;
        }
        ops_world_run(&d.p.w);
    }
    part_world_until(&d.p, taker_has_ended, &t[ALK_FS_READ_MAX]);
    assert_string_equal(t[ALK_FS_READ_MAX].code, "EXHAUSTED");
    for (size_t i = 0; i < ALK_FS_READ_MAX; i++) {
        assert_int_equal(t[i].ends, 0);
        alk_request_cancel(r[i]);
    }
    ops_world_run(&d.p.w);
    part_world_until(&d.p, nothing_works, NULL);
    ops_world_run(&d.p.w);
    struct ops_call c = {.full = 0};
    part_ask(&d.p, &c, "fs/read", "{\"path\": \"file\"}"); /* there is room again */
    assert_int_equal(c.heard[0], '~');
    fs_world_fini(&d);
}

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

/* At every point: before it begins, while a thread has it, while an answer waits. */
static void a_read_may_be_cancelled_at_any_time(void **state)
{
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    uint8_t *bytes = random_bytes(3 * ALK_FS_CHUNK);
    fs_put(&d, "big", (const char *)bytes, 3 * ALK_FS_CHUNK);
    for (unsigned turns = 0; turns < 12; turns++) {
        struct taker t = {.refuses = turns % 2 == 0, .bytes = malloc(4 * ALK_FS_CHUNK)};
        struct alk_request *r = take(&t, &d, "{\"path\": \"big\"}");
        for (unsigned i = 0; i < turns && t.ends == 0; i++) {
            (void)alk_loop_run_once(d.p.w.loop, 5);
        }
        if (t.ends == 0) {
            alk_request_cancel(r);
        }
        ops_world_run(&d.p.w);
        part_world_until(&d.p, nothing_works, NULL);
        ops_world_run(&d.p.w);
        free(t.bytes);
    }
    free(bytes);
    fs_world_fini(&d);
}

/* --- fs/watch ----------------------------------------------------------------------------- */

static bool has_two(void *ctx)
{
    const struct ops_call *c = ctx;
    const char *first = strchr(c->heard, '~');
    return first != NULL && strchr(first + 1, '~') != NULL;
}

/* In force when there is no work any more: it is opened on a thread. */
static void watch(struct fs_world *d, struct ops_call *c, const char *input)
{
    ops_ask(&d->p.w, c, d->p.root, "fs/watch", input);
    part_world_until(&d->p, nothing_works, NULL);
    ops_world_run(&d->p.w);
}

static void changes_are_told_and_those_of_one_name_become_one(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    watch(&d, &c, "{\"path\": \"docs\"}");
    for (int i = 0; i < 100; i++) {
        fs_put_text(&d, "docs/a", "again");
    }
    fs_put_text(&d, "docs/new", "1");
    fs_put_text(&d, "docs/gone", "1");
    assert_int_equal(unlink(fs_at(&d, "docs/gone")), 0);
    part_world_until(&d.p, has_two, &c);
    assert_string_equal(c.heard,
                        "~{\"what\":\"changed\",\"name\":\"a\"}~{\"what\":\"created\",\"name\":"
                        "\"new\"}~{\"what\":\"removed\",\"name\":\"gone\"}");
    alk_request_cancel(c.request);
    fs_world_fini(&d);
}

static void a_directory_that_goes_ends_its_watch(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 1};
    (void)state;
    fs_world_init(&d);
    watch(&d, &c, "{\"path\": \"docs\"}");
    assert_int_equal(unlink(fs_at(&d, "docs/a")), 0);
    assert_int_equal(rmdir(fs_at(&d, "docs")), 0);
    while (c.full > 0) { /* refused at first, and told all the same */
        (void)alk_loop_run_once(d.p.w.loop, 100);
    }
    alk_request_writable(c.request);
    part_world_until(&d.p, part_call_has_ended, &c);
    assert_string_equal(c.heard, "~{\"what\":\"removed\",\"name\":\"a\"}~{\"what\":\"removed\"}.");
    fs_world_fini(&d);
}

static void a_slow_watcher_hears_the_latest_or_of_an_overflow(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 1};
    char name[32];
    (void)state;
    fs_world_init(&d);
    watch(&d, &c, "{\"path\": \"docs\"}");
    fs_put_text(&d, "docs/a", "x");
    while (c.full > 0) {
        (void)alk_loop_run_once(d.p.w.loop, 100);
    }
    fs_put_text(&d, "docs/b", "x");
    ops_world_until(&d.p.w, alk_clock_now() + 100 * ALK_MS);
    alk_request_writable(c.request);
    part_world_until(&d.p, has_two, &c);
    assert_string_equal(c.heard,
                        "~{\"what\":\"changed\",\"name\":\"a\"}~{\"what\":\"created\",\"name\":"
                        "\"b\"}");
    c.heard[0] = '\0';
    c.full = 1;
    fs_put_text(&d, "docs/c", "x");
    while (c.full > 0) {
        (void)alk_loop_run_once(d.p.w.loop, 100);
    }
    for (unsigned i = 0; i < ALK_FS_CHANGES_MAX + 1; i++) {
        (void)snprintf(name, sizeof name, "docs/n%u", i);
        fs_put_text(&d, name, "");
    }
    ops_world_until(&d.p.w, alk_clock_now() + 100 * ALK_MS);
    alk_request_writable(c.request);
    part_world_until(&d.p, has_two, &c);
    assert_string_equal(c.heard, "~{\"what\":\"created\",\"name\":\"c\"}~{\"what\":\"overflow\"}");
    alk_request_cancel(c.request);
    fs_world_fini(&d);
}

static void watches_are_limited(void **state)
{
    static struct ops_call c[ALK_FS_WATCH_MAX + 1];
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < ALK_FS_WATCH_MAX; i++) {
        watch(&d, &c[i], "{\"path\": \"docs\"}");
        assert_int_equal(c[i].ends, 0);
    }
    part_check(&d.p, "fs/watch", "{\"path\": \"docs\"}", "?EXHAUSTED too much is under way");
    for (size_t i = 0; i < ALK_FS_WATCH_MAX; i++) {
        alk_request_cancel(c[i].request);
    }
    ops_world_run(&d.p.w);
    watch(&d, &c[0], "{\"path\": \"docs\"}");
    assert_int_equal(c[0].ends, 0);
    alk_request_cancel(c[0].request);
    fs_world_fini(&d);
}

/* --- reloads and ends ----------------------------------------------------------------------- */

static void without_a_root_there_are_no_operations(void **state)
{
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    part_world_configure(&d.p, "{}");
    part_check(&d.p, "fs/list", "{\"path\": \"\"}", "!NOT_FOUND there is no such operation");
    fs_configure(&d, "");
    part_check(&d.p, "fs/mkdir", "{\"path\": \"new\"}", "={}");
    fs_world_fini(&d);
}

static void a_root_that_cannot_be_used_leaves_the_old_one(void **state)
{
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    check_err(part_world_try(&d.p, "fs: {root: /nonexistent/here}"), ALK_E_NOENT);
    assert_non_null(strstr(d.p.why, "services.call.fs.root: cannot use /nonexistent/here"));
    check_err(part_world_try(&d.p, "fs: {root: relative}"), ALK_E_CONFIG);
    check_err(part_world_try(&d.p, "fs: {}"), ALK_E_CONFIG);
    part_check(&d.p, "fs/mkdir", "{\"path\": \"new\"}", "={}");
    fs_world_fini(&d);
}

/* With the same rules and with others. */
static void a_reload_moves_new_requests_and_leaves_open_ones(void **state)
{
    static const char *const more[] = {"", ", read: admin"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fs_world d;
        struct ops_call watcher = {.full = 0}, c = {.full = 0};
        char yaml[256];
        size_t n = 5 * ALK_FS_CHUNK;
        struct taker t = {.refuses = true, .bytes = malloc(n)};
        uint8_t *want = random_bytes(n);
        fs_world_init(&d);
        fs_put(&d, "big", (const char *)want, n);
        watch(&d, &watcher, "{\"path\": \"docs\"}");
        struct alk_request *r = take(&t, &d, "{\"path\": \"big\"}");
        ops_world_run(&d.p.w);
        part_world_until(&d.p, nothing_works, NULL);
        (void)snprintf(yaml, sizeof yaml, "fs: {root: %s/docs%s}", d.dir, more[i]);
        part_world_configure(&d.p, yaml);
        part_check(&d.p, "fs/stat", "{\"path\": \"big\"}", "!NOT_FOUND no such file or entry");
        part_ask(&d.p, &c, "fs/stat", "{\"path\": \"a\"}");
        assert_int_equal(c.heard[0], '=');
        t.refuses = false;
        alk_request_writable(r);
        part_world_until(&d.p, taker_has_ended, &t);
        assert_int_equal(t.n, n);
        assert_memory_equal(t.bytes, want, n);
        fs_put_text(&d, "docs/b", "x");
        part_world_until(&d.p, part_call_has_heard, &watcher);
        assert_string_equal(watcher.heard, "~{\"what\":\"created\",\"name\":\"b\"}");
        alk_request_cancel(watcher.request);
        free(want);
        free(t.bytes);
        fs_world_fini(&d);
    }
}

/* As when a node ends in the middle: nothing is cancelled before. */
static void a_loop_that_goes_ends_what_is_open(void **state)
{
    struct fs_world d;
    struct ops_call w = {.full = 0}, job;
    struct taker waiting = {.refuses = true}, working = {.refuses = true};
    (void)state;
    size_t before = count_fds();
    fs_world_init(&d);
    watch(&d, &w, "{\"path\": \"docs\"}");
    (void)take(&waiting, &d, "{\"path\": \"file\"}");
    ops_world_run(&d.p.w);
    part_world_until(&d.p, nothing_works, NULL);
    (void)take(&working, &d, "{\"path\": \"file\"}");
    job.full = 0;
    ops_ask(&d.p.w, &job, d.p.root, "fs/stat", "{\"path\": \"file\"}");
    fs_world_fini(&d);
    assert_string_equal(w.heard, "?UNAVAILABLE not available now");
    assert_string_equal(waiting.code, "UNAVAILABLE");
    assert_int_equal(working.ends, 1);
    assert_int_equal(job.ends, 1);
    assert_true(count_fds() <= before + 1); /* what libuv keeps for its threads */
}

static alk_err all_of_it(const struct alk_mem *mem, void *ctx)
{
    struct fs_world *d = ctx;
    struct ops_call c = {.full = 0};
    static const char *const calls[][2] = {
        {"fs/list", "{\"path\": \"docs\"}"},
        {"fs/stat", "{\"path\": \"docs\"}"},
        {"fs/read", "{\"path\": \"docs/a\"}"},
        {"fs/write", "{\"path\": \"docs/w\", \"text\": \"x\"}"},
    };
    char yaml[128];
    part_world_init(&d->p, &alk_fs_part, fs_world_table, mem, false);
    (void)snprintf(yaml, sizeof yaml, "fs: {root: %s}", d->dir);
    alk_err err = d->p.state == NULL ? ALK_E_NOMEM : part_world_try(&d->p, yaml);
    for (size_t i = 0; i < 4 && err == ALK_OK; i++) {
        part_ask(&d->p, &c, calls[i][0], calls[i][1]);
        assert_int_equal(c.ends, 1);
        if (c.heard[0] == '?') {
            fs_check_begins(&c, "?EXHAUSTED");
            err = ALK_E_NOMEM;
        }
    }
    if (err == ALK_OK) {
        watch(d, &c, "{\"path\": \"docs\"}");
        if (c.ends == 0) {
            fs_put_text(d, "docs/a", "x");
            part_world_until(&d->p, part_call_has_heard, &c);
            err = strstr(c.heard, "overflow") != NULL ? ALK_E_NOMEM : ALK_OK;
            alk_request_cancel(c.request);
        } else {
            err = ALK_E_NOMEM;
        }
    }
    part_world_fini(&d->p);
    return err;
}

static void memory_that_runs_out_fails_a_request_alone(void **state)
{
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    part_world_fini(&d.p);
    oom_sweep(all_of_it, &d);
    part_world_init(&d.p, &alk_fs_part, fs_world_table, NULL, false);
    fs_world_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_whole_in_pieces),
        cmocka_unit_test(a_range_is_read_and_nothing_else),
        cmocka_unit_test(text_is_cut_between_characters),
        cmocka_unit_test(what_is_not_text_says_so),
        cmocka_unit_test(a_slow_reader_makes_the_node_wait),
        cmocka_unit_test(open_files_are_limited),
        cmocka_unit_test(a_read_may_be_cancelled_at_any_time),
        cmocka_unit_test(changes_are_told_and_those_of_one_name_become_one),
        cmocka_unit_test(a_directory_that_goes_ends_its_watch),
        cmocka_unit_test(a_slow_watcher_hears_the_latest_or_of_an_overflow),
        cmocka_unit_test(watches_are_limited),
        cmocka_unit_test(without_a_root_there_are_no_operations),
        cmocka_unit_test(a_root_that_cannot_be_used_leaves_the_old_one),
        cmocka_unit_test(a_reload_moves_new_requests_and_leaves_open_ones),
        cmocka_unit_test(a_loop_that_goes_ends_what_is_open),
        cmocka_unit_test(memory_that_runs_out_fails_a_request_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
