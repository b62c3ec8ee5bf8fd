/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "client.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/text.h"
#include "client_dial.h"
#include "core/auth/fingerprint.h"
#include "core/store/file.h"

#include <errno.h>
#include <unistd.h>

/* --- the node ----------------------------------------------------------------- */

/* A name stands for an address in the client's configuration. */
static int look_up(struct cli_client *c)
{
    const struct alk_conf *conf = NULL;
    char name[sizeof c->node.host], why[256] = "";
    struct cli *cli = c->cli;

    (void)snprintf(name, sizeof name, "%s", c->node.host);
    int rc = c->has_home ? cli_home_config(cli, &c->home, &conf) : CLI_OK;
    if (rc != CLI_OK) {
        return rc;
    }
    const struct alk_conf *address = alk_conf_get(alk_conf_get(conf, "nodes"), name);
    if (address == NULL && c->has_home) {
        alk_conf_unref(conf);
        conf = NULL;
        rc = cli_home_joined(cli, &c->home, &conf);
        if (rc != CLI_OK) {
            return rc;
        }
        address = alk_conf_get(alk_conf_get(conf, "nodes"), name);
    }
    if (address == NULL) {
        rc =
            cli_fail(cli, CLI_USAGE,
                     "there is no node \"%s\" in %s; a host without dots needs a port: %s:%d", name,
                     c->has_home ? c->home.config : "the client's configuration", name, CLI_PORT);
    } else if (cli_node_parse(alk_conf_str(address), &c->node, why, sizeof why) != ALK_OK ||
               c->node.is_name) {
        char where[PATH_MAX + 32];
        alk_conf_where(address, where, sizeof where);
        rc = cli_fail(cli, CLI_FAILED, "%s: the address of \"%s\" is wrong: %s", where, name,
                      c->node.is_name ? "it is a name again" : why);
    }
    alk_conf_unref(conf);
    return rc;
}

static int find_known(struct cli_client *c)
{
    char why[PATH_MAX + 128] = "";
    size_t n = 0;

    if (!c->has_home || c->node.has_key) {
        return CLI_OK;
    }
    alk_err err = alk_known_nodes_find(NULL, c->home.known_nodes, c->node.host_port, &c->known, why,
                                       sizeof why);
    if (err == ALK_E_NOENT) {
        return CLI_OK;
    }
    if (err != ALK_OK) {
        return cli_fail(c->cli, CLI_FAILED, "%s", why);
    }
    c->is_remembered = true;
    struct alk_span key = alk_span_str(c->known.key);
    if (alk_span_starts(key, ALK_LIT("cert:"))) {
        err = alk_unhex(alk_span_tail(key, 5), c->known_cert, sizeof c->known_cert, &n);
        c->options.pinned_cert = c->known_cert;
    } else {
        err = alk_key_from_address(key, c->node.key);
        c->node.has_key = true;
    }
    return err == ALK_OK ? CLI_OK : cli_fail_err(c->cli, err, NULL);
}

static int find_node(struct cli_client *c, const struct cli_args *args, const char *text)
{
    char why[256] = "";
    if (cli_node_parse(text, &c->node, why, sizeof why) != ALK_OK) {
        return cli_usage(c->cli->err, args, "%s: %s", text, why);
    }
    if (c->node.is_name) {
        int rc = look_up(c);
        if (rc != CLI_OK) {
            return rc;
        }
    }
    return find_known(c);
}

/* --- us ----------------------------------------------------------------------- */

static int load_key(struct cli_client *c, const struct cli_args *args)
{
    const char *file = cli_get(args, "identity");
    bool is_new = false;
    alk_err err;

    if (cli_has(args, "anonymous")) {
        return file == NULL
                   ? CLI_OK
                   : cli_usage(c->cli->err, args, "--identity and --anonymous cannot both hold");
    }
    if (file == NULL && !c->has_home) {
        return CLI_OK; /* nowhere to keep a key: come without */
    }
    if (file != NULL) {
        err = alk_key_load(NULL, file, &c->key);
    } else {
        file = c->home.key;
        err = alk_file_make_dirs(c->home.config_dir, 0700);
        if (err == ALK_OK) {
            err = alk_key_load_or_create(NULL, file, &c->key, &is_new);
        }
    }
    if (err != ALK_OK) {
        return cli_fail(c->cli, CLI_FAILED, "cannot use the key %s: %s", file,
                        errno != EACCES && err == ALK_E_PERM
                            ? "it must belong to you and be closed to others (chmod 600)"
                            : alk_err_text(err));
    }
    if (is_new && c->cli->err_is_tty) {
        (void)fprintf(c->cli->err, "made a key for this user: %s\n", file);
    }
    return CLI_OK;
}

/* The first line of standard input, byte by byte: what follows it is not ours. */
static alk_err read_line(struct alk_buf *ret)
{
    uint8_t c = 0;
    while (alk_buf_len(ret) < 1024) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return ALK_E_IO;
        }
        if (n == 0 || c == '\n') {
            return ALK_OK;
        }
        ALK_TRY(alk_buf_put_u8(ret, c));
    }
    return ALK_E_TOO_BIG;
}

static int read_token_file(struct cli_client *c, const char *path)
{
    struct alk_buf text;

    alk_buf_init(&text, NULL, 4096);
    alk_err err = strcmp(path, "-") == 0 ? read_line(&text) : alk_file_read(path, 4096, &text);
    struct alk_span rest = alk_buf_span(&text);
    struct alk_span line = alk_span_trim(alk_span_cut(&rest, '\n'));
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    if (err == ALK_OK && !alk_span_cstr(line, c->token, sizeof c->token)) {
        err = ALK_E_MALFORMED;
    }
    alk_buf_fini_secret(&text);
    return err == ALK_OK ? CLI_OK
                         : cli_fail(c->cli, CLI_FAILED, "cannot read a token from %s: %s", path,
                                    alk_err_text(err));
}

static int load_token(struct cli_client *c, const struct cli_args *args)
{
    const char *token = cli_get(args, "token");
    const char *file = cli_get(args, "token-file");
    const char *from = "--token";
    struct alk_span prefix;

    if (token != NULL && file != NULL) {
        return cli_usage(c->cli->err, args, "--token and --token-file cannot both hold");
    }
    if (file != NULL) {
        int rc = read_token_file(c, file);
        if (rc != CLI_OK) {
            return rc;
        }
        from = file;
    } else {
        if (token == NULL) {
            token = getenv("ALKNET_TOKEN");
            from = "ALKNET_TOKEN";
        }
        if (token == NULL || token[0] == '\0') {
            return CLI_OK;
        }
        if (!alk_span_cstr(alk_span_str(token), c->token, sizeof c->token)) {
            c->token[0] = '?';
        }
    }
    if (!alk_token_parse(alk_span_str(c->token), &prefix)) {
        return cli_fail(c->cli, CLI_USAGE, "%s is not a token: they look like alk_XXXXXXXX_...",
                        from);
    }
    return CLI_OK;
}

/* --- options ------------------------------------------------------------------ */

static int read_options(struct cli_client *c, const struct cli_args *args)
{
    struct alk_dial_options *o = &c->options;
    bool is_tcp = cli_has(args, "tcp"), is_udp = cli_has(args, "udp");

    if (is_tcp && is_udp) {
        return cli_usage(c->cli->err, args, "--tcp and --udp cannot both hold");
    }
    if (!cli_get_time(args, "timeout", c->cli->err, &o->connect_timeout)) {
        return CLI_USAGE;
    }
    o->transports =
        is_tcp ? (unsigned)ALK_TRANSPORT_TLS : (is_udp ? (unsigned)ALK_TRANSPORT_QUIC : 0u);
    o->ca_file = cli_get(args, "ca");
    o->keylog_file = cli_get(args, "keylog");
    o->qlog_dir = cli_get(args, "qlog");
    o->is_insecure = cli_has(args, "insecure");
    if (o->is_insecure) {
        (void)fprintf(c->cli->err, "alknet: warning: --insecure: this may be any node, and anybody "
                                   "on the way can read along\n");
    }
    return CLI_OK;
}

/* Unknown keys, with --trust: accepted and remembered once the connection stands. */
static bool on_trust(void *ctx, const char *host_port, const char *key)
{
    struct cli_client *c = (struct cli_client *)ctx;
    (void)host_port;
    return alk_span_cstr(alk_span_str(key), c->trusted, sizeof c->trusted);
}

static void apply_node(struct cli_client *c, const struct cli_args *args)
{
    struct alk_dial_options *o = &c->options;

    o->host = c->node.host;
    o->port = c->node.port;
    o->alpns = c->alpns;
    o->key = c->key;
    o->cache = c->cache;
    if (o->is_insecure) {
        o->pinned_key = NULL;
        o->pinned_cert = NULL;
        return;
    }
    o->pinned_key = c->node.has_key ? c->node.key : NULL;
    if (cli_has(args, "trust") && !c->node.has_key && !c->is_remembered) {
        o->trust = on_trust;
        o->trust_ctx = c;
    }
}

int cli_client_open(struct cli *cli, const struct cli_args *args, const char *node,
                    const char *alpn, struct cli_client *ret)
{
    *ret = (struct cli_client){.cli = cli, .alpns = {alpn, NULL}};
    ret->options.struct_size = sizeof ret->options;
    alk_list_init(&ret->dials);
    ret->has_home = cli_home_find(&ret->home) == ALK_OK;

    int rc = read_options(ret, args);
    if (rc == CLI_OK) {
        rc = find_node(ret, args, node);
    }
    if (rc == CLI_OK) {
        rc = load_token(ret, args);
    }
    errno = 0;
    if (rc == CLI_OK) {
        rc = load_key(ret, args);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    /* A cache on disk that cannot be had is no reason to fail. */
    if (!ret->has_home || alk_session_cache_new(NULL, ret->home.sessions, &ret->cache) != ALK_OK) {
        ret->cache = NULL;
    }
    apply_node(ret, args);
    alk_err err = alk_loop_new(NULL, &ret->loop);
    return err == ALK_OK ? CLI_OK : cli_fail_err(cli, err, "cannot make an event loop");
}

void cli_client_close(struct cli_client *c)
{
    if (c->loop != NULL) {
        cli_dials_mute(c);
        alk_loop_free(c->loop);
        cli_dials_free(c);
    }
    alk_session_cache_free(c->cache);
    alk_key_free(c->key);
    alk_wipe(c->token, sizeof c->token);
    c->loop = NULL;
    c->cache = NULL;
    c->key = NULL;
}

/* --- messages ----------------------------------------------------------------- */

const char *cli_transport_name(enum alk_transport transport)
{
    return transport == ALK_TRANSPORT_QUIC ? "quic" : "tls";
}

/* What to type, or to add, so that an unknown key is accepted. */
static const char *trust_how(const struct cli_client *c, char *text, size_t size)
{
    (void)snprintf(text, size, "alknet ping %s --trust", c->node.host_port);
    return c->cli->is_git ? text : "--trust";
}

int cli_client_failed(struct cli_client *c, alk_err err, const char *message)
{
    int status = cli_fail_err(c->cli, err, message);
    char how[ALK_KNOWN_HOST_MAX + 32];

    if (err == ALK_E_NOENT) { /* a name without an address */
        return CLI_UNREACHABLE;
    }
    if (err == ALK_E_KEY_CHANGED) {
        char key[ALK_Z32_ADDRESS_SIZE] = "";
        alk_key_address(c->node.key, key);
        (void)fprintf(c->cli->err, "alknet: the expected key is %s (%s)\n",
                      c->options.pinned_cert != NULL ? c->known.key : key,
                      c->is_remembered ? c->home.known_nodes : "from the address");
        if (c->is_remembered) {
            (void)fprintf(c->cli->err,
                          "alknet: if the node was really given a new key, remove the line of %s "
                          "there and use %s\n",
                          c->node.host_port, trust_how(c, how, sizeof how));
        }
    } else if (err == ALK_E_UNTRUSTED && c->options.trust == NULL) {
        (void)fprintf(c->cli->err, "alknet: to accept and remember the key that it shows now: %s\n",
                      trust_how(c, how, sizeof how));
    }
    return status;
}

void cli_client_tell_key(struct cli_client *c)
{
    char key[ALK_Z32_ADDRESS_SIZE] = "";

    if (c->token[0] != '\0') {
        return; /* it is the token that counts */
    }
    if (c->key == NULL) {
        (void)fprintf(c->cli->err, "alknet: no key was shown: leave out --anonymous, or show a "
                                   "token (--token-file FILE)\n");
        return;
    }
    alk_key_address(alk_key_public(c->key), key);
    (void)fprintf(c->cli->err,
                  "alknet: to be let in with this key, on the node: alknet peer add "
                  "NAME %s\n",
                  key);
}

int cli_client_closed(struct cli_client *c, alk_err why, uint64_t code, struct alk_span reason)
{
    char text[128];
    bool is_refused =
        code == ALK_CODE_AUTH || code == ALK_CODE_FORBIDDEN || code == ALK_CODE_REVOKED;

    cli_safe(reason, text, sizeof text);
    if (why == ALK_E_TIMEOUT || why == ALK_E_UNREACHABLE) {
        return cli_fail(c->cli, CLI_UNREACHABLE, "the connection to %s was lost: %s",
                        c->node.host_port, alk_err_text(why));
    }
    if (code == ALK_CODE_NONE && alk_err_class(why) == ALK_CLASS_DENIED) {
        return cli_client_failed(c, why, text);
    }
    if (code == ALK_CODE_NONE && why != ALK_OK) { /* TCP carries no code with a reset */
        return cli_fail(c->cli, CLI_FAILED, "the connection to %s ended: %s", c->node.host_port,
                        alk_err_text(why));
    }
    if (code == ALK_CODE_NONE && text[0] == '\0') { /* over TCP all that an end can say */
        return cli_fail(c->cli, CLI_FAILED, "%s closed the connection", c->node.host_port);
    }
    bool has_text = text[0] != '\0' && strcmp(text, alk_code_name(code)) != 0;
    (void)cli_fail(c->cli, CLI_FAILED, "%s closed the connection: %s (code %llu)%s%s",
                   c->node.host_port, alk_code_name(code), (unsigned long long)code,
                   has_text ? ": " : "", has_text ? text : "");
    if (code == ALK_CODE_AUTH) {
        cli_client_tell_key(c);
    }
    return is_refused ? CLI_REFUSED : CLI_FAILED;
}
