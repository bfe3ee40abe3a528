// Windows in which nothing is deployed, and when they end: minute by minute in the local time of
// each window's own zone, so that a day of 23 or of 25 hours is as long as it is. A window that
// cannot be placed in time holds: a guard rail must not vanish by a typo.
#include <stdlib.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "policy_internal.h"

enum { MINUTE_MS = 60000, HORIZON_MINUTES = 15 * 24 * 60 };

// One window, read once.
struct placed {
    const struct setting_window *window;
    struct clock_zone *zone; // NULL: not placed
    int from, to;
};

static bool
place(const struct setting_window *window, struct placed *out)
{
    out->window = window;
    out->zone = clock_zone_read(window->tz != NULL ? window->tz : "UTC");
    return out->zone != NULL && window->deny != NULL &&
           window_parse(window->deny, &out->from, &out->to);
}

static bool
holds(const struct placed *placed, int64_t ms)
{
    return window_holds(placed->from, placed->to, clock_zone_week_minute(placed->zone, ms));
}

static bool
passes(const struct setting_window *window, bool emergency)
{
    return emergency && cstr_equal(window->manual, "emergency");
}

// The first minute in which none of them holds. They may overlap, or follow one another.
static int64_t
end_of(const struct placed *placed, size_t count, int64_t now_ms)
{
    int64_t at = now_ms - now_ms % MINUTE_MS;
    for (int i = 0; i < HORIZON_MINUTES; i++) {
        bool any = false;
        at += MINUTE_MS;
        for (size_t j = 0; j < count && !any; j++) {
            any = holds(&placed[j], at);
        }
        if (!any) {
            return at;
        }
    }
    return 0; // there is always one
}

void
policy_window_now(
    const struct settings *settings, int64_t now_ms, bool emergency, struct policy_window *out)
{
    struct placed *placed = xcalloc(settings->window_count + 1, sizeof(*placed));
    size_t count = 0;
    *out = (struct policy_window){0};
    for (size_t i = 0; i < settings->window_count; i++) {
        const struct setting_window *window = &settings->windows[i];
        if (passes(window, emergency)) {
            continue;
        }
        bool readable = place(window, &placed[count]);
        bool held = !readable || holds(&placed[count], now_ms);
        if (held && (out->window == NULL || !readable)) {
            out->window = window;
            out->unreadable = out->unreadable || !readable;
        }
        count++;
    }
    if (out->window != NULL && !out->unreadable) {
        out->until_ms = end_of(placed, count, now_ms);
    }
    for (size_t i = 0; i < count; i++) {
        clock_zone_free(placed[i].zone);
    }
    free(placed);
}
