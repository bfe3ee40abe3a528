// Who people are, as GitHub says: whose a user token is, whether they belong to the organisation,
// which teams they are in. Answers are kept for minutes by the token's hash; the token itself is
// not kept. Never decides what somebody may.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "dispatcher/url.h"
#include "dispatcher/yaml.h"
#include "service_state_internal.h"

enum {
    ENTRIES = 1024,
    BAD_MS = 60 * 1000,
    ASKING_MAX = 4, // that ask GitHub at once: what strangers send must not take all threads
    ASK_MS = 10 * 1000,
    TEAM_PAGES = 5,
    TOKEN_MAX = 1024,
};

struct entry {
    unsigned char hash[SHA256_SIZE];
    int64_t until_ms; // mono; 0: free
    struct arena *arena;
    bool known;
    struct policy_person person;
    const char *name;
};

struct people {
    pthread_mutex_t lock;
    int asking;
    struct entry entries[ENTRIES];
};

struct people *
people_new(void)
{
    struct people *people = xcalloc(1, sizeof(*people));
    (void)pthread_mutex_init(&people->lock, NULL);
    return people;
}

void
people_free(struct people *people)
{
    if (people == NULL) {
        return;
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        arena_free(people->entries[i].arena);
    }
    (void)pthread_mutex_destroy(&people->lock);
    free(people);
}

void
people_forget(struct people *people)
{
    (void)pthread_mutex_lock(&people->lock);
    for (size_t i = 0; i < ENTRIES; i++) {
        people->entries[i].until_ms = 0;
    }
    (void)pthread_mutex_unlock(&people->lock);
}

static struct str_list
copy_list(const struct str_list *list, struct arena *arena)
{
    struct str_list copy = {.items = arena_array(arena, list->count + 1, sizeof(*copy.items))};
    for (size_t i = 0; i < list->count; i++) {
        copy.items[copy.count++] = arena_dup(arena, list->items[i]);
    }
    return copy;
}

static void
copy_person(const struct policy_person *from, struct arena *arena, struct policy_person *out)
{
    out->login = arena_dup(arena, from->login);
    out->id = from->id;
    out->teams = copy_list(&from->teams, arena);
}

// --- the cache -----------------------------------------------------------------------------------

static bool
recall(struct people *people, const unsigned char hash[SHA256_SIZE], int64_t now,
    struct arena *arena, struct entry *out)
{
    bool found = false;
    (void)pthread_mutex_lock(&people->lock);
    for (size_t i = 0; i < ENTRIES && !found; i++) {
        const struct entry *entry = &people->entries[i];
        found = entry->until_ms > now && digest_equal(entry->hash, hash, SHA256_SIZE);
        if (found) {
            out->known = entry->known;
            out->name = arena_dup(arena, entry->name);
            copy_person(&entry->person, arena, &out->person);
        }
    }
    (void)pthread_mutex_unlock(&people->lock);
    return found;
}

static void
remember(struct service *service, const unsigned char hash[SHA256_SIZE], int64_t now,
    const struct entry *said)
{
    struct people *people = service->people;
    int64_t good_ms = service_settings(service)->people_every_ms;
    int64_t bad_ms = good_ms < BAD_MS ? good_ms : BAD_MS;
    (void)pthread_mutex_lock(&people->lock);
    struct entry *place = &people->entries[0];
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *entry = &people->entries[i];
        place = entry->until_ms < place->until_ms ? entry : place;
    }
    arena_free(place->arena);
    *place = (struct entry){.arena = arena_new(), .known = said->known};
    memcpy(place->hash, hash, SHA256_SIZE);
    place->until_ms = now + (said->known ? good_ms : bad_ms);
    place->name = arena_dup(place->arena, said->name);
    copy_person(&said->person, place->arena, &place->person);
    (void)pthread_mutex_unlock(&people->lock);
}

bool
people_begin_asking(struct people *people)
{
    (void)pthread_mutex_lock(&people->lock);
    bool may = people->asking < ASKING_MAX;
    people->asking += may;
    (void)pthread_mutex_unlock(&people->lock);
    return may;
}

void
people_end_asking(struct people *people)
{
    (void)pthread_mutex_lock(&people->lock);
    people->asking--;
    (void)pthread_mutex_unlock(&people->lock);
}

// --- asking with the person's own token ----------------------------------------------------------

struct asking {
    struct service *service;
    struct http_client *http;
    const struct secret *token;
    const char *api;
    int64_t deadline_ms;
    struct arena *arena;
    struct entry *out;
};

// *out NULL: refused for good (401, 403, 404). Anything else but 200 is an error.
static struct error *
get(const struct asking *asking, const char *path, struct json **out)
{
    char *url CLEANUP(xfreep) = xasprintf("%s%s", asking->api, path);
    struct http_headers headers CLEANUP(http_headers_done) = {0};
    struct http_response response CLEANUP(http_response_done) = {0};
    const struct json_limits limits = {1024 * 1024, 32};
    http_headers_add(&headers, "Accept", "application/vnd.github+json");
    http_headers_add_secret(&headers, "Authorization", "Bearer ", asking->token);
    const struct http_request request = {
        .method = HTTP_GET,
        .url = url,
        .headers = &headers,
        .deadline_ms = asking->deadline_ms,
        .max_response = limits.max_bytes,
    };
    TRY(http_send(asking->http, &request, &response));
    const char *left = http_headers_get(&response.headers, "x-ratelimit-remaining");
    // A secondary limit leaves some and says when to come again (facts: GitHub REST "rate limits").
    bool limited =
        response.status == 403 &&
        (cstr_equal(left, "0") || http_headers_get(&response.headers, "retry-after") != NULL);
    if (response.status == 401 || response.status == 404 || (response.status == 403 && !limited)) {
        *out = NULL;
        return NULL;
    }
    if (response.status != 200) {
        return error_new(ERROR_UNAVAILABLE, "GET %s: HTTP %d", url, response.status);
    }
    return json_parse(buf_str(&response.body), &limits, out);
}

static struct error *
ask_teams(struct asking *asking, const char *organization)
{
    struct str_list *teams = &asking->out->person.teams;
    teams->items = arena_array(asking->arena, TEAM_PAGES * 100, sizeof(*teams->items));
    for (int page = 1; page <= TEAM_PAGES; page++) {
        struct json *list CLEANUP(json_freep) = NULL;
        TRY(get(
            asking, arena_printf(asking->arena, "/user/teams?per_page=100&page=%d", page), &list));
        for (size_t i = 0; i < json_count(list) && i < 100; i++) {
            const struct json *team = json_at(list, i);
            const char *owner = json_str(json_path(team, "organization.login"));
            const char *slug = json_str(json_get(team, "slug"));
            if (slug != NULL && str_equal_nocase(str_of(owner), str_of(organization))) {
                teams->items[teams->count++] = arena_dup(asking->arena, slug);
            }
        }
        if (json_count(list) < 100) {
            break;
        }
    }
    return NULL;
}

static struct error *
ask_all(struct asking *asking)
{
    const char *organization = service_settings(asking->service)->organization;
    struct json *user CLEANUP(json_freep) = NULL, *membership CLEANUP(json_freep) = NULL;
    struct entry *out = asking->out;
    TRY(get(asking, "/user", &user));
    const char *login = json_str(json_get(user, "login"));
    int64_t id = json_int(json_get(user, "id"), 0);
    if (login == NULL || id <= 0 || organization == NULL) {
        return NULL;
    }
    struct buf path CLEANUP(buf_done) = BUF_INIT(512);
    buf_puts(&path, "/user/memberships/orgs/");
    url_encode(str_of(organization), "", &path);
    TRY(buf_finish(&path, "path of the request"));
    TRY(get(asking, buf_cstr(&path), &membership));
    if (!cstr_equal(json_str(json_get(membership, "state")), "active")) {
        return NULL;
    }
    TRY(ask_teams(asking, organization));
    out->person.login = arena_dup(asking->arena, login);
    out->person.id = id;
    out->name = arena_dup(asking->arena, json_str(json_get(user, "name")));
    out->known = true;
    return NULL;
}

static struct error *
ask_whose(struct service *service, struct str token, struct arena *arena, struct entry *out)
{
    const struct platform *platform = service_request_platform(service);
    const char *api = service_settings(service)->github_api;
    struct secret *secret CLEANUP(secret_freep) = secret_new(token);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    TRY(http_client_new(platform, service_http_options(service), &http));
    struct asking asking = {
        .service = service,
        .http = http,
        .token = secret,
        .api = api != NULL ? api : "https://api.github.com",
        .deadline_ms = clock_mono(platform->clock) + ASK_MS,
        .arena = arena,
        .out = out,
    };
    return ask_all(&asking);
}

static void
tell(struct service *service, struct error *err)
{
    char *text CLEANUP(xfreep) = error_text(err);
    log_warn(service_platform(service)->log, "GitHub cannot say who that is", F_STR("error", text));
    error_free(err);
}

enum people_found
people_of_token(struct service *service, struct str token, bool ask, struct arena *arena,
    struct policy_person *out, const char **name)
{
    struct people *people = service->people;
    const struct clock *clock = service_request_platform(service)->clock;
    unsigned char hash[SHA256_SIZE];
    struct entry said = {.known = false};
    if (token.len == 0 || token.len > TOKEN_MAX) {
        return PEOPLE_UNKNOWN;
    }
    sha256_of(token, hash);
    if (!recall(people, hash, clock_mono(clock), arena, &said)) {
        if (!ask) {
            return PEOPLE_NOT_ASKED;
        }
        if (!people_begin_asking(people)) {
            return PEOPLE_BUSY;
        }
        struct error *err = ask_whose(service, token, arena, &said);
        people_end_asking(people);
        if (err != NULL) {
            tell(service, err);
            return PEOPLE_UNAVAILABLE;
        }
        remember(service, hash, clock_mono(clock), &said);
    }
    *out = said.person;
    *name = said.name;
    return said.known ? PEOPLE_KNOWN : PEOPLE_UNKNOWN;
}

// --- asking with the App: of people who are not here ---------------------------------------------

static void
add_teams(const struct str_list *more, struct arena *arena, struct str_list *out)
{
    for (size_t i = 0; i < more->count; i++) {
        bool known = false;
        for (size_t j = 0; j < out->count && !known; j++) {
            known = strcmp(out->items[j], more->items[i]) == 0;
        }
        if (!known && out->count < ENTRIES) {
            out->items[out->count++] = arena_dup(arena, more->items[i]);
        }
    }
}

// Teams that any spec or the settings speak of: no other one can ever matter.
void
people_teams_that_matter(struct service *service, struct arena *arena, struct str_list *out)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(service, &why);
    out->items = arena_array(arena, ENTRIES, sizeof(*out->items));
    add_teams(&service_settings(service)->admins, arena, out);
    const struct str_list none = {0};
    const struct str_list *apps = set != NULL ? spec_set_apps(set) : &none;
    const struct str_list *environments = set != NULL ? spec_set_environments(set) : &none;
    for (size_t a = 0; a < apps->count; a++) {
        for (size_t e = 0; e < environments->count; e++) {
            const char *problem = NULL;
            const struct settings *settings =
                spec_set_settings(set, apps->items[a], environments->items[e], &problem);
            for (size_t i = 0; settings != NULL && i < settings->allow_count; i++) {
                add_teams(&settings->allow[i].teams, arena, out);
            }
            if (settings != NULL) {
                add_teams(&settings->approvals.teams, arena, out);
                add_teams(&settings->emergency_teams, arena, out);
            }
        }
    }
    specs_release(set);
}

// `member`: only somebody of the organisation is known; else anybody whom GitHub knows.
static struct error *
ask_as_app(
    struct service *service, const char *login, bool member, struct arena *arena, struct entry *out)
{
    const struct setting_server *settings = service_settings(service);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    struct str_list names = {0}, *teams = &out->person.teams;
    const struct platform *platform = service_request_platform(service);
    people_teams_that_matter(service, arena, &names);
    teams->items = arena_array(arena, names.count + 1, sizeof(*teams->items));
    TRY(http_client_new(platform, service_http_options(service), &http));
    TRY(installation_client(service, http, settings->workflow_repo, GITHUB_FOR_MEMBERS, &client));
    github_client_set_deadline(client, clock_mono(platform->clock) + ASK_MS);
    TRY(github_user_id(client, login, &out->person.id));
    for (size_t i = 0; i < names.count && out->person.id > 0; i++) {
        bool has = false;
        TRY(github_team_has(client, settings->organization, names.items[i], login, &has));
        if (has) {
            teams->items[teams->count++] = names.items[i];
        }
    }
    out->person.login = arena_dup(arena, login);
    out->known = out->person.id > 0;
    bool unproven = member && out->known && teams->count == 0; // a team's members are its own
    return unproven ? github_organization_has(client, settings->organization, login, &out->known)
                    : NULL;
}

// What is asked about a login, and by whom: a request's thread takes one of the few places.
struct login_question {
    const char *login;
    bool member, waits_for_nobody;
};

static enum people_found
ask_login(struct service *service, const struct login_question *question, struct arena *arena,
    struct entry *out)
{
    struct people *people = service->people;
    if (!question->waits_for_nobody && !people_begin_asking(people)) {
        return PEOPLE_BUSY;
    }
    struct error *err = ask_as_app(service, question->login, question->member, arena, out);
    if (!question->waits_for_nobody) {
        people_end_asking(people);
    }
    if (err != NULL) {
        tell(service, err);
        *out = (struct entry){.known = false};
        return PEOPLE_UNAVAILABLE;
    }
    return out->known ? PEOPLE_KNOWN : PEOPLE_UNKNOWN;
}

static enum people_found
find_login(struct service *service, const struct login_question *question, struct arena *arena,
    struct entry *out)
{
    const struct clock *clock = service_request_platform(service)->clock;
    const struct setting_server *settings = service_settings(service);
    const char *kind = question->member ? "member" : "login";
    unsigned char hash[SHA256_SIZE];
    if (settings->organization == NULL || settings->workflow_repo == NULL) {
        return PEOPLE_UNKNOWN;
    }
    sha256_of(str_of(arena_printf(arena, "%s\n%s", kind, question->login)), hash);
    if (recall(service->people, hash, clock_mono(clock), arena, out)) {
        return out->known ? PEOPLE_KNOWN : PEOPLE_UNKNOWN;
    }
    enum people_found found = ask_login(service, question, arena, out);
    if (found == PEOPLE_KNOWN || found == PEOPLE_UNKNOWN) {
        remember(service, hash, clock_mono(clock), out);
    }
    return found;
}

enum people_found
people_of_login(
    struct service *service, const char *login, struct arena *arena, struct policy_person *out)
{
    const struct login_question question = {.login = login, .member = true};
    struct entry said = {.known = false};
    enum people_found found = find_login(service, &question, arena, &said);
    *out = said.person;
    return found;
}

struct error *
people_teams(struct service *service, const char *login, struct arena *arena, struct str_list *out,
    bool *known)
{
    const struct login_question question = {.login = login, .waits_for_nobody = true};
    struct entry said = {.known = false};
    *known = find_login(service, &question, arena, &said) == PEOPLE_KNOWN;
    *out = said.person.teams;
    return NULL;
}

bool
people_teams_now(
    struct service *service, const char *login, struct arena *arena, struct policy_actor *out)
{
    const struct login_question question = {.login = login};
    struct entry said = {.known = false};
    enum people_found found = find_login(service, &question, arena, &said);
    out->teams = said.person.teams;
    out->teams_known = found == PEOPLE_KNOWN;
    return found != PEOPLE_BUSY;
}

// --- Slack ---------------------------------------------------------------------------------------

// `members` maps authors, by e-mail address or login, to Slack's ids: a key that can be a login is
// taken for one.
static bool
is_login(const char *key)
{
    return key[0] != '\0' && strlen(key) <= 39 &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") ==
               strlen(key);
}

// Of dispatcher.yaml alone: an app's own spec could name its author's id beside anybody's login.
const char *
people_of_slack(struct service *service, const char *id, struct arena *arena)
{
    const char *why = NULL;
    const struct spec_set *set = specs_hold(service, &why);
    if (set == NULL) {
        return NULL;
    }
    struct diagnostics *diagnostics CLEANUP(diagnostics_freep) = diagnostics_new();
    const struct spec_document *config = spec_set_config(set);
    struct yaml_node *root = NULL;
    yaml_parse(config->path, config->text, &yaml_limits_spec, arena, diagnostics, &root);
    const struct yaml_node *members = yaml_get(yaml_get(root, "notify"), "members");
    const struct yaml_node *at =
        members != NULL && members->kind == YAML_MAPPING ? members->first : NULL;
    const char *login = NULL;
    for (; at != NULL && login == NULL; at = at->next) {
        bool fits = cstr_equal(yaml_text(at->value), id) && is_login(at->text);
        login = fits ? at->text : NULL;
    }
    specs_release(set);
    return login;
}

bool
people_is_admin(const struct setting_server *settings, const struct policy_person *person)
{
    for (size_t i = 0; i < settings->admins.count; i++) {
        for (size_t j = 0; j < person->teams.count; j++) {
            if (strcmp(settings->admins.items[i], person->teams.items[j]) == 0) {
                return true;
            }
        }
    }
    return false;
}
