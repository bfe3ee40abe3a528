// The doctor's look at secrets: can each reference of the files be read, and is Vault reachable and
// willing. Says what is wrong, never what is in them.
#include <string.h>

#include "deploy_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/ssm.h"
#include "dispatcher/vault.h"

struct look {
    struct deploy_context *context;
    const struct deployment *deployment;
    struct arena *arena;
    struct doctor_finding *out;
    size_t room, count;
};

static void
add(struct look *look, struct doctor_finding finding)
{
    if (look->count < look->room) {
        look->out[look->count++] = finding;
    }
}

// Consumes `err`; true when there was none.
static bool
passed(struct look *look, const char *area, struct error *err)
{
    if (err == NULL) {
        return true;
    }
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    add(look,
        (struct doctor_finding){
            .area = area,
            .verdict = DOCTOR_BAD,
            .text = context_masked(look->arena, text),
            .fix = arena_dup(look->arena, hint != NULL ? hint : error_kind_text(error_kind(err))),
            .exit_code = error_kind_exit_code(error_kind(err)),
        });
    error_free(err);
    return false;
}

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
    add(look, (struct doctor_finding){.area = "vault",
                  .verdict = DOCTOR_GOOD,
                  .text = context_masked(look->arena, buf_cstr(&text))});
}

/// Is there any sense in asking it for secrets?
static bool
look_at_vault(struct look *look)
{
    struct vault_client *vault = NULL;
    struct vault_identity who = {0};
    if (!passed(look, "vault", provider_vault(look->context, look->deployment, &vault)) ||
        !passed(look, "vault", vault_sign_in(vault))) {
        return false;
    }
    struct error *err = vault_identity_get(vault, look->arena, &who);
    if (err != NULL && error_remote_of(err)->status == 403) {
        error_free(err);
        add(look, (struct doctor_finding){.area = "vault",
                      .verdict = DOCTOR_WARNING,
                      .text = "Vault does not say what the token may do",
                      .fix = "A token without the policy 'default' is fine; one that has expired "
                             "is refused in the same way."});
        return true;
    }
    if (!passed(look, "vault", err)) {
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
    if (!passed(look, "secret",
            secret_reference_read(look->context, look->deployment, reference, &secret))) {
        return;
    }
    if (is_plain_parameter(look, reference)) {
        add(look,
            (struct doctor_finding){.area = "secret",
                .verdict = DOCTOR_WARNING,
                .text = arena_printf(look->arena, "%s: '%s' is a plain String", key, reference),
                .fix = "Make it a SecureString: a String is shown to all who may read "
                       "parameters."});
        return;
    }
    add(look, (struct doctor_finding){.area = "secret",
                  .verdict = DOCTOR_GOOD,
                  .text = arena_printf(look->arena, "%s: '%s' can be read", key, reference)});
}

size_t
doctor_secrets(struct deploy_context *context, const struct deployment *deployment,
    struct arena *arena, struct doctor_finding *out, size_t room)
{
    struct look look = {context, deployment, arena, out, room, 0};
    bool own_key = env_get(context->platform, "DEPLOYMENT_APP_KEY") != NULL;
    if (deployment->github_app_key != NULL && !own_key) {
        look_at_reference(&look, "github.app_key", deployment->github_app_key);
    }
    return look.count;
}
