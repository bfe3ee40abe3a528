// What one process remembers of App Runner, none of which may be in the journal: the account's
// services as they were listed, the sources that it changed (they hold values of variables), and
// when the next call is due.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "target_apprunner_internal.h"

// App Runner publishes no limits; the console makes about this many calls itself.
enum { PACE_MS = 200, BURST = 10 };

struct remembered {
    char *arn;
    struct buf source; // wiped
};

struct apprunner_memory {
    int64_t due_ms; // monotonic; earlier calls count up to here
    struct arena *listed;
    struct apprunner_summary *services;
    size_t service_count;
    struct remembered *sources;
    size_t source_count;
};

static struct apprunner_memory *
memory_of(const struct step_run *run)
{
    struct deploy_context *context = run->context;
    struct apprunner_memory **memory =
        context->pace != NULL ? &context->pace->apprunner : &context->apprunner;
    if (*memory == NULL) {
        *memory = xcalloc(1, sizeof(**memory));
    }
    return *memory;
}

void
apprunner_memory_free(struct apprunner_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < memory->source_count; i++) {
        free(memory->sources[i].arn);
        buf_wipe(&memory->sources[i].source);
    }
    free(memory->sources);
    arena_free(memory->listed);
    free(memory);
}

// A bucket that holds BURST calls and fills by one each PACE_MS.
struct error *
apprunner_turn(const struct step_run *run, struct aws_session **out)
{
    const struct platform *platform = run->context->platform;
    struct apprunner_memory *memory = memory_of(run);
    int64_t now = clock_mono(platform->clock);
    TRY(provider_aws(run->context, run->deployment, out));
    int64_t due = memory->due_ms > now ? memory->due_ms : now;
    int64_t ahead = due - now - (int64_t)(BURST - 1) * PACE_MS;
    memory->due_ms = due + PACE_MS;
    return ahead > 0 ? clock_sleep_until(platform->clock, now + ahead, platform->cancel) : NULL;
}

struct error *
apprunner_listed(const struct step_run *run, struct apprunner_summary **out, size_t *count)
{
    struct apprunner_memory *memory = memory_of(run);
    struct aws_session *aws = NULL;
    if (memory->listed == NULL) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        TRY(apprunner_turn(run, &aws));
        TRY(apprunner_list(aws, arena, &memory->services, &memory->service_count));
        memory->listed = arena;
        arena = NULL;
    }
    *out = memory->services;
    *count = memory->service_count;
    return NULL;
}

const char *
apprunner_remembered(const struct step_run *run, const char *arn)
{
    const struct apprunner_memory *memory = memory_of(run);
    for (size_t i = 0; i < memory->source_count; i++) {
        if (strcmp(memory->sources[i].arn, arn) == 0) {
            return buf_cstr(&memory->sources[i].source);
        }
    }
    return NULL;
}

void
apprunner_remember(const struct step_run *run, const char *arn, const char *source_json)
{
    struct apprunner_memory *memory = memory_of(run);
    if (apprunner_remembered(run, arn) != NULL) {
        return; // what it was before the first change
    }
    memory->sources =
        xrealloc(memory->sources, (memory->source_count + 1) * sizeof(*memory->sources));
    struct remembered *slot = &memory->sources[memory->source_count++];
    slot->arn = xstrdup(arn);
    buf_init(&slot->source, strlen(source_json) + 1);
    buf_puts(&slot->source, source_json);
}
