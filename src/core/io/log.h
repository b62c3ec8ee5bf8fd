/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/io/log.h - the log: one line per event, to a descriptor or a function.
 *
 *     2027-01-01T10:00:00.123Z info  quic: ...            text
 *     <6>quic: ...                                        text, to the journal
 *     {"time":"...","level":"info","component":"quic","message":"..."}   json
 *
 * Every thread may write. A line is one write(2) of at most ALK_LOG_LINE_MAX
 * bytes; bytes that are not printable are escaped, so a peer cannot forge lines. A
 * reader that does not keep up costs lines, which are counted and told, never
 * time: a blocked log must not stop a loop.
 */
#ifndef ALK_CORE_IO_LOG_H
#define ALK_CORE_IO_LOG_H

#include "alknet/handler.h"
#include "base/err.h"
#include "base/list.h"
#include "core/config/node.h"

#define ALK_LOG_LINE_MAX 4096 /* = PIPE_BUF: lines of several writers stay whole */

struct alk_log;

/* fd: borrows. fn: takes the lines instead, unformatted; NULL: fd. */
ALK_NODISCARD alk_err alk_log_new(const struct alk_mem *mem, int fd, alk_log_fn *fn, void *ctx,
                                  struct alk_log **ret);
void alk_log_free(struct alk_log *log);
/* Format and levels from now on; takes a reference of its own. */
void alk_log_configure(struct alk_log *log, const struct alk_dynamic_config *config);
bool alk_log_wants(struct alk_log *log, enum alk_log_level level, const char *component);
/* An alk_log_fn; ctx is the struct alk_log. */
void alk_log_line(void *ctx, enum alk_log_level level, const char *component, const char *line);
void alk_log_printf(struct alk_log *log, enum alk_log_level level, const char *component,
                    const char *fmt, ...) ALK_PRINTF(4, 5);
uint64_t alk_log_dropped(struct alk_log *log);

/* Somebody who reads along: fn hears every line that the log takes, from every thread,
 * under the log's lock: it must be quick and must not log. When untap returns, it runs
 * no more. The tap stays the caller's. */
struct alk_log_tap {
    alk_log_fn *fn;
    void *ctx;
    struct alk_link in; /* the log's */
};
void alk_log_tap_add(struct alk_log *log, struct alk_log_tap *tap);
void alk_log_tap_remove(struct alk_log *log, struct alk_log_tap *tap);

/* Formats one line with its line break into dst (ALK_LOG_LINE_MAX bytes) and
 * returns its length. Pure. */
enum alk_log_style { ALK_LOG_STYLE_TEXT, ALK_LOG_STYLE_JOURNAL, ALK_LOG_STYLE_JSON };
size_t alk_log_format(enum alk_log_style style, uint64_t unix_ms, enum alk_log_level level,
                      const char *component, const char *line, char *dst);

/* --- files that lines are appended to: audit, key log --------------------- */

struct alk_line_file;
/* Creates with 0600; what is there and ends in the middle of a line stays one of its own.
 * ALK_E_PERM, ALK_E_NOENT, ALK_E_IO, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_line_file_open(const struct alk_mem *mem, const char *path,
                                         struct alk_line_file **ret);
/* Opens the path anew (it may have been rotated away); the old one stays on
 * failure. */
ALK_NODISCARD alk_err alk_line_file_reopen(struct alk_line_file *file);
void alk_line_file_free(struct alk_line_file *file);
/* From every thread; adds the line break. False: the system refused, or took a part, which
 * then is a line of its own. */
bool alk_line_file_put(struct alk_line_file *file, struct alk_span line);
const char *alk_line_file_path(const struct alk_line_file *file);

#endif
