/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The data directory: permissions, the lock, keys, and rotations that crash. */
#include "core/store/datadir.h"

#include "core/store/file.h"
#include "core/tls/key.h"
#include "support/check.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char top[] = "/tmp/alk-datadir-XXXXXX";
static char home[PATH_MAX]; /* the data directory of most tests */
static char why[ALK_DATADIR_WHY];
static struct alk_prng prng;

static struct alk_datadir *open_locked(void)
{
    const struct alk_datadir_options o = {.path = home, .is_create = true, .is_locked = true};
    struct alk_datadir *d = NULL;
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_OK);
    return d;
}

static unsigned mode_of(const struct alk_datadir *d, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    assert_true(alk_datadir_path(d, name, path, sizeof path));
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void it_is_made_for_us_alone(void **state)
{
    struct alk_datadir_options o = {.path = home};
    struct alk_datadir *d = NULL;
    struct stat st;
    (void)state;
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_E_NOENT);
    assert_non_null(strstr(why, "alknet init"));
    d = open_locked();
    assert_int_equal(stat(home, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(mode_of(d, ALK_DATADIR_LOCK), 0600);
    alk_datadir_close(d);
    assert_int_equal(chmod(home, 0750), 0);
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_E_PERM);
    assert_non_null(strstr(why, "chmod 700"));
    assert_int_equal(chmod(home, 0700), 0);
}

/* Another process asks for the lock while we hold it, and after. */
static alk_err open_in_child(const char *needle)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct alk_datadir_options o = {.path = home, .is_locked = true};
        struct alk_datadir *d = NULL;
        alk_err err = alk_datadir_open(&o, why, sizeof why, &d);
        _exit(err == ALK_OK ? 0 : (err == ALK_E_BUSY && strstr(why, needle) != NULL ? 1 : 2));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 2);
    return WEXITSTATUS(status) == 0 ? ALK_OK : ALK_E_BUSY;
}

static void the_lock_names_who_holds_it(void **state)
{
    char needle[40];
    (void)state;
    (void)snprintf(needle, sizeof needle, "process %ld", (long)getpid());
    struct alk_datadir *d = open_locked();
    check_err(open_in_child(needle), ALK_E_BUSY);
    alk_datadir_close(d);
    check_err(open_in_child(needle), ALK_OK);
}

static void the_key_is_made_once(void **state)
{
    uint8_t one[32], two[32];
    struct alk_rand rand = alk_prng_rand(&prng);
    struct alk_datadir *d = open_locked();
    bool is_new = false;
    (void)state;
    check_err(alk_datadir_key(d, ALK_DATADIR_KEY, NULL, one, &is_new, why, sizeof why),
              ALK_E_NOENT);
    check_err(alk_datadir_key(d, ALK_DATADIR_KEY, &rand, one, &is_new, why, sizeof why), ALK_OK);
    assert_true(is_new);
    assert_int_equal(mode_of(d, ALK_DATADIR_KEY), 0600);
    check_err(alk_datadir_key(d, ALK_DATADIR_KEY, &rand, two, &is_new, why, sizeof why), ALK_OK);
    assert_false(is_new);
    assert_memory_equal(one, two, 32);
    alk_datadir_close(d);
}

static void a_damaged_or_open_key_is_refused_and_kept(void **state)
{
    char path[PATH_MAX];
    uint8_t seed[32];
    struct alk_rand rand = alk_prng_rand(&prng);
    struct alk_datadir *d = open_locked();
    (void)state;
    assert_true(alk_datadir_path(d, "other.key", path, sizeof path));
    check_err(alk_file_write(path, ALK_LIT("garbage"), 0600), ALK_OK);
    check_err(alk_datadir_key(d, "other.key", &rand, seed, NULL, why, sizeof why), ALK_E_MALFORMED);
    assert_non_null(strstr(why, path));
    assert_int_equal(chmod(path, 0644), 0);
    check_err(alk_datadir_key(d, "other.key", &rand, seed, NULL, why, sizeof why), ALK_E_PERM);
    assert_int_equal(unlink(path), 0);
    alk_datadir_close(d);
}

static void the_secret_is_made_once(void **state)
{
    uint8_t one[32], two[32];
    char path[PATH_MAX];
    struct alk_rand rand = alk_prng_rand(&prng);
    struct alk_datadir *d = open_locked();
    (void)state;
    check_err(alk_datadir_secret(d, &rand, one, why, sizeof why), ALK_OK);
    check_err(alk_datadir_secret(d, &rand, two, why, sizeof why), ALK_OK);
    assert_memory_equal(one, two, 32);
    assert_int_equal(mode_of(d, ALK_DATADIR_SECRET), 0600);
    assert_true(alk_datadir_path(d, ALK_DATADIR_SECRET, path, sizeof path));
    check_err(alk_file_write(path, ALK_LIT("short"), 0600), ALK_OK);
    check_err(alk_datadir_secret(d, &rand, two, why, sizeof why), ALK_E_MALFORMED);
    assert_int_equal(unlink(path), 0);
    alk_datadir_close(d);
}

static void public_of(struct alk_datadir *d, uint8_t ret[static 32])
{
    uint8_t seed[32];
    check_err(alk_datadir_key(d, ALK_DATADIR_KEY, NULL, seed, NULL, why, sizeof why), ALK_OK);
    alk_key_public_of(seed, ret);
}

static void rotations_lead_from_the_first_key_to_the_last(void **state)
{
    uint8_t first[32], last[32];
    struct alk_rotation r, chain[ALK_ROTATION_CHAIN_MAX];
    struct alk_rand rand = alk_prng_rand(&prng);
    struct alk_datadir *d = open_locked();
    size_t n = 9;
    (void)state;
    public_of(d, first);
    check_err(alk_datadir_rotations(d, chain, &n, why, sizeof why), ALK_OK);
    assert_int_equal(n, 0);
    for (unsigned i = 0; i < ALK_ROTATION_CHAIN_MAX; i++) {
        check_err(alk_datadir_rotate(d, ALK_DATADIR_KEY, &rand, 1000 + i, &r, why, sizeof why),
                  ALK_OK);
    }
    public_of(d, last);
    assert_memory_equal(r.new_key, last, 32);
    check_err(alk_datadir_rotations(d, chain, &n, why, sizeof why), ALK_OK);
    assert_int_equal(n, ALK_ROTATION_CHAIN_MAX);
    check_err(alk_rotation_follow(chain, n, first, last), ALK_OK);
    /* One more pushes the oldest out. */
    check_err(alk_datadir_rotate(d, ALK_DATADIR_KEY, &rand, 2000, &r, why, sizeof why), ALK_OK);
    check_err(alk_datadir_rotations(d, chain, &n, why, sizeof why), ALK_OK);
    assert_int_equal(n, ALK_ROTATION_CHAIN_MAX);
    check_err(alk_rotation_follow(chain, n, first, r.new_key), ALK_E_KEY_CHANGED);
    alk_datadir_close(d);
}

static void put_next(struct alk_datadir *d, const uint8_t seed[static 32])
{
    char path[PATH_MAX];
    struct alk_buf pem;
    alk_buf_init(&pem, NULL, 4096);
    check_err(alk_key_print_pem(seed, &pem), ALK_OK);
    assert_true(alk_datadir_path(d, ALK_DATADIR_KEY ".next", path, sizeof path));
    check_err(alk_file_write(path, alk_buf_span(&pem), 0600), ALK_OK);
    alk_buf_fini(&pem);
}

/* The two places where a crash can leave <key>.next behind. */
static void a_cut_rotation_is_finished_or_undone(void **state)
{
    uint8_t before[32], after[32], seed[32], stated[32];
    char key[PATH_MAX], next[PATH_MAX];
    struct alk_rotation r;
    struct alk_buf old;
    struct alk_rand rand = alk_prng_rand(&prng);
    struct alk_datadir *d = open_locked();
    (void)state;
    assert_true(alk_datadir_path(d, ALK_DATADIR_KEY, key, sizeof key));
    assert_true(alk_datadir_path(d, ALK_DATADIR_KEY ".next", next, sizeof next));

    /* Before the statement was written: the old key stays. */
    public_of(d, before);
    memset(seed, 7, sizeof seed);
    put_next(d, seed);
    public_of(d, after);
    assert_memory_equal(before, after, 32);
    assert_int_not_equal(access(next, F_OK), 0);

    /* After it: the new key takes its place. Undo the last step of a rotation. */
    alk_buf_init(&old, NULL, 4096);
    check_err(alk_file_read(key, 4096, &old), ALK_OK);
    check_err(alk_datadir_rotate(d, ALK_DATADIR_KEY, &rand, 3000, &r, why, sizeof why), ALK_OK);
    public_of(d, stated);
    assert_int_equal(rename(key, next), 0);
    check_err(alk_file_write(key, alk_buf_span(&old), 0600), ALK_OK);
    public_of(d, after);
    assert_memory_equal(after, stated, 32);
    assert_int_not_equal(access(next, F_OK), 0);
    alk_buf_fini(&old);
    alk_datadir_close(d);
}

/* Root prepares a directory for the user that the node runs as. */
static void root_gives_what_it_makes_to_the_owner(void **state)
{
    char dir[PATH_MAX], path[PATH_MAX], target[PATH_MAX];
    struct alk_datadir *d = NULL;
    struct stat st;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_true(alk_file_join(top, "given", dir, sizeof dir));
    assert_true(alk_file_join(top, "not-given", target, sizeof target));
    struct alk_datadir_options o = {.path = dir, .is_create = true, .is_locked = true};
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_OK);
    alk_datadir_close(d);
    o.has_owner = true;
    o.uid = 65534;
    o.gid = 65534;
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_OK);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_true(alk_datadir_path(d, "made-by-root", path, sizeof path));
    check_err(alk_file_write(path, ALK_LIT("x"), 0600), ALK_OK); /* gives at once */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    /* A link that the owner planted gives nothing away, nor does a second name. */
    check_err(alk_file_write(target, ALK_LIT("x"), 0600), ALK_OK);
    assert_true(alk_datadir_path(d, "soft", path, sizeof path));
    assert_int_equal(symlink(target, path), 0);
    assert_true(alk_datadir_path(d, "hard", path, sizeof path));
    assert_int_equal(link(target, path), 0);
    check_err(alk_datadir_give(d), ALK_OK);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_uid, 0);
    alk_datadir_close(d);
    /* Another user's directory is not taken over. */
    o.uid = 65533;
    check_err(alk_datadir_open(&o, why, sizeof why, &d), ALK_E_PERM);
    assert_non_null(strstr(why, "chown"));
}

static int setup(void **state)
{
    (void)state;
    alk_prng_init(&prng, 42);
    return mkdtemp(top) == NULL || !alk_file_join(top, "home", home, sizeof home);
}

static int teardown(void **state)
{
    static const char *const files[] = {"home/lock",  "home/node.key",      "home/rotations",
                                        "given/lock", "given/made-by-root", "given/soft",
                                        "given/hard", "not-given"};
    char path[PATH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)alk_file_join(top, files[i], path, sizeof path);
        (void)unlink(path);
    }
    (void)alk_file_join(top, "given", path, sizeof path);
    (void)rmdir(path);
    return rmdir(home) != 0 || rmdir(top) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_made_for_us_alone),
        cmocka_unit_test(the_lock_names_who_holds_it),
        cmocka_unit_test(the_key_is_made_once),
        cmocka_unit_test(a_damaged_or_open_key_is_refused_and_kept),
        cmocka_unit_test(the_secret_is_made_once),
        cmocka_unit_test(rotations_lead_from_the_first_key_to_the_last),
        cmocka_unit_test(a_cut_rotation_is_finished_or_undone),
        cmocka_unit_test(root_gives_what_it_makes_to_the_owner),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
