/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/store/tree.h: paths, reading, listing. */
#include "support/oom.h"
#include "support/tree_world.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- paths that are hostile -------------------------------------------------------- */

/* What reading a path says. `write` is for a path that would put a file there. */
static const struct {
    const char *path;
    alk_err read, list, write;
} hostile[] = {
    {"..", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_INVALID},
    {"../outside", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"dir/../../outside", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"./.././outside", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"dir/../../top/file", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"/etc/passwd", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"//etc/passwd", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"/", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_INVALID},
    {"out", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_OK},
    {"out/x", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"absolute", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_OK},
    /* An absolute link is outside even when it comes back in. */
    {"absolute-in", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_OK},
    {"parent/outside", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"parent/top/file", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"proc/passwd", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"device", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_OK},
    {"loop", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_OK},
    {"loop/x", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    {"dangling", ALK_E_NOENT, ALK_E_NOENT, ALK_OK},
    {"nothing", ALK_E_NOENT, ALK_E_NOENT, ALK_OK},
    {"nothing/at/all", ALK_E_NOENT, ALK_E_NOENT, ALK_E_NOENT},
    {"file/x", ALK_E_INVALID, ALK_E_INVALID, ALK_E_INVALID},
    {"file/", ALK_E_INVALID, ALK_E_INVALID, ALK_OK},
    {"fifo", ALK_E_INVALID, ALK_E_INVALID, ALK_OK},
    {"socket", ALK_E_INVALID, ALK_E_INVALID, ALK_OK},
    {"dir", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {"dir/", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {"", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {".", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {"./", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {"dir/..", ALK_E_INVALID, ALK_OK, ALK_E_INVALID},
    {ALK_TREE_TMP "1-1", ALK_E_NOENT, ALK_E_NOENT, ALK_E_INVALID},
    {"dir/" ALK_TREE_TMP, ALK_E_NOENT, ALK_E_NOENT, ALK_E_INVALID},
};

static void every_hostile_path_says_why_and_reaches_nothing(void **state)
{
    struct tree_world p;
    char text[64];
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct alk_span path = alk_span_str(hostile[i].path);
        tree_world_init(&p);
        print_message("%s\n", hostile[i].path);
        check_err(tree_read_text(p.tree, hostile[i].path, text, sizeof text), hostile[i].read);
        check_err(tree_list_some(p.tree, path), hostile[i].list);
        check_err(tree_write_text(p.tree, hostile[i].path, "mine"), hostile[i].write);
        int fd = open(tree_at(&p, "outside"), O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, text, sizeof text), 6);
        assert_memory_equal(text, "secret", 6);
        (void)close(fd);
        tree_world_fini(&p);
    }
}

static void nothing_outside_can_be_made_removed_or_renamed(void **state)
{
    static const char *const paths[] = {"../x",       "/tmp/x",      "parent/x", "out/x",
                                        "loop/x",     "dir/../../x", "proc/x",   "parent/outside",
                                        "../outside", "/etc/passwd"};
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct alk_span path = alk_span_str(paths[i]);
        check_err(alk_tree_mkdir(p.tree, path), ALK_E_FORBIDDEN);
        check_err(alk_tree_remove(p.tree, path), ALK_E_FORBIDDEN);
        check_err(alk_tree_rename(p.tree, ALK_LIT("file"), path), ALK_E_FORBIDDEN);
        check_err(alk_tree_rename(p.tree, path, ALK_LIT("mine")), ALK_E_FORBIDDEN);
    }
    assert_int_equal(access(tree_at(&p, "outside"), F_OK), 0);
    tree_check_reads(&p, "file", "hello");
    tree_world_fini(&p);
}

static void names_with_zeros_and_names_too_long_are_refused(void **state)
{
    static char deep[ALK_TREE_PATH_MAX + 2];
    char part[ALK_TREE_NAME_MAX + 2];
    struct tree_world p;
    struct alk_tree_stat st;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_stat(p.tree, ALK_LIT("file\0x"), &st), ALK_E_INVALID);
    check_err(alk_tree_mkdir(p.tree, ALK_LIT("a\0b")), ALK_E_INVALID);
    check_err(alk_tree_mkdir(p.tree, ALK_LIT("a\0/b")), ALK_E_INVALID);
    memset(part, 'a', sizeof part);
    check_err(alk_tree_mkdir(p.tree, alk_span(part, ALK_TREE_NAME_MAX)), ALK_OK);
    check_err(alk_tree_mkdir(p.tree, alk_span(part, ALK_TREE_NAME_MAX + 1)), ALK_E_TOO_BIG);
    check_err(alk_tree_stat(p.tree, alk_span(part, ALK_TREE_NAME_MAX + 1), &st), ALK_E_TOO_BIG);
    for (size_t i = 0; i < sizeof deep; i++) {
        deep[i] = i % 2 == 0 ? '.' : '/';
    }
    check_err(alk_tree_stat(p.tree, alk_span(deep, ALK_TREE_PATH_MAX), &st), ALK_OK);
    check_err(alk_tree_stat(p.tree, alk_span(deep, ALK_TREE_PATH_MAX + 1), &st), ALK_E_TOO_BIG);
    check_err(alk_tree_mkdir(p.tree, alk_span(deep, ALK_TREE_PATH_MAX + 1)), ALK_E_TOO_BIG);
    tree_world_fini(&p);
}

static void links_that_stay_beneath_the_root_are_followed(void **state)
{
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    tree_check_reads(&p, "in", "inner");
    tree_check_reads(&p, "dir/up", "hello");
    tree_check_reads(&p, "dir/../file", "hello");
    tree_check_reads(&p, "./dir//inner", "inner");
    tree_world_fini(&p);
}

/* To open a FIFO would let this writer go on. */
static void a_fifo_is_not_even_opened(void **state)
{
    struct tree_world p;
    char text[8];
    (void)state;
    tree_world_init(&p);
    int reader = open(tree_at(&p, "top/fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int writer = open(tree_at(&p, "top/fifo"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0 && writer >= 0);
    (void)close(reader);
    check_err(tree_read_text(p.tree, "fifo", text, sizeof text), ALK_E_INVALID);
    struct pollfd f = {.fd = writer};
    assert_int_equal(poll(&f, 1, 0), 1);
    assert_true((f.revents & POLLERR) != 0); /* still nobody reads */
    (void)close(writer);
    tree_world_fini(&p);
}

/* Links of /proc lead to files without a path being walked. */
static void magic_links_are_not_followed(void **state)
{
    static const char *const links[] = {"exe", "cwd", "cwd/README.md", "fd/0", "task/../exe"};
    struct alk_tree *tree = NULL;
    struct alk_tree_stat st;
    (void)state;
    check_err(alk_tree_open(NULL, "/proc/self", false, &tree), ALK_OK);
    check_err(alk_tree_stat(tree, ALK_LIT("status"), &st), ALK_OK);
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        check_err(alk_tree_stat(tree, alk_span_str(links[i]), &st), ALK_E_FORBIDDEN);
    }
    alk_tree_unref(tree);
}

static void the_root_may_be_moved_and_is_still_the_same(void **state)
{
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    assert_int_equal(rename(p.root, tree_at(&p, "moved")), 0);
    tree_check_reads(&p, "file", "hello");
    check_err(tree_write_text(p.tree, "new", "1"), ALK_OK);
    assert_int_equal(access(tree_at(&p, "moved/new"), F_OK), 0);
    tree_world_fini(&p);
}

/* Somebody swaps a directory for a link out, again and again. */
struct swapper {
    const struct tree_world *p;
    atomic_bool stops;
};

static void *swap(void *arg)
{
    struct swapper *s = arg;
    char dir[128], kept[128], link[128];
    (void)snprintf(dir, sizeof dir, "%s/top/dir", s->p->base);
    (void)snprintf(kept, sizeof kept, "%s/top/kept", s->p->base);
    (void)snprintf(link, sizeof link, "%s/top/evil", s->p->base);
    while (!atomic_load(&s->stops)) {
        (void)symlink("..", link);
        (void)rename(dir, kept);
        (void)rename(link, dir);
        (void)unlink(dir);
        (void)rename(kept, dir);
    }
    return NULL;
}

static void a_race_with_a_rename_never_leads_out(void **state)
{
    struct tree_world p;
    struct swapper s = {.p = &p};
    pthread_t thread;
    char text[64];
    (void)state;
    tree_world_init(&p);
    tree_put(&p, "inner", "outside", 0644); /* what "dir/inner" would be through the link's ".." */
    assert_int_equal(unlink(tree_at(&p, "top/in")), 0);
    tree_link(&p, "top/dir/out", "../../inner");
    assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
    for (int i = 0; i < 3000; i++) {
        if (tree_read_text(p.tree, "dir/inner", text, sizeof text) == ALK_OK) {
            assert_string_equal(text, "inner");
        }
        assert_int_not_equal(tree_read_text(p.tree, "dir/out", text, sizeof text), ALK_OK);
        (void)tree_write_text(p.tree, "dir/w", "x");
        if (tree_read_text(p.tree, "dir/../file", text, sizeof text) == ALK_OK) {
            assert_string_equal(text, "hello");
        }
    }
    atomic_store(&s.stops, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_not_equal(access(tree_at(&p, "w"), F_OK), 0);
    tree_world_fini(&p);
}

/* --- plain trees --------------------------------------------------------------------- */

static void a_plain_tree_knows_one_spelling_and_no_links(void **state)
{
    static const struct {
        const char *path;
        alk_err stat, mkdir;
    } rows[] = {
        {"", ALK_OK, ALK_E_INVALID},
        {".", ALK_OK, ALK_E_INVALID},
        {"dir", ALK_OK, ALK_E_EXISTS},
        {"dir/inner", ALK_OK, ALK_E_EXISTS},
        {"dir/new", ALK_E_NOENT, ALK_OK},
        {"dir/", ALK_E_INVALID, ALK_E_INVALID},
        {"dir//inner", ALK_E_INVALID, ALK_E_INVALID},
        {"./dir", ALK_E_INVALID, ALK_E_INVALID},
        {"dir/./inner", ALK_E_INVALID, ALK_E_INVALID},
        {"dir/../file", ALK_E_INVALID, ALK_E_INVALID},
        {"dir/..", ALK_E_INVALID, ALK_E_INVALID},
        {"/", ALK_E_FORBIDDEN, ALK_E_INVALID},
        {"in", ALK_E_FORBIDDEN, ALK_E_EXISTS},
        {"dir/up", ALK_E_FORBIDDEN, ALK_E_EXISTS},
        {"parent/top", ALK_E_FORBIDDEN, ALK_E_FORBIDDEN},
    };
    struct tree_world p;
    struct alk_tree_stat st;
    (void)state;
    tree_world_init_as(&p, true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].path);
        check_err(alk_tree_stat(p.tree, alk_span_str(rows[i].path), &st), rows[i].stat);
        check_err(alk_tree_mkdir(p.tree, alk_span_str(rows[i].path)), rows[i].mkdir);
    }
    tree_world_fini(&p);
}

/* --- stat, read ------------------------------------------------------------------------ */

static void stat_tells_what_there_is(void **state)
{
    static const struct {
        const char *path, *type;
        uint64_t size;
    } rows[] = {
        {"file", "file", 5}, {"in", "file", 5}, {"fifo", "other", 0}, {"socket", "other", 0}};
    struct tree_world p;
    struct alk_tree_stat st;
    (void)state;
    tree_world_init(&p);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_err(alk_tree_stat(p.tree, alk_span_str(rows[i].path), &st), ALK_OK);
        assert_string_equal(alk_tree_type_name(st.type), rows[i].type);
        assert_int_equal(st.size, rows[i].size);
        assert_true(st.mtime_ms > 1600000000000u);
    }
    check_err(alk_tree_stat(p.tree, ALK_LIT(""), &st), ALK_OK);
    assert_int_equal(st.type, ALK_TREE_DIR);
    assert_int_equal(tree_mode(&p, "file"), 0640);
    tree_world_fini(&p);
}

static void reading_stops_at_the_end_of_the_file(void **state)
{
    struct tree_world p;
    struct alk_tree_stat st;
    uint8_t bytes[16];
    size_t n = 99;
    int fd;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_open_file(p.tree, ALK_LIT("file"), &fd, &st), ALK_OK);
    check_err(alk_tree_read(fd, 2, bytes, 2, &n), ALK_OK);
    assert_int_equal(n, 2);
    check_err(alk_tree_read(fd, 3, bytes, sizeof bytes, &n), ALK_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(bytes, "lo", 2);
    check_err(alk_tree_read(fd, INT64_MAX - 16, bytes, 16, &n), ALK_OK);
    assert_int_equal(n, 0);
    alk_tree_close_file(fd);
    tree_world_fini(&p);
}

/* --- listing ------------------------------------------------------------------------------ */

struct names {
    char text[4096];
    unsigned count, most;
};

static alk_err add_name(void *ctx, struct alk_span name, const struct alk_tree_stat *stat)
{
    struct names *n = ctx;
    size_t at_n = strlen(n->text);
    if (n->count == n->most) {
        return ALK_FULL;
    }
    n->count++;
    (void)snprintf(n->text + at_n, sizeof n->text - at_n, ALK_SPAN_FMT "(%s) ", ALK_SPAN_ARG(name),
                   alk_tree_type_name(stat->type));
    return ALK_OK;
}

static void a_listing_is_sorted_and_goes_on_after_a_name(void **state)
{
    struct tree_world p;
    struct names n = {.most = 100};
    uint64_t left_out = 9;
    bool more = true;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_list(p.tree, ALK_LIT("."), ALK_LIT(""), 4, add_name, &n, &more, &left_out),
              ALK_OK);
    assert_string_equal(n.text, "absolute(link) absolute-in(link) dangling(link) device(link) ");
    assert_true(more);
    n = (struct names){.most = 100};
    check_err(
        alk_tree_list(p.tree, ALK_LIT("."), ALK_LIT("device"), 4, add_name, &n, &more, &left_out),
        ALK_OK);
    assert_string_equal(n.text, "dir(dir) fifo(other) file(file) in(link) ");
    n = (struct names){.most = 100}; /* a name that is not there */
    check_err(
        alk_tree_list(p.tree, ALK_LIT("."), ALK_LIT("parenz"), 4, add_name, &n, &more, &left_out),
        ALK_OK);
    assert_string_equal(n.text, "proc(link) socket(other) ");
    assert_false(more);
    assert_int_equal(left_out, 0);
    n = (struct names){.most = 1}; /* who is told has no more room */
    check_err(alk_tree_list(p.tree, ALK_LIT("."), ALK_LIT(""), 4, add_name, &n, &more, &left_out),
              ALK_OK);
    assert_true(more && n.count == 1);
    tree_world_fini(&p);
}

static void names_that_are_not_utf8_are_counted_and_ours_are_hidden(void **state)
{
    struct tree_world p;
    struct names n = {.most = 100};
    uint64_t left_out = 0;
    bool more = true;
    (void)state;
    tree_world_init(&p);
    tree_put(&p, "top/dir/\xff\xfe", "x", 0644);
    tree_put(&p, "top/dir/\xed\xa0\x80", "x", 0644);
    tree_put(&p, "top/dir/\xc3\xa4\n", "x", 0644);
    tree_put(&p, "top/dir/" ALK_TREE_TMP "1-1", "x", 0644);
    check_err(
        alk_tree_list(p.tree, ALK_LIT("dir"), ALK_LIT(""), 100, add_name, &n, &more, &left_out),
        ALK_OK);
    assert_string_equal(n.text, "inner(file) up(link) \xc3\xa4\n(file) ");
    assert_int_equal(left_out, 2);
    tree_world_fini(&p);
}

static void a_directory_of_too_many_entries_is_too_big(void **state)
{
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    int dir = open(tree_at(&p, "top/dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < ALK_TREE_ENTRIES_MAX - 2; i++) { /* two are there */
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    (void)close(dir);
    check_err(tree_list_some(p.tree, ALK_LIT("dir")), ALK_OK);
    tree_put(&p, "top/dir/more", "", 0644);
    check_err(tree_list_some(p.tree, ALK_LIT("dir")), ALK_E_TOO_BIG);
    tree_world_fini(&p);
}

/* --- roots ----------------------------------------------------------------------------------- */

static void a_root_must_be_a_directory(void **state)
{
    struct tree_world p;
    struct alk_tree *tree = NULL;
    (void)state;
    tree_world_init(&p);
    check_err(alk_tree_open(NULL, tree_at(&p, "nothing"), false, &tree), ALK_E_NOENT);
    check_err(alk_tree_open(NULL, tree_at(&p, "outside"), false, &tree), ALK_E_INVALID);
    assert_null(tree);
    alk_tree_unref(NULL);
    tree_world_fini(&p);
}

static alk_err list_with(const struct alk_mem *mem, void *ctx)
{
    const struct tree_world *p = ctx;
    struct alk_tree *tree = NULL;
    ALK_TRY(alk_tree_open(mem, p->root, false, &tree));
    alk_err err = tree_list_some(tree, ALK_LIT("."));
    alk_tree_unref(tree);
    return err;
}

static void memory_that_runs_out_fails_a_listing_alone(void **state)
{
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    oom_sweep(list_with, &p);
    tree_world_fini(&p);
}

static void mutated(struct alk_span in, void *ctx)
{
    const struct tree_world *p = ctx;
    struct alk_tree_stat st;
    int fd;
    alk_err err = alk_tree_mkdir(p->tree, in);
    if (err == ALK_OK) {
        check_err(tree_list_some(p->tree, in), ALK_OK);
        check_err(alk_tree_remove(p->tree, in), ALK_OK);
    }
    if (alk_tree_open_file(p->tree, in, &fd, &st) == ALK_OK) {
        struct stat there, outside;
        assert_int_equal(fstat(fd, &there), 0);
        assert_int_equal(stat(tree_at(p, "outside"), &outside), 0);
        assert_true(there.st_ino != outside.st_ino || there.st_dev != outside.st_dev);
        alk_tree_close_file(fd);
    }
}

static void no_mutation_of_a_path_leads_out(void **state)
{
    static const char *const paths[] = {"dir/../../outside", "parent/outside", "dir/up"};
    struct tree_world p;
    (void)state;
    tree_world_init(&p);
    for (size_t i = 0; i < 3; i++) {
        check_mutations(alk_span_str(paths[i]), mutated, &p);
    }
    assert_int_equal(tree_count(&p, ""), 4); /* ., .., outside, top */
    tree_world_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hostile_path_says_why_and_reaches_nothing),
        cmocka_unit_test(nothing_outside_can_be_made_removed_or_renamed),
        cmocka_unit_test(names_with_zeros_and_names_too_long_are_refused),
        cmocka_unit_test(links_that_stay_beneath_the_root_are_followed),
        cmocka_unit_test(a_fifo_is_not_even_opened),
        cmocka_unit_test(magic_links_are_not_followed),
        cmocka_unit_test(the_root_may_be_moved_and_is_still_the_same),
        cmocka_unit_test(a_race_with_a_rename_never_leads_out),
        cmocka_unit_test(a_plain_tree_knows_one_spelling_and_no_links),
        cmocka_unit_test(stat_tells_what_there_is),
        cmocka_unit_test(reading_stops_at_the_end_of_the_file),
        cmocka_unit_test(a_listing_is_sorted_and_goes_on_after_a_name),
        cmocka_unit_test(names_that_are_not_utf8_are_counted_and_ours_are_hidden),
        cmocka_unit_test(a_directory_of_too_many_entries_is_too_big),
        cmocka_unit_test(a_root_must_be_a_directory),
        cmocka_unit_test(memory_that_runs_out_fails_a_listing_alone),
        cmocka_unit_test(no_mutation_of_a_path_leads_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
