/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pages.h"

#include "base/buf.h"
#include "base/text.h"

#define CURSOR_MAX 512

struct pages {
    struct yyjson_mut_doc *doc;
    struct yyjson_mut_val *root, *all;
    char cursor[CURSOR_MAX];
    const char *list;
};

static alk_err put_input(const struct pages *p, struct alk_buf *ret)
{
    alk_buf_init(ret, NULL, (size_t)8 * CURSOR_MAX);
    if (p->cursor[0] == '\0') {
        return alk_buf_put_str(ret, "{}");
    }
    ALK_TRY(alk_buf_put_str(ret, "{\"cursor\":"));
    ALK_TRY(alk_buf_put_json(ret, alk_span_str(p->cursor)));
    return alk_buf_put_str(ret, "}");
}

/* False: no memory. */
static bool take(struct pages *p, struct yyjson_val *list)
{
    size_t i, max;
    struct yyjson_val *one;
    yyjson_arr_foreach(list, i, max, one)
    {
        if (!yyjson_mut_arr_append(p->all, yyjson_val_mut_copy(p->doc, one))) {
            return false;
        }
    }
    return true;
}

/* Asks for one page. *ret_goes_on: there is another. */
static int read_page(struct cli *cli, struct pages *p, cli_page_fn *fn, void *ctx,
                     bool *ret_goes_on)
{
    struct alk_buf input;
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *output = NULL;

    *ret_goes_on = false;
    alk_err err = put_input(p, &input);
    int rc =
        err == ALK_OK ? fn(ctx, alk_buf_span(&input), &doc, &output) : cli_fail_err(cli, err, NULL);
    alk_buf_fini(&input);
    if (rc == CLI_OK && !take(p, yyjson_obj_get(output, p->list))) {
        rc = cli_fail_err(cli, ALK_E_NOMEM, NULL);
    }
    struct yyjson_val *next = rc == CLI_OK ? yyjson_obj_get(output, "next") : NULL;
    struct yyjson_val *more = rc == CLI_OK ? yyjson_obj_get(output, "more") : NULL;
    if (yyjson_get_len(next) > 0) {
        *ret_goes_on = alk_span_cstr(alk_span(yyjson_get_str(next), yyjson_get_len(next)),
                                     p->cursor, sizeof p->cursor);
        rc = *ret_goes_on ? CLI_OK
                          : cli_fail(cli, CLI_FAILED,
                                     "the node's answer makes no sense: its next "
                                     "page has no name");
    }
    if (rc == CLI_OK && yyjson_is_uint(more) && !*ret_goes_on) {
        (void)yyjson_mut_obj_add_uint(p->doc, p->root, "more", yyjson_get_uint(more));
    }
    yyjson_doc_free(doc);
    return rc;
}

int cli_pages_read(struct cli *cli, const char *list, cli_page_fn *fn, void *ctx,
                   struct yyjson_doc **ret)
{
    struct pages p = {.list = list, .doc = yyjson_mut_doc_new(NULL)};
    bool goes_on = true;
    int rc = CLI_OK;

    p.root = yyjson_mut_obj(p.doc);
    p.all = yyjson_mut_obj_add_arr(p.doc, p.root, list);
    yyjson_mut_doc_set_root(p.doc, p.root);
    for (unsigned i = 0; rc == CLI_OK && goes_on; i++) {
        rc = i == CLI_PAGES_MAX
                 ? cli_fail(cli, CLI_FAILED, "the node's list does not end: gave up after %u pages",
                            i)
                 : read_page(cli, &p, fn, ctx, &goes_on);
    }
    if (rc == CLI_OK) {
        *ret = yyjson_mut_doc_imut_copy(p.doc, NULL);
        rc = *ret == NULL ? cli_fail_err(cli, ALK_E_NOMEM, NULL) : CLI_OK;
    }
    yyjson_mut_doc_free(p.doc);
    return rc;
}
