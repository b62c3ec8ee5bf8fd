/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/request.h - the first packet of a stream: which service of which repository
 * [gitprotocol-pack, "Git Transport"] [DESIGN.md §10].
 *
 *     cmd SP path NUL [ "host=" host [":" port] NUL ] [ NUL 1*(parameter NUL) ]
 *
 * Parameters: version=N, token=...; others are ignored. The path is percent-decoded once,
 * here and nowhere else; what it means is repopath.h's. Pure, no allocation.
 */
#ifndef ALK_GIT_REQUEST_H
#define ALK_GIT_REQUEST_H

#include "base/buf.h"
#include "base/err.h"

#define ALK_GIT_REQUEST_PATH_MAX   1024 /* bytes, decoded */
#define ALK_GIT_REQUEST_HOST_MAX   255
#define ALK_GIT_REQUEST_TOKEN_MAX  255
#define ALK_GIT_REQUEST_PARAMS_MAX 32 /* known and unknown */
#define ALK_GIT_VERSION_MAX        2

enum alk_git_service {
    ALK_GIT_UPLOAD_PACK,   /* fetch: needs read */
    ALK_GIT_RECEIVE_PACK,  /* push: needs write */
    ALK_GIT_UPLOAD_ARCHIVE /* archive --remote: needs read */
};
/* "git-upload-pack". Static text. */
const char *alk_git_service_name(enum alk_git_service service);
/* The name, with or without "git-" before it. False: none of ours. */
bool alk_git_service_parse(struct alk_span name, enum alk_git_service *ret);

/* What is wrong with a request: for the answer, the log and the counters. */
enum alk_git_request_why {
    ALK_GIT_REQUEST_FINE,
    ALK_GIT_REQUEST_NO_COMMAND, /* no word and space at the front */
    ALK_GIT_REQUEST_UNKNOWN_COMMAND,
    ALK_GIT_REQUEST_NO_PATH,
    ALK_GIT_REQUEST_LONG_PATH,
    ALK_GIT_REQUEST_BAD_ESCAPE, /* % without two hex digits, or %00 */
    ALK_GIT_REQUEST_BAD_HOST,   /* also a bad port */
    ALK_GIT_REQUEST_BAD_FORM,   /* something else than NUL after the host */
    ALK_GIT_REQUEST_MANY_PARAMS,
    ALK_GIT_REQUEST_BAD_TOKEN /* too long, or two of them */
};
/* A lower-case sentence without a full stop for the ERR packet: it repeats nothing that the
 * peer sent. Static text. */
const char *alk_git_request_why_text(enum alk_git_request_why why);

struct alk_git_request {
    enum alk_git_service service;
    struct alk_span path;  /* decoded, no zero byte; borrows from path_room: see request_path */
    struct alk_span host;  /* without port and without [ ]; empty: absent. Borrows from the data */
    uint16_t port;         /* 0: absent */
    unsigned version;      /* the highest version=N that we know, 0 to 2; 0: none was named */
    bool has_token;        /* a credential was presented, be it empty */
    struct alk_span token; /* secret; borrows from the data */
    uint8_t path_room[ALK_GIT_REQUEST_PATH_MAX];
};

/* Parses the data of the first packet (of kind DATA) into *ret, which must not be copied
 * while `path` is used. One LF after the path is dropped, as git does.
 * ALK_E_MALFORMED, ALK_E_TOO_BIG: *ret_why says what; *ret is unchanged. */
ALK_NODISCARD alk_err alk_git_request_parse(struct alk_span data, struct alk_git_request *ret,
                                            enum alk_git_request_why *ret_why);

/* How the text of an ERR packet begins when a credential is missing, or is not accepted:
 * with another one the answer may be another. */
#define ALK_GIT_WANTS_CREDENTIAL "authentication "

/* What a client asks for. Zero means absent, but for path. */
struct alk_git_ask {
    enum alk_git_service service;
    struct alk_span path; /* decoded: '%', spaces and control bytes are escaped here */
    struct alk_span host;
    uint16_t port;
    unsigned version;
    struct alk_span token;
};
/* Appends the whole packet. ALK_E_INVALID: one that our parser would refuse (an empty path,
 * a zero byte, a host with other than printable bytes, over a bound); ALK_E_TOO_BIG (the
 * buffer), ALK_E_NOMEM. Nothing is appended then. */
ALK_NODISCARD alk_err alk_git_request_put(struct alk_buf *b, const struct alk_git_ask *ask);

#endif
