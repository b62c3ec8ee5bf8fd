/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An operation's input from --NAME VALUE, and what a page says of its fields. */
#include "fields.h"

#include "support/check.h"

static const char *const schema_text =
    "{\"properties\":{"
    "\"s\":{\"type\":\"string\"},\"i\":{\"type\":\"integer\"},\"n\":{\"type\":\"number\"},"
    "\"b\":{\"type\":\"boolean\"},\"o\":{\"type\":\"object\"},\"z\":{\"type\":\"null\"},"
    "\"is\":{\"type\":[\"integer\",\"string\"]},\"si\":{\"type\":[\"string\",\"integer\"]},"
    "\"in\":{\"type\":[\"integer\",\"null\"]},\"ni\":{\"type\":[\"null\",\"integer\"]},"
    "\"bs\":{\"type\":[\"boolean\",\"string\"]},"
    "\"e\":{\"enum\":[\"1\",\"2\"]},\"m\":{\"enum\":[\"a\",1]},\"c\":{\"const\":\"5\"},"
    "\"as\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    "\"ai\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/level\"}},"
    "\"a\":{\"type\":\"array\"},\"r\":{\"$ref\":\"#/$defs/level\"},"
    "\"ring\":{\"$ref\":\"#/$defs/ring\"},\"far\":{\"$ref\":\"#/nowhere\"},"
    "\"u\":{\"anyOf\":[{\"type\":\"string\"},{\"$ref\":\"#/$defs/level\"},{\"type\":\"string\"}]},"
    "\"v\":{\"oneOf\":[{\"type\":\"string\"},{\"minimum\":1}]},\"any\":{}},"
    "\"$defs\":{\"level\":{\"type\":\"integer\"},\"ring\":{\"$ref\":\"#/$defs/ring\"}}}";

static struct yyjson_doc *schema_read(void)
{
    struct yyjson_doc *doc = yyjson_read(schema_text, strlen(schema_text), 0);
    assert_non_null(doc);
    return doc;
}

/* Reads a line of words; the input as JSON, or what was said. */
static void check_line(const char *line, const char *want)
{
    static const struct cli_command command = {.name = "call", .takes_fields = true};
    struct cli_args args = {.command = &command, .values = {"home", "t/x"}, .value_count = 2};
    char words[200], *text = NULL, *json = NULL;
    size_t n = 0;
    struct cli cli = {.err = open_memstream(&text, &n)};
    struct yyjson_doc *schema = schema_read();
    struct yyjson_mut_doc *doc = NULL;

    (void)snprintf(words, sizeof words, "%s", line);
    for (char *p = words; *p != '\0';) {
        char *end = p + strcspn(p, "~");
        char *equals = strchr(p, '=');
        char *next = *end == '\0' ? end : end + 1;
        *end = '\0';
        bool has_value = equals != NULL && equals < end;
        args.fields[args.field_count++] = (struct cli_field){
            alk_span(p, (size_t)((has_value ? equals : end) - p)), has_value ? equals + 1 : NULL};
        p = next;
    }
    int rc = cli_fields_read(&cli, &args, yyjson_doc_get_root(schema), &doc);
    assert_int_equal(fclose(cli.err), 0);
    if (rc == CLI_OK) {
        json = yyjson_mut_write(doc, 0, NULL);
        assert_string_equal(json, want);
        assert_string_equal(text, "");
    } else {
        char said[400];
        assert_int_equal(rc, CLI_USAGE);
        (void)snprintf(said, sizeof said,
                       "alknet: %s\nalknet: what it takes: alknet ops home t/x\n", want);
        assert_string_equal(text, said);
    }
    free(json);
    free(text);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(schema);
}

static void a_field_is_what_its_schema_says(void **state)
{
    static const char *const rows[][2] = {
        {"s=a~i=5~n=1.50", "{\"s\":\"a\",\"i\":5,\"n\":1.50}"},
        {"s=5~b~o={\"a\": 1}", "{\"s\":\"5\",\"b\":true,\"o\":{\"a\":1}}"},
        {"b=false~z=null", "{\"b\":false,\"z\":null}"},
        {"i=5.0~n=-1e-3", "{\"i\":5.0,\"n\":-1e-3}"},
        {"any=5~e=1~m=1~c=5", "{\"any\":5,\"e\":\"1\",\"m\":1,\"c\":\"5\"}"},
        {"as=1~as=2~a=[1]", "{\"as\":[\"1\",\"2\"],\"a\":[1]}"},
        {"ai=1~ai=2~r=3", "{\"ai\":[1,2],\"r\":3}"},
        {"i=five", "--i must be integer, not five"},
        {"i=1.5", "--i must be integer, not 1.5"},
        {"i=", "--i must be integer, not nothing"},
        {"i", "--i needs a value"},
        {"z=5", "--z must be null, not 5"},
        {"b=no", "--b must be true or false, not no"},
        {"o=[1]", "--o must be object (as JSON), not [1]"},
        {"ai=x", "--ai must be integer, not x"},
        {"r=x", "--r must be integer, not x"},
        {"s=a~s=b", "--s is given twice"},
        {"sx=1", "the operation has no field \"sx\"; did you mean --s?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_line(rows[i][0], rows[i][1]);
    }
}

static void of_several_types_it_is_the_first_that_fits(void **state)
{
    static const char *const rows[][2] = {
        {"is=5~si=5", "{\"is\":5,\"si\":\"5\"}"},
        {"is=five~si=five", "{\"is\":\"five\",\"si\":\"five\"}"},
        {"is=1.5", "{\"is\":\"1.5\"}"},
        {"in=null~ni=5", "{\"in\":null,\"ni\":5}"},
        {"in=x", "--in must be integer or null, not x"},
        {"bs=true~is=", "{\"bs\":true,\"is\":\"\"}"},
        {"bs=yes", "{\"bs\":\"yes\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_line(rows[i][0], rows[i][1]);
    }
}

static void numbers_keep_all_their_digits(void **state)
{
    (void)state;
    check_line("i=123456789012345678901234567890", "{\"i\":123456789012345678901234567890}");
    check_line("n=0.12345678901234567890", "{\"n\":0.12345678901234567890}");
    check_line("o={\"a\":[18446744073709551616]}", "{\"o\":{\"a\":[18446744073709551616]}}");
    check_line("n=1e999", "--n must be number, not 1e999"); /* no double, and so no JSON here */
}

static void a_page_names_the_types(void **state)
{
    static const char *const rows[][2] = {
        {"s", "string"},
        {"is", "integer or string"},
        {"in", "integer or null"},
        {"z", "null"},
        {"e", "string"},
        {"m", "any"},
        {"as", "array of string"},
        {"ai", "array of integer"},
        {"a", "array"},
        {"r", "integer"},
        {"ring", "any"},
        {"far", "any"},
        {"u", "string or integer"},
        {"v", "any"},
        {"any", "any"},
    };
    struct yyjson_doc *doc = schema_read();
    struct yyjson_val *root = yyjson_doc_get_root(doc);
    char words[200];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct yyjson_val *one = yyjson_obj_get(yyjson_obj_get(root, "properties"), rows[i][0]);
        cli_field_describe(root, cli_field_schema(root, one), words, sizeof words);
        assert_string_equal(words, rows[i][1]);
    }
    yyjson_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_field_is_what_its_schema_says),
                                       cmocka_unit_test(of_several_types_it_is_the_first_that_fits),
                                       cmocka_unit_test(numbers_keep_all_their_digits),
                                       cmocka_unit_test(a_page_names_the_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
