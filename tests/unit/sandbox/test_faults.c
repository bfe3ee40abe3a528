// The fault rule language: what parses to what, what is refused with which words, when rules fire.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "dispatcher/sandbox.h"
#include "faults_internal.h"

static struct fault_rule *
parsed(const char *text)
{
    struct fault_rule *rule = NULL;
    struct error *err = fault_rule_parse(text, &rule);
    assert_null(err);
    return rule;
}

static void
a_rule_has_what_it_says(void **state)
{
    (void)state;
    struct fault_rule *rule CLEANUP(fault_rule_freep) =
        parsed("GET */actions/runs/* nth=2 count=3 status=502 retry-after=7 "
               "body=\"a \\\"b\\\" c\" header=\"X-Y: z\" delay=250ms");
    assert_string_equal(rule->method, "GET");
    assert_string_equal(rule->pattern, "*/actions/runs/*");
    assert_int_equal(rule->nth, 2);
    assert_int_equal(rule->count, 3);
    assert_int_equal(rule->effect, FAULT_STATUS);
    assert_int_equal(rule->status, 502);
    assert_string_equal(rule->retry_after, "7");
    assert_string_equal(rule->body, "a \"b\" c");
    assert_string_equal(rule->header_name, "X-Y");
    assert_string_equal(rule->header_value, "z");
    assert_int_equal(rule->delay_ms, 250);
}

static void
an_effect_is_implied_by_its_key(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum fault_effect effect;
    } cases[] = {
        {"* /aws* status=500", FAULT_STATUS},
        {"* /aws* delay=1s", FAULT_DELAY},
        {"* /aws* delay-after=1s", FAULT_DELAY},
        {"* /aws* offset=-90s", FAULT_CLOCK},
        {"POST */dispatches effect=lost-answer", FAULT_LOST_ANSWER},
        {"* * effect=reset", FAULT_RESET},
        {"* * effect=truncate", FAULT_TRUNCATE},
        {"* * effect=malformed", FAULT_MALFORMED},
        {"* * effect=drip", FAULT_DRIP},
        {"* * effect=expired-token", FAULT_EXPIRED_TOKEN},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct fault_rule *rule CLEANUP(fault_rule_freep) = parsed(cases[i].text);
        assert_int_equal(rule->effect, cases[i].effect);
    }
}

static void
a_wrong_rule_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "fault rule: '' names no path"},
        {"GET", "fault rule: 'GET' names no path"},
        {"GET runs status=500", "fault rule: 'GET runs status=500' names no path"},
        {"GET /x", "fault rule: 'GET /x' has no effect"},
        {"GET /x status=99", "fault rule: '99' is no value for 'status'"},
        {"GET /x status=abc", "fault rule: 'abc' is no value for 'status'"},
        {"GET /x nth=0 status=500", "fault rule: '0' is no value for 'nth'"},
        {"GET /x count=-1 status=500", "fault rule: '-1' is no value for 'count'"},
        {"GET /x effect=boom", "fault rule: 'boom' is no value for 'effect'"},
        {"GET /x effect=status", "fault rule: effect=status needs status=CODE"},
        {"GET /x effect=clock", "fault rule: effect=clock needs offset=DURATION"},
        {"GET /x delay=-1s", "fault rule: '-1s' is no value for 'delay'"},
        {"GET /x delay=1", "fault rule: '1' is no value for 'delay'"},
        {"GET /x delay=s", "fault rule: 's' is no value for 'delay'"},
        {"GET /x header=nothing status=500", "fault rule: 'nothing' is no value for 'header'"},
        {"GET /x colour=red", "fault rule: unknown key 'colour'"},
        {"GET /x status", "fault rule: 'status' is no KEY=VALUE"},
        {"GET /x body=\"a status=500", "fault rule: 'GET /x body=\"a status=500' has a quote left "
                                       "open"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct error *err CLEANUP(error_freep) = sandbox_fault_check(cases[i][0]);
        print_message("%s\n", cases[i][0]);
        assert_non_null(err);
        assert_string_equal(error_message(err), cases[i][1]);
        assert_int_equal(error_kind(err), ERROR_USAGE);
    }
}

static void
a_glob_covers_the_whole_text(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"*", "/a/b", true},
        {"/a", "/a", true},
        {"/a", "/ab", false},
        {"*/dispatches", "/github/repos/a/b/actions/workflows/x/dispatches", true},
        {"*/dispatches", "/dispatches/x", false},
        {"/v2/*/blobs/*", "/v2/a/b/blobs/uploads/", true},
        {"a*b*c", "aXbXbc", true},
        {"a*b*c", "aXcXb", false},
        {"", "", true},
        {"", "a", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(fault_glob(cases[i].pattern, cases[i].text), cases[i].matches);
    }
}

// "." for not fired, the id of the rule otherwise.
static void
assert_fires(struct fault_set *set, const struct fault_subject *subject, const char *expected)
{
    for (; *expected != '\0'; expected++) {
        struct fault_rule *rule CLEANUP(fault_rule_freep) = fault_set_match(set, subject);
        char seen = '.';
        if (rule != NULL) {
            seen = (char)('0' + rule->id);
        }
        assert_int_equal(seen, *expected);
    }
}

static void
a_rule_fires_from_its_nth_match_for_its_count(void **state)
{
    (void)state;
    struct fault_set set = {0};
    struct fault_subject subject = {.method = "GET", .path = "/github/a"};
    struct fault_subject other = {.method = "POST", .path = "/github/a"};
    (void)fault_set_add(&set, parsed("GET /github/* nth=3 count=2 status=502"));
    assert_fires(&set, &subject, "..");
    assert_fires(&set, &other, "...");
    assert_fires(&set, &subject, "11..");
    fault_set_done(&set);
}

static void
the_first_due_rule_fires_and_all_count(void **state)
{
    (void)state;
    struct fault_set set = {0};
    struct fault_subject subject = {.method = "GET", .path = "/x"};
    (void)fault_set_add(&set, parsed("* * nth=2 status=500"));
    (void)fault_set_add(&set, parsed("* * count=all status=503"));
    assert_fires(&set, &subject, "21222");
    assert_true(fault_set_remove(&set, 2));
    assert_false(fault_set_remove(&set, 2));
    assert_fires(&set, &subject, "..");
    struct json *shown CLEANUP(json_freep) = fault_set_json(&set);
    assert_int_equal(json_count(shown), 1);
    assert_int_equal(json_int(json_get(json_at(shown, 0), "matched"), 0), 7);
    assert_int_equal(json_int(json_get(json_at(shown, 0), "fired"), 0), 1);
    fault_set_done(&set);
}

static void
target_and_query_narrow_a_rule(void **state)
{
    (void)state;
    struct fault_set set = {0};
    struct fault_subject put = {
        .method = "POST", .path = "/aws/", .target = "AmazonSSM.PutParameter", .query = ""};
    struct fault_subject get = {
        .method = "POST", .path = "/aws/", .target = "AmazonSSM.GetParameter", .query = ""};
    struct fault_subject bare = {.method = "POST", .path = "/aws/"};
    struct fault_subject page = {.method = "GET", .path = "/github/r", .query = "page=2"};
    (void)fault_set_add(&set, parsed("POST /aws* target=*.PutParameter count=all status=500"));
    (void)fault_set_add(&set, parsed("GET * query=*page=2* count=all status=500"));
    assert_fires(&set, &get, ".");
    assert_fires(&set, &bare, ".");
    assert_fires(&set, &put, "1");
    assert_fires(&set, &page, "2");
    fault_set_done(&set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_has_what_it_says),
        cmocka_unit_test(an_effect_is_implied_by_its_key),
        cmocka_unit_test(a_wrong_rule_is_refused_with_its_reason),
        cmocka_unit_test(a_glob_covers_the_whole_text),
        cmocka_unit_test(a_rule_fires_from_its_nth_match_for_its_count),
        cmocka_unit_test(the_first_due_rule_fires_and_all_count),
        cmocka_unit_test(target_and_query_narrow_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
