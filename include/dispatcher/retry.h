// Whether and when to try again, as a value.
//
// AWS "standard" numbers of 2026: 3 attempts, 50 ms base (1 s when throttled), full jitter, 20 s
// cap; Retry-After wins, but for 0, which leaves the waiting to us. Deciding is pure;
// http_send_retry is the loop for idempotent requests.
#pragma once

#include "dispatcher/http.h"

struct retry_policy {
    unsigned max_attempts;
    int64_t base_ms, throttle_base_ms, cap_ms;
    int64_t retry_after_cap_ms; // a longer Retry-After ends the attempts
};

extern const struct retry_policy retry_idempotent_write; // 3 attempts
extern const struct retry_policy retry_read;             // 5 attempts

enum retry_outcome { RETRY_DONE, RETRY_TRANSIENT, RETRY_THROTTLED, RETRY_FATAL };

struct retry_decision {
    bool again;
    int64_t wait_ms;
};

/// `attempt` counts from 1. `retry_after_ms` < 0: none. `random` in [0, 1).
struct retry_decision retry_decide(const struct retry_policy *policy, unsigned attempt,
    enum retry_outcome outcome, int64_t retry_after_ms, double random);
/// 408, 425, 500, 502, 503, 504: transient. 429: throttled. Everything else is done.
enum retry_outcome retry_outcome_of_status(int status);
/// Retry-After in seconds or as an HTTP date, negative ones as 0; -1 when absent or unreadable.
/// A date is measured against the answer's own Date where there is one, so that skew does no harm.
int64_t retry_after_ms(const struct http_headers *headers, int64_t now_wall_ms);

/// Sends until RETRY_DONE or the policy stops; the last answer, whatever its status, is the result.
/// All failures fold into one error ("…, after 3 attempts in 2s"), whose request_left tells of any
/// of the attempts. The deadline (0: 30 s) is the budget of all attempts and waits together. A
/// reader must have rewind; once a writer got bytes, or when the request is marked `once`, there is
/// no other attempt.
NODISCARD struct error *http_send_retry(struct http_client *client, const struct platform *platform,
    const struct http_request *request, const struct retry_policy *policy,
    struct http_response *response);
