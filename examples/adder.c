/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A node with an operation of its own: adds two numbers for whoever asks.
 *
 *   cc adder.c $(pkg-config --cflags --libs alknet) -o adder && ./adder [ADDRESS:PORT]
 *   alknet call alknet://KEY@127.0.0.1:4433 math/add --a 2 --b 40     (in another shell)
 */
#include <alknet/alknet.h>

#include <stdio.h>

static void add(void *ctx, struct alk_request *r)
{
    struct alk_out *out = alk_request_out(r);
    (void)ctx;
    alk_out_object(out);
    alk_out_key(out, "sum");
    alk_out_i64(out, alk_input_i64(r, "a", 0) + alk_input_i64(r, "b", 0));
    alk_out_end(out);
    (void)alk_request_respond(r);
}

static const struct alk_op op = {
    .struct_size = sizeof op, .name = "math/add", .summary = "adds two numbers",
    .kind = ALK_OP_QUERY, .flags = ALK_OP_PUBLIC, .fn = add,
    .input = "{\"type\": \"object\", \"required\": [\"a\", \"b\"], \"properties\": {"
             "\"a\": {\"type\": \"integer\", \"minimum\": -1000000, \"maximum\": 1000000},"
             "\"b\": {\"type\": \"integer\", \"minimum\": -1000000, \"maximum\": 1000000}}}",
};

int main(int argc, char **argv)
{
    const char *const listen[] = {argc > 1 ? argv[1] : "127.0.0.1:4433", NULL};
    struct alk_ops_options ops_options = {.struct_size = sizeof ops_options};
    struct alk_endpoint_options options = {.struct_size = sizeof options,
                                           .data_dir = "adder-data", .listen = listen};
    struct alk_endpoint *node;
    char *message = NULL;
    if (alk_ops_new(&ops_options, &options.ops) != ALK_OK ||
        alk_ops_add(options.ops, &op, NULL, NULL, 0) != ALK_OK ||
        alk_endpoint_new(&options, &message, &node) != ALK_OK ||
        alk_router_add(alk_endpoint_router(node), &alk_call_handler, NULL) != ALK_OK ||
        alk_endpoint_start(node, &message) != ALK_OK) {
        fprintf(stderr, "adder: %s\n", message == NULL ? "failed" : message);
        return 1;
    }
    printf("alknet://%s@%s\n", alk_endpoint_key(node), alk_endpoint_address(node, 0));
    fflush(stdout);
    alk_endpoint_run(node);
    alk_endpoint_free(node);
    alk_ops_free(options.ops);
    return 0;
}
