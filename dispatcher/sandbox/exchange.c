// One request taken apart and one response put together; no sockets, no state.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "dispatcher/memory.h"
#include "sandbox_internal.h"

enum { BODY_MAX = 64 * 1024 * 1024, PARTS_MAX = 64 };

int64_t
sandbox_now(const struct sandbox *sandbox)
{
    return clock_wall(sandbox->platform->clock);
}

char *
sandbox_random(const struct sandbox *sandbox, struct arena *arena, size_t count)
{
    char *text = arena_alloc(arena, 2 * count + 1);
    random_hex(sandbox->platform->random, count, text);
    return text;
}

const char *
sandbox_request_header(const struct sandbox_request *request, const char *name)
{
    return http_headers_get(&request->headers, name);
}

static int
hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static char *
decode(struct arena *arena, struct str text, bool plus_is_space)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
            hex_digit(text.ptr[i + 2]) >= 0) {
            byte = (char)(hex_digit(text.ptr[i + 1]) * 16 + hex_digit(text.ptr[i + 2]));
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (byte != '\0') {
            out[len++] = byte;
        }
    }
    return out;
}

const char *
sandbox_form_value(struct arena *arena, struct str form, const char *name)
{
    struct str pair = {0}, key = {0}, value = {0};
    while (str_cut(form, '&', &pair, &form)) {
        if (str_cut(pair, '=', &key, &value) && strcmp(decode(arena, key, true), name) == 0) {
            return decode(arena, value, true);
        }
    }
    return NULL;
}

const char *
sandbox_request_query(const struct sandbox_request *request, const char *name)
{
    return sandbox_form_value(request->arena, str_of(request->query), name);
}

void
sandbox_request_split(struct sandbox_request *request)
{
    struct str path = {0}, query = {0}, part = {0};
    (void)str_cut(str_of(request->target), '?', &path, &query);
    request->path = arena_str(request->arena, path);
    request->query = arena_str(request->arena, query);
    const char **parts = arena_array(request->arena, PARTS_MAX, sizeof(*parts));
    while (request->part_count < PARTS_MAX && str_cut(path, '/', &part, &path)) {
        if (part.len > 0) {
            parts[request->part_count++] = decode(request->arena, part, false);
        }
    }
    request->parts = parts;
}

const char *
sandbox_request_rest(const struct sandbox_request *request, size_t from)
{
    struct buf rest CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    for (size_t i = from; i < request->part_count; i++) {
        buf_puts(&rest, i > from ? "/" : "");
        buf_puts(&rest, request->parts[i]);
    }
    return arena_str(request->arena, buf_str(&rest));
}

bool
sandbox_request_is(const struct sandbox_request *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

bool
sandbox_request_match(const struct sandbox_request *request, size_t from, const char *pattern)
{
    struct str part = {0}, rest = str_of(pattern);
    size_t at = from;
    while (str_cut(rest, '/', &part, &rest)) {
        if (at >= request->part_count ||
            (!str_equal(part, STR(":")) && !str_equal(part, str_of(request->parts[at])))) {
            return false;
        }
        at++;
    }
    return at == request->part_count;
}

const char *
sandbox_request_bearer(const struct sandbox_request *request)
{
    const char *value = sandbox_request_header(request, "Authorization");
    if (value == NULL) {
        return NULL;
    }
    if (strncasecmp(value, "bearer ", 7) == 0) {
        return value + 7;
    }
    return strncasecmp(value, "token ", 6) == 0 ? value + 6 : NULL;
}

struct json *
sandbox_request_json(const struct sandbox_request *request)
{
    struct json *body = NULL;
    struct error *err = json_parse(buf_str(&request->body), &json_limits_default, &body);
    if (err != NULL || !json_is_object(body)) {
        error_free(err);
        json_free(body);
        return NULL;
    }
    return body;
}

void
sandbox_request_done(struct sandbox_request *request)
{
    if (request->spool != NULL) {
        (void)unlink(request->spool);
        free(request->spool);
    }
    http_headers_done(&request->headers);
    buf_done(&request->body);
    arena_free(request->arena);
}

void
sandbox_reply_header(struct sandbox_response *response, const char *name, const char *value)
{
    http_headers_add(&response->headers, name, value);
}

void
sandbox_reply_text(struct sandbox_response *response, int status, const char *type, struct str text)
{
    response->status = status;
    buf_done(&response->body);
    buf_init(&response->body, BODY_MAX);
    buf_add(&response->body, text);
    if (type != NULL) {
        sandbox_reply_header(response, "Content-Type", type);
    }
}

void
sandbox_reply_json(struct sandbox_response *response, int status, struct json *body)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    json_print(body, false, &text);
    json_free(body);
    sandbox_reply_text(response, status, "application/json; charset=utf-8", buf_str(&text));
}

void
sandbox_reply_problem(struct sandbox_response *response, int status, const char *format, ...)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(BODY_MAX);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    struct json *body = json_make_object();
    json_set_str(body, "message", buf_cstr(&text));
    sandbox_reply_json(response, status, body);
}

void
sandbox_response_done(struct sandbox_response *response)
{
    http_headers_done(&response->headers);
    buf_done(&response->body);
    free(response->file);
    response->file = NULL;
}

void
sandbox_reply_reset(struct sandbox_response *response)
{
    sandbox_response_done(response);
    *response = (struct sandbox_response){0};
}

void
sandbox_format_http_date(int64_t wall_ms, char out[30])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm at = {0};
    (void)gmtime_r(&seconds, &at);
    struct buf text CLEANUP(buf_done) = BUF_INIT(64);
    buf_printf(&text, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[at.tm_wday % 7], at.tm_mday,
        months[at.tm_mon % 12], at.tm_year + 1900, at.tm_hour, at.tm_min, at.tm_sec);
    size_t len = text.len < 29 ? text.len : 29;
    memcpy(out, buf_cstr(&text), len);
    out[len] = '\0';
}
