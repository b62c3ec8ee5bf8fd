/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet secret new|derive|encrypt|decrypt|rotate|unlock-check */
#include "commands.h"
#include "ident.h"
#include "secret_input.h"
#include "secret_key.h"

#include "base/ct.h"
#include "base/text.h"
#include "core/auth/fingerprint.h"
#include "core/store/file.h"
#include "core/tls/key.h"

#include <errno.h>
#include <unistd.h>

#define COMMENT "alknet"
#define TAG     "!encrypted " /* of a value in a configuration */

static int put_err(struct cli *cli, alksec_err err)
{
    return err == ALKSEC_OK ? CLI_OK : cli_secret_fail(cli, err);
}

/* --- new ------------------------------------------------------------------------------ */

static int run_new(struct cli *cli, const struct cli_args *args)
{
    uint64_t words = 24;
    char phrase[ALKSEC_PHRASE_SIZE];

    if (!cli_get_u64(args, "words", 12, 24, cli->err, &words)) {
        return CLI_USAGE;
    }
    alksec_err err = alksec_phrase_new((unsigned)words, NULL, phrase);
    if (err != ALKSEC_OK) {
        return cli_usage(cli->err, args, "%s", alksec_err_text(err));
    }
    (void)fprintf(cli->out, "%s\n", phrase);
    (void)fflush(cli->out);
    alk_wipe(phrase, sizeof phrase);
    if (cli->err_is_tty) {
        (void)fprintf(cli->err, "Write it down on paper. Whoever has it has every key; it is not "
                                "stored anywhere.\n");
    }
    return CLI_OK;
}

/* --- derive --------------------------------------------------------------------------- */

enum purpose { IDENTITY, HOST_KEY, ENCRYPTION, ETHEREUM, BY_PATH };

struct derive {
    enum purpose purpose;
    uint64_t node, version;
    const char *format;
    enum alksec_curve curve;
    struct alksec_path path;
};

static bool is_format(const struct derive *d, const char *name)
{
    return strcmp(d->format, name) == 0;
}

static alksec_err find_path(struct derive *d, const struct cli_args *args)
{
    const char *path = cli_get(args, "path");

    if (path != NULL) {
        return alksec_path_parse(path, strlen(path), &d->path);
    }
    switch (d->purpose) {
    case IDENTITY:
        return alksec_path_identity((uint32_t)d->node, &d->path);
    case HOST_KEY:
        return alksec_path_host_key((uint32_t)d->node, &d->path);
    case ENCRYPTION:
        return alksec_path_encryption((uint32_t)d->version, &d->path);
    case ETHEREUM:
    case BY_PATH:
        alksec_path_ethereum(&d->path);
        return ALKSEC_OK;
    }
    return ALKSEC_E_INVALID;
}

static bool find_purpose(const struct cli_args *args, enum purpose *ret)
{
    static const char *const names[] = {"identity", "host-key", "encryption", "ethereum"};
    const char *given = cli_get(args, "purpose");

    if (given == NULL) {
        *ret = BY_PATH;
        return cli_has(args, "path");
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(given, names[i]) == 0) {
            *ret = (enum purpose)i;
            return !cli_has(args, "path");
        }
    }
    return false;
}

static int read_derive(struct cli *cli, const struct cli_args *args, struct derive *d)
{
    const char *curve = cli_get(args, "curve");

    *d = (struct derive){.version = 2, .format = cli_get(args, "format")};
    if (!find_purpose(args, &d->purpose)) {
        return cli_usage(cli->err, args,
                         "say what for: --purpose identity, host-key, encryption or ethereum, or "
                         "--path PATH");
    }
    if (!cli_get_u64(args, "node", 0, ALKSEC_HARDENED - 1, cli->err, &d->node) ||
        !cli_get_u64(args, "version", 0, UINT32_MAX, cli->err, &d->version)) {
        return CLI_USAGE;
    }
    if (curve != NULL && strcmp(curve, "ed25519") != 0 && strcmp(curve, "secp256k1") != 0) {
        return cli_usage(cli->err, args, "--curve is one of: ed25519, secp256k1");
    }
    bool is_secp = d->purpose == ETHEREUM || (curve != NULL && curve[0] == 's');
    d->curve = is_secp ? ALKSEC_SECP256K1 : ALKSEC_ED25519;
    if (d->format == NULL) {
        d->format = d->purpose == ENCRYPTION ? "key" : "public";
    }
    bool is_key_file = is_format(d, "pem") || is_format(d, "openssh");
    bool is_extended = is_format(d, "xpub") || is_format(d, "xprv");
    if (!is_key_file && !is_extended && !is_format(d, "public") && !is_format(d, "key")) {
        return cli_usage(cli->err, args,
                         "--format is one of: public, pem, openssh, key, xpub, xprv");
    }
    if (is_extended && !is_secp) {
        return cli_usage(cli->err, args, "--format %s is for keys on secp256k1", d->format);
    }
    if (is_key_file && (is_secp || d->purpose == ENCRYPTION)) {
        return cli_usage(cli->err, args, "--format %s is for Ed25519 keys", d->format);
    }
    alksec_err err = find_path(d, args);
    return err == ALKSEC_OK ? CLI_OK : cli_usage(cli->err, args, "%s", alksec_err_text(err));
}

static int print_public(struct cli *cli, const struct derive *d, const struct alksec_key *key)
{
    char hex[2 * ALKSEC_PUBLIC_MAX + 1], path[ALKSEC_PATH_SIZE];
    size_t n;
    const uint8_t *bytes = alksec_key_public(key, &n);
    bool is_ed = d->curve == ALKSEC_ED25519;

    (void)alk_hex(alk_span(bytes, n), hex, sizeof hex);
    alksec_path_print(&d->path, path);
    if (cli->is_json) {
        struct yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
        struct yyjson_mut_val *o = yyjson_mut_obj(doc);
        bool is_ok = yyjson_mut_obj_add_strcpy(doc, o, "path", path) &&
                     yyjson_mut_obj_add_str(doc, o, "curve", is_ed ? "ed25519" : "secp256k1") &&
                     yyjson_mut_obj_add_strcpy(doc, o, "public", hex) &&
                     (!is_ed || cli_put_key(doc, o, bytes, COMMENT));
        return cli_print_json(cli, doc, is_ok ? o : NULL);
    }
    (void)fprintf(cli->out, "%s\n", hex);
    if (is_ed) {
        cli_print_key(cli, bytes, COMMENT);
    }
    (void)fprintf(cli->out, "path         %s\n", path);
    return CLI_OK;
}

static int print_xpub(struct cli *cli, const struct alksec_key *key)
{
    char text[ALKSEC_XKEY_SIZE];
    alksec_err err = alksec_key_print_xpub(key, text);
    if (err != ALKSEC_OK) {
        return cli_secret_fail(cli, err);
    }
    (void)fprintf(cli->out, "%s\n", text);
    return CLI_OK;
}

static alk_err print_xprv(const struct alksec_key *key, struct alk_buf *ret)
{
    char text[ALKSEC_XKEY_SIZE];
    if (alksec_key_print_xprv(key, text) != ALKSEC_OK) {
        return ALK_E_INVALID;
    }
    (void)alk_buf_printf(ret, "%s\n", text);
    alk_wipe(text, sizeof text);
    return ret->err;
}

static alk_err print_private(const struct derive *d, const struct alksec_key *key,
                             struct alk_buf *ret)
{
    const uint8_t *seed = alksec_key_private(key);

    if (is_format(d, "pem")) {
        return alk_key_print_pem(seed, ret);
    }
    if (is_format(d, "xprv")) {
        return print_xprv(key, ret);
    }
    if (is_format(d, "openssh")) {
        return cli_key_print_openssh(seed, COMMENT, ret);
    }
    if (d->purpose == ENCRYPTION) {
        return cli_key_print_encryption((uint32_t)d->version, seed, ret);
    }
    char hex[65];
    (void)alk_hex(alk_span(seed, 32), hex, sizeof hex);
    (void)alk_buf_printf(ret, "%s\n", hex);
    alk_wipe(hex, sizeof hex);
    return ret->err;
}

/* To a new file, 0600, or to standard output when that is no terminal. */
static int write_private(struct cli *cli, const struct cli_args *args, struct alk_span text)
{
    const char *file = cli_get(args, "out");

    if (file != NULL) {
        alk_err err = alk_file_create(file, text, 0600);
        return err == ALK_OK
                   ? CLI_OK
                   : cli_fail(cli, CLI_FAILED, "cannot write %s: %s", file,
                              err == ALK_E_EXISTS ? "it exists already" : alk_err_text(err));
    }
    if (cli->out_is_tty) {
        return cli_usage(cli->err, args,
                         "a private key is not shown on a terminal: say --out FILE");
    }
    (void)fwrite(text.p, 1, text.n, cli->out);
    return CLI_OK;
}

static int run_derive(struct cli *cli, const struct cli_args *args)
{
    struct derive d;
    struct cli_secret s;
    struct alksec_key *key = NULL;
    struct alk_buf text;

    int rc = read_derive(cli, args, &d);
    if (rc != CLI_OK) {
        return rc;
    }
    rc = cli_secret_open(cli, &s);
    if (rc == CLI_OK) {
        rc = cli_secret_unlock(&s, args);
    }
    if (rc == CLI_OK) {
        rc = put_err(cli, alksec_vault_derive(s.vault, 0, d.curve, &d.path, &key));
    }
    if (rc == CLI_OK && is_format(&d, "public")) {
        rc = print_public(cli, &d, key);
    } else if (rc == CLI_OK && is_format(&d, "xpub")) {
        rc = print_xpub(cli, key);
    } else if (rc == CLI_OK) {
        alk_buf_init(&text, NULL, 4096);
        alk_err err =
            alk_buf_reserve(&text, 4096) == NULL ? ALK_E_NOMEM : print_private(&d, key, &text);
        rc = err == ALK_OK ? write_private(cli, args, alk_buf_span(&text))
                           : cli_fail_err(cli, err, NULL);
        alk_buf_fini_secret(&text);
    }
    alksec_key_free(key);
    cli_secret_close(&s);
    return rc;
}

/* --- encrypt, decrypt, rotate ----------------------------------------------------------- */

struct value {
    struct cli_secret s;
    struct alksec_span in, context;
    uint64_t version;
    char *out; /* a secret */
    size_t out_size;
};

static int open_value(struct cli *cli, const struct cli_args *args, const char *prompt,
                      struct value *v)
{
    const char *context = cli_get(args, "context");

    *v = (struct value){.version = 2};
    if (!cli_get_u64(args, "version", 0, UINT32_MAX, cli->err, &v->version)) {
        return CLI_USAGE;
    }
    if (context != NULL) {
        v->context = (struct alksec_span){context, strlen(context)};
    }
    int rc = cli_secret_open(cli, &v->s);
    if (rc == CLI_OK) {
        rc = cli_secret_unlock(&v->s, args);
    }
    if (rc == CLI_OK) {
        rc = cli_secret_read(&v->s, cli_value(args, 0), prompt);
    }
    if (rc == CLI_OK) {
        struct alk_span in = alk_buf_span(&v->s.input);
        v->in = (struct alksec_span){in.p, in.n};
        v->out_size = 2 * in.n + 8192; /* more than a blob of it, or what is in it */
        v->out = calloc(1, v->out_size);
        rc = v->out == NULL ? cli_fail_err(cli, ALK_E_NOMEM, NULL) : CLI_OK;
    }
    return rc;
}

static void close_value(struct value *v)
{
    alk_wipe(v->out, v->out_size);
    free(v->out);
    if (v->s.cli != NULL) {
        cli_secret_close(&v->s);
    }
}

static int run_encrypt(struct cli *cli, const struct cli_args *args)
{
    struct value v;
    int rc = open_value(cli, args, "Value: ", &v);
    if (rc == CLI_OK) {
        rc = put_err(cli, alksec_vault_encrypt(v.s.vault, 0, (uint32_t)v.version, v.in, v.context,
                                               v.out, v.out_size, NULL));
    }
    if (rc == CLI_OK) {
        (void)fprintf(cli->out, "%s\n", v.out);
    }
    close_value(&v);
    return rc;
}

/* Leaves out the tag before a value that comes from a configuration. */
static bool take_tag(struct value *v)
{
    struct alk_span in = alk_span(v->in.p, v->in.n);
    if (!alk_span_starts(in, ALK_LIT(TAG))) {
        return false;
    }
    in = alk_span_tail(in, sizeof TAG - 1);
    v->in = (struct alksec_span){in.p, in.n};
    return true;
}

static int run_decrypt(struct cli *cli, const struct cli_args *args)
{
    struct value v;
    size_t n = 0;
    int rc = open_value(cli, args, "Encrypted value: ", &v);
    if (rc == CLI_OK) {
        (void)take_tag(&v);
        rc = put_err(cli, alksec_vault_decrypt(v.s.vault, 0, v.in, v.context, (uint8_t *)v.out,
                                               v.out_size, &n));
    }
    if (rc == CLI_OK) {
        (void)fwrite(v.out, 1, n, cli->out);
        (void)fputs(cli->out_is_tty ? "\n" : "", cli->out);
    }
    close_value(&v);
    return rc;
}

static int run_rotate(struct cli *cli, const struct cli_args *args)
{
    struct value v;
    bool has_tag = false;
    if (!cli_has(args, "version")) {
        return cli_usage(cli->err, args, "to which version? Say --version N");
    }
    int rc = open_value(cli, args, "Encrypted value: ", &v);
    if (rc == CLI_OK) {
        has_tag = take_tag(&v);
        rc = put_err(cli, alksec_vault_rotate(v.s.vault, 0, (uint32_t)v.version, v.in, v.out,
                                              v.out_size, NULL));
    }
    if (rc == CLI_OK) {
        (void)fprintf(cli->out, "%s%s\n", has_tag ? TAG : "", v.out);
    }
    close_value(&v);
    return rc;
}

/* --- unlock-check ------------------------------------------------------------------------ */

static int run_check(struct cli *cli, const struct cli_args *args)
{
    struct cli_secret s;
    struct alksec_path path;
    struct alksec_key *key = NULL;
    char address[ALK_Z32_ADDRESS_SIZE];
    size_t n;

    int rc = cli_secret_open(cli, &s);
    if (rc == CLI_OK) {
        rc = cli_secret_unlock(&s, args);
    }
    if (rc == CLI_OK) {
        alksec_err err = alksec_path_identity(0, &path);
        err = err == ALKSEC_OK ? alksec_vault_derive(s.vault, 0, ALKSEC_ED25519, &path, &key) : err;
        rc = put_err(cli, err);
    }
    if (rc == CLI_OK) {
        alk_key_address(alksec_key_public(key, &n), address);
        (void)fprintf(cli->out, "the phrase is right; node 0 is %s\n", address);
    }
    alksec_key_free(key);
    cli_secret_close(&s);
    return rc;
}

/* --- the tables --------------------------------------------------------------------------- */

static const struct cli_opt version_opts[] = {
    {.name = "version",
     .letter = 'v',
     .value = "N",
     .help = "Version of the encryption key, 2 or more. Version 1 is reserved. Default: 2."},
    {.name = "context",
     .value = "TEXT",
     .help = "Bind the value to a place, for a value of the configuration its path, as "
             "services.custom[0].exec[1]: elsewhere it does not open."},
    {.name = NULL}};
static const struct cli_opt rotate_opts[] = {
    {.name = "version",
     .letter = 'v',
     .value = "N",
     .help = "Version of the encryption key to change to, 2 or more."},
    {.name = NULL}};
static const struct cli_opt context_opts[] = {
    {.name = "context",
     .value = "TEXT",
     .help = "Refuse a value that is bound to another place. Default: open what there is."},
    {.name = NULL}};
static const struct cli_opt new_opts[] = {
    {.name = "words", .value = "N", .help = "12, 15, 18, 21 or 24 words. Default: 24."},
    {.name = NULL}};
static const struct cli_opt derive_opts[] = {
    {.name = "purpose",
     .value = "PURPOSE",
     .help = "identity (of a node or device), host-key (its SSH host key), encryption, ethereum."},
    {.name = "node",
     .value = "N",
     .help = "Number of the node or device, for identity and host-key. Default: 0, the first."},
    {.name = "version",
     .letter = 'v',
     .value = "N",
     .help = "Version of the encryption key, 2 or more. Default: 2."},
    {.name = "path", .value = "PATH", .help = "Another path, as m/74'/9'/0'; ' or h: hardened."},
    {.name = "curve",
     .value = "CURVE",
     .help = "Of --path: ed25519 or secp256k1. Default: ed25519."},
    {.name = "format",
     .value = "FORMAT",
     .help = "public: the public key. pem, openssh: a file with the private key. key: the private "
             "key in hexadecimal; for encryption a key file with its version. xpub, xprv: the "
             "extended key, on secp256k1. Default: key for encryption, else public."},
    {.name = "out",
     .letter = 'o',
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Write a private key to this new file (mode 0600). Default: standard output, unless "
             "that is a terminal."},
    {.name = NULL}};
static const struct cli_arg file_arg[] = {
    {"FILE", CLI_FILE, .is_optional = true,
     .help = "Where the value is. Default: standard input, behind the phrase's line if the phrase "
             "comes from there; or a prompt without echo."},
    {.name = NULL}};

static const struct cli_command secret_new = {
    .name = "new",
    .summary = "make a phrase and print it, once",
    .purpose = "Prints a new phrase of random words. It is stored nowhere: write it down.",
    .sets = {new_opts},
    .examples = (const struct cli_example[]){{"alknet secret new", "24 words"}, {NULL, NULL}},
    .run = run_new};
static const struct cli_command secret_derive = {
    .name = "derive",
    .summary = "derive a key from the phrase",
    .purpose =
        "Derives a key. The first line is the public key in hexadecimal; then come its other "
        "forms. Private keys are written to files.",
    .sets = {derive_opts, cli_secret_opts, cli_json_opts},
    .examples =
        (const struct cli_example[]){
            {"alknet secret derive --purpose identity --node 1", "the public key of node 1"},
            {"alknet secret derive --purpose encryption --version 2 --out encryption.key",
             "the key file with which a node opens the values of its configuration"},
            {"alknet secret derive --purpose host-key --format openssh --out ssh_host_ed25519_key",
             "an SSH host key"},
            {NULL, NULL}},
    .run = run_derive};
static const struct cli_command secret_encrypt = {
    .name = "encrypt",
    .summary = "encrypt a value",
    .purpose =
        "Encrypts a value that cannot be derived, such as a password of another service, "
        "under a key from the phrase. The result is one line of JSON. In a configuration it stands "
        "behind a tag, as `token: !encrypted {...}`, and must have been made with the full name "
        "of the value as its --context. One line break at the end of the value is dropped.",
    .sets = {version_opts, cli_secret_opts},
    .args = file_arg,
    .examples =
        (const struct cli_example[]){
            {"alknet secret encrypt --context services.x.token", "asks for phrase and value"},
            {"alknet secret encrypt --phrase-file phrase.txt password.txt", "asks for nothing"},
            {NULL, NULL}},
    .run = run_encrypt};
static const struct cli_command secret_decrypt = {
    .name = "decrypt",
    .summary = "decrypt a value",
    .purpose = "Opens an encrypted value, as it was printed or with its tag from a configuration, "
               "with the key of the version that it names. A wrong phrase and a changed value look "
               "the same.",
    .sets = {context_opts, cli_secret_opts},
    .args = file_arg,
    .examples = (const struct cli_example[]){{"alknet secret decrypt value.json", "open one"},
                                             {NULL, NULL}},
    .run = run_decrypt};
static const struct cli_command secret_rotate = {
    .name = "rotate",
    .summary = "encrypt a value under another version",
    .purpose = "Opens an encrypted value and encrypts it again under another version of the key, "
               "with the same context. A tag before it stays.",
    .sets = {rotate_opts, cli_secret_opts},
    .args = file_arg,
    .examples =
        (const struct cli_example[]){
            {"alknet secret rotate --version 3 value.json", "change to version 3"}, {NULL, NULL}},
    .run = run_rotate};
static const struct cli_command secret_check = {
    .name = "unlock-check",
    .summary = "see whether a phrase is right",
    .purpose = "Checks the words and their checksum, with a suggestion for a mistyped word, and "
               "prints the address of node 0, by which a wrong passphrase shows.",
    .sets = {cli_secret_opts},
    .examples = (const struct cli_example[]){{"alknet secret unlock-check", "asks for the phrase"},
                                             {NULL, NULL}},
    .run = run_check};

static const struct cli_command *const secret_commands[] = {
    &secret_new, &secret_derive, &secret_encrypt, &secret_decrypt, &secret_rotate, &secret_check,
    NULL};

const struct cli_command cli_secret_command = {
    .name = "secret",
    .summary = "one phrase, every key",
    .purpose = "From one phrase of words (BIP39) come the keys of all nodes and devices, their SSH "
               "host keys, and the keys that encrypt what cannot be derived. The phrase is read "
               "from a prompt, a private file or standard input, never from an argument or the "
               "environment. It has no place on a server.",
    .subcommands = secret_commands};
