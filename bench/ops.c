/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/ops.c - what dispatching one call costs, without a connection: found, checked
 * (access, JSON, schema), run, answered. 100 in flight on one loop, an input of 300
 * bytes against a schema of five members.
 *
 *   ops [COUNT]      one line of JSON: nanoseconds of CPU per call
 */
#include "core/auth/identity.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define IN_FLIGHT 100

static uint64_t answers;

static void add(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_object(out);
    alk_out_key(out, "sum");
    alk_out_i64(out, alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
    alk_out_key(out, "text");
    alk_out_span(out, alk_input_text(r, "text", ""));
    alk_out_end(out);
    (void)alk_request_respond(r);
}

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    (void)ctx;
    (void)r;
    (void)output;
    (void)is_last;
    answers++;
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    (void)ctx;
    (void)r;
    (void)fprintf(stderr, "bench/ops: %s: %s\n", o->code, o->message);
    exit(1);
}

static const struct alk_face face = {on_responded, on_ended};

static const struct alk_op op = {
    .struct_size = sizeof op,
    .name = "math/add",
    .summary = "adds two numbers",
    .kind = ALK_OP_QUERY,
    .fn = add,
    .input = "{\"type\":\"object\",\"required\":[\"a\",\"b\",\"text\"],\"properties\":"
             "{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\",\"minimum\":0},"
             "\"text\":{\"type\":\"string\",\"maxLength\":1000},\"tags\":{\"type\":\"array\","
             "\"items\":{\"type\":\"string\"}},\"deep\":{\"type\":\"object\",\"properties\":"
             "{\"on\":{\"type\":\"boolean\"}}}},\"additionalProperties\":false}",
};

static double cpu_seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(alk_err err, const char *what)
{
    if (err != ALK_OK) {
        (void)fprintf(stderr, "bench/ops: %s: %s\n", what, alk_err_text(err));
        exit(1);
    }
}

/* 300 bytes. */
static size_t make_input(char *dst, size_t size)
{
    int n = snprintf(dst, size,
                     "{\"a\":12345,\"b\":67890,\"tags\":[\"one\",\"two\",\"three\"],"
                     "\"deep\":{\"on\":true},\"text\":\"");
    while (n < 298) {
        dst[n] = (char)('a' + n % 26);
        n++;
    }
    dst[n++] = '"';
    dst[n++] = '}';
    return (size_t)n;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct alk_ops_options options = {.struct_size = sizeof options};
    struct alk_identity_spec who = {.id = ALK_LIT("bench")};
    struct alk_ops *ops = NULL;
    struct alk_loop *loop = NULL;
    const struct alk_identity *caller = NULL;
    char input[400], why[256] = "";

    must(alk_loop_new(NULL, &loop), "loop");
    must(alk_ops_new(&options, &ops), "registry");
    must(alk_ops_add(ops, &op, NULL, why, sizeof why), "operation");
    must(alk_identity_new(NULL, &who, why, sizeof why, &caller), "identity");
    struct alk_start_spec spec = {.loop = loop, .op = ALK_LIT("math/add"), .caller = caller};
    spec.input = alk_span(input, make_input(input, sizeof input));
    double before = cpu_seconds();
    while (answers < count) {
        for (int i = 0; i < IN_FLIGHT; i++) {
            struct alk_request *r = NULL;
            must(alk_ops_start(ops, &spec, &face, NULL, &r), "start");
        }
        (void)alk_loop_run_once(loop, 0);
    }
    double spent = cpu_seconds() - before;
    printf("{\"input\": %zu, \"calls\": %llu, \"ns\": %.0f}\n", spec.input.n,
           (unsigned long long)answers, spent * 1e9 / (double)answers);
    alk_ops_free(ops);
    alk_identity_unref(caller);
    alk_loop_free(loop);
    return 0;
}
