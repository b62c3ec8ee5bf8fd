/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The spawner by itself: whom it obeys, what it holds, what it leaves behind. */
#include "core/host/channel.h"
#include "core/host/spawn_msg.h"
#include "core/host/spawner.h"
#include "core/host/spawner_main.h"

#include "support/host_handler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct alk_handler *const handlers[] = {&host_handler};

struct seen {
    unsigned events;
    struct alk_proc_event last;
};

static void on_proc(void *ctx, struct alk_proc *proc, const struct alk_proc_event *e)
{
    struct seen *s = ctx;
    (void)proc;
    s->events |= 1u << (unsigned)e->what;
    s->last = *e;
}

static bool is_over(void *ctx)
{
    const struct seen *s = ctx;
    return (s->events & ~(1u << ALK_PROC_STARTED)) != 0;
}

static bool is_started(void *ctx)
{
    const struct seen *s = ctx;
    return s->events != 0;
}

static alk_err start(struct host_world *w, const char *const *argv, struct seen *seen,
                     struct alk_proc **ret)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    const struct alk_exec_spec spec = {.argv = argv, .env = env, .stdio = {-1, -1, -1}};
    *seen = (struct seen){0};
    return alk_spawner_exec(w->spawner, w->loop, &spec, on_proc, seen, ret);
}

static void it_starts_finds_and_reports(void **state)
{
    static const char *const argv[] = {"sh", "-c", "exit 3", NULL};
    struct host_world w;
    struct seen seen;
    struct alk_proc *p;
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    check_err(start(&w, argv, &seen, &p), ALK_OK); /* found in PATH */
    host_world_until(&w, is_over, &seen);
    assert_int_equal(seen.last.what, ALK_PROC_EXITED);
    assert_true(WIFEXITED(seen.last.status));
    assert_int_equal(WEXITSTATUS(seen.last.status), 3);
    alk_proc_release(p);
    host_world_fini(&w);
}

static void what_cannot_be_started_says_why(void **state)
{
    static const char *const missing[] = {"/nonexistent", NULL};
    static const char *const data[] = {"/etc/passwd", NULL};
    static const char *const nothing[] = {NULL};
    struct host_world w;
    struct seen seen;
    struct alk_proc *p;
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    check_err(start(&w, missing, &seen, &p), ALK_OK);
    host_world_until(&w, is_over, &seen);
    assert_int_equal(seen.last.what, ALK_PROC_FAILED);
    check_err(seen.last.err, ALK_E_NOENT);
    assert_int_equal(seen.last.sys_errno, ENOENT);
    assert_string_equal(seen.last.stage, "exec");
    alk_proc_release(p);
    check_err(start(&w, data, &seen, &p), ALK_OK);
    host_world_until(&w, is_over, &seen);
    check_err(seen.last.err, ALK_E_PERM);
    alk_proc_release(p);
    check_err(start(&w, nothing, &seen, &p), ALK_E_INVALID);
    host_world_fini(&w);
}

static void too_much_text_is_refused(void **state)
{
    static char word[ALK_SPAWN_TEXT_MAX + 1];
    const char *argv[] = {"/bin/true", word, NULL};
    struct host_world w;
    struct seen seen;
    struct alk_proc *p;
    (void)state;
    memset(word, 'x', sizeof word - 1);
    host_world_init(&w, NULL, 0, NULL);
    check_err(start(&w, argv, &seen, &p), ALK_E_INVALID);
    word[ALK_SPAWN_TEXT_MAX - 64] = '\0';
    check_err(start(&w, argv, &seen, &p), ALK_OK);
    host_world_until(&w, is_over, &seen);
    assert_int_equal(seen.last.what, ALK_PROC_EXITED);
    alk_proc_release(p);
    host_world_fini(&w);
}

static void the_number_of_processes_is_limited(void **state)
{
    static const char *const argv[] = {"/bin/sleep", "1000", NULL};
    struct host_world w;
    struct seen seen[3];
    struct alk_proc *p[3];
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    alk_spawner_free(w.spawner);
    const struct alk_spawner_options options = {.processes_max = 2};
    check_err(alk_spawner_start(&options, NULL, &w.spawner), ALK_OK);
    for (size_t i = 0; i < 3; i++) {
        check_err(start(&w, argv, &seen[i], &p[i]), ALK_OK);
        host_world_until(&w, is_started, &seen[i]);
    }
    assert_int_equal(seen[1].last.what, ALK_PROC_STARTED);
    assert_int_equal(seen[2].last.what, ALK_PROC_FAILED);
    check_err(seen[2].last.err, ALK_E_LIMIT);
    alk_proc_release(p[0]); /* kills it: there is room again, as soon as it is reaped */
    do {
        alk_proc_release(p[2]);
        check_err(start(&w, argv, &seen[2], &p[2]), ALK_OK);
        host_world_until(&w, is_started, &seen[2]);
    } while (seen[2].last.what == ALK_PROC_FAILED);
    alk_spawner_limit(w.spawner, 3); /* a reload */
    do {                             /* two channels: the limit may come second */
        check_err(start(&w, argv, &seen[0], &p[0]), ALK_OK);
        host_world_until(&w, is_started, &seen[0]);
        alk_proc_release(p[0]);
    } while (seen[0].last.what == ALK_PROC_FAILED);
    alk_proc_release(p[1]);
    alk_proc_release(p[2]);
    host_world_fini(&w);
}

static void a_user_it_was_not_told_of_is_refused(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL};
    struct host_world w;
    struct seen seen = {0};
    struct alk_proc *p;
    const struct alk_exec_spec spec = {.argv = argv, .user = "daemon", .stdio = {-1, -1, -1}};
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    check_err(alk_spawner_exec(w.spawner, w.loop, &spec, on_proc, &seen, &p), ALK_OK);
    host_world_until(&w, is_over, &seen);
    assert_int_equal(seen.last.what, ALK_PROC_FAILED);
    check_err(seen.last.err, ALK_E_PERM);
    assert_string_equal(seen.last.stage, "user");
    alk_proc_release(p);
    host_world_fini(&w);
}

static void users_are_checked_at_the_start(void **state)
{
    struct alk_spawner *s;
    const char *user = NULL;
    (void)state;
    struct alk_spawner_options options = {.host_user = "no-such-user"};
    check_err(alk_spawner_start(&options, &user, &s), ALK_E_NOENT);
    assert_string_equal(user, "no-such-user");
    if (geteuid() == 0) {
        options.host_user = "root";
        check_err(alk_spawner_start(&options, &user, &s), ALK_E_PERM);
        const char *const users[] = {"daemon", "root", NULL};
        options.host_user = NULL;
        options.exec_users = users;
        check_err(alk_spawner_start(&options, &user, &s), ALK_E_PERM);
        assert_string_equal(user, "root");
    } else {
        options.host_user = "root";
        check_err(alk_spawner_start(&options, &user, &s), ALK_E_PERM);
    }
}

static void exec_users_are_allowed(void **state)
{
    static const char *const argv[] = {"/bin/sh", "-c", "test $(id -un) = daemon", NULL};
    static const char *const users[] = {"daemon", NULL};
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    struct host_world w;
    struct seen seen = {0};
    struct alk_proc *p;
    const struct alk_exec_spec spec = {
        .argv = argv, .env = env, .user = "daemon", .stdio = {-1, -1, -1}};
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    host_world_init(&w, NULL, 0, NULL);
    alk_spawner_free(w.spawner);
    const struct alk_spawner_options options = {.exec_users = users};
    check_err(alk_spawner_start(&options, NULL, &w.spawner), ALK_OK);
    check_err(alk_spawner_exec(w.spawner, w.loop, &spec, on_proc, &seen, &p), ALK_OK);
    host_world_until(&w, is_over, &seen);
    assert_int_equal(seen.last.what, ALK_PROC_EXITED);
    assert_int_equal(seen.last.status, 0);
    alk_proc_release(p);
    host_world_fini(&w);
}

/* --- descriptors ---------------------------------------------------------- */

/* Calls fn with what each descriptor of a process is. Needs root or the same user
 * and a dumpable process: as root. */
static void each_fd(pid_t pid, void (*fn)(int fd, const char *what))
{
    char dir[64];
    (void)snprintf(dir, sizeof dir, "/proc/%d/fd", (int)pid);
    DIR *d = opendir(dir);
    assert_non_null(d);
    const struct dirent *e;
    unsigned count = 0;
    while ((e = readdir(d)) != NULL) {
        char what[256];
        ssize_t n = readlinkat(dirfd(d), e->d_name, what, sizeof what - 1);
        if (n > 0) {
            what[n] = '\0';
            fn((int)strtol(e->d_name, NULL, 10), what);
            count++;
        }
    }
    (void)closedir(d);
    assert_true(count > 3);
}

static char canary[] = "/tmp/alk-canary-XXXXXX";
static char canary_socket[64];

static void is_harmless(int fd, const char *what)
{
    bool is_known = strcmp(what, "/dev/null") == 0 || strncmp(what, "anon_inode:", 11) == 0 ||
                    strncmp(what, "socket:", 7) == 0 || strncmp(what, "pipe:", 5) == 0;
    if (fd > 2 && (!is_known || strcmp(what, canary_socket) == 0)) {
        fail_msg("descriptor %d is %s", fd, what);
    }
}

/* A file and a socket that were open at the fork, without close-on-exec. */
static void nothing_of_the_endpoint_leaks_into_spawner_and_hosts(void **state)
{
    struct host_world w;
    char name[64];
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    int file = mkstemp(canary);
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(file >= 0 && sock >= 0);
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", sock);
    ssize_t n = readlink(name, canary_socket, sizeof canary_socket - 1);
    assert_true(n > 0);
    host_world_init(&w, handlers, 1, NULL);
    host_world_isolate(&w, &host_handler, "{}", host_patient);
    host_world_connect(&w);
    host_check_answer(&w, "greet", "hello");
    host_world_until(&w, host_is_ready, &w);
    each_fd(alk_spawner_pid(w.spawner), is_harmless);
    each_fd(host_pid(&w), is_harmless);
    host_world_fini(&w);
    (void)close(file);
    (void)close(sock);
    (void)unlink(canary);
}

static unsigned fds_of_spawner;
static void count_fd(int fd, const char *what)
{
    (void)fd;
    (void)what;
    fds_of_spawner++;
}

static void it_loses_no_descriptors_over_many_programs(void **state)
{
    static const char *const argv[] = {"/bin/true", NULL};
    struct host_world w;
    struct seen seen;
    struct alk_proc *p;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    host_world_init(&w, NULL, 0, NULL);
    unsigned before = 0;
    for (int i = 0; i < 50; i++) {
        check_err(start(&w, argv, &seen, &p), ALK_OK);
        host_world_until(&w, is_over, &seen);
        alk_proc_release(p);
        check_err(start(&w, argv, &seen, &p), ALK_OK); /* reaps the one before */
        host_world_until(&w, is_over, &seen);
        alk_proc_release(p);
        fds_of_spawner = 0;
        each_fd(alk_spawner_pid(w.spawner), count_fd);
        before = i == 10 ? fds_of_spawner : before;
    }
    assert_in_range(fds_of_spawner, 0, before + 2);
    host_world_fini(&w);
}

/* --- the endpoint's death ------------------------------------------------- */

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* A child plays the endpoint, starts a program that starts another, and is killed. */
static void it_dies_with_the_endpoint_and_takes_its_children_along(void **state)
{
    int fds[2];
    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        static const char *const argv[] = {
            "/bin/sh", "-c", "trap '' TERM HUP; sleep 1000 & echo $$ $! $PPID; wait", NULL};
        static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
        struct host_world w;
        struct seen seen = {0};
        struct alk_proc *p;
        host_world_init(&w, NULL, 0, NULL);
        const struct alk_exec_spec spec = {.argv = argv, .env = env, .stdio = {-1, fds[1], -1}};
        if (alk_spawner_exec(w.spawner, w.loop, &spec, on_proc, &seen, &p) != ALK_OK) {
            _exit(1);
        }
        for (;;) {
            (void)alk_loop_run_once(w.loop, 1000);
        }
    }
    char text[128];
    int a = 0, b = 0, spawner = 0;
    ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(sscanf(text, "%d %d %d", &a, &b, &spawner), 3);
    assert_false(is_gone(a) || is_gone(b) || is_gone(spawner));
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    /* The pipe's last writers were the program and its child. */
    (void)close(fds[1]);
    while ((n = read(fds[0], text, sizeof text)) > 0) {
    }
    assert_int_equal(n, 0);
    (void)close(fds[0]);
}

static void a_channel_is_descriptor_3_and_the_only_one_beside_0_1_2(void **state)
{
    static const char *const argv[] = {"/bin/sh", "-c",
                                       "ls /proc/self/fd >&3; read line <&3; exit \"$line\"", NULL};
    static const char *const env[] = {"PATH=/usr/bin:/bin", NULL};
    struct host_world w;
    struct seen seen = {0};
    struct alk_proc *p;
    char text[128] = "";
    int fds[2];
    (void)state;
    host_world_init(&w, NULL, 0, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    const struct alk_exec_spec spec = {
        .argv = argv, .env = env, .stdio = {-1, -1, -1}, .channel = fds[1]};
    check_err(alk_spawner_exec(w.spawner, w.loop, &spec, on_proc, &seen, &p), ALK_OK);
    assert_int_equal(write(fds[0], "7\n", 2), 2);
    host_world_until(&w, is_over, &seen);
    assert_int_equal(WEXITSTATUS(seen.last.status), 7);
    assert_true(read(fds[0], text, sizeof text - 1) > 0);
    assert_string_equal(text, "0\n1\n2\n3\n4\n"); /* 4: of the directory that ls reads */
    alk_proc_release(p);
    (void)close(fds[0]);
    host_world_fini(&w);
}

/* --- channels that others hold, too ------------------------------------------------ */

/* A spawner of its own that starts nothing: what it is asked for is refused at once. */
static pid_t bare_spawner(struct alk_channel *ret)
{
    int fds[2];
    check_err(alk_channel_pair(fds), ALK_OK);
    pid_t pid = fork();
    if (pid == 0) {
        const struct alk_spawner_main m = {.fd = fds[1]};
        alk_spawner_main(&m);
    }
    (void)close(fds[1]);
    alk_channel_init(ret, NULL, fds[0], 65536);
    return pid;
}

/* Turns of its loop: each answer is one, and what else waits has its turn between. */
static void refuse_some(struct alk_channel *c)
{
    static uint8_t out[ALK_SPAWN_MSG_MAX], in[ALK_SPAWN_MSG_MAX];
    struct alk_spawn_msg m = {.type = ALK_SPAWN_EXEC, .id = 7};
    m.u.exec.words = ALK_LIT("/bin/true\0");
    m.u.exec.argc = 1;
    m.u.exec.cwd = m.u.exec.user = ALK_LIT("\0");
    memset(m.u.exec.stdio, 255, sizeof m.u.exec.stdio);
    for (int i = 0; i < 20; i++) {
        struct alk_wr w = alk_wr(out, sizeof out);
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        struct alk_spawn_msg answer;
        struct alk_span got;
        size_t fd_count = 0;
        check_err(alk_spawn_msg_write(&w, &m), ALK_OK);
        check_err(alk_channel_send(c, alk_wr_span(&w), NULL, 0, true), ALK_OK);
        assert_int_equal(poll(&p, 1, 60000), 1);
        check_err(alk_channel_recv(c, in, sizeof in, NULL, &fd_count, &got), ALK_OK);
        check_err(alk_spawn_msg_parse(got, 0, false, &answer), ALK_OK);
        assert_int_equal(answer.type, ALK_SPAWN_FAILED);
    }
}

static void a_channel_that_ends_is_forgotten_whoever_else_holds_it(void **state)
{
    uint8_t text[64];
    struct alk_channel first;
    const struct alk_spawn_msg attach = {.type = ALK_SPAWN_ATTACH};
    int fds[2], status = 0;
    (void)state;
    pid_t pid = bare_spawner(&first);
    check_err(alk_channel_pair(fds), ALK_OK);
    int kept = dup(fds[1]);
    struct alk_wr w = alk_wr(text, sizeof text);
    check_err(alk_spawn_msg_write(&w, &attach), ALK_OK);
    check_err(alk_channel_send(&first, alk_wr_span(&w), &fds[1], 1, true), ALK_OK);
    refuse_some(&first); /* it has taken the channel */
    (void)close(fds[0]);
    refuse_some(&first); /* and has seen its end: epoll must not speak of it again */
    alk_channel_fini(&first);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_finds_and_reports),
        cmocka_unit_test(a_channel_is_descriptor_3_and_the_only_one_beside_0_1_2),
        cmocka_unit_test(what_cannot_be_started_says_why),
        cmocka_unit_test(too_much_text_is_refused),
        cmocka_unit_test(the_number_of_processes_is_limited),
        cmocka_unit_test(a_user_it_was_not_told_of_is_refused),
        cmocka_unit_test(users_are_checked_at_the_start),
        cmocka_unit_test(exec_users_are_allowed),
        cmocka_unit_test(nothing_of_the_endpoint_leaks_into_spawner_and_hosts),
        cmocka_unit_test(it_loses_no_descriptors_over_many_programs),
        cmocka_unit_test(a_channel_that_ends_is_forgotten_whoever_else_holds_it),
        cmocka_unit_test(it_dies_with_the_endpoint_and_takes_its_children_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
