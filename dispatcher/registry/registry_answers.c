// What answers of a registry mean in words: its error documents, and where uploads go on.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"
#include "registry_internal.h"

enum { MESSAGE_MAX = 300, CODE_MAX = 60 };

// errors[0] of the error document (OCI distribution 1.1, "Error Codes"); empty when there is none.
static void
read_error(const struct http_response *response, struct buf *code, struct buf *message)
{
    static const struct json_limits limits = {256 * 1024, 32};
    struct json *json CLEANUP(json_freep) = NULL;
    if (response->body.len == 0) {
        return;
    }
    struct error *err = json_parse(buf_str(&response->body), &limits, &json);
    if (err != NULL) {
        error_free(err); // a proxy's page, or nothing of use
        return;
    }
    const struct json *first = json_at(json_get(json, "errors"), 0);
    text_clean(str_of(json_str(json_get(first, "code"))), CODE_MAX, code);
    text_clean(str_of(json_str(json_get(first, "message"))), MESSAGE_MAX, message);
}

char *
registry_error_code(const struct http_response *response)
{
    struct buf code CLEANUP(buf_done) = BUF_INIT(4 * CODE_MAX);
    struct buf message CLEANUP(buf_done) = BUF_INIT(4 * MESSAGE_MAX);
    read_error(response, &code, &message);
    return buf_take(&code);
}

static enum error_kind
kind_of(int status)
{
    if (status == 401 || status == 403) {
        return ERROR_CREDENTIALS;
    }
    bool transient = status >= 500 || status == 408 || status == 425 || status == 429;
    return transient ? ERROR_UNAVAILABLE : ERROR_REFUSED;
}

static const char *
sentence_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } sentences[] = {
        {400, "the request was refused as invalid"},
        {401, "not logged in"},
        {403, "denied"},
        {404, "not found"},
        {405, "the registry does not allow this"},
        {409, "it conflicts with what is there"},
        {413, "it is too large for the registry"},
        {416, "the upload session is out of step"},
        {429, "too many requests"},
        {500, "the registry failed"},
        {502, "the registry's proxy got no answer"},
        {503, "the registry is not available"},
        {504, "the registry's proxy got no answer in time"},
        {507, "the registry has no space left"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(sentences); i++) {
        if (sentences[i].status == status) {
            return sentences[i].text;
        }
    }
    return status < 400 ? "an answer that does not fit" : "refused";
}

static struct error *
add_hint(const struct registry_client *client, struct error *err, int status, const char *code)
{
    if (strcmp(code, "NAME_UNKNOWN") == 0) {
        return error_hint(err, "Create the repository first; this registry does not do it itself.");
    }
    if (status == 401) {
        return error_hint(err, "Log in with: docker login %s.", client->host);
    }
    if (status == 403) {
        return error_hint(err,
            "The credentials must allow pull and push in this repository of '%s'.", client->host);
    }
    if (status == 413) {
        return error_hint(
            err, "A proxy in front of the registry may limit the size of a request body.");
    }
    if (strcmp(code, "MANIFEST_BLOB_UNKNOWN") == 0) {
        return error_hint(err, "The registry lost a part that it said it has; push again.");
    }
    return err;
}

static const char *
request_id(const struct http_response *response)
{
    static const char *const names[] = {"x-amzn-RequestId", "X-Request-Id", "X-Amz-Request-Id"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = http_headers_get(&response->headers, names[i]);
        if (value != NULL && strlen(value) <= 100) {
            return value;
        }
    }
    return NULL;
}

struct error *
registry_status_error(
    const struct registry_client *client, const char *what, const struct http_response *response)
{
    struct buf code CLEANUP(buf_done) = BUF_INIT(4 * CODE_MAX);
    struct buf message CLEANUP(buf_done) = BUF_INIT(4 * MESSAGE_MAX);
    int status = response->status;
    read_error(response, &code, &message);
    const char *said = message.len > 0 ? buf_cstr(&message)
                       : code.len > 0  ? buf_cstr(&code)
                                       : sentence_of(status);
    struct error *err = error_new(kind_of(status), "%s: %s", what, said);
    error_remote(err, status, code.len > 0 ? buf_cstr(&code) : NULL, request_id(response), true);
    return add_hint(client, err, status, buf_cstr(&code));
}

struct error *
registry_explain_head(struct registry_client *client, const struct registry_call *head,
    const char *what, const struct http_response *response)
{
    struct registry_call call = *head;
    struct http_response answer CLEANUP(http_response_done) = {0};
    call.method = HTTP_GET;
    call.single = true;
    struct error *err = registry_send(client, &call, &answer);
    if (err != NULL && error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    bool same = err == NULL && answer.status == response->status;
    error_free(err);
    return registry_status_error(client, what, same ? &answer : response);
}

// Answers that lead elsewhere, in words.
struct way {
    const char *step, *without; // "sends X on", and what went before
};
static const struct way to_upload = {"sends the upload on", "opened an upload"};
static const struct way to_blob = {"sends the download on", "redirected a download"};

static struct error *
refuse_location(
    const struct registry_client *client, const struct way *way, const struct url *target)
{
    if (target->has_user) {
        return error_new(ERROR_REFUSED, "registry '%s' %s to a URL with a user name in it",
            client->host, way->step);
    }
    return error_hint(
        error_new(ERROR_REFUSED, "registry '%s' %s to '%s://%s', which is not encrypted",
            client->host, way->step, target->scheme, target->host),
        "If that is the registry behind a TLS proxy, let the proxy set X-Forwarded-Proto and "
        "Host.");
}

static struct error *
resolve(const struct registry_client *client, const struct way *way, const char *request_url,
    const struct http_response *response, char **out, struct url *target)
{
    const char *location = http_headers_get(&response->headers, "Location");
    if (location == NULL) {
        return error_new(ERROR_UNAVAILABLE, "registry '%s' %s without saying where (no Location)",
            client->host, way->without);
    }
    struct error *err = url_resolve(request_url, location, out);
    if (err == NULL) {
        err = url_parse(*out, target);
    }
    return err != NULL ? error_wrap_as(ERROR_UNAVAILABLE, err,
                             "registry '%s' %s at an unusable Location", client->host, way->without)
                       : NULL;
}

static struct error *
find_way(const struct registry_client *client, const struct way *way, const char *request_url,
    const struct http_response *response, char **out, bool *foreign)
{
    struct url base CLEANUP(url_done) = {0}, target CLEANUP(url_done) = {0};
    char *resolved CLEANUP(xfreep) = NULL;
    TRY(resolve(client, way, request_url, response, &resolved, &target));
    TRY(url_parse(client->base, &base));
    bool same = url_same_origin(&base, &target);
    bool plain = strcmp(target.scheme, "http") == 0;
    bool local = client->is_loopback && url_host_is_loopback(target.host);
    if (target.has_user || (plain && !same && !local)) {
        return refuse_location(client, way, &target);
    }
    *foreign = !same;
    *out = resolved;
    resolved = NULL;
    return NULL;
}

struct error *
registry_location(const struct registry_client *client, const char *request_url,
    const struct http_response *response, char **out, bool *foreign)
{
    return find_way(client, &to_upload, request_url, response, out, foreign);
}

struct error *
registry_redirect(const struct registry_client *client, const char *request_url,
    const struct http_response *response, char **out, bool *foreign)
{
    return find_way(client, &to_blob, request_url, response, out, foreign);
}
