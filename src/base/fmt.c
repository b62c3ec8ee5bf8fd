/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The printf of struct alk_buf: the C library's would pull stdio, and with it
 * imports, into the wasm modules. Flags - 0 + space #, width, precision and *,
 * lengths hh h l ll j z t, conversions d i u x X o c s p %. Anything else is our
 * bug: the compiler has checked the formats already. */
#include "base/buf.h"

#include <stdarg.h>

struct spec {
    bool left, zero, plus, space, alt;
    bool has_precision;
    size_t width, precision;
    int size; /* bytes of the integer argument */
    char conv;
};

/* Enough for 64 bits in octal. */
enum { DIGITS_MAX = 24 };

static void pad(struct alk_buf *b, char c, size_t n)
{
    while (n-- > 0 && b->err == ALK_OK) {
        (void)alk_buf_put_u8(b, (uint8_t)c);
    }
}

static size_t parse_number(const char **fmt)
{
    size_t n = 0;
    while (**fmt >= '0' && **fmt <= '9') {
        n = n * 10 + (size_t)(**fmt - '0');
        (*fmt)++;
    }
    return n;
}

static void parse_flags(const char **fmt, struct spec *s)
{
    for (;; (*fmt)++) {
        switch (**fmt) {
        case '-':
            s->left = true;
            break;
        case '0':
            s->zero = true;
            break;
        case '+':
            s->plus = true;
            break;
        case ' ':
            s->space = true;
            break;
        case '#':
            s->alt = true;
            break;
        default:
            return;
        }
    }
}

static int parse_length(const char **fmt)
{
    char c = **fmt;
    switch (c) {
    case 'h':
    case 'l':
        (*fmt)++;
        if (**fmt == c) {
            (*fmt)++;
            return c == 'h' ? (int)sizeof(char) : (int)sizeof(long long);
        }
        return c == 'h' ? (int)sizeof(short) : (int)sizeof(long);
    case 'j':
        (*fmt)++;
        return (int)sizeof(intmax_t);
    case 'z':
        (*fmt)++;
        return (int)sizeof(size_t);
    case 't':
        (*fmt)++;
        return (int)sizeof(ptrdiff_t);
    default:
        return (int)sizeof(int);
    }
}

/* Text with the precision as its greatest length. */
static void put_text(struct alk_buf *b, const struct spec *s, const char *text)
{
    size_t n = 0;
    if (text == NULL && !(s->has_precision && s->precision == 0)) {
        text = "(null)";
    }
    while ((!s->has_precision || n < s->precision) && text != NULL && text[n] != '\0') {
        n++;
    }
    size_t fill = s->width > n ? s->width - n : 0;
    pad(b, ' ', s->left ? 0 : fill);
    (void)alk_buf_put(b, alk_span(text, n));
    pad(b, ' ', s->left ? fill : 0);
}

static void put_integer(struct alk_buf *b, const struct spec *s, uint64_t v, const char *sign)
{
    static const char lower[] = "0123456789abcdef";
    static const char upper[] = "0123456789ABCDEF";
    const char *digits = s->conv == 'X' ? upper : lower;
    bool is_hex = s->conv == 'x' || s->conv == 'X' || s->conv == 'p';
    uint64_t base = is_hex ? 16 : s->conv == 'o' ? 8 : 10;
    char text[DIGITS_MAX];
    size_t at = sizeof(text);

    if (s->alt && is_hex && v != 0) {
        sign = s->conv == 'X' ? "0X" : "0x";
    }
    for (; v != 0; v /= base) {
        text[--at] = digits[v % base];
    }
    size_t n = sizeof(text) - at;
    size_t least = s->has_precision ? s->precision : 1;
    if (s->alt && base == 8 && least <= n) {
        least = n + 1;
    }
    size_t zeros = least > n ? least - n : 0;
    size_t used = alk_span_str(sign).n + zeros + n;
    size_t fill = s->width > used ? s->width - used : 0;
    if (s->zero && !s->left && !s->has_precision) {
        zeros += fill;
        fill = 0;
    }
    pad(b, ' ', s->left ? 0 : fill);
    (void)alk_buf_put_str(b, sign);
    pad(b, '0', zeros);
    (void)alk_buf_put(b, alk_span(text + at, n));
    pad(b, ' ', s->left ? fill : 0);
}

/* The integer argument, cut to its declared size and extended again. */
static int64_t cut_signed(int64_t v, int size)
{
    switch (size) {
    case 1:
        return (int8_t)v;
    case 2:
        return (int16_t)v;
    case 4:
        return (int32_t)v;
    default:
        return v;
    }
}

static uint64_t cut_unsigned(uint64_t v, int size)
{
    return size >= 8 ? v : v & ((UINT64_C(1) << (8 * size)) - 1);
}

static void put_conv(struct alk_buf *b, const struct spec *s, va_list *ap)
{
    int64_t i = 0;
    uint64_t u = 0;
    char c[2] = {0};

    switch (s->conv) {
    case 'd':
    case 'i':
        i = s->size > (int)sizeof(int) ? va_arg(*ap, int64_t) : va_arg(*ap, int);
        i = cut_signed(i, s->size);
        u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
        put_integer(b, s, u, i < 0 ? "-" : s->plus ? "+" : s->space ? " " : "");
        return;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        u = s->size > (int)sizeof(int) ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);
        put_integer(b, s, cut_unsigned(u, s->size), "");
        return;
    case 'p':
        put_integer(b, s, (uint64_t)(uintptr_t)va_arg(*ap, void *), "0x");
        return;
    case 'c':
        c[0] = (char)va_arg(*ap, int);
        pad(b, ' ', s->left || s->width == 0 ? 0 : s->width - 1);
        (void)alk_buf_put(b, alk_span(c, 1)); /* a zero byte counts too */
        pad(b, ' ', s->left && s->width > 0 ? s->width - 1 : 0);
        return;
    case 's':
        put_text(b, s, va_arg(*ap, const char *));
        return;
    case '%':
        (void)alk_buf_put_u8(b, '%');
        return;
    default:
        ALK_UNREACHABLE();
    }
}

/* What follows a '%', with the arguments that width and precision take. */
static struct spec parse_spec(const char **fmt, va_list *ap)
{
    struct spec s = {0};
    parse_flags(fmt, &s);
    if (**fmt == '*') {
        (*fmt)++;
        int width = va_arg(*ap, int);
        s.left = s.left || width < 0;
        s.width = width < 0 ? 0 - (size_t)width : (size_t)width;
    } else {
        s.width = parse_number(fmt);
    }
    if (**fmt == '.') {
        (*fmt)++;
        s.has_precision = true;
        if (**fmt == '*') {
            (*fmt)++;
            int precision = va_arg(*ap, int);
            s.has_precision = precision >= 0;
            s.precision = precision >= 0 ? (size_t)precision : 0;
        } else {
            s.precision = parse_number(fmt);
        }
    }
    s.size = parse_length(fmt);
    s.conv = *(*fmt)++;
    return s;
}

alk_err alk_buf_vprintf(struct alk_buf *b, const char *fmt, va_list args)
{
    size_t before = alk_buf_len(b);
    va_list ap;
    va_copy(ap, args);
    while (*fmt != '\0' && b->err == ALK_OK) {
        const char *from = fmt;
        while (*fmt != '\0' && *fmt != '%') {
            fmt++;
        }
        (void)alk_buf_put(b, alk_span(from, (size_t)(fmt - from)));
        if (*fmt == '%') {
            fmt++;
            struct spec s = parse_spec(&fmt, &ap);
            put_conv(b, &s, &ap);
        }
    }
    va_end(ap);
    if (b->err != ALK_OK) {
        b->end = b->at + before; /* all or nothing */
    }
    return b->err;
}

alk_err alk_buf_printf(struct alk_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    alk_err err = alk_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return err;
}
