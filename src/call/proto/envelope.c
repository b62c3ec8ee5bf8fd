/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/proto/envelope.h"

#include "call/proto/core.h"

static enum alk_call_type type_of(struct alk_span name)
{
    if (alk_span_equal(name, ALK_LIT("call.requested"))) {
        return ALK_CALL_TYPE_REQUESTED;
    }
    if (alk_span_equal(name, ALK_LIT("call.responded"))) {
        return ALK_CALL_TYPE_RESPONDED;
    }
    if (alk_span_equal(name, ALK_LIT("call.completed"))) {
        return ALK_CALL_TYPE_COMPLETED;
    }
    if (alk_span_equal(name, ALK_LIT("call.error"))) {
        return ALK_CALL_TYPE_ERROR;
    }
    if (alk_span_equal(name, ALK_LIT("call.aborted"))) {
        return ALK_CALL_TYPE_ABORTED;
    }
    return alk_span_equal(name, ALK_LIT("call.credit")) ? ALK_CALL_TYPE_CREDIT
                                                        : ALK_CALL_TYPE_UNKNOWN;
}

bool alk_call_id_is_valid(struct alk_span id)
{
    if (id.n == 0 || id.n > ALK_CALL_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] < 0x21 || id.p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

/* --- names -------------------------------------------------------------------------- */

/* Which name of a payload it is, if it is one: those of one length differ in the first
 * two bytes. */
static enum alk_call_name candidate(struct alk_span s)
{
    switch (s.n) {
    case 1:
        return ALK_CALL_NAME_N;
    case 4:
        return ALK_CALL_NAME_CODE;
    case 5:
        return ALK_CALL_NAME_INPUT;
    case 6:
        if (s.p[0] == 'c') {
            return s.p[1] == 'a' ? ALK_CALL_NAME_CALLER : ALK_CALL_NAME_CREDIT;
        }
        return s.p[0] == 'o' ? ALK_CALL_NAME_OUTPUT : ALK_CALL_NAME_REASON;
    case 7:
        return s.p[0] == 'm' ? ALK_CALL_NAME_MESSAGE : ALK_CALL_NAME_DETAILS;
    case 9:
        return ALK_CALL_NAME_RETRYABLE;
    case 10:
        return s.p[0] == 'a' ? ALK_CALL_NAME_AUTH_TOKEN : ALK_CALL_NAME_TIMEOUT_MS;
    case 11:
        return s.p[0] == 'o' ? ALK_CALL_NAME_OPERATION_ID : ALK_CALL_NAME_TRACEPARENT;
    default:
        return ALK_CALL_NAME_COUNT;
    }
}

static enum alk_call_name name_of(const struct alk_json_key *key)
{
    static const struct alk_span names[] = {
#define X(name, text) {(const uint8_t *)(text), sizeof(text) - 1},
        ALK_CALL_NAMES(X)
#undef X
    };
    enum alk_call_name name = 0;
    if (key->has_escape) {
        while (name < ALK_CALL_NAME_COUNT && !alk_json_key_decodes_to(key, names[name])) {
            name++;
        }
        return name;
    }
    name = candidate(key->raw);
    bool is_it = name != ALK_CALL_NAME_COUNT && alk_span_equal(key->raw, names[name]);
    return is_it ? name : ALK_CALL_NAME_COUNT;
}

/* What is ours of the envelope itself. */
enum part { PART_TYPE, PART_ID, PART_PAYLOAD, PART_OTHER };

static enum part part_of(const struct alk_json_key *key)
{
    if (alk_json_key_is(key, ALK_LIT("type"))) {
        return PART_TYPE;
    }
    if (alk_json_key_is(key, ALK_LIT("id"))) {
        return PART_ID;
    }
    return alk_json_key_is(key, ALK_LIT("payload")) ? PART_PAYLOAD : PART_OTHER;
}

/* A name that is none of ours. */
struct other {
    struct alk_json_key key;
    bool is_hashed;
    uint64_t hash;
};

/* The names that an object has had so far. */
struct seen {
    unsigned count;
    uint32_t known; /* a bit for each name of ours */
    unsigned other_n;
    struct other others[ALK_CALL_MEMBERS_MAX];
};

static void seen_init(struct seen *seen)
{
    seen->count = 0;
    seen->known = 0;
    seen->other_n = 0;
}

/* ALK_E_MALFORMED: there was one of that name. ALK_E_TOO_BIG: one too many. */
static alk_err note_known(struct seen *seen, unsigned name)
{
    if ((seen->known >> name & 1) != 0) {
        return ALK_E_MALFORMED;
    }
    if (seen->count == ALK_CALL_MEMBERS_MAX) {
        return ALK_E_TOO_BIG;
    }
    seen->known |= (uint32_t)1 << name;
    seen->count++;
    return ALK_OK;
}

static uint64_t hash_of(struct other *o)
{
    if (!o->is_hashed) {
        o->hash = alk_json_key_hash(&o->key);
        o->is_hashed = true;
    }
    return o->hash;
}

/* Names with escapes are compared slowly, and a peer may send 32 that are as long as a frame
 * allows and differ at their ends. */
static bool is_same(struct other *a, struct other *b)
{
    bool is_slow = a->key.has_escape || b->key.has_escape;
    return (!is_slow || hash_of(a) == hash_of(b)) && alk_json_key_equal(&a->key, &b->key);
}

static alk_err note_other(struct seen *seen, const struct alk_json_key *key)
{
    struct other other = {.key = *key};
    for (unsigned i = 0; i < seen->other_n; i++) {
        if (is_same(&seen->others[i], &other)) {
            return ALK_E_MALFORMED;
        }
    }
    if (seen->count == ALK_CALL_MEMBERS_MAX) {
        return ALK_E_TOO_BIG;
    }
    seen->others[seen->other_n++] = other;
    seen->count++;
    return ALK_OK;
}

/* --- values ------------------------------------------------------------------------- */

static alk_err read_payload(struct alk_json_scan *s, struct alk_call_envelope *ret)
{
    struct alk_json_key key;
    struct alk_span value;
    struct seen seen;
    ret->has_payload = alk_json_scan_is_object(s);
    if (!ret->has_payload) {
        return alk_json_scan_value(s, &value);
    }
    seen_init(&seen);
    ALK_TRY(alk_json_scan_enter(s));
    alk_err err;
    while ((err = alk_json_scan_member(s, &key)) == ALK_OK) {
        enum alk_call_name name = name_of(&key);
        if (name == ALK_CALL_NAME_COUNT) {
            ALK_TRY(note_other(&seen, &key));
            ALK_TRY(alk_json_scan_value(s, &value));
        } else {
            ALK_TRY(note_known(&seen, name));
            ALK_TRY(alk_json_scan_value(s, &ret->values[name]));
        }
    }
    ret->has = seen.known;
    ret->count = seen.count;
    return err == ALK_END ? ALK_OK : err;
}

/* Both are written without escapes as a rule, and need no decoding then. */
static void take_type(struct alk_span raw, struct alk_call_envelope *ret)
{
    uint8_t room[16]; /* the longest one has 14 bytes */
    struct alk_span name;
    if (!alk_json_is_string(raw)) {
        return;
    }
    ret->type = type_of(alk_span(raw.p + 1, raw.n - 2));
    if (ret->type == ALK_CALL_TYPE_UNKNOWN &&
        alk_json_text(raw, room, sizeof(room), &name) == ALK_OK) {
        ret->type = type_of(name);
    }
}

static void take_id(struct alk_span raw, struct alk_call_envelope *ret)
{
    struct alk_span id;
    if (alk_json_text(raw, ret->id_room, sizeof(ret->id_room), &id) == ALK_OK &&
        alk_call_id_is_valid(id)) {
        ret->id = id;
    }
}

/* The value of a member of the envelope itself. */
static alk_err read_part(struct alk_json_scan *s, enum part part, struct alk_call_envelope *ret)
{
    struct alk_span value;
    if (part == PART_PAYLOAD) {
        return read_payload(s, ret);
    }
    ALK_TRY(alk_json_scan_value(s, &value));
    if (part == PART_TYPE) {
        take_type(value, ret);
    } else if (part == PART_ID) {
        take_id(value, ret);
    }
    return ALK_OK;
}

alk_err alk_call_envelope_read(struct alk_span body, struct alk_call_envelope *ret)
{
    struct alk_json_scan s = alk_json_scan(body);
    struct alk_json_key key;
    struct seen seen;
    alk_err err;
    ret->type = ALK_CALL_TYPE_UNKNOWN;
    ret->id = (struct alk_span){NULL, 0};
    ret->has_payload = false;
    ret->count = 0;
    ret->has = 0;
    seen_init(&seen);
    ALK_TRY(alk_json_scan_enter(&s));
    while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
        enum part part = part_of(&key);
        ALK_TRY(part == PART_OTHER ? note_other(&seen, &key) : note_known(&seen, part));
        ALK_TRY(read_part(&s, part, ret));
    }
    return err == ALK_END ? alk_json_scan_end(&s) : err;
}
