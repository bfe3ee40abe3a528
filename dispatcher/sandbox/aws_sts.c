// STS: who am I, become a role, become a role with a token of the sandbox's own OIDC issuer.
#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum { LIFETIME_S = 3600, LIFETIME_MIN_S = 900, LIFETIME_MAX_S = 43200 };

static const char xmlns[] = "https://sts.amazonaws.com/doc/2011-06-15/";

static const char *
field(const struct aws_exchange *exchange, const char *name)
{
    return sandbox_form_value(exchange->request->arena, buf_str(&exchange->request->body), name);
}

static void
caller_identity(struct aws_exchange *exchange)
{
    struct buf inner CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    sandbox_aws_xml_element(&inner, "Arn", exchange->key->arn);
    sandbox_aws_xml_element(&inner, "UserId", exchange->key->user_id);
    sandbox_aws_xml_element(&inner, "Account", sandbox_aws_account(exchange->sandbox));
    sandbox_aws_xml_result(exchange, xmlns, &inner);
}

// "arn:aws:iam::123456789012:role/path/name" → "name"; NULL when it is no role.
static const char *
role_name(const char *arn)
{
    const char *role = arn != NULL ? strstr(arn, ":role/") : NULL;
    const char *slash = role != NULL ? strrchr(role, '/') : NULL;
    return role != NULL && strncmp(arn, "arn:aws:iam::", 13) == 0 && slash[1] != '\0' ? slash + 1
                                                                                      : NULL;
}

static bool
is_session_name(const char *text)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    return text != NULL && strlen(text) >= 2 && strlen(text) <= 64 &&
           strspn(text, legal) == strlen(text);
}

struct assumption {
    const char *role, *session;
    int64_t seconds;
    const char *policy_text;
    struct json *policy; // taken by the key
};

static void
add_credentials(struct aws_exchange *exchange, struct assumption *assumed, struct buf *inner)
{
    struct arena *arena = exchange->request->arena;
    const char *arn = arena_printf(arena, "arn:aws:sts::%s:assumed-role/%s/%s",
        sandbox_aws_account(exchange->sandbox), assumed->role, assumed->session);
    const char *id = arena_printf(arena, "AROASANDBOXROLE000001:%s", assumed->session);
    struct aws_key *key = sandbox_aws_key_add(exchange->sandbox, arn, id, assumed->seconds * 1000);
    key->duration_s = assumed->seconds;
    key->policy = assumed->policy;
    assumed->policy = NULL;
    char expires[21];
    clock_format_rfc3339(key->expires_ms, expires);
    buf_puts(inner, "<AssumedRoleUser>");
    sandbox_aws_xml_element(inner, "Arn", arn);
    sandbox_aws_xml_element(inner, "AssumedRoleId", id);
    buf_puts(inner, "</AssumedRoleUser><Credentials>");
    sandbox_aws_xml_element(inner, "AccessKeyId", key->id);
    sandbox_aws_xml_element(inner, "SecretAccessKey", key->secret);
    sandbox_aws_xml_element(inner, "SessionToken", key->token);
    sandbox_aws_xml_element(inner, "Expiration", expires);
    buf_puts(inner, "</Credentials>");
    if (assumed->policy_text != NULL) {
        char *packed CLEANUP(xfreep) = xasprintf("%zu", strlen(assumed->policy_text) * 100 / 2048);
        sandbox_aws_xml_element(inner, "PackedPolicySize", packed);
    }
}

// The session's own limit on top of what the role may; false when it has answered.
static bool
read_policy(struct aws_exchange *exchange, struct assumption *assumed)
{
    const char *problem = assumed->policy_text != NULL
                              ? sandbox_policy_read(assumed->policy_text, &assumed->policy)
                              : NULL;
    if (problem != NULL) {
        sandbox_aws_xml_problem(exchange->response, 400,
            strncmp(problem, "1 validation", 12) == 0 ? "ValidationError"
                                                      : "MalformedPolicyDocument",
            problem);
    }
    return problem == NULL;
}

static bool
check_identity(struct aws_exchange *exchange, struct buf *inner)
{
    const char *token = field(exchange, "WebIdentityToken"), *why = NULL;
    struct json *claims CLEANUP(json_freep) = sandbox_oidc_verify(
        exchange->sandbox, token != NULL ? token : "", "sts.amazonaws.com", &why);
    if (claims == NULL) {
        bool expired = strncmp(why, "Token expired", strlen("Token expired")) == 0;
        sandbox_aws_xml_problem(exchange->response, 400,
            expired ? "ExpiredTokenException" : "InvalidIdentityToken", why);
        return false;
    }
    const char *subject = json_str(json_get(claims, "sub"));
    const char *issuer = json_str(json_get(claims, "iss"));
    sandbox_aws_xml_element(inner, "SubjectFromWebIdentityToken", subject != NULL ? subject : "");
    sandbox_aws_xml_element(inner, "Audience", "sts.amazonaws.com");
    sandbox_aws_xml_element(inner, "Provider", issuer != NULL ? issuer : "");
    return true;
}

static void
assume_role(struct aws_exchange *exchange)
{
    struct buf inner CLEANUP(buf_done) = BUF_INIT(32 * 1024);
    const char *role = role_name(field(exchange, "RoleArn"));
    const char *session = field(exchange, "RoleSessionName");
    const char *duration = field(exchange, "DurationSeconds");
    int64_t seconds = LIFETIME_S;
    if (role == NULL || !is_session_name(session)) {
        sandbox_aws_xml_problem(exchange->response, 400, "ValidationError",
            role == NULL ? "RoleArn is invalid" : "RoleSessionName is invalid");
        return;
    }
    if (duration != NULL && (!str_to_int64(str_of(duration), &seconds) ||
                                seconds < LIFETIME_MIN_S || seconds > LIFETIME_MAX_S)) {
        sandbox_aws_xml_problem(
            exchange->response, 400, "ValidationError", "DurationSeconds is out of range");
        return;
    }
    struct assumption assumed = {role, session, seconds, field(exchange, "Policy"), NULL};
    if ((exchange->key == NULL && !check_identity(exchange, &inner)) ||
        !read_policy(exchange, &assumed)) {
        return;
    }
    add_credentials(exchange, &assumed, &inner);
    sandbox_aws_xml_result(exchange, xmlns, &inner);
}

void
sandbox_sts_handle(struct aws_exchange *exchange)
{
    const char *operation = exchange->operation;
    if (strcmp(operation, "GetCallerIdentity") == 0) {
        caller_identity(exchange);
    } else if (strcmp(operation, "AssumeRole") == 0 ||
               strcmp(operation, "AssumeRoleWithWebIdentity") == 0) {
        assume_role(exchange);
    } else {
        sandbox_aws_xml_problem(exchange->response, 400, "InvalidAction",
            "The action is not one that the sandbox has.");
    }
}
