// The people of the sandbox's organisation, their teams and their tokens.
#pragma once

#include "github_internal.h"

struct github_person {
    char *login, *name;
    int64_t id;
    struct json *teams; // array of slugs
    bool is_bot, is_member, is_admin;
    struct github_token *token; // what `token` of an order made
};

struct github_team {
    char *slug;
    int64_t id;
};

struct oauth_code { // github_oauth.c
    char *code, *redirect_uri, *challenge;
    const struct github_person *person;
    int64_t expires_ms;
    bool is_used;
};

struct oauth_refresh {
    char *text;
    struct github_token *token;
    int64_t expires_ms;
};

struct github_people {
    struct github_person **list;
    size_t count;
    struct github_team *teams;
    size_t team_count;
    char *client_secret, *client_secret_path;
    struct json *redirect_uris; // the only ones; NULL: any of this machine
    struct oauth_code *codes;
    size_t code_count;
    struct oauth_refresh *refreshes;
    size_t refresh_count;
};

struct github_person *sandbox_github_person(const struct sandbox *sandbox, const char *login);
bool sandbox_github_person_is_in(const struct github_person *person, const char *slug);
/// Login of the organisation: the owner of the first repository.
const char *sandbox_github_organization(const struct sandbox *sandbox);
int64_t sandbox_github_organization_id(const struct sandbox *sandbox);
