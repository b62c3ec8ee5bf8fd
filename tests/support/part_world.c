/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/part_world.h"

#include "core/host/spawner.h"

#include <stdio.h>
#include <unistd.h>

#define DEADLINE (10 * ALK_SECOND)

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct part_world *p = ctx;
    size_t n = strlen(p->log);
    (void)level;
    (void)snprintf(p->log + n, sizeof p->log - n, "%s: %s\n", component, line);
}

void part_world_init(struct part_world *p, const struct alk_part *part,
                     const struct alk_conf_row *table, const struct alk_mem *mem, bool has_spawner)
{
    static const char *const users[] = {"daemon", NULL};
    const struct alk_spawner_options options = {.exec_users = geteuid() == 0 ? users : NULL};
    *p = (struct part_world){.part = part, .table = table};
    if (has_spawner) {
        check_err(alk_spawner_start(&options, NULL, &p->spawner), ALK_OK);
    }
    ops_world_init(&p->w, NULL);
    p->root = ops_somebody("root", "admin", NULL);
    p->ann = ops_somebody("ann", "", NULL);
    p->env = (struct alk_env){.struct_size = sizeof p->env,
                              .loop = p->w.loop,
                              .service = "call",
                              .log = on_log,
                              .log_ctx = p,
                              .spawner = p->spawner};
    const struct alk_part_env env = {.mem = mem, .ops = p->w.ops, .env = &p->env};
    alk_err err = part->start(&env, p->why, sizeof p->why, &p->state);
    if (mem == NULL || err != ALK_E_NOMEM) {
        check_err(err, ALK_OK);
    }
}

void part_world_stop(struct part_world *p)
{
    if (p->state != NULL) {
        p->part->stop(p->state);
        p->state = NULL;
    }
}

void part_world_fini(struct part_world *p)
{
    part_world_stop(p);
    ops_world_fini(&p->w);
    alk_spawner_free(p->spawner);
    alk_identity_unref(p->root);
    alk_identity_unref(p->ann);
}

alk_err part_world_try(struct part_world *p, const char *yaml)
{
    struct alk_conf_errors errors = {0};
    const struct alk_conf *conf = NULL;
    void *next = NULL;

    p->why[0] = '\0';
    alk_err err = alk_conf_parse(NULL, alk_span_str(yaml), "test", p->table, &errors, &conf);
    if (err != ALK_OK) {
        (void)snprintf(p->why, sizeof p->why, "%s", errors.text == NULL ? "" : errors.text);
    } else {
        err = p->part->prepare(p->state, alk_conf_get(conf, p->part->section), p->why,
                               sizeof p->why, &next);
    }
    if (err == ALK_OK) {
        p->part->commit(p->state, next);
    }
    alk_conf_errors_fini(&errors);
    alk_conf_unref(conf);
    return err;
}

void part_world_configure(struct part_world *p, const char *yaml)
{
    alk_err err = part_world_try(p, yaml);
    if (err != ALK_OK) {
        fail_msg("%s: %s", alk_err_name(err), p->why);
    }
}

void part_world_until_at(struct part_world *p, part_world_cond *cond, void *ctx, const char *file,
                         int line)
{
    alk_time end = alk_clock_now() + DEADLINE;
    while (!cond(ctx)) {
        if (alk_clock_now() >= end) {
            print_error("%s:%d: it did not happen\n%s%s", file, line, p->log, p->w.log);
            fail();
        }
        (void)alk_loop_run_once(p->w.loop, 200);
    }
}

bool part_call_has_ended(void *call)
{
    const struct ops_call *c = call;
    return c->ends > 0;
}

bool part_call_has_heard(void *call)
{
    const struct ops_call *c = call;
    return c->heard[0] != '\0';
}

void part_ask(struct part_world *p, struct ops_call *c, const char *op, const char *input)
{
    ops_start(&p->w, c, p->root, op, input);
    part_world_until(p, part_call_has_ended, c);
}

void part_check_at(struct part_world *p, const char *op, const char *input, const char *want,
                   const char *file, int line)
{
    struct ops_call c = {.full = 0};
    ops_start(&p->w, &c, p->root, op, input);
    part_world_until_at(p, part_call_has_ended, &c, file, line);
    if (strcmp(c.heard, want) != 0) {
        print_error("%s %s: got  %s\nwant %s\n%s", op, input, c.heard, want, p->log);
        _fail(file, line);
    }
}

bool part_log_has(const struct part_world *p, const char *text)
{
    return strstr(p->log, text) != NULL;
}
