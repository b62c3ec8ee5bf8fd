/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/ops_world.h"

#include <stdio.h>

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct ops_world *w = ctx;
    size_t n = strlen(w->log);
    (void)level;
    assert_string_equal(component, "ops");
    (void)snprintf(w->log + n, sizeof w->log - n, "%s\n", line);
}

void ops_world_init(struct ops_world *w, const struct alk_ops_options *options)
{
    struct alk_ops_options usual = {.struct_size = sizeof usual, .check_outputs = true};
    *w = (struct ops_world){.loop = NULL};
    check_err(alk_loop_new(NULL, &w->loop), ALK_OK);
    check_err(alk_ops_new(options == NULL ? &usual : options, &w->ops), ALK_OK);
    alk_ops_set_log(w->ops, on_log, w);
}

void ops_world_fini(struct ops_world *w)
{
    ops_world_run(w);
    alk_loop_free(w->loop);
    alk_ops_free(w->ops);
}

void ops_world_run(struct ops_world *w)
{
    do {
        (void)alk_loop_run_once(w->loop, 0);
    } while (alk_loop_timeout_ms(w->loop) == 0);
}

void ops_world_until(struct ops_world *w, alk_time at)
{
    while (alk_clock_now() <= at) {
        (void)alk_loop_run_once(w->loop, 1);
    }
    ops_world_run(w);
}

void ops_world_add(struct ops_world *w, struct alk_op op, void *ctx)
{
    char why[256] = "";
    op.struct_size = sizeof op;
    alk_err err = alk_ops_add(w->ops, &op, ctx, why, sizeof why);
    if (err != ALK_OK) {
        fail_msg("%s: %s %s", op.name, alk_err_name(err), why);
    }
}

const struct alk_identity *ops_somebody(const char *id, const char *scopes, const char *grant)
{
    struct alk_span parts[16];
    struct alk_identity_spec spec = {.id = alk_span_str(id), .scopes = parts};
    struct alk_span rest = alk_span_str(scopes);
    struct alk_grant one = {.type = {NULL, 0}};
    struct alk_span action;
    char why[256] = "";
    const struct alk_identity *ret = NULL;

    while (rest.n > 0) {
        parts[spec.scope_count++] = alk_span_cut(&rest, ',');
    }
    if (grant != NULL) {
        rest = alk_span_str(grant);
        one.type = alk_span_cut(&rest, ':');
        one.name = alk_span_cut(&rest, ':');
        action = rest;
        one.actions = &action;
        one.action_count = 1;
        spec.grants = &one;
        spec.grant_count = 1;
    }
    alk_err err = alk_identity_new(NULL, &spec, why, sizeof why, &ret);
    if (err != ALK_OK) {
        fail_msg("%s: %s", id, why);
    }
    return ret;
}

/* --- faces -------------------------------------------------------------------- */

static void hear(struct ops_call *c, const char *sign, struct alk_span text)
{
    size_t n = strlen(c->heard);
    if (c->keeps_end && text.n > sizeof c->heard / 2) {
        text = alk_span_tail(text, text.n - sizeof c->heard / 2);
    }
    (void)snprintf(c->heard + n, sizeof c->heard - n, "%s" ALK_SPAN_FMT, sign, ALK_SPAN_ARG(text));
}

static void last_call(struct ops_call *c)
{
    c->request = NULL;
    c->ends++;
    assert_int_equal(c->ends, 1);
}

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct ops_call *c = ctx;
    assert_ptr_equal(c->request, r);
    assert_int_equal(is_last, alk_request_kind(r) != ALK_OP_SUBSCRIPTION);
    if (!is_last && c->full > 0) {
        c->full--;
        return ALK_FULL;
    }
    hear(c, is_last ? "=" : "~", output);
    if (is_last) {
        last_call(c);
    } else if (c->cancels) {
        c->request = NULL;
        alk_request_cancel(r);
    }
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    struct ops_call *c = ctx;
    assert_ptr_equal(c->request, r);
    if (o->code == NULL) {
        hear(c, ".", (struct alk_span){NULL, 0});
    } else {
        hear(c, o->is_retryable ? "?" : "!", alk_span_str(o->code));
        hear(c, " ", alk_span_str(o->message));
        hear(c, o->details.n == 0 ? "" : " ", o->details);
    }
    last_call(c);
}

const struct alk_face ops_call_face = {on_responded, on_ended};

void ops_start(struct ops_world *w, struct ops_call *c, const struct alk_identity *caller,
               const char *op, const char *input)
{
    struct alk_start_spec spec = {
        .loop = w->loop, .op = alk_span_str(op), .input = alk_span_str(input), .caller = caller};
    *c = (struct ops_call){.full = c->full, .cancels = c->cancels, .keeps_end = c->keeps_end};
    check_err(alk_ops_start(w->ops, &spec, &ops_call_face, c, &c->request), ALK_OK);
    assert_string_equal(c->heard, ""); /* nothing inside the call */
}

void ops_ask(struct ops_world *w, struct ops_call *c, const struct alk_identity *caller,
             const char *op, const char *input)
{
    ops_start(w, c, caller, op, input);
    ops_world_run(w);
}

void ops_check_at(struct ops_world *w, const struct alk_identity *caller, const char *op,
                  const char *input, const char *want, const char *file, int line)
{
    struct ops_call c = {.full = 0};
    ops_ask(w, &c, caller, op, input);
    if (strcmp(c.heard, want) != 0 || c.ends != 1) {
        print_error("%s: got  %s\n%s: want %s\n", op, c.heard, op, want);
        _fail(file, line);
    }
}
