/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A registry of a dozen operations against an input that is the callers, the operations'
 * moods and the workers that come and go at once.
 *
 * The input is a list of steps: a byte that says which, a byte of argument, and for
 * those that bring text, its length and the text. Whatever happens: every request hears
 * exactly one last call unless it was cancelled, all that is told is strict JSON, and
 * nothing is left in the end. */
#include "core/auth/identity.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 48, SLOW = 96, PEOPLE = 4, WORKERS = 3 };

struct call {
    struct alk_request *request; /* NULL: free */
    bool is_stream, refuses;     /* the next answer with ALK_FULL */
};

static struct {
    struct alk_loop *loop; /* kept: it costs system calls */
    struct alk_ops *ops;
    const struct alk_identity *people[PEOPLE];
    struct call calls[CALLS];
    struct alk_request *slow[SLOW];
    bool ends_when_cancelled, ends_child_early;
    struct alk_op_provider *workers[WORKERS];
} w;

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void must_be_json(struct alk_span text)
{
    struct yyjson_doc *doc = NULL;
    must(alk_json_parse(text, &doc) == ALK_OK);
    yyjson_doc_free(doc);
}

/* --- faces ---------------------------------------------------------------------- */

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct call *c = ctx;
    must(c->request == r && is_last == (alk_request_kind(r) != ALK_OP_SUBSCRIPTION));
    must_be_json(output);
    if (is_last) {
        c->request = NULL;
    } else if (c->refuses) {
        c->refuses = false;
        return ALK_FULL;
    }
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct call *c = ctx;
    must(c->request == r && o->message != NULL);
    must(o->code != NULL || alk_request_kind(r) == ALK_OP_SUBSCRIPTION);
    if (o->details.n > 0) {
        must_be_json(o->details);
    }
    c->request = NULL;
}

static const struct alk_face face = {on_responded, on_ended};

/* --- operations ------------------------------------------------------------------ */

static void echo(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_object(alk_request_out(r));
    alk_out_key(alk_request_out(r), "text");
    alk_out_span(alk_request_out(r), alk_input_text(r, "/a/0", "none"));
    alk_out_key(alk_request_out(r), "input");
    alk_out_json(alk_request_out(r), alk_request_input(r));
    alk_out_end(alk_request_out(r));
    (void)alk_request_respond(r);
}

static void forget(struct alk_request *r)
{
    for (size_t i = 0; i < SLOW; i++) {
        if (w.slow[i] == r) {
            w.slow[i] = NULL;
        }
    }
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    (void)ctx;
    if (w.ends_when_cancelled) {
        forget(r);
        alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    }
}

static void on_writable(void *ctx, struct alk_request *r)
{
    (void)ctx;
    (void)alk_request_respond(r);
}

static void slow(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, on_writable};
    (void)ctx;
    for (size_t i = 0; i < SLOW; i++) {
        if (w.slow[i] == NULL) {
            w.slow[i] = r;
            alk_request_on(r, &calls, NULL);
            return;
        }
    }
    alk_request_fail(r, ALK_OPS_EXHAUSTED, NULL);
}

static void child_responded(void *ctx, struct alk_child *child, struct alk_span output)
{
    (void)ctx;
    must_be_json(output);
    if (w.ends_child_early) {
        struct alk_request *r = ctx;
        alk_child_cancel(child);
        forget(r);
        (void)alk_request_respond(r);
    }
}

static void child_ended(void *ctx, struct alk_child *child, const char *code, const char *message,
                        bool is_retryable, struct alk_span details)
{
    (void)child;
    (void)is_retryable;
    forget(ctx);
    if (details.n > 0) {
        must_be_json(details);
        alk_out_json(alk_request_out(ctx), details);
    }
    if (code == NULL) {
        (void)alk_request_respond(ctx);
    } else {
        alk_request_fail(ctx, code, message);
    }
}

static void compose(void *ctx, struct alk_request *r)
{
    static const struct alk_child_calls calls = {child_responded, child_ended};
    struct alk_child_options o = {.struct_size = sizeof o};
    struct alk_child *child = NULL;
    char op[ALK_OP_NAME_MAX + 1];
    (void)ctx;

    slow(NULL, r);
    bool is_kept = false;
    for (size_t i = 0; i < SLOW; i++) {
        is_kept = is_kept || w.slow[i] == r;
    }
    if (!is_kept) {
        return; /* it was refused in there */
    }
    (void)alk_span_cstr(alk_input_text(r, "op", "f/echo"), op, sizeof op);
    o.op = op;
    o.input = alk_request_input(r);
    alk_err err = alk_request_call(r, &o, &calls, r, &child);
    if (err != ALK_OK) {
        forget(r);
        alk_request_fail_err(r, err, NULL);
    }
}

static void pass_on(void *ctx, struct alk_request *r)
{
    (void)ctx;
    if (alk_input_has(r, "retry") && alk_request_retry(r) == ALK_OK) {
        return;
    }
    echo(NULL, r);
}

static const char *const scopes[] = {"fs:read", NULL};
static const char *const composed[] = {"f/echo", "f/slow",    "f/stream",   "f/internal",
                                       "f/file", "f/compose", "call/batch", NULL};
static const struct alk_op ops[] = {
    {.name = "f/echo", .flags = ALK_OP_PUBLIC, .fn = echo},
    {.name = "f/known", .fn = echo, .input = "{\"type\":\"object\",\"required\":[\"a\"]}"},
    {.name = "f/scoped", .fn = echo, .access = {.all_scopes = scopes}},
    {.name = "f/file",
     .fn = echo,
     .access = {.resource_type = "file", .resource_action = "read", .resource_member = "/a/0"}},
    {.name = "f/internal", .flags = ALK_OP_INTERNAL, .fn = echo},
    {.name = "f/slow", .kind = ALK_OP_MUTATION, .flags = ALK_OP_PUBLIC, .fn = slow},
    {.name = "f/stream", .kind = ALK_OP_SUBSCRIPTION, .flags = ALK_OP_PUBLIC, .fn = slow},
    {.name = "f/compose",
     .kind = ALK_OP_MUTATION,
     .flags = ALK_OP_PUBLIC,
     .fn = compose,
     .calls = composed},
};
static const char *const names[] = {"f/echo",     "f/known",    "f/scoped",      "f/file",
                                    "f/internal", "f/slow",     "f/stream",      "f/compose",
                                    "f/remote",   "call/batch", "services/list", "services/schema",
                                    "f/missing"};
#define NAMES (sizeof names / sizeof names[0])

/* --- steps ----------------------------------------------------------------------- */

static void start(uint8_t arg, struct alk_span op, struct alk_span input)
{
    struct call *c = NULL;
    for (size_t i = 0; i < CALLS && c == NULL; i++) {
        c = w.calls[i].request == NULL ? &w.calls[i] : NULL;
    }
    if (c == NULL) {
        return;
    }
    struct alk_start_spec spec = {
        .loop = w.loop, .op = op, .input = input, .caller = w.people[arg % PEOPLE]};
    *c = (struct call){.refuses = (arg & 0x80) != 0};
    must(alk_ops_start(w.ops, &spec, &face, c, &c->request) == ALK_OK);
}

static void run(void)
{
    do {
        (void)alk_loop_run_once(w.loop, 0);
    } while (alk_loop_timeout_ms(w.loop) == 0);
}

/* What an operation that was slow says at last. */
static void say(uint8_t arg)
{
    size_t i = arg % SLOW;
    struct alk_request *r = w.slow[i];
    if (r == NULL) {
        return;
    }
    if (alk_request_kind(r) == ALK_OP_SUBSCRIPTION && (arg & 1) != 0) {
        alk_out_u64(alk_request_out(r), arg);
        (void)alk_request_respond(r);
        return;
    }
    w.slow[i] = NULL;
    if ((arg & 2) != 0) {
        alk_request_fail(r, (arg & 4) != 0 ? ALK_OPS_CONFLICT : "UNDECLARED", "so be it");
    } else if (alk_request_kind(r) == ALK_OP_SUBSCRIPTION) {
        alk_request_complete(r);
    } else {
        (void)alk_request_respond(r);
    }
}

static void work(uint8_t arg)
{
    static const struct alk_op op = {.struct_size = sizeof op, .name = "f/remote", .fn = pass_on};
    struct alk_op_provider **at = &w.workers[arg % WORKERS];
    if (*at != NULL) {
        alk_ops_remove_remote(w.ops, *at);
        *at = NULL;
    } else {
        must(alk_ops_add_remote(w.ops, &op, "w", NULL, NULL, 0, at) == ALK_OK);
    }
}

static void with_call(uint8_t which, uint8_t arg)
{
    struct call *c = &w.calls[arg % CALLS];
    struct alk_request *r = c->request;
    if (r == NULL) {
        return;
    }
    if (which == 0) {
        c->request = NULL;
        alk_request_cancel(r);
    } else if (which == 1) {
        alk_request_writable(r);
    } else {
        alk_request_set_caller(r, w.people[(arg >> 5) % PEOPLE]);
    }
}

static struct alk_span take(struct alk_span *in, bool is_long)
{
    size_t n = 0;
    if (in->n > 0) {
        n = in->p[0] * (is_long ? 4U : 1U);
        *in = alk_span_tail(*in, 1);
    }
    struct alk_span text = alk_span_head(*in, n);
    *in = alk_span_tail(*in, text.n);
    return text;
}

static void step(uint8_t what, uint8_t arg, struct alk_span *in)
{
    switch (what % 10) {
    case 0:
    case 1:
        start(arg, alk_span_str(names[(what / 10U) % NAMES]), take(in, true));
        break;
    case 2: {
        struct alk_span op = take(in, false);
        start(arg, op, take(in, true));
        break;
    }
    case 3:
    case 4:
    case 5:
        with_call((what % 10) - 3, arg);
        break;
    case 6:
        say(arg);
        break;
    case 7:
        work(arg);
        break;
    case 8:
        w.ends_when_cancelled = (arg & 1) != 0;
        w.ends_child_early = (arg & 2) != 0;
        break;
    default:
        run();
        break;
    }
}

/* --- the world -------------------------------------------------------------------- */

static const struct alk_identity *somebody(const char *id, const char *scope, bool has_file)
{
    struct alk_span scopes_held = alk_span_str(scope);
    struct alk_grant grant = {.type = ALK_LIT("file"), .name = ALK_LIT("**")};
    struct alk_identity_spec spec = {.id = alk_span_str(id),
                                     .scopes = &scopes_held,
                                     .scope_count = 1,
                                     .grants = &grant,
                                     .grant_count = has_file ? 1 : 0};
    const struct alk_identity *ret = NULL;
    char why[128];
    must(alk_identity_new(NULL, &spec, why, sizeof why, &ret) == ALK_OK);
    return ret;
}

static void begin(void)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .check_outputs = true};
    if (w.loop == NULL) {
        must(alk_loop_new(NULL, &w.loop) == ALK_OK);
        w.people[1] = somebody("ann", "fs:read", false);
        w.people[2] = somebody("bob", "x", true);
        w.people[3] = somebody("root", "admin", true);
    }
    must(alk_ops_new(&options, &w.ops) == ALK_OK);
    must(alk_ops_add_standard(w.ops) == ALK_OK);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct alk_op op = ops[i];
        op.struct_size = sizeof op;
        must(alk_ops_add(w.ops, &op, NULL, NULL, 0) == ALK_OK);
    }
    w.ends_when_cancelled = false;
    w.ends_child_early = false;
}

static void end(void)
{
    for (uint8_t i = 0; i < CALLS; i++) {
        with_call(0, i);
    }
    for (int round = 0; round < 2 * ALK_OPS_DEPTH_MAX; round++) { /* what ends may end others */
        for (size_t i = 0; i < SLOW; i++) {
            struct alk_request *r = w.slow[i];
            if (r != NULL) {
                w.slow[i] = NULL;
                alk_request_fail(r, ALK_OPS_ABORTED, NULL);
            }
        }
        run();
    }
    for (uint8_t i = 0; i < WORKERS; i++) {
        if (w.workers[i] != NULL) {
            work(i);
        }
    }
    alk_ops_free(w.ops);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    begin();
    for (unsigned i = 0; i < 400 && in.n >= 2; i++) {
        uint8_t what = in.p[0], arg = in.p[1];
        in = alk_span_tail(in, 2);
        step(what, arg, &in);
    }
    end();
    return 0;
}
