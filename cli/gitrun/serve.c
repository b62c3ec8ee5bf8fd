/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet-git serve: from a name to a running git. */
#include "cache.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

static void not_found(const struct gh_options *o)
{
    gh_refuse("repository '%s' not found, or access denied", o->repo);
}

static void find(const struct gh_options *o)
{
    struct alk_span path = alk_span_str(o->repo);
    enum gh_found found = gh_repo_enter(o, path, o->has_suffix);
    if (found == GH_MISSING && o->creates) {
        alk_err err = gh_repo_create(o, path);
        if (err != ALK_OK && err != ALK_E_EXISTS) {
            (void)fprintf(stderr, "%s cannot be made: %s\n", o->repo, alk_err_text(err));
            gh_refuse("repository '%s' cannot be made here", o->repo);
        }
        found = gh_repo_enter(o, path, false);
    }
    if (found != GH_FOUND) {
        not_found(o);
    }
}

/* For this one process: nobody else ever knows it, so a certificate that was made for
 * another push, however short ago, does not fit. */
static void put_nonce_seed(void)
{
    uint8_t seed[32];
    char text[2 * sizeof seed + 1];
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        gh_die("no random bytes");
    }
    (void)alk_hex(alk_span(seed, sizeof seed), text, sizeof text);
    gh_env_config("receive.certNonceSeed", text);
    gh_env_config("receive.certNonceSlop", "0");
}

static void put_hooks(const struct gh_options *o)
{
    char dir[4096 + 32];
    (void)snprintf(dir, sizeof dir, "%s/%s", gh_own_dir(),
                   o->has_hooks ? "git-hooks-all" : "git-hooks");
    gh_env_config("core.hooksPath", dir);
}

static void put_receive(const struct gh_options *o)
{
    char number[24];
    put_hooks(o);
    gh_env_config("transfer.fsckObjects", "true");
    gh_env_config("receive.fsckObjects", "true");
    gh_env_config("receive.advertisePushOptions", "true");
    gh_env_config("receive.keepAlive", "5");
    gh_env_config("receive.autoGC", "true");
    gh_env_config("gc.autoDetach", "false");
    gh_env_config("maintenance.autoDetach", "false");
    gh_env_config("core.fsync", "committed");
    if (o->max_pack > 0) {
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)o->max_pack);
        gh_env_config("receive.maxInputSize", number);
    }
    if (o->signed_push != NULL && strcmp(o->signed_push, "off") != 0) {
        put_nonce_seed();
    }
    gh_env_hook(o);
}

int gh_serve(const struct gh_options *o)
{
    const char *service = o->service == NULL ? "" : o->service;
    bool is_push = strcmp(service, "git-receive-pack") == 0;
    bool is_fetch = strcmp(service, "git-upload-pack") == 0;
    const char *argv[6] = {"git"};
    const char *caches[2] = {NULL, NULL};
    size_t n = 1;
    gh_env_base(o);
    find(o);
    if (is_fetch) {
        (void)gh_cache_prepare(o, &caches[0], &caches[1]);
    }
    gh_confine(o, is_push, caches);
    if (is_push) {
        put_receive(o);
        argv[n++] = "receive-pack";
    } else if (is_fetch) {
        gh_env_config("uploadpack.allowFilter", "true");
        gh_env_config("uploadpack.keepAlive", "5");
        argv[n++] = "upload-pack";
        argv[n++] = "--strict";
    } else if (strcmp(service, "git-upload-archive") == 0) {
        argv[n++] = "upload-archive";
    } else {
        gh_die("unknown service %s", service);
    }
    argv[n++] = ".";
    argv[n] = NULL;
    (void)execv(o->git, (char *const *)(uintptr_t)argv);
    (void)fprintf(stderr, "alknet-git: cannot run %s: %s\n", o->git, strerror(errno));
    gh_refuse("the node cannot run git");
}
