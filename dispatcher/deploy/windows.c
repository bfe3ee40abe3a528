// Deployment windows: is now a time in which the spec denies deploying? ("Fri 15:00 - Mon 07:00")
// A window that cannot be read or placed in time denies: a guard rail must not vanish by a typo.
#include <string.h>

#include "deploy_internal.h"

enum { WEEK_MINUTES = 7 * 24 * 60 };

static bool
take_number(struct str *text, int64_t max, int64_t *out)
{
    struct str digits = {text->ptr, text->len < 2 ? text->len : 2};
    if (digits.len < 2 || !str_to_int64(digits, out) || *out < 0 || *out > max) {
        return false;
    }
    *text = str_skip(*text, 2);
    return true;
}

// "Fri 15:00" to minutes since Monday.
static bool
parse_point(struct str text, int *out)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    int64_t hour = 0, minute = 0;
    text = str_trim(text);
    for (int day = 0; day < 7; day++) {
        if (!str_equal_nocase(
                (struct str){text.ptr, text.len < 3 ? text.len : 3}, str_of(days[day]))) {
            continue;
        }
        text = str_trim(str_skip(text, 3));
        bool hours = take_number(&text, 23, &hour) && str_starts(text, STR(":"));
        text = str_skip(text, 1);
        if (!hours || !take_number(&text, 59, &minute) || text.len > 0) {
            return false;
        }
        *out = (int)((day * 24 + hour) * 60 + minute);
        return true;
    }
    return false;
}

bool
window_parse(const char *text, int *from, int *to)
{
    struct str head = {0}, tail = {0};
    return str_cut(str_of(text), '-', &head, &tail) && parse_point(head, from) &&
           parse_point(tail, to) && *from != *to;
}

bool
window_holds(int from, int to, int now)
{
    int length = (to - from + WEEK_MINUTES) % WEEK_MINUTES;
    return (now - from + WEEK_MINUTES) % WEEK_MINUTES < length;
}

static struct error *
check_window(const struct setting_window *window, const struct preparation *p, int64_t now_ms)
{
    int from = 0, to = 0, now = 0;
    const char *zone = window->tz != NULL ? window->tz : "UTC";
    if (window->deny == NULL || !window_parse(window->deny, &from, &to)) {
        return error_hint(error_new(ERROR_SPEC, "deployment window '%s' cannot be read",
                              window->deny != NULL ? window->deny : ""),
            "Write it as 'Fri 15:00 - Mon 07:00'.");
    }
    if (!clock_week_minute(now_ms, zone, &now)) {
        return error_hint(
            error_new(ERROR_SPEC, "time zone '%s' is not known on this machine", zone),
            "Use a name of the IANA database, and install the package tzdata.");
    }
    if (!window_holds(from, to, now)) {
        return NULL;
    }
    return error_hint(
        error_new(ERROR_DENIED, "'%s' is not deployed to '%s' now: window '%s' (%s)%s%s",
            p->settings->app, p->settings->env, window->deny, zone,
            window->reason != NULL ? ", " : "", window->reason != NULL ? window->reason : ""),
        "Wait until it ends.");
}

struct error *
windows_check(const struct preparation *p, int64_t now_ms)
{
    for (size_t i = 0; i < p->settings->window_count; i++) {
        TRY(check_window(&p->settings->windows[i], p, now_ms));
    }
    return NULL;
}
