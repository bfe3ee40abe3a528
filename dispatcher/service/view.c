// A deployment as the API tells it: the queue's row, what the journal knows, what it waits for and
// until when. Reads the store, decides nothing. Pages may use the struct, too.
#include "view_internal.h"

#include <string.h>

#include "ask_internal.h"
#include "dispatcher/memory.h"

enum {
    WARNINGS_MAX = 50,
    SPECS_LATE = 3, // readings that failed
};

static void
warn(struct view *view, struct arena *arena, const char *text)
{
    struct str_list *list = &view->warnings;
    if (list->items == NULL) {
        list->items = arena_array(arena, WARNINGS_MAX, sizeof(*list->items));
    }
    bool known = text == NULL || list->count == WARNINGS_MAX;
    for (size_t i = 0; i < list->count && !known; i++) {
        known = strcmp(list->items[i], text) == 0;
    }
    if (!known) {
        list->items[list->count++] = arena_dup(arena, text);
    }
}

static void
read_document(struct view *view, const char *text, struct arena *arena)
{
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text), &json_limits_default, &view->document);
    if (err != NULL) {
        view->document = NULL; // told as if it were not there
        return;
    }
    const struct json *warnings = json_get(view->document, "warnings");
    for (size_t i = 0; i < json_count(warnings); i++) {
        warn(view, arena, json_str(json_at(warnings, i)));
    }
    view->message = arena_dup(arena, json_str(json_get(view->document, "message")));
    view->hint = arena_dup(arena, json_str(json_get(view->document, "hint")));
    view->run_url = arena_dup(arena, json_str(json_get(view->document, "run_url")));
    view->proven = json_bool(json_get(view->document, "proven"), false);
}

// What becomes of it once nothing holds it any more: a lock that drops what it holds also drops
// what waits behind that.
static struct error *
read_release(struct view *view, struct store *store, int64_t now_ms, struct arena *arena)
{
    struct queue_lock *locks = NULL;
    size_t count = 0;
    struct ask ask = {0};
    TRY(queue_locks(store, false, now_ms, arena, &locks, &count));
    view->on_release = "will run";
    for (size_t i = 0; i < count; i++) {
        if (locks[i].starts_ms > now_ms || !cstr_equal(locks[i].on_release, "drop")) {
            continue;
        }
        if (ask.verb == NULL) { // few locks drop anything
            TRY(ask_read(view->job->request, arena, &ask));
        }
        if (begin_lock_holds(&locks[i], view->job, view->program, ask_is_automatic(&ask))) {
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

// What would be said if it began now.
static void
read_warnings(
    struct view *view, const struct settings *settings, int64_t now_ms, struct arena *arena)
{
    struct str_list found = {0};
    const struct policy_facts facts = {
        .now_ms = now_ms,
        .requester = view->job->requester,
        .emergency = view->job->emergency,
        .locks = view->locks,
        .lock_count = view->lock_count,
    };
    policy_warnings(settings, &facts, arena, &found);
    for (size_t i = 0; i < found.count; i++) {
        warn(view, arena, found.items[i]);
    }
}

// By which specs it will be decided. Why they cannot be read is for their owners: the log says it.
static void
read_specs(struct service *service, struct view *view, int64_t now_ms, struct arena *arena)
{
    struct specs_state state = {0};
    int64_t every = service_settings(service)->specs_every_ms;
    specs_state(service, arena, &state);
    if (state.invalid != NULL) {
        warn(view, arena,
            "a newer dispatcher.yaml of the infra repository is invalid, so the one before counts");
    }
    if (state.problem != NULL && state.read_ms > 0 && now_ms - state.read_ms > SPECS_LATE * every) {
        char since[21];
        clock_format_rfc3339(state.read_ms, since);
        warn(view, arena, arena_printf(arena, "the specs could not be read since %s", since));
    }
}

static void
read_settings(struct service *service, struct view *view, int64_t now_ms, struct arena *arena)
{
    bool queued = strcmp(view->job->state, "queued") == 0;
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
    if (settings != NULL && queued) {
        read_warnings(view, settings, now_ms, arena);
    }
    specs_release(set);
    if (queued) {
        read_specs(service, view, now_ms, arena);
    }
}

// What the request says, unless the caller knows it.
static struct error *
read_request(struct view *view, struct arena *arena)
{
    struct ask ask = {.sha = view->sha, .warnings = view->accepted};
    if (view->sha == NULL) {
        TRY(ask_read(view->job->request, arena, &ask));
    }
    view->sha = ask.sha;
    for (size_t i = 0; i < ask.warnings.count; i++) {
        warn(view, arena, ask.warnings.items[i]);
    }
    return NULL;
}

static struct error *
read_locks(struct view *view, struct store *store, int64_t now_ms, struct arena *arena)
{
    struct policy_lock *locks = NULL;
    if (view->locks == NULL && strcmp(view->job->state, "queued") == 0) {
        TRY(begin_locks(store, now_ms, arena, &locks, &view->lock_count));
        view->locks = locks;
    }
    return NULL;
}

static bool
is_behind(const struct queue_job *job)
{
    return cstr_equal(job->code, reason_code_name(REASON_TURN));
}

// What waits behind others was decided by nobody yet, and has no reason in its row: the others are
// it. Whoever can do something about the first of them can about this one.
static const struct queue_job *
held_by_others(const struct view *view, const struct queue_job *first, struct arena *arena)
{
    struct queue_job *held = arena_alloc(arena, sizeof(*held));
    char *others CLEANUP(xfreep) =
        view->position == 2  ? xstrdup(" and another one")
        : view->position > 2 ? xasprintf(" and %lld others", (long long)view->position - 1)
                             : xstrdup("");
    const char *go = view->position > 1 ? "go" : "goes";
    bool waits = first != NULL && first->code != NULL;
    *held = *view->job;
    held->code = reason_code_name(REASON_TURN);
    if (first == NULL) { // it has ended at this very moment
        held->reason = "others of its lane go before it";
        return held;
    }
    held->reason =
        waits ? arena_printf(arena, "#%lld%s %s before it; #%lld waits itself (%s)",
                    (long long)first->number, others, go, (long long)first->number, first->code)
              : arena_printf(arena, "#%lld%s %s before it", (long long)first->number, others, go);
    held->who = waits && first->who != NULL ? first->who : first->requester;
    return held;
}

// Every reason is a sentence and names somebody.
static void
complete_reason(struct view *view, struct arena *arena)
{
    const struct queue_job *job = view->job;
    enum reason_code code = job->code != NULL ? reason_code_of(job->code) : REASON_COUNT;
    if (code == REASON_COUNT || (job->who != NULL && job->reason != NULL)) {
        return;
    }
    struct queue_job *whole = arena_alloc(arena, sizeof(*whole));
    *whole = *job;
    whole->who = job->who != NULL ? job->who : reason_code_who(code);
    if (job->reason == NULL) {
        whole->reason = code == REASON_CANCELLED && job->who != NULL
                            ? arena_printf(arena, "%s cancelled it", job->who)
                            : reason_code_meaning(code);
    }
    view->job = whole;
}

static struct error *
read_place(struct view *view, struct store *store, int64_t now_ms, struct arena *arena)
{
    struct queue_job *first = NULL;
    // Thousands are accepted a second: whose turn it is, is told afterwards.
    bool whole = !view->accepting;
    TRY(queue_position(store, view->job, arena, &view->position, whole ? &first : NULL));
    if (view->position > 0 && (view->job->code == NULL || is_behind(view->job))) {
        view->job = held_by_others(view, first, arena);
    }
    return whole ? read_release(view, store, now_ms, arena) : NULL;
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
        TRY(read_place(view, store, now_ms, arena));
    }
    complete_reason(view, arena);
    TRY(read_eta(view, store, now_ms));
    TRY(begin_diff_to(store, job, view->sha, arena, &view->diff));
    return view->approvals_needed > 0
               ? queue_approvals(store, job->id, arena, &view->approvals, &view->approval_count)
               : NULL;
}

struct error *
view_read(struct service *service, struct store *store, const struct queue_job *job,
    struct arena *arena, struct view *out)
{
    int64_t now_ms = clock_wall(service_platform(service)->clock);
    struct view view = {.job = job,
        .sha = out->sha,
        .accepting = out->sha != NULL,
        .now_ms = now_ms,
        .accepted = out->accepted,
        .locks = out->locks,
        .lock_count = out->lock_count};
    TRY(read_request(&view, arena));
    TRY(read_locks(&view, store, now_ms, arena));
    read_settings(service, &view, now_ms, arena);
    struct error *err = read_all(&view, store, now_ms, arena);
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

bool
view_counts(const struct view *view, const struct queue_approval *approval)
{
    if (approval->rejected || strcmp(view->job->state, "queued") != 0) {
        return !approval->rejected; // it counted when it was asked
    }
    bool over = approval->expires_ms != 0 && approval->expires_ms <= view->now_ms;
    return !over && cstr_equal(approval->version, view->job->version) &&
           cstr_equal(approval->diff, view->diff);
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
        json_set_bool(item, "counts", view_counts(view, approval));
        set_text(item, "note", approval->note);
        json_append(given, item);
    }
    json_set(object, "given", given);
    set_text(object, "version", view->job->version);
    set_text(object, "diff", view->diff);
    return object;
}

static struct json *
shape_warnings(const struct view *view)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < view->warnings.count; i++) {
        json_append(list, json_make_string(view->warnings.items[i]));
    }
    return list;
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
    json_set(object, "warnings", shape_warnings(view));
    return object;
}
