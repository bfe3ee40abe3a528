// GetSecretValue and DescribeSecret over aws_call. What is in the value (text, JSON, a key) is the
// caller's business.
#include "dispatcher/secrets_manager.h"

#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

enum { ID_MAX = 2048, VALUE_MAX = 64 * 1024 }; // a secret holds 65,536 bytes at most

static bool
has_code(const struct error *err, const char *code)
{
    return cstr_equal(error_remote_of(err)->code, code);
}

static struct error *
unusable(const char *what)
{
    return error_remote(
        error_new(ERROR_UNAVAILABLE, "unusable answer: %s", what), 200, NULL, NULL, true);
}

/// "arn:aws:secretsmanager:eu-west-1:…": the fourth field, which has to become part of a host name;
/// NULL for a plain name.
static struct error *
region_of(const char *id, char **out)
{
    struct str field = {0}, rest = str_of(id);
    if (!str_starts(rest, STR("arn:"))) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        if (!str_cut(rest, ':', &field, &rest)) {
            return error_new(ERROR_INPUT, "'%.200s' is not the ARN of a secret", id);
        }
    }
    char *region CLEANUP(xfreep) = str_dup(field);
    TRY(aws_region_check(region, "the secret's ARN"));
    *out = region;
    region = NULL;
    return NULL;
}

static struct error *
decode(const char *text, struct secret **out)
{
    struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(VALUE_MAX);
    struct error *err = base64_decode(str_of(text), &bytes);
    if (err != NULL || bytes.failed) {
        error_free(err); // which might quote it
        return unusable("'SecretBinary' is not base64 of at most 64 KiB");
    }
    *out = secret_new(buf_str(&bytes));
    return NULL;
}

static struct error *
read_value(const struct json *answer, struct secret **out)
{
    const char *text = json_str(json_get(answer, "SecretString"));
    const char *binary = json_str(json_get(answer, "SecretBinary"));
    const char *either = text != NULL ? text : binary;
    if (either == NULL) {
        return unusable("neither 'SecretString' nor 'SecretBinary'");
    }
    if (either[0] == '\0') {
        return error_new(ERROR_CREDENTIALS, "the secret is empty");
    }
    if (text == NULL) {
        return decode(binary, out);
    }
    *out = secret_new(str_of(text));
    return NULL;
}

static struct error *
explain(struct error *err, const char *id)
{
    static const struct {
        const char *code, *hint;
    } fixes[] = {
        {"ResourceNotFoundException",
            "Check the name, the region and the account; a secret that was never given a value is "
            "not found either."},
        {"DecryptionFailure", "Allow 'kms:Decrypt' on the key that the secret is encrypted with."},
        {"InvalidRequestException",
            "A secret that is scheduled for deletion has to be restored first."},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(fixes); i++) {
        if (has_code(err, fixes[i].code)) {
            err = error_hint(err, "%s", fixes[i].hint);
            return error_wrap_as(ERROR_CREDENTIALS, err, "read secret '%s'", id);
        }
    }
    // "Access to KMS is not allowed": the secret itself may be read.
    if (has_code(err, "AccessDeniedException") &&
        str_contains(str_of(error_message(error_cause(err))), STR("KMS"))) {
        err = error_hint(err, "%s", fixes[1].hint);
    }
    return error_wrap(err, "read secret '%s'", id);
}

// Body and region of a request about the secret `id`.
static struct error *
open_request(const char *id, struct json **body, char **region)
{
    if (id[0] == '\0' || strlen(id) > ID_MAX) {
        return error_new(ERROR_INPUT, "a secret's name has 1 to %d bytes", ID_MAX);
    }
    struct error *err = region_of(id, region);
    if (err != NULL) {
        return error_wrap(err, "read secret '%s'", id);
    }
    *body = json_make_object();
    json_set_str(*body, "SecretId", id);
    return NULL;
}

struct error *
secrets_manager_get(
    struct aws_session *session, const char *id, const char *stage, struct secret **out)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct json *answer CLEANUP(json_freep) = NULL;
    char *region CLEANUP(xfreep) = NULL;
    TRY(open_request(id, &body, &region));
    json_set_str(body, "VersionStage", stage);
    const struct aws_call call = {
        .service = "secretsmanager",
        .target = "secretsmanager.GetSecretValue",
        .body = body,
        .region = region,
        .read = true,
    };
    struct error *err = aws_call(session, &call, &answer);
    if (err != NULL) {
        return explain(err, id);
    }
    err = read_value(answer, out);
    return err != NULL ? error_wrap(err, "read secret '%s'", id) : NULL;
}

struct error *
secrets_manager_exists(struct aws_session *session, const char *id, bool *out)
{
    struct json *body CLEANUP(json_freep) = NULL;
    struct json *answer CLEANUP(json_freep) = NULL;
    char *region CLEANUP(xfreep) = NULL;
    TRY(open_request(id, &body, &region));
    const struct aws_call call = {
        .service = "secretsmanager",
        .target = "secretsmanager.DescribeSecret",
        .body = body,
        .region = region,
        .read = true,
    };
    struct error *err = aws_call(session, &call, &answer);
    if (err != NULL && has_code(err, "ResourceNotFoundException")) {
        error_free(err);
        *out = false;
        return NULL;
    }
    if (err != NULL) {
        return error_wrap(err, "look for secret '%s'", id);
    }
    *out = json_is_null(json_get(answer, "DeletedDate"));
    return NULL;
}
