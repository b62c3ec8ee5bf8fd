/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fs/watch: what changes in a directory.
 *
 * A change waits ALK_FS_WATCH_DELAY, or until the caller takes more; those of the same
 * name become one meanwhile. Beyond ALK_FS_CHANGES_MAX names all of them are forgotten
 * and "overflow" is told instead, as when the system has lost some. */
#include "base/mem.h"
#include "core/io/loop.h"
#include "core/io/work.h"
#include "ops/dispatch.h"
#include "ops/fs.h"

#include <stdatomic.h>

/* lint: globals: the system's limit of watches is the process's too */
static atomic_uint watchers;

struct change {
    const char *what; /* static text */
    char *name;       /* owns */
};

struct watcher {
    const struct alk_mem *mem;
    struct alk_loop *loop;
    struct alk_loop_end loop_end;
    struct alk_tree *tree;       /* a reference */
    struct alk_request *request; /* NULL: nobody waits any more */
    char *path;                  /* owns */
    size_t path_n;
    int fd;
    struct alk_watch *watch;
    struct alk_timer delay;
    struct change changes[ALK_FS_CHANGES_MAX];
    size_t count;
    bool is_opening; /* a thread has it */
    bool is_full;    /* an answer was refused */
    bool has_lost;   /* to be told as an overflow */
    bool is_gone;    /* the directory */
    bool has_told_gone;
    alk_err err;
};

static void forget_changes(struct watcher *w)
{
    for (size_t i = 0; i < w->count; i++) {
        alk_free(w->mem, w->changes[i].name);
    }
    w->count = 0;
}

static void stop_watching(struct watcher *w)
{
    alk_watch_free(w->watch);
    w->watch = NULL;
    if (w->fd >= 0) {
        alk_tree_close_file(w->fd);
        w->fd = -1;
    }
}

static void watcher_free(struct watcher *w)
{
    alk_timer_stop(w->loop, &w->delay);
    alk_loop_end_remove(&w->loop_end);
    stop_watching(w);
    forget_changes(w);
    alk_tree_unref(w->tree);
    alk_free(w->mem, w->path);
    alk_free(w->mem, w);
    (void)atomic_fetch_sub(&watchers, 1);
}

static void watch_over(struct watcher *w, alk_err err)
{
    struct alk_request *r = w->request;
    w->request = NULL;
    if (err != ALK_OK) {
        alk_fs_fail(r, err);
    } else {
        alk_request_complete(r);
    }
    watcher_free(w);
}

/* --- telling ------------------------------------------------------------------------ */

/* False: no more for now. */
static bool tell(struct watcher *w, const char *what, const char *name)
{
    struct alk_out *out = alk_request_out(w->request);
    alk_out_object(out);
    alk_out_key(out, "what");
    alk_out_text(out, what);
    if (name != NULL) {
        alk_out_key(out, "name");
        alk_out_text(out, name);
    }
    alk_out_end(out);
    alk_err err = alk_request_respond(w->request);
    w->is_full = err == ALK_FULL;
    return err == ALK_OK; /* else `writable` or `cancelled` follows */
}

static bool tell_first(struct watcher *w)
{
    struct change first = w->changes[0];
    w->count--;
    memmove(w->changes, w->changes + 1, w->count * sizeof w->changes[0]);
    bool goes_on = tell(w, first.what, first.name);
    alk_free(w->mem, first.name);
    return goes_on;
}

static void flush(struct watcher *w)
{
    bool goes_on = !w->is_full;
    while (goes_on && (w->has_lost || w->count > 0)) {
        if (w->has_lost) {
            w->has_lost = false;
            goes_on = tell(w, "overflow", NULL);
        } else {
            goes_on = tell_first(w);
        }
    }
    if (goes_on && w->is_gone && !w->has_told_gone) {
        w->has_told_gone = true;
        goes_on = tell(w, "removed", NULL);
    }
    if (goes_on && w->has_told_gone) {
        watch_over(w, ALK_OK);
    }
}

/* --- changes -------------------------------------------------------------------------- */

/* Two changes of one name, as one. */
static const char *merge(const char *old, const char *new)
{
    bool was_created = strcmp(old, "created") == 0;
    if (was_created && strcmp(new, "changed") == 0) {
        return old;
    }
    return strcmp(old, "removed") == 0 && strcmp(new, "created") == 0 ? "changed" : new;
}

static void add_change(struct watcher *w, const char *what, struct alk_span name)
{
    for (size_t i = 0; i < w->count; i++) {
        if (alk_span_is(name, w->changes[i].name)) {
            w->changes[i].what = merge(w->changes[i].what, what);
            return;
        }
    }
    char *text = w->count == ALK_FS_CHANGES_MAX ? NULL : alk_strdup_span(w->mem, name);
    if (text == NULL) {
        forget_changes(w);
        w->has_lost = true;
        return;
    }
    w->changes[w->count++] = (struct change){what, text};
}

static void on_change(void *ctx, const struct alk_tree_change *c)
{
    struct watcher *w = (struct watcher *)ctx;
    if (c->is_gone) {
        w->is_gone = true;
    } else if (c->name.n == 0) {
        forget_changes(w);
        w->has_lost = true;
    } else {
        add_change(w, c->what, c->name);
    }
}

static void on_ready(void *ctx, unsigned ready)
{
    struct watcher *w = (struct watcher *)ctx;
    (void)ready;
    alk_err err = alk_tree_watch_read(w->fd, on_change, w);
    if (err < 0) {
        watch_over(w, err);
        return;
    }
    if (w->is_gone) {
        stop_watching(w);
        flush(w);
    } else if (w->delay.at == 0) {
        alk_timer_set(w->loop, &w->delay, alk_loop_now(w->loop) + ALK_FS_WATCH_DELAY);
    }
}

static void on_delay(struct alk_timer *timer, void *ctx)
{
    (void)timer;
    flush((struct watcher *)ctx);
}

/* --- the request ---------------------------------------------------------------------- */

static void watch_writable(void *ctx, struct alk_request *r)
{
    struct watcher *w = (struct watcher *)ctx;
    w->is_full = alk_request_respond(r) == ALK_FULL;
    flush(w);
}

static void watch_abandon(struct watcher *w, const char *code)
{
    struct alk_request *r = w->request;
    w->request = NULL;
    if (r != NULL) {
        alk_request_fail(r, code, NULL);
    }
    if (!w->is_opening) {
        watcher_free(w);
    }
}

static void watch_cancelled(void *ctx, struct alk_request *r)
{
    (void)r;
    watch_abandon((struct watcher *)ctx, ALK_OPS_ABORTED);
}

static void watch_loop_ends(void *ctx)
{
    watch_abandon((struct watcher *)ctx, ALK_OPS_UNAVAILABLE);
}

static void watch_open(void *arg)
{
    struct watcher *w = (struct watcher *)arg;
    w->err = alk_tree_watch(w->tree, alk_span(w->path, w->path_n), &w->fd);
}

static void watch_opened(void *arg)
{
    struct watcher *w = (struct watcher *)arg;
    w->is_opening = false;
    if (w->request == NULL) {
        watcher_free(w);
        return;
    }
    if (w->err == ALK_OK) {
        w->err = alk_watch_new(w->loop, w->fd, ALK_FD_READ, on_ready, w, &w->watch);
    }
    if (w->err != ALK_OK) {
        watch_over(w, w->err);
    }
}

static struct watcher *watcher_new(struct alk_fs_root *root, struct alk_request *r)
{
    struct alk_span path = alk_input_text(r, "path", "");
    struct watcher *w = ALK_NEW(alk_fs_mem(root), struct watcher);
    if (w == NULL) {
        return NULL;
    }
    w->mem = alk_fs_mem(root);
    w->path = alk_strdup_span(w->mem, path);
    if (w->path == NULL) {
        alk_free(w->mem, w);
        return NULL;
    }
    w->path_n = path.n;
    w->tree = alk_fs_tree(root);
    w->loop = alk_request_loop(r);
    w->request = r;
    w->fd = -1;
    w->delay = (struct alk_timer){.fn = on_delay, .ctx = w};
    w->loop_end = (struct alk_loop_end){.fn = watch_loop_ends, .ctx = w};
    return w;
}

void alk_fs_watch(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {watch_cancelled, watch_writable};
    struct alk_fs_root *root = (struct alk_fs_root *)ctx;

    if (!alk_fs_may(root, r, alk_input_text(r, "path", ""), "read")) {
        return;
    }
    bool is_full = atomic_fetch_add(&watchers, 1) >= ALK_FS_WATCH_MAX;
    struct watcher *w = is_full ? NULL : watcher_new(root, r);
    if (w == NULL) {
        (void)atomic_fetch_sub(&watchers, 1);
        alk_fs_fail(r, is_full ? ALK_E_LIMIT : ALK_E_NOMEM);
        return;
    }
    alk_request_on(r, &calls, w);
    alk_loop_end_add(w->loop, &w->loop_end);
    w->is_opening = true;
    alk_err err = alk_work(w->loop, watch_open, watch_opened, w);
    if (err != ALK_OK) {
        w->is_opening = false;
        watch_over(w, err);
    }
}
