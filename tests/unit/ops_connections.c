/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The list of connections fits into a frame, however many there are. */
#include "base/mem.h"
#include "core/frame.h"
#include "ops/node_build.h"
#include "ops/out.h"
#include "support/check.h"

#include <yyjson.h>

/* The longest that each field can be: control bytes take six in JSON. */
static void fill(struct alk_conn_status *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c[i] = (struct alk_conn_status){.transport = ALK_TRANSPORT_WEBTRANSPORT,
                                        .streams_open = UINT_MAX,
                                        .streams_total = UINT64_MAX,
                                        .bytes_in = UINT64_MAX,
                                        .bytes_out = UINT64_MAX,
                                        .packets_lost = UINT64_MAX,
                                        .age = UINT64_MAX,
                                        .rtt = UINT64_MAX};
        memset(c[i].log_id, '9', sizeof c[i].log_id - 1);
        memset(c[i].alpn, 1, sizeof c[i].alpn - 1);
        memset(c[i].remote, 'f', sizeof c[i].remote - 1);
        memset(c[i].id, 'i', sizeof c[i].id - 1);
    }
}

struct listed {
    size_t bytes, values, count;
    uint64_t more;
};

static struct listed list(size_t a, size_t b, size_t b_more)
{
    struct alk_loop_status loops[2] = {{.conn_count = a}, {.conn_count = b, .conn_more = b_more}};
    struct alk_endpoint_status status = {.loops = loops, .loop_count = 2};
    struct listed ret = {.bytes = 0};
    for (size_t i = 0; i < 2; i++) {
        loops[i].conns = test_calloc(loops[i].conn_count + 1, sizeof *loops[i].conns);
        fill(loops[i].conns, loops[i].conn_count);
    }
    struct alk_out out;
    struct alk_span text;
    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_connections(&out, &status);
    alk_out_end(&out);
    check_err(alk_out_done(&out, &text), ALK_OK);
    ret.bytes = text.n;
    struct yyjson_doc *back = yyjson_read((const char *)text.p, text.n, 0);
    assert_non_null(back);
    ret.values = yyjson_doc_get_val_count(back);
    ret.count = yyjson_arr_size(yyjson_obj_get(yyjson_doc_get_root(back), "connections"));
    ret.more = yyjson_get_uint(yyjson_obj_get(yyjson_doc_get_root(back), "more"));
    assert_true((yyjson_obj_get(yyjson_doc_get_root(back), "more") != NULL) == (ret.more > 0));
    yyjson_doc_free(back);
    alk_out_fini(&out);
    test_free(loops[0].conns);
    test_free(loops[1].conns);
    return ret;
}

static void few_are_all_listed(void **state)
{
    (void)state;
    struct listed l = list(0, 0, 0);
    assert_int_equal(l.count, 0);
    l = list(3, 4, 0);
    assert_int_equal(l.count, 7);
    assert_int_equal(l.more, 0);
    l = list(ALK_STATUS_CONNS_MAX - 1, 1, 0);
    assert_int_equal(l.count, ALK_STATUS_CONNS_MAX);
    assert_int_equal(l.more, 0);
}

static void the_rest_is_counted_and_the_list_fits_a_frame(void **state)
{
    (void)state;
    struct listed l = list(1000, ALK_STATUS_CONNS_MAX, 9000);
    assert_int_equal(l.count, ALK_STATUS_CONNS_MAX);
    assert_int_equal(l.more, 1000 + 9000);
    /* The frame around it, and what strict JSON allows. */
    assert_true(l.bytes < ALK_FRAME_MAX - 1024);
    assert_true(l.values < 65000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_all_listed),
        cmocka_unit_test(the_rest_is_counted_and_the_list_fits_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
