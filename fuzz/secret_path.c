/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Derivation paths. */
#include "alknet-secret/secret.h"
#include "base/err.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alksec_path path, again;
    char text[ALKSEC_PATH_SIZE];

    if (alksec_path_parse((const char *)data, size, &path) != ALKSEC_OK) {
        return 0;
    }
    ALK_ASSERT(path.depth <= ALKSEC_PATH_MAX);
    alksec_path_print(&path, text);
    /* One spelling but for ' and h. */
    ALK_ASSERT(strlen(text) == size);
    for (size_t i = 0; i < size; i++) {
        ALK_ASSERT(data[i] == (uint8_t)text[i] || (data[i] == 'h' && text[i] == '\''));
    }
    ALK_ASSERT(alksec_path_parse(text, strlen(text), &again) == ALKSEC_OK);
    ALK_ASSERT(again.depth == path.depth);
    for (unsigned i = 0; i < path.depth; i++) {
        ALK_ASSERT(again.index[i] == path.index[i]);
    }
    return 0;
}
