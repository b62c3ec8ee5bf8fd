/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/port.h - what the pump does with a QUIC machine and its sockets. */
#ifndef ALK_CORE_IO_PORT_H
#define ALK_CORE_IO_PORT_H

#include "core/io/pump.h"

/* Sends what the machine has, as far as sockets and budget allow, and sets the
 * timer. True: the budget is used up and there is more. */
bool alk_port_flush(struct alk_port *port);
/* Whether flush would send something. */
bool alk_port_has_work(const struct alk_port *port);

#endif
