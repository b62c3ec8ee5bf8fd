/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Looks at which subschemas are applied to one and the same value: a loop of these
 * would never end, a long chain would need much stack, and a schema that doubles
 * itself n times over would cost 2^n. All are refused before any value is seen.
 * $dynamicRef, whose target is not known here, is left to the budget of a check. */
#include "ops/schema_build.h"
#include "ops/schema_check.h"

enum { NEW, OPEN, DONE };

struct visit {
    struct schema_build *b;
    uint64_t cost;
    uint32_t chain;
    unsigned depth;
};

static alk_err visit(struct schema_build *b, struct schema_node *node, unsigned depth);

static uint64_t add_cost(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static alk_err take(struct visit *v, struct schema_node *node)
{
    if (node == NULL) {
        return ALK_OK;
    }
    ALK_TRY(visit(v->b, node, v->depth + 1));
    v->cost = add_cost(v->cost, node->cost);
    v->chain = node->chain > v->chain ? node->chain : v->chain;
    return ALK_OK;
}

static alk_err take_list(struct visit *v, const struct schema_nodes *nodes)
{
    for (size_t i = 0; i < nodes->n; i++) {
        ALK_TRY(take(v, nodes->v[i]));
    }
    return ALK_OK;
}

static alk_err take_rule(struct visit *v, const struct schema_rule *r)
{
    schema_rule_fn *check = r->check;

    if (check == alk_schema_check_ref || check == alk_schema_check_not) {
        return take(v, r->u.node);
    }
    if (check == alk_schema_check_all || check == alk_schema_check_any ||
        check == alk_schema_check_one) {
        return take_list(v, &r->u.nodes);
    }
    if (check == alk_schema_check_if) {
        ALK_TRY(take(v, r->u.branch.cond));
        ALK_TRY(take(v, r->u.branch.yes));
        return take(v, r->u.branch.no);
    }
    if (check == alk_schema_check_dependent) {
        for (size_t i = 0; i < r->u.dependent.n; i++) {
            ALK_TRY(take(v, r->u.dependent.v[i].node));
        }
    }
    return ALK_OK;
}

static alk_err visit(struct schema_build *b, struct schema_node *node, unsigned depth)
{
    struct visit v = {.b = b, .depth = depth};

    if (node->colour == DONE) {
        return ALK_OK;
    }
    if (node->colour == OPEN) {
        return alk_schema_refuse(b, node, NULL, "applies itself to the same value without end");
    }
    if (depth >= SCHEMA_CHAIN_MAX) {
        return ALK_E_TOO_BIG;
    }
    node->colour = OPEN;
    for (const struct schema_rule *r = node->rules; r != NULL; r = r->next) {
        v.cost = add_cost(v.cost, 1);
        ALK_TRY(take_rule(&v, r));
    }
    node->colour = DONE;
    node->chain = v.chain + 1;
    node->cost = add_cost(v.cost, 1);
    if (node->chain > SCHEMA_CHAIN_MAX || node->cost > b->schema->steps) {
        return ALK_E_TOO_BIG;
    }
    return ALK_OK;
}

alk_err alk_schema_check_graph(struct schema_build *b)
{
    for (struct schema_node *node = b->first; node != NULL; node = node->next) {
        ALK_TRY(visit(b, node, 0));
    }
    return ALK_OK;
}
