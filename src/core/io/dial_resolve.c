/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/mem.h"
#include "core/io/sock.h"

#include <netdb.h>
#include <stdio.h>
#include <uv.h>

#define FOUND_MAX 32

/* A question to the resolver; outlives the dial when that is cancelled. */
struct alk_dial_lookup {
    struct alk_loop *loop;
    struct alk_dial *dial; /* NULL: nobody waits any more */
    bool is_done;          /* a literal: the answer is here already */
    uv_getaddrinfo_t request;
    struct alk_timer timer;
    struct alk_addr found[FOUND_MAX];
    size_t n;
};

size_t alk_dial_interleave(const struct alk_addr *in, size_t n, struct alk_addr *ret, size_t max)
{
    /* The resolver's first family keeps its precedence [RFC 6724]. */
    uint8_t family = n > 0 ? in[0].family : 0;
    size_t at[2] = {0, 0};
    size_t count = 0;
    for (bool is_other = false; count < max; is_other = !is_other) {
        bool has_left[2];
        for (int k = 0; k < 2; k++) {
            while (at[k] < n && (in[at[k]].family == family) != (k == 0)) {
                at[k]++;
            }
            has_left[k] = at[k] < n;
        }
        if (!has_left[0] && !has_left[1]) {
            break;
        }
        int k = has_left[is_other ? 1 : 0] ? (is_other ? 1 : 0) : (is_other ? 0 : 1);
        ret[count++] = in[at[k]++];
    }
    return count;
}

static void take_found(struct alk_dial_lookup *q, const struct addrinfo *found)
{
    for (const struct addrinfo *ai = found; ai != NULL && q->n < FOUND_MAX; ai = ai->ai_next) {
        struct sockaddr_storage sa = {0};
        memcpy(&sa, ai->ai_addr, ai->ai_addrlen < sizeof sa ? ai->ai_addrlen : sizeof sa);
        struct alk_addr a = alk_sockaddr_get(&sa);
        if (a.family != 0) {
            q->found[q->n++] = a;
        }
    }
}

static void finish(struct alk_dial_lookup *q, alk_err err)
{
    struct alk_dial *d = q->dial;
    struct alk_addr found[FOUND_MAX];
    size_t n = q->n;
    memcpy(found, q->found, sizeof found);
    alk_free(alk_loop_mem(q->loop), q);
    if (d != NULL) {
        d->lookup = NULL;
        alk_dial_resolved(d, err, found, n);
    }
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct alk_dial_lookup *q = request->data;
    alk_loop_enter(q->loop);
    take_found(q, found);
    uv_freeaddrinfo(found);
    finish(q, status == 0 && q->n > 0 ? ALK_OK : ALK_E_NOENT);
}

static void on_literal(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    finish(ctx, ALK_OK);
}

static void add_literal(struct alk_dial_lookup *q, const char *host)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) == 0) {
        take_found(q, found);
        freeaddrinfo(found);
    }
}

/* Literals, zones included, need no resolver and no thread. Nor does localhost,
 * which a bare system does not even know [RFC 6761 §6.3]. */
static bool look_up_literal(struct alk_dial_lookup *q, const char *host)
{
    if (alk_span_equal_nocase(alk_span_str(host), ALK_LIT("localhost"))) {
        add_literal(q, "::1");
        add_literal(q, "127.0.0.1");
    } else {
        add_literal(q, host);
    }
    return q->n > 0;
}

alk_err alk_dial_lookup(struct alk_dial *d)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    struct alk_dial_lookup *q = ALK_NEW(alk_loop_mem(loop), struct alk_dial_lookup);
    if (q == NULL) {
        return ALK_E_NOMEM;
    }
    q->loop = loop;
    q->dial = d;
    q->request.data = q;
    if (look_up_literal(q, d->o.host)) {
        q->is_done = true;
        q->timer = (struct alk_timer){.fn = on_literal, .ctx = q};
        alk_timer_set(loop, &q->timer, alk_loop_now(loop));
    } else {
        const struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        if (uv_getaddrinfo(alk_loop_uv(loop), &q->request, on_found, d->o.host, NULL, &hints) !=
            0) {
            alk_free(alk_loop_mem(loop), q);
            return ALK_E_INVALID;
        }
    }
    d->lookup = q;
    return ALK_OK;
}

void alk_dial_lookup_cancel(struct alk_dial *d)
{
    struct alk_dial_lookup *q = d->lookup;
    if (q == NULL) {
        return;
    }
    d->lookup = NULL;
    q->dial = NULL;
    if (q->is_done) {
        alk_timer_stop(q->loop, &q->timer);
        alk_free(alk_loop_mem(q->loop), q);
    } else {
        (void)uv_cancel((uv_req_t *)&q->request); /* on_found comes in any case */
    }
}
