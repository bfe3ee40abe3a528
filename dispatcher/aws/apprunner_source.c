// What an App Runner service is made from, with changes: the whole SourceConfiguration is read,
// changed in place and given back, because UpdateService replaces all of it. Pure: sends nothing.
#include <string.h>

#include "apprunner_internal.h"
#include "dispatcher/memory.h"

// ---- changing a tree that is only readable: each object on the way is made again

struct members {
    struct json *copy;
    const char *skipped; // or NULL
};

static void
copy_member(void *ctx, const char *key, const struct json *value)
{
    struct members *members = ctx;
    if (members->skipped == NULL || strcmp(key, members->skipped) != 0) {
        json_set(members->copy, key, json_clone(value));
    }
}

/// A copy of the member that is an object, or an empty one; to be changed and set again.
static struct json *
open_member(const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    return json_is_object(value) ? json_clone(value) : json_make_object();
}

static void
drop_member(struct json *object, const char *map_key, const char *name)
{
    const struct json *map = json_get(object, map_key);
    struct members members = {.skipped = name};
    if (json_get(map, name) == NULL) {
        return;
    }
    members.copy = json_make_object();
    json_each(map, copy_member, &members);
    json_set(object, map_key, members.copy);
}

static void
set_map(struct json *object, const char *key, const char *other, const struct pair_list *pairs)
{
    if (pairs->count == 0) {
        return;
    }
    struct json *map = open_member(object, key);
    for (size_t i = 0; i < pairs->count; i++) {
        json_set_str(map, pairs->items[i].key, pairs->items[i].value);
        drop_member(object, other, pairs->items[i].key); // a name may stand in one of them only
    }
    json_set(object, key, map);
}

void
apprunner_set_variables(
    struct json *object, const struct pair_list *environment, const struct pair_list *secrets)
{
    static const char plain[] = "RuntimeEnvironmentVariables";
    static const char secret[] = "RuntimeEnvironmentSecrets";
    set_map(object, plain, secret, environment);
    set_map(object, secret, plain, secrets);
}

static void
set_common(struct json *source, const struct apprunner_source_change *change)
{
    if (change->auto_deploys != APPRUNNER_KEEP) {
        json_set_bool(source, "AutoDeploymentsEnabled", change->auto_deploys == APPRUNNER_YES);
    }
    if (change->access_role_arn != NULL || change->connection_arn != NULL) {
        struct json *authentication = open_member(source, "AuthenticationConfiguration");
        json_set_str(authentication, "AccessRoleArn", change->access_role_arn);
        json_set_str(authentication, "ConnectionArn", change->connection_arn);
        json_set(source, "AuthenticationConfiguration", authentication);
    }
}

static struct error *
open_source(const char *source_json, const char *wanted, const char *kind, struct json **out)
{
    struct json *source CLEANUP(json_freep) = NULL;
    struct error *err = json_parse(str_of(source_json), &json_limits_default, &source);
    if (err != NULL) {
        return error_wrap_as(ERROR_INPUT, err, "read 'SourceConfiguration'");
    }
    if (!json_is_object(json_get(source, wanted))) {
        return error_hint(error_new(ERROR_SPEC, "the App Runner service is not made from %s", kind),
            "App Runner cannot change that: name another service, or delete this one and create it "
            "again.");
    }
    *out = source;
    source = NULL;
    return NULL;
}

static const char *
text_of(const struct json *source, struct arena *arena)
{
    char *text CLEANUP(xfreep) = json_text(source);
    return arena_dup(arena, text);
}

// ---- images

struct error *
apprunner_source_with_image(const char *source_json, const struct apprunner_source_change *change,
    struct arena *arena, const char **out)
{
    struct json *source CLEANUP(json_freep) = NULL;
    TRY(open_source(source_json, "ImageRepository", "an image", &source));
    struct json *repository = open_member(source, "ImageRepository");
    struct json *configuration = open_member(repository, "ImageConfiguration");
    json_set_str(repository, "ImageIdentifier", change->image);
    json_set_str(configuration, "Port", change->port);
    json_set_str(configuration, "StartCommand", change->start_command);
    apprunner_set_variables(configuration, &change->environment, &change->secrets);
    if (json_count(configuration) > 0) {
        json_set(repository, "ImageConfiguration", configuration);
    } else {
        json_free(configuration);
    }
    json_set(source, "ImageRepository", repository);
    set_common(source, change);
    *out = text_of(source, arena);
    return NULL;
}

// ---- code

static bool
has_values(const struct apprunner_source_change *change)
{
    return change->start_command != NULL || change->build_command != NULL || change->port != NULL ||
           change->runtime != NULL || change->environment.count > 0 || change->secrets.count > 0;
}

// With "REPOSITORY" App Runner would take the values and never look at them.
static struct error *
set_values(struct json *repository, const struct apprunner_source_change *change)
{
    const struct json *old = json_get(repository, "CodeConfiguration");
    const char *where = json_str(json_get(old, "ConfigurationSource"));
    if (!has_values(change)) {
        return NULL;
    }
    if (!cstr_equal(where, "API")) {
        return error_hint(
            error_new(ERROR_SPEC, "the App Runner service takes commands, port, runtime and "
                                  "variables from apprunner.yaml in its repository"),
            "Change them there, or let the service take its configuration from the API.");
    }
    struct json *configuration = open_member(repository, "CodeConfiguration");
    struct json *values = open_member(configuration, "CodeConfigurationValues");
    json_set_str(values, "Runtime", change->runtime);
    json_set_str(values, "BuildCommand", change->build_command);
    json_set_str(values, "StartCommand", change->start_command);
    json_set_str(values, "Port", change->port);
    apprunner_set_variables(values, &change->environment, &change->secrets);
    json_set(configuration, "CodeConfigurationValues", values);
    json_set(repository, "CodeConfiguration", configuration);
    return NULL;
}

struct error *
apprunner_source_with_code(const char *source_json, const struct apprunner_source_change *change,
    struct arena *arena, const char **out)
{
    struct json *source CLEANUP(json_freep) = NULL;
    TRY(open_source(source_json, "CodeRepository", "code", &source));
    struct json *repository CLEANUP(json_freep) = open_member(source, "CodeRepository");
    TRY(set_values(repository, change));
    if (change->branch != NULL) {
        struct json *version = open_member(repository, "SourceCodeVersion");
        json_set_str(version, "Type", "BRANCH");
        json_set_str(version, "Value", change->branch);
        json_set(repository, "SourceCodeVersion", version);
    }
    json_set(source, "CodeRepository", repository);
    repository = NULL;
    set_common(source, change);
    *out = text_of(source, arena);
    return NULL;
}
