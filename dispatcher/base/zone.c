// Local time in a named zone. The C library only knows one zone at a time, the one of TZ.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "dispatcher/clock.h"
#include "dispatcher/memory.h"

// Letters, digits and "_+-/" as in the IANA database; no way out of its directory.
static bool
is_zone_name(const char *zone)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    return zone[0] != '\0' && zone[0] != '/' && strlen(zone) < 64 &&
           strspn(zone, allowed) == strlen(zone);
}

// An unknown TZ silently means UTC, so the zone's file must be there.
static bool
is_known(const char *zone)
{
    if (strcmp(zone, "UTC") == 0) {
        return true;
    }
    char *path CLEANUP(xfreep) = xasprintf("/usr/share/zoneinfo/%s", zone);
    struct stat info; // "America" is a directory
    return is_zone_name(zone) && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool
clock_week_minute(int64_t wall_ms, const char *zone, int *out)
{
    if (!is_known(zone)) {
        return false;
    }
    const char *now = getenv("TZ");
    char *before CLEANUP(xfreep) = now != NULL ? xstrdup(now) : NULL;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm local = {0};
    bool set = setenv("TZ", zone, 1) == 0;
    tzset();
    (void)localtime_r(&seconds, &local);
    bool reset = (before != NULL ? setenv("TZ", before, 1) : unsetenv("TZ")) == 0;
    tzset();
    *out = ((local.tm_wday + 6) % 7 * 24 + local.tm_hour) * 60 + local.tm_min;
    return set && reset;
}
