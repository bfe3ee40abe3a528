// Credentials by the cached token of 'aws sso login', for both kinds of profile (a named
// sso-session, or the older keys in the profile itself). Never signs anybody in and renews no
// token: a person does that.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum { TOKEN_FILE_MAX = 64 * 1024, ANSWER_MS = 10 * 1000, ANSWER_MAX = 64 * 1024 };

struct sso_profile {
    const char *session; // NULL: the older kind
    const char *start_url, *region, *account, *role;
};

static struct error *
login_hint(struct error *err, const char *profile)
{
    return error_hint(err, "Run 'aws sso login --profile %s'.", profile);
}

static const char *
setting(const struct aws_load *load, const char *session, const char *key)
{
    const char *value = NULL;
    if (session != NULL) {
        value = aws_ini_get(load->session->config, AWS_SECTION_SSO_SESSION, session, NULL, key);
    }
    return value != NULL ? value : aws_profile_get(load->session, load->profile, key);
}

static struct error *
check_session(const struct aws_load *load, const char *session)
{
    const struct aws_ini *config = load->session->config;
    static const char *const keys[] = {"sso_start_url", "sso_region"};
    if (!aws_ini_has(config, AWS_SECTION_SSO_SESSION, session)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "profile '%s': there is no sso-session '%s'",
                              load->profile, session),
            "Add the section '[sso-session %s]' to the AWS config file.", session);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        const char *own = aws_profile_get(load->session, load->profile, keys[i]);
        const char *shared = aws_ini_get(config, AWS_SECTION_SSO_SESSION, session, NULL, keys[i]);
        if (own != NULL && shared != NULL && strcmp(own, shared) != 0) {
            return error_hint(
                error_new(ERROR_CREDENTIALS, "profile '%s' and sso-session '%s' differ in '%s'",
                    load->profile, session, keys[i]),
                "Remove the key from the profile.");
        }
    }
    return NULL;
}

static struct error *
read_profile(const struct aws_load *load, struct sso_profile *out)
{
    const char *profile = load->profile;
    out->session = aws_profile_get(load->session, profile, "sso_session");
    if (out->session != NULL) {
        TRY(check_session(load, out->session));
    }
    const struct {
        const char *key, **slot;
    } wanted[] = {
        {"sso_start_url", &out->start_url},
        {"sso_region", &out->region},
        {"sso_account_id", &out->account},
        {"sso_role_name", &out->role},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        *wanted[i].slot = setting(load, out->session, wanted[i].key);
        if (*wanted[i].slot == NULL) {
            return error_hint(error_new(ERROR_CREDENTIALS, "profile '%s' lacks '%s' for SSO",
                                  profile, wanted[i].key),
                "Run 'aws configure sso'.");
        }
    }
    return aws_region_check(out->region, "'sso_region'");
}

static struct error *
read_token_file(const struct aws_load *load, const struct sso_profile *sso, struct buf *out)
{
    const char *home = env_get(load->session->platform, "HOME");
    const char *name = sso->session != NULL ? sso->session : sso->start_url;
    char hash[41];
    sha1_hex(str_of(name), hash);
    char *path CLEANUP(xfreep) =
        xasprintf("%s/.aws/sso/cache/%s.json", home != NULL ? home : "", hash);
    bool found = false;
    struct error *err = file_read(path, out, &found);
    if (err == NULL && !found) {
        err = error_new(ERROR_CREDENTIALS, "nobody has signed in to '%s' here", name);
    }
    return err != NULL
               ? login_hint(error_wrap_as(ERROR_CREDENTIALS, err, "SSO token"), load->profile)
               : NULL;
}

static struct error *
read_token(const struct aws_load *load, const struct sso_profile *sso, struct secret **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_FILE_MAX);
    struct json *doc CLEANUP(json_freep) = NULL;
    int64_t expires_ms = 0;
    TRY(read_token_file(load, sso, &text));
    struct error *err = json_parse(buf_str(&text), &json_limits_default, &doc);
    const char *token = json_str(json_get(doc, "accessToken"));
    const char *expiry = json_str(json_get(doc, "expiresAt"));
    if (err == NULL &&
        (token == NULL || expiry == NULL || !clock_parse_rfc3339(expiry, &expires_ms))) {
        err = error_new(ERROR_CREDENTIALS, "'accessToken' or 'expiresAt' is missing");
    }
    if (err != NULL) {
        err = error_wrap_as(
            ERROR_CREDENTIALS, err, "cached SSO token of profile '%s'", load->profile);
        return login_hint(err, load->profile);
    }
    if (expires_ms <= aws_wall_ms(load->session)) {
        err = error_new(ERROR_CREDENTIALS, "the SSO sign-in of profile '%s' expired at %s",
            load->profile, expiry);
        return login_hint(err, load->profile);
    }
    *out = secret_new(str_of(token));
    return NULL;
}

static struct error *
ask_portal(const struct aws_load *load, const struct sso_profile *sso, const struct secret *token,
    struct http_response *response)
{
    struct aws_session *session = load->session;
    char *base CLEANUP(xfreep) = NULL;
    struct buf url CLEANUP(buf_done) = BUF_INIT(8192);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    TRY(aws_endpoint_in(session, "sso", sso->region, &base));
    buf_printf(&url, "%s/federation/credentials", base);
    url_add_query(&url, "role_name", sso->role);
    url_add_query(&url, "account_id", sso->account);
    TRY(buf_finish(&url, "SSO portal address"));
    http_headers_add_secret(&headers, "x-amz-sso_bearer_token", "", token);
    const struct http_request request = {
        .method = HTTP_GET,
        .url = buf_cstr(&url),
        .headers = &headers,
        .deadline_ms = clock_mono(session->platform->clock) + ANSWER_MS,
        .max_response = ANSWER_MAX,
    };
    return http_send_retry(session->http, session->platform, &request, &retry_read, response);
}

static struct error *
read_answer(const struct aws_load *load, const struct sso_profile *sso,
    const struct http_response *response, struct aws_credentials *out)
{
    struct json *doc CLEANUP(json_freep) = NULL;
    TRY(json_parse(buf_str(&response->body), &json_limits_default, &doc));
    const struct json *role = json_get(doc, "roleCredentials");
    const char *key = json_str(json_get(role, "accessKeyId"));
    const char *secret = json_str(json_get(role, "secretAccessKey"));
    const char *token = json_str(json_get(role, "sessionToken"));
    if (key == NULL || secret == NULL || token == NULL) {
        return error_new(ERROR_UNAVAILABLE,
            "unusable answer: no keys for role '%s' in profile '%s'", sso->role, load->profile);
    }
    out->access_key = xstrdup(key);
    out->secret_key = secret_new(str_of(secret));
    out->session_token = secret_new(str_of(token));
    out->expires_ms = json_int(json_get(role, "expiration"), 0);
    out->account = xstrdup(sso->account);
    return NULL;
}

static struct error *
refused(const struct aws_load *load, const struct sso_profile *sso,
    const struct http_response *response)
{
    const struct aws_request what = {.service = "sso", .operation = "GetRoleCredentials"};
    struct aws_fault fault CLEANUP(aws_fault_done) = {0};
    aws_fault_read(response, &fault);
    struct error *err = aws_fault_error(&fault, &what);
    if (response->status >= 400 && response->status < 500) {
        err = error_wrap_as(
            ERROR_CREDENTIALS, err, "role '%s' of account '%s' by SSO", sso->role, sso->account);
    }
    return response->status == 401 ? login_hint(err, load->profile) : err;
}

struct error *
aws_load_sso(const struct aws_load *load, struct aws_credentials *out)
{
    const struct aws_session *session = load->session;
    if (aws_profile_get(session, load->profile, "sso_account_id") == NULL &&
        aws_profile_get(session, load->profile, "sso_role_name") == NULL) {
        buf_printf(load->why, "profile '%s' has no sso_role_name", load->profile);
        return NULL;
    }
    struct sso_profile sso = {0};
    struct secret *token CLEANUP(secret_freep) = NULL;
    struct http_response response CLEANUP(http_response_done) = {0};
    TRY(read_profile(load, &sso));
    TRY(read_token(load, &sso, &token));
    TRY(ask_portal(load, &sso, token, &response));
    return response.status == 200 ? read_answer(load, &sso, &response, out)
                                  : refused(load, &sso, &response);
}
