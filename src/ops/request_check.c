/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What precedes an operation: the steps of ops/dispatch.h, in their order. */
#include "core/frame.h"
#include "ops/input.h"
#include "ops/request.h"

#include <stdio.h>

static const char *parse_input(struct alk_request *r, struct alk_refusal *ret)
{
    if (r->is_too_large) {
        return ALK_OPS_TOO_LARGE;
    }
    struct yyjson_alc alc = alk_request_alc(r);
    alk_err err = r->is_scanned ? alk_json_parse_scanned(r->input, &alc, &r->doc)
                                : alk_json_parse_in(r->input, &alc, &r->doc);
    if (err == ALK_OK) {
        return NULL;
    }
    if (err == ALK_E_NOMEM) {
        return ALK_OPS_EXHAUSTED;
    }
    ret->message = err == ALK_E_TOO_BIG ? "the input is too deep or has too many values"
                                        : "the input is not strict JSON";
    return ALK_OPS_INVALID_INPUT;
}

static void put_report(struct alk_out *out, const struct alk_schema_report *report)
{
    alk_out_object(out);
    alk_out_key(out, "errors");
    alk_out_array(out);
    for (size_t i = 0; i < report->count; i++) {
        alk_out_object(out);
        alk_out_key(out, "at");
        alk_out_text(out, report->errors[i].at);
        alk_out_key(out, "rule");
        alk_out_text(out, report->errors[i].rule);
        alk_out_key(out, "what");
        alk_out_text(out, report->errors[i].what);
        alk_out_end(out);
    }
    alk_out_end(out);
    alk_out_end(out);
}

/* The report is large: not on the stack of those whose input fits. */
static __attribute__((noinline)) const char *
report_input(struct alk_request *r, const struct alk_schema *schema, struct alk_refusal *ret)
{
    struct alk_schema_report report = {.count = 0};
    alk_err err = alk_schema_check(schema, yyjson_doc_get_root(r->doc), &report);

    if (err == ALK_E_NOMEM) {
        return ALK_OPS_EXHAUSTED;
    }
    if (err == ALK_E_LIMIT) {
        ret->message = "checking the input takes too long";
        return ALK_OPS_INVALID_INPUT;
    }
    put_report(&r->out, &report);
    if (report.count > 0) {
        (void)snprintf(ret->text, sizeof ret->text, "the input does not fit: %s%s%s",
                       report.errors[0].at, report.errors[0].at[0] == '\0' ? "" : " ",
                       report.errors[0].what);
        ret->message = ret->text;
    }
    return ALK_OPS_INVALID_INPUT;
}

static bool fits_as_text(struct alk_request *r)
{
    const struct alk_schema *schema = r->pick.provider->copy->input;

    if (!alk_request_takes_text(r) || schema == NULL) {
        return false;
    }
    struct alk_schema_parts *parts =
        (struct alk_schema_parts *)alk_request_alloc(r, sizeof(*parts));
    if (parts == NULL || !alk_schema_fits_text(schema, r->input, parts)) {
        return false;
    }
    r->parts = parts;
    return true;
}

static const char *check_input(struct alk_request *r, struct alk_refusal *ret)
{
    const struct alk_schema *schema = r->pick.provider->copy->input;

    if (!r->is_too_large && fits_as_text(r)) {
        return NULL;
    }
    const char *code = parse_input(r, ret);
    if (code != NULL || schema == NULL ||
        alk_schema_check(schema, yyjson_doc_get_root(r->doc), NULL) == ALK_OK) {
        return code;
    }
    return report_input(r, schema, ret);
}

static const char *check_resource(const struct alk_request *r)
{
    const struct alk_op_access *a = &r->op->access;

    if (a->resource_type == NULL) {
        return NULL;
    }
    struct yyjson_val *name = alk_input_find(yyjson_doc_get_root(r->doc), a->resource_member);
    if (!yyjson_is_str(name)) {
        return ALK_OPS_FORBIDDEN;
    }
    bool may = alk_rights_may(&r->rights, alk_span_str(a->resource_type),
                              alk_span(yyjson_get_str(name), yyjson_get_len(name)),
                              alk_span_str(a->resource_action), (struct alk_span){NULL, 0});
    return may ? NULL : ALK_OPS_FORBIDDEN;
}

static const char *check_batched(const struct alk_request *r, struct alk_refusal *ret)
{
    if (!r->is_batched) {
        return NULL;
    }
    if (r->op->kind == ALK_OP_SUBSCRIPTION) {
        ret->message = "a batch carries no subscriptions";
        return ALK_OPS_INVALID_INPUT;
    }
    if (strcmp(r->op->name, "call/batch") == 0) {
        ret->message = "a batch carries no batch";
        return ALK_OPS_INVALID_INPUT;
    }
    return NULL;
}

const char *alk_request_check(struct alk_request *r, struct alk_refusal *ret)
{
    const char *code = alk_access_check(r->op, r->may_see_internal, &r->rights);

    if (code == NULL) {
        code = check_batched(r, ret);
    }
    if (code == NULL) {
        code = check_input(r, ret);
    }
    if (code == NULL) {
        code = check_resource(r);
    }
    if (code == NULL && r->pick.is_ghost) {
        ret->message = "no worker offers it now";
        code = ALK_OPS_UNAVAILABLE;
    }
    return code;
}

bool alk_request_is_allowed(const struct alk_request *r)
{
    return alk_access_check(r->op, r->may_see_internal, &r->rights) == NULL &&
           check_resource(r) == NULL;
}
