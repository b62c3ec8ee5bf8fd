/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/txq.h - the transmit queue of a stream: bytes [acked, end).
 *
 * Small writes are gathered into chunks of our own; whole chunks of the caller's
 * are linked in without copying. Bytes stay until they are acknowledged, because
 * QUIC retransmits from them.
 *
 *     acked            sent                 end
 *       |--- in flight --|----- unsent ------|
 *      head             cur                 tail
 */
#ifndef ALK_CORE_TXQ_H
#define ALK_CORE_TXQ_H

#include "core/chunk.h"
#include "core/stream.h"

/* Drops what is queued; q->spare stays. */
void alk_txq_clear(struct alk_txq *q, const struct alk_mem *mem);
void alk_txq_fini(struct alk_txq *q, const struct alk_mem *mem);
/* Copies all of `data`. ALK_E_NOMEM: nothing was queued. */
ALK_NODISCARD alk_err alk_txq_copy(struct alk_txq *q, const struct alk_mem *mem,
                                   struct alk_span data);
/* Links bytes of a chunk, with a reference of its own. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_txq_link(struct alk_txq *q, const struct alk_mem *mem,
                                   struct alk_chunk *chunk, size_t at, size_t n);
size_t alk_txq_vec(const struct alk_txq *q, struct alk_span *vec, size_t max);
/* n <= end - sent, else our bug. */
void alk_txq_sent(struct alk_txq *q, size_t n);
/* offset <= sent; lower than before has no effect. */
void alk_txq_acked(struct alk_txq *q, const struct alk_mem *mem, uint64_t offset);
static inline uint64_t alk_txq_unsent(const struct alk_txq *q)
{
    return q->end - q->sent;
}

#endif
