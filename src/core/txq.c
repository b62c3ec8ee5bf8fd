/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/txq.h"

#include "base/assert.h"
#include "base/mem.h"

/* Our own chunks double from MIN to MAX while one write follows another, so that
 * an idle stream holds little and a bulk stream copies into large blocks. */
#define CHUNK_MIN ((size_t)480)
#define CHUNK_MAX ((size_t)64 * 1024 - 64)

/* A chunk of our own begins with its segment, so that a write costs one allocation;
 * the last small one is kept for the next write, so that mostly it costs none. */
static struct alk_tx_seg *own_seg(struct alk_txq *q, const struct alk_mem *mem, size_t size)
{
    struct alk_chunk *chunk = q->spare;
    if (chunk != NULL && size == CHUNK_MIN) {
        q->spare = NULL;
    } else {
        size_t all = 0;
        chunk = alk_add_ok(&all, size, sizeof(struct alk_tx_seg)) ? alk_chunk_new(mem, all) : NULL;
        if (chunk == NULL) {
            return NULL;
        }
        chunk->p += sizeof(struct alk_tx_seg);
        chunk->n = size;
        chunk->is_fillable = true;
    }
    /* Behind struct alk_chunk, hence aligned as one. */
    struct alk_tx_seg *seg = (struct alk_tx_seg *)(void *)(chunk->p - sizeof *seg);
    *seg = (struct alk_tx_seg){.chunk = chunk, .p = chunk->p};
    chunk->fill = 0;
    return seg;
}

static void seg_free(struct alk_txq *q, struct alk_tx_seg *seg, const struct alk_mem *mem)
{
    struct alk_chunk *chunk = seg->chunk;
    if (!chunk->is_fillable) {
        alk_free(mem, seg);
    } else if (q->spare == NULL && chunk->n == CHUNK_MIN) {
        q->spare = chunk;
        return;
    }
    alk_chunk_unref(chunk);
}

void alk_txq_clear(struct alk_txq *q, const struct alk_mem *mem)
{
    while (q->head != NULL) {
        struct alk_tx_seg *seg = q->head;
        q->head = seg->next;
        seg_free(q, seg, mem);
    }
    q->tail = NULL;
    q->cur = NULL;
    q->cur_at = 0;
    q->acked = q->end;
    q->sent = q->end;
}

void alk_txq_fini(struct alk_txq *q, const struct alk_mem *mem)
{
    alk_txq_clear(q, mem);
    alk_chunk_unref(q->spare);
    q->spare = NULL;
}

/* Takes the reference to the chunk, also on failure. */
static struct alk_tx_seg *seg_new(const struct alk_mem *mem, struct alk_chunk *chunk,
                                  const uint8_t *p, size_t n)
{
    struct alk_tx_seg *seg = alk_alloc(mem, sizeof *seg);
    if (seg == NULL) {
        alk_chunk_unref(chunk);
        return NULL;
    }
    *seg = (struct alk_tx_seg){.chunk = chunk, .p = p, .n = n};
    return seg;
}

static void append(struct alk_txq *q, struct alk_tx_seg *seg)
{
    if (q->tail == NULL) {
        q->head = seg;
    } else {
        q->tail->next = seg;
    }
    q->tail = seg;
    if (q->cur == NULL) {
        q->cur = seg;
        q->cur_at = 0;
    }
    q->end += seg->n;
}

static size_t next_chunk_size(const struct alk_txq *q, size_t need)
{
    size_t size = CHUNK_MIN;
    if (q->tail != NULL && q->tail->chunk->is_fillable) {
        size = q->tail->chunk->n * 4;
    }
    size = size > CHUNK_MAX ? CHUNK_MAX : size;
    return size < need ? need : size;
}

/* Room behind the last segment, when it is a chunk of ours. */
static size_t tail_room(const struct alk_txq *q)
{
    const struct alk_tx_seg *t = q->tail;
    return t == NULL || !t->chunk->is_fillable ? 0 : t->chunk->n - t->chunk->fill;
}

static void tail_fill(struct alk_txq *q, struct alk_span data)
{
    struct alk_tx_seg *t = q->tail;
    if (data.n == 0) {
        return;
    }
    memcpy(t->chunk->p + t->chunk->fill, data.p, data.n);
    t->chunk->fill += data.n;
    t->n += data.n;
    q->end += data.n;
    if (q->cur == NULL) { /* everything had been sent: go on behind it */
        q->cur = t;
        q->cur_at = t->n - data.n;
    }
}

alk_err alk_txq_copy(struct alk_txq *q, const struct alk_mem *mem, struct alk_span data)
{
    struct alk_span first = alk_span_head(data, tail_room(q));
    struct alk_span rest = alk_span_tail(data, first.n);
    if (rest.n == 0) {
        tail_fill(q, first);
        return ALK_OK;
    }
    struct alk_tx_seg *seg = own_seg(q, mem, next_chunk_size(q, rest.n));
    if (seg == NULL) {
        return ALK_E_NOMEM;
    }
    memcpy(seg->chunk->p, rest.p, rest.n);
    seg->chunk->fill = rest.n;
    seg->n = rest.n;
    tail_fill(q, first); /* only now that nothing can fail any more */
    append(q, seg);
    return ALK_OK;
}

alk_err alk_txq_link(struct alk_txq *q, const struct alk_mem *mem, struct alk_chunk *chunk,
                     size_t at, size_t n)
{
    struct alk_tx_seg *seg = seg_new(mem, alk_chunk_ref(chunk), chunk->p + at, n);
    if (seg == NULL) {
        return ALK_E_NOMEM;
    }
    append(q, seg);
    return ALK_OK;
}

size_t alk_txq_vec(const struct alk_txq *q, struct alk_span *vec, size_t max)
{
    size_t count = 0;
    size_t at = q->cur_at;
    for (const struct alk_tx_seg *s = q->cur; s != NULL && count < max; s = s->next) {
        if (s->n > at) {
            vec[count++] = (struct alk_span){s->p + at, s->n - at};
        }
        at = 0;
    }
    return count;
}

void alk_txq_sent(struct alk_txq *q, size_t n)
{
    ALK_ASSERT(n <= alk_txq_unsent(q));
    q->sent += n;
    while (q->cur != NULL) {
        size_t left = q->cur->n - q->cur_at;
        if (n < left) {
            q->cur_at += n;
            return;
        }
        n -= left;
        q->cur = q->cur->next;
        q->cur_at = 0;
    }
}

void alk_txq_acked(struct alk_txq *q, const struct alk_mem *mem, uint64_t offset)
{
    ALK_ASSERT(offset <= q->sent);
    while (q->head != NULL && q->acked + q->head->n <= offset) {
        struct alk_tx_seg *seg = q->head;
        if (seg == q->cur) { /* sent is inside it, so it is not wholly acked */
            break;
        }
        q->acked += seg->n;
        q->head = seg->next;
        if (q->head == NULL) {
            q->tail = NULL;
        }
        seg_free(q, seg, mem);
    }
}
