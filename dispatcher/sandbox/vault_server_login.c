// Logins: a signed GetCallerIdentity that this Vault shows to the sandbox's STS (auth/aws, iam),
// and a token of the sandbox's OIDC issuer (auth/jwt). Words of refusal are Vault's.
#include <string.h>

#include "aws_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "vault_server_internal.h"

enum { PART_MAX = 64 * 1024 };

static const struct vault_role *
find_role(const struct vault_exchange *exchange, const char *name)
{
    const struct vault_state *vault = exchange->sandbox->vault;
    for (size_t i = 0; name != NULL && i < vault->role_count; i++) {
        const struct vault_role *role = vault->roles[i];
        if (strcmp(role->space, exchange->space) == 0 &&
            strcmp(role->mount, exchange->mount->path) == 0 && strcmp(role->name, name) == 0) {
            return role;
        }
    }
    return NULL;
}

static bool
is_among(const struct json *globs, const char *text)
{
    for (size_t i = 0; i < json_count(globs); i++) {
        const char *glob = json_str(json_at(globs, i));
        if (glob != NULL && fault_glob(glob, text)) {
            return true;
        }
    }
    return false;
}

static void
give_token(struct vault_exchange *exchange, const struct vault_role *role, const char *name)
{
    struct json *meta = json_make_object();
    json_set_str(meta, "role", role->name);
    const char *shown = arena_printf(
        exchange->request->arena, "%s-%s", exchange->mount->path, name != NULL ? name : role->name);
    sandbox_vault_reply_auth(
        exchange, sandbox_vault_token_add(exchange->sandbox, role, shown, meta));
}

// --- aws: who signed this GetCallerIdentity?
// ------------------------------------------------------

struct proof {
    struct sandbox_request request; // as STS would get it
    const char *role;
};

// The text of a base64 member, in the arena; NULL when there is none.
static const char *
decoded(struct arena *arena, const struct json *body, const char *key)
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(PART_MAX);
    const char *encoded = json_str(json_get(body, key));
    struct error *err CLEANUP(error_freep) =
        encoded != NULL ? base64_decode(str_of(encoded), &text) : NULL;
    return encoded != NULL && err == NULL ? arena_str(arena, buf_str(&text)) : NULL;
}

static void
take_header(void *ctx, const char *name, const struct json *value)
{
    struct http_headers *headers = ctx;
    if (json_str(value) != NULL) {
        http_headers_add(headers, name, json_str(value));
    }
    for (size_t i = 0; json_is_array(value) && i < json_count(value); i++) {
        const char *one = json_str(json_at(value, i));
        http_headers_add(headers, name, one != NULL ? one : "");
    }
}

// Either an object, or that in base64.
static bool
read_headers(struct arena *arena, const struct json *body, struct http_headers *out)
{
    const struct json *given = json_get(body, "iam_request_headers");
    const char *text = decoded(arena, body, "iam_request_headers");
    struct json *parsed CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        text != NULL ? json_parse(str_of(text), &json_limits_default, &parsed) : NULL;
    const struct json *headers = parsed != NULL ? parsed : given;
    if (err != NULL || !json_is_object(headers)) {
        return false;
    }
    json_each(headers, take_header, out);
    return !out->failed;
}

static const char *
read_proof(struct vault_exchange *exchange, const struct json *body, struct proof *out)
{
    struct arena *arena = exchange->request->arena;
    const char *method = json_str(json_get(body, "iam_http_request_method"));
    const char *address = decoded(arena, body, "iam_request_url");
    const char *text = decoded(arena, body, "iam_request_body");
    struct url url = {0};
    struct error *err CLEANUP(error_freep) = url_parse(address != NULL ? address : "", &url);
    *out = (struct proof){.request = {.arena = arena, .method = "POST", .query = ""},
        .role = json_str(json_get(body, "role"))};
    out->request.target = err == NULL ? arena_dup(arena, url.path) : NULL;
    bool has_query = url.query != NULL;
    url_done(&url);
    if (method == NULL || strcmp(method, "POST") != 0) {
        return method == NULL ? "missing iam_http_request_method"
                              : "invalid iam_http_request_method; currently only 'POST' is "
                                "supported";
    }
    if (out->request.target == NULL || has_query) {
        return "missing or invalid iam_request_url";
    }
    if (text == NULL || !str_contains(str_of(text), STR("Action=GetCallerIdentity"))) {
        return text == NULL ? "missing iam_request_body" : "iam_request_body is not valid";
    }
    buf_init(&out->request.body, PART_MAX);
    buf_puts(&out->request.body, text);
    return read_headers(arena, body, &out->request.headers)
               ? NULL
               : "missing or invalid iam_request_headers";
}

// SignedHeaders of the authorization, or an empty text.
static struct str
signed_headers(const struct sandbox_request *request)
{
    const char *header = sandbox_request_header(request, "Authorization");
    const char *list = header != NULL ? strstr(header, "SignedHeaders=") : NULL;
    struct str names = {0}, rest = {0};
    (void)str_cut(str_of(list), ',', &names, &rest);
    return str_skip(names, names.len > 0 ? strlen("SignedHeaders=") : 0);
}

static const char *
server_id_problem(struct vault_exchange *exchange, const struct sandbox_request *request)
{
    static const char name[] = "X-Vault-AWS-IAM-Server-ID";
    const char *wanted = exchange->mount->server_id;
    const char *given = sandbox_request_header(request, name);
    struct str part = {0}, rest = signed_headers(request);
    bool is_signed = false;
    if (wanted == NULL) {
        return NULL;
    }
    while (str_cut(rest, ';', &part, &rest)) {
        is_signed = is_signed || str_equal_nocase(part, str_of(name));
    }
    if (given == NULL || strcmp(given, wanted) != 0) {
        return given == NULL ? "missing header \"X-Vault-AWS-IAM-Server-ID\""
                             : arena_printf(exchange->request->arena,
                                   "expected \"%s\" but got \"%s\"", wanted, given);
    }
    return is_signed ? NULL : "header wasn't signed";
}

// What STS says of it: the key, or NULL and an answer.
static const struct aws_key *
ask_sts(struct vault_exchange *exchange, struct sandbox_request *request)
{
    struct arena *arena = exchange->request->arena;
    struct sandbox_response refusal = {0};
    const char *region = "", *header = sandbox_request_header(request, "Authorization");
    const struct aws_key *key =
        sandbox_aws_authenticate(exchange->sandbox, request, &refusal, &region);
    const char *said = arena_str(arena, buf_str(&refusal.body));
    sandbox_response_done(&refusal);
    if (key != NULL && (strcmp(region, exchange->mount->region) != 0 ||
                           strstr(header, "/sts/aws4_request") == NULL)) {
        key = NULL;
        said = arena_printf(arena,
            "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>Credential should be "
            "scoped to a valid region and to the service 'sts', not '%s'.</Message></Error>"
            "</ErrorResponse>",
            region);
    }
    if (key == NULL) {
        sandbox_vault_problem(exchange, 400,
            "error making upstream request: received error code 403 from STS: %s", said);
    }
    return key;
}

// "arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION" is the role arn:aws:iam::ACCOUNT:role/NAME.
static const char *
principal_of(struct arena *arena, const char *arn, const char **name)
{
    const char *assumed = strstr(arn, ":assumed-role/"), *slash = strrchr(arn, '/');
    struct str role = {0}, session = {0};
    *name = slash != NULL ? slash + 1 : arn;
    if (assumed == NULL || strncmp(arn, "arn:aws:sts::", 13) != 0) {
        return arn;
    }
    (void)str_cut(str_of(assumed + strlen(":assumed-role/")), '/', &role, &session);
    *name = arena_str(arena, role);
    return arena_printf(
        arena, "arn:aws:iam::%.*s:role/%s", (int)(assumed - (arn + 13)), arn + 13, *name);
}

static void
login_as(struct vault_exchange *exchange, struct proof *proof)
{
    const char *problem = server_id_problem(exchange, &proof->request);
    if (problem != NULL) {
        sandbox_vault_problem(
            exchange, 400, "error validating X-Vault-AWS-IAM-Server-ID header: %s", problem);
        return;
    }
    const struct aws_key *key = ask_sts(exchange, &proof->request);
    if (key == NULL) {
        return;
    }
    const char *name = NULL;
    const char *principal = principal_of(exchange->request->arena, key->arn, &name);
    const char *wanted = proof->role != NULL && proof->role[0] != '\0' ? proof->role : name;
    const struct vault_role *role = find_role(exchange, wanted);
    if (role == NULL) {
        sandbox_vault_problem(exchange, 400, "entry for role \"%s\" not found", wanted);
    } else if (!is_among(json_get(role->order, "principals"), principal)) {
        sandbox_vault_problem(exchange, 400,
            "IAM Principal \"%s\" does not belong to the role \"%s\"", key->arn, wanted);
    } else {
        give_token(exchange, role, name);
    }
}

static void
login_by_identity(struct vault_exchange *exchange, const struct json *body)
{
    struct proof proof;
    const char *problem = read_proof(exchange, body, &proof);
    if (problem != NULL) {
        sandbox_vault_problem(exchange, 400, "%s", problem);
    } else {
        login_as(exchange, &proof);
    }
    http_headers_done(&proof.request.headers);
    buf_done(&proof.request.body);
}

// --- jwt: whose token is this?
// --------------------------------------------------------------------

struct claim_check {
    const struct json *claims;
    const char *failed;
};

// A claim's value is among the role's, which may be globs.
static void
check_claim(void *ctx, const char *name, const struct json *wanted)
{
    struct claim_check *check = ctx;
    const char *value = json_str(json_get(check->claims, name));
    const char *one = json_str(wanted);
    bool fits = value != NULL && (one != NULL ? fault_glob(one, value) : is_among(wanted, value));
    if (!fits && check->failed == NULL) {
        check->failed = name;
    }
}

static const char *
refusal_of(const char *why)
{
    struct str reason = str_of(why);
    if (str_contains(reason, STR("audience"))) {
        return "invalid audience (aud) claim: audience claim does not match any bound audience";
    }
    if (str_contains(reason, STR("expired"))) {
        return "invalid expiration time (exp) claim: token is expired";
    }
    if (str_contains(reason, STR("verification key"))) {
        return "error verifying token signature: no known key successfully validated the token "
               "signature";
    }
    return "invalid issuer (iss) claim";
}

static struct json *
verify(struct vault_exchange *exchange, const struct vault_role *role, const char *token)
{
    const struct json *audiences = json_get(role->order, "audiences");
    const char *why = "Incorrect token audience";
    for (size_t i = 0; i < json_count(audiences); i++) {
        struct json *claims =
            sandbox_oidc_verify(exchange->sandbox, token, json_str(json_at(audiences, i)), &why);
        if (claims != NULL) {
            return claims;
        }
    }
    sandbox_vault_problem(exchange, 400, "error validating token: %s", refusal_of(why));
    return NULL;
}

static void
login_by_token(struct vault_exchange *exchange, const struct json *body)
{
    const char *name = json_str(json_get(body, "role")), *token = json_str(json_get(body, "jwt"));
    const struct vault_role *role = find_role(exchange, name);
    if (name == NULL || name[0] == '\0' || token == NULL) {
        sandbox_vault_problem(
            exchange, 400, "%s", token == NULL ? "missing token" : "missing role");
        return;
    }
    if (role == NULL) {
        sandbox_vault_problem(exchange, 400, "role \"%s\" could not be found", name);
        return;
    }
    struct json *claims CLEANUP(json_freep) = verify(exchange, role, token);
    if (claims == NULL) {
        return;
    }
    struct claim_check check = {.claims = claims};
    json_each(json_get(role->order, "claims"), check_claim, &check);
    if (check.failed != NULL) {
        sandbox_vault_problem(exchange, 400,
            "error validating claims: claim \"%s\" does not match any associated bound claim "
            "values",
            check.failed);
        return;
    }
    give_token(exchange, role, json_str(json_get(claims, "sub")));
}

void
sandbox_vault_login(struct vault_exchange *exchange)
{
    struct json *body CLEANUP(json_freep) = sandbox_request_json(exchange->request);
    struct str path = str_skip(str_of(exchange->path), strlen("auth/"));
    path.len = path.len > strlen("/login") ? path.len - strlen("/login") : 0;
    const char *mount = arena_str(exchange->request->arena, path);
    exchange->mount =
        sandbox_vault_mount_of(exchange->sandbox->vault, exchange->space, mount, false);
    bool posts = sandbox_request_is(exchange->request, "POST") ||
                 sandbox_request_is(exchange->request, "PUT");
    if (exchange->mount == NULL || strcmp(exchange->mount->path, mount) != 0) {
        sandbox_vault_problem(exchange, 403, "permission denied"); // of what is not there, too
    } else if (!posts) {
        sandbox_vault_problem(exchange, 405, "unsupported operation");
    } else if (body == NULL) {
        sandbox_vault_problem(exchange, 400, "failed to parse JSON input");
    } else if (strcmp(exchange->mount->type, "aws") == 0) {
        login_by_identity(exchange, body);
    } else {
        login_by_token(exchange, body);
    }
}
