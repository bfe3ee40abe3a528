// POST /api/v1/explain: what the policy would say, and nothing is done. Of the caller's own claims
// it tells which failed which rule; of other apps it tells what everybody is told.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

static struct json *
shape(const struct policy_verdict *verdict, const char *commit)
{
    struct json *object = json_make_object(), *failures = json_make_array();
    json_set_bool(object, "allowed", verdict->allowed);
    json_set_str(object, "code", reason_code_name(verdict->code));
    json_set_str(object, "sentence", verdict->sentence);
    json_set(
        object, "who", verdict->who != NULL ? json_make_string(verdict->who) : json_make_null());
    json_set(
        object, "rule", verdict->rule != NULL ? json_make_string(verdict->rule) : json_make_null());
    json_set_bool(object, "audit_only", verdict->audit_only);
    for (size_t i = 0; i < verdict->failures.count; i++) {
        json_append(failures, json_make_string(verdict->failures.items[i]));
    }
    json_set(object, "failures", failures);
    json_set_int(object, "exit_code", reason_code_exit(verdict->code));
    json_set_str(object, "specs_commit", commit);
    return object;
}

static struct error *
decide(struct request *request, const struct policy_claims *claims, const struct settings *settings,
    struct policy_verdict *verdict)
{
    struct policy_actor actor = {0};
    // Of a stranger nothing is asked: it would cost GitHub's patience, and time that tells.
    bool known = settings != NULL && policy_may_read(claims, settings);
    if (known && claims->actor != NULL && policy_needs_teams(settings)) {
        TRY(people_teams(
            request->service, claims->actor, request->arena, &actor.teams, &actor.teams_known));
    }
    const char *actor_name = claims->actor;
    actor.is_bot = actor_name != NULL && str_ends(str_of(actor_name), STR("[bot]"));
    policy_decide(claims, settings, &actor, request->arena, verdict);
    return NULL;
}

// The claims that it is about: a job's own, or those that a person wrote down.
static bool
claims_of(struct request *request, struct response *response, const struct json *body,
    const struct policy_claims **out)
{
    const struct json *given = json_get(body, "claims");
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    if (request->caller.kind == CALLER_JOB) {
        *out = request->caller.claims;
        if (given != NULL) {
            response_refusef(
                request, response, REASON_REQUEST, "'claims' are those of the token itself");
        }
        return given == NULL;
    }
    if (given == NULL) {
        response_refusef(request, response, REASON_REQUEST,
            "'claims' is needed: those of the job whose chances are asked about");
        return false;
    }
    policy_claims_read(given, request->arena, &claims, &verdict);
    if (claims == NULL) {
        response_refusef(request, response, REASON_REQUEST, "'claims': %s", verdict.sentence);
        return false;
    }
    *out = claims;
    return true;
}

struct error *
api_explain(struct request *request, struct response *response)
{
    static const char *const keys[] = {"app", "env", "claims", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    const char *app = NULL, *env = NULL, *why = NULL, *problem = NULL;
    const struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {0};
    if (!request_json(request, response, &body) || !api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "app", &app) ||
        !api_text(request, response, body, "env", &env)) {
        return NULL;
    }
    if (app == NULL || env == NULL || !name_is_valid(str_of(app)) || !name_is_valid(str_of(env))) {
        response_refusef(request, response, REASON_REQUEST, "'app' and 'env' are needed, names");
        return NULL;
    }
    if (!claims_of(request, response, body, &claims)) {
        return NULL;
    }
    const struct spec_set *set = specs_hold(request->service, &why);
    if (set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = why};
        response_refuse(request, response, &refusal);
        return NULL;
    }
    struct error *err =
        decide(request, claims, spec_set_settings(set, app, env, &problem), &verdict);
    if (err == NULL) {
        struct json *object CLEANUP(json_freep) = shape(&verdict, spec_set_commit(set));
        response_json(response, 200, object);
    }
    specs_release(set);
    return err;
}
