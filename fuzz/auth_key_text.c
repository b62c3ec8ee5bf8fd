/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Keys as people write them, scopes, ids and dates. */
#include "core/auth/date.h"
#include "core/auth/fingerprint.h"
#include "core/auth/identity.h"
#include "core/auth/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void key(struct alk_span in)
{
    char name[ALK_FINGERPRINT_MAX], again[ALK_FINGERPRINT_MAX], why[64] = "";
    if (alk_key_parse(in, name, why, sizeof(why)) != ALK_OK) {
        ALK_ASSERT(why[0] != 0);
        return;
    }
    /* A canonical name is its own canonical name. */
    ALK_ASSERT(alk_key_parse(alk_span_str(name), again, NULL, 0) == ALK_OK);
    ALK_ASSERT(alk_span_is(alk_span_str(name), again));
    uint8_t raw[ALK_ED25519_SIZE], back[ALK_ED25519_SIZE];
    if (alk_key_name_ed25519(name, raw)) {
        char address[ALK_Z32_ADDRESS_SIZE];
        alk_key_address(raw, address);
        ALK_ASSERT(alk_key_from_address(alk_span_str(address), back) == ALK_OK);
        ALK_ASSERT(alk_span_equal(alk_span(raw, sizeof(raw)), alk_span(back, sizeof(back))));
    }
}

static void date(struct alk_span in)
{
    uint64_t at = 0, again = 0;
    if (alk_date_parse(in, &at) == ALK_OK) {
        char text[ALK_DATE_SIZE];
        alk_date_format(at, text);
        ALK_ASSERT(alk_date_parse(alk_span_str(text), &again) == ALK_OK && again == at);
    }
    if (alk_date_parse_expiry(in, 1798761600, &at) == ALK_OK) {
        ALK_ASSERT(at == 0 || at > 1798761600);
    }
}

static void scope(struct alk_span in)
{
    struct alk_span rest = in, ret[2];
    struct alk_span held = alk_span_cut(&rest, ' ');
    bool covers = alk_scope_covers(held, rest);
    ALK_ASSERT(!covers || (alk_scope_is_valid(held) && alk_scope_is_valid(rest)));
    ALK_ASSERT(!alk_scope_is_valid(held) || alk_scopes_valid_hold(&held, 1, rest) == covers);
    size_t n = alk_scopes_intersect(&held, 1, &rest, 1, ret);
    for (size_t i = 0; i < n; i++) {
        ALK_ASSERT(alk_scope_covers(held, ret[i]) && alk_scope_covers(rest, ret[i]));
    }
    (void)alk_identity_id_is_valid(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    key(in);
    date(in);
    scope(in);
    return 0;
}
