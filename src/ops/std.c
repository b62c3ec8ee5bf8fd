/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* services/list and services/schema: what there is, told to those who may call it. */
#include "ops/std.h"

#include "core/frame.h"
#include "ops/input.h"
#include "ops/request.h"

#include <stdio.h>

static const char *kind_name(enum alk_op_kind kind)
{
    switch (kind) {
    case ALK_OP_QUERY:
        return "query";
    case ALK_OP_MUTATION:
        return "mutation";
    case ALK_OP_SUBSCRIPTION:
        break;
    }
    return "subscription";
}

/* --- services/list ------------------------------------------------------------ */

/* Of a summary in the list; services/schema has it whole. */
#define SUMMARY_MAX 400
/* One entry, with each byte of its summary escaped, and the end of the answer. */
#define ENTRY_MAX   ((size_t)4 << 10)
#define PAGE_MAX    1000 /* entries: 13 values each, of the 65 536 that a frame may hold */

struct page {
    struct alk_out *out;
    uint64_t left;    /* entries */
    size_t bytes_max; /* of the answer before the last entry */
    char last[ALK_OP_NAME_MAX + 1];
    bool has_more;
};

/* Of a worker's: whose it is, and how many share it. */
static void put_source(struct alk_out *out, const struct alk_op_info *info)
{
    if (info->source[0] != '\0') {
        alk_out_key(out, "source");
        alk_out_text(out, info->source);
        alk_out_key(out, "providers");
        alk_out_u64(out, info->providers);
    }
}

/* At most max bytes, and no half of a character. */
static struct alk_span cut_text(struct alk_span text, size_t max)
{
    size_t n = text.n < max ? text.n : max;
    while (n > 0 && n < text.n && (text.p[n] & 0xc0) == 0x80) {
        n--;
    }
    return alk_span_head(text, n);
}

static bool put_entry(void *ctx, const struct alk_op_info *info)
{
    struct page *page = ctx;
    struct alk_out *out = page->out;

    page->has_more = page->left == 0 || alk_buf_len(&out->buf) > page->bytes_max;
    if (page->has_more) {
        return false;
    }
    page->left--;
    (void)snprintf(page->last, sizeof page->last, "%s", info->op->name);
    alk_out_object(out);
    alk_out_key(out, "name");
    alk_out_text(out, info->op->name);
    alk_out_key(out, "kind");
    alk_out_text(out, kind_name(info->op->kind));
    alk_out_key(out, "summary");
    alk_out_span(out, cut_text(alk_span_str(info->op->summary), SUMMARY_MAX));
    if ((info->op->flags & ALK_OP_PUBLIC) != 0) {
        alk_out_key(out, "public");
        alk_out_bool(out, true);
    }
    put_source(out, info);
    alk_out_end(out);
    return true;
}

static void list(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    size_t frame = r->rights.who == NULL ? ALK_FRAME_MAX_UNKNOWN : ALK_FRAME_MAX;
    struct page page = {
        .out = out, .left = alk_input_u64(r, "limit", PAGE_MAX), .bytes_max = frame - ENTRY_MAX};
    (void)ctx;

    alk_out_object(out);
    alk_out_key(out, "operations");
    alk_out_array(out);
    alk_err err = alk_ops_each(r->ops, r->rights.who, alk_input_text(r, "prefix", ""),
                               alk_input_text(r, "cursor", ""), put_entry, &page);
    if (err != ALK_OK) {
        alk_out_clear(out);
        alk_request_fail_err(r, err, NULL);
        return;
    }
    alk_out_end(out);
    if (page.has_more) {
        alk_out_key(out, "next");
        alk_out_text(out, page.last);
    }
    alk_out_end(out);
    (void)alk_request_respond(r);
}

/* --- services/schema ---------------------------------------------------------- */

/* The schema as one line: what was registered may be indented. */
static void put_schema(struct alk_out *out, const char *key, const char *text)
{
    struct yyjson_doc *doc = NULL;
    size_t n = 0;

    if (text == NULL) {
        return;
    }
    alk_out_key(out, key);
    char *line = NULL;
    if (alk_json_parse(alk_span_str(text), &doc) == ALK_OK) {
        line = yyjson_write(doc, YYJSON_WRITE_NOFLAG, &n);
    }
    alk_out_json(out, line == NULL ? alk_span_str(text) : alk_span(line, n));
    free(line);
    yyjson_doc_free(doc);
}

static void put_names(struct alk_out *out, const char *key, const char *const *names)
{
    if (names == NULL) {
        return;
    }
    alk_out_key(out, key);
    alk_out_array(out);
    for (; *names != NULL; names++) {
        alk_out_text(out, *names);
    }
    alk_out_end(out);
}

static void put_errors(struct alk_out *out, const struct alk_op_error *e)
{
    if (e == NULL) {
        return;
    }
    alk_out_key(out, "errors");
    alk_out_array(out);
    for (; e->code != NULL; e++) {
        alk_out_object(out);
        alk_out_key(out, "code");
        alk_out_text(out, e->code);
        if (e->summary != NULL) {
            alk_out_key(out, "summary");
            alk_out_text(out, e->summary);
        }
        put_schema(out, "details", e->details);
        alk_out_end(out);
    }
    alk_out_end(out);
}

/* Whoever sees this may call it: he holds these scopes himself. */
static void put_access(struct alk_out *out, const struct alk_op *op)
{
    alk_out_key(out, "access");
    alk_out_object(out);
    alk_out_key(out, "public");
    alk_out_bool(out, (op->flags & ALK_OP_PUBLIC) != 0);
    put_names(out, "scopes", op->access.all_scopes);
    put_names(out, "any_scope", op->access.any_scopes);
    if (op->access.resource_type != NULL) {
        alk_out_key(out, "resource");
        alk_out_object(out);
        alk_out_key(out, "type");
        alk_out_text(out, op->access.resource_type);
        alk_out_key(out, "action");
        alk_out_text(out, op->access.resource_action);
        alk_out_key(out, "member");
        alk_out_text(out, op->access.resource_member);
        alk_out_end(out);
    }
    alk_out_end(out);
}

static void put_page(void *ctx, const struct alk_op_info *info)
{
    struct alk_out *out = ctx;
    const struct alk_op *op = info->op;

    alk_out_object(out);
    alk_out_key(out, "name");
    alk_out_text(out, op->name);
    alk_out_key(out, "kind");
    alk_out_text(out, kind_name(op->kind));
    alk_out_key(out, "summary");
    alk_out_text(out, op->summary);
    if (op->help != NULL) {
        alk_out_key(out, "help");
        alk_out_text(out, op->help);
    }
    put_schema(out, "input", op->input);
    put_schema(out, "output", op->output);
    put_errors(out, op->errors);
    put_access(out, op);
    put_names(out, "calls", op->calls);
    if (op->timeout_ms > 0) {
        alk_out_key(out, "timeout_ms");
        alk_out_u64(out, op->timeout_ms);
    }
    put_source(out, info);
    alk_out_end(out);
}

static void schema(void *ctx, struct alk_request *r)
{
    (void)ctx;
    if (!alk_ops_find(r->ops, r->rights.who, alk_input_text(r, "name", ""), put_page,
                      alk_request_out(r))) {
        alk_request_fail(r, ALK_OPS_NOT_FOUND, NULL);
        return;
    }
    (void)alk_request_respond(r);
}

/* --- registering -------------------------------------------------------------- */

static const struct alk_op ops_list = {
    .struct_size = sizeof ops_list,
    .name = "services/list",
    .summary = "lists the operations that you may call",
    .help = "In pages: as many as fit into a frame, 1000 at the most, in the order of their names. "
            "While there are more the answer has a next.",
    .kind = ALK_OP_QUERY,
    .flags = ALK_OP_PUBLIC,
    .fn = list,
    .input =
        "{\"type\":\"object\",\"properties\":{\"prefix\":{\"type\":\"string\","
        "\"maxLength\":128,\"description\":\"names that begin so\"},\"cursor\":{\"type\":"
        "\"string\",\"maxLength\":128,\"description\":\"go on after this: what next was in the "
        "answer before\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,"
        "\"description\":\"how many at the most\"}},\"additionalProperties\":false}",
    .output =
        "{\"type\":\"object\",\"required\":[\"operations\"],\"properties\":{\"next\":{\"type\":"
        "\"string\",\"description\":\"there are more: ask again with this as cursor\"},"
        "\"operations\":"
        "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"kind\","
        "\"summary\"],\"properties\":{\"name\":{\"type\":\"string\"},\"kind\":{\"enum\":"
        "[\"query\",\"mutation\",\"subscription\"]},\"summary\":{\"type\":\"string\"},"
        "\"public\":{\"type\":\"boolean\"},\"source\":{\"type\":\"string\"},"
        "\"providers\":{\"type\":\"integer\"}}}}}}",
};

static const struct alk_op ops_schema = {
    .struct_size = sizeof ops_schema,
    .name = "services/schema",
    .summary = "shows an operation: schemas, errors, who may call it",
    .kind = ALK_OP_QUERY,
    .flags = ALK_OP_PUBLIC,
    .fn = schema,
    .input = "{\"type\":\"object\",\"required\":[\"name\"],\"properties\":{\"name\":"
             "{\"type\":\"string\",\"maxLength\":128}},\"additionalProperties\":false}",
    .output = "{\"type\":\"object\",\"required\":[\"name\",\"kind\",\"summary\",\"access\"],"
              "\"properties\":{\"name\":{\"type\":\"string\"},\"kind\":{\"enum\":[\"query\","
              "\"mutation\",\"subscription\"]},\"summary\":{\"type\":\"string\"},\"help\":"
              "{\"type\":\"string\"},\"input\":{\"type\":[\"object\",\"boolean\"]},\"output\":"
              "{\"type\":[\"object\",\"boolean\"]},\"errors\":{\"type\":\"array\",\"items\":"
              "{\"type\":\"object\",\"required\":[\"code\"]}},\"access\":{\"type\":\"object\"},"
              "\"calls\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"timeout_ms\":"
              "{\"type\":\"integer\"},\"source\":{\"type\":\"string\"},\"providers\":"
              "{\"type\":\"integer\"}}}",
};

alk_err alk_ops_add_standard(struct alk_ops *ops)
{
    ALK_TRY(alk_ops_add(ops, &ops_list, NULL, NULL, 0));
    ALK_TRY(alk_ops_add(ops, &ops_schema, NULL, NULL, 0));
    return alk_ops_add(ops, &alk_batch_op, NULL, NULL, 0);
}
