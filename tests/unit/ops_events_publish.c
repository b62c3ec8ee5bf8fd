/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a loop remembers from one published event to the next: whose rights were found to
 * suffice, and what the time is. */
#include "core/auth/identity.h"
#include "support/events_world.h"

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
    check_err(alk_events_publish(w.hub, w.loop, &node, NULL, NULL, &seq), ALK_OK);
    check_err(publish(&w, &b, "x"), ALK_E_FORBIDDEN);
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

struct times {
    uint64_t ms[4];
    size_t n;
};

static alk_err note_time(void *ctx, struct alk_span json)
{
    struct times *t = ctx;
    struct alk_span rest = json;
    while (rest.n > 0 && !alk_span_starts(rest, ALK_LIT("\"time\":"))) {
        rest = alk_span_tail(rest, 1);
    }
    rest = alk_span_tail(rest, 7);
    assert_in_range(t->n, 0, 3);
    assert_true(alk_span_u64(alk_span_cut(&rest, ','), UINT64_MAX, &t->ms[t->n++]));
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

static void events_of_one_turn_have_one_time(void **state)
{
    static const struct alk_event_sink sink = {
        .event = note_time, .ended = no_end, .caller = no_caller, .has_scope = every_scope};
    static const struct alk_span all = {(const uint8_t *)">", 1};
    struct events_world w;
    struct publisher a = somebody("a", "events:publish");
    struct times times = {.n = 0};
    struct alk_event_sub *sub = NULL;
    struct turn turn = {&w, &a};
    (void)state;
    events_world_init(&w, NULL, NULL);
    uint64_t begin = atomic_load(&w.now_ns) / ALK_MS;
    struct alk_event_listen o = {
        .loop = w.loop, .patterns = &all, .count = 1, .sink = &sink, .ctx = &times};
    check_err(alk_events_subscribe(w.hub, &o, &sub), ALK_OK);
    for (unsigned i = 0; i < 2; i++) {
        check_err(alk_post(w.loop, in_a_turn, &turn), ALK_OK);
        events_run(&w);
    }
    assert_int_equal(times.n, 4);
    assert_int_equal(times.ms[0], begin);
    assert_int_equal(times.ms[1], begin);
    assert_int_equal(times.ms[2], begin + 5);
    assert_int_equal(times.ms[3], begin + 5);
    alk_event_sub_cancel(sub);
    events_world_fini(&w);
    alk_identity_unref(a.identity);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
