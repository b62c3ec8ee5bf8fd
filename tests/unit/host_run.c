/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs that get some bytes and give some back, with real processes. */
#include "core/host/run.h"

#include "support/host_world.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct user {
    struct host_world *w;
    struct alk_run *run; /* NULL: over */
    struct alk_buf out;
    size_t pause_at; /* says `no more` once so many bytes came; 0: never */
    bool is_paused;
    bool cancels; /* in its first output */
    bool keeps_nothing;
    size_t total;
    unsigned outputs, ends;
    alk_err err;
    int status;
    char message[256];
};

static bool on_output(void *ctx, struct alk_span bytes)
{
    struct user *u = (struct user *)ctx;
    assert_non_null(u->run); /* never inside alk_run_start */
    assert_int_equal(u->ends, 0);
    assert_false(u->is_paused);
    u->outputs++;
    u->total += bytes.n;
    if (!u->keeps_nothing) {
        check_err(alk_buf_put(&u->out, bytes), ALK_OK);
    }
    if (u->cancels) {
        alk_run_cancel(u->run);
        u->run = NULL;
        return false;
    }
    u->is_paused = u->pause_at > 0 && u->total >= u->pause_at;
    return !u->is_paused;
}

static void on_ended(void *ctx, alk_err err, int status, const char *message)
{
    struct user *u = (struct user *)ctx;
    assert_non_null(u->run);
    u->run = NULL;
    u->ends++;
    u->err = err;
    u->status = status;
    (void)snprintf(u->message, sizeof u->message, "%s", message);
}

static const struct alk_run_calls calls = {on_output, on_ended};

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct host_world *w = (struct host_world *)ctx;
    (void)level;
    int n = snprintf(w->log + w->log_n, sizeof w->log - w->log_n, "%s: %s\n", component, line);
    w->log_n += n > 0 && (size_t)n < sizeof w->log - w->log_n ? (size_t)n : 0;
}

static struct alk_run_spec spec_of(struct host_world *w, const char *const *argv,
                                   struct alk_span input)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    return (struct alk_run_spec){.spawner = w->spawner,
                                 .loop = w->loop,
                                 .argv = argv,
                                 .env = env,
                                 .input = input,
                                 .log = on_log,
                                 .log_ctx = w,
                                 .name = "test/op"};
}

static void start(struct host_world *w, struct user *u, const char *script, struct alk_span input)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const struct alk_run_spec spec = spec_of(w, argv, input);
    u->w = w;
    alk_buf_init(&u->out, NULL, 1 << 20);
    check_err(alk_run_start(&spec, &calls, u, &u->run), ALK_OK);
    assert_int_equal(u->ends, 0);
}

static bool is_over(void *ctx)
{
    return ((struct user *)ctx)->ends > 0;
}

static bool is_paused(void *ctx)
{
    return ((struct user *)ctx)->is_paused;
}

/* One program to its end: its output and status. */
static void check_run(const char *script, struct alk_span input, const char *want, int status)
{
    struct host_world w;
    struct user u = {.ends = 0};
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, script, input);
    host_world_until(&w, is_over, &u);
    check_err(u.err, ALK_OK);
    assert_int_equal(u.status, status);
    check_text(alk_buf_span(&u.out), want);
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

static void a_program_reads_its_input_and_answers(void **state)
{
    (void)state;
    check_run("cat; echo done", ALK_LIT("{\"a\":1}"), "{\"a\":1}done\n", 0);
    check_run("cat", (struct alk_span){0}, "", 0);
    /* As a file: it can be opened again and read from the start. */
    check_run("cat; cat /dev/stdin", ALK_LIT("x"), "xx", 0);
    check_run("read -r a; cat", ALK_LIT("1\n2\n"), "2\n", 0);
    check_run("true", ALK_LIT("nobody reads this"), "", 0);
}

static void its_status_is_told_after_all_its_output(void **state)
{
    (void)state;
    check_run("echo late; exit 3", (struct alk_span){0}, "late\n", 3 << 8);
    check_run("echo x; kill -KILL $$", (struct alk_span){0}, "x\n", SIGKILL);
    /* A child of it holds the pipe longer: its output counts too. */
    check_run("(sleep 0.1; echo child) & echo parent", (struct alk_span){0}, "parent\nchild\n", 0);
}

static void a_large_input_and_a_large_output_come_whole(void **state)
{
    struct host_world w;
    struct user u = {.keeps_nothing = true};
    struct alk_buf in;
    (void)state;
    alk_buf_init(&in, NULL, 1 << 20);
    while (alk_buf_len(&in) < (1 << 20) - 16) {
        check_err(alk_buf_put_str(&in, "0123456789abcde\n"), ALK_OK);
    }
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "cat; cat /proc/self/fd/0 >/dev/null; seq 1 200000", alk_buf_span(&in));
    host_world_until(&w, is_over, &u);
    check_err(u.err, ALK_OK);
    assert_int_equal(u.total, alk_buf_len(&in) + 1288895);
    alk_buf_fini(&in);
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

/* Without end: only what the pipe holds is made while nobody takes it. */
static void who_does_not_take_its_output_makes_it_wait(void **state)
{
    struct host_world w;
    struct user u = {.pause_at = 1, .keeps_nothing = true};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "seq 1 300000", (struct alk_span){0});
    for (unsigned i = 0; i < 5; i++) {
        host_world_until(&w, is_paused, &u);
        size_t total = u.total;
        host_world_run(&w, 20);
        assert_int_equal(u.total, total);
        assert_int_equal(u.ends, 0);
        u.is_paused = false;
        alk_run_resume(u.run);
    }
    u.pause_at = 0;
    u.is_paused = false;
    host_world_until(&w, is_over, &u);
    assert_int_equal(u.total, 1988895);
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

static void its_standard_error_goes_to_the_log(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "echo oops >&2; printf 'no line break' >&2", (struct alk_span){0});
    host_world_until(&w, is_over, &u);
    assert_true(host_log_has(&w, "oops"));
    assert_true(host_log_has(&w, "no line break"));
    check_text(alk_buf_span(&u.out), "");
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

static void what_cannot_be_started_is_told_and_never_inside_the_call(void **state)
{
    static const char *const absent[] = {"/nonexistent/tool", NULL};
    static const char *const here[] = {"/bin/true", NULL};
    struct host_world w;
    struct user u = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    struct alk_run_spec spec = spec_of(&w, absent, ALK_LIT("x"));
    check_err(alk_run_start(&spec, &calls, &u, &u.run), ALK_OK);
    assert_int_equal(u.ends, 0);
    host_world_until(&w, is_over, &u);
    check_err(u.err, ALK_E_NOENT);
    assert_string_equal(u.message, "exec: No such file or directory");
    spec = spec_of(&w, here, ALK_LIT("x"));
    spec.cwd = "/nonexistent/here";
    u.ends = 0;
    check_err(alk_run_start(&spec, &calls, &u, &u.run), ALK_OK);
    host_world_until(&w, is_over, &u);
    check_err(u.err, ALK_E_NOENT);
    assert_memory_equal(u.message, "chdir:", 6);
    host_world_fini(&w);
}

/* --- cancelling ------------------------------------------------------------------ */

/* The process id that a script wrote as its first line. */
static pid_t pid_of(const struct user *u)
{
    char text[32] = "";
    struct alk_span line =
        alk_span_head(alk_buf_span(&u->out), alk_span_find(alk_buf_span(&u->out), '\n'));
    assert_true(alk_span_cstr(line, text, sizeof text));
    return (pid_t)strtol(text, NULL, 10);
}

static bool has_line(void *ctx)
{
    const struct user *u = (const struct user *)ctx;
    struct alk_span s = alk_buf_span(&u->out);
    return alk_span_find(s, '\n') < s.n;
}

struct gone {
    pid_t pid;
};

static bool is_gone(void *ctx)
{
    return kill(((struct gone *)ctx)->pid, 0) != 0 && errno == ESRCH;
}

static void cancelling_ends_the_program_and_no_more_is_heard(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "echo $$; exec sleep 60", (struct alk_span){0});
    host_world_until(&w, has_line, &u);
    struct gone g = {.pid = pid_of(&u)};
    assert_int_equal(kill(g.pid, 0), 0);
    alk_run_cancel(u.run);
    host_world_until(&w, is_gone, &g);
    assert_int_equal(u.ends, 0);
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

/* One that ignores TERM, with a child: two seconds, and both are gone. */
static void who_ignores_term_is_killed_with_its_children(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "trap '' TERM; sleep 61 & echo $!; while :; do sleep 1; done",
          (struct alk_span){0});
    host_world_until(&w, has_line, &u);
    struct gone g = {.pid = pid_of(&u)};
    alk_run_cancel(u.run);
    host_world_until(&w, is_gone, &g);
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

static void a_run_is_cancelled_before_it_began_and_inside_its_output(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0}, v = {.cancels = true};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "echo x; sleep 60", (struct alk_span){0});
    alk_run_cancel(u.run); /* nothing has run yet */
    start(&w, &v, "echo x; echo y; sleep 60", (struct alk_span){0});
    while (v.outputs == 0) {
        host_world_run(&w, 5);
    }
    host_world_run(&w, 50);
    assert_int_equal(v.outputs, 1);
    assert_int_equal(u.outputs + u.ends + v.ends, 0);
    alk_buf_fini(&u.out);
    alk_buf_fini(&v.out);
    host_world_fini(&w);
}

/* A loop that ends takes what still runs with it, and says so. */
static void a_loop_that_ends_ends_its_runs(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0}, v = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "echo $$; exec sleep 60", (struct alk_span){0});
    start(&w, &v, "echo $$; trap '' TERM; exec sleep 60", (struct alk_span){0});
    host_world_until(&w, has_line, &u);
    host_world_until(&w, has_line, &v);
    struct pollfd ends[2] = {{.fd = (int)syscall(SYS_pidfd_open, pid_of(&u), 0), .events = POLLIN},
                             {.fd = (int)syscall(SYS_pidfd_open, pid_of(&v), 0), .events = POLLIN}};
    assert_true(ends[0].fd >= 0 && ends[1].fd >= 0);
    alk_run_cancel(v.run);
    host_world_fini(&w);
    check_err(u.err, ALK_E_HOST_LOST);
    assert_int_equal(u.ends, 1);
    assert_int_equal(v.ends, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(poll(&ends[i], 1, 10000), 1); /* the kernel's own time */
        (void)close(ends[i].fd);
    }
    alk_buf_fini(&u.out);
    alk_buf_fini(&v.out);
}

static void a_spawner_that_dies_ends_every_run(void **state)
{
    struct host_world w;
    struct user u = {.ends = 0};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    start(&w, &u, "exec sleep 60", (struct alk_span){0});
    host_world_run(&w, 20);
    assert_int_equal(kill(alk_spawner_pid(w.spawner), SIGKILL), 0);
    host_world_until(&w, is_over, &u);
    check_err(u.err, ALK_E_HOST_LOST);
    assert_non_null(strstr(u.message, "spawner"));
    alk_buf_fini(&u.out);
    host_world_fini(&w);
}

static void many_runs_at_once_do_not_mix(void **state)
{
    enum { N = 40 };
    static struct user users[N];
    struct host_world w;
    char in[N][16], want[N][16];
    (void)state;
    memset(users, 0, sizeof users);
    host_world_init(&w, NULL, 0, NULL);
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(in[i], sizeof in[i], "%u", i);
        (void)snprintf(want[i], sizeof want[i], "%u\n", i * 2);
        start(&w, &users[i], "read -r n; echo $((n * 2))", alk_span_str(in[i]));
    }
    for (unsigned i = 0; i < N; i++) {
        host_world_until(&w, is_over, &users[i]);
        check_text(alk_buf_span(&users[i].out), want[i]);
        alk_buf_fini(&users[i].out);
    }
    host_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_reads_its_input_and_answers),
        cmocka_unit_test(its_status_is_told_after_all_its_output),
        cmocka_unit_test(a_large_input_and_a_large_output_come_whole),
        cmocka_unit_test(who_does_not_take_its_output_makes_it_wait),
        cmocka_unit_test(its_standard_error_goes_to_the_log),
        cmocka_unit_test(what_cannot_be_started_is_told_and_never_inside_the_call),
        cmocka_unit_test(cancelling_ends_the_program_and_no_more_is_heard),
        cmocka_unit_test(who_ignores_term_is_killed_with_its_children),
        cmocka_unit_test(a_run_is_cancelled_before_it_began_and_inside_its_output),
        cmocka_unit_test(a_loop_that_ends_ends_its_runs),
        cmocka_unit_test(a_spawner_that_dies_ends_every_run),
        cmocka_unit_test(many_runs_at_once_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
