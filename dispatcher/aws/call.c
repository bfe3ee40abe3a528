// The JSON protocols over aws_send: a target, a JSON body, a JSON answer (AWS JSON 1.0 and 1.1,
// Smithy). Knows no operation.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"

enum { BODY_MAX = 256 * 1024 };

static const char *
operation_of(const char *target)
{
    const char *dot = strrchr(target, '.');
    return dot != NULL ? dot + 1 : target;
}

static bool
is_hex(struct str digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        if (strchr("0123456789abcdefABCDEF", digits.ptr[i]) == NULL || digits.ptr[i] == '\0') {
            return false;
        }
    }
    return true;
}

/// The UTF-16 unit of an escape "\\uXXXX" at the start of the text, or -1.
static long
unit_of(struct str text)
{
    char digits[5] = {0};
    if (text.len < 6 || text.ptr[0] != '\\' || text.ptr[1] != 'u' ||
        !is_hex((struct str){text.ptr + 2, 4})) {
        return -1;
    }
    memcpy(digits, text.ptr + 2, 4);
    return strtol(digits, NULL, 16);
}

// How many bytes of escapes stand for something that our strings can hold, and whether the first
// of them does not: NUL, and a half of a surrogate pair (RFC 8259 §8.2).
static size_t
escape_length(struct str text, bool *bad)
{
    long unit = unit_of(text);
    *bad = unit == 0 || (unit >= 0xdc00 && unit <= 0xdfff);
    if (unit >= 0xd800 && unit <= 0xdbff) {
        long low = unit_of(str_skip(text, 6));
        *bad = low < 0xdc00 || low > 0xdfff;
        return *bad ? 6 : 12;
    }
    return unit >= 0 ? 6 : text.len < 2 ? text.len : 2;
}

// Outside strings there are no backslashes in JSON, so nothing but escapes is looked at.
static void
mend_escapes(struct str text, struct buf *out)
{
    while (text.len > 0) {
        const char *slash = memchr(text.ptr, '\\', text.len);
        size_t plain = slash != NULL ? (size_t)(slash - text.ptr) : text.len;
        bool bad = false;
        buf_append(out, text.ptr, plain);
        text = str_skip(text, plain);
        size_t len = text.len > 0 ? escape_length(text, &bad) : 0;
        if (bad) {
            buf_puts(out, "\\ufffd");
        } else {
            buf_append(out, text.ptr, len);
        }
        text = str_skip(text, len);
    }
}

// The work is done by now: an answer that cannot be read leaves it unknown, not undone.
static struct error *
parse_answer(const struct aws_call *call, const struct http_response *response, struct json **out)
{
    struct buf mended CLEANUP(buf_done) = BUF_INIT(json_limits_default.max_bytes);
    struct str body = buf_str(&response->body);
    if (call->quotes) {
        mend_escapes(body, &mended); // as long as it was
        body = buf_str(&mended);
    }
    struct error *err = json_parse(body.len > 0 ? body : STR("{}"), &json_limits_default, out);
    if (err == NULL) {
        return NULL;
    }
    err = error_wrap(err, "%s %s", call->service, operation_of(call->target));
    return error_remote(err, response->status, NULL,
        http_headers_get(&response->headers, "x-amzn-requestid"), true);
}

struct error *
aws_call(struct aws_session *session, const struct aws_call *call, struct json **out)
{
    struct buf body CLEANUP(buf_wipe) = BUF_INIT(BODY_MAX);
    json_print(call->body, false, &body);
    TRY(buf_finish(&body, "AWS request"));
    const struct aws_request request = {
        .service = call->service,
        .operation = operation_of(call->target),
        .region = call->region,
        .content_type =
            call->json_1_0 ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1",
        .target = call->target,
        .body = buf_str(&body),
        .idempotent = call->idempotent,
        .read = call->read,
        .final_code = call->final_code,
        .refusal = call->refusal,
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(aws_send(session, &request, &response));
    return parse_answer(call, &response, out);
}
