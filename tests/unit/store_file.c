/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading and writing whole files. */
#include "core/store/file.h"

#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/alk-file-XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[PATH_MAX];
    assert_true(alk_file_join(dir, name, path, sizeof path));
    return path;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static alk_err read_back(const char *path, size_t max, struct alk_buf *b)
{
    alk_buf_clear(b);
    return alk_file_read(path, max, b);
}

static void write_replaces_and_read_gives_back(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 100000);
    mode_t old = umask(077);
    check_err(alk_file_write(in_dir("a"), ALK_LIT("one"), 0644), ALK_OK);
    (void)umask(old);
    assert_int_equal(mode_of(in_dir("a")), 0644);
    check_err(alk_file_write(in_dir("a"), ALK_LIT("three"), 0600), ALK_OK);
    assert_int_equal(mode_of(in_dir("a")), 0600);
    check_err(read_back(in_dir("a"), 5, &b), ALK_OK);
    check_text(alk_buf_span(&b), "three");
    check_err(alk_file_create(in_dir("a"), ALK_LIT("x"), 0600), ALK_E_EXISTS);
    check_err(read_back(in_dir("a"), 100, &b), ALK_OK);
    check_text(alk_buf_span(&b), "three");
    alk_buf_fini(&b);
}

static void read_has_a_cap(void **state)
{
    static char big[50000];
    struct alk_buf b;
    (void)state;
    memset(big, 'x', sizeof big);
    alk_buf_init(&b, NULL, 60000);
    check_err(alk_file_write(in_dir("big"), alk_span(big, sizeof big), 0600), ALK_OK);
    check_err(read_back(in_dir("big"), sizeof big, &b), ALK_OK);
    assert_int_equal(alk_buf_len(&b), sizeof big);
    check_err(read_back(in_dir("big"), sizeof big - 1, &b), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), 0);
    /* What the buffer holds already stays, also after a failure. */
    (void)alk_buf_put_str(&b, "kept");
    check_err(alk_file_read(in_dir("big"), 10, &b), ALK_E_TOO_BIG);
    check_text(alk_buf_span(&b), "kept");
    alk_buf_fini(&b);
    alk_buf_init(&b, NULL, 10);
    check_err(alk_file_read(in_dir("big"), sizeof big, &b), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

static void read_refuses_what_is_no_file(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 100);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    check_err(alk_file_read(in_dir("fifo"), 100, &b), ALK_E_INVALID); /* and does not wait */
    check_err(alk_file_read(dir, 100, &b), ALK_E_INVALID);
    check_err(alk_file_read(in_dir("none"), 100, &b), ALK_E_NOENT);
    check_err(alk_file_read(in_dir("fifo/x"), 100, &b), ALK_E_NOENT);
    alk_buf_fini(&b);
}

static void private_means_ours_alone(void **state)
{
    char why[300] = "";
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 100);
    check_err(alk_file_write(in_dir("key"), ALK_LIT("k"), 0600), ALK_OK);
    check_err(alk_file_read_private(in_dir("key"), 10, &b, why, sizeof why), ALK_OK);
    check_text(alk_buf_span(&b), "k");
    assert_int_equal(chmod(in_dir("key"), 0640), 0);
    check_err(alk_file_read_private(in_dir("key"), 10, &b, why, sizeof why), ALK_E_PERM);
    assert_non_null(strstr(why, "chmod 600"));
    assert_int_equal(chmod(in_dir("key"), 0600), 0);
    char target[PATH_MAX];
    assert_true(alk_file_join(dir, "key", target, sizeof target));
    assert_int_equal(symlink(target, in_dir("link")), 0);
    check_err(alk_file_check_private(in_dir("link"), why, sizeof why), ALK_E_PERM);
    assert_non_null(strstr(why, "symbolic link"));
    check_err(alk_file_check_private(in_dir("none"), why, sizeof why), ALK_E_NOENT);
    alk_buf_fini(&b);
}

static void a_failed_write_leaves_the_old_file_and_no_other(void **state)
{
    (void)state;
    check_err(alk_file_write(in_dir("none/x"), ALK_LIT("x"), 0600), ALK_E_NOENT);
    /* A directory stands in the place: rename fails, the temporary file goes. */
    assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
    assert_int_equal(mkdir(in_dir("sub/t"), 0700), 0);
    check_err(alk_file_write(in_dir("sub/t"), ALK_LIT("x"), 0600), ALK_E_IO);
    assert_int_equal(rmdir(in_dir("sub/t")), 0);
    assert_int_equal(rmdir(in_dir("sub")), 0);
}

static void make_dirs_makes_parents(void **state)
{
    (void)state;
    check_err(alk_file_make_dirs(in_dir("p/q/r"), 0700), ALK_OK);
    assert_int_equal(mode_of(in_dir("p/q/r")), 0700);
    check_err(alk_file_make_dirs(in_dir("p/q/r"), 0700), ALK_OK);
    check_err(alk_file_make_dirs(in_dir("a/x"), 0700), ALK_E_INVALID); /* a is a file */
    check_err(alk_file_make_dirs("", 0700), ALK_E_INVALID);
}

static void join_knows_slashes_and_sizes(void **state)
{
    char out[8];
    (void)state;
    assert_true(alk_file_join("/a", "b", out, sizeof out));
    assert_string_equal(out, "/a/b");
    assert_true(alk_file_join("/", "b", out, sizeof out));
    assert_string_equal(out, "/b");
    assert_true(alk_file_join("/a", "/b", out, sizeof out));
    assert_string_equal(out, "/b");
    assert_true(alk_file_join("/abc", "de", out, sizeof out));
    assert_false(alk_file_join("/abc", "def", out, sizeof out));
    assert_string_equal(out, "");
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
    static const char *const files[] = {"a", "big", "fifo", "key", "link"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)unlink(in_dir(files[i]));
    }
    (void)rmdir(in_dir("p/q/r"));
    (void)rmdir(in_dir("p/q"));
    (void)rmdir(in_dir("p"));
    return rmdir(dir); /* fails when a temporary file was left behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_replaces_and_read_gives_back),
        cmocka_unit_test(read_has_a_cap),
        cmocka_unit_test(read_refuses_what_is_no_file),
        cmocka_unit_test(private_means_ours_alone),
        cmocka_unit_test(a_failed_write_leaves_the_old_file_and_no_other),
        cmocka_unit_test(make_dirs_makes_parents),
        cmocka_unit_test(join_knows_slashes_and_sizes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
