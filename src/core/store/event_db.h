/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/event_db.h - the SQL of the event log. One thread. */
#ifndef ALK_CORE_STORE_EVENT_DB_H
#define ALK_CORE_STORE_EVENT_DB_H

#include "base/list.h"
#include "core/store/event_log.h"

#define ALK_EVENT_STREAMS_MAX 4096 /* ever named in one file */

struct alk_event_db;

ALK_NODISCARD alk_err alk_event_db_open(const struct alk_mem *mem, const char *dir,
                                        uint64_t pages_max, char *message,
                                        struct alk_event_db **ret);
void alk_event_db_close(struct alk_event_db *db);
uint64_t alk_event_db_last(const struct alk_event_db *db);

/* Writes a batch, numbered from `first` on, and removes what is over the rules. All or
 * nothing; entries get seq and is_duplicate. */
ALK_NODISCARD alk_err alk_event_db_write(struct alk_event_db *db, struct alk_event_entry *batch,
                                         uint64_t first, const struct alk_event_retain *rules,
                                         size_t rule_count, uint64_t now_ms);
/* Removes what is over the rules now. */
ALK_NODISCARD alk_err alk_event_db_trim(struct alk_event_db *db,
                                        const struct alk_event_retain *rules, size_t rule_count,
                                        uint64_t now_ms);
/* Fills a page; the result for page->done. */
alk_err alk_event_db_read(struct alk_event_db *db, struct alk_event_page *page);

#endif
