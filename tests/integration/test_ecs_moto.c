// ECS and CloudWatch Logs over libcurl against moto_server, which rebuilds every signature with
// botocore and checks permissions. What moto lacks (service deployments, Express Mode) it answers
// with a page of HTML, which must read as an outage. with_moto.py makes the cluster and the logs.
#include "dispatcher/ecs.h"
#include "dispatcher/logs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/memory.h"

extern char **environ;

struct world {
    struct environment *given, *env;
    struct platform platform;
    struct http_client *http;
    struct aws_session *session;
    struct arena *arena;
};

static void
world_done(struct world *world)
{
    aws_session_free(world->session);
    http_client_free(world->http);
    environment_free(world->env);
    environment_free(world->given);
    arena_free(world->arena);
}

static const char *
given(const struct world *world, const char *name)
{
    const char *value = environment_get(world->given, name);
    if (value == NULL) {
        fail_msg("%s is not set: run this program by with_moto.py", name);
    }
    return value;
}

static void
world_open(struct world *world, bool nobody)
{
    world->arena = arena_new();
    world->given = environment_new(environ);
    char *list[] = {
        arena_printf(world->arena, "AWS_ENDPOINT_URL=%s", given(world, "TEST_ENDPOINT")),
        arena_printf(world->arena, "AWS_REGION=%s", given(world, "TEST_REGION")),
        arena_printf(world->arena, "AWS_ACCESS_KEY_ID=%s",
            given(world, nobody ? "TEST_NOBODY_KEY" : "TEST_KEY")),
        arena_printf(world->arena, "AWS_SECRET_ACCESS_KEY=%s",
            given(world, nobody ? "TEST_NOBODY_SECRET" : "TEST_SECRET")),
        arena_dup(world->arena, "AWS_MAX_ATTEMPTS=1"),
        NULL,
    };
    world->env = environment_new(list);
    world->platform =
        (struct platform){.clock = &clock_system, .random = &random_system, .env = world->env};
    assert_success(http_client_new(&world->platform, NULL, &world->http));
    assert_success(aws_session_new(&world->platform, world->http, NULL, &world->session));
}

static void
finds_the_cluster_and_its_service(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecs_cluster cluster = {0}, none = {0};
    struct ecs_service found[2] = {0};
    world_open(&world, false);
    assert_success(ecs_cluster_describe(world.session, "prod", world.arena, &cluster));
    assert_string_equal(cluster.name, "prod");
    assert_string_equal(cluster.status, "ACTIVE");
    assert_success(ecs_cluster_describe(world.session, "test", world.arena, &none));
    assert_null(none.arn);
    assert_success(ecs_services_describe(
        world.session, "prod", (const char *[]){"nobody", "web"}, 2, world.arena, found));
    assert_null(found[0].arn);
    assert_string_equal(found[1].name, "web");
    assert_string_equal(found[1].status, "ACTIVE");
    assert_string_equal(found[1].controller, "ECS");
    assert_int_equal(found[1].desired, 2);
    assert_int_equal(found[1].running, 2);
    assert_int_equal(found[1].classic_count, 1);
    assert_string_equal(found[1].classic[0].rollout_state, "COMPLETED");
    assert_non_null(strstr(found[1].network_json, "\"subnets\":[\"subnet-"));
}

static void
a_missing_permission_and_a_missing_cluster_are_named(void **state)
{
    (void)state;
    struct world nobody CLEANUP(world_done) = {0}, admin CLEANUP(world_done) = {0};
    struct ecs_service web = {0};
    world_open(&nobody, true);
    struct error *err = ecs_services_describe(
        nobody.session, "prod", (const char *[]){"web"}, 1, nobody.arena, &web);
    assert_true(aws_is_denied(err));
    assert_non_null(strstr(error_hint_of(err), "'ecs:DescribeServices'"));
    error_free(err);
    world_open(&admin, false);
    err =
        ecs_services_describe(admin.session, "moon", (const char *[]){"web"}, 1, admin.arena, &web);
    assert_true(aws_has_code(err, "ClusterNotFoundException"));
    assert_int_equal(error_kind(err), ERROR_REFUSED);
    error_free(err);
}

static void
copies_a_task_definition(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecs_task_definition old CLEANUP(ecs_task_definition_done) = {0};
    struct ecs_task_definition new CLEANUP(ecs_task_definition_done) = {0};
    struct json *body CLEANUP(json_freep) = NULL;
    struct json *again CLEANUP(json_freep) = NULL;
    struct pair release = {"release", "v2"};
    const char *arn = NULL, *image = NULL;
    world_open(&world, false);
    assert_success(ecs_task_definition_get(world.session, "web:1", world.arena, &old));
    const struct ecs_copy copy = {&old, NULL, "repo@sha256:42", {&release, 1}};
    assert_success(ecs_task_definition_copy(&copy, &body));
    assert_success(ecs_task_definition_register(world.session, body, world.arena, &arn));
    assert_success(ecs_task_definition_get(world.session, arn, world.arena, &new));
    assert_int_equal(new.revision, 2);
    assert_success(ecs_task_definition_image(new.document, "web", NULL, &image));
    assert_string_equal(image, "repo@sha256:42");
    // Registered and read back, it is what was sent.
    const struct ecs_copy same = {.from = &new, .image = "repo@sha256:42"};
    assert_success(ecs_task_definition_copy(&same, &again));
    static const char *const members[] = {"family", "networkMode", "cpu", "memory",
        "requiresCompatibilities", "containerDefinitions", "tags"};
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        char *sent CLEANUP(xfreep) = json_text(json_get(body, members[i]));
        char *kept CLEANUP(xfreep) = json_text(json_get(again, members[i]));
        assert_string_equal(kept, sent);
    }
    struct str_list list = {0};
    assert_success(ecs_task_definition_list(world.session, "web", 10, world.arena, &list));
    assert_int_equal(list.count, 2);
    assert_success(ecs_task_definition_get(world.session, "moon", world.arena, &new));
    assert_null(new.arn);
}

static void
updates_and_tags_the_service(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecs_service web = {0};
    struct pair_list tags = {0};
    const struct pair mark = {"release", "v2"};
    const struct ecs_service_change change = {"prod", "web", "web:1", true};
    world_open(&world, false);
    assert_success(ecs_service_update(world.session, &change, world.arena, &web));
    assert_string_equal(web.name, "web");
    assert_success(ecs_tags_add(world.session, web.arn, &mark, 1));
    assert_success(ecs_tags_get(world.session, web.arn, world.arena, &tags));
    assert_int_equal(tags.count, 1);
    assert_string_equal(tags.items[0].key, "release");
    assert_string_equal(tags.items[0].value, "v2");
}

static void
runs_a_task_to_its_end(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecs_service web = {0};
    struct ecs_task_start start = {0};
    struct ecs_task task = {0};
    struct str_list list = {0};
    const char *command[] = {"./migrate"};
    world_open(&world, false);
    assert_success(ecs_services_describe(
        world.session, "prod", (const char *[]){"web"}, 1, world.arena, &web));
    const struct ecs_task_request request = {.cluster = "prod",
        .task_definition = "web:1",
        .container = "web",
        .command = {command, 1},
        .network_json = web.network_json,
        .launch_type = web.launch_type,
        .started_by = "dispatcher/1",
        .client_token = "0123456789abcdef"};
    assert_success(ecs_task_run(world.session, &request, world.arena, &start));
    assert_string_equal(start.task.started_by, "dispatcher/1");
    const struct ecs_task_filter mine = {.cluster = "prod", .started_by = "dispatcher/1"};
    assert_success(ecs_tasks_list(world.session, &mine, world.arena, &list));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0], start.task.arn);
    assert_success(ecs_task_stop(world.session, "prod", start.task.arn, "tried"));
    assert_success(
        ecs_tasks_describe(world.session, "prod", &start.task.id, 1, world.arena, &task));
    assert_string_equal(task.arn, start.task.arn);
    assert_string_equal(task.desired_status, "STOPPED");
    assert_string_equal(task.stopped_reason, "tried");
    assert_success(ecs_tasks_describe(world.session, "prod",
        (const char *[]){"00000000000000000000000000000000"}, 1, world.arena, &task));
    assert_null(task.arn);
}

static void
what_moto_lacks_reads_as_an_outage(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct ecs_deployment_summary *list = NULL;
    struct ecs_express express = {0};
    size_t count = 0;
    const struct ecs_deployment_query query = {.cluster = "prod", .service = "web"};
    world_open(&world, false);
    struct error *err = ecs_deployments_list(world.session, &query, world.arena, &list, &count);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    error_free(err);
    err = ecs_express_describe(world.session, "arn:x", world.arena, &express);
    assert_non_null(err);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    error_free(err);
}

static void
reads_logs_in_pages(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    struct logs_page page = {0}, rest = {0}, none = {0};
    world_open(&world, false);
    struct logs_stream stream = {.group = "/ecs/web", .name = "ecs/web/0a", .max_events = 10};
    assert_success(logs_stream_read(world.session, &stream, world.arena, &page));
    assert_true(page.found && page.more);
    assert_int_equal(page.count, 10);
    assert_string_equal(page.events[0].message, "ecs/web/0a line 0 ü");
    stream.token = page.token;
    stream.max_events = 100;
    assert_success(logs_stream_read(world.session, &stream, world.arena, &rest));
    assert_int_equal(rest.count, 15);
    assert_false(rest.more);
    assert_string_equal(rest.events[14].message, "ecs/web/0a line 24 ü");
    stream = (struct logs_stream){.group = "/ecs/web", .name = "ecs/web/0z"};
    assert_success(logs_stream_read(world.session, &stream, world.arena, &none));
    assert_false(none.found);
}

static void
searches_a_log_group(void **state)
{
    (void)state;
    struct world world CLEANUP(world_done) = {0};
    const char *streams[] = {"ecs/web/0b", "ecs/web/0a"}; // moto knows no prefixes
    struct logs_page page = {0}, newest = {0}, none = {0};
    world_open(&world, false);
    const struct logs_query one = {.group = "/ecs/web", .streams = {streams, 1}};
    assert_success(logs_filter(world.session, &one, world.arena, &page));
    assert_int_equal(page.count, 1);
    assert_string_equal(page.events[0].stream, "ecs/web/0b");
    const struct logs_query last = {
        .group = "/ecs/web", .streams = {streams + 1, 1}, .max_events = 3, .newest = true};
    assert_success(logs_filter(world.session, &last, world.arena, &newest));
    assert_int_equal(newest.count, 3);
    assert_true(newest.more);
    assert_string_equal(newest.events[2].message, "ecs/web/0a line 24 ü");
    const struct logs_query missing = {.group = "/ecs/moon"};
    assert_success(logs_filter(world.session, &missing, world.arena, &none));
    assert_false(none.found);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_cluster_and_its_service),
        cmocka_unit_test(a_missing_permission_and_a_missing_cluster_are_named),
        cmocka_unit_test(copies_a_task_definition),
        cmocka_unit_test(updates_and_tags_the_service),
        cmocka_unit_test(runs_a_task_to_its_end),
        cmocka_unit_test(what_moto_lacks_reads_as_an_outage),
        cmocka_unit_test(reads_logs_in_pages),
        cmocka_unit_test(searches_a_log_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
