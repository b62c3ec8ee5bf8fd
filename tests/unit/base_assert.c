/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/assert.h"

#include "support/check.h"

#include <signal.h>
#include <sys/wait.h>

static jmp_buf back;
static int seen_line;
static char seen_what[64];

static void jump(const char *file, int line, const char *what)
{
    assert_string_equal(file, __FILE__);
    seen_line = line;
    (void)snprintf(seen_what, sizeof(seen_what), "%s", what);
    longjmp(back, 1);
}

static void a_failed_assertion_calls_the_hook_with_its_place(void **state)
{
    (void)state;
    alk_assert_hook(jump);
    const volatile int two = 2;
    const int line = __LINE__ + 2;
    if (setjmp(back) == 0) {
        ALK_ASSERT(two == 3);
        fail();
    }
    assert_string_equal(seen_what, "two == 3");
    assert_int_equal(seen_line, line);
    if (setjmp(back) == 0) {
        ALK_UNREACHABLE();
    }
    assert_string_equal(seen_what, "unreachable");
    alk_assert_hook(NULL);
}

static void a_true_assertion_does_nothing(void **state)
{
    (void)state;
    alk_assert_hook(jump);
    if (setjmp(back) == 0) {
        ALK_ASSERT(seen_what[0] != 1);
        ALK_DEBUG_ASSERT(seen_what[0] != 1);
    } else {
        fail();
    }
    alk_assert_hook(NULL);
}

static void without_a_hook_the_program_traps(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGILL, SIG_DFL);
        (void)signal(SIGTRAP, SIG_DFL);
        alk_assert_failed("x", 1, "x");
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_assertion_calls_the_hook_with_its_place),
        cmocka_unit_test(a_true_assertion_does_nothing),
        cmocka_unit_test(without_a_hook_the_program_traps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
