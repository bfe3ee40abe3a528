// Backups: one file of SQLite that holds everything, whichever database it came from. It gets its
// name only once it was read back and found whole.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

// --- databases as files --------------------------------------------------------------------------

// Without a journal beside it nobody writes to a file, and SQLite need not make one to read it.
static char *
location_of(const char *path, int flags)
{
    char *journal CLEANUP(xfreep) = xasprintf("%s-wal", path);
    struct buf uri CLEANUP(buf_done) = BUF_INIT(PATH_MAX * 4);
    if ((flags & SQLITE_OPEN_READONLY) == 0 || file_exists(journal)) {
        return xstrdup(path);
    }
    buf_puts(&uri, "file:");
    url_encode(str_of(path), "/", &uri);
    buf_puts(&uri, "?immutable=1");
    return buf_take(&uri);
}

struct error *
backup_open(const char *path, int flags, struct store **out)
{
    struct store *store CLEANUP(store_closep) = xcalloc(1, sizeof(*store));
    char *location CLEANUP(xfreep) = location_of(path, flags);
    TRY(sqlite_library_load());
    store->driver = &sqlite_driver;
    store->path = xstrdup(path);
    bool named = strcmp(location, path) != 0;
    TRY(database_open_plain(store, location, named ? flags | SQLITE_OPEN_URI : flags));
    *out = store;
    store = NULL;
    return NULL;
}

struct error *
backup_pages(struct store *from, struct store *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (backup == NULL) {
        return sqlite_error(to, SQLITE_ERROR, "write");
    }
    int code = sqlite3_backup_step(backup, -1); // all of it: one reading transaction
    int end = sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE && end == SQLITE_OK) {
        return NULL;
    }
    return sqlite_error(to, end != SQLITE_OK ? end : code, "copy");
}

struct error *
backup_alone(struct store *store)
{
    return store_run(store, "PRAGMA journal_mode = DELETE");
}

struct error *
backup_migrate(struct store *store)
{
    TRY(store_begin(store));
    return store_end(store, store_migrate(store, store_schema_version));
}

// --- a file that gets its name last --------------------------------------------------------------

static struct error *
failed(const char *doing, const char *path)
{
    return error_new(ERROR_STORAGE, "%s '%s': %s", doing, path, strerror(errno));
}

// SQLite would replay what another database left beside the name into the new file.
static struct error *
check_beside(const char *to, enum error_kind kind)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s%s", to, ends[i]);
        struct stat info;
        if (lstat(path, &info) == 0) {
            return error_hint(error_new(kind, "'%s' exists", path),
                "It belongs to a database that was called '%s': move it away with that one.", to);
        }
    }
    return NULL;
}

struct error *
backup_file_begin(const char *to, bool empty_is_fine, struct backup_file *out)
{
    struct stat info;
    if (stat(to, &info) == 0 && !(empty_is_fine && S_ISREG(info.st_mode) && info.st_size == 0)) {
        struct error *err = error_new(ERROR_USAGE, "'%s' exists", to);
        return error_hint(err, "Name a file that does not exist yet: nothing is overwritten.");
    }
    TRY(check_beside(to, empty_is_fine ? ERROR_CONFLICT : ERROR_USAGE));
    char *directory CLEANUP(xfreep) = database_directory(to);
    char *part CLEANUP(xfreep) = xasprintf("%s.XXXXXX", to);
    TRY(file_make_directories(directory));
    int fd = mkstemp(part); // 0600
    if (fd < 0) {
        return failed("create", part);
    }
    (void)close(fd);
    *out = (struct backup_file){.part = part, .to = to};
    part = NULL;
    return NULL;
}

void
backup_file_done(struct backup_file *file)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; file->part != NULL && i < ARRAY_LENGTH(ends); i++) {
        char *path CLEANUP(xfreep) = xasprintf("%s%s", file->part, ends[i]);
        (void)unlink(path);
    }
    free(file->part);
    file->part = NULL;
}

// link() and not rename(): what came to be there meanwhile stays.
static struct error *
give_name(const struct backup_file *file)
{
    struct stat info;
    if (stat(file->to, &info) == 0 && info.st_size == 0) {
        return rename(file->part, file->to) == 0 ? NULL : failed("rename", file->part);
    }
    if (link(file->part, file->to) != 0) {
        return failed("create", file->to);
    }
    (void)unlink(file->part);
    return NULL;
}

struct error *
backup_file_end(struct backup_file *file, struct store_verification *seen)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    TRY(store_verify(file->part, arena, seen));
    if (seen->problem != NULL) {
        struct error *err =
            error_new(ERROR_STORAGE, "the copy for '%s' is not whole: %s", file->to, seen->problem);
        seen->problem = NULL; // the arena's
        return error_hint(err, "It was thrown away. See what 'dispatcher doctor' says of the "
                               "journal and its disk.");
    }
    TRY(give_name(file));
    free(file->part);
    file->part = NULL;
    char *directory CLEANUP(xfreep) = database_directory(file->to);
    return database_sync_directory(directory);
}

// --- a backup ------------------------------------------------------------------------------------

// The same schema as there.
static struct error *
make_tables(struct store *store, struct store *to)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "PRAGMA user_version");
    int64_t version = query_row(&query) ? query_get_int(&query, 0) : 0;
    TRY(query_finish(&query));
    TRY(store_begin(to));
    return store_end(to, store_migrate(to, (int)version));
}

// While others write: all tables as they were at one moment.
static struct error *
copy_from_postgres(struct store *store, struct store *to)
{
    TRY(store_run(store, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    struct error *err = store_be_patient(store);
    err = err != NULL ? err : make_tables(store, to);
    err = err != NULL ? err : store_begin(to);
    if (err == NULL) {
        err = store_end(to, copy_rows(store, to));
    }
    struct error *end = store_run(store, "ROLLBACK"); // there is nothing to commit
    if (err != NULL) {
        error_free(end);
        return err;
    }
    return end;
}

static struct error *
fill(struct store *store, const char *path)
{
    struct store *to CLEANUP(store_closep) = NULL;
    TRY(backup_open(path, SQLITE_OPEN_READWRITE, &to));
    TRY(store_is_shared(store) ? copy_from_postgres(store, to) : backup_pages(store, to));
    return backup_alone(to);
}

struct error *
store_backup(struct store *store, const char *to)
{
    struct backup_file file CLEANUP(backup_file_done) = {0};
    struct store_verification seen = {0};
    TRY(store_check(store));
    TRY(backup_file_begin(to, false, &file));
    TRY(fill(store, file.part));
    return backup_file_end(&file, &seen);
}
