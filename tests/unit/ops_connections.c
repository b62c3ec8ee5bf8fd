/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The list of connections fits into a frame, however many there are. */
#include "base/mem.h"
#include "core/frame.h"
#include "ops/node_build.h"
#include "ops/out.h"
#include "support/check.h"

#include <stdio.h>
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
    char next[40];
};

static struct listed list(size_t limit, size_t a, size_t b, size_t b_more)
{
    struct alk_loop_status loops[2] = {{.conn_count = a}, {.conn_count = b, .conn_more = b_more}};
    struct alk_endpoint_status status = {.loops = loops, .loop_count = 2};
    struct listed ret = {.bytes = 0};
    for (size_t i = 0; i < 2; i++) {
        loops[i].conns = test_calloc(loops[i].conn_count + 1, sizeof *loops[i].conns);
        fill(loops[i].conns, loops[i].conn_count);
        for (size_t k = 0; k < loops[i].conn_count && limit < 10; k++) {
            (void)snprintf(loops[i].conns[k].log_id, sizeof loops[i].conns[k].log_id, "%zx-%zx",
                           i + 1, k + 10);
        }
    }
    struct alk_out out;
    struct alk_span text;
    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_connections(&out, &status, limit);
    alk_out_end(&out);
    check_err(alk_out_done(&out, &text), ALK_OK);
    ret.bytes = text.n;
    struct yyjson_doc *back = yyjson_read((const char *)text.p, text.n, 0);
    assert_non_null(back);
    struct yyjson_val *root = yyjson_doc_get_root(back);
    ret.values = yyjson_doc_get_val_count(back);
    ret.count = yyjson_arr_size(yyjson_obj_get(root, "connections"));
    ret.more = yyjson_get_uint(yyjson_obj_get(root, "more"));
    assert_true((yyjson_obj_get(root, "more") != NULL) == (ret.more > 0));
    assert_true((yyjson_obj_get(root, "next") != NULL) == (ret.more > 0));
    const char *next = yyjson_get_str(yyjson_obj_get(root, "next"));
    (void)snprintf(ret.next, sizeof ret.next, "%s", next == NULL ? "" : next);
    yyjson_doc_free(back);
    alk_out_fini(&out);
    test_free(loops[0].conns);
    test_free(loops[1].conns);
    return ret;
}

static void few_are_all_listed(void **state)
{
    (void)state;
    struct listed l = list(ALK_STATUS_CONNS_MAX, 0, 0, 0);
    assert_int_equal(l.count, 0);
    l = list(ALK_STATUS_CONNS_MAX, 3, 4, 0);
    assert_int_equal(l.count, 7);
    assert_int_equal(l.more, 0);
    l = list(ALK_STATUS_CONNS_MAX, ALK_STATUS_CONNS_MAX - 1, 1, 0);
    assert_int_equal(l.count, ALK_STATUS_CONNS_MAX);
    assert_int_equal(l.more, 0);
}

static void the_rest_is_counted_and_the_list_fits_a_frame(void **state)
{
    (void)state;
    struct listed l = list(ALK_STATUS_CONNS_MAX, 1000, ALK_STATUS_CONNS_MAX, 9000);
    assert_int_equal(l.count, ALK_STATUS_CONNS_MAX);
    assert_int_equal(l.more, 1000 + 9000);
    /* The frame around it, and what strict JSON allows. */
    assert_true(l.bytes < ALK_FRAME_MAX - 1024);
    assert_true(l.values < 65000);
}

static void a_page_says_where_the_next_begins(void **state)
{
    static const struct {
        size_t limit, a, b, b_more, count;
        uint64_t more;
        const char *next;
    } rows[] = {
        {2, 3, 4, 0, 2, 5, "1-b"}, {3, 3, 4, 0, 3, 4, "1-c"}, {5, 3, 4, 0, 5, 2, "2-b"},
        {7, 3, 4, 0, 7, 0, ""},    {7, 3, 4, 6, 7, 6, "2-d"}, {9, 3, 4, 6, 7, 6, "2-d"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct listed l = list(rows[i].limit, rows[i].a, rows[i].b, rows[i].b_more);
        assert_int_equal(l.count, rows[i].count);
        assert_int_equal(l.more, rows[i].more);
        assert_string_equal(l.next, rows[i].next);
    }
}

static void a_loop_that_left_some_out_holds_up_the_later_ones(void **state)
{
    struct alk_conn_status one[2];
    struct alk_loop_status loops[2] = {{.conns = one, .conn_count = 1, .conn_more = 1},
                                       {.conns = one + 1, .conn_count = 1}};
    struct alk_endpoint_status status = {.loops = loops, .loop_count = 2};
    struct alk_out out;
    struct alk_span text;
    (void)state;
    fill(one, 2);
    (void)snprintf(one[0].log_id, sizeof one[0].log_id, "1-1");
    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_connections(&out, &status, 100);
    alk_out_end(&out);
    check_err(alk_out_done(&out, &text), ALK_OK);
    assert_true(alk_span_ends(text, ALK_LIT("],\"more\":2,\"next\":\"1-1\"}")));
    alk_out_fini(&out);
}

static void only_cursors_and_limits_of_the_list_are_taken(void **state)
{
    static const struct {
        const char *in;
        bool is_page;
        uint64_t loop, serial;
        size_t limit;
    } rows[] = {
        {"{}", true, 0, 0, ALK_STATUS_CONNS_MAX},
        {"{\"limit\":1}", true, 0, 0, 1},
        {"{\"limit\":1500}", true, 0, 0, 1500},
        {"{\"cursor\":\"2-1f\"}", true, 2, 0x1f, ALK_STATUS_CONNS_MAX},
        {"{\"cursor\":\"ffffffffffffffff-0\"}", true, UINT64_MAX, 0, ALK_STATUS_CONNS_MAX},
        {"{\"limit\":0}", false, 0, 0, 0},
        {"{\"limit\":1501}", false, 0, 0, 0},
        {"{\"limit\":\"1\"}", false, 0, 0, 0},
        {"{\"limit\":-1}", false, 0, 0, 0},
        {"{\"limit\":1.5}", false, 0, 0, 0},
        {"{\"cursor\":2}", false, 0, 0, 0},
        {"{\"cursor\":\"\"}", false, 0, 0, 0},
        {"{\"cursor\":\"2\"}", false, 0, 0, 0},
        {"{\"cursor\":\"2-\"}", false, 0, 0, 0},
        {"{\"cursor\":\"-1\"}", false, 0, 0, 0},
        {"{\"cursor\":\"2-1F\"}", false, 0, 0, 0},
        {"{\"cursor\":\"2-1-1\"}", false, 0, 0, 0},
        {"{\"cursor\":\"2-11111111111111111\"}", false, 0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct yyjson_doc *doc = yyjson_read(rows[i].in, strlen(rows[i].in), 0);
        struct alk_node_page page;
        assert_int_equal(alk_node_read_page(yyjson_doc_get_root(doc), &page), rows[i].is_page);
        if (rows[i].is_page) {
            assert_int_equal(page.from.loop, rows[i].loop);
            assert_int_equal(page.from.serial, rows[i].serial);
            assert_int_equal(page.limit, rows[i].limit);
        }
        yyjson_doc_free(doc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_all_listed),
        cmocka_unit_test(the_rest_is_counted_and_the_list_fits_a_frame),
        cmocka_unit_test(a_page_says_where_the_next_begins),
        cmocka_unit_test(a_loop_that_left_some_out_holds_up_the_later_ones),
        cmocka_unit_test(only_cursors_and_limits_of_the_list_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
