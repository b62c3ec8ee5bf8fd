/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Whatever a decoder accepts, the encoder gives back; escaped and JSON text is
 * printable and well-formed; globs and numbers end. */
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096 };

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void codecs(struct alk_span in)
{
    uint8_t out[INPUT_MAX];
    char text[2 * INPUT_MAX + 8];
    size_t n = 0;
    if (alk_unhex(in, out, sizeof(out), &n) == ALK_OK) {
        must(alk_hex(alk_span(out, n), text, sizeof(text)));
        must(alk_span_equal_nocase(alk_span_str(text), in));
    }
    if (alk_unbase64(in, out, sizeof(out), &n) == ALK_OK) {
        must(alk_base64_bare(alk_span(out, n), text, sizeof(text)));
        must(alk_span_starts(in, alk_span_str(text)));
    }
    if (alk_unbase64url(in, out, sizeof(out), &n) == ALK_OK) {
        must(alk_base64url(alk_span(out, n), text, sizeof(text)));
        must(alk_span_starts(in, alk_span_str(text)));
    }
    if (alk_unz32(in, out, sizeof(out), &n) == ALK_OK) {
        must(alk_z32(alk_span(out, n), text, sizeof(text)));
        must(alk_span_is(in, text));
    }
    if (alk_percent_decode(in, out, sizeof(out), &n) == ALK_OK) {
        must(n <= in.n && n >= in.n / 3 && (n < in.n || alk_span_equal(alk_span(out, n), in)));
    }
}

static void printing(struct alk_span in)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 8 * (size_t)INPUT_MAX);
    if (alk_buf_put_escaped(&b, in, in.n / 2) == ALK_OK) {
        struct alk_span s = alk_buf_span(&b);
        for (size_t i = 0; i < s.n; i++) {
            must(s.p[i] >= 0x20 && s.p[i] < 0x7f);
        }
    }
    alk_buf_clear(&b);
    if (alk_buf_put_json(&b, in) == ALK_OK) {
        struct alk_span s = alk_buf_span(&b);
        must(alk_span_is_utf8(s));
        for (size_t i = 0; i < s.n; i++) {
            must(s.p[i] >= 0x20 && s.p[i] != 0x7f);
        }
    }
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX) {
        return 0;
    }
    struct alk_span in = alk_span(data, size);
    codecs(in);
    printing(in);

    struct alk_span text = alk_span_head(in, 256);
    struct alk_span pattern = alk_span_cut(&text, 0);
    bool matches = alk_span_glob(pattern, text);
    must(matches || !alk_span_equal(pattern, text) || alk_span_find(text, '*') < text.n);

    uint64_t v = 0;
    if (alk_span_u64(text, 1000, &v)) {
        must(v <= 1000);
    }
    char small[32];
    if (alk_span_cstr(text, small, sizeof(small))) {
        must(alk_span_is(text, small));
    }
    return 0;
}
