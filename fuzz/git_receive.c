/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A byte of flags and the length of pieces, and what a pushing client says: whole or in
 * pieces it is the same push. */
#include "git/proto/pushcert.h"
#include "git/proto/receive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

/* Feeds in pieces of `step` bytes; *ret_used: all that was used. */
static alk_err feed(struct alk_git_receive *r, struct alk_span in, size_t step, size_t *ret_used)
{
    alk_err err = ALK_MORE;
    *ret_used = 0;
    while (err == ALK_MORE && in.n > 0) {
        size_t used = 0;
        struct alk_span piece = alk_span_head(in, step);
        err = alk_git_receive_feed(r, piece, &used);
        must(used <= piece.n && (err != ALK_MORE || used == piece.n));
        *ret_used += used;
        in = alk_span_tail(in, used);
    }
    return err;
}

static void same_push(const struct alk_git_receive *a, const struct alk_git_receive *b)
{
    size_t n = alk_git_receive_command_count(a);
    bool has_pack = false;
    must(alk_git_receive_command_count(b) == n);
    for (size_t i = 0; i < n; i++) {
        struct alk_git_command c = alk_git_receive_command(a, i);
        struct alk_git_command d = alk_git_receive_command(b, i);
        must(alk_span_equal(c.old_id, d.old_id) && alk_span_equal(c.new_id, d.new_id));
        must(alk_span_equal(c.ref, d.ref) &&
             alk_git_ref_is_pushable(c.ref, alk_git_command_is_delete(&c)));
        has_pack = has_pack || !alk_git_command_is_delete(&c);
    }
    must(has_pack == alk_git_receive_has_pack(a) && has_pack == alk_git_receive_has_pack(b));
    must(alk_git_receive_may_end(a) == !has_pack);
    must(alk_git_receive_option_count(a) == alk_git_receive_option_count(b));
    for (size_t i = 0; i < alk_git_receive_option_count(a); i++) {
        must(alk_span_equal(alk_git_receive_option(a, i), alk_git_receive_option(b, i)));
    }
    must(alk_span_equal(alk_git_receive_caps(a), alk_git_receive_caps(b)));
    must(alk_span_equal(alk_git_receive_cert(a), alk_git_receive_cert(b)));
}

static void look_at_cert(const struct alk_git_receive *r)
{
    struct alk_git_pushcert c;
    if (alk_git_receive_cert(r).n > 0) {
        must(alk_git_pushcert_parse(alk_git_receive_cert(r), &c) == ALK_OK);
        must(c.command_count == alk_git_receive_command_count(r));
        must(c.option_count == alk_git_receive_option_count(r));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct alk_git_receive *whole = NULL, *pieces = NULL;
    struct alk_git_receive_options o = {.allows_cert = (data[0] & 0x80) != 0,
                                        .commands_max = (data[0] & 0x40) != 0 ? 3 : 0,
                                        .bytes_max = (data[0] & 0x20) != 0 ? 400 : 65536};
    struct alk_span in = alk_span(data + 1, size - 1);
    size_t used = 0, used_in_pieces = 0;
    must(alk_git_receive_new(&o, &whole) == ALK_OK && alk_git_receive_new(&o, &pieces) == ALK_OK);
    alk_err err = feed(whole, in, SIZE_MAX, &used);
    must(feed(pieces, in, data[0] % 32 + 1U, &used_in_pieces) == err);
    must(strcmp(alk_git_receive_why(whole), alk_git_receive_why(pieces)) == 0);
    must((err < 0) == (alk_git_receive_why(whole)[0] != 0));
    if (err >= 0) {
        must(used == used_in_pieces);
        must(alk_span_equal(alk_git_receive_raw(whole), alk_span_head(in, used)));
        must(alk_span_equal(alk_git_receive_raw(pieces), alk_span_head(in, used)));
    }
    if (err == ALK_OK) {
        same_push(whole, pieces);
        look_at_cert(whole);
    }
    alk_git_receive_free(whole);
    alk_git_receive_free(pieces);
    return 0;
}
