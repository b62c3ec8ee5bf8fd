/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* auth/enroll and auth/invite: how a machine that nobody knows becomes a peer.
 *
 * The key that is enrolled is the one that this connection's TLS proved, never one in
 * the payload. The invitation travels as `auth_token`, which this operation alone does
 * not take for an identity's. Both run on the endpoint's first loop, one at a time, in
 * one transaction of the store: an invitation is good once, however many ask at once. */
#include "call/peer.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/auth/token.h"
#include "core/endpoint.h"
#include "ops/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

struct enroll_part {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    struct alk_endpoint *endpoint;
};

/* One question to the store, on its way to the first loop and back. */
struct errand {
    const struct alk_mem *mem;
    struct alk_endpoint *endpoint;
    const char *operation;
    struct alk_request *request;
    struct alk_loop *loop; /* the request's */
    struct alk_buf input;  /* JSON; holds secrets */
    struct alk_buf output;
    struct alk_timer timer;
    bool is_done;
    alk_err err;
    char why[512];
};

static void errand_free(struct errand *e)
{
    alk_buf_fini_secret(&e->input);
    alk_buf_fini_secret(&e->output);
    alk_free(e->mem, e);
}

static const char *code_of(alk_err err)
{
    switch ((int)err) {
    case ALK_E_AUTH:
        return ALK_OPS_UNAUTHENTICATED;
    case ALK_E_EXISTS:
    case ALK_E_CONFIG: /* the key or id is taken in the configuration */
        return ALK_OPS_CONFLICT;
    case ALK_E_INVALID:
        return ALK_OPS_INVALID_INPUT;
    case ALK_E_NOENT:
        return ALK_OPS_NOT_FOUND;
    default:
        return ALK_OPS_UNAVAILABLE;
    }
}

/* Back on the request's loop. */
static void on_answer(void *arg)
{
    struct errand *e = (struct errand *)arg;
    struct alk_request *r = e->request;
    struct alk_peer *peer = alk_peer_of_request(r);

    if (e->err == ALK_OK) {
        alk_out_json(alk_request_out(r), alk_buf_span(&e->output));
        (void)alk_request_respond(r);
    } else {
        if (e->err == ALK_E_AUTH && peer != NULL && peer->conn != NULL) {
            alk_conn_count_failure(peer->conn, "invitation", "unknown");
        }
        alk_request_fail(r, code_of(e->err), e->why);
    }
    errand_free(e);
}

static void ask_store(struct errand *e)
{
    struct yyjson_doc *in =
        yyjson_read((const char *)alk_buf_span(&e->input).p, alk_buf_len(&e->input), 0);
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = NULL;
    size_t n = 0;

    e->err = in == NULL || doc == NULL ? ALK_E_NOMEM : ALK_OK;
    if (e->err == ALK_OK) {
        e->err = alk_endpoint_auth_op(e->endpoint, e->operation, yyjson_doc_get_root(in), doc,
                                      e->why, sizeof e->why, &out);
    }
    if (e->err == ALK_OK) {
        char *text = yyjson_mut_val_write(out, 0, &n);
        e->err = text == NULL ? ALK_E_NOMEM : alk_buf_put(&e->output, alk_span(text, n));
        if (text != NULL) {
            alk_wipe(text, n);
        }
        free(text);
    }
    yyjson_doc_free(in);
    yyjson_mut_doc_free(doc);
}

static void on_errand(void *arg);

static void on_errand_timer(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    on_errand(ctx);
}

/* On the endpoint's first loop. The answer must arrive: without room among the posts
 * it is tried again, a turn later. */
static void on_errand(void *arg)
{
    struct errand *e = (struct errand *)arg;
    if (!e->is_done) {
        ask_store(e);
        e->is_done = true;
    }
    if (alk_post(e->loop, on_answer, e) != ALK_OK) {
        e->timer.fn = on_errand_timer;
        e->timer.ctx = e;
        alk_timer_set(alk_endpoint_loop(e->endpoint), &e->timer,
                      alk_loop_now(alk_endpoint_loop(e->endpoint)) + 50 * ALK_MS);
    }
}

static struct errand *errand_new(const struct enroll_part *part, struct alk_request *r,
                                 const char *operation)
{
    struct errand *e = ALK_NEW(part->mem, struct errand);
    if (e != NULL) {
        e->mem = part->mem;
        e->endpoint = part->endpoint;
        e->operation = operation;
        e->request = r;
        e->loop = alk_request_loop(r);
        alk_buf_init(&e->input, part->mem, 65536);
        alk_buf_init(&e->output, part->mem, 65536);
    }
    return e;
}

static void send_errand(struct errand *e, struct alk_request *r)
{
    if (alk_post(alk_endpoint_loop(e->endpoint), on_errand, e) != ALK_OK) {
        errand_free(e);
        alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
    }
}

/* --- auth/enroll ------------------------------------------------------------------------ */

/* Any name of the key that TLS proved; an X.509 certificate is known by its key. */
static const char *proved_key(const struct alk_auth_context *auth)
{
    return auth == NULL || auth->cert_kind == ALK_CERT_NONE || auth->fingerprints[0][0] == '\0'
               ? NULL
               : auth->fingerprints[0];
}

static void run_enroll(void *ctx, struct alk_request *r)
{
    const struct enroll_part *part = (const struct enroll_part *)ctx;
    struct alk_span token = alk_peer_token_of_request(r);
    const char *key = proved_key(alk_request_auth(r));
    struct alk_span prefix;

    if (key == NULL) {
        alk_request_fail(r, ALK_OPS_UNAUTHENTICATED,
                         "this connection showed no key that could be enrolled");
        return;
    }
    if (!alk_token_parse(token, &prefix)) {
        alk_request_fail(r, ALK_OPS_UNAUTHENTICATED,
                         "an invitation goes with the call as its auth_token");
        return;
    }
    struct errand *e = errand_new(part, r, "auth/enroll");
    if (e == NULL) {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
        return;
    }
    /* Both are of [A-Za-z0-9_:/+] alone: nothing to escape. */
    (void)alk_buf_reserve(&e->input, 512);
    (void)alk_buf_printf(&e->input, "{\"token\":\"" ALK_SPAN_FMT "\",\"key\":\"%s\"}",
                         ALK_SPAN_ARG(token), key);
    send_errand(e, r);
}

static const struct alk_op enroll_op = {
    .struct_size = sizeof(struct alk_op),
    .name = "auth/enroll",
    .summary = "makes the caller's key one of a peer, with an invitation",
    .help = "The invitation is the call's auth_token. The key is the one that this connection's "
            "TLS handshake proved. An invitation is good once.",
    .kind = ALK_OP_MUTATION,
    .flags = ALK_OP_PUBLIC,
    .input = "{\"type\":\"object\",\"maxProperties\":0}",
    .output = "{\"type\":\"object\",\"required\":[\"id\",\"scopes\"],\"properties\":{"
              "\"id\":{\"type\":\"string\"},\"scopes\":{\"type\":\"array\",\"items\":"
              "{\"type\":\"string\"}}}}",
    .fn = run_enroll};

/* --- auth/invite ------------------------------------------------------------------------- */

/* Nobody gives what he does not hold. */
static bool may_give(const struct alk_request *r, struct yyjson_val *scopes)
{
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(scopes, i, max, one)
    {
        if (!alk_request_has_scope(r, yyjson_get_str(one))) {
            return false;
        }
    }
    return true;
}

static void run_invite(void *ctx, struct alk_request *r)
{
    const struct enroll_part *part = (const struct enroll_part *)ctx;

    if (!may_give(r, yyjson_obj_get(alk_request_value(r), "scopes"))) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN,
                         "you can give the scopes that you hold, and no more");
        return;
    }
    if (alk_input_bool(r, "add_key", false) && !alk_request_has_scope(r, "admin")) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "keys are added to peers by an admin");
        return;
    }
    struct errand *e = errand_new(part, r, "auth/invite/new");
    if (e == NULL || alk_buf_put(&e->input, alk_request_input(r)) != ALK_OK) {
        if (e != NULL) {
            errand_free(e);
        }
        alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
        return;
    }
    send_errand(e, r);
}

static const char *const invite_scopes[] = {"invite", NULL};
static const struct alk_op invite_op = {
    .struct_size = sizeof(struct alk_op),
    .name = "auth/invite",
    .summary = "makes an invitation for a new peer",
    .kind = ALK_OP_MUTATION,
    .input = "{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,"
             "\"properties\":{"
             "\"id\":{\"type\":\"string\",\"maxLength\":64},"
             "\"scopes\":{\"type\":\"array\",\"maxItems\":64,\"items\":{\"type\":\"string\","
             "\"maxLength\":128}},"
             "\"expires\":{\"type\":\"string\",\"maxLength\":40,\"description\":\"24h, 7d, "
             "2027-01-01\"},\"add_key\":{\"type\":\"boolean\"}}}",
    .access = {.all_scopes = invite_scopes},
    .fn = run_invite};

/* --- the part ------------------------------------------------------------------------------- */

static void enroll_stop(void *part)
{
    struct enroll_part *p = (struct enroll_part *)part;
    (void)alk_ops_remove(p->ops, enroll_op.name);
    (void)alk_ops_remove(p->ops, invite_op.name);
    alk_free(p->mem, p);
}

static alk_err enroll_start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct enroll_part *p = ALK_NEW(env->mem, struct enroll_part);
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->mem = env->mem;
    p->ops = env->ops;
    p->endpoint = env->env->endpoint;
    alk_err err = ALK_OK;
    if (p->endpoint != NULL) {
        err = alk_ops_add(p->ops, &enroll_op, p, why, why_size);
    }
    if (err == ALK_OK && p->endpoint != NULL) {
        err = alk_ops_add(p->ops, &invite_op, p, why, why_size);
    }
    if (err != ALK_OK) {
        enroll_stop(p);
        return err;
    }
    *ret = p;
    return ALK_OK;
}

const struct alk_part alk_enroll_part = {.start = enroll_start, .stop = enroll_stop};
