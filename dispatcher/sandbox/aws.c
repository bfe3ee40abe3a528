// Front door of the sandbox's AWS: one endpoint for the services of the JSON protocol (by
// X-Amz-Target), STS and IAM (query), at any path below /aws, and the credentials that it knows.
#include <stdlib.h>
#include <string.h>

#include "aws_apprunner_internal.h"
#include "aws_ecs_internal.h"
#include "aws_internal.h"
#include "aws_logs_internal.h"
#include "aws_model_internal.h"
#include "aws_secrets_internal.h"
#include "dispatcher/memory.h"

static const struct aws_service services[] = {
    {"AmazonSSM", "application/x-amz-json-1.1", "message", &sandbox_aws_model_ssm,
        "ValidationException", sandbox_ssm_handle},
    {"AmazonEC2ContainerRegistry_V20150921", "application/x-amz-json-1.1", "message",
        &sandbox_aws_model_ecr, "InvalidParameterException", sandbox_ecr_handle},
    {"AppRunner", "application/x-amz-json-1.0", "Message", &sandbox_aws_model_apprunner,
        "InvalidRequestException", sandbox_apprunner_handle},
    {"AmazonEC2ContainerServiceV20141113", "application/x-amz-json-1.1", "message",
        &sandbox_aws_model_ecs, "InvalidParameterException", sandbox_ecs_handle},
    {"Logs_20140328", "application/x-amz-json-1.1", "message", &sandbox_aws_model_logs,
        "InvalidParameterException", sandbox_logs_handle},
    {"secretsmanager", "application/x-amz-json-1.1", "Message", &sandbox_aws_model_secretsmanager,
        "InvalidParameterException", sandbox_secrets_handle},
};

static const char account_default[] = "123456789012";

const char *
sandbox_aws_account(const struct sandbox *sandbox)
{
    return sandbox->options->account != NULL ? sandbox->options->account : account_default;
}

const char *
sandbox_aws_region(const struct sandbox *sandbox)
{
    return sandbox->options->region != NULL ? sandbox->options->region : "us-east-1";
}

const char *
sandbox_aws_access_key(const struct sandbox *sandbox)
{
    return sandbox->aws->own->id;
}

const char *
sandbox_aws_secret_key(const struct sandbox *sandbox)
{
    return sandbox->aws->own->secret;
}

struct aws_key *
sandbox_aws_key_add(
    struct sandbox *sandbox, const char *arn, const char *user_id, int64_t lifetime_ms)
{
    struct aws_state *aws = sandbox->aws;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char *id = sandbox_random(sandbox, arena, 8);
    for (char *at = id; *at != '\0'; at++) {
        *at = *at >= 'a' ? (char)(*at - 'a' + 'A') : *at;
    }
    aws->keys = xrealloc(aws->keys, (aws->key_count + 1) * sizeof(*aws->keys));
    struct aws_key *key = xcalloc(1, sizeof(*key));
    *key = (struct aws_key){
        .id = xasprintf("%s%s", lifetime_ms > 0 ? "ASIA" : "AKIA", id),
        .secret = xasprintf(
            "%s/%s", sandbox_random(sandbox, arena, 10), sandbox_random(sandbox, arena, 9)),
        .token = lifetime_ms > 0 ? xasprintf("FwoGZXIvYXdz%s", sandbox_random(sandbox, arena, 120))
                                 : NULL,
        .arn = xstrdup(arn),
        .user_id = xasprintf("%s", user_id),
        .expires_ms = lifetime_ms > 0 ? sandbox_now(sandbox) + lifetime_ms : 0,
    };
    aws->keys[aws->key_count++] = key;
    return key;
}

struct error *
sandbox_aws_start(struct sandbox *sandbox)
{
    sandbox->aws = xcalloc(1, sizeof(*sandbox->aws));
    sandbox->aws->scan_results = json_make_object();
    sandbox->aws->roles = json_make_object();
    sandbox->aws->denials = json_make_array();
    char *arn CLEANUP(xfreep) =
        xasprintf("arn:aws:iam::%s:user/sandbox", sandbox_aws_account(sandbox));
    sandbox->aws->own = sandbox_aws_key_add(sandbox, arn, "AIDASANDBOXUSER000001", 0);
    sandbox_ecs_start(sandbox);
    return NULL;
}

void
sandbox_aws_reset(struct sandbox *sandbox)
{
    sandbox_ssm_forget(sandbox->aws);
    sandbox_logs_forget(sandbox->aws);
    sandbox_apprunner_forget(sandbox->aws);
    sandbox_secrets_forget(sandbox->aws);
    json_free(sandbox->aws->scan_results);
    sandbox->aws->scan_results = json_make_object();
    json_free(sandbox->aws->roles);
    sandbox->aws->roles = json_make_object();
    sandbox->aws->is_lenient = false;
    json_free(sandbox->aws->denials);
    sandbox->aws->denials = json_make_array();
    json_free(sandbox->aws->denied);
    sandbox->aws->denied = NULL;
    sandbox_ecs_stop(sandbox);
    sandbox_ecs_start(sandbox);
}

void
sandbox_aws_stop(struct sandbox *sandbox)
{
    struct aws_state *aws = sandbox->aws;
    if (aws == NULL) {
        return;
    }
    sandbox_ssm_forget(aws);
    sandbox_ecs_stop(sandbox);
    sandbox_logs_forget(aws);
    sandbox_apprunner_forget(aws);
    sandbox_secrets_forget(aws);
    json_free(aws->scan_results);
    json_free(aws->roles);
    json_free(aws->denied);
    json_free(aws->denials);
    for (size_t i = 0; i < aws->key_count; i++) {
        free(aws->keys[i]->id);
        free(aws->keys[i]->secret);
        free(aws->keys[i]->token);
        free(aws->keys[i]->arn);
        free(aws->keys[i]->user_id);
        json_free(aws->keys[i]->policy);
        free(aws->keys[i]);
    }
    for (size_t i = 0; i < aws->token_count; i++) {
        free(aws->tokens[i].password);
    }
    free(aws->tokens);
    free(aws->keys);
    free(aws);
    sandbox->aws = NULL;
}

void
sandbox_aws_pushed(struct sandbox *sandbox, const char *repository, const char *tag)
{
    sandbox_apprunner_pushed(sandbox, repository, tag);
}

struct json *
sandbox_aws_state_json(struct sandbox *sandbox)
{
    struct json *state = json_make_object();
    json_set_str(state, "account", sandbox_aws_account(sandbox));
    json_set_str(state, "region", sandbox_aws_region(sandbox));
    json_set(state, "parameters", sandbox_ssm_state(sandbox->aws));
    json_set(state, "apprunner", sandbox_apprunner_state_json(sandbox));
    json_set(state, "logs", sandbox_logs_state(sandbox->aws));
    json_set(state, "secrets", sandbox_secrets_state(sandbox->aws));
    json_set(state, "scan_results", json_clone(sandbox->aws->scan_results));
    json_set(state, "roles", json_clone(sandbox->aws->roles));
    if (sandbox->aws->denied != NULL) {
        json_set(state, "denied", json_clone(sandbox->aws->denied));
    }
    json_set(state, "ecs", sandbox_ecs_state_json(sandbox));
    return state;
}

void
sandbox_aws_run(struct aws_exchange *exchange, const struct aws_operation *operations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(operations[i].name, exchange->operation) == 0) {
            operations[i].run(exchange);
            return;
        }
    }
    sandbox_aws_json_problem(exchange->response, "UnknownOperationException",
        "the sandbox has no operation '%s'", exchange->operation);
}

static void
reply_problem(
    struct sandbox_response *response, const char *code, const char *key, const char *text)
{
    struct json *body = json_make_object();
    json_set_str(body, "__type", code);
    json_set_str(body, key, text);
    sandbox_reply_json(response, 400, body);
    // AWS says so in a header, too; the CLI reads either.
    sandbox_reply_header(response, "x-amzn-ErrorType", code);
}

void
sandbox_aws_json_problem(
    struct sandbox_response *response, const char *code, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    reply_problem(response, code, "message", buf_cstr(&text));
}

void
sandbox_aws_problem(struct aws_exchange *exchange, const char *code, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    // JSON 1.0 says whose the code is: "com.amazonaws.apprunner#InvalidStateException".
    struct buf type CLEANUP(buf_done) = BUF_INIT(1024);
    if (str_ends(str_of(exchange->service->type), STR("-1.0"))) {
        buf_puts(&type, "com.amazonaws.");
        for (const char *at = exchange->service->target; *at != '\0'; at++) {
            buf_putc(&type, *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at);
        }
        buf_putc(&type, '#');
    }
    buf_puts(&type, code);
    reply_problem(exchange->response, buf_cstr(&type), exchange->service->message, buf_cstr(&text));
}

void
sandbox_aws_xml_escape(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        default:
            buf_putc(out, *text);
        }
    }
}

void
sandbox_aws_xml_element(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "<%s>", name);
    sandbox_aws_xml_escape(value, out);
    buf_printf(out, "</%s>", name);
}

void
sandbox_aws_xml_result(struct aws_exchange *exchange, const char *xmlns, const struct buf *inner)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    const char *name = exchange->operation;
    buf_printf(&text,
        "<%sResponse xmlns=\"%s\"><%sResult>%s</%sResult>"
        "<ResponseMetadata><RequestId>sandbox</RequestId></ResponseMetadata></%sResponse>",
        name, xmlns, name, buf_cstr(inner), name, name);
    sandbox_reply_text(exchange->response, 200, "text/xml", buf_str(&text));
}

void
sandbox_aws_xml_problem(
    struct sandbox_response *response, int status, const char *code, const char *message)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_printf(&text,
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
        "<Type>Sender</Type><Code>%s</Code><Message>",
        code);
    sandbox_aws_xml_escape(message, &text);
    buf_puts(&text, "</Message></Error><RequestId>sandbox</RequestId></ErrorResponse>");
    sandbox_reply_text(response, status, "text/xml", buf_str(&text));
}

void
sandbox_aws_expired(const struct sandbox_request *request, struct sandbox_response *response)
{
    static const char message[] = "The security token included in the request is expired";
    if (sandbox_request_header(request, "X-Amz-Target") != NULL) {
        sandbox_aws_json_problem(response, "ExpiredTokenException", "%s", message);
    } else {
        sandbox_aws_xml_problem(response, 403, "ExpiredToken", message);
    }
}

static const struct aws_service *
find_service(struct str target)
{
    for (size_t i = 0; i < ARRAY_LENGTH(services); i++) {
        if (str_equal(target, str_of(services[i].target))) {
            return &services[i];
        }
    }
    return NULL;
}

// JSON answers have the service's own type; others ("html-500") keep theirs.
static void
set_type(struct sandbox_response *response, const char *type)
{
    for (size_t i = 0; i < response->headers.count; i++) {
        struct http_header *header = &response->headers.list[i];
        if (str_equal_nocase(str_of(header->name), STR("Content-Type")) &&
            str_starts(str_of(header->value), STR("application/json"))) {
            free(header->value);
            header->value = xstrdup(type);
        }
    }
}

static void
handle_json(struct aws_exchange *exchange, const char *target)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(exchange->request);
    struct str service = {0}, operation = {0};
    (void)str_cut(str_of(target), '.', &service, &operation);
    if (body == NULL) {
        sandbox_aws_json_problem(exchange->response, "SerializationException", "not a JSON object");
        return;
    }
    exchange->body = body;
    exchange->operation = operation.ptr != NULL ? operation.ptr : "";
    exchange->key = sandbox_aws_authenticate(
        exchange->sandbox, exchange->request, exchange->response, &exchange->region);
    if (exchange->key == NULL) {
        return;
    }
    if (sandbox_aws_denies(exchange)) {
        return;
    }
    exchange->service = find_service(service);
    if (exchange->service == NULL) {
        sandbox_aws_json_problem(exchange->response, "UnknownOperationException",
            "the sandbox has no service '%.*s'", STR_FMT(service));
    } else if (sandbox_aws_check(exchange)) {
        sandbox_apprunner_advance(exchange->sandbox); // it writes to logs, too
        exchange->service->handle(exchange);
    }
    if (exchange->service != NULL) {
        set_type(exchange->response, exchange->service->type);
    }
}

static void
handle_query(struct aws_exchange *exchange, const char *action)
{
    exchange->operation = action;
    if (strcmp(action, "AssumeRoleWithWebIdentity") != 0) {
        exchange->key = sandbox_aws_authenticate(
            exchange->sandbox, exchange->request, exchange->response, &exchange->region);
        if (exchange->key == NULL) {
            return;
        }
        if (sandbox_aws_denies(exchange)) {
            return;
        }
    }
    if (cstr_equal(sandbox_aws_signing_service(exchange->request), "iam")) {
        sandbox_iam_handle(exchange);
    } else {
        sandbox_sts_handle(exchange);
    }
}

void
sandbox_aws_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    struct aws_exchange exchange = {
        .sandbox = sandbox, .request = request, .response = response, .region = ""};
    const char *target = sandbox_request_header(request, "X-Amz-Target");
    const char *action = sandbox_action(request);
    sandbox_reply_header(response, "x-amzn-RequestId",
        arena_printf(request->arena, "%s-sandbox", sandbox_random(sandbox, request->arena, 8)));
    if (!sandbox_request_is(request, "POST")) {
        sandbox_aws_xml_problem(response, 405, "MethodNotAllowed", "only POST is served here");
    } else if (target != NULL) {
        handle_json(&exchange, target);
    } else if (action != NULL) {
        handle_query(&exchange, action);
    } else {
        sandbox_aws_xml_problem(response, 400, "MissingAction", "no X-Amz-Target and no Action");
    }
}
