/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "keyring.h"

#include "alknet-secret/secret.h"
#include "base/ct.h"
#include "core/io/path.h"
#include "core/store/file.h"
#include "secret_key.h"
#include "state.h"

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

const struct cli_opt cli_key_opts[] = {
    {.name = "key-file",
     .letter = 'k',
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Open the encrypted values of the configuration with the keys in this file, which "
             "must be private (mode 0600); `alknet secret derive --purpose encryption` writes "
             "one. Default: " CLI_KEY_FILE " among the credentials that systemd passes, or in the "
             "data directory."},
    {.name = NULL}};

struct cli_keyring {
    struct cli *cli;
    const struct cli_args *args;
    struct alk_conf_opener opener;
    char path[PATH_MAX];           /* "": not looked for yet */
    bool is_named;                 /* by --key-file */
    struct cli_keys *keys, *fresh; /* two of them, in one piece of locked memory; owns */
};

/* --- memory ----------------------------------------------------------------------- */

static struct cli_keys *keys_new(void)
{
    size_t n = 2 * sizeof(struct cli_keys);
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    /* As far as the system allows. The helper that starts programs is a fork. */
    (void)mlock(p, n);
    (void)madvise(p, n, MADV_DONTDUMP);
    (void)madvise(p, n, MADV_WIPEONFORK);
    return (struct cli_keys *)p;
}

static void keys_free(struct cli_keys *keys)
{
    if (keys != NULL) {
        alk_wipe(keys, 2 * sizeof *keys);
        (void)munmap(keys, 2 * sizeof *keys);
    }
}

static void *locked_alloc(void *ctx, size_t n)
{
    (void)ctx;
    return sodium_malloc(n);
}

/* The text is read into room that was there before: growing never happens. */
static void *locked_resize(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return p == NULL ? sodium_malloc(n) : NULL;
}

static void locked_release(void *ctx, void *p)
{
    (void)ctx;
    sodium_free(p); /* wipes */
}

/* --- the file --------------------------------------------------------------------- */

static bool join(const char *dir, char *ret)
{
    return alk_file_join(dir, CLI_KEY_FILE, ret, PATH_MAX);
}

/* Where the keys are: what was named; a credential; the data directory. */
static bool find_file(struct cli_keyring *r)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    struct cli_state state;

    if (r->path[0] != '\0') {
        return true;
    }
    if (credentials != NULL && credentials[0] == '/' && join(credentials, r->path) &&
        access(r->path, F_OK) == 0) {
        return true;
    }
    r->path[0] = '\0';
    bool is_found =
        cli_state_where(r->cli, r->args, &state) && join(state.fixed->data_dir, r->path);
    cli_state_close(&state);
    if (!is_found) {
        r->path[0] = '\0';
    }
    return is_found;
}

static alk_err explain(struct cli_keyring *r, alk_err err, char *why, size_t why_size)
{
    if (err == ALK_E_NOENT) {
        (void)snprintf(why, why_size,
                       "there is no key file %s; write it with: alknet secret derive --purpose "
                       "encryption --out FILE",
                       r->path);
    }
    return err;
}

/* Reads the file; the keys of the last time stay when that fails. */
static alk_err read_keys(struct cli_keyring *r, char *why, size_t why_size)
{
    const struct alk_mem locked = {locked_alloc, locked_resize, locked_release, NULL};
    char said[256] = "";
    struct alk_buf text;

    if (!find_file(r)) {
        (void)snprintf(why, why_size, "no key file: say --key-file FILE");
        return ALK_E_NOENT;
    }
    alk_buf_init(&text, &locked, CLI_KEY_FILE_MAX + 1);
    alk_err err = alk_buf_reserve(&text, CLI_KEY_FILE_MAX + 1) == NULL ? ALK_E_NOMEM : ALK_OK;
    if (err == ALK_OK) {
        errno = 0;
        err = alk_file_read_private(r->path, CLI_KEY_FILE_MAX, &text, why, why_size);
    }
    bool is_denied = err == ALK_E_PERM && errno == EACCES;
    if (err == ALK_OK) {
        err = cli_keys_parse(alk_buf_span(&text), r->fresh, said, sizeof said);
        (void)snprintf(why, why_size, "the key file %s: %s", r->path, said);
    }
    alk_buf_fini(&text);
    if (err == ALK_OK) {
        struct cli_keys *before = r->keys;
        r->keys = r->fresh;
        r->fresh = before;
    }
    alk_wipe(r->fresh, sizeof *r->fresh);
    if (is_denied && r->keys->count > 0) {
        return ALK_OK; /* we were root when it was read */
    }
    return explain(r, err, why, why_size);
}

/* --- opening ---------------------------------------------------------------------- */

static alk_err say(alksec_err err, const char *path, char *why, size_t why_size)
{
    if (err == ALKSEC_E_NOMEM) {
        return ALK_E_NOMEM;
    }
    if (err == ALKSEC_E_OPEN) {
        /* One sentence for another key, a change and another place. */
        (void)snprintf(why, why_size,
                       "the key is another one, or it was changed, or it was encrypted without "
                       "--context '%.100s'",
                       path);
    } else {
        (void)snprintf(why, why_size, "%s (--context here is '%.100s')", alksec_err_text(err),
                       path);
    }
    return ALK_E_CRYPTO;
}

static alk_err open_with(const uint8_t *key, const char *path, struct alk_span json,
                         struct alk_buf *ret, char *why, size_t why_size)
{
    size_t room = alk_buf_room(ret) < json.n ? alk_buf_room(ret) : json.n, n = 0;
    uint8_t *plain = alk_buf_reserve(ret, room);

    if (plain == NULL) {
        return ALK_E_NOMEM;
    }
    alksec_err err = alksec_blob_open(NULL, (struct alksec_span){json.p, json.n}, key,
                                      (struct alksec_span){path, strlen(path)}, plain, room, &n);
    if (err != ALKSEC_OK) {
        return say(err, path, why, why_size);
    }
    alk_buf_added(ret, n);
    return ALK_OK;
}

static alk_err open_value(void *ctx, const char *path, struct alk_span json, struct alk_buf *ret,
                          char *why, size_t why_size)
{
    struct cli_keyring *r = ctx;
    uint32_t version = 0;

    alksec_err shape = alksec_blob_version(NULL, (struct alksec_span){json.p, json.n}, &version);
    if (shape != ALKSEC_OK) {
        return say(shape, path, why, why_size);
    }
    ALK_TRY(read_keys(r, why, why_size));
    const uint8_t *key = cli_keys_find(r->keys, version);
    if (key == NULL) {
        (void)snprintf(why, why_size, "the key file %s has no key of version %u", r->path, version);
        return ALK_E_CRYPTO;
    }
    return open_with(key, path, json, ret, why, why_size);
}

/* --- the ring --------------------------------------------------------------------- */

int cli_keyring_new(struct cli *cli, const struct cli_args *args, struct cli_keyring **ret)
{
    const char *named = cli_get(args, "key-file");
    struct cli_keyring *r = calloc(1, sizeof *r);

    if (r == NULL || sodium_init() < 0 || (r->keys = keys_new()) == NULL) {
        free(r);
        return cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    r->fresh = r->keys + 1;
    r->cli = cli;
    r->args = args;
    r->opener = (struct alk_conf_opener){open_value, r};
    r->is_named = named != NULL;
    if (named != NULL && !alk_path_absolute(named, r->path, sizeof r->path)) {
        cli_keyring_free(r);
        return cli_fail(cli, CLI_FAILED, "the path %s is too long", named);
    }
    *ret = r;
    return CLI_OK;
}

void cli_keyring_free(struct cli_keyring *r)
{
    if (r != NULL) {
        keys_free(r->keys < r->fresh ? r->keys : r->fresh);
        free(r);
    }
}

int cli_keyring_load(struct cli_keyring *r)
{
    char why[ALK_CONF_WHY] = "";
    alk_err err = read_keys(r, why, sizeof why);
    return err == ALK_OK || !r->is_named ? CLI_OK : cli_fail_err(r->cli, err, why);
}

const struct alk_conf_opener *cli_keyring_opener(struct cli_keyring *r)
{
    return &r->opener;
}
