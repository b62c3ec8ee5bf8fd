/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/event_dedup.h - event_ids of the last two minutes, of topics that are not
 * durable (the store knows those that are). In memory, bounded; not synchronised. */
#ifndef ALK_OPS_EVENT_DEDUP_H
#define ALK_OPS_EVENT_DEDUP_H

#include "base/list.h"
#include "base/map.h"

/* Ids that are remembered: 20 MB with usual names, 66 MB with the longest ones. */
#define ALK_EVENT_DEDUP_MAX 131072

struct alk_event_dedup {
    const struct alk_mem *mem;
    struct alk_map ids;   /* owns */
    struct alk_list ages; /* oldest first */
};

void alk_event_dedup_init(struct alk_event_dedup *d, const struct alk_mem *mem,
                          const uint8_t seed[static 16]);
void alk_event_dedup_fini(struct alk_event_dedup *d);

/* ALK_OK: seen within two minutes, *ret_seq is its number. ALK_END: new, and noted; the
 * caller numbers it through *ret_number, which stays valid until the next call.
 * ALK_E_LIMIT: no room for more. ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_event_dedup_note(struct alk_event_dedup *d, struct alk_span publisher,
                                           struct alk_span topic, struct alk_span id,
                                           uint64_t now_ms, uint64_t *ret_seq,
                                           uint64_t **ret_number);

#endif
