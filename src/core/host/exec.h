/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/exec.h - the generic service `exec`: a program per stream.
 *
 *     - {alpn: my/tool, exec: [/usr/bin/tool, --stdio], memory: 256MiB}
 *
 * The stream is the program's standard input and output (one socketpair, or two
 * pipes with `stdio: pipe`); its standard error goes to the log line by line. The
 * peer's end becomes the end of its input. Our direction ends cleanly only after
 * its output has ended AND it exited with status 0; else it is reset:
 *
 *     7  exit status not 0, or a signal        11  `timeout` is over
 *     5  `max_instances` or limits.hosts        1  cannot be started
 *     6  the spawner is gone
 *
 * When the peer resets, stops or leaves, the program's group gets TERM and, two
 * seconds later, KILL. Settings: alk_config_exec_rows. Identity is told in the
 * environment: ALKNET_ALPN, ALKNET_PEER_ID, ALKNET_PEER_FINGERPRINT,
 * ALKNET_PEER_SCOPES (separated by spaces), ALKNET_REMOTE_ADDR; unset when
 * unknown. Needs env->spawner.
 */
#ifndef ALK_CORE_HOST_EXEC_H
#define ALK_CORE_HOST_EXEC_H

#include "alknet/handler.h"

extern const struct alk_handler alk_exec_handler; /* name "exec" */

#endif
