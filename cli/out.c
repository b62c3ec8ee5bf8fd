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

/* JSON escapes the controls below 0x20 alone; a terminal obeys more. They can stand in
 * strings only, where an escape is the same text. */
static bool put_tame(struct cli *cli, struct alk_span text)
{
    while (text.n > 0) {
        size_t n = 0;
        while (n < text.n && text.p[n] != 0x7f &&
               !(text.p[n] == 0xc2 && n + 1 < text.n && text.p[n + 1] < 0xa0)) {
            n++;
        }
        if (n > 0 && fwrite(text.p, 1, n, cli->out) != n) {
            return false;
        }
        text = alk_span_tail(text, n);
        if (text.n > 0) {
            size_t used = text.p[0] == 0x7f ? 1 : 2;
            if (fprintf(cli->out, "\\u%04x", text.p[used - 1]) < 0) {
                return false;
            }
            text = alk_span_tail(text, used);
        }
    }
    return true;
}

bool cli_put_json(struct cli *cli, struct alk_span json)
{
    bool is_ok = cli->out_is_tty ? put_tame(cli, json)
                                 : json.n == 0 || fwrite(json.p, 1, json.n, cli->out) == json.n;
    return is_ok && fputc('\n', cli->out) != EOF;
}

int cli_print_json(struct cli *cli, struct yyjson_mut_doc *doc, struct yyjson_mut_val *value)
{
    struct alk_buf b;
    alk_buf_init(&b, NULL, (size_t)64 << 20);
    alk_err err = value == NULL ? ALK_E_NOMEM : alk_json_put(&b, value, cli->out_is_tty);
    if (err == ALK_OK) {
        (void)cli_put_json(cli, alk_buf_span(&b));
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
    struct alk_span rest = text;
    size_t kept = 0; /* bytes that leave room for the dots */

    alk_buf_init(&b, NULL, dst_size + 32);
    while (rest.n > 0 && alk_buf_len(&b) < dst_size && b.err == ALK_OK) {
        size_t n = alk_span_utf8(rest);
        struct alk_span c = alk_span_head(rest, n == 0 ? 1 : n);
        if (n == 0 || is_tricky(c)) {
            (void)alk_buf_put_escaped(&b, c, c.n);
        } else {
            (void)alk_buf_put(&b, c);
        }
        rest = alk_span_tail(rest, c.n);
        kept = alk_buf_len(&b) + 3 < dst_size ? alk_buf_len(&b) : kept;
    }
    struct alk_span whole = alk_buf_span(&b);
    bool is_cut = rest.n > 0 || whole.n >= dst_size;
    if (b.err != ALK_OK ||
        !alk_span_cstr(alk_span_head(whole, is_cut ? kept : whole.n), dst, dst_size)) {
        (void)snprintf(dst, dst_size, "?");
    } else if (is_cut && kept + 3 < dst_size) {
        memcpy(dst + kept, "...", 4);
    }
    alk_buf_fini(&b);
}
