// The client object: its making, its end, and the small questions about it. Sends nothing itself.
#include "dispatcher/github.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/url.h"
#include "github_internal.h"

static struct error *
check_api(const char *api)
{
    struct url url CLEANUP(url_done) = {0};
    struct error *err = url_parse(api != NULL ? api : "", &url);
    if (err == NULL && (url.has_user || url.query != NULL)) {
        err = error_new(ERROR_INPUT, "'%s' holds a user or a query", api);
    }
    if (err == NULL) {
        return NULL;
    }
    error_hint(err, "GITHUB_API_URL is 'https://api.github.com', or "
                    "'https://HOST/api/v3' for GitHub Enterprise Server.");
    return error_wrap(err, "address of GitHub's API");
}

static struct error *
check_options(const struct github_options *options)
{
    TRY(check_api(options->api));
    if (!repository_name_is_valid(str_of(options->repository))) {
        return error_hint(error_new(ERROR_INPUT, "'%s' is not a repository",
                              options->repository != NULL ? options->repository : ""),
            "Write it as owner/name.");
    }
    bool app = options->app_id != NULL && options->app_key != NULL;
    if (options->token == NULL && !app) {
        return error_hint(
            error_new(ERROR_CREDENTIALS, "no credentials for GitHub ('%s')", options->repository),
            "Set DEPLOYMENT_APP_ID and DEPLOYMENT_APP_KEY (a GitHub App), or GITHUB_TOKEN.");
    }
    return NULL;
}

struct error *
github_client_new(const struct platform *platform, struct http_client *http,
    const struct github_options *options, struct github_client **out)
{
    TRY(check_options(options));
    struct jwt_key *key = NULL;
    if (options->token == NULL) {
        struct error *err = jwt_key_from_pem(options->app_key, &key);
        if (err != NULL) {
            return error_wrap(err, "private key of the GitHub App '%s'", options->app_id);
        }
    }
    struct github_client *client = xcalloc(1, sizeof(*client));
    client->platform = platform;
    client->http = http;
    client->api = xstrdup(options->api);
    for (size_t len = strlen(client->api); len > 0 && client->api[len - 1] == '/'; len--) {
        client->api[len - 1] = '\0';
    }
    client->repository = xstrdup(options->repository);
    client->version = GITHUB_VERSION_NEW;
    client->token = secret_ref(options->token);
    client->app_id = key != NULL ? xstrdup(options->app_id) : NULL;
    client->app_key = key;
    client->purpose = options->purpose;
    *out = client;
    return NULL;
}

void
github_client_free(struct github_client *client)
{
    if (client == NULL) {
        return;
    }
    for (size_t i = 0; i < GITHUB_ETAG_MAX; i++) {
        free(client->etags[i].url);
        free(client->etags[i].etag);
    }
    secret_free(client->token);
    jwt_key_free(client->app_key);
    json_free(client->granted);
    free(client->app_id);
    free(client->repository);
    free(client->api);
    free(client);
}

void
github_client_freep(struct github_client **client)
{
    github_client_free(*client);
    *client = NULL;
}

struct github_counters
github_client_counters(const struct github_client *client)
{
    return client->counters;
}

const char *
github_client_repository(const struct github_client *client)
{
    return client->repository;
}

void
github_client_set_deadline(struct github_client *client, int64_t deadline_mono_ms)
{
    client->deadline_mono_ms = deadline_mono_ms;
}

int64_t
github_client_not_before(const struct github_client *client)
{
    return client->not_before_mono_ms;
}

struct error *
github_client_token(struct github_client *client, struct secret **out)
{
    TRY(github_token_ensure(client));
    *out = secret_ref(client->token);
    return NULL;
}

char *
github_call_url(const struct github_client *client, const struct github_call *call)
{
    if (call->url != NULL) {
        return xstrdup(call->url);
    }
    const char *repos = call->in_repository ? "/repos/" : "";
    const char *repository = call->in_repository ? client->repository : "";
    return xasprintf("%s%s%s%s", client->api, repos, repository, call->path);
}
