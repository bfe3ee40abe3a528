// Shared libraries that are opened when the first thing needs them: a command that does not is
// spared their memory and their start-up (docs/decisions/0013).
//
// A layer describes its library once: a struct with a pointer per function that it uses (the types
// come from the library's own headers) and a list that says which pointer is which function's.
#pragma once

#include <stddef.h>

#include "dispatcher/error.h"

struct library_function {
    const char *name;
    size_t offset; // of its pointer in the layer's struct
};
/// `member` of `table` (a struct) points to the library's function `name`.
#define LIBRARY_FUNCTION(table, member, name)                                                      \
    {                                                                                              \
#name, offsetof(table, member)                                                             \
    }

// cmake/Libraries.cmake finds file and package: they differ from one distribution to the next.
struct library {
    enum error_kind kind;  // of the error when it is not there
    const char *purpose;   // "reading archives"
    const char *name;      // "libarchive"
    const char *file;      // "libarchive.so.13"
    const char *package;   // "libarchive13"
    const char *otherwise; // a sentence on what works without it, or NULL
    const struct library_function *functions;
    size_t count; // at least 1
};

/// Points the members of `table` to the library's functions. `*handle` is for library_close, when
/// nothing of the library is in use any more. Thread-safe.
NODISCARD struct error *library_open(const struct library *library, void *table, void **handle);
void library_close(void *handle);

/// The same for a table of the whole process, all zero before: it is filled in by the first call
/// and never again, and the library stays. What a call that succeeded has filled in may be read by
/// its thread without a lock.
NODISCARD struct error *library_load(const struct library *library, void *table);
