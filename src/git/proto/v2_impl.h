/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/v2_impl.h - what the parts of the v2 client share: v2.c (life, events),
 * v2_in.c (what the server says), v2_ask.c (what is asked). */
#ifndef ALK_GIT_V2_IMPL_H
#define ALK_GIT_V2_IMPL_H

#include "git/proto/v2.h"

enum v2_state {
    V2_FIRST,    /* nothing was said yet */
    V2_CAPS,     /* capabilities of version 2 */
    V2_OLD_REFS, /* the refs of v0 or v1 */
    V2_OLD_OVER, /* all of them */
    V2_IDLE,
    V2_REFS,    /* the answer to ls-refs */
    V2_SECTION, /* of fetch: the name of a section is next */
    V2_ACKS,    /* the sections, in the order in which they may come */
    V2_SHALLOWS,
    V2_WANTEDS,
    V2_URIS,
    V2_PACK,
    V2_RESPONSE_END, /* the flush is there */
    V2_STATES
};

struct alk_git_v2 {
    const struct alk_mem *mem;
    enum v2_state state;
    unsigned sections; /* of this answer those that came: a bit for each state */
    alk_err err;
    struct alk_git_pkt_reader reader;
    struct alk_buf caps; /* v2: lines with their LF; v0: words with spaces */
    struct alk_buf out;
    struct alk_buf agent;
    struct alk_buf refusal; /* text of band 3 */
    struct alk_git_v2_event event;
    size_t id_hex;
    uint8_t band; /* of the packet under way; 0: not known yet */
    bool has_event, is_eof;
    bool is_bye; /* no more is asked */
    bool is_old; /* v0 or v1 */
    bool has_response_end;
    bool is_done;   /* the request had `done` */
    bool has_haves; /* and `have`: acknowledgments must come unless it was done */
    bool is_enough; /* "ready" was said */
    bool has_pack;
};

/* Uses some of *in: at most until there is an event. ALK_OK: again; ALK_MORE: *in is used
 * up; the errors of feed. */
alk_err alk_git_v2_step(struct alk_git_v2 *c, struct alk_span *in);

#endif
