// Every diagnostic by golden file: bad specs, bad dispatcher.yaml, the real specs, the good ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/spec.h"
#include "golden.h"

enum { TEXT_MAX = 4 * 1024 * 1024 };

static const char *const rule_ids[] = {
#define DIAGNOSTIC_RULE(id, text) id,
#include "dispatcher/diagnostic_rules.def"
#undef DIAGNOSTIC_RULE
};
static bool rule_seen[ARRAY_LENGTH(rule_ids)];

static void
note_rules(const struct diagnostics *diagnostics)
{
    for (size_t i = 0; i < diagnostics_total(diagnostics); i++) {
        const struct diagnostic *item = diagnostics_at(diagnostics, i);
        assert_non_null(diagnostic_rule_text(item->rule));
        for (size_t j = 0; j < ARRAY_LENGTH(rule_ids); j++) {
            rule_seen[j] = rule_seen[j] || strcmp(rule_ids[j], item->rule) == 0;
        }
    }
}

static char *
stem_of(const char *name)
{
    return str_dup((struct str){name, strlen(name) - strlen(".yaml")});
}

static void
lint_app_file(const char *directory, const char *name, struct diagnostics *diagnostics)
{
    struct buf config CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char *path CLEANUP(xfreep) = xasprintf("specs/%s/%s", directory, name);
    char *shown CLEANUP(xfreep) = xasprintf("appspecs/%s", name);
    char *stem CLEANUP(xfreep) = stem_of(name);
    bool served = strcmp(directory, "served") == 0; // by the service: a dispatcher.yaml of its own
    golden_read(served ? "specs/served/dispatcher.yaml" : "specs/dispatcher.yaml", &config);
    golden_read(path, &text);
    struct spec_document config_document = {"dispatcher.yaml", buf_str(&config)};
    struct spec_document document = {shown, buf_str(&text)};
    spec_lint_app(&config_document, &document, stem, diagnostics);
    if (served && diagnostics_count(diagnostics, DIAGNOSTIC_ERROR) == 0) {
        const struct setting_secrets none = {.files = {0}};
        spec_lint_served_app(&config_document, &document, &none, diagnostics);
    }
    diagnostics_sort(diagnostics);
    note_rules(diagnostics);
}

static void
lint_config_file(const char *name, struct diagnostics *diagnostics)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    char *path CLEANUP(xfreep) = xasprintf("specs/config/%s", name);
    golden_read(path, &text);
    struct spec_document document = {"dispatcher.yaml", buf_str(&text)};
    spec_lint_config(&document, diagnostics);
    diagnostics_sort(diagnostics);
    note_rules(diagnostics);
}

static void
assert_golden(const char *directory, const char *name, const struct diagnostics *diagnostics)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    diagnostics_print_text(diagnostics, false, &text);
    char *stem CLEANUP(xfreep) = stem_of(name);
    char *expected CLEANUP(xfreep) = xasprintf("specs/%s/%s.txt", directory, stem);
    assert_false(text.failed);
    golden_assert(expected, buf_str(&text));
}

static size_t
check_directory(const char *directory)
{
    char *below CLEANUP(xfreep) = xasprintf("specs/%s", directory);
    char **names = golden_list(below, ".yaml");
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        if (strcmp(names[count], "dispatcher.yaml") == 0) {
            continue;
        }
        if (strcmp(directory, "config") == 0) {
            lint_config_file(names[count], diagnostics);
        } else {
            lint_app_file(directory, names[count], diagnostics);
        }
        if (diagnostics_total(diagnostics) == 0) {
            fail_msg("%s/%s: no diagnostic at all", directory, names[count]);
        }
        assert_golden(directory, names[count], diagnostics);
    }
    golden_list_free(names);
    return count;
}

static void
test_bad_specs(void **state)
{
    (void)state;
    assert_true(check_directory("bad") >= 100);
}

static void
test_served_specs(void **state)
{
    (void)state;
    assert_true(check_directory("served") >= 4);
}

static void
test_bad_configs(void **state)
{
    (void)state;
    assert_true(check_directory("config") >= 18);
}

static void
test_real_specs_are_accepted(void **state)
{
    (void)state;
    char **names = golden_list("specs/real", ".yaml");
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        lint_app_file("real", names[count], diagnostics);
        assert_int_equal(diagnostics_count(diagnostics, DIAGNOSTIC_ERROR), 0);
        assert_golden("real", names[count], diagnostics);
    }
    assert_int_equal(count, 3);
    golden_list_free(names);
}

static void
test_good_specs_are_silent(void **state)
{
    (void)state;
    char **names = golden_list("specs/good", ".yaml");
    assert_non_null(names[0]);
    for (size_t i = 0; names[i] != NULL; i++) {
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        lint_app_file("good", names[i], diagnostics);
        struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        diagnostics_print_text(diagnostics, false, &text);
        assert_string_equal(buf_cstr(&text), "");
    }
    golden_list_free(names);
}

static void
test_good_configs_are_silent(void **state)
{
    (void)state;
    char **names = golden_list("specs/good-config", ".yaml");
    for (size_t i = 0; names[i] != NULL; i++) {
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        char *path CLEANUP(xfreep) = xasprintf("specs/good-config/%s", names[i]);
        struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        golden_read(path, &text);
        struct spec_document document = {names[i], buf_str(&text)};
        spec_lint_config(&document, diagnostics);
        diagnostics_print_text(diagnostics, false, &out);
        assert_string_equal(buf_cstr(&out), "");
    }
    golden_list_free(names);
}

// The examples of the repository are what a team would paste: no error, no warning, formatted, and
// they resolve in every environment that they name.
static void
test_examples(void **state)
{
    (void)state;
    char **names = golden_list("../../appspecs", ".yaml");
    struct buf config CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    golden_read("../../appspecs/dispatcher.yaml", &config);
    struct spec_document config_document = {"dispatcher.yaml", buf_str(&config)};
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
        char *path CLEANUP(xfreep) = xasprintf("../../appspecs/%s", names[count]);
        char *stem CLEANUP(xfreep) = stem_of(names[count]);
        struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct buf formatted CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        golden_read(path, &text);
        struct spec_document document = {names[count], buf_str(&text)};
        if (strcmp(stem, "dispatcher") == 0) {
            spec_lint_config(&document, diagnostics);
        } else {
            spec_lint_app(&config_document, &document, stem, diagnostics);
        }
        diagnostics_print_text(diagnostics, false, &out);
        assert_string_equal(buf_cstr(&out), "");
        assert_null(spec_format(&document, &formatted));
        assert_string_equal(buf_cstr(&formatted), buf_cstr(&text));
    }
    assert_true(count >= 8);
    golden_list_free(names);
}

// What the files above cannot hold.
static void
test_too_large(void **state)
{
    (void)state;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    char *text CLEANUP(xfreep) = xmalloc(65537);
    memset(text, '#', 65537);
    struct spec_document config = {"dispatcher.yaml", {0}};
    struct spec_document document = {"appspecs/big.yaml", {text, 65537}};
    spec_lint_app(&config, &document, "big", diagnostics);
    note_rules(diagnostics);
    struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    diagnostics_print_text(diagnostics, false, &out);
    assert_string_equal(buf_cstr(&out),
        "appspecs/big.yaml: error: the file has 65537 bytes, more than the 65536 allowed\n");
}

static void
test_every_rule_has_a_case(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rule_ids); i++) {
        // 'unreadable' is the command's: tests/unit/cli.
        if (!rule_seen[i] && strcmp(rule_ids[i], "unreadable") != 0) {
            fail_msg("no golden file gives the diagnostic '%s'", rule_ids[i]);
        }
    }
}

// No secret may travel from a spec into a log, in any format.
static void
test_secrets_are_not_shown(void **state)
{
    (void)state;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    lint_app_file("bad", "literal-secrets.yaml", diagnostics);
    lint_config_file("github.yaml", diagnostics);
    lint_config_file("github-literal-key.yaml", diagnostics);
    lint_config_file("state-password.yaml", diagnostics);
    lint_config_file("server-secrets.yaml", diagnostics);
    struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    diagnostics_print_text(diagnostics, false, &out);
    diagnostics_print_json(diagnostics, &out);
    diagnostics_print_github(diagnostics, &out);
    diagnostics_print_sarif(diagnostics, &out);
    static const char *const secrets[] = {"ghp_0123", "AKIAIOSF", "hooks.slack.com", "xoxb-12",
        "p4ssw0rd", "BEGIN RSA", "MIIE", "hunter2"};
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        assert_null(strstr(buf_cstr(&out), secrets[i]));
    }
}

static void
test_formats(void **state)
{
    (void)state;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    static const char *const names[] = {"many-at-once.yaml", "hostile-text.yaml", "not-utf8.yaml",
        "latest-tag.yaml", "port-repeated.yaml", "second-document.yaml"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        lint_app_file("bad", names[i], diagnostics);
    }
    static const struct {
        const char *name;
        void (*print)(const struct diagnostics *list, struct buf *out);
    } formats[] = {{"specs/formats/lint.json", diagnostics_print_json},
        {"specs/formats/lint.github", diagnostics_print_github},
        {"specs/formats/lint.sarif", diagnostics_print_sarif}};
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
        formats[i].print(diagnostics, &out);
        golden_assert(formats[i].name, buf_str(&out));
    }
}

// The members that SARIF 2.1.0 requires, and that the indexes point where they should.
static void
test_sarif_shape(void **state)
{
    (void)state;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    lint_app_file("bad", "many-at-once.yaml", diagnostics);
    struct buf out CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    diagnostics_print_sarif(diagnostics, &out);
    struct json *sarif CLEANUP(json_freep) = NULL;
    assert_null(json_parse(buf_str(&out), &json_limits_default, &sarif));
    assert_string_equal(json_str(json_get(sarif, "version")), "2.1.0");
    assert_int_equal(json_count(json_get(sarif, "runs")), 1);
    const struct json *run = json_at(json_get(sarif, "runs"), 0);
    assert_string_equal(json_str(json_path(run, "tool.driver.name")), "dispatcher");
    const struct json *rules = json_path(run, "tool.driver.rules");
    const struct json *results = json_get(run, "results");
    assert_int_equal(json_count(results), diagnostics_total(diagnostics));
    for (size_t i = 0; i < json_count(results); i++) {
        const struct json *result = json_at(results, i);
        const struct diagnostic *item = diagnostics_at(diagnostics, i);
        const struct json *rule =
            json_at(rules, (size_t)json_int(json_get(result, "ruleIndex"), -1));
        assert_string_equal(json_str(json_get(rule, "id")), item->rule);
        assert_string_equal(json_str(json_get(result, "ruleId")), item->rule);
        assert_non_null(json_str(json_path(rule, "shortDescription.text")));
        assert_non_null(json_str(json_path(result, "message.text")));
        const struct json *place =
            json_get(json_at(json_get(result, "locations"), 0), "physicalLocation");
        assert_string_equal(json_str(json_path(place, "artifactLocation.uri")), item->file);
        assert_int_equal(json_int(json_path(place, "region.startLine"), 0), item->span.line);
        assert_int_equal(json_int(json_path(place, "region.startColumn"), 0), item->span.column);
        assert_int_equal(json_int(json_path(place, "region.endColumn"), 0),
            item->span.column + item->span.length);
    }
}

static void
test_one_error_for_the_command(void **state)
{
    (void)state;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    assert_null(diagnostics_error(diagnostics));
    lint_app_file("bad", "latest-tag.yaml", diagnostics);
    assert_null(diagnostics_error(diagnostics));
    lint_app_file("bad", "bad-repo.yaml", diagnostics);
    struct error *one CLEANUP(error_freep) = diagnostics_error(diagnostics);
    assert_int_equal(error_kind(one), ERROR_SPEC);
    assert_string_equal(
        error_message(one), "appspecs/bad-repo.yaml: 1 error, nothing was deployed");
    lint_app_file("bad", "tag.yaml", diagnostics);
    struct error *two CLEANUP(error_freep) = diagnostics_error(diagnostics);
    assert_string_equal(error_message(two), "2 errors in several files, nothing was deployed");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_served_specs),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_real_specs_are_accepted),
        cmocka_unit_test(test_good_specs_are_silent),
        cmocka_unit_test(test_good_configs_are_silent),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_every_rule_has_a_case),
        cmocka_unit_test(test_secrets_are_not_shown),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_sarif_shape),
        cmocka_unit_test(test_one_error_for_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
