/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/store/tree.h: changing and watching. */
#include "support/tree_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- changes -------------------------------------------------------------------------------- */

static void a_file_that_is_replaced_keeps_its_mode_unless_one_is_named(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st;
    (void)state;
    tree_world_init(&p);
    mode_t mask = umask(077);
    check_err(tree_write_text(p.tree, "file", "new"), ALK_OK);
    tree_check_reads(&p, "file", "new");
    assert_int_equal(tree_mode(&p, "file"), 0640);
    check_err(tree_write_text(p.tree, "fresh", "new"), ALK_OK);
    assert_int_equal(tree_mode(&p, "fresh"), 0644);
    struct alk_tree_write o = {.data = ALK_LIT("x"), .has_mode = true, .mode = 07600};
    check_err(alk_tree_write(p.tree, ALK_LIT("fresh"), &o, &st), ALK_OK);
    assert_int_equal(st.mode, 0600); /* and nothing that is set-user-id */
    assert_int_equal(st.size, 1);
    (void)umask(mask);
    tree_world_fini(&p);
}

static void only_new_replaces_nothing(void **state)
{
    static const char *const taken[] = {"file", "dir", "dangling", "fifo", "out"};
    struct tree_world p;
    struct alk_tree_stat st;
    struct alk_tree_write o = {.data = ALK_LIT("mine"), .only_new = true};
    (void)state;
    tree_world_init(&p);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        check_err(alk_tree_write(p.tree, alk_span_str(taken[i]), &o, &st), ALK_E_EXISTS);
    }
    check_err(alk_tree_write(p.tree, ALK_LIT("fresh"), &o, &st), ALK_OK);
    tree_check_reads(&p, "fresh", "mine");
    tree_check_reads(&p, "file", "hello");
    tree_world_fini(&p);
}

static void a_link_is_replaced_and_not_what_it_leads_to(void **state)
{
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    check_err(tree_write_text(p.tree, "in", "new"), ALK_OK);
    tree_check_reads(&p, "in", "new");
    tree_check_reads(&p, "dir/inner", "inner");
    tree_world_fini(&p);
}

static void an_etag_is_good_for_one_write(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st, written;
    char etag[ALK_TREE_ETAG];
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_stat(p.tree, ALK_LIT("file"), &st), ALK_OK);
    alk_tree_etag(&st, etag);
    struct alk_tree_write o = {.data = ALK_LIT("one"), .if_match = alk_span_str(etag)};
    check_err(alk_tree_write(p.tree, ALK_LIT("file"), &o, &written), ALK_OK);
    o.data = ALK_LIT("two");
    check_err(alk_tree_write(p.tree, ALK_LIT("file"), &o, &st), ALK_E_BUSY);
    check_err(alk_tree_write(p.tree, ALK_LIT("nothing"), &o, &st), ALK_E_BUSY);
    tree_check_reads(&p, "file", "one");
    char next[ALK_TREE_ETAG], said[ALK_TREE_ETAG];
    alk_tree_etag(&written, said);
    check_err(alk_tree_stat(p.tree, ALK_LIT("file"), &st), ALK_OK);
    alk_tree_etag(&st, next);
    assert_string_equal(said, next); /* what a write says is what stat says */
    o.if_match = alk_span_str(next);
    check_err(alk_tree_write(p.tree, ALK_LIT("file"), &o, &st), ALK_OK);
    tree_check_reads(&p, "file", "two");
    tree_world_fini(&p);
}

struct writer {
    struct alk_tree *tree;
    const char *etag;
    atomic_uint *won;
};

static void *write_once(void *arg)
{
    struct writer *w = arg;
    struct alk_tree_stat st;
    const struct alk_tree_write o = {.data = ALK_LIT("x"), .if_match = alk_span_str(w->etag)};
    if (alk_tree_write(w->tree, ALK_LIT("file"), &o, &st) == ALK_OK) {
        (void)atomic_fetch_add(w->won, 1);
    }
    return NULL;
}

static void of_many_writers_with_one_etag_one_wins(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st;
    char etag[ALK_TREE_ETAG];
    (void)state;
    tree_world_init(&p);
    for (int round = 0; round < 20; round++) {
        atomic_uint won = 0;
        pthread_t threads[6];
        struct writer w = {p.tree, etag, &won};
        check_err(alk_tree_stat(p.tree, ALK_LIT("file"), &st), ALK_OK);
        alk_tree_etag(&st, etag);
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, write_once, &w), 0);
        }
        for (size_t i = 0; i < 6; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        }
        assert_int_equal(won, 1);
    }
    tree_world_fini(&p);
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st;
    struct alk_tree_write o = {.data = ALK_LIT("x"), .only_new = true};
    (void)state;
    tree_world_init(&p);
    size_t before = tree_count(&p, "top");
    check_err(alk_tree_write(p.tree, ALK_LIT("file"), &o, &st), ALK_E_EXISTS);
    o = (struct alk_tree_write){.data = ALK_LIT("x"), .if_match = ALK_LIT("no")};
    check_err(alk_tree_write(p.tree, ALK_LIT("file"), &o, &st), ALK_E_BUSY);
    check_err(tree_write_text(p.tree, "dir", "x"), ALK_E_INVALID);
    check_err(tree_write_text(p.tree, "file", "x"), ALK_OK);
    assert_int_equal(tree_count(&p, "top"), before);
    tree_world_fini(&p);
}

static void directories_and_files_are_made_removed_and_renamed(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_mkdir(p.tree, ALK_LIT("new/")), ALK_OK);
    check_err(alk_tree_mkdir(p.tree, ALK_LIT("new")), ALK_E_EXISTS);
    check_err(alk_tree_rename(p.tree, ALK_LIT("file"), ALK_LIT("new/file")), ALK_OK);
    tree_check_reads(&p, "new/file", "hello");
    check_err(alk_tree_remove(p.tree, ALK_LIT("new")), ALK_E_BUSY);
    check_err(alk_tree_rename(p.tree, ALK_LIT("new/file"), ALK_LIT(ALK_TREE_TMP "x")),
              ALK_E_INVALID);
    check_err(alk_tree_rename(p.tree, ALK_LIT("nothing"), ALK_LIT("x")), ALK_E_NOENT);
    check_err(alk_tree_rename(p.tree, ALK_LIT("new"), ALK_LIT("new/inside")), ALK_E_INVALID);
    check_err(alk_tree_rename(p.tree, ALK_LIT("new/file"), ALK_LIT("dir/inner")), ALK_OK);
    tree_check_reads(&p, "dir/inner", "hello");
    check_err(alk_tree_remove(p.tree, ALK_LIT("new")), ALK_OK);
    check_err(alk_tree_remove(p.tree, ALK_LIT("out")), ALK_OK); /* the link, not the file */
    check_err(alk_tree_stat(p.tree, ALK_LIT("out"), &st), ALK_E_NOENT);
    assert_int_equal(access(tree_at(&p, "outside"), F_OK), 0);
    check_err(alk_tree_remove(p.tree, ALK_LIT("out")), ALK_E_NOENT);
    check_err(alk_tree_remove(p.tree, ALK_LIT(".")), ALK_E_INVALID);
    tree_world_fini(&p);
}

/* --- watching ------------------------------------------------------------------------ */

struct changes {
    char text[4096];
    bool is_gone;
};

static void add_change(void *ctx, const struct alk_tree_change *c)
{
    struct changes *s = ctx;
    size_t n = strlen(s->text);
    s->is_gone = s->is_gone || c->is_gone;
    (void)snprintf(s->text + n, sizeof s->text - n, "%s:" ALK_SPAN_FMT " ", c->what,
                   ALK_SPAN_ARG(c->name));
}

static void a_watch_tells_names_and_hides_ours(void **state)
{
    struct tree_world p;
    struct changes c = {.text = ""};
    int fd;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_watch(p.tree, ALK_LIT("dir"), &fd), ALK_OK);
    check_err(alk_tree_watch_read(fd, add_change, &c), ALK_MORE);
    check_err(tree_write_text(p.tree, "dir/new", "x"), ALK_OK);
    check_err(tree_write_text(p.tree, "dir/new", "y"), ALK_OK);
    check_err(tree_write_text(p.tree, "dir/#12", "z"), ALK_OK);
    tree_put(&p, "top/dir/inner", "other", 0600);
    check_err(alk_tree_remove(p.tree, ALK_LIT("dir/new")), ALK_OK);
    check_err(alk_tree_watch_read(fd, add_change, &c), ALK_OK);
    assert_string_equal(c.text, "created:new created:new created:#12 changed:inner changed:inner "
                                "removed:new ");
    assert_false(c.is_gone);
    c.text[0] = '\0';
    check_err(alk_tree_rename(p.tree, ALK_LIT("dir"), ALK_LIT("away")), ALK_OK);
    check_err(alk_tree_watch_read(fd, add_change, &c), ALK_OK);
    assert_true(c.is_gone);
    alk_tree_close_file(fd);
    tree_world_fini(&p);
}

static void only_directories_beneath_the_root_are_watched(void **state)
{
    struct tree_world p;
    int fd = -1;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_watch(p.tree, ALK_LIT("file"), &fd), ALK_E_INVALID);
    check_err(alk_tree_watch(p.tree, ALK_LIT("nothing"), &fd), ALK_E_NOENT);
    check_err(alk_tree_watch(p.tree, ALK_LIT("parent"), &fd), ALK_E_FORBIDDEN);
    check_err(alk_tree_watch(p.tree, ALK_LIT("proc"), &fd), ALK_E_FORBIDDEN);
    assert_int_equal(fd, -1);
    tree_world_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_replaced_keeps_its_mode_unless_one_is_named),
        cmocka_unit_test(only_new_replaces_nothing),
        cmocka_unit_test(a_link_is_replaced_and_not_what_it_leads_to),
        cmocka_unit_test(an_etag_is_good_for_one_write),
        cmocka_unit_test(of_many_writers_with_one_etag_one_wins),
        cmocka_unit_test(a_failed_write_leaves_nothing_behind),
        cmocka_unit_test(directories_and_files_are_made_removed_and_renamed),
        cmocka_unit_test(a_watch_tells_names_and_hides_ours),
        cmocka_unit_test(only_directories_beneath_the_root_are_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
