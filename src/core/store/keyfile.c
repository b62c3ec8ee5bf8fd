/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Key files of clients: alk_key_load of alknet/client.h. */
#include "base/ct.h"
#include "base/mem.h"
#include "core/io/rand.h"
#include "core/store/file.h"
#include "core/tls/key.h"

static alk_err parse(const struct alk_mem *mem, struct alk_span text, struct alk_key **ret)
{
    uint8_t seed[ALK_ED25519_SEED];
    ALK_TRY(alk_key_parse_seed(text, seed));
    alk_err err = alk_key_new(mem, seed, ret);
    alk_wipe(seed, sizeof seed);
    return err;
}

alk_err alk_key_load(const struct alk_mem *mem, const char *path, struct alk_key **ret)
{
    struct alk_buf text;
    alk_buf_init(&text, mem, ALK_KEY_FILE_MAX);
    alk_err err = alk_file_read_private(path, ALK_KEY_FILE_MAX, &text, NULL, 0);
    if (err == ALK_OK) {
        err = parse(mem, alk_buf_span(&text), ret);
    }
    alk_buf_fini_secret(&text);
    return err;
}

static alk_err make_parent(const struct alk_mem *mem, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return ALK_OK;
    }
    char *dir = alk_strdup_span(mem, alk_span(path, (size_t)(slash - path)));
    alk_err err = dir == NULL ? ALK_E_NOMEM : alk_file_make_dirs(dir, 0700);
    alk_free(mem, dir);
    return err;
}

static alk_err create(const struct alk_mem *mem, const char *path, struct alk_key **ret)
{
    uint8_t seed[ALK_ED25519_SEED];
    struct alk_rand rand = alk_rand_system();
    struct alk_buf pem;
    ALK_TRY(make_parent(mem, path));
    alk_buf_init(&pem, mem, ALK_KEY_FILE_MAX);
    alk_rand_fill(&rand, seed, sizeof seed);
    alk_err err = alk_key_print_pem(seed, &pem);
    if (err == ALK_OK) {
        err = alk_file_create(path, alk_buf_span(&pem), 0600);
    }
    if (err == ALK_OK) {
        err = alk_key_new(mem, seed, ret);
    }
    alk_wipe(seed, sizeof seed);
    alk_buf_fini_secret(&pem);
    return err;
}

alk_err alk_key_load_or_create(const struct alk_mem *mem, const char *path, struct alk_key **ret,
                               bool *ret_is_new)
{
    bool is_new = false;
    alk_err err = alk_key_load(mem, path, ret);
    if (err == ALK_E_NOENT) {
        err = create(mem, path, ret);
        is_new = err == ALK_OK;
        if (err == ALK_E_EXISTS) { /* another process was faster */
            err = alk_key_load(mem, path, ret);
        }
    }
    if (err == ALK_OK) {
        if (ret_is_new != NULL) {
            *ret_is_new = is_new;
        }
    }
    return err;
}
