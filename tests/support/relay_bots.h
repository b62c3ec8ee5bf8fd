/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/relay_bots.h - workers for tests of relays: what they offer, and short ways to
 * ask for it in a relay_world. */
#ifndef ALK_TEST_RELAY_BOTS_H
#define ALK_TEST_RELAY_BOTS_H

#include "support/relay_world.h"

/* One worker's: what it was asked, and what waits for an answer. */
struct bot {
    struct alk_request *waiting[512];
    size_t n, begun, cancelled;
    int64_t number; /* says who it is */
};

#define BOT_OP(text, how, function)                                                                \
    {                                                                                              \
        .struct_size = sizeof(struct alk_op), .name = text, .summary = "", .kind = how,            \
        .flags = ALK_OP_PUBLIC, .fn = function                                                     \
    }

/* Operations; ctx of bot_wait is a struct bot. */
void bot_wait(void *ctx, struct alk_request *r);  /* until bot_answer_all */
void bot_who(void *ctx, struct alk_request *r);   /* its caller: [id, scopes...] */
void bot_count(void *ctx, struct alk_request *r); /* 0, 1, ... up to `n`; 0: for ever */
void bot_answer_all(struct bot *b);

void bot_add(struct relay_link *l, struct alk_op op, void *ctx);
/* t/fail, t/who, t/ask and t/do (bot_wait), t/count. */
void bot_add_all(struct relay_link *l, struct bot *b);
/* Offers the namespace t; want is what the node answers, as peer_call hears it. */
void bot_offer(struct relay_link *l, const char *want);

/* Asks, and runs until nothing moves. */
void relay_ask(struct relay_link *l, struct peer_call *c, const char *op, const char *input);
/* The same, and what is heard is `want`. */
void relay_check(struct relay_link *l, const char *op, const char *input, const char *want);
/* A world with ann on the first loop and one worker on the loop `side`. */
void relay_begin(struct relay_world *w, struct bot *b, unsigned side);

#endif
