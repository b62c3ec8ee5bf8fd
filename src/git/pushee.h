/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/pushee.h - does the `pushee` of a push certificate name this repository,
 * and this node? Pure. */
#ifndef ALK_GIT_PUSHEE_H
#define ALK_GIT_PUSHEE_H

#include "base/span.h"

/* pushee: an address as a client writes it, alknet://[key@]host[:port]/path. True: its path
 * is a spelling of `name` (without ".git"), and its key, when it has one, is `key` (52
 * characters; empty: unknown, then no address with a key fits). What the host is called is
 * the client's affair. */
bool alk_git_pushee_is(struct alk_span pushee, struct alk_span name, struct alk_span key);
/* True: it names this node, by `key` or because its host and port are `address`, "host:port".
 * git leaves out what stands before the @. */
bool alk_git_pushee_is_at(struct alk_span pushee, struct alk_span address, struct alk_span key);

#endif
