// SQLite, loaded when the journal is opened (docs/decisions/0013). Sources include this instead of
// its header, and call its functions by their own names.
#pragma once

#include <sqlite3.h>

#include "dispatcher/error.h"

#define SQLITE3_FUNCTIONS                                                                          \
    SQLITE3_FUNCTION(sqlite3_backup_finish)                                                        \
    SQLITE3_FUNCTION(sqlite3_backup_init)                                                          \
    SQLITE3_FUNCTION(sqlite3_backup_step)                                                          \
    SQLITE3_FUNCTION(sqlite3_bind_int64)                                                           \
    SQLITE3_FUNCTION(sqlite3_bind_text)                                                            \
    SQLITE3_FUNCTION(sqlite3_busy_handler)                                                         \
    SQLITE3_FUNCTION(sqlite3_changes)                                                              \
    SQLITE3_FUNCTION(sqlite3_clear_bindings)                                                       \
    SQLITE3_FUNCTION(sqlite3_close)                                                                \
    SQLITE3_FUNCTION(sqlite3_column_int64)                                                         \
    SQLITE3_FUNCTION(sqlite3_column_text)                                                          \
    SQLITE3_FUNCTION(sqlite3_db_config)                                                            \
    SQLITE3_FUNCTION(sqlite3_db_readonly)                                                          \
    SQLITE3_FUNCTION(sqlite3_errmsg)                                                               \
    SQLITE3_FUNCTION(sqlite3_errstr)                                                               \
    SQLITE3_FUNCTION(sqlite3_extended_errcode)                                                     \
    SQLITE3_FUNCTION(sqlite3_finalize)                                                             \
    SQLITE3_FUNCTION(sqlite3_get_autocommit)                                                       \
    SQLITE3_FUNCTION(sqlite3_limit)                                                                \
    SQLITE3_FUNCTION(sqlite3_open_v2)                                                              \
    SQLITE3_FUNCTION(sqlite3_prepare_v2)                                                           \
    SQLITE3_FUNCTION(sqlite3_reset)                                                                \
    SQLITE3_FUNCTION(sqlite3_sleep)                                                                \
    SQLITE3_FUNCTION(sqlite3_step)                                                                 \
    SQLITE3_FUNCTION(sqlite3_stmt_readonly)

struct sqlite_library {
#define SQLITE3_FUNCTION(name) __typeof__(&(name)) name;
    SQLITE3_FUNCTIONS
#undef SQLITE3_FUNCTION
};

// Written once, by sqlite_library_load, and then only read: as constant as the functions
// themselves.
extern struct sqlite_library sqlite_library;

/// ERROR_STORAGE with the package to install when it is not there. Thread-safe.
NODISCARD struct error *sqlite_library_load(void);

// Function-like, so that the names above are still names. One that is missing here does not link,
// one that is missing above does not compile.
#define sqlite3_backup_finish(...) sqlite_library.sqlite3_backup_finish(__VA_ARGS__)
#define sqlite3_backup_init(...) sqlite_library.sqlite3_backup_init(__VA_ARGS__)
#define sqlite3_backup_step(...) sqlite_library.sqlite3_backup_step(__VA_ARGS__)
#define sqlite3_bind_int64(...) sqlite_library.sqlite3_bind_int64(__VA_ARGS__)
#define sqlite3_bind_text(...) sqlite_library.sqlite3_bind_text(__VA_ARGS__)
#define sqlite3_busy_handler(...) sqlite_library.sqlite3_busy_handler(__VA_ARGS__)
#define sqlite3_changes(...) sqlite_library.sqlite3_changes(__VA_ARGS__)
#define sqlite3_clear_bindings(...) sqlite_library.sqlite3_clear_bindings(__VA_ARGS__)
#define sqlite3_close(...) sqlite_library.sqlite3_close(__VA_ARGS__)
#define sqlite3_column_int64(...) sqlite_library.sqlite3_column_int64(__VA_ARGS__)
#define sqlite3_column_text(...) sqlite_library.sqlite3_column_text(__VA_ARGS__)
#define sqlite3_db_config(...) sqlite_library.sqlite3_db_config(__VA_ARGS__)
#define sqlite3_db_readonly(...) sqlite_library.sqlite3_db_readonly(__VA_ARGS__)
#define sqlite3_errmsg(...) sqlite_library.sqlite3_errmsg(__VA_ARGS__)
#define sqlite3_errstr(...) sqlite_library.sqlite3_errstr(__VA_ARGS__)
#define sqlite3_extended_errcode(...) sqlite_library.sqlite3_extended_errcode(__VA_ARGS__)
#define sqlite3_finalize(...) sqlite_library.sqlite3_finalize(__VA_ARGS__)
#define sqlite3_get_autocommit(...) sqlite_library.sqlite3_get_autocommit(__VA_ARGS__)
#define sqlite3_limit(...) sqlite_library.sqlite3_limit(__VA_ARGS__)
#define sqlite3_open_v2(...) sqlite_library.sqlite3_open_v2(__VA_ARGS__)
#define sqlite3_prepare_v2(...) sqlite_library.sqlite3_prepare_v2(__VA_ARGS__)
#define sqlite3_reset(...) sqlite_library.sqlite3_reset(__VA_ARGS__)
#define sqlite3_sleep(...) sqlite_library.sqlite3_sleep(__VA_ARGS__)
#define sqlite3_step(...) sqlite_library.sqlite3_step(__VA_ARGS__)
#define sqlite3_stmt_readonly(...) sqlite_library.sqlite3_stmt_readonly(__VA_ARGS__)
