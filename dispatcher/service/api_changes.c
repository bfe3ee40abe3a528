// What can be done to a deployment that was accepted: cancel, approve or reject, hurry. Each is one
// group of the writer, with its entry in the audit log.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum { WHO_MAX = 8 * 1024 };

// A change of one job, on the writer's thread.
struct change {
    const struct queue_job *job;
    const char *by, *reason;
    int64_t now_ms;
    const struct queue_approval *approval;
    struct audit_entry audit;
    bool running; // cancel: it runs, and was told
    struct arena *arena;
    struct queue_job *late; // it has begun or ended since it was looked at: nothing was changed
    struct auth_spending *token; // of a job that asks; NULL: a person does
};

static struct audit_entry
entry_of(struct request *request, const char *kind, const struct queue_job *job, const char *reason)
{
    struct audit_entry entry = api_audit_entry(request, kind);
    entry.app = job->app;
    entry.env = job->env;
    entry.deployment = job->id;
    entry.version = job->version;
    entry.reason = reason;
    return entry;
}

static bool
is_final(struct request *request, struct response *response, const struct queue_job *job)
{
    if (strcmp(job->state, "final") != 0) {
        return false;
    }
    response_refusef(request, response, REASON_STATE, "deployment '%s' has ended (%s)", job->id,
        job->result != NULL ? job->result : "unknown");
    return true;
}

static bool
has_begun(struct request *request, struct response *response, const struct queue_job *job)
{
    if (is_final(request, response, job)) {
        return true;
    }
    if (strcmp(job->state, "queued") == 0) {
        return false;
    }
    response_refusef(request, response, REASON_STATE, "deployment '%s' has begun", job->id);
    return true;
}

// On the writer's thread: a worker may have decided it since it was looked at.
static struct error *
look_again(struct store *store, struct change *change, bool while_queued)
{
    struct queue_job *now = NULL;
    TRY(queue_get(store, change->job->id, change->arena, &now));
    bool over = now != NULL && strcmp(now->state, "final") == 0;
    bool begun = now != NULL && strcmp(now->state, "queued") != 0;
    change->late = (while_queued ? begun : over) ? now : NULL;
    return NULL;
}

static struct error *
apply(struct request *request, struct response *response,
    struct error *(*run)(struct store *store, void *ctx), struct change *change)
{
    struct store_op op = {.run = run, .ctx = change};
    change->arena = request->arena;
    TRY(writer_do(request->service, &op));
    if (change->late != NULL) {
        (void)has_begun(request, response, change->late);
        return NULL;
    }
    workers_wake(request->service);
    streams_wake(request->service, change->job->id);
    return api_show_job(request, response, 202, change->job->id);
}

static bool
refuse_person(
    struct request *request, struct response *response, const char *sentence, const char *who)
{
    const struct refusal refusal = {.code = REASON_NOT_ALLOWED, .sentence = sentence, .who = who};
    response_refuse(request, response, &refusal);
    return false;
}

static const char *
admins_of(struct request *request)
{
    const struct str_list *admins = &service_settings(request->service)->admins;
    return admins->count > 0 ? admins->items[0] : NULL;
}

// --- cancel --------------------------------------------------------------------------------------

static struct error *
cancel(struct store *store, void *ctx)
{
    struct change *change = ctx;
    TRY(look_again(store, change, false));
    if (change->late != NULL) {
        return NULL;
    }
    if (change->token != NULL) {
        TRY(auth_spend_in(store, change->token));
    }
    if (change->token != NULL && change->token->outcome != QUEUE_NEW) {
        return NULL;
    }
    TRY(queue_cancel(
        store, change->job->id, change->by, change->reason, change->now_ms, &change->running));
    return audit_add(store, &change->audit, change->now_ms);
}

static bool
may_cancel(struct request *request, struct response *response, const struct queue_job *job)
{
    const struct caller *caller = &request->caller;
    if (caller->kind == CALLER_JOB) {
        bool own = caller->claims->repository_id == job->repository_id;
        if (!own) {
            response_refusef(request, response, REASON_NOT_AUTHORIZED,
                "another repository than this one asked for deployment '%s'", job->id);
        }
        return own;
    }
    if (cstr_equal(job->requester, caller->person.login) ||
        api_is_concerned(request, job->app, job->env)) {
        return true;
    }
    return refuse_person(request, response,
        arena_printf(request->arena,
            "'%s' neither asked for this deployment nor is in a team of its app",
            caller->person.login),
        job->requester);
}

struct error *
api_changes_stop(struct request *request, struct response *response, const struct queue_job *job,
    const char *reason)
{
    struct auth_spending token = {.outcome = QUEUE_NEW};
    if (!may_cancel(request, response, job)) {
        return NULL;
    }
    bool by_job = auth_spending(request, &token);
    if (by_job) {
        TRY(queue_token_find(request->store, token.jti, token.hash, &token.outcome));
    }
    if (token.outcome == QUEUE_SAME) { // its first answer was lost: this is what came of it
        return api_show_job(request, response, 202, job->id);
    }
    if (!auth_spent(request, response, &token) || is_final(request, response, job)) {
        return NULL;
    }
    struct change change = {
        .token = by_job ? &token : NULL,
        .job = job,
        .by = request->caller.actor,
        .reason = reason,
        .now_ms = request->wall_ms,
        .audit = entry_of(request, "deployment", job, reason),
    };
    change.audit.code = reason_code_name(REASON_CANCELLED);
    TRY(apply(request, response, cancel, &change));
    (void)auth_spent(request, response, &token);
    return NULL;
}

struct error *
api_changes_cancel(struct request *request, struct response *response)
{
    static const char *const keys[] = {"reason", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    struct queue_job *job = NULL;
    const char *reason = NULL;
    TRY(api_job(request, response, &job));
    if (job == NULL || !request_json(request, response, &body) ||
        !api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "reason", &reason)) {
        return NULL;
    }
    return api_changes_stop(request, response, job, reason);
}

// --- approve, reject -----------------------------------------------------------------------------

static struct error *
approve(struct store *store, void *ctx)
{
    struct change *change = ctx;
    TRY(look_again(store, change, true));
    if (change->late != NULL) {
        return NULL;
    }
    TRY(queue_approve(store, change->approval));
    TRY(queue_stir(store, change->job->app, change->job->env, change->now_ms));
    return audit_add(store, &change->audit, change->now_ms);
}

static const char *
approvers_of(struct request *request, const struct settings *settings)
{
    const struct str_list *teams = &settings->approvals.teams;
    struct buf who CLEANUP(buf_done) = BUF_INIT(WHO_MAX);
    buf_puts(&who, teams->count == 0 ? "anybody else of the organisation" : "other members of ");
    for (size_t i = 0; i < teams->count; i++) {
        buf_printf(&who, "%s%s", i > 0 ? " or " : "", teams->items[i]);
    }
    return who.failed ? NULL : arena_dup(request->arena, buf_cstr(&who));
}

// May this person, by the spec as it is now? Fills how long it counts.
static bool
may_approve(struct request *request, struct response *response, const struct queue_job *job,
    int64_t *valid_ms)
{
    const char *why = NULL, *problem = NULL, *why_not = NULL;
    const struct spec_set *set = specs_hold(request->service, &why);
    const struct settings *settings =
        set != NULL ? spec_set_settings(set, job->app, job->env, &problem) : NULL;
    bool may = settings != NULL && policy_may_approve(settings, &request->caller.person,
                                       job->requester, request->arena, &why_not);
    *valid_ms = settings != NULL ? settings->approvals.valid_for_ms : 0;
    why_not = arena_dup(request->arena, why_not);
    const char *who = settings != NULL ? approvers_of(request, settings) : NULL;
    specs_release(set);
    if (settings == NULL) {
        response_refuse_code(
            request, response, set == NULL ? REASON_SPECS_UNAVAILABLE : REASON_SPEC_INVALID);
        return false;
    }
    return may || refuse_person(request, response, why_not, who);
}

// What is approved is what the person saw, not what it has become since.
static struct error *
check_seen(struct request *request, struct response *response, const struct queue_job *job,
    const struct queue_approval *approval)
{
    const char *diff = NULL;
    TRY(begin_diff(request->store, job, request->arena, &diff));
    if (cstr_equal(approval->version, job->version) && cstr_equal(approval->diff, diff)) {
        return NULL;
    }
    const struct refusal refusal = {
        .code = REASON_STATE,
        .sentence = arena_printf(request->arena, "what would be deployed is '%s' (%s) by now",
            job->version != NULL ? job->version : "", diff),
        .hint = "Look at the deployment again, then approve what it shows.",
    };
    response_refuse(request, response, &refusal);
    return NULL;
}

static bool
read_approval(struct request *request, struct response *response, const struct json *body,
    struct queue_approval *out)
{
    static const char *const keys[] = {"version", "diff", "note", "reject", NULL};
    if (!api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "version", &out->version) ||
        !api_text(request, response, body, "diff", &out->diff) ||
        !api_text(request, response, body, "note", &out->note)) {
        return false;
    }
    out->rejected = json_bool(json_get(body, "reject"), false);
    out->by = request->caller.person.login;
    out->by_id = request->caller.person.id;
    out->at_ms = request->wall_ms;
    return true;
}

struct error *
api_changes_record(struct request *request, struct response *response, const struct queue_job *job,
    struct queue_approval *approval)
{
    int64_t valid_ms = 0;
    if (has_begun(request, response, job)) {
        return NULL;
    }
    if (!may_approve(request, response, job, &valid_ms)) {
        return NULL;
    }
    TRY(check_seen(request, response, job, approval));
    if (response->code != NULL) {
        return NULL;
    }
    approval->job = job->id;
    approval->expires_ms = valid_ms > 0 ? request->wall_ms + valid_ms : 0;
    struct change change = {
        .job = job,
        .now_ms = request->wall_ms,
        .approval = approval,
        .audit = entry_of(request, "approval", job, approval->note),
    };
    change.audit.verdict = approval->rejected ? "deny" : "allow";
    return apply(request, response, approve, &change);
}

struct error *
api_changes_approve(struct request *request, struct response *response)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct queue_job *job = NULL;
    struct queue_approval approval = {0};
    TRY(api_job(request, response, &job));
    if (job == NULL || !request_json(request, response, &body) ||
        !read_approval(request, response, body, &approval)) {
        return NULL;
    }
    return api_changes_record(request, response, job, &approval);
}

// --- hurry ---------------------------------------------------------------------------------------

static struct error *
hurry(struct store *store, void *ctx)
{
    struct change *change = ctx;
    TRY(look_again(store, change, true));
    if (change->late != NULL) {
        return NULL;
    }
    TRY(queue_hurry(store, change->job->id));
    TRY(queue_stir(store, change->job->app, change->job->env, change->now_ms));
    return audit_add(store, &change->audit, change->now_ms);
}

struct error *
api_changes_put_first(struct request *request, struct response *response,
    const struct queue_job *job, const char *reason)
{
    if (has_begun(request, response, job)) {
        return NULL;
    }
    if (!request->caller.admin) {
        (void)refuse_person(request, response, "only admins may put a deployment before others",
            admins_of(request));
        return NULL;
    }
    if (reason == NULL || reason[0] == '\0') {
        response_refusef(request, response, REASON_REQUEST, "'reason' is needed");
        return NULL;
    }
    struct change change = {
        .job = job,
        .now_ms = request->wall_ms,
        .audit = entry_of(request, "deployment", job, reason),
    };
    change.audit.detail = "{\"action\":\"hurry\"}";
    return apply(request, response, hurry, &change);
}

struct error *
api_changes_hurry(struct request *request, struct response *response)
{
    static const char *const keys[] = {"reason", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    struct queue_job *job = NULL;
    const char *reason = NULL;
    TRY(api_job(request, response, &job));
    if (job == NULL || !request_json(request, response, &body) ||
        !api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "reason", &reason)) {
        return NULL;
    }
    return api_changes_put_first(request, response, job, reason);
}
