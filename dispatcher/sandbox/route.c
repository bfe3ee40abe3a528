// Which part of the sandbox a path belongs to. Everything else is in the parts.
#include <string.h>

#include "sandbox_internal.h"

const char *
sandbox_action(const struct sandbox_request *request)
{
    const char *target = sandbox_request_header(request, "X-Amz-Target");
    if (target != NULL) {
        return target;
    }
    const char *type = sandbox_request_header(request, "Content-Type");
    bool is_form =
        type != NULL && str_starts(str_of(type), STR("application/x-www-form-urlencoded"));
    return is_form ? sandbox_form_value(request->arena, buf_str(&request->body), "Action") : NULL;
}

static const char *
first_part(const struct sandbox_request *request)
{
    return request->part_count > 0 ? request->parts[0] : "";
}

// A browser or a curious person at the root.
static void
show_root(struct sandbox *sandbox, struct sandbox_response *response)
{
    static const char *const places[][2] = {{"GitHub REST", "/github"}, {"AWS", "/aws"},
        {"registry", "/v2/"}, {"OIDC issuer", "/oidc"}, {"Vault", "/vault"},
        {"Slack", "/slack/api"}, {"PagerDuty", "/pagerduty"}, {"webhooks", "/hooks/NAME"},
        {"inbox", "/inbox"}, {"control", "/_sandbox/state"}};
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    buf_puts(&text, "dispatcher sandbox\n\n");
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++) {
        buf_printf(&text, "%-13s%s%s\n", places[i][0], sandbox->origin, places[i][1]);
    }
    sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&text));
}

// The parts that own all below one segment.
static const struct {
    const char *first;
    void (*handle)(struct sandbox *sandbox, struct sandbox_request *request,
        struct sandbox_response *response);
} parts[] = {
    {"aws", sandbox_aws_handle},
    {"v2", sandbox_registry_handle},
    {"apps", sandbox_aws_apps_handle},
    {"vault", sandbox_vault_handle},
    {"oidc", sandbox_oidc_handle},
    {"slack", sandbox_slack_handle},
    {"pagerduty", sandbox_pagerduty_handle},
    {"hooks", sandbox_hooks_handle},
    {"inbox", sandbox_inbox_handle},
    {"login", sandbox_github_login_handle},
    {"_sandbox", sandbox_control_handle},
    {"_storage", sandbox_github_storage},
};

void
sandbox_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *first = first_part(request);
    if (sandbox_github_is_api(request)) {
        sandbox_github_handle(sandbox, request, response);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (strcmp(parts[i].first, first) == 0) {
            parts[i].handle(sandbox, request, response);
            return;
        }
    }
    if (request->part_count == 0) {
        show_root(sandbox, response);
    } else if (!sandbox_github_page(sandbox, request, response)) {
        sandbox_reply_problem(response, 404, "nothing is served at this path");
    }
}

void
sandbox_expired(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    const char *first = first_part(request);
    if (strcmp(first, "aws") == 0) {
        sandbox_aws_expired(request, response);
    } else if (strcmp(first, "v2") == 0) {
        sandbox_registry_expired(sandbox, response);
    } else if (strcmp(first, "vault") == 0) {
        sandbox_vault_expired(sandbox, response);
    } else if (strcmp(first, "slack") == 0) {
        sandbox_slack_expired(request, response);
    } else if (strcmp(first, "pagerduty") == 0) {
        sandbox_pagerduty_expired(response);
    } else if (strcmp(first, "hooks") == 0) {
        sandbox_hooks_expired(response);
    } else {
        sandbox_github_expired(sandbox, response);
    }
}
