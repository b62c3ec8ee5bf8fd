/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Any datagrams, from any address, at any pace, into a server's machine.
 *
 * Input: records of a flag byte, a length (two bytes) and that many bytes. Flags:
 * 1 a long header of version 1 with an 8-byte ID, padded to 1200 bytes; 2 from
 * another address; 4 a second passes; 8 a short header with an ID of this loop;
 * 16 Retry from now on; 32 refuse from now on.
 */
#include "sim/lib/apps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sim_world world;
static struct sim_server server;
static struct sim_node *node;

static void setup_once(void)
{
    if (node != NULL) {
        return;
    }
    sim_world_init(&world, NULL, 1);
    node = sim_node_add(&world, 1, 4433);
    ALK_ASSERT(sim_server_init(&server, node, NULL) == ALK_OK);
    node->options.limits.handshakes = 64;
    node->options.limits.memory = 8 << 20;
}

static size_t dress(uint8_t flags, struct alk_span raw, uint8_t *p, size_t max)
{
    size_t n = raw.n < max ? raw.n : max;
    if (n > 0) {
        memcpy(p, raw.p, n);
    }
    if ((flags & 1) != 0) {
        memset(p + n, 0, n < 1200 ? 1200 - n : 0);
        n = n < 1200 ? 1200 : n;
        p[0] = (uint8_t)(0xc0 | (p[0] & 0x3f));
        memcpy(p + 1, "\0\0\0\1", 4);
        p[5] = 8;
    } else if ((flags & 8) != 0 && n > 2) {
        p[0] = (uint8_t)(0x40 | (p[0] & 0x3f));
        p[1] = 1;
    }
    return n;
}

static void drain(void)
{
    struct alk_quic_batch b = {.buf = world.batch};
    (void)alk_hub_run(&node->hub);
    while (alk_quic_send(node->q, world.now, &b)) {
        ALK_ASSERT(b.n > 0 && b.n <= ALK_QUIC_BATCH && b.segment > 0 && b.segment <= b.n);
    }
}

static void play(struct alk_span in)
{
    static uint8_t packet[4096];
    while (in.n >= 3) {
        uint8_t flags = in.p[0];
        size_t len = (size_t)in.p[1] << 8 | in.p[2];
        in = alk_span_tail(in, 3);
        struct alk_span raw = alk_span_head(in, len);
        in = alk_span_tail(in, len);
        struct alk_addr from = {.family = 4, .ip = {10, 0, 0, 9}, .port = 1000};
        from.ip[2] = (flags & 2) != 0 ? raw.n > 0 ? raw.p[0] : 1 : 0;
        world.now += (flags & 4) != 0 ? ALK_SECOND : ALK_US;
        node->options.limits.retry_above = (flags & 16) != 0 ? ALK_QUIC_RETRY_ALWAYS : 0;
        if ((flags & 32) != 0) {
            alk_quic_set_accepting(node->q, false);
        }
        size_t n = dress(flags, raw, packet, sizeof packet);
        (void)alk_quic_owner(node->q, alk_span(packet, n));
        alk_quic_feed(node->q, &node->addr, &from, flags >> 6, alk_span(packet, n), world.now);
        if (alk_quic_deadline(node->q) <= world.now) {
            alk_quic_tick(node->q, world.now);
        }
        drain();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    setup_once();
    node->options.limits.retry_above =
        size > 0 && (data[0] & 16) != 0 ? ALK_QUIC_RETRY_ALWAYS : 0;
    ALK_ASSERT(sim_node_start(node) == ALK_OK);
    play(alk_span(data, size));
    struct alk_quic_stats stats;
    alk_quic_get_stats(node->q, &stats);
    ALK_ASSERT(stats.handshaking <= 64 && stats.memory < ((size_t)16 << 20));
    world.now += 60 * ALK_SECOND;
    alk_quic_tick(node->q, world.now);
    drain();
    world.now += 60 * ALK_SECOND;
    alk_quic_tick(node->q, world.now);
    drain();
    alk_quic_get_stats(node->q, &stats);
    ALK_ASSERT(stats.connections == 0 && stats.memory == 0);
    sim_node_stop(node);
    return 0;
}
