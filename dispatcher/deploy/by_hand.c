// Reports by hand: of a deployment once more, of something that another tool did, or made up to be
// looked at. What a person states is told as their statement: it is not in the journal, and never
// "proven".
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "notice_internal.h"

enum { MESSAGE_MAX = 1000 };

// What a deployment that stands like this would have in its fields; exit codes as design.md §4.
struct stand {
    const char *result, *unfinished, *run_status;
    int exit_code;
    bool is_rollback;
    enum error_kind ending;
};

static const struct stand stands[REPORT_OUTCOMES] = {
    [REPORT_STARTED] = {.run_status = "in_progress"},
    [REPORT_WAITING] = {.run_status = "waiting"},
    [REPORT_DEPLOYED] = {.result = "deployed"},
    [REPORT_ROLLED_BACK] = {.result = "deployed", .is_rollback = true},
    [REPORT_FAILED] = {.result = "failed", .exit_code = 12, .ending = ERROR_UNAVAILABLE},
    [REPORT_RESTORED] = {.result = "failed", .exit_code = 7, .ending = ERROR_REFUSED},
    [REPORT_NOT_RESTORED] = {.result = "failed", .exit_code = 8, .ending = ERROR_REFUSED},
    [REPORT_UNKNOWN] = {.result = "unknown", .exit_code = 9},
    [REPORT_TIMED_OUT] = {.unfinished = "timeout", .exit_code = 10},
    [REPORT_INTERRUPTED] = {.unfinished = "interrupted", .exit_code = 130},
    [REPORT_CANCELLED] = {.result = "cancelled", .exit_code = 11, .ending = ERROR_CANCELLED},
    [REPORT_SUPERSEDED] = {.result = "cancelled", .exit_code = 11, .ending = ERROR_SUPERSEDED},
};

static struct error *
find_outcome(const char *word, enum report_outcome *out)
{
    struct buf words CLEANUP(buf_done) = BUF_INIT(1024);
    for (int i = 0; i < REPORT_OUTCOMES; i++) {
        if (cstr_equal(word, spec_outcomes[i])) {
            *out = (enum report_outcome)i;
            return NULL;
        }
        buf_printf(&words, "%s%s", i > 0 ? ", " : "", spec_outcomes[i]);
    }
    return error_hint(error_new(ERROR_USAGE, "'%.40s' is no outcome", word != NULL ? word : ""),
        "Use one of: %s.", buf_cstr(&words));
}

static void
take_stand(struct deployment *d, enum report_outcome outcome, struct arena *arena)
{
    const struct stand *stand = &stands[outcome];
    d->result = stand->result;
    d->unfinished = stand->unfinished;
    d->run_status = stand->run_status;
    d->exit_code = stand->exit_code;
    d->verb = stand->is_rollback ? "rollback" : "deploy";
    d->ending_kind = stand->ending != 0 ? (int64_t)stand->ending + 1 : 0;
    d->finished_ms = stand->result != NULL ? d->created_ms : 0;
    d->message = arena_printf(
        arena, "'%s' %s in '%s': %s", d->app, d->version, d->env, report_outcome_text(outcome));
}

static void
say_by_whom(struct deploy_context *context, struct deployment *d, struct arena *arena)
{
    const char *who = env_get(context->platform, "GITHUB_ACTOR");
    d->actor = arena_dup(arena, who != NULL ? who : env_get(context->platform, "USER"));
    d->proof = arena_printf(arena, "reported by hand%s%s: dispatcher has checked nothing of it",
        d->actor != NULL ? " by " : "", d->actor != NULL ? d->actor : "");
}

static struct error *
check_statement(const struct deploy_statement *statement)
{
    if (statement->version != NULL && !tag_is_valid(str_of(statement->version))) {
        return error_new(
            ERROR_USAGE, "version '%.140s' cannot be an image tag", statement->version);
    }
    if (statement->url != NULL && !str_starts(str_of(statement->url), STR("https://"))) {
        return error_new(ERROR_USAGE, "'%.200s' is no https address", statement->url);
    }
    return NULL;
}

struct error *
deploy_state_by_hand(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_statement *statement, struct arena *arena, struct diagnostics *diagnostics,
    struct deployment **out)
{
    struct preparation p = {0};
    enum report_outcome outcome = REPORT_STARTED;
    TRY(find_outcome(statement->outcome, &outcome));
    TRY(check_statement(statement));
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    struct deployment *d = p.deployment;
    d->version = arena_dup(arena, statement->version != NULL ? statement->version : "unknown");
    take_stand(d, outcome, arena);
    say_by_whom(context, d, arena);
    if (statement->message != NULL) {
        d->message = context_clean(arena, statement->message, MESSAGE_MAX);
    }
    d->caller_url = arena_dup(arena, statement->url);
    sinks_resolve(context, &p);
    if (statement->is_sample) {
        sample_fill(d, outcome, arena);
    }
    *out = d;
    return NULL;
}

// --- messages ------------------------------------------------------------------------------------

static const struct deployment_sink *
find_sink(const struct deployment *d, const char *name)
{
    for (size_t i = 0; i < d->sinks.count; i++) {
        const struct deployment_sink *sink = deployment_sink_at(d, i);
        if (cstr_equal(sink->name, name)) {
            return sink;
        }
    }
    return NULL;
}

static struct error *
no_sink(const struct deployment *d, const char *name)
{
    struct buf names CLEANUP(buf_done) = BUF_INIT(8192);
    for (size_t i = 0; i < d->sinks.count; i++) {
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", deployment_sink_at(d, i)->name);
    }
    return error_hint(
        error_new(ERROR_USAGE, "'%s' in '%s' tells no sink '%.80s'", d->app, d->env, name),
        d->sinks.count > 0 ? "It tells: %s." : "Nobody is told: see 'notify' in the spec.%s",
        buf_cstr(&names));
}

static struct error *
collect(const struct deployment *d, const struct str_list *only, struct arena *arena,
    struct notices *out)
{
    *out = (struct notices){0};
    if (only->count == 0) {
        notices_of(d, arena, out);
        return NULL;
    }
    for (size_t i = 0; i < only->count; i++) {
        const struct deployment_sink *sink = find_sink(d, only->items[i]);
        if (sink == NULL) {
            return no_sink(d, only->items[i]);
        }
        notices_for(d, sink, arena, out);
    }
    return NULL;
}

struct error *
deploy_messages(const struct deployment *d, const struct str_list *only, struct arena *arena,
    struct deploy_message **out, size_t *count)
{
    struct notices notices = {0};
    TRY(collect(d, only, arena, &notices));
    struct deploy_message *list = arena_array(arena, notices.count + 1, sizeof(*list));
    size_t found = 0;
    for (size_t i = 0; i < notices.count; i++) {
        const struct store_notice *notice = &notices.items[i];
        if (!notice->update_only) {
            list[found++] =
                (struct deploy_message){notice->sink, notice->kind, notice->lane, notice->body};
        }
    }
    *out = list;
    *count = found;
    return NULL;
}

struct error *
deploy_tell_again(struct deploy_context *context, const struct deployment *d,
    const struct str_list *only, struct arena *arena, size_t *count)
{
    struct notices notices = {0};
    struct store *store = NULL;
    TRY(collect(d, only, arena, &notices));
    TRY(deploy_store(context, &store));
    int64_t now = clock_wall(context->platform->clock);
    TRY(store_outbox_add(store, notices.items, notices.count, true, now));
    *count = notices.count;
    return NULL;
}
