/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/relay_bots.h"

#include <stdlib.h>

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct bot *b = (struct bot *)ctx;
    b->cancelled++;
    for (size_t i = 0; i < b->n; i++) {
        b->waiting[i] = b->waiting[i] == r ? b->waiting[b->n - 1] : b->waiting[i];
    }
    b->n--;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

void bot_wait(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, NULL};
    struct bot *b = (struct bot *)ctx;
    assert_true(b->n < 512);
    b->begun++;
    b->waiting[b->n++] = r;
    alk_request_on(r, &calls, b);
}

void bot_answer_all(struct bot *b)
{
    while (b->n > 0) {
        struct alk_request *r = b->waiting[--b->n];
        alk_out_i64(alk_request_out(r), b->number);
        check_err(alk_request_respond(r), ALK_OK);
    }
}

void bot_who(void *ctx, struct alk_request *r)
{
    const struct alk_identity *who = alk_request_caller(r);
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_array(out);
    if (who != NULL) {
        alk_out_span(out, alk_identity_id(who));
        for (size_t i = 0; i < alk_identity_scope_count(who); i++) {
            alk_out_span(out, alk_identity_scope(who, i));
        }
    }
    alk_out_end(out);
    check_err(alk_request_respond(r), ALK_OK);
}

static void fail_op(void *ctx, struct alk_request *r)
{
    (void)ctx;
    struct alk_span code = alk_input_text(r, "code", "INTERNAL");
    char text[65];
    assert_true(alk_span_cstr(code, text, sizeof text));
    alk_out_i64(alk_request_out(r), 7);
    alk_request_fail(r, text, "as asked");
}

/* Counts up to n as fast as it may; 0: for ever. */
struct counter {
    struct alk_request *request;
    int64_t at, n;
    unsigned cancelled;
};

static void count_on(struct counter *c)
{
    struct alk_request *r = c->request;
    while (c->n == 0 || c->at < c->n) {
        alk_out_i64(alk_request_out(r), c->at);
        c->at++;
        if (alk_request_respond(r) != ALK_OK) {
            return;
        }
    }
    c->request = NULL;
    alk_request_complete(r);
    free(c);
}

static void count_cancelled(void *ctx, struct alk_request *r)
{
    struct counter *c = (struct counter *)ctx;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    free(c);
}

static void count_writable(void *ctx, struct alk_request *r)
{
    if (alk_request_respond(r) == ALK_OK) {
        count_on((struct counter *)ctx);
    }
}

void bot_count(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {count_cancelled, count_writable};
    struct counter *c = (struct counter *)calloc(1, sizeof *c);
    (void)ctx;
    assert_non_null(c);
    c->request = r;
    c->n = alk_input_i64(r, "n", 0);
    alk_request_on(r, &calls, c);
    count_on(c);
}

static const struct alk_op_error errors[] = {{.code = "BROKEN", .summary = "it is"},
                                             {.code = NULL}};

void bot_add(struct relay_link *l, struct alk_op op, void *ctx)
{
    char why[256] = "";
    check_err(alk_ops_add(l->ops, &op, ctx, why, sizeof why), ALK_OK);
}

void bot_add_all(struct relay_link *l, struct bot *b)
{
    struct alk_op fails = BOT_OP("t/fail", ALK_OP_QUERY, fail_op);
    fails.errors = errors;
    bot_add(l, fails, NULL);
    bot_add(l, (struct alk_op)BOT_OP("t/who", ALK_OP_QUERY, bot_who), NULL);
    bot_add(l, (struct alk_op)BOT_OP("t/ask", ALK_OP_QUERY, bot_wait), b);
    bot_add(l, (struct alk_op)BOT_OP("t/do", ALK_OP_MUTATION, bot_wait), b);
    bot_add(l, (struct alk_op)BOT_OP("t/count", ALK_OP_SUBSCRIPTION, bot_count), NULL);
}

void bot_offer(struct relay_link *l, const char *want)
{
    struct peer_call c = {.ends = 0};
    check_err(alk_peer_offer(l->ends.client, "t", &peer_answers, &c, &c.call), ALK_OK);
    relay_world_run(l->w);
    assert_string_equal(c.heard, want);
}

void relay_ask(struct relay_link *l, struct peer_call *c, const char *op, const char *input)
{
    memset(c, 0, sizeof *c);
    check_err(alk_peer_call(l->ends.client,
                            &(struct alk_ask){.op = op, .input = alk_span_str(input)},
                            &peer_answers, c, &c->call),
              ALK_OK);
    relay_world_run(l->w);
}

void relay_check(struct relay_link *l, const char *op, const char *input, const char *want)
{
    struct peer_call c;
    relay_ask(l, &c, op, input);
    assert_string_equal(c.heard, want);
}

void relay_begin(struct relay_world *w, struct bot *b, unsigned side)
{
    relay_world_init(w, "{}");
    relay_connect(w, 0, 0, w->ann, (struct relay_link_options){0});
    bot_add_all(relay_connect(w, 1, side, w->worker, (struct relay_link_options){0}), b);
    bot_offer(&w->link[1], "={\"offered\":5}.");
}
