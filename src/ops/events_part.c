/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "core/endpoint.h"
#include "core/io/rand.h"
#include "core/store/event_log.h"
#include "ops/events_ops.h"

#include <stdio.h>

struct part {
    const struct alk_mem *mem;
    struct alk_ops *ops;
    struct alk_endpoint *endpoint; /* NULL: no data directory */
    struct alk_events *hub;
};

struct alk_events *alk_events_part_hub(void *part)
{
    const struct part *p = part;
    return p->hub;
}

static alk_err start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct part *p = ALK_NEW(env->mem, struct part);
    if (p == NULL) {
        return ALK_E_NOMEM;
    }
    p->mem = env->mem;
    p->ops = env->ops;
    p->endpoint = env->env == NULL ? NULL : env->env->endpoint;
    /* A few more than the node has: embedding programs bring their own. */
    size_t loops = p->endpoint == NULL ? 0 : alk_endpoint_loop_count(p->endpoint);
    struct alk_events_options options = {.mem = env->mem, .loops_max = (unsigned)loops + 4};
    struct alk_rand rand = alk_rand_system();
    alk_rand_fill(&rand, options.seed, sizeof(options.seed));
    alk_err err = alk_events_new(&options, &p->hub);
    if (err == ALK_OK) {
        err = alk_events_add_ops(p->hub, p->ops, why, why_size);
    }
    if (err == ALK_OK) {
        alk_ops_set_events(p->ops, p->hub);
    }
    if (err != ALK_OK) {
        alk_events_unref(p->hub);
        alk_free(p->mem, p);
        return err;
    }
    *ret = p;
    return ALK_OK;
}

/* The log is opened when the first durable topic is named, and stays: it is no change
 * of what is in force. */
static alk_err open_log(struct part *p, char *why, size_t why_size)
{
    char message[ALK_DB_MESSAGE_SIZE] = "";
    struct alk_event_store *store = NULL;
    if (p->endpoint == NULL) {
        (void)snprintf(why, why_size, "durable topics need a data directory");
        return ALK_E_CONFIG;
    }
    struct alk_event_log_options options = {.mem = p->mem,
                                            .dir = alk_endpoint_datadir(p->endpoint)->path,
                                            .writer = alk_events_writer(p->hub)};
    alk_err err = alk_event_log_open(&options, message, &store);
    if (err != ALK_OK) {
        (void)snprintf(why, why_size, "events.db: %s",
                       message[0] == '\0' ? alk_err_text(err) : message);
        return err;
    }
    alk_events_set_store(p->hub, store);
    return ALK_OK;
}

static alk_err prepare(void *part, const struct alk_conf *section, char *why, size_t why_size,
                       void **ret_next)
{
    struct part *p = part;
    const struct alk_event_rules *rules = NULL;
    ALK_TRY(
        alk_event_rules_new(p->mem, section, alk_events_generation(p->hub), why, why_size, &rules));
    if (alk_event_rules_are_durable(rules) && !alk_events_has_store(p->hub)) {
        alk_err err = open_log(p, why, why_size);
        if (err != ALK_OK) {
            alk_event_rules_unref(rules);
            return err;
        }
    }
    union {
        const struct alk_event_rules *in;
        void *out;
    } next = {.in = rules};
    *ret_next = next.out;
    return ALK_OK;
}

static void drop(void *part, void *next)
{
    (void)part;
    alk_event_rules_unref(next);
}

static void commit(void *part, void *next)
{
    struct part *p = part;
    alk_events_set_rules(p->hub, next);
    drop(part, next);
}

static void stop(void *part)
{
    struct part *p = part;
    alk_events_remove_ops(p->ops);
    alk_ops_set_events(p->ops, NULL);
    alk_events_stop(p->hub);
    alk_events_unref(p->hub);
    alk_free(p->mem, p);
}

const struct alk_part alk_events_part = {.section = "events",
                                         .start = start,
                                         .prepare = prepare,
                                         .commit = commit,
                                         .drop = drop,
                                         .stop = stop};
