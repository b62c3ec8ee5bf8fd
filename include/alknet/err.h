/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/err.h - one error type for the whole library.
 *
 * 0 is success. Positive values are normal conditions (need input, no room,
 * end). Negative values are failures; the hundreds digit is the class, and the
 * class decides the reaction:
 *
 *   usage     our caller's bug                  -1xx
 *   resource  shed this stream                  -2xx
 *   peer      close with a wire code            -3xx   (never logged as error)
 *   denied    say little                        -4xx
 *   system    tell the operator                 -5xx
 *
 * Numbers are permanent: new errors are added at the end of their class.
 */
#ifndef ALKNET_ERR_H
#define ALKNET_ERR_H

#include "alknet/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ALK_ERR_MAP(X)                                                                             \
    X(OK, 0, "success")                                                                            \
    X(MORE, 1, "more input is needed")                                                             \
    X(FULL, 2, "no room: wait for the writable event")                                             \
    X(END, 3, "end of the stream")                                                                 \
    X(E_INVALID, -101, "invalid argument")                                                         \
    X(E_STATE, -102, "not allowed in this state")                                                  \
    X(E_ONE_STREAM, -103, "this transport carries one stream only")                                \
    X(E_UNSUPPORTED, -104, "not supported here")                                                   \
    X(E_NOMEM, -201, "out of memory")                                                              \
    X(E_LIMIT, -202, "a configured limit is reached")                                              \
    X(E_MALFORMED, -301, "malformed data from the peer")                                           \
    X(E_TOO_BIG, -302, "larger than the limit allows")                                             \
    X(E_PROTOCOL, -303, "the peer broke the protocol")                                             \
    X(E_RESET, -304, "reset by the peer")                                                          \
    X(E_STOPPED, -305, "the peer refuses more data")                                               \
    X(E_CLOSED, -306, "the connection is closed")                                                  \
    X(E_TIMEOUT, -307, "timed out")                                                                \
    X(E_NO_ALPN, -308, "the peer serves none of the protocols asked for")                          \
    X(E_TLS, -309, "the TLS handshake failed")                                                     \
    X(E_VERSION, -310, "no common version")                                                        \
    X(E_AUTH, -401, "not authenticated")                                                           \
    X(E_FORBIDDEN, -402, "not permitted")                                                          \
    X(E_REVOKED, -403, "credential revoked")                                                       \
    X(E_EXPIRED, -404, "credential expired")                                                       \
    X(E_KEY_CHANGED, -405, "the node's key is not the expected one")                               \
    X(E_UNAVAILABLE, -406, "temporarily unavailable: try again")                                   \
    X(E_UNTRUSTED, -407, "the node's certificate or key is not trusted")                           \
    X(E_IO, -501, "input/output error")                                                            \
    X(E_NOENT, -502, "no such file or entry")                                                      \
    X(E_EXISTS, -503, "exists already")                                                            \
    X(E_PERM, -504, "the system denies permission")                                                \
    X(E_BUSY, -505, "in use by another process")                                                   \
    X(E_UNREACHABLE, -506, "unreachable")                                                          \
    X(E_CONFIG, -507, "configuration error")                                                       \
    X(E_CRYPTO, -508, "a cryptographic operation failed")                                          \
    X(E_DB, -509, "the store reported an error")                                                   \
    X(E_HOST_LOST, -510, "the handler's process is gone")                                          \
    X(E_INTERNAL, -511, "internal error")

#define ALK_ERR_ENUM(name, number, text) ALK_##name = (number),
typedef enum alk_err { ALK_ERR_MAP(ALK_ERR_ENUM) } alk_err;
#undef ALK_ERR_ENUM

enum alk_err_class {
    ALK_CLASS_NONE,
    ALK_CLASS_USAGE,
    ALK_CLASS_RESOURCE,
    ALK_CLASS_PEER,
    ALK_CLASS_DENIED,
    ALK_CLASS_SYSTEM
};

/* "ALK_E_RESET"; "ALK_E_?" for a number that is none of ours. Static text. */
ALK_API const char *alk_err_name(alk_err err);
/* One lower-case sentence without a full stop, static text. */
ALK_API const char *alk_err_text(alk_err err);
/* The class of a failure; ALK_CLASS_NONE for 0 and positive values. */
ALK_API enum alk_err_class alk_err_class(alk_err err);

/* Application codes on alknet/ and custom ALPNs, for streams and connections
 * alike (DESIGN.md §4). */
enum alk_code {
    ALK_CODE_NONE = 0,
    ALK_CODE_INTERNAL = 1,
    ALK_CODE_PROTOCOL = 2,
    ALK_CODE_AUTH = 3,
    ALK_CODE_FORBIDDEN = 4,
    ALK_CODE_LIMIT = 5,
    ALK_CODE_HOST_LOST = 6,
    ALK_CODE_EXIT = 7,
    ALK_CODE_REVOKED = 8,
    ALK_CODE_SHUTDOWN = 9,
    ALK_CODE_REMOVED = 10,
    ALK_CODE_TIMEOUT = 11
};

/* The code to close with after `err`; ALK_CODE_NONE for success. */
ALK_API uint64_t alk_err_code(alk_err err);
/* "revoked", "limit", ...; "?" for an unknown code. Static text. */
ALK_API const char *alk_code_name(uint64_t code);

#ifdef __cplusplus
}
#endif

#endif
