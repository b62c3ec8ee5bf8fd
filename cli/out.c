/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cli.h"

#include "base/mem.h"
#include "base/text.h"
#include "core/frame.h"

#include <errno.h>
#include <poll.h>
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

/* Also when the write that has failed is long ago, and its errno forgotten. */
static bool has_reader_left(struct cli *cli)
{
    struct pollfd fd = {.fd = fileno(cli->out), .events = POLLOUT};
    return fd.fd >= 0 && poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

int cli_write_failed(struct cli *cli, int error)
{
    if (error == EPIPE || (error == 0 && has_reader_left(cli))) {
        return CLI_PIPE;
    }
    return cli_fail(cli, CLI_FAILED, "cannot write the result%s%s", error != 0 ? ": " : "",
                    error != 0 ? strerror(error) : "");
}

int cli_finish(struct cli *cli, int status)
{
    errno = 0;
    bool has_failed = fflush(cli->out) != 0;
    int error = has_failed ? errno : 0;

    return status == CLI_OK && (has_failed || ferror(cli->out) != 0) ? cli_write_failed(cli, error)
                                                                     : status;
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

/* Without spaces after its last word. */
static void put_row(struct cli *cli, const struct cli_table *table, size_t first,
                    const unsigned widths[static CLI_COLUMNS_MAX])
{
    bool is_heading = first == 0;
    unsigned owed = 0;

    for (unsigned column = 0; column < table->columns && first + column < table->count; column++) {
        const char *cell = table->cells[first + column];
        if (cell[0] != '\0') {
            (void)fprintf(cli->out, "%*s%s%s%s", (int)owed, "",
                          is_heading ? cli_color(cli, CLI_BOLD) : "", cell,
                          is_heading ? cli_color(cli, CLI_RESET) : "");
            owed = 0;
        }
        owed += widths[column] + 2 - width_of(cell);
    }
    (void)fputc('\n', cli->out);
}

void cli_table_print(struct cli *cli, const struct cli_table *table)
{
    unsigned widths[CLI_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->count; i++) {
        unsigned w = width_of(table->cells[i]);
        unsigned *max = &widths[i % table->columns];
        *max = w > *max ? w : *max;
    }
    for (size_t i = 0; i < table->count; i += table->columns) {
        put_row(cli, table, i, widths);
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

/* Characters that change what stands before or after them on the screen, or that nobody
 * sees: controls, marks of direction, of no width, of a byte order. */
static bool is_tricky(struct alk_span c)
{
    static const struct {
        uint8_t bytes[3], last;
    } ranges[] = {{{0xe2, 0x80, 0x8b}, 0x8f},  /* U+200B .. U+200F */
                  {{0xe2, 0x80, 0xa8}, 0xae},  /* U+2028 .. U+202E */
                  {{0xe2, 0x81, 0xa0}, 0xaf},  /* U+2060 .. U+206F */
                  {{0xef, 0xbb, 0xbf}, 0xbf}}; /* U+FEFF */

    if (c.n == 1) {
        return c.p[0] < 0x20 || c.p[0] == 0x7f;
    }
    if (c.n == 2) {
        return c.p[0] == 0xc2 && c.p[1] < 0xa0; /* C1 */
    }
    for (size_t i = 0; c.n == 3 && i < sizeof ranges / sizeof ranges[0]; i++) {
        if (c.p[0] == ranges[i].bytes[0] && c.p[1] == ranges[i].bytes[1] &&
            c.p[2] >= ranges[i].bytes[2] && c.p[2] <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

void cli_safe(struct alk_span text, char *dst, size_t dst_size)
{
    struct alk_buf b;
    size_t max = dst_size / 4; /* every byte may become \xNN */
    struct alk_span rest = alk_span_head(text, text.n < max ? text.n : max);

    alk_buf_init(&b, NULL, dst_size > 4 ? dst_size - 1 : 1);
    while (rest.n > 0 && b.err == ALK_OK) {
        size_t n = alk_span_utf8(rest);
        struct alk_span c = alk_span_head(rest, n == 0 ? 1 : n);
        if (n == 0 || is_tricky(c)) {
            (void)alk_buf_put_escaped(&b, c, c.n);
        } else {
            (void)alk_buf_put(&b, c);
        }
        rest = alk_span_tail(rest, c.n);
    }
    if (text.n > max) {
        (void)alk_buf_put_str(&b, "...");
    }
    if (b.err != ALK_OK || !alk_span_cstr(alk_buf_span(&b), dst, dst_size)) {
        (void)snprintf(dst, dst_size, "?");
    }
    alk_buf_fini(&b);
}
