/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One stream over TCP: what is written arrives, ends are ends, cuts are resets,
 * nothing waits without a bound, and however the bytes are cut nothing changes. */
#include "core/tls/tcp.h"

#include "base/mem.h"
#include "core/tls/tcp_impl.h"
#include "support/oom.h"
#include "support/tls_world.h"

static uint8_t bulk[3 << 20];

static int fill_bulk(void **state)
{
    (void)state;
    struct alk_prng g;
    alk_prng_init(&g, 7);
    struct alk_rand r = alk_prng_rand(&g);
    alk_rand_fill(&r, bulk, sizeof bulk);
    return 0;
}

static void check_got(const struct tw_side *side, struct alk_span want)
{
    struct alk_span got = alk_buf_span(&side->got);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
}

static struct tw plain(void)
{
    return (struct tw){.mem = NULL};
}

static void begin(struct tw *w)
{
    *w = plain();
    tw_init(w, &(struct tw_options){.secret = 1});
}

/* --- bytes ------------------------------------------------------------------------------ */

static void both_directions_carry_and_end(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.say = alk_span(bulk, 1 << 20);
    w.client.finish = true;
    w.server.say = alk_span(bulk + (1 << 20), 1 << 20);
    w.server.finish = true;
    tw_connect(&w);
    tw_run(&w);
    check_got(&w.server, alk_span(bulk, 1 << 20));
    check_got(&w.client, alk_span(bulk + (1 << 20), 1 << 20));
    assert_true(w.client.got_end && w.server.got_end);
    assert_true(w.client.got_closed && w.server.got_closed);
    assert_true(w.client.is_over && w.server.is_over);
    assert_false(w.client.was_abort || w.server.was_abort);
    assert_int_equal(w.client.closes, 1);
    assert_int_equal(w.server.closes, 1);
    check_err(w.client.close_err, ALK_OK);
    check_err(w.server.close_err, ALK_OK);
    tw_fini(&w);
}

static void a_server_that_speaks_first_is_heard(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.say = ALK_LIT("220 welcome\r\n");
    tw_establish(&w);
    check_text(alk_buf_span(&w.client.got), "220 welcome\r\n");
    tw_fini(&w);
}

static void the_server_opens_nothing_before_the_clients_finished(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.say = ALK_LIT("hello");
    tw_connect(&w);
    w.client.is_frozen = true;
    tw_run(&w);
    assert_int_equal(w.server.wire_total, 0); /* not even the ClientHello came */
    w.client.is_frozen = false;
    (void)tw_step(&w); /* ClientHello there, flight back */
    (void)tw_step(&w);
    assert_true(w.server.wire_total > 0);
    w.client.is_frozen = true; /* the client is ready; its Finished is not out */
    tw_run(&w);
    assert_int_equal(w.client.opens, 1);
    assert_int_equal(w.server.opens, 0);
    assert_int_equal(w.server.conn->conn_state, ALK_CONN_NEW);
    w.client.is_frozen = false;
    tw_run(&w);
    assert_int_equal(w.server.opens, 1);
    tw_fini(&w);
}

static void there_is_one_stream(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_connect(&w);
    struct alk_stream *s = NULL;
    check_err(alk_conn_open_stream(w.client.conn, NULL, NULL, &s), ALK_E_STATE);
    tw_run(&w);
    check_err(alk_conn_open_stream(w.client.conn, NULL, NULL, &s), ALK_E_ONE_STREAM);
    check_err(alk_conn_open_stream(w.server.conn, NULL, NULL, &s), ALK_E_ONE_STREAM);
    assert_null(s);
    assert_int_equal(alk_conn_datagram_max(w.client.conn), 0);
    check_err(alk_conn_datagram(w.client.conn, ALK_LIT("x")), ALK_E_UNSUPPORTED);
    tw_fini(&w);
}

static void each_direction_ends_by_itself(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.say = ALK_LIT("question");
    w.client.finish = true;
    tw_establish(&w);
    assert_true(w.server.got_end);
    assert_false(w.client.got_end);
    assert_false(w.server.got_closed);
    assert_true(w.client.is_shut); /* the socket's write side is shut, its read side open */
    size_t took;
    check_err(alk_stream_write(w.client.stream, ALK_LIT("more"), &took), ALK_E_STATE);
    check_err(alk_stream_write(w.server.stream, ALK_LIT("a late answer"), &took), ALK_OK);
    tw_pass(&w, 10 * ALK_SECOND);
    check_text(alk_buf_span(&w.client.got), "a late answer");
    alk_stream_finish(w.server.stream);
    tw_run(&w);
    assert_true(w.client.got_end && w.client.is_over && w.server.is_over);
    check_err(w.client.close_err, ALK_OK);
    tw_fini(&w);
}

static void what_a_slow_reader_has_not_read_outlives_the_end(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.mute = true;
    w.client.finish = true;
    w.server.say = alk_span(bulk, 100000);
    w.server.finish = true;
    tw_establish(&w);
    assert_true(w.server.got_end);
    assert_false(w.client.got_closed); /* 100 000 bytes wait */
    assert_false(w.client.is_over);
    w.client.mute = false;
    alk_stream_on(w.client.stream, w.client.stream->fn, &w.client);
    alk_stream_raise(w.client.stream, ALK_STREAM_READABLE);
    tw_run(&w);
    check_got(&w.client, alk_span(bulk, 100000));
    assert_true(w.client.got_end && w.client.is_over);
    check_err(w.client.close_err, ALK_OK);
    tw_fini(&w);
}

static void small_writes_of_one_turn_share_a_record(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    uint64_t before = w.client.wire_total;
    for (int i = 0; i < 1000; i++) {
        size_t took;
        check_err(alk_stream_write(w.client.stream, ALK_LIT("0123456789"), &took), ALK_OK);
    }
    tw_run(&w);
    assert_int_equal(alk_buf_len(&w.server.got), 10000);
    assert_true(w.client.wire_total - before < 10000 + 64); /* one record's overhead */
    tw_fini(&w);
}

/* --- pieces ------------------------------------------------------------------------------- */

static void any_piece_size_gives_the_same_conversation(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 5, 7, 16, 100, 1459, 4096, 65536};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct tw w;
        begin(&w);
        w.piece = pieces[i];
        size_t n = pieces[i] < 100 ? 20000 : 400000;
        w.client.say = alk_span(bulk, n);
        w.client.finish = true;
        w.server.echo = true;
        tw_connect(&w);
        tw_run(&w);
        check_got(&w.client, alk_span(bulk, n));
        assert_true(w.client.got_end && w.server.got_end && w.client.is_over);
        check_err(w.client.close_err, ALK_OK);
        tw_fini(&w);
    }
}

/* The handshake's flight cut in two at every byte, on one side and the other. */
static size_t cut_once(size_t at, bool to_server)
{
    struct tw w;
    begin(&w);
    w.client.say = ALK_LIT("ping");
    w.server.echo = true;
    tw_connect(&w);
    struct tw_side *from = to_server ? &w.client : &w.server;
    uint64_t total = 0;
    w.piece = at == 0 ? 65536 : at;
    for (int i = 0; i < 1000 && alk_buf_len(&w.client.got) < 4; i++) {
        (void)tw_step(&w);
        if (from->wire_total > alk_buf_len(&from->wire)) {
            w.piece = 65536; /* the first piece has gone */
        }
    }
    total = from->wire_total;
    check_text(alk_buf_span(&w.client.got), "ping");
    assert_int_equal(w.server.opens, 1);
    tw_fini(&w);
    return (size_t)total;
}

static void the_handshake_may_be_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t at = 1; at < 900; at += at < 340 ? 1 : 7) {
        (void)cut_once(at, true);
        (void)cut_once(at, false);
    }
}

/* --- backpressure ---------------------------------------------------------------------------- */

static void a_reader_that_stops_stops_the_writer(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.keep_alive = 20 * ALK_SECOND;
    w.client.mute = true;
    w.server.say = alk_span(bulk, sizeof bulk);
    w.server.finish = true;
    tw_establish(&w);
    /* 256 KiB unread, as much again behind each of: undecrypted, on the wire (64
     * KiB here), encrypted, queued. */
    assert_true(w.server.say.n > sizeof bulk / 2);
    assert_true(tw_in_flight(&w) < (size_t)1 << 20);
    assert_false(alk_tcp_wants_input(w.client.conn));
    tw_pass(&w, 600 * ALK_SECOND); /* that we do not read is no reason to call it idle */
    assert_false(w.client.is_over);
    tw_fini(&w);
}

static void a_reader_without_a_sign_of_life_is_dropped(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.mute = true;
    w.server.say = alk_span(bulk, sizeof bulk);
    tw_establish(&w);
    tw_pass(&w, 61 * ALK_SECOND);
    assert_true(w.server.is_over && w.server.was_abort);
    check_err(w.server.close_err, ALK_E_TIMEOUT);
    tw_fini(&w);
}

static void a_reader_that_goes_on_gets_the_rest(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.mute = true;
    w.server.say = alk_span(bulk, sizeof bulk);
    w.server.finish = true;
    tw_establish(&w);
    struct alk_stream *s = w.client.stream;
    for (int i = 0; i < 10000 && !w.client.got_end; i++) { /* in sips, from outside */
        struct alk_span have;
        alk_err err = alk_stream_peek(s, &have);
        if (err == ALK_OK) {
            have = alk_span_head(have, 5000);
            check_err(alk_buf_put(&w.client.got, have), ALK_OK);
            alk_stream_consume(s, have.n);
            assert_true(w.client.wakes > 0);
        }
        w.client.got_end = err == ALK_END;
        assert_true(tw_in_flight(&w) < (size_t)1 << 20);
        tw_run(&w);
    }
    check_got(&w.client, alk_span(bulk, sizeof bulk));
    tw_fini(&w);
}

static void a_network_that_takes_nothing_bounds_the_output(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    w.server.is_frozen = true;
    w.server.say = alk_span(bulk, sizeof bulk);
    w.server.stream->fn(&w.server, w.server.stream, ALK_STREAM_WRITABLE);
    for (int i = 0; i < 100; i++) {
        alk_tcp_flush(w.server.conn, w.now);
        (void)alk_hub_run(&w.server.hub);
    }
    assert_true(alk_tcp_output(w.server.conn).n >= ALK_TCP_OUT_HIGH);
    assert_true(alk_tcp_output(w.server.conn).n <= ALK_TCP_OUT_HIGH + ALK_TCP_RECORD + 64);
    assert_true(tw_in_flight(&w) <= ALK_TCP_OUT_HIGH + ALK_STREAM_TX_HIGH + 2 * ALK_TCP_RECORD);
    w.server.is_frozen = false;
    tw_run(&w);
    check_got(&w.client, alk_span(bulk, sizeof bulk));
    tw_fini(&w);
}

static void echo_of_everything_at_once_does_not_lock_up(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.echo = true;
    w.client.say = alk_span(bulk, sizeof bulk);
    w.client.finish = true;
    w.client.wire_max = 4096;
    w.server.wire_max = 4096;
    tw_connect(&w);
    tw_run(&w);
    check_got(&w.client, alk_span(bulk, sizeof bulk));
    assert_true(w.client.is_over && w.server.is_over);
    tw_fini(&w);
}

static void more_after_full_than_one_feed_ends_the_connection(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.mute = true;
    w.server.say = alk_span(bulk, sizeof bulk);
    tw_establish(&w);
    assert_false(alk_tcp_wants_input(w.client.conn));
    check_err(alk_tcp_feed(w.client.conn, alk_span(bulk, ALK_TCP_FEED_MAX), w.now), ALK_FULL);
    assert_int_equal(w.client.conn->pending & ALK_CONN_CLOSED, 0);
    (void)alk_tcp_feed(w.client.conn, alk_span(bulk, ALK_TCP_FEED_MAX), w.now);
    (void)alk_tcp_feed(w.client.conn, alk_span(bulk, ALK_TCP_FEED_MAX), w.now);
    tw_run(&w);
    check_err(w.client.close_err, ALK_E_LIMIT);
    tw_fini(&w);
}

/* --- key updates, empty records ---------------------------------------------------------- */

static void keys_are_updated_in_the_middle(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.echo = true;
    tw_establish(&w);
    gnutls_session_t gs = alk_tcp_session(w.client.conn)->gs;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(gnutls_session_key_update(gs, i % 2 == 0 ? GNUTLS_KU_PEER : 0), 0);
        w.client.say = alk_span(bulk + i * 1000, 1000);
        w.client.stream->fn(&w.client, w.client.stream, ALK_STREAM_WRITABLE);
        tw_run(&w);
        assert_int_equal(alk_buf_len(&w.client.got), (i + 1) * 1000);
    }
    check_got(&w.client, alk_span(bulk, 4000));
    tw_fini(&w);
}

static void a_flood_of_key_updates_ends_the_connection(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.echo = true;
    tw_establish(&w);
    gnutls_session_t gs = alk_tcp_session(w.client.conn)->gs;
    size_t most = 0;
    for (int i = 0; i < 1000 && !w.server.is_over; i++) {
        (void)gnutls_session_key_update(gs, 0);
        tw_run(&w);
        size_t now = tw_in_flight(&w);
        most = now > most ? now : most;
        if (w.client.is_over) {
            break;
        }
    }
    tw_pass(&w, 10 * ALK_SECOND);
    assert_true(w.server.is_over);
    check_err(w.server.close_err, ALK_E_TLS);
    assert_true(most < 4096);
    tw_fini(&w);
}

static void empty_records_are_nothing_and_keep_alive(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.keep_alive = 20 * ALK_SECOND;
    tw_establish(&w);
    uint64_t before = w.client.wire_total;
    tw_pass(&w, 600 * ALK_SECOND);
    assert_false(w.client.is_over || w.server.is_over);
    assert_true(w.client.wire_total > before);
    assert_true(w.client.wire_total - before < (600 / 20 + 1) * 64);
    assert_int_equal(alk_buf_len(&w.server.got), 0);
    w.client.say = ALK_LIT("still here");
    w.client.stream->fn(&w.client, w.client.stream, ALK_STREAM_WRITABLE);
    tw_run(&w);
    check_text(alk_buf_span(&w.server.got), "still here");
    tw_fini(&w);
}

static void empty_records_in_front_of_data_hide_nothing(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    gnutls_session_t gs = alk_tcp_session(w.client.conn)->gs;
    for (int i = 0; i < 100; i++) {
        (void)gnutls_record_send2(gs, "", 0, 1, 0);
    }
    (void)gnutls_record_send(gs, "data", 4);
    w.piece = 65536; /* all of it in one feed */
    tw_run(&w);
    check_text(alk_buf_span(&w.server.got), "data");
    tw_fini(&w);
}

/* --- memory -------------------------------------------------------------------------------- */

static alk_err one_conversation(const struct alk_mem *mem, void *ctx)
{
    struct tw w;
    (void)ctx;
    alk_err err = tw_try_init(&w, &(struct tw_options){.mem = mem, .secret = 1});
    if (err == ALK_OK) {
        err = tw_try_connect(&w);
    }
    if (err == ALK_OK) {
        w.client.say = alk_span(bulk, 50000);
        w.client.finish = true;
        w.server.echo = true;
        tw_run(&w);
        tw_pass(&w, 70 * ALK_SECOND);
        bool is_whole = alk_buf_len(&w.client.got) == 50000 && w.client.got_end && w.server.got_end;
        err = is_whole ? ALK_OK : ALK_E_NOMEM;
    }
    tw_fini(&w);
    return err;
}

static void without_memory_it_fails_and_leaks_nothing(void **state)
{
    (void)state;
    oom_sweep(one_conversation, NULL);
}

static void statistics_count_the_wire(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.say = alk_span(bulk, 100000);
    tw_establish(&w);
    struct alk_conn_stats c = {.struct_size = sizeof c};
    struct alk_conn_stats s = {.struct_size = sizeof s};
    alk_conn_stats(w.client.conn, &c);
    alk_conn_stats(w.server.conn, &s);
    assert_int_equal(c.bytes_out, w.client.wire_total);
    assert_int_equal(c.bytes_out, s.bytes_in);
    assert_int_equal(s.bytes_out, c.bytes_in);
    assert_true(c.bytes_out > 100000);
    tw_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_carry_and_end),
        cmocka_unit_test(a_server_that_speaks_first_is_heard),
        cmocka_unit_test(the_server_opens_nothing_before_the_clients_finished),
        cmocka_unit_test(there_is_one_stream),
        cmocka_unit_test(each_direction_ends_by_itself),
        cmocka_unit_test(what_a_slow_reader_has_not_read_outlives_the_end),
        cmocka_unit_test(small_writes_of_one_turn_share_a_record),
        cmocka_unit_test(any_piece_size_gives_the_same_conversation),
        cmocka_unit_test(the_handshake_may_be_cut_at_every_byte),
        cmocka_unit_test(a_reader_that_stops_stops_the_writer),
        cmocka_unit_test(a_reader_without_a_sign_of_life_is_dropped),
        cmocka_unit_test(a_reader_that_goes_on_gets_the_rest),
        cmocka_unit_test(a_network_that_takes_nothing_bounds_the_output),
        cmocka_unit_test(echo_of_everything_at_once_does_not_lock_up),
        cmocka_unit_test(more_after_full_than_one_feed_ends_the_connection),
        cmocka_unit_test(keys_are_updated_in_the_middle),
        cmocka_unit_test(a_flood_of_key_updates_ends_the_connection),
        cmocka_unit_test(empty_records_are_nothing_and_keep_alive),
        cmocka_unit_test(empty_records_in_front_of_data_hide_nothing),
        cmocka_unit_test(without_memory_it_fails_and_leaks_nothing),
        cmocka_unit_test(statistics_count_the_wire),
    };
    return cmocka_run_group_tests(tests, fill_bulk, NULL);
}
