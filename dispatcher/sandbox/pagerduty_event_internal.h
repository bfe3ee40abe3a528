// Is this an event that PagerDuty's Events API v2 takes? Pure.
#pragma once

#include "dispatcher/json.h"

enum { PAGERDUTY_EVENT_KEY_LENGTH = 32 };

/// What is wrong with an event, as texts of PagerDuty's kind; an empty array when nothing is. Whose
/// key it is, is not asked.
struct json *pagerduty_event_check(const struct json *event, bool is_change);
