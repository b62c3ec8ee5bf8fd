/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bytes from the network into a server. The first byte chooses: raw bytes in
 * pieces, or a true client's first flight with the input's changes made to it. */
#include "tls_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed_raw(struct pair *p, struct alk_span in, size_t piece)
{
    while (in.n > 0 && p->server.conn != NULL) {
        struct alk_span head = alk_span_head(in, piece);
        in = alk_span_tail(in, head.n);
        (void)alk_tcp_feed(p->server.conn, head, p->now);
        pair_run_hub(p, &p->server);
        pair_emit(p, &p->server, SIZE_MAX);
    }
}

/* Triples: place, xor, and whether to cut there. */
static void spoil(struct alk_buf *wire, struct alk_span script)
{
    while (script.n >= 4) {
        size_t at = (size_t)script.p[0] << 8 | script.p[1];
        size_t n = alk_buf_len(wire);
        if (n > 0) {
            wire->p[wire->at + at % n] ^= script.p[2];
            if (script.p[3] > 250) {
                wire->end = wire->at + at % n;
            }
        }
        script = alk_span_tail(script, 4);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct alk_span in = alk_span(data, size);
    if (in.n == 0 || in.n > 32768) {
        return 0;
    }
    bool is_raw = (in.p[0] & 1) == 0;
    size_t piece = (size_t)1 << (in.p[0] >> 4);
    in = alk_span_tail(in, 1);
    struct pair p;
    pair_init(&p, !is_raw, true, false);
    if (is_raw) {
        feed_raw(&p, in, piece);
    } else {
        pair_emit(&p, &p.client, SIZE_MAX);
        spoil(&p.client.wire, in);
        pair_settle(&p);
    }
    must(!is_raw || p.server.opens == 0); /* nobody guesses a key exchange */
    if (p.server.conn != NULL) {
        alk_tcp_eof(p.server.conn, p.now);
        pair_run_hub(&p, &p.server);
    }
    pair_fini(&p);
    return 0;
}
