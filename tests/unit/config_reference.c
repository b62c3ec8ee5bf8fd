/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tables themselves: bounds, defaults, and the texts that are made from them. */
#include "core/config/reference.h"

#include "core/config/node_rows.h"
#include "core/config/value.h"

#include "base/mem.h"
#include "support/oom.h"

#define KEY "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static const struct alk_alpn git_alpns[] = {{"alknet/git", ALK_TRANSPORT_ANY}};
static const struct alk_conf_row git_rows[] = {
    {.name = "root", .type = ALK_CONF_STRING, .fallback = "git", .help = "Where they lie."},
    {.name = NULL}};
static const struct alk_handler git = {.name = "git",
                                       .summary = "Git repositories.",
                                       .alpns = git_alpns,
                                       .alpn_count = 1,
                                       .settings = git_rows,
                                       .flags = ALK_HANDLER_DEFAULT_ON};
static const struct alk_handler exec = {.name = "exec", .settings = alk_config_exec_rows};
static const struct alk_handler forward = {.name = "forward", .settings = alk_config_forward_rows};
static const struct alk_handler *const handlers[] = {&git, &exec, &forward};

/* ------------------------------------------------------------------- bounds */

/* Where a row stands: the document before and after its value. */
struct place {
    char before[256], after[64];
};

struct walk {
    const struct alk_conf_row *table;
    size_t checked;
};

static alk_err parse(const struct alk_conf_row *table, const struct place *at, const char *name,
                     const char *value)
{
    struct alk_buf b;
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    alk_buf_init(&b, NULL, (size_t)1 << 18);
    (void)alk_buf_printf(&b, "%s%s: %s%s\n", at->before, name, value, at->after);
    alk_err err = alk_conf_parse(NULL, alk_buf_span(&b), "t", table, &errors, &conf);
    if (err == ALK_E_CONFIG) {
        assert_non_null(strstr(errors.text, name));
    }
    alk_conf_errors_fini(&errors);
    alk_conf_unref(conf);
    alk_buf_fini(&b);
    return err;
}

static void check_number(struct walk *w, const struct alk_conf_row *row, const struct place *at)
{
    char text[ALK_CONF_VALUE_SIZE + 4];
    uint64_t step = row->type == ALK_CONF_DURATION ? ALK_MS : 1;
    const struct {
        uint64_t value;
        bool is_good;
    } cases[] = {
        {row->min, true},
        {row->max, true},
        {row->min - step, row->min < step}, /* there is nothing below 0 */
        {row->max + step, false},
    };
    for (size_t i = 0; i < 4; i++) {
        uint64_t value = cases[i].value > row->max + step ? 0 : cases[i].value;
        alk_conf_print_number(row->type, value, text);
        alk_err err = parse(w->table, at, row->name, text);
        if (err != (cases[i].is_good ? ALK_OK : ALK_E_CONFIG)) {
            fail_msg("%s: %s gives %s", row->name, text, alk_err_name(err));
        }
    }
}

static void check_string(struct walk *w, const struct alk_conf_row *row, const struct place *at)
{
    size_t max = (size_t)row->max;
    char *text = alk_zalloc(NULL, max + 4, 1);
    assert_non_null(text);
    text[0] = '"';
    if (row->check == NULL) {
        memset(text + 1, 'x', max);
        text[max + 1] = '"';
        assert_int_equal(parse(w->table, at, row->name, text), ALK_OK);
    }
    memset(text + 1, 'x', max + 1);
    text[max + 2] = '"';
    assert_int_equal(parse(w->table, at, row->name, text), ALK_E_CONFIG);
    if (row->min > 0) {
        assert_int_equal(parse(w->table, at, row->name, "\"\""), ALK_E_CONFIG);
    }
    alk_free(NULL, text);
}

static void check_words(struct walk *w, const struct alk_conf_row *row, const struct place *at)
{
    for (size_t i = 0; row->values[i] != NULL; i++) {
        assert_int_equal(parse(w->table, at, row->name, row->values[i]), ALK_OK);
    }
    assert_int_equal(parse(w->table, at, row->name, "nonsense"), ALK_E_CONFIG);
}

static void check_row(struct walk *w, const struct alk_conf_row *row, const struct place *at)
{
    w->checked++;
    if (row->type == ALK_CONF_BOOL) {
        assert_int_equal(parse(w->table, at, row->name, "true"), ALK_OK);
        assert_int_equal(parse(w->table, at, row->name, "false"), ALK_OK);
        assert_int_equal(parse(w->table, at, row->name, "yes"), ALK_E_CONFIG);
    } else if (row->type == ALK_CONF_ENUM) {
        check_words(w, row, at);
    } else if (row->type == ALK_CONF_STRING) {
        check_string(w, row, at);
    } else {
        check_number(w, row, at);
    }
}

static bool is_scalar(const struct alk_conf_row *row)
{
    return row->type != ALK_CONF_LIST && row->type != ALK_CONF_MAP && row->type != ALK_CONF_DICT;
}

static void check_members(struct walk *w, const struct alk_conf_row *rows, const struct place *at)
{
    for (const struct alk_conf_row *row = rows; row->name != NULL; row++) {
        /* Lists and dicts, and what handlers bring, are the business of others. */
        if (is_scalar(row) && (row->min != 0 || row->max != 0 || row->type == ALK_CONF_BOOL ||
                               row->type == ALK_CONF_ENUM)) {
            check_row(w, row, at);
        } else if (row->type == ALK_CONF_MAP && row->sub != NULL) {
            struct place below;
            int n = snprintf(below.before, sizeof(below.before), "%s%s: {", at->before, row->name);
            int m = snprintf(below.after, sizeof(below.after), "}%s", at->after);
            assert_true((size_t)n < sizeof(below.before) && (size_t)m < sizeof(below.after));
            check_members(w, row->sub, &below);
        }
    }
}

static const struct alk_conf_row *row_named(const struct alk_conf_row *rows, const char *name)
{
    while (rows->name != NULL && strcmp(rows->name, name) != 0) {
        rows++;
    }
    assert_non_null(rows->name);
    return rows;
}

/* The rows of a list's elements, with the members that they need beside them. */
static void check_element(struct walk *w, const struct alk_conf_row *rows, const char *before,
                          const char *after, const char *skip)
{
    struct place at;
    (void)snprintf(at.before, sizeof(at.before), "%s", before);
    (void)snprintf(at.after, sizeof(at.after), "%s", after);
    for (const struct alk_conf_row *row = rows; row->name != NULL; row++) {
        bool is_given = strstr(before, row->name) != NULL || strstr(skip, row->name) != NULL;
        if (is_scalar(row) && !is_given) {
            check_row(w, row, &at);
        }
    }
}

static void every_row_keeps_its_bounds(void **unused)
{
    struct alk_arena arena;
    struct walk w = {NULL, 0};
    struct place root = {"", ""};
    (void)unused;
    alk_arena_init(&arena, NULL);
    assert_int_equal(alk_config_table(&arena, handlers, 3, &w.table), ALK_OK);
    check_members(&w, w.table, &root);
    const struct alk_conf_row *custom =
        row_named(row_named(w.table, "services")->sub, "custom")->sub->sub;
    check_element(&w, custom, "services: {custom: [{alpn: a, exec: [/x], ", "}]}",
                  "forward connect_timeout proxy_protocol");
    check_element(&w, custom, "services: {custom: [{alpn: a, forward: \"unix:/x\", ", "}]}",
                  "stdio cwd user timeout memory max_instances");
    check_element(&w, row_named(w.table, "listen")->sub->sub, "listen: [{address: \"1.1.1.1:1\", ",
                  "}]", "");
    check_element(&w, row_named(row_named(w.table, "auth")->sub, "peers")->sub->sub,
                  "auth: {peers: [{id: a, ", "}]}", "");
    assert_true(w.checked > 40);
    alk_arena_fini(&arena);
}

/* ----------------------------------------------------------- every row, told */

static void check_help(const struct alk_conf_row *rows, const char *page)
{
    for (const struct alk_conf_row *row = rows; row != NULL && row->name != NULL; row++) {
        if (row->help != NULL) {
            size_t n = strlen(row->help);
            assert_true(n > 8 && (row->help[n - 1] == '.' || row->help[n - 2] == '.'));
            assert_non_null(strstr(page, row->name));
        }
        check_help(row->sub, page);
    }
}

static void the_reference_has_every_row(void **unused)
{
    static const char *const names[] = {"listen[].address",
                                        "limits.memory",
                                        "auth.peers[].resources.NAME[].actions",
                                        "services.NAME.require.scopes",
                                        "services.git.root",
                                        "services.custom[].proxy_protocol"};
    (void)unused;
    for (int format = ALK_CONFIG_MARKDOWN; format <= ALK_CONFIG_MAN; format++) {
        struct alk_buf b;
        struct alk_arena arena;
        const struct alk_conf_row *table = NULL;
        alk_buf_init(&b, NULL, (size_t)1 << 20);
        alk_arena_init(&arena, NULL);
        assert_int_equal(
            alk_config_reference(NULL, (enum alk_config_format)format, handlers, 3, &b), ALK_OK);
        assert_int_equal(alk_config_table(&arena, handlers, 3, &table), ALK_OK);
        check_help(table, alk_buf_cstr(&b));
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            assert_non_null(strstr(alk_buf_cstr(&b), names[i]));
        }
        alk_arena_fini(&arena);
        alk_buf_fini(&b);
    }
}

static void types_are_told_with_bounds_and_units(void **unused)
{
    static const char *const words[] = {"a", "b", "c", NULL};
    static const struct alk_conf_row text = {.name = "x", .type = ALK_CONF_STRING};
    static const struct {
        struct alk_conf_row row;
        const char *want;
    } cases[] = {
        {{.type = ALK_CONF_UINT}, "number"},
        {{.type = ALK_CONF_UINT, .min = 1, .max = 9, .unit = "loops"}, "1..9 loops"},
        {{.type = ALK_CONF_UINT, .min = 5, .max = UINT64_MAX}, "at least 5"},
        {{.type = ALK_CONF_SIZE, .max = 1 << 20}, "size, 0..1MiB"},
        {{.type = ALK_CONF_DURATION, .min = ALK_MS, .max = 60 * ALK_SECOND}, "duration, 1ms..1m"},
        {{.type = ALK_CONF_BOOL}, "true or false"},
        {{.type = ALK_CONF_ENUM, .values = words}, "a, b or c"},
        {{.type = ALK_CONF_STRING, .min = 8, .max = 8}, "text, 8 bytes"},
        {{.type = ALK_CONF_LIST, .sub = &text, .scalar_ok = true}, "one or a list of: text"},
        {{.type = ALK_CONF_DICT, .sub = &text}, "names, each with: text"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char type[ALK_CONFIG_TYPE_TEXT_MAX];
        alk_config_type_text(&cases[i].row, type);
        assert_string_equal(type, cases[i].want);
    }
}

/* ------------------------------------------------------------------ example */

static const struct alk_dynamic_config *load(struct alk_span text,
                                             const struct alk_static_config **ret_fixed)
{
    const struct alk_config_options o = {
        .text = text,
        .name = "example",
        .default_data_dir = "/d",
        .handlers = handlers,
        .handler_count = 3,
    };
    struct alk_conf_errors errors = {0};
    const struct alk_dynamic_config *dynamic = NULL;
    alk_err err = alk_config_load(&o, &errors, ret_fixed, &dynamic);
    if (err != ALK_OK) {
        print_error("%s", errors.text == NULL ? alk_err_text(err) : errors.text);
    }
    assert_int_equal(err, ALK_OK);
    return dynamic;
}

/* The text with the single '#' before each setting removed. */
static void uncomment(struct alk_span text, struct alk_buf *ret)
{
    while (text.n > 0) {
        struct alk_span line = alk_span_cut(&text, '\n');
        bool is_setting = line.n > 1 && line.p[0] == '#' && line.p[1] != '#';
        assert_true(line.n <= 100);
        (void)alk_buf_put(ret, is_setting ? alk_span_tail(line, 1) : line);
        (void)alk_buf_put_u8(ret, '\n');
    }
}

static void the_example_means_the_defaults_with_and_without_comments(void **unused)
{
    struct alk_buf example;
    struct alk_buf bare;
    const struct alk_static_config *fixed[3];
    (void)unused;
    alk_buf_init(&example, NULL, (size_t)1 << 20);
    alk_buf_init(&bare, NULL, (size_t)1 << 20);
    assert_int_equal(alk_config_example(NULL, handlers, 3, NULL, &example), ALK_OK);
    uncomment(alk_buf_span(&example), &bare);
    const struct alk_dynamic_config *a = load(alk_span(NULL, 0), &fixed[0]);
    const struct alk_dynamic_config *b = load(alk_buf_span(&example), &fixed[1]);
    const struct alk_dynamic_config *c = load(alk_buf_span(&bare), &fixed[2]);
    assert_true(alk_conf_equal(a->tree, b->tree));
    assert_true(alk_conf_equal(a->tree, c->tree));
    assert_false(alk_conf_is_set(alk_conf_get(b->tree, "listen")));
    assert_true(alk_conf_is_set(alk_conf_get(c->tree, "listen")));
    assert_true(alk_conf_is_set(alk_conf_get(alk_conf_get(c->tree, "limits"), "hosts")));
    const struct alk_dynamic_config *all[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        alk_dynamic_config_unref(all[i]);
        alk_static_config_unref(fixed[i]);
    }
    alk_buf_fini(&bare);
    alk_buf_fini(&example);
}

static void the_example_names_settings_without_a_default(void **unused)
{
    static const struct alk_conf_row queue[] = {{.name = "events", .type = ALK_CONF_UINT},
                                                {.name = "size", .type = ALK_CONF_SIZE},
                                                {.name = NULL}};
    static const struct alk_conf_row rows[] = {
        {.name = "queue", .type = ALK_CONF_MAP, .sub = queue, .help = "What may wait."},
        {.name = "greeting", .type = ALK_CONF_STRING, .help = "What is said."},
        {.name = NULL}};
    static const struct alk_handler talk = {
        .name = "talk", .settings = rows, .flags = ALK_HANDLER_DEFAULT_ON};
    static const struct alk_handler *const one[] = {&talk};
    struct alk_buf example;
    (void)unused;
    alk_buf_init(&example, NULL, (size_t)1 << 20);
    assert_int_equal(alk_config_example(NULL, one, 1, NULL, &example), ALK_OK);
    const char *text = alk_buf_cstr(&example);
    assert_non_null(
        strstr(text, "##     What may wait.\n##       queue: {events: ..., size: ...}\n"));
    assert_non_null(strstr(text, "##     What is said.\n##       greeting: (text)\n"));
    assert_non_null(strstr(text, "##       isolation: (in-process or process)\n"));
    alk_buf_fini(&example);
}

static void the_example_can_name_the_data_dir(void **unused)
{
    struct alk_buf example;
    const struct alk_static_config *fixed = NULL;
    (void)unused;
    alk_buf_init(&example, NULL, (size_t)1 << 20);
    assert_int_equal(alk_config_example(NULL, handlers, 3, "/a \"dir\": # x", &example), ALK_OK);
    const struct alk_dynamic_config *dynamic = load(alk_buf_span(&example), &fixed);
    assert_string_equal(fixed->data_dir, "/a \"dir\": # x");
    alk_dynamic_config_unref(dynamic);
    alk_static_config_unref(fixed);
    alk_buf_fini(&example);
}

/* What the example shows in prose is right, too. */
static void the_samples_of_the_example_are_accepted(void **unused)
{
    static const char sample[] =
        "advertise: node.example.org:4433\n"
        "data_dir: /var/lib/alknet\n"
        "identity: {certificates: [{cert: chain.pem, key: key.pem}]}\n"
        "auth:\n  peers:\n    - id: laptop\n      keys: [\"" KEY "\"]\n"
        "      scopes: [admin]\n      resources: {repo: [\"team/*\"]}\n"
        "log: {levels: {quic: debug}}\n"
        "services:\n  custom:\n"
        "    - {alpn: xmpp-client, forward: \"unix:/run/xmpp.sock\"}\n"
        "    - {alpn: my/tool, exec: [/usr/bin/tool, --stdio], memory: 256MiB}\n"
        "    - {alpn: my/motd, exec: [/bin/cat, /etc/motd], require: none}\n";
    const struct alk_static_config *fixed = NULL;
    (void)unused;
    const struct alk_dynamic_config *dynamic = load(alk_span_str(sample), &fixed);
    assert_int_equal(dynamic->service_count, 4);
    alk_dynamic_config_unref(dynamic);
    alk_static_config_unref(fixed);
}

/* ------------------------------------------------------------------- memory */

static alk_err write_once(const struct alk_mem *mem, void *ctx)
{
    struct alk_buf b;
    (void)ctx;
    alk_buf_init(&b, mem, (size_t)1 << 20);
    alk_err err = alk_config_reference(mem, ALK_CONFIG_MAN, handlers, 3, &b);
    if (err == ALK_OK) {
        err = alk_config_example(mem, handlers, 3, "/x", &b);
    }
    alk_buf_fini(&b);
    return err;
}

static void every_failed_allocation_is_told_and_leaks_nothing(void **unused)
{
    (void)unused;
    oom_sweep(write_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_keeps_its_bounds),
        cmocka_unit_test(the_reference_has_every_row),
        cmocka_unit_test(types_are_told_with_bounds_and_units),
        cmocka_unit_test(the_example_means_the_defaults_with_and_without_comments),
        cmocka_unit_test(the_example_names_settings_without_a_default),
        cmocka_unit_test(the_example_can_name_the_data_dir),
        cmocka_unit_test(the_samples_of_the_example_are_accepted),
        cmocka_unit_test(every_failed_allocation_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
