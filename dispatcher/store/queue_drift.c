// Looks at lanes and what differed, as rows. A difference is one row from its first sight to its
// end: another value, or another release that it is compared with, is another difference.
#include "dispatcher/queue_drift.h"

#include <string.h>

#include "dispatcher/audit.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "queue_internal.h"

#define DRIFT_COLUMNS                                                                              \
    "app, env, deployment, service, what, expected, found, sentence, since_ms, until_ms"

enum { ENDED_LOOKED_AT = 10 };

// --- when ----------------------------------------------------------------------------------------

struct error *
queue_drift_due(struct store *store, int64_t now_ms, int max, struct arena *arena,
    struct queue_release **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT r.app, r.env, r.version, r.deployment, r.since_ms FROM releases r"
        " LEFT JOIN drift_lanes l ON l.app = r.app AND l.env = r.env"
        " WHERE r.until_ms = 0 AND coalesce(l.due_ms, 0) <= ? AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE jobs.app = r.app AND jobs.env = r.env AND state = 'running')"
        " ORDER BY coalesce(l.due_ms, 0), r.app, r.env LIMIT ?");
    query_int(&query, now_ms);
    query_int(&query, max);
    struct queue_release *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct queue_release){.app = query_get_text(&query, 0, arena),
            .env = query_get_text(&query, 1, arena),
            .version = query_get_text(&query, 2, arena),
            .deployment = query_get_text(&query, 3, arena),
            .since_ms = query_get_int(&query, 4)};
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}

static struct error *
runs(struct store *store, const char *app, const char *env, bool *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT 1 FROM jobs WHERE app = ? AND env = ? AND state = 'running'");
    query_text(&query, app);
    query_text(&query, env);
    *out = query_row(&query);
    return query_finish(&query);
}

// Jobs of a lane run one after the other, so that the last to end is among the last that came.
static struct error *
has_ended_since(struct store *store, const char *app, const char *env, int64_t since_ms, bool *out)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT ended_ms FROM jobs WHERE app = ? AND env = ? AND state = 'final'"
        " AND started_ms > 0 ORDER BY number DESC LIMIT ?");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, ENDED_LOOKED_AT);
    *out = false;
    while (query_row(&query)) {
        *out = *out || query_get_int(&query, 0) > since_ms;
    }
    return query_finish(&query);
}

struct error *
queue_drift_is_busy(
    struct store *store, const char *app, const char *env, int64_t since_ms, bool *busy)
{
    TRY(store_check(store));
    TRY(runs(store, app, env, busy));
    return *busy ? NULL : has_ended_since(store, app, env, since_ms, busy);
}

struct error *
queue_drift_wait(struct store *store, const char *app, const char *env, int64_t due_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO drift_lanes (app, env, unknown_ms, parameters, running, looked_ms, known_ms,"
        " failures, due_ms) VALUES (?, ?, 0, 0, 0, 0, 0, 0, ?3)"
        " ON CONFLICT (app, env) DO UPDATE SET due_ms = ?3");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, due_ms);
    return query_run(&query);
}

// --- what differs --------------------------------------------------------------------------------

static struct queue_drift
read_drift(struct query *query, struct arena *arena)
{
    return (struct queue_drift){.app = query_get_text(query, 0, arena),
        .env = query_get_text(query, 1, arena),
        .deployment = query_get_text(query, 2, arena),
        .service = query_get_text(query, 3, arena),
        .what = query_get_text(query, 4, arena),
        .expected = query_get_text(query, 5, arena),
        .found = query_get_text(query, 6, arena),
        .sentence = query_get_text(query, 7, arena),
        .since_ms = query_get_int(query, 8),
        .until_ms = query_get_int(query, 9)};
}

static struct error *
read_drifts(struct query *query, struct arena *arena, struct queue_drift **out, size_t *count)
{
    struct queue_drift *found = NULL;
    size_t length = 0;
    while (query_row(query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = read_drift(query, arena);
    }
    TRY(query_finish(query));
    *out = found;
    *count = length;
    return NULL;
}

static struct error *
read_open(struct store *store, const struct queue_drift_look *look, struct arena *arena,
    struct queue_drift **out, size_t *count)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " DRIFT_COLUMNS " FROM drifts WHERE app = ? AND env = ? AND until_ms = 0");
    query_text(&query, look->app);
    query_text(&query, look->env);
    return read_drifts(&query, arena, out, count);
}

static const struct queue_drift_thing *
thing_of(const struct queue_drift_look *look, const struct queue_drift *drift)
{
    for (size_t i = 0; i < look->count; i++) {
        if (strcmp(look->things[i].service, drift->service) == 0 &&
            strcmp(look->things[i].what, drift->what) == 0) {
            return &look->things[i];
        }
    }
    return NULL;
}

// Is what is open still what was seen, or not to be told? What is compared with another release is
// another difference, also where that is not known yet: nobody has seen it.
static bool
goes_on(const struct queue_drift_look *look, const struct queue_drift *drift)
{
    const struct queue_drift_thing *thing = thing_of(look, drift);
    if (strcmp(drift->deployment, look->deployment) != 0) {
        return false;
    }
    if (thing == NULL) { // not compared any more; or nothing was this time
        return look->why != NULL && !look->nothing;
    }
    return thing->verdict == QUEUE_DRIFT_UNKNOWN ||
           (thing->verdict == QUEUE_DRIFT_DIFFERS && cstr_equal(thing->expected, drift->expected) &&
               (cstr_equal(thing->found, drift->found) ||
                   (thing->found == NULL && drift->found == NULL)));
}

// --- writing it down -----------------------------------------------------------------------------

static struct error *
add_entry(struct store *store, const struct queue_drift_look *look, const struct queue_drift *drift,
    bool appeared)
{
    struct json *detail CLEANUP(json_freep) = json_make_object();
    json_set_str(detail, "drift", appeared ? "appeared" : "ended");
    json_set_str(detail, "service", drift->service);
    json_set_str(detail, "what", drift->what);
    json_set_str(detail, "expected", drift->expected);
    json_set_str(detail, "found", drift->found);
    char *text CLEANUP(xfreep) = json_text(detail);
    char *ended CLEANUP(xfreep) = xasprintf("no longer: %s", drift->sentence);
    const struct audit_entry entry = {.kind = "drift",
        .verdict = "done",
        .reason = appeared ? drift->sentence : ended,
        .app = look->app,
        .env = look->env,
        .deployment = drift->deployment,
        .version = look->version,
        .detail = text};
    return audit_add(store, &entry, look->looked_ms);
}

static struct error *
end_drift(struct store *store, const struct queue_drift_look *look, const struct queue_drift *drift)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "UPDATE drifts SET until_ms = CASE WHEN since_ms > ?1 THEN since_ms ELSE ?1 END"
        " WHERE app = ?2 AND env = ?3 AND service = ?4 AND what = ?5 AND until_ms = 0");
    query_int(&query, look->looked_ms);
    query_text(&query, look->app);
    query_text(&query, look->env);
    query_text(&query, drift->service);
    query_text(&query, drift->what);
    TRY(query_run(&query));
    return add_entry(store, look, drift, false);
}

static struct error *
add_drift(
    struct store *store, const struct queue_drift_look *look, const struct queue_drift_thing *thing)
{
    const struct queue_drift drift = {.app = look->app,
        .env = look->env,
        .deployment = look->deployment,
        .service = thing->service,
        .what = thing->what,
        .expected = thing->expected,
        .found = thing->found,
        .sentence = thing->sentence};
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO drifts (" DRIFT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)");
    query_text(&query, drift.app);
    query_text(&query, drift.env);
    query_text(&query, drift.deployment);
    query_text(&query, drift.service);
    query_text(&query, drift.what);
    query_text(&query, drift.expected);
    query_text(&query, drift.found);
    query_text(&query, drift.sentence);
    query_int(&query, look->looked_ms);
    TRY(query_run(&query));
    return add_entry(store, look, &drift, true);
}

static bool
is_open(const struct queue_drift *open, size_t count, const struct queue_drift_thing *thing)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(open[i].service, thing->service) == 0 &&
            strcmp(open[i].what, thing->what) == 0 && open[i].until_ms == 0) {
            return true;
        }
    }
    return false;
}

// *left: how many differences there are then.
static struct error *
write_drifts(
    struct store *store, const struct queue_drift_look *look, struct arena *arena, size_t *left)
{
    struct queue_drift *open = NULL;
    size_t count = 0;
    TRY(read_open(store, look, arena, &open, &count));
    *left = count;
    for (size_t i = 0; i < count; i++) {
        if (!goes_on(look, &open[i])) {
            TRY(end_drift(store, look, &open[i]));
            open[i].until_ms = look->looked_ms;
            (*left)--;
        }
    }
    for (size_t i = 0; i < look->count; i++) {
        const struct queue_drift_thing *thing = &look->things[i];
        if (thing->verdict == QUEUE_DRIFT_DIFFERS && !is_open(open, count, thing)) {
            TRY(add_drift(store, look, thing));
            (*left)++;
        }
    }
    return NULL;
}

static const char *
why_of(const struct queue_drift_look *look)
{
    for (size_t i = 0; i < look->count && look->why == NULL; i++) {
        if (look->things[i].verdict == QUEUE_DRIFT_UNKNOWN) {
            return look->things[i].sentence;
        }
    }
    return look->why;
}

static int64_t
count_compared(const struct queue_drift_look *look, const char *what)
{
    int64_t count = 0;
    for (size_t i = 0; i < look->count; i++) {
        count += look->things[i].verdict != QUEUE_DRIFT_UNKNOWN &&
                 strcmp(look->things[i].what, what) == 0;
    }
    return count;
}

static struct error *
write_lane(struct store *store, const struct queue_drift_look *look, size_t left)
{
    const char *why = why_of(look);
    bool unknown = why != NULL && !look->nothing;
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO drift_lanes (app, env, deployment, state, why, unknown_ms, parameters,"
        " running, looked_ms, known_ms, failures, due_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        " ON CONFLICT (app, env) DO UPDATE SET deployment = ?3, state = ?4, why = ?5,"
        " unknown_ms = CASE WHEN ?6 > 0 AND drift_lanes.unknown_ms > 0 THEN drift_lanes.unknown_ms"
        "  ELSE ?6 END,"
        " parameters = ?7, running = ?8, looked_ms = ?9,"
        " known_ms = CASE WHEN ?10 > 0 THEN ?10 ELSE drift_lanes.known_ms END,"
        " failures = CASE WHEN ?11 > 0 THEN drift_lanes.failures + 1 ELSE 0 END, due_ms = ?12");
    query_text(&query, look->app);
    query_text(&query, look->env);
    query_text(&query, look->deployment);
    query_text(&query, look->nothing ? "nothing"
                       : left > 0    ? "drift"
                       : unknown     ? "unknown"
                                     : "in-sync");
    query_text(&query, why);
    query_int(&query, unknown ? look->looked_ms : 0);
    query_int(&query, count_compared(look, "parameter"));
    query_int(&query, count_compared(look, "running"));
    query_int(&query, look->looked_ms);
    query_int(&query, unknown ? 0 : look->looked_ms);
    query_int(&query, unknown ? 1 : 0);
    query_int(&query, look->due_ms);
    return query_run(&query);
}

// A deployment that began, or ended, since the look began has moved what it saw.
static struct error *
still_holds(struct store *store, const struct queue_drift_look *look, bool *out)
{
    bool busy = false;
    TRY(runs(store, look->app, look->env, &busy));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT 1 FROM releases WHERE app = ? AND env = ? AND until_ms = 0 AND deployment = ?");
    query_text(&query, look->app);
    query_text(&query, look->env);
    query_text(&query, look->deployment);
    *out = query_row(&query) && !busy;
    return query_finish(&query);
}

struct recording {
    const struct queue_drift_look *look;
    struct arena *arena;
    bool holds;
};

static struct error *
record(struct store *store, void *ctx)
{
    struct recording *recording = ctx;
    const struct queue_drift_look *look = recording->look;
    size_t left = 0;
    TRY(queue_lane_lock(store, look->app, look->env));
    TRY(still_holds(store, look, &recording->holds));
    if (!recording->holds) {
        return queue_drift_wait(store, look->app, look->env, look->due_ms);
    }
    TRY(write_drifts(store, look, recording->arena, &left));
    return write_lane(store, look, left);
}

struct error *
queue_drift_record(
    struct store *store, const struct queue_drift_look *look, struct arena *arena, bool *recorded)
{
    struct recording recording = {.look = look, .arena = arena};
    struct store_op op = {.run = record, .ctx = &recording};
    struct error *err = store_group(store, &op, 1);
    if (err != NULL) {
        error_free(op.err);
        return err;
    }
    *recorded = op.err == NULL && recording.holds;
    return op.err;
}

// --- reading -------------------------------------------------------------------------------------

struct error *
queue_drift_lanes(struct store *store, const char *app, struct arena *arena,
    struct queue_drift_lane **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT app, env, deployment, state, why, unknown_ms, parameters, running, looked_ms,"
        " known_ms, failures FROM drift_lanes WHERE state IS NOT NULL AND (?1 = '' OR app = ?1)"
        " ORDER BY app, env");
    query_text(&query, app != NULL ? app : "");
    struct queue_drift_lane *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct queue_drift_lane){.app = query_get_text(&query, 0, arena),
            .env = query_get_text(&query, 1, arena),
            .deployment = query_get_text(&query, 2, arena),
            .state = query_get_text(&query, 3, arena),
            .why = query_get_text(&query, 4, arena),
            .unknown_ms = query_get_int(&query, 5),
            .parameters = query_get_int(&query, 6),
            .running = query_get_int(&query, 7),
            .looked_ms = query_get_int(&query, 8),
            .known_ms = query_get_int(&query, 9),
            .failures = query_get_int(&query, 10)};
    }
    TRY(query_finish(&query));
    *out = found;
    *count = length;
    return NULL;
}

// What is there now is in an index of its own, however long the history is.
struct error *
queue_drift_list(struct store *store, const char *app, int64_t at_ms, struct arena *arena,
    struct queue_drift **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        at_ms > 0 ? "SELECT " DRIFT_COLUMNS " FROM drifts WHERE (?1 = '' OR app = ?1)"
                    " AND since_ms <= ?2 AND (until_ms = 0 OR until_ms > ?2)"
                    " ORDER BY app, env, service, what"
                  : "SELECT " DRIFT_COLUMNS " FROM drifts WHERE (?1 = '' OR app = ?1)"
                    " AND until_ms = 0 ORDER BY app, env, service, what");
    query_text(&query, app != NULL ? app : "");
    if (at_ms > 0) {
        query_int(&query, at_ms);
    }
    return read_drifts(&query, arena, out, count);
}

struct error *
queue_drift_count(struct store *store, struct queue_drift_counts *out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    // What is known of a release that was replaced is not known of the one that is there.
    query_init(&query, store,
        "SELECT CASE WHEN l.deployment = r.deployment THEN coalesce(l.state, '') ELSE '' END,"
        " count(*), max(coalesce(l.looked_ms, 0)) FROM releases r"
        " LEFT JOIN drift_lanes l ON l.app = r.app AND l.env = r.env WHERE r.until_ms = 0"
        " GROUP BY 1");
    *out = (struct queue_drift_counts){0};
    while (query_row(&query)) {
        const char *state = query_peek_text(&query, 0);
        int64_t count = query_get_int(&query, 1), looked = query_get_int(&query, 2);
        *(cstr_equal(state, "in-sync")     ? &out->in_sync
            : cstr_equal(state, "drift")   ? &out->drift
            : cstr_equal(state, "unknown") ? &out->unknown
            : cstr_equal(state, "nothing") ? &out->nothing
                                           : &out->unseen) = count;
        out->looked_ms = looked > out->looked_ms ? looked : out->looked_ms;
    }
    return query_finish(&query);
}
