// What is new in one log since the last look. CloudWatch shows lines late and out of order, so each
// look goes back a little, and what was there before is left out by what it says: time, stream,
// message, and how often.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "logs_internal.h"

enum { OVERLAP_MS = 30 * 1000 };

void
logs_source_done(struct logs_source *source)
{
    arena_free(source->arena);
    source->arena = NULL;
}

// --- asking --------------------------------------------------------------------------------------

// Oldest first, as logs are.
static struct error *
read_events(const struct logs_reading *reading, const struct logs_source *source,
    struct arena *arena, struct logs_page *out)
{
    struct ecs_service service = {0};
    TRY(running_ecs_service(&reading->run, source->target, arena, &service));
    struct logs_event *events = arena_array(arena, service.event_count + 1, sizeof(*events));
    struct logs_page page = {.found = true, .events = events};
    for (size_t i = service.event_count; i > 0; i--) {
        const struct ecs_event *event = &service.events[i - 1];
        if (event->message != NULL && event->created_ms >= source->start_ms) {
            events[page.count++] = (struct logs_event){event->created_ms, "events", event->message};
        }
    }
    *out = page;
    return NULL;
}

static struct error *
read_page(const struct logs_reading *reading, const struct logs_source *source, struct arena *arena,
    struct logs_page *out)
{
    struct aws_session *aws = NULL;
    if (source->group == NULL) {
        return read_events(reading, source, arena, out);
    }
    TRY(provider_aws(reading->run.context, reading->run.deployment, &aws));
    const struct logs_query query = {.region = source->region,
        .group = source->group,
        .stream_prefix = source->prefix,
        .start_ms = source->start_ms > 0 ? source->start_ms : 0,
        .newest = !source->begun};
    return logs_filter(aws, &query, arena, out);
}

// --- what is new ---------------------------------------------------------------------------------

static int
compare_events(const struct logs_event *a, const struct logs_event *b)
{
    int order = a->ms < b->ms ? -1 : a->ms > b->ms ? 1 : strcmp(a->stream, b->stream);
    return order != 0 ? order : strcmp(a->message, b->message);
}

static int
compare_entries(const void *a, const void *b)
{
    const struct logs_event *const *left = a, *const *right = b;
    return compare_events(*left, *right);
}

static const struct logs_event **
sort(const struct logs_page *page, struct arena *arena)
{
    const struct logs_event **sorted = arena_array(arena, page->count + 1, sizeof(*sorted));
    for (size_t i = 0; i < page->count; i++) {
        sorted[i] = &page->events[i];
    }
    qsort(sorted, page->count, sizeof(*sorted), compare_entries);
    return sorted;
}

// Each that was there before accounts for one that is there now.
static void
mark_fresh(const struct logs_source *before, struct logs_source *now)
{
    size_t old = 0;
    now->fresh = arena_array(now->arena, now->seen.count + 1, sizeof(*now->fresh));
    for (size_t i = 0; i < now->seen.count; i++) {
        const struct logs_event *event = now->sorted[i];
        while (old < before->seen.count && compare_events(before->sorted[old], event) < 0) {
            old++;
        }
        bool was_there =
            old < before->seen.count && compare_events(before->sorted[old], event) == 0;
        old += was_there ? 1 : 0;
        now->fresh[event - now->seen.events] = !was_there;
    }
}

// --- where to go on ------------------------------------------------------------------------------

static int64_t
newest_ms(const struct logs_page *page)
{
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < page->count; i++) {
        newest = page->events[i].ms > newest ? page->events[i].ms : newest;
    }
    return newest;
}

// Never back: what lies before was not looked at again, and would pass for new. Neither our clock
// nor a program's is trusted alone.
static void
go_on(const struct logs_reading *reading, struct logs_source *source, int64_t asked_ms)
{
    const struct logs_page *page = &source->seen;
    int64_t newest = newest_ms(page), next = source->start_ms;
    bool was_begun = source->begun;
    source->begun = true;
    source->behind = false;
    if (page->count == 0) {
        return;
    }
    if (page->more && was_begun) { // the oldest are here: the rest begins at the newest of them
        source->behind = reading->request->follow;
        next = newest > source->start_ms ? newest : source->start_ms + 1;
    } else {
        int64_t oldest = page->more ? page->events[0].ms : source->start_ms;
        int64_t latest = (newest < asked_ms ? newest : asked_ms) - OVERLAP_MS;
        next = latest > oldest ? latest : oldest;
    }
    source->start_ms = next > source->start_ms ? next : source->start_ms;
}

static void
tell_missing(const struct logs_reading *reading, struct logs_source *source)
{
    if (!source->missing) {
        logs_note(reading, "log group '%s' does not exist%s", source->group,
            reading->request->follow ? " yet: waiting for it" : "");
    }
    source->missing = true;
}

static void
tell_more(const struct logs_reading *reading, const struct logs_source *source)
{
    if (source->seen.more && !source->begun) {
        logs_note(reading, "'%s' has written more than can be shown: only the newest %zu lines are",
            source->target->name, source->seen.count);
    }
}

struct error *
logs_source_look(const struct logs_reading *reading, struct logs_source *source)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct logs_source now = *source;
    int64_t asked_ms = clock_wall(reading->run.context->platform->clock);
    now.arena = arena;
    now.seen = (struct logs_page){0};
    TRY(read_page(reading, source, arena, &now.seen));
    if (!now.seen.found) {
        tell_missing(reading, &now);
    } else {
        tell_more(reading, &now);
    }
    now.sorted = sort(&now.seen, arena);
    mark_fresh(source, &now);
    go_on(reading, &now, asked_ms);
    arena_free(source->arena);
    arena = NULL;
    *source = now;
    return NULL;
}
