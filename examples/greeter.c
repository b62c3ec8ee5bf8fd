/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A node with a service of its own: says hello to whoever opens a stream.
 *
 *   cc greeter.c $(pkg-config --cflags --libs alknet) -o greeter && ./greeter [ADDRESS:PORT]
 *   alknet dial alknet://KEY@127.0.0.1:4433 example/greeter     (in another shell)
 */
#include <alknet/alknet.h>

#include <stdio.h>

static alk_err greet_open(void *service, struct alk_conn *conn,
                          const struct alk_auth_context *auth, void **ret_state)
{
    (void)service;
    (void)auth;
    *ret_state = conn;
    return ALK_OK;
}

static alk_err greet_stream(void *state, struct alk_stream *stream)
{
    const struct alk_auth_context *auth = alk_conn_auth(state);
    char text[128];
    size_t took;
    int n = snprintf(text, sizeof text, "hello, %s\n", auth->remote);
    alk_err err = alk_stream_write(stream, (struct alk_span){(uint8_t *)text, (size_t)n}, &took);
    alk_stream_finish(stream);
    return err;
}

static const struct alk_alpn alpns[] = {{"example/greeter", ALK_TRANSPORT_ANY}};
static const struct alk_handler greeter = {
    .struct_size = sizeof greeter, .abi = ALK_HANDLER_ABI, .name = "greeter",
    .summary = "says hello", .alpns = alpns, .alpn_count = 1,
    .flags = ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .open = greet_open, .stream = greet_stream,
};

int main(int argc, char **argv)
{
    const char *const listen[] = {argc > 1 ? argv[1] : "127.0.0.1:4433", NULL};
    struct alk_endpoint_options options = {.struct_size = sizeof options,
                                           .data_dir = "greeter-data", .listen = listen};
    struct alk_endpoint *node;
    char *message = NULL;
    if (alk_endpoint_new(&options, &message, &node) != ALK_OK ||
        alk_router_add(alk_endpoint_router(node), &greeter, NULL) != ALK_OK ||
        alk_endpoint_start(node, &message) != ALK_OK) {
        fprintf(stderr, "greeter: %s\n", message == NULL ? "failed" : message);
        return 1;
    }
    printf("alknet://%s@%s\n", alk_endpoint_key(node), alk_endpoint_address(node, 0));
    fflush(stdout);
    alk_endpoint_run(node);
    alk_endpoint_free(node);
    return 0;
}
