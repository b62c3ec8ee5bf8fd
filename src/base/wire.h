/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/wire.h - cursors for reading and writing wire formats, with sticky errors.
 *
 * Read all fields, then check r.err once: after a short read everything reads as
 * zero and err is ALK_MORE; after a malformed value it is ALK_E_MALFORMED. A loop
 * that a wire count drives checks r.err each turn. Integers are big-endian;
 * varints are QUIC's [RFC 9000 §16].
 */
#ifndef ALK_BASE_WIRE_H
#define ALK_BASE_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct alk_rd {
    const uint8_t *p;
    const uint8_t *end;
    alk_err err; /* 0, or the first failure */
};

struct alk_rd alk_rd(struct alk_span s);
/* Bytes not read yet; 0 after a failure. */
size_t alk_rd_left(const struct alk_rd *r);
uint8_t alk_rd_u8(struct alk_rd *r);
uint16_t alk_rd_u16(struct alk_rd *r);
uint32_t alk_rd_u24(struct alk_rd *r);
uint32_t alk_rd_u32(struct alk_rd *r);
uint64_t alk_rd_u64(struct alk_rd *r);
uint64_t alk_rd_varint(struct alk_rd *r);
/* n bytes that borrow from the input; empty after a failure. */
struct alk_span alk_rd_take(struct alk_rd *r, size_t n);
void alk_rd_bytes(struct alk_rd *r, void *dst, size_t n); /* zeros after a failure */
/* A block behind a length of 1, 2 or 4 bytes; longer than max: ALK_E_TOO_BIG. */
struct alk_span alk_rd_block8(struct alk_rd *r);
struct alk_span alk_rd_block16(struct alk_rd *r, size_t max);
struct alk_span alk_rd_block32(struct alk_rd *r, size_t max);
/* Sets the error unless there is one already. */
void alk_rd_fail(struct alk_rd *r, alk_err err);

/* Writes into fixed memory, or appends to a struct alk_buf. */
struct alk_wr {
    uint8_t *p; /* fixed memory; NULL with buf */
    size_t n, size;
    struct alk_buf *buf;
    alk_err err; /* sticky: ALK_E_TOO_BIG, ALK_E_NOMEM */
};

struct alk_wr alk_wr(void *p, size_t size);
struct alk_wr alk_wr_buf(struct alk_buf *buf);
/* What has been written into fixed memory; empty after a failure. */
struct alk_span alk_wr_span(const struct alk_wr *w);
void alk_wr_u8(struct alk_wr *w, uint8_t v);
void alk_wr_u16(struct alk_wr *w, uint16_t v);
void alk_wr_u24(struct alk_wr *w, uint32_t v);
void alk_wr_u32(struct alk_wr *w, uint32_t v);
void alk_wr_u64(struct alk_wr *w, uint64_t v);
void alk_wr_varint(struct alk_wr *w, uint64_t v); /* v < 2^62, shortest form */
void alk_wr_bytes(struct alk_wr *w, struct alk_span s);
void alk_wr_block8(struct alk_wr *w, struct alk_span s);
void alk_wr_block16(struct alk_wr *w, struct alk_span s);
void alk_wr_block32(struct alk_wr *w, struct alk_span s);
/* Leaves room for a length of 1, 2, 3 or 4 bytes; fill writes how many bytes
 * came since. A length that does not fit is ALK_E_TOO_BIG. */
size_t alk_wr_hole(struct alk_wr *w, size_t width);
void alk_wr_fill(struct alk_wr *w, size_t hole, size_t width);

#endif
