/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* alknet/id: how the node came by its key. */
#include "base/buf.h"
#include "base/mem.h"
#include "core/conn.h"
#include "core/endpoint.h"
#include "core/store/datadir.h"
#include "probe/probe.h"

struct id_service {
    const struct alk_mem *mem;
    struct alk_buf text; /* the statements; immutable after start */
};

static alk_err id_start(const struct alk_conf *conf, const struct alk_env *env, void **ret_service)
{
    struct alk_rotation chain[ALK_ROTATION_CHAIN_MAX];
    char line[ALK_ROTATION_TEXT_SIZE];
    size_t n = 0;
    (void)conf;

    struct id_service *s = ALK_NEW(env->mem, struct id_service);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    s->mem = env->mem;
    alk_buf_init(&s->text, env->mem, (size_t)ALK_ROTATION_CHAIN_MAX * (ALK_ROTATION_TEXT_SIZE + 1));
    /* A damaged list is no reason not to serve: then nobody can follow. */
    if (env->endpoint != NULL && alk_endpoint_datadir(env->endpoint) != NULL &&
        alk_datadir_rotations(alk_endpoint_datadir(env->endpoint), chain, &n, NULL, 0) != ALK_OK) {
        n = 0;
    }
    for (size_t i = 0; i < n; i++) {
        alk_rotation_print(&chain[i], line);
        (void)alk_buf_printf(&s->text, "%s\n", line);
    }
    *ret_service = s;
    return ALK_OK;
}

static void id_stop(void *service)
{
    struct id_service *s = (struct id_service *)service;
    alk_buf_fini(&s->text);
    alk_free(s->mem, s);
}

/* Nobody hears of the stream after this: the peer's own bytes are refused. */
static alk_err id_stream(void *state, struct alk_stream *stream)
{
    const struct id_service *s = (const struct id_service *)state;
    size_t took = 0;

    alk_err err = alk_stream_write(stream, alk_buf_span(&s->text), &took);
    if (err != ALK_OK) {
        return err;
    }
    alk_stream_finish(stream);
    alk_stream_on(stream, NULL, NULL);
    return ALK_OK;
}

static alk_err id_open(void *service, struct alk_conn *conn, const struct alk_auth_context *auth,
                       void **ret_state)
{
    (void)conn;
    (void)auth;
    *ret_state = service;
    return ALK_OK;
}

static const struct alk_alpn id_alpns[] = {{ALK_ID_ALPN, ALK_TRANSPORT_ANY}};

const struct alk_handler alk_id_handler = {
    .struct_size = sizeof(struct alk_handler),
    .abi = ALK_HANDLER_ABI,
    .name = "id",
    .summary = "tells how the node's key was rotated",
    .alpns = id_alpns,
    .alpn_count = 1,
    .flags = ALK_HANDLER_EARLY_SAFE | ALK_HANDLER_PUBLIC | ALK_HANDLER_DEFAULT_ON,
    .start = id_start,
    .stop = id_stop,
    .open = id_open,
    .stream = id_stream,
};
