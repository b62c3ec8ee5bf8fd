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

/* The next word of a line; empty at its end. */
static struct alk_span take_word(struct alk_span *line)
{
    size_t from = 0, to;
    while (from < line->n && (line->p[from] == ' ' || line->p[from] == '\r')) {
        from++;
    }
    for (to = from; to < line->n && line->p[to] != ' ' && line->p[to] != '\r';) {
        to++;
    }
    struct alk_span word = {line->p + from, to - from};
    *line = alk_span_tail(*line, to);
    return word;
}

static alk_err read_line(struct alk_span line, uint32_t version, uint8_t ret[static 32])
{
    uint8_t key[32];
    uint64_t number = 0;
    size_t n = 0;

    struct alk_span word = take_word(&line);
    if (word.n == 0 || word.p[0] == '#') {
        return ALK_E_NOENT;
    }
    struct alk_span digits = take_word(&line), base64 = take_word(&line);
    bool is_right = alk_span_equal(word, ALK_LIT(WORD)) &&
                    alk_span_u64(digits, UINT32_MAX, &number) == ALK_OK &&
                    alk_unbase64(base64, key, sizeof key, &n) == ALK_OK && n == sizeof key &&
                    take_word(&line).n == 0;
    alk_err err = !is_right ? ALK_E_MALFORMED : number != version ? ALK_E_NOENT : ALK_OK;
    if (err == ALK_OK) {
        memcpy(ret, key, sizeof key);
    }
    alk_wipe(key, sizeof key);
    return err;
}

alk_err cli_key_find_encryption(struct alk_span text, uint32_t version, uint8_t ret[static 32])
{
    alk_err found = ALK_E_NOENT;

    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        alk_err err = read_line(alk_span_head(text, n), version, ret);
        if (err == ALK_E_MALFORMED) {
            return err;
        }
        found = err == ALK_OK ? ALK_OK : found;
        text = alk_span_tail(text, end == NULL ? n : n + 1);
    }
    return found;
}
