/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Push certificates: one way to read them, or none. */
#include "git/proto/pushcert.h"

#include "git/proto/sshsig.h"
#include "git/sshsig_verify.h"
#include "support/vector.h"

#include <stdio.h>

#define ZERO    "0000000000000000000000000000000000000000"
#define ONE     "30da7cecffd69d0690d02f4faec928468e7804c9"
#define LONG    "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
#define VERSION "certificate version 0.1\n"
#define PUSHER  "pusher SHA256:abc  1700000000 +0130\n"
#define COMMAND ZERO " " ONE " refs/heads/main\n"
#define BEGIN   ALK_GIT_SSHSIG_BEGIN "\n"
#define END     ALK_GIT_SSHSIG_END "\n"
#define SIGNED  BEGIN "YWJj\n" END
#define GOOD    VERSION PUSHER "pushee x\nnonce n-1\npush-option a b\n\n" COMMAND SIGNED

static void a_certificate_is_taken_apart(void **state)
{
    struct alk_git_pushcert c;
    struct alk_git_command command;
    struct alk_span option;
    (void)state;
    check_err(
        alk_git_pushcert_parse(
            ALK_LIT(VERSION PUSHER "x-later 1\npushee x y\nnonce n-1\n"
                                   "push-option a b\npush-option \npush-option c\t=\n\n" COMMAND ONE
                                   " " ZERO " refs/tags/v1\n" SIGNED),
            &c),
        ALK_OK);
    check_text(c.pusher, "SHA256:abc");
    assert_true(c.time_s == 1700000000);
    assert_int_equal(c.zone_min, 90);
    check_text(c.pushee, "x y");
    check_text(c.nonce, "n-1");
    check_text(c.signature, SIGNED);
    assert_true(
        alk_span_ends(c.signed_text, ALK_LIT("\n\n" COMMAND ONE " " ZERO " refs/tags/v1\n")));
    assert_int_equal(c.option_count, 3);
    assert_int_equal(c.command_count, 2);

    struct alk_span rest = c.headers;
    assert_true(alk_git_pushcert_next_option(&rest, &option));
    check_text(option, "a b");
    assert_true(alk_git_pushcert_next_option(&rest, &option));
    check_text(option, "");
    assert_true(alk_git_pushcert_next_option(&rest, &option));
    check_text(option, "c\t=");
    assert_false(alk_git_pushcert_next_option(&rest, &option));

    rest = c.commands;
    assert_true(alk_git_pushcert_next_command(&rest, &command));
    check_text(command.ref, "refs/heads/main");
    check_text(command.new_id, ONE);
    assert_true(alk_git_pushcert_next_command(&rest, &command));
    check_text(command.ref, "refs/tags/v1");
    assert_true(alk_git_command_is_delete(&command));
    assert_false(alk_git_pushcert_next_command(&rest, &command));
}

static void headers_are_taken_or_refused(void **state)
{
    static const struct {
        const char *headers;
        alk_err want;
        const char *pusher;
        int zone;
    } rows[] = {
        {PUSHER, ALK_OK, "SHA256:abc", 90},
        {"pusher A U Thor <a@example.com> 1 -0100\n", ALK_OK, "A U Thor <a@example.com>", -60},
        {"pusher a 18446744073709551615 +0000\n", ALK_OK, "a", 0},
        {"pusher a 18446744073709551616 +0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher a 1 0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher a 1 +000\n", ALK_E_MALFORMED, "", 0},
        {"pusher a 1 +0060\n", ALK_E_MALFORMED, "", 0},
        {"pusher a 1 +00:0\n", ALK_E_MALFORMED, "", 0},
        {"pusher a 1\n", ALK_E_MALFORMED, "", 0},
        {"pusher a +0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher 1 +0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher  1 +0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher a -1 +0000\n", ALK_E_MALFORMED, "", 0},
        {"pusher\n", ALK_E_MALFORMED, "", 0},
        {"", ALK_E_MALFORMED, "", 0},
        {PUSHER PUSHER, ALK_E_MALFORMED, "", 0},
        {PUSHER "nonce a\nnonce a\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "pushee a\npushee b\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "nonce \n", ALK_E_MALFORMED, "", 0},
        {PUSHER "nonce\n", ALK_E_MALFORMED, "", 0},
        {PUSHER VERSION, ALK_E_MALFORMED, "", 0},
        {PUSHER " nonce a\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "word\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "nonce a\r\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "nonce a\x1b\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "pushee \x7f\n", ALK_E_MALFORMED, "", 0},
        {PUSHER "pushee \xc3\xa9\n", ALK_OK, "SHA256:abc", 90},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[2000];
        struct alk_git_pushcert c = {.command_count = 77};
        (void)snprintf(text, sizeof(text), VERSION "%s\n" COMMAND SIGNED, rows[i].headers);
        check_err(alk_git_pushcert_parse(alk_span_str(text), &c), rows[i].want);
        if (rows[i].want == ALK_OK) {
            check_text(c.pusher, rows[i].pusher);
            assert_int_equal(c.zone_min, rows[i].zone);
        } else {
            assert_int_equal(c.command_count, 77);
        }
    }
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        const char *in;
        alk_err want;
    } rows[] = {
        {GOOD, ALK_OK},
        {"", ALK_E_MALFORMED},
        {"certificate version 0.2\n" PUSHER "\n" COMMAND SIGNED, ALK_E_MALFORMED},
        {" " GOOD, ALK_E_MALFORMED},
        {"\n" GOOD, ALK_E_MALFORMED},
        /* no empty line, no commands, no signature */
        {VERSION PUSHER COMMAND SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND, ALK_E_MALFORMED},
        {VERSION PUSHER "\n\n" COMMAND SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND "\n" SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND "text\n" SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" ONE " " LONG " refs/heads/main\n" SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND LONG " " LONG " refs/heads/main\n" SIGNED, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" ZERO " " ONE " HEAD\n" SIGNED, ALK_E_MALFORMED},
        /* git would take the second signature, and commands between the two */
        {GOOD SIGNED, ALK_E_MALFORMED},
        {GOOD COMMAND SIGNED, ALK_E_MALFORMED},
        {GOOD COMMAND, ALK_E_MALFORMED},
        {GOOD "\n", ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND BEGIN BEGIN "YWJj\n" END, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND BEGIN "-----BEGIN PGP SIGNATURE-----\n" END, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND BEGIN "YWJj\n", ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND BEGIN "YWJj\n" ALK_GIT_SSHSIG_END, ALK_E_MALFORMED},
        {VERSION PUSHER "\n" COMMAND "-----BEGIN PGP SIGNATURE-----\nx\n", ALK_E_UNSUPPORTED},
        {VERSION PUSHER "\n" COMMAND ALK_GIT_SSHSIG_BEGIN " \nYWJj\n" END, ALK_E_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_pushcert c;
        alk_err err = alk_git_pushcert_parse(alk_span_str(rows[i].in), &c);
        if (err != rows[i].want) {
            fail_msg("%s: %s", rows[i].in, alk_err_name(err));
        }
    }
    struct alk_git_pushcert c;
    check_err(alk_git_pushcert_parse(ALK_LIT(VERSION PUSHER "nonce a\0b\n\n" COMMAND SIGNED), &c),
              ALK_E_MALFORMED);
}

static void headers_and_lines_have_limits(void **state)
{
    struct alk_buf b;
    struct alk_git_pushcert c;
    (void)state;
    alk_buf_init(&b, NULL, 1 << 20);
    for (size_t over = 0; over < 2; over++) {
        check_err(alk_buf_put_str(&b, VERSION PUSHER), ALK_OK);
        for (size_t i = 1; i < ALK_GIT_PUSHCERT_HEADERS_MAX + over; i++) {
            check_err(alk_buf_put_str(&b, "push-option x\n"), ALK_OK);
        }
        check_err(alk_buf_put_str(&b, "\n" COMMAND SIGNED), ALK_OK);
        check_err(alk_git_pushcert_parse(alk_buf_span(&b), &c), over ? ALK_E_TOO_BIG : ALK_OK);
        alk_buf_clear(&b);

        check_err(alk_buf_put_str(&b, VERSION PUSHER "nonce "), ALK_OK);
        for (size_t i = 6; i < ALK_GIT_PUSHCERT_LINE_MAX + over; i++) {
            check_err(alk_buf_put_str(&b, "n"), ALK_OK);
        }
        check_err(alk_buf_put_str(&b, "\n\n" COMMAND SIGNED), ALK_OK);
        check_err(alk_git_pushcert_parse(alk_buf_span(&b), &c), over ? ALK_E_TOO_BIG : ALK_OK);
        alk_buf_clear(&b);
    }
    alk_buf_fini(&b);
}

/* Every certificate is the signed text and the signature, and its commands can be walked. */
static void look(struct alk_span in, void *ctx)
{
    struct alk_git_pushcert c;
    struct alk_git_command command;
    struct alk_span option;
    (void)ctx;
    if (alk_git_pushcert_parse(in, &c) != ALK_OK) {
        return;
    }
    assert_true(c.signed_text.p == in.p && c.signature.p == in.p + c.signed_text.n);
    assert_int_equal(c.signed_text.n + c.signature.n, in.n);
    struct alk_span rest = c.commands;
    size_t n = 0;
    while (alk_git_pushcert_next_command(&rest, &command)) {
        n++;
    }
    assert_int_equal(n, c.command_count);
    for (rest = c.headers, n = 0; alk_git_pushcert_next_option(&rest, &option); n++) {
    }
    assert_int_equal(n, c.option_count);
}

static void mutations_never_crash_and_no_cut_is_whole(void **state)
{
    struct alk_span good = ALK_LIT(GOOD);
    (void)state;
    check_mutations(good, look, NULL);
    for (size_t n = 0; n < good.n; n++) {
        struct alk_git_pushcert c;
        alk_err err = alk_git_pushcert_parse(alk_span_head(good, n), &c);
        assert_true(err == ALK_E_MALFORMED || err == ALK_E_UNSUPPORTED);
    }
}

static void check_certificate(const char *path, size_t id_hex, const char *pushee,
                              size_t option_count)
{
    struct alk_buf b;
    struct alk_git_pushcert c;
    struct alk_git_command command;
    struct alk_key_names names;
    vector_read(path, &b);
    struct alk_span text = alk_buf_span(&b);
    check_err(alk_git_pushcert_parse(text, &c), ALK_OK);
    check_text(c.pushee, pushee);
    assert_int_equal(c.option_count, option_count);
    assert_int_equal(c.command_count, 2);
    struct alk_span rest = c.commands;
    assert_true(alk_git_pushcert_next_command(&rest, &command));
    check_text(command.ref, "refs/heads/main");
    assert_int_equal(command.new_id.n, id_hex);
    check_err(alk_git_sshsig_check(NULL, c.signature, &c.signed_text, 1, &names), ALK_OK);
    /* Who signed is who says that he pushed. */
    char pusher[64];
    assert_true(alk_span_cstr(c.pusher, pusher, sizeof(pusher)));
    assert_string_equal(names.name[names.count - 1], pusher);
    /* Altered in any place: refused or bad. */
    for (size_t i = 0; i < text.n; i++) {
        b.p[b.at + i] ^= 2;
        alk_err err = alk_git_pushcert_parse(text, &c);
        if (err == ALK_OK) {
            err = alk_git_sshsig_check(NULL, c.signature, &c.signed_text, 1, &names);
        }
        if (err == ALK_OK) {
            fail_msg("%s: byte %zu", path, i);
        }
        b.p[b.at + i] ^= 2;
    }
    alk_buf_fini(&b);
}

static void certificates_of_git_verify_and_altered_ones_do_not(void **state)
{
    (void)state;
    check_certificate(ALK_SOURCE_DIR "/tests/vectors/git/cert-sha1", ALK_GIT_SHA1_HEX,
                      "../s-sha1.git", 2);
    check_certificate(ALK_SOURCE_DIR "/tests/vectors/git/cert-sha256", ALK_GIT_SHA256_HEX,
                      "../s-sha256.git", 2);
}

static void the_captured_certificate_verifies(void **state)
{
    (void)state;
    check_certificate(ALK_VECTORS_DIR "/06-git/push-cert.txt", ALK_GIT_SHA1_HEX, "../srv.git", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_taken_apart),
        cmocka_unit_test(headers_are_taken_or_refused),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(headers_and_lines_have_limits),
        cmocka_unit_test(mutations_never_crash_and_no_cut_is_whole),
        cmocka_unit_test(certificates_of_git_verify_and_altered_ones_do_not),
        cmocka_unit_test(the_captured_certificate_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
