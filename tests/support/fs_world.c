/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/fs_world.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct alk_conf_row fs_world_table[] = {
    {.name = "fs", .type = ALK_CONF_MAP, .sub = alk_fs_rows}, {.name = NULL}};

const char *fs_at(const struct fs_world *d, const char *name)
{
    static char text[2][512];
    static unsigned next;
    char *ret = text[next++ % 2];
    (void)snprintf(ret, sizeof text[0], "%s/%s", d->dir, name);
    return ret;
}

void fs_put(const struct fs_world *d, const char *name, const char *bytes, size_t n)
{
    int fd = open(fs_at(d, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    (void)close(fd);
}

void fs_put_text(const struct fs_world *d, const char *name, const char *text)
{
    fs_put(d, name, text, strlen(text));
}

void fs_configure(struct fs_world *d, const char *more)
{
    char yaml[512];
    (void)snprintf(yaml, sizeof yaml, "fs: {root: %s%s}", d->dir, more);
    part_world_configure(&d->p, yaml);
}

void fs_world_init_with(struct fs_world *d, const char *more)
{
    *d = (struct fs_world){.dir = "/tmp/alk-fs-XXXXXX"};
    assert_non_null(mkdtemp(d->dir));
    assert_int_equal(mkdir(fs_at(d, "docs"), 0755), 0);
    fs_put_text(d, "file", "hello");
    fs_put_text(d, "docs/a", "text a");
    part_world_init(&d->p, &alk_fs_part, fs_world_table, NULL, false);
    fs_configure(d, more);
}

void fs_world_init(struct fs_world *d)
{
    fs_world_init_with(d, "");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fs_world_fini(struct fs_world *d)
{
    part_world_fini(&d->p);
    assert_int_equal(nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void fs_ask_as(struct fs_world *d, const struct alk_identity *who, struct ops_call *c,
               const char *op, const char *input)
{
    ops_start(&d->p.w, c, who, op, input);
    part_world_until(&d->p, part_call_has_ended, c);
}

void fs_check_begins(const struct ops_call *c, const char *want)
{
    if (strncmp(c->heard, want, strlen(want)) != 0) {
        fail_msg("%s does not begin with %s", c->heard, want);
    }
}

void fs_member(const struct ops_call *c, const char *name, char *ret, size_t size)
{
    char key[32];
    (void)snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *from = strstr(c->heard, key);
    assert_non_null(from);
    from += strlen(key);
    assert_true(alk_span_cstr(alk_span(from, strcspn(from, "\"")), ret, size));
}
