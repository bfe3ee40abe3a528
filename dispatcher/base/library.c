// Opens shared libraries and looks their functions up. Knows none of them.
#include "dispatcher/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct error *
with_hint(const struct library *library, struct error *err)
{
    const char *otherwise = library->otherwise;
    return error_hint(err, "Install it with: apt-get install %s.%s%s", library->package,
        otherwise != NULL ? " " : "", otherwise != NULL ? otherwise : "");
}

static struct error *
find(const struct library *library, void *handle, size_t i, void **out)
{
    *out = dlsym(handle, library->functions[i].name);
    if (*out != NULL) {
        return NULL;
    }
    return with_hint(
        library, error_new(library->kind, "%s needs %s: %s lacks '%s'", library->purpose,
                     library->name, library->file, library->functions[i].name));
}

// Two rounds, so that a table is filled in whole or not at all.
static struct error *
fill(const struct library *library, void *handle, char *table)
{
    void *address = NULL;
    for (size_t i = 0; i < library->count; i++) {
        TRY(find(library, handle, i, &address));
    }
    for (size_t i = 0; i < library->count; i++) {
        TRY(find(library, handle, i, &address));
        // POSIX lets a function's address travel in a void pointer; ISO C has no cast for it.
        memcpy(table + library->functions[i].offset, &address, sizeof(address));
    }
    return NULL;
}

struct error *
library_open(const struct library *library, void *table, void **handle)
{
    void *opened = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (opened == NULL) {
        const char *problem = dlerror();
        return with_hint(library, error_new(library->kind, "%s needs %s: %s", library->purpose,
                                      library->name, problem != NULL ? problem : "not found"));
    }
    struct error *err = fill(library, opened, table);
    if (err != NULL) {
        library_close(opened);
        return err;
    }
    *handle = opened;
    return NULL;
}

void
library_close(void *handle)
{
    if (handle != NULL) {
        (void)dlclose(handle);
    }
}

static bool
is_filled(const struct library *library, const char *table)
{
    void *address = NULL;
    memcpy(&address, table + library->functions[0].offset, sizeof(address));
    return address != NULL;
}

struct error *
library_load(const struct library *library, void *table)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // tables are of the process, too
    struct error *err = NULL;
    (void)pthread_mutex_lock(&lock);
    if (!is_filled(library, table)) {
        void *handle = NULL; // stays open with the process
        err = library_open(library, table, &handle);
    }
    (void)pthread_mutex_unlock(&lock);
    return err;
}
