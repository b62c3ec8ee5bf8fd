/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/host/exec.h, with real programs. */
#include "core/host/exec.h"

#include "core/auth/identity.h"
#include "support/host_world.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

static void serve(struct host_world *w, const char *yaml)
{
    host_world_init(w, NULL, 0, NULL);
    host_world_serve(w, &alk_exec_handler, yaml);
    host_world_connect(w);
}

/* Runs a service to its end with one stream that sends `in`. */
static void run_one(struct host_world *w, struct host_peer *p, const char *yaml, const char *in)
{
    serve(w, yaml);
    host_peer_open(w, p);
    host_peer_write(p, in);
    alk_stream_finish(p->stream);
    host_world_until(w, host_peer_is_over, p);
}

static void exit_status_0_ends_the_stream(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'echo hello; cat']\n", "world");
    assert_true(p.has_end);
    assert_string_equal(p.text, "hello\nworld");
    host_world_until(&w, host_peer_is_closed, &p);
    host_world_fini(&w);
}

static void exit_status_1_resets_with_code_7(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'echo hello; exit 1']\n", "");
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_EXIT);
    assert_true(host_log_has(&w, "exited with status 1"));
    host_world_fini(&w);
}

static bool has_all(void *ctx)
{
    const struct host_peer *p = ctx;
    return p->total >= 588895;
}

/* The peer reads slowly; what stands before the reset still comes. */
static void output_before_a_failure_arrives(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    serve(&w, "exec: [/bin/sh, -c, 'seq 1 100000; exit 1']\n");
    host_peer_open(&w, &p);
    p.is_paused = true;
    host_world_run(&w, 50);
    host_peer_resume(&p);
    host_world_until(&w, has_all, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_EXIT);
    host_world_fini(&w);
}

static void a_signal_resets_with_code_7(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'kill -SEGV $$']\n", "");
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_EXIT);
    assert_true(host_log_has(&w, "signal 11"));
    host_world_fini(&w);
}

static void a_missing_program_resets_with_code_1_and_is_logged(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/nonexistent/tool]\n", "");
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_INTERNAL);
    assert_true(host_log_has(&w, "cannot start /nonexistent/tool: exec: No such file"));
    host_world_fini(&w);
}

static void a_missing_directory_is_named_in_the_log(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/true]\ncwd: /nonexistent/here\n", "");
    assert_int_equal(p.code, ALK_CODE_INTERNAL);
    assert_true(host_log_has(&w, "cannot start /nonexistent/here: chdir"));
    host_world_fini(&w);
}

/* 3 MB of numbers, and then the exit: nothing of it may be lost. */
static void output_before_the_exit_is_not_lost(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    serve(&w, "exec: [/usr/bin/seq, 1, '400000']\n");
    host_peer_open(&w, &p);
    p.is_paused = true;
    host_world_run(&w, 100); /* it fills every buffer on the way */
    host_peer_resume(&p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    uint64_t want = 0;
    for (unsigned i = 1; i <= 400000; i++) {
        want += i < 10 ? 2 : i < 100 ? 3 : i < 1000 ? 4 : i < 10000 ? 5 : i < 100000 ? 6 : 7;
    }
    assert_int_equal(p.total, want);
    host_world_fini(&w);
}

static void output_without_reading_input_is_not_lost(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    serve(&w, "exec: [/usr/bin/seq, 1, '100000']\n");
    host_peer_open(&w, &p);
    host_peer_write_pattern(&p, 100000, false); /* nobody reads it */
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_int_equal(p.total, 588895);
    host_world_fini(&w);
}

static void bytes_come_back_unchanged(const char *yaml)
{
    struct host_world w;
    struct host_peer p;
    serve(&w, yaml);
    host_peer_open(&w, &p);
    host_peer_write_pattern(&p, 8 << 20, true);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_int_equal(p.total, 8 << 20);
    assert_true(p.sum == host_pattern_sum(8 << 20));
    host_world_fini(&w);
}

static void bulk_goes_both_ways_over_a_socket(void **state)
{
    (void)state;
    bytes_come_back_unchanged("exec: [/bin/cat]\n");
}

static void bulk_goes_both_ways_over_pipes(void **state)
{
    (void)state;
    bytes_come_back_unchanged("exec: [/bin/cat, /dev/stdin]\nstdio: pipe\n");
}

static bool has_wc(void *ctx)
{
    const struct host_peer *p = ctx;
    return p->total > 0;
}

static void the_peers_end_is_the_end_of_the_input_alone(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    serve(&w, "exec: [/bin/sh, -c, 'wc -c; echo later']\n");
    host_peer_open(&w, &p);
    host_peer_write(&p, "12345");
    host_world_run(&w, 20);
    assert_int_equal(p.total, 0);
    alk_stream_finish(p.stream);
    host_world_until(&w, has_wc, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_string_equal(p.text, "5\nlater\n");
    assert_true(p.has_end);
    host_world_fini(&w);
}

/* --- ending programs ------------------------------------------------------ */

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

struct pids {
    pid_t pid[2];
};

static bool are_gone(void *ctx)
{
    const struct pids *p = ctx;
    return is_gone(p->pid[0]) && is_gone(p->pid[1]);
}

static bool has_two_lines(void *ctx)
{
    const struct host_peer *p = ctx;
    const char *first = strchr(p->text, '\n');
    return first != NULL && strchr(first + 1, '\n') != NULL;
}

/* Starts a program with a grandchild and gives their numbers. */
static void start_two(struct host_world *w, struct host_peer *p, const char *yaml,
                      struct pids *ret)
{
    int a = 0, b = 0;
    serve(w, yaml);
    host_peer_open(w, p);
    host_world_until(w, has_two_lines, p);
    assert_int_equal(sscanf(p->text, "%d %d", &a, &b), 2);
    *ret = (struct pids){{a, b}};
    assert_false(is_gone(a));
    assert_false(is_gone(b));
}

static void a_reset_ends_the_whole_group(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    (void)state;
    start_two(&w, &p, "exec: [/bin/sh, -c, 'sleep 1000 & echo $$; echo $!; wait']\n", &pids);
    alk_stream_close(p.stream, 0);
    host_world_until(&w, are_gone, &pids);
    host_world_fini(&w);
}

static void what_ignores_term_is_killed(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    (void)state;
    start_two(&w, &p,
              "exec: [/bin/sh, -c, \"trap '' TERM; sleep 1000 & echo $$; echo $!; wait\"]\n",
              &pids);
    alk_stream_close(p.stream, 0);
    host_world_run(&w, 50);
    assert_false(is_gone(pids.pid[0]));
    host_world_until(&w, are_gone, &pids);
    host_world_fini(&w);
}

static void a_lost_connection_ends_the_program(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    (void)state;
    start_two(&w, &p, "exec: [/bin/sh, -c, 'sleep 1000 & echo $$; echo $!; wait']\n", &pids);
    host_world_disconnect(&w);
    host_world_until(&w, are_gone, &pids);
    host_world_fini(&w);
}

static void what_is_left_of_the_group_ends_with_the_program(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    int pid = 0;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'sleep 1000 >/dev/null 2>&1 </dev/null & echo $!']\n", "");
    assert_true(p.has_end);
    assert_int_equal(sscanf(p.text, "%d", &pid), 1);
    pids = (struct pids){{pid, pid}};
    host_world_until(&w, are_gone, &pids);
    host_world_fini(&w);
}

static void the_time_out_resets_with_code_11(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    serve(&w, "exec: [/bin/sleep, '1000']\ntimeout: 50ms\n");
    host_peer_open(&w, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_TIMEOUT);
    host_world_fini(&w);
}

static void max_instances_resets_with_code_5(void **state)
{
    struct host_world w;
    struct host_peer p[3];
    (void)state;
    serve(&w, "exec: [/bin/cat]\nmax_instances: 2\n");
    for (size_t i = 0; i < 3; i++) {
        host_peer_open(&w, &p[i]);
    }
    host_world_until(&w, host_peer_is_over, &p[2]);
    assert_true(p[2].has_reset);
    assert_int_equal(p[2].code, ALK_CODE_LIMIT);
    assert_false(host_peer_is_over(&p[0]));
    alk_stream_finish(p[0].stream); /* one ends: there is room again */
    host_world_until(&w, host_peer_is_over, &p[0]);
    host_world_until(&w, host_peer_is_closed, &p[0]);
    host_peer_open(&w, &p[2]);
    host_peer_write(&p[2], "x");
    alk_stream_finish(p[2].stream);
    host_world_until(&w, host_peer_is_over, &p[2]);
    assert_true(p[2].has_end);
    host_world_fini(&w);
}

static void the_memory_limit_holds(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'ulimit -d']\nmemory: 64MiB\n", "");
    assert_string_equal(p.text, "65536\n");
    host_world_fini(&w);
}

/* --- what a program sees -------------------------------------------------- */

static void it_has_three_descriptors(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    /* ls opens one for the directory itself. */
    run_one(&w, &p, "exec: [/bin/ls, /proc/self/fd]\n", "");
    assert_string_equal(p.text, "0\n1\n2\n3\n");
    host_world_fini(&w);
}

static void its_environment_is_clean(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    host_world_serve(&w, &alk_exec_handler, "exec: [/usr/bin/env]\nenv: {COLOUR: blue}\n");
    (void)snprintf(w.auth.alpn, sizeof w.auth.alpn, "my/tool");
    host_world_connect(&w);
    host_peer_open(&w, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_string_equal(p.text,
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
                        "LANG=C.UTF-8\nCOLOUR=blue\nALKNET_ALPN=my/tool\n"
                        "ALKNET_REMOTE_ADDR=memory\n");
    host_world_fini(&w);
}

static void its_environment_tells_who_the_peer_is(void **state)
{
    struct host_world w;
    struct host_peer p;
    const struct alk_span scopes[] = {ALK_LIT("xmpp"), ALK_LIT("files:read")};
    const struct alk_identity_spec spec = {
        .id = ALK_LIT("laptop"), .scopes = scopes, .scope_count = 2};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    host_world_serve(&w, &alk_exec_handler, "exec: [/usr/bin/env]\nenv: {PATH: /bin, LANG: C}\n");
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &w.auth.identity), ALK_OK);
    (void)snprintf(w.auth.fingerprints[0], ALK_FINGERPRINT_MAX, "ed25519:00ff");
    host_world_connect(&w);
    host_peer_open(&w, &p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_non_null(strstr(p.text, "PATH=/bin\nLANG=C\n"));
    /* Asked again by the hub: the memory transport has no provider, so identity is
     * what the resolver said; without one the fingerprint alone is known. */
    assert_non_null(strstr(p.text, "ALKNET_PEER_FINGERPRINT=ed25519:00ff\n"));
    alk_identity_unref(w.auth.identity);
    host_world_fini(&w);
}

static void standard_error_goes_to_the_log(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/sh, -c, 'printf \"one\\\\n\\\\033two\" >&2']\n", "");
    host_world_until(&w, host_peer_is_closed, &p);
    assert_true(host_log_has(&w, "test/exec: one\n"));
    assert_true(host_log_has(&w, "test/exec: \\x1btwo\n"));
    host_world_fini(&w);
}

static void it_gains_no_privileges(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    run_one(&w, &p, "exec: [/bin/grep, -E, 'NoNewPrivs|CapEff|CapPrm|CapAmb', /proc/self/status]\n",
            "");
    assert_string_equal(p.text, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                                "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
    host_world_fini(&w);
}

static void as_root_its_bounding_set_is_empty(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    run_one(&w, &p, "exec: [/bin/grep, CapBnd, /proc/self/status]\n", "");
    assert_string_equal(p.text, "CapBnd:\t0000000000000000\n");
    host_world_fini(&w);
}

static void as_root_it_runs_as_nobody(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    run_one(&w, &p, "exec: [/usr/bin/id, -un]\n", "");
    assert_string_equal(p.text, "nobody\n");
    host_world_fini(&w);
}

static void as_root_a_user_that_was_not_named_at_the_start_is_refused(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    run_one(&w, &p, "exec: [/usr/bin/id, -un]\nuser: daemon\n", "");
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_INTERNAL);
    assert_true(host_log_has(&w, "cannot become user 'daemon'"));
    host_world_fini(&w);
}

static bool spawner_loss_is_logged(void *ctx)
{
    return host_log_has(ctx, "the spawner is gone");
}

static void the_spawners_death_takes_programs_and_resets_streams(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    (void)state;
    start_two(&w, &p, "exec: [/bin/sh, -c, 'echo $$; echo $PPID; exec sleep 1000']\n", &pids);
    assert_int_equal(pids.pid[1], alk_spawner_pid(w.spawner));
    (void)kill(alk_spawner_pid(w.spawner), SIGKILL);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    host_world_until(&w, spawner_loss_is_logged, &w);
    pids.pid[1] = pids.pid[0]; /* the spawner itself waits for us */
    host_world_until(&w, are_gone, &pids);
    host_world_fini(&w);
}

static void ending_the_loop_ends_programs(void **state)
{
    struct host_world w;
    struct host_peer p;
    struct pids pids;
    (void)state;
    start_two(&w, &p,
              "exec: [/bin/sh, -c, \"trap '' TERM; sleep 1000 & echo $$; echo $!; wait\"]\n",
              &pids);
    host_world_fini(&w); /* frees the spawner too, which waits for its children */
    assert_true(is_gone(pids.pid[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_status_0_ends_the_stream),
        cmocka_unit_test(exit_status_1_resets_with_code_7),
        cmocka_unit_test(output_before_a_failure_arrives),
        cmocka_unit_test(a_signal_resets_with_code_7),
        cmocka_unit_test(a_missing_program_resets_with_code_1_and_is_logged),
        cmocka_unit_test(a_missing_directory_is_named_in_the_log),
        cmocka_unit_test(output_before_the_exit_is_not_lost),
        cmocka_unit_test(output_without_reading_input_is_not_lost),
        cmocka_unit_test(bulk_goes_both_ways_over_a_socket),
        cmocka_unit_test(bulk_goes_both_ways_over_pipes),
        cmocka_unit_test(the_peers_end_is_the_end_of_the_input_alone),
        cmocka_unit_test(a_reset_ends_the_whole_group),
        cmocka_unit_test(what_ignores_term_is_killed),
        cmocka_unit_test(a_lost_connection_ends_the_program),
        cmocka_unit_test(what_is_left_of_the_group_ends_with_the_program),
        cmocka_unit_test(the_time_out_resets_with_code_11),
        cmocka_unit_test(max_instances_resets_with_code_5),
        cmocka_unit_test(the_memory_limit_holds),
        cmocka_unit_test(it_has_three_descriptors),
        cmocka_unit_test(its_environment_is_clean),
        cmocka_unit_test(its_environment_tells_who_the_peer_is),
        cmocka_unit_test(standard_error_goes_to_the_log),
        cmocka_unit_test(it_gains_no_privileges),
        cmocka_unit_test(as_root_its_bounding_set_is_empty),
        cmocka_unit_test(as_root_it_runs_as_nobody),
        cmocka_unit_test(as_root_a_user_that_was_not_named_at_the_start_is_refused),
        cmocka_unit_test(the_spawners_death_takes_programs_and_resets_streams),
        cmocka_unit_test(ending_the_loop_ends_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
