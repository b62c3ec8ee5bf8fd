/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a hub does late: core/conn.h, alk_hub_late. */
#include "core/conn.h"

#include "support/check.h"

struct later {
    struct alk_hub *hub;
    struct alk_late late;
    unsigned times, again;
};

static void on_late(void *ctx)
{
    struct later *l = ctx;
    l->times++;
    if (l->again > 0) {
        l->again--;
        alk_hub_late(l->hub, &l->late);
    }
}

static void it_is_done_once_however_often_it_was_asked_for(void **state)
{
    (void)state;
    struct alk_hub hub;
    struct later l = {.hub = &hub};
    l.late = (struct alk_late){.fn = on_late, .ctx = &l};
    alk_hub_init(&hub, NULL, 0);
    assert_false(alk_hub_has_work(&hub));
    alk_hub_late(&hub, &l.late);
    alk_hub_late(&hub, &l.late);
    assert_true(alk_hub_has_work(&hub));
    assert_false(alk_hub_run(&hub));
    assert_int_equal(l.times, 1);
    assert_false(alk_hub_has_work(&hub));
    alk_hub_fini(&hub);
}

static void what_asks_for_itself_again_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct alk_hub hub;
    struct later l = {.hub = &hub, .again = 1};
    l.late = (struct alk_late){.fn = on_late, .ctx = &l};
    alk_hub_init(&hub, NULL, 0);
    alk_hub_late(&hub, &l.late);
    assert_true(alk_hub_run(&hub));
    assert_int_equal(l.times, 1);
    assert_false(alk_hub_run(&hub));
    assert_int_equal(l.times, 2);
    alk_hub_fini(&hub);
}

static void what_was_taken_off_is_not_done(void **state)
{
    (void)state;
    struct alk_hub hub;
    struct later one = {.hub = &hub}, two = {.hub = &hub};
    one.late = (struct alk_late){.fn = on_late, .ctx = &one};
    two.late = (struct alk_late){.fn = on_late, .ctx = &two};
    alk_hub_init(&hub, NULL, 0);
    alk_hub_late(&hub, &one.late);
    alk_hub_late(&hub, &two.late);
    alk_list_remove(&one.late.in);
    assert_false(alk_hub_run(&hub));
    assert_int_equal(one.times, 0);
    assert_int_equal(two.times, 1);
    alk_hub_fini(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_done_once_however_often_it_was_asked_for),
        cmocka_unit_test(what_asks_for_itself_again_waits_for_the_next_turn),
        cmocka_unit_test(what_was_taken_off_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
