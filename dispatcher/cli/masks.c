// Secrets of the environment are masked before anything else is printed, used or not: the log of a
// remote run may hold one that this deployment had no need of.
#include <string.h>

#include "cli_internal.h"
#include "dispatcher/secret.h"
#include "dispatcher/slack.h"

void
cli_mask_environment(const struct cli *cli)
{
    static const char *const names[] = {"GITHUB_TOKEN", "GH_TOKEN", "DEPLOYMENT_APP_KEY",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_RUNTIME_TOKEN", "DISPATCHER_REGISTRY_PASSWORD",
        "DISPATCHER_SPECS_TOKEN", "VAULT_TOKEN", "SLACK_BOT_TOKEN", "SLACK_WEBHOOK_URL",
        "SLACK_SIGNING_SECRET", "PAGERDUTY_ROUTING_KEY"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = env_get(&cli->platform, names[i]);
        // The App's key may be a path, which is no secret.
        bool is_path = value != NULL && strcmp(names[i], "DEPLOYMENT_APP_KEY") == 0 &&
                       strstr(value, "-----BEGIN") == NULL;
        if (value != NULL && !is_path) {
            secret_free(secret_new(str_of(value))); // the mask stays
        }
    }
    const char *address = env_get(&cli->platform, "SLACK_WEBHOOK_URL");
    struct secret *webhook CLEANUP(secret_freep) = secret_new(str_of(address));
    slack_webhook_mask(webhook);
}
