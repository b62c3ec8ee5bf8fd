/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/known_nodes.h - keys of nodes that a person decided to trust.
 *
 * A text file in the client's config directory, a line per node:
 *
 *     host:port key first-seen        example.org:4433 yb4n... 2027-01-01T10:00:00Z
 *
 * `key` is 52 characters of z-base-32 or "cert:" and 64 hex digits. Empty lines
 * and lines that begin with '#' are kept as they are. Changes are written by
 * rename under a lock beside the file, so two commands never lose each other's
 * line. Lines that cannot be read are an error, not skipped: a damaged file must
 * not turn a known node into an unknown one.
 */
#ifndef ALK_CORE_STORE_KNOWN_NODES_H
#define ALK_CORE_STORE_KNOWN_NODES_H

#include "base/err.h"
#include "base/span.h"

#define ALK_KNOWN_KEY_MAX  70  /* "cert:" + 64 and a zero */
#define ALK_KNOWN_HOST_MAX 300 /* host:port and a zero */

struct alk_known_node {
    char host[ALK_KNOWN_HOST_MAX];
    char key[ALK_KNOWN_KEY_MAX];
    uint64_t first_seen; /* Unix seconds */
};

/* One line of the file. ALK_END: empty or a comment. ALK_E_MALFORMED. */
ALK_NODISCARD alk_err alk_known_nodes_parse(struct alk_span line, struct alk_known_node *ret);

/* ALK_E_NOENT: no such node, or no file. ALK_E_MALFORMED: why names file and
 * line. host_port in lower case, as it is stored. */
ALK_NODISCARD alk_err alk_known_nodes_find(const struct alk_mem *mem, const char *path,
                                           const char *host_port, struct alk_known_node *ret,
                                           char *why, size_t why_size);
/* Adds a node, or replaces the key it had. Makes file and directory (0700). */
ALK_NODISCARD alk_err alk_known_nodes_put(const struct alk_mem *mem, const char *path,
                                          const struct alk_known_node *node, char *why,
                                          size_t why_size);

#endif
