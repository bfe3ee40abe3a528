// Error answers of AWS and GitHub: whatever the body, the sentence is one clean line.
#include "aws/aws_internal.h"
#include "github/github_internal.h"

#include <stdlib.h>

#include "fuzz.h"

static void
check_sentence(const char *text)
{
    FUZZ_CHECK(str_is_utf8(str_of(text)));
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        FUZZ_CHECK(*at >= 0x20 && *at != 0x7f);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct http_response response CLEANUP(http_response_done) = {.status = 400 + data[0] % 200};
    buf_init(&response.body, 1024 * 1024);
    buf_append(&response.body, data + 1, size - 1);
    struct aws_fault fault CLEANUP(aws_fault_done) = {0};
    const struct aws_request request = {.service = "ssm", .operation = "GetParameter"};
    aws_fault_read(&response, &fault);
    struct error *err CLEANUP(error_freep) = aws_fault_error(&fault, &request);
    char *text CLEANUP(xfreep) = error_text(err);
    check_sentence(text);
    struct buf words CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    github_words(&response, &words);
    FUZZ_CHECK(words.len > 0);
    check_sentence(buf_cstr(&words));
    (void)github_judge(&response);
    char *found CLEANUP(xfreep) = NULL;
    error_free(aws_xml_text(buf_str(&response.body), "ErrorResponse/Error/Code", &found));
    return 0;
}
