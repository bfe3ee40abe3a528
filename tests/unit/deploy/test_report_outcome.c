// How a deployment stands, from what its fields say, and what is said of each way.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notice_internal.h"

static enum report_outcome
ended(const char *verb, const char *result, int64_t exit_code, int64_t ending_kind)
{
    const struct deployment d = {
        .verb = verb, .result = result, .exit_code = exit_code, .ending_kind = ending_kind};
    return report_outcome_of(&d);
}

static enum report_outcome
stopped(const char *unfinished, const char *run_status)
{
    const struct deployment d = {
        .verb = "deploy", .unfinished = unfinished, .run_status = run_status};
    return report_outcome_of(&d);
}

static void
test_ends(void **state)
{
    (void)state;
    const int64_t superseded = (int64_t)ERROR_SUPERSEDED + 1;
    const int64_t cancelled = (int64_t)ERROR_CANCELLED + 1;
    assert_int_equal(ended("deploy", "deployed", 0, 0), REPORT_DEPLOYED);
    assert_int_equal(ended("rollout", "deployed", 0, 0), REPORT_DEPLOYED);
    assert_int_equal(ended("rollback", "deployed", 0, 0), REPORT_ROLLED_BACK);
    assert_int_equal(ended("deploy", "failed", 7, 1), REPORT_RESTORED);
    assert_int_equal(ended("rollback", "failed", 7, 1), REPORT_RESTORED);
    assert_int_equal(ended("deploy", "failed", 8, 1), REPORT_NOT_RESTORED);
    assert_int_equal(ended("deploy", "failed", 9, 1), REPORT_UNKNOWN);
    assert_int_equal(ended("deploy", "failed", 6, 1), REPORT_FAILED);
    assert_int_equal(ended("deploy", "failed", 12, 1), REPORT_FAILED);
    assert_int_equal(ended("deploy", "unknown", 9, 0), REPORT_UNKNOWN);
    assert_int_equal(ended("deploy", "cancelled", 11, superseded), REPORT_SUPERSEDED);
    assert_int_equal(ended("deploy", "cancelled", 130, cancelled), REPORT_CANCELLED);
    assert_int_equal(ended("deploy", "cancelled", 7, cancelled), REPORT_CANCELLED);
    // Whatever ended it: somebody has to look.
    assert_int_equal(ended("deploy", "cancelled", 8, superseded), REPORT_NOT_RESTORED);
    assert_int_equal(ended("deploy", "cancelled", 8, cancelled), REPORT_NOT_RESTORED);
}

static void
test_open(void **state)
{
    (void)state;
    assert_int_equal(stopped(NULL, NULL), REPORT_STARTED);
    assert_int_equal(stopped(NULL, "queued"), REPORT_STARTED);
    assert_int_equal(stopped(NULL, "waiting"), REPORT_WAITING);
    assert_int_equal(stopped("triggered", "in_progress"), REPORT_STARTED);
    assert_int_equal(stopped("timeout", "in_progress"), REPORT_TIMED_OUT);
    assert_int_equal(stopped("timeout", "waiting"), REPORT_TIMED_OUT);
    assert_int_equal(stopped("interrupted", "in_progress"), REPORT_INTERRUPTED);
    assert_int_equal(stopped("unknown", NULL), REPORT_UNKNOWN);
}

static void
test_a_target_that_waits(void **state)
{
    (void)state;
    struct deployment_target targets[2] = {{.name = "web"}, {.name = "worker"}};
    const struct deployment d = {.verb = "rollout", .targets = {.items = targets, .count = 2}};
    assert_int_equal(report_outcome_of(&d), REPORT_STARTED);
    targets[1].forward.hook = "hook-1";
    assert_int_equal(report_outcome_of(&d), REPORT_WAITING);
    targets[1].forward.outcome = "succeeded";
    assert_int_equal(report_outcome_of(&d), REPORT_STARTED);
}

static void
test_words(void **state)
{
    (void)state;
    static const struct {
        const char *word, *text, *mark, *color;
        bool final, good, bad;
    } expected[REPORT_OUTCOMES] = {
        {"started", "under way", "🚀", "#36c5f0", false, false, false},
        {"waiting", "waiting for approval", "✋", "#ecb22e", false, false, false},
        {"deployed", "deployed", "✅", "#2eb67d", true, true, false},
        {"rolled-back", "rolled back", "⏪", "#2eb67d", true, true, false},
        {"failed", "failed, nothing was changed", "❌", "#e01e5a", true, false, true},
        {"restored", "failed, previous version restored", "❌", "#e01e5a", true, false, true},
        {"not-restored", "failed, previous version NOT restored", "🚨", "#e01e5a", true, false,
            true},
        {"unknown", "unknown, it may have run", "❓", "#e01e5a", true, false, true},
        {"timed-out", "still running, waiting ended", "⏳", "#ecb22e", true, false, true},
        {"interrupted", "interrupted", "🔌", "#ecb22e", true, false, false},
        {"cancelled", "cancelled", "🚫", "#868686", true, false, false},
        {"superseded", "cancelled or superseded by another run", "⏩", "#868686", true, false,
            false},
    };
    for (int i = 0; i < REPORT_OUTCOMES; i++) {
        enum report_outcome outcome = (enum report_outcome)i;
        assert_string_equal(report_outcome_word(outcome), expected[i].word);
        assert_string_equal(report_outcome_text(outcome), expected[i].text);
        assert_string_equal(report_outcome_mark(outcome), expected[i].mark);
        assert_string_equal(report_outcome_color(outcome), expected[i].color);
        assert_int_equal(report_outcome_is_final(outcome), expected[i].final);
        assert_int_equal(report_outcome_is_good(outcome), expected[i].good);
        assert_int_equal(report_outcome_is_bad(outcome), expected[i].bad);
    }
    assert_null(spec_outcomes[REPORT_OUTCOMES]);
}

static void
test_links(void **state)
{
    (void)state;
    struct deployment d = {0};
    assert_null(report_link(&d));
    d.caller_url = "https://ci.example/1";
    assert_string_equal(report_link(&d), "https://ci.example/1");
    d.run_url = "https://infra.example/2";
    assert_string_equal(report_link(&d), "https://infra.example/2");
}

static void
test_current_step(void **state)
{
    (void)state;
    struct deployment_step steps[4] = {
        {.name = "push web"}, {.name = "write web"}, {.name = "trigger"}, {.name = "follow"}};
    const struct deployment d = {.steps = {.items = steps, .count = 4}};
    assert_null(report_current_step(&d));
    steps[0].state = "skipped";
    assert_null(report_current_step(&d));
    steps[1].state = "done";
    assert_string_equal(report_current_step(&d)->name, "write web");
    steps[2].state = "intent";
    assert_string_equal(report_current_step(&d)->name, "trigger");
    steps[1].state = "undone";
    steps[2].state = "failed";
    assert_string_equal(report_current_step(&d)->name, "trigger");
    steps[2].state = "done";
    steps[3].state = "done";
    assert_string_equal(report_current_step(&d)->name, "follow");
}

static void
test_versions(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deployment d = {.version = "v1.2.3"};
    assert_string_equal(report_version(&d, arena), "v1.2.3");
    d.version = "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0";
    assert_string_equal(report_version(&d, arena), "a1b2c3d4e5f6");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_a_target_that_waits),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_current_step),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests_name("report_outcome", tests, NULL, NULL);
}
