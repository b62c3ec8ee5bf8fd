/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/config/yaml.h - a YAML document as a plain tree of its text.
 *
 * libfyaml does the parsing; this keeps what a configuration needs and refuses
 * the rest: anchors and aliases (expansion is how small documents become large
 * ones), tags but !encrypted, keys that are no plain text, duplicate keys, more
 * than one document. Bounded in bytes, depth and nodes (core/config/conf.h).
 */
#ifndef ALK_CORE_CONFIG_YAML_H
#define ALK_CORE_CONFIG_YAML_H

#include "core/config/arena.h"
#include "core/config/report.h"

enum alk_yaml_kind { ALK_YAML_NULL, ALK_YAML_SCALAR, ALK_YAML_LIST, ALK_YAML_MAP };

struct alk_yaml {
    enum alk_yaml_kind kind;
    bool is_plain;     /* SCALAR: without quotes */
    bool is_encrypted; /* tagged !encrypted */
    bool is_seen;      /* for the table check */
    const char *text;  /* SCALAR: unescaped, zero-terminated, UTF-8; may hold zero bytes */
    size_t n;          /* bytes of text, or elements of a list or map */
    const char *key;   /* of a map's member, zero-terminated; NULL elsewhere */
    size_t key_n;
    size_t key_at;       /* where the key stands; offsets are bytes into the text */
    size_t at, end;      /* where the value stands */
    size_t line, column; /* of `at`, from 1 */
    struct alk_yaml *first, *last, *next; /* children; the next sibling */
};

/* *ret: the root, from the arena; NULL when the document is empty or something
 * was reported. ALK_OK also after reported errors. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_yaml_read(struct alk_arena *arena, struct alk_conf_report *report,
                                    struct alk_yaml **ret);
/* Appends the value as JSON. Plain numbers, booleans and null stay what they
 * are, all other text becomes strings. Sticky errors of b. */
void alk_yaml_put_json(struct alk_buf *b, const struct alk_yaml *y);
/* The child with this key, or NULL. */
struct alk_yaml *alk_yaml_member(const struct alk_yaml *map, const char *key);

#endif
