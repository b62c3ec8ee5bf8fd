/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/mem.h"
#include "core/store/file.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#define PEM_MAX   ((size_t)1 << 20)
#define SNIS_MAX  256
#define PATH_SIZE 4096

/* The self-signed certificate: what browsers accept is at most 14 days. It is
 * renewed when a third of its time is left, and looked at this often. */
#define SELF_FILE     "self-signed.pem"
#define DAY           ((uint64_t)86400)
#define SELF_LIFETIME (13 * DAY)
#define SELF_RENEW    (5 * DAY)
#define SELF_LOOK     (3600 * ALK_SECOND)

/* --- credentials from PEM ------------------------------------------------- */

/* Every set holds the raw key too: a client that prefers it gets it under any
 * server name. */
static alk_err make_creds(struct alk_endpoint *ep, struct alk_span chain, struct alk_span key,
                          char *why, size_t why_size, struct alk_tls_creds **ret)
{
    struct alk_tls_creds_options o = {.mem = ep->mem, .seed = ep->secrets.seed};
    o.chain_pem = chain;
    o.key_pem = key;
    return alk_tls_creds_new(&o, why, why_size, ret);
}

static alk_err add_sni(struct alk_endpoint *ep, struct alk_ep_certs *certs, struct alk_span name,
                       struct alk_tls_creds *creds)
{
    if (certs->sni_count == SNIS_MAX) {
        return ALK_OK; /* more names than that fall back to the default certificate */
    }
    char *copy = alk_strdup_span(ep->mem, name);
    struct alk_tls_sni *snis =
        alk_resize(ep->mem, certs->snis, (certs->sni_count + 1) * sizeof *snis);
    if (snis != NULL) {
        certs->snis = snis;
    }
    if (copy == NULL || snis == NULL) {
        alk_free(ep->mem, copy);
        return ALK_E_NOMEM;
    }
    certs->snis[certs->sni_count++] =
        (struct alk_tls_sni){.name = copy, .creds = alk_tls_creds_ref(creds)};
    return ALK_OK;
}

/* The DNS names inside the leaf. */
static alk_err add_own_names(struct alk_endpoint *ep, struct alk_ep_certs *certs,
                             struct alk_span chain, struct alk_tls_creds *creds)
{
    gnutls_x509_crt_t crt[8];
    unsigned n = sizeof crt / sizeof crt[0];
    union {
        const uint8_t *in;
        uint8_t *out; /* GnuTLS does not write through it */
    } text = {.in = chain.p};
    gnutls_datum_t pem = {.data = text.out, .size = (unsigned)chain.n};
    alk_err err = ALK_OK;
    if (gnutls_x509_crt_list_import(crt, &n, &pem, GNUTLS_X509_FMT_PEM, 0) < 0) {
        return ALK_OK; /* a longer chain; its names have to be configured */
    }
    for (unsigned i = 0; err == ALK_OK; i++) {
        char name[ALK_SNI_MAX + 1];
        size_t size = sizeof name;
        int rv = gnutls_x509_crt_get_subject_alt_name(crt[0], i, name, &size, NULL);
        if (rv < 0 && rv != GNUTLS_E_SHORT_MEMORY_BUFFER) {
            break;
        }
        if (rv == GNUTLS_SAN_DNSNAME) {
            err = add_sni(ep, certs, alk_span_str(name), creds);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        gnutls_x509_crt_deinit(crt[i]);
    }
    return err;
}

static alk_err add_names(struct alk_endpoint *ep, struct alk_ep_certs *certs,
                         const struct alk_config_certificate *c, struct alk_span chain,
                         struct alk_tls_creds *creds)
{
    if (c->sni_count == 0) {
        return add_own_names(ep, certs, chain, creds);
    }
    for (size_t i = 0; i < c->sni_count; i++) {
        ALK_TRY(add_sni(ep, certs, alk_span_str(c->sni[i]), creds));
    }
    return ALK_OK;
}

/* --- certificates of the configuration ------------------------------------ */

static alk_err read_file(const char *path, bool is_private, struct alk_buf *ret, char *why,
                         size_t why_size)
{
    alk_err err = is_private ? alk_file_read_private(path, PEM_MAX, ret, why, why_size)
                             : alk_file_read(path, PEM_MAX, ret);
    if (err != ALK_OK && (!is_private || why[0] == '\0')) {
        (void)snprintf(why, why_size, "cannot read %s: %s", path, alk_err_text(err));
    }
    return err;
}

static alk_err load_one(struct alk_endpoint *ep, const struct alk_config_certificate *c, char *why,
                        size_t why_size, struct alk_ep_certs *certs)
{
    char text[256] = "";
    struct alk_buf chain;
    struct alk_buf key;
    struct alk_tls_creds *creds = NULL;
    alk_buf_init(&chain, ep->mem, PEM_MAX);
    alk_buf_init(&key, ep->mem, PEM_MAX);
    alk_err err = read_file(c->cert, false, &chain, why, why_size);
    if (err == ALK_OK) {
        err = read_file(c->key, true, &key, why, why_size);
    }
    if (err == ALK_OK) {
        err = make_creds(ep, alk_buf_span(&chain), alk_buf_span(&key), text, sizeof text, &creds);
        if (err != ALK_OK) {
            (void)snprintf(why, why_size, "certificate %s: %s", c->cert, text);
        }
    }
    if (err == ALK_OK) {
        err = add_names(ep, certs, c, alk_buf_span(&chain), creds);
        if (certs->creds == NULL) {
            certs->creds = alk_tls_creds_ref(creds);
        }
    }
    alk_tls_creds_unref(creds);
    alk_buf_fini(&chain);
    alk_buf_fini_secret(&key);
    return err;
}

/* --- the self-signed one -------------------------------------------------- */

/* The host part of "host:port" or "[v6]:port". */
static void host_of(const char *text, char *ret, size_t ret_size)
{
    const char *colon = strrchr(text, ':');
    struct alk_span s = alk_span(text, colon == NULL ? strlen(text) : (size_t)(colon - text));
    if (s.n >= 2 && s.p[0] == '[') {
        s = alk_span(s.p + 1, s.n - 2);
    }
    (void)alk_span_cstr(s, ret, ret_size);
}

static alk_err make_self(const struct alk_dynamic_config *config, uint64_t now,
                         struct alk_buf *chain, struct alk_buf *key)
{
    char hosts[ALK_CONFIG_LISTENERS_MAX + 1][ALK_SNI_MAX + 1];
    const char *names[ALK_CONFIG_LISTENERS_MAX + 3] = {"localhost"};
    size_t n = 1;
    if (config->advertise != NULL) {
        host_of(config->advertise, hosts[n - 1], sizeof hosts[0]);
        names[n] = hosts[n - 1];
        n++;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        alk_addr_print(&config->listeners[i].addr, false, hosts[n - 1], sizeof hosts[0]);
        names[n] = hosts[n - 1];
        n++;
    }
    names[n] = NULL;
    return alk_tls_self_signed(names, now, SELF_LIFETIME, chain, key);
}

static bool needs_renewal(const struct alk_tls_creds *creds, uint64_t now)
{
    uint8_t sha256[32];
    uint64_t not_before;
    uint64_t not_after;
    return !alk_tls_creds_cert(creds, sha256, &not_before, &not_after) || not_before > now ||
           not_after < now + SELF_RENEW;
}

static alk_err stored_self(struct alk_endpoint *ep, const char *path, struct alk_tls_creds **ret)
{
    struct alk_buf pem;
    struct alk_tls_creds *creds = NULL;
    char why[256] = "";
    alk_buf_init(&pem, ep->mem, PEM_MAX);
    alk_err err = alk_file_read_private(path, PEM_MAX, &pem, why, sizeof why);
    if (err == ALK_OK) {
        /* One file holds both; each reader takes what it looks for. */
        err = make_creds(ep, alk_buf_span(&pem), alk_buf_span(&pem), why, sizeof why, &creds);
    }
    if (err == ALK_OK && needs_renewal(creds, alk_clock_unix())) {
        alk_tls_creds_unref(creds);
        err = ALK_E_EXPIRED;
    }
    alk_buf_fini_secret(&pem);
    if (err == ALK_OK) {
        *ret = creds;
    }
    return err;
}

static alk_err fresh_self(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                          const char *path, struct alk_tls_creds **ret)
{
    struct alk_buf chain;
    struct alk_buf key;
    char why[256] = "";
    alk_buf_init(&chain, ep->mem, PEM_MAX);
    alk_buf_init(&key, ep->mem, PEM_MAX);
    alk_err err = make_self(config, alk_clock_unix(), &chain, &key);
    if (err == ALK_OK) {
        err = make_creds(ep, alk_buf_span(&chain), alk_buf_span(&key), why, sizeof why, ret);
    }
    if (err == ALK_OK && alk_buf_put(&chain, alk_buf_span(&key)) == ALK_OK) {
        alk_err saved = alk_file_write(path, alk_buf_span(&chain), 0600);
        if (saved != ALK_OK) {
            alk_ep_log(ep, ALK_LOG_WARN, "cannot keep the self-signed certificate in %s: %s", path,
                       alk_err_text(saved));
        }
    }
    alk_buf_fini_secret(&chain);
    alk_buf_fini_secret(&key);
    return err;
}

static alk_err self_signed(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                           char *why, size_t why_size, struct alk_tls_creds **ret)
{
    char path[PATH_SIZE];
    if (!alk_datadir_path(ep->datadir, SELF_FILE, path, sizeof path)) {
        return ALK_E_TOO_BIG;
    }
    if (stored_self(ep, path, ret) == ALK_OK) {
        return ALK_OK;
    }
    alk_err err = fresh_self(ep, config, path, ret);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "cannot make a certificate: %s", alk_err_text(err));
        return err;
    }
    alk_ep_log(ep, ALK_LOG_INFO, "made a self-signed certificate, good for 13 days");
    return ALK_OK;
}

/* --- all ------------------------------------------------------------------ */

alk_err alk_ep_certs_load(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                          char *why, size_t why_size, struct alk_ep_certs *ret)
{
    struct alk_ep_certs certs = {0};
    alk_err err = ALK_OK;
    if (config->self_signed) {
        err = self_signed(ep, config, why, why_size, &certs.creds);
    }
    for (size_t i = 0; err == ALK_OK && i < config->certificate_count; i++) {
        err = load_one(ep, &config->certificates[i], why, why_size, &certs);
    }
    if (err == ALK_OK && certs.creds == NULL) {
        err = make_creds(ep, alk_span(NULL, 0), alk_span(NULL, 0), why, why_size, &certs.creds);
    }
    if (err != ALK_OK) {
        alk_ep_certs_fini(ep, &certs);
        return err;
    }
    *ret = certs;
    return ALK_OK;
}

void alk_ep_certs_fini(struct alk_endpoint *ep, struct alk_ep_certs *certs)
{
    for (size_t i = 0; i < certs->sni_count; i++) {
        union {
            const char *in;
            void *out; /* ours: add_sni made it */
        } name = {.in = certs->snis[i].name};
        alk_free(ep->mem, name.out);
        alk_tls_creds_unref(certs->snis[i].creds);
    }
    alk_free(ep->mem, certs->snis);
    alk_tls_creds_unref(certs->creds);
    *certs = (struct alk_ep_certs){0};
}

static void on_look(struct alk_timer *timer, void *ctx)
{
    struct alk_endpoint *ep = ctx;
    char why[ALK_ENDPOINT_WHY] = "";
    struct alk_snapshot *next = NULL;
    struct alk_ep_certs certs = {0};
    (void)timer;
    if (ep->state == ALK_EP_RUNNING && needs_renewal(ep->snapshot->creds, alk_clock_unix())) {
        /* The same generation with new credentials; live sessions keep theirs. */
        const struct alk_snapshot *s = ep->snapshot;
        const struct alk_ep_services services = {s->routes->services, s->routes->service_count};
        alk_err err = alk_ep_certs_load(ep, s->config, why, sizeof why, &certs);
        if (err == ALK_OK) {
            err = alk_ep_snapshot_make(ep, s->config, &services, &certs, why, sizeof why, &next);
        }
        alk_ep_certs_fini(ep, &certs);
        if (err == ALK_OK) {
            alk_ep_snapshot_publish(ep, next);
        } else {
            alk_ep_log(ep, ALK_LOG_ERROR, "the certificate is not renewed: %s", why);
        }
    }
    alk_ep_certs_schedule(ep);
}

void alk_ep_certs_schedule(struct alk_endpoint *ep)
{
    struct alk_loop *loop = ep->workers[0].loop;
    ep->cert_timer.fn = on_look;
    ep->cert_timer.ctx = ep;
    if (ep->snapshot->config->self_signed) {
        alk_timer_set(loop, &ep->cert_timer, alk_loop_now(loop) + SELF_LOOK);
    } else {
        alk_timer_stop(loop, &ep->cert_timer);
    }
}
