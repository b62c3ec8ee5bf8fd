/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/auth/identity.h"

#include "base/mem.h"
#include "core/auth/scope.h"
#include "core/auth/why.h"

#include <stdatomic.h>

/* One block: this struct, then spans, grants and text, in this order, so that
 * everything is aligned and one release frees it. */
struct alk_identity {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_identity *base; /* owns a reference: whose grants these are; or NULL */
    struct alk_span id;
    struct alk_span *scopes;
    size_t scope_count;
    struct alk_grant *grants;
    size_t grant_count;
    bool is_disabled;
};

bool alk_identity_id_is_valid(struct alk_span id)
{
    if (id.n == 0 || id.n > ALK_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.n; i++) {
        uint8_t c = id.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_word && (i == 0 || (c != '.' && c != '_' && c != '-'))) {
            return false;
        }
    }
    return true;
}

/* Where the parts of the block go; counted first, then handed out. */
struct arena {
    size_t span_count, byte_count;
    struct alk_span *spans;
    uint8_t *bytes;
};

static void count_spans(struct arena *a, const struct alk_span *spans, size_t n)
{
    a->span_count += n;
    for (size_t i = 0; i < n; i++) {
        a->byte_count += spans[i].n;
    }
}

static struct alk_span place_text(struct arena *a, struct alk_span text)
{
    if (text.n == 0) {
        return (struct alk_span){NULL, 0};
    }
    uint8_t *at = a->bytes;
    memcpy(at, text.p, text.n);
    a->bytes += text.n;
    return alk_span(at, text.n);
}

static struct alk_span *place_spans(struct arena *a, const struct alk_span *spans, size_t n)
{
    struct alk_span *at = a->spans;
    for (size_t i = 0; i < n; i++) {
        at[i] = place_text(a, spans[i]);
    }
    a->spans += n;
    return at;
}

/* The limits on counts make every sum here far smaller than SIZE_MAX. */
static struct alk_identity *block_new(const struct alk_mem *mem,
                                      const struct alk_identity_spec *spec, struct arena *a)
{
    a->byte_count += spec->id.n;
    count_spans(a, spec->scopes, spec->scope_count);
    for (size_t i = 0; i < spec->grant_count; i++) {
        const struct alk_grant *g = &spec->grants[i];
        a->byte_count += g->type.n + g->name.n;
        count_spans(a, g->actions, g->action_count);
        count_spans(a, g->refs, g->ref_count);
    }
    size_t size = sizeof(struct alk_identity) + a->span_count * sizeof(struct alk_span) +
                  spec->grant_count * sizeof(struct alk_grant) + a->byte_count;
    struct alk_identity *identity = alk_zalloc(mem, 1, size);
    if (identity == NULL) {
        return NULL;
    }
    a->spans = (struct alk_span *)(identity + 1);
    identity->grants = (struct alk_grant *)(a->spans + a->span_count);
    a->bytes = (uint8_t *)(identity->grants + spec->grant_count);
    return identity;
}

/* From a spec that has been checked. */
static alk_err identity_make(const struct alk_mem *mem, const struct alk_identity_spec *spec,
                             struct alk_identity **ret)
{
    struct arena a = {.span_count = 0};
    struct alk_identity *identity = block_new(mem, spec, &a);
    if (identity == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&identity->refs, 1);
    identity->mem = mem;
    identity->is_disabled = spec->is_disabled;
    identity->id = place_text(&a, spec->id);
    identity->scopes = place_spans(&a, spec->scopes, spec->scope_count);
    identity->scope_count = spec->scope_count;
    identity->grant_count = spec->grant_count;
    for (size_t i = 0; i < spec->grant_count; i++) {
        const struct alk_grant *g = &spec->grants[i];
        identity->grants[i] = (struct alk_grant){
            .type = place_text(&a, g->type),
            .name = place_text(&a, g->name),
            .actions = place_spans(&a, g->actions, g->action_count),
            .action_count = g->action_count,
            .refs = place_spans(&a, g->refs, g->ref_count),
            .ref_count = g->ref_count,
        };
    }
    *ret = identity;
    return ALK_OK;
}

static size_t spans_wire_size(const struct alk_span *spans, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++) {
        size += 1 + spans[i].n;
    }
    return size;
}

/* Bytes that alk_identity_put needs after the length; counts were checked. */
static size_t spec_wire_size(const struct alk_identity_spec *spec)
{
    size_t size = 1 + 1 + spec->id.n + spans_wire_size(spec->scopes, spec->scope_count) + 2;
    for (size_t i = 0; i < spec->grant_count; i++) {
        const struct alk_grant *g = &spec->grants[i];
        size += 2 + g->type.n + g->name.n + spans_wire_size(g->actions, g->action_count) +
                spans_wire_size(g->refs, g->ref_count);
    }
    return size;
}

/* `max`: a narrowed identity may hold more scopes than one that is written down. */
static alk_err spec_check(const struct alk_identity_spec *spec, size_t max, char *why,
                          size_t why_size)
{
    if (!alk_identity_id_is_valid(spec->id)) {
        return alk_why(why, why_size,
                       "an id is 1 to %d of [a-z0-9._-] and begins with a letter or digit",
                       ALK_ID_MAX);
    }
    if (spec->scope_count > max) {
        return alk_why(why, why_size, "an identity has at most %zu scopes", max);
    }
    for (size_t i = 0; i < spec->scope_count; i++) {
        if (!alk_scope_is_valid(spec->scopes[i])) {
            return alk_why(why, why_size,
                           "a scope is 1 to 4 words of [a-z0-9_.-] joined by ':', or '*' as the "
                           "last, at most %d bytes",
                           ALK_SCOPE_MAX);
        }
    }
    if (spec->grant_count > ALK_GRANTS_MAX) {
        return alk_why(why, why_size, "an identity has at most %d resources", ALK_GRANTS_MAX);
    }
    for (size_t i = 0; i < spec->grant_count; i++) {
        ALK_TRY(alk_grant_check(&spec->grants[i], why, why_size));
    }
    return ALK_OK;
}

alk_err alk_identity_new(const struct alk_mem *mem, const struct alk_identity_spec *spec, char *why,
                         size_t why_size, const struct alk_identity **ret)
{
    ALK_TRY(spec_check(spec, ALK_SCOPES_MAX, why, why_size));
    if (spec_wire_size(spec) > ALK_IDENTITY_SPEC_MAX) {
        return alk_why(why, why_size, "the scopes and resources of an identity are at most %zu KiB",
                       ALK_IDENTITY_SPEC_MAX >> 10);
    }
    struct alk_identity *identity = NULL;
    ALK_TRY(identity_make(mem, spec, &identity));
    *ret = identity;
    return ALK_OK;
}

alk_err alk_identity_narrow(const struct alk_mem *mem, const struct alk_identity *base,
                            const struct alk_span *scopes, size_t scope_count,
                            const struct alk_identity **ret)
{
    if (scope_count > ALK_SCOPES_MAX || base->scope_count > ALK_SCOPES_MAX) {
        return ALK_E_INVALID;
    }
    struct alk_span shared[ALK_SCOPES_NARROWED_MAX];
    size_t n = alk_scopes_intersect(base->scopes, base->scope_count, scopes, scope_count, shared);
    struct alk_identity_spec spec = {
        .id = base->id, .scopes = shared, .scope_count = n, .is_disabled = base->is_disabled};
    struct alk_identity *identity = NULL;
    ALK_TRY(identity_make(mem, &spec, &identity));
    identity->base = alk_identity_ref(base);
    identity->grants = base->grants;
    identity->grant_count = base->grant_count;
    *ret = identity;
    return ALK_OK;
}

/* The count is the only part of an identity that changes after it is made. */
static struct alk_identity *writable(const struct alk_identity *identity)
{
    return (struct alk_identity *)(uintptr_t)identity;
}

const struct alk_identity *alk_identity_ref(const struct alk_identity *identity)
{
    if (identity != NULL) {
        atomic_fetch_add_explicit(&writable(identity)->refs, 1, memory_order_relaxed);
    }
    return identity;
}

void alk_identity_unref(const struct alk_identity *identity)
{
    while (identity != NULL) {
        struct alk_identity *own = writable(identity);
        if (atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) != 1) {
            return;
        }
        identity = own->base;
        alk_free(own->mem, own);
    }
}

struct alk_span alk_identity_id(const struct alk_identity *identity)
{
    return identity == NULL ? (struct alk_span){NULL, 0} : identity->id;
}

size_t alk_identity_scope_count(const struct alk_identity *identity)
{
    return identity == NULL ? 0 : identity->scope_count;
}

struct alk_span alk_identity_scope(const struct alk_identity *identity, size_t i)
{
    return identity == NULL || i >= identity->scope_count ? (struct alk_span){NULL, 0}
                                                          : identity->scopes[i];
}

bool alk_identity_has_scope(const struct alk_identity *identity, struct alk_span scope)
{
    /* They are valid however it was made: spec_check refuses others, here and from the
     * wire, and what narrowing leaves is covered by one, which only valid ones are. */
    return identity != NULL &&
           alk_scopes_valid_hold(identity->scopes, identity->scope_count, scope);
}

bool alk_identity_may(const struct alk_identity *identity, struct alk_span type,
                      struct alk_span name, struct alk_span action, struct alk_span ref)
{
    for (size_t i = 0; identity != NULL && i < identity->grant_count; i++) {
        if (alk_grant_allows(&identity->grants[i], type, name, action, ref)) {
            return true;
        }
    }
    return false;
}

bool alk_identity_is_disabled(const struct alk_identity *identity)
{
    return identity != NULL && identity->is_disabled;
}

size_t alk_identity_grant_count(const struct alk_identity *identity)
{
    return identity == NULL ? 0 : identity->grant_count;
}

const struct alk_grant *alk_identity_grant(const struct alk_identity *identity, size_t i)
{
    ALK_ASSERT(i < alk_identity_grant_count(identity));
    return &identity->grants[i];
}

static void put_spans(struct alk_wr *w, const struct alk_span *spans, size_t n)
{
    alk_wr_u8(w, (uint8_t)n);
    for (size_t i = 0; i < n; i++) {
        alk_wr_block8(w, spans[i]);
    }
}

void alk_identity_put(struct alk_wr *w, const struct alk_identity *identity)
{
    size_t at = alk_wr_hole(w, 4);
    alk_wr_u8(w, identity->is_disabled ? 1 : 0);
    alk_wr_block8(w, identity->id);
    put_spans(w, identity->scopes, identity->scope_count);
    alk_wr_u16(w, (uint16_t)identity->grant_count);
    for (size_t i = 0; i < identity->grant_count; i++) {
        const struct alk_grant *g = &identity->grants[i];
        alk_wr_block8(w, g->type);
        alk_wr_block8(w, g->name);
        put_spans(w, g->actions, g->action_count);
        put_spans(w, g->refs, g->ref_count);
    }
    alk_wr_fill(w, at, 4);
}

/* What alk_identity_get reads into before the identity is made. */
struct wire_spec {
    struct alk_span scopes[ALK_SCOPES_NARROWED_MAX];
    struct alk_grant grants[ALK_GRANTS_MAX];
    struct alk_span words[ALK_GRANTS_MAX][ALK_GRANT_ACTIONS_MAX + ALK_GRANT_REFS_MAX];
};

static size_t get_spans(struct alk_rd *r, struct alk_span *ret, size_t max)
{
    size_t n = alk_rd_u8(r);
    if (n > max) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return 0;
    }
    for (size_t i = 0; i < n && r->err == ALK_OK; i++) {
        ret[i] = alk_rd_block8(r);
    }
    return n;
}

static void get_grants(struct alk_rd *r, struct wire_spec *tmp, struct alk_identity_spec *spec)
{
    spec->grants = tmp->grants;
    spec->grant_count = alk_rd_u16(r);
    if (spec->grant_count > ALK_GRANTS_MAX) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return;
    }
    for (size_t i = 0; i < spec->grant_count && r->err == ALK_OK; i++) {
        struct alk_grant *g = &tmp->grants[i];
        g->type = alk_rd_block8(r);
        g->name = alk_rd_block8(r);
        g->actions = tmp->words[i];
        g->action_count = get_spans(r, tmp->words[i], ALK_GRANT_ACTIONS_MAX);
        g->refs = tmp->words[i] + g->action_count;
        g->ref_count = get_spans(r, tmp->words[i] + g->action_count, ALK_GRANT_REFS_MAX);
    }
}

static alk_err get_body(const struct alk_mem *mem, struct alk_span body, struct wire_spec *tmp,
                        const struct alk_identity **ret)
{
    struct alk_rd r = alk_rd(body);
    struct alk_identity_spec spec = {.scopes = tmp->scopes};
    uint8_t flags = alk_rd_u8(&r);
    spec.is_disabled = flags == 1;
    spec.id = alk_rd_block8(&r);
    spec.scope_count = get_spans(&r, tmp->scopes, ALK_SCOPES_NARROWED_MAX);
    get_grants(&r, tmp, &spec);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0 || flags > 1 ||
        spec_check(&spec, ALK_SCOPES_NARROWED_MAX, NULL, 0) != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    struct alk_identity *identity = NULL;
    ALK_TRY(identity_make(mem, &spec, &identity));
    *ret = identity;
    return ALK_OK;
}

alk_err alk_identity_get(const struct alk_mem *mem, struct alk_rd *r,
                         const struct alk_identity **ret)
{
    struct alk_rd t = *r;
    struct alk_span body = alk_rd_block32(&t, ALK_IDENTITY_WIRE_MAX);
    if (t.err != ALK_OK) {
        return t.err;
    }
    /* Too large for a loop's stack. */
    struct wire_spec *tmp = ALK_NEW(mem, struct wire_spec);
    if (tmp == NULL) {
        return ALK_E_NOMEM;
    }
    alk_err err = get_body(mem, body, tmp, ret);
    alk_free(mem, tmp);
    if (err == ALK_OK) {
        *r = t;
    }
    return err;
}
