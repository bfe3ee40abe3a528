// Deploying without a thread that sleeps (deploy_service.h): one look at a deployment of the
// journal, as far as it goes without waiting. What a look does is the engine's; when to come again
// is the caller's business.
#include "dispatcher/deploy_service.h"

#include "deploy_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

struct error *
deploy_begin(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *job CLEANUP(store_claim_releasep) = NULL;
    TRY(engine_claim(context, d->id, &held));
    return engine_begin(context, d, arena, &job);
}

static struct error *
load(struct deploy_context *context, const char *id, struct deploy_pace *pace, struct arena *arena,
    struct deployment **out)
{
    struct store *store = NULL;
    struct store_deployment *row = NULL;
    TRY(deploy_store(context, &store));
    TRY(store_find(store, id, arena, &row));
    if (row == NULL) {
        return error_new(ERROR_USAGE, "there is no deployment '%.80s'", id);
    }
    sha256_of(str_of(row->document), pace->written);
    return deployment_decode(str_of(row->document), arena, out);
}

static bool
is_ended(const struct deployment *d)
{
    return d->result != NULL || d->unfinished != NULL;
}

static struct error *
taken_over(const struct deployment *d, struct error *err)
{
    return error_wrap_as(ERROR_CONFLICT, err, "somebody else works on deployment '%s' now", d->id);
}

static struct error *
go_on(struct deploy_context *context, struct deployment *d, struct deploy_pace *pace,
    struct arena *arena)
{
    TRY(engine_go(context, d, pace, arena));
    provider_count(context, d);
    return pace->waits ? engine_keep(context, d) : engine_finish(context, d);
}

struct error *
deploy_advance(struct deploy_context *context, const char *id, struct deploy_pace *pace,
    struct arena *arena, struct deploy_advanced *out)
{
    struct store_claim *held CLEANUP(store_claim_releasep) = NULL;
    struct store_claim *job CLEANUP(store_claim_releasep) = NULL;
    struct deployment *d = NULL;
    TRY(engine_claim(context, id, &held));
    TRY(load(context, id, pace, arena, &d));
    *out = (struct deploy_advanced){.ended = is_ended(d), .deployment = d};
    if (out->ended) {
        return engine_tell_end(context, d, arena);
    }
    place_enter(context, d);
    TRY(engine_clear_to_send(context, d, arena, &job));
    if (!pace->is_advanced) { // another process has begun it, perhaps
        deploy_mask_sinks(context, d);
    }
    pace->is_advanced = true;
    pace->is_fenced = false;
    pace_give(pace, d);
    context->pace = pace;
    struct error *err = go_on(context, d, pace, arena);
    context->pace = NULL;
    pace_take(pace, d);
    if (err != NULL) {
        pace_drop_step(pace);
        return pace->is_fenced ? taken_over(d, err) : err;
    }
    out->ended = !pace->waits;
    out->until_ms = pace->waits ? pace->until_ms : 0;
    return NULL;
}
