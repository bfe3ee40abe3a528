// `dispatcher.yaml` as field tables (spec-format.md). Data only.
#include "patterns.h"
#include "spec_internal.h"

static const struct field aws_fields[] = {
    FIELD(struct config_aws, region, "region", FIELD_STR, .check = check_region,
        .pattern = PATTERN_REGION, .fallback = "`AWS_REGION` and the rest of the SDK chain",
        .doc = "AWS region, `{region}`."),
    FIELD(struct config_aws, account, "account", FIELD_STR, .check = check_account,
        .pattern = PATTERN_ACCOUNT, .numeric_text = true,
        .fallback = "the account of the credentials",
        .doc = "AWS account, `{account}`; in quotes."),
    FIELD(struct config_aws, prefix, "prefix", FIELD_STR, .check = check_name,
        .pattern = PATTERN_NAME, .placeholders = true, .doc = "Resource naming, `{prefix}`."),
    FIELD(struct config_aws, role, "role", FIELD_STR, .check = check_arn, .pattern = PATTERN_ARN,
        .placeholders = true, .fallback = "the SDK chain",
        .doc = "Role assumed with the job's OIDC token."),
};
static const struct field_table aws_table = FIELD_TABLE("aws", struct config_aws, aws_fields);

static const struct field github_fields[] = {
    FIELD(struct config_github, api, "api", FIELD_STR, .check = check_url, .pattern = PATTERN_URL,
        .fallback = "https://api.github.com", .doc = "GitHub's REST API."),
    FIELD(struct config_github, app_id, "app_id", FIELD_STR, .check = check_app_id,
        .pattern = PATTERN_APP_ID, .numeric_text = true, .doc = "GitHub App: id or client id."),
    FIELD(struct config_github, app_key, "app_key", FIELD_STR, .secret_ref = true,
        .pattern = PATTERN_SECRET_REF,
        .doc = "GitHub App: its private key. A token in the environment is the alternative."),
};
static const struct field_table github_table =
    FIELD_TABLE("github", struct config_github, github_fields);

static const struct field vault_fields[] = {
    FIELD(struct config_vault, address, "address", FIELD_STR, .check = check_url,
        .pattern = PATTERN_URL, .doc = "Vault's address; `VAULT_ADDR` goes before it."),
    FIELD(struct config_vault, namespace, "namespace", FIELD_STR, .check = check_vault_mount,
        .pattern = PATTERN_VAULT_MOUNT, .placeholders = true,
        .doc = "Namespace of the login and the secrets; `VAULT_NAMESPACE` goes before it."),
    FIELD(struct config_vault, auth, "auth", FIELD_STR,
        .values = (const char *const[]){"token", "aws", "jwt", NULL}, .fallback = "token",
        .doc = "How to sign in: by the AWS credentials, by the job's OIDC token, or not at all: "
               "`VAULT_TOKEN`, which goes before the others."),
    FIELD(struct config_vault, role, "role", FIELD_STR, .check = check_visible,
        .pattern = PATTERN_VISIBLE, .placeholders = true, .fallback = "the mount's own default",
        .doc = "Role of the login."),
    FIELD(struct config_vault, mount, "mount", FIELD_STR, .check = check_vault_mount,
        .pattern = PATTERN_VAULT_MOUNT, .fallback = "`aws` or `jwt`",
        .doc = "Where the login's method is mounted, below `auth/`."),
    FIELD(struct config_vault, audience, "audience", FIELD_STR, .check = check_visible,
        .pattern = PATTERN_VISIBLE, .fallback = "Vault's address",
        .doc = "`auth: jwt`: audience of the OIDC token."),
    FIELD(struct config_vault, server_id, "server_id", FIELD_STR, .check = check_visible,
        .pattern = PATTERN_VISIBLE,
        .doc = "`auth: aws`: what the mount wants in X-Vault-AWS-IAM-Server-ID."),
    FIELD(struct config_vault, sts_region, "sts_region", FIELD_STR, .check = check_region,
        .pattern = PATTERN_REGION, .fallback = "the global endpoint",
        .doc = "`auth: aws`: region of the STS that the mount asks."),
};
static const struct field_table vault_table =
    FIELD_TABLE("vault", struct config_vault, vault_fields);

static const struct field workflow_fields[] = {
    FIELD(struct config_workflow, repo, "repo", FIELD_STR, .check = check_repo,
        .pattern = PATTERN_REPO, .placeholders = true,
        .doc = "The infra repository; required for `via: workflow`."),
    FIELD(struct config_workflow, file, "file", FIELD_STR, .check = check_workflow_file,
        .pattern = PATTERN_WORKFLOW_FILE, .placeholders = true, .fallback = "deploy-app.yaml",
        .doc = "File name of the workflow, exact."),
    FIELD(struct config_workflow, ref, "ref", FIELD_STR, .check = check_branch,
        .pattern = PATTERN_BRANCH, .placeholders = true, .fallback = "main",
        .doc = "Branch or tag whose workflow file runs."),
    FIELD(struct config_workflow, inputs, "inputs", FIELD_MAP_STR, .placeholders = true,
        .key_check = check_input_name, .key_pattern = PATTERN_INPUT_NAME, .key_label = "input",
        .fallback = "{application: \"{app}\", environment: \"{env}\"}",
        .doc = "Inputs of the workflow; written anywhere, they replace the whole map."),
    FIELD(struct config_workflow, id_input, "id_input", FIELD_STR, .check = check_input_name,
        .pattern = PATTERN_INPUT_NAME, .fallback = "distinct_id",
        .doc = "Input that carries the dispatch id; sent only if the workflow declares it."),
    FIELD(struct config_workflow, timeout_ms, "timeout", FIELD_DURATION, .min = 1000,
        .max = INT64_C(2592000000), .fallback = "30m", .doc = "How long the run may be running."),
    FIELD(struct config_workflow, queue_timeout_ms, "queue_timeout", FIELD_DURATION, .min = 1000,
        .max = INT64_C(2592000000), .fallback = "30m",
        .doc = "How long it may be queued or wait for an approval."),
};
static const struct field_table workflow_table =
    FIELD_TABLE("workflow", struct config_workflow, workflow_fields);

// What may differ by environment.
#define PLACE_FIELDS(type)                                                                         \
    FIELD(type, aws, "aws", FIELD_OBJECT, .table = &aws_table, .doc = "The AWS account."),         \
        FIELD(type, registry, "registry", FIELD_STR, .check = check_registry,                      \
            .placeholders = true, .fallback = "{account}.dkr.ecr.{region}.amazonaws.com",          \
            .doc = "Host of the registry; https, or plain http on loopback."),                     \
        FIELD(type, repository, "repository", FIELD_STR, .placeholders = true,                     \
            .fallback = "{name}-{env}-{service}", .doc = "Repository of a service's images."),     \
        FIELD(type, parameter, "parameter", FIELD_STR, .placeholders = true,                       \
            .fallback = "/{name}/{env}/{service}/version",                                         \
            .doc = "SSM parameter that holds the version of a service."),                          \
        FIELD(type, workflow, "workflow", FIELD_OBJECT, .table = &workflow_table,                  \
            .doc = "What `via: workflow` triggers."),                                              \
        FIELD(type, vault, "vault", FIELD_OBJECT, .table = &vault_table,                           \
            .doc = "Where `vault:` references are read, and as whom.")

static const struct field env_fields[] = {PLACE_FIELDS(struct config_env)};
static const struct field_table env_table = FIELD_TABLE("env", struct config_env, env_fields);

static const struct field policy_env_fields[] = {
    FIELD(struct config_policy_env, approvals, "approvals", FIELD_OBJECT,
        .table = &spec_approvals_table, .doc = "The least that a spec must ask for."),
    FIELD(struct config_policy_env, events, "events", FIELD_LIST_STR,
        .doc = "The only events that a spec may allow."),
    FIELD(struct config_policy_env, runner, "runner", FIELD_STR,
        .values = (const char *const[]){"any", "github-hosted", "self-hosted", NULL},
        .doc = "The only runners that a spec may allow."),
};
static const struct field_table policy_env_table =
    FIELD_TABLE("policy environment", struct config_policy_env, policy_env_fields);

static const struct field policy_fields[] = {
    FIELD(struct config_policy, owners, "owners", FIELD_LIST_INT, .min = 1, .max = INT64_MAX,
        .doc = "`repository_owner_id` values that may deploy at all."),
    FIELD(struct config_policy, environments, "<environment>", FIELD_MAP_OBJECT, .rest = true,
        .table = &policy_env_table, .key_check = check_name, .key_pattern = PATTERN_NAME,
        .key_label = "environment", .doc = "Floor of one environment."),
};
static const struct field_table policy_table =
    FIELD_TABLE("policy", struct config_policy, policy_fields);

static const struct field state_fields[] = {
    FIELD(struct config_state, url, "url", FIELD_STR, .check = check_state_url,
        .pattern = PATTERN_STATE_URL, .fallback = "sqlite:",
        .doc = "Where the service keeps its state: `sqlite:PATH` or `postgresql://…`."),
    FIELD(struct config_state, connections, "connections", FIELD_INT, .min = 2, .max = 64,
        .fallback = "4",
        .doc = "Connections to PostgreSQL that the requests of one replica share; its work holds "
               "about 20 more."),
};
static const struct field_table state_table =
    FIELD_TABLE("state", struct config_state, state_fields);

static const struct field config_fields[] = {
    FIELD(struct config, version, "version", FIELD_INT, .required = true, .min = 1, .max = 1,
        .doc = "Version of this format: 1."),
    FIELD(struct config, specs, "specs", FIELD_STR, .check = check_relative_path,
        .pattern = "^[^/]", .fallback = "appspecs",
        .doc = "Directory of the app specs, relative to this file."),
    FIELD(struct config, environments, "environments", FIELD_LIST_STR, .check = check_name,
        .pattern = PATTERN_NAME,
        .doc = "Environments in promotion order; another one is an error anywhere."),
    PLACE_FIELDS(struct config),
    FIELD(struct config, create_repository, "create_repository", FIELD_BOOL, .fallback = "false",
        .doc = "Whether a missing ECR repository is created."),
    FIELD(struct config, github, "github", FIELD_OBJECT, .table = &github_table,
        .doc = "How to reach GitHub."),
    FIELD(struct config, env, "env", FIELD_MAP_OBJECT, .table = &env_table, .key_check = check_name,
        .key_pattern = PATTERN_NAME, .key_label = "environment",
        .doc = "Overrides by environment."),
    FIELD(struct config, state, "state", FIELD_OBJECT, .table = &state_table,
        .doc = "Where state lives."),
    FIELD(struct config, notify, "notify", FIELD_OBJECT, .table = &config_notify_table,
        .doc = "Whom to tell."),
    FIELD(struct config, policy, "policy", FIELD_OBJECT, .table = &policy_table,
        .doc = "The floor: a spec may be stricter, never looser."),
    FIELD(struct config, server, "server", FIELD_OBJECT, .table = &config_server_table,
        .doc = "The service."),
};
const struct field_table config_table = {.name = "dispatcher.yaml",
    .size = sizeof(struct config),
    .fields = config_fields,
    .count = ARRAY_LENGTH(config_fields),
    .doc = "`dispatcher.yaml`: the organisation's defaults, at the infra repository's root."};
