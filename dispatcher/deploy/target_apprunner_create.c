// A service that does not exist yet: made from what the spec says, followed like any other change.
#include <string.h>

#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

static struct error *
send(const struct step_run *run, const struct target_move *at)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct apprunner_create create = {0};
    struct apprunner_health_check health = {0};
    struct apprunner_start started = {0};
    const char *image = apprunner_is_code(at->target) ? NULL : at->move->revision;
    TRY(apprunner_create_make(run, at->target, image, scratch, &create, &health));
    TRY(apprunner_turn(run, &aws));
    if (image == NULL) {
        at->move->revision =
            arena_printf(run->arena, "the head of branch '%s'", at->target->branch);
    }
    TRY(apprunner_intend(run, at, aws, NULL));
    struct error *err = apprunner_create(aws, &create, scratch, &started);
    if (err == NULL) {
        at->target->arn = arena_dup(run->arena, started.arn);
    }
    return apprunner_answered(run, at, err, &started);
}

static const struct apprunner_operation *
creation_of(const struct apprunner_operation *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cstr_equal(list[i].type, "CREATE_SERVICE")) {
            return &list[i];
        }
    }
    return NULL;
}

static struct error *
find_creation(const struct step_run *run, const struct target_move *at, const char **id)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct apprunner_operation *list = NULL;
    const char *arn = NULL;
    size_t count = 0;
    TRY(apprunner_turn(run, &aws));
    TRY(apprunner_find(aws, at->target->want.service, scratch, &arn));
    if (arn == NULL) {
        return NULL;
    }
    TRY(apprunner_operations(run, arn, NULL, scratch, &list, &count));
    const struct apprunner_operation *creation = creation_of(list, count);
    at->target->arn = arena_dup(run->arena, arn);
    *id = creation != NULL ? arena_dup(run->arena, creation->id) : NULL;
    return NULL;
}

// A name is taken once: a service of this name that was not there before we asked is ours.
static struct error *
look_for_it(const struct step_run *run, const struct target_move *at, bool *again)
{
    const char *id = NULL;
    *again = false;
    struct error *err = find_creation(run, at, &id);
    if (err != NULL) {
        return apprunner_cannot_see(run, at, err);
    }
    if (at->target->arn == NULL) {
        return apprunner_doubt(run, at, again);
    }
    at->move->state = "sent";
    at->move->id = id;
    at->move->progress = NULL;
    return engine_save(run, "waiting", NULL);
}

struct error *
apprunner_begin_create(const struct step_run *run, const struct target_move *at)
{
    bool again = true;
    if (cstr_equal(at->move->state, "intent")) {
        TRY(look_for_it(run, at, &again));
    }
    return again ? send(run, at) : NULL;
}
