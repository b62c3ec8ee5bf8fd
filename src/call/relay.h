/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/relay.h - a request of one connection, carried to a worker on another, which
 * may belong to another loop, and its answers back.
 *
 *     loop A: requester              loop B: worker
 *     alk_request  --ask, credit, cancel-->  alk_call
 *                  <--answers, end---------
 *
 * Each side owns what belongs to its loop; the relay itself is counted, one reference
 * per side and one per post on its way. Answers in flight are bounded by the credit
 * that A gives. Orders (credit, cancel) are counters in the relay, and one post in its
 * own memory says to look at them: they need no memory and are never lost. Nor is an
 * answer: one that finds no memory ends the request with EXHAUSTED. On one loop the same
 * functions are called without a post.
 */
#ifndef ALK_CALL_RELAY_H
#define ALK_CALL_RELAY_H

#include "call/peer.h"

#include <stdatomic.h>

/* What a worker offers on one connection: counted; `peer` and `ops` belong to its loop. */
struct alk_offers {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_ops *registry;
    struct alk_peer *peer; /* NULL: the worker has gone */
    struct alk_list ops;
    size_t count;
    struct workers *workers; /* whose rules hold; as long as the connection is open */
    struct alk_list grants;  /* offer.c */
};
struct alk_offers *alk_offers_ref(struct alk_offers *offers);
void alk_offers_unref(struct alk_offers *offers);

/* One operation of it: the ctx of the registry's entry. */
struct alk_offer_op {
    struct alk_link in;        /* offers->ops; the worker's loop */
    struct alk_offers *offers; /* a reference */
    struct alk_op_provider *provider;
    const struct alk_offer_grant
        *grant; /* of offers->grants; the worker's loop, while it is in `ops` */
};

/* An alk_op_fn whose ctx is a struct alk_offer_op. */
void alk_relay_start(void *ctx, struct alk_request *request);

#endif
