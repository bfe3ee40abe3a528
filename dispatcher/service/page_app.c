// `/apps/{app}`: its environments and what lies between them, what holds there, how it went so far.
#include <string.h>

#include "ask_internal.h"
#include "dispatcher/memory.h"
#include "page_internal.h"

enum { PAST_SHOWN = 30, GOOD_SHOWN = 10, LONG_DAYS = 90, SHORT_DAYS = 30 };

struct app {
    struct page *page;
    struct request *request;
    const char *name;
    const struct str_list *environments;
    const struct settings *settings; // of any environment, for what is the same in all
    struct web_app_column *columns;
    struct queue_release **releases; // what is there now, one an environment
    struct web_app shown;
    struct view_drift drift;
};

// --- an environment ------------------------------------------------------------------------------

static void
set_release(struct web_app_column *column, const struct queue_release *releases, size_t count,
    struct web_good *good)
{
    for (size_t i = 0; i < count; i++) {
        good[i] =
            (struct web_good){releases[i].version, releases[i].since_ms, releases[i].until_ms == 0};
    }
    column->good = good;
    column->good_count = count;
    if (count > 0 && releases[0].until_ms == 0) {
        column->cell.version = releases[0].version;
        column->cell.deployment = releases[0].deployment;
        column->cell.actor = releases[0].requester;
        column->cell.since_ms = releases[0].since_ms;
    }
}

static struct error *
read_releases(struct app *app, size_t index)
{
    struct request *request = app->request;
    struct web_app_column *column = &app->columns[index];
    struct queue_release *releases = NULL;
    size_t count = 0;
    TRY(queue_releases(
        request->store, app->name, column->env, GOOD_SHOWN, request->arena, &releases, &count));
    app->releases[index] = count > 0 && releases[0].until_ms == 0 ? &releases[0] : NULL;
    set_release(
        column, releases, count, arena_array(request->arena, count + 1, sizeof(struct web_good)));
    column->drift.on = app->drift.on && app->releases[index] != NULL;
    if (column->drift.on) {
        column->drift.lane = view_drift_lane(&app->drift, app->releases[index]);
        column->drift.items =
            view_drift_of(&app->drift, app->releases[index], &column->drift.count);
    }
    column->roll_back.possible = count > 1;
    if (count <= 1) {
        column->roll_back.why_not =
            count == 0 ? NULL : "There is nothing to go back to: one version was ever here.";
    }
    return NULL;
}

static struct error *
read_lane(struct app *app, struct web_app_column *column)
{
    struct request *request = app->request;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    struct queue_filter filter = {
        .app = app->name, .env = column->env, .state = "running", .limit = 1};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    column->cell.running = count > 0 ? jobs[0].id : NULL;
    column->cell.running_version = count > 0 ? jobs[0].version : NULL;
    filter.state = "queued";
    filter.limit = API_PAGE_MAX;
    filter.oldest_first = true;
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    column->cell.queued = (int64_t)count;
    column->cell.waits = count > 0 ? jobs[0].reason : NULL;
    filter =
        (struct queue_filter){.app = app->name, .env = column->env, .state = "final", .limit = 1};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    bool bad = count > 0 && jobs[0].started_ms > 0 &&
               (cstr_equal(jobs[0].result, "failed") || cstr_equal(jobs[0].result, "unknown"));
    if (bad) {
        struct deployment *document = NULL;
        bool seen = page_drift_is_seen(column->drift.lane, &jobs[0]);
        column->cell.failed = jobs[0].id;
        column->cell.failed_how = jobs[0].result;
        TRY(page_document(request, jobs[0].id, &document));
        column->cell.drift = document != NULL && !seen && column->drift.count == 0
                                 ? page_drift(request, document, column->cell.version)
                                 : NULL;
    }
    return queue_usual_ms(request->store, app->name, column->env, &column->usual_ms);
}

static void
set_lock(const struct app *app, struct web_app_column *column)
{
    const char *program = app->settings != NULL ? app->settings->program : NULL;
    for (size_t i = 0; i < app->page->lock_count && column->cell.lock == NULL; i++) {
        const struct queue_lock *lock = &app->page->locks[i];
        if (page_lock_holds(lock, app->request->wall_ms) &&
            page_lock_touches(lock, app->name, column->env, program) &&
            strcmp(lock->level, "warning") != 0) {
            column->cell.lock = lock;
        }
    }
}

static struct error *
read_column(struct app *app, size_t index)
{
    struct web_app_column *column = &app->columns[index];
    const struct settings *settings = NULL;
    column->env = app->environments->items[index];
    column->cell.running_percent = -1;
    TRY(read_releases(app, index));
    TRY(read_lane(app, column));
    set_lock(app, column);
    settings = page_settings(app->page, app->name, column->env);
    if (settings != NULL) {
        column->rollback_locks = settings->rollback_lock;
        page_rules(app->page, settings, &column->rules, &column->rule_count);
    }
    return NULL;
}

// --- between two ---------------------------------------------------------------------------------

static void
judge_promotion(struct web_app_column *from, const struct web_app_column *to)
{
    if (from->cell.version == NULL) {
        from->promote = (struct web_action){0};
    } else if (cstr_equal(from->cell.version, to->cell.version)) {
        from->promote.why_not = "It has this version already.";
    } else {
        from->promote.possible = true;
    }
}

static struct error *
read_between(struct app *app, size_t index)
{
    struct request *request = app->request;
    struct web_app_column *from = &app->columns[index], *to = &app->columns[index + 1];
    const struct queue_release *here = app->releases[index], *there = app->releases[index + 1];
    struct page_behind behind = {0};
    from->next = to->env;
    judge_promotion(from, to);
    if (here == NULL || there == NULL || cstr_equal(here->version, there->version)) {
        return NULL;
    }
    from->compare_url = page_compare(
        request, app->settings != NULL ? app->settings->repo : NULL, there->sha, here->sha);
    if (here->since_ms <= there->since_ms) {
        return NULL; // the later one is ahead: there is nothing in between to bring
    }
    TRY(page_behind_of(request, here, there->version, true, &behind));
    if (behind.commits > 0) {
        struct object_list *list = arena_alloc(request->arena, sizeof(*list));
        *list = behind.list;
        from->commits = list;
    }
    to->cell.behind = behind.commits > 0 ? behind.commits : behind.releases;
    to->cell.behind = to->cell.behind > 0 ? to->cell.behind : 0;
    to->cell.behind_releases = behind.commits <= 0;
    return NULL;
}

// --- history -------------------------------------------------------------------------------------

static struct web_past
past_of(struct request *request, const struct queue_job *job)
{
    struct web_past past = {.job = job, .took_ms = -1};
    struct ask ask = {0};
    struct error *err CLEANUP(error_freep) = ask_read(job->request, request->arena, &ask);
    if (err == NULL) {
        past.because = ask.reason;
    }
    if (job->started_ms > 0) {
        int64_t end = job->ended_ms > 0 ? job->ended_ms : request->wall_ms;
        past.took_ms = end - job->started_ms;
    }
    return past;
}

static struct error *
read_past(struct app *app)
{
    struct request *request = app->request;
    struct queue_job *jobs = NULL;
    int64_t before = 0;
    size_t count = 0;
    (void)str_to_int64(str_of(request_query(request, "before")), &before);
    const struct queue_filter filter = {
        .app = app->name, .before = before > 0 ? before : 0, .limit = PAST_SHOWN};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    struct web_past *past = arena_array(request->arena, count + 1, sizeof(*past));
    for (size_t i = 0; i < count; i++) {
        past[i] = past_of(request, &jobs[i]);
        if (strcmp(jobs[i].verb, "rollback") == 0 && jobs[i].started_ms > 0) {
            struct deployment *document = NULL;
            TRY(page_document(request, jobs[i].id, &document));
            past[i].rollback_of = document != NULL ? document->replaces : NULL;
        }
    }
    app->shown.past = past;
    app->shown.past_count = count;
    if (count == PAST_SHOWN) {
        app->shown.next = arena_printf(
            request->arena, "/apps/%s?before=%lld", app->name, (long long)jobs[count - 1].number);
    }
    return NULL;
}

// --- the page ------------------------------------------------------------------------------------

static void
set_locks(struct app *app)
{
    const char *program = app->settings != NULL ? app->settings->program : NULL;
    struct web_lock *locks =
        arena_array(app->request->arena, app->page->lock_count + 1, sizeof(*locks));
    for (size_t i = 0; i < app->page->lock_count; i++) {
        const struct queue_lock *lock = &app->page->locks[i];
        bool narrow = lock->app != NULL || lock->program != NULL;
        if (narrow && page_lock_holds(lock, app->request->wall_ms) &&
            page_lock_touches(lock, app->name, lock->env, program)) {
            locks[app->shown.lock_count++] = page_lock(app->request, lock);
        }
    }
    app->shown.locks = locks;
}

static void
set_spec(struct app *app)
{
    const char *problem = NULL;
    const struct spec_set *set = app->page->set;
    const struct spec_document *document = spec_set_app(set, app->name);
    for (size_t i = 0; i < app->environments->count && app->settings == NULL; i++) {
        app->settings = spec_set_settings(set, app->name, app->environments->items[i], &problem);
    }
    app->shown.problem = app->settings == NULL ? problem : NULL;
    app->shown.spec_url = document != NULL ? page_spec_url(app->page, document->path, 0) : NULL;
    app->shown.spec_commit = spec_set_commit(set);
    if (app->settings != NULL) {
        app->shown.title = app->settings->title;
        app->shown.program = app->settings->program;
        app->shown.repository = app->settings->repo;
        app->shown.repository_url = app->settings->repo != NULL
                                        ? arena_printf(app->request->arena, "%s/%s",
                                              page_github_web(app->request), app->settings->repo)
                                        : NULL;
    }
}

// The last environment is what counts for the four keys.
static struct error *
read_keys(struct app *app)
{
    if (app->environments->count == 0) {
        return NULL;
    }
    const char *env = app->environments->items[app->environments->count - 1];
    TRY(page_keys(app->request, app->name, env, SHORT_DAYS, &app->shown.keys[0]));
    return page_keys(app->request, app->name, env, LONG_DAYS, &app->shown.keys[1]);
}

static struct error *
read_all(struct app *app)
{
    size_t count = app->environments->count;
    app->columns = arena_array(app->request->arena, count + 1, sizeof(*app->columns));
    app->releases = arena_array(app->request->arena, count + 1, sizeof(struct queue_release *));
    app->shown.app = app->name;
    app->shown.env = request_query(app->request, "env");
    TRY(view_drift_read(app->request, app->name, 0, &app->drift));
    set_spec(app);
    set_locks(app);
    for (size_t i = 0; i < count; i++) {
        TRY(read_column(app, i));
    }
    for (size_t i = 0; i + 1 < count; i++) {
        TRY(read_between(app, i));
    }
    app->shown.columns = app->columns;
    app->shown.count = count;
    TRY(read_past(app));
    return read_keys(app);
}

static enum web_state
state_of(const struct web_app *shown)
{
    enum web_state state = WEB_STATE_GOOD;
    for (size_t i = 0; i < shown->count; i++) {
        const struct web_cell *cell = &shown->columns[i].cell;
        if (cell->failed != NULL) {
            return WEB_STATE_FAILED;
        }
        state = cell->running != NULL                         ? WEB_STATE_RUNNING
                : cell->queued > 0 && state == WEB_STATE_GOOD ? WEB_STATE_WAITING
                                                              : state;
    }
    return state;
}

static struct error *
show(struct page *page, struct response *response)
{
    struct request *request = page->request;
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct app app = {.page = page,
        .request = request,
        .name = request_param(request, "app"),
        .environments = spec_set_environments(page->set)};
    TRY(read_all(&app));
    page->frame.state = state_of(&app.shown);
    web_app_page(&page->frame, &app.shown, &html);
    page_send(request, response, page, &html);
    return NULL;
}

static bool
is_app(const struct page *page, const char *name)
{
    const struct str_list *apps = spec_set_apps(page->set);
    for (size_t i = 0; i < apps->count; i++) {
        if (strcmp(apps->items[i], name) == 0) {
            return true;
        }
    }
    return false;
}

struct error *
page_app(struct request *request, struct response *response)
{
    struct page page = {0};
    struct error *err = NULL;
    const char *name = request_param(request, "app");
    TRY(page_begin(request, name, &page));
    if (page.set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = page.why};
        response_refuse(request, response, &refusal);
    } else if (!is_app(&page, name)) {
        page_not_found(request, response,
            arena_printf(request->arena, "There is no app '%s' in the specs.", name));
    } else {
        err = show(&page, response);
    }
    page_done(&page);
    return err;
}
