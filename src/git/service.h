/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* git/service.h - inside of the Git service: the service, its connections, one session per
 * stream.
 *
 *     READING --request--> RESOLVING --identity--> HELD --confirmed--> RUNNING --> over
 *        `-- what is refused ------------------------------------> ANSWERED ----> over
 *
 * A session outlives its stream and its connection for as long as its program does. All of
 * it belongs to the connection's loop, but the service and its settings.
 */
#ifndef ALK_GIT_SERVICE_H
#define ALK_GIT_SERVICE_H

#include "alknet/handler.h"
#include "base/list.h"
#include "core/auth/fingerprint.h"
#include "core/io/loop.h"
#include "git/helper.h"
#include "git/proto/pktline.h"
#include "git/proto/repopath.h"
#include "git/proto/request.h"
#include "git/settings.h"
#include "ops/out.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#define ALK_GIT_EVENT_REFS 256 /* of one push that its event lists */

struct alk_spawner;
struct alk_attached;

struct alk_git_hub {
    atomic_size_t refs;
    const struct alk_mem *mem;
    struct alk_spawner *spawner;
    struct alk_endpoint *endpoint; /* NULL: tests */
    struct alk_ops *ops;           /* NULL: no operations, no events */
    alk_log_fn *log;
    void *log_ctx;
    char *name;
    char helper[PATH_MAX]; /* the one that was installed with us; "": none */
    pthread_mutex_t lock;  /* around `settings` */
    const struct alk_git_settings *settings;
    atomic_uint instances, anonymous; /* sessions that hold a program */
};

struct alk_git_hub *alk_git_hub_ref(struct alk_git_hub *s);
void alk_git_hub_unref(struct alk_git_hub *s);
/* A reference to the newest. */
const struct alk_git_settings *alk_git_hub_settings(struct alk_git_hub *s);
/* Room for one more program, of `max`; is_anonymous: for somebody unknown. give: it is over. */
bool alk_git_hub_take(struct alk_git_hub *s, unsigned max, bool is_anonymous);
void alk_git_hub_give(struct alk_git_hub *s, bool is_anonymous);
ALK_PRINTF(4, 5)
void alk_git_say(const struct alk_git_hub *s, enum alk_log_level level, const char *log_id,
                 const char *fmt, ...);

struct alk_git_conn {
    struct alk_git_hub *service;
    struct alk_conn *conn;
    struct alk_list sessions;
};

enum alk_git_state {
    ALK_GIT_READING,   /* the request's packet */
    ALK_GIT_RESOLVING, /* its token */
    ALK_GIT_HELD,      /* a push in early data: until the handshake is confirmed */
    ALK_GIT_RUNNING,   /* the stream is the program's */
    ALK_GIT_ANSWERED,  /* refused; what still comes is dropped until the peer ends */
    ALK_GIT_OVER
};

/* What the hooks of one push have said so far. */
struct alk_git_push {
    const struct alk_identity *who;    /* as of its beginning; NULL: nobody known */
    const struct alk_identity *signer; /* of the certificate; NULL: none was shown */
    bool has_begun, is_asked;          /* is_asked: an answer is due, no more messages before */
    bool is_checked;                   /* pre-receive: it was allowed */
    bool is_denied;                    /* some ref is not his */
    bool is_after;                     /* post-receive */
    size_t ref_count;
    char denied[256];     /* the first such ref */
    struct alk_out event; /* in post-receive: JSON up to its list of refs */
};

struct alk_git_session {
    struct alk_git_hub *service;
    const struct alk_git_settings *settings;
    const struct alk_git_rule *rule; /* borrows from settings */
    struct alk_loop *loop;
    struct alk_git_conn *gc;   /* NULL: the connection is gone */
    struct alk_link in;        /* the connection's */
    struct alk_stream *stream; /* NULL: over, or the program's */
    enum alk_git_state state;
    bool is_resolving; /* kept until the answer has come */
    bool is_freed;     /* everything else is over */
    bool holds_instance, is_anonymous;
    struct alk_timer timer;
    struct alk_git_pkt_reader reader;
    enum alk_git_service git; /* which program */
    unsigned version;
    struct alk_git_repopath repo;
    char *token; /* secret; NULL: none was shown */
    size_t token_n;
    const struct alk_identity *identity; /* of the token */
    struct alk_attached *run;
    struct alk_git_push push;
    char log_id[20];
    char remote[ALK_ADDR_TEXT_MAX];
};

/* --- handler.c ---------------------------------------------------------------------- */

/* Whose request it is, by the newest rights; NULL: nobody known. Borrows. */
const struct alk_identity *alk_git_session_who(const struct alk_git_session *s);
/* Answers with an ERR packet and ends our direction; the stream must be ours. */
void alk_git_session_refuse(struct alk_git_session *s, const char *text);
void alk_git_session_free(struct alk_git_session *s);
/* The answer that is_resolving stands for has come. False: nobody wants it any more, and s is
 * gone. */
bool alk_git_session_resolved(struct alk_git_session *s);
/* Into the audit log. */
void alk_git_audit(const struct alk_git_session *s, const struct alk_identity *who, bool is_allowed,
                   const char *reason);

/* --- run.c -------------------------------------------------------------------------- */

/* Starts the program; answers the stream itself when it cannot. */
void alk_git_run(struct alk_git_session *s);

/* --- push.c ------------------------------------------------------------------------- */

/* A message of a hook. */
void alk_git_push_message(struct alk_git_session *s, struct alk_span message);
void alk_git_push_fini(struct alk_git_session *s);

/* --- access, in access.c: pure ------------------------------------------------------- */

enum alk_git_verdict { ALK_GIT_MAY, ALK_GIT_HIDDEN, ALK_GIT_FORBIDDEN, ALK_GIT_MIRROR };
/* What `who` (NULL: nobody) may do with a repository at all. HIDDEN: as if it were not
 * there. A push of somebody unknown is let in to a public repository whose pushes must be
 * signed: then his certificate speaks for him, or nothing does. */
enum alk_git_verdict alk_git_access(const struct alk_git_rule *rule, const struct alk_identity *who,
                                    struct alk_span name, enum alk_git_service service);
bool alk_git_may_read(const struct alk_git_rule *rule, const struct alk_identity *who,
                      struct alk_span name);
bool alk_git_may_push(const struct alk_identity *who, struct alk_span name, struct alk_span ref);

#endif
