/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/build.h"
#include "core/config/report.h"
#include "core/config/tree.h"
#include "core/config/yaml.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

const struct alk_conf *alk_conf_ref(const struct alk_conf *conf)
{
    if (conf != NULL) {
        atomic_fetch_add_explicit(&conf->doc->refs, 1, memory_order_relaxed);
    }
    return conf;
}

static void free_doc(struct alk_conf_doc *doc)
{
    const struct alk_mem *mem = doc->mem;
    alk_arena_fini(&doc->arena);
    alk_free(mem, doc);
}

void alk_conf_unref(const struct alk_conf *conf)
{
    if (conf == NULL) {
        return;
    }
    struct alk_conf_doc *doc = conf->doc;
    if (atomic_fetch_sub_explicit(&doc->refs, 1, memory_order_acq_rel) == 1) {
        free_doc(doc);
    }
}

static bool is_container(const struct alk_conf *conf)
{
    return conf->type == ALK_CONF_LIST || conf->type == ALK_CONF_MAP || conf->type == ALK_CONF_DICT;
}

static bool is_text(const struct alk_conf *conf)
{
    return conf->type == ALK_CONF_STRING || conf->type == ALK_CONF_ENUM;
}

const struct alk_conf *alk_conf_get(const struct alk_conf *conf, const char *name)
{
    if (conf == NULL || (conf->type != ALK_CONF_MAP && conf->type != ALK_CONF_DICT)) {
        return NULL;
    }
    for (size_t i = 0; i < conf->n; i++) {
        if (strcmp(conf->kids[i].key, name) == 0) {
            return &conf->kids[i];
        }
    }
    return NULL;
}

size_t alk_conf_count(const struct alk_conf *conf)
{
    return conf != NULL && is_container(conf) ? conf->n : 0;
}

const struct alk_conf *alk_conf_at(const struct alk_conf *conf, size_t i)
{
    return i < alk_conf_count(conf) ? &conf->kids[i] : NULL;
}

const char *alk_conf_key(const struct alk_conf *conf)
{
    return conf == NULL ? "" : conf->key;
}

bool alk_conf_bool(const struct alk_conf *conf)
{
    return conf != NULL && conf->type == ALK_CONF_BOOL && conf->num != 0;
}

uint64_t alk_conf_uint(const struct alk_conf *conf)
{
    if (conf == NULL || conf->type == ALK_CONF_BOOL || is_container(conf)) {
        return 0;
    }
    return conf->num;
}

const char *alk_conf_str(const struct alk_conf *conf)
{
    return conf != NULL && is_text(conf) ? conf->str : "";
}

struct alk_span alk_conf_span(const struct alk_conf *conf)
{
    return conf != NULL && is_text(conf) ? alk_span(conf->str, conf->n) : alk_span(NULL, 0);
}

bool alk_conf_is_set(const struct alk_conf *conf)
{
    return conf != NULL && conf->is_set;
}

void alk_conf_where(const struct alk_conf *conf, char *ret, size_t ret_size)
{
    if (conf == NULL || conf->line == 0) {
        (void)snprintf(ret, ret_size, "default");
        return;
    }
    (void)snprintf(ret, ret_size, "%s:%u:%u", conf->doc->name, (unsigned)conf->line,
                   (unsigned)conf->column);
}

bool alk_conf_equal(const struct alk_conf *a, const struct alk_conf *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    if (a->type != b->type || a->num != b->num || a->n != b->n) {
        return false;
    }
    if (is_text(a)) {
        return memcmp(a->str, b->str, a->n) == 0;
    }
    for (size_t i = 0; i < alk_conf_count(a); i++) {
        /* Members of a dict are compared by key: their order has no meaning. */
        const struct alk_conf *other = &b->kids[i];
        if (a->type != ALK_CONF_LIST) {
            other = alk_conf_get(b, a->kids[i].key);
        }
        if (!alk_conf_equal(&a->kids[i], other)) {
            return false;
        }
    }
    return true;
}

bool alk_conf_get_bool(const struct alk_conf *conf, const char *name)
{
    return alk_conf_bool(alk_conf_get(conf, name));
}

uint64_t alk_conf_get_uint(const struct alk_conf *conf, const char *name)
{
    return alk_conf_uint(alk_conf_get(conf, name));
}

const char *alk_conf_get_str(const struct alk_conf *conf, const char *name)
{
    return alk_conf_str(alk_conf_get(conf, name));
}

enum alk_conf_type alk_conf_type(const struct alk_conf *conf)
{
    return conf->type;
}

enum alk_conf_reload alk_conf_reload(const struct alk_conf *conf)
{
    return conf->reload;
}

bool alk_conf_is_secret(const struct alk_conf *conf)
{
    return conf->is_secret;
}

void alk_conf_errors_fini(struct alk_conf_errors *errors)
{
    alk_free(errors->mem, errors->text);
    *errors = (struct alk_conf_errors){.mem = errors->mem};
}

void alk_conf_error(struct alk_conf_report *report, const struct alk_conf *at, const char *fmt, ...)
{
    char message[ALK_CONF_MESSAGE_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    alk_conf_report_at(report, at == NULL || at->line == 0 ? SIZE_MAX : at->at, "%s", message);
}

static struct alk_conf_doc *new_doc(const struct alk_mem *mem, const char *name)
{
    struct alk_conf_doc *doc = ALK_NEW(mem, struct alk_conf_doc);
    if (doc == NULL) {
        return NULL;
    }
    doc->mem = mem;
    atomic_init(&doc->refs, 1);
    alk_arena_init(&doc->arena, mem);
    doc->name = alk_arena_dup(&doc->arena, alk_span_str(name));
    doc->root = alk_arena_alloc(&doc->arena, 1, sizeof(*doc->root));
    if (doc->name == NULL || doc->root == NULL) {
        free_doc(doc);
        return NULL;
    }
    return doc;
}

static alk_err load(const struct alk_conf_source *source, struct alk_conf_doc *doc,
                    struct alk_arena *scratch, struct alk_conf_report *report)
{
    struct alk_yaml *yaml = NULL;
    ALK_TRY(alk_yaml_read(scratch, report, &yaml));
    if (report->count > 0) {
        return ALK_E_CONFIG;
    }
    struct alk_conf_builder builder = {doc, scratch, report, source->opener};
    ALK_TRY(alk_conf_build(&builder, source->table, yaml, doc->root));
    report->knows_secrets = true;
    if (report->count == 0 && source->verify != NULL) {
        ALK_TRY(source->verify(source->verify_ctx, doc->root, report));
    }
    return report->count > 0 ? ALK_E_CONFIG : ALK_OK;
}

alk_err alk_conf_load(const struct alk_mem *mem, const struct alk_conf_source *source,
                      struct alk_conf_errors *errors, const struct alk_conf **ret)
{
    const char *name = source->name == NULL ? "config" : source->name;
    struct alk_conf_doc *doc = new_doc(mem, name);
    if (doc == NULL) {
        return ALK_E_NOMEM;
    }
    struct alk_arena scratch;
    struct alk_conf_report report;
    alk_arena_init(&scratch, mem);
    alk_conf_report_init(&report, mem, source->text, name);
    report.table = source->table;

    alk_err err = load(source, doc, &scratch, &report);
    if (err == ALK_E_CONFIG && errors != NULL) {
        alk_conf_errors_fini(errors);
        errors->mem = mem;
        alk_err failed = alk_conf_report_write(&report, errors);
        err = failed == ALK_OK ? err : failed;
    }
    if (err == ALK_OK) {
        *ret = doc->root;
    } else {
        free_doc(doc);
    }
    alk_conf_report_fini(&report);
    alk_arena_fini(&scratch);
    return err;
}

alk_err alk_conf_parse(const struct alk_mem *mem, struct alk_span text, const char *name,
                       const struct alk_conf_row *table, struct alk_conf_errors *errors,
                       const struct alk_conf **ret)
{
    const struct alk_conf_source source = {.text = text, .name = name, .table = table};
    return alk_conf_load(mem, &source, errors, ret);
}
