/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/helper.h - what the node and the program alknet-git (cli/gitrun) agree on. */
#ifndef ALK_GIT_HELPER_H
#define ALK_GIT_HELPER_H

#define ALK_GIT_HELPER         "alknet-git"
#define ALK_GIT_LIST_MAX       32   /* items of one option: patterns, paths, addresses */
#define ALK_GIT_MESSAGE_MAX    4096 /* bytes of what a hook and the node say at a time */
#define ALK_GIT_STATUS_MISSING 3    /* it ends with this: no such repository, or ref */
#define ALK_GIT_STATUS_EXISTS  4

#endif
