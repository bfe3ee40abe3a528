// The gate on ECR's scan findings: what passes, what blocks, what happens when there is no result,
// and that nothing is written or triggered before it says yes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"

#define ECR "012345678901.dkr.ecr.us-east-1.amazonaws.com"
#define SAYS "deploy 'shop' to 'staging': scan image '" ECR "/shop-staging-web:v2': "
#define DONE(rest)                                                                                 \
    "{\"imageScanStatus\":{\"status\":\"COMPLETE\"},\"imageScanFindings\":{" rest "}}"
#define STATUS(word) "{\"imageScanStatus\":{\"status\":\"" word "\"}}"

static const char config[] = "version: 1\nenvironments: [staging]\naws: {region: us-east-1}\n"
                             "registry: " ECR "\ncreate_repository: true\n"
                             "workflow:\n  repo: octo/infra\n  file: deploy-app.yaml\n"
                             "  inputs: {application: \"{app}\", environment: \"{env}\"}\n";
static const char clean[] =
    DONE("\"imageScanCompletedAt\":1795290480,\"findingSeverityCounts\":{\"MEDIUM\":2,\"LOW\":7}");
static const char bad[] = DONE("\"findingSeverityCounts\":{\"CRITICAL\":1,\"HIGH\":2,\"LOW\":7},"
                               "\"findings\":[{\"name\":\"CVE-1\",\"severity\":\"LOW\"},"
                               "{\"name\":\"CVE-2\",\"severity\":\"HIGH\"},"
                               "{\"name\":\"CVE-3\",\"severity\":\"CRITICAL\"}]");

static struct story *
story_with_gate(const char *gate, const char *const *scans)
{
    struct story *s = story_new();
    s->config = config;
    s->app_spec = arena_printf(s->arena, "%sdeploy: {image_scan: {%s}}\n", s->app_spec, gate);
    s->world->scans = scans;
    return s;
}

static void
expect_deployed(const struct story *s, const char *before)
{
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging'");
    story_expect_effects(
        s, arena_printf(s->arena,
               "%sput " STORY_PARAMETER "=v2\npost main application=shop environment=staging "
               "distinct_id=%s\nlabel " STORY_PARAMETER ":2 deployed\n",
               before, s->d->dispatch_id));
}

static const struct deployment_step *
step_of(const struct story *s, size_t index)
{
    return (struct deployment_step *)s->d->steps.items + index;
}

static void
test_passes(void **state)
{
    (void)state;
    static const char *const scans[] = {STATUS("IN_PROGRESS"), STATUS("PENDING"), clean, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    story_deploy(s);
    expect_deployed(s, "");
    assert_int_equal(s->world->scan_looks, 3);
    assert_string_equal(step_of(s, 1)->kind, "scan");
    assert_string_equal(step_of(s, 1)->reason, "'image_scan' blocks 'high' and above");
    assert_string_equal(step_of(s, 1)->state, "done");
    assert_string_equal(step_of(s, 1)->note, "2 medium, 7 low, scanned 2026-11-21");
    assert_string_equal(step_of(s, 2)->kind, "write");
}

static void
test_nothing_found(void **state)
{
    (void)state;
    static const char *const scans[] = {DONE("\"findingSeverityCounts\":{}"), NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: low", scans);
    story_deploy(s);
    expect_deployed(s, "");
    assert_string_equal(step_of(s, 1)->note, "no findings");
}

static void
test_no_gate(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = config;
    story_deploy(s);
    expect_deployed(s, "");
    assert_int_equal(s->world->scan_looks, 0);
    assert_string_equal(step_of(s, 1)->kind, "write");
}

static void
test_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *gate, *text;
    } rows[] = {
        {"block: critical", "1 critical finding, 'critical' is blocked: CVE-3 (critical)"},
        {"block: high, on_missing: warn",
            "1 critical, 2 high findings, 'high' and above are blocked: CVE-3 (critical), "
            "CVE-2 (high)"},
        {"block: medium",
            "1 critical, 2 high findings, 'medium' and above are blocked: CVE-3 (critical), "
            "CVE-2 (high)"},
        {"block: low", "1 critical, 2 high, 7 low findings, 'low' and above are blocked: CVE-3 "
                       "(critical), CVE-2 (high), CVE-1 (low)"},
    };
    static const char *const scans[] = {bad, NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct story *s CLEANUP(story_freep) = story_with_gate(rows[i].gate, scans);
        story_deploy(s);
        story_expect(s, 5, "failed", arena_printf(s->arena, SAYS "%s", rows[i].text));
        story_expect_effects(s, "");
        assert_string_equal(s->d->hint,
            "Nothing was written or triggered. Mend the image, or see all findings with: aws ecr "
            "describe-image-scan-findings --region us-east-1 --repository-name shop-staging-web "
            "--image-id imageDigest=" STORY_DIGEST);
        assert_string_equal(step_of(s, 1)->state, "failed");
        assert_null(step_of(s, 2)->state);
    }
}

// What was pushed stays, as an image that nothing points at.
static void
test_pushed_image_is_scanned(void **state)
{
    (void)state;
    static const char *const scans[] = {"", STATUS("IN_PROGRESS"), bad, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    const char **images = arena_array(s->arena, 1, sizeof(*images));
    images[0] = story_layout(s);
    s->request.images = (struct str_list){images, 1};
    s->world->digest = NULL;
    s->world->no_repository = true;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 5);
    story_expect_effects(
        s, arena_printf(
               s->arena, "create repository that scans\npush %s\nstart scan\n", s->world->pushed));
}

static void
test_asks_where_none_runs(void **state)
{
    (void)state;
    static const char *const scans[] = {"", "", STATUS("IN_PROGRESS"), clean, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    story_deploy(s);
    expect_deployed(s, "start scan\n");
    assert_int_equal(s->world->scan_looks, 4);
}

static void
test_start_is_refused_because_one_is_there(void **state)
{
    (void)state;
    static const char *const scans[] = {"", clean, NULL};
    static const char *const codes[] = {"LimitExceededException", "ValidationException"};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
        s->world->start_scan = codes[i];
        story_deploy(s);
        expect_deployed(s, "");
    }
}

static void
test_failed_scan_is_tried_again(void **state)
{
    (void)state;
    static const char *const scans[] = {STATUS("FAILED"), STATUS("IN_PROGRESS"), clean, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    story_deploy(s);
    expect_deployed(s, "start scan\n");
}

// --- no result ---------------------------------------------------------------------------------

static const char *const never_ends[] = {STATUS("IN_PROGRESS"), NULL};
static const char *const no_scan[] = {"", NULL};
static const char *const failed[] = {
    "{\"imageScanStatus\":{\"status\":\"FAILED\",\"description\":\"broken layer\"}}", NULL};
static const char *const unsupported[] = {STATUS("UNSUPPORTED_IMAGE"), NULL};
static const char *const expired[] = {STATUS("SCAN_ELIGIBILITY_EXPIRED"), NULL};
static const char *const unreadable[] = {STATUS("COMPLETE"), NULL};
static const struct {
    const char *const *scans;
    const char *start_scan, *why;
} missing[] = {
    {never_ends, NULL, "it is still IN_PROGRESS after 30s"},
    {no_scan, "LimitExceededException", "there is no scan after 30s"},
    {no_scan, "UnsupportedImageTypeException",
        "ECR cannot scan an image of this type (its basic scans take no index of several "
        "platforms)"},
    {failed, "LimitExceededException", "the scan is FAILED: broken layer"},
    {unsupported, NULL, "the scan is UNSUPPORTED_IMAGE"},
    {expired, NULL, "the scan is SCAN_ELIGIBILITY_EXPIRED"},
    {unreadable, NULL,
        "it cannot be read (read the scan findings of 'shop-staging-web@sha256:6c3c624b58db…': "
        "unusable answer: no 'findingSeverityCounts') after 30s"},
};

static void
test_without_result_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(missing); i++) {
        struct story *s CLEANUP(story_freep) =
            story_with_gate("block: high, wait: 30s", missing[i].scans);
        s->world->start_scan = missing[i].start_scan;
        story_deploy(s);
        story_expect(
            s, 12, "failed", arena_printf(s->arena, SAYS "no scan result: %s", missing[i].why));
        assert_string_equal(s->d->hint,
            "Nothing was written or triggered. 'image_scan: {on_missing: warn}' deploys without a "
            "result.");
        story_expect_effects(s, "");
    }
}

static void
test_without_result_warns(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(missing); i++) {
        struct story *s CLEANUP(story_freep) =
            story_with_gate("block: high, wait: 30s, on_missing: warn", missing[i].scans);
        s->world->start_scan = missing[i].start_scan;
        story_deploy(s);
        expect_deployed(s, "");
        assert_string_equal(
            step_of(s, 1)->note, arena_printf(s->arena, "no result: %s", missing[i].why));
        assert_true(s->d->notes.count > 0);
        assert_string_equal(s->d->notes.items[s->d->notes.count - 1],
            arena_printf(s->arena, "the image of 'web' is deployed without a scan result: %s",
                missing[i].why));
    }
}

// A permission that is missing is no missing result: nobody finds out what to allow otherwise.
static void
test_not_allowed_to_look(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ecr:DescribeImageScanFindings *",
            .kind = FAULT_STATUS,
            .status = 400,
            .times = 99,
            .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) =
        story_with_gate("block: high, on_missing: warn", never_ends);
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 4);
    assert_string_equal(s->d->hint,
        "Allow the action 'ecr:DescribeImageScanFindings' to the role in use; 'dispatcher doctor' "
        "shows which one that is.");
    story_expect_effects(s, "");
}

static void
test_an_outage_is_waited_out(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ecr:DescribeImageScanFindings *",
                                                    .kind = FAULT_STATUS,
                                                    .status = 503,
                                                    .times = 8},
        {0}};
    static const char *const scans[] = {clean, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    s->world->faults = faults;
    story_deploy(s);
    expect_deployed(s, "");
}

// --- interrupted, killed, several --------------------------------------------------------------

static void
test_interrupted_while_waiting(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "ecr:DescribeImageScanFindings *", .from = 3, .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", never_ends);
    s->world->faults = faults;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 143);
    assert_string_equal(s->d->result, "cancelled");
    story_expect_effects(s, "");
}

static void
test_killed_anywhere(void **state)
{
    (void)state;
    static const char *const scans[] = {"", STATUS("IN_PROGRESS"), clean, NULL};
    struct story *s CLEANUP(story_freep) = story_with_gate("block: high", scans);
    for (int64_t at = 1; at < 500; at++) {
        story_restart(s);
        s->world->scans = scans;
        if (!story_deploy_and_die(s, at)) {
            return;
        }
        if (!story_has_journal(s)) {
            continue;
        }
        story_resume(s);
        if (cstr_equal(s->d->result, "unknown")) { // the intent to dispatch was all it left
            assert_int_equal(s->world->posts, 0);
            continue;
        }
        story_expect(s, 0, "deployed", NULL);
        assert_int_equal(s->world->posts, 1);
    }
    fail_msg("it never came to its end");
}

// Each service has its own scan, its own time and its own request for one.
static void
test_two_services(void **state)
{
    (void)state;
    static const char *const scans[] = {"", clean, "", bad, NULL};
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = config;
    s->app_spec =
        arena_printf(s->arena, "%sdeploy: {image_scan: {block: critical}}\n", story_spec_two);
    s->world->scans = scans;
    story_deploy(s);
    assert_int_equal(s->d->exit_code, 5);
    story_expect_effects(s, "start scan\nstart scan\n");
    assert_string_equal(step_of(s, 2)->name, "scan web");
    assert_string_equal(step_of(s, 2)->state, "done");
    assert_string_equal(step_of(s, 3)->name, "scan worker");
    assert_string_equal(step_of(s, 3)->state, "failed");
}

static void
test_another_registry_is_refused(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_new();
    s->config = "version: 1\nenvironments: [staging]\naws: {region: us-east-1}\n"
                "registry: registry.example.org\n"
                "workflow: {repo: octo/infra, file: deploy-app.yaml, "
                "inputs: {application: \"{app}\", environment: \"{env}\"}}\n";
    s->app_spec = arena_printf(s->arena, "%sdeploy: {image_scan: {block: high}}\n", s->app_spec);
    story_deploy(s);
    story_expect_refused(s, ERROR_SPEC,
        "'image_scan' needs a registry of Amazon ECR, 'registry.example.org' is none",
        "Remove 'deploy.image_scan' for 'staging', or set 'registry' to "
        "ACCOUNT.dkr.ecr.REGION.amazonaws.com.");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_nothing_found),
        cmocka_unit_test(test_no_gate),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_pushed_image_is_scanned),
        cmocka_unit_test(test_asks_where_none_runs),
        cmocka_unit_test(test_start_is_refused_because_one_is_there),
        cmocka_unit_test(test_failed_scan_is_tried_again),
        cmocka_unit_test(test_without_result_fails),
        cmocka_unit_test(test_without_result_warns),
        cmocka_unit_test(test_not_allowed_to_look),
        cmocka_unit_test(test_an_outage_is_waited_out),
        cmocka_unit_test(test_interrupted_while_waiting),
        cmocka_unit_test(test_killed_anywhere),
        cmocka_unit_test(test_two_services),
        cmocka_unit_test(test_another_registry_is_refused),
    };
    return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
