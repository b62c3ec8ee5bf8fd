/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which configs of repositories are let pass, and that they are read as git reads them. */
#include "git/repoconf.h"

#include "support/check.h"

static alk_err look(const char *text)
{
    char why[128];
    return alk_git_repoconf_check(alk_span_str(text), why, sizeof why);
}

static void what_git_init_writes_passes(void **state)
{
    (void)state;
    check_err(look("[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"),
              ALK_OK);
    check_err(look("[core]\r\n\tbare = true\r\n[extensions]\r\n\tobjectformat = sha256\r\n"),
              ALK_OK);
}

static void what_is_not_bare_does_not(void **state)
{
    (void)state;
    check_err(look(""), ALK_E_FORBIDDEN);
    check_err(look("[core]\n\tbare = false\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\nbare = no\n"), ALK_E_FORBIDDEN); /* the last one counts */
    check_err(look("[core]\nbare = no\nbare\n"), ALK_OK);
    check_err(look("[core \"sub\"]\nbare = true\n"), ALK_E_FORBIDDEN); /* another key */
    check_err(look("[core.sub]\nbare = true\n"), ALK_E_FORBIDDEN);
}

static void what_runs_programs_or_leads_elsewhere_does_not(void **state)
{
    static const char *const bad[] = {
        "hooksPath = /tmp/x",
        "fsmonitor = /tmp/x",
        "sshCommand = x",
        "gitProxy = x",
        "worktree = /",
        "pager = x",
        "editor = x",
        "askPass = x",
        "attributesFile = /x",
        "excludesFile = /x",
        "alternateRefsCommand = x",
        "somethingNew = 1",
    };
    char text[200];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(text, sizeof text, "[core]\n\tbare = true\n\t%s\n", bad[i]);
        check_err(look(text), ALK_E_FORBIDDEN);
    }
    check_err(look("[core]\nbare = true\n[receive \"fsck\"]\nskipList = /etc/shadow\n"),
              ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[receive \"fsck\"]\nmissingEmail = warn\n"), ALK_OK);
    check_err(look("[core]\nbare = true\n[include]\npath = /x\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[includeIf \"gitdir:/x\"]\npath = /x\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[tar \"x\"]\ncommand = sh\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[gpg]\nprogram = sh\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[gc]\nrecentObjectsHook = sh\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[uploadpack]\npackObjectsHook = sh\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true\n[extensions]\nworktreeConfig = true\n"), ALK_E_FORBIDDEN);
}

static void nothing_hides_behind_the_way_it_is_written(void **state)
{
    (void)state;
    /* each of these sets core.hooksPath for git */
    check_err(look("[core]bare=true\n[CORE]HOOKSPATH=/x"), ALK_E_FORBIDDEN);
    check_err(look("[core] bare = true\n[core] hookspath = /x"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = true # \\\nhookspath = /x\n"), ALK_E_FORBIDDEN);
    check_err(look("[core]\nbare = \"true\"\nhookspath\n"), ALK_E_FORBIDDEN);
    check_err(look("# [core] \\\n[core]\nhookspath = x\nbare = true\n"), ALK_E_FORBIDDEN);
    /* and these do not: the line goes on */
    check_err(look("[user]\nname = a\\\nhookspath = /x\n[core]\nbare = true\n"), ALK_OK);
    check_err(look("[user]\nname = \"a # b\"\n[core]\nbare = true\n"), ALK_OK);
    check_err(look("[remote \"a ] \\\" b\"]\nurl = x\n[core]\nbare = true\n"), ALK_OK);
}

static void what_cannot_be_read_does_not_pass(void **state)
{
    static const char *const bad[] = {
        "bare = true\n",
        "[core\nbare = true\n",
        "[core]\nbare = \"true\n",
        "[core]\nbare \\ true\n",
        "[core]\nbare = \\x\n",
        "[core x]\nbare = true\n",
        "[core \"x\ny\"]\nb=1\n",
        "[core \"x\" y]\nbare=1\n",
        "[]\nbare = true\n",
        "[core]\n1bare = true\n",
        "[core]\n-bare = true\n",
        "[core]\nba_re = true\n",
        "\xef\xbb\xbf[core]\nbare = true\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_err(look(bad[i]), ALK_E_MALFORMED);
    }
    static const char zero[] = "[core]\nbare = true\0\nhookspath = x\n";
    char why[128];
    check_err(alk_git_repoconf_check(alk_span(zero, sizeof zero - 1), why, sizeof why),
              ALK_E_MALFORMED);
}

static void look_at(struct alk_span text, void *ctx)
{
    char why[128];
    (void)ctx;
    alk_err err = alk_git_repoconf_check(text, why, sizeof why);
    assert_true(err == ALK_OK || err == ALK_E_FORBIDDEN || err == ALK_E_MALFORMED);
}

static void flips_and_cuts_do_not_crash_it(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("[core]\n\tbare = true\n[remote \"o\"]\n\turl = \"x\\\n\ty\" # z\n"),
                    look_at, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_git_init_writes_passes),
        cmocka_unit_test(what_is_not_bare_does_not),
        cmocka_unit_test(what_runs_programs_or_leads_elsewhere_does_not),
        cmocka_unit_test(nothing_hides_behind_the_way_it_is_written),
        cmocka_unit_test(what_cannot_be_read_does_not_pass),
        cmocka_unit_test(flips_and_cuts_do_not_crash_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
