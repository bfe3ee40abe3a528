// Opening SQLite's file: what is accepted, with which settings (protocols.md §7.4). Knows nothing
// of what is stored in it.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "store_internal.h"

enum { BUSY_MS = 10000, VALUE_MAX = 64 * 1024 * 1024 };

static void
close_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

char *
database_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? xstrdup(".")
                         : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

struct error *
database_sync_directory(const char *directory)
{
    int fd CLEANUP(close_fd) = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return error_new(ERROR_STORAGE, "sync directory '%s': %s", directory, strerror(errno));
    }
    return NULL;
}

// Creates the file with the right mode, since SQLite would use the umask's. An existing file is not
// opened here: closing it again would drop the locks that another handle of this process has on it.
static struct error *
prepare_file(const char *path)
{
    char *directory CLEANUP(xfreep) = database_directory(path);
    TRY(file_make_directories(directory));
    struct stat info;
    if (stat(path, &info) == 0) {
        if (S_ISREG(info.st_mode)) {
            return NULL;
        }
        struct error *err = error_new(ERROR_STORAGE, "journal '%s' is not a regular file", path);
        return error_hint(err, "DISPATCHER_STATE names the journal's file.");
    }
    int fd CLEANUP(close_fd) = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        struct error *err =
            error_new(ERROR_STORAGE, "create journal '%s': %s", path, strerror(errno));
        return error_hint(err, "The journal needs a directory that can be written to; "
                               "DISPATCHER_STATE names another file.");
    }
    return fd < 0 ? NULL : database_sync_directory(directory);
}

// Asks again each millisecond. SQLite's own timeout asks every 100 ms in the end, and somebody who
// writes one transaction after the other leaves gaps much shorter than that: others starve.
static int
wait_for_lock(void *ctx, int tries)
{
    (void)ctx;
    (void)sqlite3_sleep(1);
    return tries < BUSY_MS ? 1 : 0;
}

// SQLITE_DBCONFIG_*: no writable schema, no schema that runs functions, quotes mean what SQL says.
static struct error *
configure(struct store *store)
{
    static const int switches[][2] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(switches); i++) {
        int set = -1;
        int code = sqlite3_db_config(store->db, switches[i][0], switches[i][1], &set);
        if (code != SQLITE_OK || set != switches[i][1]) {
            return error_new(
                ERROR_STORAGE, "this SQLite lacks the safety switch %d", switches[i][0]);
        }
    }
    (void)sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    (void)sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_busy_handler(store->db, wait_for_lock, NULL);
    return NULL;
}

static struct error *
read_int(struct store *store, const char *sql, int64_t *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    if (query_row(&query)) {
        *out = query_get_int(&query, 0);
    }
    return query_finish(&query);
}

// A setting counts only when the database says that it has it.
static struct error *
set_pragma(struct store *store, const char *sql, const char *expected)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *got = query_row(&query) ? query_get_text(&query, 0, arena) : NULL;
    TRY(query_finish(&query));
    if (expected != NULL && !cstr_equal(got, expected)) {
        struct error *err =
            error_new(ERROR_STORAGE, "journal '%s': '%s' gives '%s' instead of '%s'", store->path,
                sql, got != NULL ? got : "nothing", expected);
        return error_hint(err, "The file system may lack shared memory or locks; DISPATCHER_STATE "
                               "names a file on another one.");
    }
    return NULL;
}

static struct error *
corrupt(const struct store *store, const char *what)
{
    struct error *err = error_new(ERROR_STORAGE, "journal '%s' is damaged: %s", store->path, what);
    return error_hint(err,
        "Restore it from a backup, or move it and its '-wal' and '-shm' files away to begin a new "
        "one; look up deployments that were running in the infra repository first.");
}

struct identity {
    int64_t application, version, tables;
};

// In one transaction: another process may be creating the schema at this moment.
static struct error *
read_identity(struct store *store, struct identity *out)
{
    TRY(store_run(store, "BEGIN"));
    TRY(read_int(store, "SELECT count(*) FROM sqlite_schema", &out->tables));
    TRY(read_int(store, "PRAGMA application_id", &out->application));
    TRY(read_int(store, "PRAGMA user_version", &out->version));
    return store_run(store, "COMMIT");
}

// Whose file is it, and of which age? Reads only.
static struct error *
check_identity(struct store *store, int64_t *version)
{
    struct identity identity = {0};
    TRY(read_identity(store, &identity));
    bool ours = identity.application == STORE_APPLICATION_ID;
    bool empty = identity.application == 0 && identity.version == 0 && identity.tables == 0;
    if (!ours && !empty) {
        struct error *err =
            error_new(ERROR_STORAGE, "journal '%s' is a database of another program", store->path);
        return error_hint(err, "DISPATCHER_STATE names the journal's file; choose one of its own.");
    }
    if (ours && identity.version < 1) {
        return corrupt(store, "its schema version is gone");
    }
    if (identity.version > store_schema_version) {
        struct error *err = error_new(ERROR_STORAGE,
            "journal '%s' has schema %lld, but this dispatcher knows %d at most", store->path,
            (long long)identity.version, store_schema_version);
        return error_hint(err, "A newer dispatcher wrote it: update this one, or name another file "
                               "with DISPATCHER_STATE.");
    }
    *version = identity.version;
    return NULL;
}

static struct error *
check_integrity(struct store *store)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct query query CLEANUP(query_done);
    query_init(&query, store, "PRAGMA quick_check(1)");
    const char *verdict = query_row(&query) ? query_get_text(&query, 0, arena) : NULL;
    TRY(query_finish(&query));
    return cstr_equal(verdict, "ok") ? NULL
                                     : corrupt(store, verdict != NULL ? verdict : "no verdict");
}

// One process at a time changes the journal mode and the schema; the others wait, then find it
// done.
static struct error *
bring_up_to_date(struct store *store)
{
    int fd CLEANUP(close_fd) = -1;
    TRY(claims_open(store, &fd));
    TRY(claims_lock(store, fd, CLAIM_BYTE_MIGRATE, true, NULL));
    TRY(set_pragma(store, "PRAGMA synchronous = FULL", NULL));
    TRY(set_pragma(store, "PRAGMA journal_mode = WAL", "wal"));
    TRY(store_begin(store));
    return store_end(store, store_migrate(store, store_schema_version));
}

static struct error *
apply_settings(struct store *store)
{
    TRY(set_pragma(store, "PRAGMA journal_mode = WAL", "wal"));
    TRY(set_pragma(store, "PRAGMA synchronous = FULL", NULL));
    TRY(set_pragma(store, "PRAGMA synchronous", "2"));
    TRY(set_pragma(store, "PRAGMA foreign_keys", "1"));
    TRY(set_pragma(store, "PRAGMA temp_store = MEMORY", NULL));
    return set_pragma(store, "PRAGMA cell_size_check = ON", NULL);
}

static struct error *
check_locks(struct store *store)
{
    int first CLEANUP(close_fd) = -1, second CLEANUP(close_fd) = -1;
    TRY(claims_open(store, &first));
    TRY(claims_open(store, &second));
    return claims_probe(store, first, second);
}

struct error *
database_open_plain(struct store *store, const char *location, int flags)
{
    flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(location, &store->db, flags, NULL);
    return code == SQLITE_OK ? configure(store) : sqlite_error(store, code, "open");
}

static struct error *
open_checked(struct store *store)
{
    TRY(database_open_plain(store, store->path, SQLITE_OPEN_READWRITE));
    if (sqlite3_db_readonly(store->db, "main") == 1) {
        return sqlite_error(store, SQLITE_READONLY, "open");
    }
    int64_t version = 0;
    TRY(check_identity(store, &version));
    TRY(check_integrity(store));
    TRY(check_locks(store));
    if (version < store_schema_version && !(store->keeps_schema && version > 0)) {
        TRY(bring_up_to_date(store));
    }
    return apply_settings(store);
}

struct error *
database_open(struct store *store)
{
    TRY(sqlite_library_load());
    TRY(prepare_file(store->path));
    store->claims_path = xasprintf("%s-claims", store->path);
    return open_checked(store);
}
