// Describes libmicrohttpd and keeps its functions. Serves nothing.
#include "dispatcher/server_library.h"

#include "dispatcher/library.h"

struct server_library server_library;

#define SERVER_FUNCTION(name) LIBRARY_FUNCTION(struct server_library, name, name),
static const struct library_function functions[] = {SERVER_FUNCTIONS};
#undef SERVER_FUNCTION

struct error *
server_library_load(const char *purpose)
{
    const struct library description = {
        .kind = ERROR_UNAVAILABLE,
        .purpose = purpose,
        .name = "libmicrohttpd",
        .file = MHD_SONAME,
        .package = MHD_PACKAGE,
        .functions = functions,
        .count = ARRAY_LENGTH(functions),
    };
    return library_load(&description, &server_library);
}
