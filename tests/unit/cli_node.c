/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What NODE on the command line means. */
#include "node.h"

#include "ident.h"
#include "support/check.h"

#define KEY "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"

static void addresses_are_read(void **state)
{
    static const struct {
        const char *in, *host_port, *path;
        bool has_key, is_name;
    } rows[] = {
        {"alknet://" KEY "@home.example.org", "home.example.org:4433", "", true, false},
        {"alknet://" KEY "@HOME.example.org:1/a/b", "home.example.org:1", "/a/b", true, false},
        {"alknet://home:99/", "home:99", "/", false, false},
        {"alknet://home", "home:4433", "", false, false},
        {"alknet://" KEY "@[::1]", "[::1]:4433", "", true, false},
        {"alknet://[FE80::1%2]:5/x", "[fe80::1%2]:5", "/x", false, false},
        {"127.0.0.1:4433", "127.0.0.1:4433", "", false, false},
        {"example.org", "example.org:4433", "", false, false},
        {"localhost:65535", "localhost:65535", "", false, false},
        {"[::1]:1", "[::1]:1", "", false, false},
        {"home", "", "", false, true},
        {"my-node_2", "", "", false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_node n;
        char why[256] = "";
        alk_err err = cli_node_parse(rows[i].in, &n, why, sizeof why);
        if (err != ALK_OK) {
            fail_msg("%s: %s", rows[i].in, why);
        }
        assert_string_equal(n.host_port, rows[i].host_port);
        assert_string_equal(n.path, rows[i].path);
        assert_int_equal(n.has_key, rows[i].has_key);
        assert_int_equal(n.is_name, rows[i].is_name);
    }
}

static void what_is_no_address_is_told_why(void **state)
{
    static const struct {
        const char *in, *says;
    } rows[] = {
        {"", "no address"},
        {KEY, "key alone"},
        {"alknet://" KEY, "key alone"},
        {"alknet://", "no host"},
        {"alknet://short@host", "52 characters"},
        {"alknet://" KEY "@", "no host"},
        {"host:0", "1 to 65535"},
        {"host:65536", "1 to 65535"},
        {"host:x", "1 to 65535"},
        {"host:", "1 to 65535"},
        {"::1", "brackets"},
        {"[::1", "bracket"},
        {"[::1]x", "]"},
        {"a b.c", "no host name"},
        {"host/path", "alknet://"},
        {KEY "@host:1", "alknet://"},
        {"na me", "no name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_node n;
        char why[256] = "";
        alk_err err = cli_node_parse(rows[i].in, &n, why, sizeof why);
        if (err != ALK_E_INVALID || strstr(why, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].in, why);
        }
    }
}

static void look(struct alk_span in, void *ctx)
{
    char text[CLI_NODE_MAX + 2], why[256];
    struct cli_node n;
    (void)ctx;
    if (alk_span_cstr(in, text, sizeof text)) {
        alk_err err = cli_node_parse(text, &n, why, sizeof why);
        assert_true(err == ALK_OK || err == ALK_E_INVALID);
    }
}

static void mutated_addresses_never_crash(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("alknet://" KEY "@[fe80::1%2]:4433/path"), look, NULL);
}

static void printed_addresses_are_read_again(void **state)
{
    char text[600], why[256];
    struct cli_node n;
    (void)state;
    cli_node_print(KEY, "[::1]:7", text, sizeof text);
    assert_string_equal(text, "alknet://" KEY "@[::1]:7");
    check_err(cli_node_parse(text, &n, why, sizeof why), ALK_OK);
    assert_int_equal(n.port, 7);
}

static void ssh_lines_are_as_openssh_writes_them(void **state)
{
    /* [RFC 8032 §7.1] the public key of test 1, in the form of [RFC 4253 §6.6] */
    static const uint8_t key[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7,
                                    0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                                    0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25,
                                    0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    char line[CLI_SSH_LINE_MAX];
    (void)state;
    cli_ssh_line(key, "me@here", line);
    assert_string_equal(line, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYj"
                              "Ja8CGmj3B1Ea me@here");
}

static void public_hosts(void **state)
{
    char out[300];
    (void)state;
    cli_public_host("node.example.org:1", "0.0.0.0:4433", out, sizeof out);
    assert_string_equal(out, "node.example.org:1");
    cli_public_host(NULL, "127.0.0.1:5", out, sizeof out);
    assert_string_equal(out, "127.0.0.1:5");
    cli_public_host(NULL, "[::]:6", out, sizeof out); /* a wildcard is nobody's address */
    assert_null(strstr(out, "[::]"));
    assert_non_null(strstr(out, ":6"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(what_is_no_address_is_told_why),
        cmocka_unit_test(mutated_addresses_never_crash),
        cmocka_unit_test(printed_addresses_are_read_again),
        cmocka_unit_test(ssh_lines_are_as_openssh_writes_them),
        cmocka_unit_test(public_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
