// What other deployments of the same CI job have dispatched: a re-run has the same claim key, hence
// the same dispatch ids, and an id is sent once (protocols.md §3.4). Only reads.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"

enum { ROWS_MAX = 50 };

// Made of this deployment's own id, outside CI and by a service that asks once: no other has it.
static bool
is_alone(const struct deployment *d)
{
    return str_ends(str_of(d->claim_key), str_of(d->id));
}

// Deployments of this CI job in our journal that have dispatched, newest first. One that cannot be
// read is passed over: it is history.
static struct error *
read_siblings(struct deploy_context *context, const struct deployment *d, struct arena *arena,
    const struct deployment **list, size_t *count)
{
    struct store *store = NULL;
    struct store_deployment *rows = NULL;
    size_t total = 0;
    const struct store_filter filter = {.app = d->app, .env = d->env, .limit = ROWS_MAX};
    TRY(deploy_store(context, &store));
    TRY(store_list(store, &filter, arena, &rows, &total));
    *count = 0;
    for (size_t i = 0; i < total; i++) {
        struct deployment *other = NULL;
        struct error *err = deployment_decode(str_of(rows[i].document), arena, &other);
        bool sibling = err == NULL && strcmp(other->id, d->id) != 0 &&
                       cstr_equal(other->claim_key, d->claim_key) && other->dispatch_id != NULL &&
                       other->dispatch_state != NULL &&
                       !cstr_equal(other->dispatch_state, "rejected");
        error_free(err);
        if (sibling) {
            list[(*count)++] = other;
        }
    }
    return NULL;
}

static struct error *
open_question(const struct deployment *other)
{
    return error_hint(
        error_new(ERROR_CONFLICT,
            "whether deployment '%s' of the same CI job has started a run is not known", other->id),
        "'dispatcher resume %s' looks for the run; 'dispatcher resolve %s' settles it.", other->id,
        other->id);
}

struct error *
earlier_check(struct deploy_context *context, const struct deployment *d, struct arena *arena)
{
    const struct deployment *list[ROWS_MAX];
    size_t count = 0;
    if (is_alone(d)) {
        return NULL;
    }
    TRY(read_siblings(context, d, arena, list, &count));
    for (size_t i = 0; i < count; i++) {
        if (list[i]->run_id == 0) {
            return open_question(list[i]);
        }
    }
    return NULL;
}

static struct error *
find_known(const struct step_run *run, const struct deployment *const *list, size_t count,
    struct github_run *out, bool *known, bool *found)
{
    const struct deployment *d = run->deployment;
    struct github_client *github = NULL;
    struct github_run *seen = NULL;
    bool changed = false;
    for (size_t i = 0; i < count; i++) {
        if (!cstr_equal(list[i]->dispatch_id, d->dispatch_id)) {
            continue;
        }
        *known = true;
        if (list[i]->run_id == 0) {
            return open_question(list[i]);
        }
        TRY(provider_github(run->context, d, &github));
        TRY(github_run_get(github, list[i]->run_id, run->arena, &seen, &changed));
        *found = seen != NULL;
        if (*found) {
            *out = *seen;
        }
        return NULL;
    }
    return NULL;
}

// One that succeeded is ours only if nothing had to be written: else it rolled out another version,
// or the parameter has been changed since.
static bool
is_to_follow(const struct deployment *d, const struct github_run *run)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (github_run_is_complete(run) && deployment_service_at(d, i)->written_version != 0) {
            return false;
        }
    }
    return !github_run_is_complete(run) || cstr_equal(run->conclusion, "success");
}

struct error *
earlier_adopt(const struct step_run *run, struct github_run *out, bool *found)
{
    struct deployment *d = run->deployment;
    const char *attempt = env_get(run->context->platform, "GITHUB_RUN_ATTEMPT");
    const struct deployment *list[ROWS_MAX];
    size_t count = 0;
    bool is_rerun = !d->served && attempt != NULL && strcmp(attempt, "1") != 0;
    d->dispatch_try = d->dispatch_try > 0 ? d->dispatch_try : 1;
    d->dispatch_id = dispatch_id_make(run->arena, d->claim_key, d->dispatch_try);
    if (is_alone(d)) {
        return NULL;
    }
    TRY(read_siblings(run->context, d, run->arena, list, &count));
    if (count == 0 && (!is_rerun || d->id_input == NULL)) {
        return NULL;
    }
    for (;; d->dispatch_try++) {
        bool is_there = false, known = false;
        d->dispatch_id = dispatch_id_make(run->arena, d->claim_key, d->dispatch_try);
        TRY(find_known(run, list, count, out, &known, &is_there));
        if (!known && d->id_input != NULL) {
            TRY(reconcile_earlier(run, d->dispatch_id, out, &is_there));
        }
        bool is_free = !known && !is_there; // a known one whose run was deleted is used up
        if (is_free || (is_there && is_to_follow(d, out))) {
            *found = is_there;
            return NULL;
        }
    }
}
