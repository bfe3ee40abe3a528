// Whether somebody who signed in hours ago still belongs: asked of GitHub again every few minutes
// while they do something, so that whoever is taken out of the organisation or of a team loses what
// came with it. While GitHub cannot be asked its last answer counts for a while. Decides nothing.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/memory.h"
#include "service_state_internal.h"

enum {
    ENTRIES = 512,
    ASK_MS = 4 * 1000,    // somebody waits for a page
    LATER_MS = 30 * 1000, // after GitHub could not be asked
    GRACES = 3,           // an answer counts for as many times as long as it is not asked again
};

// What was asked about one session's person and teams.
struct answer {
    unsigned char hash[SHA256_SIZE];
    int64_t good_ms; // mono, of the last answer; 0: none
    int64_t next_ms; // not asked again before; 0: the place is free
    bool known;
    struct arena *arena;
    struct str_list teams;
};

struct people_again {
    pthread_mutex_t lock;
    struct answer answers[ENTRIES];
};

struct people_again *
people_again_new(void)
{
    struct people_again *again = xcalloc(1, sizeof(*again));
    (void)pthread_mutex_init(&again->lock, NULL);
    return again;
}

void
people_again_free(struct people_again *again)
{
    if (again == NULL) {
        return;
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        arena_free(again->answers[i].arena);
    }
    (void)pthread_mutex_destroy(&again->lock);
    free(again);
}

static void
hash_person(const struct policy_person *person, unsigned char out[SHA256_SIZE])
{
    struct buf text CLEANUP(buf_done) = BUF_INIT(1024 * 1024);
    buf_printf(&text, "%lld\n%s\n", (long long)person->id, person->login);
    for (size_t i = 0; i < person->teams.count; i++) {
        buf_printf(&text, "%s\n", person->teams.items[i]);
    }
    sha256_of(buf_str(&text), out);
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

// Under the lock: the person's place, or the one that is used least.
static struct answer *
place_of(struct people_again *again, const unsigned char hash[SHA256_SIZE])
{
    struct answer *place = &again->answers[0];
    for (size_t i = 0; i < ENTRIES; i++) {
        struct answer *one = &again->answers[i];
        if (one->next_ms != 0 && digest_equal(one->hash, hash, SHA256_SIZE)) {
            return one;
        }
        place = one->next_ms < place->next_ms ? one : place;
    }
    arena_free(place->arena);
    *place = (struct answer){.next_ms = 0};
    memcpy(place->hash, hash, SHA256_SIZE);
    return place;
}

// --- asking --------------------------------------------------------------------------------------

static bool
is_listed(const struct str_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], text) == 0) {
            return true;
        }
    }
    return false;
}

// Of the teams of sign-in those that are in use here: a new one counts from the next sign-in on.
static struct error *
ask_teams(struct service *service, struct github_client *client, const struct policy_person *person,
    struct arena *arena, struct str_list *out)
{
    const char *organization = service_settings(service)->organization;
    struct str_list matter = {0};
    people_teams_that_matter(service, arena, &matter);
    *out = (struct str_list){arena_array(arena, person->teams.count + 1, sizeof(*out->items)), 0};
    for (size_t i = 0; i < person->teams.count; i++) {
        const char *team = person->teams.items[i];
        bool has = false;
        if (is_listed(&matter, team)) {
            TRY(github_team_has(client, organization, team, person->login, &has));
        }
        if (has) {
            out->items[out->count++] = arena_dup(arena, team);
        }
    }
    return NULL;
}

// *known false: no member any more, or the login is somebody else's by now.
static struct error *
ask(struct service *service, const struct policy_person *person, struct arena *arena, bool *known,
    struct str_list *teams)
{
    const struct setting_server *settings = service_settings(service);
    const struct platform *platform = service_request_platform(service);
    struct http_client *http CLEANUP(http_client_freep) = NULL;
    struct github_client *client CLEANUP(github_client_freep) = NULL;
    int64_t id = 0;
    if (settings->organization == NULL || settings->workflow_repo == NULL) {
        return error_new(ERROR_SPEC, "it is not said which organisation people are of");
    }
    TRY(http_client_new(platform, service_http_options(service), &http));
    TRY(installation_client(service, http, settings->workflow_repo, GITHUB_FOR_MEMBERS, &client));
    github_client_set_deadline(client, clock_mono(platform->clock) + ASK_MS);
    TRY(github_user_id(client, person->login, &id));
    bool same = id == person->id && id > 0;
    *known = false;
    if (same) {
        TRY(github_organization_has(client, settings->organization, person->login, known));
    }
    return *known ? ask_teams(service, client, person, arena, teams) : NULL;
}

static void
keep(struct people_again *again, const unsigned char hash[SHA256_SIZE], const struct answer *said)
{
    (void)pthread_mutex_lock(&again->lock);
    struct answer *place = place_of(again, hash);
    if (said->good_ms != 0) {
        arena_free(place->arena);
        place->arena = arena_new();
        place->teams = copy_list(&said->teams, place->arena);
        place->known = said->known;
        place->good_ms = said->good_ms;
    }
    place->next_ms = said->next_ms;
    (void)pthread_mutex_unlock(&again->lock);
}

static void
ask_and_keep(struct service *service, const struct policy_person *person,
    const unsigned char hash[SHA256_SIZE], struct arena *arena)
{
    const struct platform *platform = service_request_platform(service);
    struct answer said = {.known = false};
    struct error *err = ask(service, person, arena, &said.known, &said.teams);
    int64_t now = clock_mono(platform->clock);
    int64_t every = service_settings(service)->people_every_ms;
    if (err != NULL) {
        char *text CLEANUP(xfreep) = error_text(err);
        log_warn(platform->log, "GitHub cannot say whether somebody still belongs",
            F_STR("login", person->login), F_STR("error", text));
        error_free(err);
        said.next_ms = now + (every < LATER_MS ? every : LATER_MS);
    } else {
        said.good_ms = now;
        said.next_ms = now + every;
    }
    keep(service->people_again, hash, &said);
}

// --- what is known -------------------------------------------------------------------------------

struct look {
    bool due, found, known;
    int64_t good_ms;
    struct str_list teams;
};

// `due`: to be asked.
static void
look_up(struct people_again *again, const unsigned char hash[SHA256_SIZE], int64_t now,
    struct arena *arena, struct look *out)
{
    *out = (struct look){.due = false};
    (void)pthread_mutex_lock(&again->lock);
    for (size_t i = 0; i < ENTRIES && !out->found; i++) {
        const struct answer *one = &again->answers[i];
        out->found = one->next_ms != 0 && digest_equal(one->hash, hash, SHA256_SIZE);
        if (out->found) {
            out->due = one->next_ms <= now;
            out->known = one->known;
            out->good_ms = one->good_ms;
            out->teams = copy_list(&one->teams, arena);
        }
    }
    out->due = out->due || !out->found;
    (void)pthread_mutex_unlock(&again->lock);
}

enum people_found
people_still(struct service *service, const struct policy_person *signed_in, int64_t age_ms,
    struct arena *arena, struct str_list *teams)
{
    struct people_again *again = service->people_again;
    const struct clock *clock = service_request_platform(service)->clock;
    int64_t every = service_settings(service)->people_every_ms, now = clock_mono(clock);
    unsigned char hash[SHA256_SIZE];
    struct look seen = {.due = false};
    *teams = signed_in->teams;
    if (age_ms < every) { // GitHub has just said so
        return PEOPLE_KNOWN;
    }
    hash_person(signed_in, hash);
    look_up(again, hash, now, arena, &seen);
    if (seen.due && people_begin_asking(service->people)) {
        ask_and_keep(service, signed_in, hash, arena);
        people_end_asking(service->people);
        now = clock_mono(clock);
        look_up(again, hash, now, arena, &seen);
    }
    bool newer = seen.good_ms != 0 && now - seen.good_ms < age_ms; // than signing in
    if (newer) {
        *teams = seen.teams;
        age_ms = now - seen.good_ms;
    }
    bool gone = newer && !seen.known;
    return gone ? PEOPLE_UNKNOWN : age_ms <= GRACES * every ? PEOPLE_KNOWN : PEOPLE_UNAVAILABLE;
}
