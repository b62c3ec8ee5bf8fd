/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/endpoint_impl.h"

#include "base/ct.h"
#include "base/mem.h"
#include "core/io/path.h"
#include "core/tls/key.h"

#include <gnutls/crypto.h>

/* --- the data directory --------------------------------------------------- */

/* Whom a node started as root becomes. A user that the configuration names must
 * exist; the default one may be missing. */
static alk_err find_user(struct alk_endpoint *ep, const struct alk_static_config *config,
                         char **ret_message)
{
    struct alk_user self;
    alk_user_self(&self);
    ep->is_root = self.uid == 0 && !ep->no_spawner;
    if (!ep->is_root) {
        return ALK_OK;
    }
    alk_err err = alk_user_find(config->user, &ep->user);
    if (err == ALK_OK) {
        ep->becomes_user = true;
        return ALK_OK;
    }
    if (config->user_is_set) {
        return alk_ep_message(ret_message, ALK_E_CONFIG,
                              "user '%s' does not exist: make it (adduser --system --group %s) or "
                              "name another one",
                              config->user, config->user);
    }
    alk_ep_log(ep, ALK_LOG_WARN,
               "running as root: there is no user '%s' (adduser --system --group %s)", config->user,
               config->user);
    return ALK_OK;
}

alk_err alk_ep_datadir_open(struct alk_endpoint *ep, const struct alk_static_config *config,
                            char **ret_message)
{
    char why[ALK_DATADIR_WHY] = "";
    ALK_TRY(find_user(ep, config, ret_message));
    struct alk_datadir_options o = {.mem = ep->mem,
                                    .path = config->data_dir,
                                    .is_create = true,
                                    .is_locked = true,
                                    .has_owner = ep->becomes_user,
                                    .uid = ep->user.uid,
                                    .gid = ep->user.gid};
    alk_err err = alk_datadir_open(&o, why, sizeof why, &ep->datadir);
    return err == ALK_OK ? ALK_OK : alk_ep_message_text(ret_message, err, why);
}

/* --- keys ----------------------------------------------------------------- */

/* One key per purpose from the node's secret [RFC 5869 §2.3]; the same on every
 * loop and after a restart. */
static alk_err derive(const uint8_t secret[static 32], const char *label, uint8_t ret[static 32])
{
    uint8_t copy[32];
    memcpy(copy, secret, sizeof copy);
    gnutls_datum_t key = {.data = copy, .size = sizeof copy};
    uint8_t info_bytes[64];
    size_t n = strlen(label);
    ALK_ASSERT(n < sizeof info_bytes);
    memcpy(info_bytes, label, n);
    gnutls_datum_t info = {.data = info_bytes, .size = (unsigned)n};
    int rv = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &info, ret, 32);
    alk_wipe(copy, sizeof copy);
    return rv == 0 ? ALK_OK : ALK_E_CRYPTO;
}

static alk_err load_secrets(struct alk_endpoint *ep, const struct alk_static_config *config,
                            char **ret_message)
{
    char why[ALK_DATADIR_WHY] = "";
    uint8_t secret[32];
    bool is_new = false;
    struct alk_secrets *s = &ep->secrets;
    alk_err err = alk_datadir_key(ep->datadir, config->node_key, &ep->rand, s->seed, &is_new, why,
                                  sizeof why);
    if (err == ALK_OK) {
        err = alk_datadir_secret(ep->datadir, &ep->rand, secret, why, sizeof why);
    }
    if (err != ALK_OK) {
        return alk_ep_message_text(ret_message, err, why);
    }
    err = derive(secret, "alknet quic stateless reset", s->reset_key);
    err = err == ALK_OK ? derive(secret, "alknet quic retry", s->retry_key) : err;
    err = err == ALK_OK ? derive(secret, "alknet quic new token", s->token_key) : err;
    err = err == ALK_OK ? derive(secret, "alknet tls tickets", s->ticket_key) : err;
    alk_wipe(secret, sizeof secret);
    alk_key_public_of(s->seed, s->public_key);
    alk_key_address(s->public_key, ep->key_text);
    return err == ALK_OK ? ALK_OK : alk_ep_message(ret_message, err, "cannot derive keys");
}

/* --- configuration -------------------------------------------------------- */

static alk_err load_config(struct alk_endpoint *ep, char **ret_message)
{
    const struct alk_static_config *config = NULL;
    const struct alk_dynamic_config *dynamic = NULL;
    struct alk_conf_errors errors = {0};
    struct alk_buf text;
    struct alk_config_options o = ep->config_options;
    o.handler_count = ep->router.configured_count;
    ep->config_options.handler_count = o.handler_count;
    alk_buf_init(&text, ep->mem, ALK_CONF_TEXT_MAX + 1);
    alk_err err = alk_ep_read_config(ep, &text);
    if (err == ALK_OK) {
        o.text = alk_buf_span(&text);
        err = alk_config_load(&o, &errors, &config, &dynamic);
    }
    if (err == ALK_OK) {
        err = alk_config_reload_new(&ep->config_options, config, dynamic, &ep->config);
    }
    if (err != ALK_OK) {
        (void)alk_ep_message_text(ret_message, err,
                                  errors.text != NULL ? errors.text : alk_err_text(err));
    }
    alk_conf_errors_fini(&errors);
    alk_buf_fini_secret(&text);
    return err;
}

/* --- the steps ------------------------------------------------------------ */

static void add_user(const struct alk_conf *user,
                     const char *ret_users[static ALK_SPAWN_USERS_MAX + 1], size_t *count)
{
    bool is_known = user == NULL || *count == ALK_SPAWN_USERS_MAX;
    for (size_t k = 0; k < *count && !is_known; k++) {
        is_known = strcmp(ret_users[k], alk_conf_str(user)) == 0;
    }
    if (!is_known) {
        ret_users[(*count)++] = alk_conf_str(user);
    }
}

/* Users that exec services and operations name: the spawner obeys no others, ever. */
static void find_exec_users(const struct alk_dynamic_config *config,
                            const char *ret_users[static ALK_SPAWN_USERS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct alk_conf *conf = config->services[i].conf;
        const struct alk_conf *ops =
            config->services[i].is_custom ? NULL : alk_conf_get(conf, "operations");
        if (config->services[i].is_custom) {
            add_user(alk_conf_get(conf, "user"), ret_users, &count);
        }
        for (size_t k = 0; k < alk_conf_count(ops); k++) {
            add_user(alk_conf_get(alk_conf_at(ops, k), "user"), ret_users, &count);
        }
    }
    ret_users[count] = NULL;
}

static bool has_exec(const struct alk_dynamic_config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        if ((config->services[i].handler->flags & ALK_HANDLER_SPAWNS) != 0) {
            return true;
        }
    }
    return false;
}

/* In the spawner: opened values of the configuration are none of its business. */
static void forget_config(void *ctx)
{
    struct alk_endpoint *ep = ctx;
    alk_config_reload_free(ep->config);
    ep->config = NULL;
    alk_log_free(ep->log); /* it has a reference, too; the spawner writes no log */
    ep->log = NULL;
}

static alk_err start_spawner(struct alk_endpoint *ep, char **ret_message)
{
    const struct alk_static_config *config = alk_config_reload_static(ep->config);
    const char *user = NULL;
    struct alk_user found;
    if (ep->no_spawner) {
        return ALK_OK;
    }
    struct alk_spawner_options o = {.mem = ep->mem,
                                    .handlers = ep->router.handlers,
                                    .handler_count = ep->router.count,
                                    .data_dir = ep->datadir->path,
                                    .forget = forget_config,
                                    .forget_ctx = ep};
    const char *exec_users[ALK_SPAWN_USERS_MAX + 1];
    if (ep->is_root) { /* nobody else can change users */
        find_exec_users(alk_config_reload_current(ep->config), exec_users);
        o.exec_users = exec_users;
    }
    o.processes_max = alk_config_reload_current(ep->config)->limits.hosts;
    /* The default user may be missing; then the spawner chooses. */
    if (config->host_user_is_set ||
        (ep->is_root && alk_user_find(config->host_user, &found) == ALK_OK)) {
        o.host_user = config->host_user;
    }
    alk_err err = alk_spawner_start(&o, &user, &ep->spawner);
    if (err != ALK_OK) {
        return alk_ep_message(
            ret_message, err, "cannot start the process that starts others%s%s: %s",
            user == NULL ? "" : " as user ", user == NULL ? "" : user, alk_err_text(err));
    }
    if (ep->is_root && !alk_spawner_separates(ep->spawner)) {
        alk_ep_log(ep, ALK_LOG_WARN, "handler processes run under the node's own user");
    }
    if (!alk_spawner_separates(ep->spawner) && has_exec(alk_config_reload_current(ep->config))) {
        alk_ep_log(ep, ALK_LOG_WARN,
                   "programs of exec services run as the node's own user and can read %s: start "
                   "the node as root to separate them",
                   ep->datadir->path);
    }
    return ALK_OK;
}

/* What all loops share. */
static alk_err make_shared(struct alk_endpoint *ep, char **ret_message)
{
    uint8_t seed[16];
    const struct alk_dynamic_config *config = alk_config_reload_current(ep->config);
    struct alk_auth_limit_options lo = {.max = config->limits.auth_failures,
                                        .window = config->limits.auth_failure_window};
    ALK_TRY(alk_auth_limit_new(ep->mem, &ep->rand, &lo, &ep->limit));
    alk_rand_fill(&ep->rand, seed, sizeof seed);
    ALK_TRY(alk_replay_new(ep->mem, 0, seed, &ep->replay));
    ALK_TRY(alk_gate_new(ep->mem, &ep->rand, &ep->gate));
    alk_ep_limits_use(ep, config);
    if (ep->keylog_path != NULL) {
        alk_err err = alk_line_file_open(ep->mem, ep->keylog_path, &ep->keylog);
        if (err != ALK_OK) {
            return alk_ep_message(ret_message, err, "cannot write the key log %s: %s",
                                  ep->keylog_path, alk_err_text(err));
        }
        alk_ep_log(ep, ALK_LOG_WARN, "session keys are written to %s", ep->keylog_path);
    }
    return ALK_OK;
}

/* As the user that the node runs as: the store's files belong to it. */
static alk_err open_store(struct alk_endpoint *ep, char **ret_message)
{
    char message[ALK_DB_MESSAGE_SIZE] = "";
    const struct alk_auth_index *index;
    alk_err err = alk_auth_db_open(ep->mem, ep->datadir->path, message, &ep->auth_db);
    if (err != ALK_OK) {
        return alk_ep_message_text(ret_message, err, message);
    }
    ALK_TRY(alk_ep_index_make(ep, alk_config_reload_current(ep->config), ret_message, &index));
    alk_ep_index_publish(ep, index);
    return ALK_OK;
}

static alk_err make_workers(struct alk_endpoint *ep)
{
    unsigned loops = alk_config_reload_static(ep->config)->loops;
    ep->loop_count = loops == 0 ? alk_processors() : loops;
    ep->loop_count = ep->loop_count > ALK_CONFIG_LOOPS_MAX ? ALK_CONFIG_LOOPS_MAX : ep->loop_count;
    ep->workers = alk_zalloc(ep->mem, ep->loop_count, sizeof *ep->workers);
    if (ep->workers == NULL) {
        return ALK_E_NOMEM;
    }
    for (size_t i = 0; i < ep->loop_count; i++) {
        ALK_TRY(alk_worker_make(ep, i));
    }
    return alk_ep_stop_init(ep);
}

static alk_err bind_all(struct alk_endpoint *ep, char **ret_message)
{
    char why[ALK_ENDPOINT_WHY] = "";
    struct alk_ep_groups groups;
    alk_err err = alk_ep_groups_inherit(ep, why, sizeof why);
    if (err == ALK_OK) {
        err =
            alk_ep_groups_make(ep, alk_config_reload_current(ep->config), why, sizeof why, &groups);
    }
    if (err != ALK_OK) {
        return alk_ep_message_text(ret_message, err, why);
    }
    alk_ep_groups_publish(ep, &groups);
    return ALK_OK;
}

/* After everything that needs root: from here on there is no way back. */
static alk_err give_up_root(struct alk_endpoint *ep, char **ret_message)
{
    if (ep->no_spawner) {
        return ALK_OK;
    }
    if (ep->becomes_user) {
        alk_err given = alk_datadir_give(ep->datadir);
        if (given != ALK_OK) {
            return alk_ep_message(ret_message, given, "cannot give %s to user '%s'",
                                  ep->datadir->path, ep->user.name);
        }
    }
    alk_err err = alk_privileges_drop(ep->becomes_user ? ep->user.name : NULL);
    return err == ALK_OK ? ALK_OK
                         : alk_ep_message(ret_message, err, "cannot become user '%s': %s",
                                          ep->user.name, alk_err_text(err));
}

static alk_err start_services(struct alk_endpoint *ep, char **ret_message)
{
    char why[ALK_ENDPOINT_WHY] = "";
    const struct alk_dynamic_config *config = alk_config_reload_current(ep->config);
    struct alk_ep_services services = {0};
    struct alk_snapshot *snapshot = NULL;
    struct alk_ep_certs certs = {0};
    struct alk_line_file *audit = NULL;
    alk_err err = alk_ep_audit_open(ep, config, why, sizeof why, &audit);
    if (err == ALK_OK) {
        alk_ep_audit_use(ep, config, audit);
        err = alk_ep_certs_load(ep, config, why, sizeof why, &certs);
    }
    if (err == ALK_OK) {
        err = alk_ep_services_make(ep, config, NULL, NULL, why, sizeof why, &services);
    }
    if (err == ALK_OK) {
        err = alk_ep_snapshot_make(ep, config, &services, &certs, why, sizeof why, &snapshot);
    }
    alk_ep_certs_fini(ep, &certs);
    alk_ep_services_release(ep, &services);
    if (err != ALK_OK) {
        return alk_ep_message_text(ret_message, err, why[0] == '\0' ? alk_err_text(err) : why);
    }
    alk_ep_snapshot_publish(ep, snapshot);
    alk_ep_certs_schedule(ep);
    return ALK_OK;
}

static void *worker_main(void *arg)
{
    struct alk_worker *w = arg;
    alk_loop_run(w->loop);
    return NULL;
}

static alk_err start_threads(struct alk_endpoint *ep)
{
    for (size_t i = 0; i < ep->worker_count; i++) {
        /* What was published so far, before anybody can connect. */
        alk_mail_open(&ep->workers[i]);
    }
    for (size_t i = 1; i < ep->worker_count; i++) {
        struct alk_worker *w = &ep->workers[i];
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            return ALK_E_LIMIT;
        }
        w->has_thread = true;
    }
    return ALK_OK;
}

static void say_hello(struct alk_endpoint *ep)
{
    for (size_t i = 0; i < ep->group_count; i++) {
        alk_ep_log(ep, ALK_LOG_INFO, "listening on %s (UDP and TCP), %zu loops",
                   ep->groups[i]->bound.text, ep->loop_count);
    }
    alk_ep_log(ep, ALK_LOG_INFO, "node key %s", ep->key_text);
}

static alk_err start(struct alk_endpoint *ep, char **ret_message)
{
    ALK_TRY(load_config(ep, ret_message));
    alk_log_configure(ep->log, alk_config_reload_current(ep->config));
    ALK_TRY(start_spawner(ep, ret_message)); /* before keys, threads and sockets */
    ALK_TRY(load_secrets(ep, alk_config_reload_static(ep->config), ret_message));
    ALK_TRY(make_shared(ep, ret_message));
    ALK_TRY(make_workers(ep));
    ALK_TRY(bind_all(ep, ret_message));
    ALK_TRY(give_up_root(ep, ret_message));
    ALK_TRY(open_store(ep, ret_message));
    ALK_TRY(start_services(ep, ret_message));
    ALK_TRY(alk_ep_watch(ep));
    return start_threads(ep);
}

alk_err alk_endpoint_start(struct alk_endpoint *ep, char **ret_message)
{
    char *message = NULL;
    if (ret_message != NULL) {
        *ret_message = NULL;
    }
    if (ep->state != ALK_EP_NEW) {
        return ALK_E_STATE;
    }
    alk_err err = start(ep, &message);
    if (err != ALK_OK) {
        (void)alk_ep_message_text(ret_message, err, message == NULL ? alk_err_text(err) : message);
        alk_ep_free_message(message);
        alk_ep_teardown(ep);
        return err;
    }
    alk_ep_free_message(message);
    ep->state = ALK_EP_RUNNING;
    ep->started_at = alk_clock_unix();
    say_hello(ep);
    return ALK_OK;
}
