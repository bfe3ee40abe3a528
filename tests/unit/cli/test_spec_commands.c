// `dispatcher spec lint|show|schema|fmt`: files, exit codes and texts, in a directory of their own.
#include "commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arguments.h"
#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "temp_dir.h"

static const char config_text[] = "version: 1\n"
                                  "environments: [staging, production]\n"
                                  "workflow: {repo: acme/infra}\n";
static const char app_text[] = "name: shop\n"
                               "repo: acme/shop\n"
                               "services:\n"
                               "  web: {}\n";

struct fixture {
    char *dir, *before;
    struct arena *arena;
    struct environment *env;
    struct cli cli;
    struct buf out, err;
    int exit_code;
};

static void
put_file(const char *path, const char *text)
{
    assert_null(file_write(path, str_of(text), 0644));
}

// An infra repository with one app; the working directory is its root.
static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->dir = temp_dir_new();
    f->before = getcwd(NULL, 0);
    f->arena = arena_new();
    static char *const none[] = {NULL};
    f->env = environment_new(none);
    buf_init(&f->out, 1 << 20);
    buf_init(&f->err, 1 << 20);
    f->cli = (struct cli){.capture_out = &f->out, .capture_err = &f->err, .width = 80};
    f->cli.platform.env = f->env;
    assert_int_equal(chdir(f->dir), 0);
    assert_int_equal(mkdir("appspecs", 0755), 0);
    put_file("dispatcher.yaml", config_text);
    put_file("appspecs/shop.yaml", app_text);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chdir(f->before), 0);
    free(f->before);
    temp_dir_removep(&f->dir);
    arena_free(f->arena);
    environment_free(f->env);
    buf_done(&f->out);
    buf_done(&f->err);
    free(f);
    return 0;
}

// Runs a command line ("spec lint appspecs", split at blanks) and gives its error, if any.
static struct error *
run(struct fixture *f, const char *line)
{
    char *argv[16] = {0};
    size_t count = 0;
    struct str rest = str_of(line), word = {0};
    while (str_cut(rest, ' ', &word, &rest)) {
        assert_true(count < 15);
        argv[count++] = arena_str(f->arena, word);
    }
    buf_reset(&f->out);
    buf_reset(&f->err);
    f->exit_code = 0;
    struct cli_invocation invocation = {0};
    struct error *err = cli_parse(f->arena, argv, &invocation);
    return err != NULL ? err
                       : invocation.command->run(&f->cli, invocation.arguments, &f->exit_code);
}

static void
assert_runs(struct fixture *f, const char *line, int exit_code, const char *out, const char *err)
{
    struct error *failure CLEANUP(error_freep) = run(f, line);
    if (failure != NULL) {
        fail_msg("%s: %s", line, error_message(failure));
    }
    assert_int_equal(f->exit_code, exit_code);
    assert_string_equal(buf_cstr(&f->out), out);
    assert_string_equal(buf_cstr(&f->err), err);
}

static void
assert_fails(struct fixture *f, const char *line, enum error_kind kind, const char *message)
{
    struct error *failure CLEANUP(error_freep) = run(f, line);
    assert_non_null(failure);
    assert_string_equal(error_message(failure), message);
    assert_int_equal(error_kind(failure), kind);
}

static void
test_lint_says_nothing_of_good_files(void **state)
{
    struct fixture *f = *state;
    assert_runs(f, "spec lint", 0, "", "2 files: 0 errors, 0 warnings\n");
    assert_runs(f, "spec lint appspecs", 0, "", "1 file: 0 errors, 0 warnings\n");
    assert_runs(f, "spec lint appspecs/shop.yaml", 0, "", "1 file: 0 errors, 0 warnings\n");
    assert_runs(f, "spec lint --format json", 0, "[]\n", "2 files: 0 errors, 0 warnings\n");
}

static void
test_lint_collects_the_problems_of_all_files(void **state)
{
    struct fixture *f = *state;
    put_file("appspecs/a.yaml", "name: a\nservices: {web: {expose: x}}\n");
    put_file("appspecs/b.yml", "name: c\nservices: {web: {}}\n");
    put_file("appspecs/README.md", "not a spec\n");
    put_file("appspecs/.hidden.yaml", "[");
    assert_runs(f, "spec lint appspecs", 3,
        "appspecs/a.yaml:2:26: error: 'expose' must be a whole number, not text 'x'\n"
        "    2 | services: {web: {expose: x}}\n"
        "      |                          ^\n"
        "appspecs/b.yml:1:7: warning: name 'c' differs from the file stem 'b'\n"
        "    1 | name: c\n"
        "      |       ^ whoever writes '/stem/…' misses the parameter that '/name/…' is read "
        "from\n",
        "3 files: 1 error, 1 warning\n");
    assert_runs(f, "spec lint --format github appspecs/a.yaml", 3,
        "::error file=appspecs/a.yaml,line=2,col=26,endColumn=27,title=wrong-type::'expose' must "
        "be a whole number, not text 'x'\n",
        "1 file: 1 error, 0 warnings\n");
}

static void
test_warnings_fail_only_when_strict(void **state)
{
    struct fixture *f = *state;
    put_file("appspecs/shop.yaml", "name: shop\n");
    static const char text[] = "appspecs/shop.yaml:1:1: warning: the app has no 'services'\n"
                               "    1 | name: shop\n"
                               "      | ^\n";
    assert_runs(f, "spec lint appspecs", 0, text, "1 file: 0 errors, 1 warning\n");
    assert_runs(f, "spec lint --strict appspecs", 3, text, "1 file: 0 errors, 1 warning\n");
}

static void
test_lint_checks_against_the_config_above(void **state)
{
    struct fixture *f = *state;
    put_file("appspecs/shop.yaml",
        "name: shop\nservices: {web: {}}\ndeploy: {environments: {stagng: {branch: main}}}\n");
    static const char text[] =
        "appspecs/shop.yaml:3:25: error: environment 'stagng' is not listed in 'environments' of "
        "dispatcher.yaml\n"
        "    3 | deploy: {environments: {stagng: {branch: main}}}\n"
        "      |                         ^~~~~~ did you mean 'staging'?\n";
    assert_runs(f, "spec lint appspecs", 3, text, "1 file: 1 error, 0 warnings\n");
    put_file("other.yaml", "version: 1\nenvironments: [stagng]\nworkflow: {repo: a/b}\n");
    assert_runs(
        f, "spec lint appspecs --config other.yaml", 0, "", "1 file: 0 errors, 0 warnings\n");
}

// A sparse file: refused by its size, read not at all.
static void
test_lint_refuses_a_huge_file_unread(void **state)
{
    struct fixture *f = *state;
    put_file("appspecs/shop.yaml", "");
    assert_int_equal(truncate("appspecs/shop.yaml", 100 * 1000 * 1000), 0);
    assert_runs(f, "spec lint appspecs", 3,
        "appspecs/shop.yaml: error: 'appspecs/shop.yaml' has 100000000 bytes, more than the 65536 "
        "allowed\n",
        "1 file: 1 error, 0 warnings\n");
}

static void
test_lint_refuses_what_is_no_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(mkfifo("appspecs/pipe.yaml", 0600), 0);
    assert_runs(f, "spec lint appspecs/pipe.yaml", 3,
        "appspecs/pipe.yaml: error: 'appspecs/pipe.yaml' is not a regular file\n",
        "1 file: 1 error, 0 warnings\n");
    assert_fails(f, "spec lint nowhere", ERROR_USAGE, "'nowhere' does not exist");
    assert_int_equal(mkdir("empty", 0755), 0);
    assert_fails(f, "spec lint empty", ERROR_USAGE, "there are no spec files in 'empty'");
    assert_int_equal(unlink("dispatcher.yaml"), 0);
    assert_fails(
        f, "spec lint", ERROR_USAGE, "no files given, and there is no 'dispatcher.yaml' here");
}

static void
test_show_names_the_line_of_each_value(void **state)
{
    struct fixture *f = *state;
    struct error *failure CLEANUP(error_freep) = run(f, "spec show shop --env staging");
    assert_null(failure);
    assert_int_equal(f->exit_code, 0);
    const char *out = buf_cstr(&f->out);
    assert_non_null(strstr(out, "workflow.repo                acme/infra  # dispatcher.yaml:3\n"));
    assert_non_null(strstr(out, "workflow.file                deploy-app.yaml  # default\n"));
    assert_non_null(strstr(out, "services.web.repository      shop-staging-web  # default\n"));
    assert_non_null(
        strstr(out, "repo                         acme/shop  # appspecs/shop.yaml:2\n"));
}

static void
test_show_as_json(void **state)
{
    struct fixture *f = *state;
    struct error *failure CLEANUP(error_freep) =
        run(f, "spec show shop --env staging --specs appspecs --json");
    assert_null(failure);
    struct json *object CLEANUP(json_freep) = NULL;
    assert_null(json_parse(buf_str(&f->out), &json_limits_default, &object));
    assert_string_equal(json_str(json_get(object, "app")), "shop");
    assert_string_equal(json_str(json_get(object, "env")), "staging");
    const struct json *first = json_at(json_get(object, "settings"), 0);
    assert_string_equal(json_str(json_get(first, "key")), "name");
    assert_string_equal(json_str(json_get(first, "value")), "shop");
    assert_string_equal(json_str(json_get(first, "file")), "appspecs/shop.yaml");
    assert_int_equal(json_int(json_get(first, "line"), 0), 1);
}

static void
test_show_refuses(void **state)
{
    struct fixture *f = *state;
    assert_fails(f, "spec show shop", ERROR_USAGE, "no environment was given");
    assert_fails(f, "spec show ../shop --env staging", ERROR_USAGE,
        "app name '../shop' is not a valid name");
    assert_fails(f, "spec show other --env staging", ERROR_SPEC,
        "there is no app 'other': 'appspecs/other.yaml' does not exist");
    assert_fails(
        f, "spec show shop --env qa", ERROR_SPEC, "dispatcher.yaml: 1 error, nothing was deployed");
    assert_string_equal(buf_cstr(&f->err),
        "dispatcher.yaml:2:1: error: environment 'qa' is not listed in 'environments' of "
        "dispatcher.yaml\n"
        "    2 | environments: [staging, production]\n"
        "      | ^~~~~~~~~~~~\n");
    assert_int_equal(f->out.len, 0);
}

static void
test_schema_prints_one_document(void **state)
{
    struct fixture *f = *state;
    static const char *const lines[] = {"spec schema", "spec schema app", "spec schema config"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct error *failure CLEANUP(error_freep) = run(f, lines[i]);
        assert_null(failure);
        struct json *schema CLEANUP(json_freep) = NULL;
        assert_null(json_parse(buf_str(&f->out), &json_limits_default, &schema));
        assert_string_equal(
            json_str(json_get(schema, "title")), i == 2 ? "dispatcher.yaml" : "app spec");
    }
    assert_fails(f, "spec schema x", ERROR_USAGE, "no schema 'x'");
    struct error *failure CLEANUP(error_freep) = run(f, "spec schema reference");
    assert_null(failure);
    assert_true(str_starts(buf_str(&f->out), STR("# The files")));
}

static void
assert_file(const char *path, const char *expected)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1 << 20);
    assert_null(file_read(path, &text, NULL));
    assert_string_equal(buf_cstr(&text), expected);
}

static void
test_fmt_rewrites_in_place(void **state)
{
    struct fixture *f = *state;
    static const char messy[] = "name:   shop # x\nservices:\n    web: {}\n";
    static const char tidy[] = "name: shop  # x\nservices:\n  web: {}\n";
    put_file("appspecs/shop.yaml", messy);
    assert_int_equal(chmod("appspecs/shop.yaml", 0640), 0);
    assert_runs(f, "spec fmt --check", 3, "appspecs/shop.yaml\n", "");
    assert_file("appspecs/shop.yaml", messy);
    assert_runs(f, "spec fmt", 0, "appspecs/shop.yaml\n", "");
    assert_file("appspecs/shop.yaml", tidy);
    struct stat info;
    assert_int_equal(stat("appspecs/shop.yaml", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_runs(f, "spec fmt", 0, "", "");
    assert_runs(f, "spec fmt --check", 0, "", "");
}

static void
test_fmt_leaves_broken_files(void **state)
{
    struct fixture *f = *state;
    static const char broken[] = "name:   shop\nserices: {}\n";
    put_file("appspecs/shop.yaml", broken);
    assert_runs(f, "spec fmt appspecs", 3, "",
        "appspecs/shop.yaml:1:1: warning: the app has no 'services'\n"
        "    1 | name:   shop\n"
        "      | ^\n"
        "appspecs/shop.yaml:2:1: error: unknown key 'serices' in 'app spec'\n"
        "    2 | serices: {}\n"
        "      | ^~~~~~~ did you mean 'services'?\n");
    assert_file("appspecs/shop.yaml", broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lint_says_nothing_of_good_files),
        TEST(test_lint_collects_the_problems_of_all_files),
        TEST(test_warnings_fail_only_when_strict),
        TEST(test_lint_checks_against_the_config_above),
        TEST(test_lint_refuses_a_huge_file_unread),
        TEST(test_lint_refuses_what_is_no_file),
        TEST(test_show_names_the_line_of_each_value),
        TEST(test_show_as_json),
        TEST(test_show_refuses),
        TEST(test_schema_prints_one_document),
        TEST(test_fmt_rewrites_in_place),
        TEST(test_fmt_leaves_broken_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
