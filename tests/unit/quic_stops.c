/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* STOP_SENDING frames are found among all others, and nothing else is taken for one. */
#include "core/quic/internal.h"
#include "support/check.h"

#define MAX 64

static void put(struct alk_buf *b, const char *bytes, size_t n)
{
    assert_int_equal(alk_buf_put(b, alk_span(bytes, n)), ALK_OK);
}
#define PUT(b, text) put((b), (text), sizeof(text) - 1)

/* Every frame of [RFC 9000 §19] and [RFC 9221 §4] that has an end, with bodies that
 * look like STOP_SENDING. */
static void put_others(struct alk_buf *b)
{
    PUT(b, "\x00\x00\x00");                                     /* PADDING */
    PUT(b, "\x01");                                             /* PING */
    PUT(b, "\x02\x05\x05\x02\x05\x05\x05\x05\x05");             /* ACK, two ranges */
    PUT(b, "\x03\x05\x05\x00\x05\x05\x05\x05");                 /* ACK with ECN */
    PUT(b, "\x04\x05\x05\x05");                                 /* RESET_STREAM */
    PUT(b, "\x06\x05\x03\x05\x05\x05");                         /* CRYPTO */
    PUT(b, "\x07\x02\x05\x05");                                 /* NEW_TOKEN */
    PUT(b, "\x0a\x05\x03\x05\x05\x05");                         /* STREAM, length */
    PUT(b, "\x0f\x05\x05\x02\x05\x05");                         /* STREAM, all */
    PUT(b, "\x10\x05\x11\x05\x05\x12\x05\x13\x05\x14\x05");     /* MAX_..., DATA_BLOCKED */
    PUT(b, "\x15\x05\x05\x16\x05\x17\x05\x19\x05");             /* ..._BLOCKED, RETIRE */
    PUT(b, "\x18\x05\x05\x04\x05\x05\x05\x05");                 /* NEW_CONNECTION_ID ... */
    PUT(b, "\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05\x05"); /* its token */
    PUT(b, "\x1a\x05\x05\x05\x05\x05\x05\x05\x05");             /* PATH_CHALLENGE */
    PUT(b, "\x1b\x05\x05\x05\x05\x05\x05\x05\x05");             /* PATH_RESPONSE */
    PUT(b, "\x1c\x05\x05\x02\x05\x05\x1d\x05\x02\x05\x05\x1e"); /* closes, DONE */
    PUT(b, "\x31\x02\x05\x05");                                 /* DATAGRAM, length */
}

static void stops_are_found_among_all_frames(void **state)
{
    (void)state;
    struct alk_buf b;
    struct alk_qstop got[MAX];
    bool is_challenged = false;
    alk_buf_init(&b, NULL, 4096);
    put_others(&b);
    assert_int_equal(alk_qstops_scan(alk_buf_span(&b), got, MAX, &is_challenged), 0);
    PUT(&b, "\x05\x08\x40\x4d"); /* stream 8, code 77 */
    put_others(&b);
    PUT(&b, "\x05\x80\x00\x10\x01\x00"); /* stream 4097, code 0 */
    put_others(&b);
    assert_int_equal(alk_qstops_scan(alk_buf_span(&b), got, MAX, &is_challenged), 2);
    assert_int_equal(got[0].id, 8);
    assert_int_equal(got[0].code, 77);
    assert_int_equal(got[1].id, 4097);
    assert_int_equal(got[1].code, 0);
    assert_int_equal(alk_qstops_scan(alk_buf_span(&b), got, 1, &is_challenged), 1);
    assert_int_equal(alk_qstops_scan(alk_buf_span(&b), got, 0, &is_challenged), 0);
    alk_buf_fini(&b);
}

static void frames_without_an_end_take_the_rest(void **state)
{
    (void)state;
    struct alk_qstop got[MAX];
    bool is_challenged = false;
    static const char *const rests[] = {"\x08\x01\x05\x05\x05", "\x0c\x01\x01\x05\x05\x05",
                                        "\x30\x05\x05\x05\x05", "\x1f\x05\x05\x05\x05",
                                        "\x40\x42\x05\x05\x05"};
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        assert_int_equal(alk_qstops_scan(alk_span_str(rests[i]), got, MAX, &is_challenged), 0);
    }
}

static void half_a_stop_is_none(void **state)
{
    (void)state;
    struct alk_qstop got[MAX];
    bool is_challenged = false;
    assert_int_equal(alk_qstops_scan(ALK_LIT("\x05\x08"), got, MAX, &is_challenged), 0);
    assert_int_equal(alk_qstops_scan(ALK_LIT("\x05\x40"), got, MAX, &is_challenged), 0);
    assert_int_equal(alk_qstops_scan(ALK_LIT(""), got, MAX, &is_challenged), 0);
}

static void a_challenge_is_noticed(void **state)
{
    (void)state;
    const struct {
        const char *name;
        struct alk_span in;
        bool want;
    } rows[] = {
        {"alone, padded", ALK_LIT("\x1a\x05\x05\x05\x05\x05\x05\x05\x05\x00\x00"), true},
        {"behind an acknowledgement",
         ALK_LIT("\x02\x05\x05\x00\x05\x1a"
                 "12345678"),
         true},
        {"half of one",
         ALK_LIT("\x1a"
                 "1234567"),
         false},
        {"its bytes in a stream",
         ALK_LIT("\x0a\x04\x09\x1a"
                 "12345678"),
         false},
        {"the answer to one",
         ALK_LIT("\x1b"
                 "12345678"),
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct alk_qstop got[MAX];
        bool is_challenged = false;
        assert_int_equal(alk_qstops_scan(rows[i].in, got, MAX, &is_challenged), 0);
        if (is_challenged != rows[i].want) {
            print_error("%s\n", rows[i].name);
        }
        assert_true(is_challenged == rows[i].want);
    }
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_qstop got[MAX];
    bool is_challenged = false;
    (void)ctx;
    assert_true(alk_qstops_scan(in, got, MAX, &is_challenged) <= MAX);
}

static void any_bytes_will_do(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 4096);
    PUT(&b, "\x05\x08\x40\x4d");
    put_others(&b);
    check_mutations(alk_buf_span(&b), look, NULL);
    alk_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_are_found_among_all_frames),
        cmocka_unit_test(frames_without_an_end_take_the_rest),
        cmocka_unit_test(half_a_stop_is_none),
        cmocka_unit_test(a_challenge_is_noticed),
        cmocka_unit_test(any_bytes_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
