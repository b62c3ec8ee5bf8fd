/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "json_text.h"

#include "core/frame.h"

#define SHOWN 24 /* bytes of the text behind a mistake */

alk_err cli_json_read(struct alk_span text, struct yyjson_doc **ret)
{
    struct yyjson_doc *strict = NULL;

    ALK_TRY(alk_json_parse(text, &strict));
    yyjson_doc_free(strict);
    *ret =
        yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    return *ret == NULL ? ALK_E_NOMEM : ALK_OK;
}

/* Lines are counted for texts of several. */
static size_t line_of(struct alk_span text, size_t at)
{
    size_t n = 1;
    for (size_t i = 0; i < at; i++) {
        n += text.p[i] == '\n';
    }
    return n;
}

static int malformed(struct cli *cli, struct alk_span text, const char *what)
{
    yyjson_read_err why = {0};
    char place[32] = "", shown[4 * SHOWN + 4];

    struct yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.p, text.n, 0, NULL, &why);
    yyjson_doc_free(doc);
    if (doc != NULL) { /* what is stricter than the parser is not about a place */
        return cli_fail(cli, CLI_USAGE,
                        "%s is not JSON that a node takes: an object has a member "
                        "twice",
                        what);
    }
    size_t at = why.pos < text.n ? why.pos : text.n;
    struct alk_span rest = alk_span_tail(text, at), line = alk_span_cut(&rest, '\n');
    if (alk_span_find(text, '\n') < text.n) {
        (void)snprintf(place, sizeof place, "line %zu: ", line_of(text, at));
    }
    if (line.n == 0) {
        return cli_fail(cli, CLI_USAGE, "%s is not JSON: %s%s, at its end", what, place, why.msg);
    }
    cli_safe(alk_span_head(line, line.n < SHOWN ? line.n : SHOWN), shown, sizeof shown);
    return cli_fail(cli, CLI_USAGE, "%s is not JSON: %s%s, at: %s%s", what, place, why.msg, shown,
                    line.n > SHOWN ? "..." : "");
}

int cli_json_check(struct cli *cli, struct alk_span text, const char *what)
{
    struct yyjson_doc *doc = NULL;

    if (alk_span_strip(text).n == 0) {
        return cli_fail(cli, CLI_USAGE, "%s is empty; it must be JSON", what);
    }
    alk_err err = alk_json_parse(text, &doc);
    yyjson_doc_free(doc);
    if (err == ALK_E_TOO_BIG) {
        return cli_fail(cli, CLI_USAGE,
                        "%s is not JSON that a node takes: it is too deep, or has "
                        "too many values",
                        what);
    }
    return err == ALK_E_MALFORMED ? malformed(cli, text, what)
           : err == ALK_OK        ? CLI_OK
                                  : cli_fail_err(cli, err, NULL);
}
