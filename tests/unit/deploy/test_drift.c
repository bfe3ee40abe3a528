// Drift: what a difference is, what is never quoted, how it is read, and what becomes of what may
// not be read.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deploy_story.h"
#include "dispatcher/memory.h"
#include "drift_internal.h"
#include "fake_targets.h"

#define PARAMETER "/shop/staging/web/version"
#define NEW "sha256:2222222222222222222222222222222222222222222222222222222222222222"

// --- pure ----------------------------------------------------------------------------------------

static const char *earlier_items[] = {"v1", "blue-7"};
static const struct str_list earlier = {earlier_items, 2};

static void
what_a_parameter_says_is_judged(void **state)
{
    (void)state;
    static const struct {
        const char *type, *value, *problem;
        bool absent;
        enum queue_drift_verdict verdict;
        const char *found, *sentence;
    } cases[] = {
        {"String", "v1", NULL, false, QUEUE_DRIFT_SAME, "v1", NULL},
        {"SecureString", "v1", NULL, false, QUEUE_DRIFT_SAME, "v1", NULL},
        {"String", "v9", NULL, false, QUEUE_DRIFT_DIFFERS, "v9",
            "Parameter '" PARAMETER "' says 'v9'; 'v1' is what was deployed last."},
        {NULL, NULL, NULL, true, QUEUE_DRIFT_DIFFERS, NULL,
            "Parameter '" PARAMETER "' does not exist; 'v1' is what was deployed last."},
        {NULL, NULL, "ssm:GetParameter is not allowed", true, QUEUE_DRIFT_UNKNOWN, NULL,
            "ssm:GetParameter is not allowed"},
        // Of a secret one only what is known for a version.
        {"SecureString", "blue-7", NULL, false, QUEUE_DRIFT_DIFFERS, "blue-7",
            "Parameter '" PARAMETER "' says 'blue-7'; 'v1' is what was deployed last."},
        {"SecureString", "v2.0.1", NULL, false, QUEUE_DRIFT_DIFFERS, "v2.0.1",
            "Parameter '" PARAMETER "' says 'v2.0.1'; 'v1' is what was deployed last."},
        {"SecureString", "1111111111111111111111111111111111111111", NULL, false,
            QUEUE_DRIFT_DIFFERS, "1111111111111111111111111111111111111111",
            "Parameter '" PARAMETER "' says '1111111111111111111111111111111111111111'; 'v1' is "
            "what was deployed last."},
        {"SecureString", "hunter2", NULL, false, QUEUE_DRIFT_DIFFERS, "(not shown, version 5)",
            "Parameter '" PARAMETER "' holds something else that is not shown, since it need not "
            "be a version; 'v1' is what was deployed last."},
        // A type that is not known here is a secret one.
        {NULL, "hunter2", NULL, false, QUEUE_DRIFT_DIFFERS, "(not shown, version 5)",
            "Parameter '" PARAMETER "' holds something else that is not shown, since it need not "
            "be a version; 'v1' is what was deployed last."},
        {"String", "a b", NULL, false, QUEUE_DRIFT_DIFFERS, "(not shown, version 5)",
            "Parameter '" PARAMETER "' holds something else that is not shown, since it need not "
            "be a version; 'v1' is what was deployed last."},
        {"String", "", NULL, false, QUEUE_DRIFT_DIFFERS, "(not shown, version 5)",
            "Parameter '" PARAMETER "' holds something else that is not shown, since it need not "
            "be a version; 'v1' is what was deployed last."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const struct ssm_parameter seen = {
            .name = PARAMETER, .value = cases[i].value, .type = cases[i].type, .version = 5};
        const struct drift_parameter parameter = {.service = "web",
            .name = PARAMETER,
            .version = "v1",
            .seen = cases[i].absent ? NULL : &seen,
            .problem = cases[i].problem,
            .versions = &earlier};
        const struct queue_drift_thing thing = drift_judge_parameter(&parameter, arena);
        assert_int_equal(thing.verdict, cases[i].verdict);
        assert_string_equal(thing.what, "parameter");
        assert_string_equal(thing.service, "web");
        assert_string_equal(thing.expected, "v1");
        if (cases[i].found != NULL) {
            assert_string_equal(thing.found, cases[i].found);
        } else {
            assert_null(thing.found);
        }
        if (cases[i].sentence != NULL) {
            assert_string_equal(thing.sentence, cases[i].sentence);
        }
    }
}

static void
what_runs_is_judged(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *running, *proof, *problem;
        bool proven;
        enum queue_drift_verdict verdict;
        const char *found, *sentence;
    } cases[] = {
        {"ecs", FAKE_OLD_DIGEST, "2 of 2", NULL, true, QUEUE_DRIFT_SAME, FAKE_OLD_DIGEST, NULL},
        {"ecs", NEW, "2 of 2 tasks run another", NULL, false, QUEUE_DRIFT_DIFFERS, NEW,
            "'web' does not run 'v1': 2 of 2 tasks run another."},
        {"ecs", NULL, "no task runs", NULL, false, QUEUE_DRIFT_DIFFERS, NULL,
            "'web' does not run 'v1': no task runs."},
        {"ecs", FAKE_OLD_DIGEST, "ECS does not tell the digest of 1 of 2 tasks", NULL, false,
            QUEUE_DRIFT_UNKNOWN, NULL,
            "What 'web' runs is not known: ECS does not tell the digest of 1 of 2 tasks."},
        {"apprunner", FAKE_OLD_DIGEST, "App Runner service 'shop' is PAUSED", NULL, false,
            QUEUE_DRIFT_UNKNOWN, NULL,
            "What 'web' runs is not known: App Runner service 'shop' is PAUSED."},
        {"apprunner", NULL, "it does not tell which", NULL, false, QUEUE_DRIFT_UNKNOWN, NULL,
            "What 'web' runs is not known: it does not tell which."},
        {"apprunner", NEW, "it is on another", NULL, false, QUEUE_DRIFT_DIFFERS, NEW,
            "'web' does not run 'v1': it is on another."},
        {"ecs", NULL, NULL, "What 'web' runs cannot be read: no", false, QUEUE_DRIFT_UNKNOWN, NULL,
            "What 'web' runs cannot be read: no"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        const struct deployment_target target = {.name = "web",
            .want = {.kind = cases[i].kind},
            .running_digest = cases[i].running,
            .proof = cases[i].proof,
            .proven = cases[i].proven};
        const struct queue_drift_thing thing =
            drift_judge_running(&target, "v1", FAKE_OLD_DIGEST, cases[i].problem, arena);
        assert_int_equal(thing.verdict, cases[i].verdict);
        assert_string_equal(thing.what, "running");
        assert_string_equal(thing.expected, FAKE_OLD_DIGEST);
        if (cases[i].found != NULL) {
            assert_string_equal(thing.found, cases[i].found);
        } else {
            assert_null(thing.found);
        }
        if (cases[i].sentence != NULL) {
            assert_string_equal(thing.sentence, cases[i].sentence);
        }
    }
}

// --- reading -------------------------------------------------------------------------------------

#define SPEC(services)                                                                             \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n" services                               \
    "deploy:\n  target: {kind: ecs, cluster: blue, service: \"shop-{service}\"}\n"
#define WEB "  web: {expose: 8080}\n"

struct look {
    struct story *story;
    struct spec_document config, app;
    struct deploy_given given;
    struct deploy_request request;
    struct deployment_service services[12];
    struct deployment proven;
    struct deploy_drift_lane lane;
};

// The release is v1 of `count` services, "web" and "s1"…
static void
look_open(struct look *look, struct story *story, const char *spec, size_t count)
{
    *look = (struct look){.story = story,
        .config = {"dispatcher.yaml", str_of(story_config)},
        .app = {"shop.yaml", str_of(spec)}};
    look->given = (struct deploy_given){
        .id = "d-1", .config = &look->config, .app_spec = &look->app, .specs = "octo/infra"};
    look->request = (struct deploy_request){.given = &look->given, .app = "shop", .env = "staging"};
    for (size_t i = 0; i < count; i++) {
        look->services[i] = (struct deployment_service){
            .name = i == 0 ? "web" : arena_printf(story->arena, "s%zu", i),
            .registry = "registry.example.org",
            .digest = FAKE_OLD_DIGEST};
    }
    look->proven =
        (struct deployment){.id = "d-1", .version = "v1", .services = {look->services, count}};
    look->lane = (struct deploy_drift_lane){
        .request = &look->request, .proven = &look->proven, .versions = &earlier};
}

static struct story *
story_of_drift(const char *value)
{
    struct story *s = story_new();
    s->world->parameter_count = 0;
    if (value != NULL) {
        (void)world_parameter(s->world, PARAMETER, value, "deployed");
    }
    fake_targets_reset(s->world);
    fake_targets.digest = FAKE_OLD_DIGEST;
    return s;
}

static const char *
told(const struct look *look)
{
    static const char *const words[] = {"same", "differs", "unknown"};
    const char *text = "";
    for (size_t i = 0; i < look->lane.count; i++) {
        const struct queue_drift_thing *thing = &look->lane.things[i];
        text = arena_printf(look->story->arena, "%s%s %s %s\n", text, thing->service, thing->what,
            words[thing->verdict]);
    }
    return text;
}

static void
all_is_as_it_was_deployed(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v1");
    look_open(&look, s, SPEC(WEB), 1);
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter same\nweb running same\n");
    assert_null(look.lane.why);
    story_expect_effects(s, ""); // reads only
    assert_int_equal(fake_targets.moves, 0);
}

static void
both_may_differ(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v9");
    fake_targets.digest = NEW;
    look_open(&look, s, SPEC(WEB), 1);
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter differs\nweb running differs\n");
    assert_string_equal(look.lane.things[0].found, "v9");
    assert_string_equal(look.lane.things[1].found, NEW);
    story_expect_effects(s, "");
}

// Counted, never met.
static const struct world_fault counted[] = {{.match = "ssm:GetParameters *", .from = 1000},
    {.match = "ssm:GetParameter /*", .from = 1000}, {0}};

// Twelve parameters: two requests.
static void
parameters_are_read_ten_at_a_time(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v1");
    look_open(&look, s,
        SPEC(WEB "  s1: {expose: 1}\n  s2: {expose: 2}\n  s3: {expose: 3}\n  s4: {expose: 4}\n"
                 "  s5: {expose: 5}\n  s6: {expose: 6}\n  s7: {expose: 7}\n  s8: {expose: 8}\n"
                 "  s9: {expose: 9}\n  s10: {expose: 10}\n  s11: {expose: 11}\n"),
        12);
    s->world->faults = counted;
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_int_equal(s->world->hits[0], 2);
    assert_int_equal(s->world->hits[1], 0);
    assert_int_equal(look.lane.count, 24);
    assert_int_equal(look.lane.things[0].verdict, QUEUE_DRIFT_SAME);
    assert_int_equal(look.lane.things[11].verdict, QUEUE_DRIFT_DIFFERS);
    assert_null(look.lane.things[11].found);
}

static const struct world_fault denied[] = {{.match = "ssm:GetParameters *",
                                                .kind = FAULT_STATUS,
                                                .times = 9,
                                                .status = 400,
                                                .body = "{\"__type\":\"AccessDeniedException\"}"},
    {.match = "ssm:GetParameter /shop/staging/s1/version",
        .kind = FAULT_STATUS,
        .times = 9,
        .status = 400,
        .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"not you\"}"},
    {0}};

// A role that may not read several at once, or one of them, still tells of the others.
static void
one_that_may_not_be_read_hides_no_other(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v9");
    s->world->faults = denied;
    look_open(&look, s, SPEC(WEB "  s1: {expose: 1}\n"), 2);
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter differs\ns1 parameter unknown\n"
                                     "web running same\ns1 running same\n");
    assert_string_equal(look.lane.things[1].sentence,
        "read parameter '/shop/staging/s1/version': ssm GetParameter: AccessDeniedException: not "
        "you (HTTP 400)");
}

static const struct world_fault throttled[] = {{.match = "ssm:GetParameters *",
                                                   .kind = FAULT_STATUS,
                                                   .times = 99,
                                                   .status = 400,
                                                   .body = "{\"__type\":\"ThrottlingException\","
                                                           "\"message\":\"Rate exceeded\"}"},
    {.match = "ssm:GetParameter /*", .from = 1000}, {0}};

// Throttled is not denied: nothing is asked again one by one.
static void
throttling_is_not_known(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v9");
    s->world->faults = throttled;
    look_open(&look, s, SPEC(WEB), 1);
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter unknown\nweb running same\n");
    assert_non_null(strstr(look.lane.things[0].sentence, "Rate exceeded"));
    assert_int_equal(s->world->hits[1], 0);
}

static void
what_runs_may_not_be_read(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v1");
    fake_targets.unprovable = ERROR_CREDENTIALS;
    look_open(&look, s, SPEC(WEB), 1);
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter same\nweb running unknown\n");
    assert_string_equal(look.lane.things[1].sentence,
        "What 'web' runs cannot be read: ecs:DescribeTasks is not allowed");
}

// Several lanes at once, one of them with a spec that cannot be used, one without anything.
static void
each_lane_has_its_own_answer(void **state)
{
    (void)state;
    struct look good, broken, empty;
    struct story *s CLEANUP(story_freep) = story_of_drift("v1");
    look_open(&good, s, SPEC(WEB), 1);
    look_open(&broken, s, "title: [\n", 1);
    look_open(&empty, s, SPEC("  mail: {expose: 1, image: \"axllent/mailpit\"}\n"), 1);
    struct deploy_drift_lane lanes[] = {broken.lane, empty.lane, good.lane};
    story_drift(s, lanes, 3);
    assert_null(s->err);
    assert_int_equal(lanes[0].count, 0);
    assert_non_null(lanes[0].why);
    assert_false(lanes[0].nothing);
    assert_int_equal(lanes[1].count, 0);
    assert_true(lanes[1].nothing);
    assert_string_equal(
        lanes[1].why, "there is nothing to compare: its spec has no service that was deployed");
    assert_int_equal(lanes[2].count, 2);
    assert_null(lanes[2].why);
}

// What a spec got since, and what nobody can name by a digest, is not compared.
static void
nothing_is_expected_of_what_was_not_deployed(void **state)
{
    (void)state;
    struct look look;
    struct story *s CLEANUP(story_freep) = story_of_drift("v1");
    look_open(&look, s, SPEC(WEB "  s1: {expose: 1}\n"), 1);
    look.services[0].digest = NULL;
    story_drift(s, &look.lane, 1);
    assert_null(s->err);
    assert_string_equal(told(&look), "web parameter same\n");
    assert_null(look.lane.why);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_parameter_says_is_judged),
        cmocka_unit_test(what_runs_is_judged),
        cmocka_unit_test(all_is_as_it_was_deployed),
        cmocka_unit_test(both_may_differ),
        cmocka_unit_test(parameters_are_read_ten_at_a_time),
        cmocka_unit_test(one_that_may_not_be_read_hides_no_other),
        cmocka_unit_test(throttling_is_not_known),
        cmocka_unit_test(what_runs_may_not_be_read),
        cmocka_unit_test(each_lane_has_its_own_answer),
        cmocka_unit_test(nothing_is_expected_of_what_was_not_deployed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
