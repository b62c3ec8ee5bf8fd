/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/topic.h - topics and patterns of pub/sub.
 *
 * A topic is 1-16 tokens [A-Za-z0-9_-]+ joined by '.', at most 255 bytes. A pattern is
 * a topic in which a token may be `*` (exactly one token) and the last one may be `>`
 * (one token or more). Pure: no allocation.
 */
#ifndef ALK_OPS_TOPIC_H
#define ALK_OPS_TOPIC_H

#include "base/err.h"
#include "base/span.h"

#define ALK_TOPIC_MAX        255
#define ALK_TOPIC_TOKENS_MAX 16

/* Where the tokens of a text lie; indexes into it, so it survives a copy. */
struct alk_topic {
    uint8_t count;
    uint8_t end[ALK_TOPIC_TOKENS_MAX]; /* one past the token's last byte */
    bool has_wildcard;
};

/* ALK_E_INVALID; *ret changes only on ALK_OK. */
ALK_NODISCARD alk_err alk_topic_parse(struct alk_span text, struct alk_topic *ret);
ALK_NODISCARD alk_err alk_topic_parse_pattern(struct alk_span text, struct alk_topic *ret);
/* Token i, i < count. */
struct alk_span alk_topic_token(struct alk_span text, const struct alk_topic *topic, size_t i);

/* Whether the pattern matches the topic. What is not valid matches nothing. */
bool alk_topic_matches(struct alk_span pattern, struct alk_span topic);
/* Whether every topic that `narrow` matches is matched by `wide`. */
bool alk_topic_covers(struct alk_span wide, struct alk_span narrow);
/* Whether some topic is matched by both. */
bool alk_topic_overlaps(struct alk_span a, struct alk_span b);

#endif
