// Credentials that 'aws login' left in its cache. They live for minutes and only the AWS CLI renews
// them (with a key bound to that machine), so they are read as they are and never refreshed here.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { CACHE_FILE_MAX = 64 * 1024 };

static char *
cache_path(const struct platform *platform, const char *name)
{
    const char *directory = env_get(platform, "AWS_LOGIN_CACHE_DIRECTORY");
    const char *home = env_get(platform, "HOME");
    char hash[SHA256_HEX_SIZE];
    sha256_hex(str_of(name), hash);
    return directory != NULL
               ? xasprintf("%s/%s.json", directory, hash)
               : xasprintf("%s/.aws/login/cache/%s.json", home != NULL ? home : "", hash);
}

static struct error *
read_cache(const struct platform *platform, const char *name, struct json **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(CACHE_FILE_MAX);
    char *path CLEANUP(xfreep) = cache_path(platform, name);
    bool found = false;
    TRY(file_read(path, &text, &found));
    return found ? json_parse(buf_str(&text), &json_limits_default, out)
                 : error_new(ERROR_CREDENTIALS, "nobody has signed in to '%s' here", name);
}

static struct error *
read_keys(const struct aws_session *session, const struct json *doc, struct aws_credentials *out)
{
    const struct json *token = json_get(doc, "accessToken");
    const char *key = json_str(json_get(token, "accessKeyId"));
    const char *secret = json_str(json_get(token, "secretAccessKey"));
    const char *session_token = json_str(json_get(token, "sessionToken"));
    const char *account = json_str(json_get(token, "accountId"));
    const char *expiry = json_str(json_get(token, "expiresAt"));
    int64_t expires_ms = 0;
    if (key == NULL || secret == NULL || session_token == NULL || expiry == NULL ||
        !clock_parse_rfc3339(expiry, &expires_ms)) {
        return error_new(ERROR_CREDENTIALS, "the cached sign-in is incomplete");
    }
    if (expires_ms <= aws_wall_ms(session)) {
        return error_new(ERROR_CREDENTIALS, "the sign-in expired at %s", expiry);
    }
    out->access_key = xstrdup(key);
    out->secret_key = secret_new(str_of(secret));
    out->session_token = secret_new(str_of(session_token));
    out->account = account != NULL ? xstrdup(account) : NULL;
    out->expires_ms = expires_ms;
    return NULL;
}

struct error *
aws_load_login(const struct aws_load *load, struct aws_credentials *out)
{
    const char *name = aws_profile_get(load->session, load->profile, "login_session");
    struct json *doc CLEANUP(json_freep) = NULL;
    if (name == NULL) {
        buf_printf(load->why, "profile '%s' has no login_session", load->profile);
        return NULL;
    }
    struct error *err = read_cache(load->session->platform, name, &doc);
    if (err == NULL) {
        err = read_keys(load->session, doc, out);
    }
    if (err == NULL) {
        return NULL;
    }
    err = error_wrap_as(ERROR_CREDENTIALS, err, "'aws login' of profile '%s'", load->profile);
    return error_hint(err, "Run 'aws login --profile %s'.", load->profile);
}
