/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/v2.h - the client's side of protocol v2 [gitprotocol-v2] as a value machine:
 * bytes in, events out, requests as intents, bytes out. For browsers as for programs.
 *
 *     alk_git_v2_feed(c, bytes, &used)     what arrived
 *     alk_git_v2_next(c, &event)           ALK_MORE: nothing more from that feed
 *     alk_git_v2_ls_refs / fetch / bye     intents; they append to the output
 *     alk_git_v2_output(c)                 what to send; then alk_git_v2_sent
 *
 * The server speaks first: capabilities, then ALK_GIT_V2_READY. After that one request at a
 * time: each ends with ALK_GIT_V2_END. A server that knows v0 or v1 alone sends its refs
 * at once: they come as REF events and END says is_v2 false; nothing can be asked then.
 *
 * Pack data is given in the pieces in which it arrives, and not copied; lines are held only
 * when they come in pieces. It calls nobody, reads no clock. Limits: a line
 * ALK_GIT_PKT_DATA_MAX, caps_max bytes of capabilities, out_max bytes of output; how many
 * refs and how much pack there may be is the caller's affair: it sees each.
 */
#ifndef ALK_GIT_V2_H
#define ALK_GIT_V2_H

#include "git/proto/pktline.h"
#include "git/proto/refname.h"

struct alk_git_v2;

/* Zero means default. */
struct alk_git_v2_options {
    const struct alk_mem *mem;
    struct alk_span agent; /* "git/alknet"; printable, no space, at most 128 bytes. Copies */
    /* Each answer ends in a response-end packet (git's stateless-connect). */
    bool has_response_end;
    size_t caps_max; /* bytes; 64 KiB */
    size_t out_max;  /* bytes; 4 MiB */
};
/* ALK_E_INVALID, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_v2_new(const struct alk_git_v2_options *options,
                                     struct alk_git_v2 **ret);
void alk_git_v2_free(struct alk_git_v2 *c);

/* --- events -------------------------------------------------------------------------- */

enum alk_git_v2_event_kind {
    ALK_GIT_V2_READY,     /* capabilities are known: alk_git_v2_cap */
    ALK_GIT_V2_REF,       /* one ref */
    ALK_GIT_V2_ACK,       /* the server has `id` too */
    ALK_GIT_V2_NAK,       /* it has none of those offered */
    ALK_GIT_V2_ENOUGH,    /* "ready": a pack follows in this answer */
    ALK_GIT_V2_SHALLOW,   /* `id` has no parents from now on */
    ALK_GIT_V2_UNSHALLOW, /* `id` has them again */
    ALK_GIT_V2_WANTED,    /* ref `name` of want_refs is `id` */
    ALK_GIT_V2_URI,       /* a pack to be had elsewhere: hash `id`, `text` its URI */
    ALK_GIT_V2_PACK,      /* bytes of the pack */
    ALK_GIT_V2_PROGRESS,  /* bytes for the user; may be cut anywhere, not escaped */
    ALK_GIT_V2_REFUSED,   /* the server gives up with `text`: dead after it (ALK_E_STOPPED) */
    ALK_GIT_V2_END        /* of an answer, or of a v0 or v1 server's refs */
};

/* Spans borrow from the bytes that were fed, or from the core: until the next call of next
 * or feed. */
struct alk_git_v2_event {
    enum alk_git_v2_event_kind kind;
    union {
        struct {
            struct alk_span name;   /* with ^{} at its end: the object behind a tag (v0, v1) */
            struct alk_span id;     /* hex; empty: unborn */
            struct alk_span peeled; /* empty: not told */
            struct alk_span target; /* of a symbolic ref; empty: none, or not told */
        } ref;
        struct {
            struct alk_span id, name;
        } object; /* ACK, SHALLOW, UNSHALLOW, WANTED */
        struct {
            struct alk_span id, text;
        } uri;
        struct alk_span data; /* PACK, PROGRESS */
        struct alk_span text; /* REFUSED; not escaped */
        struct {
            bool is_v2;
            bool has_pack;  /* of fetch: it is complete as far as framing tells */
            bool is_enough; /* of fetch without a pack: ENOUGH was said */
        } end;
    } u;
};

/* Feeds bytes. *ret_used: how many were taken; offer the rest again after next gave
 * ALK_MORE. Everything is taken when no event waits.
 * ALK_OK. ALK_E_MALFORMED, ALK_E_PROTOCOL, ALK_E_TOO_BIG, ALK_E_NOMEM: dead, the same from
 * every call. ALK_E_STATE: after eof. */
ALK_NODISCARD alk_err alk_git_v2_feed(struct alk_git_v2 *c, struct alk_span in, size_t *ret_used);
/* ALK_OK, ALK_MORE, and the error of a dead core, after the events before it. */
ALK_NODISCARD alk_err alk_git_v2_next(struct alk_git_v2 *c, struct alk_git_v2_event *ret);
/* The server ended its direction. ALK_E_PROTOCOL (and dead): in the middle of something. */
ALK_NODISCARD alk_err alk_git_v2_eof(struct alk_git_v2 *c);

/* After READY. Capability by name; *ret_value what follows '=', else empty; may be NULL.
 * The span borrows until free. */
bool alk_git_v2_cap(const struct alk_git_v2 *c, const char *name, struct alk_span *ret_value);
/* A word in a capability's value: ("fetch", "filter"). */
bool alk_git_v2_feature(const struct alk_git_v2 *c, const char *cap, const char *word);
/* Hex digits of an id: object-format, 40 when it is not said. */
size_t alk_git_v2_id_hex(const struct alk_git_v2 *c);
/* A request may be made now. */
bool alk_git_v2_is_idle(const struct alk_git_v2 *c);

/* --- intents --------------------------------------------------------------------------
 * ALK_E_STATE: not now. ALK_E_UNSUPPORTED: the server does not offer it. ALK_E_INVALID: an
 * id, a name or text that cannot be sent (LF, zero byte, too long). ALK_E_TOO_BIG,
 * ALK_E_NOMEM: no room. Nothing is sent then, and the core is as it was. */

struct alk_git_v2_ls_refs {
    bool peel, symrefs;
    bool unborn;                     /* left out where the server does not know it */
    const struct alk_span *prefixes; /* none: all refs */
    size_t prefix_count;
};
ALK_NODISCARD alk_err alk_git_v2_ask_refs(struct alk_git_v2 *c,
                                          const struct alk_git_v2_ls_refs *ask);

struct alk_git_v2_fetch {
    bool thin_pack, no_progress, include_tag, ofs_delta;
    const struct alk_span *shallows; /* ids that have no parents here */
    size_t shallow_count;
    uint64_t deepen; /* 0: not asked for */
    bool deepen_relative;
    uint64_t deepen_since; /* Unix time; 0: not asked for */
    const struct alk_span *deepen_nots;
    size_t deepen_not_count;
    struct alk_span filter; /* "blob:none"; empty: none */
    const struct alk_span *wants, *want_refs, *haves;
    size_t want_count, want_ref_count, have_count;
    bool wait_for_done;
    bool done; /* no negotiation (any more): the answer is the pack */
};
/* At least one want or want_ref. With haves and without done the answer says which are
 * common, and ends in a pack only after ENOUGH: otherwise ask again, with all of it. */
ALK_NODISCARD alk_err alk_git_v2_ask_fetch(struct alk_git_v2 *c,
                                           const struct alk_git_v2_fetch *ask);
/* A flush: no more requests. */
ALK_NODISCARD alk_err alk_git_v2_bye(struct alk_git_v2 *c);

struct alk_span alk_git_v2_output(const struct alk_git_v2 *c); /* borrows until sent */
void alk_git_v2_sent(struct alk_git_v2 *c, size_t n);

/* --- side bands ----------------------------------------------------------------------
 * For those who talk v0 or v1 themselves, and for a server's messages. */

enum alk_git_band { ALK_GIT_BAND_DATA = 1, ALK_GIT_BAND_PROGRESS = 2, ALK_GIT_BAND_ERROR = 3 };
/* Splits a packet's data. False: empty, or no band. */
bool alk_git_band_split(struct alk_span data, enum alk_git_band *ret_band, struct alk_span *ret);
/* Appends data as packets of one band, as many as it takes. ALK_E_TOO_BIG, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_git_band_put(struct alk_buf *b, enum alk_git_band band,
                                       struct alk_span data);

#endif
