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
#include "ops/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <yyjson.h>

struct enroll_part {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    struct alk_endpoint *endpoint;
};

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
static void on_failed(struct alk_job *job, struct alk_request *r)
{
    struct alk_peer *peer = alk_peer_of_request(r);

    if (job->err == ALK_E_AUTH && peer != NULL && peer->conn != NULL) {
        alk_conn_count_failure(peer->conn, "invitation", "unknown");
    }
    alk_request_fail(r, code_of(job->err), job->message);
}

/* An operation on the store, on the endpoint's first loop. */
static void ask_store(struct alk_job *job, const char *operation)
{
    struct alk_span input = alk_buf_span(&job->input);
    struct yyjson_doc *in = yyjson_read((const char *)input.p, input.n, 0);
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *out = NULL;
    char why[512] = "";
    char *text = NULL;
    size_t n = 0;

    alk_err err = in == NULL || doc == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        err = alk_endpoint_auth_op((struct alk_endpoint *)job->owner, operation,
                                   yyjson_doc_get_root(in), doc, why, sizeof why, &out);
    }
    if (err == ALK_OK) {
        text = yyjson_mut_val_write(out, 0, &n);
        err = text == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    if (text != NULL) {
        alk_out_json(&job->out, alk_span(text, n));
        alk_wipe(text, n);
        free(text);
    }
    yyjson_doc_free(in);
    yyjson_mut_doc_free(doc);
    alk_job_done(job, err, why[0] == '\0' ? NULL : why);
}

static void do_enroll(struct alk_job *job)
{
    ask_store(job, "auth/enroll");
}

static void do_invite(struct alk_job *job)
{
    ask_store(job, "auth/invite/new");
}

static void ask(const struct enroll_part *part, struct alk_request *r, struct alk_span input,
                void (*run)(struct alk_job *job))
{
    const struct alk_job_spec spec = {.mem = part->mem,
                                      .there = alk_endpoint_loop(part->endpoint),
                                      .owner = part->endpoint,
                                      .input = input,
                                      .run = run,
                                      .failed = on_failed};
    alk_job_ask(&spec, r);
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
    /* Both are of [A-Za-z0-9_:/+] alone: nothing to escape. */
    char input[256];
    (void)snprintf(input, sizeof input, "{\"token\":\"" ALK_SPAN_FMT "\",\"key\":\"%s\"}",
                   ALK_SPAN_ARG(token), key);
    ask(part, r, alk_span_str(input), do_enroll);
    alk_wipe(input, sizeof input);
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
    ask(part, r, alk_request_input(r), do_invite);
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
