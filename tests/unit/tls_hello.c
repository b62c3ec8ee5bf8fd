/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/tls/hello.h"

#include "support/check.h"

/* A ClientHello with these extensions, in memory of its own. */
static struct alk_buf hello_with(struct alk_span exts)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 17);
    struct alk_wr w = alk_wr_buf(&b);
    static const uint8_t random[32] = {9};
    alk_wr_u16(&w, 0x0303);
    alk_wr_bytes(&w, alk_span(random, sizeof random));
    alk_wr_block8(&w, ALK_LIT(""));
    alk_wr_block16(&w, ALK_LIT("\x13\x01"));
    alk_wr_block8(&w, alk_span("\0", 1));
    alk_wr_block16(&w, exts);
    assert_int_equal(w.err, ALK_OK);
    return b;
}

static alk_err parse_exts(struct alk_span exts, struct alk_tls_hello *ret)
{
    struct alk_buf b = hello_with(exts);
    alk_err err = alk_tls_hello_parse(alk_buf_span(&b), ret);
    if (err == ALK_OK && ret->has_alpn) { /* it borrows: only compare lengths later */
        ret->alpns.p = NULL;
    }
    alk_buf_fini(&b);
    return err;
}

#define SNI(list) ALK_LIT("\0\0" list)

static void names_are_read_in_lower_case(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct alk_span exts;
        const char *want;
    } rows[] = {
        {"a host name", SNI("\0\x0b\0\x09\0\0\x06Git.Ex"), "git.ex"},
        {"no extension", ALK_LIT(""), ""},
        {"an IPv4 address",
         SNI("\0\x0e\0\x0c\0\0\x09"
             "192.0.2.1"),
         ""},
        {"an IPv6 address", SNI("\0\x08\0\x06\0\0\x03::1"), ""},
        {"a zero byte inside", SNI("\0\x0b\0\x09\0\0\x06git\0ex"), ""},
        {"a control character",
         SNI("\0\x0b\0\x09\0\0\x06git\x1b"
             "ex"),
         ""},
        {"another type of name", SNI("\0\x0b\0\x09\x01\0\x06git.ex"), ""},
        {"the first host name of two",
         SNI("\0\x0f\0\x0d\0\0\x04"
             "a.ex\0\0\x03"
             "b.e"),
         "a.ex"},
        {"an empty name", SNI("\0\x05\0\x03\0\0\0"), ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_tls_hello h;
        print_message("  %s\n", rows[i].name);
        check_err(parse_exts(rows[i].exts, &h), ALK_OK);
        assert_string_equal(h.sni, rows[i].want);
        assert_false(h.has_alpn);
    }
}

static void bad_extensions_are_malformed(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct alk_span exts;
    } rows[] = {
        {"two server names", SNI("\0\x0b\0\x09\0\0\x06git.ex\0\0\0\x0b\0\x09\0\0\x06git.ex")},
        {"an empty server name list", SNI("\0\x02\0\0")},
        {"bytes after the list", SNI("\0\x0c\0\x09\0\0\x06git.ex!")},
        {"a name longer than the list", SNI("\0\x0b\0\x09\0\0\x07git.ex")},
        {"an ALPN list of nothing", ALK_LIT("\0\x10\0\x02\0\0")},
        {"an empty ALPN", ALK_LIT("\0\x10\0\x06\0\x04\x02h3\0")},
        {"an ALPN longer than the list", ALK_LIT("\0\x10\0\x05\0\x03\x03h3")},
        {"bytes after the ALPN list", ALK_LIT("\0\x10\0\x06\0\x03\x02h3!")},
        {"two ALPN lists", ALK_LIT("\0\x10\0\x05\0\x03\x02h3\0\x10\0\x05\0\x03\x02h3")},
        {"two lists of versions", ALK_LIT("\0\x2b\0\x03\x02\x03\x04\0\x2b\0\x03\x02\x03\x04")},
        {"no versions in the list", ALK_LIT("\0\x2b\0\x01\0")},
        {"half a version", ALK_LIT("\0\x2b\0\x02\x01\x03")},
        {"bytes after the versions", ALK_LIT("\0\x2b\0\x04\x02\x03\x04!")},
        {"an extension cut off", ALK_LIT("\0\x10\0\x05\0\x03\x02h")},
        {"half an extension header", ALK_LIT("\0\x10\0")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_tls_hello h;
        print_message("  %s\n", rows[i].name);
        check_err(parse_exts(rows[i].exts, &h), ALK_E_MALFORMED);
    }
}

static void tls_13_must_be_offered(void **state)
{
    (void)state;
    struct alk_tls_hello h;
    check_err(parse_exts(ALK_LIT("\0\x2b\0\x03\x02\x03\x04"), &h), ALK_OK);
    assert_true(h.has_tls13);
    check_err(parse_exts(ALK_LIT("\0\x2b\0\x07\x06\x0a\x0a\x03\x04\x03\x03"), &h), ALK_OK);
    assert_true(h.has_tls13);
    check_err(parse_exts(ALK_LIT("\0\x2b\0\x03\x02\x03\x03"), &h), ALK_OK);
    assert_false(h.has_tls13);
    check_err(parse_exts(ALK_LIT(""), &h), ALK_OK);
    assert_false(h.has_tls13);
}

static void the_list_is_stepped_through_in_order(void **state)
{
    (void)state;
    struct alk_buf b = hello_with(ALK_LIT("\xff\x01\0\x01\0\0\x10\0\x10\0\x0e\x02h3\x0a"
                                          "alknet/ssh"));
    struct alk_tls_hello h;
    check_err(alk_tls_hello_parse(alk_buf_span(&b), &h), ALK_OK);
    assert_true(h.has_alpn);
    struct alk_rd at = alk_rd(h.alpns);
    struct alk_span name;
    assert_true(alk_tls_hello_next(&at, &name));
    check_text(name, "h3");
    assert_true(alk_tls_hello_next(&at, &name));
    check_text(name, "alknet/ssh");
    assert_false(alk_tls_hello_next(&at, &name));
    check_text(name, "alknet/ssh"); /* unchanged */
    alk_buf_fini(&b);
}

static void a_hello_without_extensions_is_read(void **state)
{
    (void)state;
    struct alk_buf b = hello_with(ALK_LIT(""));
    struct alk_tls_hello h;
    check_err(alk_tls_hello_parse(alk_buf_span(&b), &h), ALK_OK);
    check_err(alk_tls_hello_parse(alk_span_head(alk_buf_span(&b), alk_buf_len(&b) - 2), &h),
              ALK_OK);
    check_err(alk_tls_hello_parse(alk_span_head(alk_buf_span(&b), alk_buf_len(&b) - 1), &h),
              ALK_E_MALFORMED);
    alk_buf_fini(&b);
}

static void every_cut_is_malformed_and_changes_nothing(void **state)
{
    (void)state;
    struct alk_buf b =
        hello_with(ALK_LIT("\0\0\0\x0b\0\x09\0\0\x06git.ex\0\x10\0\x05\0\x03\x02h3"));
    size_t bare = 2 + 32 + 1 + 4 + 2;
    for (size_t n = 0; n < alk_buf_len(&b); n++) {
        struct alk_tls_hello h;
        memset(&h, 0x5a, sizeof h);
        struct alk_tls_hello before = h;
        alk_err err = alk_tls_hello_parse(alk_span_head(alk_buf_span(&b), n), &h);
        if (n == bare) {
            check_err(err, ALK_OK); /* cut where the extensions begin */
            continue;
        }
        check_err(err, ALK_E_MALFORMED);
        assert_memory_equal(&h, &before, sizeof h);
    }
    alk_buf_fini(&b);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_tls_hello h;
    (void)ctx;
    if (alk_tls_hello_parse(in, &h) == ALK_OK && h.has_alpn) {
        struct alk_rd at = alk_rd(h.alpns);
        struct alk_span name;
        size_t total = 0;
        while (alk_tls_hello_next(&at, &name)) {
            assert_true(name.n > 0);
            total += 1 + name.n;
        }
        assert_int_equal(total, h.alpns.n);
    }
}

static void no_hello_crashes_the_reader(void **state)
{
    (void)state;
    struct alk_buf b =
        hello_with(ALK_LIT("\0\0\0\x0b\0\x09\0\0\x06git.ex\0\x10\0\x0b\0\x09\x02h3\x05h2-15"));
    check_mutations(alk_buf_span(&b), look, NULL);
    alk_buf_fini(&b);
}

static void a_wildcard_is_one_label(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool want;
    } rows[] = {
        {"a.example", "a.example", true},
        {"A.Example", "a.example", true},
        {"a.example", "b.example", false},
        {"*.example", "a.example", true},
        {"*.example", "a.b.example", false},
        {"*.example", "example", false},
        {"*.example", ".example", true},
        {"*", "example", false},
        {"*.", "example", false},
        {"a.example", "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(alk_tls_name_matches(rows[i].pattern, rows[i].name), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_in_lower_case),
        cmocka_unit_test(bad_extensions_are_malformed),
        cmocka_unit_test(tls_13_must_be_offered),
        cmocka_unit_test(the_list_is_stepped_through_in_order),
        cmocka_unit_test(a_hello_without_extensions_is_read),
        cmocka_unit_test(every_cut_is_malformed_and_changes_nothing),
        cmocka_unit_test(no_hello_crashes_the_reader),
        cmocka_unit_test(a_wildcard_is_one_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
