/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/conf.h - settings: a table that describes them and a tree that holds
 * them.
 *
 * A handler declares its settings as a table of rows that ends with a row whose
 * name is NULL. The loader checks a YAML document against the tables, fills in
 * defaults and gives an immutable, counted tree; the manual's option list is
 * made from the same rows. A tree may be read from every thread.
 */
#ifndef ALKNET_CONF_H
#define ALKNET_CONF_H

#include "alknet/err.h"
#include "alknet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum alk_conf_type {
    ALK_CONF_BOOL,
    ALK_CONF_UINT,     /* min..max */
    ALK_CONF_SIZE,     /* bytes: 64KiB, 16MiB, 1GiB, or a plain number */
    ALK_CONF_DURATION, /* held in ns: 500ms, 10s, 5m, 1h, 30d */
    ALK_CONF_STRING,   /* min..max bytes */
    ALK_CONF_ENUM,     /* one of `values`; held as its index */
    ALK_CONF_LIST,     /* of elements described by `sub` (its first row); min..max elements */
    ALK_CONF_MAP,      /* of named members described by `sub` */
    ALK_CONF_DICT      /* free keys; each value described by `sub` (its first row) */
};

/* When a changed value takes effect. */
enum alk_conf_reload { ALK_RELOAD_LIVE, ALK_RELOAD_NEW, ALK_RELOAD_RESTART };

struct alk_conf;
/* Checks one value beyond type and bounds. On failure writes one sentence for
 * the user into why[0..why_size) and returns ALK_E_CONFIG. */
typedef alk_err alk_conf_check_fn(const struct alk_conf *value, char *why, size_t why_size);

struct alk_conf_row {
    const char *name; /* NULL ends the table */
    enum alk_conf_type type;
    uint64_t min, max;         /* 0, 0: no bounds */
    const char *fallback;      /* default, as it would be written; NULL: absent */
    const char *const *values; /* of an enum, NULL-terminated */
    const struct alk_conf_row *sub;
    enum alk_conf_reload reload;
    bool is_required;
    bool is_secret; /* never shown by status, errors or logs */
    bool scalar_ok; /* LIST: a single element may stand for the list; MAP: a scalar may stand for
                     * its first member, as in `require: none` */
    alk_conf_check_fn *check;
    const char *only_with; /* of a MAP's member: another member, without which this one has no
                            * default and must not stand there; NULL: none */
    const char *unit; /* for the manual: "bytes", "connections", ... */
    const char *help; /* one or two sentences for the manual */
};

/* Trees are counted: ref returns its argument, the last unref releases it. NULL
 * is accepted. */
ALK_API const struct alk_conf *alk_conf_ref(const struct alk_conf *conf);
ALK_API void alk_conf_unref(const struct alk_conf *conf);

/* Member `name` of a map or dict; NULL when absent (no default either). conf
 * NULL is an empty map. The result borrows from the tree. */
ALK_API const struct alk_conf *alk_conf_get(const struct alk_conf *conf, const char *name);
ALK_API size_t alk_conf_count(const struct alk_conf *conf);
/* Element i of a list, map or dict. */
ALK_API const struct alk_conf *alk_conf_at(const struct alk_conf *conf, size_t i);
/* The key under which a member stands; "" for list elements and the root. */
ALK_API const char *alk_conf_key(const struct alk_conf *conf);
/* Values. Of another type or NULL: 0, false, "". Strings end with a zero; the
 * string of an enum is its name. */
ALK_API bool alk_conf_bool(const struct alk_conf *conf);
/* Also of a size (bytes), a duration (ns), an enum. */
ALK_API uint64_t alk_conf_uint(const struct alk_conf *conf);
ALK_API const char *alk_conf_str(const struct alk_conf *conf);
ALK_API struct alk_span alk_conf_span(const struct alk_conf *conf);
/* Whether the file said so, rather than the default. */
ALK_API bool alk_conf_is_set(const struct alk_conf *conf);
/* Where it stands: "file:line:column", or "default". */
ALK_API void alk_conf_where(const struct alk_conf *conf, char *ret, size_t ret_size);
/* Same shape and values; positions do not matter. NULL equals NULL. */
ALK_API bool alk_conf_equal(const struct alk_conf *a, const struct alk_conf *b);

/* Shorthands for the member `name`. */
ALK_API bool alk_conf_get_bool(const struct alk_conf *conf, const char *name);
ALK_API uint64_t alk_conf_get_uint(const struct alk_conf *conf, const char *name);
ALK_API const char *alk_conf_get_str(const struct alk_conf *conf, const char *name);

/* Collects what is wrong with a document: one text of several messages, each
 * with position, source line and caret. Zero-initialise; free with fini. */
struct alk_conf_errors {
    const struct alk_mem *mem; /* set by the loader: where text is from */
    char *text;                /* owns; zero-terminated, NULL when empty */
    size_t n;
    unsigned count;
};
ALK_API void alk_conf_errors_fini(struct alk_conf_errors *errors);

/* Reads a YAML document (text; `name` is used in messages) against a table.
 * ALK_OK: *ret is a tree with one reference. ALK_E_CONFIG: the document is
 * wrong, *errors says how. ALK_E_NOMEM. Bounded: 1 MiB, depth 32. */
ALK_NODISCARD ALK_API alk_err alk_conf_parse(const struct alk_mem *mem, struct alk_span text,
                                             const char *name, const struct alk_conf_row *table,
                                             struct alk_conf_errors *errors,
                                             const struct alk_conf **ret);
/* Writes the tree as a YAML document that parses to an equal tree; secrets
 * included. The text is zero-terminated and the caller's to release. */
ALK_NODISCARD ALK_API alk_err alk_conf_print(const struct alk_mem *mem,
                                             const struct alk_conf *conf, char **ret,
                                             size_t *ret_n);

#ifdef __cplusplus
}
#endif

#endif
