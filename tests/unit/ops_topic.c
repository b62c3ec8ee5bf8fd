/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/rand.h"
#include "ops/topic_index.h"
#include "support/oom.h"

#define T16 "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"

static void syntax_of_topics_and_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_topic, is_pattern;
    } rows[] = {
        {"a", true, true},          {"a.b", true, true},      {"A-Z_0.9", true, true},
        {T16, true, true},          {T16 ".q", false, false}, {"", false, false},
        {".", false, false},        {"a.", false, false},     {".a", false, false},
        {"a..b", false, false},     {"a b", false, false},    {"a/b", false, false},
        {"\xc3\xa9", false, false}, {"*", false, true},       {">", false, true},
        {"a.*", false, true},       {"*.a", false, true},     {"a.>", false, true},
        {">.a", false, false},      {"a*", false, false},     {"*a", false, false},
        {"a.**", false, false},     {"a>", false, false},     {"a.>b", false, false},
        {"a.>.", false, false},     {"*.*.>", false, true},   {"**", false, false},
        {">>", false, false},       {"*>", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_topic t;
        struct alk_span text = alk_span_str(rows[i].text);
        bool is_topic = alk_topic_parse(text, &t) == ALK_OK;
        bool is_pattern = alk_topic_parse_pattern(text, &t) == ALK_OK;
        if (is_topic != rows[i].is_topic || is_pattern != rows[i].is_pattern) {
            fail_msg("'%s': topic %d, pattern %d", rows[i].text, is_topic, is_pattern);
        }
    }
}

static void a_topic_has_at_most_255_bytes(void **state)
{
    (void)state;
    char text[257];
    struct alk_topic t;
    memset(text, 'x', sizeof(text));
    check_err(alk_topic_parse(alk_span(text, 255), &t), ALK_OK);
    assert_int_equal(t.count, 1);
    assert_int_equal(t.end[0], 255);
    check_err(alk_topic_parse(alk_span(text, 256), &t), ALK_E_INVALID);
    check_err(alk_topic_parse_pattern(alk_span(text, 256), &t), ALK_E_INVALID);
}

static void patterns_match_topics(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *topic;
        bool want;
    } rows[] = {
        {"a.b", "a.b", true},     {"a.b", "a.c", false},   {"a.b", "a", false},
        {"a.b", "a.b.c", false},  {"*", "a", true},        {"*", "a.b", false},
        {"a.*", "a.b", true},     {"a.*", "a", false},     {"*.b", "a.b", true},
        {"*.b.*", "a.b.c", true}, {">", "a", true},        {">", "a.b.c", true},
        {"a.>", "a.b", true},     {"a.>", "a.b.c", true},  {"a.>", "a", false},
        {"a.>", "b.c", false},    {"*.>", "a", false},     {"*.>", "a.b", true},
        {"a.*.>", "a.b.c", true}, {"a.*.>", "a.b", false}, {"A", "a", false},
        {"a.b", "a.*", false},    {"bad..", "a", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool got = alk_topic_matches(alk_span_str(rows[i].pattern), alk_span_str(rows[i].topic));
        if (got != rows[i].want) {
            fail_msg("%s on %s: %d", rows[i].pattern, rows[i].topic, got);
        }
    }
}

static void patterns_cover_and_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool covers, overlaps;
    } rows[] = {
        {">", "a.*", true, true},       {"a.*", ">", false, true},     {"a.>", "a.*", true, true},
        {"a.*", "a.>", false, true},    {"a.*", "a.b", true, true},    {"a.b", "a.*", false, true},
        {"a.*", "*.b", false, true},    {"a.*", "b.*", false, false},  {"a", "a.>", false, false},
        {"*.*", "a.>", false, true},    {"*", "a.>", false, false},    {"a.>", "a.>", true, true},
        {"*.>", "a.b.>", true, true},   {"a.b.>", "*.>", false, true}, {"a.b", "a.b", true, true},
        {"a.b.c", "a.*", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_span a = alk_span_str(rows[i].a), b = alk_span_str(rows[i].b);
        if (alk_topic_covers(a, b) != rows[i].covers ||
            alk_topic_overlaps(a, b) != rows[i].overlaps ||
            alk_topic_overlaps(b, a) != rows[i].overlaps) {
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        }
    }
}

/* --- the index --------------------------------------------------------------- */

enum { ENTRIES = 200 };

struct listener {
    struct alk_topic_entry entry;
    char pattern[40];
    unsigned hits;
};

static void hit(void *ctx, struct alk_topic_entry *entry)
{
    unsigned *all = ctx;
    ALK_CONTAINER(entry, struct listener, entry)->hits++;
    (*all)++;
}

/* 1-4 tokens out of a few, with wildcards when it is a pattern. */
static void make_text(struct alk_prng *g, bool is_pattern, char *ret, size_t ret_size)
{
    static const char *const words[] = {"a", "b", "c", "*", ">"};
    size_t tokens = 1 + alk_prng_next(g) % 4;
    ret[0] = '\0';
    for (size_t i = 0; i < tokens; i++) {
        const char *word = words[alk_prng_next(g) % (is_pattern ? 5 : 3)];
        size_t n = strlen(ret);
        (void)snprintf(ret + n, ret_size - n, "%s%s", i == 0 ? "" : ".", word);
        if (word[0] == '>') {
            return;
        }
    }
}

static alk_err agree(const struct alk_mem *mem, void *ctx)
{
    static const uint8_t seed[16] = {9};
    const unsigned *rounds = ctx;
    struct listener *all = calloc(ENTRIES, sizeof(*all));
    struct alk_topic_index index;
    struct alk_prng g;
    alk_err err = ALK_OK;
    assert_non_null(all);
    alk_prng_init(&g, 4);
    alk_topic_index_init(&index, mem, 4096, seed);
    for (unsigned round = 0; round < *rounds && err == ALK_OK; round++) {
        struct listener *l = &all[alk_prng_next(&g) % ENTRIES];
        if (l->entry.node != NULL) {
            alk_topic_index_remove(&index, &l->entry);
        } else {
            make_text(&g, true, l->pattern, sizeof(l->pattern));
            err = alk_topic_index_add(&index, alk_span_str(l->pattern), &l->entry);
        }
        char topic[40];
        struct alk_topic parsed;
        make_text(&g, false, topic, sizeof(topic));
        check_err(alk_topic_parse(alk_span_str(topic), &parsed), ALK_OK);
        unsigned found = 0;
        alk_topic_index_find(&index, alk_span_str(topic), &parsed, hit, &found);
        for (size_t i = 0; i < ENTRIES; i++) {
            bool want = all[i].entry.node != NULL &&
                        alk_topic_matches(alk_span_str(all[i].pattern), alk_span_str(topic));
            assert_int_equal(all[i].hits, want ? 1 : 0);
            found -= all[i].hits;
            all[i].hits = 0;
        }
        assert_int_equal(found, 0);
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        alk_topic_index_remove(&index, &all[i].entry);
    }
    assert_int_equal(index.edges.n, 0);
    alk_topic_index_fini(&index);
    free(all);
    return err;
}

static void the_index_finds_whom_the_patterns_match(void **state)
{
    (void)state;
    unsigned rounds = 20000;
    struct test_mem mem;
    test_mem_init(&mem, 0);
    check_err(agree(&mem.mem, &rounds), ALK_OK);
    test_mem_check(&mem);
}

static void the_index_survives_lack_of_memory(void **state)
{
    (void)state;
    unsigned rounds = 60;
    oom_sweep(agree, &rounds);
}

static void the_index_is_bounded(void **state)
{
    (void)state;
    static const uint8_t seed[16] = {1};
    struct alk_topic_index index;
    struct alk_topic_entry a = {0}, b = {0}, c = {0};
    alk_topic_index_init(&index, NULL, 4, seed);
    check_err(alk_topic_index_add(&index, ALK_LIT("x.y.z"), &a), ALK_OK);
    check_err(alk_topic_index_add(&index, ALK_LIT("p.q"), &b), ALK_E_LIMIT);
    check_err(alk_topic_index_add(&index, ALK_LIT("x.y.*"), &b), ALK_OK);
    check_err(alk_topic_index_add(&index, ALK_LIT("x..y"), &c), ALK_E_INVALID);
    assert_int_equal(index.edges.n, 4);
    alk_topic_index_remove(&index, &c);
    alk_topic_index_remove(&index, &a);
    assert_int_equal(index.edges.n, 3);
    alk_topic_index_remove(&index, &b);
    alk_topic_index_fini(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_of_topics_and_patterns),
        cmocka_unit_test(a_topic_has_at_most_255_bytes),
        cmocka_unit_test(patterns_match_topics),
        cmocka_unit_test(patterns_cover_and_overlap),
        cmocka_unit_test(the_index_finds_whom_the_patterns_match),
        cmocka_unit_test(the_index_survives_lack_of_memory),
        cmocka_unit_test(the_index_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
