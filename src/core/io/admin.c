/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/admin.h"

#include "base/list.h"
#include "base/mem.h"
#include "core/frame.h"
#include "core/io/admin_sock.h"
#include "core/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_MAX   (ALK_FRAME_MAX + 4)
#define OUT_MAX  (2 * (ALK_FRAME_MAX + 4))
/* With this much unread by the client its further requests wait. */
#define OUT_HIGH ((size_t)256 * 1024)
#define SWEEP    (5 * ALK_SECOND)

struct client {
    struct alk_link in; /* admin->clients */
    struct alk_admin *admin;
    int fd;
    struct alk_watch *watch;
    struct alk_buf rx, tx;
    struct alk_list calls;
    size_t call_count;
    alk_time active_at;
    uid_t uid;
    bool has_eof;
    bool is_broken; /* to be closed as soon as nothing of it is on the stack */
};

struct alk_admin {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    const struct alk_admin_op *ops;
    void *ctx;
    char *path;
    int fd;
    struct alk_watch *watch;
    struct alk_list clients;
    size_t client_count;
    struct alk_timer sweep;
    bool has_owner;
    uid_t uid;
};

struct alk_admin_call {
    struct alk_link in; /* client->calls */
    const struct alk_mem *mem;
    struct client *client; /* NULL: gone, or the request was aborted */
    uid_t uid;
    struct alk_frame frame;
    struct yyjson_mut_doc *doc;
};

static void client_update(struct client *c);
static void client_close(struct client *c);

/* --- answers ------------------------------------------------------------------ */

struct yyjson_val *alk_admin_input(const struct alk_admin_call *call)
{
    return yyjson_obj_get(call->frame.payload, "input");
}

uid_t alk_admin_uid(const struct alk_admin_call *call)
{
    return call->uid;
}

struct yyjson_mut_doc *alk_admin_doc(const struct alk_admin_call *call)
{
    return call->doc;
}

static void call_detach(struct alk_admin_call *call)
{
    if (call->client != NULL) {
        alk_list_remove(&call->in);
        call->client->call_count--;
        call->client = NULL;
    }
}

static void call_free(struct alk_admin_call *call)
{
    call_detach(call);
    alk_frame_fini(&call->frame);
    yyjson_mut_doc_free(call->doc);
    alk_free(call->mem, call);
}

static alk_err put_error(struct client *c, const char *id, alk_err err, const char *message)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    const char *code = alk_frame_code(err);
    struct yyjson_mut_val *payload = yyjson_mut_obj(doc);
    struct yyjson_mut_val *details = yyjson_mut_obj(doc);

    bool is_ok =
        yyjson_mut_obj_add_str(doc, payload, "code", code) &&
        yyjson_mut_obj_add_str(doc, payload, "message",
                               message != NULL ? message : alk_err_text(err)) &&
        yyjson_mut_obj_add_bool(doc, payload, "retryable", alk_frame_code_is_retryable(code)) &&
        /* The number too: the command's exit status comes from it. */
        yyjson_mut_obj_add_int(doc, details, "error", (int64_t)err) &&
        yyjson_mut_obj_add_val(doc, payload, "details", details);
    alk_err put =
        is_ok ? alk_frame_put(&c->tx, ALK_FRAME_ERROR, id, payload, ALK_FRAME_MAX) : ALK_E_NOMEM;
    yyjson_mut_doc_free(doc);
    return put;
}

static void answer(struct alk_admin_call *call, alk_err err, struct yyjson_mut_val *output,
                   const char *message)
{
    struct client *c = call->client;
    if (c == NULL) {
        call_free(call);
        return;
    }
    alk_err put;
    if (err != ALK_OK) {
        put = put_error(c, call->frame.id, err, message);
    } else {
        struct yyjson_mut_val *payload = yyjson_mut_obj(call->doc);
        bool is_ok = yyjson_mut_obj_add_val(call->doc, payload, "output",
                                            output != NULL ? output : yyjson_mut_obj(call->doc));
        put = is_ok ? alk_frame_put(&c->tx, ALK_FRAME_RESPONDED, call->frame.id, payload,
                                    ALK_FRAME_MAX)
                    : ALK_E_NOMEM;
        if (put == ALK_E_TOO_BIG) {
            put = put_error(c, call->frame.id, ALK_E_TOO_BIG, "the answer is too large");
        }
    }
    c->is_broken = c->is_broken || put != ALK_OK;
    call_free(call);
    client_update(c);
}

void alk_admin_done(struct alk_admin_call *call, struct yyjson_mut_val *output)
{
    answer(call, ALK_OK, output, NULL);
}

void alk_admin_fail(struct alk_admin_call *call, alk_err err, const char *message)
{
    answer(call, err != ALK_OK ? err : ALK_E_INTERNAL, NULL, message);
}

/* --- requests ----------------------------------------------------------------- */

static struct alk_admin_call *find_call(struct client *c, const char *id)
{
    for (struct alk_link *e = alk_list_first(&c->calls); e != NULL;
         e = alk_list_next(&c->calls, e)) {
        struct alk_admin_call *call = ALK_CONTAINER(e, struct alk_admin_call, in);
        if (strcmp(call->frame.id, id) == 0) {
            return call;
        }
    }
    return NULL;
}

static const struct alk_admin_op *find_op(const struct alk_admin *admin, struct yyjson_val *name)
{
    const char *text = yyjson_get_str(name);
    if (text == NULL || text[0] != '/') {
        return NULL;
    }
    for (const struct alk_admin_op *op = admin->ops; op->name != NULL; op++) {
        if (strcmp(op->name, text + 1) == 0) {
            return op;
        }
    }
    return NULL;
}

/* Takes what is in *frame. */
static alk_err start_call(struct client *c, struct alk_frame *frame)
{
    struct yyjson_val *name = yyjson_obj_get(frame->payload, "operationId");
    struct yyjson_val *input = yyjson_obj_get(frame->payload, "input");
    const struct alk_admin_op *op = find_op(c->admin, name);

    if (!yyjson_is_str(name) || (input != NULL && !yyjson_is_obj(input))) {
        return put_error(c, frame->id, ALK_E_INVALID, "operationId or input is missing or wrong");
    }
    if (op == NULL) {
        return put_error(c, frame->id, ALK_E_NOENT, "there is no such operation");
    }
    if (c->call_count >= ALK_ADMIN_CALLS_MAX) {
        return put_error(c, frame->id, ALK_E_LIMIT, "too many requests are under way");
    }
    struct alk_admin_call *call = ALK_NEW(c->admin->mem, struct alk_admin_call);
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    if (call == NULL || doc == NULL) {
        alk_free(c->admin->mem, call);
        yyjson_mut_doc_free(doc);
        return put_error(c, frame->id, ALK_E_NOMEM, NULL);
    }
    call->mem = c->admin->mem;
    call->client = c;
    call->uid = c->uid;
    call->doc = doc;
    call->frame = *frame;
    *frame = (struct alk_frame){.doc = NULL};
    alk_list_append(&c->calls, &call->in);
    c->call_count++;
    op->fn(c->admin->ctx, call);
    return ALK_OK;
}

/* The operation goes on, but nobody hears of its end: calls here are short. */
static alk_err abort_call(struct client *c, const char *id)
{
    struct alk_admin_call *call = find_call(c, id);
    if (call == NULL) {
        return ALK_OK;
    }
    call_detach(call);
    return put_error(c, id, ALK_E_CLOSED, "aborted");
}

/* [DESIGN §9] A failure closes the client. */
static alk_err take_frame(struct client *c, struct alk_frame *frame, alk_err parsed)
{
    if (parsed == ALK_E_PROTOCOL && frame->id[0] != '\0') {
        return put_error(c, frame->id, ALK_E_PROTOCOL, "id or payload is wrong");
    }
    ALK_TRY(parsed);
    switch (frame->type) {
    case ALK_FRAME_REQUESTED:
        /* A duplicate live id closes the connection. */
        return find_call(c, frame->id) != NULL ? ALK_E_PROTOCOL : start_call(c, frame);
    case ALK_FRAME_ABORTED:
        return abort_call(c, frame->id);
    case ALK_FRAME_CREDIT: /* of a subscription; there are none here */
    case ALK_FRAME_RESPONDED:
    case ALK_FRAME_COMPLETED:
    case ALK_FRAME_ERROR:
        return ALK_OK; /* a frame for an id that we never asked with is ignored */
    case ALK_FRAME_UNKNOWN:
        return frame->id[0] == '\0' ? ALK_E_PROTOCOL
                                    : put_error(c, frame->id, ALK_E_PROTOCOL, "unknown frame type");
    }
    return ALK_E_PROTOCOL;
}

static void take_frames(struct client *c)
{
    struct alk_span body;
    size_t used = 0;

    while (!c->is_broken && alk_buf_len(&c->tx) < OUT_HIGH) {
        alk_err err = alk_frame_cut(alk_buf_span(&c->rx), ALK_FRAME_MAX, &body, &used);
        if (err == ALK_MORE) {
            break;
        }
        struct alk_frame frame = {.doc = NULL};
        if (err == ALK_OK) {
            err = take_frame(c, &frame, alk_frame_parse(body, &frame));
            alk_frame_fini(&frame);
            alk_buf_consume(&c->rx, used);
        }
        c->is_broken = c->is_broken || err != ALK_OK;
    }
}

/* --- clients ------------------------------------------------------------------ */

#define READ_STEP ((size_t)65536)

static void client_read(struct client *c)
{
    size_t room = alk_buf_room(&c->rx) < READ_STEP ? alk_buf_room(&c->rx) : READ_STEP;
    if (room == 0) {
        return; /* a whole frame is there and waits for its answers to be read */
    }
    uint8_t *p = alk_buf_reserve(&c->rx, room);
    if (p == NULL) {
        c->is_broken = true;
        return;
    }
    ssize_t n = recv(c->fd, p, room, 0);
    if (n > 0) {
        alk_buf_added(&c->rx, (size_t)n);
        c->active_at = alk_loop_now(c->admin->loop);
    } else if (n == 0) {
        c->has_eof = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        c->is_broken = true;
    }
}

static void client_write(struct client *c)
{
    struct alk_span out = alk_buf_span(&c->tx);
    if (out.n == 0) {
        return;
    }
    ssize_t n = send(c->fd, out.p, out.n, MSG_NOSIGNAL);
    if (n > 0) {
        alk_buf_consume(&c->tx, (size_t)n);
        c->active_at = alk_loop_now(c->admin->loop);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        c->is_broken = true;
    }
}

/* What the client waits for; a broken one is woken to be closed by its watch, so
 * that it never goes while a call of it is on the stack. */
static void client_update(struct client *c)
{
    bool can_read = !c->has_eof && alk_buf_len(&c->tx) < OUT_HIGH;
    bool must_write = alk_buf_len(&c->tx) > 0 || c->is_broken;
    bool is_over = c->has_eof && c->call_count == 0;

    alk_watch_mask(c->watch,
                   (can_read ? ALK_FD_READ : 0u) | (must_write || is_over ? ALK_FD_WRITE : 0u));
}

static void on_client(void *ctx, unsigned ready)
{
    struct client *c = (struct client *)ctx;

    if ((ready & ALK_FD_WRITE) != 0 && !c->is_broken) {
        client_write(c);
    }
    if ((ready & ALK_FD_READ) != 0 && !c->is_broken && !c->has_eof) {
        client_read(c);
    }
    take_frames(c);
    bool is_over = c->has_eof && c->call_count == 0 && alk_buf_len(&c->tx) == 0;
    if (c->is_broken || is_over) {
        client_close(c);
        return;
    }
    client_update(c);
}

static void client_close(struct client *c)
{
    struct alk_admin *admin = c->admin;
    struct alk_link *e;

    while ((e = alk_list_first(&c->calls)) != NULL) {
        call_detach(ALK_CONTAINER(e, struct alk_admin_call, in));
    }
    alk_list_remove(&c->in);
    admin->client_count--;
    alk_watch_free(c->watch);
    (void)close(c->fd);
    alk_buf_fini_secret(&c->rx);
    alk_buf_fini_secret(&c->tx); /* a new token passes through here */
    alk_free(admin->mem, c);
    if (admin->watch != NULL) {
        alk_watch_mask(admin->watch, ALK_FD_READ);
    }
}

static bool may_use(const struct alk_admin *admin, int fd, uid_t *ret_uid)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) {
        return false;
    }
    *ret_uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid() || (admin->has_owner && peer.uid == admin->uid);
}

/* Takes fd. */
static alk_err client_new(struct alk_admin *admin, int fd, uid_t uid)
{
    struct client *c = ALK_NEW(admin->mem, struct client);
    if (c == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    c->admin = admin;
    c->fd = fd;
    c->uid = uid;
    c->active_at = alk_loop_now(admin->loop);
    alk_buf_init(&c->rx, admin->mem, IN_MAX);
    alk_buf_init(&c->tx, admin->mem, OUT_MAX);
    alk_list_init(&c->calls);
    alk_err err = alk_watch_new(admin->loop, fd, ALK_FD_READ, on_client, c, &c->watch);
    if (err != ALK_OK) {
        (void)close(fd);
        alk_free(admin->mem, c);
        return err;
    }
    alk_list_append(&admin->clients, &c->in);
    admin->client_count++;
    return ALK_OK;
}

static void on_sweep(struct alk_timer *timer, void *ctx)
{
    struct alk_admin *admin = (struct alk_admin *)ctx;
    alk_time now = alk_loop_now(admin->loop);
    struct alk_link *next;

    for (struct alk_link *e = alk_list_first(&admin->clients); e != NULL; e = next) {
        struct client *c = ALK_CONTAINER(e, struct client, in);
        next = alk_list_next(&admin->clients, e);
        /* A slow operation is no idle client; one that does not read its answer is. */
        bool is_waiting = c->call_count > 0 && alk_buf_len(&c->tx) == 0;
        if (!is_waiting && now - c->active_at >= ALK_ADMIN_IDLE) {
            client_close(c);
        }
    }
    if (admin->client_count > 0) {
        alk_timer_set(admin->loop, timer, now + SWEEP);
    }
}

static void on_listen(void *ctx, unsigned ready)
{
    struct alk_admin *admin = (struct alk_admin *)ctx;
    (void)ready;

    if (admin->client_count >= ALK_ADMIN_CLIENTS_MAX) {
        alk_watch_mask(admin->watch, 0); /* until one leaves; the rest wait in the backlog */
        return;
    }
    int fd = accept4(admin->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    uid_t uid;
    if (!may_use(admin, fd, &uid)) {
        (void)close(fd);
        return;
    }
    if (client_new(admin, fd, uid) == ALK_OK &&
        (admin->sweep.at == 0 || admin->sweep.at == ALK_NEVER)) {
        alk_timer_set(admin->loop, &admin->sweep, alk_loop_now(admin->loop) + SWEEP);
    }
}

/* --- server ------------------------------------------------------------------- */

alk_err alk_admin_new(const struct alk_admin_options *options, char *why, size_t why_size,
                      struct alk_admin **ret)
{
    struct alk_admin *admin = ALK_NEW(options->mem, struct alk_admin);
    if (admin == NULL) {
        return ALK_E_NOMEM;
    }
    admin->mem = options->mem;
    admin->loop = options->loop;
    admin->ops = options->ops;
    admin->ctx = options->ctx;
    admin->has_owner = options->has_owner;
    admin->uid = options->uid;
    admin->fd = -1;
    admin->sweep.fn = on_sweep;
    admin->sweep.ctx = admin;
    alk_list_init(&admin->clients);
    admin->path = alk_strdup_span(options->mem, alk_span_str(options->path));

    alk_err err =
        admin->path == NULL ? ALK_E_NOMEM : alk_admin_sock_listen(options->path, &admin->fd);
    if (err == ALK_OK && options->has_owner && geteuid() == 0 &&
        lchown(options->path, options->uid, options->gid) != 0) {
        err = alk_file_err(errno);
    }
    if (err != ALK_OK && why_size > 0) {
        (void)snprintf(why, why_size, "cannot listen on %s: %s", options->path,
                       err == ALK_E_NOMEM ? "out of memory" : strerror(errno));
    }
    if (err == ALK_OK) {
        err = alk_watch_new(options->loop, admin->fd, ALK_FD_READ, on_listen, admin, &admin->watch);
    }
    if (err != ALK_OK) {
        alk_admin_free(admin);
        return err;
    }
    *ret = admin;
    return ALK_OK;
}

void alk_admin_free(struct alk_admin *admin)
{
    struct alk_link *e;
    if (admin == NULL) {
        return;
    }
    if (admin->watch != NULL) {
        alk_watch_free(admin->watch);
        admin->watch = NULL;
        alk_timer_stop(admin->loop, &admin->sweep);
        (void)unlink(admin->path);
    }
    while ((e = alk_list_first(&admin->clients)) != NULL) {
        client_close(ALK_CONTAINER(e, struct client, in));
    }
    if (admin->fd >= 0) {
        (void)close(admin->fd);
    }
    alk_free(admin->mem, admin->path);
    alk_free(admin->mem, admin);
}
