// ECR's scan findings: states, counts that a gate believes, names, and asking for a scan once.
#include "dispatcher/ecr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

#define URL "https://api.ecr.us-east-1.amazonaws.com"
#define TARGET "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921."
#define BODY                                                                                       \
    "{\"registryId\":\"012345678901\",\"repositoryName\":\"app-web\",\"imageId\":{"                \
    "\"imageDigest\":\"sha256:0123456789abcdef\"}}"
#define WHERE "app-web@sha256:0123456789ab…"

static const char *const keys[] = {
    "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret-env", "AWS_REGION=eu-west-1", NULL};
static const char *const to_find[] = {TARGET "DescribeImageScanFindings", NULL};
static const char *const to_start[] = {TARGET "StartImageScan", NULL};
static const struct ecr_image image = {
    {"012345678901", "us-east-1", "app-web"}, "sha256:0123456789abcdef"};

struct scanned {
    struct arena *arena;
    struct ecr_scan scan;
};

static void
release(struct scanned *scanned)
{
    arena_free(scanned->arena);
}

static struct error *
scan_of(int status, const char *reply, struct scanned *out)
{
    const struct script_step steps[] = {{.method = HTTP_POST,
        .url = URL,
        .headers = to_find,
        .body = BODY,
        .status = status,
        .reply = reply}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    out->arena = arena_new();
    aws_fixture_start(aws, keys, steps, 1, NULL);
    struct error *err = ecr_scan_findings(aws->session, &image, out->arena, &out->scan);
    aws_fixture_finish(aws);
    return err;
}

static void
counts_a_basic_scan(void **state)
{
    (void)state;
    struct scanned got CLEANUP(release) = {0};
    assert_success(scan_of(200,
        "{\"imageScanStatus\":{\"status\":\"COMPLETE\",\"description\":\"fine\"},"
        "\"imageScanFindings\":{\"imageScanCompletedAt\":1795290480.5,"
        "\"findingSeverityCounts\":{\"HIGH\":2,\"CRITICAL\":1,\"LOW\":7,\"INFORMATIONAL\":3,"
        "\"UNDEFINED\":4,\"UNTRIAGED\":5},\"findings\":["
        "{\"name\":\"CVE-1\",\"severity\":\"LOW\"},{\"name\":\"CVE-2\",\"severity\":\"HIGH\"},"
        "{\"name\":\"CVE-2\",\"severity\":\"HIGH\"},{\"name\":\"CVE-3\",\"severity\":\"CRITICAL\"},"
        "{\"name\":\"CVE-4\",\"severity\":\"HIGH\"},{\"name\":\"CVE-5\",\"severity\":\"LOW\"},"
        "{\"name\":\"CVE-6\",\"severity\":\"LOW\"}]}}",
        &got));
    static const int64_t counts[] = {1, 2, 0, 7, 3, 9};
    static const char *const names[] = {"CVE-3", "CVE-2", "CVE-4", "CVE-1", "CVE-5"};
    static const enum ecr_severity severities[] = {
        ECR_CRITICAL, ECR_HIGH, ECR_HIGH, ECR_LOW, ECR_LOW};
    assert_int_equal(got.scan.state, ECR_SCAN_DONE);
    assert_string_equal(got.scan.status, "COMPLETE");
    assert_string_equal(got.scan.description, "fine");
    assert_int_equal(got.scan.completed_ms, 1795290480500);
    assert_memory_equal(got.scan.counts, counts, sizeof(counts));
    assert_int_equal(got.scan.worst_count, ECR_FINDINGS_SHOWN);
    for (size_t i = 0; i < ECR_FINDINGS_SHOWN; i++) {
        assert_string_equal(got.scan.worst[i].name, names[i]);
        assert_int_equal(got.scan.worst[i].severity, severities[i]);
    }
}

static void
counts_an_enhanced_scan(void **state)
{
    (void)state;
    struct scanned got CLEANUP(release) = {0};
    assert_success(scan_of(200,
        "{\"imageScanStatus\":{\"status\":\"ACTIVE\"},\"imageScanFindings\":{"
        "\"findingSeverityCounts\":{\"CRITICAL\":1,\"MEDIUM\":1},\"enhancedFindings\":["
        "{\"title\":\"a title\",\"severity\":\"MEDIUM\"},"
        "{\"title\":\"CVE-7 - openssl\",\"severity\":\"CRITICAL\","
        "\"packageVulnerabilityDetails\":{\"vulnerabilityId\":\"CVE-7\"}}]}}",
        &got));
    assert_int_equal(got.scan.state, ECR_SCAN_DONE);
    assert_int_equal(got.scan.counts[ECR_CRITICAL], 1);
    assert_int_equal(got.scan.counts[ECR_MEDIUM], 1);
    assert_int_equal(got.scan.completed_ms, 0);
    assert_int_equal(got.scan.worst_count, 2);
    assert_string_equal(got.scan.worst[0].name, "CVE-7");
    assert_string_equal(got.scan.worst[1].name, "a title");
}

static void
nothing_found_is_zero_only_when_it_is_said(void **state)
{
    (void)state;
#define DONE(rest) "{\"imageScanStatus\":{\"status\":\"COMPLETE\"}" rest "}"
    static const struct {
        const char *reply, *problem; // NULL: no findings
    } rows[] = {
        {DONE(",\"imageScanFindings\":{\"findingSeverityCounts\":{}}"), NULL},
        {DONE(",\"imageScanFindings\":{\"findings\":[]}"), NULL},
        {DONE(",\"imageScanFindings\":{\"enhancedFindings\":[]}"), NULL},
        {DONE(""), "no 'findingSeverityCounts'"},
        {DONE(",\"imageScanFindings\":{}"), "no 'findingSeverityCounts'"},
        {DONE(",\"imageScanFindings\":{\"findings\":[{\"name\":\"CVE-1\"}]}"),
            "no 'findingSeverityCounts'"},
        {DONE(",\"imageScanFindings\":{\"findingSeverityCounts\":{\"HIGH\":-1}}"),
            "'findingSeverityCounts' holds no counts"},
        {DONE(",\"imageScanFindings\":{\"findingSeverityCounts\":{\"HIGH\":\"no\"}}"),
            "'findingSeverityCounts' holds no counts"},
        {DONE(",\"imageScanFindings\":{\"findingSeverityCounts\":{\"HIGH\":9000000000}}"),
            "'findingSeverityCounts' holds no counts"},
        {"{}", "no 'imageScanStatus.status'"},
        {"{\"imageScanStatus\":{\"status\":7}}", "no 'imageScanStatus.status'"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scanned got CLEANUP(release) = {0};
        char *text CLEANUP(xfreep) =
            xasprintf("read the scan findings of '" WHERE "': unusable answer: %s",
                rows[i].problem != NULL ? rows[i].problem : "");
        struct error *err = scan_of(200, rows[i].reply, &got);
        if (rows[i].problem != NULL) {
            assert_failure(err, ERROR_UNAVAILABLE, text, NULL);
            continue;
        }
        static const int64_t none[ECR_SEVERITIES] = {0};
        assert_success(err);
        assert_int_equal(got.scan.state, ECR_SCAN_DONE);
        assert_memory_equal(got.scan.counts, none, sizeof(none));
        assert_int_equal(got.scan.worst_count, 0);
    }
}

static void
knows_every_status(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        enum ecr_scan_state state;
    } rows[] = {
        {"IN_PROGRESS", ECR_SCAN_RUNNING},
        {"PENDING", ECR_SCAN_RUNNING},
        {"FAILED", ECR_SCAN_UNUSABLE},
        {"UNSUPPORTED_IMAGE", ECR_SCAN_UNUSABLE},
        {"SCAN_ELIGIBILITY_EXPIRED", ECR_SCAN_UNUSABLE},
        {"FINDINGS_UNAVAILABLE", ECR_SCAN_UNUSABLE},
        {"LIMIT_EXCEEDED", ECR_SCAN_UNUSABLE},
        {"SOMETHING_NEW", ECR_SCAN_UNUSABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct scanned got CLEANUP(release) = {0};
        char *reply CLEANUP(xfreep) =
            xasprintf("{\"imageScanStatus\":{\"status\":\"%s\",\"description\":\"line\\u001b[1m "
                      "one\\ntwo\"}}",
                rows[i].status);
        assert_success(scan_of(200, reply, &got));
        assert_int_equal(got.scan.state, rows[i].state);
        assert_string_equal(got.scan.status, rows[i].status);
        assert_string_equal(got.scan.description, "line one two");
    }
}

static void
no_scan_is_a_value_and_no_image_an_error(void **state)
{
    (void)state;
    struct scanned none CLEANUP(release) = {0}, lost CLEANUP(release) = {0};
    assert_success(scan_of(400, "{\"__type\":\"ScanNotFoundException\"}", &none));
    assert_int_equal(none.scan.state, ECR_SCAN_NONE);
    assert_null(none.scan.status);
    assert_failure(
        scan_of(400, "{\"__type\":\"ImageNotFoundException\",\"message\":\"gone\"}", &lost),
        ERROR_REFUSED,
        "read the scan findings of '" WHERE "': ecr DescribeImageScanFindings: "
        "ImageNotFoundException: gone (HTTP 400)",
        NULL);
}

static void
a_missing_permission_names_the_action(void **state)
{
    (void)state;
    struct scanned got CLEANUP(release) = {0};
    assert_failure(scan_of(400, "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}", &got),
        ERROR_CREDENTIALS,
        "read the scan findings of '" WHERE "': ecr DescribeImageScanFindings: "
        "AccessDeniedException: no (HTTP 400)",
        "Allow the action 'ecr:DescribeImageScanFindings' to the role in use; 'dispatcher doctor' "
        "shows which one that is.");
}

// One request each: a limit is an answer here and not throttling.
static void
asks_for_a_scan_once(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *reply;
        enum ecr_scan_start meaning;
    } rows[] = {
        {200, "{\"imageScanStatus\":{\"status\":\"IN_PROGRESS\"}}", ECR_START_DONE},
        {400, "{\"__type\":\"LimitExceededException\"}", ECR_START_LIMITED},
        {400, "{\"__type\":\"UnsupportedImageTypeException\"}", ECR_START_UNSUPPORTED},
        {400, "{\"__type\":\"ValidationException\",\"message\":\"This feature is disabled\"}",
            ECR_START_AUTOMATIC},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct script_step steps[] = {{.method = HTTP_POST,
            .url = URL,
            .headers = to_start,
            .body = BODY,
            .status = rows[i].status,
            .reply = rows[i].reply}};
        struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
        enum ecr_scan_start meaning = (enum ecr_scan_start)99;
        aws_fixture_start(aws, keys, steps, 1, NULL);
        assert_success(ecr_start_scan(aws->session, &image, &meaning));
        assert_int_equal(meaning, rows[i].meaning);
        aws_fixture_finish(aws);
    }
}

static void
a_refused_start_is_an_error(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{.method = HTTP_POST,
        .url = URL,
        .headers = to_start,
        .status = 400,
        .reply = "{\"__type\":\"ImageNotFoundException\",\"message\":\"gone\"}"}};
    struct aws_fixture *aws CLEANUP(aws_fixture_freep) = aws_fixture_new();
    enum ecr_scan_start meaning = (enum ecr_scan_start)99;
    aws_fixture_start(aws, keys, steps, 1, NULL);
    assert_failure(ecr_start_scan(aws->session, &image, &meaning), ERROR_REFUSED,
        "start a scan of '" WHERE "': ecr StartImageScan: ImageNotFoundException: gone (HTTP 400)",
        NULL);
    assert_int_equal(meaning, 99);
    aws_fixture_finish(aws);
}

static void
severities_have_names(void **state)
{
    (void)state;
    enum ecr_severity severity = ECR_OTHER;
    assert_true(ecr_severity_parse("critical", &severity));
    assert_int_equal(severity, ECR_CRITICAL);
    assert_true(ecr_severity_parse("LOW", &severity));
    assert_int_equal(severity, ECR_LOW);
    assert_false(ecr_severity_parse("informational", &severity));
    assert_false(ecr_severity_parse("", &severity));
    assert_false(ecr_severity_parse(NULL, &severity));
    assert_int_equal(severity, ECR_LOW);
    assert_string_equal(ecr_severity_name(ECR_HIGH), "high");
    assert_string_equal(ecr_severity_name(ECR_OTHER), "other");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_a_basic_scan),
        cmocka_unit_test(counts_an_enhanced_scan),
        cmocka_unit_test(nothing_found_is_zero_only_when_it_is_said),
        cmocka_unit_test(knows_every_status),
        cmocka_unit_test(no_scan_is_a_value_and_no_image_an_error),
        cmocka_unit_test(a_missing_permission_names_the_action),
        cmocka_unit_test(asks_for_a_scan_once),
        cmocka_unit_test(a_refused_start_is_an_error),
        cmocka_unit_test(severities_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
