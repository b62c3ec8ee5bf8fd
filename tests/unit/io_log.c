/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Log lines: format, levels, a reader that does not keep up; appended files. */
#include "support/check.h"

#include "core/config/node.h"
#include "core/io/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void format(enum alk_log_style style, enum alk_log_level level, const char *line, char *dst)
{
    size_t n = alk_log_format(style, 1798761600123u, level, "quic", line, dst);
    assert_true(n < ALK_LOG_LINE_MAX);
    dst[n] = '\0';
}

static void each_style_has_its_line(void **ctx)
{
    (void)ctx;
    char dst[ALK_LOG_LINE_MAX + 1];
    format(ALK_LOG_STYLE_TEXT, ALK_LOG_INFO, "hello", dst);
    assert_string_equal(dst, "2027-01-01T00:00:00.123Z info  quic: hello\n");
    format(ALK_LOG_STYLE_JOURNAL, ALK_LOG_ERROR, "hello", dst);
    assert_string_equal(dst, "<3>quic: hello\n");
    format(ALK_LOG_STYLE_JSON, ALK_LOG_WARN, "say \"hi\" \\ there", dst);
    assert_string_equal(dst, "{\"time\":\"2027-01-01T00:00:00.123Z\",\"level\":\"warn\","
                             "\"component\":\"quic\",\"message\":\"say \\\"hi\\\" \\\\ there\"}\n");
}

static void a_peer_cannot_forge_lines(void **ctx)
{
    (void)ctx;
    char dst[ALK_LOG_LINE_MAX + 1];
    format(ALK_LOG_STYLE_TEXT, ALK_LOG_INFO, "a\nb\x1b[31m\x7f", dst);
    assert_non_null(strstr(dst, "a\\x0ab\\x1b[31m\\x7f\n"));
    format(ALK_LOG_STYLE_JSON, ALK_LOG_INFO, "a\nb", dst);
    assert_non_null(strstr(dst, "a\\u000ab"));
    format(ALK_LOG_STYLE_JSON, ALK_LOG_INFO, "\xff\xfe", dst);
    assert_non_null(strstr(dst, "\"??\""));
}

static void a_long_line_is_cut_between_characters_and_still_ends(void **ctx)
{
    (void)ctx;
    static char line[20000];
    char dst[ALK_LOG_LINE_MAX + 1];
    memset(line, '\n', sizeof line - 1); /* the longest when escaped */
    for (int style = ALK_LOG_STYLE_TEXT; style <= ALK_LOG_STYLE_JSON; style++) {
        format((enum alk_log_style)style, ALK_LOG_INFO, line, dst);
        assert_int_equal(dst[strlen(dst) - 1], '\n');
    }
    for (size_t i = 0; i + 2 < sizeof line; i += 2) {
        memcpy(line + i, "\xc3\xa9", 2);
    }
    format(ALK_LOG_STYLE_JSON, ALK_LOG_INFO, line, dst);
    assert_non_null(strstr(dst, "\xc3\xa9\"}\n"));
    memmove(line + 1, line, sizeof line - 2);
    line[0] = 'x';
    format(ALK_LOG_STYLE_JSON, ALK_LOG_INFO, line, dst);
    assert_non_null(strstr(dst, "\xc3\xa9\"}\n"));
}

/* --- levels ------------------------------------------------------------------ */

static const struct alk_dynamic_config *load(const char *yaml)
{
    const struct alk_static_config *fixed = NULL;
    const struct alk_dynamic_config *config = NULL;
    struct alk_config_options o = {
        .text = alk_span_str(yaml), .name = "test", .default_data_dir = "/nowhere"};
    assert_int_equal(alk_config_load(&o, NULL, &fixed, &config), ALK_OK);
    alk_static_config_unref(fixed);
    return config;
}

static size_t read_all(int fd, char *dst, size_t size)
{
    ssize_t n = read(fd, dst, size - 1);
    n = n < 0 ? 0 : n;
    dst[n] = '\0';
    return (size_t)n;
}

static void levels_are_kept_per_component(void **ctx)
{
    (void)ctx;
    int fd[2];
    char text[4096];
    struct alk_log *log;
    const struct alk_dynamic_config *config =
        load("log: {level: warn, format: json, levels: {quic: debug}}\n");
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    assert_int_equal(alk_log_new(NULL, fd[1], NULL, NULL, &log), ALK_OK);
    alk_log_line(log, ALK_LOG_INFO, "endpoint", "before");
    alk_log_line(log, ALK_LOG_DEBUG, "endpoint", "not wanted");
    alk_log_configure(log, config);
    alk_log_line(log, ALK_LOG_INFO, "endpoint", "not wanted");
    alk_log_printf(log, ALK_LOG_DEBUG, "quic", "number %d", 7);
    assert_true(alk_log_wants(log, ALK_LOG_DEBUG, "quic"));
    assert_false(alk_log_wants(log, ALK_LOG_TRACE, "quic"));
    assert_false(alk_log_wants(log, ALK_LOG_INFO, "endpoint"));
    (void)read_all(fd[0], text, sizeof text);
    assert_non_null(strstr(text, "endpoint: before\n"));
    assert_non_null(strstr(text, "\"message\":\"number 7\"}\n"));
    assert_null(strstr(text, "not wanted"));
    alk_log_free(log);
    alk_dynamic_config_unref(config);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

static void a_blocked_reader_costs_lines_and_is_told(void **ctx)
{
    (void)ctx;
    int fd[2];
    static char text[1 << 20];
    struct alk_log *log;
    assert_int_equal(pipe(fd), 0); /* blocking: a write that does not fit would hang */
    assert_int_equal(fcntl(fd[1], F_SETPIPE_SZ, 16384), 16384);
    assert_int_equal(alk_log_new(NULL, fd[1], NULL, NULL, &log), ALK_OK);
    for (int i = 0; i < 1000; i++) {
        alk_log_line(log, ALK_LOG_INFO, "test", "a line that somebody should have read by now");
    }
    assert_true(alk_log_dropped(log) > 100);
    assert_true(read_all(fd[0], text, sizeof text) > 0);
    alk_log_line(log, ALK_LOG_INFO, "test", "at last");
    assert_true(read_all(fd[0], text, sizeof text) > 0);
    assert_non_null(strstr(text, "lines were dropped\n"));
    assert_non_null(strstr(text, "at last\n"));
    alk_log_free(log);
    (void)close(fd[0]);
    (void)close(fd[1]);
}

struct reader {
    struct alk_log_tap tap;
    char text[256];
};

static void read_along(void *ctx, enum alk_log_level level, const char *component, const char *line)
{
    struct reader *r = ctx;
    size_t n = strlen(r->text);
    (void)snprintf(r->text + n, sizeof r->text - n, "%d %s %s;", (int)level, component, line);
}

static void who_reads_along_hears_what_the_log_takes_until_he_leaves(void **ctx)
{
    struct alk_log *log;
    struct reader a = {.text = ""}, b = {.text = ""};
    struct reader out = {.text = ""};
    (void)ctx;
    a.tap = (struct alk_log_tap){.fn = read_along, .ctx = &a};
    b.tap = (struct alk_log_tap){.fn = read_along, .ctx = &b};
    assert_int_equal(alk_log_new(NULL, -1, read_along, &out, &log), ALK_OK);
    alk_log_tap_add(log, &a.tap);
    alk_log_tap_add(log, &b.tap);
    alk_log_line(log, ALK_LOG_INFO, "x", "one");
    alk_log_line(log, ALK_LOG_DEBUG, "x", "not wanted");
    alk_log_tap_remove(log, &a.tap);
    alk_log_line(log, ALK_LOG_WARN, "y", "two");
    assert_string_equal(a.text, "2 x one;");
    assert_string_equal(b.text, "2 x one;1 y two;");
    assert_string_equal(out.text, b.text);
    alk_log_tap_remove(log, &b.tap);
    alk_log_free(log);
}

/* --- files --------------------------------------------------------------------- */

static void lines_are_appended_and_survive_a_rotation(void **ctx)
{
    (void)ctx;
    char dir[] = "/tmp/alknet-log-XXXXXX";
    char path[64];
    char old[64];
    char text[256];
    struct stat st;
    struct alk_line_file *file;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/audit.log", dir);
    (void)snprintf(old, sizeof old, "%s/audit.log.1", dir);
    assert_int_equal(alk_line_file_open(NULL, path, &file), ALK_OK);
    assert_true(alk_line_file_put(file, ALK_LIT("one")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(rename(path, old), 0);
    assert_true(alk_line_file_put(file, ALK_LIT("two")));
    assert_int_equal(alk_line_file_reopen(file), ALK_OK);
    assert_true(alk_line_file_put(file, ALK_LIT("three")));
    assert_string_equal(alk_line_file_path(file), path);
    alk_line_file_free(file);
    int fd = open(old, O_RDONLY);
    (void)read_all(fd, text, sizeof text);
    assert_string_equal(text, "one\ntwo\n");
    (void)close(fd);
    fd = open(path, O_RDONLY);
    (void)read_all(fd, text, sizeof text);
    assert_string_equal(text, "three\n");
    (void)close(fd);
    (void)unlink(old);
    (void)unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(alk_line_file_open(NULL, path, &file), ALK_E_PERM);
    (void)unlink(path);
    (void)rmdir(dir);
    assert_int_equal(alk_line_file_open(NULL, path, &file), ALK_E_NOENT);
}

/* As a disk that is full does. */
static void bound_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_line_that_was_cut_short_is_not_the_beginning_of_the_next(void **ctx)
{
    (void)ctx;
    char path[] = "/tmp/alk-lines-XXXXXX";
    char text[256];
    struct alk_line_file *file;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(alk_line_file_open(NULL, path, &file), ALK_OK);
    assert_true(alk_line_file_put(file, ALK_LIT("who=ann")));
    bound_files(13);
    assert_false(alk_line_file_put(file, ALK_LIT("who=bob allowed=no")));
    assert_false(alk_line_file_put(file, ALK_LIT("who=eve"))); /* nothing of it */
    bound_files(RLIM_INFINITY);
    assert_true(alk_line_file_put(file, ALK_LIT("who=eve allowed=yes")));
    assert_true(alk_line_file_put(file, ALK_LIT("who=ann")));
    (void)read_all(fd, text, sizeof text);
    assert_string_equal(text, "who=ann\nwho=b\nwho=eve allowed=yes\nwho=ann\n");
    alk_line_file_free(file);
    (void)close(fd);
    (void)unlink(path);
    (void)signal(SIGXFSZ, old);
}

/* Also when it was another process, or the file was opened anew for other settings; an empty
 * one after a rotation begins with a line. */
static void a_file_that_ends_in_the_middle_of_a_line_goes_on_with_a_new_one(void **ctx)
{
    (void)ctx;
    char path[] = "/tmp/alk-lines-XXXXXX";
    char text[256];
    struct alk_line_file *file = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(write(fd, "who=b", 5), 5);
        assert_int_equal(alk_line_file_open(NULL, path, &file), ALK_OK);
        assert_true(alk_line_file_put(file, ALK_LIT("who=eve")));
        assert_int_equal(lseek(fd, 0, SEEK_END), 14 * ((off_t)i + 1));
        if (i == 0) {
            alk_line_file_free(file);
        }
    }
    assert_int_equal(write(fd, "who=b", 5), 5);
    assert_int_equal(alk_line_file_reopen(file), ALK_OK);
    assert_true(alk_line_file_put(file, ALK_LIT("who=ann")));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)read_all(fd, text, sizeof text);
    assert_string_equal(text, "who=b\nwho=eve\nwho=b\nwho=eve\nwho=b\nwho=ann\n");
    assert_int_equal(write(fd, "who=b", 5), 5);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(alk_line_file_reopen(file), ALK_OK);
    assert_true(alk_line_file_put(file, ALK_LIT("who=ann")));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)read_all(fd, text, sizeof text);
    assert_string_equal(text, "who=ann\n");
    alk_line_file_free(file);
    (void)close(fd);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_style_has_its_line),
        cmocka_unit_test(a_peer_cannot_forge_lines),
        cmocka_unit_test(a_long_line_is_cut_between_characters_and_still_ends),
        cmocka_unit_test(levels_are_kept_per_component),
        cmocka_unit_test(a_blocked_reader_costs_lines_and_is_told),
        cmocka_unit_test(who_reads_along_hears_what_the_log_takes_until_he_leaves),
        cmocka_unit_test(lines_are_appended_and_survive_a_rotation),
        cmocka_unit_test(a_line_that_was_cut_short_is_not_the_beginning_of_the_next),
        cmocka_unit_test(a_file_that_ends_in_the_middle_of_a_line_goes_on_with_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
