/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fs/read: a file, piece by piece. */
#include "base/mem.h"
#include "core/io/loop.h"
#include "core/io/work.h"
#include "ops/dispatch.h"
#include "ops/fs.h"
#include "ops/out.h"

#include <stdatomic.h>

/* lint: globals: the limit is the node's, whatever its loops */
static atomic_uint readers;

/* One piece at a time: read on a thread, told on the loop, and the next one only when
 * that was taken. */
struct reader {
    const struct alk_mem *mem;
    struct alk_tree *tree;       /* a reference */
    struct alk_request *request; /* NULL: nobody waits any more */
    char *path;                  /* owns; until the file is open */
    size_t path_n;
    struct alk_loop_end loop_end;
    struct alk_tree_stat stat;
    int fd;
    bool is_text, has_told;
    uint64_t at, end; /* the next byte; one past the last wanted */
    size_t got;
    bool is_over;    /* the file has ended */
    bool is_working; /* a thread has it */
    alk_err err;
    uint8_t data[ALK_FS_CHUNK];
};

static void reader_free(struct reader *f)
{
    alk_loop_end_remove(&f->loop_end);
    if (f->fd >= 0) {
        alk_tree_close_file(f->fd);
    }
    (void)atomic_fetch_sub(&readers, 1);
    alk_tree_unref(f->tree);
    alk_free(f->mem, f->path);
    alk_free(f->mem, f);
}

/* Bytes of a character that begins like this; 0: none does. */
static size_t utf8_size(uint8_t first)
{
    return first < 0x80   ? 1u
           : first < 0xc2 ? 0u
           : first < 0xe0 ? 2u
           : first < 0xf0 ? 3u
           : first < 0xf5 ? 4u
                          : 0u;
}

/* What of the piece is whole characters; the rest is read again with the next one.
 * is_end: of the file. */
static alk_err cut_text(struct reader *f, bool is_end)
{
    struct alk_span all = alk_span(f->data, f->got);
    size_t back = 0;
    while (back < 3 && back < all.n && (all.p[all.n - 1 - back] & 0xc0) == 0x80) {
        back++;
    }
    size_t n = back < all.n && utf8_size(all.p[all.n - 1 - back]) > back + 1 ? back + 1 : 0;
    f->got -= n;
    bool is_good = alk_span_is_utf8(alk_span_head(all, f->got)) && !(is_end && n > 0);
    return is_good ? ALK_OK : ALK_E_MALFORMED;
}

static void read_step(void *arg)
{
    struct reader *f = (struct reader *)arg;
    size_t want = f->end - f->at < ALK_FS_CHUNK ? (size_t)(f->end - f->at) : ALK_FS_CHUNK;

    f->err = ALK_OK;
    if (f->fd < 0) {
        f->err = alk_tree_open_file(f->tree, alk_span(f->path, f->path_n), &f->fd, &f->stat);
    }
    if (f->err == ALK_OK) {
        f->err = alk_tree_read(f->fd, f->at, f->data, want, &f->got);
    }
    f->is_over = f->got < want || f->at + f->got >= f->end;
    if (f->err == ALK_OK && f->is_text) {
        f->err = cut_text(f, f->got < want);
    }
}

static void read_more(struct reader *f);

static void finish_reader(struct reader *f, alk_err err)
{
    struct alk_request *r = f->request;
    f->request = NULL;
    if (err == ALK_E_MALFORMED) {
        alk_request_fail(r, "NOT_TEXT", "the file is not UTF-8: read it as data");
    } else if (err != ALK_OK) {
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

static void put_facts(struct alk_out *out, const struct alk_tree_stat *st)
{
    char etag[ALK_TREE_ETAG];
    alk_tree_etag(st, etag);
    alk_out_key(out, "size");
    alk_out_u64(out, st->size);
    alk_out_key(out, "etag");
    alk_out_text(out, etag);
}

static void tell_piece(struct reader *f)
{
    struct alk_out *out = alk_request_out(f->request);
    alk_out_object(out);
    alk_out_key(out, "offset");
    alk_out_u64(out, f->at);
    alk_out_key(out, f->is_text ? "text" : "data");
    if (f->is_text) {
        alk_out_span(out, alk_span(f->data, f->got));
    } else {
        alk_out_base64(out, alk_span(f->data, f->got));
    }
    if (!f->has_told) {
        put_facts(out, &f->stat);
        f->has_told = true;
    }
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

/* Nobody waits, or nothing can be told any more. */
static void read_abandon(struct reader *f, const char *code)
{
    struct alk_request *r = f->request;
    f->request = NULL;
    if (r != NULL) {
        alk_request_fail(r, code, NULL);
    }
    if (!f->is_working) {
        reader_free(f);
    }
}

static void read_cancelled(void *ctx, struct alk_request *r)
{
    (void)r;
    read_abandon((struct reader *)ctx, ALK_OPS_ABORTED);
}

static void read_loop_ends(void *ctx)
{
    read_abandon((struct reader *)ctx, ALK_OPS_UNAVAILABLE);
}

static struct reader *reader_new(struct alk_fs_root *root, struct alk_request *r)
{
    struct alk_span path = alk_input_text(r, "path", "");
    uint64_t length = alk_input_u64(r, "length", UINT64_MAX);
    uint64_t offset = alk_input_u64(r, "offset", 0);
    struct reader *f = ALK_NEW(alk_fs_mem(root), struct reader);

    if (f == NULL) {
        return NULL;
    }
    f->mem = alk_fs_mem(root);
    f->path = alk_strdup_span(f->mem, path);
    if (f->path == NULL) {
        alk_free(f->mem, f);
        return NULL;
    }
    f->path_n = path.n;
    f->tree = alk_fs_tree(root);
    f->request = r;
    f->fd = -1;
    f->is_text = alk_input_bool(r, "text", false);
    f->at = offset;
    f->end = length > (uint64_t)INT64_MAX - f->at ? (uint64_t)INT64_MAX : f->at + length;
    f->loop_end = (struct alk_loop_end){.fn = read_loop_ends, .ctx = f};
    return f;
}

void alk_fs_read(void *ctx, struct alk_request *r)
{
    static const struct alk_request_calls calls = {read_cancelled, read_writable};
    struct alk_fs_root *root = (struct alk_fs_root *)ctx;

    if (!alk_fs_may(root, r, alk_input_text(r, "path", ""), "read")) {
        return;
    }
    if (alk_input_u64(r, "offset", 0) > INT64_MAX) {
        alk_fs_fail(r, ALK_E_INVALID);
        return;
    }
    bool is_full = atomic_fetch_add(&readers, 1) >= ALK_FS_READ_MAX;
    struct reader *f = is_full ? NULL : reader_new(root, r);
    if (f == NULL) {
        (void)atomic_fetch_sub(&readers, 1);
        alk_fs_fail(r, is_full ? ALK_E_LIMIT : ALK_E_NOMEM);
        return;
    }
    alk_request_on(r, &calls, f);
    alk_loop_end_add(alk_request_loop(r), &f->loop_end);
    read_more(f);
}
