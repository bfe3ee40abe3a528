// Between the page of a deployment and the parts of its timeline.
#pragma once

#include "web_internal.h"

struct timeline {
    const struct web_frame *frame;
    const struct web_deployment *shown;
};

// timeline.c
void timeline_put(
    struct buf *out, const struct web_frame *frame, const struct web_deployment *shown);

// timeline_run.c: what goes on elsewhere
/// The remote run; with its jobs and their steps when `jobs`.
void timeline_run(struct buf *out, const struct timeline *t, bool jobs);
void timeline_targets(struct buf *out, const struct timeline *t);
