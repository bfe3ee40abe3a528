// Dropping what is old, a bounded number of rows at a time. Never deployments, jobs, releases,
// locks or audit entries, nor the events of a deployment that runs.
#include "queue_internal.h"

#define BATCH "1000"

static const char drop_events[] =
    "DELETE FROM events WHERE sequence IN (SELECT e.sequence FROM events e"
    " JOIN deployments d ON d.id = e.deployment WHERE e.at_ms <= ? AND d.state = 'final'"
    " ORDER BY e.at_ms LIMIT " BATCH ")";
static const char drop_deliveries[] =
    "DELETE FROM deliveries WHERE sequence IN (SELECT sequence FROM deliveries WHERE at_ms <= ?"
    " ORDER BY at_ms LIMIT " BATCH ")";
static const char drop_tokens[] =
    "DELETE FROM tokens WHERE jti IN (SELECT jti FROM tokens WHERE until_ms <= ?"
    " ORDER BY until_ms LIMIT " BATCH ")";
static const char drop_sessions[] =
    "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_ms <= ?"
    " ORDER BY expires_ms LIMIT " BATCH ")";

static struct error *
drop(struct store *store, const char *sql, int64_t until_ms, size_t *count)
{
    struct query query CLEANUP(query_done);
    query_init(&query, store, sql);
    query_int(&query, until_ms);
    TRY(query_run(&query));
    *count += (size_t)query_changes(&query);
    return NULL;
}

static struct error *
retain(struct store *store, const struct queue_retention *retention, int64_t now_ms, size_t *count)
{
    if (retention->events_ms > 0) {
        TRY(drop(store, drop_events, now_ms - retention->events_ms, count));
    }
    if (retention->deliveries_ms > 0) {
        TRY(drop(store, drop_deliveries, now_ms - retention->deliveries_ms, count));
    }
    TRY(drop(store, drop_tokens, now_ms, count));
    return drop(store, drop_sessions, now_ms, count);
}

struct error *
queue_retain(
    struct store *store, const struct queue_retention *retention, int64_t now_ms, size_t *count)
{
    size_t dropped = 0;
    TRY(store_begin(store));
    TRY(store_end(store, retain(store, retention, now_ms, &dropped)));
    *count = dropped;
    return NULL;
}
