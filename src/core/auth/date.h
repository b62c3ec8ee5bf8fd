/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/date.h - calendar dates as Unix seconds (UTC), without the C
 * library's time zone machinery. Pure; years 1970 to 9999.
 */
#ifndef ALK_CORE_AUTH_DATE_H
#define ALK_CORE_AUTH_DATE_H

#include "base/err.h"
#include "base/span.h"

#define ALK_DATE_SIZE 25                       /* "2027-01-01T00:00:00.000Z" and a zero */
#define ALK_DATE_MAX  ((uint64_t)253402300799) /* 9999-12-31T23:59:59Z */

/* "2027-01-01" (its first second, UTC) or RFC 3339 "2027-01-01T12:00:00Z",
 * "...+02:00", fractions of a second cut off. ALK_E_INVALID. */
ALK_NODISCARD alk_err alk_date_parse(struct alk_span text, uint64_t *ret_unix_s);
/* As alk_date_parse, and lengths of time from now: "90s", "30m", "24h", "7d",
 * "2w"; "never" is 0. ALK_E_INVALID: none of these, or not after now. */
ALK_NODISCARD alk_err alk_date_parse_expiry(struct alk_span text, uint64_t now_unix_s,
                                            uint64_t *ret_unix_s);
/* "2027-01-01T00:00:00Z"; what is beyond ALK_DATE_MAX is shown as that. */
void alk_date_format(uint64_t unix_s, char ret[static ALK_DATE_SIZE]);
/* "2027-01-01T00:00:00.000Z" */
void alk_date_format_ms(uint64_t unix_ms, char ret[static ALK_DATE_SIZE]);

#endif
