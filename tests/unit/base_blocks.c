/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/blocks.h"

#include "support/oom.h"

static void the_block_given_back_last_is_taken_next(void **state)
{
    (void)state;
    struct test_mem c;
    struct alk_blocks b;
    test_mem_init(&c, 0);
    alk_blocks_init(&b, &c.mem, 8);
    void *one = alk_blocks_take(&b, &c.mem, 300);
    void *two = alk_blocks_take(&b, &c.mem, 384);
    alk_blocks_give(&b, &c.mem, one, 300);
    alk_blocks_give(&b, &c.mem, two, 384);
    assert_ptr_equal(alk_blocks_take(&b, &c.mem, 257), two);
    assert_ptr_equal(alk_blocks_take(&b, &c.mem, 257), one);
    void *other = alk_blocks_take(&b, &c.mem, 385); /* of another size */
    assert_int_equal(c.allocs, 3);
    alk_blocks_give(&b, &c.mem, one, 257);
    alk_blocks_give(&b, &c.mem, two, 257);
    alk_blocks_give(&b, &c.mem, other, 385);
    alk_blocks_fini(&b);
    test_mem_check(&c);
}

static void no_more_than_the_limit_is_kept(void **state)
{
    (void)state;
    struct test_mem c;
    struct alk_blocks b;
    void *p[5];
    test_mem_init(&c, 0);
    alk_blocks_init(&b, &c.mem, 2);
    for (size_t i = 0; i < 5; i++) {
        p[i] = alk_blocks_take(&b, &c.mem, 1000);
        memset(p[i], 0xa5, alk_blocks_size(1000));
    }
    for (size_t i = 0; i < 5; i++) {
        alk_blocks_give(&b, &c.mem, p[i], 1000);
    }
    assert_int_equal(c.live, 2);
    alk_blocks_fini(&b);
    test_mem_check(&c);
}

static void large_ones_and_those_of_another_memory_are_not_kept(void **state)
{
    (void)state;
    struct test_mem c, other;
    struct alk_blocks b;
    test_mem_init(&c, 0);
    test_mem_init(&other, 0);
    alk_blocks_init(&b, &c.mem, 8);
    assert_int_equal(alk_blocks_size(4096), 4096);
    assert_int_equal(alk_blocks_size(4097), 4097);
    alk_blocks_give(&b, &c.mem, alk_blocks_take(&b, &c.mem, 4097), 4097);
    alk_blocks_give(&b, &other.mem, alk_blocks_take(&b, &other.mem, 256), 256);
    alk_blocks_give(NULL, &c.mem, alk_blocks_take(NULL, &c.mem, 256), 256);
    alk_blocks_give(&b, &c.mem, NULL, 256);
    assert_int_equal(c.live, 0);
    assert_int_equal(other.live, 0);
    alk_blocks_fini(&b);
}

static void a_block_has_at_least_what_was_asked_for(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 5000; n++) {
        size_t size = alk_blocks_size(n);
        assert_true(size >= n && (size <= 256 || size <= n + n / 2 + 1));
        assert_int_equal(alk_blocks_size(size), size); /* the same, asked by its size */
    }
}

static alk_err take_body(const struct alk_mem *mem, void *ctx)
{
    struct alk_blocks b;
    (void)ctx;
    alk_blocks_init(&b, mem, 4);
    void *p = alk_blocks_take(&b, mem, 700);
    alk_blocks_give(&b, mem, p, 700);
    alk_blocks_fini(&b);
    return p == NULL ? ALK_E_NOMEM : ALK_OK;
}

static void without_memory_there_is_no_block(void **state)
{
    (void)state;
    oom_sweep(take_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_given_back_last_is_taken_next),
        cmocka_unit_test(no_more_than_the_limit_is_kept),
        cmocka_unit_test(large_ones_and_those_of_another_memory_are_not_kept),
        cmocka_unit_test(a_block_has_at_least_what_was_asked_for),
        cmocka_unit_test(without_memory_there_is_no_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
