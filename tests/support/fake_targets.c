// One kind of target, "ecs", that does at once what it is asked for.
#include "fake_targets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fake_targets fake_targets;

void
fake_targets_reset(struct world *world)
{
    fake_targets =
        (struct fake_targets){.world = world, .version = "v1", .digest = FAKE_OLD_DIGEST};
}

static struct error *
look(const struct step_run *run, struct deployment_target *target)
{
    (void)run;
    fake_targets.looks++;
    if (fake_targets.unreadable != 0) {
        return error_new(fake_targets.unreadable, "ecs:DescribeServices is not allowed");
    }
    target->arn = "arn:fake";
    target->before = "shop:41";
    target->before_digest = fake_targets.digest;
    target->before_version = fake_targets.version;
    target->note = "replaces 'shop:41'";
    return NULL;
}

static void
describe(const struct deployment *d, const struct deployment_target *target, struct buf *out)
{
    (void)d;
    buf_printf(out, "roll out '%s' to service '%s'", target->name, target->want.service);
}

static struct error *
begin(const struct step_run *run, const struct target_move *at)
{
    bool forward = at->move == &at->target->forward;
    at->move->state = "intent";
    TRY(engine_save(run, "intent", NULL));
    if (forward && !fake_targets.is_code) {
        at->move->digest =
            deployment_service_at(run->deployment, (size_t)at->target->service)->digest;
    }
    fake_targets.moves++;
    world_effect(fake_targets.world, "move %s %s %s\n", at->target->name,
        forward ? "forward" : "back", forward ? run->deployment->version : at->move->revision);
    at->move->state = "sent";
    at->move->id = "arn:fake:deployment";
    return engine_save(run, "waiting", NULL);
}

static struct error *
refresh(const struct step_run *run, const struct target_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool forward = moves[i].move == &moves[i].target->forward;
        const char *ends = forward && fake_targets.ends != NULL ? fake_targets.ends : "succeeded";
        bool good = strcmp(ends, "succeeded") == 0;
        target_end_move(run, moves[i].move, ends, good ? NULL : "tasks failed to start");
        if (good) {
            fake_targets.digest =
                fake_targets.runs_after != NULL ? fake_targets.runs_after : moves[i].move->digest;
        }
    }
    return NULL;
}

static struct error *
prove(const struct step_run *run, struct deployment_target *target, const char *digest)
{
    (void)run;
    if (fake_targets.unprovable != 0) {
        return error_new(fake_targets.unprovable, "ecs:DescribeTasks is not allowed");
    }
    bool late = ++fake_targets.proofs <= fake_targets.late;
    target->running_digest = late ? FAKE_OLD_DIGEST : fake_targets.digest;
    target->proven = cstr_equal(target->running_digest, digest);
    target->proof = target->proven ? "2 of 2 tasks run it" : "1 of 2 tasks runs it";
    return NULL;
}

static void
explain(const struct step_run *run, const struct target_move *at)
{
    target_add_evidence(run, at->target, "container 'web' exited with 1");
}

static void
record(const struct step_run *run, struct deployment_target *target)
{
    (void)run;
    (void)target;
    fake_targets.records++;
}

static const struct target_ops ops = {
    .kind = "ecs",
    .look = look,
    .describe = describe,
    .begin = begin,
    .refresh = refresh,
    .prove = prove,
    .explain = explain,
    .record = record,
};
const struct target_ops *const target_all_ops[] = {&ops, NULL};

const struct target_ops *
target_ops_find(const char *kind)
{
    assert_string_equal(kind, "ecs");
    return &ops;
}
