/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What is done in one step: list, stat, write, mkdir, remove, rename. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "ops/dispatch.h"
#include "ops/fs.h"
#include "ops/out.h"

#include <stdatomic.h>
#include <string.h>

struct job;
typedef alk_err job_fn(struct job *job);

/* Between the loop and a thread: while it is under way only `request` belongs to the
 * loop, everything else to the thread. */
struct job {
    const struct alk_mem *mem;
    struct alk_tree *tree;       /* a reference */
    struct alk_request *request; /* NULL: nobody waits any more */
    job_fn *fn;
    char *path, *to, *after; /* own */
    size_t path_n, to_n, after_n, limit;
    uint8_t *data;
    size_t data_n, held; /* held: counted in `writing` */
    struct alk_tree_write write;
    char if_match[65];
    const char *conflict; /* what ALK_E_BUSY means */
    struct alk_out out;
    alk_err err;
};

/* lint: globals: the limit is the node's, whatever its loops */
static atomic_size_t writing;

static void job_free(struct job *j)
{
    (void)atomic_fetch_sub(&writing, j->held);
    alk_tree_unref(j->tree);
    alk_free(j->mem, j->path);
    alk_free(j->mem, j->to);
    alk_free(j->mem, j->after);
    alk_free(j->mem, j->data);
    alk_out_fini(&j->out);
    alk_free(j->mem, j);
}

static void on_cancelled(void *ctx, struct alk_request *r)
{
    ((struct job *)ctx)->request = NULL;
    alk_request_fail(r, "ABORTED", NULL);
}

static void run_job(void *arg)
{
    struct job *j = (struct job *)arg;
    j->err = j->fn(j);
}

static void job_done(void *arg)
{
    struct job *j = (struct job *)arg;
    struct alk_request *r = j->request;
    struct alk_span text;

    if (r != NULL && j->err == ALK_OK) {
        alk_err err = alk_out_done(&j->out, &text);
        if (err == ALK_OK) {
            alk_out_json(alk_request_out(r), text);
            (void)alk_request_respond(r);
        } else {
            alk_fs_fail(r, err);
        }
    } else if (r != NULL && j->err == ALK_E_BUSY && j->conflict != NULL) {
        alk_request_fail(r, ALK_OPS_CONFLICT, j->conflict);
    } else if (r != NULL) {
        alk_fs_fail(r, j->err);
    }
    job_free(j);
}

static bool copy(const struct alk_mem *mem, struct alk_span s, char **ret, size_t *ret_n)
{
    *ret = alk_strdup_span(mem, s);
    *ret_n = s.n;
    return *ret != NULL;
}

static struct job *job_new(void *ctx, struct alk_request *r, job_fn *fn)
{
    struct alk_fs_root *root = (struct alk_fs_root *)ctx;
    const struct alk_mem *mem = alk_fs_mem(root);
    struct job *j = ALK_NEW(mem, struct job);
    if (j == NULL) {
        return NULL;
    }
    j->mem = mem;
    j->tree = alk_fs_tree(root);
    j->request = r;
    j->fn = fn;
    alk_out_init(&j->out, mem, (size_t)1 << 20);
    if (!copy(mem, alk_input_text(r, "path", ""), &j->path, &j->path_n) ||
        !copy(mem, alk_input_text(r, "to", ""), &j->to, &j->to_n) ||
        !copy(mem, alk_input_text(r, "after", ""), &j->after, &j->after_n)) {
        job_free(j);
        return NULL;
    }
    return j;
}

static void job_start(struct job *j, struct alk_request *r)
{
    static const struct alk_request_calls calls = {on_cancelled, NULL};
    if (j == NULL) {
        alk_fs_fail(r, ALK_E_NOMEM);
        return;
    }
    alk_request_on(r, &calls, j);
    alk_err err = alk_work(alk_request_loop(r), run_job, job_done, j);
    if (err != ALK_OK) {
        alk_fs_fail(r, err);
        job_free(j);
    }
}

static bool may(void *ctx, struct alk_request *r, const char *action)
{
    return alk_fs_may((const struct alk_fs_root *)ctx, r, alk_input_text(r, "path", ""), action);
}

static struct alk_span path_of(const struct job *j)
{
    return alk_span(j->path, j->path_n);
}

/* --- list, stat --------------------------------------------------------------------- */

static void put_stat(struct alk_out *out, const struct alk_tree_stat *st)
{
    alk_out_key(out, "type");
    alk_out_text(out, alk_tree_type_name(st->type));
    alk_out_key(out, "size");
    alk_out_u64(out, st->size);
    alk_out_key(out, "mtime");
    alk_out_u64(out, st->mtime_ms);
    alk_out_key(out, "mode");
    alk_out_u64(out, st->mode);
}

static void put_etag(struct alk_out *out, const struct alk_tree_stat *st)
{
    char etag[ALK_TREE_ETAG];
    alk_tree_etag(st, etag);
    alk_out_key(out, "etag");
    alk_out_text(out, etag);
}

struct listing {
    struct job *job;
    char last[ALK_TREE_NAME_MAX + 1];
};

static alk_err put_entry(void *ctx, struct alk_span name, const struct alk_tree_stat *st)
{
    struct listing *l = (struct listing *)ctx;
    struct alk_out *out = &l->job->out;
    if (alk_buf_len(&out->buf) > ALK_FS_LIST_BYTES) {
        return ALK_FULL;
    }
    alk_out_object(out);
    alk_out_key(out, "name");
    alk_out_span(out, name);
    put_stat(out, st);
    alk_out_end(out);
    (void)alk_span_cstr(name, l->last, sizeof l->last);
    return ALK_OK;
}

static alk_err do_list(struct job *j)
{
    struct listing l = {.job = j};
    uint64_t left_out = 0;
    bool has_more = false;

    alk_out_object(&j->out);
    alk_out_key(&j->out, "entries");
    alk_out_array(&j->out);
    ALK_TRY(alk_tree_list(j->tree, path_of(j), alk_span(j->after, j->after_n), j->limit, put_entry,
                          &l, &has_more, &left_out));
    alk_out_end(&j->out);
    if (has_more) {
        alk_out_key(&j->out, "next");
        alk_out_text(&j->out, l.last);
    }
    if (left_out > 0) {
        alk_out_key(&j->out, "left_out");
        alk_out_u64(&j->out, left_out);
    }
    alk_out_end(&j->out);
    return ALK_OK;
}

void alk_fs_list(void *ctx, struct alk_request *r)
{
    if (!may(ctx, r, "read")) {
        return;
    }
    struct job *j = job_new(ctx, r, do_list);
    if (j != NULL) {
        uint64_t limit = alk_input_u64(r, "limit", 1000);
        j->limit = limit > ALK_FS_LIST_MAX ? ALK_FS_LIST_MAX : (size_t)limit;
    }
    job_start(j, r);
}

static alk_err do_stat(struct job *j)
{
    struct alk_tree_stat st;
    ALK_TRY(alk_tree_stat(j->tree, path_of(j), &st));
    alk_out_object(&j->out);
    put_stat(&j->out, &st);
    put_etag(&j->out, &st);
    alk_out_end(&j->out);
    return ALK_OK;
}

void alk_fs_stat(void *ctx, struct alk_request *r)
{
    if (may(ctx, r, "read")) {
        job_start(job_new(ctx, r, do_stat), r);
    }
}

/* --- changes -------------------------------------------------------------------------- */

static alk_err do_write(struct job *j)
{
    struct alk_tree_stat st;
    ALK_TRY(alk_tree_write(j->tree, path_of(j), &j->write, &st));
    alk_out_object(&j->out);
    alk_out_key(&j->out, "size");
    alk_out_u64(&j->out, st.size);
    put_etag(&j->out, &st);
    alk_out_end(&j->out);
    return ALK_OK;
}

/* The bytes, within what may be under way. */
static alk_err take_data(struct job *j, const struct alk_request *r)
{
    bool is_text = alk_input_has(r, "text");
    struct alk_span from = alk_input_text(r, is_text ? "text" : "data", "");

    if (atomic_fetch_add(&writing, from.n) + from.n > ALK_FS_WRITING_MAX) {
        (void)atomic_fetch_sub(&writing, from.n);
        return ALK_E_LIMIT;
    }
    j->held = from.n;
    j->data = (uint8_t *)alk_alloc(j->mem, from.n + 1);
    if (j->data == NULL) {
        return ALK_E_NOMEM;
    }
    if (!is_text) {
        ALK_TRY(alk_unbase64(from, j->data, from.n + 1, &j->data_n));
    } else if (from.n > 0) {
        memcpy(j->data, from.p, from.n);
        j->data_n = from.n;
    }
    return j->data_n > ALK_FS_WRITE_MAX ? ALK_E_TOO_BIG : ALK_OK;
}

static void refuse_write(struct alk_request *r, alk_err err)
{
    if (err == ALK_E_MALFORMED) {
        alk_request_fail(r, ALK_OPS_INVALID_INPUT, "\"data\" is not base64");
    } else if (err == ALK_E_TOO_BIG) {
        alk_request_fail(r, ALK_OPS_TOO_LARGE, "one fs/write holds 720 KiB at most");
    } else {
        alk_fs_fail(r, err);
    }
}

void alk_fs_write(void *ctx, struct alk_request *r)
{
    if (!may(ctx, r, "write")) {
        return;
    }
    struct job *j = job_new(ctx, r, do_write);
    alk_err err = j == NULL ? ALK_E_NOMEM : take_data(j, r);
    if (err != ALK_OK) {
        refuse_write(r, err);
        if (j != NULL) {
            job_free(j);
        }
        return;
    }
    (void)alk_span_cstr(alk_input_text(r, "if_match", ""), j->if_match, sizeof j->if_match);
    j->conflict = "the file is not the one of that etag";
    j->write = (struct alk_tree_write){.data = alk_span(j->data, j->data_n),
                                       .has_mode = alk_input_has(r, "mode"),
                                       .mode = (unsigned)alk_input_u64(r, "mode", 0),
                                       .only_new = alk_input_bool(r, "create", false),
                                       .if_match = alk_span_str(j->if_match)};
    job_start(j, r);
}

static alk_err do_mkdir(struct job *j)
{
    return alk_tree_mkdir(j->tree, path_of(j));
}

void alk_fs_mkdir(void *ctx, struct alk_request *r)
{
    if (may(ctx, r, "write")) {
        job_start(job_new(ctx, r, do_mkdir), r);
    }
}

static alk_err do_remove(struct job *j)
{
    j->conflict = "the directory is not empty";
    return alk_tree_remove(j->tree, path_of(j));
}

void alk_fs_remove(void *ctx, struct alk_request *r)
{
    if (may(ctx, r, "write")) {
        job_start(job_new(ctx, r, do_remove), r);
    }
}

static alk_err do_rename(struct job *j)
{
    j->conflict = "the directory there is not empty";
    return alk_tree_rename(j->tree, path_of(j), alk_span(j->to, j->to_n));
}

void alk_fs_rename(void *ctx, struct alk_request *r)
{
    const struct alk_fs_root *root = (const struct alk_fs_root *)ctx;
    if (may(ctx, r, "write") && alk_fs_may(root, r, alk_input_text(r, "to", ""), "write")) {
        job_start(job_new(ctx, r, do_rename), r);
    }
}
