/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/dial.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/store/file.h"
#include "core/tls/key.h"

#define PEM_MAX ((size_t)1 << 20)

/* --- options -------------------------------------------------------------- */

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

static const char *copy_text(char **at, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    size_t n = strlen(text) + 1;
    char *copy = *at;
    memcpy(copy, text, n);
    *at += n;
    return copy;
}

/* All strings in one block that the dial owns. */
static alk_err copy_options(struct alk_dial *d, const struct alk_dial_options *o)
{
    size_t n = text_size(o->host) + text_size(o->ca_file) + text_size(o->sni) +
               text_size(o->cert_file) + text_size(o->cert_key_file) + text_size(o->qlog_dir) +
               text_size(o->keylog_file) + text_size(o->bind_address);
    size_t count = 0;
    for (; o->alpns[count] != NULL; count++) {
        if (count == ALK_DIAL_ALPNS || strlen(o->alpns[count]) > ALK_ALPN_MAX ||
            o->alpns[count][0] == '\0') {
            return ALK_E_INVALID;
        }
        n += text_size(o->alpns[count]);
    }
    if (count == 0) {
        return ALK_E_INVALID;
    }
    d->text = alk_alloc(d->dialer->pump->mem, n);
    if (d->text == NULL) {
        return ALK_E_NOMEM;
    }
    char *at = d->text;
    d->o.host = copy_text(&at, o->host);
    d->o.ca_file = copy_text(&at, o->ca_file);
    d->o.sni = copy_text(&at, o->sni);
    d->o.cert_file = copy_text(&at, o->cert_file);
    d->o.cert_key_file = copy_text(&at, o->cert_key_file);
    d->o.qlog_dir = copy_text(&at, o->qlog_dir);
    d->o.keylog_file = copy_text(&at, o->keylog_file);
    d->o.bind_address = copy_text(&at, o->bind_address);
    for (size_t i = 0; i < count; i++) {
        d->alpns[i] = copy_text(&at, o->alpns[i]);
    }
    d->o.alpns = d->alpns;
    return ALK_OK;
}

static void copy_pins(struct alk_dial *d, const struct alk_dial_options *o)
{
    if (o->pinned_key != NULL) {
        memcpy(d->pinned_key, o->pinned_key, sizeof d->pinned_key);
        d->o.pinned_key = d->pinned_key;
    }
    if (o->pinned_cert != NULL) {
        memcpy(d->pinned_cert, o->pinned_cert, sizeof d->pinned_cert);
        d->o.pinned_cert = d->pinned_cert;
    }
}

static void fill_defaults(struct alk_dial_options *o)
{
    o->port = o->port == 0 ? ALK_DIAL_PORT : o->port;
    o->connect_timeout = o->connect_timeout == 0 ? ALK_DIAL_TIMEOUT : o->connect_timeout;
    if ((o->transports & (ALK_TRANSPORT_QUIC | ALK_TRANSPORT_TLS)) == 0) {
        o->transports = ALK_TRANSPORT_QUIC | ALK_TRANSPORT_TLS;
    }
}

/* --- credentials ---------------------------------------------------------- */

/* Never ALK_E_NOENT: of a dial that is a name without address. */
static alk_err file_failed(struct alk_dial *d, const char *what, const char *path, alk_err err)
{
    (void)snprintf(d->why, sizeof d->why, "cannot %s %s: %s", what, path, alk_err_text(err));
    return ALK_E_IO;
}

static alk_err read_pem(struct alk_dial *d, const char *path, bool is_private, struct alk_buf *ret)
{
    alk_buf_init(ret, d->dialer->pump->mem, PEM_MAX);
    if (path == NULL) {
        return ALK_OK;
    }
    alk_err err = is_private ? alk_file_read_private(path, PEM_MAX, ret, NULL, 0)
                             : alk_file_read(path, PEM_MAX, ret);
    return err == ALK_OK ? ALK_OK : file_failed(d, "read", path, err);
}

static alk_err make_creds(struct alk_dial *d)
{
    struct alk_buf ca;
    struct alk_buf chain;
    struct alk_buf key;
    bool is_by_rule = d->o.pinned_key == NULL && d->o.pinned_cert == NULL && !d->o.is_insecure;
    alk_err err = read_pem(d, is_by_rule ? d->o.ca_file : NULL, false, &ca);
    alk_err chain_err = read_pem(d, d->o.cert_file, false, &chain);
    alk_err key_err = read_pem(d, d->o.cert_key_file, true, &key);
    err = err == ALK_OK ? chain_err : err;
    err = err == ALK_OK ? key_err : err;
    if (err == ALK_OK) {
        struct alk_tls_creds_options o = {.mem = d->dialer->pump->mem};
        o.seed = d->o.key == NULL ? NULL : d->o.key->seed;
        o.chain_pem = alk_buf_span(&chain);
        o.key_pem = alk_buf_span(&key);
        o.ca_pem = alk_buf_span(&ca);
        o.use_system_ca = is_by_rule && d->o.ca_file == NULL;
        err = alk_tls_creds_new(&o, d->why, sizeof d->why, &d->creds);
    }
    alk_buf_fini(&ca);
    alk_buf_fini(&chain);
    alk_buf_fini_secret(&key);
    return err;
}

/* --- life ----------------------------------------------------------------- */

void alk_dial_free(struct alk_dial *d)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    alk_list_remove(&d->all);
    alk_list_remove(&d->fresh);
    alk_list_remove(&d->dead);
    alk_timer_stop(loop, &d->deadline);
    alk_timer_stop(loop, &d->lanes[0].timer);
    alk_timer_stop(loop, &d->lanes[1].timer);
    alk_tls_creds_unref(d->creds);
    alk_line_file_free(d->keylog);
    alk_free(d->dialer->pump->mem, d->text);
    alk_free(d->dialer->pump->mem, d);
}

void alk_dial_settle(struct alk_dial *d)
{
    if (d->state == ALK_DIAL_OVER && d->lookup == NULL && alk_list_is_empty(&d->attempts)) {
        alk_list_append(&d->dialer->dead, &d->dead);
    }
}

static void end(struct alk_dial *d)
{
    struct alk_loop *loop = d->dialer->pump->loop;
    d->state = ALK_DIAL_OVER;
    d->winner = NULL; /* an early one goes like the others */
    alk_timer_stop(loop, &d->deadline);
    alk_dial_lookup_cancel(d);
    alk_race_end(d);
    alk_dial_settle(d);
}

void alk_dial_fail(struct alk_dial *d, alk_err err)
{
    char message[ALK_DIAL_TEXT];
    if (d->state >= ALK_DIAL_OPEN) {
        return;
    }
    err = d->err != ALK_OK && alk_dial_explains_more(d->err, err) ? d->err : err;
    alk_dial_explain(d, err, message, sizeof message);
    end(d);
    d->calls->failed(d->ctx, err, message);
}

void alk_dial_cancel(struct alk_dial *d)
{
    if (d != NULL && d->state < ALK_DIAL_OPEN) {
        end(d);
    }
}

void alk_dial_stay(struct alk_dial *d)
{
    if (d->state == ALK_DIAL_EARLY) {
        d->state = ALK_DIAL_OPEN;
        alk_timer_stop(d->dialer->pump->loop, &d->deadline);
        alk_race_end(d);
    }
}

static void on_deadline(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    alk_dial_fail(ctx, ALK_E_TIMEOUT);
}

void alk_dial_resolved(struct alk_dial *d, alk_err err, const struct alk_addr *addrs, size_t n)
{
    if (d->state != ALK_DIAL_RESOLVING) {
        alk_dial_settle(d);
        return;
    }
    d->addr_count = alk_dial_interleave(addrs, n, d->addrs, ALK_DIAL_ADDRS);
    for (size_t i = 0; i < d->addr_count; i++) {
        d->addrs[i].port = d->o.port;
    }
    if (err == ALK_OK) {
        err = make_creds(d);
    }
    if (err == ALK_OK && d->o.keylog_file != NULL) {
        err = alk_line_file_open(d->dialer->pump->mem, d->o.keylog_file, &d->keylog);
        err = err == ALK_OK ? ALK_OK : file_failed(d, "write", d->o.keylog_file, err);
    }
    if (err != ALK_OK) {
        alk_dial_fail(d, err);
        return;
    }
    d->state = ALK_DIAL_RACING;
    alk_race_start(d);
}

static void init_lanes(struct alk_dial *d)
{
    d->lanes[0].transport = ALK_TRANSPORT_QUIC;
    d->lanes[1].transport = ALK_TRANSPORT_TLS;
    for (int i = 0; i < 2; i++) {
        d->lanes[i].is_used = (d->o.transports & d->lanes[i].transport) != 0;
    }
}

alk_err alk_dial(struct alk_loop *loop, const struct alk_dial_options *options,
                 const struct alk_client_calls *calls, void *ctx, struct alk_dial **ret)
{
    struct alk_dialer *dialer;
    if (options->host == NULL || options->alpns == NULL || calls->opened == NULL ||
        calls->failed == NULL) {
        return ALK_E_INVALID;
    }
    ALK_TRY(alk_dialer_get(loop, &dialer));
    struct alk_dial *d = ALK_NEW(dialer->pump->mem, struct alk_dial);
    if (d == NULL) {
        return ALK_E_NOMEM;
    }
    size_t size = options->struct_size;
    size = size == 0 || size > sizeof d->o ? sizeof d->o : size; /* an older caller knows less */
    d->dialer = dialer;
    memcpy(&d->o, options, size);
    d->calls = calls;
    d->ctx = ctx;
    d->deadline = (struct alk_timer){.fn = on_deadline, .ctx = d};
    alk_list_init(&d->attempts);
    alk_list_append(&dialer->dials, &d->all);
    fill_defaults(&d->o);
    init_lanes(d);
    alk_err err = copy_options(d, options);
    if (err == ALK_OK) {
        copy_pins(d, options);
        err = alk_dial_lookup(d);
    }
    if (err != ALK_OK) {
        alk_dial_free(d);
        return err;
    }
    alk_timer_set(loop, &d->deadline, alk_loop_now(loop) + d->o.connect_timeout);
    *ret = d;
    return ALK_OK;
}
