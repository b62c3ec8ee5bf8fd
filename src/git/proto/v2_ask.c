/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is asked: each request is written as a whole or not at all. */
#include "git/proto/v2_impl.h"

/* What can be an argument: it ends at the line's end. */
static bool is_text(struct alk_span s)
{
    return s.n > 0 && s.n <= ALK_GIT_REF_MAX && alk_span_find(s, 0) == s.n &&
           alk_span_find(s, '\n') == s.n;
}

static bool are_ids(const struct alk_git_v2 *c, const struct alk_span *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i].n != c->id_hex || !alk_git_id_is_valid(ids[i])) {
            return false;
        }
    }
    return true;
}

static bool are_texts(const struct alk_span *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_text(texts[i])) {
            return false;
        }
    }
    return true;
}

/* --- writing -------------------------------------------------------------------------
 * The buffer's error is sticky: the end of a request looks at it. */

static void put(struct alk_git_v2 *c, const char *word, struct alk_span text, bool has_lf)
{
    alk_err err = alk_git_pkt_put_pair(&c->out, word, text, has_lf);
    ALK_ASSERT(err == c->out.err);
}

/* Some arguments of fetch end in LF and some do not, just as git writes them. */
static void put_flag(struct alk_git_v2 *c, bool is_set, const char *word, bool has_lf)
{
    if (is_set) {
        put(c, word, (struct alk_span){0}, has_lf);
    }
}

static void put_all(struct alk_git_v2 *c, const char *word, const struct alk_span *texts, size_t n,
                    bool has_lf)
{
    for (size_t i = 0; i < n; i++) {
        put(c, word, texts[i], has_lf);
    }
}

static void put_number(struct alk_git_v2 *c, const char *word, uint64_t number)
{
    uint8_t room[ALK_DIGITS_MAX];
    if (number > 0) {
        size_t n = alk_digits(number, room);
        put(c, word, alk_span(room + sizeof(room) - n, n), false);
    }
}

static void put_mark(struct alk_git_v2 *c, enum alk_git_pkt_kind mark)
{
    alk_err err = alk_git_pkt_put_mark(&c->out, mark);
    ALK_ASSERT(err == c->out.err);
}

/* The command and what every request says. */
static void put_head(struct alk_git_v2 *c, const char *command, bool has_lf)
{
    struct alk_span format;
    put(c, command, (struct alk_span){0}, has_lf);
    if (alk_git_v2_cap(c, "agent", NULL)) {
        put(c, "agent=", alk_buf_span(&c->agent), false);
    }
    if (alk_git_v2_cap(c, "object-format", &format)) {
        put(c, "object-format=", format, false);
    }
    put_mark(c, ALK_GIT_PKT_DELIM);
}

/* The flush; takes everything since `before` back when something did not fit. */
static alk_err put_end(struct alk_git_v2 *c, size_t before, enum v2_state state)
{
    put_mark(c, ALK_GIT_PKT_FLUSH);
    alk_err err = c->out.err;
    if (err) {
        c->out.end = c->out.at + before;
        c->out.err = ALK_OK;
        return err;
    }
    c->state = state;
    c->sections = 0;
    c->is_enough = false;
    c->has_pack = false;
    return ALK_OK;
}

/* --- requests ------------------------------------------------------------------------ */

alk_err alk_git_v2_ask_refs(struct alk_git_v2 *c, const struct alk_git_v2_ls_refs *ask)
{
    size_t before = alk_buf_len(&c->out);
    if (c->err || !alk_git_v2_is_idle(c)) {
        return c->err ? c->err : ALK_E_STATE;
    }
    if (!alk_git_v2_cap(c, "ls-refs", NULL)) {
        return ALK_E_UNSUPPORTED;
    }
    if (!are_texts(ask->prefixes, ask->prefix_count)) {
        return ALK_E_INVALID;
    }
    put_head(c, "command=ls-refs", true);
    put_flag(c, ask->peel, "peel", true);
    put_flag(c, ask->symrefs, "symrefs", true);
    put_flag(c, ask->unborn && alk_git_v2_feature(c, "ls-refs", "unborn"), "unborn", true);
    put_all(c, "ref-prefix ", ask->prefixes, ask->prefix_count, true);
    return put_end(c, before, V2_REFS);
}

/* The server must have said that it knows what is asked. */
static alk_err check_features(const struct alk_git_v2 *c, const struct alk_git_v2_fetch *f)
{
    const struct {
        bool is_asked;
        const char *word;
    } needs[] = {
        {f->shallow_count > 0 || f->deepen > 0 || f->deepen_since > 0 || f->deepen_not_count > 0,
         "shallow"},
        {f->filter.n > 0, "filter"},
        {f->want_ref_count > 0, "ref-in-want"},
        {f->wait_for_done, "wait-for-done"},
    };
    if (!alk_git_v2_cap(c, "fetch", NULL)) {
        return ALK_E_UNSUPPORTED;
    }
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].is_asked && !alk_git_v2_feature(c, "fetch", needs[i].word)) {
            return ALK_E_UNSUPPORTED;
        }
    }
    return ALK_OK;
}

static bool is_sendable(const struct alk_git_v2 *c, const struct alk_git_v2_fetch *f)
{
    return f->want_count + f->want_ref_count > 0 && are_ids(c, f->wants, f->want_count) &&
           are_ids(c, f->haves, f->have_count) && are_ids(c, f->shallows, f->shallow_count) &&
           are_texts(f->want_refs, f->want_ref_count) &&
           are_texts(f->deepen_nots, f->deepen_not_count) &&
           (f->filter.n == 0 || is_text(f->filter));
}

static void put_depth(struct alk_git_v2 *c, const struct alk_git_v2_fetch *f)
{
    put_all(c, "shallow ", f->shallows, f->shallow_count, true);
    put_number(c, "deepen ", f->deepen);
    put_flag(c, f->deepen_relative, "deepen-relative", true);
    put_number(c, "deepen-since ", f->deepen_since);
    put_all(c, "deepen-not ", f->deepen_nots, f->deepen_not_count, false);
}

alk_err alk_git_v2_ask_fetch(struct alk_git_v2 *c, const struct alk_git_v2_fetch *ask)
{
    size_t before = alk_buf_len(&c->out);
    if (c->err || !alk_git_v2_is_idle(c)) {
        return c->err ? c->err : ALK_E_STATE;
    }
    ALK_TRY(check_features(c, ask));
    if (!is_sendable(c, ask)) {
        return ALK_E_INVALID;
    }
    put_head(c, "command=fetch", false);
    put_flag(c, ask->thin_pack, "thin-pack", false);
    put_flag(c, ask->no_progress, "no-progress", false);
    put_flag(c, ask->include_tag, "include-tag", false);
    put_flag(c, ask->ofs_delta, "ofs-delta", false);
    put_flag(c, ask->wait_for_done, "wait-for-done", false);
    put_depth(c, ask);
    put_all(c, "filter ", &ask->filter, ask->filter.n > 0, false);
    put_all(c, "want ", ask->wants, ask->want_count, true);
    put_all(c, "want-ref ", ask->want_refs, ask->want_ref_count, true);
    put_all(c, "have ", ask->haves, ask->have_count, true);
    put_flag(c, ask->done, "done", true);
    ALK_TRY(put_end(c, before, V2_SECTION));
    c->is_done = ask->done;
    c->has_haves = ask->have_count > 0;
    return ALK_OK;
}

alk_err alk_git_v2_bye(struct alk_git_v2 *c)
{
    size_t before = alk_buf_len(&c->out);
    if (c->err || !alk_git_v2_is_idle(c)) {
        return c->err ? c->err : ALK_E_STATE;
    }
    ALK_TRY(put_end(c, before, V2_IDLE));
    c->is_bye = true;
    return ALK_OK;
}
