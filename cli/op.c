/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "op.h"

#include "pages.h"
#include "state.h"

#include "core/frame.h"

int cli_op_run(struct cli *cli, const struct cli_args *args, const char *operation,
               struct yyjson_mut_doc *input, struct yyjson_doc **ret_doc,
               struct yyjson_val **ret_output)
{
    struct cli_state state;
    int rc = cli_state_open(cli, args, false, &state);

    if (rc == CLI_OK) {
        rc = cli_state_auth(&state, operation, input, ret_doc, ret_output);
    } else {
        yyjson_mut_doc_free(input);
    }
    cli_state_close(&state);
    return rc;
}

struct list {
    const struct cli_state *state;
    const char *operation;
};

static int ask_page(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    const struct list *l = (const struct list *)ctx;
    struct yyjson_doc *doc = NULL;

    if (alk_json_parse(input, &doc) != ALK_OK) {
        return cli_fail_err(l->state->cli, ALK_E_NOMEM, NULL);
    }
    struct yyjson_mut_doc *copy = yyjson_doc_mut_copy(doc, NULL);
    yyjson_doc_free(doc);
    return copy == NULL ? cli_fail_err(l->state->cli, ALK_E_NOMEM, NULL)
                        : cli_state_auth(l->state, l->operation, copy, ret_doc, ret_output);
}

/* *ret_doc: an object with all of the list. */
static int get_list(struct cli *cli, const struct cli_args *args, const char *operation,
                    const char *list, struct yyjson_doc **ret_doc)
{
    struct cli_state state;
    struct list l = {&state, operation};
    int rc = cli_state_open(cli, args, false, &state);

    if (rc == CLI_OK) {
        rc = cli_pages_read(cli, list, ask_page, &l, ret_doc);
    }
    cli_state_close(&state);
    return rc;
}

static bool put_rows(struct cli_table *table, struct yyjson_val *list, const char *const *heads,
                     cli_op_row_fn *row)
{
    size_t i, n;
    struct yyjson_val *one;
    bool is_ok = cli_table_row(table, heads);
    yyjson_arr_foreach(list, i, n, one)
    {
        is_ok = is_ok && row(table, one);
    }
    return is_ok;
}

int cli_op_table(struct cli *cli, const struct cli_args *args, const char *operation,
                 const char *list, const char *const *heads, unsigned columns, cli_op_row_fn *row)
{
    struct yyjson_doc *answer = NULL;
    struct cli_table table = {.columns = columns};

    int rc = get_list(cli, args, operation, list, &answer);
    struct yyjson_val *root = yyjson_doc_get_root(answer);
    if (rc == CLI_OK && cli->is_json) {
        rc = cli_op_print(cli, root);
    } else if (rc == CLI_OK && put_rows(&table, yyjson_obj_get(root, list), heads, row)) {
        cli_table_print(cli, &table);
    } else if (rc == CLI_OK) {
        rc = cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    cli_table_free(&table);
    yyjson_doc_free(answer);
    return rc;
}

struct yyjson_mut_doc *cli_op_input(struct yyjson_mut_val **ret)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    *ret = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *ret);
    return doc;
}

bool cli_op_put_many(struct yyjson_mut_doc *doc, struct yyjson_mut_val *object, const char *name,
                     const struct cli_args *args, const char *option)
{
    if (!cli_has(args, option)) {
        return true;
    }
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, object, name);
    const char *text;
    bool is_ok = list != NULL;
    for (size_t i = 0; is_ok && (text = cli_nth(args, option, i)) != NULL; i++) {
        is_ok = yyjson_mut_arr_add_str(doc, list, text);
    }
    return is_ok;
}

int cli_op_print(struct cli *cli, struct yyjson_val *output)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    return cli_print_json(cli, doc, yyjson_val_mut_copy(doc, output));
}

const char *cli_op_text(struct yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text == NULL ? "" : text;
}

void cli_op_join(struct yyjson_val *list, char *ret, size_t ret_size)
{
    size_t used = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < yyjson_arr_size(list) && used < ret_size; i++) {
        const char *text = yyjson_get_str(yyjson_arr_get(list, i));
        int n = snprintf(ret + used, ret_size - used, "%s%s", i == 0 ? "" : ", ",
                         text == NULL ? "" : text);
        used += n > 0 ? (size_t)n : 0;
    }
}

int cli_op_one(struct cli *cli, const struct cli_args *args, const char *operation,
               const char *name, const char *done)
{
    struct yyjson_mut_val *input;
    struct yyjson_mut_doc *doc = cli_op_input(&input);
    struct yyjson_doc *answer = NULL;
    struct yyjson_val *output = NULL;

    if (!yyjson_mut_obj_add_str(doc, input, name, cli_value(args, 0))) {
        yyjson_mut_doc_free(doc);
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    int rc = cli_op_run(cli, args, operation, doc, &answer, &output);
    if (rc == CLI_OK && cli->is_json) {
        rc = cli_op_print(cli, output);
    } else if (rc == CLI_OK) {
        (void)fprintf(cli->out, "%s %s\n", done, cli_op_text(output, name));
    }
    yyjson_doc_free(answer);
    return rc;
}
