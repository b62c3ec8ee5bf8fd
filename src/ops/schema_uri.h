/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/schema_uri.h - references of schemas: resolving them [RFC 3986 §5.2],
 * percent-decoding of fragments. Pure. */
#ifndef ALK_OPS_SCHEMA_URI_H
#define ALK_OPS_SCHEMA_URI_H

#include "base/err.h"
#include "base/span.h"

/* The target of `ref` seen from `base`, without fragment, into dst; the fragment
 * (borrows from ref) without its #. ALK_E_TOO_BIG: longer than dst_size. */
ALK_NODISCARD alk_err alk_schema_uri_resolve(struct alk_span base, struct alk_span ref, char *dst,
                                             size_t dst_size, size_t *ret_n,
                                             struct alk_span *ret_fragment);
/* Into dst, which holds text.n bytes. False: a bad escape. */
bool alk_schema_uri_decode(struct alk_span text, char *dst, size_t *ret_n);

#endif
