/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Nothing of a secret is left in memory once it is done with. */
#include "secret_search.h"

/* 16 bytes 7f, 24 words: entropy of a vector of trezor/python-mnemonic. */
#define ENTROPY_N 32

/* What the tests use, made anew each time and wiped by the caller. */
struct material {
    char phrase[ALKSEC_PHRASE_SIZE];
    char passphrase[40];
    char value[48];
};

static void make(struct material *m)
{
    uint8_t entropy[ENTROPY_N];
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < sizeof entropy; i++) {
        entropy[i] = (uint8_t)(i * 37 + 11);
    }
    check_sec(alksec_phrase_from_entropy(entropy, sizeof entropy, m->phrase), ALKSEC_OK);
    alksec_wipe(entropy, sizeof entropy);
    for (size_t i = 0; i + 2 < sizeof m->passphrase; i += 2) {
        memcpy(m->passphrase + i, "\xc3\xa9", 2); /* not ASCII: through NFKD */
        m->passphrase[i + 1] = (char)(m->passphrase[i + 1] - (char)(i % 16));
    }
    /* Not in the order of ASCII: libraries have tables that hold just that. */
    for (size_t i = 0; i + 1 < sizeof m->value; i++) {
        m->value[i] = (char)('!' + (i * 37 + 11) % 94);
    }
}

static struct alksec_span span_of(const char *text)
{
    return (struct alksec_span){text, strlen(text)};
}

/* All secrets that the material leads to. */
static void collect(struct search *s)
{
    struct material m;
    uint8_t seed[ALKSEC_SEED], entropy[ALKSEC_ENTROPY_MAX];
    struct alksec_path path;
    size_t n;

    memset(s, 0, sizeof *s);
    make(&m);
    check_sec(
        alksec_phrase_seed(m.phrase, strlen(m.phrase), m.passphrase, strlen(m.passphrase), seed),
        ALKSEC_OK);
    check_sec(alksec_phrase_to_entropy(m.phrase, strlen(m.phrase), NULL, entropy, &n), ALKSEC_OK);
    look_for(s, m.phrase, 64);
    look_for(s, m.passphrase, 32);
    look_for(s, m.value, 32);
    look_for(s, entropy, n);
    look_for(s, seed, sizeof seed);
    for (uint32_t i = 0; i < 2; i++) {
        struct alksec_key *key;
        check_sec(i == 0 ? alksec_path_identity(0, &path) : alksec_path_encryption(2, &path),
                  ALKSEC_OK);
        check_sec(alksec_key_derive(NULL, ALKSEC_ED25519, seed, sizeof seed, &path, &key),
                  ALKSEC_OK);
        look_for(s, alksec_key_private(key), 32);
        look_for(s, alksec_key_chain_code(key), 32);
        alksec_key_free(key);
    }
    alksec_wipe(seed, sizeof seed);
    alksec_wipe(entropy, sizeof entropy);
    alksec_wipe(&m, sizeof m);
}

static struct alksec_vault *open_vault(const struct alksec_vault_options *o)
{
    struct alksec_vault *v = NULL;
    struct material m;
    make(&m);
    if (alksec_vault_new(o, &v) == ALKSEC_OK) {
        check_sec(alksec_vault_unlock(v, span_of(m.phrase), span_of(m.passphrase)), ALKSEC_OK);
    }
    alksec_wipe(&m, sizeof m);
    return v;
}

static void the_search_finds_what_is_there(void **state)
{
    (void)state;
    struct search s;
    collect(&s);
    check_gone(&s, "collecting");
    struct alksec_vault *v = open_vault(NULL);
    assert_true(search(&s) >= ALKSEC_SEED / PIECE); /* the seed */
    alksec_vault_free(v);
    check_gone(&s, "alksec_vault_free");
}

/* Everything that a vault does; the result of each step is as it comes. */
static void use(struct alksec_vault *v, const struct alksec_path *path)
{
    struct alksec_key *key = NULL;
    struct material m;
    char text[1024], fresh[1200];
    uint8_t out[256];
    size_t n = 0;
    make(&m);
    if (alksec_vault_derive(v, 0, ALKSEC_ED25519, path, &key) == ALKSEC_OK) {
        alksec_key_free(key);
    }
    if (alksec_vault_encrypt(v, 0, 2, span_of(m.value), SPAN("a.b"), text, sizeof text, &n) ==
        ALKSEC_OK) {
        const struct alksec_span blob = {text, n};
        (void)!alksec_vault_decrypt(v, 0, blob, SPAN("a.b"), out, sizeof out, &n);
        alksec_wipe(out, sizeof out);
        (void)!alksec_vault_decrypt(v, 0, blob, SPAN("a.c"), out, sizeof out, &n);
        (void)!alksec_vault_rotate(v, 0, 3, blob, fresh, sizeof fresh, &n);
        (void)!alksec_vault_rotate(v, 0, 1, blob, fresh, sizeof fresh, &n);
        char *data = strstr(text, "\"data\":\"") + 8;
        *data = *data == 'A' ? 'B' : 'A';
        (void)!alksec_vault_decrypt(v, 0, blob, SPAN("a.b"), out, sizeof out, &n);
        (void)!alksec_vault_rotate(v, 0, 3, blob, fresh, sizeof fresh, &n);
    }
    alksec_wipe(&m, sizeof m);
}

static void nothing_is_left_after_lock(void **state)
{
    (void)state;
    struct search s;
    struct alksec_path path;
    collect(&s);
    check_sec(alksec_path_identity(0, &path), ALKSEC_OK);
    struct alksec_vault *v = open_vault(NULL);
    use(v, &path);
    assert_true(alksec_vault_cached(v) >= 2);
    assert_true(search(&s) > ALKSEC_SEED / PIECE);
    alksec_vault_lock(v);
    check_gone(&s, "alksec_vault_lock");
    alksec_vault_free(v);
    check_gone(&s, "alksec_vault_free");
}

static void nothing_is_left_after_a_refused_phrase(void **state)
{
    (void)state;
    struct search s;
    struct material m;
    uint8_t seed[ALKSEC_SEED];
    collect(&s);
    for (int how = 0; how < 4; how++) {
        alksec_err err = ALKSEC_OK;
        make(&m);
        size_t n = strlen(m.phrase), passphrase_n = strlen(m.passphrase);
        if (how == 0) {
            m.phrase[n - 1] = 'x'; /* an unknown word */
            err = alksec_phrase_seed(m.phrase, n, m.passphrase, passphrase_n, seed);
        } else if (how == 1) {
            n = (size_t)(strrchr(m.phrase, ' ') - m.phrase); /* a word short */
            err = alksec_phrase_seed(m.phrase, n, m.passphrase, passphrase_n, seed);
        } else if (how == 2) {
            m.passphrase[passphrase_n - 1] = '\xff';
            err = alksec_phrase_seed(m.phrase, n, m.passphrase, passphrase_n, seed);
        } else {
            struct alksec_vault *v = open_vault(NULL);
            err = alksec_vault_unlock(v, span_of(m.phrase), span_of(m.passphrase));
            alksec_vault_free(v);
        }
        assert_int_not_equal(err, ALKSEC_OK);
        alksec_wipe(&m, sizeof m);
        check_gone(&s, alksec_err_text(err));
    }
}

static void nothing_is_left_after_a_failed_derivation(void **state)
{
    (void)state;
    struct search s;
    const struct alksec_path open = {.index = {74 | ALKSEC_HARDENED, 0}, .depth = 2};
    collect(&s);
    struct alksec_vault *v = open_vault(NULL);
    use(v, &open);
    alksec_vault_lock(v);
    check_gone(&s, "an open index");
    alksec_vault_free(v);
}

/* The seed's master key on secp256k1, or NULL: built without. */
static struct alksec_key *open_xkey(void)
{
    const struct alksec_path master = {.depth = 0};
    struct alksec_key *key = NULL;
    uint8_t seed[ALKSEC_SEED];
    for (size_t i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)(i * 91 + 5);
    }
    alksec_err err = alksec_key_derive(NULL, ALKSEC_SECP256K1, seed, sizeof seed, &master, &key);
    assert_true(err == ALKSEC_OK || err == ALKSEC_E_UNSUPPORTED);
    alksec_wipe(seed, sizeof seed);
    return key;
}

/* Prints it, reads the text and one that is wrong near its end, goes a step down. */
static void use_xkey(const struct alksec_key *key)
{
    const struct alksec_path step = {.index = {ALKSEC_HARDENED}, .depth = 1};
    struct alksec_key *again = NULL, *child = NULL;
    char text[ALKSEC_XKEY_SIZE];
    check_sec(alksec_key_print_xprv(key, text), ALKSEC_OK);
    check_sec(alksec_key_parse(NULL, text, strlen(text), &again), ALKSEC_OK);
    check_sec(alksec_key_child(NULL, again, &step, &child), ALKSEC_OK);
    alksec_key_free(again);
    alksec_key_free(child);
    text[105] = text[105] == 'z' ? 'y' : 'z';
    check_sec(alksec_key_parse(NULL, text, strlen(text), &again), ALKSEC_E_XKEY_CHECKSUM);
    alksec_wipe(text, sizeof text);
}

static void nothing_is_left_of_an_extended_key(void **state)
{
    (void)state;
    struct search s = {.count = 0};
    char text[ALKSEC_XKEY_SIZE];
    struct alksec_key *key = open_xkey();
    if (key == NULL) {
        skip();
    }
    check_sec(alksec_key_print_xprv(key, text), ALKSEC_OK);
    look_for(&s, text + 16, 80);
    alksec_wipe(text, sizeof text);
    look_for(&s, alksec_key_private(key), 32);
    look_for(&s, alksec_key_chain_code(key), 32);
    assert_true(search(&s) >= 4);
    use_xkey(key);
    alksec_key_free(key);
    check_gone(&s, "an extended key");
}

/* In locked memory that is the C library's heap, so that a block that was given
 * back without being wiped is still there to be found. */
static void nothing_is_left_when_memory_runs_out(void **state)
{
    (void)state;
    struct search s;
    struct sec_memory m;
    struct alksec_path path;
    collect(&s);
    check_sec(alksec_path_identity(0, &path), ALKSEC_OK);
    for (size_t at = 1; at < 40; at++) {
        sec_memory_init(&m, at);
        const struct alksec_vault_options o = {.mem = &m.mem};
        struct alksec_vault *v = open_vault(&o);
        if (v != NULL) {
            use(v, &path);
            alksec_vault_lock(v);
        }
        if (at % 4 == 1 || at < 12) {
            check_gone(&s, "a failed allocation");
        }
        alksec_vault_free(v);
        assert_int_equal(m.live, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_what_is_there),
        cmocka_unit_test(nothing_is_left_after_lock),
        cmocka_unit_test(nothing_is_left_after_a_refused_phrase),
        cmocka_unit_test(nothing_is_left_after_a_failed_derivation),
        cmocka_unit_test(nothing_is_left_of_an_extended_key),
        cmocka_unit_test(nothing_is_left_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
