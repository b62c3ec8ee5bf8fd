/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/frame.h - the frames of the call protocol (DESIGN.md §9): a 4-byte
 * big-endian length, then one JSON object {"type", "id", "payload"}.
 *
 * Pure: no I/O, no clock. JSON is strict: UTF-8, no duplicate members, bounded
 * depth and number of values; numbers as in the text. Unknown members of the
 * envelope are ignored.
 */
#ifndef ALK_CORE_FRAME_H
#define ALK_CORE_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <yyjson.h>

#define ALK_FRAME_MAX         ((size_t)1 << 20) /* bytes of the JSON text */
#define ALK_FRAME_MAX_UNKNOWN ((size_t)65536)   /* without identity */
#define ALK_FRAME_ID_MAX      64
#define ALK_JSON_DEPTH_MAX    64
#define ALK_JSON_VALUES_MAX   65536
/* Of a frame: objects around an output or the details of an error, and values beside it. */
#define ALK_FRAME_DEPTH       2
#define ALK_FRAME_VALUES      8

/* Reads a JSON text under the policy above. *ret is freed with yyjson_doc_free.
 * ALK_E_MALFORMED: not such a text. ALK_E_TOO_BIG: too deep or too many values.
 * ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_json_parse(struct alk_span text, struct yyjson_doc **ret);
/* The same with the document in memory of `alc`, which must live as long as it. */
ALK_NODISCARD alk_err alk_json_parse_in(struct alk_span text, const struct yyjson_alc *alc,
                                        struct yyjson_doc **ret);
/* The same for a value that alk_json_scan has walked over: its depth is known. */
ALK_NODISCARD alk_err alk_json_parse_scanned(struct alk_span text, const struct yyjson_alc *alc,
                                             struct yyjson_doc **ret);
/* Whether a JSON text can be an output, or the details of an error, in a frame that others
 * read. ALK_E_MALFORMED: it is no JSON. ALK_E_TOO_BIG: too deep or too many values. */
ALK_NODISCARD alk_err alk_frame_takes(struct alk_span text);
/* Appends a value as one line of JSON, or indented by two for people.
 * ALK_E_NOMEM, ALK_E_TOO_BIG. */
ALK_NODISCARD alk_err alk_json_put(struct alk_buf *b, struct yyjson_mut_val *value, bool is_pretty);

/* Cuts one frame off the front of `in`.
 * ALK_OK: *ret_body is its JSON text (borrows from in), *ret_used its bytes with
 * the length. ALK_MORE: a proper prefix. ALK_E_MALFORMED: length 0.
 * ALK_E_TOO_BIG: longer than max, told as soon as the length is there. */
ALK_NODISCARD alk_err alk_frame_cut(struct alk_span in, size_t max, struct alk_span *ret_body,
                                    size_t *ret_used);

enum alk_frame_type {
    ALK_FRAME_UNKNOWN, /* well formed, of a type we do not know */
    ALK_FRAME_REQUESTED,
    ALK_FRAME_RESPONDED,
    ALK_FRAME_COMPLETED,
    ALK_FRAME_ERROR,
    ALK_FRAME_ABORTED,
    ALK_FRAME_CREDIT
};
/* "call.requested", ...; NULL for ALK_FRAME_UNKNOWN. Static text. */
const char *alk_frame_type_name(enum alk_frame_type type);

struct alk_frame {
    struct yyjson_doc *doc; /* owns */
    enum alk_frame_type type;
    char id[ALK_FRAME_ID_MAX + 1];
    struct yyjson_val *payload; /* an object; NULL when absent */
};
/* Reads a frame's JSON text. Free with fini, also after a failure.
 * ALK_E_MALFORMED: no such object: close the stream. An id that is absent is "".
 * ALK_E_PROTOCOL: of a known type, but id or payload are not what they must be;
 * type and id are set as far as they were right. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_frame_parse(struct alk_span body, struct alk_frame *ret);
void alk_frame_fini(struct alk_frame *frame);

/* Appends a whole frame. payload NULL is {}. id: 1-64 printable ASCII bytes.
 * ALK_E_TOO_BIG: longer than max. ALK_E_NOMEM. *b is unchanged on failure. */
ALK_NODISCARD alk_err alk_frame_put(struct alk_buf *b, enum alk_frame_type type, const char *id,
                                    struct yyjson_mut_val *payload, size_t max);
bool alk_frame_id_is_valid(struct alk_span id);

/* The code of `call.error` for an error of ours: "NOT_FOUND", "CONFLICT", ...;
 * and whether trying again may help. Static text. */
const char *alk_frame_code(alk_err err);
bool alk_frame_code_is_retryable(const char *code);

#endif
