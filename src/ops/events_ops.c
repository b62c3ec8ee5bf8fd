/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/events_ops.h"

#include "base/json_scan.h"
#include "core/frame.h"
#include "ops/dispatch.h"
#include "ops/request.h"

#include <yyjson.h>

#define SEQ_HEAD "{\"seq\":"

static bool request_has_scope(void *ctx, const char *scope)
{
    const struct alk_request *r = ctx;
    return alk_request_has_scope(r, scope);
}

static void fail_publish(struct alk_request *r, alk_err err)
{
    if (err == ALK_E_FORBIDDEN) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "you may not publish on this topic");
    } else if (err == ALK_E_INVALID) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT, "not a topic, or not an event_id");
    } else if (err == ALK_E_TOO_BIG) {
        alk_request_fail(r, ALK_OPS_TOO_LARGE, "the event is too large");
    } else if (err == ALK_E_LIMIT || err == ALK_E_NOMEM) {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, "too many events wait already");
    } else if (err == ALK_E_CLOSED) {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, "the node is stopping");
    } else {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, "the event could not be stored");
    }
}

/* --- events/publish ---------------------------------------------------------------- */

static void published(void *ctx, alk_err err, uint64_t seq)
{
    struct alk_request *r = ctx;
    if (err != ALK_OK) {
        fail_publish(r, err);
        return;
    }
    /* {"seq":N}, without a buffer of the request's for so little */
    uint8_t text[sizeof(SEQ_HEAD) + ALK_DIGITS_MAX], digits[ALK_DIGITS_MAX];
    size_t n = alk_digits(seq, digits), at = sizeof(SEQ_HEAD) - 1;
    memcpy(text, SEQ_HEAD, at);
    memcpy(text + at, digits + sizeof(digits) - n, n);
    text[at + n] = '}';
    (void)alk_request_respond_json(r, alk_span(text, at + n + 1)); /* is always taken */
}

/* Whoever reads the event bounds its values, names among them: ten beside the data, which
 * had four beside it. An input that needed no tree is too short for so many. */
static bool has_too_many_values(const struct alk_request *r)
{
    return r->doc != NULL && yyjson_doc_get_val_count(r->doc) > ALK_JSON_VALUES_MAX - (10 - 4);
}

static void publish(void *ctx, struct alk_request *r)
{
    struct alk_events *e = ctx;
    struct alk_span event_id = alk_input_json(r, "event_id");
    uint8_t topic[ALK_TOPIC_MAX], id[4 * ALK_EVENT_ID_MAX];
    uint64_t seq = 0;
    const struct alk_identity *caller = alk_request_caller(r);
    struct alk_publish p = {.publisher =
                                caller == NULL ? alk_span(NULL, 0) : alk_identity_id(caller),
                            .has_scope = request_has_scope,
                            .scope_ctx = r,
                            .who = alk_request_who(r)};
    alk_err err = alk_json_text(alk_input_json(r, "topic"), topic, sizeof(topic), &p.topic);
    if (err == ALK_OK && event_id.n > 0) {
        err = alk_json_text(event_id, id, sizeof(id), &p.event_id);
    }
    if (err != ALK_OK) {
        err = ALK_E_INVALID;
    } else if (has_too_many_values(r)) {
        err = ALK_E_TOO_BIG;
    } else {
        /* It goes on as it came. */
        p.data = alk_input_json(r, "data");
        err = alk_events_publish(e, alk_request_loop(r), &p, published, r, &seq);
    }
    if (err != ALK_MORE) {
        published(r, err, seq);
    }
}

/* --- events/subscribe --------------------------------------------------------------- */

static alk_err sink_event(void *ctx, struct alk_span json)
{
    return alk_request_respond_json(ctx, json);
}

static void sink_ended(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    struct alk_request *r = ctx;
    if (oldest > 0) {
        struct alk_out *out = alk_request_out(r);
        alk_out_object(out);
        alk_out_key(out, "oldest");
        alk_out_u64(out, oldest);
        alk_out_end(out);
    }
    alk_request_fail(r, code, message);
}

static const struct alk_identity *sink_caller(void *ctx)
{
    const struct alk_request *r = ctx;
    return alk_request_caller(r);
}

static bool sink_may(void *ctx, struct alk_span type, struct alk_span name, struct alk_span action)
{
    const struct alk_request *r = ctx;
    return alk_request_may(r, type, name, action, alk_span(NULL, 0));
}

static const struct alk_event_sink REQUEST_SINK = {.event = sink_event,
                                                   .ended = sink_ended,
                                                   .caller = sink_caller,
                                                   .has_scope = request_has_scope,
                                                   .may = sink_may};

static void on_cancelled(void *ctx, struct alk_request *r)
{
    alk_event_sub_cancel(ctx);
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void on_writable(void *ctx, struct alk_request *r)
{
    (void)r;
    alk_event_sub_writable(ctx);
}

static bool read_subscribe(const struct alk_request *r, struct alk_event_listen *l,
                           struct alk_span patterns[static ALK_EVENT_PATTERNS_MAX])
{
    struct yyjson_val *topics = yyjson_obj_get(alk_request_value(r), "topics");
    struct yyjson_val *from = yyjson_obj_get(alk_request_value(r), "from");
    l->count = yyjson_arr_size(topics);
    if (l->count == 0 || l->count > ALK_EVENT_PATTERNS_MAX) {
        return false;
    }
    yyjson_arr_iter iter = yyjson_arr_iter_with(topics);
    for (size_t i = 0; i < l->count; i++) {
        struct yyjson_val *v = yyjson_arr_iter_next(&iter);
        patterns[i] = alk_span(yyjson_get_str(v), yyjson_get_len(v));
        if (!yyjson_is_str(v)) {
            return false;
        }
    }
    l->patterns = patterns;
    if (yyjson_is_uint(from)) {
        l->from = ALK_EVENTS_SEQ;
        l->seq = yyjson_get_uint(from);
    } else if (yyjson_equals_str(from, "earliest")) {
        l->from = ALK_EVENTS_EARLIEST;
    } else if (from != NULL && !yyjson_equals_str(from, "latest")) {
        return false;
    }
    return true;
}

static void subscribe(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, on_writable};
    struct alk_span patterns[ALK_EVENT_PATTERNS_MAX];
    struct alk_event_sub *sub = NULL;
    struct alk_event_listen l = {.loop = alk_request_loop(r), .sink = &REQUEST_SINK, .ctx = r};
    alk_err err =
        read_subscribe(r, &l, patterns) ? alk_events_subscribe(ctx, &l, &sub) : ALK_E_INVALID;
    if (err == ALK_OK) {
        alk_request_on(r, &calls, sub);
    } else if (err == ALK_E_FORBIDDEN) {
        alk_request_fail(r, ALK_OPS_FORBIDDEN, "you may not listen to one of these topics");
    } else if (err == ALK_E_INVALID) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT,
                         "not a pattern, or a seq that no event has had yet");
    } else if (err == ALK_E_CLOSED) {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, "the node is stopping");
    } else {
        alk_request_fail(r, ALK_OPS_EXHAUSTED, "too many subscriptions");
    }
}

/* --- events/topics ------------------------------------------------------------------- */

static void put_rule(struct alk_out *out, const struct alk_event_rule *rule, struct alk_request *r)
{
    bool may_publish = alk_event_who_allows(&rule->publish, request_has_scope, r);
    bool may_listen = alk_event_who_allows(&rule->subscribe, request_has_scope, r);
    if (!may_publish && !may_listen) {
        return;
    }
    alk_out_object(out);
    alk_out_key(out, "match");
    alk_out_span(out, rule->match);
    alk_out_key(out, "durable");
    alk_out_bool(out, rule->is_durable);
    alk_out_key(out, "publish");
    alk_out_bool(out, may_publish);
    alk_out_key(out, "subscribe");
    alk_out_bool(out, may_listen);
    alk_out_end(out);
}

static void topics(void *ctx, struct alk_request *r)
{
    const struct alk_event_rules *rules = alk_events_rules(ctx);
    struct alk_out *out = alk_request_out(r);
    alk_out_object(out);
    alk_out_key(out, "topics");
    alk_out_array(out);
    for (size_t i = 0; i < alk_event_rules_count(rules); i++) {
        put_rule(out, alk_event_rules_at(rules, i), r);
    }
    alk_out_end(out);
    alk_out_end(out);
    alk_event_rules_unref(rules);
    (void)alk_request_respond(r); /* a query's answer is always taken */
}

/* --- the table ------------------------------------------------------------------------ */

static void release(void *ctx)
{
    alk_events_unref(ctx);
}

static const struct alk_op OPS[] = {
    {.struct_size = sizeof(struct alk_op),
     .name = "events/publish",
     .summary = "publishes an event",
     .help = "The answer comes when the event has its number; on a durable topic when it is on "
             "disk. A second event with the same event_id, topic and publisher within two "
             "minutes is answered with the number of the first and goes to nobody.",
     .kind = ALK_OP_MUTATION,
     .flags = ALK_OP_TEXT_INPUT,
     .input = "{\"type\":\"object\",\"required\":[\"topic\",\"data\"],\"properties\":{"
              "\"topic\":{\"type\":\"string\",\"maxLength\":255,\"description\":"
              "\"1-16 tokens of letters, digits, _ and -, joined by dots\"},"
              "\"data\":{\"description\":\"any value\"},"
              "\"event_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64}}}",
     .output = "{\"type\":\"object\",\"required\":[\"seq\"],\"properties\":{"
               "\"seq\":{\"type\":\"integer\"}}}",
     .fn = publish,
     .release = release},
    {.struct_size = sizeof(struct alk_op),
     .name = "events/subscribe",
     .summary = "events of topics, as they come",
     .help = "Patterns may hold * for one token and > for the rest. `from` replays what durable "
             "topics have stored, from a number on or from the earliest, and goes on live. "
             "Events of topics that the caller may not read are left out. A caller that does "
             "not take events fast enough is cut with SLOW_CONSUMER; EXPIRED names the oldest "
             "number that can be asked for.",
     .kind = ALK_OP_SUBSCRIPTION,
     .input = "{\"type\":\"object\",\"required\":[\"topics\"],\"properties\":{"
              "\"topics\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":64,"
              "\"items\":{\"type\":\"string\",\"maxLength\":255}},"
              "\"from\":{\"anyOf\":[{\"enum\":[\"latest\",\"earliest\"]},"
              "{\"type\":\"integer\",\"minimum\":0}]}}}",
     .output = "{\"type\":\"object\",\"required\":[\"topic\",\"seq\",\"time\",\"publisher\","
               "\"data\"],\"properties\":{\"topic\":{\"type\":\"string\"},"
               "\"seq\":{\"type\":\"integer\"},\"time\":{\"type\":\"integer\",\"description\":"
               "\"unix time in milliseconds\"},\"publisher\":{\"type\":[\"string\",\"null\"]},"
               "\"data\":{}}}",
     .fn = subscribe,
     .release = release},
    {.struct_size = sizeof(struct alk_op),
     .name = "events/topics",
     .summary = "rules for topics that concern the caller",
     .kind = ALK_OP_QUERY,
     .output = "{\"type\":\"object\",\"required\":[\"topics\"],\"properties\":{\"topics\":{"
               "\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}",
     .fn = topics,
     .release = release},
};
#define OP_COUNT (sizeof(OPS) / sizeof(OPS[0]))

void alk_events_remove_ops(struct alk_ops *ops)
{
    for (size_t i = 0; i < OP_COUNT; i++) {
        alk_err err = alk_ops_remove(ops, OPS[i].name);
        (void)err; /* absent when adding had failed before it */
    }
}

alk_err alk_events_add_ops(struct alk_events *e, struct alk_ops *ops, char *why, size_t why_size)
{
    for (size_t i = 0; i < OP_COUNT; i++) {
        alk_err err = alk_ops_add(ops, &OPS[i], alk_events_ref(e), why, why_size);
        if (err != ALK_OK) {
            while (i-- > 0) {
                alk_err gone = alk_ops_remove(ops, OPS[i].name);
                (void)gone;
            }
            return err;
        }
    }
    return ALK_OK;
}
