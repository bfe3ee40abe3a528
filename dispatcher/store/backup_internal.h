// Shared by the files that copy a whole database.
#pragma once

#include "store_internal.h"

/// Opens a file of SQLite as it is: nothing is created beside it, checked or brought up to date.
/// `flags` are SQLite's; "" is a database of its own that vanishes with the handle.
NODISCARD struct error *backup_open(const char *path, int flags, struct store **out);
/// Page by page, from one SQLite to another, consistent while others write.
NODISCARD struct error *backup_pages(struct store *from, struct store *to);
/// From now on it is one file, with nothing beside it.
NODISCARD struct error *backup_alone(struct store *store);
/// Brings a database of backup_open up to date.
NODISCARD struct error *backup_migrate(struct store *store);

// A copy under a name that nobody looks at, until it is whole.
struct backup_file {
    char *part; // NULL once it has its name
    const char *to;
};
/// ERROR_USAGE when `to` exists (unless `empty_is_fine`, and it is), or what SQLite would take for
/// a part of it (ERROR_CONFLICT with `empty_is_fine`). Creates the part, 0600.
NODISCARD struct error *backup_file_begin(
    const char *to, bool empty_is_fine, struct backup_file *out);
/// Verifies the part, and gives it its name, durably.
NODISCARD struct error *backup_file_end(struct backup_file *file, struct store_verification *seen);
void backup_file_done(struct backup_file *file); // what is left of one that failed

/// All rows of all tables, from one database to another with the same schema, within a transaction
/// of each. What `to` held is deleted before. One of them is SQLite.
NODISCARD struct error *copy_rows(struct store *from, struct store *to);
/// *out is false when `store` has other rows than a new database. Within a transaction, to whose
/// end nobody else writes.
NODISCARD struct error *copy_target_is_new(struct store *store, bool *out);

/// What store_verify does, of a handle that is open.
NODISCARD struct error *verify_store(
    struct store *store, struct arena *arena, struct store_verification *out);
