/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/call_world.h - a core of the call protocol and a peer that speaks raw frames.
 *
 * What happens becomes text: events as `requested s0 fs/read {...}`, frames as their
 * bodies, so that tests compare lines.
 */
#ifndef ALK_TEST_CALL_WORLD_H
#define ALK_TEST_CALL_WORLD_H

#include "call/proto/core.h"
#include "support/check.h"

struct call_world {
    struct alk_call_core *core;
    struct alk_buf said;         /* events, one per line */
    struct alk_call_ref last;    /* of the last event that had one */
    struct alk_call_event event; /* its spans are gone */
};

/* options may be NULL. */
void call_world_init(struct call_world *w, const struct alk_call_options *options);
void call_world_fini(struct call_world *w);
/* Appends a frame with this body. */
void call_frame(struct alk_buf *b, struct alk_span body);
/* One event as a line. */
void call_event_text(const struct alk_call_event *ev, struct alk_buf *b);
/* Takes all events there are. */
void call_world_events(struct call_world *w);
/* Feeds all of it, events in between; false: the core takes no more for now. */
bool call_world_feed(struct call_world *w, uint64_t stream, struct alk_span in);
/* A frame of the peer, taken as a whole. */
void call_says(struct call_world *w, uint64_t stream, const char *body);
/* The events since the last look are these lines. */
#define call_check(w, want) call_check_at((w), (want), __FILE__, __LINE__)
void call_check_at(struct call_world *w, const char *want, const char *file, int line);
/* The output of the stream is frames of these bodies, a line each; it is sent. */
#define call_check_out(w, stream, want) call_check_out_at((w), (stream), (want), __FILE__, __LINE__)
void call_check_out_at(struct call_world *w, uint64_t stream, const char *want, const char *file,
                       int line);
/* Every frame of the output is well formed; how many there are. It is sent. */
size_t call_count_out(struct call_world *w, uint64_t stream);

#endif
