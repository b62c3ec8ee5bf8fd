/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/registry.h - names and who provides them; for the files of src/ops alone.
 *
 *     alk_ops --name--> slot --> local provider
 *                            --> remote providers (several: the least busy one)
 *                            --> ghost: what the last remote one was
 *
 * The table of names is behind a rwlock; finding takes it for reading, allocates
 * nothing and leaves with a counted provider. Slots and providers are counted and
 * outlive their place in the table for as long as a request runs on them.
 */
#ifndef ALK_OPS_REGISTRY_H
#define ALK_OPS_REGISTRY_H

#include "base/list.h"
#include "base/map.h"
#include "core/metrics.h"
#include "ops/dispatch.h"
#include "ops/op_copy.h"

#include <pthread.h>
#include <stdatomic.h>

#define ALK_OPS_MAX       8192 /* names */
#define ALK_PROVIDERS_MAX 64   /* of one name */
#define ALK_PASSED_OVER   100  /* picks, after a request that timed out */

/* Shared codes, and one for those that operations declare. */
#define ALK_OPS_CODES 15

/* Written by every loop with relaxed atomics. */
struct alk_op_stats {
    atomic_uint_fast64_t ok;
    atomic_uint_fast64_t errors[ALK_OPS_CODES];
    atomic_uint_fast64_t active;
    struct alk_histogram time;
};

struct alk_op_slot {
    atomic_uint refs; /* the table's, and one for each provider */
    struct alk_op_provider *local, *ghost;
    struct alk_list remotes;
    unsigned remote_count;
    atomic_uint_fast64_t turns; /* requests that went to one of them */
    struct alk_op_stats stats;
    const struct alk_mem *mem;
    size_t name_n;
    char name[]; /* zero-terminated */
};

struct alk_op_provider {
    struct alk_ops *ops;
    struct alk_op_slot *slot; /* a reference */
    struct alk_op_copy *copy; /* owns */
    void *ctx;
    /* uses: the registry while it is registered, and each request on it. At zero
     * release(ctx) is called. All uses together hold one of refs, which keep the
     * memory; so does being a ghost, and each request on a ghost. */
    atomic_uint uses, refs;
    struct alk_link in; /* slot->remotes */
    /* It let a request time out, and has answered none since: so many more picks go to
     * others, while there are any. A worker whose machine has lost its power looks idle
     * until its connection times out. */
    atomic_uint passed_over;
    atomic_uint_fast64_t turn; /* slot->turns when it got its last request */
    bool is_remote;
    char source[ALK_ID_MAX + 1];
};

struct alk_events;

struct alk_ops {
    const struct alk_mem *mem;
    atomic_uint refs; /* the owner's, and one for each provider */
    uint64_t timeout_ms, timeout_max_ms;
    bool check_outputs;
    pthread_rwlock_t lock;
    struct alk_map slots; /* name -> slot */
    uint64_t id_base;     /* of request ids */
    atomic_uint_fast64_t id_next;
    atomic_uint_fast64_t unknown; /* requests for names that are not there */
    /* Under the lock, so that they rest once they were taken back. */
    atomic_bool is_audited;
    void (*audit)(void *ctx, const struct alk_ops_audit *a);
    void *audit_ctx;
    alk_log_fn *log;
    void *log_ctx;
    struct alk_events *events; /* a reference; NULL: none */
};

/* The memory of a registry, for those that hold no provider of it. */
static inline void alk_ops_ref(struct alk_ops *ops)
{
    (void)atomic_fetch_add_explicit(&ops->refs, 1, memory_order_relaxed);
}
void alk_ops_unref(struct alk_ops *ops);

/* A provider and what is held of it. */
struct alk_op_pick {
    struct alk_op_provider *provider; /* NULL: none */
    bool is_ghost;
};
/* Whoever serves `name`; not `except` (may be NULL). */
struct alk_op_pick alk_ops_pick(struct alk_ops *ops, struct alk_span name,
                                const struct alk_op_provider *except);
void alk_op_pick_drop(struct alk_op_pick pick);
void alk_op_slot_unref(struct alk_op_slot *slot);

/* As alk_ops_add for one more provider; remote when source is not NULL. */
ALK_NODISCARD alk_err alk_ops_add_provider(struct alk_ops *ops, const struct alk_op *op,
                                           const char *source, void *ctx, char *why,
                                           size_t why_size, struct alk_op_provider **ret);

/* To the audit hook. code NULL: allowed. */
void alk_ops_audit_request(struct alk_ops *ops, const struct alk_request *r, const char *code);
/* One line at level error. */
void alk_ops_complain(struct alk_ops *ops, const char *op, const char *what);

/* --- access (access.c): pure ------------------------------------------------- */

/* Whose rights a request has. Borrows; the request holds the references. */
struct alk_rights {
    const struct alk_identity *who;                            /* scopes are his; NULL: nobody */
    const struct alk_identity *holders[ALK_OPS_DEPTH_MAX + 2]; /* resources: all of them */
    unsigned n;
};
bool alk_rights_have_scope(const struct alk_rights *rights, struct alk_span scope);
bool alk_rights_may(const struct alk_rights *rights, struct alk_span type, struct alk_span name,
                    struct alk_span action, struct alk_span ref);
/* Steps 1 to 3 of dispatch.h; op NULL: there is none. NULL: passed, else the code. */
const char *alk_access_check(const struct alk_op *op, bool may_see_internal,
                             const struct alk_rights *rights);
/* Whether it is listed for him. */
bool alk_access_shows(const struct alk_op *op, const struct alk_identity *caller);

#endif
