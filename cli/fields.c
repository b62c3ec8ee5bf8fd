/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fields.h"

#include "base/span.h"
#include "core/frame.h"

#define NAMES_MAX 128

static const struct {
    const char *name;
    enum cli_field_type type;
} types[] = {{"string", CLI_FIELD_STRING}, {"integer", CLI_FIELD_NUMBER},
             {"number", CLI_FIELD_NUMBER}, {"boolean", CLI_FIELD_BOOL},
             {"array", CLI_FIELD_ARRAY},   {"object", CLI_FIELD_OBJECT}};

/* The one type, or of several the first that is not null. */
static const char *type_word(struct yyjson_val *property)
{
    struct yyjson_val *type = yyjson_obj_get(property, "type");
    for (size_t i = 0; yyjson_is_arr(type) && i < yyjson_arr_size(type); i++) {
        const char *word = yyjson_get_str(yyjson_arr_get(type, i));
        if (word != NULL && strcmp(word, "null") != 0) {
            return word;
        }
    }
    if (yyjson_is_str(type)) {
        return yyjson_get_str(type);
    }
    struct yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(property, "enum"));
    return yyjson_is_str(first) ? "string" : NULL;
}

enum cli_field_type cli_field_type(struct yyjson_val *property)
{
    const char *word = type_word(property);
    for (size_t i = 0; word != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].name, word) == 0) {
            return types[i].type;
        }
    }
    return CLI_FIELD_ANY;
}

const char *cli_field_type_name(struct yyjson_val *property)
{
    const char *word = type_word(property);
    return word == NULL ? "any" : word;
}

struct reader {
    struct cli *cli;
    const struct cli_args *args;
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *root;
};

/* The fields are the operation's: its page explains them, not the command's help. */
static int tell_page(const struct reader *r)
{
    char op[300];

    cli_safe(alk_span_str(cli_value(r->args, 1)), op, sizeof op);
    (void)fprintf(r->cli->err, "alknet: what it takes: alknet ops %s %s\n", cli_value(r->args, 0),
                  op);
    return CLI_USAGE;
}

static int wrong(const struct reader *r, const struct cli_field *field, const char *what)
{
    (void)cli_fail(r->cli, CLI_USAGE, "--" ALK_SPAN_FMT " %s", ALK_SPAN_ARG(field->name), what);
    return tell_page(r);
}

/* Of a value that is not what the field takes, or is missing. */
static int unfit(const struct reader *r, const struct cli_field *field, const char *what)
{
    char value[200], text[256];

    if (field->value == NULL) {
        return wrong(r, field, "needs a value");
    }
    cli_safe(alk_span_str(field->value), value, sizeof value);
    (void)snprintf(text, sizeof text, "%s, not %s", what, value[0] == '\0' ? "nothing" : value);
    return wrong(r, field, text);
}

static struct yyjson_mut_val *json_value(const struct reader *r, const char *text)
{
    struct yyjson_doc *doc = NULL;
    if (alk_json_parse(alk_span_str(text), &doc) != ALK_OK) {
        return NULL;
    }
    struct yyjson_mut_val *v = yyjson_val_mut_copy(r->doc, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return v;
}

static int read_number(const struct reader *r, const struct cli_field *f,
                       struct yyjson_mut_val **ret)
{
    *ret = f->value == NULL ? NULL : json_value(r, f->value);
    return yyjson_mut_is_num(*ret) || yyjson_mut_is_raw(*ret) ? CLI_OK
                                                              : unfit(r, f, "takes a number");
}

static int read_bool(const struct reader *r, const struct cli_field *f, struct yyjson_mut_val **ret)
{
    bool is_true = f->value == NULL || strcmp(f->value, "true") == 0;
    *ret = yyjson_mut_bool(r->doc, is_true);
    return is_true || strcmp(f->value, "false") == 0 ? CLI_OK : unfit(r, f, "is true or false");
}

static int read_one(const struct reader *r, const struct cli_field *f, enum cli_field_type type,
                    struct yyjson_mut_val **ret)
{
    switch (type) {
    case CLI_FIELD_NUMBER:
        return read_number(r, f, ret);
    case CLI_FIELD_BOOL:
        return read_bool(r, f, ret);
    case CLI_FIELD_STRING:
        *ret = f->value == NULL ? NULL : yyjson_mut_str(r->doc, f->value);
        return *ret != NULL ? CLI_OK : unfit(r, f, "");
    case CLI_FIELD_OBJECT:
    case CLI_FIELD_ARRAY:
        *ret = f->value == NULL ? NULL : json_value(r, f->value);
        return *ret != NULL ? CLI_OK : unfit(r, f, "takes JSON");
    case CLI_FIELD_ANY:
        *ret = f->value == NULL ? yyjson_mut_bool(r->doc, true) : json_value(r, f->value);
        *ret = *ret == NULL ? yyjson_mut_str(r->doc, f->value) : *ret;
        return CLI_OK;
    }
    return CLI_FAILED;
}

/* --tag a --tag b, or --tags '["a", "b"]'. */
static int read_array(const struct reader *r, const struct cli_field *f,
                      struct yyjson_val *property, struct yyjson_mut_val *key)
{
    struct yyjson_mut_val *list = yyjson_mut_obj_getn(r->root, (const char *)f->name.p, f->name.n);
    struct yyjson_mut_val *v = NULL;

    if (list == NULL && f->value != NULL && f->value[0] == '[') {
        int rc = read_one(r, f, CLI_FIELD_ARRAY, &v);
        return rc != CLI_OK || yyjson_mut_obj_add(r->root, key, v) ? rc : CLI_FAILED;
    }
    if (list == NULL) {
        list = yyjson_mut_arr(r->doc);
        if (!yyjson_mut_obj_add(r->root, key, list)) {
            return cli_fail_err(r->cli, ALK_E_NOMEM, NULL);
        }
    }
    int rc = read_one(r, f, cli_field_type(yyjson_obj_get(property, "items")), &v);
    return rc != CLI_OK || yyjson_mut_arr_append(list, v) ? rc : CLI_FAILED;
}

static int unknown(const struct reader *r, const struct cli_field *f, struct yyjson_val *properties)
{
    const char *names[NAMES_MAX + 1];
    char bare[64];
    size_t n = 0, i, max;
    struct yyjson_val *key, *val;

    yyjson_obj_foreach(properties, i, max, key, val)
    {
        if (n < NAMES_MAX) {
            names[n++] = yyjson_get_str(key);
        }
    }
    names[n] = NULL;
    const char *near = alk_span_cstr(f->name, bare, sizeof bare) ? cli_nearest(bare, names) : NULL;
    (void)cli_fail(r->cli, CLI_USAGE, "the operation has no field \"" ALK_SPAN_FMT "\"%s%s%s",
                   ALK_SPAN_ARG(f->name), near != NULL ? "; did you mean --" : "",
                   near != NULL ? near : "", near != NULL ? "?" : "");
    return tell_page(r);
}

static int read_field(const struct reader *r, const struct cli_field *f, struct yyjson_val *schema)
{
    struct yyjson_val *properties = yyjson_obj_get(schema, "properties");
    struct yyjson_val *property = yyjson_obj_getn(properties, (const char *)f->name.p, f->name.n);
    struct yyjson_mut_val *v = NULL;

    if (!alk_span_is_utf8(f->name) ||
        (f->value != NULL && !alk_span_is_utf8(alk_span_str(f->value)))) {
        return wrong(r, f, "is not UTF-8");
    }
    if (property == NULL && properties != NULL) {
        return unknown(r, f, properties);
    }
    struct yyjson_mut_val *key = yyjson_mut_strn(r->doc, (const char *)f->name.p, f->name.n);
    enum cli_field_type type = cli_field_type(property);
    if (type == CLI_FIELD_ARRAY) {
        return read_array(r, f, property, key);
    }
    if (yyjson_mut_obj_getn(r->root, (const char *)f->name.p, f->name.n) != NULL) {
        return wrong(r, f, "is given twice");
    }
    int rc = read_one(r, f, type, &v);
    if (rc == CLI_OK && !yyjson_mut_obj_add(r->root, key, v)) {
        rc = cli_fail_err(r->cli, ALK_E_NOMEM, NULL);
    }
    return rc;
}

int cli_fields_read(struct cli *cli, const struct cli_args *args, struct yyjson_val *schema,
                    struct yyjson_mut_doc **ret_doc)
{
    struct reader r = {.cli = cli, .args = args, .doc = yyjson_mut_doc_new(NULL)};
    r.root = yyjson_mut_obj(r.doc);
    yyjson_mut_doc_set_root(r.doc, r.root);

    int rc = r.root == NULL ? cli_fail_err(cli, ALK_E_NOMEM, NULL) : CLI_OK;
    for (size_t i = 0; i < args->field_count && rc == CLI_OK; i++) {
        rc = read_field(&r, &args->fields[i], schema);
    }
    if (rc != CLI_OK) {
        yyjson_mut_doc_free(r.doc);
        return rc;
    }
    *ret_doc = r.doc;
    return CLI_OK;
}
