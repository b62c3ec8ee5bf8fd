/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/event_log.h"

#include "base/mem.h"
#include "core/store/event_db.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define MAGIC 0x45764c67u
/* How often age is looked at when nobody publishes. */
enum { IDLE_S = 60 };
#define QUEUE_MAX   65536
#define QUEUE_BYTES ((size_t)64 << 20)

struct log {
    struct alk_event_store base; /* first */
    unsigned magic;
    const struct alk_mem *mem;
    struct alk_event_db *db; /* of the thread, once it runs */
    struct alk_event_writer writer;
    uint64_t (*now_ms)(void *ctx);
    void *now_ctx;
    uint64_t last;
    pthread_t thread;
    pthread_cond_t wake;
    pthread_mutex_t lock; /* of all below */
    struct alk_event_entry *first, **end;
    size_t queued, queued_bytes, queue_max;
    struct alk_event_page *pages, **pages_end;
    struct alk_event_retention next_rules; /* for the thread to take */
    bool has_rules;                        /* they are new */
    bool is_closing;
    struct alk_event_retention rules; /* the thread's */
};

static struct log *log_of(const struct alk_event_store *store)
{
    struct log *log = ALK_CONTAINER(store, struct log, base);
    ALK_ASSERT(log->magic == MAGIC);
    return log;
}

static uint64_t system_ms(void *ctx)
{
    (void)ctx;
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void release(const struct alk_event_retention *rules)
{
    if (rules->release != NULL) {
        rules->release(rules->ctx);
    }
}

/* --- the thread --------------------------------------------------------------- */

/* Takes the front of the queue, as much as one transaction may hold. */
static struct alk_event_entry *take_batch(struct log *log, size_t *ret_n)
{
    struct alk_event_entry *batch = log->first;
    struct alk_event_entry **at = &log->first;
    size_t n = 0, bytes = 0;
    while (*at != NULL && n < ALK_EVENT_LOG_BATCH && bytes < ALK_EVENT_LOG_BATCH_BYTES) {
        bytes += (*at)->data.n;
        n++;
        at = &(*at)->next;
    }
    log->first = *at;
    if (log->first == NULL) {
        log->end = &log->first;
    }
    *at = NULL;
    log->queued -= n;
    log->queued_bytes -= bytes;
    *ret_n = n;
    return n == 0 ? NULL : batch;
}

static struct alk_event_page *take_page(struct log *log)
{
    struct alk_event_page *page = log->pages;
    if (page != NULL) {
        log->pages = page->next;
        if (log->pages == NULL) {
            log->pages_end = &log->pages;
        }
        page->next = NULL;
    }
    return page;
}

/* False: nothing was written. */
static bool write_batch(struct log *log, struct alk_event_entry *batch, size_t n)
{
    uint64_t first = log->writer.number(log->writer.ctx, n);
    alk_err err = alk_event_db_write(log->db, batch, first, log->rules.list, log->rules.count,
                                     log->now_ms(log->now_ctx));
    log->writer.written(log->writer.ctx, batch, err);
    return err == ALK_OK;
}

/* Waits until there is something to do. True: nothing came for a minute, or the rules
 * are new. */
static bool wait_for_work(struct log *log)
{
    struct timespec until = {0};
    int failed = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    while (log->first == NULL && log->pages == NULL && !log->has_rules && !log->is_closing &&
           failed != ETIMEDOUT) {
        failed = pthread_cond_timedwait(&log->wake, &log->lock, &until);
    }
    bool is_due = failed == ETIMEDOUT;
    if (log->has_rules) {
        release(&log->rules);
        log->rules = log->next_rules;
        log->next_rules = (struct alk_event_retention){0};
        log->has_rules = false;
        is_due = true;
    }
    return is_due;
}

static void trim(struct log *log)
{
    /* A failure is met again by the next batch, which tells its publishers. */
    alk_err err =
        alk_event_db_trim(log->db, log->rules.list, log->rules.count, log->now_ms(log->now_ctx));
    (void)err;
}

static void *thread_main(void *arg)
{
    struct log *log = arg;
    bool is_over = false;
    while (!is_over) {
        size_t n = 0;
        (void)pthread_mutex_lock(&log->lock);
        bool is_due = wait_for_work(log);
        struct alk_event_entry *batch = take_batch(log, &n);
        struct alk_event_page *page = take_page(log);
        bool is_closing = log->is_closing;
        is_over = is_closing && log->first == NULL && log->pages == NULL;
        (void)pthread_mutex_unlock(&log->lock);
        if (batch != NULL && !write_batch(log, batch, n)) {
            is_due = true; /* what is too old may make room */
        }
        if (page != NULL) {
            page->done(page->ctx, page,
                       is_closing ? ALK_E_CLOSED : alk_event_db_read(log->db, page));
        }
        if (is_due) {
            trim(log);
        }
    }
    return NULL;
}

/* --- the store's calls --------------------------------------------------------- */

static alk_err append(struct alk_event_store *store, struct alk_event_entry *entry)
{
    struct log *log = log_of(store);
    (void)pthread_mutex_lock(&log->lock);
    bool is_full = log->queued >= log->queue_max || log->queued_bytes >= QUEUE_BYTES;
    bool was_empty = log->first == NULL;
    if (!is_full) {
        entry->next = NULL;
        *log->end = entry;
        log->end = &entry->next;
        log->queued++;
        log->queued_bytes += entry->data.n;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (is_full) {
        return ALK_FULL;
    }
    if (was_empty) {
        (void)pthread_cond_signal(&log->wake);
    }
    return ALK_OK;
}

static void read_page(struct alk_event_store *store, struct alk_event_page *page)
{
    struct log *log = log_of(store);
    (void)pthread_mutex_lock(&log->lock);
    page->next = NULL;
    *log->pages_end = page;
    log->pages_end = &page->next;
    (void)pthread_mutex_unlock(&log->lock);
    (void)pthread_cond_signal(&log->wake);
}

static void retain(struct alk_event_store *store, const struct alk_event_retention *rules)
{
    struct log *log = log_of(store);
    (void)pthread_mutex_lock(&log->lock);
    struct alk_event_retention unused = log->next_rules;
    log->next_rules = *rules;
    log->has_rules = true;
    (void)pthread_mutex_unlock(&log->lock);
    (void)pthread_cond_signal(&log->wake);
    release(&unused);
}

static uint64_t last(const struct alk_event_store *store)
{
    return log_of(store)->last;
}

static void log_free(struct log *log)
{
    alk_event_db_close(log->db);
    release(&log->rules);
    release(&log->next_rules);
    (void)pthread_cond_destroy(&log->wake);
    (void)pthread_mutex_destroy(&log->lock);
    alk_free(log->mem, log);
}

static void close_log(struct alk_event_store *store)
{
    struct log *log = log_of(store);
    (void)pthread_mutex_lock(&log->lock);
    log->is_closing = true;
    (void)pthread_mutex_unlock(&log->lock);
    (void)pthread_cond_signal(&log->wake);
    (void)pthread_join(log->thread, NULL);
    log_free(log);
}

static bool sync_init(struct log *log)
{
    pthread_condattr_t attr;
    bool is_ok = pthread_condattr_init(&attr) == 0 &&
                 pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&log->wake, &attr) == 0 &&
                 pthread_mutex_init(&log->lock, NULL) == 0;
    (void)pthread_condattr_destroy(&attr);
    return is_ok;
}

/* Signals are for the loops' threads. */
static bool start_thread(struct log *log)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&log->thread, NULL, thread_main, log);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

alk_err alk_event_log_open(const struct alk_event_log_options *options, char *message,
                           struct alk_event_store **ret)
{
    static const struct alk_event_store_calls calls = {
        .append = append, .read = read_page, .retain = retain, .last = last, .close = close_log};
    struct log *log = ALK_NEW(options->mem, struct log);
    if (log == NULL) {
        return ALK_E_NOMEM;
    }
    log->base.calls = &calls;
    log->magic = MAGIC;
    log->mem = options->mem;
    log->writer = options->writer;
    log->now_ms = options->now_ms == NULL ? system_ms : options->now_ms;
    log->now_ctx = options->now_ctx;
    log->queue_max = options->queue_max == 0 ? QUEUE_MAX : options->queue_max;
    log->end = &log->first;
    log->pages_end = &log->pages;
    if (!sync_init(log)) {
        alk_free(log->mem, log);
        return ALK_E_NOMEM;
    }
    alk_err err = alk_event_db_open(log->mem, options->dir, options->pages_max, message, &log->db);
    if (err == ALK_OK) {
        log->last = alk_event_db_last(log->db);
        err = start_thread(log) ? ALK_OK : ALK_E_NOMEM;
    }
    if (err != ALK_OK) {
        log_free(log);
        return err;
    }
    *ret = &log->base;
    return ALK_OK;
}
