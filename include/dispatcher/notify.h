// What became of handing a message to a sink, whatever its protocol: shared by slack.h,
// pagerduty.h and webhook.h.
//
// A sink is never worth failing for, so these clients return no errors: the result says whether the
// message is there, whether it may be, when to come again, and what a person has to mend. Each call
// is one request with a deadline of its own (10 s unless said); nothing is repeated, since whoever
// calls keeps an outbox. Strings live in the arena and are harmless to show.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/http.h"

enum notify_verdict {
    NOTIFY_DELIVERED,
    NOTIFY_LIMITED, // asked to slow down; nothing was taken
    NOTIFY_LATER,   // a passing trouble; certainly nothing was taken
    NOTIFY_DOUBT,   // it may have been taken: the answer was lost, or a 5xx
    NOTIFY_BLOCKED, // nothing is taken until somebody mends it: token, channel, permission, address
    NOTIFY_REFUSED, // this very message is not acceptable
    NOTIFY_ABSENT,  // what was to be updated is gone
};

struct notify_result {
    enum notify_verdict verdict;
    int64_t retry_after_ms; // LIMITED: from now, at most a day; -1 when the sink did not say
    const char *problem;    // one sentence, lower case, no stop; NULL when delivered
    const char *hint;       // what to do about it, a sentence, or NULL
};

/// The verdict that stands for an error of http_send (which stays the caller's): LATER when nothing
/// left, DOUBT when something may have, BLOCKED for an address or a certificate that is refused.
void notify_judge_error(const struct error *err, struct arena *arena, struct notify_result *out);
/// Of an answer by its status alone: 2xx DELIVERED · 429 LIMITED with Retry-After · 408, 425
/// LATER · 5xx DOUBT · 401, 403, 404, 410 and redirects BLOCKED · other 4xx REFUSED.
void notify_judge_status(const struct platform *platform, const struct http_response *response,
    struct arena *arena, struct notify_result *out);
