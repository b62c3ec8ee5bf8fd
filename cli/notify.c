/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "notify.h"

#include "base/span.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void cli_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (path == NULL || (path[0] != '/' && path[0] != '@') ||
        !alk_span_cstr(alk_span_str(path), addr.sun_path, sizeof addr.sun_path)) {
        return;
    }
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@') {
        addr.sun_path[0] = '\0'; /* an abstract name begins with a zero */
    } else {
        n++;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&addr, n);
        (void)close(fd);
    }
}
