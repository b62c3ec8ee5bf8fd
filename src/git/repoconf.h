/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/repoconf.h - may a repository with this `config` be served?
 *
 * A repository's own config can name programs that git runs, files that it reads and
 * directories elsewhere. Whoever can write it is a user of the machine, or the maker of an
 * archive that somebody unpacked. So only settings are let pass that are known to do
 * neither; any other, and anything that is not read here just as git reads it, is a refusal.
 * Pure.
 */
#ifndef ALK_GIT_REPOCONF_H
#define ALK_GIT_REPOCONF_H

#include "base/err.h"
#include "base/span.h"

#define ALK_GIT_REPOCONF_MAX ((size_t)65536) /* bytes of a config that is looked at */

/* ALK_OK; ALK_E_FORBIDDEN: a setting that is not let pass, or one that is not what a bare
 * repository has; ALK_E_MALFORMED. why says it in one line. */
ALK_NODISCARD alk_err alk_git_repoconf_check(struct alk_span text, char *why, size_t why_size);

#endif
