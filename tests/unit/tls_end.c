/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How TLS connections end: orderly, cut off, reset, refused, too late. */
#include "core/tls/tcp.h"

#include "base/mem.h"
#include "core/tls/tcp_impl.h"
#include "support/tls_world.h"

static uint8_t bulk[200000];

static void begin(struct tw *w)
{
    tw_init(w, &(struct tw_options){.secret = 1});
}

static void speak(struct tw_side *side, struct alk_span text)
{
    side->say = text;
    side->stream->fn(side, side->stream, ALK_STREAM_WRITABLE);
}

/* --- truncation ------------------------------------------------------------------------ */

enum { RECORDS = 6 };

/* Where the records of what is on the wire end; returns how many there are. */
static size_t record_ends(struct alk_span wire, size_t *ends, size_t max)
{
    struct alk_rd r = alk_rd(wire);
    size_t n = 0;
    while (alk_rd_left(&r) > 0 && n < max) {
        (void)alk_rd_u8(&r);
        (void)alk_rd_u16(&r);
        (void)alk_rd_block16(&r, 20000);
        assert_int_equal(r.err, ALK_OK);
        ends[n++] = wire.n - alk_rd_left(&r);
    }
    return n;
}

/* The server's answer of a few records and its close_notify wait on the wire. */
static void make_answer(struct tw *w)
{
    begin(w);
    w->client.finish = true;
    tw_establish(w);
    /* Nobody delivers by himself: only the server's side runs. */
    for (int i = 0; i < RECORDS - 1; i++) {
        speak(&w->server, ALK_LIT("0123456789"));
        alk_tcp_flush(w->server.conn, w->now);
    }
    alk_stream_finish(w->server.stream);
    alk_tcp_flush(w->server.conn, w->now);
    struct alk_span out = alk_tcp_output(w->server.conn);
    check_err(alk_buf_put(&w->server.wire, out), ALK_OK);
    alk_tcp_sent(w->server.conn, out.n);
}

/* Gives the client the first n bytes of the answer and then the end of file, or RST. */
static void cut_at(size_t n, bool is_whole, size_t want_text, bool is_rst)
{
    struct tw w;
    make_answer(&w);
    struct alk_span all = alk_buf_span(&w.server.wire);
    assert_true(n <= all.n);
    (void)alk_tcp_feed(w.client.conn, alk_span_head(all, n), w.now);
    (void)alk_hub_run(&w.client.hub);
    if (is_rst) {
        alk_tcp_failed(w.client.conn, ALK_E_RESET, w.now);
    } else {
        alk_tcp_eof(w.client.conn, w.now);
    }
    (void)alk_hub_run(&w.client.hub);
    assert_int_equal(alk_buf_len(&w.client.got), want_text);
    assert_int_equal(w.client.got_end, is_whole);
    assert_int_equal(w.client.got_reset, !is_whole);
    assert_int_equal(w.client.closes, 1);
    check_err(w.client.close_err, is_whole ? ALK_OK : ALK_E_RESET);
    tw_fini(&w);
}

static void an_end_without_close_notify_is_a_reset_wherever_it_is_cut(void **state)
{
    (void)state;
    struct tw w;
    size_t ends[RECORDS + 2];
    make_answer(&w);
    size_t count = record_ends(alk_buf_span(&w.server.wire), ends, RECORDS + 2);
    assert_int_equal(count, RECORDS);
    tw_fini(&w);
    for (size_t k = 0; k < RECORDS; k++) {
        size_t start = k == 0 ? 0 : ends[k - 1];
        for (int rst = 0; rst < 2; rst++) {
            cut_at(start, false, k * 10, rst == 1);
            cut_at(start + 3, false, k * 10, rst == 1);
            cut_at(ends[k] - 1, false, k * 10, rst == 1);
        }
    }
    cut_at(ends[RECORDS - 1], true, (RECORDS - 1) * 10, false);
    cut_at(ends[RECORDS - 1], true, (RECORDS - 1) * 10, true); /* RST after both ends */
}

static void a_cut_kills_a_stream_that_still_writes(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    speak(&w.client, alk_span(bulk, 100));
    alk_tcp_eof(w.client.conn, w.now);
    (void)alk_hub_run(&w.client.hub);
    assert_true(w.client.got_reset && w.client.got_closed);
    assert_int_equal(w.client.closes, 1);
    check_err(w.client.close_err, ALK_E_RESET);
    tw_fini(&w);
}

static void after_the_peers_end_a_broken_socket_loses_nothing_received(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.client.mute = true;
    w.server.say = alk_span(bulk, 50000);
    w.server.finish = true;
    tw_establish(&w);
    assert_int_equal(w.client.stream->has_fin, true);
    speak(&w.client, ALK_LIT("never read"));
    alk_tcp_failed(w.client.conn, ALK_E_RESET, w.now);
    (void)alk_hub_run(&w.client.hub);
    assert_true(w.client.got_stopped);
    assert_int_equal(w.client.closes, 0); /* 50 000 bytes wait for their reader */
    size_t took;
    check_err(alk_stream_write(w.client.stream, ALK_LIT("x"), &took), ALK_E_STOPPED);
    w.client.mute = false;
    alk_stream_raise(w.client.stream, ALK_STREAM_READABLE);
    (void)alk_hub_run(&w.client.hub);
    alk_tcp_flush(w.client.conn, w.now);
    (void)alk_hub_run(&w.client.hub);
    assert_int_equal(alk_buf_len(&w.client.got), 50000);
    assert_true(w.client.got_end);
    assert_int_equal(w.client.closes, 1);
    check_err(w.client.close_err, ALK_E_RESET);
    tw_fini(&w);
}

static void garbage_is_answered_with_an_alert(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    static const uint8_t record[] = {0x17, 3,  3,  0,  20, 1,  2,  3,  4,  5,  6,  7, 8,
                                     9,    10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    (void)alk_tcp_feed(w.server.conn, alk_span(record, sizeof record), w.now);
    tw_pass(&w, 10 * ALK_SECOND);
    check_err(w.server.close_err, ALK_E_TLS);
    assert_int_equal(w.server.close_code, ALK_CODE_PROTOCOL);
    assert_true(w.server.got_reset && w.client.got_reset);
    check_err(w.client.close_err, ALK_E_RESET); /* bad_record_mac has no code of ours */
    tw_fini(&w);
}

static void a_record_that_is_too_long_ends_it(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    static const uint8_t head[] = {0x17, 3, 3, 0xff, 0xff};
    (void)alk_tcp_feed(w.server.conn, alk_span(head, sizeof head), w.now);
    tw_pass(&w, 10 * ALK_SECOND);
    check_err(w.server.close_err, ALK_E_TLS);
    assert_true(w.server.is_over);
    tw_fini(&w);
}

/* --- our own ends ------------------------------------------------------------------------ */

static void reset_aborts_without_close_notify(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    speak(&w.client, alk_span(bulk, 1000));
    alk_stream_reset(w.client.stream, 7);
    tw_run(&w);
    assert_true(w.client.was_abort);
    assert_true(w.server.got_reset);
    assert_false(w.server.got_end);
    check_err(w.client.close_err, ALK_OK);
    assert_int_equal(w.client.close_code, 7);
    check_err(w.server.close_err, ALK_E_RESET);
    assert_int_equal(w.server.close_code, 0); /* codes do not travel */
    tw_fini(&w);
}

static void stop_aborts_while_we_still_write(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    alk_stream_stop(w.server.stream, 5);
    tw_run(&w);
    assert_true(w.server.was_abort && w.client.got_reset);
    assert_int_equal(w.server.close_code, 5);
    tw_fini(&w);
}

static void a_finished_stream_that_is_closed_still_arrives(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.say = alk_span(bulk, sizeof bulk);
    w.server.finish = true;
    w.server.wire_max = 1000;
    w.client.mute = true;
    tw_connect(&w);
    tw_run(&w);
    w.client.mute = false;
    alk_stream_raise(w.client.stream, ALK_STREAM_READABLE);
    w.server.say = alk_span(NULL, 0);
    alk_stream_close(w.server.stream, 0); /* does not care what the client says */
    w.server.stream = NULL;
    tw_run(&w);
    assert_int_equal(alk_buf_len(&w.client.got), sizeof bulk);
    assert_true(w.client.got_end);
    speak(&w.client, ALK_LIT("nobody reads this"));
    tw_pass(&w, ALK_SECOND);
    assert_false(w.server.is_over); /* dropped, for a while */
    tw_pass(&w, 6 * ALK_SECOND);
    assert_true(w.server.is_over && w.server.was_abort);
    assert_true(w.client.is_over);
    tw_fini(&w);
}

static void a_peer_that_ends_too_makes_a_closed_stream_orderly(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.say = ALK_LIT("bye");
    w.server.finish = true;
    tw_establish(&w);
    alk_stream_close(w.server.stream, 0);
    w.server.stream = NULL;
    alk_stream_finish(w.client.stream);
    tw_run(&w);
    assert_true(w.server.is_over && w.client.is_over);
    assert_false(w.server.was_abort || w.client.was_abort);
    check_err(w.server.close_err, ALK_OK);
    check_err(w.client.close_err, ALK_OK);
    tw_fini(&w);
}

static const struct {
    uint64_t code;
    alk_err want;       /* at the peer */
    uint64_t want_code; /* at the peer */
    bool want_abort;
} codes[] = {
    {ALK_CODE_NONE, ALK_E_RESET, 0, true},
    {ALK_CODE_INTERNAL, ALK_E_RESET, ALK_CODE_INTERNAL, false},
    {ALK_CODE_PROTOCOL, ALK_E_RESET, 0, true},
    {ALK_CODE_AUTH, ALK_E_AUTH, ALK_CODE_AUTH, false},
    {ALK_CODE_FORBIDDEN, ALK_E_FORBIDDEN, ALK_CODE_FORBIDDEN, false},
    {ALK_CODE_LIMIT, ALK_E_RESET, 0, true},
    {ALK_CODE_REVOKED, ALK_E_REVOKED, ALK_CODE_REVOKED, false},
    {ALK_CODE_SHUTDOWN, ALK_E_RESET, 0, true},
    {ALK_CODE_REMOVED, ALK_E_NO_ALPN, ALK_CODE_REMOVED, false},
};

static void closing_with_a_code_tells_the_peer_what_tls_can(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct tw w;
        begin(&w);
        tw_establish(&w);
        speak(&w.server, ALK_LIT("last words"));
        tw_run(&w);
        alk_conn_close(w.server.conn, codes[i].code, ALK_LIT("test"));
        tw_pass(&w, 10 * ALK_SECOND);
        assert_true(w.server.is_over && w.client.is_over);
        assert_int_equal(w.server.closes, 1);
        check_err(w.server.close_err, ALK_OK);
        assert_int_equal(w.server.close_code, codes[i].code);
        assert_int_equal(w.server.was_abort, codes[i].want_abort);
        check_err(w.client.close_err, codes[i].want);
        assert_int_equal(w.client.close_code, codes[i].want_code);
        assert_true(w.client.got_reset);
        assert_false(w.client.got_end);
        check_text(alk_buf_span(&w.client.got), "last words");
        tw_fini(&w);
    }
}

static void closing_after_finish_is_orderly(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    w.server.say = ALK_LIT("all of it");
    w.server.finish = true;
    tw_connect(&w);
    for (int i = 0; i < 100 && (w.server.stream == NULL || !w.server.stream->is_fin_sent); i++) {
        (void)tw_step(&w);
    }
    alk_conn_close(w.server.conn, 0, ALK_LIT("done"));
    tw_pass(&w, 10 * ALK_SECOND);
    check_text(alk_buf_span(&w.client.got), "all of it");
    assert_true(w.client.got_end);
    assert_true(w.server.is_over);
    tw_fini(&w);
}

static void finish_and_close_in_one_call_is_orderly(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    size_t took;
    check_err(alk_stream_write(w.server.stream, ALK_LIT("all of it"), &took), ALK_OK);
    alk_stream_finish(w.server.stream);
    alk_conn_close(w.server.conn, 0, ALK_LIT("done"));
    tw_pass(&w, 10 * ALK_SECOND);
    check_text(alk_buf_span(&w.client.got), "all of it");
    assert_true(w.client.got_end && !w.client.got_reset);
    assert_true(w.server.is_over && w.client.is_over);
    tw_fini(&w);
}

static void a_peer_that_does_not_take_the_alert_is_dropped(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    w.server.is_frozen = true;
    alk_conn_close(w.server.conn, ALK_CODE_AUTH, ALK_LIT("no"));
    tw_run(&w);
    assert_int_equal(w.server.closes, 1);
    assert_false(w.server.is_over); /* the alert waits */
    tw_pass(&w, 6 * ALK_SECOND);
    assert_true(w.server.is_over && w.server.was_abort);
    tw_fini(&w);
}

/* --- deadlines --------------------------------------------------------------------------- */

static void a_handshake_has_ten_seconds(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_connect(&w);
    w.client.is_frozen = true;
    w.server.is_frozen = true;
    assert_int_equal(alk_tcp_deadline(w.server.conn), w.now + 10 * ALK_SECOND);
    tw_pass(&w, 9 * ALK_SECOND);
    assert_false(w.server.is_over);
    tw_pass(&w, 2 * ALK_SECOND);
    assert_true(w.server.is_over && w.client.is_over);
    check_err(w.server.close_err, ALK_E_TIMEOUT);
    check_err(w.client.close_err, ALK_E_TIMEOUT);
    assert_int_equal(w.client.unopened, 1);
    assert_int_equal(w.client.closes, 0);
    tw_fini(&w);
}

static void a_byte_at_a_time_does_not_stretch_the_handshake(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    check_err(tw_try_listen(&w), ALK_OK);
    static const uint8_t head[] = {0x16, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc};
    for (size_t i = 0; i < sizeof head && !w.server.is_over; i++) {
        (void)alk_tcp_feed(w.server.conn, alk_span(head + i, 1), w.now);
        tw_pass(&w, 2 * ALK_SECOND);
    }
    assert_true(w.server.is_over);
    check_err(w.server.close_err, ALK_E_TIMEOUT);
    tw_fini(&w);
}

static void an_idle_connection_ends_after_a_minute(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_establish(&w);
    tw_pass(&w, 50 * ALK_SECOND);
    speak(&w.client, ALK_LIT("x"));
    tw_pass(&w, 59 * ALK_SECOND);
    assert_false(w.server.is_over);
    tw_pass(&w, 2 * ALK_SECOND);
    assert_true(w.server.is_over && w.server.was_abort);
    assert_int_equal(w.server.close_code, ALK_CODE_TIMEOUT);
    tw_fini(&w);
}

/* --- handshakes that fail, and the race ------------------------------------------------------ */

static void a_handshake_that_is_cut_is_a_reset(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_connect(&w);
    alk_tcp_eof(w.client.conn, w.now);
    (void)alk_hub_run(&w.client.hub);
    assert_int_equal(w.client.unopened, 1);
    check_err(w.client.close_err, ALK_E_RESET);
    tw_run(&w);
    assert_true(w.server.is_over);
    assert_int_equal(w.server.opens, 0);
    tw_fini(&w);
}

static void bytes_that_are_no_tls_end_at_once(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n0123456789012345678901234567890123456789",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and then something else entirely.......",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct tw w;
        begin(&w);
        check_err(tw_try_listen(&w), ALK_OK);
        (void)alk_tcp_feed(w.server.conn, alk_span_str(texts[i]), w.now);
        tw_pass(&w, 20 * ALK_SECOND);
        assert_true(w.server.is_over);
        assert_int_equal(w.server.opens, 0);
        tw_fini(&w);
    }
}

static void the_loser_of_a_race_never_shows_its_finished(void **state)
{
    (void)state;
    for (int wins = 0; wins < 2; wins++) {
        struct tw w;
        begin(&w);
        w.hold_finished = true;
        w.client.say = ALK_LIT("early bird");
        tw_connect(&w);
        (void)tw_step(&w);
        uint64_t hello = w.client.wire_total;
        tw_run(&w);
        assert_true(hello > 0);
        assert_int_equal(w.client.wire_total, hello); /* and nothing behind it */
        assert_int_equal(w.client.opens, 1);          /* it knows that it could */
        assert_int_equal(w.server.opens, 0);
        if (wins == 1) {
            alk_tcp_release_finished(w.client.conn);
            tw_run(&w);
            assert_int_equal(w.server.opens, 1);
            check_text(alk_buf_span(&w.server.got), "early bird");
        } else {
            alk_conn_close(w.client.conn, 0, ALK_LIT("lost"));
            tw_pass(&w, 20 * ALK_SECOND);
            assert_int_equal(w.server.opens, 0);
            assert_true(w.server.is_over && w.client.is_over);
        }
        tw_fini(&w);
    }
}

static void close_during_the_handshake_opens_nothing(void **state)
{
    (void)state;
    struct tw w;
    begin(&w);
    tw_connect(&w);
    (void)tw_step(&w);
    alk_conn_close(w.server.conn, ALK_CODE_SHUTDOWN, ALK_LIT("shutting down"));
    tw_pass(&w, 20 * ALK_SECOND);
    assert_int_equal(w.server.opens + w.client.opens, 0);
    assert_true(w.server.is_over && w.client.is_over);
    tw_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_without_close_notify_is_a_reset_wherever_it_is_cut),
        cmocka_unit_test(a_cut_kills_a_stream_that_still_writes),
        cmocka_unit_test(after_the_peers_end_a_broken_socket_loses_nothing_received),
        cmocka_unit_test(garbage_is_answered_with_an_alert),
        cmocka_unit_test(a_record_that_is_too_long_ends_it),
        cmocka_unit_test(reset_aborts_without_close_notify),
        cmocka_unit_test(stop_aborts_while_we_still_write),
        cmocka_unit_test(a_finished_stream_that_is_closed_still_arrives),
        cmocka_unit_test(a_peer_that_ends_too_makes_a_closed_stream_orderly),
        cmocka_unit_test(closing_with_a_code_tells_the_peer_what_tls_can),
        cmocka_unit_test(closing_after_finish_is_orderly),
        cmocka_unit_test(finish_and_close_in_one_call_is_orderly),
        cmocka_unit_test(a_peer_that_does_not_take_the_alert_is_dropped),
        cmocka_unit_test(a_handshake_has_ten_seconds),
        cmocka_unit_test(a_byte_at_a_time_does_not_stretch_the_handshake),
        cmocka_unit_test(an_idle_connection_ends_after_a_minute),
        cmocka_unit_test(a_handshake_that_is_cut_is_a_reset),
        cmocka_unit_test(bytes_that_are_no_tls_end_at_once),
        cmocka_unit_test(the_loser_of_a_race_never_shows_its_finished),
        cmocka_unit_test(close_during_the_handshake_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
