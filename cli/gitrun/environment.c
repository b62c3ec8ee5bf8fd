/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What git knows of the world: nothing of the system's or a user's settings, no terminal, no
 * network, no program that a repository's own config could name. Settings go through
 * GIT_CONFIG_*, where they win over the repository's and stand in no process list. */
#include "gitrun.h"

#include "core/io/self.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned config_count;

static void put(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0) {
        gh_die("out of memory");
    }
}

const char *gh_env(const char *name)
{
    const char *value = getenv(name);
    return value == NULL ? "" : value;
}

void gh_env_config(const char *key, const char *value)
{
    char name[40], number[12];
    (void)snprintf(name, sizeof name, "GIT_CONFIG_KEY_%u", config_count);
    put(name, key);
    (void)snprintf(name, sizeof name, "GIT_CONFIG_VALUE_%u", config_count);
    put(name, value);
    (void)snprintf(number, sizeof number, "%u", ++config_count);
    put("GIT_CONFIG_COUNT", number);
}

const char *gh_own_dir(void)
{
    static char dir[PATH_MAX];
    if (dir[0] == '\0') {
        if (!alk_self_dir(dir, sizeof dir)) {
            gh_die("no /proc");
        }
    }
    return dir;
}

void gh_env_base(const struct gh_options *o)
{
    static const char *const variables[][2] = {
        {"HOME", "/nonexistent"},
        {"GIT_CONFIG_NOSYSTEM", "1"},
        {"GIT_CONFIG_GLOBAL", "/dev/null"},
        {"GIT_ATTR_NOSYSTEM", "1"},
        {"GIT_TERMINAL_PROMPT", "0"},
        {"GIT_NO_LAZY_FETCH", "1"},
        {"GIT_NO_REPLACE_OBJECTS", "1"}, /* refs/replace/ can be pushed: an id means itself */
        {"GIT_ASKPASS", "/bin/false"},
        {"SSH_ASKPASS", "/bin/false"},
        {"GIT_EDITOR", "/bin/false"},
        {"GIT_PAGER", "cat"},
        {"LC_ALL", "C.UTF-8"},
    };
    static const char *const settings[][2] = {
        {"safe.directory", "*"}, /* which directory it is, we have decided */
        {"protocol.allow", "never"},
        {"core.fsmonitor", "false"},
        {"core.askPass", "/bin/false"},
        {"core.sshCommand", "/bin/false"},
        {"core.alternateRefsCommand", "/bin/false"},
        {"core.attributesFile", "/dev/null"},
        {"gpg.program", "/bin/false"}, /* certificates are checked by our hook */
        {"gpg.ssh.program", "/bin/false"},
        {"gpg.x509.program", "/bin/false"},
        {"log.showSignature", "false"},
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        put(variables[i][0], variables[i][1]);
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        gh_env_config(settings[i][0], settings[i][1]);
    }
    if (o->version > 0) {
        put("GIT_PROTOCOL", o->version == 1 ? "version=1" : "version=2");
    }
}

/* Separated by spaces, which none of them holds. */
static void put_list(const char *name, const char *const *words, size_t count)
{
    struct alk_buf list;
    alk_buf_init(&list, NULL, 32768);
    for (size_t i = 0; i < count; i++) {
        (void)alk_buf_printf(&list, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    put(name, alk_buf_cstr(&list));
    if (list.err != ALK_OK) {
        gh_die("out of memory");
    }
    alk_buf_fini(&list);
}

void gh_env_hook(const struct gh_options *o)
{
    put("ALKNET_GIT_REPO", o->repo);
    put("ALKNET_GIT_PROGRAM", o->git);
    if (o->key != NULL) {
        put("ALKNET_GIT_KEY", o->key);
    }
    put_list("ALKNET_GIT_REQUIRE_SIGNED", o->require_signed, o->require_count);
    if (o->is_alone) {
        put_list("ALKNET_GIT_ALONE", o->addresses, o->address_count);
    }
    if (o->has_hooks) {
        put("ALKNET_GIT_HOOKS", "1");
    }
}
