// What is done to a deployment that a worker decides in the same moment: whoever asked is told
// how it stands, and the audit log does not say that anything was done.
// wraps: writer_do
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "queue_fixture.h"
#include "service_state_internal.h"

enum { NOW = 1000 * 1000 };

static struct queue_fixture *fixture_now;
static bool begins, ends; // meanwhile

struct error *__wrap_writer_do(struct service *service, struct store_op *op);

struct error *
__wrap_writer_do(struct service *service, struct store_op *op)
{
    (void)service;
    struct queue_job *job = begins ? queue_fixture_start(fixture_now, NOW) : NULL;
    if (ends) {
        queue_fixture_end(fixture_now, job, "deployed", NOW);
    }
    assert_null(store_group(fixture_now->store, op, 1));
    return op->err;
}

typedef struct error *change_fn(struct request *request, struct response *response,
    const struct queue_job *job, const char *reason);

// By an admin, of a deployment that waited when it was looked at.
static void
assert_too_late(struct queue_fixture *fixture, change_fn *change, const char *says)
{
    struct setting_server settings = {.url = "https://dispatcher.example.org"};
    struct service service = {.platform = {.clock = &clock_system}};
    struct request request = {.service = &service,
        .store = fixture->store,
        .arena = fixture->arena,
        .id = "r-1",
        .wall_ms = NOW,
        .caller = {.kind = CALLER_PERSON,
            .person = {.login = "hubot", .id = 2},
            .admin = true,
            .actor = "hubot",
            .actor_id = 2}};
    struct response response = {.status = 200};
    struct audit_entry *entries = NULL;
    size_t count = 0;
    const struct audit_filter all = {.limit = 10};
    const struct queue_job wanted = queue_fixture_job("d-1", "shop", "staging");
    const struct queue_job *job = queue_fixture_accept(fixture, &wanted, NOW);
    atomic_store(&service.settings, &settings);
    buf_init(&response.body, 64 * 1024);
    fixture_now = fixture;
    assert_null(change(&request, &response, job, "wrong button"));
    assert_non_null(response.code);
    assert_string_equal(response.code, "state-conflict");
    assert_int_equal(response.status, 409);
    assert_non_null(strstr(buf_cstr(&response.body), says));
    assert_null(audit_list(fixture->store, &all, fixture->arena, &entries, &count));
    assert_int_equal(count, 0);
    buf_done(&response.body);
    http_headers_done(&response.headers);
}

static void
a_cancellation_that_comes_too_late(void **state)
{
    begins = ends = true;
    assert_too_late(*state, api_changes_stop, "deployment 'd-1' has ended (deployed)");
    assert_string_equal(queue_fixture_get(*state, "d-1")->result, "deployed");
}

static void
one_that_has_begun_is_not_put_first(void **state)
{
    begins = true;
    ends = false;
    assert_too_late(*state, api_changes_put_first, "deployment 'd-1' has begun");
    assert_false(queue_fixture_get(*state, "d-1")->urgent);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(a_cancellation_that_comes_too_late),
        QUEUE_TEST(one_that_has_begun_is_not_put_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
