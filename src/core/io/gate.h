/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/gate.h - how many connections there may be, in all and per address.
 *
 * One for all loops and both transports of a node; an IPv6 /64 counts as one
 * address. Thread safe.
 */
#ifndef ALK_CORE_IO_GATE_H
#define ALK_CORE_IO_GATE_H

#include "base/rand.h"
#include "core/addr.h"

struct alk_gate;
ALK_NODISCARD alk_err alk_gate_new(const struct alk_mem *mem, const struct alk_rand *rand,
                                   struct alk_gate **ret);
void alk_gate_free(struct alk_gate *gate);
/* 0: no limit. What is inside stays. */
void alk_gate_set(struct alk_gate *gate, size_t total, size_t per_address);
/* One more; false: over a limit, or no memory. Each true needs a leave. */
bool alk_gate_enter(struct alk_gate *gate, const struct alk_addr *remote);
/* Whether enter would say no for want of places. */
bool alk_gate_is_full(struct alk_gate *gate, const struct alk_addr *remote);
void alk_gate_leave(struct alk_gate *gate, const struct alk_addr *remote);
size_t alk_gate_count(struct alk_gate *gate);

#endif
