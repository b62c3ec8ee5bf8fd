/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/qlog.h - one qlog file per QUIC connection: <dir>/<log id>-<time>.sqlog.
 *
 * For finding faults: written at once, in the loop. What cannot be written is
 * left out. No secret is in it.
 */
#ifndef ALK_CORE_IO_QLOG_H
#define ALK_CORE_IO_QLOG_H

#include "core/conn.h"

/* Appends to the connection's file, which the first call makes (0600). dir NULL:
 * nothing. On the connection's loop. */
void alk_qlog_put(const struct alk_mem *mem, const char *dir, const struct alk_conn *conn,
                  struct alk_span data, bool is_end);

#endif
