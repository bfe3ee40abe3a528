// A pace's life, and what it carries from one loading of a deployment to the next. Decides nothing.
#include "pace.h"

#include <stdlib.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

struct deploy_pace *
deploy_pace_new(void)
{
    return xcalloc(1, sizeof(struct deploy_pace));
}

static void
drop_moves(struct deploy_pace *pace)
{
    for (size_t i = 0; i < pace->move_count; i++) {
        free(pace->moves[i].event);
    }
    free(pace->moves);
    pace->moves = NULL;
    pace->move_count = 0;
}

void
deploy_pace_free(struct deploy_pace *pace)
{
    if (pace == NULL) {
        return;
    }
    pace_drop_step(pace);
    drop_moves(pace);
    apprunner_memory_free(pace->apprunner);
    arena_free(pace->arena);
    free(pace);
}

void
deploy_pace_freep(struct deploy_pace **pace)
{
    deploy_pace_free(*pace);
    *pace = NULL;
}

struct arena *
pace_arena(struct deploy_pace *pace)
{
    if (pace->arena == NULL) {
        pace->arena = arena_new();
    }
    return pace->arena;
}

void
pace_drop_put(struct deploy_pace *pace)
{
    error_free(pace->put.error);
    pace->put = (struct pace_put){0};
}

void
pace_drop_search(struct deploy_pace *pace)
{
    error_freep(&pace->cause);
    pace->search = (struct pace_search){0};
}

void
pace_drop_step(struct deploy_pace *pace)
{
    pace_drop_put(pace);
    pace_drop_search(pace);
    pace->back = BACK_NEW;
    pace->restores = 0;
    pace->is_marked = pace->orphan_asked = false;
    pace->orphan = 0;
    pace->step = 0;
    pace->undoing = pace->undo_begun = false;
    pace->waits = false;
}

static struct deployment_move *
move_of(const struct deployment *deployment, size_t index)
{
    struct deployment_target *target = deployment_target_at(deployment, index / 2);
    return index % 2 == 0 ? &target->forward : &target->back;
}

void
pace_give(const struct deploy_pace *pace, struct deployment *deployment)
{
    for (size_t i = 0; i < pace->move_count && i / 2 < deployment->targets.count; i++) {
        struct deployment_move *move = move_of(deployment, i);
        move->sought_mono_ms = pace->moves[i].sought_mono_ms;
        move->failures = pace->moves[i].failures;
        move->event = pace->moves[i].event;
    }
}

void
pace_take(struct deploy_pace *pace, const struct deployment *deployment)
{
    size_t count = deployment->targets.count * 2;
    struct pace_move *moves = count > 0 ? xcalloc(count, sizeof(*moves)) : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct deployment_move *move = move_of(deployment, i);
        moves[i] = (struct pace_move){.sought_mono_ms = move->sought_mono_ms,
            .failures = move->failures,
            .event = move->event != NULL ? xstrdup(move->event) : NULL};
    }
    drop_moves(pace);
    pace->moves = moves;
    pace->move_count = count;
}
