/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/proto/pktline.h - Git's framing: four hex digits of length, themselves included, and
 * the data [gitprotocol-common, "pkt-line Format"].
 *
 *     0000 flush   0001 delim   0002 response-end   0003 nothing: malformed
 *     0004 a packet without data   0005 .. fff0 a packet with data
 *
 * Three ways to read, all without a copy that need not be: whole packets out of one span
 * (alk_git_pkt_parse), whole packets out of pieces (struct alk_git_pkt_reader, which holds a
 * packet only when it comes in pieces), and the pieces themselves (struct alk_git_pkt_stream,
 * for packs). All take hex digits of either case, as git does. Pure: no I/O, no clock.
 */
#ifndef ALK_GIT_PKTLINE_H
#define ALK_GIT_PKTLINE_H

#include "base/buf.h"
#include "base/wire.h"

#define ALK_GIT_PKT_MAX      65520 /* bytes of a packet, with its four digits */
#define ALK_GIT_PKT_DATA_MAX 65516
#define ALK_GIT_PKT_HEAD     4

enum alk_git_pkt_kind {
    ALK_GIT_PKT_DATA,
    ALK_GIT_PKT_FLUSH,
    ALK_GIT_PKT_DELIM,
    ALK_GIT_PKT_RESPONSE_END
};

struct alk_git_pkt {
    enum alk_git_pkt_kind kind;
    struct alk_span data; /* of DATA, may be empty; as sent, with its LF */
};

/* --- one span ------------------------------------------------------------------------ */

/* Parses one packet at the front of *r; data borrows from the input.
 *
 * ALK_OK: *ret is filled and *r stands after the packet.
 * ALK_MORE: the input is a proper prefix of a packet.
 * ALK_E_MALFORMED: not a length (told at the first bad digit), or 0003.
 * ALK_E_TOO_BIG: longer than ALK_GIT_PKT_MAX.
 * *r and *ret change only on ALK_OK. */
ALK_NODISCARD alk_err alk_git_pkt_parse(struct alk_rd *r, struct alk_git_pkt *ret);
/* Without one LF at its end. */
struct alk_span alk_git_pkt_text(struct alk_span data);
/* An error packet, "ERR text": *ret_text is the text without its LF, and without the word. */
bool alk_git_pkt_is_err(struct alk_span data, struct alk_span *ret_text);

/* --- pieces as they come ------------------------------------------------------------- */

/* Zeroed is ready. No memory of its own. */
struct alk_git_pkt_stream {
    uint8_t digits[ALK_GIT_PKT_HEAD];
    uint8_t digit_count;
    bool is_inside; /* digits are read, `left` bytes of data are to come */
    bool is_later;  /* of this packet a piece was given already */
    uint32_t left;
    alk_err err;
};

struct alk_git_pkt_piece {
    enum alk_git_pkt_kind kind;
    struct alk_span data; /* borrows from the input; empty only in a packet without data */
    bool is_first, is_last;
    size_t left; /* bytes of this packet's data after this piece */
};

/* Takes from *in up to the end of one piece. ALK_OK: *ret is filled, call again.
 * ALK_MORE: *in is used up. ALK_E_MALFORMED, ALK_E_TOO_BIG: as in parse, and the same ever
 * after. */
ALK_NODISCARD alk_err alk_git_pkt_stream_next(struct alk_git_pkt_stream *s, struct alk_span *in,
                                              struct alk_git_pkt_piece *ret);
/* Whether the stream may end here: between two packets. */
bool alk_git_pkt_stream_is_between(const struct alk_git_pkt_stream *s);

/* --- whole packets out of pieces ----------------------------------------------------- */

struct alk_git_pkt_reader {
    struct alk_git_pkt_stream stream;
    struct alk_buf hold; /* owns: a packet that comes in pieces */
    bool is_held;        /* hold is a packet that was given */
};

/* data_max: bytes of data of one packet, at most ALK_GIT_PKT_DATA_MAX; 0: that. Allocates
 * nothing. */
void alk_git_pkt_reader_init(struct alk_git_pkt_reader *r, const struct alk_mem *mem,
                             size_t data_max);
void alk_git_pkt_reader_fini(struct alk_git_pkt_reader *r);
/* Takes one packet from *in, or all of it. ALK_OK: data borrows from what *in was, or from
 * the reader until its next call. ALK_MORE: *in is used up. ALK_E_MALFORMED; ALK_E_TOO_BIG:
 * over data_max too; ALK_E_NOMEM. After an error: the same error. */
ALK_NODISCARD alk_err alk_git_pkt_reader_next(struct alk_git_pkt_reader *r, struct alk_span *in,
                                              struct alk_git_pkt *ret);
bool alk_git_pkt_reader_is_between(const struct alk_git_pkt_reader *r);

/* --- writing ------------------------------------------------------------------------- */

/* The four digits before n bytes of data, for a caller who writes the data himself;
 * n <= ALK_GIT_PKT_DATA_MAX. */
void alk_git_pkt_head(size_t n, uint8_t ret[static ALK_GIT_PKT_HEAD]);
/* All of the packet or none of it: ALK_E_TOO_BIG (the packet or the buffer), ALK_E_NOMEM,
 * and then the buffer's sticky error. */
ALK_NODISCARD alk_err alk_git_pkt_put(struct alk_buf *b, struct alk_span data);
/* text and an LF. */
ALK_NODISCARD alk_err alk_git_pkt_put_line(struct alk_buf *b, struct alk_span text);
/* word and text, nothing between: "want " and an id. has_lf: and an LF. */
ALK_NODISCARD alk_err alk_git_pkt_put_pair(struct alk_buf *b, const char *word,
                                           struct alk_span text, bool has_lf);
/* FLUSH, DELIM, RESPONSE_END. */
ALK_NODISCARD alk_err alk_git_pkt_put_mark(struct alk_buf *b, enum alk_git_pkt_kind mark);
/* "ERR text": what git prints as "remote error: text" [gitprotocol-pack]. Control bytes of
 * text become '?', what does not fit is cut. */
ALK_NODISCARD alk_err alk_git_pkt_put_err(struct alk_buf *b, struct alk_span text);

#endif
