/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "gitrun.h"

#include "core/host/spawner.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

void gh_tell(struct alk_span message)
{
    ssize_t n;
    do {
        n = send(ALK_SPAWN_CHANNEL, message.p, message.n, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)message.n) {
        gh_die("the node is not there");
    }
}

bool gh_ask(struct alk_span message, const char *yes, char *ret, size_t ret_size,
            const char **ret_rest)
{
    ssize_t n;
    size_t yes_n = strlen(yes);
    gh_tell(message);
    do {
        n = recv(ALK_SPAWN_CHANNEL, ret, ret_size - 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n <= 0) {
        gh_die("the node does not answer");
    }
    ret[n] = '\0';
    bool is_yes = strncmp(ret, yes, yes_n) == 0 && (ret[yes_n] == ' ' || ret[yes_n] == '\0');
    const char *space = strchr(ret, ' ');
    if (ret_rest != NULL) {
        *ret_rest = space == NULL ? "" : space + 1;
    }
    return is_yes;
}

void gh_tell_refs(struct alk_span lines)
{
    static const char word[] = "refs\n";
    char text[ALK_GIT_MESSAGE_MAX];
    size_t n = 0;
    while (lines.n > 0) {
        struct alk_span line = alk_span_head(lines, alk_span_find(lines, '\n') + 1);
        if (n + line.n > sizeof text) {
            if (n > 0) {
                gh_tell(alk_span(text, n));
            }
            n = 0;
        }
        if (n == 0) {
            memcpy(text, word, sizeof word - 1);
            n = sizeof word - 1;
        }
        if (n + line.n > sizeof text) {
            gh_die("the name of a ref is too long");
        }
        memcpy(text + n, line.p, line.n);
        n += line.n;
        lines = alk_span_tail(lines, line.n);
    }
    if (n > 0) {
        gh_tell(alk_span(text, n));
    }
}
