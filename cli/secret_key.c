/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_key.h"

#include "base/ct.h"
#include "base/span.h"
#include "base/text.h"
#include "base/wire.h"
#include "core/tls/key.h"

#define WORD         "alknet-encryption-key"
#define SSH_LINE     70
#define SSH_BLOB_MAX 512
#define SSH_BLOCK    8

/* --- OpenSSH: PROTOCOL.key of openssh-portable --------------------------------------- */

static struct alk_span ssh_private(const uint8_t seed[static 32], const uint8_t public_key[32],
                                   const char *comment, uint8_t *room, size_t size)
{
    struct alk_wr w = alk_wr(room, size);
    uint8_t pair[64];

    memcpy(pair, seed, 32);
    memcpy(pair + 32, public_key, 32);
    /* The same number twice tells of a wrong password; there is none. */
    alk_wr_bytes(&w, alk_span(public_key, 4));
    alk_wr_bytes(&w, alk_span(public_key, 4));
    alk_wr_block32(&w, ALK_LIT("ssh-ed25519"));
    alk_wr_block32(&w, alk_span(public_key, 32));
    alk_wr_block32(&w, alk_span(pair, sizeof pair));
    alk_wr_block32(&w, alk_span_str(comment));
    for (uint8_t i = 1; alk_wr_span(&w).n % SSH_BLOCK != 0; i++) {
        alk_wr_u8(&w, i);
    }
    alk_wipe(pair, sizeof pair);
    return alk_wr_span(&w);
}

alk_err cli_key_print_openssh(const uint8_t seed[static 32], const char *comment,
                              struct alk_buf *ret)
{
    uint8_t public_key[32], public_blob[51], private_blob[SSH_BLOB_MAX], file[2 * SSH_BLOB_MAX];
    char text[ALK_BASE64_SIZE(sizeof file)];
    struct alk_wr p = alk_wr(public_blob, sizeof public_blob), w = alk_wr(file, sizeof file);

    if (strlen(comment) > 128) {
        return ALK_E_INVALID;
    }
    alk_key_public_of(seed, public_key);
    alk_wr_block32(&p, ALK_LIT("ssh-ed25519"));
    alk_wr_block32(&p, alk_span(public_key, 32));
    alk_wr_bytes(&w, alk_span("openssh-key-v1", 15)); /* with its zero */
    alk_wr_block32(&w, ALK_LIT("none"));              /* cipher */
    alk_wr_block32(&w, ALK_LIT("none"));              /* key derivation */
    alk_wr_block32(&w, ALK_LIT(""));
    alk_wr_u32(&w, 1);
    alk_wr_block32(&w, alk_wr_span(&p));
    alk_wr_block32(&w, ssh_private(seed, public_key, comment, private_blob, sizeof private_blob));
    (void)alk_base64(alk_wr_span(&w), text, sizeof text);
    (void)alk_buf_put_str(ret, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (size_t at = 0, n = strlen(text); at < n; at += SSH_LINE) {
        (void)alk_buf_put(ret, alk_span(text + at, n - at < SSH_LINE ? n - at : SSH_LINE));
        (void)alk_buf_put_str(ret, "\n");
    }
    (void)alk_buf_put_str(ret, "-----END OPENSSH PRIVATE KEY-----\n");
    alk_wipe(private_blob, sizeof private_blob);
    alk_wipe(file, sizeof file);
    alk_wipe(text, sizeof text);
    return ret->err;
}

/* --- encryption keys ------------------------------------------------------------------- */

alk_err cli_key_print_encryption(uint32_t version, const uint8_t key[static 32],
                                 struct alk_buf *ret)
{
    char text[ALK_BASE64_SIZE(32)];
    (void)alk_base64(alk_span(key, 32), text, sizeof text);
    (void)alk_buf_printf(ret, WORD " %u %s\n", version, text);
    alk_wipe(text, sizeof text);
    return ret->err;
}

static alk_err refuse(size_t line, const char *text, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "line %zu %s", line, text);
    return ALK_E_MALFORMED;
}

static alk_err parse_line(struct alk_span text, size_t line, struct cli_keys *ret, char *why,
                          size_t why_size)
{
    struct alksec_path path;
    uint64_t version = 0;
    size_t n = 0;
    struct alk_span word = alk_span_cut(&text, ' '), number = alk_span_cut(&text, ' ');
    bool is_number = alk_span_u64(number, UINT32_MAX, &version) && number.p[0] != '0';

    if (!alk_span_is(word, WORD) || !is_number || text.n != ALK_BASE64_SIZE(32) - 1) {
        return refuse(line, "is not: " WORD " VERSION KEY", why, why_size);
    }
    if (alksec_path_encryption((uint32_t)version, &path) != ALKSEC_OK) {
        return refuse(line, "has a version that no key can have", why, why_size);
    }
    if (cli_keys_find(ret, (uint32_t)version) != NULL) {
        return refuse(line, "has a version that stands there twice", why, why_size);
    }
    if (ret->count == CLI_KEYS_MAX) {
        return refuse(line, "is one key too many", why, why_size);
    }
    if (alk_unbase64(text, ret->keys[ret->count].key, 32, &n) != ALK_OK || n != 32) {
        return refuse(line, "has no key in base64", why, why_size);
    }
    ret->keys[ret->count++].version = (uint32_t)version;
    return ALK_OK;
}

alk_err cli_keys_parse(struct alk_span text, struct cli_keys *ret, char *why, size_t why_size)
{
    alk_err err = ALK_OK;

    alk_wipe(ret, sizeof *ret);
    for (size_t line = 1; text.n > 0 && err == ALK_OK; line++) {
        struct alk_span one = alk_span_cut(&text, '\n');
        if (one.n > 0 && one.p[one.n - 1] == '\r') {
            one.n--;
        }
        if (one.n > 0 && one.p[0] != '#') {
            err = parse_line(one, line, ret, why, why_size);
        }
    }
    if (err == ALK_OK && ret->count == 0) {
        (void)snprintf(why, why_size, "there is no key in it");
        err = ALK_E_MALFORMED;
    }
    if (err != ALK_OK) {
        alk_wipe(ret, sizeof *ret);
    }
    return err;
}

const uint8_t *cli_keys_find(const struct cli_keys *keys, uint32_t version)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].version == version) {
            return keys->keys[i].key;
        }
    }
    return NULL;
}
