/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The client's side of protocol v2. */
#include "git/proto/v2.h"

#include "support/oom.h"
#include "support/vector.h"

#include <stdio.h>

#define GIT_VECTORS ALK_SOURCE_DIR "/tests/vectors/git/"
#define ONE         "30da7cecffd69d0690d02f4faec928468e7804c9"
#define TWO         "d2bb86298a4b958b509e1b0a80724b020cee4ac2"
#define ZERO        "0000000000000000000000000000000000000000"

enum { LIST_MAX = 64 };

/* --- scripts ------------------------------------------------------------------------- */

/* What is asked next, read from what a real client sent: the requests are asked again
 * through our intents and must come out as the same bytes. */
struct script {
    struct alk_rd asks;
    struct alk_span lists[6][LIST_MAX];
    size_t counts[6];
};

enum { PREFIXES, WANTS, WANT_REFS, HAVES, SHALLOWS, NOTS };

static bool take_listed(struct script *s, struct alk_span text)
{
    static const char *const words[] = {"ref-prefix ", "want ",    "want-ref ",
                                        "have ",       "shallow ", "deepen-not "};
    for (size_t i = 0; i < 6; i++) {
        struct alk_span word = alk_span_str(words[i]);
        if (alk_span_starts(text, word)) {
            assert_true(s->counts[i] < LIST_MAX);
            s->lists[i][s->counts[i]++] = alk_span_tail(text, word.n);
            return true;
        }
    }
    return false;
}

static void take_argument(struct script *s, struct alk_span text, struct alk_git_v2_ls_refs *refs,
                          struct alk_git_v2_fetch *fetch)
{
    struct {
        const char *word;
        bool *flag;
    } flags[] = {{"peel", &refs->peel},
                 {"symrefs", &refs->symrefs},
                 {"unborn", &refs->unborn},
                 {"thin-pack", &fetch->thin_pack},
                 {"no-progress", &fetch->no_progress},
                 {"include-tag", &fetch->include_tag},
                 {"ofs-delta", &fetch->ofs_delta},
                 {"deepen-relative", &fetch->deepen_relative},
                 {"wait-for-done", &fetch->wait_for_done},
                 {"done", &fetch->done}};
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (alk_span_is(text, flags[i].word)) {
            *flags[i].flag = true;
            return;
        }
    }
    struct alk_span value = text;
    struct alk_span key = alk_span_cut(&value, ' ');
    if (alk_span_is(key, "filter")) {
        fetch->filter = value;
    } else if (alk_span_is(key, "deepen")) {
        assert_true(alk_span_u64(value, UINT64_MAX, &fetch->deepen));
    } else if (alk_span_is(key, "deepen-since")) {
        assert_true(alk_span_u64(value, UINT64_MAX, &fetch->deepen_since));
    } else if (!take_listed(s, text)) {
        assert_true(alk_span_starts(text, ALK_LIT("agent=")) ||
                    alk_span_starts(text, ALK_LIT("object-format=")));
    }
}

/* Asks the next one; at the script's end nothing. */
static alk_err ask_next(struct script *s, struct alk_git_v2 *c)
{
    struct alk_git_v2_ls_refs refs = {0};
    struct alk_git_v2_fetch fetch = {0};
    struct alk_git_pkt pkt;
    struct alk_span command = {0};
    if (alk_rd_left(&s->asks) == 0) {
        return ALK_OK;
    }
    memset(s->counts, 0, sizeof(s->counts));
    for (;;) {
        check_err(alk_git_pkt_parse(&s->asks, &pkt), ALK_OK);
        if (pkt.kind == ALK_GIT_PKT_FLUSH) {
            break;
        }
        struct alk_span text = alk_git_pkt_text(pkt.data);
        if (alk_span_starts(text, ALK_LIT("command="))) {
            command = alk_span_tail(text, 8);
        } else if (pkt.kind == ALK_GIT_PKT_DATA) {
            take_argument(s, text, &refs, &fetch);
        }
    }
    if (command.n == 0) {
        return alk_git_v2_bye(c);
    }
    refs.prefixes = s->lists[PREFIXES];
    refs.prefix_count = s->counts[PREFIXES];
    fetch.wants = s->lists[WANTS];
    fetch.want_count = s->counts[WANTS];
    fetch.want_refs = s->lists[WANT_REFS];
    fetch.want_ref_count = s->counts[WANT_REFS];
    fetch.haves = s->lists[HAVES];
    fetch.have_count = s->counts[HAVES];
    fetch.shallows = s->lists[SHALLOWS];
    fetch.shallow_count = s->counts[SHALLOWS];
    fetch.deepen_nots = s->lists[NOTS];
    fetch.deepen_not_count = s->counts[NOTS];
    return alk_span_is(command, "ls-refs") ? alk_git_v2_ask_refs(c, &refs)
                                           : alk_git_v2_ask_fetch(c, &fetch);
}

/* --- traces -------------------------------------------------------------------------- */

static void say(struct alk_buf *t, const char *name, struct alk_span a, struct alk_span b)
{
    check_err(alk_buf_printf(t, "%s %.*s %.*s\n", name, (int)a.n, a.n ? (const char *)a.p : "",
                             (int)b.n, b.n ? (const char *)b.p : ""),
              ALK_OK);
}

/* Pieces of pack and progress are joined: `open` is the kind that is going on. */
static void trace_event(struct alk_buf *t, const struct alk_git_v2_event *e, int *open)
{
    static const char *const names[] = {"ready",    "ref",       "ack",    "nak", "enough",
                                        "shallow",  "unshallow", "wanted", "uri", "pack",
                                        "progress", "refused",   "end"};
    bool is_data = e->kind == ALK_GIT_V2_PACK || e->kind == ALK_GIT_V2_PROGRESS;
    if (*open != -1 && *open != (int)e->kind) {
        check_err(alk_buf_put_str(t, "\n"), ALK_OK);
    }
    if (is_data) {
        assert_true(e->u.data.n > 0);
        if (*open != (int)e->kind) {
            check_err(alk_buf_printf(t, "%s ", names[e->kind]), ALK_OK);
        }
        check_err(alk_buf_put(t, e->u.data), ALK_OK);
    } else if (e->kind == ALK_GIT_V2_REF) {
        say(t, names[e->kind], e->u.ref.id, e->u.ref.name);
        if (e->u.ref.target.n > 0 || e->u.ref.peeled.n > 0) {
            say(t, " to", e->u.ref.target, e->u.ref.peeled);
        }
    } else if (e->kind == ALK_GIT_V2_URI) {
        say(t, names[e->kind], e->u.uri.id, e->u.uri.text);
    } else if (e->kind == ALK_GIT_V2_REFUSED) {
        say(t, names[e->kind], e->u.text, (struct alk_span){0});
    } else if (e->kind == ALK_GIT_V2_END) {
        check_err(alk_buf_printf(t, "end%s%s%s\n", e->u.end.is_v2 ? "" : " old",
                                 e->u.end.has_pack ? " pack" : "",
                                 e->u.end.is_enough ? " enough" : ""),
                  ALK_OK);
    } else if (e->kind == ALK_GIT_V2_READY || e->kind == ALK_GIT_V2_NAK ||
               e->kind == ALK_GIT_V2_ENOUGH) {
        check_err(alk_buf_printf(t, "%s\n", names[e->kind]), ALK_OK);
    } else {
        say(t, names[e->kind], e->u.object.id, e->u.object.name);
    }
    *open = is_data ? (int)e->kind : -1;
}

struct replay {
    struct alk_git_v2_options options;
    struct alk_span asks; /* as a client sent them */
    const struct alk_mem *mem;
    bool needs_same_output; /* what was asked is what we send */
};

/* Everything of one piece. */
static alk_err play_piece(struct alk_git_v2 *c, struct script *s, struct alk_span in,
                          struct alk_buf *trace, int *open)
{
    struct alk_git_v2_event e;
    do {
        size_t used = 0;
        alk_err err = alk_git_v2_feed(c, in, &used);
        if (err) {
            return err;
        }
        in = alk_span_tail(in, used);
        while ((err = alk_git_v2_next(c, &e)) == ALK_OK) {
            if (trace != NULL) {
                trace_event(trace, &e, open);
            }
            if (alk_git_v2_is_idle(c) && (err = ask_next(s, c)) != ALK_OK) {
                return err;
            }
        }
        if (err != ALK_MORE) {
            return err;
        }
    } while (in.n > 0);
    return ALK_OK;
}

static alk_err play(const struct replay *play, const struct alk_span *pieces, size_t n,
                    struct alk_buf *trace)
{
    struct alk_git_v2 *c = NULL;
    struct script s = {.asks = alk_rd(play->asks)};
    struct alk_git_v2_options options = play->options;
    int open = -1;
    options.mem = play->mem;
    alk_err err = alk_git_v2_new(&options, &c);
    if (err) {
        return err;
    }
    for (size_t i = 0; i < n && err == ALK_OK; i++) {
        err = pieces[i].n == 0 ? ALK_OK : play_piece(c, &s, pieces[i], trace, &open);
    }
    if (err == ALK_OK) {
        err = alk_git_v2_eof(c);
    }
    if (err == ALK_OK && play->needs_same_output) {
        assert_int_equal(alk_rd_left(&s.asks), 0);
        assert_true(alk_span_equal(alk_git_v2_output(c), play->asks));
    }
    alk_git_v2_free(c);
    return err;
}

static void feed(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    alk_err err = play(ctx, pieces, n, trace);
    check_err(alk_buf_printf(trace, "\n%s\n", alk_err_name(err)), ALK_OK);
}

static void check_replay(const struct replay *r, struct alk_span in, const char *want)
{
    struct alk_buf trace;
    alk_buf_init(&trace, NULL, 1 << 20);
    feed(&in, 1, &trace, (void *)(uintptr_t)r);
    check_text(alk_buf_span(&trace), want);
    alk_buf_fini(&trace);
    check_splits(in, feed, (void *)(uintptr_t)r);
}

/* --- what servers say ---------------------------------------------------------------- */

/* Text to packets: one a line, "0000" and its kin as marks. */
static void put_lines(struct alk_buf *b, const char *text)
{
    struct alk_span rest = alk_span_str(text);
    while (rest.n > 0) {
        struct alk_span line = alk_span_cut(&rest, '\n');
        bool is_mark = line.n == 4 && alk_span_starts(line, ALK_LIT("000"));
        if (is_mark) {
            check_err(alk_buf_put(b, line), ALK_OK);
        } else {
            check_err(alk_git_pkt_put_line(b, line), ALK_OK);
        }
    }
}

#define CAPS                                                                                       \
    "version 2\nagent=git/1\nls-refs=unborn\n"                                                     \
    "fetch=shallow wait-for-done filter ref-in-want\nobject-format=sha1\n0000\n"
#define ASK_REFS "command=ls-refs\n0001\npeel\nsymrefs\nunborn\nref-prefix refs/\n0000\n"
#define ASK_PACK "command=fetch\n0001\nwant " ONE "\nhave " TWO "\ndone\n0000\n"
#define ASK_ACKS "command=fetch\n0001\nwant " ONE "\nhave " TWO "\n0000\n"

static void check_said(const char *asks, const char *said, bool has_response_end, const char *want)
{
    struct alk_buf a, s;
    alk_buf_init(&a, NULL, 1 << 16);
    alk_buf_init(&s, NULL, 1 << 16);
    put_lines(&a, asks);
    put_lines(&s, said);
    struct replay r = {.asks = alk_buf_span(&a), .options = {.has_response_end = has_response_end}};
    check_replay(&r, alk_buf_span(&s), want);
    alk_buf_fini(&a);
    alk_buf_fini(&s);
}

static void refs_are_told_with_what_is_known_of_them(void **state)
{
    (void)state;
    check_said(ASK_REFS,
               CAPS ONE " HEAD symref-target:refs/heads/main\n" TWO " refs/tags/v1 peeled:" ONE
                        " later:x\nunborn refs/x symref-target:refs/y\n0000\n",
               false,
               "ready\nref " ONE " HEAD\n to refs/heads/main \nref " TWO " refs/tags/v1\n to  " ONE
               "\nref  refs/x\n to refs/y \nend\n\nALK_OK\n");
}

static void all_sections_of_a_fetch_are_told(void **state)
{
    (void)state;
    check_said(ASK_ACKS,
               CAPS "acknowledgments\nACK " ONE "\nNAK\nready\n0001\nshallow-info\nshallow " ONE
                    "\nunshallow " TWO "\n0001\nwanted-refs\n" ONE
                    " refs/heads/a\n0001\npackfile-uris\n" TWO
                    " https://x/y z\n0001\npackfile\n\1PACK\n\2working\n\1more\n0000\n",
               false,
               "ready\nack " ONE " \nnak\nenough\nshallow " ONE " \nunshallow " TWO " \nwanted " ONE
               " refs/heads/a\nuri " TWO
               " https://x/y z\npack PACK\n\nprogress working\n\npack more\n\nend pack enough\n"
               "\nALK_OK\n");
}

static void a_negotiation_may_end_without_a_pack(void **state)
{
    (void)state;
    check_said(ASK_ACKS ASK_PACK, CAPS "acknowledgments\nNAK\n0000\npackfile\n\1P\n0000\n", false,
               "ready\nnak\nend\npack P\n\nend pack\n\nALK_OK\n");
}

static void stateless_answers_end_in_a_packet_of_their_own(void **state)
{
    (void)state;
    check_said(ASK_REFS ASK_PACK, CAPS "0000\n0002\npackfile\n\1P\n0000\n0002\n", true,
               "ready\nend\npack P\n\nend pack\n\nALK_OK\n");
    check_said(ASK_REFS, CAPS "0000\n0000\n", true, "ready\n\nALK_E_PROTOCOL\n");
    check_said(ASK_REFS, CAPS "0000\n0002\n", false, "ready\nend\n\nALK_E_PROTOCOL\n");
    check_said(ASK_REFS, CAPS "0000\n", true, "ready\n\nALK_E_PROTOCOL\n");
}

static void a_refusal_is_told_and_is_the_end(void **state)
{
    (void)state;
    check_said("", "ERR no such repository\n", false,
               "refused no such repository \n\nALK_E_STOPPED\n");
    check_said("", "version 2\nERR x\n", false, "refused x \n\nALK_E_STOPPED\n");
    check_said(ASK_REFS, CAPS "ERR x\n", false, "ready\nrefused x \n\nALK_E_STOPPED\n");
    check_said(ASK_PACK, CAPS "ERR x\n0000\n", false, "ready\nrefused x \n\nALK_E_STOPPED\n");
    check_said(ASK_PACK, CAPS "packfile\n\1P\n\3out of memory\n\1Q\n0000\n", false,
               "ready\npack P\n\nrefused out of memory \n\nALK_E_STOPPED\n");
}

static void older_servers_are_known_by_their_refs(void **state)
{
    (void)state;
    check_said("", "0000\n", false, "end old\n\nALK_OK\n");
    check_said("",
               ONE " HEAD\n" TWO " refs/tags/v1\n" ONE " refs/tags/v1^{}\nshallow " TWO "\n0000\n",
               false,
               "ref " ONE " HEAD\nref " TWO " refs/tags/v1\nref " ONE
               " refs/tags/v1^{}\nshallow " TWO " \nend old\n\nALK_OK\n");
    check_said("", "version 1\n" ZERO " capabilities^{}\n0000\n", false, "end old\n\nALK_OK\n");
    check_said("", "version 1\n0000\n0000\n", false, "end old\n\nALK_E_PROTOCOL\n");
}

static void what_breaks_the_protocol_is_told(void **state)
{
    static const struct {
        const char *asks, *said, *want; /* want: what comes after "ready", if that came */
    } rows[] = {
        {"", "version 3\n", ""},
        {"", "hello\n", ""},
        {"", "0001\n", ""},
        {"", "0002\n", ""},
        {"", ONE "\n", ""},
        {"", ONE " \n", ""},
        {"", ONE " a b\n", ""},
        {"", ONE " refs/../x\n", ""},
        {"", ONE " capabilities^{}\n", ""},
        {"", "version 2\n0001\n", ""},
        {"", "version 2\nobject-format=md5\n0000\n", ""},
        {"", "version 2\n\n0000\n", ""},
        {"", CAPS "x\n", "ready\n"},
        {"", CAPS "0000\n", "ready\n"},
        {ASK_REFS, CAPS "x refs/a\n", "ready\n"},
        {ASK_REFS, CAPS ONE "\n", "ready\n"},
        {ASK_REFS, CAPS ONE " \n", "ready\n"},
        {ASK_REFS, CAPS ONE " a..b\n", "ready\n"},
        {ASK_REFS, CAPS "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321 refs/a\n",
         "ready\n"},
        {ASK_REFS, CAPS ONE " refs/a symref-target:a..b\n", "ready\n"},
        {ASK_REFS, CAPS ONE " refs/a peeled:12\n", "ready\n"},
        {ASK_REFS, CAPS "0001\n", "ready\n"},
        {ASK_PACK, CAPS "0000\n", "ready\n"},
        {ASK_PACK, CAPS "other\n", "ready\n"},
        {ASK_PACK, CAPS "acknowledgments\n", "ready\n"},
        {ASK_PACK, CAPS "packfile\n\4x\n", "ready\n"},
        {ASK_PACK, CAPS "packfile\n0001\n", "ready\n"},
        {ASK_PACK, CAPS "packfile\n0002\n", "ready\n"},
        {ASK_PACK, CAPS "shallow-info\n0000\n", "ready\n"},
        {ASK_PACK, CAPS "shallow-info\n0001\n0000\n", "ready\n"},
        {ASK_PACK, CAPS "shallow-info\n0001\nshallow-info\n", "ready\n"},
        {ASK_PACK, CAPS "shallow-info\nshallow x\n", "ready\n"},
        {ASK_PACK, CAPS "shallow-info\nSHALLOW " ONE "\n", "ready\n"},
        {ASK_PACK, CAPS "wanted-refs\n" ONE "\n", "ready\n"},
        {ASK_PACK, CAPS "wanted-refs\nx refs/a\n", "ready\n"},
        {ASK_PACK, CAPS "packfile-uris\n" ONE "\n", "ready\n"},
        {ASK_PACK, CAPS "packfile-uris\nx y\n", "ready\n"},
        {ASK_ACKS, CAPS "packfile\n", "ready\n"},
        {ASK_ACKS, CAPS "acknowledgments\nACK x\n", "ready\n"},
        {ASK_ACKS, CAPS "acknowledgments\nack " ONE "\n", "ready\n"},
        {ASK_ACKS, CAPS "acknowledgments\nNAK\n0001\n", "ready\nnak\n"},
        {ASK_ACKS, CAPS "acknowledgments\nready\n0000\n", "ready\nenough\n"},
        {ASK_ACKS, CAPS "acknowledgments\nready\n0001\nacknowledgments\n", "ready\nenough\n"},
        /* cut off */
        {"", "", ""},
        {"", "version 2\n", ""},
        {ASK_REFS, CAPS, "ready\n"},
        {ASK_PACK, CAPS "packfile\n\1P\n", "ready\npack P\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[200];
        (void)snprintf(want, sizeof(want), "%s\nALK_E_PROTOCOL\n", rows[i].want);
        check_said(rows[i].asks, rows[i].said, false, want);
    }
    struct replay r = {0};
    check_replay(&r, ALK_LIT("000eversion 2\n0003"), "\nALK_E_MALFORMED\n");
    check_replay(&r, ALK_LIT("000eversion 2\nfff1"), "\nALK_E_TOO_BIG\n");
    check_replay(&r, ALK_LIT("000eversion 2\n0007a\nb"), "\nALK_E_PROTOCOL\n");
    check_replay(&r, ALK_LIT("000eversion 2\n0007a\0b"), "\nALK_E_PROTOCOL\n");
    /* capabilities twice */
    check_replay(&r,
                 ALK_LIT("0034" ONE " HEAD\0x\n"
                         "0034" ONE " HEAD\0x\n"),
                 "ref " ONE " HEAD\n\nALK_E_PROTOCOL\n");
}

/* --- what is asked ------------------------------------------------------------------- */

/* A core that has heard these capabilities. */
static struct alk_git_v2 *heard(const char *said, const struct alk_git_v2_options *options)
{
    struct alk_git_v2 *c = NULL;
    struct alk_git_v2_event e;
    struct alk_buf b;
    size_t used = 0;
    alk_buf_init(&b, NULL, 1 << 16);
    put_lines(&b, said);
    check_err(alk_git_v2_new(options, &c), ALK_OK);
    assert_false(alk_git_v2_is_idle(c));
    check_err(alk_git_v2_feed(c, alk_buf_span(&b), &used), ALK_OK);
    assert_int_equal(used, alk_buf_len(&b));
    assert_false(alk_git_v2_is_idle(c));
    check_err(alk_git_v2_next(c, &e), ALK_OK);
    check_err(alk_git_v2_next(c, &e), ALK_MORE);
    alk_buf_fini(&b);
    return c;
}

static void requests_say_all_that_is_asked(void **state)
{
    const struct alk_git_v2_options options = {.agent = ALK_LIT("a/1")};
    const struct alk_span ids[] = {ALK_LIT(ONE), ALK_LIT(TWO)}, ref = ALK_LIT("refs/heads/a");
    struct alk_git_v2 *c = heard(CAPS, &options);
    (void)state;
    struct alk_git_v2_fetch f = {.thin_pack = true,
                                 .no_progress = true,
                                 .include_tag = true,
                                 .ofs_delta = true,
                                 .wait_for_done = true,
                                 .shallows = ids,
                                 .shallow_count = 1,
                                 .deepen = 18446744073709551615U,
                                 .deepen_relative = true,
                                 .deepen_since = 1700000000,
                                 .deepen_nots = &ref,
                                 .deepen_not_count = 1,
                                 .filter = ALK_LIT("blob:none"),
                                 .wants = ids,
                                 .want_count = 2,
                                 .want_refs = &ref,
                                 .want_ref_count = 1,
                                 .haves = ids + 1,
                                 .have_count = 1,
                                 .done = true};
    check_err(alk_git_v2_ask_fetch(c, &f), ALK_OK);
    check_text(alk_git_v2_output(c),
               "0011command=fetch000dagent=a/10016object-format=sha10001000dthin-pack"
               "000fno-progress000finclude-tag000dofs-delta0011wait-for-done"
               "0035shallow " ONE "\n001fdeepen 184467440737095516150014deepen-relative\n"
               "001bdeepen-since 1700000000001bdeepen-not refs/heads/a0014filter blob:none"
               "0032want " ONE "\n0032want " TWO "\n001awant-ref refs/heads/a\n"
               "0032have " TWO "\n0009done\n0000");
    alk_git_v2_sent(c, alk_git_v2_output(c).n);
    assert_int_equal(alk_git_v2_output(c).n, 0);
    check_err(alk_git_v2_ask_fetch(c, &f), ALK_E_STATE);
    check_err(alk_git_v2_bye(c), ALK_E_STATE);
    alk_git_v2_free(c);
}

static void what_a_server_does_not_know_is_not_said(void **state)
{
    const struct alk_git_v2_options options = {0};
    const struct alk_span id = ALK_LIT(ONE), ref = ALK_LIT("refs/a");
    (void)state;
    struct alk_git_v2 *c = heard("version 2\nls-refs\nfetch\n0000\n", &options);
    struct alk_git_v2_ls_refs refs = {.unborn = true};
    const struct alk_git_v2_fetch asks[] = {
        {.wants = &id, .want_count = 1, .deepen = 1},
        {.wants = &id, .want_count = 1, .deepen_since = 1},
        {.wants = &id, .want_count = 1, .deepen_nots = &ref, .deepen_not_count = 1},
        {.wants = &id, .want_count = 1, .shallows = &id, .shallow_count = 1},
        {.wants = &id, .want_count = 1, .filter = ref},
        {.want_refs = &ref, .want_ref_count = 1},
        {.wants = &id, .want_count = 1, .wait_for_done = true},
    };
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        check_err(alk_git_v2_ask_fetch(c, &asks[i]), ALK_E_UNSUPPORTED);
    }
    assert_int_equal(alk_git_v2_output(c).n, 0);
    check_err(alk_git_v2_ask_refs(c, &refs), ALK_OK);
    check_text(alk_git_v2_output(c), "0014command=ls-refs\n00010000");
    alk_git_v2_free(c);

    c = heard("version 2\nagent=x\n0000\n", &options);
    check_err(alk_git_v2_ask_refs(c, &refs), ALK_E_UNSUPPORTED);
    check_err(alk_git_v2_ask_fetch(c, &(struct alk_git_v2_fetch){.wants = &id, .want_count = 1}),
              ALK_E_UNSUPPORTED);
    check_err(alk_git_v2_bye(c), ALK_OK);
    check_text(alk_git_v2_output(c), "0000");
    assert_false(alk_git_v2_is_idle(c));
    check_err(alk_git_v2_bye(c), ALK_E_STATE);
    check_err(alk_git_v2_eof(c), ALK_OK);
    size_t used = 0;
    check_err(alk_git_v2_feed(c, ALK_LIT("0000"), &used), ALK_E_STATE);
    alk_git_v2_free(c);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    const struct alk_git_v2_options options = {0};
    static uint8_t much[ALK_GIT_REF_MAX + 1];
    const struct alk_span good = ALK_LIT(ONE);
    const struct alk_span ids[] = {
        ALK_LIT(""), ALK_LIT("x"), ALK_LIT(ONE "0"),
        ALK_LIT("6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321")};
    const struct alk_span texts[] = {ALK_LIT(""), ALK_LIT("a\nb"), ALK_LIT("a\0b"),
                                     alk_span(much, sizeof(much))};
    struct alk_git_v2 *c = heard(CAPS, &options);
    (void)state;
    memset(much, 'r', sizeof(much));
    for (size_t i = 0; i < 4; i++) {
        const struct alk_git_v2_fetch asks[] = {
            {.wants = &ids[i], .want_count = 1},
            {.wants = &good, .want_count = 1, .haves = &ids[i], .have_count = 1},
            {.wants = &good, .want_count = 1, .shallows = &ids[i], .shallow_count = 1},
            {.want_refs = &texts[i], .want_ref_count = 1},
            {.wants = &good, .want_count = 1, .deepen_nots = &texts[i], .deepen_not_count = 1},
            {.wants = &good, .want_count = i > 0, .filter = texts[i]},
        };
        for (size_t k = 0; k < sizeof(asks) / sizeof(asks[0]); k++) {
            check_err(alk_git_v2_ask_fetch(c, &asks[k]), ALK_E_INVALID);
        }
        check_err(alk_git_v2_ask_refs(
                      c, &(struct alk_git_v2_ls_refs){.prefixes = &texts[i], .prefix_count = 1}),
                  ALK_E_INVALID);
    }
    assert_int_equal(alk_git_v2_output(c).n, 0);
    assert_true(alk_git_v2_is_idle(c));
    alk_git_v2_free(c);
    const struct alk_span agents[] = {ALK_LIT("a b"), ALK_LIT("a\n"), ALK_LIT("\xc3\xa9"),
                                      alk_span(much, 129)};
    for (size_t i = 0; i < 4; i++) {
        check_err(alk_git_v2_new(&(struct alk_git_v2_options){.agent = agents[i]}, &c),
                  ALK_E_INVALID);
    }
}

static void a_request_without_room_is_not_begun(void **state)
{
    const struct alk_git_v2_options options = {.out_max = 150};
    const struct alk_span ids[] = {ALK_LIT(ONE), ALK_LIT(TWO), ALK_LIT(ONE)};
    struct alk_git_v2 *c = heard(CAPS, &options);
    (void)state;
    struct alk_git_v2_fetch f = {.wants = ids, .want_count = 3};
    check_err(alk_git_v2_ask_fetch(c, &f), ALK_E_TOO_BIG);
    assert_int_equal(alk_git_v2_output(c).n, 0);
    assert_true(alk_git_v2_is_idle(c));
    f.want_count = 1;
    check_err(alk_git_v2_ask_fetch(c, &f), ALK_OK);
    assert_false(alk_git_v2_is_idle(c));
    alk_git_v2_free(c);
}

static void capabilities_are_found_and_bounded(void **state)
{
    const struct alk_git_v2_options options = {0};
    struct alk_git_v2 *c = heard(CAPS, &options);
    struct alk_span v;
    (void)state;
    assert_true(alk_git_v2_cap(c, "fetch", &v));
    check_text(v, "shallow wait-for-done filter ref-in-want");
    assert_true(alk_git_v2_cap(c, "agent", NULL));
    assert_false(alk_git_v2_cap(c, "agen", &v));
    assert_false(alk_git_v2_cap(c, "filter", &v));
    assert_true(alk_git_v2_feature(c, "fetch", "filter"));
    assert_false(alk_git_v2_feature(c, "fetch", "filte"));
    assert_false(alk_git_v2_feature(c, "bundle-uri", "x"));
    assert_int_equal(alk_git_v2_id_hex(c), 40);
    alk_git_v2_free(c);

    c = heard("version 2\nobject-format=sha256\n0000\n", &options);
    assert_int_equal(alk_git_v2_id_hex(c), 64);
    alk_git_v2_free(c);

    struct replay r = {.options = {.caps_max = 8}};
    check_replay(&r, ALK_LIT("000eversion 2\n000c1234567\n0000"), "ready\n\nALK_OK\n");
    check_replay(&r, ALK_LIT("000eversion 2\n000d12345678\n0000"), "\nALK_E_TOO_BIG\n");
}

/* --- captures ------------------------------------------------------------------------ */

/* The capture's requests come out of our intents byte for byte, at every cut of what the
 * server said. Returns the trace, to be fini'd. */
static struct alk_buf check_capture(const char *path, bool has_asks)
{
    char name[512];
    struct alk_buf said, asks, trace;
    (void)snprintf(name, sizeof(name), "%s.s2c%s", path, strstr(path, "06-git") ? ".bin" : "");
    vector_read(name, &said);
    alk_buf_init(&asks, NULL, 1 << 20);
    if (has_asks) {
        (void)snprintf(name, sizeof(name), "%s.c2s%s", path, strstr(path, "06-git") ? ".bin" : "");
        vector_read(name, &asks);
    }
    struct replay r = {.options = {.agent = ALK_LIT("git/2.39.5")},
                       .asks = alk_buf_span(&asks),
                       .needs_same_output = true};
    struct alk_span in = alk_buf_span(&said);
    alk_buf_init(&trace, NULL, 1 << 20);
    feed(&in, 1, &trace, &r);
    if (!alk_span_ends(alk_buf_span(&trace), ALK_LIT("\nALK_OK\n"))) {
        fail_msg("%s: %.*s", path, (int)alk_buf_len(&trace), (const char *)alk_buf_span(&trace).p);
    }
    check_splits(in, feed, &r);
    alk_buf_fini(&said);
    alk_buf_fini(&asks);
    return trace;
}

static size_t count_of(const struct alk_buf *trace, const char *text)
{
    size_t n = 0;
    for (struct alk_span rest = alk_buf_span(trace); rest.n > 0; rest = alk_span_tail(rest, 1)) {
        n += alk_span_starts(rest, alk_span_str(text));
    }
    return n;
}

static void conversations_of_git_are_held_again(void **state)
{
    static const struct {
        const char *name, *kinds[4];
    } rows[] = {
        {"v2-shallow", {"\nshallow ", "\npack PACK", "\nend pack\n"}},
        {"v2-filter", {"\nwanted ", "\npack PACK", "\nend pack\n"}},
        {"v2-fetch", {"\nack ", "\nenough\n", "\nwanted ", "\nend pack enough\n"}},
        {"v2-rounds", {"\nack ", "\nend\n", "\npack PACK", "\nend pack\n"}},
        {"v2-wanted-first", {"\nwanted ", "\nshallow ", "\npack PACK", "\nend pack\n"}},
        {"v2-refs", {"\n to refs/heads/main ", "\nend\n"}},
        {"v0", {"ref ", " refs/tags/v1^{}\n", "\nend old\n"}},
        {"v1", {"ref ", " refs/tags/v1^{}\n", "\nend old\n"}},
    };
    static const char *const hashes[] = {"sha1", "sha256"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t h = 0; h < 2; h++) {
            char path[512];
            (void)snprintf(path, sizeof(path), GIT_VECTORS "%s-%s", rows[i].name, hashes[h]);
            struct alk_buf trace = check_capture(path, rows[i].name[1] == '2');
            for (size_t k = 0; k < 4 && rows[i].kinds[k] != NULL; k++) {
                if (count_of(&trace, rows[i].kinds[k]) == 0) {
                    fail_msg("%s: no %s", path, rows[i].kinds[k]);
                }
            }
            alk_buf_fini(&trace);
        }
    }
    struct alk_buf trace = check_capture(GIT_VECTORS "v2-empty", true);
    check_text(alk_buf_span(&trace), "ready\nref  HEAD\n to refs/heads/main \nend\n\nALK_OK\n");
    alk_buf_fini(&trace);
    trace = check_capture(GIT_VECTORS "v0-empty", false);
    check_text(alk_buf_span(&trace), "end old\n\nALK_OK\n");
    alk_buf_fini(&trace);
}

static void captured_conversations_are_held_again(void **state)
{
    struct alk_buf trace = check_capture(ALK_VECTORS_DIR "/06-git/v2-clone", true);
    (void)state;
    assert_int_equal(count_of(&trace, "\nref "), 3);
    assert_int_equal(count_of(&trace, "\npack PACK"), 1);
    assert_int_equal(count_of(&trace, "\nend pack\n"), 1);
    alk_buf_fini(&trace);
    trace = check_capture(ALK_VECTORS_DIR "/06-git/v2-ls-refs", true);
    assert_int_equal(count_of(&trace, "\nref "), 3);
    alk_buf_fini(&trace);
    trace = check_capture(ALK_VECTORS_DIR "/06-git/v0-advert", false);
    assert_int_equal(count_of(&trace, "ref "), 4);
    alk_buf_fini(&trace);
}

/* --- memory, mutations ---------------------------------------------------------------- */

/* A whole conversation, cut so that lines must be held. */
static alk_err converse(const struct alk_mem *mem, void *ctx)
{
    struct replay r = *(const struct replay *)ctx;
    struct alk_buf s;
    alk_buf_init(&s, NULL, 1 << 16);
    put_lines(&s, CAPS ONE " HEAD\n0000\npackfile\n\1P\n\3no\n");
    struct alk_span in = alk_buf_span(&s);
    const struct alk_span pieces[] = {alk_span_head(in, 6), alk_span(in.p + 6, 170),
                                      alk_span_tail(in, 176)};
    r.mem = mem;
    alk_err err = play(&r, pieces, 3, NULL);
    alk_buf_fini(&s);
    return err == ALK_E_STOPPED ? ALK_OK : err;
}

static void without_memory_nothing_leaks(void **state)
{
    struct alk_buf a;
    (void)state;
    alk_buf_init(&a, NULL, 1 << 16);
    put_lines(&a, ASK_REFS ASK_PACK);
    struct replay r = {.asks = alk_buf_span(&a)};
    oom_sweep(converse, &r);
    alk_buf_fini(&a);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_buf trace;
    alk_buf_init(&trace, NULL, 1 << 20);
    feed(&in, 1, &trace, ctx);
    alk_buf_fini(&trace);
}

static void mutations_never_crash(void **state)
{
    struct alk_buf a, s;
    (void)state;
    alk_buf_init(&a, NULL, 1 << 16);
    alk_buf_init(&s, NULL, 1 << 16);
    put_lines(&a, ASK_REFS ASK_ACKS);
    put_lines(&s, CAPS ONE
              " HEAD symref-target:refs/heads/a peeled:" TWO "\n0000\nacknowledgments\nACK " ONE
              "\nready\n0001\nshallow-info\nshallow " ONE "\n0001\npackfile\n\1P\n\2x\n0000\n");
    struct replay r = {.asks = alk_buf_span(&a)};
    check_mutations(alk_buf_span(&s), look, &r);
    alk_buf_clear(&s);
    put_lines(&s, "version 1\n" ONE " HEAD\n" TWO " refs/tags/v1^{}\n0000\n");
    check_mutations(alk_buf_span(&s), look, &r);
    alk_buf_fini(&a);
    alk_buf_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refs_are_told_with_what_is_known_of_them),
        cmocka_unit_test(all_sections_of_a_fetch_are_told),
        cmocka_unit_test(a_negotiation_may_end_without_a_pack),
        cmocka_unit_test(stateless_answers_end_in_a_packet_of_their_own),
        cmocka_unit_test(a_refusal_is_told_and_is_the_end),
        cmocka_unit_test(older_servers_are_known_by_their_refs),
        cmocka_unit_test(what_breaks_the_protocol_is_told),
        cmocka_unit_test(requests_say_all_that_is_asked),
        cmocka_unit_test(what_a_server_does_not_know_is_not_said),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(a_request_without_room_is_not_begun),
        cmocka_unit_test(capabilities_are_found_and_bounded),
        cmocka_unit_test(conversations_of_git_are_held_again),
        cmocka_unit_test(captured_conversations_are_held_again),
        cmocka_unit_test(without_memory_nothing_leaks),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
