/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs of the configuration as operations, with real programs. */
#include "support/oom.h"
#include "support/part_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct alk_conf_row table[] = {
    {.name = "operations", .type = ALK_CONF_LIST, .max = 256, .sub = alk_exec_op_rows},
    {.name = NULL}};

static void begin(struct part_world *p, const char *yaml)
{
    part_world_init(p, &alk_exec_part, table, NULL, true);
    part_world_configure(p, yaml);
}

/* One operation t/x that runs `script` in a shell. */
static void begin_script(struct part_world *p, const char *kind, const char *more,
                         const char *script)
{
    char yaml[4096];
    (void)snprintf(yaml, sizeof yaml,
                   "operations:\n  - name: t/x\n    kind: %s\n    exec: [/bin/sh, -c, '%s']\n%s",
                   kind, script, more);
    begin(p, yaml);
}

static void the_output_is_the_answer(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "", "cat");
    part_check(&p, "t/x", "{\"a\": [1, null]}", "={\"a\": [1, null]}");
    part_check(&p, "t/x", "", "={}");
    part_world_fini(&p);
}

static void no_output_is_an_empty_answer(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "mutation", "", "cat >/dev/null");
    part_check(&p, "t/x", "{}", "={}");
    part_world_fini(&p);
}

static void white_space_around_the_answer_is_left_out(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "", "printf \"\\r\\n \\t{\\\"a\\\":1}\\r\\n\\n\"");
    part_check(&p, "t/x", "{}", "={\"a\":1}");
    part_world_fini(&p);
}

static void an_error_of_its_own_has_its_code_message_and_details(void **state)
{
    static const char *const script =
        "echo noise; echo \"{\\\"error\\\": {\\\"code\\\": \\\"NO_MEDIA\\\", \\\"message\\\": "
        "\\\"nothing there\\\", \\\"details\\\": {\\\"at\\\": 3}}}\"; exit 1";
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "    errors: [{code: NO_MEDIA, summary: none}]\n", script);
    part_check(&p, "t/x", "{}", "!NO_MEDIA nothing there {\"at\":3}");
    part_world_fini(&p);
}

static void a_code_that_was_not_declared_is_internal(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "", "echo \"{\\\"error\\\": {\\\"code\\\": \\\"MINE\\\"}}\"; exit 1");
    part_check(&p, "t/x", "{}", "!INTERNAL internal error");
    part_world_fini(&p);
}

static void what_goes_wrong_is_internal_and_logged(void **state)
{
    static const struct {
        const char *script, *heard, *log;
    } rows[] = {
        {"exit 3", "!INTERNAL the program failed", "t/x: ended with status 3"},
        {"exit 1", "!INTERNAL the program failed", "t/x: ended with status 1"},
        {"echo \"{}\"; exit 1", "!INTERNAL the program failed", "t/x: ended with status 1"},
        {"kill -SEGV $$", "!INTERNAL the program failed", "t/x: was ended by signal 11"},
        {"echo hello", "!INTERNAL the program answered with something that is not JSON",
         "t/x: its output is not JSON"},
        {"echo \"{} {}\"", "!INTERNAL the program answered with something that is not JSON",
         "t/x: its output is not JSON"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct part_world p;
        begin_script(&p, "query", "", rows[i].script);
        part_check(&p, "t/x", "{}", rows[i].heard);
        if (!part_log_has(&p, rows[i].log)) {
            fail_msg("%s: %s", rows[i].script, p.log);
        }
        part_world_fini(&p);
    }
}

static void a_program_that_cannot_be_started_is_internal_and_named_in_the_log(void **state)
{
    struct part_world p;
    (void)state;
    begin(&p, "operations: [{name: t/x, exec: [/nonexistent/tool]}]");
    part_check(&p, "t/x", "{}", "!INTERNAL the program could not be run");
    assert_true(part_log_has(&p, "t/x: exec: No such file"));
    part_world_fini(&p);
}

static void standard_error_goes_to_the_log_line_by_line(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "", "echo one >&2; echo two >&2; echo \"{}\"");
    part_check(&p, "t/x", "{}", "={}");
    assert_true(part_log_has(&p, "t/x: one\n"));
    assert_true(part_log_has(&p, "t/x: two\n"));
    part_world_fini(&p);
}

static void nothing_of_the_input_reaches_a_shell_or_the_arguments(void **state)
{
    struct part_world p;
    (void)state;
    begin(&p, "operations: [{name: t/x, kind: query, exec: [/bin/sh, -c, "
              "'cat >/dev/null; printf \"{\\\"n\\\":%s}\" $#', '$(touch x)']}]");
    part_check(&p, "t/x", "{\"a\": \"$(exit 9); `exit 9`\"}", "={\"n\":0}");
    part_world_fini(&p);
}

static void the_environment_is_who_asks_and_what_the_settings_say(void **state)
{
    struct part_world p;
    (void)state;
    assert_int_equal(setenv("ALK_TEST_SECRET", "hunter2", 1), 0);
    begin_script(&p, "query", "    env: {COLOUR: blue}\n",
                 "env | sort | grep -v ^_= | while read l; do printf \"%s;\" \"$l\"; done | "
                 "sed \"s/.*/\\\"&\\\"/\"");
    part_check(&p, "t/x", "{}",
               "=\"ALKNET_PEER_ID=root;ALKNET_PEER_SCOPES=admin;COLOUR=blue;LANG=C.UTF-8;"
               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin;PWD=/;\"");
    part_world_fini(&p);
}

/* --- subscriptions ------------------------------------------------------------- */

static void each_line_is_an_answer_of_a_subscription(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; echo; echo \"  \"; echo \"[2]\"; printf 3");
    part_check(&p, "t/x", "{}", "~1~[2]~3.");
    part_world_fini(&p);
}

/* The program waits for as long as it lives: the line must not wait for the next. */
static void a_line_is_told_before_the_next_one_comes(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; exec sleep 60");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    assert_string_equal(c.heard, "~1");
    alk_request_cancel(c.request);
    part_world_fini(&p);
}

static void the_last_line_of_a_subscription_may_be_its_error(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "    errors: [{code: GONE}]\n",
                 "echo 1; echo \"{\\\"error\\\":{\\\"code\\\":\\\"GONE\\\",\\\"message\\\":\\\"it "
                 "left\\\"}}\"; exit 1");
    part_check(&p, "t/x", "{}", "~1!GONE it left");
    part_world_fini(&p);
}

static void what_looks_like_an_error_is_an_answer_when_the_program_goes_on(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "    errors: [{code: GONE}]\n",
                 "echo \"{\\\"error\\\":{\\\"code\\\":\\\"GONE\\\"}}\"; echo 2");
    part_check(&p, "t/x", "{}", "~{\"error\":{\"code\":\"GONE\"}}~2.");
    part_world_fini(&p);
}

static void a_failed_subscription_ends_with_internal(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; exit 4");
    part_check(&p, "t/x", "{}", "~1!INTERNAL the program failed");
    part_world_fini(&p);
}

static void a_line_that_is_not_json_ends_the_subscription(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; echo hello; echo 2; exec sleep 60");
    part_check(&p, "t/x", "{}", "~1!INTERNAL the program answered with something that is not JSON");
    part_world_fini(&p);
}

static void a_refused_answer_comes_again_when_there_is_room(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 1};
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; echo 2; echo 3");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    while (c.full > 0) {
        (void)alk_loop_run_once(p.w.loop, 200);
    }
    assert_string_equal(c.heard, "");
    alk_request_writable(c.request);
    part_world_until(&p, part_call_has_ended, &c);
    assert_string_equal(c.heard, "~1~2~3.");
    part_world_fini(&p);
}

struct flood {
    struct part_world p;
    struct ops_call c;
    uint64_t line;
};

static alk_err count_line(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct flood *f = ctx;
    uint64_t n = 0;
    (void)r;
    (void)is_last;
    if (f->c.full > 0) {
        return ALK_FULL;
    }
    assert_true(alk_span_u64(output, UINT64_MAX, &n));
    assert_int_equal(n, ++f->line);
    return ALK_OK;
}

static void flood_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct flood *f = ctx;
    (void)r;
    assert_null(o->code);
    f->c.ends++;
}

/* Far more than every buffer on the way: the program must have waited. */
static void a_program_waits_for_a_slow_consumer_and_nothing_is_lost(void **state)
{
    static const struct alk_face face = {count_line, flood_ended};
    struct flood f = {.c = {.full = 1}};
    (void)state;
    begin_script(&f.p, "subscription", "", "seq 1 400000; echo done >&2");
    struct alk_start_spec spec = {.loop = f.p.w.loop, .op = ALK_LIT("t/x"), .caller = f.p.root};
    struct alk_request *r = NULL;
    check_err(alk_ops_start(f.p.w.ops, &spec, &face, &f, &r), ALK_OK);
    ops_world_until(&f.p.w, alk_clock_now() + 300 * ALK_MS);
    assert_int_equal(f.line, 0);
    assert_false(part_log_has(&f.p, "done")); /* 2.7 MB do not fit what lies between */
    f.c.full = 0;
    alk_request_writable(r);
    part_world_until(&f.p, part_call_has_ended, &f.c);
    assert_int_equal(f.line, 400000);
    part_world_fini(&f.p);
}

/* --- ends ------------------------------------------------------------------------ */

static bool has_no_child(void *ctx)
{
    const struct part_world *p = ctx;
    return part_log_has(p, "told to end");
}

static void a_cancelled_program_gets_term(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin_script(
        &p, "subscription", "",
        "trap \"echo told to end >&2; exit 0\" TERM; echo 1; while :; do sleep 0.05; done");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    alk_request_cancel(c.request);
    part_world_until(&p, has_no_child, &p);
    part_world_fini(&p);
}

static void a_query_that_takes_too_long_is_ended(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "    timeout: 100ms\n", "exec sleep 60");
    part_check(&p, "t/x", "{}", "?TIMEOUT no answer in time");
    part_world_fini(&p);
}

static void a_subscription_that_takes_too_long_is_ended(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "subscription", "    timeout: 100ms\n", "echo 1; exec sleep 60");
    part_check(&p, "t/x", "{}", "~1?TIMEOUT no answer in time");
    part_world_fini(&p);
}

static void one_more_than_max_instances_is_exhausted(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin_script(&p, "subscription", "    max_instances: 1\n", "echo 1; exec sleep 60");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    part_check(&p, "t/x", "{}", "?EXHAUSTED this operation runs as often as it may already");
    alk_request_cancel(c.request);
    do { /* there is room again when the program has ended */
        ops_start(&p.w, &c, p.root, "t/x", "{}");
        part_world_until(&p, part_call_has_heard, &c);
    } while (c.heard[0] == '?');
    assert_string_equal(c.heard, "~1");
    alk_request_cancel(c.request);
    part_world_fini(&p);
}

static void an_answer_beyond_a_mebibyte_is_too_large(void **state)
{
    static const char *const kinds[] = {"query", "subscription"};
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin_script(&p, kinds[i], "",
                     "printf \\\"; head -c 5000000 /dev/zero | tr \"\\0\" a; echo \\\"");
        part_ask(&p, &c, "t/x", "{}");
        assert_memory_equal(c.heard, "!TOO_LARGE", 10);
        part_world_fini(&p);
    }
    begin_script(&p, "query", "",
                 "printf \\\"; head -c 1000000 /dev/zero | tr \"\\0\" a; echo \\\"");
    c.keeps_end = true;
    part_ask(&p, &c, "t/x", "{}");
    assert_int_equal(c.heard[0], '=');
    part_world_fini(&p);
}

/* A frame that breaks a limit of the protocol would end the stream, with the calls of others
 * on it. */
static void an_answer_that_no_frame_may_carry_is_refused(void **state)
{
    static const struct {
        const char *script, *heard;
    } rows[] = {
#define DEEP(n)                                                                                    \
    "head -c " n " /dev/zero | tr \"\\0\" \"[\"; head -c " n " /dev/zero | tr \"\\0\" \"]\"; echo"
#define MANY(n) "printf [0; head -c " n " /dev/zero | sed \"s/\\x00/,0/g\"; echo ]"
        {DEEP("62"), "=[[[["},
        {DEEP("63"), "!TOO_LARGE the program's answer is too deep, or has too many values"},
        {MANY("65526"), "=[0,0"},
        {MANY("65527"), "!TOO_LARGE the program's answer is too deep, or has too many values"},
        {"echo \"{\\\"a\\\":1,\\\"a\\\":2}\"",
         "!INTERNAL the program answered with something that is not JSON"},
        {"echo 1e400", "!INTERNAL the program answered with something that is not JSON"},
        {"echo 1e300", "=1e300"},
    };
    struct ops_call c = {.full = 0};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct part_world p;
        begin_script(&p, "query", "", rows[i].script);
        part_ask(&p, &c, "t/x", "{}");
        if (strncmp(c.heard, rows[i].heard, strlen(rows[i].heard)) != 0) {
            fail_msg("%s: %.100s", rows[i].script, c.heard);
        }
        part_world_fini(&p);
    }
}

static void memory_is_limited(void **state)
{
    struct part_world p;
    (void)state;
    begin_script(&p, "query", "    memory: 64MiB\n",
                 "exec python3 -c \"x = bytearray(1 << 28); print(1)\" 2>/dev/null");
    part_check(&p, "t/x", "{}", "!INTERNAL the program failed");
    part_world_fini(&p);
}

/* --- reloads ---------------------------------------------------------------------- */

/* What is under way holds the last reference to the operation's settings. */
static void an_operation_may_be_removed_while_it_runs(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; sleep 0.1; echo 2");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    part_world_configure(&p, "operations: []");
    part_check(&p, "t/x", "{}", "!NOT_FOUND there is no such operation");
    part_world_until(&p, part_call_has_ended, &c);
    assert_string_equal(c.heard, "~1~2.");
    part_world_fini(&p);
}

static void a_reload_that_changes_nothing_keeps_the_count_of_programs(void **state)
{
    static const char *const yaml = "operations: [{name: t/x, kind: subscription, max_instances: "
                                    "1, exec: [/bin/sh, -c, 'echo 1; exec sleep 60']}]";
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&p, yaml);
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    part_world_configure(&p, yaml);
    part_check(&p, "t/x", "{}", "?EXHAUSTED this operation runs as often as it may already");
    alk_request_cancel(c.request);
    part_world_fini(&p);
}

static void a_reload_adds_changes_and_removes(void **state)
{
    struct part_world p;
    (void)state;
    begin(&p, "operations: [{name: t/a, exec: [/bin/echo, 1]}, {name: t/b, exec: [/bin/echo, 2]}]");
    part_check(&p, "t/a", "{}", "=1");
    part_world_configure(
        &p, "operations: [{name: t/b, exec: [/bin/echo, 3]}, {name: t/c, exec: [/bin/echo, 4]}]");
    part_check(&p, "t/a", "{}", "!NOT_FOUND there is no such operation");
    part_check(&p, "t/b", "{}", "=3");
    part_check(&p, "t/c", "{}", "=4");
    part_world_configure(&p, "{}");
    part_check(&p, "t/b", "{}", "!NOT_FOUND there is no such operation");
    part_world_fini(&p);
}

static void mistakes_leave_what_was_in_force(void **state)
{
    static const struct {
        const char *yaml, *why;
    } rows[] = {
        {"operations: [{name: t/x, exec: [relative]}]", "must be an absolute path"},
        {"operations: [{name: t/x, exec: []}]", "exec"},
        {"operations: [{name: fs/mine, exec: [/bin/true]}]", "belongs to the node itself"},
        {"operations: [{name: nothing, exec: [/bin/true]}]", "must be NAMESPACE/NAME"},
        {"operations: [{name: T/X, exec: [/bin/true]}]", "test:1:14"},
        {"operations: [{name: t/x, exec: [/bin/true], input: '{'}]",
         "must be a JSON Schema, written as JSON in a string: unexpected end of data, in its line "
         "1"},
        {"operations:\n  - name: t/x\n    exec: [/bin/true]\n    output: |\n      {\n       \"a\": "
         "1\n"
         "       \"b\": 2}\n",
         "in its line 3"},
        {"operations: [{name: t/x, exec: [/bin/true], input: '{\"type\": 7}'}]", "/type"},
        {"operations: [{name: t/x, exec: [/bin/true], errors: [{code: low}]}]", "test:1:14"},
        {"operations: [{name: t/x, exec: [/bin/true]}, {name: t/x, exec: [/bin/true]}]",
         "test:1:46"},
        {"operations: [{name: t/x, exec: [/bin/true], kind: stream}]", "kind"},
    };
    struct part_world p;
    (void)state;
    begin(&p, "operations: [{name: t/keep, exec: [/bin/echo, 1]}]");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (part_world_try(&p, rows[i].yaml) == ALK_OK || strstr(p.why, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].yaml, p.why);
        }
        part_check(&p, "t/keep", "{}", "=1");
    }
    part_world_fini(&p);
}

static void access_is_what_the_settings_say(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&p, "operations: [{name: t/any, exec: [/bin/echo, 1]}, {name: t/some, exec: [/bin/echo, "
              "2], scopes: media:probe}, {name: t/all, exec: [/bin/echo, 3], public: true}]");
    ops_check(&p.w, p.ann, "t/some", "{}", "!NOT_FOUND there is no such operation");
    ops_check(&p.w, NULL, "t/any", "{}", "!UNAUTHENTICATED an identity is needed");
    part_check(&p, "t/some", "{}", "=2");
    ops_start(&p.w, &c, NULL, "t/all", "{}");
    part_world_until(&p, part_call_has_ended, &c);
    assert_string_equal(c.heard, "=3");
    part_world_fini(&p);
}

static void the_input_schema_is_applied_before_a_program_starts(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&p, "operations:\n  - name: t/x\n    exec: [/bin/sh, -c, 'echo started >&2; echo 1']\n"
              "    input: |\n      {\"type\": \"object\", \"required\": [\"path\"]}\n");
    part_ask(&p, &c, "t/x", "{}");
    assert_memory_equal(c.heard, "!INVALID_INPUT", 14);
    assert_false(part_log_has(&p, "started"));
    part_world_fini(&p);
}

/* Without a stop and without a cancel: as when a node ends in the middle. */
static void a_loop_that_goes_ends_its_programs(void **state)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)state;
    begin_script(&p, "subscription", "", "echo 1; exec sleep 60");
    ops_start(&p.w, &c, p.root, "t/x", "{}");
    part_world_until(&p, part_call_has_heard, &c);
    part_world_fini(&p);
    assert_string_equal(c.heard, "~1!INTERNAL the program could not be run");
}

static void as_root_a_program_runs_as_the_user_that_is_named(void **state)
{
    struct part_world p;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    begin(
        &p,
        "operations: [{name: t/x, user: daemon, exec: [/bin/sh, -c, 'echo \"\\\"$(id -un)\\\"\"']},"
        " {name: t/y, user: bin, exec: [/bin/echo, 1]}]");
    part_check(&p, "t/x", "{}", "=\"daemon\"");
    part_check(&p, "t/y", "{}", "!INTERNAL the program could not be run");
    assert_true(part_log_has(&p, "t/y: user: "));
    part_world_fini(&p);
}

static alk_err run_all(const struct alk_mem *mem, void *ctx)
{
    struct part_world p;
    struct ops_call c = {.full = 0};
    (void)ctx;
    part_world_init(&p, &alk_exec_part, table, mem, true);
    alk_err err = p.state == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = part_world_try(&p, "operations: [{name: t/x, kind: subscription, env: {A: b}, exec: "
                                 "[/bin/sh, -c, 'echo 1; echo 2']}]");
    }
    if (err == ALK_OK) {
        part_ask(&p, &c, "t/x", "{}");
        err = strcmp(c.heard, "~1~2.") == 0 ? ALK_OK : ALK_E_NOMEM;
        assert_int_equal(c.ends, 1);
    }
    part_world_fini(&p);
    return err;
}

static void memory_that_runs_out_fails_the_request_alone(void **state)
{
    (void)state;
    oom_sweep(run_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_output_is_the_answer),
        cmocka_unit_test(no_output_is_an_empty_answer),
        cmocka_unit_test(white_space_around_the_answer_is_left_out),
        cmocka_unit_test(an_error_of_its_own_has_its_code_message_and_details),
        cmocka_unit_test(a_code_that_was_not_declared_is_internal),
        cmocka_unit_test(what_goes_wrong_is_internal_and_logged),
        cmocka_unit_test(a_program_that_cannot_be_started_is_internal_and_named_in_the_log),
        cmocka_unit_test(standard_error_goes_to_the_log_line_by_line),
        cmocka_unit_test(nothing_of_the_input_reaches_a_shell_or_the_arguments),
        cmocka_unit_test(the_environment_is_who_asks_and_what_the_settings_say),
        cmocka_unit_test(each_line_is_an_answer_of_a_subscription),
        cmocka_unit_test(a_line_is_told_before_the_next_one_comes),
        cmocka_unit_test(the_last_line_of_a_subscription_may_be_its_error),
        cmocka_unit_test(what_looks_like_an_error_is_an_answer_when_the_program_goes_on),
        cmocka_unit_test(a_failed_subscription_ends_with_internal),
        cmocka_unit_test(a_line_that_is_not_json_ends_the_subscription),
        cmocka_unit_test(a_refused_answer_comes_again_when_there_is_room),
        cmocka_unit_test(a_program_waits_for_a_slow_consumer_and_nothing_is_lost),
        cmocka_unit_test(a_cancelled_program_gets_term),
        cmocka_unit_test(a_query_that_takes_too_long_is_ended),
        cmocka_unit_test(a_subscription_that_takes_too_long_is_ended),
        cmocka_unit_test(one_more_than_max_instances_is_exhausted),
        cmocka_unit_test(an_answer_beyond_a_mebibyte_is_too_large),
        cmocka_unit_test(an_answer_that_no_frame_may_carry_is_refused),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(an_operation_may_be_removed_while_it_runs),
        cmocka_unit_test(a_reload_that_changes_nothing_keeps_the_count_of_programs),
        cmocka_unit_test(a_reload_adds_changes_and_removes),
        cmocka_unit_test(mistakes_leave_what_was_in_force),
        cmocka_unit_test(access_is_what_the_settings_say),
        cmocka_unit_test(the_input_schema_is_applied_before_a_program_starts),
        cmocka_unit_test(a_loop_that_goes_ends_its_programs),
        cmocka_unit_test(as_root_a_program_runs_as_the_user_that_is_named),
        cmocka_unit_test(memory_that_runs_out_fails_the_request_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
