// Shared inside deploy/: the context, the steps' shape, and the small services between the files.
//
//     specs.c      finds and reads the documents
//     ref.c        which branch or tag this is, and where it leads
//     prepare.c    request + documents + git facts → a deployment, with every local guard
//     snapshot.c   the remote reads
//     plan.c       pure: facts → steps with reasons
//     step_*.c     effects, each with its undo
//     engine.c     drives steps through the journal, decides the outcome
//     providers.c  opens AWS, GitHub and registry clients when first needed
//     secret_reference.c  "env:VAR" to "vault:…" into a secret, and the Vault client
//     report_*.c   the result as text
#pragma once

#include "dispatcher/aws.h"
#include "dispatcher/deploy_service.h"
#include "dispatcher/git.h"
#include "dispatcher/github.h"
#include "dispatcher/registry.h"
#include "dispatcher/spec.h"
#include "pace.h"

struct vault_client;
struct secret_entry;
// target_apprunner_memory.c: what a process remembers of App Runner, beside the journal.
struct apprunner_memory;
struct deploy_context;
void apprunner_memory_free(struct apprunner_memory *memory);

struct deploy_context {
    const struct platform *platform;
    struct http_client *http;
    const char *ca_file, *proxy, *no_proxy;
    char *state_path;
    bool live;
    const struct deploy_observer *observer;
    struct store *store;
    struct aws_session *aws;
    struct github_client *github;
    struct registry_client *registry;
    char *registry_host; // what `registry` speaks to
    struct vault_client *vault;
    char *vault_sts_region; // its AWS login is signed for; NULL: the global endpoint
    struct deploy_secret_rule secret_rule;
    struct secret_entry *secrets; // what references gave
    size_t secret_count;
    struct deploy_pace *pace; // of the deployment that is driven, while it is
    bool ecs_classic; // service deployments may not be read: only the classic ids are followed
    struct apprunner_memory *apprunner; // of a plan; the pace of whoever drives it takes it over
    // The place that the clients are opened for (place.c), and what GitHub's had counted before.
    char *aws_scope, *github_scope;
    int64_t quota_base;
    // Reporting: whom to wake when there is something to tell; and of a courier's context, the
    // client for the app's repository, which one that is, and the place that all clients are opened
    // for.
    struct deploy_courier *courier;
    struct github_client *reports;
    char *reports_of, *scope;
    struct github_client *history; // of a repository, and which one that is
    char *history_of;
    // Of a courier's: which lanes it works on.
    enum { COURIER_ALL, COURIER_WELL, COURIER_IN_TROUBLE } lanes;
    const struct deploy_run_feed *feed;
    char **leftovers; // of builds: removed once all is pushed, and at the end
    size_t leftover_count;
};

// --- specs.c -----------------------------------------------------------------------------------
struct spec_files {
    struct spec_document config, app;
    const char *where;  // as the user named it
    const char *commit; // of the infra repository, or NULL
};
NODISCARD struct error *specs_load(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct spec_files **out);

// --- prepare.c ---------------------------------------------------------------------------------
struct preparation {
    const struct deploy_request *request;
    struct settings *settings;
    struct git_facts *git;
    struct deployment *deployment;
    struct arena *arena;
    struct preparation *there; // of request->from: settings and services; NULL without one
};
/// Documents and git facts into a deployment without remote facts; every local guard.
NODISCARD struct error *prepare_locally(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct preparation *out);

/// The parts of prepare_locally, for `doctor`: documents and settings; then the checkout's guards.
NODISCARD struct error *prepare_settings(struct deploy_context *context,
    const struct deploy_request *request, struct arena *arena, struct diagnostics *diagnostics,
    struct preparation *out);
NODISCARD struct error *prepare_checkout(
    struct deploy_context *context, struct preparation *preparation);
/// The services that take part, from the settings; and --image to its service.
NODISCARD struct error *prepare_services(const struct preparation *preparation);
/// ERROR_USAGE for what cannot be an image tag.
NODISCARD struct error *prepare_check_version(const char *version);
/// The inputs of the infra workflow, once the version is known.
NODISCARD struct error *prepare_inputs(const struct preparation *preparation);

/// Where nobody gave the environment, an error says which one it is about.
struct error *prepare_about(const struct preparation *preparation, struct error *err);

// --- given.c: the same with the facts of a verified request --------------------------------------
/// In place of specs_load.
NODISCARD struct error *given_documents(
    const struct preparation *preparation, struct spec_files **out);
/// In place of prepare_checkout: who asks, from where.
NODISCARD struct error *given_facts(const struct preparation *preparation);
/// The tag that the request's ref is, or NULL.
const char *given_tag(const struct preparation *preparation);
/// Once the services are known: which version, its targets and inputs.
NODISCARD struct error *given_version(
    struct deploy_context *context, const struct preparation *preparation);
/// After snapshot_image: is it the very image that was pushed?
NODISCARD struct error *given_image(
    const struct preparation *preparation, const struct deployment_service *service);
/// The trace goes to the workflow, if that declares an input for it.
void given_trace(const struct preparation *preparation, const struct github_workflow *workflow);

// --- promote.c: a version that comes from another environment, with its images -------------------
/// Fills preparation->there, when the request says where the version comes from.
NODISCARD struct error *promote_prepare(
    struct deploy_context *context, struct preparation *preparation);
/// The version that all services are on there. ERROR_CONFLICT when they are not on one.
NODISCARD struct error *promote_version(
    struct deploy_context *context, const struct preparation *preparation, const char **out);
/// Says where the version comes from, once it is known.
void promote_note(const struct preparation *preparation);
/// A promotion without a service: the version, what of the spec's order can be checked, its inputs.
NODISCARD struct error *promote_locally(
    struct deploy_context *context, const struct preparation *preparation);
/// After snapshot_registry: is it the image that ran there? What is missing here is to be copied
/// from there: source and from_digest of the service are set.
NODISCARD struct error *promote_image(struct deploy_context *context,
    const struct preparation *preparation, struct deployment_service *service);

/// A release's image that is not under its tag any more is looked for by its digest, here and in
/// the other environments' repositories: digest, source and from_digest of the service are set.
NODISCARD struct error *promote_lost(struct deploy_context *context,
    const struct preparation *preparation, const char *digest, struct deployment_service *service,
    bool *found);

// --- ancestry.c --------------------------------------------------------------------------------
/// What is new since the versions that are deployed now, for the release notes, by GitHub. Best
/// effort: only an interruption is an error.
NODISCARD struct error *ancestry_commits(
    struct deploy_context *context, const struct preparation *preparation);

// --- sinks.c -----------------------------------------------------------------------------------
/// Settings into deployment->sinks, members, environment_url and is_production, whatever the verb.
/// What cannot be expanded yet is left out, with a note.
void sinks_resolve(struct deploy_context *context, const struct preparation *preparation);
/// The same when the deployment's verb is among those that tell.
void sinks_prepare(struct deploy_context *context, const struct preparation *preparation);

// --- ref.c -------------------------------------------------------------------------------------
// What may have started this; one at least.
struct ref_triggers {
    struct setting_trigger *items;
    size_t count;
};
/// In a job GitHub's ref and event; else the branch of the checkout, else each tag at HEAD. Needs
/// preparation->git.
struct ref_triggers ref_triggers(
    struct deploy_context *context, const struct preparation *preparation);
/// The only environment that they lead to by the spec's `branch` and `allow`; noted in the
/// deployment. ERROR_USAGE when there is none, or more than one.
NODISCARD struct error *ref_choose_environment(struct deploy_context *context,
    const struct preparation *preparation, const struct spec_files *files,
    struct diagnostics *diagnostics, const char **out);

// --- windows.c ---------------------------------------------------------------------------------
/// ERROR_DENIED inside one of the spec's windows, ERROR_SPEC for one that cannot be read.
NODISCARD struct error *windows_check(const struct preparation *preparation, int64_t now_ms);
/// "Fri 15:00 - Mon 07:00" in minutes since Monday 00:00.
bool window_parse(const char *text, int *from, int *to);
/// Half open, over the end of the week; from == to never holds.
bool window_holds(int from, int to, int now);

// --- snapshot.c --------------------------------------------------------------------------------
NODISCARD struct error *snapshot_take(
    struct deploy_context *context, struct preparation *preparation);
/// The workflow with everything that a dispatch needs of it checked.
NODISCARD struct error *snapshot_workflow(
    struct deploy_context *context, const struct preparation *preparation);
/// Completes the registry's name for all services.
NODISCARD struct error *snapshot_place(
    struct deploy_context *context, const struct preparation *preparation);
NODISCARD struct error *snapshot_parameter(struct deploy_context *context,
    const struct preparation *preparation, struct deployment_service *service);
NODISCARD struct error *snapshot_registry(struct deploy_context *context,
    const struct preparation *preparation, struct deployment_service *service);

/// What the registry has under the service's version; what is missing must come from somewhere.
NODISCARD struct error *snapshot_image(struct deploy_context *context,
    const struct preparation *preparation, struct deployment_service *service);
/// 40 hexadecimal digits.
bool snapshot_is_commit(const char *version);

// --- snapshot_verbs.c, rollback.c: the reads of the verbs that take their version from the ledger
NODISCARD struct error *snapshot_rollout(
    struct deploy_context *context, const struct preparation *preparation);
NODISCARD struct error *snapshot_prove(
    struct deploy_context *context, const struct preparation *preparation);
NODISCARD struct error *snapshot_rollback(
    struct deploy_context *context, const struct preparation *preparation);

// --- plan.c ------------------------------------------------------------------------------------
/// Pure: fills deployment->steps from its facts.
void plan_make(struct deployment *deployment, struct arena *arena);

// --- providers.c -------------------------------------------------------------------------------
NODISCARD struct error *provider_aws(
    struct deploy_context *context, const struct deployment *deployment, struct aws_session **out);
/// For a repository that no deployment is about: a token of the environment, else the App's, whose
/// key must then be in the environment. The caller frees it.
NODISCARD struct error *provider_repository(struct deploy_context *context,
    const struct setting_github *github, const char *repository, struct github_client **out);
NODISCARD struct error *provider_github(struct deploy_context *context,
    const struct deployment *deployment, struct github_client **out);
/// For reports on the app's repository: with the token of that reference, else the job's own
/// (GITHUB_TOKEN), else the App.
NODISCARD struct error *provider_reports(struct deploy_context *context,
    const struct deployment *deployment, const char *token, struct github_client **out);
/// For the history of `repository`, the app's.
NODISCARD struct error *provider_history(struct deploy_context *context,
    const struct deployment *deployment, const char *repository, struct github_client **out);
NODISCARD struct error *provider_registry(struct deploy_context *context,
    const struct deployment *deployment, const char *host, struct registry_client **out);
/// Where the service's image goes when that is ECR, borrowed from both arguments; else false.
struct ecr_repository;
bool provider_ecr_repository(
    const struct deployment_service *service, struct arena *arena, struct ecr_repository *out);
/// How a docker:// source is reached; `target` is the host that the environment's credentials are
/// for. Outlives the image that is opened with it.
struct source_access {
    struct image_access image;
    struct deploy_context *context;
    const struct deployment *deployment;
    const char *target;
};
void provider_source(struct deploy_context *context, const struct deployment *deployment,
    const char *target, struct source_access *out);
/// How many requests to GitHub the deployment has cost so far, into it.
void provider_count(struct deploy_context *context, struct deployment *deployment);
/// Token for reading a git repository at `url`, NULL when none applies to that host.
NODISCARD struct error *provider_git_token(
    struct deploy_context *context, const char *url, struct secret **out);

// --- place.c -----------------------------------------------------------------------------------
/// Forgets the clients that are another place's, where the context serves many deployments.
void place_enter(struct deploy_context *context, const struct deployment *deployment);

// --- secret_reference.c ------------------------------------------------------------------------
/// "env:VAR", "file:PATH", "ssm:/path", "secretsmanager:ID#key" or "vault:mount/data/path#key" to
/// its value, read once for each context. ERROR_CREDENTIALS when it is not there.
NODISCARD struct error *secret_reference_read(struct deploy_context *context,
    const struct deployment *deployment, const char *reference, struct secret **out);
/// The same of a reference that stands in a spec: only what the context's rule lets specs name.
NODISCARD struct error *secret_reference_of_spec(struct deploy_context *context,
    const struct deployment *deployment, const char *reference, struct secret **out);
/// The trimmed content of a file.
NODISCARD struct error *secret_reference_file(const char *path, struct secret **out);
void secret_reference_forget(struct deploy_context *context);
/// Opens Vault by the environment and dispatcher.yaml; signs in when something is read.
NODISCARD struct error *provider_vault(
    struct deploy_context *context, const struct deployment *deployment, struct vault_client **out);

// --- doctor.c, doctor_secrets.c: what `verify` looks at, too -----------------------------------
struct findings;
/// Who are we in AWS, and do the clocks agree? False: nothing in AWS can be read.
bool doctor_aws(
    struct deploy_context *context, const struct deployment *d, struct findings *findings);
/// Are the references of (app, env) readable?
void doctor_secrets(
    struct deploy_context *context, const struct deployment *deployment, struct findings *findings);

// doctor_reports.c
/// Are the sinks of (app, env) reachable, and does the outbox hold anything back?
void doctor_reports(
    struct deploy_context *context, struct preparation *preparation, struct findings *findings);

// --- steps -------------------------------------------------------------------------------------
enum step_outcome { STEP_DONE, STEP_SKIPPED, STEP_WAIT };

struct step_result {
    enum step_outcome outcome;
    int64_t until_ms; // WAIT: absolute mono time
    const char *note; // arena
};

struct step_run {
    struct deploy_context *context;
    struct deployment *deployment;
    struct deployment_step *step;
    struct arena *arena;
    bool resumed; // an earlier process may have begun this step: ask the world first
};

struct step_ops {
    const char *kind;
    /// What it is about to do, for the plan: "push 'web' to 'registry/repo:version'".
    void (*describe)(
        const struct deployment *deployment, const struct deployment_step *step, struct buf *out);
    /// Idempotent: asks the world first whether it is already done.
    struct error *(*run)(const struct step_run *run, struct step_result *result);
    /// NULL when there is nothing to take back. It says how that went where the report looks:
    /// service->restore, target->restore.
    /// Waits like `run`.
    struct error *(*undo)(const struct step_run *run, struct step_result *result);
};

extern const struct step_ops step_build, step_push, step_scan, step_write;
extern const struct step_ops step_trigger, step_follow, step_record;
extern const struct step_ops step_migrate, step_rollout, step_verify, step_prove;
const struct step_ops *step_ops_find(const char *kind);

// step_build.c
/// --build into the deployment: which services, and from what. ERROR_USAGE when there is nothing.
NODISCARD struct error *build_prepare(const struct preparation *preparation);
/// The spec's build arguments for this version, into the deployment.
NODISCARD struct error *build_expand_args(const struct preparation *preparation);
/// Can this service be built here?
NODISCARD struct error *build_look(struct deploy_context *context, const struct deployment *d,
    const struct deployment_service *service);
/// What another process built is not ours to push: back to before.
void build_forget(struct deployment *d);
/// context.c: remembers a directory of a build; NULL does nothing.
void context_leave(struct deploy_context *context, const char *leftovers);
void context_tidy(struct deploy_context *context);

// step_verify.c
/// May a check ask there? ERROR_SPEC for credentials in the URL, and for plain http elsewhere than
/// on this machine.
NODISCARD struct error *verify_check_url(const char *url);

/// Makes what the deployment holds durable now, in the middle of a step (intent before effect).
/// `state` is a step's: intent, waiting, … (store/), not a move's.
NODISCARD struct error *engine_save(
    const struct step_run *run, const char *state, const char *note);
/// Appends `text` so that the Actions runner takes nothing in it for a command.
void context_disarm(const char *text, struct buf *out);
/// A copy without secrets and without commands.
const char *context_masked(struct arena *arena, const char *text);
/// A copy that is harmless to show, of at most about `max` bytes; NULL stays NULL.
const char *context_clean(struct arena *arena, const char *text, size_t max);
void context_emit(struct deploy_context *context, const struct deploy_event *event);
void context_emit_text(struct deploy_context *context, const struct deployment *deployment,
    enum deploy_event_kind kind, const char *text);

// engine.c
/// Goes on with what is not done yet until a step has to wait (pace->waits), or fills result,
/// exit_code, message. Errors: ERROR_STORAGE; and, with pace->is_advanced, ERROR_CANCELLED, with
/// everything left as it is.
NODISCARD struct error *engine_go(struct deploy_context *context, struct deployment *deployment,
    struct deploy_pace *pace, struct arena *arena);
/// The same, sleeping through all waits. Errors: ERROR_STORAGE only.
NODISCARD struct error *engine_drive(
    struct deploy_context *context, struct deployment *deployment, struct arena *arena);
/// The exclusive right to work on `id`, ERROR_CONFLICT when another process has it.
NODISCARD struct error *engine_claim(
    struct deploy_context *context, const char *id, struct store_claim **out);
/// Journals it as new. `*job`: the claim of its CI job, while it has not dispatched.
NODISCARD struct error *engine_begin(struct deploy_context *context, struct deployment *deployment,
    struct arena *arena, struct store_claim **job);
/// One that has not dispatched yet will: alone among its CI job's, and over no open question of
/// them.
NODISCARD struct error *engine_clear_to_send(struct deploy_context *context,
    const struct deployment *deployment, struct arena *arena, struct store_claim **job);
/// What could not be found out may be found out later (protocols.md §3.5).
bool engine_is_open(const struct deployment *deployment);
void engine_reopen(struct deployment *deployment);
/// run->step has failed by `err` (consumed): to the end.
NODISCARD struct error *engine_fail(const struct step_run *run, struct error *err);
/// The deployment as it is, into the journal.
NODISCARD struct error *engine_write(
    struct deploy_context *context, const struct deployment *deployment);
/// The journal gets how it stands, and who looks is told that nothing comes any more.
NODISCARD struct error *engine_finish(
    struct deploy_context *context, struct deployment *deployment);
/// For whoever finds a deployment ended: the event that says so, if its worker died before it.
NODISCARD struct error *engine_tell_end(
    struct deploy_context *context, const struct deployment *d, struct arena *arena);
/// Makes what has changed since the last writing (pace->written) durable.
NODISCARD struct error *engine_keep(
    struct deploy_context *context, const struct deployment *deployment);

/// outcome.c: a signal came while we slept. Goes on with taking back the first time.
NODISCARD struct error *outcome_interrupted(const struct step_run *run, struct error *err);
/// decides what is true after `err` (consumed) ended `step`, undoing what must be
/// undone.
NODISCARD struct error *outcome_failed(const struct step_run *run, struct error *err);
/// Goes on with an ending that a dead process had begun.
NODISCARD struct error *outcome_continue(const struct step_run *run);
void outcome_succeeded(const struct step_run *run);
/// --no-wait: the run goes on without us.
/// Nobody works on it any more: unknown, with what was seen of its run.
void outcome_set_aside(const struct step_run *run, const char *why, const char *seen);
void outcome_triggered(const struct step_run *run);

// step_write.c: the parts that restore.c needs, too.
struct ssm_put;
struct ssm_parameter;
/// Puts until it is known to be there; versions up to put->after are older. ERROR_UNKNOWN when that
/// cannot be read. Waits between two reads of what became of a lost answer: then it is called again
/// with the same.
struct version_write {
    struct aws_session *aws;
    const struct ssm_put *put;
    int64_t after;
    int64_t version; // that it became
};
NODISCARD struct error *version_put(
    const struct step_run *run, struct version_write *write, struct step_result *result);
/// Finds out whether a write that was begun has arrived. Waits likewise.
NODISCARD struct error *version_settle(const struct step_run *run, struct aws_session *aws,
    struct deployment_service *service, struct step_result *result);
/// Did this deployment write it?
bool version_is_ours(const struct deployment *d, const struct ssm_parameter *version);

// restore.c
/// May the parameter say something because of us?
bool version_is_touched(const struct deployment_service *service);
/// Puts back what stood before and sets service->restore; does nothing when that is done. Waits
/// likewise.
NODISCARD struct error *version_restore(
    const struct step_run *run, struct deployment_service *service, struct step_result *result);

// standing.c: how everything that a deployment may have changed stands, for outcome.c.
/// May this step have changed something that its undo takes back?
bool standing_is_touched(const struct deployment *d, const struct deployment_step *step);
/// Is all of that as it was before? *note: in whose words, may be NULL.
bool standing_is_restored(
    const struct deployment *d, const struct deployment_step *step, const char **note);
/// Does everything say and run again what it did before (or never anything else)? With
/// `given_up_counts` also where it is somebody else's now, whose deployment came after ours.
bool standing_is_all_restored(const struct deployment *d, bool given_up_counts);
bool standing_is_any(const struct deployment *d, const char *restore);
/// "; parameter /shop/staging/web/version is restored (…); 'web' runs …", or why not.
void standing_put(const struct deployment *d, struct buf *out);
/// Nothing is taken back: everything that was changed is marked `kept`.
void standing_keep(const struct deployment *d);
/// Was the infra workflow or a platform asked for anything? Then only their own end is one.
bool standing_is_sent(const struct deployment *d);
/// Has the new version run anywhere, as far as is known?
bool standing_has_run(const struct deployment *d);

// earlier.c: what other deployments of the same CI job have dispatched.
/// ERROR_CONFLICT when this machine's journal holds one whose dispatch is an open question.
NODISCARD struct error *earlier_check(
    struct deploy_context *context, const struct deployment *d, struct arena *arena);
/// Finds the first free dispatch_try, or a run of an earlier one that is ours to follow.
NODISCARD struct error *earlier_adopt(
    const struct step_run *run, struct github_run *out, bool *found);

// reconcile.c: what became of a dispatch whose answer is not known (protocols.md §3.7).
enum reconcile_outcome { RECONCILE_FOUND, RECONCILE_NONE, RECONCILE_SEVERAL };
struct reconcile_result {
    enum reconcile_outcome outcome;
    struct github_run run;
    const char *explanation; // what was looked for and seen
};
/// One listing; waits for the next one while that may tell more and the window lasts.
NODISCARD struct error *reconcile(const struct step_run *run, int64_t window_ms,
    struct reconcile_result *out, struct step_result *result);
/// One listing for the run of this dispatch; *found false when it shows none.
NODISCARD struct error *reconcile_once(
    const struct step_run *run, struct github_run *out, bool *found);
/// The same for another try of the same CI job, back to its first attempt.
NODISCARD struct error *reconcile_earlier(
    const struct step_run *run, const char *id, struct github_run *out, bool *found);
/// Same workflow and ref, and where the title shows the id, this one.
bool reconcile_may_be_ours(const struct deployment *d, const struct github_run *run);
/// dispatch id of (claim_key, try) (protocols.md §3.4).
char *dispatch_id_make(struct arena *arena, const char *claim_key, int64_t try);

/// Follows the run to its failing part: job, step, annotations, the end of its log.
void failure_collect(const struct step_run *run);
/// Copies the jobs of the run into the deployment.
NODISCARD struct error *jobs_refresh(const struct step_run *run, bool *changed);

/// Environment variable in milliseconds, for rehearsals and tests; `fallback` when unset or
/// unusable.
int64_t context_tuning_ms(const struct deploy_context *context, const char *name, int64_t fallback);
