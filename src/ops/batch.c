/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/batch: many calls in one. They begin in their order and run side by side;
 * each is a request of its own with the very rights of the batch, so that nobody
 * gets through a batch what he would not get alone. Rights that change meanwhile change
 * for each of them: what a revoked caller was answered already stays an answer, and the
 * rest is UNAUTHENTICATED. Answers keep the order. */
#include "base/json_scan.h"
#include "base/mem.h"
#include "core/frame.h"
#include "ops/input.h"
#include "ops/request.h"
#include "ops/std.h"

/* Bytes of all answers: the output's limit, less what surrounds each. */
#define ROOM (ALK_OPS_INPUT_MAX - 256 - (size_t)ALK_BATCH_MAX * 256)

/* Arrays and objects around each answer; values of an error, and of the frame with all that
 * is around answers. */
#define DEPTH         (ALK_FRAME_DEPTH + 2)
#define ERROR_VALUES  8
#define AROUND_VALUES (ALK_FRAME_VALUES + 8)

struct item {
    struct batch *batch;
    struct alk_request *request; /* NULL: answered, or not begun */
    char *text;                  /* owns: {"output":...} or {"error":...} */
    size_t n;
};

struct batch {
    struct alk_request *request;
    const struct alk_mem *mem;
    size_t room;     /* bytes that answers may still take */
    uint32_t values; /* that they may still have */
    size_t count, waiting;
    struct item items[];
};

static void batch_free(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].request != NULL) {
            alk_request_cancel(b->items[i].request);
        }
        alk_free(b->mem, b->items[i].text);
    }
    alk_free(b->mem, b);
}

static void finish(struct batch *b)
{
    struct alk_request *r = b->request;
    struct alk_out *out = alk_request_out(r);

    alk_out_object(out);
    alk_out_key(out, "answers");
    alk_out_array(out);
    for (size_t i = 0; i < b->count; i++) {
        alk_out_json(out, alk_span(b->items[i].text, b->items[i].n));
    }
    alk_out_end(out);
    alk_out_end(out);
    batch_free(b);
    (void)alk_request_respond(r);
}

/* --- one answer --------------------------------------------------------------- */

static void put_error(struct alk_out *out, const struct alk_outcome *o)
{
    alk_out_object(out);
    alk_out_key(out, "error");
    alk_out_object(out);
    alk_out_key(out, "code");
    alk_out_text(out, o->code);
    alk_out_key(out, "message");
    alk_out_text(out, o->message);
    alk_out_key(out, "retryable");
    alk_out_bool(out, o->is_retryable);
    if (o->details.n > 0) {
        alk_out_key(out, "details");
        alk_out_json(out, o->details);
    }
    alk_out_end(out);
    alk_out_end(out);
}

static void put_output(struct alk_out *out, struct alk_span output)
{
    alk_out_object(out);
    alk_out_key(out, "output");
    alk_out_json(out, output);
    alk_out_end(out);
}

/* o NULL: an output. False: no room, or no memory. */
static bool keep(struct item *item, struct alk_span output, const struct alk_outcome *o)
{
    struct batch *b = item->batch;
    struct alk_out out;
    struct alk_span text = {NULL, 0};

    alk_out_init(&out, b->mem, b->room);
    if (o == NULL) {
        put_output(&out, output);
    } else {
        put_error(&out, o);
    }
    bool is_kept = alk_out_done(&out, &text) == ALK_OK &&
                   alk_json_scan_within(text, DEPTH, &b->values) == ALK_OK;
    if (is_kept) {
        item->text = alk_strdup_span(b->mem, text);
        item->n = text.n;
        is_kept = item->text != NULL;
    }
    if (is_kept) {
        b->room -= text.n;
    }
    alk_out_fini(&out);
    return is_kept;
}

/* Short, so that it fits in what is set aside for each answer. */
static bool keep_code(struct item *item, const char *code)
{
    struct alk_outcome o = {.code = code,
                            .message = alk_ops_code_text(code),
                            .is_retryable = alk_ops_code_is_retryable(code)};
    uint32_t values = item->batch->values;

    item->batch->room += 256;
    item->batch->values = ERROR_VALUES;
    bool is_kept = keep(item, (struct alk_span){NULL, 0}, &o);
    item->batch->room -= is_kept ? 256 - item->n : 256;
    item->batch->values = values;
    return is_kept;
}

static void item_done(struct item *item, struct alk_span output, const struct alk_outcome *o)
{
    struct batch *b = item->batch;

    item->request = NULL;
    if (!keep(item, output, o) && !keep_code(item, ALK_OPS_TOO_LARGE)) {
        struct alk_request *r = b->request;
        batch_free(b);
        alk_request_fail_err(r, ALK_E_NOMEM, NULL);
        return;
    }
    b->waiting--;
    if (b->waiting == 0) {
        finish(b);
    }
}

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    (void)r;
    ALK_ASSERT(is_last); /* subscriptions are refused before they begin */
    item_done(ctx, output, NULL);
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *outcome)
{
    (void)r;
    item_done(ctx, (struct alk_span){NULL, 0}, outcome);
}

static const struct alk_face item_face = {on_responded, on_ended};

/* --- the batch ---------------------------------------------------------------- */

static void on_cancelled(void *ctx, struct alk_request *r)
{
    batch_free(ctx);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static const struct alk_request_calls batch_calls = {.cancelled = on_cancelled};

bool alk_batch_set_caller(const struct alk_request *r, const struct alk_identity *caller)
{
    if (r->calls != &batch_calls || r->is_over || r->is_cancelled) {
        return false;
    }
    const struct batch *b = r->calls_ctx;
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].request != NULL) {
            alk_request_set_caller(b->items[i].request, caller);
        }
    }
    return true;
}

static alk_err start_item(struct batch *b, struct item *item, struct yyjson_val *call)
{
    struct alk_request *r = b->request;
    struct yyjson_val *op = yyjson_obj_get(call, "operationId");
    struct yyjson_val *input = yyjson_obj_get(call, "input");
    struct alk_span name = alk_span(yyjson_get_str(op), yyjson_get_len(op));
    size_t n = 0;
    char *text = NULL;

    if (input != NULL) {
        text = yyjson_val_write(input, YYJSON_WRITE_NOFLAG, &n);
        if (text == NULL) {
            return ALK_E_NOMEM;
        }
    }
    struct alk_start_spec spec = {
        .loop = r->loop,
        /* As on the wire; without its slash it is no name at all. */
        .op = name.n > 0 && name.p[0] == '/' ? alk_span_tail(name, 1) : alk_span(NULL, 0),
        .input = alk_span(text, n),
        .caller = r->caller,
        .auth = r->auth,
        .timeout_ms = yyjson_get_uint(yyjson_obj_get(call, "timeout_ms")),
        .traceparent = r->traceparent,
        .depth = r->depth,
    };
    struct alk_inner_spec inner = {.parent = r, .is_batched = true, .deadline = r->deadline};
    alk_err err = alk_request_new(r->ops, &spec, &inner, &item_face, item, &item->request);
    free(text);
    return err;
}

static void batch(void *ctx, struct alk_request *r)
{
    struct yyjson_val *list = alk_input_find(alk_request_value(r), "calls");
    size_t count = yyjson_arr_size(list);
    struct batch *b = alk_zalloc(r->ops->mem, 1, sizeof *b + count * sizeof b->items[0]);
    (void)ctx;

    if (b == NULL) {
        alk_request_fail_err(r, ALK_E_NOMEM, NULL);
        return;
    }
    *b = (struct batch){.request = r, .mem = r->ops->mem, .room = ROOM, .count = count};
    b->waiting = count;
    b->values = ALK_JSON_SCAN_VALUES_MAX - AROUND_VALUES - (uint32_t)count * ERROR_VALUES;
    for (size_t i = 0; i < count; i++) {
        b->items[i].batch = b;
        alk_err err = start_item(b, &b->items[i], yyjson_arr_get(list, i));
        if (err != ALK_OK) {
            batch_free(b); /* those that have been started have not begun */
            alk_request_fail_err(r, err, NULL);
            return;
        }
    }
    if (count == 0) {
        finish(b);
        return;
    }
    alk_request_on(r, &batch_calls, b);
}

const struct alk_op alk_batch_op = {
    .struct_size = sizeof alk_batch_op,
    .name = "call/batch",
    .summary = "makes up to 100 calls at once",
    .help = "The calls begin in their order and run side by side, each with an access check of "
            "its own. The answers come in the same order, each {\"output\"} or {\"error\"}. "
            "Subscriptions and batches are refused inside a batch. What all answers together "
            "exceed in size is answered TOO_LARGE.",
    .kind = ALK_OP_MUTATION,
    .flags = ALK_OP_PUBLIC,
    .fn = batch,
    .input = "{\"type\":\"object\",\"required\":[\"calls\"],\"properties\":{\"calls\":"
             "{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":\"object\",\"required\":"
             "[\"operationId\"],\"properties\":{\"operationId\":{\"type\":\"string\",\"pattern\":"
             "\"^/\",\"maxLength\":129},\"input\":{},\"timeout_ms\":{\"type\":\"integer\","
             "\"minimum\":0}},\"additionalProperties\":false}}},\"additionalProperties\":false}",
    .output = "{\"type\":\"object\",\"required\":[\"answers\"],\"properties\":{\"answers\":"
              "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"minProperties\":1,"
              "\"maxProperties\":1,\"properties\":{\"output\":{},\"error\":{\"type\":\"object\","
              "\"required\":[\"code\",\"message\",\"retryable\"]}}}}}}",
};
