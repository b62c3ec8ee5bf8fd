/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a reload finds changed, and that a failed one changes nothing. */
#include "core/config/reload.h"

#include "base/mem.h"
#include "support/oom.h"

static const struct alk_alpn git_alpns[] = {{"alknet/git", ALK_TRANSPORT_ANY}};
static const struct alk_alpn call_alpns[] = {{"alknet/call", ALK_TRANSPORT_ANY}};
static const struct alk_conf_row git_rows[] = {
    {.name = "root", .type = ALK_CONF_STRING, .fallback = "git", .reload = ALK_RELOAD_NEW},
    {.name = NULL}};
static const struct alk_handler git = {
    .name = "git", .alpns = git_alpns, .alpn_count = 1, .settings = git_rows};
static const struct alk_handler call = {
    .name = "call", .alpns = call_alpns, .alpn_count = 1, .flags = ALK_HANDLER_DEFAULT_ON};
static const struct alk_handler exec = {.name = "exec", .settings = alk_config_exec_rows};
static const struct alk_handler forward = {.name = "forward", .settings = alk_config_forward_rows};
static const struct alk_handler *const handlers[] = {&git, &call, &exec, &forward};

static struct alk_config_options options_for(const struct alk_mem *mem, const char *yaml)
{
    return (struct alk_config_options){
        .mem = mem,
        .text = alk_span_str(yaml),
        .name = "r.yaml",
        .default_data_dir = "/d",
        .handlers = handlers,
        .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    };
}

/* A handle that started with a document. */
static alk_err start(const struct alk_mem *mem, const char *yaml, struct alk_config_reload **ret)
{
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    struct alk_config_options o = options_for(mem, yaml);
    ALK_TRY(alk_config_load(&o, NULL, &fixed, &dynamic));
    return alk_config_reload_new(&o, fixed, dynamic, ret);
}

static struct alk_config_reload *started(const char *yaml)
{
    struct alk_config_reload *r = NULL;
    assert_int_equal(start(NULL, yaml, &r), ALK_OK);
    return r;
}

static const struct alk_config_diff *prepared(struct alk_config_reload *r, const char *yaml)
{
    const struct alk_config_diff *diff = NULL;
    struct alk_conf_errors errors = {0};
    alk_err err = alk_config_reload_prepare(r, alk_span_str(yaml), &errors, &diff);
    if (err != ALK_OK) {
        print_error("%s", errors.text == NULL ? alk_err_text(err) : errors.text);
    }
    assert_int_equal(err, ALK_OK);
    return diff;
}

/* "name/class name/class ...", what a test can compare. */
static void describe(const struct alk_config_diff *d, struct alk_buf *b)
{
    static const char *const classes[] = {"live", "new", "restart"};
    for (size_t i = 0; i < d->change_count; i++) {
        (void)alk_buf_printf(b, "%s/%s ", d->changes[i].name, classes[d->changes[i].reload]);
    }
    for (size_t i = 0; i < d->added_count; i++) {
        (void)alk_buf_printf(b, "+%s ", d->added[i]->name);
    }
    for (size_t i = 0; i < d->removed_count; i++) {
        (void)alk_buf_printf(b, "-%s ", d->removed[i]->name);
    }
    for (size_t i = 0; i < d->changed_count; i++) {
        (void)alk_buf_printf(b, "~%s ", d->changed[i]->name);
    }
    (void)alk_buf_put_str(b, d->listen_changed ? "L" : "");
    (void)alk_buf_put_str(b, d->certificates_changed ? "C" : "");
    (void)alk_buf_put_str(b, d->auth_changed ? "A" : "");
    (void)alk_buf_put_str(b, d->limits_changed ? "M" : "");
    (void)alk_buf_put_str(b, d->log_changed ? "G" : "");
}

struct diff_case {
    const char *before, *after, *want;
};

static const struct diff_case diff_cases[] = {
    {"", "# nothing new\nlimits: {memory: 524288KiB}\n", ""},
    {"", "limits: {memory: 1GiB}", "limits.memory/live M"},
    {"", "limits: {idle_timeout: 1h, hosts: 1}", "limits.idle_timeout/new limits.hosts/live M"},
    {"", "loops: 2\nuser: bob\nlog: {level: debug}", "user/restart loops/restart log.level/live G"},
    {"log: {levels: {a: info, b: info}}", "log: {levels: {b: warn, c: info}}",
     "log.levels.a/live log.levels.b/live log.levels.c/live G"},
    {"", "listen: \"127.0.0.1:1\"", "listen/live L"},
    {"listen: [\"127.0.0.1:4433\"]", "listen: \"127.0.0.1:4433\"", ""},
    {"", "default_alpn: alknet/call", "default_alpn/live L"},
    {"", "advertise: a:1", "advertise/live "},
    {"advertise: a:1", "", "advertise/live "},
    {"", "identity: {self_signed: true}", "identity.self_signed/new C"},
    {"", "identity: {key: other.key}", "identity.key/restart "},
    {"", "identity: {certificates: [{cert: a, key: b}]}", "identity.certificates/new C"},
    {"", "auth: {peers: [{id: a}]}", "auth.peers/live A"},
    {"", "services: {git: {}}", "services.git/live +git "},
    {"services: {git: {}}", "", "services.git/live -git "},
    {"services: {git: {}}", "services: {git: {enabled: false}}", "services.git.enabled/live -git "},
    {"", "services: {call: {enabled: false}}", "services.call.enabled/live -call "},
    {"services: {git: {}}", "services: {git: {root: /x}}", "services.git.root/new ~git "},
    {"services: {git: {}}", "services: {git: {require: none}}",
     "services.git.require.mode/new ~git "},
    {"", "services: {custom: [{alpn: a, exec: [/a]}]}", "services.custom/live +a "},
    {"services: {custom: [{alpn: a, exec: [/a]}, {alpn: b, exec: [/b]}]}",
     "services: {custom: [{alpn: b, exec: [/b]}, {alpn: a, exec: [/c]}]}",
     "services.custom/live ~a "},
    {"services: {custom: [{alpn: a, exec: [/a]}]}",
     "services: {custom: [{alpn: a, forward: \"unix:/a\"}]}", "services.custom/live ~a "},
};

static void changes_are_named_with_their_class(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(diff_cases) / sizeof(diff_cases[0]); i++) {
        struct alk_config_reload *r = started(diff_cases[i].before);
        struct alk_buf b;
        alk_buf_init(&b, NULL, 4096);
        describe(prepared(r, diff_cases[i].after), &b);
        assert_string_equal(alk_buf_cstr(&b), diff_cases[i].want);
        alk_buf_fini(&b);
        alk_config_reload_free(r); /* with a candidate still prepared */
    }
}

static void commit_swaps_and_abort_does_not(void **unused)
{
    (void)unused;
    struct alk_config_reload *r = started("drain_timeout: 1s");
    const struct alk_dynamic_config *first = alk_dynamic_config_ref(alk_config_reload_current(r));

    (void)prepared(r, "drain_timeout: 2s");
    assert_int_equal(alk_config_reload_next(r)->drain_timeout, 2 * ALK_SECOND);
    assert_ptr_equal(alk_config_reload_current(r), first);
    alk_config_reload_abort(r);
    assert_null(alk_config_reload_next(r));
    assert_ptr_equal(alk_config_reload_current(r), first);
    assert_int_equal(first->generation, 1);

    (void)prepared(r, "drain_timeout: 3s");
    alk_config_reload_commit(r);
    assert_null(alk_config_reload_next(r));
    assert_int_equal(alk_config_reload_current(r)->drain_timeout, 3 * ALK_SECOND);
    assert_int_equal(alk_config_reload_current(r)->generation, 2);
    /* Who still holds the old generation reads it undisturbed. */
    assert_int_equal(first->drain_timeout, ALK_SECOND);
    alk_dynamic_config_unref(first);
    alk_config_reload_free(r);
}

static void a_reload_with_an_error_changes_nothing(void **unused)
{
    (void)unused;
    struct alk_config_reload *r = started("drain_timeout: 1s");
    const struct alk_dynamic_config *before = alk_config_reload_current(r);
    const struct alk_config_diff *diff = NULL;
    struct alk_conf_errors errors = {0};
    assert_int_equal(alk_config_reload_prepare(r, ALK_LIT("drain_timeout: 2"), &errors, &diff),
                     ALK_E_CONFIG);
    assert_non_null(strstr(errors.text, "r.yaml:1:16: error: drain_timeout must be"));
    assert_null(diff);
    assert_null(alk_config_reload_next(r));
    assert_ptr_equal(alk_config_reload_current(r), before);
    alk_conf_errors_fini(&errors);
    (void)prepared(r, "drain_timeout: 2s");
    assert_int_equal(alk_config_reload_prepare(r, ALK_LIT(""), NULL, &diff), ALK_E_STATE);
    alk_config_reload_free(r);
}

static void restart_rows_are_held_against_the_start(void **unused)
{
    struct alk_buf b;
    (void)unused;
    alk_buf_init(&b, NULL, 4096);
    struct alk_config_reload *r = started("loops: 1");

    /* Named on every reload until it is undone, not only on the first. */
    for (unsigned i = 0; i < 2; i++) {
        const struct alk_config_diff *diff = prepared(r, "loops: 2\ndata_dir: /other\n");
        assert_true(diff->needs_restart);
        alk_buf_clear(&b);
        assert_int_equal(alk_config_diff_note(diff, &b), ALK_OK);
        assert_string_equal(alk_buf_cstr(&b), "needs a restart: loops, data_dir");
        /* Paths stay in the directory that is in force. */
        assert_string_equal(alk_config_reload_next(r)->log.audit, "/d/audit.log");
        alk_config_reload_commit(r);
    }
    const struct alk_config_diff *diff = prepared(r, "loops: 1");
    assert_false(diff->needs_restart);
    assert_int_equal(diff->change_count, 0);
    alk_buf_clear(&b);
    assert_int_equal(alk_config_diff_note(diff, &b), ALK_OK);
    assert_int_equal(alk_buf_len(&b), 0);
    assert_int_equal(alk_config_reload_static(r)->loops, 1);
    alk_config_reload_free(r);
    alk_buf_fini(&b);
}

static void a_flood_of_changes_is_cut(void **unused)
{
    struct alk_buf b;
    (void)unused;
    alk_buf_init(&b, NULL, 65536);
    (void)alk_buf_put_str(&b, "services: {custom: [{alpn: a, exec: [/a], env: {");
    (void)alk_buf_put_str(&b, "A: b}}]}\nlog: {levels: {");
    for (unsigned i = 0; i < 64; i++) {
        (void)alk_buf_printf(&b, "c%u: info, ", i);
    }
    (void)alk_buf_put_str(&b, "}}\n");
    struct alk_config_reload *r = started("");
    const struct alk_config_diff *diff = prepared(r, alk_buf_cstr(&b));
    assert_int_equal(diff->change_count, 65);
    assert_string_equal(diff->changes[0].name, "log.levels.c0");
    assert_string_equal(diff->changes[64].name, "services.custom");
    alk_config_reload_free(r);
    alk_buf_fini(&b);
}

static alk_err reload_once(const struct alk_mem *mem, void *ctx)
{
    struct alk_config_reload *r = NULL;
    const struct alk_config_diff *diff = NULL;
    ALK_TRY(start(mem, "services: {git: {}}", &r));
    const struct alk_dynamic_config *before = alk_config_reload_current(r);
    alk_err err = alk_config_reload_prepare(r, alk_span_str(ctx), NULL, &diff);
    if (err == ALK_OK) {
        alk_config_reload_commit(r);
    } else {
        assert_ptr_equal(alk_config_reload_current(r), before);
    }
    alk_config_reload_free(r);
    return err;
}

static void every_failed_allocation_is_told_and_leaks_nothing(void **unused)
{
    static char yaml[] = "data_dir: /x\nloops: 3\nlimits: {memory: 1GiB}\nservices: {custom: "
                         "[{alpn: a, exec: [/a]}]}\n";
    (void)unused;
    oom_sweep(reload_once, yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_are_named_with_their_class),
        cmocka_unit_test(commit_swaps_and_abort_does_not),
        cmocka_unit_test(a_reload_with_an_error_changes_nothing),
        cmocka_unit_test(restart_rows_are_held_against_the_start),
        cmocka_unit_test(a_flood_of_changes_is_cut),
        cmocka_unit_test(every_failed_allocation_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
