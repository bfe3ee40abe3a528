// How a handler answers: JSON, text, fixed bytes, redirects, and refusals as problem documents
// (RFC 9457). Sends nothing.
#include "request_internal.h"

#include <stdarg.h>
#include <string.h>

void
response_header(struct response *response, const char *name, const char *value)
{
    http_headers_add(&response->headers, name, value);
}

void
response_text(struct response *response, int status, const char *type, struct str text)
{
    response->status = status;
    response->type = type;
    buf_reset(&response->body);
    buf_add(&response->body, text);
}

void
response_json(struct response *response, int status, const struct json *value)
{
    response_text(response, status, "application/json", (struct str){0});
    json_print(value, false, &response->body);
    buf_putc(&response->body, '\n');
}

void
response_fixed(struct request *request, struct response *response, const char *type,
    struct str bytes, const char *etag)
{
    const char *known = request_header(request, "If-None-Match");
    response->status = 200;
    response->type = type;
    response->fixed = bytes;
    if (etag != NULL) {
        response_header(response, "ETag", etag);
        if (known != NULL && strstr(known, etag) != NULL) {
            response->status = 304;
            response->fixed = (struct str){0};
        }
    }
}

void
response_redirect(struct response *response, int status, const char *location)
{
    response->status = status;
    response_header(response, "Location", location);
}

static struct json *
make_failures(const struct str_list *failures)
{
    struct json *list = json_make_array();
    for (size_t i = 0; i < failures->count; i++) {
        json_append(list, json_make_string(failures->items[i]));
    }
    return list;
}

static struct json *
make_problem(const struct request *request, const struct refusal *refusal)
{
    const char *name = reason_code_name(refusal->code);
    const char *meaning = reason_code_meaning(refusal->code);
    const char *url = service_settings(request->service)->url;
    struct json *problem = json_make_object();
    json_set_str(problem, "type",
        arena_printf(request->arena, "%s/reason-codes#%s", url != NULL ? url : "", name));
    json_set_str(problem, "title", meaning);
    json_set_int(problem, "status", reason_code_http(refusal->code));
    json_set_str(problem, "code", name);
    json_set_str(problem, "detail", refusal->sentence != NULL ? refusal->sentence : meaning);
    json_set_str(problem, "hint", refusal->hint);
    json_set_str(
        problem, "who", refusal->who != NULL ? refusal->who : reason_code_who(refusal->code));
    if (refusal->failures != NULL && refusal->failures->count > 0) {
        json_set(problem, "failures", make_failures(refusal->failures));
    }
    json_set_int(problem, "exit_code", reason_code_exit(refusal->code));
    json_set_str(problem, "request_id", request->id);
    return problem;
}

// Of a redirect it would say something else (RFC 9110 §10.2.3).
static void
set_retry(struct response *response, const struct refusal *refusal)
{
    if (refusal->retry_after_s > 0 && response->status >= 400) {
        http_headers_addf(
            &response->headers, "Retry-After", "%lld", (long long)refusal->retry_after_s);
    }
}

void
response_refuse(struct request *request, struct response *response, const struct refusal *refusal)
{
    int status = reason_code_http(refusal->code);
    // Started afresh: what the handler had begun is not sent.
    http_headers_done(&response->headers);
    response->headers = (struct http_headers){0};
    response->fixed = (struct str){0};
    response->stream = NULL;
    response->code = reason_code_name(refusal->code);
    if (request->route != NULL && (request->route->flags & ROUTE_PAGE) != 0) {
        response->status = status < 300 ? 409 : status;
        page_refuse(request, response, refusal);
        set_retry(response, refusal);
        return;
    }
    struct json *problem CLEANUP(json_freep) = make_problem(request, refusal);
    response_json(response, status < 300 ? 409 : status, problem);
    response->type = "application/problem+json";
    if (status == 401) {
        response_header(response, "WWW-Authenticate", "Bearer");
    }
    set_retry(response, refusal);
}

void
response_refusef(struct request *request, struct response *response, enum reason_code code,
    const char *format, ...)
{
    struct buf sentence CLEANUP(buf_done) = BUF_INIT(8 * 1024);
    va_list args;
    va_start(args, format);
    buf_vprintf(&sentence, format, args);
    va_end(args);
    const struct refusal refusal = {.code = code,
        .sentence = sentence.failed ? NULL : arena_dup(request->arena, buf_cstr(&sentence))};
    response_refuse(request, response, &refusal);
}

void
response_refuse_code(struct request *request, struct response *response, enum reason_code code)
{
    const struct refusal refusal = {.code = code};
    response_refuse(request, response, &refusal);
}

void
response_verdict(
    struct request *request, struct response *response, const struct policy_verdict *verdict)
{
    const struct refusal refusal = {
        .code = verdict->code,
        .sentence = verdict->sentence,
        .who = verdict->who,
        .failures = &verdict->failures,
        .retry_after_s = verdict->code == REASON_PEOPLE_UNAVAILABLE ? 1 : 0,
    };
    response_refuse(request, response, &refusal);
}

enum reason_code
response_code_of(enum error_kind kind)
{
    if (kind == ERROR_STORAGE || kind == ERROR_CONFLICT) {
        return REASON_STORAGE;
    }
    bool upstream = kind == ERROR_UNAVAILABLE || kind == ERROR_REFUSED ||
                    kind == ERROR_CREDENTIALS || kind == ERROR_DENIED;
    return upstream ? REASON_UPSTREAM : REASON_INTERNAL;
}
