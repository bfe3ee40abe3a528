// JSON Schema and reference page: judged by python-jsonschema, and held against the committed page.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <spawn.h>
#include <sys/wait.h>

#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "golden.h"
#include "spec_internal.h"
#include "temp_dir.h"

extern char **environ;

enum { TEXT_MAX = 1024 * 1024, ARGUMENTS_MAX = 64, NOT_INSTALLED = 77 };

static int
run(char *const *arguments)
{
    pid_t pid = 0;
    int status = 0;
    assert_int_equal(posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

// Files are paths below tests/golden/specs, or (with "../../../") anywhere in the project.
static void
assert_judged(const char *which, const char *expected, const char *const *files)
{
    char *dir CLEANUP(temp_dir_removep) = temp_dir_new();
    char *schema_path CLEANUP(xfreep) = temp_dir_path(dir, "schema.json");
    struct buf schema CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    assert_null(spec_schema(which, &schema));
    assert_null(file_write(schema_path, buf_str(&schema), 0600));

    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *arguments[ARGUMENTS_MAX] = {
        arena_printf(arena, "%s/support/validate_schema.py", TEST_SOURCE_DIR), schema_path,
        arena_dup(arena, expected)};
    size_t count = 3;
    for (size_t i = 0; files[i] != NULL; i++) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments[count++] = arena_printf(arena, "%s/golden/specs/%s", TEST_SOURCE_DIR, files[i]);
    }
    int status = run(arguments);
    if (status == NOT_INSTALLED) {
        skip();
    }
    assert_int_equal(status, 0);
}

static void
test_good_specs_pass(void **state)
{
    (void)state;
    static const char *const files[] = {"real/cmr-rap-sheet-reader.yaml",
        "real/column-sandbox.yaml", "real/sample-app.yaml", "good/full.yaml", "good/minimal.yaml",
        "../../../appspecs/backend-api.yaml", "../../../appspecs/express-api.yaml",
        "../../../appspecs/kaapi.yaml", "../../../appspecs/ledger.yaml",
        "../../../appspecs/minimal.yaml", "../../../appspecs/monorepo-api.yaml",
        "../../../appspecs/my-app.yaml", "../../../appspecs/swasthx-backend.yaml",
        "../../../appspecs/two-services.yaml", NULL};
    assert_judged("app", "good", files);
}

static void
test_bad_specs_fail(void **state)
{
    (void)state;
    static const char *const files[] = {"bad/unknown-key.yaml", "bad/unknown-deploy-key.yaml",
        "bad/wrong-type-text.yaml", "bad/wrong-type-block.yaml", "bad/wrong-type-list.yaml",
        "bad/wrong-type-number-quoted.yaml", "bad/wrong-type-bool-quoted.yaml",
        "bad/wrong-type-duration.yaml", "bad/wrong-type-map-text.yaml", "bad/missing-name.yaml",
        "bad/missing-keys.yaml", "bad/out-of-range.yaml", "bad/unknown-value.yaml",
        "bad/bad-name.yaml", "bad/bad-own-name.yaml", "bad/bad-repo.yaml", "bad/bad-image-tag.yaml",
        "bad/bad-keys.yaml", "bad/bad-window.yaml", "bad/bad-refs.yaml", "bad/root-is-list.yaml",
        "bad/target-secrets.yaml", "bad/plain-secret.yaml", "bad/rollout.yaml",
        "bad/workers-target.yaml", "bad/notify.yaml", NULL};
    assert_judged("app", "bad", files);
}

static void
test_good_configs_pass(void **state)
{
    (void)state;
    static const char *const files[] = {
        "dispatcher.yaml", "good-config/vault.yaml", "good-config/notify.yaml", NULL};
    assert_judged("config", "good", files);
}

static void
test_bad_configs_fail(void **state)
{
    (void)state;
    static const char *const files[] = {"config/no-version.yaml", "config/version-2.yaml",
        "config/unknown-keys.yaml", "config/aws.yaml", "config/github-literal-key.yaml",
        "config/workflow.yaml", "config/policy.yaml", "config/state.yaml",
        "config/create-repository.yaml", "config/vault.yaml", "config/vault-refs.yaml",
        "config/notify.yaml", NULL};
    assert_judged("config", "bad", files);
}

static void
test_unknown_schema(void **state)
{
    (void)state;
    struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct error *err CLEANUP(error_freep) = spec_schema("apps", &out);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_USAGE);
    assert_string_equal(error_message(err), "no schema 'apps'");
}

static void
test_reference_is_current(void **state)
{
    (void)state;
    char *path CLEANUP(xfreep) = xasprintf("%s/../docs/spec-reference.md", TEST_SOURCE_DIR);
    struct buf committed CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf made CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    assert_null(file_read(path, &committed, NULL));
    spec_reference(&made);
    assert_false(made.failed);
    if (!str_equal(buf_str(&committed), buf_str(&made))) {
        fail_msg("docs/spec-reference.md is not what the tables say; run: "
                 "dispatcher spec schema reference > docs/spec-reference.md");
    }
}

static void
assert_table_is_documented(const struct field_table *table, unsigned depth)
{
    assert_true(depth < 10);
    assert_non_null(table->name);
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        bool keyed = field->kind == FIELD_MAP_OBJECT || field->kind == FIELD_MAP_STR;
        bool described = field->doc != NULL && field->doc[strlen(field->doc) - 1] == '.';
        bool twins = field->check == NULL || field->pattern != NULL || field->placeholders;
        if (!described || !twins || (keyed && field->key_label == NULL)) {
            fail_msg("'%s' of '%s': no sentence, no pattern for its check, or no key label",
                field->name, table->name);
        }
        if (field->table != NULL) {
            assert_table_is_documented(field->table, depth + 1);
        }
    }
}

static void
test_every_key_is_documented(void **state)
{
    (void)state;
    assert_table_is_documented(&spec_app_table, 0);
    assert_table_is_documented(&config_table, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_specs_pass),
        cmocka_unit_test(test_bad_specs_fail),
        cmocka_unit_test(test_good_configs_pass),
        cmocka_unit_test(test_bad_configs_fail),
        cmocka_unit_test(test_unknown_schema),
        cmocka_unit_test(test_reference_is_current),
        cmocka_unit_test(test_every_key_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
