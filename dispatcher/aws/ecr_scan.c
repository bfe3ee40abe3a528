// ECR's vulnerability scans: what was found in an image, and asking for a scan where none runs by
// itself (API reference: DescribeImageScanFindings, StartImageScan). Judges nothing.
#include <string.h>
#include <strings.h>

#include "aws_internal.h"
#include "dispatcher/clock.h"
#include "dispatcher/ecr.h"
#include "dispatcher/text.h"

enum { WORD_MAX = 60, DESCRIPTION_MAX = 300, COUNT_MAX = 1000000000 };

static const char *const severity_names[ECR_SEVERITIES] = {
    "critical", "high", "medium", "low", "informational", "other"};

const char *
ecr_severity_name(enum ecr_severity severity)
{
    return severity_names[severity];
}

static enum ecr_severity
severity_of(const char *word)
{
    for (size_t i = 0; word != NULL && i < ECR_OTHER; i++) {
        if (strcasecmp(word, severity_names[i]) == 0) {
            return (enum ecr_severity)i;
        }
    }
    return ECR_OTHER;
}

bool
ecr_severity_parse(const char *name, enum ecr_severity *out)
{
    enum ecr_severity found = severity_of(name);
    if (found > ECR_LOW) {
        return false;
    }
    *out = found;
    return true;
}

static struct json *
body_of(const struct ecr_image *image)
{
    struct json *body = json_make_object(), *id = json_make_object();
    json_set_str(id, "imageDigest", image->digest);
    json_set_str(body, "registryId", image->repository.account);
    json_set_str(body, "repositoryName", image->repository.name);
    json_set(body, "imageId", id);
    return body;
}

static const char *
clean(struct arena *arena, const struct json *text, size_t max)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(8 * DESCRIPTION_MAX);
    if (json_str(text) == NULL) {
        return NULL;
    }
    text_clean(str_of(json_str(text)), max, &out);
    return out.len > 0 ? arena_str(arena, buf_str(&out)) : NULL;
}

static struct error *
unusable(const char *what)
{
    return error_new(ERROR_UNAVAILABLE, "unusable answer: %s", what);
}

static enum ecr_scan_state
state_of(const char *status)
{
    if (cstr_equal(status, "COMPLETE") || cstr_equal(status, "ACTIVE")) {
        return ECR_SCAN_DONE;
    }
    bool running = cstr_equal(status, "IN_PROGRESS") || cstr_equal(status, "PENDING");
    return running ? ECR_SCAN_RUNNING : ECR_SCAN_UNUSABLE;
}

struct counting {
    struct ecr_scan *scan;
    bool odd;
};

static void
add_count(void *ctx, const char *key, const struct json *value)
{
    struct counting *counting = ctx;
    int64_t count = json_int(value, -1);
    if (count < 0 || count > COUNT_MAX) {
        counting->odd = true;
        return;
    }
    counting->scan->counts[severity_of(key)] += count;
}

// A gate believes these: what is not there must not read as zero, unless the findings themselves
// are told and there are none.
static struct error *
read_counts(const struct json *findings, struct ecr_scan *scan)
{
    const struct json *counts = json_get(findings, "findingSeverityCounts");
    const struct json *basic = json_get(findings, "findings");
    const struct json *enhanced = json_get(findings, "enhancedFindings");
    struct counting counting = {.scan = scan};
    if (json_is_object(counts)) {
        json_each(counts, add_count, &counting);
        return counting.odd ? unusable("'findingSeverityCounts' holds no counts") : NULL;
    }
    bool told = json_is_array(basic) || json_is_array(enhanced);
    bool empty = json_count(basic) == 0 && json_count(enhanced) == 0;
    return told && empty ? NULL : unusable("no 'findingSeverityCounts'");
}

/// CVE or the like: `name` in basic scanning, the package's vulnerability or the title in enhanced.
static const char *
name_of(const struct json *finding, struct arena *arena)
{
    static const char *const places[] = {
        "name", "packageVulnerabilityDetails.vulnerabilityId", "title", "findingArn"};
    const char *name = NULL;
    for (size_t i = 0; name == NULL && i < ARRAY_LENGTH(places); i++) {
        name = clean(arena, json_path(finding, places[i]), WORD_MAX);
    }
    return name;
}

// Two packages with one vulnerability are two findings of one name.
static bool
is_listed(const struct ecr_scan *scan, const char *name)
{
    for (size_t i = 0; i < scan->worst_count; i++) {
        if (strcmp(scan->worst[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void
take_findings(
    const struct json *list, enum ecr_severity severity, struct arena *arena, struct ecr_scan *scan)
{
    for (size_t i = 0; i < json_count(list) && scan->worst_count < ECR_FINDINGS_SHOWN; i++) {
        const struct json *finding = json_at(list, i);
        if (severity_of(json_str(json_get(finding, "severity"))) != severity) {
            continue;
        }
        const char *name = name_of(finding, arena);
        if (name != NULL && !is_listed(scan, name)) {
            scan->worst[scan->worst_count++] = (struct ecr_finding){name, severity};
        }
    }
}

static struct error *
read_scan(const struct json *answer, struct arena *arena, struct ecr_scan *scan)
{
    const struct json *findings = json_get(answer, "imageScanFindings");
    scan->status = clean(arena, json_path(answer, "imageScanStatus.status"), WORD_MAX);
    scan->description =
        clean(arena, json_path(answer, "imageScanStatus.description"), DESCRIPTION_MAX);
    if (scan->status == NULL) {
        return unusable("no 'imageScanStatus.status'");
    }
    scan->state = state_of(scan->status);
    if (scan->state != ECR_SCAN_DONE) {
        return NULL;
    }
    double seconds = json_number(json_get(findings, "imageScanCompletedAt"), 0);
    scan->completed_ms = seconds > 0 && seconds < 1e11 ? (int64_t)(seconds * 1000.0) : 0;
    TRY(read_counts(findings, scan));
    for (int i = ECR_CRITICAL; i < ECR_SEVERITIES; i++) {
        take_findings(json_get(findings, "findings"), (enum ecr_severity)i, arena, scan);
        take_findings(json_get(findings, "enhancedFindings"), (enum ecr_severity)i, arena, scan);
    }
    return NULL;
}

struct error *
ecr_scan_findings(struct aws_session *session, const struct ecr_image *image, struct arena *arena,
    struct ecr_scan *out)
{
    struct json *body CLEANUP(json_freep) = body_of(image);
    struct json *answer CLEANUP(json_freep) = NULL;
    struct ecr_scan scan = {.state = ECR_SCAN_NONE};
    const struct aws_call call = {.service = "ecr",
        .target = ECR_TARGET "DescribeImageScanFindings",
        .body = body,
        .read = true,
        .region = image->repository.region};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = read_scan(answer, arena, &scan);
    } else if (aws_has_code(err, "ScanNotFoundException")) {
        error_free(err);
        err = NULL;
    }
    if (err != NULL) {
        return error_wrap(
            err, "read the scan findings of '%s@%.19s…'", image->repository.name, image->digest);
    }
    *out = scan;
    return NULL;
}

struct error *
ecr_start_scan(struct aws_session *session, const struct ecr_image *image, enum ecr_scan_start *out)
{
    static const struct {
        const char *code;
        enum ecr_scan_start meaning;
    } answers[] = {
        {"LimitExceededException", ECR_START_LIMITED},
        {"UnsupportedImageTypeException", ECR_START_UNSUPPORTED},
        // Enhanced scanning: "This feature is disabled".
        {"ValidationException", ECR_START_AUTOMATIC},
    };
    struct json *body CLEANUP(json_freep) = body_of(image);
    struct json *answer CLEANUP(json_freep) = NULL;
    const struct aws_call call = {.service = "ecr",
        .target = ECR_TARGET "StartImageScan",
        .body = body,
        .idempotent = true,
        .final_code = "LimitExceededException",
        .region = image->repository.region};
    struct error *err = aws_call(session, &call, &answer);
    for (size_t i = 0; err != NULL && i < ARRAY_LENGTH(answers); i++) {
        if (aws_has_code(err, answers[i].code)) {
            error_free(err);
            *out = answers[i].meaning;
            return NULL;
        }
    }
    if (err != NULL) {
        return error_wrap(
            err, "start a scan of '%s@%.19s…'", image->repository.name, image->digest);
    }
    *out = ECR_START_DONE;
    return NULL;
}
