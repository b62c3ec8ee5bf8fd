/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/schema.h"

#include <yyjson.h>

struct alk_schema *test_schema_with(struct alk_schema_options options, struct alk_span schema)
{
    struct alk_schema *ret = NULL;
    char why[256] = "";
    alk_err err = alk_schema_compile(&options, schema, why, sizeof why, &ret);
    if (err != ALK_OK) {
        fail_msg("%s: %s: " ALK_SPAN_FMT, alk_err_name(err), why, ALK_SPAN_ARG(schema));
    }
    return ret;
}

struct alk_schema *test_schema(const char *schema)
{
    return test_schema_with((struct alk_schema_options){.mem = NULL}, alk_span_str(schema));
}

alk_err test_schema_check(const struct alk_schema *schema, struct alk_span value,
                          struct alk_schema_report *report)
{
    yyjson_doc *doc = yyjson_read((const char *)value.p, value.n, 0);
    assert_non_null(doc);
    alk_err err = alk_schema_check(schema, yyjson_doc_get_root(doc), report);
    yyjson_doc_free(doc);
    return err;
}

void test_schema_series(struct alk_buf *b, const char *begin, const char *part, size_t n,
                        const char *end)
{
    alk_buf_init(b, NULL, (size_t)16 << 20);
    (void)alk_buf_put_str(b, begin);
    for (size_t i = 0; i < n; i++) {
        for (const char *c = part; *c != '\0'; c++) {
            (void)(*c == '#' ? alk_buf_printf(b, "%zu", i) : alk_buf_put_u8(b, (uint8_t)*c));
        }
    }
    check_err(alk_buf_put_str(b, end), ALK_OK);
}

alk_err test_schema_once(const char *schema, const char *value)
{
    struct alk_schema *s = test_schema(schema);
    alk_err err = test_schema_check(s, alk_span_str(value), NULL);
    alk_schema_free(s);
    return err;
}
