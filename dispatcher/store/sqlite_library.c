// Describes SQLite and keeps its functions. Opens no database.
#include "sqlite_library.h"

#include "dispatcher/library.h"

struct sqlite_library sqlite_library;

#define SQLITE3_FUNCTION(name) LIBRARY_FUNCTION(struct sqlite_library, name, name),
static const struct library_function functions[] = {SQLITE3_FUNCTIONS};
#undef SQLITE3_FUNCTION

struct error *
sqlite_library_load(void)
{
    static const struct library description = {
        .kind = ERROR_STORAGE,
        .purpose = "the journal",
        .name = "SQLite",
        .file = SQLITE_SONAME,
        .package = SQLITE_PACKAGE,
        .functions = functions,
        .count = ARRAY_LENGTH(functions),
    };
    return library_load(&description, &sqlite_library);
}
