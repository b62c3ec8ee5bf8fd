/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The input is a list of puts and removes, two bytes each; an array of flags is
 * the model. A weak seed comes from the input too, so that chains get long. */
#include "base/map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t keys[256];
    uint8_t seed[16] = {0};
    bool is_in[256] = {false};
    size_t n = 0;
    struct alk_map m;
    if (size < 2) {
        return 0;
    }
    seed[0] = data[0];
    size_t max = data[1];
    alk_map_init(&m, NULL, max, seed);
    for (size_t i = 0; i < 256; i++) {
        keys[i] = (uint8_t)i;
    }
    for (size_t i = 2; i + 1 < size; i += 2) {
        uint8_t *key = &keys[data[i + 1]];
        bool was_in = is_in[*key];
        must(alk_map_get(&m, alk_span(key, 1)) == (was_in ? key : NULL));
        if (data[i] % 2 == 0) {
            alk_err err = alk_map_put(&m, alk_span(key, 1), key);
            must(err == (was_in ? ALK_E_EXISTS : n == max ? ALK_E_LIMIT : ALK_OK));
            is_in[*key] = was_in || err == ALK_OK;
            n += err == ALK_OK;
        } else {
            must(alk_map_remove(&m, alk_span(key, 1)) == (was_in ? key : NULL));
            is_in[*key] = false;
            n -= was_in;
        }
        must(m.n == n);
    }
    size_t at = 0;
    const uint8_t *key = NULL;
    while ((key = alk_map_next(&m, &at)) != NULL) {
        must(is_in[*key]);
        is_in[*key] = false;
        n--;
    }
    must(n == 0);
    alk_map_fini(&m);
    return 0;
}
