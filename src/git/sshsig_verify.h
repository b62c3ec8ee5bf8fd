/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/sshsig_verify.h - whether an SSH signature is good: of push certificates, commits and
 * tags. The format is git/proto/sshsig.h's; here are the hashes and the curves.
 *
 * A good signature says which key made it, nothing of whose that key is or whether it may.
 * Keys: Ed25519, ECDSA on P-256, RSA of 2048 to 16384 bits with SHA-2. Blocking for some
 * microseconds and the hash of the message; no state; every thread.
 */
#ifndef ALK_GIT_SSHSIG_VERIFY_H
#define ALK_GIT_SSHSIG_VERIFY_H

#include "core/auth/fingerprint.h"
#include "git/proto/sshsig.h"

#define ALK_GIT_SSHSIG_NS      "git" /* the namespace of git's signatures */
#define ALK_GIT_SSHSIG_RSA_MIN 2048  /* bits */
#define ALK_GIT_SSHSIG_RSA_MAX 16384 /* as OpenSSH */

/* The message is given in parts. ALK_OK: good. ALK_E_AUTH: it is not, or it was made for
 * another namespace. ALK_E_UNSUPPORTED: a key of another kind, or an RSA key of another size.
 * ALK_E_CRYPTO, ALK_E_NOMEM: could not be found out. */
ALK_NODISCARD alk_err alk_git_sshsig_verify(const struct alk_mem *mem,
                                            const struct alk_git_sshsig *sig, const char *ns,
                                            const struct alk_span *parts, size_t part_count);
/* From the armor to the names of the key that signed (to be looked up), in the namespace
 * "git". Errors of unarmor, parse and verify; *ret is filled only on ALK_OK. */
ALK_NODISCARD alk_err alk_git_sshsig_check(const struct alk_mem *mem, struct alk_span armor,
                                           const struct alk_span *parts, size_t part_count,
                                           struct alk_key_names *ret);

#endif
