// Dates: what is read as RFC 3339 within four-digit years is written and read again to the same
// second.
#include "dispatcher/clock.h"

#include <stdlib.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    int64_t wall = 0, again = 0;
    if (clock_parse_rfc3339(text, &wall) && wall >= 0 && wall < INT64_C(253402300800000)) {
        char out[21];
        clock_format_rfc3339(wall, out);
        FUZZ_CHECK(clock_parse_rfc3339(out, &again));
        FUZZ_CHECK(again == wall);
    }
    (void)clock_parse_http_date(text, &again);
    char duration[32];
    clock_format_duration(wall, duration);
    return 0;
}
