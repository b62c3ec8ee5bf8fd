/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The helpers of tests/support see what they are there to see: each fails on a
 * faulty subject. The fault runs as a test of its own in a child process. */
#include "base/mem.h"
#include "support/oom.h"

#include <fcntl.h>
#include <sys/wait.h>

static bool is_failing(CMUnitTestFunction fn)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY);
        (void)dup2(fd, STDOUT_FILENO);
        (void)dup2(fd, STDERR_FILENO);
        const struct CMUnitTest tests[] = {{"child", fn, NULL, NULL, NULL}};
        _exit(cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 3);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 3;
}

static alk_err good_parse(struct alk_rd *r, void *ret)
{
    struct alk_rd t = *r;
    uint32_t v = alk_rd_u32(&t);
    if (t.err != ALK_OK) {
        return t.err;
    }
    memcpy(ret, &v, sizeof(v));
    *r = t;
    return ALK_OK;
}

static alk_err moves_the_reader(struct alk_rd *r, void *ret)
{
    alk_err err = good_parse(r, ret);
    if (err != ALK_OK && r->p != r->end) {
        r->p++;
    }
    return err;
}

static alk_err fills_too_early(struct alk_rd *r, void *ret)
{
    memset(ret, 0, 4);
    return good_parse(r, ret);
}

static alk_err calls_it_malformed(struct alk_rd *r, void *ret)
{
    return good_parse(r, ret) == ALK_OK ? ALK_OK : ALK_E_MALFORMED;
}

static alk_err is_content_with_three(struct alk_rd *r, void *ret)
{
    return alk_rd_left(r) == 3 ? ALK_OK : good_parse(r, ret);
}

static void prefixes_of(check_parse_fn *parse)
{
    check_prefixes(ALK_LIT("\1\2\3\4"), parse, 4);
}

static void prefixes_good(void **state)
{
    (void)state;
    prefixes_of(good_parse);
}

static void prefixes_moved(void **state)
{
    (void)state;
    prefixes_of(moves_the_reader);
}

static void prefixes_filled(void **state)
{
    (void)state;
    prefixes_of(fills_too_early);
}

static void prefixes_malformed(void **state)
{
    (void)state;
    prefixes_of(calls_it_malformed);
}

static void prefixes_short(void **state)
{
    (void)state;
    prefixes_of(is_content_with_three);
}

static void check_prefixes_sees_every_broken_promise(void **state)
{
    (void)state;
    assert_false(is_failing(prefixes_good));
    assert_true(is_failing(prefixes_moved));
    assert_true(is_failing(prefixes_filled));
    assert_true(is_failing(prefixes_malformed));
    assert_true(is_failing(prefixes_short));
}

static void feed_bytes(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) {
        (void)alk_buf_put(trace, pieces[i]);
    }
}

/* Wrong only where the cut is behind the fifth byte. */
static void feed_pieces(const struct alk_span *pieces, size_t n, struct alk_buf *trace, void *ctx)
{
    feed_bytes(pieces, n, trace, ctx);
    if (n == 2 && pieces[0].n == 5) {
        (void)alk_buf_put_str(trace, "!");
    }
}

static void splits_good(void **state)
{
    (void)state;
    check_splits(ALK_LIT("some bytes"), feed_bytes, NULL);
}

static void splits_bad(void **state)
{
    (void)state;
    check_splits(ALK_LIT("some bytes"), feed_pieces, NULL);
}

static void check_splits_sees_one_cut_that_differs(void **state)
{
    (void)state;
    assert_false(is_failing(splits_good));
    assert_true(is_failing(splits_bad));
}

struct looked {
    size_t n, empty, longer, flipped;
};

static void count_look(struct alk_span in, void *ctx)
{
    struct looked *l = ctx;
    l->n++;
    l->empty += in.n == 0;
    l->longer += in.n == 4;
    l->flipped += alk_span_equal(in, ALK_LIT("abB"));
}

static void check_mutations_flips_cuts_and_doubles(void **state)
{
    (void)state;
    struct looked l = {0};
    check_mutations(ALK_LIT("abc"), count_look, &l);
    assert_in_range(l.n, 2000, 3000);
    assert_in_range(l.empty, 2, 100);
    assert_int_equal(l.longer, 3);
    l = (struct looked){0};
    check_mutations(ALK_LIT("abb"), count_look, &l);
    assert_in_range(l.flipped, 1, 100);
}

static alk_err two_blocks(const struct alk_mem *mem, bool leaks, alk_err failure)
{
    void *a = alk_alloc(mem, 10);
    if (a == NULL) {
        return ALK_E_NOMEM;
    }
    void *b = alk_alloc(mem, 10);
    if (b == NULL) {
        if (leaks) {
            return ALK_E_NOMEM;
        }
        alk_free(mem, a);
        return failure;
    }
    alk_free(mem, a);
    alk_free(mem, b);
    return ALK_OK;
}

static alk_err oom_good_body(const struct alk_mem *mem, void *ctx)
{
    int *runs = ctx;
    (*runs)++;
    return two_blocks(mem, false, ALK_E_NOMEM);
}

static alk_err oom_leak_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    return two_blocks(mem, true, ALK_E_NOMEM);
}

static alk_err oom_error_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    return two_blocks(mem, false, ALK_E_INTERNAL);
}

static void oom_leak(void **state)
{
    (void)state;
    oom_sweep(oom_leak_body, NULL);
}

static void oom_error(void **state)
{
    (void)state;
    oom_sweep(oom_error_body, NULL);
}

static void oom_sweep_sees_leaks_and_wrong_errors(void **state)
{
    (void)state;
    int runs = 0;
    oom_sweep(oom_good_body, &runs);
    assert_int_equal(runs, 1 + 2 * 2);
    assert_true(is_failing(oom_leak));
    assert_true(is_failing(oom_error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_prefixes_sees_every_broken_promise),
        cmocka_unit_test(check_splits_sees_one_cut_that_differs),
        cmocka_unit_test(check_mutations_flips_cuts_and_doubles),
        cmocka_unit_test(oom_sweep_sees_leaks_and_wrong_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
