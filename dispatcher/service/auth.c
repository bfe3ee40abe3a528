// Who asks: a job by its OIDC token, a person by a GitHub user token or a session, and how often
// they may. Fills struct caller or refuses; what the caller may do is policy's.
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    TOKEN_MAX = 16 * 1024,
    FAILURES_A_MINUTE = 120, // of one address, credentials that are not good
    STRANGERS_FACTOR = 5,    // an address may be a whole office, or all of GitHub's runners
    JTI_SLACK_MS = 2 * 60 * 1000,
    NETWORK_BYTES = 8,
    NOTES_OF_OWNER = 60, // denials of strangers a minute that the audit log takes
    NOTES_OF_ALL = 600,
};

// --- where from ----------------------------------------------------------------------------------

static bool
is_listed(const struct str_list *list, struct str text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (str_equal(str_of(list->items[i]), text)) {
            return true;
        }
    }
    return false;
}

static bool
is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(strchr(text, ':') != NULL ? AF_INET6 : AF_INET, text, bytes) == 1;
}

const char *
auth_peer(const struct setting_server *settings, const char *peer, const char *forwarded,
    struct arena *arena)
{
    const struct str_list *proxies = &settings->proxy_addresses;
    struct str rest = str_of(forwarded);
    const char *seen = peer;
    // From the right: each proxy has appended whom it saw, and only proxies of ours are believed.
    while (is_listed(proxies, str_of(seen)) && rest.len > 0) {
        size_t start = rest.len;
        while (start > 0 && rest.ptr[start - 1] != ',') {
            start--;
        }
        const char *next =
            arena_str(arena, str_trim((struct str){rest.ptr + start, rest.len - start}));
        if (!is_address(next)) {
            break;
        }
        seen = next;
        rest.len = start > 0 ? start - 1 : 0;
    }
    return seen;
}

// Whoever has one IPv6 address has 2^64 of them (RFC 6177): they are one for limits.
const char *
auth_network(const char *peer, struct arena *arena)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN] = "";
    if (strchr(peer, ':') == NULL || inet_pton(AF_INET6, peer, &address) != 1 ||
        IN6_IS_ADDR_V4MAPPED(&address)) {
        return peer;
    }
    memset(address.s6_addr + NETWORK_BYTES, 0, sizeof(address) - NETWORK_BYTES);
    (void)inet_ntop(AF_INET6, &address, text, sizeof(text));
    return arena_dup(arena, text);
}

// --- how often -----------------------------------------------------------------------------------

static const struct limiter_rule failures = {FAILURES_A_MINUTE, FAILURES_A_MINUTE};

static bool
refuse_rate(struct request *request, struct response *response, int64_t retry_s)
{
    const struct refusal refusal = {.code = REASON_RATE, .retry_after_s = retry_s};
    response_refuse(request, response, &refusal);
    return false;
}

static bool
may_go_on(struct request *request, struct response *response, const char *key,
    const struct limiter_rule *rule)
{
    int64_t retry_s = 0;
    int64_t now = clock_mono(service_platform(request->service)->clock);
    return limiter_take(request->service->limiter, key, rule, now, &retry_s) ||
           refuse_rate(request, response, retry_s);
}

static const char *
key_of_peer(struct request *request, const char *what)
{
    return arena_printf(request->arena, "%s/%s", what, auth_network(request->peer, request->arena));
}

static bool
may_caller(struct request *request, struct response *response)
{
    int64_t rate = service_settings(request->service)->rate;
    bool stranger = request->caller.scope == NULL;
    rate *= stranger ? STRANGERS_FACTOR : 1;
    const struct limiter_rule rule = {.per_minute = rate, .burst = rate};
    const char *key = stranger ? key_of_peer(request, "peer") : request->caller.scope;
    return (request->route->flags & (ROUTE_CHEAP | ROUTE_INLINE)) != 0 ||
           may_go_on(request, response, key, &rule);
}

// Credentials that are not good: the answer, unless the address has sent too many of them.
static bool
refuse(struct request *request, struct response *response, const struct refusal *refusal)
{
    metric_add(request->service, METRIC_DENIED, 1);
    if (may_go_on(request, response, key_of_peer(request, "failed"), &failures)) {
        response_refuse(request, response, refusal);
    }
    return false;
}

// Has the address sent too many of them, so that what is not known is not asked about?
static bool
is_worn_out(struct request *request, int64_t *retry_s)
{
    int64_t now = clock_mono(service_platform(request->service)->clock);
    return !limiter_has(
        request->service->limiter, key_of_peer(request, "failed"), &failures, now, retry_s);
}

static bool
refuse_code(struct request *request, struct response *response, enum reason_code code)
{
    const struct refusal refusal = {.code = code};
    return refuse(request, response, &refusal);
}

bool
auth_may_note(struct service *service, const struct policy_claims *claims)
{
    static const struct limiter_rule of_owner = {NOTES_OF_OWNER, NOTES_OF_OWNER};
    static const struct limiter_rule of_all = {NOTES_OF_ALL, NOTES_OF_ALL};
    char key[64];
    int64_t retry_s = 0, now = clock_mono(service_platform(service)->clock);
    (void)snprintf(key, sizeof(key), "stranger/%lld", (long long)claims->owner_id);
    return limiter_take(service->limiter, key, &of_owner, now, &retry_s) &&
           limiter_take(service->limiter, "strangers", &of_all, now, &retry_s);
}

// --- credentials ---------------------------------------------------------------------------------

// "Bearer <token>", the scheme in any case (RFC 9110 §11.1).
static struct str
bearer_of(const struct request *request)
{
    struct str scheme = {0}, token = {0};
    struct str header = str_of(request_header(request, "Authorization"));
    (void)str_cut(header, ' ', &scheme, &token);
    return str_equal_nocase(scheme, STR("bearer")) ? str_trim(token) : (struct str){0};
}

// Three parts, as a JSON web token has; GitHub's own tokens begin with their kind, and one kind of
// them has dots, too.
static bool
is_job_token(struct str token)
{
    static const struct str kinds[] = {
        {"ghp_", 4}, {"gho_", 4}, {"ghu_", 4}, {"ghs_", 4}, {"ghr_", 4}, {"github_pat_", 11}};
    size_t dots = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        if (str_starts(token, kinds[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < token.len; i++) {
        dots += token.ptr[i] == '.';
    }
    return dots == 2;
}

static bool
take_job(struct request *request, struct response *response, struct str token)
{
    const struct setting_server *settings = service_settings(request->service);
    const struct policy_token_rules rules = {
        .issuer = settings->issuer,
        .audience = settings->audience,
        .now_s = request->wall_ms / 1000,
    };
    struct policy_claims *claims = NULL;
    struct policy_verdict verdict = {.code = REASON_TOKEN_MALFORMED};
    if (keys_check(request->service->keys, token, &rules, request->arena, &claims, &verdict) ==
        KEYS_NONE) {
        return refuse_code(request, response, REASON_KEYS_UNAVAILABLE);
    }
    if (!verdict.allowed) {
        const struct refusal refusal = {.code = verdict.code,
            .sentence = verdict.sentence,
            .who = verdict.who,
            .failures = &verdict.failures};
        return refuse(request, response, &refusal);
    }
    request->caller = (struct caller){
        .kind = CALLER_JOB,
        .claims = claims,
        .scope = arena_printf(request->arena, "repository/%lld", (long long)claims->repository_id),
        .actor = claims->actor,
        .actor_id = claims->actor_id,
    };
    return true;
}

static void
become(struct request *request, const struct policy_person *person)
{
    struct caller *caller = &request->caller;
    caller->kind = CALLER_PERSON;
    caller->person = *person;
    caller->admin = people_is_admin(service_settings(request->service), person);
    caller->scope = arena_printf(request->arena, "user/%s", person->login);
    caller->actor = person->login;
    caller->actor_id = person->id;
}

static bool
refuse_busy(struct request *request, struct response *response)
{
    const struct refusal busy = {
        .code = REASON_PEOPLE_UNAVAILABLE, .sentence = PEOPLE_TOO_MANY, .retry_after_s = 1};
    response_refuse(request, response, &busy);
    return false;
}

static bool
take_user_token(struct request *request, struct response *response, struct str token)
{
    struct policy_person person = {0};
    const char *name = NULL;
    int64_t retry_s = 0;
    bool ask = !is_worn_out(request, &retry_s);
    switch (people_of_token(request->service, token, ask, request->arena, &person, &name)) {
    case PEOPLE_KNOWN:
        become(request, &person);
        request->caller.name = name;
        return true;
    case PEOPLE_NOT_ASKED:
        metric_add(request->service, METRIC_DENIED, 1);
        return refuse_rate(request, response, retry_s);
    case PEOPLE_UNKNOWN:
        return refuse_code(request, response, REASON_PERSON_UNKNOWN);
    case PEOPLE_BUSY:
        return refuse_busy(request, response);
    case PEOPLE_UNAVAILABLE:
    default:
        response_refuse_code(request, response, REASON_PEOPLE_UNAVAILABLE);
        return false;
    }
}

static bool
changes_something(const struct request *request)
{
    return strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0;
}

// A cookie comes along with whatever a browser is made to send: what changes something has to show
// that it came from a page of ours.
static bool
is_from_here(struct request *request)
{
    const struct service *service = request->service;
    const char *origin = request_header(request, "Origin");
    const char *given = request_header(request, "X-CSRF-Token");
    const char *csrf = request->caller.csrf;
    bool foreign = origin != NULL && !cstr_equal(origin, service_settings(service)->url) &&
                   !cstr_equal(origin, service_origin(service));
    if (given == NULL && (request->route->flags & ROUTE_FORM) != 0) {
        given = request_field(request, "csrf");
    }
    return !foreign && given != NULL && csrf != NULL && strlen(given) == strlen(csrf) &&
           digest_equal(given, csrf, strlen(csrf));
}

static bool
take_session(struct request *request, struct response *response)
{
    struct caller found = {.kind = CALLER_NOBODY};
    struct error *err = session_find(request, &found);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_error(service_platform(request->service)->log, "sessions cannot be read",
            F_STR("error", text));
        error_free(err);
        response_refuse_code(request, response, REASON_STORAGE);
        return false;
    }
    if (found.busy) {
        return refuse_busy(request, response);
    }
    if (found.kind != CALLER_PERSON) {
        return true;
    }
    request->caller = found;
    become(request, &found.person);
    request->caller.by_session = true;
    if (!changes_something(request)) {
        return true;
    }
    if (!is_from_here(request)) {
        response_refuse_code(request, response, REASON_CSRF);
        return false;
    }
    if (found.unproven && (request->route->flags & ROUTE_LEAVING) == 0) {
        response_refuse_code(request, response, REASON_PEOPLE_UNAVAILABLE);
        return false;
    }
    return true;
}

static bool
take_credentials(struct request *request, struct response *response)
{
    enum route_who who = request->route->who;
    struct str token = bearer_of(request);
    if (token.len == 0 || who == ROUTE_OPTIONAL) {
        return who == ROUTE_JOB || take_session(request, response);
    }
    if (token.len > TOKEN_MAX) {
        return refuse_code(request, response, REASON_TOKEN_MALFORMED);
    }
    if (is_job_token(token)) {
        return who == ROUTE_PERSON ? refuse_code(request, response, REASON_SIGN_IN)
                                   : take_job(request, response, token);
    }
    return who == ROUTE_JOB ? refuse_code(request, response, REASON_TOKEN_MALFORMED)
                            : take_user_token(request, response, token);
}

bool
auth_caller(struct request *request, struct response *response)
{
    enum route_who who = request->route->who;
    request->caller = (struct caller){.kind = CALLER_NOBODY};
    if (who != ROUTE_ANYBODY && !take_credentials(request, response)) {
        return false;
    }
    if (request->caller.kind == CALLER_NOBODY && who != ROUTE_ANYBODY && who != ROUTE_OPTIONAL) {
        return refuse_code(
            request, response, who == ROUTE_PERSON ? REASON_SIGN_IN : REASON_TOKEN_MISSING);
    }
    return may_caller(request, response);
}

// --- once ----------------------------------------------------------------------------------------

const char *
auth_hash(struct request *request)
{
    char hash[SHA256_HEX_SIZE];
    struct buf text CLEANUP(buf_done) = BUF_INIT(request->body.len + 16 * 1024);
    buf_printf(&text, "%s %s\n", request->method, request->path);
    buf_add(&text, request->body);
    sha256_hex(buf_str(&text), hash);
    return arena_dup(request->arena, hash);
}

bool
auth_spending(struct request *request, struct auth_spending *out)
{
    const struct policy_claims *claims = request->caller.claims;
    if (claims == NULL) {
        return false;
    }
    *out = (struct auth_spending){
        .jti = claims->jti,
        .hash = auth_hash(request),
        .until_ms = claims->expires_s * 1000 + JTI_SLACK_MS,
    };
    return true;
}

struct error *
auth_spend_in(struct store *store, struct auth_spending *spending)
{
    return queue_token_spend(
        store, spending->jti, spending->hash, spending->until_ms, &spending->outcome);
}

static struct error *
spend(struct store *store, void *ctx)
{
    return auth_spend_in(store, ctx);
}

bool
auth_spent(struct request *request, struct response *response, const struct auth_spending *spending)
{
    return spending->outcome != QUEUE_REPLAY ||
           refuse_code(request, response, REASON_TOKEN_REPLAYED);
}

bool
auth_spend(struct request *request, struct response *response)
{
    struct auth_spending spending;
    if (!auth_spending(request, &spending)) {
        return true;
    }
    struct store_op op = {.run = spend, .ctx = &spending};
    struct error *err = writer_do(request->service, &op);
    if (err != NULL) {
        error_free(err);
        response_refuse_code(request, response, REASON_STORAGE);
        return false;
    }
    return auth_spent(request, response, &spending);
}
