/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* With an argument this program is no test but prints log lines for
 * tests/e2e/fail2ban.sh: `good`, `hostile`, `noise`. */
#include "core/auth/audit.h"

#include "base/text.h"
#include "core/io/log.h"
#include "support/oom.h"

static const char epoch[] = "1970-01-01T00:00:00.000Z";

static struct alk_auth_failure failure_of(const char *remote, const char *alpn, const char *method,
                                          const char *reason)
{
    return (struct alk_auth_failure){
        .remote = remote,
        .alpn = alk_span_str(alpn),
        .method = alk_span_str(method),
        .reason = alk_span_str(reason),
    };
}

static void the_line(void **state)
{
    static const struct {
        const char *name, *remote, *alpn, *method, *reason, *want;
    } cases[] = {
        {"as documented", "192.0.2.7:5000", "alknet/call", "token", "unknown",
         "alknet: auth failure addr=192.0.2.7 alpn=alknet/call method=token reason=unknown"},
        {"IPv6", "[2001:db8::1]:5000", "h3", "key", "revoked",
         "alknet: auth failure addr=2001:db8::1 alpn=h3 method=key reason=revoked"},
        {"a zone is cut off", "[fe80::1%2]:5000", "h3", "key", "expired",
         "alknet: auth failure addr=fe80::1 alpn=h3 method=key reason=expired"},
        {"no address", "memory", "", "", "",
         "alknet: auth failure addr=memory alpn=- method=- reason=-"},
        {"absent", "", "a", "b", "c", "alknet: auth failure addr=- alpn=a method=b reason=c"},
        {"a space", "192.0.2.7:1", "a b", "m", "r",
         "alknet: auth failure addr=192.0.2.7 alpn=a\\x20b method=m reason=r"},
        {"a line break", "192.0.2.7:1", "a\nalknet:", "m\r", "r",
         "alknet: auth failure addr=192.0.2.7 alpn=a\\x0aalknet: method=m\\x0d reason=r"},
        {"a field of its own", "192.0.2.7:1", "a addr=203.0.113.66", "m", "r",
         "alknet: auth failure addr=192.0.2.7 alpn=a\\x20addr\\x3d203.0.113.66 method=m reason=r"},
        {"quotes and backslashes", "192.0.2.7:1", "\"\\", "m", "r",
         "alknet: auth failure addr=192.0.2.7 alpn=\\x22\\x5c method=m reason=r"},
        {"bytes that are no text", "192.0.2.7:1", "\x01\x7f\x80\xff\x1b[2J", "m", "r",
         "alknet: auth failure addr=192.0.2.7 alpn=\\x01\\x7f\\x80\\xff\\x1b[2J method=m reason=r"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_buf b;
        struct alk_auth_failure f =
            failure_of(cases[i].remote, cases[i].alpn, cases[i].method, cases[i].reason);
        print_message("%s\n", cases[i].name);
        alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
        check_err(alk_auth_failure_line(&b, &f), ALK_OK);
        check_text(alk_buf_span(&b), cases[i].want);
        alk_buf_fini(&b);
    }
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char value[300];
    struct alk_buf b;
    memset(value, 0xff, sizeof(value) - 1);
    value[sizeof(value) - 1] = 0;
    struct alk_auth_failure f = failure_of("192.0.2.7:1", value, value, value);
    alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
    check_err(alk_auth_failure_line(&b, &f), ALK_OK);
    /* 48 bytes of four characters each, and three dots, three times. */
    assert_int_equal(alk_buf_len(&b), strlen("alknet: auth failure addr=192.0.2.7 alpn= method= "
                                             "reason=") +
                                          3 * (48 * 4 + 3));
    alk_buf_clear(&b);
    f.remote = value;
    check_err(alk_auth_failure_line(&b, &f), ALK_OK);
    assert_true(alk_buf_len(&b) <= ALK_AUTH_FAILURE_LINE_MAX);
    alk_buf_fini(&b);
}

static void whatever_the_bytes_the_line_has_four_fields(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t value[3] = {'a', (uint8_t)c, 'b'};
        struct alk_buf b;
        struct alk_auth_failure f = {.remote = "192.0.2.7:1",
                                     .alpn = alk_span(value, 3),
                                     .method = alk_span(value, 3),
                                     .reason = alk_span(value, 3)};
        alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
        check_err(alk_auth_failure_line(&b, &f), ALK_OK);
        size_t spaces = 0, equals = 0;
        struct alk_span s = alk_buf_span(&b);
        for (size_t i = 0; i < s.n; i++) {
            assert_in_range(s.p[i], 0x20, 0x7e);
            spaces += s.p[i] == ' ';
            equals += s.p[i] == '=';
        }
        assert_int_equal(spaces, 6);
        assert_int_equal(equals, 4);
        alk_buf_fini(&b);
    }
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(alk_auth_reason(ALK_E_AUTH), "unknown");
    assert_string_equal(alk_auth_reason(ALK_E_EXPIRED), "expired");
    assert_string_equal(alk_auth_reason(ALK_E_REVOKED), "revoked");
    assert_string_equal(alk_auth_reason(ALK_E_UNAVAILABLE), "unavailable");
    assert_string_equal(alk_auth_reason(ALK_E_LIMIT), "limit");
    assert_string_equal(alk_auth_reason(ALK_E_FORBIDDEN), "forbidden");
    assert_string_equal(alk_auth_reason(ALK_E_MALFORMED), "malformed");
    assert_string_equal(alk_auth_reason(ALK_E_IO), "error");
}

static void audit_records(void **state)
{
    static const struct alk_audit_record full = {
        .who = {(const uint8_t *)"laptop", 6},
        .authority = {(const uint8_t *)"worker", 6},
        .what = {(const uint8_t *)"call", 4},
        .target = {(const uint8_t *)"fs/read", 7},
        .remote = "[::1]:443",
        .alpn = {(const uint8_t *)"alknet/call", 11},
        .request_id = {(const uint8_t *)"r 1\n\"", 5},
        .trace = {(const uint8_t *)"00-a-b-01", 9},
        .reason = {(const uint8_t *)"scope \xff", 7},
        .is_allowed = false,
    };
    static const struct alk_audit_record bare = {.is_allowed = true};
    static const struct {
        const struct alk_audit_record *record;
        enum alk_audit_format format;
        const char *date;
        const char *want;
    } cases[] = {
        {&full, ALK_AUDIT_TEXT, "2027-01-01T12:30:15.042Z",
         "2027-01-01T12:30:15.042Z audit who=laptop authority=worker what=call target=fs/read "
         "from=[::1]:443 alpn=alknet/call request=r\\x201\\x0a\\x22 trace=00-a-b-01 "
         "reason=scope\\x20\\xff "
         "allowed=no"},
        {&full, ALK_AUDIT_JSON, "2027-01-01T12:30:15.042Z",
         "{\"time\":\"2027-01-01T12:30:15.042Z\",\"who\":\"laptop\",\"authority\":\"worker\","
         "\"what\":\"call\",\"target\":\"fs/read\",\"from\":\"[::1]:443\",\"alpn\":\"alknet/call\","
         "\"request\":\"r 1\\u000a\\\"\",\"trace\":\"00-a-b-01\",\"reason\":\"scope "
         "\xef\xbf\xbd\",\"allowed\":false}"},
        {&bare, ALK_AUDIT_TEXT, epoch,
         "1970-01-01T00:00:00.000Z audit who=- what=- from=- allowed=yes"},
        {&bare, ALK_AUDIT_JSON, epoch,
         "{\"time\":\"1970-01-01T00:00:00.000Z\",\"who\":null,\"what\":null,\"from\":null,"
         "\"allowed\":true}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
        check_err(alk_audit_line(&b, cases[i].format, cases[i].date, cases[i].record), ALK_OK);
        check_text(alk_buf_span(&b), cases[i].want);
        alk_buf_fini(&b);
    }
}

/* --- the same lines, made the slow way ------------------------------------------- */

static void put_char(char *line, char c)
{
    size_t n = strlen(line);
    assert_true(n + 1 < ALK_AUDIT_LINE_MAX);
    line[n] = c;
    line[n + 1] = '\0';
}

static void put_text(char *line, const char *text)
{
    for (; *text != '\0'; text++) {
        put_char(line, *text);
    }
}

/* Byte by byte, as docs/protocol/auth-log.md has it. */
static void put_value(char *line, struct alk_span s)
{
    for (size_t i = 0; i < s.n && i < 256; i++) {
        static const char hex[] = "0123456789abcdef";
        uint8_t c = s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '=' || c == '"' || c == '\\') {
            const char escape[] = {'\\', 'x', hex[c >> 4], hex[c & 15], '\0'};
            put_text(line, escape);
        } else {
            put_char(line, (char)c);
        }
    }
    put_text(line, s.n == 0 ? "-" : s.n > 256 ? "..." : "");
}

static void put_field(char *line, const char *label, struct alk_span value, bool is_optional)
{
    if (value.n > 0 || !is_optional) {
        put_text(line, label);
        put_value(line, value);
    }
}

static void check_slow(const struct alk_audit_record *r)
{
    static char want[ALK_AUDIT_LINE_MAX];
    struct alk_buf b;
    want[0] = '\0';
    put_text(want, epoch);
    put_text(want, " audit");
    put_field(want, " who=", r->who, false);
    put_field(want, " authority=", r->authority, true);
    put_field(want, " what=", r->what, false);
    put_field(want, " target=", r->target, true);
    put_field(want, " from=", alk_span_str(r->remote), false);
    put_field(want, " alpn=", r->alpn, true);
    put_field(want, " request=", r->request_id, true);
    put_field(want, " trace=", r->trace, true);
    put_field(want, " reason=", r->reason, true);
    put_text(want, r->is_allowed ? " allowed=yes" : " allowed=no");
    alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
    check_err(alk_audit_line(&b, ALK_AUDIT_TEXT, epoch, r), ALK_OK);
    check_text(alk_buf_span(&b), want);
    alk_buf_fini(&b);
}

/* Each field in turn holds s, the others what they usually do. */
static void check_in_each_field(struct alk_span s)
{
    const struct alk_audit_record usual = {.who = ALK_LIT("laptop"),
                                           .what = ALK_LIT("call"),
                                           .target = ALK_LIT("events/publish"),
                                           .remote = "192.0.2.1:40123",
                                           .alpn = ALK_LIT("alknet/call"),
                                           .request_id = ALK_LIT("0123456789abcdef"),
                                           .is_allowed = s.n % 2 == 0};
    for (unsigned i = 0; i < 8; i++) {
        struct alk_audit_record r = usual;
        struct alk_span *fields[] = {&r.who,  &r.authority,  &r.what,  &r.target,
                                     &r.alpn, &r.request_id, &r.trace, &r.reason};
        *fields[i] = s;
        check_slow(&r);
    }
}

static void a_value_of_any_length_is_written_byte_for_byte(void **state)
{
    (void)state;
    char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)('a' + i % 26);
    }
    for (size_t n = 0; n <= sizeof bytes; n++) {
        check_in_each_field(alk_span(bytes, n));
    }
    bytes[255] = '=';
    bytes[256] = '\n';
    for (size_t n = 254; n <= 258; n++) {
        check_in_each_field(alk_span(bytes, n));
    }
}

static void an_odd_byte_is_escaped_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 18; n++) {
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                /* Memory of just this size: nothing beside the value is read. */
                uint8_t *bytes = test_malloc(n);
                memset(bytes, 'a', n);
                bytes[at] = (uint8_t)c;
                const struct alk_audit_record r = {.who = ALK_LIT("w"),
                                                   .target = alk_span(bytes, n)};
                check_slow(&r);
                test_free(bytes);
            }
        }
    }
}

static void odd_bytes_side_by_side_do_not_hide_each_other(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 65536; pair++) {
        uint8_t bytes[8] = "aaaaaaaa";
        bytes[pair % 7] = (uint8_t)(pair >> 8);
        bytes[pair % 7 + 1] = (uint8_t)pair;
        const struct alk_audit_record r = {.target = alk_span(bytes, sizeof bytes)};
        check_slow(&r);
    }
}

static void an_address_may_be_absent_or_strange(void **state)
{
    static const char *const remotes[] = {NULL, "", "-", "admin", "a\nb", "[::1]:443", "\"=\\"};
    (void)state;
    for (size_t i = 0; i < sizeof remotes / sizeof remotes[0]; i++) {
        const struct alk_audit_record r = {.remote = remotes[i], .is_allowed = true};
        check_slow(&r);
    }
}

static void the_date_follows_any_step_of_time(void **state)
{
    static const struct {
        uint64_t unix_ms;
        const char *want;
    } steps[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {7, "1970-01-01T00:00:00.007Z"},
        {1798806615042, "2027-01-01T12:30:15.042Z"},
        {1798806615042, "2027-01-01T12:30:15.042Z"},
        {1798806615043, "2027-01-01T12:30:15.043Z"},
        {1798806615999, "2027-01-01T12:30:15.999Z"},
        {1798806616000, "2027-01-01T12:30:16.000Z"},
        {1798806659999, "2027-01-01T12:30:59.999Z"},
        {1798806660000, "2027-01-01T12:31:00.000Z"}, /* a minute */
        {1798847999999, "2027-01-01T23:59:59.999Z"},
        {1798848000000, "2027-01-02T00:00:00.000Z"}, /* a day */
        {1830297599999, "2027-12-31T23:59:59.999Z"},
        {1830297600001, "2028-01-01T00:00:00.001Z"}, /* a year */
        {1835395199123, "2028-02-28T23:59:59.123Z"},
        {1835395200123, "2028-02-29T00:00:00.123Z"},
        {1798806615842, "2027-01-01T12:30:15.842Z"}, /* back */
        {1798806615041, "2027-01-01T12:30:15.041Z"},
        {253402300799998, "9999-12-31T23:59:59.998Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800500, "9999-12-31T23:59:59.999Z"}, /* beyond what is shown */
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
        {253402300799001, "9999-12-31T23:59:59.001Z"},
    };
    struct alk_audit_date date = {.unix_ms = 0};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        alk_audit_date_set(&date, steps[i].unix_ms);
        assert_string_equal(date.text, steps[i].want);
    }
}

static void the_longest_record_fits(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    struct alk_span s = alk_span(bytes, sizeof(bytes));
    struct alk_audit_record r = {.who = s,
                                 .authority = s,
                                 .what = s,
                                 .target = s,
                                 .alpn = s,
                                 .request_id = s,
                                 .trace = s,
                                 .reason = s,
                                 .remote = "192.0.2.1:1"};
    for (int format = ALK_AUDIT_TEXT; format <= ALK_AUDIT_JSON; format++) {
        for (unsigned c = 0; c < 256; c += 15) {
            struct alk_buf b;
            memset(bytes, (int)c, sizeof(bytes));
            alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
            check_err(alk_audit_line(&b, (enum alk_audit_format)format, epoch, &r), ALK_OK);
            alk_buf_fini(&b);
        }
    }
}

static alk_err body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_buf b;
    struct alk_auth_failure f = failure_of("192.0.2.7:1", "a\n", "m", "r");
    struct alk_audit_record r = {.who = ALK_LIT("laptop")};
    alk_buf_init(&b, mem, ALK_AUDIT_LINE_MAX);
    alk_err err = alk_auth_failure_line(&b, &f);
    if (err == ALK_OK) {
        err = alk_audit_line(&b, ALK_AUDIT_JSON, epoch, &r);
    }
    alk_buf_fini(&b);
    return err;
}

static void without_memory(void **state)
{
    (void)state;
    oom_sweep(body, NULL);
}

/* --- lines for fail2ban ----------------------------------------------------------- */

/* One line in each of the log's three forms; the journal's as its readers see it. */
static void print_line(const char *component, const char *line)
{
    char out[ALK_LOG_LINE_MAX];
    const uint64_t at = 1798806615042; /* 2027-01-01T12:30:15.042Z */
    size_t n = alk_log_format(ALK_LOG_STYLE_TEXT, at, ALK_LOG_WARN, component, line, out);
    (void)fwrite(out, 1, n, stdout);
    n = alk_log_format(ALK_LOG_STYLE_JSON, at, ALK_LOG_WARN, component, line, out);
    (void)fwrite(out, 1, n, stdout);
    n = alk_log_format(ALK_LOG_STYLE_JOURNAL, at, ALK_LOG_WARN, component, line, out);
    (void)fputs("Jan  1 12:30:15 host alknet[123]: ", stdout);
    (void)fwrite(out + 3, 1, n - 3, stdout); /* the journal takes "<4>" off */
}

static int print_failure(const char *remote, struct alk_span alpn, struct alk_span method)
{
    struct alk_buf b;
    struct alk_auth_failure f = {
        .remote = remote, .alpn = alpn, .method = method, .reason = ALK_LIT("unknown")};
    alk_buf_init(&b, NULL, ALK_AUDIT_LINE_MAX);
    alk_err err = alk_auth_failure_line(&b, &f);
    if (err == ALK_OK) {
        print_line("auth", alk_buf_cstr(&b));
    }
    alk_buf_fini(&b);
    return err == ALK_OK ? 0 : 1;
}

/* What a peer would like to be read. */
#define FORGED "alknet: auth failure addr=203.0.113.66 alpn=a method=m reason=r"

static const char *const hostile[] = {
    "\n" FORGED,
    "\r\n" FORGED "\r\n",
    "\nauth: " FORGED,
    "\n2027-01-01T12:30:15.042Z warn  auth: " FORGED "\n",
    "\nJan  1 12:30:15 host alknet[1]: auth: " FORGED "\n",
    " addr=203.0.113.66 alpn=a method=m reason=r",
    "x addr=203.0.113.66",
    "=203.0.113.66",
    "\"} {\"time\":\"\",\"level\":\"warn\",\"component\":\"auth\",\"message\":\"" FORGED "\"}",
    "\xe2\x80\xa8" FORGED,
    "\xc2\x85" FORGED,
    "\x0b\x0c\x1c\x1d\x1e" FORGED,
    "\\n" FORGED,
    "%0a" FORGED,
    "203.0.113.66",
/* 300 bytes that each become four characters. */
#define FF_10  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define FF_100 FF_10 FF_10 FF_10 FF_10 FF_10 FF_10 FF_10 FF_10 FF_10 FF_10
    FF_100 FF_100 FF_100,
};

static int print_hostile(void)
{
    int bad = 0;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct alk_span s = alk_span_str(hostile[i]);
        bad |= print_failure("198.51.100.1:1", s, ALK_LIT("token"));
        bad |= print_failure("198.51.100.1:1", ALK_LIT("alknet/call"), s);
        bad |= print_failure("198.51.100.1:1", s, s);
    }
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[] = "a?addr=203.0.113.66";
        text[1] = (uint8_t)c;
        bad |= print_failure("198.51.100.1:1", alk_span(text, sizeof(text) - 1), ALK_LIT("m"));
    }
    return bad;
}

/* Lines of other components that quote a peer: escaped, but with its spaces. */
static int print_noise(void)
{
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, 2048);
        (void)alk_buf_put_str(&b, "sni \"");
        (void)alk_buf_put_escaped(&b, alk_span_str(hostile[i]), 255);
        (void)alk_buf_put_str(&b, "\"");
        print_line("quic", alk_buf_cstr(&b));
        (void)alk_buf_put_str(&b, " auth: " FORGED);
        print_line("tls", alk_buf_cstr(&b));
        alk_buf_fini(&b);
        print_line("auth", "a peer said: auth: " FORGED);
        print_line("warn  auth", hostile[i]);
    }
    return 0;
}

static int print_good(void)
{
    return print_failure("192.0.2.7:5000", ALK_LIT("alknet/call"), ALK_LIT("token")) |
           print_failure("[2001:db8::1]:443", ALK_LIT("h3"), ALK_LIT("key")) |
           print_failure("198.51.100.250:1", ALK_LIT(""), ALK_LIT("none"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(whatever_the_bytes_the_line_has_four_fields),
        cmocka_unit_test(reasons),
        cmocka_unit_test(audit_records),
        cmocka_unit_test(a_value_of_any_length_is_written_byte_for_byte),
        cmocka_unit_test(an_odd_byte_is_escaped_wherever_it_stands),
        cmocka_unit_test(odd_bytes_side_by_side_do_not_hide_each_other),
        cmocka_unit_test(an_address_may_be_absent_or_strange),
        cmocka_unit_test(the_date_follows_any_step_of_time),
        cmocka_unit_test(the_longest_record_fits),
        cmocka_unit_test(without_memory),
    };
    if (argc == 2) {
        return strcmp(argv[1], "good") == 0      ? print_good()
               : strcmp(argv[1], "hostile") == 0 ? print_hostile()
                                                 : print_noise();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
