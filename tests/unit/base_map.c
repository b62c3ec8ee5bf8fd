/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/map.h"

#include "base/rand.h"
#include "support/oom.h"

enum { KEYS = 300, RUNS = 60000 };

struct element {
    uint8_t key[8];
    bool is_in;
};

static struct alk_span key_of(const struct element *e)
{
    return alk_span(e->key, 1 + e->key[0] % 8u);
}

/* Keys of one to eight bytes, all different. */
static void make_elements(struct element *e)
{
    for (size_t i = 0; i < KEYS; i++) {
        e[i] = (struct element){.key = {7, (uint8_t)i, (uint8_t)(i >> 8), 1, 2, 3, 4, 5}};
    }
}

static void check_whole(const struct alk_map *m, const struct element *elements, size_t n)
{
    size_t at = 0;
    size_t seen = 0;
    const struct element *e;
    while ((e = alk_map_next(m, &at)) != NULL) {
        assert_true(e->is_in);
        seen++;
    }
    assert_int_equal(seen, n);
    assert_int_equal(m->n, n);
    assert_true(m->size == 0 || m->n <= m->size / 4 * 3);
    for (size_t i = 0; i < KEYS; i++) {
        const struct element *got = alk_map_get(m, key_of(&elements[i]));
        assert_ptr_equal(got, elements[i].is_in ? &elements[i] : NULL);
    }
}

static alk_err random_body(const struct alk_mem *mem, void *ctx)
{
    const int *runs = ctx;
    static const uint8_t seed[16] = {1, 2, 3};
    struct element *elements = calloc(KEYS, sizeof(*elements));
    struct alk_map m;
    struct alk_prng g;
    alk_err err = ALK_OK;
    size_t n = 0;
    assert_non_null(elements);
    make_elements(elements);
    alk_map_init(&m, mem, KEYS / 2, seed);
    alk_prng_init(&g, 5);
    for (int run = 0; run < *runs && err == ALK_OK; run++) {
        struct element *e = &elements[alk_prng_next(&g) % KEYS];
        uint64_t hash = alk_siphash(m.seed, key_of(e));
        bool is_hashed = alk_prng_next(&g) % 2 == 0;
        if (alk_prng_next(&g) % 2 == 0) {
            err = is_hashed ? alk_map_put_hashed(&m, key_of(e), hash, e)
                            : alk_map_put(&m, key_of(e), e);
            if (e->is_in || n == KEYS / 2) {
                check_err(err, e->is_in ? ALK_E_EXISTS : ALK_E_LIMIT);
                err = ALK_OK;
            } else if (err == ALK_OK) {
                e->is_in = true;
                n++;
            }
        } else {
            const struct element *got = is_hashed ? alk_map_remove_hashed(&m, key_of(e), hash)
                                                  : alk_map_remove(&m, key_of(e));
            assert_ptr_equal(got, e->is_in ? e : NULL);
            n -= e->is_in;
            e->is_in = false;
        }
        if (run % 256 == 0) {
            check_whole(&m, elements, n);
        }
    }
    check_whole(&m, elements, n);
    alk_map_fini(&m);
    free(elements);
    return err;
}

static void it_agrees_with_an_array_of_flags(void **state)
{
    (void)state;
    int runs = RUNS;
    check_err(random_body(NULL, &runs), ALK_OK);
    runs = 700;
    oom_sweep(random_body, &runs);
}

static void keys_are_bytes_and_the_empty_one_counts(void **state)
{
    (void)state;
    static const uint8_t seed[16] = {0};
    struct alk_map m;
    int values[3] = {0};
    alk_map_init(&m, NULL, 10, seed);
    assert_null(alk_map_get(&m, ALK_LIT("")));
    assert_null(alk_map_remove(&m, ALK_LIT("")));
    check_err(alk_map_put(&m, (struct alk_span){NULL, 0}, &values[0]), ALK_OK);
    check_err(alk_map_put(&m, alk_span("\0", 1), &values[1]), ALK_OK);
    check_err(alk_map_put(&m, alk_span("\0\0", 2), &values[2]), ALK_OK);
    check_err(alk_map_put(&m, ALK_LIT(""), &values[2]), ALK_E_EXISTS);
    assert_ptr_equal(alk_map_get(&m, ALK_LIT("")), &values[0]);
    assert_ptr_equal(alk_map_get(&m, alk_span("\0", 1)), &values[1]);
    assert_ptr_equal(alk_map_remove(&m, alk_span("\0", 1)), &values[1]);
    assert_null(alk_map_get(&m, alk_span("\0", 1)));
    assert_ptr_equal(alk_map_get(&m, alk_span("\0\0", 2)), &values[2]);
    alk_map_fini(&m);
    alk_map_fini(&m);
    assert_null(alk_map_get(&m, ALK_LIT("")));
}

static void no_entry_goes_into_a_map_of_none(void **state)
{
    (void)state;
    static const uint8_t seed[16] = {0};
    struct test_mem t;
    struct alk_map m;
    test_mem_init(&t, 0);
    alk_map_init(&m, &t.mem, 0, seed);
    check_err(alk_map_put(&m, ALK_LIT("a"), &m), ALK_E_LIMIT);
    assert_int_equal(t.allocs, 0);
    alk_map_fini(&m);
}

/* SipHash-1-3 of 00 01 02 ... under the key 00..0f: from a second implementation
 * whose 2-4 form gives the value of the SipHash paper, appendix A. */
static void siphash_has_the_known_values(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t want;
    } rows[] = {
        {0, UINT64_C(0xabac0158050fc4dc)},  {1, UINT64_C(0xc9f49bf37d57ca93)},
        {2, UINT64_C(0x82cb9b024dc7d44d)},  {3, UINT64_C(0x8bf80ab8e7ddf7fb)},
        {4, UINT64_C(0xcf75576088d38328)},  {5, UINT64_C(0xdef9d52f49533b67)},
        {6, UINT64_C(0xc50d2b50c59f22a7)},  {7, UINT64_C(0xd3927d989bb11140)},
        {8, UINT64_C(0x369095118d299a8e)},  {9, UINT64_C(0x25a48eb36c063de4)},
        {15, UINT64_C(0xd320d86d2a519956)}, {63, UINT64_C(0x9d199062b7bbb3a8)},
    };
    const uint64_t seed[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t in[64];
    for (size_t i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t *exact = malloc(rows[i].n > 0 ? rows[i].n : 1);
        assert_non_null(exact);
        memcpy(exact, in, rows[i].n);
        assert_true(alk_siphash(seed, alk_span(exact, rows[i].n)) == rows[i].want);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_an_array_of_flags),
        cmocka_unit_test(keys_are_bytes_and_the_empty_one_counts),
        cmocka_unit_test(no_entry_goes_into_a_map_of_none),
        cmocka_unit_test(siphash_has_the_known_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
