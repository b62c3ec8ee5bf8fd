/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void good_addresses_print_as_rfc_5952_wants(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } table[] = {
        {"127.0.0.1:4433", "127.0.0.1:4433"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"255.255.255.255:65535", "255.255.255.255:65535"},
        {"[::]:1", "[::]:1"},
        {"[::1]:4433", "[::1]:4433"},
        {"[1::]:1", "[1::]:1"},
        {"[2001:DB8:0:0:1:0:0:1]:443", "[2001:db8::1:0:0:1]:443"}, /* [RFC 5952 §4.2.3] first */
        {"[2001:db8:0:1:1:1:1:1]:443", "[2001:db8:0:1:1:1:1:1]:443"}, /* [RFC 5952 §4.2.2] */
        {"[1:2:3:4:5:6:7:8]:9", "[1:2:3:4:5:6:7:8]:9"},
        {"[0:0:1::]:9", "[0:0:1::]:9"},
        {"[fe80::1%3]:9", "[fe80::1%3]:9"},
        {"[::ffff:192.0.2.1]:9", "[::ffff:c000:201]:9"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct alk_addr a;
        char text[ALK_ADDR_TEXT_MAX];
        assert_int_equal(alk_addr_parse(alk_span_str(table[i].in), &a), ALK_OK);
        alk_addr_print(&a, true, text, sizeof text);
        assert_string_equal(text, table[i].out);
        struct alk_addr b;
        assert_int_equal(alk_addr_parse(alk_span_str(text), &b), ALK_OK);
        assert_true(alk_addr_equal(&a, &b));
    }
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "1.2.3:4",
        "1.2.3.4.5:6",
        "256.1.1.1:1",
        "01.2.3.4:5",
        ":4433",
        "::1:4433",
        "[::1]",
        "[::1]4433",
        "[::1:4433",
        "[1::2::3]:1",
        "[12345::]:1",
        "[1:2:3:4:5:6:7]:1",
        "[1:2:3:4:5:6:7:8:9]:1",
        "[g::]:1",
        "[]:1",
        "[::1%eth0]:1",
        "[:1]:1",
        "[1:]:1",
        "[1:2:3:4:5:6:7:1.2.3.4]:1",
        "localhost:1",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        " 127.0.0.1:1",
        "[1:2:3:4:5:6:7::8]:1",
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct alk_addr a = {.port = 7};
        alk_err err = alk_addr_parse(alk_span_str(table[i]), &a);
        if (err != ALK_E_MALFORMED) {
            print_error("accepted: %s\n", table[i]);
        }
        assert_int_equal(err, ALK_E_MALFORMED);
        assert_int_equal(a.port, 7); /* untouched */
    }
}

static struct alk_addr addr(const char *text)
{
    struct alk_addr a;
    assert_int_equal(alk_addr_parse(alk_span_str(text), &a), ALK_OK);
    return a;
}

static void limits_count_an_ipv6_64_and_a_mapped_ipv4_as_one(void **state)
{
    (void)state;
    uint8_t x[17];
    uint8_t y[17];
    struct alk_addr a = addr("[2001:db8:1:2:3::1]:5");
    struct alk_addr b = addr("[2001:db8:1:2:ffff::9]:6");
    struct alk_addr c = addr("[2001:db8:1:3::9]:6");
    assert_int_equal(alk_addr_limit_key(&a, x), 9);
    assert_int_equal(alk_addr_limit_key(&b, y), 9);
    assert_memory_equal(x, y, 9);
    (void)alk_addr_limit_key(&c, y);
    assert_memory_not_equal(x, y, 9);
    struct alk_addr m = addr("[::ffff:192.0.2.1]:5");
    struct alk_addr v4 = addr("192.0.2.1:9");
    assert_int_equal(alk_addr_limit_key(&m, x), 5);
    assert_int_equal(alk_addr_limit_key(&v4, y), 5);
    assert_memory_equal(x, y, 5);
}

static void loopback_is_known_in_every_form(void **state)
{
    (void)state;
    struct alk_addr yes[] = {addr("127.0.0.1:1"), addr("127.9.9.9:1"), addr("[::1]:1"),
                             addr("[::ffff:127.0.0.1]:1")};
    struct alk_addr no[] = {addr("0.0.0.0:1"), addr("[::]:1"), addr("192.0.2.1:1"),
                            addr("[::2]:1")};
    for (size_t i = 0; i < 4; i++) {
        assert_true(alk_addr_is_loopback(&yes[i]));
        assert_false(alk_addr_is_loopback(&no[i]));
    }
}

static void printing_into_a_small_buffer_cuts(void **state)
{
    (void)state;
    struct alk_addr a = addr("192.0.2.1:4433");
    char text[8];
    alk_addr_print(&a, true, text, sizeof text);
    assert_string_equal(text, "192.0.2");
    alk_addr_print(&a, false, text, 0);
    assert_string_equal(text, "192.0.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_print_as_rfc_5952_wants),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(limits_count_an_ipv6_64_and_a_mapped_ipv4_as_one),
        cmocka_unit_test(loopback_is_known_in_every_form),
        cmocka_unit_test(printing_into_a_small_buffer_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
