/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/peer_world.h"

#include <stdio.h>

void peer_world_run(struct peer_world *w)
{
    bool moved = true;
    for (unsigned i = 0; i < 100000 && moved; i++) {
        w->hub.now = alk_loop_now(w->node.loop);
        (void)alk_loop_run_once(w->node.loop, 0);
        moved = alk_hub_run(&w->hub);
        moved = alk_mem_pump(w->pair) || moved;
        moved = !alk_list_is_empty(&w->hub.ready) || moved;
        if (!moved) {
            (void)alk_loop_run_once(w->node.loop, 0);
            moved = alk_mem_pump(w->pair) || !alk_list_is_empty(&w->hub.ready);
        }
    }
    assert_false(moved); /* it comes to rest */
}

void peer_world_init(struct peer_world *w, const struct peer_world_options *o)
{
    const struct alk_ops_options ops = {.struct_size = sizeof ops, .check_outputs = true};
    struct alk_auth_context seen = {.struct_size = sizeof seen};
    const struct alk_peer_limits limits = {.requests = o->requests};

    memset(w, 0, sizeof *w);
    ops_world_init(&w->node, NULL);
    w->worker.loop = w->node.loop;
    check_err(alk_ops_new(&ops, &w->worker.ops), ALK_OK);
    check_err(alk_ops_add_standard(w->node.ops), ALK_OK);
    alk_hub_init(&w->hub, NULL, 0);
    w->hub.loop = w->node.loop;
    w->caller = o->caller;
    check_err(alk_peer_new(NULL, w->node.loop, w->node.ops, &limits, &w->ends.server), ALK_OK);
    check_err(alk_peer_new(NULL, w->node.loop, w->worker.ops, &limits, &w->ends.client), ALK_OK);
    w->ends.client->node = o->node == NULL ? NULL : alk_identity_ref(o->node);
    w->ends.client->believes_caller = o->believes_caller;
    const struct alk_mem_options options = {.client_hub = &w->hub,
                                            .server_hub = &w->hub,
                                            .window = o->window,
                                            .streams = o->streams,
                                            .server_auth = &seen,
                                            .client = &peer_client_end,
                                            .server = &peer_server_end,
                                            .client_state = &w->ends,
                                            .server_state = &w->ends};
    check_err(alk_mem_pair_new(&options, &w->pair), ALK_OK);
    peer_world_run(w);
    /* As if the provider had known its key. */
    struct alk_conn *conn = alk_mem_server(w->pair);
    conn->auth.identity = o->caller == NULL ? NULL : alk_identity_ref(o->caller);
    alk_peer_on_auth(w->ends.server);
}

void peer_world_fini(struct peer_world *w)
{
    alk_mem_pair_free(w->pair);
    assert_null(w->ends.server);
    assert_null(w->ends.client);
    (void)alk_loop_run_once(w->node.loop, 0);
    alk_hub_fini(&w->hub);
    alk_ops_free(w->worker.ops);
    ops_world_fini(&w->node);
}

/* --- calls ---------------------------------------------------------------------- */

static void say(struct peer_call *c, const char *mark, struct alk_span text)
{
    size_t used = strlen(c->heard);
    (void)snprintf(c->heard + used, sizeof c->heard - used, "%s%.*s", mark, (int)text.n,
                   text.n == 0 ? "" : (const char *)text.p);
}

static void on_responded(void *ctx, struct alk_call *call, struct alk_span output)
{
    struct peer_call *c = (struct peer_call *)ctx;
    (void)call;
    assert_int_equal(c->ends, 0);
    c->answers++;
    if (strlen(c->heard) < sizeof c->heard / 2) {
        say(c, "=", output);
    }
}

static void on_ended(void *ctx, struct alk_call *call, const char *code, struct alk_span message,
                     bool is_retryable, struct alk_span details)
{
    struct peer_call *c = (struct peer_call *)ctx;
    (void)call;
    (void)message;
    (void)is_retryable;
    (void)details;
    c->ends++;
    c->call = NULL;
    assert_int_equal(c->ends, 1);
    say(c, code == NULL ? "." : "!", alk_span_str(code == NULL ? "" : code));
}

const struct alk_answers peer_answers = {.responded = on_responded, .ended = on_ended};

void peer_start(struct peer_world *w, struct alk_peer *peer, struct peer_call *c,
                const struct alk_ask *ask)
{
    (void)w;
    memset(c, 0, sizeof *c);
    check_err(alk_peer_call(peer, ask, &peer_answers, c, &c->call), ALK_OK);
}

void peer_check_at(struct peer_world *w, const char *op, const char *input, const char *want,
                   const char *file, int line)
{
    struct peer_call c;
    peer_start(w, w->ends.client, &c, &(struct alk_ask){.op = op, .input = alk_span_str(input)});
    peer_world_run(w);
    if (strcmp(c.heard, want) != 0) {
        print_error("%s:%d: heard %s, not %s\n", file, line, c.heard, want);
        fail();
    }
}
