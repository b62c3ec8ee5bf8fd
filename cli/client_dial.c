/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client_dial.h"

#include "base/mem.h"
#include "core/io/loop.h"
#include "core/store/known_nodes.h"

#define PROGRESS_AFTER ALK_SECOND

/* --- progress ----------------------------------------------------------------- */

static void on_progress(struct alk_timer *timer, void *ctx)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    (void)timer;
    (void)fprintf(d->client->cli->err, "connecting to %s ...", d->client->node.host_port);
    (void)fflush(d->client->cli->err);
    d->has_progress = true;
}

static void start_progress(struct cli_dial *d)
{
    d->progress.fn = on_progress;
    d->progress.ctx = d;
    if (d->client->cli->err_is_tty && !d->has_progress) {
        alk_timer_set(d->client->loop, &d->progress,
                      alk_loop_now(d->client->loop) + PROGRESS_AFTER);
    }
}

static void stop_progress(struct cli_dial *d)
{
    alk_timer_stop(d->client->loop, &d->progress);
    if (d->has_progress) {
        (void)fprintf(d->client->cli->err, "\r\033[K");
        d->has_progress = false;
    }
}

/* --- life --------------------------------------------------------------------- */

static void dial_free(struct cli_dial *d)
{
    stop_progress(d);
    alk_list_remove(&d->in);
    alk_buf_fini(&d->statements);
    alk_free(NULL, d);
}

void cli_dials_mute(struct cli_client *c)
{
    for (struct alk_link *e = alk_list_first(&c->dials); e != NULL;
         e = alk_list_next(&c->dials, e)) {
        struct cli_dial *d = ALK_CONTAINER(e, struct cli_dial, in);
        if (d->dial != NULL) {
            alk_dial_cancel(d->dial);
            d->dial = NULL;
        }
        stop_progress(d);
        d->is_mute = true;
    }
}

void cli_dials_free(struct cli_client *c)
{
    struct alk_link *e;
    while ((e = alk_list_pop(&c->dials)) != NULL) {
        struct cli_dial *d = ALK_CONTAINER(e, struct cli_dial, in);
        alk_buf_fini(&d->statements);
        alk_free(NULL, d);
    }
}

void cli_dial_fail(struct cli_dial *d, alk_err err, const char *message)
{
    struct alk_client_calls calls = d->calls;
    void *ctx = d->ctx;
    char text[sizeof d->first_message];

    (void)snprintf(text, sizeof text, "%s", message != NULL ? message : "");
    dial_free(d);
    calls.failed(ctx, err, text);
}

/* The key that --trust accepted holds from now on. */
static void remember(struct cli_client *c)
{
    struct alk_known_node node = {.first_seen = alk_clock_unix()};
    char why[PATH_MAX + 128] = "";

    if (c->trusted[0] == '\0' || !c->has_home) {
        return;
    }
    (void)snprintf(node.host, sizeof node.host, "%s", c->node.host_port);
    (void)snprintf(node.key, sizeof node.key, "%s", c->trusted);
    if (alk_known_nodes_put(NULL, c->home.known_nodes, &node, why, sizeof why) != ALK_OK) {
        (void)fprintf(c->cli->err, "alknet: warning: the key is not remembered: %s\n", why);
    } else {
        (void)fprintf(c->cli->err, "alknet: %s has the key %s; it is remembered\n", node.host,
                      node.key);
    }
    c->trusted[0] = '\0';
}

/* --- the command's calls, passed on ------------------------------------------- */

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    if (!alk_conn_auth(conn)->is_early) { /* else it may still come to nothing */
        d->dial = NULL;
        stop_progress(d);
    }
    remember(d->client);
    d->calls.opened(d->ctx, conn);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    bool may_ask =
        err == ALK_E_KEY_CHANGED && d->client->options.pinned_key != NULL && d->first_err == ALK_OK;

    d->dial = NULL;
    stop_progress(d);
    if (may_ask) {
        d->first_err = err;
        (void)snprintf(d->first_message, sizeof d->first_message, "%s", message);
        if (cli_rotation_ask(d)) {
            return;
        }
    }
    cli_dial_fail(d, err, message);
}

static void on_stream(void *ctx, struct alk_stream *stream)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    if (d->calls.stream != NULL) {
        d->calls.stream(d->ctx, stream);
    } else {
        alk_stream_close(stream, ALK_CODE_PROTOCOL);
    }
}

static void on_datagram(void *ctx, struct alk_span data)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    if (d->calls.datagram != NULL) {
        d->calls.datagram(d->ctx, data);
    }
}

static void on_credit(void *ctx)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    if (d->calls.credit != NULL) {
        d->calls.credit(d->ctx);
    }
}

static void on_early_rejected(void *ctx)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    if (d->calls.early_rejected != NULL) {
        d->calls.early_rejected(d->ctx);
    }
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    struct alk_client_calls calls = d->calls;
    void *of = d->ctx;

    d->dial = NULL;
    if (d->is_mute) {
        return; /* cli_dials_free frees it */
    }
    dial_free(d);
    if (calls.closed != NULL) {
        calls.closed(of, why, code, reason);
    }
}

static const struct alk_client_calls passing_on = {.opened = on_opened,
                                                   .failed = on_failed,
                                                   .stream = on_stream,
                                                   .datagram = on_datagram,
                                                   .credit = on_credit,
                                                   .early_rejected = on_early_rejected,
                                                   .closed = on_closed};

alk_err cli_dial_start(struct cli_dial *d)
{
    start_progress(d);
    return alk_dial(d->client->loop, &d->client->options, &passing_on, d, &d->dial);
}

alk_err cli_client_dial(struct cli_client *c, const struct alk_client_calls *calls, void *ctx)
{
    struct cli_dial *d = ALK_NEW(NULL, struct cli_dial);
    if (d == NULL) {
        return ALK_E_NOMEM;
    }
    d->client = c;
    d->calls = *calls;
    d->ctx = ctx;
    alk_buf_init(&d->statements, NULL, (size_t)16 * 1024);
    alk_list_append(&c->dials, &d->in);
    alk_err err = cli_dial_start(d);
    if (err != ALK_OK) {
        dial_free(d);
    }
    return err;
}
