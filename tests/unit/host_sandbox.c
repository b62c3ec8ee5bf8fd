/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a host process cannot do, as root and as nobody. */
#include "core/host/sandbox.h"
#include "support/host_handler.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct alk_handler *const handlers[] = {&host_handler};

static void the_handler_runs(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "send 16777216");
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_true(p.sum == host_pattern_sum(16777216));
    host_world_fini(&w);
}

static void make_file(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    (void)fchmod(fd, 0666);
    (void)close(fd);
}

static void remove_file(const char *dir, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)unlink(path);
}

static void expect_errno(struct host_world *w, const char *word, int want)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", want);
    host_check_answer(w, word, text);
}

/* A data directory, and beside and beneath it what the service may reach. */
static void the_sandbox_holds(void **state)
{
    struct host_world w;
    char top[] = "/tmp/alk-host-XXXXXX";
    char dir[128], named[128], inner[128], yaml[512], word[256];
    (void)state;
    assert_non_null(mkdtemp(top));
    (void)chmod(top, 0755);
    (void)snprintf(dir, sizeof dir, "%s/data", top);
    (void)snprintf(named, sizeof named, "%s/named", top);
    (void)snprintf(inner, sizeof inner, "%s/data/files", top);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mkdir(named, 0777), 0);
    (void)chmod(named, 0777);
    assert_int_equal(mkdir(inner, 0755), 0);
    make_file(dir, "node.key");
    make_file(named, "f");
    make_file(inner, "f");
    host_handler_data_dir = dir;
    w = (struct host_world){0};
    host_world_init_in(&w, handlers, 1, NULL, dir);
    (void)snprintf(yaml, sizeof yaml, "path: %s\nnames: [%s]\n", named, inner);
    host_world_isolate(&w, &host_handler, yaml, host_patient);
    host_world_connect(&w);

    host_world_until(&w, host_is_ready, &w);
    struct alk_isolate_status st;
    alk_isolate_status(w.service, &st);
    assert_int_equal(st.sandbox & ALK_SANDBOX_NO_NEW_PRIVS, ALK_SANDBOX_NO_NEW_PRIVS);
    if (alk_landlock_abi() >= 1) {
        expect_errno(&w, "data", EACCES);
        expect_errno(&w, "tmp", EACCES);
        expect_errno(&w, "shadow", EACCES);
        assert_true((st.sandbox & ALK_SANDBOX_DATA_DIR) != 0);
    }
    expect_errno(&w, "passwd", 0);
    (void)snprintf(word, sizeof word, "open %s/f", named);
    expect_errno(&w, word, 0);
    (void)snprintf(word, sizeof word, "make %s/new", named);
    expect_errno(&w, word, 0);
    (void)snprintf(word, sizeof word, "open %s/f", inner);
    expect_errno(&w, word, 0); /* named by the operator, though beneath data_dir */
    if (alk_landlock_abi() >= 4) {
        expect_errno(&w, "connect", EACCES);
    }
    if (alk_landlock_abi() >= 6) {
        expect_errno(&w, "kill", EPERM);
    }
    expect_errno(&w, "unshare", EPERM);
    expect_errno(&w, "env", 0);
    if (geteuid() == 0) {
        expect_errno(&w, "uid", 65534);
    }
    host_world_fini(&w);
    remove_file(named, "f");
    remove_file(named, "new");
    remove_file(inner, "f");
    remove_file(dir, "node.key");
    (void)rmdir(inner);
    (void)rmdir(named);
    (void)rmdir(dir);
    (void)rmdir(top);
}

static void ptrace_ends_the_host(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "ptrace");
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    host_until_log(&w, "was ended by signal 31");
    host_world_fini(&w);
}

/* As a child that is nobody: the sandbox holds without root, too. */
static void everything_works_without_root(void **state)
{
    int status = 0;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0) {
            _exit(99);
        }
        (void)execl("/proc/self/exe", "unit_host_sandbox", (char *)NULL);
        _exit(98);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handler_runs),
        cmocka_unit_test(the_sandbox_holds),
        cmocka_unit_test(ptrace_ends_the_host),
        cmocka_unit_test(everything_works_without_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
