// `/deployments/{id}`: the job, the journal's document, approvals and audit entries of one
// deployment, and what this reader may do about it.
#include <string.h>

#include "ask_internal.h"
#include "dispatcher/memory.h"
#include "page_internal.h"

enum { AUDIT_SHOWN = 20 };

static const char *
sentence_of(const struct view *view)
{
    if (view->on_release == NULL || view->job->code == NULL) {
        return NULL;
    }
    bool approval = cstr_equal(view->job->code, reason_code_name(REASON_APPROVAL));
    return strcmp(view->on_release, "will be dropped") == 0 ? "When that is over, it is dropped."
           : approval                                       ? "Once it is approved, it runs."
                                                            : "When that is over, it runs.";
}

const char *
page_drift(const struct request *request, const struct deployment *document, const char *runs)
{
    for (size_t i = 0; i < document->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(document, i);
        bool left = service->written_version > 0 && !cstr_equal(service->restore, "restored") &&
                    !cstr_equal(service->restore, "superseded");
        if (left && document->result != NULL && !cstr_equal(document->result, "deployed")) {
            return arena_printf(request->arena,
                "The parameter of '%s' says %s, which was not deployed; %s is what was.",
                service->name, service->says != NULL ? service->says : document->version,
                runs != NULL ? runs : "nothing");
        }
    }
    return NULL;
}

// --- who goes before it --------------------------------------------------------------------------

static struct error *
read_lane(struct request *request, const struct queue_job *job, struct web_deployment *out)
{
    struct queue_job *running = NULL;
    size_t count = 0;
    const struct queue_filter filter = {
        .app = job->app, .env = job->env, .state = "running", .limit = 1};
    if (strcmp(job->state, "queued") != 0) {
        return NULL;
    }
    TRY(queue_list(request->store, &filter, request->arena, &running, &count));
    if (count > 0) {
        out->behind_id = running[0].id;
        out->behind_number = running[0].number;
    }
    return NULL;
}

// What it takes the place of: the release before its own, or what is there now.
static struct error *
read_before(struct request *request, const struct queue_job *job, struct queue_release **before,
    bool *current)
{
    struct queue_release *releases = NULL;
    size_t count = 0, at = 0;
    *before = NULL;
    *current = false;
    TRY(queue_releases(
        request->store, job->app, job->env, API_PAGE, request->arena, &releases, &count));
    while (at < count && !cstr_equal(releases[at].deployment, job->id)) {
        at++;
    }
    if (at < count) {
        *current = at == 0;
        *before = at + 1 < count ? &releases[at + 1] : NULL;
    } else {
        *before = count > 0 ? &releases[0] : NULL;
    }
    return NULL;
}

// --- what was asked ------------------------------------------------------------------------------

static void
read_ask(
    struct page *page, const struct queue_job *job, struct ask *ask, struct web_deployment *out)
{
    struct error *err CLEANUP(error_freep) = ask_read(job->request, page->request->arena, ask);
    if (err != NULL) {
        *ask = (struct ask){0};
        return;
    }
    out->rule = ask->rule;
    out->spec_commit = ask->specs;
    const struct spec_document *document =
        page->set != NULL ? spec_set_app(page->set, job->app) : NULL;
    out->spec_url = document != NULL ? page_spec_url(page, document->path, 0) : NULL;
}

static struct error *
read_audit(struct request *request, const struct queue_job *job, struct web_deployment *out)
{
    struct audit_entry *entries = NULL;
    const struct audit_filter filter = {
        .deployment = job->id, .limit = AUDIT_SHOWN, .oldest_first = true};
    TRY(audit_list(request->store, &filter, request->arena, &entries, &out->audit_count));
    out->audit = entries;
    return NULL;
}

// --- what may be done ----------------------------------------------------------------------------

static void
judge(const struct page *page, const struct queue_job *job, const struct queue_release *before,
    bool current, struct web_deployment *out)
{
    struct page_actions actions;
    page_job_actions(page, job, &actions);
    out->cancel = actions.cancel;
    out->approve = actions.approve;
    out->hurry = actions.hurry;
    if (strcmp(job->state, "final") != 0) {
        return;
    }
    const struct settings *settings = page_settings(page, job->app, job->env);
    out->rollback_locks = settings != NULL && settings->rollback_lock;
    bool good = cstr_equal(job->result, "deployed");
    if (good && current && before != NULL) {
        out->roll_back.possible = true;
    } else if (good && current) {
        out->roll_back.why_not = "Nothing was deployed here before it.";
    } else if (good) {
        out->roll_back.why_not = "A newer deployment took its place: roll back on the app's page.";
    }
    if (!good && job->version != NULL) {
        out->retry.possible = strcmp(job->verb, "deploy") == 0 || strcmp(job->verb, "promote") == 0;
    }
}

static enum web_state
state_of(const struct queue_job *job)
{
    if (strcmp(job->state, "running") == 0) {
        return WEB_STATE_RUNNING;
    }
    if (strcmp(job->state, "queued") == 0) {
        return WEB_STATE_WAITING;
    }
    bool fine = cstr_equal(job->result, "deployed") || cstr_equal(job->result, "cancelled") ||
                cstr_equal(job->result, "superseded");
    return fine ? WEB_STATE_GOOD : WEB_STATE_FAILED;
}

static struct error *
fill(struct page *page, const struct queue_job *job, const struct view *view,
    struct web_deployment *out)
{
    struct request *request = page->request;
    struct queue_release *before = NULL;
    struct deployment *document = NULL;
    struct ask ask = {0};
    bool current = false;
    *out = (struct web_deployment){.job = job,
        .approvals = view->approvals,
        .approval_count = view->approval_count,
        .approvals_needed = view->approvals_needed,
        .position = view->position,
        .eta_ms = view->eta_ms,
        .usual_ms = view->usual_ms,
        .diff = view->diff,
        .warnings = view->warnings,
        .on_release = sentence_of(view)};
    TRY(read_lane(request, job, out));
    TRY(read_before(request, job, &before, &current));
    TRY(read_audit(request, job, out));
    if (job->started_ms > 0) {
        TRY(page_document(request, job->id, &document));
    }
    read_ask(page, job, &ask, out);
    out->deployment = document;
    const char *sha = document != NULL && document->sha != NULL ? document->sha : ask.sha;
    out->from = document != NULL && document->replaces != NULL ? document->replaces
                : before != NULL                               ? before->version
                                                               : NULL;
    out->compare_url =
        page_compare(request, ask.repository != NULL ? ask.repository : job->repository,
            before != NULL ? before->sha : NULL, sha);
    judge(page, job, before, current, out);
    return NULL;
}

static struct error *
show(struct page *page, struct response *response, const struct queue_job *job)
{
    struct request *request = page->request;
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct web_deployment shown = {0};
    struct view view = {0};
    TRY(view_read(request->service, request->store, job, request->arena, &view));
    struct error *err = fill(page, view.job, &view, &shown);
    if (err == NULL) {
        page->frame.state = state_of(job);
        if (strcmp(job->state, "final") != 0) {
            page->frame.stream =
                arena_printf(request->arena, "/api/v1/deployments/%s/events", job->id);
        }
        web_deployment_page(&page->frame, &shown, &html);
        page_send(request, response, page, &html);
    }
    view_done(&view);
    return err;
}

struct error *
page_deployment(struct request *request, struct response *response)
{
    struct page page = {0};
    struct queue_job *job = NULL;
    const char *id = request_param(request, "id");
    TRY(queue_get(request->store, id, request->arena, &job));
    if (job == NULL) {
        page_not_found(
            request, response, arena_printf(request->arena, "There is no deployment '%s'.", id));
        return NULL;
    }
    TRY(page_begin(request, arena_printf(request->arena, "%s → %s", job->app, job->env), &page));
    struct error *err = show(&page, response, job);
    page_done(&page);
    return err;
}
