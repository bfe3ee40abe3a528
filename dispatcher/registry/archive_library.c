// Describes libarchive. Reads no archive.
#include "archive_library.h"

#include "dispatcher/library.h"

#define ARCHIVE_FUNCTION(member, name) LIBRARY_FUNCTION(struct archive_library, member, name),
static const struct library_function functions[] = {ARCHIVE_FUNCTIONS};
#undef ARCHIVE_FUNCTION

static const struct library description = {
    .kind = ERROR_INPUT,
    .purpose = "reading archives",
    .name = "libarchive",
    .file = ARCHIVE_SONAME,
    .package = ARCHIVE_PACKAGE,
    .otherwise = "An oci: directory needs no library.",
    .functions = functions,
    .count = ARRAY_LENGTH(functions),
};

struct error *
archive_library_load(struct archive_library *out)
{
    return library_open(&description, out, &out->handle);
}

void
archive_library_close(struct archive_library *library)
{
    library_close(library->handle);
    *library = (struct archive_library){0};
}
