// libarchive, loaded when the first archive is read.
//
// It pulls in libxml2, ICU and the C++ runtime: a third of the start-up time and 3 MB of memory of
// every command, and only image archives have any use for it (docs/decisions/0006).
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "dispatcher/error.h"

// What is used of it: ARCHIVE_FUNCTION(member, libarchive's name)
#define ARCHIVE_FUNCTIONS                                                                          \
    ARCHIVE_FUNCTION(read_new, archive_read_new)                                                   \
    ARCHIVE_FUNCTION(read_free, archive_read_free)                                                 \
    ARCHIVE_FUNCTION(read_support_format_tar, archive_read_support_format_tar)                     \
    ARCHIVE_FUNCTION(read_open_fd, archive_read_open_fd)                                           \
    ARCHIVE_FUNCTION(read_next_header, archive_read_next_header)                                   \
    ARCHIVE_FUNCTION(filter_bytes, archive_filter_bytes)                                           \
    ARCHIVE_FUNCTION(error_string, archive_error_string)                                           \
    ARCHIVE_FUNCTION(entry_pathname, archive_entry_pathname)                                       \
    ARCHIVE_FUNCTION(entry_pathname_utf8, archive_entry_pathname_utf8)                             \
    ARCHIVE_FUNCTION(entry_hardlink, archive_entry_hardlink)                                       \
    ARCHIVE_FUNCTION(entry_hardlink_utf8, archive_entry_hardlink_utf8)                             \
    ARCHIVE_FUNCTION(entry_symlink, archive_entry_symlink)                                         \
    ARCHIVE_FUNCTION(entry_symlink_utf8, archive_entry_symlink_utf8)                               \
    ARCHIVE_FUNCTION(entry_filetype, archive_entry_filetype)                                       \
    ARCHIVE_FUNCTION(entry_size, archive_entry_size)                                               \
    ARCHIVE_FUNCTION(entry_sparse_count, archive_entry_sparse_count)

struct archive_library {
#define ARCHIVE_FUNCTION(member, name) __typeof__(&(name)) member;
    ARCHIVE_FUNCTIONS
#undef ARCHIVE_FUNCTION
    void *handle;
};

/// ERROR_INPUT with the package to install when the library is not there.
NODISCARD struct error *archive_library_load(struct archive_library *out);
/// Gives its memory back while the layers are sent; most of it has done its work by then.
void archive_library_close(struct archive_library *library);
