// The hosting service's app spec as field tables (facts/appspec.md). The `deploy:` block, which is
// ours, is in tables_deploy.c. Data only.
#include "patterns.h"
#include "spec_internal.h"

static const struct field secret_fields[] = {
    FIELD(struct spec_secret, name, "name", FIELD_STR, .check = check_key_name,
        .pattern = PATTERN_KEY_NAME, .doc = "Name of the secret in Secrets Manager.",
        .fallback = "the key"),
    FIELD(struct spec_secret, description, "description", FIELD_STR, .doc = "What it is for."),
    FIELD(struct spec_secret, type, "type", FIELD_STR,
        .values = (const char *const[]){"string", "json", NULL}, .open_values = true,
        .doc = "One text, or an object with the `keys` below."),
    FIELD(struct spec_secret, keys, "keys", FIELD_LIST_STR, .doc = "Keys of a `json` secret."),
    FIELD(struct spec_secret, add_suffix, "add_suffix", FIELD_BOOL,
        .doc = "Whether the hosting service adds a random suffix to the name."),
};
static const struct field_table secret_table =
    FIELD_TABLE("secret", struct spec_secret, secret_fields);

static const struct field volume_fields[] = {
    FIELD(struct spec_volume, name, "name", FIELD_STR, .check = check_name, .pattern = PATTERN_NAME,
        .fallback = "the key", .doc = "Machine name of the volume."),
    FIELD(struct spec_volume, type, "type", FIELD_STR,
        .values = (const char *const[]){"persistent", NULL}, .open_values = true,
        .doc = "Kind of volume."),
    FIELD(struct spec_volume, mount, "mount", FIELD_STR, .check = check_absolute_path,
        .pattern = "^/", .doc = "Where it is mounted in the container."),
};
static const struct field_table volume_table =
    FIELD_TABLE("volume", struct spec_volume, volume_fields);

static const struct field env_secret_fields[] = {
    FIELD(struct spec_env_secret, env, "env", FIELD_STR, .check = check_env_name,
        .pattern = PATTERN_ENV_NAME, .fallback = "the key", .doc = "Name of the variable."),
    FIELD(struct spec_env_secret, name, "name", FIELD_STR, .fallback = "the key",
        .doc = "Key of the secret in the top-level `secrets`."),
    FIELD(struct spec_env_secret, secret_key, "key", FIELD_STR,
        .doc = "Which key of a `json` secret."),
};
static const struct field_table env_secret_table =
    FIELD_TABLE("service secret", struct spec_env_secret, env_secret_fields);

static const struct field service_fields[] = {
    FIELD(struct spec_service, name, "name", FIELD_STR, .check = check_name,
        .pattern = PATTERN_NAME, .fallback = "the key",
        .doc = "Machine name; part of the repository and of the version parameter."),
    FIELD(struct spec_service, image, "image", FIELD_STR, .check = check_image,
        .pattern = PATTERN_IMAGE,
        .doc =
            "External image without tag: nothing is pushed. Absent: an ECR repository of the app."),
    FIELD(struct spec_service, image_tag, "image_tag", FIELD_STR, .check = check_tag,
        .pattern = PATTERN_TAG,
        .doc = "Pins the version: nothing is written. Absent: the version parameter decides."),
    FIELD(struct spec_service, repository_arn, "repository_arn", FIELD_STR, .check = check_arn,
        .pattern = PATTERN_ARN, .doc = "Repository of a private external `image`."),
    FIELD(struct spec_service, dockerfile, "dockerfile", FIELD_STR, .check = check_relative_path,
        .pattern = "^[^/]", .fallback = "./Dockerfile",
        .doc = "What to build, in the app repository."),
    FIELD(struct spec_service, context, "context", FIELD_STR, .check = check_context,
        .pattern = "^[^/]", .fallback = ".",
        .doc = "Build context, in the app repository; `..` where the checkout is a part of it."),
    FIELD(struct spec_service, desired_containers, "desired_containers", FIELD_INT, .min = 0,
        .max = 1000, .fallback = "2 in production, else 1", .doc = "Number of containers."),
    FIELD(struct spec_service, health_check_path, "health_check_path", FIELD_STR,
        .check = check_absolute_path, .pattern = "^/", .fallback = "/health",
        .doc = "Path that the load balancer asks."),
    FIELD(struct spec_service, expose, "expose", FIELD_INT, .min = 1, .max = 65535,
        .fallback = "3000", .doc = "The one port behind the load balancer."),
    FIELD(struct spec_service, is_public, "public", FIELD_BOOL, .fallback = "false",
        .doc = "Whether the load balancer serves it."),
    FIELD(struct spec_service, subdomain, "subdomain", FIELD_STR, .check = check_domain,
        .pattern = PATTERN_DOMAIN, .fallback = "the app's", .doc = "DNS name below the domain."),
    FIELD(struct spec_service, ports, "ports", FIELD_LIST_INT, .min = 1, .max = 65535,
        .doc = "Extra ports inside the private network."),
    FIELD(struct spec_service, volumes, "volumes", FIELD_MAP_OBJECT, .table = &volume_table,
        .key_check = check_key_name, .key_pattern = PATTERN_KEY_NAME, .key_label = "volume",
        .doc = "Volumes by key."),
    FIELD(struct spec_service, secrets, "secrets", FIELD_MAP_OBJECT, .table = &env_secret_table,
        .key_check = check_env_name, .key_pattern = PATTERN_ENV_NAME, .key_label = "variable",
        .doc = "Environment variables taken from secrets."),
};
static const struct field_table service_table =
    FIELD_TABLE("service", struct spec_service, service_fields);

static const struct field database_fields[] = {
    FIELD(struct spec_database, type, "type", FIELD_STR,
        .values = (const char *const[]){"mssql", NULL}, .open_values = true, .doc = "Engine."),
    FIELD(struct spec_database, version, "version", FIELD_STR, .doc = "Engine version."),
};
static const struct field_table database_table =
    FIELD_TABLE("database", struct spec_database, database_fields);

static const struct field docs_fields[] = {
    FIELD(struct spec_docs, enabled, "enabled", FIELD_BOOL, .doc = "Whether there is such a site."),
    FIELD(struct spec_docs, is_private, "private", FIELD_BOOL, .doc = "Whether staff only see it."),
};
static const struct field_table docs_table = FIELD_TABLE("docs", struct spec_docs, docs_fields);

static const struct field doppler_fields[] = {
    FIELD(struct spec_doppler, project, "project", FIELD_STR, .check = check_key_name,
        .pattern = PATTERN_KEY_NAME, .fallback = "derived", .doc = "Doppler project."),
};
static const struct field_table doppler_table =
    FIELD_TABLE("doppler", struct spec_doppler, doppler_fields);

static const struct field app_fields[] = {
    FIELD(struct spec_app, title, "title", FIELD_STR, .fallback = "`name`", .doc = "Human name."),
    FIELD(struct spec_app, name, "name", FIELD_STR, .required = true, .check = check_name,
        .pattern = PATTERN_NAME,
        .doc = "Machine name, `{name}`; in every resource name and in the version parameter."),
    FIELD(struct spec_app, name_short, "name_short", FIELD_STR, .check = check_name,
        .pattern = PATTERN_NAME, .fallback = "`name`", .doc = "For resources with a short limit."),
    FIELD(struct spec_app, program, "program", FIELD_STR, .check = check_name,
        .pattern = PATTERN_NAME, .doc = "Billing tag."),
    FIELD(struct spec_app, repo, "repo", FIELD_STR, .check = check_repo, .pattern = PATTERN_REPO,
        .doc = "Source repository, `owner/repository`; a deployment from another one is refused."),
    FIELD(struct spec_app, enabled, "enabled", FIELD_BOOL, .fallback = "true",
        .doc = "False: not deployed, and destroyed by the infra run if it exists."),
    FIELD(struct spec_app, internal, "internal", FIELD_BOOL, .fallback = "true",
        .doc = "Whether the load balancer asks for a staff login."),
    FIELD(struct spec_app, domain, "domain", FIELD_STR, .check = check_domain,
        .pattern = PATTERN_DOMAIN, .fallback = "the hosting domain", .doc = "DNS domain."),
    FIELD(struct spec_app, subdomain, "subdomain", FIELD_STR, .check = check_domain,
        .pattern = PATTERN_DOMAIN, .fallback = "`name`", .doc = "DNS name, `{subdomain}`."),
    FIELD(struct spec_app, database, "database", FIELD_OBJECT, .table = &database_table,
        .doc = "Database of the app."),
    FIELD(struct spec_app, docs, "docs", FIELD_OBJECT, .table = &docs_table,
        .doc = "Documentation site."),
    FIELD(struct spec_app, doppler, "doppler", FIELD_OBJECT, .table = &doppler_table,
        .doc = "Secret sync."),
    FIELD(struct spec_app, secrets, "secrets", FIELD_MAP_OBJECT, .table = &secret_table,
        .key_check = check_key_name, .key_pattern = PATTERN_KEY_NAME, .key_label = "secret",
        .doc = "Secrets Manager entries `<name>/<env>/<secret>`."),
    FIELD(struct spec_app, services, "services", FIELD_MAP_OBJECT, .table = &service_table,
        .key_check = check_key_name, .key_pattern = PATTERN_KEY_NAME, .key_label = "service",
        .max = 300, .doc = "Container services by key, 300 at most."),
    FIELD(struct spec_app, deploy, "deploy", FIELD_OBJECT, .table = &spec_deploy_table,
        .doc = "How dispatcher deploys the app."),
};
const struct field_table spec_app_table = {.name = "app spec",
    .size = sizeof(struct spec_app),
    .fields = app_fields,
    .count = ARRAY_LENGTH(app_fields),
    .doc = "`appspecs/<app>.yaml`: the hosting service's app spec, plus the block `deploy`. "
           "The file stem is the app's name, `{app}`."};
