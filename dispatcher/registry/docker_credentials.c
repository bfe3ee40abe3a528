// Credentials as `docker login` leaves them in config.json under DOCKER_CONFIG or ~/.docker, and
// then as `podman login` does: kept by a helper (credential_helper.c), or in the file itself.
#include <stdlib.h>
#include <string.h>

#include "credentials_internal.h"
#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "registry_internal.h"

enum { CONFIG_MAX = 1024 * 1024 };

#define DOCKER_HUB "https://index.docker.io/v1/" // what Docker Hub is called in these files

struct search {
    const char *host;
    bool is_podman; // its keys may go on with a repository, for that repository only
    const struct json *found;
};

static char *
docker_path(const struct platform *platform)
{
    const char *directory = env_get(platform, "DOCKER_CONFIG");
    const char *home = env_get(platform, "HOME");
    if (directory != NULL) {
        return xasprintf("%s/config.json", directory);
    }
    return home != NULL ? xasprintf("%s/.docker/config.json", home) : NULL;
}

// containers-auth.json(5)
static char *
podman_path(const struct platform *platform)
{
    const char *file = env_get(platform, "REGISTRY_AUTH_FILE");
    const char *runtime = env_get(platform, "XDG_RUNTIME_DIR");
    if (file != NULL) {
        return xstrdup(file);
    }
    return runtime != NULL ? xasprintf("%s/containers/auth.json", runtime) : NULL;
}

static bool
is_docker_hub(const char *host)
{
    static const char *const names[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (str_equal_nocase(str_of(host), str_of(names[i]))) {
            return true;
        }
    }
    return false;
}

// "https://host/v1/" and "host" both name the host.
static bool
key_names_host(const struct search *search, const char *key)
{
    static const struct str schemes[] = {{"https://", 8}, {"http://", 7}};
    struct str name = str_of(key), rest = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if (str_starts(name, schemes[i])) {
            name = str_skip(name, schemes[i].len);
        }
    }
    struct str head = {0};
    return (strcmp(key, DOCKER_HUB) == 0 && is_docker_hub(search->host)) ||
           (str_cut(name, '/', &head, &rest) && str_equal_nocase(head, str_of(search->host)) &&
               !(search->is_podman && rest.len > 0));
}

static void
visit(void *ctx, const char *key, const struct json *value)
{
    struct search *search = ctx;
    if (search->found == NULL && key_names_host(search, key)) {
        search->found = value;
    }
}

// An identity token is what RFC 6749 calls a refresh token: auth.c gets a token for it. It wins
// over a password, as in docker. Its user is the mark that helpers use, too.
static bool
take_identity(const struct json *entry, char **user, struct secret **password)
{
    const char *token = json_str(json_get(entry, "identitytoken"));
    if (token == NULL || token[0] == '\0') {
        return false;
    }
    *user = xstrdup(REGISTRY_IDENTITY_USER);
    *password = secret_new(str_of(token));
    return true;
}

// "auth" is base64 of "user:password"; very old files have the two apart.
static struct error *
decode_entry(const struct json *entry, const char *host, char **user, struct secret **password)
{
    const char *auth = json_str(json_get(entry, "auth"));
    const char *plain_user = json_str(json_get(entry, "username"));
    const char *plain_password = json_str(json_get(entry, "password"));
    if (take_identity(entry, user, password)) {
        return NULL;
    }
    if ((auth == NULL || auth[0] == '\0') && plain_user != NULL && plain_password != NULL) {
        *user = xstrdup(plain_user);
        *password = secret_new(str_of(plain_password));
        return NULL;
    }
    if (auth == NULL || auth[0] == '\0') {
        return NULL; // kept by a helper
    }
    struct buf pair CLEANUP(buf_wipe) = BUF_INIT(64 * 1024);
    struct error *err = base64_decode(str_trim(str_of(auth)), &pair);
    struct str name = {0}, word = {0};
    bool usable = err == NULL && str_contains(buf_str(&pair), STR(":")) &&
                  str_cut(buf_str(&pair), ':', &name, &word) && name.len > 0;
    error_free(err);
    if (!usable) {
        return error_hint(error_new(ERROR_CREDENTIALS,
                              "the entry of '%s' does not hold 'user:password' in base64", host),
            "Log in again: docker login %s.", host);
    }
    while (word.len > 0 && word.ptr[word.len - 1] == '\0') {
        word.len--; // docker trims them too
    }
    *user = str_dup(name);
    *password = secret_new(word);
    return NULL;
}

// The helper of this host, else the one of all hosts; NULL when there is neither.
static const char *
find_helper(const struct json *config, struct search search)
{
    const struct json *by_host = json_get(config, "credHelpers");
    if (json_is_object(by_host)) {
        json_each(by_host, visit, &search);
    }
    const char *own = json_str(search.found), *store = json_str(json_get(config, "credsStore"));
    const char *name = own != NULL && own[0] != '\0' ? own : store;
    return name != NULL && name[0] != '\0' ? name : NULL;
}

// As docker: credHelpers, then credsStore; then what the file itself holds.
static struct error *
find_in(const struct platform *platform, const struct json *config, struct search search,
    char **user, struct secret **password)
{
    const char *helper = find_helper(config, search);
    if (helper != NULL) {
        const char *server = is_docker_hub(search.host) ? DOCKER_HUB : search.host;
        TRY(credential_helper_get(platform, helper, server, user, password));
    }
    const struct json *auths = json_get(config, "auths");
    if (*user == NULL && json_is_object(auths)) {
        json_each(auths, visit, &search);
    }
    return search.found != NULL ? decode_entry(search.found, search.host, user, password) : NULL;
}

static struct error *
parse(const struct buf *bytes, struct json **out)
{
    struct error *err = json_parse(buf_str(bytes), &json_limits_default, out);
    if (err == NULL) {
        return NULL;
    }
    error_free(err); // it quotes the place, which may be a password
    return error_hint(
        error_new(ERROR_CREDENTIALS, "it is not valid JSON"), "'jq . FILE' shows where.");
}

static struct error *
find_in_file(const struct platform *platform, const char *path, struct search search, char **user,
    struct secret **password)
{
    struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(CONFIG_MAX);
    struct json *config CLEANUP(json_freep) = NULL;
    bool found = false;
    TRY(file_read(path, &bytes, &found));
    struct error *err = found ? parse(&bytes, &config) : NULL;
    if (err == NULL && found) {
        err = find_in(platform, config, search, user, password);
    }
    return err != NULL && error_kind(err) == ERROR_CREDENTIALS
               ? error_wrap(err, "credentials from '%s'", path)
               : err;
}

struct error *
registry_docker_credentials(
    const struct platform *platform, const char *host, char **user, struct secret **password)
{
    char *paths[] = {docker_path(platform), podman_path(platform)};
    char *found_user = NULL;
    struct secret *found_password = NULL;
    struct error *err = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        if (paths[i] != NULL && found_user == NULL && err == NULL) {
            err = find_in_file(platform, paths[i],
                (struct search){.host = host, .is_podman = i > 0}, &found_user, &found_password);
        }
        free(paths[i]);
    }
    TRY(err);
    *user = found_user;
    *password = found_password;
    return NULL;
}
