// Copies of task definitions lose nothing but what only Describe returns; containers are found, or
// said not to be; log streams are named as ECS names them.
#include "dispatcher/ecs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_dialog.h"
#include "dispatcher/memory.h"
#include "golden.h"

static struct json *
parse(const char *text)
{
    struct json *value = NULL;
    assert_success(json_parse(str_of(text), &json_limits_default, &value));
    return value;
}

static struct json *
read_json(const char *name)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct json *value = NULL;
    golden_read(name, &text);
    assert_success(json_parse(buf_str(&text), &json_limits_default, &value));
    return value;
}

static void
assert_same_json(const struct json *actual, const struct json *expected)
{
    struct buf left CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    struct buf right CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    json_print(actual, true, &left);
    json_print(expected, true, &right);
    assert_string_equal(buf_cstr(&left), buf_cstr(&right));
}

// made by tests/golden/ecs/make.py from botocore's model
static void
every_member_of_the_model_comes_back(void **state)
{
    (void)state;
    struct json *answer CLEANUP(json_freep) = read_json("ecs/described.json");
    struct json *expected CLEANUP(json_freep) = read_json("ecs/registered.json");
    struct json *body CLEANUP(json_freep) = NULL;
    struct ecs_task_definition from CLEANUP(ecs_task_definition_done) = {
        .document = json_clone(json_get(answer, "taskDefinition")),
        .tags = json_clone(json_get(answer, "tags"))};
    struct pair release = {"release", "v2"};
    const struct ecs_copy copy = {&from, "web", "new@sha256:42", {&release, 1}};
    assert_success(ecs_task_definition_copy(&copy, &body));
    assert_same_json(body, expected);
    // The only essential container is the one when none is named.
    const struct ecs_copy unnamed = {&from, NULL, "new@sha256:42", {&release, 1}};
    json_freep(&body);
    assert_success(ecs_task_definition_copy(&unnamed, &body));
    assert_same_json(body, expected);
}

static void
the_same_image_changes_nothing(void **state)
{
    (void)state;
    struct json *answer CLEANUP(json_freep) = read_json("ecs/described.json");
    struct json *body CLEANUP(json_freep) = NULL;
    struct json *again CLEANUP(json_freep) = NULL;
    struct ecs_task_definition from CLEANUP(ecs_task_definition_done) = {
        .document = json_clone(json_get(answer, "taskDefinition"))};
    const struct ecs_copy copy = {.from = &from, .container = "web", .image = "old:1"};
    assert_success(ecs_task_definition_copy(&copy, &body));
    assert_null(json_get(body, "tags"));
    struct ecs_task_definition next CLEANUP(ecs_task_definition_done) = {
        .document = json_clone(body)};
    const struct ecs_copy copy_of_copy = {.from = &next, .container = "web", .image = "old:1"};
    assert_success(ecs_task_definition_copy(&copy_of_copy, &again));
    assert_same_json(again, body);
    const char *image = NULL;
    assert_success(ecs_task_definition_image(body, "web", NULL, &image));
    assert_string_equal(image, "old:1");
}

#define WEB "{\"name\":\"web\",\"image\":\"w:1\"}"
#define SIDE(name) "{\"name\":\"" name "\",\"image\":\"s:1\",\"essential\":false}"
#define DEFINITION(list) "{\"family\":\"shop\",\"containerDefinitions\":[" list "]}"

static void
containers_are_found_by_name_or_by_being_the_only_one(void **state)
{
    (void)state;
    static const struct {
        const char *document, *container, *name, *image;
    } rows[] = {
        {DEFINITION(WEB), NULL, "web", "w:1"},
        {DEFINITION(SIDE("a")), NULL, "a", "s:1"},
        {DEFINITION(SIDE("a") "," WEB "," SIDE("b")), NULL, "web", "w:1"},
        {DEFINITION(SIDE("a") "," WEB), "a", "a", "s:1"},
        {DEFINITION("{\"name\":\"x\",\"image\":\"x:1\",\"essential\":true}," SIDE("a")), NULL, "x",
            "x:1"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct json *document CLEANUP(json_freep) = parse(rows[i].document);
        const char *name = NULL, *image = NULL;
        assert_success(ecs_task_definition_image(document, rows[i].container, &name, &image));
        assert_string_equal(name, rows[i].name);
        assert_string_equal(image, rows[i].image);
    }
}

static void
containers_that_are_not_there_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *document, *container, *text, *hint;
        enum error_kind kind;
    } rows[] = {
        {DEFINITION(WEB "," SIDE("proxy") "," SIDE("logs")), "wbe",
            "task definition 'shop' has no container 'wbe'",
            "It has 'web', 'proxy' and 'logs'. Did you mean 'web'?", ERROR_SPEC},
        {DEFINITION(WEB), "database", "task definition 'shop' has no container 'database'",
            "It has 'web'.", ERROR_SPEC},
        {DEFINITION(WEB ",{\"name\":\"api\",\"image\":\"a:1\"}," SIDE("logs")), NULL,
            "task definition 'shop' has 3 containers and none was named",
            "It has 'web', 'api' and 'logs'.", ERROR_SPEC},
        {DEFINITION(SIDE("a") "," SIDE("b")), NULL,
            "task definition 'shop' has 2 containers and none was named", "It has 'a' and 'b'.",
            ERROR_SPEC},
        {"{\"family\":\"sh\\u001b[1mop\",\"containerDefinitions\":[]}", "web",
            "unusable answer: task definition 'shop' has no 'containerDefinitions' (HTTP 200)",
            NULL, ERROR_UNAVAILABLE},
        {"{\"containerDefinitions\":{}}", NULL,
            "unusable answer: task definition '?' has no 'containerDefinitions' (HTTP 200)", NULL,
            ERROR_UNAVAILABLE},
        {"7", NULL, "unusable answer: task definition '?' has no 'containerDefinitions' (HTTP 200)",
            NULL, ERROR_UNAVAILABLE},
        {DEFINITION("{\"name\":\"web\"}"), NULL,
            "unusable answer: a container without 'name' or 'image' (HTTP 200)", NULL,
            ERROR_UNAVAILABLE},
        {DEFINITION("7"), NULL, "unusable answer: a container without 'name' or 'image' (HTTP 200)",
            NULL, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct json *document CLEANUP(json_freep) = parse(rows[i].document);
        const char *image = NULL;
        assert_failure(ecs_task_definition_image(document, rows[i].container, NULL, &image),
            rows[i].kind, rows[i].text, rows[i].hint);
        assert_null(image);
    }
}

static void
a_copy_fails_where_finding_fails(void **state)
{
    (void)state;
    struct json *body = NULL;
    struct ecs_task_definition from CLEANUP(ecs_task_definition_done) = {
        .document = parse(DEFINITION(WEB))};
    const struct ecs_copy copy = {.from = &from, .container = "app", .image = "x"};
    assert_failure(ecs_task_definition_copy(&copy, &body), ERROR_SPEC,
        "task definition 'shop' has no container 'app'", "It has 'web'.");
    const struct ecs_copy good = {.from = &from, .image = "x"};
    from.tags = parse("[{\"value\":\"no key\"}]");
    assert_failure(ecs_task_definition_copy(&good, &body), ERROR_UNAVAILABLE,
        "unusable answer: a tag without 'key' (HTTP 200)", NULL);
    struct ecs_task_definition odd CLEANUP(ecs_task_definition_done) = {
        .document = parse(DEFINITION("7"))};
    const struct ecs_copy of_odd = {.from = &odd, .image = "x"};
    assert_failure(ecs_task_definition_copy(&of_odd, &body), ERROR_UNAVAILABLE,
        "unusable answer: 'containerDefinitions' holds something else than objects (HTTP 200)",
        NULL);
    assert_null(body);
}

static void
many_containers_make_a_short_hint(void **state)
{
    (void)state;
    struct json *document CLEANUP(json_freep) = json_make_object();
    struct json *list = json_make_array();
    for (int i = 0; i < 200; i++) {
        char *text CLEANUP(xfreep) = xasprintf("{\"name\":\"container-%d\",\"image\":\"x\"}", i);
        json_append(list, parse(text));
    }
    json_set(document, "containerDefinitions", list);
    json_set_str(document, "family", "big");
    assert_failure(ecs_task_definition_image(document, NULL, NULL, NULL), ERROR_SPEC,
        "task definition 'big' has 200 containers and none was named", "It has 200 containers.");
}

static void
containers_are_listed(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *document CLEANUP(json_freep) = parse(DEFINITION(WEB ",7," SIDE("b")));
    struct str_list names = ecs_task_definition_containers(document, arena);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.items[0], "web");
    assert_string_equal(names.items[1], "");
    assert_string_equal(names.items[2], "b");
}

#define LOGGED(name, driver, options)                                                              \
    "{\"name\":\"" name "\",\"image\":\"x\",\"logConfiguration\":{\"logDriver\":\"" driver         \
    "\",\"options\":" options "}}"

static const char logging[] = DEFINITION(LOGGED("web", "awslogs",
    "{\"awslogs-group\":\"/ecs/web\",\"awslogs-region\":\"us-east-1\",\"awslogs-stream-prefix\":"
    "\"ecs\"}") "," LOGGED("plain", "awslogs",
    "{\"awslogs-group\":\"/ecs/plain\"}") "," LOGGED("other", "splunk",
    "{\"awslogs-group\":\"/ecs/no\"}") "," LOGGED("odd", "awslogs", "7") "," WEB);

static void
log_streams_are_named_as_ecs_names_them(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *document CLEANUP(json_freep) = parse(logging);
    struct ecs_log_stream stream = {0};
    assert_true(ecs_task_log_stream(
        document, "web", "arn:aws:ecs:us-east-1:012345678901:task/prod/0a1b", arena, &stream));
    assert_string_equal(stream.group, "/ecs/web");
    assert_string_equal(stream.name, "ecs/web/0a1b");
    assert_string_equal(stream.region, "us-east-1");
    assert_true(ecs_task_log_stream(document, "web", "0a1c", arena, &stream));
    assert_string_equal(stream.name, "ecs/web/0a1c");
    static const char *const without[] = {"plain", "other", "odd", "nobody"};
    for (size_t i = 0; i < ARRAY_LENGTH(without); i++) {
        assert_false(ecs_task_log_stream(document, without[i], "t", arena, &stream));
    }
    struct ecs_log_target *targets = NULL;
    size_t count = 0;
    ecs_task_definition_log_targets(document, arena, &targets, &count);
    assert_int_equal(count, 2);
    assert_string_equal(targets[0].container, "web");
    assert_string_equal(targets[0].prefix, "ecs");
    assert_string_equal(targets[1].container, "plain");
    assert_string_equal(targets[1].group, "/ecs/plain");
    assert_null(targets[1].prefix);
    assert_null(targets[1].region);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_of_the_model_comes_back),
        cmocka_unit_test(the_same_image_changes_nothing),
        cmocka_unit_test(containers_are_found_by_name_or_by_being_the_only_one),
        cmocka_unit_test(containers_that_are_not_there_are_named),
        cmocka_unit_test(a_copy_fails_where_finding_fails),
        cmocka_unit_test(many_containers_make_a_short_hint),
        cmocka_unit_test(containers_are_listed),
        cmocka_unit_test(log_streams_are_named_as_ecs_names_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
