/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/node_check.h"

#include "core/auth/fingerprint.h"
#include "core/auth/resource.h"

#include "base/map.h"

#include "core/config/arena.h"

#define WHERE_SIZE 256

struct auth_check {
    struct alk_conf_report *report;
    struct alk_arena arena;             /* owns the names of keys */
    struct alk_map ids, keys, prefixes; /* to the struct alk_conf that has it */
};

/* Puts a name into a map, or reports that it is there. what: "id 'x'". */
static alk_err claim(struct auth_check *c, struct alk_map *map, struct alk_span name,
                     const struct alk_conf *at, const char *what)
{
    const struct alk_conf *earlier = alk_map_get(map, name);
    char where[WHERE_SIZE];
    if (earlier == NULL) {
        /* The map holds the place of a value that it never changes. */
        union {
            const struct alk_conf *in;
            void *out;
        } place = {at};
        return alk_map_put(map, name, place.out);
    }
    alk_conf_where(earlier, where, sizeof(where));
    alk_conf_error(c->report, at, "%s stands at %s already", what, where);
    return ALK_OK;
}

static alk_err check_key(struct auth_check *c, const struct alk_conf *key)
{
    struct alk_key_names names = {.count = 1};
    char why[128];
    if (alk_key_parse(alk_conf_span(key), names.name[0], why, sizeof(why)) != ALK_OK) {
        alk_conf_error(c->report, key, "%s", why);
        return ALK_OK;
    }
    uint8_t raw[ALK_ED25519_SIZE];
    if (alk_key_name_ed25519(names.name[0], raw)) {
        /* The same key may stand there by another of its names. */
        alk_key_names_from_ed25519(raw, &names);
    }
    unsigned found = 0;
    for (size_t i = 0; i < names.count && found == 0; i++) {
        found += alk_map_get(&c->keys, alk_span_str(names.name[i])) != NULL;
        char *name = alk_arena_dup(&c->arena, alk_span_str(names.name[i]));
        if (name == NULL) {
            return ALK_E_NOMEM;
        }
        ALK_TRY(claim(c, &c->keys, alk_span_str(name), key, "this key"));
    }
    return ALK_OK;
}

#define WORDS_MAX                                                                                  \
    (ALK_GRANT_ACTIONS_MAX > ALK_GRANT_REFS_MAX ? ALK_GRANT_ACTIONS_MAX : ALK_GRANT_REFS_MAX)

static size_t spans(const struct alk_conf *list, struct alk_span ret[static WORDS_MAX])
{
    size_t n = 0;
    for (; n < alk_conf_count(list) && n < WORDS_MAX; n++) {
        ret[n] = alk_conf_span(alk_conf_at(list, n));
    }
    return n;
}

static void check_grant(struct auth_check *c, const char *type, const struct alk_conf *conf)
{
    struct alk_span actions[WORDS_MAX];
    struct alk_span refs[WORDS_MAX];
    char why[160];
    const struct alk_grant grant = {
        .type = alk_span_str(type),
        .name = alk_conf_span(alk_conf_get(conf, "name")),
        .actions = actions,
        .action_count = spans(alk_conf_get(conf, "actions"), actions),
        .refs = refs,
        .ref_count = spans(alk_conf_get(conf, "refs"), refs),
    };
    if (alk_grant_check(&grant, why, sizeof(why)) != ALK_OK) {
        alk_conf_error(c->report, conf, "%s", why);
    }
}

static alk_err check_peer(struct auth_check *c, const struct alk_conf *peer)
{
    const struct alk_conf *id = alk_conf_get(peer, "id");
    const struct alk_conf *keys = alk_conf_get(peer, "keys");
    const struct alk_conf *resources = alk_conf_get(peer, "resources");
    ALK_TRY(claim(c, &c->ids, alk_conf_span(id), id, "this id"));
    for (size_t i = 0; i < alk_conf_count(keys); i++) {
        ALK_TRY(check_key(c, alk_conf_at(keys, i)));
    }
    for (size_t i = 0; i < alk_conf_count(resources); i++) {
        const struct alk_conf *grants = alk_conf_at(resources, i);
        for (size_t k = 0; k < alk_conf_count(grants); k++) {
            check_grant(c, alk_conf_key(grants), alk_conf_at(grants, k));
        }
    }
    return ALK_OK;
}

static alk_err check_all(struct auth_check *c, const struct alk_conf *auth)
{
    const struct alk_conf *peers = alk_conf_get(auth, "peers");
    const struct alk_conf *tokens = alk_conf_get(auth, "tokens");
    for (size_t i = 0; i < alk_conf_count(peers); i++) {
        ALK_TRY(check_peer(c, alk_conf_at(peers, i)));
    }
    for (size_t i = 0; i < alk_conf_count(tokens); i++) {
        const struct alk_conf *prefix = alk_conf_get(alk_conf_at(tokens, i), "prefix");
        ALK_TRY(claim(c, &c->prefixes, alk_conf_span(prefix), prefix, "this prefix"));
    }
    return ALK_OK;
}

alk_err alk_config_verify_auth(const struct alk_mem *mem, const struct alk_conf *auth,
                               struct alk_conf_report *report)
{
    /* The operator writes this file: collisions are not a concern. */
    static const uint8_t seed[16] = {0};
    struct auth_check c = {.report = report};
    alk_arena_init(&c.arena, mem);
    alk_map_init(&c.ids, mem, ALK_CONF_NODES_MAX, seed);
    alk_map_init(&c.keys, mem, (size_t)ALK_KEY_NAMES_MAX * ALK_CONF_NODES_MAX, seed);
    alk_map_init(&c.prefixes, mem, ALK_CONF_NODES_MAX, seed);
    alk_err err = check_all(&c, auth);
    alk_map_fini(&c.prefixes);
    alk_map_fini(&c.keys);
    alk_map_fini(&c.ids);
    alk_arena_fini(&c.arena);
    return err;
}
