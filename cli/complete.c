/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "complete.h"

#include "base/map.h"
#include "base/text.h"
#include "caller.h"
#include "core/config/conf.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "core/store/file.h"
#include "core/store/known_nodes.h"
#include "fields.h"
#include "home.h"

#include <inttypes.h>

#define FILE_MAX ((size_t)2 << 20)

/* --- nodes -------------------------------------------------------------------- */

static void put_keys(struct cli *cli, const struct alk_conf *conf)
{
    const struct alk_conf *nodes = alk_conf_get(conf, "nodes");
    for (size_t i = 0; i < alk_conf_count(nodes); i++) {
        (void)fprintf(cli->out, "%s\n", alk_conf_key(alk_conf_at(nodes, i)));
    }
    alk_conf_unref(conf);
}

static void put_known(struct cli *cli, const struct cli_home *home)
{
    struct alk_buf text;

    alk_buf_init(&text, NULL, (size_t)1 << 20);
    if (alk_file_read(home->known_nodes, (size_t)1 << 20, &text) == ALK_OK) {
        struct alk_span rest = alk_buf_span(&text);
        struct alk_known_node node;
        while (rest.n > 0) {
            if (alk_known_nodes_parse(alk_span_cut(&rest, '\n'), &node) == ALK_OK) {
                (void)fprintf(cli->out, "%s\n", node.host);
            }
        }
    }
    alk_buf_fini(&text);
}

/* As cli, with what is written to err going nowhere. False: there is no nowhere. */
static bool be_quiet(const struct cli *cli, struct cli *ret)
{
    *ret = *cli;
    ret->err = fopen("/dev/null", "w");
    ret->err_is_tty = false;
    return ret->err != NULL;
}

int cli_complete_nodes(struct cli *cli)
{
    struct cli_home home;
    const struct alk_conf *conf = NULL;
    struct cli quiet;

    if (cli_home_find(&home) != ALK_OK || !be_quiet(cli, &quiet)) {
        return CLI_OK;
    }
    if (cli_home_config(&quiet, &home, &conf) == CLI_OK) {
        put_keys(cli, conf);
    }
    conf = NULL;
    if (cli_home_joined(&quiet, &home, &conf) == CLI_OK) {
        put_keys(cli, conf);
    }
    put_known(cli, &home);
    (void)fclose(quiet.err);
    return CLI_OK;
}

/* --- what a node said last ---------------------------------------------------- */

bool cli_complete_read(struct alk_span text, const char *node, uint64_t *ret_at,
                       struct alk_span *ret_names)
{
    struct alk_span names = text;
    struct alk_span of = alk_span_cut(&names, '\n');
    struct alk_span at = alk_span_cut(&of, ' ');
    uint64_t seconds = 0;

    if (!alk_span_is(of, node) || !alk_span_u64(at, INT64_MAX, &seconds)) {
        return false;
    }
    *ret_at = seconds;
    *ret_names = names;
    return true;
}

static bool file_of(const struct cli_home *home, const char *node, char *ret, size_t ret_size)
{
    static const uint64_t seed[2] = {0, 0};
    char name[20];
    (void)snprintf(name, sizeof name, "%016" PRIx64, alk_siphash(seed, alk_span_str(node)));
    return alk_file_join(home->operations, name, ret, ret_size);
}

/* That it cannot be kept makes completions slower and nothing else. */
static void keep(const struct cli_home *home, const char *path, const char *node, uint64_t at,
                 struct alk_span names)
{
    struct alk_buf text;

    alk_buf_init(&text, NULL, FILE_MAX);
    (void)alk_buf_printf(&text, "%" PRIu64 " %s\n", at, node);
    if (alk_buf_put(&text, names) == ALK_OK &&
        alk_file_make_dirs(home->operations, 0700) == ALK_OK) {
        alk_err err = alk_file_write(path, alk_buf_span(&text), 0600);
        (void)err;
    }
    alk_buf_fini(&text);
}

/* --- asking ------------------------------------------------------------------- */

/* A name of an operation is safe for any shell; anything else is no name. */
static bool is_name(struct alk_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '/') {
            return false;
        }
    }
    return name.n > 0 && name.n <= ALK_OP_NAME_MAX;
}

/* What is asked of a node; op NULL: for its operations, else for the fields of one. */
struct question {
    const char *node, *op;
    char about[600]; /* what the file says whose words it holds */
};

static void put_operations(struct yyjson_val *list, struct alk_buf *words)
{
    size_t i, max;
    struct yyjson_val *one;

    yyjson_arr_foreach(list, i, max, one)
    {
        struct yyjson_val *name = yyjson_obj_get(one, "name");
        struct alk_span text = alk_span(yyjson_get_str(name), yyjson_get_len(name));
        if (is_name(text)) {
            (void)alk_buf_printf(words, ALK_SPAN_FMT "\n", ALK_SPAN_ARG(text));
        }
    }
}

/* Letters, digits, and what else is safe for any shell. */
static bool is_field(struct alk_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' &&
            (i == 0 || (c != '-' && c != '.'))) {
            return false;
        }
    }
    return name.n > 0 && name.n <= ALK_OP_NAME_MAX;
}

static void put_fields(struct yyjson_val *input, struct alk_buf *words)
{
    struct yyjson_val *properties = yyjson_obj_get(cli_field_schema(input, input), "properties");
    size_t i, max;
    struct yyjson_val *key, *val;

    yyjson_obj_foreach(properties, i, max, key, val)
    {
        struct alk_span name = alk_span(yyjson_get_str(key), yyjson_get_len(key));
        if (is_field(name)) {
            (void)alk_buf_printf(words, "--" ALK_SPAN_FMT "\n", ALK_SPAN_ARG(name));
        }
    }
}

/* Without the hints that a person would get, as they ask further questions. */
static int ask_fields(struct cli_caller *caller, const char *op, struct yyjson_doc **ret)
{
    struct cli_answer answer = {0};

    int rc = cli_caller_schema(caller, op, &answer);
    if (rc == CLI_OK &&
        (answer.code[0] != '\0' || alk_json_parse(alk_buf_span(&answer.output), ret) != ALK_OK)) {
        rc = CLI_FAILED;
    }
    cli_answer_fini(&answer);
    return rc;
}

/* The words, a line each, into *words. */
static int ask(struct cli *quiet, const struct cli_args *args, const struct question *q,
               struct alk_buf *words)
{
    static const struct cli_opt timeout = {.name = "timeout", .value = "TIME"};
    struct cli_args patient = *args;
    struct cli_caller caller;
    struct yyjson_doc *doc = NULL;

    patient.given[0] = (struct cli_given){&timeout, "2s"};
    patient.given_count = 1;
    int rc = cli_caller_open(quiet, &patient, q->node, NULL, &caller);
    if (rc == CLI_OK) {
        rc =
            q->op == NULL ? cli_caller_operations(&caller, &doc) : ask_fields(&caller, q->op, &doc);
    }
    struct yyjson_val *root = yyjson_doc_get_root(doc);
    if (q->op == NULL) {
        put_operations(yyjson_obj_get(root, "operations"), words);
    } else {
        put_fields(yyjson_obj_get(root, "input"), words);
    }
    yyjson_doc_free(doc);
    cli_caller_close(&caller);
    return rc;
}

/* From the file when it is fresh, else from the node, else from the file after all. */
static void put_words(struct cli *cli, struct cli *quiet, const struct cli_args *args,
                      const struct cli_home *home, const char *path, const struct question *q)
{
    struct alk_buf file, words;
    struct alk_span old = {NULL, 0};
    uint64_t now = alk_clock_unix(), at = 0;

    alk_buf_init(&file, NULL, FILE_MAX);
    alk_buf_init(&words, NULL, FILE_MAX);
    bool has_old = alk_file_read(path, FILE_MAX, &file) == ALK_OK &&
                   cli_complete_read(alk_buf_span(&file), q->about, &at, &old);
    if (!has_old || at > now || now - at >= CLI_COMPLETE_FRESH) {
        if (ask(quiet, args, q, &words) == CLI_OK && words.err == ALK_OK) {
            old = alk_buf_span(&words);
            keep(home, path, q->about, now, old);
        } else {
            keep(home, path, q->about, now - CLI_COMPLETE_FRESH + CLI_COMPLETE_RETRY, old);
        }
    }
    (void)fwrite(old.p, 1, old.n, cli->out);
    alk_buf_fini(&words);
    alk_buf_fini(&file);
}

static int complete(struct cli *cli, const struct cli_args *args, const struct question *q)
{
    struct cli_home home;
    struct cli quiet;
    char path[PATH_MAX];

    if (cli_home_find(&home) != ALK_OK || !file_of(&home, q->about, path, sizeof path) ||
        !be_quiet(cli, &quiet)) {
        return CLI_OK;
    }
    put_words(cli, &quiet, args, &home, path, q);
    (void)fclose(quiet.err);
    return CLI_OK;
}

int cli_complete_operations(struct cli *cli, const struct cli_args *args, const char *node)
{
    struct question q = {.node = node};
    (void)snprintf(q.about, sizeof q.about, "%s", node);
    return complete(cli, args, &q);
}

int cli_complete_fields(struct cli *cli, const struct cli_args *args, const char *node,
                        const char *op)
{
    struct question q = {.node = node, .op = op[0] == '/' ? op + 1 : op};

    if (!is_name(alk_span_str(q.op))) {
        return CLI_OK; /* a topic has none */
    }
    (void)snprintf(q.about, sizeof q.about, "%s %s", node, q.op);
    return complete(cli, args, &q);
}
