/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/host_handler.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>

struct service {
    const struct alk_env *env;
    char greeting[64];
};

struct conn {
    struct service *service;
    struct alk_conn *conn;
    struct alk_stream *asking;
};

struct job {
    struct conn *conn;
    uint64_t left; /* bytes of the pattern still to be written */
    uint64_t at;
    bool is_echo, is_sink, crashes_at_end;
    uint64_t got;
};

static const struct alk_conf_row name_row[] = {{.name = "name", .type = ALK_CONF_STRING, .max = 64},
                                               {.name = NULL}};
static const struct alk_conf_row settings[] = {
    {.name = "greeting", .type = ALK_CONF_STRING, .max = 63, .fallback = "hello"},
    {.name = "path", .type = ALK_CONF_STRING, .max = 200},
    {.name = "names", .type = ALK_CONF_LIST, .sub = name_row, .fallback = "[]"},
    {.name = "fails", .type = ALK_CONF_BOOL, .fallback = "false"},
    {.name = NULL}};

static alk_err svc_start(const struct alk_conf *conf, const struct alk_env *env, void **ret)
{
    struct service *s = calloc(1, sizeof *s);
    if (alk_conf_get_bool(conf, "fails")) {
        return ALK_E_CONFIG;
    }
    s->env = env;
    (void)snprintf(s->greeting, sizeof s->greeting, "%s%s", alk_conf_get_str(conf, "greeting"),
                   alk_conf_str(alk_conf_at(alk_conf_get(conf, "names"), 0)));
    env->log(env->log_ctx, ALK_LOG_INFO, "test", "started\x1b");
    *ret = s;
    return ALK_OK;
}

static void svc_stop(void *service)
{
    struct service *s = service;
    s->env->log(s->env->log_ctx, ALK_LOG_INFO, "test", "stopped");
}

static alk_err svc_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                        void **ret)
{
    struct conn *c = calloc(1, sizeof *c);
    (void)auth;
    c->service = service;
    c->conn = conn;
    *ret = c;
    return ALK_OK;
}

static void say(struct alk_stream *s, const char *text)
{
    size_t took;
    alk_err err = alk_stream_write(s, alk_span_str(text), &took);
    (void)err;
}

static uint8_t pattern_at(uint64_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) + (i >> 16));
}

static void job_write(struct job *j, struct alk_stream *s)
{
    uint8_t block[16384];
    while (j->left > 0) {
        size_t n = j->left < sizeof block ? (size_t)j->left : sizeof block;
        for (size_t i = 0; i < n; i++) {
            block[i] = pattern_at(j->at + i);
        }
        size_t took = 0;
        alk_err err = alk_stream_write(s, alk_span(block, n), &took);
        j->at += took;
        j->left -= took;
        if (err != ALK_OK) {
            return;
        }
    }
    if (j->crashes_at_end) {
        raise(SIGSEGV);
    }
    alk_stream_finish(s);
    j->conn->service->env->log(j->conn->service->env->log_ctx, ALK_LOG_INFO, "test", "all written");
}

static void job_echo(struct job *j, struct alk_stream *s)
{
    struct alk_span data;
    alk_err err;
    while ((err = alk_stream_peek(s, &data)) == ALK_OK) {
        size_t took = data.n;
        alk_err w = j->is_sink ? ALK_OK : alk_stream_write(s, data, &took);
        alk_stream_consume(s, took);
        j->got += took;
        if (w != ALK_OK) {
            return;
        }
    }
    if (err == ALK_END) {
        alk_stream_finish(s);
    } else if (err == ALK_E_RESET) {
        char text[64];
        (void)snprintf(text, sizeof text, "reset by the peer: %d",
                       (int)alk_stream_peer_code(s));
        j->conn->service->env->log(j->conn->service->env->log_ctx, ALK_LOG_INFO, "test", text);
        alk_stream_reset(s, 0);
    }
}

static void answer_int(struct alk_stream *s, int value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%d", value);
    say(s, text);
    alk_stream_finish(s);
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int err = fd < 0 ? errno : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return err;
}

static int try_connect(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int err = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
    (void)close(fd);
    return err;
}

static void on_resolved(void *ctx, alk_err err, const struct alk_identity *identity,
                        uint64_t generation)
{
    struct conn *c = ctx;
    char text[96];
    struct alk_span id = identity == NULL ? ALK_LIT("-") : alk_identity_id(identity);
    (void)snprintf(text, sizeof text, "%s " ALK_SPAN_FMT " %u", alk_err_name(err),
                   ALK_SPAN_ARG(id), (unsigned)generation);
    say(c->asking, text);
    alk_stream_finish(c->asking);
}

static void resolve(struct conn *c, struct alk_stream *s)
{
    const struct alk_auth_query q = {.kind = ALK_CREDENTIAL_TOKEN,
                                     .token = ALK_LIT("alk_secret")};
    c->asking = s;
    alk_conn_resolve(c->conn, "token", &q, on_resolved, c);
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events);

static void push(struct conn *c, struct alk_stream *s)
{
    struct job *j = calloc(1, sizeof *j);
    struct alk_stream *own = NULL;
    j->conn = c;
    j->left = 10;
    j->is_sink = true;
    if (alk_conn_open_stream(c->conn, on_stream, j, &own) == ALK_OK) {
        job_write(j, own);
    }
    alk_stream_finish(s);
}

static void show_auth(struct conn *c, struct alk_stream *s)
{
    const struct alk_auth_context *a = alk_conn_auth(c->conn);
    char text[512];
    struct alk_span id = a->identity == NULL ? ALK_LIT("-") : alk_identity_id(a->identity);
    (void)snprintf(text, sizeof text, "%s %s %s %s " ALK_SPAN_FMT " %u %d %d %d", a->alpn,
                   a->remote,
                   a->sni, a->fingerprints[0], ALK_SPAN_ARG(id),
                   (unsigned)alk_identity_scope_count(a->identity),
                   alk_identity_has_scope(a->identity, ALK_LIT("files:read")),
                   (int)alk_conn_transport(c->conn), a->is_confirmed);
    say(s, text);
    alk_stream_finish(s);
}

const char *host_handler_data_dir;

static bool probe(struct alk_stream *s, const char *word)
{
    char path[256];
    if (strcmp(word, "passwd") == 0) {
        answer_int(s, try_open("/etc/passwd", O_RDONLY));
    } else if (strcmp(word, "shadow") == 0) {
        answer_int(s, try_open("/etc/shadow", O_RDONLY));
    } else if (strcmp(word, "tmp") == 0) {
        answer_int(s, try_open("/tmp/alk-host-test-file", O_RDWR | O_CREAT));
    } else if (strncmp(word, "open ", 5) == 0) {
        answer_int(s, try_open(word + 5, O_RDONLY));
    } else if (strncmp(word, "make ", 5) == 0) {
        answer_int(s, try_open(word + 5, O_RDWR | O_CREAT));
    } else if (strcmp(word, "data") == 0) {
        (void)snprintf(path, sizeof path, "%s/node.key", host_handler_data_dir);
        answer_int(s, try_open(path, O_RDONLY));
    } else if (strcmp(word, "connect") == 0) {
        answer_int(s, try_connect());
    } else if (strcmp(word, "kill") == 0) {
        answer_int(s, kill(getppid(), 0) == 0 ? 0 : errno);
    } else if (strcmp(word, "unshare") == 0) {
        answer_int(s, unshare(0x10000000) == 0 ? 0 : errno); /* CLONE_NEWUSER */
    } else if (strcmp(word, "uid") == 0) {
        answer_int(s, (int)getuid());
    } else if (strcmp(word, "env") == 0) {
        answer_int(s, environ[0] == NULL ? 0 : 1);
    } else if (strcmp(word, "ptrace") == 0) {
        (void)ptrace(PTRACE_TRACEME, 0, 0, 0);
        answer_int(s, 0);
    } else {
        return false;
    }
    return true;
}

static void act(struct job *j, struct alk_stream *s, const char *word)
{
    struct conn *c = j->conn;
    if (strcmp(word, "greet") == 0) {
        say(s, c->service->greeting);
        alk_stream_finish(s);
    } else if (strncmp(word, "send ", 5) == 0) {
        j->left = strtoull(word + 5, NULL, 10);
        job_write(j, s);
    } else if (strncmp(word, "sendcrash ", 10) == 0) {
        j->left = strtoull(word + 10, NULL, 10);
        j->crashes_at_end = true;
        job_write(j, s);
    } else if (strcmp(word, "crash") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(word, "hang") == 0) {
        for (;;) {
            (void)pause();
        }
    } else if (strcmp(word, "exit") == 0) {
        say(s, "partial");
        _exit(0);
    } else if (strcmp(word, "garbage") == 0) {
        for (int fd = 3; fd < 64; fd++) { /* onto the control channel, wherever it is */
            (void)send(fd, "garbage", 7, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    } else if (strcmp(word, "reset") == 0) {
        alk_stream_reset(s, 77);
    } else if (strcmp(word, "stop") == 0) {
        alk_stream_stop(s, 78);
    } else if (strcmp(word, "error") == 0) {
        (void)fprintf(stderr, "to stderr\n");
        (void)fflush(stderr);
        alk_stream_finish(s);
    } else if (strcmp(word, "auth") == 0) {
        show_auth(c, s);
    } else if (strcmp(word, "resolve") == 0) {
        resolve(c, s);
    } else if (strcmp(word, "deny") == 0) {
        alk_conn_deny(c->conn, "token", "no-credential");
    } else if (strcmp(word, "close") == 0) {
        alk_conn_close(c->conn, 42, ALK_LIT("enough"));
    } else if (strcmp(word, "push") == 0) {
        push(c, s);
    } else if (strcmp(word, "datagram") == 0) {
        alk_err err = alk_conn_datagram(c->conn, ALK_LIT("unasked"));
        (void)err;
        alk_stream_finish(s);
    } else if (strcmp(word, "slow") == 0) {
        say(s, word); /* and reads nothing more */
    } else if (!probe(s, word)) {
        j->is_echo = true;
        say(s, word);
    }
}

static void on_stream(void *ctx, struct alk_stream *s, unsigned events)
{
    struct job *j = ctx;
    struct alk_span data;
    if ((events & ALK_STREAM_CLOSED) != 0) {
        free(j);
        return;
    }
    if ((events & ALK_STREAM_STOPPED) != 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "stopped by the peer: %d",
                       (int)alk_stream_peer_code(s));
        j->conn->service->env->log(j->conn->service->env->log_ctx, ALK_LOG_INFO, "test", text);
        return;
    }
    if (j->is_echo || j->is_sink) {
        job_echo(j, s);
    } else if (j->left > 0) {
        job_write(j, s);
    } else if (j->got == 0 && alk_stream_peek(s, &data) == ALK_OK) {
        char word[256];
        (void)alk_span_cstr(alk_span_head(data, sizeof word - 1), word, sizeof word);
        j->got = data.n;
        alk_stream_consume(s, data.n);
        act(j, s, word);
    }
}

static alk_err svc_stream(void *state, struct alk_stream *stream)
{
    struct job *j = calloc(1, sizeof *j);
    j->conn = state;
    alk_stream_on(stream, on_stream, j);
    return ALK_OK;
}

static void svc_datagram(void *state, struct alk_span data)
{
    struct conn *c = state;
    alk_err err = alk_conn_datagram(c->conn, data);
    (void)err;
}

static void svc_auth_changed(void *state)
{
    struct conn *c = state;
    c->service->env->log(c->service->env->log_ctx, ALK_LOG_INFO, "test", "auth changed");
}

static void svc_drain(void *state, alk_time deadline)
{
    struct conn *c = state;
    (void)deadline;
    c->service->env->log(c->service->env->log_ctx, ALK_LOG_INFO, "test", "drain");
}

static void svc_close(void *state, alk_err why, uint64_t code)
{
    struct conn *c = state;
    char text[64];
    (void)snprintf(text, sizeof text, "closed %s %d", alk_err_name(why), (int)code);
    c->service->env->log(c->service->env->log_ctx, ALK_LOG_INFO, "test", text);
    free(c);
}

const struct alk_handler host_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "isolated",
    .settings = settings,
    .start = svc_start,
    .stop = svc_stop,
    .open = svc_open,
    .stream = svc_stream,
    .datagram = svc_datagram,
    .auth_changed = svc_auth_changed,
    .drain = svc_drain,
    .close = svc_close,
};

/* --- steps ---------------------------------------------------------------- */

bool host_is_ready(void *ctx)
{
    const struct host_world *w = ctx;
    struct alk_isolate_status st;
    alk_isolate_status(w->service, &st);
    return st.is_ready && st.pid != 0;
}

pid_t host_pid(const struct host_world *w)
{
    struct alk_isolate_status st;
    alk_isolate_status(w->service, &st);
    return st.pid;
}

const struct alk_isolate_options host_quick = {
    .ping_every = 20 * ALK_MS,
    .ping_timeout = 200 * ALK_MS,
    .retry_min = 10 * ALK_MS,
};
const struct alk_isolate_options host_patient = {.retry_min = 10 * ALK_MS};

static const struct alk_handler *const handlers[] = {&host_handler};

void host_begin(struct host_world *w, const char *yaml, struct alk_isolate_options options)
{
    host_world_init(w, handlers, 1, NULL);
    host_world_isolate(w, &host_handler, yaml, options);
    host_world_connect(w);
}

void host_ask(struct host_world *w, struct host_peer *p, const char *word)
{
    host_peer_open(w, p);
    host_peer_write(p, word);
}

/* Asks and checks the whole answer, which must end cleanly. */
void host_check_answer(struct host_world *w, const char *word, const char *want)
{
    struct host_peer p;
    host_ask(w, &p, word);
    alk_stream_finish(p.stream);
    host_world_until(w, host_peer_is_over, &p);
    if (!p.has_end) {
        print_error("%s", w->log);
    }
    assert_true(p.has_end);
    assert_string_equal(p.text, want);
    host_world_until(w, host_peer_is_closed, &p);
}

struct wanted {
    struct host_world *w;
    const char *line;
};

static bool has_line(void *ctx)
{
    const struct wanted *x = ctx;
    return host_log_has(x->w, x->line);
}

void host_until_log(struct host_world *w, const char *line)
{
    struct wanted x = {w, line};
    host_world_until(w, has_line, &x);
}


struct other {
    struct host_world *w;
    pid_t before;
};

static bool is_other(void *ctx)
{
    const struct other *o = ctx;
    return host_is_ready(o->w) && host_pid(o->w) != o->before;
}

void host_until_other(struct host_world *w, pid_t before)
{
    struct other o = {w, before};
    host_world_until(w, is_other, &o);
}
