/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/chunk.h - the inside of struct alk_chunk, for the transmit queue. */
#ifndef ALK_CORE_CHUNK_H
#define ALK_CORE_CHUNK_H

#include "alknet/stream.h"

#include <stdatomic.h>

/* Counted bytes. `fill` is used by the transmit queue alone, for chunks that it
 * made itself and that nobody else can write to. */
struct alk_chunk {
    atomic_size_t refs;
    const struct alk_mem *mem;
    uint8_t *p; /* behind the struct, or the caller's memory */
    size_t n;
    size_t fill; /* bytes in use of a chunk that is being filled */
    bool is_fillable;
    void (*done)(void *ctx);
    void *ctx;
};

#endif
