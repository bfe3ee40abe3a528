// What several pages read or work out: settings, documents, addresses on GitHub, and what this
// reader may do to a job. Judges as the API does, and says who could where the reader may not.
#include "page_internal.h"

#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"

enum { ADDRESS_MAX = 4 * 1024 };

const struct settings *
page_settings(const struct page *page, const char *app, const char *env)
{
    const char *problem = NULL;
    return page->set != NULL ? spec_set_settings(page->set, app, env, &problem) : NULL;
}

// --- GitHub --------------------------------------------------------------------------------------

const char *
page_github_web(const struct request *request)
{
    const char *api = service_settings(request->service)->github_api;
    const struct platform *platform = service_platform(request->service);
    const char *server = env_get(platform, "GITHUB_SERVER_URL");
    if (server != NULL && env_get(platform, "GITHUB_API_URL") != NULL) {
        return arena_dup(request->arena, server); // the two belong together, as in deploy/
    }
    struct str text = str_of(api), tail = STR("/api/v3"), head = STR("https://api.");
    if (api == NULL) {
        return "https://github.com";
    }
    if (str_ends(text, tail)) {
        return arena_str(request->arena, (struct str){text.ptr, text.len - tail.len});
    }
    return str_starts(text, head) ? arena_printf(request->arena, "https://%s", api + head.len)
                                  : arena_dup(request->arena, api);
}

const char *
page_compare(
    const struct request *request, const char *repository, const char *base, const char *head)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    bool known = base != NULL && head != NULL && strcmp(base, head) != 0 && repository != NULL &&
                 repository_name_is_valid(str_of(repository));
    if (!known) {
        return NULL;
    }
    buf_printf(&url, "%s/%s/compare/", page_github_web(request), repository);
    url_encode(str_of(base), "", &url);
    buf_puts(&url, "...");
    url_encode(str_of(head), "", &url);
    return url.failed ? NULL : arena_dup(request->arena, buf_cstr(&url));
}

const char *
page_spec_url(const struct page *page, const char *path, int line)
{
    const struct setting_server *settings = service_settings(page->request->service);
    const char *commit = page->set != NULL ? spec_set_commit(page->set) : NULL;
    bool on_github = settings->workflow_repo != NULL && commit != NULL &&
                     strspn(commit, "0123456789abcdef") == strlen(commit) &&
                     repository_name_is_valid(str_of(settings->workflow_repo));
    struct buf url CLEANUP(buf_done) = BUF_INIT(ADDRESS_MAX);
    if (!on_github || path == NULL) {
        return NULL;
    }
    buf_printf(
        &url, "%s/%s/blob/%s/", page_github_web(page->request), settings->workflow_repo, commit);
    url_encode(str_of(path), "/", &url);
    if (line > 0) {
        buf_printf(&url, "#L%d", line);
    }
    return url.failed ? NULL : arena_dup(page->request->arena, buf_cstr(&url));
}

// --- the journal ---------------------------------------------------------------------------------

struct error *
page_document(struct request *request, const char *id, struct deployment **out)
{
    struct store_deployment *row = NULL;
    *out = NULL;
    TRY(store_find(request->store, id, request->arena, &row));
    if (row == NULL || strcmp(row->id, id) != 0) {
        return NULL;
    }
    struct error *err CLEANUP(error_freep) =
        deployment_decode(str_of(row->document), request->arena, out);
    if (err != NULL) {
        *out = NULL; // of a version that wrote it otherwise: the page does without
    }
    return NULL;
}

bool
page_drift_is_seen(const struct queue_drift_lane *lane, const struct queue_job *failure)
{
    return lane != NULL && lane->unknown_ms == 0 && failure != NULL &&
           lane->looked_ms > failure->ended_ms;
}

// --- who may -------------------------------------------------------------------------------------

static bool
shares(const struct str_list *a, const struct str_list *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (strcmp(a->items[i], b->items[k]) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool
page_is_concerned(const struct request *request, const struct settings *settings)
{
    const struct str_list *teams = &request->caller.person.teams;
    bool is = false;
    for (size_t i = 0; settings != NULL && i < settings->allow_count && !is; i++) {
        is = shares(teams, &settings->allow[i].teams);
    }
    return is || (settings != NULL && (shares(teams, &settings->approvals.teams) ||
                                          shares(teams, &settings->emergency_teams)));
}

static void
judge_cancel(const struct page *page, const struct queue_job *job, struct web_action *out)
{
    const struct request *request = page->request;
    const struct settings *settings = page_settings(page, job->app, job->env);
    bool own = cstr_equal(job->requester, request->caller.person.login);
    if (job->cancel) {
        out->why_not = "It was asked to stop already.";
    } else if (own || request->caller.admin || page_is_concerned(request, settings)) {
        out->possible = true;
    } else {
        out->why_not =
            arena_printf(request->arena, "%s, the teams of %s in its spec, and %s can cancel it.",
                job->requester != NULL ? job->requester : "Whoever asked", job->app,
                page_admins(request));
    }
}

static void
judge_approve(const struct page *page, const struct queue_job *job, struct web_action *out)
{
    struct request *request = page->request;
    const struct settings *settings = page_settings(page, job->app, job->env);
    const char *why_not = NULL;
    bool asked = settings != NULL && settings->approvals.count > 0 && !job->emergency &&
                 (strcmp(job->verb, "rollback") != 0 || !settings->approvals.rollback_exempt);
    if (!asked) {
        return;
    }
    out->possible = policy_may_approve(
        settings, &request->caller.person, job->requester, request->arena, &why_not);
    out->why_not = out->possible ? NULL : arena_dup(request->arena, why_not);
}

static void
judge_hurry(const struct page *page, const struct queue_job *job, struct web_action *out)
{
    if (job->urgent) {
        return; // it is first already
    }
    out->possible = page->request->caller.admin;
    out->why_not = out->possible ? NULL
                                 : arena_printf(page->request->arena, "Only %s can move it first.",
                                       page_admins(page->request));
}

void
page_job_actions(const struct page *page, const struct queue_job *job, struct page_actions *out)
{
    *out = (struct page_actions){0};
    if (strcmp(job->state, "final") == 0) {
        return;
    }
    judge_cancel(page, job, &out->cancel);
    if (strcmp(job->state, "queued") == 0) {
        judge_approve(page, job, &out->approve);
        judge_hurry(page, job, &out->hurry);
    }
}
