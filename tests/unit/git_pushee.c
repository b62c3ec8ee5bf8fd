/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which addresses in a push certificate name a repository of this node. */
#include "git/pushee.h"

#include "support/check.h"

#define KEY "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u"

static bool names(const char *pushee, const char *name)
{
    return alk_git_pushee_is(alk_span_str(pushee), alk_span_str(name), ALK_LIT(KEY));
}

static void every_spelling_of_its_address_names_it(void **state)
{
    (void)state;
    assert_true(names("alknet://node/team/app", "team/app"));
    assert_true(names("alknet://node/team/app.git", "team/app"));
    assert_true(names("alknet://node:4433/team/app/", "team/app"));
    assert_true(names("alknet://" KEY "@10.0.0.1:4433/team/app", "team/app"));
    assert_true(names("alknet://[::1]:4433/team/%61pp", "team/app"));
}

static void another_repository_or_node_is_another_one(void **state)
{
    (void)state;
    assert_false(names("alknet://node/team/app2", "team/app"));
    assert_false(names("alknet://node/app", "team/app"));
    assert_false(names("alknet://node/x/../team/app", "team/app"));
    assert_false(names("alknet://node/team%2fapp%00", "team/app"));
    assert_false(names("alknet://x" KEY "@node/team/app", "team/app"));
    assert_false(names("https://node/team/app", "team/app"));
    assert_false(names("/srv/team/app", "team/app"));
    assert_false(names("team/app", "team/app"));
    assert_false(names("alknet:///team/app", "team/app"));
    assert_false(names("alknet://node", "team/app"));
    assert_false(names("alknet://node/team/app%4", "team/app"));
    assert_false(names("", "team/app"));
    assert_false(alk_git_pushee_is(ALK_LIT("alknet://" KEY "@n/a"), ALK_LIT("a"), ALK_LIT("")));
}

static bool is_at(const char *pushee, const char *address)
{
    return alk_git_pushee_is_at(alk_span_str(pushee), alk_span_str(address), ALK_LIT(KEY));
}

static void it_names_the_node_by_key_or_by_address(void **state)
{
    (void)state;
    assert_true(is_at("alknet://" KEY "@other:1/a", "node.example:4433"));
    assert_true(is_at("alknet://node.example:4433/a", "node.example:4433"));
    assert_true(is_at("alknet://Node.Example/a", "node.example:4433"));
    assert_true(is_at("alknet://[::1]:1/a", "[::1]:1"));
    assert_true(is_at("alknet://[::1]/a", "[::1]:4433"));
    assert_false(is_at("alknet://node.example/a", "node.example:1"));
    assert_false(is_at("alknet://node.example:1/a", "node.example:4433"));
    assert_false(is_at("alknet://node/a", "node.example:4433"));
    assert_false(is_at("alknet://node.example:44/a", "node.example:4433"));
    assert_false(is_at("alknet://node.example:/a", "node.example:4433"));
    assert_false(is_at("alknet://x" KEY "@node.example:4433/a", "node.example:4433"));
    assert_false(is_at("alknet://@node.example:4433/a", "node.example:4433"));
    assert_false(is_at("alknet:///a", ""));
    assert_false(is_at("https://node.example:4433/a", "node.example:4433"));
    assert_false(is_at("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_its_address_names_it),
        cmocka_unit_test(another_repository_or_node_is_another_one),
        cmocka_unit_test(it_names_the_node_by_key_or_by_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
