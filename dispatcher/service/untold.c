// Ends of what was accepted and never began, told to the sinks of its spec. Wherever a job ends so
// (at the gate, by a newer one, by a person, by waiting too long) the audit log has its entry in
// the same commit; the leader of the chores reads it from where it was left, so that none is missed
// and none of the places that end a job has to know of reports. Told twice is told once: notices
// have keys (outbox.h).
#include <stdlib.h>
#include <string.h>

#include "ask_internal.h"
#include "chores_internal.h"
#include "dispatcher/memory.h"

enum { BATCH = 100 };
static const char cursor_name[] = "untold/audit";

struct telling {
    struct service *service;
    struct store *store;
    struct http_client *http;
    struct deploy_context *context;
    struct arena *arena;
};

static struct error *
open_context(struct telling *telling)
{
    struct service *service = telling->service;
    const struct http_client_options *http = service_http_options(service);
    if (telling->context != NULL) {
        return NULL;
    }
    TRY(http_client_new(service_platform(service), http, &telling->http));
    const struct deploy_context_options options = {
        .platform = service_platform(service),
        .http = telling->http,
        .ca_file = http->ca_file,
        .proxy = http->proxy,
        .no_proxy = http->no_proxy,
        .state_path = service_settings(service)->state,
        .secrets = {service_secret_refusal, service},
    };
    telling->context = deploy_context_new(&options);
    return NULL;
}

static void
close_context(struct telling *telling)
{
    deploy_context_free(telling->context);
    http_client_free(telling->http);
}

static struct error *
tell_by(struct telling *telling, const struct queue_job *job, const struct spec_set *set)
{
    const struct setting_server *settings = service_settings(telling->service);
    struct ask ask = {0};
    TRY(ask_read(job->request, telling->arena, &ask));
    TRY(open_context(telling));
    const struct deploy_given given = {
        .id = job->id,
        .config = spec_set_config(set),
        .app_spec = spec_set_app(set, job->app),
        .specs = settings->specs != NULL ? settings->specs : settings->workflow_repo,
        .specs_commit = spec_set_commit(set),
        .github_api = settings->github_api,
        .github_app_id = settings->github_app_id,
        .github_app_key = settings->github_app_key,
        .sha = ask.sha,
        .ref = ask.ref,
        .event = ask.event,
        .repository = ask.repository,
        .actor = ask_requester(&ask),
        .caller_url = ask.run_url,
        .accepted_ms = job->created_ms,
    };
    const struct deploy_request request = {
        .given = &given, .verb = job->verb, .app = job->app, .env = job->env};
    const struct deploy_unbegun end = {
        .verb = job->verb,
        .version = job->version,
        .result = job->result,
        .superseded = cstr_equal(job->result, "superseded"),
        .sentence = job->reason,
        .exit_code = job->exit_code,
        .created_ms = job->created_ms,
        .ended_ms = job->ended_ms,
    };
    return deploy_tell_unbegun(telling->context, &request, &end, telling->arena);
}

// Whoever has no spec any more, or one that cannot be used, has said nothing of whom to tell.
static struct error *
tell(struct telling *telling, const struct queue_job *job)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(telling->service, &why);
    bool known = set != NULL && spec_set_app(set, job->app) != NULL;
    struct error *err = known ? tell_by(telling, job, set) : NULL;
    specs_release(set);
    if (err != NULL && error_kind(err) != ERROR_STORAGE) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(service_platform(telling->service)->log, "nobody is told how it ended",
            F_STR("deployment", job->id), F_STR("problem", text));
        error_free(err);
        return NULL;
    }
    return err;
}

static struct error *
look_closely(struct telling *telling, const char *id)
{
    struct queue_job *job = NULL;
    struct store_deployment *begun = NULL;
    TRY(queue_get(telling->store, id, telling->arena, &job));
    if (job == NULL || strcmp(job->state, "final") != 0) {
        return NULL;
    }
    TRY(store_find(telling->store, id, telling->arena, &begun));
    return begun == NULL ? tell(telling, job) : NULL; // else its own saves have told it
}

// In an arena of its own: resolving a spec takes more than an entry does.
static struct error *
look(struct telling *telling, const char *id)
{
    struct arena *outer = telling->arena;
    telling->arena = arena_new();
    struct error *err = look_closely(telling, id);
    arena_free(telling->arena);
    telling->arena = outer;
    return err;
}

static struct error *
look_at(struct telling *telling, const struct audit_filter *filter, int64_t *last, bool *more)
{
    struct audit_entry *entries = NULL;
    size_t count = 0;
    TRY(audit_list(telling->store, filter, telling->arena, &entries, &count));
    for (size_t i = 0; i < count; i++) {
        if (entries[i].deployment != NULL) {
            TRY(look(telling, entries[i].deployment));
        }
    }
    *more = *more || count == BATCH;
    if (count == BATCH && entries[count - 1].sequence < *last) {
        *last = entries[count - 1].sequence; // no further than both were read
    }
    return NULL;
}

static struct error *
newest(const struct telling *telling, int64_t *out)
{
    const struct audit_filter filter = {.limit = 1};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    TRY(audit_list(telling->store, &filter, telling->arena, &entries, &count));
    *out = count > 0 ? entries[0].sequence : 0;
    return NULL;
}

// *more: there is more than one reading takes.
static struct error *
read_on(struct telling *telling, bool *more)
{
    const char *text = NULL;
    int64_t last = 0, after = 0;
    TRY(queue_fact_get(telling->store, cursor_name, telling->arena, &text));
    TRY(newest(telling, &last));
    bool begins = text == NULL || !str_to_int64(str_of(text), &after);
    if (!begins && last > after) { // else what ended before the first start is no news
        const struct audit_filter refused = {
            .verdict = "deny", .after = after, .limit = BATCH, .oldest_first = true};
        const struct audit_filter cancelled = {.code = reason_code_name(REASON_CANCELLED),
            .verdict = "done",
            .after = after,
            .limit = BATCH,
            .oldest_first = true};
        TRY(look_at(telling, &refused, &last, more));
        TRY(look_at(telling, &cancelled, &last, more));
    }
    return last != after || begins ? queue_fact_set(telling->store, cursor_name,
                                         arena_printf(telling->arena, "%lld", (long long)last))
                                   : NULL;
}

struct error *
untold_round(struct service *service, struct store *store)
{
    struct telling telling = {.service = service, .store = store};
    struct error *err = NULL;
    bool more = true;
    while (err == NULL && more && cancel_signal(service_platform(service)->cancel) == 0) {
        more = false;
        telling.arena = arena_new();
        err = read_on(&telling, &more);
        arena_free(telling.arena);
    }
    close_context(&telling);
    return err;
}
