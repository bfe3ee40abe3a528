// IAM: CreateRole and GetRole, so that a role and whom it trusts can be looked at. STS does not ask
// here: any role can be assumed. POST /_sandbox/aws/iam makes roles, too:
//
//     {"roles": [{"name": "pull", "path": "/service/",      without it: "/"
//                 "trust": ["ecs-tasks.amazonaws.com"]}]}   services, or a whole policy
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"

enum { NAME_MAX_BYTES = 64, PATH_MAX_BYTES = 512, POLICY_MAX = 16 * 1024 };

static const char xmlns[] = "https://iam.amazonaws.com/doc/2010-05-08/";

static const char *
field(const struct aws_exchange *exchange, const char *name)
{
    return sandbox_form_value(exchange->request->arena, buf_str(&exchange->request->body), name);
}

static bool
is_name(const char *text)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-";
    return text != NULL && text[0] != '\0' && strlen(text) <= NAME_MAX_BYTES &&
           strspn(text, legal) == strlen(text);
}

static bool
is_path(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= PATH_MAX_BYTES && text[0] == '/' && text[length - 1] == '/' &&
           strpbrk(text, " <>&\"") == NULL;
}

/// Takes the policy over.
static void
put_role(struct sandbox *sandbox, const char *name, const char *path, struct json *policy)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    char created[21];
    struct json *role = json_make_object();
    clock_format_rfc3339(sandbox_now(sandbox), created);
    json_set_str(role, "path", path != NULL ? path : "/");
    json_set_str(role, "id", arena_printf(arena, "AROA%s", sandbox_random(sandbox, arena, 8)));
    json_set_str(role, "created", created);
    json_set(role, "trust", policy);
    json_set(sandbox->aws->roles, name, role);
}

static void
reply_role(struct aws_exchange *exchange, const char *name)
{
    struct buf inner CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    struct buf encoded CLEANUP(buf_done) = BUF_INIT(64 * 1024);
    const struct json *role = json_get(exchange->sandbox->aws->roles, name);
    const char *path = json_str(json_get(role, "path"));
    char *policy CLEANUP(xfreep) = json_text(json_get(role, "trust"));
    url_encode(str_of(policy), "", &encoded); // RFC 3986, as the API reference says
    buf_puts(&inner, "<Role>");
    sandbox_aws_xml_element(&inner, "Path", path);
    sandbox_aws_xml_element(&inner, "Arn",
        arena_printf(exchange->request->arena, "arn:aws:iam::%s:role%s%s",
            sandbox_aws_account(exchange->sandbox), path, name));
    sandbox_aws_xml_element(&inner, "RoleName", name);
    sandbox_aws_xml_element(&inner, "RoleId", json_str(json_get(role, "id")));
    sandbox_aws_xml_element(&inner, "CreateDate", json_str(json_get(role, "created")));
    sandbox_aws_xml_element(&inner, "AssumeRolePolicyDocument", buf_cstr(&encoded));
    buf_puts(&inner, "</Role>");
    sandbox_aws_xml_result(exchange, xmlns, &inner);
}

static void
get_role(struct aws_exchange *exchange, const char *name)
{
    if (json_get(exchange->sandbox->aws->roles, name) == NULL) {
        sandbox_aws_xml_problem(exchange->response, 404, "NoSuchEntity",
            arena_printf(exchange->request->arena, "The role with name %s cannot be found.", name));
        return;
    }
    reply_role(exchange, name);
}

static void
create_role(struct aws_exchange *exchange, const char *name)
{
    const struct json_limits limits = {.max_bytes = POLICY_MAX, .max_depth = 32};
    const char *path = field(exchange, "Path");
    const char *document = field(exchange, "AssumeRolePolicyDocument");
    struct json *policy CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(document != NULL ? document : ""), &limits, &policy);
    if (path != NULL && !is_path(path)) {
        sandbox_aws_xml_problem(exchange->response, 400, "ValidationError", "Path is invalid");
    } else if (json_get(exchange->sandbox->aws->roles, name) != NULL) {
        sandbox_aws_xml_problem(exchange->response, 409, "EntityAlreadyExists",
            arena_printf(exchange->request->arena, "Role with name %s already exists.", name));
    } else if (err != NULL || !json_is_object(policy)) {
        sandbox_aws_xml_problem(exchange->response, 400, "MalformedPolicyDocument",
            "This policy contains invalid Json");
    } else {
        put_role(exchange->sandbox, name, path, json_clone(policy));
        reply_role(exchange, name);
    }
}

void
sandbox_iam_handle(struct aws_exchange *exchange)
{
    static const struct {
        const char *name;
        void (*run)(struct aws_exchange *exchange, const char *role);
    } operations[] = {{"CreateRole", create_role}, {"GetRole", get_role}};
    const char *role = field(exchange, "RoleName");
    // One endpoint for all regions, in this one.
    if (strcmp(exchange->region, "us-east-1") != 0) {
        sandbox_aws_xml_problem(exchange->response, 403, "SignatureDoesNotMatch",
            "Credential should be scoped to a valid region.");
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        if (strcmp(operations[i].name, exchange->operation) == 0) {
            if (is_name(role)) {
                operations[i].run(exchange, role);
            } else {
                sandbox_aws_xml_problem(
                    exchange->response, 400, "ValidationError", "RoleName is invalid");
            }
            return;
        }
    }
    sandbox_aws_xml_problem(
        exchange->response, 400, "InvalidAction", "The action is not one that the sandbox has.");
}

// --- behind the API ----------------------------------------------------------------------------

static struct json *
policy_for(const struct json *services)
{
    struct json *policy = json_make_object(), *statements = json_make_array(),
                *statement = json_make_object(), *principal = json_make_object();
    json_set(principal, "Service", json_clone(services));
    json_set_str(statement, "Effect", "Allow");
    json_set(statement, "Principal", principal);
    json_set_str(statement, "Action", "sts:AssumeRole");
    json_append(statements, statement);
    json_set_str(policy, "Version", "2012-10-17");
    json_set(policy, "Statement", statements);
    return policy;
}

static const char *
problem_of(const struct json *role)
{
    const struct json *path = json_get(role, "path"), *trust = json_get(role, "trust");
    if (!is_name(json_str(json_get(role, "name")))) {
        return "a role's 'name' is no name of a role";
    }
    if (path != NULL && (json_str(path) == NULL || !is_path(json_str(path)))) {
        return "a role's 'path' does not begin and end with a slash";
    }
    if (!json_is_array(trust) && !json_is_object(trust)) {
        return "a role's 'trust' is neither a list of services nor a policy";
    }
    return NULL;
}

void
sandbox_iam_ensure(struct sandbox *sandbox, const char *name, const char *service)
{
    if (json_get(sandbox->aws->roles, name) == NULL) {
        struct json *services CLEANUP(json_freep) = json_make_array();
        json_append(services, json_make_string(service));
        put_role(sandbox, name, NULL, policy_for(services));
    }
}

void
sandbox_iam_control(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *roles = json_get(order, "roles");
    const char *problem = json_is_array(roles) ? NULL : "'roles' is no list";
    for (size_t i = 0; i < json_count(roles) && problem == NULL; i++) {
        problem = problem_of(json_at(roles, i));
    }
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    for (size_t i = 0; i < json_count(roles); i++) {
        const struct json *role = json_at(roles, i), *trust = json_get(role, "trust");
        put_role(sandbox, json_str(json_get(role, "name")), json_str(json_get(role, "path")),
            json_is_array(trust) ? policy_for(trust) : json_clone(trust));
    }
    response->status = 204;
}
