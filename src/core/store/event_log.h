/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/event_log.h - durable events in one SQLite file, <data_dir>/events.db.
 *
 * Tables: streams (a rule's name, how much it holds, up to which seq retention has
 * removed), events by seq, ids (event_id of the last two minutes). A batch, what
 * retention removes for it and its ids are one transaction, so a crash leaves all or
 * nothing of it.
 */
#ifndef ALK_CORE_STORE_EVENT_LOG_H
#define ALK_CORE_STORE_EVENT_LOG_H

#include "core/store/db.h"
#include "core/store/event_store.h"

#define ALK_EVENT_LOG_FILE "events.db"

#define ALK_EVENT_LOG_BATCH       1024              /* events of one transaction */
#define ALK_EVENT_LOG_BATCH_BYTES ((size_t)4 << 20) /* of data, beyond the first event */
#define ALK_EVENT_LOG_PAGE        256               /* events of one page */
#define ALK_EVENT_LOG_PAGE_BYTES  ((size_t)256 << 10)
#define ALK_EVENT_LOG_PAGE_SEEN   4096 /* rows that one page looks at */

struct alk_event_log_options {
    const struct alk_mem *mem; /* safe from every thread */
    const char *dir;
    struct alk_event_writer writer;
    /* Unix milliseconds; NULL: the system's clock. From the store's thread. */
    uint64_t (*now_ms)(void *ctx);
    void *now_ctx;
    size_t queue_max;   /* events that may wait; 0: 65 536 */
    uint64_t pages_max; /* of the file, 4 KiB each; 0: as many as the disk has */
};

/* Opens or creates, and starts the thread. message: as of alk_db_open, whose errors
 * these are. */
ALK_NODISCARD alk_err alk_event_log_open(const struct alk_event_log_options *options, char *message,
                                         struct alk_event_store **ret);

#endif
