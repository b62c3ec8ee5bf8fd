/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/host/run.h, with real programs. */
#include "core/host/run.h"

#include "core/host/spawner.h"
#include "core/io/loop.h"
#include "support/oom.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

struct world {
    struct alk_spawner *spawner;
    struct alk_loop *loop;
    struct alk_run *run;
    char out[4096], log[4096], message[256];
    size_t total, pauses_at;
    bool cancels; /* in the next output */
    bool has_ended;
    alk_err err;
    int status;
};

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct world *w = ctx;
    size_t n = strlen(w->log);
    (void)level;
    (void)component;
    (void)snprintf(w->log + n, sizeof w->log - n, "%s\n", line);
}

static bool on_output(void *ctx, struct alk_span bytes)
{
    struct world *w = ctx;
    size_t n = strlen(w->out);
    (void)snprintf(w->out + n, sizeof w->out - n, ALK_SPAN_FMT, ALK_SPAN_ARG(bytes));
    w->total += bytes.n;
    if (w->cancels) {
        alk_run_cancel(w->run);
        return true;
    }
    return w->pauses_at == 0 || w->total < w->pauses_at;
}

static void on_ended(void *ctx, alk_err err, int status, const char *message)
{
    struct world *w = ctx;
    assert_false(w->has_ended);
    w->has_ended = true;
    w->err = err;
    w->status = status;
    (void)snprintf(w->message, sizeof w->message, "%s", message);
}

static const struct alk_run_calls calls = {on_output, on_ended};

static void begin(struct world *w)
{
    const struct alk_spawner_options options = {.processes_max = 2};
    *w = (struct world){.loop = NULL};
    check_err(alk_spawner_start(&options, NULL, &w->spawner), ALK_OK);
    check_err(alk_loop_new(NULL, &w->loop), ALK_OK);
}

static void end(struct world *w)
{
    alk_loop_free(w->loop);
    alk_spawner_free(w->spawner);
}

static alk_err start(struct world *w, const struct alk_mem *mem, const char *script,
                     const char *input)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    const struct alk_run_spec spec = {.mem = mem,
                                      .spawner = w->spawner,
                                      .loop = w->loop,
                                      .argv = argv,
                                      .env = env,
                                      .input = alk_span_str(input),
                                      .log = on_log,
                                      .log_ctx = w,
                                      .name = "t/x"};
    return alk_run_start(&spec, &calls, w, &w->run);
}

static void until(struct world *w, bool (*cond)(struct world *w))
{
    alk_time limit = alk_clock_now() + 10 * ALK_SECOND;
    while (!cond(w)) {
        if (alk_clock_now() > limit) {
            fail_msg("it did not happen: %s%s", w->out, w->log);
        }
        (void)alk_loop_run_once(w->loop, 100);
    }
}

static bool ended(struct world *w)
{
    return w->has_ended;
}

static bool has_output(struct world *w)
{
    return w->total > 0;
}

static void the_input_may_be_read_sought_and_opened_by_name(void **state)
{
    static const char *const scripts[] = {"cat", "cat /dev/stdin", "cat <&0",
                                          "head -c 3 >/dev/null; cat /dev/stdin"};
    struct world w;
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        begin(&w);
        check_err(start(&w, NULL, scripts[i], "{\"a\":1}"), ALK_OK);
        until(&w, ended);
        check_err(w.err, ALK_OK);
        assert_int_equal(w.status, 0);
        assert_string_equal(w.out, "{\"a\":1}");
        end(&w);
    }
}

static void status_and_signal_are_told_as_they_are(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    check_err(start(&w, NULL, "exit 7", ""), ALK_OK);
    until(&w, ended);
    assert_int_equal(WEXITSTATUS(w.status), 7);
    w.has_ended = false;
    check_err(start(&w, NULL, "kill -SEGV $$", ""), ALK_OK);
    until(&w, ended);
    assert_int_equal(WTERMSIG(w.status), SIGSEGV);
    end(&w);
}

static void a_paused_run_reads_on_when_it_is_resumed(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    w.pauses_at = 1;
    check_err(start(&w, NULL, "seq 1 200000", ""), ALK_OK);
    until(&w, has_output);
    size_t before = w.total;
    for (int i = 0; i < 10; i++) {
        (void)alk_loop_run_once(w.loop, 5);
    }
    assert_int_equal(w.total, before);
    assert_false(w.has_ended);
    w.pauses_at = 0;
    alk_run_resume(w.run);
    until(&w, ended);
    assert_int_equal(w.total, 9 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 90000 * 6 + 100001 * 7);
    end(&w);
}

static void a_run_may_be_cancelled_in_its_own_output(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    w.cancels = true;
    check_err(start(&w, NULL, "echo 1; exec sleep 60", ""), ALK_OK);
    until(&w, has_output);
    assert_false(w.has_ended);
    end(&w); /* and the loop ends what is left */
    assert_false(w.has_ended);
}

static void a_run_may_be_cancelled_before_it_has_started(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    check_err(start(&w, NULL, "echo never", ""), ALK_OK);
    alk_run_cancel(w.run);
    for (int i = 0; i < 20; i++) {
        (void)alk_loop_run_once(w.loop, 5);
    }
    assert_string_equal(w.out, "");
    assert_false(w.has_ended);
    end(&w);
}

static bool is_gone(struct world *w)
{
    return kill((pid_t)strtol(w->out, NULL, 10), 0) != 0 && errno == ESRCH;
}

static void what_ignores_term_gets_kill_with_its_whole_group(void **state)
{
    struct world w;
    (void)state;
    begin(&w);
    check_err(start(&w, NULL, "trap \"\" TERM; sleep 60 & echo $!; wait; wait", ""), ALK_OK);
    until(&w, has_output);
    alk_run_cancel(w.run);
    until(&w, is_gone); /* the child, which ignores it too */
    end(&w);
}

static void too_many_programs_are_a_limit(void **state)
{
    struct world w;
    struct alk_run *first;
    (void)state;
    begin(&w);
    check_err(start(&w, NULL, "sleep 60", ""), ALK_OK);
    first = w.run;
    check_err(start(&w, NULL, "sleep 60", ""), ALK_OK);
    check_err(start(&w, NULL, "echo one too many", ""), ALK_OK);
    until(&w, ended);
    check_err(w.err, ALK_E_LIMIT);
    assert_string_equal(w.out, "");
    alk_run_cancel(first);
    w.has_ended = false;
    end(&w);
    assert_true(w.has_ended); /* the second one, with the loop */
    check_err(w.err, ALK_E_HOST_LOST);
}

static alk_err one_run(const struct alk_mem *mem, void *ctx)
{
    struct world w;
    (void)ctx;
    begin(&w);
    alk_err err = start(&w, mem, "echo 1; echo 2 >&2", "{}");
    if (err == ALK_OK) {
        until(&w, ended);
        assert_string_equal(w.out, "1\n");
        err = w.err;
    }
    end(&w);
    return err;
}

static void memory_that_runs_out_leaves_nothing_behind(void **state)
{
    (void)state;
    oom_sweep(one_run, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_input_may_be_read_sought_and_opened_by_name),
        cmocka_unit_test(status_and_signal_are_told_as_they_are),
        cmocka_unit_test(a_paused_run_reads_on_when_it_is_resumed),
        cmocka_unit_test(a_run_may_be_cancelled_in_its_own_output),
        cmocka_unit_test(a_run_may_be_cancelled_before_it_has_started),
        cmocka_unit_test(what_ignores_term_gets_kill_with_its_whole_group),
        cmocka_unit_test(too_many_programs_are_a_limit),
        cmocka_unit_test(memory_that_runs_out_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
