// The checks of PagerDuty's Events API v2 (PagerDuty/api-schema, and the limits of its pages).
// Members that it does not know it ignores, and so do these. Knows no keys and no alerts.
#include "pagerduty_event_internal.h"

#include <string.h>

#include "block_kit_internal.h"
#include "dispatcher/clock.h"

enum { SUMMARY_MAX = 1024, DEDUP_MAX = 255 };

static void complain(struct json *errors, const char *format, ...) PRINTF_LIKE(2, 3);

static void
complain(struct json *errors, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_append(errors, json_make_string(buf_cstr(&text)));
}

// A text of at most `max` characters (0: any); absent is fine unless it is required.
static const char *
check_text(
    struct json *errors, const struct json *object, const char *path, size_t max, bool required)
{
    const struct json *value = json_path(object, path);
    const char *text = json_str(value);
    if (json_is_null(value) || (text != NULL && text[0] == '\0')) {
        if (required) {
            complain(errors, "'%s' is missing or blank", path);
        }
        return NULL;
    }
    if (text == NULL) {
        complain(errors, "'%s' is invalid (must be a string)", path);
    } else if (max > 0 && block_kit_length(text) > max) {
        complain(errors, "'%s' is too long (maximum is %zu characters)", path, max);
    }
    return text;
}

static void
check_word(
    struct json *errors, const struct json *event, const char *path, const char *const *words)
{
    const char *given = check_text(errors, event, path, 0, true);
    struct buf list CLEANUP(buf_done) = BUF_INIT(1024);
    for (size_t i = 0; words[i] != NULL; i++) {
        if (cstr_equal(given, words[i])) {
            return;
        }
        buf_printf(&list, "%s'%s'", i > 0 ? ", " : "", words[i]);
    }
    if (given != NULL) {
        complain(
            errors, "'%s' is invalid (must be one of the following: %s)", path, buf_cstr(&list));
    }
}

static bool
is_web(const char *url, bool only_https)
{
    return url != NULL && (str_starts(str_of(url), STR("https://")) ||
                              (!only_https && str_starts(str_of(url), STR("http://"))));
}

// images: src, https only; links: href.
static void
check_addresses(struct json *errors, const struct json *event, const char *list, const char *member)
{
    const struct json *items = json_get(event, list);
    if (items != NULL && !json_is_array(items)) {
        complain(errors, "'%s' is invalid (must be an array)", list);
    }
    for (size_t i = 0; json_is_array(items) && i < json_count(items); i++) {
        const char *url = json_str(json_get(json_at(items, i), member));
        if (!is_web(url, strcmp(list, "images") == 0)) {
            complain(errors, "'%s[%zu].%s' is missing or invalid", list, i, member);
        }
    }
}

static void
check_payload(struct json *errors, const struct json *event, bool is_alert)
{
    static const char *const severities[] = {"critical", "error", "warning", "info", NULL};
    const struct json *details = json_path(event, "payload.custom_details");
    if (!json_is_object(json_get(event, "payload"))) {
        complain(errors, "'payload' is missing or blank");
        return;
    }
    (void)check_text(errors, event, "payload.summary", SUMMARY_MAX, true);
    (void)check_text(errors, event, "payload.source", 0, is_alert);
    if (is_alert) {
        check_word(errors, event, "payload.severity", severities);
    }
    const char *at = check_text(errors, event, "payload.timestamp", 0, false);
    int64_t ms = 0;
    if (at != NULL && !clock_parse_rfc3339(at, &ms)) {
        complain(errors, "'payload.timestamp' is invalid (must be an ISO 8601 date)");
    }
    if (!json_is_null(details) && !json_is_object(details)) {
        complain(errors, "'payload.custom_details' is invalid (must be an object)");
    }
}

static void
check_alert(struct json *errors, const struct json *event)
{
    static const char *const actions[] = {"trigger", "acknowledge", "resolve", NULL};
    const char *action = json_str(json_get(event, "event_action"));
    bool triggers = cstr_equal(action, "trigger");
    bool follows = cstr_equal(action, "acknowledge") || cstr_equal(action, "resolve");
    check_word(errors, event, "event_action", actions);
    (void)check_text(errors, event, "dedup_key", DEDUP_MAX, follows);
    if (triggers) {
        check_payload(errors, event, true);
    }
    (void)check_text(errors, event, "client", 0, false);
    (void)check_text(errors, event, "client_url", 0, false);
    check_addresses(errors, event, "images", "src");
}

static void
check_key(struct json *errors, const struct json *event, bool is_change)
{
    const char *text = check_text(errors, event, "routing_key", 0, true);
    if (text != NULL && strlen(text) != PAGERDUTY_EVENT_KEY_LENGTH) {
        complain(errors, "Length of 'routing_key' is incorrect (should be %d characters)",
            PAGERDUTY_EVENT_KEY_LENGTH);
    } else if (text != NULL && is_change && text[0] == 'R') {
        complain(errors, "Invalid routing key"); // rulesets take no change events
    }
}

struct json *
pagerduty_event_check(const struct json *event, bool is_change)
{
    struct json *errors = json_make_array();
    check_key(errors, event, is_change);
    if (is_change) {
        check_payload(errors, event, false);
    } else {
        check_alert(errors, event);
    }
    check_addresses(errors, event, "links", "href");
    return errors;
}
