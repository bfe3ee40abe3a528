// What was found against what a release left: the same, another, or nobody knows. Pure. A value
// that is no version is never quoted, and one of a secret parameter only where it is known for a
// version: whoever reads a page may not read the parameter.
#include "drift_internal.h"

#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/semver.h"

enum { VERSION_MAX = 160 };

static bool
lists(const struct str_list *list, const char *text)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (cstr_equal(list->items[i], text)) {
            return true;
        }
    }
    return false;
}

// The value as it may be shown, or NULL.
static const char *
shown(const struct drift_parameter *parameter, struct arena *arena)
{
    const struct ssm_parameter *seen = parameter->seen;
    bool secret = !cstr_equal(seen->type, "String");
    bool known = lists(parameter->versions, seen->value) || snapshot_is_commit(seen->value) ||
                 semver_is_valid(str_of(seen->value));
    return tag_is_valid(str_of(seen->value)) && (known || !secret)
               ? context_clean(arena, seen->value, VERSION_MAX)
               : NULL;
}

static struct queue_drift_thing
another_value(const struct drift_parameter *parameter, struct arena *arena)
{
    const char *value = shown(parameter, arena);
    const char *expected = parameter->version;
    struct queue_drift_thing thing = {.service = parameter->service,
        .what = "parameter",
        .verdict = QUEUE_DRIFT_DIFFERS,
        .expected = expected};
    if (value != NULL) {
        thing.found = value;
        thing.sentence =
            arena_printf(arena, "Parameter '%s' says '%s'; '%s' is what was deployed last.",
                parameter->name, value, expected);
        return thing;
    }
    // Told apart from others by its number only, so that a second change is another difference.
    thing.found =
        arena_printf(arena, "(not shown, version %lld)", (long long)parameter->seen->version);
    thing.sentence = arena_printf(arena,
        "Parameter '%s' holds something else that is not shown, since it need not be a version; "
        "'%s' is what was deployed last.",
        parameter->name, expected);
    return thing;
}

struct queue_drift_thing
drift_judge_parameter(const struct drift_parameter *parameter, struct arena *arena)
{
    struct queue_drift_thing thing = {.service = parameter->service,
        .what = "parameter",
        .verdict = QUEUE_DRIFT_SAME,
        .expected = parameter->version};
    if (parameter->problem != NULL) {
        thing.verdict = QUEUE_DRIFT_UNKNOWN;
        thing.sentence = parameter->problem;
    } else if (parameter->seen == NULL) {
        thing.verdict = QUEUE_DRIFT_DIFFERS;
        thing.sentence =
            arena_printf(arena, "Parameter '%s' does not exist; '%s' is what was deployed last.",
                parameter->name, parameter->version);
    } else if (strcmp(parameter->seen->value, parameter->version) != 0) {
        return another_value(parameter, arena);
    } else {
        thing.found = parameter->version;
    }
    return thing;
}

struct queue_drift_thing
drift_judge_running(const struct deployment_target *target, const char *version, const char *digest,
    const char *problem, struct arena *arena)
{
    struct queue_drift_thing thing = {
        .service = target->name, .what = "running", .expected = digest};
    bool is_ecs = !cstr_equal(target->want.kind, "apprunner");
    const char *proof = target->proof != NULL ? target->proof : "nothing was seen to run";
    bool same = cstr_equal(target->running_digest, digest);
    if (problem == NULL && target->proven) {
        thing.verdict = QUEUE_DRIFT_SAME;
        thing.found = digest;
        return thing;
    }
    // The right image, but not known to run; or a platform that does not tell which it is.
    if (problem != NULL || same || (target->running_digest == NULL && !is_ecs)) {
        thing.verdict = QUEUE_DRIFT_UNKNOWN;
        thing.sentence = problem != NULL
                             ? problem
                             : arena_printf(arena, "What '%s' runs is not known: %s.", target->name,
                                   context_clean(arena, proof, DRIFT_TEXT_MAX));
        return thing;
    }
    thing.verdict = QUEUE_DRIFT_DIFFERS;
    thing.found = arena_dup(arena, target->running_digest);
    thing.sentence = arena_printf(arena, "'%s' does not run '%s': %s.", target->name, version,
        context_clean(arena, proof, DRIFT_TEXT_MAX));
    return thing;
}
