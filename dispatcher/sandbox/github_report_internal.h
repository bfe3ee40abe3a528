// Reports on the sandbox's GitHub (facts/github-notify-credentials.md §5.1): what was said about a
// commit, per repository and in memory. Records are JSON as GitHub spells them, but without
// addresses; people are logins. github_report_shape.c makes answers of them.
#pragma once

#include "github_internal.h"

struct report_list {
    struct json **items; // oldest first
    size_t count;
};
struct github_reports {
    struct report_list deployments, deployment_statuses, commit_statuses, check_runs, comments,
        pulls;
};

// One request to these endpoints.
struct report_call {
    struct sandbox *sandbox;
    struct github_token *token;
    struct github_repo *repo;
    struct github_reports *reports;
    struct sandbox_request *request;
    struct sandbox_response *response;
    const char *const *parts; // below the repository
    const char *base;
    const struct json *body; // of POST and PATCH
    const char *sha;         // of lists of a commit: what the ref in the path stands for
    int64_t now;
};

// --- github_report.c -----------------------------------------------------------------------------

struct github_reports *sandbox_reports_of(struct github_repo *repo);
/// Takes `record`.
void sandbox_report_add(struct report_list *list, struct json *record);
void sandbox_report_remove(struct report_list *list, const struct json *record);
struct json *sandbox_report_find(const struct report_list *list, int64_t id);
/// A record with a fresh id, its maker's login under `by` and both times set to now.
struct json *sandbox_report_new(const struct report_call *call, const char *by);
/// The number in parts[index]; 0 when it is none.
int64_t sandbox_report_number(const struct report_call *call, size_t index);
const char *sandbox_report_actor(const struct github_token *token);
bool sandbox_report_is_sha(const char *text);
/// The commit of parts[1], 40 hex digits or a branch or tag; NULL when it has answered with 422.
const char *sandbox_report_sha(const struct report_call *call);

struct report_view {
    const struct report_list *list;
    const char *key; // of the array in the answer, beside total_count; NULL: it is the answer
    bool oldest_first;
    bool (*fits)(const struct report_call *call, const struct json *record); // NULL: all
    struct json *(*shape)(const struct report_call *call, const struct json *record);
};
/// Answers with the page that is asked for.
void sandbox_report_list(const struct report_call *call, const struct report_view *view);
/// The same for what is said about the commit of parts[1]; `fits` finds it in call->sha.
void sandbox_report_list_of_commit(const struct report_call *call, const struct report_view *view);

// --- github_report_check.c: is a body what GitHub takes? -----------------------------------------

enum report_type { REPORT_TEXT, REPORT_FLAG, REPORT_URL, REPORT_TIME, REPORT_NUMBER };

struct report_rule {
    const char *key;
    enum report_type type;
    size_t max;               // characters; 0: any
    const char *const *words; // or one of these
    bool required, nullable;
};
/// Collects what is wrong; NULL items: nothing yet.
struct report_flaws {
    const char *resource; // "DeploymentStatus"
    struct json *errors;
};
void sandbox_flaw_add(
    struct report_flaws *flaws, const char *field, const char *code, const char *message);
void sandbox_flaws_check(struct report_flaws *flaws, const struct json *object,
    const struct report_rule *rules, size_t count);
/// Answers 422 and returns true when there are any; frees them.
bool sandbox_flaws_answer(struct report_flaws *flaws, struct sandbox_response *response);
/// Characters, not bytes.
size_t sandbox_report_length(const char *text);

// --- github_report_shape.c -----------------------------------------------------------------------

struct json *sandbox_shape_deployment(const struct report_call *call, const struct json *record);
struct json *sandbox_shape_deployment_status(
    const struct report_call *call, const struct json *record);
struct json *sandbox_shape_commit_status(const struct report_call *call, const struct json *record);
struct json *sandbox_shape_check_run(const struct report_call *call, const struct json *record);
struct json *sandbox_shape_annotation(
    const struct report_call *call, const struct json *record, const struct json *annotation);
struct json *sandbox_shape_comment(const struct report_call *call, const struct json *record);
struct json *sandbox_shape_pull(const struct report_call *call, const struct json *record);

// --- the endpoints: github_deployments.c, github_statuses.c, github_checks.c, github_comments.c

void sandbox_deployment_create(const struct report_call *call);
void sandbox_deployment_list(const struct report_call *call);
void sandbox_deployment_show(const struct report_call *call);
void sandbox_deployment_status_create(const struct report_call *call);
void sandbox_deployment_status_list(const struct report_call *call);
void sandbox_deployment_status_show(const struct report_call *call);

void sandbox_commit_status_create(const struct report_call *call);
void sandbox_commit_status_list(const struct report_call *call);
void sandbox_commit_status_combined(const struct report_call *call);
/// The newest of a context (any case), or NULL.
const struct json *sandbox_commit_status_last(
    const struct github_reports *reports, const char *sha, const char *context);

void sandbox_check_run_create(const struct report_call *call);
void sandbox_check_run_update(const struct report_call *call);
void sandbox_check_run_show(const struct report_call *call);
void sandbox_check_run_list(const struct report_call *call);
void sandbox_check_run_annotations(const struct report_call *call);

void sandbox_comment_create(const struct report_call *call);
void sandbox_comment_list(const struct report_call *call);
void sandbox_comment_show(const struct report_call *call);
void sandbox_comment_update(const struct report_call *call);
void sandbox_comment_delete(const struct report_call *call);
void sandbox_commit_pulls(const struct report_call *call);
