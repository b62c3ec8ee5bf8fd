/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Paths of repositories: what they are called, where they may lie, and what is no path. */
#include "git/proto/repopath.h"

#include "support/check.h"

static void paths_become_names_and_directories(void **state)
{
    static const struct {
        const char *in, *name, *first, *second;
    } rows[] = {
        {"/repo", "repo", "repo", "repo.git"},
        {"/repo.git", "repo", "repo.git", NULL},
        {"repo", "repo", "repo", "repo.git"},
        {"/repo/", "repo", "repo", "repo.git"},
        {"repo.git/", "repo", "repo.git", NULL},
        {"/team/site.git", "team/site", "team/site.git", NULL},
        {"/a/b/c", "a/b/c", "a/b/c", "a/b/c.git"},
        {"/a b/c~1", "a b/c~1", "a b/c~1", "a b/c~1.git"},
        {"/caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9.git"},
        {"/a..b", "a..b", "a..b", "a..b.git"},
        {"/git", "git", "git", "git.git"},
        {"/agit~1", "agit~1", "agit~1", "agit~1.git"},
        {"/dotgit.gitx", "dotgit.gitx", "dotgit.gitx", "dotgit.gitx.git"},
        {"/x.git.d/y", "x.git.d/y", "x.git.d/y", "x.git.d/y.git"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_repopath p;
        char dir[ALK_GIT_REPO_DIR_SIZE];
        check_err(alk_git_repopath_parse(alk_span_str(rows[i].in), &p), ALK_OK);
        assert_string_equal(p.name, rows[i].name);
        assert_int_equal(p.n, strlen(rows[i].name));
        assert_true(alk_git_repopath_dir(&p, 0, dir));
        assert_string_equal(dir, rows[i].first);
        assert_int_equal(alk_git_repopath_dir(&p, 1, dir), rows[i].second != NULL);
        if (rows[i].second != NULL) {
            assert_string_equal(dir, rows[i].second);
        }
        assert_false(alk_git_repopath_dir(&p, 2, dir));
    }
}

static const char *const bad[] = {
    "", "/", "//", "///", ".git", "/.git", "/.git/", "//repo", "/repo//", "/a//b", "/.", "/..",
    "/../etc", "/a/..", "/a/../b", "/a/./b", "/a/.", "/...", "/.hidden", "/a/.hidden/b",
    /* a repository's own insides, and names that some file system takes for .git */
    "/a/.git", "/a/.git/config", "/.GIT/x", "/a.git/objects", "/a.git/b.git", "/a.GIT", "/a.GIT/b",
    "/a.git.git", "/.git /x", "/.git./x", "/git~1", "/GIT~1/x", "/a/git~1", "/git~1.git",
    "/.g\xe2\x80\x8cit", "/\xe2\x80\x8c.git/x", "/a\xe2\x80\x8f", "/a\xe2\x80\xaa",
    "/a\xe2\x80\xae", "/a\xe2\x81\xaa", "/a\xe2\x81\xaf", "/a\xef\xbb\xbf",
    /* what programs take for something else */
    "/-repo", "/a/-b", "/--upload-pack=x", "-repo", "~", "/~root", "/a/~b", "/a\\b", "\\\\host\\a",
    "/C:/x", "/a:b", "/.git::$INDEX_ALLOCATION/x", "/a.", "/a./b", "/a ", "/a /b",
    /* bytes */
    "/a\nb", "/a\tb", "/a\x1b[0m", "/a\x7f", "/a\x80", "/a\xc0\xae\xc0\xae", "/\xed\xa0\x80",
    "/a\xff"};

static void everything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct alk_git_repopath p;
        memset(&p, 0x5a, sizeof(p));
        alk_err err = alk_git_repopath_parse(alk_span_str(bad[i]), &p);
        if (err != ALK_E_MALFORMED) {
            fail_msg("\"%s\": %s", bad[i], alk_err_name(err));
        }
        assert_int_equal(p.name[0], 0x5a);
    }
    struct alk_git_repopath p;
    check_err(alk_git_repopath_parse(ALK_LIT("/a\0b"), &p), ALK_E_MALFORMED);
    check_err(alk_git_repopath_parse(ALK_LIT("/a\0"), &p), ALK_E_MALFORMED);
}

/* The characters beside the ignored ones are as good as any. */
static void neighbours_of_ignored_characters_are_taken(void **state)
{
    static const char *const rows[] = {"/a\xe2\x80\x8b", "/a\xe2\x80\x90", "/a\xe2\x80\xa9",
                                       "/a\xe2\x80\xaf", "/a\xe2\x81\xa9", "/a\xe2\x81\xb0",
                                       "/a\xef\xbb\xbe", "/a\xef\xbc\xbf", "/a\xe2\x82\x8c"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_repopath p;
        check_err(alk_git_repopath_parse(alk_span_str(rows[i]), &p), ALK_OK);
    }
}

static void names_parts_and_depth_have_limits(void **state)
{
    char text[2 * ALK_GIT_REPO_NAME_MAX];
    struct alk_git_repopath p;
    char dir[ALK_GIT_REPO_DIR_SIZE];
    (void)state;
    memset(text, 'a', sizeof(text));
    check_err(alk_git_repopath_parse(alk_span(text, ALK_GIT_REPO_PART_MAX), &p), ALK_OK);
    check_err(alk_git_repopath_parse(alk_span(text, ALK_GIT_REPO_PART_MAX + 1), &p), ALK_E_TOO_BIG);
    text[10] = '/';
    check_err(alk_git_repopath_parse(alk_span(text, ALK_GIT_REPO_NAME_MAX), &p), ALK_E_TOO_BIG);
    text[20] = '/';
    check_err(alk_git_repopath_parse(alk_span(text, ALK_GIT_REPO_NAME_MAX), &p), ALK_OK);
    assert_true(alk_git_repopath_dir(&p, 1, dir));
    assert_int_equal(strlen(dir), ALK_GIT_REPO_NAME_MAX + 4);
    check_err(alk_git_repopath_parse(alk_span(text, ALK_GIT_REPO_NAME_MAX + 1), &p), ALK_E_TOO_BIG);
    for (size_t i = 1; i < 2 * ALK_GIT_REPO_DEPTH_MAX; i += 2) {
        text[i] = '/';
    }
    text[20] = text[10] = 'a';
    check_err(alk_git_repopath_parse(alk_span(text, 2 * ALK_GIT_REPO_DEPTH_MAX - 1), &p), ALK_OK);
    check_err(alk_git_repopath_parse(alk_span(text, 2 * ALK_GIT_REPO_DEPTH_MAX + 1), &p),
              ALK_E_TOO_BIG);
}

/* Whatever is taken has none of what leads elsewhere. */
static void look(struct alk_span in, void *ctx)
{
    struct alk_git_repopath p;
    (void)ctx;
    if (alk_git_repopath_parse(in, &p) != ALK_OK) {
        return;
    }
    assert_true(p.n > 0 && p.n == strlen(p.name));
    assert_true(p.name[0] != '/' && p.name[0] != '.' && p.name[0] != '-');
    assert_null(strstr(p.name, "/."));
    assert_null(strstr(p.name, "//"));
    assert_null(strstr(p.name, "/-"));
    assert_null(strchr(p.name, '\\'));
    assert_true(p.name[p.n - 1] != '/');
    /* What has a name is found under that name, and under no second one. */
    struct alk_git_repopath again;
    check_err(alk_git_repopath_parse(alk_span(p.name, p.n), &again), ALK_OK);
    assert_string_equal(again.name, p.name);
    assert_false(again.has_suffix);
}

static void mutations_never_lead_elsewhere(void **state)
{
    (void)state;
    check_mutations(ALK_LIT("/team/-./site.git/"), look, NULL);
    check_mutations(ALK_LIT("/a/b.git"), look, NULL);
    check_mutations(ALK_LIT("/..\xe2\x80\x8c/git~1"), look, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_become_names_and_directories),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(neighbours_of_ignored_characters_are_taken),
        cmocka_unit_test(names_parts_and_depth_have_limits),
        cmocka_unit_test(mutations_never_lead_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
