// What an App Runner service is set to: requests become settings with all defaults filled in, or
// the reason why App Runner does not take them. And what its image identifier stands for.
#include <string.h>

#include "aws_apprunner_internal.h"
#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

static const char defaults[] =
    "{\"InstanceConfiguration\": {\"Cpu\": \"1024\", \"Memory\": \"2048\"},"
    " \"HealthCheckConfiguration\": {\"Protocol\": \"TCP\", \"Path\": \"/\", \"Interval\": 5,"
    "  \"Timeout\": 2, \"HealthyThreshold\": 1, \"UnhealthyThreshold\": 5},"
    " \"NetworkConfiguration\": {\"EgressConfiguration\": {\"EgressType\": \"DEFAULT\"},"
    "  \"IngressConfiguration\": {\"IsPubliclyAccessible\": true}, \"IpAddressType\": \"IPV4\"},"
    " \"ObservabilityConfiguration\": {\"ObservabilityEnabled\": false}}";

// Sizes come in two spellings and are answered in one.
static const char *const sizes[][2] = {{"0.25 vCPU", "256"}, {"0.5 vCPU", "512"},
    {"1 vCPU", "1024"}, {"2 vCPU", "2048"}, {"4 vCPU", "4096"}, {"0.5 GB", "512"}, {"1 GB", "1024"},
    {"2 GB", "2048"}, {"3 GB", "3072"}, {"4 GB", "4096"}, {"6 GB", "6144"}, {"8 GB", "8192"},
    {"10 GB", "10240"}, {"12 GB", "12288"}};

static struct json *merge(const struct json *base, const struct json *over);

static void
merge_member(void *ctx, const char *key, const struct json *value)
{
    struct json *into = ctx;
    if (!json_is_null(value)) {
        json_set(into, key, merge(json_get(into, key), value));
    }
}

// `over`, with members of `base` where it has none.
static struct json *
merge(const struct json *base, const struct json *over)
{
    if (!json_is_object(base) || !json_is_object(over)) {
        return json_clone(over);
    }
    struct json *merged = json_clone(base);
    json_each(over, merge_member, merged);
    return merged;
}

static const char *
normal_size(const char *given, const char *unit)
{
    for (size_t i = 0; given != NULL && i < ARRAY_LENGTH(sizes); i++) {
        bool counts = strstr(sizes[i][0], unit) != NULL;
        if (counts && (strcmp(given, sizes[i][0]) == 0 || strcmp(given, sizes[i][1]) == 0)) {
            return sizes[i][1];
        }
    }
    return NULL;
}

static const char *
set_sizes(struct json *settings)
{
    struct json *instance = json_clone(json_get(settings, "InstanceConfiguration"));
    const char *cpu = normal_size(json_str(json_get(instance, "Cpu")), "vCPU");
    const char *memory = normal_size(json_str(json_get(instance, "Memory")), "GB");
    json_set_str(instance, "Cpu", cpu);
    json_set_str(instance, "Memory", memory);
    json_set(settings, "InstanceConfiguration", instance);
    return cpu == NULL      ? "The CPU value is not one of the supported ones."
           : memory == NULL ? "The memory value is not one of the supported ones."
                            : NULL;
}

const char *
sandbox_apprunner_image_identifier(const struct json *settings)
{
    return json_str(json_path(settings, "SourceConfiguration.ImageRepository.ImageIdentifier"));
}

bool
sandbox_apprunner_auto_deploys(const struct json *settings)
{
    return json_bool(json_path(settings, "SourceConfiguration.AutoDeploymentsEnabled"), false);
}

const char *
sandbox_apprunner_port(const struct json *settings)
{
    const struct json *source = json_get(settings, "SourceConfiguration");
    const char *port = json_str(json_path(source, "ImageRepository.ImageConfiguration.Port"));
    if (port == NULL) {
        port = json_str(
            json_path(source, "CodeRepository.CodeConfiguration.CodeConfigurationValues.Port"));
    }
    return port != NULL ? port : "8080";
}

// "host/repository:tag", "host/repository@sha256:…" or both, when the digest counts.
static bool
split(struct arena *arena, const char *identifier, const char **host, struct apprunner_image *out)
{
    struct str first = {0}, rest = {0}, name = {0}, digest = {0};
    (void)str_cut(str_of(identifier), '/', &first, &rest);
    (void)str_cut(rest, '@', &name, &digest);
    if (name.len == 0) {
        return false;
    }
    const char *text = arena_str(arena, name), *colon = strrchr(text, ':');
    *host = arena_str(arena, first);
    out->is_digest = digest.len > 0;
    out->repository =
        colon != NULL ? arena_str(arena, (struct str){text, (size_t)(colon - text)}) : text;
    out->what = digest.len > 0 ? arena_str(arena, digest) : colon != NULL ? colon + 1 : "latest";
    return true;
}

static bool
is_own_host(struct sandbox *sandbox, struct arena *arena, const char *host)
{
    const char *account = NULL;
    return strcmp(host, sandbox->host) == 0 ||
           (ecr_host_parse(host, arena, &account, NULL) &&
               cstr_equal(account, sandbox_aws_account(sandbox)));
}

void
sandbox_apprunner_image(struct sandbox *sandbox, struct arena *arena, const char *identifier,
    struct apprunner_image *out)
{
    const char *host = NULL;
    *out = (struct apprunner_image){.what = ""};
    if (identifier == NULL || !split(arena, identifier, &host, out)) {
        return;
    }
    out->is_own = is_own_host(sandbox, arena, host);
    if (!out->is_own) {
        out->digest = out->is_digest ? out->what : NULL;
        return;
    }
    const struct registry_repo *repo = sandbox_registry_find(sandbox->registry, out->repository);
    const char *digest = repo != NULL ? sandbox_registry_resolve(repo, out->what) : NULL;
    out->digest = arena_dup(arena, digest);
}

static const char *
image_problem(struct sandbox *sandbox, const struct json *source)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const struct json *repository = json_get(source, "ImageRepository");
    const char *identifier = json_str(json_get(repository, "ImageIdentifier")), *host = NULL;
    bool is_public =
        cstr_equal(json_str(json_get(repository, "ImageRepositoryType")), "ECR_PUBLIC");
    struct apprunner_image image = {.what = ""};
    if (!split(arena, identifier, &host, &image)) {
        return "The image identifier is invalid.";
    }
    bool fits =
        is_public ? strcmp(host, "public.ecr.aws") == 0 : ecr_host_parse(host, arena, NULL, NULL);
    if (!fits && strcmp(host, sandbox->host) != 0) {
        return "The image identifier is invalid.";
    }
    const char *role = json_str(json_path(source, "AuthenticationConfiguration.AccessRoleArn"));
    return !is_public && role == NULL ? "Invalid Access Role in AuthenticationConfiguration" : NULL;
}

static const char *
code_problem(struct sandbox *sandbox, const struct json *source)
{
    const char *arn = json_str(json_path(source, "AuthenticationConfiguration.ConnectionArn"));
    const struct json *code = json_path(source, "CodeRepository.CodeConfiguration");
    bool by_api = cstr_equal(json_str(json_get(code, "ConfigurationSource")), "API");
    if (arn == NULL || !sandbox_apprunner_is_connected(sandbox, arn)) {
        return arn == NULL ? "AuthenticationConfiguration has no ConnectionArn."
                           : "The connection is not in AVAILABLE status.";
    }
    return by_api && json_get(code, "CodeConfigurationValues") == NULL
               ? "CodeConfigurationValues is required when ConfigurationSource is API."
               : NULL;
}

static const char *
source_problem(struct sandbox *sandbox, const struct json *old, const struct json *source)
{
    bool has_image = json_is_object(json_get(source, "ImageRepository"));
    bool had_image = json_is_object(json_path(old, "SourceConfiguration.ImageRepository"));
    if (has_image == json_is_object(json_get(source, "CodeRepository"))) {
        return "Exactly one of CodeRepository and ImageRepository must be provided.";
    }
    if (old != NULL && has_image != had_image) {
        return "The source type of a service cannot be changed between code and image.";
    }
    return has_image ? image_problem(sandbox, source) : code_problem(sandbox, source);
}

// On for code and for ECR of the own account, as App Runner has it.
static bool
auto_deploys_by_default(struct sandbox *sandbox, const struct json *settings)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *identifier = sandbox_apprunner_image_identifier(settings);
    struct apprunner_image image;
    sandbox_apprunner_image(sandbox, arena, identifier, &image);
    return identifier == NULL || image.is_own;
}

static const char *
set_source(struct sandbox *sandbox, const struct json *old, struct json *settings)
{
    struct json *source = json_clone(json_get(settings, "SourceConfiguration"));
    const char *problem = source_problem(sandbox, old, source);
    if (json_is_null(json_get(source, "AutoDeploymentsEnabled"))) {
        json_set_bool(source, "AutoDeploymentsEnabled", auto_deploys_by_default(sandbox, settings));
    }
    json_set(settings, "SourceConfiguration", source);
    return problem;
}

static const char *
network_problem(const struct json *settings)
{
    const struct json *egress = json_path(settings, "NetworkConfiguration.EgressConfiguration");
    bool is_vpc = cstr_equal(json_str(json_get(egress, "EgressType")), "VPC");
    return is_vpc && json_str(json_get(egress, "VpcConnectorArn")) == NULL
               ? "VpcConnectorArn is required when EgressType is VPC."
               : NULL;
}

struct json *
sandbox_apprunner_settings(struct sandbox *sandbox, const struct json *old,
    const struct json *request, const char **problem)
{
    static const char *const members[] = {"SourceConfiguration", "InstanceConfiguration",
        "EncryptionConfiguration", "HealthCheckConfiguration", "AutoScalingConfigurationArn",
        "NetworkConfiguration", "ObservabilityConfiguration"};
    struct json *base CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(defaults), &json_limits_default, &base);
    BUG_ON(err != NULL);
    struct json *settings = old != NULL ? json_clone(old) : json_clone(base);
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        const struct json *given = json_get(request, members[i]);
        if (!json_is_null(given)) {
            json_set(settings, members[i], merge(json_get(base, members[i]), given));
        }
    }
    *problem = json_is_null(json_get(request, "SourceConfiguration"))
                   ? NULL
                   : set_source(sandbox, old, settings);
    if (*problem == NULL) {
        *problem = set_sizes(settings);
    }
    if (*problem == NULL) {
        *problem = network_problem(settings);
    }
    const char *scaling = json_str(json_get(settings, "AutoScalingConfigurationArn"));
    if (*problem == NULL && sandbox_apprunner_scaling(sandbox, scaling) == NULL) {
        *problem = "The auto scaling configuration does not exist.";
    }
    if (*problem != NULL) {
        json_free(settings);
        return NULL;
    }
    return settings;
}
