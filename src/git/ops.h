/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/ops.h - the operations git/list, git/create, git/refs, git/log, git/delete. */
#ifndef ALK_GIT_OPS_H
#define ALK_GIT_OPS_H

#include "base/err.h"

struct alk_git_hub;

/* Adds them to the node's registry; without one: nothing. ALK_E_EXISTS, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_ops_add(struct alk_git_hub *hub);
void alk_git_ops_remove(struct alk_git_hub *hub);

#endif
