/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/git.h - the service alknet/git: Git's smart protocol on a stream.
 *
 *     services:
 *       git: {root: /srv/git, create_on_push: true}
 *
 * Each stream is one request: a git-proto-request, then the protocol itself, spoken by the
 * program git in a process of its own. Whom it is for and what he may is decided here,
 * before git is started, and again in the pre-receive hook, before anything changes.
 * docs/design/git.md, docs/adr/0017-git.md.
 */
#ifndef ALK_GIT_GIT_H
#define ALK_GIT_GIT_H

#include "alknet/handler.h"

#define ALK_GIT_ALPN "alknet/git"

extern const struct alk_handler alk_git_handler; /* name "git" */

#endif
