/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a loop remembers from one published event to the next: whose rights were found to
 * suffice, and what the time is. */
#include "core/auth/identity.h"
#include "ops/event_dedup.h"
#include "support/events_world.h"

#include <stdio.h>

struct publisher {
    const struct alk_identity *identity;
    unsigned asked; /* how often its scopes were looked at */
};

static bool has_scope(void *ctx, const char *scope)
{
    struct publisher *p = ctx;
    p->asked++;
    return alk_identity_has_scope(p->identity, alk_span_str(scope));
}

static struct publisher somebody(const char *id, const char *scope)
{
    struct alk_span scopes[] = {alk_span_str(scope)};
    struct publisher p = {.asked = 0};
    struct alk_identity_spec spec = {
        .id = alk_span_str(id), .scopes = scopes, .scope_count = scope[0] != '\0'};
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &p.identity), ALK_OK);
    return p;
}

static alk_err publish_on(struct events_world *w, struct alk_loop *loop, struct publisher *p,
                          const char *topic)
{
    uint64_t seq = 0;
    struct alk_publish spec = {.topic = alk_span_str(topic),
                               .data = ALK_LIT("1"),
                               .publisher = alk_identity_id(p->identity),
                               .has_scope = has_scope,
                               .scope_ctx = p,
                               .who = p->identity};
    return alk_events_publish(w->hub, loop, &spec, NULL, NULL, &seq);
}

static alk_err publish(struct events_world *w, struct publisher *p, const char *topic)
{
    return publish_on(w, w->loop, p, topic);
}

static void rights_are_looked_at_once_for_a_burst_on_one_topic(void **state)
{
    struct events_world w;
    struct listener l = {.scopes = NULL};
    struct publisher a = somebody("a", "events:publish");
    (void)state;
    events_world_init(&w, NULL, NULL);
    events_listen(&w, &l, ">");
    for (size_t i = 0; i < 10; i++) {
        check_err(publish(&w, &a, "x.y"), ALK_OK);
    }
    assert_int_equal(a.asked, 1);
    check_err(publish(&w, &a, "x.z"), ALK_OK); /* as long as this one, and another */
    assert_int_equal(a.asked, 2);
    check_err(publish(&w, &a, "x"), ALK_OK);
    assert_int_equal(a.asked, 3);
    /* Without a loop nothing is remembered. */
    check_err(publish_on(&w, NULL, &a, "x"), ALK_OK);
    check_err(publish_on(&w, NULL, &a, "x"), ALK_OK);
    assert_int_equal(a.asked, 5);
    events_run(&w);
    assert_int_equal(l.count, 14);
    assert_false(l.is_out_of_order);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
}

static void nobody_passes_because_another_did(void **state)
{
    struct events_world w;
    struct publisher a = somebody("a", "events:publish"), b = somebody("b", "events:subscribe");
    struct publisher nobody = {.identity = NULL};
    struct alk_publish node = {.topic = ALK_LIT("x"), .data = ALK_LIT("1"), .who = b.identity};
    uint64_t seq = 0;
    (void)state;
    events_world_init(&w, NULL, NULL);
    check_err(publish(&w, &a, "x"), ALK_OK);
    check_err(publish(&w, &b, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &nobody, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &a, "x"), ALK_OK);
    assert_int_equal(a.asked, 1); /* what was refused is not remembered */
    /* The node may publish everywhere, also in somebody's name. */
    for (size_t i = 0; i < 2; i++) {
        check_err(alk_events_publish(w.hub, w.loop, &node, NULL, NULL, &seq), ALK_OK);
    }
    check_err(publish(&w, &b, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &nobody, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &a, "x"), ALK_OK);
    assert_int_equal(a.asked, 2);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
    alk_identity_unref(b.identity);
}

static void less_rights_count_from_the_next_event_on(void **state)
{
    struct events_world w;
    struct publisher a = somebody("a", "events:publish"), less = {.asked = 0}, off = {.asked = 0};
    struct alk_identity_spec spec = {.id = ALK_LIT("a"), .is_disabled = true};
    (void)state;
    check_err(alk_identity_narrow(NULL, a.identity, NULL, 0, &less.identity), ALK_OK);
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &off.identity), ALK_OK);
    events_world_init(&w, NULL, NULL);
    check_err(publish(&w, &a, "x"), ALK_OK);
    check_err(publish(&w, &less, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &a, "x"), ALK_OK);
    check_err(publish(&w, &off, "x"), ALK_E_FORBIDDEN);
    alk_identity_unref(a.identity); /* remembered, so that no other one has its place */
    check_err(publish(&w, &less, "x"), ALK_E_FORBIDDEN);
    events_world_fini(&w);
    alk_identity_unref(less.identity);
    alk_identity_unref(off.identity);
}

static void new_rules_count_from_the_next_event_on(void **state)
{
    struct events_world w;
    struct publisher a = somebody("a", "events:publish");
    char why[256] = "";
    (void)state;
    events_world_init(&w, NULL, NULL);
    check_err(publish(&w, &a, "x"), ALK_OK);
    check_err(events_rules(&w, "topics: [{match: x, publish: other}]", why, sizeof why), ALK_OK);
    check_err(publish(&w, &a, "x"), ALK_E_FORBIDDEN); /* the loop has not seen them yet */
    events_run(&w);
    check_err(publish(&w, &a, "x"), ALK_E_FORBIDDEN);
    check_err(publish(&w, &a, "y"), ALK_OK);
    /* The same topic under a rule that stands elsewhere. */
    check_err(events_rules(&w, "topics: [{match: z, publish: none}, {match: y, publish: any}]", why,
                           sizeof why),
              ALK_OK);
    check_err(publish(&w, &a, "y"), ALK_OK);
    check_err(events_rules(&w, "topics: [{match: y, publish: none}]", why, sizeof why), ALK_OK);
    check_err(publish(&w, &a, "y"), ALK_E_FORBIDDEN);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
}

static void what_is_wrong_beside_the_topic_is_refused_each_time(void **state)
{
    struct events_world w;
    struct publisher a = somebody("a", "events:publish");
    uint64_t seq = 0;
    struct alk_publish p = {.topic = ALK_LIT("x"),
                            .data = ALK_LIT("1"),
                            .publisher = ALK_LIT("a"),
                            .has_scope = has_scope,
                            .scope_ctx = &a,
                            .who = a.identity};
    (void)state;
    events_world_init(&w, NULL, NULL);
    check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_OK);
    p.event_id = alk_span("a\0b", 3);
    check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_E_INVALID);
    p.event_id = alk_span(NULL, 0);
    p.publisher = ALK_LIT("A");
    check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_E_INVALID);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
}

/* --- time --------------------------------------------------------------------------- */

struct turn {
    struct events_world *w;
    struct publisher *p;
};

/* Two events of one turn, between which the clock goes on. */
static void in_a_turn(void *arg)
{
    struct turn *t = arg;
    check_err(publish(t->w, t->p, "x"), ALK_OK);
    atomic_fetch_add(&t->w->now_ns, 5 * ALK_MS);
    check_err(publish(t->w, t->p, "x"), ALK_OK);
}

/* The texts of events as they come. */
struct texts {
    char text[4][256];
    size_t n;
};

static alk_err note_text(void *ctx, struct alk_span json)
{
    struct texts *t = ctx;
    assert_in_range(t->n, 0, 3);
    assert_true(alk_span_cstr(json, t->text[t->n++], sizeof t->text[0]));
    return ALK_OK;
}

static void no_end(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    (void)ctx;
    (void)oldest;
    fail_msg("%s: %s", code, message);
}

static const struct alk_identity *no_caller(void *ctx)
{
    (void)ctx;
    return NULL;
}

static bool every_scope(void *ctx, const char *scope)
{
    (void)ctx;
    return scope != NULL;
}

static const struct alk_event_sink text_sink = {
    .event = note_text, .ended = no_end, .caller = no_caller, .has_scope = every_scope};

static struct alk_event_sub *hear(struct events_world *w, struct texts *texts)
{
    static const struct alk_span all = {(const uint8_t *)">", 1};
    struct alk_event_sub *sub = NULL;
    struct alk_event_listen o = {
        .loop = w->loop, .patterns = &all, .count = 1, .sink = &text_sink, .ctx = texts};
    check_err(alk_events_subscribe(w->hub, &o, &sub), ALK_OK);
    return sub;
}

static uint64_t time_in(const char *text)
{
    const char *at = strstr(text, "\"time\":");
    uint64_t ms = 0;
    assert_non_null(at);
    assert_true(alk_span_u64(alk_span(at + 7, strcspn(at + 7, ",")), UINT64_MAX, &ms));
    return ms;
}

static void events_of_one_turn_have_one_time(void **state)
{
    struct events_world w;
    struct publisher a = somebody("a", "events:publish");
    struct texts texts = {.n = 0};
    struct turn turn = {&w, &a};
    (void)state;
    events_world_init(&w, NULL, NULL);
    uint64_t begin = atomic_load(&w.now_ns) / ALK_MS;
    struct alk_event_sub *sub = hear(&w, &texts);
    for (unsigned i = 0; i < 2; i++) {
        check_err(alk_post(w.loop, in_a_turn, &turn), ALK_OK);
        events_run(&w);
    }
    assert_int_equal(texts.n, 4);
    assert_int_equal(time_in(texts.text[0]), begin);
    assert_int_equal(time_in(texts.text[1]), begin);
    assert_int_equal(time_in(texts.text[2]), begin + 5);
    assert_int_equal(time_in(texts.text[3]), begin + 5);
    alk_event_sub_cancel(sub);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
}

static uint64_t publish_id(struct events_world *w, struct alk_loop *loop, const char *id)
{
    struct alk_publish p = {
        .topic = ALK_LIT("x"), .data = ALK_LIT("1"), .event_id = alk_span_str(id)};
    uint64_t seq = 0;
    check_err(alk_events_publish(w->hub, loop, &p, NULL, NULL, &seq), ALK_OK);
    return seq;
}

/* A loop publishes, goes on for a while, and publishes again with the time that it has read;
 * meanwhile another one has published with a later time. */
static void behind_another(void *arg)
{
    struct events_world *w = arg;
    uint64_t first = publish_id(w, w->loop, "");
    atomic_fetch_add(&w->now_ns, 5 * ALK_MS);
    first = publish_id(w, NULL, "one");
    assert_true(publish_id(w, w->loop, "two") > first);
    assert_int_equal(publish_id(w, NULL, "one"), first);
    assert_int_equal(publish_id(w, w->loop, "one"), first);
}

static void a_loop_whose_time_is_behind_forgets_no_event_id(void **state)
{
    struct events_world w;
    (void)state;
    events_world_init(&w, NULL, NULL);
    check_err(alk_post(w.loop, behind_another, &w), ALK_OK);
    events_run(&w);
    events_world_fini(&w);
}

static void a_clock_that_was_set_back_makes_event_ids_old(void **state)
{
    struct events_world w;
    (void)state;
    events_world_init(&w, NULL, NULL);
    uint64_t first = publish_id(&w, NULL, "one");
    atomic_fetch_sub(&w.now_ns, ALK_EVENT_DEDUP_AHEAD_MS * ALK_MS);
    assert_int_equal(publish_id(&w, NULL, "one"), first);
    atomic_fetch_sub(&w.now_ns, ALK_MS);
    assert_true(publish_id(&w, NULL, "one") > first);
    events_world_fini(&w);
}

static void each_event_names_its_own_publisher(void **state)
{
    static const char *const names[] = {"one", "two", "two", ""};
    struct events_world w;
    struct publisher a = somebody("a", "events:publish");
    struct texts texts = {.n = 0};
    uint64_t seq = 0;
    (void)state;
    events_world_init(&w, NULL, NULL);
    struct alk_event_sub *sub = hear(&w, &texts);
    for (size_t i = 0; i < 4; i++) {
        struct alk_publish p = {.topic = ALK_LIT("x"),
                                .data = ALK_LIT("1"),
                                .publisher = alk_span_str(names[i]),
                                .has_scope = has_scope,
                                .scope_ctx = &a,
                                .who = a.identity};
        check_err(alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq), ALK_OK);
    }
    events_run(&w);
    assert_int_equal(texts.n, 4);
    assert_non_null(strstr(texts.text[0], ",\"publisher\":\"one\",\"data\":1}"));
    assert_non_null(strstr(texts.text[1], ",\"publisher\":\"two\",\"data\":1}"));
    assert_non_null(strstr(texts.text[2], ",\"publisher\":\"two\",\"data\":1}"));
    assert_non_null(strstr(texts.text[3], ",\"publisher\":null,\"data\":1}"));
    alk_event_sub_cancel(sub);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
}

/* --- the front of the text ------------------------------------------------------------ */

static void the_longest_front_fits_and_no_longer_one_is_made(void **state)
{
    uint8_t topic[ALK_TOPIC_MAX], id[ALK_ID_MAX + 1];
    struct alk_span name = alk_span(topic, sizeof topic);
    struct alk_topic parsed;
    struct alk_event_head head;
    (void)state;
    memset(topic, 't', sizeof topic);
    memset(id, 'p', sizeof id);
    check_err(alk_topic_parse(name, &parsed), ALK_OK);
    check_err(alk_event_head_make(name, &parsed, alk_span(id, sizeof id), UINT64_MAX, &head),
              ALK_E_TOO_BIG);
    struct alk_span longest = alk_span(id, ALK_ID_MAX);
    check_err(alk_event_head_make(name, &parsed, longest, UINT64_MAX, &head), ALK_OK);
    assert_in_range(head.n, ALK_TOPIC_MAX + ALK_ID_MAX, ALK_EVENT_HEAD_MAX);
    assert_true(alk_span_equal(alk_event_head_topic(&head), name));
    assert_true(alk_span_equal(alk_event_head_publisher(&head), longest));
    struct alk_span text = alk_span(head.text, head.n);
    assert_true(alk_span_ends(text, ALK_LIT("\",\"data\":")));
    check_err(alk_event_head_make(name, &parsed, (struct alk_span){0}, 0, &head), ALK_OK);
    text = alk_span(head.text, head.n);
    assert_true(alk_span_ends(text, ALK_LIT(",\"time\":0,\"publisher\":null,\"data\":")));
}

/* --- the number in it ---------------------------------------------------------------- */

static void numbers_are_the_same_counted_on_or_written_anew(void **state)
{
    static const uint64_t from[] = {0, 1, 7, 97, 998, 123456789, 999999999999997, 9007199254740980};
    struct alk_event_budget budget = {.loops = 1};
    struct alk_topic parsed;
    struct alk_event_head head;
    struct alk_event_number last = {.seq = 0};
    struct alk_event_spec spec = {.head = &head, .data = ALK_LIT("1")};
    (void)state;
    check_err(alk_topic_parse(ALK_LIT("x"), &parsed), ALK_OK);
    check_err(alk_event_head_make(ALK_LIT("x"), &parsed, (struct alk_span){0}, 5, &head), ALK_OK);
    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        for (uint64_t seq = from[i]; seq < from[i] + 12 && seq <= ALK_EVENT_SEQ_MAX; seq++) {
            char want[128];
            struct alk_event *ev = alk_event_new(&budget, NULL, &spec);
            assert_non_null(ev);
            alk_event_set_seq(ev, &last, seq);
            (void)snprintf(want, sizeof want,
                           "{\"topic\":\"x\",\"seq\":%16llu,\"time\":5,\"publisher\":null,"
                           "\"data\":1}",
                           (unsigned long long)seq);
            check_text(ev->text, want);
            assert_true(ev->seq == seq && last.seq == seq);
            alk_event_unref(ev);
        }
    }
    assert_true(last.seq == ALK_EVENT_SEQ_MAX);
    assert_int_equal(atomic_load(&budget.live), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights_are_looked_at_once_for_a_burst_on_one_topic),
        cmocka_unit_test(nobody_passes_because_another_did),
        cmocka_unit_test(less_rights_count_from_the_next_event_on),
        cmocka_unit_test(new_rules_count_from_the_next_event_on),
        cmocka_unit_test(what_is_wrong_beside_the_topic_is_refused_each_time),
        cmocka_unit_test(events_of_one_turn_have_one_time),
        cmocka_unit_test(a_loop_whose_time_is_behind_forgets_no_event_id),
        cmocka_unit_test(a_clock_that_was_set_back_makes_event_ids_old),
        cmocka_unit_test(each_event_names_its_own_publisher),
        cmocka_unit_test(the_longest_front_fits_and_no_longer_one_is_made),
        cmocka_unit_test(numbers_are_the_same_counted_on_or_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
