// `/`: what runs where, from the releases, the queue, the locks and the last failures; filtered by
// the query, and as it was at another time. A handful of statements whatever the number of apps:
// each row comes from one pass over what they gave.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum {
    JOBS_MAX = 5000,
    BEHIND_BUDGET = 100, // that are not remembered yet: those of the rest follow with the next look
    Q_MAX = 100,
};

struct matrix {
    struct page *page;
    struct request *request;
    const struct str_list *apps, *environments;
    struct web_cell *cells;                // apps × environments
    const struct queue_release **releases; // the same
    const struct queue_job **failures;     // the same
    struct web_matrix shown;
    int behind_budget;
    struct view_drift drift;
};

// --- where a cell is -----------------------------------------------------------------------------

static int
compare_names(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

// Index of the cell, or SIZE_MAX.
static size_t
cell_of(const struct matrix *m, const char *app, const char *env)
{
    const char *const *found = m->apps->count > 0 ? bsearch(app, m->apps->items, m->apps->count,
                                                        sizeof(char *), compare_names)
                                                  : NULL;
    if (found == NULL) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < m->environments->count; i++) {
        if (strcmp(m->environments->items[i], env) == 0) {
            return (size_t)(found - m->apps->items) * m->environments->count + i;
        }
    }
    return SIZE_MAX;
}

// --- reading -------------------------------------------------------------------------------------

static void
take_release(struct matrix *m, const struct queue_release *release)
{
    size_t at = cell_of(m, release->app, release->env);
    if (at == SIZE_MAX) {
        return;
    }
    m->releases[at] = release;
    m->cells[at].version = release->version;
    m->cells[at].deployment = release->deployment;
    m->cells[at].actor = release->requester;
    m->cells[at].since_ms = release->since_ms;
}

static struct error *
read_releases(struct matrix *m)
{
    struct request *request = m->request;
    struct queue_release *releases = NULL;
    size_t count = 0;
    if (m->shown.at_ms == 0) {
        TRY(queue_releases_now(request->store, request->arena, &releases, &count));
        for (size_t i = 0; i < count; i++) {
            take_release(m, &releases[i]);
        }
        return NULL;
    }
    for (size_t i = 0; i < m->apps->count * m->environments->count; i++) {
        TRY(queue_release_at(request->store, m->apps->items[i / m->environments->count],
            m->environments->items[i % m->environments->count], m->shown.at_ms, request->arena,
            &releases));
        if (releases != NULL) {
            take_release(m, releases);
        }
    }
    return NULL;
}

static struct error *
read_running(struct matrix *m)
{
    struct request *request = m->request;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    const struct queue_filter filter = {.state = "running", .limit = JOBS_MAX};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        size_t at = cell_of(m, jobs[i].app, jobs[i].env);
        int64_t usual = 0;
        if (at == SIZE_MAX) {
            continue;
        }
        TRY(queue_usual_ms(request->store, jobs[i].app, jobs[i].env, &usual));
        m->cells[at].running = jobs[i].id;
        m->cells[at].running_version = jobs[i].version;
        m->cells[at].running_percent = usual > 0 && jobs[i].started_ms > 0
                                           ? (request->wall_ms - jobs[i].started_ms) * 100 / usual
                                           : -1;
    }
    return NULL;
}

static struct error *
read_queued(struct matrix *m)
{
    struct request *request = m->request;
    struct queue_job *jobs = NULL;
    size_t count = 0;
    const struct queue_filter filter = {.state = "queued", .limit = JOBS_MAX, .oldest_first = true};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        size_t at = cell_of(m, jobs[i].app, jobs[i].env);
        if (at == SIZE_MAX) {
            continue;
        }
        if (m->cells[at].queued++ == 0) {
            m->cells[at].waits = jobs[i].reason;
        }
    }
    return NULL;
}

static struct error *
read_failures(struct matrix *m)
{
    struct queue_job *jobs = NULL;
    size_t count = 0;
    TRY(queue_failures(m->request->store, m->request->arena, &jobs, &count));
    for (size_t i = 0; i < count; i++) {
        size_t at = cell_of(m, jobs[i].app, jobs[i].env);
        if (at == SIZE_MAX) {
            continue;
        }
        m->failures[at] = &jobs[i];
        m->cells[at].failed = jobs[i].id;
        m->cells[at].failed_how = jobs[i].result;
        m->cells[at].failed_ms = jobs[i].ended_ms;
    }
    return NULL;
}

// Of a lane whose last look is older than a failure, that left its parameter behind perhaps, the
// deployment's own document knows better.
static struct error *
read_failed_drift(struct matrix *m, size_t at)
{
    struct deployment *document = NULL;
    TRY(page_document(m->request, m->failures[at]->id, &document));
    m->cells[at].drift =
        document != NULL ? page_drift(m->request, document, m->cells[at].version) : NULL;
    return NULL;
}

static struct error *
set_drift(struct matrix *m, size_t at)
{
    const struct queue_release *release = m->releases[at];
    const struct queue_drift_lane *lane =
        release != NULL ? view_drift_lane(&m->drift, release) : NULL;
    struct web_cell *cell = &m->cells[at];
    size_t count = 0;
    const struct queue_drift *drifts =
        release != NULL ? view_drift_of(&m->drift, release, &count) : NULL;
    if (lane != NULL && lane->unknown_ms > 0) {
        cell->drift_unknown = lane->why;
        m->shown.drift_unknown++;
    }
    if (lane != NULL && lane->looked_ms > m->shown.drift_looked_ms) {
        m->shown.drift_looked_ms = lane->looked_ms;
    }
    if (count > 0) {
        cell->drift = count == 1 ? drifts[0].sentence
                                 : arena_printf(m->request->arena, "%s And %zu more.",
                                       drifts[0].sentence, count - 1);
        return NULL;
    }
    bool seen = page_drift_is_seen(lane, m->failures[at]);
    return m->failures[at] != NULL && !seen ? read_failed_drift(m, at) : NULL;
}

static struct error *
read_drift(struct matrix *m)
{
    size_t count = m->apps->count * m->environments->count;
    TRY(view_drift_read(m->request, NULL, m->shown.at_ms, &m->drift));
    for (size_t i = 0; i < count; i++) {
        TRY(set_drift(m, i));
    }
    return NULL;
}

static int
severity(const struct queue_lock *lock)
{
    return lock == NULL                          ? 0
           : strcmp(lock->level, "warning") == 0 ? 1
           : strcmp(lock->level, "freeze") == 0  ? 2
                                                 : 3;
}

static void
set_locks(struct matrix *m, size_t app, const char *program, int64_t at_ms)
{
    for (size_t l = 0; l < m->page->lock_count; l++) {
        const struct queue_lock *lock = &m->page->locks[l];
        bool narrow = lock->app != NULL || lock->program != NULL;
        for (size_t e = 0; e < m->environments->count && narrow; e++) {
            struct web_cell *cell = &m->cells[app * m->environments->count + e];
            if (page_lock_holds(lock, at_ms) &&
                page_lock_touches(lock, m->apps->items[app], m->environments->items[e], program) &&
                severity(lock) > severity(cell->lock)) {
                cell->lock = lock;
            }
        }
    }
}

static struct error *
set_behind(struct matrix *m, size_t at)
{
    const struct queue_release *here = m->releases[at], *before = m->releases[at - 1];
    struct page_behind behind = {0};
    if (here == NULL || before == NULL || strcmp(here->version, before->version) == 0 ||
        before->since_ms <= here->since_ms) {
        return NULL;
    }
    bool known = page_behind_known(m->request, before, here->version);
    if (!known && m->behind_budget == 0) {
        return NULL;
    }
    m->behind_budget -= known ? 0 : 1;
    TRY(page_behind_of(m->request, before, here->version, false, &behind));
    m->cells[at].behind = behind.commits > 0 ? behind.commits : behind.releases;
    m->cells[at].behind_releases = behind.commits <= 0;
    m->cells[at].behind = m->cells[at].behind > 0 ? m->cells[at].behind : 0;
    return NULL;
}

// --- rows ----------------------------------------------------------------------------------------

static const struct settings *
settings_of(const struct matrix *m, const char *app)
{
    const struct settings *settings = NULL;
    for (size_t i = 0; i < m->environments->count && settings == NULL; i++) {
        settings = page_settings(m->page, app, m->environments->items[i]);
    }
    return settings;
}

struct standing {
    bool failing, behind, locked, mine, drift;
};

static struct standing
standing_of(const struct matrix *m, const struct web_row *row, const struct settings *settings)
{
    struct standing standing = {.mine = page_is_concerned(m->request, settings)};
    const char *login = m->request->caller.person.login;
    for (size_t i = 0; i < m->environments->count; i++) {
        const struct web_cell *cell = &row->cells[i];
        standing.failing = standing.failing || cell->failed != NULL || cell->drift != NULL;
        standing.drift = standing.drift || cell->drift != NULL;
        standing.behind = standing.behind || cell->behind > 0;
        standing.locked = standing.locked || cell->lock != NULL;
        standing.mine = standing.mine || (cell->actor != NULL && cstr_equal(cell->actor, login));
    }
    return standing;
}

static bool
contains_nocase(const char *text, struct str q)
{
    struct str rest = str_of(text);
    for (; rest.len >= q.len; rest = str_skip(rest, 1)) {
        if (str_equal_nocase((struct str){rest.ptr, q.len}, q)) {
            return true;
        }
        if (rest.len == 0) {
            break;
        }
    }
    return false;
}

static bool
is_sought(const struct matrix *m, const struct web_row *row)
{
    struct str q = str_trim(str_of(m->shown.q));
    bool found = q.len == 0 || contains_nocase(row->app, q) || contains_nocase(row->title, q) ||
                 contains_nocase(row->program, q);
    for (size_t i = 0; i < m->environments->count && !found; i++) {
        found = str_starts(str_of(row->cells[i].version), q);
    }
    return found;
}

static void
count_row(struct matrix *m, const struct standing *standing)
{
    m->shown.total++;
    m->shown.failing += standing->failing;
    m->shown.behind += standing->behind;
    m->shown.locked += standing->locked;
    m->shown.mine += standing->mine;
    m->shown.drift += standing->drift;
}

static bool
passes(const struct web_matrix *shown, const struct standing *standing)
{
    return (!shown->only_failing || standing->failing) &&
           (!shown->only_behind || standing->behind) && (!shown->only_locked || standing->locked) &&
           (!shown->only_mine || standing->mine) && (!shown->only_drift || standing->drift);
}

// Programs in order, apps without one at the end.
static int
compare_rows(const void *a, const void *b)
{
    const struct web_row *x = a, *y = b;
    if (x->program == NULL || y->program == NULL) {
        int order = (x->program == NULL) - (y->program == NULL);
        return order != 0 ? order : strcmp(x->app, y->app);
    }
    int order = strcmp(x->program, y->program);
    return order != 0 ? order : strcmp(x->app, y->app);
}

// A program of one app is that app: a heading would say it twice.
static void
drop_small_programs(struct web_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool alone = (i == 0 || !cstr_equal(rows[i - 1].program, rows[i].program)) &&
                     (i + 1 == count || !cstr_equal(rows[i + 1].program, rows[i].program));
        if (alone && cstr_equal(rows[i].program, rows[i].title)) {
            rows[i].program = NULL;
        }
    }
}

static struct error *
fill_rows(struct matrix *m)
{
    size_t columns = m->environments->count;
    struct web_row *rows = arena_array(m->request->arena, m->apps->count + 1, sizeof(*rows));
    int64_t at = m->shown.at_ms > 0 ? m->shown.at_ms : m->request->wall_ms;
    for (size_t a = 0; a < m->apps->count; a++) {
        const struct settings *settings = settings_of(m, m->apps->items[a]);
        const char *name = settings != NULL ? settings->name : m->apps->items[a];
        struct web_row row = {.app = m->apps->items[a],
            .title = name,
            .program = settings != NULL ? settings->program : NULL,
            .cells = &m->cells[a * columns]};
        set_locks(m, a, row.program, at);
        for (size_t e = 1; e < columns; e++) {
            TRY(set_behind(m, a * columns + e));
        }
        struct standing standing = standing_of(m, &row, settings);
        count_row(m, &standing);
        if (passes(&m->shown, &standing) && is_sought(m, &row)) {
            rows[m->shown.count++] = row;
        }
    }
    if (m->shown.count > 1) {
        qsort(rows, m->shown.count, sizeof(*rows), compare_rows);
    }
    drop_small_programs(rows, m->shown.count);
    if (m->shown.count > 1) {
        qsort(rows, m->shown.count, sizeof(*rows), compare_rows);
    }
    m->shown.rows = rows;
    return NULL;
}

static void
set_columns(struct matrix *m, int64_t at_ms)
{
    const struct queue_lock **locks =
        arena_array(m->request->arena, m->environments->count + 1, sizeof(*locks));
    for (size_t e = 0; e < m->environments->count; e++) {
        for (size_t l = 0; l < m->page->lock_count; l++) {
            const struct queue_lock *lock = &m->page->locks[l];
            bool of_env = strcmp(lock->scope, "environment") == 0 &&
                          cstr_equal(lock->env, m->environments->items[e]);
            if (of_env && page_lock_holds(lock, at_ms) && severity(lock) > severity(locks[e])) {
                locks[e] = lock;
            }
        }
    }
    m->shown.column_locks = locks;
}

// Locks as they were then: those that have been lifted or have expired since, too. What is said
// above the page is of now, and left out.
static struct error *
read_past_locks(struct matrix *m)
{
    struct request *request = m->request;
    struct queue_lock *locks = NULL;
    size_t count = 0;
    TRY(queue_locks(request->store, true, request->wall_ms, request->arena, &locks, &count));
    const struct queue_lock **then = arena_array(request->arena, count + 1, sizeof(*then));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(locks[i].scope, "organisation") == 0 &&
            page_lock_holds(&locks[i], m->shown.at_ms)) {
            then[m->shown.then_count++] = &locks[i];
        }
    }
    m->shown.then = then;
    m->page->locks = locks;
    m->page->lock_count = count;
    m->page->frame.banner_count = 0;
    set_columns(m, m->shown.at_ms);
    return read_drift(m);
}

// --- the page ------------------------------------------------------------------------------------

static bool
is_on(struct request *request, const char *name)
{
    return cstr_equal(request_query(request, name), "1");
}

// RFC 3339, or what datetime-local sends, which is taken for UTC.
static int64_t
time_of(const char *text, struct arena *arena)
{
    int64_t at = 0;
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    if (clock_parse_rfc3339(text, &at) ||
        clock_parse_rfc3339(arena_printf(arena, "%s:00Z", text), &at) ||
        clock_parse_rfc3339(arena_printf(arena, "%sZ", text), &at)) {
        return at;
    }
    return 0;
}

static void
read_query(struct matrix *m)
{
    struct request *request = m->request;
    const char *q = request_query(request, "q");
    m->shown.q = q != NULL && strlen(q) <= Q_MAX ? q : "";
    m->shown.only_mine = is_on(request, "mine");
    m->shown.only_failing = is_on(request, "failing");
    m->shown.only_behind = is_on(request, "behind");
    m->shown.only_locked = is_on(request, "locked");
    m->shown.only_drift = is_on(request, "drift");
    m->shown.tv = m->page->frame.bare = is_on(request, "tv");
    int64_t at = time_of(request_query(request, "at"), request->arena);
    m->shown.at_ms = at > 0 && at < request->wall_ms ? at : 0;
}

static struct error *
read_all(struct matrix *m)
{
    size_t count = m->apps->count * m->environments->count;
    m->cells = arena_array(m->request->arena, count + 1, sizeof(*m->cells));
    m->releases = arena_array(m->request->arena, count + 1, sizeof(*m->releases));
    m->failures = arena_array(m->request->arena, count + 1, sizeof(*m->failures));
    for (size_t i = 0; i < count; i++) {
        m->cells[i].running_percent = -1;
    }
    TRY(read_releases(m));
    if (m->shown.at_ms == 0) { // of the queue only the present is known
        TRY(read_running(m));
        TRY(read_queued(m));
        TRY(read_failures(m));
        TRY(read_drift(m));
        set_columns(m, m->request->wall_ms);
    } else {
        TRY(read_past_locks(m));
    }
    return fill_rows(m);
}

static struct error *
show(struct page *page, struct response *response)
{
    static const struct str_list none = {0};
    struct buf html CLEANUP(buf_done) = BUF_INIT(PAGE_MAX);
    struct matrix m = {.page = page,
        .request = page->request,
        .apps = page->set != NULL ? spec_set_apps(page->set) : &none,
        .environments = page->set != NULL ? spec_set_environments(page->set) : &none,
        .behind_budget = BEHIND_BUDGET};
    m.shown.environments = m.environments;
    read_query(&m);
    TRY(read_all(&m));
    if (m.shown.failing > 0) {
        page->frame.state = WEB_STATE_FAILED;
        page->frame.title =
            arena_printf(page->request->arena, "%lld failing", (long long)m.shown.failing);
    }
    web_matrix_page(&page->frame, &m.shown, &html);
    page_send(page->request, response, page, &html);
    return NULL;
}

struct error *
page_matrix(struct request *request, struct response *response)
{
    struct page page = {0};
    TRY(page_begin(request, "Environments", &page));
    struct error *err = NULL;
    if (page.set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = page.why};
        response_refuse(request, response, &refusal);
    } else {
        err = show(&page, response);
    }
    page_done(&page);
    return err;
}
