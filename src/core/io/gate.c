/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/gate.h"

#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

struct address {
    uint8_t key[17];
    size_t key_len;
    size_t count;
};

struct alk_gate {
    const struct alk_mem *mem;
    pthread_mutex_t lock;
    struct alk_map addresses; /* those with connections */
    size_t count, total_max, address_max;
};

alk_err alk_gate_new(const struct alk_mem *mem, const struct alk_rand *rand, struct alk_gate **ret)
{
    uint8_t seed[16];
    struct alk_gate *gate = ALK_NEW(mem, struct alk_gate);
    if (gate == NULL) {
        return ALK_E_NOMEM;
    }
    gate->mem = mem;
    alk_rand_fill(rand, seed, sizeof seed);
    alk_map_init(&gate->addresses, mem, SIZE_MAX / 4, seed);
    (void)pthread_mutex_init(&gate->lock, NULL);
    *ret = gate;
    return ALK_OK;
}

void alk_gate_free(struct alk_gate *gate)
{
    if (gate != NULL) {
        ALK_ASSERT(gate->count == 0);
        alk_map_fini(&gate->addresses);
        (void)pthread_mutex_destroy(&gate->lock);
        alk_free(gate->mem, gate);
    }
}

void alk_gate_set(struct alk_gate *gate, size_t total, size_t per_address)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->total_max = total == 0 ? SIZE_MAX : total;
    gate->address_max = per_address == 0 ? SIZE_MAX : per_address;
    (void)pthread_mutex_unlock(&gate->lock);
}

/* NULL: no memory. */
static struct address *find_or_add(struct alk_gate *gate, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = alk_addr_limit_key(remote, key);
    struct address *a = alk_map_get(&gate->addresses, alk_span(key, n));
    if (a != NULL) {
        return a;
    }
    a = ALK_NEW(gate->mem, struct address);
    if (a != NULL) {
        memcpy(a->key, key, n);
        a->key_len = n;
        if (alk_map_put(&gate->addresses, alk_span(a->key, n), a) != ALK_OK) {
            alk_free(gate->mem, a);
            a = NULL;
        }
    }
    return a;
}

bool alk_gate_enter(struct alk_gate *gate, const struct alk_addr *remote)
{
    bool is_in = false;
    (void)pthread_mutex_lock(&gate->lock);
    if (gate->count < gate->total_max) {
        struct address *a = find_or_add(gate, remote);
        if (a != NULL && a->count < gate->address_max) {
            a->count++;
            gate->count++;
            is_in = true;
        }
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return is_in;
}

bool alk_gate_is_full(struct alk_gate *gate, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = alk_addr_limit_key(remote, key);
    (void)pthread_mutex_lock(&gate->lock);
    const struct address *a = alk_map_get(&gate->addresses, alk_span(key, n));
    bool is_full =
        gate->count >= gate->total_max || (a == NULL ? 0 : a->count) >= gate->address_max;
    (void)pthread_mutex_unlock(&gate->lock);
    return is_full;
}

void alk_gate_leave(struct alk_gate *gate, const struct alk_addr *remote)
{
    uint8_t key[17];
    size_t n = alk_addr_limit_key(remote, key);
    (void)pthread_mutex_lock(&gate->lock);
    struct address *a = alk_map_get(&gate->addresses, alk_span(key, n));
    ALK_ASSERT(a != NULL && a->count > 0 && gate->count > 0);
    gate->count--;
    if (--a->count == 0) {
        (void)alk_map_remove(&gate->addresses, alk_span(a->key, a->key_len));
        alk_free(gate->mem, a);
    }
    (void)pthread_mutex_unlock(&gate->lock);
}

size_t alk_gate_count(struct alk_gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    size_t n = gate->count;
    (void)pthread_mutex_unlock(&gate->lock);
    return n;
}
