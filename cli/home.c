/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "home.h"

#include "base/buf.h"
#include "base/text.h"
#include "core/store/file.h"

#include <errno.h>

#define CONFIG_MAX ((size_t)1 << 20)

/* $VARIABLE/alknet, or ~/fallback/alknet. */
static bool find_dir(const char *variable, const char *fallback, char *ret, size_t ret_size)
{
    const char *dir = getenv(variable);
    const char *home = getenv("HOME");

    if (dir != NULL && dir[0] == '/') {
        return alk_file_join(dir, "alknet", ret, ret_size);
    }
    return home != NULL && home[0] == '/' && alk_file_join(home, fallback, ret, ret_size);
}

alk_err cli_home_find(struct cli_home *ret)
{
    char state[PATH_MAX];

    if (!find_dir("XDG_CONFIG_HOME", ".config/alknet", ret->config_dir, sizeof ret->config_dir) ||
        !find_dir("XDG_STATE_HOME", ".local/state/alknet", state, sizeof state)) {
        return ALK_E_NOENT;
    }
    bool fits =
        alk_file_join(ret->config_dir, "key", ret->key, sizeof ret->key) &&
        alk_file_join(ret->config_dir, "config.yaml", ret->config, sizeof ret->config) &&
        alk_file_join(ret->config_dir, "joined.yaml", ret->joined, sizeof ret->joined) &&
        alk_file_join(ret->config_dir, "known_nodes", ret->known_nodes, sizeof ret->known_nodes) &&
        alk_file_join(state, "sessions", ret->sessions, sizeof ret->sessions) &&
        alk_file_join(state, "operations", ret->operations, sizeof ret->operations);
    return fits ? ALK_OK : ALK_E_INVALID;
}

static const struct alk_conf_row address_row[] = {
    {.name = "address", .type = ALK_CONF_STRING, .min = 1, .max = 600}, {.name = NULL}};

const struct alk_conf_row cli_config_rows[] = {
    {.name = "nodes",
     .type = ALK_CONF_DICT,
     .max = 1000,
     .sub = address_row,
     .help = "Names for nodes: `home: \"alknet://KEY@home.example.org\"`."},
    {.name = NULL}};

static int read_config(struct cli *cli, const char *path, const struct alk_conf **ret)
{
    struct alk_conf_errors errors = {.text = NULL};
    struct alk_buf text;

    *ret = NULL;
    alk_buf_init(&text, NULL, CONFIG_MAX);
    alk_err err = alk_file_read(path, CONFIG_MAX, &text);
    if (err == ALK_E_NOENT) {
        alk_buf_fini(&text);
        return CLI_OK;
    }
    int rc = CLI_OK;
    if (err != ALK_OK) {
        rc = cli_fail(cli, CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    } else {
        err = alk_conf_parse(NULL, alk_buf_span(&text), path, cli_config_rows, &errors, ret);
        if (err != ALK_OK) {
            (void)fprintf(cli->err, "%s", errors.text != NULL ? errors.text : "");
            rc = cli_fail(cli, CLI_FAILED, "%s is wrong", path);
        }
    }
    alk_conf_errors_fini(&errors);
    alk_buf_fini(&text);
    return rc;
}

int cli_home_config(struct cli *cli, const struct cli_home *home, const struct alk_conf **ret)
{
    return read_config(cli, home->config, ret);
}

int cli_home_joined(struct cli *cli, const struct cli_home *home, const struct alk_conf **ret)
{
    return read_config(cli, home->joined, ret);
}

static void put_node(struct alk_buf *b, const char *name, const char *address)
{
    /* JSON strings are YAML strings. */
    (void)alk_buf_put_str(b, "  ");
    (void)alk_buf_put_json(b, alk_span_str(name));
    (void)alk_buf_put_str(b, ": ");
    (void)alk_buf_put_json(b, alk_span_str(address));
    (void)alk_buf_put_str(b, "\n");
}

int cli_home_remember(struct cli *cli, const struct cli_home *home, const char *name,
                      const char *address)
{
    const struct alk_conf *conf = NULL;
    struct alk_buf text;

    int rc = cli_home_joined(cli, home, &conf);
    if (rc != CLI_OK) {
        return rc;
    }
    alk_buf_init(&text, NULL, CONFIG_MAX);
    (void)alk_buf_put_str(&text, "# Written by `alknet join`; names of yours belong in "
                                 "config.yaml.\nnodes:\n");
    const struct alk_conf *nodes = alk_conf_get(conf, "nodes");
    for (size_t i = 0; i < alk_conf_count(nodes); i++) {
        const struct alk_conf *node = alk_conf_at(nodes, i);
        if (strcmp(alk_conf_key(node), name) != 0) {
            put_node(&text, alk_conf_key(node), alk_conf_str(node));
        }
    }
    put_node(&text, name, address);
    alk_err err = text.err;
    if (err == ALK_OK) {
        err = alk_file_write(home->joined, alk_buf_span(&text), 0600);
    }
    alk_conf_unref(conf);
    alk_buf_fini(&text);
    return err == ALK_OK
               ? CLI_OK
               : cli_fail(cli, CLI_FAILED, "cannot write %s: %s", home->joined, alk_err_text(err));
}
