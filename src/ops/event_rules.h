/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/event_rules.h - the settings of pub/sub: which topics are durable, who may
 * publish and who may listen.
 *
 * A topic belongs to the first rule in order whose pattern matches it. Before the first one
 * stands a rule of ours for the topic git.push, unless the configuration has one for just
 * this topic: only the node publishes there, and an event is for those who may read the repository,
 * whatever the configuration says. Behind the last
 * one stands a rule of ours for everything: not durable, publishing with the scope
 * events:publish, listening with events:subscribe. A rule that does not say who may do
 * a thing says the same. Immutable, counted, shared by all threads.
 */
#ifndef ALK_OPS_EVENT_RULES_H
#define ALK_OPS_EVENT_RULES_H

#include "alknet/conf.h"
#include "base/list.h"
#include "core/store/event_store.h"
#include "ops/topic.h"

#define ALK_EVENT_RULES_MAX     128 /* of the configuration */
#define ALK_EVENT_RULE_MASK     (ALK_EVENT_RULES_MAX / 64 + 1)
#define ALK_EVENT_SCOPES_MAX    16
#define ALK_EVENT_SCOPE_PUBLISH "events:publish"
#define ALK_EVENT_SCOPE_LISTEN  "events:subscribe"
#define ALK_EVENT_GIT_PUSH      "git.push"

/* Who may: one of the scopes; any identity; nobody but the node itself. */
struct alk_event_who {
    bool is_any;
    size_t count; /* 0 and not any: nobody */
    const char *scopes[ALK_EVENT_SCOPES_MAX];
};

struct alk_event_rule {
    struct alk_span match;
    struct alk_topic parsed;
    bool is_durable;
    struct alk_event_retain retain; /* of a durable one */
    struct alk_event_who publish, subscribe;
    /* A grant that a subscriber needs for each event: the resource's name is a token of
     * the topic, or a member of the data. type empty: none. */
    struct alk_span type, action;
    uint32_t token;         /* from 1; 0: member */
    struct alk_span member; /* names of nested members, parted by '/' */
    struct alk_span open;   /* member of the data: true means that everybody has the grant */
};

struct alk_event_rules; /* counted */
struct alk_event_limits {
    size_t queue_bytes, queue_count; /* that may wait for one subscriber */
    size_t memory;                   /* of all events that live */
    size_t subscriptions;            /* of the node */
};

/* conf: the section, checked against alk_events_rows; NULL: nothing is configured.
 * Keeps a reference to it. generation: of these rules, never 0 and never used twice.
 * ALK_E_CONFIG: why says what is wrong. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_event_rules_new(const struct alk_mem *mem, const struct alk_conf *conf,
                                          uint64_t generation, char *why, size_t why_size,
                                          const struct alk_event_rules **ret);
const struct alk_event_rules *alk_event_rules_ref(const struct alk_event_rules *rules);
void alk_event_rules_unref(const struct alk_event_rules *rules);
uint64_t alk_event_rules_generation(const struct alk_event_rules *rules);
const struct alk_event_limits *alk_event_rules_limits(const struct alk_event_rules *rules);
/* The last one is ours. */
size_t alk_event_rules_count(const struct alk_event_rules *rules);
const struct alk_event_rule *alk_event_rules_at(const struct alk_event_rules *rules, size_t i);
bool alk_event_rules_are_durable(const struct alk_event_rules *rules); /* any of them */
/* Retention of the durable ones, with a reference of its own to the rules. */
struct alk_event_retention alk_event_rules_retention(const struct alk_event_rules *rules);
/* The rule of a valid topic. */
size_t alk_event_rules_find(const struct alk_event_rules *rules, struct alk_span topic,
                            const struct alk_topic *parsed);

typedef bool alk_event_scope_fn(void *ctx, const char *scope);
bool alk_event_who_allows(const struct alk_event_who *who, alk_event_scope_fn *has_scope,
                          void *ctx);
/* Bit i: what rule i says of listening. */
void alk_event_rules_mask(const struct alk_event_rules *rules, alk_event_scope_fn *has_scope,
                          void *ctx, uint64_t ret[static ALK_EVENT_RULE_MASK]);
/* Whether some topic of the pattern may be listened to. */
bool alk_event_rules_allow(const struct alk_event_rules *rules, struct alk_span pattern,
                           const uint64_t mask[static ALK_EVENT_RULE_MASK]);
/* The name of the resource that an event is about. False: it has none, or not as a
 * plain text; then nobody may see it. Borrows from topic or data. */
bool alk_event_rule_resource(const struct alk_event_rule *rule, struct alk_span topic,
                             const struct alk_topic *parsed, struct alk_span data,
                             struct alk_span *ret);
/* Whether the event says that it is for everybody who may listen. */
bool alk_event_rule_is_open(const struct alk_event_rule *rule, struct alk_span data);

#endif
