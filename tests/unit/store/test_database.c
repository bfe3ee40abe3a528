// The file itself: killed writers, several processes, damaged and foreign files, full and read-only
// disks. Each refusal with its sentence.
#define _GNU_SOURCE // setgroups, mount
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/outbox.h"
#include "store_internal.h"
#include "store_lab.h"
#include "temp_dir.h"

enum { NOBODY = 65534, PAGE = 4096 };

static struct store_deployment
deployment(const char *id)
{
    return (struct store_deployment){.id = id,
        .app = "payments",
        .env = "production",
        .version = "v1",
        .state = "running",
        .created_ms = 1000,
        .updated_ms = 1000,
        .document = "0"};
}

static void
modes_are_private(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "deep/state.db");
    mode_t before = umask(0);
    struct store *store CLEANUP(store_closep) = NULL;
    struct error *err = store_open(path, &store);
    (void)umask(before);
    assert_null(err);
    struct store_deployment row = deployment("d-1");
    assert_null(store_insert(store, &row));
    static const struct {
        const char *name;
        mode_t mode;
    } files[] = {
        {"deep", 0700},
        {"deep/state.db", 0600},
        {"deep/state.db-wal", 0600},
        {"deep/state.db-shm", 0600},
        {"deep/state.db-claims", 0600},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        char *file CLEANUP(xfreep) = temp_dir_path(dir, files[i].name);
        struct stat info;
        assert_int_equal(stat(file, &info), 0);
        assert_int_equal(info.st_mode & 0777, files[i].mode);
    }
}

static void
the_settings_are_those_of_the_protocol(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    static const char *const rows[][2] = {
        {"PRAGMA journal_mode", "wal"},
        {"PRAGMA synchronous", "2"},
        {"PRAGMA foreign_keys", "1"},
        {"PRAGMA trusted_schema", "0"},
        {"PRAGMA application_id", "1145656144"},
        {"PRAGMA user_version", "5"},
    };
    for (int round = 0; round < 2; round++) { // new, and opened again
        struct store *store CLEANUP(store_closep) = NULL;
        assert_null(store_open(path, &store));
        for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
            struct query query CLEANUP(query_done);
            query_init(&query, store, rows[i][0]);
            assert_true(query_row(&query));
            assert_string_equal(query_get_text(&query, 0, arena), rows[i][1]);
        }
        struct query query CLEANUP(query_done);
        query_init(&query, store, "UPDATE sqlite_schema SET sql = 'x'");
        struct error *err CLEANUP(error_freep) = query_run(&query);
        assert_non_null(strstr(error_message(err), "may not be modified"));
    }
}

// Writes without end; says each row's number once it is durable.
static void
write_for_ever(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    for (int n = 1; err == NULL; n++) {
        char *id = xasprintf("d-%ld-%06d", (long)getpid(), n);
        struct store_deployment row = deployment(id);
        err = store_insert(store, &row);
        for (int step = 1; err == NULL && step <= 3; step++) {
            char *document = xasprintf("%d", step);
            row.document = document;
            const struct store_step entry = {step, "push web", "intent", NULL, step};
            err = store_save(store, &row, &entry);
            free(document);
        }
        child_say(out, err == NULL ? id : error_message(err));
        free(id);
    }
    error_free(err);
}

// Every row's document is the number of its steps: no transaction was cut in two.
static void
assert_whole(struct store *store, const char *acknowledged)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct store_filter all = {.limit = 1000000};
    struct store_deployment *rows = NULL;
    size_t count = 0;
    bool seen = acknowledged[0] == '\0';
    assert_null(store_list(store, &all, arena, &rows, &count));
    for (size_t i = 0; i < count; i++) {
        struct store_step *steps = NULL;
        size_t length = 0;
        assert_null(store_steps(store, rows[i].id, arena, &steps, &length));
        assert_int_equal(strtol(rows[i].document, NULL, 10), length);
        if (strcmp(rows[i].id, acknowledged) == 0) {
            assert_int_equal(length, 3);
            seen = true;
        }
    }
    assert_true(seen);
}

static void
a_killed_writer_leaves_whole_transactions(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    for (int round = 0; round < 12; round++) {
        struct child writer;
        struct buf line CLEANUP(buf_done) = BUF_INIT(4096), last CLEANUP(buf_done) = BUF_INIT(4096);
        child_start(&writer, write_for_ever, path);
        for (int i = 0; i < round * 7; i++) { // from "just opening" to some checkpoints later
            assert_true(child_hear(&writer, &line));
            buf_reset(&last);
            buf_add(&last, buf_str(&line));
        }
        child_kill(&writer);
        struct store *store CLEANUP(store_closep) = NULL;
        struct error *err = store_open(path, &store);
        assert_null(err);
        assert_whole(store, buf_cstr(&last));
    }
}

static void
write_hundred(void *ctx, int out)
{
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    for (int n = 0; err == NULL && n < 100; n++) {
        char *id = xasprintf("d-%ld-%06d", (long)getpid(), n);
        struct store_deployment row = deployment(id);
        const struct store_step step = {1, "push web", "intent", NULL, 1};
        err = store_insert(store, &row);
        row.document = "1";
        if (err == NULL) {
            err = store_save(store, &row, &step);
        }
        free(id);
    }
    store_close(store);
    child_say(out, err == NULL ? "written" : error_message(err));
    error_free(err);
}

// All of them also create the file and its schema at the same time.
static void
many_processes_write_one_file(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = store_lab_place(dir);
    struct child writers[6];
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++) {
        child_start(&writers[i], write_hundred, path);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(writers); i++) {
        assert_true(child_hear(&writers[i], &line));
        assert_string_equal(buf_cstr(&line), "written");
        assert_int_equal(child_finish(&writers[i]), 0);
    }
    struct store *store CLEANUP(store_closep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_deployment *rows = NULL;
    size_t count = 0;
    const struct store_filter all = {.limit = 1000000};
    assert_null(store_open(path, &store));
    assert_null(store_list(store, &all, arena, &rows, &count));
    assert_int_equal(count, 600);
    assert_whole(store, "");
}

static void
assert_refused(const char *path, const char *format, const char *hint)
{
    struct store *store = NULL;
    struct error *err CLEANUP(error_freep) = store_open(path, &store);
    struct buf expected CLEANUP(buf_done) = BUF_INIT(4096);
    struct str before = {0}, after = {0};
    (void)str_cut(str_of(format), '@', &before, &after);
    buf_printf(&expected, "%.*s%s%.*s", STR_FMT(before), path, STR_FMT(after));
    assert_non_null(err);
    char *text CLEANUP(xfreep) = error_text(err);
    assert_string_equal(text, buf_cstr(&expected));
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_non_null(error_hint_of(err));
    assert_non_null(strstr(error_hint_of(err), hint));
    assert_null(store);
}

// A journal with some hundred rows, closed.
static void
fill(const char *path)
{
    struct child writer;
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    char *copy CLEANUP(xfreep) = xstrdup(path);
    child_start(&writer, write_hundred, copy);
    assert_true(child_hear(&writer, &line));
    assert_string_equal(buf_cstr(&line), "written");
    assert_int_equal(child_finish(&writer), 0);
}

static void
run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_null(sqlite_library_load()); // no journal may have been opened so far
    assert_int_equal(sqlite3_open_v2(path, &db, flags, NULL), SQLITE_OK);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int code = sqlite3_step(stmt);
    assert_true(code == SQLITE_DONE || code == SQLITE_ROW);
    (void)sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
other_files_are_refused(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *newer CLEANUP(xfreep) = temp_dir_path(dir, "newer.db");
    char *foreign CLEANUP(xfreep) = temp_dir_path(dir, "foreign.db");
    char *text CLEANUP(xfreep) = temp_dir_path(dir, "notes.txt");
    fill(newer);
    run_sql(newer, "PRAGMA user_version = 99");
    assert_refused(newer, "journal '@' has schema 99, but this dispatcher knows 5 at most",
        "A newer dispatcher wrote it");
    run_sql(newer, "PRAGMA user_version = -5");
    assert_refused(newer, "journal '@' is damaged: its schema version is gone",
        "look up deployments that were");
    run_sql(foreign, "CREATE TABLE songs (title TEXT)");
    assert_refused(foreign, "journal '@' is a database of another program", "DISPATCHER_STATE");
    assert_null(file_write(text, STR("dear diary, this is not a database at all\n"), 0600));
    assert_refused(
        text, "read journal '@': file is not a database", "Restore it from a backup, or move it");
    assert_refused(dir, "journal '@' is not a regular file", "DISPATCHER_STATE");
    // None of them was touched.
    struct buf content CLEANUP(buf_done) = BUF_INIT(4096);
    assert_null(file_read(text, &content, NULL));
    assert_string_equal(buf_cstr(&content), "dear diary, this is not a database at all\n");
}

static void
an_empty_file_is_a_new_journal(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    assert_null(file_write(path, STR(""), 0600)); // killed between creating and filling it
    struct store *store CLEANUP(store_closep) = NULL;
    assert_null(store_open(path, &store));
    struct store_deployment row = deployment("d-1");
    assert_null(store_insert(store, &row));
}

static void
a_truncated_journal_is_refused(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    fill(path);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size > 8 * PAGE);
    assert_int_equal(truncate(path, info.st_size / PAGE / 2 * PAGE), 0);
    assert_refused(path, "read journal '@': database disk image is malformed",
        "look up deployments that were running");
    assert_int_equal(truncate(path, 50), 0);
    assert_refused(
        path, "read journal '@': database disk image is malformed", "move it and its '-wal'");
}

// Whatever the damage: opening says so or works, reading says so or works, nothing crashes.
static void
damage_anywhere_is_survived(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    fill(path);
    struct buf good CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
    assert_null(file_read(path, &good, NULL));
    unsigned refused = 0, rounds = 0;
    for (size_t at = 0; at < good.len; at += at < 128 ? 1 : 1021) {
        char saved = good.ptr[at];
        good.ptr[at] = (char)~saved;
        assert_null(file_write(path, buf_str(&good), 0600));
        good.ptr[at] = saved;
        struct store *store CLEANUP(store_closep) = NULL;
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct error *err CLEANUP(error_freep) = store_open(path, &store);
        struct store_deployment *rows = NULL;
        size_t count = 0;
        const struct store_filter all = {.limit = 1000};
        if (err == NULL) {
            err = store_list(store, &all, arena, &rows, &count);
        }
        assert_true(err == NULL || error_kind(err) == ERROR_STORAGE);
        refused += err != NULL ? 1 : 0;
        rounds++;
    }
    assert_true(rounds > 150);
    assert_true(refused > 50);
}

// Says how opening and one write went for a user who is not root.
static void
write_as_nobody(void *ctx, int out)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        child_say(out, "cannot become another user");
        return;
    }
    struct store *store = NULL;
    struct error *err = store_open(ctx, &store);
    struct store_deployment row = deployment("d-nobody");
    if (err == NULL) {
        err = store_insert(store, &row);
    }
    char *text = err == NULL ? xstrdup("written") : error_text(err);
    child_say(out, text);
    free(text);
    error_free(err);
    store_close(store);
}

static void
assert_nobody_gets(const char *path, const char *expected)
{
    struct child child;
    struct buf line CLEANUP(buf_done) = BUF_INIT(4096);
    char *copy CLEANUP(xfreep) = xstrdup(path);
    child_start(&child, write_as_nobody, copy);
    assert_true(child_hear(&child, &line));
    assert_string_equal(buf_cstr(&line), expected);
    assert_int_equal(child_finish(&child), 0);
}

static void
what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    char *deep CLEANUP(xfreep) = temp_dir_path(dir, "deep");
    char *below CLEANUP(xfreep) = temp_dir_path(dir, "deep/state.db");
    char *expected CLEANUP(xfreep) = xasprintf("create journal '%s': Permission denied", path);
    assert_int_equal(chmod(dir, 0555), 0);
    assert_nobody_gets(path, expected);
    free(expected);
    expected = xasprintf("create directory '%s': Permission denied", deep);
    assert_nobody_gets(below, expected);

    assert_int_equal(chmod(dir, 0755), 0);
    fill(path); // a journal that is there, in a directory where nothing can be added
    char *claims CLEANUP(xfreep) = temp_dir_path(dir, "state.db-claims");
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(claims, 0444), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    free(expected);
    expected = xasprintf("open journal '%s': attempt to write a readonly database", path);
    assert_nobody_gets(path, expected);
    if (geteuid() == 0) { // the file is writable, its directory is not: no -wal can be made
        assert_int_equal(chmod(path, 0666), 0);
        free(expected);
        expected = xasprintf("read journal '%s': attempt to write a readonly database", path);
        assert_nobody_gets(path, expected);
    }
}

struct limits {
    const char *path;
    rlim_t max_file;
};

// Writes until the disk refuses; then nothing more may go in, and what was acknowledged is there.
static void
write_until_full(void *ctx, int out)
{
    const struct limits *limits = ctx;
    struct store *store = NULL;
    struct error *err = store_open(limits->path, &store);
    if (err == NULL && limits->max_file > 0) {
        (void)signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {limits->max_file, limits->max_file};
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    char *document = xcalloc(1, 4000);
    memset(document, 'x', 3999);
    for (int n = 0; err == NULL; n++) {
        char *id = xasprintf("d-%06d", n);
        struct store_deployment row = deployment(id);
        row.document = document;
        err = store_insert(store, &row);
        child_say(out, err == NULL ? id : error_message(err));
        free(id);
    }
    child_say(out, error_kind(err) == ERROR_STORAGE ? error_hint_of(err) : "another kind");
    error_free(err);
    struct store_deployment row = deployment("d-after");
    err = store_insert(store, &row);
    child_say(out, err != NULL ? error_message(err) : "it went in");
    error_free(err);
    err = store_save(store, &row, NULL);
    child_say(out, err != NULL ? error_message(err) : "it went in");
    error_free(err);
    free(document);
    store_close(store);
}

static void
check_full(struct limits *limits, const char *failure, const char *hint)
{
    struct child child;
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192);
    char *expected CLEANUP(xfreep) = xasprintf("write journal '%s': %s", limits->path, failure);
    char *broken CLEANUP(xfreep) =
        xasprintf("journal '%s' failed before; nothing more is written to it", limits->path);
    size_t written = 0;
    child_start(&child, write_until_full, limits);
    while (child_hear(&child, &line) && strncmp(buf_cstr(&line), "d-", 2) == 0) {
        written++;
    }
    assert_string_equal(buf_cstr(&line), expected);
    assert_true(written > 10);
    assert_true(child_hear(&child, &line));
    assert_string_equal(buf_cstr(&line), hint);
    for (int i = 0; i < 2; i++) {
        assert_true(child_hear(&child, &line));
        assert_string_equal(buf_cstr(&line), broken);
    }
    assert_int_equal(child_finish(&child), 0);
    // With space again, all that was acknowledged is there and nothing else.
    struct store *store CLEANUP(store_closep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_deployment *rows = NULL;
    size_t count = 0;
    const struct store_filter all = {.limit = 100000};
    struct error *err = store_open(limits->path, &store);
    assert_null(err);
    assert_null(store_list(store, &all, arena, &rows, &count));
    assert_int_equal(count, written);
}

static void
a_file_size_limit_stops_everything(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    struct limits limits = {path, 1024 * 1024};
    check_full(&limits, "disk I/O error",
        "The disk reported an error or is full; check it, then run 'dispatcher resume'.");
}

static void
a_full_disk_stops_everything(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    if (mount("none", dir, "tmpfs", 0, "size=1280k") != 0) {
        print_message("cannot mount a small disk here: %s\n", strerror(errno));
        skip();
    }
    char *path CLEANUP(xfreep) = temp_dir_path(dir, "state.db");
    char *ballast CLEANUP(xfreep) = temp_dir_path(dir, "ballast");
    char *space CLEANUP(xfreep) = xcalloc(1, 128 * 1024);
    struct limits limits = {path, 0};
    assert_null(file_write(ballast, (struct str){space, 128 * 1024}, 0600));
    struct child child;
    struct buf line CLEANUP(buf_done) = BUF_INIT(8192), last CLEANUP(buf_done) = BUF_INIT(8192);
    size_t written = 0;
    child_start(&child, write_until_full, &limits);
    while (child_hear(&child, &line)) {
        written += strncmp(buf_cstr(&line), "d-", 2) == 0 ? 1 : 0;
        if (strncmp(buf_cstr(&line), "write ", 6) == 0) {
            buf_add(&last, buf_str(&line));
        }
    }
    assert_int_equal(child_finish(&child), 0);
    assert_int_equal(unlink(ballast), 0);
    struct store *store = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct store_deployment *rows = NULL;
    size_t count = 0;
    const struct store_filter all = {.limit = 100000};
    struct error *err = store_open(path, &store);
    if (err == NULL) {
        err = store_list(store, &all, arena, &rows, &count);
    }
    store_close(store);
    assert_int_equal(umount(dir), 0);
    assert_null(err);
    char *expected CLEANUP(xfreep) =
        xasprintf("write journal '%s': database or disk is full", path);
    assert_string_equal(buf_cstr(&last), expected);
    assert_true(written > 10);
    assert_int_equal(count, written);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_private),
        cmocka_unit_test(the_settings_are_those_of_the_protocol),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(an_empty_file_is_a_new_journal),
        cmocka_unit_test(a_truncated_journal_is_refused),
        cmocka_unit_test(damage_anywhere_is_survived),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_file_size_limit_stops_everything),
        cmocka_unit_test(a_full_disk_stops_everything),
    };
    const struct CMUnitTest both[] = {
        cmocka_unit_test(a_killed_writer_leaves_whole_transactions),
        cmocka_unit_test(many_processes_write_one_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) + store_lab_run(both, ARRAY_LENGTH(both));
}
