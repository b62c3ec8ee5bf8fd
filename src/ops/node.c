/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node/...: what every node says of itself, and how it is looked after. */
#include "base/mem.h"
#include "core/auth/date.h"
#include "core/config/conf.h"
#include "core/frame.h"
#include "core/io/loop.h"
#include "ops/input.h"
#include "ops/job.h"
#include "ops/node_build.h"
#include "ops/node_impl.h"

#include <yyjson.h>

/* --- node/ping ------------------------------------------------------------------ */

static void ping(void *ctx, struct alk_request *r)
{
    struct yyjson_val *payload = alk_input_find(alk_request_value(r), "payload");
    struct alk_out *out = alk_request_out(r);
    char date[ALK_DATE_SIZE];
    (void)ctx;

    alk_date_format_ms(alk_clock_unix_ns() / ALK_MS, date);
    alk_out_object(out);
    alk_out_key(out, "time");
    alk_out_text(out, date);
    if (payload != NULL) {
        size_t n = 0;
        char *text = yyjson_val_write(payload, YYJSON_WRITE_NOFLAG, &n);
        if (text == NULL) {
            alk_out_end(out);
            alk_request_fail_err(r, ALK_E_NOMEM, NULL);
            return;
        }
        alk_out_key(out, "payload");
        alk_out_json(out, alk_span(text, n));
        free(text);
    }
    alk_out_end(out);
    (void)alk_request_respond(r);
}

/* --- what the first loop knows --------------------------------------------------- */

static struct alk_node *node_of(const struct alk_job *job)
{
    return (struct alk_node *)job->owner;
}

static void release(void *ctx)
{
    alk_node_unref(ctx);
}

/* On the endpoint's first loop. */
static void ask(struct alk_node *node, struct alk_request *r, void (*run)(struct alk_job *job))
{
    if (node->endpoint == NULL) {
        alk_request_fail(r, ALK_OPS_UNAVAILABLE, NULL);
        return;
    }
    const struct alk_job_spec spec = {.mem = node->mem,
                                      .there = node->loop,
                                      .owner = node,
                                      .release = release,
                                      .run = run,
                                      .input = alk_request_input(r)};
    (void)atomic_fetch_add(&node->refs, 1);
    alk_job_ask(&spec, r);
}

static void run_info(struct alk_job *job)
{
    alk_out_object(&job->out);
    alk_node_put_info(&job->out, node_of(job)->endpoint, job->is_admin);
    alk_node_put_protocols(&job->out, node_of(job)->endpoint);
    alk_out_end(&job->out);
    alk_job_done(job, ALK_OK, NULL);
}

static void info(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_info);
}

static void on_status(void *ctx, const struct alk_endpoint_status *st)
{
    struct alk_job *job = ctx;
    alk_out_object(&job->out);
    alk_node_put_info(&job->out, node_of(job)->endpoint, true);
    alk_node_put_protocols(&job->out, node_of(job)->endpoint);
    alk_node_put_status(&job->out, node_of(job)->endpoint, st);
    alk_out_end(&job->out);
    alk_job_done(job, ALK_OK, NULL);
}

static void run_status(struct alk_job *job)
{
    alk_err err = alk_endpoint_status(node_of(job)->endpoint, NULL, on_status, job);
    if (err != ALK_OK) {
        alk_job_done(job, err, NULL);
    }
}

static void status(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_status);
}

/* What was asked has passed the schema: a cursor alone can still be wrong. */
static bool read_page(struct alk_job *job, struct alk_node_page *ret)
{
    struct yyjson_doc *doc = NULL;
    bool is_page =
        alk_buf_len(&job->input) == 0 || alk_json_parse(alk_buf_span(&job->input), &doc) == ALK_OK;
    is_page = is_page && alk_node_read_page(yyjson_doc_get_root(doc), ret);
    yyjson_doc_free(doc);
    return is_page;
}

static void on_connections(void *ctx, const struct alk_endpoint_status *st)
{
    struct alk_job *job = ctx;
    struct alk_node_page page;
    bool is_page = read_page(job, &page); /* it was one: now only memory can be short */
    alk_out_object(&job->out);
    if (is_page) {
        alk_node_put_connections(&job->out, st, page.limit);
    }
    alk_out_end(&job->out);
    alk_job_done(job, is_page ? ALK_OK : ALK_E_NOMEM, NULL);
}

static void run_connections(struct alk_job *job)
{
    struct alk_node_page page;
    if (!read_page(job, &page)) {
        alk_job_done(job, ALK_E_INVALID, "the cursor is not one of this list");
        return;
    }
    alk_err err = alk_endpoint_status(node_of(job)->endpoint, &page.from, on_connections, job);
    if (err != ALK_OK) {
        alk_job_done(job, err, NULL);
    }
}

static void connections(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_connections);
}

static void on_metrics(void *ctx, const struct alk_endpoint_status *st)
{
    struct alk_job *job = ctx;
    alk_out_object(&job->out);
    alk_err err = alk_node_put_metrics(&job->out, node_of(job)->endpoint, node_of(job)->ops, st);
    alk_out_end(&job->out);
    alk_job_done(job, err, NULL);
}

static void run_metrics(struct alk_job *job)
{
    alk_err err = alk_endpoint_status(node_of(job)->endpoint, NULL, on_metrics, job);
    if (err != ALK_OK) {
        alk_job_done(job, err, NULL);
    }
}

static void metrics(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_metrics);
}

static void run_config(struct alk_job *job)
{
    const struct alk_dynamic_config *config = alk_endpoint_config(node_of(job)->endpoint);
    char *text = NULL;
    size_t n = 0;

    alk_err err = alk_conf_print_public(node_of(job)->mem, config->tree, &text, &n);
    alk_out_object(&job->out);
    alk_out_key(&job->out, "generation");
    alk_out_u64(&job->out, config->generation);
    alk_out_key(&job->out, "text");
    alk_out_span(&job->out, alk_span(text, n));
    alk_out_end(&job->out);
    alk_free(node_of(job)->mem, text);
    alk_job_done(job, err, NULL);
}

static void config(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_config);
}

static void on_reloaded(void *ctx, alk_err err, const char *message)
{
    struct alk_job *job = ctx;
    alk_out_object(&job->out);
    alk_out_key(&job->out, "generation");
    alk_out_u64(&job->out, alk_endpoint_config(node_of(job)->endpoint)->generation);
    alk_out_key(&job->out, "note");
    alk_out_text(&job->out, message == NULL ? "" : message);
    alk_out_end(&job->out);
    alk_job_done(job, err, message);
}

static void run_reload(struct alk_job *job)
{
    alk_endpoint_reload(node_of(job)->endpoint, on_reloaded, job);
}

static void reload(void *ctx, struct alk_request *r)
{
    ask(ctx, r, run_reload);
}

/* --- the part -------------------------------------------------------------------- */

static const char *const admin[] = {"admin", NULL};

#define NO_INPUT "{\"type\":\"object\",\"additionalProperties\":false}"

static const struct alk_op node_ops[] = {
    {.name = "node/ping",
     .summary = "answers with the time, and with what it was given",
     .kind = ALK_OP_QUERY,
     .flags = ALK_OP_PUBLIC,
     .fn = ping,
     .input = "{\"type\":\"object\",\"properties\":{\"payload\":{}},"
              "\"additionalProperties\":false}",
     .output = "{\"type\":\"object\",\"required\":[\"time\"],\"properties\":{\"time\":"
               "{\"type\":\"string\"},\"payload\":{}}}"},
    {.name = "node/info",
     .summary = "says who the node is and what it speaks",
     .kind = ALK_OP_QUERY,
     .fn = info,
     .input = NO_INPUT,
     .output = "{\"type\":\"object\",\"required\":[\"version\",\"key\",\"addresses\","
               "\"protocols\"],\"properties\":{\"version\":{\"type\":\"string\"},\"key\":"
               "{\"type\":\"string\"},\"addresses\":{\"type\":\"array\",\"items\":{\"type\":"
               "\"string\"}},\"advertise\":{\"type\":\"string\"},\"pid\":{\"type\":\"integer\"},"
               "\"certificate\":{\"type\":\"object\"},\"protocols\":{\"type\":\"object\","
               "\"additionalProperties\":{\"type\":\"integer\"}}}}"},
    {.name = "node/status",
     .summary = "says how the node is doing: services, loops, counters, what it has used",
     .help = "With all that node/info says: what `alknet status` shows on the node itself.",
     .kind = ALK_OP_QUERY,
     .access = {.all_scopes = admin},
     .fn = status,
     .input = NO_INPUT,
     .output =
         "{\"type\":\"object\",\"required\":[\"version\",\"key\",\"addresses\",\"uptime_s\","
         "\"loops\",\"auth\",\"services\"],\"properties\":{\"uptime_s\":{\"type\":\"integer\"},"
         "\"generation\":{\"type\":\"integer\"},\"loops\":{\"type\":\"array\"},\"auth\":"
         "{\"type\":\"object\"},\"services\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}"
         "}"},
    {.name = "node/connections",
     .summary = "lists the connections that are open",
     .help = "In pages, the oldest of each loop first. While there are more the answer says how "
             "many, and has a next.",
     .kind = ALK_OP_QUERY,
     .access = {.all_scopes = admin},
     .fn = connections,
     .input =
         "{\"type\":\"object\",\"properties\":{\"cursor\":{\"type\":\"string\",\"pattern\":"
         "\"^[0-9a-f]{1,16}-[0-9a-f]{1,16}$\",\"description\":\"go on after this: what next was "
         "in the answer before\"},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1500,"
         "\"description\":\"how many at the most\"}},\"additionalProperties\":false}",
     .output = "{\"type\":\"object\",\"required\":[\"connections\"],\"properties\":"
               "{\"connections\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
               "\"more\":{\"type\":\"integer\",\"minimum\":1},\"next\":{\"type\":\"string\","
               "\"description\":\"ask again with this as cursor\"}}}"},
    {.name = "node/metrics",
     .summary = "gives all counters as Prometheus reads them",
     .kind = ALK_OP_QUERY,
     .access = {.all_scopes = admin},
     .fn = metrics,
     .input = NO_INPUT,
     .output = "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{\"text\":"
               "{\"type\":\"string\"}}}"},
    {.name = "node/config",
     .summary = "shows the configuration in force, without secrets",
     .kind = ALK_OP_QUERY,
     .access = {.all_scopes = admin},
     .fn = config,
     .input = NO_INPUT,
     .output = "{\"type\":\"object\",\"required\":[\"generation\",\"text\"],\"properties\":"
               "{\"generation\":{\"type\":\"integer\"},\"text\":{\"type\":\"string\"}}}"},
    {.name = "node/reload",
     .summary = "reads the configuration again",
     .help = "A configuration that is wrong is answered INVALID_INPUT, with all that is wrong "
             "with it as the message; then the old one stays in force.",
     .kind = ALK_OP_MUTATION,
     .access = {.all_scopes = admin},
     .fn = reload,
     .input = NO_INPUT,
     .output = "{\"type\":\"object\",\"required\":[\"generation\",\"note\"],\"properties\":"
               "{\"generation\":{\"type\":\"integer\"},\"note\":{\"type\":\"string\"}}}"},
};
#define OPS (sizeof node_ops / sizeof node_ops[0])

void alk_node_unref(struct alk_node *node)
{
    if (atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) == 1) {
        alk_node_logs_fini(node);
        alk_free(node->mem, node);
    }
}

static alk_err add(struct alk_node *node, const struct alk_op *model, char *why, size_t why_size)
{
    struct alk_op op = *model;

    op.struct_size = sizeof op;
    op.release = release; /* also when it fails */
    (void)atomic_fetch_add(&node->refs, 1);
    return alk_ops_add(node->ops, &op, node, why, why_size);
}

/* The first n of them. */
static void remove_ops(struct alk_node *node, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        (void)alk_ops_remove(node->ops, i < OPS ? node_ops[i].name : alk_node_logs_op.name);
    }
}

static void stop(void *part)
{
    struct alk_node *node = part;

    remove_ops(node, OPS + 1);
    node->ops = NULL; /* answers may still be on their way, see on_metrics */
    alk_node_logs_stop(node);
    alk_node_unref(node);
}

static alk_err start(const struct alk_part_env *env, char *why, size_t why_size, void **ret)
{
    struct alk_node *node = ALK_NEW(env->mem, struct alk_node);

    if (node == NULL) {
        return ALK_E_NOMEM;
    }
    atomic_store(&node->refs, 1);
    node->mem = env->mem;
    node->ops = env->ops;
    node->endpoint = env->env->endpoint;
    node->loop = node->endpoint == NULL ? NULL : alk_endpoint_loop(node->endpoint);
    alk_err err = alk_node_logs_init(node);
    if (err != ALK_OK) {
        alk_free(env->mem, node);
        return err;
    }
    for (size_t i = 0; i <= OPS; i++) {
        err = add(node, i < OPS ? &node_ops[i] : &alk_node_logs_op, why, why_size);
        if (err != ALK_OK) {
            remove_ops(node, i);
            alk_node_logs_stop(node);
            alk_node_unref(node);
            return err;
        }
    }
    *ret = node;
    return ALK_OK;
}

const struct alk_part alk_node_part = {.start = start, .stop = stop};
