// The workflow file: every way to write `on:`, every declared input, and how it is fetched.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dispatcher/digest.h"
#include "github_fixture.h"

#define MESSAGE(text) "{\"message\":\"" text "\"}"
#define FILE_URL GITHUB_REPO "/contents/.github%2Fworkflows%2Fdeploy-app.yaml?ref=main"

static void
assert_failure(struct error *err, enum error_kind kind, const char *says)
{
    assert_non_null(err);
    char *text = error_text(err);
    if (strstr(text, says) == NULL) {
        fail_msg("'%s' does not say '%s'", text, says);
    }
    free(text);
    assert_int_equal(error_kind(err), kind);
    error_free(err);
}

static struct github_workflow *
parse(struct arena *arena, const char *text)
{
    struct github_workflow *workflow = NULL;
    struct error *err = github_workflow_parse("deploy-app.yaml", str_of(text), arena, &workflow);
    if (err != NULL) {
        fail_msg("%s", error_text(err));
    }
    return workflow;
}

static void
every_form_of_on(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool dispatchable;
        size_t inputs;
    } cases[] = {
        {"on: workflow_dispatch\n", true, 0},
        {"on: push\n", false, 0},
        {"on: [push, workflow_dispatch]\n", true, 0},
        {"on: [push, pull_request]\n", false, 0},
        {"on:\n  - workflow_dispatch\n", true, 0},
        {"on: [[workflow_dispatch]]\n", false, 0},
        {"on:\n  workflow_dispatch:\n", true, 0},
        {"on:\n  push:\n    branches: [main]\n  workflow_dispatch: {}\n", true, 0},
        {"on:\n  workflow_dispatch:\n    inputs:\n", true, 0},
        {"on:\n  workflow_dispatch:\n    inputs: {a: }\n", true, 1},
        {"on:\n  workflow_dispatch:\n    inputs: [a]\n", true, 0},
        {"on:\n  workflow_call:\n    inputs: {a: }\n", false, 0},
        {"\"on\": workflow_dispatch\n", true, 0},
        {"'on': {\"workflow_dispatch\": null}\n", true, 0},
        {"true: workflow_dispatch\n", false, 0},
        {"on: &events {workflow_dispatch: {inputs: &i {a: , b: }}}\n", true, 2},
        {"x: &e\n  workflow_dispatch:\non: *e\n", true, 0},
        {"on: Workflow_Dispatch\n", false, 0},
        {"name: nothing\n", false, 0},
        {"on:\n", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const struct github_workflow *workflow = parse(arena, cases[i].text);
        if (workflow->dispatchable != cases[i].dispatchable ||
            workflow->input_count != cases[i].inputs) {
            fail_msg("'%s': %d, %zu inputs", cases[i].text, workflow->dispatchable,
                workflow->input_count);
        }
        assert_string_equal(workflow->file, "deploy-app.yaml");
        assert_null(workflow->run_name);
    }
}

static const char *const whole =
    "name: Deploy\n"
    "run-name: deploy ${{ inputs.application }} ${{ inputs.distinct_id }}\n"
    "on:\n"
    "  workflow_dispatch:\n"
    "    inputs:\n"
    "      application: {description: which, required: true, type: string}\n"
    "      environment:\n"
    "        type: choice\n"
    "        default: development\n"
    "        options: [development, production]\n"
    "      dry_run: {type: boolean, default: false}\n"
    "      count: {type: number, required: 'TRUE'}\n"
    "      where: {type: environment, required: false}\n"
    "      distinct_id:\n"
    "jobs:\n"
    "  deploy:\n"
    "    runs-on: ubuntu-latest\n"
    "    steps: [{run: 'echo \"${{ inputs.application }}\"'}]\n";

static void
inputs_are_taken_apart(void **state)
{
    (void)state;
    static const struct github_input expected[] = {
        {.name = "application", .type = "string", .required = true},
        {.name = "environment", .type = "choice", .fallback = "development"},
        {.name = "dry_run", .type = "boolean", .fallback = "false"},
        {.name = "count", .type = "number", .required = true},
        {.name = "where", .type = "environment"},
        {.name = "distinct_id", .type = "string"},
    };
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct github_workflow *workflow = parse(arena, whole);
    assert_string_equal(
        workflow->run_name, "deploy ${{ inputs.application }} ${{ inputs.distinct_id }}");
    assert_int_equal(workflow->input_count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        const struct github_input *input = &workflow->inputs[i];
        assert_string_equal(input->name, expected[i].name);
        assert_string_equal(input->type, expected[i].type);
        assert_int_equal(input->required, expected[i].required);
        assert_true(cstr_equal(input->fallback, expected[i].fallback));
    }
    assert_int_equal(workflow->inputs[1].options.count, 2);
    assert_string_equal(workflow->inputs[1].options.items[0], "development");
    assert_string_equal(workflow->inputs[1].options.items[1], "production");
    assert_int_equal(workflow->inputs[0].options.count, 0);
}

static void
what_is_no_workflow_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is no workflow"},
        {"# only a comment\n", "is no workflow"},
        {"- a\n", "is no workflow"},
        {"text\n", "is no workflow"},
        {"on: [push\n", "workflow 'deploy-app.yaml', line "},
        {"on: push\non: push\n", "workflow 'deploy-app.yaml', line 2"},
        {"on: \xff\n", "workflow 'deploy-app.yaml'"},
        {"a: *nothing\n", "workflow 'deploy-app.yaml'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct github_workflow *workflow = NULL;
        assert_failure(
            github_workflow_parse("deploy-app.yaml", str_of(cases[i].text), arena, &workflow),
            ERROR_SPEC, cases[i].says);
        assert_null(workflow);
    }
}

// --- fetching ------------------------------------------------------------------------------------

// A contents answer for `text`, base64 in lines of 60 as GitHub sends it.
static void
contents(const char *text, struct buf *out)
{
    struct buf packed CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    base64_encode(str_of(text), &packed);
    buf_puts(out, "{\"type\":\"file\",\"encoding\":\"base64\",\"content\":\"");
    for (size_t i = 0; i < packed.len; i += 60) {
        size_t len = packed.len - i < 60 ? packed.len - i : 60;
        buf_append(out, packed.ptr + i, len);
        buf_puts(out, "\\n");
    }
    buf_puts(out, "\"}");
}

static void
the_file_is_read_at_the_ref(void **state)
{
    (void)state;
    struct buf reply CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    contents(whole, &reply);
    const struct script_step steps[] = {
        {.url = FILE_URL, .reply = buf_cstr(&reply)},
        {.url = GITHUB_REPO "/contents/.github%2Fworkflows%2Fa%20b%23.yml?ref=feature%2Fx%26y",
            .reply = buf_cstr(&reply)},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 2);
    struct github_workflow *workflow = NULL;
    assert_null(github_workflow_read(f->client, "deploy-app.yaml", "main", f->arena, &workflow));
    assert_true(workflow->dispatchable);
    assert_int_equal(workflow->input_count, 6);
    assert_null(github_workflow_read(f->client, "a b#.yml", "feature/x&y", f->arena, &workflow));
    assert_string_equal(workflow->file, "a b#.yml");
    github_fixture_finish(f);
}

static void
a_file_that_is_not_there_is_a_value(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = FILE_URL, .status = 404, .reply = MESSAGE("Not Found")}};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
    struct github_workflow *workflow = (struct github_workflow *)f;
    assert_null(github_workflow_read(f->client, "deploy-app.yaml", "main", f->arena, &workflow));
    assert_null(workflow);
    github_fixture_finish(f);
}

static void
answers_that_hold_no_file(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *says;
        enum error_kind kind;
    } cases[] = {
        {"[]", "not a regular file", ERROR_REFUSED},
        {"{\"type\":\"symlink\",\"target\":\"/etc/passwd\"}", "not a regular file", ERROR_REFUSED},
        {"{\"type\":\"submodule\"}", "not a regular file", ERROR_REFUSED},
        {"{\"type\":\"file\",\"encoding\":\"none\",\"content\":\"\"}", "too large", ERROR_REFUSED},
        {"{\"type\":\"file\",\"encoding\":\"base64\"}", "too large", ERROR_REFUSED},
        {"{\"type\":\"file\",\"encoding\":\"base64\",\"content\":\"***\"}", "unusable answer",
            ERROR_UNAVAILABLE},
        {"{\"type\":\"file\",\"encoding\":\"base64\",\"content\":\"b246IHB1c2g\"}",
            "unusable answer", ERROR_UNAVAILABLE},
        {"{\"type\":\"file\"", "unusable answer", ERROR_UNAVAILABLE},
        {"{\"type\":\"file\",\"encoding\":\"base64\",\"content\":\"\"}", "is no workflow",
            ERROR_SPEC},
        {"{\"type\":\"file\",\"encoding\":\"base64\",\"content\":\"W10K\"}", "is no workflow",
            ERROR_SPEC},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct script_step steps[] = {{.url = FILE_URL, .reply = cases[i].reply}};
        struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 1);
        struct github_workflow *workflow = NULL;
        assert_failure(
            github_workflow_read(f->client, "deploy-app.yaml", "main", f->arena, &workflow),
            cases[i].kind, cases[i].says);
        assert_null(workflow);
        github_fixture_finish(f);
    }
}

static void
only_exact_file_names_are_asked_for(void **state)
{
    (void)state;
    static const char *const names[] = {"", "deploy", "deploy.json", ".github/workflows/deploy.yml",
        "../deploy.yml", "deploy.yml/", "deploy.yml\xff.yml"};
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(NULL, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct github_workflow *workflow = NULL;
        const char *text = NULL;
        assert_failure(github_workflow_read(f->client, names[i], "main", f->arena, &workflow),
            ERROR_INPUT, "is not a workflow file");
        assert_failure(github_workflow_state(f->client, names[i], f->arena, &text), ERROR_INPUT,
            "is not a workflow file");
    }
}

static void
the_state_of_a_workflow(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {.url = GITHUB_REPO "/actions/workflows/deploy.yml",
            .reply = "{\"id\":1,\"state\":\"disabled_manually\"}"},
        {.url = GITHUB_REPO "/actions/workflows/deploy.yml",
            .status = 404,
            .reply = MESSAGE("Not Found")},
        {.url = GITHUB_REPO "/actions/workflows/deploy.yml", .reply = "{\"id\":1}"},
    };
    struct github_fixture *f CLEANUP(github_fixture_freep) = github_fixture_token(steps, 3);
    const char *text = NULL;
    assert_null(github_workflow_state(f->client, "deploy.yml", f->arena, &text));
    assert_string_equal(text, "disabled_manually");
    assert_null(github_workflow_state(f->client, "deploy.yml", f->arena, &text));
    assert_null(text);
    assert_failure(github_workflow_state(f->client, "deploy.yml", f->arena, &text),
        ERROR_UNAVAILABLE, "has no 'state'");
    github_fixture_finish(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_on),
        cmocka_unit_test(inputs_are_taken_apart),
        cmocka_unit_test(what_is_no_workflow_is_refused),
        cmocka_unit_test(the_file_is_read_at_the_ref),
        cmocka_unit_test(a_file_that_is_not_there_is_a_value),
        cmocka_unit_test(answers_that_hold_no_file),
        cmocka_unit_test(only_exact_file_names_are_asked_for),
        cmocka_unit_test(the_state_of_a_workflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
