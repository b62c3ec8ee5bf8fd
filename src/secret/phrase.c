/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* BIP39 phrases: 11 bits a word, the last word's low bits are a checksum. */
#include "phrase.h"

#include "impl.h"
#include "words.h"

#include <sodium.h>
#include <string.h>

#define WORDS_MAX 24
#define BITS      11
#define ROUNDS    2048

/* Words of a phrase as indices into the list. */
struct indices {
    uint16_t at[WORDS_MAX];
    unsigned count;
};

static bool is_count(size_t words)
{
    return words >= 12 && words <= WORDS_MAX && words % 3 == 0;
}

const char *alksec_word(size_t i)
{
    return i < ALKSEC_WORDS ? alksec_words[i] : NULL;
}

/* --- text to indices --------------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word in lower case; false at the end. A word too long for the list is
 * cut, and then found in it no more. */
static bool next_word(const char **at, const char *end, char ret[ALKSEC_WORD_SIZE + 1],
                      size_t *ret_n)
{
    size_t n = 0;

    while (*at < end && is_space(**at)) {
        (*at)++;
    }
    while (*at < end && !is_space(**at)) {
        char c = **at;
        if (n < ALKSEC_WORD_SIZE) {
            ret[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        (*at)++;
    }
    ret[n] = '\0';
    *ret_n = n;
    return n > 0;
}

static int find(const char *word)
{
    int low = 0, high = ALKSEC_WORDS - 1;

    while (low <= high) {
        int middle = (low + high) / 2;
        int order = strcmp(word, alksec_words[middle]); /* not secret to who runs us */
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    return -1;
}

static alksec_err read_words(const char *text, size_t n, struct alksec_phrase_error *why,
                             struct indices *ret)
{
    char word[ALKSEC_WORD_SIZE + 1];
    const char *at = text, *end = text + n;
    size_t length;

    while (next_word(&at, end, word, &length)) {
        int found = find(word);
        if (found < 0 && why->word == 0) {
            why->word = why->word_count + 1;
            why->suggestion = alksec_word_suggest(word, length);
        }
        if (why->word_count < WORDS_MAX) {
            ret->at[why->word_count] = (uint16_t)(found < 0 ? 0 : found);
        }
        why->word_count++;
    }
    sodium_memzero(word, sizeof word);
    if (why->word != 0) {
        return ALKSEC_E_WORD;
    }
    ret->count = why->word_count;
    return is_count(why->word_count) ? ALKSEC_OK : ALKSEC_E_COUNT;
}

/* --- indices and entropy ------------------------------------------------------------ */

static void put_bit(uint8_t *bytes, unsigned i, unsigned bit)
{
    bytes[i / 8] = (uint8_t)(bytes[i / 8] | bit << (7 - i % 8));
}

static unsigned get_bit(const uint8_t *bytes, unsigned i)
{
    return (unsigned)bytes[i / 8] >> (7 - i % 8) & 1U;
}

/* entropy and its checksum, as one string of bits */
static void append_checksum(uint8_t bits[ALKSEC_ENTROPY_MAX + 1], size_t n)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256(hash, bits, n);
    bits[n] = (uint8_t)(hash[0] & 0xffU << (8 - n / 4)); /* n / 4 bits of it */
    sodium_memzero(hash, sizeof hash);
}

static alksec_err to_entropy(const struct indices *in, uint8_t ret[ALKSEC_ENTROPY_MAX],
                             size_t *ret_n)
{
    uint8_t bits[ALKSEC_ENTROPY_MAX + 1] = {0}, whole[ALKSEC_ENTROPY_MAX + 1] = {0};
    size_t n = in->count / 3 * 4;

    for (unsigned i = 0; i < in->count * BITS; i++) {
        put_bit(bits, i, (unsigned)in->at[i / BITS] >> (BITS - 1 - i % BITS) & 1U);
    }
    memcpy(whole, bits, n);
    append_checksum(whole, n);
    bool is_right = sodium_memcmp(whole, bits, n + 1) == 0;
    if (is_right) {
        memcpy(ret, bits, n);
        *ret_n = n;
    }
    sodium_memzero(bits, sizeof bits);
    sodium_memzero(whole, sizeof whole);
    return is_right ? ALKSEC_OK : ALKSEC_E_CHECKSUM;
}

static void print_words(const struct indices *in, char ret[ALKSEC_PHRASE_SIZE])
{
    size_t at = 0;
    for (unsigned i = 0; i < in->count; i++) {
        const char *word = alksec_words[in->at[i]];
        if (i > 0) {
            ret[at++] = ' ';
        }
        while (*word != '\0') {
            ret[at++] = *word++;
        }
    }
    memset(ret + at, 0, ALKSEC_PHRASE_SIZE - at);
}

/* --- the interface ------------------------------------------------------------------ */

alksec_err alksec_phrase_from_entropy(const uint8_t *entropy, size_t n,
                                      char ret[ALKSEC_PHRASE_SIZE])
{
    uint8_t bits[ALKSEC_ENTROPY_MAX + 1] = {0};
    struct indices words = {.count = 0};

    if (n % 4 != 0 || !is_count(n / 4 * 3)) {
        return ALKSEC_E_COUNT;
    }
    memcpy(bits, entropy, n);
    append_checksum(bits, n);
    words.count = (unsigned)(n / 4 * 3);
    for (unsigned i = 0; i < words.count * BITS; i++) {
        words.at[i / BITS] = (uint16_t)((unsigned)words.at[i / BITS] << 1 | get_bit(bits, i));
    }
    print_words(&words, ret);
    sodium_memzero(bits, sizeof bits);
    sodium_memzero(&words, sizeof words);
    alksec_scrub_stack();
    return ALKSEC_OK;
}

alksec_err alksec_phrase_new(unsigned words, const struct alksec_random *random,
                             char ret[ALKSEC_PHRASE_SIZE])
{
    uint8_t entropy[ALKSEC_ENTROPY_MAX];

    if (!is_count(words)) {
        return ALKSEC_E_COUNT;
    }
    alksec_err err = alksec_ready();
    if (err != ALKSEC_OK) {
        return err;
    }
    alksec_random_fill(random, entropy, words / 3 * 4);
    err = alksec_phrase_from_entropy(entropy, words / 3 * 4, ret);
    sodium_memzero(entropy, sizeof entropy);
    return err;
}

alksec_err alksec_phrase_to_entropy(const char *phrase, size_t n,
                                    struct alksec_phrase_error *ret_why,
                                    uint8_t ret[ALKSEC_ENTROPY_MAX], size_t *ret_n)
{
    struct alksec_phrase_error why = {0};
    struct indices words = {.count = 0};

    alksec_err err = read_words(phrase, n, &why, &words);
    if (err == ALKSEC_OK) {
        err = to_entropy(&words, ret, ret_n);
    }
    if (err != ALKSEC_OK && ret_why != NULL) {
        *ret_why = why;
    }
    sodium_memzero(&words, sizeof words);
    alksec_scrub_stack();
    return err;
}

alksec_err alksec_phrase_check(const char *phrase, size_t n, struct alksec_phrase_error *ret_why)
{
    uint8_t entropy[ALKSEC_ENTROPY_MAX];
    size_t size;
    alksec_err err = alksec_phrase_to_entropy(phrase, n, ret_why, entropy, &size);
    sodium_memzero(entropy, sizeof entropy);
    return err;
}

alksec_err alksec_phrase_canonical(const char *phrase, size_t n, char ret[ALKSEC_PHRASE_SIZE])
{
    uint8_t entropy[ALKSEC_ENTROPY_MAX];
    size_t size;

    alksec_err err = alksec_phrase_to_entropy(phrase, n, NULL, entropy, &size);
    if (err == ALKSEC_OK) {
        err = alksec_phrase_from_entropy(entropy, size, ret);
    }
    sodium_memzero(entropy, sizeof entropy);
    return err;
}

alksec_err alksec_phrase_seed(const char *phrase, size_t n, const char *passphrase,
                              size_t passphrase_n, uint8_t ret[ALKSEC_SEED])
{
    static const uint8_t prefix[] = {'m', 'n', 'e', 'm', 'o', 'n', 'i', 'c'};
    char canonical[ALKSEC_PHRASE_SIZE], normal[ALKSEC_PASSPHRASE_MAX];
    size_t normal_n = 0;

    alksec_err err = alksec_phrase_canonical(phrase, n, canonical);
    if (err == ALKSEC_OK) {
        err = alksec_normalise(passphrase, passphrase_n, normal, &normal_n);
    }
    if (err == ALKSEC_OK) {
        const struct alksec_bytes salt[] = {{prefix, sizeof prefix}, {(uint8_t *)normal, normal_n}};
        const struct alksec_bytes password = {(uint8_t *)canonical, strlen(canonical)};
        alksec_pbkdf2(password, salt, 2, ROUNDS, ret);
    }
    sodium_memzero(canonical, sizeof canonical);
    sodium_memzero(normal, sizeof normal);
    alksec_scrub_stack();
    return err;
}
