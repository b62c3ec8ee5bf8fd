/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The talk with the hooks of a push (cli/gitrun/): they look into the repository, the node says
 * what its rights are. One message per packet; what is marked waits for the answer.
 *
 *     pre-receive   begin                       > go | no TEXT
 *                   signer NAME...              > ok ID | no TEXT   names of the certificate's key
 *                   refs LF (OLD NEW REF LF)*     any number of times
 *                   check                       > ok | no TEXT
 *                   author NAME...              > ok ID | no TEXT   of a commit's key
 *                   declined TEXT                 at any time: it is refused, this is why
 *     post-receive  after
 *                   refs ...
 *                   end
 *
 * Rights are asked for anew at `begin`: a token or a key that was revoked while the pack
 * came in pushes nothing. */
#include "base/mem.h"
#include "core/auth/identity.h"
#include "core/conn.h"
#include "core/host/attached.h"
#include "git/proto/refname.h"
#include "git/service.h"
#include "ops/events.h"

#include <stdio.h>

#define EVENT_MAX ((size_t)1 << 20)

void alk_git_push_fini(struct alk_git_session *s)
{
    alk_identity_unref(s->push.who);
    alk_identity_unref(s->push.signer);
    alk_out_fini(&s->push.event);
    s->push = (struct alk_git_push){.who = NULL};
}

static struct alk_span name_of(const struct alk_git_session *s)
{
    return alk_span(s->repo.name, s->repo.n);
}

ALK_PRINTF(2, 3)
static void answer(struct alk_git_session *s, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    s->push.is_asked = false;
    if (alk_attached_say(s->run, alk_span(text, size)) != ALK_OK) {
        alk_attached_abandon(s->run, ALK_CODE_INTERNAL);
    }
}

/* No hook of ours says this. */
static void give_up(struct alk_git_session *s, const char *what)
{
    alk_git_say(s->service, ALK_LOG_ERROR, s->log_id, "a hook of %s said what it must not: %s",
                s->repo.name, what);
    alk_attached_abandon(s->run, ALK_CODE_INTERNAL);
}

/* By whose rights: with a certificate alone, its signer's. */
static const struct alk_identity *pusher(const struct alk_git_push *p)
{
    return p->who != NULL ? p->who : p->signer;
}

/* The hook says it to the pusher, and then that it has declined. */
static void refuse(struct alk_git_session *s, const char *text)
{
    answer(s, "no %s", text);
}

static void on_declined(struct alk_git_session *s, struct alk_span text)
{
    char why[256];
    (void)snprintf(why, sizeof why, ALK_SPAN_FMT, ALK_SPAN_ARG(alk_span_head(text, 255)));
    alk_git_audit(s, pusher(&s->push), false, why);
    alk_git_say(s->service, ALK_LOG_INFO, s->log_id, "a push to %s was declined: %s", s->repo.name,
                why);
    s->push.is_checked = false;
}

/* --- begin ------------------------------------------------------------------------------- */

static void begin_as(struct alk_git_session *s, const struct alk_identity *who)
{
    s->push.who = who == NULL ? NULL : alk_identity_ref(who);
    s->push.has_begun = true;
    answer(s, "go");
}

static void on_token(void *ctx, alk_err err, const struct alk_identity *identity,
                     uint64_t generation)
{
    struct alk_git_session *s = ctx;
    (void)generation;
    if (!alk_git_session_resolved(s)) {
        return;
    }
    if (err == ALK_OK) {
        begin_as(s, identity);
    } else {
        refuse(s, "the token is not valid any more");
    }
}

static void on_begin(struct alk_git_session *s)
{
    if (s->token == NULL) {
        begin_as(s, alk_git_session_who(s));
        return;
    }
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_TOKEN,
                                         .token = alk_span(s->token, s->token_n)};
    s->is_resolving = true;
    alk_conn_recheck(s->gc->conn, "token", &query, on_token, s);
}

/* --- keys -------------------------------------------------------------------------------- */

/* Names of a key, separated by spaces, in the shape of a query. */
static bool read_names(struct alk_span text, struct alk_key_names *ret)
{
    *ret = (struct alk_key_names){.count = 0};
    while (text.n > 0) {
        struct alk_span name = alk_span_cut(&text, ' ');
        if (ret->count == ALK_KEY_NAMES_MAX ||
            !alk_span_cstr(name, ret->name[ret->count], ALK_FINGERPRINT_MAX) || name.n == 0) {
            return false;
        }
        ret->count++;
    }
    return ret->count > 0;
}

static void resolve_key(struct alk_git_session *s, const char *method, struct alk_span text,
                        alk_auth_done_fn *done)
{
    struct alk_key_names names;
    if (!read_names(text, &names)) {
        give_up(s, "names of a key");
        return;
    }
    const struct alk_auth_query query = {.kind = ALK_CREDENTIAL_FINGERPRINTS,
                                         .fingerprints =
                                             (const char(*)[ALK_FINGERPRINT_MAX])names.name,
                                         .fingerprint_count = names.count};
    s->is_resolving = true;
    if (method == NULL) {
        alk_conn_recheck(s->gc->conn, "commit", &query, done, s);
    } else {
        alk_conn_resolve(s->gc->conn, method, &query, done, s);
    }
}

static void on_signer_known(void *ctx, alk_err err, const struct alk_identity *identity,
                            uint64_t generation)
{
    struct alk_git_session *s = ctx;
    struct alk_git_push *p = &s->push;
    (void)generation;
    if (!alk_git_session_resolved(s)) {
        return;
    }
    if (err != ALK_OK) {
        refuse(s, err == ALK_E_UNAVAILABLE ? "the certificate's key cannot be looked up now"
                                           : "nobody known here has the key that signed this push");
        return;
    }
    struct alk_span id = alk_identity_id(identity);
    if (p->who != NULL && !alk_span_equal(alk_identity_id(p->who), id)) {
        refuse(s, "the certificate was signed by somebody else than you");
        return;
    }
    p->signer = alk_identity_ref(identity);
    answer(s, "ok " ALK_SPAN_FMT, ALK_SPAN_ARG(id));
}

static void on_author_known(void *ctx, alk_err err, const struct alk_identity *identity,
                            uint64_t generation)
{
    struct alk_git_session *s = ctx;
    (void)generation;
    if (!alk_git_session_resolved(s)) {
        return;
    }
    if (err == ALK_OK) {
        answer(s, "ok " ALK_SPAN_FMT, ALK_SPAN_ARG(alk_identity_id(identity)));
    } else {
        answer(s, "no");
    }
}

/* --- refs -------------------------------------------------------------------------------- */

/* The first one is told. */
static void deny(struct alk_git_push *p, struct alk_span ref)
{
    if (!p->is_denied) {
        p->is_denied = true;
        (void)snprintf(p->denied, sizeof p->denied, ALK_SPAN_FMT,
                       ALK_SPAN_ARG(alk_span_head(ref, sizeof p->denied - 1)));
    }
}

static void check_ref(struct alk_git_session *s, const struct alk_git_command *c)
{
    struct alk_git_push *p = &s->push;
    if (!alk_git_may_push(pusher(p), name_of(s), c->ref)) {
        deny(p, c->ref);
    }
}

static void put_ref(struct alk_out *out, const struct alk_git_command *c)
{
    alk_out_object(out);
    alk_out_key(out, "ref");
    alk_out_span(out, c->ref);
    alk_out_key(out, "old");
    alk_out_span(out, c->old_id);
    alk_out_key(out, "new");
    alk_out_span(out, c->new_id);
    alk_out_end(out);
}

static void on_refs(struct alk_git_session *s, struct alk_span lines)
{
    while (lines.n > 0) {
        struct alk_git_command c;
        struct alk_span line = alk_span_cut(&lines, '\n');
        if (alk_git_command_parse(line, &c) != ALK_OK) {
            deny(&s->push, line); /* git looks at names later than our hook */
            continue;
        }
        s->push.ref_count++;
        if (!s->push.is_after) {
            check_ref(s, &c);
        } else if (s->push.ref_count <= ALK_GIT_EVENT_REFS) {
            put_ref(&s->push.event, &c);
        }
    }
}

static void on_check(struct alk_git_session *s)
{
    struct alk_git_push *p = &s->push;
    char text[512];
    if (p->signer == NULL && s->rule->signing == ALK_GIT_SIGNING_REQUIRED) {
        refuse(s, "this repository takes signed pushes only (git push --signed)");
        return;
    }
    if (pusher(p) == NULL) {
        refuse(s, "nobody known asks for this push");
        return;
    }
    if (p->is_denied) {
        (void)snprintf(text, sizeof text, "you may not push to %s", p->denied);
        refuse(s, text);
        return;
    }
    p->is_checked = true;
    answer(s, "ok");
}

/* --- the event --------------------------------------------------------------------------- */

/* {"repository", "public", "identity", "signed", "refs": [{"ref", "old", "new"}], "ref_count"} */
static void begin_event(struct alk_git_session *s)
{
    struct alk_git_push *p = &s->push;
    struct alk_out *out = &p->event;
    p->is_after = true;
    p->ref_count = 0;
    alk_out_fini(out);
    alk_out_init(out, s->service->mem, EVENT_MAX);
    alk_out_object(out);
    alk_out_key(out, "repository");
    alk_out_text(out, s->repo.name);
    alk_out_key(out, "public");
    alk_out_bool(out, s->rule->is_public);
    alk_out_key(out, "identity");
    alk_out_span(out, alk_identity_id(pusher(p)));
    alk_out_key(out, "signed");
    alk_out_bool(out, p->signer != NULL);
    alk_out_key(out, "refs");
    alk_out_array(out);
}

static alk_err publish(struct alk_git_session *s, struct alk_events *events)
{
    struct alk_git_push *p = &s->push;
    struct alk_publish event = {.topic = ALK_LIT(ALK_EVENT_GIT_PUSH),
                                .publisher = alk_identity_id(pusher(p))};
    uint64_t seq = 0;
    alk_out_end(&p->event);
    alk_out_key(&p->event, "ref_count");
    alk_out_u64(&p->event, p->ref_count);
    alk_out_end(&p->event);
    ALK_TRY(alk_out_done(&p->event, &event.data));
    alk_err err = alk_events_publish(events, s->loop, &event, NULL, NULL, &seq);
    return err == ALK_MORE ? ALK_OK : err;
}

static void tell_event(struct alk_git_session *s)
{
    struct alk_events *events = s->service->ops == NULL ? NULL : alk_ops_events(s->service->ops);
    if (events == NULL) {
        return; /* no service that anybody could hear it from */
    }
    alk_err err = publish(s, events);
    if (err != ALK_OK) {
        alk_git_say(s->service, ALK_LOG_WARN, s->log_id, "no event for a push to %s: %s",
                    s->repo.name, alk_err_text(err));
    }
    alk_events_unref(events);
}

/* What the repository holds now. */
static void on_pushed(struct alk_git_session *s)
{
    const struct alk_git_push *p = &s->push;
    char text[64];
    (void)snprintf(text, sizeof text, "%zu refs changed%s", p->ref_count,
                   p->signer == NULL ? "" : ", signed");
    alk_git_audit(s, pusher(p), true, text);
    tell_event(s);
}

/* --- messages ---------------------------------------------------------------------------- */

static bool is_word(struct alk_span *message, struct alk_span word)
{
    if (!alk_span_starts(*message, word)) {
        return false;
    }
    *message = alk_span_tail(*message, word.n);
    return true;
}

/* Those that are answered. */
static void on_question(struct alk_git_session *s, struct alk_span m)
{
    struct alk_git_push *p = &s->push;
    p->is_asked = true;
    if (s->gc == NULL) {
        alk_attached_abandon(s->run, ALK_CODE_NONE); /* nobody is there to be asked about */
    } else if (!p->has_begun && alk_span_is(m, "begin")) {
        on_begin(s);
    } else if (p->has_begun && !p->is_checked && p->signer == NULL && p->ref_count == 0 &&
               is_word(&m, ALK_LIT("signer "))) {
        resolve_key(s, "push-cert", m, on_signer_known);
    } else if (p->has_begun && !p->is_checked && alk_span_is(m, "check")) {
        on_check(s);
    } else if (p->is_checked && is_word(&m, ALK_LIT("author "))) {
        resolve_key(s, NULL, m, on_author_known);
    } else {
        give_up(s, "out of turn");
    }
}

/* Nothing of these is answered. False: it is something else. */
static bool on_statement(struct alk_git_session *s, struct alk_span m)
{
    struct alk_git_push *p = &s->push;
    bool is_before = p->has_begun && !p->is_checked;
    if ((is_before || p->is_after) && is_word(&m, ALK_LIT("refs\n"))) {
        on_refs(s, m);
        return true;
    }
    if (p->has_begun && !p->is_after && is_word(&m, ALK_LIT("declined "))) {
        on_declined(s, m);
        return true;
    }
    if (p->is_checked && !p->is_after && alk_span_is(m, "after")) {
        begin_event(s);
        return true;
    }
    if (p->is_after && alk_span_is(m, "end")) {
        p->is_after = false;
        on_pushed(s);
        return true;
    }
    return false;
}

void alk_git_push_message(struct alk_git_session *s, struct alk_span message)
{
    if (s->push.is_asked) {
        give_up(s, "too much");
    } else if (!on_statement(s, message)) {
        on_question(s, message);
    }
}
