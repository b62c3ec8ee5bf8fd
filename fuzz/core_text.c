/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses and lines of known_nodes; an address that parses prints to one that
 * parses to the same. */
#include "core/addr.h"
#include "core/store/known_nodes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_addr a;
    struct alk_known_node node;
    if (alk_addr_parse(alk_span(data, size), &a) == ALK_OK) {
        char text[ALK_ADDR_TEXT_MAX];
        struct alk_addr b;
        alk_addr_print(&a, true, text, sizeof text);
        if (alk_addr_parse(alk_span_str(text), &b) != ALK_OK || !alk_addr_equal(&a, &b)) {
            __builtin_trap();
        }
        uint8_t key[17];
        if (alk_addr_limit_key(&a, key) > sizeof key) {
            __builtin_trap();
        }
    }
    alk_err err = alk_known_nodes_parse(alk_span(data, size), &node);
    (void)err;
    return 0;
}
