/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "secret_input.h"

#include "base/ct.h"
#include "core/store/file.h"
#include "tty.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#define INPUT_MAX  (ALKSEC_BLOB_MAX + 4096)
#define PHRASE_MAX 2048 /* of a phrase or passphrase */

const struct cli_opt cli_secret_opts[] = {
    {.name = "phrase-file",
     .letter = 'f',
     .value = "FILE",
     .complete = CLI_FILE,
     .help =
         "Read the phrase from this file, which must be private (mode 0600). Default: the first "
         "line of standard input, or a prompt without echo when that is a terminal."},
    {.name = "passphrase",
     .letter = 'p',
     .help = "Ask for the passphrase that goes with the phrase, without echo."},
    {.name = "passphrase-file",
     .value = "FILE",
     .complete = CLI_FILE,
     .help = "Read the passphrase from this file, which must be private (mode 0600)."},
    {.name = NULL}};

int cli_secret_fail(struct cli *cli, alksec_err err)
{
    return cli_fail(cli, CLI_FAILED, "%s", alksec_err_text(err));
}

int cli_secret_open(struct cli *cli, struct cli_secret *ret)
{
    *ret = (struct cli_secret){.cli = cli};
    (void)prctl(PR_SET_DUMPABLE, 0);
    alk_buf_init(&ret->input, NULL, INPUT_MAX);
    alksec_err err = alksec_vault_new(NULL, &ret->vault);
    return err == ALKSEC_OK ? CLI_OK : cli_secret_fail(cli, err);
}

void cli_secret_close(struct cli_secret *s)
{
    alksec_vault_free(s->vault);
    alk_buf_fini_secret(&s->input);
    s->vault = NULL;
}

static void drop_line_end(struct alk_buf *b)
{
    while (b->end > b->at && (b->p[b->end - 1] == '\n' || b->p[b->end - 1] == '\r')) {
        b->end--;
    }
}

static int read_file(struct cli *cli, const char *path, struct alk_buf *ret)
{
    char why[512] = "";
    alk_err err = alk_file_read_private(path, PHRASE_MAX, ret, why, sizeof why);
    drop_line_end(ret);
    return err == ALK_OK ? CLI_OK : cli_fail_err(cli, err, why);
}

/* All of standard input, once; the memory for it is there before. */
static int read_stdin(struct cli_secret *s)
{
    uint8_t *room = alk_buf_reserve(&s->input, INPUT_MAX);
    size_t n = 0;
    ssize_t got = 1;

    if (room == NULL) {
        return cli_fail_err(s->cli, ALK_E_NOMEM, NULL);
    }
    while (got > 0 && n < INPUT_MAX) {
        got = read(STDIN_FILENO, room + n, INPUT_MAX - n);
        n += got > 0 ? (size_t)got : 0;
    }
    alk_buf_added(&s->input, n);
    if (got < 0) {
        return cli_fail(s->cli, CLI_FAILED, "cannot read standard input: %s", strerror(errno));
    }
    return n < INPUT_MAX ? CLI_OK : cli_fail_err(s->cli, ALK_E_TOO_BIG, NULL);
}

static int take_line(struct cli_secret *s, struct alk_buf *ret)
{
    struct alk_span in = alk_buf_span(&s->input);
    const uint8_t *end = in.n == 0 ? NULL : memchr(in.p, '\n', in.n);
    size_t n = end == NULL ? in.n : (size_t)(end - in.p);

    if (n > PHRASE_MAX || alk_buf_put(ret, alk_span_head(in, n)) != ALK_OK) {
        return cli_fail(s->cli, CLI_FAILED, "the first line of standard input is no phrase");
    }
    alk_buf_consume(&s->input, end == NULL ? n : n + 1);
    drop_line_end(ret);
    return CLI_OK;
}

static int get_phrase(struct cli_secret *s, const struct cli_args *args, struct alk_buf *ret)
{
    const char *file = cli_get(args, "phrase-file");

    if (file != NULL) {
        return read_file(s->cli, file, ret);
    }
    if (isatty(STDIN_FILENO)) {
        return cli_tty_secret(s->cli, "Phrase: ", ret);
    }
    int rc = read_stdin(s);
    return rc == CLI_OK ? take_line(s, ret) : rc;
}

int cli_secret_passphrase(struct cli_secret *s, const struct cli_args *args, bool is_new,
                          struct alk_buf *ret)
{
    const char *file = cli_get(args, "passphrase-file");
    struct alk_buf again;

    if (file != NULL) {
        return read_file(s->cli, file, ret);
    }
    if (!cli_has(args, "passphrase")) {
        return CLI_OK;
    }
    int rc = cli_tty_secret(s->cli, "Passphrase: ", ret);
    if (rc != CLI_OK || !is_new) {
        return rc;
    }
    alk_buf_init(&again, NULL, PHRASE_MAX);
    rc = cli_tty_secret(s->cli, "Once more: ", &again);
    if (rc == CLI_OK &&
        !(again.end - again.at == ret->end - ret->at &&
          alk_equal_ct(again.p + again.at, ret->p + ret->at, again.end - again.at))) {
        rc = cli_fail(s->cli, CLI_FAILED, "they are not the same");
    }
    alk_buf_fini_secret(&again);
    return rc;
}

/* Says which word is wrong, by its number: what was typed is a secret. */
static int explain(struct cli *cli, struct alk_span phrase, alksec_err err)
{
    struct alksec_phrase_error why = {0};

    if (alksec_phrase_check((const char *)phrase.p, phrase.n, &why) == err &&
        err == ALKSEC_E_WORD) {
        return cli_fail(cli, CLI_FAILED, "word %u of the phrase is not in the word list%s%s%s",
                        why.word, why.suggestion != NULL ? "; is it \"" : "",
                        why.suggestion != NULL ? why.suggestion : "",
                        why.suggestion != NULL ? "\"?" : "");
    }
    if (err == ALKSEC_E_COUNT) {
        return cli_fail(cli, CLI_FAILED, "%s; this one has %u", alksec_err_text(err),
                        why.word_count);
    }
    return cli_secret_fail(cli, err);
}

int cli_secret_unlock(struct cli_secret *s, const struct cli_args *args)
{
    struct alk_buf phrase, passphrase;

    alk_buf_init(&phrase, NULL, PHRASE_MAX);
    alk_buf_init(&passphrase, NULL, PHRASE_MAX);
    /* The room is there at once: growing would leave copies behind. */
    if (alk_buf_reserve(&phrase, PHRASE_MAX) == NULL ||
        alk_buf_reserve(&passphrase, PHRASE_MAX) == NULL) {
        alk_buf_fini(&phrase);
        return cli_fail_err(s->cli, ALK_E_NOMEM, NULL);
    }
    int rc = get_phrase(s, args, &phrase);
    if (rc == CLI_OK) {
        rc = cli_secret_passphrase(s, args, false, &passphrase);
    }
    if (rc == CLI_OK) {
        struct alk_span p = alk_buf_span(&phrase), q = alk_buf_span(&passphrase);
        alksec_err err = alksec_vault_unlock(s->vault, (struct alksec_span){p.p, p.n},
                                             (struct alksec_span){q.p, q.n});
        rc = err == ALKSEC_OK ? CLI_OK : explain(s->cli, p, err);
    }
    alk_buf_fini_secret(&phrase);
    alk_buf_fini_secret(&passphrase);
    return rc;
}

int cli_secret_read(struct cli_secret *s, const char *file, const char *prompt)
{
    int rc = CLI_OK;

    if (file != NULL) {
        alk_buf_clear(&s->input);
        alk_err err = alk_file_read(file, ALKSEC_BLOB_MAX, &s->input);
        if (err != ALK_OK) {
            return cli_fail(s->cli, CLI_FAILED, "cannot read %s: %s", file, alk_err_text(err));
        }
    } else if (isatty(STDIN_FILENO)) {
        rc = cli_tty_secret(s->cli, prompt, &s->input);
    } else if (s->input.p == NULL) {
        rc = read_stdin(s);
    }
    if (s->input.end > s->input.at && s->input.p[s->input.end - 1] == '\n') {
        s->input.end--;
    }
    return rc;
}
