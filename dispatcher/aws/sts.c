// Security Token Service: the query protocol with XML answers. AssumeRoleWithWebIdentity is sent
// without a signature (the token is the proof); the others are signed.
#include "dispatcher/sts.h"

#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum {
    FORM_MAX = 64 * 1024,
    ROLE_ARN_MIN = 20,
    ROLE_ARN_MAX = 2048,
    SESSION_NAME_MIN = 2,
    SESSION_NAME_MAX = 64,
    DURATION_MIN_S = 900,
    DURATION_MAX_S = 43200,
};

static const char default_session_name[] = "dispatcher";

static void
put_parameter(struct buf *form, const char *name, const char *value)
{
    if (value != NULL) {
        buf_printf(form, "&%s=", name);
        url_encode(str_of(value), "", form);
    }
}

static void
begin_form(struct buf *form, const char *action)
{
    buf_printf(form, "Action=%s&Version=2011-06-15", action);
}

static struct error *
send_form(struct aws_session *session, const struct aws_request *what, const struct buf *form,
    struct http_response *response)
{
    TRY(buf_finish(form, "STS request"));
    struct aws_request request = *what;
    request.service = "sts";
    request.content_type = "application/x-www-form-urlencoded; charset=utf-8";
    request.body = buf_str(form);
    request.idempotent = true;
    request.read = true;
    return aws_send(session, &request, response);
}

static struct error *
unusable(const struct aws_request *what, struct error *err)
{
    return error_wrap(err, "sts %s", what->operation);
}

/// Text at Root/Result/rest; absence is an error.
static struct error *
required_text(const struct aws_request *what, const struct http_response *response,
    const char *rest, char **out)
{
    char *path CLEANUP(xfreep) =
        xasprintf("%sResponse/%sResult/%s", what->operation, what->operation, rest);
    char *text CLEANUP(xfreep) = NULL;
    struct error *err = aws_xml_text(buf_str(&response->body), path, &text);
    if (err == NULL && (text == NULL || text[0] == '\0')) {
        err = error_new(ERROR_UNAVAILABLE, "unusable answer: no '%s' in it", path);
    }
    if (err != NULL) {
        return unusable(what, err);
    }
    *out = text;
    text = NULL;
    return NULL;
}

static bool
is_word(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-") ==
           strlen(text);
}

static struct error *
check_role_request(const struct aws_role_request *request)
{
    size_t arn = strlen(request->role_arn);
    size_t name = strlen(request->session_name);
    int64_t seconds = DURATION_MIN_S;
    if (strncmp(request->role_arn, "arn:", 4) != 0 || arn < ROLE_ARN_MIN || arn > ROLE_ARN_MAX) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "'%.200s' is not the ARN of a role", request->role_arn),
            "It reads like 'arn:aws:iam::012345678901:role/name'.");
    }
    if (name < SESSION_NAME_MIN || name > SESSION_NAME_MAX || !is_word(request->session_name)) {
        return error_hint(error_new(ERROR_CREDENTIALS, "'%.200s' is not a role session name",
                              request->session_name),
            "It has 2 to 64 letters, digits or '_+=,.@-'.");
    }
    if (request->duration_seconds != NULL &&
        (!str_to_int64(str_of(request->duration_seconds), &seconds) || seconds < DURATION_MIN_S ||
            seconds > DURATION_MAX_S)) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "'%.64s' is not a duration of a role session",
                request->duration_seconds),
            "'duration_seconds' is a number from 900 to 43200.");
    }
    return NULL;
}

static struct error *
read_expiry(const struct aws_request *what, const char *text, int64_t *out)
{
    if (!clock_parse_rfc3339(text, out)) {
        return unusable(
            what, error_new(ERROR_UNAVAILABLE, "unusable answer: '%.64s' is not a time", text));
    }
    return NULL;
}

/// "arn:aws:sts::012345678901:assumed-role/…": the fifth field; NULL when it is none.
static char *
account_of_arn(const char *arn)
{
    struct str field = {0}, rest = str_of(arn);
    for (int i = 0; i < 5; i++) {
        if (!str_cut(rest, ':', &field, &rest)) {
            return NULL;
        }
    }
    return field.len > 0 ? str_dup(field) : NULL;
}

static struct error *
read_role_answer(const struct aws_request *what, const struct http_response *response,
    struct aws_credentials *out)
{
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    char *secret CLEANUP(xfreep) = NULL;
    char *token CLEANUP(xfreep) = NULL;
    char *expiry CLEANUP(xfreep) = NULL;
    char *arn CLEANUP(xfreep) = NULL;
    TRY(required_text(what, response, "Credentials/AccessKeyId", &found.access_key));
    TRY(required_text(what, response, "Credentials/SecretAccessKey", &secret));
    found.secret_key = secret_new(str_of(secret));
    TRY(required_text(what, response, "Credentials/SessionToken", &token));
    found.session_token = secret_new(str_of(token));
    TRY(required_text(what, response, "Credentials/Expiration", &expiry));
    TRY(read_expiry(what, expiry, &found.expires_ms));
    TRY(required_text(what, response, "AssumedRoleUser/Arn", &arn));
    found.account = account_of_arn(arn);
    aws_credentials_move(out, &found);
    return NULL;
}

struct error *
aws_assume_role(
    struct aws_session *session, const struct aws_role_request *given, struct aws_credentials *out)
{
    struct aws_role_request role = *given;
    role.session_name = role.session_name != NULL ? role.session_name : default_session_name;
    TRY(check_role_request(&role));
    const struct aws_request what = {
        .operation = role.web_identity != NULL ? "AssumeRoleWithWebIdentity" : "AssumeRole",
        .is_unsigned = role.web_identity != NULL,
        .credentials = role.source,
    };
    struct buf form CLEANUP(buf_wipe) = BUF_INIT(FORM_MAX);
    begin_form(&form, what.operation);
    put_parameter(&form, "RoleArn", role.role_arn);
    put_parameter(&form, "RoleSessionName", role.session_name);
    put_parameter(&form, "ExternalId", role.external_id);
    put_parameter(&form, "DurationSeconds", role.duration_seconds);
    put_parameter(&form, "Policy", role.policy);
    if (role.web_identity != NULL) {
        put_parameter(&form, "WebIdentityToken", secret_expose(role.web_identity).ptr);
    }
    struct http_response response CLEANUP(http_response_done) = {0};
    struct error *err = send_form(session, &what, &form, &response);
    if (err == NULL) {
        err = read_role_answer(&what, &response, out);
    }
    return err != NULL ? error_wrap(err, "assume role '%s'", role.role_arn) : NULL;
}

struct error *
sts_narrowed_credentials(
    struct aws_session *session, const struct sts_narrowed *narrowed, struct aws_credentials *out)
{
    const struct aws_credentials *source = NULL;
    char *seconds CLEANUP(xfreep) = xasprintf("%d", narrowed->seconds);
    TRY(aws_credentials_get(session, &source));
    const struct aws_role_request request = {
        .role_arn = narrowed->role,
        .session_name = narrowed->session_name,
        .duration_seconds = seconds,
        .source = source,
        .policy = narrowed->policy,
    };
    return aws_assume_role(session, &request, out);
}

struct error *
sts_caller_identity(struct aws_session *session, struct arena *arena, struct sts_identity *out)
{
    const struct aws_request what = {.operation = "GetCallerIdentity"};
    struct buf form CLEANUP(buf_done) = BUF_INIT(FORM_MAX);
    begin_form(&form, what.operation);
    struct http_response response CLEANUP(http_response_done) = {0};
    char *account CLEANUP(xfreep) = NULL;
    char *arn CLEANUP(xfreep) = NULL;
    char *user CLEANUP(xfreep) = NULL;
    TRY(send_form(session, &what, &form, &response));
    TRY(required_text(&what, &response, "Account", &account));
    TRY(required_text(&what, &response, "Arn", &arn));
    TRY(required_text(&what, &response, "UserId", &user));
    *out = (struct sts_identity){
        .account = arena_dup(arena, account),
        .arn = arena_dup(arena, arn),
        .user_id = arena_dup(arena, user),
    };
    return NULL;
}
