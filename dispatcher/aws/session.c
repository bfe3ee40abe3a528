// What a session knows before it sends anything: options, profile files, region, switches.
// Credentials are chain.c, endpoints endpoint.c.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws_internal.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum {
    PROFILE_FILE_MAX = 256 * 1024,
    RETRY_TOKENS = 500, // "standard" retry mode, 2026 numbers
    ATTEMPTS_MAX = 10,
};

static char *
copy_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? xstrdup(text) : NULL;
}

// HOME comes from the environment we were given: a service may run with another one than the
// user's.
static char *
file_path(const struct platform *platform, const char *variable, const char *name)
{
    const char *path = env_get(platform, variable), *home = env_get(platform, "HOME");
    if (path != NULL && strncmp(path, "~/", 2) == 0 && home != NULL) {
        return xasprintf("%s%s", home, path + 1);
    }
    if (path != NULL) {
        return xstrdup(path);
    }
    return home != NULL ? xasprintf("%s/.aws/%s", home, name) : NULL;
}

static struct error *
read_profile_file(struct aws_ini *ini, const char *path, bool is_credentials)
{
    if (path == NULL || !file_exists(path)) {
        return NULL;
    }
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(PROFILE_FILE_MAX);
    struct error *err = file_read(path, &text, NULL);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "read the AWS profile file");
    }
    return aws_ini_parse(ini, buf_str(&text), is_credentials, path);
}

static struct error *
read_profile_files(struct aws_session *session)
{
    const struct platform *platform = session->platform;
    session->config = aws_ini_new();
    session->shared = aws_ini_new();
    session->config_path = file_path(platform, "AWS_CONFIG_FILE", "config");
    session->credentials_path = file_path(platform, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
    TRY(read_profile_file(session->config, session->config_path, false));
    return read_profile_file(session->shared, session->credentials_path, true);
}

const char *
aws_profile_get(const struct aws_session *session, const char *profile, const char *key)
{
    const char *value = aws_ini_get(session->shared, AWS_SECTION_PROFILE, profile, NULL, key);
    return value != NULL ? value
                         : aws_ini_get(session->config, AWS_SECTION_PROFILE, profile, NULL, key);
}

bool
aws_profile_exists(const struct aws_session *session, const char *profile)
{
    return aws_ini_has(session->shared, AWS_SECTION_PROFILE, profile) ||
           aws_ini_has(session->config, AWS_SECTION_PROFILE, profile);
}

bool
aws_flag(const struct aws_session *session, const char *variable, const char *key)
{
    const char *value = env_get(session->platform, variable);
    if (value == NULL && key != NULL) {
        value = aws_profile_get(session, session->profile, key);
    }
    return value != NULL && strcasecmp(value, "true") == 0;
}

int64_t
aws_wall_ms(const struct aws_session *session)
{
    return clock_wall(session->platform->clock) + session->clock_offset_ms;
}

int64_t
aws_clock_offset_ms(const struct aws_session *session)
{
    return session->clock_offset_ms;
}

static void
choose_profile(struct aws_session *session)
{
    const char *name = env_get(session->platform, "AWS_PROFILE");
    if (name == NULL) {
        name = env_get(session->platform, "AWS_DEFAULT_PROFILE");
    }
    session->profile_is_named = name != NULL;
    session->profile = name != NULL ? name : "default";
}

static struct error *
choose_attempts(struct aws_session *session)
{
    const char *text = env_get(session->platform, "AWS_MAX_ATTEMPTS");
    if (text == NULL) {
        text = aws_profile_get(session, session->profile, "max_attempts");
    }
    int64_t number = 0;
    if (text != NULL && (!str_to_int64(str_of(text), &number) || number < 1)) {
        struct error *err = error_new(ERROR_INPUT, "'%s' is not a number of attempts", text);
        return error_hint(err, "Set AWS_MAX_ATTEMPTS to 1 or more, or leave it out.");
    }
    session->max_attempts = (unsigned)(number < ATTEMPTS_MAX ? number : ATTEMPTS_MAX);
    return NULL;
}

struct error *
aws_session_new(const struct platform *platform, struct http_client *http,
    const struct aws_options *options, struct aws_session **out)
{
    static const struct aws_options none = {0};
    options = options != NULL ? options : &none;
    struct aws_session *session CLEANUP(aws_session_freep) = xcalloc(1, sizeof(*session));
    session->platform = platform;
    session->http = http;
    session->retry_tokens = RETRY_TOKENS;
    session->region_option = copy_or_null(options->region);
    session->role_arn = copy_or_null(options->role_arn);
    session->role_session_name = copy_or_null(options->role_session_name);
    session->account = copy_or_null(options->account);
    session->has_oidc = options->oidc != NULL;
    if (session->has_oidc) {
        session->oidc = *options->oidc;
    }
    choose_profile(session);
    TRY(read_profile_files(session));
    TRY(choose_attempts(session));
    *out = session;
    session = NULL;
    return NULL;
}

void
aws_session_free(struct aws_session *session)
{
    if (session == NULL) {
        return;
    }
    aws_credentials_done(&session->credentials);
    aws_ini_free(session->config);
    aws_ini_free(session->shared);
    free(session->config_path);
    free(session->credentials_path);
    free(session->region_option);
    free(session->role_arn);
    free(session->role_session_name);
    free(session->account);
    free(session->region);
    free(session);
}

void
aws_session_freep(struct aws_session **session)
{
    aws_session_free(*session);
    *session = NULL;
}

static struct error *
region_missing(void)
{
    struct error *err = error_new(ERROR_CREDENTIALS, "no AWS region found");
    return error_hint(
        err, "Set 'aws.region' in dispatcher.yaml, or AWS_REGION, or 'region' in the AWS profile.");
}

// The region as configured, and who says so; NULL when only the instance can tell.
static const char *
configured_region(const struct aws_session *session, const char **source)
{
    const struct {
        const char *value, *source;
    } places[] = {
        {session->region_option, "'aws.region'"},
        {env_get(session->platform, "AWS_REGION"), "AWS_REGION"},
        {env_get(session->platform, "AWS_DEFAULT_REGION"), "AWS_DEFAULT_REGION"},
        {aws_profile_get(session, session->profile, "region"), "'region' of the AWS profile"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        if (places[i].value != NULL) {
            *source = places[i].source;
            return places[i].value;
        }
    }
    return NULL;
}

static struct error *
resolve_region(struct aws_session *session, char **out)
{
    const char *source = "the instance";
    const char *configured = configured_region(session, &source);
    char *region CLEANUP(xfreep) = configured != NULL ? xstrdup(configured) : NULL;
    if (region == NULL) {
        struct buf why CLEANUP(buf_done) = BUF_INIT(4096);
        TRY(aws_instance_metadata(session, "placement/region", &why, &region));
    }
    if (region == NULL) {
        session->region_is_missing = true; // the instance is asked once, for it may take a second
        return region_missing();
    }
    TRY(aws_region_check(region, source));
    *out = region;
    region = NULL;
    return NULL;
}

struct error *
aws_region(struct aws_session *session, const char **out)
{
    if (session->region_is_missing) {
        return region_missing();
    }
    if (session->region == NULL) {
        TRY(resolve_region(session, &session->region));
    }
    *out = session->region;
    return NULL;
}
