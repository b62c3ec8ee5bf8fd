/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/pushcert.h"

#include "git/proto/sshsig.h"

#define VERSION_LINE "certificate version 0.1\n"

/* The first line with its LF; empty: there is none that ends. */
static struct alk_span next_line(struct alk_span *rest)
{
    size_t n = alk_span_find(*rest, '\n');
    if (n == rest->n) {
        return (struct alk_span){0};
    }
    struct alk_span line = alk_span_head(*rest, n + 1);
    *rest = alk_span_tail(*rest, n + 1);
    return line;
}

/* A tab may stand in a push option. */
static bool has_control_byte(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((s.p[i] < 0x20 && s.p[i] != '\n' && s.p[i] != '\t') || s.p[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* --- headers ------------------------------------------------------------------------- */

/* "+0130": minutes. */
static bool read_zone(struct alk_span s, int *ret)
{
    uint64_t number = 0;
    if (s.n != 5 || (s.p[0] != '+' && s.p[0] != '-') ||
        !alk_span_u64(alk_span_tail(s, 1), 9999, &number) || number % 100 > 59) {
        return false;
    }
    int minutes = (int)(number / 100 * 60 + number % 100);
    *ret = s.p[0] == '-' ? -minutes : minutes;
    return true;
}

/* What follows the last space of *s, which loses both. */
static struct alk_span cut_last(struct alk_span *s)
{
    size_t at = s->n;
    while (at > 0 && s->p[at - 1] != ' ') {
        at--;
    }
    struct alk_span word = alk_span_tail(*s, at);
    *s = alk_span_head(*s, at > 0 ? at - 1 : 0);
    return word;
}

/* "who SP seconds SP zone". An SSH key's name has two spaces behind it in git 2.39. */
static alk_err read_pusher(struct alk_span value, struct alk_git_pushcert *c)
{
    struct alk_span zone = cut_last(&value);
    struct alk_span time = cut_last(&value);
    if (!read_zone(zone, &c->zone_min) || !alk_span_u64(time, UINT64_MAX, &c->time_s)) {
        return ALK_E_MALFORMED;
    }
    c->pusher = alk_span_trim(value);
    return c->pusher.n > 0 ? ALK_OK : ALK_E_MALFORMED;
}

static alk_err read_once(struct alk_span value, struct alk_span *ret)
{
    if (ret->n > 0 || value.n == 0) {
        return ALK_E_MALFORMED;
    }
    *ret = value;
    return ALK_OK;
}

/* One header without its LF. */
static alk_err read_header(struct alk_span line, struct alk_git_pushcert *c)
{
    struct alk_span value = line;
    struct alk_span key = alk_span_cut(&value, ' ');
    if (line.n > ALK_GIT_PUSHCERT_LINE_MAX) {
        return ALK_E_TOO_BIG;
    }
    if (key.n == 0 || key.n == line.n) {
        return ALK_E_MALFORMED;
    }
    if (alk_span_is(key, "pusher")) {
        return c->pusher.n > 0 ? ALK_E_MALFORMED : read_pusher(value, c);
    }
    if (alk_span_is(key, "pushee")) {
        return read_once(value, &c->pushee);
    }
    if (alk_span_is(key, "nonce")) {
        return read_once(value, &c->nonce);
    }
    c->option_count += alk_span_is(key, "push-option");
    return alk_span_is(key, "certificate") ? ALK_E_MALFORMED : ALK_OK;
}

static alk_err read_headers(struct alk_span *rest, struct alk_git_pushcert *c)
{
    struct alk_span line;
    c->headers = *rest;
    for (size_t count = 0; (line = next_line(rest)).n > 1; count++) {
        if (count == ALK_GIT_PUSHCERT_HEADERS_MAX) {
            return ALK_E_TOO_BIG;
        }
        ALK_TRY(read_header(alk_span_head(line, line.n - 1), c));
    }
    /* An empty line ends them. */
    if (line.n == 0 || c->pusher.n == 0) {
        return ALK_E_MALFORMED;
    }
    c->headers = alk_span_head(c->headers, c->headers.n - rest->n - 1);
    return ALK_OK;
}

/* --- commands and signature ---------------------------------------------------------- */

static bool begins_signature(struct alk_span s)
{
    return alk_span_starts(s, ALK_LIT("-----BEGIN "));
}

static alk_err read_commands(struct alk_span *rest, struct alk_git_pushcert *c)
{
    size_t id_hex = 0;
    c->commands = *rest;
    while (!begins_signature(*rest)) {
        struct alk_git_command command;
        struct alk_span line = next_line(rest);
        if (line.n == 0) {
            return ALK_E_MALFORMED;
        }
        ALK_TRY(alk_git_command_parse(alk_span_head(line, line.n - 1), &command));
        if (id_hex != 0 && command.old_id.n != id_hex) {
            return ALK_E_MALFORMED;
        }
        id_hex = command.old_id.n;
        c->command_count++;
    }
    c->commands = alk_span_head(c->commands, c->commands.n - rest->n);
    return c->command_count > 0 ? ALK_OK : ALK_E_MALFORMED;
}

/* Git takes the last line that begins a signature for its beginning, so there may be no
 * second one; nor anything behind the end. */
static alk_err read_signature(struct alk_span rest, struct alk_git_pushcert *c)
{
    c->signature = rest;
    if (!alk_span_equal(next_line(&rest), ALK_LIT(ALK_GIT_SSHSIG_BEGIN "\n"))) {
        return ALK_E_UNSUPPORTED;
    }
    for (;;) {
        struct alk_span line = next_line(&rest);
        if (line.n == 0 || begins_signature(line)) {
            return ALK_E_MALFORMED;
        }
        if (alk_span_equal(line, ALK_LIT(ALK_GIT_SSHSIG_END "\n"))) {
            return rest.n == 0 ? ALK_OK : ALK_E_MALFORMED;
        }
    }
}

alk_err alk_git_pushcert_parse(struct alk_span text, struct alk_git_pushcert *ret)
{
    struct alk_git_pushcert c = {0};
    struct alk_span rest = text;
    if (has_control_byte(text) || !alk_span_equal(next_line(&rest), ALK_LIT(VERSION_LINE))) {
        return ALK_E_MALFORMED;
    }
    ALK_TRY(read_headers(&rest, &c));
    ALK_TRY(read_commands(&rest, &c));
    c.signed_text = alk_span_head(text, text.n - rest.n);
    ALK_TRY(read_signature(rest, &c));
    *ret = c;
    return ALK_OK;
}

/* --- what is in it ------------------------------------------------------------------- */

bool alk_git_pushcert_next_option(struct alk_span *rest, struct alk_span *ret)
{
    const struct alk_span key = ALK_LIT("push-option ");
    struct alk_span line;
    while ((line = next_line(rest)).n > 0) {
        struct alk_span option = alk_span_head(line, line.n - 1);
        if (alk_span_starts(option, key)) {
            *ret = alk_span_tail(option, key.n);
            return true;
        }
    }
    return false;
}

bool alk_git_pushcert_next_command(struct alk_span *rest, struct alk_git_command *ret)
{
    struct alk_span line = next_line(rest);
    return line.n > 0 && alk_git_command_parse(alk_span_head(line, line.n - 1), ret) == ALK_OK;
}
