// Elastic Container Registry's control API: login token, what is there, create, scan findings.
//
//     struct ecr_image image = {{account, region, "shop-web"}, digest};
//     TRY(ecr_scan_findings(aws, &image, arena, &scan));
//     if (scan.state == ECR_SCAN_DONE && scan.counts[ECR_CRITICAL] > 0) ...
//
// Names are borrowed for the call; what comes back lives in the arena that was given, texts of the
// service made fit for one line. Errors are aws_call's, with what was asked in front; absence is a
// value where a function says so. Thread rule as aws.h.
#pragma once

#include "dispatcher/aws.h"

struct ecr_repository {
    const char *account; // registryId; NULL: the credentials' own
    const char *region;  // NULL: the session's
    const char *name;
};

struct ecr_login {
    char *user;
    struct secret *password;
    int64_t expires_ms; // wall
};
void ecr_login_done(struct ecr_login *login);
/// GetAuthorizationToken. `registry` is the host: "012345678901.dkr.ecr.us-east-1.amazonaws.com".
NODISCARD struct error *ecr_login(
    struct aws_session *session, const char *registry, struct ecr_login *out);
/// Does the host look like a private ECR registry? account and region (may be NULL) into the arena.
bool ecr_host_parse(
    const char *host, struct arena *arena, const char **account, const char **region);
/// DescribeImages: digest of repository:tag, NULL when tag or repository is not there
/// (`repository_found` tells, may be NULL).
NODISCARD struct error *ecr_image_digest(struct aws_session *session,
    const struct ecr_repository *repository, const char *tag, struct arena *arena,
    const char **digest, bool *repository_found);

struct ecr_create_options {
    bool scan_on_push; // imageScanningConfiguration; false: the registry's own default
};
/// CreateRepository: created, or there already (then as it is). Tags stay as changeable as the
/// registry's default says.
NODISCARD struct error *ecr_create_repository(struct aws_session *session,
    const struct ecr_repository *repository, const struct ecr_create_options *options);

// --- scans (ecr_scan.c) ------------------------------------------------------------------------

// Worst first. "UNDEFINED", "UNTRIAGED" and words not known yet are ECR_OTHER.
enum ecr_severity {
    ECR_CRITICAL,
    ECR_HIGH,
    ECR_MEDIUM,
    ECR_LOW,
    ECR_INFORMATIONAL,
    ECR_OTHER,
    ECR_SEVERITIES
};
/// "critical", "high", …
const char *ecr_severity_name(enum ecr_severity severity);
/// In any case, "critical" to "low"; false for any other word.
bool ecr_severity_parse(const char *name, enum ecr_severity *out);

enum ecr_scan_state {
    ECR_SCAN_NONE,     // nobody has asked for one (ScanNotFoundException)
    ECR_SCAN_RUNNING,  // IN_PROGRESS, PENDING
    ECR_SCAN_DONE,     // COMPLETE (basic), ACTIVE (enhanced): counts are there
    ECR_SCAN_UNUSABLE, // FAILED, UNSUPPORTED_IMAGE, SCAN_ELIGIBILITY_EXPIRED, …: no counts will
                       // come
};

enum { ECR_FINDINGS_SHOWN = 5 };

struct ecr_image {
    struct ecr_repository repository;
    const char *digest;
};

struct ecr_finding {
    const char *name; // "CVE-2026-1234"
    enum ecr_severity severity;
};

struct ecr_scan {
    enum ecr_scan_state state;
    const char *status, *description; // as ECR says; NULL when it says nothing
    int64_t counts[ECR_SEVERITIES];
    int64_t completed_ms; // wall; 0: not said
    // The worst of those that the first page names; the counts are of all.
    struct ecr_finding worst[ECR_FINDINGS_SHOWN];
    size_t worst_count;
};
/// DescribeImageScanFindings, basic and enhanced scanning alike.
NODISCARD struct error *ecr_scan_findings(struct aws_session *session,
    const struct ecr_image *image, struct arena *arena, struct ecr_scan *out);

enum ecr_scan_start {
    ECR_START_DONE,        // it runs
    ECR_START_LIMITED,     // there is one already, or the one that a day allows was taken
    ECR_START_UNSUPPORTED, // ECR cannot scan such an image
    ECR_START_AUTOMATIC, // the registry does not take requests: enhanced scanning starts by itself
};
/// StartImageScan; asked for once only, its refusals above are answers.
NODISCARD struct error *ecr_start_scan(
    struct aws_session *session, const struct ecr_image *image, enum ecr_scan_start *out);
