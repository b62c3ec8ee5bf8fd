/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Posts keep their order, so a post behind the mail proves that the mail was
 * opened. The way back is a wake, which cannot fail. */
#include "core/endpoint_impl.h"

#include "base/mem.h"

struct alk_barrier {
    struct alk_endpoint *ep;
    atomic_size_t missing; /* loops */
    alk_reload_fn *done;
    void *ctx;
    alk_err err;
    char *message; /* owns; may be NULL */
    struct alk_barrier *next;
};

static void finish(struct alk_barrier *b)
{
    const struct alk_mem *mem = b->ep->mem;
    b->done(b->ctx, b->err, b->message);
    alk_free(mem, b->message);
    alk_free(mem, b);
}

static void on_wake(void *arg)
{
    struct alk_endpoint *ep = arg;
    struct alk_barrier **at = &ep->barriers;
    struct alk_barrier *over = NULL;
    while (*at != NULL) {
        struct alk_barrier *b = *at;
        if (atomic_load(&b->missing) == 0) {
            *at = b->next;
            b->next = over;
            over = b;
        } else {
            at = &b->next;
        }
    }
    while (over != NULL) {
        struct alk_barrier *b = over;
        over = b->next;
        finish(b);
    }
}

static void on_heard(void *arg)
{
    struct alk_barrier *b = arg;
    struct alk_endpoint *ep = b->ep;
    if (atomic_fetch_sub(&b->missing, 1) == 1) {
        alk_wake_send(ep->barrier_wake);
    }
}

void alk_ep_barrier(struct alk_endpoint *ep, alk_err err, const char *message, alk_reload_fn *done,
                    void *ctx)
{
    if (done == NULL) {
        return;
    }
    struct alk_barrier *b = ALK_NEW(ep->mem, struct alk_barrier);
    if (b == NULL) {
        done(ctx, err, message); /* a moment early */
        return;
    }
    *b = (struct alk_barrier){.ep = ep, .done = done, .ctx = ctx, .err = err};
    b->message = message == NULL ? NULL : alk_strdup_span(ep->mem, alk_span_str(message));
    b->next = ep->barriers;
    ep->barriers = b;
    atomic_init(&b->missing, ep->worker_count);
    for (size_t i = 0; i < ep->worker_count; i++) {
        if (alk_post(ep->workers[i].loop, on_heard, b) != ALK_OK) {
            on_heard(b); /* its mail is tried again; nobody has to wait for that */
        }
    }
}

alk_err alk_ep_barrier_init(struct alk_endpoint *ep)
{
    return alk_wake_new(ep->workers[0].loop, on_wake, ep, &ep->barrier_wake);
}

void alk_ep_barrier_end(struct alk_endpoint *ep)
{
    while (ep->barriers != NULL) {
        struct alk_barrier *b = ep->barriers;
        ep->barriers = b->next;
        finish(b);
    }
}
