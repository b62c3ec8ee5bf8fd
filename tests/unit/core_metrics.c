/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/metrics.h"

#include "core/endpoint.h"
#include "core/router.h"
#include "support/check.h"

static bool holds(const struct alk_buf *b, const char *line)
{
    struct alk_span rest = alk_buf_span(b);
    while (rest.n > 0) {
        if (alk_span_is(alk_span_cut(&rest, '\n'), line)) {
            return true;
        }
    }
    return false;
}

static uint64_t count_of(const struct alk_histogram *h, size_t i)
{
    return atomic_load(&h->counts[i]);
}

static void a_time_falls_into_the_bucket_that_holds_it(void **state)
{
    (void)state;
    static const struct {
        alk_time time;
        size_t bucket;
    } cases[] = {{0, 0},
                 {ALK_MS, 0},
                 {ALK_MS + 1, 1},
                 {500 * ALK_MS, 4},
                 {3600 * ALK_SECOND, 9},
                 {3600 * ALK_SECOND + 1, 10},
                 {ALK_NEVER, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alk_histogram h = {0};
        alk_histogram_add(&h, cases[i].time);
        for (size_t k = 0; k < ALK_HISTOGRAM_BUCKETS; k++) {
            assert_int_equal(count_of(&h, k), k == cases[i].bucket);
        }
        assert_int_equal(atomic_load(&h.sum_us), cases[i].time / ALK_US);
    }
}

struct scene {
    struct alk_loop_status loops[2];
    struct alk_service service;
    struct alk_service *services[1];
    struct alk_endpoint_status status;
    struct alk_routes routes;
};

static void scene_init(struct scene *s)
{
    *s = (struct scene){.services = {NULL}};
    s->loops[0].quic.retries_sent = 7;
    s->loops[1].connections = 3;
    s->status = (struct alk_endpoint_status){.loops = s->loops,
                                             .loop_count = 2,
                                             .auth_failures = 5,
                                             .reloads_failed = 1,
                                             .audit_lost = 9};
    (void)snprintf(s->service.name, sizeof s->service.name, "a\"b\\c");
    s->services[0] = &s->service;
    s->routes.services = s->services;
    s->routes.service_count = 1;
    atomic_store(&s->service.streams_total, 42);
    alk_histogram_add(&s->service.stream_times, 2 * ALK_MS);
    alk_histogram_add(&s->service.stream_times, 3 * ALK_SECOND);
}

static void the_page_is_what_prometheus_reads(void **state)
{
    (void)state;
    struct scene s;
    struct alk_buf b;
    scene_init(&s);
    alk_buf_init(&b, NULL, (size_t)1 << 20);
    check_err(alk_metrics_print(&s.status, &s.routes, &b), ALK_OK);
    assert_true(holds(&b, "# TYPE alknet_service_stream_seconds histogram"));
    assert_true(holds(&b, "alknet_auth_failures_total 5"));
    assert_true(holds(&b, "alknet_audit_lost_total 9"));
    assert_true(holds(&b, "alknet_reloads_total{result=\"failed\"} 1"));
    assert_true(holds(&b, "alknet_connections{loop=\"1\"} 3"));
    assert_true(holds(&b, "alknet_quic_retries_sent_total{loop=\"0\"} 7"));
    assert_true(holds(&b, "alknet_service_streams_total{service=\"a\\\"b\\\\c\"} 42"));
    /* Cumulative, as the format wants it. */
#define BUCKET(le) "alknet_service_stream_seconds_bucket{service=\"a\\\"b\\\\c\",le=\"" le "\"} "
    assert_true(holds(&b, BUCKET("0.001") "0"));
    assert_true(holds(&b, BUCKET("0.005") "1"));
    assert_true(holds(&b, BUCKET("2.5") "1"));
    assert_true(holds(&b, BUCKET("10") "2"));
    assert_true(holds(&b, BUCKET("+Inf") "2"));
    assert_true(holds(&b, "alknet_service_stream_seconds_sum{service=\"a\\\"b\\\\c\"} 3.002000"));
    assert_true(holds(&b, "alknet_service_stream_seconds_count{service=\"a\\\"b\\\\c\"} 2"));
    alk_buf_fini(&b);
}

static void a_page_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s);
    for (size_t max = 0; max < 4000; max += 97) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, max);
        check_err(alk_metrics_print(&s.status, &s.routes, &b), ALK_E_TOO_BIG);
        alk_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_time_falls_into_the_bucket_that_holds_it),
        cmocka_unit_test(the_page_is_what_prometheus_reads),
        cmocka_unit_test(a_page_that_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
