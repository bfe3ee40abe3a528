// POST /api/v1/apps/{app}/environments/{env}/push: where a job's images go and how they are built,
// for the job that may deploy there; and, where the settings name a role for it, credentials that
// can push to this app's repositories and do nothing else, for fifteen minutes.
#include <string.h>

#include "api_internal.h"
#include "dispatcher/aws.h"
#include "dispatcher/memory.h"
#include "dispatcher/name.h"
#include "dispatcher/sts.h"
#include "service_state_internal.h"

enum { CREDENTIALS_S = 900, SESSION_NAME_MAX = 64, POLICY_MAX = 2048 };

struct pushing {
    struct request *request;
    struct response *response;
    const char *app, *env;
    const char *version; // that it names, else that of its ref, or NULL
    struct deploy_place place;
};

// --- may it --------------------------------------------------------------------------------------

static void
decide(struct pushing *pushing, const struct spec_set *set, struct policy_verdict *verdict)
{
    struct request *request = pushing->request;
    const struct policy_claims *claims = request->caller.claims;
    const char *problem = NULL;
    struct policy_actor actor = {
        .is_bot = claims->actor != NULL && str_ends(str_of(claims->actor), STR("[bot]")),
    };
    const struct settings *settings = spec_set_settings(set, pushing->app, pushing->env, &problem);
    // Of a stranger nothing is asked: it would cost GitHub's patience, and time that tells.
    bool known = settings != NULL && policy_may_read(claims, settings) && !actor.is_bot;
    bool asked = known && claims->actor != NULL && policy_needs_teams(settings);
    if (asked && !people_teams_now(request->service, claims->actor, request->arena, &actor)) {
        *verdict =
            (struct policy_verdict){.code = REASON_PEOPLE_UNAVAILABLE, .sentence = PEOPLE_TOO_MANY};
        return;
    }
    policy_decide(claims, settings, &actor, request->arena, verdict);
    if (pushing->version == NULL && settings != NULL) {
        pushing->version = admission_version(claims, settings, request->arena);
    }
}

// --- where to ------------------------------------------------------------------------------------

static struct error *
find_place(struct pushing *pushing, const struct spec_set *set)
{
    struct request *request = pushing->request;
    const struct policy_claims *claims = request->caller.claims;
    const struct platform *platform = service_request_platform(request->service);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    request_rest(request); // GitHub and AWS are asked, and nothing more is read here
    TRY(http_client_new(platform, service_http_options(request->service), &http));
    const struct deploy_context_options options = {.platform = platform, .http = http};
    struct deploy_context *context CLEANUP(deploy_context_freep) = deploy_context_new(&options);
    const struct deploy_given given = {
        .id = request->id,
        .config = spec_set_config(set),
        .app_spec = spec_set_app(set, pushing->app),
        .specs_commit = spec_set_commit(set),
        .sha = claims->sha,
        .ref = claims->ref,
        .event = claims->event,
        .repository = claims->repository,
        .actor = claims->actor,
        .accepted_ms = request->wall_ms,
    };
    const struct deploy_request what = {
        .given = &given, .app = pushing->app, .env = pushing->env, .version = pushing->version};
    return deploy_place(context, &what, request->arena, diagnostics, &pushing->place);
}

// --- credentials ---------------------------------------------------------------------------------

static struct json *
statement(const char *const *actions, size_t count, struct json *resources)
{
    struct json *object = json_make_object(), *list = json_make_array();
    json_set_str(object, "Effect", "Allow");
    for (size_t i = 0; i < count; i++) {
        json_append(list, json_make_string(actions[i]));
    }
    json_set(object, "Action", list);
    json_set(object, "Resource", resources);
    return object;
}

char *
api_push_policy(const struct deploy_place *place)
{
    static const char *const sign_in[] = {"ecr:GetAuthorizationToken"};
    static const char *const push[] = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:DescribeImageScanFindings",
        "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage",
        "ecr:UploadLayerPart"};
    const char *partition = str_starts(str_of(place->region), STR("cn-"))       ? "aws-cn"
                            : str_starts(str_of(place->region), STR("us-gov-")) ? "aws-us-gov"
                                                                                : "aws";
    struct json *policy CLEANUP(json_freep) = json_make_object();
    struct json *statements = json_make_array(), *all = json_make_string("*");
    struct json *resources = json_make_array();
    for (size_t i = 0; i < place->repositories.count; i++) {
        char *arn CLEANUP(xfreep) = xasprintf("arn:%s:ecr:%s:%s:repository/%s", partition,
            place->region, place->account, place->repositories.items[i].value);
        json_append(resources, json_make_string(arn));
    }
    json_set_str(policy, "Version", "2012-10-17");
    json_append(statements, statement(sign_in, ARRAY_LENGTH(sign_in), all));
    json_append(statements, statement(push, ARRAY_LENGTH(push), resources));
    json_set(policy, "Statement", statements);
    return json_text(policy);
}

static struct error *
assume(struct pushing *pushing, struct aws_credentials *out)
{
    struct request *request = pushing->request;
    const struct platform *platform = service_request_platform(request->service);
    char *policy CLEANUP(xfreep) = api_push_policy(&pushing->place);
    const char *name = arena_printf(request->arena, "dispatcher-%lld-%s",
        (long long)request->caller.claims->run_id, pushing->app);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct aws_session *session CLEANUP(aws_session_freep) = NULL;
    const struct aws_options options = {.region = pushing->place.region};
    const struct sts_narrowed narrowed = {
        .role = service_settings(request->service)->push_role,
        .session_name = arena_str(request->arena,
            (struct str){name, strlen(name) < SESSION_NAME_MAX ? strlen(name) : SESSION_NAME_MAX}),
        .policy = policy,
        .seconds = CREDENTIALS_S,
    };
    if (strlen(policy) > POLICY_MAX) {
        return error_new(ERROR_INPUT, "the app has too many repositories for one session policy");
    }
    TRY(http_client_new(platform, service_http_options(request->service), &http));
    TRY(aws_session_new(platform, http, &options, &session));
    return sts_narrowed_credentials(session, &narrowed, out);
}

static struct error *
add_credentials(struct pushing *pushing, struct json *object)
{
    struct aws_credentials found CLEANUP(aws_credentials_done) = {0};
    if (service_settings(pushing->request->service)->push_role == NULL ||
        pushing->place.account == NULL || pushing->place.region == NULL) {
        json_set(object, "credentials", json_make_null());
        return NULL;
    }
    TRY(assume(pushing, &found));
    struct json *credentials = json_make_object();
    json_set_str(credentials, "access_key_id", found.access_key);
    json_set_str(credentials, "secret_access_key", secret_expose(found.secret_key).ptr);
    json_set_str(credentials, "session_token", secret_expose(found.session_token).ptr);
    view_set_time(credentials, "expires_at", found.expires_ms);
    json_set(object, "credentials", credentials);
    return NULL;
}

// --- the answer ----------------------------------------------------------------------------------

static void
set_text(struct json *object, const char *key, const char *text)
{
    json_set(object, key, text != NULL ? json_make_string(text) : json_make_null());
}

static struct json *
pairs(const struct pair_list *list)
{
    struct json *object = json_make_object();
    for (size_t i = 0; i < list->count; i++) {
        json_set_str(object, list->items[i].key, list->items[i].value);
    }
    return object;
}

// What `--build` needs of the spec, which the job does not have.
static struct json *
recipe(const struct pushing *pushing)
{
    const struct deploy_place *place = &pushing->place;
    struct json *object = json_make_object(), *services = json_make_object();
    for (size_t i = 0; i < place->recipe_count; i++) {
        struct json *one = json_make_object();
        json_set_str(one, "dockerfile", place->recipes[i].dockerfile);
        json_set_str(one, "context", place->recipes[i].context);
        json_set(services, place->recipes[i].service, one);
    }
    set_text(object, "sha", pushing->request->caller.claims->sha);
    set_text(object, "platform", place->platform);
    json_set(object, "args", pairs(&place->build_args));
    json_set(object, "secrets", pairs(&place->build_secrets));
    json_set(object, "services", services);
    return object;
}

static struct error *
answer(struct pushing *pushing)
{
    const struct deploy_place *place = &pushing->place;
    struct json *object CLEANUP(json_freep) = json_make_object();
    struct json *repositories = json_make_object();
    json_set_str(object, "registry", place->registry);
    set_text(object, "region", place->region);
    for (size_t i = 0; i < place->repositories.count; i++) {
        json_set_str(
            repositories, place->repositories.items[i].key, place->repositories.items[i].value);
    }
    json_set(object, "repositories", repositories);
    set_text(object, "version", pushing->version);
    set_text(object, "role", place->role);
    json_set(object, "build", recipe(pushing));
    TRY(add_credentials(pushing, object));
    response_json(pushing->response, 200, object);
    return NULL;
}

// The job can do nothing about it; AWS's words (accounts, names of roles) are the operators'.
static void
refuse_role(struct pushing *pushing, struct error *err)
{
    struct request *request = pushing->request;
    char *text CLEANUP(xfreep) = error_text(err);
    const struct refusal refusal = {
        .code = REASON_PUSH_ROLE,
        .hint = arena_printf(request->arena,
            "Whoever runs the service finds AWS's answer in its log, by the request id %s; "
            "nothing was pushed.",
            request->id),
    };
    log_error(service_platform(request->service)->log, "the role of pushes cannot be taken",
        F_STR("id", request->id), F_STR("role", service_settings(request->service)->push_role),
        F_STR("error", text));
    response_refuse(request, pushing->response, &refusal);
    error_free(err);
}

static struct error *
place_audit(struct store *store, void *ctx)
{
    const struct audit_entry *entry = ctx;
    return audit_add(store, entry, entry->at_ms);
}

static struct error *
note(struct pushing *pushing, const struct policy_verdict *verdict)
{
    struct request *request = pushing->request;
    if (verdict->code == REASON_NOT_AUTHORIZED &&
        !auth_may_note(request->service, request->caller.claims)) {
        return NULL;
    }
    struct audit_entry entry = api_audit_entry(request, "push");
    entry.verdict = verdict->allowed ? "allow" : "deny";
    entry.code = reason_code_name(verdict->code);
    entry.reason = verdict->sentence;
    entry.rule = verdict->rule;
    entry.app = pushing->app;
    entry.env = pushing->env;
    entry.at_ms = request->wall_ms;
    struct store_op op = {.run = place_audit, .ctx = &entry};
    return writer_do(request->service, &op);
}

static struct error *
serve(struct pushing *pushing, const struct spec_set *set)
{
    struct policy_verdict verdict = {0};
    decide(pushing, set, &verdict);
    TRY(note(pushing, &verdict));
    if (!verdict.allowed) {
        response_verdict(pushing->request, pushing->response, &verdict);
        return NULL;
    }
    TRY(find_place(pushing, set));
    struct error *err = answer(pushing);
    if (err != NULL && error_kind(err) == ERROR_CREDENTIALS) {
        refuse_role(pushing, err);
        return NULL;
    }
    return err;
}

// The body is optional: {"version": …}.
static bool
read_version(struct request *request, struct response *response, const char **out)
{
    static const char *const keys[] = {"version", NULL};
    struct json *body CLEANUP(json_freep) = NULL;
    if (!request_json(request, response, &body) || !api_keys(request, response, body, keys) ||
        !api_text(request, response, body, "version", out)) {
        return false;
    }
    if (*out != NULL && !tag_is_valid(str_of(*out))) {
        response_refusef(request, response, REASON_REQUEST, "the version cannot be an image tag");
        return false;
    }
    return true;
}

struct error *
api_push_place(struct request *request, struct response *response)
{
    const char *why = NULL;
    struct pushing pushing = {
        .request = request,
        .response = response,
        .app = request_param(request, "app"),
        .env = request_param(request, "env"),
    };
    if (!name_is_valid(str_of(pushing.app)) || !name_is_valid(str_of(pushing.env))) {
        response_refuse_code(request, response, REASON_NOT_AUTHORIZED);
        return NULL;
    }
    if (!read_version(request, response, &pushing.version) || !auth_spend(request, response)) {
        return NULL;
    }
    const struct spec_set *set = specs_hold(request->service, &why);
    if (set == NULL) {
        const struct refusal refusal = {.code = REASON_SPECS_UNAVAILABLE, .hint = why};
        response_refuse(request, response, &refusal);
        return NULL;
    }
    struct error *err = serve(&pushing, set);
    specs_release(set);
    return err;
}
