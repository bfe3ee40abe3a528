// Shared inside store/: the open database and the few ways to talk to it.
#pragma once

#include "dispatcher/buf.h"
#include "dispatcher/store.h"
#include "sqlite_library.h"

struct postgres;       // postgres_internal.h
struct postgres_query; // the same
struct store_driver;

// SQLite's prepared statements that nobody uses at the moment, by the address of their text; the
// text is kept as well, since another one may get the same address.
struct sqlite_cache {
    struct {
        const char *sql;
        char *text;
        sqlite3_stmt *stmt;
    } entries[256];
};

struct store {
    const struct store_driver *driver;
    // Of the transaction that is open:
    int depth;        // of store_begin
    bool part_failed; // something within it failed: it may not be committed as it is
    bool notify;      // something is due by it
    struct store_audit_head {
        bool known, moved;
        int64_t sequence;
        char hash[65];
    } audit;      // read once, written once (audit_flush)
    char *fenced; // store_set_fence: the deployment, or NULL
    int64_t fence;
    char *path;  // what people are told: a file, or the URL without user and password
    bool broken; // a write failed in a way that leaves it in doubt: nothing more goes in
    // SQLite's
    sqlite3 *db;
    struct sqlite_cache cache;
    char *claims_path; // the file beside the database whose bytes are locked
    // PostgreSQL's
    struct postgres *postgres;
    bool only_new;     // an older schema is not brought up to date: it is somebody's
    bool keeps_schema; // an older schema stays as it is
};

/// What SQLite says about the last call on `store`, with the hint that fits, as ERROR_STORAGE.
/// `doing` is "read", "write", "open". Marks the store broken where it is in doubt.
struct error *sqlite_error(struct store *store, int code, const char *doing)
    __attribute__((returns_nonnull));
/// ERROR_STORAGE once the store is broken.
NODISCARD struct error *store_check(struct store *store);

// One prepared statement with a sticky error: bind, step and read without looking, then finish.
//
// Statements are one text for both databases, SQLite's; dialect.c says what it turns into for
// PostgreSQL, and docs/decisions/0023 what a statement may not use. A parameter has the type of the
// function that binds it, so a column of numbers is given query_int or query_maybe, never text.
struct query {
    struct store *store;
    bool writes, failed, ended;
    bool conflict;   // it failed because a row with that key is there
    int64_t changes; // rows that it inserted, updated or deleted, once it ran
    int position;    // of the next parameter
    // SQLite's
    const char *sql;
    sqlite3_stmt *stmt;
    int code; // of the first failure
    // PostgreSQL's
    struct postgres_query *postgres;
};

/// `sql` is borrowed until query_done.
void query_init(struct query *query, struct store *store, const char *sql);
void query_done(struct query *query);
void query_text(struct query *query, const char *text); // borrowed until query_done; NULL is NULL
void query_int(struct query *query, int64_t number);
/// A number that may be absent: NULL unless `present`.
void query_maybe(struct query *query, bool present, int64_t number);
/// True while there is a row.
bool query_row(struct query *query);
/// Runs a statement whose rows do not matter, or passes on an earlier failure.
NODISCARD struct error *query_run(struct query *query);
/// The failure of any call so far, if there was one.
NODISCARD struct error *query_finish(struct query *query);
/// Text of a column, valid until the next row; NULL stays NULL.
const char *query_peek_text(struct query *query, int column);
/// The same in the arena.
const char *query_get_text(struct query *query, int column, struct arena *arena);
/// 0 for NULL; 1 and 0 for what is true and false.
int64_t query_get_int(struct query *query, int column);
/// Rows that the statement inserted, updated or deleted, once it ran.
int64_t query_changes(const struct query *query);
/// Did it fail because a unique or primary key is taken? On PostgreSQL the transaction is over
/// then: where that may happen within one, say ON CONFLICT and look at query_changes.
bool query_conflicts(const struct query *query);
/// Sends it and goes on, so that several statements share one round trip: its rows and its failure
/// are asked for later, in the order of sending. Within a transaction; on SQLite it runs when it is
/// asked.
void query_send(struct query *query);
/// Runs a statement whose rows do not matter without waiting for it: what fails is the next one of
/// this handle, which is waited for. Not the last one before a COMMIT.
NODISCARD struct error *query_run_ahead(struct query *query);
/// Runs an INSERT … RETURNING of one number.
NODISCARD struct error *query_insert_id(struct query *query, int64_t *out);
/// `items` with room for one more than `count`, all in the arena.
void *store_grow(struct arena *arena, void *items, size_t count, size_t size);

/// One statement without parameters and rows; `ahead`: as query_run_ahead.
NODISCARD struct error *store_run(struct store *store, const char *sql);
NODISCARD struct error *store_run_ahead(struct store *store, const char *sql);
/// BEGIN IMMEDIATE, so that SQLite's write lock is taken (or waited for) here and nowhere later.
/// On PostgreSQL others write meanwhile (READ COMMITTED): see store_lock, and FOR UPDATE. Within
/// another one it is a part of that one.
NODISCARD struct error *store_begin(struct store *store);
/// Within a transaction that reads or writes all there is: no statement of it is too slow.
NODISCARD struct error *store_be_patient(struct store *store);
/// Within a transaction: no other one that takes the same name gets past this before it ends. What
/// SQLite's write lock does anyway.
NODISCARD struct error *store_lock(struct store *store, const char *name);
/// Commits when `err` is NULL, else rolls back and returns `err`. Of a part: passes `err` on; what
/// failed with anything but ERROR_CONFLICT (found before it wrote anything) fails the whole, also
/// when somebody in between forgets it.
NODISCARD struct error *store_end(struct store *store, struct error *err);
/// Tells who listens that something is due, once this transaction is committed (hints.c).
void store_notify(struct store *store);
/// The audit's head, locked until this transaction ends.
NODISCARD struct error *audit_lock_head(struct store *store);
/// Writes the head back, once, if it has moved; before the COMMIT.
NODISCARD struct error *audit_flush(struct store *store);
/// ERROR_CONFLICT when `id` is the fenced one and has been taken over. Inside a transaction.
NODISCARD struct error *store_check_fence(struct store *store, const char *id);

// What differs between the databases. A driver sets query->failed (and conflict), and tells what
// went wrong in `failure`; the rest of store/ calls query_* and store_* only.
struct store_driver {
    const char *begin;
    void (*init)(struct query *query, const char *sql);
    void (*done)(struct query *query);
    void (*text)(struct query *query, const char *text);
    void (*number)(struct query *query, bool present, int64_t number);
    bool (*row)(struct query *query);
    void (*send)(struct query *query, bool loose); // NULL: nothing is gained
    struct error *(*failure)(struct query *query);
    const char *(*get_text)(struct query *query, int column); // valid until the next row
    int64_t (*get_int)(struct query *query, int column);
    bool (*in_transaction)(const struct store *store);
    struct error *(*lock)(struct store *store, const char *name);
    const char *patience; // a statement, or NULL
    // NULL: nothing is ever told (hints.c).
    int (*ear)(const struct store *store); // a descriptor that is readable when something came
    struct error *(*take_told)(
        struct store *store, void (*heard)(void *ctx, const char *about), void *ctx);
    struct error *(*claim)(struct store_claim *claim, struct store *store, bool *taken);
    void (*release)(struct store_claim *claim);
    void (*close)(struct store *store);
};
/// store_open of a database that nobody has used; ERROR_CONFLICT when it has an older schema.
NODISCARD struct error *store_open_new(const char *url, struct store **out);
extern const struct store_driver sqlite_driver, postgres_driver;
/// Opens `store`, whose path is a file; what store_open does for SQLite.
NODISCARD struct error *database_open(struct store *store);
/// Only opens it, with the safety switches. `location` and `flags` are SQLite's.
NODISCARD struct error *database_open_plain(struct store *store, const char *location, int flags);
/// The directory of a path; heap, free().
char *database_directory(const char *path) __attribute__((returns_nonnull));
NODISCARD struct error *database_sync_directory(const char *directory);
/// The same as database_open for a URL of PostgreSQL; gives `store` its path.
NODISCARD struct error *postgres_open(struct store *store, const char *url);

// A claim of either kind. It may outlive its store, but then gives nothing back: the connection
// did.
struct store_claim {
    const struct store_driver *driver;
    int64_t number; // of 62 bits, made from the id
    // SQLite's
    int fd; // of the claims file
    // PostgreSQL's
    struct store *store; // while it is held and the store is open
    struct store_claim *next;
};

// --- dialect.c -----------------------------------------------------------------------------------

/// `sql` (one statement) as PostgreSQL has to be told.
void dialect_postgres(const char *sql, struct buf *out);
/// `sql` without what SQLite does not know: FOR UPDATE [SKIP LOCKED].
void dialect_sqlite(const char *sql, struct buf *out);
/// Cuts the first statement off a list that is separated by ';': false at its end.
bool dialect_next(const char **list, struct str *statement);

// deployments.c: the parts of store_insert and store_save, inside a transaction of the caller.
NODISCARD struct error *deployments_insert(struct store *store, const struct store_deployment *row);
NODISCARD struct error *deployments_update(
    struct store *store, const struct store_deployment *row, const struct store_step *step);

/// Brings the schema to version `to` where it is older, within a transaction of the caller, who
/// knows that it is ours.
NODISCARD struct error *store_migrate(struct store *store, int to);
extern const int store_schema_version;
enum { STORE_APPLICATION_ID = 0x44495350 }; // "DISP" in PRAGMA application_id

// Byte ranges of the claims file. A claim locks one byte below 2^62 made from the id.
#define CLAIM_BYTE_PROBE (INT64_C(1) << 62)
#define CLAIM_BYTE_MIGRATE ((INT64_C(1) << 62) + 1)

/// Opens the claims file; *out is a new file description, so its locks are its own.
NODISCARD struct error *claims_open(const struct store *store, int *out);
/// Locks one byte for as long as the file description lives. *taken false: somebody else has it.
/// `wait`: until it is free, and *taken may be NULL.
NODISCARD struct error *claims_lock(
    const struct store *store, int fd, int64_t byte, bool wait, bool *taken);
/// SQLite's part of store_claim and store_claim_release.
NODISCARD struct error *claims_take(struct store_claim *claim, struct store *store, bool *taken);
void claims_give_back(struct store_claim *claim);
/// ERROR_STORAGE when two descriptions can hold the same byte (some network file systems).
NODISCARD struct error *claims_probe(const struct store *store, int first, int second);
