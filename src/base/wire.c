/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/wire.h"

#include <string.h>

struct alk_rd alk_rd(struct alk_span s)
{
    return (struct alk_rd){s.p, s.n == 0 ? s.p : s.p + s.n, ALK_OK};
}

size_t alk_rd_left(const struct alk_rd *r)
{
    return r->err != ALK_OK ? 0 : (size_t)(r->end - r->p);
}

void alk_rd_fail(struct alk_rd *r, alk_err err)
{
    if (r->err == ALK_OK) {
        r->err = err;
    }
}

struct alk_span alk_rd_take(struct alk_rd *r, size_t n)
{
    if (n > alk_rd_left(r)) {
        alk_rd_fail(r, ALK_MORE);
        return (struct alk_span){NULL, 0};
    }
    if (n == 0) {
        return (struct alk_span){r->p, 0};
    }
    struct alk_span s = {r->p, n};
    r->p += n;
    return s;
}

static uint64_t rd_be(struct alk_rd *r, size_t n)
{
    struct alk_span s = alk_rd_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        v = v << 8 | s.p[i];
    }
    return v;
}

uint8_t alk_rd_u8(struct alk_rd *r)
{
    return (uint8_t)rd_be(r, 1);
}

uint16_t alk_rd_u16(struct alk_rd *r)
{
    return (uint16_t)rd_be(r, 2);
}

uint32_t alk_rd_u24(struct alk_rd *r)
{
    return (uint32_t)rd_be(r, 3);
}

uint32_t alk_rd_u32(struct alk_rd *r)
{
    return (uint32_t)rd_be(r, 4);
}

uint64_t alk_rd_u64(struct alk_rd *r)
{
    return rd_be(r, 8);
}

uint64_t alk_rd_varint(struct alk_rd *r)
{
    if (alk_rd_left(r) == 0) {
        alk_rd_fail(r, ALK_MORE);
        return 0;
    }
    /* [RFC 9000 §16] the two high bits are the logarithm of the length */
    size_t n = (size_t)1 << (*r->p >> 6);
    return rd_be(r, n) & (UINT64_MAX >> 2 >> (64 - 8 * n));
}

void alk_rd_bytes(struct alk_rd *r, void *dst, size_t n)
{
    struct alk_span s = alk_rd_take(r, n);
    if (n == 0) {
        return;
    }
    if (r->err != ALK_OK) {
        memset(dst, 0, n);
        return;
    }
    memcpy(dst, s.p, n);
}

static struct alk_span rd_block(struct alk_rd *r, uint64_t n, size_t max)
{
    if (n > max) {
        alk_rd_fail(r, ALK_E_TOO_BIG);
        return (struct alk_span){NULL, 0};
    }
    return alk_rd_take(r, (size_t)n);
}

struct alk_span alk_rd_block8(struct alk_rd *r)
{
    return rd_block(r, alk_rd_u8(r), UINT8_MAX);
}

struct alk_span alk_rd_block16(struct alk_rd *r, size_t max)
{
    return rd_block(r, alk_rd_u16(r), max);
}

struct alk_span alk_rd_block32(struct alk_rd *r, size_t max)
{
    return rd_block(r, alk_rd_u32(r), max);
}

struct alk_wr alk_wr(void *p, size_t size)
{
    return (struct alk_wr){.p = p, .size = size};
}

struct alk_wr alk_wr_buf(struct alk_buf *buf)
{
    return (struct alk_wr){.buf = buf, .err = buf->err};
}

struct alk_span alk_wr_span(const struct alk_wr *w)
{
    return w->err != ALK_OK || w->buf != NULL ? (struct alk_span){NULL, 0}
                                              : (struct alk_span){w->p, w->n};
}

static void wr_fail(struct alk_wr *w, alk_err err)
{
    if (w->err == ALK_OK) {
        w->err = err;
    }
}

void alk_wr_bytes(struct alk_wr *w, struct alk_span s)
{
    if (w->err != ALK_OK) {
        return;
    }
    if (w->buf != NULL) {
        w->err = alk_buf_put(w->buf, s);
        return;
    }
    if (s.n > w->size - w->n) {
        w->err = ALK_E_TOO_BIG;
        return;
    }
    if (s.n > 0) {
        memcpy(w->p + w->n, s.p, s.n);
        w->n += s.n;
    }
}

static void store_be(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = n; i > 0; i--) {
        p[i - 1] = (uint8_t)v;
        v >>= 8;
    }
}

/* The low n bytes of v; a value that needs more is ALK_E_TOO_BIG. */
static void wr_be(struct alk_wr *w, uint64_t v, size_t n)
{
    uint8_t bytes[8];
    if (n < 8 && v >> (8 * n) != 0) {
        wr_fail(w, ALK_E_TOO_BIG);
        return;
    }
    store_be(bytes, v, n);
    alk_wr_bytes(w, alk_span(bytes, n));
}

void alk_wr_u8(struct alk_wr *w, uint8_t v)
{
    wr_be(w, v, 1);
}

void alk_wr_u16(struct alk_wr *w, uint16_t v)
{
    wr_be(w, v, 2);
}

void alk_wr_u24(struct alk_wr *w, uint32_t v)
{
    wr_be(w, v, 3);
}

void alk_wr_u32(struct alk_wr *w, uint32_t v)
{
    wr_be(w, v, 4);
}

void alk_wr_u64(struct alk_wr *w, uint64_t v)
{
    wr_be(w, v, 8);
}

void alk_wr_varint(struct alk_wr *w, uint64_t v)
{
    /* [RFC 9000 §16] 6, 14, 30 or 62 bits */
    for (unsigned log = 0; log < 4; log++) {
        unsigned bits = (8U << log) - 2;
        if (v >> bits == 0) {
            wr_be(w, v | (uint64_t)log << bits, (size_t)1 << log);
            return;
        }
    }
    wr_fail(w, ALK_E_TOO_BIG);
}

static void wr_block(struct alk_wr *w, struct alk_span s, size_t width)
{
    wr_be(w, s.n, width);
    alk_wr_bytes(w, s);
}

void alk_wr_block8(struct alk_wr *w, struct alk_span s)
{
    wr_block(w, s, 1);
}

void alk_wr_block16(struct alk_wr *w, struct alk_span s)
{
    wr_block(w, s, 2);
}

void alk_wr_block32(struct alk_wr *w, struct alk_span s)
{
    wr_block(w, s, 4);
}

static size_t wr_at(const struct alk_wr *w)
{
    return w->buf != NULL ? alk_buf_len(w->buf) : w->n;
}

size_t alk_wr_hole(struct alk_wr *w, size_t width)
{
    static const uint8_t zeros[4];
    ALK_ASSERT(width >= 1 && width <= 4);
    size_t at = wr_at(w);
    alk_wr_bytes(w, alk_span(zeros, width));
    return at;
}

void alk_wr_fill(struct alk_wr *w, size_t hole, size_t width)
{
    if (w->err != ALK_OK) {
        return;
    }
    ALK_ASSERT(width >= 1 && width <= 4 && hole <= wr_at(w) && wr_at(w) - hole >= width);
    uint64_t n = wr_at(w) - hole - width;
    if (n >> (8 * width) != 0) {
        w->err = ALK_E_TOO_BIG;
        return;
    }
    store_be((w->buf != NULL ? w->buf->p + w->buf->at : w->p) + hole, n, width);
}
