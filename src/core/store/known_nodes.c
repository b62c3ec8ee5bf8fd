/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/known_nodes.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/auth/date.h"
#include "core/store/file.h"
#include "core/store/why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_MAX   ((size_t)4 << 20)
#define LOCK_TRIES 50 /* of 100 ms */

static bool key_is_valid(struct alk_span key)
{
    uint8_t bytes[32];
    size_t n = 0;

    if (alk_span_starts(key, ALK_LIT("cert:"))) {
        return alk_unhex(alk_span_tail(key, 5), bytes, sizeof bytes, &n) == ALK_OK && n == 32;
    }
    return key.n == ALK_Z32_KEY && alk_unz32(key, bytes, sizeof bytes, &n) == ALK_OK && n == 32;
}

alk_err alk_known_nodes_parse(struct alk_span line, struct alk_known_node *ret)
{
    struct alk_known_node node = {0};
    struct alk_span rest = alk_span_trim(line);

    if (rest.n == 0 || rest.p[0] == '#') {
        return ALK_END;
    }
    struct alk_span host = alk_span_cut(&rest, ' ');
    rest = alk_span_trim(rest);
    struct alk_span key = alk_span_cut(&rest, ' ');
    struct alk_span seen = alk_span_trim(rest);
    if (alk_span_find(host, ':') == host.n || !key_is_valid(key) ||
        !alk_span_cstr(host, node.host, sizeof node.host) ||
        !alk_span_cstr(key, node.key, sizeof node.key) ||
        alk_date_parse(seen, &node.first_seen) != ALK_OK) {
        return ALK_E_MALFORMED;
    }
    *ret = node;
    return ALK_OK;
}

/* Walks the lines; a line that is the node's own comes to `found`. */
struct scan {
    struct alk_span left;
    unsigned line; /* of the last line, from 1 */
};

static bool next_line(struct scan *scan, struct alk_span *ret)
{
    if (scan->left.n == 0) {
        return false;
    }
    *ret = alk_span_cut(&scan->left, '\n');
    scan->line++;
    return true;
}

static alk_err read_file(const char *path, struct alk_buf *ret, struct alk_why why)
{
    alk_err err = alk_file_read(path, FILE_MAX, ret);
    if (err != ALK_OK && err != ALK_E_NOENT) {
        return alk_say(why, err, "cannot read %s: %s", path, alk_err_text(err));
    }
    return err;
}

alk_err alk_known_nodes_find(const struct alk_mem *mem, const char *path, const char *host_port,
                             struct alk_known_node *ret, char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct alk_buf text;
    struct alk_known_node node = {0};
    struct alk_span line;

    alk_buf_init(&text, mem, FILE_MAX);
    alk_err err = read_file(path, &text, note);
    struct scan scan = {.left = alk_buf_span(&text)};
    bool is_found = false;
    while (err == ALK_OK && !is_found && next_line(&scan, &line)) {
        alk_err one = alk_known_nodes_parse(line, &node);
        if (one == ALK_E_MALFORMED) {
            err = alk_say(note, one, "%s:%u: this line is no `host:port key first-seen`", path,
                          scan.line);
        }
        is_found = one == ALK_OK && strcmp(node.host, host_port) == 0;
    }
    alk_buf_fini(&text);
    if (is_found) {
        *ret = node;
        return ALK_OK;
    }
    return err != ALK_OK ? err : ALK_E_NOENT;
}

/* --- changing ----------------------------------------------------------------- */

static alk_err print_node(const struct alk_known_node *node, struct alk_buf *out)
{
    char date[ALK_DATE_SIZE];
    alk_date_format(node->first_seen, date);
    return alk_buf_printf(out, "%s %s %s\n", node->host, node->key, date);
}

/* Copies the file with the node's line replaced, or added at the end. */
static alk_err edit(struct alk_span in, const struct alk_known_node *node, struct alk_buf *out)
{
    struct alk_known_node old;
    struct alk_span line;
    struct scan scan = {.left = in};
    bool is_done = false;

    while (next_line(&scan, &line)) {
        bool is_it =
            alk_known_nodes_parse(line, &old) == ALK_OK && strcmp(old.host, node->host) == 0;
        if (!is_it) {
            (void)alk_buf_put(out, line);
            (void)alk_buf_put_u8(out, '\n');
        } else if (!is_done) {
            (void)print_node(node, out);
            is_done = true;
        }
    }
    if (!is_done) {
        (void)print_node(node, out);
    }
    return out->err;
}

static alk_err lock_beside(const char *path, int *ret_fd, struct alk_why why)
{
    char name[PATH_MAX];
    int n = snprintf(name, sizeof name, "%s.lock", path);
    if (n < 0 || (size_t)n >= sizeof name) {
        return alk_say(why, ALK_E_INVALID, "the name of the file of known nodes is too long");
    }
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return alk_say(why, alk_file_err(errno), "cannot open %s: %s", name, strerror(errno));
    }
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
            (void)close(fd);
            return alk_say(why, ALK_E_BUSY, "%s is locked by another process", name);
        }
        (void)usleep(100 * 1000);
    }
    *ret_fd = fd;
    return ALK_OK;
}

static alk_err rewrite(const struct alk_mem *mem, const char *path,
                       const struct alk_known_node *node, struct alk_why why)
{
    struct alk_buf in, out;
    alk_buf_init(&in, mem, FILE_MAX);
    alk_buf_init(&out, mem, FILE_MAX + sizeof *node + ALK_DATE_SIZE);

    alk_err err = read_file(path, &in, why);
    if (err == ALK_OK || err == ALK_E_NOENT) {
        err = edit(alk_buf_span(&in), node, &out);
        if (err == ALK_OK) {
            err = alk_file_write(path, alk_buf_span(&out), 0600);
        }
        if (err != ALK_OK) {
            err = alk_say(why, err, "cannot write %s: %s", path, alk_err_text(err));
        }
    }
    alk_buf_fini(&in);
    alk_buf_fini(&out);
    return err;
}

alk_err alk_known_nodes_put(const struct alk_mem *mem, const char *path,
                            const struct alk_known_node *node, char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd = -1;

    if (!key_is_valid(alk_span(node->key, strlen(node->key))) || strchr(node->host, ':') == NULL ||
        strpbrk(node->host, " \t\r\n#") != NULL) {
        return alk_say(note, ALK_E_INVALID, "%s is no address that can be remembered", node->host);
    }
    if (slash != NULL && slash != path &&
        alk_span_cstr(alk_span(path, (size_t)(slash - path)), dir, sizeof dir)) {
        alk_err err = alk_file_make_dirs(dir, 0700);
        if (err != ALK_OK) {
            return alk_say(note, err, "cannot make %s: %s", dir, strerror(errno));
        }
    }
    ALK_TRY(lock_beside(path, &fd, note));
    alk_err err = rewrite(mem, path, node, note);
    (void)close(fd);
    return err;
}
