/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/log.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/auth/date.h"
#include "core/io/loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a message before escaping; the rest of a line is short. */
#define MESSAGE_MAX 900

struct alk_log {
    const struct alk_mem *mem;
    int fd;
    alk_log_fn *fn;
    void *ctx;
    pthread_mutex_t lock;                    /* of all below */
    const struct alk_dynamic_config *config; /* one reference; NULL: the defaults */
    struct alk_list taps;
    bool is_journal;
    uint64_t dropped, dropped_told;
    atomic_uint loudest; /* no component wants more than this */
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};
/* Of syslog, for the journal. */
static const int priorities[] = {3, 4, 6, 7, 7};

/* systemd tells the device and inode of the stream it connected. */
static bool is_journal(int fd)
{
    const char *text = getenv("JOURNAL_STREAM");
    struct stat st;
    uint64_t dev = 0;
    uint64_t ino = 0;
    if (text == NULL || fstat(fd, &st) != 0) {
        return false;
    }
    struct alk_span s = alk_span_str(text);
    struct alk_span first = alk_span_cut(&s, ':');
    return alk_span_u64(first, UINT64_MAX, &dev) && alk_span_u64(s, UINT64_MAX, &ino) &&
           dev == (uint64_t)st.st_dev && ino == (uint64_t)st.st_ino;
}

alk_err alk_log_new(const struct alk_mem *mem, int fd, alk_log_fn *fn, void *ctx,
                    struct alk_log **ret)
{
    struct alk_log *log = ALK_NEW(mem, struct alk_log);
    if (log == NULL) {
        return ALK_E_NOMEM;
    }
    log->mem = mem;
    log->fd = fd;
    log->fn = fn;
    log->ctx = ctx;
    log->is_journal = is_journal(fd);
    atomic_init(&log->loudest, ALK_LOG_INFO);
    alk_list_init(&log->taps);
    (void)pthread_mutex_init(&log->lock, NULL);
    *ret = log;
    return ALK_OK;
}

void alk_log_free(struct alk_log *log)
{
    if (log != NULL) {
        alk_dynamic_config_unref(log->config);
        (void)pthread_mutex_destroy(&log->lock);
        alk_free(log->mem, log);
    }
}

void alk_log_configure(struct alk_log *log, const struct alk_dynamic_config *config)
{
    unsigned loudest = config->log.level;
    for (size_t i = 0; i < config->log.level_count; i++) {
        unsigned level = config->log.levels[i].level;
        loudest = level > loudest ? level : loudest;
    }
    (void)pthread_mutex_lock(&log->lock);
    const struct alk_dynamic_config *old = log->config;
    log->config = alk_dynamic_config_ref(config);
    (void)pthread_mutex_unlock(&log->lock);
    atomic_store(&log->loudest, loudest);
    alk_dynamic_config_unref(old);
}

static bool wants(const struct alk_log *log, enum alk_log_level level, const char *component)
{
    enum alk_log_level most = ALK_LOG_INFO;
    if (log->config != NULL) {
        most = alk_config_log_level(log->config, component);
    }
    return level <= most;
}

bool alk_log_wants(struct alk_log *log, enum alk_log_level level, const char *component)
{
    if ((unsigned)level > atomic_load_explicit(&log->loudest, memory_order_relaxed)) {
        return false;
    }
    (void)pthread_mutex_lock(&log->lock);
    bool is_wanted = wants(log, level, component);
    (void)pthread_mutex_unlock(&log->lock);
    return is_wanted;
}

/* --- format --------------------------------------------------------------- */

/* Into fixed memory: a log line must not need any. */
static void put(char *dst, size_t *n, const char *text)
{
    size_t len = strlen(text);
    size_t room = ALK_LOG_LINE_MAX - 2 - *n;
    len = len < room ? len : room;
    memcpy(dst + *n, text, len);
    *n += len;
}

static void put_escaped(char *dst, size_t *n, const char *line, bool is_json)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; line[i] != '\0' && i < MESSAGE_MAX; i++) {
        uint8_t c = (uint8_t)line[i];
        char text[8] = {(char)c};
        if (c < 0x20 || c == 0x7f) {
            (void)snprintf(text, sizeof text, is_json ? "\\u00%c%c" : "\\x%c%c", hex[c >> 4],
                           hex[c & 15]);
        } else if (is_json && (c == '"' || c == '\\')) {
            (void)snprintf(text, sizeof text, "\\%c", c);
        }
        put(dst, n, text);
    }
}

/* JSON must be UTF-8: bytes of peers come escaped, so what is not is our own
 * mistake; it is made ASCII. */
static void put_json_message(char *dst, size_t *n, const char *line)
{
    struct alk_span s = alk_span_head(alk_span_str(line), MESSAGE_MAX);
    if (s.n < strlen(line) || alk_span_is_utf8(s)) {
        /* A cut in the middle of a character is repaired below. */
        while (s.n > 0 && !alk_span_is_utf8(s)) {
            s.n--;
        }
    }
    char clean[MESSAGE_MAX + 1];
    bool is_utf8 = alk_span_is_utf8(s);
    for (size_t i = 0; i < s.n; i++) {
        clean[i] = is_utf8 || s.p[i] < 0x80 ? (char)s.p[i] : '?';
    }
    clean[s.n] = '\0';
    put_escaped(dst, n, clean, true);
}

size_t alk_log_format(enum alk_log_style style, uint64_t unix_ms, enum alk_log_level level,
                      const char *component, const char *line, char *dst)
{
    char date[ALK_DATE_SIZE];
    char head[160];
    size_t n = 0;
    alk_date_format_ms(unix_ms, date);
    switch (style) {
    case ALK_LOG_STYLE_TEXT:
        (void)snprintf(head, sizeof head, "%s %-5s %s: ", date, level_names[level], component);
        break;
    case ALK_LOG_STYLE_JOURNAL:
        (void)snprintf(head, sizeof head, "<%d>%s: ", priorities[level], component);
        break;
    case ALK_LOG_STYLE_JSON:
        (void)snprintf(head, sizeof head,
                       "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":\"",
                       date, level_names[level], component);
        break;
    }
    put(dst, &n, head);
    if (style == ALK_LOG_STYLE_JSON) {
        put_json_message(dst, &n, line);
        put(dst, &n, "\"}");
    } else {
        put_escaped(dst, &n, line, false);
    }
    dst[n++] = '\n';
    return n;
}

/* --- write ---------------------------------------------------------------- */

static enum alk_log_style style_of(const struct alk_log *log)
{
    if (log->config != NULL && log->config->log.format == ALK_CONFIG_LOG_JSON) {
        return ALK_LOG_STYLE_JSON;
    }
    return log->is_journal ? ALK_LOG_STYLE_JOURNAL : ALK_LOG_STYLE_TEXT;
}

/* A pipe that polls writable has room for PIPE_BUF bytes, so this does not block. */
static bool write_line(const struct alk_log *log, const char *line, size_t n)
{
    struct pollfd p = {.fd = log->fd, .events = POLLOUT};
    if (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0) {
        return false;
    }
    return write(log->fd, line, n) == (ssize_t)n;
}

static void emit(struct alk_log *log, enum alk_log_level level, const char *component,
                 const char *line)
{
    char text[ALK_LOG_LINE_MAX];
    size_t n =
        alk_log_format(style_of(log), alk_clock_unix_ns() / ALK_MS, level, component, line, text);
    if (!write_line(log, text, n)) {
        log->dropped++;
    }
}

static void tell_taps(const struct alk_log *log, enum alk_log_level level, const char *component,
                      const char *line)
{
    struct alk_link *l = alk_list_first(&log->taps);
    for (; l != NULL; l = alk_list_next(&log->taps, l)) {
        const struct alk_log_tap *tap = ALK_CONTAINER(l, struct alk_log_tap, in);
        tap->fn(tap->ctx, level, component, line);
    }
}

void alk_log_tap_add(struct alk_log *log, struct alk_log_tap *tap)
{
    (void)pthread_mutex_lock(&log->lock);
    alk_list_append(&log->taps, &tap->in);
    (void)pthread_mutex_unlock(&log->lock);
}

void alk_log_tap_remove(struct alk_log *log, struct alk_log_tap *tap)
{
    (void)pthread_mutex_lock(&log->lock);
    alk_list_remove(&tap->in);
    (void)pthread_mutex_unlock(&log->lock);
}

void alk_log_line(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct alk_log *log = ctx;
    if ((unsigned)level > atomic_load_explicit(&log->loudest, memory_order_relaxed)) {
        return;
    }
    (void)pthread_mutex_lock(&log->lock);
    bool is_wanted = wants(log, level, component);
    if (is_wanted && log->fn == NULL) {
        uint64_t missing = log->dropped - log->dropped_told;
        if (missing > 0) {
            char note[64];
            (void)snprintf(note, sizeof note, "%llu lines were dropped",
                           (unsigned long long)missing);
            log->dropped_told = log->dropped;
            emit(log, ALK_LOG_WARN, "log", note);
        }
        emit(log, level, component, line);
    }
    if (is_wanted) {
        tell_taps(log, level, component, line);
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (is_wanted && log->fn != NULL) {
        log->fn(log->ctx, level, component, line);
    }
}

void alk_log_printf(struct alk_log *log, enum alk_log_level level, const char *component,
                    const char *fmt, ...)
{
    char line[MESSAGE_MAX];
    va_list args;
    if ((unsigned)level > atomic_load_explicit(&log->loudest, memory_order_relaxed)) {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    alk_log_line(log, level, component, line);
}

uint64_t alk_log_dropped(struct alk_log *log)
{
    (void)pthread_mutex_lock(&log->lock);
    uint64_t n = log->dropped;
    (void)pthread_mutex_unlock(&log->lock);
    return n;
}
