/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/proto.h"

#include "core/auth/identity.h"

#define TRANSPORTS_KNOWN ((unsigned)ALK_TRANSPORT_ANY)

/* --- pieces --------------------------------------------------------------- */

static void put_err(struct alk_wr *w, alk_err err)
{
    alk_wr_u32(w, (uint32_t)(int32_t)err);
}

/* An error this build does not know is internal: the other side may be newer. */
static alk_err get_err(struct alk_rd *r)
{
    alk_err err = (alk_err)(int32_t)alk_rd_u32(r);
    return alk_span_is(alk_span_str(alk_err_name(err)), "ALK_E_?") ? ALK_E_INTERNAL : err;
}

static void put_text(struct alk_wr *w, struct alk_span text)
{
    alk_wr_block16(w, alk_span_head(text, ALK_HOST_TEXT_MAX));
}

static struct alk_span get_text(struct alk_rd *r)
{
    return alk_rd_block16(r, ALK_HOST_TEXT_MAX);
}

/* A value in [0, count): anything else is malformed. */
static unsigned get_enum(struct alk_rd *r, unsigned count)
{
    unsigned v = alk_rd_u8(r);
    if (v >= count) {
        alk_rd_fail(r, ALK_E_MALFORMED);
        return 0;
    }
    return v;
}

static void put_str(struct alk_wr *w, const char *text)
{
    alk_wr_block8(w, alk_span_str(text));
}

static void get_str(struct alk_rd *r, char *dst, size_t dst_size)
{
    struct alk_span s = alk_rd_block8(r);
    if (!alk_span_cstr(s, dst, dst_size)) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
}

static void put_identity(struct alk_wr *w, const struct alk_identity *identity)
{
    alk_wr_u8(w, identity != NULL);
    if (identity != NULL) {
        alk_identity_put(w, identity);
    }
}

static const struct alk_identity *get_identity(const struct alk_mem *mem, struct alk_rd *r)
{
    const struct alk_identity *identity = NULL;
    if (get_enum(r, 2) == 1 && r->err == ALK_OK) {
        alk_err err = alk_identity_get(mem, r, &identity);
        if (err != ALK_OK) {
            alk_rd_fail(r, err);
            return NULL;
        }
    }
    return identity;
}

/* --- bodies --------------------------------------------------------------- */

static void put_hello(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u16(w, m->u.hello.version);
    alk_wr_u16(w, m->u.hello.channel);
    alk_wr_u32(w, m->u.hello.settings_len);
    alk_wr_u32(w, m->u.hello.window);
    alk_wr_u64(w, m->u.hello.memory);
    alk_wr_block8(w, alk_span_head(m->u.hello.service, 255));
}

static void get_hello(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.hello.version = alk_rd_u16(r);
    m->u.hello.channel = alk_rd_u16(r);
    m->u.hello.settings_len = alk_rd_u32(r);
    m->u.hello.window = alk_rd_u32(r);
    m->u.hello.memory = alk_rd_u64(r);
    m->u.hello.service = alk_rd_block8(r);
    if (m->u.hello.settings_len > ALK_HOST_SETTINGS_MAX || m->u.hello.window == 0) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
}

static void put_bytes(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_bytes(w, m->u.bytes);
}

static void get_bytes(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.bytes = alk_rd_take(r, alk_rd_left(r));
}

static void put_ready(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u16(w, m->u.ready.version);
    alk_wr_u32(w, m->u.ready.sandbox);
}

static void get_ready(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.ready.version = alk_rd_u16(r);
    m->u.ready.sandbox = alk_rd_u32(r);
}

static void put_error(struct alk_wr *w, const struct alk_host_msg *m)
{
    put_err(w, m->u.error.err);
    put_text(w, m->u.error.text);
}

static void get_error(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.error.err = get_err(r);
    m->u.error.text = get_text(r);
}

static void put_log(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u8(w, (uint8_t)m->u.log.level);
    put_text(w, m->u.log.text);
}

static void get_log(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.log.level = (enum alk_log_level)get_enum(r, ALK_LOG_TRACE + 1);
    m->u.log.text = get_text(r);
}

static void put_value(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u64(w, m->u.value);
}

static void get_value(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.value = alk_rd_u64(r);
}

static void put_auth(struct alk_wr *w, const struct alk_host_msg *m)
{
    const struct alk_auth_context *a = &m->u.auth.auth;
    put_str(w, a->alpn);
    put_str(w, a->remote);
    put_str(w, a->local);
    put_str(w, a->sni);
    put_str(w, a->log_id);
    alk_wr_u8(w, (uint8_t)a->transport);
    alk_wr_u8(w, (uint8_t)a->cert_kind);
    for (size_t i = 0; i < 4; i++) {
        put_str(w, a->fingerprints[i]);
    }
    alk_wr_u8(w, a->is_resumed);
    alk_wr_u8(w, a->is_early);
    alk_wr_u8(w, a->is_confirmed);
    alk_wr_u8(w, (uint8_t)a->source);
    alk_wr_u64(w, a->generation);
    alk_wr_u32(w, m->u.auth.datagram_max);
    put_identity(w, a->identity);
}

static void get_auth(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    struct alk_auth_context *a = &m->u.auth.auth;
    a->struct_size = sizeof *a;
    get_str(r, a->alpn, sizeof a->alpn);
    get_str(r, a->remote, sizeof a->remote);
    get_str(r, a->local, sizeof a->local);
    get_str(r, a->sni, sizeof a->sni);
    get_str(r, a->log_id, sizeof a->log_id);
    unsigned transport = alk_rd_u8(r);
    a->transport = (enum alk_transport)transport;
    if (transport == 0 || (transport & ~TRANSPORTS_KNOWN) != 0 ||
        (transport & (transport - 1)) != 0) {
        alk_rd_fail(r, ALK_E_MALFORMED);
    }
    a->cert_kind = (enum alk_cert_kind)get_enum(r, ALK_CERT_X509 + 1);
    for (size_t i = 0; i < 4; i++) {
        get_str(r, a->fingerprints[i], sizeof a->fingerprints[i]);
    }
    a->is_resumed = get_enum(r, 2) == 1;
    a->is_early = get_enum(r, 2) == 1;
    a->is_confirmed = get_enum(r, 2) == 1;
    a->source = (enum alk_auth_source)get_enum(r, ALK_AUTH_HANDLER + 1);
    a->generation = alk_rd_u64(r);
    m->u.auth.datagram_max = alk_rd_u32(r);
    a->identity = get_identity(mem, r);
}

static void put_close(struct alk_wr *w, const struct alk_host_msg *m)
{
    put_err(w, m->u.close.err);
    alk_wr_u64(w, m->u.close.code);
    put_text(w, m->u.close.reason);
}

static void get_close(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.close.err = get_err(r);
    m->u.close.code = alk_rd_u64(r);
    m->u.close.reason = get_text(r);
}

static void put_stream(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u64(w, m->u.stream.id);
    alk_wr_u8(w, m->u.stream.is_early);
}

static void get_stream(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.stream.id = alk_rd_u64(r);
    m->u.stream.is_early = get_enum(r, 2) == 1;
}

static void put_opened(struct alk_wr *w, const struct alk_host_msg *m)
{
    put_err(w, m->u.opened.err);
    alk_wr_u64(w, m->u.opened.id);
}

static void get_opened(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.opened.err = get_err(r);
    m->u.opened.id = alk_rd_u64(r);
}

static void put_resolve(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u64(w, m->u.resolve.query);
    alk_wr_u8(w, (uint8_t)m->u.resolve.kind);
    alk_wr_block8(w, m->u.resolve.method);
    alk_wr_u8(w, (uint8_t)m->u.resolve.fingerprint_count);
    for (size_t i = 0; i < m->u.resolve.fingerprint_count && i < 4; i++) {
        alk_wr_block8(w, m->u.resolve.fingerprints[i]);
    }
    alk_wr_block16(w, m->u.resolve.token);
}

static void get_resolve(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.resolve.query = alk_rd_u64(r);
    m->u.resolve.kind = (enum alk_credential_kind)get_enum(r, ALK_CREDENTIAL_TOKEN + 1);
    m->u.resolve.method = alk_rd_block8(r);
    m->u.resolve.fingerprint_count = get_enum(r, 5);
    for (size_t i = 0; i < m->u.resolve.fingerprint_count; i++) {
        m->u.resolve.fingerprints[i] = alk_rd_block8(r);
        if (m->u.resolve.fingerprints[i].n >= ALK_FINGERPRINT_MAX) {
            alk_rd_fail(r, ALK_E_MALFORMED);
        }
    }
    m->u.resolve.token = get_text(r);
}

static void put_resolved(struct alk_wr *w, const struct alk_host_msg *m)
{
    alk_wr_u64(w, m->u.resolved.query);
    put_err(w, m->u.resolved.err);
    alk_wr_u64(w, m->u.resolved.generation);
    put_identity(w, m->u.resolved.identity);
}

static void get_resolved(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    m->u.resolved.query = alk_rd_u64(r);
    m->u.resolved.err = get_err(r);
    m->u.resolved.generation = alk_rd_u64(r);
    m->u.resolved.identity = get_identity(mem, r);
}

static void put_deny(struct alk_wr *w, const struct alk_host_msg *m)
{
    put_text(w, m->u.deny.method);
    put_text(w, m->u.deny.reason);
}

static void get_deny(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    m->u.deny.method = get_text(r);
    m->u.deny.reason = get_text(r);
}

static void put_nothing(struct alk_wr *w, const struct alk_host_msg *m)
{
    (void)w;
    (void)m;
}

static void get_nothing(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m)
{
    (void)mem;
    (void)r;
    (void)m;
}

/* --- the table ------------------------------------------------------------ */

/* Which numbers a message carries. */
enum { NO_IDS, CONN, CONN_STREAM };

enum {
    TO_HOST = ALK_HOST_SERVING,
    TO_ENDPOINT = ALK_HOST_RUNNING,
    BOTH = ALK_HOST_SERVING | ALK_HOST_RUNNING,
    STARTED = ALK_HOST_STARTING | ALK_HOST_RUNNING
};

struct row {
    enum alk_host_type type;
    const char *name;
    unsigned states; /* of the receiver */
    unsigned ids;
    size_t fds;      /* at most: the kernel drops them when the receiver has too many open */
    size_t min, max; /* of the body */
    void (*put)(struct alk_wr *w, const struct alk_host_msg *m);
    void (*get)(const struct alk_mem *mem, struct alk_rd *r, struct alk_host_msg *m);
};

static const struct row table[] = {
    {ALK_HOST_HELLO, "HELLO", ALK_HOST_NEW, NO_IDS, 0, 21, 276, put_hello, get_hello},
    {ALK_HOST_SETTINGS, "SETTINGS", ALK_HOST_LOADING, NO_IDS, 0, 1, ALK_HOST_PIECE_MAX, put_bytes,
     get_bytes},
    {ALK_HOST_READY, "READY", ALK_HOST_STARTING, NO_IDS, 0, 6, 6, put_ready, get_ready},
    {ALK_HOST_ERROR, "ERROR", STARTED, NO_IDS, 0, 6, 6 + ALK_HOST_TEXT_MAX, put_error, get_error},
    {ALK_HOST_LOG, "LOG", STARTED, NO_IDS, 0, 3, 3 + ALK_HOST_TEXT_MAX, put_log, get_log},
    {ALK_HOST_PING, "PING", TO_HOST, NO_IDS, 0, 8, 8, put_value, get_value},
    {ALK_HOST_PONG, "PONG", TO_ENDPOINT, NO_IDS, 0, 8, 8, put_value, get_value},
    {ALK_HOST_OPEN, "OPEN", TO_HOST, CONN, 0, 28, ALK_HOST_BODY_MAX, put_auth, get_auth},
    {ALK_HOST_CLOSE, "CLOSE", BOTH, CONN, 0, 14, 14 + ALK_HOST_TEXT_MAX, put_close, get_close},
    {ALK_HOST_AUTH, "AUTH", TO_HOST, CONN, 0, 28, ALK_HOST_BODY_MAX, put_auth, get_auth},
    {ALK_HOST_DRAIN, "DRAIN", TO_HOST, CONN, 0, 8, 8, put_value, get_value},
    {ALK_HOST_DATAGRAM, "DATAGRAM", BOTH, CONN, 0, 0, ALK_HOST_BODY_MAX, put_bytes, get_bytes},
    {ALK_HOST_STREAM, "STREAM", BOTH, CONN_STREAM, 1, 9, 9, put_stream, get_stream},
    {ALK_HOST_OPENED, "OPENED", TO_HOST, CONN_STREAM, 0, 12, 12, put_opened, get_opened},
    {ALK_HOST_FINISH, "FINISH", BOTH, CONN_STREAM, 0, 8, 8, put_value, get_value},
    {ALK_HOST_RESET, "RESET", BOTH, CONN_STREAM, 0, 8, 8, put_value, get_value},
    {ALK_HOST_STOP, "STOP", BOTH, CONN_STREAM, 0, 8, 8, put_value, get_value},
    {ALK_HOST_RESOLVE, "RESOLVE", TO_ENDPOINT, CONN, 0, 13, 2048, put_resolve, get_resolve},
    {ALK_HOST_RESOLVED, "RESOLVED", TO_HOST, CONN, 0, 21, ALK_HOST_BODY_MAX, put_resolved,
     get_resolved},
    {ALK_HOST_DENY, "DENY", TO_ENDPOINT, CONN, 0, 4, 4 + 2 * ALK_HOST_TEXT_MAX, put_deny, get_deny},
    {ALK_HOST_QUIT, "QUIT", TO_HOST | ALK_HOST_NEW | ALK_HOST_LOADING, NO_IDS, 0, 0, 0, put_nothing,
     get_nothing},
};

static const struct row *find(unsigned type)
{
    /* The table is in the order of the numbers, which start at 1. */
    size_t count = sizeof(table) / sizeof(table[0]);
    return type >= 1 && type <= count ? &table[type - 1] : NULL;
}

const char *alk_host_type_name(unsigned type)
{
    const struct row *row = find(type);
    return row == NULL ? "?" : row->name;
}

alk_err alk_host_msg_write(struct alk_wr *w, const struct alk_host_msg *m)
{
    const struct row *row = find(m->type);
    ALK_ASSERT(row != NULL && row->type == m->type);
    alk_wr_u16(w, (uint16_t)m->type);
    alk_wr_u16(w, 0);
    alk_wr_u64(w, m->conn);
    alk_wr_u64(w, m->stream);
    size_t length = alk_wr_hole(w, 4);
    row->put(w, m);
    alk_wr_fill(w, length, 4);
    return w->err;
}

alk_err alk_host_msg_parse(const struct alk_mem *mem, struct alk_span datagram, size_t fds,
                           enum alk_host_state state, struct alk_host_msg *ret)
{
    struct alk_rd r = alk_rd(datagram);
    struct alk_host_msg m = {0};
    unsigned type = alk_rd_u16(&r);
    unsigned zero = alk_rd_u16(&r);
    m.conn = alk_rd_u64(&r);
    m.stream = alk_rd_u64(&r);
    uint32_t length = alk_rd_u32(&r);
    const struct row *row = find(type);
    if (r.err != ALK_OK || zero != 0 || row == NULL || length != alk_rd_left(&r)) {
        return ALK_E_MALFORMED;
    }
    if ((row->states & (unsigned)state) == 0) {
        return ALK_E_PROTOCOL;
    }
    bool ids_fit = (m.conn != 0) == (row->ids != NO_IDS) &&
                   (m.stream != 0) == (row->ids == CONN_STREAM);
    if (length < row->min || length > row->max || !ids_fit || fds > row->fds) {
        return ALK_E_MALFORMED;
    }
    m.type = row->type;
    row->get(mem, &r, &m);
    if (r.err != ALK_OK || alk_rd_left(&r) != 0) {
        alk_host_msg_fini(&m);
        return r.err == ALK_E_NOMEM ? ALK_E_NOMEM : ALK_E_MALFORMED;
    }
    *ret = m;
    return ALK_OK;
}

void alk_host_msg_fini(struct alk_host_msg *m)
{
    if (m->type == ALK_HOST_OPEN || m->type == ALK_HOST_AUTH) {
        alk_identity_unref(m->u.auth.auth.identity);
        m->u.auth.auth.identity = NULL;
    } else if (m->type == ALK_HOST_RESOLVED) {
        alk_identity_unref(m->u.resolved.identity);
        m->u.resolved.identity = NULL;
    }
}
