/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The admin socket: frames over a real Unix socket, driven by hand. */
#include "core/io/admin.h"

#include "core/frame.h"
#include "core/io/admin_sock.h"
#include "core/store/file.h"
#include "support/check.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/alk-admin-XXXXXX";

struct fixture {
    struct alk_loop *loop;
    struct alk_admin *admin;
    char path[PATH_MAX];
    struct alk_admin_call *later; /* a call that is answered by hand */
    unsigned later_count;
};

static void op_echo(void *ctx, struct alk_admin_call *call)
{
    struct yyjson_mut_doc *doc = alk_admin_doc(call);
    struct yyjson_mut_val *out = yyjson_mut_obj(doc);
    struct yyjson_val *input = alk_admin_input(call);
    (void)ctx;
    if (input != NULL) {
        assert_true(yyjson_mut_obj_add_val(doc, out, "echo", yyjson_val_mut_copy(doc, input)));
    }
    alk_admin_done(call, out);
}

static void op_fail(void *ctx, struct alk_admin_call *call)
{
    (void)ctx;
    alk_admin_fail(call, ALK_E_CONFIG, "first line\nsecond \"line\"");
}

static void op_later(void *ctx, struct alk_admin_call *call)
{
    struct fixture *f = (struct fixture *)ctx;
    if (f->later != NULL) {
        alk_admin_done(f->later, NULL);
    }
    f->later = call;
    f->later_count++;
}

static const struct alk_admin_op ops[] = {
    {"test/echo", op_echo}, {"test/fail", op_fail}, {"test/later", op_later}, {NULL, NULL}};

static int setup(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof *f);
    char why[300] = "";
    assert_non_null(f);
    assert_true(alk_file_join(dir, "admin.sock", f->path, sizeof f->path));
    check_err(alk_loop_new(NULL, &f->loop), ALK_OK);
    const struct alk_admin_options o = {.loop = f->loop, .path = f->path, .ops = ops, .ctx = f};
    check_err(alk_admin_new(&o, why, sizeof why, &f->admin), ALK_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    if (f->later != NULL) {
        alk_admin_done(f->later, NULL);
    }
    alk_admin_free(f->admin);
    alk_loop_free(f->loop);
    assert_int_not_equal(access(f->path, F_OK), 0); /* the socket is gone */
    free(f);
    return 0;
}

/* --- a client by hand ----------------------------------------------------- */

static void spin(struct fixture *f)
{
    for (int i = 0; i < 8; i++) {
        (void)alk_loop_run_once(f->loop, 0);
    }
}

static int dial(struct fixture *f)
{
    int fd = -1;
    check_err(alk_admin_sock_connect(f->path, &fd), ALK_OK);
    spin(f);
    return fd;
}

static void put_raw(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void put_json(int fd, const char *json)
{
    uint8_t head[4];
    struct alk_wr w = alk_wr(head, sizeof head);
    alk_wr_u32(&w, (uint32_t)strlen(json));
    put_raw(fd, head, sizeof head);
    put_raw(fd, json, strlen(json));
}

/* The next frame as text; "closed" at the end, "" when there is none now. */
static const char *get_json(struct fixture *f, int fd)
{
    static char text[4096];
    uint8_t head[4];
    spin(f);
    ssize_t n = recv(fd, head, sizeof head, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        return "closed";
    }
    if (n < 0) {
        return "";
    }
    assert_int_equal(n, 4);
    struct alk_rd r = alk_rd(alk_span(head, 4));
    size_t len = alk_rd_u32(&r);
    assert_true(len < sizeof text);
    assert_int_equal(recv(fd, text, len, 0), (ssize_t)len);
    text[len] = '\0';
    return text;
}

#define REQUEST(id, op)                                                                            \
    "{\"type\":\"call.requested\",\"id\":\"" id "\",\"payload\":{\"operationId\":\"" op "\"}}"

/* --- tests ---------------------------------------------------------------- */

static void requests_are_answered_in_frames(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    int fd = dial(f);
    put_json(fd, "{\"type\":\"call.requested\",\"id\":\"7\",\"payload\":"
                 "{\"operationId\":\"/test/echo\",\"input\":{\"a\":[1]}}}");
    assert_string_equal(get_json(f, fd), "{\"type\":\"call.responded\",\"id\":\"7\",\"payload\":"
                                         "{\"output\":{\"echo\":{\"a\":[1]}}}}");
    put_json(fd, REQUEST("x", "/test/fail"));
    const char *text = get_json(f, fd);
    assert_non_null(strstr(text, "\"type\":\"call.error\",\"id\":\"x\""));
    assert_non_null(strstr(text, "\"code\":\"INVALID_INPUT\""));
    assert_non_null(strstr(text, "first line\\nsecond \\\"line\\\""));
    (void)close(fd);
    spin(f);
}

static void bad_requests_get_an_error_and_the_client_stays(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {REQUEST("1", "/test/none"), "NOT_FOUND"},
        {REQUEST("1", "test/echo"), "NOT_FOUND"}, /* the slash is on the wire */
        {"{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{}}", "INVALID_INPUT"},
        {"{\"type\":\"call.requested\",\"id\":\"1\"}", "INVALID_INPUT"},
        {"{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":{\"operationId\":\"/test/echo\","
         "\"input\":3}}",
         "INVALID_INPUT"},
        {"{\"type\":\"call.new\",\"id\":\"1\",\"payload\":{}}", "INVALID_FRAME"},
        {"{\"type\":\"call.requested\",\"id\":\"1\",\"payload\":3}", "INVALID_FRAME"},
    };
    struct fixture *f = (struct fixture *)*state;
    int fd = dial(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_json(fd, rows[i].in);
        const char *text = get_json(f, fd);
        assert_non_null(strstr(text, "call.error"));
        assert_non_null(strstr(text, rows[i].want));
    }
    put_json(fd, "{\"type\":\"call.responded\",\"id\":\"1\",\"payload\":{}}");
    put_json(fd, "{\"type\":\"call.aborted\",\"id\":\"never\",\"payload\":{}}");
    assert_string_equal(get_json(f, fd), ""); /* frames for unknown ids are ignored */
    (void)close(fd);
    spin(f);
}

static void broken_frames_close_the_client(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } rows[] = {
        {"\0\0\0\0", 4},
        {"\0\x20\0\0", 4},
        {"\0\0\0\1{", 5},
        {"\0\0\0\2[]", 6},
        {"\0\0\0\x0d{\"type\":\"zz\"}", 17},
    };
    struct fixture *f = (struct fixture *)*state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = dial(f);
        put_raw(fd, rows[i].p, rows[i].n);
        assert_string_equal(get_json(f, fd), "closed");
        (void)close(fd);
    }
}

static void frames_may_come_byte_by_byte(void **state)
{
    static const char in[] = "\0\0\0\x49" REQUEST("1", "/test/echo");
    struct fixture *f = (struct fixture *)*state;
    int fd = dial(f);
    assert_int_equal(strlen(REQUEST("1", "/test/echo")), 0x49);
    for (size_t i = 0; i + 1 < sizeof in - 1; i++) {
        put_raw(fd, in + i, 1);
        assert_string_equal(get_json(f, fd), "");
    }
    put_raw(fd, in + sizeof in - 2, 1);
    assert_non_null(strstr(get_json(f, fd), "call.responded"));
    (void)close(fd);
    spin(f);
}

static void answers_may_come_later_and_in_any_order(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    int fd = dial(f);
    put_json(fd, REQUEST("slow", "/test/later"));
    put_json(fd, REQUEST("fast", "/test/echo"));
    assert_non_null(strstr(get_json(f, fd), "\"id\":\"fast\""));
    assert_string_equal(get_json(f, fd), "");
    alk_admin_done(f->later, NULL);
    f->later = NULL;
    assert_string_equal(get_json(f, fd), "{\"type\":\"call.responded\",\"id\":\"slow\",\"payload\":"
                                         "{\"output\":{}}}");
    /* The client goes while its request is under way; the answer then does nothing. */
    put_json(fd, REQUEST("gone", "/test/later"));
    spin(f);
    assert_non_null(f->later);
    (void)close(fd);
    spin(f);
    alk_admin_done(f->later, NULL);
    f->later = NULL;
}

static void an_abort_is_answered_and_a_duplicate_id_closes(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    int fd = dial(f);
    put_json(fd, REQUEST("a", "/test/later"));
    put_json(fd, "{\"type\":\"call.aborted\",\"id\":\"a\",\"payload\":{}}");
    assert_non_null(strstr(get_json(f, fd), "\"ABORTED\""));
    alk_admin_done(f->later, NULL);
    f->later = NULL;
    assert_string_equal(get_json(f, fd), "");
    put_json(fd, REQUEST("b", "/test/later"));
    put_json(fd, REQUEST("b", "/test/later"));
    assert_string_equal(get_json(f, fd), "closed");
    (void)close(fd);
}

static void requests_under_way_are_limited(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct alk_admin_call *calls[ALK_ADMIN_CALLS_MAX];
    int fd = dial(f);
    for (unsigned i = 0; i < ALK_ADMIN_CALLS_MAX; i++) {
        char json[200];
        (void)snprintf(json, sizeof json,
                       "{\"type\":\"call.requested\",\"id\":\"n%u\",\"payload\":{\"operationId\":"
                       "\"/test/later\"}}",
                       i);
        put_json(fd, json);
        spin(f);
        assert_non_null(f->later);
        calls[i] = f->later;
        f->later = NULL;
    }
    put_json(fd, REQUEST("more", "/test/echo"));
    assert_non_null(strstr(get_json(f, fd), "\"EXHAUSTED\""));
    for (unsigned i = 0; i < ALK_ADMIN_CALLS_MAX; i++) {
        alk_admin_done(calls[i], NULL);
        assert_non_null(strstr(get_json(f, fd), "call.responded"));
    }
    put_json(fd, REQUEST("more", "/test/echo"));
    assert_non_null(strstr(get_json(f, fd), "call.responded"));
    (void)close(fd);
    spin(f);
}

static void clients_are_limited_and_the_next_one_waits(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    int fds[ALK_ADMIN_CLIENTS_MAX + 1];
    for (unsigned i = 0; i <= ALK_ADMIN_CLIENTS_MAX; i++) {
        fds[i] = dial(f);
        spin(f);
    }
    put_json(fds[ALK_ADMIN_CLIENTS_MAX], REQUEST("1", "/test/echo"));
    assert_string_equal(get_json(f, fds[ALK_ADMIN_CLIENTS_MAX]), "");
    (void)close(fds[0]);
    spin(f);
    assert_non_null(strstr(get_json(f, fds[ALK_ADMIN_CLIENTS_MAX]), "call.responded"));
    for (unsigned i = 1; i <= ALK_ADMIN_CLIENTS_MAX; i++) {
        (void)close(fds[i]);
    }
    spin(f);
}

/* A client that asks and never reads is held back, not buffered without end. */
static void a_client_that_does_not_read_is_held_back(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static char big[65536];
    size_t sent = 0;
    int fd = dial(f);
    memset(big, 'x', sizeof big);
    for (unsigned i = 0; i < 400; i++) {
        struct alk_buf b;
        alk_buf_init(&b, NULL, 2 * sizeof big);
        (void)alk_buf_printf(&b,
                             "{\"type\":\"call.requested\",\"id\":\"i%u\",\"payload\":"
                             "{\"operationId\":\"/test/echo\",\"input\":{\"t\":\"",
                             i);
        (void)alk_buf_put(&b, alk_span(big, sizeof big));
        (void)alk_buf_put_str(&b, "\"}}}");
        uint8_t head[4];
        struct alk_wr w = alk_wr(head, sizeof head);
        alk_wr_u32(&w, (uint32_t)alk_buf_len(&b));
        ssize_t a = send(fd, head, 4, MSG_NOSIGNAL | MSG_DONTWAIT);
        ssize_t n = a == 4
                        ? send(fd, alk_buf_span(&b).p, alk_buf_len(&b), MSG_NOSIGNAL | MSG_DONTWAIT)
                        : -1;
        size_t whole = alk_buf_len(&b);
        alk_buf_fini(&b);
        spin(f);
        if (n != (ssize_t)whole) {
            break;
        }
        sent += whole;
    }
    /* Socket buffers and our queues together: a few MiB, not 400 x 64 KiB. */
    assert_true(sent < (size_t)8 << 20);
    (void)close(fd);
    spin(f);
}

/* --- the asking side ------------------------------------------------------ */

static void *run_loop(void *arg)
{
    alk_loop_run((struct alk_loop *)arg);
    return NULL;
}

static void ask_gets_output_errors_and_messages(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct alk_admin_ask ask = {
        .path = f->path, .operation = "test/echo", .input = ALK_LIT("{\"k\":5}")};
    struct yyjson_doc *doc = NULL;
    struct yyjson_val *out = NULL;
    char why[300] = "";
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_loop, f->loop), 0);
    check_err(alk_admin_ask(&ask, why, sizeof why, &doc, &out), ALK_OK);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(yyjson_obj_get(out, "echo"), "k")), 5);
    yyjson_doc_free(doc);
    ask.operation = "test/fail";
    ask.input = (struct alk_span){NULL, 0};
    check_err(alk_admin_ask(&ask, why, sizeof why, &doc, &out), ALK_E_CONFIG);
    assert_string_equal(why, "first line\nsecond \"line\"");
    ask.operation = "test/none";
    check_err(alk_admin_ask(&ask, why, sizeof why, &doc, &out), ALK_E_NOENT);
    ask.operation = "test/later";
    ask.timeout = 20 * ALK_MS;
    check_err(alk_admin_ask(&ask, why, sizeof why, &doc, &out), ALK_E_TIMEOUT);
    alk_loop_stop(f->loop);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ask.path = "/tmp/alk-admin-none/sock";
    check_err(alk_admin_ask(&ask, why, sizeof why, &doc, &out), ALK_E_UNREACHABLE);
    assert_non_null(strstr(why, ask.path));
}

static void the_socket_is_private_and_replaces_only_sockets(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct stat st;
    char other[PATH_MAX], why[300] = "";
    struct alk_admin *admin = NULL;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(alk_file_join(dir, "file", other, sizeof other));
    check_err(alk_file_write(other, ALK_LIT("x"), 0600), ALK_OK);
    const struct alk_admin_options o = {.loop = f->loop, .path = other, .ops = ops};
    check_err(alk_admin_new(&o, why, sizeof why, &admin), ALK_E_EXISTS);
    assert_non_null(strstr(why, other));
    assert_int_equal(unlink(other), 0);
}

static void long_paths_work(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    char deep[PATH_MAX], path[PATH_MAX];
    char name[121];
    int fd = -1, back = -1;
    (void)f;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_true(alk_file_join(dir, name, deep, sizeof deep));
    check_err(alk_file_make_dirs(deep, 0700), ALK_OK);
    assert_true(alk_file_join(deep, "s", path, sizeof path));
    check_err(alk_admin_sock_listen(path, &fd), ALK_OK);
    check_err(alk_admin_sock_connect(path, &back), ALK_OK);
    (void)close(back);
    (void)close(fd);
    check_err(alk_admin_sock_connect(path, &back), ALK_E_UNREACHABLE); /* nobody listens */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(deep), 0);
}

static int group_setup(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int group_teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_are_answered_in_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests_get_an_error_and_the_client_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(broken_frames_close_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_may_come_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_may_come_later_and_in_any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abort_is_answered_and_a_duplicate_id_closes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(requests_under_way_are_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_are_limited_and_the_next_one_waits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_that_does_not_read_is_held_back, setup, teardown),
        cmocka_unit_test_setup_teardown(ask_gets_output_errors_and_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_is_private_and_replaces_only_sockets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(long_paths_work, setup, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
