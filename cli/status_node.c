/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet status NODE: by calls, as far as the caller's rights go. */
#include "base/text.h"
#include "caller.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"
#include "pages.h"
#include "status.h"

#include <inttypes.h>

/* What is asked. */
enum { PING, OPERATIONS, INFO, STATUS, QUESTIONS };

static const char *const questions[QUESTIONS] = {[PING] = "node/ping",
                                                 [OPERATIONS] = "services/list",
                                                 [INFO] = "node/info",
                                                 [STATUS] = "node/status"};

struct look {
    struct cli *cli;
    struct cli_caller caller;
    struct cli_answer answers[QUESTIONS];
    struct yyjson_doc *docs[QUESTIONS]; /* NULL: hidden from us */
    alk_time asked_at, pong_at;
};

/* --- asking ------------------------------------------------------------------- */

/* Missing and forbidden look the same to those who may not know. */
static bool is_hidden(const struct cli_answer *answer)
{
    return strcmp(answer->code, ALK_OPS_NOT_FOUND) == 0 ||
           strcmp(answer->code, ALK_OPS_FORBIDDEN) == 0 ||
           strcmp(answer->code, ALK_OPS_UNAUTHENTICATED) == 0;
}

static void on_pong(void *ctx, struct alk_span output)
{
    struct look *l = (struct look *)ctx;
    l->pong_at = alk_clock_now();
    (void)alk_buf_put(&l->answers[PING].output, output);
}

static int take(struct look *l, size_t i)
{
    const struct cli_answer *a = &l->answers[i];

    if (a->code[0] != '\0') {
        /* What everybody may ask is refused for the credentials that came along. */
        return i > OPERATIONS && is_hidden(a) ? CLI_OK
                                              : cli_caller_tell(&l->caller, questions[i], a);
    }
    alk_err err = alk_json_parse(alk_buf_span(&a->output), &l->docs[i]);
    return err == ALK_OK ? CLI_OK : cli_fail_err(l->cli, err, "the node's answer is not JSON");
}

/* Asks all from `first` to before `last` at once. */
static int ask_some(struct look *l, size_t first, size_t last)
{
    int rc = CLI_OK;

    for (size_t i = first; rc == CLI_OK && i < last; i++) {
        const struct alk_ask ask = {.struct_size = sizeof ask, .op = questions[i]};
        alk_err err = cli_caller_start(&l->caller, &ask, &l->answers[i]);
        rc = err == ALK_OK ? CLI_OK : cli_fail_err(l->cli, err, NULL);
    }
    for (size_t i = first; rc == CLI_OK && i < last; i++) {
        rc = cli_caller_wait(&l->caller, &l->answers[i].is_over);
        if (rc == CLI_OK) {
            rc = take(l, i);
        }
    }
    return rc;
}

/* The first alone: a token that is void is a failed login, and one is enough. */
static int ask_all(struct look *l)
{
    l->answers[PING] = (struct cli_answer){.each = on_pong, .ctx = l};
    l->asked_at = alk_clock_now();
    int rc = ask_some(l, PING, PING + 1);
    return rc == CLI_OK ? ask_some(l, PING + 1, QUESTIONS) : rc;
}

/* --- making safe -------------------------------------------------------------- */

#define SAFE_MAX 1024 /* bytes of one text */

static bool make_safe(struct yyjson_mut_doc *doc, struct yyjson_mut_val *v)
{
    size_t i, max;
    struct yyjson_mut_val *key, *one;
    char text[SAFE_MAX];
    bool is_ok = true;

    if (yyjson_mut_is_str(v)) {
        cli_safe(alk_span(yyjson_mut_get_str(v), yyjson_mut_get_len(v)), text, sizeof text);
        struct yyjson_mut_val *copy = yyjson_mut_strcpy(doc, text);
        return copy != NULL && yyjson_mut_set_strn(v, yyjson_mut_get_str(copy), strlen(text));
    }
    if (yyjson_mut_is_arr(v)) {
        yyjson_mut_arr_foreach(v, i, max, one)
        {
            is_ok = is_ok && make_safe(doc, one);
        }
    }
    if (yyjson_mut_is_obj(v)) {
        yyjson_mut_obj_foreach(v, i, max, key, one)
        {
            is_ok = is_ok && make_safe(doc, key) && make_safe(doc, one);
        }
    }
    return is_ok;
}

/* The same document with texts for a terminal. Takes doc; NULL: no memory. */
static struct yyjson_doc *safe_copy(struct yyjson_doc *doc)
{
    struct yyjson_doc *ret = NULL;
    struct yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);

    if (copy != NULL && make_safe(copy, yyjson_mut_doc_get_root(copy))) {
        ret = yyjson_mut_doc_imut_copy(copy, NULL);
    }
    yyjson_mut_doc_free(copy);
    yyjson_doc_free(doc);
    return ret;
}

/* --- telling ------------------------------------------------------------------ */

static struct yyjson_val *root_of(const struct look *l, size_t i)
{
    return yyjson_doc_get_root(l->docs[i]);
}

static size_t operation_count(const struct look *l)
{
    return yyjson_arr_size(yyjson_obj_get(root_of(l, OPERATIONS), "operations"));
}

static bool has_more_operations(const struct look *l)
{
    return yyjson_obj_get(root_of(l, OPERATIONS), "next") != NULL;
}

/* Members of an answer that are not there yet. */
static bool merge(struct yyjson_mut_doc *doc, struct yyjson_mut_val *o, struct yyjson_val *from)
{
    size_t i, max;
    struct yyjson_val *key, *val;
    bool is_ok = true;

    yyjson_obj_foreach(from, i, max, key, val)
    {
        if (yyjson_mut_obj_getn(o, yyjson_get_str(key), yyjson_get_len(key)) == NULL) {
            is_ok = is_ok && yyjson_mut_obj_add(o, yyjson_val_mut_copy(doc, key),
                                                yyjson_val_mut_copy(doc, val));
        }
    }
    return is_ok;
}

static int print_json(struct look *l, const struct alk_conn *conn)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *o = yyjson_mut_obj(doc);
    struct yyjson_val *time = yyjson_obj_get(root_of(l, PING), "time");

    bool is_ok =
        yyjson_mut_obj_add_strcpy(doc, o, "node", l->caller.client.node.host_port) &&
        yyjson_mut_obj_add_str(doc, o, "transport", cli_transport_name(alk_conn_transport(conn))) &&
        yyjson_mut_obj_add_bool(doc, o, "resumed", alk_conn_auth(conn)->is_resumed) &&
        yyjson_mut_obj_add_uint(doc, o, "handshake_us",
                                (l->caller.opened_at - l->caller.dialed_at) / ALK_US) &&
        yyjson_mut_obj_add_uint(doc, o, "rtt_us", (l->pong_at - l->asked_at) / ALK_US) &&
        yyjson_mut_obj_add_val(doc, o, "time", yyjson_val_mut_copy(doc, time)) &&
        yyjson_mut_obj_add_uint(doc, o, "operations", operation_count(l)) &&
        (!has_more_operations(l) || yyjson_mut_obj_add_bool(doc, o, "more_operations", true)) &&
        merge(doc, o, root_of(l, STATUS)) && merge(doc, o, root_of(l, INFO));
    struct yyjson_mut_val *hidden = yyjson_mut_obj_add_arr(doc, o, "hidden");
    for (size_t i = INFO; i < QUESTIONS && is_ok; i++) {
        is_ok = l->docs[i] != NULL || yyjson_mut_arr_add_str(doc, hidden, questions[i]);
    }
    return cli_print_json(l->cli, doc, is_ok ? o : NULL);
}

static void put_way(struct look *l, const struct alk_conn *conn)
{
    const char *host_port = l->caller.client.node.host_port;
    const char *time = yyjson_get_str(yyjson_obj_get(root_of(l, PING), "time"));
    char ready[32], rtt[32];

    alk_text_time(l->caller.opened_at - l->caller.dialed_at, ready, sizeof ready);
    alk_text_time(l->pong_at - l->asked_at, rtt, sizeof rtt);
    (void)fprintf(l->cli->out, "node         %s over %s: ready after %s%s, a call takes %s\n",
                  host_port, cli_transport_name(alk_conn_transport(conn)), ready,
                  alk_conn_auth(conn)->is_resumed ? ", resumed" : "", rtt);
    (void)fprintf(l->cli->out, "its clock    %s\n", time != NULL ? time : "");
    (void)fprintf(l->cli->out, "operations   %s%zu that you may call: alknet ops %s\n",
                  has_more_operations(l) ? "more than " : "", operation_count(l), l->caller.name);
}

static void put_hidden(struct look *l)
{
    if (l->docs[STATUS] != NULL) {
        return;
    }
    (void)fprintf(l->cli->out,
                  "hidden       %sservices, connections, counters and "
                  "configuration:\n"
                  "             shown to peers with the scope admin\n",
                  l->docs[INFO] == NULL ? "who it is, and " : "");
    if (l->docs[INFO] == NULL) {
        (void)fprintf(
            l->cli->out,
            "             It does not know you. To become a peer: alknet peer add NAME "
            "KEY on\n"
            "             the node, with the key that `alknet id --client` prints here\n");
    }
}

static int print_all(struct look *l)
{
    const struct alk_conn *conn = cli_caller_conn(&l->caller);
    size_t best = l->docs[STATUS] != NULL ? STATUS : INFO;

    if (conn == NULL) {
        return cli_fail(l->cli, CLI_UNREACHABLE, "the connection to %s was lost",
                        l->caller.client.node.host_port);
    }
    if (l->cli->is_json) {
        return print_json(l, conn);
    }
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (l->docs[i] != NULL && (l->docs[i] = safe_copy(l->docs[i])) == NULL) {
            return cli_fail_err(l->cli, ALK_E_NOMEM, NULL);
        }
    }
    put_way(l, conn);
    if (l->docs[best] != NULL) {
        cli_status_put_node(l->cli, root_of(l, best));
    }
    put_hidden(l);
    return best == STATUS && !cli_status_put_services(l->cli, root_of(l, STATUS))
               ? cli_fail_err(l->cli, ALK_E_NOMEM, NULL)
               : CLI_OK;
}

static int run_all(struct look *l)
{
    int rc = ask_all(l);

    if (rc == CLI_OK) {
        rc = print_all(l);
    }
    for (size_t i = 0; i < QUESTIONS; i++) {
        cli_answer_fini(&l->answers[i]);
        yyjson_doc_free(l->docs[i]);
    }
    return rc;
}

/* --- one list ----------------------------------------------------------------- */

/* As cli_caller_get; that it is hidden is told in words. */
static int get(struct cli_caller *c, const char *op, struct alk_span input,
               struct yyjson_doc **ret_doc)
{
    const struct alk_ask ask = {.struct_size = sizeof ask, .op = op, .input = input};
    struct cli_answer answer = {.each = NULL};

    int rc = cli_caller_ask(c, &ask, &answer);
    bool has_token = c->client.token[0] != '\0';
    if (rc == CLI_OK && is_hidden(&answer) &&
        (!has_token || strcmp(answer.code, ALK_OPS_UNAUTHENTICATED) != 0)) {
        rc = cli_fail(c->cli, CLI_REFUSED,
                      "%s shows its %s to peers with the scope admin, and not to you",
                      c->client.node.host_port, op + sizeof "node/" - 1);
    } else if (rc == CLI_OK) {
        rc = cli_caller_tell(c, op, &answer);
    }
    if (rc == CLI_OK) {
        alk_err err = alk_json_parse(alk_buf_span(&answer.output), ret_doc);
        rc = err == ALK_OK ? CLI_OK : cli_fail_err(c->cli, err, "the node's answer is not JSON");
    }
    cli_answer_fini(&answer);
    return rc;
}

static int ask_page(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    int rc = get((struct cli_caller *)ctx, "node/connections", input, ret_doc);
    *ret_output = yyjson_doc_get_root(*ret_doc);
    return rc;
}

/* Lines of text, without what could move a terminal's cursor. */
static void put_lines(struct cli *cli, struct yyjson_val *text)
{
    const char *p = yyjson_get_str(text);
    for (size_t i = 0; i < yyjson_get_len(text); i++) {
        bool is_plain = p[i] == '\n' || ((uint8_t)p[i] >= 0x20 && p[i] != 0x7f);
        (void)fputc(is_plain ? p[i] : '?', cli->out);
    }
}

static int print_one(struct cli *cli, const char *operation, struct yyjson_val *out)
{
    if (strcmp(operation, "node/metrics") == 0 && !cli->is_json) {
        put_lines(cli, yyjson_obj_get(out, "text"));
        return CLI_OK;
    }
    return cli_status_print(cli, operation, out);
}

static int run_one(struct look *l, const char *operation)
{
    struct yyjson_doc *doc = NULL;
    bool is_list = strcmp(operation, "node/connections") == 0;

    int rc = is_list ? cli_pages_read(l->cli, "connections", ask_page, &l->caller, &doc)
                     : get(&l->caller, operation, alk_span_str("{}"), &doc);
    if (rc == CLI_OK && is_list && !l->cli->is_json) {
        doc = safe_copy(doc);
        rc = doc == NULL ? cli_fail_err(l->cli, ALK_E_NOMEM, NULL) : CLI_OK;
    }
    if (rc == CLI_OK) {
        rc = print_one(l->cli, operation, yyjson_doc_get_root(doc));
    }
    yyjson_doc_free(doc);
    return rc;
}

int cli_status_node(struct cli *cli, const struct cli_args *args)
{
    struct look l = {.cli = cli};
    const char *operation = cli_status_operation(args);

    int rc = cli_caller_open(cli, args, cli_value(args, 0), NULL, &l.caller);
    if (rc == CLI_OK) {
        rc = strcmp(operation, "node/status") == 0 ? run_all(&l) : run_one(&l, operation);
    }
    cli_caller_close(&l.caller);
    return rc;
}
