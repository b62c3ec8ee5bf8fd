/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Following a rotation: the node shows another key than expected, so it is asked,
 * as a stranger, for its statements. Only signatures count; whoever answers can
 * prove nothing but what the expected key has signed for the key that this very
 * connection was made with.
 */
#include "client_dial.h"

#include "core/auth/fingerprint.h"
#include "core/auth/rotation.h"
#include "core/io/loop.h"
#include "probe/probe.h"

static void give_up(struct cli_dial *d)
{
    d->asked = NULL;
    d->stream = NULL;
    cli_dial_fail(d, d->first_err, d->first_message);
}

static bool on_presented(void *ctx, const char *host_port, const char *key)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    (void)host_port;
    return alk_span_cstr(alk_span_str(key), d->presented, sizeof d->presented);
}

static bool leads_there(struct cli_dial *d, uint8_t ret_key[static 32])
{
    struct alk_rotation chain[ALK_ROTATION_CHAIN_MAX];
    size_t n = 0;

    return alk_key_from_address(alk_span_str(d->presented), ret_key) == ALK_OK &&
           alk_rotation_parse_list(alk_buf_span(&d->statements), chain, &n) == ALK_OK &&
           alk_rotation_follow(chain, n, d->client->node.key, ret_key) == ALK_OK;
}

/* The statements are here: the new key takes the old one's place. */
static void decide(struct cli_dial *d)
{
    struct cli_client *c = d->client;
    uint8_t key[32];

    if (!leads_there(d, key)) {
        give_up(d);
        return;
    }
    memcpy(c->node.key, key, sizeof key);
    (void)fprintf(c->cli->err, "alknet: %s has a new key, signed by the old one: %s\n",
                  c->node.host_port, d->presented);
    if (c->is_remembered) {
        (void)snprintf(c->trusted, sizeof c->trusted, "%s", d->presented);
    } else {
        (void)fprintf(c->cli->err, "alknet: use the new address from now on: alknet://%s@%s\n",
                      d->presented, c->node.host_port);
    }
    alk_err err = cli_dial_start(d);
    if (err != ALK_OK) {
        cli_dial_fail(d, err, NULL);
    }
}

static void on_statements(void *ctx, struct alk_stream *stream, unsigned events)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    struct alk_span in;
    alk_err err;

    if ((events & ALK_STREAM_CLOSED) != 0) {
        d->stream = NULL;
    }
    while ((err = alk_stream_peek(stream, &in)) == ALK_OK) {
        err = alk_buf_put(&d->statements, in);
        alk_stream_consume(stream, in.n);
        if (err != ALK_OK) {
            break;
        }
    }
    /* Whatever came, the connection's end decides: see on_closed. */
    if (err != ALK_MORE && d->asked != NULL) {
        alk_conn_close(d->asked, ALK_CODE_NONE, ALK_LIT(""));
        d->asked = NULL;
    }
}

static void on_opened(void *ctx, struct alk_conn *conn)
{
    struct cli_dial *d = (struct cli_dial *)ctx;

    d->dial = NULL;
    d->asked = conn;
    if (alk_conn_open_stream(conn, on_statements, d, &d->stream) != ALK_OK) {
        alk_conn_close(conn, ALK_CODE_NONE, ALK_LIT(""));
        return;
    }
    /* One byte, so that the stream is there on TLS as well; the service ignores it. */
    size_t took;
    if (alk_stream_write(d->stream, ALK_LIT("\n"), &took) < 0) {
        alk_conn_close(conn, ALK_CODE_NONE, ALK_LIT(""));
    }
}

static void on_failed(void *ctx, alk_err err, const char *message)
{
    struct cli_dial *d = (struct cli_dial *)ctx;
    (void)err;
    (void)message;
    d->dial = NULL;
    give_up(d);
}

static void on_closed(void *ctx, alk_err why, uint64_t code, struct alk_span reason)
{
    (void)why;
    (void)code;
    (void)reason;
    if (!((struct cli_dial *)ctx)->is_mute) {
        decide((struct cli_dial *)ctx);
    }
}

static const struct alk_client_calls calls = {
    .opened = on_opened, .failed = on_failed, .closed = on_closed};

bool cli_rotation_ask(struct cli_dial *d)
{
    static const char *const alpns[] = {ALK_ID_ALPN, NULL};
    struct alk_dial_options o = d->client->options;

    o.pinned_key = NULL;
    o.alpns = alpns;
    o.key = NULL; /* a stranger hears nothing of us */
    o.cert_file = NULL;
    o.cache = NULL;
    o.trust = on_presented;
    o.trust_ctx = d;
    return alk_dial(d->client->loop, &o, &calls, d, &d->dial) == ALK_OK;
}
