/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/span.h"

/* Every byte is set: tokens and path comparison look at the whole address. */
static ngtcp2_socklen to_sockaddr(const struct alk_addr *a, ngtcp2_sockaddr_union *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->family == 6) {
        ret->in6.sin6_family = AF_INET6;
        ret->in6.sin6_port = htons(a->port);
        ret->in6.sin6_scope_id = a->scope;
        memcpy(&ret->in6.sin6_addr, a->ip, 16);
        return sizeof ret->in6;
    }
    ret->in.sin_family = AF_INET;
    ret->in.sin_port = htons(a->port);
    memcpy(&ret->in.sin_addr, a->ip, 4);
    return sizeof ret->in;
}

static void from_sockaddr(const ngtcp2_addr *from, struct alk_addr *ret)
{
    ngtcp2_sockaddr_union u;
    memset(&u, 0, sizeof u);
    memset(ret, 0, sizeof *ret);
    memcpy(&u, from->addr, from->addrlen < sizeof u ? from->addrlen : sizeof u);
    if (u.sa.sa_family == AF_INET6) {
        ret->family = 6;
        ret->port = ntohs(u.in6.sin6_port);
        ret->scope = u.in6.sin6_scope_id;
        memcpy(ret->ip, &u.in6.sin6_addr, 16);
        return;
    }
    ret->family = 4;
    ret->port = ntohs(u.in.sin_port);
    memcpy(ret->ip, &u.in.sin_addr, 4);
}

void alk_qpath_set(ngtcp2_path_storage *ps, const struct alk_addr *local,
                   const struct alk_addr *remote)
{
    ps->path.local.addr = &ps->local_addrbuf.sa;
    ps->path.local.addrlen = to_sockaddr(local, &ps->local_addrbuf);
    ps->path.remote.addr = &ps->remote_addrbuf.sa;
    ps->path.remote.addrlen = to_sockaddr(remote, &ps->remote_addrbuf);
    ps->path.user_data = NULL;
}

void alk_qpath_get(const ngtcp2_path *path, struct alk_addr *ret_local, struct alk_addr *ret_remote)
{
    from_sockaddr(&path->local, ret_local);
    from_sockaddr(&path->remote, ret_remote);
}

static bool is_same_host(const struct alk_addr *a, const struct alk_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

void alk_qpath_adopt(struct alk_qconn *c, const ngtcp2_path *path)
{
    struct alk_addr local;
    struct alk_addr remote;
    alk_qpath_get(path, &local, &remote);
    if (!is_same_host(&local, &c->base.local) || !is_same_host(&remote, &c->base.remote)) {
        c->mtu = (struct alk_qmtu){.cap = 0}; /* what was learned of another path */
    }
    c->base.local = local;
    c->base.remote = remote;
    alk_addr_print(&c->base.local, true, c->base.auth.local, sizeof c->base.auth.local);
    alk_addr_print(&c->base.remote, true, c->base.auth.remote, sizeof c->base.auth.remote);
}

/* ngtcp2 1.11 counts a PATH_RESPONSE, padded to 1200 bytes, into what is in flight,
 * but keeps no timer for it. Two of them fill the smallest congestion window; if
 * their acknowledgement is lost as well, nothing is ever declared lost, and nothing
 * but acknowledgements can be sent until the connection is idle. So close to that a
 * frame goes into the same packet that does keep the timer: MAX_STREAMS, which is
 * the only one that can be made due at any time. The stream of credit it carries is
 * lent, and taken back with the next one that would be given. */
#define TIGHT ((uint64_t)8 * NGTCP2_MAX_UDP_PAYLOAD_SIZE)

void alk_qpath_challenged(struct alk_qconn *c)
{
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info(c->nc, &info);
    if (info.cwnd >= info.bytes_in_flight + TIGHT || c->streams_lent >= c->streams_base) {
        return;
    }
    c->streams_lent++;
    ngtcp2_conn_extend_max_streams_bidi(c->nc, 1);
}
