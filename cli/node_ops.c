/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "node_ops.h"

#include "base/mem.h"
#include "core/auth/fingerprint.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "core/io/rand.h"
#include "core/store/auth_ops.h"
#include "ops/node_build.h"
#include "ops/out.h"

/* --- answers ------------------------------------------------------------------ */

struct out {
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *object;
};

static void put_u64(struct out o, const char *name, uint64_t v)
{
    (void)yyjson_mut_obj_add_uint(o.doc, o.object, name, v);
}

static void put_text(struct out o, const char *name, const char *text)
{
    (void)yyjson_mut_obj_add_strcpy(o.doc, o.object, name, text);
}

/* Answers with what was written, and ends the writer. err: of writing it. */
static void done_out(struct alk_admin_call *call, struct alk_out *out, alk_err err)
{
    struct alk_span text = {NULL, 0};
    struct yyjson_doc *doc = NULL;

    if (err == ALK_OK) {
        err = alk_out_done(out, &text);
    }
    if (err == ALK_OK) {
        /* Our own text, so no policy: a list of connections has many values. */
        doc = yyjson_read((const char *)text.p, text.n, YYJSON_READ_NOFLAG);
        err = doc == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    if (err == ALK_OK) {
        alk_admin_done(call, yyjson_val_mut_copy(alk_admin_doc(call), yyjson_doc_get_root(doc)));
    } else {
        alk_admin_fail(call, err, NULL);
    }
    yyjson_doc_free(doc);
    alk_out_fini(out);
}

/* --- info --------------------------------------------------------------------- */

static void op_info(void *ctx, struct alk_admin_call *call)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    struct alk_out out;

    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_info(&out, ep, true);
    alk_node_put_protocols(&out, ep);
    alk_out_end(&out);
    done_out(call, &out, ALK_OK);
}

/* --- status ------------------------------------------------------------------- */

struct request {
    struct alk_endpoint *ep;
    struct alk_admin_call *call;
    struct alk_node_page page; /* of the connections */
};

static struct request *new_request(void *ctx, struct alk_admin_call *call)
{
    struct request *r = ALK_NEW(NULL, struct request);
    if (r == NULL) {
        alk_admin_fail(call, ALK_E_NOMEM, NULL);
        return NULL;
    }
    r->ep = (struct alk_endpoint *)ctx;
    r->call = call;
    return r;
}

static void on_status(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct alk_out out;

    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_info(&out, r->ep, true);
    alk_node_put_protocols(&out, r->ep);
    alk_node_put_status(&out, r->ep, st);
    alk_out_end(&out);
    done_out(r->call, &out, ALK_OK);
    alk_free(NULL, r);
}

/* page NULL: without connections. */
static void ask_status(void *ctx, struct alk_admin_call *call, const struct alk_node_page *page,
                       alk_endpoint_status_fn *fn)
{
    struct request *r = new_request(ctx, call);
    if (r == NULL) {
        return;
    }
    if (page != NULL) {
        r->page = *page;
    }
    alk_err err = alk_endpoint_status(r->ep, page == NULL ? NULL : &page->from, fn, r);
    if (err != ALK_OK) {
        alk_free(NULL, r);
        alk_admin_fail(call, err, NULL);
    }
}

static void op_status(void *ctx, struct alk_admin_call *call)
{
    ask_status(ctx, call, NULL, on_status);
}

static void on_metrics(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct alk_out out;

    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_err err = alk_node_put_metrics(&out, r->ep, NULL, st);
    alk_out_end(&out);
    done_out(r->call, &out, err);
    alk_free(NULL, r);
}

static void op_metrics(void *ctx, struct alk_admin_call *call)
{
    ask_status(ctx, call, NULL, on_metrics);
}

static void on_connections(void *ctx, const struct alk_endpoint_status *st)
{
    struct request *r = (struct request *)ctx;
    struct alk_out out;

    alk_out_init(&out, NULL, ALK_FRAME_MAX);
    alk_out_object(&out);
    alk_node_put_connections(&out, st, r->page.limit);
    alk_out_end(&out);
    done_out(r->call, &out, ALK_OK);
    alk_free(NULL, r);
}

static void op_connections(void *ctx, struct alk_admin_call *call)
{
    struct alk_node_page page;
    if (!alk_node_read_page(alk_admin_input(call), &page)) {
        alk_admin_fail(call, ALK_E_INVALID, "cursor or limit is not one of this list");
        return;
    }
    ask_status(ctx, call, &page, on_connections);
}

/* --- changes ------------------------------------------------------------------ */

/* One line of the audit log for what a local user has asked for. */
static void audit(struct alk_endpoint *ep, const struct alk_admin_call *call, const char *what,
                  const char *target, alk_err err)
{
    char who[32];
    (void)snprintf(who, sizeof who, "uid:%u", (unsigned)alk_admin_uid(call));
    const struct alk_audit_record r = {.who = alk_span_str(who),
                                       .what = alk_span_str(what),
                                       .target = alk_span_str(target),
                                       .remote = "admin",
                                       .reason = err == ALK_OK ? alk_span(NULL, 0)
                                                               : alk_span_str(alk_err_text(err)),
                                       .is_allowed = err == ALK_OK};
    alk_endpoint_audit(ep, &r);
}

static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    struct request *r = (struct request *)ctx;
    struct yyjson_mut_doc *doc = alk_admin_doc(r->call);
    struct out o = {doc, yyjson_mut_obj(doc)};

    if (err != ALK_OK) {
        alk_admin_fail(r->call, err, message);
    } else {
        put_u64(o, "generation", alk_endpoint_config(r->ep)->generation);
        put_text(o, "note", message != NULL ? message : "");
        alk_admin_done(r->call, o.object);
    }
    alk_free(NULL, r);
}

static void op_reload(void *ctx, struct alk_admin_call *call)
{
    struct request *r = new_request(ctx, call);
    if (r != NULL) {
        alk_endpoint_reload(r->ep, on_reloaded, r);
    }
}

/* Blocks on the disk for a moment: once in the life of a key. */
static void op_rotate(void *ctx, struct alk_admin_call *call)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    struct alk_rand rand = alk_rand_system();
    struct alk_rotation rotation;
    char why[ALK_DATADIR_WHY] = "", key[ALK_Z32_ADDRESS_SIZE];
    char statement[ALK_ROTATION_TEXT_SIZE];
    struct yyjson_mut_doc *doc = alk_admin_doc(call);
    struct out o = {doc, yyjson_mut_obj(doc)};

    alk_err err = alk_datadir_rotate(alk_endpoint_datadir(ep), alk_endpoint_static(ep)->node_key,
                                     &rand, alk_clock_unix(), &rotation, why, sizeof why);
    audit(ep, call, "key.rotate", "", err);
    if (err != ALK_OK) {
        alk_admin_fail(call, err, why);
        return;
    }
    alk_key_address(rotation.new_key, key);
    alk_rotation_print(&rotation, statement);
    alk_endpoint_log(ep, ALK_LOG_INFO, "node", "the key was rotated: %s from the next start", key);
    put_text(o, "key", key);
    put_text(o, "statement", statement);
    alk_admin_done(call, o.object);
}

static void op_stop(void *ctx, struct alk_admin_call *call)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    audit(ep, call, "stop", "", ALK_OK);
    alk_admin_done(call, NULL);
    alk_endpoint_stop(ep);
}

/* audited_as: NULL for what changes nothing. */
static void run_auth(void *ctx, struct alk_admin_call *call, const char *name,
                     const char *audited_as)
{
    struct alk_endpoint *ep = (struct alk_endpoint *)ctx;
    struct yyjson_val *input = alk_admin_input(call);
    struct yyjson_mut_val *out = NULL;
    char why[ALK_AUTH_OPS_WHY] = "";
    alk_err err = alk_endpoint_auth_op(ep, name, input, alk_admin_doc(call), why, sizeof why, &out);
    if (audited_as != NULL) {
        /* A token is known by its prefix, which is new when it is. */
        const char *prefix = yyjson_mut_get_str(yyjson_mut_obj_get(out, "prefix"));
        const char *id = yyjson_get_str(yyjson_obj_get(input, "id"));
        char target[2 * ALK_ID_MAX];
        (void)snprintf(target, sizeof target, "%s%s%s", id != NULL ? id : "",
                       id != NULL && prefix != NULL ? "/" : "", prefix != NULL ? prefix : "");
        audit(ep, call, audited_as, target, err);
    }
    if (err == ALK_OK) {
        alk_admin_done(call, out);
    } else {
        alk_admin_fail(call, err, why);
    }
}

#define AUTH_OP(fn, name, audited_as)                                                              \
    static void fn(void *ctx, struct alk_admin_call *call)                                         \
    {                                                                                              \
        run_auth(ctx, call, name, audited_as);                                                     \
    }
AUTH_OP(op_token_new, "auth/token/new", "token.new")
AUTH_OP(op_token_list, "auth/token/list", NULL)
AUTH_OP(op_token_revoke, "auth/token/revoke", "token.revoke")
AUTH_OP(op_peer_add, "auth/peer/add", "peer.add")
AUTH_OP(op_peer_list, "auth/peer/list", NULL)
AUTH_OP(op_peer_disable, "auth/peer/disable", "peer.disable")
AUTH_OP(op_peer_enable, "auth/peer/enable", "peer.enable")
AUTH_OP(op_peer_remove, "auth/peer/remove", "peer.remove")
AUTH_OP(op_invite_new, "auth/invite/new", "invite.new")

const struct alk_admin_op cli_node_ops[] = {{"node/info", op_info},
                                            {"node/status", op_status},
                                            {"node/connections", op_connections},
                                            {"node/metrics", op_metrics},
                                            {"node/reload", op_reload},
                                            {"node/rotate", op_rotate},
                                            {"node/stop", op_stop},
                                            {"auth/token/new", op_token_new},
                                            {"auth/token/list", op_token_list},
                                            {"auth/token/revoke", op_token_revoke},
                                            {"auth/peer/add", op_peer_add},
                                            {"auth/peer/list", op_peer_list},
                                            {"auth/peer/disable", op_peer_disable},
                                            {"auth/peer/enable", op_peer_enable},
                                            {"auth/peer/remove", op_peer_remove},
                                            {"auth/invite/new", op_invite_new},
                                            {NULL, NULL}};
