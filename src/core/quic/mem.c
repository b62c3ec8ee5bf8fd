/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/quic/internal.h"

#include "base/mem.h"

/* ngtcp2 keeps what arrives out of order, so its memory is the peer's to grow and
 * belongs into the budget. A block is preceded by its size. */
#define HEAD ((size_t)16)

static void charge(struct alk_qconn *c, size_t n)
{
    c->nc_memory += n;
    c->q->memory += n;
}

static void discharge(struct alk_qconn *c, size_t n)
{
    c->nc_memory -= n;
    c->q->memory -= n;
}

static void *finish(struct alk_qconn *c, uint8_t *block, size_t n)
{
    if (block == NULL) {
        return NULL;
    }
    memcpy(block, &n, sizeof n);
    charge(c, n);
    return block + HEAD;
}

static void *q_malloc(size_t n, void *user)
{
    struct alk_qconn *c = user;
    size_t all = 0;
    return alk_add_ok(&all, n, HEAD) ? finish(c, alk_alloc(c->q->mem, all), n) : NULL;
}

static void *q_calloc(size_t count, size_t size, void *user)
{
    struct alk_qconn *c = user;
    size_t n = 0;
    size_t all = 0;
    if (!alk_mul_ok(&n, count, size) || !alk_add_ok(&all, n, HEAD)) {
        return NULL;
    }
    return finish(c, alk_zalloc(c->q->mem, all, 1), n);
}

static void q_free(void *p, void *user)
{
    struct alk_qconn *c = user;
    if (p == NULL) {
        return;
    }
    uint8_t *block = (uint8_t *)p - HEAD;
    size_t n = 0;
    memcpy(&n, block, sizeof n);
    discharge(c, n);
    alk_free(c->q->mem, block);
}

static void *q_realloc(void *p, size_t n, void *user)
{
    struct alk_qconn *c = user;
    if (p == NULL) {
        return q_malloc(n, user);
    }
    uint8_t *block = (uint8_t *)p - HEAD;
    size_t old = 0;
    size_t all = 0;
    memcpy(&old, block, sizeof old);
    if (!alk_add_ok(&all, n, HEAD)) {
        return NULL;
    }
    uint8_t *next = alk_resize(c->q->mem, block, all);
    if (next == NULL) {
        return NULL;
    }
    discharge(c, old);
    return finish(c, next, n);
}

void alk_qmem_init(struct alk_qconn *c)
{
    c->nmem = (ngtcp2_mem){.user_data = c,
                           .malloc = q_malloc,
                           .free = q_free,
                           .calloc = q_calloc,
                           .realloc = q_realloc};
}
