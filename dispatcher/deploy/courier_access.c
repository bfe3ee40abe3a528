// With what the courier opens sinks: secrets by reference and the GitHub client for reports, kept
// for as long as notices of the same place follow each other. What the providers of one account
// read is never used for another.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/memory.h"
#include "dispatcher/slack.h"
#include "dispatcher/webhook.h"
#include "notice_internal.h"

void
courier_forget(struct deploy_context *context)
{
    github_client_free(context->reports);
    context->reports = NULL;
    free(context->reports_of);
    context->reports_of = NULL;
    secret_reference_forget(context);
    aws_session_free(context->aws);
    context->aws = NULL;
}

// Everything that decides which credentials are used.
void
courier_scope(struct deploy_context *context, const struct deployment *target)
{
    const struct deployment place = {.region = target->region,
        .account = target->account,
        .role = target->role,
        .env = target->env,
        .github_api = target->github_api,
        .github_app_id = target->github_app_id,
        .github_app_key = target->github_app_key,
        .vault = target->vault};
    struct json *object CLEANUP(json_freep) = deployment_encode(&place);
    struct buf text CLEANUP(buf_done) = BUF_INIT(256 * 1024);
    json_print(object, false, &text);
    if (cstr_equal(context->scope, buf_cstr(&text))) {
        return;
    }
    courier_forget(context);
    free(context->scope);
    context->scope = buf_take(&text);
}

void
courier_blocked(const struct delivery *delivery, struct error *err, struct delivered *out)
{
    char *text CLEANUP(xfreep) = error_text(err);
    const char *hint = error_hint_of(err);
    out->result = (struct notify_result){.verdict = NOTIFY_BLOCKED,
        .problem = context_clean(delivery->arena, text, 1000),
        .hint = hint != NULL ? context_clean(delivery->arena, hint, 1000) : NULL};
    bool passes = error_kind(err) == ERROR_UNAVAILABLE || error_kind(err) == ERROR_CANCELLED;
    out->result.verdict = passes ? NOTIFY_LATER : NOTIFY_BLOCKED;
    error_free(err);
}

bool
courier_secret(const struct delivery *delivery, const char *reference, struct secret **secret,
    struct delivered *out)
{
    struct error *err =
        secret_reference_of_spec(delivery->context, delivery->target, reference, secret);
    if (err == NULL) {
        return true;
    }
    const char *what = reference != NULL ? reference : "no reference";
    courier_blocked(delivery, error_wrap(err, "read '%s'", what), out);
    return false;
}

// --- masks -------------------------------------------------------------------------------------

// NULL: not there, not at hand, or not to be read; who needs it says why.
static struct secret *
at_hand(struct deploy_context *context, const struct deployment *d, const char *reference)
{
    struct secret *secret = NULL;
    struct str text = str_of(reference);
    if (str_starts(text, STR("env:")) || str_starts(text, STR("file:"))) {
        error_free(secret_reference_of_spec(context, d, reference, &secret));
    }
    return secret;
}

void
deploy_mask_sinks(struct deploy_context *context, const struct deployment *deployment)
{
    for (size_t i = 0; i < deployment->sinks.count; i++) {
        const struct deployment_sink *sink = deployment_sink_at(deployment, i);
        struct secret *token CLEANUP(secret_freep) = at_hand(context, deployment, sink->token);
        struct secret *url CLEANUP(secret_freep) = at_hand(context, deployment, sink->url);
        struct secret *secret CLEANUP(secret_freep) = at_hand(context, deployment, sink->secret);
        struct secret *key CLEANUP(secret_freep) = at_hand(context, deployment, sink->routing_key);
        if (url != NULL) {
            slack_webhook_mask(url);
        }
        if (secret != NULL) {
            webhook_mask(secret);
        }
    }
}

// --- references --------------------------------------------------------------------------------

const char *
courier_member(const struct delivery *delivery, const char *reference, const char *name)
{
    struct json *object CLEANUP(json_freep) = NULL;
    if (reference == NULL) {
        return NULL;
    }
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(reference), &json_limits_default, &object);
    return err == NULL ? arena_dup(delivery->arena, json_str(json_get(object, name))) : NULL;
}

int64_t
courier_number(const char *reference, const char *name)
{
    struct json *object CLEANUP(json_freep) = NULL;
    if (reference == NULL) {
        return 0;
    }
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(reference), &json_limits_default, &object);
    return err == NULL ? json_int(json_get(object, name), 0) : 0;
}
