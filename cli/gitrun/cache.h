/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/gitrun/cache.h - packs that several fetches share, for a short time.
 *
 *     <root>/.alknet-cache/shared/ledger         lock, and bytes of all entries
 *                                 slot0, slot1   held by who writes an entry
 *                          <repository>/   of one repository; its git reaches no other's
 *                              <key>       an entry: header, pack
 *
 * Only `serve`, which still sees the root, makes and sweeps directories; the hook that git
 * runs in the place of pack-objects reaches its own repository's entries and no others. An
 * entry is begun when the ledger says at most half of the bound, by at most two at a time,
 * and holds at most a quarter of it: so the bound holds.
 *
 * One who finds an entry being written waits for it to be whole. Who writes is never held up
 * by his own client, and what proves too large is passed on to that client alone.
 */
#ifndef ALK_CLI_GITRUN_CACHE_H
#define ALK_CLI_GITRUN_CACHE_H

#include "gitrun.h"

#define GH_CACHE_DIR   ".alknet-cache"
#define GH_CACHE_SLOTS 2

/* Makes the directories, sweeps what is old or too much, and sets the hook's environment;
 * the working directory is the repository. *ret_dir: the repository's own; *ret_shared: that
 * of ledger and slots. False: there is no cache for this fetch. */
bool gh_cache_prepare(const struct gh_options *o, const char **ret_dir, const char **ret_shared);

/* The ledger, locked until it is closed; -1: it cannot be had. */
int gh_ledger_open(const char *shared);
uint64_t gh_ledger_read(int fd);
void gh_ledger_write(int fd, uint64_t bytes);

/* The hook: argv is "git", "pack-objects", and its options. */
int gh_pack_objects(char **argv);

#endif
