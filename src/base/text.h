/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* base/text.h - hex, base64, base64url and z-base-32 as constant-time
 * encoders (safe for keys), and strict decoders.
 *
 * Encoders write a terminating zero; `dst_size` counts it. Decoders refuse
 * foreign characters, wrong padding and non-zero trailing bits.
 */
#ifndef ALK_BASE_TEXT_H
#define ALK_BASE_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_HEX_SIZE(n)    (2 * (n) + 1)
#define ALK_BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define ALK_Z32_SIZE(n)    (((n)*8 + 4) / 5 + 1) /* 32 bytes: 52 characters */
#define ALK_Z32_KEY        52

/* False (dst is "") when dst is too small. Lower case. */
bool alk_hex(struct alk_span s, char *dst, size_t dst_size);
bool alk_base64(struct alk_span s, char *dst, size_t dst_size);      /* with padding */
bool alk_base64_bare(struct alk_span s, char *dst, size_t dst_size); /* as OpenSSH prints */
bool alk_base64url(struct alk_span s, char *dst, size_t dst_size);   /* without padding */
bool alk_z32(struct alk_span s, char *dst, size_t dst_size);

/* ALK_OK: *ret_n bytes are in dst. ALK_E_MALFORMED; ALK_E_TOO_BIG: dst too small.
 * Hex may be in either case. */
ALK_NODISCARD alk_err alk_unhex(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n);
/* Padding is accepted where it is right and where it is absent. */
ALK_NODISCARD alk_err alk_unbase64(struct alk_span text, uint8_t *dst, size_t dst_size,
                                   size_t *ret_n);
ALK_NODISCARD alk_err alk_unbase64url(struct alk_span text, uint8_t *dst, size_t dst_size,
                                      size_t *ret_n);
ALK_NODISCARD alk_err alk_unz32(struct alk_span text, uint8_t *dst, size_t dst_size, size_t *ret_n);

/* %XX becomes a byte, which may be zero; everything else stands for itself [RFC 3986 §2.1].
 * ALK_E_MALFORMED: no two hex digits behind a %. ALK_E_TOO_BIG: dst too small. Not for
 * secrets. */
ALK_NODISCARD alk_err alk_percent_decode(struct alk_span text, uint8_t *dst, size_t dst_size,
                                         size_t *ret_n);

/* Peer bytes for logs and terminals: printable ASCII as it is, \t \n \\ \" and
 * \xNN for the rest, at most `max` bytes of input and then "...". */
alk_err alk_buf_put_escaped(struct alk_buf *b, struct alk_span s, size_t max);
/* As a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
alk_err alk_buf_put_json(struct alk_buf *b, struct alk_span s);

/* "1.5 GiB", "250 ms": for people. dst_size >= 24. */
void alk_text_size(uint64_t bytes, char *dst, size_t dst_size);
void alk_text_time(alk_time t, char *dst, size_t dst_size);

#endif
