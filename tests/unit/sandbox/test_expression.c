// Expressions: values, operators, functions, status functions, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "expression_internal.h"

static const char contexts_text[] =
    "{\"github\": {\"ref_name\": \"main\", \"event\": {\"inputs\": {\"dry\": \"true\"}}},"
    " \"inputs\": {\"app\": \"payments\", \"dry\": true, \"count\": 3, \"empty\": \"\"},"
    " \"env\": {\"MY-VAR\": \"it's\"}, \"list\": [\"a\", \"b\"], \"steps\": {}}";

struct fixture {
    struct json *contexts;
    struct arena *arena;
};

static int
set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    assert_null(json_parse(str_of(contexts_text), &json_limits_default, &fixture->contexts));
    fixture->arena = arena_new();
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    json_free(fixture->contexts);
    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static struct expression_scope
scope_of(void **state)
{
    const struct fixture *fixture = *state;
    return (struct expression_scope){.contexts = fixture->contexts, .arena = fixture->arena};
}

static void
values_and_operators(void **state)
{
    static const char *const cases[][2] = {
        {"plain", "plain"},
        {"${{ inputs.app }}", "payments"},
        {"a ${{inputs.app}} b ${{ inputs['count'] }}", "a payments b 3"},
        {"${{ INPUTS.APP }}", "payments"},
        {"${{ env.MY-VAR }}", "it's"},
        {"${{ 'it''s' }}", "it's"},
        {"${{ inputs.nothing }}", ""},
        {"${{ inputs.nothing.deeper }}", ""},
        {"${{ inputs.dry }}", "true"},
        {"${{ github.event.inputs.dry }}", "true"},
        {"${{ null }}", ""},
        {"${{ 1.5 }}", "1.5"},
        {"${{ -3 }}", "-3"},
        {"${{ inputs.app == 'PAYMENTS' }}", "true"},
        {"${{ inputs.app != 'x' }}", "true"},
        {"${{ inputs.count == '3' }}", "true"},
        {"${{ inputs.dry == 1 }}", "true"},
        {"${{ inputs.dry == 'true' }}", "false"},
        {"${{ inputs.empty == 0 }}", "true"},
        {"${{ 'abc' == 0 }}", "false"},
        {"${{ inputs.count > 2 && inputs.count <= 3 }}", "true"},
        {"${{ 2 < 1 }}", "false"},
        {"${{ inputs.empty || 'fallback' }}", "fallback"},
        {"${{ inputs.dry && 'yes' || 'no' }}", "yes"},
        {"${{ !inputs.dry }}", "false"},
        {"${{ !!inputs.app }}", "true"},
        {"${{ !(1 == 2) && 'x' }}", "x"},
        {"${{ list[1] }}", "b"},
        {"${{ list[7] }}", ""},
    };
    struct expression_scope scope = scope_of(state);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *value = NULL;
        print_message("%s\n", cases[i][0]);
        assert_null(sandbox_expression_expand(&scope, cases[i][0], &value));
        assert_string_equal(value, cases[i][1]);
    }
}

static void
functions(void **state)
{
    static const char *const cases[][2] = {
        {"${{ contains('Hello World', 'WORLD') }}", "true"},
        {"${{ contains(list, 'b') }}", "true"},
        {"${{ contains(list, 'c') }}", "false"},
        {"${{ startsWith('refs/heads/x', 'refs/heads/') }}", "true"},
        {"${{ endsWith('a.yaml', '.yml') }}", "false"},
        {"${{ format('{0}-{1} {{x}}', inputs.app, 7) }}", "payments-7 {x}"},
        {"${{ join(list, '+') }}", "a+b"},
        {"${{ toJSON('a\"b') }}", "\"a\\\"b\""},
        {"${{ fromJSON('true') && 'y' }}", "y"},
        {"${{ fromJSON('17') == 17 }}", "true"},
    };
    struct expression_scope scope = scope_of(state);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *value = NULL;
        print_message("%s\n", cases[i][0]);
        assert_null(sandbox_expression_expand(&scope, cases[i][0], &value));
        assert_string_equal(value, cases[i][1]);
    }
}

static void
a_condition_implies_success(void **state)
{
    static const struct {
        const char *text;
        bool failed, cancelled, wanted;
    } cases[] = {
        {NULL, false, false, true},
        {NULL, true, false, false},
        {NULL, false, true, false},
        {"inputs.app == 'payments'", false, false, true},
        {"inputs.app == 'payments'", true, false, false},
        {"${{ inputs.app == 'other' }}", false, false, false},
        {"always()", true, true, true},
        {"failure()", true, false, true},
        {"failure()", false, false, false},
        {"failure()", true, true, false},
        {"cancelled()", false, true, true},
        {"success() || failure()", true, false, true},
        {"always() && inputs.app == 'x'", false, false, false},
        {"'false'", false, false, true},
        {"false", false, false, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct expression_scope scope = scope_of(state);
        bool wanted = !cases[i].wanted;
        scope.failed = cases[i].failed;
        scope.cancelled = cases[i].cancelled;
        assert_null(sandbox_expression_condition(&scope, cases[i].text, &wanted));
        assert_int_equal(wanted, cases[i].wanted);
    }
}

static void
what_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"${{ nobody.x }}", "expression 'nobody.x': unrecognized named-value 'nobody'"},
        {"${{ hashFiles('x') }}",
            "expression 'hashFiles('x')': the sandbox has no function 'hashFiles'"},
        {"${{ contains('a') }}",
            "expression 'contains('a')': 'contains' takes another number of arguments"},
        {"${{ 'open }}", "'${{' without '}}' in '${{ 'open }}'"},
        {"${{ (1 }}", "expression '(1': expected ')' at 'the end'"},
        {"${{ 1 2 }}", "expression '1 2': unexpected text at '2'"},
        {"${{ }}", "expression '': expected a value at 'the end'"},
        {"${{ inputs. }}", "expression 'inputs.': expected a name at 'the end'"},
        {"a ${{ b", "'${{' without '}}' in 'a ${{ b'"},
    };
    struct expression_scope scope = scope_of(state);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const char *value = NULL;
        struct error *err CLEANUP(error_freep) =
            sandbox_expression_expand(&scope, cases[i][0], &value);
        assert_non_null(err);
        assert_string_equal(error_message(err), cases[i][1]);
        assert_null(value);
    }
}

static void
nesting_is_capped(void **state)
{
    struct expression_scope scope = scope_of(state);
    struct buf text CLEANUP(buf_done) = BUF_INIT(100000);
    const char *value = NULL;
    buf_puts(&text, "${{ ");
    for (int i = 0; i < 10000; i++) {
        buf_putc(&text, '(');
    }
    buf_puts(&text, " }}");
    struct error *err CLEANUP(error_freep) =
        sandbox_expression_expand(&scope, buf_cstr(&text), &value);
    assert_non_null(err);
    assert_true(str_contains(str_of(error_message(err)), STR("nested too deeply")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_and_operators, set_up, tear_down),
        cmocka_unit_test_setup_teardown(functions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_condition_implies_success, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nesting_is_capped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
