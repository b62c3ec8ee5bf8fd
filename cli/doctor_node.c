/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The node's own state: data, key, ports, certificates. */
#include "doctor.h"

#include "base/ct.h"
#include "core/auth/date.h"
#include "core/io/loop.h"
#include "core/io/sock.h"
#include "core/store/file.h"
#include "core/tls/creds.h"

#include <errno.h>
#include <unistd.h>

#define CERT_SOON ((uint64_t)14 * 86400)
#define PEM_MAX   ((size_t)1 << 20)

/* What follows "run: " in a sentence of core/store is the command. */
static void found_why(struct cli_doctor *d, const char *name, const char *why)
{
    static const char mark[] = "run: ";
    const char *at = strstr(why, mark);
    size_t n = at == NULL ? strlen(why) : (size_t)(at - why);

    while (n > 0 && (why[n - 1] == ' ' || why[n - 1] == ';')) {
        n--;
    }
    struct cli_finding *f = cli_found(d, CLI_ILL, name, "%.*s", (int)n, why);
    if (at != NULL) {
        cli_repair(f, "%s", at + strlen(mark));
    }
}

/* --- data and key ------------------------------------------------------------- */

static void check_key(struct cli_doctor *d, const struct cli_state *state,
                      const struct alk_datadir *dir)
{
    char why[ALK_DATADIR_WHY] = "", path[PATH_MAX];
    alk_err err = ALK_E_INVALID;

    if (alk_datadir_path(dir, state->fixed->node_key, path, sizeof path)) {
        err = alk_file_check_private(path, why, sizeof why);
    }
    if (err == ALK_E_NOENT) {
        (void)cli_found(d, CLI_WELL, "key", "there is none yet: the node makes it when it starts");
    } else if (err != ALK_OK) {
        found_why(d, "key", why);
    } else {
        (void)cli_found(d, CLI_WELL, "key", "%s is closed to others", path);
    }
}

static void check_data(struct cli_doctor *d, const struct cli_state *state)
{
    const struct alk_datadir_options o = {.path = state->fixed->data_dir};
    struct alk_datadir *dir = NULL;
    char why[ALK_DATADIR_WHY] = "";

    if (access(o.path, F_OK) != 0 && errno == ENOENT) {
        (void)cli_found(d, CLI_WELL, "data", "%s does not exist yet: the node makes it", o.path);
        return;
    }
    if (alk_datadir_open(&o, why, sizeof why, &dir) != ALK_OK) {
        found_why(d, "data", why);
        return;
    }
    (void)cli_found(d, CLI_WELL, "data", "%s is closed to others", o.path);
    check_key(d, state, dir);
    alk_datadir_close(dir);
}

/* --- ports -------------------------------------------------------------------- */

static bool can_bind(const struct alk_addr *addr, int type, int *ret_error)
{
    int fd = alk_sock_open(addr->family, type);
    bool is_ok = fd >= 0 && alk_sock_bind(fd, addr) == ALK_OK;
    *ret_error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_ok;
}

static void check_port(struct cli_doctor *d, const struct alk_config_listener *l)
{
    static const struct {
        int type;
        const char *name, *flag;
    } kinds[] = {{SOCK_DGRAM, "UDP", "u"}, {SOCK_STREAM, "TCP", "t"}};
    bool is_well = true;

    for (size_t i = 0; i < 2; i++) {
        int error = 0;
        if (can_bind(&l->addr, kinds[i].type, &error)) {
            continue;
        }
        is_well = false;
        struct cli_finding *f = cli_found(d, CLI_ILL, "port", "%s %s cannot be listened on: %s",
                                          kinds[i].name, l->text, strerror(error));
        if (error == EADDRINUSE) {
            cli_repair(f, "sudo ss -%slpn 'sport = :%u'    # shows who has it", kinds[i].flag,
                       (unsigned)l->addr.port);
        } else if (error == EACCES) {
            cli_repair(f, "sudo setcap cap_net_bind_service=+ep \"$(command -v alknet)\"");
        } else {
            cli_repair(f, "ip address show    # the address must be one of these");
        }
    }
    if (is_well) {
        (void)cli_found(d, CLI_WELL, "port", "%s is free on UDP and TCP", l->text);
    }
}

/* --- certificates ------------------------------------------------------------- */

static void judge_certificate(struct cli_doctor *d, const char *name, uint64_t from, uint64_t until,
                              bool is_renewed)
{
    uint64_t now = alk_clock_unix();
    char date[ALK_DATE_SIZE];

    alk_date_format(until, date);
    if (now >= until || now < from) {
        cli_repair(cli_found(d, CLI_ILL, "certificate", "%s is %s (until %s)", name,
                             now >= until ? "over" : "not valid yet", date),
                   "sudo certbot renew && alknet reload");
    } else if (until - now < CERT_SOON && !is_renewed) {
        cli_repair(cli_found(d, CLI_WEAK, "certificate", "%s ends soon, on %s", name, date),
                   "sudo certbot renew && alknet reload");
    } else {
        (void)cli_found(d, CLI_WELL, "certificate", "%s is valid until %s", name, date);
    }
}

static void check_certificate(struct cli_doctor *d, const struct alk_config_certificate *c)
{
    struct alk_buf chain, key;
    struct alk_tls_creds *creds = NULL;
    uint8_t sha256[32];
    char why[256] = "";
    uint64_t from = 0, until = 0;

    alk_buf_init(&chain, NULL, PEM_MAX);
    alk_buf_init(&key, NULL, PEM_MAX);
    alk_err err = alk_file_read(c->cert, PEM_MAX, &chain);
    const char *file = err != ALK_OK ? c->cert : c->key;
    if (err == ALK_OK) {
        err = alk_file_read(c->key, PEM_MAX, &key);
    }
    if (err != ALK_OK) {
        cli_repair(
            cli_found(d, CLI_ILL, "certificate", "cannot read %s: %s", file, strerror(errno)),
            "ls -l %s", file);
    } else {
        const struct alk_tls_creds_options o = {.chain_pem = alk_buf_span(&chain),
                                                .key_pem = alk_buf_span(&key)};
        err = alk_tls_creds_new(&o, why, sizeof why, &creds);
        if (err != ALK_OK || !alk_tls_creds_cert(creds, sha256, &from, &until)) {
            (void)cli_found(d, CLI_ILL, "certificate", "%s: %s", c->cert,
                            why[0] != '\0' ? why : alk_err_text(err));
        } else {
            judge_certificate(d, c->cert, from, until, false);
        }
    }
    alk_tls_creds_unref(creds);
    alk_buf_fini(&chain);
    alk_buf_fini_secret(&key);
}

/* --- a node that runs --------------------------------------------------------- */

static void look_at_running(struct cli_doctor *d, struct yyjson_val *out)
{
    struct yyjson_val *cert = yyjson_obj_get(out, "certificate");
    const char *until_text = yyjson_get_str(yyjson_obj_get(cert, "not_after"));
    uint64_t until = 0;
    uint64_t failed = yyjson_get_uint(yyjson_obj_get(out, "reloads_failed"));

    (void)cli_found(d, CLI_WELL, "node", "it runs, as process %llu",
                    (unsigned long long)yyjson_get_uint(yyjson_obj_get(out, "pid")));
    if (failed > 0) {
        cli_repair(cli_found(d, CLI_WEAK, "node", "%llu reloads have failed since it started",
                             (unsigned long long)failed),
                   "alknet config check && alknet reload");
    }
    if (until_text != NULL && alk_date_parse(alk_span_str(until_text), &until) == ALK_OK) {
        judge_certificate(d, "the default certificate", 0, until, true);
    }
}

void cli_doctor_node(struct cli_doctor *d, struct cli_state *state)
{
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    char why[1024] = "";
    bool has_file = state->config_file[0] != '\0';

    (void)cli_found(d, CLI_WELL, "configuration", "%s is right",
                    has_file ? state->config_file : "the built-in one");
    check_data(d, state);
    alk_err err =
        cli_state_ask(state, "node/status", alk_span_str(""), why, sizeof why, &doc, &out);
    if (err == ALK_OK) {
        look_at_running(d, out);
    } else if (err != ALK_E_UNREACHABLE) {
        (void)cli_found(d, CLI_ILL, "node", "it does not answer: %s", why);
    } else {
        for (size_t i = 0; i < state->config->listener_count; i++) {
            check_port(d, &state->config->listeners[i]);
        }
    }
    for (size_t i = 0; i < state->config->certificate_count; i++) {
        check_certificate(d, &state->config->certificates[i]);
    }
    cli_doctor_programs(d, state->config);
    for (size_t i = 0; i < state->config->service_count; i++) {
        const struct alk_config_service *service = &state->config->services[i];
        if (!service->is_custom && strcmp(service->name, "git") == 0) {
            cli_doctor_git(d, alk_conf_get_str(service->conf, "root"));
        }
    }
    yyjson_doc_free(doc);
}
