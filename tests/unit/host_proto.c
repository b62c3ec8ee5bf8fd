/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The codec of the control channel: every message there and back, every prefix,
 * mutations, and what is refused in which state. */
#include "core/host/proto.h"

#include "core/auth/identity.h"
#include "support/check.h"
#include "support/oom.h"

static const struct alk_identity *identity;

static int make_identity(void **state)
{
    const struct alk_span scopes[] = {ALK_LIT("xmpp"), ALK_LIT("files:*")};
    const struct alk_span actions[] = {ALK_LIT("read"), ALK_LIT("write")};
    const struct alk_grant grants[] = {
        {.type = ALK_LIT("repo"), .name = ALK_LIT("team/*"), .actions = actions,
         .action_count = 2}};
    const struct alk_identity_spec spec = {.id = ALK_LIT("laptop"),
                                           .scopes = scopes,
                                           .scope_count = 2,
                                           .grants = grants,
                                           .grant_count = 1};
    (void)state;
    return alk_identity_new(NULL, &spec, NULL, 0, &identity) == ALK_OK ? 0 : 1;
}

static int drop_identity(void **state)
{
    (void)state;
    alk_identity_unref(identity);
    return 0;
}

static void sample_auth(struct alk_auth_context *a)
{
    a->struct_size = sizeof *a;
    (void)snprintf(a->alpn, sizeof a->alpn, "my/tool");
    (void)snprintf(a->remote, sizeof a->remote, "192.0.2.1:5");
    (void)snprintf(a->local, sizeof a->local, "[::1]:4433");
    (void)snprintf(a->sni, sizeof a->sni, "node");
    (void)snprintf(a->log_id, sizeof a->log_id, "0-5");
    a->transport = ALK_TRANSPORT_TLS;
    a->cert_kind = ALK_CERT_X509;
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(a->fingerprints[i], sizeof a->fingerprints[i], "spki:%zu", i);
    }
    a->is_resumed = true;
    a->is_confirmed = true;
    a->source = ALK_AUTH_TLS_KEY;
    a->identity = identity;
    a->generation = 9;
}

static bool has_conn(enum alk_host_type type)
{
    return type >= ALK_HOST_OPEN && type != ALK_HOST_QUIT;
}

static bool has_stream(enum alk_host_type type)
{
    return type >= ALK_HOST_STREAM && type <= ALK_HOST_STOP;
}

/* One of each, with all fields set. */
static struct alk_host_msg sample(enum alk_host_type type)
{
    struct alk_host_msg m = {.type = type};
    m.conn = has_conn(type) ? 5 : 0;
    m.stream = has_stream(type) ? 6 : 0;
    switch (type) {
    case ALK_HOST_HELLO:
        m.u.hello.version = 1;
        m.u.hello.channel = 2;
        m.u.hello.settings_len = 70000;
        m.u.hello.window = 65536;
        m.u.hello.memory = UINT64_C(1) << 40;
        m.u.hello.service = ALK_LIT("my/tool");
        break;
    case ALK_HOST_SETTINGS:
        m.u.bytes = ALK_LIT("root: /srv");
        break;
    case ALK_HOST_READY:
        m.u.ready.version = 1;
        m.u.ready.sandbox = 0x7f;
        break;
    case ALK_HOST_ERROR:
        m.u.error.err = ALK_E_CONFIG;
        m.u.error.text = ALK_LIT("no");
        break;
    case ALK_HOST_LOG:
        m.u.log.level = ALK_LOG_DEBUG;
        m.u.log.text = ALK_LIT("line");
        break;
    case ALK_HOST_OPEN:
    case ALK_HOST_AUTH:
        sample_auth(&m.u.auth.auth);
        m.u.auth.datagram_max = 1200;
        break;
    case ALK_HOST_CLOSE:
        m.u.close.err = ALK_E_RESET;
        m.u.close.code = UINT64_C(0x123456789a);
        m.u.close.reason = ALK_LIT("bye");
        break;
    case ALK_HOST_DATAGRAM:
        m.u.bytes = ALK_LIT("dgram");
        break;
    case ALK_HOST_STREAM:
        m.u.stream.id = 4;
        m.u.stream.is_early = true;
        break;
    case ALK_HOST_OPENED:
        m.u.opened.err = ALK_E_ONE_STREAM;
        m.u.opened.id = 1;
        break;
    case ALK_HOST_RESOLVE:
        m.u.resolve.query = 11;
        m.u.resolve.kind = ALK_CREDENTIAL_TOKEN;
        m.u.resolve.method = ALK_LIT("token");
        m.u.resolve.fingerprints[0] = ALK_LIT("ed25519:00");
        m.u.resolve.fingerprint_count = 1;
        m.u.resolve.token = ALK_LIT("alk_x");
        break;
    case ALK_HOST_RESOLVED:
        m.u.resolved.query = 11;
        m.u.resolved.generation = 3;
        m.u.resolved.identity = identity;
        break;
    case ALK_HOST_DENY:
        m.u.deny.method = ALK_LIT("token");
        m.u.deny.reason = ALK_LIT("none");
        break;
    case ALK_HOST_DRAIN:
    case ALK_HOST_FINISH:
    case ALK_HOST_RESET:
    case ALK_HOST_STOP:
    case ALK_HOST_PING:
    case ALK_HOST_PONG:
        m.u.value = 77;
        break;
    case ALK_HOST_QUIT:
        break;
    }
    return m;
}

static struct alk_span put(uint8_t *text, size_t size, const struct alk_host_msg *m)
{
    struct alk_wr w = alk_wr(text, size);
    check_err(alk_host_msg_write(&w, m), ALK_OK);
    return alk_wr_span(&w);
}

/* The states in which each message is right, written out a second time. */
static const struct {
    enum alk_host_type type;
    unsigned states;
} allowed[] = {
    {ALK_HOST_HELLO, ALK_HOST_NEW},
    {ALK_HOST_SETTINGS, ALK_HOST_LOADING},
    {ALK_HOST_READY, ALK_HOST_STARTING},
    {ALK_HOST_ERROR, ALK_HOST_STARTING | ALK_HOST_RUNNING},
    {ALK_HOST_LOG, ALK_HOST_STARTING | ALK_HOST_RUNNING},
    {ALK_HOST_PING, ALK_HOST_SERVING},
    {ALK_HOST_PONG, ALK_HOST_RUNNING},
    {ALK_HOST_OPEN, ALK_HOST_SERVING},
    {ALK_HOST_CLOSE, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_AUTH, ALK_HOST_SERVING},
    {ALK_HOST_DRAIN, ALK_HOST_SERVING},
    {ALK_HOST_DATAGRAM, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_STREAM, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_OPENED, ALK_HOST_SERVING},
    {ALK_HOST_FINISH, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_RESET, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_STOP, ALK_HOST_SERVING | ALK_HOST_RUNNING},
    {ALK_HOST_RESOLVE, ALK_HOST_RUNNING},
    {ALK_HOST_RESOLVED, ALK_HOST_SERVING},
    {ALK_HOST_DENY, ALK_HOST_RUNNING},
    {ALK_HOST_QUIT, ALK_HOST_NEW | ALK_HOST_LOADING | ALK_HOST_SERVING},
};
#define TYPES (sizeof(allowed) / sizeof(allowed[0]))

static enum alk_host_state some_state(size_t i)
{
    unsigned states = allowed[i].states;
    return (enum alk_host_state)(states & (~states + 1));
}

static void every_message_comes_back_as_it_was(void **state)
{
    uint8_t first[4096], second[4096];
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct alk_host_msg m = sample(allowed[i].type);
        struct alk_host_msg got;
        struct alk_span text = put(first, sizeof first, &m);
        size_t fds = m.type == ALK_HOST_STREAM ? 1 : 0;
        check_err(alk_host_msg_parse(NULL, text, fds, some_state(i), &got), ALK_OK);
        assert_int_equal(got.type, m.type);
        struct alk_span again = put(second, sizeof second, &got);
        assert_true(alk_span_equal(text, again));
        alk_host_msg_fini(&got);
    }
}

static void the_auth_context_keeps_every_field(void **state)
{
    uint8_t text[4096];
    struct alk_host_msg got;
    struct alk_host_msg m = sample(ALK_HOST_OPEN);
    (void)state;
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_SERVING, &got),
              ALK_OK);
    const struct alk_identity *copy = got.u.auth.auth.identity;
    assert_true(alk_span_is(alk_identity_id(copy), "laptop"));
    assert_true(alk_identity_has_scope(copy, ALK_LIT("files:x")));
    assert_true(alk_identity_may(copy, ALK_LIT("repo"), ALK_LIT("team/a"), ALK_LIT("write"),
                                 alk_span(NULL, 0)));
    assert_false(alk_identity_may(copy, ALK_LIT("repo"), ALK_LIT("other"), ALK_LIT("read"),
                                  alk_span(NULL, 0)));
    struct alk_auth_context want = m.u.auth.auth;
    want.identity = copy;
    assert_memory_equal(want.fingerprints, got.u.auth.auth.fingerprints, sizeof want.fingerprints);
    assert_string_equal(want.alpn, got.u.auth.auth.alpn);
    assert_string_equal(want.remote, got.u.auth.auth.remote);
    assert_string_equal(want.local, got.u.auth.auth.local);
    assert_string_equal(want.sni, got.u.auth.auth.sni);
    assert_string_equal(want.log_id, got.u.auth.auth.log_id);
    assert_int_equal(want.transport, got.u.auth.auth.transport);
    assert_int_equal(want.cert_kind, got.u.auth.auth.cert_kind);
    assert_int_equal(want.is_resumed, got.u.auth.auth.is_resumed);
    assert_int_equal(want.is_early, got.u.auth.auth.is_early);
    assert_int_equal(want.is_confirmed, got.u.auth.auth.is_confirmed);
    assert_int_equal(want.source, got.u.auth.auth.source);
    assert_int_equal(want.generation, got.u.auth.auth.generation);
    assert_int_equal(want.struct_size, got.u.auth.auth.struct_size);
    alk_host_msg_fini(&got);
}

static void a_message_is_refused_outside_its_states(void **state)
{
    uint8_t text[4096];
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct alk_host_msg m = sample(allowed[i].type);
        struct alk_span s = put(text, sizeof text, &m);
        for (unsigned st = ALK_HOST_NEW; st <= ALK_HOST_DEAD; st <<= 1) {
            struct alk_host_msg got;
            alk_err want = (allowed[i].states & st) != 0 ? ALK_OK : ALK_E_PROTOCOL;
            check_err(alk_host_msg_parse(NULL, s, 0, (enum alk_host_state)st, &got), want);
            if (want == ALK_OK) {
                alk_host_msg_fini(&got);
            }
        }
    }
}

static void every_prefix_and_every_extension_is_malformed(void **state)
{
    uint8_t text[4096];
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct alk_host_msg m = sample(allowed[i].type);
        struct alk_host_msg got;
        struct alk_span s = put(text, sizeof text - 1, &m);
        for (size_t n = 0; n < s.n; n++) {
            check_err(alk_host_msg_parse(NULL, alk_span(s.p, n), 0, some_state(i), &got),
                      ALK_E_MALFORMED);
        }
        text[s.n] = 0;
        check_err(alk_host_msg_parse(NULL, alk_span(s.p, s.n + 1), 0, some_state(i), &got),
                  ALK_E_MALFORMED);
    }
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_host_msg got;
    enum alk_host_state *st = ctx;
    if (alk_host_msg_parse(NULL, in, 0, *st, &got) == ALK_OK) {
        uint8_t again[ALK_HOST_MSG_MAX];
        assert_int_equal(put(again, sizeof again, &got).n, in.n);
        alk_host_msg_fini(&got);
    }
}

static void mutations_do_no_harm(void **state)
{
    uint8_t text[4096];
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct alk_host_msg m = sample(allowed[i].type);
        enum alk_host_state st = some_state(i);
        check_mutations(put(text, sizeof text, &m), look, &st);
    }
}

static void numbers_must_be_there_or_not(void **state)
{
    uint8_t text[256];
    struct alk_host_msg got;
    (void)state;
    struct alk_host_msg m = sample(ALK_HOST_PING);
    m.conn = 1;
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_SERVING, &got),
              ALK_E_MALFORMED);
    m = sample(ALK_HOST_FINISH);
    m.stream = 0;
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_SERVING, &got),
              ALK_E_MALFORMED);
    m = sample(ALK_HOST_DRAIN);
    m.conn = 0;
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_SERVING, &got),
              ALK_E_MALFORMED);
}

static void only_stream_carries_a_descriptor(void **state)
{
    uint8_t text[4096];
    (void)state;
    for (size_t i = 0; i < TYPES; i++) {
        struct alk_host_msg m = sample(allowed[i].type);
        struct alk_host_msg got;
        alk_err want = m.type == ALK_HOST_STREAM ? ALK_OK : ALK_E_MALFORMED;
        check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 1, some_state(i), &got),
                  want);
    }
}

static void an_error_of_a_newer_build_is_internal(void **state)
{
    uint8_t text[256];
    struct alk_host_msg got;
    (void)state;
    struct alk_host_msg m = sample(ALK_HOST_CLOSE);
    m.u.close.err = (alk_err)-999;
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_SERVING, &got),
              ALK_OK);
    assert_int_equal(got.u.close.err, ALK_E_INTERNAL);
}

static void long_texts_are_cut_and_long_messages_refused(void **state)
{
    static char line[4096];
    static uint8_t text[2 * ALK_HOST_MSG_MAX];
    struct alk_host_msg got;
    (void)state;
    memset(line, 'x', sizeof line);
    struct alk_host_msg m = sample(ALK_HOST_LOG);
    m.u.log.text = alk_span(line, sizeof line);
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_RUNNING, &got),
              ALK_OK);
    assert_int_equal(got.u.log.text.n, ALK_HOST_TEXT_MAX);
    static uint8_t big[ALK_HOST_BODY_MAX + 1];
    struct alk_wr w = alk_wr(text, ALK_HOST_MSG_MAX);
    m = sample(ALK_HOST_DATAGRAM);
    m.u.bytes = alk_span(big, sizeof big);
    check_err(alk_host_msg_write(&w, &m), ALK_E_TOO_BIG);
    check_err(alk_host_msg_parse(NULL, put(text, sizeof text, &m), 0, ALK_HOST_RUNNING, &got),
              ALK_E_MALFORMED);
}

static alk_err parse_open(const struct alk_mem *mem, void *ctx)
{
    const struct alk_span *text = ctx;
    struct alk_host_msg got;
    ALK_TRY(alk_host_msg_parse(mem, *text, 0, ALK_HOST_SERVING, &got));
    alk_host_msg_fini(&got);
    return ALK_OK;
}

static void an_identity_without_memory_fails_cleanly(void **state)
{
    uint8_t text[4096];
    struct alk_host_msg m = sample(ALK_HOST_OPEN);
    struct alk_span s = put(text, sizeof text, &m);
    (void)state;
    oom_sweep(parse_open, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was),
        cmocka_unit_test(the_auth_context_keeps_every_field),
        cmocka_unit_test(a_message_is_refused_outside_its_states),
        cmocka_unit_test(every_prefix_and_every_extension_is_malformed),
        cmocka_unit_test(mutations_do_no_harm),
        cmocka_unit_test(numbers_must_be_there_or_not),
        cmocka_unit_test(only_stream_carries_a_descriptor),
        cmocka_unit_test(an_error_of_a_newer_build_is_internal),
        cmocka_unit_test(long_texts_are_cut_and_long_messages_refused),
        cmocka_unit_test(an_identity_without_memory_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, make_identity, drop_identity);
}
