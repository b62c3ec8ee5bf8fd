/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/check.h"

#include "base/rand.h"
#include "base/text.h"

/* Longest trace of check_splits. */
#define TRACE_MAX ((size_t)1 << 24)

enum { RANDOM_RUNS = 2000 };

/* A copy in memory of its own size (one byte for the empty one). */
static uint8_t *exact(struct alk_span s)
{
    uint8_t *p = malloc(s.n == 0 ? 1 : s.n);
    assert_non_null(p);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    return p;
}

void check_err_at(alk_err got, alk_err want, const char *file, int line)
{
    if (got != want) {
        print_error("got %s, want %s\n", alk_err_name(got), alk_err_name(want));
        _fail(file, line);
    }
}

void check_text_at(struct alk_span got, const char *want, const char *file, int line)
{
    if (!alk_span_is(got, want)) {
        print_error("got  \"%.*s\"\nwant \"%s\"\n", (int)got.n,
                    got.p == NULL ? "" : (const char *)got.p, want);
        _fail(file, line);
    }
}

void check_prefixes(struct alk_span whole, check_parse_fn *parse, size_t ret_size)
{
    uint8_t *ret = malloc(ret_size + 1);
    assert_non_null(ret);
    for (size_t n = 0; n <= whole.n; n++) {
        uint8_t *p = exact(alk_span_head(whole, n));
        struct alk_rd r = alk_rd(alk_span(p, n));
        memset(ret, 0xa5, ret_size);
        alk_err err = parse(&r, ret);
        alk_err want = n < whole.n ? ALK_MORE : ALK_OK;
        if (err != want) {
            fail_msg("%zu of %zu bytes: got %s, want %s", n, whole.n, alk_err_name(err),
                     alk_err_name(want));
        }
        if (n == whole.n) {
            assert_int_equal(alk_rd_left(&r), 0);
        } else {
            assert_ptr_equal(r.p, p);
            assert_int_equal(r.err, ALK_OK);
            for (size_t i = 0; i < ret_size; i++) {
                if (ret[i] != 0xa5) {
                    fail_msg("%zu of %zu bytes: byte %zu of the result changed", n, whole.n, i);
                }
            }
        }
        free(p);
    }
    free(ret);
}

/* Cuts whole behind each place where cut[i] is set and feeds the pieces. */
static void feed_cut(struct alk_span whole, const bool *cut, check_feed_fn *feed,
                     struct alk_buf *trace, void *ctx)
{
    struct alk_span *pieces = calloc(whole.n + 1, sizeof(*pieces));
    assert_non_null(pieces);
    size_t n = 0;
    size_t from = 0;
    for (size_t i = 0; i < whole.n; i++) {
        if (cut[i] || i + 1 == whole.n) {
            struct alk_span piece = alk_span(whole.p + from, i + 1 - from);
            pieces[n++] = alk_span(exact(piece), piece.n);
            from = i + 1;
        }
    }
    alk_buf_clear(trace);
    feed(pieces, n, trace, ctx);
    assert_int_equal(trace->err, ALK_OK);
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)pieces[i].p);
    }
    free(pieces);
}

struct splits {
    struct alk_span whole;
    check_feed_fn *feed;
    void *ctx;
    bool *cut;
    struct alk_buf want;
};

static void same_trace(const struct splits *s, const char *how, size_t where)
{
    struct alk_buf got;
    alk_buf_init(&got, NULL, TRACE_MAX);
    feed_cut(s->whole, s->cut, s->feed, &got, s->ctx);
    if (!alk_span_equal(alk_buf_span(&got), alk_buf_span(&s->want))) {
        struct alk_buf want = s->want;
        print_error("whole: %s\n", alk_buf_cstr(&want));
        print_error("cut:   %s\n", alk_buf_cstr(&got));
        fail_msg("cut %s %zu of %zu bytes gives another trace", how, where, s->whole.n);
    }
    alk_buf_fini(&got);
}

void check_splits(struct alk_span whole, check_feed_fn *feed, void *ctx)
{
    struct splits s = {.whole = whole, .feed = feed, .ctx = ctx};
    struct alk_prng g;
    s.cut = calloc(whole.n + 1, sizeof(*s.cut));
    assert_non_null(s.cut);
    alk_buf_init(&s.want, NULL, TRACE_MAX);
    feed_cut(whole, s.cut, feed, &s.want, ctx);

    for (size_t i = 0; i < whole.n; i++) {
        s.cut[i] = true;
        same_trace(&s, "behind", i + 1);
        s.cut[i] = false;
    }
    memset(s.cut, true, whole.n);
    same_trace(&s, "behind each of", whole.n);
    alk_prng_init(&g, whole.n);
    for (size_t run = 0; run < 50; run++) {
        for (size_t i = 0; i < whole.n; i++) {
            s.cut[i] = alk_prng_next(&g) % 4 == 0;
        }
        same_trace(&s, "at random, run", run);
    }
    alk_buf_fini(&s.want);
    free(s.cut);
}

static void look_at(struct alk_span s, check_input_fn *look, void *ctx)
{
    uint8_t *p = exact(s);
    look(alk_span(p, s.n), ctx);
    free(p);
}

/* One byte changed, removed or doubled; scratch has room for whole.n + 1. */
static void mutate_byte(struct alk_span whole, size_t at, uint8_t *scratch, check_input_fn *look,
                        void *ctx)
{
    static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80};
    size_t rest = whole.n - at - 1;
    memcpy(scratch, whole.p, whole.n);
    for (unsigned bit = 0; bit < 8; bit++) {
        scratch[at] = (uint8_t)(whole.p[at] ^ (1U << bit));
        look_at(alk_span(scratch, whole.n), look, ctx);
    }
    for (size_t i = 0; i < sizeof(values); i++) {
        scratch[at] = values[i];
        look_at(alk_span(scratch, whole.n), look, ctx);
    }
    memcpy(scratch + at, whole.p + at + 1, rest);
    look_at(alk_span(scratch, whole.n - 1), look, ctx);
    scratch[at] = whole.p[at];
    memcpy(scratch + at + 1, whole.p + at, rest + 1);
    look_at(alk_span(scratch, whole.n + 1), look, ctx);
}

static void mutate_randomly(struct alk_span whole, uint8_t *scratch, check_input_fn *look,
                            void *ctx)
{
    struct alk_prng g;
    alk_prng_init(&g, whole.n);
    for (int run = 0; run < RANDOM_RUNS; run++) {
        size_t n = whole.n - (size_t)(alk_prng_next(&g) % (whole.n / 4 + 1));
        memcpy(scratch, whole.p, whole.n);
        for (uint64_t k = alk_prng_next(&g) % 8; k > 0; k--) {
            scratch[alk_prng_next(&g) % whole.n] = (uint8_t)alk_prng_next(&g);
        }
        look_at(alk_span(scratch, n), look, ctx);
    }
}

void check_mutations(struct alk_span whole, check_input_fn *look, void *ctx)
{
    uint8_t *scratch = malloc(whole.n + 1);
    assert_non_null(scratch);
    for (size_t n = 0; n <= whole.n; n++) {
        look_at(alk_span_head(whole, n), look, ctx);
        look_at(alk_span_tail(whole, n), look, ctx);
    }
    for (size_t i = 0; i < whole.n; i++) {
        mutate_byte(whole, i, scratch, look, ctx);
    }
    if (whole.n > 0) {
        mutate_randomly(whole, scratch, look, ctx);
    }
    free(scratch);
}
