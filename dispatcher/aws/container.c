// Credentials from the container's endpoint (ECS tasks, EKS pod identity). Where it is comes from
// the environment, so the host is checked: plain http only to loopback and to the fixed addresses.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"
#include "dispatcher/url.h"

enum {
    ANSWER_MS = 2 * 1000,
    TRIES = 3,
    PAUSE_MS = 1000,
    ANSWER_MAX = 64 * 1024,
    TOKEN_MAX = 16 * 1024,
};

static const char source[] = "the container's credential endpoint";

static bool
host_is_allowed(const struct url *url)
{
    static const char *const fixed[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
    if (strcmp(url->scheme, "https") == 0 || url_host_is_loopback(url->host)) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++) {
        if (strcmp(url->host, fixed[i]) == 0) {
            return true;
        }
    }
    return false;
}

static struct error *
check_url(const char *text)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(text, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    }
    if (url.has_user || !host_is_allowed(&url)) {
        err = error_new(ERROR_CREDENTIALS, "credentials are not fetched from '%s://%.200s'",
            url.scheme, url.host);
        return error_hint(err, "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http on "
                               "loopback, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23].");
    }
    return NULL;
}

/// The value of the Authorization header; *out NULL when there is none.
static struct error *
get_token(const struct platform *platform, struct secret **out)
{
    const char *path = env_get(platform, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *direct = env_get(platform, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    if (path != NULL) {
        struct error *err = file_read(path, &text, NULL);
        if (err != NULL) {
            return error_wrap_as(ERROR_CREDENTIALS, err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        }
    } else if (direct != NULL) {
        buf_puts(&text, direct);
    } else {
        return NULL;
    }
    struct str token = buf_str(&text);
    if (text.failed || token.len == 0 || memchr(token.ptr, '\r', token.len) != NULL ||
        memchr(token.ptr, '\n', token.len) != NULL || memchr(token.ptr, '\0', token.len) != NULL) {
        struct error *err =
            error_new(ERROR_CREDENTIALS, "the container's authorization token is %s",
                token.len == 0 ? "empty" : "not one line of text");
        return error_hint(err, "Remove line ends from %s.",
            path != NULL ? path : "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    }
    *out = secret_new(token);
    return NULL;
}

static struct error *
ask_once(struct aws_session *session, const char *url, const struct secret *token,
    struct http_response *response)
{
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    http_headers_add(&headers, "Accept", "application/json");
    if (token != NULL) {
        http_headers_add_secret(&headers, "Authorization", "", token);
    }
    const struct http_request request = {
        .method = HTTP_GET,
        .url = url,
        .headers = &headers,
        .deadline_ms = clock_mono(session->platform->clock) + ANSWER_MS,
        .max_response = ANSWER_MAX,
        .allow_plain = true, // the host was checked
    };
    TRY(http_send(session->http, &request, response));
    if (response->status == 200) {
        return NULL;
    }
    struct buf said CLEANUP(buf_done) = BUF_INIT(512);
    text_clean(buf_str(&response->body), 200, &said);
    struct error *err = error_new(ERROR_CREDENTIALS, "%s refused: %s", source, buf_cstr(&said));
    return error_remote(err, response->status, NULL, NULL, true);
}

static struct error *
ask(struct aws_session *session, const char *url, const struct secret *token,
    struct http_response *response)
{
    const struct platform *platform = session->platform;
    for (unsigned attempt = 1;; attempt++) {
        struct error *err = ask_once(session, url, token, response);
        if (err == NULL) {
            return NULL;
        }
        if (attempt == TRIES || error_kind(err) == ERROR_CANCELLED) {
            return error_kind(err) == ERROR_CANCELLED
                       ? err
                       : error_wrap_as(ERROR_CREDENTIALS, err, "%u attempts", attempt);
        }
        error_free(err);
        http_response_done(response);
        TRY(clock_sleep_until(
            platform->clock, clock_mono(platform->clock) + PAUSE_MS, platform->cancel));
    }
}

struct error *
aws_load_container(const struct aws_load *load, struct aws_credentials *out)
{
    struct aws_session *session = load->session;
    const struct platform *platform = session->platform;
    const char *relative = env_get(platform, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = env_get(platform, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative == NULL && full == NULL) {
        buf_puts(load->why, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not set");
        return NULL;
    }
    char *url CLEANUP(xfreep) = relative != NULL ? xasprintf("http://169.254.170.2%s%s",
                                                       relative[0] == '/' ? "" : "/", relative)
                                                 : xstrdup(full);
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(check_url(url));
    TRY(get_token(platform, &token));
    TRY(ask(session, url, token, &response));
    return aws_credentials_from_json(buf_str(&response.body), "Token", source, out);
}
