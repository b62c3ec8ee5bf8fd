/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The first packet of a stream: what is asked of which repository. */
#include "git/proto/request.h"

#include "git/proto/pktline.h"
#include "support/oom.h"
#include "support/vector.h"

#define ROW(text)                                                                                  \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct {
    struct alk_span in;
    enum alk_git_service service;
    const char *path, *host;
    unsigned port, version;
    const char *token; /* NULL: none was presented */
} good[] = {
    {ROW("git-upload-pack /project.git\0host=127.0.0.1:36271\0\0version=2\0"), ALK_GIT_UPLOAD_PACK,
     "/project.git", "127.0.0.1", 36271, 2, NULL},
    {ROW("git-upload-pack /project.git\0host=myserver.com\0"), ALK_GIT_UPLOAD_PACK, "/project.git",
     "myserver.com", 0, 0, NULL},
    {ROW("git-receive-pack /a\0host=x\0\0version=1\0token=alk_abc\0"), ALK_GIT_RECEIVE_PACK, "/a",
     "x", 0, 1, "alk_abc"},
    {ROW("git-upload-archive /a"), ALK_GIT_UPLOAD_ARCHIVE, "/a", "", 0, 0, NULL},
    {ROW("git-upload-pack /a\n\0HOST=x\0"), ALK_GIT_UPLOAD_PACK, "/a", "x", 0, 0, NULL},
    {ROW("git-upload-pack /a\0\0version=2\0"), ALK_GIT_UPLOAD_PACK, "/a", "", 0, 2, NULL},
    {ROW("git-upload-pack /a\0\0version=2"), ALK_GIT_UPLOAD_PACK, "/a", "", 0, 2, NULL},
    {ROW("git-upload-pack /a\0host=[::1]:9\0"), ALK_GIT_UPLOAD_PACK, "/a", "::1", 9, 0, NULL},
    {ROW("git-upload-pack /a\0host=[::1]\0"), ALK_GIT_UPLOAD_PACK, "/a", "::1", 0, 0, NULL},
    /* the highest version that is known, wherever it stands */
    {ROW("git-upload-pack /a\0\0version=2\0version=1\0version=3\0"), ALK_GIT_UPLOAD_PACK, "/a", "",
     0, 2, NULL},
    {ROW("git-upload-pack /a\0\0version=99\0version=\0version\0version=+1\0"), ALK_GIT_UPLOAD_PACK,
     "/a", "", 0, 0, NULL},
    /* unknown ones are ignored, and so is their case */
    {ROW("git-upload-pack /a\0\0object-format=sha256\0x\0=\0Token=1\0"), ALK_GIT_UPLOAD_PACK, "/a",
     "", 0, 0, NULL},
    {ROW("git-upload-pack /a\0\0token=\0"), ALK_GIT_UPLOAD_PACK, "/a", "", 0, 0, ""},
    {ROW("git-upload-pack /a\0\0token\0"), ALK_GIT_UPLOAD_PACK, "/a", "", 0, 0, ""},
    {ROW("git-upload-pack /a\0\0token=a=b%41\0"), ALK_GIT_UPLOAD_PACK, "/a", "", 0, 0, "a=b%41"},
    /* decoded, and only once */
    {ROW("git-upload-pack /%41%2fb%20c\0"), ALK_GIT_UPLOAD_PACK, "/A/b c", "", 0, 0, NULL},
    {ROW("git-upload-pack /%2541\0"), ALK_GIT_UPLOAD_PACK, "/%41", "", 0, 0, NULL},
    {ROW("git-upload-pack /a b\0"), ALK_GIT_UPLOAD_PACK, "/a b", "", 0, 0, NULL},
    {ROW("git-upload-pack  \0"), ALK_GIT_UPLOAD_PACK, " ", "", 0, 0, NULL},
};

static void requests_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct alk_git_request q;
        enum alk_git_request_why why;
        check_err(alk_git_request_parse(good[i].in, &q, &why), ALK_OK);
        assert_int_equal(why, ALK_GIT_REQUEST_FINE);
        assert_int_equal(q.service, good[i].service);
        check_text(q.path, good[i].path);
        check_text(q.host, good[i].host);
        assert_int_equal(q.port, good[i].port);
        assert_int_equal(q.version, good[i].version);
        assert_int_equal(q.has_token, good[i].token != NULL);
        check_text(q.token, good[i].token == NULL ? "" : good[i].token);
    }
}

static void bad_requests_are_refused_with_a_reason(void **state)
{
    static const struct {
        struct alk_span in;
        alk_err want;
        enum alk_git_request_why why;
    } rows[] = {
        {ROW(""), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_COMMAND},
        {ROW("git-upload-pack"), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_COMMAND},
        {ROW("git-upload-pack\0/a"), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_COMMAND},
        {ROW(" /a"), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_COMMAND},
        {ROW("GET / HTTP/1.1"), ALK_E_MALFORMED, ALK_GIT_REQUEST_UNKNOWN_COMMAND},
        {ROW("upload-pack /a\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_UNKNOWN_COMMAND},
        {ROW("git-upload-packs /a\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_UNKNOWN_COMMAND},
        {ROW("git-shell /a\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_UNKNOWN_COMMAND},
        {ROW("git-upload-pack \0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_PATH},
        {ROW("git-upload-pack \n\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_NO_PATH},
        {ROW("git-upload-pack /%\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_ESCAPE},
        {ROW("git-upload-pack /%4\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_ESCAPE},
        {ROW("git-upload-pack /%4g\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_ESCAPE},
        {ROW("git-upload-pack /a%00b\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_ESCAPE},
        {ROW("git-upload-pack /a\0host=\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=:1\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=x:\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=x:0\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=x:65536\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=x:1:2\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=[::1\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=[::1]x\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=[::1]:\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=[]\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=a b\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0host=\xc3\xa9\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_HOST},
        {ROW("git-upload-pack /a\0version=2\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_FORM},
        {ROW("git-upload-pack /a\0host=x\0version=2\0"), ALK_E_MALFORMED, ALK_GIT_REQUEST_BAD_FORM},
        {ROW("git-upload-pack /a\0\0token=a\0token=a\0"), ALK_E_MALFORMED,
         ALK_GIT_REQUEST_BAD_TOKEN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct alk_git_request q;
        enum alk_git_request_why why;
        memset(&q, 0x5a, sizeof(q));
        check_err(alk_git_request_parse(rows[i].in, &q, &why), rows[i].want);
        assert_int_equal(why, rows[i].why);
        for (size_t k = 0; k < sizeof(q); k++) {
            assert_int_equal(((const uint8_t *)&q)[k], 0x5a);
        }
        assert_true(strlen(alk_git_request_why_text(why)) > 10);
    }
}

/* The bound is taken, one more is not. */
static void bounds_hold(void **state)
{
    struct alk_git_request q;
    enum alk_git_request_why why;
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 100000);
    for (size_t over = 0; over < 2; over++) {
        check_err(alk_buf_put_str(&b, "git-upload-pack "), ALK_OK);
        for (size_t i = 0; i < ALK_GIT_REQUEST_PATH_MAX + over; i++) {
            check_err(alk_buf_put_str(&b, i % 2 ? "%61" : "b"), ALK_OK);
        }
        check_err(alk_git_request_parse(alk_buf_span(&b), &q, &why), over ? ALK_E_TOO_BIG : ALK_OK);
        assert_int_equal(why, over ? ALK_GIT_REQUEST_LONG_PATH : ALK_GIT_REQUEST_FINE);
        alk_buf_clear(&b);

        check_err(alk_buf_put(&b, ALK_LIT("git-upload-pack /a\0host=")), ALK_OK);
        for (size_t i = 0; i < ALK_GIT_REQUEST_HOST_MAX + over; i++) {
            check_err(alk_buf_put_str(&b, "h"), ALK_OK);
        }
        check_err(alk_git_request_parse(alk_buf_span(&b), &q, &why),
                  over ? ALK_E_MALFORMED : ALK_OK);
        assert_int_equal(why, over ? ALK_GIT_REQUEST_BAD_HOST : ALK_GIT_REQUEST_FINE);
        alk_buf_clear(&b);

        check_err(alk_buf_put(&b, ALK_LIT("git-upload-pack /a\0\0")), ALK_OK);
        for (size_t i = 0; i < ALK_GIT_REQUEST_PARAMS_MAX + over; i++) {
            check_err(alk_buf_put(&b, ALK_LIT("x\0")), ALK_OK);
        }
        check_err(alk_git_request_parse(alk_buf_span(&b), &q, &why), over ? ALK_E_TOO_BIG : ALK_OK);
        assert_int_equal(why, over ? ALK_GIT_REQUEST_MANY_PARAMS : ALK_GIT_REQUEST_FINE);
        alk_buf_clear(&b);

        check_err(alk_buf_put(&b, ALK_LIT("git-upload-pack /a\0\0token=")), ALK_OK);
        for (size_t i = 0; i < ALK_GIT_REQUEST_TOKEN_MAX + over; i++) {
            check_err(alk_buf_put_str(&b, "t"), ALK_OK);
        }
        check_err(alk_git_request_parse(alk_buf_span(&b), &q, &why),
                  over ? ALK_E_MALFORMED : ALK_OK);
        assert_int_equal(why, over ? ALK_GIT_REQUEST_BAD_TOKEN : ALK_GIT_REQUEST_FINE);
        alk_buf_clear(&b);
    }
    alk_buf_fini(&b);
}

static void services_have_names_with_and_without_git(void **state)
{
    (void)state;
    for (int i = ALK_GIT_UPLOAD_PACK; i <= ALK_GIT_UPLOAD_ARCHIVE; i++) {
        enum alk_git_service got = ALK_GIT_UPLOAD_PACK;
        const char *name = alk_git_service_name((enum alk_git_service)i);
        assert_true(alk_git_service_parse(alk_span_str(name), &got));
        assert_int_equal(got, i);
        assert_true(alk_git_service_parse(alk_span_str(name + 4), &got));
        assert_int_equal(got, i);
        assert_false(alk_git_service_parse(alk_span_str(name + 1), &got));
    }
}

static void a_written_request_is_git_s(void **state)
{
    struct alk_buf b, want;
    struct alk_git_ask ask = {.service = ALK_GIT_UPLOAD_PACK,
                              .path = ALK_LIT("/project.git"),
                              .host = ALK_LIT("127.0.0.1"),
                              .port = 36271,
                              .version = 2};
    (void)state;
    vector_read(ALK_VECTORS_DIR "/06-git/git-proto-request-v2.bin", &want); /* or is skipped */
    alk_buf_init(&b, NULL, 65536);
    check_err(alk_git_request_put(&b, &ask), ALK_OK);
    assert_true(alk_span_equal(alk_buf_span(&b), alk_buf_span(&want)));
    alk_buf_fini(&want);
    alk_buf_fini(&b);
}

/* Every byte that a path may hold, all fields: what is read is what was written. */
static void a_written_request_is_read_again(void **state)
{
    uint8_t path[256];
    struct alk_buf b;
    struct alk_git_pkt pkt;
    struct alk_git_request q;
    enum alk_git_request_why why;
    (void)state;
    for (size_t i = 0; i < 255; i++) {
        path[i] = (uint8_t)(i + 1);
    }
    struct alk_git_ask ask = {.service = ALK_GIT_RECEIVE_PACK,
                              .path = alk_span(path, 255),
                              .host = ALK_LIT("fe80::1"),
                              .port = 65535,
                              .version = 1,
                              .token = ALK_LIT("alk_x")};
    alk_buf_init(&b, NULL, 65536);
    check_err(alk_git_request_put(&b, &ask), ALK_OK);
    struct alk_rd r = alk_rd(alk_buf_span(&b));
    check_err(alk_git_pkt_parse(&r, &pkt), ALK_OK);
    assert_int_equal(alk_rd_left(&r), 0);
    check_err(alk_git_request_parse(pkt.data, &q, &why), ALK_OK);
    assert_true(alk_span_equal(q.path, ask.path));
    assert_int_equal(q.service, ask.service);
    check_text(q.host, "fe80::1");
    assert_int_equal(q.port, 65535);
    assert_int_equal(q.version, 1);
    check_text(q.token, "alk_x");
    alk_buf_fini(&b);
}

static void what_our_parser_would_refuse_is_not_written(void **state)
{
    static const uint8_t much[ALK_GIT_REQUEST_PATH_MAX + 1] = {0};
    const struct alk_git_ask asks[] = {
        {.path = ALK_LIT("")},
        {.path = ALK_LIT("a\0b")},
        {.path = alk_span(much, sizeof(much))},
        {.path = ALK_LIT("a"), .host = ALK_LIT("a b")},
        {.path = ALK_LIT("a"), .host = ALK_LIT("[::1]")},
        {.path = ALK_LIT("a"), .host = ALK_LIT("a\0")},
        {.path = ALK_LIT("a"), .port = 1},
        {.path = ALK_LIT("a"), .version = 3},
        {.path = ALK_LIT("a"), .token = ALK_LIT("a\0")},
        {.path = ALK_LIT("a"), .token = alk_span(much, ALK_GIT_REQUEST_TOKEN_MAX + 1)},
    };
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 65536);
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        check_err(alk_git_request_put(&b, &asks[i]), ALK_E_INVALID);
        assert_int_equal(alk_buf_len(&b), 0);
        check_err(b.err, ALK_OK);
    }
    alk_buf_fini(&b);
}

static alk_err put(const struct alk_mem *mem, void *ctx)
{
    struct alk_git_ask ask = {.path = ALK_LIT("/a"), .host = ALK_LIT("h"), .token = ALK_LIT("t")};
    struct alk_buf b;
    (void)ctx;
    alk_buf_init(&b, mem, 1000);
    alk_err err = alk_git_request_put(&b, &ask);
    assert_true((err == ALK_OK) == (alk_buf_len(&b) > 0));
    alk_buf_fini(&b);
    return err;
}

static void without_memory_nothing_leaks(void **state)
{
    (void)state;
    oom_sweep(put, NULL);
}

static void look(struct alk_span in, void *ctx)
{
    struct alk_git_request q;
    enum alk_git_request_why why;
    (void)ctx;
    if (alk_git_request_parse(in, &q, &why) == ALK_OK) {
        assert_true(q.path.n > 0 && alk_span_find(q.path, 0) == q.path.n);
    }
}

static void mutations_never_crash(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i += 3) {
        check_mutations(good[i].in, look, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(bad_requests_are_refused_with_a_reason),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(services_have_names_with_and_without_git),
        cmocka_unit_test(a_written_request_is_git_s),
        cmocka_unit_test(a_written_request_is_read_again),
        cmocka_unit_test(what_our_parser_would_refuse_is_not_written),
        cmocka_unit_test(without_memory_nothing_leaks),
        cmocka_unit_test(mutations_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
