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

/* Members of a payload that mean something to the protocol. */
#define ALK_CALL_NAMES(X)                                                                          \
    X(OPERATION_ID, "operationId")                                                                 \
    X(INPUT, "input")                                                                              \
    X(AUTH_TOKEN, "auth_token")                                                                    \
    X(TIMEOUT_MS, "timeout_ms")                                                                    \
    X(CREDIT, "credit")                                                                            \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(CALLER, "caller")                                                                            \
    X(OUTPUT, "output")                                                                            \
    X(CODE, "code")                                                                                \
    X(MESSAGE, "message")                                                                          \
    X(RETRYABLE, "retryable")                                                                      \
    X(DETAILS, "details")                                                                          \
    X(REASON, "reason")                                                                            \
    X(N, "n")

enum alk_call_name {
#define X(name, text) ALK_CALL_NAME_##name,
    ALK_CALL_NAMES(X)
#undef X
        ALK_CALL_NAME_COUNT /* none of these */
};

/* Spans borrow from the body, id from here when it was written with escapes. */
struct alk_call_envelope {
    enum alk_call_type type;
    struct alk_span id; /* decoded; empty: absent, or not 1-64 printable ASCII bytes */
    bool has_payload;   /* and it is an object */
    unsigned count;     /* members of the payload, all of them */
    uint32_t has;       /* a bit for each name: whether its value is set */
    struct alk_span values[ALK_CALL_NAME_COUNT]; /* JSON text */
    uint8_t id_room[64];
};

/* Reads a body into *ret. ALK_E_MALFORMED: not such an object. ALK_E_TOO_BIG: over a
 * bound of JSON (base/json_scan.h) or too many members; type and id are set then when
 * they stood before the place. */
ALK_NODISCARD alk_err alk_call_envelope_read(struct alk_span body, struct alk_call_envelope *ret);
/* A member of the payload of an envelope that was read: JSON text; empty: absent. */
static inline struct alk_span alk_call_envelope_get(const struct alk_call_envelope *e,
                                                    enum alk_call_name name)
{
    return (e->has >> name & 1) != 0 ? e->values[name] : (struct alk_span){NULL, 0};
}
/* 1-64 printable ASCII bytes, no space. */
bool alk_call_id_is_valid(struct alk_span id);

#endif
