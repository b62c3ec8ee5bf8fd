/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "home.h"

#include "base/buf.h"
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
        alk_file_join(ret->config_dir, "known_nodes", ret->known_nodes, sizeof ret->known_nodes) &&
        alk_file_join(state, "sessions", ret->sessions, sizeof ret->sessions);
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

int cli_home_config(struct cli *cli, const struct cli_home *home, const struct alk_conf **ret)
{
    struct alk_conf_errors errors = {.text = NULL};
    struct alk_buf text;

    *ret = NULL;
    alk_buf_init(&text, NULL, CONFIG_MAX);
    alk_err err = alk_file_read(home->config, CONFIG_MAX, &text);
    if (err == ALK_E_NOENT) {
        alk_buf_fini(&text);
        return CLI_OK;
    }
    int rc = CLI_OK;
    if (err != ALK_OK) {
        rc = cli_fail(cli, CLI_FAILED, "cannot read %s: %s", home->config, strerror(errno));
    } else {
        err =
            alk_conf_parse(NULL, alk_buf_span(&text), home->config, cli_config_rows, &errors, ret);
        if (err != ALK_OK) {
            (void)fprintf(cli->err, "%s", errors.text != NULL ? errors.text : "");
            rc = cli_fail(cli, CLI_FAILED, "%s is wrong", home->config);
        }
    }
    alk_conf_errors_fini(&errors);
    alk_buf_fini(&text);
    return rc;
}
