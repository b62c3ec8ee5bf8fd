/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_test.h"

#include <pthread.h>

#define PHRASE "legal winner thank year wave sausage worth useful legal winner thank yellow"
#define HOUR   (UINT64_C(3600) * 1000000000)

static const struct alksec_span none;

static struct alksec_vault *unlocked(const struct alksec_vault_options *o)
{
    struct alksec_vault *v;
    check_sec(alksec_vault_new(o, &v), ALKSEC_OK);
    check_sec(alksec_vault_unlock(v, SPAN(PHRASE), none), ALKSEC_OK);
    return v;
}

static struct alksec_path node(uint32_t n)
{
    struct alksec_path path;
    check_sec(alksec_path_identity(n, &path), ALKSEC_OK);
    return path;
}

static void touch(struct alksec_vault *v, uint64_t now, uint32_t n)
{
    const struct alksec_path path = node(n);
    struct alksec_key *key;
    check_sec(alksec_vault_derive(v, now, ALKSEC_ED25519, &path, &key), ALKSEC_OK);
    alksec_key_free(key);
}

static void a_locked_vault_gives_nothing(void **state)
{
    (void)state;
    struct alksec_vault *v;
    struct alksec_key *key = NULL;
    const struct alksec_path path = node(0);
    char text[512];
    uint8_t out[64];
    size_t n = 0;

    check_sec(alksec_vault_new(NULL, &v), ALKSEC_OK);
    for (int round = 0; round < 2; round++) {
        assert_false(alksec_vault_is_unlocked(v));
        check_sec(alksec_vault_derive(v, 0, ALKSEC_ED25519, &path, &key), ALKSEC_E_LOCKED);
        check_sec(alksec_vault_encrypt(v, 0, 2, SPAN("x"), none, text, sizeof text, &n),
                  ALKSEC_E_LOCKED);
        check_sec(alksec_vault_unlock(v, SPAN(PHRASE), none), ALKSEC_OK);
        check_sec(alksec_vault_unlock(v, SPAN(PHRASE), none), ALKSEC_E_STATE);
        check_sec(alksec_vault_encrypt(v, 0, 2, SPAN("x"), none, text, sizeof text, &n), ALKSEC_OK);
        alksec_vault_lock(v);
        assert_int_equal(alksec_vault_cached(v), 0);
        const struct alksec_span blob = {text, n};
        check_sec(alksec_vault_decrypt(v, 0, blob, none, out, sizeof out, &n), ALKSEC_E_LOCKED);
        check_sec(alksec_vault_rotate(v, 0, 3, blob, text, sizeof text, &n), ALKSEC_E_LOCKED);
    }
    check_sec(alksec_vault_unlock(v, SPAN("legal winner"), none), ALKSEC_E_COUNT);
    assert_false(alksec_vault_is_unlocked(v));
    alksec_vault_free(v);
}

static void a_fresh_phrase_unlocks_again(void **state)
{
    (void)state;
    char phrase[ALKSEC_PHRASE_SIZE];
    struct alksec_vault *v;
    struct alksec_key *a, *b;
    const struct alksec_path path = node(1);

    check_sec(alksec_vault_new(NULL, &v), ALKSEC_OK);
    check_sec(alksec_vault_unlock_new(v, 13, none, phrase), ALKSEC_E_COUNT);
    check_sec(alksec_vault_unlock_new(v, 24, SPAN("pass"), phrase), ALKSEC_OK);
    check_sec(alksec_vault_derive(v, 0, ALKSEC_ED25519, &path, &a), ALKSEC_OK);
    alksec_vault_lock(v);
    const struct alksec_span text = {phrase, strlen(phrase)};
    check_sec(alksec_vault_unlock(v, text, SPAN("pass")), ALKSEC_OK);
    check_sec(alksec_vault_derive(v, 0, ALKSEC_ED25519, &path, &b), ALKSEC_OK);
    assert_memory_equal(alksec_key_private(a), alksec_key_private(b), 32);
    alksec_vault_lock(v);
    alksec_key_free(b);
    check_sec(alksec_vault_unlock(v, text, SPAN("other")), ALKSEC_OK);
    check_sec(alksec_vault_derive(v, 0, ALKSEC_ED25519, &path, &b), ALKSEC_OK);
    assert_memory_not_equal(alksec_key_private(a), alksec_key_private(b), 32);
    alksec_key_free(a);
    alksec_key_free(b);
    alksec_vault_free(v);
}

static void a_key_is_forgotten_after_its_time(void **state)
{
    (void)state;
    struct alksec_vault *v = unlocked(NULL);
    touch(v, 5, 0);
    touch(v, 5 + HOUR - 1, 0);
    assert_int_equal(alksec_vault_cached(v), 1);
    touch(v, 5 + HOUR - 1, 1);
    assert_int_equal(alksec_vault_cached(v), 2);
    touch(v, 5 + HOUR, 1); /* 0 is too old by now */
    assert_int_equal(alksec_vault_cached(v), 1);
    touch(v, 4, 2); /* a clock that goes back keeps nothing */
    assert_int_equal(alksec_vault_cached(v), 1);
    alksec_vault_free(v);
}

static void the_least_recently_used_key_goes_first(void **state)
{
    (void)state;
    const struct alksec_vault_options o = {.cache = 2};
    struct alksec_vault *v = unlocked(NULL), *small = unlocked(&o);
    for (uint32_t i = 0; i < 200; i++) {
        touch(v, i, i);
        assert_int_equal(alksec_vault_cached(v), i < 64 ? i + 1 : 64);
    }
    touch(small, 10, 0);
    touch(small, 20, 1);
    touch(small, 30, 0);
    touch(small, 40, 2);          /* 1 goes */
    touch(small, 10 + HOUR, 100); /* 0, made at 10, is too old; 2 stays, 100 comes */
    assert_int_equal(alksec_vault_cached(small), 2);
    touch(small, 11 + HOUR, 2);
    touch(small, 40 + HOUR, 100); /* had 1 stayed instead of 2, it would be gone at 20 + HOUR */
    assert_int_equal(alksec_vault_cached(small), 1);
    alksec_vault_free(v);
    alksec_vault_free(small);
}

static void a_vault_without_cache_works_too(void **state)
{
    (void)state;
    const struct alksec_vault_options o = {.has_no_cache = true}, big = {.cache = 65};
    struct alksec_vault *v = unlocked(&o), *refused = NULL;
    char text[512];
    uint8_t out[256];
    size_t n;
    check_sec(alksec_vault_encrypt(v, 0, 9, SPAN("abc"), none, text, sizeof text, &n), ALKSEC_OK);
    check_sec(alksec_vault_decrypt(v, 0, (struct alksec_span){text, n}, none, out, sizeof out, &n),
              ALKSEC_OK);
    assert_memory_equal(out, "abc", 3);
    touch(v, 0, 0);
    assert_int_equal(alksec_vault_cached(v), 0);
    check_sec(alksec_vault_new(&big, &refused), ALKSEC_E_INVALID);
    alksec_vault_free(v);
    alksec_vault_free(NULL);
}

static void a_value_moves_to_another_version(void **state)
{
    (void)state;
    struct alksec_vault *v = unlocked(NULL);
    char old[512], fresh[600];
    uint8_t out[256];
    uint32_t version = 0;
    size_t n, fresh_n, out_n;

    check_sec(alksec_vault_encrypt(v, 0, 2, SPAN("token"), SPAN("a.b"), old, sizeof old, &n),
              ALKSEC_OK);
    const struct alksec_span blob = {old, n};
    check_sec(alksec_vault_rotate(v, 0, 1, blob, fresh, sizeof fresh, &fresh_n), ALKSEC_E_VERSION);
    check_sec(alksec_vault_rotate(v, 0, 3, blob, fresh, 10, &fresh_n), ALKSEC_E_TOO_BIG);
    check_sec(alksec_vault_rotate(v, 0, 3, blob, fresh, n + 64, &fresh_n), ALKSEC_OK);
    const struct alksec_span moved = {fresh, fresh_n};
    check_sec(alksec_blob_version(NULL, moved, &version), ALKSEC_OK);
    assert_int_equal(version, 3);
    check_sec(alksec_vault_decrypt(v, 0, moved, SPAN("a.b"), out, sizeof out, &out_n), ALKSEC_OK);
    assert_memory_equal(out, "token", 5);
    check_sec(alksec_vault_decrypt(v, 0, moved, SPAN("a.c"), out, sizeof out, &out_n),
              ALKSEC_E_OPEN);
    alksec_vault_free(v);
}

static alksec_err whole_life(const struct alksec_mem *mem)
{
    const struct alksec_vault_options o = {.mem = mem};
    const struct alksec_path path = node(0);
    struct alksec_vault *v = NULL;
    struct alksec_key *key = NULL;
    char text[512], fresh[600];
    uint8_t out[256];
    size_t n = 0;

    alksec_err err = alksec_vault_new(&o, &v);
    if (err == ALKSEC_OK) {
        err = alksec_vault_unlock(v, SPAN(PHRASE), none);
    }
    if (err == ALKSEC_OK) {
        err = alksec_vault_derive(v, 0, ALKSEC_ED25519, &path, &key);
    }
    if (err == ALKSEC_OK) {
        alksec_key_free(key);
        err = alksec_vault_encrypt(v, 0, 2, SPAN("x"), SPAN("a"), text, sizeof text, &n);
    }
    if (err == ALKSEC_OK) {
        err = alksec_vault_rotate(v, 0, 3, (struct alksec_span){text, n}, fresh, sizeof fresh, &n);
    }
    if (err == ALKSEC_OK) {
        err = alksec_vault_decrypt(v, 0, (struct alksec_span){fresh, n}, none, out, sizeof out, &n);
    }
    alksec_vault_free(v);
    return err;
}

static void no_memory_is_an_error_and_no_leak(void **state)
{
    (void)state;
    sec_sweep(whole_life);
}

struct crowd {
    struct alksec_vault *vault;
    unsigned wrong;
};

static void *use_it(void *arg)
{
    struct crowd *c = arg;
    for (uint32_t i = 0; i < 50; i++) {
        const struct alksec_path path = {.index = {i % 7 | ALKSEC_HARDENED}, .depth = 1};
        struct alksec_key *key = NULL;
        char text[512];
        uint8_t out[256];
        size_t n = 0;
        alksec_err err = alksec_vault_derive(c->vault, i, ALKSEC_ED25519, &path, &key);
        c->wrong += err != ALKSEC_OK && err != ALKSEC_E_LOCKED;
        alksec_key_free(key);
        err =
            alksec_vault_encrypt(c->vault, i, 2 + i % 5, SPAN("abc"), none, text, sizeof text, &n);
        c->wrong += err != ALKSEC_OK && err != ALKSEC_E_LOCKED;
        if (err == ALKSEC_OK) {
            err = alksec_vault_decrypt(c->vault, i, (struct alksec_span){text, n}, none, out,
                                       sizeof out, &n);
            c->wrong += err != ALKSEC_OK && err != ALKSEC_E_LOCKED;
            c->wrong += err == ALKSEC_OK && memcmp(out, "abc", 3) != 0;
        }
    }
    return NULL;
}

static void threads_take_turns(void **state)
{
    (void)state;
    struct crowd crowds[4];
    pthread_t threads[4];
    struct alksec_vault *v = unlocked(NULL);
    for (size_t i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){.vault = v};
        assert_int_equal(pthread_create(&threads[i], NULL, use_it, &crowds[i]), 0);
    }
    for (int i = 0; i < 5; i++) {
        alksec_vault_lock(v);
        check_sec(alksec_vault_unlock(v, SPAN(PHRASE), none), ALKSEC_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(crowds[i].wrong, 0);
    }
    alksec_vault_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_locked_vault_gives_nothing),
        cmocka_unit_test(a_fresh_phrase_unlocks_again),
        cmocka_unit_test(a_key_is_forgotten_after_its_time),
        cmocka_unit_test(the_least_recently_used_key_goes_first),
        cmocka_unit_test(a_vault_without_cache_works_too),
        cmocka_unit_test(a_value_moves_to_another_version),
        cmocka_unit_test(no_memory_is_an_error_and_no_leak),
        cmocka_unit_test(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
