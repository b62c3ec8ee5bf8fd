/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/host.h - the inside of a handler host: a loop, a hub, and connections
 * whose streams are socketpairs, so that the real handler runs unchanged.
 */
#ifndef ALK_CORE_HOST_HOST_H
#define ALK_CORE_HOST_HOST_H

#include "alknet/handler.h"

struct alk_host_options {
    const struct alk_handler *handler;
    const int *channels; /* the process owns them */
    size_t channel_count;
    const char *data_dir;   /* denied by the sandbox; NULL: nothing */
    unsigned sandbox;       /* ALK_SANDBOX_USER when the user was changed already */
};

/* Runs until the endpoint closes the channels or says STOP; the result is the
 * exit status of the process. In a freshly forked, single-threaded process with
 * no descriptors but these and 0, 1, 2. */
int alk_host_run(const struct alk_host_options *options);

#endif
