/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The word that somebody meant. */
#include "words.h"

#include "impl.h"

#include <string.h>

#define DISTANCE_MAX 2

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to change, add, leave out or swap with their neighbour; anything above
 * DISTANCE_MAX when it is more than that. */
static size_t distance(const char *a, size_t a_n, const char *b, size_t b_n)
{
    size_t d[ALKSEC_WORD_SIZE + 2][ALKSEC_WORD_SIZE + 2];

    for (size_t i = 0; i <= a_n; i++) {
        size_t nearest = SIZE_MAX;
        for (size_t k = 0; k <= b_n; k++) {
            if (i == 0 || k == 0) {
                d[i][k] = i + k;
            } else {
                size_t change = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
                size_t best = least(change, 1 + least(d[i - 1][k], d[i][k - 1]));
                bool is_swap = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
                d[i][k] = is_swap ? least(best, d[i - 2][k - 2] + 1) : best;
            }
            nearest = least(nearest, d[i][k]);
        }
        if (nearest > DISTANCE_MAX) {
            return nearest; /* the end is no nearer than a row, nor by a swap across it */
        }
    }
    return d[a_n][b_n];
}

const char *alksec_word_suggest(const char *word, size_t n)
{
    const char *found = NULL;
    size_t best = SIZE_MAX;

    if (n < 3 || n > ALKSEC_WORD_SIZE + 1) {
        return NULL;
    }
    for (size_t i = 0; i < ALKSEC_WORDS; i++) {
        const char *candidate = alksec_words[i];
        if (n >= 4 && strncmp(word, candidate, 4) == 0) { /* not secret to who runs us */
            return candidate;
        }
        size_t candidate_n = strlen(candidate);
        if (candidate_n + DISTANCE_MAX < n || n + DISTANCE_MAX < candidate_n) {
            continue; /* at least that many steps away */
        }
        size_t steps = distance(word, n, candidate, candidate_n);
        /* The first letter is rarely the wrong one. */
        size_t score = 2 * steps + (word[0] != candidate[0]);
        if (steps <= (n < 5 ? 1 : DISTANCE_MAX) && score < best) {
            best = score;
            found = candidate;
        }
    }
    return found;
}
