// Where GitHub shows a deployment: deployments and their statuses, commit statuses, check runs,
// pull-request comments (facts/github-notify-credentials.md §5.1). The client is one for the app's
// repository, made with GITHUB_FOR_REPORTS (github.h); its rules hold: errors by kind, nothing
// repeated past its deadline. What creates something (a deployment, its status, a check run, a
// comment) is sent once: its error with request_left says that it may have arrived.
//
// Creating is looked up first by whoever calls: each thing carries a mark of ours (`payload.id`,
// external_id, a comment's first line), and the find_ functions find it again. Texts are the
// caller's, already cleaned and cut.
#pragma once

#include "dispatcher/github.h"

enum {
    GITHUB_STATUS_TEXT_MAX = 140, // characters: description of a deployment's and a commit's status
    GITHUB_OUTPUT_MAX = 65535,    // characters: summary and text of a check run
    GITHUB_COMMENT_MAX = 65536,
    GITHUB_ANNOTATIONS_MAX = 50, // a request
};

struct github_deployment {
    const char *ref; // commit
    const char *task, *environment, *description;
    const char *payload_id; // payload {"id": …, "app": …}: our mark
    const char *app;
    bool is_production, is_transient;
};
/// The newest deployment of (ref, task, environment) with that payload id; *id 0: there is none.
NODISCARD struct error *github_deployment_find(struct github_client *client,
    const struct github_deployment *deployment, struct arena *arena, int64_t *id);
/// auto_merge false, required_contexts []: nothing but the record is made. 409 is ERROR_REFUSED.
NODISCARD struct error *github_deployment_create(struct github_client *client,
    const struct github_deployment *deployment, struct arena *arena, int64_t *id);

struct github_deployment_status {
    const char *state; // queued | pending | in_progress | success | failure | error | inactive
    const char *description, *log_url, *environment_url, *environment;
};
/// The newest one; *out NULL: there is none.
NODISCARD struct error *github_deployment_status_last(struct github_client *client, int64_t id,
    struct arena *arena, struct github_deployment_status **out);
NODISCARD struct error *github_deployment_status_add(
    struct github_client *client, int64_t id, const struct github_deployment_status *status);
/// Adds `inactive` to older deployments of (task, environment) and the same app whose newest status
/// is success (GitHub's own auto_inactive is off: it does not look at the task). At most the 10
/// before `id` are looked at. *count: how many.
NODISCARD struct error *github_deployment_retire(struct github_client *client,
    const struct github_deployment *deployment, int64_t id, struct arena *arena, size_t *count);

struct github_commit_status {
    const char *state; // error | failure | pending | success
    const char *context, *description, *target_url;
};
NODISCARD struct error *github_commit_status_set(
    struct github_client *client, const char *sha, const struct github_commit_status *status);

/// Check runs are for Apps (a job's GITHUB_TOKEN is one). `body` is the request's JSON, with name,
/// head_sha and external_id.
NODISCARD struct error *github_check_find(struct github_client *client, const char *sha,
    const char *name, const char *external_id, struct arena *arena, int64_t *id);
NODISCARD struct error *github_check_create(
    struct github_client *client, const char *body, struct arena *arena, int64_t *id);
/// `body` may be the one it was made with: head_sha is left out. GitHub adds the annotations of
/// every request to those that are there, so one with annotations is sent once.
NODISCARD struct error *github_check_update(
    struct github_client *client, int64_t id, const char *body);

/// Numbers of the pull requests that the commit is of: merged or open, those into the default
/// branch first.
NODISCARD struct error *github_commit_pulls(struct github_client *client, const char *sha,
    struct arena *arena, int64_t **numbers, size_t *count);
/// The first comment whose body starts with `mark`, of a bot or of somebody who belongs to the
/// repository; *id 0: there is none. At most 1,000 are looked at, newest page last.
NODISCARD struct error *github_comment_find(struct github_client *client, int64_t number,
    const char *mark, struct arena *arena, int64_t *id);
NODISCARD struct error *github_comment_create(struct github_client *client, int64_t number,
    const char *body, struct arena *arena, int64_t *id);
/// ERROR_REFUSED with status 404 when it was deleted.
NODISCARD struct error *github_comment_update(
    struct github_client *client, int64_t id, const char *body);
