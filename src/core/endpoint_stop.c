/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 *   stop -> DRAIN to all workers --drain_timeout--> CLOSE (code 9) --1 s--> done
 *           a worker without connections is done at once
 *   all done -> the other loops end and are joined -> the first loop ends
 */
#include "core/endpoint_impl.h"

#include "base/mem.h"

static void tell_all(struct alk_endpoint *ep, unsigned flags, alk_time deadline)
{
    for (size_t i = 0; i < ep->worker_count; i++) {
        alk_mail_flags(&ep->workers[i], flags, deadline);
    }
}

static void on_drained(struct alk_timer *timer, void *ctx)
{
    struct alk_endpoint *ep = ctx;
    (void)timer;
    tell_all(ep, ALK_MAIL_DRAIN | ALK_MAIL_CLOSE, alk_loop_now(ep->workers[0].loop));
}

static void begin(struct alk_endpoint *ep)
{
    struct alk_loop *loop = ep->workers[0].loop;
    alk_time deadline = alk_loop_now(loop) + ep->snapshot->config->drain_timeout;
    ep->state = ALK_EP_STOPPING;
    alk_ep_log(ep, ALK_LOG_INFO, "stopping");
    alk_notify("STOPPING=1");
    alk_watch_file_free(ep->watch);
    ep->watch = NULL;
    alk_timer_stop(loop, &ep->cert_timer);
    tell_all(ep, ALK_MAIL_DRAIN, deadline);
    ep->stop_timer = (struct alk_timer){.fn = on_drained, .ctx = ep};
    alk_timer_set(loop, &ep->stop_timer, deadline);
}

static void on_stop(void *arg)
{
    struct alk_endpoint *ep = arg;
    unsigned wanted = atomic_load(&ep->stop_requests);
    if (ep->state == ALK_EP_RUNNING) {
        begin(ep);
        ep->stops_seen = 1;
    }
    if (wanted > 1 && ep->stops_seen < 2 && ep->state == ALK_EP_STOPPING) {
        ep->stops_seen = 2;
        alk_timer_stop(ep->workers[0].loop, &ep->stop_timer);
        tell_all(ep, ALK_MAIL_DRAIN | ALK_MAIL_CLOSE | ALK_MAIL_DROP,
                 alk_loop_now(ep->workers[0].loop));
    }
}

void alk_endpoint_stop(struct alk_endpoint *ep)
{
    (void)atomic_fetch_add(&ep->stop_requests, 1);
    if (ep->stop_wake != NULL) {
        alk_wake_send(ep->stop_wake);
    }
}

void alk_ep_worker_done(void *worker)
{
    struct alk_worker *w = worker;
    struct alk_endpoint *ep = w->ep;
    ep->workers_done++;
    if (ep->workers_done == ep->worker_count) {
        ep->state = ALK_EP_STOPPED;
        alk_loop_stop(ep->workers[0].loop);
    }
}

alk_err alk_ep_stop_init(struct alk_endpoint *ep)
{
    ALK_TRY(alk_ep_barrier_init(ep));
    return alk_wake_new(ep->workers[0].loop, on_stop, ep, &ep->stop_wake);
}

/* --- signals -------------------------------------------------------------- */

static void on_signal(void *ctx, enum alk_signal what)
{
    struct alk_endpoint *ep = ctx;
    if (what == ALK_SIGNAL_RELOAD) {
        alk_endpoint_reload(ep, NULL, NULL);
    } else {
        alk_endpoint_stop(ep);
    }
}

alk_err alk_endpoint_handle_signals(struct alk_endpoint *ep)
{
    alk_signals_ignore_pipe();
    return alk_signals_new(ep->workers[0].loop, on_signal, ep, &ep->signals);
}

/* --- the end -------------------------------------------------------------- */

void alk_ep_join(struct alk_endpoint *ep)
{
    for (size_t i = 1; i < ep->worker_count; i++) {
        struct alk_worker *w = &ep->workers[i];
        if (w->has_thread) {
            alk_loop_stop(w->loop);
            (void)pthread_join(w->thread, NULL);
            w->has_thread = false;
        }
    }
}

void alk_endpoint_run(struct alk_endpoint *ep)
{
    if (ep->state == ALK_EP_NEW) {
        return;
    }
    while (ep->state != ALK_EP_STOPPED) {
        alk_loop_run(ep->workers[0].loop);
    }
    alk_ep_join(ep);
}

static void free_workers(struct alk_endpoint *ep)
{
    /* Others' connections end on this thread now; nobody else runs any more. Last
     * to first: a group's sockets are closed from its end. */
    for (size_t i = ep->worker_count; i-- > 0;) {
        alk_worker_close(&ep->workers[i]);
    }
    alk_snapshot_unref(ep->snapshot);
    ep->snapshot = NULL;
    struct alk_ep_groups groups = {.count = ep->group_count};
    memcpy(groups.list, ep->groups, sizeof groups.list);
    ep->group_count = 0;
    alk_ep_groups_release(&groups);
    for (size_t i = 0; i < ep->worker_count; i++) {
        alk_mail_fini(&ep->workers[i].mail);
        alk_mail_init(&ep->workers[i].mail);
    }
    alk_ep_services_reap(ep);
    ep->is_loop_gone = true;
    for (size_t i = ep->worker_count; i-- > 0;) {
        alk_worker_free(&ep->workers[i]);
    }
    alk_ep_services_reap(ep);
    alk_free(ep->mem, ep->workers);
    ep->workers = NULL;
    ep->worker_count = 0;
}

void alk_ep_teardown(struct alk_endpoint *ep)
{
    alk_ep_join(ep);
    alk_ep_status_cancel(ep);
    alk_ep_barrier_end(ep);
    if (ep->worker_count > 0) {
        struct alk_loop *loop = ep->workers[0].loop;
        alk_signals_free(ep->signals);
        alk_wake_free(ep->stop_wake);
        alk_wake_free(ep->barrier_wake);
        alk_watch_file_free(ep->watch);
        if (loop != NULL) {
            alk_timer_stop(loop, &ep->stop_timer);
            alk_timer_stop(loop, &ep->mail_timer);
            alk_timer_stop(loop, &ep->cert_timer);
        }
    }
    ep->signals = NULL;
    ep->stop_wake = NULL;
    ep->barrier_wake = NULL;
    ep->watch = NULL;
    if (ep->workers != NULL) {
        free_workers(ep);
    }
    alk_spawner_free(ep->spawner);
    ep->spawner = NULL;
    alk_gate_free(ep->gate);
    ep->gate = NULL;
    alk_replay_free(ep->replay);
    ep->replay = NULL;
    alk_auth_limit_free(ep->limit);
    ep->limit = NULL;
    alk_auth_index_unref(ep->index);
    ep->index = NULL;
    alk_auth_db_close(ep->auth_db);
    ep->auth_db = NULL;
    alk_ep_audit_flush(ep);
    alk_line_file_free(ep->audit);
    ep->audit = NULL;
    alk_buf_fini(&ep->audit_text);
    alk_line_file_free(ep->keylog);
    ep->keylog = NULL;
    alk_config_reload_free(ep->config);
    ep->config = NULL;
}
