/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Lines of topics and patterns: the index finds exactly the patterns that match, and
 * covering, overlapping and matching agree with one another. */
#include "base/mem.h"
#include "ops/topic_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 32 };

struct line {
    struct alk_topic_entry entry;
    struct alk_span text;
    unsigned hits;
};

static void hit(void *ctx, struct alk_topic_entry *entry)
{
    (void)ctx;
    ALK_CONTAINER(entry, struct line, entry)->hits++;
}

static void expect(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void check_pair(struct alk_span a, struct alk_span b)
{
    struct alk_topic parsed;
    bool is_topic = alk_topic_parse(b, &parsed) == ALK_OK;
    expect(alk_topic_overlaps(a, b) == alk_topic_overlaps(b, a));
    expect(!alk_topic_covers(a, b) || alk_topic_overlaps(a, b));
    expect(alk_topic_matches(a, b) == (is_topic && alk_topic_covers(a, b)));
    expect(!is_topic || alk_topic_overlaps(a, b) == alk_topic_matches(a, b));
}

static void check_topic(const struct alk_topic_index *index, struct line *lines, size_t n,
                        struct alk_span topic)
{
    struct alk_topic parsed;
    if (alk_topic_parse(topic, &parsed) != ALK_OK) {
        return;
    }
    alk_topic_index_find(index, topic, &parsed, hit, NULL);
    for (size_t i = 0; i < n; i++) {
        expect(lines[i].hits == (alk_topic_matches(lines[i].text, topic) ? 1u : 0u));
        lines[i].hits = 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[16] = {3};
    struct line lines[LINES] = {0};
    struct alk_topic_index index;
    struct alk_span rest = alk_span(data, size);
    size_t n = 0;
    alk_topic_index_init(&index, NULL, 1024, seed);
    for (; n < LINES && rest.n > 0; n++) {
        lines[n].text = alk_span_cut(&rest, '\n');
        struct alk_topic parsed;
        bool is_pattern = alk_topic_parse_pattern(lines[n].text, &parsed) == ALK_OK;
        alk_err err = alk_topic_index_add(&index, lines[n].text, &lines[n].entry);
        expect(err == (is_pattern ? ALK_OK : ALK_E_INVALID));
    }
    for (size_t i = 0; i < n; i++) {
        check_topic(&index, lines, n, lines[i].text);
        for (size_t k = 0; k < n; k++) {
            check_pair(lines[i].text, lines[k].text);
        }
    }
    for (size_t i = 0; i < n; i++) {
        alk_topic_index_remove(&index, &lines[i].entry);
    }
    alk_topic_index_fini(&index);
    return 0;
}
