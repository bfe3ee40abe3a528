// What AWS and its files hand us as text: profile files, STS answers, error bodies and command
// lines of credential_process. Nothing crashes, hangs or yields more than it was given.
#include "aws/aws_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "fuzz.h"

static void
try_profile(struct str text, bool is_credentials)
{
    struct aws_ini *ini CLEANUP(aws_ini_freep) = aws_ini_new();
    struct error *err CLEANUP(error_freep) = aws_ini_parse(ini, text, is_credentials, "file");
    FUZZ_CHECK(err == NULL || error_kind(err) == ERROR_CREDENTIALS);
    const char *value = aws_ini_get(ini, AWS_SECTION_PROFILE, "default", NULL, "region");
    FUZZ_CHECK(value == NULL || (value[0] != '\0' && str_is_utf8(str_of(value))));
    FUZZ_CHECK(value == NULL || aws_ini_has(ini, AWS_SECTION_PROFILE, "default"));
}

static void
try_xml(struct str text)
{
    char *found CLEANUP(xfreep) = NULL;
    struct error *err CLEANUP(error_freep) = aws_xml_text(text, "A/B", &found);
    FUZZ_CHECK(err == NULL || found == NULL);
    FUZZ_CHECK(found == NULL || strlen(found) < text.len);
}

static void
try_fault(struct str text)
{
    struct http_response response = {.status = 400, .body = BUF_INIT(SIZE_MAX / 2)};
    struct aws_fault fault CLEANUP(aws_fault_done) = {0};
    const struct aws_request request = {.service = "ssm", .operation = "GetParameter"};
    buf_add(&response.body, text);
    aws_fault_read(&response, &fault);
    FUZZ_CHECK(fault.code == NULL || (fault.code[0] != '\0' && strlen(fault.code) <= 136));
    FUZZ_CHECK(fault.message == NULL || strlen(fault.message) <= 608);
    struct error *err CLEANUP(error_freep) = aws_fault_error(&fault, &request);
    FUZZ_CHECK(str_is_utf8(str_of(error_message(err))));
    http_response_done(&response);
}

static void
try_words(struct str text)
{
    char *command CLEANUP(xfreep) = str_dup(text);
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *words[AWS_PROCESS_ARGUMENTS];
    size_t count = 0, total = 0;
    struct error *err CLEANUP(error_freep) = aws_split_words(command, arena, words, &count);
    for (size_t i = 0; err == NULL && i < count; i++) {
        total += strlen(words[i]);
    }
    FUZZ_CHECK(err != NULL || (count > 0 && words[count] == NULL && total <= text.len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    try_profile(text, false);
    try_profile(text, true);
    try_xml(text);
    try_fault(text);
    try_words(text);
    return 0;
}
