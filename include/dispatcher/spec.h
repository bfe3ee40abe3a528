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

// What is to run where; all strings NULL when absent. May still hold late placeholders
// (spec_expand).
struct setting_target {
    const char *kind; // ecs | ecs-express | apprunner
    const char *cluster, *service, *container;
    const char *source, *connection, *start, *access_role; // apprunner
    int64_t port;                                          // 0: not given
};

// One service of an app, with the conventions applied.
struct setting_service {
    const char *key;       // in `services:`
    const char *name;      // `name:`, else the key
    const char *image;     // external image, or NULL
    const char *image_tag; // pinned version, or NULL
    const char *dockerfile, *context;
    const char *repository; // "my-app-staging-web"; {version} and the like already expanded
    const char *parameter;  // "/my-app/staging/web/version"
    bool deployable;        // no image_tag, no external image, and in `deploy.services` if given
    struct setting_target target; // `deploy.targets.<key>` over `deploy.target`
    bool has_target;
};

// One rule of `allow:`.
struct setting_allow {
    const char *id;
    struct str_list refs, events;
};

struct setting_window {
    const char *deny, *tz, *reason, *manual;
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
    const char *repo; // owner/repo of the app, or NULL
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
    const char *workflow_repo, *workflow_file, *workflow_ref, *workflow_id_input;
    struct pair_list workflow_inputs; // may still hold {version} {digest} {sha} {tag}
    int64_t workflow_timeout_ms, workflow_queue_timeout_ms;

    bool has_allow; // `allow` or `branch` was written; an empty list then means never
    struct setting_allow *allow;
    size_t allow_count;
    struct setting_window *windows;
    size_t window_count;
    struct setting_target target;
    bool has_target;

    struct setting_origin *origins;
    size_t origin_count;
};

/// Decodes both documents (config may have an empty text: defaults) and resolves them for `app` and
/// `env`. Any error-level diagnostic leaves *out NULL. Unknown environment: a diagnostic of
/// dispatcher.yaml, or ERROR_USAGE-free: it is listed with "did you mean".
void settings_resolve(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, const char *env, struct arena *arena, struct diagnostics *diagnostics,
    struct settings **out);

/// What dispatcher.yaml says of where specs live, for deploy/specs ("appspecs" by default).
void config_specs_directory(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, const char **out);
/// The environments listed in dispatcher.yaml, in promotion order; count 0 when none are.
void config_environments(const struct spec_document *config, struct arena *arena,
    struct diagnostics *diagnostics, struct str_list *out);

/// Decodes and checks only: every diagnostic of facts/appspec.md. For `spec lint`.
void spec_lint_app(const struct spec_document *config, const struct spec_document *app_spec,
    const char *app, struct diagnostics *diagnostics);
void spec_lint_config(const struct spec_document *config, struct diagnostics *diagnostics);

/// Canonical layout of a document, comments kept; `spec fmt`.
NODISCARD struct error *spec_format(const struct spec_document *document, struct buf *out);
/// JSON Schema (2020-12) of "app" or "config"; `spec schema`.
NODISCARD struct error *spec_schema(const char *which, struct buf *out);
/// Markdown of docs/spec-reference.md.
void spec_reference(struct buf *out);

// Values known only later.
struct spec_context {
    const char *version, *digest, *sha, *tag, *service;
    const char *account, *region; // used where the settings have none
};
/// Expands the late placeholders; ERROR_SPEC names one that is unset.
NODISCARD struct error *spec_expand(const struct settings *settings,
    const struct spec_context *context, const char *template, struct arena *arena,
    const char **out);
