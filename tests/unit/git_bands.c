/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Side bands: packets whose first byte says what the rest is. */
#include "git/proto/v2.h"

#include "support/check.h"

static void bands_are_split_and_put(void **state)
{
    enum alk_git_band band;
    struct alk_span data;
    struct alk_buf b;
    struct alk_git_pkt pkt;
    static uint8_t much[ALK_GIT_PKT_DATA_MAX];
    (void)state;
    assert_true(alk_git_band_split(ALK_LIT("\2text"), &band, &data));
    assert_int_equal(band, ALK_GIT_BAND_PROGRESS);
    check_text(data, "text");
    assert_false(alk_git_band_split(ALK_LIT(""), &band, &data));
    assert_false(alk_git_band_split(ALK_LIT("\0x"), &band, &data));
    assert_false(alk_git_band_split(ALK_LIT("\4x"), &band, &data));

    alk_buf_init(&b, NULL, 200000);
    check_err(alk_git_band_put(&b, ALK_GIT_BAND_ERROR, ALK_LIT("no")), ALK_OK);
    check_text(alk_buf_span(&b), "0007\3no");
    alk_buf_clear(&b);
    check_err(alk_git_band_put(&b, ALK_GIT_BAND_DATA, (struct alk_span){0}), ALK_OK);
    assert_int_equal(alk_buf_len(&b), 0);
    memset(much, 'm', sizeof(much));
    check_err(alk_git_band_put(&b, ALK_GIT_BAND_DATA, alk_span(much, sizeof(much))), ALK_OK);
    struct alk_rd r = alk_rd(alk_buf_span(&b));
    check_err(alk_git_pkt_parse(&r, &pkt), ALK_OK);
    assert_int_equal(pkt.data.n, ALK_GIT_PKT_DATA_MAX);
    check_err(alk_git_pkt_parse(&r, &pkt), ALK_OK);
    assert_int_equal(pkt.data.n, 2);
    assert_int_equal(alk_rd_left(&r), 0);
    alk_buf_fini(&b);
}

static void what_does_not_fit_is_told(void **state)
{
    struct alk_buf b;
    (void)state;
    alk_buf_init(&b, NULL, 8);
    check_err(alk_git_band_put(&b, ALK_GIT_BAND_PROGRESS, ALK_LIT("text")), ALK_E_TOO_BIG);
    assert_int_equal(alk_buf_len(&b), 0);
    alk_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bands_are_split_and_put),
        cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
