// A store with a queue for one test: short ways to accept, lease and look.
//
// Where a function can fail and the test expects it not to, the failure ends the test.
#pragma once

#include "dispatcher/queue.h"

struct queue_fixture {
    char *dir, *path; // of the database of store_lab.h
    struct store *store;
    struct arena *arena;
};

/// The fixture is *state.
int queue_fixture_set_up(void **state);
int queue_fixture_tear_down(void **state);
#define QUEUE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, queue_fixture_set_up, queue_fixture_tear_down)

/// A deploy of "v<id>" by "octocat", to be changed before it is accepted.
struct queue_job queue_fixture_job(const char *id, const char *app, const char *env);
/// Accepts it without key and token at `now_ms`; the job as it is then.
struct queue_job *queue_fixture_accept(
    struct queue_fixture *fixture, const struct queue_job *job, int64_t now_ms);
struct queue_job *queue_fixture_get(struct queue_fixture *fixture, const char *id);
/// Leases at most 100 heads for 1,000 ms and returns the first, or NULL; *count may be NULL.
struct queue_job *queue_fixture_heads(
    struct queue_fixture *fixture, const char *owner, int64_t now_ms, size_t *count);
/// The same with running jobs.
struct queue_job *queue_fixture_running(
    struct queue_fixture *fixture, const char *owner, int64_t now_ms, size_t *count);
/// Leases the heads and starts the only one.
struct queue_job *queue_fixture_start(struct queue_fixture *fixture, int64_t now_ms);
void queue_fixture_end(
    struct queue_fixture *fixture, struct queue_job *job, const char *result, int64_t now_ms);
/// ERROR_CONFLICT, freed.
void queue_fixture_conflict(struct error *err);
