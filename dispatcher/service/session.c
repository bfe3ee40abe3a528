// Who is signed in: sessions by cookie, kept as hashes, and people whom a trusted proxy names. A
// session is 256 random bits that only its browser has; nothing in it can be made up or guessed.
#include "page_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    SECRET_BYTES = 32,
    TOKEN_SIZE = 2 * SECRET_BYTES + 1,
    COOKIE_MAX = 4096,
    LOGIN_MAX = 39,
    ASK_MS = 10 * 1000,
    ASK_AGAIN_MS = 15 * 60 * 1000, // whether somebody whom a proxy names is a member
};
static const int64_t session_ms = INT64_C(12) * 3600 * 1000;

struct session_keeper {
    struct page_memory *memory;
};

struct error *
sessions_start(struct service *service)
{
    struct session_keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->memory = page_memory_new();
    service_parts(service)->sessions = keeper;
    return NULL;
}

void
sessions_stop(struct service *service)
{
    struct session_keeper *keeper = service_parts(service)->sessions;
    if (keeper != NULL) {
        page_memory_free(keeper->memory);
        free(keeper);
        service_parts(service)->sessions = NULL;
    }
}

struct page_memory *
session_memory(struct service *service)
{
    return service_parts(service)->sessions->memory;
}

// --- cookies -------------------------------------------------------------------------------------

static bool
is_secure(const struct request *request)
{
    const char *url = service_settings(request->service)->url;
    const char *origin = service_origin(request->service);
    return str_starts(str_of(url != NULL ? url : origin), STR("https://"));
}

// "__Host-": no other host, and no page without TLS, can set it (RFC 6265bis §4.1.3.2).
static const char *
full_name(const struct request *request, const char *name)
{
    return arena_printf(request->arena, "%s%s", is_secure(request) ? "__Host-" : "", name);
}

void
session_cookie(struct request *request, struct response *response, const char *name,
    const char *value, int64_t max_age_s)
{
    http_headers_addf(&response->headers, "Set-Cookie",
        "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Lax%s", full_name(request, name),
        value != NULL ? value : "", (long long)(value != NULL ? max_age_s : 0),
        is_secure(request) ? "; Secure" : "");
}

const char *
session_cookie_value(struct request *request, const char *name)
{
    const char *value = request_cookie(request, full_name(request, name));
    return value != NULL && value[0] != '\0' && strlen(value) < COOKIE_MAX ? value : NULL;
}

// --- the store -----------------------------------------------------------------------------------

struct keeping {
    struct queue_session session;
    const char *drop; // hash of one that ends, or NULL
    struct audit_entry audit;
    int64_t now_ms;
};

static struct error *
keep(struct store *store, void *ctx)
{
    struct keeping *keeping = ctx;
    if (keeping->drop != NULL) {
        TRY(queue_session_drop(store, keeping->drop));
    }
    if (keeping->session.hash != NULL) {
        TRY(queue_session_add(store, &keeping->session));
    }
    return keeping->audit.kind != NULL ? audit_add(store, &keeping->audit, keeping->now_ms) : NULL;
}

static const char *
teams_text(const struct str_list *teams, struct arena *arena)
{
    struct json *list CLEANUP(json_freep) = json_make_array();
    for (size_t i = 0; i < teams->count; i++) {
        json_append(list, json_make_string(teams->items[i]));
    }
    char *text CLEANUP(xfreep) = json_text(list);
    return arena_dup(arena, text);
}

static void
read_teams(const char *text, struct arena *arena, struct str_list *out)
{
    struct json *list CLEANUP(json_freep) = NULL;
    struct error *err CLEANUP(error_freep) =
        json_parse(str_of(text != NULL ? text : "[]"), &json_limits_default, &list);
    size_t count = err == NULL ? json_count(list) : 0;
    *out = (struct str_list){arena_array(arena, count + 1, sizeof(*out->items)), 0};
    for (size_t i = 0; i < count; i++) {
        const char *slug = json_str(json_at(list, i));
        if (slug != NULL) {
            out->items[out->count++] = arena_dup(arena, slug);
        }
    }
}

static const char *
hash_of(const char *token, struct arena *arena)
{
    char hash[SHA256_HEX_SIZE];
    sha256_hex(str_of(token), hash);
    return arena_dup(arena, hash);
}

static struct queue_session
session_of(struct request *request, const struct policy_person *person, const char *name)
{
    char csrf[TOKEN_SIZE];
    random_hex(service_platform(request->service)->random, SECRET_BYTES, csrf);
    return (struct queue_session){.login = person->login,
        .name = name,
        .user_id = person->id,
        .teams = teams_text(&person->teams, request->arena),
        .csrf = arena_dup(request->arena, csrf),
        .created_ms = request->wall_ms,
        .expires_ms = request->wall_ms + session_ms};
}

static void
become(struct request *request, const struct queue_session *session, struct caller *caller)
{
    caller->kind = CALLER_PERSON;
    caller->person.login = session->login;
    caller->person.id = session->user_id;
    read_teams(session->teams, request->arena, &caller->person.teams);
    caller->name = session->name;
    caller->csrf = session->csrf;
}

// --- a trusted proxy -----------------------------------------------------------------------------

// Only the proxy itself may say who somebody is: whoever connects from elsewhere is not believed.
static const char *
proxied_login(const struct request *request)
{
    const struct setting_server *settings = service_settings(request->service);
    if (settings->proxy_header == NULL) {
        return NULL;
    }
    bool trusted = false;
    for (size_t i = 0; i < settings->proxy_addresses.count; i++) {
        trusted = trusted || cstr_equal(settings->proxy_addresses.items[i], request->connected);
    }
    // Twice: one of them is what the client made up, and the proxy did not take it away.
    trusted = trusted && request_header_count(request, settings->proxy_header) == 1;
    const char *login = trusted ? request_header(request, settings->proxy_header) : NULL;
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    bool valid = login != NULL && login[0] != '\0' && strlen(login) <= LOGIN_MAX &&
                 login[strspn(login, allowed)] == '\0';
    return valid ? login : NULL;
}

static struct error *
ask_membership(struct request *request, const char *login, bool *is)
{
    const struct setting_server *settings = service_settings(request->service);
    const struct platform *platform = service_request_platform(request->service);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    *is = false;
    if (settings->organization == NULL || settings->workflow_repo == NULL) {
        return NULL;
    }
    TRY(http_client_new(platform, service_http_options(request->service), &http));
    TRY(installation_client(
        request->service, http, settings->workflow_repo, GITHUB_FOR_MEMBERS, &client));
    github_client_set_deadline(client, clock_mono(platform->clock) + ASK_MS);
    return github_organization_has(client, settings->organization, login, is);
}

// The proxy says who it is; that they belong here, GitHub does.
static enum people_found
is_member(struct request *request, const char *login)
{
    struct people *people = request->service->people;
    bool is = false;
    if (!people_begin_asking(people)) {
        return PEOPLE_BUSY;
    }
    struct error *err CLEANUP(error_freep) = ask_membership(request, login, &is);
    people_end_asking(people);
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(service_platform(request->service)->log, "membership cannot be asked for",
            F_STR("login", login), F_STR("error", text));
        return PEOPLE_UNAVAILABLE;
    }
    return is ? PEOPLE_KNOWN : PEOPLE_UNKNOWN;
}

static struct error *
renew(struct request *request, const struct policy_person *person, struct queue_session **session)
{
    struct keeping keeping = {.session = session_of(request, person, NULL)};
    keeping.session.hash = arena_printf(request->arena, "proxy/%s", person->login);
    keeping.drop = keeping.session.hash;
    if (*session != NULL) {
        keeping.session.csrf = (*session)->csrf; // forms that are open stay good
    }
    struct store_op op = {.run = keep, .ctx = &keeping};
    TRY(writer_do(request->service, &op));
    *session = arena_alloc(request->arena, sizeof(**session));
    **session = keeping.session;
    return NULL;
}

static struct error *
read_session(struct request *request, const char *hash, struct queue_session **out)
{
    if (!request_borrow(request)) {
        return error_new(ERROR_STORAGE, "the database is not there");
    }
    return queue_session_get(request->store, hash, request->wall_ms, request->arena, out);
}

// They have no cookie of ours; their forms still need a token that no other site knows.
static struct error *
find_proxied(struct request *request, const char *login, struct caller *caller)
{
    struct policy_person person = {.login = login};
    struct queue_session *session = NULL;
    enum people_found found = PEOPLE_KNOWN;
    TRY(read_session(request, arena_printf(request->arena, "proxy/%s", login), &session));
    request_rest(request); // GitHub may be asked
    if (session == NULL || session->created_ms < request->wall_ms - ASK_AGAIN_MS) {
        found = is_member(request, login);
        if (found == PEOPLE_KNOWN) {
            TRY(renew(request, &person, &session));
        }
    }
    if (found == PEOPLE_KNOWN) {
        found = people_of_login(request->service, login, request->arena, &person);
    }
    caller->busy = found == PEOPLE_BUSY;
    if (found == PEOPLE_KNOWN) {
        become(request, session, caller);
        caller->person = person; // as GitHub says now
    }
    return NULL;
}

// --- who asks ------------------------------------------------------------------------------------

// Somebody who does not belong any more is signed out, everywhere.
static struct error *
show_out(struct request *request, const struct queue_session *session)
{
    struct keeping keeping = {.drop = session->hash,
        .audit = {.kind = "session",
            .verdict = "done",
            .reason = "signed out: no member any more",
            .request_id = request->id,
            .actor = session->login,
            .actor_id = session->user_id},
        .now_ms = request->wall_ms};
    struct store_op op = {.run = keep, .ctx = &keeping};
    return writer_do(request->service, &op);
}

static struct error *
take_signed_in(struct request *request, const struct queue_session *session, struct caller *caller)
{
    struct caller found = {.kind = CALLER_NOBODY};
    struct str_list teams = {0};
    int64_t age_ms = request->wall_ms - session->created_ms;
    become(request, session, &found);
    switch (people_still(request->service, &found.person, age_ms, request->arena, &teams)) {
    case PEOPLE_UNKNOWN:
        return show_out(request, session);
    case PEOPLE_KNOWN:
        break;
    case PEOPLE_BUSY:
    case PEOPLE_UNAVAILABLE:
    case PEOPLE_NOT_ASKED:
    default:
        found.unproven = true;
        break;
    }
    found.person.teams = teams;
    *caller = found;
    return NULL;
}

struct error *
session_find(struct request *request, struct caller *caller)
{
    const char *login = proxied_login(request);
    if (login != NULL) {
        return find_proxied(request, login, caller);
    }
    const char *token = session_cookie_value(request, "session");
    struct queue_session *session = NULL;
    if (token == NULL || strlen(token) != TOKEN_SIZE - 1) {
        return NULL;
    }
    TRY(read_session(request, hash_of(token, request->arena), &session));
    return session != NULL ? take_signed_in(request, session, caller) : NULL;
}

// --- beginning and ending ------------------------------------------------------------------------

static struct audit_entry
entry_of(const struct request *request, const struct policy_person *person, const char *reason)
{
    return (struct audit_entry){.kind = "session",
        .verdict = "done",
        .reason = reason,
        .request_id = request->id,
        .actor = person->login,
        .actor_id = person->id};
}

// Always a new one: what a browser brought along before signing in is worth nothing afterwards.
struct error *
session_begin(struct request *request, struct response *response,
    const struct policy_person *person, const char *name)
{
    char token[TOKEN_SIZE];
    random_hex(service_platform(request->service)->random, SECRET_BYTES, token);
    const char *before = session_cookie_value(request, "session");
    struct keeping keeping = {.session = session_of(request, person, name),
        .drop = before != NULL ? hash_of(before, request->arena) : NULL,
        .audit = entry_of(request, person, "signed in"),
        .now_ms = request->wall_ms};
    keeping.session.hash = hash_of(token, request->arena);
    struct store_op op = {.run = keep, .ctx = &keeping};
    TRY(writer_do(request->service, &op));
    session_cookie(request, response, "session", token, session_ms / 1000);
    return NULL;
}

struct error *
session_end(struct request *request, struct response *response)
{
    const char *token = session_cookie_value(request, "session");
    session_cookie(request, response, "session", NULL, 0);
    if (token == NULL) {
        return NULL;
    }
    struct keeping keeping = {.drop = hash_of(token, request->arena),
        .audit = entry_of(request, &request->caller.person, "signed out"),
        .now_ms = request->wall_ms};
    struct store_op op = {.run = keep, .ctx = &keeping};
    return writer_do(request->service, &op);
}
