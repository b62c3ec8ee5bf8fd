/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations of the configuration, with real programs: answers, lines, errors, limits. */
#include "alknet/conf.h"
#include "ops/part.h"
#include "support/host_world.h"
#include "support/ops_world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct desk {
    struct host_world h; /* its spawner and its log; the loop too */
    struct ops_world w;
    struct alk_env env;
    void *part;
    const struct alk_identity *ann;
};

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct host_world *w = (struct host_world *)ctx;
    (void)level;
    int n = snprintf(w->log + w->log_n, sizeof w->log - w->log_n, "%s: %s\n", component, line);
    w->log_n += n > 0 && (size_t)n < sizeof w->log - w->log_n ? (size_t)n : 0;
}

static const struct alk_conf_row rows[] = {
    {.name = "operations", .type = ALK_CONF_LIST, .sub = alk_exec_op_rows, .max = 99},
    {.name = NULL}};

static alk_err configure(struct desk *d, const char *yaml, char *why, size_t why_size)
{
    const struct alk_conf *conf = NULL;
    struct alk_conf_errors errors = {0};
    void *next = NULL;
    alk_err err = alk_conf_parse(NULL, alk_span_str(yaml), "test", rows, &errors, &conf);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "%s", errors.text);
    } else {
        err =
            alk_exec_part.prepare(d->part, alk_conf_get(conf, "operations"), why, why_size, &next);
    }
    if (err == ALK_OK) {
        alk_exec_part.commit(d->part, next);
    }
    alk_conf_unref(conf);
    alk_conf_errors_fini(&errors);
    return err;
}

static void begin(struct desk *d, const char *yaml)
{
    char why[1024] = "";
    const struct alk_ops_options o = {.struct_size = sizeof o, .check_outputs = true};
    *d = (struct desk){.part = NULL};
    host_world_init(&d->h, NULL, 0, NULL);
    d->w.loop = d->h.loop;
    check_err(alk_ops_new(&o, &d->w.ops), ALK_OK);
    d->env = (struct alk_env){
        .struct_size = sizeof d->env, .spawner = d->h.spawner, .log = on_log, .log_ctx = &d->h};
    const struct alk_part_env env = {.ops = d->w.ops, .env = &d->env};
    check_err(alk_exec_part.start(&env, why, sizeof why, &d->part), ALK_OK);
    if (configure(d, yaml, why, sizeof why) != ALK_OK) {
        fail_msg("%s", why);
    }
    d->ann = ops_somebody("ann", "tools", NULL);
}

static void end(struct desk *d)
{
    ops_world_run(&d->w);
    alk_exec_part.stop(d->part);
    alk_ops_free(d->w.ops);
    alk_identity_unref(d->ann);
    host_world_fini(&d->h);
}

static bool has_ended(void *ctx)
{
    return ((const struct ops_call *)ctx)->ends > 0;
}

static void ask(struct desk *d, const char *op, const char *input, const char *want)
{
    struct ops_call c = {.full = 0};
    ops_start(&d->w, &c, d->ann, op, input);
    host_world_until(&d->h, has_ended, &c);
    if (strcmp(c.heard, want) != 0) {
        fail_msg("%s %s\n got  %s\n want %s\n%s", op, input, c.heard, want, d->h.log);
    }
}

#define OP(name, script, more) "  - {name: " name ", exec: [/bin/sh, -c, '" script "']" more "}\n"

static void a_query_gets_the_input_and_answers_with_what_it_prints(void **state)
{
    struct desk d;
    (void)state;
    begin(&d, "operations:\n" OP("t/cat", "cat", ", kind: query") OP("t/nothing", "true", "")
                  OP("t/spaces", "echo; echo \" [1, 2] \"; echo", "")
                      OP("t/lines", "printf \"[1,\\\\n2]\"", "")
                          OP("t/env", "echo \"\\\"$ALKNET_PEER_ID $X $HOME\\\"\"",
                             ", env: {X: y}, cwd: /"));
    ask(&d, "t/cat", "{\"a\":[1,2]}", "={\"a\":[1,2]}");
    ask(&d, "t/cat", "", "={}");
    ask(&d, "t/nothing", "{}", "={}");
    ask(&d, "t/spaces", "{}", "=[1, 2]");
    ask(&d, "t/lines", "{}", "=[1,\n2]");
    ask(&d, "t/env", "{}", "=\"ann y \""); /* nothing is inherited */
    end(&d);
}

/* Of whatever the input holds, nothing becomes a word of a shell or an argument. */
static void the_input_is_data_and_never_a_command(void **state)
{
    struct desk d;
    (void)state;
    begin(&d, "operations:\n" OP("t/n", "echo $#", ""));
    ask(&d, "t/n", "{\"a\":\"$(id); `id` '; id #\"}", "=0");
    end(&d);
}

static void a_program_that_fails_says_why_with_its_last_line(void **state)
{
    struct desk d;
    (void)state;
    begin(&d, "operations:\n" OP(
                  "t/fail",
                  "echo working; echo \"{\\\"error\\\":{\\\"code\\\":\\\"BUSY\\\",\\\"message\\\":"
                  "\\\"later\\\",\\\"details\\\":{\\\"in\\\":5}}}\"; exit 1",
                  ", errors: [{code: BUSY, summary: try later}]")
                  OP("t/undeclared",
                     "echo \"{\\\"error\\\":{\\\"code\\\":\\\"OTHER\\\",\\\"message\\\":\\\"x\\\"}}"
                     "\"; exit 1",
                     "") OP("t/shared",
                            "echo \"{\\\"error\\\":{\\\"code\\\":\\\"NOT_FOUND\\\"}}\"; exit 1", "")
                      OP("t/one", "exit 1", "") OP("t/three", "echo secret text; exit 3", "")
                          OP("t/killed", "kill -SEGV $$", "") OP("t/text", "echo hello", "")
                              OP("t/half", "echo \"{\\\"a\\\":\"", "")
                                  OP("t/twice", "echo 1; echo 2", ""));
    ask(&d, "t/fail", "{}", "!BUSY later {\"in\":5}");
    ask(&d, "t/undeclared", "{}", "!INTERNAL internal error");
    ask(&d, "t/shared", "{}", "!NOT_FOUND there is no such operation");
    ask(&d, "t/one", "{}", "!INTERNAL the program failed");
    ask(&d, "t/three", "{}", "!INTERNAL the program failed");
    ask(&d, "t/killed", "{}", "!INTERNAL the program failed");
    ask(&d, "t/text", "{}", "!INTERNAL the program answered with something that is not JSON");
    ask(&d, "t/half", "{}", "!INTERNAL the program answered with something that is not JSON");
    ask(&d, "t/twice", "{}", "!INTERNAL the program answered with something that is not JSON");
    assert_true(host_log_has(&d.h, "t/three: ended with status 3"));
    assert_true(host_log_has(&d.h, "t/killed: was ended by signal 11"));
    assert_true(host_log_has(&d.h, "t/text: its output is not JSON"));
    assert_false(host_log_has(&d.h, "secret text"));
    end(&d);
}

static void a_program_that_is_not_there_is_internal_and_logged(void **state)
{
    struct desk d;
    (void)state;
    begin(&d, "operations:\n  - {name: t/x, exec: [/nonexistent/tool]}\n");
    ask(&d, "t/x", "{}", "!INTERNAL the program could not be run");
    assert_true(host_log_has(&d.h, "t/x: exec: No such file"));
    end(&d);
}

/* --- lines ------------------------------------------------------------------------ */

static void a_subscription_answers_line_by_line(void **state)
{
    struct desk d;
    (void)state;
    begin(&d,
          "operations:\n" OP("t/count", "echo 1; echo; echo 2; printf 3", ", kind: subscription")
              OP("t/none", "true", ", kind: subscription")
                  OP("t/bad", "echo 1; echo two; echo 3; sleep 60", ", kind: subscription")
                      OP("t/fails",
                         "echo 1; echo \"{\\\"error\\\":{\\\"code\\\":\\\"NOT_FOUND\\\","
                         "\\\"message\\\":\\\"m\\\"}}\"; exit 1",
                         ", kind: subscription")
                          OP("t/dies", "echo 1; echo 2; exit 4", ", kind: subscription"));
    ask(&d, "t/count", "{}", "~1~2~3.");
    ask(&d, "t/none", "{}", ".");
    ask(&d, "t/bad", "{}", "~1!INTERNAL the program answered with something that is not JSON");
    ask(&d, "t/fails", "{}", "~1!NOT_FOUND m");
    ask(&d, "t/dies", "{}", "~1~2!INTERNAL the program failed");
    end(&d);
}

struct taker {
    struct alk_request *request;
    unsigned every, calls, n, ends;
    bool was_full, is_bad;
    const char *code;
};

static alk_err take_line(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct taker *t = (struct taker *)ctx;
    uint64_t v = 0;
    (void)r;
    (void)is_last;
    t->calls++;
    if (t->every > 0 && !t->was_full && t->calls % t->every == 0) {
        t->was_full = true;
        return ALK_FULL;
    }
    t->was_full = false;
    t->n++;
    t->is_bad = t->is_bad || !alk_span_u64(output, UINT64_MAX, &v) || v != t->n;
    return ALK_OK;
}

static void take_end(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct taker *t = (struct taker *)ctx;
    (void)r;
    t->ends++;
    t->code = o->code;
    t->request = NULL;
}

static const struct alk_face taker_face = {take_line, take_end};

static bool taker_waits_or_is_over(void *ctx)
{
    const struct taker *t = (const struct taker *)ctx;
    return t->was_full || t->ends > 0;
}

static void a_slow_reader_makes_the_program_wait_and_loses_nothing(void **state)
{
    static const unsigned rhythms[] = {0, 1, 7, 997};
    struct desk d;
    (void)state;
    begin(&d, "operations:\n  - {name: t/seq, exec: [/usr/bin/seq, '20000'], kind: subscription}\n"
              "  - {name: t/endless, exec: [/usr/bin/seq, '100000000'], kind: subscription}\n");
    for (size_t i = 0; i < sizeof rhythms / sizeof rhythms[0]; i++) {
        struct taker t = {.every = rhythms[i]};
        const struct alk_start_spec spec = {
            .loop = d.w.loop, .op = ALK_LIT("t/seq"), .caller = d.ann};
        check_err(alk_ops_start(d.w.ops, &spec, &taker_face, &t, &t.request), ALK_OK);
        while (t.ends == 0) {
            host_world_until(&d.h, taker_waits_or_is_over, &t);
            if (t.ends == 0) {
                alk_request_writable(t.request);
            }
        }
        assert_null(t.code);
        assert_false(t.is_bad);
        assert_int_equal(t.n, 20000);
    }
    /* What nobody takes is not made: the program stands still. */
    struct taker t = {.every = 1};
    const struct alk_start_spec spec = {
        .loop = d.w.loop, .op = ALK_LIT("t/endless"), .caller = d.ann};
    check_err(alk_ops_start(d.w.ops, &spec, &taker_face, &t, &t.request), ALK_OK);
    host_world_until(&d.h, taker_waits_or_is_over, &t);
    host_world_run(&d.h, 100);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.ends, 0);
    alk_request_cancel(t.request);
    end(&d);
}

/* --- limits ------------------------------------------------------------------------ */

static void an_answer_that_is_too_large_ends_the_program(void **state)
{
    struct desk d;
    (void)state;
    begin(&d, "operations:\n" OP("t/big", "yes 11111111 | tr -d \"\\\\n\"", "")
                  OP("t/line", "yes 11111111 | tr -d \"\\\\n\"", ", kind: subscription"));
    ask(&d, "t/big", "{}", "!TOO_LARGE the program's answer is larger than 1 MiB");
    ask(&d, "t/line", "{}", "!TOO_LARGE the program's answer is larger than 1 MiB");
    end(&d);
}

static void time_memory_and_instances_are_limited(void **state)
{
    struct desk d;
    struct ops_call c[3] = {{.full = 0}};
    (void)state;
    begin(&d, "operations:\n" OP("t/slow", "sleep 60", ", timeout: 100ms")
                  OP("t/two", "sleep 60",
                     ", max_instances: 2") "  - {name: t/mem, exec: [/usr/bin/python3, -c, 'x = "
                                           "bytearray(1 << 29)'], "
                                           "memory: 128MiB}\n");
    ask(&d, "t/slow", "{}", "?TIMEOUT no answer in time");
    ask(&d, "t/mem", "{}", "!INTERNAL the program failed");
    for (unsigned i = 0; i < 3; i++) {
        ops_start(&d.w, &c[i], d.ann, "t/two", "{}");
    }
    host_world_until(&d.h, has_ended, &c[2]);
    assert_memory_equal(c[2].heard, "?EXHAUSTED", 10);
    assert_int_equal(c[0].ends + c[1].ends, 0);
    alk_request_cancel(c[0].request);
    /* It counts until it has ended; then there is room for one again. */
    for (unsigned i = 0; i < 200; i++) {
        ops_start(&d.w, &c[2], d.ann, "t/two", "{}");
        host_world_run(&d.h, 10);
        if (c[2].ends == 0) {
            break;
        }
        assert_memory_equal(c[2].heard, "?EXHAUSTED", 10);
    }
    assert_int_equal(c[2].ends, 0);
    alk_request_cancel(c[1].request);
    alk_request_cancel(c[2].request);
    end(&d);
}

static bool has_two(void *ctx)
{
    const char *first = strchr(((const struct ops_call *)ctx)->heard, '~');
    return first != NULL && strchr(first + 1, '~') != NULL;
}

struct pids {
    pid_t pid[2];
};

static bool are_gone(void *ctx)
{
    const struct pids *p = (const struct pids *)ctx;
    return kill(p->pid[0], 0) != 0 && errno == ESRCH && kill(p->pid[1], 0) != 0 && errno == ESRCH;
}

static void who_cancels_ends_the_program_and_its_children(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    struct pids p;
    char *rest = NULL;
    (void)state;
    begin(&d, "operations:\n" OP("t/x", "sleep 60 & echo $$; echo $!; echo 0; wait",
                                 ", kind: subscription"));
    ops_start(&d.w, &c, d.ann, "t/x", "{}");
    host_world_until(&d.h, has_two, &c);
    p.pid[0] = (pid_t)strtol(c.heard + 1, &rest, 10);
    p.pid[1] = (pid_t)strtol(rest + 1, &rest, 10);
    assert_false(are_gone(&p));
    alk_request_cancel(c.request);
    host_world_until(&d.h, are_gone, &p);
    end(&d);
}

/* --- rules and settings --------------------------------------------------------------- */

static void scopes_and_public_are_the_configurations(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    const struct alk_identity *bob = ops_somebody("bob", "other", NULL);
    (void)state;
    begin(&d, "operations:\n" OP("t/some", "echo 1", ", scopes: [tools]") OP("t/any", "echo 2", "")
                  OP("t/all", "echo 3", ", public: true"));
    static const struct {
        const char *op;
        const char *want[3]; /* ann, bob, nobody */
    } cases[] = {{"t/some", {"=1", "!NOT_FOUND", "!UNAUTHENTICATED"}},
                 {"t/any", {"=2", "=2", "!UNAUTHENTICATED"}},
                 {"t/all", {"=3", "=3", "=3"}}};
    const struct alk_identity *const who[3] = {d.ann, bob, NULL};
    for (size_t i = 0; i < 9; i++) {
        ops_start(&d.w, &c, who[i % 3], cases[i / 3].op, "{}");
        host_world_until(&d.h, has_ended, &c);
        const char *want = cases[i / 3].want[i % 3];
        assert_memory_equal(c.heard, want, strlen(want));
    }
    alk_identity_unref(bob);
    end(&d);
}

/* The program outlives its place in the registry. */
static void a_request_under_way_outlives_its_operation(void **state)
{
    struct desk d;
    struct ops_call c = {.full = 0};
    char why[512] = "";
    (void)state;
    begin(&d, "operations:\n" OP("t/x", "sleep 0.1; echo 1", ""));
    ops_start(&d.w, &c, d.ann, "t/x", "{}");
    host_world_run(&d.h, 10);
    check_err(configure(&d, "operations: []\n", why, sizeof why), ALK_OK);
    ask(&d, "t/x", "{}", "!NOT_FOUND there is no such operation");
    host_world_until(&d.h, has_ended, &c);
    assert_string_equal(c.heard, "=1");
    end(&d);
}

static void a_mistake_in_one_operation_leaves_all_in_force(void **state)
{
    static const struct {
        const char *yaml, *why;
    } cases[] = {
        {"operations:\n- {name: fs/mine, exec: [/bin/true]}\n", "belongs to the node itself"},
        {"operations:\n- {name: node/x/y, exec: [/bin/true]}\n", "belongs to the node itself"},
        {"operations:\n- {name: nothing, exec: [/bin/true]}\n", "must be NAMESPACE/NAME"},
        {"operations:\n- {name: t/x, exec: [true]}\n", "must be an absolute path"},
        {"operations:\n- {name: t/X, exec: [/bin/true]}\n", "t/X"},
        {"operations:\n- {name: t/x, exec: [/bin/true], input: 'no json'}\n", "JSON Schema"},
        {"operations:\n- {name: t/x, exec: [/bin/true], input: '{\"type\": 7}'}\n", "/type"},
        {"operations:\n- {name: t/x, exec: [/bin/true], errors: [{code: lower}]}\n", "lower"},
        {"operations:\n- {name: t/a, exec: [/bin/true]}\n- {name: t/a, exec: [/bin/true]}\n",
         "test:3"},
    };
    struct desk d;
    (void)state;
    begin(&d, "operations:\n" OP("t/old", "echo 1", ""));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char why[1024] = "";
        assert_true(configure(&d, cases[i].yaml, why, sizeof why) < 0);
        if (strstr(why, cases[i].why) == NULL) {
            fail_msg("%s\n said %s\n not  %s", cases[i].yaml, why, cases[i].why);
        }
        ask(&d, "t/old", "{}", "=1");
    }
    end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_gets_the_input_and_answers_with_what_it_prints),
        cmocka_unit_test(the_input_is_data_and_never_a_command),
        cmocka_unit_test(a_program_that_fails_says_why_with_its_last_line),
        cmocka_unit_test(a_program_that_is_not_there_is_internal_and_logged),
        cmocka_unit_test(a_subscription_answers_line_by_line),
        cmocka_unit_test(a_slow_reader_makes_the_program_wait_and_loses_nothing),
        cmocka_unit_test(an_answer_that_is_too_large_ends_the_program),
        cmocka_unit_test(time_memory_and_instances_are_limited),
        cmocka_unit_test(who_cancels_ends_the_program_and_its_children),
        cmocka_unit_test(scopes_and_public_are_the_configurations),
        cmocka_unit_test(a_request_under_way_outlives_its_operation),
        cmocka_unit_test(a_mistake_in_one_operation_leaves_all_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
