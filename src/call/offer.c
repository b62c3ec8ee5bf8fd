/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Workers: services/offer at the node, alk_peer_offer at the worker. */
#include "base/mem.h"
#include "call/relay.h"
#include "core/auth/identity.h"
#include "core/frame.h"
#include "ops/out.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

/* Operations that one connection may offer. */
#define OFFERS_MAX 1024
#define NAMES_MAX  64 /* bytes of a namespace */

/* What a node keeps for itself. */
static const char *const reserved[] = {"services", "node", "events", "fs",
                                       "auth",     "git",  "secret", "call"};

/* --- settings -------------------------------------------------------------- */

static const char *const mode_values[] = {"identity", "none", NULL};
static const struct alk_conf_row scope_row[] = {
    {.name = "scope", .type = ALK_CONF_STRING, .min = 1, .max = ALK_SCOPE_MAX}, {.name = NULL}};
static const struct alk_conf_row require_rows[] = {
    {.name = "mode",
     .type = ALK_CONF_ENUM,
     .values = mode_values,
     .fallback = "identity",
     .help = "identity: a known peer; none: anybody."},
    {.name = "scopes",
     .type = ALK_CONF_LIST,
     .sub = scope_row,
     .max = ALK_SCOPES_MAX,
     .fallback = "[]",
     .scalar_ok = true,
     .help = "Scopes that the caller needs, all of them."},
    {.name = NULL}};
static const struct alk_conf_row worker_rows[] = {
    {.name = "namespace",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = NAMES_MAX - 1,
     .is_required = true,
     .help = "The first part of the operations' names."},
    {.name = "require",
     .type = ALK_CONF_MAP,
     .sub = require_rows,
     .scalar_ok = true,
     .fallback = "identity",
     .help = "Who may call them; never widened by the worker itself."},
    {.name = NULL}};
const struct alk_conf_row alk_workers_rows[] = {
    {.name = "worker", .type = ALK_CONF_MAP, .sub = worker_rows}, {.name = NULL}};

struct workers {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    pthread_mutex_t lock; /* of rules: offers come on every loop */
    const struct alk_conf *rules;
};

/* What one services/offer rests on: the right of who asked, and the rules. */
struct alk_offer_grant {
    struct alk_link in; /* offers->grants */
    const struct alk_mem *mem;
    struct alk_offers *offers; /* NULL: over, and freed when its token was looked up */
    char name_space[NAMES_MAX];
    char *token; /* NULL: the connection's identity; secret */
    size_t token_n;
    const struct alk_conf *rules; /* a reference */
    char *operations;             /* own: what was offered, as JSON */
    size_t operations_n;
    char source[ALK_ID_MAX + 1];
    bool is_resolving;
    bool is_withdrawn; /* the right to offer is gone, and may come back */
};

/* --- offers ---------------------------------------------------------------- */

struct alk_offers *alk_offers_ref(struct alk_offers *offers)
{
    (void)atomic_fetch_add(&offers->refs, 1);
    return offers;
}

void alk_offers_unref(struct alk_offers *offers)
{
    if (atomic_fetch_sub(&offers->refs, 1) == 1) {
        alk_free(offers->mem, offers);
    }
}

static struct alk_offers *offers_of(struct alk_peer *peer, struct workers *w)
{
    if (peer->offers == NULL) {
        struct alk_offers *o = ALK_NEW(peer->mem, struct alk_offers);
        if (o == NULL) {
            return NULL;
        }
        atomic_init(&o->refs, 1);
        o->mem = peer->mem;
        o->loop = peer->loop;
        o->registry = w->ops;
        o->workers = w;
        o->peer = peer;
        alk_list_init(&o->ops);
        alk_list_init(&o->grants);
        peer->offers = o;
    }
    return peer->offers;
}

/* The registry let go of it; from any thread. */
static void offer_release(void *ctx)
{
    struct alk_offer_op *op = (struct alk_offer_op *)ctx;
    struct alk_offers *offers = op->offers;
    alk_free(offers->mem, op);
    alk_offers_unref(offers);
}

static void remove_op(struct alk_offers *offers, struct alk_offer_op *op)
{
    alk_list_remove(&op->in);
    offers->count--;
    alk_ops_remove_remote(offers->registry, op->provider);
}

static void grant_free(struct alk_offer_grant *g)
{
    alk_list_remove(&g->in);
    alk_conf_unref(g->rules);
    g->rules = NULL;
    g->offers = NULL;
    if (g->is_resolving) {
        return;
    }
    if (g->token != NULL) {
        alk_free_secret(g->mem, g->token, g->token_n);
    }
    alk_free(g->mem, g->operations);
    alk_free(g->mem, g);
}

/* All that was offered by it. */
static void withdraw(struct alk_offer_grant *g)
{
    struct alk_offers *offers = g->offers;
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&offers->ops); e != NULL; e = next) {
        struct alk_offer_op *op = ALK_CONTAINER(e, struct alk_offer_op, in);
        next = alk_list_next(&offers->ops, e);
        if (op->grant == g) {
            remove_op(offers, op);
        }
    }
}

/* And itself. */
static void take_back(struct alk_offer_grant *g)
{
    withdraw(g);
    grant_free(g);
}

void alk_offers_end(struct alk_peer *peer)
{
    struct alk_offers *offers = peer->offers;
    if (offers != NULL) {
        peer->offers = NULL;
        offers->peer = NULL;
        struct alk_link *e;
        while ((e = alk_list_first(&offers->grants)) != NULL) {
            take_back(ALK_CONTAINER(e, struct alk_offer_grant, in));
        }
        alk_offers_unref(offers);
    }
}

/* --- services/offer -------------------------------------------------------- */

/* Texts of one offered operation; freed as a whole. */
struct offered {
    struct alk_op op;
    char name[ALK_OP_NAME_MAX + 1];
    char *input, *output; /* yyjson's heap */
    struct alk_op_error errors[33];
    const char *scopes[ALK_SCOPES_MAX + 1];
};

static void offered_fini(struct offered *o)
{
    free(o->input);
    free(o->output);
    for (size_t i = 0; o->errors[i].code != NULL; i++) {
        free((void *)(uintptr_t)o->errors[i].details);
    }
}

static enum alk_op_kind kind_of(const char *text)
{
    if (strcmp(text, "mutation") == 0) {
        return ALK_OP_MUTATION;
    }
    return strcmp(text, "subscription") == 0 ? ALK_OP_SUBSCRIPTION : ALK_OP_QUERY;
}

/* NULL when absent; false: no memory. */
static bool schema_text(struct yyjson_val *v, char **ret)
{
    *ret = v == NULL ? NULL : yyjson_val_write(v, 0, NULL);
    return v == NULL || *ret != NULL;
}

static bool read_errors(struct yyjson_val *list, struct offered *o)
{
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(list, i, max, one)
    {
        char *details = NULL;
        bool is_ok = schema_text(yyjson_obj_get(one, "details"), &details);
        o->errors[i] =
            (struct alk_op_error){.code = yyjson_get_str(yyjson_obj_get(one, "code")),
                                  .summary = yyjson_get_str(yyjson_obj_get(one, "summary")),
                                  .details = details};
        if (!is_ok) {
            return false;
        }
    }
    return true;
}

/* Who may call it: what the node's settings say about the namespace. The input goes to the
 * worker as it came. */
static void read_rule(const struct alk_conf *rules, const char *name_space, struct offered *o)
{
    o->op.flags |= ALK_OP_TEXT_INPUT;
    for (size_t i = 0; i < alk_conf_count(rules); i++) {
        const struct alk_conf *rule = alk_conf_at(rules, i);
        const struct alk_conf *require = alk_conf_get(rule, "require");
        const struct alk_conf *scopes = alk_conf_get(require, "scopes");
        if (strcmp(alk_conf_get_str(rule, "namespace"), name_space) != 0) {
            continue;
        }
        if (strcmp(alk_conf_get_str(require, "mode"), "none") == 0) {
            o->op.flags |= ALK_OP_PUBLIC;
        }
        for (size_t k = 0; k < alk_conf_count(scopes) && k < ALK_SCOPES_MAX; k++) {
            o->scopes[k] = alk_conf_str(alk_conf_at(scopes, k));
        }
        if (alk_conf_count(scopes) > 0) {
            o->op.flags &= ~(unsigned)ALK_OP_PUBLIC;
            o->op.access.all_scopes = o->scopes;
        }
        return;
    }
}

/* ALK_E_INVALID with a sentence in why. */
static alk_err read_offered(struct yyjson_val *v, const char *name_space, struct offered *o,
                            char *why, size_t why_size)
{
    const char *name = yyjson_get_str(yyjson_obj_get(v, "name"));
    const char *summary = yyjson_get_str(yyjson_obj_get(v, "summary"));
    size_t n = strlen(name_space);

    if (strncmp(name, name_space, n) != 0 || name[n] != '/' ||
        !alk_span_cstr(alk_span_str(name), o->name, sizeof o->name)) {
        (void)snprintf(why, why_size, "%.128s does not begin with %s/", name, name_space);
        return ALK_E_INVALID;
    }
    if (!schema_text(yyjson_obj_get(v, "input"), &o->input) ||
        !schema_text(yyjson_obj_get(v, "output"), &o->output) ||
        !read_errors(yyjson_obj_get(v, "errors"), o)) {
        return ALK_E_NOMEM;
    }
    o->op.struct_size = sizeof o->op;
    o->op.name = o->name;
    o->op.summary = summary == NULL ? "" : summary;
    o->op.help = yyjson_get_str(yyjson_obj_get(v, "help"));
    o->op.kind = kind_of(yyjson_get_str(yyjson_obj_get(v, "kind")));
    o->op.input = o->input;
    o->op.output = o->output;
    o->op.errors = o->errors;
    o->op.fn = alk_relay_start;
    o->op.release = offer_release;
    return ALK_OK;
}

static alk_err add_offered(const struct alk_offer_grant *g, const struct offered *o,
                           const char *source, char *why, size_t why_size)
{
    struct alk_offers *offers = g->offers;
    struct alk_offer_op *op = ALK_NEW(offers->mem, struct alk_offer_op);
    if (op == NULL) {
        return ALK_E_NOMEM;
    }
    if (offers->count >= OFFERS_MAX) {
        alk_free(offers->mem, op);
        (void)snprintf(why, why_size, "one connection may offer %u operations", OFFERS_MAX);
        return ALK_E_LIMIT;
    }
    op->offers = alk_offers_ref(offers);
    op->grant = g;
    struct alk_op_provider *provider = NULL;
    alk_err err =
        alk_ops_add_remote(offers->registry, &o->op, source, op, why, why_size, &provider);
    if (err == ALK_OK) {
        op->provider = provider;
        alk_list_append(&offers->ops, &op->in);
        offers->count++;
    }
    return err; /* a failure has released op */
}

static const struct alk_conf *rules_of(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    const struct alk_conf *rules = alk_conf_ref(w->rules);
    (void)pthread_mutex_unlock(&w->lock);
    return rules;
}

static alk_err offer_all(const struct alk_offer_grant *g, struct yyjson_val *list,
                         const char *source, char *why, size_t why_size)
{
    size_t i, max;
    struct yyjson_val *one;
    alk_err err = ALK_OK;

    yyjson_arr_foreach(list, i, max, one)
    {
        struct offered o;
        memset(&o, 0, sizeof o);
        err = read_offered(one, g->name_space, &o, why, why_size);
        if (err == ALK_OK) {
            read_rule(g->rules, g->name_space, &o);
            err = add_offered(g, &o, source, why, why_size);
        }
        offered_fini(&o);
        if (err != ALK_OK) {
            break;
        }
    }
    return err;
}

static bool grant_keep(struct alk_offer_grant *g, struct yyjson_val *operations)
{
    char *text = yyjson_val_write(operations, 0, &g->operations_n);
    if (text != NULL) {
        g->operations = alk_strdup_span(g->mem, alk_span(text, g->operations_n));
        free(text);
    }
    return g->operations != NULL;
}

static struct alk_offer_grant *grant_new(struct alk_offers *offers, const char *name_space,
                                         struct alk_span token, struct yyjson_val *operations)
{
    struct alk_offer_grant *g = ALK_NEW(offers->mem, struct alk_offer_grant);
    if (g == NULL) {
        return NULL;
    }
    g->mem = offers->mem;
    g->offers = offers;
    (void)snprintf(g->name_space, sizeof g->name_space, "%s", name_space);
    if (token.n > 0) {
        g->token = alk_strdup_span(g->mem, token);
        g->token_n = token.n;
    }
    if (!grant_keep(g, operations) || (token.n > 0 && g->token == NULL)) {
        grant_free(g);
        return NULL;
    }
    g->rules = rules_of(offers->workers);
    alk_list_append(&offers->grants, &g->in);
    return g;
}

/* --- when rights or rules change ------------------------------------------- */

static void scope_of(const char *name_space, char ret[static NAMES_MAX + 8])
{
    (void)snprintf(ret, NAMES_MAX + 8, "offer:%s", name_space);
}

static bool is_same_rule(const struct offered *a, const struct offered *b)
{
    size_t i = 0;
    while (a->scopes[i] != NULL && b->scopes[i] != NULL &&
           strcmp(a->scopes[i], b->scopes[i]) == 0) {
        i++;
    }
    return a->scopes[i] == b->scopes[i] && a->op.flags == b->op.flags;
}

/* The operation under another rule, at the end of the list. One that cannot be is
 * offered no more. */
static void guard(struct alk_offer_op *old, const struct offered *rule)
{
    struct alk_offers *offers = old->offers;
    struct alk_op_provider *provider = old->provider;
    struct alk_offer_op *op = ALK_NEW(offers->mem, struct alk_offer_op);
    if (op == NULL) {
        remove_op(offers, old);
        return;
    }
    op->offers = alk_offers_ref(offers);
    op->grant = old->grant;
    alk_list_remove(&old->in); /* the registry lets go of it */
    alk_err err = alk_ops_guard_remote(offers->registry, provider, rule->op.flags, &rule->op.access,
                                       op, &op->provider);
    if (err == ALK_OK) {
        alk_list_append(&offers->ops, &op->in);
        return;
    }
    offer_release(op);
    remove_op(offers, old);
}

static void apply_rules(struct alk_offer_grant *g, const struct alk_conf *rules)
{
    struct alk_offers *offers = g->offers;
    const struct alk_conf *old = g->rules;
    struct offered was, is;

    memset(&was, 0, sizeof was);
    memset(&is, 0, sizeof is);
    read_rule(old, g->name_space, &was);
    read_rule(rules, g->name_space, &is);
    bool is_same = is_same_rule(&was, &is);
    struct alk_link *next = is_same ? NULL : alk_list_first(&offers->ops);
    for (size_t i = offers->count; i > 0 && next != NULL; i--) { /* not the new ones */
        struct alk_offer_op *op = ALK_CONTAINER(next, struct alk_offer_op, in);
        next = alk_list_next(&offers->ops, next);
        if (op->grant == g) {
            guard(op, &is);
        }
    }
    g->rules = alk_conf_ref(rules);
    alk_conf_unref(old);
}

/* The right has come back: the worker is still there, and knows nothing of all this. What
 * stands in the way (a name that is another's by now) may be gone at the next change. */
static void restore(struct alk_offer_grant *g)
{
    struct yyjson_doc *doc = NULL;
    char why[256];

    alk_err err = alk_json_parse(alk_span(g->operations, g->operations_n), &doc);
    if (err == ALK_OK) {
        err = offer_all(g, yyjson_doc_get_root(doc), g->source, why, sizeof why);
    }
    yyjson_doc_free(doc);
    g->is_withdrawn = err != ALK_OK;
    if (err != ALK_OK) {
        withdraw(g);
    }
}

static void judge(struct alk_offer_grant *g, const struct alk_identity *identity)
{
    char scope[NAMES_MAX + 8];
    scope_of(g->name_space, scope);
    bool may = identity != NULL && !alk_identity_is_disabled(identity) &&
               alk_identity_has_scope(identity, alk_span_str(scope));

    if (!may) {
        withdraw(g);
        g->is_withdrawn = true;
    } else if (g->is_withdrawn) {
        restore(g);
    }
}

static void on_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct alk_offer_grant *g = (struct alk_offer_grant *)ctx;
    (void)generation;

    g->is_resolving = false;
    if (g->offers == NULL) {
        grant_free(g);
    } else if (err != ALK_E_UNAVAILABLE) {
        judge(g, err == ALK_OK ? identity : NULL);
    }
}

void alk_offers_recheck(struct alk_peer *peer)
{
    struct alk_offers *offers = peer->offers;
    struct alk_link *next;

    if (offers == NULL || peer->conn == NULL) {
        return;
    }
    const struct alk_conf *rules = rules_of(offers->workers);
    for (struct alk_link *e = alk_list_first(&offers->grants); e != NULL; e = next) {
        struct alk_offer_grant *g = ALK_CONTAINER(e, struct alk_offer_grant, in);
        next = alk_list_next(&offers->grants, e);
        apply_rules(g, rules);
        if (g->token == NULL) {
            judge(g, alk_conn_auth(peer->conn)->identity);
        } else if (!g->is_resolving) {
            const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                                 .token = alk_span(g->token, g->token_n)};
            g->is_resolving = true;
            alk_conn_recheck(peer->conn, "token", &query, on_resolved, g);
        }
    }
    alk_conf_unref(rules);
}

/* --- the operation --------------------------------------------------------- */

static bool is_reserved(const char *name_space)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(reserved[i], name_space) == 0) {
            return true;
        }
    }
    return false;
}

static void fail_offer(struct alk_request *r, alk_err err, const char *why)
{
    if (err == ALK_E_EXISTS) {
        alk_request_fail(r, ALK_OPS_CONFLICT, why);
    } else if (err == ALK_E_INVALID || err == ALK_E_MALFORMED || err == ALK_E_TOO_BIG) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT, why);
    } else {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, why[0] == '\0' ? NULL : why);
    }
}

static void run_offer(void *ctx, struct alk_request *r)
{
    struct workers *w = (struct workers *)ctx;
    struct alk_peer *peer = alk_peer_of_request(r);
    struct yyjson_val *input = alk_request_value(r);
    char name_space[NAMES_MAX] = "", scope[NAMES_MAX + 8];
    char why[256] = "";

    (void)alk_span_cstr(alk_input_text(r, "namespace", ""), name_space, sizeof name_space);
    scope_of(name_space, scope);
    if (peer == NULL) {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, "operations are offered over alknet/call itself");
        return;
    }
    if (is_reserved(name_space)) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "this namespace is the node's own");
        return;
    }
    if (!alk_request_has_scope(r, scope)) {
        (void)snprintf(why, sizeof why, "this needs the scope %s", scope);
        alk_request_fail(r, ALK_OPS_FORBIDDEN, why);
        return;
    }
    struct alk_offers *offers = offers_of(peer, w);
    struct yyjson_val *operations = yyjson_obj_get(input, "operations");
    struct alk_offer_grant *g =
        offers == NULL
            ? NULL
            : grant_new(offers, name_space, alk_peer_credential_of_request(r), operations);
    if (g == NULL) {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
        return;
    }
    (void)alk_span_cstr(alk_identity_id(alk_request_caller(r)), g->source, sizeof g->source);
    size_t before = offers->count;
    alk_err err = offer_all(g, operations, g->source, why, sizeof why);
    if (err != ALK_OK) {
        take_back(g);
        fail_offer(r, err, why);
        return;
    }
    struct alk_out *out = alk_request_out(r);
    alk_out_object(out);
    alk_out_key(out, "offered");
    alk_out_u64(out, offers->count - before);
    alk_out_end(out);
    (void)alk_request_respond(r);
}

#define NAME_PATTERN "\"^[a-z0-9_-]{1,63}$\""
static const char offer_input[] =
    "{\"type\":\"object\",\"required\":[\"namespace\",\"operations\"],\"properties\":{"
    "\"namespace\":{\"type\":\"string\",\"pattern\":" NAME_PATTERN ","
    "\"description\":\"first part of the names\"},"
    "\"operations\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":256,\"items\":{"
    "\"type\":\"object\",\"required\":[\"name\",\"kind\"],\"properties\":{"
    "\"name\":{\"type\":\"string\",\"maxLength\":128},"
    "\"kind\":{\"enum\":[\"query\",\"mutation\",\"subscription\"]},"
    "\"summary\":{\"type\":\"string\",\"maxLength\":200},"
    "\"help\":{\"type\":\"string\",\"maxLength\":4096},"
    "\"input\":{\"type\":[\"object\",\"boolean\"]},\"output\":{\"type\":[\"object\",\"boolean\"]},"
    "\"errors\":{\"type\":\"array\",\"maxItems\":32,\"items\":{\"type\":\"object\","
    "\"required\":[\"code\"],\"properties\":{"
    "\"code\":{\"type\":\"string\",\"pattern\":\"^[A-Z][A-Z0-9_]{0,63}$\"},"
    "\"summary\":{\"type\":\"string\",\"maxLength\":200},"
    "\"details\":{\"type\":[\"object\",\"boolean\"]}}}}}}}}}";

static const struct alk_op offer_op = {
    .struct_size = sizeof(struct alk_op),
    .name = "services/offer",
    .summary = "offers operations of this connection's other side to everybody",
    .help = "The operations are there until the connection ends. Their names begin with the "
            "namespace, for which the scope offer:NAMESPACE is needed. Several workers may offer "
            "the same operation with equal schemas: they share the calls.",
    .kind = ALK_OP_MUTATION,
    .input = offer_input,
    .output = "{\"type\":\"object\",\"required\":[\"offered\"],\"properties\":"
              "{\"offered\":{\"type\":\"integer\"}}}",
    .fn = run_offer};

/* --- the part -------------------------------------------------------------- */

static alk_err workers_start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct workers *w = ALK_NEW(env->mem, struct workers);
    if (w == NULL) {
        return ALK_E_NOMEM;
    }
    w->mem = env->mem;
    w->ops = env->ops;
    (void)pthread_mutex_init(&w->lock, NULL);
    alk_err err = alk_ops_add(w->ops, &offer_op, w, why, why_size);
    if (err != ALK_OK) {
        (void)pthread_mutex_destroy(&w->lock);
        alk_free(w->mem, w);
        return err;
    }
    *ret = w;
    return ALK_OK;
}

static alk_err workers_prepare(void *part, const struct alk_conf *section, char *why,
                               size_t why_size, void **ret_next)
{
    (void)part;
    (void)why;
    (void)why_size;
    /* A tree is never written to: the cast only takes it through `void *`. */
    *ret_next = (void *)(uintptr_t)alk_conf_ref(section);
    return ALK_OK;
}

static void workers_commit(void *part, void *next)
{
    struct workers *w = (struct workers *)part;
    (void)pthread_mutex_lock(&w->lock);
    const struct alk_conf *old = w->rules;
    w->rules = (const struct alk_conf *)next;
    (void)pthread_mutex_unlock(&w->lock);
    alk_conf_unref(old);
}

static void workers_drop(void *part, void *next)
{
    (void)part;
    alk_conf_unref((const struct alk_conf *)next);
}

static void workers_stop(void *part)
{
    struct workers *w = (struct workers *)part;
    (void)alk_ops_remove(w->ops, offer_op.name);
    alk_conf_unref(w->rules);
    (void)pthread_mutex_destroy(&w->lock);
    alk_free(w->mem, w);
}

const struct alk_part alk_workers_part = {.section = "workers",
                                          .start = workers_start,
                                          .prepare = workers_prepare,
                                          .commit = workers_commit,
                                          .drop = workers_drop,
                                          .stop = workers_stop};

/* --- the worker's side ----------------------------------------------------- */

static void put_schema(struct alk_out *out, const char *name, const char *text)
{
    if (text != NULL) {
        alk_out_key(out, name);
        alk_out_json(out, alk_span_str(text));
    }
}

static bool put_offered(void *ctx, const struct alk_op_info *info)
{
    static const char *const kinds[] = {"query", "mutation", "subscription"};
    struct alk_out *out = (struct alk_out *)ctx;
    const struct alk_op *op = info->op;

    alk_out_object(out);
    alk_out_key(out, "name");
    alk_out_text(out, op->name);
    alk_out_key(out, "kind");
    alk_out_text(out, kinds[op->kind]);
    alk_out_key(out, "summary");
    alk_out_text(out, op->summary == NULL ? "" : op->summary);
    if (op->help != NULL) {
        alk_out_key(out, "help");
        alk_out_text(out, op->help);
    }
    put_schema(out, "input", op->input);
    put_schema(out, "output", op->output);
    if (op->errors != NULL && op->errors[0].code != NULL) {
        alk_out_key(out, "errors");
        alk_out_array(out);
        for (const struct alk_op_error *e = op->errors; e->code != NULL; e++) {
            alk_out_object(out);
            alk_out_key(out, "code");
            alk_out_text(out, e->code);
            alk_out_key(out, "summary");
            alk_out_text(out, e->summary == NULL ? "" : e->summary);
            put_schema(out, "details", e->details);
            alk_out_end(out);
        }
        alk_out_end(out);
    }
    alk_out_end(out);
    return true;
}

alk_err alk_peer_offer(struct alk_peer *peer, const char *name_space,
                       const struct alk_answers *answers, void *ctx, struct alk_call **ret)
{
    char prefix[NAMES_MAX + 1];
    struct alk_out out;
    struct alk_span input = {0};

    int n = snprintf(prefix, sizeof prefix, "%s/", name_space);
    if (peer->ops == NULL || n < 2 || (size_t)n >= sizeof prefix) {
        return ALK_E_INVALID;
    }
    alk_out_init(&out, peer->mem, ALK_OPS_INPUT_MAX);
    alk_out_object(&out);
    alk_out_key(&out, "namespace");
    alk_out_text(&out, name_space);
    alk_out_key(&out, "operations");
    alk_out_array(&out);
    alk_err err = alk_ops_each_offered(peer->ops, alk_span_str(prefix), put_offered, &out);
    alk_out_end(&out);
    alk_out_end(&out);
    if (err == ALK_OK) {
        err = alk_out_done(&out, &input);
    }
    if (err == ALK_OK) {
        const struct alk_ask ask = {.struct_size = sizeof ask, .op = offer_op.name, .input = input};
        err = alk_peer_call(peer, &ask, answers, ctx, ret);
    }
    alk_out_fini(&out);
    return err;
}
