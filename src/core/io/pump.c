/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/pump.h"

#include "base/mem.h"
#include "core/io/port.h"
#include "core/io/tcp_sock.h"

/* Rounds of deliver and flush in one turn before the sockets are read again. */
#define ROUNDS 4

alk_time alk_pump_now(struct alk_pump *pump)
{
    pump->hub.now = alk_loop_now(pump->loop);
    return pump->hub.now;
}

static bool has_work(const struct alk_pump *pump)
{
    return alk_hub_has_work(&pump->hub) || !alk_list_is_empty(&pump->tcp_dirty) ||
           !alk_list_is_empty(&pump->tcp_over);
}

static bool flush_ports(struct alk_pump *pump)
{
    bool has_more = false;
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&pump->ports); e != NULL; e = next) {
        next = alk_list_next(&pump->ports, e);
        has_more = alk_port_flush(ALK_CONTAINER(e, struct alk_port, in)) || has_more;
    }
    return has_more;
}

bool alk_pump_turn(struct alk_pump *pump)
{
    bool has_more = false;
    (void)alk_pump_now(pump);
    for (int i = 0; i < ROUNDS; i++) {
        (void)alk_hub_run(&pump->hub);
        alk_tcp_socks_flush(pump);
        has_more = flush_ports(pump);
        alk_tcp_socks_reap(pump);
        if (!has_more && !has_work(pump)) {
            return false;
        }
    }
    return true;
}

static bool on_turn(void *ctx)
{
    return alk_pump_turn(ctx);
}

static bool on_has_work(void *ctx)
{
    struct alk_pump *pump = ctx;
    if (has_work(pump)) {
        return true;
    }
    struct alk_link *e = alk_list_first(&pump->ports);
    for (; e != NULL; e = alk_list_next(&pump->ports, e)) {
        if (alk_port_has_work(ALK_CONTAINER(e, struct alk_port, in))) {
            return true;
        }
    }
    return false;
}

static void pump_free(void *extra)
{
    struct alk_pump *pump = extra;
    if (pump->dialer != NULL) {
        pump->dialer_free(pump->dialer);
    }
    ALK_ASSERT(alk_list_is_empty(&pump->ports) && alk_list_is_empty(&pump->tcp));
    alk_loop_turn_remove(pump->loop, &pump->turn);
    alk_loop_set_hub(pump->loop, NULL);
    alk_hub_fini(&pump->hub);
    alk_udp_rx_free(pump->rx);
    alk_free(pump->mem, pump);
}

alk_err alk_pump_get(struct alk_loop *loop, struct alk_pump **ret)
{
    struct alk_pump *pump = alk_pump_of(loop);
    if (pump != NULL) {
        *ret = pump;
        return ALK_OK;
    }
    const struct alk_mem *mem = alk_loop_mem(loop);
    pump = ALK_NEW(mem, struct alk_pump);
    if (pump == NULL) {
        return ALK_E_NOMEM;
    }
    if (alk_udp_rx_new(mem, &pump->rx) != ALK_OK) {
        alk_free(mem, pump);
        return ALK_E_NOMEM;
    }
    pump->mem = mem;
    pump->loop = loop;
    alk_hub_init(&pump->hub, mem, alk_loop_id(loop));
    pump->hub.loop = loop;
    pump->hub.now = alk_loop_now(loop);
    alk_list_init(&pump->ports);
    alk_list_init(&pump->tcp);
    alk_list_init(&pump->tcp_dirty);
    alk_list_init(&pump->tcp_over);
    pump->turn = (struct alk_turn){.fn = on_turn, .has_work = on_has_work, .ctx = pump};
    alk_loop_turn_add(loop, &pump->turn);
    alk_loop_set_hub(loop, &pump->hub);
    alk_loop_set_extra(loop, pump, pump_free);
    *ret = pump;
    return ALK_OK;
}

struct alk_pump *alk_pump_of(const struct alk_loop *loop)
{
    return alk_loop_extra(loop);
}

struct alk_conn *alk_conn_lookup(struct alk_loop *loop, struct alk_conn_handle handle)
{
    struct alk_hub *hub = alk_loop_hub(loop);
    return hub == NULL || handle.loop != hub->loop_id ? NULL : alk_hub_find(hub, handle.serial);
}
