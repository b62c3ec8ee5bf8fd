/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/endpoint_impl.h - the inside of struct alk_endpoint.
 *
 *   endpoint.c           options, router, small questions
 *   endpoint_start.c     the order of starting, and of undoing it
 *   endpoint_worker.c    a loop with its sockets and connections
 *   endpoint_budget.c    memory of TLS connections
 *   endpoint_mail.c      what the first loop tells the others
 *   endpoint_barrier.c   when they all have heard it
 *   endpoint_listen.c    groups of listening sockets
 *   endpoint_snapshot.c  one generation: routes, TLS servers, credentials
 *   endpoint_certs.c     certificates from files, and the self-signed one
 *   endpoint_services.c  starting, keeping and retiring services
 *   endpoint_auth.c      identities, failures, audit
 *   endpoint_reload.c    a new generation, whole or not at all
 *   endpoint_stop.c      drain, close, join; signals
 *   endpoint_status.c    questions to all loops
 *
 * The first loop (worker 0) runs on the caller's thread and does everything that
 * is rare: reload, services, stop. The others only carry connections; they hear
 * of news through their mailbox and share nothing else but what is counted,
 * atomic or locked inside (gate, failure limit, log).
 */
#ifndef ALK_CORE_ENDPOINT_IMPL_H
#define ALK_CORE_ENDPOINT_IMPL_H

#include "core/auth/date.h"
#include "core/auth/fingerprint.h"
#include "core/auth/limit.h"
#include "core/auth/provider.h"
#include "core/config/reload.h"
#include "core/endpoint.h"
#include "core/host/privileges.h"
#include "core/host/spawner.h"
#include "core/io/gate.h"
#include "core/io/listen.h"
#include "core/io/log.h"
#include "core/io/pump.h"
#include "core/io/signal.h"
#include "core/io/tcp_sock.h"
#include "core/io/watch_file.h"
#include "core/store/auth_db.h"
#include "core/tls/replay.h"

#include <pthread.h>
#include <stdatomic.h>

#define ALK_ENDPOINT_WHY          1024
#define ALK_ENDPOINT_HANDLERS_MAX 64
/* Datagrams under way from one loop to others. */
#define ALK_STRAYS_MAX            1024

/* --- a generation --------------------------------------------------------- */

/* The TLS server of one listener class: they differ in their default ALPN. */
struct alk_snapshot_server {
    const char *default_alpn; /* in the config; NULL: none */
    struct alk_tls_server *server;
};

/* Immutable, counted; each loop holds one reference. */
struct alk_snapshot {
    atomic_size_t refs;
    const struct alk_mem *mem;
    const struct alk_dynamic_config *config;
    struct alk_routes *routes;
    struct alk_tls_creds *creds;        /* of peers without SNI */
    struct alk_tls_server *quic_server; /* default ALPN is a TCP affair */
    struct alk_snapshot_server servers[ALK_CONFIG_LISTENERS_MAX + 1];
    size_t server_count;
};
struct alk_snapshot *alk_snapshot_ref(struct alk_snapshot *s);
void alk_snapshot_unref(struct alk_snapshot *s);
/* The server for TCP connections that came in at this address. */
struct alk_tls_server *alk_snapshot_server_at(const struct alk_snapshot *s, const char *address);

/* --- listening groups ----------------------------------------------------- */

/* Sockets of all loops on one address. Counted: the endpoint and each worker that
 * uses it. */
struct alk_group {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_bound bound;
    char config_text[ALK_ADDR_TEXT_MAX]; /* as the configuration names it */
    bool is_inherited;                   /* given by the service manager */
};
struct alk_group *alk_group_ref(struct alk_group *g);
void alk_group_unref(struct alk_group *g);

/* --- workers -------------------------------------------------------------- */

struct alk_worker_listener {
    struct alk_worker *worker;
    struct alk_group *group;       /* one reference */
    struct alk_acceptor *acceptor; /* NULL: retired, or none */
    struct alk_port_sock *sock;    /* NULL: none */
    struct alk_worker_listener *next;
};

enum {
    ALK_MAIL_DRAIN = 1, /* no new connections; tell the handlers */
    ALK_MAIL_CLOSE = 2, /* close what is left with code 9 */
    ALK_MAIL_DROP = 4   /* drop what is left, and end */
};

/* What the first loop wants of a worker; newer mail replaces older. */
struct alk_mail {
    pthread_mutex_t lock;
    struct alk_snapshot *snapshot;                          /* takes */
    const struct alk_auth_index *index;                     /* takes */
    struct alk_group *groups[ALK_CONFIG_LISTENERS_MAX * 2]; /* to listen on; take */
    size_t group_count;
    bool has_groups; /* groups is the whole list that is to be listened on */
    unsigned flags;
    alk_time drain_deadline;
};

struct alk_worker {
    struct alk_endpoint *ep;
    size_t id;
    struct alk_loop *loop;
    struct alk_pump *pump;
    struct alk_port *port;
    struct alk_tls_loop *tls_loop;
    pthread_t thread;
    bool has_thread;
    struct alk_mail mail;
    struct alk_snapshot *snapshot;
    struct alk_index_provider provider;
    struct alk_worker_listener *listeners;
    struct alk_turn turn;  /* writes audit records */
    struct alk_timer tick; /* while draining, and while a group is retired */
    unsigned mode;         /* ALK_MAIL_* seen */
    alk_time close_until;
    bool is_done;            /* told the first loop that nothing is left */
    struct alk_timer budget; /* runs while there are TLS connections */
    uint64_t tcp_accepted, tcp_refused, tcp_shed;
    atomic_uint strays_waiting; /* from others, not delivered yet */
    atomic_uint_fast64_t strays_in, strays_out, strays_dropped;
};

/* --- the endpoint --------------------------------------------------------- */

struct alk_router {
    struct alk_endpoint *ep;
    const struct alk_handler *handlers[ALK_ENDPOINT_HANDLERS_MAX];
    const struct alk_conf *confs[ALK_ENDPOINT_HANDLERS_MAX]; /* NULL: from the configuration */
    size_t count;
    /* Those that the configuration decides about. */
    const struct alk_handler *configured[ALK_ENDPOINT_HANDLERS_MAX];
    size_t configured_count;
};

struct alk_secrets {
    uint8_t seed[32]; /* of the node key */
    uint8_t public_key[32];
    uint8_t reset_key[32], retry_key[32], token_key[32], ticket_key[32];
};

enum alk_endpoint_state { ALK_EP_NEW, ALK_EP_RUNNING, ALK_EP_STOPPING, ALK_EP_STOPPED };

struct alk_endpoint {
    const struct alk_mem *mem;
    struct alk_rand rand;
    struct alk_router router;
    /* Copies of the options. */
    char *config_file, *config_text, *data_dir_option, *keylog_path, *qlog_dir;
    size_t config_text_n;
    char **listen;
    unsigned loops_option;
    bool no_spawner, watch_option;
    struct alk_ops *ops; /* borrows */
    char *base_dir, *default_dir;

    enum alk_endpoint_state state;
    struct alk_log *log;
    pthread_mutex_t audit_lock;  /* of these: a reload swaps the file */
    struct alk_line_file *audit; /* NULL: none */
    enum alk_audit_format audit_format;
    atomic_uint_fast64_t audit_lost;  /* records */
    bool audit_fails;                 /* the last could not be written */
    struct alk_audit_date audit_date; /* of the newest record */
    struct alk_buf audit_text;        /* whole lines that are not in the file yet */
    size_t audit_count;               /* of them */
    atomic_bool audit_waits;          /* there are some */
    struct alk_line_file *keylog;
    struct alk_datadir *datadir;
    struct alk_config_options config_options;
    struct alk_config_reload *config;
    struct alk_spawner *spawner;
    bool is_root;      /* started as root, and not embedded */
    bool becomes_user; /* then: there is a user to become */
    struct alk_user user;
    struct alk_secrets secrets;
    char key_text[ALK_Z32_ADDRESS_SIZE];
    struct alk_replay_db *replay;
    struct alk_auth_db *auth_db;
    const struct alk_auth_index *index; /* newest; one reference */
    uint64_t auth_generation;
    struct alk_auth_limit *limit;
    struct alk_gate *gate;
    struct alk_snapshot *snapshot; /* newest; one reference */
    struct alk_group *groups[ALK_CONFIG_LISTENERS_MAX * 2];
    size_t group_count;
    struct alk_worker *workers; /* owns */
    size_t worker_count;        /* made so far */
    size_t loop_count;
    struct alk_wake *stop_wake, *barrier_wake;
    struct alk_barrier *barriers; /* reloads that wait for all loops */
    atomic_uint stop_requests;
    unsigned stops_seen;
    size_t workers_done;
    struct alk_timer stop_timer, mail_timer, cert_timer;
    struct alk_signals *signals;
    struct alk_watch_file *watch;
    uint64_t started_at;
    uint64_t reloads, reloads_failed;
    atomic_uint_fast64_t auth_failures;
    struct alk_status_query *status_query; /* under way, a list */
    /* Services whose last reference has gone, on their way to `stop`. */
    pthread_mutex_t retired_lock;
    struct alk_ep_service *retired;
    bool is_loop_gone; /* the first loop runs no posts any more: stop services at once */
};

/* Sets *ret_message (malloc'd, may be NULL) and returns err. */
alk_err alk_ep_message_text(char **ret_message, alk_err err, const char *text);
alk_err alk_ep_message(char **ret_message, alk_err err, const char *fmt, ...) ALK_PRINTF(3, 4);
void alk_ep_free_message(char *message);
void alk_ep_log(struct alk_endpoint *ep, enum alk_log_level level, const char *fmt, ...)
    ALK_PRINTF(3, 4);

/* --- endpoint.c */
/* The text of the configuration, appended. */
ALK_NODISCARD alk_err alk_ep_read_config(struct alk_endpoint *ep, struct alk_buf *ret);

/* --- endpoint_start.c */
/* Opens and locks the data directory, for the user that the node will run as. */
ALK_NODISCARD alk_err alk_ep_datadir_open(struct alk_endpoint *ep,
                                          const struct alk_static_config *config,
                                          char **ret_message);

/* --- endpoint_certs.c */
struct alk_ep_certs {
    struct alk_tls_creds *creds; /* default; one reference */
    struct alk_tls_sni *snis;    /* owns, names too; a reference to each creds */
    size_t sni_count;
};
ALK_NODISCARD alk_err alk_ep_certs_load(struct alk_endpoint *ep,
                                        const struct alk_dynamic_config *config, char *why,
                                        size_t why_size, struct alk_ep_certs *ret);
void alk_ep_certs_fini(struct alk_endpoint *ep, struct alk_ep_certs *certs);
/* Sets the timer that renews the self-signed certificate. */
void alk_ep_certs_schedule(struct alk_endpoint *ep);

/* --- endpoint_snapshot.c */
struct alk_ep_services {
    struct alk_service **list;
    size_t count;
};
ALK_NODISCARD alk_err alk_ep_snapshot_make(struct alk_endpoint *ep,
                                           const struct alk_dynamic_config *config,
                                           const struct alk_ep_services *services,
                                           const struct alk_ep_certs *certs, char *why,
                                           size_t why_size, struct alk_snapshot **ret);
/* Makes it the endpoint's and every worker's. Takes s. */
void alk_ep_snapshot_publish(struct alk_endpoint *ep, struct alk_snapshot *s);

/* --- endpoint_services.c */
struct alk_ep_service {
    struct alk_service *service;
    struct alk_env env;
    struct alk_endpoint *ep;
    char name[ALK_ID_MAX + 1];
    struct alk_ep_service *next; /* retired */
};
/* The services of a configuration: those of `old` (may be NULL) that are the same
 * are kept; those that take their new settings in place are kept too; the others
 * are started. Taking settings comes last, so that a failure leaves them as they
 * were. *ret has a reference to each; undo with release. */
ALK_NODISCARD alk_err alk_ep_services_make(struct alk_endpoint *ep,
                                           const struct alk_dynamic_config *config,
                                           const struct alk_routes *old,
                                           const struct alk_config_diff *diff, char *why,
                                           size_t why_size, struct alk_ep_services *ret);
void alk_ep_services_release(struct alk_endpoint *ep, struct alk_ep_services *services);
/* Stops those that are on the list of retired ones; first loop. */
void alk_ep_services_reap(struct alk_endpoint *ep);

/* --- endpoint_auth.c */
/* The index of configuration and store, as generation n. message: malloc'd. */
ALK_NODISCARD alk_err alk_ep_index_make(struct alk_endpoint *ep,
                                        const struct alk_dynamic_config *config, char **ret_message,
                                        const struct alk_auth_index **ret);
/* Takes index. */
void alk_ep_index_publish(struct alk_endpoint *ep, const struct alk_auth_index *index);
/* The hub's hooks for a worker. */
void alk_ep_auth_hooks(struct alk_worker *w);
/* Whether connections from the address are refused after failed logins. */
bool alk_ep_is_locked_out(struct alk_endpoint *ep, const struct alk_addr *remote);
ALK_NODISCARD alk_err alk_ep_audit_open(struct alk_endpoint *ep,
                                        const struct alk_dynamic_config *config, char *why,
                                        size_t why_size, struct alk_line_file **ret);
/* Writes what alk_endpoint_audit_soon has kept. From every thread. */
void alk_ep_audit_flush(struct alk_endpoint *ep);
/* Takes audit (NULL: none) in place of the one there is. */
void alk_ep_audit_use(struct alk_endpoint *ep, const struct alk_dynamic_config *config,
                      struct alk_line_file *audit);

/* --- endpoint_listen.c */
struct alk_ep_groups {
    struct alk_group *list[ALK_CONFIG_LISTENERS_MAX * 2];
    size_t count;
};
/* The groups of a configuration: those that exist are kept, the others bound. */
ALK_NODISCARD alk_err alk_ep_groups_make(struct alk_endpoint *ep,
                                         const struct alk_dynamic_config *config, char *why,
                                         size_t why_size, struct alk_ep_groups *ret);
void alk_ep_groups_release(struct alk_ep_groups *groups);
/* Sockets from the service manager become groups; at start. */
ALK_NODISCARD alk_err alk_ep_groups_inherit(struct alk_endpoint *ep, char *why, size_t why_size);
/* Takes the groups; tells the workers. */
void alk_ep_groups_publish(struct alk_endpoint *ep, struct alk_ep_groups *groups);

/* --- endpoint_worker.c */
ALK_NODISCARD alk_err alk_worker_make(struct alk_endpoint *ep, size_t id);
/* Runs on the worker's own loop, or before its thread starts. */
void alk_worker_use_snapshot(struct alk_worker *w, struct alk_snapshot *s);
void alk_worker_use_groups(struct alk_worker *w, struct alk_group *const *groups, size_t n);
void alk_worker_use_mode(struct alk_worker *w, unsigned flags, alk_time deadline);
/* Ends what is left; the loop itself stays. */
void alk_worker_close(struct alk_worker *w);
void alk_worker_free(struct alk_worker *w);
/* Closes retired sockets that no connection uses any more. */
void alk_worker_tick(struct alk_worker *w);

/* A loop's part of what the whole node may have; at least 1. */
size_t alk_worker_share(const struct alk_worker *w, uint64_t whole);

/* --- endpoint_budget.c */
/* A TLS connection has come. */
void alk_worker_watch_budget(struct alk_worker *w);

/* --- endpoint_mail.c */
void alk_mail_init(struct alk_mail *m);
void alk_mail_fini(struct alk_mail *m);
void alk_mail_snapshot(struct alk_worker *w, struct alk_snapshot *s); /* a reference is taken */
void alk_mail_index(struct alk_worker *w, const struct alk_auth_index *i); /* likewise */
void alk_mail_groups(struct alk_worker *w, struct alk_group *const *groups, size_t n);
void alk_mail_flags(struct alk_worker *w, unsigned flags, alk_time deadline);
/* Does what the mail says; on the worker's loop. */
void alk_mail_open(struct alk_worker *w);

/* --- endpoint_stop.c */
void alk_ep_worker_done(void *worker); /* posted to the first loop */
void alk_ep_join(struct alk_endpoint *ep);
/* Undoes start, in reverse, as far as it got. */
void alk_ep_teardown(struct alk_endpoint *ep);
ALK_NODISCARD alk_err alk_ep_stop_init(struct alk_endpoint *ep);
/* --- endpoint_reload.c */
ALK_NODISCARD alk_err alk_ep_watch(struct alk_endpoint *ep);
/* The limits that all loops share. */
void alk_ep_limits_use(struct alk_endpoint *ep, const struct alk_dynamic_config *config);

/* --- endpoint_barrier.c */
/* A reload's outcome: told once every loop has opened the mail that was sent
 * before. Copies message (may be NULL). */
void alk_ep_barrier(struct alk_endpoint *ep, alk_err err, const char *message, alk_reload_fn *done,
                    void *ctx);
ALK_NODISCARD alk_err alk_ep_barrier_init(struct alk_endpoint *ep);
/* Tells all that still wait. */
void alk_ep_barrier_end(struct alk_endpoint *ep);

/* --- endpoint_status.c */
void alk_ep_status_cancel(struct alk_endpoint *ep);

#endif
