// What a non-2xx answer says: the service's code, its sentence, and what follows from it. Knows the
// JSON protocols (code in `__type` or a header), the query protocol (XML) and plain HTML pages of
// load balancers. Decides nothing about time: send.c waits and repeats.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { MESSAGE_MAX = 600, CODE_MAX = 128, ACTION_MAX = 100 };

// "com.amazonaws.ssm#ParameterNotFound:http://…" is "ParameterNotFound" (AWS JSON 1.1, "Operation
// error serialization": the namespace and what follows a colon are not part of the code).
static char *
short_code(const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    struct str code, rest;
    if (!str_cut(str_of(text), ':', &code, &rest)) {
        return NULL;
    }
    const char *hash = memchr(code.ptr, '#', code.len);
    if (hash != NULL) {
        code = str_skip(code, (size_t)(hash - code.ptr) + 1);
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(CODE_MAX + 8);
    text_clean(str_trim(code), CODE_MAX, &clean);
    return clean.len > 0 ? buf_take(&clean) : NULL;
}

static char *
clean_message(const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(MESSAGE_MAX + 8);
    text_clean(str_trim(str_of(text)), MESSAGE_MAX, &clean);
    struct str message = str_trim(buf_str(&clean));
    if (str_ends(message, STR("."))) {
        message.len--;
    }
    return message.len > 0 ? str_dup(message) : NULL;
}

static void
set_once(char **slot, char *value)
{
    if (*slot == NULL) {
        *slot = value;
    } else {
        free(value);
    }
}

static void
read_json(struct str body, struct aws_fault *out)
{
    static const char *const codes[] = {"__type", "code", "Code"};
    static const char *const messages[] = {"message", "Message", "errorMessage"};
    struct json *doc CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = json_parse(body, &json_limits_default, &doc);
    if (err != NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        set_once(&out->code, short_code(json_str(json_get(doc, codes[i]))));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(messages); i++) {
        set_once(&out->message, clean_message(json_str(json_get(doc, messages[i]))));
    }
}

static void
read_xml(struct str body, struct aws_fault *out)
{
    static const struct {
        const char *code, *message, *request;
    } shapes[] = {
        {"ErrorResponse/Error/Code", "ErrorResponse/Error/Message", "ErrorResponse/RequestId"},
        {"ErrorResponse/Errors/Error/Code", "ErrorResponse/Errors/Error/Message",
            "ErrorResponse/RequestId"},
        {"Error/Code", "Error/Message", "Error/RequestId"},
        {"Response/Errors/Error/Code", "Response/Errors/Error/Message", "Response/RequestID"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(shapes) && out->code == NULL; i++) {
        char *code CLEANUP(xfreep) = NULL;
        char *message CLEANUP(xfreep) = NULL;
        char *request CLEANUP(xfreep) = NULL;
        struct error *err CLEANUP(error_freep) = aws_xml_text(body, shapes[i].code, &code);
        if (err != NULL || code == NULL) {
            continue;
        }
        set_once(&out->code, short_code(code));
        // The same document was just read without an error.
        error_free(aws_xml_text(body, shapes[i].message, &message));
        error_free(aws_xml_text(body, shapes[i].request, &request));
        set_once(&out->message, clean_message(message));
        set_once(&out->request_id, clean_message(request));
    }
}

static bool
looks_like_html(struct str body)
{
    struct str start = str_trim(body);
    start.len = start.len < 5 ? start.len : 5;
    return str_equal_nocase(start, STR("<html")) || str_equal_nocase(start, STR("<!doc"));
}

void
aws_fault_read(const struct http_response *response, struct aws_fault *out)
{
    static const char *const ids[] = {"x-amzn-requestid", "x-amz-request-id", "x-amz-requestid"};
    const struct http_headers *headers = &response->headers;
    struct str body = buf_str(&response->body);
    struct str start = str_trim(body);
    *out = (struct aws_fault){.status = response->status};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        set_once(&out->request_id, clean_message(http_headers_get(headers, ids[i])));
    }
    out->code = short_code(http_headers_get(headers, "x-amzn-errortype"));
    if (looks_like_html(body)) {
        set_once(&out->message, xstrdup("an HTML page instead of an answer"));
    } else if (start.len > 0 && start.ptr[0] == '<') {
        read_xml(body, out);
    } else if (start.len > 0) {
        read_json(body, out);
    }
}

void
aws_fault_done(struct aws_fault *fault)
{
    free(fault->code);
    free(fault->message);
    free(fault->request_id);
    *fault = (struct aws_fault){0};
}

static bool
is_one_of(const char *code, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count && code != NULL; i++) {
        if (strcmp(code, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

// botocore retries/standard.py, and SSM's own name for two writers at once.
static const char *const throttling_codes[] = {"Throttling", "ThrottlingException",
    "ThrottledException", "RequestThrottledException", "TooManyRequestsException",
    "ProvisionedThroughputExceededException", "TransactionInProgressException",
    "RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "RequestThrottled",
    "SlowDown", "PriorRequestNotComplete", "EC2ThrottledException", "TooManyUpdates"};

static const char *const transient_codes[] = {"RequestTimeout", "RequestTimeoutException",
    "IDPCommunicationError", "InternalError", "InternalFailure", "InternalServerError",
    "ServiceUnavailable", "ServiceUnavailableException"};

static const char *const skew_codes[] = {"RequestTimeTooSkewed", "RequestExpired",
    "RequestInTheFuture", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"};

static const char *const expiry_codes[] = {"ExpiredToken", "ExpiredTokenException"};

static const char *const credential_codes[] = {"InvalidClientTokenId",
    "UnrecognizedClientException", "IncompleteSignature", "IncompleteSignatureException",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidIdentityToken",
    "InvalidToken", "IDPRejectedClaim", "RegionDisabledException", "OptInRequired",
    "InvalidAccessKeyId", "InvalidAccessKeyIdException"};

static const char *const denial_codes[] = {
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"};

// Some services call a signature of another hour a lack of permission; the Date decides (send.c).
bool
aws_fault_is_skew(const struct aws_fault *fault)
{
    return is_one_of(fault->code, skew_codes, ARRAY_LENGTH(skew_codes)) ||
           (fault->code != NULL && strcmp(fault->code, "AccessDeniedException") == 0);
}

bool
aws_fault_is_expiry(const struct aws_fault *fault)
{
    return is_one_of(fault->code, expiry_codes, ARRAY_LENGTH(expiry_codes));
}

static bool
is_throttling(const struct aws_fault *fault)
{
    return fault->status == 429 ||
           is_one_of(fault->code, throttling_codes, ARRAY_LENGTH(throttling_codes));
}

// STS says so for a few seconds when it cannot fetch the issuer's keys.
static bool
is_key_retrieval(const struct aws_fault *fault)
{
    return fault->code != NULL && strcmp(fault->code, "InvalidIdentityToken") == 0 &&
           fault->message != NULL &&
           str_contains(str_of(fault->message), STR("retrieve verification key"));
}

enum retry_outcome
aws_fault_outcome(const struct aws_fault *fault)
{
    if (is_throttling(fault)) {
        return RETRY_THROTTLED;
    }
    bool transient = is_one_of(fault->code, transient_codes, ARRAY_LENGTH(transient_codes));
    if (transient || is_key_retrieval(fault)) {
        return RETRY_TRANSIENT;
    }
    return retry_outcome_of_status(fault->status);
}

// A throttled call was turned away at the door, whatever its status. Beyond that only a 4xx is
// certain: a 5xx (or a request time-out) can come after the work was done.
bool
aws_fault_is_refusal(const struct aws_fault *fault)
{
    if (is_throttling(fault)) {
        return true;
    }
    return fault->status >= 400 && fault->status < 500 && fault->status != 408 &&
           !is_one_of(fault->code, transient_codes, ARRAY_LENGTH(transient_codes));
}

static enum error_kind
kind_of(const struct aws_fault *fault)
{
    bool credentials = aws_fault_is_expiry(fault) || aws_fault_is_skew(fault) ||
                       is_one_of(fault->code, credential_codes, ARRAY_LENGTH(credential_codes)) ||
                       is_one_of(fault->code, denial_codes, ARRAY_LENGTH(denial_codes));
    enum retry_outcome outcome = aws_fault_outcome(fault);
    if (outcome == RETRY_TRANSIENT || outcome == RETRY_THROTTLED) {
        return ERROR_UNAVAILABLE;
    }
    if (credentials || (fault->code == NULL && (fault->status == 401 || fault->status == 403))) {
        return ERROR_CREDENTIALS;
    }
    return fault->status >= 400 && fault->status < 500 ? ERROR_REFUSED : ERROR_UNAVAILABLE;
}

// "User: arn:… is not authorized to perform: iam:PassRole on resource: …": what is missing is not
// always what was called.
static struct str
action_of(const struct aws_fault *fault)
{
    static const char mark[] = "not authorized to perform: ";
    const char *at = fault->message != NULL ? strstr(fault->message, mark) : NULL;
    struct str action = {0};
    if (at != NULL) {
        action.ptr = at + sizeof(mark) - 1;
        action.len =
            strspn(action.ptr, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:");
    }
    const char *colon = action.len > 0 ? memchr(action.ptr, ':', action.len) : NULL;
    bool good = colon != NULL && colon > action.ptr && colon + 1 < action.ptr + action.len &&
                action.len <= ACTION_MAX;
    return good ? action : (struct str){0};
}

static struct error *
add_denial_hint(struct error *err, const struct aws_fault *fault, const struct aws_request *request)
{
    struct str said = action_of(fault);
    char *action CLEANUP(xfreep) =
        said.len > 0 ? str_dup(said) : xasprintf("%s:%s", request->service, request->operation);
    return error_hint(err,
        "Allow the action '%s' to the role in use; 'dispatcher doctor' shows which one that is.",
        action);
}

static struct error *
add_hint(struct error *err, const struct aws_fault *fault, const struct aws_request *request)
{
    if (is_one_of(fault->code, denial_codes, ARRAY_LENGTH(denial_codes))) {
        return add_denial_hint(err, fault, request);
    }
    if (aws_fault_is_expiry(fault)) {
        return error_hint(err, "Get new credentials: sign in again, or start the job again.");
    }
    if (aws_fault_is_skew(fault)) {
        return error_hint(err, "Check the secret key and this machine's clock.");
    }
    if (is_one_of(fault->code, credential_codes, ARRAY_LENGTH(credential_codes))) {
        return error_hint(err, "Run 'dispatcher doctor' to see which credentials are used.");
    }
    return err;
}

struct error *
aws_fault_error(const struct aws_fault *fault, const struct aws_request *request)
{
    const char *code = fault->code, *message = fault->message;
    struct error *err = NULL;
    if (code != NULL && message != NULL) {
        err = error_new(kind_of(fault), "%s: %s", code, message);
    } else if (code != NULL || message != NULL) {
        err = error_new(kind_of(fault), "%s", code != NULL ? code : message);
    } else {
        err = error_new(kind_of(fault), "no error code in the answer");
    }
    err = error_remote(err, fault->status, code, fault->request_id, !aws_fault_is_refusal(fault));
    return add_hint(err, fault, request);
}

bool
aws_has_code(const struct error *err, const char *code)
{
    return err != NULL && cstr_equal(error_remote_of(err)->code, code);
}

bool
aws_is_denied(const struct error *err)
{
    return err != NULL &&
           is_one_of(error_remote_of(err)->code, denial_codes, ARRAY_LENGTH(denial_codes));
}
