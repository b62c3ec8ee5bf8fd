/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/call_core.c - what the call protocol costs without any transport: nanoseconds
 * to write and to read an envelope, and for a whole call between two cores.
 *
 *   call_core [BYTES [COUNT]]   size of the call.requested frame, 300 by default
 *
 * One line of JSON. CPU time of one thread.
 */
#define _GNU_SOURCE
#include "base/json_scan.h"
#include "call/proto/core.h"
#include "call/proto/envelope.h"
#include "call/proto/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(bool holds)
{
    if (!holds) {
        (void)fprintf(stderr, "call_core: unexpected result\n");
        exit(1);
    }
}

static double now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* An input that makes the frame `size` bytes long. */
static struct alk_span make_input(struct alk_buf *b, size_t size)
{
    static const char head[] =
        "{\"path\":\"docs/notes\",\"limit\":100,\"flags\":[true,false],\"text\":\"";
    struct alk_buf frame;
    alk_buf_init(&frame, NULL, (size_t)1 << 20);
    (void)alk_buf_put_str(b, head);
    struct alk_call_ask ask = {.op = ALK_LIT("fs/read"), .input = ALK_LIT("0")};
    must(alk_call_put_requested(&frame, ALK_LIT("1f.2a"), &ask, SIZE_MAX) == ALK_OK);
    size_t fixed = alk_buf_len(&frame) - 1 + sizeof(head) - 1 + 2;
    for (size_t i = fixed; i < size; i++) {
        (void)alk_buf_put_u8(b, (uint8_t)("lorem ipsum dolor "[i % 18]));
    }
    (void)alk_buf_put_str(b, "\"}");
    alk_buf_fini(&frame);
    return alk_buf_span(b);
}

static double time_write(const struct alk_call_ask *ask, size_t count, struct alk_buf *out)
{
    double from = now_ns();
    for (size_t i = 0; i < count; i++) {
        alk_buf_clear(out);
        must(alk_call_put_requested(out, ALK_LIT("1f.2a"), ask, SIZE_MAX) == ALK_OK);
    }
    return (now_ns() - from) / (double)count;
}

static double time_read(struct alk_span body, size_t count)
{
    struct alk_call_envelope e;
    double from = now_ns();
    for (size_t i = 0; i < count; i++) {
        must(alk_call_envelope_read(body, &e) == ALK_OK);
        must(e.type == ALK_CALL_TYPE_REQUESTED && e.count > 0);
    }
    return (now_ns() - from) / (double)count;
}

/* All output of a on stream 0 into b; the last event. */
static void carry(struct alk_call_core *a, struct alk_call_core *b, struct alk_call_event *ret)
{
    struct alk_span out = alk_call_output(a, 0);
    size_t used = 0;
    must(alk_call_feed(b, 0, out, &used) == ALK_OK && used == out.n);
    must(alk_call_next(b, ret) == ALK_OK);
    alk_call_sent(a, 0, used);
}

static double time_calls(const struct alk_call_ask *ask, size_t count)
{
    struct alk_call_options o = {0};
    struct alk_call_core *a = NULL;
    struct alk_call_core *b = NULL;
    struct alk_call_event ev;
    struct alk_call_ref ref;
    must(alk_call_new(&o, &a) == ALK_OK && alk_call_new(&o, &b) == ALK_OK);
    must(alk_call_open(a, 0) == ALK_OK);
    double from = now_ns();
    for (size_t i = 0; i < count; i++) {
        must(alk_call_request(a, 0, ask, NULL, &ref) == ALK_OK);
        carry(a, b, &ev);
        must(ev.kind == ALK_CALL_REQUESTED);
        must(alk_call_respond(b, ev.ref, ask->input, true) == ALK_OK);
        carry(b, a, &ev);
        must(ev.kind == ALK_CALL_RESPONDED);
    }
    double ns = (now_ns() - from) / (double)count;
    alk_call_free(a);
    alk_call_free(b);
    return ns;
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 10) : 300;
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
    struct alk_buf input, out;
    if (size > 1000000 || count == 0) {
        (void)fprintf(stderr, "usage: call_core [BYTES [COUNT]]\n");
        return 2;
    }
    alk_buf_init(&input, NULL, (size_t)1 << 20);
    alk_buf_init(&out, NULL, (size_t)2 << 20);
    struct alk_call_ask ask = {.op = ALK_LIT("fs/read"), .input = make_input(&input, size)};
    double write = time_write(&ask, count, &out);
    struct alk_span body = alk_span_tail(alk_buf_span(&out), 4);
    double read = time_read(body, count);
    double call = time_calls(&ask, count);
    (void)printf("{\"frame_bytes\":%zu,\"write_ns\":%.1f,\"read_ns\":%.1f,\"read_mb_s\":%.0f,"
                 "\"call_ns\":%.1f}\n",
                 body.n + 4, write, read, (double)body.n * 1e3 / read, call);
    alk_buf_fini(&input);
    alk_buf_fini(&out);
    return 0;
}
