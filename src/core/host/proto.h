/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/proto.h - the control channel between the endpoint and a handler
 * host: one message per SOCK_SEQPACKET datagram. Pure: bytes only.
 *
 *     0      2      4              12               20       24
 *     +------+------+--------------+----------------+--------+--------...
 *     | type | zero | connection   | stream         | length | body
 *     +------+------+--------------+----------------+--------+--------...
 *
 * length is that of the body and must be what the datagram holds. A channel
 * starts with HELLO from the endpoint, on the first channel followed by the
 * service's settings as text in SETTINGS pieces; the host answers READY or ERROR.
 * Streams that the endpoint opens have even numbers, the host's odd ones; they
 * are unique per channel and never used again. STREAM carries one descriptor; it
 * comes without it when the receiver has too many open.
 *
 * What is not in the table for the side and the state, or is too short, too long
 * or malformed, is an error that ends the channel.
 */
#ifndef ALK_CORE_HOST_PROTO_H
#define ALK_CORE_HOST_PROTO_H

#include "alknet/handler.h"
#include "base/err.h"
#include "base/span.h"
#include "base/wire.h"

#define ALK_HOST_VERSION 1
#define ALK_HOST_HEADER 24
#define ALK_HOST_MSG_MAX ((size_t)65536) /* with its header */
#define ALK_HOST_BODY_MAX (ALK_HOST_MSG_MAX - ALK_HOST_HEADER)
#define ALK_HOST_TEXT_MAX 1024               /* a log line, an error */
#define ALK_HOST_PIECE_MAX ((size_t)32768)   /* of the settings */
#define ALK_HOST_SETTINGS_MAX ((uint32_t)4 << 20)

enum alk_host_type {
    ALK_HOST_HELLO = 1,
    ALK_HOST_SETTINGS,
    ALK_HOST_READY,
    ALK_HOST_ERROR,
    ALK_HOST_LOG,
    ALK_HOST_PING,
    ALK_HOST_PONG,
    ALK_HOST_OPEN,
    ALK_HOST_CLOSE,
    ALK_HOST_AUTH,
    ALK_HOST_DRAIN,
    ALK_HOST_DATAGRAM,
    ALK_HOST_STREAM,
    ALK_HOST_OPENED,
    ALK_HOST_FINISH,
    ALK_HOST_RESET,
    ALK_HOST_STOP,
    ALK_HOST_RESOLVE,
    ALK_HOST_RESOLVED,
    ALK_HOST_DENY,
    ALK_HOST_QUIT
};

/* Who receives, and what it has seen. As bits: masks of the table. */
enum alk_host_state {
    ALK_HOST_NEW = 1,      /* host: waits for HELLO */
    ALK_HOST_LOADING = 2,  /* host: waits for more SETTINGS */
    ALK_HOST_SERVING = 4,  /* host */
    ALK_HOST_STARTING = 8, /* endpoint: waits for READY */
    ALK_HOST_RUNNING = 16, /* endpoint */
    ALK_HOST_DEAD = 32
};

/* Connections and streams of a message that are 0 concern the channel. Spans
 * borrow from the datagram. */
struct alk_host_msg {
    enum alk_host_type type;
    uint64_t conn, stream;
    union {
        struct {
            uint16_t version;
            uint16_t channel;      /* 0: the first, which carries the settings */
            uint32_t settings_len; /* of all pieces together */
            uint32_t window;       /* bytes of a stream that may wait unconsumed */
            uint64_t memory;       /* limit of the process, bytes; 0: none */
            struct alk_span service;
        } hello;
        struct alk_span bytes; /* SETTINGS, DATAGRAM */
        struct {
            uint16_t version;
            uint32_t sandbox; /* ALK_SANDBOX_* */
        } ready;
        struct {
            alk_err err;
            struct alk_span text;
        } error;
        struct {
            enum alk_log_level level;
            struct alk_span text;
        } log;
        uint64_t value; /* PING, PONG: echoed; FINISH: bytes sent before; RESET, STOP: code;
                         * DRAIN: ns left */
        struct {
            struct alk_auth_context auth; /* OPEN, AUTH; parsed: holds a reference */
            uint32_t datagram_max;
        } auth;
        struct {
            alk_err err;
            uint64_t code;
            struct alk_span reason;
        } close;
        struct {
            uint64_t id; /* the transport's number; 0 from the host */
            bool is_early;
        } stream;
        struct {
            alk_err err; /* ALK_OK, or why there is none */
            uint64_t id;
        } opened;
        struct {
            uint64_t query;
            enum alk_credential_kind kind;
            struct alk_span method;
            struct alk_span fingerprints[4];
            size_t fingerprint_count;
            struct alk_span token;
        } resolve;
        struct {
            uint64_t query;
            alk_err err;
            uint64_t generation;
            const struct alk_identity *identity; /* parsed: holds a reference; may be NULL */
        } resolved;
        struct {
            struct alk_span method, reason;
        } deny;
    } u;
};

/* "STREAM"; "?" for a number that is none. Static text. */
const char *alk_host_type_name(unsigned type);

/* Writes one message. A text that is too long is cut; anything else that does
 * not fit is ALK_E_TOO_BIG (an identity can be larger than a message). */
ALK_NODISCARD alk_err alk_host_msg_write(struct alk_wr *w, const struct alk_host_msg *m);

/* Reads one datagram as a receiver in this state. fds: how many descriptors came
 * with it. ALK_OK: *ret, to be released with fini. ALK_E_PROTOCOL: not allowed in
 * this state. ALK_E_MALFORMED: anything else. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_host_msg_parse(const struct alk_mem *mem, struct alk_span datagram,
                                         size_t fds, enum alk_host_state state,
                                         struct alk_host_msg *ret);
/* Gives back what parse took references to. */
void alk_host_msg_fini(struct alk_host_msg *m);

#endif
