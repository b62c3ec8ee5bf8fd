/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who a client is, by its raw key or its certificate: asked at every handshake, and
 * a ticket is no way around that. */
#include "core/auth/identity.h"
#include "sim/pair.h"

struct known {
    struct pair *p;
    char name[ALK_FINGERPRINT_MAX]; /* under which the client is known */
};

static void setup(struct known *k, bool is_x509)
{
    struct pair_options o = {.client_key = is_x509 ? 0 : 9};
    struct alk_identity_spec spec = {.id = ALK_LIT("laptop")};
    memset(k, 0, sizeof *k);
    struct pair *p = k->p = pair_new(&o);
    if (is_x509) {
        check_err(sim_client_use_x509(&p->client, 0, k->name), ALK_OK);
    }
    check_err(alk_identity_new(&p->mem.mem, &spec, NULL, 0, &p->server.identity), ALK_OK);
    p->s->hub.auth.provider = &p->server.provider;
    p->s->hub.auth.provider_ctx = &p->server;
}

static void teardown(struct known *k)
{
    struct pair *p = k->p;
    pair_stop(p);
    alk_identity_unref(p->server.identity);
    pair_free(p);
}

/* Connects, closes, and keeps the ticket. */
static void visit(struct known *k, bool is_known, bool is_resumed)
{
    struct pair *p = k->p;
    unsigned before = p->server.resolved;
    pair_connect(p);
    pair_exchange(p, SIM_ECHO, 1000);
    (void)sim_run(&p->w, ALK_SECOND, NULL, NULL);
    assert_true(p->server.auth.is_resumed == is_resumed);
    assert_int_equal(p->server.resolved, before + 1);
    assert_true((p->server.conn->auth.identity != NULL) == is_known);
    if (k->name[0] == '\0') {
        (void)snprintf(k->name, sizeof k->name, "%s", p->server.auth.fingerprints[0]);
    }
    check_err(sim_client_remember(&p->client), ALK_OK);
    pair_close(p);
}

static void a_client_is_known_by_its_key_or_certificate(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        bool is_x509 = i == 1;
        struct known k;
        setup(&k, is_x509);
        visit(&k, true, false); /* everybody is */
        k.p->server.accepted = k.name;
        visit(&k, true, true);
        assert_int_equal(k.p->server.auth.cert_kind, is_x509 ? ALK_CERT_X509 : ALK_CERT_RAW_KEY);
        teardown(&k);
    }
}

static void a_revoked_one_is_not_known_on_resumption(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct known k;
        setup(&k, i == 1);
        visit(&k, true, false);
        k.p->server.accepted = k.name;
        visit(&k, true, true);
        k.p->server.accepted = "cert:of somebody else";
        visit(&k, false, true);
        k.p->server.accepted = k.name;
        visit(&k, true, true);
        teardown(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_known_by_its_key_or_certificate),
        cmocka_unit_test(a_revoked_one_is_not_known_on_resumption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
