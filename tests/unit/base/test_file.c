// Whole files: what is read, what is refused, and that a file is replaced whole or not at all.
#define _XOPEN_SOURCE 700 // nftw, realpath
#include "dispatcher/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/memory.h"

static int
enter_directory(void **state)
{
    (void)state;
    char template[] = "/tmp/test_file.XXXXXX";
    assert_non_null(mkdtemp(template));
    assert_int_equal(chdir(template), 0);
    *state = xstrdup(template);
    return 0;
}

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

static int
leave_directory(void **state)
{
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(*state);
    return 0;
}

static void
assert_content(const char *path, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1 << 20);
    assert_null(file_read(path, &text, NULL));
    assert_string_equal(buf_cstr(&text), expected);
}

static void
assert_failed(struct error *failed, enum error_kind kind, const char *message)
{
    struct error *err CLEANUP(error_freep) = failed;
    assert_non_null(err);
    assert_int_equal(error_kind(err), kind);
    assert_string_equal(error_message(err), message);
}

// What is left of a temporary file would be one more.
static size_t
entries_here(void)
{
    DIR *directory = opendir(".");
    assert_non_null(directory);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 ? 1 : 0;
    }
    (void)closedir(directory);
    return count;
}

static void
written_files_are_read_back(void **state)
{
    (void)state;
    assert_null(file_write("a", STR("one"), 0644));
    assert_content("a", "one");
    assert_null(file_write("a", STR(""), 0600)); // replaced, with the new mode
    assert_content("a", "");
    struct stat info;
    assert_int_equal(stat("a", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_true(file_exists("a"));
    assert_false(file_exists("b"));
    assert_int_equal(entries_here(), 1);
}

static void
large_files_and_nul_bytes(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    char *bytes CLEANUP(xfreep) = xcalloc(1, SIZE);
    bytes[SIZE - 1] = 'x';
    assert_null(file_write("a", (struct str){bytes, SIZE}, 0644));
    struct buf text CLEANUP(buf_done) = BUF_INIT(SIZE);
    assert_null(file_read("a", &text, NULL));
    assert_int_equal(text.len, SIZE);
    assert_memory_equal(text.ptr, bytes, SIZE);
    struct buf small CLEANUP(buf_done) = BUF_INIT(SIZE - 1);
    assert_failed(file_read("a", &small, NULL), ERROR_INPUT,
        "'a' has 300000 bytes, more than the 299999 allowed");
    assert_int_equal(small.len, 0);
}

static void
absence_is_a_value_when_asked_for(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(100);
    bool found = true;
    assert_null(file_read("missing", &text, &found));
    assert_false(found);
    assert_null(file_write("a", STR("x"), 0644));
    found = true;
    assert_null(file_read("a/below", &text, &found)); // a file on the way there
    assert_false(found);
    assert_null(file_read("a", &text, &found));
    assert_true(found);
    assert_failed(file_read("missing", &text, NULL), ERROR_INPUT,
        "open 'missing': No such file or directory");
}

static void
only_regular_files_are_read(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(100);
    bool found = false;
    assert_failed(file_read(".", &text, &found), ERROR_INPUT, "'.' is not a regular file");
    assert_int_equal(mkfifo("b", 0600), 0); // must not hang
    assert_failed(file_read("b", &text, &found), ERROR_INPUT, "'b' is not a regular file");
    assert_failed(
        file_read("/dev/zero", &text, NULL), ERROR_INPUT, "'/dev/zero' is not a regular file");
    assert_failed(file_read("", &text, NULL), ERROR_INPUT, "open '': No such file or directory");
    assert_int_equal(symlink("c", "c"), 0);
    assert_failed(
        file_read("c", &text, &found), ERROR_INPUT, "open 'c': Too many levels of symbolic links");
}

// /proc files say they are empty: the cap holds for what is read, too.
static void
the_cap_holds_where_the_size_is_not_known(void **state)
{
    (void)state;
    struct buf text CLEANUP(buf_done) = BUF_INIT(10);
    assert_failed(file_read("/proc/self/status", &text, NULL), ERROR_INPUT,
        "'/proc/self/status' is larger than 10 bytes");
}

static void
appending_adds_and_creates(void **state)
{
    (void)state;
    assert_null(file_append("a", STR("one\n")));
    assert_null(file_append("a", STR("two\n")));
    assert_content("a", "one\ntwo\n");
    assert_failed(file_append("no/such", STR("x")), ERROR_STORAGE,
        "open 'no/such': No such file or directory");
    assert_failed(file_append("/dev/full", STR("x")), ERROR_STORAGE,
        "write '/dev/full': No space left on device");
}

static void
a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    assert_null(file_write("a", STR("old"), 0644));
    struct rlimit before, little = {4, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    struct error *err = file_write("a", STR("new and longer"), 0644);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_STORAGE);
    assert_string_equal(error_message(err), "write 'a': File too large");
    error_free(err);
    assert_content("a", "old");
    assert_int_equal(entries_here(), 1);
    // A directory in its place, and a directory that is not there.
    assert_int_equal(mkdir("b", 0700), 0);
    assert_failed(file_write("b", STR("x"), 0644), ERROR_STORAGE, "replace 'b': Is a directory");
    assert_failed(file_write("no/such", STR("x"), 0644), ERROR_STORAGE,
        "create 'no/such': No such file or directory");
}

static void
directories_are_made_for_the_owner_alone(void **state)
{
    (void)state;
    assert_null(file_make_directories("a/b//c/"));
    struct stat info;
    assert_int_equal(stat("a/b/c", &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_null(file_make_directories("a/b/c")); // there already
    assert_null(file_make_directories("/"));
    assert_null(file_make_directories("."));
    char *absolute CLEANUP(xfreep) = realpath("a", NULL);
    char *deeper CLEANUP(xfreep) = xasprintf("%s/x/y", absolute);
    assert_null(file_make_directories(deeper));
    assert_true(file_exists("a/x/y"));
}

static void
what_is_in_the_way_of_a_directory_is_named(void **state)
{
    (void)state;
    assert_null(file_write("a", STR("x"), 0644));
    assert_failed(
        file_make_directories("a"), ERROR_STORAGE, "create directory 'a': a file has this name");
    assert_failed(
        file_make_directories("a/b"), ERROR_STORAGE, "create directory 'a': a file has this name");
    assert_failed(
        file_make_directories(""), ERROR_STORAGE, "create directory '': the name is empty");
    assert_failed(file_make_directories("/proc/none"), ERROR_STORAGE,
        "create directory '/proc/none': No such file or directory");
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(written_files_are_read_back),
        IN_DIRECTORY(large_files_and_nul_bytes),
        IN_DIRECTORY(absence_is_a_value_when_asked_for),
        IN_DIRECTORY(only_regular_files_are_read),
        IN_DIRECTORY(the_cap_holds_where_the_size_is_not_known),
        IN_DIRECTORY(appending_adds_and_creates),
        IN_DIRECTORY(a_failed_write_leaves_the_old_file),
        IN_DIRECTORY(directories_are_made_for_the_owner_alone),
        IN_DIRECTORY(what_is_in_the_way_of_a_directory_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
