/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/mem.h"
#include "core/io/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

struct alk_line_file {
    const struct alk_mem *mem;
    char *path;           /* owns */
    int fd;               /* owns */
    pthread_mutex_t lock; /* of the rest: reopen while others write */
    bool is_torn;         /* its last line was cut short */
};

static int open_append(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Whether the last line there has no end: the disk was full, or who wrote it was stopped. */
static bool ends_torn(const char *path)
{
    char last = '\n';
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    bool is_torn = size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
    (void)close(fd);
    return is_torn;
}

static alk_err error_of(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return ALK_E_PERM;
    case ENOENT:
    case ENOTDIR:
        return ALK_E_NOENT;
    default:
        return ALK_E_IO;
    }
}

alk_err alk_line_file_open(const struct alk_mem *mem, const char *path, struct alk_line_file **ret)
{
    struct alk_line_file *file = ALK_NEW(mem, struct alk_line_file);
    char *copy = alk_strdup_span(mem, alk_span_str(path));
    alk_err err = ALK_E_NOMEM;
    if (file == NULL || copy == NULL) {
        goto out;
    }
    *file = (struct alk_line_file){.mem = mem, .path = copy, .fd = open_append(path)};
    if (file->fd < 0) {
        err = error_of(errno);
        goto out;
    }
    file->is_torn = ends_torn(path);
    (void)pthread_mutex_init(&file->lock, NULL);
    *ret = file;
    return ALK_OK;

out:
    alk_free(mem, copy);
    alk_free(mem, file);
    return err;
}

alk_err alk_line_file_reopen(struct alk_line_file *file)
{
    int fd = open_append(file->path);
    if (fd < 0) {
        return error_of(errno);
    }
    (void)pthread_mutex_lock(&file->lock);
    int old = file->fd;
    file->fd = fd;
    file->is_torn = ends_torn(file->path);
    (void)pthread_mutex_unlock(&file->lock);
    (void)close(old);
    return ALK_OK;
}

void alk_line_file_free(struct alk_line_file *file)
{
    if (file != NULL) {
        (void)close(file->fd);
        (void)pthread_mutex_destroy(&file->lock);
        alk_free(file->mem, file->path);
        alk_free(file->mem, file);
    }
}

/* A full disk may take the beginning of a line: the next one must not become its end. */
bool alk_line_file_put(struct alk_line_file *file, struct alk_span line)
{
    union {
        const void *in;
        void *out; /* writev does not write through it */
    } base = {.in = line.p};
    char end[1] = {'\n'};
    struct iovec iov[3] = {{end, 1}, {base.out, line.n}, {end, 1}};
    (void)pthread_mutex_lock(&file->lock);
    size_t before = file->is_torn ? 1 : 0;
    ssize_t n = writev(file->fd, iov + 1 - before, 2 + (int)before);
    bool is_whole = n == (ssize_t)(before + line.n + 1);
    if (n > 0) {
        file->is_torn = !is_whole;
    }
    (void)pthread_mutex_unlock(&file->lock);
    return is_whole;
}

const char *alk_line_file_path(const struct alk_line_file *file)
{
    return file->path;
}
