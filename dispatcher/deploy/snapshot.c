// The remote reads of a deployment, all before the first effect: what the infra workflow declares,
// what the registry has, what the parameters say, and how the commit stands to what is deployed.
// Changes nothing anywhere.
#include <string.h>

#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/semver.h"
#include "dispatcher/ssm.h"
#include "dispatcher/sts.h"
#include "notice_internal.h"
#include "target_internal.h"

enum { COMMITS_MAX = 50, VALUE_MAX = 200 };

static const struct github_input *
find_input(const struct github_workflow *workflow, const char *name)
{
    for (size_t i = 0; i < workflow->input_count; i++) {
        if (strcmp(workflow->inputs[i].name, name) == 0) {
            return &workflow->inputs[i];
        }
    }
    return NULL;
}

static const char *
find_value(const struct pair_list *inputs, const char *name)
{
    for (size_t i = 0; i < inputs->count; i++) {
        if (strcmp(inputs->items[i].key, name) == 0) {
            return inputs->items[i].value;
        }
    }
    return NULL;
}

static struct error *
check_choice(const struct deployment *d, const struct github_input *input, const char *value)
{
    for (size_t i = 0; i < input->options.count; i++) {
        if (strcmp(input->options.items[i], value) == 0) {
            return NULL;
        }
    }
    if (!cstr_equal(input->type, "choice")) {
        return NULL;
    }
    return error_hint(error_new(ERROR_SPEC, "workflow '%s' does not accept '%s' for its input '%s'",
                          d->workflow_file, value, input->name),
        "Its 'options:' list the values that it accepts.");
}

static struct error *
check_sent_inputs(const struct deployment *d, const struct github_workflow *workflow)
{
    for (size_t i = 0; i < d->inputs.count; i++) {
        const struct pair *pair = &d->inputs.items[i];
        const struct github_input *input = find_input(workflow, pair->key);
        if (input == NULL) {
            return error_hint(error_new(ERROR_SPEC, "workflow '%s' declares no input '%s'",
                                  d->workflow_file, pair->key),
                "Correct 'workflow.inputs' in dispatcher.yaml, or declare the input under "
                "'on.workflow_dispatch.inputs'.");
        }
        TRY(check_choice(d, input, pair->value));
    }
    return NULL;
}

static struct error *
check_required_inputs(const struct deployment *d, const struct github_workflow *workflow)
{
    for (size_t i = 0; i < workflow->input_count; i++) {
        const struct github_input *input = &workflow->inputs[i];
        bool is_id = d->id_input != NULL && strcmp(input->name, d->id_input) == 0;
        if (input->required && input->fallback == NULL && !is_id &&
            find_value(&d->inputs, input->name) == NULL) {
            return error_hint(error_new(ERROR_SPEC, "workflow '%s' requires the input '%s'",
                                  d->workflow_file, input->name),
                "Add it to 'workflow.inputs' in dispatcher.yaml.");
        }
    }
    return NULL;
}

static struct error *
read_workflow(
    struct deploy_context *context, const struct preparation *p, struct github_workflow **out)
{
    const struct deployment *d = p->deployment;
    struct github_client *github = NULL;
    TRY(provider_github(context, d, &github));
    TRY(github_workflow_read(github, d->workflow_file, d->workflow_ref, p->arena, out));
    if (*out == NULL) {
        return error_hint(error_new(ERROR_SPEC, "workflow '%s' is not in '%s' at '%s'",
                              d->workflow_file, d->workflow_repo, d->workflow_ref),
            "Check 'workflow.repo', 'workflow.file' and 'workflow.ref'; GitHub also answers 'not "
            "found' when the token may not read the repository.");
    }
    if (!(*out)->dispatchable) {
        return error_hint(error_new(ERROR_SPEC, "workflow '%s' has no 'workflow_dispatch' trigger",
                              d->workflow_file),
            "Add 'workflow_dispatch:' under its 'on:'.");
    }
    return NULL;
}

// Is the id shown where a listing can see it? `run-name: … ${{ inputs.distinct_id }}`
static bool
run_name_shows(const struct github_workflow *workflow, const char *input)
{
    char *needle CLEANUP(xfreep) = xasprintf("inputs.%s", input);
    return workflow->run_name != NULL && strstr(workflow->run_name, needle) != NULL;
}

struct error *
snapshot_workflow(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    struct github_workflow *workflow = NULL;
    TRY(read_workflow(context, p, &workflow));
    if (d->id_input != NULL && find_input(workflow, d->id_input) == NULL) {
        deployment_note(d, p->arena,
            arena_printf(p->arena,
                "workflow '%s' declares no input '%s': a lost answer cannot be matched to its run",
                d->workflow_file, d->id_input));
        d->id_input = NULL;
    }
    d->id_in_run_name = d->id_input != NULL && run_name_shows(workflow, d->id_input);
    given_trace(p, workflow);
    TRY(check_sent_inputs(d, workflow));
    return check_required_inputs(d, workflow);
}

struct error *
snapshot_registry(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *service)
{
    struct ecr_repository repository = {0};
    const char *version = service->version != NULL ? service->version : p->deployment->version;
    if (provider_ecr_repository(service, p->arena, &repository)) {
        struct aws_session *aws = NULL;
        bool found = true;
        TRY(provider_aws(context, p->deployment, &aws));
        TRY(ecr_image_digest(aws, &repository, version, p->arena, &service->digest, &found));
        service->no_repository = !found;
        if (!found && !p->deployment->create_repository) {
            return error_hint(error_new(ERROR_SPEC, "repository '%s' does not exist in '%s'",
                                  service->repository, service->registry),
                "Create it, or set 'create_repository: true' in dispatcher.yaml.");
        }
        return NULL;
    }
    struct registry_client *client = NULL;
    TRY(provider_registry(context, p->deployment, service->registry, &client));
    return registry_manifest_digest(
        client, service->repository, version, p->arena, &service->digest);
}

// A source that cannot be read is refused now, while nothing has been changed.
static struct error *
check_source(struct deploy_context *context, const struct preparation *p,
    const struct deployment_service *service)
{
    struct image_source *source = NULL;
    struct image *image CLEANUP(image_closep) = NULL;
    TRY(image_source_parse(service->source, p->arena, &source));
    struct source_access access = {0};
    provider_source(context, p->deployment, service->registry, &access);
    return image_open(source, &access.image, &image);
}

struct error *
snapshot_image(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *service)
{
    const struct deployment *d = p->deployment;
    struct error *err = snapshot_registry(context, p, service);
    if (err != NULL) {
        return error_wrap(err, "look for image '%s/%s:%s'", service->registry, service->repository,
            service->version != NULL ? service->version : d->version);
    }
    service->present = service->digest != NULL;
    if (p->there != NULL) {
        TRY(promote_image(context, p, service));
    }
    if (service->present) {
        return given_image(p, service);
    }
    if (service->from_digest != NULL) {
        return NULL; // looked at there
    }
    if (service->source != NULL) {
        return check_source(context, p, service);
    }
    if (service->build) {
        return build_look(context, d, service);
    }
    struct error *missing =
        error_new(ERROR_INPUT, "image '%s/%s:%s' is not in the registry", service->registry,
            service->repository, service->version != NULL ? service->version : d->version);
    return d->served && cstr_equal(d->verb, "deploy")
               ? error_hint(missing, "The app's repository pushes it there before it asks.")
           : cstr_equal(d->verb, "deploy")
               ? error_hint(missing,
                     "Give it with --image %s=SOURCE, make it with --build, or push it first.",
                     service->name)
               : error_hint(missing,
                     "It was never pushed, or a lifecycle policy has removed it since: deploy the "
                     "version again from the app's repository.");
}

// What does not show as it is must not compare equal to what it shows as: "v2" and an invisible
// blank is another version than "v2".
static const char *
shown_exactly(struct arena *arena, const char *value)
{
    const char *shown = context_clean(arena, value, VALUE_MAX);
    if (cstr_equal(shown, value)) {
        return shown;
    }
    return arena_printf(arena, "%s (with characters that are not shown)", shown);
}

struct error *
snapshot_parameter(
    struct deploy_context *context, const struct preparation *p, struct deployment_service *service)
{
    struct aws_session *aws = NULL;
    struct ssm_parameter *parameter = NULL;
    TRY(provider_aws(context, p->deployment, &aws));
    struct error *err = ssm_get(aws, service->parameter, p->arena, &parameter);
    if (err != NULL) {
        return error_wrap(err, "read version parameter '%s'", service->parameter);
    }
    if (parameter != NULL) {
        // Shown and compared only: what is put back is read again then (restore.c).
        service->previous = shown_exactly(p->arena, parameter->value);
        service->previous_version = parameter->version;
        service->parameter_type = parameter->type;
    }
    return NULL;
}

bool
snapshot_is_commit(const char *version)
{
    return strlen(version) == 40 && strspn(version, "0123456789abcdef") == 40;
}

static const char *
shorten(const struct preparation *p, const char *version)
{
    return snapshot_is_commit(version) ? arena_printf(p->arena, "%.12s", version) : version;
}

static struct error *
refuse_stale(const struct preparation *p, const char *ours, const char *deployed)
{
    const char *older = shorten(p, ours), *newer = shorten(p, deployed);
    if (p->request->allow_stale || cstr_equal(p->settings->stale, "allow")) {
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "stale: '%s' is older than the deployed '%s'", older, newer));
        return NULL;
    }
    if (cstr_equal(p->settings->stale, "warn")) {
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "warning: '%s' is older than the deployed '%s'", older, newer));
        return NULL;
    }
    return error_hint(error_new(ERROR_CONFLICT, "'%s' is older than '%s', which '%s' in '%s' is on",
                          older, newer, p->deployment->app, p->deployment->env),
        "Pass --allow-stale to go back on purpose.");
}

// A version that git knows, a tag or a commit, stands for itself; any other for the checkout.
static struct error *
choose_commit(const struct preparation *p, const char **ours)
{
    const struct deployment *d = p->deployment;
    enum git_relation relation = GIT_SAME;
    TRY(git_relate(p->git->root, d->version, d->sha, &relation));
    *ours = relation != GIT_UNRELATED_UNKNOWN ? d->version : d->sha;
    return NULL;
}

// Versions that are tags have an order of their own, as versions: v0.9 comes before v0.10, whatever
// is in this clone (semver.org §11). False when one of them is none.
static bool
compare_versions(const struct preparation *p, const char *deployed, int *order)
{
    const char *ours = p->deployment->version;
    bool comparable = cstr_equal(p->settings->version_from, "tag") &&
                      semver_is_valid(str_of(ours)) && semver_is_valid(str_of(deployed));
    if (comparable) {
        *order = semver_compare(str_of(ours), str_of(deployed));
    }
    return comparable;
}

static void
note_unknown(const struct preparation *p, bool compared)
{
    deployment_note(p->deployment, p->arena,
        compared ? "staleness checked by version only: the deployed one is not in this clone"
        : p->git->shallow ? "staleness not checked: this is a shallow clone (use 'fetch-depth: 0')"
                          : "staleness not checked: the deployed version is not in this clone");
}

static struct error *
look_at_ancestry(const struct preparation *p, const char *deployed, const char *ours)
{
    enum git_relation relation = GIT_SAME;
    int order = 0;
    bool compared = compare_versions(p, deployed, &order);
    if (compared && order < 0) {
        return refuse_stale(p, p->deployment->version, deployed);
    }
    TRY(git_relate(p->git->root, deployed, ours, &relation));
    if (relation == GIT_BEHIND) {
        return refuse_stale(p, ours, deployed);
    }
    if (relation == GIT_UNRELATED_UNKNOWN) {
        note_unknown(p, compared);
    } else if (relation == GIT_DIVERGED) {
        deployment_note(p->deployment, p->arena,
            arena_printf(p->arena, "the deployed '%s' is on another branch of history",
                shorten(p, deployed)));
    }
    return NULL;
}

static struct error *
collect_commits(const struct preparation *p, const char *deployed, const char *ours)
{
    struct deployment *d = p->deployment;
    struct git_log_entry *commits = NULL;
    size_t count = 0;
    TRY(git_commits(p->git->root, deployed, ours, COMMITS_MAX, p->arena, &commits, &count,
        &d->commits_complete));
    struct deployment_commit *kept = arena_array(p->arena, count, sizeof(*kept));
    for (size_t i = 0; i < count; i++) {
        kept[i] = (struct deployment_commit){.sha = commits[i].sha,
            .author = commits[i].author,
            .subject = commits[i].subject,
            .email = commits[i].email,
            .pull = release_pull_of(commits[i].subject),
            .time_ms = commits[i].time_ms};
    }
    d->commits = (struct object_list){kept, count};
    return NULL;
}

// What is new since the versions that are deployed now: no service may go back unasked, and the
// first one's commits are told.
static struct error *
look_at_history(const struct preparation *p)
{
    const struct deployment *d = p->deployment;
    const char *first = NULL, *ours = NULL;
    TRY(choose_commit(p, &ours));
    for (size_t i = 0; i < d->services.count; i++) {
        const char *deployed = deployment_service_at(d, i)->previous;
        if (deployed == NULL || cstr_equal(deployed, d->version)) {
            continue;
        }
        TRY(look_at_ancestry(p, deployed, ours));
        first = first == NULL ? deployed : first;
    }
    return first != NULL ? collect_commits(p, first, ours) : NULL;
}

// Only ECR has findings to ask for. An error and not a diagnostic of the spec: the host may be
// known only once the credentials are.
static struct error *
check_scan_gate(const struct deployment *d, const char *registry)
{
    if (d->scan_block == NULL || ecr_host_parse(registry, NULL, NULL, NULL)) {
        return NULL;
    }
    return error_hint(error_new(ERROR_SPEC,
                          "'image_scan' needs a registry of Amazon ECR, '%s' is none", registry),
        "Remove 'deploy.image_scan' for '%s', or set 'registry' to "
        "ACCOUNT.dkr.ecr.REGION.amazonaws.com.",
        d->env);
}

// A registry that is named by account and region, which dispatcher.yaml may leave to the
// credentials.
struct error *
snapshot_place(struct deploy_context *context, const struct preparation *p)
{
    struct aws_session *aws = NULL;
    struct sts_identity identity = {0};
    struct spec_context known = {0};
    const char *registry = p->settings->registry;
    if (registry == NULL) {
        return error_hint(error_new(ERROR_SPEC, "'registry' is not set"),
            "Set 'registry' in dispatcher.yaml, or 'aws.account' and 'aws.region' for ECR.");
    }
    if (strchr(registry, '{') != NULL) {
        TRY(provider_aws(context, p->deployment, &aws));
        TRY(aws_region(aws, &known.region));
        TRY(sts_caller_identity(aws, p->arena, &identity));
        known.account = identity.account;
        TRY(spec_expand(p->settings, &known, registry, p->arena, &registry));
    }
    TRY(check_scan_gate(p->deployment, registry));
    for (size_t i = 0; i < p->deployment->services.count; i++) {
        deployment_service_at(p->deployment, i)->registry = registry;
    }
    return NULL;
}

static bool
has_images(const struct deployment *d)
{
    for (size_t i = 0; i < d->services.count; i++) {
        if (!deployment_service_at(d, i)->no_image) {
            return true;
        }
    }
    return false;
}

static struct error *
take_deploy(struct deploy_context *context, const struct preparation *p)
{
    struct deployment *d = p->deployment;
    if (!deployment_is_direct(d)) {
        TRY(snapshot_workflow(context, p));
    }
    if (has_images(d)) {
        TRY(snapshot_place(context, p));
    }
    for (size_t i = 0; i < d->services.count; i++) {
        struct deployment_service *service = deployment_service_at(d, i);
        if (!service->no_image) {
            TRY(snapshot_image(context, p, service));
        }
        TRY(snapshot_parameter(context, p, service));
    }
    TRY(p->git == NULL ? ancestry_commits(context, p) : look_at_history(p));
    return deployment_is_direct(d) ? targets_look(context, p) : NULL;
}

struct error *
snapshot_take(struct deploy_context *context, struct preparation *p)
{
    const char *verb = p->deployment->verb;
    return cstr_equal(verb, "rollout")    ? snapshot_rollout(context, p)
           : cstr_equal(verb, "prove")    ? snapshot_prove(context, p)
           : cstr_equal(verb, "rollback") ? snapshot_rollback(context, p)
                                          : take_deploy(context, p);
}
