/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/oom.h"

static bool fails(struct test_mem *t)
{
    t->allocs++;
    return t->fail_at != 0 && (t->fails_on ? t->allocs >= t->fail_at : t->allocs == t->fail_at);
}

static void *counting_alloc(void *ctx, size_t n)
{
    struct test_mem *t = ctx;
    if (fails(t)) {
        return NULL;
    }
    void *p = malloc(n);
    t->live += p != NULL;
    return p;
}

static void *counting_resize(void *ctx, void *p, size_t n)
{
    struct test_mem *t = ctx;
    if (fails(t)) {
        return NULL;
    }
    void *q = realloc(p, n);
    t->live += p == NULL && q != NULL;
    return q;
}

static void counting_release(void *ctx, void *p)
{
    struct test_mem *t = ctx;
    if (p != NULL) {
        assert_int_not_equal(t->live, 0);
        t->live--;
    }
    free(p);
}

void test_mem_init(struct test_mem *t, size_t fail_at)
{
    *t = (struct test_mem){.mem = {counting_alloc, counting_resize, counting_release, t},
                           .fail_at = fail_at};
}

void test_mem_check(const struct test_mem *t)
{
    assert_int_equal(t->live, 0);
}

void oom_sweep(oom_fn *body, void *ctx)
{
    struct test_mem t;
    test_mem_init(&t, 0);
    check_err(body(&t.mem, ctx), ALK_OK);
    test_mem_check(&t);
    size_t allocs = t.allocs;
    for (size_t at = 1; at <= allocs; at++) {
        for (int on = 0; on < 2; on++) {
            test_mem_init(&t, at);
            t.fails_on = on == 1;
            alk_err err = body(&t.mem, ctx);
            if (err != ALK_OK && err != ALK_E_NOMEM) {
                fail_msg("allocation %zu of %zu fails: got %s", at, allocs, alk_err_name(err));
            }
            if (t.live != 0) {
                fail_msg("allocation %zu of %zu fails: %zu blocks leak", at, allocs, t.live);
            }
        }
    }
}
