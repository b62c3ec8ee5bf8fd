/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/topic_index.h - who listens to a topic, without looking at everybody.
 *
 * A trie of tokens: all edges of all nodes stand in one hash table under (node,
 * token), `*` and `>` being tokens as others, so a topic of k tokens costs k lookups
 * per branch that leads on and not one more for subscriptions elsewhere. An entry
 * lives inside its subscription. One thread.
 */
#ifndef ALK_OPS_TOPIC_INDEX_H
#define ALK_OPS_TOPIC_INDEX_H

#include "base/list.h"
#include "base/map.h"
#include "ops/topic.h"

struct alk_topic_node;

struct alk_topic_index {
    const struct alk_mem *mem;
    struct alk_map edges;        /* owns the nodes but the root */
    struct alk_topic_node *root; /* owns; NULL: empty */
};

/* Zero-initialise; in no index then. */
struct alk_topic_entry {
    struct alk_link in;
    struct alk_topic_node *node;
};

/* nodes_max: of the trie; beyond it add says ALK_E_LIMIT. seed: 16 random bytes. */
void alk_topic_index_init(struct alk_topic_index *index, const struct alk_mem *mem,
                          size_t nodes_max, const uint8_t seed[static 16]);
/* No entry may be left. */
void alk_topic_index_fini(struct alk_topic_index *index);

/* ALK_E_INVALID: not a pattern. ALK_E_LIMIT, ALK_E_NOMEM. The entry must stay where it
 * is until it is removed. */
ALK_NODISCARD alk_err alk_topic_index_add(struct alk_topic_index *index, struct alk_span pattern,
                                          struct alk_topic_entry *entry);
/* No effect when it is in none. */
void alk_topic_index_remove(struct alk_topic_index *index, struct alk_topic_entry *entry);

/* Calls fn for every entry whose pattern matches, in no defined order. The index must
 * not change meanwhile. topic is `parsed`. */
typedef void alk_topic_hit_fn(void *ctx, struct alk_topic_entry *entry);
void alk_topic_index_find(const struct alk_topic_index *index, struct alk_span topic,
                          const struct alk_topic *parsed, alk_topic_hit_fn *fn, void *ctx);

#endif
