// Time, and the only place that reads it.
//
// wall: milliseconds since the Unix epoch. mono: milliseconds of a clock that never jumps; every
// deadline in this program is an absolute mono time. Tests put a clock of their own in the
// platform, which jumps instead of sleeping. Thread-safe.
#pragma once

#include <stdint.h>

#include "dispatcher/cancel.h"
#include "dispatcher/error.h"
#include "dispatcher/str.h"

struct clock {
    int64_t (*wall_ms)(const struct clock *clock);
    int64_t (*mono_ms)(const struct clock *clock);
    /// Returns at `mono_ms`, or with ERROR_CANCELLED as soon as `cancel` (may be NULL) is raised.
    struct error *(*sleep_until)(const struct clock *clock, int64_t mono_ms, struct cancel *cancel);
};

extern const struct clock clock_system;

int64_t clock_wall(const struct clock *clock);
int64_t clock_mono(const struct clock *clock);
NODISCARD struct error *clock_sleep_until(
    const struct clock *clock, int64_t mono_ms, struct cancel *cancel);

/// "2026-11-21T07:48:00Z" (RFC 3339, UTC, seconds); out holds at least 21 bytes.
void clock_format_rfc3339(int64_t wall_ms, char out[21]);
/// Reads RFC 3339 with Z or an offset, fractions dropped; false when it is anything else.
bool clock_parse_rfc3339(const char *text, int64_t *wall_ms);
/// Reads an HTTP date (RFC 9110 §5.6.7, IMF-fixdate only); false when it is anything else.
bool clock_parse_http_date(const char *text, int64_t *wall_ms);
/// Reads "30s", "5m", "2h", "1d": a whole number and a unit; false (output untouched) when it is
/// anything else or too large.
bool clock_parse_duration(struct str text, int64_t *ms);
/// "45s", "3m 12s", "2h 5m", "3d 4h"; out holds at least 32 bytes.
void clock_format_duration(int64_t ms, char out[32]);

/// An IANA time zone ("America/New_York", "UTC") as this machine's database has it; immutable.
struct clock_zone;
/// NULL when this machine does not know the zone.
struct clock_zone *clock_zone_read(const char *name);
void clock_zone_free(struct clock_zone *zone);
void clock_zone_freep(struct clock_zone **zone);
/// Minutes since Monday 00:00 at `wall_ms` in the zone.
int clock_zone_week_minute(const struct clock_zone *zone, int64_t wall_ms);
/// The same for a zone by name; false when this machine does not know it.
bool clock_week_minute(int64_t wall_ms, const char *zone, int *out);
