/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/map.h"

#include "base/mem.h"

/* First allocation, in slots; sizes are powers of two. */
enum { SIZE_MIN = 16 };

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static uint64_t load_le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

/* The last n bytes of a text, fewer than eight. An empty one may have no address. Reads
 * that overlap put the same bytes to the same place. */
static uint64_t load_tail(struct alk_span s, size_t n)
{
    if (n == 0) {
        return 0;
    }
    const uint8_t *p = s.p + (s.n - n);
    if (s.n >= 8) {
        return load_le64(p + n - 8) >> (64 - 8 * n);
    }
    if (n >= 4) {
        return load_le32(p) | load_le32(p + n - 4) << (8 * (n - 4));
    }
    return p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
}

static uint64_t rotl(uint64_t v, unsigned n)
{
    return (v << n) | (v >> (64 - n));
}

/* Called in three places, and what every lookup waits for. */
__attribute__((always_inline)) static inline void sip_round(uint64_t v[static 4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

uint64_t alk_siphash(const uint64_t seed[static 2], struct alk_span s)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261),
                     seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t whole = s.n - s.n % 8;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t m = load_le64(s.p + i);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)(s.n & 0xff) << 56 | load_tail(s, s.n - whole);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void alk_map_init(struct alk_map *m, const struct alk_mem *mem, size_t max,
                  const uint8_t seed[static 16])
{
    *m = (struct alk_map){.mem = mem, .max = max, .seed = {load_le64(seed), load_le64(seed + 8)}};
}

void alk_map_fini(struct alk_map *m)
{
    alk_free(m->mem, m->slots);
    m->slots = NULL;
    m->n = 0;
    m->size = 0;
}

/* The slot of the key, or the empty slot where it would go. The table is never
 * full, so the walk ends. */
static size_t find(const struct alk_map *m, struct alk_span key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->size - 1);
    while (m->slots[i].value != NULL &&
           (m->slots[i].hash != hash || !alk_span_equal(m->slots[i].key, key))) {
        i = (i + 1) & (m->size - 1);
    }
    return i;
}

void *alk_map_get(const struct alk_map *m, struct alk_span key)
{
    if (m->n == 0) {
        return NULL;
    }
    return m->slots[find(m, key, alk_siphash(m->seed, key))].value;
}

static alk_err grow(struct alk_map *m)
{
    size_t size = m->size == 0 ? SIZE_MIN : m->size;
    if (m->size > 0 && !alk_mul_ok(&size, m->size, 2)) {
        return ALK_E_NOMEM;
    }
    struct alk_map_entry *slots = alk_zalloc(m->mem, size, sizeof(*slots));
    if (slots == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t k = 0; k < m->size; k++) {
        if (m->slots[k].value != NULL) {
            size_t i = (size_t)m->slots[k].hash & (size - 1);
            while (slots[i].value != NULL) {
                i = (i + 1) & (size - 1);
            }
            slots[i] = m->slots[k];
        }
    }
    alk_free(m->mem, m->slots);
    m->slots = slots;
    m->size = size;
    return ALK_OK;
}

alk_err alk_map_put_hashed(struct alk_map *m, struct alk_span key, uint64_t hash, void *value)
{
    ALK_ASSERT(value != NULL);
    size_t at = m->size > 0 ? find(m, key, hash) : 0;
    if (m->size > 0 && m->slots[at].value != NULL) {
        return ALK_E_EXISTS;
    }
    if (m->n >= m->max) {
        return ALK_E_LIMIT;
    }
    if (m->n >= m->size / 4 * 3) {
        ALK_TRY(grow(m));
        at = find(m, key, hash);
    }
    m->slots[at] = (struct alk_map_entry){key, value, hash};
    m->n++;
    return ALK_OK;
}

alk_err alk_map_put(struct alk_map *m, struct alk_span key, void *value)
{
    return alk_map_put_hashed(m, key, alk_siphash(m->seed, key), value);
}

void *alk_map_remove(struct alk_map *m, struct alk_span key)
{
    return m->n == 0 ? NULL : alk_map_remove_hashed(m, key, alk_siphash(m->seed, key));
}

void *alk_map_remove_hashed(struct alk_map *m, struct alk_span key, uint64_t hash)
{
    if (m->n == 0) {
        return NULL;
    }
    size_t hole = find(m, key, hash);
    void *value = m->slots[hole].value;
    if (value == NULL) {
        return NULL;
    }
    /* Close the gap: move back every entry whose walk from its home slot would
     * meet the hole before itself. */
    size_t mask = m->size - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].value != NULL; i = (i + 1) & mask) {
        size_t home = (size_t)m->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct alk_map_entry){{NULL, 0}, NULL, 0};
    m->n--;
    return value;
}

void *alk_map_next(const struct alk_map *m, size_t *at)
{
    while (*at < m->size) {
        void *value = m->slots[*at].value;
        (*at)++;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
