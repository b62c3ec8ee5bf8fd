/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet tunnel: each local connection <-> one stream.
 *
 *   local ---+                    QUIC: one connection, a stream for each local
 *   local ---+-- link ==> node    TLS:  a connection for each local, because it
 *   local ---+                          carries one stream
 *
 * A link that is lost resets what went over it and is made again, at once and then
 * with growing pauses; new local connections wait for it.
 */
#include "client.h"
#include "commands.h"
#include "core/io/loop.h"
#include "signals.h"
#include "splice.h"
#include "tunnel_listen.h"

#include "base/mem.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOCALS_MAX 1000
#define PAUSE_MIN  (250 * ALK_MS)
#define PAUSE_MAX  (30 * ALK_SECOND)

struct tunnel;

struct link {
    struct alk_link in; /* tunnel->links */
    struct tunnel *tunnel;
    struct alk_conn *conn; /* NULL: still dialing */
    bool is_single;        /* TLS: one stream */
    unsigned used;         /* streams open or had, of a single one */
};

struct local {
    struct alk_link in; /* tunnel->locals */
    struct tunnel *tunnel;
    int fd;
    bool is_spliced;
    struct cli_splice splice;
};

struct tunnel {
    struct cli *cli;
    struct cli_client client;
    struct cli_signals signals;
    struct cli_listener listener;
    struct alk_watch *watch;
    struct alk_list links, locals;
    size_t local_count, dialing;
    uint64_t max;
    struct alk_timer retry;
    alk_time pause;
    bool is_ready; /* the ready line was printed */
    bool is_over;
    int status;
};

static void serve_waiting(struct tunnel *t);

static void quit(struct tunnel *t, int status)
{
    if (!t->is_over) {
        t->is_over = true;
        t->status = status;
    }
    alk_loop_stop(t->client.loop);
}

/* --- local connections -------------------------------------------------------- */

/* is_reset: the other side must not take this for an end. */
static void local_free(struct local *l, bool is_reset)
{
    struct tunnel *t = l->tunnel;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (is_reset) {
        (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    (void)close(l->fd);
    alk_list_remove(&l->in);
    t->local_count--;
    alk_free(NULL, l);
    if (t->watch != NULL) {
        alk_watch_mask(t->watch, ALK_FD_READ);
    }
}

static void on_spliced(void *ctx, struct cli_splice *splice)
{
    struct local *l = (struct local *)ctx;
    if (splice->end == CLI_SPLICE_RESET && splice->code != ALK_CODE_NONE) {
        (void)fprintf(l->tunnel->cli->err, "alknet: the service reset a stream: %s (code %llu)\n",
                      alk_code_name(splice->code), (unsigned long long)splice->code);
    }
    local_free(l, splice->end != CLI_SPLICE_FINISHED);
}

/* False: this link takes no further stream now. */
static bool join(struct local *l, struct link *link)
{
    struct alk_stream *stream = NULL;

    if (link->conn == NULL || (link->is_single && link->used > 0) ||
        alk_conn_open_stream(link->conn, NULL, NULL, &stream) != ALK_OK) {
        return false;
    }
    link->used++;
    l->is_spliced = true;
    l->splice = (struct cli_splice){.loop = l->tunnel->client.loop,
                                    .in_fd = l->fd,
                                    .out_fd = l->fd,
                                    .done = on_spliced,
                                    .ctx = l};
    if (cli_splice_start(&l->splice, stream) != ALK_OK) {
        local_free(l, true);
    }
    return true;
}

static bool join_any(struct local *l)
{
    struct tunnel *t = l->tunnel;
    for (struct alk_link *e = alk_list_first(&t->links); e != NULL;
         e = alk_list_next(&t->links, e)) {
        if (join(l, ALK_CONTAINER(e, struct link, in))) {
            return true;
        }
    }
    return false;
}

static size_t count_waiting(const struct tunnel *t)
{
    size_t n = 0;
    for (struct alk_link *e = alk_list_first(&t->locals); e != NULL;
         e = alk_list_next(&t->locals, e)) {
        n += ALK_CONTAINER(e, struct local, in)->is_spliced ? 0 : 1;
    }
    return n;
}

static void drop_waiting(struct tunnel *t)
{
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&t->locals); e != NULL; e = next) {
        struct local *l = ALK_CONTAINER(e, struct local, in);
        next = alk_list_next(&t->locals, e);
        if (!l->is_spliced) {
            local_free(l, true);
        }
    }
}

static void on_listener(void *ctx, unsigned ready)
{
    struct tunnel *t = (struct tunnel *)ctx;
    (void)ready;

    if (t->local_count >= t->max) {
        alk_watch_mask(t->watch, 0); /* the rest wait in the backlog */
        return;
    }
    int fd = cli_listener_accept(&t->listener);
    if (fd < 0) {
        return;
    }
    struct local *l = ALK_NEW(NULL, struct local);
    if (l == NULL) {
        (void)close(fd);
        return;
    }
    l->tunnel = t;
    l->fd = fd;
    alk_list_append(&t->locals, &l->in);
    t->local_count++;
    serve_waiting(t);
}

/* --- links -------------------------------------------------------------------- */

static void link_free(struct link *link)
{
    alk_list_remove(&link->in);
    alk_free(NULL, link);
}

static bool start_listening(struct tunnel *t)
{
    alk_err err =
        alk_watch_new(t->client.loop, t->listener.fd, ALK_FD_READ, on_listener, t, &t->watch);
    if (err != ALK_OK) {
        quit(t, cli_fail_err(t->cli, err, NULL));
        return false;
    }
    if (t->cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = yyjson_mut_obj_add_str(doc, o, "listening", t->listener.name);
        (void)cli_print_json(t->cli, doc, is_ok ? o : NULL);
    } else {
        (void)fprintf(t->cli->out, "listening on %s\n", t->listener.name);
    }
    (void)fflush(t->cli->out);
    t->is_ready = true;
    return true;
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct link *link = (struct link *)ctx;
    struct tunnel *t = link->tunnel;

    link->conn = conn;
    link->is_single = alk_conn_transport(conn) == ALK_TRANSPORT_TLS;
    t->dialing--;
    if (t->is_ready && t->pause > 0) {
        (void)fprintf(t->cli->err, "alknet: connected to %s again\n", t->client.node.host_port);
    }
    t->pause = 0;
    if (t->is_ready || start_listening(t)) {
        serve_waiting(t);
    }
}

static void retry_later(struct tunnel *t)
{
    t->pause = t->pause == 0 ? PAUSE_MIN : t->pause * 2;
    t->pause = t->pause > PAUSE_MAX ? PAUSE_MAX : t->pause;
    alk_timer_set(t->client.loop, &t->retry, alk_loop_now(t->client.loop) + t->pause);
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct link *link = (struct link *)ctx;
    struct tunnel *t = link->tunnel;
    int status = cli_client_failed(&t->client, err, message);

    t->dialing--;
    link_free(link);
    /* What a later attempt cannot change ends the tunnel, and so does a first one. */
    if (!t->is_ready || status == CLI_REFUSED) {
        quit(t, status);
        return;
    }
    drop_waiting(t);
    retry_later(t);
}

static void on_credit(void *ctx)
{
    serve_waiting(((struct link *)ctx)->tunnel);
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    struct link *link = (struct link *)ctx;
    struct tunnel *t = link->tunnel;
    bool was_quiet = link->is_single && why == ALK_OK && code == ALK_CODE_NONE;
    bool was_single = link->is_single;

    link_free(link);
    if (t->is_over) {
        return;
    }
    if (!was_quiet) {
        int status = cli_client_closed(&t->client, why, code, reason);
        if (status == CLI_REFUSED) {
            quit(t, status);
            return;
        }
    }
    if (!was_single) {
        retry_later(t);
    } else {
        serve_waiting(t);
    }
}

static void dial(struct tunnel *t)
{
    static const struct alk_client_calls calls = {
        .opened = on_opened, .failed = on_failed, .credit = on_credit, .closed = on_closed};
    struct link *link = ALK_NEW(NULL, struct link);
    alk_err err = ALK_E_NOMEM;

    if (link != NULL) {
        link->tunnel = t;
        alk_list_append(&t->links, &link->in);
        err = cli_client_dial(&t->client, &calls, link);
    }
    if (err != ALK_OK) {
        if (link != NULL) {
            link_free(link);
        }
        quit(t, cli_fail_err(t->cli, err, NULL));
        return;
    }
    t->dialing++;
}

static void on_retry(struct alk_timer *timer, void *ctx)
{
    struct tunnel *t = (struct tunnel *)ctx;
    (void)timer;
    if (t->dialing == 0) {
        dial(t);
    }
}

static bool has_many(const struct tunnel *t)
{
    for (struct alk_link *e = alk_list_first(&t->links); e != NULL;
         e = alk_list_next(&t->links, e)) {
        const struct link *link = ALK_CONTAINER(e, struct link, in);
        if (link->conn != NULL && !link->is_single) {
            return true;
        }
    }
    return false;
}

/* Joins those that wait, as far as links allow; over TLS each needs one of its own. */
static void serve_waiting(struct tunnel *t)
{
    struct alk_link *next;
    for (struct alk_link *e = alk_list_first(&t->locals); e != NULL; e = next) {
        struct local *l = ALK_CONTAINER(e, struct local, in);
        next = alk_list_next(&t->locals, e);
        if (!l->is_spliced && !join_any(l)) {
            break;
        }
    }
    bool is_pausing = t->retry.at != 0 && t->retry.at != ALK_NEVER;
    if (is_pausing || has_many(t)) {
        return; /* the retry, or credit, comes back here */
    }
    for (size_t waiting = count_waiting(t); t->dialing < waiting && !t->is_over;) {
        dial(t);
    }
}

/* --- the command -------------------------------------------------------------- */

static void on_signal(void *ctx, int number)
{
    (void)number;
    quit((struct tunnel *)ctx, CLI_OK);
}

static void tidy_up(struct tunnel *t)
{
    struct alk_link *e;

    if (t->watch != NULL) {
        alk_watch_free(t->watch);
        t->watch = NULL;
    }
    cli_listener_close(&t->listener);
    while ((e = alk_list_first(&t->locals)) != NULL) {
        struct local *l = ALK_CONTAINER(e, struct local, in);
        cli_splice_stop(&l->splice, ALK_CODE_NONE);
        local_free(l, true);
    }
    for (e = alk_list_first(&t->links); e != NULL; e = alk_list_next(&t->links, e)) {
        struct link *link = ALK_CONTAINER(e, struct link, in);
        if (link->conn != NULL) {
            alk_conn_close(link->conn, ALK_CODE_NONE, alk_span_str(""));
        }
    }
    if (t->client.loop != NULL) {
        (void)alk_loop_run_once(t->client.loop, 0); /* says goodbye */
    }
    cli_signals_close(&t->signals);
    cli_client_close(&t->client);
    while ((e = alk_list_first(&t->links)) != NULL) {
        link_free(ALK_CONTAINER(e, struct link, in));
    }
}

static int run_tunnel(struct cli *cli, const struct cli_args *args)
{
    struct tunnel t = {.cli = cli, .max = 256, .listener = {.fd = -1}};
    const char *listen = cli_get(args, "listen");
    char why[512] = "";

    alk_list_init(&t.links);
    alk_list_init(&t.locals);
    t.retry.fn = on_retry;
    t.retry.ctx = &t;
    if (listen == NULL) {
        return cli_usage(cli->err, args, "say where to listen: --listen ADDRESS:PORT or unix:PATH");
    }
    if (!cli_get_u64(args, "max", 1, LOCALS_MAX, cli->err, &t.max)) {
        return CLI_USAGE;
    }
    int rc = cli_client_open(cli, args, cli_value(args, 0), cli_value(args, 1), &t.client);
    if (rc == CLI_OK) {
        alk_err err = cli_listener_open(listen, &t.listener, why, sizeof why);
        rc = err == ALK_OK          ? CLI_OK
             : err == ALK_E_INVALID ? cli_usage(cli->err, args, "%s", why)
                                    : cli_fail(cli, CLI_FAILED, "%s", why);
    }
    if (rc == CLI_OK && cli_signals_open(t.client.loop, on_signal, &t, &t.signals) != ALK_OK) {
        rc = cli_fail(cli, CLI_FAILED, "cannot watch for signals");
    }
    if (rc == CLI_OK) {
        if (t.listener.is_public) {
            (void)fprintf(cli->err,
                          "alknet: warning: whoever reaches %s uses the service as "
                          "you\n",
                          t.listener.name);
        }
        dial(&t);
        if (!t.is_over) {
            alk_loop_run(t.client.loop);
        }
        rc = t.status;
    }
    tidy_up(&t);
    return rc;
}

static const struct cli_opt tunnel_opts[] = {
    {.name = "listen",
     .letter = 'l',
     .value = "WHERE",
     .is_needed = true,
     .help = "ADDRESS:PORT, with port 0 for any free one, or unix:PATH for a socket that only you "
             "can use."},
    {.name = "max",
     .value = "N",
     .help = "Serve at most N local connections at a time; more wait. Default: 256."},
    {.name = NULL}};

static const struct cli_arg tunnel_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {"ALPN", CLI_ALPN, .help = "The service: the name it is registered under."},
    {.name = NULL}};

const struct cli_command cli_tunnel_command = {
    .name = "tunnel",
    .summary = "make a service reachable on a local port or socket",
    .purpose =
        "Listens on this machine and carries each connection to a service of the node, as a stream "
        "of its own, so that programs that know nothing of alknet can use it. It keeps one "
        "connection to the node and makes it again when it is lost; streams over the lost one are "
        "reset. Over TCP each local connection gets a connection of its own. When it is ready it "
        "prints `listening on ...`.",
    .sets = {tunnel_opts, cli_json_opts, cli_node_opts},
    .args = tunnel_args,
    .examples =
        (const struct cli_example[]){
            {"alknet tunnel home my/redis --listen 127.0.0.1:6379",
             "a database, as if it were here"},
            {"alknet tunnel home my/web --listen unix:/run/user/1000/web.sock", "on a socket"},
            {NULL, NULL}},
    .run = run_tunnel};
