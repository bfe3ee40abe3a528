// The GitHub Actions job around us: its OIDC tokens (facts §3.1). Verifies no token: whoever
// receives it does.
#include "dispatcher/actions.h"

#include "dispatcher/json.h"
#include "dispatcher/retry.h"
#include "dispatcher/url.h"

// The toolkit of Actions tries up to ten times; five with doubling waits cover the same outages.
static const struct retry_policy oidc_policy = {.max_attempts = 5,
    .base_ms = 500,
    .throttle_base_ms = 1000,
    .cap_ms = 10 * 1000,
    .retry_after_cap_ms = 30 * 1000};

bool
actions_is_active(const struct platform *platform)
{
    return cstr_equal(env_get(platform, "GITHUB_ACTIONS"), "true");
}

bool
actions_has_oidc(const struct platform *platform)
{
    return env_get(platform, "ACTIONS_ID_TOKEN_REQUEST_URL") != NULL &&
           env_get(platform, "ACTIONS_ID_TOKEN_REQUEST_TOKEN") != NULL;
}

// Three base64url parts: whatever else came is nothing to show around.
static bool
is_jwt(struct str text)
{
    unsigned dots = 0;
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
        dots += byte == '.' ? 1 : 0;
        if (!letter && byte != '.') {
            return false;
        }
    }
    return dots == 2;
}

static struct error *
read_token(const struct http_response *response, struct secret **out)
{
    if (response->status != 200) {
        return error_remote(error_new(ERROR_CREDENTIALS, "the runner's OIDC service refused"),
            response->status, NULL, NULL, true);
    }
    struct json *body CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(buf_str(&response->body), &json_limits_default, &body);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "the runner's OIDC service");
    }
    const char *value = json_str(json_get(body, "value"));
    if (value == NULL || !is_jwt(str_of(value))) {
        return error_new(ERROR_CREDENTIALS, "the runner's OIDC service gave no token");
    }
    *out = secret_new(str_of(value));
    return NULL;
}

static struct error *
ask(const struct platform *platform, struct http_client *http, const char *audience,
    struct secret **out)
{
    struct buf url CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    buf_puts(&url, env_get(platform, "ACTIONS_ID_TOKEN_REQUEST_URL"));
    url_add_query(&url, "audience", audience);
    TRY(buf_finish(&url, "address of the runner's OIDC service"));
    struct secret *bearer CLEANUP(secret_freep) =
        secret_new(str_of(env_get(platform, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")));
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add_secret(&headers, "Authorization", "bearer ", bearer);
    http_headers_add(&headers, "Accept", "application/json; api-version=2.0");
    http_headers_add(&headers, "User-Agent", "dispatcher/" DISPATCHER_VERSION);
    struct http_request request = {
        .method = HTTP_GET, .url = buf_cstr(&url), .headers = &headers, .max_response = 64 * 1024};
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(http_send_retry(http, platform, &request, &oidc_policy, &response));
    return read_token(&response, out);
}

struct error *
actions_oidc_token(const struct platform *platform, struct http_client *http, const char *audience,
    struct secret **out)
{
    if (!actions_has_oidc(platform)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "this job may not ask for OIDC tokens"),
            "Give the job (or the workflow) 'permissions: id-token: write'.");
    }
    struct error *err = ask(platform, http, audience, out);
    if (err == NULL) {
        return NULL;
    }
    enum error_kind kind = error_kind(err) == ERROR_CANCELLED ? ERROR_CANCELLED : ERROR_CREDENTIALS;
    return error_wrap_as(kind, err, "OIDC token for audience '%s'", audience);
}
