/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A schema and a value, with a zero byte between them: whatever compiles may be
 * used, within its budget, twice alike, and what does not fit says where. */
#include "ops/schema.h"

#include "core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_text(const char *s, size_t size)
{
    return memchr(s, 0, size) != NULL && alk_span_is_utf8(alk_span_str(s));
}

static void check(const struct alk_schema *schema, struct alk_span text)
{
    struct yyjson_doc *doc = NULL;
    struct alk_schema_report report;

    if (alk_json_parse(text, &doc) != ALK_OK) {
        return;
    }
    alk_err err = alk_schema_check(schema, yyjson_doc_get_root(doc), &report);
    if (err != ALK_OK && err != ALK_E_INVALID && err != ALK_E_LIMIT) {
        __builtin_trap();
    }
    if ((report.count > 0) != (err == ALK_E_INVALID) ||
        alk_schema_check(schema, yyjson_doc_get_root(doc), NULL) != err) {
        __builtin_trap();
    }
    for (size_t i = 0; i < report.count; i++) {
        const struct alk_schema_error *e = &report.errors[i];
        if (!is_text(e->at, sizeof e->at) || !is_text(e->rule, sizeof e->rule) ||
            !is_text(e->what, sizeof e->what)) {
            __builtin_trap();
        }
    }
    yyjson_doc_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span value = alk_span(data, size);
    struct alk_span text = alk_span_cut(&value, 0);
    struct alk_schema_options options = {.steps = 20000, .assert_format = true};
    struct alk_schema *schema = NULL;
    char why[200] = "";

    alk_err err = alk_schema_compile(&options, text, why, sizeof why, &schema);
    if (err == ALK_OK) {
        check(schema, value);
        alk_schema_free(schema);
    } else if (why[0] == '\0' || !is_text(why, sizeof why)) {
        __builtin_trap();
    }
    return 0;
}
