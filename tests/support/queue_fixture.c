// Short ways of the queue's tests. Decides nothing.
#include "queue_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dispatcher/memory.h"
#include "store_lab.h"
#include "temp_dir.h"

int
queue_fixture_set_up(void **state)
{
    struct queue_fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->dir = temp_dir_new();
    fixture->path = store_lab_place(fixture->dir);
    fixture->arena = arena_new();
    assert_null(store_open(fixture->path, &fixture->store));
    *state = fixture;
    return 0;
}

int
queue_fixture_tear_down(void **state)
{
    struct queue_fixture *fixture = *state;
    store_close(fixture->store);
    arena_free(fixture->arena);
    temp_dir_removep(&fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

struct queue_job
queue_fixture_job(const char *id, const char *app, const char *env)
{
    return (struct queue_job){.id = id,
        .app = app,
        .env = env,
        .verb = "deploy",
        .version = "v1",
        .request = "{\"verb\":\"deploy\"}",
        .requester = "octocat",
        .repository = "acme/payments",
        .repository_id = 42};
}

struct queue_job *
queue_fixture_accept(struct queue_fixture *fixture, const struct queue_job *job, int64_t now_ms)
{
    const struct queue_acceptance acceptance = {.job = job};
    enum queue_accepted outcome = QUEUE_FULL;
    const char *id = NULL;
    assert_null(queue_accept(fixture->store, &acceptance, now_ms, fixture->arena, &outcome, &id));
    assert_int_equal(outcome, QUEUE_NEW);
    assert_string_equal(id, job->id);
    return queue_fixture_get(fixture, id);
}

struct queue_job *
queue_fixture_get(struct queue_fixture *fixture, const char *id)
{
    struct queue_job *job = NULL;
    assert_null(queue_get(fixture->store, id, fixture->arena, &job));
    assert_non_null(job);
    return job;
}

struct queue_job *
queue_fixture_heads(struct queue_fixture *fixture, const char *owner, int64_t now_ms, size_t *count)
{
    struct queue_job *jobs = NULL;
    size_t length = 0;
    assert_null(queue_lease_heads(
        fixture->store, owner, now_ms, 1000, 100, fixture->arena, &jobs, &length));
    if (count != NULL) {
        *count = length;
    }
    return length > 0 ? jobs : NULL;
}

struct queue_job *
queue_fixture_running(
    struct queue_fixture *fixture, const char *owner, int64_t now_ms, size_t *count)
{
    struct queue_job *jobs = NULL;
    size_t length = 0;
    assert_null(queue_lease_running(
        fixture->store, owner, now_ms, 1000, 100, fixture->arena, &jobs, &length));
    if (count != NULL) {
        *count = length;
    }
    return length > 0 ? jobs : NULL;
}

struct queue_job *
queue_fixture_start(struct queue_fixture *fixture, int64_t now_ms)
{
    size_t count = 0;
    bool started = false;
    struct queue_job *job = queue_fixture_heads(fixture, "w1", now_ms, &count);
    assert_int_equal(count, 1);
    assert_null(queue_start(fixture->store, job, now_ms, &started));
    assert_true(started);
    return job;
}

void
queue_fixture_end(
    struct queue_fixture *fixture, struct queue_job *job, const char *result, int64_t now_ms)
{
    job->result = result;
    assert_null(queue_end(fixture->store, job, now_ms));
}

void
queue_fixture_conflict(struct error *err)
{
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_CONFLICT);
    error_free(err);
}
