// Which lifecycle stages a deployment passes through, how long each takes, where traffic goes in
// it, and which hooks stop it there. The stages without bake times share the deployment's delay;
// a minute of bake time lasts as long as the sandbox's bake minute.
#include <string.h>

#include "aws_ecs_internal.h"
#include "dispatcher/memory.h"

enum {
    STAGES_MAX = 128,
    THRESHOLD_MIN = 3,
    THRESHOLD_MAX = 200,
    BAKE_MAX = 24 * 60, // minutes
    HOOK_MAX = 14 * 24 * 60,
    MINUTE_MS = 60000,
    HOOK_MINUTES = 24 * 60, // a PAUSE hook without a timeout
};

int64_t
sandbox_ecs_breaker_threshold(int64_t desired)
{
    int64_t half = (desired + 1) / 2;
    return half < THRESHOLD_MIN ? THRESHOLD_MIN : half > THRESHOLD_MAX ? THRESHOLD_MAX : half;
}

struct plan {
    struct ecs_deployment *deployment;
    int64_t minute_ms;
};

static struct ecs_stage *
add(struct plan *plan, const char *name, double test, double production)
{
    struct ecs_deployment *deployment = plan->deployment;
    BUG_ON(deployment->stage_count == STAGES_MAX);
    deployment->stages[deployment->stage_count] =
        (struct ecs_stage){.name = name, .test = test, .production = production, .ms = -1};
    return &deployment->stages[deployment->stage_count++];
}

static double
number_of(const struct json *configuration, const char *path, double fallback)
{
    return json_number(json_path(configuration, path), fallback);
}

static void
add_bake(struct plan *plan, const char *name, double test, double production, double minutes)
{
    if (minutes > 0) {
        minutes = minutes < BAKE_MAX ? minutes : BAKE_MAX;
        add(plan, name, test, production)->ms = (int64_t)(minutes * (double)plan->minute_ms);
    }
}

// Production traffic moves in steps, each of which is watched for a while.
static void
add_shift(struct plan *plan, const char *strategy)
{
    static const char name[] = "PRODUCTION_TRAFFIC_SHIFT";
    const struct json *configuration = plan->deployment->configuration;
    if (strcmp(strategy, "CANARY") == 0) {
        double percent = number_of(configuration, "canaryConfiguration.canaryPercent", 5);
        add(plan, name, 100, percent);
        add_bake(plan, name, 100, percent,
            number_of(configuration, "canaryConfiguration.canaryBakeTimeInMinutes", 10));
    } else if (strcmp(strategy, "LINEAR") == 0) {
        double step = number_of(configuration, "linearConfiguration.stepPercent", 10);
        double bake = number_of(configuration, "linearConfiguration.stepBakeTimeInMinutes", 6);
        step = step < 3 ? 3 : step;
        for (double percent = step; percent < 100; percent += step) {
            add(plan, name, 100, percent)->ms = 0;
            add_bake(plan, name, 100, percent, bake);
        }
    }
    add(plan, name, 100, 100);
}

static void
add_all(struct plan *plan, const char *strategy)
{
    if (plan->deployment->source_count > 1) {
        add(plan, "RECONCILE_SERVICE", 0, 0);
    }
    add(plan, "PRE_SCALE_UP", 0, 0);
    add(plan, "SCALE_UP", 0, 0)->scales_up = true;
    add(plan, "POST_SCALE_UP", 0, 0);
    add(plan, "TEST_TRAFFIC_SHIFT", 100, 0);
    add(plan, "POST_TEST_TRAFFIC_SHIFT", 100, 0);
    add_shift(plan, strategy);
    add(plan, "POST_PRODUCTION_TRAFFIC_SHIFT", 100, 100);
    add_bake(plan, "BAKE_TIME", 100, 100,
        number_of(plan->deployment->configuration, "bakeTimeInMinutes", 0));
    add(plan, "CLEAN_UP", 100, 100)->cleans_up = true;
}

// What has no time of its own shares the delay.
static void
share_delay(struct ecs_deployment *deployment)
{
    int64_t shares = 0;
    for (size_t i = 0; i < deployment->stage_count; i++) {
        shares += deployment->stages[i].ms < 0 ? (deployment->stages[i].scales_up ? 3 : 1) : 0;
    }
    for (size_t i = 0; i < deployment->stage_count; i++) {
        struct ecs_stage *stage = &deployment->stages[i];
        if (stage->ms < 0) {
            stage->ms = deployment->delay_ms * (stage->scales_up ? 3 : 1) / shares;
        }
    }
}

static bool
has_stage(const struct ecs_deployment *deployment, const char *name)
{
    for (size_t i = 0; i < deployment->stage_count; i++) {
        if (cstr_equal(deployment->stages[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void
add_hook(struct sandbox *sandbox, struct ecs_deployment *deployment, const struct ecs_hook *hook)
{
    struct arena *arena = sandbox->aws->ecs->arena;
    // A hook before production traffic has no stage of its own in what is told.
    const char *stage = strcmp(hook->stage, "PRE_PRODUCTION_TRAFFIC_SHIFT") == 0
                            ? "POST_TEST_TRAFFIC_SHIFT"
                            : hook->stage;
    if (!has_stage(deployment, stage)) {
        return;
    }
    deployment->hooks =
        xrealloc(deployment->hooks, (deployment->hook_count + 1) * sizeof(*deployment->hooks));
    struct ecs_hook *added = &deployment->hooks[deployment->hook_count++];
    *added = *hook;
    added->id = sandbox_random(sandbox, arena, 16);
    added->stage = arena_dup(arena, stage);
}

static void
plan_hooks(struct sandbox *sandbox, struct ecs_deployment *deployment)
{
    const struct json *hooks = json_get(deployment->configuration, "lifecycleHooks");
    for (size_t i = 0; i < json_count(hooks); i++) {
        const struct json *given = json_at(hooks, i);
        const struct json *stages = json_get(given, "lifecycleStages");
        const struct json *timeout = json_get(given, "timeoutConfiguration");
        const char *action = json_str(json_get(timeout, "action"));
        int64_t minutes = json_int(json_get(timeout, "timeoutInMinutes"), HOOK_MINUTES);
        minutes = minutes < 0 ? 0 : minutes > HOOK_MAX ? HOOK_MAX : minutes;
        for (size_t k = 0; k < json_count(stages); k++) {
            const char *stage = json_str(json_at(stages, k));
            struct ecs_hook hook = {.stage = stage != NULL ? stage : "",
                .pauses = cstr_equal(json_str(json_get(given, "targetType")), "PAUSE"),
                .target_arn = json_str(json_get(given, "hookTargetArn")),
                .action = action != NULL ? action : "ROLLBACK",
                .timeout_ms = minutes * MINUTE_MS};
            add_hook(sandbox, deployment, &hook);
        }
    }
}

// The scenario's own PAUSE hook.
static void
plan_pause(struct sandbox *sandbox, struct ecs_deployment *deployment, const char *stage)
{
    struct ecs_hook hook = {.stage = stage,
        .pauses = true,
        .action = sandbox_ecs_scenario_text(deployment->scenario, "timeout_action", "ROLLBACK"),
        .timeout_ms = sandbox_ecs_scenario_ms(
            deployment->scenario, "timeout", (int64_t)HOOK_MINUTES * MINUTE_MS)};
    add_hook(sandbox, deployment, &hook);
}

void
sandbox_ecs_plan_stages(struct sandbox *sandbox, struct ecs_deployment *deployment)
{
    const struct ecs_service *service = deployment->service;
    const struct ecs_state *ecs = sandbox->aws->ecs;
    const char *strategy = json_str(json_get(deployment->configuration, "strategy"));
    int64_t minute = service->bake_minute_ms >= 0 ? service->bake_minute_ms
                     : ecs->bake_minute_ms >= 0   ? ecs->bake_minute_ms
                                                  : deployment->delay_ms / 10;
    struct plan plan = {.deployment = deployment,
        .minute_ms = sandbox_ecs_scenario_ms(deployment->scenario, "bake_minute", minute)};
    bool is_rolling = strategy == NULL || strcmp(strategy, "ROLLING") == 0;
    bool pauses = deployment->course == ECS_PAUSED_HOOK;
    const char *stage = sandbox_ecs_scenario_text(deployment->scenario, "stage", "POST_SCALE_UP");
    deployment->stages = xcalloc(STAGES_MAX, sizeof(*deployment->stages));
    if (is_rolling) {
        add(&plan, NULL, 0, 0)->scales_up = true;
        if (pauses) {
            add(&plan, stage, 0, 0)->ms = 0;
        }
        add_bake(
            &plan, "BAKE_TIME", 0, 0, number_of(deployment->configuration, "bakeTimeInMinutes", 0));
    } else {
        add_all(&plan, strategy);
    }
    share_delay(deployment);
    plan_hooks(sandbox, deployment);
    if (pauses) {
        plan_pause(sandbox, deployment, stage);
    }
}
