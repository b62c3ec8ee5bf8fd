/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What all server sessions of one configuration generation share. */
#include "base/ct.h"
#include "base/mem.h"
#include "core/tls/internal.h"
#include "core/tls/replay.h"

#include <gnutls/crypto.h>

#define CIPHERS                                                                                    \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"       \
    ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:-CTYPE-ALL"
#define SERVER_TYPES ":+CTYPE-SRV-RAWPK:+CTYPE-SRV-X509:+CTYPE-CLI-RAWPK:+CTYPE-CLI-X509"

static alk_err set_priorities(struct alk_tls_server *server)
{
    int rv = gnutls_priority_init(&server->priority_tls, CIPHERS SERVER_TYPES, NULL);
    if (rv >= 0) {
        rv = gnutls_priority_init(&server->priority_quic,
                                  "%DISABLE_TLS13_COMPAT_MODE:" CIPHERS SERVER_TYPES, NULL);
    }
    return rv >= 0 ? ALK_OK : rv == GNUTLS_E_MEMORY_ERROR ? ALK_E_NOMEM : ALK_E_CRYPTO;
}

static alk_err copy_snis(struct alk_tls_server *server, const struct alk_tls_sni *snis,
                         size_t count)
{
    server->snis = alk_zalloc(server->mem, count + 1, sizeof *server->snis);
    if (server->snis == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        char *name = alk_strdup_span(server->mem, alk_span_str(snis[i].name));
        if (name == NULL) {
            return ALK_E_NOMEM;
        }
        server->snis[i] = (struct alk_tls_sni){name, alk_tls_creds_ref(snis[i].creds)};
        server->sni_count = i + 1;
    }
    return ALK_OK;
}

static alk_err derive_ticket_key(struct alk_tls_server *server, const uint8_t secret[static 32])
{
    static uint8_t label[] = "alknet tls tickets v1";
    uint8_t copy[32];
    memcpy(copy, secret, sizeof copy);
    gnutls_datum_t ikm = {.data = copy, .size = sizeof copy};
    gnutls_datum_t salt = {.data = label, .size = sizeof label - 1};
    int rv = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &ikm, &salt, server->ticket_prk);
    alk_wipe(copy, sizeof copy);
    return rv >= 0 ? ALK_OK : ALK_E_CRYPTO;
}

static bool has_early_route(const struct alk_routes *routes)
{
    for (size_t i = 0; i < routes->route_count; i++) {
        const struct alk_route *r = &routes->routes[i];
        if ((r->transports & ALK_TRANSPORT_QUIC) != 0 &&
            (r->service->handler->flags & ALK_HANDLER_EARLY_SAFE) != 0) {
            return true;
        }
    }
    return false;
}

static alk_err fill(struct alk_tls_server *server, const struct alk_tls_server_options *o)
{
    if (o->default_alpn != NULL &&
        !alk_span_cstr(alk_span_str(o->default_alpn), server->default_alpn,
                       sizeof server->default_alpn)) {
        return ALK_E_INVALID;
    }
    ALK_TRY(copy_snis(server, o->snis, o->sni_count));
    ALK_TRY(derive_ticket_key(server, o->ticket_secret));
    ALK_TRY(set_priorities(server));
    server->has_early = o->replay != NULL && has_early_route(server->routes);
    return ALK_OK;
}

alk_err alk_tls_server_new(const struct alk_tls_server_options *options,
                           struct alk_tls_server **ret)
{
    struct alk_tls_server *server = ALK_NEW(options->mem, struct alk_tls_server);
    if (server == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&server->refs, 1);
    server->mem = options->mem;
    server->creds = alk_tls_creds_ref(options->creds);
    server->routes = alk_routes_ref(options->routes);
    server->replay = options->replay;
    server->keylog = options->keylog;
    server->keylog_ctx = options->keylog_ctx;
    alk_err err = fill(server, options);
    if (err != ALK_OK) {
        alk_tls_server_unref(server);
        return err;
    }
    *ret = server;
    return ALK_OK;
}

struct alk_tls_server *alk_tls_server_ref(struct alk_tls_server *server)
{
    (void)atomic_fetch_add_explicit(&server->refs, 1, memory_order_relaxed);
    return server;
}

static void free_sni_name(const struct alk_mem *mem, const char *name)
{
    union {
        const char *in;
        char *out;
    } p = {.in = name}; /* ours, made by copy_snis */
    alk_free(mem, p.out);
}

void alk_tls_server_unref(struct alk_tls_server *server)
{
    if (server == NULL || atomic_fetch_sub_explicit(&server->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < server->sni_count; i++) {
        free_sni_name(server->mem, server->snis[i].name);
        alk_tls_creds_unref(server->snis[i].creds);
    }
    alk_free(server->mem, server->snis);
    gnutls_priority_deinit(server->priority_quic); /* both take NULL */
    gnutls_priority_deinit(server->priority_tls);
    alk_routes_unref(server->routes);
    alk_tls_creds_unref(server->creds);
    alk_free_secret(server->mem, server, sizeof *server);
}

struct alk_routes *alk_tls_server_routes(struct alk_tls_server *server)
{
    return server->routes;
}

/* --- per loop -------------------------------------------------------------- */

static int replay_add(void *ctx, time_t expires, const gnutls_datum_t *key,
                      const gnutls_datum_t *data)
{
    struct alk_replay_db *db = ctx;
    (void)data;
    if (expires < ALK_REPLAY_WINDOW_S) {
        return GNUTLS_E_DB_ERROR;
    }
    /* GnuTLS says when the entry expires: its clock plus the window. */
    uint64_t end = (uint64_t)expires;
    alk_err err =
        alk_replay_add(db, alk_span(key->data, key->size), end - ALK_REPLAY_WINDOW_S, end);
    return err == ALK_OK ? 0 : GNUTLS_E_DB_ENTRY_EXISTS;
}

alk_err alk_tls_loop_new(const struct alk_mem *mem, struct alk_replay_db *replay,
                         struct alk_tls_loop **ret)
{
    struct alk_tls_loop *loop = ALK_NEW(mem, struct alk_tls_loop);
    if (loop == NULL) {
        return ALK_E_NOMEM;
    }
    loop->mem = mem;
    loop->replay = replay;
    if (replay != NULL) {
        if (gnutls_anti_replay_init(&loop->anti_replay) < 0) {
            alk_free(mem, loop);
            return ALK_E_NOMEM;
        }
        gnutls_anti_replay_set_window(loop->anti_replay, ALK_REPLAY_WINDOW_S * 1000);
        gnutls_anti_replay_set_ptr(loop->anti_replay, replay);
        gnutls_anti_replay_set_add_function(loop->anti_replay, replay_add);
    }
    *ret = loop;
    return ALK_OK;
}

void alk_tls_loop_free(struct alk_tls_loop *loop)
{
    if (loop == NULL) {
        return;
    }
    if (loop->anti_replay != NULL) {
        gnutls_anti_replay_deinit(loop->anti_replay);
    }
    alk_free(loop->mem, loop);
}
