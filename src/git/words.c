/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/words.h"

#include "core/endpoint.h"
#include "core/store/datadir.h"

/* A few paths, and lists of them. */
#define TEXT_MAX ((size_t)128 << 10)

void alk_git_words_init(struct alk_git_words *w, const struct alk_git_hub *hub,
                        const struct alk_git_settings *set, const char *command, const char *repo)
{
    w->count = 0;
    alk_buf_init(&w->text, hub->mem, TEXT_MAX);
    alk_git_words_put(w, "%s", alk_git_helper(hub, set));
    alk_git_words_put(w, "%s", command);
    alk_git_words_put(w, "--root=%s", set->root);
    alk_git_words_put(w, "--git=%s", set->git);
    alk_git_words_put(w, "--repo=%s", repo);
    alk_git_words_put(w, "--memory=%llu", (unsigned long long)set->memory);
    if (hub->endpoint != NULL) {
        alk_git_words_put(w, "--denied=%s", alk_endpoint_datadir(hub->endpoint)->path);
    }
}

void alk_git_words_fini(struct alk_git_words *w)
{
    alk_buf_fini(&w->text);
}

void alk_git_words_put(struct alk_git_words *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)alk_buf_vprintf(&w->text, fmt, args);
    va_end(args);
    (void)alk_buf_put_u8(&w->text, 0);
    w->count++;
}

void alk_git_words_put_list(struct alk_git_words *w, const char *option,
                            const struct alk_conf *list)
{
    for (size_t i = 0; i < alk_conf_count(list); i++) {
        alk_git_words_put(w, "--%s=%s", option, alk_conf_str(alk_conf_at(list, i)));
    }
}

alk_err alk_git_words_argv(struct alk_git_words *w, const struct alk_git_hub *hub,
                           const char *log_id, const char *const **ret)
{
    const char *at = (const char *)alk_buf_span(&w->text).p;
    alk_err err = w->count > ALK_GIT_WORDS_MAX ? ALK_E_TOO_BIG : w->text.err;
    if (err != ALK_OK) {
        alk_git_say(hub, ALK_LOG_ERROR, log_id, "the command line of %s: %s", ALK_GIT_HELPER,
                    alk_err_text(err));
        return err;
    }
    for (size_t i = 0; i < w->count; i++) {
        w->argv[i] = at;
        at += strlen(at) + 1;
    }
    w->argv[w->count] = NULL;
    *ret = w->argv;
    return ALK_OK;
}

const char *alk_git_helper(const struct alk_git_hub *hub, const struct alk_git_settings *set)
{
    return set->helper[0] != '\0' ? set->helper : hub->helper;
}
