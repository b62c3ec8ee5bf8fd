/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/timer.h"

#include "base/assert.h"

/* `prev` is the parent of a first child and the elder sibling of any other. */

static struct alk_timer *meld(struct alk_timer *a, struct alk_timer *b)
{
    if (a == NULL) {
        return b;
    }
    if (b == NULL) {
        return a;
    }
    if (b->at < a->at) {
        struct alk_timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next != NULL) {
        b->next->prev = b;
    }
    a->child = b;
    return a;
}

/* Melds the siblings that start at `first`: pairs from left to right, then the
 * pairs from right to left. Without recursion: a long list must not eat stack. */
static struct alk_timer *meld_siblings(struct alk_timer *first)
{
    struct alk_timer *pairs = NULL;
    while (first != NULL) {
        struct alk_timer *a = first;
        struct alk_timer *b = a->next;
        first = b == NULL ? NULL : b->next;
        a->prev = NULL;
        a->next = NULL;
        if (b != NULL) {
            b->prev = NULL;
            b->next = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }

    struct alk_timer *root = NULL;
    while (pairs != NULL) {
        struct alk_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void alk_timers_remove(struct alk_timers *h, struct alk_timer *t)
{
    if (t->at == 0) {
        return;
    }
    if (t == h->root) {
        h->root = meld_siblings(t->child);
    } else {
        ALK_ASSERT(t->prev != NULL);
        if (t->prev->child == t) {
            t->prev->child = t->next;
        } else {
            t->prev->next = t->next;
        }
        if (t->next != NULL) {
            t->next->prev = t->prev;
        }
        h->root = meld(h->root, meld_siblings(t->child));
    }
    t->at = 0;
    t->child = NULL;
    t->next = NULL;
    t->prev = NULL;
}

void alk_timers_set(struct alk_timers *h, struct alk_timer *t, alk_time at)
{
    ALK_ASSERT(at != 0 && at != ALK_NEVER);
    if (t->at == at) {
        return;
    }
    alk_timers_remove(h, t);
    t->at = at;
    h->root = meld(h->root, t);
}
