// Shared by the files about logs.
//
//     logs.c         one pass after the other over all sources, merged by time
//     logs_source.c  what is new in one of them
//     logs_find.c    from targets to where they write
#pragma once

#include "dispatcher/logs.h"
#include "running.h"

// A part of a log group, or the events of a service of ECS.
struct logs_source {
    const struct deployment_target *target;
    const char *container; // NULL: the platform does not say
    const char *region;    // NULL: the session's
    const char *group;     // NULL: events of ECS
    const char *prefix;    // of its streams, NULL: all
    bool only;             // of its target: its label needs no container
    // How far it was read.
    int64_t start_ms;    // where the next look begins
    bool begun, missing; // looked at; there was no such group
    bool behind;         // there is more to be read at once
    // What the last look saw: what comes again is not new.
    struct arena *arena;
    struct logs_page seen;
    const struct logs_event **sorted;
    bool *fresh; // of seen.events: new in this look
};
void logs_source_done(struct logs_source *source);

struct logs_sources {
    struct logs_source *items; // arena
    size_t count;
};
void logs_sources_done(struct logs_sources *sources);

struct logs_reading {
    struct step_run run; // of the view
    const struct deploy_logs_request *request;
    const struct deploy_logs_observer *observer;
    struct logs_sources sources;
    int64_t unseen_mono_ms; // since when looks fail; 0: they do not
};
void logs_note(const struct logs_reading *reading, const char *format, ...) PRINTF_LIKE(2, 3);

/// Fills reading->sources.
NODISCARD struct error *logs_sources_find(struct logs_reading *reading);
/// Looks once; source->fresh says which of source->seen are new.
NODISCARD struct error *logs_source_look(
    const struct logs_reading *reading, struct logs_source *source);
