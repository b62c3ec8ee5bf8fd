/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What goes between the two loops of a relay: nothing of it is lost. */
#include "support/oom.h"
#include "support/relay_bots.h"

static void do_nothing(void *arg)
{
    (void)arg;
}

/* Whatever side 0 can do while the other loop's queue of posts is full. */
static void run_while_full(struct relay_world *w)
{
    while (alk_post(w->side[1].loop, do_nothing, NULL) == ALK_OK) {
    }
    for (unsigned i = 0; i < 20; i++) {
        (void)alk_loop_run_once(w->side[0].loop, 0);
    }
    assert_int_equal(alk_post(w->side[1].loop, do_nothing, NULL), ALK_FULL);
}

static void orders_reach_a_worker_whose_loop_has_no_room(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    struct peer_call c, sub = {.ends = 0};
    const struct alk_ask endless = {.op = "t/count", .is_subscription = true, .credit = 5};
    const struct alk_ask_more manual = {.manual_credit = true};
    (void)state;
    relay_begin(&w, &b, 1);
    relay_ask(&w.link[0], &c, "t/ask", "{}");
    check_err(
        alk_peer_ask(w.link[0].ends.client, &endless, &manual, &peer_answers, &sub, &sub.call),
        ALK_OK);
    relay_world_run(&w);
    assert_int_equal(sub.answers, 5);
    alk_call_cancel(c.call);
    for (unsigned i = 0; i < 10; i++) {
        alk_call_more(sub.call, 10);
        run_while_full(&w);
        relay_world_run(&w);
    }
    assert_int_equal(b.cancelled, 1);
    assert_int_equal(sub.answers, 105);
    alk_call_cancel(sub.call);
    relay_world_run(&w);
    relay_world_fini(&w);
}

/* --- memory --------------------------------------------------------------- */

struct three {
    struct peer_call c[3];
};

static void ask_three(struct relay_world *w, struct three *t)
{
    const struct alk_ask sub = {
        .op = "t/count",
        .input = ALK_LIT("{\"n\":40}"),
        .traceparent = ALK_LIT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        .is_subscription = true};
    memset(t, 0, sizeof *t);
    relay_ask(&w->link[0], &t->c[0], "t/who", "{}");
    relay_ask(&w->link[0], &t->c[1], "t/fail", "{\"code\":\"BROKEN\"}");
    check_err(alk_peer_call(w->link[0].ends.client, &sub, &peer_answers, &t->c[2], &t->c[2].call),
              ALK_OK);
    relay_world_run(w);
}

static bool is_end_without_memory(const struct peer_call *c)
{
    return strstr(c->heard, "!EXHAUSTED") != NULL || strstr(c->heard, "!UNAVAILABLE") != NULL;
}

/* Each allocation of what carries calls fails once: every call has one end all the same,
 * whole or with a word that says so, and nothing is kept. */
static void without_memory_every_call_still_ends(void **state)
{
    static const char *const whole[] = {"=[\"ann\",\"tools\",\"b\"].", "!BROKEN"};
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct relay_world w;
        struct bot b = {.number = 1};
        struct three now;
        struct test_mem t;
        size_t at = 0;
        relay_begin(&w, &b, side);
        struct alk_offers *offers = w.link[1].ends.server->offers;
        do {
            test_mem_init(&t, ++at);
            offers->mem = &t.mem; /* of relays; they keep it */
            ask_three(&w, &now);
            offers->mem = NULL;
            unsigned broken = 0;
            for (unsigned i = 0; i < 3; i++) {
                bool is_whole = i == 2
                                    ? now.c[2].answers == 40 && strchr(now.c[2].heard, '!') == NULL
                                    : strcmp(now.c[i].heard, whole[i]) == 0;
                assert_int_equal(now.c[i].ends, 1);
                assert_true(is_whole || is_end_without_memory(&now.c[i]));
                broken += is_whole ? 0 : 1;
            }
            assert_true(broken <= (t.allocs >= at ? 1 : 0));
            test_mem_check(&t);
        } while (t.allocs >= at);
        assert_true(at > 50);
        relay_world_fini(&w);
    }
}

/* Both loops go while asks, orders and answers are on their way between them. */
static void what_is_on_its_way_when_the_loops_go_is_let_go(void **state)
{
    struct relay_world w;
    struct bot b = {.number = 1};
    struct peer_call c[2] = {{.ends = 0}}, sub = {.ends = 0};
    const struct alk_ask some = {
        .op = "t/count", .input = ALK_LIT("{\"n\":3000}"), .is_subscription = true};
    const struct alk_ask one = {.op = "t/ask"};
    struct test_mem t;
    (void)state;
    relay_begin(&w, &b, 1);
    test_mem_init(&t, 0);
    w.link[1].ends.server->offers->mem = &t.mem;
    check_err(alk_peer_call(w.link[0].ends.client, &some, &peer_answers, &sub, &sub.call), ALK_OK);
    check_err(alk_peer_call(w.link[0].ends.client, &one, &peer_answers, &c[0], &c[0].call), ALK_OK);
    for (unsigned i = 0; i < 50; i++) { /* until answers wait at loop A */
        (void)alk_loop_run_once(w.side[i % 2].loop, 0);
    }
    check_err(alk_peer_call(w.link[0].ends.client, &one, &peer_answers, &c[1], &c[1].call), ALK_OK);
    for (unsigned i = 0; i < 20; i++) { /* until an ask waits at loop B */
        (void)alk_loop_run_once(w.side[0].loop, 0);
    }
    assert_true(t.live > 0);
    w.link[1].ends.server->offers->mem = NULL;
    relay_world_drop(&w);
    test_mem_check(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_reach_a_worker_whose_loop_has_no_room),
        cmocka_unit_test(without_memory_every_call_still_ends),
        cmocka_unit_test(what_is_on_its_way_when_the_loops_go_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
