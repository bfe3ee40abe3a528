// A profile that becomes a role: role_arn with source_profile or credential_source. Source profiles
// may be roles in turn; a loop is refused. No MFA: there is nobody to type the code.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

enum { CHAIN_MAX = 8 };

static struct error *
profile_error(const char *profile, const char *what, const char *subject)
{
    return error_hint(error_new(ERROR_CREDENTIALS, "profile '%s': %s '%s'", profile, what, subject),
        "Correct the profile in the AWS config file.");
}

static bool
has_keys(const struct aws_session *session, const char *profile)
{
    return aws_profile_get(session, profile, "aws_access_key_id") != NULL ||
           aws_profile_get(session, profile, "aws_secret_access_key") != NULL;
}

static bool
is_role(const struct aws_session *session, const char *profile)
{
    return aws_profile_get(session, profile, "role_arn") != NULL &&
           aws_profile_get(session, profile, "web_identity_token_file") == NULL;
}

static struct error *
load_from_source(const struct aws_load *load, const char *source, struct aws_credentials *out)
{
    static const struct aws_provider sources[] = {
        {"Environment", aws_load_environment},
        {"EcsContainer", aws_load_container},
        {"Ec2InstanceMetadata", aws_load_instance},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        if (strcmp(sources[i].name, source) != 0) {
            continue;
        }
        struct error *err = sources[i].load(load, out);
        if (err == NULL && out->access_key == NULL) {
            err = error_new(ERROR_CREDENTIALS, "%s", buf_cstr(load->why));
        }
        return err != NULL
                   ? error_wrap(err, "profile '%s': credential_source '%s'", load->profile, source)
                   : NULL;
    }
    return profile_error(load->profile, "unknown credential_source", source);
}

static struct error *
check_loop(const struct aws_load *load, const char *source)
{
    unsigned depth = 0;
    for (const struct aws_load *at = load; at != NULL; at = at->outer) {
        // A profile may name itself to keep its keys and its role in one place.
        bool self = at == load && has_keys(load->session, source);
        if (strcmp(at->profile, source) == 0 && !self) {
            return profile_error(load->profile, "source_profile leads in a circle to", source);
        }
        if (++depth > CHAIN_MAX) {
            return profile_error(load->profile, "too many source profiles before", source);
        }
    }
    return NULL;
}

static struct error *
load_from_profile(const struct aws_load *load, const char *source, struct aws_credentials *out)
{
    const struct aws_session *session = load->session;
    if (!aws_profile_exists(session, source)) {
        return profile_error(load->profile, "there is no source_profile", source);
    }
    TRY(check_loop(load, source));
    const struct aws_load inner = {load->session, source, load, load->why};
    struct error *err = !has_keys(session, source) && is_role(session, source)
                            ? aws_load_assume_role(&inner, out)
                            : aws_load_profile(&inner, out);
    if (err != NULL) {
        return error_wrap(err, "source_profile '%s'", source);
    }
    return out->access_key != NULL
               ? NULL
               : profile_error(load->profile, "no credentials in source_profile", source);
}

static struct error *
load_source(const struct aws_load *load, struct aws_credentials *out)
{
    const char *profile = load->profile;
    const char *by_profile = aws_profile_get(load->session, profile, "source_profile");
    const char *by_source = aws_profile_get(load->session, profile, "credential_source");
    if (aws_profile_get(load->session, profile, "mfa_serial") != NULL) {
        struct error *err =
            error_new(ERROR_CREDENTIALS, "profile '%s' asks for an MFA code", profile);
        return error_hint(err,
            "Get the credentials first: eval \"$(aws configure export-credentials --profile %s "
            "--format env)\".",
            profile);
    }
    if ((by_profile == NULL) == (by_source == NULL)) {
        return profile_error(profile,
            by_profile != NULL ? "both source_profile and credential_source with role_arn"
                               : "neither source_profile nor credential_source with role_arn",
            aws_profile_get(load->session, profile, "role_arn"));
    }
    return by_profile != NULL ? load_from_profile(load, by_profile, out)
                              : load_from_source(load, by_source, out);
}

struct error *
aws_load_assume_role(const struct aws_load *load, struct aws_credentials *out)
{
    const struct aws_session *session = load->session;
    const char *profile = load->profile;
    if (load->outer == NULL && session->profile_is_named && !aws_profile_exists(session, profile)) {
        struct error *err = error_new(ERROR_CREDENTIALS, "there is no AWS profile '%s'", profile);
        return error_hint(err, "Correct AWS_PROFILE, or add the profile to '%s'.",
            session->config_path != NULL ? session->config_path : "~/.aws/config");
    }
    if (!is_role(session, profile)) {
        buf_printf(load->why, "profile '%s' has no role_arn", profile);
        return NULL;
    }
    struct aws_credentials source CLEANUP(aws_credentials_done) = {0};
    TRY(load_source(load, &source));
    const struct aws_role_request request = {
        .role_arn = aws_profile_get(session, profile, "role_arn"),
        .session_name = aws_profile_get(session, profile, "role_session_name"),
        .external_id = aws_profile_get(session, profile, "external_id"),
        .duration_seconds = aws_profile_get(session, profile, "duration_seconds"),
        .source = &source,
    };
    return aws_assume_role(load->session, &request, out);
}
