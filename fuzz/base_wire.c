/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The input is a program for a reader over itself: whatever it reads is written
 * again, and must read back as the same. */
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(struct alk_span a, struct alk_span b)
{
    if (!alk_span_equal(a, b)) {
        __builtin_trap();
    }
}

/* One step: reads a field that `op` chooses and copies it. */
static void step(struct alk_rd *r, struct alk_wr *w, uint8_t op)
{
    struct alk_span s;
    switch (op % 9) {
    case 0:
        alk_wr_u8(w, alk_rd_u8(r));
        break;
    case 1:
        alk_wr_u16(w, alk_rd_u16(r));
        break;
    case 2:
        alk_wr_u24(w, alk_rd_u24(r));
        break;
    case 3:
        alk_wr_u32(w, alk_rd_u32(r));
        break;
    case 4:
        alk_wr_u64(w, alk_rd_u64(r));
        break;
    case 5:
        s = alk_rd_block8(r);
        alk_wr_block8(w, s);
        break;
    case 6:
        s = alk_rd_block16(r, 300);
        alk_wr_block16(w, s);
        break;
    case 7:
        s = alk_rd_block32(r, 300);
        alk_wr_block32(w, s);
        break;
    default:
        s = alk_rd_take(r, op);
        alk_wr_bytes(w, s);
        break;
    }
}

static void varints(struct alk_span in)
{
    struct alk_rd r = alk_rd(in);
    while (r.err == ALK_OK) {
        uint8_t memory[8];
        struct alk_wr w = alk_wr(memory, sizeof(memory));
        uint64_t v = alk_rd_varint(&r);
        alk_wr_varint(&w, v);
        struct alk_rd back = alk_rd(alk_wr_span(&w));
        if (w.err != ALK_OK || alk_rd_varint(&back) != v || alk_rd_left(&back) != 0) {
            __builtin_trap();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_rd r = alk_rd(alk_span(data, size));
    struct alk_buf b;
    alk_buf_init(&b, NULL, size);
    struct alk_wr w = alk_wr_buf(&b);
    const uint8_t *start = NULL;
    while (r.err == ALK_OK) {
        uint8_t op = alk_rd_u8(&r);
        size_t before = alk_buf_len(&b);
        start = r.p;
        struct alk_rd t = r;
        struct alk_wr tw = w;
        step(&t, &tw, op);
        if (t.err != ALK_OK) {
            break;
        }
        check_same(alk_span_tail(alk_buf_span(&b), before), alk_span(start, (size_t)(t.p - start)));
        r = t;
        w = tw;
    }
    alk_buf_fini(&b);
    varints(alk_span(data, size));
    return 0;
}
