/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A signature as armor or as a blob, and its check: nobody signed this message. */
#include "base/text.h"
#include "git/sshsig_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void look_at_blob(struct alk_span blob)
{
    const struct alk_span message = ALK_LIT("nobody signed this");
    struct alk_git_sshsig s;
    if (alk_git_sshsig_parse(blob, &s) != ALK_OK) {
        return;
    }
    must(s.ns.n > 0 && s.ns.n <= ALK_GIT_SSHSIG_NS_MAX && s.key.n > 0);
    must(s.key_kind != ALK_GIT_SSHSIG_ED25519 || (s.ed25519.n == 32 && s.value.n == 64));
    must(s.key_kind != ALK_GIT_SSHSIG_P256 ||
         (s.point.n == 65 && s.ecdsa_r.n - 1U < 32 && s.ecdsa_s.n - 1U < 32));
    must(s.key_kind != ALK_GIT_SSHSIG_RSA || s.value.n == s.rsa_n.n);
    must(alk_git_sshsig_verify(NULL, &s, ALK_GIT_SSHSIG_NS, &message, 1) != ALK_OK);
    /* Its own namespace: the check itself is reached. */
    char ns[ALK_GIT_SSHSIG_NS_MAX + 1];
    if (alk_span_cstr(s.ns, ns, sizeof(ns))) {
        must(alk_git_sshsig_verify(NULL, &s, ns, &message, 1) != ALK_OK);
    }
}

/* The blob in armor of ours is that blob. */
static void armor_again(struct alk_span blob)
{
    struct alk_buf text, plain;
    char line[ALK_BASE64_SIZE(48)];
    alk_buf_init(&text, NULL, 2 * blob.n + 200);
    alk_buf_init(&plain, NULL, blob.n);
    must(alk_buf_put_str(&text, ALK_GIT_SSHSIG_BEGIN "\n") == ALK_OK);
    for (struct alk_span rest = blob; rest.n > 0; rest = alk_span_tail(rest, 48)) {
        must(alk_base64(alk_span_head(rest, 48), line, sizeof(line)));
        must(alk_buf_printf(&text, "%s\n", line) == ALK_OK);
    }
    must(alk_buf_put_str(&text, ALK_GIT_SSHSIG_END "\n") == ALK_OK);
    alk_err err = alk_git_sshsig_unarmor(alk_buf_span(&text), &plain);
    must(err == (blob.n == 0 ? ALK_E_MALFORMED : ALK_OK));
    must(alk_span_equal(alk_buf_span(&plain), blob));
    alk_buf_fini(&text);
    alk_buf_fini(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_buf blob;
    struct alk_span in = alk_span(data, size);
    alk_buf_init(&blob, NULL, ALK_GIT_SSHSIG_BLOB_MAX);
    if (alk_git_sshsig_unarmor(in, &blob) == ALK_OK) {
        must(alk_buf_len(&blob) > 0 && alk_buf_len(&blob) <= ALK_GIT_SSHSIG_BLOB_MAX);
        look_at_blob(alk_buf_span(&blob));
    }
    alk_buf_fini(&blob);
    look_at_blob(in);
    if (size <= 4096) {
        armor_again(in);
    }
    return 0;
}
