/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What ngtcp2 1.11 tells nobody of, looked for in the frames of a packet when they
 * have been decrypted:
 *
 * STOP_SENDING: it resets our direction and refuses the next write; what is found is
 * believed once it refuses.
 * PATH_CHALLENGE: see alk_qpath_challenged. */
#include "core/quic/internal.h"

#include "base/mem.h"
#include "base/wire.h"

#define PADDING 0x00
#define ACK 0x02
#define ACK_ECN 0x03
#define STOP_SENDING 0x05
#define STREAM 0x08 /* to 0x0f */
#define STREAM_LEN 0x02
#define STREAM_OFF 0x04
#define PATH_CHALLENGE 0x1a
#define DATAGRAM 0x30
#define DATAGRAM_LEN 0x31

/* ngtcp2's decrypt callback is the only place that sees frames, and the only one
 * that is not told whose they are. Rule zero: set for the time of one read alone.
 * lint: globals: see above */
static _Thread_local struct alk_qconn *reading;

/* The fields of each frame [RFC 9000 §19]: v an integer, l a length and that many
 * bytes, 8 eight bytes, c an ID with its length and a token. */
static const char *const fields[] = {
    [0x00] = "",    [0x01] = "",   [0x04] = "vvv", [0x05] = "vv", [0x06] = "vl", [0x07] = "l",
    [0x10] = "v",   [0x11] = "vv", [0x12] = "v",   [0x13] = "v",  [0x14] = "v",  [0x15] = "vv",
    [0x16] = "v",   [0x17] = "v",  [0x18] = "vvc", [0x19] = "v",  [0x1a] = "8",  [0x1b] = "8",
    [0x1c] = "vvl", [0x1d] = "vl", [0x1e] = "",
};

static void skip(struct alk_rd *r, uint64_t n)
{
    if (n > alk_rd_left(r)) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return;
    }
    (void)alk_rd_take(r, (size_t)n);
}

static void skip_fields(struct alk_rd *r, const char *f)
{
    for (; *f != '\0' && r->err == ALK_OK; f++) {
        switch (*f) {
        case 'v':
            (void)alk_rd_varint(r);
            break;
        case 'l':
            skip(r, alk_rd_varint(r));
            break;
        case '8':
            skip(r, 8);
            break;
        default:
            skip(r, alk_rd_u8(r));
            skip(r, NGTCP2_STATELESS_RESET_TOKENLEN);
            break;
        }
    }
}

static void skip_ack(struct alk_rd *r, bool has_ecn)
{
    skip_fields(r, "vv");
    uint64_t ranges = alk_rd_varint(r);
    (void)alk_rd_varint(r);
    for (; ranges > 0 && r->err == ALK_OK; ranges--) {
        skip_fields(r, "vv");
    }
    if (has_ecn) {
        skip_fields(r, "vvv");
    }
}

static void skip_stream(struct alk_rd *r, uint64_t type)
{
    (void)alk_rd_varint(r);
    if ((type & STREAM_OFF) != 0) {
        (void)alk_rd_varint(r);
    }
    skip(r, (type & STREAM_LEN) != 0 ? alk_rd_varint(r) : alk_rd_left(r));
}

/* One frame. An unknown one ends the search, as it ends the connection. */
static bool next_frame(struct alk_rd *r, struct alk_qstop *ret_stop, uint64_t *ret_type)
{
    uint64_t type = alk_rd_varint(r);
    *ret_type = type;
    ret_stop->id = UINT64_MAX;
    if (type >= STREAM && type < STREAM + 8) {
        skip_stream(r, type);
    } else if (type == ACK || type == ACK_ECN) {
        skip_ack(r, type == ACK_ECN);
    } else if (type == STOP_SENDING) {
        ret_stop->id = alk_rd_varint(r);
        ret_stop->code = alk_rd_varint(r);
    } else if (type == DATAGRAM || type == DATAGRAM_LEN) {
        skip(r, type == DATAGRAM ? alk_rd_left(r) : alk_rd_varint(r));
    } else if (type < sizeof fields / sizeof fields[0] && fields[type] != NULL) {
        skip_fields(r, fields[type]);
    } else {
        return false;
    }
    return r->err == ALK_OK;
}

size_t alk_qstops_scan(struct alk_span payload, struct alk_qstop *ret, size_t max,
                       bool *ret_challenged)
{
    struct alk_rd r = alk_rd(payload);
    struct alk_qstop stop;
    uint64_t type = PADDING;
    size_t n = 0;
    while (n < max) {
        while (r.p < r.end && *r.p == PADDING) {
            r.p++; /* probes of the path are padded to their size, a byte a frame */
        }
        if (alk_rd_left(&r) == 0 || !next_frame(&r, &stop, &type)) {
            break;
        }
        *ret_challenged = *ret_challenged || type == PATH_CHALLENGE;
        if (stop.id != UINT64_MAX) {
            ret[n++] = stop;
        }
    }
    return n;
}

int alk_qstops_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                       const ngtcp2_crypto_aead_ctx *aead_ctx, const uint8_t *in, size_t n,
                       const uint8_t *nonce, size_t nonce_n, const uint8_t *aad, size_t aad_n)
{
    int rv = ngtcp2_crypto_decrypt_cb(dest, aead, aead_ctx, in, n, nonce, nonce_n, aad, aad_n);
    bool is_short = aad_n > 0 && (aad[0] & 0x80) == 0;
    if (rv == 0 && is_short && reading != NULL && n >= aead->max_overhead) {
        struct alk_quic *q = reading->q;
        q->stop_count +=
            alk_qstops_scan(alk_span(dest, n - aead->max_overhead), q->stops + q->stop_count,
                            ALK_QSTOPS_MAX - q->stop_count, &q->is_challenged);
    }
    return rv;
}

void alk_qstops_begin(struct alk_qconn *c)
{
    reading = c;
    c->q->stop_count = 0;
    c->q->is_challenged = false;
}

/* Whether ngtcp2 has taken it in: a write of impossible length is refused in the
 * same order, STREAM_SHUT_WR before INVALID_ARGUMENT, and changes nothing. Until
 * then it may still send from the stream's bytes. */
static bool is_shut(struct alk_qconn *c, const struct alk_qstream *s)
{
    const ngtcp2_vec impossible = {.base = NULL, .len = SIZE_MAX};
    return ngtcp2_conn_writev_stream(c->nc, NULL, NULL, NULL, 0, NULL, 0, (int64_t)s->base.id,
                                     &impossible, 1, c->q->now) == NGTCP2_ERR_STREAM_SHUT_WR;
}

void alk_qstops_end(struct alk_qconn *c, bool is_alive)
{
    const struct alk_quic *q = c->q;
    reading = NULL;
    if (is_alive && q->is_challenged) {
        alk_qpath_challenged(c);
    }
    for (size_t i = 0; is_alive && i < q->stop_count; i++) {
        struct alk_qstream *s = alk_qids_find(c, q->stops[i].id);
        if (s != NULL && !s->base.is_fin_sent && !s->base.is_reset_sent && is_shut(c, s)) {
            alk_qstream_stopped(s, q->stops[i].code);
        }
    }
}

/* --- streams by ID ------------------------------------------------------------------ */

static size_t place(const struct alk_qconn *c, uint64_t id)
{
    /* IDs of one side count in fours; those of both sides shall not meet. */
    return (size_t)((id >> 2) * 2 + (id & 1)) & (c->ids_size - 1);
}

static void grow(struct alk_qconn *c)
{
    size_t old_size = c->ids_size;
    struct alk_qstream **old = c->ids;
    size_t size = old_size == 0 ? 8 : 2 * old_size;
    struct alk_qstream **next = alk_zalloc(c->q->mem, size, sizeof *next);
    if (next == NULL) {
        return; /* longer chains, or none: then a stop is seen at the next write */
    }
    c->ids = next;
    c->ids_size = size;
    for (size_t i = 0; i < old_size; i++) {
        while (old[i] != NULL) {
            struct alk_qstream *s = old[i];
            old[i] = s->next_id;
            size_t at = place(c, s->base.id);
            s->next_id = next[at];
            next[at] = s;
        }
    }
    alk_free(c->q->mem, old);
}

void alk_qids_add(struct alk_qconn *c, struct alk_qstream *s)
{
    if (c->base.streams_open > c->ids_size) {
        grow(c);
    }
    if (c->ids_size == 0) {
        return;
    }
    size_t at = place(c, s->base.id);
    s->next_id = c->ids[at];
    c->ids[at] = s;
}

void alk_qids_remove(struct alk_qconn *c, struct alk_qstream *s)
{
    if (c->ids_size == 0) {
        return;
    }
    for (struct alk_qstream **at = &c->ids[place(c, s->base.id)]; *at != NULL;
         at = &(*at)->next_id) {
        if (*at == s) {
            *at = s->next_id;
            s->next_id = NULL;
            return;
        }
    }
}

struct alk_qstream *alk_qids_find(const struct alk_qconn *c, uint64_t id)
{
    struct alk_qstream *s = c->ids_size == 0 ? NULL : c->ids[place(c, id)];
    while (s != NULL && s->base.id != id) {
        s = s->next_id;
    }
    return s;
}

void alk_qids_fini(struct alk_qconn *c)
{
    alk_free(c->q->mem, c->ids);
    c->ids = NULL;
    c->ids_size = 0;
}
