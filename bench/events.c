/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pub/sub inside one process, one loop:
 *
 *   events [--seconds S] [--size BYTES] [--dir DIR] [--only hub|operations|durable]
 *
 * For 1, 10 and 1 000 subscriptions of the topic: what one publish costs the hub, and
 * the same as operations with a face that does nothing (no wire, no TLS). Then durable
 * events per second with 1, 16, 256 and 4096 under way. Prints one line per row, times
 * in CPU nanoseconds of the whole process. */
#include "core/auth/identity.h"
#include "core/io/loop.h"
#include "core/store/event_log.h"
#include "ops/dispatch.h"
#include "ops/events_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BURST = 64 };

static char data[65536];
static double seconds = 1;
static size_t size = 300;
static const char *dir = "/tmp";
static const char *only;

static void die(const char *what, alk_err err)
{
    (void)fprintf(stderr, "events: %s: %s\n", what, alk_err_text(err));
    exit(1);
}

static void check(const char *what, alk_err err)
{
    if (err < 0) {
        die(what, err);
    }
}

static double cpu_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct world {
    struct alk_loop *loop;
    struct alk_ops *ops;
    void *part;
    struct alk_events *hub;
    const struct alk_identity *boss;
    size_t delivered, answered;
};

static void world_init(struct world *w)
{
    char why[256] = "";
    struct alk_ops_options options = {.struct_size = sizeof options};
    struct alk_span admin = {(const uint8_t *)"admin", 5};
    struct alk_identity_spec spec = {
        .id = {(const uint8_t *)"boss", 4}, .scopes = &admin, .scope_count = 1};
    *w = (struct world){.loop = NULL};
    check("loop", alk_loop_new(NULL, &w->loop));
    check("registry", alk_ops_new(&options, &w->ops));
    struct alk_part_env env = {.ops = w->ops};
    check(why, alk_events_part.start(&env, why, sizeof why, &w->part));
    w->hub = alk_events_part_hub(w->part);
    check("identity", alk_identity_new(NULL, &spec, why, sizeof why, &w->boss));
}

static void world_fini(struct world *w)
{
    alk_events_part.stop(w->part);
    (void)alk_loop_run_once(w->loop, 0);
    (void)alk_loop_run_once(w->loop, 0);
    alk_loop_free(w->loop);
    alk_ops_free(w->ops);
    alk_identity_unref(w->boss);
}

/* --- the hub alone ---------------------------------------------------------------- */

static alk_err sink_event(void *ctx, struct alk_span json)
{
    struct world *w = ctx;
    w->delivered += json.n > 0;
    return ALK_OK;
}

static void sink_ended(void *ctx, const char *code, const char *message, uint64_t oldest)
{
    (void)ctx;
    (void)code;
    (void)message;
    (void)oldest;
}

static const struct alk_identity *sink_caller(void *ctx)
{
    const struct world *w = ctx;
    return w->boss;
}

static bool sink_has_scope(void *ctx, const char *scope)
{
    (void)ctx;
    return scope != NULL;
}

static const struct alk_event_sink sink = {
    .event = sink_event, .ended = sink_ended, .caller = sink_caller, .has_scope = sink_has_scope};

static const struct alk_span TOPIC = {(const uint8_t *)"bench.topic.one", 15};

static void subscribe(struct world *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct alk_event_sub *sub;
        struct alk_event_listen o = {
            .loop = w->loop, .patterns = &TOPIC, .count = 1, .sink = &sink, .ctx = w};
        check("subscribe", alk_events_subscribe(w->hub, &o, &sub));
    }
}

static void row(const char *what, size_t subs, double ns, size_t published, size_t delivered)
{
    printf("%-10s %5zu subscribers: %8.0f ns a publish, %6.0f ns a delivery, %8.0f publishes/s\n",
           what, subs, ns / (double)published, ns / (double)delivered,
           (double)published * 1e9 / ns);
}

static void hub_row(size_t subs)
{
    struct world w;
    size_t published = 0;
    world_init(&w);
    subscribe(&w, subs);
    double begin = cpu_ns(), ns = 0;
    while (ns < seconds * 1e9) {
        for (int i = 0; i < BURST; i++) {
            uint64_t seq;
            struct alk_publish p = {.topic = TOPIC,
                                    .data = {(const uint8_t *)data, size},
                                    .publisher = alk_identity_id(w.boss)};
            check("publish", alk_events_publish(w.hub, w.loop, &p, NULL, NULL, &seq));
        }
        published += BURST;
        while (w.delivered < published * subs) {
            (void)alk_loop_run_once(w.loop, 0);
        }
        ns = cpu_ns() - begin;
    }
    row("hub", subs, ns, published, w.delivered);
    world_fini(&w);
}

/* --- as operations ------------------------------------------------------------------ */

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    struct world *w = ctx;
    (void)r;
    w->delivered += !is_last && output.n > 0;
    w->answered += is_last;
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    (void)ctx;
    (void)r;
    if (o->code != NULL && strcmp(o->code, "UNAVAILABLE") != 0) {
        die(o->code, ALK_E_INTERNAL);
    }
}

static const struct alk_face face = {on_responded, on_ended};

static void start(struct world *w, const char *op, const char *input)
{
    struct alk_request *r;
    struct alk_start_spec spec = {
        .loop = w->loop, .op = alk_span_str(op), .input = alk_span_str(input), .caller = w->boss};
    check("start", alk_ops_start(w->ops, &spec, &face, w, &r));
}

static void op_row(size_t subs)
{
    struct world w;
    static char input[70000];
    size_t published = 0;
    (void)snprintf(input, sizeof input, "{\"topic\":\"bench.topic.one\",\"data\":%.*s}", (int)size,
                   data);
    world_init(&w);
    for (size_t i = 0; i < subs; i++) {
        start(&w, "events/subscribe", "{\"topics\":[\"bench.topic.one\"]}");
    }
    (void)alk_loop_run_once(w.loop, 0);
    double begin = cpu_ns(), ns = 0;
    while (ns < seconds * 1e9) {
        for (int i = 0; i < BURST; i++) {
            start(&w, "events/publish", input);
        }
        published += BURST;
        while (w.delivered < published * subs) {
            (void)alk_loop_run_once(w.loop, 0);
        }
        ns = cpu_ns() - begin;
    }
    row("operations", subs, ns, published, w.delivered);
    world_fini(&w);
}

/* --- durable ------------------------------------------------------------------------- */

static void on_stored(void *ctx, alk_err err, uint64_t seq)
{
    struct world *w = ctx;
    (void)seq;
    check("store", err);
    w->answered++;
}

static void durable_row(size_t under_way)
{
    struct world w;
    char path[4096], file[4200];
    struct alk_event_store *store = NULL;
    const struct alk_conf *conf = NULL;
    void *next = NULL;
    char why[256] = "";
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    world_init(&w);
    (void)snprintf(path, sizeof path, "%s/alknet-bench-XXXXXX", dir);
    if (mkdtemp(path) == NULL) {
        die(path, ALK_E_IO);
    }
    struct alk_event_log_options o = {.dir = path, .writer = alk_events_writer(w.hub)};
    check("log", alk_event_log_open(&o, NULL, &store));
    alk_events_set_store(w.hub, store);
    struct alk_conf_errors errors = {0};
    check("rules", alk_conf_parse(NULL, alk_span_str("topics: [{match: 'bench.>', durable: true}]"),
                                  "bench", alk_events_rows, &errors, &conf));
    check(why, alk_events_part.prepare(w.part, conf, why, sizeof why, &next));
    alk_events_part.commit(w.part, next);
    subscribe(&w, 1);
    size_t published = 0;
    alk_time begin = alk_clock_now();
    double cpu = cpu_ns();
    while ((double)(alk_clock_now() - begin) < seconds * 1e9) {
        while (published - w.answered < under_way) {
            uint64_t seq;
            struct alk_publish p = {.topic = TOPIC,
                                    .data = {(const uint8_t *)data, size},
                                    .publisher = alk_identity_id(w.boss)};
            check("publish", alk_events_publish(w.hub, w.loop, &p, on_stored, &w, &seq));
            published++;
        }
        (void)alk_loop_run_once(w.loop, 1000);
    }
    double wall = (double)(alk_clock_now() - begin);
    printf("durable    %5zu under way:   %8.0f acknowledged/s, %.0f CPU ns each\n", under_way,
           (double)w.answered * 1e9 / wall, (cpu_ns() - cpu) / (double)w.answered);
    alk_conf_unref(conf);
    world_fini(&w);
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(file, sizeof file, "%s/%s%s", path, ALK_EVENT_LOG_FILE, suffixes[i]);
        (void)remove(file);
    }
    (void)remove(path);
}

static bool is_on(const char *what)
{
    return only == NULL || strcmp(only, what) == 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0) {
            seconds = strtod(argv[i + 1], NULL);
        } else if (strcmp(argv[i], "--size") == 0) {
            size = strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--dir") == 0) {
            dir = argv[i + 1];
        } else if (strcmp(argv[i], "--only") == 0) {
            only = argv[i + 1];
        } else {
            (void)fprintf(stderr, "usage: events [--seconds S] [--size BYTES] [--dir DIR] [--only "
                                  "hub|operations|durable]\n");
            return 2;
        }
    }
    size = size < 2 ? 2 : size >= sizeof data ? sizeof data - 1 : size;
    memset(data, 'x', sizeof data);
    data[0] = data[size - 1] = '"';
    static const size_t subs[] = {1, 10, 1000}, under_way[] = {1, 16, 256, 4096};
    for (size_t i = 0; i < 3 && is_on("hub"); i++) {
        hub_row(subs[i]);
    }
    for (size_t i = 0; i < 3 && is_on("operations"); i++) {
        op_row(subs[i]);
    }
    for (size_t i = 0; i < 4 && is_on("durable"); i++) {
        durable_row(under_way[i]);
    }
    return 0;
}
