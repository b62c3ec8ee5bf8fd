/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who may call what, by which way: one table of people x operations, each cell tried
 * as a call from the wire, inside a batch, and composed by another operation. */
#include "core/auth/audit.h"
#include "ops/registry.h"
#include "support/ops_world.h"

#include <stdio.h>

static void answer(void *ctx, struct alk_request *r)
{
    (void)ctx;
    check_err(alk_request_respond(r), ALK_OK);
}

/* --- a wrapper: calls what its input names and passes the outcome on ----------- */

static void on_responded(void *ctx, struct alk_child *child, struct alk_span output)
{
    (void)child;
    alk_out_json(alk_request_out(ctx), output);
}

static void on_ended(void *ctx, struct alk_child *child, const char *code, const char *message,
                     bool is_retryable, struct alk_span details)
{
    (void)child;
    (void)is_retryable;
    (void)details;
    if (code == NULL) {
        check_err(alk_request_respond(ctx), ALK_OK);
    } else {
        alk_request_fail(ctx, code, message);
    }
}

static void wrap(void *ctx, struct alk_request *r)
{
    static const struct alk_child_calls calls = {on_responded, on_ended};
    char op[ALK_OP_NAME_MAX + 1], input[256];
    struct alk_child *child = NULL;
    (void)ctx;
    assert_true(alk_span_cstr(alk_input_text(r, "op", ""), op, sizeof op));
    (void)snprintf(input, sizeof input, "{\"repo\":\"team/x\",\"op\":\"" ALK_SPAN_FMT "\"}",
                   ALK_SPAN_ARG(alk_input_text(r, "then", "")));
    struct alk_child_options options = {
        .struct_size = sizeof options, .op = op, .input = alk_span_str(input)};
    check_err(alk_request_call(r, &options, &calls, r, &child), ALK_OK);
}

/* --- the world ----------------------------------------------------------------- */

enum { NOBODY, PLAIN, READER, OWNER, ADMIN, GONE, PEOPLE };
enum { PUBLIC, KNOWN, SCOPED, RESOURCE, INTERNAL, MISSING, OPS };

static const char *const op_names[OPS] = {"t/public",   "t/known",    "t/scoped",
                                          "t/resource", "t/internal", "t/missing"};
static const char *const calls[] = {"t/public",   "t/known",   "t/scoped", "t/resource",
                                    "t/internal", "t/missing", NULL};

#define OK "={}"
#define NF "!NOT_FOUND there is no such operation"
#define UN "!UNAUTHENTICATED an identity is needed"
#define FO "!FORBIDDEN this is not permitted"

/* From the wire, and in a batch. */
static const char *const wire[PEOPLE][OPS] = {
    [NOBODY] = {OK, UN, UN, UN, UN, UN}, [PLAIN] = {OK, OK, NF, FO, NF, NF},
    [READER] = {OK, OK, OK, FO, NF, NF}, [OWNER] = {OK, OK, NF, OK, NF, NF},
    [ADMIN] = {OK, OK, OK, FO, NF, NF},  [GONE] = {UN, UN, UN, UN, UN, UN},
};
/* Composed on the caller's own rights: the same, but internal operations are there. */
static const char *const composed[PEOPLE][OPS] = {
    [NOBODY] = {OK, UN, UN, UN, UN, UN}, [PLAIN] = {OK, OK, NF, FO, OK, NF},
    [READER] = {OK, OK, OK, FO, OK, NF}, [OWNER] = {OK, OK, NF, OK, OK, NF},
    [ADMIN] = {OK, OK, OK, FO, OK, NF},  [GONE] = {UN, UN, UN, UN, UN, UN},
};
/* Composed with the authority of somebody who holds the scope and the resource:
 * scopes are his, resources what both may touch. */
static const char *const lent[PEOPLE][OPS] = {
    [NOBODY] = {OK, OK, OK, FO, OK, NF}, [PLAIN] = {OK, OK, OK, FO, OK, NF},
    [READER] = {OK, OK, OK, FO, OK, NF}, [OWNER] = {OK, OK, OK, OK, OK, NF},
    [ADMIN] = {OK, OK, OK, FO, OK, NF},  [GONE] = {UN, UN, UN, UN, UN, UN},
};
/* The same with `authority: own`. */
static const char *const own[PEOPLE][OPS] = {
    [NOBODY] = {OK, OK, OK, OK, OK, NF}, [PLAIN] = {OK, OK, OK, OK, OK, NF},
    [READER] = {OK, OK, OK, OK, OK, NF}, [OWNER] = {OK, OK, OK, OK, OK, NF},
    [ADMIN] = {OK, OK, OK, OK, OK, NF},  [GONE] = {UN, UN, UN, UN, UN, UN},
};

struct world {
    struct ops_world w;
    const struct alk_identity *people[PEOPLE];
    const struct alk_identity *lender;
    char audit[512]; /* the last line */
    char id[32];     /* the id in it, for which the line says "id" */
};

static void on_audit(void *ctx, const struct alk_ops_audit *a)
{
    struct world *o = ctx;
    struct alk_audit_record record;
    struct alk_buf b;
    alk_ops_audit_fill(a, &record);
    assert_true(alk_span_cstr(record.request_id, o->id, sizeof o->id));
    record.request_id = ALK_LIT("id");
    alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
    check_err(alk_audit_line(&b, ALK_AUDIT_JSON, "1970-01-01T00:00:00.000Z", &record), ALK_OK);
    assert_true(alk_span_cstr(alk_buf_span(&b), o->audit, sizeof o->audit));
    alk_buf_fini(&b);
}

static void add_ops(struct world *o)
{
    static const char *const scopes[] = {"repo:read", NULL};
    static const struct alk_op_access scoped = {.all_scopes = scopes};
    static const struct alk_op_access resource = {
        .resource_type = "repo", .resource_action = "read", .resource_member = "repo"};
    struct alk_op op = {.kind = ALK_OP_QUERY, .fn = answer};

    op.name = "t/public";
    op.flags = ALK_OP_PUBLIC;
    ops_world_add(&o->w, op, NULL);
    op.name = "t/known";
    op.flags = 0;
    ops_world_add(&o->w, op, NULL);
    op.name = "t/internal";
    op.flags = ALK_OP_INTERNAL;
    ops_world_add(&o->w, op, NULL);
    op.name = "t/scoped";
    op.flags = 0;
    op.access = scoped;
    ops_world_add(&o->w, op, NULL);
    op.name = "t/resource";
    op.access = resource;
    ops_world_add(&o->w, op, NULL);

    struct alk_op wrapper = {
        .kind = ALK_OP_MUTATION, .flags = ALK_OP_PUBLIC, .fn = wrap, .calls = calls};
    wrapper.name = "t/wrap";
    ops_world_add(&o->w, wrapper, NULL);
    wrapper.name = "t/lent";
    wrapper.authority = o->lender;
    ops_world_add(&o->w, wrapper, NULL);
    wrapper.name = "t/own";
    wrapper.flags |= ALK_OP_OWN_AUTHORITY;
    ops_world_add(&o->w, wrapper, NULL);
}

static void begin(struct world *o)
{
    struct alk_identity_spec gone = {.id = ALK_LIT("gone"), .is_disabled = true};
    char why[128];
    *o = (struct world){.audit = ""};
    ops_world_init(&o->w, NULL);
    alk_ops_set_audit(o->w.ops, on_audit, o);
    o->people[PLAIN] = ops_somebody("plain", "", NULL);
    o->people[READER] = ops_somebody("reader", "repo:read", NULL);
    o->people[OWNER] = ops_somebody("owner", "", "repo:team/*:read");
    o->people[ADMIN] = ops_somebody("root", "admin", NULL);
    check_err(alk_identity_new(NULL, &gone, why, sizeof why, &o->people[GONE]), ALK_OK);
    o->lender = ops_somebody("lender", "repo:*", "repo:team/*:read");
    add_ops(o);
    check_err(alk_ops_add_standard(o->w.ops), ALK_OK);
}

static void end(struct world *o)
{
    ops_world_fini(&o->w);
    for (size_t i = 0; i < PEOPLE; i++) {
        alk_identity_unref(o->people[i]);
    }
    alk_identity_unref(o->lender);
}

/* The outcome of a direct call as it stands in the answers of a batch. */
static void as_batched(const char *outcome, char *dst, size_t dst_size)
{
    if (outcome[0] == '=') {
        (void)snprintf(dst, dst_size, "={\"answers\":[{\"output\":%s}]}", outcome + 1);
        return;
    }
    struct alk_span rest = alk_span_str(outcome + 1);
    struct alk_span code = alk_span_cut(&rest, ' ');
    (void)snprintf(dst, dst_size,
                   "={\"answers\":[{\"error\":{\"code\":\"" ALK_SPAN_FMT
                   "\",\"message\":\"" ALK_SPAN_FMT "\",\"retryable\":false}}]}",
                   ALK_SPAN_ARG(code), ALK_SPAN_ARG(rest));
}

static void check_cell(struct world *o, size_t who, size_t op)
{
    const struct alk_identity *caller = o->people[who];
    char input[256], batched[512];

    ops_check(&o->w, caller, op_names[op], "{\"repo\":\"team/x\"}", wire[who][op]);
    (void)snprintf(input, sizeof input,
                   "{\"calls\":[{\"operationId\":\"/%s\",\"input\":{\"repo\":\"team/x\"}}]}",
                   op_names[op]);
    as_batched(wire[who][op], batched, sizeof batched);
    ops_check(&o->w, caller, "call/batch", input, who == GONE ? UN : batched);
    (void)snprintf(input, sizeof input, "{\"op\":\"%s\"}", op_names[op]);
    ops_check(&o->w, caller, "t/wrap", input, composed[who][op]);
    ops_check(&o->w, caller, "t/lent", input, lent[who][op]);
    ops_check(&o->w, caller, "t/own", input, own[who][op]);
}

static void people_times_operations_times_ways(void **state)
{
    struct world o;
    (void)state;
    begin(&o);
    for (size_t who = 0; who < PEOPLE; who++) {
        for (size_t op = 0; op < OPS; op++) {
            check_cell(&o, who, op);
        }
    }
    end(&o);
}

static void what_may_not_be_seen_cannot_be_told_from_what_is_not_there(void **state)
{
    /* For everybody, with right and wrong input: byte for byte the same. */
    static const char *const inputs[] = {"{}", "{\"repo\":\"team/x\"}", "not json"};
    struct world o;
    (void)state;
    begin(&o);
    for (size_t who = 0; who < PEOPLE; who++) {
        for (size_t i = 0; i < 3; i++) {
            struct ops_call c = {.full = 0};
            ops_ask(&o.w, &c, o.people[who], "t/missing", inputs[i]);
            ops_check(&o.w, o.people[who], "t/internal", inputs[i], c.heard);
            if (who == PLAIN) {
                ops_check(&o.w, o.people[who], "t/scoped", inputs[i], c.heard);
            }
            ops_check(&o.w, o.people[who], "services/schema", "{\"name\":\"t/internal\"}",
                      who == GONE ? UN : NF);
        }
    }
    end(&o);
}

static void a_wrapper_reaches_no_resource_that_its_caller_lacks(void **state)
{
    /* However deep, and whoever lends in between. */
    static const char *const lenders[] = {"t/wrap", "t/lent", "t/strong", NULL};
    static const struct {
        size_t who;
        const char *outer, *inner, *want;
    } rows[] = {
        {READER, "t/outer", "t/wrap", FO},   {OWNER, "t/outer", "t/wrap", OK},
        {READER, "t/outer", "t/lent", FO},   {OWNER, "t/outer", "t/lent", OK},
        {NOBODY, "t/outer", "t/lent", FO},   {OWNER, "t/weak", "t/lent", FO},
        {OWNER, "t/weak", "t/wrap", FO},     {OWNER, "t/outer", "t/strong", OK},
        {READER, "t/outer", "t/strong", OK}, /* that one has rights of its own */
    };
    struct world o;
    const struct alk_identity *weak = ops_somebody("weak", "repo:read", NULL);
    (void)state;
    begin(&o);
    struct alk_op op = {.kind = ALK_OP_MUTATION, .flags = ALK_OP_PUBLIC, .fn = wrap};
    op.name = "t/outer";
    op.calls = lenders;
    op.authority = o.lender;
    ops_world_add(&o.w, op, NULL);
    op.name = "t/weak"; /* what it lends holds no resource, so nobody does beneath it */
    op.authority = weak;
    ops_world_add(&o.w, op, NULL);
    op.name = "t/strong";
    op.calls = calls;
    op.authority = o.lender;
    op.flags |= ALK_OP_OWN_AUTHORITY;
    ops_world_add(&o.w, op, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char input[128];
        (void)snprintf(input, sizeof input, "{\"op\":\"%s\",\"then\":\"t/resource\"}",
                       rows[i].inner);
        ops_check(&o.w, o.people[rows[i].who], rows[i].outer, input, rows[i].want);
    }
    end(&o);
    alk_identity_unref(weak);
}

static void caller_and_authority_go_to_the_audit_log(void **state)
{
    struct world o;
    (void)state;
    begin(&o);
    ops_check(&o.w, o.people[PLAIN], "t/scoped", "{}", NF);
    assert_non_null(strstr(o.audit, "\"who\":\"plain\""));
    assert_non_null(strstr(o.audit, "\"target\":\"t/scoped\""));
    assert_non_null(strstr(o.audit, "\"reason\":\"NOT_FOUND\""));
    assert_null(strstr(o.audit, "\"authority\":\"lender\""));
    ops_check(&o.w, o.people[PLAIN], "t/lent", "{\"op\":\"t/scoped\"}", OK);
    assert_non_null(strstr(o.audit, "\"who\":\"plain\""));
    assert_non_null(strstr(o.audit, "\"authority\":\"lender\""));
    assert_null(strstr(o.audit, "NOT_FOUND"));
    end(&o);
}

static void forbid(void *ctx, struct alk_request *r)
{
    struct world *o = ctx;
    assert_non_null(strstr(o->audit, "\"allowed\":true"));
    alk_request_fail(r, ALK_OPS_FORBIDDEN, "not this topic");
}

static void what_the_operation_itself_refuses_goes_to_the_audit_log(void **state)
{
    struct world o;
    struct alk_op op = {.name = "t/topic", .kind = ALK_OP_MUTATION, .fn = forbid};
    (void)state;
    begin(&o);
    ops_world_add(&o.w, op, &o);
    ops_check(&o.w, o.people[PLAIN], "t/topic", "{}", "!FORBIDDEN not this topic");
    assert_non_null(strstr(o.audit, "\"target\":\"t/topic\""));
    assert_non_null(strstr(o.audit, "\"reason\":\"FORBIDDEN\""));
    assert_non_null(strstr(o.audit, "\"allowed\":false"));
    end(&o);
}

/* The last line of the audit log is that of what was composed. */
static void a_traceparent_goes_to_what_is_composed_and_to_the_audit_log(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
         "\"trace\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\""},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", NULL},
        {"", NULL},
    };
    struct world o;
    (void)state;
    begin(&o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ops_call c = {.full = 0};
        const struct alk_start_spec spec = {.loop = o.w.loop,
                                            .op = ALK_LIT("t/lent"),
                                            .input = ALK_LIT("{\"op\":\"t/known\"}"),
                                            .caller = o.people[PLAIN],
                                            .traceparent = alk_span_str(rows[i].text)};
        check_err(alk_ops_start(o.w.ops, &spec, &ops_call_face, &c, &c.request), ALK_OK);
        ops_world_run(&o.w);
        assert_string_equal(c.heard, OK);
        assert_non_null(strstr(o.audit, "\"target\":\"t/known\""));
        if (rows[i].want == NULL) {
            assert_null(strstr(o.audit, "trace"));
        } else {
            assert_non_null(strstr(o.audit, rows[i].want));
        }
    }
    end(&o);
}

static void a_request_id_is_the_next_number_in_sixteen_hex_digits(void **state)
{
    static const struct {
        uint64_t base;
        const char *first, *second;
    } cases[] = {
        {0, "0000000000000000", "0000000000000001"},
        {9, "0000000000000009", "000000000000000a"},
        {0xf, "000000000000000f", "0000000000000010"},
        {UINT64_C(0x0123456789abcdef), "0123456789abcdef", "0123456789abcdf0"},
        {UINT64_C(0xfedcba9876543210), "fedcba9876543210", "fedcba9876543211"},
        {UINT64_C(0xffffffff), "00000000ffffffff", "0000000100000000"},
        {UINT64_MAX, "ffffffffffffffff", "0000000000000000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world o;
        begin(&o);
        o.w.ops->id_base = cases[i].base;
        ops_check(&o.w, o.people[PLAIN], "t/public", "{}", "={}");
        assert_string_equal(o.id, cases[i].first);
        ops_check(&o.w, o.people[PLAIN], "t/public", "{}", "={}");
        assert_string_equal(o.id, cases[i].second);
        end(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_times_operations_times_ways),
        cmocka_unit_test(what_may_not_be_seen_cannot_be_told_from_what_is_not_there),
        cmocka_unit_test(a_wrapper_reaches_no_resource_that_its_caller_lacks),
        cmocka_unit_test(a_request_id_is_the_next_number_in_sixteen_hex_digits),
        cmocka_unit_test(caller_and_authority_go_to_the_audit_log),
        cmocka_unit_test(what_the_operation_itself_refuses_goes_to_the_audit_log),
        cmocka_unit_test(a_traceparent_goes_to_what_is_composed_and_to_the_audit_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
