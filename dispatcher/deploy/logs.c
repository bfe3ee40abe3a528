// What runs writes: the logs of all services of an app, merged by time, and followed until
// interrupted. Every line was written by somebody else and is made harmless here.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/log_sanitize.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "logs_internal.h"

enum {
    POLL_MS = 2000,
    LOST_MS = 5 * 60 * 1000, // how long errors that pass are borne
    NOTE_MAX = 500,
    NAME_MAX_BYTES = 300,        // of a stream
    SHORT_MAX = 8,               // of a stream, in a label
    TEXT_MAX = 16 * 1024 * 1024, // one entry; CloudWatch's are 1 MiB at most
    TOLD_AT_ONCE = 256,
};

void
logs_sources_done(struct logs_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        logs_source_done(&sources->items[i]);
    }
}

void
logs_note(const struct logs_reading *reading, const char *format, ...)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    reading->observer->note(
        reading->observer->ctx, context_clean(arena, buf_cstr(&text), NOTE_MAX));
}

// --- telling -------------------------------------------------------------------------------------

// An entry that is to be told.
struct entry {
    const struct logs_source *source;
    const struct logs_event *event;
    size_t at; // as they were found: those of one millisecond keep their order
};

static int
compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->event->ms != right->event->ms) {
        return left->event->ms < right->event->ms ? -1 : 1;
    }
    return left->at < right->at ? -1 : left->at > right->at ? 1 : 0;
}

// "web/4f3c9a12" of stream "ecs/web/4f3c9a12ee…"; "web/proxy/4f3c9a12" when that is not clear.
static const char *
label_of(const struct logs_source *source, const char *stream, struct arena *arena)
{
    const char *slash = strrchr(stream, '/');
    struct buf end CLEANUP(buf_done) = BUF_INIT(64);
    text_clean(str_of(slash != NULL ? slash + 1 : stream), NAME_MAX_BYTES, &end);
    const char *clean = buf_cstr(&end);
    size_t len = strlen(clean);
    len = len > SHORT_MAX ? SHORT_MAX : len;
    while (len > 0 && ((unsigned char)clean[len] & 0xc0) == 0x80) { // never through a code point
        len--;
    }
    bool plain = source->only || source->container == NULL;
    return arena_printf(arena, "%s%s%s%s%.*s", source->target->name, plain ? "" : "/",
        plain ? "" : source->container, len > 0 ? "/" : "", (int)len, clean);
}

static struct deploy_log_line
line_of(const struct entry *entry, struct arena *arena)
{
    const struct logs_source *source = entry->source;
    struct buf text CLEANUP(buf_done) = BUF_INIT(TEXT_MAX);
    log_sanitize_text(str_of(entry->event->message), &text);
    secret_mask(&text);
    return (struct deploy_log_line){
        .ms = entry->event->ms,
        .service = source->target->name,
        .container = source->container,
        .group = source->group,
        .stream = context_clean(arena, entry->event->stream, NAME_MAX_BYTES),
        .label = context_masked(arena, label_of(source, entry->event->stream, arena)),
        .text = arena_str(arena, buf_str(&text)),
    };
}

static bool
tell(const struct logs_reading *reading, const struct entry *entries, size_t count)
{
    for (size_t from = 0; from < count; from += TOLD_AT_ONCE) {
        struct arena *arena CLEANUP(arena_freep) = arena_new();
        struct deploy_log_line lines[TOLD_AT_ONCE] = {0};
        size_t some = count - from < TOLD_AT_ONCE ? count - from : TOLD_AT_ONCE;
        for (size_t i = 0; i < some; i++) {
            lines[i] = line_of(&entries[from + i], arena);
        }
        if (!reading->observer->lines(reading->observer->ctx, lines, some)) {
            return false;
        }
    }
    return true;
}

static bool
tell_fresh(const struct logs_reading *reading, size_t *told)
{
    const struct logs_sources *sources = &reading->sources;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    size_t room = 0, count = 0;
    for (size_t i = 0; i < sources->count; i++) {
        room += sources->items[i].seen.count;
    }
    struct entry *entries = arena_array(arena, room + 1, sizeof(*entries));
    for (size_t i = 0; i < sources->count; i++) {
        const struct logs_source *source = &sources->items[i];
        for (size_t k = 0; k < source->seen.count; k++) {
            if (source->fresh[k]) {
                entries[count] = (struct entry){source, &source->seen.events[k], count};
                count++;
            }
        }
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    *told += count;
    return tell(reading, entries, count);
}

// --- looking -------------------------------------------------------------------------------------

static struct error *
look(const struct logs_reading *reading)
{
    for (size_t i = 0; i < reading->sources.count; i++) {
        TRY(logs_source_look(reading, &reading->sources.items[i]));
    }
    return NULL;
}

// Somebody who follows is not sent away by an answer that fails to come once.
static struct error *
bear(struct logs_reading *reading, struct error *err)
{
    int64_t now = clock_mono(reading->run.context->platform->clock);
    if (err == NULL) {
        reading->unseen_mono_ms = 0;
        return NULL;
    }
    if (error_kind(err) != ERROR_UNAVAILABLE || !reading->request->follow) {
        return err;
    }
    if (reading->unseen_mono_ms == 0) {
        char *text CLEANUP(xfreep) = error_text(err);
        logs_note(reading, "trying again: %s", text);
        reading->unseen_mono_ms = now;
    } else if (now - reading->unseen_mono_ms >= LOST_MS) {
        return err;
    }
    error_free(err);
    return NULL;
}

// A look that failed halfway has read some sources: only those have anything new.
static void
forget_fresh(const struct logs_reading *reading)
{
    for (size_t i = 0; i < reading->sources.count; i++) {
        struct logs_source *source = &reading->sources.items[i];
        for (size_t k = 0; k < source->seen.count; k++) {
            source->fresh[k] = false;
        }
    }
}

static bool
is_behind(const struct logs_reading *reading)
{
    for (size_t i = 0; i < reading->sources.count; i++) {
        if (reading->sources.items[i].behind) {
            return true;
        }
    }
    return false;
}

static struct error *
wait_more(const struct logs_reading *reading)
{
    const struct platform *platform = reading->run.context->platform;
    int64_t pause = context_tuning_ms(reading->run.context, "DISPATCHER_POLL_MS", POLL_MS);
    int64_t until = clock_mono(platform->clock) + (is_behind(reading) ? 0 : pause);
    return clock_sleep_until(platform->clock, until, platform->cancel);
}

static struct error *
read_all(struct logs_reading *reading)
{
    size_t told = 0;
    for (;;) {
        TRY(bear(reading, look(reading)));
        if (!tell_fresh(reading, &told)) {
            return NULL;
        }
        forget_fresh(reading);
        if (!reading->request->follow) {
            break;
        }
        TRY(wait_more(reading));
    }
    if (told == 0) {
        char since[32];
        clock_format_duration(reading->request->since_ms, since);
        logs_note(reading, "nothing was written in the last %s", since);
    }
    return NULL;
}

struct error *
deploy_logs(struct deploy_context *context, const struct deploy_request *request,
    const struct deploy_logs_request *logs, struct arena *arena, struct diagnostics *diagnostics,
    const struct deploy_logs_observer *observer)
{
    struct running running = {0};
    struct aws_session *aws = NULL;
    TRY(running_open(context, request, logs->service, arena, diagnostics, &running));
    struct logs_reading reading = {
        .run = {.context = context, .arena = arena, .deployment = running.deployment},
        .request = logs,
        .observer = observer,
    };
    if (running.note != NULL) {
        logs_note(&reading, "%s", running.note);
    }
    TRY(logs_sources_find(&reading));
    TRY(provider_aws(context, running.deployment, &aws));
    int64_t now = clock_wall(context->platform->clock) + aws_clock_offset_ms(aws);
    for (size_t i = 0; i < reading.sources.count; i++) {
        reading.sources.items[i].start_ms = now - logs->since_ms;
    }
    struct error *err = read_all(&reading);
    logs_sources_done(&reading.sources);
    return err;
}
