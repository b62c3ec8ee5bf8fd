/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ops/job.h - a question of a request that only one loop can answer (the endpoint's
 * first): it goes there by post, and the answer comes back likewise. The request may be
 * cancelled meanwhile, and either loop may go: then the job ends without an answer.
 */
#ifndef ALK_OPS_JOB_H
#define ALK_OPS_JOB_H

#include "base/buf.h"
#include "ops/dispatch.h"
#include "ops/out.h"

struct alk_job {
    const struct alk_mem *mem;
    void *owner;
    void (*release)(void *owner);
    struct alk_request *request; /* on its loop; NULL: cancelled */
    struct alk_loop *loop;       /* the request's */
    struct alk_loop *there;      /* where it is answered */
    void (*run)(struct alk_job *job);
    void (*failed)(struct alk_job *job, struct alk_request *r);
    struct alk_buf input;
    bool is_admin;      /* the request has the scope */
    struct alk_out out; /* there, until it is answered */
    alk_err err;
    char *message; /* of a failure; owns; NULL: a standard one */
    struct alk_timer again;
};

struct alk_job_spec {
    const struct alk_mem *mem;
    struct alk_loop *there;
    /* For run; given back with the job, also when it does not start. release may be
     * NULL. */
    void *owner;
    void (*release)(void *owner);
    struct alk_span input; /* copied; wiped afterwards */
    /* On `there`: ends with alk_job_done, then or later. */
    void (*run)(struct alk_job *job);
    /* On the request's loop: fails it with job->err. NULL: with alk_request_fail_err. */
    void (*failed)(struct alk_job *job, struct alk_request *r);
};
/* Answers the request in any case. */
void alk_job_ask(const struct alk_job_spec *spec, struct alk_request *r);
/* ALK_OK: job->out is the answer. message is copied; may be NULL. */
void alk_job_done(struct alk_job *job, alk_err err, const char *message);

#endif
