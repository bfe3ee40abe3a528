// DORA's four keys of a lane, from the queue's own history: how often it is deployed to, how long a
// change takes to get there, how many go wrong, and how long that lasts. Medians, not means.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "page_internal.h"

enum {
    JOBS_MAX = 2000,
    DOCUMENTS_MAX = 60, // that are read for the times of commits
};
static const int64_t day_ms = INT64_C(24) * 3600 * 1000;

struct spans {
    int64_t *items;
    size_t count;
};

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static int64_t
median(struct spans *spans)
{
    if (spans->count == 0) {
        return -1;
    }
    if (spans->count > 1) {
        qsort(spans->items, spans->count, sizeof(*spans->items), compare);
    }
    size_t middle = spans->count / 2;
    return spans->count % 2 == 1 ? spans->items[middle]
                                 : (spans->items[middle - 1] + spans->items[middle]) / 2;
}

static bool
is_good(const struct queue_job *job)
{
    return cstr_equal(job->result, "deployed");
}

static bool
is_bad(const struct queue_job *job)
{
    return job->started_ms > 0 &&
           (cstr_equal(job->result, "failed") || cstr_equal(job->result, "unknown"));
}

static bool
is_rollback(const struct queue_job *job)
{
    return strcmp(job->verb, "rollback") == 0;
}

// When the oldest commit of a deployment was made; 0: not known.
static struct error *
committed_ms(struct request *request, const struct queue_job *job, int64_t *out)
{
    struct deployment *document = NULL;
    *out = 0;
    TRY(page_document(request, job->id, &document));
    if (document == NULL) {
        return NULL;
    }
    const struct deployment_commit *commits = document->commits.items;
    for (size_t i = 0; i < document->commits.count; i++) {
        if (commits[i].time_ms > 0 && (*out == 0 || commits[i].time_ms < *out)) {
            *out = commits[i].time_ms;
        }
    }
    return NULL;
}

// From the commit where that is known of most, else from when it was asked for, which is said.
static struct error *
set_lead(struct request *request, const struct queue_job *jobs, size_t count, struct web_keys *keys)
{
    struct spans commits = {arena_array(request->arena, count + 1, sizeof(int64_t)), 0};
    struct spans asked = {arena_array(request->arena, count + 1, sizeof(int64_t)), 0};
    size_t looked = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t at = 0;
        if (!is_good(&jobs[i]) || is_rollback(&jobs[i])) {
            continue;
        }
        asked.items[asked.count++] = jobs[i].ended_ms - jobs[i].created_ms;
        if (looked++ < DOCUMENTS_MAX) {
            TRY(committed_ms(request, &jobs[i], &at));
        }
        if (at > 0 && at < jobs[i].ended_ms) {
            commits.items[commits.count++] = jobs[i].ended_ms - at;
        }
    }
    looked = looked < DOCUMENTS_MAX ? looked : DOCUMENTS_MAX;
    keys->lead_from_commit = commits.count > 0 && commits.count * 2 > looked;
    keys->lead_ms = median(keys->lead_from_commit ? &commits : &asked);
    return NULL;
}

// Oldest first: from the first failure to the next good end.
static void
set_restore(
    struct request *request, const struct queue_job *jobs, size_t count, struct web_keys *keys)
{
    struct spans spans = {arena_array(request->arena, count + 1, sizeof(int64_t)), 0};
    int64_t broken_ms = 0;
    for (size_t i = count; i-- > 0;) { // they are newest first
        if (is_bad(&jobs[i]) && broken_ms == 0) {
            broken_ms = jobs[i].ended_ms;
        } else if (is_good(&jobs[i]) && broken_ms > 0) {
            spans.items[spans.count++] = jobs[i].ended_ms - broken_ms;
            broken_ms = 0;
        }
    }
    keys->restore_ms = median(&spans);
}

struct error *
page_keys(
    struct request *request, const char *app, const char *env, int64_t days, struct web_keys *out)
{
    struct queue_job *jobs = NULL;
    size_t count = 0, used = 0;
    struct web_keys keys = {.days = days};
    const struct queue_filter filter = {
        .app = app, .env = env, .state = "final", .limit = JOBS_MAX};
    TRY(queue_list(request->store, &filter, request->arena, &jobs, &count));
    while (used < count && jobs[used].created_ms >= request->wall_ms - days * day_ms) {
        const struct queue_job *job = &jobs[used++];
        keys.deployments += is_good(job);
        keys.ended += is_good(job) || is_bad(job);
        // A rollback that went well says that what it left was a failure.
        keys.failed += is_bad(job) || (is_good(job) && is_rollback(job));
    }
    keys.per_week_tenths = (keys.deployments * 70 + days / 2) / days;
    TRY(set_lead(request, jobs, used, &keys));
    set_restore(request, jobs, used, &keys);
    *out = keys;
    return NULL;
}
