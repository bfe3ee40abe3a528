// Finds libarchive's functions at run time. Reads no archive.
#include "archive_library.h"

#include <dlfcn.h>
#include <string.h>

static const char library_name[] = "libarchive.so.13";

static struct error *
not_there(const char *what)
{
    const char *problem = dlerror();
    return error_hint(
        error_new(ERROR_INPUT, "%s: %s", what, problem != NULL ? problem : "not found"),
        "Install it with: apt-get install libarchive13. An oci: directory needs no library.");
}

struct error *
archive_library_load(struct archive_library *out)
{
    struct archive_library loaded;
    void *handle = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        return not_there("reading archives needs libarchive");
    }
    // POSIX lets a function's address travel in a void pointer; ISO C has no cast for it.
#define ARCHIVE_FUNCTION(member, name)                                                             \
    {                                                                                              \
        void *address = dlsym(handle, #name);                                                      \
        if (address == NULL) {                                                                     \
            return not_there("libarchive lacks a function");                                       \
        }                                                                                          \
        memcpy(&loaded.member, &address, sizeof(address));                                         \
    }
    ARCHIVE_FUNCTIONS
#undef ARCHIVE_FUNCTION
    loaded.handle = handle;
    *out = loaded;
    return NULL;
}

void
archive_library_close(struct archive_library *library)
{
    if (library->handle != NULL) {
        (void)dlclose(library->handle);
    }
    *library = (struct archive_library){0};
}
