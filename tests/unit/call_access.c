/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Who may call what, by which way: one table of identities, operations and ways. */
#include "support/relay_world.h"

#include <stdio.h>

static void yes(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_text(alk_request_out(r), "yes");
    check_err(alk_request_respond(r), ALK_OK);
}

/* --- operations ----------------------------------------------------------- */

static const char *const scope_a[] = {"a", NULL};
static const char *const scopes_a_b[] = {"a", "b", NULL};
#define BY_REPO                                                                                    \
    {                                                                                              \
        .resource_type = "repo", .resource_action = "read", .resource_member = "repo"              \
    }

enum { PUBLIC, KNOWN, ALL, ANY, REPO, INTERNAL, ABSENT, OPS };
static const struct alk_op ops[OPS] = {
    [PUBLIC] = {.name = "x/public", .flags = ALK_OP_PUBLIC},
    [KNOWN] = {.name = "x/known"},
    [ALL] = {.name = "x/all", .access = {.all_scopes = scopes_a_b}},
    [ANY] = {.name = "x/any", .access = {.any_scopes = scopes_a_b}},
    [REPO] = {.name = "x/repo", .access = BY_REPO},
    [INTERNAL] = {.name = "x/internal", .flags = ALK_OP_INTERNAL},
    [ABSENT] = {.name = "x/absent"}, /* never added */
};
#define INPUT "{\"repo\":\"r\"}"

/* --- ways: each operation wrapped by another, without and with rights of its own -------- */

struct wrapper {
    char target[32];
    struct alk_request *request;
};

static void wrapped(void *ctx, struct alk_child *child, struct alk_span output)
{
    struct wrapper *p = (struct wrapper *)ctx;
    (void)child;
    alk_out_json(alk_request_out(p->request), output);
}

static void wrapped_end(void *ctx, struct alk_child *child, const char *code, const char *message,
                        bool is_retryable, struct alk_span details)
{
    struct wrapper *p = (struct wrapper *)ctx;
    (void)child;
    (void)message;
    (void)is_retryable;
    (void)details;
    if (code != NULL) {
        alk_out_text(alk_request_out(p->request), code);
    }
    check_err(alk_request_respond(p->request), ALK_OK);
}

static void wrap(void *ctx, struct alk_request *r)
{
    static const struct alk_child_calls calls = {wrapped, wrapped_end};
    struct wrapper *p = (struct wrapper *)ctx;
    struct alk_child *child;
    const struct alk_child_options o = {
        .struct_size = sizeof o, .op = p->target, .input = alk_request_input(r)};
    p->request = r;
    check_err(alk_request_call(r, &o, &calls, p, &child), ALK_OK);
}

/* WRAP: on the caller's rights. SERVICE: on an authority's scopes; resources of both.
 * OWN: on the authority's alone. */
enum { WIRE, BATCH, WRAP, SERVICE, OWN, WAYS };
static const char *const way_names[WAYS] = {"wire", "batch", "wrap", "service", "own"};

static void add_wrappers(struct relay_world *w, struct wrapper store[3][OPS],
                         const struct alk_identity *authority)
{
    for (unsigned way = WRAP; way <= OWN; way++) {
        for (unsigned i = 0; i < OPS; i++) {
            struct wrapper *p = &store[way - WRAP][i];
            char name[64], why[256] = "";
            (void)snprintf(p->target, sizeof p->target, "%s", ops[i].name);
            (void)snprintf(name, sizeof name, "%s/%s", way_names[way], ops[i].name + 2);
            const char *const calls[] = {p->target, NULL};
            const struct alk_op op = {.struct_size = sizeof op,
                                      .name = name,
                                      .summary = "",
                                      .kind = ALK_OP_QUERY,
                                      .flags = ALK_OP_PUBLIC |
                                               (way == OWN ? (unsigned)ALK_OP_OWN_AUTHORITY : 0u),
                                      .calls = calls,
                                      .authority = way == WRAP ? NULL : authority,
                                      .fn = wrap};
            check_err(alk_ops_add(w->ops, &op, p, why, sizeof why), ALK_OK);
        }
    }
}

/* --- the table ------------------------------------------------------------ */

/* y: answered; u: UNAUTHENTICATED; n: NOT_FOUND; f: FORBIDDEN.
 * Columns: public known all any repo internal absent. */
static const struct {
    const char *who, *scopes, *grant;
    const char *want[WAYS];
} table[] = {
    {NULL, NULL, NULL, {"yuuuuuu", "yuuuuuu", "yuuuuuu", "yyyyfyn", "yyyyyyn"}},
    {"none", "", NULL, {"yynnfnn", "yynnfnn", "yynnfyn", "yyyyfyn", "yyyyyyn"}},
    {"one", "a", NULL, {"yynyfnn", "yynyfnn", "yynyfyn", "yyyyfyn", "yyyyyyn"}},
    {"both", "a,b", NULL, {"yyyyfnn", "yyyyfnn", "yyyyfyn", "yyyyfyn", "yyyyyyn"}},
    {"repo", "", "repo:r:read", {"yynnynn", "yynnynn", "yynnyyn", "yyyyyyn", "yyyyyyn"}},
    {"other", "", "repo:s:read", {"yynnfnn", "yynnfnn", "yynnfyn", "yyyyfyn", "yyyyyyn"}},
    {"write", "", "repo:r:write", {"yynnfnn", "yynnfnn", "yynnfyn", "yyyyfyn", "yyyyyyn"}},
    {"root", "admin", NULL, {"yyyyfnn", "yyyyfnn", "yyyyfyn", "yyyyfyn", "yyyyyyn"}},
};
#define PEOPLE (sizeof table / sizeof table[0])

static char letter(const char *heard)
{
    return strstr(heard, "yes") != NULL               ? 'y'
           : strstr(heard, "UNAUTHENTICATED") != NULL ? 'u'
           : strstr(heard, "NOT_FOUND") != NULL       ? 'n'
           : strstr(heard, "FORBIDDEN") != NULL       ? 'f'
                                                      : '?';
}

static char ask(struct relay_link *l, unsigned way, const char *op)
{
    char name[64], input[256];
    struct peer_call c;
    (void)snprintf(name, sizeof name, "%s", op);
    (void)snprintf(input, sizeof input, INPUT);
    if (way == BATCH) {
        (void)snprintf(name, sizeof name, "call/batch");
        (void)snprintf(input, sizeof input, "{\"calls\":[{\"operationId\":\"/%s\",\"input\":%s}]}",
                       op, INPUT);
    } else if (way >= WRAP) {
        (void)snprintf(name, sizeof name, "%s/%s", way_names[way], op + 2);
    }
    memset(&c, 0, sizeof c);
    check_err(alk_peer_call(l->ends.client,
                            &(struct alk_ask){.op = name, .input = alk_span_str(input)},
                            &peer_answers, &c, &c.call),
              ALK_OK);
    relay_world_run(l->w);
    char ret = letter(c.heard);
    if (ret == '?') {
        fail_msg("%s by %s: %s", op, way_names[way], c.heard);
    }
    return ret;
}

static void who_may_call_what_by_which_way(void **state)
{
    static struct wrapper store[3][OPS];
    struct relay_world w;
    const struct alk_identity *authority = ops_somebody("service", "a,b", "repo:r:read");
    (void)state;
    relay_world_init(&w, "{}");
    check_err(alk_ops_add_standard(w.ops), ALK_OK);
    for (unsigned i = 0; i < OPS; i++) {
        struct alk_op op = ops[i];
        char why[256] = "";
        op.struct_size = sizeof op;
        op.summary = "";
        op.fn = yes;
        if (i != ABSENT) {
            check_err(alk_ops_add(w.ops, &op, NULL, why, sizeof why), ALK_OK);
        }
    }
    add_wrappers(&w, store, authority);
    for (size_t i = 0; i < PEOPLE; i++) {
        const struct alk_identity *who =
            table[i].who == NULL ? NULL
                                 : ops_somebody(table[i].who, table[i].scopes, table[i].grant);
        struct relay_link *l = relay_connect(&w, 0, 0, who, (struct relay_link_options){0});
        for (unsigned way = 0; way < WAYS; way++) {
            char got[OPS + 1] = "";
            for (unsigned k = 0; k < OPS; k++) {
                got[k] = ask(l, way, ops[k].name);
            }
            if (strcmp(got, table[i].want[way]) != 0) {
                fail_msg("%s by %s: %s, not %s", table[i].who == NULL ? "nobody" : table[i].who,
                         way_names[way], got, table[i].want[way]);
            }
        }
        relay_disconnect(l);
        alk_identity_unref(who);
    }
    relay_world_fini(&w);
    alk_identity_unref(authority);
}

/* A worker cannot say who may call: the node's rule is all there is. */
static void workers_operations_have_the_nodes_rules(void **state)
{
    static const struct {
        const char *name_space;
        const char *want[4]; /* of nobody, none, one, root */
    } rules[] = {
        {"open", {"yyyy"}}, {"known", {"uyyy"}}, {"scoped", {"unyy"}}, {"unlisted", {"uyyy"}}};
    static const struct {
        const char *who, *scopes;
    } people[] = {{NULL, NULL}, {"none", ""}, {"one", "a"}, {"root", "admin"}};
    const struct alk_identity *bot =
        ops_somebody("bot", "offer:open,offer:known,offer:scoped,offer:unlisted", NULL);
    struct relay_world w;
    (void)state;
    relay_world_init(&w, "workers:\n- {namespace: open, require: none}\n"
                         "- {namespace: known, require: identity}\n"
                         "- {namespace: scoped, require: {scopes: [a]}}\n");
    struct relay_link *bots = relay_connect(&w, 1, 1, bot, (struct relay_link_options){0});
    for (size_t i = 0; i < 4; i++) {
        char name[32], why[256] = "";
        struct peer_call c = {.ends = 0};
        (void)snprintf(name, sizeof name, "%s/do", rules[i].name_space);
        /* With rules of its own that say otherwise: they are not sent. */
        const struct alk_op op = {.struct_size = sizeof op,
                                  .name = name,
                                  .summary = "",
                                  .kind = ALK_OP_QUERY,
                                  .flags = ALK_OP_PUBLIC,
                                  .fn = yes};
        check_err(alk_ops_add(bots->ops, &op, NULL, why, sizeof why), ALK_OK);
        check_err(
            alk_peer_offer(bots->ends.client, rules[i].name_space, &peer_answers, &c, &c.call),
            ALK_OK);
        relay_world_run(&w);
        assert_string_equal(c.heard, "={\"offered\":1}.");
    }
    for (size_t p = 0; p < 4; p++) {
        const struct alk_identity *who =
            people[p].who == NULL ? NULL : ops_somebody(people[p].who, people[p].scopes, NULL);
        struct relay_link *l = relay_connect(&w, 0, 0, who, (struct relay_link_options){0});
        for (size_t i = 0; i < 4; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%s/do", rules[i].name_space);
            char got = ask(l, WIRE, name);
            if (got != rules[i].want[0][p]) {
                fail_msg("%s, person %zu: %c", name, p, got);
            }
        }
        relay_disconnect(l);
        alk_identity_unref(who);
    }
    relay_world_fini(&w);
    alk_identity_unref(bot);
}

/* --- what cannot be told apart -------------------------------------------- */

/* All bytes that come back for a request with a fixed id. */
struct wire {
    char text[1024];
    size_t n;
};

static void on_bytes(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct wire *b = (struct wire *)ctx;
    struct alk_span in;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        return;
    }
    while (alk_stream_peek(stream, &in) == ALK_OK) {
        assert_true(in.n <= sizeof b->text - b->n);
        memcpy(b->text + b->n, in.p, in.n);
        b->n += in.n;
        alk_stream_consume(stream, in.n);
    }
}

static void frames_of(struct relay_link *l, const char *op, struct wire *ret)
{
    char body[256];
    uint8_t head[4] = {0};
    struct alk_stream *stream;
    size_t took;
    *ret = (struct wire){.n = 0};
    int n = snprintf(body, sizeof body,
                     "{\"type\":\"call.requested\",\"id\":\"same\",\"payload\":{\"operationId\":"
                     "\"/%s\",\"input\":" INPUT "}}",
                     op);
    head[3] = (uint8_t)n;
    check_err(alk_conn_open_stream(alk_mem_client(l->pair), on_bytes, ret, &stream), ALK_OK);
    check_err(alk_stream_write(stream, alk_span(head, 4), &took), ALK_OK);
    check_err(alk_stream_write(stream, alk_span(body, (size_t)n), &took), ALK_OK);
    relay_world_run(l->w);
    assert_true(ret->n > 4);
}

static void internal_forbidden_and_absent_operations_answer_the_same_bytes(void **state)
{
    static const char *const same[] = {"x/inside", "x/denied", "x/absent", "x/stream"};
    const struct alk_op hidden[] = {
        {.name = "x/inside", .kind = ALK_OP_QUERY, .flags = ALK_OP_INTERNAL},
        {.name = "x/denied", .kind = ALK_OP_MUTATION, .access = {.all_scopes = scope_a}},
        {.name = "x/stream",
         .kind = ALK_OP_SUBSCRIPTION,
         .input = "{\"type\":\"string\"}", /* not even that the input is wrong */
         .access = {.all_scopes = scope_a}}};
    const struct alk_identity *none = ops_somebody("none", "", NULL);
    struct relay_world w;
    (void)state;
    relay_world_init(&w, "{}");
    for (size_t i = 0; i < 3; i++) {
        struct alk_op op = hidden[i];
        char why[256] = "";
        op.struct_size = sizeof op;
        op.summary = "";
        op.fn = yes;
        check_err(alk_ops_add(w.ops, &op, NULL, why, sizeof why), ALK_OK);
    }
    for (size_t p = 0; p < 2; p++) {
        struct wire first, next;
        struct relay_link *l =
            relay_connect(&w, 0, 0, p == 0 ? NULL : none, (struct relay_link_options){0});
        frames_of(l, same[0], &first);
        for (size_t i = 1; i < 4; i++) {
            frames_of(l, same[i], &next);
            assert_int_equal(next.n, first.n);
            assert_memory_equal(next.text, first.text, first.n);
        }
        relay_disconnect(l);
    }
    relay_world_fini(&w);
    alk_identity_unref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_call_what_by_which_way),
        cmocka_unit_test(workers_operations_have_the_nodes_rules),
        cmocka_unit_test(internal_forbidden_and_absent_operations_answer_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
