/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/text.h"

#include "base/rand.h"
#include "support/oom.h"

typedef bool encode_fn(struct alk_span s, char *dst, size_t dst_size);
typedef alk_err decode_fn(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n);

static const struct codec {
    const char *name;
    encode_fn *encode;
    decode_fn *decode;
    const char *digits;
} codecs[] = {
    {"hex", alk_hex, alk_unhex, "0123456789abcdefABCDEF"},
    {"base64", alk_base64, alk_unbase64,
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
    {"base64 without padding", alk_base64_bare, alk_unbase64,
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
    {"base64url", alk_base64url, alk_unbase64url,
     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
    {"z-base-32", alk_z32, alk_unz32, "ybndrfg8ejkmcpqxot1uwisza345h769"},
};
enum { CODECS = sizeof(codecs) / sizeof(codecs[0]) };

/* [RFC 4648 §10], and z-base-32 of the same texts from its specification's rules. */
static void known_values(void **state)
{
    (void)state;
    static const struct {
        encode_fn *encode;
        const char *in, *want;
    } rows[] = {
        {alk_base64, "", ""},
        {alk_base64, "f", "Zg=="},
        {alk_base64, "fo", "Zm8="},
        {alk_base64, "foo", "Zm9v"},
        {alk_base64, "foob", "Zm9vYg=="},
        {alk_base64, "fooba", "Zm9vYmE="},
        {alk_base64, "foobar", "Zm9vYmFy"},
        {alk_base64_bare, "foob", "Zm9vYg"},
        {alk_base64, "\xfb\xff\xfe", "+//+"},
        {alk_base64url, "\xfb\xff\xfe", "-__-"},
        {alk_base64url, "f", "Zg"},
        {alk_hex, "", ""},
        {alk_hex, "foobar", "666f6f626172"},
        {alk_hex, "\xff\x01\x9a", "ff019a"},
        {alk_z32, "", ""},
        {alk_z32, "hello", "pb1sa5dx"},
        {alk_z32, "\xf0\xbf\xc7", "6n9hq"},
        {alk_z32, "\xd4\x7a\x04", "4t7ye"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char dst[32];
        assert_true(rows[i].encode(alk_span_str(rows[i].in), dst, sizeof(dst)));
        assert_string_equal(dst, rows[i].want);
    }
}

static void what_is_encoded_decodes_again(void **state)
{
    (void)state;
    struct alk_prng g;
    alk_prng_init(&g, 11);
    struct alk_rand r = alk_prng_rand(&g);
    for (size_t i = 0; i < CODECS; i++) {
        for (size_t n = 0; n < 70; n++) {
            uint8_t in[70];
            uint8_t out[70];
            char text[200];
            size_t out_n = 0;
            alk_rand_fill(&r, in, n);
            assert_true(codecs[i].encode(alk_span(in, n), text, sizeof(text)));
            check_err(codecs[i].decode(alk_span_str(text), out, n, &out_n), ALK_OK);
            assert_true(alk_span_equal(alk_span(in, n), alk_span(out, out_n)));
            if (n > 0) {
                check_err(codecs[i].decode(alk_span_str(text), out, n - 1, &out_n), ALK_E_TOO_BIG);
            }
            size_t len = strlen(text);
            assert_false(codecs[i].encode(alk_span(in, n), text, len));
            assert_true(len == 0 || text[0] == '\0');
            assert_true(codecs[i].encode(alk_span(in, n), text, len + 1));
        }
    }
}

static void foreign_characters_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODECS; i++) {
        for (unsigned c = 0; c < 256; c++) {
            char text[17];
            uint8_t out[16];
            size_t n = 0;
            memset(text, codecs[i].digits[0], 16);
            text[3] = (char)c;
            bool is_digit = c != 0 && strchr(codecs[i].digits, (int)c) != NULL;
            check_err(codecs[i].decode(alk_span(text, 16), out, sizeof(out), &n),
                      is_digit ? ALK_OK : ALK_E_MALFORMED);
        }
    }
}

static void there_is_one_text_per_value(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        decode_fn *decode;
        const char *in;
        alk_err want;
    } rows[] = {
        {"odd hex", alk_unhex, "abc", ALK_E_MALFORMED},
        {"hex in upper case", alk_unhex, "ABcd", ALK_OK},
        {"padding where it belongs", alk_unbase64, "Zg==", ALK_OK},
        {"no padding", alk_unbase64, "Zg", ALK_OK},
        {"half the padding", alk_unbase64, "Zg=", ALK_E_MALFORMED},
        {"too much padding", alk_unbase64, "Zm8==", ALK_E_MALFORMED},
        {"padding alone", alk_unbase64, "====", ALK_E_MALFORMED},
        {"three paddings", alk_unbase64, "Z===", ALK_E_MALFORMED},
        {"padding in the middle", alk_unbase64, "Zg==Zg==", ALK_E_MALFORMED},
        {"bits behind the last byte", alk_unbase64, "Zh==", ALK_E_MALFORMED},
        {"bits behind the last byte", alk_unbase64, "Zm9", ALK_E_MALFORMED},
        {"one digit alone", alk_unbase64, "Z", ALK_E_MALFORMED},
        {"a line break", alk_unbase64, "Zm9v\nZm9v", ALK_E_MALFORMED},
        {"the other alphabet", alk_unbase64, "-__-", ALK_E_MALFORMED},
        {"the other alphabet", alk_unbase64url, "+//+", ALK_E_MALFORMED},
        {"one digit of five bits", alk_unz32, "y", ALK_E_MALFORMED},
        {"a digit too many", alk_unz32, "yyy", ALK_E_MALFORMED},
        {"bits behind the last byte", alk_unz32, "yb", ALK_E_MALFORMED},
        {"upper case", alk_unz32, "PB1SA5DX", ALK_E_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t out[16];
        size_t n = 77;
        alk_err got = rows[i].decode(alk_span_str(rows[i].in), out, sizeof(out), &n);
        if (got != rows[i].want) {
            fail_msg("%s (%s): %s", rows[i].name, rows[i].in, alk_err_name(got));
        }
        assert_true(got == ALK_OK || n == 77);
    }
}

static void a_key_has_fifty_two_digits(void **state)
{
    (void)state;
    uint8_t key[32] = {0};
    uint8_t back[32];
    char text[ALK_Z32_SIZE(32)];
    size_t n = 0;
    memset(key, 0xff, sizeof(key));
    assert_true(alk_z32(alk_span(key, sizeof(key)), text, sizeof(text)));
    assert_int_equal(strlen(text), ALK_Z32_KEY);
    check_err(alk_unz32(alk_span_str(text), back, sizeof(back), &n), ALK_OK);
    assert_int_equal(n, 32);
    /* The last digit carries one bit: 'o' has four more below it. */
    text[51] = '9';
    check_err(alk_unz32(alk_span_str(text), back, sizeof(back), &n), ALK_E_MALFORMED);
}

static void peer_bytes_are_escaped(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 100);
    struct alk_span bytes = alk_span("a\"\\\t\n\r\x1b[0m\0\x7f\xc3\xa4", 14);
    check_err(alk_buf_put_escaped(&b, bytes, 100), ALK_OK);
    check_text(alk_buf_span(&b), "a\\\"\\\\\\t\\n\\x0d\\x1b[0m\\x00\\x7f\\xc3\\xa4");
    alk_buf_clear(&b);
    check_err(alk_buf_put_escaped(&b, ALK_LIT("abcdef"), 3), ALK_OK);
    check_text(alk_buf_span(&b), "abc...");
    alk_buf_clear(&b);
    check_err(alk_buf_put_escaped(&b, ALK_LIT("abc"), 3), ALK_OK);
    check_text(alk_buf_span(&b), "abc");
    alk_buf_fini(&b);
}

static void json_strings_are_valid_and_harmless_on_terminals(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 200);
    struct alk_span bytes = alk_span("a\"\\/\n\0\x1f\x7f\xc3\xa4\xc2\x9b\xf0\x9f\x98\x80", 16);
    check_err(alk_buf_put_json(&b, bytes), ALK_OK);
    check_text(alk_buf_span(&b),
               "\"a\\\"\\\\/\\u000a\\u0000\\u001f\\u007f\xc3\xa4\\u009b\xf0\x9f\x98\x80\"");
    alk_buf_clear(&b);
    check_err(alk_buf_put_json(&b, ALK_LIT("x\xff\xed\xa0\x80")), ALK_OK);
    check_text(alk_buf_span(&b), "\"x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    alk_buf_clear(&b);
    check_err(alk_buf_put_json(&b, (struct alk_span){NULL, 0}), ALK_OK);
    check_text(alk_buf_span(&b), "\"\"");
    alk_buf_fini(&b);
}

static alk_err text_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_buf b;
    alk_buf_init(&b, mem, 4000);
    for (int i = 0; i < 40; i++) {
        (void)alk_buf_put_json(&b, ALK_LIT("text \x01 \xff"));
        (void)alk_buf_put_escaped(&b, ALK_LIT("text \x01 \xff"), 100);
    }
    alk_err err = b.err;
    alk_buf_fini(&b);
    return err;
}

static void without_memory_text_fails_cleanly(void **state)
{
    (void)state;
    oom_sweep(text_body, NULL);
}

static void sizes_and_times_read_well(void **state)
{
    (void)state;
    static const struct {
        uint64_t v;
        const char *size, *time;
    } rows[] = {
        {0, "0 B", "0 ns"},
        {999, "999 B", "999 ns"},
        {1000, "1000 B", "1 us"},
        {1023, "1023 B", "1 us"},
        {1024, "1 KiB", "1 us"},
        {1536, "1.5 KiB", "1.5 us"},
        {2047, "1.9 KiB", "2 us"},
        {250 * ALK_MS, "238 MiB", "250 ms"},
        {90 * ALK_SECOND, "83.8 GiB", "1.5 m"},
        {2 * 86400 * ALK_SECOND, "157 TiB", "2 d"},
        {ALK_NEVER, "16383 PiB", "never"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[24];
        alk_text_size(rows[i].v, text, sizeof(text));
        assert_string_equal(text, rows[i].size);
        alk_text_time(rows[i].v, text, sizeof(text));
        assert_string_equal(text, rows[i].time);
    }
    char small[4] = "xxx";
    alk_text_size(1000, small, sizeof(small));
    assert_string_equal(small, "");
}

static void percent_signs_are_decoded_or_refused(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: malformed */
    } rows[] = {
        {"", ""},
        {"a/b c", "a/b c"},
        {"%41%62", "Ab"},
        {"%2f%2F", "//"},
        {"%25%32%35", "%25"},
        {"%e2%82%ac", "\xe2\x82\xac"},
        {"100%", NULL},
        {"%4", NULL},
        {"%", NULL},
        {"%4g", NULL},
        {"%g4", NULL},
        {"%%41", NULL},
        {"%+1", NULL},
        {"a%\xb1"
         "0",
         NULL},
    };
    uint8_t dst[32];
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        alk_err err = alk_percent_decode(alk_span_str(rows[i].text), dst, sizeof(dst), &n);
        check_err(err, rows[i].want == NULL ? ALK_E_MALFORMED : ALK_OK);
        assert_true(rows[i].want == NULL || alk_span_is(alk_span(dst, n), rows[i].want));
    }
    check_err(alk_percent_decode(ALK_LIT("%00"), dst, 1, &n), ALK_OK);
    assert_true(n == 1 && dst[0] == 0);
    check_err(alk_percent_decode(ALK_LIT("%41b"), dst, 2, &n), ALK_OK);
    check_err(alk_percent_decode(ALK_LIT("%41bc"), dst, 2, &n), ALK_E_TOO_BIG);
    check_err(alk_percent_decode(ALK_LIT("ab%4"), dst, 2, &n), ALK_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_signs_are_decoded_or_refused),
        cmocka_unit_test(known_values),
        cmocka_unit_test(what_is_encoded_decodes_again),
        cmocka_unit_test(foreign_characters_are_refused),
        cmocka_unit_test(there_is_one_text_per_value),
        cmocka_unit_test(a_key_has_fifty_two_digits),
        cmocka_unit_test(peer_bytes_are_escaped),
        cmocka_unit_test(json_strings_are_valid_and_harmless_on_terminals),
        cmocka_unit_test(without_memory_text_fails_cleanly),
        cmocka_unit_test(sizes_and_times_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
