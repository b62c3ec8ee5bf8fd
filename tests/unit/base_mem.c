/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"

#include "base/ct.h"
#include "base/span.h"
#include "support/oom.h"

static void zalloc_gives_zeros_and_refuses_overflow(void **state)
{
    (void)state;
    uint8_t *p = alk_zalloc(NULL, 100, 3);
    assert_non_null(p);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(p[i], 0);
    }
    alk_free(NULL, p);
    assert_null(alk_zalloc(NULL, SIZE_MAX / 2, 3));
}

static void no_bytes_give_a_pointer_of_their_own(void **state)
{
    (void)state;
    struct test_mem t;
    test_mem_init(&t, 0);
    void *a = alk_alloc(&t.mem, 0);
    void *b = alk_resize(&t.mem, NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    alk_free(&t.mem, a);
    alk_free(&t.mem, b);
    alk_free(&t.mem, NULL);
    test_mem_check(&t);
}

static void resize_keeps_the_old_block_on_failure(void **state)
{
    (void)state;
    struct test_mem t;
    test_mem_init(&t, 2);
    uint8_t *p = alk_alloc(&t.mem, 4);
    assert_non_null(p);
    memcpy(p, "abc", 4);
    assert_null(alk_resize(&t.mem, p, 1000));
    assert_string_equal((char *)p, "abc");
    uint8_t *q = alk_resize(&t.mem, p, 1000);
    assert_non_null(q);
    assert_string_equal((char *)q, "abc");
    alk_free(&t.mem, q);
    test_mem_check(&t);
}

static uint8_t released[8];

static void keep_a_copy(void *ctx, void *p)
{
    (void)ctx;
    memcpy(released, p, sizeof(released));
    free(p);
}

static void secrets_are_wiped_before_they_are_released(void **state)
{
    (void)state;
    struct test_mem t;
    test_mem_init(&t, 0);
    struct alk_mem mem = t.mem;
    mem.release = keep_a_copy;
    uint8_t *p = alk_alloc(&mem, 8);
    assert_non_null(p);
    memcpy(p, "password", 8);
    memset(released, 0xff, sizeof(released));
    alk_free_secret(&mem, p, 8);
    for (size_t i = 0; i < sizeof(released); i++) {
        assert_int_equal(released[i], 0);
    }
    alk_free_secret(NULL, NULL, 8);
}

static alk_err dup_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    char *text = alk_strdup_span(mem, ALK_LIT("some text"));
    if (text == NULL) {
        return ALK_E_NOMEM;
    }
    assert_string_equal(text, "some text");
    alk_free(mem, text);
    char *none = alk_strdup_span(mem, (struct alk_span){NULL, 0});
    if (none == NULL) {
        return ALK_E_NOMEM;
    }
    assert_string_equal(none, "");
    alk_free(mem, none);
    return ALK_OK;
}

static void strdup_copies_spans(void **state)
{
    (void)state;
    oom_sweep(dup_body, NULL);
    const uint8_t c = 0;
    assert_null(alk_strdup_span(NULL, alk_span(&c, SIZE_MAX)));
}

static void sums_and_products_tell_of_overflow(void **state)
{
    (void)state;
    size_t v = 0;
    assert_true(alk_add_ok(&v, SIZE_MAX - 1, 1));
    assert_true(v == SIZE_MAX);
    assert_false(alk_add_ok(&v, SIZE_MAX, 1));
    assert_true(alk_mul_ok(&v, SIZE_MAX / 2, 2));
    assert_false(alk_mul_ok(&v, SIZE_MAX / 2 + 1, 2));
}

static void equal_ct_sees_every_single_bit(void **state)
{
    (void)state;
    uint8_t a[32] = {1, 2, 3};
    uint8_t b[32] = {1, 2, 3};
    assert_true(alk_equal_ct(a, b, sizeof(a)));
    assert_true(alk_equal_ct(NULL, NULL, 0));
    for (size_t i = 0; i < sizeof(a) * 8; i++) {
        b[i / 8] = (uint8_t)(b[i / 8] ^ (1U << i % 8));
        assert_false(alk_equal_ct(a, b, sizeof(a)));
        b[i / 8] = a[i / 8];
    }
    assert_true(alk_equal_ct(a, b, sizeof(a)));
}

static void wipe_zeroes_what_it_is_given_and_no_more(void **state)
{
    (void)state;
    uint8_t a[4] = {1, 2, 3, 4};
    alk_wipe(a + 1, 2);
    assert_memory_equal(a, ((uint8_t[]){1, 0, 0, 4}), 4);
    alk_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zalloc_gives_zeros_and_refuses_overflow),
        cmocka_unit_test(no_bytes_give_a_pointer_of_their_own),
        cmocka_unit_test(resize_keeps_the_old_block_on_failure),
        cmocka_unit_test(secrets_are_wiped_before_they_are_released),
        cmocka_unit_test(strdup_copies_spans),
        cmocka_unit_test(sums_and_products_tell_of_overflow),
        cmocka_unit_test(equal_ct_sees_every_single_bit),
        cmocka_unit_test(wipe_zeroes_what_it_is_given_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
