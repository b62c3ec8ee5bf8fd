/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* support/host_handler.h - a handler that runs in a host process and does what
 * the first bytes of a stream ask for: crash, hang, send, look around. And the
 * steps that tests with it share. */
#ifndef ALK_TEST_HOST_HANDLER_H
#define ALK_TEST_HOST_HANDLER_H

#include "support/host_world.h"

extern const struct alk_handler host_handler;
/* Directory for the word "data"; set before the spawner is started. */
extern const char *host_handler_data_dir;

/* A ping every 20 ms, hung after 200 ms; and the usual times with quick restarts. */
extern const struct alk_isolate_options host_quick, host_patient;

/* World, isolated service, connection. */
void host_begin(struct host_world *w, const char *yaml, struct alk_isolate_options options);
/* Opens a stream and writes the word. */
void host_ask(struct host_world *w, struct host_peer *p, const char *word);
/* Asks and checks the whole answer, which must end cleanly. */
void host_check_answer(struct host_world *w, const char *word, const char *want);
void host_until_log(struct host_world *w, const char *line);
bool host_is_ready(void *world);
pid_t host_pid(const struct host_world *w);
/* Runs until a host is ready that is not this one. */
void host_until_other(struct host_world *w, pid_t before);

#endif
