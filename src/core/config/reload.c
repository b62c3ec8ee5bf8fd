/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/reload.h"

#include "base/mem.h"

#include <stdio.h>

struct alk_config_reload {
    struct alk_config_options options; /* what it points to is borrowed */
    const struct alk_static_config *config;
    const struct alk_dynamic_config *current, *next; /* owns; next NULL: none prepared */
    struct alk_config_diff diff;                     /* of next */
};

/* --------------------------------------------------------------------- rows */

enum rows { ROWS_RESTART, ROWS_OTHER };

struct walk {
    struct alk_config_diff *diff;
    enum rows want;
    alk_err err;
};

static alk_err add_change(struct alk_config_diff *d, const char *name, enum alk_conf_reload reload)
{
    d->needs_restart = d->needs_restart || reload == ALK_RELOAD_RESTART;
    if (d->change_count == ALK_CONFIG_CHANGES_MAX) {
        return ALK_OK;
    }
    /* Grown by doubling: 16, 32, ... */
    size_t n = d->change_count;
    if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) {
        struct alk_config_change *changes =
            alk_resize(d->mem, d->changes, (n == 0 ? 16 : 2 * n) * sizeof(*changes));
        if (changes == NULL) {
            return ALK_E_NOMEM;
        }
        d->changes = changes;
    }
    struct alk_config_change *change = &d->changes[d->change_count++];
    *change = (struct alk_config_change){.reload = reload};
    (void)snprintf(change->name, sizeof(change->name), "%s", name);
    return ALK_OK;
}

static bool is_branch(const struct alk_conf *conf)
{
    return conf != NULL &&
           (alk_conf_type(conf) == ALK_CONF_MAP || alk_conf_type(conf) == ALK_CONF_DICT);
}

static void walk_pair(struct walk *w, const struct alk_conf *a, const struct alk_conf *b,
                      const char *name);

static void walk_members(struct walk *w, const struct alk_conf *a, const struct alk_conf *b,
                         const char *name)
{
    char path[ALK_CONFIG_NAME_MAX];
    const char *dot = name[0] == '\0' ? "" : ".";
    for (size_t i = 0; i < alk_conf_count(a) && w->err == ALK_OK; i++) {
        const struct alk_conf *kid = alk_conf_at(a, i);
        (void)snprintf(path, sizeof(path), "%s%s%s", name, dot, alk_conf_key(kid));
        walk_pair(w, kid, alk_conf_get(b, alk_conf_key(kid)), path);
    }
    for (size_t i = 0; i < alk_conf_count(b) && w->err == ALK_OK; i++) {
        const struct alk_conf *kid = alk_conf_at(b, i);
        if (alk_conf_get(a, alk_conf_key(kid)) == NULL) {
            (void)snprintf(path, sizeof(path), "%s%s%s", name, dot, alk_conf_key(kid));
            walk_pair(w, NULL, kid, path);
        }
    }
}

static void walk_pair(struct walk *w, const struct alk_conf *a, const struct alk_conf *b,
                      const char *name)
{
    if (is_branch(a) && is_branch(b)) {
        walk_members(w, a, b, name);
        return;
    }
    enum alk_conf_reload reload = alk_conf_reload(a != NULL ? a : b);
    if ((reload == ALK_RELOAD_RESTART) == (w->want == ROWS_RESTART) && !alk_conf_equal(a, b)) {
        w->err = add_change(w->diff, name, reload);
    }
}

static alk_err diff_rows(struct alk_config_diff *d, enum rows want, const struct alk_conf *before,
                         const struct alk_conf *after)
{
    struct walk w = {.diff = d, .want = want};
    walk_members(&w, before, after, "");
    return w.err;
}

/* ----------------------------------------------------------------- services */

static const struct alk_config_service *find(const struct alk_dynamic_config *config,
                                             const struct alk_config_service *like)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct alk_config_service *s = &config->services[i];
        if (s->is_custom == like->is_custom && strcmp(s->name, like->name) == 0) {
            return s;
        }
    }
    return NULL;
}

static alk_err new_list(const struct alk_mem *mem, size_t n, const struct alk_config_service ***ret)
{
    *ret = alk_zalloc(mem, n == 0 ? 1 : n, sizeof(**ret));
    return *ret == NULL ? ALK_E_NOMEM : ALK_OK;
}

static alk_err diff_services(struct alk_config_diff *d, const struct alk_dynamic_config *before,
                             const struct alk_dynamic_config *after)
{
    ALK_TRY(new_list(d->mem, after->service_count, &d->added));
    ALK_TRY(new_list(d->mem, after->service_count, &d->changed));
    ALK_TRY(new_list(d->mem, before->service_count, &d->removed));
    for (size_t i = 0; i < after->service_count; i++) {
        const struct alk_config_service *s = &after->services[i];
        const struct alk_config_service *old = find(before, s);
        if (old == NULL) {
            d->added[d->added_count++] = s;
        } else if (old->handler != s->handler || !alk_conf_equal(old->conf, s->conf)) {
            d->changed[d->changed_count++] = s;
        }
    }
    for (size_t i = 0; i < before->service_count; i++) {
        if (find(after, &before->services[i]) == NULL) {
            d->removed[d->removed_count++] = &before->services[i];
        }
    }
    return ALK_OK;
}

/* --------------------------------------------------------------------- diff */

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool is_listen_changed(const struct alk_dynamic_config *a,
                              const struct alk_dynamic_config *b)
{
    bool is_same = a->listener_count == b->listener_count;
    for (size_t i = 0; is_same && i < a->listener_count; i++) {
        is_same = alk_addr_equal(&a->listeners[i].addr, &b->listeners[i].addr) &&
                  is_same_text(a->listeners[i].default_alpn, b->listeners[i].default_alpn);
    }
    return !is_same;
}

static bool is_section_changed(const struct alk_dynamic_config *a,
                               const struct alk_dynamic_config *b, const char *name)
{
    return !alk_conf_equal(alk_conf_get(a->tree, name), alk_conf_get(b->tree, name));
}

static bool is_identity_changed(const struct alk_dynamic_config *a,
                                const struct alk_dynamic_config *b)
{
    const struct alk_conf *old = alk_conf_get(a->tree, "identity");
    const struct alk_conf *new = alk_conf_get(b->tree, "identity");
    return a->self_signed != b->self_signed ||
           !alk_conf_equal(alk_conf_get(old, "certificates"), alk_conf_get(new, "certificates"));
}

/* started: the tree whose restart rows are in force. */
static alk_err diff(const struct alk_mem *mem, const struct alk_conf *started,
                    const struct alk_dynamic_config *before, const struct alk_dynamic_config *after,
                    struct alk_config_diff *ret)
{
    *ret = (struct alk_config_diff){.mem = mem};
    ret->listen_changed = is_listen_changed(before, after);
    ret->certificates_changed = is_identity_changed(before, after);
    ret->auth_changed = is_section_changed(before, after, "auth");
    ret->limits_changed = is_section_changed(before, after, "limits");
    ret->log_changed = is_section_changed(before, after, "log");
    ALK_TRY(diff_rows(ret, ROWS_RESTART, started, after->tree));
    ALK_TRY(diff_rows(ret, ROWS_OTHER, before->tree, after->tree));
    return diff_services(ret, before, after);
}

alk_err alk_config_diff(const struct alk_mem *mem, const struct alk_dynamic_config *before,
                        const struct alk_dynamic_config *after, struct alk_config_diff *ret)
{
    return diff(mem, before->tree, before, after, ret);
}

void alk_config_diff_fini(struct alk_config_diff *d)
{
    alk_free(d->mem, d->changes);
    alk_free(d->mem, d->added);
    alk_free(d->mem, d->removed);
    alk_free(d->mem, d->changed);
    *d = (struct alk_config_diff){.mem = d->mem};
}

alk_err alk_config_diff_note(const struct alk_config_diff *d, struct alk_buf *ret)
{
    const char *gap = "needs a restart: ";
    for (size_t i = 0; i < d->change_count; i++) {
        if (d->changes[i].reload == ALK_RELOAD_RESTART) {
            (void)alk_buf_put_str(ret, gap);
            (void)alk_buf_put_str(ret, d->changes[i].name);
            gap = ", ";
        }
    }
    return ret->err;
}

/* ------------------------------------------------------------------- handle */

alk_err alk_config_reload_new(const struct alk_config_options *options,
                              const struct alk_static_config *config,
                              const struct alk_dynamic_config *dynamic,
                              struct alk_config_reload **ret)
{
    struct alk_config_reload *r = ALK_NEW(options->mem, struct alk_config_reload);
    if (r == NULL) {
        alk_static_config_unref(config);
        alk_dynamic_config_unref(dynamic);
        return ALK_E_NOMEM;
    }
    r->options = *options;
    r->options.text = alk_span(NULL, 0);
    r->config = config;
    r->current = dynamic;
    *ret = r;
    return ALK_OK;
}

void alk_config_reload_free(struct alk_config_reload *r)
{
    if (r == NULL) {
        return;
    }
    alk_config_reload_abort(r);
    alk_dynamic_config_unref(r->current);
    alk_static_config_unref(r->config);
    alk_free(r->options.mem, r);
}

const struct alk_static_config *alk_config_reload_static(const struct alk_config_reload *r)
{
    return r->config;
}

const struct alk_dynamic_config *alk_config_reload_current(const struct alk_config_reload *r)
{
    return r->current;
}

const struct alk_dynamic_config *alk_config_reload_next(const struct alk_config_reload *r)
{
    return r->next;
}

alk_err alk_config_reload_prepare(struct alk_config_reload *r, struct alk_span text,
                                  struct alk_conf_errors *errors,
                                  const struct alk_config_diff **ret_diff)
{
    if (r->next != NULL) {
        return ALK_E_STATE;
    }
    struct alk_config_options options = r->options;
    const struct alk_static_config *config = NULL;
    const struct alk_dynamic_config *next = NULL;
    options.text = text;
    options.generation = r->current->generation + 1;
    ALK_TRY(alk_config_load(&options, errors, &config, &next));
    /* Paths of the candidate begin in the directory that is in force. */
    if (strcmp(config->data_dir, r->config->data_dir) != 0) {
        alk_dynamic_config_unref(next);
        alk_static_config_unref(config);
        options.data_dir = r->config->data_dir;
        ALK_TRY(alk_config_load(&options, errors, &config, &next));
    }
    alk_static_config_unref(config);
    alk_err err = diff(options.mem, r->config->tree, r->current, next, &r->diff);
    if (err != ALK_OK) {
        alk_config_diff_fini(&r->diff);
        alk_dynamic_config_unref(next);
        return err;
    }
    r->next = next;
    *ret_diff = &r->diff;
    return ALK_OK;
}

void alk_config_reload_commit(struct alk_config_reload *r)
{
    ALK_ASSERT(r->next != NULL);
    alk_dynamic_config_unref(r->current);
    r->current = r->next;
    r->next = NULL;
    alk_config_diff_fini(&r->diff);
}

void alk_config_reload_abort(struct alk_config_reload *r)
{
    alk_config_diff_fini(&r->diff);
    alk_dynamic_config_unref(r->next);
    r->next = NULL;
}
