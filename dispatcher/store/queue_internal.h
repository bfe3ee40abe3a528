// Shared by the files of the queue.
//
// Rows are locked in one order: the audit's head (store_group), a lane, its jobs. On SQLite a write
// transaction is alone anyway.
#pragma once

#include "dispatcher/queue.h"
#include "store_internal.h"

// In the order of queue_read_job.
#define QUEUE_COLUMNS                                                                              \
    "number, id, app, env, verb, version, request, state, result, exit_code, code, reason, who,"   \
    " until_ms, superseded_by, latest, emergency, urgent, requester, repository, repository_id,"   \
    " infra, run_id, trace, created_ms, started_ms, ended_ms, due_ms, attempts, cancel, owner,"    \
    " lease_until_ms, fence"

/// The row of QUEUE_COLUMNS that the query stands on.
struct queue_job queue_read_job(struct query *query, struct arena *arena);
/// All rows of it, in the arena.
NODISCARD struct error *queue_read_jobs(
    struct query *query, struct arena *arena, struct queue_job **jobs, size_t *count);
/// ERROR_CONFLICT: not ours to change any more.
struct error *queue_taken_over(const char *id) __attribute__((returns_nonnull));
/// The audit entry of an end that nobody decided just now: job->code and reason say why.
NODISCARD struct error *queue_audit_end(
    struct store *store, const struct queue_job *job, int64_t now_ms);
/// Runs a statement with RETURNING; *found: it gave a row.
NODISCARD struct error *queue_run_found(struct query *query, bool *found);

/// Nobody else changes the lane until the transaction ends.
NODISCARD struct error *queue_lane_lock(struct store *store, const char *app, const char *env);
/// After a change of its jobs: when its first one is due. `change`: of how many are queued.
NODISCARD struct error *queue_lane_settle(
    struct store *store, const char *app, const char *env, int64_t change);
/// The same to be sent; it has one row: when that is, or INT64_MAX.
void queue_lane_settle_ask(
    struct query *query, struct store *store, const char *app, const char *env, int64_t change);
