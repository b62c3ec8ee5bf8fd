/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/events_ops.h - the operations of pub/sub, and the part that brings them.
 *
 *     events/publish    {topic, data, event_id?} -> {seq}
 *     events/subscribe  {topics: [patterns], from?: "latest" | "earliest" | seq}
 *     events/topics     {} -> {topics: [{match, durable, publish, subscribe}]}
 */
#ifndef ALK_OPS_EVENTS_OPS_H
#define ALK_OPS_EVENTS_OPS_H

#include "ops/events.h"
#include "ops/part.h"

/* Each operation keeps a reference to the hub until the registry lets go of it. On
 * failure none stays. */
ALK_NODISCARD alk_err alk_events_add_ops(struct alk_events *e, struct alk_ops *ops, char *why,
                                         size_t why_size);
void alk_events_remove_ops(struct alk_ops *ops);

/* The hub of alk_events_part, for those who publish or listen without a request; borrows
 * until the part stops. */
struct alk_events *alk_events_part_hub(void *part);

#endif
