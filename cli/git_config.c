/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git_config.h"

#include "base/span.h"
#include "base/text.h"
#include "core/store/why.h"

#define DEFAULT_VERSION 2 /* git's own, since 2.26 */

enum kind { TEXT, PATH, FLAG, CHOICE };

/* Names as git prints them: in lower case. A CHOICE is itself the option's name. */
static const struct {
    const char *name, *option;
    enum kind kind;
} settings[CLI_GIT_SETTING_COUNT] = {
    [CLI_GIT_IDENTITY] = {"identity", "--identity", PATH},
    [CLI_GIT_ANONYMOUS] = {"anonymous", "--anonymous", FLAG},
    [CLI_GIT_TOKEN_FILE] = {"tokenfile", "--token-file", PATH},
    [CLI_GIT_TRANSPORT] = {"transport", NULL, CHOICE},
    [CLI_GIT_TRUST] = {"trust", "--trust", FLAG},
    [CLI_GIT_CA] = {"ca", "--ca", PATH},
    [CLI_GIT_TIMEOUT] = {"timeout", "--timeout", TEXT},
};

/* --- reading ------------------------------------------------------------------ */

static bool skip(struct alk_span *s, struct alk_span prefix)
{
    if (!alk_span_starts(*s, prefix)) {
        return false;
    }
    *s = alk_span_tail(*s, prefix.n);
    return true;
}

/* What is set, and whether for this remote alone. */
static bool name_of(struct alk_span key, const char *remote, struct alk_span *ret,
                    bool *ret_is_ours)
{
    *ret = key;
    *ret_is_ours = false;
    if (skip(ret, ALK_LIT("alknet."))) {
        return true;
    }
    *ret_is_ours = true;
    return skip(ret, ALK_LIT("remote.")) && skip(ret, alk_span_str(remote)) &&
           skip(ret, ALK_LIT(".alknet"));
}

static void read_version(const char *value, unsigned *version)
{
    if (value[0] >= '0' && value[0] <= '2' && value[1] == '\0') {
        *version = (unsigned)(value[0] - '0');
    }
}

void cli_git_config_read(struct alk_span text, const char *remote, struct cli_git_config *ret)
{
    bool is_ours[CLI_GIT_SETTING_COUNT] = {false};

    *ret = (struct cli_git_config){.version = DEFAULT_VERSION};
    while (text.n > 0) {
        struct alk_span entry = alk_span_cut(&text, 0); /* a zero byte follows it */
        struct alk_span key = alk_span_head(entry, alk_span_find(entry, '\n')), name;
        const char *words = key.n == entry.n ? "true" : (const char *)entry.p + key.n + 1;
        bool is_this = false;

        if (alk_span_is(key, "protocol.version")) {
            read_version(words, &ret->version);
        }
        if (!name_of(key, remote, &name, &is_this)) {
            continue;
        }
        for (unsigned i = 0; i < CLI_GIT_SETTING_COUNT; i++) {
            if (alk_span_is(name, settings[i].name) && (is_this || !is_ours[i])) {
                ret->value[i] = words;
                is_ours[i] = is_this;
            }
        }
    }
}

void cli_git_config_protocol(const char *text, unsigned *version)
{
    struct alk_span rest = alk_span_str(text);

    while (rest.n > 0) {
        struct alk_span word = alk_span_cut(&rest, ':');
        char value[8];
        if (skip(&word, ALK_LIT("version=")) && alk_span_cstr(word, value, sizeof value)) {
            read_version(value, version);
        }
    }
}

/* --- options ------------------------------------------------------------------ */

static bool is_one_of(const char *value, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (alk_span_equal_nocase(alk_span_str(value), alk_span_str(*words))) {
            return true;
        }
    }
    return false;
}

/* As git reads a boolean. */
static bool read_flag(const char *value, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    static const char *const no[] = {"false", "no", "off", "0", "", NULL};

    *ret = is_one_of(value, yes);
    return *ret || is_one_of(value, no);
}

struct words {
    const char **word;
    int count;
    char *room;
    size_t left;
    const char *home;
};

static bool put_path(struct words *w, const char *option, const char *path)
{
    bool is_home = strncmp(path, "~/", 2) == 0 && w->home != NULL;
    int n = snprintf(w->room, w->left, "%s%s", is_home ? w->home : "", is_home ? path + 1 : path);

    if (n < 0 || (size_t)n >= w->left) {
        return false;
    }
    w->word[w->count++] = option;
    w->word[w->count++] = w->room;
    w->room += n + 1;
    w->left -= (size_t)n + 1;
    return true;
}

static bool put_choice(struct words *w, const char *value)
{
    if (strcmp(value, "udp") == 0 || strcmp(value, "tcp") == 0) {
        w->word[w->count++] = value[0] == 'u' ? "--udp" : "--tcp";
        return true;
    }
    return strcmp(value, "any") == 0;
}

static bool put_setting(struct words *w, unsigned i, const char *value)
{
    bool is_on = false;

    switch (settings[i].kind) {
    case TEXT:
        w->word[w->count++] = settings[i].option;
        w->word[w->count++] = value;
        return true;
    case PATH:
        return put_path(w, settings[i].option, value);
    case CHOICE:
        return put_choice(w, value);
    case FLAG:
        if (!read_flag(value, &is_on)) {
            return false;
        }
        if (is_on) {
            w->word[w->count++] = settings[i].option;
        }
        return true;
    }
    return false;
}

alk_err cli_git_config_words(const struct cli_git_config *c, const char *home,
                             char room[static CLI_GIT_ROOM],
                             const char *ret[static CLI_GIT_WORDS_MAX], int *ret_count, char *why,
                             size_t why_size)
{
    struct words w = {.word = ret, .room = room, .left = CLI_GIT_ROOM, .home = home};
    struct alk_why note = {why, why_size};

    for (unsigned i = 0; i < CLI_GIT_SETTING_COUNT; i++) {
        if (c->value[i] != NULL && !put_setting(&w, i, c->value[i])) {
            return alk_say(note, ALK_E_INVALID, "alknet.%s cannot be \"%s\"%s", settings[i].name,
                           c->value[i],
                           settings[i].kind == CHOICE ? ": it is udp, tcp or any" : "");
        }
    }
    *ret_count = w.count;
    return ALK_OK;
}
