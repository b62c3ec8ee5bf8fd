/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The JSON Schema validator: patterns as ECMA-262 means them, and formats. */
#include "ops/schema.h"

#include "support/schema.h"

/* --- patterns ------------------------------------------------------------------- */

static void patterns_mean_what_ecma_262_says(void **state)
{
    static const struct {
        const char *pattern, *value;
        alk_err want;
    } rows[] = {
        {"^\\\\d$", "7", ALK_OK},
        {"^\\\\d$", "\\u0661", ALK_E_INVALID},
        {"^\\\\w$", "\\u00e9", ALK_E_INVALID},
        {"^\\\\s$", "\\u2003", ALK_OK},
        {"^[\\\\s]$", "\\ufeff", ALK_OK},
        {"^[^\\\\S]$", "\\u00a0", ALK_OK},
        {"^[\\\\S]$", "\\u00a0", ALK_E_INVALID},
        {"^.$", "\\u2028", ALK_E_INVALID},
        {"^.$", "\\ud83d\\ude00", ALK_OK},
        {"^a$", "a\\n", ALK_E_INVALID},
        {"^[\\\\w-.]+$", "a-b.c", ALK_OK},
        {"^[\\\\d-x]$", "-", ALK_OK},
        {"^[a-\\\\d]$", "-", ALK_OK},
        {"^[]$", "a", ALK_E_INVALID},
        {"^[^]$", "\\n", ALK_OK},
        {"^[[:alpha:]]$", "x", ALK_E_INVALID},
        {"^[[:alpha:]]+$", ":]", ALK_OK},
        {"^\\\\u{1F600}$", "\\ud83d\\ude00", ALK_OK},
        {"^\\\\ud83d\\\\ude00$", "\\ud83d\\ude00", ALK_OK},
        {"^\\\\cA\\\\x41\\\\0$", "\\u0001A\\u0000", ALK_OK},
        {"^(?<a>x)\\\\k<a>\\\\1$", "xxx", ALK_OK},
        {"^(?:(a)|b)\\\\1$", "b", ALK_OK},
        {"^a{,2}$", "a{,2}", ALK_OK},
        {"^\\\\p{Script=Greek}\\\\p{Lu}\\\\p{gc=Lowercase_Letter}\\\\P{L}$", "\\u03b1Aa1", ALK_OK},
        {"^\\\\v$", "\\u000b", ALK_OK},
        {"^\\\\v$", "\\n", ALK_E_INVALID},
        {"#x y", "#x y", ALK_OK},
        {"^(?=a)(?!b)(?<=^)(?<!c)a??$", "a", ALK_OK},
        {"^[\\\\b]$", "\\b", ALK_OK},
        {"", "", ALK_OK},
    };
    char schema[256], value[64];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", rows[i].pattern);
        (void)snprintf(value, sizeof value, "\"%s\"", rows[i].value);
        alk_err err = test_schema_once(schema, value);
        if (err != rows[i].want) {
            fail_msg("%s on %s: %s", rows[i].pattern, rows[i].value, alk_err_name(err));
        }
    }
}

static void patterns_of_other_languages_are_refused(void **state)
{
    static const char *const rows[] = {
        "(?i)a",
        "(?P<a>b)",
        "a++",
        "a*+",
        "(?>a)",
        "(?#a)",
        "(*UTF)a",
        "\\\\A",
        "\\\\Z",
        "\\\\z",
        "\\\\Qa",
        "\\\\h",
        "\\\\K",
        "[\\\\B]",
        "a{2,1}",
        "a{65536}",
        "(",
        ")",
        "[",
        "\\\\",
        "\\\\p{X y}",
        "\\\\p{Q}",
        "\\\\p{gc=Greek",
        "\\\\ud800",
        "\\\\u{110000}",
        "\\\\u12",
        "\\\\xg",
        "\\\\c1",
        "\\\\01",
        "\\\\2(a)",
        "*a",
        "^*",
        "(?<1a>b)",
        "(?<a",
        "\\\\k<b>",
        "[b-a]",
        "(?<=a)*",
        "\\\\pL",
        "a|*",
        "{1}",
        "\\\\p{^L}",
    };
    char schema[256];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_schema_options options = {.mem = NULL};
        struct alk_schema *s = NULL;
        (void)snprintf(schema, sizeof schema, "{\"pattern\":\"%s\"}", rows[i]);
        if (alk_schema_compile(&options, alk_span_str(schema), NULL, 0, &s) != ALK_E_INVALID) {
            fail_msg("%s is taken", rows[i]);
        }
    }
}

/* --- formats -------------------------------------------------------------------- */

static void formats_are_asserted_when_asked_for(void **state)
{
    static const struct {
        const char *format, *good, *bad;
    } rows[] = {
        {"date-time", "2024-02-29T23:59:60Z", "2023-02-29T00:00:00Z"},
        {"date", "2000-02-29", "1900-02-29"},
        {"time", "12:00:00.5+01:00", "12:00:00"},
        {"duration", "P1Y2M3DT4H", "P1Y2D"},
        {"email", "a.b@example.com", "a..b@example.com"},
        {"idn-email", "\xc3\xa9@example.com", "@example.com"},
        {"hostname", "a-b.example", "-a.example"},
        {"idn-hostname",
         "b\xc3\xbc"
         "cher.example",
         "\xcc\x81x"},
        {"ipv4", "127.0.0.1", "127.0.0.01"},
        {"ipv6", "::ffff:1.2.3.4", "1::2::3"},
        {"uri", "https://a:b@[::1]:80/p?q#f", "/p"},
        {"uri-reference", "../p", "a b"},
        {"iri", "http://\xc3\xa9/", "\xc3\xa9"},
        {"iri-reference", "\xc3\xa9", "\\\\"},
        {"uri-template", "{/a,b*}{?c:3}", "{a"},
        {"uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2eb8aa08aa9811eab4aa73b441d16380"},
        {"json-pointer", "/a~0b", "a"},
        {"relative-json-pointer", "1#", "01"},
        {"regex", "^(a|b)$", "(a"},
    };
    char schema[64], value[96];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        (void)snprintf(schema, sizeof schema, "{\"format\":\"%s\"}", rows[i].format);
        struct alk_schema *s = test_schema_with((struct alk_schema_options){.assert_format = true},
                                                alk_span_str(schema));
        (void)snprintf(value, sizeof value, "\"%s\"", rows[i].good);
        check_err(test_schema_check(s, alk_span_str(value), NULL), ALK_OK);
        (void)snprintf(value, sizeof value, "\"%s\"", rows[i].bad);
        check_err(test_schema_check(s, alk_span_str(value), NULL), ALK_E_INVALID);
        check_err(test_schema_check(s, alk_span_str("\"\""), NULL),
                  strstr("uri-reference iri-reference uri-template json-pointer regex",
                         rows[i].format) != NULL &&
                          strcmp(rows[i].format, "uri") != 0 && strcmp(rows[i].format, "iri") != 0
                      ? ALK_OK
                      : ALK_E_INVALID);
        alk_schema_free(s);
        check_err(test_schema_once(schema, value), ALK_OK); /* an annotation otherwise */
    }
}

static void host_names_beyond_ascii_follow_idna(void **state)
{
    static const struct {
        const char *name;
        alk_err want;
    } rows[] = {
        {"\xd7\x90.example", ALK_OK},
        {"\xd7\x90.1a", ALK_E_INVALID}, /* one label from right to left binds all */
        {"1a.example", ALK_OK},
        {"xn--bcher-kva.example", ALK_OK},
        {"xn--", ALK_E_INVALID},
        {"xn--99999999999", ALK_E_INVALID},
        {"xn--a", ALK_E_INVALID},
        {"ab--cd", ALK_E_INVALID},
        {"l\xc2\xb7l", ALK_OK},
        {"a\xc2\xb7l", ALK_E_INVALID},
        {"a\xe3\x80\x82"
         "b",
         ALK_OK},
        {"a..b", ALK_E_INVALID},
        {"b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b\xc3\xbc"
         "cher-b",
         ALK_E_INVALID}, /* 57 characters, but too long in the DNS */
    };
    struct alk_schema *s = test_schema_with((struct alk_schema_options){.assert_format = true},
                                            ALK_LIT("{\"format\":\"idn-hostname\"}"));
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char value[256];
        (void)snprintf(value, sizeof value, "\"%s\"", rows[i].name);
        alk_err err = test_schema_check(s, alk_span_str(value), NULL);
        if (err != rows[i].want) {
            fail_msg("%s: %s", rows[i].name, alk_err_name(err));
        }
    }
    alk_schema_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_mean_what_ecma_262_says),
        cmocka_unit_test(patterns_of_other_languages_are_refused),
        cmocka_unit_test(formats_are_asserted_when_asked_for),
        cmocka_unit_test(host_names_beyond_ascii_follow_idna),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
