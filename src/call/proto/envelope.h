/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call/proto/envelope.h - the body of one frame: {"type", "id", "payload"}
 * [DESIGN.md §9], read in one pass and without copying.
 *
 * Pure. The whole text is checked: strict JSON of bounded depth and size, no name
 * twice in the envelope or in the payload (inside the payload's members it may be:
 * whoever reads those objects looks himself).
 */
#ifndef ALK_CALL_ENVELOPE_H
#define ALK_CALL_ENVELOPE_H

#include "base/json_scan.h"

/* Members of the envelope, and of a payload, known and unknown. */
#define ALK_CALL_MEMBERS_MAX 32

enum alk_call_type {
    ALK_CALL_TYPE_UNKNOWN, /* none, or none of these */
    ALK_CALL_TYPE_REQUESTED,
    ALK_CALL_TYPE_RESPONDED,
    ALK_CALL_TYPE_COMPLETED,
    ALK_CALL_TYPE_ERROR,
    ALK_CALL_TYPE_ABORTED,
    ALK_CALL_TYPE_CREDIT
};

struct alk_call_member {
    struct alk_json_key key;
    struct alk_span value; /* JSON text */
};

/* Spans borrow from the body, id from here when it was written with escapes. */
struct alk_call_envelope {
    enum alk_call_type type;
    struct alk_span id; /* decoded; empty: absent, or not 1-64 printable ASCII bytes */
    bool has_payload;   /* and it is an object */
    unsigned count;
    struct alk_call_member members[ALK_CALL_MEMBERS_MAX]; /* of the payload */
    uint8_t id_room[64];
};

/* Reads a body into *ret. ALK_E_MALFORMED: not such an object. ALK_E_TOO_BIG: over a
 * bound of JSON (base/json_scan.h) or too many members; type and id are set then when
 * they stood before the place. */
ALK_NODISCARD alk_err alk_call_envelope_read(struct alk_span body, struct alk_call_envelope *ret);
/* A member of the payload: JSON text; empty: absent. */
struct alk_span alk_call_envelope_get(const struct alk_call_envelope *e, struct alk_span name);
/* 1-64 printable ASCII bytes, no space. */
bool alk_call_id_is_valid(struct alk_span id);

#endif
