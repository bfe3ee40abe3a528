// References to secrets, as the files hold them, into secrets: from the environment, a file,
// Parameter Store, Secrets Manager or Vault. Each is read once for a context, and masked from then
// on; nothing here prints, and no error quotes a value.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/actions.h"
#include "dispatcher/file.h"
#include "dispatcher/identity_proof.h"
#include "dispatcher/memory.h"
#include "dispatcher/secret_json.h"
#include "dispatcher/secrets_manager.h"
#include "dispatcher/ssm.h"
#include "dispatcher/vault.h"

enum { FILE_MAX = 64 * 1024 };

struct secret_entry {
    char *reference;
    struct secret *secret;
};

struct error *
secret_reference_file(const char *path, struct secret **out)
{
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(FILE_MAX);
    struct error *err = file_read(path, &text, NULL);
    if (err != NULL) {
        return error_wrap_as(ERROR_CREDENTIALS, err, "read a secret from file '%s'", path);
    }
    *out = secret_new(str_trim(buf_str(&text)));
    return NULL;
}

// What a reader needs to know; `place` is what stands behind the kind and its colon.
struct reading {
    struct deploy_context *context;
    const struct deployment *deployment;
    const char *place;
};

static struct error *
from_file(const struct reading *reading, struct secret **out)
{
    return secret_reference_file(reading->place, out);
}

static struct error *
from_environment(const struct reading *reading, struct secret **out)
{
    const char *value = env_get(reading->context->platform, reading->place);
    if (value == NULL) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "environment variable '%s' is not set", reading->place),
            "The configuration takes a secret from it; pass it in the workflow's 'env:'.");
    }
    *out = secret_new(str_of(value));
    return NULL;
}

static struct error *
from_parameter_store(const struct reading *reading, struct secret **out)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    struct ssm_parameter *parameter = NULL;
    TRY(provider_aws(reading->context, reading->deployment, &aws));
    TRY(ssm_get(aws, reading->place, arena, &parameter));
    if (parameter == NULL) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "parameter '%s' does not exist", reading->place),
            "Create it as a SecureString, in the region and account that 'dispatcher doctor' "
            "shows.");
    }
    *out = secret_new(str_of(parameter->value));
    return NULL;
}

/// Cuts "place#key"; *key stays NULL when there is none. free().
static char *
cut_key(const char *reference, const char **key)
{
    const char *hash = strchr(reference, '#');
    *key = hash != NULL ? hash + 1 : NULL;
    return hash != NULL ? xstrndup(reference, (size_t)(hash - reference)) : xstrdup(reference);
}

static struct error *
take_key(const struct secret *whole, const char *id, const char *key, struct secret **out)
{
    struct json *object CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(secret_expose(whole), &json_limits_default, &object);
    bool is_object = err == NULL && json_is_object(object);
    error_free(err); // it says where in the text
    err = is_object
              ? secret_json_take(object, key, out)
              : error_new(ERROR_CREDENTIALS, "it is no JSON object, so it has no key '%s'", key);
    return err != NULL ? error_wrap(err, "read secret '%s'", id) : NULL;
}

static struct error *
from_secrets_manager(const struct reading *reading, struct secret **out)
{
    const char *key = NULL;
    char *id CLEANUP(xfreep) = cut_key(reading->place, &key);
    struct secret *whole CLEANUP(secret_freep) = NULL;
    struct aws_session *aws = NULL;
    TRY(provider_aws(reading->context, reading->deployment, &aws));
    TRY(secrets_manager_get(aws, id, NULL, &whole));
    if (key != NULL) {
        return take_key(whole, id, key, out);
    }
    *out = secret_ref(whole);
    return NULL;
}

static struct error *
from_vault(const struct reading *reading, struct secret **out)
{
    const char *key = NULL;
    char *path CLEANUP(xfreep) = cut_key(reading->place, &key);
    struct vault_client *vault = NULL;
    if (key == NULL) {
        return error_hint(
            error_new(ERROR_SPEC, "secret reference 'vault:%s' names no key", reading->place),
            "Write it as 'vault:mount/data/path#key'.");
    }
    TRY(provider_vault(reading->context, reading->deployment, &vault));
    return vault_kv_read(vault, path, key, out);
}

static const struct source {
    const char *kind;
    struct error *(*read)(const struct reading *reading, struct secret **out);
} sources[] = {
    {"env:", from_environment},
    {"file:", from_file},
    {"ssm:", from_parameter_store},
    {"secretsmanager:", from_secrets_manager},
    {"vault:", from_vault},
};

static const struct source *
source_of(const char *reference)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        if (str_starts(str_of(reference), str_of(sources[i].kind))) {
            return &sources[i];
        }
    }
    return NULL;
}

static struct secret *
find_known(const struct deploy_context *context, const char *reference)
{
    for (size_t i = 0; i < context->secret_count; i++) {
        if (strcmp(context->secrets[i].reference, reference) == 0) {
            return context->secrets[i].secret;
        }
    }
    return NULL;
}

static void
remember(struct deploy_context *context, const char *reference, struct secret *secret)
{
    size_t count = context->secret_count + 1;
    context->secrets = xrealloc(context->secrets, count * sizeof(*context->secrets));
    context->secrets[context->secret_count++] =
        (struct secret_entry){xstrdup(reference), secret_ref(secret)};
}

struct error *
secret_reference_read(struct deploy_context *context, const struct deployment *deployment,
    const char *reference, struct secret **out)
{
    const struct source *source = source_of(reference); // NULL: of none, or no reference at all
    struct secret *known = source != NULL ? find_known(context, reference) : NULL;
    if (known != NULL) {
        *out = secret_ref(known);
        return NULL;
    }
    if (source == NULL) {
        return error_hint(error_new(ERROR_SPEC, "a secret reference is of no known form"),
            "Use 'env:VARIABLE', 'file:PATH', 'ssm:/path', 'secretsmanager:ID#key' or "
            "'vault:mount/data/path#key'.");
    }
    const struct reading reading = {context, deployment, reference + strlen(source->kind)};
    TRY(source->read(&reading, out));
    remember(context, reference, *out);
    return NULL;
}

struct error *
secret_reference_of_spec(struct deploy_context *context, const struct deployment *deployment,
    const char *reference, struct secret **out)
{
    const struct deploy_secret_rule *rule = &context->secret_rule;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    bool asked = rule->refuses != NULL && reference != NULL;
    const char *refusal = asked ? rule->refuses(rule->ctx, reference, arena) : NULL;
    if (refusal != NULL) {
        struct error *err = error_new(ERROR_CREDENTIALS, "%s", refusal);
        return error_hint(err, "To have it told: " SPEC_SECRET_ALLOWED_BY ".");
    }
    return secret_reference_read(context, deployment, reference, out);
}

struct error *
deploy_secret(struct deploy_context *context, const char *reference, struct secret **out)
{
    const struct deployment nobody = {.app = "service", .env = "serve"};
    struct error *err = secret_reference_read(context, &nobody, reference, out);
    return err != NULL ? error_wrap(err, "read '%s'", reference) : NULL;
}

void
secret_reference_forget(struct deploy_context *context)
{
    for (size_t i = 0; i < context->secret_count; i++) {
        free(context->secrets[i].reference);
        secret_free(context->secrets[i].secret);
    }
    free(context->secrets);
    context->secrets = NULL;
    context->secret_count = 0;
    vault_client_free(context->vault);
    context->vault = NULL;
    free(context->vault_sts_region);
    context->vault_sts_region = NULL;
}

// --- Vault -------------------------------------------------------------------------------------

static struct error *
job_token(void *ctx, const char *audience, struct secret **out)
{
    struct deploy_context *context = ctx;
    return actions_oidc_token(context->platform, context->http, audience, out);
}

static struct error *
prove_identity(void *ctx, const char *server_id, struct vault_identity_proof *out)
{
    struct deploy_context *context = ctx;
    struct aws_identity_proof proof = {0};
    TRY(aws_sign_caller_identity(context->aws, server_id, context->vault_sts_region, &proof));
    *out = (struct vault_identity_proof){proof.method, proof.url, proof.body, proof.headers};
    return NULL;
}

static enum vault_auth
auth_of(const char *word)
{
    return cstr_equal(word, "aws")   ? VAULT_AUTH_AWS
           : cstr_equal(word, "jwt") ? VAULT_AUTH_JWT
                                     : VAULT_AUTH_TOKEN;
}

static const char *
or_else(const char *first, const char *second)
{
    return first != NULL ? first : second;
}

static struct error *
open_vault(struct deploy_context *context, const struct deployment *deployment)
{
    const struct platform *platform = context->platform;
    const struct setting_vault *given = &deployment->vault;
    const struct vault_jwt_source jwt = {job_token, context};
    const struct vault_proof_source aws = {prove_identity, context};
    const char *text = env_get(platform, "VAULT_TOKEN");
    struct secret *token CLEANUP(secret_freep) = text != NULL ? secret_new(str_of(text)) : NULL;
    struct aws_session *session = NULL;
    const struct vault_options options = {
        .address = or_else(env_get(platform, "VAULT_ADDR"), given->address),
        .namespace = or_else(env_get(platform, "VAULT_NAMESPACE"), given->namespace),
        .auth = token != NULL ? VAULT_AUTH_TOKEN : auth_of(given->auth),
        .token = token,
        .role = given->role,
        .mount = given->mount,
        .audience = given->audience,
        .server_id = given->server_id,
        .aws = &aws,
        .jwt = actions_has_oidc(platform) ? &jwt : NULL,
    };
    if (options.auth == VAULT_AUTH_AWS) { // `prove_identity` signs with it
        TRY(provider_aws(context, deployment, &session));
    }
    free(context->vault_sts_region);
    context->vault_sts_region = given->sts_region != NULL ? xstrdup(given->sts_region) : NULL;
    return vault_client_new(platform, context->http, &options, &context->vault);
}

struct error *
provider_vault(
    struct deploy_context *context, const struct deployment *deployment, struct vault_client **out)
{
    if (context->vault == NULL) {
        TRY(open_vault(context, deployment));
    }
    *out = context->vault;
    return NULL;
}
