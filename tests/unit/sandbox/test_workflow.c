// Workflow files taken apart, and the files in which steps hand values on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "runner_internal.h"
#include "workflow_internal.h"

static const char whole[] = "name: Deploy\n"
                            "run-name: Deploy ${{ inputs.app }}\n"
                            "on:\n"
                            "  workflow_dispatch:\n"
                            "    inputs:\n"
                            "      app: {required: true, type: string}\n"
                            "      env: {type: choice, options: [dev, prod], default: dev}\n"
                            "      dry:\n"
                            "        type: boolean\n"
                            "permissions: {id-token: write}\n"
                            "defaults: {run: {shell: bash}}\n"
                            "env: {A: b}\n"
                            "jobs:\n"
                            "  one:\n"
                            "    runs-on: ubuntu-latest\n"
                            "    environment: {name: production, url: x}\n"
                            "    steps:\n"
                            "      - uses: actions/checkout@v4\n"
                            "      - run: |\n"
                            "          echo first\n"
                            "          echo second\n"
                            "        timeout-minutes: 5\n"
                            "  two:\n"
                            "    needs: [one]\n"
                            "    if: always()\n"
                            "    permissions: {contents: read}\n"
                            "    defaults: {run: {shell: sh, working-directory: sub}}\n"
                            "    strategy: {matrix: {x: [1]}}\n";

static void
a_file_is_taken_apart(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct workflow *workflow = NULL;
    assert_null(sandbox_workflow_parse("w.yaml", str_of(whole), arena, &workflow));
    assert_string_equal(workflow->name, "Deploy");
    assert_string_equal(workflow->run_name, "Deploy ${{ inputs.app }}");
    assert_true(workflow->dispatchable);
    assert_int_equal(workflow->input_count, 3);
    assert_true(workflow->inputs[0].required);
    assert_string_equal(workflow->inputs[1].type, "choice");
    assert_string_equal(workflow->inputs[1].fallback, "dev");
    assert_int_equal(workflow->inputs[1].options.count, 2);
    assert_string_equal(workflow->inputs[2].type, "boolean");
    assert_int_equal(workflow->job_count, 2);
    const struct workflow_job *one = &workflow->jobs[0], *two = &workflow->jobs[1];
    assert_string_equal(one->environment, "production");
    assert_string_equal(one->shell, "bash");
    assert_true(one->id_token);
    assert_null(one->unsupported);
    assert_int_equal(one->step_count, 2);
    assert_string_equal(
        sandbox_workflow_step_label(&one->steps[0], arena), "Run actions/checkout@v4");
    assert_string_equal(sandbox_workflow_step_label(&one->steps[1], arena), "Run echo first");
    assert_int_equal(one->steps[1].timeout_ms, 300000);
    assert_string_equal(two->needs.items[0], "one");
    assert_string_equal(two->condition, "always()");
    assert_string_equal(two->shell, "sh");
    assert_string_equal(two->directory, "sub");
    assert_string_equal(two->unsupported, "strategy");
    assert_false(two->id_token);
}

static void
triggers_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *on;
        bool dispatchable;
    } cases[] = {
        {"on: workflow_dispatch", true},
        {"on: push", false},
        {"on: [push, workflow_dispatch]", true},
        {"on: {workflow_dispatch: }", true},
        {"on: {push: {branches: [workflow_dispatch]}}", false},
        {"name: no trigger", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct workflow *workflow = NULL;
        const char *text = arena_printf(arena, "%s\njobs: {a: {steps: [{run: x}]}}\n", cases[i].on);
        assert_null(sandbox_workflow_parse("w.yaml", str_of(text), arena, &workflow));
        assert_int_equal(workflow->dispatchable, cases[i].dispatchable);
    }
}

static void
broken_files_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"name: x\n", "w.yaml: no jobs"},
        {"jobs: []\n", "w.yaml: no jobs"},
        {"jobs: {a: {runs-on: x}}\n", "w.yaml: job 'a' has no steps"},
        {"jobs:\n  a:\n    steps:\n      - name: x\n",
            "w.yaml:4: a step of job 'a' needs 'run' or 'uses'"},
        {"jobs: {a: {needs: b, steps: [{run: x}]}}\n",
            "w.yaml: job 'a' needs 'b', which does not exist"},
        {"jobs: {a: {needs: a, steps: [{run: x}]}}\n",
            "w.yaml: job 'a' needs 'a', which does not exist"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct workflow *workflow = NULL;
        struct error *err CLEANUP(error_freep) =
            sandbox_workflow_parse("w.yaml", str_of(cases[i][0]), arena, &workflow);
        assert_non_null(err);
        assert_string_equal(error_message(err), cases[i][1]);
        assert_null(workflow);
    }
}

static void
pair_files_hold_lines_and_blocks(void **state)
{
    (void)state;
    struct json *pairs CLEANUP(json_freep) = json_make_object();
    sandbox_job_read_pairs(
        str_of("a=1\nb=x=y\n\nc<<EOF\none\ntwo=2\nEOF\nd=a<<b\nnonsense\n"), pairs);
    assert_int_equal(json_count(pairs), 4);
    assert_string_equal(json_str(json_get(pairs, "a")), "1");
    assert_string_equal(json_str(json_get(pairs, "b")), "x=y");
    assert_string_equal(json_str(json_get(pairs, "c")), "one\ntwo=2");
    assert_string_equal(json_str(json_get(pairs, "d")), "a<<b");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_taken_apart),
        cmocka_unit_test(triggers_in_every_form),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(pair_files_hold_lines_and_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
