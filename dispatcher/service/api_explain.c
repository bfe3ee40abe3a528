// POST /api/v1/explain: what the policy would say, and nothing is done. Of the caller's own claims
// it tells which failed which rule; of other apps it tells what everybody is told. Without an
// environment: of each that the app has.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"

struct question {
    const char *app, *env;              // env NULL: of all
    const struct policy_claims *claims; // NULL: of the person that asks
};

static struct json *
shape(const struct policy_verdict *verdict, const char *commit)
{
    struct json *object = json_make_object(), *failures = json_make_array();
    json_set_bool(object, "allowed", verdict->allowed);
    json_set_str(object, "code", reason_code_name(verdict->code));
    json_set_str(object, "sentence", verdict->sentence);
    const char *who =
        verdict->who == NULL && !verdict->allowed ? reason_code_who(verdict->code) : verdict->who;
    json_set(object, "who", who != NULL ? json_make_string(who) : json_make_null());
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

static void
decide(struct request *request, const struct policy_claims *claims, const struct settings *settings,
    struct policy_verdict *verdict)
{
    struct policy_actor actor = {0};
    // Of a stranger nothing is asked: it would cost GitHub's patience, and time that tells.
    bool known = settings != NULL && policy_may_read(claims, settings);
    bool asked = known && claims->actor != NULL && policy_needs_teams(settings);
    if (asked && !people_teams_now(request->service, claims->actor, request->arena, &actor)) {
        *verdict =
            (struct policy_verdict){.code = REASON_PEOPLE_UNAVAILABLE, .sentence = PEOPLE_TOO_MANY};
        return;
    }
    actor.is_bot = str_ends(str_of(claims->actor), STR("[bot]"));
    policy_decide(claims, settings, &actor, request->arena, verdict);
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

// A person brings nothing new, but may deploy again wherever the app is deployed at all.
static void
decide_any(struct request *request, const struct policy_claims *claims,
    const struct settings *settings, struct policy_verdict *verdict)
{
    if (claims != NULL) {
        decide(request, claims, settings, verdict);
        return;
    }
    bool known = settings != NULL, may = known && settings->enabled;
    *verdict = (struct policy_verdict){
        .allowed = may,
        .code = may     ? REASON_ALLOWED
                : known ? REASON_DISABLED
                        : REASON_NOT_AUTHORIZED,
        .sentence = may ? "allowed" : "the spec says 'enabled: false'",
    };
}

// In the order of promotion. One that it does not have, or that is somebody else's, is not in it.
// False: *verdict says why there is no answer.
static bool
decide_all(struct request *request, const struct spec_set *set, const struct question *question,
    struct json *list, struct policy_verdict *verdict)
{
    const struct str_list *all = spec_set_environments(set);
    for (size_t i = 0; i < all->count; i++) {
        const char *problem = NULL;
        *verdict = (struct policy_verdict){0};
        const struct settings *settings =
            spec_set_settings(set, question->app, all->items[i], &problem);
        decide_any(request, question->claims, settings, verdict);
        if (verdict->code == REASON_PEOPLE_UNAVAILABLE) {
            return false;
        }
        if (verdict->code != REASON_NOT_AUTHORIZED) {
            struct json *one = shape(verdict, spec_set_commit(set));
            json_set_str(one, "env", all->items[i]);
            json_append(list, one);
        }
    }
    return true;
}

static void
explain(struct request *request, struct response *response, const struct spec_set *set,
    const struct question *question)
{
    const char *problem = NULL;
    struct policy_verdict verdict = {0};
    if (question->env == NULL) {
        struct json *object CLEANUP(json_freep) = json_make_object();
        struct json *list = json_make_array();
        json_set(object, "environments", list);
        if (decide_all(request, set, question, list, &verdict)) {
            response_json(response, 200, object);
        } else {
            response_verdict(request, response, &verdict);
        }
        return;
    }
    const struct settings *settings =
        spec_set_settings(set, question->app, question->env, &problem);
    decide(request, question->claims, settings, &verdict);
    if (verdict.code == REASON_PEOPLE_UNAVAILABLE) {
        response_verdict(request, response, &verdict);
        return;
    }
    struct json *object CLEANUP(json_freep) = shape(&verdict, spec_set_commit(set));
    response_json(response, 200, object);
}

struct error *
api_explain(struct request *request, struct response *response)
{
    static const char *const keys[] = {"app", "env", "claims", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    const char *why = NULL;
    struct question question = {0};
    if (!request_json(request, response, &body) || !api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "app", &question.app) ||
        !api_text(request, response, body, "env", &question.env)) {
        return NULL;
    }
    bool named = question.app != NULL && name_is_valid(str_of(question.app));
    if (!named || (question.env != NULL && !name_is_valid(str_of(question.env)))) {
        response_refusef(request, response, REASON_REQUEST,
            "'app' is needed, a name; so is 'env' if it is given");
        return NULL;
    }
    bool needed = question.env != NULL || json_get(body, "claims") != NULL ||
                  request->caller.kind == CALLER_JOB;
    if (needed && !claims_of(request, response, body, &question.claims)) {
        return NULL;
    }
    const struct spec_set *set = specs_hold(request->service, &why);
    if (set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = why};
        response_refuse(request, response, &refusal);
        return NULL;
    }
    explain(request, response, set, &question);
    specs_release(set);
    return NULL;
}
