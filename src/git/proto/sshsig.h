/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/sshsig.h - OpenSSH's signature format [PROTOCOL.sshsig]: reading it, and making
 * the bytes that are signed. No cryptography here: hash and check are the caller's
 * (git/sshsig_verify.h).
 *
 *     armor: BEGIN line, base64 of the blob in lines, END line
 *     blob:  "SSHSIG" u32 1, string key, string namespace, string reserved,
 *            string hash algorithm, string signature
 *     signed: "SSHSIG" string namespace, string reserved, string hash algorithm,
 *            string H(message)
 *
 * Pure.
 */
#ifndef ALK_GIT_SSHSIG_H
#define ALK_GIT_SSHSIG_H

#include "base/buf.h"
#include "base/err.h"

#define ALK_GIT_SSHSIG_BLOB_MAX 8192 /* bytes: a 16 384-bit RSA key and its signature */
#define ALK_GIT_SSHSIG_NS_MAX   64   /* bytes of a namespace */
#define ALK_GIT_SSHSIG_BEGIN    "-----BEGIN SSH SIGNATURE-----"
#define ALK_GIT_SSHSIG_END      "-----END SSH SIGNATURE-----"

enum alk_git_sshsig_hash { ALK_GIT_SSHSIG_SHA256, ALK_GIT_SSHSIG_SHA512 };
enum alk_git_sshsig_key {
    ALK_GIT_SSHSIG_ED25519,
    ALK_GIT_SSHSIG_P256,
    ALK_GIT_SSHSIG_RSA,
    ALK_GIT_SSHSIG_OTHER /* certificates, security keys, other curves: nobody checks these */
};

/* Spans borrow from the blob. */
struct alk_git_sshsig {
    struct alk_span key; /* public key blob [RFC 4253 §6.6]: alk_key_names_from_ssh takes it */
    enum alk_git_sshsig_key key_kind;
    struct alk_span ed25519;       /* 32 bytes */
    struct alk_span point;         /* P256: 65 bytes, 04 x y */
    struct alk_span rsa_e, rsa_n;  /* without leading zeros */
    struct alk_span ns;            /* namespace, not empty */
    struct alk_span reserved;      /* signed as it is, meaning nothing */
    enum alk_git_sshsig_hash hash; /* of the message */
    /* of RSA, which hash the signature itself takes: rsa-sha2-256 or rsa-sha2-512 */
    enum alk_git_sshsig_hash rsa_hash;
    struct alk_span value;            /* Ed25519: 64 bytes; RSA: as long as the modulus */
    struct alk_span ecdsa_r, ecdsa_s; /* P256: without leading zeros, at most 32 bytes */
};

/* Appends the blob of an armor to *blob. Around it only spaces, tabs, CR and LF are allowed.
 * ALK_E_MALFORMED; ALK_E_TOO_BIG: over ALK_GIT_SSHSIG_BLOB_MAX or the buffer; ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_sshsig_unarmor(struct alk_span text, struct alk_buf *blob);
/* Of kind OTHER only key, ns and hash are set, and nothing of its signature is looked at.
 * ALK_E_MALFORMED: also bytes after the end, an empty namespace, an unknown hash, a
 * signature that is not of the key's kind (ssh-rsa with SHA-1 is none).
 * ALK_E_VERSION: of a later format. ALK_E_TOO_BIG. *ret is unchanged then. */
ALK_NODISCARD alk_err alk_git_sshsig_parse(struct alk_span blob, struct alk_git_sshsig *ret);
/* Bytes of a hash: 32 or 64. */
size_t alk_git_sshsig_hash_size(enum alk_git_sshsig_hash hash);
/* Appends what the key has signed, given the message's hash (sig->hash, of that size).
 * ALK_E_INVALID: of another size; ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_sshsig_put_signed(struct alk_buf *b, const struct alk_git_sshsig *sig,
                                                struct alk_span message_hash);

#endif
