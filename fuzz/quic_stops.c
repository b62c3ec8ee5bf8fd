/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The search for STOP_SENDING in any bytes: bounded, and the same however many are
 * asked for. */
#include "core/quic/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_qstop all[64];
    struct alk_qstop one;
    bool is_challenged = false;
    size_t n = alk_qstops_scan(alk_span(data, size), all, 64, &is_challenged);
    ALK_ASSERT(n <= 64 && n <= size / 3);
    if (alk_qstops_scan(alk_span(data, size), &one, 1, &is_challenged) == 1) {
        ALK_ASSERT(n >= 1 && one.id == all[0].id && one.code == all[0].code);
    }
    return 0;
}
