/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/io/watch_file.h"

#include "base/mem.h"
#include "base/span.h"
#include "core/io/loop.h"

#include <sys/stat.h>
#include <uv.h>

struct alk_watch_file {
    struct alk_loop *loop;
    char *path; /* owns */
    alk_watch_file_fn *fn;
    void *ctx;
    struct stat seen; /* st_ino 0: none */
    struct alk_timer timer;
    uv_fs_event_t event;
};

static void look(const struct alk_watch_file *w, struct stat *ret)
{
    *ret = (struct stat){0};
    if (stat(w->path, ret) != 0) {
        *ret = (struct stat){0};
    }
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void on_settled(struct alk_timer *timer, void *ctx)
{
    struct alk_watch_file *w = ctx;
    struct stat now;
    (void)timer;
    look(w, &now);
    if (now.st_ino != 0 && !is_same(&now, &w->seen)) {
        w->seen = now;
        w->fn(w->ctx);
    }
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    struct alk_watch_file *w = handle->data;
    (void)name;
    (void)events;
    (void)status;
    alk_loop_enter(w->loop);
    /* From the first event on, not the last: a directory that is never quiet must
     * not put it off for ever. */
    if (w->timer.at == 0) {
        alk_timer_set(w->loop, &w->timer, alk_loop_now(w->loop) + ALK_WATCH_FILE_DELAY);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct alk_watch_file *w = handle->data;
    const struct alk_mem *mem = alk_loop_mem(w->loop);
    alk_free(mem, w->path);
    alk_free(mem, w);
}

/* The directory part: "" becomes ".". */
static char *directory_of(const struct alk_mem *mem, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return alk_strdup_span(mem, ALK_LIT("."));
    }
    return alk_strdup_span(mem, alk_span(path, slash == path ? 1 : (size_t)(slash - path)));
}

static alk_err error_of(int uv_error)
{
    switch (uv_error) {
    case 0:
        return ALK_OK;
    case UV_ENOENT:
    case UV_ENOTDIR:
        return ALK_E_NOENT;
    case UV_ENOSPC:
    case UV_EMFILE:
        return ALK_E_LIMIT;
    case UV_ENOMEM:
        return ALK_E_NOMEM;
    default:
        return ALK_E_IO;
    }
}

alk_err alk_watch_file_new(struct alk_loop *loop, const char *path, alk_watch_file_fn *fn,
                           void *ctx, struct alk_watch_file **ret)
{
    const struct alk_mem *mem = alk_loop_mem(loop);
    struct alk_watch_file *w = ALK_NEW(mem, struct alk_watch_file);
    char *copy = alk_strdup_span(mem, alk_span_str(path));
    char *dir = directory_of(mem, path);
    if (w == NULL || copy == NULL || dir == NULL) {
        alk_free(mem, w);
        alk_free(mem, copy);
        alk_free(mem, dir);
        return ALK_E_NOMEM;
    }
    *w = (struct alk_watch_file){.loop = loop, .path = copy, .fn = fn, .ctx = ctx};
    w->timer = (struct alk_timer){.fn = on_settled, .ctx = w};
    (void)uv_fs_event_init(alk_loop_uv(loop), &w->event);
    w->event.data = w;
    alk_err err = error_of(uv_fs_event_start(&w->event, on_event, dir, 0));
    alk_free(mem, dir);
    if (err != ALK_OK) {
        alk_watch_file_free(w);
        return err;
    }
    /* After the watch is set: a change in between is seen twice rather than not. */
    look(w, &w->seen);
    *ret = w;
    return ALK_OK;
}

void alk_watch_file_free(struct alk_watch_file *w)
{
    if (w != NULL) {
        alk_timer_stop(w->loop, &w->timer);
        uv_close((uv_handle_t *)&w->event, on_closed);
    }
}
