// The words for how a deployment may stand. What they stand for is deploy's (report_outcome.c).
#include <stddef.h>

#include "dispatcher/spec.h"

const char *const spec_outcomes[] = {
    "started",
    "waiting",
    "deployed",
    "rolled-back",
    "failed",
    "restored",
    "not-restored",
    "unknown",
    "timed-out",
    "interrupted",
    "cancelled",
    "superseded",
    NULL,
};
