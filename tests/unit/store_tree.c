/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Files beneath a root, whatever names a peer sends. */
#include "core/store/tree.h"

#include "core/store/file.h"
#include "support/oom.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* dir/top is the tree; dir/out lies beside it. */
static alk_err write_file(struct alk_tree *to, struct alk_span path, struct alk_span data,
                          unsigned mode, bool only_new)
{
    const struct alk_tree_write o = {
        .data = data, .has_mode = true, .mode = mode, .only_new = only_new};
    struct alk_tree_stat st;
    return alk_tree_write(to, path, &o, &st);
}

static char dir[] = "/tmp/alk-tree-XXXXXX";
static struct alk_tree *tree;

static const char *at(const char *name)
{
    static char path[PATH_MAX];
    assert_true(alk_file_join(dir, name, path, sizeof path));
    return path;
}

static void put(const char *name, const char *text)
{
    check_err(alk_file_write(at(name), alk_span_str(text), 0644), ALK_OK);
}

static void link_to(const char *target, const char *name)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

static void remove_beneath(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        char sub[PATH_MAX];
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            assert_true((size_t)snprintf(sub, sizeof sub, "%s/%s", path, e->d_name) < sizeof sub);
            if (unlink(sub) != 0) {
                remove_beneath(sub);
            }
        }
    }
    if (d != NULL) {
        assert_int_equal(closedir(d), 0);
    }
    assert_int_equal(rmdir(path), 0);
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/alk-tree-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mkdir(at("top"), 0755), 0);
    assert_int_equal(mkdir(at("top/sub"), 0755), 0);
    assert_int_equal(mkdir(at("out"), 0755), 0);
    put("top/a", "inside");
    put("top/sub/b", "deeper");
    put("out/secret", "outside");
    check_err(alk_tree_open(NULL, at("top"), false, &tree), ALK_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    alk_tree_unref(tree);
    tree = NULL;
    remove_beneath(dir);
    return 0;
}

static alk_err stat_of(const char *path, struct alk_tree_stat *ret)
{
    return alk_tree_stat(tree, alk_span_str(path), ret);
}

/* --- what leads out ------------------------------------------------------------------ */

/* Whatever is done with it, nothing outside is seen, made, changed or removed. */
static const struct hostile {
    const char *path;
    alk_err err; /* of stat */
} hostile[] = {
    {"..", ALK_E_FORBIDDEN},
    {"../out/secret", ALK_E_FORBIDDEN},
    {"../top/a", ALK_E_FORBIDDEN}, /* even if it comes back */
    {"sub/../../out/secret", ALK_E_FORBIDDEN},
    {"sub/./.././../out", ALK_E_FORBIDDEN},
    {"./..", ALK_E_FORBIDDEN},
    {"a/../../out/secret", ALK_E_INVALID}, /* a is a file */
    {"/", ALK_E_FORBIDDEN},
    {"/etc/passwd", ALK_E_FORBIDDEN},
    {"//etc/passwd", ALK_E_FORBIDDEN},
    {"to-out", ALK_E_FORBIDDEN},
    {"to-out/secret", ALK_E_FORBIDDEN},
    {"to-secret", ALK_E_FORBIDDEN},
    {"to-etc", ALK_E_FORBIDDEN},
    {"to-etc/passwd", ALK_E_FORBIDDEN},
    {"to-self-fd", ALK_E_FORBIDDEN},
    {"to-parent/out/secret", ALK_E_FORBIDDEN},
    {"to-to-out/secret", ALK_E_FORBIDDEN},
    {"sub/up-and-out", ALK_E_FORBIDDEN},
    {"loop", ALK_E_FORBIDDEN},
    {"loop/x", ALK_E_FORBIDDEN},
    {"a/", ALK_E_INVALID},
    {"a/x", ALK_E_INVALID},
    {"absent", ALK_E_NOENT},
    {"absent/../a", ALK_E_NOENT},
    {"dangling", ALK_E_NOENT},
    {"...", ALK_E_NOENT},
    {".. ", ALK_E_NOENT},
    {"..\\out\\secret", ALK_E_NOENT},
    {"%2e%2e/out/secret", ALK_E_NOENT},
    {"\xc0\xae\xc0\xae/out/secret", ALK_E_NOENT}, /* overlong dots are no dots */
    {"\xff\xfe", ALK_E_NOENT},
    {"~", ALK_E_NOENT},
    {"a\n", ALK_E_NOENT},
};

static void make_links(void)
{
    link_to("../out", "top/to-out");
    link_to("../out/secret", "top/to-secret");
    link_to("/etc", "top/to-etc");
    link_to("/proc/self/fd", "top/to-self-fd");
    link_to("..", "top/to-parent");
    link_to("to-out", "top/to-to-out");
    link_to("../../out/secret", "top/sub/up-and-out");
    link_to("loop", "top/loop");
    link_to("nowhere", "top/dangling");
}

static unsigned entries(const char *name)
{
    unsigned n = 0;
    DIR *d = opendir(at(name));
    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    assert_int_equal(closedir(d), 0);
    return n;
}

static alk_err take_entry(void *ctx, struct alk_span name, const struct alk_tree_stat *stat)
{
    (void)ctx;
    (void)name;
    (void)stat;
    fail_msg("something was listed");
    return ALK_OK;
}

/* Of operations that make or change what the path names. */
static void check_cannot_change(struct alk_span path)
{
    alk_err err = alk_tree_rename(tree, path, ALK_LIT("sub/stolen"));
    assert_true(err < 0);
    assert_true(alk_tree_rename(tree, ALK_LIT("absent"), path) < 0);
}

static void no_name_leads_out_of_the_root(void **state)
{
    (void)state;
    make_links();
    unsigned outside = entries("out"), beside = entries(".");
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        const struct hostile *h = &hostile[i];
        struct alk_span path = alk_span_str(h->path);
        struct alk_tree_stat st;
        bool more;
        uint64_t left_out;
        int fd = -1;
        alk_err err = alk_tree_stat(tree, path, &st);
        if (err != h->err) {
            fail_msg("%s: %s, not %s", h->path, alk_err_name(err), alk_err_name(h->err));
        }
        check_err(alk_tree_open_file(tree, path, &fd, &st), h->err);
        assert_true(alk_tree_list(tree, path, ALK_LIT(""), 9, take_entry, NULL, &more, &left_out) <
                    0);
        assert_true(alk_tree_watch(tree, path, &fd) < 0);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(entries("out"), outside);
    assert_int_equal(entries("."), beside);
}

/* Paths whose directory leads out: nothing is made there. (A last part that is a link
 * is itself what is replaced or removed.) */
static void nothing_is_changed_outside(void **state)
{
    static const struct {
        const char *path;
        alk_err err;
    } cases[] = {
        {"../out/new", ALK_E_FORBIDDEN},
        {"to-out/new", ALK_E_FORBIDDEN},
        {"to-out/secret", ALK_E_FORBIDDEN},
        {"sub/../../out/new", ALK_E_FORBIDDEN},
        {"/tmp/new", ALK_E_FORBIDDEN},
        {"to-to-out/new", ALK_E_FORBIDDEN},
        {"to-parent/new", ALK_E_FORBIDDEN},
        {"loop/new", ALK_E_FORBIDDEN},
        {"..", ALK_E_INVALID},
        {"sub/..", ALK_E_INVALID},
        {".", ALK_E_INVALID},
        {"", ALK_E_INVALID},
        {"sub/.", ALK_E_INVALID},
        {"/", ALK_E_INVALID},
        {"absent/new", ALK_E_NOENT},
        {"a/new", ALK_E_INVALID},
    };
    (void)state;
    make_links();
    unsigned outside = entries("out"), beside = entries("."), inside = entries("top");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct alk_span path = alk_span_str(cases[i].path);
        alk_err errs[3] = {write_file(tree, path, ALK_LIT("x"), 0644, false),
                           alk_tree_mkdir(tree, path), alk_tree_remove(tree, path)};
        for (size_t k = 0; k < 3; k++) {
            if (errs[k] != cases[i].err) {
                fail_msg("%s (%zu): %s, not %s", cases[i].path, k, alk_err_name(errs[k]),
                         alk_err_name(cases[i].err));
            }
        }
        check_cannot_change(path);
    }
    assert_int_equal(entries("out"), outside);
    assert_int_equal(entries("."), beside);
    assert_int_equal(entries("top"), inside);
}

static void a_link_that_leads_out_is_replaced_and_not_followed(void **state)
{
    struct alk_buf b;
    struct stat st;
    (void)state;
    make_links();
    check_err(write_file(tree, ALK_LIT("to-secret"), ALK_LIT("mine"), 0600, false), ALK_OK);
    alk_buf_init(&b, NULL, 100);
    check_err(alk_file_read(at("out/secret"), 100, &b), ALK_OK);
    check_text(alk_buf_span(&b), "outside");
    alk_buf_fini(&b);
    assert_int_equal(lstat(at("top/to-secret"), &st), 0);
    assert_true(S_ISREG(st.st_mode));
    check_err(alk_tree_remove(tree, ALK_LIT("to-out")), ALK_OK); /* the link itself */
    assert_int_equal(access(at("out/secret"), F_OK), 0);
    check_err(write_file(tree, ALK_LIT("to-etc"), ALK_LIT("x"), 0600, true), ALK_E_EXISTS);
}

static void names_with_a_zero_and_names_too_long_are_refused(void **state)
{
    static char name[ALK_TREE_NAME_MAX + 2], path[ALK_TREE_PATH_MAX + 2];
    struct alk_tree_stat st;
    (void)state;
    check_err(alk_tree_stat(tree, alk_span("a\0b", 3), &st), ALK_E_INVALID);
    check_err(alk_tree_stat(tree, alk_span("\0", 1), &st), ALK_E_INVALID);
    check_err(write_file(tree, alk_span("a\0b", 3), ALK_LIT("x"), 0644, false), ALK_E_INVALID);
    memset(name, 'n', sizeof name - 1);
    check_err(alk_tree_stat(tree, alk_span(name, 256), &st), ALK_E_TOO_BIG);
    check_err(alk_tree_mkdir(tree, alk_span(name, 256)), ALK_E_TOO_BIG);
    check_err(alk_tree_mkdir(tree, alk_span(name, 255)), ALK_OK);
    memset(path, '/', sizeof path);
    path[0] = '.';
    check_err(alk_tree_stat(tree, alk_span(path, ALK_TREE_PATH_MAX + 1), &st), ALK_E_TOO_BIG);
    check_err(alk_tree_stat(tree, alk_span(path, ALK_TREE_PATH_MAX), &st), ALK_OK);
    assert_int_equal(st.type, ALK_TREE_DIR);
}

static void links_beneath_the_root_are_followed(void **state)
{
    struct alk_tree_stat st;
    int fd;
    (void)state;
    link_to("sub/b", "top/to-b");
    link_to("../a", "top/sub/to-a"); /* up, and still inside */
    check_err(stat_of("to-b", &st), ALK_OK);
    assert_int_equal(st.type, ALK_TREE_FILE);
    assert_int_equal(st.size, 6);
    check_err(stat_of("sub/to-a", &st), ALK_OK);
    check_err(stat_of("sub/../a", &st), ALK_OK);
    check_err(stat_of("sub//..//a", &st), ALK_OK);
    check_err(alk_tree_open_file(tree, ALK_LIT("sub/to-a"), &fd, &st), ALK_OK);
    alk_tree_close_file(fd);
    for (size_t i = 0; i < 2; i++) {
        check_err(stat_of(i == 0 ? "" : ".", &st), ALK_OK);
        assert_int_equal(st.type, ALK_TREE_DIR);
    }
}

/* The root is a directory and not a name: what is put in its place is another. */
static void the_root_stays_when_its_name_is_moved(void **state)
{
    struct alk_tree_stat st;
    char to[PATH_MAX];
    (void)state;
    (void)snprintf(to, sizeof to, "%s", at("moved"));
    assert_int_equal(rename(at("top"), to), 0);
    link_to("out", "top");
    check_err(stat_of("a", &st), ALK_OK);
    check_err(stat_of("secret", &st), ALK_E_NOENT);
}

static void a_root_must_be_a_directory(void **state)
{
    struct alk_tree *t = NULL;
    (void)state;
    check_err(alk_tree_open(NULL, at("absent"), false, &t), ALK_E_NOENT);
    check_err(alk_tree_open(NULL, at("top/a"), false, &t), ALK_E_INVALID);
    assert_null(t);
}

/* --- kinds ------------------------------------------------------------------------------ */

static void only_regular_files_are_read_and_nothing_blocks(void **state)
{
    struct alk_tree_stat st;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = -1;
    (void)state;
    assert_int_equal(mkfifo(at("top/fifo"), 0644), 0);
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", at("top/sock"));
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
    check_err(alk_tree_open_file(tree, ALK_LIT("fifo"), &fd, &st), ALK_E_INVALID);
    check_err(alk_tree_open_file(tree, ALK_LIT("sock"), &fd, &st), ALK_E_INVALID);
    check_err(alk_tree_open_file(tree, ALK_LIT("sub"), &fd, &st), ALK_E_INVALID);
    check_err(alk_tree_open_file(tree, ALK_LIT("a/"), &fd, &st), ALK_E_INVALID);
    assert_int_equal(fd, -1);
    check_err(stat_of("fifo", &st), ALK_OK);
    assert_string_equal(alk_tree_type_name(st.type), "other");
    check_err(stat_of("sub", &st), ALK_OK);
    assert_string_equal(alk_tree_type_name(st.type), "dir");
    assert_int_equal(close(s), 0);
}

/* Nothing of what waits in it is taken. */
static void a_fifo_keeps_what_it_holds(void **state)
{
    struct alk_tree_stat st;
    int fd = -1;
    (void)state;
    assert_int_equal(mkfifo(at("top/fifo"), 0644), 0);
    int ours = open(at("top/fifo"), O_RDWR | O_NONBLOCK);
    assert_true(ours >= 0);
    assert_int_equal(write(ours, "x", 1), 1);
    check_err(alk_tree_open_file(tree, ALK_LIT("fifo"), &fd, &st), ALK_E_INVALID);
    char c = 0;
    assert_int_equal(read(ours, &c, 1), 1);
    assert_int_equal(c, 'x');
    assert_int_equal(close(ours), 0);
}

static void a_file_is_read_at_any_place(void **state)
{
    struct alk_tree_stat st;
    uint8_t got[16];
    size_t n = 99;
    int fd;
    (void)state;
    check_err(alk_tree_open_file(tree, ALK_LIT("a"), &fd, &st), ALK_OK);
    assert_int_equal(st.size, 6);
    assert_int_equal(st.mode, 0644);
    assert_true(st.mtime_ms > 1600000000000u);
    check_err(alk_tree_read(fd, 0, got, sizeof got, &n), ALK_OK);
    check_text(alk_span(got, n), "inside");
    check_err(alk_tree_read(fd, 2, got, 3, &n), ALK_OK);
    check_text(alk_span(got, n), "sid");
    check_err(alk_tree_read(fd, 6, got, 3, &n), ALK_OK);
    assert_int_equal(n, 0);
    check_err(alk_tree_read(fd, (uint64_t)1 << 40, got, 3, &n), ALK_OK);
    assert_int_equal(n, 0);
    check_err(alk_tree_read(fd, UINT64_MAX, got, 3, &n), ALK_E_INVALID);
    alk_tree_close_file(fd);
}

/* --- writing ------------------------------------------------------------------------------ */

static void a_write_replaces_a_file_whole_and_leaves_nothing_beside(void **state)
{
    struct alk_tree_stat st;
    struct alk_buf b;
    (void)state;
    unsigned before = entries("top");
    int old = open(at("top/a"), O_RDONLY);
    mode_t mask = umask(077);
    check_err(write_file(tree, ALK_LIT("a"), ALK_LIT("new"), 0664, false), ALK_OK);
    (void)umask(mask);
    assert_int_equal(entries("top"), before);
    check_err(stat_of("a", &st), ALK_OK);
    assert_int_equal(st.mode, 0664);
    alk_buf_init(&b, NULL, 100);
    check_err(alk_file_read(at("top/a"), 100, &b), ALK_OK);
    check_text(alk_buf_span(&b), "new");
    char was[6];
    assert_int_equal(read(old, was, 6), 6); /* who reads has the old one */
    assert_memory_equal(was, "inside", 6);
    assert_int_equal(close(old), 0);
    check_err(write_file(tree, ALK_LIT("sub/c"), ALK_LIT(""), 07777, false), ALK_OK);
    check_err(stat_of("sub/c", &st), ALK_OK);
    assert_int_equal(st.size, 0);
    assert_int_equal(st.mode, 0777); /* never setuid */
    check_err(write_file(tree, ALK_LIT("a"), ALK_LIT("x"), 0644, true), ALK_E_EXISTS);
    check_err(write_file(tree, ALK_LIT("sub"), ALK_LIT("x"), 0644, false), ALK_E_INVALID);
    assert_int_equal(entries("top"), before);
    alk_buf_fini(&b);
}

static void directories_come_and_go(void **state)
{
    (void)state;
    check_err(alk_tree_mkdir(tree, ALK_LIT("d")), ALK_OK);
    check_err(alk_tree_mkdir(tree, ALK_LIT("d")), ALK_E_EXISTS);
    check_err(alk_tree_mkdir(tree, ALK_LIT("d/e/")), ALK_OK);
    check_err(alk_tree_remove(tree, ALK_LIT("d")), ALK_E_BUSY);
    check_err(alk_tree_remove(tree, ALK_LIT("d/e")), ALK_OK);
    check_err(alk_tree_remove(tree, ALK_LIT("d")), ALK_OK);
    check_err(alk_tree_remove(tree, ALK_LIT("d")), ALK_E_NOENT);
    check_err(alk_tree_remove(tree, ALK_LIT("a")), ALK_OK);
}

static void rename_replaces_and_stays_beneath(void **state)
{
    struct alk_tree_stat st;
    (void)state;
    check_err(alk_tree_rename(tree, ALK_LIT("a"), ALK_LIT("sub/b")), ALK_OK);
    check_err(stat_of("a", &st), ALK_E_NOENT);
    check_err(stat_of("sub/b", &st), ALK_OK);
    assert_int_equal(st.size, 6);
    check_err(alk_tree_rename(tree, ALK_LIT("sub"), ALK_LIT("sub/in-itself")), ALK_E_INVALID);
    check_err(alk_tree_rename(tree, ALK_LIT("sub/b"), ALK_LIT("../out/b")), ALK_E_FORBIDDEN);
    check_err(alk_tree_rename(tree, ALK_LIT("../out/secret"), ALK_LIT("b")), ALK_E_FORBIDDEN);
    check_err(alk_tree_mkdir(tree, ALK_LIT("full")), ALK_OK);
    check_err(alk_tree_mkdir(tree, ALK_LIT("full/x")), ALK_OK);
    check_err(alk_tree_mkdir(tree, ALK_LIT("empty")), ALK_OK);
    check_err(alk_tree_rename(tree, ALK_LIT("empty"), ALK_LIT("full")), ALK_E_BUSY);
}

/* --- listing ------------------------------------------------------------------------------- */

struct listing {
    char text[1024];
    unsigned stop_after; /* 0: never */
    unsigned n;
};

static alk_err on_entry(void *ctx, struct alk_span name, const struct alk_tree_stat *st)
{
    struct listing *l = (struct listing *)ctx;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof l->text - n, "%.*s:%s ", (int)name.n, (const char *)name.p,
                   alk_tree_type_name(st->type));
    l->n++;
    return l->n == l->stop_after ? ALK_E_LIMIT : ALK_OK;
}

static void check_list(const char *path, const char *after, size_t limit, const char *want,
                       bool want_more)
{
    struct listing l = {.n = 0};
    uint64_t left_out = 9;
    bool more = !want_more;
    check_err(alk_tree_list(tree, alk_span_str(path), alk_span_str(after), limit, on_entry, &l,
                            &more, &left_out),
              ALK_OK);
    assert_string_equal(l.text, want);
    assert_int_equal(more, want_more);
    assert_int_equal(left_out, 0);
}

static void a_listing_is_sorted_by_bytes_and_goes_on_after_a_name(void **state)
{
    (void)state;
    put("top/B", "");
    put("top/aa", "");
    put("top/\xc3\xa9", "");
    link_to("../out", "top/l");
    check_list("", "", 100, "B:file a:file aa:file l:link sub:dir \xc3\xa9:file ", false);
    check_list(".", "", 2, "B:file a:file ", true);
    check_list("", "a", 2, "aa:file l:link ", true);
    check_list("", "aaa", 2, "l:link sub:dir ", true);
    check_list("", "sub", 9, "\xc3\xa9:file ", false);
    check_list("", "\xff", 9, "", false);
    check_list("", "", 6, "B:file a:file aa:file l:link sub:dir \xc3\xa9:file ", false);
    check_list("sub", "", 9, "b:file ", false);
    check_err(alk_tree_mkdir(tree, ALK_LIT("empty")), ALK_OK);
    check_list("empty", "", 9, "", false);
}

static void names_that_are_not_utf8_are_counted_and_errors_end_a_listing(void **state)
{
    struct listing l = {.stop_after = 1};
    uint64_t left_out = 0;
    bool more = false;
    (void)state;
    put("top/\xff\xfe", "");
    put("top/\xed\xa0\x80", ""); /* a surrogate */
    check_err(alk_tree_list(tree, ALK_LIT(""), ALK_LIT(""), 9, on_entry, &l, &more, &left_out),
              ALK_E_LIMIT);
    l = (struct listing){.n = 0};
    check_err(alk_tree_list(tree, ALK_LIT(""), ALK_LIT(""), 9, on_entry, &l, &more, &left_out),
              ALK_OK);
    assert_string_equal(l.text, "a:file sub:dir ");
    assert_int_equal(left_out, 2);
    check_err(alk_tree_list(tree, ALK_LIT("a"), ALK_LIT(""), 9, on_entry, &l, &more, &left_out),
              ALK_E_INVALID);
}

static void a_directory_over_the_limit_is_too_big(void **state)
{
    struct listing l = {.n = 0};
    uint64_t left_out;
    bool more;
    (void)state;
    assert_int_equal(mkdir(at("top/big"), 0755), 0);
    int d = open(at("top/big"), O_RDONLY | O_DIRECTORY);
    for (unsigned i = 0; i <= ALK_TREE_ENTRIES_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%u", i);
        int fd = openat(d, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    check_err(alk_tree_list(tree, ALK_LIT("big"), ALK_LIT(""), 1, on_entry, &l, &more, &left_out),
              ALK_E_TOO_BIG);
    assert_int_equal(unlinkat(d, "7", 0), 0);
    check_err(
        alk_tree_list(tree, ALK_LIT("big"), ALK_LIT("9999"), 1, on_entry, &l, &more, &left_out),
        ALK_OK);
    assert_string_equal(l.text, "");
    check_err(alk_tree_list(tree, ALK_LIT("big"), ALK_LIT("65"), 1, on_entry, &l, &more, &left_out),
              ALK_OK);
    assert_string_equal(l.text, "650:file ");
    (void)close(d);
}

/* --- watching ------------------------------------------------------------- */

struct changes {
    char text[1024];
    bool is_gone;
};

static void on_change(void *ctx, const struct alk_tree_change *c)
{
    struct changes *l = (struct changes *)ctx;
    size_t n = strlen(l->text);
    (void)snprintf(l->text + n, sizeof l->text - n, "%s:%.*s ", c->what, (int)c->name.n,
                   c->name.n == 0 ? "" : (const char *)c->name.p);
    l->is_gone = l->is_gone || c->is_gone;
}

static void check_changes(int fd, const char *want)
{
    struct changes l = {.is_gone = false};
    alk_err err = alk_tree_watch_read(fd, on_change, &l);
    check_err(err, want[0] == '\0' ? ALK_MORE : ALK_OK);
    assert_string_equal(l.text, want);
}

static void a_watch_tells_what_changes(void **state)
{
    struct changes l = {.is_gone = false};
    int fd;
    (void)state;
    check_err(alk_tree_watch(tree, ALK_LIT("sub"), &fd), ALK_OK);
    check_changes(fd, "");
    check_err(write_file(tree, ALK_LIT("a"), ALK_LIT("elsewhere"), 0644, false), ALK_OK);
    check_changes(fd, "");
    assert_int_equal(mkdir(at("top/sub/d"), 0755), 0);
    check_changes(fd, "created:d ");
    assert_int_equal(unlink(at("top/sub/b")), 0);
    check_changes(fd, "removed:b ");
    check_err(alk_tree_rename(tree, ALK_LIT("a"), ALK_LIT("sub/a")), ALK_OK);
    check_changes(fd, "created:a ");
    assert_int_equal(chmod(at("top/sub/a"), 0600), 0);
    check_changes(fd, "changed:a ");
    int file = open(at("top/sub/\xff"), O_WRONLY | O_CREAT, 0600); /* cannot be told */
    (void)close(file);
    check_err(alk_tree_watch_read(fd, on_change, &l), ALK_OK);
    assert_string_equal(l.text, "");
    char to[PATH_MAX];
    (void)snprintf(to, sizeof to, "%s", at("out/sub"));
    assert_int_equal(rename(at("top/sub"), to), 0);
    check_err(alk_tree_watch_read(fd, on_change, &l), ALK_OK);
    assert_true(l.is_gone);
    alk_tree_close_file(fd);
    check_err(alk_tree_watch(tree, ALK_LIT("a"), &fd), ALK_E_NOENT);
}

/* --- memory --------------------------------------------------------------- */

static alk_err whole_life(const struct alk_mem *mem, void *ctx)
{
    struct alk_tree *t = NULL;
    struct listing l = {.n = 0};
    uint64_t left_out;
    bool more;
    (void)ctx;
    ALK_TRY(alk_tree_open(mem, at("top"), false, &t));
    alk_err err = alk_tree_list(t, ALK_LIT(""), ALK_LIT(""), 9, on_entry, &l, &more, &left_out);
    alk_tree_unref(t);
    return err;
}

static unsigned descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return n;
}

static void nothing_leaks_without_memory(void **state)
{
    (void)state;
    unsigned before = descriptors();
    oom_sweep(whole_life, NULL);
    assert_int_equal(descriptors(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(no_name_leads_out_of_the_root),
        TEST(nothing_is_changed_outside),
        TEST(a_link_that_leads_out_is_replaced_and_not_followed),
        TEST(names_with_a_zero_and_names_too_long_are_refused),
        TEST(links_beneath_the_root_are_followed),
        TEST(the_root_stays_when_its_name_is_moved),
        TEST(a_root_must_be_a_directory),
        TEST(only_regular_files_are_read_and_nothing_blocks),
        TEST(a_fifo_keeps_what_it_holds),
        TEST(a_file_is_read_at_any_place),
        TEST(a_write_replaces_a_file_whole_and_leaves_nothing_beside),
        TEST(directories_come_and_go),
        TEST(rename_replaces_and_stays_beneath),
        TEST(a_listing_is_sorted_by_bytes_and_goes_on_after_a_name),
        TEST(names_that_are_not_utf8_are_counted_and_errors_end_a_listing),
        TEST(a_directory_over_the_limit_is_too_big),
        TEST(a_watch_tells_what_changes),
        TEST(nothing_leaks_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
