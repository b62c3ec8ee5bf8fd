/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The transmit queue against a naive model, and the routing table. */
#include "base/mem.h"
#include "base/rand.h"
#include "core/memconn.h"
#include "core/router.h"
#include "core/txq.h"
#include "support/oom.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_MAX ((size_t)1 << 20)

static void check_vec(const struct alk_txq *q, const uint8_t *model)
{
    struct alk_span vec[64];
    size_t count = alk_txq_vec(q, vec, 64);
    uint64_t at = q->sent;
    for (size_t i = 0; i < count; i++) {
        assert_true(vec[i].n > 0);
        assert_memory_equal(vec[i].p, model + at, vec[i].n);
        at += vec[i].n;
    }
    assert_true(count == 64 || at == q->end);
}

static void random_writes_sends_and_acks_match_a_flat_array(void **state)
{
    (void)state;
    uint8_t *model = malloc(MODEL_MAX);
    assert_non_null(model);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct alk_prng g;
        struct test_mem t;
        alk_prng_init(&g, seed);
        test_mem_init(&t, 0);
        struct alk_rand r = alk_prng_rand(&g);
        struct alk_txq q = {0};
        while (q.end < MODEL_MAX - 70000) {
            size_t n = (size_t)alk_rand_below(&r, alk_rand_below(&r, 4) == 0 ? 60000 : 300);
            alk_rand_fill(&r, model + q.end, n);
            struct alk_span data = alk_span(model + q.end, n);
            if (alk_rand_below(&r, 5) == 0 && n > 0) {
                struct alk_chunk *c = alk_chunk_new(&t.mem, n + 10);
                memcpy(alk_chunk_data(c) + 10, data.p, n);
                check_err(alk_txq_link(&q, &t.mem, c, 10, n), ALK_OK);
                alk_chunk_unref(c);
            } else {
                check_err(alk_txq_copy(&q, &t.mem, data), ALK_OK);
            }
            alk_txq_sent(&q, (size_t)alk_rand_below(&r, alk_txq_unsent(&q) + 1));
            check_vec(&q, model);
            alk_txq_acked(&q, &t.mem, q.acked + alk_rand_below(&r, q.sent - q.acked + 1));
            assert_true(q.acked <= q.sent && q.sent <= q.end);
            check_vec(&q, model);
        }
        alk_txq_sent(&q, (size_t)alk_txq_unsent(&q));
        alk_txq_acked(&q, &t.mem, q.end);
        assert_null(q.head); /* an idle stream holds nothing */
        alk_txq_fini(&q, &t.mem);
        test_mem_check(&t);
    }
    free(model);
}

static alk_err copy_and_link(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_txq q = {0};
    static const uint8_t bytes[5000];
    alk_err err = alk_txq_copy(&q, mem, alk_span(bytes, 100));
    uint64_t before = q.end;
    if (err == ALK_OK) {
        err = alk_txq_copy(&q, mem, alk_span(bytes, sizeof bytes));
        assert_true(err == ALK_OK || q.end == before); /* all or nothing */
    }
    struct alk_chunk *c = err == ALK_OK ? alk_chunk_new(mem, 10) : NULL;
    if (err == ALK_OK) {
        err = c == NULL ? ALK_E_NOMEM : alk_txq_link(&q, mem, c, 0, 10);
    }
    alk_chunk_unref(c);
    alk_txq_fini(&q, mem);
    return err;
}

static void a_failed_allocation_queues_nothing_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(copy_and_link, NULL);
}

/* --- routes --------------------------------------------------------------------------- */

static struct alk_service *service(const struct alk_alpn *alpns, size_t n)
{
    struct alk_service *s = calloc(1, sizeof *s);
    assert_non_null(s);
    atomic_init(&s->refs, 1);
    s->alpns = calloc(n + 1, sizeof *alpns);
    assert_non_null(s->alpns);
    memcpy(s->alpns, alpns, n * sizeof *alpns);
    s->alpn_count = n;
    return s;
}

static void forty_alpns_are_found_each_on_its_transports(void **state)
{
    (void)state;
    struct alk_service *services[40];
    char names[40][16];
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(names[i], sizeof names[i], "svc/%zu", i * 7919 % 1000);
        struct alk_alpn a = {names[i], i % 2 == 0 ? ALK_TRANSPORT_QUIC : ALK_TRANSPORT_TLS};
        services[i] = service(&a, 1);
    }
    struct alk_routes *routes;
    const struct alk_service *a = NULL;
    const struct alk_service *b = NULL;
    check_err(alk_routes_new(NULL, services, 40, &routes, &a, &b), ALK_OK);
    for (size_t i = 0; i < 40; i++) {
        struct alk_span name = alk_span_str(names[i]);
        bool is_quic = i % 2 == 0;
        assert_ptr_equal(alk_routes_find(routes, name, ALK_TRANSPORT_QUIC),
                         is_quic ? services[i] : NULL);
        assert_ptr_equal(alk_routes_find(routes, name, ALK_TRANSPORT_TLS),
                         is_quic ? NULL : services[i]);
    }
    assert_null(alk_routes_find(routes, ALK_LIT("svc"), ALK_TRANSPORT_QUIC));
    assert_null(alk_routes_find(routes, ALK_LIT(""), ALK_TRANSPORT_QUIC));
    assert_null(alk_routes_find(routes, ALK_LIT("svc/99999"), ALK_TRANSPORT_QUIC));
    alk_routes_unref(routes);
    for (size_t i = 0; i < 40; i++) {
        alk_service_unref(services[i]);
    }
}

static void one_name_on_two_transports_is_two_routes_and_an_overlap_is_an_error(void **state)
{
    (void)state;
    struct alk_alpn quic = {"same", ALK_TRANSPORT_QUIC};
    struct alk_alpn tls = {"same", ALK_TRANSPORT_TLS};
    struct alk_alpn both = {"same", ALK_TRANSPORT_QUIC | ALK_TRANSPORT_TLS};
    struct alk_service *s[3] = {service(&quic, 1), service(&tls, 1), service(&both, 1)};
    struct alk_routes *routes;
    const struct alk_service *a = NULL;
    const struct alk_service *b = NULL;
    check_err(alk_routes_new(NULL, s, 2, &routes, &a, &b), ALK_OK);
    assert_ptr_equal(alk_routes_find(routes, ALK_LIT("same"), ALK_TRANSPORT_QUIC), s[0]);
    assert_ptr_equal(alk_routes_find(routes, ALK_LIT("same"), ALK_TRANSPORT_TLS), s[1]);
    alk_routes_unref(routes);
    check_err(alk_routes_new(NULL, s, 3, &routes, &a, &b), ALK_E_EXISTS);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(atomic_load(&s[i]->refs), 1);
        alk_service_unref(s[i]);
    }
}

struct retired {
    unsigned count;
};

static void on_retire(struct alk_service *s, void *ctx)
{
    ((struct retired *)ctx)->count++;
    alk_service_free(s);
}

static void a_service_is_retired_once_when_the_last_reference_goes(void **state)
{
    (void)state;
    struct retired r = {0};
    struct alk_alpn name = {"x", ALK_TRANSPORT_ANY};
    struct alk_service *s = service(&name, 1);
    s->retire = on_retire;
    s->retire_ctx = &r;
    struct alk_routes *routes;
    const struct alk_service *a;
    const struct alk_service *b;
    check_err(alk_routes_new(NULL, &s, 1, &routes, &a, &b), ALK_OK);
    alk_service_unref(s);
    assert_int_equal(r.count, 0);
    alk_routes_unref(routes);
    assert_int_equal(r.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_writes_sends_and_acks_match_a_flat_array),
        cmocka_unit_test(a_failed_allocation_queues_nothing_and_leaks_nothing),
        cmocka_unit_test(forty_alpns_are_found_each_on_its_transports),
        cmocka_unit_test(one_name_on_two_transports_is_two_routes_and_an_overlap_is_an_error),
        cmocka_unit_test(a_service_is_retired_once_when_the_last_reference_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
