/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/db.h - one SQLite file: opened safely, migrated forward, refused
 * backward.
 *
 * The file is a regular file of ours with mode 0600, in WAL mode, with foreign
 * keys on and full synchronisation, so that what was acknowledged survives a
 * power cut. The schema version is in user_version, and application_id tells
 * whose file it is. A handle belongs to one thread at a time and blocks on the
 * disk: never use it during packet handling.
 */
#ifndef ALK_CORE_STORE_DB_H
#define ALK_CORE_STORE_DB_H

#include "base/err.h"
#include "base/span.h"

#define ALK_DB_MESSAGE_SIZE 512

struct sqlite3_stmt;
struct alk_db;

/* Migration i brings version i to version i + 1; never change one that was
 * released. */
struct alk_db_schema {
    uint32_t application_id;
    const char *const *migrations; /* SQL scripts */
    size_t count;                  /* the version this program knows */
    int busy_ms;                   /* how long to wait for another process; 0: 5 s */
};

/* Opens or creates. On failure message (ALK_DB_MESSAGE_SIZE bytes, may be NULL)
 * says what is wrong and what to do.
 * ALK_E_NOENT: no such directory. ALK_E_PERM. ALK_E_UNSUPPORTED: written by a
 * newer alknet, or not one of our files. ALK_E_BUSY: locked. ALK_E_DB: damaged or
 * another SQLite error. ALK_E_IO, ALK_E_NOMEM. */
ALK_NODISCARD alk_err alk_db_open(const struct alk_mem *mem, const char *path,
                                  const struct alk_db_schema *schema, char *message,
                                  struct alk_db **ret);
/* Statements that were not finished are finished, an open transaction is rolled
 * back. NULL is allowed. */
void alk_db_close(struct alk_db *db);
/* What went wrong last, for the operator. */
const char *alk_db_message(const struct alk_db *db);

/* Transactions nest; only the outermost one writes. A commit of it that fails has
 * rolled back; a rollback after that, or without a transaction, has no effect. */
ALK_NODISCARD alk_err alk_db_begin(struct alk_db *db);
ALK_NODISCARD alk_err alk_db_commit(struct alk_db *db);
void alk_db_rollback(struct alk_db *db);
/* commit when err is ALK_OK, else rollback; returns the first failure. */
ALK_NODISCARD alk_err alk_db_end(struct alk_db *db, alk_err err);

/* Runs a script that yields no rows. */
ALK_NODISCARD alk_err alk_db_exec(struct alk_db *db, const char *sql);
/* One statement. Parameters are bound by position from 1; one that could not be
 * bound for lack of memory is NULL: declare columns NOT NULL. Free with
 * alk_db_done, which accepts NULL. */
ALK_NODISCARD alk_err alk_db_prepare(struct alk_db *db, const char *sql, struct sqlite3_stmt **ret);
/* Text and blobs are copied. */
void alk_db_bind_text(struct sqlite3_stmt *stmt, int at, struct alk_span text);
void alk_db_bind_blob(struct sqlite3_stmt *stmt, int at, struct alk_span blob);
void alk_db_bind_u64(struct sqlite3_stmt *stmt, int at, uint64_t v); /* v < 2^63 */
/* ALK_OK: a row. ALK_END: no more. ALK_E_EXISTS: a unique key is taken.
 * ALK_E_BUSY, ALK_E_DB, ALK_E_NOMEM, ALK_E_IO (disk full too). */
ALK_NODISCARD alk_err alk_db_step(struct alk_db *db, struct sqlite3_stmt *stmt);
/* A statement that gives no rows: step once, then done. Takes stmt. */
ALK_NODISCARD alk_err alk_db_run(struct alk_db *db, struct sqlite3_stmt *stmt);
/* Ready to be bound and stepped again. */
void alk_db_reset(struct sqlite3_stmt *stmt);
void alk_db_done(struct sqlite3_stmt *stmt);
/* Column i of the current row; borrows until the next step or done. */
struct alk_span alk_db_text(struct sqlite3_stmt *stmt, int i);
struct alk_span alk_db_blob(struct sqlite3_stmt *stmt, int i);
uint64_t alk_db_u64(struct sqlite3_stmt *stmt, int i); /* negative reads as 0 */
bool alk_db_is_null(struct sqlite3_stmt *stmt, int i);
/* Rows that the last statement changed. */
uint64_t alk_db_changes(const struct alk_db *db);

#endif
