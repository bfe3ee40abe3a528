// Fault rules: what to break, when, and how. Pure but for the counters of the set.
//
//     POST */dispatches nth=1 effect=lost-answer
//
// The caller holds the sandbox's lock around fault_set_* calls.
#pragma once

#include "dispatcher/json.h"

enum fault_effect {
    FAULT_NONE,
    FAULT_STATUS,        // answer with a status instead of doing anything
    FAULT_RESET,         // cut the connection before anything is done
    FAULT_LOST_ANSWER,   // do it, then cut the connection
    FAULT_DELAY,         // wait, then do it
    FAULT_TRUNCATE,      // do it, send half of the body, cut
    FAULT_MALFORMED,     // do it, answer 200 with a body that is not JSON
    FAULT_DRIP,          // do it, send the body one byte at a time
    FAULT_EXPIRED_TOKEN, // answer as for credentials that have expired
    FAULT_CLOCK,         // do it, with the Date header moved
};

struct fault_rule {
    int64_t id;
    char *text;             // as written
    char *method, *pattern; // "*" for any
    char *target;           // AWS action, glob, or NULL
    char *query;            // glob on the query string, or NULL
    int64_t nth, count;     // from the nth match on, `count` times; count -1: always
    enum fault_effect effect;
    int status;
    char *body, *retry_after;
    char *header_name, *header_value;
    int64_t delay_ms, delay_after_ms, offset_ms;
    int64_t matched, fired;
};

struct fault_set {
    struct fault_rule **rules;
    size_t count;
    int64_t last_id;
};

// A copy of the rule that fired, so that it may be removed meanwhile; release with fault_rule_free.
struct fault_subject {
    const char *method, *path, *target, *query; // target and query may be NULL
};

NODISCARD struct error *fault_rule_parse(const char *text, struct fault_rule **out);
void fault_rule_free(struct fault_rule *rule);
void fault_rule_freep(struct fault_rule **rule);
const char *fault_effect_name(enum fault_effect effect);

/// Takes ownership; returns the rule's id.
int64_t fault_set_add(struct fault_set *set, struct fault_rule *rule);
/// False when there is no such rule. 0 removes all.
bool fault_set_remove(struct fault_set *set, int64_t id);
void fault_set_done(struct fault_set *set);
/// Counts the request against every rule; the first rule that fires is copied out, else NULL.
struct fault_rule *fault_set_match(struct fault_set *set, const struct fault_subject *subject);
struct json *fault_set_json(const struct fault_set *set);

/// `*` stands for any bytes, `/` included. Case matters.
bool fault_glob(const char *pattern, const char *text);
/// "250ms", "3s", "2m", "1h", with an optional sign; false for anything else.
bool fault_parse_duration(const char *text, int64_t *ms);
