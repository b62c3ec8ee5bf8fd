/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* In the place of `git pack-objects`: the same pack for the same question. What is asked is
 * its options and its input, which names objects; only --include-tag looks at refs. */
#include "cache.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)64 << 20)
#define STEP      ((size_t)65536)
#define TRIES     4

enum state { UNFINISHED, WHOLE, TOO_LARGE };
struct header {
    uint64_t state, length;
};

struct pack {
    char **argv;
    struct alk_buf input;
    char path[PATH_MAX + 80];
    const char *shared;
    uint64_t entry_max, used_max;
    int fd;           /* the entry */
    uint64_t written; /* bytes of the pack in the entry */
    uint64_t sent;    /* to our client */
    bool is_full;     /* the disk takes no more of it */
};

static void read_input(struct alk_buf *ret)
{
    alk_buf_init(ret, NULL, INPUT_MAX);
    alk_err err = gh_read_all(STDIN_FILENO, ret);
    if (err != ALK_OK) {
        gh_die("the request: %s", alk_err_text(err));
    }
}

/* Without the cache. */
static noreturn void pass_on(struct pack *p)
{
    const char *git = getenv("ALKNET_GIT_PROGRAM");
    if (dup2(gh_memory_file(alk_buf_span(&p->input)), STDIN_FILENO) < 0) {
        gh_die("no memory");
    }
    (void)execv(git == NULL ? "/usr/bin/git" : git, p->argv);
    gh_die("git cannot be run: %s", strerror(errno));
}

/* --- the key -------------------------------------------------------------------------- */

static void add(crypto_hash_sha256_state *h, struct alk_span s)
{
    uint64_t n = s.n;
    (void)crypto_hash_sha256_update(h, (const uint8_t *)&n, sizeof n);
    (void)crypto_hash_sha256_update(h, s.p, s.n);
}

static void make_path(struct pack *p, const char *dir)
{
    static const char *const tags[] = {"git", "for-each-ref", "refs/tags", NULL};
    uint8_t hash[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof hash + 1];
    crypto_hash_sha256_state h;
    (void)crypto_hash_sha256_init(&h);
    for (size_t i = 0; p->argv[i] != NULL; i++) {
        add(&h, alk_span_str(p->argv[i]));
        if (strcmp(p->argv[i], "--include-tag") == 0) {
            struct alk_buf refs;
            alk_buf_init(&refs, NULL, INPUT_MAX);
            if (!gh_capture(tags, (struct alk_span){0}, &refs)) {
                pass_on(p);
            }
            add(&h, alk_buf_span(&refs));
            alk_buf_fini(&refs);
        }
    }
    add(&h, alk_buf_span(&p->input));
    (void)crypto_hash_sha256_final(&h, hash);
    (void)alk_hex(alk_span(hash, sizeof hash), hex, sizeof hex);
    (void)snprintf(p->path, sizeof p->path, "%s/%s", dir, hex);
}

/* --- sending ---------------------------------------------------------------------------- */

static struct header read_header(int fd)
{
    struct header h = {.state = UNFINISHED};
    return pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h ? h
                                                           : (struct header){.state = UNFINISHED};
}

static bool write_header(int fd, enum state state, uint64_t length)
{
    const struct header h = {.state = (uint64_t)state, .length = length};
    return pwrite(fd, &h, sizeof h, 0) == (ssize_t)sizeof h;
}

/* Some of what the entry holds and our client does not have. False: he takes no more now. */
static bool send_some(struct pack *p)
{
    uint8_t bytes[STEP];
    size_t n = p->written - p->sent < STEP ? (size_t)(p->written - p->sent) : STEP;
    ssize_t got = pread(p->fd, bytes, n, (off_t)(sizeof(struct header) + p->sent));
    if (got <= 0) {
        gh_die("the entry cannot be read");
    }
    ssize_t put = write(STDOUT_FILENO, bytes, (size_t)got);
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (put < 0) {
        gh_exit(1); /* nobody reads any more */
    }
    p->sent += (uint64_t)put;
    return true;
}

static void send_rest(struct pack *p)
{
    (void)fcntl(STDOUT_FILENO, F_SETFL, 0);
    while (p->sent < p->written) {
        (void)send_some(p);
    }
}

/* --- making ------------------------------------------------------------------------------- */

/* Out of sight: others do without. */
static void give_up(struct pack *p, enum state state)
{
    (void)write_header(p->fd, state, 0);
    (void)unlink(p->path);
    (void)flock(p->fd, LOCK_UN);
}

/* Past the entry, for which there is no room: what our client lacks of it, then the piece. */
static void pass_piece(struct pack *p, struct alk_span piece)
{
    send_rest(p);
    while (piece.n > 0) {
        ssize_t n = write(STDOUT_FILENO, piece.p, piece.n);
        if (n < 0 && errno != EINTR) {
            gh_exit(1); /* nobody reads any more */
        }
        piece = alk_span_tail(piece, n < 0 ? 0 : (size_t)n);
    }
    (void)fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    (void)ftruncate(p->fd, sizeof(struct header));
    p->written = p->sent = 0;
    p->is_full = true;
}

/* One piece from git into the entry. False: its output is over. */
static bool take_some(struct pack *p, int from)
{
    uint8_t bytes[STEP];
    ssize_t n = read(from, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        return false;
    }
    off_t at = (off_t)(sizeof(struct header) + p->written);
    if (pwrite(p->fd, bytes, (size_t)n, at) == n) {
        p->written += (uint64_t)n;
    } else {
        pass_piece(p, alk_span(bytes, (size_t)n));
    }
    return true;
}

/* From git to the entry as fast as it goes, from there to our client as fast as he takes it.
 * Once it is too large, git waits for him as well. */
static bool relay(struct pack *p, int from)
{
    bool is_large = false, is_over = false;
    (void)fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK);
    while (!is_over) {
        bool is_behind = p->sent < p->written;
        bool may_take = !is_large || !is_behind;
        struct pollfd fds[2] = {{.fd = may_take ? from : -1, .events = POLLIN},
                                {.fd = is_behind ? STDOUT_FILENO : -1, .events = POLLOUT}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            gh_die("poll: %s", strerror(errno));
        }
        if (fds[1].revents != 0) {
            (void)send_some(p);
        }
        if (fds[0].revents != 0) {
            if (is_large) { /* all of it was sent: its place can be used again */
                p->written = p->sent = 0;
            }
            is_over = !take_some(p, from);
        }
        if (!is_large && (p->is_full || p->written > p->entry_max - STEP)) {
            is_large = true;
            give_up(p, TOO_LARGE);
        }
    }
    return !is_large;
}

static void count_entry(struct pack *p)
{
    int ledger = gh_ledger_open(p->shared);
    if (ledger >= 0) {
        gh_ledger_write(ledger, gh_ledger_read(ledger) + p->written);
        (void)close(ledger);
    }
}

static int make(struct pack *p)
{
    int from = -1;
    if (ftruncate(p->fd, 0) != 0 || !write_header(p->fd, UNFINISHED, 0)) {
        give_up(p, UNFINISHED);
        pass_on(p);
    }
    pid_t pid = gh_start((const char *const *)p->argv, alk_buf_span(&p->input), &from);
    bool is_kept = relay(p, from);
    (void)close(from); /* a git that has more to say ends by it */
    bool is_good = gh_wait(pid) == 0;
    if (is_kept && is_good && write_header(p->fd, WHOLE, p->written)) {
        count_entry(p);
        (void)flock(p->fd, LOCK_SH);
    } else if (is_kept) {
        give_up(p, UNFINISHED);
    }
    send_rest(p);
    return is_good ? 0 : 1;
}

/* A slot that nobody holds, while the ledger has room; -1: there is none. */
static int take_slot(const struct pack *p)
{
    int slot = -1, ledger = gh_ledger_open(p->shared);
    bool has_room = ledger >= 0 && gh_ledger_read(ledger) <= p->used_max;
    for (int i = 0; has_room && slot < 0 && i < GH_CACHE_SLOTS; i++) {
        char path[PATH_MAX + 16];
        (void)snprintf(path, sizeof path, "%s/slot%d", p->shared, i);
        slot = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (slot >= 0 && flock(slot, LOCK_EX | LOCK_NB) != 0) {
            (void)close(slot);
            slot = -1;
        }
    }
    if (ledger >= 0) {
        (void)close(ledger);
    }
    return slot;
}

/* --- one try ------------------------------------------------------------------------------- */

static int send_whole(struct pack *p, struct header h)
{
    p->written = h.length;
    send_rest(p);
    return 0;
}

/* Nobody writes it: is it whole, or ours to write? */
static int use_or_make(struct pack *p)
{
    struct header h = read_header(p->fd);
    if (h.state == WHOLE) {
        (void)flock(p->fd, LOCK_SH);
        return send_whole(p, h);
    }
    if (take_slot(p) < 0) { /* held until we end */
        give_up(p, UNFINISHED);
        pass_on(p);
    }
    return make(p);
}

/* True: *ret_status is how it ended. */
static bool try_entry(struct pack *p, int *ret_status)
{
    struct stat st;
    p->fd = open(p->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->fd < 0) {
        pass_on(p);
    }
    bool is_ours = flock(p->fd, LOCK_EX | LOCK_NB) == 0;
    if (!is_ours && flock(p->fd, LOCK_SH) != 0) {
        pass_on(p);
    }
    struct header h = read_header(p->fd);
    if (is_ours && fstat(p->fd, &st) == 0 && st.st_nlink > 0) {
        *ret_status = use_or_make(p);
        return true;
    }
    if (!is_ours && h.state == WHOLE) {
        *ret_status = send_whole(p, h);
        return true;
    }
    if (h.state == TOO_LARGE) {
        pass_on(p);
    }
    (void)close(p->fd); /* who wrote it has failed, or it was swept: once more */
    return false;
}

int gh_pack_objects(char **argv)
{
    struct pack p = {.argv = argv, .shared = getenv("ALKNET_GIT_SHARED")};
    const char *dir = getenv("ALKNET_GIT_CACHE");
    const char *size = getenv("ALKNET_GIT_CACHE_SIZE");
    uint64_t bytes = 0;
    int status = 1;
    read_input(&p.input);
    if (dir == NULL || p.shared == NULL || size == NULL ||
        !alk_span_u64(alk_span_str(size), UINT64_MAX, &bytes) || bytes / 4 < 2 * STEP) {
        pass_on(&p);
    }
    p.entry_max = bytes / 4;
    p.used_max = bytes / 2;
    make_path(&p, dir);
    for (unsigned i = 0; i < TRIES; i++) {
        if (try_entry(&p, &status)) {
            return status;
        }
    }
    pass_on(&p);
}
