/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/receive.h"

#include "base/mem.h"
#include "git/proto/pushcert.h"

enum state {
    IN_LIST,    /* shallow lines, commands, or a certificate that has ended */
    IN_CERT,    /* between push-cert and push-cert-end */
    IN_OPTIONS, /* push options */
    IS_OVER
};

/* A line: of raw, or of the certificate. Places, as memory moves while it grows. */
struct slice {
    size_t at;
    uint32_t n;
};

struct slices {
    struct slice *p; /* owns */
    size_t n, size, max;
};

struct alk_git_receive {
    const struct alk_mem *mem;
    enum state state;
    alk_err err;
    const char *why;
    struct alk_git_pkt_stream stream;
    size_t pkt_n; /* bytes of data of the packet that is under way */
    struct alk_buf raw, cert;
    struct slices commands; /* of cert, when there is one */
    struct slices options;
    struct slice caps;
    size_t shallow_count, shallow_hex;
    size_t id_hex; /* 0: not known yet */
    bool allows_cert, has_cert, has_caps, has_pack;
};

alk_err alk_git_receive_new(const struct alk_git_receive_options *options,
                            struct alk_git_receive **ret)
{
    if (options->id_hex != 0 && options->id_hex != ALK_GIT_SHA1_HEX &&
        options->id_hex != ALK_GIT_SHA256_HEX) {
        return ALK_E_INVALID;
    }
    struct alk_git_receive *r = ALK_NEW(options->mem, struct alk_git_receive);
    if (r == NULL) {
        return ALK_E_NOMEM;
    }
    size_t bytes = options->bytes_max ? options->bytes_max : ALK_GIT_RECEIVE_BYTES_MAX;
    r->mem = options->mem;
    r->why = "";
    r->id_hex = options->id_hex;
    r->allows_cert = options->allows_cert;
    r->commands.max = options->commands_max ? options->commands_max : ALK_GIT_RECEIVE_COMMANDS_MAX;
    r->options.max = ALK_GIT_RECEIVE_OPTIONS_MAX;
    alk_buf_init(&r->raw, r->mem, bytes);
    alk_buf_init(&r->cert, r->mem, bytes);
    *ret = r;
    return ALK_OK;
}

static void slices_fini(const struct alk_mem *mem, struct slices *s)
{
    alk_free(mem, s->p);
    *s = (struct slices){.max = s->max};
}

void alk_git_receive_forget(struct alk_git_receive *r)
{
    alk_buf_fini(&r->raw);
    alk_buf_fini(&r->cert);
    slices_fini(r->mem, &r->commands);
    slices_fini(r->mem, &r->options);
    r->caps = (struct slice){0};
}

void alk_git_receive_free(struct alk_git_receive *r)
{
    if (r != NULL) {
        alk_git_receive_forget(r);
        alk_free(r->mem, r);
    }
}

static alk_err fail(struct alk_git_receive *r, alk_err err, const char *why)
{
    r->err = err;
    r->why = why;
    return err;
}

static alk_err slices_add(struct alk_git_receive *r, struct slices *s, size_t at, size_t n)
{
    if (s->n == s->max) {
        return fail(r, ALK_E_TOO_BIG, "the push has too many parts");
    }
    if (s->n == s->size) {
        size_t size = s->size ? 2 * s->size : 8, bytes = 0;
        struct slice *p =
            alk_mul_ok(&bytes, size, sizeof(*p)) ? alk_resize(r->mem, s->p, bytes) : NULL;
        if (p == NULL) {
            return fail(r, ALK_E_NOMEM, "out of memory");
        }
        s->p = p;
        s->size = size;
    }
    s->p[s->n++] = (struct slice){.at = at, .n = (uint32_t)n};
    return ALK_OK;
}

static struct alk_span raw_at(const struct alk_git_receive *r, struct slice s)
{
    return alk_span_head(alk_span_tail(alk_buf_span(&r->raw), s.at), s.n);
}

static size_t offset_in(const struct alk_buf *b, struct alk_span s)
{
    return (size_t)(s.p - alk_buf_span(b).p);
}

/* --- lines --------------------------------------------------------------------------- */

/* The length of ids that the capabilities state, held against all that is known. */
static alk_err take_format(struct alk_git_receive *r, struct alk_span caps)
{
    struct alk_span name = ALK_LIT("sha1");
    (void)alk_git_caps_get(caps, "object-format", &name);
    size_t hex = alk_span_is(name, "sha256") ? ALK_GIT_SHA256_HEX : ALK_GIT_SHA1_HEX;
    if (hex == ALK_GIT_SHA1_HEX && !alk_span_is(name, "sha1")) {
        return fail(r, ALK_E_PROTOCOL, "unknown object format");
    }
    if ((r->id_hex != 0 && r->id_hex != hex) || (r->shallow_count > 0 && r->shallow_hex != hex)) {
        return fail(r, ALK_E_PROTOCOL, "the repository has another object format");
    }
    r->id_hex = hex;
    return ALK_OK;
}

static alk_err take_shallow(struct alk_git_receive *r, struct alk_span id)
{
    if (r->has_caps) {
        return fail(r, ALK_E_PROTOCOL, "a shallow line after the first command");
    }
    if (!alk_git_id_is_valid(id) || (r->shallow_count > 0 && r->shallow_hex != id.n)) {
        return fail(r, ALK_E_PROTOCOL, "a shallow line without an object id");
    }
    if (r->shallow_count == ALK_GIT_RECEIVE_SHALLOWS_MAX) {
        return fail(r, ALK_E_TOO_BIG, "the push has too many shallow lines");
    }
    r->shallow_hex = id.n;
    r->shallow_count++;
    return ALK_OK;
}

/* at: of the line, in raw or in the certificate. */
static alk_err take_command(struct alk_git_receive *r, struct alk_span line, size_t at)
{
    struct alk_git_command command;
    alk_err err = alk_git_command_parse(line, &command);
    if (err == ALK_E_TOO_BIG) {
        return fail(r, err, "a ref's name is too long");
    }
    if (err || command.old_id.n != r->id_hex) {
        return fail(r, ALK_E_PROTOCOL, "a command is not: old id, new id, ref");
    }
    ALK_TRY(slices_add(r, &r->commands, at, line.n));
    r->has_pack = r->has_pack || !alk_git_command_is_delete(&command);
    return ALK_OK;
}

static alk_err take_list_line(struct alk_git_receive *r, struct alk_span data)
{
    struct alk_span rest = alk_git_pkt_text(data);
    size_t whole = rest.n;
    struct alk_span line = alk_span_cut(&rest, 0);
    if (line.n == whole && alk_span_starts(line, ALK_LIT("shallow "))) {
        return take_shallow(r, alk_span_tail(line, 8));
    }
    if (alk_span_find(rest, 0) < rest.n) {
        return fail(r, ALK_E_PROTOCOL, "a zero byte in the capabilities");
    }
    if (r->has_cert) {
        return fail(r, ALK_E_PROTOCOL, "something else beside a push certificate");
    }
    if (!r->has_caps) {
        r->has_caps = true;
        r->caps =
            (struct slice){.at = rest.n ? offset_in(&r->raw, rest) : 0, .n = (uint32_t)rest.n};
        ALK_TRY(take_format(r, rest));
    } else if (line.n != whole) {
        return fail(r, ALK_E_PROTOCOL, "a zero byte in a command");
    }
    if (!alk_span_is(line, "push-cert")) {
        return take_command(r, line, offset_in(&r->raw, line));
    }
    if (!r->allows_cert) {
        return fail(r, ALK_E_PROTOCOL, "a push certificate that was not asked for");
    }
    if (r->commands.n > 0) {
        return fail(r, ALK_E_PROTOCOL, "a push certificate beside commands");
    }
    r->state = IN_CERT;
    return ALK_OK;
}

/* The certificate's commands are those of the push. */
static alk_err end_cert(struct alk_git_receive *r)
{
    struct alk_git_pushcert cert;
    struct alk_git_command command;
    alk_err err = alk_git_pushcert_parse(alk_buf_span(&r->cert), &cert);
    if (err == ALK_E_UNSUPPORTED) {
        return fail(r, ALK_E_PROTOCOL, "the push certificate is not signed with an SSH key");
    }
    if (err) {
        return fail(r, err == ALK_E_TOO_BIG ? err : ALK_E_PROTOCOL,
                    "the push certificate is malformed");
    }
    struct alk_span rest = cert.commands;
    while (alk_git_pushcert_next_command(&rest, &command)) {
        struct alk_span line =
            alk_span(command.old_id.p, (size_t)(command.ref.p + command.ref.n - command.old_id.p));
        ALK_TRY(take_command(r, line, offset_in(&r->cert, line)));
    }
    r->has_cert = true;
    r->state = IN_LIST;
    return ALK_OK;
}

static alk_err take_cert_line(struct alk_git_receive *r, struct alk_span data)
{
    if (alk_span_is(data, "push-cert-end\n")) {
        return end_cert(r);
    }
    if (alk_span_find(data, 0) < data.n) {
        return fail(r, ALK_E_PROTOCOL, "a zero byte in a push certificate");
    }
    alk_err err = alk_buf_put(&r->cert, data);
    return err ? fail(r, err, "the push certificate is too big") : ALK_OK;
}

static alk_err take_option(struct alk_git_receive *r, struct alk_span data)
{
    struct alk_span option = alk_git_pkt_text(data);
    if (option.n > ALK_GIT_RECEIVE_OPTION_BYTES) {
        return fail(r, ALK_E_TOO_BIG, "a push option is too long");
    }
    if (alk_span_find(option, 0) < option.n || alk_span_find(option, '\n') < option.n) {
        return fail(r, ALK_E_PROTOCOL, "a push option has a zero byte or a line end");
    }
    return slices_add(r, &r->options, option.n ? offset_in(&r->raw, option) : 0, option.n);
}

/* --- packets ------------------------------------------------------------------------- */

static alk_err check_cert_options(struct alk_git_receive *r)
{
    struct alk_git_pushcert cert;
    struct alk_span option;
    if (!r->has_cert) {
        return ALK_OK;
    }
    alk_err err = alk_git_pushcert_parse(alk_buf_span(&r->cert), &cert);
    bool is_same = err == ALK_OK && cert.option_count == r->options.n;
    struct alk_span rest = cert.headers;
    for (size_t i = 0; is_same && i < r->options.n; i++) {
        is_same = alk_git_pushcert_next_option(&rest, &option) &&
                  alk_span_equal(option, raw_at(r, r->options.p[i]));
    }
    return is_same ? ALK_OK
                   : fail(r, ALK_E_PROTOCOL, "the push options are not those of the certificate");
}

static alk_err take_flush(struct alk_git_receive *r)
{
    if (r->state == IN_CERT) {
        return fail(r, ALK_E_PROTOCOL, "the push certificate is not whole");
    }
    if (r->state == IN_LIST && r->commands.n > 0 &&
        alk_git_caps_get(alk_git_receive_caps(r), "push-options", NULL)) {
        r->state = IN_OPTIONS;
        return ALK_OK;
    }
    ALK_TRY(check_cert_options(r));
    r->state = IS_OVER;
    return ALK_OK;
}

static alk_err take_packet(struct alk_git_receive *r, enum alk_git_pkt_kind kind)
{
    struct alk_span data = alk_buf_span(&r->raw);
    data = alk_span_tail(data, data.n - r->pkt_n);
    r->pkt_n = 0;
    if (kind == ALK_GIT_PKT_FLUSH) {
        return take_flush(r);
    }
    if (kind != ALK_GIT_PKT_DATA) {
        return fail(r, ALK_E_PROTOCOL, "an unexpected packet in a push");
    }
    switch (r->state) {
    case IN_LIST:
        return take_list_line(r, data);
    case IN_CERT:
        return take_cert_line(r, data);
    case IN_OPTIONS:
        return take_option(r, data);
    case IS_OVER:
        break;
    }
    return ALK_OK;
}

/* Up to the end of one piece of a packet. */
static alk_err feed_piece(struct alk_git_receive *r, struct alk_span *in)
{
    struct alk_git_pkt_piece piece;
    struct alk_span before = *in;
    alk_err err = alk_git_pkt_stream_next(&r->stream, in, &piece);
    if (err < 0) {
        return fail(r, err, "no packets of git's protocol");
    }
    alk_err room = alk_buf_put(&r->raw, alk_span_head(before, before.n - in->n));
    if (room) {
        return fail(r, room, "the push names too much");
    }
    if (err) {
        return err;
    }
    r->pkt_n += piece.data.n;
    return piece.is_last ? take_packet(r, piece.kind) : ALK_OK;
}

alk_err alk_git_receive_feed(struct alk_git_receive *r, struct alk_span in, size_t *ret_used)
{
    struct alk_span rest = in;
    *ret_used = 0;
    while (r->state != IS_OVER) {
        alk_err err = r->err ? r->err : feed_piece(r, &rest);
        if (err < 0) {
            return err;
        }
        if (err == ALK_MORE) {
            *ret_used = in.n;
            return err;
        }
    }
    *ret_used = in.n - rest.n;
    return r->err;
}

/* --- what was said ------------------------------------------------------------------- */

const char *alk_git_receive_why(const struct alk_git_receive *r)
{
    return r->why;
}

bool alk_git_receive_may_end(const struct alk_git_receive *r)
{
    if (r->err) {
        return false;
    }
    if (r->state == IS_OVER) {
        return !r->has_pack;
    }
    return alk_buf_len(&r->raw) == 0;
}

struct alk_span alk_git_receive_raw(const struct alk_git_receive *r)
{
    return alk_buf_span(&r->raw);
}

size_t alk_git_receive_command_count(const struct alk_git_receive *r)
{
    return r->commands.n;
}

struct alk_git_command alk_git_receive_command(const struct alk_git_receive *r, size_t number)
{
    ALK_ASSERT(number < r->commands.n);
    struct alk_git_command command = {0};
    struct slice s = r->commands.p[number];
    struct alk_span base = alk_buf_span(r->has_cert ? &r->cert : &r->raw);
    alk_err err = alk_git_command_parse(alk_span_head(alk_span_tail(base, s.at), s.n), &command);
    ALK_ASSERT(err == ALK_OK);
    return command;
}

bool alk_git_receive_has_pack(const struct alk_git_receive *r)
{
    return r->has_pack;
}

size_t alk_git_receive_shallow_count(const struct alk_git_receive *r)
{
    return r->shallow_count;
}

size_t alk_git_receive_option_count(const struct alk_git_receive *r)
{
    return r->options.n;
}

struct alk_span alk_git_receive_option(const struct alk_git_receive *r, size_t number)
{
    ALK_ASSERT(number < r->options.n);
    return raw_at(r, r->options.p[number]);
}

struct alk_span alk_git_receive_cert(const struct alk_git_receive *r)
{
    return alk_buf_span(&r->cert);
}

struct alk_span alk_git_receive_caps(const struct alk_git_receive *r)
{
    return raw_at(r, r->caps);
}

bool alk_git_caps_get(struct alk_span caps, const char *name, struct alk_span *ret_value)
{
    struct alk_span want = alk_span_str(name);
    while (caps.n > 0) {
        struct alk_span value = alk_span_cut(&caps, ' ');
        struct alk_span key = alk_span_cut(&value, '=');
        if (alk_span_equal(key, want)) {
            if (ret_value != NULL) {
                *ret_value = value;
            }
            return true;
        }
    }
    return false;
}
