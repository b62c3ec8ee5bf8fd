/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet ops: the list of a node's operations, and a page for one of them. */
#include "caller.h"
#include "commands.h"
#include "fields.h"
#include "pages.h"

#include "base/text.h"

#define WIDTH      79
#define INDENT     6
#define LINES_DEEP 3 /* levels of an object that are shown */

static const char *text_of(struct yyjson_val *object, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));
    return text == NULL ? "" : text;
}

static void safe_of(struct yyjson_val *object, const char *name, char *ret, size_t ret_size)
{
    struct yyjson_val *v = yyjson_obj_get(object, name);
    cli_safe(alk_span(yyjson_get_str(v), yyjson_get_len(v)), ret, ret_size);
}

/* --- the list --------------------------------------------------------------------- */

/* A column that says where operations are from only when some are from elsewhere. */
static unsigned columns_of(struct yyjson_val *operations)
{
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(operations, i, max, one)
    {
        if (text_of(one, "source")[0] != '\0') {
            return 4;
        }
    }
    return 3;
}

static int put_list(struct cli *cli, struct yyjson_val *operations)
{
    static const char *const head[] = {"OPERATION", "KIND", "WHAT IT DOES", "FROM"};
    struct cli_table table = {.columns = columns_of(operations)};
    bool is_ok = cli_table_row(&table, head);
    size_t i, max;
    struct yyjson_val *one;

    yyjson_arr_foreach(operations, i, max, one)
    {
        char name[300], kind[100], summary[300], source[100];
        safe_of(one, "name", name, sizeof name);
        safe_of(one, "kind", kind, sizeof kind);
        safe_of(one, "summary", summary, sizeof summary);
        safe_of(one, "source", source, sizeof source);
        const char *const cells[] = {name, kind, summary, source};
        is_ok = is_ok && cli_table_row(&table, cells);
    }
    if (is_ok) {
        cli_table_print(cli, &table);
    }
    cli_table_free(&table);
    return is_ok ? CLI_OK : cli_fail_err(cli, ALK_E_NOMEM, NULL);
}

static int print_json(struct cli *cli, struct yyjson_val *root)
{
    struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    return cli_print_json(cli, doc, yyjson_val_mut_copy(doc, root));
}

static int ask_page(void *ctx, struct alk_span input, struct yyjson_doc **ret_doc,
                    struct yyjson_val **ret_output)
{
    int rc = cli_caller_get((struct cli_caller *)ctx, "services/list", input, ret_doc);
    *ret_output = yyjson_doc_get_root(*ret_doc);
    return rc;
}

/* Those whose name begins with "name_space/". Takes doc; gives the new one. */
static struct yyjson_doc *only_of(struct yyjson_doc *doc, const char *name_space)
{
    struct yyjson_mut_doc *kept = yyjson_mut_doc_new(NULL);
    struct yyjson_mut_val *root = yyjson_mut_obj(kept);
    struct yyjson_mut_val *list = yyjson_mut_obj_add_arr(kept, root, "operations");
    size_t i, max, n = strlen(name_space);
    struct yyjson_val *one;

    yyjson_mut_doc_set_root(kept, root);
    yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc), "operations"), i, max, one)
    {
        const char *name = text_of(one, "name");
        if (strncmp(name, name_space, n) == 0 && name[n] == '/') {
            (void)yyjson_mut_arr_append(list, yyjson_val_mut_copy(kept, one));
        }
    }
    struct yyjson_doc *ret = yyjson_mut_doc_imut_copy(kept, NULL);
    yyjson_mut_doc_free(kept);
    yyjson_doc_free(doc);
    return ret;
}

/* All of them, or those of a namespace. CLI_OK, or the status with the message written. */
static int read_list(struct cli *cli, struct cli_caller *caller, const char *name_space,
                     struct yyjson_doc **ret)
{
    int rc = cli_pages_read(cli, "operations", ask_page, caller, ret);

    if (rc != CLI_OK || name_space == NULL) {
        return rc;
    }
    *ret = only_of(*ret, name_space);
    struct yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(*ret), "operations");
    if (list == NULL) {
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    if (yyjson_arr_size(list) == 0) {
        return cli_fail(cli, CLI_FAILED,
                        "no operation that you may call begins with %s/; all: alknet ops %s",
                        name_space, caller->name);
    }
    return CLI_OK;
}

static void put_names(struct cli *cli, struct yyjson_val *operations)
{
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(operations, i, max, one)
    {
        (void)fprintf(cli->out, "%s\n", text_of(one, "name"));
    }
}

static int run_list(struct cli *cli, struct cli_caller *caller, const char *name_space,
                    bool names_only)
{
    struct yyjson_doc *doc = NULL;
    int rc = read_list(cli, caller, name_space, &doc);
    struct yyjson_val *operations = yyjson_obj_get(yyjson_doc_get_root(doc), "operations");

    if (rc == CLI_OK && names_only) {
        put_names(cli, operations);
    } else if (rc == CLI_OK) {
        rc = cli->is_json ? print_json(cli, operations) : put_list(cli, operations);
    }
    yyjson_doc_free(doc);
    return rc;
}

/* --- the page of one ----------------------------------------------------------------- */

/* Of a schema that is being written. */
struct page {
    struct cli *cli;
    struct yyjson_val *root;           /* of the schema */
    const struct cli_command *command; /* that takes its fields; NULL: nothing is given */
};

static void heading(struct cli *cli, const char *text)
{
    (void)fprintf(cli->out, "\n%s%s%s\n", cli_color(cli, CLI_BOLD), text,
                  cli_color(cli, CLI_RESET));
}

static bool is_required(struct yyjson_val *schema, struct yyjson_val *name)
{
    struct yyjson_val *list = yyjson_obj_get(schema, "required");
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(list, i, max, one)
    {
        if (yyjson_equals_strn(one, yyjson_get_str(name), yyjson_get_len(name))) {
            return true;
        }
    }
    return false;
}

/* A value as JSON on one line, cut. */
static void put_value(struct cli *cli, const char *label, struct yyjson_val *v)
{
    char text[200];
    size_t n = 0;
    char *json = v == NULL ? NULL : yyjson_val_write(v, 0, &n);
    if (json != NULL) {
        cli_safe(alk_span(json, n < 150 ? n : 150), text, sizeof text);
        (void)fprintf(cli->out, ", %s %s%s", label, text, n > 150 ? "..." : "");
        free(json);
    }
}

static void put_limits(struct cli *cli, struct yyjson_val *property)
{
    static const char *const limits[][2] = {{"minimum", "at least"},
                                            {"maximum", "at most"},
                                            {"exclusiveMinimum", "more than"},
                                            {"exclusiveMaximum", "less than"},
                                            {"minLength", "at least so long:"},
                                            {"maxLength", "at most so long:"},
                                            {"minItems", "at least so many:"},
                                            {"maxItems", "at most so many:"},
                                            {"format", "format"},
                                            {"contentEncoding", "in"},
                                            {"pattern", "like"},
                                            {"enum", "one of"},
                                            {"default", "default"},
                                            {"const", "always"}};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        put_value(cli, limits[i][1], yyjson_obj_get(property, limits[i][0]));
    }
}

/* Whether --NAME is the command's own, so that the field can come in JSON alone. */
static bool is_taken(const struct cli_command *command, const char *name)
{
    const struct cli_opt *o;
    size_t at = 0;

    while ((o = cli_next_opt(command, &at)) != NULL) {
        if (strcmp(o->name, name) == 0) {
            return true;
        }
    }
    return strcmp(name, "help") == 0;
}

static void put_properties(const struct page *page, struct yyjson_val *schema, unsigned level);

static void put_property(const struct page *page, struct yyjson_val *name,
                         struct yyjson_val *property, bool is_needed, unsigned level)
{
    struct cli *cli = page->cli;
    unsigned indent = INDENT + 4 * level;
    bool is_field = page->command != NULL && level == 0;
    bool is_json = is_field && is_taken(page->command, yyjson_get_str(name));
    char label[200], words[200], help[1024];

    cli_safe(alk_span(yyjson_get_str(name), yyjson_get_len(name)), label, sizeof label);
    cli_field_describe(page->root, property, words, sizeof words);
    (void)fprintf(cli->out, "%*s%s%s%s%s  %s%s", (int)indent, "", cli_color(cli, CLI_BOLD),
                  is_field && !is_json ? "--" : "", label, cli_color(cli, CLI_RESET), words,
                  is_needed ? ", required" : "");
    put_limits(cli, property);
    (void)fprintf(cli->out, "%s\n", is_json ? ", in JSON alone" : "");
    safe_of(property, "description", help, sizeof help);
    if (help[0] != '\0') {
        (void)fprintf(cli->out, "%*s", (int)indent + 4, "");
        cli_wrap(cli->out, help, indent + 4, indent + 4, WIDTH);
    }
    if (level + 1 < LINES_DEEP) {
        struct yyjson_val *items = yyjson_obj_get(property, "items");
        put_properties(page, items != NULL ? cli_field_schema(page->root, items) : property,
                       level + 1);
    }
}

static void put_properties(const struct page *page, struct yyjson_val *schema, unsigned level)
{
    size_t i, max;
    struct yyjson_val *key, *val;
    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, max, key, val)
    {
        put_property(page, key, cli_field_schema(page->root, val), is_required(schema, key), level);
    }
}

static void put_schema(struct cli *cli, const char *title, struct yyjson_val *root,
                       const struct cli_command *command)
{
    const struct page page = {.cli = cli, .root = root, .command = command};
    struct yyjson_val *schema = cli_field_schema(root, root);

    if (schema == NULL || yyjson_is_null(schema)) {
        return;
    }
    heading(cli, title);
    if (yyjson_obj_size(yyjson_obj_get(schema, "properties")) > 0) {
        put_properties(&page, schema, 0);
        return;
    }
    char description[1024], words[200];
    safe_of(schema, "description", description, sizeof description);
    cli_field_describe(root, schema, words, sizeof words);
    (void)fprintf(cli->out, "%*s%s", INDENT, "", yyjson_is_bool(schema) ? "anything" : words);
    put_limits(cli, schema);
    (void)fprintf(cli->out, "%s%s\n", description[0] == '\0' ? "" : ": ", description);
}

static void put_errors(struct cli *cli, struct yyjson_val *errors)
{
    size_t i, max;
    struct yyjson_val *one;
    if (yyjson_arr_size(errors) == 0) {
        return;
    }
    heading(cli, "ERRORS");
    yyjson_arr_foreach(errors, i, max, one)
    {
        char code[100], summary[300];
        safe_of(one, "code", code, sizeof code);
        safe_of(one, "summary", summary, sizeof summary);
        (void)fprintf(cli->out, "%*s%s  %s\n", INDENT, "", code, summary);
    }
}

/* " with the scope a", or " <label> a, b" */
static void put_scopes(struct cli *cli, const char *label, struct yyjson_val *list)
{
    size_t i, max;
    struct yyjson_val *one;

    (void)fputs(yyjson_arr_size(list) == 0   ? ""
                : yyjson_arr_size(list) == 1 ? " with the scope "
                                             : label,
                cli->out);
    yyjson_arr_foreach(list, i, max, one)
    {
        char word[200];
        cli_safe(alk_span(yyjson_get_str(one), yyjson_get_len(one)), word, sizeof word);
        (void)fprintf(cli->out, "%s%s", i == 0 ? "" : ", ", word);
    }
}

/* Who may call it, how long it may take, whose workers offer it. */
static void put_rules(struct cli *cli, struct yyjson_val *root)
{
    struct yyjson_val *access = yyjson_obj_get(root, "access");
    struct yyjson_val *resource = yyjson_obj_get(access, "resource");
    struct yyjson_val *timeout = yyjson_obj_get(root, "timeout_ms");
    bool is_public = yyjson_get_bool(yyjson_obj_get(access, "public"));
    char source[100], type[100], action[100], member[200];

    heading(cli, "WHO MAY CALL IT");
    (void)fprintf(cli->out, "%*s%s", INDENT, "", is_public ? "anybody" : "a known peer");
    put_scopes(cli, " with the scopes ", yyjson_obj_get(access, "scopes"));
    put_scopes(cli, " with one of the scopes ", yyjson_obj_get(access, "any_scope"));
    (void)fputc('\n', cli->out);
    if (resource != NULL) {
        safe_of(resource, "type", type, sizeof type);
        safe_of(resource, "action", action, sizeof action);
        safe_of(resource, "member", member, sizeof member);
        (void)fprintf(cli->out, "%*swho may %s the %s that %s names\n", INDENT, "", action, type,
                      member);
    }
    safe_of(root, "source", source, sizeof source);
    if (source[0] != '\0') {
        uint64_t n = yyjson_get_uint(yyjson_obj_get(root, "providers"));
        (void)fprintf(cli->out, "%*sit runs elsewhere: %llu worker%s of %s offer%s it\n", INDENT,
                      "", (unsigned long long)n, n == 1 ? "" : "s", source, n == 1 ? "s" : "");
    }
    if (yyjson_is_uint(timeout)) {
        (void)fprintf(cli->out, "%*sit may take %llu ms\n", INDENT, "",
                      (unsigned long long)yyjson_get_uint(timeout));
    }
}

static void put_example(struct cli *cli, const struct cli_args *args, struct yyjson_val *root)
{
    struct yyjson_val *input = yyjson_obj_get(root, "input");
    size_t i, max;
    struct yyjson_val *key, *val;
    const char *kind = text_of(root, "kind");

    heading(cli, "TRY IT");
    (void)fprintf(cli->out, "%*salknet %s %s %s", INDENT, "",
                  strcmp(kind, "subscription") == 0 ? "subscribe" : "call", cli_value(args, 0),
                  cli_operation(args));
    yyjson_obj_foreach(yyjson_obj_get(input, "properties"), i, max, key, val)
    {
        if (is_required(input, key)) {
            char name[100];
            cli_safe(alk_span(yyjson_get_str(key), yyjson_get_len(key)), name, sizeof name);
            enum cli_field_type type = cli_field_type(cli_field_schema(input, val));
            (void)fprintf(cli->out, " --%s %s", name,
                          type == CLI_FIELD_INTEGER || type == CLI_FIELD_NUMBER ? "1"
                          : type == CLI_FIELD_BOOL                              ? "true"
                                                                                : "...");
        }
    }
    (void)fputc('\n', cli->out);
}

static void put_page(struct cli *cli, const struct cli_args *args, struct yyjson_val *root)
{
    char name[300], summary[300], help[4200], kind[100];
    safe_of(root, "name", name, sizeof name);
    safe_of(root, "summary", summary, sizeof summary);
    safe_of(root, "help", help, sizeof help);
    safe_of(root, "kind", kind, sizeof kind);
    (void)fprintf(cli->out, "%s%s%s (%s)%s%s\n", cli_color(cli, CLI_BOLD), name,
                  cli_color(cli, CLI_RESET), kind, summary[0] == '\0' ? "" : ": ", summary);
    if (help[0] != '\0') {
        (void)fputc('\n', cli->out);
        cli_wrap(cli->out, help, 0, 0, WIDTH);
    }
    bool is_call = strcmp(kind, "subscription") != 0;
    put_schema(cli, "INPUT", yyjson_obj_get(root, "input"),
               is_call ? &cli_call_command : &cli_subscribe_command);
    put_schema(cli, is_call ? "OUTPUT" : "EACH ANSWER", yyjson_obj_get(root, "output"), NULL);
    put_errors(cli, yyjson_obj_get(root, "errors"));
    put_rules(cli, root);
    put_example(cli, args, root);
}

static int run_page(struct cli *cli, const struct cli_args *args, struct cli_caller *caller)
{
    struct yyjson_doc *doc = NULL;
    struct alk_buf input;

    cli_schema_input(&input, cli_operation(args));
    int rc = cli_caller_get_of(caller, "services/schema", cli_operation(args), alk_buf_span(&input),
                               &doc);
    if (rc == CLI_OK && cli->is_json) {
        rc = print_json(cli, yyjson_doc_get_root(doc));
    } else if (rc == CLI_OK) {
        put_page(cli, args, yyjson_doc_get_root(doc));
    }
    yyjson_doc_free(doc);
    alk_buf_fini(&input);
    return rc;
}

static int run_ops(struct cli *cli, const struct cli_args *args)
{
    struct cli_caller caller;
    const char *name = cli_operation(args);
    bool is_one = name != NULL && strchr(name, '/') != NULL;

    if (is_one && cli_has(args, "names")) {
        return cli_usage(cli->err, args, "--names goes with a list, not with one operation");
    }
    int rc = cli_caller_open(cli, args, cli_value(args, 0), NULL, &caller);
    if (rc == CLI_OK) {
        rc = is_one ? run_page(cli, args, &caller)
                    : run_list(cli, &caller, name, cli_has(args, "names"));
    }
    cli_caller_close(&caller);
    return rc;
}

const struct cli_command cli_ops_command = {
    .name = "ops",
    .summary = "list the operations of a node, or explain one",
    .purpose = "Lists the operations of a node that you may call, with those of its workers. With "
               "the name of one it prints a page about it, made from its schemas: fields, limits, "
               "answers, errors, who may call it.",
    .sets = {(const struct cli_opt[]){
                 {.name = "names", .help = "Print the names alone, one per line."}, {.name = NULL}},
             cli_json_opts, cli_node_opts},
    .args =
        (const struct cli_arg[]){
            {"NODE", CLI_NODE, .help = "The node: alknet://KEY@HOST:PORT, HOST:PORT or a name."},
            {"OPERATION", CLI_OPERATION, .is_optional = true,
             .help = "The one to explain; fs lists those of fs/ alone."},
            {.name = NULL}},
    .examples =
        (const struct cli_example[]){{"alknet ops home", "what can be called there"},
                                     {"alknet ops home fs", "of that, what is about files"},
                                     {"alknet ops home fs/read", "how one is called"},
                                     {"alknet ops home --json | jq -r '.[].name'", "for a program"},
                                     {NULL, NULL}},
    .run = run_ops};
