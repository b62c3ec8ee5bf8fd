/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ClientHello bodies, and stored tickets. */
#include "core/tls/hello.h"
#include "core/tls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static void hello(struct alk_span in)
{
    struct alk_tls_hello h;
    if (alk_tls_hello_parse(in, &h) != ALK_OK) {
        return;
    }
    must(strlen(h.sni) <= ALK_SNI_MAX);
    for (const char *c = h.sni; *c != '\0'; c++) {
        must(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
    }
    size_t total = 0;
    struct alk_rd at = alk_rd(h.alpns);
    struct alk_span name;
    while (alk_tls_hello_next(&at, &name)) {
        must(name.n > 0 && name.p >= in.p && name.p + name.n <= in.p + in.n);
        total += 1 + name.n;
    }
    must(total == h.alpns.n && h.has_alpn == (total > 0));
    (void)alk_tls_name_matches("*.example", h.sni);
}

static void ticket(struct alk_span in)
{
    struct alk_tls_ticket t;
    if (alk_tls_ticket_read(in, &t) != ALK_OK) {
        return;
    }
    struct alk_buf b;
    alk_buf_init(&b, NULL, 1 << 18);
    must(alk_tls_ticket_write(&t, &b) == ALK_OK);
    must(alk_span_equal(alk_buf_span(&b), in));
    alk_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hello(alk_span(data, size));
    ticket(alk_span(data, size));
    return 0;
}
