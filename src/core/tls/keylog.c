/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lint: compare: whole file: labels are compared, never the secrets under them */
#include "base/ct.h"
#include "base/text.h"
#include "core/tls/internal.h"

/* After the handshake the traffic secrets change under the same labels (key
 * update); a second line for one label would only mislead. */
static bool is_first(struct alk_tls_session *s, const char *label)
{
    bool *seen = NULL;
    if (strcmp(label, "CLIENT_TRAFFIC_SECRET_0") == 0) {
        seen = &s->is_client_secret_logged;
    } else if (strcmp(label, "SERVER_TRAFFIC_SECRET_0") == 0) {
        seen = &s->is_server_secret_logged;
    }
    if (seen == NULL) {
        return true;
    }
    bool was = *seen;
    *seen = true;
    return !was;
}

static int on_secret(gnutls_session_t gs, const char *label, const gnutls_datum_t *secret)
{
    struct alk_tls_session *s = gnutls_db_get_ptr(gs);
    if (s->keylog == NULL || secret->size > 64 || !is_first(s, label)) {
        return 0;
    }
    gnutls_datum_t client = {NULL, 0};
    gnutls_datum_t server = {NULL, 0};
    gnutls_session_get_random(gs, &client, &server);
    char random_hex[ALK_HEX_SIZE(32)];
    char secret_hex[ALK_HEX_SIZE(64)];
    if (!alk_hex(alk_span(client.data, client.size), random_hex, sizeof random_hex) ||
        !alk_hex(alk_span(secret->data, secret->size), secret_hex, sizeof secret_hex)) {
        return 0;
    }
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s %s", label, random_hex, secret_hex);
    if (n > 0 && (size_t)n < sizeof line) {
        s->keylog(s->keylog_ctx, line);
    }
    alk_wipe(secret_hex, sizeof secret_hex);
    alk_wipe(line, sizeof line);
    return 0;
}

void alk_tls_keylog_setup(struct alk_tls_session *s)
{
    /* Always: GnuTLS's own function obeys SSLKEYLOGFILE. */
    gnutls_session_set_keylog_function(s->gs, on_secret);
}
