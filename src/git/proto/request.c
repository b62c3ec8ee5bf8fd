/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/request.h"

#include "base/text.h"
#include "git/proto/pktline.h"

static const char *const service_names[] = {
    [ALK_GIT_UPLOAD_PACK] = "git-upload-pack",
    [ALK_GIT_RECEIVE_PACK] = "git-receive-pack",
    [ALK_GIT_UPLOAD_ARCHIVE] = "git-upload-archive",
};

const char *alk_git_service_name(enum alk_git_service service)
{
    return service_names[service];
}

bool alk_git_service_parse(struct alk_span name, enum alk_git_service *ret)
{
    for (size_t i = 0; i < sizeof(service_names) / sizeof(service_names[0]); i++) {
        struct alk_span full = alk_span_str(service_names[i]);
        if (alk_span_equal(name, full) || alk_span_equal(name, alk_span_tail(full, 4))) {
            *ret = (enum alk_git_service)i;
            return true;
        }
    }
    return false;
}

const char *alk_git_request_why_text(enum alk_git_request_why why)
{
    switch (why) {
    case ALK_GIT_REQUEST_FINE:
        return "nothing is wrong";
    case ALK_GIT_REQUEST_NO_COMMAND:
        return "the request has no command";
    case ALK_GIT_REQUEST_UNKNOWN_COMMAND:
        return "unknown command: there are git-upload-pack, git-receive-pack and "
               "git-upload-archive";
    case ALK_GIT_REQUEST_NO_PATH:
        return "the request names no repository";
    case ALK_GIT_REQUEST_LONG_PATH:
        return "the repository's path is too long";
    case ALK_GIT_REQUEST_BAD_ESCAPE:
        return "the repository's path has a bad percent escape";
    case ALK_GIT_REQUEST_BAD_HOST:
        return "the request names no good host";
    case ALK_GIT_REQUEST_BAD_FORM:
        return "the request is malformed";
    case ALK_GIT_REQUEST_MANY_PARAMS:
        return "the request has too many parameters";
    case ALK_GIT_REQUEST_BAD_TOKEN:
        return "the request has no good token";
    }
    return "";
}

/* --- parsing ------------------------------------------------------------------------- */

static enum alk_git_request_why read_path(struct alk_span text, struct alk_git_request *q)
{
    size_t n = 0;
    if (text.n == 0) {
        return ALK_GIT_REQUEST_NO_PATH;
    }
    alk_err err = alk_percent_decode(text, q->path_room, sizeof(q->path_room), &n);
    if (err == ALK_E_TOO_BIG) {
        return ALK_GIT_REQUEST_LONG_PATH;
    }
    if (err != ALK_OK || alk_span_find(alk_span(q->path_room, n), 0) < n) {
        return ALK_GIT_REQUEST_BAD_ESCAPE;
    }
    q->path = alk_span(q->path_room, n);
    return ALK_GIT_REQUEST_FINE;
}

static bool is_host(struct alk_span host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] <= ' ' || host.p[i] >= 0x7f || host.p[i] == '[' || host.p[i] == ']') {
            return false;
        }
    }
    return host.n > 0 && host.n <= ALK_GIT_REQUEST_HOST_MAX;
}

/* "name", "name:port", "[v6]", "[v6]:port". */
static enum alk_git_request_why read_host(struct alk_span text, struct alk_git_request *q)
{
    struct alk_span port = text;
    uint64_t number = 0;
    if (text.n > 0 && text.p[0] == '[') {
        port = alk_span_tail(text, 1);
        q->host = alk_span_cut(&port, ']');
        if (q->host.n + 2 + port.n != text.n || (port.n > 0 && port.p[0] != ':')) {
            return ALK_GIT_REQUEST_BAD_HOST;
        }
        port = alk_span_tail(port, 1);
        if (port.n == 0 && text.p[text.n - 1] == ':') {
            return ALK_GIT_REQUEST_BAD_HOST;
        }
    } else {
        q->host = alk_span_cut(&port, ':');
        if (q->host.n + 1 == text.n) {
            return ALK_GIT_REQUEST_BAD_HOST;
        }
    }
    if (!is_host(q->host) ||
        (port.n > 0 && (!alk_span_u64(port, UINT16_MAX, &number) || number == 0))) {
        return ALK_GIT_REQUEST_BAD_HOST;
    }
    q->port = (uint16_t)number;
    return ALK_GIT_REQUEST_FINE;
}

static enum alk_git_request_why read_param(struct alk_span param, struct alk_git_request *q)
{
    struct alk_span value = param;
    struct alk_span key = alk_span_cut(&value, '=');
    uint64_t number = 0;
    bool has_value = key.n < param.n;
    /* The highest version wins, as in git: a client may name several. */
    if (has_value && alk_span_is(key, "version") &&
        alk_span_u64(value, ALK_GIT_VERSION_MAX, &number) && number > q->version) {
        q->version = (unsigned)number;
    }
    if (alk_span_is(key, "token")) {
        if (q->has_token || value.n > ALK_GIT_REQUEST_TOKEN_MAX) {
            return ALK_GIT_REQUEST_BAD_TOKEN;
        }
        q->has_token = true;
        q->token = value;
    }
    return ALK_GIT_REQUEST_FINE;
}

/* What follows the path's zero byte. */
static enum alk_git_request_why read_extra(struct alk_span rest, struct alk_git_request *q)
{
    if (alk_span_equal_nocase(alk_span_head(rest, 5), ALK_LIT("host="))) {
        struct alk_span host = alk_span_tail(alk_span_cut(&rest, 0), 5);
        enum alk_git_request_why why = read_host(host, q);
        if (why != ALK_GIT_REQUEST_FINE) {
            return why;
        }
    }
    if (rest.n > 0 && rest.p[0] != 0) {
        return ALK_GIT_REQUEST_BAD_FORM;
    }
    for (size_t count = 0; rest.n > 0;) {
        struct alk_span param = alk_span_cut(&rest, 0);
        if (param.n == 0) {
            continue;
        }
        if (++count > ALK_GIT_REQUEST_PARAMS_MAX) {
            return ALK_GIT_REQUEST_MANY_PARAMS;
        }
        enum alk_git_request_why why = read_param(param, q);
        if (why != ALK_GIT_REQUEST_FINE) {
            return why;
        }
    }
    return ALK_GIT_REQUEST_FINE;
}

static enum alk_git_request_why read_all(struct alk_span data, struct alk_git_request *q)
{
    struct alk_span rest = data;
    struct alk_span line = alk_span_cut(&rest, 0);
    struct alk_span path = line;
    struct alk_span command = alk_span_cut(&path, ' ');
    if (command.n == 0 || command.n == line.n) {
        return ALK_GIT_REQUEST_NO_COMMAND;
    }
    if (!alk_span_starts(command, ALK_LIT("git-")) ||
        !alk_git_service_parse(command, &q->service)) {
        return ALK_GIT_REQUEST_UNKNOWN_COMMAND;
    }
    enum alk_git_request_why why = read_path(alk_git_pkt_text(path), q);
    return why == ALK_GIT_REQUEST_FINE ? read_extra(rest, q) : why;
}

alk_err alk_git_request_parse(struct alk_span data, struct alk_git_request *ret,
                              enum alk_git_request_why *ret_why)
{
    struct alk_git_request q = {0};
    *ret_why = read_all(data, &q);
    if (*ret_why == ALK_GIT_REQUEST_LONG_PATH || *ret_why == ALK_GIT_REQUEST_MANY_PARAMS) {
        return ALK_E_TOO_BIG;
    }
    if (*ret_why != ALK_GIT_REQUEST_FINE) {
        return ALK_E_MALFORMED;
    }
    *ret = q;
    ret->path.p = ret->path_room;
    return ALK_OK;
}

/* --- writing ------------------------------------------------------------------------- */

static bool is_sendable(const struct alk_git_ask *ask)
{
    bool has_zero =
        alk_span_find(ask->path, 0) < ask->path.n || alk_span_find(ask->token, 0) < ask->token.n;
    return ask->path.n > 0 && ask->path.n <= ALK_GIT_REQUEST_PATH_MAX && !has_zero &&
           (ask->host.n == 0 ? ask->port == 0 : is_host(ask->host)) &&
           ask->version <= ALK_GIT_VERSION_MAX && ask->token.n <= ALK_GIT_REQUEST_TOKEN_MAX;
}

static void put_path(struct alk_buf *b, struct alk_span path)
{
    for (size_t i = 0; i < path.n; i++) {
        uint8_t c = path.p[i];
        if (c <= ' ' || c == 0x7f || c == '%') {
            (void)alk_buf_printf(b, "%%%02X", c);
        } else {
            (void)alk_buf_put_u8(b, c);
        }
    }
}

static void put_host(struct alk_buf *b, struct alk_span host, uint16_t port)
{
    bool is_v6 = alk_span_find(host, ':') < host.n;
    (void)alk_buf_put_str(b, is_v6 ? "host=[" : "host=");
    (void)alk_buf_put(b, host);
    (void)alk_buf_put_str(b, is_v6 ? "]" : "");
    if (port != 0) {
        (void)alk_buf_printf(b, ":%u", (unsigned)port);
    }
    (void)alk_buf_put_u8(b, 0);
}

static void put_params(struct alk_buf *b, const struct alk_git_ask *ask)
{
    if (ask->version == 0 && ask->token.n == 0) {
        return;
    }
    (void)alk_buf_put_u8(b, 0);
    if (ask->version != 0) {
        (void)alk_buf_printf(b, "version=%u", ask->version);
        (void)alk_buf_put_u8(b, 0);
    }
    if (ask->token.n > 0) {
        (void)alk_buf_put_str(b, "token=");
        (void)alk_buf_put(b, ask->token);
        (void)alk_buf_put_u8(b, 0);
    }
}

alk_err alk_git_request_put(struct alk_buf *b, const struct alk_git_ask *ask)
{
    /* Built apart, so that a failure leaves nothing behind; the token is wiped with it. */
    struct alk_buf data;
    if (!is_sendable(ask)) {
        return ALK_E_INVALID;
    }
    enum {
        DATA_MAX = 3 * ALK_GIT_REQUEST_PATH_MAX + ALK_GIT_REQUEST_HOST_MAX +
                   ALK_GIT_REQUEST_TOKEN_MAX + 128
    };
    alk_buf_init(&data, b->mem, DATA_MAX);
    /* In one go: growing would leave copies of the token in freed memory. */
    (void)alk_buf_reserve(&data, DATA_MAX);
    (void)alk_buf_printf(&data, "%s ", alk_git_service_name(ask->service));
    put_path(&data, ask->path);
    (void)alk_buf_put_u8(&data, 0);
    if (ask->host.n > 0) {
        put_host(&data, ask->host, ask->port);
    }
    put_params(&data, ask);
    alk_err err = data.err ? data.err : alk_git_pkt_put(b, alk_buf_span(&data));
    alk_buf_fini_secret(&data);
    return err;
}
