/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values as callers may send them, against a few schemas that use every keyword. */
#include "ops/schema.h"

#include "core/frame.h"

#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Words of an operation, then those of every kind of keyword. */
static const char *const schemas[] = {
    "{\"type\":\"object\",\"required\":[\"path\",\"mode\"],\"properties\":{\"path\":{\"type\":"
    "\"string\",\"minLength\":1,\"maxLength\":64,\"pattern\":\"^(?:/[\\\\w.-]+)+/?$\"},\"mode\":"
    "{\"enum\":[\"r\",\"w\",\"rw\"]},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":"
    "65536},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"uniqueItems\":true,"
    "\"maxItems\":40},\"at\":{\"format\":\"date-time\"}},\"additionalProperties\":false}",
    "{\"$id\":\"http://x/tree\",\"$dynamicAnchor\":\"node\",\"type\":[\"object\",\"array\","
    "\"number\",\"null\"],\"properties\":{\"c\":{\"type\":\"array\",\"items\":{\"$dynamicRef\":"
    "\"#node\"}}},\"items\":{\"$ref\":\"#\"},\"unevaluatedProperties\":{\"type\":\"string\","
    "\"format\":\"uri-reference\"}}",
    "{\"anyOf\":[{\"prefixItems\":[{\"multipleOf\":0.01},{\"const\":{\"a\":[1,2.0]}}],\"contains\":"
    "{\"exclusiveMinimum\":5},\"minContains\":0,\"maxContains\":4},{\"patternProperties\":{\"^\\\\p"
    "{Lu}\":{\"exclusiveMaximum\":1e3},\"(a|b)*c$\":{\"minItems\":2}},\"propertyNames\":{"
    "\"format\":"
    "\"email\"},\"minProperties\":1,\"maxProperties\":9},{\"if\":{\"type\":\"string\"},\"then\":"
    "{\"oneOf\":[{\"format\":\"ipv4\"},{\"format\":\"ipv6\"},{\"format\":\"idn-hostname\"},"
    "{\"format\":\"duration\"},{\"format\":\"uuid\"},{\"format\":\"uri-template\"},{\"format\":"
    "\"regex\"},{\"format\":\"iri\"},{\"format\":\"json-pointer\"},{\"format\":\"time\"}]},"
    "\"else\":"
    "{\"not\":{\"type\":\"array\"}}}],\"dependentRequired\":{\"a\":[\"b\"]},\"dependentSchemas\":"
    "{\"b\":{\"required\":[\"c\"]}},\"unevaluatedItems\":{\"enum\":[0,1,2,3,4,5,6,7,8,9,\"x\",null]"
    "},"
    "\"unevaluatedProperties\":false}",
    "{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\","
    "\"minLength\":2,\"maxLength\":9},\"b\":{\"type\":[\"integer\",\"array\"]},\"c\":{\"type\":"
    "[\"number\",\"object\",\"null\"]},\"d\":{}}}",
};

#define SCHEMAS (sizeof schemas / sizeof schemas[0])

static void check(const struct alk_schema *schema, struct yyjson_val *value)
{
    struct alk_schema_report report;

    alk_err err = alk_schema_check(schema, value, &report);
    if ((err != ALK_OK && err != ALK_E_INVALID && err != ALK_E_LIMIT) ||
        (report.count > 0) != (err == ALK_E_INVALID)) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct alk_schema *compiled[SCHEMAS]; /* once, for all inputs */
    struct alk_schema_options options = {.assert_format = true, .steps = 200000};
    struct yyjson_doc *doc = NULL;

    for (size_t i = 0; i < SCHEMAS && compiled[i] == NULL; i++) {
        if (alk_schema_compile(&options, alk_span_str(schemas[i]), NULL, 0, &compiled[i]) !=
            ALK_OK) {
            __builtin_trap();
        }
    }
    alk_err err = alk_json_parse(alk_span(data, size), &doc);
    for (size_t i = 0; i < SCHEMAS; i++) {
        struct alk_schema_parts parts;
        if (alk_schema_fits_text(compiled[i], alk_span(data, size), &parts) &&
            (err != ALK_OK ||
             alk_schema_check(compiled[i], yyjson_doc_get_root(doc), NULL) != ALK_OK)) {
            __builtin_trap(); /* the tree says otherwise */
        }
    }
    if (err == ALK_OK) {
        for (size_t i = 0; i < SCHEMAS; i++) {
            check(compiled[i], yyjson_doc_get_root(doc));
        }
        yyjson_doc_free(doc);
    }
    return 0;
}
