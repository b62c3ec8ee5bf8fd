/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sealed values as JSON. */
#include "blob.h"

#include <sodium.h>
#include <string.h>
#include <unistr.h>
#include <yyjson.h>

#define SALT    ALKSEC_BLOB_SALT
#define MEMBERS 160 /* bytes of the text besides data and context, and more */
#define BASE64  sodium_base64_VARIANT_ORIGINAL

static void *doc_alloc(void *ctx, size_t n)
{
    return alksec_alloc((const struct alksec_mem *)ctx, n);
}

static void *doc_resize(void *ctx, void *p, size_t old_n, size_t n)
{
    (void)old_n;
    return alksec_resize((const struct alksec_mem *)ctx, p, n);
}

static void doc_release(void *ctx, void *p)
{
    alksec_free((const struct alksec_mem *)ctx, p);
}

static yyjson_alc doc_memory(const struct alksec_mem *mem)
{
    return (yyjson_alc){doc_alloc, doc_resize, doc_release, (void *)(uintptr_t)mem};
}

/* --- reading ------------------------------------------------------------------------ */

static bool read_bytes(yyjson_val *val, uint8_t *ret, size_t n)
{
    size_t got = 0;
    const char *text = yyjson_get_str(val);
    return text != NULL &&
           sodium_base642bin(ret, n, text, yyjson_get_len(val), NULL, &got, NULL, BASE64) == 0 &&
           got == n;
}

static alksec_err read_version(yyjson_val *val, uint32_t *ret)
{
    if (!yyjson_is_uint(val) || yyjson_get_uint(val) > UINT32_MAX) {
        return ALKSEC_E_FORMAT;
    }
    struct alksec_path path;
    *ret = (uint32_t)yyjson_get_uint(val);
    alksec_err err = alksec_path_encryption(*ret, &path);
    return err == ALKSEC_E_INVALID ? ALKSEC_E_FORMAT : err;
}

static bool read_context(yyjson_val *val, struct alksec_bytes *ret)
{
    if (val == NULL) {
        return true;
    }
    *ret = (struct alksec_bytes){(const uint8_t *)yyjson_get_str(val), yyjson_get_len(val)};
    return ret->p != NULL && ret->n > 0 && ret->n <= ALKSEC_CONTEXT_MAX;
}

/* Each member once, and no other: one that is not authenticated must not be
 * believed by anybody. */
static alksec_err read_members(yyjson_val *root, struct alksec_blob *ret)
{
    static const char *const names[] = {"key_version", "salt", "iv", "data", "context"};
    enum { COUNT = sizeof names / sizeof names[0] };
    yyjson_val *found[COUNT] = {NULL}, *key;
    yyjson_obj_iter members;

    if (!yyjson_obj_iter_init(root, &members)) {
        return ALKSEC_E_FORMAT;
    }
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        size_t i = 0;
        while (i < COUNT && !yyjson_equals_str(key, names[i])) {
            i++;
        }
        if (i == COUNT || found[i] != NULL) {
            return ALKSEC_E_FORMAT;
        }
        found[i] = yyjson_obj_iter_get_val(key);
    }
    ret->data = yyjson_get_str(found[3]);
    ret->data_n = yyjson_get_len(found[3]);
    if (ret->data == NULL || !read_bytes(found[1], ret->salt, SALT) ||
        !read_bytes(found[2], ret->iv, ALKSEC_GCM_IV) || !read_context(found[4], &ret->context)) {
        return ALKSEC_E_FORMAT;
    }
    return read_version(found[0], &ret->version);
}

alksec_err alksec_blob_read(const struct alksec_mem *mem, struct alksec_span text,
                            struct alksec_blob *ret)
{
    yyjson_alc memory = doc_memory(mem);
    yyjson_read_err why;

    *ret = (struct alksec_blob){.doc = NULL};
    if (text.n == 0) {
        return ALKSEC_E_FORMAT;
    }
    if (text.n > ALKSEC_BLOB_MAX) {
        return ALKSEC_E_TOO_BIG;
    }
    /* Read only: without YYJSON_READ_INSITU the text is copied. */
    ret->doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, &memory, &why);
    if (ret->doc == NULL) {
        return why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ALKSEC_E_NOMEM : ALKSEC_E_FORMAT;
    }
    return read_members(yyjson_doc_get_root(ret->doc), ret);
}

void alksec_blob_fini(struct alksec_blob *blob)
{
    yyjson_doc_free(blob->doc);
    blob->doc = NULL;
}

alksec_err alksec_blob_version(const struct alksec_mem *mem, struct alksec_span text, uint32_t *ret)
{
    struct alksec_blob blob;
    alksec_err err = alksec_blob_read(mem, text, &blob);
    if (err == ALKSEC_OK) {
        *ret = blob.version;
    }
    alksec_blob_fini(&blob);
    return err;
}

static bool is_context(const struct alksec_blob *blob, struct alksec_span want)
{
    return want.n == 0 ||
           (want.n == blob->context.n && memcmp(want.p, blob->context.p, want.n) == 0); /* public */
}

/* The ciphertext goes to memory of its own: in place of ret it could be larger. */
static alksec_err open_blob(const struct alksec_mem *mem, const struct alksec_blob *blob,
                            const uint8_t key[ALKSEC_KEY], uint8_t *ret, size_t ret_size,
                            size_t *ret_n)
{
    size_t room = blob->data_n / 4 * 3 + 3, n = 0;
    uint8_t *data = (uint8_t *)alksec_alloc(mem, room);

    if (data == NULL) {
        return ALKSEC_E_NOMEM;
    }
    alksec_err err = ALKSEC_E_FORMAT;
    if (sodium_base642bin(data, room, blob->data, blob->data_n, NULL, &n, NULL, BASE64) == 0) {
        const struct alksec_gcm g = {
            .key = {key, ALKSEC_KEY}, .iv = {blob->iv, ALKSEC_GCM_IV}, .aad = blob->context};
        bool fits = n < ALKSEC_GCM_TAG || n - ALKSEC_GCM_TAG <= ret_size;
        err = fits ? alksec_gcm_open(&g, (struct alksec_bytes){data, n}, ret) : ALKSEC_E_TOO_BIG;
    }
    if (err == ALKSEC_OK) {
        *ret_n = n - ALKSEC_GCM_TAG;
    }
    alksec_free(mem, data);
    return err;
}

alksec_err alksec_blob_unseal(const struct alksec_mem *mem, const struct alksec_blob *blob,
                              const uint8_t key[ALKSEC_KEY], struct alksec_span context,
                              uint8_t *ret, size_t ret_size, size_t *ret_n)
{
    if (!is_context(blob, context)) {
        return ALKSEC_E_OPEN;
    }
    alksec_err err = open_blob(mem, blob, key, ret, ret_size, ret_n);
    alksec_scrub_stack();
    return err;
}

alksec_err alksec_blob_open(const struct alksec_mem *mem, struct alksec_span text,
                            const uint8_t key[ALKSEC_KEY], struct alksec_span context, uint8_t *ret,
                            size_t ret_size, size_t *ret_n)
{
    struct alksec_blob blob;

    alksec_err err = alksec_blob_read(mem, text, &blob);
    if (err == ALKSEC_OK) {
        err = alksec_blob_unseal(mem, &blob, key, context, ret, ret_size, ret_n);
    }
    alksec_blob_fini(&blob);
    return err;
}

/* --- writing ------------------------------------------------------------------------ */

size_t alksec_blob_size(size_t plain_n, size_t context_n)
{
    /* A byte of the context may become \u001f. */
    return plain_n > ALKSEC_PLAIN_MAX || context_n > ALKSEC_CONTEXT_MAX
               ? 0
               : MEMBERS + sodium_base64_ENCODED_LEN(plain_n + ALKSEC_GCM_TAG, BASE64) +
                     6 * context_n;
}

static bool put_members(yyjson_mut_doc *doc, const struct alksec_blob *b)
{
    char salt[sodium_base64_ENCODED_LEN(SALT, BASE64)];
    char iv[sodium_base64_ENCODED_LEN(ALKSEC_GCM_IV, BASE64)];
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    (void)sodium_bin2base64(salt, sizeof salt, b->salt, SALT, BASE64);
    (void)sodium_bin2base64(iv, sizeof iv, b->iv, ALKSEC_GCM_IV, BASE64);
    yyjson_mut_doc_set_root(doc, root);
    return yyjson_mut_obj_add_uint(doc, root, "key_version", b->version) &&
           yyjson_mut_obj_add_strcpy(doc, root, "salt", salt) &&
           yyjson_mut_obj_add_strcpy(doc, root, "iv", iv) &&
           yyjson_mut_obj_add_strn(doc, root, "data", b->data, b->data_n) &&
           (b->context.n == 0 || yyjson_mut_obj_add_strn(doc, root, "context",
                                                         (const char *)b->context.p, b->context.n));
}

static alksec_err write_blob(const struct alksec_mem *mem, const struct alksec_blob *b, char *ret,
                             size_t ret_size, size_t *ret_n)
{
    yyjson_alc memory = doc_memory(mem);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&memory);
    alksec_err err = ALKSEC_E_NOMEM;
    char *text = NULL;
    size_t n = 0;

    if (doc != NULL && put_members(doc, b)) {
        text = yyjson_mut_write_opts(doc, 0, &memory, &n, NULL);
    }
    if (text != NULL) {
        err = n < ret_size ? ALKSEC_OK : ALKSEC_E_TOO_BIG;
    }
    if (err == ALKSEC_OK) {
        memcpy(ret, text, n + 1);
    }
    if (err == ALKSEC_OK && ret_n != NULL) {
        *ret_n = n;
    }
    alksec_free(mem, text);
    yyjson_mut_doc_free(doc);
    return err;
}

static alksec_err check_seal(uint32_t version, struct alksec_span plain, struct alksec_span context,
                             size_t ret_size)
{
    struct alksec_path path;
    size_t size = alksec_blob_size(plain.n, context.n);

    if (size == 0 || ret_size < size) {
        return ALKSEC_E_TOO_BIG;
    }
    if (context.n > 0 && u8_check((const uint8_t *)context.p, context.n) != NULL) {
        return ALKSEC_E_TEXT;
    }
    return alksec_path_encryption(version, &path);
}

alksec_err alksec_blob_seal(const struct alksec_mem *mem, const struct alksec_random *random,
                            uint32_t version, const uint8_t key[ALKSEC_KEY],
                            struct alksec_span plain, struct alksec_span context, char *ret,
                            size_t ret_size, size_t *ret_n)
{
    struct alksec_blob b = {.version = version, .context = {(const uint8_t *)context.p, context.n}};
    size_t sealed_n = plain.n + ALKSEC_GCM_TAG;
    char *text = NULL;

    alksec_err err = check_seal(version, plain, context, ret_size);
    if (err == ALKSEC_OK) {
        err = alksec_ready();
    }
    if (err != ALKSEC_OK) {
        return err;
    }
    size_t text_size = sodium_base64_ENCODED_LEN(sealed_n, BASE64);
    uint8_t *sealed = (uint8_t *)alksec_alloc(mem, sealed_n + text_size);
    if (sealed == NULL) {
        return ALKSEC_E_NOMEM;
    }
    text = (char *)sealed + sealed_n;
    alksec_random_fill(random, b.salt, SALT);
    alksec_random_fill(random, b.iv, ALKSEC_GCM_IV);
    const struct alksec_gcm g = {
        .key = {key, ALKSEC_KEY}, .iv = {b.iv, ALKSEC_GCM_IV}, .aad = b.context};
    err = alksec_gcm_seal(&g, (struct alksec_bytes){(const uint8_t *)plain.p, plain.n}, sealed);
    if (err == ALKSEC_OK) {
        b.data = sodium_bin2base64(text, text_size, sealed, sealed_n, BASE64);
        b.data_n = strlen(text);
        err = write_blob(mem, &b, ret, ret_size, ret_n);
    }
    alksec_free(mem, sealed);
    alksec_scrub_stack();
    return err;
}
