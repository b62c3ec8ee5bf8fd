/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The control channel's codec. First byte: state of the receiver; second: how
 * many descriptors came; the rest is one datagram. What parses must be written
 * back as the same bytes. */
#include "core/host/proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[ALK_HOST_MSG_MAX];
    struct alk_host_msg m;
    if (size < 2) {
        return 0;
    }
    enum alk_host_state state = (enum alk_host_state)(1u << (data[0] % 6));
    struct alk_span in = alk_span(data + 2, size - 2);
    if (alk_host_msg_parse(NULL, in, data[1] % 3, state, &m) != ALK_OK) {
        return 0;
    }
    struct alk_wr w = alk_wr(text, sizeof text);
    if (alk_host_msg_write(&w, &m) != ALK_OK || alk_wr_span(&w).n != in.n) {
        abort();
    }
    alk_host_msg_fini(&m);
    return 0;
}
