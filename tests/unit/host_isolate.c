/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The promises of core/host/isolate.h: a handler in a process of its own, with
 * real processes that crash, hang and misbehave. */
#include "core/auth/identity.h"
#include "support/host_handler.h"

#include <signal.h>

static const struct alk_handler *const handlers[] = {&host_handler};

static void the_real_handler_runs_in_another_process(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "greeting: 'salut: \"toi\"'\nnames: [' et moi']\n", host_patient);
    host_check_answer(&w, "greet", "salut: \"toi\" et moi");
    host_world_until(&w, host_is_ready, &w);
    assert_int_not_equal(host_pid(&w), getpid());
    assert_true(host_log_has(&w, "test/isolated: started\\x1b"));
    host_world_fini(&w);
    assert_true(host_log_has(&w, "is ready"));
}

static bool is_stopped(void *ctx)
{
    return host_log_has(ctx, "test/isolated: stopped");
}

static void stopping_the_service_runs_the_handlers_stop(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_check_answer(&w, "greet", "hello");
    host_world_disconnect(&w);
    host_until_log(&w, "closed ALK_E_CLOSED 0");
    alk_service_unref(w.service);
    w.service = NULL;
    host_world_until(&w, is_stopped, &w);
    host_world_fini(&w);
}

static void bulk_goes_both_ways(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "x");
    host_world_until(&w, host_peer_has_some, &p); /* the word is read apart from what follows */
    host_peer_write_pattern(&p, 16 << 20, true);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_int_equal(p.total, (16 << 20) + 1);
    host_world_fini(&w);
}

static void a_download_arrives_whole(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "send 16777216");
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_true(p.sum == host_pattern_sum(16777216));
    host_world_fini(&w);
}

static void a_slow_reader_holds_the_host_with_bounded_memory(void **state)
{
    struct host_world w;
    struct host_peer p, other;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "send 67108864");
    p.is_paused = true;
    host_world_run(&w, 200);
    uint64_t held = p.stream->rx.max;
    assert_true(alk_stream_memory(p.stream) <= 2 * held);
    host_ask(&w, &other, "greet"); /* others go on */
    host_world_until(&w, host_peer_is_over, &other);
    assert_string_equal(other.text, "hello");
    host_peer_resume(&p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.total, 67108864);
    assert_true(p.has_end);
    host_world_fini(&w);
}

static void a_host_that_reads_nothing_stops_the_writer(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "slow");
    host_world_until(&w, host_peer_has_some, &p);
    host_peer_write_pattern(&p, 64 << 20, false);
    uint64_t before;
    do {
        before = p.written;
        host_world_run(&w, 200);
    } while (p.written != before);
    assert_true(before < 16 << 20); /* windows and socket buffers */
    host_world_fini(&w);
}

static void resets_and_stops_cross_with_their_codes(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "reset");
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, 77);
    alk_stream_close(p.stream, 0);

    host_ask(&w, &p, "stop");
    while (!p.is_stopped) {
        host_world_run(&w, 10);
    }
    assert_int_equal(p.code, 78);
    alk_stream_close(p.stream, 0);

    host_ask(&w, &p, "echo");
    host_world_until(&w, host_peer_has_some, &p);
    alk_stream_reset(p.stream, 79);
    host_until_log(&w, "reset by the peer: 79");

    host_ask(&w, &p, "send 100000000");
    p.is_paused = true;
    host_world_run(&w, 50);
    alk_stream_stop(p.stream, 80);
    host_until_log(&w, "stopped by the peer: 80");
    host_world_fini(&w);
}

/* --- failures ------------------------------------------------------------- */

static void a_crash_resets_its_streams_alone_and_the_host_returns(void **state)
{
    struct host_world w;
    struct host_peer p[8], q;
    (void)state;
    host_begin(&w, "{}", host_patient);
    for (size_t i = 0; i < 8; i++) {
        host_ask(&w, &p[i], "echo");
    }
    host_world_until(&w, host_is_ready, &w);
    host_world_run(&w, 50);
    pid_t before = host_pid(&w);
    (void)kill(before, SIGSEGV);
    for (size_t i = 0; i < 8; i++) {
        host_world_until(&w, host_peer_is_over, &p[i]);
        assert_true(p[i].has_reset);
        assert_int_equal(p[i].code, ALK_CODE_HOST_LOST);
    }
    assert_false(w.is_closed); /* the connection stays */
    host_ask(&w, &q, "greet");      /* while there is none: code 6, at once */
    host_world_until(&w, host_peer_is_over, &q);
    assert_true(q.has_reset);
    assert_int_equal(q.code, ALK_CODE_HOST_LOST);
    host_until_other(&w, before);
    host_check_answer(&w, "greet", "hello"); /* over the same connection */
    assert_true(host_log_has(&w, "was ended by signal 11"));
    host_world_fini(&w);
}

static void a_crash_in_the_middle_of_a_download_is_never_an_end(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "sendcrash 3000000");
    host_world_until(&w, host_peer_is_over, &p);
    assert_false(p.has_end);
    assert_true(p.has_reset);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    host_world_fini(&w);
}

static void an_orderly_exit_without_finish_is_never_an_end(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "exit");
    host_world_until(&w, host_peer_is_over, &p);
    assert_false(p.has_end);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    host_until_log(&w, "exited with status 0");
    host_world_fini(&w);
}

/* Part of it waits in the socketpair, stated as finished, when the host dies. */
static void what_was_stated_before_a_crash_still_arrives(void **state)
{
    struct host_world w;
    struct host_peer p, q;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "send 600000");
    p.is_paused = true;
    host_until_log(&w, "all written");
    host_ask(&w, &q, "crash"); /* read in a later turn, after the statement */
    host_world_until(&w, host_peer_is_over, &q);
    assert_true(q.has_reset);
    assert_false(host_peer_is_over(&p));
    host_peer_resume(&p);
    host_world_until(&w, host_peer_is_over, &p);
    assert_true(p.has_end);
    assert_int_equal(p.total, 600000);
    assert_true(p.sum == host_pattern_sum(600000));
    host_world_fini(&w);
}

static void a_hung_host_is_found_killed_and_replaced(void **state)
{
    struct host_world w;
    struct host_peer p, q;
    (void)state;
    host_begin(&w, "{}", host_quick);
    host_check_answer(&w, "greet", "hello");
    host_ask(&w, &p, "echo");
    host_ask(&w, &q, "hang");
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    assert_true(host_log_has(&w, "does not answer"));
    host_world_until(&w, host_is_ready, &w);
    host_check_answer(&w, "greet", "hello");
    host_world_fini(&w);
}

static void a_host_that_answers_is_left_alone(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_quick);
    host_world_until(&w, host_is_ready, &w);
    pid_t before = host_pid(&w);
    host_world_run(&w, 600); /* three time-outs */
    assert_int_equal(host_pid(&w), before);
    host_world_fini(&w);
}

static void a_host_that_breaks_the_protocol_is_killed(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "garbage");
    host_until_log(&w, "broke the protocol");
    host_until_log(&w, "the next one in"); /* killed, or gone when its channel closed */
    host_world_until(&w, host_is_ready, &w);
    host_check_answer(&w, "greet", "hello");
    host_world_fini(&w);
}

static void restarts_back_off(void **state)
{
    struct host_world w;
    struct alk_isolate_status st;
    (void)state;
    host_begin(&w, "fails: true\n", host_patient);
    host_until_log(&w, "the next one in 10 ms");
    host_until_log(&w, "the next one in 20 ms");
    host_until_log(&w, "the next one in 40 ms");
    assert_true(host_log_has(&w, "configuration error"));
    assert_true(host_log_has(&w, "exited with status 3"));
    alk_isolate_status(w.service, &st);
    assert_true(st.restarts >= 3);
    assert_false(st.is_ready);
    host_world_fini(&w);
}

static void the_spawners_death_resets_streams_and_is_logged(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "echo");
    host_world_until(&w, host_is_ready, &w);
    (void)kill(alk_spawner_pid(w.spawner), SIGKILL);
    host_world_until(&w, host_peer_is_over, &p);
    assert_int_equal(p.code, ALK_CODE_HOST_LOST);
    host_until_log(&w, "the spawner is gone");
    host_world_fini(&w);
}

static void another_service_is_not_affected(void **state)
{
    struct host_world w, v;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_begin(&v, "{}", host_patient);
    host_check_answer(&v, "greet", "hello");
    host_world_until(&v, host_is_ready, &v);
    pid_t before = host_pid(&v);
    host_ask(&w, &p, "crash");
    host_world_until(&w, host_peer_is_over, &p);
    host_check_answer(&v, "greet", "hello");
    assert_int_equal(host_pid(&v), before);
    host_world_fini(&v);
    host_world_fini(&w);
}

/* --- connections ---------------------------------------------------------- */

static void the_auth_context_crosses_whole(void **state)
{
    struct host_world w;
    (void)state;
    host_world_init(&w, handlers, 1, NULL);
    host_world_isolate(&w, &host_handler, "{}", host_patient);
    (void)snprintf(w.auth.alpn, sizeof w.auth.alpn, "my/tool");
    (void)snprintf(w.auth.sni, sizeof w.auth.sni, "node.example.org");
    (void)snprintf(w.auth.fingerprints[0], ALK_FINGERPRINT_MAX, "ed25519:00ff");
    host_world_connect(&w);
    host_check_answer(&w, "auth", "my/tool memory node.example.org ed25519:00ff - 0 0 8 1");
    host_world_fini(&w);
}

static void fake_resolve(void *provider, const struct alk_auth_query *query, alk_auth_done_fn *done,
                         void *ctx)
{
    const struct alk_identity *const *identity = provider;
    bool is_token = query->kind == ALK_CREDENTIAL_TOKEN;
    bool is_right = is_token ? alk_span_is(query->token, "alk_secret") &&
                                   strcmp(query->method, "token") == 0
                             : true;
    done(ctx, is_right && *identity != NULL ? ALK_OK : ALK_E_AUTH,
         is_right ? *identity : NULL, 7);
}

static const struct alk_identity_provider fake_provider = {
    .struct_size = sizeof fake_provider, .name = "fake", .resolve = fake_resolve};

static const struct alk_identity *make_identity(const char *id)
{
    const struct alk_identity *ret = NULL;
    const struct alk_span scopes[] = {ALK_LIT("xmpp"), ALK_LIT("files:*")};
    const struct alk_identity_spec spec = {
        .id = alk_span_str(id), .scopes = scopes, .scope_count = 2};
    check_err(alk_identity_new(NULL, &spec, NULL, 0, &ret), ALK_OK);
    return ret;
}

static unsigned failures;
static void count_failed(void *ctx, struct alk_conn *conn, const char *method, const char *reason)
{
    (void)ctx;
    (void)conn;
    assert_string_equal(method, "token");
    assert_non_null(reason);
    failures++;
}

static void identities_and_their_changes_cross(void **state)
{
    struct host_world w;
    const struct alk_identity *identity = make_identity("laptop");
    const struct alk_identity *other = make_identity("desk");
    (void)state;
    host_world_init(&w, handlers, 1, NULL);
    w.hub.auth.provider = &fake_provider;
    w.hub.auth.provider_ctx = &identity;
    host_world_isolate(&w, &host_handler, "{}", host_patient);
    (void)snprintf(w.auth.fingerprints[0], ALK_FINGERPRINT_MAX, "ed25519:00ff");
    host_world_connect(&w);
    host_check_answer(&w, "auth", " memory  ed25519:00ff laptop 2 1 8 1");
    const struct alk_identity *old = identity;
    identity = other;
    alk_hub_auth_changed(&w.hub);
    host_until_log(&w, "auth changed");
    host_check_answer(&w, "auth", " memory  ed25519:00ff desk 2 1 8 1");
    host_world_fini(&w);
    alk_identity_unref(old);
    alk_identity_unref(other);
}

static void credentials_are_resolved_by_the_endpoint_and_counted_once(void **state)
{
    struct host_world w;
    const struct alk_identity *identity = make_identity("laptop");
    const struct alk_identity *nobody = NULL;
    (void)state;
    host_world_init(&w, handlers, 1, NULL);
    w.hub.auth.provider = &fake_provider;
    w.hub.auth.provider_ctx = &identity;
    w.hub.auth.failed = count_failed;
    failures = 0;
    host_world_isolate(&w, &host_handler, "{}", host_patient);
    host_world_connect(&w);
    host_check_answer(&w, "resolve", "ALK_OK laptop 7");
    assert_int_equal(failures, 0);
    w.hub.auth.provider_ctx = &nobody;
    host_check_answer(&w, "resolve", "ALK_E_AUTH - 7");
    assert_int_equal(failures, 1);
    host_world_fini(&w);
    alk_identity_unref(identity);
}

static bool is_closed(void *ctx)
{
    const struct host_world *w = ctx;
    return w->is_closed;
}

static void a_denial_crosses(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    failures = 0;
    host_world_init(&w, handlers, 1, NULL);
    w.hub.auth.failed = count_failed;
    host_world_isolate(&w, &host_handler, "{}", host_patient);
    host_world_connect(&w);
    host_ask(&w, &p, "deny");
    host_world_until(&w, is_closed, &w);
    assert_int_equal(w.closed_code, ALK_CODE_AUTH);
    assert_int_equal(failures, 1);
    host_world_fini(&w);
}

static void the_handler_closes_the_connection(void **state)
{
    struct host_world w;
    struct host_peer p;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_ask(&w, &p, "close");
    host_world_until(&w, is_closed, &w);
    assert_int_equal(w.closed_code, 42);
    host_until_log(&w, "closed ALK_OK 42");
    host_world_fini(&w);
}

static void drain_crosses_and_ends_the_connection(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_check_answer(&w, "greet", "hello");
    alk_hub_drain(&w.hub, alk_loop_now(w.loop) + ALK_SECOND);
    host_until_log(&w, "test/isolated: drain");
    host_world_until(&w, is_closed, &w);
    assert_int_equal(w.closed_code, ALK_CODE_SHUTDOWN);
    host_world_fini(&w);
}

static bool has_pushed(void *ctx)
{
    struct host_world *w = ctx;
    return w->pushed_count == 1 && host_peer_is_over(&w->pushed[0]);
}

static void the_handler_opens_streams(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_check_answer(&w, "push", "");
    host_world_until(&w, has_pushed, &w);
    assert_true(w.pushed[0].has_end);
    assert_int_equal(w.pushed[0].total, 10);
    alk_stream_finish(w.pushed[0].stream);
    host_world_until(&w, host_peer_is_closed, &w.pushed[0]);
    host_world_fini(&w);
}

static bool has_datagram(void *ctx)
{
    const struct host_world *w = ctx;
    return w->datagram[0] != '\0';
}

static void datagrams_cross_both_ways(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_check_answer(&w, "datagram", "");
    host_world_until(&w, has_datagram, &w);
    assert_string_equal(w.datagram, "unasked");
    w.datagram[0] = '\0';
    check_err(alk_conn_datagram(alk_mem_client(w.pair), ALK_LIT("back")), ALK_OK);
    host_world_until(&w, has_datagram, &w);
    assert_string_equal(w.datagram, "back");
    host_world_fini(&w);
}

static void many_streams_at_once(void **state)
{
    struct host_world w;
    static struct host_peer p[90];
    (void)state;
    host_begin(&w, "{}", host_patient);
    for (size_t i = 0; i < 90; i++) {
        host_ask(&w, &p[i], "send 70000");
        alk_stream_finish(p[i].stream);
    }
    for (size_t i = 0; i < 90; i++) {
        host_world_until(&w, host_peer_is_over, &p[i]);
        assert_true(p[i].has_end);
        assert_int_equal(p[i].total, 70000);
        host_world_until(&w, host_peer_is_closed, &p[i]);
    }
    host_world_fini(&w);
}

static void standard_error_of_a_host_goes_to_the_log(void **state)
{
    struct host_world w;
    (void)state;
    host_begin(&w, "{}", host_patient);
    host_check_answer(&w, "error", "");
    host_until_log(&w, "test/isolated: to stderr");
    host_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_handler_runs_in_another_process),
        cmocka_unit_test(stopping_the_service_runs_the_handlers_stop),
        cmocka_unit_test(bulk_goes_both_ways),
        cmocka_unit_test(a_download_arrives_whole),
        cmocka_unit_test(a_slow_reader_holds_the_host_with_bounded_memory),
        cmocka_unit_test(a_host_that_reads_nothing_stops_the_writer),
        cmocka_unit_test(resets_and_stops_cross_with_their_codes),
        cmocka_unit_test(a_crash_resets_its_streams_alone_and_the_host_returns),
        cmocka_unit_test(a_crash_in_the_middle_of_a_download_is_never_an_end),
        cmocka_unit_test(an_orderly_exit_without_finish_is_never_an_end),
        cmocka_unit_test(what_was_stated_before_a_crash_still_arrives),
        cmocka_unit_test(a_hung_host_is_found_killed_and_replaced),
        cmocka_unit_test(a_host_that_answers_is_left_alone),
        cmocka_unit_test(a_host_that_breaks_the_protocol_is_killed),
        cmocka_unit_test(restarts_back_off),
        cmocka_unit_test(the_spawners_death_resets_streams_and_is_logged),
        cmocka_unit_test(another_service_is_not_affected),
        cmocka_unit_test(the_auth_context_crosses_whole),
        cmocka_unit_test(identities_and_their_changes_cross),
        cmocka_unit_test(credentials_are_resolved_by_the_endpoint_and_counted_once),
        cmocka_unit_test(a_denial_crosses),
        cmocka_unit_test(the_handler_closes_the_connection),
        cmocka_unit_test(drain_crosses_and_ends_the_connection),
        cmocka_unit_test(the_handler_opens_streams),
        cmocka_unit_test(datagrams_cross_both_ways),
        cmocka_unit_test(many_streams_at_once),
        cmocka_unit_test(standard_error_of_a_host_goes_to_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
