// The journal and history: SQLite, WAL, synchronous=FULL (design.md §5 "Where state lives"), or
// PostgreSQL for a service with replicas: the same tables and the same statements.
//
// A deployment is one row with its whole document as JSON; every change of a step is committed with
// the document in one transaction, intent before effect, result after. Whoever advances a
// deployment holds its claim: an OS lock that vanishes with the process, so a killed owner blocks
// nobody. All failures are ERROR_STORAGE and fail-stop: no external effect may follow one
// (protocols.md C20); after one that leaves the file in doubt (disk full, I/O error) the handle
// refuses everything else. Beside PATH lie PATH-wal, PATH-shm (SQLite) and PATH-claims (the claims,
// always empty). One thread per handle; many processes per file.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/cancel.h"
#include "dispatcher/error.h"

struct store;

struct store_deployment {
    const char *id; // "d-…", unique
    const char *app, *env, *version;
    const char *state;              // running | final
    const char *result;             // deployed | failed | …: NULL while running
    int exit_code;                  // meaningful when final
    int64_t created_ms, updated_ms; // wall
    const char *document;           // JSON, the engine's
};

struct store_step {
    int ordinal;
    const char *name; // "push web"
    const char
        *state;       // intent | done | skipped | waiting | failed | undoing | undone | undo-failed
    const char *note; // one line for people, or NULL
    int64_t at_ms;
};

struct store_filter {
    const char *app, *env, *state; // NULL: any
    int limit;                     // 0: 50; newest first
};

/// Opens or creates (0600, directories 0700), migrates by PRAGMA user_version, refuses a newer
/// schema, a corrupt file (with what to do) and a file on which locking does not work.
/// `path` may also be "sqlite:PATH" or "postgresql://…" (libpq's URL): there claims are session
/// advisory locks, which vanish with the connection; a connection that breaks breaks the handle.
NODISCARD struct error *store_open(const char *path, struct store **out);
/// The same for store_backup: an older schema is not brought up to date. A service of the version
/// that wrote it may be running, and whoever updates it wants the copy from before.
NODISCARD struct error *store_open_kept(const char *path, struct store **out);
bool store_is_shared(const struct store *store); // PostgreSQL: replicas may share it
bool store_path_is_shared(const char *path);     // would it be?
/// Bytes that are left where its file is; INT64_MAX: of a server, or it cannot be told.
int64_t store_room(const struct store *store);
/// Its path, or its URL without user and password: for people.
const char *store_name(const struct store *store);
/// Nothing went wrong that leaves it in doubt; of one that is not usable nothing more is heard but
/// errors.
bool store_is_usable(const struct store *store);
void store_close(struct store *store);
void store_closep(struct store **store);

NODISCARD struct error *store_insert(struct store *store, const struct store_deployment *row);
/// Updates the row and, when `step` is given, appends to its step log: one transaction, durable on
/// return.
NODISCARD struct error *store_save(
    struct store *store, const struct store_deployment *row, const struct store_step *step);
/// By full id or unique prefix of at least 6 characters; *out NULL when there is none, ERROR_USAGE
/// when several match.
NODISCARD struct error *store_find(
    struct store *store, const char *id, struct arena *arena, struct store_deployment **out);
NODISCARD struct error *store_list(struct store *store, const struct store_filter *filter,
    struct arena *arena, struct store_deployment **rows, size_t *count);
/// The step log of a deployment in order of writing.
NODISCARD struct error *store_steps(struct store *store, const char *id, struct arena *arena,
    struct store_step **steps, size_t *count);

struct store_event {
    int64_t sequence, at_ms;
    const char *json; // one event line as --json prints it
};
NODISCARD struct error *store_add_event(
    struct store *store, const char *id, const char *json, int64_t at_ms);
/// At most 10,000 with a sequence greater than `after`, oldest first.
NODISCARD struct error *store_events(struct store *store, const char *id, int64_t after,
    struct arena *arena, struct store_event **events, size_t *count);

struct store_claim;
/// Takes the exclusive right to advance `id`; *out NULL when somebody else has it, in this process
/// or another. The deployment need not exist yet.
NODISCARD struct error *store_claim(struct store *store, const char *id, struct store_claim **out);
void store_claim_release(struct store_claim *claim);
void store_claim_releasep(struct store_claim **claim);

/// Median duration of the last successful remote runs of (app, env); 0 when unknown.
NODISCARD struct error *store_usual_duration(
    struct store *store, const char *app, const char *env, int64_t *out_ms);
/// Records one, with the deployment.
NODISCARD struct error *store_add_duration(
    struct store *store, const char *id, const char *app, const char *env, int64_t duration_ms);

// --- hints (hints.c) -----------------------------------------------------------------------------

// Processes that share a database tell each other what may be worth a look. Only hints: they may
// be lost, come twice, or be made up by whoever may connect to the database, so that nothing may
// depend on one. SQLite's are never heard: its one process knows.

/// From now on this handle hears what is told.
NODISCARD struct error *store_listen(struct store *store);
/// Waits until something was told, `wake` is raised or `wait_ms` are over, and hands on what was
/// told: "" for something that is due, else the id of a deployment. What this handle told itself is
/// left out. ERROR_STORAGE: the connection is gone.
NODISCARD struct error *store_hear(struct store *store, int wait_ms, const struct cancel *wake,
    void (*heard)(void *ctx, const char *about), void *ctx);
/// Tells all who listen, without waiting for any of them.
NODISCARD struct error *store_tell(struct store *store, const char *about);

// --- keeping it (backup.c) -----------------------------------------------------------------------

/// A consistent copy of the whole database into a new SQLite file, while others write; from
/// PostgreSQL too. ERROR_USAGE when `to` exists.
NODISCARD struct error *store_backup(struct store *store, const char *to);
struct store_verification {
    int64_t deployments, jobs, audit_entries;
    int64_t schema;
    const char *problem; // NULL: it is whole
};
/// Opens a copy read-only and reads all of it: integrity, schema, documents, the audit chain.
NODISCARD struct error *store_verify(
    const char *path, struct arena *arena, struct store_verification *out);
/// Copies a verified backup into an empty database at `to` (path or URL). ERROR_CONFLICT when it is
/// not empty.
NODISCARD struct error *store_restore(const char *from, const char *to);
