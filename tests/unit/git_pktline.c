/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets of git's framing: read whole, read in pieces, written. */
#include "git/proto/pktline.h"

#include <stdio.h>

#include "support/oom.h"
#include "support/vector.h"

/* Every kind once; data with and without LF, and of no length. */
#define CONVERSATION                                                                               \
    "0009hello0000000bline 1\n0001"                                                                \
    "00040002"                                                                                     \
    "0008\0\xff"                                                                                   \
    "0a"                                                                                           \
    "0007abc"

static struct alk_span conversation(void)
{
    return ALK_LIT(CONVERSATION);
}

static alk_err parse(struct alk_rd *r, void *ret)
{
    return alk_git_pkt_parse(r, ret);
}

static void lengths_are_taken_or_refused(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
        enum alk_git_pkt_kind kind;
        const char *data;
    } rows[] = {
        {"0000", ALK_OK, ALK_GIT_PKT_FLUSH, ""},
        {"0001", ALK_OK, ALK_GIT_PKT_DELIM, ""},
        {"0002", ALK_OK, ALK_GIT_PKT_RESPONSE_END, ""},
        {"0003", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"0004", ALK_OK, ALK_GIT_PKT_DATA, ""},
        {"0005a", ALK_OK, ALK_GIT_PKT_DATA, "a"},
        {"000Ahello\n", ALK_OK, ALK_GIT_PKT_DATA, "hello\n"},
        {"fff1", ALK_E_TOO_BIG, ALK_GIT_PKT_DATA, ""},
        {"ffff", ALK_E_TOO_BIG, ALK_GIT_PKT_DATA, ""},
        {"g", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"00 5a", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"-001", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"0x05a", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"PACK", ALK_E_MALFORMED, ALK_GIT_PKT_DATA, ""},
        {"", ALK_MORE, ALK_GIT_PKT_DATA, ""},
        {"000", ALK_MORE, ALK_GIT_PKT_DATA, ""},
        {"0006a", ALK_MORE, ALK_GIT_PKT_DATA, ""},
        {"fff0", ALK_MORE, ALK_GIT_PKT_DATA, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_pkt pkt = {0};
        struct alk_rd r = alk_rd(alk_span_str(rows[i].in));
        check_err(alk_git_pkt_parse(&r, &pkt), rows[i].want);
        if (rows[i].want == ALK_OK) {
            assert_int_equal(pkt.kind, rows[i].kind);
            check_text(pkt.data, rows[i].data);
            assert_int_equal(alk_rd_left(&r), 0);
        }
    }
}

static void a_prefix_of_a_packet_waits_for_more(void **state)
{
    (void)state;
    check_prefixes(ALK_LIT("0009hello"), parse, sizeof(struct alk_git_pkt));
    check_prefixes(ALK_LIT("0004"), parse, sizeof(struct alk_git_pkt));
    check_prefixes(ALK_LIT("0001"), parse, sizeof(struct alk_git_pkt));
}

static void the_largest_packet_is_read_and_written(void **state)
{
    uint8_t *data = malloc(ALK_GIT_PKT_DATA_MAX + 1);
    struct alk_git_pkt pkt;
    struct alk_buf b;
    (void)state;
    assert_non_null(data);
    memset(data, 'x', ALK_GIT_PKT_DATA_MAX + 1);
    alk_buf_init(&b, NULL, 200000);
    check_err(alk_git_pkt_put(&b, alk_span(data, ALK_GIT_PKT_DATA_MAX)), ALK_OK);
    check_text(alk_span_head(alk_buf_span(&b), 5), "fff0x");
    struct alk_rd r = alk_rd(alk_buf_span(&b));
    check_err(alk_git_pkt_parse(&r, &pkt), ALK_OK);
    assert_int_equal(pkt.data.n, ALK_GIT_PKT_DATA_MAX);
    /* One byte more, in one part or with the LF, is refused and leaves nothing behind. */
    check_err(alk_git_pkt_put(&b, alk_span(data, ALK_GIT_PKT_DATA_MAX + 1)), ALK_E_TOO_BIG);
    check_err(alk_git_pkt_put_line(&b, alk_span(data, ALK_GIT_PKT_DATA_MAX)), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), ALK_GIT_PKT_MAX);
    check_err(b.err, ALK_OK);
    alk_buf_fini(&b);
    free(data);
}

static void trace_packet(struct alk_buf *trace, enum alk_git_pkt_kind kind, struct alk_span data)
{
    check_err(alk_buf_printf(trace, "%d ", (int)kind), ALK_OK);
    check_err(alk_buf_put(trace, data), ALK_OK);
    check_err(alk_buf_put_str(trace, "|"), ALK_OK);
}

static void feed_reader(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    struct alk_git_pkt_reader r;
    alk_err err = ALK_MORE;
    (void)ctx;
    alk_git_pkt_reader_init(&r, NULL, 0);
    for (size_t i = 0; i < n && err == ALK_MORE; i++) {
        struct alk_span in = pieces[i];
        struct alk_git_pkt pkt;
        while ((err = alk_git_pkt_reader_next(&r, &in, &pkt)) == ALK_OK) {
            trace_packet(trace, pkt.kind, pkt.data);
        }
        assert_true(err != ALK_MORE || in.n == 0);
    }
    check_err(alk_buf_printf(trace, "%s %d", alk_err_name(err), alk_git_pkt_reader_is_between(&r)),
              ALK_OK);
    alk_git_pkt_reader_fini(&r);
}

/* Joins the pieces of a packet: where they are cut must not show. */
static void feed_stream(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    struct alk_git_pkt_stream s = {0};
    alk_err err = ALK_MORE;
    bool is_inside = false;
    (void)ctx;
    for (size_t i = 0; i < n && err == ALK_MORE; i++) {
        struct alk_span in = pieces[i];
        struct alk_git_pkt_piece piece;
        while ((err = alk_git_pkt_stream_next(&s, &in, &piece)) == ALK_OK) {
            assert_true(piece.is_first == !is_inside);
            assert_true(piece.is_last == (piece.left == 0));
            is_inside = !piece.is_last;
            if (piece.is_first) {
                check_err(
                    alk_buf_printf(trace, "%d %zu ", (int)piece.kind, piece.data.n + piece.left),
                    ALK_OK);
            }
            check_err(alk_buf_put(trace, piece.data), ALK_OK);
        }
        assert_true(err != ALK_MORE || in.n == 0);
    }
    check_err(alk_buf_printf(trace, "%s %d", alk_err_name(err), alk_git_pkt_stream_is_between(&s)),
              ALK_OK);
}

static void however_a_stream_is_cut_the_packets_are_the_same(void **state)
{
    (void)state;
    check_splits(conversation(), feed_reader, NULL);
    check_splits(conversation(), feed_stream, NULL);
    check_splits(ALK_LIT("0006ab0003000a"), feed_reader, NULL);
    check_splits(ALK_LIT("0006ab0003000a"), feed_stream, NULL);
    check_splits(ALK_LIT("0006abfff10000"), feed_reader, NULL);
    check_splits(ALK_LIT("0006a"), feed_stream, NULL);
}

static void the_reader_gives_what_the_parser_gives(void **state)
{
    struct alk_rd whole = alk_rd(conversation());
    struct alk_git_pkt_reader r;
    struct alk_git_pkt want, got;
    size_t count = 0;
    (void)state;
    alk_git_pkt_reader_init(&r, NULL, 0);
    struct alk_span in = conversation();
    while (alk_git_pkt_parse(&whole, &want) == ALK_OK) {
        check_err(alk_git_pkt_reader_next(&r, &in, &got), ALK_OK);
        assert_int_equal(got.kind, want.kind);
        /* The very bytes: nothing is copied when a packet is there as a whole. */
        assert_true(got.data.n == 0 || got.data.p == want.data.p);
        assert_int_equal(got.data.n, want.data.n);
        count++;
    }
    assert_int_equal(count, 8);
    check_err(alk_git_pkt_reader_next(&r, &in, &got), ALK_MORE);
    assert_int_equal(r.hold.size, 0);
    assert_true(alk_git_pkt_reader_is_between(&r));
    alk_git_pkt_reader_fini(&r);
}

static void a_reader_has_a_limit_and_stays_dead(void **state)
{
    struct alk_git_pkt_reader r;
    struct alk_git_pkt pkt;
    struct alk_span in = ALK_LIT("0009hello000ahello!0000");
    (void)state;
    alk_git_pkt_reader_init(&r, NULL, 5);
    check_err(alk_git_pkt_reader_next(&r, &in, &pkt), ALK_OK);
    check_err(alk_git_pkt_reader_next(&r, &in, &pkt), ALK_E_TOO_BIG);
    in = ALK_LIT("0000");
    check_err(alk_git_pkt_reader_next(&r, &in, &pkt), ALK_E_TOO_BIG);
    assert_false(alk_git_pkt_reader_is_between(&r));
    alk_git_pkt_reader_fini(&r);

    /* Told by the length, before the data is there. */
    alk_git_pkt_reader_init(&r, NULL, 5);
    in = ALK_LIT("000ah");
    check_err(alk_git_pkt_reader_next(&r, &in, &pkt), ALK_E_TOO_BIG);
    assert_int_equal(r.hold.size, 0);
    alk_git_pkt_reader_fini(&r);
}

static alk_err read_in_two(const struct alk_mem *mem, void *ctx)
{
    struct alk_git_pkt_reader r;
    struct alk_git_pkt pkt;
    struct alk_span first = ALK_LIT("0009he"), second = ALK_LIT("llo0000");
    (void)ctx;
    alk_git_pkt_reader_init(&r, mem, 0);
    alk_err err = alk_git_pkt_reader_next(&r, &first, &pkt);
    if (err == ALK_MORE) {
        err = alk_git_pkt_reader_next(&r, &second, &pkt);
    }
    if (err == ALK_OK) {
        check_text(pkt.data, "hello");
        check_err(alk_git_pkt_reader_next(&r, &second, &pkt), ALK_OK);
    }
    alk_git_pkt_reader_fini(&r);
    return err;
}

static alk_err write_some(const struct alk_mem *mem, void *ctx)
{
    struct alk_buf b;
    (void)ctx;
    alk_buf_init(&b, mem, 100);
    alk_err err = alk_git_pkt_put_pair(&b, "want ", ALK_LIT("x"), true);
    if (err == ALK_OK) {
        err = alk_git_pkt_put_err(&b, ALK_LIT("no\nway\x7f \xc3\xa9"));
    }
    if (err == ALK_OK) {
        err = alk_git_pkt_put_mark(&b, ALK_GIT_PKT_RESPONSE_END);
    }
    if (err == ALK_OK) {
        check_text(alk_buf_span(&b), "000bwant x\n0012ERR no?way? \xc3\xa9"
                                     "0002");
    }
    alk_buf_fini(&b);
    return err;
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    oom_sweep(read_in_two, NULL);
    oom_sweep(write_some, NULL);
}

static void what_does_not_fit_a_buffer_is_not_begun(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 9);
    check_err(alk_git_pkt_put(&b, ALK_LIT("abcdef")), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), 0);
    alk_buf_clear(&b);
    check_err(alk_git_pkt_put(&b, ALK_LIT("abcde")), ALK_OK);
    check_text(alk_buf_span(&b), "0009abcde");
    check_err(alk_git_pkt_put_mark(&b, ALK_GIT_PKT_FLUSH), ALK_E_TOO_BIG);
    alk_buf_clear(&b);
    check_err(alk_git_pkt_put_mark(&b, ALK_GIT_PKT_DATA), ALK_E_INVALID);
    check_err(alk_git_pkt_put_mark(&b, ALK_GIT_PKT_DELIM), ALK_OK);
    check_text(alk_buf_span(&b), "0001");
    alk_buf_fini(&b);
}

static void error_packets_are_known_and_cut_to_size(void **state)
{
    struct alk_span text;
    struct alk_buf b;
    struct alk_git_pkt pkt;
    (void)state;
    assert_true(alk_git_pkt_is_err(ALK_LIT("ERR no such repository\n"), &text));
    check_text(text, "no such repository");
    assert_true(alk_git_pkt_is_err(ALK_LIT("ERR "), &text));
    check_text(text, "");
    assert_false(alk_git_pkt_is_err(ALK_LIT("ERROR x"), &text));
    assert_false(alk_git_pkt_is_err(ALK_LIT("ERR"), &text));

    uint8_t *data = malloc(ALK_GIT_PKT_DATA_MAX);
    assert_non_null(data);
    memset(data, 'y', ALK_GIT_PKT_DATA_MAX);
    alk_buf_init(&b, NULL, 200000);
    check_err(alk_git_pkt_put_err(&b, alk_span(data, ALK_GIT_PKT_DATA_MAX)), ALK_OK);
    struct alk_rd r = alk_rd(alk_buf_span(&b));
    check_err(alk_git_pkt_parse(&r, &pkt), ALK_OK);
    assert_int_equal(pkt.data.n, ALK_GIT_PKT_DATA_MAX);
    assert_true(alk_git_pkt_is_err(pkt.data, &text));
    alk_buf_fini(&b);
    free(data);
}

static void text_loses_one_lf(void **state)
{
    (void)state;
    check_text(alk_git_pkt_text(ALK_LIT("a\n")), "a");
    check_text(alk_git_pkt_text(ALK_LIT("a\n\n")), "a\n");
    check_text(alk_git_pkt_text(ALK_LIT("a")), "a");
    check_text(alk_git_pkt_text(ALK_LIT("\n")), "");
    check_text(alk_git_pkt_text(ALK_LIT("")), "");
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_buf trace;
    struct alk_git_pkt pkt;
    struct alk_rd r = alk_rd(in);
    (void)ctx;
    while (alk_git_pkt_parse(&r, &pkt) == ALK_OK) {
    }
    alk_buf_init(&trace, NULL, 1 << 20);
    feed_reader(&in, 1, &trace, NULL);
    feed_stream(&in, 1, &trace, NULL);
    alk_buf_fini(&trace);
}

static void mutations_never_crash(void **state)
{
    (void)state;
    check_mutations(conversation(), look, NULL);
}

/* What is written again from the packets of a real conversation is that conversation. */
static void captured_conversations_are_read_and_written_alike(void **state)
{
    static const char *const names[] = {
        "v2-clone.c2s.bin",    "v2-clone.s2c.bin",  "v2-ls-refs.c2s.bin",      "v2-ls-refs.s2c.bin",
        "signed-push.s2c.bin", "v0-advert.s2c.bin", "git-proto-request-v2.bin"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[512];
        struct alk_buf in, out;
        struct alk_git_pkt pkt;
        (void)snprintf(path, sizeof(path), "%s/06-git/%s", ALK_VECTORS_DIR, names[i]);
        vector_read(path, &in);
        alk_buf_init(&out, NULL, 1 << 20);
        struct alk_rd r = alk_rd(alk_buf_span(&in));
        while (alk_git_pkt_parse(&r, &pkt) == ALK_OK) {
            check_err(pkt.kind == ALK_GIT_PKT_DATA ? alk_git_pkt_put(&out, pkt.data)
                                                   : alk_git_pkt_put_mark(&out, pkt.kind),
                      ALK_OK);
        }
        assert_int_equal(alk_rd_left(&r), 0);
        assert_true(alk_span_equal(alk_buf_span(&in), alk_buf_span(&out)));
        alk_buf_fini(&out);
        alk_buf_fini(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_taken_or_refused),
        cmocka_unit_test(a_prefix_of_a_packet_waits_for_more),
        cmocka_unit_test(the_largest_packet_is_read_and_written),
        cmocka_unit_test(however_a_stream_is_cut_the_packets_are_the_same),
        cmocka_unit_test(the_reader_gives_what_the_parser_gives),
        cmocka_unit_test(a_reader_has_a_limit_and_stays_dead),
        cmocka_unit_test(without_memory_nothing_leaks),
        cmocka_unit_test(what_does_not_fit_a_buffer_is_not_begun),
        cmocka_unit_test(error_packets_are_known_and_cut_to_size),
        cmocka_unit_test(text_loses_one_lf),
        cmocka_unit_test(mutations_never_crash),
        cmocka_unit_test(captured_conversations_are_read_and_written_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
