// Foreign text for a line of ours: valid UTF-8, one line, no control, within its cap.
#include "dispatcher/text.h"

#include <stdlib.h>

#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX = 200, ELLIPSIS = 3 };
    struct buf out CLEANUP(buf_done) = BUF_INIT(4096);
    text_clean((struct str){(const char *)data, size}, MAX, &out);
    FUZZ_CHECK(!out.failed && out.len <= MAX + ELLIPSIS);
    FUZZ_CHECK(str_is_utf8(buf_str(&out)));
    for (size_t i = 0; i < out.len; i++) {
        unsigned char byte = (unsigned char)out.ptr[i];
        FUZZ_CHECK(byte >= 0x20 && byte != 0x7f);
        FUZZ_CHECK(byte != 0xc2 || (unsigned char)out.ptr[i + 1] >= 0xa0); // no C1 control
    }
    FUZZ_CHECK(text_width(buf_str(&out)) <= out.len);
    return 0;
}
