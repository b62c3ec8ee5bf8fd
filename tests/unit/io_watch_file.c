/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Watched files, wakes and signals, the service manager's sockets and messages. */
#include "support/check.h"

#include "core/io/listen.h"
#include "core/io/loop.h"
#include "core/io/signal.h"
#include "core/io/sock.h"
#include "core/io/watch_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char dir[64], file[96], other[96], link[96];
    struct alk_loop *loop;
    int changes;
};

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void place_init(struct place *p)
{
    *p = (struct place){.dir = "/tmp/alknet-watch-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->file, sizeof p->file, "%s/alknet.yaml", p->dir);
    (void)snprintf(p->other, sizeof p->other, "%s/other", p->dir);
    (void)snprintf(p->link, sizeof p->link, "%s/link", p->dir);
    assert_int_equal(alk_loop_new(NULL, &p->loop), ALK_OK);
    write_file(p->file, "one");
}

static void place_fini(struct place *p)
{
    alk_loop_free(p->loop);
    (void)unlink(p->file);
    (void)unlink(p->other);
    (void)unlink(p->link);
    assert_int_equal(rmdir(p->dir), 0);
}

static void on_change(void *ctx)
{
    struct place *p = ctx;
    p->changes++;
}

static void wait_changes(struct place *p, int n)
{
    while (p->changes < n) {
        assert_true(alk_loop_run_once(p->loop, 5000));
    }
    assert_int_equal(p->changes, n);
}

static void writes_and_renames_are_told_and_other_files_are_not(void **ctx)
{
    (void)ctx;
    struct place p;
    struct alk_watch_file *w;
    place_init(&p);
    assert_int_equal(alk_watch_file_new(p.loop, p.file, on_change, &p, &w), ALK_OK);
    write_file(p.file, "two of a different size");
    wait_changes(&p, 1);
    for (int i = 2; i <= 4; i++) { /* again and again: the watch does not die */
        write_file(p.other, "the next one");
        assert_int_equal(rename(p.other, p.file), 0);
        wait_changes(&p, i);
    }
    /* A change of another file, then one of ours: only ours is told. */
    write_file(p.other, "not ours");
    assert_int_equal(unlink(p.other), 0);
    assert_int_equal(unlink(p.file), 0);
    write_file(p.file, "back again");
    wait_changes(&p, 5);
    alk_watch_file_free(w);
    place_fini(&p);
}

static void a_swapped_link_is_a_change(void **ctx)
{
    (void)ctx;
    struct place p;
    struct alk_watch_file *w;
    place_init(&p);
    write_file(p.other, "another");
    assert_int_equal(symlink(p.file, p.link), 0);
    assert_int_equal(alk_watch_file_new(p.loop, p.link, on_change, &p, &w), ALK_OK);
    char fresh[96];
    (void)snprintf(fresh, sizeof fresh, "%s/fresh", p.dir);
    assert_int_equal(symlink(p.other, fresh), 0);
    assert_int_equal(rename(fresh, p.link), 0);
    wait_changes(&p, 1);
    alk_watch_file_free(w);
    place_fini(&p);
}

static void a_missing_directory_is_an_error(void **ctx)
{
    (void)ctx;
    struct place p;
    struct alk_watch_file *w;
    place_init(&p);
    assert_int_equal(alk_watch_file_new(p.loop, "/nowhere/alknet.yaml", on_change, &p, &w),
                     ALK_E_NOENT);
    place_fini(&p);
}

/* --- wakes and signals ------------------------------------------------------------- */

struct counter {
    int n;
    enum alk_signal last;
};
static void on_wake(void *arg)
{
    struct counter *c = arg;
    c->n++;
}
static void on_signal(void *ctx, enum alk_signal what)
{
    struct counter *c = ctx;
    c->n++;
    c->last = what;
}

static void sends_before_the_loop_gets_there_count_as_one(void **ctx)
{
    (void)ctx;
    struct alk_loop *loop;
    struct alk_wake *wake;
    struct counter c = {0};
    assert_int_equal(alk_loop_new(NULL, &loop), ALK_OK);
    assert_int_equal(alk_wake_new(loop, on_wake, &c, &wake), ALK_OK);
    for (int i = 0; i < 10; i++) {
        alk_wake_send(wake);
    }
    while (c.n == 0) {
        assert_true(alk_loop_run_once(loop, 5000));
    }
    assert_int_equal(c.n, 1);
    alk_wake_free(wake);
    alk_loop_free(loop);
}

static void signals_arrive_by_their_meaning(void **ctx)
{
    (void)ctx;
    static const struct {
        int signum;
        enum alk_signal want;
    } table[] = {
        {SIGHUP, ALK_SIGNAL_RELOAD}, {SIGTERM, ALK_SIGNAL_STOP}, {SIGINT, ALK_SIGNAL_STOP}};
    struct alk_loop *loop;
    struct alk_signals *signals;
    struct counter c = {0};
    assert_int_equal(alk_loop_new(NULL, &loop), ALK_OK);
    assert_int_equal(alk_signals_new(loop, on_signal, &c, &signals), ALK_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(getpid(), table[i].signum), 0);
        while (c.n <= i) {
            assert_true(alk_loop_run_once(loop, 5000));
        }
        assert_int_equal(c.last, table[i].want);
    }
    alk_signals_free(signals);
    alk_loop_free(loop);
}

/* --- the service manager ------------------------------------------------------------- */

static void it_is_told_over_its_socket(void **ctx)
{
    (void)ctx;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char text[128] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    (void)snprintf(sa.sun_path, sizeof sa.sun_path, "/tmp/alknet-notify-%d", (int)getpid());
    (void)unlink(sa.sun_path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", sa.sun_path, 1), 0);
    alk_notify("READY=1");
    assert_int_equal(recv(fd, text, sizeof text - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    alk_notify_reloading();
    assert_true(recv(fd, text, sizeof text - 1, 0) > 20);
    assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    alk_notify("READY=1");
    assert_true(recv(fd, text, sizeof text, 0) < 0);
    (void)close(fd);
    (void)unlink(sa.sun_path);
}

/* In a child, because the sockets have to be descriptors 3 and 4. */
static int inherit(void)
{
    char pid[32];
    int first = 0;
    struct alk_bound b;
    struct alk_addr any = {.family = 4, .ip = {127, 0, 0, 1}};
    int tcp = alk_sock_open(4, SOCK_STREAM);
    int udp = alk_sock_open(4, SOCK_DGRAM);
    if (alk_sock_bind(tcp, &any) != ALK_OK || listen(tcp, 1) != 0) {
        return 1;
    }
    any.port = alk_sock_bound(tcp).port;
    if (alk_sock_bind(udp, &any) != ALK_OK || dup2(tcp, 20) != 20 || dup2(udp, 21) != 21 ||
        dup2(20, 3) != 3 || dup2(21, 4) != 4) {
        return 2;
    }
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "2", 1);
    if (alk_listen_fds(&first) != 2 || first != 3 || getenv("LISTEN_FDS") != NULL) {
        return 3;
    }
    if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || alk_sock_type(3) != SOCK_STREAM ||
        alk_sock_type(4) != SOCK_DGRAM || alk_sock_type(0x7fff) != -1) {
        return 4;
    }
    if (alk_bound_adopt(NULL, 2, -1, 3, &b) != ALK_OK || alk_bound_join(&b, 4, -1) != ALK_OK) {
        return 5;
    }
    bool is_good = b.addr.port == any.port && b.udp[0] == 4 && b.udp[1] == -1 && b.tcp[0] == 3 &&
                   b.tcp[1] >= 0;
    alk_bound_fini(&b);
    (void)setenv("LISTEN_PID", "1", 1);
    (void)setenv("LISTEN_FDS", "2", 1);
    return is_good && alk_listen_fds(&first) == 0 ? 0 : 6;
}

static void its_sockets_are_taken_over_and_those_of_others_are_not(void **ctx)
{
    (void)ctx;
    int status = -1;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(inherit());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_renames_are_told_and_other_files_are_not),
        cmocka_unit_test(a_swapped_link_is_a_change),
        cmocka_unit_test(a_missing_directory_is_an_error),
        cmocka_unit_test(sends_before_the_loop_gets_there_count_as_one),
        cmocka_unit_test(signals_arrive_by_their_meaning),
        cmocka_unit_test(it_is_told_over_its_socket),
        cmocka_unit_test(its_sockets_are_taken_over_and_those_of_others_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
