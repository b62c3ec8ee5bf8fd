/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unit/secret_search.h - looks through the whole memory of this very process for
 * what must be gone.
 *
 * The secrets that are looked for are kept with every byte inverted, and compared
 * so, or the search would find itself.
 */
#ifndef ALKSEC_SEARCH_H
#define ALKSEC_SEARCH_H

#include "secret_test.h"

#include <fcntl.h>
#include <unistd.h>

#define PIECE      16
#define PIECES_MAX 32
#define CHUNK      65536
#define HUGE_MAP   ((uint64_t)1 << 25) /* a sanitizer's own, nothing of ours */

struct search {
    uint8_t pieces[PIECES_MAX][PIECE]; /* inverted */
    size_t count;
    unsigned found[PIECES_MAX];
};

static inline void look_for(struct search *s, const void *secret, size_t n)
{
    for (size_t at = 0; at + PIECE <= n; at += PIECE) {
        assert_true(s->count < PIECES_MAX);
        for (size_t i = 0; i < PIECE; i++) {
            s->pieces[s->count][i] = (uint8_t) ~((const uint8_t *)secret)[at + i];
        }
        s->count++;
    }
}

static inline bool is_piece(const uint8_t *at, const uint8_t *inverted)
{
    size_t i = 0;
    while (i < PIECE && (at[i] + inverted[i]) == 0xff) {
        i++;
    }
    return i == PIECE;
}

/* Not instrumented: it looks at every byte that there is, on one thread. */
__attribute__((no_sanitize("thread"))) static inline void look_at(struct search *s,
                                                                  const uint8_t *p, size_t n)
{
    static const uint8_t zeros[CHUNK];
    bool is_first[256] = {false};

    if (memcmp(p, zeros, n) == 0) {
        return; /* most of the memory of a sanitizer */
    }
    for (size_t k = 0; k < s->count; k++) {
        is_first[0xff - s->pieces[k][0]] = true;
    }
    for (size_t at = 0; at + PIECE <= n; at++) {
        for (size_t k = 0; is_first[p[at]] && k < s->count; k++) {
            s->found[k] += is_piece(p + at, s->pieces[k]);
        }
    }
}

static inline void look_through(struct search *s, int mem, uint64_t from, uint64_t to)
{
    static uint8_t chunk[CHUNK];
    for (uint64_t at = from; at < to;) {
        size_t n = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        ssize_t got = pread(mem, chunk, n, (off_t)at);
        if (got > 0) {
            look_at(s, chunk, (size_t)got);
        }
        /* Pieces across the border of two chunks count as well. */
        at += n < CHUNK ? n : CHUNK - PIECE;
    }
    memset(chunk, 0, sizeof chunk);
}

/* How many pieces are somewhere in memory that can be written. */
static inline unsigned search(struct search *s)
{
    char line[512];
    unsigned total = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

    assert_non_null(maps);
    assert_true(mem >= 0);
    memset(s->found, 0, sizeof s->found);
    while (fgets(line, sizeof line, maps) != NULL) {
        char *end;
        uint64_t from = strtoull(line, &end, 16), to = strtoull(end + 1, &end, 16);
        if (end[1] == 'r' && end[2] == 'w' && to - from <= HUGE_MAP) {
            look_through(s, mem, from, to);
        }
    }
    (void)fclose(maps);
    (void)close(mem);
    for (size_t i = 0; i < s->count; i++) {
        total += s->found[i];
    }
    return total;
}

static inline void check_gone(struct search *s, const char *after)
{
    unsigned n = search(s);
    for (size_t i = 0; i < s->count; i++) {
        if (s->found[i] > 0) {
            print_message("after %s: piece %zu is there %u times\n", after, i, s->found[i]);
        }
    }
    assert_int_equal(n, 0);
}

#endif
