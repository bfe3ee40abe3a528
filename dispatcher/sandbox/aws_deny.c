// What the credentials may not do: POST /_sandbox/aws/deny {"actions": ["ecs:UpdateService"]}, with
// "*" for any text. The list replaces the one before; an empty one allows all again.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/memory.h"

// "Credential=ID/DATE/REGION/SERVICE/aws4_request": the service signs by the name it has in IAM.
const char *
sandbox_aws_signing_service(const struct sandbox_request *request)
{
    const char *header = sandbox_request_header(request, "Authorization");
    const char *credential = header != NULL ? strstr(header, "Credential=") : NULL;
    struct str part = {0}, rest = str_of(credential);
    for (int i = 0; i < 4; i++) {
        if (!str_cut(rest, '/', &part, &rest)) {
            return NULL;
        }
    }
    return arena_str(request->arena, part);
}

static const char *
text_at(const struct json *body, const char *member)
{
    const struct json *value = json_get(body, member);
    return json_is_array(value) ? json_str(json_at(value, 0)) : json_str(value);
}

static const char *
name_part(const char *text)
{
    const char *slash = strrchr(text, '/');
    return slash != NULL ? slash + 1 : text;
}

static const char *
ecs_resource(const struct aws_exchange *exchange, const char *base)
{
    static const struct {
        const char *member, *kind;
        bool is_in_cluster;
    } kinds[] = {
        {"service", "service", true},
        {"services", "service", true},
        {"serviceName", "service", true},
        {"task", "task", true},
        {"tasks", "task", true},
        {"taskDefinition", "task-definition", false},
        {"family", "task-definition", false},
        {"cluster", "cluster", false},
        {"clusters", "cluster", false},
        {"clusterName", "cluster", false},
    };
    const char *cluster = text_at(exchange->body, "cluster");
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        const char *name = text_at(exchange->body, kinds[i].member);
        if (name != NULL && strncmp(name, "arn:", 4) == 0) {
            return name;
        }
        if (name != NULL && kinds[i].is_in_cluster) {
            return arena_printf(exchange->request->arena, "%s:%s/%s/%s", base, kinds[i].kind,
                cluster != NULL ? name_part(cluster) : "default", name);
        }
        if (name != NULL) {
            return arena_printf(exchange->request->arena, "%s:%s/%s", base, kinds[i].kind, name);
        }
    }
    return "*";
}

static const char *
resource_of(const struct aws_exchange *exchange, const char *service)
{
    static const char *const arns[] = {"resourceArn", "serviceDeploymentArn",
        "serviceDeploymentArns", "serviceRevisionArns", "serviceArn", "ServiceArn", "SecretId",
        "RoleArn"};
    static const struct {
        const char *service, *member, *kind;
    } others[] = {
        {"ssm", "Name", "parameter"},
        {"ecr", "repositoryName", "repository/"},
        {"logs", "logGroupName", "log-group:"},
        {"secretsmanager", "SecretId", "secret:"},
        {"apprunner", "ServiceName", "service/"},
    };
    struct arena *arena = exchange->request->arena;
    for (size_t i = 0; i < ARRAY_LENGTH(arns); i++) {
        const char *arn = text_at(exchange->body, arns[i]);
        if (arn != NULL && strncmp(arn, "arn:", 4) == 0) {
            return arn;
        }
    }
    if (strcmp(service, "iam") == 0) {
        const char *role = sandbox_form_value(arena, buf_str(&exchange->request->body), "RoleName");
        return arena_printf(arena, "role %s", role != NULL ? role : "");
    }
    const char *base = arena_printf(arena, "arn:aws:%s:%s:%s", service, exchange->region,
        sandbox_aws_account(exchange->sandbox));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        const char *name = text_at(exchange->body, others[i].member);
        if (strcmp(service, others[i].service) == 0 && name != NULL) {
            return arena_printf(arena, "%s:%s%s%s", base, others[i].kind,
                strcmp(service, "ssm") == 0 && name[0] != '/' ? "/" : "", name);
        }
    }
    return strcmp(service, "ecs") == 0 ? ecs_resource(exchange, base) : "*";
}

static bool
is_denied(const struct json *denied, const char *action)
{
    bool found = false;
    for (size_t i = 0; i < json_count(denied); i++) {
        found = found || fault_glob(json_str(json_at(denied, i)), action);
    }
    return found;
}

// IAM's sentence, by the order or by the session's policy; NULL when it is allowed.
static const char *
why_denied(const struct aws_exchange *exchange)
{
    const struct json *denied = exchange->sandbox->aws->denied;
    struct arena *arena = exchange->request->arena;
    bool is_asked = json_count(denied) > 0 || exchange->key->policy != NULL;
    const char *service = is_asked ? sandbox_aws_signing_service(exchange->request) : NULL;
    if (service == NULL) {
        return NULL;
    }
    const char *action = arena_printf(arena, "%s:%s", service, exchange->operation);
    const char *resource = resource_of(exchange, service);
    if (is_denied(denied, action)) {
        return arena_printf(arena,
            "User: %s is not authorized to perform: %s on resource: %s because no identity-based "
            "policy allows the %s action",
            exchange->key->arn, action, resource, action);
    }
    return sandbox_session_denies(exchange->sandbox, exchange->key, action, resource, arena);
}

bool
sandbox_aws_denies(struct aws_exchange *exchange)
{
    const char *text = why_denied(exchange);
    if (text == NULL) {
        return false;
    }
    if (exchange->body == NULL) {
        sandbox_aws_xml_problem(exchange->response, 403, "AccessDenied", text);
        return true;
    }
    // Not by the service itself, hence the capital letter.
    struct json *body = json_make_object();
    json_set_str(body, "__type", "AccessDeniedException");
    json_set_str(body, "Message", text);
    sandbox_reply_json(exchange->response, 400, body);
    sandbox_reply_header(exchange->response, "x-amzn-ErrorType", "AccessDeniedException");
    return true;
}

void
sandbox_aws_control_deny(struct sandbox *sandbox, const struct sandbox_request *request,
    struct sandbox_response *response)
{
    struct json *order CLEANUP(json_freep) = sandbox_request_json(request);
    const struct json *actions = json_get(order, "actions");
    bool good = json_is_array(actions);
    for (size_t i = 0; i < json_count(actions); i++) {
        const char *action = json_str(json_at(actions, i));
        good = good && action != NULL && (strchr(action, ':') != NULL || strcmp(action, "*") == 0);
    }
    if (!good) {
        sandbox_reply_problem(response, 422,
            "'actions' is no list of actions, as in [\"ecs:ListServiceDeployments\"]");
        return;
    }
    json_free(sandbox->aws->denied);
    sandbox->aws->denied = json_clone(actions);
    response->status = 204;
}
