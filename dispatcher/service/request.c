// What a handler reads of its request: parameters, headers, cookies, fields, the body as JSON.
// Decides nothing but what is malformed.
#include "request_internal.h"

#include <string.h>

#include "dispatcher/memory.h"

static const char *
find_exact(const struct pair_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].key, name) == 0) {
            return list->items[i].value;
        }
    }
    return NULL;
}

const char *
request_param(const struct request *request, const char *name)
{
    const char *value = find_exact(&request->params, name);
    BUG_ON(value == NULL); // the pattern of the route has it
    return value;
}

const char *
request_query(const struct request *request, const char *name)
{
    return find_exact(&request->query, name);
}

const char *
request_header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->headers.count; i++) {
        if (str_equal_nocase(str_of(request->headers.items[i].key), str_of(name))) {
            return request->headers.items[i].value;
        }
    }
    return NULL;
}

const char *
request_cookie(struct request *request, const char *name)
{
    struct str piece = {0}, rest = str_of(request_header(request, "Cookie"));
    while (str_cut(rest, ';', &piece, &rest)) {
        struct str key = {0}, value = {0};
        (void)str_cut(str_trim(piece), '=', &key, &value);
        if (str_equal(key, str_of(name))) {
            return arena_str(request->arena, value);
        }
    }
    return NULL;
}

const char *
request_field(struct request *request, const char *name)
{
    struct pair_list fields = {0};
    return request_pairs(request->form, request->arena, &fields) ? find_exact(&fields, name) : NULL;
}

// "text/csv;q=0.5" → 500; what is no number counts as 1.
static int
weight_of(struct str parameters)
{
    struct str piece = {0}, rest = parameters;
    while (str_cut(rest, ';', &piece, &rest)) {
        struct str name = {0}, value = {0};
        (void)str_cut(str_trim(piece), '=', &name, &value);
        if (str_equal_nocase(name, STR("q")) && value.len >= 1) {
            int digits[3] = {0};
            for (size_t i = 2; i < value.len && i < 5; i++) {
                digits[i - 2] = value.ptr[i] >= '0' && value.ptr[i] <= '9' ? value.ptr[i] - '0' : 0;
            }
            return value.ptr[0] == '1' ? 1000 : digits[0] * 100 + digits[1] * 10 + digits[2];
        }
    }
    return 1000;
}

bool
request_accepts(const struct request *request, const char *type)
{
    struct str piece = {0}, rest = str_of(request_header(request, "Accept"));
    int wanted = -1, json = -1;
    while (str_cut(rest, ',', &piece, &rest)) {
        struct str name = {0}, parameters = {0};
        (void)str_cut(str_trim(piece), ';', &name, &parameters);
        name = str_trim(name);
        if (str_equal_nocase(name, str_of(type))) {
            wanted = weight_of(parameters);
        } else if (str_equal_nocase(name, STR("application/json"))) {
            json = weight_of(parameters);
        }
    }
    return wanted > 0 && wanted > json;
}

static bool
is_json_type(const char *type)
{
    struct str name = {0}, rest = {0};
    (void)str_cut(str_of(type), ';', &name, &rest);
    return str_equal_nocase(str_trim(name), STR("application/json"));
}

bool
request_json(struct request *request, struct response *response, struct json **out)
{
    const struct json_limits limits = {1024 * 1024, 32};
    struct json *body = NULL;
    const char *type = request_header(request, "Content-Type");
    if (request->body.len == 0) {
        *out = json_make_object();
        return true;
    }
    if (type != NULL && !is_json_type(type)) {
        response_refusef(request, response, REASON_REQUEST,
            "the body is to be application/json, not '%s'", type);
        return false;
    }
    struct error *err CLEANUP(error_freep) = json_parse(request->body, &limits, &body);
    if (err != NULL || !json_is_object(body)) {
        json_free(body);
        response_refusef(request, response, REASON_REQUEST, "the body is no JSON object");
        return false;
    }
    *out = body;
    return true;
}

// W3C Trace Context: version 00 exactly, nothing all zeros.
bool
request_traceparent_is_valid(const char *text)
{
    static const size_t dashes[] = {2, 35, 52};
    if (text == NULL || strlen(text) != 55 || strncmp(text, "00-", 3) != 0) {
        return false;
    }
    for (size_t i = 0; i < 55; i++) {
        bool dash = i == dashes[0] || i == dashes[1] || i == dashes[2];
        if (dash ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL) {
            return false;
        }
    }
    return strspn(text + 3, "0") < 32 && strspn(text + 36, "0") < 16;
}

bool
request_id_is_valid(const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    return len >= 8 && len <= 64 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == len;
}
