/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/host_world.h - a loop, a spawner and a pair of memory connections whose
 * server end is a service, for tests of core/host with real processes.
 *
 * Nothing sleeps: the loop runs until a condition holds, or fails the test after
 * ten seconds. */
#ifndef ALK_TEST_HOST_WORLD_H
#define ALK_TEST_HOST_WORLD_H

#include "core/host/isolate.h"
#include "core/io/loop.h"
#include "core/memconn.h"
#include "core/router.h"
#include "support/check.h"

struct host_world;

/* One stream as the peer sees it. */
struct host_peer {
    struct host_world *world;
    struct alk_stream *stream; /* NULL: closed */
    bool is_paused;            /* reads nothing */
    bool has_end, has_reset, is_stopped;
    uint64_t code; /* of the reset, else of the stop */
    uint64_t sum;  /* FNV-1a of all bytes */
    uint64_t total;
    char text[4096]; /* the first of them, zero-terminated */
    size_t to_write; /* bytes of the pattern still to be written */
    uint64_t written;
    bool finishes; /* after to_write */
};

struct host_world {
    struct alk_loop *loop;
    struct alk_turn turn;
    struct alk_hub hub;
    struct alk_spawner *spawner;
    struct alk_service *service;
    struct alk_mem_pair *pair;
    struct alk_auth_context auth; /* of the peer; set before host_world_connect */
    uint64_t closed_code;         /* of the client's connection */
    bool is_closed;
    struct host_peer pushed[2];   /* streams that the service opened */
    size_t pushed_count;
    char datagram[64];            /* the last one that came */
    char log[65536]; /* all lines, each with a line break */
    size_t log_n;
};

/* handlers: what hosts may run; NULL: none. host_user NULL: the default. */
void host_world_init(struct host_world *w, const struct alk_handler *const *handlers,
                     size_t handler_count, const char *host_user);
/* The same with a data directory that hosts must not reach. */
void host_world_init_in(struct host_world *w, const struct alk_handler *const *handlers,
                        size_t handler_count, const char *host_user, const char *data_dir);
void host_world_fini(struct host_world *w);
/* Starts a service in this process; yaml is read against handler->settings. */
void host_world_serve(struct host_world *w, const struct alk_handler *handler, const char *yaml);
/* The same in a process of its own. options: spawner, loops and log are filled in. */
void host_world_isolate(struct host_world *w, const struct alk_handler *handler, const char *yaml,
                        struct alk_isolate_options options);
void host_world_connect(struct host_world *w);
/* Ends the connection alone. */
void host_world_disconnect(struct host_world *w);

typedef bool host_world_cond(void *ctx);
/* Runs the loop until cond(ctx). */
#define host_world_until(w, cond, ctx) host_world_until_at((w), (cond), (ctx), __FILE__, __LINE__)
void host_world_until_at(struct host_world *w, host_world_cond *cond, void *ctx, const char *file,
                         int line);
/* Runs it for so long; for what must not happen. */
void host_world_run(struct host_world *w, unsigned ms);

void host_peer_open(struct host_world *w, struct host_peer *p);
/* Listens to a stream that exists. */
void host_peer_take(struct host_world *w, struct host_peer *p, struct alk_stream *stream);
void host_peer_write(struct host_peer *p, const char *text);
/* As many bytes as n, of a fixed pattern, as room comes. */
void host_peer_write_pattern(struct host_peer *p, size_t n, bool finishes);
void host_peer_resume(struct host_peer *p);
/* Conditions. */
bool host_peer_has_some(void *peer); /* something was read */
bool host_peer_is_over(void *peer);  /* end or reset seen */
bool host_peer_is_closed(void *peer);
/* Sum and bytes of the pattern. */
uint64_t host_pattern_sum(uint64_t n);

bool host_log_has(const struct host_world *w, const char *text);

#endif
