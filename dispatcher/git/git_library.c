// Describes libgit2 and keeps its functions. Starting it is git_open.c's.
#include "git_library.h"

#include "dispatcher/library.h"

struct git_library git_library;

#define GIT_FUNCTION(name) LIBRARY_FUNCTION(struct git_library, name, name),
static const struct library_function functions[] = {GIT_FUNCTIONS};
#undef GIT_FUNCTION

struct error *
git_library_load(void)
{
    static const struct library description = {
        .kind = ERROR_INPUT,
        .purpose = "reading git repositories",
        .name = "libgit2",
        .file = GIT2_SONAME,
        .package = GIT2_PACKAGE,
        .functions = functions,
        .count = ARRAY_LENGTH(functions),
    };
    return library_load(&description, &git_library);
}
