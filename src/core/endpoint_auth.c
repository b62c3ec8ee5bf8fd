/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"
#include "core/store/auth_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- indexes -------------------------------------------------------------- */

alk_err alk_ep_index_make(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                          char **ret_message, const struct alk_auth_index **ret)
{
    char *message = NULL;
    alk_err err = alk_auth_db_build(ep->auth_db, config->auth, ep->mem, &ep->rand,
                                    ep->auth_generation + 1, &message, ret);
    if (err != ALK_OK) {
        (void)alk_ep_message_text(ret_message, err, message == NULL ? alk_err_text(err) : message);
    }
    alk_free(ep->mem, message);
    return err;
}

void alk_ep_index_publish(struct alk_endpoint *ep, const struct alk_auth_index *index)
{
    const struct alk_auth_index *old = ep->index;
    ep->index = index;
    ep->auth_generation = alk_auth_index_generation(index);
    alk_auth_index_unref(old);
    for (size_t i = 0; i < ep->worker_count; i++) {
        alk_mail_index(&ep->workers[i], index);
    }
}

static void on_adopt(void *ctx, const struct alk_auth_index *index)
{
    alk_ep_index_publish(ctx, alk_auth_index_ref(index));
}

alk_err alk_endpoint_auth_op(struct alk_endpoint *ep, const char *name, struct yyjson_val *input,
                             struct yyjson_mut_doc *doc, char *why, size_t why_size,
                             struct yyjson_mut_val **ret)
{
    struct alk_auth_ops ops = {.mem = ep->mem,
                               .rand = &ep->rand,
                               .db = ep->auth_db,
                               .auth = ep->snapshot->config->auth,
                               .generation = ep->auth_generation + 1,
                               .unix_s = alk_clock_unix(),
                               .adopt = on_adopt,
                               .ctx = ep};
    return alk_auth_ops_run(&ops, name, input, doc, why, why_size, ret);
}

/* --- failures ------------------------------------------------------------- */

bool alk_ep_is_locked_out(struct alk_endpoint *ep, const struct alk_addr *remote)
{
    struct alk_limit_key key = alk_limit_key(remote);
    return alk_auth_limit_is_over(ep->limit, &key, alk_clock_now());
}

static void log_failure(struct alk_endpoint *ep, const struct alk_conn *conn, const char *method,
                        const char *reason)
{
    struct alk_buf line;
    struct alk_auth_failure f = {.remote = conn->auth.remote,
                                 .alpn = alk_span_str(conn->auth.alpn),
                                 .method = alk_span_str(method),
                                 .reason = alk_span_str(reason)};
    alk_buf_init(&line, ep->mem, ALK_AUDIT_LINE_MAX + 1);
    if (alk_auth_failure_line(&line, &f) == ALK_OK) {
        alk_log_line(ep->log, ALK_LOG_WARN, "auth", alk_buf_cstr(&line));
    }
    alk_buf_fini(&line);
}

static void on_failed(void *ctx, struct alk_conn *conn, const char *method, const char *reason)
{
    struct alk_worker *w = ctx;
    struct alk_endpoint *ep = w->ep;
    struct alk_limit_key key = alk_limit_key(&conn->remote);
    (void)atomic_fetch_add_explicit(&ep->auth_failures, 1, memory_order_relaxed);
    log_failure(ep, conn, method, reason);
    if (alk_auth_limit_fail(ep->limit, &key, alk_clock_now())) {
        alk_conn_close(conn, ALK_CODE_AUTH, ALK_LIT("too many failures"));
    }
    const struct alk_audit_record r = {.what = alk_span_str("login"),
                                       .target = alk_span_str(method),
                                       .remote = conn->auth.remote,
                                       .alpn = alk_span_str(conn->auth.alpn),
                                       .request_id = alk_span_str(conn->auth.log_id),
                                       .reason = alk_span_str(reason)};
    alk_endpoint_audit(ep, &r);
}

/* --- audit and log -------------------------------------------------------- */

/* Bytes of audit records that wait for the end of a turn. */
#define AUDIT_HELD ((size_t)64 << 10)

/* Once when it begins to fail, once when that is over. */
static void tell_audit(struct alk_endpoint *ep, bool is_fine)
{
    if (is_fine && ep->audit_fails) {
        alk_ep_log(ep, ALK_LOG_WARN, "the audit log is written again; %llu records were lost",
                   (unsigned long long)ep->audit_lost);
    } else if (!is_fine && !ep->audit_fails) {
        alk_ep_log(ep, ALK_LOG_ERROR,
                   "the audit log cannot be written (is the disk full?): records are lost");
    }
    ep->audit_fails = !is_fine;
}

/* Under the lock, as the next two. */
static void write_held(struct alk_endpoint *ep)
{
    if (ep->audit_count > 0) {
        bool is_fine = alk_line_file_put(ep->audit, alk_buf_span(&ep->audit_text));
        tell_audit(ep, is_fine);
        ep->audit_lost += is_fine ? 0 : ep->audit_count;
    }
    ep->audit_count = 0;
    alk_buf_clear(&ep->audit_text);
    /* Last: who sees it cleared may rely on the file. */
    atomic_store_explicit(&ep->audit_waits, false, memory_order_release);
}

static inline void hold(struct alk_endpoint *ep, const struct alk_audit_record *record)
{
    struct alk_buf *b = &ep->audit_text;
    size_t before = alk_buf_len(b);

    b->mem = ep->mem;
    b->max = AUDIT_HELD + ALK_AUDIT_LINE_MAX + 1;
    alk_audit_date_set(&ep->audit_date, alk_clock_unix_ns() / ALK_MS);
    if (before > 0) {
        (void)alk_buf_put_u8(b, '\n');
    }
    if (alk_audit_line(b, ep->audit_format, ep->audit_date.text, record) == ALK_OK) {
        ep->audit_count++;
        return;
    }
    b->err = ALK_OK;
    b->end = b->at + before;
    ep->audit_lost++;
}

void alk_ep_audit_flush(struct alk_endpoint *ep)
{
    if (atomic_load_explicit(&ep->audit_waits, memory_order_acquire)) {
        (void)pthread_mutex_lock(&ep->audit_lock);
        write_held(ep);
        (void)pthread_mutex_unlock(&ep->audit_lock);
    }
}

alk_err alk_ep_audit_open(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                          char *why, size_t why_size, struct alk_line_file **ret)
{
    *ret = NULL;
    if (config->log.audit == NULL) {
        return ALK_OK;
    }
    alk_err err = alk_line_file_open(ep->mem, config->log.audit, ret);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "cannot write the audit log %s: %s", config->log.audit,
                       alk_err_text(err));
    }
    return err;
}

void alk_ep_audit_use(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                      struct alk_line_file *audit)
{
    (void)pthread_mutex_lock(&ep->audit_lock);
    struct alk_line_file *old = ep->audit;
    write_held(ep);
    ep->audit = audit;
    ep->audit_format = config->log.format == ALK_CONFIG_LOG_JSON ? ALK_AUDIT_JSON : ALK_AUDIT_TEXT;
    (void)pthread_mutex_unlock(&ep->audit_lock);
    alk_line_file_free(old);
}

void alk_endpoint_audit(struct alk_endpoint *ep, const struct alk_audit_record *record)
{
    (void)pthread_mutex_lock(&ep->audit_lock);
    if (ep->audit != NULL) {
        hold(ep, record);
        write_held(ep);
    }
    (void)pthread_mutex_unlock(&ep->audit_lock);
}

void alk_endpoint_audit_soon(struct alk_endpoint *ep, const struct alk_audit_record *record)
{
    (void)pthread_mutex_lock(&ep->audit_lock);
    if (ep->audit != NULL) {
        hold(ep, record);
        if (alk_buf_len(&ep->audit_text) > AUDIT_HELD) {
            write_held(ep);
        } else {
            atomic_store_explicit(&ep->audit_waits, true, memory_order_relaxed);
        }
    }
    (void)pthread_mutex_unlock(&ep->audit_lock);
}

static void on_audit(void *ctx, struct alk_conn *conn, const char *what, bool is_allowed)
{
    struct alk_worker *w = ctx;
    const struct alk_identity *who = conn->auth.identity;
    const struct alk_audit_record r = {
        .who = who == NULL ? alk_span(NULL, 0) : alk_identity_id(who),
        .what = alk_span_str(what),
        .remote = conn->auth.remote,
        .alpn = alk_span_str(conn->auth.alpn),
        .request_id = alk_span_str(conn->auth.log_id),
        .is_allowed = is_allowed,
    };
    alk_endpoint_audit(w->ep, &r);
}

static void on_log(void *ctx, enum alk_log_level level, struct alk_conn *conn, const char *line)
{
    struct alk_worker *w = ctx;
    alk_log_printf(w->ep->log, level, "conn", "%s %s %s: %s", conn->auth.log_id, conn->auth.alpn,
                   conn->auth.remote, line);
}

static uint64_t unix_now(void *ctx)
{
    (void)ctx;
    return alk_clock_unix();
}

void alk_ep_auth_hooks(struct alk_worker *w)
{
    alk_index_provider_init(&w->provider, unix_now, NULL);
    w->pump->hub.auth = (struct alk_auth_hooks){
        .provider = &alk_index_provider_vtable,
        .provider_ctx = &w->provider,
        .failed = on_failed,
        .audit = on_audit,
        .log = on_log,
        .ctx = w,
    };
}
