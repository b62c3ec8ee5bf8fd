/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The file of known nodes: reading, replacing, and what must not be lost. */
#include "core/store/known_nodes.h"

#include "core/store/file.h"
#include "support/check.h"

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_A "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
#define KEY_B "oyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"
#define CERT  "cert:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char dir[] = "/tmp/alk-known-XXXXXX";
static char path[PATH_MAX];
static char why[600];

static struct alk_known_node node(const char *host, const char *key)
{
    struct alk_known_node n = {.first_seen = 1767225600};
    assert_true(alk_span_cstr(alk_span_str(host), n.host, sizeof n.host));
    assert_true(alk_span_cstr(alk_span_str(key), n.key, sizeof n.key));
    return n;
}

static alk_err put(const char *host, const char *key)
{
    struct alk_known_node n = node(host, key);
    return alk_known_nodes_put(NULL, path, &n, why, sizeof why);
}

static const char *key_of(const char *host)
{
    static struct alk_known_node n;
    alk_err err = alk_known_nodes_find(NULL, path, host, &n, why, sizeof why);
    return err == ALK_OK ? n.key : alk_err_name(err);
}

static void lines_are_read_strictly(void **state)
{
    static const struct {
        const char *line;
        alk_err want;
    } rows[] = {
        {"h:1 " KEY_A " 2026-01-01T00:00:00Z", ALK_OK},
        {"  [::1]:1   " CERT "  2026-01-01  ", ALK_OK},
        {"", ALK_END},
        {"   ", ALK_END},
        {"# h:1", ALK_END},
        {"h " KEY_A " 2026-01-01", ALK_E_MALFORMED},
        {"h:1 " KEY_A, ALK_E_MALFORMED},
        {"h:1 " KEY_A " yesterday", ALK_E_MALFORMED},
        {"h:1 " KEY_A "y 2026-01-01", ALK_E_MALFORMED},
        {"h:1 cert:00 2026-01-01", ALK_E_MALFORMED},
        {"h:1", ALK_E_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_known_node n;
        check_err(alk_known_nodes_parse(alk_span_str(rows[i].line), &n), rows[i].want);
    }
}

static void nodes_are_added_found_and_replaced(void **state)
{
    struct stat st;
    (void)state;
    assert_string_equal(key_of("h:1"), "ALK_E_NOENT"); /* no file yet */
    check_err(put("h:1", KEY_A), ALK_OK);
    check_err(put("h:2", CERT), ALK_OK);
    assert_string_equal(key_of("h:1"), KEY_A);
    assert_string_equal(key_of("h:2"), CERT);
    assert_string_equal(key_of("h:3"), "ALK_E_NOENT");
    check_err(put("h:1", KEY_B), ALK_OK);
    assert_string_equal(key_of("h:1"), KEY_B);
    assert_string_equal(key_of("h:2"), CERT);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    check_err(put("h:1 x", KEY_B), ALK_E_INVALID);
    check_err(put("h", KEY_B), ALK_E_INVALID);
    check_err(put("h:1", "nokey"), ALK_E_INVALID);
}

static void comments_and_order_are_kept(void **state)
{
    struct alk_buf b;
    (void)state;
    check_err(alk_file_write(path,
                             ALK_LIT("# mine\nh:1 " KEY_A " 2026-01-01\n\nh:2 " KEY_A
                                     " 2026-01-01\nh:1 " KEY_A " 2026-01-01"),
                             0600),
              ALK_OK);
    check_err(put("h:1", KEY_B), ALK_OK); /* its second line goes */
    alk_buf_init(&b, NULL, 4096);
    check_err(alk_file_read(path, 4096, &b), ALK_OK);
    check_text(alk_buf_span(&b),
               "# mine\nh:1 " KEY_B " 2026-01-01T00:00:00Z\n\nh:2 " KEY_A " 2026-01-01\n");
    alk_buf_fini(&b);
}

static void a_damaged_line_is_an_error_with_its_place(void **state)
{
    (void)state;
    check_err(alk_file_write(path, ALK_LIT("h:2 " KEY_A " 2026-01-01\nh:1 brokenkey\n"), 0600),
              ALK_OK);
    assert_string_equal(key_of("h:1"), "ALK_E_MALFORMED");
    assert_non_null(strstr(why, ":2:"));
    assert_string_equal(key_of("h:2"), KEY_A); /* it stands before */
}

#define THREADS 4
#define EACH    20

static void *add_many(void *arg)
{
    unsigned t = *(unsigned *)arg;
    char text[300];
    for (unsigned i = 0; i < EACH; i++) {
        struct alk_known_node n = node("h:1", KEY_A);
        (void)snprintf(n.host, sizeof n.host, "h%u-%u:1", t, i);
        if (alk_known_nodes_put(NULL, path, &n, text, sizeof text) != ALK_OK) {
            return arg;
        }
    }
    return NULL;
}

static void two_writers_lose_nothing(void **state)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    (void)state;
    (void)unlink(path);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < EACH; i++) {
            char host[32];
            (void)snprintf(host, sizeof host, "h%u-%u:1", t, i);
            assert_string_equal(key_of(host), KEY_A);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL || !alk_file_join(dir, "a/b/known_nodes", path, sizeof path);
}

static int teardown(void **state)
{
    static const char *const dirs[] = {"a/b", "a"};
    char name[PATH_MAX];
    (void)state;
    (void)unlink(path);
    (void)alk_file_join(dir, "a/b/known_nodes.lock", name, sizeof name);
    (void)unlink(name);
    for (size_t i = 0; i < 2; i++) {
        (void)alk_file_join(dir, dirs[i], name, sizeof name);
        (void)rmdir(name);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read_strictly),
        cmocka_unit_test(nodes_are_added_found_and_replaced),
        cmocka_unit_test(comments_and_order_are_kept),
        cmocka_unit_test(a_damaged_line_is_an_error_with_its_place),
        cmocka_unit_test(two_writers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
