/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet call, subscribe */
#include "caller.h"
#include "commands.h"
#include "fields.h"
#include "json_text.h"
#include "reader.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/frame.h"
#include "core/store/file.h"
#include "ops/topic.h"

#include <errno.h>
#include <unistd.h>

#define INPUT_MAX  ((size_t)1 << 20) /* more than the frame that carries it may have */
#define STDIN_STEP ((size_t)65536)

struct call {
    struct cli *cli;
    const struct cli_args *args;
    struct cli_caller caller;
    const char *op;
    struct alk_buf input;
    struct yyjson_doc *schema; /* answer of services/schema */
    bool is_subscription;
    bool is_listening;           /* `subscribe`: an answer is a line, a text too */
    const char *raw;             /* member whose bytes are printed; NULL: the whole as JSON */
    bool is_base64, is_declared; /* raw: in the output's schema */
    bool has_raw, has_answer;    /* one has come, with raw, at all */
    struct cli_answer answer;
    struct cli_reader reader; /* of our output */
    const char *fault;        /* of an answer; NULL: none */
    bool has_failed;          /* writing, with this errno */
    int error;
};

/* --- input ------------------------------------------------------------------------ */

static alk_err read_stdin(struct alk_buf *b)
{
    for (;;) {
        uint8_t *p = alk_buf_reserve(b, STDIN_STEP);
        if (p == NULL || alk_buf_len(b) > INPUT_MAX) {
            return ALK_E_TOO_BIG;
        }
        ssize_t n = read(STDIN_FILENO, p, STDIN_STEP);
        if (n == 0) {
            return ALK_OK;
        }
        if (n < 0 && errno != EINTR) {
            return ALK_E_IO;
        }
        alk_buf_added(b, n > 0 ? (size_t)n : 0);
    }
}

/* JSON from the argument or from standard input. */
static int read_text(struct call *c, const char *text)
{
    bool is_stdin = strcmp(text, "-") == 0;
    alk_err err = is_stdin ? read_stdin(&c->input) : alk_buf_put_str(&c->input, text);

    if (err != ALK_OK) {
        return cli_fail(c->cli, CLI_FAILED, "cannot read the input: %s",
                        err == ALK_E_TOO_BIG ? "it is larger than 1 MiB, the most that a call takes"
                                             : alk_err_text(err));
    }
    int rc = cli_json_check(c->cli, alk_buf_span(&c->input), "the input");
    if (rc == CLI_USAGE && !is_stdin && c->args->command->takes_fields) {
        (void)fprintf(c->cli->err,
                      "alknet: fields can be given as --NAME VALUE: alknet ops %s %s\n",
                      cli_value(c->args, 0), c->op);
    }
    return rc;
}

static int read_fields(struct call *c)
{
    struct yyjson_mut_doc *doc = NULL;
    struct yyjson_val *schema =
        c->schema == NULL ? NULL : yyjson_obj_get(yyjson_doc_get_root(c->schema), "input");

    int rc = cli_fields_read(c->cli, c->args, schema, &doc);
    if (rc == CLI_OK && alk_json_put(&c->input, yyjson_mut_doc_get_root(doc), false) != ALK_OK) {
        rc = cli_fail_err(c->cli, ALK_E_NOMEM, NULL);
    }
    yyjson_mut_doc_free(doc);
    return rc;
}

static int read_input(struct call *c)
{
    const char *text = cli_value(c->args, 2);
    if (text != NULL && c->args->field_count > 0) {
        return cli_usage(c->cli->err, c->args, "give the input as JSON or as fields, not both");
    }
    return text != NULL ? read_text(c, text) : read_fields(c);
}

/* --- the schema --------------------------------------------------------------------- */

/* What the operation is: asked of the node, and no harm when it does not tell. */
static int read_schema(struct call *c)
{
    struct cli_answer answer = {0};
    int rc = cli_caller_schema(&c->caller, c->op, &answer);
    /* Whoever may not know of it hears so from the operation itself. */
    if (rc == CLI_OK && answer.code[0] == '\0' &&
        alk_json_parse(alk_buf_span(&answer.output), &c->schema) != ALK_OK) {
        rc = cli_fail(c->cli, CLI_FAILED, "the node's description of %s is not JSON", c->op);
    }
    cli_answer_fini(&answer);
    return rc;
}

/* What the output's schema says of the member, base64 first of all [JSON Schema
 * Validation §8.3]. */
static void note_raw(struct call *c, struct yyjson_val *root)
{
    struct yyjson_val *properties = yyjson_obj_get(yyjson_obj_get(root, "output"), "properties");
    struct yyjson_val *member = yyjson_obj_get(properties, c->raw);
    const char *encoding = yyjson_get_str(yyjson_obj_get(member, "contentEncoding"));

    c->is_declared = member != NULL;
    c->is_base64 = encoding != NULL && strcmp(encoding, "base64") == 0;
}

/* --- output --------------------------------------------------------------------------- */

static bool put(struct call *c, struct alk_span s)
{
    return s.n == 0 || fwrite(s.p, 1, s.n, c->cli->out) == s.n;
}

static bool put_bytes(struct call *c, struct alk_span text)
{
    size_t n = 0;
    uint8_t *bytes = (uint8_t *)alk_alloc(NULL, text.n + 1);

    if (bytes == NULL || alk_unbase64(text, bytes, text.n + 1, &n) != ALK_OK) {
        c->fault = bytes == NULL ? "out of memory" : "an answer's text is not base64";
    }
    bool is_ok = c->fault != NULL || put(c, alk_span(bytes, n));
    alk_free(NULL, bytes);
    return is_ok;
}

static bool put_text(struct call *c, struct alk_span text)
{
    bool has_end = text.n > 0 && text.p[text.n - 1] == '\n';
    return put(c, text) && (!c->is_listening || has_end || fputc('\n', c->cli->out) != EOF);
}

/* A text as it is; what is none as a line of JSON. */
static bool put_raw(struct call *c, struct yyjson_val *root)
{
    struct yyjson_val *v = yyjson_obj_get(root, c->raw);
    struct alk_span text = alk_span(yyjson_get_str(v), yyjson_get_len(v));
    size_t n = 0;

    if (v == NULL) {
        return true;
    }
    c->has_raw = true;
    if (yyjson_is_str(v)) {
        return c->is_base64 ? put_bytes(c, text) : put_text(c, text);
    }
    char *json = yyjson_val_write(v, 0, &n);
    bool is_ok = json != NULL && put(c, alk_span(json, n)) && fputc('\n', c->cli->out) != EOF;
    free(json);
    return is_ok;
}

static bool put_json(struct call *c, struct alk_span output, struct yyjson_val *root)
{
    if (c->is_subscription || c->cli->is_json || !c->cli->out_is_tty) {
        return cli_put_json(c->cli, output);
    }
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    return cli_print_json(c->cli, doc, yyjson_val_mut_copy(doc, root)) == CLI_OK;
}

static bool put_answer(struct call *c, struct alk_span output)
{
    struct yyjson_doc *doc = NULL;

    if (cli_json_read(output, &doc) != ALK_OK) {
        c->fault = "an answer is not JSON";
        return true;
    }
    struct yyjson_val *root = yyjson_doc_get_root(doc);
    bool is_ok = c->raw != NULL ? put_raw(c, root) : put_json(c, output, root);
    yyjson_doc_free(doc);
    return is_ok && (!c->is_subscription || fflush(c->cli->out) == 0);
}

static void on_answer(void *ctx, struct alk_span output)
{
    struct call *c = (struct call *)ctx;

    if (c->answer.is_enough) {
        return; /* it was on its way */
    }
    c->has_answer = true;
    errno = 0;
    c->has_failed = !put_answer(c, output);
    c->error = c->has_failed ? errno : 0;
    c->answer.is_enough = c->has_failed || c->fault != NULL;
}

static void on_reader_left(void *ctx)
{
    struct call *c = (struct call *)ctx;
    c->has_failed = true;
    c->error = EPIPE;
    c->answer.is_enough = true;
    alk_loop_stop(c->caller.client.loop);
}

/* --- running ---------------------------------------------------------------------------- */

static int ask(struct call *c, alk_time timeout)
{
    const struct alk_ask a = {.struct_size = sizeof a,
                              .op = c->op,
                              .input = alk_buf_span(&c->input),
                              .timeout_ms = timeout / ALK_MS,
                              .is_subscription = c->is_subscription};
    c->answer = (struct cli_answer){.each = on_answer, .ctx = c};
    int rc = cli_caller_ask(&c->caller, &a, &c->answer);
    if (rc == CLI_OK) {
        rc = cli_caller_tell(&c->caller, c->op, &c->answer);
    }
    if (rc == CLI_OK && c->fault != NULL) {
        rc = cli_fail(c->cli, CLI_FAILED, "%s: %s", c->op, c->fault);
    } else if (rc == CLI_OK && c->has_failed) {
        rc = cli_write_failed(c->cli, c->error);
    }
    cli_answer_fini(&c->answer);
    if (rc == CLI_OK && c->raw != NULL && c->has_answer && !c->has_raw && !c->is_declared) {
        rc = cli_fail(c->cli, CLI_FAILED, "no answer has a member \"%s\"", c->raw);
    }
    return rc;
}

static int run(struct call *c, alk_time timeout)
{
    int rc = cli_caller_open(c->cli, c->args, cli_value(c->args, 0), NULL, &c->caller);
    if (rc == CLI_OK) {
        rc = read_schema(c);
    }
    if (rc == CLI_OK) {
        struct yyjson_val *root = yyjson_doc_get_root(c->schema);
        const char *kind = yyjson_get_str(yyjson_obj_get(root, "kind"));
        c->is_subscription = kind != NULL && strcmp(kind, "subscription") == 0;
        if (c->raw != NULL) {
            note_raw(c, root);
        }
        rc = alk_buf_len(&c->input) == 0 ? read_input(c) : CLI_OK;
    }
    if (rc == CLI_OK) {
        cli_reader_open(c->cli, c->caller.client.loop, on_reader_left, c, &c->reader);
        rc = ask(c, timeout);
        cli_reader_close(&c->reader);
    }
    cli_caller_close(&c->caller);
    return rc;
}

static void call_fini(struct call *c)
{
    yyjson_doc_free(c->schema);
    alk_buf_fini(&c->input);
}

static bool is_dash(const char *text)
{
    return text != NULL && strcmp(text, "-") == 0;
}

static int run_call(struct cli *cli, const struct cli_args *args)
{
    struct call c = {.cli = cli, .args = args, .op = cli_operation(args)};
    alk_time timeout = 0;

    c.raw = cli_get(args, "raw");
    alk_buf_init(&c.input, NULL, INPUT_MAX + STDIN_STEP);
    int rc = cli_get_time(args, "wait", cli->err, &timeout) ? CLI_OK : CLI_USAGE;
    /* Before the connection: a person may take his time. A token on its first line comes first. */
    if (rc == CLI_OK && is_dash(cli_value(args, 2)) && !is_dash(cli_get(args, "token-file"))) {
        rc = read_input(&c);
    }
    if (rc == CLI_OK) {
        rc = run(&c, timeout);
    }
    call_fini(&c);
    return rc;
}

/* A topic or pattern stands for events/subscribe. */
static int topic_input(struct call *c, const struct cli_args *args)
{
    const char *from = cli_get(args, "from");
    struct alk_topic topic;
    uint64_t seq;

    if (strchr(c->op, '/') != NULL) {
        return from == NULL ? CLI_OK : cli_usage(c->cli->err, args, "--from goes with a topic");
    }
    if (alk_topic_parse_pattern(alk_span_str(c->op), &topic) != ALK_OK) {
        return cli_usage(c->cli->err, args,
                         "\"%s\" is neither an operation (with a slash) nor a topic: 1 to 16 parts "
                         "of A-Z a-z 0-9 _ - with dots between, * for any part, > for the rest",
                         c->op);
    }
    if (cli_value(args, 2) != NULL || args->field_count > 0) {
        return cli_usage(c->cli->err, args, "a topic takes no input but --from");
    }
    bool is_seq = from != NULL && alk_span_u64(alk_span_str(from), UINT64_MAX, &seq);
    if (from != NULL && !is_seq && strcmp(from, "latest") != 0 && strcmp(from, "earliest") != 0) {
        return cli_usage(c->cli->err, args, "--from is latest, earliest or the number of an event");
    }
    (void)alk_buf_put_str(&c->input, "{\"topics\":[");
    (void)alk_buf_put_json(&c->input, alk_span_str(c->op));
    (void)alk_buf_put_str(&c->input, "]");
    if (from != NULL) {
        (void)alk_buf_printf(&c->input, is_seq ? ",\"from\":%s" : ",\"from\":\"%s\"", from);
    }
    (void)alk_buf_put_str(&c->input, "}");
    c->op = "events/subscribe";
    return c->input.err == ALK_OK ? CLI_OK : cli_fail_err(c->cli, c->input.err, NULL);
}

static int run_subscribe(struct cli *cli, const struct cli_args *args)
{
    struct call c = {.cli = cli, .args = args, .op = cli_operation(args), .is_listening = true};

    c.raw = cli_get(args, "raw");
    alk_buf_init(&c.input, NULL, INPUT_MAX + STDIN_STEP);
    int rc = topic_input(&c, args);
    if (rc == CLI_OK) {
        rc = run(&c, 0);
    }
    call_fini(&c);
    return rc;
}

/* --- the commands -------------------------------------------------------------------------- */

static const struct cli_opt raw_opts[] = {
    {.name = "raw",
     .letter = 'r',
     .value = "MEMBER",
     .help = "Of each answer print this member alone: a text as it is, base64 decoded where the "
             "schema says so; anything else as a line of JSON. For fs/read: --raw data."},
    {.name = NULL}};

static const struct cli_opt listen_raw_opts[] = {
    {.name = "raw",
     .letter = 'r',
     .value = "MEMBER",
     .help = "Of each answer print this member alone, on a line: a text as it is; anything else as "
             "JSON. What the schema calls base64 is decoded, and no line. For the node's log: "
             "--raw message."},
    {.name = NULL}};

static const struct cli_opt call_opts[] = {
    {.name = "wait",
     .value = "TIME",
     .help = "How long the answer may take: 500ms, 10s, 5m. Default: what the operation allows."},
    {.name = NULL}};

/* So that --json is right here, too, and no field. */
static const struct cli_opt lines_opts[] = {
    {.name = "json", .help = "Answers are JSON anyway; this puts each on one line."},
    {.name = NULL}};

static const struct cli_arg call_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {"OPERATION", CLI_OPERATION, .help = "Its name, as `alknet ops NODE` lists it."},
    {"JSON", CLI_WORD, .is_optional = true, .help = "The input; - reads it from standard input."},
    {.name = NULL}};

static const struct cli_section call_sections[] = {
    {"FIELDS",
     "Instead of JSON the input may be given as fields: `--path x` is {\"path\": \"x\"}. The "
     "operation's schema says whether a field is a string, a number, true or false (`--deep` "
     "alone is true), or JSON; of several types the first that the value fits. A list is given by "
     "repeating its field. `alknet ops NODE OPERATION` shows the fields. A field that is named "
     "like an option of this command goes as JSON."},
    {"OUTPUT",
     "The answer as JSON: indented on a terminal, else on one line. A subscription is printed "
     "answer by answer, one line each, until it ends."},
    {NULL, NULL}};

const struct cli_command cli_call_command = {
    .name = "call",
    .summary = "call an operation of a node",
    .purpose = "Calls an operation and prints its answer. What operations there are, with their "
               "fields, is told by `alknet ops NODE`. Exit status 3: you may not; 2: the input "
               "does not fit; 4: nobody could be reached who answers.",
    .sets = {raw_opts, call_opts, lines_opts, cli_node_opts},
    .args = call_args,
    .takes_fields = true,
    .sections = call_sections,
    .examples =
        (const struct cli_example[]){
            {"alknet call home node/ping", "is it there"},
            {"alknet call home fs/list --path docs", "input as fields"},
            {"alknet call home fs/read --path notes.txt --raw data", "a file's bytes"},
            {"alknet call home math/add '{\"a\": 1, \"b\": 2}'", "input as JSON"},
            {NULL, NULL}},
    .run = run_call};

static const struct cli_opt subscribe_opts[] = {
    {.name = "from",
     .value = "WHERE",
     .help = "Of a topic: latest (default), earliest, or the number of the first event wanted. "
             "Only topics that are kept on disk have a past."},
    {.name = NULL}};

static const struct cli_section subscribe_sections[] = {
    {"NOTES",
     "Fields stand for JSON as with `alknet call`. The subscription ends with the connection, with "
     "status 1 when the node stops. Events of a topic that is kept on disk are not lost by that: "
     "go on with --from and the number after the last one that was printed. Whoever takes events "
     "too slowly is cut with SLOW_CONSUMER, and goes on in the same way."},
    {NULL, NULL}};

static const struct cli_arg subscribe_args[] = {
    {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
    {"OPERATION", CLI_OPERATION,
     .help = "A subscription, or a topic: sensors.*.temperature, builds.>"},
    {"JSON", CLI_WORD, .is_optional = true, .help = "The input; - reads it from standard input."},
    {.name = NULL}};

const struct cli_command cli_subscribe_command = {
    .name = "subscribe",
    .summary = "print events or the answers of a subscription",
    .purpose = "Subscribes and prints each answer as a line of JSON until the subscription ends or "
               "you stop it. A name without a slash is a topic of the node's events; in patterns * "
               "stands for one part and > for all that follow.",
    .sets = {subscribe_opts, listen_raw_opts, lines_opts, cli_node_opts},
    .args = subscribe_args,
    .takes_fields = true,
    .sections = subscribe_sections,
    .examples =
        (const struct cli_example[]){
            {"alknet subscribe home 'sensors.>'", "all events beneath sensors"},
            {"alknet subscribe home builds.done --from earliest", "with those kept on disk"},
            {"alknet subscribe home node/logs", "the node's log"},
            {NULL, NULL}},
    .run = run_subscribe};
