/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "tunnel_listen.h"

#include "base/span.h"
#include "core/addr.h"
#include "core/io/admin_sock.h"
#include "core/io/sock.h"
#include "core/store/why.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

static alk_err open_tcp(const char *text, struct cli_listener *l, struct alk_why why)
{
    struct alk_addr addr;

    if (alk_addr_parse(alk_span_str(text), &addr) != ALK_OK) {
        return alk_say(why, ALK_E_INVALID,
                       "--listen takes ADDRESS:PORT, as in 127.0.0.1:6379, or unix:PATH, not "
                       "\"%s\"",
                       text);
    }
    int fd = alk_sock_open(addr.family, SOCK_STREAM);
    bool is_ok = fd >= 0 && alk_sock_set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
                 alk_sock_bind(fd, &addr) == ALK_OK && listen(fd, BACKLOG) == 0;
    if (!is_ok) {
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return alk_say(why, alk_sock_err(error), "cannot listen on %s: %s", text, strerror(error));
    }
    addr = alk_sock_bound(fd); /* port 0 has become a real one */
    l->fd = fd;
    l->is_public = !alk_addr_is_loopback(&addr);
    alk_addr_print(&addr, true, l->name, sizeof l->name);
    return ALK_OK;
}

static alk_err open_unix(const char *path, struct cli_listener *l, struct alk_why why)
{
    int probe = -1;

    if (path[0] == '\0') {
        return alk_say(why, ALK_E_INVALID, "unix: needs a path behind it");
    }
    if (alk_admin_sock_connect(path, &probe) == ALK_OK) {
        (void)close(probe);
        return alk_say(why, ALK_E_BUSY, "somebody listens on %s already", path);
    }
    alk_err err = alk_admin_sock_listen(path, &l->fd);
    if (err != ALK_OK) {
        return alk_say(why, err == ALK_E_INVALID ? ALK_E_IO : err, "cannot listen on %s: %s", path,
                       strerror(errno));
    }
    l->is_unix = true;
    (void)snprintf(l->name, sizeof l->name, "unix:%s", path);
    return ALK_OK;
}

alk_err cli_listener_open(const char *text, struct cli_listener *ret, char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct cli_listener l = {.fd = -1};

    alk_err err =
        strncmp(text, "unix:", 5) == 0 ? open_unix(text + 5, &l, note) : open_tcp(text, &l, note);
    if (err == ALK_OK) {
        *ret = l;
    }
    return err;
}

int cli_listener_accept(const struct cli_listener *l)
{
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 && !l->is_unix) {
        (void)alk_sock_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    return fd;
}

void cli_listener_close(struct cli_listener *l)
{
    if (l->fd < 0) {
        return;
    }
    if (l->is_unix) {
        (void)unlink(l->name + strlen("unix:"));
    }
    (void)close(l->fd);
    l->fd = -1;
}
