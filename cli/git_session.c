/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git_session.h"

#include "base/ct.h"
#include "git/proto/pktline.h"
#include "git_credential.h"
#include "pipe.h"

#include <unistd.h>

#define REQUEST_MAX ((size_t)8192)
/* The connection's own end, which tells more than that of its stream, comes in the
 * same turn. */
#define GRACE       (10 * ALK_MS)
/* The rest of a first packet follows at once, or never. */
#define PATIENCE    (2 * ALK_SECOND)

struct session {
    const struct cli_git_session *of;
    struct cli_client client;
    struct cli_pipe pipe;
    struct alk_buf request;
    struct alk_stream *stream; /* of the request, until it is joined or closed */
    struct alk_timer grace, patience;
    uint64_t code;         /* of the stream's reset */
    char said[1024];       /* by the node, as it refused */
    bool wants_credential; /* refused for want of one, or for the one that was shown */
    bool has_token;        /* of git's credential helpers */
    bool is_answered;      /* the node has let us in */
};

static struct cli *cli_of(const struct session *s)
{
    return s->of->cli;
}

static void quit(struct session *s, int status)
{
    cli_pipe_quit(&s->pipe, status);
}

/* --- the answer ---------------------------------------------------------------- */

/* Git waits for an empty line; what follows it is the service's. */
static void join(struct session *s, struct alk_stream *stream)
{
    alk_timer_stop(s->client.loop, &s->patience);
    s->stream = NULL;
    s->is_answered = true;
    if (s->of->verbosity > 1) {
        const struct cli_node *node = &s->client.node;
        /* As git tells it of connections of its own. */
        (void)fprintf(
            cli_of(s)->err,
            "Looking up %s ... done.\nConnecting to %s (port %u) ... done, over %s%s%s.\n",
            node->host, node->host, (unsigned)node->port,
            cli_transport_name(alk_conn_transport(s->pipe.conn)),
            alk_conn_auth(s->pipe.conn)->is_resumed ? ", resumed" : "",
            s->pipe.is_early ? ", asked at once" : "");
    }
    if (write(STDOUT_FILENO, "\n", 1) != 1) {
        quit(s, cli_fail(cli_of(s), CLI_FAILED, "git does not listen any more"));
        return;
    }
    cli_pipe_join(&s->pipe, stream);
}

static void refused(struct session *s, struct alk_span text)
{
    s->stream = NULL; /* what else happens to it is of no interest */
    cli_safe(text, s->said, sizeof s->said);
    if (alk_span_starts(text, ALK_LIT(ALK_GIT_WANTS_CREDENTIAL))) {
        s->wants_credential = true;
        quit(s, CLI_REFUSED);
        return;
    }
    quit(s, cli_fail(cli_of(s), CLI_FAILED, "remote error: %s", s->said));
}

/* The first packet decides. True: it is not there yet (stream NULL: it is no error). */
static bool judge_answer(struct session *s, struct alk_stream *stream, struct alk_span in)
{
    struct alk_rd r = alk_rd(in);
    struct alk_git_pkt pkt;
    struct alk_span text;

    alk_err err = alk_git_pkt_parse(&r, &pkt);
    if (err == ALK_MORE &&
        (in.n < 8 || alk_span_starts(alk_span_tail(in, ALK_GIT_PKT_HEAD), ALK_LIT("ERR ")))) {
        return true;
    }
    if (err == ALK_OK && pkt.kind == ALK_GIT_PKT_DATA && alk_git_pkt_is_err(pkt.data, &text)) {
        refused(s, text);
    } else if (stream != NULL) {
        join(s, stream);
    } else {
        return true;
    }
    return false;
}

static void on_grace(struct alk_timer *timer, void *ctx)
{
    struct session *s = (struct session *)ctx;
    (void)timer;
    if (s->code == ALK_CODE_AUTH) {
        s->wants_credential = true;
        quit(s, CLI_REFUSED);
    } else if (s->code == ALK_CODE_NONE) {
        quit(s, cli_fail(cli_of(s), CLI_FAILED, "%s has ended the stream without an answer",
                         s->client.node.host_port));
    } else {
        quit(s, cli_fail(cli_of(s), s->code == ALK_CODE_FORBIDDEN ? CLI_REFUSED : CLI_FAILED,
                         "%s refuses the request: %s (code %llu)", s->client.node.host_port,
                         alk_code_name(s->code), (unsigned long long)s->code));
    }
}

/* A node that ends, or falls silent, in the middle of its first packet: git knows what to
 * say of it. */
static void on_patience(struct alk_timer *timer, void *ctx)
{
    struct session *s = (struct session *)ctx;
    (void)timer;
    if (s->stream != NULL) {
        join(s, s->stream);
    }
}

static void on_answer(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct session *s = (struct session *)ctx;
    struct alk_span in;

    if (stream != s->stream) {
        return; /* of an early connection that has come to nothing */
    }
    alk_err err = alk_stream_peek(stream, &in);
    bool is_over = (events & ALK_STREAM_CLOSED) != 0;
    if (is_over) {
        s->stream = NULL;
    }
    /* A stream that is over cannot be joined: then only an error is worth reading. */
    if (err == ALK_OK && !judge_answer(s, is_over ? NULL : stream, in)) {
        return;
    }
    if (err == ALK_OK && !is_over) {
        alk_timer_set(s->client.loop, &s->patience, alk_loop_now(s->client.loop) + PATIENCE);
    }
    if (is_over || (err != ALK_OK && err != ALK_MORE)) {
        s->code = err == ALK_E_RESET ? alk_stream_peer_code(stream) : ALK_CODE_NONE;
        alk_timer_set(s->client.loop, &s->grace, alk_loop_now(s->client.loop) + GRACE);
    }
}

/* --- the request --------------------------------------------------------------- */

static void on_stream(void *ctx, struct alk_stream *stream)
{
    struct session *s = (struct session *)ctx;
    struct alk_span request = alk_buf_span(&s->request);
    size_t took = 0;

    alk_timer_stop(s->client.loop, &s->grace);
    alk_timer_stop(s->client.loop, &s->patience);
    s->stream = stream;
    alk_stream_on(stream, on_answer, s);
    alk_err err = alk_stream_write(stream, request, &took);
    if (err < 0 || took < request.n) {
        quit(s, cli_fail_err(cli_of(s), err < 0 ? err : ALK_E_TOO_BIG, NULL));
        return;
    }
    if (s->of->service == ALK_GIT_UPLOAD_ARCHIVE) {
        join(s, stream); /* git speaks next */
    }
}

static bool on_conn_closed(void *ctx, uint64_t code)
{
    struct session *s = (struct session *)ctx;
    if (code != ALK_CODE_AUTH || s->pipe.is_joined) {
        return false;
    }
    s->wants_credential = true;
    quit(s, CLI_REFUSED);
    return true;
}

static int build_request(struct session *s)
{
    const struct cli_node *node = &s->client.node;
    struct alk_git_ask ask = {.service = s->of->service,
                              .path = alk_span_str(s->of->url->path),
                              .host = alk_span_str(node->host),
                              .port = node->port,
                              .version = s->of->version,
                              .token = alk_span_str(s->client.token)};

    /* Git itself pushes with the old protocol, and archives have only one. */
    if (s->of->service == ALK_GIT_RECEIVE_PACK && ask.version == 2) {
        ask.version = 0;
    } else if (s->of->service == ALK_GIT_UPLOAD_ARCHIVE) {
        ask.version = 0;
    }
    if (alk_buf_reserve(&s->request, REQUEST_MAX) == NULL) {
        return cli_fail_err(cli_of(s), ALK_E_NOMEM, NULL);
    }
    alk_err err = alk_git_request_put(&s->request, &ask);
    return err == ALK_OK ? CLI_OK
                         : cli_fail(cli_of(s), CLI_USAGE, "'%s' cannot be asked for: %s",
                                    s->of->url_text, alk_err_text(err));
}

/* --- attempts ------------------------------------------------------------------ */

static int attempt(struct session *s, const char *token)
{
    s->request = (struct alk_buf){.p = NULL};
    s->wants_credential = false;
    s->said[0] = '\0';
    alk_buf_init(&s->request, NULL, REQUEST_MAX);
    int rc = cli_client_open(cli_of(s), s->of->args, s->of->url->node, CLI_GIT_ALPN, &s->client);
    if (rc == CLI_OK && token != NULL) {
        (void)alk_span_cstr(alk_span_str(token), s->client.token, sizeof s->client.token);
    }
    if (rc == CLI_OK) {
        rc = build_request(s);
    }
    if (rc == CLI_OK) {
        s->client.options.want_early = s->of->service == ALK_GIT_UPLOAD_PACK;
        /* A service that has ended reads no more, and git hears of its end when we are
         * gone: the `git` that started us has the same standard output. */
        s->pipe = (struct cli_pipe){.client = &s->client,
                                    .ends_with_peer = true,
                                    .ends_with_reader = true,
                                    .stream = on_stream,
                                    .closed = on_conn_closed,
                                    .ctx = s};
        s->grace = (struct alk_timer){.fn = on_grace, .ctx = s};
        s->patience = (struct alk_timer){.fn = on_patience, .ctx = s};
        rc = cli_pipe_run(&s->pipe);
    }
    return rc;
}

static void close_attempt(struct session *s)
{
    cli_client_close(&s->client);
    alk_buf_fini_secret(&s->request);
    s->stream = NULL;
}

static int fail_credential(struct session *s, alk_err err)
{
    if (err == ALK_E_MALFORMED) {
        return cli_fail(cli_of(s), CLI_REFUSED,
                        "the password for '%s' must be a token: alk_XXXXXXXX_...", s->of->url_text);
    }
    if (s->said[0] != '\0') {
        (void)fprintf(cli_of(s)->err, "remote: %s\n", s->said);
    }
    (void)cli_fail(cli_of(s), CLI_REFUSED, "Authentication failed for '%s'", s->of->url_text);
    (void)fprintf(cli_of(s)->err,
                  "alknet: the node must know the key that `alknet id --client` prints here, with "
                  "a grant for the repository; or put a token into ALKNET_TOKEN\n");
    return CLI_REFUSED;
}

/* Once more, with a token of git's credential helpers. */
static int retry(struct session *s)
{
    struct cli_git_place place = {.key = ""};
    char token[ALK_TOKEN_SIZE] = "";
    bool had_token = s->client.token[0] != '\0';

    (void)snprintf(place.host_port, sizeof place.host_port, "%s", s->client.node.host_port);
    if (s->client.options.pinned_key != NULL) {
        (void)alk_z32(alk_span(s->client.options.pinned_key, 32), place.key, sizeof place.key);
    }
    close_attempt(s);
    if (had_token) {
        return fail_credential(s, ALK_E_AUTH);
    }
    alk_err err = cli_git_credential_fill(&place, token);
    if (err != ALK_OK) {
        return fail_credential(s, err);
    }
    int rc = attempt(s, token);
    if (s->wants_credential) {
        rc = fail_credential(s, ALK_E_AUTH);
    }
    if (s->wants_credential || s->is_answered) {
        cli_git_credential_tell(&place, token, s->is_answered);
    }
    alk_wipe(token, sizeof token);
    return rc;
}

int cli_git_session_run(const struct cli_git_session *of)
{
    struct session s = {.of = of};

    int rc = attempt(&s, NULL);
    if (s.wants_credential) {
        rc = retry(&s);
    }
    close_attempt(&s);
    cli_pipe_raise(&s.pipe);
    return rc;
}
