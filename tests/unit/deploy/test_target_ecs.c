// Target "ecs" against an ECS in memory: every way in which a service deployment can end × what
// must be true and said then. No cell is green unless the digest that was asked for runs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "advance_story.h"
#include "dispatcher/memory.h"
#include "target_internal.h"

#define OLD "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define OTHER "sha256:9999999999999999999999999999999999999999999999999999999999999999"
#define IMAGE "127.0.0.1:5000/shop-staging-web:v1"
#define SAYS "deploy 'shop' to 'staging': "
#define PUT "put " STORY_PARAMETER "=v2\n"
#define FORWARD PUT "register shop:42\nupdate shop:42\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define RESTORED "; parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"
#define RUNS_AGAIN                                                                                 \
    "; 'web' is restored: 'v1' (shop:41) runs "                                                    \
    "again"
#define PROVEN FORWARD "label " STORY_PARAMETER ":2 deployed,proven,proven-0\ntag shop:42\n"

#define SPEC(more)                                                                                 \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\n"              \
    "deploy:\n  via: direct\n  rollout: {timeout: 20m}\n" more
static const char spec[] = SPEC("  target: {kind: ecs, cluster: blue, service: shop}\n");
static const char spec_zero[] =
    SPEC("  target: {kind: ecs, cluster: blue, service: shop, allow_zero: true}\n");
static const char spec_forced[] =
    SPEC("  target: {kind: ecs, cluster: blue, service: shop, force_new_deployment: true}\n");
static const char spec_migrate[] = SPEC("  target: {kind: ecs, cluster: blue, service: shop}\n"
                                        "  migrate: {service: web, command: [up], timeout: 1m}\n");

static const struct world_tag tags[] = {{"v1", OLD}, {NULL, NULL}};

static void
start(struct story *s)
{
    s->world->tags = tags;
    world_ecs_start(s->world, IMAGE, OLD);
}

static struct story *
ecs_story(const char *text)
{
    struct story *s = story_new();
    s->app_spec = text;
    start(s);
    return s;
}

// --- every ending --------------------------------------------------------------------------------

#define LIFE(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

struct cell {
    const char *name;
    const char *const *life, *const *life_back;
    const char *runs, *runs_back;
    bool is_classic, is_replaced, is_hidden;
    int exit_code;
    const char *result, *message, *effects;
};

static const struct cell cells[] = {
    {.name = "SUCCESSFUL, and the digest runs",
        .life = LIFE("PENDING", "IN_PROGRESS", "SUCCESSFUL"),
        .exit_code = 0,
        .result = "deployed",
        .message = "'shop' v2 is deployed to 'staging' and proven to run",
        .effects = PROVEN},
    {.name = "SUCCESSFUL, and another digest runs",
        .life = LIFE("SUCCESSFUL"),
        .life_back = LIFE("IN_PROGRESS", "SUCCESSFUL"),
        .runs = OTHER,
        .runs_back = OLD,
        .exit_code = 7,
        .result = "failed",
        .message = SAYS "'web' does not run what was asked for: 2 of 2 tasks run " OTHER
                        " instead of " STORY_DIGEST RUNS_AGAIN RESTORED,
        .effects = FORWARD "update shop:41\n" BACK},
    {.name = "SUCCESSFUL, another digest runs, and the way back fails",
        .life = LIFE("SUCCESSFUL"),
        .life_back = LIFE("STOPPED"),
        .runs = OTHER,
        .exit_code = 8,
        .result = "failed",
        .message = SAYS "'web' does not run what was asked for: 2 of 2 tasks run " OTHER
                        " instead of " STORY_DIGEST "; 'web' could NOT be restored: somebody "
                        "stopped it" RESTORED,
        .effects = FORWARD "update shop:41\n" BACK},
    {.name = "STOPPED",
        .life = LIFE("IN_PROGRESS", "STOP_REQUESTED", "STOPPED"),
        .life_back = LIFE("SUCCESSFUL"),
        .runs_back = OLD,
        .exit_code = 11,
        .result = "cancelled",
        .message = SAYS "'web' was stopped: somebody stopped it" RUNS_AGAIN RESTORED,
        .effects = FORWARD "update shop:41\n" BACK},
    {.name = "superseded",
        .life = LIFE("IN_PROGRESS", "STOPPED"),
        .is_replaced = true,
        .exit_code = 11,
        .result = "cancelled",
        .message = SAYS "'web' was superseded by another deployment: service deployment '2' came "
                        "after it; 'web' is NOT restored: service deployment '2' came after "
                        "it" RESTORED,
        .effects = FORWARD BACK},
    {.name = "ROLLBACK_SUCCESSFUL",
        .life = LIFE(
            "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"),
        .exit_code = 7,
        .result = "failed",
        .message =
            SAYS "'web' was rolled back by the platform: tasks failed to start" RUNS_AGAIN RESTORED,
        .effects = FORWARD BACK},
    {.name = "ROLLBACK_FAILED, and our own way back goes well",
        .life = LIFE("ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"),
        .life_back = LIFE("SUCCESSFUL"),
        .runs_back = OLD,
        .exit_code = 7,
        .result = "failed",
        .message = SAYS "'web' failed, and the platform could not roll it back: tasks failed to "
                        "start" RUNS_AGAIN RESTORED,
        .effects = FORWARD "update shop:41 force\n" BACK},
    {.name = "ROLLBACK_FAILED, and ours fails, too",
        .life = LIFE("ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"),
        .life_back = LIFE("ROLLBACK_FAILED"),
        .exit_code = 8,
        .result = "failed",
        .message = SAYS "'web' failed, and the platform could not roll it back: tasks failed to "
                        "start; 'web' could NOT be restored: tasks failed to start" RESTORED,
        .effects = FORWARD "update shop:41 force\n" BACK},
    {.name = "a word that nobody knows, for ever",
        .life = LIFE("IN_PROGRESS", "SHINY_NEW"),
        .exit_code = 10,
        .message = SAYS "'web' is still 'SHINY_NEW', 1 of 2 tasks run after 20m 0s",
        .effects = FORWARD "label " STORY_PARAMETER ":2 pending\n"},
    {.name = "a word that nobody knows, in passing",
        .life = LIFE("SHINY_NEW", "SUCCESSFUL"),
        .exit_code = 0,
        .result = "deployed",
        .message = "'shop' v2 is deployed to 'staging' and proven to run",
        .effects = PROVEN},
    {.name = "none found",
        .life = LIFE("IN_PROGRESS"),
        .is_hidden = true,
        .exit_code = 9,
        .result = "unknown",
        .message = SAYS "'web' what became of it is not known: no deployment of service 'shop' was "
                        "found within 1m 0s after it was asked for",
        .effects = FORWARD "label " STORY_PARAMETER ":2 pending\n"},
    {.name = "classic: COMPLETED",
        .life = LIFE("IN_PROGRESS", "SUCCESSFUL"),
        .is_classic = true,
        .exit_code = 0,
        .result = "deployed",
        .message = "'shop' v2 is deployed to 'staging' and proven to run",
        .effects = PROVEN},
    {.name = "classic: COMPLETED, and another digest runs",
        .life = LIFE("SUCCESSFUL"),
        .life_back = LIFE("SUCCESSFUL"),
        .runs = OTHER,
        .runs_back = OLD,
        .is_classic = true,
        .exit_code = 7,
        .result = "failed",
        .message = SAYS "'web' does not run what was asked for: 2 of 2 tasks run " OTHER
                        " instead of " STORY_DIGEST RUNS_AGAIN RESTORED,
        .effects = FORWARD "update shop:41\n" BACK},
    {.name = "classic: another entry goes back to what was before",
        .life = LIFE("IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"),
        .is_classic = true,
        .exit_code = 7,
        .result = "failed",
        .message =
            SAYS "'web' was rolled back by the platform: tasks failed to start" RUNS_AGAIN RESTORED,
        .effects = FORWARD BACK},
    {.name = "classic: and fails",
        .life = LIFE("IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"),
        .life_back = LIFE("SUCCESSFUL"),
        .runs_back = OLD,
        .is_classic = true,
        .exit_code = 7,
        .result = "failed",
        .message = SAYS "'web' failed, and the platform could not roll it back: tasks failed to "
                        "start" RUNS_AGAIN RESTORED,
        .effects = FORWARD "update shop:41 force\n" BACK},
    {.name = "classic: never ends",
        .life = LIFE("IN_PROGRESS"),
        .is_classic = true,
        .exit_code = 10,
        .message = SAYS "'web' is still 'IN_PROGRESS', 1 of 2 tasks run after 20m 0s",
        .effects = FORWARD "label " STORY_PARAMETER ":2 pending\n"},
};

static void
arrange(struct story *s, const struct cell *cell)
{
    struct world_ecs *ecs = &s->world->ecs;
    start(s);
    ecs->life = cell->life;
    ecs->life_back = cell->life_back != NULL ? cell->life_back : cell->life;
    ecs->runs = cell->runs;
    ecs->runs_back = cell->runs_back;
    ecs->is_classic = cell->is_classic;
    ecs->is_replaced = cell->is_replaced;
    ecs->is_hidden = cell->is_hidden;
}

static void
go_through_endings(void (*deploy)(struct story *story))
{
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    for (size_t i = 0; i < ARRAY_LENGTH(cells); i++) {
        const struct cell *cell = &cells[i];
        print_message("%s\n", cell->name);
        story_restart(s);
        arrange(s, cell);
        deploy(s);
        if (cell->result != NULL) {
            story_expect(s, cell->exit_code, cell->result, cell->message);
        } else {
            story_expect_open(s, cell->exit_code, "timeout", cell->message);
        }
        story_expect_effects(s, cell->effects);
        // Green means that it runs.
        assert_true((s->d->exit_code == 0) == (strcmp(s->world->ecs.running, STORY_DIGEST) == 0));
    }
}

static void
test_every_ending(void **state)
{
    (void)state;
    go_through_endings(story_deploy);
}

static void
test_every_ending_in_calls(void **state)
{
    (void)state;
    go_through_endings(story_deploy_in_calls);
}

// --- before anything is changed ------------------------------------------------------------------

static void
test_refused_at_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *status, *controller;
        bool is_zero;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {"NO_CLUSTER", NULL, false, ERROR_SPEC,
            "look at target 'web': there is no active cluster 'blue' in region 'us-east-1'"},
        {"MISSING", NULL, false, ERROR_SPEC,
            "look at target 'web': there is no service 'shop' in cluster 'blue'"},
        {"INACTIVE", NULL, false, ERROR_SPEC,
            "look at target 'web': service 'shop' of cluster 'blue' is INACTIVE"},
        {NULL, "EXTERNAL", false, ERROR_SPEC,
            "look at target 'web': service 'shop' of cluster 'blue' is deployed by 'EXTERNAL', not "
            "by ECS itself"},
        {NULL, "SHINY_NEW", false, ERROR_SPEC,
            "look at target 'web': service 'shop' of cluster 'blue' is deployed by 'SHINY_NEW', "
            "not by ECS itself"},
        {NULL, NULL, true, ERROR_CONFLICT,
            "look at target 'web': service 'shop' of cluster 'blue' is scaled to 0: nothing would "
            "run, so nothing could be proven"},
    };
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        start(s);
        s->world->ecs.status = rows[i].status;
        s->world->ecs.controller = rows[i].controller;
        s->world->ecs.desired = rows[i].is_zero ? 0 : 2;
        story_deploy(s);
        story_expect_refused(s, rows[i].kind, rows[i].text, NULL);
    }
}

static void
test_zero_on_purpose(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec_zero);
    s->world->ecs.desired = 0;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    assert_string_equal(
        s->d->proof, "no task is wanted, as 'allow_zero' says; the next one will run it");
}

#define DENIED(action)                                                                             \
    "{\"__type\":\"AccessDeniedException\",\"message\":\"User is not authorized to perform: "      \
    "ecs:" action "\"}"

static void
test_each_permission(void **state)
{
    (void)state;
    static const struct {
        const char *match, *body, *hint;
        int exit_code; // 0: refused before anything
        bool is_undone;
    } rows[] = {
        {"ecs:DescribeServices /", DENIED("DescribeServices"), "'ecs:DescribeServices'", 0, false},
        {"ecs:DescribeTaskDefinition /", DENIED("DescribeTaskDefinition"),
            "'ecs:DescribeTaskDefinition'", 0, false},
        {"ecs:RegisterTaskDefinition /", DENIED("RegisterTaskDefinition"),
            "'ecs:RegisterTaskDefinition'", 4, true},
        {"ecs:RegisterTaskDefinition /", DENIED("PassRole"), "'ecs:PassRole'", 4, true},
        {"ecs:UpdateService /", DENIED("UpdateService"), "'ecs:UpdateService'", 4, true},
    };
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct world_fault faults[] = {
            {rows[i].match, .times = 99, .kind = FAULT_STATUS, .status = 400, .body = rows[i].body},
            {0}};
        print_message("%s\n", rows[i].match);
        s->world->faults = faults;
        story_restart(s);
        start(s);
        story_deploy(s);
        if (rows[i].exit_code == 0) {
            assert_non_null(s->err);
            assert_int_equal(error_kind(s->err), ERROR_CREDENTIALS);
            assert_non_null(strstr(error_hint_of(s->err), rows[i].hint));
            story_expect_effects(s, "");
        } else {
            story_expect(s, rows[i].exit_code, "failed", NULL);
            assert_non_null(strstr(s->d->hint, rows[i].hint));
            assert_string_equal(s->world->ecs.running, OLD);
            assert_null(strstr(s->world->effects, "update"));
            assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
        }
        s->world->faults = NULL;
    }
}

// Without it the digest cannot be read: that it runs is not said.
static void
test_proof_denied(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {"ecs:DescribeTasks /",
            .from = 2, // the first look is of before
            .times = 99, .kind = FAULT_STATUS, .status = 400, .body = DENIED("DescribeTasks")},
        {0}};
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    assert_non_null(strstr(s->d->message, "what runs now could not be read"));
    assert_false(s->d->proven);
}

// --- servers that have a bad day -----------------------------------------------------------------

static void
test_bad_days(void **state)
{
    (void)state;
    static const struct {
        const char *match;
        unsigned times;
        enum world_fault_kind kind;
        int status;
        const char *body;
    } rows[] = {
        {"ecs:DescribeServiceDeployments /", 3, FAULT_STATUS, 400,
            "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"},
        {"ecs:DescribeServiceDeployments /", 20, FAULT_STATUS, 500,
            "<html><body>500</body></html>"},
        {"ecs:DescribeServices /", 20, FAULT_STATUS, 500, "<html><body>500</body></html>"},
        {"ecs:DescribeServiceDeployments /", 2, FAULT_STATUS, 200, "[]"},
        {"ecs:DescribeServiceDeployments /", 2, FAULT_RESET, 0, NULL},
        {"ecs:UpdateService /", 1, FAULT_STATUS, 400,
            "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}"},
        {"ecs:UpdateService /", 1, FAULT_RESET, 0, NULL},
        {"ecs:RegisterTaskDefinition /", 1, FAULT_STATUS, 500, "<html></html>"},
    };
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        // The first looks are the plan's and the beginning's.
        bool is_services = strcmp(rows[i].match, "ecs:DescribeServices /") == 0;
        const struct world_fault faults[] = {
            {rows[i].match, .from = is_services ? 3 : 1, .times = rows[i].times,
                .kind = rows[i].kind, .status = rows[i].status, .body = rows[i].body},
            {0}};
        print_message("%s %d\n", rows[i].match, rows[i].status);
        s->world->faults = faults;
        story_restart(s);
        start(s);
        story_deploy(s);
        s->world->faults = NULL;
        story_expect(s, 0, "deployed", NULL);
        story_expect_effects(s, PROVEN);
    }
}

// The answer to UpdateService is lost each time: what was done is found, and belongs to us.
static void
test_lost_answers(void **state)
{
    (void)state;
    static const struct world_fault lost[] = {
        {"ecs:UpdateService /", .times = 1, .kind = FAULT_LOST},
        {"ecs:UpdateService /", .from = 2, .times = 9, .kind = FAULT_RESET}, {0}};
    static const struct world_fault never[] = {
        {"ecs:UpdateService /", .times = 9, .kind = FAULT_RESET}, {0}};
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->faults = lost;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s, PROVEN);

    s->world->faults = never;
    story_restart(s);
    start(s);
    story_deploy(s);
    story_expect(s, 12, "failed", NULL);
    story_expect_effects(s, PUT "register shop:42\n" BACK);
}

// --- images --------------------------------------------------------------------------------------

static void
test_forced(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec_forced);
    story_deploy(s);
    story_expect(s, 6, "failed",
        SAYS "'web' failed: task definition 'shop:41' runs image '" IMAGE "', which is " OLD
             ", not '" STORY_DIGEST "'" RESTORED);
    story_restart(s);
    start(s);
    s->world->tags = NULL; // every tag means the new image
    s->world->ecs.runs = STORY_DIGEST;
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(
        s, PUT "update shop:41 force\nlabel " STORY_PARAMETER ":2 deployed,proven,proven-0\n");
}

// Its tag has moved: `before` alone would run the new image again.
static void
test_tag_moved(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->tags = NULL;
    s->world->ecs.life = LIFE("SUCCESSFUL");
    s->world->ecs.runs = OTHER;
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    story_expect_effects(s, FORWARD "register shop:43\nupdate shop:43\n" BACK);
    assert_string_equal(s->world->ecs.running, OLD);
}

static void
set_by_somebody(struct world *world)
{
    world->ecs.revision = 41;
    memcpy(world->ecs.revisions[world->ecs.revision_count++].image, IMAGE, sizeof(IMAGE));
    world->ecs.revision = 41 + world->ecs.revision_count - 1;
    memcpy(world->ecs.running, OTHER, sizeof(OTHER));
}

// After ours had ended well, somebody rolled out something else: it is not taken back.
static void
test_changed_before_the_proof(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {"ecs:ListTasks /", .from = 2, .times = 1, .kind = FAULT_HOOK, .hook = set_by_somebody},
        {0}};
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->faults = faults;
    s->world->ecs.life = LIFE("SUCCESSFUL");
    story_deploy(s);
    story_expect(s, 11, "cancelled", NULL);
    story_expect_effects(s, FORWARD BACK);
}

// --- what is told --------------------------------------------------------------------------------

static const char *const log_lines[] = {"no such table: users", NULL};

static void
test_evidence(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->ecs.life = LIFE("IN_PROGRESS", "IN_PROGRESS", "ROLLBACK_SUCCESSFUL");
    s->world->ecs.extra = ",\"deploymentCircuitBreaker\":{\"status\":\"MONITORING\","
                          "\"failureCount\":1,\"threshold\":3}";
    s->world->ecs.failure =
        "{\"name\":\"web\",\"exitCode\":3,\"reason\":\"Out\\u001b[31m of memory\"}";
    s->world->service_log = log_lines;
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_string_equal(s->d->hint, "container 'web': Out of memory (exit code 3)");
    const char *events = buf_cstr(&s->events);
    // Early: before the end was known.
    const char *early = strstr(events, "'web': container 'web': Out of memory (exit code 3)");
    const char *end = strstr(events, "\"outcome\":\"rolled-back\"");
    assert_true(early != NULL && end != NULL && early < end);
    assert_non_null(strstr(events, "'web': task stopped: Essential container in task exited"));
    assert_non_null(strstr(events, "'web': log: no such table: users"));
    assert_non_null(strstr(events, "1 of the 3 failures that trip the circuit breaker"));
    assert_null(strstr(events, "143")); // old tasks end in every rollout
    assert_null(strstr(events, "Scaling activity"));
}

static void
test_hook_and_stage(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    s->world->ecs.life = LIFE("IN_PROGRESS", "IN_PROGRESS", "SUCCESSFUL");
    s->world->ecs.extra =
        ",\"lifecycleStage\":\"BAKE_TIME\",\"deploymentConfiguration\":{\"bakeTimeInMinutes\":5},"
        "\"lifecycleHookDetails\":[{\"hookId\":\"h-1\",\"targetType\":\"PAUSE\",\"status\":"
        "\"AWAITING_ACTION\",\"expiresAt\":1800000000,\"timeoutAction\":\"CONTINUE\"}]";
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    const char *events = buf_cstr(&s->events);
    assert_non_null(strstr(events, "\"stage\":\"BAKE_TIME\""));
    assert_non_null(strstr(events, "is watched for 5 min"));
    assert_non_null(strstr(events, "\"hook\":\"h-1\""));
    assert_non_null(strstr(
        events, "waits for 'dispatcher continue' until 2027-01-15T08:00:00Z, then CONTINUE"));
}

// --- killed anywhere -----------------------------------------------------------------------------

// A label or a tag that is set twice is the same: what a killed process had done is not known.
static void
expect_effects_once(struct story *s, const char *effects)
{
    struct buf kept CLEANUP(buf_done) = BUF_INIT(WORLD_EFFECTS);
    struct str line = {0}, rest = str_of(s->world->effects);
    while (str_cut(rest, '\n', &line, &rest)) {
        bool is_mark = str_starts(line, STR("label ")) || str_starts(line, STR("tag "));
        if (!is_mark || !str_contains(buf_str(&kept), line)) {
            buf_add(&kept, line);
            buf_putc(&kept, '\n');
        }
    }
    memcpy(s->world->effects, buf_cstr(&kept), kept.len + 1);
    story_expect_effects(s, effects);
}

static void
expect_killed(struct story *s, const char *const *life, int exit_code, const char *effects)
{
    for (int64_t at = 1;; at++) {
        story_restart(s);
        start(s);
        s->world->ecs.life = life;
        if (!story_deploy_and_die(s, at)) {
            assert_true(at > 40); // there were many places
            return;
        }
        if (story_newest(s) == NULL) {
            story_expect_effects(s, "");
            continue;
        }
        story_resume(s);
        story_expect(s, exit_code, exit_code == 0 ? "deployed" : "failed", NULL);
        expect_effects_once(s, effects);
    }
}

static void
test_killed_while_it_goes_well(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    expect_killed(s, LIFE("PENDING", "IN_PROGRESS", "SUCCESSFUL"), 0, PROVEN);
}

static void
test_killed_while_it_is_rolled_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec);
    expect_killed(
        s, LIFE("IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"), 7, FORWARD BACK);
}

// --- migrations ----------------------------------------------------------------------------------

#define ENDED(code)                                                                                \
    "\"containers\":[{\"name\":\"web\",\"exitCode\":" code                                         \
    "}],\"stoppedReason\":\"Essential container in task exited\""
#define RUN PUT "register shop:42\nrun shop:42\n"

static const struct {
    const char *name, *end, *refusal;
    int exit_code;
    const char *result, *message, *effects;
} migrations[] = {
    {"exit code 0", ENDED("0"), NULL, 0, "deployed",
        "'shop' v2 is deployed to 'staging' and proven to run",
        RUN "update shop:42\nlabel " STORY_PARAMETER ":2 deployed,proven,proven-0\ntag shop:42\n"},
    {"exit code 1", ENDED("1"), NULL, 7, "failed",
        SAYS "the one-off task of 'web' failed: it ended with exit code 1: Essential container in "
             "task exited" RESTORED,
        RUN BACK},
    {"no exit code", "\"containers\":[{\"name\":\"web\"}],\"stopCode\":\"SpotInterruption\"", NULL,
        7, "failed",
        SAYS "the one-off task of 'web' failed: it ended without an exit code: "
             "SpotInterruption" RESTORED,
        RUN BACK},
    {"not started",
        "\"containers\":[{\"name\":\"web\",\"reason\":\"CannotPullContainerError: "
        "no\"}],\"stopCode\":"
        "\"TaskFailedToStart\",\"stoppedReason\":\"CannotPullContainerError: no\"",
        NULL, 7, "failed",
        SAYS "the one-off task of 'web' failed: it could not be started: CannotPullContainerError: "
             "no" RESTORED,
        RUN BACK},
    {"another container's exit code",
        "\"containers\":[{\"name\":\"web\"},{\"name\":\"x\",\"exitCode\":0}]", NULL, 7, "failed",
        SAYS "the one-off task of 'web' failed: it ended without an exit code" RESTORED, RUN BACK},
    {"refused", NULL, "RESOURCE:MEMORY", 12, "failed",
        SAYS "the one-off task could not be started: run task 'arn:aws:ecs:us-east-1:012345678901:"
             "task-definition/shop:42' in cluster 'blue': RESOURCE:MEMORY (HTTP 200)" RESTORED,
        PUT "register shop:42\n" BACK},
    {"never ends", NULL, NULL, 9, "unknown",
        SAYS "the one-off task of 'web' is lost: it was stopped: it had not ended after 1m 0s, and "
             "still has not",
        RUN "stop task\nlabel " STORY_PARAMETER ":2 pending\n"},
};

static void
go_through_migrations(void (*deploy)(struct story *story))
{
    struct story *s CLEANUP(story_freep) = ecs_story(spec_migrate);
    for (size_t i = 0; i < ARRAY_LENGTH(migrations); i++) {
        print_message("%s\n", migrations[i].name);
        story_restart(s);
        start(s);
        s->world->ecs.task_end = migrations[i].end;
        s->world->ecs.task_refusal = migrations[i].refusal;
        deploy(s);
        story_expect(s, migrations[i].exit_code, migrations[i].result, migrations[i].message);
        story_expect_effects(s, migrations[i].effects);
        assert_true((s->d->exit_code == 0) == (strcmp(s->world->ecs.running, STORY_DIGEST) == 0));
    }
}

static void
test_migrations(void **state)
{
    (void)state;
    go_through_migrations(story_deploy);
}

static void
test_migrations_in_calls(void **state)
{
    (void)state;
    go_through_migrations(story_deploy_in_calls);
}

// RunTask may have arrived; that the permission is gone now says nothing about that.
static void
test_refused_over_an_open_migration(void **state)
{
    (void)state;
    static const struct world_fault lost[] = {
        {"ecs:RunTask *", .times = 30, .kind = FAULT_LOST}, {0}};
    static const struct world_fault denied[] = {
        {"ecs:RunTask *", .times = 9, .kind = FAULT_STATUS, .status = 400,
            .body = "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = ecs_story(spec_migrate);
    s->world->ecs.task_end = ENDED("0");
    s->world->faults = lost;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    s->world->faults = denied;
    story_resume(s);
    story_expect(s, 9, "unknown", NULL);
    s->world->faults = NULL;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_killed_while_it_migrates(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = ecs_story(spec_migrate);
    for (int64_t at = 1;; at++) {
        story_restart(s);
        start(s);
        s->world->ecs.task_end = ENDED("0");
        if (!story_deploy_and_die(s, at)) {
            return;
        }
        if (story_newest(s) == NULL) {
            continue;
        }
        story_resume(s);
        story_expect(s, 0, "deployed", NULL);
        expect_effects_once(s, migrations[0].effects);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_ending),
        cmocka_unit_test(test_every_ending_in_calls),
        cmocka_unit_test(test_refused_at_the_start),
        cmocka_unit_test(test_zero_on_purpose),
        cmocka_unit_test(test_each_permission),
        cmocka_unit_test(test_proof_denied),
        cmocka_unit_test(test_bad_days),
        cmocka_unit_test(test_lost_answers),
        cmocka_unit_test(test_forced),
        cmocka_unit_test(test_tag_moved),
        cmocka_unit_test(test_changed_before_the_proof),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_hook_and_stage),
        cmocka_unit_test(test_killed_while_it_goes_well),
        cmocka_unit_test(test_killed_while_it_is_rolled_back),
        cmocka_unit_test(test_migrations),
        cmocka_unit_test(test_migrations_in_calls),
        cmocka_unit_test(test_refused_over_an_open_migration),
        cmocka_unit_test(test_killed_while_it_migrates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
