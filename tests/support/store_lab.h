// The tests of a room's storage, once on SQLite and once on PostgreSQL.
//
//     int main(void) {
//         const struct CMUnitTest tests[] = {…};
//         return store_lab_run(tests, ARRAY_LENGTH(tests));
//     }
//
// A test asks for its place with store_lab_place. The server (tests/support/postgres) is thrown
// away at the end of the program; where PostgreSQL is not installed, its tests are skipped by name.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct CMUnitTest;

/// Runs all of them on both; the number that failed.
int store_lab_run(const struct CMUnitTest *tests, size_t count);
/// Only on PostgreSQL.
int store_lab_run_postgres(const struct CMUnitTest *tests, size_t count);

/// Does the test that runs use PostgreSQL?
bool store_lab_is_postgres(void);
/// For store_open: a file in `dir`, or the URL of a database that was just created. Heap, free().
char *store_lab_place(const char *dir) __attribute__((returns_nonnull));
/// Another URL of the same database: by TCP on `host`, with user, password and `query`.
char *store_lab_url(const char *place, const char *host, const char *query)
    __attribute__((returns_nonnull));
/// A file with the certificate of the server's authority, for "localhost".
char *store_lab_authority(void) __attribute__((returns_nonnull));
/// "kill" (SIGKILL to all of it), "stop", "start".
void store_lab_server(const char *command);
/// One statement of an administrator, by psql; returns what it prints, heap.
char *store_lab_sql(const char *place, const char *sql) __attribute__((returns_nonnull));
