// Which service deployment is ours: one that began after we asked, to the revision that we asked
// for. UpdateService answers with the classic id only (aws-rollout.md §3.3, "Finding the id").
#include <string.h>

#include "dispatcher/memory.h"
#include "target_ecs_internal.h"

enum { CANDIDATES_MAX = 20 };

bool
target_ecs_is_unreadable(const struct step_run *run, const struct error *err)
{
    static const char note[] =
        "service deployments cannot be read: the rollout is followed by its classic id, without "
        "stages and hooks (allow 'ecs:ListServiceDeployments', 'ecs:DescribeServiceDeployments' "
        "and 'ecs:DescribeServiceRevisions' to the role)";
    if (aws_has_code(err, "UnsupportedFeatureException")) {
        return true;
    }
    if (!aws_is_denied(err)) {
        return false;
    }
    if (!run->context->ecs_classic) {
        run->context->ecs_classic = true;
        deployment_note(run->deployment, run->arena, note);
        context_emit_text(run->context, run->deployment, DEPLOY_EVENT_NOTE, note);
    }
    return true;
}

struct candidate {
    struct target_sight *sight;
    const char *arn, *revision;
    bool is_ours; // its revision is the one asked for
};
struct candidates {
    struct candidate *items; // of one service newest first
    size_t count, room;
    struct arena *arena;
};

static void
add_candidate(struct candidates *list, const struct candidate *one)
{
    if (list->count == list->room) {
        size_t room = list->room * 2 + CANDIDATES_MAX;
        struct candidate *longer = arena_array(list->arena, room, sizeof(*longer));
        if (list->count > 0) {
            memcpy(longer, list->items, list->count * sizeof(*longer));
        }
        list->items = longer;
        list->room = room;
    }
    list->items[list->count++] = *one;
}

// What was under way or over when we asked is somebody else's. Of a move back, so is our own move
// forward.
static bool
may_be_ours(const struct target_sight *sight, const struct ecs_deployment_summary *summary)
{
    const struct deployment_move *move = sight->at->move;
    const struct deployment_target *target = sight->at->target;
    bool is_forward = move == &target->forward;
    bool was_over = summary->finished_ms > 0 && summary->finished_ms < move->asked_ms;
    return !cstr_equal(summary->arn, move->earlier_id) && !was_over &&
           (is_forward || !cstr_equal(summary->arn, target->forward.id));
}

static struct error *
list_of(const struct step_run *run, struct aws_session *aws, struct target_sight *sight,
    struct candidates *list)
{
    struct ecs_deployment_summary *summaries = NULL;
    size_t count = 0;
    const struct deployment_move *move = sight->at->move;
    const struct ecs_deployment_query query = {
        .cluster = target_cluster(sight->at->target),
        .service = target_service_name(sight->at->target),
        .created_after_ms = move->asked_ms - TARGET_CLOCK_SLACK_MS,
        .max = CANDIDATES_MAX,
    };
    struct error *err = ecs_deployments_list(aws, &query, list->arena, &summaries, &count);
    if (err != NULL && target_ecs_is_unreadable(run, err)) {
        sight->use_classic = true;
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < count; i++) {
        const char *revision = summaries[i].target_revision_arn;
        if (revision != NULL && may_be_ours(sight, &summaries[i])) {
            const struct candidate one = {
                sight, summaries[i].arn, revision, cstr_equal(revision, move->revision)};
            add_candidate(list, &one);
        }
    }
    return NULL;
}

// The task definitions of the candidates' revisions. An Express service's move is to a revision of
// the service itself, and needs none.
static struct error *
compare_revisions(const struct step_run *run, struct aws_session *aws, struct candidates *list)
{
    const char **arns = arena_array(list->arena, list->count, sizeof(*arns));
    struct ecs_revision *revisions = arena_array(list->arena, list->count, sizeof(*revisions));
    size_t open = 0;
    for (size_t i = 0; i < list->count; i++) {
        arns[i] = list->items[i].revision;
        open += list->items[i].is_ours ? 0 : 1;
    }
    if (open == 0) {
        return NULL;
    }
    struct error *err = ecs_revisions_describe(aws, arns, list->count, list->arena, revisions);
    if (err != NULL && target_ecs_is_unreadable(run, err)) {
        for (size_t i = 0; i < list->count; i++) {
            list->items[i].sight->use_classic = true;
        }
        error_free(err);
        return NULL;
    }
    TRY(err);
    for (size_t i = 0; i < list->count; i++) {
        const char *wanted = list->items[i].sight->at->move->revision;
        list->items[i].is_ours =
            list->items[i].is_ours || (revisions[i].task_definition != NULL &&
                                          cstr_equal(revisions[i].task_definition, wanted));
    }
    return NULL;
}

struct error *
target_ecs_find(
    const struct step_run *run, struct aws_session *aws, struct target_sight *sights, size_t count)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct candidates list = {.arena = scratch};
    for (size_t i = 0; i < count; i++) {
        if (run->context->ecs_classic) {
            sights[i].use_classic = true;
        } else if (sights[i].at->move->id == NULL) {
            TRY(list_of(run, aws, &sights[i], &list));
        }
    }
    if (list.count > 0) {
        TRY(compare_revisions(run, aws, &list));
    }
    for (size_t i = 0; i < list.count; i++) {
        struct deployment_move *move = list.items[i].sight->at->move;
        if (list.items[i].is_ours && move->id == NULL) {
            move->id = arena_dup(run->arena, list.items[i].arn);
        }
    }
    return NULL;
}

struct error *
target_ecs_successor(const struct step_run *run, struct aws_session *aws,
    const struct target_sight *sight, const struct ecs_deployment *deployment, const char **out)
{
    struct arena *scratch CLEANUP(arena_freep) = arena_new();
    struct ecs_deployment_summary *summaries = NULL;
    size_t count = 0;
    const struct ecs_deployment_query query = {
        .cluster = target_cluster(sight->at->target),
        .service = target_service_name(sight->at->target),
        .created_after_ms = deployment->created_ms,
        .max = CANDIDATES_MAX,
    };
    const char *newer = NULL;
    struct error *err = ecs_deployments_list(aws, &query, scratch, &summaries, &count);
    if (err != NULL && !target_ecs_is_unreadable(run, err)) {
        return err;
    }
    error_free(err);
    for (size_t i = 0; i < count; i++) {
        bool is_other = strcmp(summaries[i].arn, deployment->arn) != 0;
        if (is_other && summaries[i].created_ms >= deployment->created_ms) {
            newer = summaries[i].arn;
        }
    }
    if (newer == NULL && sight->current != NULL && strcmp(sight->current, deployment->arn) != 0) {
        newer = sight->current;
    }
    *out = newer != NULL ? arena_printf(run->arena, "service deployment '%s' came after it",
                               target_short(newer))
                         : NULL;
    return NULL;
}
