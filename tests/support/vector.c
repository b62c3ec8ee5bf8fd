/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/vector.h"

#include <stdio.h>

void vector_read(const char *path, struct alk_buf *b)
{
    uint8_t part[4096];
    size_t n = 0;
    FILE *f = fopen(path, "rb");
    alk_buf_init(b, NULL, (size_t)1 << 24);
    if (f == NULL) {
        print_message("skipped: no vectors: %s\n", path);
        skip();
        return;
    }
    while ((n = fread(part, 1, sizeof(part), f)) > 0) {
        check_err(alk_buf_put(b, alk_span(part, n)), ALK_OK);
    }
    (void)fclose(f);
}
