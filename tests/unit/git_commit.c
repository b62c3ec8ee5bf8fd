/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Signatures of commits and tags, and what is left of the object without them. */
#include "git/proto/commit.h"

#include "git/proto/refname.h"
#include "git/sshsig_verify.h"
#include "support/oom.h"
#include "support/vector.h"

#include <stdio.h>

#define GIT_VECTORS ALK_SOURCE_DIR "/tests/vectors/git/"
#define HEADERS     "tree 1\nauthor a\n"

static alk_err split(struct alk_span object, bool is_tag, size_t id_hex, struct alk_git_signed *ret)
{
    return is_tag ? alk_git_tag_split(object, ret) : alk_git_commit_split(object, id_hex, ret);
}

/* The parts in one piece. */
static void join(const struct alk_git_signed *s, struct alk_buf *b)
{
    alk_buf_init(b, NULL, 1 << 20);
    for (size_t i = 0; i < s->part_count; i++) {
        check_err(alk_buf_put(b, s->parts[i]), ALK_OK);
    }
}

static void check_split(const char *object, bool is_tag, const char *payload, const char *armor)
{
    struct alk_git_signed s;
    struct alk_buf b;
    check_err(split(alk_span_str(object), is_tag, 40, &s), ALK_OK);
    join(&s, &b);
    check_text(alk_buf_span(&b), payload);
    alk_buf_clear(&b);
    check_err(alk_git_signed_armor(&s, &b), ALK_OK);
    check_text(alk_buf_span(&b), armor);
    alk_buf_fini(&b);
}

static void the_signature_is_taken_out(void **state)
{
    (void)state;
    check_split(HEADERS "gpgsig a\n b\n c\n\ntext\n", false, HEADERS "\ntext\n", "a\nb\nc\n");
    check_split("tree 1\ngpgsig a\nauthor a\n\ngpgsig no\n", false, HEADERS "\ngpgsig no\n", "a\n");
    check_split(HEADERS "gpgsig a\n \n  b\n\n", false, HEADERS "\n", "a\n\n b\n");
    /* that of the other hash goes too, wherever it stands */
    check_split(HEADERS "gpgsig-sha256 x\n y\ngpgsig a\nz 1\n\nt", false, HEADERS "z 1\n\nt",
                "a\n");
    check_split(HEADERS "gpgsig a\nz 1\ngpgsig-sha256 x\n y\n\nt", false, HEADERS "z 1\n\nt",
                "a\n");
    check_split(HEADERS "gpgsig a\nmergetag x\n gpgsig b\n\nt", false,
                HEADERS "mergetag x\n gpgsig b\n\nt", "a\n");
    /* a tag's is at its end: the last that begins */
    check_split("object 1\n\nt\n-----BEGIN SSH SIGNATURE-----\nx\n", true, "object 1\n\nt\n",
                "-----BEGIN SSH SIGNATURE-----\nx\n");
    check_split("object 1\n\n-----BEGIN SSH SIGNATURE-----\nx\n-----BEGIN PGP SIGNATURE-----\ny",
                true, "object 1\n\n-----BEGIN SSH SIGNATURE-----\nx\n",
                "-----BEGIN PGP SIGNATURE-----\ny");
    check_split("object 1\ngpgsig-sha256 x\n y\ntag v\n\n-----BEGIN SSH SIGNATURE-----", true,
                "object 1\ntag v\n\n", "-----BEGIN SSH SIGNATURE-----");
}

static void what_is_not_signed_or_no_object_is_told(void **state)
{
    static const struct {
        const char *in;
        bool is_tag;
        size_t id_hex;
        alk_err want;
    } rows[] = {
        {HEADERS "\ntext\n", false, 40, ALK_END},
        {HEADERS "\ngpgsig a\n", false, 40, ALK_END},
        {HEADERS "gpgsig-sha256 a\n\n", false, 40, ALK_END},
        {HEADERS "gpgsig a\n\n", false, 64, ALK_END},
        {HEADERS "gpgsig-sha256 a\n\n", false, 64, ALK_OK},
        {HEADERS "gpgsiga\n\n", false, 40, ALK_END},
        {HEADERS "gpgsig\n\n", false, 40, ALK_END},
        {HEADERS "gpgsig a\ngpgsig b\n\n", false, 40, ALK_E_MALFORMED},
        {HEADERS "gpgsig a\n", false, 40, ALK_E_MALFORMED},
        {HEADERS "gpgsig a", false, 40, ALK_E_MALFORMED},
        {"", false, 40, ALK_E_MALFORMED},
        {"\n", false, 40, ALK_E_MALFORMED},
        {"object 1\n\n", false, 40, ALK_E_MALFORMED},
        {"tree", false, 40, ALK_E_MALFORMED},
        {"object 1\n\ntext\n", true, 0, ALK_END},
        {"object 1\n\n x -----BEGIN SSH SIGNATURE-----\n", true, 0, ALK_END},
        {"tree 1\n\n-----BEGIN SSH SIGNATURE-----\n", true, 0, ALK_E_MALFORMED},
        {"object 1\n-----BEGIN SSH SIGNATURE-----\n", true, 0, ALK_E_MALFORMED},
        {"-----BEGIN SSH SIGNATURE-----\n", true, 0, ALK_E_MALFORMED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_signed s = {.part_count = 77};
        check_err(split(alk_span_str(rows[i].in), rows[i].is_tag, rows[i].id_hex, &s),
                  rows[i].want);
        assert_true(rows[i].want == ALK_OK || s.part_count == 77);
    }
}

static alk_err check_object(const struct alk_mem *mem, const struct alk_git_signed *s,
                            struct alk_key_names *ret)
{
    struct alk_buf armor;
    alk_buf_init(&armor, mem, 10000);
    alk_err err = alk_git_signed_armor(s, &armor);
    if (err == ALK_OK) {
        err = alk_git_sshsig_check(mem, alk_buf_span(&armor), s->parts, s->part_count, ret);
    }
    alk_buf_fini(&armor);
    return err;
}

static void objects_that_git_signed_are_good_and_altered_ones_are_not(void **state)
{
    static const struct {
        const char *name;
        bool is_tag;
        size_t id_hex;
    } rows[] = {
        {"commit-sha1", false, 40},   {"commit-two-sha1", false, 40},   {"merge-sha1", false, 40},
        {"commit-sha256", false, 64}, {"commit-two-sha256", false, 64}, {"merge-sha256", false, 64},
        {"tag-sha1", true, 0},        {"tag-sha256", true, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[512];
        struct alk_buf object;
        struct alk_git_signed s;
        struct alk_key_names names = {0};
        (void)snprintf(path, sizeof(path), GIT_VECTORS "%s", rows[i].name);
        vector_read(path, &object);
        check_err(split(alk_buf_span(&object), rows[i].is_tag, rows[i].id_hex, &s), ALK_OK);
        check_err(check_object(NULL, &s, &names), ALK_OK);
        assert_string_equal(names.name[names.count - 1],
                            "SHA256:ohLTcXUircI8OyHTv1XtlYbmuMgbyF5wnmIhEHE9AwI");
        /* No byte of it may change: of what is signed or of the signature, but for white
         * space of the armor. */
        for (size_t k = 0; k < alk_buf_len(&object); k++) {
            object.p[object.at + k] ^= 4;
            alk_err err = split(alk_buf_span(&object), rows[i].is_tag, rows[i].id_hex, &s);
            err = err == ALK_OK ? check_object(NULL, &s, &names) : err;
            if (err == ALK_OK) {
                fail_msg("%s: byte %zu", rows[i].name, k);
            }
            object.p[object.at + k] ^= 4;
        }
        alk_buf_fini(&object);
    }
}

static void a_captured_commit_is_good(void **state)
{
    struct alk_buf object;
    struct alk_git_signed s;
    struct alk_key_names names;
    (void)state;
    vector_read(ALK_VECTORS_DIR "/06-git/signed-commit.txt", &object);
    check_err(alk_git_commit_split(alk_buf_span(&object), ALK_GIT_SHA1_HEX, &s), ALK_OK);
    check_err(check_object(NULL, &s, &names), ALK_OK);
    assert_string_equal(names.name[names.count - 1],
                        "SHA256:/JAikKJX3dhVvq1wL2AdDs8MMuUv8Dxb8Re6nJ4Xlks");
    alk_buf_fini(&object);
}

static alk_err unfold(const struct alk_mem *mem, void *ctx)
{
    struct alk_git_signed s;
    struct alk_buf b;
    (void)ctx;
    check_err(alk_git_commit_split(ALK_LIT(HEADERS "gpgsig a\n b\n\n"), 40, &s), ALK_OK);
    alk_buf_init(&b, mem, 100);
    alk_err err = alk_git_signed_armor(&s, &b);
    alk_buf_fini(&b);
    return err;
}

static void without_memory_or_room_nothing_leaks(void **state)
{
    struct alk_git_signed s;
    struct alk_buf b;
    (void)state;
    oom_sweep(unfold, NULL);
    check_err(alk_git_commit_split(ALK_LIT(HEADERS "gpgsig a\n b\n\n"), 40, &s), ALK_OK);
    alk_buf_init(&b, NULL, 3);
    check_err(alk_git_signed_armor(&s, &b), ALK_E_TOO_BIG);
    alk_buf_fini(&b);
}

/* Nothing is lost and nothing invented: parts and signature lie in the object in order. */
static void look(struct alk_span in, void *ctx)
{
    struct alk_git_signed s;
    (void)ctx;
    for (int i = 0; i < 3; i++) {
        if (split(in, i == 2, i == 0 ? 40 : 64, &s) != ALK_OK) {
            continue;
        }
        const uint8_t *at = in.p;
        for (size_t k = 0; k < s.part_count; k++) {
            assert_true(s.parts[k].p >= at && s.parts[k].n > 0);
            at = s.parts[k].p + s.parts[k].n;
        }
        assert_true(at <= in.p + in.n && s.signature.n > 0);
    }
}

static void mutations_never_crash(void **state)
{
    (void)state;
    check_mutations(ALK_LIT(HEADERS "gpgsig a\n b\nx 1\ngpgsig-sha256 c\n d\n\nt\n"), look, NULL);
    check_mutations(ALK_LIT("object 1\ngpgsig a\n b\n\nt\n-----BEGIN SSH SIGNATURE-----\nx"), look,
                    NULL);
}

static void headers_that_are_taken_out_have_a_limit(void **state)
{
    struct alk_git_signed s;
    (void)state;
    check_err(
        alk_git_commit_split(ALK_LIT("tree 1\ngpgsiga\nb 1\ngpgsig c\nd 1\ngpgsige\n\n"), 40, &s),
        ALK_OK);
    assert_int_equal(s.part_count, ALK_GIT_SIGNED_PARTS_MAX);
    check_err(
        alk_git_commit_split(
            ALK_LIT("tree 1\ngpgsiga\nb 1\ngpgsig c\nd 1\ngpgsige\nf 1\ngpgsigg\n\n"), 40, &s),
        ALK_E_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signature_is_taken_out),
        cmocka_unit_test(what_is_not_signed_or_no_object_is_told),
        cmocka_unit_test(objects_that_git_signed_are_good_and_altered_ones_are_not),
        cmocka_unit_test(a_captured_commit_is_good),
        cmocka_unit_test(without_memory_or_room_nothing_leaks),
        cmocka_unit_test(mutations_never_crash),
        cmocka_unit_test(headers_that_are_taken_out_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
