/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The settings of pub/sub: services.call.events. */
#include "core/auth/resource.h"
#include "core/auth/scope.h"
#include "ops/event_rules.h"
#include "ops/part.h"

#include <stdio.h>

static alk_err check_match(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_topic parsed;
    if (alk_topic_parse_pattern(alk_conf_span(value), &parsed) == ALK_OK) {
        return ALK_OK;
    }
    (void)snprintf(why, why_size,
                   "must be 1-16 tokens of letters, digits, '_' and '-' joined by '.'; '*' "
                   "stands for a token, '>' at the end for the rest");
    return ALK_E_CONFIG;
}

static alk_err check_who(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span word = alk_conf_span(value);
    if (alk_scope_is_valid(word)) {
        return ALK_OK; /* any and none are scopes by their form */
    }
    (void)snprintf(why, why_size, "must be any, none or a scope");
    return ALK_E_CONFIG;
}

static alk_err check_word(const struct alk_conf *value, char *why, size_t why_size)
{
    struct alk_span word = alk_conf_span(value);
    struct alk_grant grant = {
        .type = word, .name = ALK_LIT("x"), .actions = &word, .action_count = 1};
    if (alk_grant_check(&grant, why, why_size) != ALK_OK) {
        (void)snprintf(why, why_size, "must be lower-case letters, digits, '_' and '-'");
        return ALK_E_CONFIG;
    }
    return ALK_OK;
}

static const struct alk_conf_row WHO[] = {
    {.name = "who", .type = ALK_CONF_STRING, .min = 1, .max = ALK_SCOPE_MAX, .check = check_who},
    {0},
};

static const struct alk_conf_row RETAIN[] = {
    {.name = "count",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 1000000000,
     .unit = "events",
     .help = "So many events of this rule are kept, the newest ones. Absent: as many as fit."},
    {.name = "age",
     .type = ALK_CONF_DURATION,
     .min = ALK_SECOND,
     .max = 3650ull * 86400 * ALK_SECOND,
     .help = "Older events are removed, at the latest a minute after their time."},
    {.name = "size",
     .type = ALK_CONF_SIZE,
     .min = 1024,
     .max = (uint64_t)1 << 40,
     .fallback = "256MiB",
     .help = "So many bytes of topics, publishers and data (and 32 for each event) are kept."},
    {0},
};

static const struct alk_conf_row RESOURCE[] = {
    {.name = "type",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = ALK_GRANT_WORD_MAX,
     .is_required = true,
     .check = check_word,
     .help = "Type of the resource, as in an identity's resources: repo."},
    {.name = "action",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = ALK_GRANT_WORD_MAX,
     .fallback = "read",
     .check = check_word,
     .help = "What a subscriber must be allowed to do with it."},
    {.name = "token",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = ALK_TOPIC_TOKENS_MAX,
     .help = "The token of the topic that is its name, counted from 1."},
    {.name = "member",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = 255,
     .help = "Or the member of the event's data that is its name; `a/b` is b within a. An event "
             "without it is seen by nobody."},
    {0},
};

static const struct alk_conf_row TOPIC[] = {
    {.name = "match",
     .type = ALK_CONF_STRING,
     .min = 1,
     .max = ALK_TOPIC_MAX,
     .is_required = true,
     .check = check_match,
     .help = "Topic or pattern. The first rule that matches a topic is the one for it."},
    {.name = "durable",
     .type = ALK_CONF_BOOL,
     .fallback = "false",
     .help = "Events are written to events.db, acknowledged when they are on disk, and can be "
             "replayed."},
    {.name = "retain", .type = ALK_CONF_MAP, .sub = RETAIN, .help = "How much of it is kept."},
    {.name = "publish",
     .type = ALK_CONF_LIST,
     .min = 1,
     .max = ALK_EVENT_SCOPES_MAX,
     .sub = WHO,
     .scalar_ok = true,
     .help = "Who may publish: `any` identity, `none` but the node itself, or whoever holds one "
             "of these scopes. Default: events:publish."},
    {.name = "subscribe",
     .type = ALK_CONF_LIST,
     .min = 1,
     .max = ALK_EVENT_SCOPES_MAX,
     .sub = WHO,
     .scalar_ok = true,
     .help = "Who may listen, likewise. Default: events:subscribe."},
    {.name = "resource",
     .type = ALK_CONF_MAP,
     .sub = RESOURCE,
     .help = "What a subscriber needs besides, checked for each event."},
    {0},
};

static const struct alk_conf_row TOPIC_ELEMENT[] = {
    {.name = "topic", .type = ALK_CONF_MAP, .sub = TOPIC},
    {0},
};

static const struct alk_conf_row QUEUE[] = {
    {.name = "bytes",
     .type = ALK_CONF_SIZE,
     .min = 1024,
     .max = (uint64_t)1 << 30,
     .fallback = "1MiB",
     .help = "Bytes of events."},
    {.name = "count",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 1000000,
     .fallback = "4096",
     .unit = "events",
     .help = "Events."},
    {0},
};

const struct alk_conf_row alk_events_rows[] = {
    {.name = "topics",
     .type = ALK_CONF_LIST,
     .max = ALK_EVENT_RULES_MAX,
     .sub = TOPIC_ELEMENT,
     .help = "Rules for topics, in order. A topic that none matches is not durable and needs the "
             "scopes events:publish and events:subscribe."},
    {.name = "queue",
     .type = ALK_CONF_MAP,
     .sub = QUEUE,
     .help = "What may wait for one slow subscriber; beyond it the subscription ends with "
             "SLOW_CONSUMER."},
    {.name = "memory",
     .type = ALK_CONF_SIZE,
     .min = (uint64_t)1 << 20,
     .max = (uint64_t)1 << 36,
     .fallback = "64MiB",
     .help = "All events that wait for anybody. When it is used up publishers are refused and "
             "the slowest subscriptions end."},
    {.name = "subscriptions",
     .type = ALK_CONF_UINT,
     .min = 1,
     .max = 1000000,
     .fallback = "20000",
     .unit = "subscriptions",
     .help = "To events, of all callers together."},
    {0},
};
