// ECR's image scans: who has been scanned, and what the scans say. What they say is set behind the
// API, by POST /_sandbox/aws/scan; without that nothing is ever found.
//
//     {"repository": "shop-web",   of which repository; without it: of all others
//      "status": "COMPLETE",       how a scan ends
//      "delay_ms": 2000,           how long it is IN_PROGRESS
//      "enhanced": true,           scans by itself, takes no requests
//      "findings": [{"name": "CVE-2026-1", "severity": "HIGH"}]}
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { DAY_MS = 24 * 3600 * 1000, NAME_MAX_BYTES = 200 };

static const char *const statuses[] = {"IN_PROGRESS", "COMPLETE", "FAILED", "UNSUPPORTED_IMAGE",
    "ACTIVE", "PENDING", "SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE", "LIMIT_EXCEEDED"};
static const char *const severities[] = {
    "CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED", "UNTRIAGED"};

static bool
is_among(const char *const *words, size_t count, const char *text)
{
    for (size_t i = 0; text != NULL && i < count; i++) {
        if (strcmp(words[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static const struct json *
result_of(const struct aws_exchange *exchange, const struct registry_repo *repo)
{
    const struct json *results = exchange->sandbox->aws->scan_results;
    const struct json *own = json_get(results, repo->name);
    return own != NULL ? own : json_get(results, "*");
}

static bool
is_enhanced(const struct json *result)
{
    return json_bool(json_get(result, "enhanced"), false);
}

/// Digest of the image of the call; NULL and an answer when there is none.
static const char *
scanned_image(struct aws_exchange *exchange, const struct registry_repo *repo)
{
    const struct json *id = json_get(exchange->body, "imageId");
    const char *digest = repo != NULL ? sandbox_ecr_digest(repo, id) : NULL;
    if (repo != NULL && digest == NULL) {
        sandbox_ecr_no_image(exchange, repo, id);
    }
    return digest;
}

static struct json *
answer_of(const struct aws_exchange *exchange, const struct registry_repo *repo, const char *digest,
    const char *status, const char *description)
{
    struct json *body = json_make_object(), *state = json_make_object();
    struct json *id = json_clone(json_get(exchange->body, "imageId"));
    json_set_str(id, "imageDigest", digest);
    json_set_str(state, "status", status);
    json_set_str(state, "description", description);
    json_set_str(body, "registryId", sandbox_aws_account(exchange->sandbox));
    json_set_str(body, "repositoryName", repo->name);
    json_set(body, "imageId", id);
    json_set(body, "imageScanStatus", state);
    return body;
}

void
sandbox_ecr_start_scan(struct aws_exchange *exchange)
{
    struct registry_repo *repo = sandbox_ecr_repository(exchange);
    const char *digest = scanned_image(exchange, repo);
    if (digest == NULL) {
        return;
    }
    int64_t now = sandbox_now(exchange->sandbox);
    int64_t before = json_int(json_get(repo->scans, digest), 0);
    if (is_enhanced(result_of(exchange, repo))) {
        sandbox_aws_json_problem(
            exchange->response, "ValidationException", "This feature is disabled");
    } else if (sandbox_registry_is_index(repo, digest)) {
        sandbox_aws_json_problem(exchange->response, "UnsupportedImageTypeException",
            "The image '%s' has an unsupported type", digest);
    } else if (before != 0 && now - before < DAY_MS) {
        sandbox_aws_json_problem(exchange->response, "LimitExceededException",
            "The scan quota per image has been exceeded. Wait and try again.");
    } else {
        json_set_int(repo->scans, digest, now);
        sandbox_reply_json(
            exchange->response, 200, answer_of(exchange, repo, digest, "IN_PROGRESS", NULL));
    }
}

static struct json *
enhanced_finding(const struct json *finding)
{
    struct json *item = json_make_object(), *details = json_make_object();
    const char *name = json_str(json_get(finding, "name"));
    json_set_str(item, "title", name);
    json_set_str(item, "severity", json_str(json_get(finding, "severity")));
    json_set_str(details, "vulnerabilityId", name);
    json_set(item, "packageVulnerabilityDetails", details);
    return item;
}

static struct json *
findings_of(const struct json *result, int64_t completed_ms)
{
    const struct json *findings = json_get(result, "findings");
    bool enhanced = is_enhanced(result);
    struct json *body = json_make_object(), *counts = json_make_object();
    struct json *list = json_make_array();
    for (size_t i = 0; i < json_count(findings); i++) {
        const struct json *finding = json_at(findings, i);
        const char *severity = json_str(json_get(finding, "severity"));
        json_set_int(counts, severity, json_int(json_get(counts, severity), 0) + 1);
        json_append(list, enhanced ? enhanced_finding(finding) : json_clone(finding));
    }
    json_set_int(body, "imageScanCompletedAt", completed_ms / 1000);
    json_set_int(body, "vulnerabilitySourceUpdatedAt", completed_ms / 1000);
    json_set(body, "findingSeverityCounts", counts);
    json_set(body, enhanced ? "enhancedFindings" : "findings", list);
    return body;
}

void
sandbox_ecr_scan_findings(struct aws_exchange *exchange)
{
    struct registry_repo *repo = sandbox_ecr_repository(exchange);
    const char *digest = scanned_image(exchange, repo);
    if (digest == NULL) {
        return;
    }
    const struct json *result = result_of(exchange, repo);
    bool enhanced = is_enhanced(result);
    int64_t started = enhanced
                          ? json_int(json_path(json_get(repo->manifests, digest), "pushed_ms"), 0)
                          : json_int(json_get(repo->scans, digest), 0);
    if (started == 0) {
        sandbox_aws_json_problem(exchange->response, "ScanNotFoundException",
            "Image scan does not exist for the image with '{imageDigest:'%s'}' in the repository "
            "with name '%s' in the registry with id '%s'",
            digest, repo->name, sandbox_aws_account(exchange->sandbox));
        return;
    }
    int64_t end = started + json_int(json_get(result, "delay_ms"), 0);
    const char *status = json_str(json_get(result, "status"));
    status = sandbox_now(exchange->sandbox) < end ? (enhanced ? "PENDING" : "IN_PROGRESS")
             : status != NULL                     ? status
                                                  : (enhanced ? "ACTIVE" : "COMPLETE");
    struct json *body =
        answer_of(exchange, repo, digest, status, json_str(json_get(result, "description")));
    if (strcmp(status, "COMPLETE") == 0 || strcmp(status, "ACTIVE") == 0) {
        json_set(body, "imageScanFindings", findings_of(result, end));
    }
    sandbox_reply_json(exchange->response, 200, body);
}

// --- behind the API ----------------------------------------------------------------------------

static const char *
problem_of(const struct json *order)
{
    const struct json *status = json_get(order, "status"), *findings = json_get(order, "findings");
    if (order == NULL) {
        return "not a JSON object";
    }
    if (status != NULL && !is_among(statuses, ARRAY_LENGTH(statuses), json_str(status))) {
        return "'status' is none of ECR's";
    }
    if (json_int(json_get(order, "delay_ms"), 0) < 0) {
        return "'delay_ms' is negative";
    }
    if (findings != NULL && !json_is_array(findings)) {
        return "'findings' is no list";
    }
    for (size_t i = 0; i < json_count(findings); i++) {
        const char *name = json_str(json_get(json_at(findings, i), "name"));
        const char *severity = json_str(json_get(json_at(findings, i), "severity"));
        if (name == NULL || strlen(name) > NAME_MAX_BYTES) {
            return "a finding has no 'name'";
        }
        if (!is_among(severities, ARRAY_LENGTH(severities), severity)) {
            return "a finding's 'severity' is none of ECR's";
        }
    }
    return NULL;
}

void
sandbox_ecr_control_scan(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const char *problem = problem_of(order);
    const char *repository = json_str(json_get(order, "repository"));
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    json_set(sandbox->aws->scan_results, repository != NULL ? repository : "*", json_clone(order));
    response->status = 204;
}
