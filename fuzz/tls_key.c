/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Key files: as text, and as the bytes inside a PEM. What is read is printed and
 * read again. */
#include "base/text.h"
#include "core/tls/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(struct alk_span text)
{
    uint8_t seed[32], again[32];
    if (alk_key_parse_seed(text, seed) != ALK_OK) {
        return;
    }
    struct alk_buf b;
    alk_buf_init(&b, NULL, 4096);
    if (alk_key_print_pem(seed, &b) != ALK_OK ||
        alk_key_parse_seed(alk_buf_span(&b), again) != ALK_OK || memcmp(seed, again, 32) != 0) {
        __builtin_trap();
    }
    alk_buf_fini(&b);
}

static void wrap(const char *label, struct alk_span body)
{
    static char text[ALK_BASE64_SIZE(10000)];
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 16);
    if (alk_base64(body, text, sizeof text) &&
        alk_buf_printf(&b, "-----BEGIN %s-----\n%s\n-----END %s-----\n", label, text, label) ==
            ALK_OK) {
        look(alk_buf_span(&b));
    }
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    look(in);
    if (size <= 10000) {
        wrap("PRIVATE KEY", in);
        wrap("OPENSSH PRIVATE KEY", in);
    }
    return 0;
}
