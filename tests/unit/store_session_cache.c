/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The session cache in memory and in files; key files; the gate of TCP. */
#include "support/oom.h"

#include "core/io/gate.h"
#include "core/io/rand.h"
#include "core/store/session_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1000000u

static char dir[] = "/tmp/alknet-cache-XXXXXX";

static int make_dir(void **ctx)
{
    (void)ctx;
    memcpy(dir, "/tmp/alknet-cache-XXXXXX", sizeof dir);
    return mkdtemp(dir) == NULL ? 1 : 0;
}
static int remove_dir(void **ctx)
{
    (void)ctx;
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    (void)closedir(d);
    return rmdir(dir);
}
static size_t count_files(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        n += e->d_name[0] != '.' ? 1 : 0;
    }
    (void)closedir(d);
    return n;
}

static struct alk_session_cache *make(bool has_files)
{
    struct alk_session_cache *cache = NULL;
    assert_int_equal(alk_session_cache_new(NULL, has_files ? dir : NULL, &cache), ALK_OK);
    return cache;
}

static bool holds(struct alk_session_cache *cache, const char *key, uint64_t now, const char *want)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, ALK_SESSION_VALUE_MAX);
    alk_err err = alk_session_cache_get(cache, alk_span_str(key), now, &b);
    bool is_held = err == ALK_OK && alk_span_is(alk_buf_span(&b), want);
    assert_true(err == ALK_OK || err == ALK_E_NOENT);
    alk_buf_fini(&b);
    return is_held;
}

static void values_are_kept_replaced_dropped_and_grow_old(void **ctx)
{
    (void)ctx;
    for (int files = 0; files < 2; files++) {
        struct alk_session_cache *cache = make(files == 1);
        assert_false(holds(cache, "a", NOW, "1"));
        alk_session_cache_put(cache, ALK_LIT("a"), NOW, ALK_LIT("1"));
        alk_session_cache_put(cache, ALK_LIT("b"), NOW, ALK_LIT("2"));
        assert_true(holds(cache, "a", NOW, "1"));
        alk_session_cache_put(cache, ALK_LIT("a"), NOW + 10, ALK_LIT("other"));
        assert_true(holds(cache, "a", NOW + 10, "other"));
        assert_true(holds(cache, "b", NOW + 10, "2"));
        assert_false(holds(cache, "b", NOW + ALK_SESSION_AGE_MAX_S + 1, "2"));
        assert_false(holds(cache, "b", NOW - 1, "2")); /* the clock went back */
        alk_session_cache_drop(cache, ALK_LIT("a"));
        assert_false(holds(cache, "a", NOW + 10, "other"));
        alk_session_cache_free(cache);
    }
}

static void files_outlive_the_cache_and_are_private(void **ctx)
{
    (void)ctx;
    struct stat st;
    struct alk_session_cache *cache = make(true);
    alk_session_cache_put(cache, ALK_LIT("secret.example 4433"), NOW, ALK_LIT("ticket"));
    alk_session_cache_free(cache);
    cache = make(true);
    assert_true(holds(cache, "secret.example 4433", NOW, "ticket"));
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[400] = "";
    while ((e = readdir(d)) != NULL) {
        assert_null(strstr(e->d_name, "secret"));
        if (e->d_name[0] != '.') {
            assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
            assert_int_equal(st.st_mode & 0777, 0600);
            (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        }
    }
    (void)closedir(d);
    /* A damaged file is no session. */
    assert_int_equal(truncate(path, 9), 0);
    assert_false(holds(cache, "secret.example 4433", NOW, "ticket"));
    alk_session_cache_put(cache, ALK_LIT("secret.example 4433"), NOW, ALK_LIT("ticket"));
    assert_int_equal(chmod(path, 0644), 0);
    assert_false(holds(cache, "secret.example 4433", NOW, "ticket"));
    alk_session_cache_free(cache);
}

static void there_are_never_more_than_so_many(void **ctx)
{
    (void)ctx;
    for (int files = 0; files < 2; files++) {
        struct alk_session_cache *cache = make(files == 1);
        char key[32];
        for (int i = 0; i < ALK_SESSION_CACHE_MAX + 20; i++) {
            (void)snprintf(key, sizeof key, "node %d", i);
            alk_session_cache_put(cache, alk_span_str(key), NOW, ALK_LIT("v"));
            if (files == 0) {
                assert_true(holds(cache, "node 0", NOW, "v")); /* used: it stays */
            }
        }
        if (files == 1) {
            assert_int_equal(count_files(), ALK_SESSION_CACHE_MAX);
        } else {
            assert_false(holds(cache, "node 1", NOW, "v"));
            assert_false(holds(cache, "node 20", NOW, "v"));
            assert_true(holds(cache, "node 21", NOW, "v"));
        }
        assert_true(holds(cache, key, NOW, "v"));
        alk_session_cache_free(cache);
    }
}

static alk_err use_cache(const struct alk_mem *mem, void *ctx)
{
    struct alk_session_cache *cache;
    (void)ctx;
    alk_err err = alk_session_cache_new(mem, NULL, &cache);
    if (err != ALK_OK) {
        return err;
    }
    struct alk_buf b;
    alk_session_cache_put(cache, ALK_LIT("a"), NOW, ALK_LIT("1"));
    alk_session_cache_put(cache, ALK_LIT("a"), NOW, ALK_LIT("2"));
    alk_buf_init(&b, mem, 100);
    err = alk_session_cache_get(cache, ALK_LIT("a"), NOW, &b);
    alk_buf_fini(&b);
    alk_session_cache_free(cache);
    return err == ALK_E_NOENT ? ALK_E_NOMEM : err; /* what cannot be kept is forgotten */
}
static void without_memory_it_forgets(void **ctx)
{
    (void)ctx;
    oom_sweep(use_cache, NULL);
}

/* --- key files --------------------------------------------------------------------- */

static void a_key_is_made_once_and_read_again(void **ctx)
{
    (void)ctx;
    char path[128];
    struct stat st;
    struct alk_key *a;
    struct alk_key *b;
    bool is_new = false;
    (void)snprintf(path, sizeof path, "%s/key", dir);
    assert_int_equal(alk_key_load(NULL, path, &a), ALK_E_NOENT);
    assert_int_equal(alk_key_load_or_create(NULL, path, &a, &is_new), ALK_OK);
    assert_true(is_new);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(alk_key_load_or_create(NULL, path, &b, &is_new), ALK_OK);
    assert_false(is_new);
    assert_memory_equal(alk_key_public(a), alk_key_public(b), 32);
    alk_key_free(b);
    alk_key_free(a);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(alk_key_load(NULL, path, &a), ALK_E_PERM);
    assert_int_equal(alk_key_load_or_create(NULL, path, &a, &is_new), ALK_E_PERM);
}

/* --- the gate ------------------------------------------------------------------------- */

static struct alk_addr v6(uint8_t net, uint8_t host)
{
    struct alk_addr a = {.family = 6};
    a.ip[0] = 0x20;
    a.ip[7] = net;
    a.ip[15] = host;
    return a;
}

static void the_gate_counts_all_and_each_address(void **ctx)
{
    (void)ctx;
    struct alk_gate *gate;
    struct alk_rand rand = alk_rand_system();
    const struct alk_addr a = {.family = 4, .ip = {192, 0, 2, 1}};
    const struct alk_addr b = {.family = 4, .ip = {192, 0, 2, 2}};
    const struct alk_addr c[2] = {v6(1, 1), v6(1, 2)};
    assert_int_equal(alk_gate_new(NULL, &rand, &gate), ALK_OK);
    alk_gate_set(gate, 5, 2);
    assert_true(alk_gate_enter(gate, &a));
    assert_true(alk_gate_enter(gate, &a));
    assert_false(alk_gate_enter(gate, &a));
    assert_true(alk_gate_enter(gate, &b));
    assert_true(alk_gate_enter(gate, &c[0]));
    assert_true(alk_gate_enter(gate, &c[1]));
    assert_false(alk_gate_enter(gate, &b)); /* five in all */
    alk_gate_leave(gate, &a);
    assert_false(alk_gate_enter(gate, &c[0])); /* a /64 is one address */
    assert_true(alk_gate_enter(gate, &a));
    assert_int_equal(alk_gate_count(gate), 5);
    alk_gate_set(gate, 0, 0);
    assert_true(alk_gate_enter(gate, &a));
    for (int i = 0; i < 3; i++) {
        alk_gate_leave(gate, &a);
    }
    alk_gate_leave(gate, &b);
    alk_gate_leave(gate, &c[1]);
    alk_gate_leave(gate, &c[1]);
    assert_int_equal(alk_gate_count(gate), 0);
    alk_gate_free(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_are_kept_replaced_dropped_and_grow_old, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(files_outlive_the_cache_and_are_private, make_dir,
                                        remove_dir),
        cmocka_unit_test_setup_teardown(there_are_never_more_than_so_many, make_dir, remove_dir),
        cmocka_unit_test(without_memory_it_forgets),
        cmocka_unit_test_setup_teardown(a_key_is_made_once_and_read_again, make_dir, remove_dir),
        cmocka_unit_test(the_gate_counts_all_and_each_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
