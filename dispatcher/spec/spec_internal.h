// The documents as decoded structs, and the functions that the files of spec/ share.
//
// Every struct decoded from YAML starts with `struct spec_at`, which the decoder fills: the key it
// stands under (in maps) and its node; an absent block has no node. All memory is the document's
// arena.
#pragma once

#include "dispatcher/spec.h"
#include "dispatcher/yaml.h"

struct spec_at {
    const char *key;
    const struct yaml_node *node;
};

// One document while it is being decoded and checked.
struct spec_source {
    const char *file;
    struct str text; // for source lines: secrets are masked
    struct arena *arena;
    struct diagnostics *diagnostics;
};

struct spec_secret {
    struct spec_at at;
    const char *name, *description, *type;
    struct str_list keys;
    bool add_suffix;
};
struct spec_volume {
    struct spec_at at;
    const char *name, *type, *mount;
};
struct spec_env_secret {
    struct spec_at at;
    const char *env, *name, *secret_key;
};
struct spec_service {
    struct spec_at at;
    const char *name, *image, *image_tag, *repository_arn, *dockerfile, *context;
    const char *health_check_path, *subdomain;
    int64_t desired_containers, expose;
    bool is_public;
    struct int_list ports;
    struct object_list volumes, secrets; // spec_volume, spec_env_secret
};
struct spec_database {
    struct spec_at at;
    const char *type, *version;
};
struct spec_docs {
    struct spec_at at;
    bool enabled, is_private;
};
struct spec_doppler {
    struct spec_at at;
    const char *project;
};

struct spec_health_check {
    struct spec_at at;
    const char *protocol, *path;
    int64_t interval_ms, timeout_ms, healthy, unhealthy;
};
struct spec_target {
    struct spec_at at;
    const char *kind, *cluster, *service, *container;
    const char *source, *connection, *repository_url, *branch, *source_directory, *runtime;
    const char *build, *start, *access_role, *instance_role, *vpc_connector, *auto_scaling;
    const char *execution_role, *infrastructure_role, *task_role;
    const char *outputs_file, *environment_file;
    int64_t port, cpu, memory;
    struct pair_list environment, environment_from_outputs, secrets;
    struct spec_health_check health_check;
    bool force_new_deployment, allow_zero, create, is_public;
};
struct spec_workers {
    struct spec_at at;
    const char *files, *workflow_input;
    struct spec_target target;
    bool remove_orphans;
};
struct spec_build {
    struct spec_at at;
    const char *platform;
    struct pair_list args, secrets;
};
struct spec_migrate {
    struct spec_at at;
    const char *service;
    struct str_list command;
    int64_t timeout_ms;
};
struct spec_rollout {
    struct spec_at at;
    int64_t parallel, timeout_ms;
    struct str_list order;
};
struct spec_verify {
    struct spec_at at;
    const char *url;
    int64_t expect, within_ms;
    struct pair_list body;
};
struct spec_image_scan {
    struct spec_at at;
    const char *block, *on_missing;
    int64_t wait_ms;
};
struct spec_via_workflow {
    struct spec_at at;
    const char *ref_to;
    struct str_list refs;
};
struct spec_actors {
    struct spec_at at;
    struct str_list teams;
    bool deny_bots;
};
struct spec_allow {
    struct spec_at at;
    const char *id, *runner;
    struct str_list refs, events;
    struct spec_actors actors;
};
struct spec_promote {
    struct spec_at at;
    const char *environment;
    int64_t soak_ms;
    bool same_digest;
};
struct spec_approvals {
    struct spec_at at;
    int64_t count, valid_for_ms;
    struct str_list teams;
    bool self, rollback_exempt;
};
struct spec_window {
    struct spec_at at;
    const char *deny, *tz, *reason, *manual;
};
struct spec_rollback {
    struct spec_at at;
    bool lock;
    int64_t keep;
};
struct spec_emergency {
    struct spec_at at;
    struct str_list teams;
};

// `notify`, of the organisation as of an app: what only one of them has is empty in the other.
#define SPEC_SLACK_TOKEN "env:SLACK_BOT_TOKEN" // of sinks that name none
#define SPEC_PAGERDUTY_KEY "env:PAGERDUTY_ROUTING_KEY"
enum { SPEC_SINKS_MAX = 20, SPEC_ROUTES_MAX = 50, SPEC_MEMBERS_MAX = 500 };
#define SPEC_FAILURES "failures" // in a list of outcomes: all bad ends
struct spec_incidents {
    struct spec_at at;
    struct str_list environments, outcomes;
};
struct spec_sink {
    struct spec_at at;
    const char *kind, *token, *channel, *webhook, *url, *secret, *routing_key, *region, *check;
    bool deployment, status, comment;
    struct spec_incidents incidents;
};
struct spec_route {
    struct spec_at at;
    struct str_list to, outcomes, environments, apps;
};
struct spec_notify {
    struct spec_at at;
    struct object_list sinks, routes; // spec_sink, spec_route
    struct pair_list members;
    struct str_list verbs, private_hosts;
    const char *environment_url;
    bool inherit;
};

// What `deploy` and each of its environments may both say.
struct spec_behaviour {
    const char *via, *region, *version, *compression, *on_failure, *on_cancel, *on_timeout;
    struct str_list services;
    struct spec_target target;
    struct object_list targets; // spec_target by service
    struct spec_workers workers;
    struct spec_build build;
    struct spec_migrate migrate;
    struct spec_rollout rollout;
    struct object_list verify; // spec_verify
    struct spec_image_scan image_scan;
    struct spec_notify notify;
};
struct spec_environment {
    struct spec_at at;
    struct spec_behaviour behaviour;
    const char *branch, *github_environment, *queue, *stale;
    struct object_list allow, windows; // spec_allow, spec_window
    struct spec_promote promote_from;
    struct spec_approvals approvals;
    struct spec_rollback rollback;
    struct spec_emergency emergency;
};
struct spec_deploy {
    struct spec_at at;
    struct spec_behaviour behaviour;
    int64_t repository_id, owner_id;
    const char *mode, *workflow;
    struct spec_via_workflow via_workflow;
    struct object_list environments; // spec_environment
};
struct spec_app {
    struct spec_at at;
    const char *title, *name, *name_short, *program, *repo, *domain, *subdomain;
    bool enabled, internal;
    struct spec_database database;
    struct spec_docs docs;
    struct spec_doppler doppler;
    struct object_list secrets, services; // spec_secret, spec_service
    struct spec_deploy deploy;
};

struct config_aws {
    struct spec_at at;
    const char *region, *account, *prefix, *role;
};
struct config_github {
    struct spec_at at;
    const char *api, *app_id, *app_key;
};
struct config_vault {
    struct spec_at at;
    const char *address, *namespace, *auth, *role, *mount, *audience, *server_id, *sts_region;
};
struct config_workflow {
    struct spec_at at;
    const char *repo, *file, *ref, *id_input;
    struct pair_list inputs;
    int64_t timeout_ms, queue_timeout_ms;
};
struct config_env {
    struct spec_at at;
    struct config_aws aws;
    const char *registry, *repository, *parameter;
    struct config_workflow workflow;
    struct config_vault vault;
};
struct config_policy_env {
    struct spec_at at;
    struct spec_approvals approvals;
    struct str_list events;
    const char *runner;
};
struct config_policy {
    struct spec_at at;
    struct int_list owners;
    struct object_list environments; // config_policy_env
};
struct config_state {
    struct spec_at at;
    const char *url;
    int64_t connections;
};
struct config_tls {
    struct spec_at at;
    const char *certificate, *key;
};
struct config_oauth {
    struct spec_at at;
    const char *client_id, *client_secret;
};
struct config_proxy_auth {
    struct spec_at at;
    const char *header;
    struct str_list addresses;
};
struct config_retention {
    struct spec_at at;
    int64_t events_ms, deliveries_ms;
};
struct config_secrets {
    struct spec_at at;
    struct str_list files, env;
};
struct config_server {
    struct spec_at at;
    const char *listen, *url, *specs, *issuer, *audience, *jwks, *organization;
    const char *slack_signing_secret, *otlp, *push_role;
    struct config_tls tls;
    struct config_oauth oauth;
    struct config_proxy_auth proxy_auth;
    struct config_retention retention;
    struct config_secrets secrets;
    struct str_list admins, webhook_secrets;
    int64_t specs_every_ms, specs_max_age_ms, queue_max_age_ms, poll_ms, people_every_ms;
    int64_t drift_interval_ms;
    int64_t workers, connections, streams, rate, queue_limit;
    bool proxy;
};
struct config {
    struct spec_at at;
    int64_t version;
    const char *specs, *registry, *repository, *parameter;
    struct str_list environments;
    bool create_repository;
    struct config_aws aws;
    struct config_github github;
    struct config_workflow workflow;
    struct config_vault vault;
    struct object_list env; // config_env
    struct config_state state;
    struct spec_notify notify;
    struct config_policy policy;
    struct config_server server;
};

extern const struct field_table spec_app_table;
extern const struct field_table spec_deploy_table;
extern const struct field_table spec_target_table;
extern const struct field_table spec_workers_table;
extern const struct field_table spec_approvals_table;
extern const struct field_table spec_notify_table;   // of an app
extern const struct field_table config_notify_table; // of the organisation
extern const struct field_table config_server_table;
extern const struct field_table config_table;

// yaml.c, plain_text.c
/// As yaml_parse, but duplicate keys still leave a tree, so that the rest is checked as well, and
/// source lines are taken from `source->text`.
struct yaml_node *yaml_parse_keep_going(
    const struct spec_source *source, struct str text, const struct yaml_limits *limits);
/// Without the byte order mark that some editors put first.
struct str spec_text_body(struct str text);
/// Place of a byte offset.
struct source_span spec_place_of(struct str text, size_t at);
bool spec_text_is_plain(const struct spec_source *source, struct str text);

// decode.c
/// Fills `out` (table->size, zeroed) from the tree; everything wrong becomes a diagnostic.
void spec_decode(const struct spec_source *source, const struct yaml_node *root,
    const struct field_table *table, void *out);
void spec_complain(const struct spec_source *source, enum diagnostic_severity severity,
    const char *rule, const struct yaml_node *at, const char *help, const char *format, ...)
    PRINTF_LIKE(6, 7);
/// "did you mean 'x'?" in the arena, or NULL.
const char *spec_did_you_mean(
    const struct spec_source *source, const char *text, const char *const *candidates);
/// The field of that name, or the table's field for all other keys, or NULL.
const struct field *spec_field_of(const struct field_table *table, const char *key);
/// The key node of a mapping's entry: where to point when the key is meant.
const struct yaml_node *spec_key_node(const struct yaml_node *mapping, const char *key);
/// A key that was written with no value counts as absent.
bool spec_node_is_empty(const struct yaml_node *node);
/// Along "aws.region"; NULL when absent or empty.
const struct yaml_node *spec_node_at(const struct yaml_node *root, const char *path);
/// "30s", "5m": what clock_parse_duration reads.
const char *spec_duration_text(struct arena *arena, int64_t ms);

// checks.c: NULL when fine, else "must be …"
const char *check_name(const char *value);
const char *check_repo(const char *value);
const char *check_image(const char *value);
const char *check_tag(const char *value);
const char *check_path(const char *value);
const char *check_absolute_path(const char *value);
const char *check_relative_path(const char *value);
const char *check_arn(const char *value);
const char *check_secret_arn(const char *value);
const char *check_command(const char *value);
const char *check_output_name(const char *value);
const char *check_env_name(const char *value);
const char *check_key_name(const char *value);
const char *check_account(const char *value);
const char *check_region(const char *value);
const char *check_url(const char *value);
const char *check_workflow_file(const char *value);
const char *check_workflow_path(const char *value);
const char *check_branch(const char *value);
const char *check_ref_pattern(const char *value);
const char *check_ref_to(const char *value);
const char *check_window(const char *value);
const char *check_timezone(const char *value);
const char *check_secret_ref(const char *value);
const char *check_secret_files(const char *value);
const char *check_build_secret(const char *value);
const char *check_vault_mount(const char *value);
const char *check_visible(const char *value);
const char *check_secret_id(const char *value);
const char *check_platform(const char *value);
const char *check_context(const char *value);
const char *check_app_id(const char *value);
const char *check_input_name(const char *value);
const char *check_state_url(const char *value);
const char *check_listen(const char *value);
const char *check_domain(const char *value);
const char *check_registry(const char *value);
/// Host of "127.0.0.1:5000", "localhost", "[::1]:80": this machine only.
bool spec_host_is_loopback(struct str host);

// checks_server.c
const char *check_base_url(const char *value);
const char *check_organization(const char *value);
const char *check_header(const char *value);
const char *check_ip_address(const char *value);
const char *check_specs_location(const char *value);

// checks_notify.c
const char *check_channel(const char *value);
const char *check_member_id(const char *value);
const char *check_author(const char *value);
const char *check_app_pattern(const char *value);
const char *check_private_host(const char *value);
const char *check_hook_url(const char *value);
/// Is the URL's host among them, or below a "*.example.org"?
/// What check_hook_url leaves open: may a webhook lead there? As webhook_url_problem (webhook.h).
const char *spec_hook_problem(const char *url, bool to_private);

// secrets.c: nothing that looks like a secret may travel from a file into a log
/// Does a text hold a token, a private key or a URL with a password?
bool spec_looks_like_secret(const char *value);
/// Is it a literal where the field takes a reference (or, by its check, an ARN)?
bool spec_is_literal_secret(const struct field *field, const char *value);
/// A copy with the bytes of such texts replaced by '*'; lines and columns stay.
char *secrets_mask(struct str text, struct arena *arena);
/// Complains of every secret below `node`, literals in place of references included, and masks
/// them in `display`, a copy of the document's text.
void secrets_find(const struct spec_source *source, const struct yaml_node *node,
    const struct field_table *table, char *display);

// placeholders.c
/// Finds the next "{word}" at or after *at; false when there is none.
bool placeholder_next(const char *text, size_t *at, struct str *word);
bool placeholder_is_known(struct str word);
bool text_has_placeholder(const char *text);
extern const char *const placeholder_names[];
/// Value of a placeholder, or NULL to leave it as it stands.
typedef const char *(*placeholder_lookup)(const void *ctx, struct str word);
/// NULL when the result would have more than 64 KiB.
char *placeholder_expand(
    const char *text, struct arena *arena, placeholder_lookup lookup, const void *ctx);

// document.c
struct spec_documents {
    struct spec_source config_source, app_source;
    const struct yaml_node *config_root, *app_root; // NULL: absent or unreadable
    struct config config;
    struct spec_app app;
};
/// Decodes dispatcher.yaml; an empty text gives the defaults.
void documents_load_config(struct spec_documents *documents, const struct spec_document *config,
    struct arena *arena, struct diagnostics *diagnostics);
void documents_load_app(struct spec_documents *documents, const struct spec_document *app_spec,
    struct arena *arena, struct diagnostics *diagnostics);

// lint_app.c, lint_deploy.c, lint_policy.c, lint_config.c, lint_notify.c, lint_server.c
void lint_app(struct spec_documents *documents, const char *stem);
void lint_deploy(struct spec_documents *documents);
/// One environment of the app against the organisation's floor.
void lint_floor(struct spec_documents *documents, const struct spec_environment *environment);
void lint_owner(struct spec_documents *documents);
void lint_config(struct spec_documents *documents);
/// Is the app one that the service can tell by its numbers on GitHub?
void lint_pins(const struct spec_documents *documents);
void lint_server(const struct spec_documents *documents);
/// One environment of the app, as the service would take it.
void lint_served(
    const struct spec_documents *documents, const struct spec_environment *environment);
void lint_notify_config(const struct spec_documents *documents);
void lint_notify_app(const struct spec_documents *documents);
void lint_policy_events(struct spec_documents *documents);
/// Events of a list: known to GitHub, and (unless `floor` lists them) not forbidden.
void lint_events(
    const struct spec_source *source, const struct yaml_node *list, const struct str_list *floor);
void lint_environment_name(const struct spec_documents *documents, const struct spec_source *source,
    const struct yaml_node *at, const char *name);
/// The floor of an environment, or NULL.
const struct config_policy_env *policy_of(
    const struct spec_documents *documents, const char *environment);
const struct spec_environment *environment_of(
    const struct spec_documents *documents, const char *environment);
const struct spec_service *service_of(const struct spec_documents *documents, const char *key);
/// The last of `environments`, or the one called "production".
bool environment_is_production(const struct spec_documents *documents, const char *environment);
bool str_list_has(const struct str_list *list, const char *text);

// resolve.c
struct settings *resolve_settings(
    struct spec_documents *documents, const char *app, const char *env, struct arena *arena);
