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
    struct buf text CLEANUP(buf_done) = BUF_INIT(4096);
    buf_printf(&text,
        "dispatcher sandbox\n\nGitHub REST  %s/github\nAWS          %s/aws\n"
        "registry     %s/v2/\nOIDC issuer  %s/oidc\nVault        %s/vault\n"
        "control      %s/_sandbox/state\n",
        sandbox->origin, sandbox->origin, sandbox->origin, sandbox->origin, sandbox->origin,
        sandbox->origin);
    sandbox_reply_text(response, 200, "text/plain; charset=utf-8", buf_str(&text));
}

void
sandbox_handle(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *first = first_part(request);
    if (sandbox_github_is_api(request)) {
        sandbox_github_handle(sandbox, request, response);
    } else if (strcmp(first, "aws") == 0) {
        sandbox_aws_handle(sandbox, request, response);
    } else if (strcmp(first, "v2") == 0) {
        sandbox_registry_handle(sandbox, request, response);
    } else if (strcmp(first, "apps") == 0) {
        sandbox_aws_apps_handle(sandbox, request, response);
    } else if (strcmp(first, "vault") == 0) {
        sandbox_vault_handle(sandbox, request, response);
    } else if (strcmp(first, "oidc") == 0) {
        sandbox_oidc_handle(sandbox, request, response);
    } else if (strcmp(first, "_sandbox") == 0) {
        sandbox_control_handle(sandbox, request, response);
    } else if (strcmp(first, "_storage") == 0) {
        sandbox_github_storage(sandbox, request, response);
    } else if (request->part_count == 0) {
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
    } else {
        sandbox_github_expired(sandbox, response);
    }
}
