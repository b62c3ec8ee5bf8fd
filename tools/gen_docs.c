/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* gen_docs md|man - writes a page that is made from tables to standard output.
 * tools/gen-docs puts the pages in their places. */
#include "core/config/reference.h"

#include <stdio.h>
#include <string.h>

#define PAGE_MAX ((size_t)4 << 20)

int main(int argc, char **argv)
{
    bool is_md = argc == 2 && strcmp(argv[1], "md") == 0;
    if (!is_md && (argc != 2 || strcmp(argv[1], "man") != 0)) {
        (void)fputs("usage: gen_docs md|man\n", stderr);
        return 2;
    }
    struct alk_buf b;
    alk_buf_init(&b, NULL, PAGE_MAX);
    alk_err err =
        alk_config_reference(NULL, is_md ? ALK_CONFIG_MARKDOWN : ALK_CONFIG_MAN, NULL, 0, &b);
    struct alk_span page = alk_buf_span(&b);
    bool is_done =
        err == ALK_OK && fwrite(page.p, 1, page.n, stdout) == page.n && fflush(stdout) == 0;
    if (!is_done) {
        (void)fprintf(stderr, "gen_docs: %s\n", err == ALK_OK ? "cannot write" : alk_err_text(err));
    }
    alk_buf_fini(&b);
    return is_done ? 0 : 1;
}
