// A deployment as the API tells it: the queue's row, what the journal knows, what it waits for and
// until when. Reads the store, decides nothing. Pages may use the struct, too.
#include "view_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

static void
read_document(struct view *view, const char *text, struct arena *arena)
{
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text), &json_limits_default, &view->document);
    if (err != NULL) {
        view->document = NULL; // told as if it were not there
        return;
    }
    view->message = arena_dup(arena, json_str(json_get(view->document, "message")));
    view->hint = arena_dup(arena, json_str(json_get(view->document, "hint")));
    view->run_url = arena_dup(arena, json_str(json_get(view->document, "run_url")));
    view->proven = json_bool(json_get(view->document, "proven"), false);
}

static bool
touches(const struct queue_lock *lock, const struct queue_job *job, const char *program)
{
    if (strcmp(lock->scope, "organisation") == 0) {
        return true;
    }
    bool env = lock->env == NULL || strcmp(lock->env, job->env) == 0;
    bool app = lock->app == NULL || strcmp(lock->app, job->app) == 0;
    bool of_program = lock->program == NULL || cstr_equal(lock->program, program);
    return env && app && of_program;
}

// What becomes of it once the lock that holds it is gone.
static struct error *
read_release(struct view *view, struct store *store, int64_t now_ms, struct arena *arena)
{
    struct queue_lock *locks = NULL;
    size_t count = 0;
    bool held = cstr_equal(view->job->code, reason_code_name(REASON_LOCKED)) ||
                cstr_equal(view->job->code, reason_code_name(REASON_FROZEN));
    view->on_release = "will run";
    if (!held) {
        return NULL;
    }
    TRY(queue_locks(store, false, now_ms, arena, &locks, &count));
    for (size_t i = 0; i < count; i++) {
        if (locks[i].starts_ms <= now_ms && touches(&locks[i], view->job, view->program) &&
            cstr_equal(locks[i].on_release, "drop")) {
            view->on_release = "will be dropped";
        }
    }
    return NULL;
}

// When it will have ended, if all take as long as they usually do.
static struct error *
read_eta(struct view *view, struct store *store, int64_t now_ms)
{
    const struct queue_job *job = view->job;
    TRY(queue_usual_ms(store, job->app, job->env, &view->usual_ms));
    if (view->usual_ms <= 0) {
        return NULL;
    }
    if (strcmp(job->state, "running") == 0) {
        int64_t end = job->started_ms + view->usual_ms;
        view->eta_ms = end > now_ms ? end : now_ms;
    } else if (strcmp(job->state, "queued") == 0 && view->position > 0) {
        view->eta_ms = now_ms + view->usual_ms * (view->position + 1);
    }
    return NULL;
}

static void
read_settings(struct service *service, struct view *view, struct arena *arena)
{
    const char *why = NULL, *problem = NULL;
    const struct spec_set *set = specs_hold(service, &why);
    const struct settings *settings =
        set != NULL ? spec_set_settings(set, view->job->app, view->job->env, &problem) : NULL;
    if (settings != NULL) {
        bool passes = view->job->emergency || (strcmp(view->job->verb, "rollback") == 0 &&
                                                  settings->approvals.rollback_exempt);
        view->approvals_needed = passes ? 0 : settings->approvals.count;
        view->program = arena_dup(arena, settings->program);
    }
    specs_release(set);
}

static struct error *
read_all(struct view *view, struct store *store, int64_t now_ms, struct arena *arena)
{
    const struct queue_job *job = view->job;
    struct store_deployment *row = NULL;
    if (job->started_ms > 0) {
        TRY(store_find(store, job->id, arena, &row));
    }
    if (row != NULL) {
        read_document(view, row->document, arena);
    }
    if (strcmp(job->state, "queued") == 0) {
        TRY(queue_position(store, job, &view->position));
        TRY(read_release(view, store, now_ms, arena));
    }
    TRY(read_eta(view, store, now_ms));
    TRY(view->sha != NULL ? begin_diff_to(store, job, view->sha, arena, &view->diff)
                          : begin_diff(store, job, arena, &view->diff));
    return view->approvals_needed > 0
               ? queue_approvals(store, job->id, arena, &view->approvals, &view->approval_count)
               : NULL;
}

struct error *
view_read(struct service *service, struct store *store, const struct queue_job *job,
    struct arena *arena, struct view *out)
{
    struct view view = {.job = job, .sha = out->sha};
    read_settings(service, &view, arena);
    struct error *err = read_all(&view, store, clock_wall(service_platform(service)->clock), arena);
    if (err != NULL) {
        view_done(&view); // callers give up at once
    }
    *out = view;
    return err;
}

void
view_done(struct view *view)
{
    json_free(view->document);
    view->document = NULL;
}

// --- as JSON -------------------------------------------------------------------------------------

static void
set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

void
view_set_time(struct json *object, const char *key, int64_t wall_ms)
{
    char text[21];
    if (wall_ms > 0) {
        clock_format_rfc3339(wall_ms, text);
    }
    set_text(object, key, wall_ms > 0 ? text : NULL);
}

static struct json *
shape_reason(const struct view *view)
{
    const struct queue_job *job = view->job;
    if (job->code == NULL) {
        return json_make_null();
    }
    struct json *object = json_make_object();
    json_set_str(object, "code", job->code);
    set_text(object, "sentence", job->reason);
    set_text(object, "who", job->who);
    view_set_time(object, "until", job->until_ms);
    set_text(object, "on_release", view->on_release);
    return object;
}

static struct json *
shape_approvals(const struct view *view)
{
    struct json *object = json_make_object(), *given = json_make_array();
    json_set_int(object, "needed", view->approvals_needed);
    for (size_t i = 0; i < view->approval_count; i++) {
        const struct queue_approval *approval = &view->approvals[i];
        struct json *item = json_make_object();
        json_set_str(item, "by", approval->by);
        view_set_time(item, "at", approval->at_ms);
        json_set_bool(item, "rejected", approval->rejected);
        set_text(item, "note", approval->note);
        json_append(given, item);
    }
    json_set(object, "given", given);
    set_text(object, "version", view->job->version);
    set_text(object, "diff", view->diff);
    return object;
}

static const char *
outcome_of(const struct queue_job *job)
{
    return strcmp(job->state, "queued") == 0    ? "waiting"
           : strcmp(job->state, "running") == 0 ? "running"
           : job->result != NULL                ? job->result
                                                : "unknown";
}

static void
set_how(struct json *object, const struct view *view)
{
    const struct queue_job *job = view->job;
    bool final = strcmp(job->state, "final") == 0;
    bool queued = strcmp(job->state, "queued") == 0;
    json_set_str(object, "state", job->state);
    set_text(object, "result", final ? job->result : NULL);
    json_set(object, "exit_code", final ? json_make_int(job->exit_code) : json_make_null());
    json_set_str(object, "outcome", outcome_of(job));
    json_set(object, "reason", shape_reason(view));
    json_set(object, "position", queued ? json_make_int(view->position) : json_make_null());
    view_set_time(object, "eta", view->eta_ms);
}

static void
set_when(struct json *object, const struct view *view)
{
    const struct queue_job *job = view->job;
    view_set_time(object, "created_at", job->created_ms);
    view_set_time(object, "started_at", job->started_ms);
    view_set_time(object, "ended_at", job->ended_ms);
    json_set(object, "run_id", job->run_id > 0 ? json_make_int(job->run_id) : json_make_null());
    set_text(object, "run_url", view->run_url);
    set_text(object, "message", view->message);
    set_text(object, "hint", view->hint);
    json_set_bool(object, "proven", view->proven);
}

struct json *
view_json(const struct service *service, const struct view *view)
{
    const struct queue_job *job = view->job;
    const char *url = service_settings(service)->url;
    struct json *object = json_make_object();
    json_set_str(object, "id", job->id);
    json_set_int(object, "number", job->number);
    json_set_str(object, "app", job->app);
    json_set_str(object, "env", job->env);
    json_set_str(object, "verb", job->verb);
    set_text(object, "version", job->version);
    set_how(object, view);
    set_text(object, "requester", job->requester);
    set_text(object, "repository", job->repository);
    json_set(object, "approvals", shape_approvals(view));
    json_set_bool(object, "emergency", job->emergency);
    set_text(object, "superseded_by", job->superseded_by);
    set_when(object, view);
    char *page CLEANUP(xfreep) = xasprintf("%s/deployments/%s", url != NULL ? url : "", job->id);
    json_set_str(object, "url", page);
    json_set(object, "warnings", json_make_array());
    return object;
}
