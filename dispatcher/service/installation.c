// Clients of the service's GitHub App for one repository each. Hands no token to anybody: a client
// asks GitHub for one that may do what its purpose needs, and for no other repository.
#include "service_internal.h"

#include "dispatcher/memory.h"

struct error *
installation_client(struct service *service, struct http_client *http, const char *repository,
    enum github_purpose purpose, struct github_client **out)
{
    const struct platform *platform = service_platform(service);
    const struct setting_server *settings = service_settings(service);
    struct secret *key CLEANUP(secret_freep) = service_app_key(service);
    struct secret *token CLEANUP(secret_freep) = NULL;
    const char *plain = env_get(platform, "GITHUB_TOKEN");
    if (key == NULL && plain == NULL) {
        plain = env_get(platform, "GH_TOKEN");
    }
    if (key == NULL && plain != NULL) {
        token = secret_new(str_of(plain));
    }
    const struct github_options options = {
        .api = settings->github_api != NULL ? settings->github_api : "https://api.github.com",
        .repository = repository,
        .token = token,
        .app_id = settings->github_app_id,
        .app_key = key,
        .purpose = purpose,
    };
    return github_client_new(platform, http, &options, out);
}

bool
installation_is_other(struct service *service, struct secret **known)
{
    struct secret *now = service_app_key(service);
    bool other = now != *known;
    secret_free(*known);
    *known = now;
    return other;
}
