/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The operations fs/... that are one step, and who may use them. */
#include "support/fs_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- one step --------------------------------------------------------------------- */

static void a_listing_says_what_there_is_and_goes_on(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    assert_int_equal(symlink("file", fs_at(&d, "link")), 0);
    fs_put_text(&d, "\xff", "x");
    part_ask(&d.p, &c, "fs/list", "{\"path\": \"\", \"limit\": 2}");
    fs_check_begins(&c, "={\"entries\":[{\"name\":\"docs\",\"type\":\"dir\"");
    assert_non_null(strstr(c.heard, "{\"name\":\"file\",\"type\":\"file\",\"size\":5,\"mtime\":1"));
    assert_non_null(strstr(c.heard, "],\"next\":\"file\",\"left_out\":1}"));
    part_ask(&d.p, &c, "fs/list", "{\"path\": \".\", \"limit\": 2, \"after\": \"file\"}");
    fs_check_begins(&c, "={\"entries\":[{\"name\":\"link\",\"type\":\"link\"");
    assert_null(strstr(c.heard, "next"));
    fs_world_fini(&d);
}

/* A thousand names of 255 control characters are 1.6 MB as JSON. */
static void a_listing_that_grows_too_large_is_continued(void **state)
{
    struct fs_world d;
    struct ops_call c = {.keeps_end = true};
    char name[300], input[1700] = "{\"path\": \"docs\"}", last[1700];
    unsigned pages = 0;
    (void)state;
    fs_world_init(&d);
    memset(name, 1, sizeof name);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "docs/%03u", i);
        memset(name + 8, 1, 240);
        name[248] = '\0';
        fs_put_text(&d, name, "");
    }
    do {
        part_ask(&d.p, &c, "fs/list", input);
        assert_int_equal(c.heard[0], '=');
        pages++;
        const char *next = strstr(c.heard, "\"next\":");
        if (next == NULL) {
            break;
        }
        fs_member(&c, "next", last, sizeof last);
        (void)snprintf(input, sizeof input, "{\"path\": \"docs\", \"after\": \"%.1500s\"}", last);
    } while (pages < 10);
    assert_in_range(pages, 2, 9);
    fs_world_fini(&d);
}

static void stat_has_an_etag_that_changes(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    char one[64], two[64];
    (void)state;
    fs_world_init(&d);
    part_ask(&d.p, &c, "fs/stat", "{\"path\": \"file\"}");
    fs_check_begins(&c, "={\"type\":\"file\",\"size\":5,\"mtime\":1");
    fs_member(&c, "etag", one, sizeof one);
    part_ask(&d.p, &c, "fs/write", "{\"path\": \"file\", \"text\": \"HELLO\"}");
    part_ask(&d.p, &c, "fs/stat", "{\"path\": \"file\"}");
    fs_member(&c, "etag", two, sizeof two);
    assert_string_not_equal(one, two);
    fs_world_fini(&d);
}

static void a_file_is_written_from_base64_or_text(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    part_ask(&d.p, &c, "fs/write", "{\"path\": \"new\", \"data\": \"AP8B\", \"mode\": 384}");
    fs_check_begins(&c, "={\"size\":3,\"etag\":\"");
    part_ask(&d.p, &c, "fs/read", "{\"path\": \"new\"}");
    fs_check_begins(&c, "~{\"offset\":0,\"data\":\"AP8B\",\"size\":3,\"etag\":\"");
    struct stat st;
    assert_int_equal(stat(fs_at(&d, "new"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    part_ask(&d.p, &c, "fs/write", "{\"path\": \"new\", \"text\": \"\"}");
    fs_check_begins(&c, "={\"size\":0,");
    part_check(&d.p, "fs/read", "{\"path\": \"new\"}", ".");
    fs_world_fini(&d);
}

static void what_is_wrong_with_a_write_is_said(void **state)
{
    static const struct {
        const char *input, *want;
    } rows[] = {
        {"{\"path\": \"x\", \"data\": \"!\"}", "!INVALID_INPUT \"data\" is not base64"},
        {"{\"path\": \"file\", \"text\": \"x\", \"create\": true}", "!CONFLICT exists already"},
        {"{\"path\": \"file\", \"text\": \"x\", \"if_match\": \"1-2-3\"}",
         "!CONFLICT the file is not the one of that etag"},
        {"{\"path\": \"none/x\", \"text\": \"x\"}", "!NOT_FOUND no such file or entry"},
        {"{\"path\": \"../x\", \"text\": \"x\"}", "!FORBIDDEN the path leads out of the root"},
        {"{\"path\": \"docs\", \"text\": \"x\"}",
         "!INVALID_INPUT not the kind of file it must be, or a path with an empty part, . or .."},
        {"{\"path\": \"a\\u0000b\", \"text\": \"x\"}",
         "!INVALID_INPUT not the kind of file it must be, or a path with an empty part, . or .."},
    };
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        part_check(&d.p, "fs/write", rows[i].input, rows[i].want);
    }
    static const char *const invalid[] = {
        "{\"path\": \"x\"}", "{\"path\": \"x\", \"text\": \"a\", \"data\": \"\"}",
        "{\"path\": \"x\", \"text\": \"a\", \"mode\": 2048}", "{\"text\": \"a\"}",
        "{\"path\": \"x\", \"text\": \"a\", \"append\": true}"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        part_ask(&d.p, &c, "fs/write", invalid[i]);
        fs_check_begins(&c, "!INVALID_INPUT");
    }
    part_ask(&d.p, &c, "fs/read", "{\"path\": \"file\"}");
    assert_non_null(strstr(c.heard, "\"aGVsbG8=\"")); /* hello, still */
    fs_world_fini(&d);
}

static void an_etag_makes_a_write_conditional(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    char etag[64], input[160];
    (void)state;
    fs_world_init(&d);
    part_ask(&d.p, &c, "fs/stat", "{\"path\": \"file\"}");
    fs_member(&c, "etag", etag, sizeof etag);
    (void)snprintf(input, sizeof input,
                   "{\"path\": \"file\", \"text\": \"x\", \"if_match\": \"%s\"}", etag);
    part_ask(&d.p, &c, "fs/write", input);
    fs_check_begins(&c, "={\"size\":1,");
    part_check(&d.p, "fs/write", input, "!CONFLICT the file is not the one of that etag");
    fs_world_fini(&d);
}

static char *big_write(size_t n)
{
    char *input = malloc(n + 64);
    assert_non_null(input);
    int k = snprintf(input, 64, "{\"path\": \"big\", \"text\": \"");
    memset(input + k, 'a', n);
    memcpy(input + k + n, "\"}", 3);
    return input;
}

static void one_byte_more_than_a_write_may_hold_is_too_large(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    (void)state;
    fs_world_init(&d);
    char *input = big_write(ALK_FS_WRITE_MAX);
    part_ask(&d.p, &c, "fs/write", input);
    fs_check_begins(&c, "={\"size\":737280,");
    free(input);
    input = big_write(ALK_FS_WRITE_MAX + 1);
    part_check(&d.p, "fs/write", input, "!TOO_LARGE one fs/write holds 720 KiB at most");
    free(input);
    fs_world_fini(&d);
}

/* All of them wait for threads: the bytes beyond the limit are refused. */
static void bytes_of_writes_under_way_are_limited(void **state)
{
    enum { CALLS = 50 };
    static struct ops_call c[CALLS];
    struct fs_world d;
    unsigned refused = 0;
    (void)state;
    fs_world_init(&d);
    char *input = big_write(ALK_FS_WRITE_MAX);
    for (size_t i = 0; i < CALLS; i++) {
        ops_start(&d.p.w, &c[i], d.p.root, "fs/write", input);
    }
    for (size_t i = 0; i < CALLS; i++) {
        part_world_until(&d.p, part_call_has_ended, &c[i]);
        refused += strcmp(c[i].heard, "?EXHAUSTED too much is under way") == 0;
        assert_true(c[i].heard[0] == '=' || c[i].heard[0] == '?');
    }
    assert_int_equal(refused, CALLS - ALK_FS_WRITING_MAX / ALK_FS_WRITE_MAX);
    part_ask(&d.p, &c[0], "fs/write", input); /* there is room again */
    assert_int_equal(c[0].heard[0], '=');
    free(input);
    fs_world_fini(&d);
}

static void directories_and_files_are_made_removed_and_renamed(void **state)
{
    struct fs_world d;
    (void)state;
    fs_world_init(&d);
    part_check(&d.p, "fs/mkdir", "{\"path\": \"new\"}", "={}");
    part_check(&d.p, "fs/mkdir", "{\"path\": \"new\"}", "!CONFLICT exists already");
    part_check(&d.p, "fs/rename", "{\"path\": \"file\", \"to\": \"new/file\"}", "={}");
    part_check(&d.p, "fs/remove", "{\"path\": \"new\"}", "!CONFLICT the directory is not empty");
    part_check(&d.p, "fs/rename", "{\"path\": \"docs\", \"to\": \"new\"}",
               "!CONFLICT the directory there is not empty");
    part_check(&d.p, "fs/remove", "{\"path\": \"new/file\"}", "={}");
    part_check(&d.p, "fs/remove", "{\"path\": \"new\"}", "={}");
    part_check(&d.p, "fs/remove", "{\"path\": \"new\"}", "!NOT_FOUND no such file or entry");
    fs_world_fini(&d);
}

/* --- hostile paths, as every operation sees them ----------------------------------- */

static void no_operation_leads_out_or_blocks(void **state)
{
    static const char *const ops[] = {"fs/list",  "fs/stat",  "fs/read",
                                      "fs/watch", "fs/mkdir", "fs/remove"};
    static const char *const paths[] = {"..", "../x", "/etc/passwd", "out/passwd", "docs/../../x"};
    struct fs_world d;
    struct ops_call c = {.full = 0};
    char input[128];
    (void)state;
    fs_world_init(&d);
    assert_int_equal(symlink("/etc", fs_at(&d, "out")), 0);
    assert_int_equal(mkfifo(fs_at(&d, "fifo"), 0644), 0);
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 5; k++) {
            (void)snprintf(input, sizeof input, "{\"path\": \"%s\"}", paths[k]);
            part_ask(&d.p, &c, ops[i], input);
            bool is_last = k == 0 && i >= 4; /* what is called ".." */
            const char *want = is_last ? "!INVALID_INPUT" : "!FORBIDDEN";
            if (strncmp(c.heard, want, strlen(want)) != 0) {
                fail_msg("%s %s: %s", ops[i], paths[k], c.heard);
            }
        }
    }
    part_ask(&d.p, &c, "fs/read", "{\"path\": \"fifo\"}");
    fs_check_begins(&c, "!INVALID_INPUT");
    part_ask(&d.p, &c, "fs/rename", "{\"path\": \"file\", \"to\": \"../x\"}");
    fs_check_begins(&c, "!FORBIDDEN");
    fs_world_fini(&d);
}

/* --- access -------------------------------------------------------------------------- */

static void scopes_of_reading_and_writing_are_apart(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    const struct alk_identity *reader = ops_somebody("reader", "fs:read", NULL);
    const struct alk_identity *writer = ops_somebody("writer", "fs:write", NULL);
    static const char *const none = "!NOT_FOUND there is no such operation";
    (void)state;
    fs_world_init(&d);
    ops_check(&d.p.w, NULL, "fs/list", "{\"path\": \"\"}",
              "!UNAUTHENTICATED an identity is needed");
    ops_check(&d.p.w, d.p.ann, "fs/list", "{\"path\": \"\"}", none);
    ops_check(&d.p.w, d.p.ann, "fs/write", "{}", none);
    ops_check(&d.p.w, reader, "fs/write", "{}", none);
    ops_check(&d.p.w, writer, "fs/read", "{}", none);
    fs_ask_as(&d, reader, &c, "fs/stat", "{\"path\": \"file\"}");
    assert_int_equal(c.heard[0], '=');
    fs_ask_as(&d, writer, &c, "fs/mkdir", "{\"path\": \"new\"}");
    assert_string_equal(c.heard, "={}");
    fs_world_fini(&d);
    alk_identity_unref(reader);
    alk_identity_unref(writer);
}

static void scopes_are_what_the_settings_say(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    const struct alk_identity *reader = ops_somebody("reader", "fs:read", NULL);
    const struct alk_identity *other = ops_somebody("other", "files", NULL);
    (void)state;
    fs_world_init_with(&d, ", read: [files, more]");
    ops_check(&d.p.w, reader, "fs/stat", "{}", "!NOT_FOUND there is no such operation");
    fs_ask_as(&d, other, &c, "fs/stat", "{\"path\": \"file\"}");
    assert_int_equal(c.heard[0], '=');
    fs_world_fini(&d);
    alk_identity_unref(reader);
    alk_identity_unref(other);
}

/* The grant says docs/ and nothing else; whatever is spelled, it stays so. */
static void grants_narrow_to_what_is_really_touched(void **state)
{
    static const char *const no[] = {"file",
                                     ".",
                                     "",
                                     "docs",
                                     "docs2/a",
                                     "docs/a/../../file",
                                     "docs/../file",
                                     "docs//../file",
                                     "docs/out",
                                     "docs/."};
    static const char *const ops[] = {"fs/read", "fs/stat", "fs/remove"};
    struct fs_world d;
    struct ops_call c = {.full = 0};
    char input[128];
    const struct alk_identity *one = ops_somebody("one", "fs:read,fs:write", "fs:docs/*:read");
    (void)state;
    fs_world_init_with(&d, ", resources: true");
    assert_int_equal(symlink("../file", fs_at(&d, "docs/out")), 0);
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof no / sizeof no[0]; k++) {
            (void)snprintf(input, sizeof input, "{\"path\": \"%s\"}", no[k]);
            fs_ask_as(&d, one, &c, ops[i], input);
            if (strncmp(c.heard, "!FORBIDDEN", 10) != 0 &&
                strncmp(c.heard, "!INVALID_INPUT", 14) != 0) {
                fail_msg("%s %s: %s", ops[i], no[k], c.heard);
            }
        }
    }
    fs_ask_as(&d, one, &c, "fs/stat", "{\"path\": \"docs/a\"}");
    assert_int_equal(c.heard[0], '=');
    fs_ask_as(&d, one, &c, "fs/write", "{\"path\": \"docs/a\", \"text\": \"x\"}");
    assert_string_equal(c.heard, "!FORBIDDEN no grant allows that path");
    fs_world_fini(&d);
    alk_identity_unref(one);
}

static void a_rename_needs_both_grants(void **state)
{
    struct fs_world d;
    struct ops_call c = {.full = 0};
    const struct alk_identity *one = ops_somebody("one", "fs:write", "fs:docs/*:write");
    (void)state;
    fs_world_init_with(&d, ", resources: true");
    fs_ask_as(&d, one, &c, "fs/rename", "{\"path\": \"docs/a\", \"to\": \"a\"}");
    assert_string_equal(c.heard, "!FORBIDDEN no grant allows that path");
    fs_ask_as(&d, one, &c, "fs/rename", "{\"path\": \"file\", \"to\": \"docs/b\"}");
    assert_string_equal(c.heard, "!FORBIDDEN no grant allows that path");
    fs_ask_as(&d, one, &c, "fs/rename", "{\"path\": \"docs/a\", \"to\": \"docs/b\"}");
    assert_string_equal(c.heard, "={}");
    fs_world_fini(&d);
    alk_identity_unref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_says_what_there_is_and_goes_on),
        cmocka_unit_test(a_listing_that_grows_too_large_is_continued),
        cmocka_unit_test(stat_has_an_etag_that_changes),
        cmocka_unit_test(a_file_is_written_from_base64_or_text),
        cmocka_unit_test(what_is_wrong_with_a_write_is_said),
        cmocka_unit_test(an_etag_makes_a_write_conditional),
        cmocka_unit_test(one_byte_more_than_a_write_may_hold_is_too_large),
        cmocka_unit_test(bytes_of_writes_under_way_are_limited),
        cmocka_unit_test(directories_and_files_are_made_removed_and_renamed),
        cmocka_unit_test(no_operation_leads_out_or_blocks),
        cmocka_unit_test(scopes_of_reading_and_writing_are_apart),
        cmocka_unit_test(scopes_are_what_the_settings_say),
        cmocka_unit_test(grants_narrow_to_what_is_really_touched),
        cmocka_unit_test(a_rename_needs_both_grants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
