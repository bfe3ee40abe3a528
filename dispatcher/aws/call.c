// The JSON 1.1 protocol over aws_send: a target, a JSON body, a JSON answer (AWS JSON 1.1 protocol,
// Smithy). Knows no operation.
#include <string.h>

#include "aws_internal.h"

enum { BODY_MAX = 256 * 1024 };

static const char *
operation_of(const char *target)
{
    const char *dot = strrchr(target, '.');
    return dot != NULL ? dot + 1 : target;
}

// The work is done by now: an answer that cannot be read leaves it unknown, not undone.
static struct error *
parse_answer(const struct aws_call *call, const struct http_response *response, struct json **out)
{
    struct str body = buf_str(&response->body);
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
        .content_type = "application/x-amz-json-1.1",
        .target = call->target,
        .body = buf_str(&body),
        .idempotent = call->idempotent,
        .read = call->read,
        .final_code = call->final_code,
    };
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(aws_send(session, &request, &response));
    return parse_answer(call, &response, out);
}
