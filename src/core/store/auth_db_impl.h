/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core/store/auth_db_impl.h - what auth_db.c (changes) and auth_db_read.c share. */
#ifndef ALK_CORE_STORE_AUTH_DB_IMPL_H
#define ALK_CORE_STORE_AUTH_DB_IMPL_H

#include "core/store/auth_db.h"

/* Keys of one peer in the store. */
#define ALK_AUTH_DB_KEYS_MAX 64

struct alk_auth_db {
    const struct alk_mem *mem;
    struct alk_db *db;                 /* owns */
    char message[ALK_DB_MESSAGE_SIZE]; /* ours; "" when the database has the word */
};

/* Sets the message and returns err. */
alk_err alk_auth_db_say(struct alk_auth_db *db, alk_err err, const char *fmt, ...) ALK_PRINTF(3, 4);

#endif
