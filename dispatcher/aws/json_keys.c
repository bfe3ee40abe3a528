// The JSON in which the container, the instance and credential_process hand out keys.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

static struct error *
unusable(const char *source, const char *what)
{
    return error_new(ERROR_CREDENTIALS, "%s gave no usable credentials: %s", source, what);
}

static struct error *
read_expiry(const struct json *doc, const char *source, int64_t *out)
{
    const struct json *value = json_get(doc, "Expiration");
    if (json_is_null(value)) {
        return NULL; // never renewed
    }
    const char *text = json_str(value);
    return text != NULL && clock_parse_rfc3339(text, out)
               ? NULL
               : unusable(source, "'Expiration' is not a time");
}

struct error *
aws_credentials_from_json(
    struct str text, const char *token_key, const char *source, struct aws_credentials *out)
{
    struct json *doc CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(text, &json_limits_default, &doc);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "%s gave no usable credentials", source);
    }
    const char *key = json_str(json_get(doc, "AccessKeyId"));
    const char *secret = json_str(json_get(doc, "SecretAccessKey"));
    const char *token = json_str(json_get(doc, token_key));
    const char *account = json_str(json_get(doc, "AccountId"));
    if (key == NULL || key[0] == '\0' || secret == NULL || secret[0] == '\0') {
        return unusable(source, "'AccessKeyId' or 'SecretAccessKey' is missing");
    }
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    TRY(read_expiry(doc, source, &found.expires_ms));
    found.access_key = xstrdup(key);
    found.secret_key = secret_new(str_of(secret));
    found.session_token = token != NULL && token[0] != '\0' ? secret_new(str_of(token)) : NULL;
    found.account = account != NULL && account[0] != '\0' ? xstrdup(account) : NULL;
    aws_credentials_move(out, &found);
    return NULL;
}
