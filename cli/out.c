/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cli.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/frame.h"

#include <errno.h>
#include <stdarg.h>

int cli_fail(struct cli *cli, int status, const char *fmt, ...)
{
    va_list args;
    (void)fprintf(cli->err, "%s: ", cli->is_git ? "fatal" : "alknet");
    va_start(args, fmt);
    (void)vfprintf(cli->err, fmt, args);
    va_end(args);
    (void)fputc('\n', cli->err);
    return status;
}

static const struct {
    alk_err err;
    int status;
} statuses[] = {
    {ALK_OK, CLI_OK},
    {ALK_E_AUTH, CLI_REFUSED},
    {ALK_E_FORBIDDEN, CLI_REFUSED},
    {ALK_E_REVOKED, CLI_REFUSED},
    {ALK_E_EXPIRED, CLI_REFUSED},
    {ALK_E_KEY_CHANGED, CLI_REFUSED},
    {ALK_E_UNTRUSTED, CLI_REFUSED},
    {ALK_E_UNREACHABLE, CLI_UNREACHABLE},
    {ALK_E_TIMEOUT, CLI_UNREACHABLE},
};

int cli_status_of(alk_err err)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].err == err) {
            return statuses[i].status;
        }
    }
    return CLI_FAILED;
}

int cli_fail_err(struct cli *cli, alk_err err, const char *message)
{
    bool is_empty = message == NULL || message[0] == '\0';
    return cli_fail(cli, cli_status_of(err), "%s", is_empty ? alk_err_text(err) : message);
}

int cli_finish(struct cli *cli, int status)
{
    errno = 0;
    if ((fflush(cli->out) != 0 || ferror(cli->out) != 0) && status == CLI_OK) {
        return cli_fail(cli, CLI_FAILED, "cannot write the result: %s", strerror(errno));
    }
    return status;
}

const char *cli_color(const struct cli *cli, const char *sequence)
{
    return cli->has_color ? sequence : "";
}

int cli_print_json(struct cli *cli, struct yyjson_mut_doc *doc, struct yyjson_mut_val *value)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, (size_t)64 << 20);
    alk_err err = value == NULL ? ALK_E_NOMEM : alk_json_put(&b, value, cli->out_is_tty);
    if (err == ALK_OK) {
        (void)fprintf(cli->out, "%s\n", alk_buf_cstr(&b));
    }
    alk_buf_fini_secret(&b);
    yyjson_mut_doc_free(doc);
    return err == ALK_OK ? CLI_OK : cli_fail_err(cli, err, NULL);
}

/* --- tables ------------------------------------------------------------------- */

bool cli_table_row(struct cli_table *table, const char *const *cells)
{
    if (table->count + table->columns > table->size) {
        size_t size = table->size == 0 ? 64 : 2 * table->size;
        char **grown = (char **)alk_resize(NULL, (void *)table->cells, size * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        table->cells = grown;
        table->size = size;
    }
    for (unsigned i = 0; i < table->columns; i++) {
        char *copy = alk_strdup_span(NULL, alk_span_str(cells[i] == NULL ? "" : cells[i]));
        if (copy == NULL) {
            return false;
        }
        table->cells[table->count++] = copy;
    }
    return true;
}

/* Columns of UTF-8 text: continuation bytes take no room. */
static unsigned width_of(const char *text)
{
    unsigned n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

void cli_table_print(struct cli *cli, const struct cli_table *table)
{
    unsigned widths[CLI_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->count; i++) {
        unsigned w = width_of(table->cells[i]);
        unsigned *max = &widths[i % table->columns];
        *max = w > *max ? w : *max;
    }
    for (size_t i = 0; i < table->count; i++) {
        unsigned column = (unsigned)(i % table->columns);
        bool is_last = column + 1 == table->columns;
        bool is_heading = i < table->columns;
        (void)fprintf(cli->out, "%s%s%s", is_heading ? cli_color(cli, CLI_BOLD) : "",
                      table->cells[i], is_heading ? cli_color(cli, CLI_RESET) : "");
        for (unsigned w = width_of(table->cells[i]); !is_last && w < widths[column] + 2; w++) {
            (void)fputc(' ', cli->out);
        }
        if (is_last) {
            (void)fputc('\n', cli->out);
        }
    }
}

void cli_table_free(struct cli_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        alk_free(NULL, table->cells[i]);
    }
    alk_free(NULL, (void *)table->cells);
    *table = (struct cli_table){.columns = table->columns};
}

void cli_safe(struct alk_span text, char *dst, size_t dst_size)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, dst_size > 4 ? dst_size - 1 : 1);
    size_t max = dst_size / 4; /* every byte may become \xNN */
    if (alk_buf_put_escaped(&b, text, max) != ALK_OK ||
        !alk_span_cstr(alk_buf_span(&b), dst, dst_size)) {
        (void)snprintf(dst, dst_size, "?");
    }
    alk_buf_fini(&b);
}
