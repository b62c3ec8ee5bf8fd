/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/wire.h"

#include "support/oom.h"

static void integers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
    struct alk_rd r = alk_rd(alk_span(in, sizeof(in)));
    assert_int_equal(alk_rd_u8(&r), 0x01);
    assert_int_equal(alk_rd_u16(&r), 0x0203);
    assert_int_equal(alk_rd_u24(&r), 0x040506);
    assert_int_equal(alk_rd_u32(&r), 0x0708090a);
    assert_true(alk_rd_u64(&r) == UINT64_C(0x0b0c0d0e0f101112));
    check_err(r.err, ALK_OK);
    assert_int_equal(alk_rd_left(&r), 0);
}

/* [RFC 9000 §16] and the samples of its appendix A.1 */
static void varints_read_in_every_length_and_write_in_the_shortest(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *bytes;
        size_t n;
        bool is_shortest;
    } rows[] = {
        {UINT64_C(151288809941952652), "\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8, true},
        {494878333, "\x9d\x7f\x3e\x7d", 4, true},
        {15293, "\x7b\xbd", 2, true},
        {37, "\x25", 1, true},
        {37, "\x40\x25", 2, false},
        {37, "\xc0\0\0\0\0\0\0\x25", 8, false},
        {0, "\0", 1, true},
        {63, "\x3f", 1, true},
        {64, "\x40\x40", 2, true},
        {16383, "\x7f\xff", 2, true},
        {16384, "\x80\0\x40\0", 4, true},
        {1073741823, "\xbf\xff\xff\xff", 4, true},
        {1073741824, "\xc0\0\0\0\x40\0\0\0", 8, true},
        {UINT64_C(4611686018427387903), "\xff\xff\xff\xff\xff\xff\xff\xff", 8, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_rd r = alk_rd(alk_span(rows[i].bytes, rows[i].n));
        assert_true(alk_rd_varint(&r) == rows[i].v);
        check_err(r.err, ALK_OK);
        assert_int_equal(alk_rd_left(&r), 0);
        uint8_t out[8];
        struct alk_wr w = alk_wr(out, sizeof(out));
        alk_wr_varint(&w, rows[i].v);
        check_err(w.err, ALK_OK);
        if (rows[i].is_shortest) {
            assert_true(alk_span_equal(alk_wr_span(&w), alk_span(rows[i].bytes, rows[i].n)));
        }
    }
    uint8_t out[8];
    struct alk_wr w = alk_wr(out, sizeof(out));
    alk_wr_varint(&w, UINT64_C(1) << 62);
    check_err(w.err, ALK_E_TOO_BIG);
}

struct all {
    uint8_t u8;
    uint16_t u16;
    uint32_t u24, u32;
    uint64_t u64, varint;
    uint8_t bytes[3];
    struct alk_span b8, b16, b32;
};

static alk_err parse_all(struct alk_rd *r, void *ret)
{
    struct alk_rd t = *r;
    struct all a = {0};
    a.u8 = alk_rd_u8(&t);
    a.u16 = alk_rd_u16(&t);
    a.u24 = alk_rd_u24(&t);
    a.u32 = alk_rd_u32(&t);
    a.u64 = alk_rd_u64(&t);
    a.varint = alk_rd_varint(&t);
    alk_rd_bytes(&t, a.bytes, sizeof(a.bytes));
    a.b8 = alk_rd_block8(&t);
    a.b16 = alk_rd_block16(&t, 100);
    a.b32 = alk_rd_block32(&t, 100);
    if (t.err != ALK_OK) {
        return t.err;
    }
    *(struct all *)ret = a;
    *r = t;
    return ALK_OK;
}

static void write_all(struct alk_wr *w)
{
    alk_wr_u8(w, 1);
    alk_wr_u16(w, 2);
    alk_wr_u24(w, 3);
    alk_wr_u32(w, 4);
    alk_wr_u64(w, 5);
    alk_wr_varint(w, 600000);
    alk_wr_bytes(w, ALK_LIT("abc"));
    alk_wr_block8(w, ALK_LIT("eight"));
    alk_wr_block16(w, ALK_LIT(""));
    alk_wr_block32(w, ALK_LIT("thirty-two"));
}

static void look(struct alk_span in, void *ctx)
{
    (void)ctx;
    struct all a;
    struct alk_rd r = alk_rd(in);
    if (parse_all(&r, &a) == ALK_OK) {
        assert_true(a.b8.n + a.b16.n + a.b32.n <= in.n);
    }
}

static void what_is_written_reads_back_and_every_prefix_asks_for_more(void **state)
{
    (void)state;
    uint8_t memory[128];
    struct alk_wr w = alk_wr(memory, sizeof(memory));
    struct all a;
    write_all(&w);
    check_err(w.err, ALK_OK);
    struct alk_rd r = alk_rd(alk_wr_span(&w));
    check_err(parse_all(&r, &a), ALK_OK);
    assert_int_equal(a.u24, 3);
    assert_int_equal(a.varint, 600000);
    assert_memory_equal(a.bytes, "abc", 3);
    check_text(a.b8, "eight");
    check_text(a.b16, "");
    check_text(a.b32, "thirty-two");
    check_prefixes(alk_wr_span(&w), parse_all, sizeof(struct all));
    check_mutations(alk_wr_span(&w), look, NULL);
}

static void after_a_failure_everything_reads_as_zero(void **state)
{
    (void)state;
    struct alk_rd r = alk_rd(ALK_LIT("\x01\x02\x03"));
    uint8_t bytes[2] = {9, 9};
    assert_int_equal(alk_rd_u32(&r), 0);
    check_err(r.err, ALK_MORE);
    assert_int_equal(alk_rd_left(&r), 0);
    assert_int_equal(alk_rd_u8(&r), 0);
    assert_int_equal(alk_rd_varint(&r), 0);
    assert_int_equal(alk_rd_take(&r, 1).n, 0);
    assert_int_equal(alk_rd_block8(&r).n, 0);
    alk_rd_bytes(&r, bytes, sizeof(bytes));
    assert_int_equal(bytes[0] | bytes[1], 0);
    alk_rd_fail(&r, ALK_E_MALFORMED);
    check_err(r.err, ALK_MORE);
    r = alk_rd((struct alk_span){NULL, 0});
    assert_int_equal(alk_rd_take(&r, 0).n, 0);
    check_err(r.err, ALK_OK);
    alk_rd_fail(&r, ALK_E_MALFORMED);
    check_err(r.err, ALK_E_MALFORMED);
    assert_int_equal(alk_rd_take(&r, 0).n, 0);
}

static void a_block_longer_than_allowed_is_too_big_before_it_arrives(void **state)
{
    (void)state;
    struct alk_rd r = alk_rd(ALK_LIT("\0\x65"));
    assert_int_equal(alk_rd_block16(&r, 100).n, 0);
    check_err(r.err, ALK_E_TOO_BIG);
    r = alk_rd(ALK_LIT("\xff\xff\xff\xff"));
    assert_int_equal(alk_rd_block32(&r, UINT32_MAX - 1).n, 0);
    check_err(r.err, ALK_E_TOO_BIG);
    r = alk_rd(ALK_LIT("\0\x64"));
    assert_int_equal(alk_rd_block16(&r, 100).n, 0);
    check_err(r.err, ALK_MORE);
}

static void a_writer_stops_at_the_end_of_its_memory(void **state)
{
    (void)state;
    uint8_t whole[128];
    struct alk_wr w = alk_wr(whole, sizeof(whole));
    write_all(&w);
    size_t n = w.n;
    for (size_t size = 0; size < n; size++) {
        uint8_t *memory = malloc(size + 1);
        assert_non_null(memory);
        memory[size] = 0x5a;
        w = alk_wr(memory, size);
        write_all(&w);
        check_err(w.err, ALK_E_TOO_BIG);
        assert_int_equal(alk_wr_span(&w).n, 0);
        assert_int_equal(memory[size], 0x5a);
        free(memory);
    }
    w = alk_wr(whole, sizeof(whole));
    alk_wr_u24(&w, 0x1000000);
    check_err(w.err, ALK_E_TOO_BIG);
    uint8_t long_block[256] = {0};
    w = alk_wr(whole, sizeof(whole));
    alk_wr_block8(&w, alk_span(long_block, sizeof(long_block)));
    check_err(w.err, ALK_E_TOO_BIG);
}

static void holes_are_filled_with_the_length_behind_them(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 4; width++) {
        uint8_t memory[32];
        struct alk_buf b;
        alk_buf_init(&b, NULL, 100);
        check_err(alk_buf_put_str(&b, "junk"), ALK_OK);
        alk_buf_consume(&b, 3);
        struct alk_wr kinds[] = {alk_wr(memory, sizeof(memory)), alk_wr_buf(&b)};
        for (size_t k = 0; k < 2; k++) {
            struct alk_wr w = kinds[k];
            alk_wr_u8(&w, 0xee);
            size_t outer = alk_wr_hole(&w, width);
            alk_wr_u8(&w, 0xff);
            size_t inner = alk_wr_hole(&w, width);
            alk_wr_bytes(&w, ALK_LIT("abc"));
            alk_wr_fill(&w, inner, width);
            alk_wr_fill(&w, outer, width);
            check_err(w.err, ALK_OK);
            struct alk_span s = k == 0 ? alk_wr_span(&w) : alk_span_tail(alk_buf_span(&b), 1);
            assert_int_equal(s.n, 5 + 2 * width);
            assert_int_equal(s.p[width], 4 + width);
            assert_int_equal(s.p[2 * width + 1], 3);
        }
        alk_buf_fini(&b);
    }
}

static void a_length_that_its_hole_cannot_hold_is_too_big(void **state)
{
    (void)state;
    uint8_t memory[300] = {0};
    struct alk_wr w = alk_wr(memory, sizeof(memory));
    size_t at = alk_wr_hole(&w, 1);
    alk_wr_bytes(&w, alk_span((uint8_t[256]){0}, 256));
    alk_wr_fill(&w, at, 1);
    check_err(w.err, ALK_E_TOO_BIG);
    w = alk_wr(memory, 1);
    at = alk_wr_hole(&w, 2);
    alk_wr_fill(&w, at, 2);
    check_err(w.err, ALK_E_TOO_BIG);
}

static alk_err buf_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_buf b;
    alk_buf_init(&b, mem, 10000);
    struct alk_wr w = alk_wr_buf(&b);
    for (int i = 0; i < 50; i++) {
        write_all(&w);
    }
    alk_err err = w.err;
    assert_int_equal(alk_wr_span(&w).n, 0);
    alk_buf_fini(&b);
    return err;
}

static void a_buffer_without_memory_stops_the_writer(void **state)
{
    (void)state;
    oom_sweep(buf_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(varints_read_in_every_length_and_write_in_the_shortest),
        cmocka_unit_test(what_is_written_reads_back_and_every_prefix_asks_for_more),
        cmocka_unit_test(after_a_failure_everything_reads_as_zero),
        cmocka_unit_test(a_block_longer_than_allowed_is_too_big_before_it_arrives),
        cmocka_unit_test(a_writer_stops_at_the_end_of_its_memory),
        cmocka_unit_test(holes_are_filled_with_the_length_behind_them),
        cmocka_unit_test(a_length_that_its_hole_cannot_hold_is_too_big),
        cmocka_unit_test(a_buffer_without_memory_stops_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
