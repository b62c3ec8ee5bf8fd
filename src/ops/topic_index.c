/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/topic_index.h"

#include "base/mem.h"

struct alk_topic_node {
    struct alk_topic_node *parent; /* NULL: the root */
    struct alk_list entries;
    uint32_t children;
    bool has_any, has_rest; /* an edge `*`, `>` */
    uint16_t key_n;
    uint8_t key[]; /* the parent's address, then the token */
};

struct key {
    uint8_t bytes[sizeof(void *) + ALK_TOPIC_MAX];
    size_t n;
};

static void key_make(struct key *k, const struct alk_topic_node *parent, struct alk_span token)
{
    memcpy(k->bytes, &parent, sizeof(parent));
    memcpy(k->bytes + sizeof(parent), token.p, token.n);
    k->n = sizeof(parent) + token.n;
}

static struct alk_topic_node *child_of(const struct alk_topic_index *index,
                                       const struct alk_topic_node *parent, struct alk_span token)
{
    struct key k;
    key_make(&k, parent, token);
    return alk_map_get(&index->edges, alk_span(k.bytes, k.n));
}

void alk_topic_index_init(struct alk_topic_index *index, const struct alk_mem *mem,
                          size_t nodes_max, const uint8_t seed[static 16])
{
    *index = (struct alk_topic_index){.mem = mem};
    alk_map_init(&index->edges, mem, nodes_max, seed);
}

void alk_topic_index_fini(struct alk_topic_index *index)
{
    ALK_ASSERT(index->edges.n == 0);
    alk_map_fini(&index->edges);
    alk_free(index->mem, index->root);
    index->root = NULL;
}

static struct alk_topic_node *node_new(const struct alk_mem *mem, const struct key *k)
{
    struct alk_topic_node *node = alk_zalloc(mem, 1, sizeof(*node) + k->n);
    if (node != NULL) {
        alk_list_init(&node->entries);
        node->key_n = (uint16_t)k->n;
        memcpy(node->key, k->bytes, k->n);
    }
    return node;
}

static alk_err child_add(struct alk_topic_index *index, struct alk_topic_node *parent,
                         struct alk_span token, struct alk_topic_node **ret)
{
    struct key k;
    key_make(&k, parent, token);
    struct alk_topic_node *node = node_new(index->mem, &k);
    if (node == NULL) {
        return ALK_E_NOMEM;
    }
    node->parent = parent;
    alk_err err = alk_map_put(&index->edges, alk_span(node->key, node->key_n), node);
    if (err != ALK_OK) {
        alk_free(index->mem, node);
        return err;
    }
    parent->children++;
    parent->has_any = parent->has_any || alk_span_is(token, "*");
    parent->has_rest = parent->has_rest || alk_span_is(token, ">");
    *ret = node;
    return ALK_OK;
}

/* Drops a node that nothing needs, and then its parents likewise. */
static void prune(struct alk_topic_index *index, struct alk_topic_node *node)
{
    while (node != index->root && node->children == 0 && alk_list_is_empty(&node->entries)) {
        struct alk_topic_node *parent = node->parent;
        struct alk_span token = alk_span(node->key + sizeof(parent), node->key_n - sizeof(parent));
        (void)alk_map_remove(&index->edges, alk_span(node->key, node->key_n));
        parent->children--;
        parent->has_any = parent->has_any && !alk_span_is(token, "*");
        parent->has_rest = parent->has_rest && !alk_span_is(token, ">");
        alk_free(index->mem, node);
        node = parent;
    }
}

alk_err alk_topic_index_add(struct alk_topic_index *index, struct alk_span pattern,
                            struct alk_topic_entry *entry)
{
    struct alk_topic parsed;
    ALK_TRY(alk_topic_parse_pattern(pattern, &parsed));
    if (index->root == NULL) {
        index->root = node_new(index->mem, &(struct key){.n = 0});
        if (index->root == NULL) {
            return ALK_E_NOMEM;
        }
    }
    struct alk_topic_node *node = index->root;
    for (size_t i = 0; i < parsed.count; i++) {
        struct alk_span token = alk_topic_token(pattern, &parsed, i);
        struct alk_topic_node *next = child_of(index, node, token);
        alk_err err = next == NULL ? child_add(index, node, token, &next) : ALK_OK;
        if (err != ALK_OK) {
            prune(index, node);
            return err;
        }
        node = next;
    }
    alk_list_append(&node->entries, &entry->in);
    entry->node = node;
    return ALK_OK;
}

void alk_topic_index_remove(struct alk_topic_index *index, struct alk_topic_entry *entry)
{
    struct alk_topic_node *node = entry->node;
    if (node != NULL) {
        entry->node = NULL;
        alk_list_remove(&entry->in);
        prune(index, node);
    }
}

struct search {
    const struct alk_topic_index *index;
    struct alk_span topic;
    const struct alk_topic *parsed;
    alk_topic_hit_fn *fn;
    void *ctx;
};

static void tell(const struct search *s, const struct alk_topic_node *node)
{
    struct alk_link *l = alk_list_first(&node->entries);
    for (; l != NULL; l = alk_list_next(&node->entries, l)) {
        s->fn(s->ctx, ALK_CONTAINER(l, struct alk_topic_entry, in));
    }
}

/* A branch per edge that fits: the depth is that of the topic, the nodes that are
 * visited lie on the way to somebody who listens. */
static void descend(const struct search *s, const struct alk_topic_node *node, size_t i)
{
    if (i == s->parsed->count) {
        tell(s, node);
        return;
    }
    const struct alk_topic_node *next =
        child_of(s->index, node, alk_topic_token(s->topic, s->parsed, i));
    if (next != NULL) {
        descend(s, next, i + 1);
    }
    if (node->has_any && (next = child_of(s->index, node, ALK_LIT("*"))) != NULL) {
        descend(s, next, i + 1);
    }
    if (node->has_rest && (next = child_of(s->index, node, ALK_LIT(">"))) != NULL) {
        tell(s, next);
    }
}

void alk_topic_index_find(const struct alk_topic_index *index, struct alk_span topic,
                          const struct alk_topic *parsed, alk_topic_hit_fn *fn, void *ctx)
{
    struct search s = {index, topic, parsed, fn, ctx};
    if (index->root != NULL) {
        descend(&s, index->root, 0);
    }
}
