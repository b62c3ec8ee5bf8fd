/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a schema says of a field: how its text is read, and the words for people. */
#include "fields.h"

#include "base/text.h"

#define REFS_MAX 8 /* followed for one schema: a ring ends */

static const struct {
    const char *name;
    enum cli_field_type type;
} types[] = {{"string", CLI_FIELD_STRING}, {"integer", CLI_FIELD_INTEGER},
             {"number", CLI_FIELD_NUMBER}, {"boolean", CLI_FIELD_BOOL},
             {"array", CLI_FIELD_ARRAY},   {"object", CLI_FIELD_OBJECT},
             {"null", CLI_FIELD_NULL}};

static enum cli_field_type type_of_word(const char *word)
{
    for (size_t i = 0; word != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, word) == 0) {
            return types[i].type;
        }
    }
    return CLI_FIELD_ANY;
}

struct yyjson_val *cli_field_schema(struct yyjson_val *root, struct yyjson_val *schema)
{
    for (unsigned i = 0; root != NULL && i < REFS_MAX; i++) {
        const char *ref = yyjson_get_str(yyjson_obj_get(schema, "$ref"));
        struct yyjson_val *there =
            ref == NULL || ref[0] != '#' ? NULL : yyjson_ptr_get(root, ref + 1);
        if (there == NULL) {
            break;
        }
        schema = there;
    }
    return schema;
}

/* Whether all values that `enum` or `const` allow are texts. */
static bool is_of_texts(struct yyjson_val *property)
{
    struct yyjson_val *list = yyjson_obj_get(property, "enum"), *one;
    size_t i, max;

    yyjson_arr_foreach(list, i, max, one)
    {
        if (!yyjson_is_str(one)) {
            return false;
        }
    }
    return yyjson_arr_size(list) > 0 || yyjson_is_str(yyjson_obj_get(property, "const"));
}

/* The word at `i`; NULL: no more. "any" when the schema names no type. */
static const char *word_at(struct yyjson_val *property, size_t i)
{
    struct yyjson_val *type = yyjson_obj_get(property, "type");

    if (yyjson_arr_size(type) > 0) {
        return yyjson_get_str(yyjson_arr_get(type, i));
    }
    if (i > 0) {
        return NULL;
    }
    return yyjson_is_str(type) ? yyjson_get_str(type) : is_of_texts(property) ? "string" : "any";
}

bool cli_field_type_at(struct yyjson_val *property, size_t i, enum cli_field_type *ret)
{
    const char *word = word_at(property, i);
    if (word != NULL) {
        *ret = type_of_word(word);
    }
    return word != NULL;
}

enum cli_field_type cli_field_type(struct yyjson_val *property)
{
    enum cli_field_type type = CLI_FIELD_ANY;
    size_t i = 0;

    while (cli_field_type_at(property, i, &type) && type == CLI_FIELD_NULL) {
        i++;
    }
    return type;
}

/* --- words ----------------------------------------------------------------------- */

static void add(char *ret, size_t size, const char *text)
{
    size_t n = strlen(ret);
    (void)snprintf(ret + n, size - n, "%s", text);
}

static void add_word(char *ret, size_t size, const char *word)
{
    char safe[100];
    cli_safe(alk_span_str(word), safe, sizeof safe);
    add(ret, size, ret[0] == '\0' ? "" : " or ");
    add(ret, size, safe);
}

/* The types of the alternatives, each once. False: one of them names none. */
static bool describe_alternatives(struct yyjson_val *root, struct yyjson_val *list, char *ret,
                                  size_t size)
{
    struct yyjson_val *one;
    size_t i, max;

    yyjson_arr_foreach(list, i, max, one)
    {
        const char *word = word_at(cli_field_schema(root, one), 0);
        if (word == NULL || strcmp(word, "any") == 0) {
            return false;
        }
        if (strstr(ret, word) == NULL) {
            add_word(ret, size, word);
        }
    }
    return ret[0] != '\0';
}

void cli_field_describe(struct yyjson_val *root, struct yyjson_val *property, char *ret,
                        size_t ret_size)
{
    struct yyjson_val *any_of = yyjson_obj_get(property, "anyOf");
    struct yyjson_val *list = any_of != NULL ? any_of : yyjson_obj_get(property, "oneOf");
    const char *word;

    ret[0] = '\0';
    if (strcmp(word_at(property, 0) == NULL ? "any" : word_at(property, 0), "any") == 0) {
        if (!describe_alternatives(root, list, ret, ret_size)) {
            (void)snprintf(ret, ret_size, "any");
        }
        return;
    }
    for (size_t i = 0; (word = word_at(property, i)) != NULL; i++) {
        add_word(ret, ret_size, word);
        struct yyjson_val *items = cli_field_schema(root, yyjson_obj_get(property, "items"));
        const char *of = strcmp(word, "array") == 0 && items != NULL ? word_at(items, 0) : NULL;
        if (of != NULL && strcmp(of, "any") != 0) {
            char safe[100];
            cli_safe(alk_span_str(of), safe, sizeof safe);
            add(ret, ret_size, " of ");
            add(ret, ret_size, safe);
        }
    }
}
