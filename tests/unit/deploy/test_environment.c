// Variables of targets: files of NAME=value lines, outputs, and which of the places wins.
#define _XOPEN_SOURCE 700 // symlink
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret.h"
#include "environment_internal.h"
#include "temp_dir.h"

static char *
print(const struct pair_list *pairs)
{
    struct buf out = BUF_INIT(1024 * 1024);
    buf_puts(&out, "");
    for (size_t i = 0; i < pairs->count; i++) {
        buf_printf(&out, "%s=%s|", pairs->items[i].key, pairs->items[i].value);
    }
    return buf_take(&out);
}

static void
expect_parsed(const char *text, const char *expected)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair_list pairs = {0};
    assert_null(dotenv_parse(str_of(text), ".env", arena, &pairs));
    char *actual CLEANUP(xfreep) = print(&pairs);
    assert_string_equal(actual, expected);
}

static void
expect_error(struct error *err, enum error_kind kind, const char *text)
{
    assert_non_null(err);
    char *actual CLEANUP(xfreep) = error_text(err);
    assert_string_equal(actual, text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static void
expect_refused(struct str text, const char *message)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair_list pairs = {0};
    expect_error(dotenv_parse(text, ".env", arena, &pairs), ERROR_INPUT, message);
}

static void
test_lines(void **state)
{
    (void)state;
    expect_parsed("", "");
    expect_parsed("A=1", "A=1|");
    expect_parsed("\xef\xbb\xbf"
                  "A=1\r\nB=2\r\n",
        "A=1|B=2|");
    expect_parsed("# all\n\n  A = 1  \nexport B=2\nexport=3\n", "A=1|B=2|export=3|");
    expect_parsed("A=\nB=\"\"\nC=''\n", "A=|B=|C=|");
    expect_parsed("A=a b # why\nB=a#b\nC=#\nD='#' # x\n", "A=a b|B=a#b|C=|D=#|");
    expect_parsed("A=x=y\nU=postgres://u:p@h/d?a=b&c\n", "A=x=y|U=postgres://u:p@h/d?a=b&c|");
}

static void
test_quotes(void **state)
{
    (void)state;
    expect_parsed("A=\" a \\n\\t\\\"\\\\\\$ \"", "A= a \n\t\"\\$ |");
    expect_parsed("A=' \\n ${B} $C '", "A= \\n ${B} $C |");
    expect_parsed("A=\"C:\\dir\\x\"", "A=C:\\dir\\x|");
    expect_parsed("K=\"-----BEGIN\nabc\n-----END\"\nB=2", "K=-----BEGIN\nabc\n-----END|B=2|");
    expect_parsed("A=it's\nB=a\"b\"\n", "A=it's|B=a\"b\"|");
    expect_parsed("A=\"\\${B}\"", "A=${B}|");
}

static void
test_bad_lines(void **state)
{
    (void)state;
    expect_refused(STR("A=1\nnonsense\n"), ".env:2: expected NAME=value");
    expect_refused(STR("1A=1"), ".env:1: expected NAME=value");
    expect_refused(STR("A-B=1"), ".env:1: expected NAME=value");
    expect_refused(STR("=1"), ".env:1: expected NAME=value");
    expect_refused(STR("export A\n"), ".env:1: expected NAME=value");
    expect_refused(STR("A=1\n\nB=\"x\ny"), ".env:3: the '\"' is not closed");
    expect_refused(STR("A='x"), ".env:1: the ' is not closed");
    expect_refused(STR("A=\"x\" y"), ".env:1: text after the closing quote");
    expect_refused(STR("A=\"x\ny\" z"), ".env:2: text after the closing quote");
    expect_refused(STR("A=1\nB=2\nA=3"), ".env:3: 'A' stands in line 1 already");
    expect_refused(STR("A=1\nB=x${A}"), ".env:2: '${…}' is not expanded here");
    expect_refused(STR("B=\"${A}\""), ".env:1: '${…}' is not expanded here");
    expect_refused(STR("A=\0B"), ".env: not a text in UTF-8");
    expect_refused(STR("A=\xff"), ".env: not a text in UTF-8");
}

// A value never stands in an error.
static void
test_caps(void **state)
{
    (void)state;
    struct buf many CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct buf big CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    for (int i = 0; i <= DOTENV_ENTRIES_MAX; i++) {
        buf_printf(&many, "A%d=canary\n", i);
    }
    buf_puts(&big, "A=");
    for (int i = 0; i < DOTENV_BYTES_MAX; i++) {
        buf_putc(&big, 'x');
    }
    expect_refused(buf_str(&many), ".env:501: more than 500 variables");
    expect_refused(buf_str(&big), ".env: more than 64 KiB");
}

// --- outputs -----------------------------------------------------------------------------------

static const char outputs_text[] =
    "{\"endpoint\":{\"sensitive\":false,\"type\":\"string\",\"value\":\"db.internal\"},"
    "\"port\":{\"sensitive\":false,\"type\":\"number\",\"value\":5432},"
    "\"ratio\":{\"value\":0.25},\"on\":{\"value\":true},"
    "\"password\":{\"sensitive\":true,\"type\":\"string\",\"value\":\"canary-output\"},"
    "\"list\":{\"value\":[1]},\"nothing\":{\"value\":null},\"object\":{\"a\":1},\"flat\":\"f\","
    "\"number\":7}";

struct output_case {
    const char *name, *value, *problem;
};

static const struct output_case output_cases[] = {
    {"endpoint", "db.internal", NULL},
    {"port", "5432", NULL},
    {"ratio", "0.25", NULL},
    {"on", "true", NULL},
    {"flat", "f", NULL},
    {"number", "7", NULL},
    {"password", NULL, "o.json: output 'password' is sensitive"},
    {"list", NULL, "o.json: output 'list' is a list"},
    {"nothing", NULL, "o.json: output 'nothing' has no value"},
    {"object", NULL, "o.json: output 'object' is an object"},
    {"missing", NULL, "o.json: there is no output 'missing'"},
};

static void
test_outputs(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *outputs CLEANUP(json_freep) = NULL;
    assert_null(json_parse(str_of(outputs_text), &json_limits_default, &outputs));
    for (size_t i = 0; i < ARRAY_LENGTH(output_cases); i++) {
        const struct output_case *c = &output_cases[i];
        const char *value = NULL;
        struct error *err = outputs_value(outputs, c->name, "o.json", arena, &value);
        if (c->problem != NULL) {
            expect_error(err, ERROR_INPUT, c->problem);
            assert_null(value);
        } else {
            assert_null(err);
            assert_string_equal(value, c->value);
        }
    }
}

// --- all places --------------------------------------------------------------------------------

static void
put(const char *dir, const char *name, const char *text)
{
    char *path CLEANUP(xfreep) = temp_dir_path(dir, name);
    assert_null(file_write(path, str_of(text), 0600));
}

static void
test_the_strongest_wins(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair plain[] = {{"A", "spec"}}, named[] = {{"A", "endpoint"}, {"B", "endpoint"}};
    struct pair secrets[] = {{"D", "arn:…"}};
    const struct setting_target want = {
        .environment = {plain, 1},
        .environment_from_outputs = {named, 2},
        .outputs_file = "o.json",
        .environment_file = ".env",
        .secrets = {secrets, 1},
    };
    struct pair_list out = {0};
    put(dir, "o.json", outputs_text);
    put(dir, ".env", "A=file\nB=file\nC=file\nD=file\nAPI_TOKEN=canary-from-a-file\n");
    assert_null(environment_collect(dir, &want, arena, &out));
    char *text CLEANUP(xfreep) = print(&out);
    assert_string_equal(text, "A=spec|B=db.internal|C=file|API_TOKEN=canary-from-a-file|");
    // What is called like a secret is not shown from now on.
    struct buf shown CLEANUP(buf_done) = BUF_INIT(1024);
    buf_puts(&shown, "C=file, API_TOKEN=canary-from-a-file");
    secret_mask(&shown);
    assert_string_equal(buf_cstr(&shown), "C=file, API_TOKEN=***");
}

static void
test_files_stay_in_the_checkout(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *inside CLEANUP(xfreep) = temp_dir_path(dir, "app");
    char *link CLEANUP(xfreep) = temp_dir_path(dir, "app/link");
    const char *path = NULL;
    assert_null(file_make_directories(inside));
    put(dir, "outside", "A=1");
    put(dir, "app/env", "A=1");
    assert_int_equal(symlink("../outside", link), 0);
    assert_null(environment_path(inside, "env", arena, &path));
    struct error *err = environment_path(inside, "link", arena, &path);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_non_null(strstr(error_message(err), "file 'link' is not in '"));
    error_free(err);
    err = environment_path(inside, "../outside", arena, &path);
    assert_non_null(strstr(error_message(err), "file '../outside' is not in '"));
    error_free(err);
    err = environment_path(inside, "missing", arena, &path);
    assert_string_equal(error_message(err), "file 'missing': No such file or directory");
    error_free(err);
    err = environment_path("/nonexistent-root", "env", arena, &path);
    assert_string_equal(
        error_message(err), "directory '/nonexistent-root': No such file or directory");
    error_free(err);
}

static void
test_a_broken_outputs_file(void **state)
{
    (void)state;
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct pair named[] = {{"A", "endpoint"}};
    const struct setting_target want = {
        .environment_from_outputs = {named, 1}, .outputs_file = "o.json"};
    struct pair_list out = {0};
    put(dir, "o.json", "[]");
    expect_error(environment_collect(dir, &want, arena, &out), ERROR_INPUT,
        "'o.json' is not an object of outputs");
    put(dir, "o.json", "{");
    struct error *err = environment_collect(dir, &want, arena, &out);
    assert_int_equal(error_kind(err), ERROR_INPUT);
    assert_string_equal(error_message(err), "read 'o.json'");
    error_free(err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_the_strongest_wins),
        cmocka_unit_test(test_files_stay_in_the_checkout),
        cmocka_unit_test(test_a_broken_outputs_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
