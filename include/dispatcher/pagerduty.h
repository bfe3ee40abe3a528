// PagerDuty's Events API v2 (facts/github-notify-credentials.md §7): alert events and change
// events. The routing key goes into the body and nowhere else.
#pragma once

#include "dispatcher/notify.h"

enum {
    PAGERDUTY_SUMMARY_MAX = 1024, // characters
    PAGERDUTY_DEDUP_MAX = 255,
    PAGERDUTY_EVENT_MAX = 512 * 1024, // bytes
};

enum pagerduty_kind { PAGERDUTY_ALERT, PAGERDUTY_CHANGE }; // /v2/enqueue, /v2/change/enqueue

struct pagerduty_access {
    const char *events; // NULL: https://events.pagerduty.com, or events.eu. for region eu
    bool eu;
    const struct secret *routing_key;
};
struct pagerduty_event {
    enum pagerduty_kind kind;
    const char *body; // the event as JSON without its routing_key
};
/// A key that is no integration key, or takes no such event, is not sent. 202 DELIVERED · 400
/// REFUSED with the errors' words (BLOCKED when they are about the routing key).
void pagerduty_send(const struct platform *platform, struct http_client *http,
    const struct pagerduty_access *access, const struct pagerduty_event *event, struct arena *arena,
    struct notify_result *out);
/// Could this be an integration key: 32 characters of [A-Za-z0-9]? `is_ruleset` when it starts with
/// 'R', which takes no change events.
bool pagerduty_key_is_plausible(const struct secret *key, bool *is_ruleset);
