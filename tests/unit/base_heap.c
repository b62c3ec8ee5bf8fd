/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/heap.h"

#include "base/rand.h"
#include "support/oom.h"

enum { NODES = 60, RUNS = 20000 };

/* The smallest key of what is in, by looking at all. */
static const struct alk_heap_node *naive_top(const struct alk_heap_node *nodes)
{
    const struct alk_heap_node *top = NULL;
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].index != 0 && (top == NULL || nodes[i].key < top->key)) {
            top = &nodes[i];
        }
    }
    return top;
}

static void check_top(const struct alk_heap *h, const struct alk_heap_node *nodes)
{
    const struct alk_heap_node *want = naive_top(nodes);
    const struct alk_heap_node *got = alk_heap_top(h);
    assert_int_equal(got == NULL, want == NULL);
    if (got != NULL && want != NULL) {
        assert_int_equal(got->key, want->key);
    }
}

static alk_err random_body(const struct alk_mem *mem, void *ctx)
{
    const int *runs = ctx;
    struct alk_heap h;
    struct alk_heap_node nodes[NODES] = {{0}};
    struct alk_prng g;
    alk_err err = ALK_OK;
    alk_heap_init(&h, mem);
    alk_prng_init(&g, 3);
    for (int run = 0; run < *runs && err == ALK_OK; run++) {
        struct alk_heap_node *node = &nodes[alk_prng_next(&g) % NODES];
        switch (alk_prng_next(&g) % 3) {
        case 0:
            alk_heap_remove(&h, node);
            break;
        default:
            err = alk_heap_set(&h, node, alk_prng_next(&g) % 40);
            break;
        }
        check_top(&h, nodes);
    }
    for (size_t n = h.n; n > 0; n--) {
        check_top(&h, nodes);
        alk_heap_remove(&h, alk_heap_top(&h));
        assert_int_equal(h.n, n - 1);
    }
    assert_null(alk_heap_top(&h));
    alk_heap_fini(&h);
    return err;
}

static void the_top_is_the_smallest_whatever_was_done(void **state)
{
    (void)state;
    int runs = RUNS;
    check_err(random_body(NULL, &runs), ALK_OK);
    runs = 300;
    oom_sweep(random_body, &runs);
}

static void reserved_inserts_cannot_fail(void **state)
{
    (void)state;
    struct test_mem t;
    struct alk_heap h;
    struct alk_heap_node nodes[NODES] = {{0}};
    test_mem_init(&t, 2);
    t.fails_on = true;
    alk_heap_init(&h, &t.mem);
    check_err(alk_heap_reserve(&h, NODES), ALK_OK);
    for (size_t i = 0; i < NODES; i++) {
        check_err(alk_heap_set(&h, &nodes[i], NODES - i), ALK_OK);
    }
    check_err(alk_heap_reserve(&h, SIZE_MAX), ALK_E_NOMEM);
    check_err(alk_heap_reserve(&h, SIZE_MAX / 16), ALK_E_NOMEM);
    assert_ptr_equal(alk_heap_top(&h), &nodes[NODES - 1]);
    alk_heap_fini(&h);
    assert_int_equal(nodes[5].index, 0);
    test_mem_check(&t);
}

static void removing_what_is_not_in_is_harmless(void **state)
{
    (void)state;
    struct alk_heap h;
    struct alk_heap_node node = {0};
    alk_heap_init(&h, NULL);
    alk_heap_remove(&h, &node);
    check_err(alk_heap_set(&h, &node, 5), ALK_OK);
    alk_heap_remove(&h, &node);
    alk_heap_remove(&h, &node);
    assert_null(alk_heap_top(&h));
    check_err(alk_heap_set(&h, &node, 6), ALK_OK);
    assert_ptr_equal(alk_heap_top(&h), &node);
    alk_heap_fini(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_top_is_the_smallest_whatever_was_done),
        cmocka_unit_test(reserved_inserts_cannot_fail),
        cmocka_unit_test(removing_what_is_not_in_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
