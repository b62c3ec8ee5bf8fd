/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/words.h - the command line of alknet-git. Whatever somebody else has sent is one word
 * behind its option, "--repo=" for instance. */
#ifndef ALK_GIT_WORDS_H
#define ALK_GIT_WORDS_H

#include "base/buf.h"
#include "core/config/conf.h"
#include "git/service.h"

#define ALK_GIT_WORDS_MAX 96

struct alk_git_words {
    struct alk_buf text; /* one after the other, each with its zero; its error sticks */
    size_t count;
    const char *argv[ALK_GIT_WORDS_MAX + 1];
};

/* Puts what all of them begin with: the program, `command`, and where `repo` is to be found. */
void alk_git_words_init(struct alk_git_words *w, const struct alk_git_hub *hub,
                        const struct alk_git_settings *set, const char *command, const char *repo);
void alk_git_words_fini(struct alk_git_words *w);
ALK_PRINTF(2, 3)
void alk_git_words_put(struct alk_git_words *w, const char *fmt, ...);
/* --option=ITEM for each item. */
void alk_git_words_put_list(struct alk_git_words *w, const char *option,
                            const struct alk_conf *list);
/* *ret: NULL-terminated, good until the next word or fini.
 * ALK_E_TOO_BIG: too many words, or too long ones. ALK_E_NOMEM. Both go to the hub's log. */
alk_err alk_git_words_argv(struct alk_git_words *w, const struct alk_git_hub *hub,
                           const char *log_id, const char *const **ret);

/* The program that is run: as configured, or the one beside ours. */
const char *alk_git_helper(const struct alk_git_hub *hub, const struct alk_git_settings *set);

#endif
