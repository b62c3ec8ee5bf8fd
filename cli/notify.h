/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/notify.h - telling a service manager how it goes: systemd's protocol, one
 * datagram of VARIABLE=VALUE lines to $NOTIFY_SOCKET.
 */
#ifndef ALK_CLI_NOTIFY_H
#define ALK_CLI_NOTIFY_H

/* "READY=1", "STOPPING=1", ... Without $NOTIFY_SOCKET nothing happens; what cannot
 * be sent is lost, since a node must not fail for that. */
void cli_notify(const char *state);

#endif
