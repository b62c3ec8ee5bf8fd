/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gitrun.h"

#include "core/host/sandbox.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>

/* The sanitizers reserve more address space than any limit, and look at their maps. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* /opt/git of /opt/git/bin/git: its own programs lie in there. */
static bool prefix_of(const char *git, char *ret, size_t ret_size)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s", git);
    if (n < 0 || (size_t)n >= sizeof path) {
        return false;
    }
    n = snprintf(ret, ret_size, "%s", dirname(dirname(path)));
    return n > 1 && (size_t)n < ret_size;
}

void gh_confine(const struct gh_options *o, bool may_write, const char *const caches[2])
{
    struct alk_sandbox_path paths[ALK_GIT_LIST_MAX + 8];
    char prefix[PATH_MAX];
    size_t n = 0;
    unsigned applied = 0;
    const unsigned rw = ALK_SANDBOX_READ | ALK_SANDBOX_WRITE;
    const unsigned rx = ALK_SANDBOX_READ | ALK_SANDBOX_EXECUTE;
    /* Hooks of the repository are run only where they may be. */
    unsigned own = may_write ? rw : (unsigned)ALK_SANDBOX_READ;
    own |= o->has_hooks ? (unsigned)ALK_SANDBOX_EXECUTE : 0u;
    paths[n++] = (struct alk_sandbox_path){".", own};
    paths[n++] = (struct alk_sandbox_path){gh_own_dir(), rx};
    if (prefix_of(o->git, prefix, sizeof prefix)) {
        paths[n++] = (struct alk_sandbox_path){prefix, rx};
    }
    for (size_t i = 0; i < 2 && caches[i] != NULL; i++) {
        paths[n++] = (struct alk_sandbox_path){caches[i], rw};
    }
    if (IS_SANITIZED) {
        paths[n++] = (struct alk_sandbox_path){"/proc", ALK_SANDBOX_READ};
    }
    for (size_t i = 0; i < o->alternate_count; i++) {
        paths[n++] = (struct alk_sandbox_path){o->alternates[i], ALK_SANDBOX_READ};
    }
    const struct alk_sandbox sandbox = {
        .paths = paths,
        .path_count = n,
        .denied = o->denied,
        .memory = IS_SANITIZED ? 0 : o->memory,
    };
    (void)alk_sandbox_begin();
    alk_sandbox_enter(&sandbox, &applied);
}
