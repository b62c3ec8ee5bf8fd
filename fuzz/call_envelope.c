/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One frame body; what is read of it is held against yyjson. */
#include "base/buf.h"
#include "call/proto/envelope.h"
#include "call/proto/write.h"

#include <stdlib.h>
#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static struct alk_span text_of(yyjson_val *v)
{
    return alk_span(yyjson_get_str(v), yyjson_get_len(v));
}

/* What was accepted reads the same in yyjson. */
static void same(struct alk_span body, const struct alk_call_envelope *e)
{
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)body.p, body.n, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    must(doc != NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *id = yyjson_obj_get(root, "id");
    yyjson_val *payload = yyjson_obj_get(root, "payload");
    must(yyjson_is_obj(root) && yyjson_obj_size(root) <= ALK_CALL_MEMBERS_MAX);
    if (e->id.n > 0) {
        must(yyjson_is_str(id) && alk_span_equal(text_of(id), e->id));
    } else {
        must(!yyjson_is_str(id) || !alk_call_id_is_valid(text_of(id)));
    }
    must(e->has_payload == yyjson_is_obj(payload));
    must(!e->has_payload || e->count == yyjson_obj_size(payload));
    static const char *const names[] = {
#define X(name, text) text,
        ALK_CALL_NAMES(X)
#undef X
    };
    for (unsigned i = 0; i < ALK_CALL_NAME_COUNT; i++) {
        struct alk_span v = alk_call_envelope_get(e, (enum alk_call_name)i);
        must((v.n > 0) == (yyjson_obj_get(payload, names[i]) != NULL));
        must(v.n == 0 || alk_json_scan_check(v) == ALK_OK);
    }
    yyjson_doc_free(doc);
}

/* Any bytes as texts of a frame of ours: it is one that is read. */
static void write_and_read(struct alk_span in)
{
    struct alk_buf b;
    struct alk_call_envelope e;
    struct alk_call_ask ask = {.op = in, .auth_token = in, .traceparent = in, .timeout_ms = in.n};
    alk_buf_init(&b, NULL, 3 * 6 * in.n + 500);
    must(alk_call_put_requested(&b, ALK_LIT("\"\\~"), &ask, SIZE_MAX) == ALK_OK);
    must(alk_call_envelope_read(alk_span_tail(alk_buf_span(&b), 4), &e) == ALK_OK);
    must(alk_span_is(e.id, "\"\\~") && e.type == ALK_CALL_TYPE_REQUESTED);
    alk_buf_clear(&b);
    must(alk_call_put_error(&b, ALK_LIT("1"), "X", in, false, ALK_LIT("[]"), SIZE_MAX) == ALK_OK);
    must(alk_call_envelope_read(alk_span_tail(alk_buf_span(&b), 4), &e) == ALK_OK);
    must(alk_span_is(alk_call_envelope_get(&e, ALK_CALL_NAME_DETAILS), "[]"));
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_call_envelope e;
    struct alk_span in = alk_span(data, size);
    if (alk_call_envelope_read(in, &e) == ALK_OK) {
        same(in, &e);
    }
    write_and_read(in);
    return 0;
}
