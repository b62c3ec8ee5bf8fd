/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Opening the encrypted values of a configuration with a key file. */
#include "keyring.h"

#include "commands.h"
#include "core/store/file.h"
#include "secret_key.h"
#include "secret_search.h"
#include "support/check.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define PLACE "services.x.token"

struct world {
    char dir[64], file[128];
    FILE *err;
    char *said;
    size_t said_n;
    struct cli cli;
    const char *argv[4];
    struct cli_args args;
    struct cli_keyring *ring;
};

static void key_of(uint32_t version, uint8_t ret[static 32])
{
    for (size_t i = 0; i < 32; i++) {
        ret[i] = (uint8_t)(version * 41 + i * 29 + 3);
    }
}

/* Writes the key file anew, with these versions (0: no more). */
static void write_keys(const char *path, uint32_t a, uint32_t b)
{
    const uint32_t versions[] = {a, b};
    struct alk_buf text;
    uint8_t key[32];
    alk_buf_init(&text, NULL, 4096);
    assert_non_null(alk_buf_reserve(&text, 4096));
    for (size_t i = 0; i < 2 && versions[i] != 0; i++) {
        key_of(versions[i], key);
        check_err(cli_key_print_encryption(versions[i], key, &text), ALK_OK);
    }
    (void)unlink(path);
    check_err(alk_file_create(path, alk_buf_span(&text), 0600), ALK_OK);
    alk_buf_fini_secret(&text);
    alksec_wipe(key, sizeof key);
}

/* serve --dir DIR, or with the two words that are given */
static void open_ring(struct world *w, const char *option, const char *value)
{
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/alk-keyring-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->file, sizeof w->file, "%s/" CLI_KEY_FILE, w->dir);
    w->err = open_memstream(&w->said, &w->said_n);
    w->cli = (struct cli){.out = w->err, .err = w->err};
    w->argv[0] = option == NULL ? "--dir" : option;
    w->argv[1] = option == NULL ? w->dir : value == NULL ? w->file : value;
    assert_int_equal(cli_parse(&cli_serve_command, 2, w->argv, w->err, &w->args), CLI_OK);
    assert_int_equal(cli_keyring_new(&w->cli, &w->args, &w->ring), CLI_OK);
}

static void close_ring(struct world *w)
{
    cli_keyring_free(w->ring);
    (void)fclose(w->err);
    free(w->said);
    (void)unlink(w->file);
    (void)rmdir(w->dir);
}

static size_t seal(uint32_t version, const char *context, char *ret, size_t size)
{
    uint8_t key[32];
    size_t n = 0;
    key_of(version, key);
    check_sec(alksec_blob_seal(NULL, NULL, version, key, SPAN("open sesame"),
                               (struct alksec_span){context, strlen(context)}, ret, size, &n),
              ALKSEC_OK);
    alksec_wipe(key, sizeof key);
    return n;
}

static alk_err open_text(struct world *w, const char *text, char why[static ALK_CONF_WHY])
{
    const struct alk_conf_opener *o = cli_keyring_opener(w->ring);
    struct alk_buf plain;
    alk_buf_init(&plain, NULL, 4096);
    why[0] = '\0';
    alk_err err = o->open(o->ctx, PLACE, alk_span_str(text), &plain, why, ALK_CONF_WHY);
    if (err == ALK_OK) {
        check_text(alk_buf_span(&plain), "open sesame");
    } else {
        assert_int_equal(alk_buf_len(&plain), 0);
        assert_string_not_equal(why, "");
    }
    alk_buf_fini_secret(&plain);
    return err;
}

static alk_err open_sealed(struct world *w, uint32_t version, char why[static ALK_CONF_WHY])
{
    char text[1024];
    (void)seal(version, PLACE, text, sizeof text);
    return open_text(w, text, why);
}

static void a_value_opens_with_the_key_of_its_version(void **state)
{
    struct world w;
    char why[ALK_CONF_WHY];
    (void)state;
    open_ring(&w, "--key-file", NULL);
    write_keys(w.file, 2, 3);
    assert_int_equal(cli_keyring_load(w.ring), CLI_OK);
    check_err(open_sealed(&w, 2, why), ALK_OK);
    check_err(open_sealed(&w, 3, why), ALK_OK);
    check_err(open_sealed(&w, 4, why), ALK_E_CRYPTO);
    assert_non_null(strstr(why, "has no key of version 4"));
    close_ring(&w);
}

static void another_key_a_change_and_another_place_look_the_same(void **state)
{
    struct world w;
    char text[1024], why[4][ALK_CONF_WHY];
    uint8_t key[32] = {1};
    size_t n;
    (void)state;
    open_ring(&w, "--key-file", NULL);
    write_keys(w.file, 2, 0);
    (void)seal(2, "services.y.token", text, sizeof text);
    check_err(open_text(&w, text, why[0]), ALK_E_CRYPTO);
    (void)seal(2, "", text, sizeof text); /* of no place at all */
    check_err(open_text(&w, text, why[1]), ALK_E_CRYPTO);
    (void)seal(2, PLACE, text, sizeof text);
    char *data = strstr(text, "\"data\":\"") + 8;
    *data = *data == 'A' ? 'B' : 'A';
    check_err(open_text(&w, text, why[2]), ALK_E_CRYPTO);
    check_sec(alksec_blob_seal(NULL, NULL, 2, key, SPAN("open sesame"), SPAN(PLACE), text,
                               sizeof text, &n),
              ALKSEC_OK);
    check_err(open_text(&w, text, why[3]), ALK_E_CRYPTO);
    for (size_t i = 1; i < 4; i++) {
        assert_string_equal(why[i], why[0]);
    }
    assert_non_null(strstr(why[0], "without --context '" PLACE "'"));
    check_err(open_text(&w, "{\"a\":1}", why[0]), ALK_E_CRYPTO);
    assert_string_equal(why[0], "not an encrypted value (--context here is '" PLACE "')");
    close_ring(&w);
}

static void what_is_added_to_the_file_is_seen(void **state)
{
    struct world w;
    char why[ALK_CONF_WHY];
    (void)state;
    open_ring(&w, NULL, NULL);
    assert_int_equal(cli_keyring_load(w.ring), CLI_OK); /* there is none, and none is needed */
    check_err(open_sealed(&w, 2, why), ALK_E_NOENT);
    assert_non_null(strstr(why, "alknet secret derive --purpose encryption --out FILE"));
    assert_non_null(strstr(why, w.file));
    write_keys(w.file, 2, 0);
    check_err(open_sealed(&w, 2, why), ALK_OK);
    check_err(open_sealed(&w, 3, why), ALK_E_CRYPTO);
    write_keys(w.file, 2, 3);
    check_err(open_sealed(&w, 3, why), ALK_OK);
    write_keys(w.file, 3, 0);
    check_err(open_sealed(&w, 2, why), ALK_E_CRYPTO); /* and what is gone is gone */
    (void)unlink(w.file);
    check_err(open_sealed(&w, 3, why), ALK_E_NOENT);
    close_ring(&w);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    struct world w;
    char why[ALK_CONF_WHY], link_path[160];
    (void)state;
    open_ring(&w, "--key-file", NULL);
    assert_int_equal(cli_keyring_load(w.ring), CLI_FAILED); /* named, and not there */
    write_keys(w.file, 2, 0);
    check_err(open_sealed(&w, 2, why), ALK_OK);
    assert_int_equal(chmod(w.file, 0640), 0);
    check_err(open_sealed(&w, 2, why), ALK_E_PERM);
    assert_non_null(strstr(why, "chmod 600"));
    assert_int_equal(chmod(w.file, 0400), 0);
    check_err(open_sealed(&w, 2, why), ALK_OK);
    (void)snprintf(link_path, sizeof link_path, "%s/real", w.dir);
    assert_int_equal(rename(w.file, link_path), 0);
    assert_int_equal(symlink(link_path, w.file), 0);
    check_err(open_sealed(&w, 2, why), ALK_E_PERM);
    (void)unlink(link_path);
    close_ring(&w);
}

static void a_file_that_is_wrong_or_too_large_is_refused(void **state)
{
    struct world w;
    static char text[CLI_KEY_FILE_MAX + 2];
    char why[ALK_CONF_WHY];
    (void)state;
    open_ring(&w, "--key-file", NULL);
    memset(text, '\n', sizeof text);
    check_err(alk_file_create(w.file, alk_span(text, CLI_KEY_FILE_MAX + 1), 0600), ALK_OK);
    check_err(open_sealed(&w, 2, why), ALK_E_TOO_BIG);
    (void)unlink(w.file);
    check_err(alk_file_create(w.file, alk_span(text, CLI_KEY_FILE_MAX), 0600), ALK_OK);
    check_err(open_sealed(&w, 2, why), ALK_E_MALFORMED);
    assert_non_null(strstr(why, "there is no key in it"));
    assert_int_equal(cli_keyring_load(w.ring), CLI_FAILED);
    close_ring(&w);
}

static void a_credential_goes_before_the_data_directory(void **state)
{
    struct world w, credentials;
    char why[ALK_CONF_WHY];
    (void)state;
    open_ring(&credentials, NULL, NULL); /* for its directory */
    write_keys(credentials.file, 7, 0);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", credentials.dir, 1), 0);
    open_ring(&w, NULL, NULL);
    write_keys(w.file, 2, 0);
    check_err(open_sealed(&w, 7, why), ALK_OK);
    check_err(open_sealed(&w, 2, why), ALK_E_CRYPTO);
    close_ring(&w);
    open_ring(&w, "--key-file", NULL); /* and what is named before both */
    write_keys(w.file, 2, 0);
    check_err(open_sealed(&w, 2, why), ALK_OK);
    close_ring(&w);
    (void)unlink(credentials.file);
    open_ring(&w, NULL, NULL);
    write_keys(w.file, 2, 0);
    check_err(open_sealed(&w, 2, why), ALK_OK); /* other credentials, no such one */
    close_ring(&w);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    close_ring(&credentials);
}

/* From here on the file is there, and not for us to read. */
static void lose_the_right(const struct world *w)
{
    if (geteuid() == 0) {
        assert_int_equal(seteuid(65534), 0);
    } else {
        assert_int_equal(chmod(w->file, 0), 0);
    }
}

static void keys_outlive_the_right_to_read_them_but_not_a_fork(void **state)
{
    struct world w;
    char why[ALK_CONF_WHY];
    int status = 0;
    uid_t before = geteuid();
    (void)state;
    open_ring(&w, "--key-file", NULL);
    write_keys(w.file, 2, 0);
    assert_int_equal(cli_keyring_load(w.ring), CLI_OK);
    lose_the_right(&w);
    alk_err err = open_sealed(&w, 2, why);
    pid_t pid = fork();
    if (pid == 0) {
        _exit(open_sealed(&w, 2, why) == ALK_E_PERM ? 0 : 1);
    }
    assert_int_equal(seteuid(before), 0);
    check_err(err, ALK_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close_ring(&w);
}

static void nothing_of_a_key_is_left(void **state)
{
    struct search s = {.count = 0};
    struct alk_buf line;
    struct world w;
    uint8_t key[32];
    char why[ALK_CONF_WHY];
    (void)state;
    key_of(2, key);
    look_for(&s, key, sizeof key);
    alk_buf_init(&line, NULL, 256);
    assert_non_null(alk_buf_reserve(&line, 256));
    check_err(cli_key_print_encryption(2, key, &line), ALK_OK);
    look_for(&s, alk_buf_span(&line).p + 24, 40); /* in base64 */
    alk_buf_fini_secret(&line);
    alksec_wipe(key, sizeof key);
    open_ring(&w, "--key-file", NULL);
    write_keys(w.file, 2, 0);
    check_gone(&s, "writing the file");
    assert_int_equal(cli_keyring_load(w.ring), CLI_OK);
    assert_int_equal(search(&s), 2); /* the key itself, once, and its text no more */
    check_err(open_sealed(&w, 2, why), ALK_OK);
    check_err(open_sealed(&w, 3, why), ALK_E_CRYPTO);
    check_err(alk_file_write(w.file, ALK_LIT("alknet-encryption-key 2 x"), 0600), ALK_OK);
    check_err(open_sealed(&w, 2, why), ALK_E_MALFORMED);
    assert_int_equal(search(&s), 2);
    cli_keyring_free(w.ring);
    w.ring = NULL;
    check_gone(&s, "cli_keyring_free");
    close_ring(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_opens_with_the_key_of_its_version),
        cmocka_unit_test(another_key_a_change_and_another_place_look_the_same),
        cmocka_unit_test(what_is_added_to_the_file_is_seen),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
        cmocka_unit_test(a_file_that_is_wrong_or_too_large_is_refused),
        cmocka_unit_test(a_credential_goes_before_the_data_directory),
        cmocka_unit_test(keys_outlive_the_right_to_read_them_but_not_a_fork),
        cmocka_unit_test(nothing_of_a_key_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
