/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/commit.h"

#include "git/proto/refname.h"
#include "git/proto/sshsig.h"

/* The first line with its LF. */
static struct alk_span next_line(struct alk_span *rest)
{
    size_t n = alk_span_find(*rest, '\n');
    struct alk_span line = alk_span_head(*rest, n + 1);
    *rest = alk_span_tail(*rest, n + 1);
    return line;
}

/* One header with its folded lines. Empty: the headers are over. */
static struct alk_span next_header(struct alk_span *rest)
{
    struct alk_span header = *rest;
    if (rest->n == 0 || rest->p[0] == '\n') {
        return (struct alk_span){0};
    }
    size_t n = next_line(rest).n;
    while (rest->n > 0 && rest->p[0] == ' ') {
        n += next_line(rest).n;
    }
    return alk_span_head(header, n);
}

static alk_err add_part(struct alk_git_signed *s, struct alk_span part)
{
    if (part.n == 0) {
        return ALK_OK;
    }
    if (s->part_count > 0) {
        struct alk_span *last = &s->parts[s->part_count - 1];
        if (last->p + last->n == part.p) {
            last->n += part.n;
            return ALK_OK;
        }
    }
    if (s->part_count == ALK_GIT_SIGNED_PARTS_MAX) {
        return ALK_E_MALFORMED;
    }
    s->parts[s->part_count++] = part;
    return ALK_OK;
}

/* Everything but the headers gpgsig*; `ours` (with its space) is kept as the signature. */
static alk_err split_headers(struct alk_span *rest, const char *first, const char *ours,
                             struct alk_git_signed *s)
{
    struct alk_span header;
    if (!alk_span_starts(*rest, alk_span_str(first))) {
        return ALK_E_MALFORMED;
    }
    while ((header = next_header(rest)).n > 0) {
        if (header.p[header.n - 1] != '\n') {
            return ALK_E_MALFORMED;
        }
        if (!alk_span_starts(header, ALK_LIT("gpgsig"))) {
            ALK_TRY(add_part(s, header));
        } else if (alk_span_starts(header, alk_span_str(ours))) {
            if (s->signature.n > 0) {
                return ALK_E_MALFORMED;
            }
            s->signature = alk_span_tail(header, strlen(ours));
        }
    }
    return rest->n > 0 ? ALK_OK : ALK_E_MALFORMED;
}

alk_err alk_git_commit_split(struct alk_span object, size_t id_hex, struct alk_git_signed *ret)
{
    struct alk_git_signed s = {.is_folded = true};
    const char *ours = id_hex == ALK_GIT_SHA256_HEX ? "gpgsig-sha256 " : "gpgsig ";
    ALK_TRY(split_headers(&object, "tree ", ours, &s));
    ALK_TRY(add_part(&s, object));
    if (s.signature.n == 0) {
        return ALK_END;
    }
    *ret = s;
    return ALK_OK;
}

/* Where git sees the signature: at the last line that begins one of any kind, as
 * parse_signed_buffer in its gpg-interface.c. */
static size_t signature_at(struct alk_span text)
{
    static const char *const begins[] = {"-----BEGIN PGP SIGNATURE-----",
                                         "-----BEGIN PGP MESSAGE-----",
                                         "-----BEGIN SIGNED MESSAGE-----", ALK_GIT_SSHSIG_BEGIN};
    struct alk_span rest = text;
    size_t found = text.n;
    while (rest.n > 0) {
        for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
            if (alk_span_starts(rest, alk_span_str(begins[i]))) {
                found = text.n - rest.n;
            }
        }
        (void)next_line(&rest);
    }
    return found;
}

alk_err alk_git_tag_split(struct alk_span object, struct alk_git_signed *ret)
{
    struct alk_git_signed s = {0};
    size_t at = signature_at(object);
    struct alk_span rest = alk_span_head(object, at);
    ALK_TRY(split_headers(&rest, "object ", "gpgsig ", &s));
    ALK_TRY(add_part(&s, rest));
    s.signature = alk_span_tail(object, at);
    if (s.signature.n == 0) {
        return ALK_END;
    }
    *ret = s;
    return ALK_OK;
}

alk_err alk_git_signed_armor(const struct alk_git_signed *s, struct alk_buf *b)
{
    struct alk_span rest = s->signature;
    for (bool is_first = true; rest.n > 0; is_first = false) {
        struct alk_span line = next_line(&rest);
        if (s->is_folded && !is_first) {
            line = alk_span_tail(line, 1);
        }
        ALK_TRY(alk_buf_put(b, line));
    }
    return ALK_OK;
}
