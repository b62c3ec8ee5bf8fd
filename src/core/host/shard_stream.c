/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One stream between a peer and a host. Each direction ends by a statement:
 *
 *   out (peer to host): FINISH with the number of bytes, or RESET, by us;
 *                       STOP by the host
 *   in  (host to peer): FINISH with the number of bytes, or RESET, by the host;
 *                       STOP by us
 *
 * The end of the descriptor alone means nothing: a crash looks the same. */
#include "core/host/isolate_in.h"

#include "base/mem.h"

#include <fcntl.h>
#include <sys/socket.h>

#define SOCKET_BUFFER (4 << 20)

static struct shard_stream *find(const struct shard *s, uint64_t id)
{
    return alk_map_get(&s->stream_ids, alk_span(&id, sizeof id));
}

static void state_end(struct shard_stream *t, enum alk_host_type type, uint64_t value)
{
    struct alk_host_msg m = {.type = type, .conn = t->conn->id, .stream = t->id};
    m.u.value = value;
    alk_err err = alk_shard_send(t->shard, &m, -1, true);
    (void)err; /* the host is gone: its channel's end will tell */
}

void alk_shard_stream_free(struct shard_stream *t)
{
    struct shard *s = t->shard;
    if (t->stream != NULL) {
        alk_stream_close(t->stream, ALK_CODE_HOST_LOST);
        t->stream = NULL;
        t->relay.stream = NULL;
    }
    alk_relay_fini(&t->relay);
    (void)alk_map_remove(&s->stream_ids, alk_span(&t->id, sizeof t->id));
    alk_list_remove(&t->in);
    alk_list_remove(&t->verdict);
    alk_free(s->iso->mem, t);
}

/* Frees it when both directions are over. */
static void check_over(struct shard_stream *t)
{
    if (!t->in_over || !t->out_over) {
        return;
    }
    if (t->stream != NULL) {
        /* Everything is stated: this sends nothing, and asks for no more events. */
        alk_stream_close(t->stream, ALK_CODE_NONE);
        t->stream = NULL;
        t->relay.stream = NULL;
    }
    alk_shard_stream_free(t);
}

static void finish_in(struct shard_stream *t)
{
    if (!t->in_over) {
        t->in_over = true;
        alk_list_remove(&t->verdict);
        if (t->stream != NULL) {
            alk_stream_finish(t->stream);
        }
    }
}

static void reset_in(struct shard_stream *t, uint64_t code)
{
    if (!t->in_over) {
        t->in_over = true;
        alk_list_remove(&t->verdict);
        alk_relay_cut_in(&t->relay);
        if (t->stream != NULL) {
            alk_stream_reset(t->stream, code);
        }
    }
}

static void stop_out(struct shard_stream *t, uint64_t code)
{
    if (!t->out_over) {
        t->out_over = true;
        alk_relay_cut_out(&t->relay);
        if (t->stream != NULL) {
            alk_stream_stop(t->stream, code);
        }
    }
}

/* The descriptor ended before a word was heard. The word can stand in the channel
 * unread: look there first, outside of this call. */
static void wait_verdict(struct shard_stream *t)
{
    struct shard *s = t->shard;
    alk_list_append(&s->verdicts, &t->verdict);
    alk_timer_set(s->loop, &s->verdict_timer, alk_loop_now(s->loop));
}

static void out_events(struct shard_stream *t, unsigned events)
{
    if (t->out_over) {
        return;
    }
    if ((events & ALK_RELAY_OUT_END) != 0) {
        t->out_over = true;
        state_end(t, ALK_HOST_FINISH, t->relay.out_bytes);
    } else if ((events & ALK_RELAY_OUT_RESET) != 0) {
        t->out_over = true;
        state_end(t, ALK_HOST_RESET,
                  t->stream == NULL ? ALK_CODE_HOST_LOST : alk_stream_peer_code(t->stream));
    } else if ((events & ALK_RELAY_OUT_REFUSED) != 0) {
        wait_verdict(t);
    }
}

static void in_events(struct shard_stream *t, unsigned events)
{
    if (t->in_over) {
        return;
    }
    if ((events & ALK_RELAY_IN_STOPPED) != 0) {
        t->in_over = true;
        state_end(t, ALK_HOST_STOP, t->stream == NULL ? 0 : alk_stream_peer_code(t->stream));
    } else if ((events & ALK_RELAY_IN_END) != 0 && t->has_finish &&
               t->relay.in_bytes == t->relay.expect) {
        finish_in(t);
    } else if ((events & (ALK_RELAY_IN_END | ALK_RELAY_IN_ERROR)) != 0) {
        wait_verdict(t);
    }
}

static void on_relay(void *ctx, unsigned events)
{
    struct shard_stream *t = ctx;
    if ((events & ALK_RELAY_FAILED) != 0) {
        events |= ALK_RELAY_OUT_RESET | ALK_RELAY_IN_STOPPED;
        reset_in(t, ALK_CODE_LIMIT);
    }
    out_events(t, events);
    in_events(t, events);
    if ((events & ALK_RELAY_CLOSED) != 0) {
        t->stream = NULL;
        if (!t->in_over) {
            t->in_over = true;
            state_end(t, ALK_HOST_STOP, ALK_CODE_NONE);
        }
    }
    check_over(t);
}

/* --- birth ---------------------------------------------------------------- */

/* Takes fd. The relay listens from now on. */
static alk_err attach(struct shard_conn *c, struct alk_stream *stream, uint64_t id, int fd)
{
    struct shard *s = c->shard;
    struct shard_stream *t = ALK_NEW(s->iso->mem, struct shard_stream);
    if (t == NULL) {
        (void)close(fd);
        return ALK_E_NOMEM;
    }
    t->shard = s;
    t->conn = c;
    t->id = id;
    alk_err err = alk_map_put(&s->stream_ids, alk_span(&t->id, sizeof t->id), t);
    if (err != ALK_OK) {
        (void)close(fd);
        alk_free(s->iso->mem, t);
        return err;
    }
    const struct alk_relay_options options = {
        .mem = s->iso->mem,
        .loop = s->loop,
        .stream = stream,
        .out_fd = fd,
        .in_fd = fd,
        .fn = on_relay,
        .ctx = t,
    };
    err = alk_relay_init(&t->relay, &options);
    if (err != ALK_OK) {
        alk_shard_stream_free(t);
        return err;
    }
    t->stream = stream;
    alk_list_append(&c->streams, &t->in);
    return ALK_OK;
}

alk_err alk_shard_stream_new(struct shard_conn *c, struct alk_stream *stream)
{
    struct shard *s = c->shard;
    int fds[2];
    int size = SOCKET_BUFFER;
    ALK_TRY(alk_shard_introduce(c));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        return ALK_E_LIMIT;
    }
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    struct alk_host_msg m = {
        .type = ALK_HOST_STREAM, .conn = c->id, .stream = s->next_stream};
    m.u.stream.id = alk_stream_id(stream);
    m.u.stream.is_early = alk_stream_is_early(stream);
    alk_err err = alk_shard_send(s, &m, fds[1], false);
    if (err != ALK_OK) {
        (void)close(fds[0]);
        return err == ALK_FULL ? ALK_E_LIMIT : ALK_E_HOST_LOST;
    }
    s->next_stream += 2;
    err = attach(c, stream, m.stream, fds[0]);
    if (err != ALK_OK) {
        struct alk_host_msg no = {.conn = c->id, .stream = m.stream};
        no.u.value = ALK_CODE_LIMIT;
        no.type = ALK_HOST_RESET;
        if (alk_shard_send(s, &no, -1, true) == ALK_OK) {
            no.type = ALK_HOST_STOP;
            alk_err lost = alk_shard_send(s, &no, -1, true);
            (void)lost;
        }
    }
    return err;
}

/* --- streams that the host opens ------------------------------------------ */

static void answer_opened(struct shard_conn *c, uint64_t id, alk_err err, uint64_t shown_id)
{
    struct alk_host_msg m = {.type = ALK_HOST_OPENED, .conn = c->id, .stream = id};
    m.u.opened.err = err;
    m.u.opened.id = shown_id;
    alk_err lost = alk_shard_send(c->shard, &m, -1, true);
    (void)lost;
}

/* ALK_FULL: no credit, fd is still the caller's. Else it is taken and answered. */
static alk_err open_one(struct shard_conn *c, uint64_t id, int fd)
{
    struct alk_stream *stream;
    alk_err err = alk_conn_open_stream(c->conn, NULL, NULL, &stream);
    if (err == ALK_FULL) {
        return err;
    }
    if (err != ALK_OK) {
        (void)close(fd);
        answer_opened(c, id, err, 0);
        return err;
    }
    answer_opened(c, id, ALK_OK, alk_stream_id(stream));
    err = attach(c, stream, id, fd);
    if (err != ALK_OK) {
        alk_stream_close(stream, ALK_CODE_LIMIT);
    }
    return err;
}

bool alk_shard_on_stream(struct shard *s, struct alk_host_msg *m, int fd)
{
    struct shard_conn *c = alk_map_get(&s->conn_ids, alk_span(&m->conn, sizeof m->conn));
    bool is_right = (m->stream & 1) == 1 && find(s, m->stream) == NULL;
    if (!is_right || c == NULL) {
        alk_close_fds(&fd, 1);
        return is_right;
    }
    if (fd < 0) { /* too many descriptors here */
        answer_opened(c, m->stream, ALK_E_LIMIT, 0);
        return true;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    bool has_queue = !alk_list_is_empty(&c->waiting);
    if (!has_queue && open_one(c, m->stream, fd) != ALK_FULL) {
        return true;
    }
    struct shard_waiting *w =
        c->waiting_count < ALK_SHARD_OPENS_MAX ? ALK_NEW(s->iso->mem, struct shard_waiting) : NULL;
    if (w == NULL) {
        (void)close(fd);
        answer_opened(c, m->stream, ALK_E_LIMIT, 0);
        return true;
    }
    w->id = m->stream;
    w->fd = fd;
    alk_list_append(&c->waiting, &w->in);
    c->waiting_count++;
    return true;
}

void alk_shard_credit(struct shard_conn *c)
{
    struct alk_link *l;
    while ((l = alk_list_first(&c->waiting)) != NULL) {
        struct shard_waiting *w = ALK_CONTAINER(l, struct shard_waiting, in);
        if (open_one(c, w->id, w->fd) == ALK_FULL) {
            return;
        }
        alk_list_remove(&w->in);
        c->waiting_count--;
        alk_free(c->shard->iso->mem, w);
    }
}

/* --- statements of the host ----------------------------------------------- */

bool alk_shard_on_finish(struct shard *s, struct alk_host_msg *m)
{
    struct shard_stream *t = find(s, m->stream);
    if (t == NULL || t->in_over) {
        return true; /* our STOP and this have crossed */
    }
    if (t->has_finish || t->relay.in_bytes > m->u.value) {
        return false;
    }
    t->has_finish = true;
    alk_relay_expect(&t->relay, m->u.value);
    if (alk_link_is_in(&t->verdict) && t->relay.in_bytes == m->u.value) {
        finish_in(t); /* its bytes had all come before its word */
        check_over(t);
    } else {
        alk_relay_run(&t->relay); /* may free it */
    }
    return true;
}

bool alk_shard_on_reset(struct shard *s, struct alk_host_msg *m)
{
    struct shard_stream *t = find(s, m->stream);
    if (t != NULL) {
        reset_in(t, m->u.value);
        check_over(t);
    }
    return true;
}

bool alk_shard_on_stop(struct shard *s, struct alk_host_msg *m)
{
    struct shard_stream *t = find(s, m->stream);
    if (t != NULL) {
        stop_out(t, m->u.value);
        check_over(t);
    }
    return true;
}

void alk_shard_verdicts(struct shard *s)
{
    struct alk_link *l;
    while ((l = alk_list_pop(&s->verdicts)) != NULL) {
        struct shard_stream *t = ALK_CONTAINER(l, struct shard_stream, verdict);
        if ((t->relay.told & (ALK_RELAY_IN_END | ALK_RELAY_IN_ERROR)) != 0) {
            reset_in(t, ALK_CODE_HOST_LOST);
        }
        if ((t->relay.told & ALK_RELAY_OUT_REFUSED) != 0) {
            stop_out(t, ALK_CODE_HOST_LOST);
        }
        check_over(t);
    }
}

/* --- loss ----------------------------------------------------------------- */

void alk_shard_stream_lose(struct shard_stream *t)
{
    /* What the host has written and stated is here: it is as good as before. */
    if (t->has_finish && !t->in_over) {
        t->out_over = true; /* nobody reads it; no statement is due */
        alk_relay_cut_out(&t->relay);
        if (t->stream != NULL) {
            alk_stream_stop(t->stream, ALK_CODE_HOST_LOST);
        }
        alk_relay_run(&t->relay); /* frees it when all can be handed over at once */
        return;
    }
    reset_in(t, ALK_CODE_HOST_LOST);
    stop_out(t, ALK_CODE_HOST_LOST);
    check_over(t);
}
