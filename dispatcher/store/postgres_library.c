// Describes libpq and keeps its functions. Opens no connection.
#include "postgres_library.h"

#include "dispatcher/library.h"

struct postgres_library postgres_library;

#define LIBPQ_FUNCTION(name) LIBRARY_FUNCTION(struct postgres_library, name, name),
static const struct library_function functions[] = {LIBPQ_FUNCTIONS};
#undef LIBPQ_FUNCTION

struct error *
postgres_library_load(void)
{
    static const struct library description = {
        .kind = ERROR_STORAGE,
        .purpose = "a journal in PostgreSQL",
        .name = "libpq",
        .file = LIBPQ_SONAME,
        .package = LIBPQ_PACKAGE,
        .functions = functions,
        .count = ARRAY_LENGTH(functions),
    };
    return library_load(&description, &postgres_library);
}
