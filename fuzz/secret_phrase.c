/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Phrases as people type them, words that they mistype, passphrases. */
#include "base/err.h"
#include "base/span.h"
#include "secret/phrase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void phrase(const char *text, size_t n)
{
    struct alksec_phrase_error why = {0};
    uint8_t entropy[ALKSEC_ENTROPY_MAX];
    char canonical[ALKSEC_PHRASE_SIZE], again[ALKSEC_PHRASE_SIZE];
    size_t entropy_n = 0;

    alksec_err err = alksec_phrase_to_entropy(text, n, &why, entropy, &entropy_n);
    ALK_ASSERT((err == ALKSEC_E_WORD) == (why.word != 0));
    if (err != ALKSEC_OK) {
        ALK_ASSERT(err == ALKSEC_E_COUNT || err == ALKSEC_E_WORD || err == ALKSEC_E_CHECKSUM);
        return;
    }
    ALK_ASSERT(alksec_phrase_canonical(text, n, canonical) == ALKSEC_OK);
    /* However it was typed, there is one phrase of these bytes. */
    ALK_ASSERT(alksec_phrase_from_entropy(entropy, entropy_n, again) == ALKSEC_OK);
    ALK_ASSERT(alk_span_is(alk_span_str(canonical), again));
}

static void word(const char *text, size_t n)
{
    const char *suggestion = alksec_word_suggest(text, n);
    if (suggestion != NULL) {
        ALK_ASSERT(n >= 3 && n <= 10 && suggestion[0] != '\0');
    }
}

static void passphrase(const char *text, size_t n)
{
    char once[ALKSEC_PASSPHRASE_MAX], twice[ALKSEC_PASSPHRASE_MAX];
    size_t once_n = 0, twice_n = 0;

    if (alksec_normalise(text, n, once, &once_n) != ALKSEC_OK) {
        return;
    }
    /* What is normal stays as it is, unless it is one of the texts that are refused. */
    if (alksec_normalise(once, once_n, twice, &twice_n) == ALKSEC_OK) {
        ALK_ASSERT(alk_span_equal(alk_span(once, once_n), alk_span(twice, twice_n)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    phrase(text, size);
    word(text, size);
    passphrase(text, size);
    return 0;
}
