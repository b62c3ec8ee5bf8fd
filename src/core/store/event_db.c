/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "core/store/event_db.h"

#include "base/mem.h"

#include <limits.h>

/* "ALKe" */
#define APPLICATION 0x414c4b65
/* Rows that retention removes within one transaction, so that a rule made much
 * smaller does not stop publishers for long. */
#define TRIM_MAX    4096
/* What a row costs beside its texts. */
#define ROW_BYTES   32

static const char *const MIGRATIONS[] = {
    "CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " count INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,"
    " removed INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL,"
    " time INTEGER NOT NULL, topic TEXT NOT NULL, publisher TEXT NOT NULL,"
    " data BLOB NOT NULL) STRICT;"
    "CREATE INDEX events_stream ON events (stream, seq);"
    "CREATE TABLE ids (key BLOB PRIMARY KEY, seq INTEGER NOT NULL, time INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX ids_time ON ids (time);",
};

/* A stream's row as of the last commit, and as the transaction under way has it. */
struct stream {
    uint64_t id, count, bytes, removed;
    uint64_t next_count, next_bytes, next_removed;
    bool is_changed;
    struct alk_span name; /* behind the struct */
};

enum statement {
    INSERT_EVENT,
    FIND_ID,
    PUT_ID,
    DROP_IDS,
    UPDATE_STREAM,
    OLDEST,
    DROP,
    PAGE,
    COUNT
};

static const char *const SQL[COUNT] = {
    [INSERT_EVENT] = "INSERT INTO events (seq, stream, time, topic, publisher, data)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [FIND_ID] = "SELECT seq FROM ids WHERE key = ?1 AND time > ?2 AND time <= ?3",
    [PUT_ID] = "INSERT OR REPLACE INTO ids (key, seq, time) VALUES (?1, ?2, ?3)",
    [DROP_IDS] = "DELETE FROM ids WHERE time <= ?1 OR time > ?2",
    [UPDATE_STREAM] = "UPDATE streams SET count = ?2, bytes = ?3, removed = ?4 WHERE id = ?1",
    [OLDEST] = "SELECT seq, time, length(CAST(topic AS BLOB)), length(CAST(publisher AS BLOB)),"
               " length(data) FROM events WHERE stream = ?1 ORDER BY seq LIMIT ?2",
    [DROP] = "DELETE FROM events WHERE stream = ?1 AND seq <= ?2",
    [PAGE] = "SELECT seq, time, topic, publisher, data FROM events WHERE seq > ?1"
             " ORDER BY seq LIMIT ?2",
};

struct alk_event_db {
    const struct alk_mem *mem;
    struct alk_db *db;
    struct sqlite3_stmt *statements[COUNT];
    struct stream **streams; /* owns; by order of their making */
    size_t stream_count;
    uint64_t last;
    uint64_t ids_dropped_ms; /* when ids were last cleared of old ones */
};

uint64_t alk_event_db_last(const struct alk_event_db *db)
{
    return db->last;
}

/* --- streams ----------------------------------------------------------------- */

static struct stream *stream_find(const struct alk_event_db *db, struct alk_span name)
{
    for (size_t i = 0; i < db->stream_count; i++) {
        if (alk_span_equal(db->streams[i]->name, name)) {
            return db->streams[i];
        }
    }
    return NULL;
}

static alk_err stream_remember(struct alk_event_db *db, struct alk_span name, uint64_t id,
                               struct stream **ret)
{
    struct stream **grown =
        alk_resize(db->mem, db->streams, (db->stream_count + 1) * sizeof(struct stream *));
    if (grown == NULL) {
        return ALK_E_NOMEM;
    }
    db->streams = grown;
    struct stream *s = alk_zalloc(db->mem, 1, sizeof(*s) + name.n);
    if (s == NULL) {
        return ALK_E_NOMEM;
    }
    memcpy(s + 1, name.p, name.n);
    s->name = alk_span(s + 1, name.n);
    s->id = id;
    db->streams[db->stream_count++] = s;
    *ret = s;
    return ALK_OK;
}

static alk_err streams_load(struct alk_event_db *db)
{
    struct sqlite3_stmt *stmt = NULL;
    struct stream *s;
    ALK_TRY(alk_db_prepare(
        db->db, "SELECT id, name, count, bytes, removed FROM streams ORDER BY id", &stmt));
    alk_err err;
    while ((err = alk_db_step(db->db, stmt)) == ALK_OK &&
           (err = stream_remember(db, alk_db_text(stmt, 1), alk_db_u64(stmt, 0), &s)) == ALK_OK) {
        s->count = alk_db_u64(stmt, 2);
        s->bytes = alk_db_u64(stmt, 3);
        s->removed = alk_db_u64(stmt, 4);
        db->last = s->removed > db->last ? s->removed : db->last;
    }
    alk_db_done(stmt);
    return err == ALK_END ? ALK_OK : err;
}

static alk_err stream_id(struct alk_event_db *db, struct alk_span name, uint64_t *ret)
{
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, "SELECT id FROM streams WHERE name = ?1", &stmt));
    alk_db_bind_text(stmt, 1, name);
    alk_err err = alk_db_step(db->db, stmt);
    if (err == ALK_OK) {
        *ret = alk_db_u64(stmt, 0);
    }
    alk_db_done(stmt);
    return err == ALK_END ? ALK_E_DB : err;
}

/* In a transaction of its own, so that what is remembered here is there even when the
 * batch that needed it fails. */
static alk_err stream_of(struct alk_event_db *db, struct alk_span name)
{
    struct sqlite3_stmt *stmt = NULL;
    struct stream *s;
    uint64_t id;
    if (stream_find(db, name) != NULL) {
        return ALK_OK;
    }
    if (db->stream_count == ALK_EVENT_STREAMS_MAX) {
        return ALK_E_LIMIT;
    }
    ALK_TRY(alk_db_prepare(db->db, "INSERT OR IGNORE INTO streams (name) VALUES (?1)", &stmt));
    alk_db_bind_text(stmt, 1, name);
    ALK_TRY(alk_db_run(db->db, stmt));
    ALK_TRY(stream_id(db, name, &id));
    return stream_remember(db, name, id, &s);
}

static void streams_begin(struct alk_event_db *db)
{
    for (size_t i = 0; i < db->stream_count; i++) {
        struct stream *s = db->streams[i];
        s->next_count = s->count;
        s->next_bytes = s->bytes;
        s->next_removed = s->removed;
        s->is_changed = false;
    }
}

static alk_err run(struct alk_event_db *db, enum statement which)
{
    alk_err err = alk_db_step(db->db, db->statements[which]);
    alk_db_reset(db->statements[which]);
    return err == ALK_END ? ALK_OK : err;
}

static alk_err streams_write(struct alk_event_db *db)
{
    for (size_t i = 0; i < db->stream_count; i++) {
        const struct stream *s = db->streams[i];
        if (s->is_changed) {
            struct sqlite3_stmt *stmt = db->statements[UPDATE_STREAM];
            alk_db_bind_u64(stmt, 1, s->id);
            alk_db_bind_u64(stmt, 2, s->next_count);
            alk_db_bind_u64(stmt, 3, s->next_bytes);
            alk_db_bind_u64(stmt, 4, s->next_removed);
            ALK_TRY(run(db, UPDATE_STREAM));
        }
    }
    return ALK_OK;
}

static void streams_commit(struct alk_event_db *db)
{
    for (size_t i = 0; i < db->stream_count; i++) {
        struct stream *s = db->streams[i];
        s->count = s->next_count;
        s->bytes = s->next_bytes;
        s->removed = s->next_removed;
    }
}

/* --- retention --------------------------------------------------------------- */

static bool is_over(const struct stream *s, const struct alk_event_retain *rule)
{
    return (rule->count != 0 && s->next_count > rule->count) ||
           (rule->size != 0 && s->next_bytes > rule->size);
}

/* Counts the oldest rows away until the rule is kept; then one DELETE for all. */
static alk_err trim_stream(struct alk_event_db *db, struct stream *s,
                           const struct alk_event_retain *rule, uint64_t now_ms)
{
    if (s->next_count == 0 || (rule->age_ms == 0 && !is_over(s, rule))) {
        return ALK_OK;
    }
    uint64_t oldest_ms = rule->age_ms == 0 || rule->age_ms > now_ms ? 0 : now_ms - rule->age_ms;
    uint64_t up_to = 0;
    struct sqlite3_stmt *stmt = db->statements[OLDEST];
    alk_db_bind_u64(stmt, 1, s->id);
    alk_db_bind_u64(stmt, 2, TRIM_MAX);
    alk_err err;
    while ((err = alk_db_step(db->db, stmt)) == ALK_OK &&
           (is_over(s, rule) || alk_db_u64(stmt, 1) < oldest_ms)) {
        uint64_t bytes =
            alk_db_u64(stmt, 2) + alk_db_u64(stmt, 3) + alk_db_u64(stmt, 4) + ROW_BYTES;
        up_to = alk_db_u64(stmt, 0);
        s->next_count -= s->next_count > 0;
        s->next_bytes -= bytes < s->next_bytes ? bytes : s->next_bytes;
    }
    alk_db_reset(stmt);
    if (err < 0 || up_to == 0) {
        return err < 0 ? err : ALK_OK;
    }
    s->next_removed = up_to;
    s->is_changed = true;
    alk_db_bind_u64(db->statements[DROP], 1, s->id);
    alk_db_bind_u64(db->statements[DROP], 2, up_to);
    return run(db, DROP);
}

/* Between which times ids are known, in two parameters. A clock that was set back makes them
 * old, too: better twice than never. */
static void bind_known(struct sqlite3_stmt *stmt, int at, uint64_t now_ms)
{
    alk_db_bind_u64(stmt, at, now_ms < ALK_EVENT_DEDUP_MS ? 0 : now_ms - ALK_EVENT_DEDUP_MS);
    alk_db_bind_u64(stmt, at + 1, now_ms + ALK_EVENT_DEDUP_AHEAD_MS);
}

static alk_err trim_all(struct alk_event_db *db, const struct alk_event_retain *rules,
                        size_t rule_count, uint64_t now_ms)
{
    for (size_t i = 0; i < rule_count; i++) {
        struct stream *s = stream_find(db, rules[i].stream);
        if (s != NULL) {
            ALK_TRY(trim_stream(db, s, &rules[i], now_ms));
        }
    }
    /* A tenth of the time that they are kept is often enough. */
    if (now_ms < db->ids_dropped_ms || now_ms - db->ids_dropped_ms >= ALK_EVENT_DEDUP_MS / 10) {
        db->ids_dropped_ms = now_ms;
        bind_known(db->statements[DROP_IDS], 1, now_ms);
        ALK_TRY(run(db, DROP_IDS));
    }
    return ALK_OK;
}

/* --- writing ------------------------------------------------------------------ */

/* publisher, topic and event_id with zero bytes between them: none holds one. */
static struct alk_span id_key(const struct alk_event_entry *e, uint8_t *dst, size_t dst_size)
{
    const struct alk_span parts[] = {e->publisher, e->topic, e->event_id};
    size_t n = 0;
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].n + 1 > dst_size - n) {
            return alk_span(NULL, 0);
        }
        if (parts[i].n > 0) {
            memcpy(dst + n, parts[i].p, parts[i].n);
        }
        n += parts[i].n;
        dst[n++] = 0;
    }
    return alk_span(dst, n);
}

/* ALK_OK: known already, the entry says so. ALK_END: noted as new. */
static alk_err note_id(struct alk_event_db *db, struct alk_event_entry *e, uint64_t now_ms)
{
    uint8_t space[1024];
    struct alk_span key = id_key(e, space, sizeof(space));
    if (key.n == 0) {
        return ALK_E_TOO_BIG;
    }
    struct sqlite3_stmt *find = db->statements[FIND_ID];
    alk_db_bind_blob(find, 1, key);
    bind_known(find, 2, now_ms);
    alk_err err = alk_db_step(db->db, find);
    if (err == ALK_OK) {
        e->seq = alk_db_u64(find, 0);
        e->is_duplicate = true;
    }
    alk_db_reset(find);
    if (err != ALK_END) {
        return err;
    }
    alk_db_bind_blob(db->statements[PUT_ID], 1, key);
    alk_db_bind_u64(db->statements[PUT_ID], 2, e->seq);
    alk_db_bind_u64(db->statements[PUT_ID], 3, now_ms);
    ALK_TRY(run(db, PUT_ID));
    return ALK_END;
}

static alk_err insert(struct alk_event_db *db, struct alk_event_entry *e, uint64_t now_ms)
{
    struct stream *s = stream_find(db, e->stream);
    ALK_ASSERT(s != NULL);
    if (e->event_id.n > 0) {
        alk_err err = note_id(db, e, now_ms);
        if (err != ALK_END) {
            return err;
        }
    }
    struct sqlite3_stmt *stmt = db->statements[INSERT_EVENT];
    alk_db_bind_u64(stmt, 1, e->seq);
    alk_db_bind_u64(stmt, 2, s->id);
    alk_db_bind_u64(stmt, 3, e->time_ms);
    alk_db_bind_text(stmt, 4, e->topic);
    alk_db_bind_text(stmt, 5, e->publisher);
    alk_db_bind_blob(stmt, 6, e->data);
    ALK_TRY(run(db, INSERT_EVENT));
    s->next_count++;
    s->next_bytes += e->topic.n + e->publisher.n + e->data.n + ROW_BYTES;
    s->is_changed = true;
    return ALK_OK;
}

static alk_err write_all(struct alk_event_db *db, struct alk_event_entry *batch, uint64_t first,
                         const struct alk_event_retain *rules, size_t rule_count, uint64_t now_ms)
{
    for (struct alk_event_entry *e = batch; e != NULL; e = e->next) {
        e->seq = first++;
        e->is_duplicate = false;
        ALK_TRY(insert(db, e, now_ms));
    }
    ALK_TRY(trim_all(db, rules, rule_count, now_ms));
    return streams_write(db);
}

alk_err alk_event_db_write(struct alk_event_db *db, struct alk_event_entry *batch, uint64_t first,
                           const struct alk_event_retain *rules, size_t rule_count, uint64_t now_ms)
{
    for (const struct alk_event_entry *e = batch; e != NULL; e = e->next) {
        ALK_TRY(stream_of(db, e->stream));
    }
    ALK_TRY(alk_db_begin(db->db));
    streams_begin(db);
    ALK_TRY(alk_db_end(db->db, write_all(db, batch, first, rules, rule_count, now_ms)));
    streams_commit(db);
    return ALK_OK;
}

alk_err alk_event_db_trim(struct alk_event_db *db, const struct alk_event_retain *rules,
                          size_t rule_count, uint64_t now_ms)
{
    ALK_TRY(alk_db_begin(db->db));
    streams_begin(db);
    alk_err err = trim_all(db, rules, rule_count, now_ms);
    ALK_TRY(alk_db_end(db->db, err == ALK_OK ? streams_write(db) : err));
    streams_commit(db);
    return ALK_OK;
}

/* --- reading ------------------------------------------------------------------ */

/* Whether retention has removed what the reader has not seen yet. */
static bool is_expired(const struct alk_event_db *db, struct alk_event_page *page)
{
    uint64_t removed = 0;
    for (size_t i = 0; i < db->stream_count; i++) {
        const struct stream *s = db->streams[i];
        if (s->removed > removed && page->touches(page->ctx, s->name)) {
            removed = s->removed;
        }
    }
    if (page->is_earliest) {
        page->is_earliest = false;
        page->base = removed;
    }
    page->oldest = removed + 1;
    return removed > page->after && removed > page->base;
}

static alk_err read_rows(struct alk_event_db *db, struct alk_event_page *page)
{
    struct sqlite3_stmt *stmt = db->statements[PAGE];
    size_t seen = 0, taken = 0, bytes = 0;
    alk_err err = ALK_OK;
    while (seen < ALK_EVENT_LOG_PAGE_SEEN && taken < ALK_EVENT_LOG_PAGE &&
           bytes < ALK_EVENT_LOG_PAGE_BYTES && (err = alk_db_step(db->db, stmt)) == ALK_OK) {
        struct alk_event_record record = {.seq = alk_db_u64(stmt, 0),
                                          .time_ms = alk_db_u64(stmt, 1),
                                          .topic = alk_db_text(stmt, 2),
                                          .publisher = alk_db_text(stmt, 3)};
        seen++;
        if (page->wants(page->ctx, record.topic)) {
            record.data = alk_db_blob(stmt, 4);
            err = page->row(page->ctx, &record);
            if (err != ALK_OK) {
                break;
            }
            taken++;
            bytes += record.data.n;
        }
        page->up_to = record.seq;
    }
    page->is_end = err == ALK_END;
    return err == ALK_END ? ALK_OK : err;
}

alk_err alk_event_db_read(struct alk_event_db *db, struct alk_event_page *page)
{
    page->is_end = false;
    page->up_to = page->after;
    if (is_expired(db, page)) {
        return ALK_E_EXPIRED;
    }
    alk_db_bind_u64(db->statements[PAGE], 1, page->after);
    alk_db_bind_u64(db->statements[PAGE], 2, ALK_EVENT_LOG_PAGE_SEEN);
    alk_err err = read_rows(db, page);
    alk_db_reset(db->statements[PAGE]);
    return err;
}

/* --- life --------------------------------------------------------------------- */

static alk_err find_last(struct alk_event_db *db)
{
    struct sqlite3_stmt *stmt = NULL;
    ALK_TRY(alk_db_prepare(db->db, "SELECT max(seq) FROM events", &stmt));
    alk_err err = alk_db_step(db->db, stmt);
    if (err == ALK_OK && alk_db_u64(stmt, 0) > db->last) {
        db->last = alk_db_u64(stmt, 0);
    }
    alk_db_done(stmt);
    return err == ALK_END ? ALK_OK : err;
}

static alk_err set_up(struct alk_event_db *db, uint64_t pages_max)
{
    /* Events are no secrets: what retention removes need not be overwritten. */
    ALK_TRY(alk_db_exec(db->db, "PRAGMA secure_delete=OFF"));
    if (pages_max > 0) {
        char sql[64];
        (void)snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%llu",
                       (unsigned long long)pages_max);
        ALK_TRY(alk_db_exec(db->db, sql));
    }
    for (size_t i = 0; i < COUNT; i++) {
        ALK_TRY(alk_db_prepare(db->db, SQL[i], &db->statements[i]));
    }
    ALK_TRY(streams_load(db));
    return find_last(db);
}

alk_err alk_event_db_open(const struct alk_mem *mem, const char *dir, uint64_t pages_max,
                          char *message, struct alk_event_db **ret)
{
    static const struct alk_db_schema schema = {
        .application_id = APPLICATION, .migrations = MIGRATIONS, .count = 1};
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, ALK_EVENT_LOG_FILE);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return ALK_E_TOO_BIG;
    }
    struct alk_event_db *db = ALK_NEW(mem, struct alk_event_db);
    if (db == NULL) {
        return ALK_E_NOMEM;
    }
    db->mem = mem;
    alk_err err = alk_db_open(mem, path, &schema, message, &db->db);
    if (err == ALK_OK) {
        err = set_up(db, pages_max);
        if (err != ALK_OK && message != NULL) {
            (void)snprintf(message, ALK_DB_MESSAGE_SIZE, "%s", alk_db_message(db->db));
        }
    }
    if (err != ALK_OK) {
        alk_event_db_close(db);
        return err;
    }
    *ret = db;
    return ALK_OK;
}

void alk_event_db_close(struct alk_event_db *db)
{
    if (db == NULL) {
        return;
    }
    if (db->db != NULL) {
        for (size_t i = 0; i < COUNT; i++) {
            alk_db_done(db->statements[i]);
        }
        alk_db_close(db->db);
    }
    for (size_t i = 0; i < db->stream_count; i++) {
        alk_free(db->mem, db->streams[i]);
    }
    alk_free(db->mem, db->streams);
    alk_free(db->mem, db);
}
