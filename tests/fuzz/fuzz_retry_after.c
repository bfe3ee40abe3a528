// Retry-After: any header value gives -1 or a time that is not negative; the decision stays in
// bounds.
#include "dispatcher/retry.h"

#include <stdlib.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    char *text CLEANUP(xfreep) = fuzz_text(data, size);
    http_headers_add(&headers, "Retry-After", text);
    http_headers_add(&headers, "Date", text);
    int64_t wait = retry_after_ms(&headers, INT64_C(1795247280000));
    FUZZ_CHECK(wait >= -1);
    struct retry_decision decision = retry_decide(&retry_read, 1, RETRY_THROTTLED, wait, 0.5);
    FUZZ_CHECK(decision.wait_ms >= 0 && decision.wait_ms <= retry_read.retry_after_cap_ms);
    FUZZ_CHECK(decision.again == (wait <= retry_read.retry_after_cap_ms));
    return 0;
}
