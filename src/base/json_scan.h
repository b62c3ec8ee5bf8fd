/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/json_scan.h - a strict JSON reader that only walks: no tree, no allocation.
 *
 *     struct alk_json_scan s = alk_json_scan(text);
 *     ALK_TRY(alk_json_scan_enter(&s));
 *     while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
 *         ALK_TRY(alk_json_scan_value(&s, &value));
 *     }
 *     if (err == ALK_END) { err = alk_json_scan_end(&s); }
 *
 * [RFC 8259], UTF-8 alone, escaped surrogates in pairs alone. Everything walked over
 * has been checked: a value that came out is one strict JSON text. Duplicate members
 * are the caller's business (alk_json_key_equal). Numbers may be of any size.
 *
 * Errors: ALK_E_MALFORMED: not JSON. ALK_E_TOO_BIG: deeper than
 * ALK_JSON_SCAN_DEPTH_MAX or more than ALK_JSON_SCAN_VALUES_MAX values. After an
 * error the reader stays where it was and may not be used further.
 */
#ifndef ALK_BASE_JSON_SCAN_H
#define ALK_BASE_JSON_SCAN_H

#include "base/err.h"
#include "base/span.h"

#define ALK_JSON_SCAN_DEPTH_MAX  64    /* of arrays and objects, the outermost one counted */
#define ALK_JSON_SCAN_VALUES_MAX 65536 /* values of any kind; names do not count */

struct alk_json_scan {
    const uint8_t *p, *end;
    uint32_t values; /* that may still come */
    uint8_t depth;   /* objects entered */
    bool is_first;   /* in the object just entered */
};

/* The name of a member, between its quotes, as it stands in the text. */
struct alk_json_key {
    struct alk_span raw;
    bool has_escape;
};

/* Borrows the text for as long as the reader and what came out of it are used. */
struct alk_json_scan alk_json_scan(struct alk_span text);
/* Walks over one value. *ret_raw: its text, without the white space around it. */
ALK_NODISCARD alk_err alk_json_scan_value(struct alk_json_scan *s, struct alk_span *ret_raw);
/* Whether an object comes next. */
bool alk_json_scan_is_object(struct alk_json_scan *s);
/* Steps into the object that comes next. */
ALK_NODISCARD alk_err alk_json_scan_enter(struct alk_json_scan *s);
/* The next member: its value comes next and must be walked over or entered.
 * ALK_END: the object is over and left. */
ALK_NODISCARD alk_err alk_json_scan_member(struct alk_json_scan *s, struct alk_json_key *ret);
/* ALK_OK: nothing but white space is left. */
ALK_NODISCARD alk_err alk_json_scan_end(struct alk_json_scan *s);
/* The whole text is one value. */
ALK_NODISCARD alk_err alk_json_scan_check(struct alk_span text);
/* The whole text is one value that may stand in another text, within `depth` arrays and
 * objects of it. *values: how many that text may have yet; on ALK_OK they are fewer by
 * those of this one. */
ALK_NODISCARD alk_err alk_json_scan_within(struct alk_span text, uint8_t depth, uint32_t *values);

/* Whether a value that was walked over is certainly one that a tree can be made of: no
 * object in it names a member twice, and no number is too large for a double. False:
 * perhaps not; long and deep ones, and names with escapes, are not looked at to their
 * end. */
bool alk_json_is_simple(struct alk_span raw);

/* --- what came out; all of it has been checked --------------------------------- */

/* The same name, whatever is escaped in either. */
bool alk_json_key_equal(const struct alk_json_key *a, const struct alk_json_key *b);
/* Of the characters, whatever is escaped: of equal names the same. To tell many long ones
 * apart, each of which would have to be decoded for each other one. */
uint64_t alk_json_key_hash(const struct alk_json_key *key);
/* The rest of alk_json_key_is. */
bool alk_json_key_decodes_to(const struct alk_json_key *key, struct alk_span name);
static inline bool alk_json_key_is(const struct alk_json_key *key, struct alk_span name)
{
    return key->has_escape ? alk_json_key_decodes_to(key, name) : alk_span_equal(key->raw, name);
}

static inline bool alk_json_is_string(struct alk_span raw)
{
    return raw.n >= 2 && raw.p[0] == '"';
}
static inline bool alk_json_is_object(struct alk_span raw)
{
    return raw.n >= 2 && raw.p[0] == '{';
}
/* The rest of alk_json_text: something in the string is escaped. */
ALK_NODISCARD alk_err alk_json_decode(struct alk_span raw, uint8_t *dst, size_t dst_size,
                                      struct alk_span *ret);
/* The text of a string, decoded: borrows from raw when nothing in it is escaped, else
 * from dst, where it never takes more than raw.n - 2 bytes. ALK_E_INVALID: not a
 * string. ALK_E_TOO_BIG: dst is too small. */
ALK_NODISCARD static inline alk_err alk_json_text(struct alk_span raw, uint8_t *dst,
                                                  size_t dst_size, struct alk_span *ret)
{
    if (!alk_json_is_string(raw)) {
        return ALK_E_INVALID;
    }
    if (memchr(raw.p, '\\', raw.n) != NULL) {
        return alk_json_decode(raw, dst, dst_size, ret);
    }
    *ret = alk_span(raw.p + 1, raw.n - 2);
    return ALK_OK;
}
/* How many bytes at the front may stand in a JSON string as they are: ASCII without
 * controls, DEL, `"` and `\`. */
size_t alk_json_plain(struct alk_span s);

#endif
