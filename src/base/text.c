/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/text.h"

#include "base/json_scan.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char z32_digits[] = "ybndrfg8ejkmcpqxot1uwisza345h769";

/* All ones when x is zero, else all zeros; no branch. x < 256. */
static uint32_t mask_zero(uint32_t x)
{
    return (uint32_t)((x - 1) >> 31) * UINT32_MAX;
}

/* digits[v], reading the whole table so that the cache learns nothing of v. */
static char pick(const char *digits, unsigned bits, uint32_t v)
{
    uint32_t c = 0;
    for (uint32_t i = 0; i < (uint32_t)1 << bits; i++) {
        c |= (uint8_t)digits[i] & mask_zero(i ^ v);
    }
    return (char)c;
}

/* The index of c in digits, or UINT32_MAX. */
static uint32_t unpick(const char *digits, unsigned bits, uint8_t c)
{
    uint32_t v = 0;
    uint32_t found = 0;
    for (uint32_t i = 0; i < (uint32_t)1 << bits; i++) {
        uint32_t is = mask_zero((uint8_t)digits[i] ^ (uint32_t)c);
        v |= i & is;
        found |= is;
    }
    return v | ~found;
}

/* Writes s in digits of `bits` bits, then '=' up to a multiple of pad_to. */
static bool encode(const char *digits, unsigned bits, size_t pad_to, struct alk_span s, char *dst,
                   size_t dst_size)
{
    size_t at = 0;
    uint32_t held = 0;
    unsigned n_held = 0;
    uint64_t need = ((uint64_t)s.n * 8 + bits - 1) / bits;
    need = (need + pad_to - 1) / pad_to * pad_to;
    if (need >= dst_size) {
        if (dst_size > 0) {
            dst[0] = '\0';
        }
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        held = held << 8 | s.p[i];
        n_held += 8;
        while (n_held >= bits) {
            n_held -= bits;
            dst[at++] = pick(digits, bits, held >> n_held & ((1U << bits) - 1));
        }
    }
    if (n_held > 0) {
        dst[at++] = pick(digits, bits, held << (bits - n_held) & ((1U << bits) - 1));
    }
    while (at % pad_to != 0) {
        dst[at++] = '=';
    }
    dst[at] = '\0';
    return true;
}

bool alk_hex(struct alk_span s, char *dst, size_t dst_size)
{
    return encode(hex_digits, 4, 1, s, dst, dst_size);
}

bool alk_base64(struct alk_span s, char *dst, size_t dst_size)
{
    return encode(base64_digits, 6, 4, s, dst, dst_size);
}

bool alk_base64_bare(struct alk_span s, char *dst, size_t dst_size)
{
    return encode(base64_digits, 6, 1, s, dst, dst_size);
}

bool alk_base64url(struct alk_span s, char *dst, size_t dst_size)
{
    return encode(base64url_digits, 6, 1, s, dst, dst_size);
}

bool alk_z32(struct alk_span s, char *dst, size_t dst_size)
{
    return encode(z32_digits, 5, 1, s, dst, dst_size);
}

/* text holds digits only, no padding. The length must be one that an encoder
 * makes, and the bits past the last whole byte zero: one text per value. */
static alk_err decode(const char *digits, unsigned bits, struct alk_span text, uint8_t *dst,
                      size_t dst_size, size_t *ret_n)
{
    uint64_t total = (uint64_t)text.n * bits;
    size_t n = (size_t)(total / 8);
    size_t at = 0;
    uint32_t held = 0;
    unsigned n_held = 0;
    uint32_t bad = 0;
    if (total % 8 >= bits) {
        return ALK_E_MALFORMED; /* the last digit carries nothing */
    }
    if (n > dst_size) {
        return ALK_E_TOO_BIG;
    }
    for (size_t i = 0; i < text.n; i++) {
        uint32_t v = unpick(digits, bits, text.p[i]);
        bad |= v >> 8;
        held = held << bits | (v & 0xff);
        n_held += bits;
        if (n_held >= 8) {
            n_held -= 8;
            dst[at++] = (uint8_t)(held >> n_held);
        }
    }
    if (bad != 0 || (held & ((1U << n_held) - 1)) != 0) {
        return ALK_E_MALFORMED;
    }
    *ret_n = n;
    return ALK_OK;
}

alk_err alk_unhex(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    uint32_t bad = 0;
    if (text.n % 2 != 0) {
        return ALK_E_MALFORMED;
    }
    if (text.n / 2 > dst_size) {
        return ALK_E_TOO_BIG;
    }
    for (size_t i = 0; i < text.n; i += 2) {
        uint32_t v = 0;
        for (size_t k = 0; k < 2; k++) {
            uint32_t c = text.p[i + k];
            /* Letters differ from their lower case in one bit; the digits have
             * it already, and what it would turn into a digit is refused. */
            uint32_t digit = unpick(hex_digits, 4, (uint8_t)(c | 0x20));
            bad |= digit >> 8 | (mask_zero(c & 0x20) & mask_zero(c & 0x40));
            v = v << 4 | (digit & 0xf);
        }
        dst[i / 2] = (uint8_t)v;
    }
    if (bad != 0) {
        return ALK_E_MALFORMED;
    }
    *ret_n = text.n / 2;
    return ALK_OK;
}

alk_err alk_percent_decode(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    size_t n = 0;
    while (text.n > 0) {
        uint8_t c = text.p[0];
        size_t used = 1;
        if (c == '%') {
            int high = text.n >= 3 ? alk_hex_value(text.p[1]) : -1;
            int low = text.n >= 3 ? alk_hex_value(text.p[2]) : -1;
            if (high < 0 || low < 0) {
                return ALK_E_MALFORMED;
            }
            c = (uint8_t)(high << 4 | low);
            used = 3;
        }
        if (n == dst_size) {
            return ALK_E_TOO_BIG;
        }
        dst[n++] = c;
        text = alk_span_tail(text, used);
    }
    *ret_n = n;
    return ALK_OK;
}

/* Takes right padding off; text whose padding is wrong keeps it, and '=' is no
 * digit. */
static struct alk_span unpad(struct alk_span text)
{
    if (text.n % 4 == 0) {
        for (int i = 0; i < 2 && text.n > 0 && text.p[text.n - 1] == '='; i++) {
            text.n--;
        }
    }
    return text;
}

alk_err alk_unbase64(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    return decode(base64_digits, 6, unpad(text), dst, dst_size, ret_n);
}

alk_err alk_unbase64url(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    return decode(base64url_digits, 6, unpad(text), dst, dst_size, ret_n);
}

alk_err alk_unz32(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n)
{
    return decode(z32_digits, 5, text, dst, dst_size, ret_n);
}

static void put_escaped_byte(struct alk_buf *b, uint8_t c)
{
    if (c == '\t') {
        (void)alk_buf_put_str(b, "\\t");
    } else if (c == '\n') {
        (void)alk_buf_put_str(b, "\\n");
    } else if (c == '\\' || c == '"') {
        (void)alk_buf_put_u8(b, '\\');
        (void)alk_buf_put_u8(b, c);
    } else if (c >= 0x20 && c < 0x7f) {
        (void)alk_buf_put_u8(b, c);
    } else {
        (void)alk_buf_printf(b, "\\x%02x", c);
    }
}

alk_err alk_buf_put_escaped(struct alk_buf *b, struct alk_span s, size_t max)
{
    for (size_t i = 0; i < s.n && i < max && b->err == ALK_OK; i++) {
        put_escaped_byte(b, s.p[i]);
    }
    if (s.n > max) {
        (void)alk_buf_put_str(b, "...");
    }
    return b->err;
}

/* One character of len bytes (0: a byte that is not UTF-8) as JSON. */
static void put_json_char(struct alk_buf *b, struct alk_span s, size_t len)
{
    uint8_t c = s.p[0];
    if (len == 0) {
        (void)alk_buf_put_str(b, "\xef\xbf\xbd");
    } else if (c == '"' || c == '\\') {
        (void)alk_buf_put_u8(b, '\\');
        (void)alk_buf_put_u8(b, c);
    } else if (c < 0x20 || c == 0x7f) {
        (void)alk_buf_printf(b, "\\u%04x", c);
    } else if (len == 2 && c == 0xc2 && s.p[1] < 0xa0) {
        /* C1 controls: some terminals take them for escape sequences. */
        (void)alk_buf_printf(b, "\\u%04x", s.p[1]);
    } else {
        (void)alk_buf_put(b, alk_span_head(s, len));
    }
}

alk_err alk_buf_put_json(struct alk_buf *b, struct alk_span s)
{
    (void)alk_buf_put_u8(b, '"');
    for (;;) {
        size_t plain = alk_json_plain(s);
        (void)alk_buf_put(b, alk_span_head(s, plain));
        s = alk_span_tail(s, plain);
        if (s.n == 0 || b->err != ALK_OK) {
            break;
        }
        size_t len = alk_span_utf8(s);
        put_json_char(b, s, len);
        s = alk_span_tail(s, len == 0 ? 1 : len);
    }
    return alk_buf_put_u8(b, '"');
}
