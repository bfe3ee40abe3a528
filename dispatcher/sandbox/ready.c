// What clients need to know, as an object and as lines for `set -a; . file`.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "sandbox_internal.h"

struct json *
sandbox_ready_addresses(struct sandbox *sandbox)
{
    struct json *all = json_make_object();
    char *github CLEANUP(xfreep) = xasprintf("%s/github", sandbox->origin);
    char *enterprise CLEANUP(xfreep) = xasprintf("%s/api/v3", sandbox->origin);
    char *aws CLEANUP(xfreep) = xasprintf("%s/aws", sandbox->origin);
    char *control CLEANUP(xfreep) = xasprintf("%s/_sandbox", sandbox->origin);
    char *issuer CLEANUP(xfreep) = xasprintf("%s/oidc", sandbox->origin);
    json_set_str(all, "DISPATCHER_SANDBOX", sandbox->origin);
    json_set_str(all, "DISPATCHER_SANDBOX_CONTROL", control);
    json_set_str(all, "DISPATCHER_SANDBOX_DATA", sandbox->data);
    json_set_str(all, "GITHUB_API_URL", sandbox->options->ghes != NULL ? enterprise : github);
    json_set_str(all, "GITHUB_SERVER_URL", sandbox->origin);
    sandbox_github_ready(sandbox, all);
    json_set_str(all, "DISPATCHER_SANDBOX_OIDC_ISSUER", issuer);
    json_set_str(all, "AWS_ENDPOINT_URL", aws);
    json_set_str(all, "AWS_ACCESS_KEY_ID", sandbox_aws_access_key(sandbox));
    json_set_str(all, "AWS_SECRET_ACCESS_KEY", sandbox_aws_secret_key(sandbox));
    json_set_str(all, "AWS_REGION", sandbox_aws_region(sandbox));
    json_set_str(all, "AWS_DEFAULT_REGION", sandbox_aws_region(sandbox));
    json_set_str(all, "AWS_EC2_METADATA_DISABLED", "true");
    json_set_str(all, "DISPATCHER_SANDBOX_ACCOUNT", sandbox_aws_account(sandbox));
    json_set_str(all, "DISPATCHER_SANDBOX_REGISTRY", sandbox->host);
    char *vault CLEANUP(xfreep) = xasprintf("%s/vault", sandbox->origin);
    json_set_str(all, "VAULT_ADDR", vault);
    json_set_str(all, "DISPATCHER_SANDBOX_VAULT_TOKEN", sandbox_vault_root_token(sandbox));
    json_set_str(all, "DISPATCHER_REGISTRY_USER", "AWS");
    json_set_str(all, "DISPATCHER_REGISTRY_PASSWORD", sandbox_registry_password(sandbox));
    char *events CLEANUP(xfreep) = xasprintf("%s/pagerduty", sandbox->origin);
    char *hooks CLEANUP(xfreep) = xasprintf("%s/hooks", sandbox->origin);
    sandbox_slack_ready(sandbox, all);
    json_set_str(all, "PAGERDUTY_EVENTS_URL", events);
    json_set_str(all, "PAGERDUTY_ROUTING_KEY", sandbox_pagerduty_routing_key(sandbox));
    json_set_str(all, "DISPATCHER_SANDBOX_HOOKS", hooks);
    return all;
}

static void
add_line(void *ctx, const char *key, const struct json *value)
{
    struct buf *out = ctx;
    buf_printf(out, "%s='", key);
    for (const char *at = json_str(value); at != NULL && *at != '\0'; at++) {
        if (*at == '\'') {
            buf_puts(out, "'\\''");
        } else {
            buf_putc(out, *at);
        }
    }
    buf_puts(out, "'\n");
}

void
sandbox_ready_environment(const struct json *addresses, struct buf *out)
{
    json_each(addresses, add_line, out);
}
