/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sizes and times as people write them. */
#include "base/text.h"
#include "base/wire.h"

struct unit {
    uint64_t size;
    const char *name;
};

static void put_u64(struct alk_wr *w, uint64_t v)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    alk_wr_bytes(w, alk_span(digits + at, sizeof(digits) - at));
}

/* v in the first unit of the list (largest first, the last is 1) that it
 * reaches; one decimal, cut, not rounded, where it is not zero and the number
 * has fewer than three digits. */
static void put_unit(uint64_t v, const struct unit *u, char *dst, size_t dst_size)
{
    while (u->size > 1 && v < u->size) {
        u++;
    }
    struct alk_wr w = alk_wr(dst, dst_size);
    uint64_t whole = v / u->size;
    put_u64(&w, whole);
    if (u->size > 1 && whole < 100) {
        uint64_t tenth = v % u->size / (u->size / 10);
        tenth = tenth > 9 ? 9 : tenth; /* 1024 / 10 is cut too */
        if (tenth > 0) {
            alk_wr_u8(&w, '.');
            put_u64(&w, tenth);
        }
    }
    alk_wr_u8(&w, ' ');
    alk_wr_bytes(&w, alk_span_str(u->name));
    alk_wr_u8(&w, 0);
    if (w.err != ALK_OK && dst_size > 0) {
        dst[0] = '\0';
    }
}

void alk_text_size(uint64_t bytes, char *dst, size_t dst_size)
{
    static const struct unit units[] = {{UINT64_C(1) << 50, "PiB"}, {UINT64_C(1) << 40, "TiB"},
                                        {UINT64_C(1) << 30, "GiB"}, {UINT64_C(1) << 20, "MiB"},
                                        {UINT64_C(1) << 10, "KiB"}, {1, "B"}};
    put_unit(bytes, units, dst, dst_size);
}

void alk_text_time(alk_time t, char *dst, size_t dst_size)
{
    static const struct unit units[] = {{86400 * ALK_SECOND, "d"},
                                        {3600 * ALK_SECOND, "h"},
                                        {60 * ALK_SECOND, "m"},
                                        {ALK_SECOND, "s"},
                                        {ALK_MS, "ms"},
                                        {ALK_US, "us"},
                                        {1, "ns"}};
    if (t == ALK_NEVER) {
        (void)alk_span_cstr(ALK_LIT("never"), dst, dst_size);
        return;
    }
    put_unit(t, units, dst, dst_size);
}
