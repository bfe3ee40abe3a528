// Credentials of the registry: Basic as ECR wants it, or Bearer with a token endpoint.
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { TOKEN_LIFE_MS = 300000 };

static const char *
mode_of(const struct sandbox *sandbox)
{
    const char *mode = sandbox->options->registry_auth;
    return mode != NULL ? mode : "basic";
}

static bool
same(const char *given, const char *expected)
{
    return strlen(given) == strlen(expected) && digest_equal(given, expected, strlen(expected));
}

// "Basic dXNlcjpwYXNz": any user name, since ECR's is always AWS and `docker login` takes any. The
// password, in the arena, or NULL.
static const char *
basic_password(const struct sandbox_request *request)
{
    const char *header = sandbox_request_header(request, "Authorization");
    struct buf text CLEANUP(buf_wipe) = BUF_INIT(8192);
    if (header == NULL || strncmp(header, "Basic ", 6) != 0) {
        return NULL;
    }
    struct error *err CLEANUP(error_freep) = base64_decode(str_of(header + 6), &text);
    const char *colon = err == NULL ? strchr(buf_cstr(&text), ':') : NULL;
    return colon != NULL ? arena_dup(request->arena, colon + 1) : NULL;
}

static bool
basic_holds(struct sandbox *sandbox, const struct sandbox_request *request)
{
    const char *password = basic_password(request);
    return password != NULL && (same(password, sandbox->registry->password) ||
                                   sandbox_aws_ecr_password_valid(sandbox, password));
}

static bool
bearer_holds(struct sandbox *sandbox, const struct sandbox_request *request)
{
    const char *token = sandbox_request_bearer(request);
    return token != NULL &&
           json_int(json_get(json_get(sandbox->registry->bearers, token), "expires_ms"), 0) >
               sandbox_now(sandbox);
}

static void
challenge(struct sandbox *sandbox, struct sandbox_response *response, const char *scope)
{
    const bool bearer = strcmp(mode_of(sandbox), "bearer") == 0;
    if (bearer) {
        http_headers_addf(&response->headers, "WWW-Authenticate",
            "Bearer realm=\"%s/v2/token\",service=\"%s\"%s%s%s", sandbox->origin, sandbox->host,
            scope != NULL ? ",scope=\"" : "", scope != NULL ? scope : "",
            scope != NULL ? "\"" : "");
    } else {
        http_headers_addf(&response->headers, "WWW-Authenticate",
            "Basic realm=\"%s/\",service=\"sandbox\"", sandbox->origin);
    }
    sandbox_registry_problem(response, 401, "UNAUTHORIZED", "authentication required");
}

void
sandbox_registry_expired(struct sandbox *sandbox, struct sandbox_response *response)
{
    challenge(sandbox, response, NULL);
}

static const char *
scope_of(const struct sandbox_request *request)
{
    if (request->part_count < 4) {
        return NULL;
    }
    struct buf name CLEANUP(buf_done) = BUF_INIT(4096);
    size_t end = request->part_count - 2;
    if (request->part_count >= 5 &&
        strcmp(request->parts[request->part_count - 2], "uploads") == 0) {
        end--;
    }
    for (size_t i = 1; i < end; i++) {
        buf_printf(&name, "%s%s", i > 1 ? "/" : "", request->parts[i]);
    }
    bool reads = sandbox_request_is(request, "GET") || sandbox_request_is(request, "HEAD");
    return arena_printf(
        request->arena, "repository:%s:%s", buf_cstr(&name), reads ? "pull" : "pull,push");
}

bool
sandbox_registry_authenticate(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    const char *mode = mode_of(sandbox);
    bool good =
        strcmp(mode, "none") == 0 || (strcmp(mode, "bearer") == 0 ? bearer_holds(sandbox, request)
                                                                  : basic_holds(sandbox, request));
    if (!good) {
        challenge(sandbox, response, scope_of(request));
    }
    return good;
}

void
sandbox_registry_token(
    struct sandbox *sandbox, struct sandbox_request *request, struct sandbox_response *response)
{
    if (!basic_holds(sandbox, request)) {
        sandbox_registry_problem(response, 401, "UNAUTHORIZED", "authentication required");
        return;
    }
    const char *token = sandbox_random(sandbox, request->arena, 32);
    struct json *body = json_make_object(), *bearer = json_make_object();
    json_set_int(bearer, "expires_ms", sandbox_now(sandbox) + TOKEN_LIFE_MS);
    json_set_str(bearer, "password", basic_password(request));
    json_set(sandbox->registry->bearers, token, bearer);
    json_set_str(body, "token", token);
    json_set_int(body, "expires_in", TOKEN_LIFE_MS / 1000);
    sandbox_reply_json(response, 200, body);
}

// What ECR calls that request.
static const char *
action_of(const struct sandbox_request *request)
{
    static const struct {
        const char *method, *kind, *action;
    } actions[] = {
        {"POST", "uploads", "ecr:InitiateLayerUpload"},
        {"PATCH", "uploads", "ecr:UploadLayerPart"},
        {"PUT", "uploads", "ecr:CompleteLayerUpload"},
        {"PUT", "manifests", "ecr:PutImage"},
        {"DELETE", "manifests", "ecr:BatchDeleteImage"},
        {"GET", "manifests", "ecr:BatchGetImage"},
        {"HEAD", "manifests", "ecr:BatchGetImage"},
        {"HEAD", "blobs", "ecr:BatchCheckLayerAvailability"},
        {"GET", "blobs", "ecr:GetDownloadUrlForLayer"},
        {"GET", "tags", "ecr:ListImages"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        const char *last = request->parts[request->part_count - 1],
                   *before = request->parts[request->part_count - 2];
        bool fits = strcmp(before, actions[i].kind) == 0 || strcmp(last, actions[i].kind) == 0;
        if (fits && sandbox_request_is(request, actions[i].method)) {
            return actions[i].action;
        }
    }
    return NULL;
}

bool
sandbox_registry_allowed(struct sandbox *sandbox, const char *name,
    const struct sandbox_request *request, struct sandbox_response *response)
{
    const char *token = sandbox_request_bearer(request), *action = action_of(request);
    const char *password =
        token != NULL ? json_str(json_get(json_get(sandbox->registry->bearers, token), "password"))
                      : basic_password(request);
    const char *why = action != NULL
                          ? sandbox_aws_ecr_denies(sandbox, password, action, name, request->arena)
                          : NULL;
    if (why != NULL) {
        sandbox_registry_problem(response, 403, "DENIED", why);
    }
    return why == NULL;
}
