/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes from the network into a client: raw, or a true server's flight with the
 * input's changes made to it. Whatever comes, a changed flight opens nothing. */
#include "base/wire.h"
#include "tls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void spoil(struct alk_span wire, uint8_t *p, struct alk_span script)
{
    while (script.n >= 3 && wire.n > 0) {
        p[((size_t)script.p[0] << 8 | script.p[1]) % wire.n] ^= script.p[2];
        script = alk_span_tail(script, 3);
    }
}

/* Whether more differs than what stands for nothing: type and version in record
 * headers (GnuTLS authenticates what they should be, not what they are; the true type
 * is inside), and the one byte of a change_cipher_spec, which is dropped unseen. It has
 * to be 1 [RFC 8446 §5]; GnuTLS looked at that until 3.7 and does not in 3.8. */
static bool is_changed(uint8_t *before, struct alk_span after)
{
    const uint8_t ccs = 20;
    struct alk_rd r = alk_rd(alk_span(before, after.n));
    while (alk_rd_left(&r) >= 5) {
        size_t at = after.n - alk_rd_left(&r);
        bool is_ccs = before[at] == ccs && after.p[at] == ccs;
        (void)alk_rd_take(&r, 3);
        struct alk_span body = alk_rd_block16(&r, UINT16_MAX);
        memcpy(before + at, after.p + at, 3);
        if (is_ccs && body.n == 1) {
            before[at + 5] = after.p[at + 5];
        }
    }
    return memcmp(before, after.p, after.n) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    if (in.n == 0 || in.n > 32768) {
        return 0;
    }
    bool is_raw = (in.p[0] & 1) == 0;
    in = alk_span_tail(in, 1);
    struct pair p;
    pair_init(&p, true, !is_raw, false);
    pair_emit(&p, &p.client, SIZE_MAX);
    if (is_raw) {
        (void)alk_tcp_feed(p.client.conn, in, p.now);
        pair_run_hub(&p, &p.client);
        must(p.client.opens == 0);
    } else {
        pair_deliver(&p, &p.client, SIZE_MAX);
        pair_emit(&p, &p.server, SIZE_MAX);
        static uint8_t before[65536];
        struct alk_span wire = alk_buf_span(&p.server.wire);
        must(wire.n > 0 && wire.n <= sizeof before);
        memcpy(before, wire.p, wire.n);
        spoil(wire, p.server.wire.p + p.server.wire.at, in);
        bool is_untouched = memcmp(before, wire.p, wire.n) == 0;
        bool is_false = is_changed(before, wire);
        pair_settle(&p);
        must(!is_untouched || p.client.opens == 1);
        must(!is_false || p.client.opens == 0);
        must(p.server.opens == p.client.opens);
    }
    if (p.client.conn != NULL) {
        alk_tcp_eof(p.client.conn, p.now);
        pair_run_hub(&p, &p.client);
    }
    pair_fini(&p);
    return 0;
}
