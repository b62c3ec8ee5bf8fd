/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/provider.h"

#include "base/ct.h"
#include "base/mem.h"

void alk_index_provider_init(struct alk_index_provider *p, alk_unix_fn *now, void *now_ctx)
{
    *p = (struct alk_index_provider){.now = now, .now_ctx = now_ctx};
}

void alk_index_provider_fini(struct alk_index_provider *p)
{
    alk_index_provider_set(p, NULL);
}

void alk_index_provider_set(struct alk_index_provider *p, const struct alk_auth_index *index)
{
    const struct alk_auth_index *old = p->index;
    p->index = alk_auth_index_ref(index);
    alk_auth_index_unref(old);
}

static void index_resolve(void *provider, const struct alk_auth_query *query,
                          alk_auth_done_fn *done, void *ctx)
{
    struct alk_index_provider *p = provider;
    const struct alk_identity *identity = NULL;
    /* `done` may bring a new generation in: this one has to last until it returns. */
    const struct alk_auth_index *index = alk_auth_index_ref(p->index);
    alk_err err = alk_auth_resolve_sync(index, query, p->now(p->now_ctx), &identity);
    done(ctx, err, identity, alk_auth_index_generation(index));
    alk_auth_index_unref(index);
}

const struct alk_identity_provider alk_index_provider_vtable = {
    .struct_size = sizeof(struct alk_identity_provider),
    .name = "index",
    .resolve = index_resolve,
};

struct alk_chain_provider {
    const struct alk_mem *mem;
    size_t refs; /* the owner's and one for each answer under way; one loop */
    size_t n;
    struct alk_chain_member members[];
};

/* One question on its way along the chain, with copies of what it borrows: the
 * caller's may be gone when a member answers later. */
struct question {
    struct alk_chain_provider *chain; /* holds a reference */
    size_t at;                        /* the member being asked */
    bool is_asking;                   /* inside a member's resolve */
    bool is_answered;                 /* it said "unknown" inside */
    bool is_over;                     /* `done` has run */
    alk_auth_done_fn *done;
    void *ctx;
    struct alk_auth_query query;
    struct alk_auth_context context;
    char fingerprints[4][ALK_FINGERPRINT_MAX];
    uint8_t token[256];
};

alk_err alk_chain_provider_new(const struct alk_mem *mem, const struct alk_chain_member *members,
                               size_t n, struct alk_chain_provider **ret)
{
    if (n == 0 || n > ALK_CHAIN_MAX) {
        return ALK_E_INVALID;
    }
    struct alk_chain_provider *chain = alk_zalloc(mem, 1, sizeof(*chain) + n * sizeof(*members));
    if (chain == NULL) {
        return ALK_E_NOMEM;
    }
    chain->mem = mem;
    chain->refs = 1;
    chain->n = n;
    memcpy(chain->members, members, n * sizeof(*members));
    *ret = chain;
    return ALK_OK;
}

void alk_chain_provider_free(struct alk_chain_provider *chain)
{
    if (chain != NULL && --chain->refs == 0) {
        alk_free(chain->mem, chain);
    }
}

static void question_free(struct question *q)
{
    struct alk_chain_provider *chain = q->chain;
    alk_identity_unref(q->context.identity);
    alk_free_secret(chain->mem, q, sizeof(*q)); /* it holds a token */
    alk_chain_provider_free(chain);
}

/* False: more than any credential of ours has. */
static bool question_copy(struct question *q, const struct alk_auth_query *query)
{
    q->query = *query;
    if (query->fingerprint_count > 4 || query->token.n > sizeof(q->token)) {
        return false;
    }
    if (query->fingerprint_count > 0) {
        memcpy(q->fingerprints, query->fingerprints,
               query->fingerprint_count * ALK_FINGERPRINT_MAX);
        q->query.fingerprints = (const char(*)[ALK_FINGERPRINT_MAX])q->fingerprints;
    }
    if (query->token.n > 0) {
        memcpy(q->token, query->token.p, query->token.n);
        q->query.token.p = q->token;
    }
    if (query->context != NULL) {
        q->context = *query->context;
        (void)alk_identity_ref(q->context.identity);
        q->query.context = &q->context;
    }
    return true;
}

static void ask(struct question *q);

static void answered(void *ctx, alk_err err, const struct alk_identity *identity,
                     uint64_t generation)
{
    struct question *q = ctx;
    if (err == ALK_E_AUTH && q->at + 1 < q->chain->n) {
        q->at++;
        if (q->is_asking) {
            q->is_answered = true; /* the loop in ask goes on: no recursion */
        } else {
            ask(q);
        }
        return;
    }
    q->done(q->ctx, err, identity, generation);
    if (q->is_asking) {
        q->is_over = true; /* ask frees it */
    } else {
        question_free(q);
    }
}

static void ask(struct question *q)
{
    do {
        const struct alk_chain_member *m = &q->chain->members[q->at];
        q->is_asking = true;
        q->is_answered = false;
        m->vtable->resolve(m->provider, &q->query, answered, q);
        q->is_asking = false;
    } while (q->is_answered);
    if (q->is_over) {
        question_free(q);
    }
}

static void chain_resolve(void *provider, const struct alk_auth_query *query,
                          alk_auth_done_fn *done, void *ctx)
{
    struct alk_chain_provider *chain = provider;
    struct question *q = ALK_NEW(chain->mem, struct question);
    if (q == NULL) {
        done(ctx, ALK_E_UNAVAILABLE, NULL, 0);
        return;
    }
    chain->refs++;
    q->chain = chain;
    q->done = done;
    q->ctx = ctx;
    if (!question_copy(q, query)) {
        question_free(q);
        done(ctx, ALK_E_AUTH, NULL, 0);
        return;
    }
    ask(q);
}

const struct alk_identity_provider alk_chain_provider_vtable = {
    .struct_size = sizeof(struct alk_identity_provider),
    .name = "chain",
    .resolve = chain_resolve,
};
