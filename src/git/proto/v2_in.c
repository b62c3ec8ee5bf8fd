/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the server says: each state has a row in the table at the end. */
#include "git/proto/v2_impl.h"

static void tell(struct alk_git_v2 *c, struct alk_git_v2_event event)
{
    c->event = event;
    c->has_event = true;
}

static alk_err tell_object(struct alk_git_v2 *c, enum alk_git_v2_event_kind kind,
                           struct alk_span id, struct alk_span name)
{
    if (id.n != c->id_hex || !alk_git_id_is_valid(id)) {
        return ALK_E_PROTOCOL;
    }
    tell(c, (struct alk_git_v2_event){.kind = kind, .u.object = {.id = id, .name = name}});
    return ALK_OK;
}

/* The server gives up: the event is the last. */
static alk_err tell_refusal(struct alk_git_v2 *c, struct alk_span text)
{
    tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_REFUSED, .u.text = text});
    return ALK_E_STOPPED;
}

static alk_err tell_end(struct alk_git_v2 *c)
{
    tell(c,
         (struct alk_git_v2_event){
             .kind = ALK_GIT_V2_END,
             .u.end = {.is_v2 = !c->is_old, .has_pack = c->has_pack, .is_enough = c->is_enough}});
    return ALK_OK;
}

/* An answer's flush. */
static alk_err end_answer(struct alk_git_v2 *c)
{
    c->state = c->has_response_end ? V2_RESPONSE_END : V2_IDLE;
    return c->has_response_end ? ALK_OK : tell_end(c);
}

/* --- the first words ------------------------------------------------------------------ */

/* Learns the length of ids from the capabilities. */
static alk_err learn_format(struct alk_git_v2 *c)
{
    struct alk_span format = ALK_LIT("sha1");
    (void)alk_git_v2_cap(c, "object-format", &format);
    c->id_hex = alk_span_is(format, "sha256") ? ALK_GIT_SHA256_HEX : ALK_GIT_SHA1_HEX;
    return c->id_hex == ALK_GIT_SHA256_HEX || alk_span_is(format, "sha1") ? ALK_OK : ALK_E_PROTOCOL;
}

static alk_err cap_line(struct alk_git_v2 *c, struct alk_span line)
{
    if (line.n == 0 || alk_span_find(line, 0) < line.n || alk_span_find(line, '\n') < line.n) {
        return ALK_E_PROTOCOL;
    }
    ALK_TRY(alk_buf_put(&c->caps, line));
    return alk_buf_put_u8(&c->caps, '\n');
}

static alk_err caps_flush(struct alk_git_v2 *c)
{
    ALK_TRY(learn_format(c));
    c->state = V2_IDLE;
    tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_READY});
    return ALK_OK;
}

/* "id SP name", and on the first line of all NUL and the capabilities. An empty
 * repository says "capabilities^{}" for a name. */
static alk_err old_ref_line(struct alk_git_v2 *c, struct alk_span line)
{
    const struct alk_span peeled_mark = ALK_LIT("^{}");
    struct alk_span caps = line, id;
    struct alk_span name = alk_span_cut(&caps, 0);
    if (alk_span_starts(name, ALK_LIT("shallow "))) {
        return tell_object(c, ALK_GIT_V2_SHALLOW, alk_span_tail(name, 8), (struct alk_span){0});
    }
    if (name.n < line.n) {
        if (alk_buf_len(&c->caps) > 0) {
            return ALK_E_PROTOCOL;
        }
        ALK_TRY(alk_buf_put(&c->caps, caps));
        ALK_TRY(learn_format(c));
    }
    if (!alk_git_id_cut(&name, &id) || id.n != c->id_hex) {
        return ALK_E_PROTOCOL;
    }
    if (alk_span_is(name, "capabilities^{}")) {
        return alk_git_id_is_zero(id) ? ALK_OK : ALK_E_PROTOCOL;
    }
    bool is_peeled = alk_span_ends(name, peeled_mark);
    struct alk_span bare = is_peeled ? alk_span_head(name, name.n - peeled_mark.n) : name;
    if (!alk_git_ref_is_valid_any(bare)) {
        return ALK_E_PROTOCOL;
    }
    tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_REF, .u.ref = {.name = name, .id = id}});
    return ALK_OK;
}

static alk_err old_flush(struct alk_git_v2 *c)
{
    c->is_old = true;
    c->state = V2_OLD_OVER;
    return tell_end(c);
}

static alk_err first_line(struct alk_git_v2 *c, struct alk_span line)
{
    if (alk_span_is(line, "version 2")) {
        c->state = V2_CAPS;
        return ALK_OK;
    }
    c->is_old = true;
    c->state = V2_OLD_REFS;
    return alk_span_is(line, "version 1") ? ALK_OK : old_ref_line(c, line);
}

/* --- ls-refs ------------------------------------------------------------------------- */

/* "id SP name *(SP attribute)"; attributes that we do not know are skipped. */
static alk_err ref_line(struct alk_git_v2 *c, struct alk_span line)
{
    struct alk_git_v2_event event = {.kind = ALK_GIT_V2_REF};
    struct alk_span id = alk_span_cut(&line, ' ');
    event.u.ref.name = alk_span_cut(&line, ' ');
    if (!alk_span_is(id, "unborn")) {
        if (id.n != c->id_hex || !alk_git_id_is_valid(id)) {
            return ALK_E_PROTOCOL;
        }
        event.u.ref.id = id;
    }
    while (line.n > 0) {
        struct alk_span value = alk_span_cut(&line, ' ');
        struct alk_span key = alk_span_cut(&value, ':');
        if (alk_span_is(key, "symref-target")) {
            event.u.ref.target = value;
        } else if (alk_span_is(key, "peeled")) {
            event.u.ref.peeled = value;
        }
    }
    const struct alk_span peeled = event.u.ref.peeled, target = event.u.ref.target;
    if (!alk_git_ref_is_valid_any(event.u.ref.name) ||
        (target.n > 0 && !alk_git_ref_is_valid_any(target)) ||
        (peeled.n > 0 && (peeled.n != c->id_hex || !alk_git_id_is_valid(peeled)))) {
        return ALK_E_PROTOCOL;
    }
    tell(c, event);
    return ALK_OK;
}

/* --- fetch --------------------------------------------------------------------------- */

static alk_err section_line(struct alk_git_v2 *c, struct alk_span line)
{
    static const struct {
        const char *name;
        enum v2_state state;
    } sections[] = {{"acknowledgments", V2_ACKS},
                    {"shallow-info", V2_SHALLOWS},
                    {"wanted-refs", V2_WANTEDS},
                    {"packfile-uris", V2_URIS},
                    {"packfile", V2_PACK}};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        enum v2_state state = sections[i].state;
        if (!alk_span_is(line, sections[i].name)) {
            continue;
        }
        /* [gitprotocol-v2, "fetch"] Acknowledgments come first, and never after `done`; who
         * offered nothing gets none from git. The pack is last, as nothing can follow it.
         * Between them git 2.39 sends wanted-refs and shallow-info in the other order than
         * the page has, so any order will do. */
        unsigned bit = 1U << state;
        bool may_be_acks = c->sections == 0 && !c->is_done;
        bool must_be_acks = may_be_acks && c->has_haves;
        if ((c->sections & bit) != 0 || (state == V2_ACKS ? !may_be_acks : must_be_acks)) {
            return ALK_E_PROTOCOL;
        }
        c->sections |= bit;
        c->state = state;
        c->has_pack = state == V2_PACK;
        return ALK_OK;
    }
    return ALK_E_PROTOCOL;
}

static alk_err ack_line(struct alk_git_v2 *c, struct alk_span line)
{
    if (alk_span_is(line, "NAK")) {
        tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_NAK});
        return ALK_OK;
    }
    if (alk_span_is(line, "ready")) {
        c->is_enough = true;
        tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_ENOUGH});
        return ALK_OK;
    }
    if (!alk_span_starts(line, ALK_LIT("ACK "))) {
        return ALK_E_PROTOCOL;
    }
    return tell_object(c, ALK_GIT_V2_ACK, alk_span_tail(line, 4), (struct alk_span){0});
}

static alk_err shallow_line(struct alk_git_v2 *c, struct alk_span line)
{
    struct alk_span id = line;
    struct alk_span word = alk_span_cut(&id, ' ');
    bool is_un = alk_span_is(word, "unshallow");
    if (!is_un && !alk_span_is(word, "shallow")) {
        return ALK_E_PROTOCOL;
    }
    return tell_object(c, is_un ? ALK_GIT_V2_UNSHALLOW : ALK_GIT_V2_SHALLOW, id,
                       (struct alk_span){0});
}

static alk_err wanted_line(struct alk_git_v2 *c, struct alk_span line)
{
    struct alk_span name = line;
    struct alk_span id = alk_span_cut(&name, ' ');
    return alk_git_ref_is_valid_any(name) ? tell_object(c, ALK_GIT_V2_WANTED, id, name)
                                          : ALK_E_PROTOCOL;
}

static alk_err uri_line(struct alk_git_v2 *c, struct alk_span line)
{
    struct alk_span text = line;
    struct alk_span id = alk_span_cut(&text, ' ');
    if (!alk_git_id_is_valid(id) || text.n == 0) {
        return ALK_E_PROTOCOL;
    }
    tell(c, (struct alk_git_v2_event){.kind = ALK_GIT_V2_URI, .u.uri = {.id = id, .text = text}});
    return ALK_OK;
}

/* A section is over and another one comes: after acknowledgments only when "ready" was
 * among them. */
static alk_err section_delim(struct alk_git_v2 *c)
{
    if (c->state == V2_ACKS && !c->is_enough) {
        return ALK_E_PROTOCOL;
    }
    c->state = V2_SECTION;
    return ALK_OK;
}

/* The answer may end in a pack, or in acknowledgments without "ready". */
static alk_err acks_flush(struct alk_git_v2 *c)
{
    return c->is_enough ? ALK_E_PROTOCOL : end_answer(c);
}

static alk_err response_end(struct alk_git_v2 *c)
{
    c->state = V2_IDLE;
    return tell_end(c);
}

/* --- the pack ------------------------------------------------------------------------ */

static alk_err tell_data(struct alk_git_v2 *c, enum alk_git_v2_event_kind kind,
                         struct alk_span data)
{
    if (data.n > 0) {
        tell(c, (struct alk_git_v2_event){.kind = kind, .u.data = data});
    }
    return ALK_OK;
}

/* One piece of a packet, whose first byte of all is its band. */
static alk_err band_piece(struct alk_git_v2 *c, const struct alk_git_pkt_piece *piece)
{
    struct alk_span data = piece->data;
    if (piece->is_first) {
        enum alk_git_band band = ALK_GIT_BAND_DATA;
        if (!alk_git_band_split(data, &band, &data)) {
            return ALK_E_PROTOCOL;
        }
        c->band = (uint8_t)band;
    }
    if (c->band == ALK_GIT_BAND_DATA) {
        return tell_data(c, ALK_GIT_V2_PACK, data);
    }
    if (c->band == ALK_GIT_BAND_PROGRESS) {
        return tell_data(c, ALK_GIT_V2_PROGRESS, data);
    }
    ALK_TRY(alk_buf_put(&c->refusal, data));
    return piece->is_last ? tell_refusal(c, alk_git_pkt_text(alk_buf_span(&c->refusal))) : ALK_OK;
}

static alk_err pack_step(struct alk_git_v2 *c, struct alk_span *in)
{
    struct alk_git_pkt_piece piece;
    ALK_TRY(alk_git_pkt_stream_next(&c->reader.stream, in, &piece));
    if (piece.kind == ALK_GIT_PKT_DATA) {
        return band_piece(c, &piece);
    }
    return piece.kind == ALK_GIT_PKT_FLUSH ? end_answer(c) : ALK_E_PROTOCOL;
}

/* --- packets ------------------------------------------------------------------------- */

/* NULL: such a packet is an error in that state. */
static const struct {
    alk_err (*line)(struct alk_git_v2 *c, struct alk_span line);
    alk_err (*flush)(struct alk_git_v2 *c);
    alk_err (*delim)(struct alk_git_v2 *c);
    alk_err (*response_end)(struct alk_git_v2 *c);
} rows[V2_STATES] = {
    [V2_FIRST] = {.line = first_line, .flush = old_flush},
    [V2_CAPS] = {.line = cap_line, .flush = caps_flush},
    [V2_OLD_REFS] = {.line = old_ref_line, .flush = old_flush},
    [V2_REFS] = {.line = ref_line, .flush = end_answer},
    [V2_SECTION] = {.line = section_line},
    [V2_ACKS] = {.line = ack_line, .flush = acks_flush, .delim = section_delim},
    [V2_SHALLOWS] = {.line = shallow_line, .delim = section_delim},
    [V2_WANTEDS] = {.line = wanted_line, .delim = section_delim},
    [V2_URIS] = {.line = uri_line, .delim = section_delim},
    [V2_RESPONSE_END] = {.response_end = response_end},
};

static alk_err take_line(struct alk_git_v2 *c, struct alk_span data)
{
    struct alk_span text;
    if (rows[c->state].line == NULL) {
        return ALK_E_PROTOCOL;
    }
    if (alk_git_pkt_is_err(data, &text)) {
        return tell_refusal(c, text);
    }
    return rows[c->state].line(c, alk_git_pkt_text(data));
}

static alk_err take_mark(struct alk_git_v2 *c, alk_err (*call)(struct alk_git_v2 *c))
{
    return call == NULL ? ALK_E_PROTOCOL : call(c);
}

alk_err alk_git_v2_step(struct alk_git_v2 *c, struct alk_span *in)
{
    struct alk_git_pkt pkt;
    if (c->state == V2_PACK) {
        return pack_step(c, in);
    }
    ALK_TRY(alk_git_pkt_reader_next(&c->reader, in, &pkt));
    switch (pkt.kind) {
    case ALK_GIT_PKT_DATA:
        return take_line(c, pkt.data);
    case ALK_GIT_PKT_FLUSH:
        return take_mark(c, rows[c->state].flush);
    case ALK_GIT_PKT_DELIM:
        return take_mark(c, rows[c->state].delim);
    case ALK_GIT_PKT_RESPONSE_END:
        return take_mark(c, rows[c->state].response_end);
    }
    return ALK_E_PROTOCOL;
}
