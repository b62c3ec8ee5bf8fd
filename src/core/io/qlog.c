/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/qlog.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_SIZE 1024

void alk_qlog_put(const struct alk_mem *mem, const char *dir, const struct alk_conn *conn,
                  struct alk_span data, bool is_end)
{
    char path[PATH_SIZE];
    (void)mem;
    (void)is_end;
    if (dir == NULL) {
        return;
    }
    /* The time makes names of different runs differ. */
    int n = snprintf(path, sizeof path, "%s/%s-%s-%llu.sqlog", dir,
                     conn->is_server ? "server" : "client", conn->auth.log_id,
                     (unsigned long long)(conn->made_at / ALK_MS));
    if (n < 0 || (size_t)n >= sizeof path) {
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        ssize_t wrote = write(fd, data.p, data.n);
        (void)wrote;
        (void)close(fd);
    }
}
