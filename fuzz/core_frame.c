/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Frames as a peer may send them, cut out of a byte stream; what parses is
 * written again and must parse to the same. */
#include "core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct alk_frame *f)
{
    const char *name = alk_frame_type_name(f->type);
    struct alk_buf b;
    struct alk_span body;
    size_t used;
    alk_buf_init(&b, NULL, 4 * ALK_FRAME_MAX);
    if (name != NULL && alk_frame_put(&b, f->type, f->id, NULL, ALK_FRAME_MAX) == ALK_OK) {
        struct alk_frame again;
        if (alk_frame_cut(alk_buf_span(&b), ALK_FRAME_MAX, &body, &used) != ALK_OK ||
            used != alk_buf_len(&b) || alk_frame_parse(body, &again) != ALK_OK ||
            again.type != f->type ||
            !alk_span_equal(alk_span_str(again.id), alk_span_str(f->id))) {
            __builtin_trap();
        }
        alk_frame_fini(&again);
    }
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    struct alk_span body;
    size_t used;
    while (alk_frame_cut(in, ALK_FRAME_MAX_UNKNOWN, &body, &used) == ALK_OK) {
        struct alk_frame f;
        if (used != body.n + 4 || body.n > ALK_FRAME_MAX_UNKNOWN) {
            __builtin_trap();
        }
        if (alk_frame_parse(body, &f) == ALK_OK) {
            check_again(&f);
        }
        alk_frame_fini(&f);
        in = alk_span_tail(in, used);
    }
    struct alk_frame f; /* and as a bare text, so that mutations need no length */
    if (alk_frame_parse(alk_span(data, size), &f) == ALK_OK) {
        check_again(&f);
    }
    alk_frame_fini(&f);
    return 0;
}
