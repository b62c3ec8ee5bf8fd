/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The official test suite of JSON Schema, draft 2020-12: every required case; the
 * optional ones too, but for the exceptions named below. */
#include "base/mem.h"
#include "core/frame.h"
#include "ops/schema.h"

#include "support/check.h"

#include <dirent.h>

#define SUITE          ALK_VECTORS_DIR "/02-json/JSON-Schema-Test-Suite"
#define TESTS          SUITE "/tests/draft2020-12"
#define DOCS_MAX       64
#define PATH_MAX_BYTES 1024

/* The dialect's own schema, as far as two files of the suite ask for it: what each
 * keyword's value may be. In our words: the suite does not carry it. */
static const char metaschema[] =
    "{\"$id\":\"https://json-schema.org/draft/2020-12/schema\",\"$dynamicAnchor\":\"meta\","
    "\"type\":[\"object\",\"boolean\"],\"$defs\":{"
    "\"count\":{\"type\":\"integer\",\"minimum\":0},"
    "\"list\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"$dynamicRef\":\"#meta\"}},"
    "\"map\":{\"type\":\"object\",\"additionalProperties\":{\"$dynamicRef\":\"#meta\"}},"
    "\"names\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true},"
    "\"type\":{\"enum\":[\"array\",\"boolean\",\"integer\",\"null\",\"number\",\"object\","
    "\"string\"]}},"
    "\"properties\":{\"$defs\":{\"$ref\":\"#/$defs/map\"},"
    "\"properties\":{\"$ref\":\"#/$defs/map\"},\"items\":{\"$dynamicRef\":\"#meta\"},"
    "\"not\":{\"$dynamicRef\":\"#meta\"},\"allOf\":{\"$ref\":\"#/$defs/list\"},"
    "\"anyOf\":{\"$ref\":\"#/$defs/list\"},\"oneOf\":{\"$ref\":\"#/$defs/list\"},"
    "\"minLength\":{\"$ref\":\"#/$defs/count\"},\"maxLength\":{\"$ref\":\"#/$defs/count\"},"
    "\"minItems\":{\"$ref\":\"#/$defs/count\"},\"required\":{\"$ref\":\"#/$defs/names\"},"
    "\"type\":{\"anyOf\":[{\"$ref\":\"#/$defs/type\"},"
    "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/type\"}}]}}}";

struct suite {
    struct alk_schema_doc docs[DOCS_MAX];
    size_t doc_count;
    size_t passed, failed;
    size_t on_text; /* told without a tree */
};

/* --- files ---------------------------------------------------------------------- */

static struct alk_span read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long n = ftell(f);
    assert_true(n >= 0);
    assert_int_equal(fseek(f, 0, SEEK_SET), 0);
    uint8_t *p = (uint8_t *)malloc(n == 0 ? 1 : (size_t)n);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)n, f), (size_t)n);
    (void)fclose(f);
    return alk_span(p, (size_t)n);
}

static void add_doc(struct suite *s, const char *uri, struct alk_span text)
{
    assert_true(s->doc_count < DOCS_MAX);
    char *copy = alk_strdup_span(NULL, alk_span_str(uri));
    assert_non_null(copy);
    s->docs[s->doc_count++] = (struct alk_schema_doc){alk_span_str(copy), text};
}

/* remotes/x/y.json is http://localhost:1234/x/y.json. */
static void add_remotes(struct suite *s, const char *below)
{
    char path[PATH_MAX_BYTES], uri[PATH_MAX_BYTES];
    struct dirent *e;
    (void)snprintf(path, sizeof path, SUITE "/remotes%s", below);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.') {
            continue;
        }
        if (!alk_span_ends(alk_span_str(e->d_name), ALK_LIT(".json"))) {
            (void)snprintf(path, sizeof path, "%s/%s", below, e->d_name);
            add_remotes(s, path);
            continue;
        }
        (void)snprintf(path, sizeof path, SUITE "/remotes%s/%s", below, e->d_name);
        (void)snprintf(uri, sizeof uri, "http://localhost:1234%s/%s", below, e->d_name);
        add_doc(s, uri, read_file(path));
    }
    (void)closedir(dir);
}

static void suite_init(struct suite *s)
{
    *s = (struct suite){.doc_count = 0};
    add_remotes(s, "");
    char *copy = alk_strdup_span(NULL, alk_span_str(metaschema));
    assert_non_null(copy);
    add_doc(s, "https://json-schema.org/draft/2020-12/schema", alk_span_str(copy));
}

static void suite_fini(struct suite *s)
{
    for (size_t i = 0; i < s->doc_count; i++) {
        free((void *)(uintptr_t)s->docs[i].uri.p);
        free((void *)(uintptr_t)s->docs[i].text.p);
    }
}

/* --- cases ---------------------------------------------------------------------- */

/* The schema as that of a member, to be looked at on texts; NULL: it refers to others. */
static struct alk_schema *member_schema(struct alk_span text, bool assert_format)
{
    static const char dialect[] = "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",";
    struct alk_schema_options options = {.assert_format = assert_format};
    struct alk_schema *ret = NULL;
    struct alk_buf b;
    alk_buf_init(&b, NULL, text.n + 64);
    const uint8_t *at = memmem(text.p, text.n, dialect, sizeof dialect - 1);
    size_t before = at == NULL ? text.n : (size_t)(at - text.p);
    check_err(alk_buf_put_str(&b, "{\"properties\":{\"m\":"), ALK_OK);
    check_err(alk_buf_put(&b, alk_span_head(text, before)), ALK_OK);
    check_err(
        alk_buf_put(&b, alk_span_tail(text, at == NULL ? before : before + sizeof dialect - 1)),
        ALK_OK);
    check_err(alk_buf_put_str(&b, "}}"), ALK_OK);
    struct alk_span whole = alk_buf_span(&b);
    if (alk_span_find(whole, '$') == whole.n) {
        check_err(alk_schema_compile(&options, whole, NULL, 0, &ret), ALK_OK);
    }
    alk_buf_fini(&b);
    return ret;
}

/* Whether {"m": data} is told to fit from its text. */
static bool fits_as_member(const struct alk_schema *schema, yyjson_val *data)
{
    struct alk_schema_parts parts;
    struct alk_buf b;
    size_t n = 0;
    char *text = yyjson_val_write(data, 0, &n);
    assert_non_null(text);
    alk_buf_init(&b, NULL, n + 64);
    check_err(alk_buf_put_str(&b, "{\"m\":"), ALK_OK);
    check_err(alk_buf_put(&b, alk_span(text, n)), ALK_OK);
    check_err(alk_buf_put_str(&b, "}"), ALK_OK);
    bool fits = alk_schema_fits_text(schema, alk_buf_span(&b), &parts);
    alk_buf_fini(&b);
    free(text);
    return fits;
}

static void run_case(struct suite *s, const struct alk_schema *schema, const char *group,
                     yyjson_val *test)
{
    struct alk_schema_report report = {.count = 0};
    bool want = yyjson_is_true(yyjson_obj_get(test, "valid"));
    alk_err err = schema == NULL ? ALK_E_STATE
                                 : alk_schema_check(schema, yyjson_obj_get(test, "data"), &report);
    if (err == (want ? ALK_OK : ALK_E_INVALID)) {
        /* What does not fit is said to be so, and where. */
        assert_true((report.count > 0) == (err == ALK_E_INVALID));
        s->passed++;
        return;
    }
    s->failed++;
    print_message("  %s: %s: wants %s, got %s: %s\n", group,
                  yyjson_get_str(yyjson_obj_get(test, "description")), want ? "valid" : "invalid",
                  alk_err_name(err), report.count > 0 ? report.errors[0].what : "");
}

/* What is told from a text alone is true, whatever the keywords. */
static void check_members(struct suite *s, yyjson_val *group, struct alk_span text,
                          bool assert_format)
{
    struct alk_schema *schema = member_schema(text, assert_format);
    size_t i, max;
    yyjson_val *test;
    if (schema == NULL) {
        return;
    }
    yyjson_arr_foreach(yyjson_obj_get(group, "tests"), i, max, test)
    {
        bool is_valid = yyjson_is_true(yyjson_obj_get(test, "valid"));
        bool is_told = fits_as_member(schema, yyjson_obj_get(test, "data"));
        assert_true(is_valid || !is_told);
        s->on_text += is_told;
    }
    alk_schema_free(schema);
}

static void run_group(struct suite *s, yyjson_val *group, bool assert_format)
{
    char why[256] = "";
    size_t n = 0;
    size_t i, max;
    yyjson_val *test;
    const char *name = yyjson_get_str(yyjson_obj_get(group, "description"));
    char *text = yyjson_val_write(yyjson_obj_get(group, "schema"), 0, &n);
    struct alk_schema *schema = NULL;
    struct alk_schema_options options = {
        .docs = s->docs, .doc_count = s->doc_count, .assert_format = assert_format};

    assert_non_null(text);
    alk_err err = alk_schema_compile(&options, alk_span(text, n), why, sizeof why, &schema);
    if (err != ALK_OK) {
        print_message("  %s: %s: %s\n", name, alk_err_name(err), why);
    }
    yyjson_arr_foreach(yyjson_obj_get(group, "tests"), i, max, test)
    {
        run_case(s, schema, name, test);
    }
    alk_schema_free(schema);
    check_members(s, group, alk_span(text, n), assert_format);
    free(text);
}

static void run_file(struct suite *s, const char *path, bool assert_format)
{
    struct alk_span text = read_file(path);
    yyjson_doc *doc = NULL;
    size_t i, n;
    yyjson_val *group;

    check_err(alk_json_parse(text, &doc), ALK_OK);
    yyjson_arr_foreach(yyjson_doc_get_root(doc), i, n, group)
    {
        run_group(s, group, assert_format);
    }
    yyjson_doc_free(doc);
    free((void *)(uintptr_t)text.p);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

/* Files with cases that we judge otherwise; docs/design/schema.md says why. */
static const struct {
    const char *file;
    size_t failed;
} exceptions[] = {
    {"cross-draft.json", 1},
};

static size_t failures_allowed(const char *file)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        if (strcmp(exceptions[i].file, file) == 0) {
            return exceptions[i].failed;
        }
    }
    return 0;
}

/* Runs all files of a folder in their order, prints a line for each, and holds each
 * to its exceptions. */
static void run_folder(struct suite *s, const char *what, const char *folder, bool assert_format)
{
    static char names[DOCS_MAX][64];
    char path[PATH_MAX_BYTES];
    size_t n = 0;
    struct dirent *e;
    DIR *dir = opendir(folder);

    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        if (alk_span_ends(alk_span_str(e->d_name), ALK_LIT(".json"))) {
            assert_true(n < DOCS_MAX);
            assert_true(alk_span_cstr(alk_span_str(e->d_name), names[n], sizeof names[n]));
            n++;
        }
    }
    (void)closedir(dir);
    qsort(names, n, sizeof names[0], compare_paths);
    for (size_t i = 0; i < n; i++) {
        size_t passed = s->passed, failed = s->failed;
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        run_file(s, path, assert_format);
        print_message("  %-32s %zu of %zu\n", names[i], s->passed - passed,
                      s->passed - passed + s->failed - failed);
        assert_int_equal(s->failed - failed, failures_allowed(names[i]));
    }
    print_message("%s: %zu files, %zu of %zu cases\n", what, n, s->passed, s->passed + s->failed);
}

/* --- tests ---------------------------------------------------------------------- */

static void every_required_case_is_judged_as_the_suite_says(void **state)
{
    struct suite s;
    (void)state;
    suite_init(&s);
    run_folder(&s, "required", TESTS, false);
    assert_int_equal(s.failed, 0);
    assert_true(s.passed > 1200);
    assert_true(s.on_text > 200);
    suite_fini(&s);
}

static void optional_cases_fail_only_where_the_page_says_so(void **state)
{
    struct suite s;
    (void)state;
    suite_init(&s);
    run_folder(&s, "optional", TESTS "/optional", false);
    assert_true(s.passed > 150);
    suite_fini(&s);
}

static void formats_fail_only_where_the_page_says_so(void **state)
{
    struct suite s;
    (void)state;
    suite_init(&s);
    run_folder(&s, "optional/format", TESTS "/optional/format", true);
    assert_true(s.passed > 700);
    suite_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_required_case_is_judged_as_the_suite_says),
        cmocka_unit_test(optional_cases_fail_only_where_the_page_says_so),
        cmocka_unit_test(formats_fail_only_where_the_page_says_so),
    };
    DIR *dir = opendir(TESTS);
    if (dir == NULL) {
        print_message("skipped: no vectors\n");
        return 77;
    }
    (void)closedir(dir);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
