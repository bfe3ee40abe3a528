// The loop that moves targets, with targets of the test's own: every way in which a move can end ×
// what must be true and said then. No cell is green unless the digest that was asked for runs.
#define _GNU_SOURCE // MAP_ANONYMOUS
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "../../../dispatcher/deploy/target_internal.h"
#include "deploy_story.h"
#include "dispatcher/memory.h"

#define OTHER_DIGEST "sha256:9999999999999999999999999999999999999999999999999999999999999999"
#define OLD_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define SAYS "deploy 'shop' to 'staging': "
#define PUT "put " STORY_PARAMETER "=v2\n"
#define BACK "put " STORY_PARAMETER "=v1\nlabel " STORY_PARAMETER ":3 deployed\n"
#define MINUTE (INT64_C(60) * 1000)

static const char spec_direct[] = "title: Shop\nname: shop\nrepo: octo/shop\n"
                                  "services:\n  web:\n    expose: 8080\n"
                                  "deploy:\n  via: direct\n"
                                  "  target: {kind: ecs, cluster: blue, service: shop}\n"
                                  "  rollout: {timeout: 20m}\n";

static const char spec_infra[] = "title: Shop\nname: shop\nrepo: octo/shop\n"
                                 "services:\n  web:\n    expose: 8080\n"
                                 "deploy:\n"
                                 "  target: {kind: ecs, cluster: blue, service: shop}\n";

static const char spec_two[] = "title: Shop\nname: shop\nrepo: octo/shop\n"
                               "services:\n  web:\n    expose: 8080\n  worker:\n    expose: 8081\n"
                               "deploy:\n  via: direct\n"
                               "  targets:\n"
                               "    web: {kind: ecs, cluster: blue, service: shop-web}\n"
                               "    worker: {kind: ecs, cluster: blue, service: shop-worker}\n"
                               "  rollout: {order: [worker]}\n";

static const char spec_unordered[] =
    "title: Shop\nname: shop\nrepo: octo/shop\n"
    "services:\n  web:\n    expose: 8080\n  worker:\n    expose: 8081\n"
    "deploy:\n  via: direct\n"
    "  targets:\n"
    "    web: {kind: ecs, cluster: blue, service: shop-web}\n"
    "    worker: {kind: ecs, cluster: blue, service: shop-worker}\n";

// --- a platform that does what it is told ------------------------------------------------------

enum { TARGETS = 2, LIFE = 8 };

struct side {               // one direction of one target
    const char *life[LIFE]; // a look each; the last stays: running, rolling, or an outcome
    unsigned looks, begun;
};
struct fake_target {
    struct side forward, back;
    const char *runs_after; // digest once moved forward; NULL: what was asked for
    const char *runs_else;  // digest at any other time
    unsigned stops;
};
// In memory that a killed child shares with its parent.
static struct platform_of_test {
    struct fake_target targets[TARGETS];
    enum error_kind refuses; // begin; 0: it does not (no kind that is refused with is 0)
    bool in_doubt;           // begin's answer is lost
    unsigned blind;          // looks that find nobody at home
    bool proof_denied;
    struct world *world;
} * lab;

static struct fake_target *
fake_of(const struct deployment_target *target)
{
    return &lab->targets[strcmp(target->name, "worker") == 0 ? 1 : 0];
}

static struct side *
side_of(const struct target_move *at)
{
    struct fake_target *fake = fake_of(at->target);
    return at->move == &at->target->back ? &fake->back : &fake->forward;
}

static struct error *
fake_look(const struct step_run *run, struct deployment_target *target)
{
    (void)run;
    target->arn = "arn:fake";
    target->before = "shop:41";
    target->before_digest = OLD_DIGEST;
    target->before_version = "v1";
    return NULL;
}

static void
fake_describe(const struct deployment *d, const struct deployment_target *target, struct buf *out)
{
    (void)d;
    buf_printf(out, "roll out '%s'", target->name);
}

static struct error *
fake_begin(const struct step_run *run, const struct target_move *at)
{
    struct side *side = side_of(at);
    bool forward = at->move == &at->target->forward;
    if (forward && lab->refuses != 0) {
        return error_hint(error_new(lab->refuses, "ecs:UpdateService is not allowed"), "Allow it.");
    }
    if (forward) {
        at->move->digest =
            deployment_service_at(run->deployment, (size_t)at->target->service)->digest;
    }
    at->move->state = "intent";
    TRY(engine_save(run, "intent", NULL));
    if (forward && lab->in_doubt) {
        return error_new(ERROR_UNKNOWN, "the answer is lost");
    }
    if (side->begun == 0) { // a resumed process finds that it is there already
        world_effect(lab->world, "move %s %s\n", at->target->name, forward ? "forward" : "back");
        side->begun++;
    }
    at->move->state = "sent";
    at->move->id = "arn:fake:deployment";
    return engine_save(run, "waiting", NULL);
}

static struct error *
fake_refresh(const struct step_run *run, const struct target_move *moves, size_t count)
{
    if (lab->blind > 0) {
        lab->blind--;
        return error_new(ERROR_UNAVAILABLE, "nobody at home");
    }
    for (size_t i = 0; i < count; i++) {
        struct side *side = side_of(&moves[i]);
        const char *now = side->life[side->looks];
        side->looks += side->looks + 1 < LIFE && side->life[side->looks + 1] != NULL ? 1 : 0;
        (void)target_set_text(run->arena, &moves[i].move->status, now);
        if (strcmp(now, "rolling") == 0) {
            moves[i].move->rolling_back = true;
            (void)target_set_text(run->arena, &moves[i].move->reason, "tasks failed to start");
        } else if (strcmp(now, "running") != 0) {
            target_end_move(run, moves[i].move, now, "tasks failed to start");
        }
    }
    return NULL;
}

static struct error *
fake_prove(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    struct fake_target *fake = fake_of(target);
    bool moved = cstr_equal(target->forward.outcome, "succeeded") && fake->back.begun == 0;
    if (lab->proof_denied) {
        return error_new(ERROR_CREDENTIALS, "ecs:DescribeTasks is not allowed");
    }
    target->running_digest = !moved                     ? fake->runs_else
                             : fake->runs_after != NULL ? fake->runs_after
                                                        : digest;
    target->proven = cstr_equal(target->running_digest, digest);
    target->proof = arena_printf(run->arena, "%.19s… runs", target->running_digest);
    return NULL;
}

static struct error *
fake_stop(const struct step_run *run, const struct target_move *at)
{
    (void)run;
    struct fake_target *fake = fake_of(at->target);
    world_effect(lab->world, "stop %s\n", at->target->name);
    fake->stops++;
    fake->forward.life[0] = "rolled-back";
    fake->forward.life[1] = NULL;
    fake->forward.looks = 0;
    return NULL;
}

static void
fake_explain(const struct step_run *run, const struct target_move *at)
{
    target_add_evidence(run, at->target, "container 'web' exited with 1: no such table");
}

static const struct target_ops fake_ops = {
    .kind = "ecs",
    .look = fake_look,
    .describe = fake_describe,
    .begin = fake_begin,
    .refresh = fake_refresh,
    .prove = fake_prove,
    .stop = fake_stop,
    .explain = fake_explain,
};
const struct target_ops *const target_all_ops[] = {&fake_ops, NULL};

const struct target_ops *
target_ops_find(const char *kind)
{
    assert_string_equal(kind, "ecs");
    return &fake_ops;
}

static void
set_life(struct side *side, const char *a, const char *b)
{
    side->life[0] = a;
    side->life[1] = b;
    side->life[2] = NULL;
    side->looks = side->begun = 0;
}

static void
reset_lab(struct story *s)
{
    *lab = (struct platform_of_test){.world = s->world};
    for (size_t i = 0; i < TARGETS; i++) {
        lab->targets[i].runs_else = OLD_DIGEST;
        set_life(&lab->targets[i].forward, "running", "succeeded");
        set_life(&lab->targets[i].back, "running", "succeeded");
    }
}

static struct story *
direct_story(const char *spec)
{
    struct story *s = story_new();
    if (lab == NULL) {
        lab = mmap(NULL, sizeof(*lab), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(lab != MAP_FAILED);
    }
    s->app_spec = spec;
    reset_lab(s);
    return s;
}

// --- the table ---------------------------------------------------------------------------------

struct cell {
    const char *name;
    const char *forward[2], *back[2];
    const char *runs_after, *runs_else; // NULL: what was asked for; OLD_DIGEST
    bool keep;
    int exit_code;
    const char *result, *message, *effects;
};

#define FORWARD PUT "move web forward\n"
#define PARAMETER_IS_BACK "; parameter " STORY_PARAMETER " is restored ('v1' is back as version 3)"
#define WEB_RUNS_AGAIN "; 'web' is restored: 'v1' (shop:41) runs again"
#define NOT_OLD "; 'web' could NOT be restored: sha256:999999999999… runs"

static const struct cell cells[] = {
    {"succeeded, and runs what was asked for", {"running", "succeeded"}, {"succeeded"}, NULL, NULL,
        false, 0, "deployed", "'shop' v2 is deployed to 'staging' and proven to run",
        FORWARD "label " STORY_PARAMETER ":2 deployed,proven,proven-0\n"},
    {"succeeded, and runs something else", {"succeeded"}, {"running", "succeeded"}, OTHER_DIGEST,
        NULL, false, 7, "failed",
        SAYS "'web' does not run what was asked for: sha256:999999999999… "
             "runs" WEB_RUNS_AGAIN PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"runs something else and does not come back", {"succeeded"}, {"failed"}, OTHER_DIGEST, NULL,
        false, 8, "failed",
        SAYS "'web' does not run what was asked for: sha256:999999999999… runs; 'web' could NOT be "
             "restored: tasks failed to start" PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"comes back, but the old digest does not run", {"succeeded"}, {"succeeded"}, OTHER_DIGEST,
        OTHER_DIGEST, false, 8, "failed",
        SAYS "'web' does not run what was asked for: sha256:999999999999… "
             "runs" NOT_OLD PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"rolled back", {"rolling", "rolled-back"}, {"succeeded"}, NULL, NULL, false, 7, "failed",
        SAYS "'web' was rolled back by the platform: tasks failed to "
             "start" WEB_RUNS_AGAIN PARAMETER_IS_BACK,
        FORWARD BACK},
    {"rolled back, but the old digest does not run", {"rolled-back"}, {"succeeded"}, NULL,
        OTHER_DIGEST, false, 8, "failed",
        SAYS "'web' was rolled back by the platform: tasks failed to "
             "start" NOT_OLD PARAMETER_IS_BACK,
        FORWARD BACK},
    {"rollback failed, put back by us", {"rolling", "rollback-failed"}, {"succeeded"}, NULL, NULL,
        false, 7, "failed",
        SAYS "'web' failed, and the platform could not roll it back: tasks failed to "
             "start" WEB_RUNS_AGAIN PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"rollback failed for good", {"rollback-failed"}, {"rollback-failed"}, NULL, NULL, false, 8,
        "failed",
        SAYS "'web' failed, and the platform could not roll it back: tasks failed to start; 'web' "
             "could NOT be restored: tasks failed to start" PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"rollback failed, and somebody else goes before our way back", {"rollback-failed"},
        {"superseded"}, NULL, NULL, false, 8, "failed",
        SAYS "'web' failed, and the platform could not roll it back: tasks failed to start; 'web' "
             "is NOT restored: tasks failed to start" PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"failed", {"failed"}, {"succeeded"}, NULL, NULL, false, 7, "failed",
        SAYS "'web' failed: tasks failed to start" WEB_RUNS_AGAIN PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"stopped by somebody", {"stopped"}, {"succeeded"}, NULL, NULL, false, 11, "cancelled",
        SAYS "'web' was stopped: tasks failed to start" WEB_RUNS_AGAIN PARAMETER_IS_BACK,
        FORWARD "move web back\n" BACK},
    {"superseded", {"superseded"}, {"succeeded"}, NULL, OTHER_DIGEST, false, 11, "cancelled",
        SAYS "'web' was superseded by another deployment: tasks failed to start; 'web' is NOT "
             "restored: tasks failed to start" PARAMETER_IS_BACK,
        FORWARD BACK},
    {"rolled back, on_failure: keep", {"rolled-back"}, {"succeeded"}, NULL, NULL, true, 8, "failed",
        SAYS "'web' was rolled back by the platform: tasks failed to start; 'web' is restored: its "
             "platform rolled it back; parameter " STORY_PARAMETER
             " is NOT restored (on_failure: keep): it says 'v2' (version 2)",
        FORWARD},
    {"failed, on_failure: keep", {"failed"}, {"succeeded"}, NULL, NULL, true, 8, "failed",
        SAYS "'web' failed: tasks failed to start; 'web' is NOT restored (on_failure: keep); "
             "parameter " STORY_PARAMETER
             " is NOT restored (on_failure: keep): it says 'v2' (version 2)",
        FORWARD},
};

static void
test_every_ending(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cells); i++) {
        const struct cell *cell = &cells[i];
        struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
        struct fake_target *web = &lab->targets[0];
        set_life(&web->forward, cell->forward[0], cell->forward[1]);
        set_life(&web->back, cell->back[0], cell->back[1]);
        web->runs_after = cell->runs_after;
        web->runs_else = cell->runs_else != NULL ? cell->runs_else : OLD_DIGEST;
        s->request.on_failure = cell->keep ? "keep" : NULL;
        print_message("%s\n", cell->name);
        story_deploy(s);
        story_expect(s, cell->exit_code, cell->result, cell->message);
        story_expect_effects(s, cell->effects);
        bool green = s->d->exit_code == 0;
        assert_true(
            !green || cstr_equal(deployment_target_at(s->d, 0)->running_digest, STORY_DIGEST));
        assert_int_equal(s->d->proven, green);
    }
}

// --- what is not an end ------------------------------------------------------------------------

static void
test_unknown_is_not_taken_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    set_life(&lab->targets[0].forward, "unknown", NULL);
    story_deploy(s);
    story_expect(
        s, 9, "unknown", SAYS "'web' what became of it is not known: tasks failed to start");
    story_expect_effects(s, FORWARD "label " STORY_PARAMETER ":2 pending\n");
    set_life(&lab->targets[0].forward, "succeeded", NULL);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(lab->targets[0].back.begun, 0);
}

static void
test_refused_at_the_start(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    lab->refuses = ERROR_CREDENTIALS;
    story_deploy(s);
    story_expect(
        s, 4, "failed", SAYS "'web' failed: ecs:UpdateService is not allowed" PARAMETER_IS_BACK);
    assert_string_equal(s->d->hint, "Allow it.");
    story_expect_effects(s, PUT BACK);
}

static void
test_lost_answer(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    lab->in_doubt = true;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    lab->in_doubt = false;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
    assert_int_equal(lab->targets[0].forward.begun, 1);
}

// An earlier process may have asked: that nobody answers now says nothing about it.
static void
test_outage_over_an_open_question(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    lab->in_doubt = true;
    story_deploy(s);
    story_expect(s, 9, "unknown", NULL);
    lab->refuses = ERROR_UNAVAILABLE;
    story_resume(s);
    story_expect(s, 9, "unknown", NULL);
    lab->refuses = ERROR_CREDENTIALS;
    story_resume(s);
    story_expect(s, 9, "unknown", NULL);
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2"); // nothing is taken back
    lab->refuses = 0;
    lab->in_doubt = false;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_proof_cannot_be_read(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    lab->proof_denied = true;
    story_deploy(s);
    story_expect(
        s, 9, "unknown", SAYS "what runs now could not be read: ecs:DescribeTasks is not allowed");
    lab->proof_denied = false;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_outages(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    lab->blind = 5; // under five minutes
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_restart(s);
    reset_lab(s);
    lab->blind = 1000;
    story_deploy(s);
    story_expect(s, 9, "unknown", SAYS "the rollout cannot be followed any more: nobody at home");
    reset_lab(s);
    lab->targets[0].forward.begun = 1;
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_out_of_time(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    set_life(&lab->targets[0].forward, "running", NULL);
    int64_t start = s->fake->mono_ms;
    story_deploy(s);
    story_expect_open(s, 10, "timeout", SAYS "'web' is still 'running' after 20m 0s");
    assert_string_equal(s->d->hint,
        arena_printf(s->arena,
            "It goes on. 'dispatcher resume %s' follows it; 'dispatcher rollback shop --env "
            "staging --reason TEXT' takes it back.",
            s->d->id));
    assert_in_range(s->fake->mono_ms - start, 20 * MINUTE, 21 * MINUTE);
    story_expect_effects(s, FORWARD "label " STORY_PARAMETER ":2 pending\n");
    set_life(&lab->targets[0].forward, "succeeded", NULL);
    story_resume(s);
    story_expect(s, 0, "deployed", NULL);
}

static void
test_out_of_time_and_cancelled(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    set_life(&lab->targets[0].forward, "running", NULL);
    s->request.on_timeout = "cancel";
    story_deploy(s);
    story_expect(s, 7, "failed",
        SAYS "out of time: 'web' is still 'running' after 20m 0s" WEB_RUNS_AGAIN PARAMETER_IS_BACK);
    story_expect_effects(s, FORWARD "stop web\n" BACK);
}

// `dispatcher cancel` from beside: the platform is asked to give up, the owner sees how it ends.
static void
test_cancelled_from_beside(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    set_life(&lab->targets[0].forward, "running", NULL);
    story_deploy(s);
    story_expect_open(s, 10, "timeout", NULL);
    story_cancel(s);
    assert_null(s->err);
    assert_int_equal(lab->targets[0].stops, 1);
    story_resume(s);
    story_expect(s, 7, "failed", NULL);
    const char *id = arena_dup(s->arena, s->d->id);
    story_cancel(s);
    assert_int_equal(error_kind(s->err), ERROR_USAGE);
    assert_string_equal(error_message(s->err),
        arena_printf(s->arena, "deployment '%s' has no rollout under way", id));
    assert_int_equal(lab->targets[0].stops, 1);
}

// The infra side of 'via: workflow' has no run of its own to cancel, but a rollout.
static void
test_infra_side_is_cancelled_from_beside(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_infra);
    s->request.verb = "rollout";
    s->request.version = NULL;
    set_life(&lab->targets[0].forward, "running", NULL);
    story_deploy(s);
    story_expect_open(s, 10, "timeout", NULL);
    story_cancel(s);
    assert_null(s->err);
    assert_int_equal(lab->targets[0].stops, 1);
}

// --- several -----------------------------------------------------------------------------------

static struct story *
story_of_two(void)
{
    struct story *s = direct_story(spec_two);
    (void)world_parameter(s->world, STORY_SECOND, "v1", "deployed");
    return s;
}

static void
test_two_in_order(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two();
    story_deploy(s);
    story_expect(s, 0, "deployed", NULL);
    story_expect_effects(s,
        PUT "put " STORY_SECOND "=v2\nmove worker forward\nmove web forward\n"
            "label " STORY_PARAMETER ":2 deployed,proven,proven-0\nlabel " STORY_SECOND
            ":2 deployed,proven,proven-0\n");
}

// `worker` went well, `web` did not: neither stays.
static void
test_one_of_two_fails(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two();
    set_life(&lab->targets[0].forward, "running", "rolled-back");
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_int_equal(lab->targets[1].back.begun, 1);
    assert_int_equal(lab->targets[0].back.begun, 0);
    assert_string_equal(world_value(s->world, STORY_SECOND), "v1");
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v1");
}

// One at a time: one that does not come back must not keep the next from it.
static void
test_one_does_not_come_back(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two();
    s->app_spec = arena_printf(s->arena, "%s  rollout: {parallel: 1}\n", spec_unordered);
    lab->targets[0].runs_after = lab->targets[1].runs_after = OTHER_DIGEST;
    set_life(&lab->targets[0].back, "failed", NULL);
    set_life(&lab->targets[1].back, "failed", NULL);
    story_deploy(s);
    story_expect(s, 8, "failed", NULL);
    assert_int_equal(lab->targets[0].back.begun, 1);
    assert_int_equal(lab->targets[1].back.begun, 1);
}

// Whose target it is now is not known to run what it ran before: 7 would be a lie.
static void
test_one_fails_and_one_is_superseded(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two();
    s->app_spec = spec_unordered;
    set_life(&lab->targets[0].forward, "failed", NULL);
    set_life(&lab->targets[1].forward, "superseded", NULL);
    story_deploy(s);
    story_expect(s, 8, "failed", NULL);
}

static void
test_first_of_order_fails(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of_two();
    set_life(&lab->targets[1].forward, "failed", NULL);
    story_deploy(s);
    story_expect(s, 7, "failed", NULL);
    assert_int_equal(lab->targets[0].forward.begun, 0); // never begun
    assert_int_equal(lab->targets[1].back.begun, 1);
}

// --- killed anywhere ---------------------------------------------------------------------------

static void
kill_everywhere(struct story *s, const char *last, int exit_code, const char *value)
{
    int64_t at = 1;
    for (; at < 2000; at++) {
        story_restart(s);
        reset_lab(s);
        set_life(&lab->targets[0].forward, "running", last);
        if (!story_deploy_and_die(s, at)) {
            break;
        }
        if (!story_has_journal(s)) {
            story_expect_effects(s, "");
            continue;
        }
        story_resume(s);
        if (s->d->exit_code != exit_code) {
            print_error("killed at tick %lld:\n", (long long)at);
        }
        story_expect(s, exit_code, exit_code == 0 ? "deployed" : "failed", NULL);
        assert_string_equal(world_value(s->world, STORY_PARAMETER), value);
        assert_true(lab->targets[0].forward.begun <= 1);
    }
    assert_in_range(at, 30, 1999);
}

static void
test_killed_while_it_goes_well(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    kill_everywhere(s, "succeeded", 0, "v2");
}

static void
test_killed_while_it_fails(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = direct_story(spec_direct);
    kill_everywhere(s, "failed", 7, "v1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_ending),
        cmocka_unit_test(test_unknown_is_not_taken_back),
        cmocka_unit_test(test_refused_at_the_start),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_outage_over_an_open_question),
        cmocka_unit_test(test_proof_cannot_be_read),
        cmocka_unit_test(test_outages),
        cmocka_unit_test(test_out_of_time),
        cmocka_unit_test(test_out_of_time_and_cancelled),
        cmocka_unit_test(test_cancelled_from_beside),
        cmocka_unit_test(test_infra_side_is_cancelled_from_beside),
        cmocka_unit_test(test_two_in_order),
        cmocka_unit_test(test_one_of_two_fails),
        cmocka_unit_test(test_one_does_not_come_back),
        cmocka_unit_test(test_one_fails_and_one_is_superseded),
        cmocka_unit_test(test_first_of_order_fails),
        cmocka_unit_test(test_killed_while_it_goes_well),
        cmocka_unit_test(test_killed_while_it_fails),
    };
    return cmocka_run_group_tests_name("rollout", tests, NULL, NULL);
}
