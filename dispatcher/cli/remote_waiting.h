// What is said of a deployment of the service that does not run yet, or never did: why, who can
// change it, until when, what happens then, and what to type. Decides nothing.
#pragma once

#include "remote.h"

struct remote_waiting {
    struct remote *remote;
    const struct remote_follow *follow;
    char *said;        // last
    struct live *live; // a clock that runs while it waits; NULL: it does not wait
    int64_t since_ms;  // mono
};
/// A state of the service, while it is queued. What was said before is not said again.
void remote_waiting_say(struct remote_waiting *waiting, const struct json *deployment);
/// It runs, is over, or is followed no longer. May be called again.
void remote_waiting_done(struct remote_waiting *waiting);
/// One that ended without having run; *exit_code is the service's.
void remote_waiting_never_ran(struct remote *remote, const struct remote_follow *follow,
    const struct json *d, int *exit_code);
