/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The conversations of tests/wire/call, played against the core; their README says what
 * a line means. */
#include "base/text.h"
#include "support/call_world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct script {
    struct call_world w;
    const char *name;
    unsigned line;
    struct alk_call_ref asked, ours; /* by the peer, by us, last */
};

#define CHECK(s, cond) check_at((s), (cond), #cond)
static void check_at(const struct script *s, bool holds, const char *what)
{
    if (!holds) {
        fail_msg("%s:%u: %s", s->name, s->line, what);
    }
}

static uint64_t take_stream(struct script *s, struct alk_span *rest)
{
    uint64_t stream = 0;
    CHECK(s, alk_span_u64(alk_span_cut(rest, ' '), UINT64_MAX, &stream));
    return stream;
}

/* The next line of what was told. */
static struct alk_span next_event(struct script *s)
{
    struct alk_span all = alk_buf_span(&s->w.said);
    return alk_span_cut(&all, '\n');
}

static void check_event(struct script *s, struct alk_span want)
{
    struct alk_span got = next_event(s);
    if (!alk_span_equal(got, want)) {
        fail_msg("%s:%u: got '" ALK_SPAN_FMT "'", s->name, s->line, ALK_SPAN_ARG(got));
    }
    CHECK(s, alk_buf_len(&s->w.said) > got.n);
    alk_buf_consume(&s->w.said, got.n + 1);
}

static void check_frame(struct script *s, uint64_t stream, struct alk_span want)
{
    struct alk_rd r = alk_rd(alk_call_output(s->w.core, stream));
    struct alk_span got = alk_rd_block32(&r, ALK_CALL_FRAME_MAX);
    if (!alk_span_equal(got, want)) {
        fail_msg("%s:%u: got '" ALK_SPAN_FMT "'", s->name, s->line, ALK_SPAN_ARG(got));
    }
    alk_call_sent(s->w.core, stream, got.n + 4);
}

static void says(struct script *s, struct alk_span rest, bool is_hex)
{
    struct alk_buf b;
    uint64_t stream = take_stream(s, &rest);
    alk_buf_init(&b, NULL, 1 << 16);
    if (is_hex) {
        uint8_t raw[256];
        size_t n = 0;
        CHECK(s, alk_unhex(rest, raw, sizeof raw, &n) == ALK_OK);
        (void)alk_buf_put(&b, alk_span(raw, n));
    } else {
        call_frame(&b, rest);
    }
    size_t before = alk_buf_len(&s->w.said);
    CHECK(s, call_world_feed(&s->w, stream, alk_buf_span(&b)));
    struct alk_span told = alk_span_tail(alk_buf_span(&s->w.said), before);
    if (alk_span_starts(told, ALK_LIT("requested"))) {
        s->asked = s->w.last;
    }
    alk_buf_fini(&b);
}

static void ask(struct script *s, struct alk_span rest, bool is_subscription)
{
    uint64_t stream = take_stream(s, &rest);
    struct alk_call_ask ask = {.op = alk_span_cut(&rest, ' '), .is_subscription = is_subscription};
    if (alk_span_starts(rest, ALK_LIT("credit="))) {
        ask.has_credit = true;
        CHECK(s, alk_span_u64(alk_span_tail(rest, 7), 100, &ask.credit));
    }
    alk_err err = alk_call_open(s->w.core, stream);
    CHECK(s, err == ALK_OK || err == ALK_E_EXISTS);
    CHECK(s, alk_call_request(s->w.core, stream, &ask, NULL, &s->ours) == ALK_OK);
}

static bool answer(struct script *s, struct alk_span word, struct alk_span rest)
{
    struct alk_call_core *c = s->w.core;
    struct alk_span none = {NULL, 0};
    alk_err err;
    char code[65];
    if (alk_span_is(word, "respond")) {
        err = alk_call_respond(c, s->asked, rest, false);
        CHECK(s, err == ALK_OK || err == ALK_FULL);
    } else if (alk_span_is(word, "answer")) {
        CHECK(s, alk_call_respond(c, s->asked, rest, true) == ALK_OK);
    } else if (alk_span_is(word, "complete")) {
        CHECK(s, alk_call_complete(c, s->asked) == ALK_OK);
    } else if (alk_span_is(word, "fail")) {
        CHECK(s, alk_span_cstr(rest, code, sizeof code));
        CHECK(s, alk_call_fail(c, s->asked, code, none, false, none) == ALK_OK);
    } else {
        return false;
    }
    return true;
}

static bool change(struct script *s, struct alk_span word, struct alk_span rest)
{
    uint64_t n = 0;
    if (alk_span_is(word, "abort")) {
        CHECK(s, alk_call_abort(s->w.core, s->ours, rest) == ALK_OK);
    } else if (alk_span_is(word, "credit")) {
        CHECK(s, alk_span_u64(rest, 100, &n));
        CHECK(s, alk_call_credit(s->w.core, s->ours, n) == ALK_OK);
    } else if (alk_span_is(word, "forget")) {
        alk_call_forget(s->w.core, s->ours);
    } else {
        return false;
    }
    return true;
}

static void play_line(struct script *s, struct alk_span line)
{
    struct alk_span rest = line;
    struct alk_span word = alk_span_cut(&rest, ' ');
    if (word.n == 0 || word.p[0] == '#') {
        return;
    }
    if (alk_span_is(word, ">") || alk_span_is(word, ">hex")) {
        says(s, rest, word.n > 1);
    } else if (alk_span_is(word, "<")) {
        uint64_t stream = take_stream(s, &rest);
        check_frame(s, stream, rest);
    } else if (alk_span_is(word, "event")) {
        check_event(s, rest);
    } else if (alk_span_is(word, "call") || alk_span_is(word, "subscribe")) {
        ask(s, rest, word.p[0] == 's');
    } else if (alk_span_is(word, "eof")) {
        alk_call_eof(s->w.core, take_stream(s, &rest));
    } else if (alk_span_is(word, "close")) {
        alk_call_close_stream(s->w.core, take_stream(s, &rest));
    } else {
        CHECK(s, answer(s, word, rest) || change(s, word, rest));
    }
    call_world_events(&s->w);
}

static void play(const char *path)
{
    struct script s = {.name = path};
    FILE *f = fopen(path, "r");
    char line[1024];
    assert_non_null(f);
    call_world_init(&s.w, NULL);
    while (fgets(line, sizeof line, f) != NULL) {
        struct alk_span text = alk_span_str(line);
        s.line++;
        CHECK(&s, text.n > 0 && line[text.n - 1] == '\n');
        play_line(&s, alk_span_head(text, text.n - 1));
    }
    (void)fclose(f);
    CHECK(&s, alk_buf_len(&s.w.said) == 0);
    size_t at = 0;
    uint64_t stream;
    CHECK(&s, !alk_call_dirty(s.w.core, &at, &stream));
    call_world_fini(&s.w);
}

static void every_conversation_goes_as_written(void **state)
{
    static const char dir_path[] = ALK_SOURCE_DIR "/tests/wire/call";
    DIR *dir = opendir(dir_path);
    struct dirent *e;
    unsigned n = 0;
    (void)state;
    assert_non_null(dir);
    while ((e = readdir(dir)) != NULL) {
        char path[512];
        if (alk_span_ends(alk_span_str(e->d_name), ALK_LIT(".txt"))) {
            (void)snprintf(path, sizeof path, "%s/%s", dir_path, e->d_name);
            play(path);
            n++;
        }
    }
    (void)closedir(dir);
    assert_true(n >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_conversation_goes_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
