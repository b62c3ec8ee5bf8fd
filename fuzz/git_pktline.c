/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A byte that says how long the pieces are, and packets: read from one span, in pieces
 * joined and in pieces as they come, they are the same; written again they are the bytes. */
#include "git/proto/pktline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

/* The next piece of *in. */
static struct alk_span cut(struct alk_span *in, size_t n)
{
    struct alk_span piece = alk_span_head(*in, n);
    *in = alk_span_tail(*in, n);
    return piece;
}

static void rewrite(struct alk_buf *b, const struct alk_git_pkt *pkt, struct alk_span from)
{
    alk_buf_clear(b);
    must((pkt->kind == ALK_GIT_PKT_DATA ? alk_git_pkt_put(b, pkt->data)
                                        : alk_git_pkt_put_mark(b, pkt->kind)) == ALK_OK);
    /* The digits may be upper case. */
    must(alk_span_equal_nocase(alk_span_head(alk_buf_span(b), 4), alk_span_head(from, 4)));
    must(alk_span_equal(alk_span_tail(alk_buf_span(b), 4), pkt->data));
}

/* Packets of *r are those of the pieces; the same error at the end. */
static void compare_reader(struct alk_rd r, struct alk_span in, size_t step, struct alk_buf *b)
{
    struct alk_git_pkt_reader reader;
    struct alk_git_pkt want, got;
    alk_git_pkt_reader_init(&reader, NULL, 0);
    for (;;) {
        alk_err err = ALK_MORE;
        while (err == ALK_MORE && in.n > 0) {
            struct alk_span piece = cut(&in, step);
            size_t before = piece.n;
            err = alk_git_pkt_reader_next(&reader, &piece, &got);
            must(err != ALK_MORE || piece.n == 0);
            /* What was not used is given again with the next piece. */
            must(piece.n <= before);
            if (err == ALK_OK) {
                in = alk_span(piece.n ? piece.p : in.p, piece.n + in.n);
            }
        }
        struct alk_span from = alk_span(r.p, alk_rd_left(&r));
        must(alk_git_pkt_parse(&r, &want) == err);
        if (err != ALK_OK) {
            break;
        }
        must(want.kind == got.kind && alk_span_equal(want.data, got.data));
        rewrite(b, &got, from);
    }
    alk_git_pkt_reader_fini(&reader);
}

static void compare_stream(struct alk_rd r, struct alk_span in, size_t step)
{
    struct alk_git_pkt_stream s = {0};
    struct alk_git_pkt want = {0};
    bool is_inside = false;
    while (in.n > 0) {
        struct alk_span piece = cut(&in, step);
        struct alk_git_pkt_piece got;
        alk_err err;
        while ((err = alk_git_pkt_stream_next(&s, &piece, &got)) == ALK_OK) {
            must(got.is_first == !is_inside && got.is_last == (got.left == 0));
            is_inside = !got.is_last;
            if (got.is_first && alk_git_pkt_parse(&r, &want) != ALK_OK) {
                return; /* the last one is cut off */
            }
            must(got.kind == want.kind && got.data.n + got.left <= want.data.n);
            must(alk_span_equal(
                got.data,
                alk_span_head(alk_span_tail(want.data, want.data.n - got.left - got.data.n),
                              got.data.n)));
        }
        if (err != ALK_MORE) {
            must(alk_git_pkt_parse(&r, &want) == err);
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct alk_buf b;
    struct alk_span in = alk_span(data + 1, size - 1);
    size_t step = data[0] % 64 + 1U;
    alk_buf_init(&b, NULL, 1 << 20);
    compare_reader(alk_rd(in), in, step, &b);
    compare_stream(alk_rd(in), in, step);
    alk_buf_fini(&b);
    return 0;
}
