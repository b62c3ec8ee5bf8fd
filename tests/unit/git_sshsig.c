/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SSH signatures: their armor, their blob, and whether they are good. */
#include "git/proto/sshsig.h"

#include "git/sshsig_verify.h"
#include "support/oom.h"
#include "support/vector.h"

#include <stdio.h>

#define GIT_VECTORS ALK_SOURCE_DIR "/tests/vectors/git/"

/* text, blob: to be fini'd */
struct sample {
    struct alk_buf text, blob;
    struct alk_git_sshsig sig;
};

static void sample_read(const char *name, struct sample *s)
{
    char path[512];
    (void)snprintf(path, sizeof(path), GIT_VECTORS "%s.sig", name);
    vector_read(path, &s->text);
    alk_buf_init(&s->blob, NULL, 1 << 20);
    check_err(alk_git_sshsig_unarmor(alk_buf_span(&s->text), &s->blob), ALK_OK);
    check_err(alk_git_sshsig_parse(alk_buf_span(&s->blob), &s->sig), ALK_OK);
}

static void sample_fini(struct sample *s)
{
    alk_buf_fini(&s->text);
    alk_buf_fini(&s->blob);
}

static void message_read(struct alk_buf *b)
{
    vector_read(GIT_VECTORS "msg.txt", b);
}

static alk_err verify(const struct alk_git_sshsig *sig, const char *ns, struct alk_span message)
{
    /* in two parts, as the signed text of a commit is */
    const struct alk_span parts[] = {alk_span_head(message, 3), {0}, alk_span_tail(message, 3)};
    return alk_git_sshsig_verify(NULL, sig, ns, parts, 3);
}

static const struct {
    const char *name;
    enum alk_git_sshsig_key kind;
    enum alk_git_sshsig_hash hash;
    const char *ns;
    alk_err want;
    const char *key; /* its name, NULL: not good */
} samples[] = {
    {"msg-ed25519", ALK_GIT_SSHSIG_ED25519, ALK_GIT_SSHSIG_SHA512, "git", ALK_OK,
     "SHA256:ohLTcXUircI8OyHTv1XtlYbmuMgbyF5wnmIhEHE9AwI"},
    {"msg-ed25519-sha256", ALK_GIT_SSHSIG_ED25519, ALK_GIT_SSHSIG_SHA256, "git", ALK_OK,
     "SHA256:ohLTcXUircI8OyHTv1XtlYbmuMgbyF5wnmIhEHE9AwI"},
    {"msg-ed25519-file", ALK_GIT_SSHSIG_ED25519, ALK_GIT_SSHSIG_SHA512, "file", ALK_E_AUTH, NULL},
    {"msg-p256", ALK_GIT_SSHSIG_P256, ALK_GIT_SSHSIG_SHA512, "git", ALK_OK,
     "SHA256:L5G7gwpbx8O5jI7fUbYKeGIvGyPW7zxLFssSUZbkHYI"},
    {"msg-p256-short", ALK_GIT_SSHSIG_P256, ALK_GIT_SSHSIG_SHA512, "git", ALK_OK,
     "SHA256:L5G7gwpbx8O5jI7fUbYKeGIvGyPW7zxLFssSUZbkHYI"},
    {"msg-rsa", ALK_GIT_SSHSIG_RSA, ALK_GIT_SSHSIG_SHA512, "git", ALK_OK,
     "SHA256:ggX5NLu9myykWPaLqELZUFPskASY/blsAK3hqTE/nvA"},
    {"msg-rsa-sha2-256", ALK_GIT_SSHSIG_RSA, ALK_GIT_SSHSIG_SHA256, "git", ALK_OK,
     "SHA256:ggX5NLu9myykWPaLqELZUFPskASY/blsAK3hqTE/nvA"},
    {"msg-rsa1024", ALK_GIT_SSHSIG_RSA, ALK_GIT_SSHSIG_SHA512, "git", ALK_E_UNSUPPORTED, NULL},
    {"msg-p384", ALK_GIT_SSHSIG_OTHER, ALK_GIT_SSHSIG_SHA512, "git", ALK_E_UNSUPPORTED, NULL},
};

static void signatures_of_ssh_keygen_are_judged(void **state)
{
    struct alk_buf message;
    (void)state;
    message_read(&message);
    struct alk_span text = alk_buf_span(&message);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct sample s;
        struct alk_key_names names = {0};
        sample_read(samples[i].name, &s);
        assert_int_equal(s.sig.key_kind, samples[i].kind);
        assert_int_equal(s.sig.hash, samples[i].hash);
        check_text(s.sig.ns, samples[i].ns);
        check_err(verify(&s.sig, "git", text), samples[i].want);
        check_err(alk_git_sshsig_check(NULL, alk_buf_span(&s.text), &text, 1, &names),
                  samples[i].want);
        if (samples[i].key != NULL) {
            assert_string_equal(names.name[names.count - 1], samples[i].key);
            assert_int_equal(names.is_ed25519, samples[i].kind == ALK_GIT_SSHSIG_ED25519);
        } else {
            assert_int_equal(names.count, 0);
        }
        sample_fini(&s);
    }
    alk_buf_fini(&message);
}

static void a_signature_is_good_in_its_own_namespace_alone(void **state)
{
    struct sample s;
    struct alk_buf message;
    (void)state;
    message_read(&message);
    sample_read("msg-ed25519-file", &s);
    check_err(verify(&s.sig, "file", alk_buf_span(&message)), ALK_OK);
    check_err(verify(&s.sig, "git", alk_buf_span(&message)), ALK_E_AUTH);
    check_err(verify(&s.sig, "fil", alk_buf_span(&message)), ALK_E_AUTH);
    check_err(verify(&s.sig, "", alk_buf_span(&message)), ALK_E_AUTH);
    /* The namespace is signed too: saying another one does not help. */
    s.sig.ns = ALK_LIT("git");
    check_err(verify(&s.sig, "git", alk_buf_span(&message)), ALK_E_AUTH);
    sample_fini(&s);
    alk_buf_fini(&message);
}

static void rsa_keys_have_a_smallest_and_a_largest_size(void **state)
{
    static uint8_t number[ALK_GIT_SSHSIG_RSA_MAX / 8 + 1];
    static const struct {
        size_t bytes;
        alk_err want;
    } rows[] = {{ALK_GIT_SSHSIG_RSA_MIN / 8 - 1, ALK_E_UNSUPPORTED},
                {ALK_GIT_SSHSIG_RSA_MIN / 8, ALK_E_AUTH},
                {ALK_GIT_SSHSIG_RSA_MAX / 8, ALK_E_AUTH},
                {ALK_GIT_SSHSIG_RSA_MAX / 8 + 1, ALK_E_UNSUPPORTED}};
    struct sample s;
    (void)state;
    memset(number, 0xff, sizeof(number));
    sample_read("msg-rsa", &s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s.sig.rsa_n = s.sig.value = alk_span(number, rows[i].bytes);
        check_err(verify(&s.sig, "git", ALK_LIT("text")), rows[i].want);
    }
    sample_fini(&s);
}

static void another_message_is_not_signed(void **state)
{
    struct alk_buf message;
    (void)state;
    message_read(&message);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct sample s;
        if (samples[i].want != ALK_OK) {
            continue;
        }
        sample_read(samples[i].name, &s);
        for (size_t k = 0; k < alk_buf_len(&message); k++) {
            message.p[message.at + k] ^= 1;
            check_err(verify(&s.sig, "git", alk_buf_span(&message)), ALK_E_AUTH);
            message.p[message.at + k] ^= 1;
        }
        check_err(verify(&s.sig, "git", alk_span_head(alk_buf_span(&message), 5)), ALK_E_AUTH);
        check_err(verify(&s.sig, "git", alk_buf_span(&message)), ALK_OK);
        sample_fini(&s);
    }
    alk_buf_fini(&message);
}

/* No bit of a blob may be turned without its being refused or bad, but for those of an RSA
 * key or signature that keep their meaning - there are none. */
static void no_bit_of_a_signature_may_be_turned(void **state)
{
    static const char *const names[] = {"msg-ed25519", "msg-p256-short", "msg-rsa"};
    struct alk_buf message;
    (void)state;
    message_read(&message);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sample s;
        sample_read(names[i], &s);
        uint8_t *p = s.blob.p + s.blob.at;
        for (size_t k = 0; k < alk_buf_len(&s.blob); k++) {
            struct alk_git_sshsig sig;
            uint8_t bit = (uint8_t)(1U << k % 8);
            p[k] ^= bit;
            alk_err err = alk_git_sshsig_parse(alk_buf_span(&s.blob), &sig);
            if (err == ALK_OK) {
                err = verify(&sig, "git", alk_buf_span(&message));
            }
            if (err == ALK_OK) {
                fail_msg("%s: byte %zu", names[i], k);
            }
            p[k] ^= bit;
        }
        sample_fini(&s);
    }
    alk_buf_fini(&message);
}

static void what_is_signed_is_put_together(void **state)
{
    struct sample s;
    struct alk_buf b;
    uint8_t hash[64];
    (void)state;
    memset(hash, 'h', sizeof(hash));
    sample_read("msg-ed25519-sha256", &s);
    alk_buf_init(&b, NULL, 1000);
    check_err(alk_git_sshsig_put_signed(&b, &s.sig, alk_span(hash, 64)), ALK_E_INVALID);
    check_err(alk_git_sshsig_put_signed(&b, &s.sig, alk_span(hash, 32)), ALK_OK);
    struct alk_span want = ALK_LIT("SSHSIG\0\0\0\3git\0\0\0\0\0\0\0\6sha256\0\0\0\x20"
                                   "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh");
    assert_true(alk_span_equal(alk_buf_span(&b), want));
    assert_int_equal(alk_git_sshsig_hash_size(ALK_GIT_SSHSIG_SHA256), 32);
    assert_int_equal(alk_git_sshsig_hash_size(ALK_GIT_SSHSIG_SHA512), 64);
    alk_buf_fini(&b);
    sample_fini(&s);
}

static void armor_is_strict_but_for_white_space(void **state)
{
#define BEGIN ALK_GIT_SSHSIG_BEGIN
#define END   ALK_GIT_SSHSIG_END
    static const struct {
        const char *in;
        alk_err want;
        const char *blob;
    } rows[] = {
        {BEGIN "\nYWJj\n" END "\n", ALK_OK, "abc"},
        {BEGIN "\nYWJj\n" END, ALK_OK, "abc"},
        {BEGIN "\r\nYW\r\nJj\r\n" END "\r\n", ALK_OK, "abc"},
        {" \n" BEGIN "\n Y\tW\n\nJj\n" END " \n\n", ALK_OK, "abc"},
        {BEGIN "\nYQ==\n" END, ALK_OK, "a"},
        {BEGIN "\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\n\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\n==\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\nYWJj====\n" END, ALK_E_MALFORMED, ""},
        {BEGIN END, ALK_E_MALFORMED, ""},
        {BEGIN "\nYWJj" END, ALK_E_MALFORMED, ""},
        {BEGIN "YWJj\n" END, ALK_E_MALFORMED, ""},
        {BEGIN " \nYWJj\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\nYW-j\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\nY===\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\nYWJj\n", ALK_E_MALFORMED, ""},
        {"YWJj\n" END, ALK_E_MALFORMED, ""},
        {"x" BEGIN "\nYWJj\n" END, ALK_E_MALFORMED, ""},
        {BEGIN "\nYWJj\n" END "x", ALK_E_MALFORMED, ""},
        {BEGIN "\nYWJj\n" END "\n" BEGIN "\nYWJj\n" END, ALK_E_MALFORMED, ""},
        {"", ALK_E_MALFORMED, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, 1000);
        check_err(alk_git_sshsig_unarmor(alk_span_str(rows[i].in), &b), rows[i].want);
        check_text(alk_buf_span(&b), rows[i].blob);
        alk_buf_fini(&b);
        /* A buffer of the blob's size is enough. */
        alk_buf_init(&b, NULL, strlen(rows[i].blob) + (rows[i].want != ALK_OK) * 100U);
        check_err(alk_git_sshsig_unarmor(alk_span_str(rows[i].in), &b), rows[i].want);
        alk_buf_fini(&b);
    }
}

static void armor_and_blob_have_limits(void **state)
{
    struct alk_buf text, blob;
    struct alk_git_sshsig sig;
    (void)state;
    alk_buf_init(&text, NULL, 1 << 20);
    alk_buf_init(&blob, NULL, 1 << 20);
    /* 4 characters are 3 bytes: the last row is one more than fits. */
    for (size_t over = 0; over < 2; over++) {
        check_err(alk_buf_put_str(&text, BEGIN "\n"), ALK_OK);
        for (size_t i = 0; i < ALK_GIT_SSHSIG_BLOB_MAX / 3 + over; i++) {
            check_err(alk_buf_put_str(&text, "AAAA"), ALK_OK);
        }
        check_err(alk_buf_put_str(&text, "\n" END), ALK_OK);
        check_err(alk_git_sshsig_unarmor(alk_buf_span(&text), &blob),
                  over ? ALK_E_TOO_BIG : ALK_OK);
        alk_buf_clear(&text);
        alk_buf_clear(&blob);
    }
    check_err(alk_buf_put_str(&text, BEGIN "\n"), ALK_OK);
    for (size_t i = 0; i < 4 * ALK_GIT_SSHSIG_BLOB_MAX; i++) {
        check_err(alk_buf_put_str(&text, "\n"), ALK_OK);
    }
    check_err(alk_buf_put_str(&text, "YWJj\n" END), ALK_OK);
    check_err(alk_git_sshsig_unarmor(alk_buf_span(&text), &blob), ALK_E_TOO_BIG);
    check_err(
        alk_git_sshsig_parse(alk_span_head(alk_buf_span(&text), ALK_GIT_SSHSIG_BLOB_MAX + 1), &sig),
        ALK_E_TOO_BIG);
    alk_buf_fini(&text);
    alk_buf_fini(&blob);
#undef BEGIN
#undef END
}

static void put_string(struct alk_wr *w, const char *text)
{
    alk_wr_block32(w, alk_span_str(text));
}

/* A blob around a key and a signature. */
static alk_err parse_with(struct alk_span key, struct alk_span signature, const char *ns,
                          const char *hash, unsigned version, struct alk_git_sshsig *ret)
{
    static const char magic[] = "SSHSIG";
    uint8_t blob[4096];
    struct alk_wr w = alk_wr(blob, sizeof(blob));
    alk_wr_bytes(&w, alk_span(magic, 6));
    alk_wr_u32(&w, version);
    alk_wr_block32(&w, key);
    put_string(&w, ns);
    put_string(&w, "");
    put_string(&w, hash);
    alk_wr_block32(&w, signature);
    assert_int_equal(w.err, ALK_OK);
    return alk_git_sshsig_parse(alk_wr_span(&w), ret);
}

/* type and up to two more strings */
static struct alk_span strings(uint8_t *room, size_t size, const char *type, struct alk_span a,
                               struct alk_span b)
{
    struct alk_wr w = alk_wr(room, size);
    put_string(&w, type);
    if (a.p != NULL) {
        alk_wr_block32(&w, a);
    }
    if (b.p != NULL) {
        alk_wr_block32(&w, b);
    }
    assert_int_equal(w.err, ALK_OK);
    return alk_wr_span(&w);
}

static void blobs_are_taken_or_refused(void **state)
{
    static const uint8_t zeros[300] = {0},
                         ones[300] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                      1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
                         point[65] = {4}, negative[4] = {0x80, 0, 0, 1}, padded[3] = {0, 1, 1};
    uint8_t k[1000], g[1000], n[200];
    struct alk_git_sshsig sig;
    const struct alk_span none = {0};
    (void)state;
    struct alk_span ed = strings(k, sizeof(k), "ssh-ed25519", alk_span(zeros, 32), none);
    struct alk_span ed_sig = strings(g, sizeof(g), "ssh-ed25519", alk_span(zeros, 64), none);
    check_err(parse_with(ed, ed_sig, "git", "sha256", 1, &sig), ALK_OK);
    check_err(parse_with(ed, ed_sig, "git", "sha256", 2, &sig), ALK_E_VERSION);
    check_err(parse_with(ed, ed_sig, "git", "sha256", 0, &sig), ALK_E_MALFORMED);
    check_err(parse_with(ed, ed_sig, "", "sha256", 1, &sig), ALK_E_MALFORMED);
    check_err(parse_with(ed, ed_sig, "git", "sha1", 1, &sig), ALK_E_MALFORMED);
    check_err(parse_with(ed, ed_sig, "git", "", 1, &sig), ALK_E_MALFORMED);
    check_err(parse_with(none, ed_sig, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    check_err(parse_with(ed, none, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    char ns[ALK_GIT_SSHSIG_NS_MAX + 2] = {0};
    memset(ns, 'n', ALK_GIT_SSHSIG_NS_MAX);
    check_err(parse_with(ed, ed_sig, ns, "sha256", 1, &sig), ALK_OK);
    ns[ALK_GIT_SSHSIG_NS_MAX] = 'n';
    check_err(parse_with(ed, ed_sig, ns, "sha256", 1, &sig), ALK_E_TOO_BIG);

    struct alk_span s = strings(g, sizeof(g), "ssh-ed25519", alk_span(zeros, 63), none);
    check_err(parse_with(ed, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    s = strings(g, sizeof(g), "ssh-ed25519", alk_span(zeros, 64), alk_span(zeros, 1));
    check_err(parse_with(ed, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    s = strings(g, sizeof(g), "rsa-sha2-256", alk_span(zeros, 64), none);
    check_err(parse_with(ed, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    ed_sig = strings(g, sizeof(g), "ssh-ed25519", alk_span(zeros, 64), none);
    ed = strings(k, sizeof(k), "ssh-ed25519", alk_span(zeros, 31), none);
    check_err(parse_with(ed, ed_sig, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    ed = strings(k, sizeof(k), "ssh-ed25519", alk_span(zeros, 33), none);
    check_err(parse_with(ed, ed_sig, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    ed = strings(k, sizeof(k), "ssh-ed25519", alk_span(zeros, 32), alk_span(zeros, 1));
    check_err(parse_with(ed, ed_sig, "git", "sha256", 1, &sig), ALK_E_MALFORMED);

    /* ECDSA: the curve twice, an uncompressed point, two positive numbers of 32 bytes, in the
     * shortest form [RFC 4251 §5] */
    struct alk_span key =
        strings(k, sizeof(k), "ecdsa-sha2-nistp256", ALK_LIT("nistp256"), alk_span(point, 65));
    struct alk_span rs = strings(n, sizeof(n), "\1", alk_span(ones, 32), none);
    s = strings(g, sizeof(g), "ecdsa-sha2-nistp256", rs, none);
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_OK);
    assert_int_equal(sig.ecdsa_r.n, 1);
    assert_int_equal(sig.ecdsa_s.n, 32);
    const struct alk_span bad[] = {alk_span(negative, 4), alk_span(padded, 3), alk_span(zeros, 1),
                                   alk_span(zeros, 0), alk_span(ones, 33)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rs = strings(n, sizeof(n), "\1", bad[i], none);
        s = strings(g, sizeof(g), "ecdsa-sha2-nistp256", rs, none);
        check_err(parse_with(key, s, "git", "sha256", 1, &sig),
                  i == 4 ? ALK_E_TOO_BIG : ALK_E_MALFORMED);
    }
    key = strings(k, sizeof(k), "ecdsa-sha2-nistp256", ALK_LIT("nistp384"), alk_span(point, 65));
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    key = strings(k, sizeof(k), "ecdsa-sha2-nistp256", ALK_LIT("nistp256"), alk_span(zeros, 65));
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);

    /* RSA: as long as the modulus, and never with SHA-1 */
    key = strings(k, sizeof(k), "ssh-rsa", ALK_LIT("\3"), alk_span(ones, 256));
    s = strings(g, sizeof(g), "rsa-sha2-256", alk_span(zeros, 256), none);
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_OK);
    s = strings(g, sizeof(g), "rsa-sha2-256", alk_span(zeros, 255), none);
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);
    s = strings(g, sizeof(g), "ssh-rsa", alk_span(zeros, 256), none);
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_E_MALFORMED);

    /* Others are known by name and not looked into. */
    key = strings(k, sizeof(k), "sk-ssh-ed25519@openssh.com", alk_span(zeros, 32), none);
    s = strings(g, sizeof(g), "sk-ssh-ed25519@openssh.com", alk_span(zeros, 64), none);
    check_err(parse_with(key, s, "git", "sha256", 1, &sig), ALK_OK);
    assert_int_equal(sig.key_kind, ALK_GIT_SSHSIG_OTHER);
    assert_int_equal(sig.value.n, 0);
}

static alk_err check_in(const struct alk_mem *mem, void *ctx)
{
    struct sample *s = ctx;
    struct alk_key_names names;
    struct alk_span message = ALK_LIT("A message.\nTwo lines.\n");
    return alk_git_sshsig_check(mem, alk_buf_span(&s->text), &message, 1, &names);
}

static void without_memory_nothing_leaks(void **state)
{
    struct sample s;
    (void)state;
    sample_read("msg-p256", &s);
    oom_sweep(check_in, &s);
    sample_fini(&s);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_git_sshsig sig;
    struct alk_buf b;
    (void)ctx;
    alk_buf_init(&b, NULL, 1 << 16);
    alk_err err = alk_git_sshsig_unarmor(in, &b);
    assert_true(err != ALK_OK || alk_buf_len(&b) > 0);
    if (alk_git_sshsig_parse(in, &sig) == ALK_OK) {
        assert_true(sig.ns.n > 0 && sig.key.n > 0);
    }
    alk_buf_fini(&b);
}

/* At every cut: refused, and never taken for whole. */
static void mutations_never_crash(void **state)
{
    static const char *const names[] = {"msg-ed25519", "msg-p256", "msg-rsa"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sample s;
        sample_read(names[i], &s);
        check_mutations(alk_buf_span(&s.blob), look, NULL);
        check_mutations(alk_buf_span(&s.text), look, NULL);
        for (size_t n = 0; n < alk_buf_len(&s.blob); n++) {
            struct alk_git_sshsig sig;
            check_err(alk_git_sshsig_parse(alk_span_head(alk_buf_span(&s.blob), n), &sig),
                      ALK_E_MALFORMED);
        }
        sample_fini(&s);
    }
}

static void a_captured_signature_is_good(void **state)
{
    struct alk_buf text;
    struct alk_key_names names;
    (void)state;
    vector_read(ALK_VECTORS_DIR "/06-git/push-cert.txt", &text);
    struct alk_span all = alk_buf_span(&text);
    size_t at = 0;
    while (!alk_span_starts(alk_span_tail(all, at), ALK_LIT(ALK_GIT_SSHSIG_BEGIN))) {
        at++;
    }
    struct alk_span message = alk_span_head(all, at), armor = alk_span_tail(all, at);
    check_err(alk_git_sshsig_check(NULL, armor, &message, 1, &names), ALK_OK);
    assert_string_equal(names.name[names.count - 1],
                        "SHA256:/JAikKJX3dhVvq1wL2AdDs8MMuUv8Dxb8Re6nJ4Xlks");
    message.n--;
    check_err(alk_git_sshsig_check(NULL, armor, &message, 1, &names), ALK_E_AUTH);
    alk_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_of_ssh_keygen_are_judged),
        cmocka_unit_test(a_signature_is_good_in_its_own_namespace_alone),
        cmocka_unit_test(rsa_keys_have_a_smallest_and_a_largest_size),
        cmocka_unit_test(another_message_is_not_signed),
        cmocka_unit_test(no_bit_of_a_signature_may_be_turned),
        cmocka_unit_test(what_is_signed_is_put_together),
        cmocka_unit_test(armor_is_strict_but_for_white_space),
        cmocka_unit_test(armor_and_blob_have_limits),
        cmocka_unit_test(blobs_are_taken_or_refused),
        cmocka_unit_test(without_memory_nothing_leaks),
        cmocka_unit_test(mutations_never_crash),
        cmocka_unit_test(a_captured_signature_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
