/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/pushcert.h - a push certificate: what somebody signed when pushing
 * [gitprotocol-pack, "Push Certificate"], in the layout of git 2.39.
 *
 *     certificate version 0.1
 *     pusher <who> <seconds> <zone>
 *     pushee <url>                        absent when the client had none
 *     nonce <nonce>                       absent when the server gave none
 *     push-option <option>                any number
 *     <empty line>
 *     <old> <new> <ref>                   one or more
 *     -----BEGIN SSH SIGNATURE-----
 *     ...
 *     -----END SSH SIGNATURE-----
 *
 * What is signed is everything before the signature. Every line ends in LF and holds no
 * control byte but tabs. A known header comes once, unknown ones are skipped; all lines between the
 * empty line and the signature are commands, nothing follows the signature. So there is one
 * way to read it, and it is git's. Pure: borrows from the text, no allocation.
 */
#ifndef ALK_GIT_PUSHCERT_H
#define ALK_GIT_PUSHCERT_H

#include "git/proto/refname.h"

#define ALK_GIT_PUSHCERT_HEADERS_MAX 300
#define ALK_GIT_PUSHCERT_LINE_MAX    4200 /* bytes of a header line */

struct alk_git_pushcert {
    struct alk_span pusher; /* who: "SHA256:..." with SSH keys; trimmed */
    uint64_t time_s;        /* Unix time as the pusher's clock had it */
    int zone_min;           /* minutes east of UTC */
    struct alk_span pushee; /* empty: absent */
    struct alk_span nonce;  /* empty: absent */
    size_t option_count, command_count;
    struct alk_span headers, commands; /* whole lines; see the two below */
    struct alk_span signed_text;
    struct alk_span signature; /* armor, with its two lines: git/proto/sshsig.h */
};

/* ALK_E_MALFORMED: not such a text. ALK_E_UNSUPPORTED: signed, but not with an SSH key.
 * ALK_E_TOO_BIG: over a bound. *ret is unchanged then. */
ALK_NODISCARD alk_err alk_git_pushcert_parse(struct alk_span text, struct alk_git_pushcert *ret);

/* The next one; *rest is a copy of `headers` or `commands` at the start. False: no more. */
bool alk_git_pushcert_next_option(struct alk_span *rest, struct alk_span *ret);
bool alk_git_pushcert_next_command(struct alk_span *rest, struct alk_git_command *ret);

#endif
