/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/node.h"

#include "base/text.h"
#include "core/io/loop.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the echo service ----------------------------------------------------- */

static alk_err echo_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                         void **ret_state)
{
    (void)service;
    (void)auth;
    *ret_state = conn;
    return ALK_OK;
}

static void on_echo(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct alk_span in;
    alk_err err = ALK_OK;
    (void)ctx;
    (void)events;
    while (err == ALK_OK && (err = alk_stream_peek(stream, &in)) == ALK_OK) {
        size_t took = 0;
        err = alk_stream_write(stream, in, &took);
        alk_stream_consume(stream, took);
    }
    if (err == ALK_END) {
        alk_stream_finish(stream);
    }
}

static alk_err echo_stream(void *state, struct alk_stream *stream)
{
    (void)state;
    alk_stream_on(stream, on_echo, NULL);
    return ALK_OK;
}

static const struct alk_alpn echo_alpns[] = {{"test/echo", ALK_TRANSPORT_ANY}};
static const struct alk_alpn private_alpns[] = {{"test/private", ALK_TRANSPORT_ANY}};

const struct alk_handler node_echo_handler = {
    .struct_size = sizeof node_echo_handler,
    .abi = ALK_HANDLER_ABI,
    .name = "echo",
    .summary = "returns what it gets",
    .alpns = echo_alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON | ALK_HANDLER_EARLY_SAFE,
    .open = echo_open,
    .stream = echo_stream,
};
const struct alk_handler node_private_handler = {
    .struct_size = sizeof node_private_handler,
    .abi = ALK_HANDLER_ABI,
    .name = "private",
    .summary = "returns what it gets, to friends",
    .alpns = private_alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_DEFAULT_ON,
    .open = echo_open,
    .stream = echo_stream,
};

/* --- files ---------------------------------------------------------------- */

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char name[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) {
            remove_tree(name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

void node_write_config(struct node *n, const char *yaml)
{
    char temp[128];
    (void)snprintf(temp, sizeof temp, "%s.new", n->config);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, yaml, strlen(yaml)), (ssize_t)strlen(yaml));
    (void)close(fd);
    assert_int_equal(rename(temp, n->config), 0);
}

/* --- the log -------------------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct node *n = ctx;
    (void)level;
    (void)pthread_mutex_lock(&log_lock);
    (void)alk_buf_printf(&n->log, "%s: %s\n", component, line);
    (void)pthread_mutex_unlock(&log_lock);
    if (getenv("NODE_LOG") != NULL) {
        (void)fprintf(stderr, "%s: %s\n", component, line);
    }
}

bool node_logged(struct node *n, const char *text)
{
    (void)pthread_mutex_lock(&log_lock);
    bool is_there = strstr(alk_buf_cstr(&n->log), text) != NULL;
    (void)pthread_mutex_unlock(&log_lock);
    return is_there;
}

/* --- the node ------------------------------------------------------------- */

void node_init(struct node *n, const char *yaml)
{
    *n = (struct node){.ep = NULL};
    (void)snprintf(n->dir, sizeof n->dir, "/tmp/alknet-test-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    (void)snprintf(n->config, sizeof n->config, "%s/alknet.yaml", n->dir);
    alk_buf_init(&n->log, NULL, (size_t)1 << 20);
    node_write_config(n, yaml);
    assert_int_equal(alk_loop_new(NULL, &n->client), ALK_OK);
}

alk_err node_try_start(struct node *n, const struct alk_handler *const *handlers,
                       char **ret_message)
{
    static const char *const any[] = {"127.0.0.1:0", NULL};
    char data[96];
    char *message = NULL;
    (void)snprintf(data, sizeof data, "%s/data", n->dir);
    struct alk_endpoint_options o = {.struct_size = sizeof o,
                                     .config_file = n->config,
                                     .data_dir = data,
                                     .listen = n->extra_listen[0] != NULL ? n->extra_listen : any,
                                     .loops = n->loops == 0 ? 1 : n->loops,
                                     .no_spawner = true,
                                     .keylog_file = n->keylog_file,
                                     .qlog_dir = n->qlog_dir,
                                     .log = on_log,
                                     .log_ctx = n,
                                     .watch_config = true};
    o.listen = n->listen_from_config ? NULL : o.listen;
    alk_err err = alk_endpoint_new(&o, &message, &n->ep);
    if (err == ALK_OK) {
        struct alk_router *router = alk_endpoint_router(n->ep);
        assert_int_equal(alk_router_add(router, &node_echo_handler, NULL), ALK_OK);
        assert_int_equal(alk_router_add(router, &node_private_handler, NULL), ALK_OK);
        for (; handlers != NULL && *handlers != NULL; handlers++) {
            assert_int_equal(alk_router_add(router, *handlers, NULL), ALK_OK);
        }
        err = alk_endpoint_start(n->ep, &message);
        if (err != ALK_OK) {
            alk_endpoint_free(n->ep);
            n->ep = NULL;
        }
    }
    if (ret_message != NULL) {
        *ret_message = message;
    } else {
        free(message);
    }
    return err;
}

void node_start(struct node *n, const struct alk_handler *const *handlers)
{
    char *message = NULL;
    alk_err err = node_try_start(n, handlers, &message);
    if (err != ALK_OK) {
        print_error("%s\n", message == NULL ? alk_err_text(err) : message);
    }
    assert_int_equal(err, ALK_OK);
    free(message);
}

void node_turn(struct node *n, int wait_ms)
{
    struct alk_loop *loops[2] = {n->client, n->ep == NULL ? n->client : alk_endpoint_loop(n->ep)};
    struct pollfd p[2];
    int wait = wait_ms;
    for (int i = 0; i < 2; i++) {
        int timeout = alk_loop_timeout_ms(loops[i]);
        wait = timeout >= 0 && timeout < wait ? timeout : wait;
        p[i] = (struct pollfd){.fd = alk_loop_fd(loops[i]), .events = POLLIN};
    }
    (void)poll(p, 2, wait);
    (void)alk_loop_run_once(n->client, 0);
    if (n->ep != NULL && !n->is_stopped && !alk_loop_run_once(alk_endpoint_loop(n->ep), 0)) {
        n->is_stopped = true;
    }
}

void node_until(struct node *n, node_cond *cond, void *ctx)
{
    alk_time limit = alk_clock_now() + NODE_LIMIT_S * ALK_SECOND;
    while (!cond(ctx)) {
        if (alk_clock_now() > limit) {
            print_error("the node's log:\n%s", alk_buf_cstr(&n->log));
            fail_msg("what was waited for has not come");
        }
        node_turn(n, 1000);
    }
}

void node_fini(struct node *n)
{
    alk_loop_free(n->client);
    if (n->ep != NULL) {
        if (!n->is_stopped) {
            alk_endpoint_stop(n->ep);
        }
        alk_endpoint_run(n->ep);
        alk_endpoint_free(n->ep);
    }
    alk_buf_fini(&n->log);
    remove_tree(n->dir);
}

uint16_t node_port(const struct node *n)
{
    uint64_t port = 0;
    const char *text = alk_endpoint_address(n->ep, 0);
    assert_true(alk_span_u64(alk_span_str(strrchr(text, ':') + 1), 65535, &port));
    return (uint16_t)port;
}

/* --- clients -------------------------------------------------------------- */

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct client *c = ctx;
    assert_true(c->conn == NULL || c->was_early);
    c->conn = conn;
    c->stream = NULL;
    c->opens++;
    c->was_early = alk_conn_auth(conn)->is_early;
    c->dial = c->was_early ? c->dial : NULL;
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct client *c = ctx;
    c->is_failed = true;
    c->dial = NULL;
    c->conn = NULL;
    c->err = err;
    (void)snprintf(c->message, sizeof c->message, "%s", message);
}

static void on_early_rejected(void *ctx)
{
    struct client *c = ctx;
    c->was_rejected = true;
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct client *c = ctx;
    assert_false(c->is_closed);
    c->is_closed = true;
    c->conn = NULL;
    c->stream = NULL;
    c->err = why;
    c->code = code;
    (void)alk_span_cstr(reason, c->message, sizeof c->message);
}

static const struct alk_client_calls calls = {
    .opened = on_opened,
    .failed = on_failed,
    .early_rejected = on_early_rejected,
    .closed = on_closed,
};

const struct alk_client_calls *client_calls(void)
{
    return &calls;
}

struct alk_dial_options client_options(const struct node *n, const char *const *alpns)
{
    static uint8_t key[32];
    size_t size;
    assert_int_equal(alk_unz32(alk_span_str(alk_endpoint_key(n->ep)), key, sizeof key, &size),
                     ALK_OK);
    return (struct alk_dial_options){.struct_size = sizeof(struct alk_dial_options),
                                     .host = "127.0.0.1",
                                     .port = node_port(n),
                                     .alpns = alpns,
                                     .pinned_key = key};
}

void client_dial(struct client *c, struct node *n, const struct alk_dial_options *options)
{
    *c = (struct client){.node = n};
    assert_int_equal(alk_dial(n->client, options, &calls, c, &c->dial), ALK_OK);
}

static bool is_decided(void *ctx)
{
    const struct client *c = ctx;
    return c->conn != NULL || c->is_failed || c->is_closed;
}

void client_open(struct client *c, struct node *n, const char *alpn, unsigned transports,
                 const struct alk_key *key)
{
    const char *alpns[] = {alpn, NULL};
    struct alk_dial_options o = client_options(n, alpns);
    o.transports = transports;
    o.key = key;
    client_dial(c, n, &o);
    node_until(n, is_decided, c);
}

static void write_rest(struct client *c)
{
    while (c->rest.n > 0) {
        size_t took = 0;
        alk_err err = alk_stream_write(c->stream, c->rest, &took);
        c->rest = alk_span_tail(c->rest, took);
        c->sent += took;
        if (err != ALK_OK) {
            return;
        }
    }
    if (c->is_finishing) {
        c->is_finishing = false;
        alk_stream_finish(c->stream);
    }
}

static void on_stream(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct client *c = ctx;
    struct alk_span in;
    alk_err err;
    if (stream != c->stream) {
        return; /* the end of an earlier one */
    }
    write_rest(c);
    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        for (size_t i = 0; i < in.n && c->received + i < sizeof c->first; i++) {
            c->first[c->received + i] = in.p[i];
        }
        c->received += in.n;
        alk_stream_consume(stream, in.n);
    }
    c->has_end = c->has_end || err == ALK_END;
    if (err == ALK_E_RESET) {
        c->has_reset = true;
        c->reset_code = alk_stream_peer_code(stream);
    }
    if ((events & ALK_STREAM_CLOSED) != 0) {
        c->stream = NULL;
        c->stream_gone = true;
    }
}

alk_err client_try_send(struct client *c, struct alk_span data, bool finish)
{
    c->rest = data;
    c->is_finishing = finish;
    c->sent = 0;
    c->received = 0;
    c->has_end = false;
    c->has_reset = false;
    c->stream_gone = false;
    assert_non_null(c->conn);
    alk_err err = alk_conn_open_stream(c->conn, on_stream, c, &c->stream);
    if (err == ALK_OK) {
        write_rest(c);
    }
    return err;
}

void client_send(struct client *c, struct alk_span data, bool finish)
{
    assert_int_equal(client_try_send(c, data, finish), ALK_OK);
}

static bool is_answered(void *ctx)
{
    const struct client *c = ctx;
    return c->has_end || c->has_reset || c->is_closed;
}

void client_echo(struct client *c, struct alk_span data)
{
    client_send(c, data, true);
    node_until(c->node, is_answered, c);
    assert_true(c->has_end);
    assert_int_equal(c->received, data.n);
    size_t n = data.n < sizeof c->first ? data.n : sizeof c->first;
    assert_memory_equal(c->first, data.p, n);
}

static bool is_closed(void *ctx)
{
    const struct client *c = ctx;
    return c->is_closed || c->is_failed;
}

void client_wait_closed(struct client *c)
{
    node_until(c->node, is_closed, c);
}

void client_close(struct client *c)
{
    if (c->conn != NULL) {
        alk_conn_close(c->conn, ALK_CODE_NONE, alk_span(NULL, 0));
        client_wait_closed(c);
    }
}
