/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "git/proto/v2.h"

#include "base/mem.h"
#include "git/proto/v2_impl.h"

enum { CAPS_DEFAULT = 65536, OUT_DEFAULT = 4 << 20, AGENT_MAX = 128 };

static bool is_agent(struct alk_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) {
            return false;
        }
    }
    return s.n > 0 && s.n <= AGENT_MAX;
}

alk_err alk_git_v2_new(const struct alk_git_v2_options *options, struct alk_git_v2 **ret)
{
    struct alk_span agent = options->agent.n > 0 ? options->agent : ALK_LIT("git/alknet");
    if (!is_agent(agent)) {
        return ALK_E_INVALID;
    }
    struct alk_git_v2 *c = ALK_NEW(options->mem, struct alk_git_v2);
    if (c == NULL) {
        return ALK_E_NOMEM;
    }
    c->mem = options->mem;
    c->id_hex = ALK_GIT_SHA1_HEX;
    c->has_response_end = options->has_response_end;
    alk_git_pkt_reader_init(&c->reader, c->mem, 0);
    alk_buf_init(&c->caps, c->mem, options->caps_max ? options->caps_max : CAPS_DEFAULT);
    alk_buf_init(&c->out, c->mem, options->out_max ? options->out_max : OUT_DEFAULT);
    alk_buf_init(&c->refusal, c->mem, ALK_GIT_PKT_DATA_MAX);
    alk_buf_init(&c->agent, c->mem, AGENT_MAX);
    if (alk_buf_put(&c->agent, agent) != ALK_OK) {
        alk_git_v2_free(c);
        return ALK_E_NOMEM;
    }
    *ret = c;
    return ALK_OK;
}

void alk_git_v2_free(struct alk_git_v2 *c)
{
    if (c != NULL) {
        alk_git_pkt_reader_fini(&c->reader);
        alk_buf_fini(&c->caps);
        alk_buf_fini(&c->out);
        alk_buf_fini(&c->refusal);
        alk_buf_fini(&c->agent);
        alk_free(c->mem, c);
    }
}

/* --- capabilities -------------------------------------------------------------------- */

bool alk_git_v2_cap(const struct alk_git_v2 *c, const char *name, struct alk_span *ret_value)
{
    struct alk_span rest = alk_buf_span(&c->caps);
    while (rest.n > 0) {
        struct alk_span value = alk_span_cut(&rest, c->is_old ? ' ' : '\n');
        struct alk_span key = alk_span_cut(&value, '=');
        if (alk_span_is(key, name)) {
            if (ret_value != NULL) {
                *ret_value = value;
            }
            return true;
        }
    }
    return false;
}

bool alk_git_v2_feature(const struct alk_git_v2 *c, const char *cap, const char *word)
{
    struct alk_span value;
    if (!alk_git_v2_cap(c, cap, &value)) {
        return false;
    }
    while (value.n > 0) {
        if (alk_span_is(alk_span_cut(&value, ' '), word)) {
            return true;
        }
    }
    return false;
}

size_t alk_git_v2_id_hex(const struct alk_git_v2 *c)
{
    return c->id_hex;
}

bool alk_git_v2_is_idle(const struct alk_git_v2 *c)
{
    return c->err == ALK_OK && c->state == V2_IDLE && !c->has_event && !c->is_eof && !c->is_bye;
}

/* --- events and output --------------------------------------------------------------- */

alk_err alk_git_v2_feed(struct alk_git_v2 *c, struct alk_span in, size_t *ret_used)
{
    struct alk_span rest = in;
    *ret_used = 0;
    if (c->is_eof && c->err == ALK_OK) {
        return ALK_E_STATE;
    }
    while (c->err == ALK_OK && !c->has_event) {
        alk_err err = alk_git_v2_step(c, &rest);
        if (err == ALK_MORE) {
            break;
        }
        c->err = err;
    }
    *ret_used = in.n - rest.n;
    /* What was refused is told by the event first. */
    return c->has_event ? ALK_OK : c->err;
}

alk_err alk_git_v2_next(struct alk_git_v2 *c, struct alk_git_v2_event *ret)
{
    if (!c->has_event) {
        return c->err ? c->err : ALK_MORE;
    }
    *ret = c->event;
    c->has_event = false;
    return ALK_OK;
}

alk_err alk_git_v2_eof(struct alk_git_v2 *c)
{
    bool is_whole = c->state == V2_IDLE || c->state == V2_OLD_OVER;
    c->is_eof = true;
    if (c->err == ALK_OK && (!is_whole || !alk_git_pkt_reader_is_between(&c->reader))) {
        c->err = ALK_E_PROTOCOL;
    }
    return c->err;
}

struct alk_span alk_git_v2_output(const struct alk_git_v2 *c)
{
    return alk_buf_span(&c->out);
}

void alk_git_v2_sent(struct alk_git_v2 *c, size_t n)
{
    alk_buf_consume(&c->out, n);
}

/* --- side bands ---------------------------------------------------------------------- */

bool alk_git_band_split(struct alk_span data, enum alk_git_band *ret_band, struct alk_span *ret)
{
    if (data.n == 0 || data.p[0] < ALK_GIT_BAND_DATA || data.p[0] > ALK_GIT_BAND_ERROR) {
        return false;
    }
    *ret_band = (enum alk_git_band)data.p[0];
    *ret = alk_span_tail(data, 1);
    return true;
}

alk_err alk_git_band_put(struct alk_buf *b, enum alk_git_band band, struct alk_span data)
{
    const char word[] = {(char)band, '\0'};
    while (data.n > 0) {
        struct alk_span part = alk_span_head(data, ALK_GIT_PKT_DATA_MAX - 1);
        ALK_TRY(alk_git_pkt_put_pair(b, word, part, false));
        data = alk_span_tail(data, part.n);
    }
    return ALK_OK;
}
