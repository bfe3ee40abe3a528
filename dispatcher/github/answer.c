// What an answer of GitHub means, and the sentence that tells a person. Pure: sends nothing.
#include "dispatcher/text.h"
#include "github_internal.h"

enum { WORDS_MAX = 400 };

int64_t
github_header_number(const struct http_response *response, const char *name, int64_t fallback)
{
    int64_t number = fallback;
    (void)str_to_int64(str_of(http_headers_get(&response->headers, name)), &number);
    return number;
}

// The message of an error body, or NULL. Cleaned by nobody yet.
static const char *
message_of(const struct json *body)
{
    return json_is_object(body) ? json_str(json_get(body, "message")) : NULL;
}

static struct json *
error_body(const struct http_response *response)
{
    struct json *body = NULL;
    struct error *err = json_parse(buf_str(&response->body), &json_limits_default, &body);
    error_free(err); // no JSON: not GitHub's own answer, and that is all there is to know
    return body;
}

bool
github_explains(const struct http_response *response)
{
    struct json *body CLEANUP(json_freep) = error_body(response);
    return message_of(body) != NULL;
}

static bool
contains_nocase(const char *text, const char *needle)
{
    struct str rest = str_of(text), wanted = str_of(needle);
    for (; rest.len >= wanted.len; rest = str_skip(rest, 1)) {
        if (str_equal_nocase((struct str){rest.ptr, wanted.len}, wanted)) {
            return true;
        }
    }
    return false;
}

// Two kinds of 403: a limit that passes, and a missing permission that does not. A secondary limit
// without Retry-After can be told by its message only.
static bool
is_limited(const struct http_response *response)
{
    if (http_headers_get(&response->headers, "Retry-After") != NULL ||
        github_header_number(response, "x-ratelimit-remaining", -1) == 0) {
        return true;
    }
    struct json *body CLEANUP(json_freep) = error_body(response);
    const char *message = message_of(body);
    return message != NULL && (contains_nocase(message, "secondary rate limit") ||
                                  contains_nocase(message, "abuse detection") ||
                                  contains_nocase(message, "API rate limit exceeded"));
}

enum github_verdict
github_judge(const struct http_response *response)
{
    int status = response->status;
    switch (status) {
    case 304:
        return GITHUB_NOT_MODIFIED;
    case 301:
    case 302:
    case 307:
    case 308:
        return GITHUB_MOVED;
    case 400:
    case 410:
        return GITHUB_BAD_VERSION;
    case 401:
        return GITHUB_UNAUTHORIZED;
    case 403:
        return is_limited(response) ? GITHUB_LIMITED_NOW : GITHUB_FORBIDDEN;
    case 404: // of a proxy's 404 nothing follows
        return github_explains(response) ? GITHUB_ABSENT : GITHUB_STRANGE;
    case 408:
    case 425:
        return GITHUB_TRANSIENT;
    case 429:
        return GITHUB_LIMITED_NOW;
    default:
        break;
    }
    if (status >= 200 && status < 300) {
        return GITHUB_FINE;
    }
    if (status >= 500 && status < 600) {
        return GITHUB_TRANSIENT;
    }
    return status >= 400 && status < 500 ? GITHUB_REFUSED : GITHUB_STRANGE;
}

// "errors": [{"field": "ref", "code": "missing"}, "words", {"message": "words"}]
static void
add_details(const struct json *errors, struct buf *out)
{
    for (size_t i = 0; i < json_count(errors) && out->len < WORDS_MAX; i++) {
        const struct json *item = json_at(errors, i);
        const char *words = json_str(item) != NULL ? json_str(item) : message_of(item);
        if (words != NULL) {
            buf_printf(out, "%s%s", i == 0 ? ": " : ", ", words);
            continue;
        }
        const char *field = json_str(json_get(item, "field"));
        const char *code = json_str(json_get(item, "code"));
        if (field != NULL && code != NULL) {
            buf_printf(out, "%s'%s' %s", i == 0 ? ": " : ", ", field, code);
        }
    }
}

void
github_words(const struct http_response *response, struct buf *out)
{
    struct json *body CLEANUP(json_freep) = error_body(response);
    const char *message = message_of(body);
    if (message == NULL || message[0] == '\0') {
        buf_puts(out, "no explanation from GitHub");
        return;
    }
    struct buf raw CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    buf_puts(&raw, message);
    const struct json *errors = json_get(body, "errors");
    if (json_is_array(errors)) {
        add_details(errors, &raw);
    } else if (json_str(errors) != NULL) {
        buf_printf(&raw, ": %s", json_str(errors));
    }
    text_clean(buf_str(&raw), WORDS_MAX, out);
}

static enum error_kind
kind_of(enum github_verdict verdict)
{
    switch (verdict) {
    case GITHUB_UNAUTHORIZED:
    case GITHUB_FORBIDDEN:
        return ERROR_CREDENTIALS;
    case GITHUB_LIMITED_NOW:
    case GITHUB_TRANSIENT:
    case GITHUB_MOVED:
    case GITHUB_STRANGE:
    case GITHUB_NOT_MODIFIED:
    case GITHUB_FINE:
        return ERROR_UNAVAILABLE;
    case GITHUB_BAD_VERSION:
    case GITHUB_ABSENT:
    case GITHUB_REFUSED:
        break;
    }
    return ERROR_REFUSED;
}

static void
hint_forbidden(struct error *err, const struct github_client *client,
    const struct http_response *response, const char *needs)
{
    const char *accepted = http_headers_get(&response->headers, "X-Accepted-GitHub-Permissions");
    struct buf clean CLEANUP(buf_done) = BUF_INIT(1024);
    text_clean(str_of(accepted), 200, &clean);
    if (http_headers_get(&response->headers, "X-GitHub-SSO") != NULL) {
        error_hint(err, "The organization asks for single sign-on: authorize the token for it in "
                        "the settings of the account that made it.");
    } else if (client->purpose == GITHUB_FOR_REPORTS && needs != NULL) {
        error_hint(err,
            client->app_id != NULL
                ? "Give the App the repository permission '%s', and have an owner accept it."
                : "Give the job 'permissions: %s', or a token of your own that permission.",
            needs);
    } else if (clean.len > 0) {
        error_hint(err, "The token lacks a permission; GitHub asks for '%s'.", buf_cstr(&clean));
    } else if (needs != NULL) {
        error_hint(err, "The token lacks a permission; this call needs '%s'.", needs);
    } else {
        error_hint(err, "The token lacks a permission that this call needs.");
    }
}

static void
hint(struct error *err, const struct github_client *client, const struct http_response *response,
    const char *needs)
{
    switch (github_judge(response)) {
    case GITHUB_UNAUTHORIZED:
        error_hint(err, client->app_id != NULL
                            ? "GitHub refuses the App's credentials: check that the App's id and "
                              "private key belong together, and this machine's clock."
                            : "The token is expired, revoked or mistyped: make a new one.");
        break;
    case GITHUB_FORBIDDEN:
        hint_forbidden(err, client, response, needs);
        break;
    case GITHUB_ABSENT:
        error_hint(err,
            "It is not there, or the credentials may not see it: GitHub answers 404 to both. "
            "Check the name and that the token or App may use '%s'.",
            client->repository);
        break;
    case GITHUB_BAD_VERSION:
        error_hint(err,
            "The server may not know API version %s: GitHub Enterprise Server 3.9 or "
            "newer is needed.",
            client->version);
        break;
    case GITHUB_LIMITED_NOW:
        error_hint(err, "The quota of these credentials is used up for now; an App has one of its "
                        "own.");
        break;
    case GITHUB_FINE:
    case GITHUB_NOT_MODIFIED:
    case GITHUB_MOVED:
    case GITHUB_TRANSIENT:
    case GITHUB_REFUSED:
    case GITHUB_STRANGE:
        break;
    }
}

struct error *
github_answer_error(
    const struct github_client *client, const struct github_exchange *exchange, const char *needs)
{
    const struct http_response *response = &exchange->response;
    struct buf what CLEANUP(buf_done) = BUF_INIT(8192);
    struct buf words CLEANUP(buf_done) = BUF_INIT(4096);
    http_describe(&exchange->request, &what);
    github_words(response, &words);
    struct error *err =
        error_new(kind_of(github_judge(response)), "%s: %s", buf_cstr(&what), buf_cstr(&words));
    struct buf id CLEANUP(buf_done) = BUF_INIT(256);
    text_clean(str_of(http_headers_get(&response->headers, "X-GitHub-Request-Id")), 80, &id);
    error_remote(err, response->status, NULL, id.len > 0 ? buf_cstr(&id) : NULL, true);
    hint(err, client, response, needs);
    return err;
}
