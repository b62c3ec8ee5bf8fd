/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "call/proto/envelope.h"

#include "call/proto/core.h"

static enum alk_call_type type_of(struct alk_span name)
{
    static const struct {
        enum alk_call_type type;
        struct alk_span name;
    } types[] = {
        {ALK_CALL_TYPE_REQUESTED, {(const uint8_t *)"requested", 9}},
        {ALK_CALL_TYPE_RESPONDED, {(const uint8_t *)"responded", 9}},
        {ALK_CALL_TYPE_COMPLETED, {(const uint8_t *)"completed", 9}},
        {ALK_CALL_TYPE_ERROR, {(const uint8_t *)"error", 5}},
        {ALK_CALL_TYPE_ABORTED, {(const uint8_t *)"aborted", 7}},
        {ALK_CALL_TYPE_CREDIT, {(const uint8_t *)"credit", 6}},
    };
    if (!alk_span_starts(name, ALK_LIT("call."))) {
        return ALK_CALL_TYPE_UNKNOWN;
    }
    name = alk_span_tail(name, 5);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (alk_span_equal(name, types[i].name)) {
            return types[i].type;
        }
    }
    return ALK_CALL_TYPE_UNKNOWN;
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

/* A name that stands among the n before it is refused. */
static alk_err check_new(const struct alk_call_member *members, unsigned n,
                         const struct alk_json_key *key)
{
    for (unsigned i = 0; i < n; i++) {
        if (alk_json_key_equal(&members[i].key, key)) {
            return ALK_E_MALFORMED;
        }
    }
    return n < ALK_CALL_MEMBERS_MAX ? ALK_OK : ALK_E_TOO_BIG;
}

static alk_err read_payload(struct alk_json_scan *s, struct alk_call_envelope *ret)
{
    struct alk_json_key key;
    struct alk_span value;
    ret->has_payload = alk_json_scan_is_object(s);
    if (!ret->has_payload) {
        return alk_json_scan_value(s, &value);
    }
    ALK_TRY(alk_json_scan_enter(s));
    alk_err err;
    while ((err = alk_json_scan_member(s, &key)) == ALK_OK) {
        ALK_TRY(check_new(ret->members, ret->count, &key));
        struct alk_call_member *m = &ret->members[ret->count];
        m->key = key;
        ALK_TRY(alk_json_scan_value(s, &m->value));
        ret->count++;
    }
    return err == ALK_END ? ALK_OK : err;
}

static void take_type(struct alk_span raw, struct alk_call_envelope *ret)
{
    uint8_t room[16]; /* the longest one has 14 bytes */
    struct alk_span name;
    if (alk_json_text(raw, room, sizeof(room), &name) == ALK_OK) {
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
static alk_err read_value(struct alk_json_scan *s, const struct alk_json_key *key,
                          struct alk_call_envelope *ret)
{
    struct alk_span value;
    if (alk_json_key_is(key, ALK_LIT("payload"))) {
        return read_payload(s, ret);
    }
    ALK_TRY(alk_json_scan_value(s, &value));
    if (alk_json_key_is(key, ALK_LIT("type"))) {
        take_type(value, ret);
    } else if (alk_json_key_is(key, ALK_LIT("id"))) {
        take_id(value, ret);
    }
    return ALK_OK;
}

alk_err alk_call_envelope_read(struct alk_span body, struct alk_call_envelope *ret)
{
    struct alk_json_scan s = alk_json_scan(body);
    struct alk_call_member seen[ALK_CALL_MEMBERS_MAX];
    struct alk_json_key key;
    unsigned n = 0;
    alk_err err;
    ret->type = ALK_CALL_TYPE_UNKNOWN;
    ret->id = (struct alk_span){NULL, 0};
    ret->has_payload = false;
    ret->count = 0;
    ALK_TRY(alk_json_scan_enter(&s));
    while ((err = alk_json_scan_member(&s, &key)) == ALK_OK) {
        ALK_TRY(check_new(seen, n, &key));
        seen[n++].key = key;
        ALK_TRY(read_value(&s, &key, ret));
    }
    return err == ALK_END ? alk_json_scan_end(&s) : err;
}

struct alk_span alk_call_envelope_get(const struct alk_call_envelope *e, struct alk_span name)
{
    for (unsigned i = 0; i < e->count; i++) {
        if (alk_json_key_is(&e->members[i].key, name)) {
            return e->members[i].value;
        }
    }
    return (struct alk_span){NULL, 0};
}
