/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim/lib/link.h - QUIC machines on a network in virtual time.
 *
 * All that happens comes from the seed: loss, reordering, duplication,
 * corruption, delay and the randomness of the machines (GnuTLS and ngtcp2's
 * token helper draw their own, so the bytes differ between runs, but not what
 * the network does to packet number n).
 *
 *   world -- nodes (machine + hub + address) -- link -- nodes
 *
 * Nothing here asserts: tests do.
 */
#ifndef ALK_SIM_LINK_H
#define ALK_SIM_LINK_H

#include "core/quic/quic.h"

#define SIM_NODES_MAX   8
#define SIM_PACKETS_MAX 65536 /* on the wire at once; more are lost */
#define SIM_START       (1000 * ALK_SECOND)

/* What the link does to packets, both ways. Zero: nothing. Shares are of a million. */
struct sim_net {
    uint32_t loss, dup, reorder, corrupt;
    alk_time delay;              /* one way; 0: 1 ms */
    alk_time jitter;             /* added at random, keeping the order */
    alk_time reorder_delay;      /* of those that are reordered; 0: 3 times the delay */
    uint64_t rate;               /* bytes per second and direction; 0: no limit */
    alk_time queue;              /* longest wait for the rate; 0: 100 ms */
    size_t mtu;                  /* UDP payload that passes; 0: 1500 */
    alk_time hole_from, hole_to; /* nothing passes meanwhile */
};

struct sim_node {
    struct sim_world *world;
    struct alk_hub hub;
    struct alk_quic *q; /* NULL: down */
    struct alk_quic_options options;
    struct alk_addr addr, addr2; /* addr2: after a migration; family 0: none */
    struct alk_addr seen_as;     /* behind a NAT; family 0: not */
    struct alk_tls_loop *tls_loop;
    size_t interface;                             /* EMSGSIZE for larger datagrams; 0: none */
    uint64_t batches, segments, oversize, uneven; /* uneven: broke the rules of GSO */
    size_t largest_batch;
};

/* Looks at a packet before the link does: false drops it. It may change bytes. */
typedef bool sim_tap_fn(void *ctx, struct sim_node *from, struct sim_node *to, uint8_t *data,
                        size_t *n);

struct sim_packet {
    alk_time at;
    uint64_t order;
    struct sim_node *to;
    struct alk_addr from_addr, to_addr;
    uint8_t ecn;
    size_t n;
    uint8_t *data;
};

struct sim_world {
    const struct alk_mem *mem;
    struct alk_prng prng;
    uint64_t seed;
    alk_time now;
    struct sim_net net;
    struct sim_node nodes[SIM_NODES_MAX];
    size_t node_count;
    struct sim_packet *heap; /* by time, then order */
    size_t heap_n, heap_size;
    uint64_t next_order;
    alk_time busy_until[2];
    sim_tap_fn *tap;
    void *tap_ctx;
    uint8_t *batch;
    uint64_t sent, lost, delivered;
};

/* mem: of the machines too. */
void sim_world_init(struct sim_world *w, const struct alk_mem *mem, uint64_t seed);
void sim_world_fini(struct sim_world *w);

/* Fills hub, mem, rand and keys of the options; the caller sets the rest before
 * sim_node_start. host: the last byte of its address. */
struct sim_node *sim_node_add(struct sim_world *w, uint8_t host, uint16_t port);
ALK_NODISCARD alk_err sim_node_start(struct sim_node *node);
/* Silently, as kill -9; hub and handlers hear of it. */
void sim_node_stop(struct sim_node *node);

/* Delivers, ticks and sends until done(ctx) or the time is over. True: done. */
typedef bool sim_done_fn(void *ctx);
bool sim_run(struct sim_world *w, alk_time for_at_most, sim_done_fn *done, void *ctx);
/* Gives a datagram to the link as if `from` had sent it. */
void sim_inject(struct sim_world *w, struct sim_node *from, struct sim_node *to,
                const uint8_t *data, size_t n);
/* The same, from any address. */
void sim_inject_from(struct sim_world *w, const struct alk_addr *from, struct sim_node *to,
                     const uint8_t *data, size_t n);
/* Changes the address that others see: port only, or the address too. */
void sim_rebind(struct sim_node *node, bool new_ip);
uint64_t sim_random(struct sim_world *w, uint64_t below);

#endif
