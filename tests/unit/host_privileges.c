/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Giving up root, each in a child of its own, because there is no way back. */
#include "core/host/privileges.h"

#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Runs fn in a child; its result is the child's exit status. */
static int in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(fn());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool status_has(const char *line)
{
    static char text[8192];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, line) != NULL;
}

static int drop_to_nobody(void)
{
    struct alk_user nobody;
    struct rlimit core;
    if (alk_user_find("nobody", &nobody) != ALK_OK || alk_privileges_drop("nobody") != ALK_OK) {
        return 1;
    }
    if (getuid() != nobody.uid || geteuid() != nobody.uid || getgid() != nobody.gid) {
        return 2;
    }
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0) {
        return 3;
    }
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 4;
    }
    /* Not dumpable: /proc/self belongs to root. Be so again, to look. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || !status_has("CapPrm:\t0000000000000000") ||
        !status_has("CapEff:\t0000000000000000") || !status_has("CapInh:\t0000000000000000") ||
        !status_has("CapBnd:\t0000000000000000") || !status_has("CapAmb:\t0000000000000000")) {
        return 5;
    }
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) {
        return 6;
    }
    return getgroups(0, NULL) <= 1 ? 0 : 7; /* nobody is in no further groups */
}

static void root_is_given_up_for_good(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(drop_to_nobody), 0);
}

static int drop_to_nothing(void)
{
    uid_t before = getuid();
    if (alk_privileges_drop(NULL) != ALK_OK || getuid() != before) {
        return 1;
    }
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2;
}

static void without_a_user_it_is_still_not_dumpable(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_to_nothing), 0);
}

static int drop_twice(void)
{
    return alk_privileges_drop("nobody") == ALK_OK && alk_privileges_drop("nobody") == ALK_OK ? 0
                                                                                              : 1;
}

static void dropping_twice_is_harmless(void **state)
{
    (void)state;
    assert_int_equal(in_child(drop_twice), 0);
}

static int drop_to_unknown(void)
{
    return alk_privileges_drop("no-such-user") == ALK_E_NOENT && geteuid() == 0 ? 0 : 1;
}

static void an_unknown_user_changes_nothing(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(drop_to_unknown), 0);
}

static void users_are_found_by_name(void **state)
{
    struct alk_user u;
    static char name[128];
    (void)state;
    check_err(alk_user_find("root", &u), ALK_OK);
    assert_int_equal(u.uid, 0);
    assert_string_equal(u.name, "root");
    assert_string_equal(u.home, "/root");
    check_err(alk_user_find("no-such-user", &u), ALK_E_NOENT);
    memset(name, 'x', sizeof name - 1);
    check_err(alk_user_find(name, &u), ALK_E_INVALID);
    alk_user_self(&u);
    assert_int_equal(u.uid, getuid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_is_given_up_for_good),
        cmocka_unit_test(without_a_user_it_is_still_not_dumpable),
        cmocka_unit_test(dropping_twice_is_harmless),
        cmocka_unit_test(an_unknown_user_changes_nothing),
        cmocka_unit_test(users_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
