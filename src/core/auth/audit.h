/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/audit.h - the fixed line for failed logins, and audit records.
 *
 * Pure formatting into a bounded buffer. Values come from peers: they are escaped
 * so that no value can end its field, its line, or begin another.
 *
 *     alknet: auth failure addr=192.0.2.7 alpn=alknet/call method=token reason=unknown
 *
 * The line is a contract with log watchers (packaging/fail2ban), in
 * docs/protocol/auth-log.md. It goes to the log as the component
 * ALK_AUTH_LOG_COMPONENT at level warn. Fields are never reordered; a value is
 * printable ASCII without space, '=', '"' and '\', other bytes as \xNN, at most 48
 * bytes of it; an absent value is "-".
 */
#ifndef ALK_CORE_AUTH_AUDIT_H
#define ALK_CORE_AUTH_AUDIT_H

#include "alknet/auth.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/auth/date.h"

#define ALK_AUTH_LOG_COMPONENT    "auth"
/* Longest login line: whole within one message of the log. */
#define ALK_AUTH_FAILURE_LINE_MAX 850

/* Longest line that either formatter makes; give the buffer at least this max. */
#define ALK_AUDIT_LINE_MAX 16384

struct alk_auth_failure {
    const char *remote; /* as in alk_auth_context: the port is cut off */
    struct alk_span alpn;
    struct alk_span method; /* "key", "token", "none", or a handler's own */
    struct alk_span reason; /* see alk_auth_reason */
};
/* The word for a resolve error: "unknown", "expired", "revoked", "unavailable",
 * "limit", "forbidden", "malformed"; "error" for the rest. Static text. */
const char *alk_auth_reason(alk_err err);
/* Appends the line, without a line break. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_auth_failure_line(struct alk_buf *b,
                                            const struct alk_auth_failure *failure);

/* Who did what, from where, allowed or not. Absent values are empty spans. */
struct alk_audit_record {
    struct alk_span who;       /* identity id; empty: nobody */
    struct alk_span authority; /* on whose scopes it ran, when not who's */
    struct alk_span what;      /* "call", "token.new", "login", "reload", ... */
    struct alk_span target;    /* operation, repository, peer id, token prefix */
    const char *remote;        /* "192.0.2.1:443", "admin", or NULL */
    struct alk_span alpn;
    struct alk_span request_id;
    struct alk_span trace;  /* W3C traceparent of who asked */
    struct alk_span reason; /* why not, or a note */
    bool is_allowed;
};

/* When, as text. Zeroed: no time yet. Owned by who writes the lines, and good for any
 * order of times: only what differs from the time before is written anew, for most
 * lines come within the second of the one before, or its millisecond. */
struct alk_audit_date {
    uint64_t unix_ms;
    char text[ALK_DATE_SIZE]; /* as alk_date_format_ms makes it */
};
/* The rest of alk_audit_date_set: of another time. */
void alk_audit_date_renew(struct alk_audit_date *date, uint64_t unix_ms);
static inline void alk_audit_date_set(struct alk_audit_date *date, uint64_t unix_ms)
{
    if (unix_ms != date->unix_ms || date->text[0] == '\0') {
        alk_audit_date_renew(date, unix_ms);
    }
}

enum alk_audit_format { ALK_AUDIT_TEXT, ALK_AUDIT_JSON };
/* Appends one record on one line, without a line break. date: as in alk_audit_date.
 * Each value is cut at 256 bytes. ALK_E_TOO_BIG, ALK_E_NOMEM; a part of the line may
 * stand in the buffer then. */
ALK_NODISCARD alk_err alk_audit_line(struct alk_buf *b, enum alk_audit_format format,
                                     const char date[static ALK_DATE_SIZE],
                                     const struct alk_audit_record *record);

#endif
