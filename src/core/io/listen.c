/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/listen.h"

#include "base/mem.h"
#include "core/io/sock.h"
#include "core/io/steer.h"
#include "core/io/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Port 0: a number that is free for TCP may be taken for UDP; so often we try. */
#define PORT_TRIES       64
/* First descriptor of the service manager's protocol. */
#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX   64

static alk_err init(const struct alk_mem *mem, size_t loops, struct alk_bound *ret)
{
    *ret = (struct alk_bound){.mem = mem, .loops = loops};
    ret->udp = alk_zalloc(mem, loops, sizeof *ret->udp);
    ret->tcp = alk_zalloc(mem, loops, sizeof *ret->tcp);
    if (ret->udp == NULL || ret->tcp == NULL) {
        alk_free(mem, ret->udp);
        alk_free(mem, ret->tcp);
        *ret = (struct alk_bound){0};
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < loops; i++) {
        ret->udp[i] = -1;
        ret->tcp[i] = -1;
    }
    return ALK_OK;
}

static void close_all(struct alk_bound *b)
{
    /* From the end: closing another would move the last socket into its slot. */
    for (size_t i = b->loops; i-- > 0;) {
        if (b->udp[i] >= 0) {
            (void)close(b->udp[i]);
            b->udp[i] = -1;
        }
        if (b->tcp[i] >= 0) {
            (void)close(b->tcp[i]);
            b->tcp[i] = -1;
        }
    }
}

void alk_bound_fini(struct alk_bound *b)
{
    if (b->udp != NULL) {
        close_all(b);
    }
    alk_free(b->mem, b->udp);
    alk_free(b->mem, b->tcp);
    *b = (struct alk_bound){0};
}

/* As for UDP, the first socket takes the port alone; for TCP that means up to and
 * including listen, because binding alone does not exclude others here. */
static alk_err open_tcp(const struct alk_addr *addr, bool is_first, int *ret)
{
    int fd = alk_sock_open(addr->family, SOCK_STREAM);
    if (fd < 0) {
        return alk_sock_err(errno);
    }
    alk_err err = ALK_OK;
    /* A port whose old connections linger in TIME_WAIT is free. */
    (void)alk_sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (!is_first && !alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        err = alk_sock_err(errno);
    }
    if (err == ALK_OK) {
        err = alk_sock_bind(fd, addr);
    }
    if (err == ALK_OK && listen(fd, ALK_LISTEN_BACKLOG) != 0) {
        err = alk_sock_err(errno);
    }
    if (err == ALK_OK && is_first && !alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        err = alk_sock_err(errno);
    }
    if (err != ALK_OK) {
        (void)close(fd);
        return err;
    }
    *ret = fd;
    return ALK_OK;
}

static alk_err open_udp(const struct alk_bind_options *o, const struct alk_addr *addr, size_t i,
                        int *ret)
{
    struct alk_steer_loop steer[ALK_STEER_MAX];
    struct alk_udp udp;
    struct alk_udp_options options = {.addr = *addr, .cid_len = o->cid_len, .steer = steer};
    options.share = i > 0 ? ALK_SHARE_NEXT : o->loops > 1 ? ALK_SHARE_FIRST : ALK_SHARE_ALONE;
    if (options.share == ALK_SHARE_FIRST) {
        options.steer_count = o->loops;
        for (size_t k = 0; k < o->loops; k++) {
            steer[k] = (struct alk_steer_loop){(uint8_t)k, (uint8_t)k, true};
        }
    }
    ALK_TRY(alk_udp_open(&options, &udp));
    *ret = udp.fd;
    return ALK_OK;
}

/* Everything on the one port of `addr`; port 0 is chosen by the first TCP socket. */
static alk_err open_all(const struct alk_bind_options *o, struct alk_addr addr, struct alk_bound *b)
{
    alk_err err = open_tcp(&addr, true, &b->tcp[0]);
    if (err == ALK_OK) {
        addr.port = alk_sock_bound(b->tcp[0]).port;
    }
    for (size_t i = 0; err == ALK_OK && i < o->loops; i++) {
        err = open_udp(o, &addr, i, &b->udp[i]);
        if (err == ALK_OK && i > 0) {
            err = open_tcp(&addr, false, &b->tcp[i]);
        }
    }
    if (err != ALK_OK) {
        close_all(b);
        return err;
    }
    b->addr = addr;
    alk_addr_print(&b->addr, true, b->text, sizeof b->text);
    return ALK_OK;
}

static alk_err open_any_port(const struct alk_bind_options *o, struct alk_bound *b)
{
    struct alk_addr addr = o->addr;
    alk_err err = ALK_E_BUSY;
    if (o->preferred != 0) {
        addr.port = o->preferred;
        err = open_all(o, addr, b);
    }
    for (int i = 0; err == ALK_E_BUSY && i < PORT_TRIES; i++) {
        addr.port = 0;
        err = open_all(o, addr, b);
    }
    return err;
}

static void explain(const struct alk_bind_options *o, alk_err err, char *why, size_t why_size)
{
    char text[ALK_ADDR_TEXT_MAX];
    alk_addr_print(&o->addr, true, text, sizeof text);
    const char *what = alk_err_text(err);
    if (err == ALK_E_BUSY) {
        what = "another program uses this port (on UDP or TCP): stop it or choose another port";
    } else if (err == ALK_E_PERM) {
        what = "ports below 1024 need root or CAP_NET_BIND_SERVICE";
    } else if (err == ALK_E_NOENT) {
        what = "this machine does not have this address";
    } else if (err == ALK_E_UNREACHABLE) {
        what = "this machine does not have this address family";
    } else if (err == ALK_E_LIMIT) {
        what = "too many open files: raise the limit (ulimit -n)";
    }
    (void)snprintf(why, why_size, "cannot listen on %s: %s", text, what);
}

alk_err alk_bound_open(const struct alk_bind_options *options, char *why, size_t why_size,
                       struct alk_bound *ret)
{
    struct alk_bound b;
    ALK_ASSERT(options->loops > 0 && options->loops <= ALK_STEER_MAX);
    ALK_TRY(init(options->mem, options->loops, &b));
    alk_err err =
        options->addr.port == 0 ? open_any_port(options, &b) : open_all(options, options->addr, &b);
    if (err != ALK_OK) {
        explain(options, err, why, why_size);
        alk_bound_fini(&b);
        return err;
    }
    *ret = b;
    return ALK_OK;
}

alk_err alk_bound_adopt(const struct alk_mem *mem, size_t loops, int udp, int tcp,
                        struct alk_bound *ret)
{
    alk_err err = init(mem, loops, ret);
    if (err != ALK_OK) {
        if (udp >= 0) {
            (void)close(udp);
        }
        if (tcp >= 0) {
            (void)close(tcp);
        }
        return err;
    }
    ret->addr = alk_sock_bound(udp >= 0 ? udp : tcp);
    alk_addr_print(&ret->addr, true, ret->text, sizeof ret->text);
    return alk_bound_join(ret, udp, tcp);
}

alk_err alk_bound_join(struct alk_bound *b, int udp, int tcp)
{
    bool is_taken = (udp >= 0 && b->udp[0] >= 0) || (tcp >= 0 && b->tcp[0] >= 0);
    if (is_taken) {
        (void)close(udp >= 0 ? udp : tcp);
        return ALK_E_EXISTS;
    }
    b->udp[0] = udp >= 0 ? udp : b->udp[0];
    for (size_t i = 0; tcp >= 0 && i < b->loops; i++) {
        b->tcp[i] = i == 0 ? tcp : fcntl(tcp, F_DUPFD_CLOEXEC, 0);
    }
    return ALK_OK;
}

static int take(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

int alk_bound_take_udp(struct alk_bound *b, size_t loop)
{
    return take(&b->udp[loop]);
}

int alk_bound_take_tcp(struct alk_bound *b, size_t loop)
{
    return take(&b->tcp[loop]);
}

static bool env_u64(const char *name, uint64_t max, uint64_t *ret)
{
    const char *text = getenv(name);
    return text != NULL && alk_span_u64(alk_span_str(text), max, ret);
}

size_t alk_listen_fds(int *ret_first)
{
    uint64_t pid = 0;
    uint64_t n = 0;
    bool is_ours = env_u64("LISTEN_PID", INT32_MAX, &pid) && (pid_t)pid == getpid() &&
                   env_u64("LISTEN_FDS", LISTEN_FDS_MAX, &n);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (!is_ours) {
        return 0;
    }
    for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)n; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    *ret_first = LISTEN_FDS_START;
    return (size_t)n;
}
