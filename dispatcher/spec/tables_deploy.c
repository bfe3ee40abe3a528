// The `deploy:` block as field tables (spec-format.md). Data only.
#include "patterns.h"
#include "spec_internal.h"

static const char *const runners[] = {"any", "github-hosted", "self-hosted", NULL};

static const struct field build_fields[] = {
    FIELD(struct spec_build, platform, "platform", FIELD_STR, .check = check_platform,
        .pattern = PATTERN_PLATFORM, .fallback = "the builder's own",
        .doc = "What `--build` builds for, like `linux/amd64`."),
    FIELD(struct spec_build, args, "args", FIELD_MAP_STR, .placeholders = true,
        .numeric_text = true, .key_check = check_env_name, .key_pattern = PATTERN_ENV_NAME,
        .key_label = "argument", .doc = "Build arguments; never secrets: an image shows them."),
    FIELD(struct spec_build, secrets, "secrets", FIELD_MAP_STR, .secret_ref = true,
        .check = check_build_secret, .pattern = PATTERN_BUILD_SECRET, .key_check = check_secret_id,
        .key_pattern = PATTERN_SECRET_ID, .key_label = "id",
        .doc = "`env:VAR` or `file:PATH` (from the checkout), for `RUN --mount=type=secret`."),
};
static const struct field_table build_table = FIELD_TABLE("build", struct spec_build, build_fields);

static const struct field migrate_fields[] = {
    FIELD(struct spec_migrate, service, "service", FIELD_STR,
        .doc = "Whose image and network the one-off task uses; its target is of ECS.",
        .fallback = "the only service"),
    FIELD(struct spec_migrate, command, "command", FIELD_LIST_STR, .placeholders = true,
        .doc = "Command and arguments; required once merged."),
    FIELD(struct spec_migrate, timeout_ms, "timeout", FIELD_DURATION, .min = 1000, .max = 86400000,
        .fallback = "10m", .doc = "How long it may take."),
};
static const struct field_table migrate_table =
    FIELD_TABLE("migrate", struct spec_migrate, migrate_fields);

static const struct field verify_fields[] = {
    FIELD(struct spec_verify, url, "url", FIELD_STR, .required = true, .check = check_url,
        .pattern = PATTERN_URL, .placeholders = true, .doc = "Asked after the rollout; https."),
    FIELD(struct spec_verify, expect, "expect", FIELD_INT, .min = 100, .max = 599,
        .fallback = "200", .doc = "HTTP status that counts as healthy."),
    FIELD(struct spec_verify, body, "body", FIELD_MAP_STR, .placeholders = true,
        .key_label = "field", .doc = "Fields of the JSON answer and what they must be."),
    FIELD(struct spec_verify, within_ms, "within", FIELD_DURATION, .min = 1000, .max = 86400000,
        .fallback = "5m", .doc = "How long to keep asking."),
};
static const struct field_table verify_table =
    FIELD_TABLE("verify", struct spec_verify, verify_fields);

static const struct field rollout_fields[] = {
    FIELD(struct spec_rollout, parallel, "parallel", FIELD_INT, .min = 1, .max = 200,
        .fallback = "4", .doc = "How many services roll out at a time."),
    FIELD(struct spec_rollout, order, "order", FIELD_LIST_STR,
        .doc = "Services that roll out one after the other, before all others."),
    FIELD(struct spec_rollout, timeout_ms, "timeout", FIELD_DURATION, .min = 1000, .max = 86400000,
        .fallback = "30m", .doc = "When we stop waiting for it; it is not undone by that."),
};
static const struct field_table rollout_table =
    FIELD_TABLE("rollout", struct spec_rollout, rollout_fields);

static const struct field image_scan_fields[] = {
    FIELD(struct spec_image_scan, block, "block", FIELD_STR,
        .values = (const char *const[]){"critical", "high", "medium", "low", NULL},
        .doc = "Findings of this severity and above block; required once `deploy` and its "
               "environment are merged."),
    FIELD(struct spec_image_scan, wait_ms, "wait", FIELD_DURATION, .min = 1000, .max = 86400000,
        .fallback = "10m", .doc = "How long the scan may take."),
    FIELD(struct spec_image_scan, on_missing, "on_missing", FIELD_STR,
        .values = (const char *const[]){"fail", "warn", NULL}, .fallback = "fail",
        .doc = "What happens when there is no result: the scan does not end, fails, or cannot read "
               "such an image."),
};
static const struct field_table image_scan_table =
    FIELD_TABLE("image_scan", struct spec_image_scan, image_scan_fields);

static const struct field via_workflow_fields[] = {
    FIELD(struct spec_via_workflow, ref_to, "ref_to", FIELD_STR, .required = true,
        .check = check_ref_to, .pattern = PATTERN_REF_TO,
        .doc = "The reusable workflow that the caller's job must run inside."),
    FIELD(struct spec_via_workflow, refs, "refs", FIELD_LIST_STR, .check = check_ref_pattern,
        .pattern = PATTERN_REF, .doc = "At which refs of it. Empty: none, so nobody may deploy."),
};
static const struct field_table via_workflow_table =
    FIELD_TABLE("via_workflow", struct spec_via_workflow, via_workflow_fields);

static const struct field actors_fields[] = {
    FIELD(struct spec_actors, teams, "teams", FIELD_LIST_STR, .check = check_key_name,
        .pattern = PATTERN_KEY_NAME, .doc = "GitHub teams whose members may."),
    FIELD(struct spec_actors, deny_bots, "deny_bots", FIELD_BOOL, .fallback = "false",
        .doc = "Whether bots may not."),
};
static const struct field_table actors_table =
    FIELD_TABLE("actors", struct spec_actors, actors_fields);

static const struct field allow_fields[] = {
    FIELD(struct spec_allow, id, "id", FIELD_STR, .required = true, .check = check_name,
        .pattern = PATTERN_NAME, .doc = "Name of the rule, for messages and audit."),
    FIELD(struct spec_allow, refs, "refs", FIELD_LIST_STR, .required = true,
        .check = check_ref_pattern, .pattern = PATTERN_REF,
        .doc = "Refs that may deploy; `*` inside a segment, `**` across. Empty: never."),
    FIELD(struct spec_allow, events, "events", FIELD_LIST_STR,
        .fallback = "[push, workflow_dispatch]", .doc = "GitHub Actions events that may deploy."),
    FIELD(struct spec_allow, runner, "runner", FIELD_STR, .values = runners,
        .fallback = "`any`; in production `github-hosted`",
        .doc = "Where the caller's job must run."),
    FIELD(struct spec_allow, actors, "actors", FIELD_OBJECT, .table = &actors_table,
        .doc = "Who may deploy."),
};
static const struct field_table allow_table = FIELD_TABLE("allow", struct spec_allow, allow_fields);

static const struct field promote_fields[] = {
    FIELD(struct spec_promote, environment, "environment", FIELD_STR, .required = true,
        .check = check_name, .pattern = PATTERN_NAME,
        .doc = "Where the version must have been before."),
    FIELD(struct spec_promote, soak_ms, "soak", FIELD_DURATION, .fallback = "0s",
        .doc = "For how long, without a break."),
    FIELD(struct spec_promote, same_digest, "same_digest", FIELD_BOOL, .fallback = "false",
        .doc = "Whether the very same image is asked for."),
};
static const struct field_table promote_table =
    FIELD_TABLE("promote_from", struct spec_promote, promote_fields);

static const struct field approvals_fields[] = {
    FIELD(struct spec_approvals, count, "count", FIELD_INT, .min = 0, .max = 10, .fallback = "0",
        .doc = "How many people must approve."),
    FIELD(struct spec_approvals, teams, "teams", FIELD_LIST_STR, .check = check_key_name,
        .pattern = PATTERN_KEY_NAME,
        .doc = "GitHub teams whose members may approve; none: everybody who may sign in."),
    FIELD(struct spec_approvals, self, "self", FIELD_BOOL, .fallback = "false",
        .doc = "Whether the requester's own approval counts."),
    FIELD(struct spec_approvals, valid_for_ms, "valid_for", FIELD_DURATION, .min = 60000,
        .max = INT64_C(2592000000), .fallback = "4h", .doc = "When an approval expires."),
    FIELD(struct spec_approvals, rollback_exempt, "rollback_exempt", FIELD_BOOL,
        .fallback = "false", .doc = "Whether a rollback needs none."),
};
const struct field_table spec_approvals_table =
    FIELD_TABLE("approvals", struct spec_approvals, approvals_fields);

static const struct field window_fields[] = {
    FIELD(struct spec_window, deny, "deny", FIELD_STR, .required = true, .check = check_window,
        .pattern = PATTERN_WINDOW,
        .doc = "Weekly time without deployments: `Fri 15:00 - Mon 07:00`."),
    FIELD(struct spec_window, tz, "tz", FIELD_STR, .check = check_timezone,
        .pattern = PATTERN_TIMEZONE, .fallback = "UTC", .doc = "IANA time zone."),
    FIELD(struct spec_window, reason, "reason", FIELD_STR, .doc = "Shown to whoever is refused."),
    FIELD(struct spec_window, manual, "manual", FIELD_STR,
        .values = (const char *const[]){"emergency", NULL},
        .doc = "`emergency`: people may still deploy by the emergency path."),
};
static const struct field_table window_table =
    FIELD_TABLE("windows", struct spec_window, window_fields);

static const struct field rollback_fields[] = {
    FIELD(struct spec_rollback, lock, "lock", FIELD_BOOL, .fallback = "false",
        .doc = "Whether a rollback locks the environment."),
    FIELD(struct spec_rollback, keep, "keep", FIELD_INT, .min = 1, .max = 100, .fallback = "10",
        .doc = "How many proven releases are kept to go back to."),
};
static const struct field_table rollback_table =
    FIELD_TABLE("rollback", struct spec_rollback, rollback_fields);

static const struct field emergency_fields[] = {
    FIELD(struct spec_emergency, teams, "teams", FIELD_LIST_STR, .required = true,
        .check = check_key_name, .pattern = PATTERN_KEY_NAME,
        .doc = "GitHub teams whose members may take the emergency path."),
};
static const struct field_table emergency_table =
    FIELD_TABLE("emergency", struct spec_emergency, emergency_fields);

// What `deploy` and each environment may both say.
#define BEHAVIOUR_FIELDS(type)                                                                     \
    FIELD(type, behaviour.via, "via", FIELD_STR,                                                   \
        .values = (const char *const[]){"workflow", "direct", NULL}, .fallback = "workflow",       \
        .doc = "Trigger the infra workflow, or roll out from here."),                              \
        FIELD(type, behaviour.region, "region", FIELD_STR, .check = check_region,                  \
            .pattern = PATTERN_REGION, .fallback = "`aws.region` of dispatcher.yaml",              \
            .doc = "AWS region of an app that is elsewhere than the others."),                     \
        FIELD(type, behaviour.version, "version", FIELD_STR,                                       \
            .values = (const char *const[]){"sha", "tag", NULL}, .fallback = "sha",                \
            .doc = "The version is the full commit, or the semantic version tagged at it."),       \
        FIELD(type, behaviour.services, "services", FIELD_LIST_STR,                                \
            .fallback = "every service without `image_tag` and without an external `image`",       \
            .doc = "Which services a deployment is about."),                                       \
        FIELD(type, behaviour.compression, "compression", FIELD_STR,                               \
            .values = (const char *const[]){"fast", "small", "zstd", NULL}, .fallback = "fast",    \
            .doc = "How layers are compressed for the push."),                                     \
        FIELD(type, behaviour.on_failure, "on_failure", FIELD_STR,                                 \
            .values = (const char *const[]){"restore", "keep", NULL}, .fallback = "restore",       \
            .doc = "What becomes of the version parameter when the deployment fails."),            \
        FIELD(type, behaviour.on_cancel, "on_cancel", FIELD_STR,                                   \
            .values = (const char *const[]){"leave", "cancel", NULL}, .fallback = "leave",         \
            .doc = "What becomes of the remote run when we are interrupted."),                     \
        FIELD(type, behaviour.on_timeout, "on_timeout", FIELD_STR,                                 \
            .values = (const char *const[]){"leave", "cancel", NULL}, .fallback = "leave",         \
            .doc = "What becomes of the remote run when the time is up."),                         \
        FIELD(type, behaviour.target, "target", FIELD_OBJECT, .table = &spec_target_table,         \
            .doc = "What the services run on; merged key by key."),                                \
        FIELD(type, behaviour.targets, "targets", FIELD_MAP_OBJECT, .table = &spec_target_table,   \
            .key_check = check_key_name, .key_pattern = PATTERN_KEY_NAME, .key_label = "service",  \
            .doc = "The same by service, over `target`."),                                         \
        FIELD(type, behaviour.workers, "workers", FIELD_OBJECT, .table = &spec_workers_table,      \
            .doc = "One service for each entry point found in the app repository."),               \
        FIELD(type, behaviour.build, "build", FIELD_OBJECT, .table = &build_table,                 \
            .doc = "How `--build` makes the images."),                                             \
        FIELD(type, behaviour.migrate, "migrate", FIELD_OBJECT, .table = &migrate_table,           \
            .doc = "One-off task on the new image, before the rollout. Merged key by key."),       \
        FIELD(type, behaviour.rollout, "rollout", FIELD_OBJECT, .table = &rollout_table,           \
            .doc = "How many services at a time, and in which order. Merged key by key."),         \
        FIELD(type, behaviour.verify, "verify", FIELD_LIST_OBJECT, .table = &verify_table,         \
            .doc = "HTTP checks after the rollout."),                                              \
        FIELD(type, behaviour.image_scan, "image_scan", FIELD_OBJECT, .table = &image_scan_table,  \
            .doc = "ECR's scan of the image must have found nothing bad; absent: not asked. "      \
                   "Merged key by key."),                                                          \
        FIELD(type, behaviour.notify, "notify", FIELD_OBJECT, .table = &spec_notify_table,         \
            .doc = "Whom to tell, beside and over what dispatcher.yaml says.")

static const struct field environment_fields[] = {
    FIELD(struct spec_environment, branch, "branch", FIELD_STR, .check = check_branch,
        .pattern = PATTERN_BRANCH,
        .doc = "Short for `allow: [{id: branch, refs: [refs/heads/X]}]`. Both also say which "
               "environment it is when `deploy` is given none."),
    FIELD(struct spec_environment, allow, "allow", FIELD_LIST_OBJECT, .table = &allow_table,
        .doc = "Who may deploy: any rule, all of its keys. Empty: nobody."),
    FIELD(struct spec_environment, github_environment, "github_environment", FIELD_STR,
        .placeholders = true, .doc = "GitHub environment that the caller's job must use."),
    FIELD(struct spec_environment, promote_from, "promote_from", FIELD_OBJECT,
        .table = &promote_table, .doc = "Only versions that were somewhere else before."),
    FIELD(struct spec_environment, queue, "queue", FIELD_STR,
        .values = (const char *const[]){"all", "latest", NULL}, .fallback = "all",
        .doc = "Whether waiting deployments all run, or only the latest: the last one that was "
               "asked for, and of two pushes the one whose workflow run is the later."),
    FIELD(struct spec_environment, stale, "stale", FIELD_STR,
        .values = (const char *const[]){"reject", "warn", "allow", NULL}, .fallback = "reject",
        .doc = "What happens to a commit older than the one deployed."),
    FIELD(struct spec_environment, approvals, "approvals", FIELD_OBJECT,
        .table = &spec_approvals_table, .doc = "Who must approve."),
    FIELD(struct spec_environment, windows, "windows", FIELD_LIST_OBJECT, .table = &window_table,
        .doc = "When nothing is deployed."),
    FIELD(struct spec_environment, rollback, "rollback", FIELD_OBJECT, .table = &rollback_table,
        .doc = "How rollbacks behave."),
    FIELD(struct spec_environment, emergency, "emergency", FIELD_OBJECT, .table = &emergency_table,
        .doc = "Who may pass windows and approvals."),
    BEHAVIOUR_FIELDS(struct spec_environment),
};
static const struct field_table environment_table =
    FIELD_TABLE("environment", struct spec_environment, environment_fields);

static const struct field deploy_fields[] = {
    BEHAVIOUR_FIELDS(struct spec_deploy),
    FIELD(struct spec_deploy, repository_id, "repository_id", FIELD_INT, .min = 1, .max = INT64_MAX,
        .doc = "GitHub's number of the app repository; `spec pin` fills it in."),
    FIELD(struct spec_deploy, owner_id, "owner_id", FIELD_INT, .min = 1, .max = INT64_MAX,
        .doc = "GitHub's number of its owner; `spec pin` fills it in."),
    FIELD(struct spec_deploy, mode, "mode", FIELD_STR,
        .values = (const char *const[]){"enforce", "audit", NULL}, .fallback = "enforce",
        .doc = "`audit`: the service writes down what `allow`, `workflow` and "
               "`github_environment` would refuse, and lets it pass; identity and the "
               "organisation's floor still hold."),
    FIELD(struct spec_deploy, workflow, "workflow", FIELD_STR, .check = check_workflow_path,
        .pattern = PATTERN_WORKFLOW_PATH, .doc = "The caller's workflow file, exact."),
    FIELD(struct spec_deploy, via_workflow, "via_workflow", FIELD_OBJECT,
        .table = &via_workflow_table, .doc = "Reusable workflow that the caller must run inside."),
    FIELD(struct spec_deploy, environments, "environments", FIELD_MAP_OBJECT,
        .table = &environment_table, .key_check = check_name, .key_pattern = PATTERN_NAME,
        .key_label = "environment", .max = 40, .doc = "What differs by environment, 40 at most."),
};
const struct field_table spec_deploy_table =
    FIELD_TABLE("deploy", struct spec_deploy, deploy_fields);
