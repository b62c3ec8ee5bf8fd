/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/db.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/stat.h>

/* How long another process may hold the file before we give up. */
enum { BUSY_TIMEOUT_MS = 5000 };

struct alk_db {
    const struct alk_mem *mem;
    sqlite3 *handle; /* owns */
    unsigned depth;  /* of nested transactions */
    bool is_doomed;  /* an inner transaction was rolled back */
    char message[ALK_DB_MESSAGE_SIZE];
};

static alk_err say(struct alk_db *db, alk_err err, const char *fmt, ...) ALK_PRINTF(3, 4);
static alk_err say(struct alk_db *db, alk_err err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(db->message, sizeof(db->message), fmt, ap);
    va_end(ap);
    return err;
}

const char *alk_db_message(const struct alk_db *db)
{
    return db->message;
}

static alk_err err_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
        return ALK_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ALK_E_BUSY;
    case SQLITE_NOMEM:
        return ALK_E_NOMEM;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return ALK_E_IO;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return ALK_E_PERM;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? ALK_E_EXISTS
                                                                                    : ALK_E_DB;
    default:
        return ALK_E_DB;
    }
}

/* Our error for SQLite's, with its sentence as the message. */
static alk_err fail(struct alk_db *db, int rc)
{
    alk_err err = err_of(rc);
    return err == ALK_OK ? ALK_OK : say(db, err, "%s", sqlite3_errmsg(db->handle));
}

static alk_err err_of_errno(struct alk_db *db, const char *path, int number)
{
    char text[128] = "";
    const char *why = strerror_r(number, text, sizeof(text));
    alk_err err = number == ENOENT                      ? ALK_E_NOENT
                  : number == EACCES || number == EPERM ? ALK_E_PERM
                                                        : ALK_E_IO;
    return say(db, err, "%s: %s", path, why);
}

/* Sees to it that the file is there, ours, and nobody else's to read. It is never
 * opened here when it exists: closing a descriptor would drop the locks of another
 * connection of this process [sqlite.org/howtocorrupt.html §2.2]. */
static alk_err prepare_file(struct alk_db *db, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        (void)close(fd);
        return ALK_OK;
    }
    if (errno != EEXIST) {
        return err_of_errno(db, path, errno);
    }
    struct stat st;
    if (lstat(path, &st) != 0) {
        return err_of_errno(db, path, errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return say(db, ALK_E_PERM, "%s is not a regular file", path);
    }
    if (st.st_uid != geteuid()) {
        return say(db, ALK_E_PERM, "%s belongs to user %u, not to user %u: chown it", path,
                   (unsigned)st.st_uid, (unsigned)geteuid());
    }
    if ((st.st_mode & 077) != 0 && chmod(path, 0600) != 0) {
        return err_of_errno(db, path, errno);
    }
    return ALK_OK;
}

alk_err alk_db_exec(struct alk_db *db, const char *sql)
{
    return fail(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

static alk_err read_number(struct alk_db *db, const char *sql, uint64_t *ret)
{
    sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db, sql, &stmt));
    alk_err err = alk_db_step(db, stmt);
    if (err == ALK_OK) {
        *ret = alk_db_u64(stmt, 0);
    }
    alk_db_done(stmt);
    return err == ALK_END ? say(db, ALK_E_DB, "'%s' gives nothing", sql) : err;
}

static alk_err set_number(struct alk_db *db, const char *name, uint64_t value)
{
    /* Pragmas take no parameters. */
    char sql[96];
    (void)snprintf(sql, sizeof(sql), "PRAGMA %s=%llu", name, (unsigned long long)value);
    return alk_db_exec(db, sql);
}

/* Inside a transaction, so that two starts at once migrate once and a crash in
 * between leaves the old version whole. */
static alk_err migrate(struct alk_db *db, const char *path, const struct alk_db_schema *schema)
{
    uint64_t version = 0, application = 0, tables = 0;
    ALK_TRY(read_number(db, "PRAGMA user_version", &version));
    ALK_TRY(read_number(db, "PRAGMA application_id", &application));
    ALK_TRY(read_number(db, "SELECT count(*) FROM sqlite_master", &tables));
    bool is_new = version == 0 && application == 0 && tables == 0;
    if (!is_new && application != schema->application_id) {
        return say(db, ALK_E_UNSUPPORTED, "%s is a database, but not one of alknet's", path);
    }
    if (version > schema->count) {
        return say(db, ALK_E_UNSUPPORTED,
                   "%s has version %llu and this alknet knows up to %zu: run the newer alknet that "
                   "wrote it, or restore a backup made before the upgrade",
                   path, (unsigned long long)version, schema->count);
    }
    if (version == schema->count) {
        return ALK_OK;
    }
    for (size_t i = (size_t)version; i < schema->count; i++) {
        ALK_TRY(alk_db_exec(db, schema->migrations[i]));
    }
    ALK_TRY(set_number(db, "application_id", schema->application_id));
    return set_number(db, "user_version", schema->count);
}

static alk_err set_up(struct alk_db *db, const char *path, const struct alk_db_schema *schema)
{
    (void)sqlite3_extended_result_codes(db->handle, 1);
    int wait_ms = schema->busy_ms == 0 ? BUSY_TIMEOUT_MS : schema->busy_ms;
    ALK_TRY(fail(db, sqlite3_busy_timeout(db->handle, wait_ms)));
    /* A database is data: nothing in it may call functions behind our back. */
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    ALK_TRY(alk_db_exec(db, "PRAGMA journal_mode=WAL"));
    ALK_TRY(alk_db_exec(db, "PRAGMA synchronous=FULL"));
    ALK_TRY(alk_db_exec(db, "PRAGMA foreign_keys=ON"));
    /* Revoked is gone: freed pages are overwritten. */
    ALK_TRY(alk_db_exec(db, "PRAGMA secure_delete=ON"));
    ALK_TRY(alk_db_begin(db));
    return alk_db_end(db, migrate(db, path, schema));
}

alk_err alk_db_open(const struct alk_mem *mem, const char *path, const struct alk_db_schema *schema,
                    char *message, struct alk_db **ret)
{
    struct alk_db *db = ALK_NEW(mem, struct alk_db);
    if (db == NULL) {
        return ALK_E_NOMEM;
    }
    db->mem = mem;
    alk_err err = prepare_file(db, path);
    if (err == ALK_OK) {
        int rc =
            sqlite3_open_v2(path, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);
        err = db->handle == NULL ? ALK_E_NOMEM : fail(db, rc);
    }
    if (err == ALK_OK) {
        err = set_up(db, path, schema);
    }
    if (err != ALK_OK) {
        if (message != NULL) {
            memcpy(message, db->message, sizeof(db->message));
        }
        alk_db_close(db);
        return err;
    }
    *ret = db;
    return ALK_OK;
}

void alk_db_close(struct alk_db *db)
{
    if (db == NULL) {
        return;
    }
    sqlite3_stmt *stmt = NULL;
    while (db->handle != NULL && (stmt = sqlite3_next_stmt(db->handle, NULL)) != NULL) {
        (void)sqlite3_finalize(stmt);
    }
    (void)sqlite3_close(db->handle);
    alk_free(db->mem, db);
}

alk_err alk_db_begin(struct alk_db *db)
{
    if (db->depth == 0) {
        /* IMMEDIATE: to wait for the lock here, where the busy timeout works. */
        ALK_TRY(alk_db_exec(db, "BEGIN IMMEDIATE"));
        db->is_doomed = false;
    }
    db->depth++;
    return ALK_OK;
}

alk_err alk_db_commit(struct alk_db *db)
{
    ALK_ASSERT(db->depth > 0);
    if (db->depth > 1) {
        db->depth--;
        return ALK_OK;
    }
    if (db->is_doomed) {
        alk_db_rollback(db);
        return say(db, ALK_E_STATE, "a part of the transaction was rolled back");
    }
    alk_err err = alk_db_exec(db, "COMMIT");
    if (err != ALK_OK) {
        char message[ALK_DB_MESSAGE_SIZE];
        memcpy(message, db->message, sizeof(message));
        alk_db_rollback(db);
        memcpy(db->message, message, sizeof(message));
        return err;
    }
    db->depth = 0;
    return ALK_OK;
}

void alk_db_rollback(struct alk_db *db)
{
    if (db->depth == 0) {
        return;
    }
    db->depth--;
    db->is_doomed = true;
    if (db->depth == 0) {
        /* Fails when SQLite has rolled back by itself, which is as good. */
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
}

alk_err alk_db_end(struct alk_db *db, alk_err err)
{
    if (err == ALK_OK) {
        return alk_db_commit(db);
    }
    alk_db_rollback(db);
    return err;
}

alk_err alk_db_prepare(struct alk_db *db, const char *sql, struct sqlite3_stmt **ret)
{
    return fail(db, sqlite3_prepare_v2(db->handle, sql, -1, ret, NULL));
}

/* Can only fail without memory or for a wrong position, and leaves NULL then. */
void alk_db_bind_text(struct sqlite3_stmt *stmt, int at, struct alk_span text)
{
    const char *p = text.n == 0 ? "" : (const char *)text.p;
    (void)sqlite3_bind_text64(stmt, at, p, text.n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

void alk_db_bind_blob(struct sqlite3_stmt *stmt, int at, struct alk_span blob)
{
    const void *p = blob.n == 0 ? "" : (const void *)blob.p;
    (void)sqlite3_bind_blob64(stmt, at, p, blob.n, SQLITE_TRANSIENT);
}

void alk_db_bind_u64(struct sqlite3_stmt *stmt, int at, uint64_t v)
{
    ALK_ASSERT(v <= INT64_MAX);
    (void)sqlite3_bind_int64(stmt, at, (int64_t)v);
}

alk_err alk_db_step(struct alk_db *db, struct sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        return ALK_OK;
    }
    return rc == SQLITE_DONE ? ALK_END : fail(db, rc);
}

alk_err alk_db_run(struct alk_db *db, struct sqlite3_stmt *stmt)
{
    alk_err err = alk_db_step(db, stmt);
    alk_db_done(stmt);
    return err == ALK_END ? ALK_OK : err;
}

void alk_db_reset(struct sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
}

void alk_db_done(struct sqlite3_stmt *stmt)
{
    (void)sqlite3_finalize(stmt);
}

struct alk_span alk_db_text(struct sqlite3_stmt *stmt, int i)
{
    const unsigned char *p = sqlite3_column_text(stmt, i);
    return alk_span(p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(stmt, i));
}

struct alk_span alk_db_blob(struct sqlite3_stmt *stmt, int i)
{
    const void *p = sqlite3_column_blob(stmt, i);
    return alk_span(p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(stmt, i));
}

uint64_t alk_db_u64(struct sqlite3_stmt *stmt, int i)
{
    int64_t v = sqlite3_column_int64(stmt, i);
    return v < 0 ? 0 : (uint64_t)v;
}

bool alk_db_is_null(struct sqlite3_stmt *stmt, int i)
{
    return sqlite3_column_type(stmt, i) == SQLITE_NULL;
}

uint64_t alk_db_changes(const struct alk_db *db)
{
    int64_t n = sqlite3_changes64(db->handle);
    return n < 0 ? 0 : (uint64_t)n;
}
