// A backup back into a database that has nothing in it. Verified before anything is written, and
// once more before it counts.
#include <string.h>
#include <sys/stat.h>

#include "backup_internal.h"
#include "dispatcher/memory.h"

static struct error *
not_empty(const char *name)
{
    struct error *err = error_new(ERROR_CONFLICT, "'%s' is not empty", name);
    return error_hint(err, "A backup is restored into a file that does not exist, or into a new "
                           "database; nothing was changed.");
}

static struct error *
check_backup(const char *from, struct arena *arena, struct store_verification *seen)
{
    TRY(store_verify(from, arena, seen));
    return seen->problem != NULL
               ? error_new(ERROR_STORAGE, "backup '%s' is not whole: %s", from, seen->problem)
               : NULL;
}

static struct error *
compare(const char *name, const struct store_verification *before,
    const struct store_verification *after)
{
    if (after->problem != NULL) {
        return error_new(
            ERROR_STORAGE, "what was restored to '%s' is not whole: %s", name, after->problem);
    }
    if (before->deployments != after->deployments || before->jobs != after->jobs ||
        before->audit_entries != after->audit_entries) {
        return error_new(
            ERROR_STORAGE, "what was restored to '%s' has other rows than the backup", name);
    }
    return NULL;
}

// The backup with today's schema: itself, or a copy that vanishes with its handle.
static struct error *
open_backup(const char *from, int64_t schema, struct store **out)
{
    struct store *backup CLEANUP(store_closep) = NULL, *newer CLEANUP(store_closep) = NULL;
    TRY(backup_open(from, SQLITE_OPEN_READONLY, &backup));
    if (schema < store_schema_version) {
        TRY(backup_open("", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &newer));
        TRY(backup_pages(backup, newer));
        TRY(backup_migrate(newer));
        *out = newer;
        newer = NULL;
    } else {
        *out = backup;
        backup = NULL;
    }
    return NULL;
}

// --- into SQLite ---------------------------------------------------------------------------------

static struct error *
restore_file(const char *from, const char *to, const struct store_verification *before)
{
    struct backup_file file CLEANUP(backup_file_done) = {0};
    struct store_verification after = {0};
    struct stat info;
    if (stat(to, &info) == 0 && (!S_ISREG(info.st_mode) || info.st_size > 0)) {
        return not_empty(to);
    }
    TRY(backup_file_begin(to, true, &file));
    {
        struct store *backup CLEANUP(store_closep) = NULL, *copy CLEANUP(store_closep) = NULL;
        TRY(backup_open(from, SQLITE_OPEN_READONLY, &backup));
        TRY(backup_open(file.part, SQLITE_OPEN_READWRITE, &copy));
        TRY(backup_pages(backup, copy));
        TRY(backup_alone(copy));
        TRY(backup_migrate(copy));
    }
    TRY(backup_file_end(&file, &after));
    return compare(to, before, &after);
}

// --- into PostgreSQL -----------------------------------------------------------------------------

// All in one transaction, in which nobody else writes.
static struct error *
fill(struct store *store, struct store *backup, const struct store_verification *before)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_verification after = {0};
    bool is_new = false;
    TRY(store_be_patient(store));
    TRY(copy_target_is_new(store, &is_new));
    if (!is_new) {
        return not_empty(store_name(store));
    }
    TRY(copy_rows(backup, store));
    TRY(verify_store(store, arena, &after));
    return compare(store_name(store), before, &after);
}

static struct error *
restore_database(const char *from, const char *to, const struct store_verification *before)
{
    struct store *backup CLEANUP(store_closep) = NULL, *store CLEANUP(store_closep) = NULL;
    TRY(open_backup(from, before->schema, &backup));
    TRY(store_open_new(to, &store));
    TRY(store_begin(store));
    return store_end(store, fill(store, backup, before));
}

struct error *
store_restore(const char *from, const char *to)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_verification seen = {0};
    TRY(check_backup(from, arena, &seen));
    if (store_path_is_shared(to)) {
        return restore_database(from, to, &seen);
    }
    if (str_starts(str_of(to), STR("sqlite:"))) {
        to += strlen("sqlite:");
    }
    return restore_file(from, to, &seen);
}
