/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/op_copy.h"

#include "base/mem.h"
#include "core/auth/scope.h"
#include "core/frame.h"

#include <stdio.h>

/* --- what is right ------------------------------------------------------------ */

bool alk_op_name_is_valid(struct alk_span name)
{
    unsigned segments = 1;
    size_t n = 0; /* bytes of this segment */

    if (name.n == 0 || name.n > ALK_OP_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (c == '/') {
            if (n == 0) {
                return false;
            }
            segments++;
            n = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-') {
            n++;
        } else {
            return false;
        }
    }
    return n > 0 && segments >= 2 && segments <= 4;
}

bool alk_op_code_is_valid(struct alk_span code)
{
    if (code.n == 0 || code.n > ALK_OP_CODE_MAX || code.p[0] < 'A' || code.p[0] > 'Z') {
        return false;
    }
    for (size_t i = 1; i < code.n; i++) {
        uint8_t c = code.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) {
            return false;
        }
    }
    return true;
}

/* Sentence into why; always ALK_E_INVALID. */
static alk_err wrong(char *why, size_t why_size, const char *what, const char *value)
{
    if (why != NULL && why_size > 0) {
        (void)snprintf(why, why_size, "%s%s%s%s", what, value[0] == '\0' ? "" : ": \"", value,
                       value[0] == '\0' ? "" : "\"");
    }
    return ALK_E_INVALID;
}

static size_t list_len(const char *const *list)
{
    size_t n = 0;
    while (list != NULL && n <= ALK_OP_LIST_MAX && list[n] != NULL) {
        n++;
    }
    return n;
}

static size_t errors_len(const struct alk_op_error *errors)
{
    size_t n = 0;
    while (errors != NULL && n <= ALK_OP_LIST_MAX && errors[n].code != NULL) {
        n++;
    }
    return n;
}

static alk_err check_scopes(const char *const *scopes, char *why, size_t why_size)
{
    size_t n = list_len(scopes);
    if (n > ALK_OP_LIST_MAX) {
        return wrong(why, why_size, "too many scopes", "");
    }
    for (size_t i = 0; i < n; i++) {
        if (!alk_scope_is_valid(alk_span_str(scopes[i]))) {
            return wrong(why, why_size, "not a scope", scopes[i]);
        }
    }
    return ALK_OK;
}

static alk_err check_access(const struct alk_op *op, char *why, size_t why_size)
{
    const struct alk_op_access *a = &op->access;
    bool has_rule = a->resource_type != NULL;

    ALK_TRY(check_scopes(a->all_scopes, why, why_size));
    ALK_TRY(check_scopes(a->any_scopes, why, why_size));
    if (has_rule != (a->resource_action != NULL) || has_rule != (a->resource_member != NULL)) {
        return wrong(why, why_size, "a resource rule needs type, action and member", "");
    }
    bool has_scopes = list_len(a->all_scopes) > 0 || list_len(a->any_scopes) > 0;
    if ((op->flags & ALK_OP_PUBLIC) != 0 && (has_scopes || has_rule)) {
        return wrong(why, why_size, "a public operation cannot ask for scopes or resources", "");
    }
    return ALK_OK;
}

static alk_err check_lists(const struct alk_op *op, char *why, size_t why_size)
{
    size_t n = list_len(op->calls);
    if (n > ALK_OP_LIST_MAX) {
        return wrong(why, why_size, "too many calls", "");
    }
    for (size_t i = 0; i < n; i++) {
        if (!alk_op_name_is_valid(alk_span_str(op->calls[i]))) {
            return wrong(why, why_size, "not the name of an operation", op->calls[i]);
        }
    }
    n = errors_len(op->errors);
    if (n > ALK_OP_LIST_MAX) {
        return wrong(why, why_size, "too many errors", "");
    }
    for (size_t i = 0; i < n; i++) {
        if (!alk_op_code_is_valid(alk_span_str(op->errors[i].code))) {
            return wrong(why, why_size, "not an error code", op->errors[i].code);
        }
    }
    return ALK_OK;
}

static alk_err check_op(const struct alk_op *op, char *why, size_t why_size)
{
    if (op->name == NULL || !alk_op_name_is_valid(alk_span_str(op->name))) {
        return wrong(why, why_size, "not the name of an operation",
                     op->name == NULL ? "" : op->name);
    }
    if (op->fn == NULL) {
        return wrong(why, why_size, "an operation needs a function", "");
    }
    if ((unsigned)op->kind > ALK_OP_SUBSCRIPTION) {
        return wrong(why, why_size, "no such kind of operation", "");
    }
    ALK_TRY(check_access(op, why, why_size));
    return check_lists(op, why, why_size);
}

/* --- one block ---------------------------------------------------------------- */

/* A pen that only counts while p is NULL. */
struct pen {
    uint8_t *p;
    size_t n;
};

static void *put(struct pen *w, const void *src, size_t n, size_t align)
{
    w->n = (w->n + align - 1) / align * align;
    uint8_t *at = w->p == NULL ? NULL : w->p + w->n;
    if (at != NULL && n > 0) {
        memcpy(at, src, n);
    }
    w->n += n;
    return at;
}

static const char *put_text(struct pen *w, const char *text)
{
    return text == NULL ? NULL : (const char *)put(w, text, strlen(text) + 1, 1);
}

static const char *const *put_list(struct pen *w, const char *const *list)
{
    size_t n = list_len(list);
    if (n == 0) {
        return NULL;
    }
    const char **at = (const char **)put(w, list, (n + 1) * sizeof *list, sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        const char *text = put_text(w, list[i]);
        if (at != NULL) {
            at[i] = text;
        }
    }
    return at;
}

static const struct alk_op_error *put_errors(struct pen *w, const struct alk_op_error *errors)
{
    size_t n = errors_len(errors);
    if (n == 0) {
        return NULL;
    }
    struct alk_op_error *at = put(w, errors, (n + 1) * sizeof *errors, sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        struct alk_op_error e = {put_text(w, errors[i].code), put_text(w, errors[i].summary),
                                 put_text(w, errors[i].details)};
        if (at != NULL) {
            at[i] = e;
        }
    }
    return at;
}

static struct alk_op put_op(struct pen *w, const struct alk_op *op)
{
    struct alk_op to = *op;
    to.struct_size = sizeof to;
    to.calls = put_list(w, op->calls); /* what needs alignment first */
    to.access.all_scopes = put_list(w, op->access.all_scopes);
    to.access.any_scopes = put_list(w, op->access.any_scopes);
    to.errors = put_errors(w, op->errors);
    to.name = put_text(w, op->name);
    to.summary = put_text(w, op->summary == NULL ? "" : op->summary);
    to.help = put_text(w, op->help);
    to.input = put_text(w, op->input);
    to.output = put_text(w, op->output);
    to.access.resource_type = put_text(w, op->access.resource_type);
    to.access.resource_action = put_text(w, op->access.resource_action);
    to.access.resource_member = put_text(w, op->access.resource_member);
    return to;
}

/* --- schemas ------------------------------------------------------------------ */

/* text NULL: *ret stays. The sentence of the compiler gets `what` before it. */
static alk_err compile(const struct alk_mem *mem, const char *text, const char *what, char *why,
                       size_t why_size, struct alk_schema **ret)
{
    struct alk_schema_options options = {.mem = mem};
    char sentence[256] = "";

    if (text == NULL) {
        return ALK_OK;
    }
    alk_err err = alk_schema_compile(&options, alk_span_str(text), sentence, sizeof sentence, ret);
    if (err == ALK_OK || err == ALK_E_NOMEM) {
        return err;
    }
    if (why != NULL && why_size > 0) {
        (void)snprintf(why, why_size, "%s schema: %s", what,
                       sentence[0] != '\0' ? sentence : alk_err_text(err));
    }
    return ALK_E_INVALID;
}

/* Compiled only to see whether it is a schema. */
static alk_err check_schema(const struct alk_mem *mem, const char *text, const char *what,
                            char *why, size_t why_size)
{
    struct alk_schema *schema = NULL;
    alk_err err = compile(mem, text, what, why, why_size, &schema);
    alk_schema_free(schema);
    return err;
}

static alk_err compile_outputs(struct alk_op_copy *c, char *why, size_t why_size)
{
    const struct alk_op_error *errors = c->op.errors;
    size_t n = errors_len(errors);

    ALK_TRY(compile(c->mem, c->op.output, "output", why, why_size, &c->output));
    if (n == 0) {
        return ALK_OK;
    }
    c->details = (struct alk_schema **)alk_zalloc(c->mem, n, sizeof *c->details);
    if (c->details == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        ALK_TRY(compile(c->mem, errors[i].details, errors[i].code, why, why_size, &c->details[i]));
    }
    return ALK_OK;
}

static alk_err compile_all(struct alk_op_copy *c, bool with_outputs, char *why, size_t why_size)
{
    ALK_TRY(compile(c->mem, c->op.input, "input", why, why_size, &c->input));
    if (with_outputs) {
        return compile_outputs(c, why, why_size);
    }
    ALK_TRY(check_schema(c->mem, c->op.output, "output", why, why_size));
    for (size_t i = 0; i < errors_len(c->op.errors); i++) {
        ALK_TRY(check_schema(c->mem, c->op.errors[i].details, c->op.errors[i].code, why, why_size));
    }
    return ALK_OK;
}

alk_err alk_op_copy_new(const struct alk_mem *mem, const struct alk_op *op, bool with_outputs,
                        char *why, size_t why_size, struct alk_op_copy **ret)
{
    struct alk_op from = {.struct_size = 0};
    size_t known = op->struct_size < sizeof from ? op->struct_size : sizeof from;

    if (op->struct_size < offsetof(struct alk_op, release)) {
        return wrong(why, why_size, "struct_size is not set", "");
    }
    memcpy(&from, op, known);
    ALK_TRY(check_op(&from, why, why_size));

    struct pen w = {.n = sizeof(struct alk_op_copy)};
    (void)put_op(&w, &from);
    struct alk_op_copy *c = alk_alloc(mem, w.n);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    w = (struct pen){.p = (uint8_t *)c, .n = sizeof *c};
    *c = (struct alk_op_copy){.mem = mem};
    c->op = put_op(&w, &from);
    if (c->op.authority != NULL) {
        c->op.authority = alk_identity_ref(c->op.authority);
    }
    alk_err err = compile_all(c, with_outputs, why, why_size);
    if (err != ALK_OK) {
        alk_op_copy_free(c);
        return err;
    }
    *ret = c;
    return ALK_OK;
}

void alk_op_copy_free(struct alk_op_copy *copy)
{
    if (copy == NULL) {
        return;
    }
    alk_schema_free(copy->input);
    alk_schema_free(copy->output);
    for (size_t i = 0; copy->details != NULL && i < errors_len(copy->op.errors); i++) {
        alk_schema_free(copy->details[i]);
    }
    alk_free(copy->mem, copy->details);
    alk_identity_unref(copy->op.authority);
    alk_free(copy->mem, copy);
}

/* --- equality ----------------------------------------------------------------- */

/* Absent is as "{}": both take anything. */
static alk_err schemas_equal(const char *a, const char *b)
{
    struct yyjson_doc *x = NULL;
    struct yyjson_doc *y = NULL;

    a = a == NULL ? "{}" : a;
    b = b == NULL ? "{}" : b;
    if (strcmp(a, b) == 0) {
        return ALK_OK;
    }
    alk_err err = alk_json_parse(alk_span_str(a), &x);
    if (err == ALK_OK) {
        err = alk_json_parse(alk_span_str(b), &y);
    }
    if (err == ALK_OK && !yyjson_equals(yyjson_doc_get_root(x), yyjson_doc_get_root(y))) {
        err = ALK_E_EXISTS;
    }
    yyjson_doc_free(x);
    yyjson_doc_free(y);
    return err == ALK_OK || err == ALK_E_NOMEM ? err : ALK_E_EXISTS;
}

static const struct alk_op_error *find_error(const struct alk_op_error *errors, const char *code)
{
    for (; errors != NULL && errors->code != NULL; errors++) {
        if (strcmp(errors->code, code) == 0) {
            return errors;
        }
    }
    return NULL;
}

/* The order of a table means nothing. */
static alk_err errors_within(const struct alk_op_error *a, const struct alk_op_error *b)
{
    for (; a != NULL && a->code != NULL; a++) {
        const struct alk_op_error *other = find_error(b, a->code);
        if (other == NULL) {
            return ALK_E_EXISTS;
        }
        ALK_TRY(schemas_equal(a->details, other->details));
    }
    return ALK_OK;
}

alk_err alk_op_copy_equal(const struct alk_op *a, const struct alk_op *b)
{
    if (a->kind != b->kind) {
        return ALK_E_EXISTS;
    }
    ALK_TRY(schemas_equal(a->input, b->input));
    ALK_TRY(schemas_equal(a->output, b->output));
    ALK_TRY(errors_within(a->errors, b->errors));
    return errors_within(b->errors, a->errors);
}
