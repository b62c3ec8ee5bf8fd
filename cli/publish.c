/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet publish */
#include "caller.h"
#include "commands.h"
#include "json_text.h"

#include "base/text.h"
#include "core/frame.h"
#include "ops/topic.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

/* Events under way when they come line by line. */
#define WINDOW     64
#define LINE_BYTES ((size_t)1 << 20)

struct publish {
    struct cli *cli;
    const struct cli_args *args;
    struct cli_caller caller;
    struct alk_buf in; /* of standard input, not sent yet */
    struct cli_answer answers[WINDOW];
    uint64_t sent, told; /* events; the answers in between are under way */
    uint64_t line;       /* of standard input; 0: none was read */
    bool has_end;
    struct alk_watch *watch; /* of standard input */
    bool is_file;            /* no watching it: it is always ready */
    bool is_ready;
};

/* {"topic", "data", "event_id"?} */
static alk_err build(struct publish *p, struct alk_span data, struct alk_buf *ret)
{
    const char *id = cli_get(p->args, "id");
    (void)alk_buf_put_str(ret, "{\"topic\":");
    (void)alk_buf_put_json(ret, alk_span_str(cli_value(p->args, 1)));
    (void)alk_buf_put_str(ret, ",\"data\":");
    (void)alk_buf_put(ret, data);
    if (id != NULL) {
        (void)alk_buf_put_str(ret, ",\"event_id\":");
        (void)alk_buf_put_json(ret, alk_span_str(id));
    }
    (void)alk_buf_put_str(ret, "}");
    return ret->err;
}

/* A line's number when there may be many. */
static int check_json(struct publish *p, struct alk_span data)
{
    char what[64] = "the data";

    if (p->line > 0) {
        (void)snprintf(what, sizeof what, "line %" PRIu64 " of standard input", p->line);
    }
    int rc = cli_json_check(p->cli, data, what);
    if (rc == CLI_USAGE && p->line == 0 && data.n > 0 && isalpha(data.p[0])) {
        (void)fprintf(p->cli->err, "alknet: a text is written with its quotes: '\"...\"'\n");
    }
    return rc;
}

static int start(struct publish *p, struct alk_span data, struct cli_answer *answer)
{
    struct alk_buf input;
    int rc = check_json(p, data);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_buf_init(&input, NULL, LINE_BYTES + 4096);
    alk_err err = build(p, data, &input);
    if (err == ALK_OK) {
        const struct alk_ask ask = {
            .struct_size = sizeof ask, .op = "events/publish", .input = alk_buf_span(&input)};
        *answer = (struct cli_answer){0};
        err = cli_caller_start(&p->caller, &ask, answer);
    }
    alk_buf_fini(&input);
    if (err != ALK_OK) {
        return cli_fail_err(p->cli, err, NULL);
    }
    p->sent++;
    return CLI_OK;
}

static uint64_t seq_of(const struct cli_answer *a)
{
    struct yyjson_doc *doc = NULL;
    uint64_t seq = 0;
    if (alk_json_parse(alk_buf_span(&a->output), &doc) == ALK_OK) {
        struct yyjson_val *v = yyjson_obj_get(yyjson_doc_get_root(doc), "seq");
        /* Numbers stand as in the text. */
        (void)alk_span_u64(alk_span(yyjson_get_raw(v), yyjson_get_len(v)), UINT64_MAX, &seq);
        seq = seq == 0 ? yyjson_get_uint(v) : seq;
    }
    yyjson_doc_free(doc);
    return seq;
}

/* The answer to the oldest event. */
static int finish(struct publish *p, struct cli_answer *a)
{
    int rc = cli_caller_wait(&p->caller, &a->is_over);
    if (rc == CLI_OK) {
        rc = cli_caller_tell(&p->caller, "events/publish", a);
    }
    if (rc == CLI_OK) {
        if (p->cli->is_json) {
            (void)fwrite(alk_buf_span(&a->output).p, 1, alk_buf_len(&a->output), p->cli->out);
            (void)fputc('\n', p->cli->out);
        } else {
            (void)fprintf(p->cli->out, "%" PRIu64 "\n", seq_of(a));
        }
    }
    cli_answer_fini(a);
    return rc;
}

/* The answers that have come, in the order of their events. */
static int tell_answered(struct publish *p)
{
    int rc = CLI_OK;
    while (rc == CLI_OK && p->told < p->sent && p->answers[p->told % WINDOW].is_over) {
        rc = finish(p, &p->answers[p->told++ % WINDOW]);
    }
    return rc;
}

static void on_input(void *ctx, unsigned ready)
{
    struct publish *p = (struct publish *)ctx;
    (void)ready;
    p->is_ready = true;
    alk_watch_mask(p->watch, 0);
    alk_loop_stop(p->caller.client.loop);
}

/* Until there is something to read. The connection lives meanwhile: what was published
 * goes out, answers are told as they come, and a signal is heard. */
static int wait_input(struct publish *p)
{
    struct alk_loop *loop = p->caller.client.loop;
    int rc = CLI_OK;

    if (p->watch == NULL && !p->is_file) {
        p->is_file = alk_watch_new(loop, STDIN_FILENO, 0, on_input, p, &p->watch) != ALK_OK;
    }
    if (p->is_file) {
        return CLI_OK;
    }
    p->is_ready = false;
    alk_watch_mask(p->watch, ALK_FD_READ);
    while (rc == CLI_OK && !p->is_ready) {
        (void)fflush(p->cli->out);
        rc = cli_caller_turn(&p->caller);
        rc = rc == CLI_OK ? tell_answered(p) : rc;
    }
    alk_watch_mask(p->watch, 0);
    return rc;
}

/* The next line of standard input; ALK_END. *ret_rc: why it could not be waited for. */
static alk_err next_line(struct publish *p, struct alk_span *ret, int *ret_rc)
{
    for (;;) {
        struct alk_span have = alk_buf_span(&p->in);
        const uint8_t *end = have.n == 0 ? NULL : (const uint8_t *)memchr(have.p, '\n', have.n);
        if (end != NULL || (p->has_end && have.n > 0)) {
            *ret = alk_span(have.p, end == NULL ? have.n : (size_t)(end - have.p));
            return ALK_OK;
        }
        if (p->has_end) {
            return ALK_END;
        }
        uint8_t *room = alk_buf_reserve(&p->in, 65536);
        if (room == NULL) {
            return ALK_E_TOO_BIG;
        }
        *ret_rc = wait_input(p);
        if (*ret_rc != CLI_OK) {
            return ALK_E_CLOSED;
        }
        ssize_t n = read(STDIN_FILENO, room, 65536);
        if (n < 0 && errno != EINTR) {
            return ALK_E_IO;
        }
        p->has_end = n == 0;
        alk_buf_added(&p->in, n > 0 ? (size_t)n : 0);
    }
}

static void drop_line(struct publish *p, size_t n)
{
    size_t held = alk_buf_len(&p->in);
    alk_buf_consume(&p->in, n < held ? n + 1 : held);
}

static int publish_lines(struct publish *p)
{
    struct alk_span line;
    alk_err err = ALK_OK;
    int rc = CLI_OK;

    while (rc == CLI_OK && (err = next_line(p, &line, &rc)) == ALK_OK) {
        size_t n = line.n;
        p->line++;
        if (alk_span_trim(line).n > 0) {
            if (p->sent - p->told == WINDOW) {
                rc = finish(p, &p->answers[p->told++ % WINDOW]);
            }
            if (rc == CLI_OK) {
                rc = start(p, line, &p->answers[p->sent % WINDOW]);
            }
        }
        drop_line(p, n);
    }
    alk_watch_free(p->watch);
    while (p->told < p->sent) {
        int one = rc == CLI_OK || p->caller.is_open ? finish(p, &p->answers[p->told % WINDOW])
                                                    : CLI_FAILED;
        p->told++;
        rc = rc == CLI_OK ? one : rc;
    }
    if (rc == CLI_OK && err != ALK_END) {
        rc = cli_fail(p->cli, CLI_FAILED, "cannot read standard input: %s",
                      err == ALK_E_TOO_BIG ? "a line is longer than 1 MiB" : alk_err_text(err));
    }
    return rc;
}

/* What the node would not take, told in the words of the command line. */
static int check_args(const struct publish *p)
{
    const char *data = cli_value(p->args, 2), *id = cli_get(p->args, "id");
    struct alk_topic topic;

    if (data != NULL && strcmp(data, "-") == 0 && id != NULL) {
        return cli_usage(p->cli->err, p->args, "--id names one event; with - there may be many");
    }
    if (alk_topic_parse(alk_span_str(cli_value(p->args, 1)), &topic) != ALK_OK) {
        return cli_usage(
            p->cli->err, p->args,
            "\"%s\" is no topic: 1 to 16 parts of A-Z a-z 0-9 _ - with dots between%s",
            cli_value(p->args, 1),
            strpbrk(cli_value(p->args, 1), "*>") != NULL ? "; patterns are for subscribing" : "");
    }
    return CLI_OK;
}

static int run_publish(struct cli *cli, const struct cli_args *args)
{
    struct publish p = {.cli = cli, .args = args};
    const char *data = cli_value(args, 2) == NULL ? "null" : cli_value(args, 2);

    int rc = check_args(&p);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_buf_init(&p.in, NULL, LINE_BYTES + 65536);
    rc = cli_caller_open(cli, args, cli_value(args, 0), NULL, &p.caller);
    if (rc == CLI_OK && strcmp(data, "-") == 0) {
        rc = publish_lines(&p);
    } else if (rc == CLI_OK) {
        rc = start(&p, alk_span_str(data), &p.answers[0]);
        if (rc == CLI_OK) {
            rc = finish(&p, &p.answers[0]);
        }
    }
    cli_caller_close(&p.caller);
    alk_buf_fini(&p.in);
    return rc;
}

const struct cli_command cli_publish_command = {
    .name = "publish",
    .summary = "publish an event to a topic of a node",
    .purpose = "Publishes an event and prints its number once the node has it: for a topic that is "
               "kept, once it is on disk. With - each line of standard input is the data of one "
               "event.",
    .sets = {(const struct cli_opt[]){
                 {.name = "id",
                  .value = "ID",
                  .help = "A name of your choice for the event. Published again within two "
                          "minutes under the same name, it is not a second event."},
                 {.name = NULL}},
             cli_json_opts, cli_node_opts},
    .args =
        (const struct cli_arg[]){
            {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
            {"TOPIC", CLI_WORD, .help = "1 to 16 parts of A-Z a-z 0-9 _ - with dots between."},
            {"JSON", CLI_WORD, .is_optional = true,
             .help = "The data; - reads events line by line. Default: null."},
            {.name = NULL}},
    .examples =
        (const struct cli_example[]){
            {"alknet publish home builds.done '{\"commit\": \"4f2a\"}'", "one event"},
            {"tail -f log.jsonl | alknet publish home logs.web -", "an event per line"},
            {NULL, NULL}},
    .run = run_publish};
