/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bench/fs.c - fs/read through the registry, without a connection: bytes of one file per
 * second, as base64 and as text, with a number of readers at once on one loop.
 *
 *   fs [MIB [READERS]]   one line of JSON per form: MB/s of the file's bytes, and of CPU
 */
#include "alknet/conf.h"
#include "core/auth/identity.h"
#include "core/io/loop.h"
#include "ops/dispatch.h"
#include "ops/part.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static uint64_t ended, answered;

static alk_err on_responded(void *ctx, struct alk_request *r, struct alk_span output, bool is_last)
{
    (void)ctx;
    (void)r;
    (void)is_last;
    answered += output.n;
    return ALK_OK;
}

static void on_ended(void *ctx, struct alk_request *r, const struct alk_outcome *o)
{
    (void)ctx;
    (void)r;
    if (o->code != NULL) {
        (void)fprintf(stderr, "bench/fs: %s: %s\n", o->code, o->message);
        exit(1);
    }
    ended++;
}

static const struct alk_face face = {on_responded, on_ended};

static double seconds(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void must(alk_err err, const char *what)
{
    if (err != ALK_OK) {
        (void)fprintf(stderr, "bench/fs: %s: %s\n", what, alk_err_text(err));
        exit(1);
    }
}

static void make_file(const char *dir, uint64_t mib)
{
    static char block[1 << 20];
    char path[128];
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (char)(i % 80 == 79 ? '\n' : 'a' + i % 26);
    }
    (void)snprintf(path, sizeof path, "%s/big", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (uint64_t i = 0; i < mib; i++) {
        must(write(fd, block, sizeof block) == sizeof block ? ALK_OK : ALK_E_IO, "write");
    }
    (void)close(fd);
}

static void configure(const struct alk_part *part, void *state, const char *dir)
{
    static const struct alk_conf_row table[] = {
        {.name = "fs", .type = ALK_CONF_MAP, .sub = alk_fs_rows}, {.name = NULL}};
    const struct alk_conf *conf = NULL;
    struct alk_conf_errors errors = {0};
    char yaml[160], why[256] = "";
    void *next = NULL;
    (void)snprintf(yaml, sizeof yaml, "fs: {root: %s}", dir);
    must(alk_conf_parse(NULL, (struct alk_span){(const uint8_t *)yaml, strlen(yaml)}, "bench",
                        table, &errors, &conf),
         "settings");
    must(part->prepare(state, alk_conf_get(conf, "fs"), why, sizeof why, &next), "root");
    part->commit(state, next);
    alk_conf_unref(conf);
}

static void measure(struct alk_ops *ops, struct alk_loop *loop, const struct alk_identity *caller,
                    uint64_t mib, unsigned readers, const char *form)
{
    char input[80];
    struct alk_start_spec spec = {.loop = loop, .op = ALK_LIT("fs/read"), .caller = caller};
    (void)snprintf(input, sizeof input, "{\"path\":\"big\",\"text\":%s}",
                   strcmp(form, "text") == 0 ? "true" : "false");
    spec.input = alk_span_str(input);
    ended = answered = 0;
    double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < readers; i++) {
        struct alk_request *r = NULL;
        must(alk_ops_start(ops, &spec, &face, NULL, &r), "start");
    }
    while (ended < readers) {
        (void)alk_loop_run_once(loop, 100);
    }
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double mb = (double)mib * readers * 1.048576;
    printf("{\"form\": \"%s\", \"readers\": %u, \"mb\": %.0f, \"answer_mb\": %.0f, \"mb_s\": %.0f, "
           "\"mb_cpu_s\": %.0f}\n",
           form, readers, mb, (double)answered / 1e6, mb / wall, mb / cpu);
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 256;
    unsigned readers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    struct alk_ops_options options = {.struct_size = sizeof options};
    struct alk_span scope = ALK_LIT("admin");
    struct alk_identity_spec who = {.id = ALK_LIT("bench"), .scopes = &scope, .scope_count = 1};
    const struct alk_identity *caller = NULL;
    struct alk_ops *ops = NULL;
    struct alk_loop *loop = NULL;
    char dir[] = "/tmp/alk-bench-XXXXXX", path[64], why[256] = "";
    void *state = NULL;

    if (mib == 0 || readers == 0 || mkdtemp(dir) == NULL) {
        (void)fprintf(stderr, "usage: fs [MIB [READERS]]\n");
        return 2;
    }
    make_file(dir, mib);
    must(alk_loop_new(NULL, &loop), "loop");
    must(alk_ops_new(&options, &ops), "registry");
    must(alk_identity_new(NULL, &who, why, sizeof why, &caller), "identity");
    const struct alk_part_env env = {.ops = ops};
    must(alk_fs_part.start(&env, why, sizeof why, &state), "part");
    configure(&alk_fs_part, state, dir);
    measure(ops, loop, caller, mib, readers, "data"); /* and the cache is warm */
    measure(ops, loop, caller, mib, readers, "data");
    measure(ops, loop, caller, mib, readers, "text");
    alk_fs_part.stop(state);
    alk_loop_free(loop);
    alk_ops_free(ops);
    alk_identity_unref(caller);
    (void)snprintf(path, sizeof path, "%s/big", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return 0;
}
