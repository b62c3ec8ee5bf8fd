/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/buf.h"

#include "base/ct.h"
#include "base/mem.h"

#include <string.h>

/* First allocation: most buffers hold a line or a small frame. */
enum { SIZE_MIN = 64 };

void alk_buf_init(struct alk_buf *b, const struct alk_mem *mem, size_t max)
{
    *b = (struct alk_buf){.mem = mem, .max = max};
}

void alk_buf_fini(struct alk_buf *b)
{
    alk_free(b->mem, b->p);
    *b = (struct alk_buf){.mem = b->mem, .max = b->max};
}

void alk_buf_fini_secret(struct alk_buf *b)
{
    alk_free_secret(b->mem, b->p, b->size);
    *b = (struct alk_buf){.mem = b->mem, .max = b->max};
}

void alk_buf_clear(struct alk_buf *b)
{
    b->at = 0;
    b->end = 0;
    b->err = ALK_OK;
}

void alk_buf_trim(struct alk_buf *b)
{
    if (b->at == b->end) {
        alk_free(b->mem, b->p);
        b->p = NULL;
        b->at = 0;
        b->end = 0;
        b->size = 0;
    }
}

static void compact(struct alk_buf *b)
{
    size_t len = alk_buf_len(b);
    if (len > 0) {
        memmove(b->p, b->p + b->at, len);
    }
    b->at = 0;
    b->end = len;
}

/* The size to grow to for `need` bytes: doubling, up to half as much again as
 * may be held. That slack keeps a full buffer from being moved for every few
 * bytes consumed, and the last byte is for cstr. */
static size_t grown_size(const struct alk_buf *b, size_t need)
{
    size_t cap = 0;
    if (!alk_add_ok(&cap, b->max, b->max / 2 + 1)) {
        cap = SIZE_MAX;
    }
    size_t size = b->size < SIZE_MIN ? SIZE_MIN : b->size;
    while (size < need) {
        size = size > cap / 2 ? cap : size * 2;
    }
    return size < cap ? size : cap;
}

/* Makes room for n bytes behind end; need not check max. */
static bool make_room(struct alk_buf *b, size_t n)
{
    size_t len = alk_buf_len(b);
    size_t need = 0;
    ALK_ASSERT(b->p != NULL || len == 0);
    if (!alk_add_ok(&need, len, n)) {
        return false;
    }
    if (b->p != NULL && b->size - b->end >= n) {
        return true;
    }
    if (b->p != NULL && need <= b->size && b->at >= len / 2) {
        compact(b); /* moves at most twice what was consumed */
        return true;
    }
    size_t size = grown_size(b, need > b->size ? need : b->size + 1);
    if (size <= b->size) {
        compact(b);
        return true;
    }
    uint8_t *p = NULL;
    if (b->at == 0) {
        p = alk_resize(b->mem, b->p, size);
    } else {
        p = alk_alloc(b->mem, size);
        if (p != NULL) {
            if (len > 0) {
                memcpy(p, b->p + b->at, len);
            }
            alk_free(b->mem, b->p);
        }
    }
    if (p == NULL) {
        return false;
    }
    *b = (struct alk_buf){
        .mem = b->mem, .p = p, .end = len, .size = size, .max = b->max, .err = b->err};
    return true;
}

uint8_t *alk_buf_reserve_more(struct alk_buf *b, size_t n)
{
    if (b->err != ALK_OK) {
        return NULL;
    }
    if (n > alk_buf_room(b)) {
        b->err = ALK_E_TOO_BIG;
        return NULL;
    }
    if (!make_room(b, n)) {
        b->err = ALK_E_NOMEM;
        return NULL;
    }
    return b->p + b->end;
}

void alk_buf_added(struct alk_buf *b, size_t n)
{
    ALK_ASSERT(n <= b->size - b->end && n <= alk_buf_room(b));
    b->end += n;
}

alk_err alk_buf_put_more(struct alk_buf *b, struct alk_span s)
{
    uint8_t *p = alk_buf_reserve(b, s.n);
    if (p == NULL) {
        return b->err;
    }
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    b->end += s.n;
    return ALK_OK;
}

alk_err alk_buf_put_u64(struct alk_buf *b, uint64_t v)
{
    uint8_t room[ALK_DIGITS_MAX];
    size_t n = alk_digits(v, room);
    return alk_buf_put(b, alk_span(room + sizeof(room) - n, n));
}

void alk_buf_consume(struct alk_buf *b, size_t n)
{
    ALK_ASSERT(n <= alk_buf_len(b));
    b->at += n;
    if (b->at == b->end) {
        b->at = 0;
        b->end = 0;
    }
}

const char *alk_buf_cstr(struct alk_buf *b)
{
    if (b->err != ALK_OK) {
        return "";
    }
    if (!make_room(b, 1)) {
        b->err = ALK_E_NOMEM;
        return "";
    }
    b->p[b->end] = '\0';
    return (const char *)b->p + b->at;
}
