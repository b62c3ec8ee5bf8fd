/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/buf.h"

#include "base/rand.h"
#include "support/oom.h"

static alk_err append_body(const struct alk_mem *mem, void *ctx)
{
    (void)ctx;
    struct alk_buf b;
    alk_buf_init(&b, mem, 100000);
    for (int i = 0; i < 200; i++) {
        (void)alk_buf_put_str(&b, "some text that makes the buffer grow; ");
        (void)alk_buf_printf(&b, "%d", i);
        if (b.err == ALK_OK && i % 3 == 0) {
            alk_buf_consume(&b, 20);
        }
    }
    alk_err err = b.err;
    assert_true(err == ALK_OK || alk_buf_put_u8(&b, 0) == err);
    assert_true(err != ALK_OK || strlen(alk_buf_cstr(&b)) == alk_buf_len(&b) || b.err != ALK_OK);
    err = b.err;
    alk_buf_fini(&b);
    return err;
}

static void appends_survive_missing_memory(void **state)
{
    (void)state;
    oom_sweep(append_body, NULL);
}

static void nothing_is_allocated_before_the_first_byte(void **state)
{
    (void)state;
    struct test_mem t;
    struct alk_buf b;
    test_mem_init(&t, 0);
    alk_buf_init(&b, &t.mem, 10);
    assert_int_equal(alk_buf_len(&b), 0);
    assert_int_equal(alk_buf_room(&b), 10);
    assert_int_equal(t.allocs, 0);
    alk_buf_fini(&b);
    alk_buf_fini(&b);
    test_mem_check(&t);
}

static void no_bytes_can_be_put_and_reserved(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 0);
    assert_null(alk_buf_span(&b).p);
    check_err(alk_buf_put(&b, (struct alk_span){NULL, 0}), ALK_OK);
    assert_non_null(alk_buf_reserve(&b, 0));
    alk_buf_added(&b, 0);
    assert_string_equal(alk_buf_cstr(&b), "");
    check_err(b.err, ALK_OK);
    alk_buf_fini(&b);
}

static void more_than_max_is_refused_and_stays_refused(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 5);
    check_err(alk_buf_put_str(&b, "1234"), ALK_OK);
    check_err(alk_buf_put_str(&b, "56"), ALK_E_TOO_BIG);
    check_err(alk_buf_put_u8(&b, '5'), ALK_E_TOO_BIG);
    check_text(alk_buf_span(&b), "1234");
    assert_string_equal(alk_buf_cstr(&b), "");
    alk_buf_clear(&b);
    check_err(alk_buf_put_str(&b, "12345"), ALK_OK);
    assert_string_equal(alk_buf_cstr(&b), "12345");
    assert_null(alk_buf_reserve(&b, 1));
    alk_buf_fini(&b);
    alk_buf_init(&b, NULL, SIZE_MAX);
    assert_null(alk_buf_reserve(&b, SIZE_MAX));
    check_err(b.err, ALK_E_NOMEM);
    alk_buf_fini(&b);
}

static void reserved_room_is_held_once_added(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 100);
    uint8_t *p = alk_buf_reserve(&b, 10);
    assert_non_null(p);
    memcpy(p, "abcdef", 6);
    assert_int_equal(alk_buf_len(&b), 0);
    alk_buf_added(&b, 6);
    check_text(alk_buf_span(&b), "abcdef");
    alk_buf_consume(&b, 2);
    check_text(alk_buf_span(&b), "cdef");
    assert_string_equal(alk_buf_cstr(&b), "cdef");
    alk_buf_consume(&b, 4);
    alk_buf_trim(&b);
    assert_null(b.p);
    assert_string_equal(alk_buf_cstr(&b), "");
    alk_buf_fini_secret(&b);
}

/* Against a naive queue: whatever is appended and consumed, the bytes agree. */
static void it_is_a_queue_of_bytes(void **state)
{
    (void)state;
    enum { MAX = 1000, RUNS = 100000 };
    struct alk_prng g;
    struct alk_buf b;
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    size_t held = 0;
    alk_prng_init(&g, 7);
    alk_buf_init(&b, NULL, MAX);
    for (int run = 0; run < RUNS; run++) {
        uint8_t bytes[97];
        size_t n = (size_t)(alk_prng_next(&g) % sizeof(bytes));
        if (alk_prng_next(&g) % 2 == 0) {
            n = n < MAX - held ? n : MAX - held;
            for (size_t i = 0; i < n; i++) {
                bytes[i] = next_in++;
            }
            check_err(alk_buf_put(&b, alk_span(bytes, n)), ALK_OK);
            held += n;
        } else {
            n = n < held ? n : held;
            struct alk_span s = alk_buf_span(&b);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(s.p[i], next_out);
                next_out++;
            }
            alk_buf_consume(&b, n);
            held -= n;
        }
        assert_int_equal(alk_buf_len(&b), held);
        assert_true(b.size <= MAX + MAX / 2 + 1);
    }
    alk_buf_fini(&b);
}

/* The C library is the model. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char want[256];                                                                            \
        (void)snprintf(want, sizeof(want), __VA_ARGS__);                                           \
        alk_buf_clear(&b);                                                                         \
        check_err(alk_buf_printf(&b, __VA_ARGS__), ALK_OK);                                        \
        check_text(alk_buf_span(&b), want);                                                        \
    } while (0)

static void printf_is_the_c_librarys(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1000);
    SAME("plain");
    SAME("%%|%c|%5c|%-5c|", 'a', 'b', 'c');
    SAME("%s|%10s|%-10s|%.2s|%10.2s|%.0s|%.*s|%*s|%-*s|", "abc", "abc", "abc", "abc", "abc", "abc",
         2, "abc", 6, "abc", 6, "abc");
    SAME("%d|%i|%5d|%-5d|%05d|%+d|% d|%.3d|%5.3d|%-5.3d|%+.0d|", 1, -2, 3, 4, -5, 6, 7, 8, 9, 10,
         0);
    SAME("%d|%d|%u|%x|%X|%o|%#x|%#X|%#o|%#x|%#o|", INT32_MIN, INT32_MAX, UINT32_MAX, 0xbeefU,
         0xbeefU, 8U, 255U, 255U, 8U, 0U, 0U);
    SAME("%hhd|%hd|%hhu|%hu|%ld|%lu|%lld|%llu|%jd|%ju|%zu|%td|", (signed char)-1, (short)-2,
         (unsigned char)255, (unsigned short)65535, -3L, 4UL, INT64_MIN + 0LL, UINT64_MAX + 0ULL,
         INTMAX_MIN, UINTMAX_MAX, SIZE_MAX, (ptrdiff_t)-5);
    SAME("%08x|%#08x|%-#8x|%8.4x|%02x|%016llx", 0xabU, 0xabU, 0xabU, 0xabU, 7U,
         0x1234567890abcdefULL);
    SAME("%p|%20p|", (void *)&b, (void *)&b);
    SAME("%*d|%-*d|%.*d|%.*d", -6, 1, 6, 2, 3, 3, -1, 4);
    alk_buf_clear(&b);
    check_err(alk_buf_printf(&b, "a%cb", 0), ALK_OK);
    assert_true(alk_span_equal(alk_buf_span(&b), alk_span("a\0b", 3)));
    alk_buf_fini(&b);
}

static void printf_appends_all_or_nothing(void **state)
{
    (void)state;
    struct alk_buf b;
    alk_buf_init(&b, NULL, 8);
    check_err(alk_buf_printf(&b, "%d", 12345), ALK_OK);
    check_err(alk_buf_printf(&b, "%d", 12345), ALK_E_TOO_BIG);
    check_text(alk_buf_span(&b), "12345");
    alk_buf_clear(&b);
    check_err(alk_buf_printf(&b, "%1000s", "x"), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), 0);
    alk_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_survive_missing_memory),
        cmocka_unit_test(nothing_is_allocated_before_the_first_byte),
        cmocka_unit_test(no_bytes_can_be_put_and_reserved),
        cmocka_unit_test(more_than_max_is_refused_and_stays_refused),
        cmocka_unit_test(reserved_room_is_held_once_added),
        cmocka_unit_test(it_is_a_queue_of_bytes),
        cmocka_unit_test(printf_is_the_c_librarys),
        cmocka_unit_test(printf_appends_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
