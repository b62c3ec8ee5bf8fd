/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Documents against tables: what is accepted, what is refused and how it is said. */
#include "core/config/conf.h"

#include "base/mem.h"
#include "support/oom.h"

static const char *const levels[] = {"error", "warn", "info", NULL};

static alk_err check_even(const struct alk_conf *value, char *why, size_t why_size)
{
    if (alk_conf_uint(value) % 2 != 0) {
        (void)snprintf(why, why_size, "even must be an even number");
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

static const struct alk_conf_row string_row[] = {{.name = "name", .type = ALK_CONF_STRING},
                                                 {.name = NULL}};
static const struct alk_conf_row grant_rows[] = {
    {.name = "name", .type = ALK_CONF_STRING, .is_required = true},
    {.name = "actions",
     .type = ALK_CONF_LIST,
     .sub = string_row,
     .fallback = "[read]",
     .scalar_ok = true},
    {.name = NULL}};
static const struct alk_conf_row grant_row[] = {
    {.name = "grant", .type = ALK_CONF_MAP, .sub = grant_rows, .scalar_ok = true}, {.name = NULL}};
static const struct alk_conf_row map_rows[] = {
    {.name = "memory", .type = ALK_CONF_SIZE, .fallback = "512MiB", .min = 1024, .max = 1ull << 40},
    {.name = "timeout",
     .type = ALK_CONF_DURATION,
     .fallback = "10s",
     .min = 100 * ALK_MS,
     .max = 86400 * ALK_SECOND,
     .reload = ALK_RELOAD_NEW},
    {.name = "level", .type = ALK_CONF_ENUM, .values = levels, .fallback = "info"},
    {.name = NULL}};
static const struct alk_conf_row table[] = {
    {.name = "port", .type = ALK_CONF_UINT, .min = 1, .max = 65535, .fallback = "4433"},
    {.name = "even", .type = ALK_CONF_UINT, .check = check_even},
    {.name = "on", .type = ALK_CONF_BOOL, .fallback = "true"},
    {.name = "name", .type = ALK_CONF_STRING, .min = 1, .max = 8},
    {.name = "secret", .type = ALK_CONF_STRING, .is_secret = true, .min = 4, .max = 64},
    {.name = "listen",
     .type = ALK_CONF_LIST,
     .sub = string_row,
     .fallback = "[\"a:1\", \"b:2\"]",
     .min = 1,
     .max = 4,
     .scalar_ok = true},
    {.name = "limits",
     .type = ALK_CONF_MAP,
     .sub = map_rows,
     .fallback = "{}",
     .reload = ALK_RELOAD_LIVE},
    {.name = "grants", .type = ALK_CONF_LIST, .sub = grant_row, .fallback = "[]"},
    {.name = "env", .type = ALK_CONF_DICT, .sub = string_row},
    {.name = "any", .type = ALK_CONF_MAP},
    {.name = NULL}};

/* ----------------------------------------------------------------- helpers */

static const struct alk_conf *parse_ok(const char *yaml)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    alk_err err = alk_conf_parse(NULL, alk_span_str(yaml), "t.yaml", table, &errors, &conf);
    if (err != ALK_OK) {
        print_error("%s", errors.text == NULL ? "(no text)\n" : errors.text);
    }
    assert_int_equal(err, ALK_OK);
    assert_int_equal(errors.count, 0);
    return conf;
}

static void assert_where(const struct alk_conf *conf, const char *want)
{
    char where[64];
    alk_conf_where(conf, where, sizeof(where));
    assert_string_equal(where, want);
}

/* ------------------------------------------------------------------ values */

static void an_empty_document_is_all_defaults(void **unused)
{
    static const char *const empty[] = {
        "",   "\n",  "# only a comment\n", "---\n",
        "{}", "~\n", "\xef\xbb\xbf",       "\xef\xbb\xbf# with a mark\n"};
    (void)unused;
    const struct alk_conf *first = parse_ok(empty[0]);
    assert_int_equal(alk_conf_get_uint(first, "port"), 4433);
    assert_true(alk_conf_get_bool(first, "on"));
    assert_false(alk_conf_is_set(alk_conf_get(first, "port")));
    assert_where(alk_conf_get(first, "port"), "default");
    assert_null(alk_conf_get(first, "name"));
    assert_null(alk_conf_get(first, "even"));
    assert_int_equal(alk_conf_count(alk_conf_get(first, "listen")), 2);
    assert_string_equal(alk_conf_str(alk_conf_at(alk_conf_get(first, "listen"), 1)), "b:2");
    const struct alk_conf *limits = alk_conf_get(first, "limits");
    assert_int_equal(alk_conf_get_uint(limits, "memory"), (uint64_t)512 << 20);
    assert_int_equal(alk_conf_get_uint(limits, "timeout"), 10 * ALK_SECOND);
    assert_int_equal(alk_conf_get_uint(limits, "level"), 2);
    for (size_t i = 1; i < sizeof(empty) / sizeof(empty[0]); i++) {
        const struct alk_conf *other = parse_ok(empty[i]);
        assert_true(alk_conf_equal(first, other));
        alk_conf_unref(other);
    }
    alk_conf_unref(first);
}

static void values_are_read_with_their_units_and_places(void **unused)
{
    (void)unused;
    const struct alk_conf *c = parse_ok("port: 1\non: false\nname: 'it''s'\n"
                                        "limits:\n  memory: 3GiB\n  timeout: 5m\n  level: warn\n"
                                        "listen: x:1\nenv: {A: 1, B: \"two\\n\"}\n");
    const struct alk_conf *limits = alk_conf_get(c, "limits");
    assert_int_equal(alk_conf_get_uint(c, "port"), 1);
    assert_false(alk_conf_get_bool(c, "on"));
    assert_true(alk_conf_is_set(alk_conf_get(c, "on")));
    assert_string_equal(alk_conf_get_str(c, "name"), "it's");
    assert_int_equal(alk_conf_get_uint(limits, "memory"), (uint64_t)3 << 30);
    assert_int_equal(alk_conf_get_uint(limits, "timeout"), 300 * ALK_SECOND);
    assert_int_equal(alk_conf_get_uint(limits, "level"), 1);
    assert_string_equal(alk_conf_get_str(limits, "level"), "warn");
    assert_where(alk_conf_get(limits, "timeout"), "t.yaml:6:12");
    assert_where(alk_conf_get(c, "name"), "t.yaml:3:7");
    assert_int_equal(alk_conf_reload(alk_conf_get(limits, "timeout")), ALK_RELOAD_NEW);
    assert_int_equal(alk_conf_reload(alk_conf_get(limits, "memory")), ALK_RELOAD_LIVE);
    assert_int_equal(alk_conf_count(alk_conf_get(c, "listen")), 1);
    const struct alk_conf *env = alk_conf_get(c, "env");
    assert_int_equal(alk_conf_count(env), 2);
    assert_string_equal(alk_conf_key(alk_conf_at(env, 1)), "B");
    assert_string_equal(alk_conf_str(alk_conf_at(env, 1)), "two\n");
    assert_string_equal(alk_conf_get_str(env, "A"), "1");
    alk_conf_unref(c);
}

static void a_null_section_means_its_defaults(void **unused)
{
    (void)unused;
    const struct alk_conf *a = parse_ok("");
    const struct alk_conf *b = parse_ok("limits:\nlisten:\ngrants: ~\n");
    assert_true(alk_conf_equal(a, b));
    assert_false(alk_conf_is_set(alk_conf_get(b, "limits")));
    alk_conf_unref(a);
    alk_conf_unref(b);
}

static void a_scalar_stands_for_the_first_member(void **unused)
{
    (void)unused;
    const struct alk_conf *c =
        parse_ok("grants: [\"team/*\", {name: a, actions: write}, {name: b, actions: [x, y]}]\n");
    const struct alk_conf *grants = alk_conf_get(c, "grants");
    const struct alk_conf *bare = alk_conf_at(grants, 0);
    assert_string_equal(alk_conf_get_str(bare, "name"), "team/*");
    assert_string_equal(alk_conf_str(alk_conf_at(alk_conf_get(bare, "actions"), 0)), "read");
    assert_string_equal(
        alk_conf_str(alk_conf_at(alk_conf_get(alk_conf_at(grants, 1), "actions"), 0)), "write");
    assert_int_equal(alk_conf_count(alk_conf_get(alk_conf_at(grants, 2), "actions")), 2);
    assert_null(alk_conf_at(grants, 3));
    alk_conf_unref(c);
}

static void reading_what_is_not_there_gives_nothing(void **unused)
{
    (void)unused;
    const struct alk_conf *c = parse_ok("name: x\n");
    assert_null(alk_conf_get(NULL, "x"));
    assert_null(alk_conf_get(alk_conf_get(c, "name"), "x"));
    assert_int_equal(alk_conf_count(alk_conf_get(c, "name")), 0);
    assert_int_equal(alk_conf_uint(alk_conf_get(c, "listen")), 0);
    assert_int_equal(alk_conf_uint(alk_conf_get(c, "on")), 0);
    assert_string_equal(alk_conf_str(alk_conf_get(c, "port")), "");
    assert_int_equal(alk_conf_span(NULL).n, 0);
    assert_string_equal(alk_conf_key(c), "");
    assert_false(alk_conf_bool(alk_conf_get(c, "port")));
    assert_true(alk_conf_equal(NULL, NULL));
    assert_false(alk_conf_equal(c, NULL));
    assert_null(alk_conf_ref(NULL));
    alk_conf_unref(NULL);
    alk_conf_unref(c);
}

static void a_reference_to_a_part_keeps_the_whole(void **unused)
{
    (void)unused;
    const struct alk_conf *c = parse_ok("limits: {memory: 1MiB}\n");
    const struct alk_conf *limits = alk_conf_ref(alk_conf_get(c, "limits"));
    alk_conf_unref(c);
    assert_int_equal(alk_conf_get_uint(limits, "memory"), 1 << 20);
    assert_where(limits, "t.yaml:1:9");
    alk_conf_unref(limits);
}

static void a_map_without_rows_is_not_looked_at(void **unused)
{
    (void)unused;
    const struct alk_conf *c = parse_ok("any: {x: 1, y: {z: [1]}}\n");
    assert_int_equal(alk_conf_count(alk_conf_get(c, "any")), 0);
    assert_true(alk_conf_is_set(alk_conf_get(c, "any")));
    alk_conf_unref(c);
}

struct equal_case {
    const char *a, *b;
    bool want;
};

static void equal_compares_values_and_not_places(void **unused)
{
    static const struct equal_case cases[] = {
        {"port: 1\n", "\n\n{\"port\": 1}", true},
        {"port: 1\n", "port: 2\n", false},
        {"limits: {memory: 1MiB}", "limits: {memory: 1024KiB}", true},
        {"limits: {memory: 512MiB}", "", true},
        {"env: {a: 1, b: 2}", "env: {b: 2, a: 1}", true},
        {"env: {a: 1, b: 2}", "env: {b: 1, a: 2}", false},
        {"env: {a: 1, b: 2}", "env: {a: 1, c: 2}", false},
        {"env: {}", "", false},
        {"listen: [a, b]", "listen: [b, a]", false},
        {"listen: a", "listen: [a]", true},
        {"name: x", "name: y", false},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct alk_conf *a = parse_ok(cases[i].a);
        const struct alk_conf *b = parse_ok(cases[i].b);
        assert_int_equal(alk_conf_equal(a, b), cases[i].want);
        assert_int_equal(alk_conf_equal(b, a), cases[i].want);
        alk_conf_unref(a);
        alk_conf_unref(b);
    }
}

/* ------------------------------------------------------------------ errors */

struct error_case {
    const char *yaml, *want;
};

static const struct error_case error_cases[] = {
    /* values */
    {"port: 0\n", "t.yaml:1:7: error: port must be 1..65535, not '0'\nport: 0\n      ^\n"},
    {"port: 99999999999999999999\n", "t.yaml:1:7: error: port must be 1..65535, not "
                                     "'99999999999999999999'\nport: 99999999999999999999\n"
                                     "      ^\n"},
    {"port: -1\n", "t.yaml:1:7: error: port must be a whole number, not '-1'\nport: -1\n      ^\n"},
    {"port: 0x10\n",
     "t.yaml:1:7: error: port must be a whole number, not '0x10'\nport: 0x10\n      ^\n"},
    {"port:\n", "t.yaml:1:1: error: port needs a value\nport:\n^\n"},
    {"port: [1]\n",
     "t.yaml:1:7: error: port must be a single value, not a list\nport: [1]\n      ^\n"},
    {"even: 3\n", "t.yaml:1:7: error: even must be an even number\neven: 3\n      ^\n"},
    {"on: yes\n",
     "t.yaml:1:5: error: on must be true or false (write true), not 'yes'\non: yes\n    ^\n"},
    {"on: Off\n",
     "t.yaml:1:5: error: on must be true or false (write false), not 'Off'\non: Off\n    ^\n"},
    {"on: maybe\n", "t.yaml:1:5: error: on must be true or false, not 'maybe'\non: maybe\n    ^\n"},
    {"on: \"true\"\n",
     "t.yaml:1:5: error: on must be true or false (write true), not 'true'\non: \"true\"\n    ^\n"},
    {"name: \"\"\n", "t.yaml:1:7: error: name must have 1..8 bytes, not 0\nname: \"\"\n      ^\n"},
    {"name: 123456789\n",
     "t.yaml:1:7: error: name must have 1..8 bytes, not 9\nname: 123456789\n      ^\n"},
    {"name: \"a\\0b\"\n",
     "t.yaml:1:7: error: name must not hold a zero byte\nname: \"a\\0b\"\n      ^\n"},
    {"limits: {memory: 512MB}\n",
     "t.yaml:1:18: error: memory must be a size: a number with KiB, MiB, GiB or no unit, as "
     "64KiB, not '512MB'\nlimits: {memory: 512MB}\n                 ^\n"},
    {"limits: {memory: 1KiB, memory: 2KiB}\n",
     "t.yaml:1:24: error: duplicate key 'memory': it stands at t.yaml:1:10 already\n"
     "limits: {memory: 1KiB, memory: 2KiB}\n                       ^\n"},
    {"limits: {memory: 1023}\n", "t.yaml:1:18: error: memory must be 1KiB..1024GiB, not '1023'\n"
                                 "limits: {memory: 1023}\n                 ^\n"},
    {"limits:\n\ttimeout: 1s\n", "t.yaml:2:1: error: tab character may not be used as "
                                 "indentation\n\ttimeout: 1s\n^\n"},
    {"limits:\n  timeout: 10\n",
     "t.yaml:2:12: error: timeout must be a length of time: a number with ms, s, m, h or d, as "
     "10s, not '10'\n  timeout: 10\n           ^\n"},
    {"limits:\n  timeout: 99ms\n",
     "t.yaml:2:12: error: timeout must be 100ms..1d, not '99ms'\n  timeout: 99ms\n           ^\n"},
    {"limits: {level: loud}\n", "t.yaml:1:17: error: level must be error, warn or info, not "
                                "'loud'\nlimits: {level: loud}\n                ^\n"},
    {"limits: 3\n",
     "t.yaml:1:9: error: limits must be a map, not a single value\nlimits: 3\n        ^\n"},
    {"listen: []\n",
     "t.yaml:1:9: error: listen must have 1..4 elements, not 0\nlisten: []\n        ^\n"},
    {"env: [a]\n", "t.yaml:1:6: error: env must be a map, not a list\nenv: [a]\n     ^\n"},
    /* keys */
    {"prot: 1\n", "t.yaml:1:1: error: unknown key 'prot': did you mean 'port'?\nprot: 1\n^\n"},
    {"limits: {zzzzzz: 1}\n", "t.yaml:1:10: error: unknown key 'zzzzzz' in limits (known: memory, "
                              "timeout, level)\nlimits: {zzzzzz: 1}\n         ^\n"},
    {"limits: {memry: 1}\n", "t.yaml:1:10: error: unknown key 'memry' in limits: did you mean "
                             "'memory'?\nlimits: {memry: 1}\n         ^\n"},
    {"port: 1\nport: 2\n", "t.yaml:2:1: error: duplicate key 'port': it stands at t.yaml:1:1 "
                           "already\nport: 2\n^\n"},
    {"env: {a: 1, \"a\": 2}\n", "t.yaml:1:13: error: duplicate key 'a': it stands at t.yaml:1:7 "
                                "already\nenv: {a: 1, \"a\": 2}\n            ^\n"},
    {"grants: [{actions: read}]\n", "t.yaml:1:10: error: grants[0] needs 'name'\n"
                                    "grants: [{actions: read}]\n         ^\n"},
    {"? [a]\n: b\n", "t.yaml:1:3: error: a key must be plain text\n? [a]\n  ^\n"},
    /* the document */
    {"- a\n", "t.yaml:1:1: error: the document must be a map, not a list\n- a\n^\n"},
    {"hello\n", "t.yaml:1:1: error: the document must be a map, not a single value\nhello\n^\n"},
    {"port: 1\n---\nport: 2\n", "t.yaml:2:1: error: there must be one document only\n---\n^\n"},
    {"port: &x 1\n",
     "t.yaml:1:10: error: anchors and aliases are not supported\nport: &x 1\n         ^\n"},
    {"port: *x\n",
     "t.yaml:1:8: error: anchors and aliases are not supported\nport: *x\n       ^\n"},
    {"port: !!int 1\n", "t.yaml:1:7: error: this tag is not known: the only one is !encrypted\n"
                        "port: !!int 1\n      ^\n"},
    {"port: !encrypted {a: 1}\n", "t.yaml:1:7: error: encrypted value but no key file: port\n"
                                  "port: !encrypted {a: 1}\n      ^\n"},
    {"name: a\x01\n",
     "t.yaml:1:8: error: a control character is not allowed here\nname: a?\n       ^\n"},
    {"port: 1\ron: 1\n",
     "t.yaml:1:8: error: a control character is not allowed here\nport: 1?on: 1\n       ^\n"},
    {"name: \xff\n", "t.yaml:1:7: error: this is not valid UTF-8\nname: ?\n      ^\n"},
    {"listen: [a, b\nport: 1\n", "t.yaml:3:1: error: flow sequence without a closing bracket\n"},
    /* secrets are not shown, wherever the mistake is */
    {"{secret: abc, port: 0}\n", "t.yaml:1:10: error: secret must have 4..64 bytes, not 3\n"
                                 "{secret: ***, port: 0}\n         ^\n"
                                 "t.yaml:1:21: error: port must be 1..65535, not '0'\n"
                                 "{secret: ***, port: 0}\n                    ^\n"},
    {"{secret: hunter2, port: 1, port: 2}\n", "t.yaml:1:28: error: duplicate key 'port': it "
                                              "stands at t.yaml:1:19 already\n"},
    {"{secret: hunter2, secret: hunter3}\n", "t.yaml:1:19: error: duplicate key 'secret': it "
                                             "stands at t.yaml:1:2 already\n"},
    /* positions count characters; tabs keep their width */
    {"{name: \"\xc3\xa9\xc3\xa9\", port: 0}\n",
     "t.yaml:1:20: error: port must be 1..65535, not '0'\n"
     "{name: \"\xc3\xa9\xc3\xa9\", port: 0}\n                   ^\n"},
    {"{name: a,\tport: 0}\n", "t.yaml:1:17: error: port must be 1..65535, not '0'\n"
                              "{name: a,\tport: 0}\n         \t      ^\n"},
    {"port: 0\r\non: 1\r\n", "t.yaml:1:7: error: port must be 1..65535, not '0'\nport: 0\n"
                             "      ^\nt.yaml:2:5: error: on must be true or false (write true), "
                             "not '1'\non: 1\n    ^\n"},
};

static void errors_name_place_line_and_reason(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(error_cases) / sizeof(error_cases[0]); i++) {
        const struct error_case *c = &error_cases[i];
        struct alk_conf_errors errors = {0};
        const struct alk_conf *conf = NULL;
        alk_err err = alk_conf_parse(NULL, alk_span_str(c->yaml), "t.yaml", table, &errors, &conf);
        if (err != ALK_E_CONFIG) {
            print_error("accepted: %s", c->yaml);
        }
        assert_int_equal(err, ALK_E_CONFIG);
        assert_null(conf);
        assert_non_null(errors.text);
        assert_string_equal(errors.text, c->want);
        assert_int_equal(errors.n, strlen(errors.text));
        alk_conf_errors_fini(&errors);
    }
}

static void errors_are_sorted_and_capped(void **unused)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    struct alk_buf b;
    (void)unused;
    alk_buf_init(&b, NULL, 4096);
    for (unsigned i = 0; i < 25; i++) {
        assert_int_equal(alk_buf_printf(&b, "unknown%u: 1\n", i), ALK_OK);
    }
    (void)alk_buf_put_str(&b, "port: 0\n");
    assert_int_equal(alk_conf_parse(NULL, alk_buf_span(&b), "t.yaml", table, &errors, &conf),
                     ALK_E_CONFIG);
    assert_int_equal(errors.count, 26);
    assert_non_null(strstr(errors.text, "t.yaml:1:1: error: unknown key 'unknown0'"));
    assert_non_null(strstr(errors.text, "\nt.yaml: and 6 more errors\n"));
    alk_conf_errors_fini(&errors);
    alk_conf_errors_fini(&errors); /* twice is harmless */
    alk_buf_fini(&b);
}

static void a_long_line_is_cut_around_the_caret(void **unused)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    struct alk_buf b;
    (void)unused;
    alk_buf_init(&b, NULL, 4096);
    (void)alk_buf_put_str(&b, "{env: {");
    for (unsigned i = 0; i < 60; i++) {
        (void)alk_buf_printf(&b, "k%u: v, ", i);
    }
    (void)alk_buf_put_str(&b, "}, port: none, env2: {");
    for (unsigned i = 0; i < 60; i++) {
        (void)alk_buf_printf(&b, "k%u: v, ", i);
    }
    (void)alk_buf_put_str(&b, "}}\n");
    assert_int_equal(alk_conf_parse(NULL, alk_buf_span(&b), "t.yaml", table, &errors, &conf),
                     ALK_E_CONFIG);
    char *line = strchr(errors.text, '\n') + 1;
    char *caret = strchr(line, '\n') + 1;
    char *end = strchr(caret, '\n');
    assert_memory_equal(line, "...", 3);
    assert_true(caret - line < 180);
    assert_memory_equal(caret - 4, "...\n", 4);
    assert_memory_equal(line + (end - caret - 1), "none", 4);
    alk_conf_errors_fini(&errors);
    alk_buf_fini(&b);
}

static alk_err parse_quietly(const struct alk_mem *mem, struct alk_span text, const char **want)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    alk_err err = alk_conf_parse(mem, text, "t.yaml", table, &errors, &conf);
    if (err == ALK_OK) {
        alk_conf_unref(conf);
    } else if (want != NULL) {
        assert_non_null(errors.text);
        assert_non_null(strstr(errors.text, *want));
    }
    alk_conf_errors_fini(&errors);
    return err;
}

static void bytes_depth_and_nodes_are_bounded(void **unused)
{
    struct alk_buf b;
    const char *want = "the document is larger than 1048576 bytes";
    (void)unused;
    alk_buf_init(&b, NULL, ALK_CONF_TEXT_MAX + 1);
    (void)alk_buf_put_u8(&b, '#');
    while (alk_buf_len(&b) < ALK_CONF_TEXT_MAX) {
        (void)alk_buf_put_u8(&b, 'x');
    }
    assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), NULL), ALK_OK);
    (void)alk_buf_put_u8(&b, 'x');
    assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), &want), ALK_E_CONFIG);

    want = "nested too deeply";
    for (unsigned depth = ALK_CONF_DEPTH_MAX; depth <= ALK_CONF_DEPTH_MAX + 1; depth++) {
        alk_buf_clear(&b);
        (void)alk_buf_put_str(&b, "any: {a: ");
        for (unsigned i = 2; i < depth; i++) {
            (void)alk_buf_put_u8(&b, '[');
        }
        for (unsigned i = 2; i < depth; i++) {
            (void)alk_buf_put_u8(&b, ']');
        }
        (void)alk_buf_put_str(&b, "}\n");
        assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), &want),
                         depth > ALK_CONF_DEPTH_MAX ? ALK_E_CONFIG : ALK_OK);
    }

    want = "the document has too many values";
    alk_buf_clear(&b);
    (void)alk_buf_put_str(&b, "any: {a: [");
    for (unsigned i = 0; i < ALK_CONF_NODES_MAX - 4; i++) {
        (void)alk_buf_put_str(&b, "1,");
    }
    size_t fits = alk_buf_len(&b);
    (void)alk_buf_put_str(&b, "]}\n");
    assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), &want), ALK_OK);
    b.end = b.at + fits;
    (void)alk_buf_put_str(&b, "1,1]}\n");
    assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), &want), ALK_E_CONFIG);
    alk_buf_fini(&b);
}

struct costly_case {
    const char *before, *repeat, *after, *want;
};

/* Each of these took libfyaml minutes. */
static void texts_that_cost_time_out_of_proportion_are_refused(void **unused)
{
    static const struct costly_case cases[] = {
        {"name: |+\n", "\n", "", "too many blank lines"},
        {"name: |\n  x\n", "  \t\r\n", "", "too many blank lines"},
        {"name: [!<", "[", "]\n", "a tag is too long"},
        {"name: - ", " ", "x\n", "too many spaces"},
        {"''", "\t", "\n", "too many spaces"},
        {"%", "x", "\n", "a directive is too long"},
        {"name: !", "%41", " x\n", "a tag is too long"},
        {"name: [\n[!", "%41", " x]]\n", "a tag is too long"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, ALK_CONF_TEXT_MAX);
        (void)alk_buf_put_str(&b, cases[i].before);
        while (alk_buf_room(&b) > 16) {
            (void)alk_buf_put_str(&b, cases[i].repeat);
        }
        (void)alk_buf_put_str(&b, cases[i].after);
        const char *want = cases[i].want;
        assert_int_equal(parse_quietly(NULL, alk_buf_span(&b), &want), ALK_E_CONFIG);
        alk_buf_fini(&b);
    }
}

static void a_wrong_table_is_the_callers_bug(void **unused)
{
    static const struct alk_conf_row bad_number[] = {
        {.name = "a", .type = ALK_CONF_UINT, .min = 5, .max = 9, .fallback = "3"}, {.name = NULL}};
    static const struct alk_conf_row bad_list[] = {
        {.name = "a", .type = ALK_CONF_LIST, .sub = bad_number, .fallback = "[1"}, {.name = NULL}};
    static const struct alk_conf_row missing[] = {
        {.name = "b", .type = ALK_CONF_UINT, .is_required = true}, {.name = NULL}};
    static const struct alk_conf_row bad_map[] = {
        {.name = "a", .type = ALK_CONF_MAP, .sub = missing, .fallback = "{}"}, {.name = NULL}};
    const struct alk_conf_row *const tables[] = {bad_number, bad_list, bad_map};
    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        const struct alk_conf *conf = NULL;
        assert_int_equal(alk_conf_parse(NULL, ALK_LIT(""), "t.yaml", tables[i], NULL, &conf),
                         ALK_E_INVALID);
        assert_null(conf);
    }
}

/* --------------------------------------------------------- encrypted values */

/* Opens {"n": "text"} to text reversed; n tells how it fails. */
static alk_err open_reversed(void *ctx, const char *path, struct alk_span json, struct alk_buf *ret,
                             char *why, size_t why_size)
{
    struct alk_buf *log = ctx;
    (void)alk_buf_printf(log, "%s " ALK_SPAN_FMT ";", path, ALK_SPAN_ARG(json));
    if (alk_span_equal(json, ALK_LIT("{\"fail\":true}"))) {
        return ALK_E_CRYPTO;
    }
    if (alk_span_equal(json, ALK_LIT("{\"fail\":\"say\"}"))) {
        (void)snprintf(why, why_size, "no key of that version");
        return ALK_E_CRYPTO;
    }
    size_t from = sizeof("{\"n\":\"") - 1;
    for (size_t i = json.n - 2; i-- > from;) {
        (void)alk_buf_put_u8(ret, json.p[i]);
    }
    return ret->err;
}

static alk_err load_encrypted(const char *yaml, struct alk_buf *log, struct alk_conf_errors *errors,
                              const struct alk_conf **ret)
{
    const struct alk_conf_opener opener = {open_reversed, log};
    const struct alk_conf_source source = {
        .text = alk_span_str(yaml), .name = "t.yaml", .table = table, .opener = &opener};
    return alk_conf_load(NULL, &source, errors, ret);
}

static void encrypted_values_are_opened_and_checked(void **unused)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *c = NULL;
    struct alk_buf log;
    (void)unused;
    alk_buf_init(&log, NULL, 4096);
    alk_err err = load_encrypted("name: !encrypted {n: olleh}\n"
                                 "port: !encrypted {\"n\": \"24\"}\n"
                                 "limits:\n  memory: !encrypted\n    n: BiK2\n"
                                 "env: {x: !encrypted {n: '}1 :a{'}}\n"
                                 "listen: [!encrypted {n: a}]\n",
                                 &log, &errors, &c);
    assert_int_equal(err, ALK_OK);
    assert_string_equal(alk_buf_cstr(&log), "port {\"n\":\"24\"};name {\"n\":\"olleh\"};"
                                            "listen[0] {\"n\":\"a\"};"
                                            "limits.memory {\"n\":\"BiK2\"};"
                                            "env.x {\"n\":\"}1 :a{\"};");
    assert_string_equal(alk_conf_get_str(c, "name"), "hello");
    assert_true(alk_conf_is_secret(alk_conf_get(c, "name")));
    assert_where(alk_conf_get(c, "name"), "t.yaml:1:7");
    assert_int_equal(alk_conf_get_uint(c, "port"), 42);
    assert_int_equal(alk_conf_get_uint(alk_conf_get(c, "limits"), "memory"), 2048);
    /* The plain text of a string row is the string, whatever it looks like. */
    assert_string_equal(alk_conf_get_str(alk_conf_get(c, "env"), "x"), "{a: 1}");
    assert_false(alk_conf_is_secret(alk_conf_get(c, "on")));
    alk_conf_unref(c);
    alk_buf_fini(&log);
}

static const struct error_case encrypted_cases[] = {
    {"name: !encrypted {fail: true}\n",
     "t.yaml:1:7: error: cannot open the encrypted value: a cryptographic operation failed\n"
     "name: !encrypted {fail: true}\n      ^\n"},
    {"name: !encrypted {fail: say}\n",
     "t.yaml:1:7: error: cannot open the encrypted value: no key of that version\n"
     "name: !encrypted {fail: say}\n      ^\n"},
    {"port: !encrypted {n: '00000000'}\n", "t.yaml:1:7: error: port must be 1..65535\n"
                                           "port: !encrypted {n: '00000000'}\n      ^\n"},
    {"even: !encrypted {n: '3'}\n",
     "t.yaml:1:7: error: even is not valid\neven: !encrypted {n: '3'}\n      ^\n"},
    {"limits: !encrypted {n: '}}{ :yromem{'}\n",
     "t.yaml:1:9: error: memory must be a single value, not a map\n"
     "limits: !encrypted {n: '}}{ :yromem{'}\n        ^\n"},
    {"limits: !encrypted {n: '[['}\n",
     "t.yaml:1:9: error: the encrypted value holds no valid YAML\n"
     "limits: !encrypted {n: '[['}\n        ^\n"},
    {"limits: !encrypted {n: '}}1 :n{ detpyrcne! :yromem{'}\n",
     "t.yaml:1:9: error: an encrypted value holds another one\n"
     "limits: !encrypted {n: '}}1 :n{ detpyrcne! :yromem{'}\n        ^\n"},
};

static void mistakes_in_encrypted_values_show_nothing_of_them(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(encrypted_cases) / sizeof(encrypted_cases[0]); i++) {
        struct alk_conf_errors errors = {0};
        const struct alk_conf *c = NULL;
        struct alk_buf log;
        alk_buf_init(&log, NULL, 4096);
        assert_int_equal(load_encrypted(encrypted_cases[i].yaml, &log, &errors, &c), ALK_E_CONFIG);
        assert_string_equal(errors.text, encrypted_cases[i].want);
        alk_conf_errors_fini(&errors);
        alk_buf_fini(&log);
    }
}

/* ------------------------------------------------------------------ verify */

static alk_err verify_name(void *ctx, const struct alk_conf *root, struct alk_conf_report *report)
{
    (void)ctx;
    alk_conf_error(report, alk_conf_get(root, "name"), "%s is taken",
                   alk_conf_get_str(root, "name"));
    alk_conf_error(report, alk_conf_get(root, "port"), "a default has no place");
    return ALK_OK;
}

static void the_callers_check_reports_like_the_loader(void **unused)
{
    const struct alk_conf_source source = {
        .text = ALK_LIT("on: true\nname: bob\n"), .table = table, .verify = verify_name};
    struct alk_conf_errors errors = {0};
    const struct alk_conf *c = NULL;
    (void)unused;
    assert_int_equal(alk_conf_load(NULL, &source, &errors, &c), ALK_E_CONFIG);
    assert_string_equal(errors.text, "config:2:7: error: bob is taken\nname: bob\n      ^\n"
                                     "config: error: a default has no place\n");
    alk_conf_errors_fini(&errors);
}

/* ------------------------------------------------------------------- print */

static void what_is_printed_reads_back_equal(void **unused)
{
    static const char *const documents[] = {
        "",
        "port: 1\nname: \"a\\\"\\\\\\n\\u2028\"\n",
        "name: \"\\u0085\\ufeff\"\n",
        "name: \"\\uffff\\x7f\"\n",
        "name: \"\xf0\x9f\x98\x80\"\n",
        "secret: ' hunter2'\n",
        "limits: {memory: 1025, timeout: 61s, level: error}\n",
        "limits: {memory: 1024GiB, timeout: 1d}\n",
        "env: {'': x, \"a b\": '', \"n\": no, 'null': ~x, ': #': '-', A: \"1\", \"\\u2029\": k}\n",
        "env: {}\ngrants: [a, {name: b, actions: []}, {name: c, actions: [d, e]}]\nany: {x: y}\n",
        "on: false\nlisten: ['a']\n",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        const struct alk_conf *a = parse_ok(documents[i]);
        char *text = NULL;
        size_t n = 0;
        assert_int_equal(alk_conf_print(NULL, a, &text, &n), ALK_OK);
        assert_int_equal(strlen(text), n);
        const struct alk_conf *b = parse_ok(text);
        assert_true(alk_conf_equal(a, b));
        alk_free(NULL, text);
        alk_conf_unref(a);
        alk_conf_unref(b);
    }
}

static void a_very_long_key_survives_printing(void **unused)
{
    struct alk_buf b;
    (void)unused;
    alk_buf_init(&b, NULL, 8192);
    (void)alk_buf_put_str(&b, "env:\n  ? \"");
    for (unsigned i = 0; i < 2000; i++) {
        (void)alk_buf_put_u8(&b, 'K');
    }
    (void)alk_buf_put_str(&b, "\"\n  : v\n");
    const struct alk_conf *a = parse_ok(alk_buf_cstr(&b));
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(alk_conf_print(NULL, a, &text, &n), ALK_OK);
    const struct alk_conf *c = parse_ok(text);
    assert_true(alk_conf_equal(a, c));
    alk_free(NULL, text);
    alk_conf_unref(a);
    alk_conf_unref(c);
    alk_buf_fini(&b);
}

static void what_is_printed_for_people_holds_no_secret(void **unused)
{
    const struct alk_conf *a = parse_ok("name: shown\nsecret: hunter2\n");
    char *text = NULL;
    size_t n = 0;
    (void)unused;
    assert_int_equal(alk_conf_print_public(NULL, a, &text, &n), ALK_OK);
    assert_int_equal(strlen(text), n);
    assert_non_null(strstr(text, "name: \"shown\"\n"));
    assert_non_null(strstr(text, "secret: \"(hidden)\"\n"));
    assert_null(strstr(text, "hunter2"));
    alk_free(NULL, text);
    alk_conf_unref(a);
}

/* ------------------------------------------------------------------ memory */

static void every_failed_allocation_is_told_and_leaks_nothing(void **unused)
{
    static const char *const documents[] = {
        "port: 1\nlisten: [a, b]\ngrants: [x, {name: y}]\nenv: {a: 1}\nsecret: hunter2\n",
        "port: 0\nport: 2\nunknown: 1\n", "{port: 0, secret: abc, zzz: 1}\n"};
    (void)unused;
    for (size_t d = 0; d < 3; d++) {
        struct test_mem t;
        test_mem_init(&t, 0);
        alk_err want = parse_quietly(&t.mem, alk_span_str(documents[d]), NULL);
        size_t total = t.allocs;
        test_mem_check(&t);
        assert_true(total > 3);
        for (size_t i = 1; i <= total; i++) {
            test_mem_init(&t, i);
            alk_err err = parse_quietly(&t.mem, alk_span_str(documents[d]), NULL);
            /* A quoted value that cannot be shown is left out of the message. */
            assert_true(err == ALK_E_NOMEM || (err == want && want == ALK_E_CONFIG));
            test_mem_check(&t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_document_is_all_defaults),
        cmocka_unit_test(values_are_read_with_their_units_and_places),
        cmocka_unit_test(a_null_section_means_its_defaults),
        cmocka_unit_test(a_scalar_stands_for_the_first_member),
        cmocka_unit_test(reading_what_is_not_there_gives_nothing),
        cmocka_unit_test(a_reference_to_a_part_keeps_the_whole),
        cmocka_unit_test(a_map_without_rows_is_not_looked_at),
        cmocka_unit_test(equal_compares_values_and_not_places),
        cmocka_unit_test(errors_name_place_line_and_reason),
        cmocka_unit_test(errors_are_sorted_and_capped),
        cmocka_unit_test(a_long_line_is_cut_around_the_caret),
        cmocka_unit_test(bytes_depth_and_nodes_are_bounded),
        cmocka_unit_test(texts_that_cost_time_out_of_proportion_are_refused),
        cmocka_unit_test(a_wrong_table_is_the_callers_bug),
        cmocka_unit_test(encrypted_values_are_opened_and_checked),
        cmocka_unit_test(mistakes_in_encrypted_values_show_nothing_of_them),
        cmocka_unit_test(the_callers_check_reports_like_the_loader),
        cmocka_unit_test(what_is_printed_reads_back_equal),
        cmocka_unit_test(a_very_long_key_survives_printing),
        cmocka_unit_test(what_is_printed_for_people_holds_no_secret),
        cmocka_unit_test(every_failed_allocation_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
