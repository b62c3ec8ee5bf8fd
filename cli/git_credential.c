/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git_credential.h"

#include "base/ct.h"
#include "git_run.h"

#define OUTPUT_MAX 8192

alk_err cli_git_credential_put(struct alk_buf *b, const struct cli_git_place *place,
                               const char *token)
{
    ALK_TRY(alk_buf_printf(b, "protocol=alknet\nhost=%s\n", place->host_port));
    if (place->key[0] != '\0') {
        ALK_TRY(alk_buf_printf(b, "path=%s\n", place->key));
    }
    ALK_TRY(alk_buf_put_str(b, "username=" CLI_GIT_USERNAME "\n"));
    if (token != NULL) {
        ALK_TRY(alk_buf_printf(b, "password=%s\n", token));
    }
    return alk_buf_put_str(b, "\n");
}

alk_err cli_git_credential_get(struct alk_span text, char ret[static ALK_TOKEN_SIZE])
{
    const struct alk_span word = ALK_LIT("password=");
    struct alk_span prefix;

    while (text.n > 0) {
        struct alk_span line = alk_span_cut(&text, '\n');
        if (!alk_span_starts(line, word)) {
            continue;
        }
        struct alk_span token = alk_span_trim(alk_span_tail(line, word.n));
        if (token.n == 0) {
            return ALK_E_NOENT;
        }
        return alk_token_parse(token, &prefix) && alk_span_cstr(token, ret, ALK_TOKEN_SIZE)
                   ? ALK_OK
                   : ALK_E_MALFORMED;
    }
    return ALK_E_NOENT;
}

static alk_err run(const char *what, const struct cli_git_place *place, const char *token,
                   struct alk_buf *out)
{
    struct alk_buf in;
    int status = 0;

    alk_buf_init(&in, NULL, CLI_GIT_INPUT_MAX);
    alk_err err = alk_buf_reserve(&in, CLI_GIT_INPUT_MAX) == NULL
                      ? ALK_E_NOMEM
                      : cli_git_credential_put(&in, place, token);
    if (err == ALK_OK) {
        err = cli_git_run((const char *const[]){"credential", what, NULL}, alk_buf_span(&in), out,
                          &status);
    }
    alk_buf_fini_secret(&in);
    return err == ALK_OK && status != 0 ? ALK_E_NOENT : err;
}

alk_err cli_git_credential_fill(const struct cli_git_place *place, char ret[static ALK_TOKEN_SIZE])
{
    struct alk_buf out;

    alk_buf_init(&out, NULL, OUTPUT_MAX);
    alk_err err =
        alk_buf_reserve(&out, OUTPUT_MAX) == NULL ? ALK_E_NOMEM : run("fill", place, NULL, &out);
    if (err == ALK_OK) {
        err = cli_git_credential_get(alk_buf_span(&out), ret);
    }
    alk_buf_fini_secret(&out);
    return err;
}

void cli_git_credential_tell(const struct cli_git_place *place, const char *token, bool is_good)
{
    struct alk_buf out;

    alk_buf_init(&out, NULL, OUTPUT_MAX);
    /* A helper that keeps nothing is no reason to fail; it has said so itself. */
    (void)run(is_good ? "approve" : "reject", place, token, &out);
    alk_buf_fini(&out);
}
