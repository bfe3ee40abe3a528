// AssumeRoleWithWebIdentity: the job's OIDC token with the role of the spec, or a token file as EKS
// and others provide it. The token is fetched anew for each renewal and is nowhere kept.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/text.h"

enum { TOKEN_MAX = 20000, CLAIM_MAX = 200 }; // STS takes tokens of 4 to 20000 bytes

static const char audience[] = "sts.amazonaws.com";

/// The token's subject for a message; it is what a trust policy has to match. NULL when unreadable.
static char *
subject_of(const struct secret *token)
{
    struct str head, rest, payload;
    if (!str_cut(secret_expose(token), '.', &head, &rest) || !str_cut(rest, '.', &payload, &rest)) {
        return NULL;
    }
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    struct json *claims CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) = base64url_decode(payload, &text);
    if (err == NULL) {
        err = json_parse(buf_str(&text), &json_limits_default, &claims);
    }
    const char *subject = err == NULL ? json_str(json_get(claims, "sub")) : NULL;
    if (subject == NULL) {
        return NULL;
    }
    struct buf clean CLEANUP(buf_done) = BUF_INIT(CLAIM_MAX + 8);
    text_clean(str_of(subject), CLAIM_MAX, &clean);
    return buf_take(&clean);
}

static bool
has_code(const struct error *err, const char *code)
{
    const char *actual = error_remote_of(err)->code;
    return actual != NULL && strcmp(actual, code) == 0;
}

static struct error *
explain_refusal(struct error *err, const char *role_arn, const struct secret *token)
{
    if (has_code(err, "AccessDenied")) {
        char *subject CLEANUP(xfreep) = subject_of(token);
        const char *quote = subject != NULL ? "'" : "";
        return error_hint(err,
            "The trust policy of '%s' must allow the subject %s%s%s and the audience '%s'.",
            role_arn, quote, subject != NULL ? subject : "of the token", quote, audience);
    }
    if (has_code(err, "InvalidIdentityToken")) {
        return error_hint(err,
            "The account of '%s' needs an IAM OIDC provider for the token's issuer, with the "
            "audience '%s'.",
            role_arn, audience);
    }
    return err;
}

// Where a token comes from; called again when STS says that it has expired.
struct token_place {
    const struct aws_session *session;
    const char *path; // NULL: the job's OIDC issuer
};

static struct error *
get_token(const struct token_place *place, struct secret **out)
{
    if (place->path == NULL) {
        return place->session->oidc.token(place->session->oidc.ctx, audience, out);
    }
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    struct error *err = file_read(place->path, &text, NULL);
    struct str token = str_trim(buf_str(&text));
    if (err == NULL && token.len == 0) {
        err = error_new(ERROR_CREDENTIALS, "'%s' is empty", place->path);
    }
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "web identity token");
    }
    *out = secret_new(token);
    return NULL;
}

static struct error *
assume_once(const struct token_place *place, struct aws_session *session,
    struct aws_role_request *request, struct aws_credentials *out)
{
    struct secret *token CLEANUP(secret_freep) = NULL;
    TRY(get_token(place, &token));
    request->web_identity = token;
    struct error *err = aws_assume_role(session, request, out);
    request->web_identity = NULL;
    return err != NULL ? explain_refusal(err, request->role_arn, token) : NULL;
}

static struct error *
assume(const struct token_place *place, struct aws_session *session,
    struct aws_role_request *request, struct aws_credentials *out)
{
    struct error *err = assume_once(place, session, request, out);
    if (err != NULL && has_code(err, "ExpiredTokenException")) {
        error_free(err);
        err = assume_once(place, session, request, out);
    }
    return err;
}

struct error *
aws_load_oidc(const struct aws_load *load, struct aws_credentials *out)
{
    struct aws_session *session = load->session;
    if (session->role_arn == NULL) {
        buf_puts(load->why, "no 'aws.role' is configured");
        return NULL;
    }
    if (!session->has_oidc) {
        buf_puts(load->why, "this is no job that may ask for an OIDC token");
        return NULL;
    }
    struct aws_role_request request = {
        .role_arn = session->role_arn,
        .session_name = session->role_session_name,
    };
    const struct token_place place = {session, NULL};
    return assume(&place, session, &request, out);
}

// The environment counts unless this is the source_profile of another one.
static const char *
setting(const struct aws_load *load, const char *variable, const char *key)
{
    const char *value = load->outer == NULL ? env_get(load->session->platform, variable) : NULL;
    return value != NULL ? value : aws_profile_get(load->session, load->profile, key);
}

struct error *
aws_load_web_identity(const struct aws_load *load, struct aws_credentials *out)
{
    const char *path = setting(load, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    if (path == NULL) {
        buf_puts(load->why, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
        return NULL;
    }
    struct aws_role_request request = {
        .role_arn = setting(load, "AWS_ROLE_ARN", "role_arn"),
        .session_name = setting(load, "AWS_ROLE_SESSION_NAME", "role_session_name"),
        .duration_seconds = aws_profile_get(load->session, load->profile, "duration_seconds"),
    };
    if (request.role_arn == NULL) {
        struct error *err =
            error_new(ERROR_CREDENTIALS, "there is a web identity token '%s', but no role", path);
        return error_hint(err, "Set AWS_ROLE_ARN, or 'role_arn' in the profile.");
    }
    const struct token_place place = {load->session, path};
    return assume(&place, load->session, &request, out);
}
