/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The call protocol against a peer that speaks raw frames: what each frame does. */
#include "call/proto/core.h"

#include "support/call_world.h"

#include <stdio.h>

static const struct alk_span none;

#define REQUEST(id, more)                                                                          \
    "{\"type\":\"call.requested\",\"id\":\"" id "\",\"payload\":{\"operationId\":\"/a/b\"" more "}}"
#define FRAME(type, id, payload)                                                                   \
    "{\"type\":\"call." type "\",\"id\":\"" id "\",\"payload\":" payload "}"

/* Asks on stream 0; the handle. */
static struct alk_call_ref ask(struct call_world *w, const struct alk_call_ask *ask)
{
    struct alk_call_ref ref = {0, 0};
    alk_err err = alk_call_open(w->core, 0);
    assert_true(err == ALK_OK || err == ALK_E_EXISTS);
    check_err(alk_call_request(w->core, 0, ask, NULL, &ref), ALK_OK);
    alk_call_sent(w->core, 0, alk_call_output(w->core, 0).n);
    return ref;
}

static const struct alk_call_ask ask_call = {.op = {(const uint8_t *)"a/b", 3}};
static const struct alk_call_ask ask_sub = {.op = {(const uint8_t *)"a/b", 3},
                                            .is_subscription = true};

/* --- requests of the peer ------------------------------------------------------------- */

static void a_call_is_asked_and_answered(void **state)
{
    struct call_world w;
    uint64_t stream = 0;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 4,
              REQUEST("x1", ",\"input\":{\"p\":[1]},\"auth_token\":\"t\\u0041\","
                            "\"timeout_ms\":50,\"traceparent\":\"00\","
                            "\"caller\":{\"id\":\"bob\"},\"unknown\":7"));
    call_check(&w, "requested s4 id=x1 op=a/b input={\"p\":[1]} token=tA trace=00 "
                   "caller={\"id\":\"bob\"} timeout=50\n");
    assert_false(alk_call_is_idle(w.core, 4));
    assert_true(alk_call_stream_of(w.core, w.last, &stream) && stream == 4);
    alk_call_set_user(w.core, w.last, &w);
    assert_ptr_equal(alk_call_user(w.core, w.last), &w);
    check_err(alk_call_respond(w.core, w.last, ALK_LIT("{\"ok\":1}"), true), ALK_OK);
    call_check_out(&w, 4, FRAME("responded", "x1", "{\"output\":{\"ok\":1}}") "\n");
    assert_true(alk_call_is_idle(w.core, 4));
    /* The handle is stale. */
    assert_null(alk_call_user(w.core, w.last));
    assert_false(alk_call_stream_of(w.core, w.last, &stream));
    check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), true), ALK_E_STATE);
    check_err(alk_call_fail(w.core, w.last, "INTERNAL", none, false, none), ALK_E_STATE);
    check_err(alk_call_complete(w.core, w.last), ALK_E_STATE);
    call_check_out(&w, 4, "");
    call_world_fini(&w);
}

static void a_subscription_is_answered_until_it_is_completed(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ""));
    call_check(&w, "requested s0 id=1 op=a/b\n");
    for (int i = 0; i < 3; i++) {
        check_err(alk_call_respond(w.core, w.last, ALK_LIT("0"), false), ALK_OK);
    }
    check_err(alk_call_complete(w.core, w.last), ALK_OK);
    call_check_out(
        &w, 0,
        FRAME("responded", "1", "{\"output\":0}") "\n" FRAME(
            "responded", "1",
            "{\"output\":0}") "\n" FRAME("responded", "1",
                                         "{\"output\":0}") "\n" FRAME("completed", "1", "{}") "\n");
    call_world_fini(&w);
}

static void a_failure_carries_code_message_and_details(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ""));
    check_err(alk_call_fail(w.core, w.last, "NO_DISK", ALK_LIT("full"), true, ALK_LIT("{\"n\":1}")),
              ALK_OK);
    call_says(&w, 0, REQUEST("1", ""));
    check_err(alk_call_fail(w.core, w.last, "not a code", none, false, none), ALK_OK);
    call_check_out(
        &w, 0,
        FRAME("error", "1",
              "{\"code\":\"NO_DISK\",\"message\":\"full\","
              "\"retryable\":true,\"details\":{\"n\":1}}") "\n" FRAME("error", "1",
                                                                      "{\"code\":\"INTERNAL\","
                                                                      "\"message\":\"\","
                                                                      "\"retryable\":false}") "\n");
    call_world_fini(&w);
}

/* What is wrong with call.requested is answered, and nothing reaches the glue. */
static void a_bad_request_is_answered_by_the_core(void **state)
{
    static const struct {
        const char *payload, *code, *message;
    } rows[] = {
        {"null", "INVALID_FRAME", "payload must be an object"},
        {"{}", "INVALID_FRAME", "operationId must be a string that starts with a slash"},
        {"{\"operationId\":\"a\"}", "INVALID_FRAME",
         "operationId must be a string that starts with a slash"},
        {"{\"operationId\":\"/\"}", "INVALID_FRAME",
         "operationId must be a string that starts with a slash"},
        {"{\"operationId\":7}", "INVALID_FRAME",
         "operationId must be a string that starts with a slash"},
        {"{\"operationId\":\"/a\",\"auth_token\":null}", "INVALID_FRAME",
         "auth_token must be a string"},
        {"{\"operationId\":\"/a\",\"auth_token\":\"\"}", "UNAUTHENTICATED", "auth_token is empty"},
        {"{\"operationId\":\"/a\",\"traceparent\":[]}", "INVALID_FRAME",
         "traceparent must be a string"},
        {"{\"operationId\":\"/a\",\"caller\":\"x\"}", "INVALID_FRAME",
         "caller must be an object or null"},
        {"{\"operationId\":\"/a\",\"timeout_ms\":-1}", "INVALID_FRAME",
         "timeout_ms must be a whole number"},
        {"{\"operationId\":\"/a\",\"timeout_ms\":1.5}", "INVALID_FRAME",
         "timeout_ms must be a whole number"},
        {"{\"operationId\":\"/a\",\"timeout_ms\":18446744073709551616}", "INVALID_FRAME",
         "timeout_ms must be a whole number"},
        {"{\"operationId\":\"/a\",\"credit\":\"1\"}", "INVALID_FRAME",
         "credit must be a whole number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_world w;
        char in[256], want[256];
        call_world_init(&w, NULL);
        (void)snprintf(in, sizeof in, FRAME("requested", "1", "%s"), rows[i].payload);
        (void)snprintf(
            want, sizeof want,
            FRAME("error", "1", "{\"code\":\"%s\",\"message\":\"%s\",\"retryable\":false}") "\n",
            rows[i].code, rows[i].message);
        call_says(&w, 0, in);
        call_check(&w, "");
        call_check_out(&w, 0, want);
        assert_true(alk_call_is_idle(w.core, 0));
        call_world_fini(&w);
    }
}

static void a_frame_of_unknown_type_is_answered_when_it_has_an_id(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, FRAME("paused", "9", "{}"));
    call_check_out(&w, 0,
                   FRAME("error", "9",
                         "{\"code\":\"INVALID_FRAME\",\"message\":"
                         "\"unknown type of frame\",\"retryable\":false}") "\n");
    call_check(&w, "");
    /* When a request has that id, it is over with that answer. */
    call_says(&w, 0, REQUEST("9", ""));
    call_says(&w, 0, FRAME("paused", "9", "{}"));
    call_check(&w, "requested s0 id=9 op=a/b\nlost s0 in\n");
    (void)call_count_out(&w, 0);
    /* Without an id the stream breaks, and with it what was under way there. */
    call_says(&w, 0, REQUEST("9", ""));
    call_says(&w, 2, REQUEST("8", ""));
    call_says(&w, 0, "{\"type\":\"call.paused\"}");
    call_check(&w, "requested s0 id=9 op=a/b\nrequested s2 id=8 op=a/b\n"
                   "broken s0 ALK_E_PROTOCOL\nlost s0 in\n");
    size_t used = 7;
    check_err(alk_call_feed(w.core, 0, ALK_LIT("x"), &used), ALK_E_STATE);
    assert_int_equal(used, 7);
    assert_int_equal(alk_call_output(w.core, 0).n, 0);
    assert_false(alk_call_is_idle(w.core, 2));
    call_world_fini(&w);
}

static void bad_json_and_bad_lengths_break_the_stream(void **state)
{
    static const struct {
        struct alk_span in;
        const char *want;
    } rows[] = {
        {{(const uint8_t *)"\0\0\0\0", 4}, "broken s0 ALK_E_MALFORMED\n"},
        {{(const uint8_t *)"\0\0\1\1", 4}, "broken s0 ALK_E_TOO_BIG\n"},
        {{(const uint8_t *)"\xff\xff\xff\xff", 4}, "broken s0 ALK_E_TOO_BIG\n"},
        {{(const uint8_t *)"\0\0\0\1x", 5}, "broken s0 ALK_E_MALFORMED\n"},
        {{(const uint8_t *)"\0\0\0\2[]", 6}, "broken s0 ALK_E_MALFORMED\n"},
        {{(const uint8_t *)"\0\0\0\2{}", 6}, "broken s0 ALK_E_PROTOCOL\n"},
        {{(const uint8_t *)"\0\0\0\x0d{\"a\":1,\"a\":1}", 17}, "broken s0 ALK_E_MALFORMED\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_call_options o = {.frame_max = 256};
        struct call_world w;
        call_world_init(&w, &o);
        assert_true(call_world_feed(&w, 0, rows[i].in));
        call_check(&w, rows[i].want);
        call_world_fini(&w);
    }
}

static void a_frame_of_exactly_the_limit_is_taken(void **state)
{
    struct alk_call_options o = {.frame_max = 256};
    struct call_world w;
    char body[300];
    (void)state;
    call_world_init(&w, &o);
    memset(body, ' ', sizeof body);
    memcpy(body, REQUEST("1", ""), strlen(REQUEST("1", "")));
    body[256] = '\0';
    call_says(&w, 0, body);
    call_check(&w, "requested s0 id=1 op=a/b\n");
    /* The limit may change. */
    alk_call_set_frame_max(w.core, 255);
    call_says(&w, 0, body);
    call_check(&w, "broken s0 ALK_E_TOO_BIG\nlost s0 in\n");
    call_world_fini(&w);
}

static void an_id_that_is_live_already_breaks_the_connection(void **state)
{
    struct call_world w;
    size_t used;
    (void)state;
    call_world_init(&w, NULL);
    struct alk_call_ref ours = ask(&w, &ask_call);
    call_says(&w, 4, REQUEST("1", ""));
    call_says(&w, 8, REQUEST("1", "")); /* of whichever stream */
    call_check(&w, "requested s4 id=1 op=a/b\nbroken s0 ALK_E_PROTOCOL connection\n"
                   "lost s4 in\nlost s0 out\n");
    check_err(alk_call_feed(w.core, 4, ALK_LIT("x"), &used), ALK_E_STATE);
    check_err(alk_call_feed(w.core, 12, ALK_LIT("x"), &used), ALK_E_STATE);
    check_err(alk_call_open(w.core, 12), ALK_E_STATE);
    check_err(alk_call_abort(w.core, ours, none), ALK_E_STATE);
    call_world_fini(&w);
}

/* Also when the second one would have been turned away, for whatever reason. */
static void a_bad_request_of_a_live_id_breaks_the_connection(void **state)
{
    char deep[400] = REQUEST("1", ",\"input\":");
    (void)state;
    memset(deep + strlen(deep) - 2, '[', 100);
    const char *const bad[] = {
        FRAME("requested", "1", "{}"),
        FRAME("requested", "1", "7"),
        REQUEST("1", ",\"auth_token\":\"\""),
        REQUEST("1", ",\"timeout_ms\":-1"),
        deep,
        REQUEST("1", ""), /* one too many as well */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct call_world w;
        struct alk_call_options o = {.in_max = i == sizeof bad / sizeof bad[0] - 1 ? 1 : 2};
        call_world_init(&w, &o);
        call_says(&w, 4, REQUEST("1", ""));
        call_says(&w, 8, bad[i]);
        call_check(&w, "requested s4 id=1 op=a/b\nbroken s0 ALK_E_PROTOCOL connection\n"
                       "lost s4 in\n");
        call_world_fini(&w);
    }
}

static void an_id_may_be_used_again_after_its_end(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    for (int i = 0; i < 3; i++) {
        call_says(&w, 4, REQUEST("1", ""));
        check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), true), ALK_OK);
        /* What the peer sends to what is over says nothing. */
        call_says(&w, 4, FRAME("aborted", "1", "{}"));
        call_says(&w, 4, FRAME("credit", "1", "{\"n\":1}"));
    }
    call_check(&w, "requested s4 id=1 op=a/b\nrequested s4 id=1 op=a/b\n"
                   "requested s4 id=1 op=a/b\n");
    assert_int_equal(call_count_out(&w, 4), 3);
    call_world_fini(&w);
}

static void an_abort_is_told_once_and_answered_by_the_glue(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ""));
    call_says(&w, 4, FRAME("aborted", "1", "{}")); /* on another stream: nobody's */
    call_says(&w, 0, FRAME("aborted", "2", "{}"));
    call_says(&w, 0, FRAME("aborted", "1", "{\"reason\":\"tired\\n\"}"));
    call_says(&w, 0, FRAME("aborted", "1", "{\"reason\":\"again\"}"));
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":\"x\"}"));
    call_check(&w, "requested s0 id=1 op=a/b\naborted s0 tired\n\n");
    assert_false(alk_call_is_idle(w.core, 0));
    check_err(alk_call_fail(w.core, w.last, "ABORTED", none, false, none), ALK_OK);
    assert_int_equal(call_count_out(&w, 0), 1);
    assert_true(alk_call_is_idle(w.core, 0));
    call_world_fini(&w);
}

static void an_abort_without_payload_counts(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ""));
    call_says(&w, 0, "{\"type\":\"call.aborted\",\"id\":\"1\"}");
    call_says(&w, 0, REQUEST("2", ""));
    call_says(&w, 0, FRAME("aborted", "2", "{\"reason\":7}"));
    call_check(&w, "requested s0 id=1 op=a/b\naborted s0 \n"
                   "requested s0 id=2 op=a/b\naborted s0 \n");
    call_world_fini(&w);
}

static void answers_stop_at_the_credit(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ",\"credit\":2"));
    call_check(&w, "requested s0 id=1 op=a/b credit\n");
    struct alk_call_ref ref = w.last;
    check_err(alk_call_respond(w.core, ref, ALK_LIT("1"), false), ALK_OK);
    check_err(alk_call_respond(w.core, ref, ALK_LIT("1"), false), ALK_OK);
    /* Nobody met the end yet: more credit is no news. */
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":1}"));
    call_check(&w, "");
    check_err(alk_call_respond(w.core, ref, ALK_LIT("1"), false), ALK_OK);
    check_err(alk_call_respond(w.core, ref, ALK_LIT("1"), false), ALK_FULL);
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":0}"));
    call_check(&w, "");
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":18446744073709551615}"));
    call_check(&w, "credit s0\n");
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":18446744073709551615}"));
    check_err(alk_call_respond(w.core, ref, ALK_LIT("1"), false), ALK_OK);
    assert_int_equal(call_count_out(&w, 0), 4);
    /* Something that is no number ends the request. */
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":-1}"));
    call_check(&w, "lost s0 in\n");
    call_check_out(&w, 0,
                   FRAME("error", "1",
                         "{\"code\":\"INVALID_FRAME\",\"message\":"
                         "\"n must be a whole number\",\"retryable\":false}") "\n");
    call_world_fini(&w);
}

static void credit_nobody_asked_for_is_ignored(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    call_says(&w, 0, REQUEST("1", ""));
    call_says(&w, 0, FRAME("credit", "1", "{\"n\":3}"));
    check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), false), ALK_OK);
    call_check(&w, "requested s0 id=1 op=a/b\n");
    /* With a credit of nothing, the answer of a call still goes. */
    call_says(&w, 0, REQUEST("2", ",\"credit\":0"));
    check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), false), ALK_FULL);
    check_err(alk_call_respond(w.core, w.last, ALK_LIT("1"), true), ALK_OK);
    call_world_fini(&w);
}

/* --- requests of ours --------------------------------------------------------------------- */

static void a_call_of_ours_ends_with_its_answer(void **state)
{
    struct call_world w;
    uint64_t stream = 0;
    int mine = 0;
    struct alk_call_ref ref;
    struct alk_call_ask a = {.op = ALK_LIT("a/b"), .input = ALK_LIT("[]")};
    (void)state;
    call_world_init(&w, NULL);
    check_err(alk_call_request(w.core, 0, &a, NULL, &ref), ALK_E_STATE);
    check_err(alk_call_open(w.core, 0), ALK_OK);
    check_err(alk_call_open(w.core, 0), ALK_E_EXISTS);
    check_err(alk_call_request(w.core, 0, &a, &mine, &ref), ALK_OK);
    assert_true(alk_call_stream_of(w.core, ref, &stream) && stream == 0);
    call_check_out(&w, 0, REQUEST("0.1", ",\"input\":[]") "\n");
    assert_false(alk_call_is_idle(w.core, 0));
    call_says(&w, 4, FRAME("responded", "0.1", "{\"output\":1}"));  /* another stream */
    call_says(&w, 0, FRAME("responded", "00.1", "{\"output\":1}")); /* another id */
    call_says(&w, 0, FRAME("responded", "0.2", "{\"output\":1}"));
    call_says(&w, 0, FRAME("responded", "1.1", "{\"output\":1}"));
    call_check(&w, "");
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":{\"a\":null}}"));
    call_check(&w, "responded s0 {\"a\":null} last\n");
    assert_ptr_equal(w.event.user, &mine);
    assert_true(alk_call_is_idle(w.core, 0));
    call_says(&w, 0, FRAME("error", "0.1", "{\"code\":\"X\"}"));
    call_check(&w, "");
    /* The slot is used again, the id is not. */
    check_err(alk_call_request(w.core, 0, &a, NULL, &ref), ALK_OK);
    call_check_out(&w, 0, REQUEST("0.2", ",\"input\":[]") "\n");
    call_world_fini(&w);
}

static void a_subscription_of_ours_hears_until_it_is_completed(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    (void)ask(&w, &ask_sub);
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":1}"));
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":2}"));
    call_says(&w, 0, FRAME("completed", "0.1", "{}"));
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":3}"));
    call_check(&w, "responded s0 1\nresponded s0 2\ncompleted s0\n");
    call_world_fini(&w);
}

static void errors_are_told_with_codes_that_can_be_believed(void **state)
{
    static const struct {
        const char *payload, *want;
    } rows[] = {
        {"{\"code\":\"NOT_FOUND\",\"message\":\"no \\\"x\\\"\",\"retryable\":true,"
         "\"details\":[1]}",
         "failed s0 NOT_FOUND 'no \"x\"' retryable [1]\n"},
        {"{\"code\":\"DECLARED_9\",\"message\":\"\",\"retryable\":false}",
         "failed s0 DECLARED_9 ''\n"},
        {"{\"code\":\"lower\",\"message\":\"m\",\"retryable\":true}", "failed s0 INTERNAL 'm'\n"},
        {"{\"code\":7,\"retryable\":true}", "failed s0 INTERNAL ''\n"},
        {"{}", "failed s0 INTERNAL ''\n"},
        {"{\"code\":\"A\",\"retryable\":1,\"message\":[]}", "failed s0 A ''\n"},
        {"null", "failed s0 INTERNAL ''\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_world w;
        char in[256];
        call_world_init(&w, NULL);
        (void)ask(&w, i % 2 == 0 ? &ask_call : &ask_sub);
        (void)snprintf(in, sizeof in, FRAME("error", "0.1", "%s"), rows[i].payload);
        call_says(&w, 0, in);
        call_check(&w, rows[i].want);
        call_world_fini(&w);
    }
}

static void an_answer_that_is_none_fails_the_request(void **state)
{
    struct call_world w;
    struct alk_call_ask credit = ask_sub;
    (void)state;
    credit.has_credit = true;
    credit.credit = 1;
    call_world_init(&w, NULL);
    (void)ask(&w, &ask_call);
    call_says(&w, 0, FRAME("responded", "0.1", "{}"));
    call_check(&w, "failed s0 INVALID_FRAME 'an answer without output'\n");
    call_check_out(&w, 0, "");
    /* A subscription is called off as well. */
    (void)ask(&w, &credit);
    call_says(&w, 0, FRAME("responded", "0.2", "{\"output\":1}"));
    call_says(&w, 0, FRAME("responded", "0.2", "{\"output\":2}"));
    call_says(&w, 0, FRAME("responded", "0.2", "{\"output\":3}"));
    call_check(&w, "responded s0 1\nfailed s0 INVALID_FRAME 'an answer without credit'\n");
    call_check_out(&w, 0,
                   FRAME("aborted", "0.2", "{\"reason\":\"an answer without credit\"}") "\n");
    assert_true(alk_call_is_idle(w.core, 0));
    call_world_fini(&w);
}

static void an_abort_of_ours_is_sent_once_and_ends_with_the_peers_word(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    struct alk_call_ref ref = ask(&w, &ask_sub);
    check_err(alk_call_abort(w.core, ref, ALK_LIT("enough")), ALK_OK);
    check_err(alk_call_abort(w.core, ref, none), ALK_OK);
    call_check_out(&w, 0, FRAME("aborted", "0.1", "{\"reason\":\"enough\"}") "\n");
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":1}")); /* it was on its way */
    call_says(&w, 0, FRAME("error", "0.1", "{\"code\":\"ABORTED\",\"message\":\"\"}"));
    call_check(&w, "responded s0 1\nfailed s0 ABORTED ''\n");
    check_err(alk_call_abort(w.core, ref, none), ALK_E_STATE);
    call_world_fini(&w);
}

static void what_was_forgotten_is_heard_of_no_more(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    struct alk_call_ref a = ask(&w, &ask_sub);
    struct alk_call_ref b = ask(&w, &ask_sub);
    struct alk_call_ref d = ask(&w, &ask_call);
    alk_call_forget(w.core, a);
    alk_call_forget(w.core, d);
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":1}"));
    call_says(&w, 0, FRAME("responded", "2.1", "{\"output\":1}"));
    call_says(&w, 0, FRAME("error", "0.1", "{}"));
    call_says(&w, 0, FRAME("responded", "1.1", "{\"output\":2}"));
    call_check(&w, "responded s0 2\n");
    alk_call_forget(w.core, b);
    alk_call_close_stream(w.core, 0);
    call_world_events(&w);
    call_check(&w, "");
    alk_call_forget(w.core, b); /* stale by now */
    call_world_fini(&w);
}

static void credit_of_ours_is_sent(void **state)
{
    struct call_world w;
    struct alk_call_ask credit = ask_sub;
    (void)state;
    credit.has_credit = true;
    call_world_init(&w, NULL);
    struct alk_call_ref with = ask(&w, &credit);
    struct alk_call_ref without = ask(&w, &ask_sub);
    check_err(alk_call_credit(w.core, with, 3), ALK_OK);
    check_err(alk_call_credit(w.core, with, 0), ALK_OK);
    check_err(alk_call_credit(w.core, without, 3), ALK_E_STATE);
    call_check_out(&w, 0, FRAME("credit", "0.1", "{\"n\":3}") "\n");
    call_says(&w, 0, FRAME("responded", "0.1", "{\"output\":1}"));
    call_check(&w, "responded s0 1\n");
    call_world_fini(&w);
}

/* --- streams ---------------------------------------------------------------------------------- */

static void requests_of_a_closed_stream_are_lost(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    (void)ask(&w, &ask_call);
    call_says(&w, 0, REQUEST("1", ""));
    struct alk_call_ref one = w.last;
    call_says(&w, 0, REQUEST("2", ""));
    call_says(&w, 4, REQUEST("3", ""));
    call_check(&w,
               "requested s0 id=1 op=a/b\nrequested s0 id=2 op=a/b\nrequested s4 id=3 op=a/b\n");
    alk_call_close_stream(w.core, 0);
    assert_true(alk_call_is_idle(w.core, 0));
    /* Whoever ends it before it is told hears nothing of it. */
    check_err(alk_call_respond(w.core, one, ALK_LIT("1"), false), ALK_E_STATE);
    check_err(alk_call_fail(w.core, one, "ABORTED", none, false, none), ALK_OK);
    call_world_events(&w);
    call_check(&w, "lost s0 out\nlost s0 in\n");
    alk_call_close_stream(w.core, 0);
    call_world_events(&w);
    call_check(&w, "");
    /* The ids are free, the stream's number too. */
    call_says(&w, 0, REQUEST("1", ""));
    call_check(&w, "requested s0 id=1 op=a/b\n");
    call_world_fini(&w);
}

static void the_peers_end_loses_what_waits_for_answers(void **state)
{
    struct call_world w;
    size_t used;
    struct alk_call_ref ref;
    (void)state;
    call_world_init(&w, NULL);
    (void)ask(&w, &ask_call);
    call_says(&w, 0, REQUEST("1", ""));
    call_check(&w, "requested s0 id=1 op=a/b\n");
    struct alk_call_ref in = w.last;
    alk_call_eof(w.core, 0);
    alk_call_eof(w.core, 0);
    call_world_events(&w);
    call_check(&w, "lost s0 out\n");
    check_err(alk_call_request(w.core, 0, &ask_call, NULL, &ref), ALK_E_STATE);
    check_err(alk_call_feed(w.core, 0, ALK_LIT("x"), &used), ALK_E_STATE);
    /* Its own request is still answered. */
    check_err(alk_call_respond(w.core, in, ALK_LIT("1"), true), ALK_OK);
    assert_int_equal(call_count_out(&w, 0), 1);
    call_world_fini(&w);
}

static void an_end_within_a_frame_breaks_the_stream(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++) {
        static const uint8_t in[20] = "\0\0\0\x40{\"type\":\"call.";
        struct call_world w;
        call_world_init(&w, NULL);
        call_says(&w, 0, REQUEST("1", ""));
        assert_true(call_world_feed(&w, 0, alk_span(in, n)));
        alk_call_eof(w.core, 0);
        call_world_events(&w);
        call_check(&w, n == 0
                           ? "requested s0 id=1 op=a/b\n"
                           : "requested s0 id=1 op=a/b\nbroken s0 ALK_E_MALFORMED\nlost s0 in\n");
        call_world_fini(&w);
    }
}

static void an_event_outlives_neither_its_stream_nor_interest(void **state)
{
    struct call_world w;
    struct alk_buf b;
    size_t used = 0;
    struct alk_call_event ev;
    (void)state;
    call_world_init(&w, NULL);
    alk_buf_init(&b, NULL, 1 << 12);
    /* A request that nobody has taken yet. */
    call_frame(&b, ALK_LIT(REQUEST("1", "")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    alk_call_close_stream(w.core, 0);
    check_err(alk_call_next(w.core, &ev), ALK_MORE);
    /* The answer of a call: the call is lost instead. */
    struct alk_call_ref ref = ask(&w, &ask_call);
    alk_buf_clear(&b);
    call_frame(&b, ALK_LIT(FRAME("responded", "0.3", "{\"output\":1}")));
    assert_int_equal(ref.serial, 2);
    alk_buf_clear(&b);
    call_frame(&b, ALK_LIT(FRAME("responded", "0.2", "{\"output\":1}")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    alk_call_eof(w.core, 0); /* the answer is there: not lost by that */
    alk_call_close_stream(w.core, 0);
    call_world_events(&w);
    call_check(&w, "lost s0 out\n");
    /* An answer that is waiting when the peer ends is told. */
    (void)ask(&w, &ask_call);
    alk_buf_clear(&b);
    call_frame(&b, ALK_LIT(FRAME("responded", "0.3", "{\"output\":1}")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    alk_call_eof(w.core, 0);
    call_world_events(&w);
    call_check(&w, "responded s0 1 last\n");
    alk_call_close_stream(w.core, 0);
    /* One answer of a subscription: told, and then the loss. */
    ref = ask(&w, &ask_sub);
    alk_buf_clear(&b);
    call_frame(&b, ALK_LIT(FRAME("responded", "0.4", "{\"output\":1}")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    alk_call_eof(w.core, 0);
    call_world_events(&w);
    call_check(&w, "responded s0 1\nlost s0 out\n");
    alk_call_close_stream(w.core, 0);
    /* One that is forgotten before it is taken. */
    ref = ask(&w, &ask_call);
    alk_buf_clear(&b);
    call_frame(&b, ALK_LIT(FRAME("responded", "0.5", "{\"output\":1}")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    alk_call_forget(w.core, ref);
    call_world_events(&w);
    call_check(&w, "");
    assert_true(alk_call_is_idle(w.core, 0));
    alk_buf_fini(&b);
    call_world_fini(&w);
}

static void only_one_event_waits_at_a_time(void **state)
{
    struct call_world w;
    struct alk_buf b;
    size_t used = 0;
    struct alk_call_event ev;
    (void)state;
    call_world_init(&w, NULL);
    alk_buf_init(&b, NULL, 1 << 12);
    call_frame(&b, ALK_LIT(REQUEST("1", "")));
    size_t first = alk_buf_len(&b);
    call_frame(&b, ALK_LIT(REQUEST("2", "")));
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    assert_int_equal(used, first);
    check_err(alk_call_feed(w.core, 0, alk_buf_span(&b), &used), ALK_OK);
    assert_int_equal(used, 0);
    check_err(alk_call_feed(w.core, 4, alk_buf_span(&b), &used), ALK_OK);
    assert_int_equal(used, 0);
    check_err(alk_call_next(w.core, &ev), ALK_OK);
    check_text(ev.u.requested.id, "1");
    check_err(alk_call_next(w.core, &ev), ALK_MORE);
    alk_buf_fini(&b);
    call_world_fini(&w);
}

static void dirty_streams_are_found_while_they_are_sent(void **state)
{
    struct call_world w;
    (void)state;
    call_world_init(&w, NULL);
    for (uint64_t s = 0; s < 40; s++) {
        struct alk_call_ref ref;
        check_err(alk_call_open(w.core, s), ALK_OK);
        if (s % 3 != 0) {
            check_err(alk_call_request(w.core, s, &ask_call, NULL, &ref), ALK_OK);
        }
    }
    bool seen[40] = {false};
    size_t at = 0, n = 0;
    uint64_t stream;
    while (alk_call_dirty(w.core, &at, &stream)) {
        assert_true(stream < 40 && stream % 3 != 0 && !seen[stream]);
        seen[stream] = true;
        n++;
        struct alk_span out = alk_call_output(w.core, stream);
        alk_call_sent(w.core, stream, stream % 2 == 0 ? out.n : out.n / 2);
    }
    assert_int_equal(n, 26);
    for (at = 0, n = 0; alk_call_dirty(w.core, &at, &stream); n++) {
        assert_true(stream % 2 == 1);
        alk_call_sent(w.core, stream, alk_call_output(w.core, stream).n);
    }
    assert_int_equal(n, 13);
    at = 0;
    assert_false(alk_call_dirty(w.core, &at, &stream));
    call_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_asked_and_answered),
        cmocka_unit_test(a_subscription_is_answered_until_it_is_completed),
        cmocka_unit_test(a_failure_carries_code_message_and_details),
        cmocka_unit_test(a_bad_request_is_answered_by_the_core),
        cmocka_unit_test(a_frame_of_unknown_type_is_answered_when_it_has_an_id),
        cmocka_unit_test(bad_json_and_bad_lengths_break_the_stream),
        cmocka_unit_test(a_frame_of_exactly_the_limit_is_taken),
        cmocka_unit_test(an_id_that_is_live_already_breaks_the_connection),
        cmocka_unit_test(a_bad_request_of_a_live_id_breaks_the_connection),
        cmocka_unit_test(an_id_may_be_used_again_after_its_end),
        cmocka_unit_test(an_abort_is_told_once_and_answered_by_the_glue),
        cmocka_unit_test(an_abort_without_payload_counts),
        cmocka_unit_test(answers_stop_at_the_credit),
        cmocka_unit_test(credit_nobody_asked_for_is_ignored),
        cmocka_unit_test(a_call_of_ours_ends_with_its_answer),
        cmocka_unit_test(a_subscription_of_ours_hears_until_it_is_completed),
        cmocka_unit_test(errors_are_told_with_codes_that_can_be_believed),
        cmocka_unit_test(an_answer_that_is_none_fails_the_request),
        cmocka_unit_test(an_abort_of_ours_is_sent_once_and_ends_with_the_peers_word),
        cmocka_unit_test(what_was_forgotten_is_heard_of_no_more),
        cmocka_unit_test(credit_of_ours_is_sent),
        cmocka_unit_test(requests_of_a_closed_stream_are_lost),
        cmocka_unit_test(the_peers_end_loses_what_waits_for_answers),
        cmocka_unit_test(an_end_within_a_frame_breaks_the_stream),
        cmocka_unit_test(an_event_outlives_neither_its_stream_nor_interest),
        cmocka_unit_test(only_one_event_waits_at_a_time),
        cmocka_unit_test(dirty_streams_are_found_while_they_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
