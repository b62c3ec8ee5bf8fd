/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The asking side of the admin socket: blocking, one question. */
#include "core/frame.h"
#include "core/io/admin.h"
#include "core/io/admin_sock.h"
#include "core/io/loop.h"
#include "core/store/why.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASK_ID "1"

static alk_err build(const struct alk_admin_ask *ask, struct alk_buf *out)
{
    struct yyjson_doc *input = NULL;
    char operation[128];
    int n = snprintf(operation, sizeof operation, "/%s", ask->operation);

    if (n < 0 || (size_t)n >= sizeof operation) {
        return ALK_E_INVALID;
    }
    ALK_TRY(alk_json_parse(ask->input.n == 0 ? ALK_LIT("{}") : ask->input, &input));
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *payload = yyjson_mut_obj(doc);
    bool is_ok = yyjson_mut_obj_add_str(doc, payload, "operationId", operation) &&
                 yyjson_mut_obj_add_val(doc, payload, "input",
                                        yyjson_val_mut_copy(doc, yyjson_doc_get_root(input)));
    alk_err err = is_ok ? alk_frame_put(out, ALK_FRAME_REQUESTED, ASK_ID, payload, ALK_FRAME_MAX)
                        : ALK_E_NOMEM;
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(input);
    return err;
}

static alk_err wait_for(int fd, short what, alk_time until)
{
    for (;;) {
        alk_time t = alk_clock_now();
        struct pollfd p = {.fd = fd, .events = what};
        int ms = t >= until ? 0 : (int)((until - t + ALK_MS - 1) / ALK_MS);
        int n = poll(&p, 1, ms);
        if (n > 0) {
            return ALK_OK;
        }
        if (n == 0 && t >= until) {
            return ALK_E_TIMEOUT;
        }
        if (n < 0 && errno != EINTR) {
            return ALK_E_IO;
        }
    }
}

static alk_err send_all(int fd, struct alk_span out, alk_time until)
{
    while (out.n > 0) {
        ALK_TRY(wait_for(fd, POLLOUT, until));
        ssize_t n = send(fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return ALK_E_CLOSED;
        }
        out = alk_span_tail(out, n > 0 ? (size_t)n : 0);
    }
    return ALK_OK;
}

/* Reads until one whole frame is there; *ret_body borrows from in. */
static alk_err receive(int fd, struct alk_buf *in, alk_time until, struct alk_span *ret_body)
{
    size_t used;
    for (;;) {
        alk_err err = alk_frame_cut(alk_buf_span(in), ALK_FRAME_MAX, ret_body, &used);
        if (err != ALK_MORE) {
            return err == ALK_OK ? ALK_OK : ALK_E_PROTOCOL;
        }
        ALK_TRY(wait_for(fd, POLLIN, until));
        size_t room = alk_buf_room(in) < 65536 ? alk_buf_room(in) : 65536;
        uint8_t *p = alk_buf_reserve(in, room);
        if (p == NULL) {
            return in->err;
        }
        ssize_t n = recv(fd, p, room, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return ALK_E_CLOSED;
        }
        alk_buf_added(in, n > 0 ? (size_t)n : 0);
    }
}

/* The number that the node sent along; any other code stays a failure. */
static alk_err error_of(struct yyjson_val *payload)
{
    struct yyjson_val *n = yyjson_obj_get(yyjson_obj_get(payload, "details"), "error");
    int64_t v = yyjson_get_sint(n);
    alk_err err = v < 0 && v > -1000 ? (alk_err)v : ALK_E_INTERNAL;
    return strcmp(alk_err_name(err), "ALK_E_?") == 0 ? ALK_E_INTERNAL : err;
}

static alk_err take(struct alk_span body, struct alk_why why, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    struct alk_frame frame;
    alk_err err = alk_frame_parse(body, &frame);

    if (err == ALK_OK && frame.type == ALK_FRAME_RESPONDED && strcmp(frame.id, ASK_ID) == 0) {
        *ret_output = yyjson_obj_get(frame.payload, "output");
        *ret_doc = frame.doc;
        return ALK_OK;
    }
    if (err == ALK_OK && frame.type == ALK_FRAME_ERROR) {
        const char *message = yyjson_get_str(yyjson_obj_get(frame.payload, "message"));
        err = error_of(frame.payload);
        err = alk_say(why, err, "%s", message != NULL ? message : alk_err_text(err));
    } else {
        err = alk_say(why, ALK_E_PROTOCOL, "the node's answer makes no sense");
    }
    alk_frame_fini(&frame);
    return err;
}

static alk_err converse(int fd, const struct alk_admin_ask *ask, struct alk_buf *out,
                        struct alk_buf *in, struct alk_span *ret_body)
{
    alk_time until = alk_clock_now() + (ask->timeout != 0 ? ask->timeout : 30 * ALK_SECOND);
    ALK_TRY(send_all(fd, alk_buf_span(out), until));
    return receive(fd, in, until, ret_body);
}

alk_err alk_admin_ask(const struct alk_admin_ask *ask, char *why, size_t why_size,
                      struct yyjson_doc **ret_doc, struct yyjson_val **ret_output)
{
    struct alk_why note = {why, why_size};
    struct alk_span body = {NULL, 0};
    struct alk_buf out, in;
    int fd = -1;

    alk_err err = alk_admin_sock_connect(ask->path, &fd);
    if (err != ALK_OK) {
        return alk_say(note, err, "cannot connect to %s: %s", ask->path, strerror(errno));
    }
    alk_buf_init(&out, ask->mem, ALK_FRAME_MAX + 4);
    alk_buf_init(&in, ask->mem, ALK_FRAME_MAX + 4);
    err = build(ask, &out);
    if (err == ALK_OK) {
        err = converse(fd, ask, &out, &in, &body);
    }
    if (err == ALK_OK) {
        err = take(body, note, ret_doc, ret_output);
    } else {
        err = alk_say(note, err, "%s",
                      err == ALK_E_CLOSED
                          ? "the node closed the connection (it serves only its own user and root)"
                          : alk_err_text(err));
    }
    (void)close(fd);
    alk_buf_fini_secret(&out);
    alk_buf_fini_secret(&in);
    return err;
}
