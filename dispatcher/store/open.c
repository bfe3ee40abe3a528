// Which database a path or URL names, and the end of a handle.
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "dispatcher/memory.h"
#include "store_internal.h"

#define SQLITE_SCHEME "sqlite:"

bool
store_path_is_shared(const char *path)
{
    return str_starts(str_of(path), STR("postgresql://")) ||
           str_starts(str_of(path), STR("postgres://"));
}

static struct error *
open_sqlite(struct store *store, const char *path)
{
    struct str rest = str_of(path);
    if (str_starts(rest, STR(SQLITE_SCHEME))) {
        rest = str_skip(rest, strlen(SQLITE_SCHEME));
    }
    if (rest.len == 0) {
        return error_hint(error_new(ERROR_STORAGE, "'%s' names no file for the journal", path),
            "Give a path, 'sqlite:PATH' or 'postgresql://HOST/DATABASE'.");
    }
    store->driver = &sqlite_driver;
    store->path = str_dup(rest);
    return database_open(store);
}

static struct error *
open_any(const char *path, const struct store *how, struct store **out)
{
    struct store *store CLEANUP(store_closep) = xcalloc(1, sizeof(*store));
    *store = *how;
    TRY(store_path_is_shared(path) ? postgres_open(store, path) : open_sqlite(store, path));
    *out = store;
    store = NULL;
    return NULL;
}

struct error *
store_open(const char *path, struct store **out)
{
    return open_any(path, &(struct store){0}, out);
}

struct error *
store_open_kept(const char *path, struct store **out)
{
    return open_any(path, &(struct store){.keeps_schema = true}, out);
}

struct error *
store_open_new(const char *url, struct store **out)
{
    return open_any(url, &(struct store){.only_new = true}, out);
}

bool
store_is_shared(const struct store *store)
{
    return store->driver == &postgres_driver;
}

const char *
store_name(const struct store *store)
{
    return store->path;
}

bool
store_is_usable(const struct store *store)
{
    return !store->broken;
}

void
store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->driver != NULL) {
        store->driver->close(store);
    }
    free(store->path);
    free(store->claims_path);
    free(store->fenced);
    free(store);
}

void
store_closep(struct store **store)
{
    store_close(*store);
    *store = NULL;
}

int64_t
store_room(const struct store *store)
{
    struct statvfs disk;
    if (store_is_shared(store) || statvfs(store->path, &disk) != 0) {
        return INT64_MAX;
    }
    uint64_t blocks = disk.f_bavail, size = disk.f_frsize > 0 ? disk.f_frsize : 1;
    return blocks > INT64_MAX / size ? INT64_MAX : (int64_t)(blocks * size);
}
