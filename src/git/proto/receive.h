/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/receive.h - what a pushing client says before its pack, seen by somebody in the
 * middle [gitprotocol-pack, "Pushing Data To a Server"].
 *
 *     *("shallow" SP id)  1*(old SP new SP ref)  flush  [*option flush]  [pack]
 *     *("shallow" SP id)  "push-cert" certificate "push-cert-end"  flush  [*option flush]  [pack]
 *
 * It looks on and swallows nothing: the caller feeds what he receives and decides himself
 * when those bytes go on to git. Two ways:
 *
 *   - pass through: forward each piece after feeding it; rights are checked by the
 *     pre-receive hook (each line of its input is an alk_git_command_parse), and what is
 *     learnt here is for the log and the event;
 *   - gate: forward nothing until feed says ALK_OK, check the commands, then forward
 *     alk_git_receive_raw (all of it) and after it whatever follows.
 *
 * Stricter than git where two could read differently: capabilities only on the first line
 * that may have them, no zero byte elsewhere, shallow lines first, either commands or one
 * certificate (git runs both), a certificate that is whole (pushcert.h) and names the same
 * push options. A stream that this refuses must not reach git. Ids are as long as the
 * capability object-format says.
 *
 * Holds the bytes of that head once, and those of a certificate twice: bytes_max is the
 * cap of each. Pure.
 */
#ifndef ALK_GIT_RECEIVE_H
#define ALK_GIT_RECEIVE_H

#include "git/proto/pktline.h"
#include "git/proto/refname.h"

#define ALK_GIT_RECEIVE_BYTES_MAX    ((size_t)32 << 20)
#define ALK_GIT_RECEIVE_COMMANDS_MAX 200000
#define ALK_GIT_RECEIVE_OPTIONS_MAX  256
#define ALK_GIT_RECEIVE_OPTION_BYTES 4096 /* of one push option */
#define ALK_GIT_RECEIVE_SHALLOWS_MAX 100000

struct alk_git_receive;

/* Zero means default. */
struct alk_git_receive_options {
    const struct alk_mem *mem;
    size_t bytes_max;    /* of all before the pack; ALK_GIT_RECEIVE_BYTES_MAX */
    size_t commands_max; /* ALK_GIT_RECEIVE_COMMANDS_MAX */
    size_t id_hex;       /* 40 or 64: what the repository has; 0: what the client says */
    bool allows_cert;    /* the server offered push-cert; else one is refused, as git does */
};
/* ALK_E_NOMEM; ALK_E_INVALID: id_hex. */
ALK_NODISCARD alk_err alk_git_receive_new(const struct alk_git_receive_options *options,
                                          struct alk_git_receive **ret);
void alk_git_receive_free(struct alk_git_receive *r);

/* Feeds bytes from the client. ALK_MORE: all were used, the head goes on. ALK_OK: the head
 * is over after *ret_used bytes; what follows is the pack (alk_git_receive_has_pack), and
 * later calls use none and say ALK_OK again.
 * ALK_E_MALFORMED (no packets), ALK_E_PROTOCOL, ALK_E_TOO_BIG, ALK_E_NOMEM: dead, the same
 * ever after; *ret_used is 0 then. */
ALK_NODISCARD alk_err alk_git_receive_feed(struct alk_git_receive *r, struct alk_span in,
                                           size_t *ret_used);
/* What is wrong, for the pusher: a sentence as in alk_git_request_why_text; "" without an
 * error. Static text. */
const char *alk_git_receive_why(const struct alk_git_receive *r);
/* The client may end here without a pack: before the first byte, or when nothing is missing. */
bool alk_git_receive_may_end(const struct alk_git_receive *r);

/* All bytes used so far, as they came. Spans of these calls borrow until the next feed. */
struct alk_span alk_git_receive_raw(const struct alk_git_receive *r);
/* Gives the memory of raw and certificate back after ALK_OK; commands, options and
 * capabilities are gone too. */
void alk_git_receive_forget(struct alk_git_receive *r);

/* After ALK_OK. With a certificate the commands are the certificate's. */
size_t alk_git_receive_command_count(const struct alk_git_receive *r);
/* number < count. */
struct alk_git_command alk_git_receive_command(const struct alk_git_receive *r, size_t number);
/* Some command is not a deletion. */
bool alk_git_receive_has_pack(const struct alk_git_receive *r);
size_t alk_git_receive_shallow_count(const struct alk_git_receive *r);
size_t alk_git_receive_option_count(const struct alk_git_receive *r);
struct alk_span alk_git_receive_option(const struct alk_git_receive *r, size_t number);
/* The certificate's text, joined, for alk_git_pushcert_parse; empty: none was sent. */
struct alk_span alk_git_receive_cert(const struct alk_git_receive *r);
/* As sent: words with spaces between. */
struct alk_span alk_git_receive_caps(const struct alk_git_receive *r);

/* One capability of such a list: "atomic", or "agent=x" with *ret_value x (may be NULL). */
bool alk_git_caps_get(struct alk_span caps, const char *name, struct alk_span *ret_value);

#endif
