/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/host/lines.h - the standard error of a program or host, as log lines.
 *
 * Read as it comes, so that nobody blocks on it; cut at 1 KB; escaped, because it
 * is foreign text; at most 20 lines per second, the rest is counted and told.
 */
#ifndef ALK_CORE_HOST_LINES_H
#define ALK_CORE_HOST_LINES_H

#include "alknet/handler.h"
#include "alknet/loop.h"
#include "base/err.h"

#define ALK_LINE_MAX 1024
#define ALK_LINES_PER_SECOND 20

struct alk_lines {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    int fd; /* -1: over */
    struct alk_watch *watch;
    alk_log_fn *log; /* may be NULL: the text is dropped */
    void *log_ctx;
    const char *name; /* of the service; borrows until fini */
    size_t n;
    bool is_cut; /* the rest of this line is dropped */
    alk_time second;
    unsigned in_second, dropped;
    char line[ALK_LINE_MAX];
};

/* A pipe: ret_fds[0] is for init, ret_fds[1] for the other process. Both
 * close-on-exec, the first non-blocking. */
ALK_NODISCARD alk_err alk_lines_pipe(int ret_fds[static 2]);
/* fields mem, loop, log, log_ctx and name are set; takes fd, also on failure. */
ALK_NODISCARD alk_err alk_lines_init(struct alk_lines *l, int fd);
/* Logs what is still there, and ends. Zeroed is allowed. */
void alk_lines_fini(struct alk_lines *l);

#endif
