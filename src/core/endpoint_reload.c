/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A reload does everything that can fail first, beside what is in force; then it
 * swaps, which cannot fail. New listeners are bound and new services run before
 * the old ones are let go. */
#include "core/endpoint_impl.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct candidate {
    const struct alk_dynamic_config *config; /* borrows */
    struct alk_ep_groups groups;
    struct alk_line_file *audit;
    const struct alk_auth_index *index;
    struct alk_ep_certs certs;
    struct alk_ep_services services;
    struct alk_snapshot *snapshot;
};

static void candidate_fini(struct alk_endpoint *ep, struct candidate *c)
{
    alk_snapshot_unref(c->snapshot);
    alk_ep_services_release(ep, &c->services);
    alk_ep_certs_fini(ep, &c->certs);
    alk_auth_index_unref(c->index);
    alk_line_file_free(c->audit);
    alk_ep_groups_release(&c->groups);
    *c = (struct candidate){.config = NULL};
}

static alk_err candidate_make(struct alk_endpoint *ep, const struct alk_config_diff *diff,
                              struct candidate *c, char **ret_message)
{
    char why[ALK_ENDPOINT_WHY] = "";
    alk_err err = alk_ep_index_make(ep, c->config, ret_message, &c->index);
    if (err != ALK_OK) {
        return err;
    }
    err = alk_ep_audit_open(ep, c->config, why, sizeof why, &c->audit);
    if (err == ALK_OK) {
        err = alk_ep_certs_load(ep, c->config, why, sizeof why, &c->certs);
    }
    if (err == ALK_OK) {
        err = alk_ep_groups_make(ep, c->config, why, sizeof why, &c->groups);
    }
    if (err == ALK_OK) {
        err = alk_ep_services_make(ep, c->config, ep->snapshot->routes, diff, why, sizeof why,
                                   &c->services);
    }
    if (err == ALK_OK) {
        err = alk_ep_snapshot_make(ep, c->config, &c->services, &c->certs, why, sizeof why,
                                   &c->snapshot);
    }
    if (err != ALK_OK) {
        (void)alk_ep_message_text(ret_message, err, why[0] == '\0' ? alk_err_text(err) : why);
    }
    return err;
}

void alk_ep_limits_use(struct alk_endpoint *ep, const struct alk_dynamic_config *config)
{
    const struct alk_config_limits *l = &config->limits;
    alk_auth_limit_set(ep->limit, l->auth_failures, l->auth_failure_window);
    alk_gate_set(ep->gate, l->connections, l->connections_per_ip);
    if (ep->spawner != NULL) {
        alk_spawner_limit(ep->spawner, l->hosts);
    }
}

static void take_effect(struct alk_endpoint *ep, struct candidate *c)
{
    alk_log_configure(ep->log, c->config);
    alk_ep_audit_use(ep, c->config, c->audit);
    c->audit = NULL;
    alk_ep_limits_use(ep, c->config);
    alk_ep_groups_publish(ep, &c->groups);
    alk_ep_snapshot_publish(ep, c->snapshot);
    c->snapshot = NULL;
    alk_ep_index_publish(ep, c->index);
    c->index = NULL;
    alk_ep_certs_schedule(ep);
    alk_ep_services_reap(ep);
}

static alk_err read_and_prepare(struct alk_endpoint *ep, const struct alk_config_diff **ret_diff,
                                char **ret_message)
{
    struct alk_conf_errors errors = {0};
    struct alk_buf text;
    alk_buf_init(&text, ep->mem, ALK_CONF_TEXT_MAX + 1);
    alk_err err = alk_ep_read_config(ep, &text);
    if (err != ALK_OK) {
        err = alk_ep_message(ret_message, err, "cannot read %s: %s", ep->config_options.name,
                             alk_err_text(err));
    } else {
        err = alk_config_reload_prepare(ep->config, alk_buf_span(&text), &errors, ret_diff);
        if (err != ALK_OK) {
            err = alk_ep_message_text(ret_message, err,
                                      errors.text != NULL ? errors.text : alk_err_text(err));
        }
    }
    alk_conf_errors_fini(&errors);
    alk_buf_fini_secret(&text);
    return err;
}

/* ALK_OK: *ret_message may hold a note. */
static alk_err reload(struct alk_endpoint *ep, char **ret_message)
{
    const struct alk_config_diff *diff = NULL;
    struct candidate c = {.config = NULL};
    struct alk_buf note;
    ALK_TRY(read_and_prepare(ep, &diff, ret_message));
    c.config = alk_config_reload_next(ep->config);
    alk_err err = candidate_make(ep, diff, &c, ret_message);
    if (err != ALK_OK) {
        candidate_fini(ep, &c);
        alk_config_reload_abort(ep->config);
        return err;
    }
    alk_buf_init(&note, ep->mem, ALK_ENDPOINT_WHY);
    (void)alk_config_diff_note(diff, &note);
    if (alk_buf_len(&note) > 0) {
        (void)alk_ep_message_text(ret_message, ALK_OK, alk_buf_cstr(&note));
    }
    alk_buf_fini(&note);
    take_effect(ep, &c);
    alk_config_reload_commit(ep->config);
    candidate_fini(ep, &c);
    return ALK_OK;
}

/* Each line of a message as a line of the log. */
static void log_lines(struct alk_endpoint *ep, enum alk_log_level level, const char *text)
{
    struct alk_span rest = alk_span_str(text);
    while (rest.n > 0) {
        struct alk_span line = alk_span_cut(&rest, '\n');
        alk_ep_log(ep, level, ALK_SPAN_FMT, ALK_SPAN_ARG(line));
    }
}

static void tell(struct alk_endpoint *ep, alk_err err, const char *message)
{
    const struct alk_audit_record r = {
        .what = ALK_LIT("reload"), .is_allowed = err == ALK_OK, .reason = alk_span_str(message)};
    if (err == ALK_OK) {
        ep->reloads++;
        alk_ep_log(ep, ALK_LOG_INFO, "configuration %llu is in force%s%s",
                   (unsigned long long)ep->snapshot->config->generation,
                   message == NULL ? "" : "; ", message == NULL ? "" : message);
    } else {
        ep->reloads_failed++;
        alk_ep_log(ep, ALK_LOG_ERROR, "the configuration is not changed:");
        log_lines(ep, ALK_LOG_ERROR, message == NULL ? alk_err_text(err) : message);
    }
    alk_endpoint_audit(ep, &r);
}

void alk_endpoint_reload(struct alk_endpoint *ep, alk_reload_fn *done, void *ctx)
{
    char *message = NULL;
    if (ep->state != ALK_EP_RUNNING) {
        if (done != NULL) {
            done(ctx, ALK_E_STATE, "the node is not running");
        }
        return;
    }
    alk_notify_reloading();
    alk_err err = reload(ep, &message);
    tell(ep, err, message);
    alk_notify("READY=1");
    if (err == ALK_OK) {
        alk_err watched = alk_ep_watch(ep);
        (void)watched; /* told in the log; a reload by hand still works */
    }
    alk_ep_barrier(ep, err, message, done, ctx);
    alk_ep_free_message(message);
}

/* --- the watched file ----------------------------------------------------- */

static void on_changed(void *ctx)
{
    struct alk_endpoint *ep = ctx;
    alk_ep_log(ep, ALK_LOG_INFO, "%s has changed", ep->config_file);
    alk_endpoint_reload(ep, NULL, NULL);
}

alk_err alk_ep_watch(struct alk_endpoint *ep)
{
    bool is_wanted = ep->config_file != NULL && ep->watch_option && ep->snapshot->config->watch;
    if (is_wanted == (ep->watch != NULL)) {
        return ALK_OK;
    }
    if (!is_wanted) {
        alk_watch_file_free(ep->watch);
        ep->watch = NULL;
        return ALK_OK;
    }
    alk_err err =
        alk_watch_file_new(ep->workers[0].loop, ep->config_file, on_changed, ep, &ep->watch);
    if (err != ALK_OK) {
        alk_ep_log(ep, ALK_LOG_WARN, "%s is not watched for changes: %s", ep->config_file,
                   alk_err_text(err));
    }
    return ALK_OK;
}
