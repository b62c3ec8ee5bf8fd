/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* services/list, services/schema and call/batch. */
#include "core/frame.h"
#include "support/oom.h"
#include "support/ops_world.h"

#include <stdio.h>

static void echo(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_json(alk_request_out(r), alk_request_input(r));
    (void)alk_request_respond(r);
}

static void wait(void *ctx, struct alk_request *r)
{
    struct alk_request **at = ctx;
    *at = r;
}

static const char *const fs_scopes[] = {"fs:read", NULL};
static const char *const any_scopes[] = {"a", "b", NULL};
static const char *const made_of[] = {"t/echo", NULL};
static const struct alk_op_error errors[] = {
    {"NO_PAPER", "the tray is empty", "{\"type\": \"integer\"}"},
    {"JAM", NULL, NULL},
    {NULL, NULL, NULL}};

struct shop {
    struct ops_world w;
    struct alk_request *waiting;
    const struct alk_identity *ann;
};

static void begin(struct shop *s)
{
    *s = (struct shop){.waiting = NULL};
    ops_world_init(&s->w, NULL);
    s->ann = ops_somebody("ann", "fs:read,b", "repo:x:read");
    check_err(alk_ops_add_standard(s->w.ops), ALK_OK);
    struct alk_op op = {.name = "t/echo", .summary = "says it again", .fn = echo};
    op.flags = ALK_OP_PUBLIC;
    ops_world_add(&s->w, op, NULL);
    op = (struct alk_op){.name = "t/hidden", .flags = ALK_OP_INTERNAL, .fn = echo};
    ops_world_add(&s->w, op, NULL);
    op = (struct alk_op){.name = "fs/read",
                         .summary = "reads a file",
                         .help = "All of it.",
                         .kind = ALK_OP_SUBSCRIPTION,
                         .fn = wait,
                         .input = "{ \"type\": \"object\" }",
                         .output = "true",
                         .errors = errors,
                         .calls = made_of,
                         .access = {.all_scopes = fs_scopes,
                                    .any_scopes = any_scopes,
                                    .resource_type = "repo",
                                    .resource_action = "read",
                                    .resource_member = "repo"},
                         .timeout_ms = 5};
    ops_world_add(&s->w, op, &s->waiting);
    op = (struct alk_op){.name = "t/wait", .kind = ALK_OP_QUERY, .fn = wait};
    ops_world_add(&s->w, op, &s->waiting);
}

static void end(struct shop *s)
{
    alk_identity_unref(s->ann);
    ops_world_fini(&s->w);
}

static void the_list_shows_what_the_caller_may_call(void **state)
{
    struct shop s;
    (void)state;
    begin(&s);
    ops_check(&s.w, NULL, "services/list", "{\"prefix\":\"t/\"}",
              "={\"operations\":[{\"name\":\"t/echo\",\"kind\":\"query\","
              "\"summary\":\"says it again\",\"public\":true}]}");
    ops_check(&s.w, s.ann, "services/list", "{\"prefix\":\"fs/\"}",
              "={\"operations\":[{\"name\":\"fs/read\",\"kind\":\"subscription\","
              "\"summary\":\"reads a file\"}]}");
    ops_check(&s.w, NULL, "services/list", "{\"prefix\":\"fs/\"}", "={\"operations\":[]}");
    struct ops_call c = {.full = 0};
    ops_ask(&s.w, &c, s.ann, "services/list", "");
    /* By name. */
    const char *at = c.heard;
    static const char *const names[] = {"\"call/batch\"",      "\"fs/read\"", "\"services/list\"",
                                        "\"services/schema\"", "\"t/echo\"",  "\"t/wait\""};
    for (size_t i = 0; i < 6; i++) {
        at = strstr(at, names[i]);
        assert_non_null(at);
    }
    assert_null(strstr(c.heard, "t/hidden"));
    end(&s);
}

/* --- pages --------------------------------------------------------------------- */

#define MANY 5000

/* One answer, as long as an answer may be. */
struct answer {
    struct alk_buf text;
    unsigned ends;
};

static alk_err take_answer(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct answer *a = ctx;
    (void)r;
    assert_true(is_last);
    a->ends++;
    check_err(alk_buf_put(&a->text, output), ALK_OK);
    return ALK_OK;
}

static void no_answer(void *ctx, struct alk_request *r, const struct alk_outcome *outcome)
{
    (void)ctx;
    (void)r;
    fail_msg("%s", outcome->code);
}

static struct yyjson_doc *list_page(struct shop *s, const struct alk_identity *caller,
                                    const char *cursor, size_t max)
{
    static const struct alk_face face = {take_answer, no_answer};
    struct answer a = {.ends = 0};
    struct alk_request *r = NULL;
    struct yyjson_doc *doc = NULL;
    char input[200];
    (void)snprintf(input, sizeof input, "{\"prefix\":\"m/\",\"cursor\":\"%s\"}", cursor);
    struct alk_start_spec spec = {.loop = s->w.loop,
                                  .op = ALK_LIT("services/list"),
                                  .input = alk_span_str(input),
                                  .caller = caller};
    alk_buf_init(&a.text, NULL, (size_t)2 << 20);
    check_err(alk_ops_start(s->w.ops, &spec, &face, &a, &r), ALK_OK);
    ops_world_run(&s->w);
    assert_int_equal(a.ends, 1);
    assert_true(alk_buf_len(&a.text) <= max - 256); /* the frame around it */
    check_err(alk_json_parse(alk_buf_span(&a.text), &doc), ALK_OK);
    alk_buf_fini(&a.text);
    return doc;
}

/* All names, in order, each once. */
static unsigned list_all(struct shop *s, const struct alk_identity *caller, size_t max)
{
    char last[ALK_OP_NAME_MAX + 1] = "";
    unsigned pages = 0, count = 0;
    bool goes_on = true;
    for (; goes_on; pages++) {
        struct yyjson_doc *doc = list_page(s, caller, last, max);
        struct yyjson_val *root = yyjson_doc_get_root(doc);
        struct yyjson_val *next = yyjson_obj_get(root, "next"), *one;
        size_t i, n;
        yyjson_arr_foreach(yyjson_obj_get(root, "operations"), i, n, one)
        {
            const char *name = yyjson_get_str(yyjson_obj_get(one, "name"));
            assert_true(strcmp(name, last) > 0);
            (void)snprintf(last, sizeof last, "%s", name);
            count++;
        }
        goes_on = next != NULL;
        assert_true(!goes_on || strcmp(yyjson_get_str(next), last) == 0);
        yyjson_doc_free(doc);
    }
    assert_int_equal(count, MANY);
    return pages;
}

static void thousands_of_operations_are_told_in_pages_that_fit_into_frames(void **state)
{
    struct shop s;
    char name[100], summary[1500];
    (void)state;
    begin(&s);
    memset(summary, 1, sizeof summary - 1); /* each byte is six when escaped */
    summary[sizeof summary - 1] = '\0';
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "m/op-%060u", i * 7919 % MANY);
        struct alk_op op = {.name = name, .summary = summary, .flags = ALK_OP_PUBLIC, .fn = echo};
        ops_world_add(&s.w, op, NULL);
    }
    unsigned as_nobody = list_all(&s, NULL, ALK_FRAME_MAX_UNKNOWN);
    unsigned as_ann = list_all(&s, s.ann, ALK_FRAME_MAX);
    assert_true(as_nobody > as_ann && as_ann > 4);
    end(&s);
}

static void a_page_has_as_many_as_asked_for(void **state)
{
    struct shop s;
    (void)state;
    begin(&s);
    ops_check(&s.w, NULL, "services/list", "{\"limit\":1,\"prefix\":\"s\"}",
              "={\"operations\":[{\"name\":\"services/list\",\"kind\":\"query\",\"summary\":"
              "\"lists the operations that you may call\",\"public\":true}],"
              "\"next\":\"services/list\"}");
    ops_check(&s.w, NULL, "services/list", "{\"limit\":2,\"cursor\":\"services/schema\"}",
              "={\"operations\":[{\"name\":\"t/echo\",\"kind\":\"query\","
              "\"summary\":\"says it again\",\"public\":true}]}");
    ops_check(&s.w, NULL, "services/list", "{\"cursor\":\"t/echo\"}", "={\"operations\":[]}");
    static const char *const wrong[] = {"{\"limit\":0}", "{\"limit\":1001}", "{\"cursor\":1}"};
    for (size_t i = 0; i < 3; i++) {
        struct ops_call c = {.full = 0};
        ops_ask(&s.w, &c, NULL, "services/list", wrong[i]);
        assert_int_equal(strncmp(c.heard, "!INVALID_INPUT", 14), 0);
    }
    end(&s);
}

static void a_long_summary_is_cut_at_a_character(void **state)
{
    struct shop s;
    char summary[2 * 399 + 1], want[1000];
    (void)state;
    begin(&s);
    for (size_t i = 0; i + 1 < sizeof summary; i += 2) {
        memcpy(summary + i, "\xc3\xa4", 2);
    }
    summary[sizeof summary - 1] = '\0';
    summary[0] = 'x';
    summary[1] = 'x';
    memmove(summary + 1, summary + 2, sizeof summary - 2); /* one byte, then pairs */
    struct alk_op op = {.name = "u/op", .summary = summary, .flags = ALK_OP_PUBLIC, .fn = echo};
    ops_world_add(&s.w, op, NULL);
    (void)snprintf(want, sizeof want,
                   "={\"operations\":[{\"name\":\"u/op\",\"kind\":\"query\",\"summary\":"
                   "\"%.399s\",\"public\":true}]}",
                   summary);
    ops_check(&s.w, NULL, "services/list", "{\"prefix\":\"u/\"}", want);
    end(&s);
}

static void a_page_says_everything_about_an_operation(void **state)
{
    struct shop s;
    (void)state;
    begin(&s);
    ops_check(
        &s.w, s.ann, "services/schema", "{\"name\":\"fs/read\"}",
        "={\"name\":\"fs/read\",\"kind\":\"subscription\",\"summary\":\"reads a file\","
        "\"help\":\"All of it.\",\"input\":{\"type\":\"object\"},\"output\":true,\"errors\":"
        "[{\"code\":\"NO_PAPER\",\"summary\":\"the tray is empty\",\"details\":"
        "{\"type\":\"integer\"}},{\"code\":\"JAM\"}],\"access\":{\"public\":false,"
        "\"scopes\":[\"fs:read\"],\"any_scope\":[\"a\",\"b\"],\"resource\":{\"type\":\"repo\","
        "\"action\":\"read\",\"member\":\"repo\"}},\"calls\":[\"t/echo\"],\"timeout_ms\":5}");
    ops_check(&s.w, NULL, "services/schema", "{\"name\":\"fs/read\"}",
              "!NOT_FOUND there is no such operation");
    ops_check(&s.w, NULL, "services/schema", "{\"name\":\"t/hidden\"}",
              "!NOT_FOUND there is no such operation");
    ops_check(&s.w, NULL, "services/schema", "{\"name\":\"t/none\"}",
              "!NOT_FOUND there is no such operation");
    end(&s);
}

/* --- batches ------------------------------------------------------------------- */

static void a_batch_answers_in_order_whatever_each_call_says(void **state)
{
    struct shop s;
    (void)state;
    begin(&s);
    ops_check(&s.w, NULL, "call/batch", "{\"calls\":[]}", "={\"answers\":[]}");
    ops_check(&s.w, s.ann, "call/batch",
              "{\"calls\":[{\"operationId\":\"/t/echo\",\"input\":[1, \"x\"]},"
              "{\"operationId\":\"/t/none\"},{\"operationId\":\"/t/echo\"},"
              "{\"operationId\":\"/fs/read\",\"input\":{\"repo\":\"x\"}},"
              "{\"operationId\":\"/call/batch\",\"input\":{\"calls\":[]}}]}",
              "={\"answers\":[{\"output\":[1,\"x\"]},"
              "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"there is no such operation\","
              "\"retryable\":false}},{\"output\":{}},"
              "{\"error\":{\"code\":\"INVALID_INPUT\",\"message\":\"a batch carries no "
              "subscriptions\",\"retryable\":false}},"
              "{\"error\":{\"code\":\"INVALID_INPUT\",\"message\":\"a batch carries no batch\","
              "\"retryable\":false}}]}");
    end(&s);
}

static void a_batch_waits_for_the_slowest_and_cancels_all(void **state)
{
    static const char two[] =
        "{\"calls\":[{\"operationId\":\"/t/wait\"},{\"operationId\":\"/t/echo\"}]}";
    struct shop s;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&s);
    ops_ask(&s.w, &c, s.ann, "call/batch", two);
    assert_string_equal(c.heard, "");
    check_err(alk_request_respond(s.waiting), ALK_OK);
    assert_string_equal(c.heard, "={\"answers\":[{\"output\":{}},{\"output\":{}}]}");
    ops_ask(&s.w, &c, s.ann, "call/batch", two);
    alk_request_cancel(c.request);
    assert_true(alk_request_is_cancelled(s.waiting));
    alk_request_fail(s.waiting, ALK_OPS_ABORTED, NULL);
    end(&s);
}

static void a_call_in_a_batch_may_have_less_time(void **state)
{
    struct shop s;
    struct ops_call c = {.full = 0};
    (void)state;
    begin(&s);
    ops_ask(&s.w, &c, s.ann, "call/batch",
            "{\"calls\":[{\"operationId\":\"/t/wait\",\"timeout_ms\":3}]}");
    ops_world_until(&s.w, alk_request_deadline(s.waiting));
    assert_string_equal(c.heard, "={\"answers\":[{\"error\":{\"code\":\"TIMEOUT\",\"message\":"
                                 "\"no answer in time\",\"retryable\":true}}]}");
    alk_request_fail(s.waiting, ALK_OPS_ABORTED, NULL);
    end(&s);
}

/* An operation that changes the rights of who asks while it runs. */
struct change {
    struct ops_call *call;
    const struct alk_identity *to;
};

static void change_rights(void *ctx, struct alk_request *r)
{
    struct change *c = ctx;
    alk_request_set_caller(c->call->request, c->to);
    (void)alk_request_respond(r);
}

static const char *const special[] = {"special", NULL};

/* Calls of a batch that have not begun, that run, and that are over when rights change. */
static void rights_that_change_within_a_batch_are_those_of_the_rest(void **state)
{
    static const char calls[] =
        "{\"calls\":[{\"operationId\":\"/t/echo\"},{\"operationId\":\"/t/wait\"},"
        "{\"operationId\":\"/t/change\"},{\"operationId\":\"/t/special\"},"
        "{\"operationId\":\"/t/echo\"}]}";
#define REFUSED                                                                                    \
    "{\"error\":{\"code\":\"UNAUTHENTICATED\",\"message\":"                                        \
    "\"an identity is needed\",\"retryable\":false}}"
#define MISSING                                                                                    \
    "{\"error\":{\"code\":\"NOT_FOUND\",\"message\":"                                              \
    "\"there is no such operation\",\"retryable\":false}}"
    struct shop s;
    struct ops_call c = {.full = 0};
    struct change change = {.call = &c};
    const struct alk_identity *eve = ops_somebody("eve", "special", NULL);
    const struct alk_identity *less = ops_somebody("eve", "b", NULL);
    (void)state;
    begin(&s);
    ops_world_add(
        &s.w, (struct alk_op){.name = "t/special", .fn = echo, .access = {.all_scopes = special}},
        NULL);
    ops_world_add(&s.w,
                  (struct alk_op){.name = "t/change", .flags = ALK_OP_PUBLIC, .fn = change_rights},
                  &change);

    change.to = less;
    ops_ask(&s.w, &c, eve, "call/batch", calls);
    check_err(alk_request_respond(s.waiting), ALK_OK); /* which it may still be asked */
    ops_world_run(&s.w);
    assert_string_equal(c.heard, "={\"answers\":[{\"output\":{}},{\"output\":{}},"
                                 "{\"output\":{}}," MISSING ",{\"output\":{}}]}");

    change.to = NULL; /* revoked */
    ops_ask(&s.w, &c, eve, "call/batch", calls);
    assert_string_equal(c.heard, "={\"answers\":[{\"output\":{}}," REFUSED
                                 ",{\"output\":{}}," REFUSED "," REFUSED "]}");
    assert_int_equal(c.ends, 1);
    assert_true(alk_request_is_cancelled(s.waiting));
    alk_request_fail(s.waiting, ALK_OPS_ABORTED, NULL);
    end(&s);
    alk_identity_unref(eve);
    alk_identity_unref(less);
}

static void big(void *ctx, struct alk_request *r)
{
    static const uint8_t zeros[300 << 10];
    (void)ctx;
    alk_out_base64(alk_request_out(r), alk_span(zeros, sizeof zeros));
    check_err(alk_request_respond(r), ALK_OK);
}

static void answers_of_a_batch_fit_in_one_answer(void **state)
{
    /* Three of 400 KiB: the third is too large, and is said to be; the fourth fits. */
    struct ops_call *c = calloc(1, sizeof *c);
    struct shop s;
    (void)state;
    assert_non_null(c);
    begin(&s);
    ops_world_add(&s.w, (struct alk_op){.name = "t/big", .flags = ALK_OP_PUBLIC, .fn = big}, NULL);
    c->keeps_end = true;
    ops_ask(&s.w, c, NULL, "call/batch",
            "{\"calls\":[{\"operationId\":\"/t/big\"},{\"operationId\":\"/t/big\"},"
            "{\"operationId\":\"/t/big\"},{\"operationId\":\"/t/echo\"}]}");
    assert_int_equal(c->ends, 1);
    assert_non_null(strstr(c->heard, "AAAA\"},{\"error\":{\"code\":\"TOO_LARGE\",\"message\":\"too "
                                     "large\",\"retryable\":false}},{\"output\":{}}]}"));
    end(&s);
    free(c);
}

/* An array of 40 000 numbers; one in 61 others. */
static void full(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    unsigned levels = strcmp((const char *)ctx, "deep") == 0 ? 60 : 1;

    for (unsigned i = 0; i < levels; i++) {
        alk_out_array(out);
    }
    for (unsigned i = 0; levels == 1 && i < 40000; i++) {
        alk_out_u64(out, 0);
    }
    for (unsigned i = 0; i < levels; i++) {
        alk_out_end(out);
    }
    check_err(alk_request_respond(r), ALK_OK);
}

static void a_batch_is_no_deeper_and_fuller_than_a_frame_may_be(void **state)
{
    static const char *const too_large =
        "{\"error\":{\"code\":\"TOO_LARGE\",\"message\":\"too large\",\"retryable\":false}}";
    struct ops_call *c = calloc(1, sizeof *c);
    struct shop s;
    char want[300], many[] = "many", deep[] = "deep";
    (void)state;
    assert_non_null(c);
    begin(&s);
    ops_world_add(&s.w, (struct alk_op){.name = "t/many", .flags = ALK_OP_PUBLIC, .fn = full},
                  many);
    ops_world_add(&s.w, (struct alk_op){.name = "t/deep", .flags = ALK_OP_PUBLIC, .fn = full},
                  deep);
    c->keeps_end = true;
    ops_ask(&s.w, c, NULL, "call/batch",
            "{\"calls\":[{\"operationId\":\"/t/many\"},{\"operationId\":\"/t/many\"},"
            "{\"operationId\":\"/t/deep\"},{\"operationId\":\"/t/echo\"}]}");
    (void)snprintf(want, sizeof want, "0,0]},%s,%s,{\"output\":{}}]}", too_large, too_large);
    assert_non_null(strstr(c->heard, want));
    end(&s);
    free(c);
}

static alk_err batch_with(const struct alk_mem *mem, void *ctx)
{
    struct alk_ops_options options = {.struct_size = sizeof options, .mem = mem};
    struct ops_world w = {.loop = NULL};
    struct ops_call c = {.full = 0};
    struct alk_op op = {
        .struct_size = sizeof op, .name = "t/echo", .flags = ALK_OP_PUBLIC, .fn = echo};
    (void)ctx;

    check_err(alk_loop_new(NULL, &w.loop), ALK_OK);
    alk_err err = alk_ops_new(&options, &w.ops);
    err = err == ALK_OK ? alk_ops_add_standard(w.ops) : err;
    err = err == ALK_OK ? alk_ops_add(w.ops, &op, NULL, NULL, 0) : err;
    struct alk_start_spec spec = {
        .loop = w.loop,
        .op = ALK_LIT("call/batch"),
        .input = ALK_LIT("{\"calls\":[{\"operationId\":\"/t/echo\"},{\"operationId\":\"/t/echo\","
                         "\"input\":3},{\"operationId\":\"/services/list\"}]}")};
    err = err == ALK_OK ? alk_ops_start(w.ops, &spec, &ops_call_face, &c, &c.request) : err;
    if (err == ALK_OK) {
        ops_world_run(&w);
        assert_int_equal(c.ends, 1);
        err = strstr(c.heard, "EXHAUSTED") == NULL && strstr(c.heard, "TOO_LARGE") == NULL
                  ? ALK_OK
                  : ALK_E_NOMEM;
    }
    alk_ops_free(w.ops);
    alk_loop_free(w.loop);
    return err;
}

static void lack_of_memory_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(batch_with, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_shows_what_the_caller_may_call),
        cmocka_unit_test(thousands_of_operations_are_told_in_pages_that_fit_into_frames),
        cmocka_unit_test(a_page_has_as_many_as_asked_for),
        cmocka_unit_test(a_long_summary_is_cut_at_a_character),
        cmocka_unit_test(a_page_says_everything_about_an_operation),
        cmocka_unit_test(a_batch_answers_in_order_whatever_each_call_says),
        cmocka_unit_test(a_batch_waits_for_the_slowest_and_cancels_all),
        cmocka_unit_test(a_call_in_a_batch_may_have_less_time),
        cmocka_unit_test(rights_that_change_within_a_batch_are_those_of_the_rest),
        cmocka_unit_test(answers_of_a_batch_fit_in_one_answer),
        cmocka_unit_test(a_batch_is_no_deeper_and_fuller_than_a_frame_may_be),
        cmocka_unit_test(lack_of_memory_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
