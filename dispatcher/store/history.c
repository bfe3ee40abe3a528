// Event lines of a deployment, and how long remote runs took. Events are opaque text here.
#include <stdlib.h>
#include <string.h>

#include "store_internal.h"

enum { RECENT_RUNS = 9, EVENTS_MAX = 10000 };

struct error *
store_add_event(struct store *store, const char *id, const char *json, int64_t at_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store, "INSERT INTO events (deployment, at_ms, json) VALUES (?, ?, ?)");
    query_text(&query, id);
    query_int(&query, at_ms);
    query_text(&query, json);
    return query_run(&query);
}

struct error *
store_events(struct store *store, const char *id, int64_t after, struct arena *arena,
    struct store_event **events, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT sequence, at_ms, json FROM events WHERE deployment = ? AND sequence > ?"
        " ORDER BY sequence LIMIT ?");
    query_text(&query, id);
    query_int(&query, after);
    query_int(&query, EVENTS_MAX);
    struct store_event *found = NULL;
    size_t length = 0;
    while (query_row(&query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct store_event){
            .sequence = query_get_int(&query, 0),
            .at_ms = query_get_int(&query, 1),
            .json = query_get_text(&query, 2, arena),
        };
    }
    TRY(query_finish(&query));
    *events = found;
    *count = length;
    return NULL;
}

struct error *
store_add_duration(
    struct store *store, const char *id, const char *app, const char *env, int64_t duration_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO durations (deployment, app, env, duration_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (deployment) DO UPDATE SET duration_ms = excluded.duration_ms");
    query_text(&query, id);
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, duration_ms);
    return query_run(&query);
}

static int
compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

struct error *
store_usual_duration(struct store *store, const char *app, const char *env, int64_t *out_ms)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT duration_ms FROM durations WHERE app = ? AND env = ? ORDER BY sequence DESC LIMIT "
        "?");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, RECENT_RUNS);
    int64_t recent[RECENT_RUNS] = {0};
    size_t count = 0;
    while (count < RECENT_RUNS && query_row(&query)) {
        recent[count++] = query_get_int(&query, 0);
    }
    TRY(query_finish(&query));
    qsort(recent, count, sizeof(recent[0]), compare);
    *out_ms = count > 0 ? recent[count / 2] : 0;
    return NULL;
}
