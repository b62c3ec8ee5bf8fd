/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/relay_world.h"

#include "alknet/conf.h"

/* --- connections ------------------------------------------------------------------- */

static bool on_turn(void *ctx)
{
    struct relay_side *s = (struct relay_side *)ctx;
    bool has_more = true;
    s->hub.now = alk_loop_now(s->loop);
    s->has_moved = false;
    for (unsigned i = 0; i < 4 && has_more; i++) {
        has_more = alk_hub_run(&s->hub);
        for (unsigned k = 0; k < RELAY_LINKS; k++) {
            if (s->w->link[k].side == s && s->w->link[k].pair != NULL) {
                has_more = alk_mem_pump(s->w->link[k].pair) || has_more;
            }
        }
        has_more = !alk_list_is_empty(&s->hub.ready) || has_more;
        s->has_moved = s->has_moved || has_more;
    }
    return has_more;
}

void relay_world_run(struct relay_world *w)
{
    for (unsigned i = 0, quiet = 0; quiet < 3; i++) {
        assert_true(i < 100000);
        quiet++;
        for (unsigned k = 0; k < RELAY_SIDES; k++) {
            (void)alk_loop_run_once(w->side[k].loop, 0);
            quiet = w->side[k].has_moved || alk_loop_timeout_ms(w->side[k].loop) == 0 ? 0 : quiet;
        }
    }
}

struct relay_link *relay_connect(struct relay_world *w, unsigned number, unsigned side,
                                 const struct alk_identity *who, struct relay_link_options o)
{
    const struct alk_ops_options ops = {.struct_size = sizeof ops, .check_outputs = true};
    const struct alk_peer_limits limits = {.requests = 4096};
    struct relay_link *l = &w->link[number];
    struct relay_side *s = &w->side[side];

    *l = (struct relay_link){.w = w, .side = s};
    check_err(alk_ops_new(&ops, &l->ops), ALK_OK);
    check_err(alk_peer_new(NULL, s->loop, w->ops, &limits, &l->ends.server), ALK_OK);
    check_err(alk_peer_new(NULL, s->loop, l->ops, &limits, &l->ends.client), ALK_OK);
    l->ends.client->node = alk_identity_ref(w->node);
    l->ends.client->believes_caller = !o.is_distrustful;
    const struct alk_mem_options options = {.client_hub = &s->hub,
                                            .server_hub = &s->hub,
                                            .streams = o.streams,
                                            .window = o.window,
                                            .client = &peer_client_end,
                                            .server = &peer_server_end,
                                            .client_state = &l->ends,
                                            .server_state = &l->ends};
    check_err(alk_mem_pair_new(&options, &l->pair), ALK_OK);
    relay_world_run(w);
    alk_mem_server(l->pair)->auth.identity = who == NULL ? NULL : alk_identity_ref(who);
    alk_peer_on_auth(l->ends.server);
    return l;
}

void relay_leave(struct relay_link *l)
{
    alk_conn_close(alk_mem_client(l->pair), 0, (struct alk_span){0});
}

void relay_world_init(struct relay_world *w, const char *rules)
{
    const struct alk_ops_options o = {.struct_size = sizeof o, .check_outputs = true};
    const struct alk_conf_row table[] = {
        {.name = "workers", .type = ALK_CONF_LIST, .sub = alk_workers_rows, .max = 9},
        {.name = NULL}};
    const struct alk_conf *conf = NULL;
    char why[256] = "";
    void *next = NULL;

    memset(w, 0, sizeof *w);
    check_err(alk_ops_new(&o, &w->ops), ALK_OK);
    for (unsigned i = 0; i < RELAY_SIDES; i++) {
        struct relay_side *s = &w->side[i];
        s->w = w;
        check_err(alk_loop_new(NULL, &s->loop), ALK_OK);
        alk_hub_init(&s->hub, NULL, 0);
        s->hub.loop = s->loop;
        s->turn = (struct alk_turn){.fn = on_turn, .ctx = s};
        alk_loop_turn_add(s->loop, &s->turn);
    }
    const struct alk_part_env env = {.ops = w->ops};
    check_err(alk_workers_part.start(&env, why, sizeof why, &w->part), ALK_OK);
    check_err(alk_conf_parse(NULL, alk_span_str(rules), "test", table, NULL, &conf), ALK_OK);
    check_err(
        alk_workers_part.prepare(w->part, alk_conf_get(conf, "workers"), why, sizeof why, &next),
        ALK_OK);
    alk_workers_part.commit(w->part, next);
    alk_conf_unref(conf);
    w->ann = ops_somebody("ann", "tools,b", NULL);
    w->worker = ops_somebody("bot", "offer:t", NULL);
    w->node = ops_somebody("the-node", "", NULL);
}

static void disconnect(struct relay_link *l, bool runs)
{
    struct alk_mem_pair *pair = l->pair;
    l->pair = NULL;
    if (pair != NULL) {
        alk_mem_pair_free(pair);
        assert_null(l->ends.server);
        if (runs) {
            relay_world_run(l->w);
        }
        alk_ops_free(l->ops);
        l->ops = NULL;
    }
}

void relay_disconnect(struct relay_link *l)
{
    disconnect(l, true);
}

static void fini(struct relay_world *w, bool runs)
{
    for (unsigned i = 0; i < RELAY_LINKS; i++) {
        disconnect(&w->link[i], runs);
    }
    if (runs) {
        relay_world_run(w);
    }
    alk_workers_part.stop(w->part);
    for (unsigned i = 0; i < RELAY_SIDES; i++) {
        alk_loop_turn_remove(w->side[i].loop, &w->side[i].turn);
        alk_hub_fini(&w->side[i].hub);
        alk_loop_free(w->side[i].loop);
    }
    alk_ops_free(w->ops);
    alk_identity_unref(w->ann);
    alk_identity_unref(w->worker);
    alk_identity_unref(w->node);
}

void relay_world_fini(struct relay_world *w)
{
    fini(w, true);
}

void relay_world_drop(struct relay_world *w)
{
    fini(w, false);
}
