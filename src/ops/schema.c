/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The compiler's outer form: documents in, an immutable schema out. */
#include "ops/schema.h"

#include "base/mem.h"
#include "ops/schema_build.h"

alk_err alk_schema_refuse(struct schema_build *b, const struct schema_node *node, const char *word,
                          const char *what)
{
    struct schema_text t;

    if (b->why_size > 0) {
        alk_schema_text_init(&t, b->why, b->why_size);
        alk_schema_put_place(&t, node, word);
        alk_schema_put_str(&t, t.n == 0 ? "the schema " : " ");
        alk_schema_put_str(&t, what);
        alk_schema_text_end(&t);
    }
    return ALK_E_INVALID;
}

static void say(struct schema_build *b, alk_err err)
{
    struct schema_text t;
    const char *what = err == ALK_E_MALFORMED ? "is not JSON, or holds a member twice"
                       : err == ALK_E_TOO_BIG ? "is too large, too deep or too costly"
                       : err == ALK_E_NOMEM   ? "found no memory"
                                              : NULL;

    if (b->why_size > 0 && what != NULL) {
        alk_schema_text_init(&t, b->why, b->why_size);
        alk_schema_put_str(&t, "the schema ");
        alk_schema_put_str(&t, what);
        alk_schema_text_end(&t);
    }
}

static alk_err build(struct schema_build *b, struct alk_span text)
{
    struct schema_doc *doc = NULL;

    ALK_TRY(alk_schema_load(b, ALK_LIT(""), text, &doc));
    b->schema->root = doc->root;
    ALK_TRY(alk_schema_build_rules(b));
    ALK_TRY(alk_schema_check_graph(b));
    return alk_schema_flatten(b->schema);
}

alk_err alk_schema_compile(const struct alk_schema_options *options, struct alk_span text,
                           char *why, size_t why_size, struct alk_schema **ret)
{
    struct alk_schema *schema = ALK_NEW(options->mem, struct alk_schema);
    struct schema_build b = {
        .schema = schema, .options = options, .why = why, .why_size = why == NULL ? 0 : why_size};

    if (schema == NULL) {
        say(&b, ALK_E_NOMEM);
        return ALK_E_NOMEM;
    }
    schema->mem = options->mem;
    schema->arena.mem = options->mem;
    schema->steps = options->steps == 0 ? ALK_SCHEMA_STEPS : options->steps;
    alk_err err = build(&b, text);
    alk_free(options->mem, b.names);
    if (err != ALK_OK) {
        say(&b, err);
        alk_schema_free(schema);
        return err;
    }
    *ret = schema;
    return ALK_OK;
}

void alk_schema_free(struct alk_schema *schema)
{
    if (schema == NULL) {
        return;
    }
    alk_schema_regexes_free(schema);
    for (struct schema_doc *d = schema->docs; d != NULL; d = d->next) {
        yyjson_doc_free(d->json);
    }
    alk_schema_arena_fini(&schema->arena);
    alk_free(schema->mem, schema);
}
