/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/config/build.h"

#include "core/config/value.h"

#include "base/text.h"

#include <stdio.h>

#define PATH_MAX_BYTES  512
#define OPENED_MAX      ((size_t)1 << 20)
#define QUOTED_SIZE     96
#define SUGGESTIONS_MAX 128
#define KNOWN_MAX       12 /* members that an error message lists */

struct state {
    const struct alk_conf_builder *in;
    char path[PATH_MAX_BYTES]; /* dotted, of the value at hand; "" for the root */
    size_t path_n;
    bool is_default; /* inside a default: mistakes are the table's */
    bool is_opened;  /* inside an opened value: never shown, and no more opening */
    size_t opened_at;
    size_t opened_line, opened_column;
    bool is_table_bad;
};

static alk_err build(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                     struct alk_conf *ret);

static void report(struct state *s, size_t at, const char *message)
{
    if (s->is_default) {
        s->is_table_bad = true;
        return;
    }
    alk_conf_report_at(s->in->report, s->is_opened ? s->opened_at : at, "%s", message);
}

#define REPORT_SIZE ALK_CONF_MESSAGE_MAX

static size_t path_push(struct state *s, const char *name)
{
    size_t before = s->path_n;
    int n = snprintf(s->path + before, sizeof(s->path) - before, "%s%s",
                     before > 0 && name[0] != '[' ? "." : "", name);
    size_t added = n < 0 ? 0 : (size_t)n;
    size_t room = sizeof(s->path) - 1 - before;
    s->path_n += added < room ? added : room;
    return before;
}

static void path_pop(struct state *s, size_t before)
{
    s->path_n = before;
    s->path[before] = '\0';
}

/* The last name of the path: "port" of "listen[0].port"; of a list element the
 * list's. */
static const char *last_name(const struct state *s)
{
    size_t at = s->path_n;
    while (at > 0 && s->path[at - 1] != '.') {
        at--;
    }
    return s->path_n == 0 ? "the document" : s->path + at;
}

/* A value of the document for a message: escaped, short, and nothing of secrets. */
static const char *quoted(const struct state *s, const struct alk_conf_row *row,
                          const struct alk_yaml *y, char dst[static QUOTED_SIZE])
{
    struct alk_buf b;
    dst[0] = '\0';
    if (row->is_secret || s->is_opened || y->kind != ALK_YAML_SCALAR) {
        return dst;
    }
    alk_buf_init(&b, s->in->doc->mem, 4096);
    (void)alk_buf_put_str(&b, ", not '");
    (void)alk_buf_put_escaped(&b, alk_span(y->text, y->n), 40);
    (void)alk_buf_put_u8(&b, '\'');
    (void)alk_span_cstr(alk_span_head(alk_buf_span(&b), QUOTED_SIZE - 1), dst, QUOTED_SIZE);
    alk_buf_fini(&b);
    return dst;
}

static void report_value(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                         const char *want)
{
    char message[REPORT_SIZE];
    char value[QUOTED_SIZE];
    (void)snprintf(message, sizeof(message), "%s must be %s%s", last_name(s), want,
                   quoted(s, row, y, value));
    report(s, y->at, message);
}

static const char *kind_name(const struct alk_yaml *y)
{
    switch (y->kind) {
    case ALK_YAML_NULL:
        return "nothing";
    case ALK_YAML_SCALAR:
        return "a single value";
    case ALK_YAML_LIST:
        return "a list";
    case ALK_YAML_MAP:
        return "a map";
    }
    return "?";
}

static void report_kind(struct state *s, const struct alk_yaml *y, const char *want)
{
    char message[REPORT_SIZE];
    (void)snprintf(message, sizeof(message), "%s must be %s, not %s", last_name(s), want,
                   kind_name(y));
    report(s, y->at, message);
}

/* ------------------------------------------------------------------- scalars */

static bool read_bool(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                      struct alk_conf *ret)
{
    static const char *const yes[] = {"yes", "on", "y", "1", "true"};
    static const char *const no[] = {"no", "off", "n", "0", "false"};
    struct alk_span text = alk_span(y->text, y->n);
    ret->num = alk_span_is(text, "true");
    if (y->is_plain && (ret->num != 0 || alk_span_is(text, "false"))) {
        return true;
    }
    const char *want = "true or false";
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (alk_span_equal_nocase(text, alk_span_str(yes[i]))) {
            want = "true or false (write true)";
        } else if (alk_span_equal_nocase(text, alk_span_str(no[i]))) {
            want = "true or false (write false)";
        }
    }
    report_value(s, row, y, want);
    return false;
}

static bool is_in_bounds(const struct alk_conf_row *row, uint64_t value)
{
    return (row->min == 0 && row->max == 0) || (value >= row->min && value <= row->max);
}

static bool read_number(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                        struct alk_conf *ret)
{
    struct alk_span text = alk_span(y->text, y->n);
    const char *want = "a whole number";
    alk_err err = ALK_E_MALFORMED;
    if (row->type == ALK_CONF_SIZE) {
        want = "a size: a number with KiB, MiB, GiB or no unit, as 64KiB";
        err = alk_conf_read_size(text, &ret->num);
    } else if (row->type == ALK_CONF_DURATION) {
        want = "a length of time: a number with ms, s, m, h or d, as 10s";
        err = alk_conf_read_duration(text, &ret->num);
    } else {
        err = alk_conf_read_uint(text, &ret->num);
    }
    if (err == ALK_E_MALFORMED) {
        report_value(s, row, y, want);
        return false;
    }
    if (err != ALK_OK || !is_in_bounds(row, ret->num)) {
        char bounds[3 * ALK_CONF_VALUE_SIZE];
        alk_conf_print_bounds(row, bounds);
        report_value(s, row, y, bounds[0] == '\0' ? "smaller" : bounds);
        return false;
    }
    return true;
}

static bool read_string(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                        struct alk_conf *ret)
{
    char message[REPORT_SIZE];
    char bounds[3 * ALK_CONF_VALUE_SIZE];
    if (memchr(y->text, '\0', y->n) != NULL) {
        (void)snprintf(message, sizeof(message), "%s must not hold a zero byte", last_name(s));
        report(s, y->at, message);
        return false;
    }
    if (!is_in_bounds(row, y->n)) {
        alk_conf_print_bounds(row, bounds);
        (void)snprintf(message, sizeof(message), "%s must have %s bytes, not %zu", last_name(s),
                       bounds, y->n);
        report(s, y->at, message);
        return false;
    }
    ret->str = y->text; /* copied by the caller */
    ret->n = y->n;
    return true;
}

static void report_enum(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y)
{
    char want[REPORT_SIZE / 2];
    size_t n = 0;
    want[0] = '\0';
    for (size_t i = 0; row->values[i] != NULL && n < sizeof(want); i++) {
        const char *gap = i == 0 ? "" : row->values[i + 1] == NULL ? " or " : ", ";
        int added = snprintf(want + n, sizeof(want) - n, "%s%s", gap, row->values[i]);
        n += added < 0 ? 0 : (size_t)added;
    }
    report_value(s, row, y, want);
}

static bool read_enum(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                      struct alk_conf *ret)
{
    for (size_t i = 0; row->values[i] != NULL; i++) {
        if (alk_span_is(alk_span(y->text, y->n), row->values[i])) {
            ret->num = i;
            ret->str = y->text;
            ret->n = y->n;
            return true;
        }
    }
    report_enum(s, row, y);
    return false;
}

static alk_err build_scalar(struct state *s, const struct alk_conf_row *row,
                            const struct alk_yaml *y, struct alk_conf *ret)
{
    bool is_good = false;
    if (y->kind == ALK_YAML_NULL) {
        char message[REPORT_SIZE];
        (void)snprintf(message, sizeof(message), "%s needs a value", last_name(s));
        report(s, y->at, message);
    } else if (y->kind != ALK_YAML_SCALAR) {
        report_kind(s, y, "a single value");
    } else if (row->type == ALK_CONF_BOOL) {
        is_good = read_bool(s, row, y, ret);
    } else if (row->type == ALK_CONF_STRING) {
        is_good = read_string(s, row, y, ret);
    } else if (row->type == ALK_CONF_ENUM) {
        is_good = read_enum(s, row, y, ret);
    } else {
        is_good = read_number(s, row, y, ret);
    }
    ret->is_bad = !is_good;
    if (is_good && ret->str != NULL) {
        ret->str = alk_arena_dup(&s->in->doc->arena, alk_span(ret->str, ret->n));
        return ret->str == NULL ? ALK_E_NOMEM : ALK_OK;
    }
    return ALK_OK;
}

/* ---------------------------------------------------------------- containers */

static alk_err alloc_kids(struct state *s, struct alk_conf *ret, size_t n)
{
    ret->kids = alk_arena_alloc(&s->in->doc->arena, n == 0 ? 1 : n, sizeof(*ret->kids));
    return ret->kids == NULL ? ALK_E_NOMEM : ALK_OK;
}

static void check_count(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                        struct alk_conf *ret)
{
    if (!is_in_bounds(row, ret->n)) {
        char message[REPORT_SIZE];
        char bounds[3 * ALK_CONF_VALUE_SIZE];
        struct alk_conf_row plain = {.type = ALK_CONF_UINT, .min = row->min, .max = row->max};
        alk_conf_print_bounds(&plain, bounds);
        (void)snprintf(message, sizeof(message), "%s must have %s elements, not %zu", last_name(s),
                       bounds, ret->n);
        report(s, y->at, message);
        ret->is_bad = true;
    }
}

static alk_err build_element(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                             struct alk_conf *list)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "[%zu]", list->n);
    struct alk_conf *kid = &list->kids[list->n++];
    kid->reload = list->reload;
    kid->is_secret = list->is_secret;
    kid->is_set = list->is_set;
    kid->key = "";
    size_t before = path_push(s, name);
    alk_err err = build(s, row->sub, y, kid);
    path_pop(s, before);
    return err;
}

static alk_err build_list(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                          struct alk_conf *ret)
{
    bool is_single = row->scalar_ok && y->kind != ALK_YAML_LIST && y->kind != ALK_YAML_NULL;
    if (!is_single && y->kind != ALK_YAML_LIST && y->kind != ALK_YAML_NULL) {
        report_kind(s, y, "a list");
        return ALK_OK;
    }
    ALK_TRY(alloc_kids(s, ret, is_single ? 1 : y->n));
    if (is_single) {
        ALK_TRY(build_element(s, row, y, ret));
    } else {
        for (struct alk_yaml *e = y->first; e != NULL; e = e->next) {
            ALK_TRY(build_element(s, row, e, ret));
        }
    }
    check_count(s, row, y, ret);
    return ALK_OK;
}

static alk_err build_dict(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                          struct alk_conf *ret)
{
    if (y->kind != ALK_YAML_MAP && y->kind != ALK_YAML_NULL) {
        report_kind(s, y, "a map");
        return ALK_OK;
    }
    ALK_TRY(alloc_kids(s, ret, y->n));
    for (struct alk_yaml *e = y->first; e != NULL; e = e->next) {
        struct alk_conf *kid = &ret->kids[ret->n++];
        kid->reload = ret->reload;
        kid->is_secret = ret->is_secret;
        kid->is_set = ret->is_set;
        kid->key = alk_arena_dup(&s->in->doc->arena, alk_span(e->key, e->key_n));
        if (kid->key == NULL) {
            return ALK_E_NOMEM;
        }
        size_t before = path_push(s, kid->key);
        alk_err err = build(s, row->sub, e, kid);
        path_pop(s, before);
        if (err != ALK_OK) {
            return err;
        }
    }
    check_count(s, row, y, ret);
    return ALK_OK;
}

/* " (known: a, b, c)", or nothing when there are too many to read. */
static void put_known(const struct alk_conf_row *table, char *dst, size_t dst_size)
{
    size_t used = 0;
    size_t rows = 0;
    dst[0] = '\0';
    while (table[rows].name != NULL) {
        rows++;
    }
    for (size_t i = 0; i < rows && rows <= KNOWN_MAX && used < dst_size; i++) {
        int n = snprintf(dst + used, dst_size - used, "%s%s%s", i == 0 ? " (known: " : ", ",
                         table[i].name, i + 1 == rows ? ")" : "");
        used += n < 0 ? 0 : (size_t)n;
    }
}

static void report_unknown(struct state *s, const struct alk_conf_row *table,
                           const struct alk_yaml *y)
{
    const char *names[SUGGESTIONS_MAX];
    char message[REPORT_SIZE];
    char key[QUOTED_SIZE];
    char hint[REPORT_SIZE / 2];
    struct alk_yaml as_value = {.kind = ALK_YAML_SCALAR, .text = y->key, .n = y->key_n};
    const struct alk_conf_row plain = {.name = ""};
    size_t n = 0;
    for (; table[n].name != NULL && n < SUGGESTIONS_MAX; n++) {
        names[n] = table[n].name;
    }
    const char *near = alk_conf_suggest(alk_span(y->key, y->key_n), names, n);
    if (near != NULL) {
        (void)snprintf(hint, sizeof(hint), ": did you mean '%s'?", near);
    } else {
        put_known(table, hint, sizeof(hint));
    }
    /* ", not 'x'" without its beginning */
    size_t skip = sizeof(", not ") - 1;
    (void)quoted(s, &plain, &as_value, key);
    (void)snprintf(message, sizeof(message), "unknown key %s%s%s%s",
                   strlen(key) > skip ? key + skip : "", s->path_n > 0 ? " in " : "",
                   s->path_n > 0 ? last_name(s) : "", hint);
    report(s, y->key_at, message);
}

static alk_err build_member(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                            struct alk_conf *map)
{
    struct alk_conf *kid = &map->kids[map->n++];
    kid->reload = row->reload > map->reload ? row->reload : map->reload;
    kid->is_secret = map->is_secret;
    kid->is_set = y != NULL && map->is_set;
    kid->key = alk_arena_dup(&s->in->doc->arena, alk_span_str(row->name));
    if (kid->key == NULL) {
        return ALK_E_NOMEM;
    }
    size_t before = path_push(s, row->name);
    alk_err err = build(s, row, y, kid);
    path_pop(s, before);
    return err;
}

static size_t count_rows(const struct alk_conf_row *table)
{
    size_t n = 0;
    while (table[n].name != NULL) {
        n++;
    }
    return n;
}

static void check_unknown(struct state *s, const struct alk_conf_row *table,
                          const struct alk_yaml *map)
{
    for (const struct alk_yaml *y = map == NULL ? NULL : map->first; y != NULL; y = y->next) {
        if (!y->is_seen) {
            report_unknown(s, table, y);
        }
    }
}

/* Whether the row may be there at all: the member that it belongs to is. */
static bool is_apt(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *map,
                   const struct alk_yaml *y)
{
    char message[REPORT_SIZE];
    if (row->only_with == NULL || (map != NULL && alk_yaml_member(map, row->only_with) != NULL)) {
        return true;
    }
    if (y != NULL) {
        (void)snprintf(message, sizeof(message), "%s has no meaning without '%s'", row->name,
                       row->only_with);
        report(s, y->key_at, message);
    }
    return false;
}

static alk_err build_members(struct state *s, const struct alk_conf_row *table,
                             struct alk_yaml *map, struct alk_conf *ret)
{
    ALK_TRY(alloc_kids(s, ret, count_rows(table)));
    for (const struct alk_conf_row *row = table; row->name != NULL; row++) {
        struct alk_yaml *y = map == NULL ? NULL : alk_yaml_member(map, row->name);
        if (y != NULL) {
            y->is_seen = true;
        }
        if (!is_apt(s, row, map, y)) {
            continue;
        }
        if (y != NULL || row->fallback != NULL) {
            ALK_TRY(build_member(s, row, y, ret));
        } else if (row->is_required) {
            char message[REPORT_SIZE];
            (void)snprintf(message, sizeof(message), "%s needs '%s'", last_name(s), row->name);
            report(s, map == NULL ? SIZE_MAX : map->at, message);
        }
    }
    check_unknown(s, table, map);
    return ALK_OK;
}

static alk_err build_map(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                         struct alk_conf *ret)
{
    if (y->kind == ALK_YAML_SCALAR && row->scalar_ok && row->sub != NULL) {
        /* `require: none` is `require: {mode: none}`: the first row. */
        struct alk_yaml only = *y;
        only.next = NULL;
        only.key = row->sub[0].name;
        only.key_n = strlen(only.key);
        struct alk_yaml as_map = {.kind = ALK_YAML_MAP, .n = 1, .at = y->at, .end = y->end};
        as_map.first = &only;
        as_map.last = &only;
        return build_members(s, row->sub, &as_map, ret);
    }
    if (y->kind != ALK_YAML_MAP && y->kind != ALK_YAML_NULL) {
        report_kind(s, y, "a map");
        return ALK_OK;
    }
    if (row->sub == NULL) {
        return alloc_kids(s, ret, 0);
    }
    return build_members(s, row->sub, y, ret);
}

/* ------------------------------------------------------------------ defaults */

static bool is_scalar_type(enum alk_conf_type type)
{
    return type != ALK_CONF_LIST && type != ALK_CONF_MAP && type != ALK_CONF_DICT;
}

/* Reads a text that is not the user's document: a default, or an opened value. */
static alk_err read_inner(struct state *s, struct alk_span text, struct alk_yaml **ret,
                          bool *ret_is_bad)
{
    struct alk_conf_report inner;
    alk_conf_report_init(&inner, s->in->doc->mem, text, "");
    alk_err err = alk_yaml_read(s->in->scratch, &inner, ret);
    *ret_is_bad = inner.count > 0;
    alk_conf_report_fini(&inner);
    return err;
}

static alk_err build_default(struct state *s, const struct alk_conf_row *row, struct alk_conf *ret)
{
    struct alk_span text = alk_span_str(row->fallback);
    struct alk_yaml plain = {.kind = ALK_YAML_SCALAR, .is_plain = true, .n = text.n};
    struct alk_yaml *y = &plain;
    plain.text = row->fallback;
    if (alk_span_is(text, "{}") || alk_span_is(text, "[]")) {
        plain.kind = ALK_YAML_NULL;
    } else if (!is_scalar_type(row->type)) {
        bool is_bad = false;
        ALK_TRY(read_inner(s, text, &y, &is_bad));
        if (is_bad || y == NULL) {
            return ALK_E_INVALID;
        }
    }
    bool before = s->is_default;
    s->is_default = true;
    alk_err err = build(s, row, y, ret);
    s->is_default = before;
    return err == ALK_OK && s->is_table_bad ? ALK_E_INVALID : err;
}

/* ----------------------------------------------------------------- encrypted */

static alk_err build_opened(struct state *s, const struct alk_conf_row *row, struct alk_span text,
                            const struct alk_yaml *y, struct alk_conf *ret)
{
    struct alk_yaml value = {.kind = ALK_YAML_SCALAR, .n = text.n};
    struct alk_yaml *inner = &value;
    bool is_bad = false;
    if (row->type == ALK_CONF_STRING) {
        value.text = alk_arena_dup(s->in->scratch, text);
        if (value.text == NULL) {
            return ALK_E_NOMEM;
        }
        is_bad = !alk_span_is_utf8(text);
    } else {
        ALK_TRY(read_inner(s, text, &inner, &is_bad));
    }
    if (is_bad || inner == NULL) {
        report(s, y->at, "the encrypted value holds no valid YAML");
        ret->is_bad = true;
        return ALK_OK;
    }
    s->is_opened = true;
    s->opened_at = y->at;
    s->opened_line = y->line;
    s->opened_column = y->column;
    alk_err err = build(s, row, inner, ret);
    s->is_opened = false;
    return err;
}

/* Opens, and builds what was in it. */
static alk_err open_value(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                          struct alk_conf *ret)
{
    const struct alk_conf_opener *opener = s->in->opener;
    char message[REPORT_SIZE], why[ALK_CONF_WHY] = "";
    struct alk_buf json;
    struct alk_buf plain;
    alk_buf_init(&json, s->in->doc->mem, 4 * OPENED_MAX);
    alk_buf_init(&plain, s->in->doc->mem, OPENED_MAX);
    alk_yaml_put_json(&json, y);
    alk_err err = json.err;
    if (err == ALK_OK) {
        err = opener->open(opener->ctx, s->path, alk_buf_span(&json), &plain, why, sizeof(why));
        err = err == ALK_OK ? plain.err : err;
    }
    if (err == ALK_OK) {
        err = build_opened(s, row, alk_buf_span(&plain), y, ret);
    } else if (err != ALK_E_NOMEM) {
        (void)snprintf(message, sizeof(message), "cannot open the encrypted value: %s",
                       why[0] != '\0' ? why : alk_err_text(err));
        report(s, y->at, message);
        err = ALK_OK;
    }
    alk_buf_fini_secret(&plain);
    alk_buf_fini(&json);
    return err;
}

static alk_err build_encrypted(struct state *s, const struct alk_conf_row *row,
                               const struct alk_yaml *y, struct alk_conf *ret)
{
    char message[REPORT_SIZE];
    ret->is_secret = true;
    if (s->is_opened || s->is_default) {
        report(s, y->at, "an encrypted value holds another one");
        return ALK_OK;
    }
    if (s->path_n >= sizeof(s->path) - 1) {
        report(s, y->at, "the path of an encrypted value is too long"); /* it may be cut */
        return ALK_OK;
    }
    if (s->in->opener == NULL) {
        (void)snprintf(message, sizeof(message), "encrypted value but no key file: %.200s",
                       s->path);
        report(s, y->at, message);
        return ALK_OK;
    }
    return open_value(s, row, y, ret);
}

/* ---------------------------------------------------------------------- all */

static void run_check(struct state *s, const struct alk_conf_row *row, const struct alk_yaml *y,
                      struct alk_conf *ret)
{
    char why[200] = "";
    char message[REPORT_SIZE];
    if (row->check == NULL || ret->is_bad || s->is_default ||
        row->check(ret, why, sizeof(why)) == ALK_OK) {
        return;
    }
    /* A check may quote the value. */
    bool is_hidden = row->is_secret || ret->is_secret || why[0] == '\0';
    (void)snprintf(message, sizeof(message), "%s%s", is_hidden ? last_name(s) : why,
                   is_hidden ? " is not valid" : "");
    report(s, y->at, message);
    ret->is_bad = true;
}

static void set_place(const struct state *s, const struct alk_yaml *y, struct alk_conf *ret)
{
    if (s->is_default) {
        return;
    }
    ret->at = s->is_opened ? s->opened_at : y->at;
    ret->line = (uint32_t)(s->is_opened ? s->opened_line : y->line);
    ret->column = (uint32_t)(s->is_opened ? s->opened_column : y->column);
}

static alk_err build_value(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                           struct alk_conf *ret)
{
    switch (row->type) {
    case ALK_CONF_BOOL:
    case ALK_CONF_UINT:
    case ALK_CONF_SIZE:
    case ALK_CONF_DURATION:
    case ALK_CONF_STRING:
    case ALK_CONF_ENUM:
        return build_scalar(s, row, y, ret);
    case ALK_CONF_LIST:
        return build_list(s, row, y, ret);
    case ALK_CONF_MAP:
        return build_map(s, row, y, ret);
    case ALK_CONF_DICT:
        return build_dict(s, row, y, ret);
    }
    return ALK_E_INVALID;
}

/* y NULL: the default. ret has its key and what it inherits. */
static alk_err build(struct state *s, const struct alk_conf_row *row, struct alk_yaml *y,
                     struct alk_conf *ret)
{
    ret->doc = s->in->doc;
    ret->type = row->type;
    ret->is_secret = ret->is_secret || row->is_secret || s->is_opened;
    if (y == NULL) {
        return build_default(s, row, ret);
    }
    set_place(s, y, ret);
    if (ret->is_secret && !s->is_default && !s->is_opened && y->kind != ALK_YAML_NULL) {
        ALK_TRY(alk_conf_report_mask(s->in->report, y->at, y->end));
    }
    if (y->is_encrypted) {
        return build_encrypted(s, row, y, ret);
    }
    if (!is_scalar_type(row->type) && y->kind == ALK_YAML_NULL && row->fallback != NULL &&
        !s->is_default) {
        /* `limits:` with nothing behind it: as though it were not there. */
        ret->is_set = false;
        return build_default(s, row, ret);
    }
    ALK_TRY(build_value(s, row, y, ret));
    run_check(s, row, y, ret);
    return ALK_OK;
}

alk_err alk_conf_build(const struct alk_conf_builder *builder, const struct alk_conf_row *table,
                       struct alk_yaml *yaml, struct alk_conf *ret)
{
    static const struct alk_conf_row empty[] = {{.name = NULL}};
    const struct alk_conf_row root = {
        .name = "", .type = ALK_CONF_MAP, .sub = table == NULL ? empty : table};
    struct alk_yaml nothing = {.kind = ALK_YAML_NULL, .line = 1, .column = 1};
    struct state s = {.in = builder};
    ret->key = "";
    ret->is_set = yaml != NULL;
    return build(&s, &root, yaml == NULL ? &nothing : yaml, ret);
}
