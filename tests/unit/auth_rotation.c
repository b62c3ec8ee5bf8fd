/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/rotation.h"

#include "base/text.h"
#include "support/check.h"

#include <sodium.h>

/* Key i of a row of nodes: seed and public half. */
static void key_of(uint8_t i, uint8_t seed[static 32], uint8_t pub[static 32])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    memset(seed, i, 32);
    assert_int_equal(crypto_sign_seed_keypair(pub, secret, seed), 0);
}

static struct alk_rotation from_to(uint8_t old, uint8_t new, uint64_t when)
{
    struct alk_rotation r;
    uint8_t seed[32], unused[32], old_key[32], new_key[32];
    key_of(new, unused, new_key);
    key_of(old, seed, old_key);
    check_err(alk_rotation_sign(seed, new_key, when, &r), ALK_OK);
    assert_memory_equal(r.old_key, old_key, 32);
    assert_memory_equal(r.new_key, new_key, 32);
    return r;
}

static void a_statement_verifies(void **state)
{
    (void)state;
    struct alk_rotation r = from_to(1, 2, 1800000000);
    check_err(alk_rotation_verify(&r), ALK_OK);
    uint8_t seed[32], pub[32];
    key_of(1, seed, pub);
    check_err(alk_rotation_sign(seed, pub, 0, &r), ALK_E_INVALID);
}

static void a_statement_is_known_byte_for_byte(void **state)
{
    (void)state;
    /* Seeds of 32 bytes 01 and 02; Ed25519 is deterministic. Signature made with
     * `openssl pkeyutl -sign -rawin` over the first 88 bytes. */
    static const char *const want =
        "616c6b6e65742d726f746174652d310a"
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
        "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
        "000000006b49d200"
        "24e8ec833514b0049394dfa971725fd4610bbee9c6d10cb1bfd092079b3bc607"
        "e0cede4a83f28aae7052c8fc593311f0da82e572d9c862795b31c6dcff5fa004";
    struct alk_rotation r = from_to(1, 2, 1800000000);
    uint8_t bytes[ALK_ROTATION_SIZE];
    char hex[ALK_HEX_SIZE(ALK_ROTATION_SIZE)];
    alk_rotation_encode(&r, bytes);
    assert_true(alk_hex(alk_span(bytes, sizeof(bytes)), hex, sizeof(hex)));
    assert_string_equal(hex, want);
}

static void every_changed_bit_is_seen(void **state)
{
    (void)state;
    struct alk_rotation r = from_to(1, 2, 1800000000), back;
    uint8_t bytes[ALK_ROTATION_SIZE];
    alk_rotation_encode(&r, bytes);
    for (size_t i = 0; i < sizeof(bytes) * 8; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        alk_err err = alk_rotation_decode(alk_span(bytes, sizeof(bytes)), &back);
        check_err(err, i < 16 * 8 ? ALK_E_MALFORMED : ALK_OK);
        if (err == ALK_OK) {
            check_err(alk_rotation_verify(&back), ALK_E_AUTH);
        }
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

static void text_there_and_back(void **state)
{
    (void)state;
    struct alk_rotation r = from_to(1, 2, 1800000000), back;
    char text[ALK_ROTATION_TEXT_SIZE], padded[ALK_ROTATION_TEXT_SIZE + 8];
    alk_rotation_print(&r, text);
    assert_int_equal(strlen(text), ALK_ROTATION_TEXT_SIZE - 1);
    assert_null(strchr(text, '\n'));
    check_err(alk_rotation_parse(alk_span_str(text), &back), ALK_OK);
    assert_memory_equal(&r, &back, sizeof(r));
    (void)snprintf(padded, sizeof(padded), " \t%s \r\n", text);
    memset(&back, 0, sizeof(back));
    check_err(alk_rotation_parse(alk_span_str(padded), &back), ALK_OK);
    assert_memory_equal(&r, &back, sizeof(r));
}

static void what_is_no_statement(void **state)
{
    (void)state;
    struct alk_rotation r = from_to(1, 2, 1800000000), back;
    char text[ALK_ROTATION_TEXT_SIZE];
    uint8_t bytes[ALK_ROTATION_SIZE + 1] = {0};
    alk_rotation_print(&r, text);
    memset(&back, 0xa5, sizeof(back));
    struct alk_rotation before = back;

    for (size_t n = 0; n < ALK_ROTATION_TEXT_SIZE - 1; n++) {
        check_err(alk_rotation_parse(alk_span(text, n), &back), ALK_E_MALFORMED);
    }
    check_err(alk_rotation_parse(ALK_LIT("alknet-rotation:"), &back), ALK_E_MALFORMED);
    text[0] = 'A';
    check_err(alk_rotation_parse(alk_span_str(text), &back), ALK_E_MALFORMED);

    alk_rotation_encode(&r, bytes);
    check_err(alk_rotation_decode(alk_span(bytes, sizeof(bytes)), &back), ALK_E_MALFORMED);
    for (size_t n = 0; n < ALK_ROTATION_SIZE; n++) {
        check_err(alk_rotation_decode(alk_span(bytes, n), &back), ALK_E_MALFORMED);
    }
    memcpy(r.new_key, r.old_key, 32);
    alk_rotation_encode(&r, bytes);
    check_err(alk_rotation_decode(alk_span(bytes, ALK_ROTATION_SIZE), &back), ALK_E_MALFORMED);
    assert_memory_equal(&back, &before, sizeof(back));
}

static void lists(void **state)
{
    (void)state;
    struct alk_rotation list[ALK_ROTATION_CHAIN_MAX];
    char a[ALK_ROTATION_TEXT_SIZE], b[ALK_ROTATION_TEXT_SIZE], file[3000];
    struct alk_rotation ra = from_to(1, 2, 10), rb = from_to(2, 3, 20);
    size_t n = 99;
    alk_rotation_print(&ra, a);
    alk_rotation_print(&rb, b);

    check_err(alk_rotation_parse_list(ALK_LIT(""), list, &n), ALK_OK);
    assert_int_equal(n, 0);
    (void)snprintf(file, sizeof(file), "# keys of this node\n\n%s\r\n  \n%s", a, b);
    check_err(alk_rotation_parse_list(alk_span_str(file), list, &n), ALK_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(&list[0], &ra, sizeof(ra));
    assert_memory_equal(&list[1], &rb, sizeof(rb));

    (void)snprintf(file, sizeof(file), "%s\nnonsense\n", a);
    n = 99;
    check_err(alk_rotation_parse_list(alk_span_str(file), list, &n), ALK_E_MALFORMED);
    assert_int_equal(n, 99);

    size_t len = 0;
    for (int i = 0; i < ALK_ROTATION_CHAIN_MAX; i++) {
        len += (size_t)snprintf(file + len, sizeof(file) - len, "%s\n", a);
    }
    check_err(alk_rotation_parse_list(alk_span_str(file), list, &n), ALK_OK);
    assert_int_equal(n, ALK_ROTATION_CHAIN_MAX);
    (void)snprintf(file + len, sizeof(file) - len, "%s\n", a);
    check_err(alk_rotation_parse_list(alk_span_str(file), list, &n), ALK_E_LIMIT);
}

static void where_statements_lead(void **state)
{
    (void)state;
    struct alk_rotation chain[10];
    for (uint8_t i = 0; i < 10; i++) {
        chain[i] = from_to((uint8_t)(i + 1), (uint8_t)(i + 2), 100 + i);
    }
    struct alk_rotation forged = chain[1], early = from_to(2, 3, 99), loop = from_to(3, 1, 102);
    forged.signature[0] ^= 1;
    struct alk_rotation fork = from_to(1, 9, 100);

    const struct {
        const char *name;
        struct alk_rotation chain[4];
        size_t n;
        uint8_t pinned, presented;
        alk_err want;
    } cases[] = {
        {"the key that is pinned", {chain[9]}, 0, 1, 1, ALK_OK},
        {"another key and no statement", {chain[9]}, 0, 1, 2, ALK_E_KEY_CHANGED},
        {"one step", {chain[0]}, 1, 1, 2, ALK_OK},
        {"back again", {chain[0]}, 1, 2, 1, ALK_E_KEY_CHANGED},
        {"three steps", {chain[0], chain[1], chain[2]}, 3, 1, 4, ALK_OK},
        {"pinned in the middle", {chain[0], chain[1], chain[2]}, 3, 2, 4, ALK_OK},
        {"ending in the middle", {chain[0], chain[1], chain[2]}, 3, 1, 3, ALK_OK},
        {"a step missing", {chain[0], chain[2]}, 2, 1, 4, ALK_E_KEY_CHANGED},
        {"in the wrong order", {chain[1], chain[0]}, 2, 1, 3, ALK_E_KEY_CHANGED},
        {"a forged step", {chain[0], forged}, 2, 1, 3, ALK_E_AUTH},
        {"a forged step that is not on the way", {chain[0], forged}, 2, 1, 2, ALK_OK},
        {"a step before its time", {chain[0], early}, 2, 1, 3, ALK_E_KEY_CHANGED},
        {"in a circle", {chain[0], chain[1], loop, chain[0]}, 4, 1, 4, ALK_E_KEY_CHANGED},
        {"the first of two ways is gone", {fork, chain[0]}, 2, 1, 2, ALK_E_KEY_CHANGED},
        {"somebody else's statements", {chain[4], chain[5]}, 2, 1, 7, ALK_E_KEY_CHANGED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t seed[32], pinned[32], presented[32];
        key_of(cases[i].pinned, seed, pinned);
        key_of(cases[i].presented, seed, presented);
        print_message("%s\n", cases[i].name);
        check_err(alk_rotation_follow(cases[i].chain, cases[i].n, pinned, presented),
                  cases[i].want);
    }
    uint8_t seed[32], first[32], ninth[32];
    key_of(1, seed, first);
    key_of(9, seed, ninth);
    check_err(alk_rotation_follow(chain, 8, first, ninth), ALK_OK);
    check_err(alk_rotation_follow(chain, 9, first, ninth), ALK_E_LIMIT);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_rotation r;
    (void)ctx;
    if (alk_rotation_decode(in, &r) == ALK_OK) {
        assert_int_equal(in.n, ALK_ROTATION_SIZE);
    }
    assert_true(alk_rotation_parse(in, &r) <= ALK_OK);
}

static void mutations_never_crash(void **state)
{
    (void)state;
    struct alk_rotation r = from_to(1, 2, 1800000000);
    uint8_t bytes[ALK_ROTATION_SIZE];
    char text[ALK_ROTATION_TEXT_SIZE];
    alk_rotation_encode(&r, bytes);
    alk_rotation_print(&r, text);
    check_mutations(alk_span(bytes, sizeof(bytes)), look, NULL);
    check_mutations(alk_span_str(text), look, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_verifies),
        cmocka_unit_test(a_statement_is_known_byte_for_byte),
        cmocka_unit_test(every_changed_bit_is_seen),
        cmocka_unit_test(text_there_and_back),
        cmocka_unit_test(what_is_no_statement),
        cmocka_unit_test(lists),
        cmocka_unit_test(where_statements_lead),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
