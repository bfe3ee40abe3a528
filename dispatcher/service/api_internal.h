// What the resources of /api/v1 share.
#pragma once

#include "request_internal.h"
#include "view_internal.h"

enum {
    API_BODY_MAX = 1024 * 1024,
    API_PAGE = 50,
    API_PAGE_MAX = 200,
    API_REASON_MAX = 1000,
};

// --- api.c ---------------------------------------------------------------------------------------

/// May the caller see (app, env)? A job its own apps, a person everything. `env` NULL: in any.
bool api_may_see(struct request *request, const char *app, const char *env);
/// Which apps are a job's only the specs say; false: they cannot be read, and that was refused.
bool api_has_specs(struct request *request, struct response *response);
/// Apps of a job, of all environments.
void api_own_apps(struct request *request, struct str_list *out);
/// The job of {id}; NULL: refused as what is not there, also where it is not the caller's: neither
/// of an app that it may see nor one that its repository has asked for.
NODISCARD struct error *api_job(
    struct request *request, struct response *response, struct queue_job **out);
/// A text of a body: NULL when it is not there; refused when it is none, or longer than `max`.
bool api_text(struct request *request, struct response *response, const struct json *body,
    const char *key, const char **out);
/// Names that may be in a body, NULL-terminated; refuses others, so that a typing error is none
/// that passes unseen.
bool api_keys(struct request *request, struct response *response, const struct json *body,
    const char *const *known);
/// A positive number of the query, or the fallback; false: refused.
bool api_number(struct request *request, struct response *response, const char *key,
    int64_t fallback, int64_t *out);
/// RFC 3339 or milliseconds of the query; 0: not there.
bool api_time(struct request *request, struct response *response, const char *key, int64_t *out);
/// Answers with the job as it is now.
NODISCARD struct error *api_show_job(
    struct request *request, struct response *response, int status, const char *id);
/// Its two halves: what is shown of the job (view_done), and the answer.
NODISCARD struct error *api_read_job(struct request *request, struct store *store, const char *id,
    struct queue_job **job, struct view *out);
void api_answer_job(
    struct request *request, struct response *response, int status, const struct view *view);
/// An entry of the audit log with who asked; fill the rest.
struct audit_entry api_audit_entry(const struct request *request, const char *kind);
/// Is the caller somebody who works on (app, env): an admin, or in a team that its spec names?
bool api_is_concerned(struct request *request, const char *app, const char *env);

// --- the resources -------------------------------------------------------------------------------

struct error *api_deployments_create(struct request *request, struct response *response);
struct error *api_deployments_list(struct request *request, struct response *response);
struct error *api_deployments_show(struct request *request, struct response *response);
struct error *api_deployments_events(struct request *request, struct response *response);
struct error *api_changes_cancel(struct request *request, struct response *response);
struct error *api_changes_approve(struct request *request, struct response *response);
struct error *api_changes_hurry(struct request *request, struct response *response);
struct error *api_locks_list(struct request *request, struct response *response);
struct error *api_locks_add(struct request *request, struct response *response);
struct error *api_locks_release(struct request *request, struct response *response);
struct error *api_apps_list(struct request *request, struct response *response);
struct error *api_apps_show(struct request *request, struct response *response);
struct error *api_environments_list(struct request *request, struct response *response);
struct error *api_queue_show(struct request *request, struct response *response);
struct error *api_audit_list(struct request *request, struct response *response);
struct error *api_audit_verify(struct request *request, struct response *response);
struct error *api_explain(struct request *request, struct response *response);
struct error *api_push_place(struct request *request, struct response *response);

// --- api_push.c ----------------------------------------------------------------------------------

/// What pushing to these repositories needs, as a session policy. free().
char *api_push_policy(const struct deploy_place *place);

// --- the same for those who ask otherwise: pages' forms, Slack ----------------------------------

/// Each checks who the caller is and answers as the API does.
NODISCARD struct error *api_changes_stop(struct request *request, struct response *response,
    const struct queue_job *job, const char *reason);
NODISCARD struct error *api_changes_record(struct request *request, struct response *response,
    const struct queue_job *job, struct queue_approval *approval);
NODISCARD struct error *api_changes_put_first(struct request *request, struct response *response,
    const struct queue_job *job, const char *reason);
/// Scope, its names, level, reason, starts_ms, expires_ms, on_release and owner are set.
NODISCARD struct error *api_locks_make(
    struct request *request, struct response *response, struct queue_lock *lock);
NODISCARD struct error *api_locks_lift(
    struct request *request, struct response *response, const char *id, int64_t epoch);
