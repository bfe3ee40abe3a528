// Keys that are written down: the environment, the credentials file, the config file. Asks nobody.
#include "aws_internal.h"
#include "dispatcher/memory.h"

static struct error *
incomplete(const char *have, const char *lack)
{
    struct error *err = error_new(ERROR_CREDENTIALS, "%s is set, %s is not", have, lack);
    return error_hint(err, "Set both, or neither.");
}

static void
fill(const char *key, const char *secret, const char *token, const char *account,
    struct aws_credentials *out)
{
    out->access_key = xstrdup(key);
    out->secret_key = secret_new(str_of(secret));
    out->session_token = token != NULL ? secret_new(str_of(token)) : NULL;
    out->account = account != NULL ? xstrdup(account) : NULL;
}

struct error *
aws_load_environment(const struct aws_load *load, struct aws_credentials *out)
{
    const struct platform *platform = load->session->platform;
    const char *key = env_get(platform, "AWS_ACCESS_KEY_ID");
    const char *secret = env_get(platform, "AWS_SECRET_ACCESS_KEY");
    const char *expiry = env_get(platform, "AWS_CREDENTIAL_EXPIRATION");
    int64_t expires_ms = 0;
    if (key == NULL && secret == NULL) {
        buf_puts(load->why, "AWS_ACCESS_KEY_ID is not set");
        return NULL;
    }
    if (key == NULL || secret == NULL) {
        return key == NULL ? incomplete("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")
                           : incomplete("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    }
    if (expiry != NULL && !clock_parse_rfc3339(expiry, &expires_ms)) {
        return error_new(
            ERROR_CREDENTIALS, "AWS_CREDENTIAL_EXPIRATION '%.64s' is not a time", expiry);
    }
    fill(key, secret, env_get(platform, "AWS_SESSION_TOKEN"), env_get(platform, "AWS_ACCOUNT_ID"),
        out);
    out->expires_ms = expires_ms;
    return NULL;
}

static struct error *
load_file(const struct aws_load *load, const struct aws_ini *ini, const char *path,
    struct aws_credentials *out)
{
    const enum aws_section_kind kind = AWS_SECTION_PROFILE;
    const char *profile = load->profile;
    const char *key = aws_ini_get(ini, kind, profile, NULL, "aws_access_key_id");
    const char *secret = aws_ini_get(ini, kind, profile, NULL, "aws_secret_access_key");
    const char *token = aws_ini_get(ini, kind, profile, NULL, "aws_session_token");
    if (path == NULL) {
        buf_puts(load->why, "HOME is not set");
        return NULL;
    }
    if (key == NULL && secret == NULL) {
        buf_printf(load->why, "no keys of profile '%s' in '%s'", profile, path);
        return NULL;
    }
    if (key == NULL || secret == NULL) {
        struct error *err = key == NULL ? incomplete("aws_secret_access_key", "aws_access_key_id")
                                        : incomplete("aws_access_key_id", "aws_secret_access_key");
        return error_wrap(err, "profile '%s' in '%s'", profile, path);
    }
    fill(key, secret, token, aws_profile_get(load->session, profile, "aws_account_id"), out);
    return NULL;
}

struct error *
aws_load_credentials_file(const struct aws_load *load, struct aws_credentials *out)
{
    return load_file(load, load->session->shared, load->session->credentials_path, out);
}

struct error *
aws_load_config_file(const struct aws_load *load, struct aws_credentials *out)
{
    return load_file(load, load->session->config, load->session->config_path, out);
}
