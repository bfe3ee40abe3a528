// Credentials as `docker login` leaves them: `auths` in config.json under DOCKER_CONFIG or
// ~/.docker. Credential helpers are not run.
#include <stdlib.h>
#include <string.h>

#include "dispatcher/digest.h"
#include "dispatcher/file.h"
#include "dispatcher/json.h"
#include "dispatcher/memory.h"
#include "image_internal.h"
#include "registry_internal.h"

enum { CONFIG_MAX = 1024 * 1024 };

static char *
config_path(const struct platform *platform)
{
    const char *directory = env_get(platform, "DOCKER_CONFIG");
    const char *home = env_get(platform, "HOME");
    if (directory != NULL) {
        return xasprintf("%s/config.json", directory);
    }
    return home != NULL ? xasprintf("%s/.docker/config.json", home) : NULL;
}

// "https://host/v1/" and "host" both name the host.
static bool
key_names_host(const char *key, const char *host)
{
    static const struct str schemes[] = {{"https://", 8}, {"http://", 7}};
    struct str name = str_of(key), rest = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if (str_starts(name, schemes[i])) {
            name = str_skip(name, schemes[i].len);
        }
    }
    struct str head = {0};
    return str_cut(name, '/', &head, &rest) && str_equal_nocase(head, str_of(host));
}

struct search {
    const char *host;
    const struct json *found;
};

static void
visit(void *ctx, const char *key, const struct json *value)
{
    struct search *search = ctx;
    if (search->found == NULL && key_names_host(key, search->host)) {
        search->found = value;
    }
}

// "auth" is base64 of "user:password"; very old files have the two apart.
static struct error *
decode_entry(const struct json *entry, const char *host, char **user, struct secret **password)
{
    const char *auth = json_str(json_get(entry, "auth"));
    const char *plain_user = json_str(json_get(entry, "username"));
    const char *plain_password = json_str(json_get(entry, "password"));
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

static struct error *
find_in(const struct buf *bytes, const char *host, char **user, struct secret **password)
{
    struct json *json CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(buf_str(bytes), &json_limits_default, &json);
    if (err != NULL) {
        return error_wrap_as(
            ERROR_CREDENTIALS, image_json_error(err, "not valid"), "docker configuration");
    }
    struct search search = {.host = host};
    const struct json *auths = json_get(json, "auths");
    if (json_is_object(auths)) {
        json_each(auths, visit, &search);
    }
    return search.found != NULL ? decode_entry(search.found, host, user, password) : NULL;
}

struct error *
registry_docker_credentials(
    const struct platform *platform, const char *host, char **user, struct secret **password)
{
    char *path CLEANUP(xfreep) = config_path(platform);
    struct buf bytes CLEANUP(buf_wipe) = BUF_INIT(CONFIG_MAX);
    char *found_user = NULL;
    struct secret *found_password = NULL;
    bool found = true;
    if (path != NULL) {
        TRY(file_read(path, &bytes, &found));
    }
    if (path != NULL && found) {
        struct error *err = find_in(&bytes, host, &found_user, &found_password);
        if (err != NULL) {
            return error_wrap(err, "read '%s'", path);
        }
    }
    *user = found_user;
    *password = found_password;
    return NULL;
}
