/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"

void alk_qcid_make(struct alk_quic *q, ngtcp2_cid *ret)
{
    ret->datalen = ALK_QUIC_CID_LEN;
    alk_rand_fill(&q->o.rand, ret->data, ALK_QUIC_CID_LEN);
    ret->data[0] = q->o.loop_id;
}

void alk_qcid_token(const struct alk_quic *q, const uint8_t *cid, size_t n,
                    uint8_t ret[static NGTCP2_STATELESS_RESET_TOKENLEN])
{
    ngtcp2_cid id;
    ngtcp2_cid_init(&id, cid, n);
    if (ngtcp2_crypto_generate_stateless_reset_token(ret, q->o.reset_key, sizeof q->o.reset_key,
                                                     &id) != 0) {
        /* Only without memory: a token that nobody can guess, nor we repeat. */
        alk_rand_fill(&q->o.rand, ret, NGTCP2_STATELESS_RESET_TOKENLEN);
    }
}

static alk_err add(struct alk_map *map, struct alk_qconn *c, struct alk_qcid **list,
                   const uint8_t *data, size_t n)
{
    ALK_ASSERT(n <= NGTCP2_MAX_CIDLEN);
    struct alk_qcid *id = ALK_NEW(c->q->mem, struct alk_qcid);
    if (id == NULL) {
        return ALK_E_NOMEM;
    }
    id->conn = c;
    id->n = (uint8_t)n;
    memcpy(id->data, data, n);
    alk_err err = alk_map_put(map, alk_span(id->data, n), id);
    if (err != ALK_OK) {
        alk_free(c->q->mem, id);
        return err;
    }
    id->next = *list;
    *list = id;
    return ALK_OK;
}

static void remove_one(struct alk_map *map, struct alk_qconn *c, struct alk_qcid **list,
                       const uint8_t *data, size_t n)
{
    /* At most a dozen per connection. */
    for (struct alk_qcid **at = list; *at != NULL; at = &(*at)->next) {
        struct alk_qcid *id = *at;
        if (id->n == n && memcmp(id->data, data, n) == 0) {
            *at = id->next;
            (void)alk_map_remove(map, alk_span(id->data, n));
            alk_free(c->q->mem, id);
            return;
        }
    }
}

static void clear(struct alk_map *map, struct alk_qconn *c, struct alk_qcid **list)
{
    while (*list != NULL) {
        struct alk_qcid *id = *list;
        *list = id->next;
        (void)alk_map_remove(map, alk_span(id->data, id->n));
        alk_free(c->q->mem, id);
    }
}

alk_err alk_qcids_add(struct alk_qconn *c, const uint8_t *data, size_t n)
{
    return add(&c->q->cids, c, &c->cids, data, n);
}

void alk_qcids_remove(struct alk_qconn *c, const uint8_t *data, size_t n)
{
    remove_one(&c->q->cids, c, &c->cids, data, n);
}

alk_err alk_qtokens_add(struct alk_qconn *c, const uint8_t *data)
{
    return add(&c->q->tokens, c, &c->tokens, data, NGTCP2_STATELESS_RESET_TOKENLEN);
}

void alk_qtokens_remove(struct alk_qconn *c, const uint8_t *data)
{
    remove_one(&c->q->tokens, c, &c->tokens, data, NGTCP2_STATELESS_RESET_TOKENLEN);
}

void alk_qcids_clear(struct alk_qconn *c)
{
    clear(&c->q->cids, c, &c->cids);
}

void alk_qtokens_clear(struct alk_qconn *c)
{
    clear(&c->q->tokens, c, &c->tokens);
}

struct alk_qconn *alk_qcids_find(const struct alk_quic *q, const uint8_t *data, size_t n)
{
    struct alk_qcid *id = alk_map_get(&q->cids, alk_span(data, n));
    return id == NULL ? NULL : id->conn;
}

/* The map compares a keyed hash first, so that its time tells nothing of how much
 * of a token was guessed [RFC 9000 §10.3.1]. */
struct alk_qconn *alk_qtokens_find(const struct alk_quic *q, const uint8_t *data)
{
    struct alk_qcid *id = alk_map_get(&q->tokens, alk_span(data, NGTCP2_STATELESS_RESET_TOKENLEN));
    return id == NULL ? NULL : id->conn;
}

static struct alk_qhost *find_host(const struct alk_quic *q, const struct alk_addr *remote,
                                   uint8_t key[static 17], size_t *ret_n)
{
    *ret_n = alk_addr_limit_key(remote, key);
    return alk_map_get(&q->hosts, alk_span(key, *ret_n));
}

bool alk_qhost_is_full(const struct alk_quic *q, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = 0;
    const struct alk_qhost *h = find_host(q, remote, key, &n);
    return h != NULL && h->count >= q->limits.connections_per_ip;
}

bool alk_qhost_wants_proof(const struct alk_quic *q, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = 0;
    const struct alk_qhost *h = find_host(q, remote, key, &n);
    size_t unproved = h == NULL ? 0 : h->unproved;
    return unproved >= q->limits.connections_per_ip / 2;
}

static struct alk_qhost *find_or_add_host(struct alk_quic *q, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = 0;
    struct alk_qhost *h = find_host(q, remote, key, &n);
    if (h != NULL) {
        return h;
    }
    h = ALK_NEW(q->mem, struct alk_qhost);
    if (h == NULL) {
        return NULL;
    }
    h->n = (uint8_t)n;
    memcpy(h->key, key, n);
    if (alk_map_put(&q->hosts, alk_span(h->key, n), h) != ALK_OK) {
        alk_free(q->mem, h);
        return NULL;
    }
    return h;
}

/* A place of its address, here and in the gate; leave gives both back. */
static alk_err take_place(struct alk_qconn *c, const struct alk_addr *remote)
{
    struct alk_quic *q = c->q;
    if (c->host->count >= q->limits.connections_per_ip) {
        return ALK_E_LIMIT;
    }
    if (q->o.enter != NULL) {
        if (!q->o.enter(q->o.gate_ctx, remote)) {
            return ALK_E_LIMIT;
        }
        c->entered = *remote;
    }
    c->host->count++;
    c->has_place = true;
    return ALK_OK;
}

alk_err alk_qhost_enter(struct alk_qconn *c, const struct alk_addr *remote, bool is_proved)
{
    c->host = find_or_add_host(c->q, remote);
    if (c->host == NULL) {
        return ALK_E_NOMEM;
    }
    if (is_proved) {
        return take_place(c, remote);
    }
    c->host->unproved++;
    c->is_unproved = true;
    return ALK_OK;
}

alk_err alk_qhost_prove(struct alk_qconn *c)
{
    if (!c->is_unproved) {
        return ALK_OK;
    }
    c->is_unproved = false;
    c->host->unproved--;
    return take_place(c, &c->base.remote);
}

void alk_qhost_leave(struct alk_qconn *c)
{
    struct alk_qhost *h = c->host;
    c->host = NULL;
    if (c->entered.family != 0) {
        c->q->o.leave(c->q->o.gate_ctx, &c->entered);
        c->entered.family = 0;
    }
    if (h == NULL) {
        return;
    }
    h->count -= c->has_place ? 1 : 0;
    h->unproved -= c->is_unproved ? 1 : 0;
    c->has_place = false;
    c->is_unproved = false;
    if (h->count == 0 && h->unproved == 0) {
        (void)alk_map_remove(&c->q->hosts, alk_span(h->key, h->n));
        alk_free(c->q->mem, h);
    }
}
