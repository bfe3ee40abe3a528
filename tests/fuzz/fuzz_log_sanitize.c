// Remote log text: no line of what comes out is a command to the runner that shows it. The oracle
// reads lines as the runner does: it trims the start, then looks for "::", and for "##[" anywhere.
#include "dispatcher/log_sanitize.h"

#include <stdlib.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out CLEANUP(buf_done) = BUF_INIT(16 * 1024 * 1024);
    log_sanitize((struct str){(const char *)data, size}, &out);
    struct str rest = buf_str(&out), line = {0};
    FUZZ_CHECK(str_is_utf8(rest));
    while (str_cut(rest, '\n', &line, &rest)) {
        FUZZ_CHECK(!str_starts(str_trim(line), STR("::")));
        FUZZ_CHECK(!str_contains(line, STR("##[")));
        FUZZ_CHECK(line.len <= 8 * 1024 + 64);
        for (size_t i = 0; i < line.len; i++) {
            unsigned char byte = (unsigned char)line.ptr[i];
            FUZZ_CHECK((byte >= 0x20 || byte == '\t') && byte != 0x7f);
        }
    }
    return 0;
}
