/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A byte of choices, a byte for the pieces, and what a server says to a client that asks
 * for refs and then for packs: whole or in pieces it hears the same. */
#include "git/proto/v2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

struct hearing {
    struct alk_git_v2 *c;
    uint8_t choices;
    unsigned asked;
    struct alk_buf heard; /* bytes of all events, kinds between them */
    int last;             /* kind of the last event; -1: none */
};

static void ask(struct hearing *h)
{
    static const char ids[] = "30da7cecffd69d0690d02f4faec928468e7804c9"
                              "d2bb86298a4b958b509e1b0a";
    struct alk_span id = alk_span(ids, alk_git_v2_id_hex(h->c));
    struct alk_git_v2_ls_refs refs = {.peel = true, .symrefs = true, .unborn = true};
    struct alk_git_v2_fetch fetch = {.wants = &id,
                                     .want_count = 1,
                                     .haves = &id,
                                     .have_count = (h->choices & 2) != 0,
                                     .done = (h->choices & 4) != 0};
    unsigned turn = h->asked++;
    size_t before = alk_git_v2_output(h->c).n;
    alk_err err = turn == 0  ? alk_git_v2_ask_refs(h->c, &refs)
                  : turn < 4 ? alk_git_v2_ask_fetch(h->c, &fetch)
                             : alk_git_v2_bye(h->c);
    must(err == ALK_OK || err == ALK_E_UNSUPPORTED);
    must((err == ALK_OK) == (alk_git_v2_output(h->c).n > before));
}

static void hear(struct hearing *h, const struct alk_git_v2_event *e)
{
    bool is_data = e->kind == ALK_GIT_V2_PACK || e->kind == ALK_GIT_V2_PROGRESS;
    if (!is_data || h->last != (int)e->kind) {
        must(alk_buf_put_u8(&h->heard, (uint8_t)('a' + e->kind)) == ALK_OK);
    }
    h->last = (int)e->kind;
    if (is_data) {
        must(e->u.data.n > 0 && alk_buf_put(&h->heard, e->u.data) == ALK_OK);
    } else if (e->kind == ALK_GIT_V2_REF) {
        must(e->u.ref.name.n > 0);
        must(e->u.ref.id.n == 0 || alk_git_id_is_valid(e->u.ref.id));
        must(alk_buf_put(&h->heard, e->u.ref.name) == ALK_OK &&
             alk_buf_put(&h->heard, e->u.ref.target) == ALK_OK &&
             alk_buf_put(&h->heard, e->u.ref.peeled) == ALK_OK);
    } else if (e->kind == ALK_GIT_V2_REFUSED) {
        must(alk_buf_put(&h->heard, e->u.text) == ALK_OK);
    } else if (e->kind == ALK_GIT_V2_WANTED || e->kind == ALK_GIT_V2_ACK) {
        must(alk_git_id_is_valid(e->u.object.id));
        must(alk_buf_put(&h->heard, e->u.object.name) == ALK_OK);
    }
    if (alk_git_v2_is_idle(h->c)) {
        ask(h);
    }
}

static alk_err run(struct hearing *h, struct alk_span in, size_t step)
{
    const struct alk_git_v2_options options = {.has_response_end = (h->choices & 1) != 0,
                                               .caps_max = (h->choices & 8) != 0 ? 100 : 0};
    struct alk_git_v2_event e;
    must(alk_git_v2_new(&options, &h->c) == ALK_OK);
    alk_buf_init(&h->heard, NULL, 4 * in.n + 16);
    h->last = -1;
    alk_err err = ALK_OK;
    while (err == ALK_OK && in.n > 0) {
        size_t used = 0;
        err = alk_git_v2_feed(h->c, alk_span_head(in, step), &used);
        must(used <= step && used <= in.n);
        in = alk_span_tail(in, used);
        bool was_told = false;
        while (err == ALK_OK && (err = alk_git_v2_next(h->c, &e)) == ALK_OK) {
            hear(h, &e);
            was_told = true;
        }
        err = err == ALK_MORE ? ALK_OK : err;
        must(err != ALK_OK || used > 0 || was_told);
    }
    err = err ? err : alk_git_v2_eof(h->c);
    must(alk_git_v2_next(h->c, &e) == (err ? err : ALK_MORE));
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct alk_span in = alk_span(data + 2, size - 2);
    struct hearing whole = {.choices = data[0]}, pieces = {.choices = data[0]};
    must(run(&whole, in, SIZE_MAX) == run(&pieces, in, data[1] % 40 + 1U));
    must(alk_span_equal(alk_buf_span(&whole.heard), alk_buf_span(&pieces.heard)));
    must(alk_span_equal(alk_git_v2_output(whole.c), alk_git_v2_output(pieces.c)));
    alk_git_v2_free(whole.c);
    alk_git_v2_free(pieces.c);
    alk_buf_fini(&whole.heard);
    alk_buf_fini(&pieces.heard);
    return 0;
}
