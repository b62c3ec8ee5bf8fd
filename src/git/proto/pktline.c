/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/pktline.h"

/* What a length says: 0 to 2 are marks, 3 is nothing, 4 and more counts its own digits. */
enum { PKT_NOTHING = 3 };

/* All four digits are there. */
static alk_err head_parse(const uint8_t digits[static ALK_GIT_PKT_HEAD],
                          enum alk_git_pkt_kind *ret_kind, size_t *ret_n)
{
    unsigned length = 0;
    for (size_t i = 0; i < ALK_GIT_PKT_HEAD; i++) {
        length = length << 4 | (unsigned)alk_hex_value(digits[i]);
    }
    if (length == PKT_NOTHING) {
        return ALK_E_MALFORMED;
    }
    if (length > ALK_GIT_PKT_MAX) {
        return ALK_E_TOO_BIG;
    }
    static const enum alk_git_pkt_kind marks[] = {ALK_GIT_PKT_FLUSH, ALK_GIT_PKT_DELIM,
                                                  ALK_GIT_PKT_RESPONSE_END};
    bool is_mark = length < PKT_NOTHING;
    *ret_kind = is_mark ? marks[length] : ALK_GIT_PKT_DATA;
    *ret_n = is_mark ? 0 : length - ALK_GIT_PKT_HEAD;
    return ALK_OK;
}

alk_err alk_git_pkt_parse(struct alk_rd *r, struct alk_git_pkt *ret)
{
    struct alk_rd t = *r;
    struct alk_git_pkt pkt = {0};
    size_t n = 0;
    for (size_t i = 0; i < ALK_GIT_PKT_HEAD && i < alk_rd_left(&t); i++) {
        if (alk_hex_value(t.p[i]) < 0) {
            return ALK_E_MALFORMED;
        }
    }
    uint8_t digits[ALK_GIT_PKT_HEAD];
    alk_rd_bytes(&t, digits, sizeof(digits));
    if (t.err) {
        return t.err;
    }
    ALK_TRY(head_parse(digits, &pkt.kind, &n));
    pkt.data = alk_rd_take(&t, n);
    if (t.err) {
        return t.err;
    }
    *ret = pkt;
    *r = t;
    return ALK_OK;
}

struct alk_span alk_git_pkt_text(struct alk_span data)
{
    return data.n > 0 && data.p[data.n - 1] == '\n' ? alk_span_head(data, data.n - 1) : data;
}

bool alk_git_pkt_is_err(struct alk_span data, struct alk_span *ret_text)
{
    if (!alk_span_starts(data, ALK_LIT("ERR "))) {
        return false;
    }
    *ret_text = alk_git_pkt_text(alk_span_tail(data, 4));
    return true;
}

/* --- pieces -------------------------------------------------------------------------- */

static alk_err stream_fail(struct alk_git_pkt_stream *s, alk_err err)
{
    s->err = err;
    return err;
}

/* Takes digits until there are four. */
static alk_err stream_head(struct alk_git_pkt_stream *s, struct alk_span *in)
{
    while (s->digit_count < ALK_GIT_PKT_HEAD) {
        if (in->n == 0) {
            return ALK_MORE;
        }
        if (alk_hex_value(in->p[0]) < 0) {
            return stream_fail(s, ALK_E_MALFORMED);
        }
        s->digits[s->digit_count++] = in->p[0];
        *in = alk_span_tail(*in, 1);
    }
    return ALK_OK;
}

/* The data that is there, up to the packet's end. */
static void stream_data(struct alk_git_pkt_stream *s, struct alk_span *in,
                        struct alk_git_pkt_piece *ret)
{
    struct alk_span data = alk_span_head(*in, s->left);
    *in = alk_span_tail(*in, data.n);
    s->left -= (uint32_t)data.n;
    *ret = (struct alk_git_pkt_piece){.kind = ALK_GIT_PKT_DATA,
                                      .data = data,
                                      .is_first = !s->is_later,
                                      .is_last = s->left == 0,
                                      .left = s->left};
    s->is_later = true;
    if (s->left == 0) {
        *s = (struct alk_git_pkt_stream){0};
    }
}

alk_err alk_git_pkt_stream_next(struct alk_git_pkt_stream *s, struct alk_span *in,
                                struct alk_git_pkt_piece *ret)
{
    if (s->err) {
        return s->err;
    }
    if (!s->is_inside) {
        enum alk_git_pkt_kind kind = ALK_GIT_PKT_DATA;
        size_t n = 0;
        ALK_TRY(stream_head(s, in));
        alk_err err = head_parse(s->digits, &kind, &n);
        if (err) {
            return stream_fail(s, err);
        }
        if (kind != ALK_GIT_PKT_DATA) {
            *s = (struct alk_git_pkt_stream){0};
            *ret = (struct alk_git_pkt_piece){.kind = kind, .is_first = true, .is_last = true};
            return ALK_OK;
        }
        s->is_inside = true;
        s->left = (uint32_t)n;
    }
    if (s->left > 0 && in->n == 0) {
        return ALK_MORE;
    }
    stream_data(s, in, ret);
    return ALK_OK;
}

bool alk_git_pkt_stream_is_between(const struct alk_git_pkt_stream *s)
{
    return s->err == ALK_OK && s->digit_count == 0;
}

/* --- whole packets ------------------------------------------------------------------- */

void alk_git_pkt_reader_init(struct alk_git_pkt_reader *r, const struct alk_mem *mem,
                             size_t data_max)
{
    *r = (struct alk_git_pkt_reader){0};
    if (data_max == 0 || data_max > ALK_GIT_PKT_DATA_MAX) {
        data_max = ALK_GIT_PKT_DATA_MAX;
    }
    alk_buf_init(&r->hold, mem, data_max);
}

void alk_git_pkt_reader_fini(struct alk_git_pkt_reader *r)
{
    alk_buf_fini(&r->hold);
}

/* A piece that is not a whole packet goes to the others. */
static alk_err reader_join(struct alk_git_pkt_reader *r, const struct alk_git_pkt_piece *piece,
                           struct alk_git_pkt *ret)
{
    if (piece->is_first && piece->is_last) {
        *ret = (struct alk_git_pkt){.kind = piece->kind, .data = piece->data};
        return ALK_OK;
    }
    alk_err err = alk_buf_put(&r->hold, piece->data);
    if (err) {
        return stream_fail(&r->stream, err);
    }
    if (!piece->is_last) {
        return ALK_MORE;
    }
    r->is_held = true;
    *ret = (struct alk_git_pkt){.kind = piece->kind, .data = alk_buf_span(&r->hold)};
    return ALK_OK;
}

alk_err alk_git_pkt_reader_next(struct alk_git_pkt_reader *r, struct alk_span *in,
                                struct alk_git_pkt *ret)
{
    struct alk_git_pkt_piece piece;
    if (r->is_held) {
        alk_buf_clear(&r->hold);
        r->is_held = false;
    }
    for (;;) {
        ALK_TRY(alk_git_pkt_stream_next(&r->stream, in, &piece));
        if (alk_buf_len(&r->hold) + piece.data.n + piece.left > r->hold.max) {
            return stream_fail(&r->stream, ALK_E_TOO_BIG);
        }
        alk_err err = reader_join(r, &piece, ret);
        if (err != ALK_MORE) {
            return err;
        }
    }
}

bool alk_git_pkt_reader_is_between(const struct alk_git_pkt_reader *r)
{
    return alk_git_pkt_stream_is_between(&r->stream);
}

/* --- writing ------------------------------------------------------------------------- */

void alk_git_pkt_head(size_t n, uint8_t ret[static ALK_GIT_PKT_HEAD])
{
    ALK_ASSERT(n <= ALK_GIT_PKT_DATA_MAX);
    size_t length = n + ALK_GIT_PKT_HEAD;
    for (size_t i = 0; i < ALK_GIT_PKT_HEAD; i++) {
        ret[i] = (uint8_t) "0123456789abcdef"[length >> (4 * (ALK_GIT_PKT_HEAD - 1 - i)) & 15];
    }
}

/* A packet of up to three parts. */
static alk_err put_parts(struct alk_buf *b, const struct alk_span *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > ALK_GIT_PKT_DATA_MAX - n) {
            return ALK_E_TOO_BIG;
        }
        n += parts[i].n;
    }
    uint8_t *dst = alk_buf_reserve(b, ALK_GIT_PKT_HEAD + n);
    if (dst == NULL) {
        return b->err;
    }
    alk_git_pkt_head(n, dst);
    dst += ALK_GIT_PKT_HEAD;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0) {
            memcpy(dst, parts[i].p, parts[i].n);
            dst += parts[i].n;
        }
    }
    alk_buf_added(b, ALK_GIT_PKT_HEAD + n);
    return ALK_OK;
}

alk_err alk_git_pkt_put(struct alk_buf *b, struct alk_span data)
{
    return put_parts(b, &data, 1);
}

alk_err alk_git_pkt_put_line(struct alk_buf *b, struct alk_span text)
{
    return alk_git_pkt_put_pair(b, "", text, true);
}

alk_err alk_git_pkt_put_pair(struct alk_buf *b, const char *word, struct alk_span text, bool has_lf)
{
    const struct alk_span parts[] = {alk_span_str(word), text, ALK_LIT("\n")};
    return put_parts(b, parts, has_lf ? 3 : 2);
}

alk_err alk_git_pkt_put_mark(struct alk_buf *b, enum alk_git_pkt_kind mark)
{
    switch (mark) {
    case ALK_GIT_PKT_FLUSH:
        return alk_buf_put(b, ALK_LIT("0000"));
    case ALK_GIT_PKT_DELIM:
        return alk_buf_put(b, ALK_LIT("0001"));
    case ALK_GIT_PKT_RESPONSE_END:
        return alk_buf_put(b, ALK_LIT("0002"));
    case ALK_GIT_PKT_DATA:
        break;
    }
    return ALK_E_INVALID;
}

alk_err alk_git_pkt_put_err(struct alk_buf *b, struct alk_span text)
{
    text = alk_span_head(text, ALK_GIT_PKT_DATA_MAX - 4);
    size_t before = alk_buf_len(b);
    ALK_TRY(alk_git_pkt_put_pair(b, "ERR ", text, false));
    uint8_t *dst = b->p + b->at + before + ALK_GIT_PKT_HEAD + 4;
    for (size_t i = 0; i < text.n; i++) {
        if (dst[i] < 0x20 || dst[i] == 0x7f) {
            dst[i] = '?';
        }
    }
    return ALK_OK;
}
