/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/list.h"

#include "support/check.h"

struct element {
    int number;
    struct alk_link link;
};

static void check_order(const struct alk_list *l, const char *want)
{
    char got[16];
    size_t n = 0;
    for (struct alk_link *e = alk_list_first(l); e != NULL; e = alk_list_next(l, e)) {
        assert_true(alk_link_is_in(e));
        assert_true(n < sizeof(got));
        got[n++] = (char)('0' + ALK_CONTAINER(e, struct element, link)->number);
    }
    check_text(alk_span(got, n), want);
    assert_int_equal(alk_list_is_empty(l), n == 0);
}

static void elements_keep_their_order_and_their_place(void **state)
{
    (void)state;
    struct alk_list l;
    struct element e[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    alk_list_init(&l);
    check_order(&l, "");
    assert_null(alk_list_pop(&l));
    alk_list_append(&l, &e[1].link);
    alk_list_append(&l, &e[2].link);
    alk_list_prepend(&l, &e[0].link);
    alk_list_append(&l, &e[3].link);
    check_order(&l, "0123");
    alk_list_append(&l, &e[0].link);
    alk_list_prepend(&l, &e[3].link);
    check_order(&l, "0123");
    alk_list_remove(&e[2].link);
    alk_list_remove(&e[2].link);
    check_order(&l, "013");
    assert_false(alk_link_is_in(&e[2].link));
    assert_ptr_equal(alk_list_pop(&l), &e[0].link);
    assert_ptr_equal(alk_list_pop(&l), &e[1].link);
    assert_ptr_equal(alk_list_pop(&l), &e[3].link);
    check_order(&l, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_keep_their_order_and_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
