// Opens clients when a step first needs them, with the credentials that the environment offers.
// Keeps no secret beyond the clients; what to do with them is the steps' business.
#include <stdlib.h>
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/actions.h"
#include "dispatcher/ecr.h"
#include "dispatcher/file.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum { SESSION_NAME_MAX = 64, BRIEF_MS = 20 * 1000 };

static struct error *
oidc_token(void *ctx, const char *audience, struct secret **out)
{
    struct deploy_context *context = ctx;
    return actions_oidc_token(context->platform, context->http, audience, out);
}

struct error *
provider_aws(
    struct deploy_context *context, const struct deployment *deployment, struct aws_session **out)
{
    if (context->aws == NULL) {
        const struct aws_token_source oidc = {oidc_token, context};
        char *name CLEANUP(xfreep) =
            xasprintf("dispatcher-%s-%s", deployment->app, deployment->env);
        if (strlen(name) > SESSION_NAME_MAX) {
            name[SESSION_NAME_MAX] = '\0';
        }
        const struct aws_options options = {
            .region = deployment->region,
            .role_arn = deployment->role,
            .role_session_name = name,
            .oidc = actions_has_oidc(context->platform) ? &oidc : NULL,
            .account = deployment->account,
        };
        TRY(aws_session_new(context->platform, context->http, &options, &context->aws));
    }
    *out = context->aws;
    return NULL;
}

// What is no path may be a mangled key: it is masked from here on, and never quoted.
static struct error *
read_app_key_file(const char *value, struct secret **out)
{
    if (file_exists(value)) {
        return secret_reference_file(value, out);
    }
    struct secret *mask CLEANUP(secret_freep) = secret_new(str_of(value));
    return error_hint(error_new(ERROR_CREDENTIALS,
                          "DEPLOYMENT_APP_KEY holds neither a PEM key nor the path of one"),
        "Give it the whole text of the App's private key, '-----BEGIN' line included, or a path.");
}

// Whom a GitHub client is for. `deployment` may be NULL where there is no key by reference.
struct github_access {
    const char *api, *repository, *app_id, *app_key;
    const struct deployment *deployment;
    enum github_purpose purpose;
};

// DEPLOYMENT_APP_KEY holds the PEM itself or names a file that does.
static struct error *
read_app_key(
    struct deploy_context *context, const struct github_access *access, struct secret **out)
{
    const char *value = env_get(context->platform, "DEPLOYMENT_APP_KEY");
    if (access->app_key != NULL && value == NULL) {
        return secret_reference_read(context, access->deployment, access->app_key, out);
    }
    if (value == NULL) {
        return error_hint(error_new(ERROR_CREDENTIALS, "the GitHub App has an id but no key"),
            "Set DEPLOYMENT_APP_KEY to the App's private key (PEM text or a path).");
    }
    if (strstr(value, "-----BEGIN") == NULL) {
        return read_app_key_file(value, out);
    }
    *out = secret_new(str_of(value));
    return NULL;
}

static const char *
token_from_environment(struct deploy_context *context)
{
    const char *token = env_get(context->platform, "GITHUB_TOKEN");
    return token != NULL ? token : env_get(context->platform, "GH_TOKEN");
}

static struct error *
open_github(
    struct deploy_context *context, const struct github_access *access, struct github_client **out)
{
    struct secret *key CLEANUP(secret_freep) = NULL;
    struct secret *token CLEANUP(secret_freep) = NULL;
    const char *env_id = env_get(context->platform, "DEPLOYMENT_APP_ID");
    struct github_options options = {
        .api = access->api, .repository = access->repository, .purpose = access->purpose};
    if (env_id != NULL || access->app_id != NULL) {
        TRY(read_app_key(context, access, &key));
        options.app_id = env_id != NULL ? env_id : access->app_id;
        options.app_key = key;
    } else if (token_from_environment(context) != NULL) {
        token = secret_new(str_of(token_from_environment(context)));
        options.token = token;
    } else {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "no GitHub credentials for '%s'", access->repository),
            "Set DEPLOYMENT_APP_ID and DEPLOYMENT_APP_KEY, or GITHUB_TOKEN.");
    }
    return github_client_new(context->platform, context->http, &options, out);
}

// A service's threads wait for no limit of GitHub's: whoever asked comes again.
static void
be_brief(
    const struct deploy_context *context, const struct deployment *d, struct github_client *github)
{
    if (d->served) {
        github_client_set_deadline(github, clock_mono(context->platform->clock) + BRIEF_MS);
    }
}

struct error *
provider_github(
    struct deploy_context *context, const struct deployment *deployment, struct github_client **out)
{
    if (context->github == NULL) {
        const struct github_access access = {.api = deployment->github_api,
            .repository = deployment->workflow_repo,
            .app_id = deployment->github_app_id,
            .app_key = deployment->github_app_key,
            .deployment = deployment};
        TRY(open_github(context, &access, &context->github));
    }
    be_brief(context, deployment, context->github);
    *out = context->github;
    return NULL;
}

void
provider_count(struct deploy_context *context, struct deployment *deployment)
{
    if (context->github != NULL) {
        deployment->quota_requests =
            context->quota_base + github_client_counters(context->github).counted;
    }
}

struct error *
provider_repository(struct deploy_context *context, const struct setting_github *github,
    const char *repository, struct github_client **out)
{
    const char *own = token_from_environment(context);
    const char *api = env_get(context->platform, "GITHUB_API_URL");
    api = api != NULL ? api : github->api;
    if (own == NULL) {
        const struct github_access access = {.api = api,
            .repository = repository,
            .app_id = github->app_id,
            .purpose = GITHUB_FOR_REPORTS};
        return open_github(context, &access, out);
    }
    struct secret *token CLEANUP(secret_freep) = secret_new(str_of(own));
    const struct github_options options = {.api = api,
        .repository = repository,
        .token = token,
        .purpose = GITHUB_FOR_REPORTS};
    return github_client_new(context->platform, context->http, &options, out);
}

struct error *
provider_history(struct deploy_context *context, const struct deployment *deployment,
    const char *repository, struct github_client **out)
{
    if (context->history == NULL || !cstr_equal(context->history_of, repository)) {
        const struct github_access access = {.api = deployment->github_api,
            .repository = repository,
            .app_id = deployment->github_app_id,
            .app_key = deployment->github_app_key,
            .deployment = deployment,
            .purpose = GITHUB_FOR_SPECS};
        github_client_free(context->history);
        context->history = NULL;
        free(context->history_of);
        context->history_of = xstrdup(repository);
        TRY(open_github(context, &access, &context->history));
    }
    be_brief(context, deployment, context->history);
    *out = context->history;
    return NULL;
}

// A job's own token is of the app's repository and of nothing else: the least that will do.
static struct error *
open_reports(struct deploy_context *context, const struct deployment *deployment,
    const char *reference, struct github_client **out)
{
    struct secret *token CLEANUP(secret_freep) = NULL;
    const char *own = token_from_environment(context);
    if (reference != NULL) {
        TRY(secret_reference_of_spec(context, deployment, reference, &token));
    } else if (own != NULL) {
        token = secret_new(str_of(own));
    } else {
        const struct github_access access = {.api = deployment->github_api,
            .repository = deployment->repository,
            .app_id = deployment->github_app_id,
            .app_key = deployment->github_app_key,
            .deployment = deployment,
            .purpose = GITHUB_FOR_REPORTS};
        return open_github(context, &access, out);
    }
    const struct github_options options = {.api = deployment->github_api,
        .repository = deployment->repository,
        .token = token,
        .purpose = GITHUB_FOR_REPORTS};
    return github_client_new(context->platform, context->http, &options, out);
}

struct error *
provider_reports(struct deploy_context *context, const struct deployment *deployment,
    const char *token, struct github_client **out)
{
    char *wanted CLEANUP(xfreep) =
        xasprintf("%s %s", deployment->repository, token != NULL ? token : "");
    if (!cstr_equal(context->reports_of, wanted)) {
        github_client_free(context->reports);
        free(context->reports_of);
        context->reports = NULL;
        context->reports_of = NULL;
        TRY(open_reports(context, deployment, token, &context->reports));
        context->reports_of = wanted;
        wanted = NULL;
    }
    *out = context->reports;
    return NULL;
}

// A GitHub token goes to GitHub's git host only: the API host, with or without its "api." in front.
static bool
is_github_host(struct deploy_context *context, const char *host)
{
    const char *names[] = {env_get(context->platform, "GITHUB_API_URL"),
        env_get(context->platform, "GITHUB_SERVER_URL"), "https://github.com"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct url url CLEANUP(url_done) = {0};
        if (names[i] == NULL) {
            continue;
        }
        struct error *err = url_parse(names[i], &url);
        bool same = err == NULL &&
                    (strcmp(url.host, host) == 0 || (str_starts(str_of(url.host), STR("api.")) &&
                                                        strcmp(url.host + 4, host) == 0));
        error_free(err);
        if (same) {
            return true;
        }
    }
    return false;
}

struct error *
provider_git_token(struct deploy_context *context, const char *url_text, struct secret **out)
{
    *out = NULL;
    if (!str_starts(str_of(url_text), STR("https://")) &&
        !str_starts(str_of(url_text), STR("http://"))) {
        return NULL;
    }
    const char *own = env_get(context->platform, "DISPATCHER_SPECS_TOKEN");
    struct url url CLEANUP(url_done) = {0};
    TRY(url_parse(url_text, &url));
    if (own != NULL) {
        *out = secret_new(str_of(own));
        return NULL;
    }
    if (!is_github_host(context, url.host)) {
        return NULL;
    }
    if (env_get(context->platform, "DEPLOYMENT_APP_ID") == NULL) {
        const char *token = token_from_environment(context);
        *out = token != NULL ? secret_new(str_of(token)) : NULL;
        return NULL;
    }
    struct str path = str_skip(str_of(url.path), 1);
    if (str_ends(path, STR(".git"))) {
        path.len -= strlen(".git");
    }
    char *repository CLEANUP(xfreep) = str_dup(path);
    const char *api = env_get(context->platform, "GITHUB_API_URL");
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    const struct github_access access = {
        .api = api != NULL ? api : "https://api.github.com", .repository = repository};
    TRY(open_github(context, &access, &client));
    return github_client_token(client, out);
}

bool
provider_ecr_repository(
    const struct deployment_service *service, struct arena *arena, struct ecr_repository *out)
{
    struct ecr_repository found = {.name = service->repository};
    if (!ecr_host_parse(service->registry, arena, &found.account, &found.region)) {
        return false;
    }
    *out = found;
    return true;
}

static struct error *
ecr_credentials(
    struct deploy_context *context, const char *host, char **user, struct secret **password)
{
    struct ecr_login login = {0};
    TRY(ecr_login(context->aws, host, &login));
    *user = login.user;
    *password = login.password;
    return NULL;
}

static struct error *
renew_ecr(void *ctx, char **user, struct secret **password)
{
    struct deploy_context *context = ctx;
    return ecr_credentials(context, context->registry_host, user, password);
}

static struct error *
plain_credentials(
    struct deploy_context *context, const char *host, char **user, struct secret **password)
{
    const char *name = env_get(context->platform, "DISPATCHER_REGISTRY_USER");
    const char *secret = env_get(context->platform, "DISPATCHER_REGISTRY_PASSWORD");
    if (name != NULL && secret != NULL) {
        *user = xstrdup(name);
        *password = secret_new(str_of(secret));
        return NULL;
    }
    return registry_docker_credentials(context->platform, host, user, password);
}

struct error *
provider_registry(struct deploy_context *context, const struct deployment *deployment,
    const char *host, struct registry_client **out)
{
    if (context->registry != NULL && strcmp(context->registry_host, host) == 0) {
        *out = context->registry;
        return NULL;
    }
    char *user CLEANUP(xfreep) = NULL;
    struct secret *password CLEANUP(secret_freep) = NULL;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *account = NULL, *region = NULL;
    bool is_ecr = ecr_host_parse(host, arena, &account, &region);
    free(context->registry_host);
    context->registry_host = xstrdup(host);
    registry_client_free(context->registry);
    context->registry = NULL;
    if (is_ecr) {
        struct aws_session *aws = NULL;
        TRY(provider_aws(context, deployment, &aws));
        TRY(ecr_credentials(context, host, &user, &password));
    } else {
        TRY(plain_credentials(context, host, &user, &password));
    }
    const struct registry_options options = {
        .host = host,
        .user = user,
        .password = password,
        .renew = is_ecr ? renew_ecr : NULL,
        .renew_ctx = context,
        .is_ecr = is_ecr,
    };
    TRY(registry_client_new(context->platform, context->http, &options, &context->registry));
    *out = context->registry;
    return NULL;
}

// No other host than the target gets the environment's credentials.
static struct error *
log_in_to_source(void *ctx, const char *host, char **user, struct secret **password)
{
    const struct source_access *access = ctx;
    struct deploy_context *context = access->context;
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    struct aws_session *aws = NULL;
    if (ecr_host_parse(host, arena, NULL, NULL)) {
        TRY(provider_aws(context, access->deployment, &aws));
        return ecr_credentials(context, host, user, password);
    }
    return strcmp(host, access->target) == 0
               ? plain_credentials(context, host, user, password)
               : registry_docker_credentials(context->platform, host, user, password);
}

void
provider_source(struct deploy_context *context, const struct deployment *deployment,
    const char *target, struct source_access *out)
{
    *out = (struct source_access){
        .image = {context->platform, context->http, log_in_to_source, out},
        .context = context,
        .deployment = deployment,
        .target = target,
    };
}
