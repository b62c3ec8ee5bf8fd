/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two cores of the call protocol back to back; the input chooses what happens. */
#include "../tests/support/call_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two bytes per choice; zeros at the end. */
static unsigned choose(void *ctx, unsigned n)
{
    struct alk_span *in = ctx;
    unsigned v = in->n > 0 ? in->p[0] : 0;
    if (n > 256) {
        v = v << 8 | (in->n > 1 ? in->p[1] : 0);
        *in = alk_span_tail(*in, 1);
    }
    *in = alk_span_tail(*in, 1);
    return v % n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pair p;
    struct alk_span in = alk_span(data, size);
    pair_init(&p, choose, &in);
    for (unsigned s = 0; s < PAIR_STREAMS; s++) {
        pair_open(&p, s);
    }
    while (in.n > 0) {
        pair_step(&p);
    }
    pair_settle(&p);
    pair_fini(&p);
    return 0;
}
