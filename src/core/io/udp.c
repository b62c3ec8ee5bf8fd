/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/udp.h"

#include "base/mem.h"
#include "core/io/sock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif

#define CONTROL_SIZE 256
/* Datagrams go on a path only whole: PROBE sets "don't fragment" and leaves path
 * MTU discovery to QUIC, which an attacker's ICMP cannot mislead [RFC 9000 §14.2]. */
#define MTU_MODE     IP_PMTUDISC_PROBE

union control {
    size_t align; /* as struct cmsghdr wants it */
    uint8_t bytes[CONTROL_SIZE];
};

struct alk_udp_rx {
    const struct alk_mem *mem;
    struct mmsghdr msgs[ALK_UDP_SLOTS];
    struct iovec iov[ALK_UDP_SLOTS];
    struct sockaddr_storage from[ALK_UDP_SLOTS];
    union control control[ALK_UDP_SLOTS];
    uint8_t *data; /* owns: ALK_UDP_SLOTS * ALK_UDP_SLOT_SIZE */
};

/* --- opening -------------------------------------------------------------- */

static void set_options(struct alk_udp *u)
{
    bool is_v6 = u->bound.family == 6;
    int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    alk_sock_buffers(u->fd);
    (void)alk_sock_set(u->fd, level, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, MTU_MODE);
    (void)alk_sock_set(u->fd, level, is_v6 ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
    if (u->is_any) {
        (void)alk_sock_set(u->fd, level, is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    }
    u->has_gro = alk_sock_set(u->fd, SOL_UDP, UDP_GRO, 1);
    int segment = 0;
    socklen_t n = sizeof segment;
    u->has_gso = getsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &segment, &n) == 0;
}

/* The port is taken without SO_REUSEPORT, so an address in use is an error even
 * when its owner shares it; only then others of ours may join. The program is
 * attached before the bind: no datagram is ever received unsteered. */
static alk_err bind_shared(int fd, const struct alk_udp_options *o)
{
    if (o->share == ALK_SHARE_ALONE) {
        return alk_sock_bind(fd, &o->addr);
    }
    if (!alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
        return alk_sock_err(errno);
    }
    if (o->share == ALK_SHARE_NEXT) {
        return alk_sock_bind(fd, &o->addr);
    }
    if (o->steer_count > 0) {
        ALK_TRY(alk_steer_attach(fd, o->steer, o->steer_count, o->cid_len));
    }
    (void)alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
    ALK_TRY(alk_sock_bind(fd, &o->addr));
    return alk_sock_set(fd, SOL_SOCKET, SO_REUSEPORT, 1) ? ALK_OK : alk_sock_err(errno);
}

void alk_udp_adopt(int fd, struct alk_udp *ret)
{
    *ret = (struct alk_udp){.fd = fd, .bound = alk_sock_bound(fd)};
    ret->is_any = alk_addr_is_any(&ret->bound);
    set_options(ret);
}

alk_err alk_udp_open(const struct alk_udp_options *options, struct alk_udp *ret)
{
    int fd = alk_sock_open(options->addr.family, SOCK_DGRAM);
    if (fd < 0) {
        return alk_sock_err(errno);
    }
    alk_err err = bind_shared(fd, options);
    if (err != ALK_OK) {
        (void)close(fd);
        return err;
    }
    alk_udp_adopt(fd, ret);
    return ALK_OK;
}

void alk_udp_close(struct alk_udp *u)
{
    if (u->fd >= 0) {
        (void)close(u->fd);
        u->fd = -1;
    }
}

/* --- receiving ------------------------------------------------------------ */

alk_err alk_udp_rx_new(const struct alk_mem *mem, struct alk_udp_rx **ret)
{
    struct alk_udp_rx *rx = ALK_NEW(mem, struct alk_udp_rx);
    if (rx == NULL) {
        return ALK_E_NOMEM;
    }
    rx->mem = mem;
    rx->data = alk_alloc(mem, ALK_UDP_SLOTS * ALK_UDP_SLOT_SIZE);
    if (rx->data == NULL) {
        alk_free(mem, rx);
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < ALK_UDP_SLOTS; i++) {
        rx->iov[i] = (struct iovec){rx->data + i * ALK_UDP_SLOT_SIZE, ALK_UDP_SLOT_SIZE};
    }
    *ret = rx;
    return ALK_OK;
}

void alk_udp_rx_free(struct alk_udp_rx *rx)
{
    if (rx != NULL) {
        alk_free(rx->mem, rx->data);
        alk_free(rx->mem, rx);
    }
}

uint8_t *alk_udp_rx_scratch(struct alk_udp_rx *rx)
{
    return rx->data;
}

static int control_int(const struct cmsghdr *c)
{
    /* TOS comes as one byte on IPv4, as an int on IPv6. */
    int v = 0;
    size_t n = c->cmsg_len - CMSG_LEN(0);
    if (n == 1) {
        return *(const uint8_t *)CMSG_DATA(c);
    }
    memcpy(&v, CMSG_DATA(c), n < sizeof v ? n : sizeof v);
    return v;
}

static void read_control(struct msghdr *h, struct alk_udp_msg *msg, size_t *segment)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int v = control_int(c);
            *segment = v > 0 ? (size_t)v : 0;
        } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
                   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
            msg->ecn = (uint8_t)(control_int(c) & IPTOS_ECN_MASK);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(msg->local.ip, &info.ipi_addr, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            memcpy(msg->local.ip, &info.ipi6_addr, 16);
            bool is_link_local = msg->local.ip[0] == 0xfe && (msg->local.ip[1] & 0xc0) == 0x80;
            msg->local.scope = is_link_local ? info.ipi6_ifindex : 0;
        }
    }
}

static void deliver(const struct alk_udp *u, struct alk_udp_rx *rx, size_t i, alk_udp_fn *fn,
                    void *ctx)
{
    struct msghdr *h = &rx->msgs[i].msg_hdr;
    size_t left = rx->msgs[i].msg_len;
    if ((h->msg_flags & MSG_TRUNC) != 0) {
        return; /* larger than any UDP datagram: not one */
    }
    struct alk_udp_msg msg = {.local = u->bound, .remote = alk_sockaddr_get(&rx->from[i])};
    size_t segment = 0;
    read_control(h, &msg, &segment);
    if (segment == 0) {
        segment = left;
    }
    const uint8_t *p = rx->iov[i].iov_base;
    while (left > 0) {
        msg.data = alk_span(p, left < segment ? left : segment);
        p += msg.data.n;
        left -= msg.data.n;
        fn(ctx, &msg);
    }
}

bool alk_udp_recv(struct alk_udp *u, struct alk_udp_rx *rx, alk_udp_fn *fn, void *ctx)
{
    for (size_t i = 0; i < ALK_UDP_SLOTS; i++) {
        rx->msgs[i].msg_hdr = (struct msghdr){
            .msg_name = &rx->from[i],
            .msg_namelen = sizeof rx->from[i],
            .msg_iov = &rx->iov[i],
            .msg_iovlen = 1,
            .msg_control = rx->control[i].bytes,
            .msg_controllen = CONTROL_SIZE,
        };
    }
    /* An error is one that an earlier datagram of ours met (ICMP); reading has
     * cleared it. */
    int n = recvmmsg(u->fd, rx->msgs, ALK_UDP_SLOTS, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        deliver(u, rx, (size_t)i, fn, ctx);
    }
    return n == ALK_UDP_SLOTS;
}

/* --- errors --------------------------------------------------------------- */

void alk_udp_want_errors(struct alk_udp *u)
{
    bool is_v6 = u->bound.family == 6;
    (void)alk_sock_set(u->fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_RECVERR : IP_RECVERR,
                       1);
}

static bool is_unreachable(const struct cmsghdr *c)
{
    bool is_ip = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
    bool is_ip6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
    if (!is_ip && !is_ip6) {
        return false;
    }
    struct sock_extended_err e;
    memcpy(&e, CMSG_DATA(c), sizeof e);
    return (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6) &&
           (e.ee_errno == ECONNREFUSED || e.ee_errno == EHOSTUNREACH || e.ee_errno == ENETUNREACH ||
            e.ee_errno == EACCES);
}

void alk_udp_errors(struct alk_udp *u, alk_udp_error_fn *fn, void *ctx)
{
    for (;;) {
        union control control;
        struct sockaddr_storage to = {0};
        struct msghdr h = {.msg_name = &to, .msg_namelen = sizeof to};
        h.msg_control = control.bytes;
        h.msg_controllen = sizeof control.bytes;
        if (recvmsg(u->fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            return;
        }
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c != NULL; c = CMSG_NXTHDR(&h, c)) {
            if (is_unreachable(c)) {
                struct alk_addr remote = alk_sockaddr_get(&to);
                fn(ctx, &remote);
            }
        }
    }
}

/* --- sending -------------------------------------------------------------- */

static void put_control(struct msghdr *h, int level, int type, const void *data, size_t n)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)((uint8_t *)h->msg_control + h->msg_controllen);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), data, n);
    h->msg_controllen += CMSG_SPACE(n);
}

static void put_local(struct msghdr *h, const struct alk_addr *local)
{
    if (local->family == 6) {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
        memcpy(&info.ipi6_addr, local->ip, 16);
        put_control(h, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    } else {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, 4);
        put_control(h, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    }
}

/* One system call: data is one datagram, or several of `segment` bytes. */
static int send_once(struct alk_udp *u, const struct alk_udp_out *out, struct alk_span data)
{
    union control control = {.bytes = {0}};
    struct sockaddr_storage to;
    union {
        const uint8_t *in;
        void *out; /* sendmsg does not write through it */
    } base = {.in = data.p};
    struct iovec iov = {base.out, data.n};
    struct msghdr h = {.msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1};
    h.msg_namelen = alk_sockaddr_put(&out->remote, &to);
    h.msg_control = control.bytes;
    if (u->is_any && out->local.family != 0 && !alk_addr_is_any(&out->local)) {
        put_local(&h, &out->local);
    }
    if (out->ecn != 0) {
        int tos = out->ecn;
        bool is_v6 = out->remote.family == 6;
        put_control(&h, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_TCLASS : IP_TOS, &tos,
                    sizeof tos);
    }
    if (data.n > out->segment) {
        uint16_t segment = (uint16_t)out->segment;
        put_control(&h, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    ssize_t n;
    do {
        n = sendmsg(u->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? errno : 0;
}

/* Refused because of the segmentation, not because of the datagrams: an interface
 * without checksum offload (EIO), for good; or a segment over its MTU, which older
 * kernels report as EINVAL. */
static bool is_gso_error(struct alk_udp *u, int error)
{
    if (error == EIO || error == EOPNOTSUPP) {
        u->has_gso = false;
        return true;
    }
    return error == EINVAL;
}

/* The error may be that of an earlier datagram, to any peer, of which a router has told
 * (ICMP): it is cleared by being reported, and says nothing of this one. */
static int send_data(struct alk_udp *u, const struct alk_udp_out *out, struct alk_span data)
{
    int error = send_once(u, out, data);
    return error == 0 || error == EAGAIN ? error : send_once(u, out, data);
}

static alk_err send_part(struct alk_udp *u, const struct alk_udp_out *out, size_t *done, size_t max)
{
    struct alk_span data = alk_span_head(alk_span_tail(out->data, *done), max);
    bool is_gso = data.n > out->segment;
    int error = send_data(u, out, data);
    if (error == EAGAIN) {
        return ALK_FULL;
    }
    if (error == EMSGSIZE) {
        return ALK_E_TOO_BIG;
    }
    if (is_gso && is_gso_error(u, error)) {
        return ALK_E_UNSUPPORTED;
    }
    /* Anything else is a loss, as on the network. */
    u->send_errors += error != 0 ? 1 : 0;
    *done += data.n;
    return ALK_OK;
}

alk_err alk_udp_send(struct alk_udp *u, const struct alk_udp_out *out, size_t *done)
{
    ALK_ASSERT(out->segment > 0);
    alk_err err = ALK_OK;
    bool use_gso = u->has_gso;
    while (err == ALK_OK && *done < out->data.n) {
        err = send_part(u, out, done, use_gso ? out->data.n : out->segment);
        if (err == ALK_E_UNSUPPORTED) {
            use_gso = false;
            err = ALK_OK;
        }
    }
    return err;
}
