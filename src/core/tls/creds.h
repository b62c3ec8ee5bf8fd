/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/tls/creds.h - keys and certificates as GnuTLS credentials.
 *
 * Counted and immutable; made from bytes, never from files (core/store reads
 * those). Private keys are wiped when the last reference goes.
 */
#ifndef ALK_CORE_TLS_CREDS_H
#define ALK_CORE_TLS_CREDS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/span.h"
#include "core/tls/key.h"

struct alk_tls_creds_options {
    const struct alk_mem *mem;
    const uint8_t *seed;       /* 32 bytes: Ed25519 raw public key; NULL: none */
    struct alk_span chain_pem; /* X.509, leaf first; empty: none */
    struct alk_span key_pem;
    struct alk_span ca_pem; /* clients: trusted roots */
    bool use_system_ca;     /* clients */
};

struct alk_tls_creds;
/* ALK_E_CRYPTO: key and certificate do not fit, or cannot be read; `why` (may be
 * NULL) gets a sentence. */
ALK_NODISCARD alk_err alk_tls_creds_new(const struct alk_tls_creds_options *options, char *why,
                                        size_t why_size, struct alk_tls_creds **ret);
struct alk_tls_creds *alk_tls_creds_ref(struct alk_tls_creds *creds);
void alk_tls_creds_unref(struct alk_tls_creds *creds);
bool alk_tls_creds_has_raw_key(const struct alk_tls_creds *creds);
bool alk_tls_creds_has_x509(const struct alk_tls_creds *creds);
/* Leaf certificate: SHA-256 of the DER, and validity in unix seconds. False
 * without X.509. */
bool alk_tls_creds_cert(const struct alk_tls_creds *creds, uint8_t ret_sha256[static 32],
                        uint64_t *ret_not_before, uint64_t *ret_not_after);

struct alk_tls_sni {
    const char *name; /* "git.example.org" or "*.example.org" */
    struct alk_tls_creds *creds;
};

/* An ECDSA P-256 certificate as browsers accept for serverCertificateHashes: at
 * most 14 days. names: DNS names and IP addresses for the SAN. now: unix
 * seconds. Both PEMs are appended. */
ALK_NODISCARD alk_err alk_tls_self_signed(const char *const *names, uint64_t now,
                                          uint64_t lifetime_s, struct alk_buf *ret_chain_pem,
                                          struct alk_buf *ret_key_pem);

#endif
