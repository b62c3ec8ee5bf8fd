/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/sock.h"

#include <errno.h>
#include <netinet/in.h>

socklen_t alk_sockaddr_put(const struct alk_addr *a, struct sockaddr_storage *ret)
{
    *ret = (struct sockaddr_storage){0};
    if (a->family == 6) {
        struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};
        sa.sin6_scope_id = a->scope;
        memcpy(&sa.sin6_addr, a->ip, 16);
        memcpy(ret, &sa, sizeof sa);
        return sizeof sa;
    }
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(a->port)};
    memcpy(&sa.sin_addr, a->ip, 4);
    memcpy(ret, &sa, sizeof sa);
    return sizeof sa;
}

struct alk_addr alk_sockaddr_get(const struct sockaddr_storage *sa)
{
    struct alk_addr a = {0};
    if (sa->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a.family = 6;
        a.port = ntohs(in6.sin6_port);
        a.scope = in6.sin6_scope_id;
        memcpy(a.ip, &in6.sin6_addr, 16);
    } else if (sa->ss_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, sa, sizeof in4);
        a.family = 4;
        a.port = ntohs(in4.sin_port);
        memcpy(a.ip, &in4.sin_addr, 4);
    }
    return a;
}

struct alk_addr alk_sock_bound(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    (void)getsockname(fd, (struct sockaddr *)&sa, &n);
    return alk_sockaddr_get(&sa);
}

struct alk_addr alk_sock_peer(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t n = sizeof sa;
    (void)getpeername(fd, (struct sockaddr *)&sa, &n);
    return alk_sockaddr_get(&sa);
}

int alk_sock_type(int fd)
{
    int type = -1;
    socklen_t n = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 ? type : -1;
}

bool alk_addr_is_any(const struct alk_addr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, a->family == 6 ? 16 : 4) == 0;
}

bool alk_sock_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

int alk_sock_open(uint8_t family, int type)
{
    int fd = socket(family == 6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && family == 6) {
        (void)alk_sock_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    return fd;
}

static void grow_buffer(int fd, int name, int force)
{
    int now = 0;
    socklen_t n = sizeof now;
    (void)getsockopt(fd, SOL_SOCKET, name, &now, &n);
    if (now >= ALK_SOCK_BUFFER) {
        return; /* set before, maybe with more privilege than there is now */
    }
    /* The FORCE variants need CAP_NET_ADMIN and ignore the sysctl limits. */
    if (!alk_sock_set(fd, SOL_SOCKET, force, ALK_SOCK_BUFFER)) {
        (void)alk_sock_set(fd, SOL_SOCKET, name, ALK_SOCK_BUFFER);
    }
}

void alk_sock_buffers(int fd)
{
    grow_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
    grow_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
}

alk_err alk_sock_bind(int fd, const struct alk_addr *a)
{
    struct sockaddr_storage sa;
    socklen_t n = alk_sockaddr_put(a, &sa);
    return bind(fd, (const struct sockaddr *)&sa, n) == 0 ? ALK_OK : alk_sock_err(errno);
}

alk_err alk_sock_err(int error)
{
    static const struct {
        int error;
        alk_err err;
    } table[] = {
        {EADDRINUSE, ALK_E_BUSY},
        {EACCES, ALK_E_PERM},
        {EPERM, ALK_E_PERM},
        {EADDRNOTAVAIL, ALK_E_NOENT},
        {ENETUNREACH, ALK_E_UNREACHABLE},
        {EHOSTUNREACH, ALK_E_UNREACHABLE},
        {ENETDOWN, ALK_E_UNREACHABLE},
        {ECONNREFUSED, ALK_E_UNREACHABLE},
        {EAFNOSUPPORT, ALK_E_UNREACHABLE},
        {ETIMEDOUT, ALK_E_TIMEOUT},
        {ECONNRESET, ALK_E_RESET},
        {EPIPE, ALK_E_RESET},
        {EMFILE, ALK_E_LIMIT},
        {ENFILE, ALK_E_LIMIT},
        {ENOBUFS, ALK_E_LIMIT},
        {ENOMEM, ALK_E_NOMEM},
        {EMSGSIZE, ALK_E_TOO_BIG},
        {EAGAIN, ALK_FULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].error == error) {
            return table[i].err;
        }
    }
    return ALK_E_IO;
}
