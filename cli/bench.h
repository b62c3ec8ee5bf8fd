/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cli/bench.h - the parts of `alknet bench`: each has a connection of its own. */
#ifndef ALK_CLI_BENCH_H
#define ALK_CLI_BENCH_H

#include "client.h"

struct cli_bench;

struct cli_bench_part {
    const char *name;  /* in JSON */
    const char *title; /* for people */
    const char *alpn;
    bool needs_streams; /* more than TLS carries */
    unsigned in_flight;
    void (*start)(struct cli_bench *b);  /* the connection is there */
    void (*credit)(struct cli_bench *b); /* stream credit is back; may be NULL */
};
extern const struct cli_bench_part *const cli_bench_parts[]; /* NULL-terminated */

struct cli_bench_options {
    uint64_t bytes;
    alk_time time;
};

struct cli_bench_result {
    bool is_done;
    uint64_t bytes, count;
    alk_time time, cpu; /* of this side */
    alk_time latency;   /* sum over count */
};

struct cli_bench {
    struct cli *cli;
    struct cli_client *client;
    const struct cli_bench_part *part;
    const struct cli_bench_options *o;
    struct alk_conn *conn;
    enum alk_transport transport;
    struct cli_bench_result result;
    alk_time began_at, cpu_at;
    bool is_over;
    int status;
    /* Of the part. */
    struct alk_stream *stream;
    struct alk_chunk *block;
    uint64_t left;
    uint8_t answer[8];
    size_t answer_n;
    unsigned open;   /* requests under way */
    bool wants_more; /* a request could not be opened */
    alk_time dialed_at;
};

/* The clock starts: once per part. */
void cli_bench_begin(struct cli_bench *b);
/* The part is over; the clock stops. The first status holds. */
void cli_bench_end(struct cli_bench *b, int status);
/* Says why the node reset a stream; returns the status. */
int cli_bench_reset(struct cli_bench *b, uint64_t code);
ALK_NODISCARD alk_err cli_bench_dial(struct cli_bench *b);
/* What a part has left. */
void cli_bench_parts_free(struct cli_bench *b);

#endif
