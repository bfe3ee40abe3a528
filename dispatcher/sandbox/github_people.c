// Who there is: octocat and monalisa of DevOps, hubot, mallory who belongs to nothing, and those
// that orders bring. What their tokens may is github_auth.c; signing them in is github_oauth.c.
#include "github_people_internal.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/file.h"
#include "dispatcher/memory.h"

enum { PEOPLE_MAX = 10000, TEAMS_MAX = 100, SECRET_BYTES = 20 };

static const struct {
    const char *login, *name, *teams[3];
    int64_t id;
    bool is_bot, is_outside, is_admin;
} defaults[] = {
    {"sandbox-user", "Sandbox User", {NULL}, GITHUB_USER_ID, false, false, false},
    {"octocat", "The Octocat", {"devops", "deployers", NULL}, 583231, false, false, true},
    {"monalisa", "Mona Lisa", {"devops", NULL}, 2, false, false, false},
    {"hubot", "Hubot", {"deployers", NULL}, 480938, true, false, false},
    {"mallory", "Mallory", {NULL}, 666, false, true, false},
};

const char *
sandbox_github_organization(const struct sandbox *sandbox)
{
    const struct github_state *github = sandbox->github;
    return github->repo_count > 0 ? github->repos[0]->owner : "octo-org";
}

int64_t
sandbox_github_organization_id(const struct sandbox *sandbox)
{
    const struct github_state *github = sandbox->github;
    return github->repo_count > 0 ? github->repos[0]->owner_id
                                  : sandbox_github_owner_id("octo-org");
}

struct github_person *
sandbox_github_person(const struct sandbox *sandbox, const char *login)
{
    const struct github_people *people = sandbox->github->people;
    for (size_t i = 0; people != NULL && login != NULL && i < people->count; i++) {
        if (str_equal_nocase(str_of(people->list[i]->login), str_of(login))) {
            return people->list[i];
        }
    }
    return NULL;
}

bool
sandbox_github_person_is_in(const struct github_person *person, const char *slug)
{
    for (size_t i = 0; i < json_count(person->teams); i++) {
        if (cstr_equal(json_str(json_at(person->teams, i)), slug)) {
            return true;
        }
    }
    return false;
}

static struct github_team *
find_team(const struct github_people *people, const char *slug)
{
    for (size_t i = 0; i < people->team_count; i++) {
        if (strcmp(people->teams[i].slug, slug) == 0) {
            return &people->teams[i];
        }
    }
    return NULL;
}

int64_t
sandbox_github_team_id(const struct sandbox *sandbox, const char *slug)
{
    const struct github_team *team = find_team(sandbox->github->people, slug);
    return team != NULL ? team->id : 0;
}

static void
ensure_team(struct github_people *people, const char *slug)
{
    if (slug == NULL || find_team(people, slug) != NULL) {
        return;
    }
    people->teams = xrealloc(people->teams, (people->team_count + 1) * sizeof(*people->teams));
    people->teams[people->team_count++] =
        (struct github_team){xstrdup(slug), sandbox_github_stable_id(slug) % 10000000};
}

static struct github_person *
ensure_person(struct sandbox *sandbox, const char *login)
{
    struct github_people *people = sandbox->github->people;
    struct github_person *person = sandbox_github_person(sandbox, login);
    if (person != NULL) {
        return person;
    }
    person = xcalloc(1, sizeof(*person));
    person->login = xstrdup(login);
    person->name = xstrdup(login);
    person->id = sandbox_github_stable_id(login) % 90000000 + 1000000;
    person->teams = json_make_array();
    person->is_member = true;
    people->list = xrealloc(people->list, (people->count + 1) * sizeof(*people->list));
    people->list[people->count++] = person;
    return person;
}

static void
set_defaults(struct sandbox *sandbox)
{
    for (size_t i = 0; i < ARRAY_LENGTH(defaults); i++) {
        struct github_person *person = ensure_person(sandbox, defaults[i].login);
        free(person->name);
        json_free(person->teams);
        person->name = xstrdup(defaults[i].name);
        person->id = defaults[i].id;
        person->is_bot = defaults[i].is_bot;
        person->is_member = !defaults[i].is_outside;
        person->is_admin = defaults[i].is_admin;
        person->teams = json_make_array();
        for (size_t k = 0; defaults[i].teams[k] != NULL; k++) {
            json_append(person->teams, json_make_string(defaults[i].teams[k]));
            ensure_team(sandbox->github->people, defaults[i].teams[k]);
        }
    }
}

struct error *
sandbox_github_people_start(struct sandbox *sandbox)
{
    struct github_people *people = xcalloc(1, sizeof(*people));
    char secret[2 * SECRET_BYTES + 1];
    sandbox->github->people = people;
    random_hex(sandbox->platform->random, SECRET_BYTES, secret);
    people->client_secret = xstrdup(secret);
    people->client_secret_path = xasprintf("%s/oauth-client-secret", sandbox->data);
    set_defaults(sandbox);
    return file_write(people->client_secret_path, str_of(secret), 0600);
}

void
sandbox_github_people_stop(struct github_state *github)
{
    struct github_people *people = github->people;
    if (people == NULL) {
        return;
    }
    for (size_t i = 0; i < people->count; i++) {
        free(people->list[i]->login);
        free(people->list[i]->name);
        json_free(people->list[i]->teams);
        free(people->list[i]);
    }
    for (size_t i = 0; i < people->team_count; i++) {
        free(people->teams[i].slug);
    }
    for (size_t i = 0; i < people->code_count; i++) {
        free(people->codes[i].code);
        free(people->codes[i].redirect_uri);
        free(people->codes[i].challenge);
    }
    for (size_t i = 0; i < people->refresh_count; i++) {
        free(people->refreshes[i].text);
    }
    free(people->list);
    free(people->teams);
    free(people->codes);
    free(people->refreshes);
    free(people->client_secret);
    free(people->client_secret_path);
    json_free(people->redirect_uris);
    free(people);
    github->people = NULL;
}

// Those of orders stay known, since tokens speak of them, but belong to nothing any more.
void
sandbox_github_people_reset(struct sandbox *sandbox)
{
    struct github_people *people = sandbox->github->people;
    for (size_t i = 0; i < people->count; i++) {
        json_free(people->list[i]->teams);
        people->list[i]->teams = json_make_array();
        people->list[i]->is_member = false;
        people->list[i]->is_admin = false;
    }
    json_free(people->redirect_uris);
    people->redirect_uris = NULL;
    set_defaults(sandbox);
}

// --- orders --------------------------------------------------------------------------------------

static bool
is_login(const char *text)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return text != NULL && text[0] != '\0' && strlen(text) <= 39 &&
           strspn(text, legal) == strlen(text);
}

static bool
is_taken(const struct sandbox *sandbox, const char *text, const struct github_person *person)
{
    for (size_t i = 0; i < sandbox->github->token_count; i++) {
        const struct github_token *token = sandbox->github->tokens[i];
        if (strcmp(token->text, text) == 0) {
            return token->person != person;
        }
    }
    return false;
}

static const char *
check_person(const struct sandbox *sandbox, const struct json *item)
{
    const struct json *teams = json_get(item, "teams"), *id = json_get(item, "id");
    const char *login = json_str(json_get(item, "login")),
               *text = json_str(json_get(item, "token"));
    if (!is_login(login)) {
        return "'login' is 1 to 39 letters, digits and hyphens";
    }
    if (id != NULL && json_int(id, 0) <= 0) {
        return "'id' is a number above 0";
    }
    if (teams != NULL && (!json_is_array(teams) || json_count(teams) > TEAMS_MAX)) {
        return "'teams' is a list of at most 100 slugs";
    }
    for (size_t i = 0; i < json_count(teams); i++) {
        if (!is_login(json_str(json_at(teams, i)))) {
            return "a team's slug is letters, digits and hyphens";
        }
    }
    return text != NULL && is_taken(sandbox, text, sandbox_github_person(sandbox, login))
               ? "'token' is somebody else's"
               : NULL;
}

static struct github_token *
give_token(struct sandbox *sandbox, struct github_person *person, const char *text)
{
    for (size_t i = 0; i < sandbox->github->token_count; i++) {
        if (strcmp(sandbox->github->tokens[i]->text, text) == 0) {
            return sandbox->github->tokens[i];
        }
    }
    struct github_token *token = sandbox_github_token_add(sandbox, GITHUB_TOKEN_PERSONAL, text);
    token->person = person;
    return token;
}

// A person is changed in what the item says; `member` is true for whoever is new.
static void
take_person(struct sandbox *sandbox, const struct json *item)
{
    struct github_person *person = ensure_person(sandbox, json_str(json_get(item, "login")));
    const struct json *teams = json_get(item, "teams");
    const char *name = json_str(json_get(item, "name"));
    const char *text = json_str(json_get(item, "token"));
    if (name != NULL) {
        free(person->name);
        person->name = xstrdup(name);
    }
    person->id = json_int(json_get(item, "id"), person->id);
    person->is_bot = json_bool(json_get(item, "bot"), person->is_bot);
    person->is_member = json_bool(json_get(item, "member"), person->is_member);
    person->is_admin = json_bool(json_get(item, "admin"), person->is_admin);
    if (teams != NULL) {
        json_free(person->teams);
        person->teams = json_clone(teams);
        for (size_t i = 0; i < json_count(teams); i++) {
            ensure_team(sandbox->github->people, json_str(json_at(teams, i)));
        }
    }
    if (text != NULL) {
        person->token = give_token(sandbox, person, text);
    }
}

static struct json *
person_json(const struct github_person *person)
{
    struct json *item = json_make_object();
    json_set_str(item, "login", person->login);
    json_set_int(item, "id", person->id);
    json_set_str(item, "name", person->name);
    json_set(item, "teams", json_clone(person->teams));
    json_set_bool(item, "member", person->is_member);
    json_set_bool(item, "admin", person->is_admin);
    json_set_bool(item, "bot", person->is_bot);
    json_set_str(item, "token", person->token != NULL ? person->token->text : NULL);
    return item;
}

struct json *
sandbox_github_people_json(const struct sandbox *sandbox)
{
    const struct github_people *people = sandbox->github->people;
    struct json *list = json_make_array();
    for (size_t i = 0; i < people->count; i++) {
        json_append(list, person_json(people->list[i]));
    }
    return list;
}

// Everybody of the list has a token afterwards, which the answer tells.
void
sandbox_github_control_people(
    struct sandbox *sandbox, const struct json *order, struct sandbox_response *response)
{
    const struct json *list = json_get(order, "people");
    struct arena *arena CLEANUP(arena_freep) = arena_new();
    const char *problem =
        !json_is_array(list) || json_count(list) > PEOPLE_MAX ? "'people' is a list" : NULL;
    for (size_t i = 0; problem == NULL && i < json_count(list); i++) {
        problem = check_person(sandbox, json_at(list, i));
    }
    if (problem != NULL) {
        sandbox_reply_problem(response, 422, "%s", problem);
        return;
    }
    struct json *body = json_make_object(), *made = json_make_array();
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *item = json_at(list, i);
        take_person(sandbox, item);
        struct github_person *person =
            sandbox_github_person(sandbox, json_str(json_get(item, "login")));
        if (person->token == NULL) {
            const char *text = arena_printf(arena, "ghp_%s", sandbox_random(sandbox, arena, 18));
            person->token = give_token(sandbox, person, text);
        }
        json_append(made, person_json(person));
    }
    json_set(body, "people", made);
    sandbox_reply_json(response, 200, body);
}
