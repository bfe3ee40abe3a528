// Looks at everything a deployment of (app, env) needs, and says for each what is wrong and how to
// mend it. Changes nothing; reads with the same code that a deployment uses.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/actions.h"
#include "dispatcher/memory.h"
#include "dispatcher/sts.h"
#include "findings.h"

enum { SKEW_MAX_MS = 60 * 1000 };

struct doctor {
    struct deploy_context *context;
    struct preparation preparation;
    struct arena *arena;
    struct findings findings;
};

// The address of a proxy or of a database may hold a password.
static const char *
shown(const char *name, const char *value)
{
    bool is_proxy = strstr(name, "ROXY") != NULL || strstr(name, "proxy") != NULL ||
                    strcmp(name, "VAULT_ADDR") == 0;
    bool is_database = store_path_is_shared(value);
    return is_database || (is_proxy && strchr(value, '@') != NULL) ? "(set)" : value;
}

static void
look_at_environment(struct doctor *doctor)
{
    static const char *const names[] = {"HTTPS_PROXY", "https_proxy", "NO_PROXY", "SSL_CERT_FILE",
        "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_ECR",
        "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        "AWS_PROFILE", "VAULT_ADDR", "VAULT_NAMESPACE", "GITHUB_API_URL", "SLACK_API_URL",
        "PAGERDUTY_EVENTS_URL", "DISPATCHER_SPECS", "DISPATCHER_CONFIG", "DISPATCHER_STATE"};
    struct buf text CLEANUP(buf_done) = BUF_INIT(8192);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = env_get(doctor->context->platform, names[i]);
        if (value != NULL) {
            buf_printf(
                &text, "%s%s=%s", text.len > 0 ? ", " : "", names[i], shown(names[i], value));
        }
    }
    findings_good(&doctor->findings, "environment",
        text.len > 0 ? arena_str(doctor->arena, buf_str(&text)) : "nothing unusual is set");
}

static void
look_at_journal(struct doctor *doctor)
{
    struct store *store = NULL;
    if (findings_passed(&doctor->findings, "journal", deploy_store(doctor->context, &store))) {
        findings_good(&doctor->findings, "journal",
            arena_printf(doctor->arena, "%s can be written", store_name(store)));
    }
}

static void
look_at_checkout(struct doctor *doctor)
{
    struct preparation *p = &doctor->preparation;
    if (!findings_passed(&doctor->findings, "checkout", prepare_checkout(doctor->context, p))) {
        return;
    }
    findings_good(&doctor->findings, "checkout",
        arena_printf(doctor->arena, "%s at %.12s would be version '%s'",
            p->deployment->repository != NULL ? p->deployment->repository : "this repository",
            p->deployment->sha, p->deployment->version));
    if (p->git->shallow) {
        findings_warn(&doctor->findings, "checkout",
            "this is a shallow clone: a stale commit cannot be noticed",
            "Use 'fetch-depth: 0' with actions/checkout.");
    }
}

static void
look_at_clock(struct findings *findings, const char *area, int64_t skew_ms)
{
    char text[32];
    int64_t distance = skew_ms < 0 ? -skew_ms : skew_ms;
    clock_format_duration(distance, text);
    if (distance > SKEW_MAX_MS) {
        findings_warn(findings, area,
            arena_printf(findings->arena, "this machine's clock is %s %s", text,
                skew_ms > 0 ? "behind" : "ahead"),
            "Correct the clock (NTP); dispatcher corrects its signatures meanwhile.");
        return;
    }
    findings_good(findings, area, "the clocks agree");
}

bool
doctor_aws(struct deploy_context *context, const struct deployment *d, struct findings *findings)
{
    struct aws_session *aws = NULL;
    struct sts_identity identity = {0};
    const char *region = NULL;
    if (!findings_passed(findings, "aws", provider_aws(context, d, &aws)) ||
        !findings_passed(findings, "aws", aws_region(aws, &region))) {
        return false;
    }
    struct error *err = sts_caller_identity(aws, findings->arena, &identity);
    if (err != NULL) {
        struct buf chain CLEANUP(buf_done) = BUF_INIT(64 * 1024);
        struct error *problem = aws_credentials_explain(aws, &chain);
        error_free(problem);
        (void)findings_passed(findings, "aws", err);
        findings_warn(findings, "aws",
            arena_printf(findings->arena, "credential chain:\n%s", buf_cstr(&chain)),
            "In GitHub Actions: 'permissions: id-token: write' and 'aws.role' in dispatcher.yaml.");
        return false;
    }
    findings_good(findings, "aws", arena_printf(findings->arena, "%s in %s", identity.arn, region));
    look_at_clock(findings, "aws", aws_clock_offset_ms(aws));
    return true;
}

static const char *
find_permission(const struct github_self *self, const char *name)
{
    for (size_t i = 0; i < self->permissions.count; i++) {
        if (strcmp(self->permissions.items[i].key, name) == 0) {
            return self->permissions.items[i].value;
        }
    }
    return NULL;
}

static void
look_at_github_identity(struct doctor *doctor, struct github_client *github)
{
    struct github_self self = {0};
    if (!findings_passed(&doctor->findings, "github", github_self(github, doctor->arena, &self))) {
        return;
    }
    findings_good(&doctor->findings, "github",
        arena_printf(doctor->arena, "signed in as %s%s%s, %lld of %lld requests left", self.kind,
            self.login != NULL ? " " : "", self.login != NULL ? self.login : "",
            (long long)self.quota_remaining, (long long)self.quota_limit));
    const char *actions = find_permission(&self, "actions");
    if (cstr_equal(self.kind, "app") && !cstr_equal(actions, "write")) {
        findings_bad(&doctor->findings, "github", "the App may not start workflows",
            "Grant the App 'Actions: read and write' on the infra repository.", ERROR_CREDENTIALS);
    }
    look_at_clock(&doctor->findings, "github",
        self.server_time_ms - clock_wall(doctor->context->platform->clock));
}

static void
look_at_workflow(struct doctor *doctor, struct github_client *github)
{
    const struct deployment *d = doctor->preparation.deployment;
    const char *state = NULL;
    if (!findings_passed(&doctor->findings, "workflow",
            snapshot_workflow(doctor->context, &doctor->preparation))) {
        return;
    }
    findings_good(&doctor->findings, "workflow",
        arena_printf(doctor->arena, "%s in %s at %s takes our inputs", d->workflow_file,
            d->workflow_repo, d->workflow_ref));
    if (!d->id_in_run_name) {
        findings_warn(&doctor->findings, "workflow",
            "its runs do not show the dispatch id: after a lost answer the run may not be found, "
            "and "
            "the deployment ends as unknown (exit code 9)",
            "Declare the input 'distinct_id' and put it into the name: run-name: … "
            "(${{ inputs.distinct_id }}).");
    }
    if (findings_passed(&doctor->findings, "workflow",
            github_workflow_state(github, d->workflow_file, doctor->arena, &state)) &&
        state != NULL && strcmp(state, "active") != 0) {
        findings_bad(&doctor->findings, "workflow",
            arena_printf(doctor->arena, "the workflow is '%s'", state),
            "Enable it on the Actions page of the infra repository.", ERROR_RESTORED);
    }
}

static void
look_at_github(struct doctor *doctor)
{
    struct github_client *github = NULL;
    const struct deployment *d = doctor->preparation.deployment;
    if (d->workflow_repo == NULL) {
        findings_bad(&doctor->findings, "workflow", "'workflow.repo' is not set",
            "Name the infra repository in dispatcher.yaml.", ERROR_SPEC);
        return;
    }
    if (findings_passed(
            &doctor->findings, "github", provider_github(doctor->context, d, &github))) {
        look_at_github_identity(doctor, github);
        look_at_workflow(doctor, github);
    }
}

static void
look_at_services(struct doctor *doctor)
{
    struct preparation *p = &doctor->preparation;
    struct deployment_service place = {0};
    p->deployment->services = (struct object_list){&place, 1};
    bool has_registry =
        findings_passed(&doctor->findings, "registry", snapshot_place(doctor->context, p));
    for (size_t i = 0; i < p->settings->service_count; i++) {
        const struct setting_service *service = &p->settings->services[i];
        struct deployment_service part = {.name = service->key,
            .registry = p->settings->registry,
            .repository = service->repository,
            .parameter = service->parameter};
        if (!service->deployable) {
            continue;
        }
        if (findings_passed(
                &doctor->findings, "parameter", snapshot_parameter(doctor->context, p, &part))) {
            findings_good(&doctor->findings, "parameter",
                arena_printf(doctor->arena, "%s %s%s%s", part.parameter,
                    part.previous != NULL ? "says '" : "does not exist yet",
                    part.previous != NULL ? part.previous : "", part.previous != NULL ? "'" : ""));
        }
        if (has_registry && p->deployment->version != NULL &&
            findings_passed(
                &doctor->findings, "registry", snapshot_registry(doctor->context, p, &part))) {
            findings_good(&doctor->findings, "registry",
                arena_printf(doctor->arena, "%s/%s can be read%s", part.registry, part.repository,
                    part.digest != NULL ? " and has this version" : ""));
        }
    }
}

void
deploy_doctor(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct doctor_finding **out,
    size_t *count)
{
    struct doctor doctor = {.context = context, .arena = arena};
    findings_init(&doctor.findings, arena);
    look_at_environment(&doctor);
    look_at_journal(&doctor);
    if (findings_passed(&doctor.findings, "spec",
            prepare_settings(context, request, arena, diagnostics, &doctor.preparation))) {
        findings_good(&doctor.findings, "spec",
            arena_printf(arena, "'%s' in '%s' from %s", request->app, request->env,
                doctor.preparation.deployment->specs));
        look_at_checkout(&doctor);
        doctor_secrets(context, doctor.preparation.deployment, &doctor.findings);
        look_at_github(&doctor);
        doctor_reports(context, &doctor.preparation, &doctor.findings);
        if (doctor_aws(context, doctor.preparation.deployment, &doctor.findings)) {
            look_at_services(&doctor);
        }
    }
    *out = doctor.findings.list;
    *count = doctor.findings.count;
}
