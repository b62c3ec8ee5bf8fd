/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* PCRE2, kept within bounds (docs/adr/0013-patterns.md): what compiled patterns hold is counted for
 * the schema as a whole; what a match does is paid for with steps. No JIT: it needs
 * writable code. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/mem.h"
#include "ops/schema_build.h"
#include "ops/schema_check.h"
#include "ops/schema_pattern.h"

#include <pcre2.h>

/* Bytes that a pattern may grow to in the words of PCRE2. */
#define TRANSLATED_MAX ((size_t)65536)

/* Memory of PCRE2, with what it may be in all. Each block says its size. */
struct schema_regexes {
    const struct alk_mem *mem;
    size_t used, max;
    bool is_short; /* of memory itself, not of what it may have */
};
union block {
    size_t n;
    max_align_t align;
};

static void *pool_alloc(size_t n, void *ctx)
{
    struct schema_regexes *pool = (struct schema_regexes *)ctx;
    size_t whole;

    if (!alk_add_ok(&whole, n, sizeof(union block)) || whole > pool->max - pool->used) {
        return NULL;
    }
    union block *b = (union block *)alk_alloc(pool->mem, whole);
    if (b == NULL) {
        pool->is_short = true;
        return NULL;
    }
    b->n = whole;
    pool->used += whole;
    return b + 1;
}

static void pool_free(void *p, void *ctx)
{
    struct schema_regexes *pool = (struct schema_regexes *)ctx;

    if (p != NULL) {
        union block *b = (union block *)p - 1;
        pool->used -= b->n;
        alk_free(pool->mem, b);
    }
}

/* --- compiling ------------------------------------------------------------------ */

static alk_err refuse_pcre(struct schema_build *b, const struct schema_node *node, const char *word,
                           int code)
{
    uint8_t message[128];
    char what[192];
    struct schema_text t;

    if (code == PCRE2_ERROR_NOMEMORY || code == PCRE2_ERROR_HEAP_FAILED) {
        return b->schema->pool->is_short ? ALK_E_NOMEM : ALK_E_TOO_BIG;
    }
    (void)pcre2_get_error_message(code, message, sizeof message);
    alk_schema_text_init(&t, what, sizeof what);
    alk_schema_put_str(&t, "is no regular expression: ");
    alk_schema_put_str(&t, (const char *)message);
    alk_schema_text_end(&t);
    return alk_schema_refuse(b, node, word, what);
}

static alk_err compile(struct schema_build *b, const struct schema_node *node, const char *word,
                       struct alk_span text, struct schema_regex *r)
{
    static const uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                                    PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
                                    PCRE2_NEVER_UCP | PCRE2_AUTO_CALLOUT;
    struct schema_regexes *pool = b->schema->pool;
    int code = PCRE2_ERROR_NOMEMORY;
    size_t offset = 0;
    uint32_t references = 0;

    pcre2_general_context *general = pcre2_general_context_create(pool_alloc, pool_free, pool);
    pcre2_compile_context *context = general == NULL ? NULL : pcre2_compile_context_create(general);
    if (context != NULL) {
        (void)pcre2_set_parens_nest_limit(context, SCHEMA_GROUPS_MAX + 1);
        r->code = pcre2_compile(text.n == 0 ? (const uint8_t *)"" : text.p, text.n, options, &code,
                                &offset, context);
    }
    if (r->code != NULL) {
        (void)pcre2_pattern_info(r->code, PCRE2_INFO_BACKREFMAX, &references);
        r->has_references = references > 0;
    }
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    return r->code == NULL ? refuse_pcre(b, node, word, code) : ALK_OK;
}

static alk_err make_pool(struct alk_schema *schema)
{
    if (schema->pool == NULL) {
        schema->pool =
            (struct schema_regexes *)alk_schema_alloc(&schema->arena, 1, sizeof *schema->pool);
        if (schema->pool == NULL) {
            return schema->arena.err;
        }
        *schema->pool = (struct schema_regexes){.mem = schema->mem, .max = SCHEMA_REGEX_MAX};
    }
    return ALK_OK;
}

alk_err alk_schema_regex_new(struct schema_build *b, const struct schema_node *node,
                             const char *word, struct alk_span source, struct schema_regex **ret)
{
    struct schema_regex *r =
        (struct schema_regex *)alk_schema_alloc(&b->schema->arena, 1, sizeof *r);
    const char *what = NULL;
    struct alk_buf text;

    if (r == NULL) {
        return b->schema->arena.err;
    }
    if (source.n > SCHEMA_PATTERN_MAX) {
        return ALK_E_TOO_BIG;
    }
    ALK_TRY(make_pool(b->schema));
    r->source = source;
    r->next = b->schema->regexes;
    b->schema->regexes = r;
    *ret = r;
    alk_buf_init(&text, b->schema->mem, TRANSLATED_MAX);
    alk_err err = alk_schema_pattern_put(source, &text, &r->repeat, &what);
    if (err == ALK_E_INVALID) {
        err = alk_schema_refuse(b, node, word, what);
    } else if (err == ALK_OK) {
        err = compile(b, node, word, alk_buf_span(&text), r);
    }
    alk_buf_fini(&text);
    return err;
}

void alk_schema_regexes_free(struct alk_schema *schema)
{
    for (struct schema_regex *r = schema->regexes; r != NULL; r = r->next) {
        pcre2_code_free(r->code);
    }
}

/* --- matching ------------------------------------------------------------------- */

/* Made when a check meets its first pattern. */
struct schema_matcher {
    struct schema_check *check;
    struct schema_regexes pool;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_data *data;
    size_t last; /* where in the text the last item was tried */
    uint64_t weight, hidden;
};

/* PCRE2's own limit of tries counts anew at each place where a match may begin, and
 * between two tries it may pass over much text. So it is made to call back before
 * each item of the pattern, and what it has done since is paid for: the text passed
 * over; with back references what they may have compared; what a repeated item may
 * have looked at before it failed. A class may be as long as its pattern. */
static int pay(pcre2_callout_block *block, void *ctx)
{
    struct schema_matcher *m = (struct schema_matcher *)ctx;
    size_t at = block->current_position;
    size_t moved = at > m->last ? at - m->last : m->last - at;

    m->last = at;
    uint64_t price = 1 + (moved / 16 + m->hidden) * m->weight;
    return schema_spend(m->check, price) ? 0 : PCRE2_ERROR_CALLOUT;
}

static struct schema_matcher *matcher_of(struct schema_check *c)
{
    if (c->matcher != NULL) {
        return c->matcher;
    }
    struct schema_matcher *m =
        (struct schema_matcher *)alk_schema_scratch(c, sizeof(struct schema_matcher));
    if (m == NULL) {
        return NULL;
    }
    c->matcher = m;
    m->check = c;
    m->pool = (struct schema_regexes){.mem = c->schema->mem, .max = SCHEMA_SCRATCH_MAX};
    m->general = pcre2_general_context_create(pool_alloc, pool_free, &m->pool);
    if (m->general != NULL) {
        m->context = pcre2_match_context_create(m->general);
        m->data = pcre2_match_data_create(1, m->general);
    }
    if (m->context == NULL || m->data == NULL) {
        c->err = ALK_E_NOMEM;
        return NULL;
    }
    (void)pcre2_set_callout(m->context, pay, m);
    (void)pcre2_set_heap_limit(m->context, (uint32_t)(SCHEMA_SCRATCH_MAX / 2 / 1024));
    return m;
}

void alk_schema_matcher_free(struct schema_check *c)
{
    struct schema_matcher *m = c->matcher;

    if (m != NULL) {
        pcre2_match_data_free(m->data);
        pcre2_match_context_free(m->context);
        pcre2_general_context_free(m->general);
        alk_schema_scratch_free(c, m, sizeof *m);
        c->matcher = NULL;
    }
}

bool alk_schema_match(struct schema_check *c, const struct schema_regex *regex,
                      struct alk_span text)
{
    struct schema_matcher *m = matcher_of(c);

    if (m == NULL || !schema_spend(c, 1 + text.n / 64)) {
        return false;
    }
    m->last = 0;
    m->weight = 1 + regex->source.n / 16;
    m->hidden = regex->repeat / 16 + (regex->has_references ? text.n / 16 : 0);
    int got = pcre2_match(regex->code, text.n == 0 ? (const uint8_t *)"" : text.p, text.n, 0, 0,
                          m->data, m->context);
    if (got >= 0 || got == PCRE2_ERROR_NOMATCH) {
        return got >= 0;
    }
    /* What is not UTF-8 matches nothing; all else is a limit, of ours or PCRE2's. */
    bool is_utf8_error = got <= PCRE2_ERROR_UTF8_ERR1 && got >= PCRE2_ERROR_UTF8_ERR21;
    if (!is_utf8_error && c->err == ALK_OK) {
        c->err = m->pool.is_short ? ALK_E_NOMEM : ALK_E_LIMIT;
    }
    return false;
}
