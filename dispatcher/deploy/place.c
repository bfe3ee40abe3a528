// The place that a context's clients are opened for, where one context serves many deployments: a
// client of one account, role or installation is never used for another's. Opens nothing itself.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/ecr.h"
#include "dispatcher/memory.h"
#include "notice_internal.h"

static void
forget_aws(struct deploy_context *context)
{
    secret_reference_forget(context); // Vault's client signs in with AWS
    registry_client_free(context->registry);
    context->registry = NULL;
    aws_session_free(context->aws);
    context->aws = NULL;
    context->ecs_classic = false;
}

static void
forget_github(struct deploy_context *context)
{
    github_client_free(context->github);
    context->github = NULL;
    github_client_free(context->history);
    context->history = NULL;
}

void
deploy_context_forget(struct deploy_context *context)
{
    forget_aws(context);
    forget_github(context);
    courier_forget(context);
}

// True when `*scope` was another one: it is this one now.
static bool
is_other(char **scope, const struct deployment *place)
{
    struct json *object CLEANUP(json_freep) = deployment_encode(place);
    struct buf text CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    json_print(object, false, &text);
    if (cstr_equal(*scope, buf_cstr(&text))) {
        return false;
    }
    free(*scope);
    *scope = buf_take(&text);
    return true;
}

// Is GitHub's key read with the credentials of the environment?
static bool
is_key_elsewhere(const struct deployment *d)
{
    struct str key = str_of(d->github_app_key);
    return str_starts(key, STR("ssm:")) || str_starts(key, STR("secretsmanager:")) ||
           str_starts(key, STR("vault:"));
}

void
place_enter(struct deploy_context *context, const struct deployment *d)
{
    // A role's session is named after the deployment's app and environment.
    const struct deployment aws = {.region = d->region,
        .account = d->account,
        .role = d->role,
        .app = d->role != NULL ? d->app : NULL,
        .env = d->role != NULL ? d->env : NULL,
        .vault = d->vault};
    struct deployment github = {.github_api = d->github_api,
        .workflow_repo = d->workflow_repo,
        .github_app_id = d->github_app_id,
        .github_app_key = d->github_app_key};
    if (is_other(&context->aws_scope, &aws)) {
        forget_aws(context);
    }
    if (is_key_elsewhere(d)) {
        github.region = d->region;
        github.account = d->account;
        github.role = d->role;
        github.env = d->env;
        github.vault = d->vault;
    }
    if (is_other(&context->github_scope, &github)) {
        forget_github(context);
    }
    apprunner_memory_free(context->apprunner); // what was listed for another plan
    context->apprunner = NULL;
    int64_t counted = context->github != NULL ? github_client_counters(context->github).counted : 0;
    context->quota_base = d->quota_requests - counted;
}

// --- for a caller that pushes ------------------------------------------------------------------

static struct pair_list
repositories_of(const struct deployment *d, struct arena *arena)
{
    struct pair *pairs = arena_array(arena, d->services.count, sizeof(*pairs));
    size_t count = 0;
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        if (!service->no_image) {
            pairs[count++] = (struct pair){service->name, service->repository};
        }
    }
    return (struct pair_list){pairs, count};
}

static struct deploy_recipe *
recipes_of(const struct preparation *p, size_t *count)
{
    const struct deployment *d = p->deployment;
    struct deploy_recipe *recipes = arena_array(p->arena, d->services.count, sizeof(*recipes));
    *count = 0;
    for (size_t i = 0; i < d->services.count; i++) {
        const struct deployment_service *service = deployment_service_at(d, i);
        const struct setting_service *setting = settings_service(p->settings, service->name);
        if (!service->no_image) {
            recipes[(*count)++] =
                (struct deploy_recipe){service->name, setting->dockerfile, setting->context};
        }
    }
    return recipes;
}

// What a build is told of the version and the commit that it is of.
static struct error *
expand_recipes(const struct preparation *p, struct deploy_place *out)
{
    struct deployment *d = p->deployment;
    d->version = p->request->version;
    d->sha = p->request->given->sha;
    d->tag = given_tag(p);
    if (d->version != NULL) {
        TRY(build_expand_args(p));
    }
    out->recipes = recipes_of(p, &out->recipe_count);
    out->platform = p->settings->build_platform;
    out->build_args = d->build_args;
    out->build_secrets = p->settings->build_secrets;
    return NULL;
}

struct error *
deploy_place(struct deploy_context *context, const struct deploy_request *request,
    struct arena *arena, struct diagnostics *diagnostics, struct deploy_place *out)
{
    struct preparation p = {0};
    TRY(prepare_settings(context, request, arena, diagnostics, &p));
    TRY(prepare_services(&p));
    const struct deployment *d = p.deployment;
    const struct pair_list repositories = repositories_of(d, arena);
    if (repositories.count == 0) {
        return error_new(ERROR_SPEC, "app '%s' has no image that is pushed", d->app);
    }
    TRY(snapshot_place(context, &p));
    *out = (struct deploy_place){.registry = deployment_service_at(d, 0)->registry,
        .region = d->region,
        .account = d->account,
        .repositories = repositories,
        .role = d->role};
    (void)ecr_host_parse(out->registry, arena, &out->account, &out->region);
    return expand_recipes(&p, out);
}
