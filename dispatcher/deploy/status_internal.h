// Shared by the two files of `status`.
//
//     status.c          what the parameters say: rows
//     status_targets.c  what the registry has and what runs, added to them
#pragma once

#include "deploy_internal.h"

struct status_reading {
    struct deploy_context *context;
    const struct deploy_request *request;
    struct arena *arena;
    struct deploy_status_row *rows;
    size_t count, room;
};

struct deploy_status_row *status_add_row(struct status_reading *reading);
/// One more sentence about what does not agree.
void status_add_drift(
    struct status_reading *reading, struct deploy_status_row *row, const char *text);
/// What the registry has and what runs, into the rows from `first` on, which are of p's
/// environment. Fails only when interrupted.
NODISCARD struct error *status_look(
    struct status_reading *reading, const struct preparation *p, size_t first);
