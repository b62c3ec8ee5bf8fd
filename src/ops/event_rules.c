/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/event_rules.h"

#include "base/json_scan.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>

struct alk_event_rules {
    atomic_uint refs;
    const struct alk_mem *mem;
    const struct alk_conf *conf; /* a reference: the texts stand there */
    uint64_t generation;
    struct alk_event_limits limits;
    struct alk_event_retain *retains; /* behind list */
    size_t retain_count, count;
    struct alk_event_rule list[];
};

const struct alk_event_rules *alk_event_rules_ref(const struct alk_event_rules *rules)
{
    struct alk_event_rules *r = ALK_CONTAINER(rules, struct alk_event_rules, refs);
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return rules;
}

void alk_event_rules_unref(const struct alk_event_rules *rules)
{
    struct alk_event_rules *r = ALK_CONTAINER(rules, struct alk_event_rules, refs);
    if (rules != NULL && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1) {
        alk_conf_unref(r->conf);
        alk_free(r->mem, r);
    }
}

uint64_t alk_event_rules_generation(const struct alk_event_rules *rules)
{
    return rules->generation;
}

const struct alk_event_limits *alk_event_rules_limits(const struct alk_event_rules *rules)
{
    return &rules->limits;
}

size_t alk_event_rules_count(const struct alk_event_rules *rules)
{
    return rules->count;
}

const struct alk_event_rule *alk_event_rules_at(const struct alk_event_rules *rules, size_t i)
{
    ALK_ASSERT(i < rules->count);
    return &rules->list[i];
}

bool alk_event_rules_are_durable(const struct alk_event_rules *rules)
{
    return rules->retain_count > 0;
}

static void release_rules(void *ctx)
{
    alk_event_rules_unref(ctx);
}

struct alk_event_retention alk_event_rules_retention(const struct alk_event_rules *rules)
{
    struct alk_event_rules *r =
        ALK_CONTAINER(alk_event_rules_ref(rules), struct alk_event_rules, refs);
    return (struct alk_event_retention){r->retains, r->retain_count, release_rules, r};
}

/* --- asking ------------------------------------------------------------------- */

/* As alk_topic_matches, for texts that are parsed already. */
static bool matches(const struct alk_event_rule *rule, struct alk_span topic,
                    const struct alk_topic *parsed)
{
    const struct alk_topic *p = &rule->parsed;
    if (!p->has_wildcard) {
        return alk_span_equal(rule->match, topic);
    }
    for (size_t i = 0; i < p->count; i++) {
        struct alk_span token = alk_topic_token(rule->match, p, i);
        if (i >= parsed->count) {
            return false;
        }
        if (token.n == 1 && token.p[0] == '>') {
            return true;
        }
        if (!(token.n == 1 && token.p[0] == '*') &&
            !alk_span_equal(token, alk_topic_token(topic, parsed, i))) {
            return false;
        }
    }
    return p->count == parsed->count;
}

size_t alk_event_rules_find(const struct alk_event_rules *rules, struct alk_span topic,
                            const struct alk_topic *parsed)
{
    size_t i = 0;
    while (i + 1 < rules->count && !matches(&rules->list[i], topic, parsed)) {
        i++;
    }
    return i;
}

bool alk_event_who_allows(const struct alk_event_who *who, alk_event_scope_fn *has_scope, void *ctx)
{
    if (who->is_any) {
        return true;
    }
    for (size_t i = 0; i < who->count; i++) {
        if (has_scope(ctx, who->scopes[i])) {
            return true;
        }
    }
    return false;
}

void alk_event_rules_mask(const struct alk_event_rules *rules, alk_event_scope_fn *has_scope,
                          void *ctx, uint64_t ret[static ALK_EVENT_RULE_MASK])
{
    memset(ret, 0, ALK_EVENT_RULE_MASK * sizeof(*ret));
    for (size_t i = 0; i < rules->count; i++) {
        if (alk_event_who_allows(&rules->list[i].subscribe, has_scope, ctx)) {
            ret[i / 64] |= (uint64_t)1 << (i % 64);
        }
    }
}

bool alk_event_rules_allow(const struct alk_event_rules *rules, struct alk_span pattern,
                           const uint64_t mask[static ALK_EVENT_RULE_MASK])
{
    for (size_t i = 0; i < rules->count; i++) {
        struct alk_span match = rules->list[i].match;
        if (alk_topic_overlaps(match, pattern) && (mask[i / 64] >> (i % 64) & 1) != 0) {
            return true;
        }
        if (alk_topic_covers(match, pattern)) {
            return false; /* the rules behind it have no say */
        }
    }
    return false;
}

/* The value of a member of an object, raw. */
static bool member_of(struct alk_span object, struct alk_span name, struct alk_span *ret)
{
    struct alk_json_scan s = alk_json_scan(object);
    struct alk_json_key key;
    struct alk_span value;
    if (alk_json_scan_enter(&s) != ALK_OK) {
        return false;
    }
    while (alk_json_scan_member(&s, &key) == ALK_OK && alk_json_scan_value(&s, &value) == ALK_OK) {
        if (alk_json_key_is(&key, name)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

bool alk_event_rule_resource(const struct alk_event_rule *rule, struct alk_span topic,
                             const struct alk_topic *parsed, struct alk_span data,
                             struct alk_span *ret)
{
    if (rule->token > 0) {
        if (rule->token > parsed->count) {
            return false;
        }
        *ret = alk_topic_token(topic, parsed, rule->token - 1);
        return true;
    }
    struct alk_span path = rule->member;
    while (path.n > 0) {
        if (!member_of(data, alk_span_cut(&path, '/'), &data)) {
            return false;
        }
    }
    /* A name with something escaped in it is nobody's: there is no room to decode it,
     * and no grant that names it. */
    if (!alk_json_is_string(data)) {
        return false;
    }
    *ret = alk_span(data.p + 1, data.n - 2);
    return ret->n > 0 && alk_span_find(*ret, '\\') == ret->n;
}

bool alk_event_rule_is_open(const struct alk_event_rule *rule, struct alk_span data)
{
    struct alk_span value;
    return rule->open.n > 0 && member_of(data, rule->open, &value) && alk_span_is(value, "true");
}

/* --- making -------------------------------------------------------------------- */

struct maker {
    struct alk_event_rules *rules;
    char *why;
    size_t why_size;
};

static alk_err refuse(const struct maker *m, const char *match, const char *what)
{
    if (m->why_size > 0) {
        (void)snprintf(m->why, m->why_size, "events.topics '%s': %s", match, what);
    }
    return ALK_E_CONFIG;
}

static alk_err read_who(const struct maker *m, const struct alk_conf *conf, const char *match,
                        const char *fallback, struct alk_event_who *ret)
{
    size_t n = alk_conf_count(conf);
    if (conf == NULL || n == 0) {
        *ret = (struct alk_event_who){.count = 1, .scopes = {fallback}};
        return ALK_OK;
    }
    *ret = (struct alk_event_who){0};
    for (size_t i = 0; i < n; i++) {
        const char *word = alk_conf_str(alk_conf_at(conf, i));
        bool is_word = strcmp(word, "any") == 0 || strcmp(word, "none") == 0;
        if (is_word && n > 1) {
            return refuse(m, match, "'any' and 'none' stand alone");
        }
        ret->is_any = strcmp(word, "any") == 0;
        if (!is_word) {
            ret->scopes[ret->count++] = word;
        }
    }
    return ALK_OK;
}

static alk_err read_resource(const struct maker *m, const struct alk_conf *conf, const char *match,
                             struct alk_event_rule *rule)
{
    if (conf == NULL) {
        return ALK_OK;
    }
    rule->type = alk_conf_span(alk_conf_get(conf, "type"));
    rule->action = alk_conf_span(alk_conf_get(conf, "action"));
    rule->token = (uint32_t)alk_conf_get_uint(conf, "token");
    rule->member = alk_conf_span(alk_conf_get(conf, "member"));
    if ((rule->token > 0) == (rule->member.n > 0)) {
        return refuse(m, match, "a resource is named by 'token' or by 'member'");
    }
    /* A token that some topic of the rule does not have would hide its events for good. */
    bool has_rest = rule->match.p[rule->match.n - 1] == '>';
    if (rule->token > rule->parsed.count && !has_rest) {
        return refuse(m, match, "its topics have fewer tokens than 'token' says");
    }
    return ALK_OK;
}

static alk_err read_rule(const struct maker *m, const struct alk_conf *conf,
                         struct alk_event_rule *rule)
{
    const char *match = alk_conf_get_str(conf, "match");
    rule->match = alk_span_str(match);
    if (alk_topic_parse_pattern(rule->match, &rule->parsed) != ALK_OK) {
        return refuse(m, match, "is not a topic or pattern");
    }
    rule->is_durable = alk_conf_get_bool(conf, "durable");
    const struct alk_conf *retain = alk_conf_get(conf, "retain");
    if (retain != NULL && alk_conf_is_set(retain) && !rule->is_durable) {
        return refuse(m, match, "'retain' is for durable topics");
    }
    rule->retain = (struct alk_event_retain){.stream = rule->match,
                                             .count = alk_conf_get_uint(retain, "count"),
                                             .size = alk_conf_get_uint(retain, "size"),
                                             .age_ms = alk_conf_get_uint(retain, "age") / ALK_MS};
    ALK_TRY(
        read_who(m, alk_conf_get(conf, "publish"), match, ALK_EVENT_SCOPE_PUBLISH, &rule->publish));
    ALK_TRY(read_who(m, alk_conf_get(conf, "subscribe"), match, ALK_EVENT_SCOPE_LISTEN,
                     &rule->subscribe));
    return read_resource(m, alk_conf_get(conf, "resource"), match, rule);
}

/* Where repositories are changed is nobody's to tell but the node's, and nobody's to hear who
 * could not look for himself. */
static void guard_pushes(struct alk_event_rule *rule)
{
    rule->publish = (struct alk_event_who){.count = 0};
    rule->type = ALK_LIT("repo");
    rule->action = ALK_LIT("read");
    rule->token = 0;
    rule->member = ALK_LIT("repository");
    rule->open = ALK_LIT("public");
}

static bool is_pushes(const struct alk_conf *topic)
{
    return strcmp(alk_conf_get_str(topic, "match"), ALK_EVENT_GIT_PUSH) == 0;
}

/* Ours, unless there is one of the configuration for this very topic. */
static alk_err add_pushes(struct alk_event_rules *rules, const struct alk_conf *topics)
{
    struct alk_event_rule *rule = &rules->list[rules->count];
    for (size_t i = 0; i < alk_conf_count(topics); i++) {
        if (is_pushes(alk_conf_at(topics, i))) {
            return ALK_OK;
        }
    }
    rule->match = ALK_LIT(ALK_EVENT_GIT_PUSH);
    rule->subscribe = (struct alk_event_who){.count = 1, .scopes = {ALK_EVENT_SCOPE_LISTEN}};
    guard_pushes(rule);
    rules->count++;
    return alk_topic_parse_pattern(rule->match, &rule->parsed);
}

static alk_err read_rules(const struct maker *m, const struct alk_conf *topics)
{
    struct alk_event_rules *rules = m->rules;
    for (size_t i = 0; i < alk_conf_count(topics); i++) {
        size_t at = rules->count;
        struct alk_event_rule *rule = &rules->list[at];
        ALK_TRY(read_rule(m, alk_conf_at(topics, i), rule));
        if (is_pushes(alk_conf_at(topics, i))) {
            guard_pushes(rule);
        }
        for (size_t k = 0; k < at; k++) {
            if (alk_topic_covers(rules->list[k].match, rule->match)) {
                return refuse(m, alk_conf_get_str(alk_conf_at(topics, i), "match"),
                              "a rule before it matches all of its topics");
            }
        }
        if (rule->is_durable) {
            rules->retains[rules->retain_count++] = rule->retain;
        }
        rules->count++;
    }
    return ALK_OK;
}

static size_t size_or(const struct alk_conf *conf, const char *name, size_t fallback)
{
    uint64_t v = alk_conf_get_uint(conf, name);
    return v == 0 ? fallback : (size_t)v;
}

static void read_limits(struct alk_event_rules *rules, const struct alk_conf *conf)
{
    const struct alk_conf *queue = alk_conf_get(conf, "queue");
    rules->limits = (struct alk_event_limits){
        .queue_bytes = size_or(queue, "bytes", (size_t)1 << 20),
        .queue_count = size_or(queue, "count", 4096),
        .memory = size_or(conf, "memory", (size_t)64 << 20),
        .subscriptions = size_or(conf, "subscriptions", 20000),
    };
}

alk_err alk_event_rules_new(const struct alk_mem *mem, const struct alk_conf *conf,
                            uint64_t generation, char *why, size_t why_size,
                            const struct alk_event_rules **ret)
{
    const struct alk_conf *topics = alk_conf_get(conf, "topics");
    size_t n = alk_conf_count(topics);
    ALK_ASSERT(n <= ALK_EVENT_RULES_MAX);
    struct alk_event_rules *rules =
        alk_zalloc(mem, 1,
                   sizeof(*rules) + (n + 2) * sizeof(struct alk_event_rule) +
                       n * sizeof(struct alk_event_retain));
    if (rules == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_init(&rules->refs, 1);
    rules->mem = mem;
    rules->retains = (struct alk_event_retain *)(void *)&rules->list[n + 2];
    rules->conf = alk_conf_ref(conf);
    rules->generation = generation;
    read_limits(rules, conf);
    struct maker m = {rules, why, why_size};
    alk_err err = add_pushes(rules, topics);
    if (err == ALK_OK) {
        err = read_rules(&m, topics);
    }
    if (err != ALK_OK) {
        alk_event_rules_unref(rules);
        return err;
    }
    rules->list[rules->count++] =
        (struct alk_event_rule){.match = ALK_LIT(">"),
                                .parsed = {.count = 1, .end = {1}, .has_wildcard = true},
                                .publish = {.count = 1, .scopes = {ALK_EVENT_SCOPE_PUBLISH}},
                                .subscribe = {.count = 1, .scopes = {ALK_EVENT_SCOPE_LISTEN}}};
    *ret = rules;
    return ALK_OK;
}
