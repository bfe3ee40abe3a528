// What is told of a deployment that was accepted and never began: refused, dropped, cancelled or
// superseded while it waited. Whoever waits for its report is told its end, as of any other; it is
// in no journal, so the notices are made from what the queue knows. Sends nothing.
#include <string.h>

#include "dispatcher/memory.h"
#include "notice_internal.h"

enum { MESSAGE_MAX = 1000 };

// One that another took the place of is no news but for a sink whose routes ask for it.
static void
keep_those_that_ask(struct deployment *d)
{
    struct deployment_sink *sinks = d->sinks.items;
    size_t kept = 0;
    for (size_t i = 0; i < d->sinks.count; i++) {
        if (sinks[i].outcomes.count > 0) {
            sinks[kept++] = sinks[i];
        }
    }
    d->sinks.count = kept;
}

static void
take_end(struct deployment *d, const struct deploy_unbegun *end, struct arena *arena)
{
    bool cancelled = end->superseded || cstr_equal(end->result, "cancelled");
    enum error_kind kind = end->superseded ? ERROR_SUPERSEDED : ERROR_CANCELLED;
    d->verb = cstr_equal(end->verb, "promote") ? "deploy" : arena_dup(arena, end->verb);
    d->version = arena_dup(arena, end->version != NULL ? end->version : "unknown");
    d->result = cancelled ? "cancelled" : "failed";
    d->ending_kind = cancelled ? (int64_t)kind + 1 : 0;
    d->exit_code = (int)end->exit_code;
    d->created_ms = end->created_ms;
    d->finished_ms = end->ended_ms;
    d->message = context_clean(arena,
        arena_printf(arena, "'%s' %s was not begun in '%s': %s", d->app, d->version, d->env,
            end->sentence != NULL ? end->sentence : "no reason is known"),
        MESSAGE_MAX);
}

struct error *
deploy_tell_unbegun(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_unbegun *end, struct arena *arena)
{
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    struct preparation p = {0};
    struct notices notices = {0};
    struct store *store = NULL;
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    TRY(given_facts(&p));
    take_end(p.deployment, end, arena);
    sinks_prepare(context, &p);
    if (end->superseded) {
        keep_those_that_ask(p.deployment);
    }
    notices_of(p.deployment, arena, &notices);
    if (notices.count == 0) {
        return NULL;
    }
    TRY(deploy_store(context, &store));
    return store_outbox_add(
        store, notices.items, notices.count, false, clock_wall(context->platform->clock));
}
