/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A worker: dials a node, from behind any router, and offers it an operation.
 *   cc worker.c $(pkg-config --cflags --libs alknet) -o worker
 *   ALKNET_TOKEN=alk_... ./worker HOST PORT KEY     (a token with the scope offer:math)
 *   alknet call NODE math/add --a 2 --b 40          (anywhere)
 */
#include <alknet/alknet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void add(void *ctx, struct alk_request *r)
{
    (void)ctx;
    alk_out_i64(alk_request_out(r), alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
    (void)alk_request_respond(r);
}
/* Public here: who may call it is the node's affair. */
static const struct alk_op op = {
    .struct_size = sizeof op, .name = "math/add", .summary = "adds two numbers",
    .kind = ALK_OP_QUERY, .flags = ALK_OP_PUBLIC, .fn = add,
    .input = "{\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": \"integer\"}}}"};
static void offered(void *loop, struct alk_call *call, const char *code, struct alk_span message,
                    bool is_retryable, struct alk_span details)
{
    (void)loop, (void)call, (void)is_retryable, (void)details;
    printf("%s %.*s\n", code == NULL ? "offered" : code, (int)message.n, (const char *)message.p);
    (void)fflush(stdout);
}
static void opened(void *loop, struct alk_peer *peer)
{
    static const struct alk_answers answers = {.ended = offered};
    struct alk_call *call;
    if (alk_peer_offer(peer, "math", &answers, loop, &call) != ALK_OK) exit(1);
}
static void failed(void *loop, struct alk_peer *peer, alk_err err, const char *message)
{
    (void)loop, (void)peer, (void)err;
    fprintf(stderr, "worker: %s\n", message);
    exit(1);
}
static bool is_node(void *key, const char *host_port, const char *shown)
{
    return (void)host_port, strcmp(key, shown) == 0;
}
int main(int argc, char **argv)
{
    const struct alk_peer_calls calls = {.opened = opened, .failed = failed};
    struct alk_peer_options options = {.struct_size = sizeof options};
    const char *token = getenv("ALKNET_TOKEN");
    struct alk_loop *loop;
    struct alk_peer *peer;
    if (argc != 4 || token == NULL || alk_loop_new(NULL, &loop) != ALK_OK ||
        alk_ops_new(&(struct alk_ops_options){0}, &options.ops) != ALK_OK ||
        alk_ops_add(options.ops, &op, NULL, NULL, 0) != ALK_OK) return 2;
    options.auth_token = (struct alk_span){(const uint8_t *)token, strlen(token)};
    const struct alk_dial_options dial = {.struct_size = sizeof dial, .host = argv[1],
        .port = (uint16_t)strtoul(argv[2], NULL, 10), .trust = is_node, .trust_ctx = argv[3]};
    if (alk_peer_dial(loop, &dial, &options, &calls, loop, &peer) == ALK_OK) alk_loop_run(loop);
}
