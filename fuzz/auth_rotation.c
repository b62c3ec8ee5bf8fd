/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rotation statements, as bytes, as text, and as a file of them. */
#include "core/auth/rotation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    struct alk_rotation r, back, list[ALK_ROTATION_CHAIN_MAX];
    size_t n = 0;
    if (alk_rotation_decode(in, &r) == ALK_OK) {
        uint8_t bytes[ALK_ROTATION_SIZE];
        alk_rotation_encode(&r, bytes);
        ALK_ASSERT(alk_span_equal(in, alk_span(bytes, sizeof(bytes))));
        (void)!alk_rotation_verify(&r);
    }
    if (alk_rotation_parse(in, &r) == ALK_OK) {
        char text[ALK_ROTATION_TEXT_SIZE];
        alk_rotation_print(&r, text);
        ALK_ASSERT(alk_rotation_parse(alk_span_str(text), &back) == ALK_OK);
        ALK_ASSERT(alk_span_equal(alk_span(&r, sizeof(r)), alk_span(&back, sizeof(back))));
    }
    if (alk_rotation_parse_list(in, list, &n) == ALK_OK) {
        ALK_ASSERT(n <= ALK_ROTATION_CHAIN_MAX);
        for (size_t i = 0; i < n; i++) {
            alk_err err = alk_rotation_follow(list, n, list[0].old_key, list[i].new_key);
            ALK_ASSERT(err == ALK_OK || err == ALK_E_KEY_CHANGED || err == ALK_E_AUTH);
        }
    }
    return 0;
}
