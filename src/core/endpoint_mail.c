/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

/* When a worker's queue of posts is full, it is tried again this much later. */
#define RETRY (10 * ALK_MS)

void alk_mail_init(struct alk_mail *m)
{
    *m = (struct alk_mail){0};
    (void)pthread_mutex_init(&m->lock, NULL);
}

static void drop_groups(struct alk_group **groups, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        alk_group_unref(groups[i]);
    }
}

void alk_mail_fini(struct alk_mail *m)
{
    alk_snapshot_unref(m->snapshot);
    alk_auth_index_unref(m->index);
    drop_groups(m->groups, m->group_count);
    (void)pthread_mutex_destroy(&m->lock);
}

static void on_mail(void *worker)
{
    alk_mail_open(worker);
}

static void on_retry(struct alk_timer *timer, void *ctx)
{
    struct alk_endpoint *ep = ctx;
    for (size_t i = 0; i < ep->worker_count; i++) {
        if (alk_post(ep->workers[i].loop, on_mail, &ep->workers[i]) != ALK_OK) {
            alk_timer_set(ep->workers[0].loop, timer, alk_loop_now(ep->workers[0].loop) + RETRY);
        }
    }
}

/* An empty mailbox is harmless, so it may be announced twice. */
static void announce(struct alk_worker *w)
{
    struct alk_endpoint *ep = w->ep;
    if (alk_post(w->loop, on_mail, w) != ALK_OK) {
        ep->mail_timer.fn = on_retry;
        ep->mail_timer.ctx = ep;
        alk_timer_set(ep->workers[0].loop, &ep->mail_timer,
                      alk_loop_now(ep->workers[0].loop) + RETRY);
    }
}

void alk_mail_snapshot(struct alk_worker *w, struct alk_snapshot *s)
{
    (void)pthread_mutex_lock(&w->mail.lock);
    struct alk_snapshot *old = w->mail.snapshot;
    w->mail.snapshot = alk_snapshot_ref(s);
    (void)pthread_mutex_unlock(&w->mail.lock);
    alk_snapshot_unref(old);
    announce(w);
}

void alk_mail_index(struct alk_worker *w, const struct alk_auth_index *i)
{
    (void)pthread_mutex_lock(&w->mail.lock);
    const struct alk_auth_index *old = w->mail.index;
    w->mail.index = alk_auth_index_ref(i);
    (void)pthread_mutex_unlock(&w->mail.lock);
    alk_auth_index_unref(old);
    announce(w);
}

void alk_mail_groups(struct alk_worker *w, struct alk_group *const *groups, size_t n)
{
    struct alk_mail *m = &w->mail;
    struct alk_group *old[sizeof m->groups / sizeof m->groups[0]];
    (void)pthread_mutex_lock(&m->lock);
    size_t old_n = m->group_count;
    memcpy(old, m->groups, old_n * sizeof old[0]);
    for (size_t i = 0; i < n; i++) {
        m->groups[i] = alk_group_ref(groups[i]);
    }
    m->group_count = n;
    m->has_groups = true;
    (void)pthread_mutex_unlock(&m->lock);
    drop_groups(old, old_n);
    announce(w);
}

void alk_mail_flags(struct alk_worker *w, unsigned flags, alk_time deadline)
{
    (void)pthread_mutex_lock(&w->mail.lock);
    w->mail.flags |= flags;
    w->mail.drain_deadline = deadline;
    (void)pthread_mutex_unlock(&w->mail.lock);
    announce(w);
}

void alk_mail_open(struct alk_worker *w)
{
    struct alk_mail *m = &w->mail;
    struct alk_group *groups[sizeof m->groups / sizeof m->groups[0]];
    (void)pthread_mutex_lock(&m->lock);
    struct alk_snapshot *snapshot = m->snapshot;
    const struct alk_auth_index *index = m->index;
    size_t n = m->group_count;
    bool has_groups = m->has_groups;
    unsigned flags = m->flags;
    alk_time deadline = m->drain_deadline;
    memcpy(groups, m->groups, n * sizeof groups[0]);
    m->snapshot = NULL;
    m->index = NULL;
    m->group_count = 0;
    m->has_groups = false;
    m->flags = 0;
    (void)pthread_mutex_unlock(&m->lock);

    if (index != NULL) {
        alk_index_provider_set(&w->provider, index);
        alk_auth_index_unref(index);
    }
    if (snapshot != NULL) {
        alk_worker_use_snapshot(w, snapshot);
    }
    if (has_groups) {
        alk_worker_use_groups(w, groups, n);
    }
    if (index != NULL) {
        alk_hub_auth_changed(&w->pump->hub);
    }
    if (flags != 0) {
        alk_worker_use_mode(w, flags, deadline);
    }
    drop_groups(groups, n);
}
