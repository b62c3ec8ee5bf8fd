/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/datadir.h"

#include "base/ct.h"
#include "base/mem.h"
#include "base/wire.h"
#include "core/store/file.h"
#include "core/store/why.h"
#include "core/tls/key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX  ((size_t)16 * 1024)
#define ROTATIONS_MAX ((size_t)64 * 1024)
/* A key that waits for its statement to be written: see alk_datadir_rotate. */
#define NEXT_SUFFIX   ".next"

/* --- opening ------------------------------------------------------------------ */

static alk_err absolute(const char *path, char *ret, size_t ret_size, struct alk_why why)
{
    char cwd[PATH_MAX];

    if (path[0] == '\0') {
        return alk_say(why, ALK_E_INVALID, "the data directory has no name");
    }
    if (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL) {
        return alk_say_errno(why, "find", "the working directory");
    }
    if (!alk_file_join(path[0] == '/' ? "" : cwd, path, ret, ret_size)) {
        return alk_say(why, ALK_E_INVALID, "the name of the data directory is too long");
    }
    return ALK_OK;
}

static alk_err make(const char *path, const struct alk_datadir_options *o, struct alk_why why)
{
    char parent[PATH_MAX];
    struct stat st;

    if (!o->is_create || stat(path, &st) == 0) {
        return ALK_OK;
    }
    /* Parents as mkdir -p makes them; the directory itself for us alone. */
    const char *slash = strrchr(path, '/');
    if (slash != path &&
        alk_span_cstr(alk_span(path, (size_t)(slash - path)), parent, sizeof parent) &&
        alk_file_make_dirs(parent, 0755) != ALK_OK) {
        return alk_say_errno(why, "make", parent);
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return alk_say_errno(why, "make", path);
    }
    if (o->has_owner && geteuid() == 0 && chown(path, o->uid, o->gid) != 0) {
        return alk_say_errno(why, "give away", path);
    }
    return ALK_OK;
}

/* A directory that root made before there was a user to give it to. */
static bool may_adopt(const struct alk_datadir_options *o, const struct stat *st)
{
    return o->has_owner && geteuid() == 0 && st->st_uid == 0 && o->uid != 0;
}

static alk_err check(struct alk_datadir *dir, const struct alk_datadir_options *o,
                     struct alk_why why)
{
    struct stat st;
    const char *path = dir->path;

    if (stat(path, &st) != 0) {
        if (errno == ENOENT) {
            return alk_say(why, ALK_E_NOENT,
                           "there is no data directory %s; make one with: "
                           "alknet init --dir %s",
                           path, path);
        }
        return alk_say_errno(why, "open", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return alk_say(why, ALK_E_PERM, "%s is not a directory", path);
    }
    if (may_adopt(o, &st)) {
        if (chown(path, o->uid, o->gid) != 0) {
            return alk_say_errno(why, "give away", path);
        }
        st.st_uid = o->uid;
        st.st_gid = o->gid;
    }
    dir->uid = st.st_uid;
    dir->gid = st.st_gid;
    if (geteuid() != 0 && st.st_uid != geteuid()) {
        return alk_say(why, ALK_E_PERM, "%s belongs to another user (uid %lu)", path,
                       (unsigned long)st.st_uid);
    }
    if (o->has_owner && geteuid() == 0 && st.st_uid != o->uid) {
        return alk_say(
            why, ALK_E_PERM,
            "%s belongs to uid %lu but the node is to run as uid %lu; run: chown -R %lu:%lu %s",
            path, (unsigned long)st.st_uid, (unsigned long)o->uid, (unsigned long)o->uid,
            (unsigned long)o->gid, path);
    }
    if ((st.st_mode & 077) != 0) {
        return alk_say(why, ALK_E_PERM, "%s is open to other users; run: chmod 700 %s", path, path);
    }
    return ALK_OK;
}

alk_err alk_datadir_default(char *ret, size_t ret_size)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    bool fits;

    if (geteuid() == 0) {
        fits = alk_span_cstr(ALK_LIT("/var/lib/alknet"), ret, ret_size);
    } else if (data != NULL && data[0] == '/') {
        fits = alk_file_join(data, "alknet", ret, ret_size);
    } else if (home != NULL && home[0] == '/') {
        fits = alk_file_join(home, ".local/share/alknet", ret, ret_size);
    } else {
        return ALK_E_NOENT;
    }
    return fits ? ALK_OK : ALK_E_INVALID;
}

/* --- the lock ----------------------------------------------------------------- */

static alk_err say_busy(int fd, const char *path, struct alk_why why)
{
    char text[32] = "";
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    struct alk_span line = alk_span_str(n > 0 ? text : "");

    line = alk_span_cut(&line, '\n');
    if (!alk_span_u64(line, INT32_MAX, &pid) || pid == 0) {
        return alk_say(why, ALK_E_BUSY, "%s is in use by another process", path);
    }
    return alk_say(why, ALK_E_BUSY, "%s is in use by process %llu; stop that one first", path,
                   (unsigned long long)pid);
}

static alk_err write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        return alk_file_err(errno);
    }
    return ALK_OK;
}

static alk_err lock(struct alk_datadir *dir, struct alk_why why)
{
    char path[PATH_MAX];
    if (!alk_datadir_path(dir, ALK_DATADIR_LOCK, path, sizeof path)) {
        return alk_say(why, ALK_E_INVALID, "the name of the data directory is too long");
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0) {
        return alk_say_errno(why, "open", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        alk_err err =
            errno == EWOULDBLOCK ? say_busy(fd, dir->path, why) : alk_say_errno(why, "lock", path);
        (void)close(fd);
        return err;
    }
    /* The pid is for people; without it the lock still holds. */
    if (write_pid(fd) != ALK_OK && errno == ENOSPC) {
        (void)close(fd);
        return alk_say(why, ALK_E_IO, "cannot write %s: the disk is full", path);
    }
    dir->lock_fd = fd;
    return ALK_OK;
}

alk_err alk_datadir_open(const struct alk_datadir_options *options, char *why, size_t why_size,
                         struct alk_datadir **ret)
{
    struct alk_why note = {why, why_size};
    char path[PATH_MAX];

    ALK_TRY(absolute(options->path, path, sizeof path, note));
    ALK_TRY(make(path, options, note));

    struct alk_datadir *dir = ALK_NEW(options->mem, struct alk_datadir);
    if (dir == NULL) {
        return alk_say(note, ALK_E_NOMEM, "out of memory");
    }
    dir->mem = options->mem;
    dir->lock_fd = -1;
    dir->path = alk_strdup_span(options->mem, alk_span_str(path));
    alk_err err =
        dir->path == NULL ? alk_say(note, ALK_E_NOMEM, "out of memory") : check(dir, options, note);
    if (err == ALK_OK && options->is_locked) {
        err = lock(dir, note);
    }
    if (err == ALK_OK && dir->lock_fd >= 0 && alk_datadir_give(dir) != ALK_OK) {
        err = alk_say_errno(note, "give away the files in", dir->path);
    }
    if (err != ALK_OK) {
        alk_datadir_close(dir);
        return err;
    }
    *ret = dir;
    return ALK_OK;
}

void alk_datadir_close(struct alk_datadir *dir)
{
    if (dir == NULL) {
        return;
    }
    if (dir->lock_fd >= 0) {
        /* Whatever cannot be given away now is given at the next start. */
        if (alk_datadir_give(dir) != ALK_OK) {
            errno = 0;
        }
        (void)close(dir->lock_fd);
    }
    alk_free(dir->mem, dir->path);
    alk_free(dir->mem, dir);
}

bool alk_datadir_path(const struct alk_datadir *dir, const char *name, char *ret, size_t ret_size)
{
    return alk_file_join(dir->path, name, ret, ret_size);
}

/* Only what root made itself, under no other name: a link that the directory's
 * owner planted must not make root give away a file of its own. */
static alk_err give_one(const struct alk_datadir *dir, int at, const char *name)
{
    struct stat st;
    int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? ALK_OK : alk_file_err(errno);
    }
    bool is_ok = fstat(fd, &st) == 0;
    if (is_ok && st.st_uid == 0 && (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode)) &&
        st.st_nlink == 1) {
        is_ok = fchownat(fd, "", dir->uid, dir->gid, AT_EMPTY_PATH) == 0;
    }
    alk_err err = is_ok ? ALK_OK : alk_file_err(errno);
    (void)close(fd);
    return err;
}

alk_err alk_datadir_give(const struct alk_datadir *dir)
{
    if (geteuid() != 0 || dir->uid == 0) {
        return ALK_OK;
    }
    DIR *list = opendir(dir->path);
    if (list == NULL) {
        return alk_file_err(errno);
    }
    alk_err err = ALK_OK;
    for (struct dirent *e = readdir(list); e != NULL && err == ALK_OK; e = readdir(list)) {
        if (e->d_name[0] != '.') {
            err = give_one(dir, dirfd(list), e->d_name);
        }
    }
    (void)closedir(list);
    return err;
}

/* --- keys --------------------------------------------------------------------- */

static alk_err read_key(const struct alk_datadir *dir, const char *path,
                        uint8_t ret_seed[static 32], struct alk_why why)
{
    struct alk_buf text;
    alk_buf_init(&text, dir->mem, KEY_FILE_MAX);
    alk_err err = alk_file_read_private(path, KEY_FILE_MAX, &text, why.text, why.size);
    if (err == ALK_OK) {
        err = alk_key_parse_seed(alk_buf_span(&text), ret_seed);
        if (err != ALK_OK) {
            err = alk_say(
                why, ALK_E_MALFORMED,
                "%s is not an Ed25519 private key (PKCS#8 PEM, or OpenSSH without a passphrase)",
                path);
        }
    }
    alk_buf_fini_secret(&text);
    return err;
}

static alk_err write_key(const struct alk_datadir *dir, const char *path,
                         const uint8_t seed[static 32], bool is_new, struct alk_why why)
{
    struct alk_buf pem;
    alk_buf_init(&pem, dir->mem, KEY_FILE_MAX);
    alk_err err = alk_key_print_pem(seed, &pem);
    if (err != ALK_OK) {
        err = alk_say(why, err, "cannot write a key: %s", alk_err_text(err));
    } else {
        err = is_new ? alk_file_create(path, alk_buf_span(&pem), 0600)
                     : alk_file_write(path, alk_buf_span(&pem), 0600);
        if (err != ALK_OK) {
            err = alk_say_errno(why, "write", path);
        }
    }
    alk_buf_fini_secret(&pem);
    return err;
}

struct key_paths {
    char key[PATH_MAX];
    char next[PATH_MAX];
    char rotations[PATH_MAX];
};

static alk_err find_paths(const struct alk_datadir *dir, const char *file, struct key_paths *ret,
                          struct alk_why why)
{
    char next[NAME_MAX + 1 + PATH_MAX / 2];
    int n = snprintf(next, sizeof next, "%s" NEXT_SUFFIX, file);

    if (n < 0 || (size_t)n >= sizeof next ||
        !alk_datadir_path(dir, file, ret->key, sizeof ret->key) ||
        !alk_datadir_path(dir, next, ret->next, sizeof ret->next) ||
        !alk_datadir_path(dir, ALK_DATADIR_ROTATIONS, ret->rotations, sizeof ret->rotations)) {
        return alk_say(why, ALK_E_INVALID, "the name of the node's key file is too long");
    }
    return ALK_OK;
}

/* A crash in the middle of a rotation leaves <key>.next. Its statement decides:
 * where it is written the new key is in force, else the rotation never was. */
static alk_err finish_rotation(const struct alk_datadir *dir, const struct key_paths *paths,
                               struct alk_why why)
{
    uint8_t seed[32] = {0};
    uint8_t key[32];
    struct alk_rotation chain[ALK_ROTATION_CHAIN_MAX];
    size_t n = 0;

    if (access(paths->next, F_OK) != 0) {
        return ALK_OK;
    }
    alk_err err = read_key(dir, paths->next, seed, why);
    if (err == ALK_OK) {
        alk_key_public_of(seed, key);
        err = alk_datadir_rotations(dir, chain, &n, why.text, why.size);
    }
    alk_wipe(seed, sizeof seed);
    if (err != ALK_OK) {
        return err;
    }
    bool is_stated = n > 0 && memcmp(chain[n - 1].new_key, key, sizeof key) == 0;
    if ((is_stated ? rename(paths->next, paths->key) : unlink(paths->next)) != 0) {
        return alk_say_errno(why, "finish the rotation to", paths->next);
    }
    return ALK_OK;
}

alk_err alk_datadir_key(const struct alk_datadir *dir, const char *file,
                        const struct alk_rand *rand, uint8_t ret_seed[static 32], bool *ret_is_new,
                        char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct key_paths paths;
    uint8_t seed[32];

    ALK_TRY(find_paths(dir, file, &paths, note));
    ALK_TRY(finish_rotation(dir, &paths, note));
    alk_err err = read_key(dir, paths.key, seed, note);
    bool is_new = err == ALK_E_NOENT && rand != NULL;
    if (is_new) {
        alk_rand_fill(rand, seed, sizeof seed);
        err = write_key(dir, paths.key, seed, true, note);
    }
    if (err == ALK_OK) {
        memcpy(ret_seed, seed, sizeof seed);
        if (ret_is_new != NULL) {
            *ret_is_new = is_new;
        }
    }
    alk_wipe(seed, sizeof seed);
    return err;
}

alk_err alk_datadir_secret(const struct alk_datadir *dir, const struct alk_rand *rand,
                           uint8_t ret[static 32], char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    char path[PATH_MAX];
    uint8_t made[32];
    struct alk_buf b;

    if (!alk_datadir_path(dir, ALK_DATADIR_SECRET, path, sizeof path)) {
        return alk_say(note, ALK_E_INVALID, "the name of the data directory is too long");
    }
    alk_buf_init(&b, dir->mem, 64);
    alk_err err = alk_file_read_private(path, 64, &b, why, why_size);
    struct alk_span bytes = alk_buf_span(&b);
    if (err == ALK_OK && bytes.n != 32) {
        err =
            alk_say(note, ALK_E_MALFORMED,
                    "%s is damaged (32 bytes are expected); remove it and a new one is made", path);
    }
    if (err == ALK_OK) {
        struct alk_rd r = alk_rd(bytes);
        alk_rd_bytes(&r, ret, 32);
    }
    if (err == ALK_E_NOENT) {
        alk_rand_fill(rand, made, sizeof made);
        err = alk_file_create(path, alk_span(made, sizeof made), 0600);
        if (err != ALK_OK) {
            err = alk_say_errno(note, "write", path);
        } else {
            memcpy(ret, made, sizeof made);
        }
        alk_wipe(made, sizeof made);
    }
    alk_buf_fini_secret(&b);
    return err;
}

/* --- rotation ----------------------------------------------------------------- */

alk_err alk_datadir_rotations(const struct alk_datadir *dir,
                              struct alk_rotation ret[static ALK_ROTATION_CHAIN_MAX], size_t *ret_n,
                              char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    char path[PATH_MAX];
    struct alk_buf text;

    if (!alk_datadir_path(dir, ALK_DATADIR_ROTATIONS, path, sizeof path)) {
        return alk_say(note, ALK_E_INVALID, "the name of the data directory is too long");
    }
    alk_buf_init(&text, dir->mem, ROTATIONS_MAX);
    alk_err err = alk_file_read(path, ROTATIONS_MAX, &text);
    if (err == ALK_E_NOENT) {
        *ret_n = 0;
        err = ALK_OK;
    } else if (err != ALK_OK) {
        err = alk_say_errno(note, "read", path);
    } else {
        err = alk_rotation_parse_list(alk_buf_span(&text), ret, ret_n);
        if (err != ALK_OK) {
            err = alk_say(note, err, "%s is damaged: %s", path, alk_err_text(err));
        }
    }
    alk_buf_fini(&text);
    return err;
}

static alk_err write_rotations(const struct alk_datadir *dir, const char *path,
                               const struct alk_rotation *chain, size_t n, struct alk_why why)
{
    char line[ALK_ROTATION_TEXT_SIZE];
    struct alk_buf text;

    alk_buf_init(&text, dir->mem, ROTATIONS_MAX);
    (void)alk_buf_put_str(&text, "# the node's earlier keys, oldest first: each signed the next\n");
    for (size_t i = 0; i < n; i++) {
        alk_rotation_print(&chain[i], line);
        (void)alk_buf_printf(&text, "%s\n", line);
    }
    alk_err err = text.err;
    if (err != ALK_OK) {
        err = alk_say(why, err, "%s", alk_err_text(err));
    } else {
        err = alk_file_write(path, alk_buf_span(&text), 0600);
        if (err != ALK_OK) {
            err = alk_say_errno(why, "write", path);
        }
    }
    alk_buf_fini(&text);
    return err;
}

/* Order: the new key beside the old, then the statement, then the new key in the
 * old one's place. finish_rotation can tell after a crash how far it came. */
static alk_err rotate(const struct alk_datadir *dir, const struct key_paths *paths,
                      const uint8_t new_seed[static 32], const struct alk_rotation *statement,
                      struct alk_why why)
{
    struct alk_rotation chain[ALK_ROTATION_CHAIN_MAX];
    size_t n = 0;

    ALK_TRY(alk_datadir_rotations(dir, chain, &n, why.text, why.size));
    if (n == ALK_ROTATION_CHAIN_MAX) {
        memmove(chain, chain + 1, (n - 1) * sizeof chain[0]);
        n--;
    }
    chain[n++] = *statement;
    ALK_TRY(write_key(dir, paths->next, new_seed, false, why));
    ALK_TRY(write_rotations(dir, paths->rotations, chain, n, why));
    return rename(paths->next, paths->key) != 0 ? alk_say_errno(why, "replace", paths->key)
                                                : ALK_OK;
}

alk_err alk_datadir_rotate(const struct alk_datadir *dir, const char *file,
                           const struct alk_rand *rand, uint64_t unix_s, struct alk_rotation *ret,
                           char *why, size_t why_size)
{
    struct alk_why note = {why, why_size};
    struct key_paths paths;
    uint8_t old_seed[32] = {0};
    uint8_t new_seed[32];
    uint8_t new_key[32];
    struct alk_rotation statement = {0};

    ALK_TRY(find_paths(dir, file, &paths, note));
    alk_rand_fill(rand, new_seed, sizeof new_seed);
    alk_key_public_of(new_seed, new_key);
    alk_err err = alk_datadir_key(dir, file, NULL, old_seed, NULL, why, why_size);
    if (err == ALK_OK) {
        err = alk_rotation_sign(old_seed, new_key, unix_s, &statement);
        if (err != ALK_OK) {
            err = alk_say(note, err, "cannot sign the new key: %s", alk_err_text(err));
        }
    }
    if (err == ALK_OK) {
        err = rotate(dir, &paths, new_seed, &statement, note);
    }
    if (err == ALK_OK) {
        *ret = statement;
    }
    alk_wipe(old_seed, sizeof old_seed);
    alk_wipe(new_seed, sizeof new_seed);
    return err;
}
