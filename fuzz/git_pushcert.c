/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A push certificate, and the same bytes as a commit and as a tag: what is signed and the
 * signature are all there is, and in order. */
#include "git/proto/commit.h"
#include "git/proto/pushcert.h"
#include "git/proto/sshsig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static size_t count_of(struct alk_span text, const char *word)
{
    size_t n = 0;
    struct alk_span want = alk_span_str(word);
    for (bool at_start = true; text.n > 0; text = alk_span_tail(text, 1)) {
        n += at_start && alk_span_starts(text, want);
        at_start = text.p[0] == '\n';
    }
    return n;
}

static void look_at_cert(struct alk_span in)
{
    struct alk_git_pushcert c;
    struct alk_git_command command;
    struct alk_span option;
    if (alk_git_pushcert_parse(in, &c) != ALK_OK) {
        return;
    }
    must(c.signed_text.p == in.p && c.signed_text.n + c.signature.n == in.n);
    must(alk_span_starts(c.signature, ALK_LIT(ALK_GIT_SSHSIG_BEGIN "\n")));
    must(alk_span_ends(c.signature, ALK_LIT(ALK_GIT_SSHSIG_END "\n")));
    /* Where git looks for it: the last line that begins one. */
    must(count_of(c.signature, "-----BEGIN ") == 1);
    must(count_of(c.headers, "pusher ") == 1 && count_of(c.headers, "nonce ") <= 1);
    must((count_of(c.headers, "nonce ") == 1) == (c.nonce.n > 0));
    must(c.pusher.n > 0 && c.command_count > 0);
    size_t n = 0;
    struct alk_span rest = c.commands;
    for (; alk_git_pushcert_next_command(&rest, &command); n++) {
    }
    must(n == c.command_count && rest.n == 0);
    for (n = 0, rest = c.headers; alk_git_pushcert_next_option(&rest, &option); n++) {
    }
    must(n == c.option_count && n == count_of(c.headers, "push-option "));
}

static void look_at_object(struct alk_span in, alk_err err, const struct alk_git_signed *s)
{
    struct alk_buf b;
    const uint8_t *at = in.p;
    if (err != ALK_OK) {
        must(err == ALK_END || err == ALK_E_MALFORMED);
        return;
    }
    for (size_t i = 0; i < s->part_count; i++) {
        must(s->parts[i].p >= at && s->parts[i].n > 0);
        at = s->parts[i].p + s->parts[i].n;
    }
    must(at <= in.p + in.n && s->signature.n > 0);
    alk_buf_init(&b, NULL, in.n);
    must(alk_git_signed_armor(s, &b) == ALK_OK && alk_buf_len(&b) <= s->signature.n);
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    struct alk_git_signed s;
    look_at_cert(in);
    look_at_object(in, alk_git_commit_split(in, 40, &s), &s);
    look_at_object(in, alk_git_commit_split(in, 64, &s), &s);
    look_at_object(in, alk_git_tag_split(in, &s), &s);
    return 0;
}
