/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/host/settings.h"

#include "base/buf.h"
#include "base/ct.h"
#include "base/mem.h"

#define TEXT_MAX ((size_t)64 << 20)

/* alk_conf_print gives a block for what has members and the value itself for
 * what has none: the block is indented under its key. Its texts are quoted and
 * hold no line breaks. */
static alk_err put_member(struct alk_buf *b, const struct alk_mem *mem, const char *name,
                          const struct alk_conf *value)
{
    char *text = NULL;
    size_t n = 0;
    ALK_TRY(alk_conf_print(mem, value, &text, &n));
    struct alk_span rest = alk_span(text, n);
    bool is_block = alk_conf_count(value) > 0;
    (void)alk_buf_printf(b, "%s:%s", name, is_block ? "\n" : "");
    while (rest.n > 0) {
        (void)alk_buf_put_str(b, is_block ? "  " : " ");
        (void)alk_buf_put(b, alk_span_cut(&rest, '\n'));
        (void)alk_buf_put_u8(b, '\n');
    }
    alk_wipe(text, n);
    alk_free(mem, text);
    return b->err;
}

alk_err alk_host_settings(const struct alk_mem *mem, const struct alk_conf *conf,
                          const struct alk_conf_row *rows, char **ret, size_t *ret_n)
{
    struct alk_buf b;
    alk_buf_init(&b, mem, TEXT_MAX);
    alk_err err = alk_buf_put_str(&b, "");
    for (; err == ALK_OK && rows != NULL && rows->name != NULL; rows++) {
        const struct alk_conf *value = alk_conf_get(conf, rows->name);
        if (value != NULL) {
            err = put_member(&b, mem, rows->name, value);
        }
    }
    if (err == ALK_OK && alk_buf_len(&b) == 0) {
        err = alk_buf_put_str(&b, "{}\n"); /* an empty document */
    }
    char *text = err == ALK_OK ? alk_strdup_span(mem, alk_buf_span(&b)) : NULL;
    size_t n = alk_buf_len(&b);
    alk_buf_fini_secret(&b);
    if (err == ALK_OK && text == NULL) {
        err = ALK_E_NOMEM;
    }
    if (err == ALK_OK) {
        *ret = text;
        *ret_n = n;
    }
    return err;
}
