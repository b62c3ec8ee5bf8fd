/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cache.h"

#include "git/proto/pktline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

noreturn void gh_exit(int status)
{
    bool is_told = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (status == 0 && !is_told) { /* half a list is none */
        (void)fprintf(stderr, "alknet-git: standard output: %s\n", strerror(errno));
        status = 1;
    }
    _exit(status); /* a leak check in a sanitizer's exit needs what the sandbox forbids */
}

noreturn void gh_die(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "alknet-git: %s\n", text);
    gh_exit(1);
}

noreturn void gh_refuse(const char *fmt, ...)
{
    char text[1024];
    struct alk_buf packet;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    alk_buf_init(&packet, NULL, 2048);
    if (alk_git_pkt_put_err(&packet, alk_span_str(text)) == ALK_OK) {
        struct alk_span s = alk_buf_span(&packet);
        ssize_t n = write(STDOUT_FILENO, s.p, s.n);
        (void)n; /* nobody reads: then nobody needs to know */
    }
    alk_buf_fini(&packet);
    gh_exit(0);
}

DIR *gh_open_dir(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
    }
    return d;
}

/* --- options ------------------------------------------------------------------------- */

/* The value behind "--name=", or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t n = strlen(name);
    bool is_it = strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, n) == 0;
    return is_it && word[2 + n] == '=' ? word + 3 + n : NULL;
}

static bool take_text(const char *word, struct gh_options *o)
{
    struct {
        const char *name;
        const char **at;
    } const texts[] = {
        {"root", &o->root},     {"git", &o->git}, {"branch", &o->branch},
        {"denied", &o->denied}, {"key", &o->key}, {"service", &o->service},
        {"repo", &o->repo},     {"ref", &o->ref}, {"signed-push", &o->signed_push},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *value = value_of(word, texts[i].name);
        if (value != NULL) {
            *texts[i].at = value;
            return true;
        }
    }
    return false;
}

static bool take_number(const char *word, struct gh_options *o)
{
    struct {
        const char *name;
        uint64_t *at;
    } const numbers[] = {
        {"version", &o->version},       {"max-pack", &o->max_pack},   {"memory", &o->memory},
        {"cache-size", &o->cache_size}, {"cache-age", &o->cache_age}, {"skip", &o->skip},
        {"limit", &o->limit},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const char *value = value_of(word, numbers[i].name);
        if (value != NULL) {
            return alk_span_u64(alk_span_str(value), UINT64_MAX, numbers[i].at);
        }
    }
    return false;
}

static bool take_list(const char *word, const char *name, const char **list, size_t *count)
{
    const char *value = value_of(word, name);
    if (value == NULL || *count == ALK_GIT_LIST_MAX) {
        return false;
    }
    list[(*count)++] = value;
    return true;
}

static bool take_flag(const char *word, struct gh_options *o)
{
    struct {
        const char *name;
        bool *at;
    } const flags[] = {{"--suffix", &o->has_suffix},
                       {"--hooks", &o->has_hooks},
                       {"--create", &o->creates},
                       {"--alone", &o->is_alone}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (strcmp(word, flags[i].name) == 0) {
            *flags[i].at = true;
            return true;
        }
    }
    return false;
}

void gh_options_read(int argc, char **argv, struct gh_options *ret)
{
    struct gh_options o = {.git = "/usr/bin/git", .branch = "main"};
    for (int i = 0; i < argc; i++) {
        if (!take_text(argv[i], &o) && !take_number(argv[i], &o) && !take_flag(argv[i], &o) &&
            !take_list(argv[i], "alternates", o.alternates, &o.alternate_count) &&
            !take_list(argv[i], "require-signed", o.require_signed, &o.require_count) &&
            !take_list(argv[i], "address", o.addresses, &o.address_count)) {
            gh_die("what is %s?", argv[i]);
        }
    }
    if (o.root == NULL || o.repo == NULL) {
        gh_die("--root and --repo are needed");
    }
    *ret = o;
}

/* --- main ------------------------------------------------------------------------------- */

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static const struct {
    const char *name;
    int (*run)(const struct gh_options *o);
} commands[] = {{"serve", gh_serve},   {"list", gh_list}, {"create", gh_create},
                {"delete", gh_delete}, {"refs", gh_refs}, {"log", gh_log}};

static int run(int argc, char **argv)
{
    struct gh_options o;
    const char *self = argc > 0 ? last_part(argv[0]) : "";
    if (strcmp(self, "pre-receive") == 0) {
        return gh_pre_receive();
    }
    if (strcmp(self, "pack-objects") == 0 && argc >= 3) {
        return gh_pack_objects(argv + 1);
    }
    if (strcmp(self, "post-receive") == 0) {
        return gh_post_receive();
    }
    if (strcmp(self, "update") == 0 || strcmp(self, "post-update") == 0) {
        return gh_own_hook(self, argv);
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            gh_options_read(argc - 2, argv + 2, &o);
            return commands[i].run(&o);
        }
    }
    gh_die("this program is started by an alknet node");
}

int main(int argc, char **argv)
{
    gh_exit(run(argc, argv));
}
