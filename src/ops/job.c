/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/job.h"

#include "base/mem.h"
#include "core/io/loop.h"

/* Until a loop whose queue of posts is full is asked again. */
#define AGAIN (10 * ALK_MS)

static void job_free(void *arg)
{
    struct alk_job *job = arg;

    if (job->release != NULL) {
        job->release(job->owner);
    }
    alk_buf_fini_secret(&job->input);
    alk_out_fini(&job->out);
    alk_free(job->mem, job->message);
    alk_free(job->mem, job);
}

/* --- on the request's loop ----------------------------------------------------- */

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct alk_job *job = ctx;
    job->request = NULL;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void answer(struct alk_request *r, struct alk_job *job)
{
    struct alk_span text = {NULL, 0};

    if (job->err == ALK_OK) {
        job->err = alk_out_done(&job->out, &text);
    }
    if (job->err == ALK_OK) {
        alk_out_json(alk_request_out(r), text);
        (void)alk_request_respond(r);
    } else if (job->failed != NULL) {
        job->failed(job, r);
    } else {
        alk_request_fail_err(r, job->err, job->message);
    }
}

static void come_back(void *arg)
{
    struct alk_job *job = arg;
    struct alk_request *r = job->request;

    if (r != NULL) {
        job->request = NULL;
        answer(r, job);
    }
    job_free(job);
}

static void on_there(void *arg)
{
    struct alk_job *job = arg;
    job->run(job);
}

void alk_job_ask(const struct alk_job_spec *spec, struct alk_request *r)
{
    static const struct alk_request_calls calls = {.cancelled = on_cancelled};

    struct alk_job *job = ALK_NEW(spec->mem, struct alk_job);
    if (job == NULL) {
        if (spec->release != NULL) {
            spec->release(spec->owner);
        }
        alk_request_fail_err(r, ALK_E_NOMEM, NULL);
        return;
    }
    job->mem = spec->mem;
    job->owner = spec->owner;
    job->release = spec->release;
    job->request = r;
    job->loop = alk_request_loop(r);
    job->there = spec->there;
    job->run = spec->run;
    job->failed = spec->failed;
    job->is_admin = alk_request_has_scope(r, "admin");
    alk_buf_init(&job->input, spec->mem, ALK_OPS_INPUT_MAX);
    alk_out_init(&job->out, spec->mem, ALK_OPS_INPUT_MAX);
    alk_err err = alk_buf_put(&job->input, spec->input);
    if (err == ALK_OK) {
        err = alk_post_cancel(job->there, on_there, job_free, job);
    }
    if (err != ALK_OK) {
        job_free(job);
        alk_request_fail_err(r, err == ALK_FULL ? ALK_E_LIMIT : err, NULL);
        return;
    }
    alk_request_on(r, &calls, job);
}

/* --- there ------------------------------------------------------------------------ */

static void send_back(struct alk_job *job)
{
    alk_err err = alk_post_cancel(job->loop, come_back, job_free, job);
    if (err == ALK_E_CLOSED) {
        job_free(job); /* its request went with the loop */
    } else if (err != ALK_OK) {
        alk_timer_set(job->there, &job->again, alk_loop_now(job->there) + AGAIN);
    }
}

static void on_again(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    send_back(ctx);
}

void alk_job_done(struct alk_job *job, alk_err err, const char *message)
{
    job->err = err;
    if (message != NULL) {
        job->message = alk_strdup_span(job->mem, alk_span_str(message));
    }
    job->again = (struct alk_timer){.fn = on_again, .ctx = job};
    send_back(job);
}
