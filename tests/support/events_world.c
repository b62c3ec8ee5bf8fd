/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/events_world.h"

#include "ops/part.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t now_of(void *ctx)
{
    const struct events_world *w = ctx;
    return atomic_load(&w->now_ns);
}

static uint64_t now_ms_of(void *ctx)
{
    return now_of(ctx) / 1000000;
}

/* --- the world -------------------------------------------------------------------- */

void events_open_store(struct events_world *w)
{
    char message[ALK_DB_MESSAGE_SIZE] = "";
    struct alk_event_store *store = NULL;
    if (w->dir[0] == '\0') {
        (void)snprintf(w->dir, sizeof(w->dir), "%s", "/tmp/alknet-hub-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
    }
    struct alk_event_log_options o = {
        .dir = w->dir, .writer = alk_events_writer(w->hub), .now_ms = now_ms_of, .now_ctx = w};
    check_err(alk_event_log_open(&o, message, &store), ALK_OK);
    alk_events_set_store(w->hub, store);
}

alk_err events_rules(struct events_world *w, const char *yaml, char *why, size_t why_size)
{
    const struct alk_conf *conf = NULL;
    const struct alk_event_rules *rules = NULL;
    struct alk_conf_errors errors = {0};
    alk_err err =
        alk_conf_parse(NULL, alk_span_str(yaml), "events", alk_events_rows, &errors, &conf);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "%s", errors.text == NULL ? "" : errors.text);
        alk_conf_errors_fini(&errors);
        return err;
    }
    err = alk_event_rules_new(NULL, conf, alk_events_generation(w->hub), why, why_size, &rules);
    alk_conf_unref(conf);
    if (err == ALK_OK) {
        if (alk_event_rules_are_durable(rules) && !alk_events_has_store(w->hub)) {
            events_open_store(w);
        }
        alk_events_set_rules(w->hub, rules);
        alk_event_rules_unref(rules);
    }
    return err;
}

alk_err events_try_init(struct events_world *w, const struct alk_mem *mem, const char *rules)
{
    char why[1024] = "";
    *w = (struct events_world){.loop = NULL};
    atomic_init(&w->now_ns, 1000000 * ALK_SECOND);
    struct alk_events_options o = {
        .mem = mem, .seed = {1, 2, 3}, .loops_max = 4, .now_ns = now_of, .now_ctx = w};
    ALK_TRY(alk_events_new(&o, &w->hub));
    check_err(alk_loop_new(NULL, &w->loop), ALK_OK);
    if (rules != NULL) {
        alk_err err = events_rules(w, rules, why, sizeof(why));
        if (err != ALK_OK) {
            print_error("%s\n", why);
        }
        check_err(err, ALK_OK);
    }
    return ALK_OK;
}

void events_world_init(struct events_world *w, const struct alk_mem *mem, const char *rules)
{
    check_err(events_try_init(w, mem, rules), ALK_OK);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void events_world_fini(struct events_world *w)
{
    if (w->hub != NULL) {
        alk_events_stop(w->hub);
    }
    if (w->loop != NULL) {
        events_run(w);
    }
    alk_loop_free(w->loop);
    alk_events_unref(w->hub);
    if (w->dir[0] != '\0') {
        assert_int_equal(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

void events_run(struct events_world *w)
{
    /* A post, and what it asks for. */
    for (int i = 0; i < 4 || alk_loop_timeout_ms(w->loop) == 0; i++) {
        (void)alk_loop_run_once(w->loop, 0);
    }
}

void events_until(struct events_world *w, events_cond *cond, void *ctx)
{
    alk_time limit = alk_clock_now() + 20 * ALK_SECOND;
    while (!cond(ctx)) {
        (void)alk_loop_run_once(w->loop, 1000);
        assert_true(alk_clock_now() < limit);
    }
}

/* --- publishing -------------------------------------------------------------------- */

struct outcome {
    alk_err err;
    uint64_t seq;
    bool is_over;
};

static void published(void *ctx, alk_err err, uint64_t seq)
{
    struct outcome *o = ctx;
    *o = (struct outcome){err, seq, true};
}

static bool is_published(void *ctx)
{
    const struct outcome *o = ctx;
    return o->is_over;
}

alk_err events_try_publish(struct events_world *w, const char *topic, const char *data,
                           const char *id, uint64_t *ret_seq)
{
    struct outcome o = {.is_over = false};
    struct alk_publish p = {.topic = alk_span_str(topic),
                            .data = alk_span_str(data),
                            .publisher = ALK_LIT("laptop"),
                            .event_id = alk_span_str(id)};
    alk_err err = alk_events_publish(w->hub, w->loop, &p, published, &o, &o.seq);
    assert_false(o.is_over);
    if (err == ALK_MORE) {
        events_until(w, is_published, &o);
        err = o.err;
    }
    *ret_seq = o.seq;
    return err;
}

uint64_t events_publish(struct events_world *w, const char *topic, const char *data)
{
    uint64_t seq = 0;
    check_err(events_try_publish(w, topic, data, NULL, &seq), ALK_OK);
    return seq;
}

/* --- listening ----------------------------------------------------------------------- */

static bool is_among(const char *list, struct alk_span word)
{
    struct alk_span rest = alk_span_str(list);
    while (rest.n > 0) {
        if (alk_span_equal(alk_span_cut(&rest, ','), word)) {
            return true;
        }
    }
    return false;
}

static struct alk_span between(struct alk_span json, const char *from, uint8_t to)
{
    const char *at = memmem(json.p, json.n, from, strlen(from));
    assert_non_null(at);
    struct alk_span rest =
        alk_span_tail(json, (size_t)((const uint8_t *)at - json.p) + strlen(from));
    return to == 0 ? alk_span_head(rest, rest.n - 1) : alk_span_cut(&rest, to);
}

static void note(struct listener *l, struct alk_span json)
{
    uint64_t seq = 0;
    struct alk_span topic = between(json, "\"topic\":\"", '"');
    struct alk_span data = between(json, "\"data\":", 0);
    struct alk_span number = between(json, "\"seq\":", ',');
    assert_true(alk_span_u64(alk_span_trim(number), UINT64_MAX, &seq));
    l->is_out_of_order = l->is_out_of_order || seq <= l->last;
    l->first = l->count == 0 ? seq : l->first;
    l->last = seq;
    l->count++;
    size_t n = strlen(l->heard);
    (void)snprintf(l->heard + n, sizeof(l->heard) - n, "%.*s=%.*s ", (int)topic.n,
                   (const char *)topic.p, (int)data.n, (const char *)data.p);
}

static alk_err sink_event(void *ctx, struct alk_span json)
{
    struct listener *l = ctx;
    if (l->room == 0) {
        return ALK_FULL;
    }
    l->room -= l->room != UINT32_MAX;
    if (l->fails != ALK_OK) {
        return l->fails;
    }
    if (l->cancels) {
        struct alk_event_sub *sub = l->sub;
        l->sub = NULL;
        alk_event_sub_cancel(sub);
        return ALK_E_CLOSED;
    }
    note(l, json);
    return ALK_OK;
}

static void sink_ended(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    struct listener *l = ctx;
    (void)message;
    l->sub = NULL;
    l->oldest = oldest;
    (void)snprintf(l->code, sizeof(l->code), "%s", code);
    if (l->takes_along != NULL && l->takes_along->sub != NULL) {
        alk_event_sub_cancel(l->takes_along->sub);
        l->takes_along->sub = NULL;
    }
}

static const struct alk_identity *sink_caller(void *ctx)
{
    const struct listener *l = ctx;
    return l->caller;
}

static bool sink_has_scope(void *ctx, const char *scope)
{
    const struct listener *l = ctx;
    return l->scopes == NULL || is_among(l->scopes, alk_span_str(scope));
}

static bool sink_may(void *ctx, struct alk_span type, struct alk_span name, struct alk_span action)
{
    const struct listener *l = ctx;
    return alk_span_is(type, "repo") && alk_span_is(action, "read") && l->names != NULL &&
           is_among(l->names, name);
}

const struct alk_event_sink events_sink = {.event = sink_event,
                                           .ended = sink_ended,
                                           .caller = sink_caller,
                                           .has_scope = sink_has_scope,
                                           .may = sink_may};

alk_err events_try_listen(struct events_world *w, struct listener *l, const char *patterns,
                          enum alk_event_from from, uint64_t seq)
{
    struct alk_span list[ALK_EVENT_PATTERNS_MAX + 1];
    struct alk_span rest = alk_span_str(patterns);
    size_t n = 0;
    while (rest.n > 0 && n <= ALK_EVENT_PATTERNS_MAX) {
        list[n++] = alk_span_cut(&rest, ' ');
    }
    struct alk_event_listen o = {.loop = w->loop,
                                 .patterns = list,
                                 .count = n,
                                 .from = from,
                                 .seq = seq,
                                 .sink = &events_sink,
                                 .ctx = l};
    l->room = UINT32_MAX;
    return alk_events_subscribe(w->hub, &o, &l->sub);
}

void events_listen(struct events_world *w, struct listener *l, const char *patterns)
{
    check_err(events_try_listen(w, l, patterns, ALK_EVENTS_LATEST, 0), ALK_OK);
}

void events_take(struct events_world *w, struct listener *l, unsigned n)
{
    l->room = n;
    if (l->sub != NULL) {
        alk_event_sub_writable(l->sub);
    }
    events_run(w);
}
