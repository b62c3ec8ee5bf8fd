/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "fields.h"

#include "base/span.h"
#include "json_text.h"

#define NAMES_MAX 128
#define WHOLE_MAX 9007199254740992.0 /* 2^53: from here on every double is whole */

struct reader {
    struct cli *cli;
    const struct cli_args *args;
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *root;
    struct yyjson_val *schema; /* of the input; NULL: not known */
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
    char value[200], text[480];

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
    if (cli_json_read(alk_span_str(text), &doc) != ALK_OK) {
        return NULL;
    }
    struct yyjson_mut_val *v = yyjson_val_mut_copy(r->doc, yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    return v;
}

/* 5, 5.0 and 5e3 are [JSON Schema §4.2.3]. */
static bool is_whole(const char *number)
{
    double d = strtod(number, NULL);
    bool is_small = d > -WHOLE_MAX && d < WHOLE_MAX;
    return !is_small || d == (double)(int64_t)d;
}

static bool is_of(struct yyjson_mut_val *v, enum cli_field_type type)
{
    return (type == CLI_FIELD_NUMBER && yyjson_mut_is_raw(v)) ||
           (type == CLI_FIELD_INTEGER && yyjson_mut_is_raw(v) && is_whole(yyjson_mut_get_raw(v))) ||
           (type == CLI_FIELD_ARRAY && yyjson_mut_is_arr(v)) ||
           (type == CLI_FIELD_OBJECT && yyjson_mut_is_obj(v)) ||
           (type == CLI_FIELD_NULL && yyjson_mut_is_null(v));
}

/* The field's text as a value of that type; NULL: it is none. A name alone is true. */
static struct yyjson_mut_val *read_as(const struct reader *r, const char *text,
                                      enum cli_field_type type)
{
    struct yyjson_mut_val *v = NULL;

    if (type == CLI_FIELD_BOOL || (type == CLI_FIELD_ANY && text == NULL)) {
        bool is_true = text == NULL || strcmp(text, "true") == 0;
        return is_true || strcmp(text, "false") == 0 ? yyjson_mut_bool(r->doc, is_true) : NULL;
    }
    if (text == NULL) {
        return NULL;
    }
    if (type != CLI_FIELD_STRING) {
        v = json_value(r, text);
        v = type == CLI_FIELD_ANY || is_of(v, type) ? v : NULL;
    }
    return v == NULL && (type == CLI_FIELD_STRING || type == CLI_FIELD_ANY)
               ? yyjson_mut_str(r->doc, text)
               : v;
}

/* Of several types the first that the text fits. */
static int read_one(const struct reader *r, const struct cli_field *f, struct yyjson_val *property,
                    struct yyjson_mut_val **ret)
{
    char words[200], what[240];
    enum cli_field_type type;

    for (size_t i = 0; cli_field_type_at(property, i, &type); i++) {
        *ret = read_as(r, f->value, type);
        if (*ret != NULL) {
            return CLI_OK;
        }
    }
    type = cli_field_type(property);
    cli_field_describe(r->schema, property, words, sizeof words);
    (void)snprintf(what, sizeof what, "must be %s%s",
                   type == CLI_FIELD_BOOL ? "true or false" : words,
                   type == CLI_FIELD_OBJECT || type == CLI_FIELD_ARRAY ? " (as JSON)" : "");
    return unfit(r, f, what);
}

/* --tag a --tag b, or --tags '["a", "b"]'. */
static int read_array(const struct reader *r, const struct cli_field *f,
                      struct yyjson_val *property, struct yyjson_mut_val *key)
{
    struct yyjson_mut_val *list = yyjson_mut_obj_getn(r->root, (const char *)f->name.p, f->name.n);
    struct yyjson_mut_val *v = NULL;

    if (list == NULL && f->value != NULL && f->value[0] == '[') {
        int rc = read_one(r, f, property, &v);
        return rc != CLI_OK || yyjson_mut_obj_add(r->root, key, v) ? rc : CLI_FAILED;
    }
    if (list == NULL) {
        list = yyjson_mut_arr(r->doc);
        if (!yyjson_mut_obj_add(r->root, key, list)) {
            return cli_fail_err(r->cli, ALK_E_NOMEM, NULL);
        }
    }
    struct yyjson_val *items = yyjson_obj_get(property, "items");
    int rc = read_one(r, f, cli_field_schema(r->schema, items), &v);
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

static int read_field(const struct reader *r, const struct cli_field *f)
{
    struct yyjson_val *properties =
        yyjson_obj_get(cli_field_schema(r->schema, r->schema), "properties");
    struct yyjson_val *property = cli_field_schema(
        r->schema, yyjson_obj_getn(properties, (const char *)f->name.p, f->name.n));
    struct yyjson_mut_val *v = NULL;

    if (!alk_span_is_utf8(f->name) ||
        (f->value != NULL && !alk_span_is_utf8(alk_span_str(f->value)))) {
        return wrong(r, f, "is not UTF-8");
    }
    if (property == NULL && properties != NULL) {
        return unknown(r, f, properties);
    }
    struct yyjson_mut_val *key = yyjson_mut_strn(r->doc, (const char *)f->name.p, f->name.n);
    if (cli_field_type(property) == CLI_FIELD_ARRAY) {
        return read_array(r, f, property, key);
    }
    if (yyjson_mut_obj_getn(r->root, (const char *)f->name.p, f->name.n) != NULL) {
        return wrong(r, f, "is given twice");
    }
    int rc = read_one(r, f, property, &v);
    if (rc == CLI_OK && !yyjson_mut_obj_add(r->root, key, v)) {
        rc = cli_fail_err(r->cli, ALK_E_NOMEM, NULL);
    }
    return rc;
}

int cli_fields_read(struct cli *cli, const struct cli_args *args, struct yyjson_val *schema,
                    struct yyjson_mut_doc **ret_doc)
{
    struct reader r = {.cli = cli, .args = args, .doc = yyjson_mut_doc_new(NULL), .schema = schema};
    r.root = yyjson_mut_obj(r.doc);
    yyjson_mut_doc_set_root(r.doc, r.root);

    int rc = r.root == NULL ? cli_fail_err(cli, ALK_E_NOMEM, NULL) : CLI_OK;
    for (size_t i = 0; i < args->field_count && rc == CLI_OK; i++) {
        rc = read_field(&r, &args->fields[i]);
    }
    if (rc != CLI_OK) {
        yyjson_mut_doc_free(r.doc);
        return rc;
    }
    *ret_doc = r.doc;
    return CLI_OK;
}
