// What is said to be proven after an infra workflow and after a rollout from here, and which labels
// say so; with targets of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../../../dispatcher/deploy/target_internal.h"
#include "deploy_story.h"
#include "dispatcher/memory.h"

#define SPEC                                                                                       \
    "title: Shop\nname: shop\nrepo: octo/shop\nservices:\n  web:\n    expose: 8080\ndeploy:\n"
#define TARGET "  target: {kind: ecs, cluster: blue, service: shop}\n"
#define OLD_DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define LABEL "label " STORY_PARAMETER ":2 "

static const char spec_workflow[] = SPEC TARGET;
static const char spec_direct[] = SPEC "  via: direct\n" TARGET;

// --- a platform that is looked at --------------------------------------------------------------

static struct {
    enum error_kind unreadable; // look; 0: it is not
    unsigned late;              // proofs that still see the old digest
    unsigned looks, proofs, records;
    bool is_code;
} lab;

static struct error *
fake_look(const struct step_run *run, struct deployment_target *target)
{
    (void)run;
    lab.looks++;
    if (lab.unreadable != 0) {
        return error_new(lab.unreadable, "ecs:DescribeServices is not allowed");
    }
    target->arn = "arn:fake";
    target->before = "shop:42";
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
    at->move->state = "sent";
    at->move->digest = lab.is_code ? NULL : deployment_service_at(run->deployment, 0)->digest;
    return engine_save(run, "waiting", NULL);
}

static struct error *
fake_refresh(const struct step_run *run, const struct target_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        target_end_move(run, moves[i].move, "succeeded", NULL);
    }
    return NULL;
}

static struct error *
fake_prove(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    (void)run;
    target->running_digest = ++lab.proofs <= lab.late ? OLD_DIGEST : digest;
    target->proven = strcmp(target->running_digest, digest) == 0;
    target->proof = target->proven ? "2 of 2 tasks run it" : "1 of 2 tasks runs it";
    return NULL;
}

static void
fake_explain(const struct step_run *run, const struct target_move *at)
{
    (void)run;
    (void)at;
}

static void
fake_record(const struct step_run *run, struct deployment_target *target)
{
    (void)run;
    (void)target;
    lab.records++;
}

static const struct target_ops fake_ops = {
    .kind = "ecs",
    .look = fake_look,
    .describe = fake_describe,
    .begin = fake_begin,
    .refresh = fake_refresh,
    .prove = fake_prove,
    .explain = fake_explain,
    .record = fake_record,
};
const struct target_ops *const target_all_ops[] = {&fake_ops, NULL};

const struct target_ops *
target_ops_find(const char *kind)
{
    assert_string_equal(kind, "ecs");
    return &fake_ops;
}

static struct story *
story_of(const char *spec)
{
    struct story *s = story_new();
    s->app_spec = spec;
    memset(&lab, 0, sizeof(lab));
    return s;
}

// The labels are the last effect.
static void
expect_end(const struct story *s, bool proven, const char *proof, const char *labels)
{
    story_expect(s, 0, "deployed",
        proven ? "'shop' v2 is deployed to 'staging' and proven to run"
               : "'shop' v2 is deployed to 'staging'");
    assert_string_equal(s->d->proof, proof);
    assert_true(s->d->proven == proven);
    const char *last = strstr(s->world->effects, "label ");
    assert_non_null(last);
    assert_string_equal(last, labels);
}

// --- after an infra workflow -------------------------------------------------------------------

static void
prove_it(struct world *world)
{
    struct world_version *version = &world_parameter_find(world, STORY_PARAMETER)->versions[1];
    memcpy(version->labels[0], "proven", sizeof("proven"));
}

static const struct world_fault told[] = {
    {.match = "GET */actions/runs/*", .kind = FAULT_HOOK, .hook = prove_it}, {0}};

static void
test_told_by_the_infra_side(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_workflow);
    s->world->faults = told;
    story_deploy(s);
    expect_end(s, true, "the infra side proved that this digest runs", LABEL "deployed\n");
    assert_int_equal(lab.looks, 0);
}

static void
test_seen_by_ourselves(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_workflow);
    lab.late = 2;
    story_deploy(s);
    expect_end(s, true, "run succeeded; looked ourselves: 2 of 2 tasks run it",
        LABEL "deployed,proven,proven-0\n");
    assert_int_equal(lab.proofs, 3);
    assert_int_equal(lab.looks, 1);
    assert_int_equal(lab.records, 0); // marks on the platform are the infra side's
    assert_null(deployment_target_at(s->d, 0)->before);
}

static void
test_seen_to_run_something_else(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_workflow);
    lab.late = 1000;
    story_deploy(s);
    story_expect(s, 9, "unknown",
        "deploy 'shop' to 'staging': run 29020317001 succeeded, but 'web' does not run what was "
        "asked for: 1 of 2 tasks runs it");
    assert_string_equal(
        s->d->hint, arena_printf(s->arena,
                        "The infra side may still roll out, or rolled out something else; "
                        "'dispatcher resume %s' looks again.",
                        s->d->id));
    assert_string_equal(world_value(s->world, STORY_PARAMETER), "v2"); // nothing is taken back
    assert_null(strstr(s->world->effects, "deployed"));
    lab.late = 0;
    story_resume(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging' and proven to run");
    assert_int_equal(s->world->posts, 1);
}

static void
test_not_readable(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_workflow);
    lab.unreadable = ERROR_CREDENTIALS;
    story_deploy(s);
    expect_end(s, false,
        "run succeeded; running digest not checked: ecs:DescribeServices is not allowed",
        LABEL "deployed\n");
}

static void
write_foreign(struct world *world)
{
    world_foreign_write(world, STORY_PARAMETER, "v9");
}

static const struct world_fault foreign[] = {
    {.match = "GET */actions/runs/*", .kind = FAULT_HOOK, .hook = write_foreign}, {0}};

static void
test_changed_meanwhile(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_workflow);
    s->world->faults = foreign;
    story_deploy(s);
    expect_end(s, false,
        "run succeeded, but parameter " STORY_PARAMETER
        " was changed to 'v9' (version 3, by arn:aws:iam::1:user/mallory) meanwhile: which of the "
        "two it rolled out is not checked",
        LABEL "deployed\n");
    assert_int_equal(lab.looks, 0);
}

// --- after a rollout from here -----------------------------------------------------------------

static void
test_direct(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_direct);
    story_deploy(s);
    expect_end(s, true, "2 of 2 tasks run it", LABEL "deployed,proven,proven-0\n");
    assert_int_equal(lab.records, 1);
    assert_string_equal(deployment_step_at(s->d, 3)->note, "1 of 1 labelled");
}

static void
test_direct_from_source(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_direct);
    lab.is_code = true;
    story_deploy(s);
    expect_end(s, false, "'web' came from source code, of which nobody can say what runs",
        LABEL "deployed\n");
    assert_int_equal(lab.records, 1); // whose it is can be said all the same
}

static void
test_interrupted_while_checking(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {
        {.match = "GET /health", .kind = FAULT_SIGNAL}, {0}};
    struct story *s CLEANUP(story_freep) = story_of(spec_direct);
    s->app_spec = arena_printf(
        s->arena, "%s  verify: [{url: \"https://shop.example.org/health\"}]\n", spec_direct);
    s->world->faults = faults;
    story_deploy(s);
    story_expect_open(s, 143, "interrupted",
        "deploy 'shop' to 'staging': interrupted by signal 15; the rollout is over, and was not "
        "proven and checked to the end");
}

static void
test_direct_without_waiting(void **state)
{
    (void)state;
    struct story *s CLEANUP(story_freep) = story_of(spec_direct);
    s->request.no_wait = true;
    story_deploy(s);
    story_expect_refused(s, ERROR_USAGE,
        "--no-wait is for 'via: workflow': here 'shop' is rolled out by this very process",
        "Interrupt it instead: the rollout goes on, and 'dispatcher resume' follows it.");
}

static void
test_label_is_refused(void **state)
{
    (void)state;
    static const struct world_fault faults[] = {{.match = "ssm:LabelParameterVersion *",
                                                    .kind = FAULT_STATUS,
                                                    .status = 400,
                                                    .body = "{\"__type\":\"AccessDeniedException\","
                                                            "\"message\":\"not you\"}"},
        {0}};
    struct story *s CLEANUP(story_freep) = story_of(spec_direct);
    s->world->faults = faults;
    story_deploy(s);
    story_expect(s, 0, "deployed", "'shop' v2 is deployed to 'staging' and proven to run");
    story_expect_effects(s, "put " STORY_PARAMETER "=v2\n");
    assert_non_null(strstr(buf_cstr(&s->events), "cannot label parameter"));
    assert_string_equal(deployment_step_at(s->d, 3)->note, "0 of 1 labelled");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_by_the_infra_side),
        cmocka_unit_test(test_seen_by_ourselves),
        cmocka_unit_test(test_seen_to_run_something_else),
        cmocka_unit_test(test_not_readable),
        cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_direct_from_source),
        cmocka_unit_test(test_interrupted_while_checking),
        cmocka_unit_test(test_direct_without_waiting),
        cmocka_unit_test(test_label_is_refused),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
