// What a page over all lanes asks: one statement for all of them, whose cost goes by the number of
// lanes, however long their history is.
#include "queue_internal.h"

struct error *
queue_failures(struct store *store, struct arena *arena, struct queue_job **jobs, size_t *count)
{
    TRY(store_check(store));
    struct query query CLEANUP(query_done);
    query_init(&query, store,
        "SELECT " QUEUE_COLUMNS " FROM jobs WHERE result IN ('failed', 'unknown') AND number IN"
        " (SELECT (SELECT max(number) FROM jobs WHERE jobs.app = job_lanes.app"
        "   AND jobs.env = job_lanes.env AND state = 'final' AND started_ms > 0) FROM job_lanes)"
        " ORDER BY number DESC");
    return queue_read_jobs(&query, arena, jobs, count);
}
