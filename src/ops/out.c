/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/out.h"

#include "base/text.h"

#include <yyjson.h>

void alk_out_init(struct alk_out *out, const struct alk_mem *mem, size_t max)
{
    *out = (struct alk_out){.depth = 0};
    alk_buf_init(&out->buf, mem, max);
}

void alk_out_fini(struct alk_out *out)
{
    alk_buf_fini(&out->buf);
}

void alk_out_clear(struct alk_out *out)
{
    alk_buf_clear(&out->buf);
    out->is_object = 0;
    out->depth = 0;
    out->has_value = false;
    out->has_key = false;
    out->is_over = false;
    out->is_wrong = false;
}

alk_err alk_out_done(struct alk_out *out, struct alk_span *ret)
{
    if (out->buf.err != ALK_OK) {
        return out->buf.err;
    }
    if (out->is_wrong || out->depth > 0) {
        return ALK_E_STATE;
    }
    *ret = out->is_over ? alk_buf_span(&out->buf) : ALK_LIT("{}");
    return ALK_OK;
}

static bool in_object(const struct alk_out *out)
{
    return out->depth > 0 && (out->is_object >> (out->depth - 1) & 1) != 0;
}

static bool is_dead(const struct alk_out *out)
{
    return out->is_wrong || out->buf.err != ALK_OK;
}

static void put_u8(struct alk_out *out, char c)
{
    (void)alk_buf_put_u8(&out->buf, (uint8_t)c);
}

/* Before each value: is it due here, and does a comma precede it? */
static bool begin_value(struct alk_out *out)
{
    if (is_dead(out)) {
        return false;
    }
    if (out->is_over || (in_object(out) && !out->has_key)) {
        out->is_wrong = true;
        return false;
    }
    if (out->has_value && !out->has_key) {
        put_u8(out, ',');
    }
    out->has_key = false;
    return true;
}

static void end_value(struct alk_out *out)
{
    out->has_value = true;
    out->is_over = out->depth == 0;
}

static void open_level(struct alk_out *out, bool is_object)
{
    if (!begin_value(out)) {
        return;
    }
    if (out->depth == ALK_OUT_DEPTH_MAX) {
        out->is_wrong = true;
        return;
    }
    uint64_t bit = (uint64_t)1 << out->depth;
    out->is_object = is_object ? out->is_object | bit : out->is_object & ~bit;
    out->depth++;
    out->has_value = false;
    put_u8(out, is_object ? '{' : '[');
}

void alk_out_object(struct alk_out *out)
{
    open_level(out, true);
}

void alk_out_array(struct alk_out *out)
{
    open_level(out, false);
}

void alk_out_end(struct alk_out *out)
{
    if (is_dead(out)) {
        return;
    }
    if (out->depth == 0 || out->has_key) {
        out->is_wrong = true;
        return;
    }
    put_u8(out, in_object(out) ? '}' : ']');
    out->depth--;
    end_value(out);
}

void alk_out_key_span(struct alk_out *out, struct alk_span name)
{
    if (is_dead(out)) {
        return;
    }
    if (!in_object(out) || out->has_key) {
        out->is_wrong = true;
        return;
    }
    if (out->has_value) {
        put_u8(out, ',');
    }
    (void)alk_buf_put_json(&out->buf, name);
    put_u8(out, ':');
    out->has_key = true;
}

void alk_out_key(struct alk_out *out, const char *name)
{
    alk_out_key_span(out, alk_span_str(name));
}

/* A value whose text is known. */
static void put_word(struct alk_out *out, struct alk_span word)
{
    if (begin_value(out)) {
        (void)alk_buf_put(&out->buf, word);
        end_value(out);
    }
}

void alk_out_span(struct alk_out *out, struct alk_span text)
{
    if (begin_value(out)) {
        (void)alk_buf_put_json(&out->buf, text);
        end_value(out);
    }
}

void alk_out_text(struct alk_out *out, const char *text)
{
    if (text == NULL) {
        alk_out_null(out);
    } else {
        alk_out_span(out, alk_span_str(text));
    }
}

void alk_out_i64(struct alk_out *out, int64_t v)
{
    if (begin_value(out)) {
        (void)alk_buf_printf(&out->buf, "%lld", (long long)v);
        end_value(out);
    }
}

void alk_out_u64(struct alk_out *out, uint64_t v)
{
    if (begin_value(out)) {
        (void)alk_buf_put_u64(&out->buf, v);
        end_value(out);
    }
}

/* The shortest text that reads back as v, whatever the locale says. */
static void put_real(struct alk_out *out, double v)
{
    uint8_t room[512];
    yyjson_alc alc;
    yyjson_mut_val value = {0};
    size_t n = 0;

    ALK_ASSERT(yyjson_alc_pool_init(&alc, room, sizeof room));
    (void)yyjson_mut_set_real(&value, v);
    const char *text = yyjson_mut_val_write_opts(&value, YYJSON_WRITE_NOFLAG, &alc, &n, NULL);
    ALK_ASSERT(text != NULL); /* a number is at most 32 bytes */
    (void)alk_buf_put(&out->buf, alk_span(text, n));
}

void alk_out_real(struct alk_out *out, double v)
{
    if (v != v || v - v != 0) { /* NaN, infinity */
        alk_out_null(out);
    } else if (begin_value(out)) {
        put_real(out, v);
        end_value(out);
    }
}

void alk_out_bool(struct alk_out *out, bool v)
{
    put_word(out, v ? ALK_LIT("true") : ALK_LIT("false"));
}

void alk_out_null(struct alk_out *out)
{
    put_word(out, ALK_LIT("null"));
}

/* Up to three bytes as four characters. Not for keys: those are text already
 * when they come here, and alk_base64, which reads its whole table for each
 * character, would make the contents of files a hundred times as dear. */
static void put_quantum(uint8_t dst[static 4], const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);

    dst[0] = (uint8_t)digits[v >> 18];
    dst[1] = (uint8_t)digits[v >> 12 & 63];
    dst[2] = n > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
    dst[3] = n > 2 ? (uint8_t)digits[v & 63] : '=';
}

void alk_out_base64(struct alk_out *out, struct alk_span bytes)
{
    if (!begin_value(out)) {
        return;
    }
    put_u8(out, '"');
    /* Against overflow; what is over max is refused all the same. */
    size_t n = bytes.n <= SIZE_MAX / 2 ? (bytes.n + 2) / 3 * 4 : SIZE_MAX;
    uint8_t *dst = alk_buf_reserve(&out->buf, n);
    if (dst == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.n; i += 3) {
        put_quantum(dst + i / 3 * 4, bytes.p + i, bytes.n - i);
    }
    alk_buf_added(&out->buf, n);
    put_u8(out, '"');
    end_value(out);
}

void alk_out_json(struct alk_out *out, struct alk_span json)
{
    put_word(out, json);
}
