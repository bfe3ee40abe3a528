// The instance metadata service (IMDS): credentials of the instance's role, and its region. Session
// tokens first (IMDSv2); without one only where the service does not know them. Most machines are
// no EC2 instance, so nothing waits longer than a second and absence is a value.
#include <string.h>
#include <strings.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum { ANSWER_MS = 1000, ANSWER_MAX = 64 * 1024, NAME_MAX_LENGTH = 512 };

static const char credentials_path[] = "iam/security-credentials/";

static const char *
setting(const struct aws_session *session, const char *variable, const char *key)
{
    const char *value = env_get(session->platform, variable);
    return value != NULL ? value : aws_profile_get(session, session->profile, key);
}

static struct error *
base_url(const struct aws_session *session, char **out)
{
    const char *custom =
        setting(session, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = setting(
        session, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
    if (custom == NULL) {
        bool six = mode != NULL && strcasecmp(mode, "IPv6") == 0;
        *out = xstrdup(six ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
        return NULL;
    }
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(custom, &url);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    }
    struct str base = str_of(custom);
    base.len -= str_ends(base, STR("/")) ? 1 : 0;
    *out = str_dup(base);
    return NULL;
}

static struct error *
ask(struct aws_session *session, enum http_method method, const char *url,
    const struct http_headers *headers, struct http_response *response)
{
    const struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .deadline_ms = clock_mono(session->platform->clock) + ANSWER_MS,
        .max_response = ANSWER_MAX,
        .allow_plain = true, // a link-local address, or the one that the user named
    };
    return http_send(session->http, &request, response);
}

struct imds {
    struct aws_session *session;
    char *base;
    struct secret *token; // NULL: version 1
    struct buf *why;
};

static void
imds_done(struct imds *imds)
{
    xfreep(&imds->base);
    secret_free(imds->token);
}

/// No answer at all means no instance; *absent says so. Only cancelling is an error.
static struct error *
take_absence(struct imds *imds, struct error *err, bool *absent)
{
    if (error_kind(err) == ERROR_CANCELLED) {
        return err;
    }
    buf_puts(imds->why, "no instance metadata service answers");
    error_free(err);
    *absent = true;
    return NULL;
}

static struct error *
forbid_version_1(struct imds *imds, bool *absent)
{
    if (aws_flag(imds->session, "AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")) {
        buf_puts(
            imds->why, "the instance metadata service gave no session token, and version 1 is off");
        *absent = true;
    }
    return NULL;
}

// A container on a bridge sees the question go out and the answer dropped (hop limit 1): a time-out
// after sending is a reason for version 1, a connection that never opened is not.
static struct error *
get_token(struct imds *imds, bool *absent)
{
    char *url CLEANUP(xfreep) = xasprintf("%s/latest/api/token", imds->base);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    http_headers_add(&headers, "x-aws-ec2-metadata-token-ttl-seconds", "21600");
    struct error *err = ask(imds->session, HTTP_PUT, url, &headers, &response);
    if (err != NULL &&
        !(error_kind(err) == ERROR_UNAVAILABLE && error_remote_of(err)->request_left)) {
        return take_absence(imds, err, absent);
    }
    if (err != NULL) {
        error_free(err);
        return forbid_version_1(imds, absent);
    }
    if (response.status == 403 || response.status == 404 || response.status == 405) {
        return forbid_version_1(imds, absent);
    }
    struct str token = str_trim(buf_str(&response.body));
    if (response.status != 200 || token.len == 0) {
        buf_printf(imds->why, "the instance metadata service answered HTTP %d", response.status);
        *absent = true;
        return NULL;
    }
    imds->token = secret_new(token);
    return NULL;
}

static struct error *
get_path(struct imds *imds, const char *path, bool *absent, struct http_response *response)
{
    char *url CLEANUP(xfreep) = xasprintf("%s/latest/meta-data/%s", imds->base, path);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    if (imds->token != NULL) {
        http_headers_add_secret(&headers, "x-aws-ec2-metadata-token", "", imds->token);
    }
    struct error *err = ask(imds->session, HTTP_GET, url, &headers, response);
    if (err != NULL) {
        return take_absence(imds, err, absent);
    }
    if (response->status != 200 || response->body.len == 0) {
        buf_printf(imds->why, "the instance metadata service has no '%s' (HTTP %d)", path,
            response->status);
        *absent = true;
    }
    return NULL;
}

static struct error *
begin(struct imds *imds, bool *absent)
{
    if (aws_flag(imds->session, "AWS_EC2_METADATA_DISABLED", NULL)) {
        buf_puts(imds->why, "AWS_EC2_METADATA_DISABLED is true");
        *absent = true;
        return NULL;
    }
    TRY(base_url(imds->session, &imds->base));
    return get_token(imds, absent);
}

struct error *
aws_instance_metadata(struct aws_session *session, const char *path, struct buf *why, char **out)
{
    struct imds imds CLEANUP(imds_done) = {.session = session, .why = why};
    struct http_response response CLEANUP(http_response_done) = {0};
    bool absent = false;
    TRY(begin(&imds, &absent));
    if (!absent) {
        TRY(get_path(&imds, path, &absent, &response));
    }
    *out = absent ? NULL : str_dup(str_trim(buf_str(&response.body)));
    return NULL;
}

/// The role's name becomes part of a path.
static bool
is_role_name(struct str name)
{
    char *text CLEANUP(xfreep) = str_dup(name);
    return name.len > 0 && name.len <= NAME_MAX_LENGTH && strlen(text) == name.len &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-") ==
               name.len;
}

static struct error *
get_role_path(struct imds *imds, bool *absent, char **out)
{
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(get_path(imds, credentials_path, absent, &response));
    struct str name, rest;
    if (*absent) {
        return NULL;
    }
    if (!str_cut(buf_str(&response.body), '\n', &name, &rest) || !is_role_name(str_trim(name))) {
        buf_puts(imds->why, "the instance metadata service names no role");
        *absent = true;
        return NULL;
    }
    *out = xasprintf("%s%.*s", credentials_path, STR_FMT(str_trim(name)));
    return NULL;
}

struct error *
aws_load_instance(const struct aws_load *load, struct aws_credentials *out)
{
    struct imds imds CLEANUP(imds_done) = {.session = load->session, .why = load->why};
    struct http_response response CLEANUP(http_response_done) = {0};
    char *path CLEANUP(xfreep) = NULL;
    bool absent = false;
    TRY(begin(&imds, &absent));
    if (!absent) {
        TRY(get_role_path(&imds, &absent, &path));
    }
    if (!absent) {
        TRY(get_path(&imds, path, &absent, &response));
    }
    return absent ? NULL
                  : aws_credentials_from_json(
                        buf_str(&response.body), "Token", "the instance metadata service", out);
}
