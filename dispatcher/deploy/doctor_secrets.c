// The doctor's look at secrets: can each reference of the files be read, and is Vault reachable and
// willing. Says what is wrong, never what is in them.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"
#include "dispatcher/vault.h"
#include "findings.h"

struct look {
    struct deploy_context *context;
    const struct deployment *deployment;
    struct arena *arena;
    struct findings *findings;
};

static void
describe_vault(struct look *look, const struct vault_identity *who)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(16 * 1024);
    char left[32];
    buf_printf(&text, "signed in%s%s%s", who->name != NULL ? " as '" : "",
        who->name != NULL ? who->name : "", who->name != NULL ? "'" : "");
    for (size_t i = 0; i < who->policies.count; i++) {
        buf_printf(&text, "%s%s", i == 0 ? ", policies " : ", ", who->policies.items[i]);
    }
    if (who->left_ms > 0) {
        clock_format_duration(who->left_ms, left);
        buf_printf(&text, ", for %s", left);
    }
    findings_good(look->findings, "vault", context_masked(look->arena, buf_cstr(&text)));
}

/// Is there any sense in asking it for secrets?
static bool
look_at_vault(struct look *look)
{
    struct vault_client *vault = NULL;
    struct vault_identity who = {0};
    if (!findings_passed(
            look->findings, "vault", provider_vault(look->context, look->deployment, &vault)) ||
        !findings_passed(look->findings, "vault", vault_sign_in(vault))) {
        return false;
    }
    struct error *err = vault_identity_get(vault, look->arena, &who);
    if (err != NULL && error_remote_of(err)->status == 403) {
        error_free(err);
        findings_warn(look->findings, "vault", "Vault does not say what the token may do",
            "A token without the policy 'default' is fine; one that has expired "
            "is refused in the same way.");
        return true;
    }
    if (!findings_passed(look->findings, "vault", err)) {
        return false;
    }
    describe_vault(look, &who);
    return true;
}

// It works, and whoever may read parameters reads it.
static bool
is_plain_parameter(struct look *look, const char *reference)
{
    struct aws_session *aws = NULL;
    struct ssm_parameter *parameter = NULL;
    if (!str_starts(str_of(reference), STR("ssm:"))) {
        return false;
    }
    struct error *err CLEANUP(error_freep) = provider_aws(look->context, look->deployment, &aws);
    if (err == NULL) {
        err = ssm_get(aws, reference + strlen("ssm:"), look->arena, &parameter);
    }
    return err == NULL && parameter != NULL && !cstr_equal(parameter->type, "SecureString");
}

static void
look_at_reference(struct look *look, const char *key, const char *reference)
{
    struct secret *secret CLEANUP(secret_freep) = NULL;
    if (str_starts(str_of(reference), STR("vault:")) && !look_at_vault(look)) {
        return;
    }
    if (!findings_passed(look->findings, "secret",
            secret_reference_read(look->context, look->deployment, reference, &secret))) {
        return;
    }
    if (is_plain_parameter(look, reference)) {
        findings_warn(look->findings, "secret",
            arena_printf(look->arena, "%s: '%s' is a plain String", key, reference),
            "Make it a SecureString: a String is shown to all who may read "
            "parameters.");
        return;
    }
    findings_good(look->findings, "secret",
        arena_printf(look->arena, "%s: '%s' can be read", key, reference));
}

void
doctor_secrets(
    struct deploy_context *context, const struct deployment *deployment, struct findings *findings)
{
    struct look look = {context, deployment, findings->arena, findings};
    bool own_key = env_get(context->platform, "DEPLOYMENT_APP_KEY") != NULL;
    if (deployment->github_app_key != NULL && !own_key) {
        look_at_reference(&look, "github.app_key", deployment->github_app_key);
    }
}
