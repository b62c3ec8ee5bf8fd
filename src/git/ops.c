/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Each is one run of alknet-git, as host_user and confined like a fetch: what it prints is
 * taken apart here. Whether a repository may be seen is asked with the request's own rights;
 * missing and forbidden are one answer. */
#include "git/ops.h"

#include "base/mem.h"
#include "core/host/run.h"
#include "git/proto/refname.h"
#include "git/words.h"
#include "ops/dispatch.h"

#define OUTPUT_MAX    ((size_t)8 << 20)
#define LIMIT_DEFAULT 100

/* A request that waits for its program. */
struct job {
    struct alk_git_hub *hub;
    const struct alk_git_settings *settings;
    struct alk_request *request; /* NULL: cancelled */
    struct alk_run *run;         /* NULL: over */
    bool is_anonymous;
    bool runs_on; /* what it has begun it also ends, whether or not somebody still waits */
    void (*answer)(struct job *job, struct alk_span output);
    struct alk_buf output;
    struct alk_git_words words;
};

/* --- life -------------------------------------------------------------------------------- */

static void job_free(struct job *job)
{
    const struct alk_mem *mem = job->hub->mem;
    alk_git_hub_give(job->hub, job->is_anonymous);
    alk_buf_fini(&job->output);
    alk_git_words_fini(&job->words);
    alk_git_settings_unref(job->settings);
    alk_git_hub_unref(job->hub);
    alk_free(mem, job);
}

static struct job *job_new(struct alk_git_hub *hub, struct alk_request *r, const char *command,
                           const char *repo,
                           void (*answer)(struct job *job, struct alk_span output))
{
    const struct alk_git_settings *settings = alk_git_hub_settings(hub);
    bool is_anonymous = alk_request_caller(r) == NULL;
    bool has_room = alk_git_hub_take(hub, settings->instances_max, is_anonymous);
    struct job *job = has_room ? ALK_NEW(hub->mem, struct job) : NULL;
    if (job == NULL) {
        if (has_room) {
            alk_git_hub_give(hub, is_anonymous);
        }
        alk_git_settings_unref(settings);
        alk_request_fail_err(r, has_room ? ALK_E_NOMEM : ALK_E_LIMIT, NULL);
        return NULL;
    }
    job->hub = alk_git_hub_ref(hub);
    job->settings = settings;
    job->is_anonymous = is_anonymous;
    job->request = r;
    job->answer = answer;
    alk_buf_init(&job->output, hub->mem, OUTPUT_MAX);
    alk_git_words_init(&job->words, hub, settings, command, repo);
    return job;
}

static void end(struct job *job, const char *code, const char *message)
{
    struct alk_request *r = job->request;
    job->request = NULL;
    if (r != NULL && code != NULL) {
        alk_request_fail(r, code, message);
    } else if (r != NULL) {
        (void)alk_request_respond(r);
    }
}

/* --- the program ------------------------------------------------------------------------- */

static bool on_output(void *ctx, struct alk_span bytes)
{
    struct job *job = ctx;
    (void)alk_buf_put(&job->output, bytes); /* the error sticks, and is looked at at the end */
    return true;
}

static void on_ended(void *ctx, alk_err err, int status, const char *message)
{
    struct job *job = ctx;
    int code = alk_run_exit_code(status);
    job->run = NULL;
    if (err == ALK_E_LIMIT) {
        end(job, ALK_OPS_EXHAUSTED, "too many programs are running");
    } else if (err != ALK_OK) {
        alk_git_say(job->hub, ALK_LOG_ERROR, "", "%s: %s", alk_git_helper(job->hub, job->settings),
                    message);
        end(job, ALK_OPS_UNAVAILABLE, "git cannot be run now");
    } else if (code == ALK_GIT_STATUS_MISSING) {
        end(job, ALK_OPS_NOT_FOUND, "there is no such repository, or ref");
    } else if (code == ALK_GIT_STATUS_EXISTS) {
        end(job, ALK_OPS_CONFLICT, "there is such a repository already");
    } else if (code != 0) {
        end(job, ALK_OPS_INTERNAL, "git failed; the node's log says why");
    } else if (job->output.err != ALK_OK) {
        end(job, ALK_OPS_TOO_LARGE, "that is too much for one answer");
    } else if (job->request != NULL) {
        job->answer(job, alk_buf_span(&job->output));
    }
    job_free(job);
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    struct job *job = ctx;
    job->request = NULL;
    alk_request_fail(r, ALK_OPS_ABORTED, NULL);
    if (job->run != NULL && !job->runs_on) {
        struct alk_run *run = job->run;
        job->run = NULL;
        alk_run_cancel(run);
        job_free(job);
    }
}

static void start(struct job *job)
{
    static const struct alk_run_calls run_calls = {.output = on_output, .ended = on_ended};
    static const struct alk_request_calls request_calls = {.cancelled = on_cancelled};
    static const char *const env[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    struct alk_git_hub *hub = job->hub;
    const char *const *argv = NULL;
    alk_err err = alk_git_words_argv(&job->words, hub, "", &argv);
    const struct alk_run_spec spec = {
        .mem = hub->mem,
        .spawner = hub->spawner,
        .loop = alk_request_loop(job->request),
        .argv = argv,
        .env = env,
        .log = hub->log,
        .log_ctx = hub->log_ctx,
        .name = hub->name,
    };
    if (err == ALK_OK) {
        err = alk_run_start(&spec, &run_calls, job, &job->run);
    }
    if (err != ALK_OK) {
        end(job, err == ALK_E_LIMIT ? ALK_OPS_EXHAUSTED : ALK_OPS_UNAVAILABLE, NULL);
        job_free(job);
        return;
    }
    alk_request_on(job->request, &request_calls, job);
}

/* --- rights ------------------------------------------------------------------------------ */

static bool may_see(const struct alk_git_settings *set, const struct alk_request *r,
                    struct alk_span name)
{
    return alk_git_settings_rule(set, name)->is_public ||
           alk_request_may(r, ALK_LIT("repo"), name, ALK_LIT("read"), (struct alk_span){0});
}

/* The repository that the input names. False: the request has been ended. An action other
 * than read is refused as missing to those who may not even read. */
static bool find(struct alk_git_hub *hub, struct alk_request *r, const char *action,
                 struct alk_git_repopath *ret)
{
    const struct alk_git_settings *set = alk_git_hub_settings(hub);
    struct alk_span name = {0};
    const char *code = NULL;
    if (alk_git_repopath_parse(alk_input_text(r, "repository", ""), ret) == ALK_OK) {
        name = alk_span(ret->name, ret->n);
    } else {
        code = ALK_OPS_INVALID_INPUT;
    }
    bool is_read = strcmp(action, "read") == 0;
    if (code == NULL && !is_read &&
        alk_request_may(r, ALK_LIT("repo"), name, alk_span_str(action), (struct alk_span){0})) {
        alk_git_settings_unref(set);
        return true;
    }
    if (code == NULL && !may_see(set, r, name)) {
        code = ALK_OPS_NOT_FOUND;
    } else if (code == NULL && !is_read) {
        code = ALK_OPS_FORBIDDEN;
    }
    alk_git_settings_unref(set);
    if (code != NULL) {
        alk_request_fail(
            r, code, strcmp(code, ALK_OPS_NOT_FOUND) == 0 ? "there is no such repository" : NULL);
    }
    return code == NULL;
}

/* --- output ------------------------------------------------------------------------------ */

/* The next of the words that alknet-git prints. False: no more. */
static bool next_word(struct alk_span *rest, struct alk_span *ret)
{
    if (rest->n == 0) {
        return false;
    }
    *ret = alk_span_cut(rest, 0);
    return true;
}

/* `count` of them; git ends its lines behind the last one. */
static bool next_words(struct alk_span *rest, struct alk_span *words, size_t count)
{
    if (rest->n > 0 && rest->p[0] == '\n') {
        *rest = alk_span_tail(*rest, 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (!next_word(rest, &words[i])) {
            return false;
        }
    }
    return true;
}

static void put_text(struct alk_out *out, const char *key, struct alk_span text)
{
    alk_out_key(out, key);
    alk_out_span(out, text);
}

/* {"<key>": [ ... up to here */
static struct alk_out *begin_list(struct job *job, const char *key)
{
    struct alk_out *out = alk_request_out(job->request);
    alk_out_object(out);
    alk_out_key(out, key);
    alk_out_array(out);
    return out;
}

static void end_list(struct job *job, bool has_more)
{
    struct alk_out *out = alk_request_out(job->request);
    alk_out_end(out);
    alk_out_key(out, "more");
    alk_out_bool(out, has_more);
    alk_out_end(out);
    end(job, NULL, NULL);
}

static uint64_t limit_of(const struct alk_request *r)
{
    return alk_input_u64(r, "limit", LIMIT_DEFAULT);
}

/* --- git/list ---------------------------------------------------------------------------- */

/* The names come sorted by bytes. */
static void answer_list(struct job *job, struct alk_span output)
{
    struct alk_out *out = begin_list(job, "repositories");
    char after[ALK_GIT_REPO_NAME_MAX + 1];
    uint64_t left = limit_of(job->request);
    struct alk_span name;
    bool has_more = false;
    (void)alk_span_cstr(alk_input_text(job->request, "after", ""), after, sizeof after);
    while (!has_more && next_word(&output, &name)) {
        const char *text = (const char *)name.p; /* zero-terminated, as it was printed */
        if (strcmp(text, after) <= 0 || !may_see(job->settings, job->request, name)) {
            continue;
        }
        if (left == 0) {
            has_more = true;
            break;
        }
        const struct alk_git_rule *rule = alk_git_settings_rule(job->settings, name);
        left--;
        alk_out_object(out);
        put_text(out, "name", name);
        alk_out_key(out, "public");
        alk_out_bool(out, rule->is_public);
        alk_out_key(out, "read_only");
        alk_out_bool(out, rule->is_read_only);
        alk_out_end(out);
    }
    end_list(job, has_more);
}

static void list(void *ctx, struct alk_request *r)
{
    struct job *job = job_new(ctx, r, "list", "-", answer_list);
    if (job != NULL) {
        start(job);
    }
}

/* --- git/create, git/delete -------------------------------------------------------------- */

static void answer_nothing(struct job *job, struct alk_span output)
{
    (void)output;
    end(job, NULL, NULL);
}

static void create(void *ctx, struct alk_request *r)
{
    struct alk_git_repopath p;
    if (!find(ctx, r, "write", &p)) {
        return;
    }
    struct job *job = job_new(ctx, r, "create", p.name, answer_nothing);
    if (job != NULL) {
        job->runs_on = true;
        alk_git_words_put(&job->words, "--branch=%s", job->settings->branch);
        start(job);
    }
}

static void delete_one(void *ctx, struct alk_request *r)
{
    struct alk_git_repopath p;
    if (!find(ctx, r, "delete", &p)) {
        return;
    }
    struct job *job = job_new(ctx, r, "delete", p.name, answer_nothing);
    if (job != NULL) {
        job->runs_on = true;
        start(job);
    }
}

/* --- git/refs ---------------------------------------------------------------------------- */

static void answer_refs(struct job *job, struct alk_span output)
{
    struct alk_out *out = begin_list(job, "refs");
    uint64_t left = limit_of(job->request);
    struct alk_span words[3];
    bool has_more = false;
    while (next_words(&output, words, 3)) {
        if (left == 0) {
            has_more = true;
            break;
        }
        left--;
        alk_out_object(out);
        put_text(out, "ref", words[0]);
        put_text(out, "id", words[1]);
        if (words[2].n > 0) {
            put_text(out, "peeled", words[2]);
        }
        alk_out_end(out);
    }
    end_list(job, has_more);
}

static void refs(void *ctx, struct alk_request *r)
{
    struct alk_git_repopath p;
    struct alk_span prefix = alk_input_text(r, "prefix", "refs/");
    if (!find(ctx, r, "read", &p)) {
        return;
    }
    struct job *job = job_new(ctx, r, "refs", p.name, answer_refs);
    if (job != NULL) {
        alk_git_words_put(&job->words, "--ref=" ALK_SPAN_FMT, ALK_SPAN_ARG(prefix));
        alk_git_words_put(&job->words, "--limit=%llu", (unsigned long long)limit_of(r) + 1);
        start(job);
    }
}

/* --- git/log ----------------------------------------------------------------------------- */

static void put_commit(struct alk_out *out, const struct alk_span words[static 6])
{
    struct alk_span parents = words[1];
    uint64_t time_s = 0;
    alk_out_object(out);
    put_text(out, "id", words[0]);
    alk_out_key(out, "parents");
    alk_out_array(out);
    while (parents.n > 0) {
        alk_out_span(out, alk_span_cut(&parents, ' '));
    }
    alk_out_end(out);
    put_text(out, "author", words[2]);
    put_text(out, "mail", words[3]);
    alk_out_key(out, "time");
    (void)alk_span_u64(words[4], UINT32_MAX, &time_s);
    alk_out_u64(out, time_s);
    put_text(out, "subject", words[5]);
    alk_out_end(out);
}

static void answer_log(struct job *job, struct alk_span output)
{
    struct alk_out *out = begin_list(job, "commits");
    uint64_t left = limit_of(job->request);
    struct alk_span words[6];
    bool has_more = false;
    while (next_words(&output, words, 6)) {
        if (left == 0) {
            has_more = true;
            break;
        }
        left--;
        put_commit(out, words);
    }
    end_list(job, has_more);
}

static void log_of(void *ctx, struct alk_request *r)
{
    struct alk_git_repopath p;
    struct alk_span ref = alk_input_text(r, "ref", "HEAD");
    if (!alk_span_is(ref, "HEAD") && !alk_git_id_is_valid(ref) &&
        !(alk_span_starts(ref, ALK_LIT("refs/")) && alk_git_ref_is_valid(ref))) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT, "ref must be the full name of a ref, or an id");
        return;
    }
    if (!find(ctx, r, "read", &p)) {
        return;
    }
    struct job *job = job_new(ctx, r, "log", p.name, answer_log);
    if (job != NULL) {
        alk_git_words_put(&job->words, "--ref=" ALK_SPAN_FMT, ALK_SPAN_ARG(ref));
        alk_git_words_put(&job->words, "--skip=%llu",
                          (unsigned long long)alk_input_u64(r, "skip", 0));
        alk_git_words_put(&job->words, "--limit=%llu", (unsigned long long)limit_of(r) + 1);
        start(job);
    }
}

/* --- the table --------------------------------------------------------------------------- */

#define REPO                                                                                       \
    "\"repository\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":260,\"description\":"       \
    "\"its name, such as team/site\"}"
#define LIMIT                                                                                      \
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"description\":\"default "    \
    "100\"}"
#define OF_REPO                                                                                    \
    "{\"type\":\"object\",\"required\":[\"repository\"],\"additionalProperties\":false,"           \
    "\"properties\":{" REPO

static const struct alk_op OPS[] = {
    {.name = "git/list",
     .summary = "lists repositories that the caller may read",
     .help = "By name; `after` is the last name of the answer before. Public ones are listed for "
             "everybody.",
     .kind = ALK_OP_QUERY,
     .flags = ALK_OP_PUBLIC,
     .input = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" LIMIT ","
              "\"after\":{\"type\":\"string\",\"maxLength\":255}}}",
     .output = "{\"type\":\"object\",\"required\":[\"repositories\",\"more\"]}",
     .fn = list},
    {.name = "git/create",
     .summary = "makes an empty repository",
     .help = "Needs the grant `write` on its name. CONFLICT when there is one.",
     .kind = ALK_OP_MUTATION,
     .input = OF_REPO "}}",
     .fn = create},
    {.name = "git/refs",
     .summary = "lists the refs of a repository",
     .help = "`prefix`: those beneath it, such as refs/tags/. `peeled`: what an annotated tag is "
             "of.",
     .kind = ALK_OP_QUERY,
     .flags = ALK_OP_PUBLIC,
     .input = OF_REPO "," LIMIT ",\"prefix\":{\"type\":\"string\",\"pattern\":\"^refs/\","
                      "\"maxLength\":1024}}}",
     .output = "{\"type\":\"object\",\"required\":[\"refs\",\"more\"]}",
     .fn = refs},
    {.name = "git/log",
     .summary = "lists commits, the newest first",
     .kind = ALK_OP_QUERY,
     .flags = ALK_OP_PUBLIC,
     .input = OF_REPO "," LIMIT ",\"ref\":{\"type\":\"string\",\"maxLength\":1024,"
                      "\"description\":\"full name or id; default HEAD\"},"
                      "\"skip\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":1000000}}}",
     .output = "{\"type\":\"object\",\"required\":[\"commits\",\"more\"]}",
     .fn = log_of},
    {.name = "git/delete",
     .summary = "deletes a repository",
     .help = "Needs the grant `delete` on its name. There is no way back.",
     .kind = ALK_OP_MUTATION,
     .input = OF_REPO "}}",
     .fn = delete_one},
};
#define OPS_COUNT (sizeof OPS / sizeof OPS[0])

static void release(void *ctx)
{
    alk_git_hub_unref(ctx);
}

alk_err alk_git_ops_add(struct alk_git_hub *hub)
{
    char why[256] = "";
    alk_err err = ALK_OK;
    for (size_t i = 0; i < OPS_COUNT && hub->ops != NULL && err == ALK_OK; i++) {
        struct alk_op op = OPS[i];
        op.struct_size = sizeof op;
        op.release = release;
        err = alk_ops_add(hub->ops, &op, alk_git_hub_ref(hub), why, sizeof why);
    }
    if (err != ALK_OK) {
        alk_git_say(hub, ALK_LOG_ERROR, "", "operations: %s",
                    why[0] == '\0' ? alk_err_text(err) : why);
        alk_git_ops_remove(hub);
    }
    return err;
}

void alk_git_ops_remove(struct alk_git_hub *hub)
{
    for (size_t i = 0; i < OPS_COUNT && hub->ops != NULL; i++) {
        (void)alk_ops_remove(hub->ops, OPS[i].name);
    }
}
