/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/words.h"

#include "support/check.h"

#include <string.h>

static struct alk_git_hub hub = {.helper = "/usr/libexec/alknet-git"};

static void begin(struct alk_git_words *w, const struct alk_git_settings *set, const char *repo)
{
    alk_git_words_init(w, &hub, set, "refs", repo);
}

static void what_all_of_them_begin_with_comes_first(void **state)
{
    (void)state;
    struct alk_git_settings set = {.root = "/srv/git", .git = "git", .helper = "", .memory = 7};
    struct alk_git_words w;
    const char *const *argv = NULL;
    begin(&w, &set, "team/site");
    alk_git_words_put(&w, "--limit=%d", 3);
    alk_git_words_put(&w, "%s", "");
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_OK);
    const char *const want[] = {hub.helper,         "refs",       "--root=/srv/git", "--git=git",
                                "--repo=team/site", "--memory=7", "--limit=3",       ""};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_string_equal(argv[i], want[i]);
    }
    assert_null(argv[sizeof want / sizeof want[0]]);
    alk_git_words_fini(&w);

    set.helper = "/opt/alknet-git";
    begin(&w, &set, "a");
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_OK);
    assert_string_equal(argv[0], "/opt/alknet-git");
    alk_git_words_fini(&w);
}

/* A path may have 4 095 bytes. */
static void long_paths_arrive_whole(void **state)
{
    (void)state;
    static char root[4096], git[4096];
    memset(root, 'r', sizeof root - 1);
    memset(git, 'g', sizeof git - 1);
    const struct alk_git_settings set = {.root = root, .git = git, .helper = git};
    struct alk_git_words w;
    const char *const *argv = NULL;
    begin(&w, &set, "a");
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_OK);
    assert_string_equal(argv[0], git);
    assert_string_equal(argv[2] + strlen("--root="), root);
    assert_string_equal(argv[3] + strlen("--git="), git);
    assert_string_equal(argv[4], "--repo=a");
    alk_git_words_fini(&w);
}

static void too_many_words_and_too_long_ones_are_an_error(void **state)
{
    (void)state;
    const struct alk_git_settings set = {.root = "/", .git = "git", .helper = ""};
    struct alk_git_words w;
    const char *const *argv = NULL;
    begin(&w, &set, "a");
    while (w.count < ALK_GIT_WORDS_MAX) {
        alk_git_words_put(&w, "--suffix");
    }
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_OK);
    assert_null(argv[ALK_GIT_WORDS_MAX]);
    alk_git_words_put(&w, "--suffix");
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_E_TOO_BIG);
    alk_git_words_fini(&w);

    static char word[8192];
    memset(word, 'x', sizeof word - 1);
    begin(&w, &set, "a");
    for (unsigned i = 0; i < 32; i++) {
        alk_git_words_put(&w, "--alternates=%s", word);
    }
    check_err(alk_git_words_argv(&w, &hub, "", &argv), ALK_E_TOO_BIG);
    alk_git_words_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_of_them_begin_with_comes_first),
        cmocka_unit_test(long_paths_arrive_whole),
        cmocka_unit_test(too_many_words_and_too_long_ones_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
