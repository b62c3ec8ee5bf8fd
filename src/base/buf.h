/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/buf.h - an owned, growing byte buffer with a maximum.
 *
 * Bytes are appended at the end and consumed from the front; what is held is one
 * contiguous span. Consuming is O(1) amortised; an emptied buffer keeps its
 * memory until trim or fini. Appends after a failure fail too (sticky `err`),
 * so a sequence of appends can be checked once.
 */
#ifndef ALK_BASE_BUF_H
#define ALK_BASE_BUF_H

#include "base/err.h"
#include "base/span.h"

#include <stdarg.h>

struct alk_buf {
    const struct alk_mem *mem;
    uint8_t *p;  /* owns */
    size_t at;   /* first held byte */
    size_t end;  /* one past the last held byte */
    size_t size; /* allocated */
    size_t max;  /* bytes that may be held */
    alk_err err; /* sticky: ALK_E_TOO_BIG, ALK_E_NOMEM */
};

/* Allocates nothing. */
void alk_buf_init(struct alk_buf *b, const struct alk_mem *mem, size_t max);
void alk_buf_fini(struct alk_buf *b);
/* As fini, but wipes first. Growing leaves old copies in freed memory: reserve
 * the room for a secret in one go. */
void alk_buf_fini_secret(struct alk_buf *b);
/* Drops the bytes and the sticky error, keeps the memory. */
void alk_buf_clear(struct alk_buf *b);
/* Gives memory back when nothing is held. */
void alk_buf_trim(struct alk_buf *b);

static inline struct alk_span alk_buf_span(const struct alk_buf *b)
{
    return (struct alk_span){b->p == NULL ? NULL : b->p + b->at, b->end - b->at};
}
static inline size_t alk_buf_len(const struct alk_buf *b)
{
    return b->end - b->at;
}
static inline size_t alk_buf_room(const struct alk_buf *b)
{
    return b->max - alk_buf_len(b);
}
/* The rest of alk_buf_put: without room, or after a failure. */
alk_err alk_buf_put_more(struct alk_buf *b, struct alk_span s);
/* ALK_E_TOO_BIG when more than max would be held, ALK_E_NOMEM; nothing is
 * appended then. The span must not point into this buffer. */
static inline alk_err alk_buf_put(struct alk_buf *b, struct alk_span s)
{
    /* Here, so that a text whose length is known becomes a few stores. */
    if (b->err != ALK_OK || s.n > b->size - b->end || s.n > alk_buf_room(b)) {
        return alk_buf_put_more(b, s);
    }
    if (s.n > 0) {
        memcpy(b->p + b->end, s.p, s.n);
        b->end += s.n;
    }
    return ALK_OK;
}
static inline alk_err alk_buf_put_str(struct alk_buf *b, const char *text)
{
    return alk_buf_put(b, alk_span_str(text));
}
static inline alk_err alk_buf_put_u8(struct alk_buf *b, uint8_t v)
{
    return alk_buf_put(b, alk_span(&v, 1));
}
/* Decimal digits. */
alk_err alk_buf_put_u64(struct alk_buf *b, uint64_t v);
/* printf, C locale, no %n, no floating point. All of the text or none of it. */
alk_err alk_buf_printf(struct alk_buf *b, const char *fmt, ...) ALK_PRINTF(2, 3);
alk_err alk_buf_vprintf(struct alk_buf *b, const char *fmt, va_list args) ALK_PRINTF(2, 0);
/* The rest of alk_buf_reserve, likewise. */
uint8_t *alk_buf_reserve_more(struct alk_buf *b, size_t n);
/* Room for n more bytes: a pointer to write to, then alk_buf_added(b, k <= n).
 * NULL: as put. */
static inline uint8_t *alk_buf_reserve(struct alk_buf *b, size_t n)
{
    if (b->err != ALK_OK || b->p == NULL || n > b->size - b->end || n > alk_buf_room(b)) {
        return alk_buf_reserve_more(b, n);
    }
    return b->p + b->end;
}
void alk_buf_added(struct alk_buf *b, size_t n);
/* n <= len, else our bug. */
void alk_buf_consume(struct alk_buf *b, size_t n);
/* A zero byte after the content (not counted), so that it reads as C text.
 * "" (static) after a failure. */
const char *alk_buf_cstr(struct alk_buf *b);

#endif
