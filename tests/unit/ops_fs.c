/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operations fs/...: answers, codes, pieces, changes, cancelling. */
#include "ops/fs.h"

#include "alknet/conf.h"
#include "base/text.h"
#include "core/store/file.h"
#include "ops/part.h"
#include "support/oom.h"
#include "support/ops_world.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/alk-fs-XXXXXX";

struct desk {
    struct ops_world w;
    void *part;
    const struct alk_identity *reader, *writer;
};

static const char *at(const char *name)
{
    static char path[PATH_MAX];
    assert_true(alk_file_join(dir, name, path, sizeof path));
    return path;
}

static alk_err configure(struct desk *d, const char *yaml, char *why, size_t why_size)
{
    const struct alk_conf *conf = NULL;
    struct alk_conf_errors errors = {0};
    void *next = NULL;
    if (yaml != NULL) {
        check_err(alk_conf_parse(NULL, alk_span_str(yaml), "test", alk_fs_rows, &errors, &conf),
                  ALK_OK);
    }
    alk_err err = alk_fs_part.prepare(d->part, conf, why, why_size, &next);
    if (err == ALK_OK) {
        alk_fs_part.commit(d->part, next);
    }
    alk_conf_unref(conf); /* the part has its own reference */
    alk_conf_errors_fini(&errors);
    return err;
}

static void begin(struct desk *d)
{
    char yaml[PATH_MAX], why[256] = "";
    (void)snprintf(dir, sizeof dir, "/tmp/alk-fs-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *d = (struct desk){.part = NULL};
    ops_world_init(&d->w, NULL);
    const struct alk_part_env env = {.ops = d->w.ops};
    check_err(alk_fs_part.start(&env, why, sizeof why, &d->part), ALK_OK);
    (void)snprintf(yaml, sizeof yaml, "root: %s\n", dir);
    check_err(configure(d, yaml, why, sizeof why), ALK_OK);
    d->reader = ops_somebody("reader", "fs:read", NULL);
    d->writer = ops_somebody("writer", "fs:read,fs:write", NULL);
}

static void remove_all(const char *path)
{
    DIR *all = opendir(path);
    const struct dirent *e;
    while (all != NULL && (e = readdir(all)) != NULL) {
        char sub[PATH_MAX];
        if (e->d_name[0] != '.') {
            assert_true((size_t)snprintf(sub, sizeof sub, "%s/%s", path, e->d_name) < sizeof sub);
            if (unlink(sub) != 0) {
                remove_all(sub);
            }
        }
    }
    if (all != NULL) {
        (void)closedir(all);
    }
    assert_int_equal(rmdir(path), 0); /* nothing hidden was left either */
}

static void end(struct desk *d)
{
    alk_fs_part.stop(d->part);
    alk_identity_unref(d->reader);
    alk_identity_unref(d->writer);
    ops_world_fini(&d->w);
    remove_all(dir);
}

/* Until a condition of the call, with the threads at work. */
#define WAIT(d, condition)                                                                         \
    do {                                                                                           \
        for (unsigned turn_ = 0; !(condition); turn_++) {                                          \
            assert_true(turn_ < 1000);                                                             \
            (void)alk_loop_run_once((d)->w.loop, 10);                                              \
        }                                                                                          \
    } while (0)

static void ask(struct desk *d, const struct alk_identity *who, const char *op, const char *input,
                const char *want)
{
    struct ops_call c = {.full = 0};
    ops_start(&d->w, &c, who, op, input);
    WAIT(d, c.ends == 1);
    ops_world_run(&d->w);
    if (strcmp(c.heard, want) != 0) {
        fail_msg("%s %s\n got  %s\n want %s", op, input, c.heard, want);
    }
}

/* As the reader; the answer is one piece that begins like this, then the end. */
static void ask_read(struct desk *d, const char *input, const char *want)
{
    struct ops_call c = {.full = 0};
    ops_start(&d->w, &c, d->reader, "fs/read", input);
    WAIT(d, c.ends == 1);
    size_t n = strlen(c.heard);
    if (strncmp(c.heard, want, strlen(want)) != 0 || n < 2 || strcmp(c.heard + n - 2, "}.") != 0) {
        fail_msg("fs/read %s\n got  %s\n want %s", input, c.heard, want);
    }
}

/* As the writer; the answer is this size and some etag. */
static void ask_write(struct desk *d, const char *input, unsigned size)
{
    struct ops_call c = {.full = 0};
    char want[48];
    (void)snprintf(want, sizeof want, "={\"size\":%u,\"etag\":\"", size);
    ops_start(&d->w, &c, d->writer, "fs/write", input);
    WAIT(d, c.ends == 1);
    if (strncmp(c.heard, want, strlen(want)) != 0) {
        fail_msg("fs/write %s\n got  %s\n want %s", input, c.heard, want);
    }
}

static void files_are_written_told_listed_moved_and_removed(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    ask(&d, d.writer, "fs/mkdir", "{\"path\":\"d\"}", "={}");
    ask_write(&d, "{\"path\":\"d/a\",\"text\":\"h\\u00e9\"}", 3);
    ask_write(&d, "{\"path\":\"d/b\",\"data\":\"AP8=\",\"mode\":384}", 2);
    ask_write(&d, "{\"path\":\"d/e\",\"text\":\"\"}", 0);
    ops_start(&d.w, &c, d.reader, "fs/stat", "{\"path\":\"d/b\"}");
    WAIT(&d, c.ends == 1);
    assert_memory_equal(c.heard, "={\"type\":\"file\",\"size\":2,\"mtime\":", 33);
    assert_non_null(strstr(c.heard, ",\"mode\":384,\"etag\":\""));
    ops_start(&d.w, &c, d.reader, "fs/list", "{\"path\":\"d\",\"limit\":2}");
    WAIT(&d, c.ends == 1);
    assert_non_null(strstr(c.heard, "{\"name\":\"a\",\"type\":\"file\""));
    assert_non_null(strstr(c.heard, "],\"next\":\"b\"}"));
    assert_null(strstr(c.heard, "\"name\":\"e\""));
    ops_start(&d.w, &c, d.reader, "fs/list", "{\"path\":\"d\",\"after\":\"b\"}");
    WAIT(&d, c.ends == 1);
    assert_non_null(strstr(c.heard, "\"name\":\"e\""));
    assert_null(strstr(c.heard, "\"next\""));
    ask(&d, d.writer, "fs/rename", "{\"path\":\"d/a\",\"to\":\"c\"}", "={}");
    ops_start(&d.w, &c, d.reader, "fs/read", "{\"path\":\"c\"}");
    WAIT(&d, c.ends == 1);
    assert_non_null(strstr(c.heard, "~{\"offset\":0,\"data\":\"aMOp\",\"size\":3,\"etag\":\""));
    ask_read(&d, "{\"path\":\"d/b\",\"offset\":1}", "~{\"offset\":1,\"data\":\"/w==\",\"size\":");
    ask(&d, d.reader, "fs/read", "{\"path\":\"d/b\",\"length\":0}", ".");
    ask(&d, d.reader, "fs/read", "{\"path\":\"d/e\"}", ".");
    ask(&d, d.writer, "fs/remove", "{\"path\":\"c\"}", "={}");
    end(&d);
}

static void what_cannot_be_done_has_its_code(void **state)
{
    static const struct {
        const char *op, *input, *want;
    } cases[] = {
        {"fs/stat", "{\"path\":\"absent\"}", "!NOT_FOUND"},
        {"fs/read", "{\"path\":\"absent\"}", "!NOT_FOUND"},
        {"fs/watch", "{\"path\":\"absent\"}", "!NOT_FOUND"},
        {"fs/list", "{\"path\":\"absent\"}", "!NOT_FOUND"},
        {"fs/stat", "{\"path\":\"..\"}", "!FORBIDDEN"},
        {"fs/read", "{\"path\":\"/etc/passwd\"}", "!FORBIDDEN"},
        {"fs/list", "{\"path\":\"out\"}", "!FORBIDDEN"},
        {"fs/watch", "{\"path\":\"out\"}", "!FORBIDDEN"},
        {"fs/write", "{\"path\":\"../x\",\"text\":\"\"}", "!FORBIDDEN"},
        {"fs/write", "{\"path\":\"out/x\",\"text\":\"\"}", "!FORBIDDEN"},
        {"fs/mkdir", "{\"path\":\"out/x\"}", "!FORBIDDEN"},
        {"fs/remove", "{\"path\":\"out/hosts\"}", "!FORBIDDEN"},
        {"fs/rename", "{\"path\":\"out/hosts\",\"to\":\"x\"}", "!FORBIDDEN"},
        {"fs/rename", "{\"path\":\"f\",\"to\":\"out/x\"}", "!FORBIDDEN"},
        {"fs/stat", "{\"path\":\"f\\u0000\"}", "!INVALID_INPUT"},
        {"fs/list", "{\"path\":\"f\"}", "!INVALID_INPUT"},
        {"fs/read", "{\"path\":\"d\"}", "!INVALID_INPUT"},
        {"fs/watch", "{\"path\":\"f\"}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"f\",\"data\":\"A\"}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"f\",\"data\":\"AA==\",\"text\":\"\"}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"f\"}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"\",\"text\":\"\"}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"f\",\"text\":\"\",\"mode\":512}", "!INVALID_INPUT"},
        {"fs/write", "{\"path\":\"f\",\"text\":\"\",\"create\":true}", "!CONFLICT"},
        {"fs/mkdir", "{\"path\":\"d\"}", "!CONFLICT"},
        {"fs/remove", "{\"path\":\"d\"}", "!CONFLICT"},
        {"fs/read", "{\"path\":\"f\",\"offset\":18446744073709551615}", "!INVALID_INPUT"},
        {"fs/read", "{\"path\":\"f\",\"offset\":-1}", "!INVALID_INPUT"},
        {"fs/list", "{\"path\":\"\",\"limit\":0}", "!INVALID_INPUT"},
        {"fs/list", "{\"path\":\"\",\"limit\":2001}", "!INVALID_INPUT"},
    };
    struct desk d;
    (void)state;
    begin(&d);
    ask(&d, d.writer, "fs/mkdir", "{\"path\":\"d\"}", "={}");
    ask(&d, d.writer, "fs/mkdir", "{\"path\":\"d/e\"}", "={}");
    ask_write(&d, "{\"path\":\"f\",\"text\":\"x\"}", 1);
    assert_int_equal(symlink("/etc", at("out")), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ops_call c = {.full = 0};
        ops_start(&d.w, &c, d.writer, cases[i].op, cases[i].input);
        WAIT(&d, c.ends == 1);
        size_t n = strlen(cases[i].want);
        if (strncmp(c.heard, cases[i].want, n) != 0 || c.heard[n] != ' ') {
            fail_msg("%s %s: %s, not %s", cases[i].op, cases[i].input, c.heard, cases[i].want);
        }
    }
    end(&d);
}

static void reading_and_writing_have_scopes_of_their_own(void **state)
{
    static const char *const reads[] = {"fs/list", "fs/stat", "fs/read", "fs/watch"};
    static const char *const writes[] = {"fs/write", "fs/mkdir", "fs/remove", "fs/rename"};
    const struct alk_identity *nobody = ops_somebody("nobody", "other", NULL);
    char why[256] = "", yaml[PATH_MAX + 64];
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    for (size_t i = 0; i < 4; i++) {
        ops_start(&d.w, &c, nobody, reads[i], "{\"path\":\"x\"}");
        WAIT(&d, c.ends == 1);
        assert_memory_equal(c.heard, "!NOT_FOUND", 10);
        ops_start(&d.w, &c, d.reader, writes[i], "{\"path\":\"x\",\"to\":\"y\",\"text\":\"\"}");
        WAIT(&d, c.ends == 1);
        assert_memory_equal(c.heard, "!NOT_FOUND", 10);
        ops_start(&d.w, &c, NULL, reads[i], "{\"path\":\"x\"}");
        WAIT(&d, c.ends == 1);
        assert_memory_equal(c.heard, "!UNAUTHENTICATED", 16);
    }
    (void)snprintf(yaml, sizeof yaml, "root: %s\nread: [other]\nwrite: [nobodys]\n", dir);
    check_err(configure(&d, yaml, why, sizeof why), ALK_OK);
    ask(&d, nobody, "fs/list", "{\"path\":\"\"}", "={\"entries\":[]}");
    ops_start(&d.w, &c, d.writer, "fs/mkdir", "{\"path\":\"x\"}");
    WAIT(&d, c.ends == 1);
    assert_memory_equal(c.heard, "!NOT_FOUND", 10);
    end(&d);
    alk_identity_unref(nobody);
}

/* --- reading in pieces ------------------------------------------------------------- */

static void make_big(size_t n)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, n);
    for (size_t i = 0; i < n; i++) {
        check_err(alk_buf_put_u8(&b, (uint8_t)(i * 7 + (i >> 8))), ALK_OK);
    }
    check_err(alk_file_write(at("big"), alk_buf_span(&b), 0644), ALK_OK);
    alk_buf_fini(&b);
}

/* A face that takes some, is full now and then, and puts the bytes together. */
struct taker {
    struct alk_request *request;
    struct alk_buf got;
    unsigned every; /* each so many answers are refused once; 0: none */
    unsigned n, pieces;
    bool was_full, is_over, is_bad;
};

static alk_err take_piece(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct taker *t = (struct taker *)ctx;
    uint8_t bytes[ALK_FS_CHUNK];
    size_t n = 0, quote;
    (void)r;
    (void)is_last;
    t->n++;
    if (t->every > 0 && !t->was_full && t->n % t->every == 0) {
        t->was_full = true;
        return ALK_FULL;
    }
    t->was_full = false;
    t->pieces++;
    char head[64];
    (void)snprintf(head, sizeof head, "{\"offset\":%zu,\"data\":\"", alk_buf_len(&t->got));
    quote = strlen(head);
    t->is_bad = t->is_bad || !alk_span_starts(output, alk_span_str(head));
    struct alk_span text = alk_span_tail(output, quote);
    text = alk_span_head(text, alk_span_find(text, '"'));
    check_err(alk_unbase64(text, bytes, sizeof bytes, &n), ALK_OK);
    check_err(alk_buf_put(&t->got, alk_span(bytes, n)), ALK_OK);
    return ALK_OK;
}

static void take_end(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct taker *t = (struct taker *)ctx;
    (void)r;
    t->is_over = true;
    t->is_bad = t->is_bad || o->code != NULL;
    t->request = NULL;
}

static const struct alk_face taker_face = {take_piece, take_end};

static void a_large_file_comes_in_pieces_as_the_reader_takes_them(void **state)
{
    struct desk d;
    (void)state;
    begin(&d);
    make_big(1000003);
    for (unsigned every = 0; every < 4; every++) {
        struct taker t = {.every = every};
        alk_buf_init(&t.got, NULL, 2000000);
        const struct alk_start_spec spec = {.loop = d.w.loop,
                                            .op = ALK_LIT("fs/read"),
                                            .input = ALK_LIT("{\"path\":\"big\"}"),
                                            .caller = d.reader};
        check_err(alk_ops_start(d.w.ops, &spec, &taker_face, &t, &t.request), ALK_OK);
        for (unsigned i = 0; !t.is_over; i++) {
            assert_true(i < 10000);
            (void)alk_loop_run_once(d.w.loop, 10);
            if (t.was_full) {
                unsigned n = t.n;
                for (unsigned k = 0; k < 5; k++) {
                    (void)alk_loop_run_once(d.w.loop, 0);
                }
                assert_int_equal(t.n, n); /* it waits to be told */
                alk_request_writable(t.request);
            }
        }
        assert_false(t.is_bad);
        assert_int_equal(t.pieces, (1000003 + ALK_FS_CHUNK - 1) / ALK_FS_CHUNK);
        assert_int_equal(alk_buf_len(&t.got), 1000003);
        for (size_t i = 0; i < 1000003; i++) {
            if (alk_buf_span(&t.got).p[i] != (uint8_t)(i * 7 + (i >> 8))) {
                fail_msg("byte %zu", i);
            }
        }
        alk_buf_fini(&t.got);
    }
    end(&d);
}

static void a_reader_cancels_at_any_moment(void **state)
{
    struct desk d;
    (void)state;
    begin(&d);
    make_big(300000);
    for (unsigned turns = 0; turns < 12; turns++) {
        struct ops_call c = {.full = turns % 3 == 0 ? 1 : 0};
        ops_start(&d.w, &c, d.reader, "fs/read", "{\"path\":\"big\"}");
        for (unsigned i = 0; i < turns; i++) {
            (void)alk_loop_run_once(d.w.loop, i % 2 == 0 ? 2 : 0);
        }
        if (c.request != NULL) {
            alk_request_cancel(c.request);
        }
        while (alk_work_count() > 0) {
            (void)alk_loop_run_once(d.w.loop, 10);
        }
        ops_world_run(&d.w);
    }
    /* Also inside an answer. */
    struct ops_call c = {.cancels = true};
    ops_start(&d.w, &c, d.reader, "fs/read", "{\"path\":\"big\"}");
    WAIT(&d, c.request == NULL);
    while (alk_work_count() > 0) {
        (void)alk_loop_run_once(d.w.loop, 10);
    }
    end(&d);
}

static void steps_that_are_cancelled_are_done_all_the_same(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    ops_start(&d.w, &c, d.writer, "fs/write", "{\"path\":\"x\",\"text\":\"y\"}");
    (void)alk_loop_run_once(d.w.loop, 0);
    if (c.request != NULL) {
        alk_request_cancel(c.request);
    }
    while (alk_work_count() > 0) {
        (void)alk_loop_run_once(d.w.loop, 10);
    }
    ops_world_run(&d.w);
    assert_int_equal(access(at("x"), F_OK), 0);
    assert_int_equal(d.w.log[0], '\0');
    end(&d);
}

/* --- watching ------------------------------------------------------------------------ */

static void touch(const char *name)
{
    check_err(alk_file_write(at(name), ALK_LIT(""), 0644), ALK_OK);
}

static void a_watch_tells_changes_and_ends_with_the_directory(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    assert_int_equal(mkdir(at("d"), 0755), 0);
    ops_start(&d.w, &c, d.reader, "fs/watch", "{\"path\":\"d\"}");
    (void)alk_loop_run_once(d.w.loop, 0);
    WAIT(&d, alk_work_count() == 0);
    assert_int_equal(mkdir(at("d/new"), 0755), 0);
    WAIT(&d, strstr(c.heard, "~{\"what\":\"created\",\"name\":\"new\"}") != NULL);
    assert_int_equal(rmdir(at("d/new")), 0);
    WAIT(&d, strstr(c.heard, "~{\"what\":\"removed\",\"name\":\"new\"}") != NULL);
    assert_int_equal(rmdir(at("d")), 0);
    WAIT(&d, c.ends == 1);
    assert_int_equal(c.heard[strlen(c.heard) - 1], '.');
    end(&d);
}

static void who_watches_slowly_hears_that_changes_were_lost(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 1};
    (void)state;
    begin(&d);
    ops_start(&d.w, &c, d.reader, "fs/watch", "{\"path\":\"\"}");
    (void)alk_loop_run_once(d.w.loop, 0);
    WAIT(&d, alk_work_count() == 0);
    touch("one");
    WAIT(&d, c.full == 0);
    for (unsigned i = 0; i <= ALK_FS_CHANGES_MAX; i++) { /* one more than is held back */
        char name[16];
        (void)snprintf(name, sizeof name, "two%u", i);
        touch(name);
    }
    for (unsigned i = 0; i < 10; i++) {
        (void)alk_loop_run_once(d.w.loop, 1);
    }
    assert_string_equal(c.heard, ""); /* refused, and nothing after it */
    alk_request_writable(c.request);
    WAIT(&d, strstr(c.heard, "overflow") != NULL);
    assert_memory_equal(c.heard, "~{\"what\":\"", 10); /* what was refused */
    touch("three");
    WAIT(&d, strstr(c.heard, "\"three\"") != NULL); /* and it goes on */
    alk_request_cancel(c.request);
    c.request = NULL;
    end(&d);
}

static void watches_are_bounded_and_come_back(void **state)
{
    static struct ops_call calls[ALK_FS_WATCH_MAX];
    struct desk d;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&d);
    memset(calls, 0, sizeof calls);
    for (unsigned i = 0; i < ALK_FS_WATCH_MAX; i++) {
        ops_start(&d.w, &calls[i], d.reader, "fs/watch", "{\"path\":\"\"}");
    }
    (void)alk_loop_run_once(d.w.loop, 0);
    WAIT(&d, alk_work_count() == 0);
    unsigned taken = 0;
    for (unsigned i = 0; i < ALK_FS_WATCH_MAX; i++) {
        taken += calls[i].ends == 0 ? 1 : 0;
        assert_true(calls[i].ends == 0 || strncmp(calls[i].heard, "?EXHAUSTED", 10) == 0);
    }
    assert_true(taken > 0); /* less than all of them: the system's own limit */
    ops_start(&d.w, &c, d.reader, "fs/watch", "{\"path\":\"\"}");
    WAIT(&d, c.ends == 1);
    assert_memory_equal(c.heard, "?EXHAUSTED", 10);
    for (unsigned i = 0; i < ALK_FS_WATCH_MAX; i++) {
        if (calls[i].request != NULL) {
            alk_request_cancel(calls[i].request);
        }
    }
    ops_world_run(&d.w);
    ops_start(&d.w, &c, d.reader, "fs/watch", "{\"path\":\"\"}");
    (void)alk_loop_run_once(d.w.loop, 0);
    WAIT(&d, alk_work_count() == 0);
    assert_int_equal(c.ends, 0);
    alk_request_cancel(c.request);
    end(&d);
}

/* --- settings -------------------------------------------------------------------------- */

static void a_root_that_is_not_there_leaves_the_old_one_in_force(void **state)
{
    struct desk d;
    char why[256] = "";
    (void)state;
    begin(&d);
    check_err(configure(&d, "root: /nonexistent/root\n", why, sizeof why), ALK_E_NOENT);
    assert_non_null(strstr(why, "services.call.fs.root: cannot use /nonexistent/root"));
    ask(&d, d.reader, "fs/list", "{\"path\":\"\"}", "={\"entries\":[]}");
    check_err(configure(&d, NULL, why, sizeof why), ALK_OK); /* no section: none of them */
    ask(&d, d.reader, "fs/list", "{\"path\":\"\"}", "!NOT_FOUND there is no such operation");
    end(&d);
}

static void what_is_under_way_keeps_the_root_it_began_with(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 1};
    char why[256] = "";
    (void)state;
    begin(&d);
    make_big(ALK_FS_CHUNK + 1000);
    ops_start(&d.w, &c, d.reader, "fs/read", "{\"path\":\"big\"}");
    WAIT(&d, c.full == 0);
    check_err(configure(&d, NULL, why, sizeof why), ALK_OK);
    assert_int_equal(c.ends, 0);
    c.keeps_end = true;
    alk_request_writable(c.request);
    WAIT(&d, c.ends == 1);
    assert_int_equal(c.heard[strlen(c.heard) - 1], '.');
    end(&d);
}

/* --- memory ------------------------------------------------------------------------------ */

static alk_err one_round(const struct alk_mem *mem, void *ctx)
{
    struct desk d = {.part = NULL};
    struct ops_call c = {.full = 0};
    char yaml[PATH_MAX], why[256] = "";
    bool failed = false;
    (void)ctx;
    ops_world_init(&d.w, NULL);
    d.writer = ops_somebody("writer", "fs:read,fs:write", NULL);
    const struct alk_part_env env = {.mem = mem, .ops = d.w.ops};
    alk_err err = alk_fs_part.start(&env, why, sizeof why, &d.part);
    (void)snprintf(yaml, sizeof yaml, "root: %s\n", dir);
    if (err == ALK_OK) {
        err = configure(&d, yaml, why, sizeof why);
    }
    static const char *const ops[] = {"fs/list", "fs/read", "fs/write", "fs/watch"};
    static const char *const inputs[] = {"{\"path\":\"\"}", "{\"path\":\"big\"}",
                                         "{\"path\":\"w\",\"data\":\"AAAA\"}", "{\"path\":\"\"}"};
    for (size_t i = 0; i < 4 && err == ALK_OK; i++) {
        ops_start(&d.w, &c, d.writer, ops[i], inputs[i]);
        (void)alk_loop_run_once(d.w.loop, 0);
        while (alk_work_count() > 0) {
            (void)alk_loop_run_once(d.w.loop, 10);
        }
        ops_world_run(&d.w);
        failed = failed || strstr(c.heard, "EXHAUSTED") != NULL;
        assert_true(c.ends == 1 || i == 3 || strstr(c.heard, "!") == NULL);
        if (c.request != NULL) {
            alk_request_cancel(c.request);
            while (alk_work_count() > 0) {
                (void)alk_loop_run_once(d.w.loop, 10);
            }
        }
    }
    if (d.part != NULL) {
        alk_fs_part.stop(d.part);
    }
    alk_identity_unref(d.writer);
    ops_world_fini(&d.w);
    return err == ALK_OK && failed ? ALK_E_NOMEM : err;
}

static void without_memory_requests_end_exhausted_and_nothing_leaks(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/alk-fs-XXXXXX");
    assert_non_null(mkdtemp(dir));
    make_big(60000);
    oom_sweep(one_round, NULL);
    remove_all(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_told_listed_moved_and_removed),
        cmocka_unit_test(what_cannot_be_done_has_its_code),
        cmocka_unit_test(reading_and_writing_have_scopes_of_their_own),
        cmocka_unit_test(a_large_file_comes_in_pieces_as_the_reader_takes_them),
        cmocka_unit_test(a_reader_cancels_at_any_moment),
        cmocka_unit_test(steps_that_are_cancelled_are_done_all_the_same),
        cmocka_unit_test(a_watch_tells_changes_and_ends_with_the_directory),
        cmocka_unit_test(who_watches_slowly_hears_that_changes_were_lost),
        cmocka_unit_test(watches_are_bounded_and_come_back),
        cmocka_unit_test(a_root_that_is_not_there_leaves_the_old_one_in_force),
        cmocka_unit_test(what_is_under_way_keeps_the_root_it_began_with),
        cmocka_unit_test(without_memory_requests_end_exhausted_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
