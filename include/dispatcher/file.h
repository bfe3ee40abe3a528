// Reading and writing whole files, with caps. No path from a spec or an archive comes here
// unchecked.
//
// Errors are ERROR_INPUT for reading and ERROR_STORAGE for writing, with the path quoted.
// Thread-safe.
#pragma once

#include <sys/types.h>

#include "dispatcher/buf.h"

/// Whole file into `out` (which holds the cap). A directory, a device or a file over the cap is
/// refused. `*found` (may be NULL: absence is then an error) tells whether it exists.
NODISCARD struct error *file_read(const char *path, struct buf *out, bool *found);
/// Atomically: temporary file beside it, fsync, rename.
NODISCARD struct error *file_write(const char *path, struct str content, mode_t mode);
/// Appends in one write (job summaries, outputs); creates with 0644.
NODISCARD struct error *file_append(const char *path, struct str content);
/// mkdir -p with 0700 for what is created.
NODISCARD struct error *file_make_directories(const char *path);
bool file_exists(const char *path);
