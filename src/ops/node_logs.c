/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node/logs: the last lines are kept in a ring; each subscription has its place in
 * it and is told by post when there is more. So nothing queues per subscription, and
 * whoever falls behind the ring is cut off.
 *
 *     log (any thread) --tap--> ring --post--> follower (its loop) --> answers
 */
#include "base/mem.h"
#include "core/auth/date.h"
#include "core/io/loop.h"
#include "ops/node_impl.h"
#include "ops/out.h"

#include <stdio.h>

#define LINES_MAX     512  /* kept */
#define LINE_MAX      1024 /* bytes of one */
#define FOLLOWERS_MAX 64

struct alk_node_log_line {
    uint64_t unix_ms;
    enum alk_log_level level;
    char component[24];
    char text[];
};

struct follower {
    struct alk_node *node; /* a reference */
    atomic_uint refs;      /* the request's, and one for each post under way */
    struct alk_loop *loop;
    struct alk_request *request; /* on its loop; NULL: ended */
    uint64_t next;               /* seq; on its loop */
    bool is_full;                /* an answer waits in the request; on its loop */
    enum alk_log_level level;
    char component[24]; /* "": all */
    bool is_told;       /* a post is under way; under node->lock, as `in` */
    struct alk_link in; /* node->followers */
};

static const char *const level_names[] = {"error", "warn", "info", "debug", "trace"};

static void follower_unref(struct follower *f)
{
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
        struct alk_node *node = f->node;
        alk_free(node->mem, f);
        alk_node_unref(node);
    }
}

static void drop_post(void *arg)
{
    follower_unref(arg);
}

/* Posts with a reference. With the lock. False: the loop takes no more. */
static bool post(struct follower *f, alk_post_fn *fn)
{
    (void)atomic_fetch_add(&f->refs, 1);
    if (alk_post_cancel(f->loop, fn, drop_post, f) == ALK_OK) {
        return true;
    }
    (void)atomic_fetch_sub(&f->refs, 1); /* never the last: it is in the list */
    return false;
}

/* --- the ring ------------------------------------------------------------------ */

static bool fits(const struct follower *f, const struct alk_node_log_line *line)
{
    return line->level <= f->level &&
           (f->component[0] == '\0' || strcmp(f->component, line->component) == 0);
}

static void on_more(void *arg);

static void on_line(void *ctx, enum alk_log_level level, const char *component, const char *text)
{
    struct alk_node *node = ctx;
    struct alk_span cut = alk_span_head(alk_span_str(text), LINE_MAX);
    struct alk_node_log_line *line = alk_alloc(node->mem, sizeof *line + cut.n + 1);

    if (line == NULL) {
        return; /* the log itself has it */
    }
    line->unix_ms = alk_clock_unix_ns() / ALK_MS;
    line->level = level;
    (void)snprintf(line->component, sizeof line->component, "%s", component);
    memcpy(line->text, cut.p, cut.n);
    line->text[cut.n] = '\0';

    (void)pthread_mutex_lock(&node->lock);
    struct alk_node_log_line **at = &node->lines[node->next_seq % LINES_MAX];
    alk_free(node->mem, *at);
    *at = line;
    node->next_seq++;
    struct alk_link *l = alk_list_first(&node->followers);
    for (; l != NULL; l = alk_list_next(&node->followers, l)) {
        struct follower *f = ALK_CONTAINER(l, struct follower, in);
        if (!f->is_told && fits(f, line)) {
            f->is_told = post(f, on_more);
        }
    }
    (void)pthread_mutex_unlock(&node->lock);
}

/* --- following ------------------------------------------------------------------ */

/* The request is not ours any more. */
static struct alk_request *let_go(struct follower *f)
{
    struct alk_request *r = f->request;
    struct alk_node *node = f->node;

    (void)pthread_mutex_lock(&node->lock);
    alk_list_remove(&f->in);
    node->follower_count--;
    (void)pthread_mutex_unlock(&node->lock);
    f->request = NULL;
    follower_unref(f);
    return r;
}

enum found { FOUND, NONE, LOST };

/* Writes the next line that fits into *out. */
static enum found write_next(struct follower *f, struct alk_out *out)
{
    struct alk_node *node = f->node;
    enum found found = NONE;
    char date[ALK_DATE_SIZE];

    (void)pthread_mutex_lock(&node->lock);
    uint64_t oldest = node->next_seq > LINES_MAX ? node->next_seq - LINES_MAX : 0;
    if (f->next < oldest) {
        found = LOST;
    }
    while (found == NONE && f->next < node->next_seq) {
        uint64_t seq = f->next++;
        const struct alk_node_log_line *line = node->lines[seq % LINES_MAX];
        if (fits(f, line)) {
            alk_date_format_ms(line->unix_ms, date);
            alk_out_object(out);
            alk_out_key(out, "seq");
            alk_out_u64(out, seq);
            alk_out_key(out, "time");
            alk_out_text(out, date);
            alk_out_key(out, "level");
            alk_out_text(out, level_names[line->level]);
            alk_out_key(out, "component");
            alk_out_text(out, line->component);
            alk_out_key(out, "message");
            alk_out_text(out, line->text);
            alk_out_end(out);
            found = FOUND;
        }
    }
    (void)pthread_mutex_unlock(&node->lock);
    return found;
}

static alk_err send(struct follower *f)
{
    alk_err err = alk_request_respond(f->request);
    f->is_full = err == ALK_FULL;
    return err;
}

/* The follower may be gone when it returns. */
static void tell(struct follower *f)
{
    for (;;) {
        switch (write_next(f, alk_request_out(f->request))) {
        case FOUND:
            if (send(f) != ALK_OK) {
                return; /* full: `writable` follows; else `cancelled` does */
            }
            break;
        case NONE:
            return;
        case LOST:
            alk_request_fail(let_go(f), ALK_OPS_SLOW_CONSUMER, NULL);
            return;
        }
    }
}

static void on_more(void *arg)
{
    struct follower *f = arg;

    (void)pthread_mutex_lock(&f->node->lock);
    f->is_told = false;
    (void)pthread_mutex_unlock(&f->node->lock);
    /* What waits to be taken goes first. */
    if (f->request != NULL && !f->is_full) {
        tell(f);
    }
    follower_unref(f);
}

static void on_stop(void *arg)
{
    struct follower *f = arg;
    if (f->request != NULL) {
        alk_request_fail(let_go(f), ALK_OPS_UNAVAILABLE, NULL);
    }
    follower_unref(f);
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    (void)let_go(ctx);
    alk_request_complete(r);
}

static void on_writable(void *ctx, struct alk_request *r)
{
    struct follower *f = ctx;
    (void)r;
    if (send(f) == ALK_OK) {
        tell(f);
    }
}

static enum alk_log_level level_of(struct alk_span name)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (alk_span_is(name, level_names[i])) {
            return (enum alk_log_level)i;
        }
    }
    return ALK_LOG_INFO;
}

/* False: there are enough. */
static bool enlist(struct follower *f, uint64_t history)
{
    struct alk_node *node = f->node;

    (void)pthread_mutex_lock(&node->lock);
    bool has_room = node->follower_count < FOLLOWERS_MAX;
    if (has_room) {
        uint64_t kept = node->next_seq < LINES_MAX ? node->next_seq : LINES_MAX;
        f->next = node->next_seq - (history < kept ? history : kept);
        alk_list_append(&node->followers, &f->in);
        node->follower_count++;
    }
    (void)pthread_mutex_unlock(&node->lock);
    return has_room;
}

static void follow(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, on_writable};
    struct alk_node *node = ctx;
    struct follower *f = ALK_NEW(node->mem, struct follower);

    if (f == NULL) {
        alk_request_fail_err(r, ALK_E_NOMEM, NULL);
        return;
    }
    (void)atomic_fetch_add(&node->refs, 1);
    f->node = node;
    atomic_store(&f->refs, 1);
    f->loop = alk_request_loop(r);
    f->request = r;
    f->level = level_of(alk_input_text(r, "level", "info"));
    /* Too long for a component: none has such a name. */
    if (!alk_span_cstr(alk_input_text(r, "component", ""), f->component, sizeof f->component)) {
        (void)snprintf(f->component, sizeof f->component, "?");
    }
    if (!enlist(f, alk_input_u64(r, "history", 0))) {
        follower_unref(f);
        alk_request_fail(r, ALK_OPS_EXHAUSTED, "too many follow the log already");
        return;
    }
    alk_request_on(r, &calls, f);
    tell(f);
}

/* --- life ----------------------------------------------------------------------- */

alk_err alk_node_logs_init(struct alk_node *node)
{
    node->lines =
        (struct alk_node_log_line **)alk_zalloc(node->mem, LINES_MAX, sizeof *node->lines);
    if (node->lines == NULL) {
        return ALK_E_NOMEM;
    }
    (void)pthread_mutex_init(&node->lock, NULL);
    alk_list_init(&node->followers);
    node->tap = (struct alk_log_tap){.fn = on_line, .ctx = node};
    if (node->endpoint != NULL) {
        alk_endpoint_tap_log(node->endpoint, &node->tap);
    }
    return ALK_OK;
}

void alk_node_logs_stop(struct alk_node *node)
{
    if (node->endpoint != NULL) {
        alk_endpoint_untap_log(node->endpoint, &node->tap);
    }
    (void)pthread_mutex_lock(&node->lock);
    struct alk_link *l = alk_list_first(&node->followers);
    for (; l != NULL; l = alk_list_next(&node->followers, l)) {
        /* A loop that takes nothing more ends its connections, and this with them. */
        (void)post(ALK_CONTAINER(l, struct follower, in), on_stop);
    }
    (void)pthread_mutex_unlock(&node->lock);
}

void alk_node_logs_fini(struct alk_node *node)
{
    for (size_t i = 0; i < LINES_MAX; i++) {
        alk_free(node->mem, node->lines[i]);
    }
    alk_free(node->mem, node->lines);
    (void)pthread_mutex_destroy(&node->lock);
}

static const char *const admin[] = {"admin", NULL};

const struct alk_op alk_node_logs_op = {
    .struct_size = sizeof alk_node_logs_op,
    .name = "node/logs",
    .summary = "follows the node's log",
    .help = "Each line that the log takes, as configured in `log`. The last 512 are kept: history "
            "says how many of them come first. Who does not keep up is ended with SLOW_CONSUMER.",
    .kind = ALK_OP_SUBSCRIPTION,
    .access = {.all_scopes = admin},
    .fn = follow,
    .input = "{\"type\":\"object\",\"properties\":{\"level\":{\"enum\":[\"error\",\"warn\","
             "\"info\",\"debug\",\"trace\"],\"default\":\"info\",\"description\":\"this and what "
             "is worse\"},\"component\":{\"type\":\"string\",\"description\":\"of this part "
             "alone\"},\"history\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":512,"
             "\"default\":0}},\"additionalProperties\":false}",
    .output = "{\"type\":\"object\",\"required\":[\"seq\",\"time\",\"level\",\"component\","
              "\"message\"],\"properties\":{\"seq\":{\"type\":\"integer\"},\"time\":{\"type\":"
              "\"string\"},\"level\":{\"enum\":[\"error\",\"warn\",\"info\",\"debug\",\"trace\"]},"
              "\"component\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}",
};
