/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/tree_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *tree_at(const struct tree_world *p, const char *name)
{
    static char text[2][512];
    static unsigned next;
    char *ret = text[next++ % 2];
    (void)snprintf(ret, sizeof text[0], "%s/%s", p->base, name);
    return ret;
}

void tree_put(const struct tree_world *p, const char *name, const char *text, mode_t mode)
{
    int fd = open(tree_at(p, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

void tree_link(const struct tree_world *p, const char *name, const char *target)
{
    assert_int_equal(symlink(target, tree_at(p, name)), 0);
}

static void put_socket(const struct tree_world *p)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    (void)snprintf(sun.sun_path, sizeof sun.sun_path, "%s", tree_at(p, "top/socket"));
    assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof sun), 0);
    (void)close(fd);
}

void tree_world_init_as(struct tree_world *p, bool is_plain)
{
    char link[128];
    (void)snprintf(p->base, sizeof p->base, "/tmp/alk-tree-XXXXXX");
    assert_non_null(mkdtemp(p->base));
    (void)snprintf(p->root, sizeof p->root, "%s/top", p->base);
    assert_int_equal(mkdir(p->root, 0755), 0);
    assert_int_equal(mkdir(tree_at(p, "top/dir"), 0755), 0);
    tree_put(p, "outside", "secret", 0644);
    tree_put(p, "top/file", "hello", 0640);
    tree_put(p, "top/dir/inner", "inner", 0644);
    assert_int_equal(mkfifo(tree_at(p, "top/fifo"), 0644), 0);
    put_socket(p);
    tree_link(p, "top/in", "dir/inner");
    tree_link(p, "top/dir/up", "../file");
    tree_link(p, "top/out", "../outside");
    tree_link(p, "top/absolute", tree_at(p, "outside"));
    (void)snprintf(link, sizeof link, "%s/file", p->root);
    tree_link(p, "top/absolute-in", link);
    tree_link(p, "top/loop", "loop");
    tree_link(p, "top/dangling", "nothing");
    tree_link(p, "top/parent", "..");
    tree_link(p, "top/proc", "/proc/self/cwd");
    tree_link(p, "top/device", "/dev/zero");
    check_err(alk_tree_open(NULL, p->root, is_plain, &p->tree), ALK_OK);
}

void tree_world_init(struct tree_world *p)
{
    tree_world_init_as(p, false);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tree_world_fini(struct tree_world *p)
{
    alk_tree_unref(p->tree);
    assert_int_equal(nftw(p->base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

alk_err tree_write_text(struct alk_tree *tree, const char *path, const char *text)
{
    struct alk_tree_stat st;
    const struct alk_tree_write o = {.data = alk_span_str(text)};
    return alk_tree_write(tree, alk_span_str(path), &o, &st);
}

alk_err tree_read_text(struct alk_tree *tree, const char *path, char *ret, size_t size)
{
    struct alk_tree_stat st;
    size_t n = 0;
    int fd;
    ALK_TRY(alk_tree_open_file(tree, alk_span_str(path), &fd, &st));
    alk_err err = alk_tree_read(fd, 0, (uint8_t *)ret, size - 1, &n);
    alk_tree_close_file(fd);
    ret[n] = '\0';
    return err;
}

void tree_check_reads(const struct tree_world *p, const char *path, const char *want)
{
    char text[64];
    check_err(tree_read_text(p->tree, path, text, sizeof text), ALK_OK);
    assert_string_equal(text, want);
}

unsigned tree_mode(const struct tree_world *p, const char *path)
{
    struct alk_tree_stat st;
    check_err(alk_tree_stat(p->tree, alk_span_str(path), &st), ALK_OK);
    return st.mode;
}

static alk_err no_entry(void *ctx, struct alk_span name, const struct alk_tree_stat *stat)
{
    (void)ctx;
    (void)name;
    (void)stat;
    return ALK_OK;
}

alk_err tree_list_some(struct alk_tree *tree, struct alk_span path)
{
    bool more;
    uint64_t left_out;
    return alk_tree_list(tree, path, (struct alk_span){NULL, 0}, 10, no_entry, NULL, &more,
                         &left_out);
}

size_t tree_count(const struct tree_world *p, const char *name)
{
    size_t n = 0;
    DIR *d = opendir(tree_at(p, name));
    assert_non_null(d);
    while (readdir(d) != NULL) {
        n++;
    }
    (void)closedir(d);
    return n;
}
