// Events that went over a wire are the events that were sent.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aws_fixture.h"
#include "dispatcher/deploy.h"
#include "dispatcher/memory.h"

static struct deployment *
make(struct arena *arena)
{
    struct deployment *d = deployment_new(arena);
    struct deployment_step *steps = arena_array(arena, 2, sizeof(*steps));
    struct deployment_target *targets = arena_array(arena, 1, sizeof(*targets));
    steps[0] = (struct deployment_step){.name = "write web", .kind = "write", .service = -1};
    steps[1] = (struct deployment_step){.name = "trigger", .kind = "trigger", .service = -1};
    targets[0] = (struct deployment_target){.name = "web", .service = -1};
    targets[0].want.kind = "ecs";
    *d = (struct deployment){.id = "d-1",
        .verb = "deploy",
        .via = "workflow",
        .app = "shop",
        .name = "shop",
        .env = "staging",
        .version = "v1",
        .claim_key = "k",
        .steps = {steps, 2},
        .targets = {targets, 1}};
    return d;
}

// Sends the event through JSON.
static bool
pass(struct deploy_replay *replay, const struct deploy_event *event, struct deploy_event *out)
{
    struct json *object CLEANUP(json_freep) = deploy_event_json(event, 1000);
    char *text CLEANUP(xfreep) = json_text(object);
    bool known = false;
    assert_success(deploy_replay_line(replay, str_of(text), out, &known));
    return known;
}

static void
a_whole_deployment(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deploy_replay *replay CLEANUP(deploy_replay_freep) = deploy_replay_new();
    struct deployment *d = make(arena);
    struct deploy_event out = {0};
    assert_false(pass(replay,
        &(struct deploy_event){.kind = DEPLOY_EVENT_NOTE, .deployment = d, .text = "early"}, &out));
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_STARTED, .deployment = d}, &out));
    assert_int_equal(out.kind, DEPLOY_EVENT_STARTED);
    assert_string_equal(out.deployment->app, "shop");
    struct deployment_step *step = deployment_step_at(d, 1);
    step->state = "done";
    step->note = "run 7";
    assert_true(pass(replay,
        &(struct deploy_event){.kind = DEPLOY_EVENT_STEP, .deployment = d, .step = step}, &out));
    assert_string_equal(out.step->name, "trigger");
    assert_string_equal(out.step->state, "done");
    assert_string_equal(out.step->note, "run 7");
    assert_null(deployment_step_at(out.deployment, 0)->state);
    assert_string_equal(out.deployment->dispatch_state, "sent");
    assert_int_equal(out.deployment->wait_started_ms, 1000); // else its run would wait since 1970
    d->run_id = 7;
    d->run_status = "in_progress";
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_RUN, .deployment = d}, &out));
    assert_int_equal(out.deployment->run_id, 7);
    assert_string_equal(out.deployment->run_status, "in_progress");
    struct deployment_job *job = arena_alloc(arena, sizeof(*job));
    *job = (struct deployment_job){.name = "apply", .status = "queued"};
    d->jobs = (struct object_list){job, 1};
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_JOBS, .deployment = d}, &out));
    assert_int_equal(out.deployment->jobs.count, 1);
    assert_true(pass(replay,
        &(struct deploy_event){.kind = DEPLOY_EVENT_WARNING, .deployment = d, .text = "slow"},
        &out));
    assert_string_equal(out.text, "slow");
    d->result = "deployed";
    d->message = "it runs";
    d->proven = true;
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_FINISHED, .deployment = d}, &out));
    assert_string_equal(out.deployment->result, "deployed");
    assert_true(out.deployment->proven);
    assert_int_equal(out.deployment->jobs.count, 1); // what came before still holds
}

static void
a_target_moves(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deploy_replay *replay CLEANUP(deploy_replay_freep) = deploy_replay_new();
    struct deployment *d = make(arena);
    struct deployment_target *target = deployment_target_at(d, 0);
    struct deploy_event out = {0};
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_STARTED, .deployment = d}, &out));
    target->forward.status = "IN_PROGRESS";
    target->forward.id = "ecs-1";
    assert_true(pass(replay,
        &(struct deploy_event){.kind = DEPLOY_EVENT_TARGET,
            .deployment = d,
            .target = target,
            .move = &target->forward},
        &out));
    assert_string_equal(out.target->name, "web");
    assert_ptr_equal(out.move, &out.target->forward);
    assert_string_equal(out.move->id, "ecs-1");
    target->back.status = "ROLLING";
    assert_true(pass(replay,
        &(struct deploy_event){
            .kind = DEPLOY_EVENT_TARGET, .deployment = d, .target = target, .move = &target->back},
        &out));
    assert_string_equal(out.move->status, "ROLLING");
    assert_string_equal(out.target->forward.id, "ecs-1");
}

static void
what_is_no_event(void **state)
{
    (void)state;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct deploy_replay *replay CLEANUP(deploy_replay_freep) = deploy_replay_new();
    struct deploy_event out = {0};
    bool known = true;
    struct error *err CLEANUP(error_freep) = deploy_replay_line(replay, STR("{"), &out, &known);
    assert_int_equal(error_kind(err), ERROR_UNAVAILABLE);
    struct deployment *d = make(arena);
    assert_true(
        pass(replay, &(struct deploy_event){.kind = DEPLOY_EVENT_STARTED, .deployment = d}, &out));
    static const char *const lines[] = {"{}", "[]", "{\"event\":\"of later\"}",
        "{\"event\":\"step\"}", "{\"event\":\"step\",\"step\":\"unheard of\",\"state\":\"done\"}",
        "{\"event\":\"target\",\"target\":\"unheard of\"}", "{\"event\":7}"};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        known = true;
        assert_success(deploy_replay_line(replay, str_of(lines[i]), &out, &known));
        assert_false(known);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_deployment),
        cmocka_unit_test(a_target_moves),
        cmocka_unit_test(what_is_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
