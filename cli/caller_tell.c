/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a node's refusal means for the person who asked: the message, the exit status, and
 * what to do next.
 */
#include "caller.h"
#include "pages.h"

#include "base/mem.h"
#include "core/frame.h"
#include "ops/dispatch.h"

#define DETAILS_SHOWN 500 /* bytes */

static const struct {
    const char *code;
    int status;
} statuses[] = {{ALK_OPS_UNAUTHENTICATED, CLI_REFUSED},
                {ALK_OPS_FORBIDDEN, CLI_REFUSED},
                {ALK_OPS_INVALID_INPUT, CLI_USAGE},
                {ALK_OPS_UNAVAILABLE, CLI_UNREACHABLE},
                {ALK_OPS_TIMEOUT, CLI_UNREACHABLE}};

static int status_of(const char *code)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (strcmp(statuses[i].code, code) == 0) {
            return statuses[i].status;
        }
    }
    return CLI_FAILED;
}

/* {"errors": [{"at", "what"}]} of INVALID_INPUT, a line each, unless there is but one and
 * the message has told it. */
static void tell_places(struct cli *cli, const char *message, struct yyjson_val *errors)
{
    size_t i, max;
    struct yyjson_val *one;

    yyjson_arr_foreach(errors, i, max, one)
    {
        struct yyjson_val *at = yyjson_obj_get(one, "at"), *what = yyjson_obj_get(one, "what");
        char place[300], text[300];
        cli_safe(alk_span(yyjson_get_str(at), yyjson_get_len(at)), place, sizeof place);
        cli_safe(alk_span(yyjson_get_str(what), yyjson_get_len(what)), text, sizeof text);
        if (max == 1 && strstr(message, text) != NULL && strstr(message, place) != NULL) {
            break;
        }
        (void)fprintf(cli->err, "  %s: %s\n", place[0] == '\0' ? "the input" : place, text);
    }
}

/* What an operation says besides: as it came, on a line, cut. */
static void tell_details(struct cli *cli, const char *code, const char *message,
                         struct alk_span details)
{
    struct yyjson_doc *doc = NULL;
    char text[4 * DETAILS_SHOWN + 1];

    if (details.n == 0 || alk_json_parse(details, &doc) != ALK_OK) {
        return;
    }
    struct yyjson_val *errors = yyjson_obj_get(yyjson_doc_get_root(doc), "errors");
    if (strcmp(code, ALK_OPS_INVALID_INPUT) == 0 && yyjson_is_arr(errors)) {
        tell_places(cli, message, errors);
    } else {
        bool is_long = details.n > DETAILS_SHOWN;
        cli_safe(alk_span_head(details, is_long ? DETAILS_SHOWN : details.n), text, sizeof text);
        (void)fprintf(cli->err, "  details: %s%s\n", text, is_long ? "..." : "");
    }
    yyjson_doc_free(doc);
}

/* --- what to do next ------------------------------------------------------------- */

/* One page of the list; what goes wrong is not told. */
static int ask_page(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    struct cli_caller *c = (struct cli_caller *)ctx;
    const struct alk_ask ask = {
        .struct_size = sizeof ask, .op = "services/list", .input = input, .timeout_ms = 1000};
    struct cli_answer answer = {0};

    int rc = cli_caller_ask(c, &ask, &answer);
    if (rc == CLI_OK && (answer.code[0] != '\0' ||
                         alk_json_parse(alk_buf_span(&answer.output), ret_doc) != ALK_OK)) {
        rc = CLI_FAILED;
    }
    *ret_output = rc == CLI_OK ? yyjson_doc_get_root(*ret_doc) : NULL;
    cli_answer_fini(&answer);
    return rc;
}

int cli_caller_operations(struct cli_caller *c, struct yyjson_doc **ret_doc)
{
    return cli_pages_read(c->cli, "operations", ask_page, c, ret_doc);
}

/* The name among them that was meant by `op`; NULL: none is near. Borrows from the list. */
static const char *nearest(struct yyjson_val *operations, const char *op)
{
    size_t n = 0, i, max = yyjson_arr_size(operations);
    const char **names = (const char **)alk_alloc(NULL, (max + 1) * sizeof *names);
    struct yyjson_val *one;

    if (names == NULL) {
        return NULL;
    }
    yyjson_arr_foreach(operations, i, max, one)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(one, "name"));
        if (name != NULL) {
            names[n++] = name;
        }
    }
    names[n] = NULL;
    const char *near = cli_nearest(op, names);
    alk_free(NULL, (void *)names);
    return near;
}

static void tell_operations(struct cli_caller *c, const char *op)
{
    struct yyjson_doc *doc = NULL;
    char name[300];

    int rc = cli_caller_operations(c, &doc);
    struct yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc), "operations");
    const char *near = rc == CLI_OK ? nearest(list, op) : NULL;
    if (near != NULL) {
        cli_safe(alk_span_str(near), name, sizeof name);
        (void)fprintf(c->cli->err, "alknet: did you mean %s?\n", name);
    }
    (void)fprintf(c->cli->err, "alknet: what you may call there: alknet ops %s\n", c->name);
    yyjson_doc_free(doc);
}

static void tell_next(struct cli_caller *c, const char *op, const struct cli_answer *answer)
{
    const char *code = answer->code, *message = answer->message;

    if (strcmp(code, ALK_OPS_NOT_FOUND) == 0 && strstr(message, "no such operation") != NULL) {
        tell_operations(c, op);
    } else if (strcmp(code, ALK_OPS_UNAUTHENTICATED) == 0 &&
               strstr(message, "identity is needed") != NULL) {
        cli_client_tell_key(&c->client);
    } else if (strcmp(code, ALK_OPS_INVALID_INPUT) == 0 &&
               strstr(message, "does not fit") != NULL) {
        (void)fprintf(c->cli->err, "alknet: what it takes: alknet ops %s %s\n", c->name, op);
    } else if (strcmp(code, ALK_OPS_FORBIDDEN) == 0 && strncmp(op, "events/", 7) == 0) {
        (void)fprintf(c->cli->err,
                      "alknet: which topics you may use: alknet call %s events/topics\n", c->name);
    }
}

int cli_caller_tell(struct cli_caller *c, const char *op, const struct cli_answer *answer)
{
    int status = status_of(answer->code);

    if (answer->code[0] == '\0') {
        return CLI_OK;
    }
    if (c->is_over && strcmp(answer->code, ALK_OPS_UNAVAILABLE) == 0) {
        return c->status; /* the connection has ended, and why was told */
    }
    (void)cli_fail(c->cli, status, "%s: %s%s%s", op, answer->code,
                   answer->message[0] == '\0' ? "" : ": ", answer->message);
    tell_details(c->cli, answer->code, answer->message, alk_buf_span(&answer->details));
    if (!c->is_over) {
        tell_next(c, op, answer);
    }
    return status;
}
