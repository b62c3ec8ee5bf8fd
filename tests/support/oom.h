/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/oom.h - memory that counts and fails on demand.
 *
 * test_mem counts what is allocated and not yet released, and fails allocation
 * number fail_at (1 is the first), or from there on. A zero fail_at never fails.
 */
#ifndef ALK_TEST_OOM_H
#define ALK_TEST_OOM_H

#include "support/check.h"

struct test_mem {
    struct alk_mem mem; /* hand &t.mem to the code under test */
    size_t fail_at;
    bool fails_on; /* every allocation after fail_at fails too */
    size_t allocs; /* alloc and resize calls so far */
    size_t live;   /* blocks not released */
};

/* *t must stay where it is. */
void test_mem_init(struct test_mem *t, size_t fail_at);
/* Nothing allocated is left. */
void test_mem_check(const struct test_mem *t);

/* A test body: makes objects with mem, releases them all, and returns ALK_OK, or
 * ALK_E_NOMEM when an allocation failed. */
typedef alk_err oom_fn(const struct alk_mem *mem, void *ctx);
/* Runs body once with memory enough (it must return ALK_OK), then once for each
 * of its allocations with that one failing, and once more with all later ones
 * failing too. Nothing may leak, and no other error come back. */
void oom_sweep(oom_fn *body, void *ctx);

#endif
