/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fs/read and fs/watch: answers over time. */
#include "base/mem.h"
#include "core/io/work.h"
#include "ops/fs.h"
#include "ops/out.h"

#include <stdatomic.h>

/* --- fs/read ------------------------------------------------------------------------ */

/* One piece at a time: read on a thread, told on the loop, and the next one only when
 * that was taken. */
struct reader {
    const struct alk_mem *mem;
    struct alk_tree *tree;       /* a reference */
    struct alk_request *request; /* NULL: nobody waits any more */
    char *path;                  /* owns; until the file is open */
    size_t path_n;
    int fd;
    uint64_t at, end; /* the next byte; one past the last wanted */
    size_t got;
    bool is_over;    /* the file has ended */
    bool is_working; /* a thread has it */
    alk_err err;
    uint8_t data[ALK_FS_CHUNK];
};

static void reader_free(struct reader *f)
{
    if (f->fd >= 0) {
        alk_tree_close_file(f->fd);
    }
    alk_tree_unref(f->tree);
    alk_free(f->mem, f->path);
    alk_free(f->mem, f);
}

static void read_step(void *arg)
{
    struct reader *f = (struct reader *)arg;
    struct alk_tree_stat st;
    size_t want = f->end - f->at < ALK_FS_CHUNK ? (size_t)(f->end - f->at) : ALK_FS_CHUNK;

    f->err = ALK_OK;
    if (f->fd < 0) {
        f->err = alk_tree_open_file(f->tree, alk_span(f->path, f->path_n), &f->fd, &st);
    }
    if (f->err == ALK_OK) {
        f->err = alk_tree_read(f->fd, f->at, f->data, want, &f->got);
    }
    f->is_over = f->got < want || f->at + f->got >= f->end;
}

static void read_more(struct reader *f);

static void finish_reader(struct reader *f, alk_err err)
{
    struct alk_request *r = f->request;
    f->request = NULL;
    if (err != ALK_OK) {
        alk_fs_fail(r, err);
    } else {
        alk_request_complete(r);
    }
    reader_free(f);
}

/* What was read has been told. */
static void go_on(struct reader *f)
{
    if (f->is_over) {
        finish_reader(f, ALK_OK);
    } else {
        read_more(f);
    }
}

static void tell_piece(struct reader *f)
{
    struct alk_out *out = alk_request_out(f->request);
    alk_out_object(out);
    alk_out_key(out, "offset");
    alk_out_u64(out, f->at);
    alk_out_key(out, "data");
    alk_out_base64(out, alk_span(f->data, f->got));
    alk_out_end(out);
    f->at += f->got;
    if (alk_request_respond(f->request) != ALK_FULL) {
        go_on(f);
    } /* else `writable` follows */
}

static void read_done(void *arg)
{
    struct reader *f = (struct reader *)arg;
    f->is_working = false;
    if (f->request == NULL) {
        reader_free(f);
    } else if (f->err != ALK_OK) {
        finish_reader(f, f->err);
    } else if (f->got == 0) {
        finish_reader(f, ALK_OK);
    } else {
        tell_piece(f);
    }
}

static void read_more(struct reader *f)
{
    f->got = 0;
    f->is_working = true;
    alk_err err = alk_work(alk_request_loop(f->request), read_step, read_done, f);
    if (err != ALK_OK) {
        f->is_working = false;
        finish_reader(f, err);
    }
}

static void read_writable(void *ctx, struct alk_request *r)
{
    struct reader *f = (struct reader *)ctx;
    if (alk_request_respond(r) != ALK_FULL) {
        go_on(f);
    }
}

static void read_cancelled(void *ctx, struct alk_request *r)
{
    struct reader *f = (struct reader *)ctx;
    f->request = NULL;
    alk_request_fail(r, "ABORTED", NULL);
    if (!f->is_working) {
        reader_free(f);
    }
}

void alk_fs_read(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {read_cancelled, read_writable};
    const struct alk_fs_root *root = (const struct alk_fs_root *)ctx;
    struct alk_span path = alk_input_text(r, "path", "");
    uint64_t length = alk_input_u64(r, "length", UINT64_MAX);
    struct reader *f = ALK_NEW(alk_fs_mem(root), struct reader);

    if (f == NULL) {
        alk_fs_fail(r, ALK_E_NOMEM);
        return;
    }
    f->mem = alk_fs_mem(root);
    f->tree = alk_tree_ref(alk_fs_tree(root));
    f->request = r;
    f->fd = -1;
    f->at = alk_input_u64(r, "offset", 0);
    f->path = alk_strdup_span(f->mem, path);
    f->path_n = path.n;
    if (f->path == NULL || f->at > INT64_MAX) {
        f->request = NULL;
        alk_fs_fail(r, f->path == NULL ? ALK_E_NOMEM : ALK_E_INVALID);
        reader_free(f);
        return;
    }
    f->end = length > (uint64_t)INT64_MAX - f->at ? (uint64_t)INT64_MAX : f->at + length;
    alk_request_on(r, &calls, f);
    read_more(f);
}

/* --- fs/watch -------------------------------------------------------------------------- */

/* lint: globals: the system's limit of watches is the process's too */
static atomic_uint watchers;

struct watcher {
    const struct alk_mem *mem;
    struct alk_tree *tree;
    struct alk_request *request;
    char *path;
    size_t path_n;
    int fd;
    struct alk_watch *watch;
    bool is_working, is_full, is_gone;
    bool has_lost; /* told as an overflow once there is room */
    alk_err err;
};

static void watcher_free(struct watcher *w)
{
    alk_watch_free(w->watch);
    if (w->fd >= 0) {
        alk_tree_close_file(w->fd);
    }
    alk_tree_unref(w->tree);
    alk_free(w->mem, w->path);
    alk_free(w->mem, w);
    (void)atomic_fetch_sub(&watchers, 1);
}

static void tell_what(struct watcher *w, const char *what, struct alk_span name)
{
    struct alk_out *out = alk_request_out(w->request);
    alk_out_object(out);
    alk_out_key(out, "what");
    alk_out_text(out, what);
    if (name.n > 0) {
        alk_out_key(out, "name");
        alk_out_span(out, name);
    }
    alk_out_end(out);
    w->is_full = alk_request_respond(w->request) == ALK_FULL;
}

static void on_change(void *ctx, const struct alk_tree_change *c)
{
    struct watcher *w = (struct watcher *)ctx;
    w->is_gone = w->is_gone || c->is_gone;
    if (w->request == NULL) {
        return;
    }
    if (w->is_full) {
        w->has_lost = true;
    } else {
        tell_what(w, c->what, c->name);
    }
}

static void watch_over(struct watcher *w, alk_err err)
{
    struct alk_request *r = w->request;
    w->request = NULL;
    if (r != NULL && err != ALK_OK) {
        alk_fs_fail(r, err);
    } else if (r != NULL) {
        alk_request_complete(r);
    }
    watcher_free(w);
}

static void on_ready(void *ctx, unsigned ready)
{
    struct watcher *w = (struct watcher *)ctx;
    (void)ready;
    w->is_working = true; /* a cancel inside must not free it */
    alk_err err = alk_tree_watch_read(w->fd, on_change, w);
    w->is_working = false;
    if (w->request == NULL || w->is_gone || err < 0) {
        watch_over(w, err < 0 ? err : ALK_OK);
    }
}

static void watch_writable(void *ctx, struct alk_request *r)
{
    struct watcher *w = (struct watcher *)ctx;
    w->is_full = alk_request_respond(r) == ALK_FULL;
    if (!w->is_full && w->has_lost) {
        w->has_lost = false;
        tell_what(w, "overflow", (struct alk_span){0});
    }
}

static void watch_cancelled(void *ctx, struct alk_request *r)
{
    struct watcher *w = (struct watcher *)ctx;
    w->request = NULL;
    alk_request_fail(r, "ABORTED", NULL);
    if (!w->is_working) {
        watcher_free(w);
    }
}

static void watch_open(void *arg)
{
    struct watcher *w = (struct watcher *)arg;
    w->err = alk_tree_watch(w->tree, alk_span(w->path, w->path_n), &w->fd);
}

static void watch_opened(void *arg)
{
    struct watcher *w = (struct watcher *)arg;
    w->is_working = false;
    if (w->request == NULL) {
        watcher_free(w);
        return;
    }
    if (w->err == ALK_OK) {
        w->err =
            alk_watch_new(alk_request_loop(w->request), w->fd, ALK_FD_READ, on_ready, w, &w->watch);
    }
    if (w->err != ALK_OK) {
        watch_over(w, w->err);
    }
}

void alk_fs_watch(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {watch_cancelled, watch_writable};
    const struct alk_fs_root *root = (const struct alk_fs_root *)ctx;
    struct alk_span path = alk_input_text(r, "path", "");

    if (atomic_fetch_add(&watchers, 1) >= ALK_FS_WATCH_MAX) {
        (void)atomic_fetch_sub(&watchers, 1);
        alk_fs_fail(r, ALK_E_LIMIT);
        return;
    }
    struct watcher *w = ALK_NEW(alk_fs_mem(root), struct watcher);
    if (w == NULL) {
        (void)atomic_fetch_sub(&watchers, 1);
        alk_fs_fail(r, ALK_E_NOMEM);
        return;
    }
    w->mem = alk_fs_mem(root);
    w->tree = alk_tree_ref(alk_fs_tree(root));
    w->request = r;
    w->fd = -1;
    w->path = alk_strdup_span(w->mem, path);
    w->path_n = path.n;
    alk_request_on(r, &calls, w);
    w->is_working = true;
    alk_err err =
        w->path == NULL ? ALK_E_NOMEM : alk_work(alk_request_loop(r), watch_open, watch_opened, w);
    if (err != ALK_OK) {
        watch_over(w, err);
    }
}
