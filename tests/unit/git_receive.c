/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a pushing client says before its pack. */
#include "git/proto/receive.h"

#include "git/proto/pushcert.h"
#include "support/oom.h"
#include "support/vector.h"

#include <stdio.h>

#define GIT_VECTORS ALK_SOURCE_DIR "/tests/vectors/git/"

#define ZERO "0000000000000000000000000000000000000000"
#define ONE  "30da7cecffd69d0690d02f4faec928468e7804c9"
#define LONG "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"

/* A conversation in lines: each item is a packet, "0000" and so on a mark. Zero bytes of a
 * packet are written as '|'. */
static void put_packet(struct alk_buf *b, const char *text)
{
    static const char *const marks[] = {"0000", "0001", "0002"};
    static const enum alk_git_pkt_kind kinds[] = {ALK_GIT_PKT_FLUSH, ALK_GIT_PKT_DELIM,
                                                  ALK_GIT_PKT_RESPONSE_END};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(text, marks[i]) == 0) {
            check_err(alk_git_pkt_put_mark(b, kinds[i]), ALK_OK);
            return;
        }
    }
    size_t before = alk_buf_len(b);
    check_err(alk_git_pkt_put(b, alk_span_str(text)), ALK_OK);
    for (size_t i = b->at + before; i < b->end; i++) {
        b->p[i] = b->p[i] == '|' ? 0 : b->p[i];
    }
}

static void put_packets(struct alk_buf *b, const char *const *texts)
{
    alk_buf_init(b, NULL, 1 << 20);
    for (size_t i = 0; texts[i] != NULL; i++) {
        put_packet(b, texts[i]);
    }
}

static void trace_span(struct alk_buf *t, const char *name, struct alk_span s)
{
    check_err(alk_buf_printf(t, "%s=%.*s\n", name, (int)s.n, s.n ? (const char *)s.p : ""), ALK_OK);
}

static void trace_push(const struct alk_git_receive *r, struct alk_buf *t)
{
    for (size_t i = 0; i < alk_git_receive_command_count(r); i++) {
        struct alk_git_command c = alk_git_receive_command(r, i);
        trace_span(t, "old", c.old_id);
        trace_span(t, "new", c.new_id);
        trace_span(t, "ref", c.ref);
    }
    for (size_t i = 0; i < alk_git_receive_option_count(r); i++) {
        trace_span(t, "option", alk_git_receive_option(r, i));
    }
    trace_span(t, "cert", alk_git_receive_cert(r));
    trace_span(t, "caps", alk_git_receive_caps(r));
    check_err(alk_buf_printf(t, "shallow=%zu pack=%d end=%d\n", alk_git_receive_shallow_count(r),
                             alk_git_receive_has_pack(r), alk_git_receive_may_end(r)),
              ALK_OK);
}

/* What came of it, and how many bytes it took. raw must be just those. */
static void feed(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    const struct alk_git_receive_options *options = ctx;
    struct alk_git_receive *r = NULL;
    struct alk_buf all;
    size_t used = 0, total = 0;
    alk_err err = ALK_MORE;
    alk_buf_init(&all, NULL, 1 << 20);
    check_err(alk_git_receive_new(options, &r), ALK_OK);
    for (size_t i = 0; i < n && err == ALK_MORE; i++) {
        err = alk_git_receive_feed(r, pieces[i], &used);
        assert_true(err != ALK_MORE || used == pieces[i].n);
        check_err(alk_buf_put(&all, alk_span_head(pieces[i], used)), ALK_OK);
        total += used;
    }
    if (err >= 0) {
        check_err(alk_buf_printf(trace, "%s %zu\n", alk_err_name(err), total), ALK_OK);
        assert_true(alk_span_equal(alk_git_receive_raw(r), alk_buf_span(&all)));
    } else {
        /* How much was used before an error depends on the pieces; what is wrong does not. */
        check_err(alk_buf_printf(trace, "%s %s\n", alk_err_name(err), alk_git_receive_why(r)),
                  ALK_OK);
        assert_true(strlen(alk_git_receive_why(r)) > 5);
        assert_int_equal(alk_git_receive_feed(r, ALK_LIT("0000"), &used), err);
        assert_int_equal(used, 0);
    }
    if (err == ALK_OK) {
        trace_push(r, trace);
        check_err(alk_git_receive_feed(r, ALK_LIT("PACK"), &used), ALK_OK);
        assert_int_equal(used, 0);
    }
    alk_git_receive_free(r);
    alk_buf_fini(&all);
}

static void check_trace(struct alk_span in, const struct alk_git_receive_options *options,
                        const char *want)
{
    struct alk_buf trace;
    alk_buf_init(&trace, NULL, 1 << 20);
    feed(&in, 1, &trace, (void *)(uintptr_t)options);
    check_text(alk_buf_span(&trace), want);
    alk_buf_fini(&trace);
}

static const struct alk_git_receive_options with_cert = {.allows_cert = true};

static void commands_options_and_pack_are_told_apart(void **state)
{
    struct alk_buf b;
    (void)state;
    put_packets(&b, (const char *const[]){
                        "shallow " ONE "\n", ZERO " " ONE " refs/heads/a| atomic push-options",
                        ONE " " ZERO " refs/heads/b\n", "0000", "x=1\n", "0000", NULL});
    check_err(alk_buf_put_str(&b, "PACK"), ALK_OK);
    char want[1000];
    (void)snprintf(want, sizeof(want),
                   "ALK_OK %zu\nold=" ZERO "\nnew=" ONE "\nref=refs/heads/a\nold=" ONE "\nnew=" ZERO
                   "\nref=refs/heads/b\noption=x=1\ncert=\n"
                   "caps= atomic push-options\nshallow=1 pack=1 end=0\n",
                   alk_buf_len(&b) - 4);
    check_trace(alk_buf_span(&b), &with_cert, want);
    check_splits(alk_buf_span(&b), feed, (void *)(uintptr_t)&with_cert);
    alk_buf_fini(&b);
}

static void a_push_of_nothing_or_of_deletions_has_no_pack(void **state)
{
    struct alk_buf b;
    (void)state;
    check_trace(ALK_LIT("0000"), &with_cert, "ALK_OK 4\ncert=\ncaps=\nshallow=0 pack=0 end=1\n");
    check_trace(ALK_LIT(""), &with_cert, "ALK_MORE 0\n");
    put_packets(&b, (const char *const[]){ONE " " ZERO " refs/heads/b|", "0000", NULL});
    check_trace(alk_buf_span(&b), &with_cert,
                "ALK_OK 103\nold=" ONE "\nnew=" ZERO
                "\nref=refs/heads/b\ncert=\ncaps=\nshallow=0 pack=0 end=1\n");
    alk_buf_fini(&b);
}

static void a_client_may_end_before_the_first_byte_or_after_the_last(void **state)
{
    struct alk_git_receive *r = NULL;
    size_t used = 0;
    (void)state;
    check_err(alk_git_receive_new(&with_cert, &r), ALK_OK);
    assert_true(alk_git_receive_may_end(r));
    assert_string_equal(alk_git_receive_why(r), "");
    check_err(alk_git_receive_feed(r, ALK_LIT("00"), &used), ALK_MORE);
    assert_false(alk_git_receive_may_end(r));
    check_err(alk_git_receive_feed(r, ALK_LIT("00"), &used), ALK_OK);
    assert_true(alk_git_receive_may_end(r));
    alk_git_receive_free(r);
}

static const struct {
    const char *packets[8];
    alk_err want;
    const char *why;
} refused[] = {
    {{ZERO " " ONE " refs/heads/a|", ZERO " " ONE " refs/heads/b| atomic"},
     ALK_E_PROTOCOL,
     "a zero byte in a command"},
    {{ZERO " " ONE " refs/heads/a| atomic| x"}, ALK_E_PROTOCOL, "a zero byte in the capabilities"},
    {{ZERO " " ONE " refs/heads/a|", "shallow " ONE},
     ALK_E_PROTOCOL,
     "a shallow line after the first command"},
    {{"shallow " ONE "| atomic"}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{"shallow x"}, ALK_E_PROTOCOL, "a shallow line without an object id"},
    {{"shallow " ONE, "shallow " LONG}, ALK_E_PROTOCOL, "a shallow line without an object id"},
    {{"shallow " LONG, ZERO " " ONE " refs/heads/a|"},
     ALK_E_PROTOCOL,
     "the repository has another object format"},
    {{ZERO " " ONE " refs/heads/a| object-format=sha256"},
     ALK_E_PROTOCOL,
     "a command is not: old id, new id, ref"},
    {{ZERO " " ONE " refs/heads/a| object-format=md5"}, ALK_E_PROTOCOL, "unknown object format"},
    {{LONG " " LONG " refs/heads/a|"}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{ZERO " " ONE " HEAD|"}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{ZERO " " ONE " refs/heads/a..b|"}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{""}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{"command=ls-refs"}, ALK_E_PROTOCOL, "a command is not: old id, new id, ref"},
    {{"0001"}, ALK_E_PROTOCOL, "an unexpected packet in a push"},
    {{ZERO " " ONE " refs/heads/a|", "0002"}, ALK_E_PROTOCOL, "an unexpected packet in a push"},
    {{ZERO " " ONE " refs/heads/a| push-options", "0000", "a|b"},
     ALK_E_PROTOCOL,
     "a push option has a zero byte or a line end"},
    {{ZERO " " ONE " refs/heads/a| push-options", "0000", "a\nb"},
     ALK_E_PROTOCOL,
     "a push option has a zero byte or a line end"},
    {{ZERO " " ONE " refs/heads/a| push-options", "0000", "0001"},
     ALK_E_PROTOCOL,
     "an unexpected packet in a push"},
    {{ZERO " " ONE " refs/heads/a|", "push-cert"},
     ALK_E_PROTOCOL,
     "a push certificate beside commands"},
    {{"push-cert|", "push-cert-end\n"}, ALK_E_PROTOCOL, "the push certificate is malformed"},
    {{"push-cert|", "x|\n"}, ALK_E_PROTOCOL, "a zero byte in a push certificate"},
    {{"push-cert|", "certificate version 0.1\n", "0000"},
     ALK_E_PROTOCOL,
     "the push certificate is not whole"},
    {{"push-cert|", "0001"}, ALK_E_PROTOCOL, "an unexpected packet in a push"},
    {{"push-cert|", "certificate version 0.1\npusher a 1 +0000\n\n" ZERO " " ONE " refs/heads/a\n",
      "-----BEGIN PGP SIGNATURE-----\n", "push-cert-end\n"},
     ALK_E_PROTOCOL,
     "the push certificate is not signed with an SSH key"},
};

static void what_git_could_read_otherwise_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct alk_buf b;
        char want[200];
        put_packets(&b, refused[i].packets);
        (void)snprintf(want, sizeof(want), "%s %s\n", alk_err_name(refused[i].want),
                       refused[i].why);
        check_trace(alk_buf_span(&b), &with_cert, want);
        check_splits(alk_buf_span(&b), feed, (void *)(uintptr_t)&with_cert);
        alk_buf_fini(&b);
    }
    check_trace(ALK_LIT("GET / HTTP"), &with_cert,
                "ALK_E_MALFORMED no packets of git's protocol\n");
    check_trace(ALK_LIT("fff1"), &with_cert, "ALK_E_TOO_BIG no packets of git's protocol\n");
}

/* --- certificates -------------------------------------------------------------------- */

#define CERT_HEAD                                                                                  \
    "certificate version 0.1\n", "pusher SHA256:a  1 +0000\n", "push-option x\n", "\n",            \
        ZERO " " ONE " refs/heads/a\n"
#define CERT_TAIL "-----BEGIN SSH SIGNATURE-----\n", "YWJj\n", "-----END SSH SIGNATURE-----\n"

static void the_commands_of_a_certificate_are_those_of_the_push(void **state)
{
    struct alk_buf b;
    (void)state;
    put_packets(&b, (const char *const[]){"shallow " ONE, "push-cert| push-options", CERT_HEAD,
                                          CERT_TAIL, "push-cert-end\n", "0000", "x", "0000", NULL});
    char want[1000];
    (void)snprintf(want, sizeof(want),
                   "ALK_OK %zu\nold=" ZERO "\nnew=" ONE "\nref=refs/heads/a\noption=x\n"
                   "cert=certificate version 0.1\npusher SHA256:a  1 +0000\npush-option x\n\n" ZERO
                   " " ONE " refs/heads/a\n-----BEGIN SSH SIGNATURE-----\nYWJj\n"
                   "-----END SSH SIGNATURE-----\n\ncaps= push-options\nshallow=1 pack=1 end=0\n",
                   alk_buf_len(&b));
    check_trace(alk_buf_span(&b), &with_cert, want);
    check_splits(alk_buf_span(&b), feed, (void *)(uintptr_t)&with_cert);

    static const struct alk_git_receive_options without = {0};
    check_trace(alk_buf_span(&b), &without,
                "ALK_E_PROTOCOL a push certificate that was not asked for\n");
    alk_buf_fini(&b);
}

static void a_certificate_stands_alone_and_has_the_options(void **state)
{
    static const struct {
        const char *packets[16];
        const char *why;
    } rows[] = {
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n",
          ZERO " " ONE " refs/heads/b", "0000"},
         "something else beside a push certificate"},
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "push-cert"},
         "something else beside a push certificate"},
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "shallow " ONE},
         "a shallow line after the first command"},
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "0000", "y", "0000"},
         "the push options are not those of the certificate"},
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "0000", "0000"},
         "the push options are not those of the certificate"},
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "0000", "x", "x",
          "0000"},
         "the push options are not those of the certificate"},
        {{"push-cert|", CERT_HEAD, CERT_TAIL, "push-cert-end\n", "0000"},
         "the push options are not those of the certificate"},
        /* git compares with the LF: this is a line of the certificate */
        {{"push-cert| push-options", CERT_HEAD, CERT_TAIL, "push-cert-end", "push-cert-end\n"},
         "the push certificate is malformed"},
        {{"push-cert| object-format=sha256", CERT_HEAD, CERT_TAIL, "push-cert-end\n"},
         "a command is not: old id, new id, ref"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_buf b;
        char want[200];
        put_packets(&b, rows[i].packets);
        (void)snprintf(want, sizeof(want), "ALK_E_PROTOCOL %s\n", rows[i].why);
        check_trace(alk_buf_span(&b), &with_cert, want);
        alk_buf_fini(&b);
    }
}

/* --- limits -------------------------------------------------------------------------- */

static alk_err feed_all(struct alk_git_receive *r, const char *const *packets)
{
    struct alk_buf b;
    size_t used = 0;
    put_packets(&b, packets);
    alk_err err = alk_git_receive_feed(r, alk_buf_span(&b), &used);
    alk_buf_fini(&b);
    return err;
}

static void every_count_and_size_has_a_limit(void **state)
{
    struct alk_git_receive *r = NULL;
    char option[ALK_GIT_RECEIVE_OPTION_BYTES + 2] = {0};
    (void)state;
    /* commands */
    struct alk_git_receive_options o = {.commands_max = 2};
    const char *const two[] = {ZERO " " ONE " refs/heads/a|", ZERO " " ONE " refs/heads/b", NULL};
    const char *const one[] = {ZERO " " ONE " refs/heads/c", NULL};
    check_err(alk_git_receive_new(&o, &r), ALK_OK);
    check_err(feed_all(r, two), ALK_MORE);
    check_err(feed_all(r, one), ALK_E_TOO_BIG);
    alk_git_receive_free(r);
    /* bytes: these two are 197 */
    for (size_t over = 0; over < 2; over++) {
        o = (struct alk_git_receive_options){.bytes_max = 196 + !over};
        check_err(alk_git_receive_new(&o, &r), ALK_OK);
        check_err(feed_all(r, two), over ? ALK_E_TOO_BIG : ALK_MORE);
        alk_git_receive_free(r);
    }
    /* options: how many, and how long */
    const char *const start[] = {ZERO " " ONE " refs/heads/a| push-options", "0000", NULL};
    const char *const empty[] = {"x", NULL};
    o = (struct alk_git_receive_options){0};
    check_err(alk_git_receive_new(&o, &r), ALK_OK);
    check_err(feed_all(r, start), ALK_MORE);
    for (size_t i = 0; i < ALK_GIT_RECEIVE_OPTIONS_MAX; i++) {
        check_err(feed_all(r, empty), ALK_MORE);
    }
    check_err(feed_all(r, empty), ALK_E_TOO_BIG);
    alk_git_receive_free(r);
    check_err(alk_git_receive_new(&o, &r), ALK_OK);
    check_err(feed_all(r, start), ALK_MORE);
    memset(option, 'o', ALK_GIT_RECEIVE_OPTION_BYTES);
    check_err(feed_all(r, (const char *const[]){option, NULL}), ALK_MORE);
    option[ALK_GIT_RECEIVE_OPTION_BYTES] = 'o';
    check_err(feed_all(r, (const char *const[]){option, NULL}), ALK_E_TOO_BIG);
    alk_git_receive_free(r);
    /* shallow lines */
    check_err(alk_git_receive_new(&o, &r), ALK_OK);
    struct alk_buf b;
    size_t used = 0;
    alk_buf_init(&b, NULL, 1000);
    put_packet(&b, "shallow " ONE);
    for (size_t i = 0; i < ALK_GIT_RECEIVE_SHALLOWS_MAX; i++) {
        check_err(alk_git_receive_feed(r, alk_buf_span(&b), &used), ALK_MORE);
    }
    check_err(alk_git_receive_feed(r, alk_buf_span(&b), &used), ALK_E_TOO_BIG);
    alk_git_receive_free(r);
    alk_buf_fini(&b);
    /* what an id's length may be */
    o = (struct alk_git_receive_options){.id_hex = 41};
    check_err(alk_git_receive_new(&o, &r), ALK_E_INVALID);
}

static void the_repository_s_object_format_is_kept(void **state)
{
    static const struct {
        size_t id_hex;
        const char *command;
        alk_err want;
    } rows[] = {
        {40, ZERO " " ONE " refs/heads/a|", ALK_MORE},
        {64, ZERO " " ONE " refs/heads/a|", ALK_E_PROTOCOL},
        {64, LONG " " LONG " refs/heads/a| object-format=sha256", ALK_MORE},
        {40, LONG " " LONG " refs/heads/a| object-format=sha256", ALK_E_PROTOCOL},
        {0, LONG " " LONG " refs/heads/a| object-format=sha256", ALK_MORE},
        {0, ZERO " " ONE " refs/heads/a| object-format=sha1", ALK_MORE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_receive *r = NULL;
        struct alk_git_receive_options o = {.id_hex = rows[i].id_hex};
        check_err(alk_git_receive_new(&o, &r), ALK_OK);
        check_err(feed_all(r, (const char *const[]){rows[i].command, NULL}), rows[i].want);
        alk_git_receive_free(r);
    }
}

static void forgetting_gives_the_memory_back(void **state)
{
    struct test_mem t;
    struct alk_git_receive *r = NULL;
    (void)state;
    test_mem_init(&t, 0);
    struct alk_git_receive_options o = {.mem = &t.mem};
    check_err(alk_git_receive_new(&o, &r), ALK_OK);
    check_err(feed_all(r, (const char *const[]){ZERO " " ONE " refs/heads/a| push-options", "0000",
                                                "x", "0000", NULL}),
              ALK_OK);
    alk_git_receive_forget(r);
    assert_int_equal(t.live, 1);
    assert_int_equal(alk_git_receive_command_count(r), 0);
    assert_int_equal(alk_git_receive_option_count(r), 0);
    assert_int_equal(alk_git_receive_raw(r).n, 0);
    assert_int_equal(alk_git_receive_caps(r).n, 0);
    assert_true(alk_git_receive_has_pack(r));
    alk_git_receive_free(r);
    test_mem_check(&t);
}

/* --- memory, mutations, captures ----------------------------------------------------- */

static struct alk_buf signed_push(void)
{
    struct alk_buf b;
    put_packets(&b, (const char *const[]){"shallow " ONE, "push-cert| push-options", CERT_HEAD,
                                          CERT_TAIL, "push-cert-end\n", "0000", "x", "0000", NULL});
    return b;
}

static alk_err receive_in(const struct alk_mem *mem, void *ctx)
{
    struct alk_buf *b = ctx;
    struct alk_git_receive *r = NULL;
    struct alk_git_receive_options o = {.mem = mem, .allows_cert = true};
    size_t used = 0;
    alk_err err = alk_git_receive_new(&o, &r);
    if (err == ALK_OK) {
        err = alk_git_receive_feed(r, alk_buf_span(b), &used);
        alk_git_receive_free(r);
    }
    return err;
}

static void without_memory_nothing_leaks(void **state)
{
    struct alk_buf b = signed_push();
    (void)state;
    oom_sweep(receive_in, &b);
    alk_buf_fini(&b);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_buf trace;
    (void)ctx;
    alk_buf_init(&trace, NULL, 1 << 20);
    feed(&in, 1, &trace, (void *)(uintptr_t)&with_cert);
    alk_buf_fini(&trace);
}

static void mutations_never_crash(void **state)
{
    struct alk_buf b = signed_push();
    (void)state;
    check_mutations(alk_buf_span(&b), look, NULL);
    alk_buf_fini(&b);
}

static void check_push(const char *path, size_t commands, size_t options, bool has_cert,
                       size_t shallows)
{
    struct alk_buf b;
    struct alk_git_receive *r = NULL;
    size_t used = 0;
    vector_read(path, &b);
    struct alk_span in = alk_buf_span(&b);
    check_err(alk_git_receive_new(&with_cert, &r), ALK_OK);
    check_err(alk_git_receive_feed(r, in, &used), ALK_OK);
    assert_int_equal(alk_git_receive_command_count(r), commands);
    assert_int_equal(alk_git_receive_option_count(r), options);
    assert_int_equal(alk_git_receive_cert(r).n > 0, has_cert);
    assert_int_equal(alk_git_receive_shallow_count(r), shallows);
    assert_true(alk_span_equal(alk_git_receive_raw(r), alk_span_head(in, used)));
    struct alk_span rest = alk_span_tail(in, used);
    assert_int_equal(alk_git_receive_has_pack(r), rest.n > 0);
    assert_true(rest.n == 0 || alk_span_starts(rest, ALK_LIT("PACK")));
    assert_int_equal(alk_git_receive_may_end(r), rest.n == 0);
    alk_git_receive_free(r);
    check_splits(in, feed, (void *)(uintptr_t)&with_cert);
    alk_buf_fini(&b);
}

static void what_git_pushes_is_understood(void **state)
{
    static const struct {
        const char *name;
        size_t commands, options;
        bool has_cert;
        size_t shallows;
    } rows[] = {
        {"plain", 2, 0, false, 0}, {"delete", 1, 1, false, 0},  {"empty", 0, 0, false, 0},
        {"signed", 2, 2, true, 0}, {"shallow", 1, 0, false, 1}, {"shallowsigned", 1, 0, true, 1},
    };
    static const char *const hashes[] = {"sha1", "sha256"};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 2; k++) {
            char path[512];
            (void)snprintf(path, sizeof(path), GIT_VECTORS "push-%s-%s.c2s", rows[i].name,
                           hashes[k]);
            check_push(path, rows[i].commands, rows[i].options, rows[i].has_cert, rows[i].shallows);
        }
    }
}

static void the_captured_push_is_understood(void **state)
{
    (void)state;
    check_push(ALK_VECTORS_DIR "/06-git/signed-push.c2s.bin", 2, 1, true, 0);
}

static void capabilities_are_whole_words(void **state)
{
    struct alk_span caps = ALK_LIT(" report-status-v2 agent=git/2=x atomic quiet=");
    struct alk_span v;
    (void)state;
    assert_true(alk_git_caps_get(caps, "agent", &v));
    check_text(v, "git/2=x");
    assert_true(alk_git_caps_get(caps, "atomic", &v));
    check_text(v, "");
    assert_true(alk_git_caps_get(caps, "quiet", NULL));
    assert_false(alk_git_caps_get(caps, "report-status", &v));
    assert_false(alk_git_caps_get(caps, "tomic", &v));
    assert_false(alk_git_caps_get(caps, "x", &v));
    assert_false(alk_git_caps_get(ALK_LIT(""), "atomic", &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_options_and_pack_are_told_apart),
        cmocka_unit_test(a_push_of_nothing_or_of_deletions_has_no_pack),
        cmocka_unit_test(a_client_may_end_before_the_first_byte_or_after_the_last),
        cmocka_unit_test(what_git_could_read_otherwise_is_refused),
        cmocka_unit_test(the_commands_of_a_certificate_are_those_of_the_push),
        cmocka_unit_test(a_certificate_stands_alone_and_has_the_options),
        cmocka_unit_test(every_count_and_size_has_a_limit),
        cmocka_unit_test(the_repository_s_object_format_is_kept),
        cmocka_unit_test(forgetting_gives_the_memory_back),
        cmocka_unit_test(without_memory_nothing_leaks),
        cmocka_unit_test(mutations_never_crash),
        cmocka_unit_test(what_git_pushes_is_understood),
        cmocka_unit_test(the_captured_push_is_understood),
        cmocka_unit_test(capabilities_are_whole_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
