/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git-remote-alknet: what git starts for alknet:// [gitremote-helpers]. */
#include "git_remote.h"

#include "git_config.h"
#include "git_run.h"
#include "git_session.h"

#include <errno.h>
#include <unistd.h>

#define LINE_MAX_GIT ((size_t)8192)
#define CONFIG_MAX   ((size_t)1 << 20)

struct helper {
    struct cli *cli;
    const char *remote, *url_text;
    struct cli_git_url url;
    struct alk_buf config_text; /* config borrows from it */
    struct cli_git_config config;
    char room[CLI_GIT_ROOM]; /* args borrow from it */
    struct cli_args args;
    unsigned verbosity;
};

/* --- lines --------------------------------------------------------------------- */

/* Byte by byte: what follows `connect` is not ours. ALK_END: git has gone. */
static alk_err read_line(struct alk_buf *ret)
{
    uint8_t c = 0;

    alk_buf_clear(ret);
    for (;;) {
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return n == 0 ? ALK_END : ALK_E_IO;
        }
        if (n > 0 && c == '\n') {
            return ALK_OK;
        }
        if (n > 0) {
            ALK_TRY(alk_buf_put_u8(ret, c));
        }
    }
}

static void answer(struct helper *h, const char *text)
{
    (void)fprintf(h->cli->out, "%s\n", text);
    (void)fflush(h->cli->out);
}

/* --- settings ------------------------------------------------------------------ */

/* Only for its options: the words come from git's configuration. */
static const struct cli_command settings_command = {
    .name = "git-remote-alknet", .is_program = true, .sets = {cli_node_opts}};

static int read_config(struct helper *h)
{
    const char *words[CLI_GIT_WORDS_MAX], *protocol = getenv("GIT_PROTOCOL");
    char why[256] = "";
    int status = 0, count = 0;

    alk_err err = cli_git_run(
        (const char *const[]){"config", "-z", "--get-regexp", CLI_GIT_CONFIG_KEYS, NULL},
        (struct alk_span){NULL, 0}, &h->config_text, &status);
    if (err != ALK_OK || status > 1) { /* 1: nothing is set */
        return cli_fail(h->cli, CLI_FAILED, "cannot read git's configuration%s%s",
                        err != ALK_OK ? ": " : "", err != ALK_OK ? alk_err_text(err) : "");
    }
    cli_git_config_read(alk_buf_span(&h->config_text), h->remote, &h->config);
    cli_git_config_protocol(protocol != NULL ? protocol : "", &h->config.version);
    if (cli_git_config_words(&h->config, getenv("HOME"), h->room, words, &count, why, sizeof why) !=
        ALK_OK) {
        return cli_fail(h->cli, CLI_USAGE, "%s", why);
    }
    return cli_parse(&settings_command, count, words, h->cli->err, &h->args);
}

/* --- what git says ------------------------------------------------------------- */

static void set_option(struct helper *h, struct alk_span rest)
{
    struct alk_span name = alk_span_cut(&rest, ' ');
    uint64_t level = 0;

    if (alk_span_is(name, "verbosity") && alk_span_u64(rest, 100, &level)) {
        h->verbosity = (unsigned)level;
        answer(h, "ok");
    } else if (alk_span_is(name, "progress") &&
               (alk_span_is(rest, "true") || alk_span_is(rest, "false"))) {
        h->cli->err_is_tty = alk_span_is(rest, "true");
        answer(h, "ok");
    } else {
        answer(h, "unsupported");
    }
}

static int connect_service(struct helper *h, struct alk_span name)
{
    struct cli_git_session s = {.cli = h->cli,
                                .args = &h->args,
                                .url = &h->url,
                                .url_text = h->url_text,
                                .verbosity = h->verbosity};

    if (!alk_git_service_parse(name, &s.service)) {
        return cli_fail(h->cli, CLI_USAGE, "there is no service %.*s", (int)name.n,
                        (const char *)name.p);
    }
    int rc = read_config(h);
    s.version = h->config.version;
    return rc == CLI_OK ? cli_git_session_run(&s) : rc;
}

static int serve(struct helper *h)
{
    struct alk_buf line;
    int rc = CLI_OK;
    bool is_over = false;

    alk_buf_init(&line, NULL, LINE_MAX_GIT);
    while (!is_over) {
        alk_err err = read_line(&line);
        struct alk_span rest = alk_buf_span(&line);
        struct alk_span word = alk_span_cut(&rest, ' ');
        if (err != ALK_OK) {
            rc = err == ALK_END ? CLI_OK : cli_fail_err(h->cli, err, "cannot read from git");
            break;
        }
        if (alk_span_is(word, "capabilities")) {
            answer(h, "connect\noption\n");
        } else if (alk_span_is(word, "option")) {
            set_option(h, rest);
        } else if (alk_span_is(word, "connect")) {
            rc = connect_service(h, rest);
            is_over = true;
        } else if (word.n > 0) {
            rc = cli_fail(h->cli, CLI_USAGE, "git asks for something unknown: %.*s", (int)word.n,
                          (const char *)word.p);
            is_over = true;
        } else {
            is_over = true; /* an empty line: that was all */
        }
    }
    alk_buf_fini(&line);
    return rc;
}

/* --- the program --------------------------------------------------------------- */

static int refuse_url(struct cli *cli, const char *url, const char *why)
{
    char text[512]; /* it may come from elsewhere, with bytes that terminals obey */
    cli_safe(alk_span_str(url), text, sizeof text);
    return cli_fail(cli, CLI_USAGE, "'%s' is no address of a repository: %s", text, why);
}

static int run(struct cli *cli, const struct cli_args *args)
{
    struct helper h = {.cli = cli, .verbosity = 1};
    char why[256] = "";

    cli->is_git = true;
    h.remote = cli_value(args, 0);
    h.url_text = cli_value(args, args->value_count - 1); /* git leaves out what is the same */
    if (cli_git_url_parse(h.url_text, &h.url, why, sizeof why) != ALK_OK) {
        return refuse_url(cli, h.url_text, why);
    }
    alk_buf_init(&h.config_text, NULL, CONFIG_MAX);
    int rc = serve(&h);
    alk_buf_fini(&h.config_text);
    return rc;
}

int cli_git_main(struct cli *cli, int argc, const char *const *argv)
{
    struct cli_args args;
    if (argc == 3 && argv[2][0] == '-') {
        cli->is_git = true; /* alknet::--help is no option: git would take our help for refs */
        return cli_finish(cli, refuse_url(cli, argv[2], "it begins with a dash"));
    }
    int rc = cli_parse(&cli_git_remote_command, argc - 1, argv + 1, cli->err, &args);

    if (rc == CLI_OK && args.wants_help) {
        cli_help(cli, &args);
    } else if (rc == CLI_OK) {
        rc = run(cli, &args);
    }
    return cli_finish(cli, rc);
}

static const struct cli_arg git_args[] = {
    {"REMOTE", CLI_WORD, .help = "The name of the remote, or its URL."},
    {"URL", CLI_WORD, .is_optional = true, .help = "The URL of the repository."},
    {.name = NULL}};

static const struct cli_section git_sections[] = {
    {"ADDRESSES",
     "`alknet://KEY@HOST:PORT/REPOSITORY`: a node by its key, 52 characters; nothing else is "
     "needed to know that it is the right one. *PORT* may be left out; it is 4433 then.\n\n"
     "`alknet://HOST:PORT/REPOSITORY`: a node with a certificate of the system's authorities, or "
     "with a key that is remembered: `alknet ping HOST:PORT --trust` remembers it.\n\n"
     "`alknet://NAME/REPOSITORY`: a node from `nodes:` in the client's configuration, or one that "
     "`alknet join` has remembered."},
    {"CONFIGURATION",
     "In git's configuration `alknet.NAME` holds for all remotes, `remote.REMOTE.alknetNAME` for "
     "one and wins, as in `git config remote.origin.alknetIdentity ~/.ssh/id_ed25519`.\n\n"
     "`identity`: the Ed25519 key to present (OpenSSH or PEM, without passphrase) instead of the "
     "client's own.\n\n"
     "`anonymous`: present no key.\n\n"
     "`tokenFile`: a file with a token on its first line.\n\n"
     "`transport`: `udp` or `tcp` alone, or `any`, which is the default.\n\n"
     "`trust`: when the node's key is unknown, remember it and go on. A key that has changed is "
     "never accepted this way.\n\n"
     "`ca`: check the node's certificate against the authorities in this file.\n\n"
     "`timeout`: give up when the node has not answered by then, as in `10s`.\n\n"
     "`protocol.version` is git's own. Submodules with such addresses are fetched only with "
     "`protocol.alknet.allow` set to `always`, as git wants it of every transport that it does "
     "not bring along."},
    {"CREDENTIALS",
     "The client's own key is presented on every connection (see `alknet id --client`). A token is "
     "sent instead when there is one in `ALKNET_TOKEN` or in `tokenFile`. When the node asks for "
     "more, git's credential helpers are asked, and then the user: for the password of the user "
     "`token` at the node, which is a token as `alknet token new` prints it."},
    {NULL, NULL}};

const struct cli_command cli_git_remote_command = {
    .name = "git-remote-alknet",
    .summary = "repositories on an alknet node, for git",
    .purpose =
        "Git starts this program for every address that begins with alknet://, and speaks its own "
        "protocol through it: clone, fetch, push, ls-remote, archive --remote. It is not for "
        "people to start.\n\n"
        "The connection is QUIC or TLS over TCP, whichever answers first. A session that was there "
        "before is resumed, and a fetch is then asked for in the first packet of all.",
    .is_program = true,
    .args = git_args,
    .sections = git_sections,
    .examples =
        (const struct cli_example[]){
            {"git clone alknet://KEY@home.example.org/team/site", "clone from a node by its key"},
            {"git remote add origin alknet://mybox/notes", "add a remote at a node with a name"},
            {"git -c alknet.transport=tcp fetch", "over TCP, once"},
            {NULL, NULL}},
    .run = run};
