/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/auth/fingerprint.h - the names of a key.
 *
 * A key that a peer shows is looked up under all its names (DESIGN.md §7):
 *
 *   ed25519:<64 hex>   any Ed25519 key, wherever it was found
 *   spki:<64 hex>      SHA-256 of the DER SubjectPublicKeyInfo
 *   cert:<64 hex>      SHA-256 of the DER certificate
 *   SHA256:<43 base64> OpenSSH's name: SHA-256 of the SSH wire form
 *
 * Canonical names are in lower-case hex and without padding. Everything here is
 * pure: a bounded walk through DER that follows no pointer of the input, no
 * allocation, no TLS library. Public keys are no secrets.
 */
#ifndef ALK_CORE_AUTH_FINGERPRINT_H
#define ALK_CORE_AUTH_FINGERPRINT_H

#include "alknet/auth.h"
#include "base/err.h"
#include "base/span.h"

#define ALK_KEY_NAMES_MAX     4
#define ALK_ED25519_SIZE      32
#define ALK_ED25519_SPKI_SIZE 44
/* Largest certificate or key that is looked at, in bytes. */
#define ALK_KEY_DER_MAX       65536
#define ALK_Z32_ADDRESS_SIZE  53 /* 52 characters and a zero */

/* Names, most specific first, in the shape of alk_auth_context.fingerprints;
 * unused ones are "". */
struct alk_key_names {
    char name[ALK_KEY_NAMES_MAX][ALK_FINGERPRINT_MAX];
    size_t count;
    bool is_ed25519;
    uint8_t ed25519[ALK_ED25519_SIZE]; /* zeros unless is_ed25519 */
};

/* What TLS showed: kind RAW_KEY with a SubjectPublicKeyInfo, or X509 with the
 * end-entity certificate. Strict DER: indefinite or padded lengths, bytes after
 * the object and anything out of place are ALK_E_MALFORMED, and then the key has
 * no name at all. ALK_E_TOO_BIG beyond ALK_KEY_DER_MAX. ALK_E_INVALID: kind NONE. */
ALK_NODISCARD alk_err alk_key_names_from_tls(enum alk_cert_kind kind, struct alk_span der,
                                             struct alk_key_names *ret);
/* What SSH showed: a public key blob [RFC 4253 §6.6]. Keys other than ssh-ed25519
 * have the name SHA256 alone. ALK_E_MALFORMED, ALK_E_TOO_BIG. */
ALK_NODISCARD alk_err alk_key_names_from_ssh(struct alk_span blob, struct alk_key_names *ret);
/* All names of a raw Ed25519 key: ed25519, spki, SHA256. */
void alk_key_names_from_ed25519(const uint8_t key[static ALK_ED25519_SIZE],
                                struct alk_key_names *ret);

/* The SubjectPublicKeyInfo inside an X.509 certificate; borrows from der. */
ALK_NODISCARD alk_err alk_x509_spki(struct alk_span der, struct alk_span *ret);
/* The raw key of an Ed25519 SubjectPublicKeyInfo [RFC 8410 §4]. False: of
 * another kind. */
bool alk_spki_ed25519(struct alk_span spki, uint8_t ret[static ALK_ED25519_SIZE]);
/* The reverse: 44 bytes. */
void alk_ed25519_spki(const uint8_t key[static ALK_ED25519_SIZE],
                      uint8_t ret[static ALK_ED25519_SPKI_SIZE]);

/* Reads every form that the config and the CLI take: the four names above (hex
 * in either case), "ssh-ed25519 AAAA... comment", and the 52 characters of
 * z-base-32; spaces around it are ignored. ret: the canonical name. Both Ed25519
 * text forms become ed25519:.
 * ALK_E_INVALID: why (when why_size > 0) holds one sentence for the user. */
ALK_NODISCARD alk_err alk_key_parse(struct alk_span text, char ret[static ALK_FINGERPRINT_MAX],
                                    char *why, size_t why_size);
/* The raw key of a canonical ed25519: name; false for other names. */
bool alk_key_name_ed25519(const char *name, uint8_t ret[static ALK_ED25519_SIZE]);
/* The address form: 52 characters of z-base-32. */
void alk_key_address(const uint8_t key[static ALK_ED25519_SIZE],
                     char ret[static ALK_Z32_ADDRESS_SIZE]);
/* And back. ALK_E_INVALID: not 52 characters of z-base-32 without spare bits. */
ALK_NODISCARD alk_err alk_key_from_address(struct alk_span text,
                                           uint8_t ret[static ALK_ED25519_SIZE]);

#endif
