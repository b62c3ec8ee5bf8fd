/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What git-remote-alknet reads: addresses, git's configuration, credentials. */
#include "git_config.h"
#include "git_credential.h"
#include "git_run.h"
#include "git_url.h"

#include "support/check.h"

#include <stdlib.h>

#define KEY   "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
#define TOKEN "alk_abcdefgh_ABCDEFGHIJKLMNOPQRSTUV"

/* --- addresses ----------------------------------------------------------------- */

static void an_address_is_a_node_and_a_path(void **state)
{
    static const struct {
        const char *in, *node, *path;
    } rows[] = {
        {"alknet://" KEY "@h.example:1/a/b.git", "alknet://" KEY "@h.example:1", "/a/b.git"},
        {"alknet://h.example/a", "alknet://h.example", "/a"},
        {"alknet://[::1]:5/a", "alknet://[::1]:5", "/a"},
        {"alknet://mybox/a", "mybox", "/a"},
        {"alknet://mybox//a/", "mybox", "//a/"},
        {"mybox/a", "mybox", "/a"}, /* alknet::mybox/a */
        {"h.example:1/a", "alknet://h.example:1", "/a"},
        {"alknet://mybox/a%20b%25/%7Eme", "mybox", "/a b%/~me"},
        {"alknet://mybox/../a", "mybox", "/../a"}, /* the node refuses it */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cli_git_url u;
        char why[256] = "";
        if (cli_git_url_parse(rows[i].in, &u, why, sizeof why) != ALK_OK) {
            fail_msg("%s: %s", rows[i].in, why);
        }
        assert_string_equal(u.node, rows[i].node);
        assert_string_equal(u.path, rows[i].path);
    }
}

static void what_is_no_address_of_a_repository_is_told_why(void **state)
{
    static const struct {
        const char *in, *says;
    } rows[] = {
        {"", "no node"},
        {"alknet://", "no node"},
        {"alknet:///a", "no node"},
        {"alknet://home", "no repository"},
        {"alknet://mybox/", "no repository"},
        {"alknet://mybox/a\nb", "newline is forbidden"},
        {"alknet://ho\x7fme/a", "control"},
        {"alknet://mybox/a%", "hex"},
        {"alknet://mybox/a%4", "hex"},
        {"alknet://mybox/a%4g", "hex"},
        {"alknet://mybox/a%00", "hex"},
    };
    char text[ALK_GIT_REQUEST_PATH_MAX + 32], why[256];
    struct cli_git_url u;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(cli_git_url_parse(rows[i].in, &u, why, sizeof why), ALK_E_INVALID);
        if (strstr(why, rows[i].says) == NULL) {
            fail_msg("%s: %s", rows[i].in, why);
        }
    }
    /* The longest path goes, one byte more does not; so with the node. */
    (void)snprintf(text, sizeof text, "alknet://mybox/%0*d", ALK_GIT_REQUEST_PATH_MAX - 1, 0);
    assert_int_equal(cli_git_url_parse(text, &u, why, sizeof why), ALK_OK);
    (void)snprintf(text, sizeof text, "alknet://mybox/%0*d", ALK_GIT_REQUEST_PATH_MAX, 0);
    assert_int_equal(cli_git_url_parse(text, &u, why, sizeof why), ALK_E_INVALID);
    (void)snprintf(text, sizeof text, "alknet://%0*d/a", CLI_NODE_MAX - 9, 0);
    assert_int_equal(cli_git_url_parse(text, &u, why, sizeof why), ALK_OK);
    (void)snprintf(text, sizeof text, "alknet://%0*d/a", CLI_NODE_MAX - 8, 0);
    assert_int_equal(cli_git_url_parse(text, &u, why, sizeof why), ALK_E_INVALID);
}

static void look_at_address(struct alk_span in, void *ctx)
{
    char text[256], why[256];
    struct cli_git_url u;
    (void)ctx;
    if (alk_span_cstr(in, text, sizeof text)) {
        alk_err err = cli_git_url_parse(text, &u, why, sizeof why);
        assert_true(err == ALK_OK || err == ALK_E_INVALID);
        assert_true(err != ALK_OK || (u.path[0] == '/' && u.node[0] != '\0'));
    }
}

static void mutated_addresses_never_crash(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("alknet://" KEY "@[::1]:4433/a%20b/%c3%a4"), look_at_address, NULL);
}

/* --- configuration ------------------------------------------------------------- */

#define CONFIG(text) ((struct alk_span){(const uint8_t *)(text), sizeof(text)})

static void a_remote_has_its_own_settings_before_those_of_all(void **state)
{
    struct cli_git_config c;
    (void)state;

    cli_git_config_read(CONFIG("alknet.identity\nall\0"
                               "remote.a.b.alknetidentity\nmine\0"
                               "remote.a.alknetidentity\nother\0"
                               "alknet.identity\nlast of all\0"
                               "alknet.transport\ntcp\0"
                               "alknet.transport\nudp\0"
                               "alknet.trust\0"
                               "alknet.anonymous\n\0"
                               "alknet.unknown\nx\0"
                               "protocol.version\n1"),
                        "a.b", &c);
    assert_string_equal(c.value[CLI_GIT_IDENTITY], "mine");
    assert_string_equal(c.value[CLI_GIT_TRANSPORT], "udp");
    assert_string_equal(c.value[CLI_GIT_TRUST], "true");
    assert_string_equal(c.value[CLI_GIT_ANONYMOUS], "");
    assert_null(c.value[CLI_GIT_TOKEN_FILE]);
    assert_int_equal(c.version, 1);
}

static void the_version_is_two_unless_something_else_is_said(void **state)
{
    struct cli_git_config c;
    unsigned version = 2;
    (void)state;

    cli_git_config_read((struct alk_span){NULL, 0}, "r", &c);
    assert_int_equal(c.version, 2);
    cli_git_config_read(CONFIG("protocol.version\n7"), "r", &c);
    assert_int_equal(c.version, 2);
    cli_git_config_read(CONFIG("protocol.version\n0"), "r", &c);
    assert_int_equal(c.version, 0);
    cli_git_config_protocol("", &version);
    cli_git_config_protocol("version=3:version=", &version);
    assert_int_equal(version, 2);
    cli_git_config_protocol("x=1:version=1:y", &version);
    assert_int_equal(version, 1);
}

static void check_words(const struct cli_git_config *c, const char *home, const char *want)
{
    char room[CLI_GIT_ROOM], why[256], got[512] = "";
    const char *words[CLI_GIT_WORDS_MAX];
    int count = 0;

    assert_int_equal(cli_git_config_words(c, home, room, words, &count, why, sizeof why), ALK_OK);
    for (int i = 0; i < count; i++) {
        size_t n = strlen(got);
        (void)snprintf(got + n, sizeof got - n, "%s%s", i > 0 ? " " : "", words[i]);
    }
    assert_string_equal(got, want);
}

static void settings_become_options(void **state)
{
    struct cli_git_config c = {.value = {[CLI_GIT_IDENTITY] = "~/key",
                                         [CLI_GIT_ANONYMOUS] = "No",
                                         [CLI_GIT_TOKEN_FILE] = "/t",
                                         [CLI_GIT_TRANSPORT] = "tcp",
                                         [CLI_GIT_TRUST] = "ON",
                                         [CLI_GIT_CA] = "ca",
                                         [CLI_GIT_TIMEOUT] = "5s"}};
    (void)state;
    check_words(&c, "/h", "--identity /h/key --token-file /t --tcp --trust --ca ca --timeout 5s");
    c = (struct cli_git_config){.value = {[CLI_GIT_IDENTITY] = "~/key",
                                          [CLI_GIT_ANONYMOUS] = "1",
                                          [CLI_GIT_TRANSPORT] = "any",
                                          [CLI_GIT_TRUST] = ""}};
    check_words(&c, NULL, "--identity ~/key --anonymous");
}

static void a_setting_that_means_nothing_is_refused(void **state)
{
    static const struct cli_git_config rows[] = {
        {.value = {[CLI_GIT_TRANSPORT] = "sctp"}},
        {.value = {[CLI_GIT_TRUST] = "perhaps"}},
        {.value = {[CLI_GIT_ANONYMOUS] = "2"}},
    };
    char room[CLI_GIT_ROOM], why[256], *path = malloc(CLI_GIT_ROOM + 1);
    const char *words[CLI_GIT_WORDS_MAX];
    int count = 0;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(cli_git_config_words(&rows[i], "/h", room, words, &count, why, sizeof why),
                         ALK_E_INVALID);
        assert_non_null(strstr(why, "alknet."));
    }
    assert_non_null(path);
    memset(path, 'x', CLI_GIT_ROOM);
    path[CLI_GIT_ROOM] = '\0';
    struct cli_git_config c = {.value = {[CLI_GIT_CA] = path}};
    assert_int_equal(cli_git_config_words(&c, "/h", room, words, &count, why, sizeof why),
                     ALK_E_INVALID);
    path[CLI_GIT_ROOM - 1] = '\0';
    assert_int_equal(cli_git_config_words(&c, "/h", room, words, &count, why, sizeof why), ALK_OK);
    free(path);
}

/* What git prints always ends in a zero byte. */
static void look_at_config(struct alk_span in, void *ctx)
{
    const char *words[CLI_GIT_WORDS_MAX];
    char *text = calloc(1, in.n + 1), room[CLI_GIT_ROOM], why[256];
    struct cli_git_config c;
    int count = 0;
    (void)ctx;
    assert_non_null(text);
    if (in.n > 0) {
        memcpy(text, in.p, in.n);
    }
    cli_git_config_read(alk_span(text, in.n + 1), "a", &c);
    assert_true(c.version <= 2);
    alk_err err = cli_git_config_words(&c, "/h", room, words, &count, why, sizeof why);
    assert_true(err == ALK_OK || err == ALK_E_INVALID);
    assert_true(count >= 0 && count <= CLI_GIT_WORDS_MAX);
    free(text);
}

static void mutated_configurations_never_crash(void **state)
{
    static const char text[] = "alknet.identity\n~/k\0alknet.trust\0remote.a.alknettransport\nudp\0"
                               "protocol.version\n1\0alknet.tokenfile\n/t\0alknet.ca\nx\0"
                               "alknet.timeout\n1s\0alknet.anonymous\nyes";
    (void)state;
    check_mutations(alk_span(text, sizeof text), look_at_config, NULL);
}

/* --- credentials --------------------------------------------------------------- */

static void a_credential_is_written_as_git_reads_it(void **state)
{
    struct alk_buf b;
    const struct cli_git_place place = {.host_port = "h:1"};
    const struct cli_git_place pinned = {.host_port = "h:1", .key = "KEY"};
    (void)state;

    alk_buf_init(&b, NULL, 256);
    assert_int_equal(cli_git_credential_put(&b, &place, NULL), ALK_OK);
    assert_string_equal(alk_buf_cstr(&b), "protocol=alknet\nhost=h:1\nusername=token\n\n");
    alk_buf_clear(&b);
    assert_int_equal(cli_git_credential_put(&b, &pinned, TOKEN), ALK_OK);
    assert_string_equal(alk_buf_cstr(&b), "protocol=alknet\nhost=h:1\npath=KEY\nusername=token\n"
                                          "password=" TOKEN "\n\n");
    alk_buf_fini(&b);
}

static void only_a_token_is_taken_for_one(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
    } rows[] = {
        {"protocol=alknet\nusername=token\npassword=" TOKEN "\n", ALK_OK},
        {"password=" TOKEN, ALK_OK},
        {"", ALK_E_NOENT},
        {"username=token\n", ALK_E_NOENT},
        {"password=\n", ALK_E_NOENT},
        {"xpassword=" TOKEN "\n", ALK_E_NOENT},
        {"password=secret\n", ALK_E_MALFORMED},
        {"password=" TOKEN "x\n", ALK_E_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char token[ALK_TOKEN_SIZE] = "";
        alk_err err = cli_git_credential_get(alk_span_str(rows[i].in), token);
        if (err != rows[i].want) {
            fail_msg("%s: %s", rows[i].in, alk_err_name(err));
        }
        assert_string_equal(token, err == ALK_OK ? TOKEN : "");
    }
}

/* --- git ------------------------------------------------------------------------ */

static void git_is_run_with_input_and_its_output_is_bounded(void **state)
{
    static const char *const hash[] = {"hash-object", "--stdin", NULL};
    static const char *const none[] = {"no-such-command-of-git", "x", NULL};
    struct alk_buf b;
    int status = -1;
    (void)state;

    alk_buf_init(&b, NULL, 8192);
    alk_err err = cli_git_run(hash, ALK_LIT("hello\n"), &b, &status);
    if (err == ALK_E_NOENT) {
        alk_buf_fini(&b);
        skip(); /* no git here */
    }
    assert_int_equal(err, ALK_OK);
    assert_int_equal(status, 0);
    assert_string_equal(alk_buf_cstr(&b), "ce013625030ba8dba906f756967f9e9ca394464a\n");
    /* Who does not read its input is told by its status. */
    assert_int_equal(cli_git_run(none, ALK_LIT("x"), &b, &status), ALK_OK);
    assert_int_not_equal(status, 0);
    alk_buf_fini(&b);

    static const char *const help[] = {"help", "-a", NULL};
    alk_buf_init(&b, NULL, 4100);
    assert_int_equal(cli_git_run(help, (struct alk_span){NULL, 0}, &b, &status), ALK_E_TOO_BIG);
    alk_buf_fini(&b);

    uint8_t big[CLI_GIT_INPUT_MAX + 1] = {0};
    alk_buf_init(&b, NULL, 8192);
    assert_int_equal(cli_git_run(hash, alk_span(big, sizeof big), &b, &status), ALK_E_TOO_BIG);
    assert_int_equal(cli_git_run(hash, alk_span(big, sizeof big - 1), &b, &status), ALK_OK);
    assert_int_equal(status, 0);
    alk_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_node_and_a_path),
        cmocka_unit_test(what_is_no_address_of_a_repository_is_told_why),
        cmocka_unit_test(mutated_addresses_never_crash),
        cmocka_unit_test(a_remote_has_its_own_settings_before_those_of_all),
        cmocka_unit_test(the_version_is_two_unless_something_else_is_said),
        cmocka_unit_test(settings_become_options),
        cmocka_unit_test(a_setting_that_means_nothing_is_refused),
        cmocka_unit_test(mutated_configurations_never_crash),
        cmocka_unit_test(a_credential_is_written_as_git_reads_it),
        cmocka_unit_test(only_a_token_is_taken_for_one),
        cmocka_unit_test(git_is_run_with_input_and_its_output_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
