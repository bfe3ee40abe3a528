// ECR's control API over aws_call. Blobs and manifests go through registry/.
#include "dispatcher/ecr.h"

#include <stdlib.h>
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"

#define TARGET ECR_TARGET

enum { TOKEN_MAX = 32 * 1024, ACCOUNT_DIGITS = 12 };

static struct error *
unusable(const char *what)
{
    return error_new(ERROR_UNAVAILABLE, "unusable answer: %s", what);
}

static bool
is_made_of(struct str text, const char *bytes)
{
    char *copy CLEANUP(xfreep) = str_dup(text);
    return text.len > 0 && strspn(copy, bytes) == text.len;
}

// ".amazonaws.com" and its siblings in the other partitions; the dual-stack hosts end differently.
static bool
is_registry_suffix(struct str suffix)
{
    static const char *const known[] = {"amazonaws.com", "amazonaws.com.cn", "amazonaws.eu",
        "on.aws", "on.amazonwebservices.com.cn", "on.amazonwebservices.eu", "c2s.ic.gov",
        "sc2s.sgov.gov", "cloud.adc-e.uk", "csp.hci.ic.gov"};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (str_equal(suffix, str_of(known[i]))) {
            return true;
        }
    }
    return false;
}

// <account>.dkr.ecr[-fips].<region>.<suffix>, or <account>.dkr-ecr[-fips].… on dual-stack.
bool
ecr_host_parse(const char *host, struct arena *arena, const char **account, const char **region)
{
    static const char *const kinds[] = {"dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."};
    struct str number, rest, place;
    if (!str_cut(str_of(host), '.', &number, &rest) || number.len != ACCOUNT_DIGITS ||
        !is_made_of(number, "0123456789")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct str kind = str_of(kinds[i]);
        if (!str_starts(rest, kind)) {
            continue;
        }
        struct str suffix;
        if (!str_cut(str_skip(rest, kind.len), '.', &place, &suffix) ||
            !is_made_of(place, "abcdefghijklmnopqrstuvwxyz0123456789-") ||
            !is_registry_suffix(suffix)) {
            return false;
        }
        if (account != NULL) {
            *account = arena_str(arena, number);
        }
        if (region != NULL) {
            *region = arena_str(arena, place);
        }
        return true;
    }
    return false;
}

void
ecr_login_done(struct ecr_login *login)
{
    free(login->user);
    secret_free(login->password);
    *login = (struct ecr_login){0};
}

/// The token is base64 of "AWS:<password>".
static struct error *
read_token(const struct json *data, struct ecr_login *out)
{
    const char *token = json_str(json_get(data, "authorizationToken"));
    struct buf plain CLEANUP(buf_wipe) = BUF_INIT(TOKEN_MAX);
    struct str user, password;
    if (token == NULL) {
        return unusable("no 'authorizationToken'");
    }
    TRY(base64_decode(str_of(token), &plain));
    if (!str_cut(buf_str(&plain), ':', &user, &password) || user.len == 0 || password.len == 0) {
        return unusable("'authorizationToken' is not a user and a password");
    }
    out->user = str_dup(user);
    out->password = secret_new(password);
    out->expires_ms = (int64_t)(json_number(json_get(data, "expiresAt"), 0) * 1000.0);
    return NULL;
}

struct error *
ecr_login(struct aws_session *session, const char *registry, struct ecr_login *out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    const char *account = NULL, *region = NULL;
    // A token is good for the registries of its own region only.
    (void)ecr_host_parse(registry, arena, &account, &region);
    const struct aws_call call = {.service = "ecr",
        .target = TARGET "GetAuthorizationToken",
        .body = body,
        .read = true,
        .region = region};
    struct error *err = aws_call(session, &call, &answer);
    if (err == NULL) {
        err = read_token(json_at(json_get(answer, "authorizationData"), 0), out);
    }
    return err != NULL ? error_wrap(err, "log in to '%s'", registry) : NULL;
}

static struct error *
describe(struct aws_session *session, const struct ecr_repository *repository, const char *tag,
    struct json **answer)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *ids = json_make_array(), *id = json_make_object();
    json_set_str(id, "imageTag", tag);
    json_append(ids, id);
    json_set_str(body, "registryId", repository->account);
    json_set_str(body, "repositoryName", repository->name);
    json_set(body, "imageIds", ids);
    const struct aws_call call = {.service = "ecr",
        .target = TARGET "DescribeImages",
        .body = body,
        .read = true,
        .region = repository->region};
    return aws_call(session, &call, answer);
}

/// Turns the two ways of not being there into a value.
static struct error *
take_absence(struct error *err, bool *absent, bool *repository_found)
{
    bool no_repository = aws_has_code(err, "RepositoryNotFoundException");
    if (!no_repository && !aws_has_code(err, "ImageNotFoundException")) {
        return err;
    }
    error_free(err);
    *absent = true;
    *repository_found = !no_repository;
    return NULL;
}

static struct error *
read_image(const struct json *answer, struct arena *arena, const char **digest)
{
    const struct json *image = json_at(json_get(answer, "imageDetails"), 0);
    const char *text = json_str(json_get(image, "imageDigest"));
    const char *status = json_str(json_get(image, "imageStatus"));
    if (text == NULL) {
        return unusable("no 'imageDigest'");
    }
    if (status != NULL && strcmp(status, "ACTIVE") != 0) {
        return error_hint(error_new(ERROR_REFUSED, "the image is %s and cannot be pulled", status),
            "Restore it with 'aws ecr update-image-storage-class', or deploy another version.");
    }
    *digest = arena_dup(arena, text);
    return NULL;
}

struct error *
ecr_image_digest(struct aws_session *session, const struct ecr_repository *repository,
    const char *tag, struct arena *arena, const char **digest, bool *repository_found)
{
    struct json *answer CLEANUP(json_freep) = NULL;
    bool absent = false, found = true;
    const char *text = NULL;
    struct error *err = describe(session, repository, tag, &answer);
    if (err != NULL) {
        err = take_absence(err, &absent, &found);
    }
    if (err == NULL && !absent) {
        err = read_image(answer, arena, &text);
    }
    if (err != NULL) {
        return error_wrap(err, "look up image '%s:%s'", repository->name, tag);
    }
    *digest = text;
    if (repository_found != NULL) {
        *repository_found = found;
    }
    return NULL;
}

struct error *
ecr_create_repository(struct aws_session *session, const struct ecr_repository *repository,
    const struct ecr_create_options *options)
{
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer CLEANUP(json_freep) = NULL;
    json_set_str(body, "registryId", repository->account);
    json_set_str(body, "repositoryName", repository->name);
    if (options->scan_on_push) {
        struct json *scanning = json_make_object();
        json_set_bool(scanning, "scanOnPush", true);
        json_set(body, "imageScanningConfiguration", scanning);
    }
    const struct aws_call call = {.service = "ecr",
        .target = TARGET "CreateRepository",
        .body = body,
        .idempotent = true,
        .region = repository->region};
    struct error *err = aws_call(session, &call, &answer);
    if (err != NULL && aws_has_code(err, "RepositoryAlreadyExistsException")) {
        error_free(err);
        return NULL;
    }
    return err != NULL ? error_wrap(err, "create repository '%s'", repository->name) : NULL;
}
