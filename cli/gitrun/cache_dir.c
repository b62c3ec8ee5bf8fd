/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cache.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_MAX 4096 /* that one sweep looks at */

/* --- the ledger --------------------------------------------------------------------- */

int gh_ledger_open(const char *shared)
{
    char path[PATH_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/ledger", shared);
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

uint64_t gh_ledger_read(int fd)
{
    uint64_t bytes = 0;
    return pread(fd, &bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes ? bytes : 0;
}

void gh_ledger_write(int fd, uint64_t bytes)
{
    if (pwrite(fd, &bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        (void)ftruncate(fd, 0); /* the next sweep counts again */
    }
}

/* --- sweeping ------------------------------------------------------------------------- */

struct entry {
    char path[128]; /* beneath the cache's directory */
    uint64_t size;
    time_t made;
};

struct sweep {
    int base; /* the cache's directory */
    struct entry *list;
    size_t count;
    uint64_t bytes;
};

static void add_entries(struct sweep *s, const char *dir)
{
    DIR *d = gh_open_dir(s->base, dir);
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL && s->count < ENTRIES_MAX) {
        struct stat st;
        struct entry *one = &s->list[s->count];
        int n = snprintf(one->path, sizeof one->path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || n < 0 || (size_t)n >= sizeof one->path ||
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        one->size = (uint64_t)st.st_size;
        one->made = st.st_mtime;
        s->bytes += one->size;
        s->count++;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static void add_all(struct sweep *s)
{
    DIR *d = gh_open_dir(s->base, ".");
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.' && strlen(e->d_name) == 32) {
            add_entries(s, e->d_name);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    return (x->made > y->made) - (x->made < y->made);
}

/* What is too old, and the oldest of what is too much. Whoever is reading one goes on. */
static void sweep(const struct gh_options *o, int base, int ledger)
{
    struct sweep s = {.base = base};
    time_t now = time(NULL);
    s.list = calloc(ENTRIES_MAX, sizeof *s.list);
    if (s.list == NULL) {
        gh_die("out of memory");
    }
    add_all(&s);
    qsort(s.list, s.count, sizeof *s.list, by_age);
    for (size_t i = 0; i < s.count; i++) {
        bool is_old = now - s.list[i].made > (time_t)o->cache_age;
        if ((is_old || s.bytes > o->cache_size / 2) && unlinkat(base, s.list[i].path, 0) == 0) {
            s.bytes -= s.list[i].size;
        }
    }
    gh_ledger_write(ledger, s.count == ENTRIES_MAX ? o->cache_size : s.bytes);
    free(s.list);
}

/* --- preparing ---------------------------------------------------------------------------- */

/* Of this repository, and of no other that may lie under its name later. */
static bool name_of_repository(char ret[static 33])
{
    char text[PATH_MAX + 64];
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct stat st;
    char *path = realpath(".", NULL);
    if (path == NULL || stat(".", &st) != 0) {
        free(path);
        return false;
    }
    (void)snprintf(text, sizeof text, "%s %llu %llu", path, (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    free(path);
    (void)crypto_hash_sha256(hash, (const uint8_t *)text, strlen(text));
    return alk_hex(alk_span(hash, 16), ret, 33);
}

static void put_env(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        gh_die("out of memory");
    }
}

/* git hands the hook's name to a shell when it has one of these. */
static bool is_plain(const char *path)
{
    return strpbrk(path, "|&;<>()$`\\\"' \t\n*?[#~=%") == NULL;
}

static void put_hook(const struct gh_options *o, const char *dir, const char *shared)
{
    char text[PATH_MAX + 32];
    put_env("ALKNET_GIT_CACHE", dir);
    put_env("ALKNET_GIT_SHARED", shared);
    put_env("ALKNET_GIT_PROGRAM", o->git);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)o->cache_size);
    put_env("ALKNET_GIT_CACHE_SIZE", text);
    (void)snprintf(text, sizeof text, "%s/git-hooks/pack-objects", gh_own_dir());
    gh_env_config("uploadpack.packObjectsHook", text);
}

/* Makes what is not there. */
static bool make_dirs(int base, const char *name)
{
    return (mkdirat(base, "shared", 0700) == 0 || errno == EEXIST) &&
           (mkdirat(base, name, 0700) == 0 || errno == EEXIST);
}

bool gh_cache_prepare(const struct gh_options *o, const char **ret_dir, const char **ret_shared)
{
    static char base[PATH_MAX], shared[PATH_MAX + 8], dir[PATH_MAX + 40];
    char name[33];
    int n = snprintf(base, sizeof base, "%s/" GH_CACHE_DIR, o->root);
    if (o->cache_size == 0 || !is_plain(gh_own_dir()) || n < 0 || (size_t)n >= sizeof base ||
        !name_of_repository(name) || (mkdir(base, 0700) != 0 && errno != EEXIST)) {
        return false;
    }
    (void)snprintf(shared, sizeof shared, "%s/shared", base);
    (void)snprintf(dir, sizeof dir, "%s/%s", base, name);
    int fd = open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int ledger = fd >= 0 && make_dirs(fd, name) ? gh_ledger_open(shared) : -1;
    if (ledger >= 0) {
        sweep(o, fd, ledger);
        put_hook(o, dir, shared);
        *ret_dir = dir;
        *ret_shared = shared;
        (void)close(ledger);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ledger >= 0;
}
