/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Requests to the spawner, which keeps privilege, and its answers. First byte:
 * direction; second: how many descriptors came. What parses must come back as the
 * same bytes. */
#include "core/host/spawn_msg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[ALK_SPAWN_MSG_MAX];
    struct alk_spawn_msg m;
    if (size < 2) {
        return 0;
    }
    struct alk_span in = alk_span(data + 2, size - 2);
    if (alk_spawn_msg_parse(in, data[1], (data[0] & 1) != 0, &m) != ALK_OK) {
        return 0;
    }
    struct alk_wr w = alk_wr(text, sizeof text);
    if (alk_spawn_msg_write(&w, &m) != ALK_OK || !alk_span_equal(alk_wr_span(&w), in)) {
        abort();
    }
    return 0;
}
