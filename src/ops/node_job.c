/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "ops/node_impl.h"

#include "base/mem.h"
#include "core/io/loop.h"
#include "ops/out.h"

/* Until a loop whose queue of posts is full is asked again. */
#define AGAIN (10 * ALK_MS)

static void job_free(void *arg)
{
    struct alk_node_job *job = arg;
    struct alk_node *node = job->node;

    alk_out_fini(&job->out);
    alk_free(node->mem, job->message);
    alk_free(node->mem, job);
    alk_node_unref(node);
}

/* --- on the request's loop ----------------------------------------------------- */

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct alk_node_job *job = ctx;
    job->request = NULL;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
}

static void answer(struct alk_request *r, struct alk_node_job *job)
{
    struct alk_span text = {NULL, 0};
    alk_err err = job->err;

    if (err == ALK_OK) {
        err = alk_out_done(&job->out, &text);
    }
    if (err == ALK_OK) {
        alk_out_json(alk_request_out(r), text);
        (void)alk_request_respond(r);
    } else {
        alk_request_fail_err(r, err, job->message);
    }
}

static void come_back(void *arg)
{
    struct alk_node_job *job = arg;
    struct alk_request *r = job->request;

    if (r != NULL) {
        job->request = NULL;
        answer(r, job);
    }
    job_free(job);
}

static void on_first_loop(void *arg)
{
    struct alk_node_job *job = arg;
    job->run(job);
}

void alk_node_ask(struct alk_node *node, struct alk_request *r,
                  void (*run)(struct alk_node_job *job))
{
    static const struct alk_request_calls calls = {.cancelled = on_cancelled};

    if (node->endpoint == NULL) {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, NULL);
        return;
    }
    struct alk_node_job *job = ALK_NEW(node->mem, struct alk_node_job);
    if (job == NULL) {
        alk_request_fail_err(r, ALK_E_NOMEM, NULL);
        return;
    }
    (void)atomic_fetch_add(&node->refs, 1);
    job->node = node;
    job->request = r;
    job->loop = alk_request_loop(r);
    job->run = run;
    job->is_admin = alk_request_has_scope(r, "admin");
    alk_out_init(&job->out, node->mem, ALK_OPS_INPUT_MAX);
    alk_err err = alk_post_cancel(node->loop, on_first_loop, job_free, job);
    if (err != ALK_OK) {
        job_free(job);
        alk_request_fail_err(r, err == ALK_FULL ? ALK_E_LIMIT : err, NULL);
        return;
    }
    alk_request_on(r, &calls, job);
}

/* --- on the first loop ---------------------------------------------------------- */

static void send_back(struct alk_node_job *job)
{
    alk_err err = alk_post_cancel(job->loop, come_back, job_free, job);
    if (err == ALK_E_CLOSED) {
        job_free(job); /* its request went with the loop */
    } else if (err != ALK_OK) {
        alk_timer_set(job->node->loop, &job->again, alk_loop_now(job->node->loop) + AGAIN);
    }
}

static void on_again(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    send_back(ctx);
}

void alk_node_job_done(struct alk_node_job *job, alk_err err, const char *message)
{
    job->err = err;
    if (message != NULL) {
        job->message = alk_strdup_span(job->node->mem, alk_span_str(message));
    }
    job->again = (struct alk_timer){.fn = on_again, .ctx = job};
    send_back(job);
}
