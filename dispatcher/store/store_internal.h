// Shared inside store/: the open database and the few ways to talk to it.
#pragma once

#include "dispatcher/store.h"
#include "sqlite_library.h"

struct store {
    sqlite3 *db;
    char *path;
    char *claims_path; // the file beside the database whose bytes are locked
    bool broken; // a write failed in a way that leaves the file in doubt: nothing more goes in
};

/// What the database says about the last call on `store`, with the hint that fits, as
/// ERROR_STORAGE. `doing` is "read", "write", "open". Marks the store broken where it is in doubt.
struct error *store_error(struct store *store, int code, const char *doing)
    __attribute__((returns_nonnull));
/// ERROR_STORAGE once the store is broken.
NODISCARD struct error *store_check(struct store *store);

// One prepared statement with a sticky error: bind, step and read without looking, then finish.
struct query {
    struct store *store;
    sqlite3_stmt *stmt;
    int code;     // first failure, SQLITE_OK while there is none
    int position; // of the next parameter
    bool writes;
};

void query_init(struct query *query, struct store *store, const char *sql);
void query_done(struct query *query);
void query_text(struct query *query, const char *text); // borrowed until query_done; NULL is NULL
void query_int(struct query *query, int64_t number);
/// True while there is a row.
bool query_row(struct query *query);
/// Runs a statement that gives no rows, or passes on an earlier failure.
NODISCARD struct error *query_run(struct query *query);
/// The failure of any call so far, if there was one.
NODISCARD struct error *query_finish(struct query *query);
/// Text of a column in the arena; NULL stays NULL.
const char *query_get_text(struct query *query, int column, struct arena *arena);
int64_t query_get_int(struct query *query, int column);
/// `items` with room for one more than `count`, all in the arena.
void *store_grow(struct arena *arena, void *items, size_t count, size_t size);

/// One statement without parameters and rows.
NODISCARD struct error *store_run(struct store *store, const char *sql);
/// BEGIN IMMEDIATE, so that the write lock is taken (or waited for) here and nowhere later.
NODISCARD struct error *store_begin(struct store *store);
/// Commits when `err` is NULL, else rolls back and returns `err`.
NODISCARD struct error *store_end(struct store *store, struct error *err);

// deployments.c: the parts of store_insert and store_save, inside a transaction of the caller.
NODISCARD struct error *deployments_insert(struct store *store, const struct store_deployment *row);
NODISCARD struct error *deployments_update(
    struct store *store, const struct store_deployment *row, const struct store_step *step);

/// Brings the schema up to date; the caller knows that the file is ours.
NODISCARD struct error *store_migrate(struct store *store);
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
/// ERROR_STORAGE when two descriptions can hold the same byte (some network file systems).
NODISCARD struct error *claims_probe(const struct store *store, int first, int second);
