// The documents: `dispatcher.yaml` (struct config), `appspecs/<app>.yaml` (struct app_spec), and
// what the two say together about one app in one environment (struct settings).
//
// All of it is pure: texts in, structs and diagnostics out. Finding and fetching the files is
// deploy/specs. The format is docs/spec-reference.md, generated from the tables in spec/.
// Everything lives in the arena that is passed in.
#pragma once

#include "dispatcher/arena.h"
#include "dispatcher/diagnostic.h"
#include "dispatcher/field.h"

// A document as it was read.
struct spec_document {
    const char *path; // as shown to people: "appspecs/payments.yaml"
    struct str text;
};

// How App Runner asks whether an instance is well; what is 0 or NULL was not said. `path` is the
// service's written `health_check_path` where the target has none of its own.
struct setting_health_check {
    const char *protocol; // http | tcp
    const char *path;
    int64_t interval_ms, timeout_ms; // whole seconds, 1 to 20
    int64_t healthy, unhealthy;      // answers in a row, 1 to 20
};

// What is to run where. Strings are NULL and numbers 0 when the spec does not say: what it does not
// say is never sent, unless the service is created. Texts may still hold late placeholders
// (spec_expand). Keys that the kind does not take are absent here, whoever wrote them.
struct setting_target {
    const char *kind;             // ecs | ecs-express | apprunner
    const char *cluster;          // ecs, ecs-express
    const char *service;          // name; ecs-express, apprunner: or its ARN
    const char *container;        // ecs; NULL: the only one of the task definition
    bool force_new_deployment;    // ecs: roll the current revision out again, register none
    bool allow_zero;              // ecs, ecs-express: no task is wanted, and that is fine
    const char *source;           // image | code; never NULL, "image" unless said
    const char *connection;       // apprunner, code: ARN
    const char *repository_url;   // apprunner, code; NULL when created: settings.repo on GitHub
    const char *branch;           // apprunner, code; NULL when created: settings.branch, or HEAD's
    const char *source_directory; // apprunner, code: where the commands run
    const char *runtime;          // apprunner, code: NODEJS_22, …
    const char *build, *start;    // apprunner: commands; start: also of an image
    const char *access_role;      // apprunner, image: ARN of the role that pulls
    const char *instance_role;    // apprunner: ARN of the role that the instances have
    const char *vpc_connector;    // apprunner: ARN
    const char *auto_scaling;     // apprunner: ARN of the configuration
    const char *execution_role;   // ecs-express: ARN
    const char *infrastructure_role; // ecs-express: ARN
    const char *task_role;           // ecs-express: ARN
    int64_t port;
    int64_t cpu, memory; // 1024 for one vCPU; MiB
    // Three sources of plain environment variables; a name in two of them has its value from the
    // first of: environment, environment_from_outputs, environment_file.
    struct pair_list environment;
    struct pair_list environment_from_outputs; // variable to the output's name in `outputs_file`
    const char *outputs_file;                  // in the app checkout: `tofu output -json`, or flat
    const char *environment_file;              // in the app checkout: NAME=value lines
    struct pair_list secrets; // variable to the ARN of a Secrets Manager secret or SSM parameter
    bool has_health_check;    // the target has a block of that name
    struct setting_health_check health_check;
    bool create;                // ecs-express, apprunner: create the service when there is none
    bool has_public, is_public; // apprunner: said at all; reachable from the internet (true)
};

// One service of an app, with the conventions applied.
struct setting_service {
    const char *key;       // in `services:`
    const char *name;      // `name:`, else the key
    const char *image;     // external image, or NULL
    const char *image_tag; // pinned version, or NULL
    const char *dockerfile, *context;
    const char *repository;        // "my-app-staging-web"; {version} and the like already expanded
    const char *parameter;         // "/my-app/staging/web/version"
    const char *health_check_path; // "/health" unless said
    const char *subdomain;         // its own, else the app's, else the app's name
    int64_t expose;                // the port behind the load balancer, 3000 unless said
    bool deployable; // no image_tag, no external image, and in `deploy.services` if given
    bool has_image;  // false: deployed from source code, so none is built, pushed or asked for
    struct setting_target target; // `deploy.targets.<key>` over `deploy.target`
    bool has_target;
};

// One service for each entry point that `files` finds in the app checkout. The texts of `target`
// may hold {worker} and {worker_file}: expand them by spec_expand for each (spec_worker_name).
// target.service is "{name}-{env}-{worker}" unless said.
struct setting_workers {
    const char *files;            // "apps/api/src/workers/*.ts": '*' does not cross a '/'
    struct setting_target target; // nothing of `deploy.target`
    bool remove_orphans;          // false: a service whose entry point is gone is only reported
    const char *workflow_input;   // of the infra workflow: gets the names as a JSON list; or NULL
};

// A one-off task on the new image, before anything is rolled out; its target is of ECS.
struct setting_migrate {
    const char *service; // key of a deployable service that has a target
    struct str_list command;
    int64_t timeout_ms; // 10 min unless said
};

// One HTTP check after the rollout; all may still hold late placeholders.
struct setting_verify {
    const char *url;
    int64_t expect;        // HTTP status, 200 unless said
    struct pair_list body; // members of the JSON answer and what they must be
    int64_t within_ms;     // how long to keep asking, 5 min unless said
};

struct setting_rollout {
    int64_t parallel;      // how many services at a time, 4 unless said
    struct str_list order; // keys of services: one after the other, before all others
    int64_t timeout_ms;    // when we stop waiting, 30 min unless said
};

// One rule of `allow:`.
struct setting_allow {
    const char *id;
    struct str_list refs, events;
    const char *runner;    // any | github-hosted | self-hosted
    struct str_list teams; // the actor is in one of them; empty: anybody
    bool deny_bots;
};

// Who may ask the service to deploy (app, env), and through what; the floor is applied. What is 0,
// NULL or empty was not said.
struct setting_identity {
    int64_t repository_id, owner_id;
    bool has_owners;          // it is written whose repositories may deploy: theirs, no others'
    struct str_list owners;   // policy.owners, decimal
    const char *mode;         // enforce | audit
    const char *workflow;     // ".github/workflows/deploy.yaml"
    const char *via_workflow; // "org/repo/.github/workflows/app-deploy.yaml"
    struct str_list via_refs; // of that
    const char *github_environment;
    bool floor_has_events;        // it says which events may deploy: those, and no other ones
    struct str_list floor_events;
    const char *floor_runner;     // any | github-hosted | self-hosted
};
struct setting_promote {
    const char *environment; // NULL: no order
    int64_t soak_ms;
    bool same_digest;
};
struct setting_approvals {
    int64_t count, valid_for_ms;
    struct str_list teams;
    bool self, rollback_exempt;
};

// The `server:` and `state:` blocks, for `dispatcher serve`. *ref* are secret references.
// Which secrets of the service's machine what it reads from the infra repository may name: nothing
// unless its own file says so. Secrets of stores (ssm:, secretsmanager:, vault:) need no permission
// here: the stores ask who reads.
struct setting_secrets {
    struct str_list files; // absolute paths; `*` inside a segment, `**` across
    struct str_list env;   // names of variables
    struct str_list own;   // references of the service itself: never, whatever the two say
};
#define SPEC_SECRET_ALLOWED_BY                                                                     \
    "keep it in ssm:, secretsmanager: or vault:, or have whoever runs the service list it in "     \
    "'server.secrets' of its own file"
/// Why a reference of a spec is refused; NULL: it may be read. No file is opened.
const char *spec_secret_refusal(
    const struct setting_secrets *allowed, const char *reference, struct arena *arena);

struct setting_server {
    const char *listen, *url;
    const char *tls_certificate, *tls_key;    // paths of PEM files; NULL: plain, behind a proxy
    const char *state;                        // "sqlite:PATH" or "postgresql://…"
    int64_t state_connections;                // PostgreSQL: that requests share
    const char *specs;                        // directory or git URL; NULL: of workflow.repo
    int64_t specs_every_ms, specs_max_age_ms; // 1 min, 1 h unless said
    const char *issuer, *audience,
        *jwks;                        // GitHub's, `url`, "<issuer>/.well-known/jwks" unless said
    const char *organization;         // login: whose members may sign in
    struct str_list admins;           // teams that may lift locks of others, and hurry
    struct str_list webhook_secrets;  // *ref*, one or two
    const char *slack_signing_secret; // *ref* or NULL
    const char *oauth_client_id, *oauth_client_secret; // *ref*; NULL: nobody signs in by GitHub
    const char *proxy_header;        // of a trusted proxy that signs people in, or NULL
    struct str_list proxy_addresses; // the only peers whose header counts
    int64_t workers;                 // threads, 4
    int64_t connections;             // 4,096
    int64_t streams;                 // event streams of one repository or person, 64
    int64_t rate;                    // requests a minute of one repository or person, 120
    int64_t people_every_ms;         // how long what GitHub says of people is kept, 5 min
    int64_t queue_limit;             // queued jobs of one lane, 100
    int64_t queue_max_age_ms;        // how long one may wait, 7 d
    int64_t poll_ms;                 // shared poll of an infra repository, 60 s
    int64_t drift_interval_ms;       // between two looks at a lane, 10 min; 0: never
    int64_t keep_events_ms, keep_deliveries_ms; // 400 d, 7 d
    const char *otlp;                           // "http://127.0.0.1:4318" or NULL
    const char *push_role; // ARN whose narrowed credentials a push may get, or NULL
    bool proxy;            // HTTPS_PROXY and NO_PROXY are honoured
    const char *github_api, *github_app_id, *github_app_key, *workflow_repo; // as elsewhere
    struct setting_secrets secrets;
};

struct setting_window {
    const char *deny, *tz, *reason, *manual;
};

// Where `vault:` references are read, and as whom; all NULL when the files do not say. The
// environment's VAULT_ADDR, VAULT_NAMESPACE and VAULT_TOKEN go before it.
struct setting_vault {
    const char *address, *namespace;
    const char *auth; // token | aws | jwt
    const char *role, *mount, *audience, *server_id;
    const char *sts_region;
};

// Somebody to tell. Secrets are references; texts may still hold late placeholders. A sink of the
// app's spec is merged key by key over the organisation's of the same name.
struct setting_sink {
    const char *name;
    const char *kind;    // github | slack | pagerduty | webhook
    const char *token;   // slack: "env:SLACK_BOT_TOKEN" unless said (and unless `webhook` is)
    const char *channel; // slack
    const char *webhook; // slack: reference to an incoming webhook, instead of token and channel
    const char *url, *secret; // webhook
    const char *routing_key;  // pagerduty: "env:PAGERDUTY_ROUTING_KEY" unless said
    const char *region;       // pagerduty: us (unless said) | eu
    // pagerduty: those of is_production unless said, and what opens an incident there:
    // restored, not-restored, unknown and timed-out unless said
    struct str_list incident_environments, incident_outcomes;
    bool deployment, status, comment; // github: true unless said
    const char *check;                // github: auto (with an App; unless said) | always | never
    bool to_private; // webhook: its host is in `notify.private_hosts` of dispatcher.yaml
};

// The ways in which a deployment may stand, as `outcomes` lists them: started, waiting, deployed,
// rolled-back, failed (nothing was changed), restored, not-restored, unknown, timed-out,
// interrupted, cancelled, superseded; NULL-terminated, in the order of deploy's enum
// report_outcome. "failures" in a list stands for failed, restored, not-restored, unknown and
// timed-out.
extern const char *const spec_outcomes[];

struct setting_notify {
    struct setting_sink
        *sinks; // those that a route of this app and environment leads to, each once
    size_t sink_count;
    struct str_list
        *outcomes; // by sink: the union of its routes, words of spec_outcomes; empty: all
    struct pair_list members;      // e-mail address or author name to Slack member id
    struct str_list verbs;         // deploy and rollback unless said
    struct str_list private_hosts; // the organisation\'s: "hooks.example.org", "*.example.org"
    const char *environment_url;   // may hold late placeholders
};

// Where an effective value came from, for `spec show`.
struct setting_origin {
    const char *key; // "workflow.repo"
    const char *value;
    const char *file; // NULL: built-in default or the command line
    unsigned line;
};

// Everything about (app, env) that a deployment needs; precedence already applied (spec-format.md).
struct settings {
    const char *app;  // the file stem
    const char *name; // `name:`
    const char *title;
    const char *env;
    const char *repo;      // owner/repo of the app, or NULL
    const char *subdomain; // the app's name unless said
    bool enabled;
    const char *via;          // workflow | direct
    const char *version_from; // sha | tag
    const char *compression, *on_failure, *on_cancel, *on_timeout;
    const char *stale; // reject | warn | allow
    // The gate on ECR's scan findings; scan_block NULL: none.
    const char *scan_block;      // critical | high | medium | low
    const char *scan_on_missing; // fail | warn
    int64_t scan_wait_ms;

    // region, account: NULL when dispatcher.yaml does not say; role and registry then still hold
    // {region} or {account}, as the credential chain knows them: pass both through spec_expand.
    const char *region, *account, *prefix, *role;
    const char *registry; // host and port without scheme
    bool create_repository;
    struct setting_service *services;
    size_t service_count;

    const char *build_platform;                 // NULL: the builder's own
    struct pair_list build_args, build_secrets; // args may still hold late placeholders;
                                                // secrets: id to "env:VAR" or "file:PATH"

    const char *github_api, *github_app_id, *github_app_key; // key: a secret reference
    struct setting_vault vault;
    const char *workflow_repo, *workflow_file, *workflow_ref, *workflow_id_input;
    struct pair_list workflow_inputs; // may still hold {version} {digest} {sha} {tag}
    int64_t workflow_timeout_ms, workflow_queue_timeout_ms;

    bool has_allow; // `allow` or `branch` was written; an empty list then means never
    struct setting_allow *allow;
    size_t allow_count;
    struct setting_window *windows;
    size_t window_count;
    const char *branch;  // the environment's `branch`, or NULL
    const char *program; // `program:`, else the name
    struct setting_identity identity;
    struct setting_promote promote_from;
    struct setting_approvals approvals;
    bool queue_latest; // `queue: latest`
    struct str_list emergency_teams;
    struct setting_target target;
    bool has_target;
    struct setting_workers workers;
    bool has_workers;
    struct setting_migrate migrate;
    bool has_migrate;
    struct setting_verify *verify;
    size_t verify_count;
    struct setting_rollout rollout;
    bool rollback_lock;    // a rollback locks the environment
    int64_t rollback_keep; // how many proven releases are kept to go back to, 10 unless said
    struct setting_notify notify;
    bool is_production; // the last of `environments`, or one called "production"

    struct setting_origin *origins;
    size_t origin_count;
};

/// Decodes both documents (config may have an empty text: defaults) and resolves them for `app` and
/// `env`. Any error-level diagnostic leaves *out NULL. Unknown environment: a diagnostic of
/// dispatcher.yaml, or ERROR_USAGE-free: it is listed with "did you mean".
void settings_resolve(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, const char *env, struct arena *arena, struct diagnostics *diagnostics,
    struct settings **out);

// Both documents, read once for several environments. It lives in its arena, and `diagnostics` must
// live as long.
struct settings_source;
struct settings_source *settings_source_new(const struct spec_document *config,
    const struct spec_document *app_spec, const char *app, struct arena *arena,
    struct diagnostics *diagnostics);
/// What settings_resolve gives; into the source's arena and diagnostics.
void settings_source_resolve(
    struct settings_source *source, const char *env, struct settings **out);

/// The service's own settings from its dispatcher.yaml; *out NULL when there is an error.
void settings_server(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct setting_server **out);

/// Is the URL's host among them, or below a "*.example.org"? False for what is no URL.
bool spec_host_is_listed(const struct str_list *hosts, const char *url);

/// The service of that key, or NULL.
const struct setting_service *settings_service(const struct settings *settings, const char *key);

// What starts a deployment, as GitHub says it.
struct setting_trigger {
    const char *ref;   // refs/heads/main
    const char *event; // push; NULL: not asked
};
/// May it deploy by this rule (`*` inside a segment, `**` across; an empty list is never)?
bool settings_rule_accepts(const struct setting_allow *rule, const struct setting_trigger *trigger);
/// The environments of the spec whose `branch` or `allow` accepts it, in promotion order; an
/// environment without either accepts none here, since it names no ref. Count 0: no error.
void settings_environments_for_ref(const struct spec_document *config,
    const struct spec_document *app_spec, const struct setting_trigger *trigger,
    struct arena *arena, struct diagnostics *diagnostics, struct str_list *out);

/// What {worker} stands for: an entry point's file name up to its first dot ("mail" for
/// "src/workers/mail.ts"). NULL when nothing is left.
const char *spec_worker_name(const char *path, struct arena *arena);
/// What {worker_file} stands for: the file name as it is ("mail.ts").
const char *spec_worker_file(const char *path);

/// What dispatcher.yaml says of where specs live, for deploy/specs ("appspecs" by default).
void config_specs_directory(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, const char **out);
/// The environments listed in dispatcher.yaml, in promotion order; count 0 when none are.
void config_environments(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct str_list *out);

// What dispatcher.yaml says of GitHub.
struct setting_github {
    const char *api;              // https://api.github.com unless said
    const char *app_id, *app_key; // key: a secret reference
};
void config_github(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct setting_github *out);

/// `repo` of an app's spec; NULL without one that could be. For `spec pin`.
const char *spec_repository(const struct spec_document *document, struct arena *arena);
/// `deploy.repository_id` and `deploy.owner_id`; 0 for what is not there.
void spec_pinned(const struct spec_document *document, struct arena *arena, int64_t *repository_id,
    int64_t *owner_id);
/// The same text with the two numbers in it: a minimal edit, comments and layout stay. ERROR_SPEC
/// when the text is written in a way that allows none.
NODISCARD struct error *spec_pin(
    const struct spec_document *document, int64_t repository_id, int64_t owner_id, struct buf *out);

/// Decodes and checks only: every diagnostic of facts/appspec.md. For `spec lint`.
void spec_lint_app(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, struct diagnostics *diagnostics);
void spec_lint_config(const struct spec_document *config, struct diagnostics *diagnostics);
/// What a service checks besides, of documents without errors: the secrets that sinks name, or take
/// where they name none.
void spec_lint_served_config(const struct spec_document *config,
    const struct setting_secrets *allowed, struct diagnostics *diagnostics);
void spec_lint_served_app(const struct spec_document *config, const struct spec_document *app_spec,
    const struct setting_secrets *allowed, struct diagnostics *diagnostics);

/// Canonical layout of a document, comments kept; `spec fmt`.
NODISCARD struct error *spec_format(const struct spec_document *document, struct buf *out);
/// JSON Schema (2020-12) of "app" or "config"; `spec schema`.
NODISCARD struct error *spec_schema(const char *which, struct buf *out);
/// Markdown of docs/spec-reference.md.
void spec_reference(struct buf *out);

// Values known only later.
struct spec_context {
    const char *version, *digest, *sha, *tag, *service;
    const char *account, *region;     // used where the settings have none
    const char *worker, *worker_file; // of setting_workers.target
};
/// Expands the late placeholders; ERROR_SPEC names one that is unset.
NODISCARD struct error *spec_expand(const struct settings *settings,
    const struct spec_context *context, const char *template, struct arena *arena,
    const char **out);
