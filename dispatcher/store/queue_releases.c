// What runs where, and since when: one open release a lane, the others closed. Told by the queue,
// not by looking at the platform.
#include "queue_internal.h"

#define RELEASE_COLUMNS "app, env, version, digests, sha, deployment, since_ms, until_ms"
#define RELEASE_READ                                                                               \
    RELEASE_COLUMNS ", (SELECT requester FROM jobs WHERE jobs.id = releases.deployment)"

enum { LIST_DEFAULT = 50 };

static struct error *
close_current(struct store *store, const struct queue_release *release)
{
    struct query query CLEANUP(query_done);
    // A clock that went back makes no time below zero.
    query_init(&query, store,
        "UPDATE releases SET until_ms = CASE WHEN since_ms > ?3 THEN since_ms ELSE ?3 END"
        " WHERE app = ?1 AND env = ?2 AND until_ms = 0");
    query_text(&query, release->app);
    query_text(&query, release->env);
    query_int(&query, release->since_ms);
    return query_run(&query);
}

static struct error *
is_known(struct store *store, const char *deployment, bool *known)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, "SELECT 1 FROM releases WHERE deployment = ?");
    query_text(&query, deployment);
    return queue_run_found(&query, known);
}

static struct error *
add(struct store *store, const struct queue_release *release)
{
    bool known = false;
    TRY(queue_lane_lock(store, release->app, release->env));
    TRY(is_known(store, release->deployment, &known));
    if (known) {
        return NULL; // told again after a crash
    }
    TRY(close_current(store, release));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "INSERT INTO releases (" RELEASE_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, 0)");
    query_text(&query, release->app);
    query_text(&query, release->env);
    query_text(&query, release->version);
    query_text(&query, release->digests);
    query_text(&query, release->sha);
    query_text(&query, release->deployment);
    query_int(&query, release->since_ms);
    return query_run(&query);
}

struct error *
queue_release_add(struct store *store, const struct queue_release *release)
{
    TRY(store_begin(store));
    return store_end(store, add(store, release));
}

static struct error *
read_all(struct query *query, struct arena *arena, struct queue_release **out, size_t *count)
{
    struct queue_release *found = NULL;
    size_t length = 0;
    while (query_row(query)) {
        found = store_grow(arena, found, length, sizeof(*found));
        found[length++] = (struct queue_release){
            .app = query_get_text(query, 0, arena),
            .env = query_get_text(query, 1, arena),
            .version = query_get_text(query, 2, arena),
            .digests = query_get_text(query, 3, arena),
            .sha = query_get_text(query, 4, arena),
            .deployment = query_get_text(query, 5, arena),
            .since_ms = query_get_int(query, 6),
            .until_ms = query_get_int(query, 7),
            .requester = query_get_text(query, 8, arena),
        };
    }
    TRY(query_finish(query));
    *out = found;
    *count = length;
    return NULL;
}

struct error *
queue_release_at(struct store *store, const char *app, const char *env, int64_t at_ms,
    struct arena *arena, struct queue_release **out)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " RELEASE_READ " FROM releases WHERE app = ? AND env = ? AND since_ms <= ?3"
        " AND (until_ms = 0 OR until_ms > ?3) ORDER BY sequence DESC LIMIT 1");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, at_ms > 0 ? at_ms : INT64_MAX);
    struct queue_release *found = NULL;
    size_t count = 0;
    TRY(read_all(&query, arena, &found, &count));
    *out = count > 0 ? found : NULL;
    return NULL;
}

struct error *
queue_releases(struct store *store, const char *app, const char *env, int limit,
    struct arena *arena, struct queue_release **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " RELEASE_READ " FROM releases WHERE app = ? AND env = ?"
        " ORDER BY sequence DESC LIMIT ?");
    query_text(&query, app);
    query_text(&query, env);
    query_int(&query, limit > 0 ? limit : LIST_DEFAULT);
    return read_all(&query, arena, out, count);
}

struct error *
queue_releases_now(
    struct store *store, struct arena *arena, struct queue_release **out, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " RELEASE_READ " FROM releases WHERE until_ms = 0 ORDER BY app, env");
    return read_all(&query, arena, out, count);
}
