/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Key files. */
#include "secret_key.h"

#include "base/ct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read prints as a file that says the same. */
static void check_round(const struct cli_keys *keys)
{
    struct cli_keys again;
    struct alk_buf text;
    char why[128] = "";

    alk_buf_init(&text, NULL, 2 * CLI_KEY_FILE_MAX);
    for (size_t i = 0; i < keys->count; i++) {
        ALK_ASSERT(cli_key_print_encryption(keys->keys[i].version, keys->keys[i].key, &text) ==
                   ALK_OK);
    }
    ALK_ASSERT(cli_keys_parse(alk_buf_span(&text), &again, why, sizeof why) == ALK_OK);
    ALK_ASSERT(again.count == keys->count);
    for (size_t i = 0; i < keys->count; i++) {
        const uint8_t *key = cli_keys_find(&again, keys->keys[i].version);
        ALK_ASSERT(key != NULL && alk_equal_ct(key, keys->keys[i].key, 32));
    }
    alk_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cli_keys keys;
    char why[128] = "";

    alk_err err = cli_keys_parse(alk_span(data, size), &keys, why, sizeof why);
    ALK_ASSERT((err == ALK_OK) == (why[0] == '\0'));
    ALK_ASSERT(keys.count <= CLI_KEYS_MAX && (err == ALK_OK) == (keys.count > 0));
    if (err == ALK_OK) {
        check_round(&keys);
    }
    return 0;
}
