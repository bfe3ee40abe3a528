// Building and pushing before a service is asked: with the job's own credentials, or with those
// that the service lends for it.
#include "remote_push.h"

#include <stdlib.h>
#include <string.h>

#include "dispatcher/build.h"
#include "dispatcher/memory.h"
#include "push_run.h"
#include "remote_build.h"

enum { NAME_MAX_BYTES = 200 };

// --- the place -----------------------------------------------------------------------------------

// Where the images go, and with which credentials.
struct place {
    struct json *json;
    struct platform platform;
    struct environment *lent; // NULL: the job's own
};

static void
place_done(struct place *place)
{
    json_free(place->json);
    environment_free(place->lent);
    *place = (struct place){0};
}

// An environment with the lent credentials in place of our own.
static struct environment *
lent_environment(struct remote *remote, const struct json *credentials, const char *region)
{
    const struct {
        const char *name, *value;
    } ours[] = {
        {"AWS_ACCESS_KEY_ID", json_str(json_get(credentials, "access_key_id"))},
        {"AWS_SECRET_ACCESS_KEY", json_str(json_get(credentials, "secret_access_key"))},
        {"AWS_SESSION_TOKEN", json_str(json_get(credentials, "session_token"))},
        {"AWS_REGION", region},
    };
    struct arena *arena = remote->arena;
    char *const *list = environment_list(remote->cli->platform.env);
    size_t count = 0, kept = 0;
    while (list[count] != NULL) {
        count++;
    }
    char **all = arena_array(arena, count + ARRAY_LENGTH(ours) + 1, sizeof(*all));
    for (size_t i = 0; i < count; i++) {
        if (strncmp(list[i], "AWS_ACCESS_", 11) != 0 && strncmp(list[i], "AWS_SECRET_", 11) != 0 &&
            strncmp(list[i], "AWS_SESSION_", 12) != 0 &&
            strncmp(list[i], "AWS_PROFILE=", 12) != 0) {
            all[kept++] = list[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(ours); i++) {
        if (ours[i].value != NULL) {
            all[kept++] = arena_printf(arena, "%s=%s", ours[i].name, ours[i].value);
        }
    }
    return environment_new(all);
}

static void
mask_lent(const struct json *credentials)
{
    static const char *const names[] = {"secret_access_key", "session_token"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = json_str(json_get(credentials, names[i]));
        if (value != NULL) {
            secret_free(secret_new(str_of(value))); // the mask stays
        }
    }
}

static struct error *
ask_place(struct remote_push *push, struct place *out)
{
    struct remote *remote = push->remote;
    struct json *body CLEANUP(json_freep) = json_make_object();
    struct json *answer = NULL;
    const char *const parts[] = {"apps", push->app, "environments", push->env, "push", NULL};
    const char *path = remote_path(remote->arena, parts);
    bool says = push->build && push->version != NULL; // build arguments may name it
    json_set_str(body, "version", push->version);
    TRY(remote_post(remote, path, says ? body : NULL, remote_key(remote, "push"), &answer));
    place_done(out);
    *out = (struct place){.json = answer, .platform = remote->cli->platform};
    const struct json *credentials = json_get(answer, "credentials");
    if (json_is_object(credentials)) {
        mask_lent(credentials);
        out->lent = lent_environment(remote, credentials, json_str(json_get(answer, "region")));
        out->platform.env = out->lent;
    }
    return NULL;
}

static struct error *
reference_of(const struct remote_push *push, const struct place *place, const char *service,
    const char **out)
{
    const char *registry = json_str(json_get(place->json, "registry"));
    const char *repository = json_str(json_get(json_get(place->json, "repositories"), service));
    if (registry == NULL || repository == NULL) {
        return error_new(ERROR_UNAVAILABLE, "the service did not say where '%s' goes", service);
    }
    *out = arena_printf(push->remote->arena, "%s/%s:%s", registry, repository, push->version);
    return NULL;
}

// --- which images --------------------------------------------------------------------------------

struct images {
    struct remote_image *items;
    size_t count, given; // the first ones have their source from --image
};

static void
images_done(struct images *images)
{
    for (size_t i = 0; i < images->count; i++) {
        build_remove(images->items[i].leftovers);
        free(images->items[i].leftovers);
    }
}

static bool
has_image(const struct images *images, const char *service)
{
    for (size_t i = 0; i < images->count; i++) {
        if (strcmp(images->items[i].service, service) == 0) {
            return true;
        }
    }
    return false;
}

// Splits "[SERVICE=]SOURCE" by the services that there are.
static struct error *
choose_service(const struct remote_push *push, const struct json *repositories, const char *image,
    const char **service, const char **source)
{
    struct arena *arena = push->remote->arena;
    const char *equals = strchr(image, '='), *colon = strchr(image, ':');
    bool named = equals != NULL && (colon == NULL || equals < colon);
    *source = named ? equals + 1 : image;
    if (named) {
        *service = arena_str(arena, (struct str){image, (size_t)(equals - image)});
        if (json_get(repositories, *service) == NULL) {
            return error_new(ERROR_USAGE, "app '%s' has no service '%.*s' that can be deployed",
                push->app, NAME_MAX_BYTES, *service);
        }
        return NULL;
    }
    if (json_count(repositories) != 1) {
        return error_hint(
            error_new(ERROR_USAGE, "app '%s' has %zu services: '%.200s' is for which?", push->app,
                json_count(repositories), image),
            "Write --image SERVICE=SOURCE.");
    }
    return NULL; // *service is the only one
}

struct names {
    struct arena *arena;
    const char **items;
    size_t count;
};

static void
take_name(void *ctx, const char *key, const struct json *value)
{
    struct names *names = ctx;
    (void)value;
    names->items[names->count++] = arena_dup(names->arena, key);
}

static struct error *
take_given(const struct remote_push *push, const struct json *repositories,
    const struct names *names, struct images *out)
{
    for (size_t i = 0; i < push->images.count; i++) {
        const char *service = names->items[0], *source = NULL;
        TRY(choose_service(push, repositories, push->images.items[i], &service, &source));
        if (has_image(out, service)) {
            return error_new(ERROR_USAGE, "two images for service '%s'", service);
        }
        out->items[out->count++] = (struct remote_image){service, source, NULL};
    }
    out->given = out->count;
    return NULL;
}

// What is there already under the version is not built again, and is what is deployed.
static struct error *
take_missing(struct remote_push *push, const struct place *place, const struct names *names,
    struct images *out)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *service = names->items[i], *digest = NULL;
        struct push_run run = {.cli = push->remote->cli, .platform = &place->platform};
        if (has_image(out, service)) {
            continue;
        }
        TRY(reference_of(push, place, service, &run.reference));
        TRY(push_run_look(&run, push->remote->arena, &digest));
        if (digest == NULL) {
            out->items[out->count++] = (struct remote_image){service, NULL, NULL};
            continue;
        }
        json_set_str(push->digests, service, digest);
        cli_errf(push->remote->cli, "%s is there as %.19s…: not built\n", run.reference, digest);
    }
    return NULL;
}

static struct error *
find_images(struct remote_push *push, const struct place *place, struct images *out)
{
    struct arena *arena = push->remote->arena;
    const struct json *repositories = json_get(place->json, "repositories");
    size_t count = json_count(repositories);
    struct names names = {arena, arena_array(arena, count + 1, sizeof(*names.items)), 0};
    json_each(repositories, take_name, &names);
    out->items = arena_array(arena, count + push->images.count + 1, sizeof(*out->items));
    TRY(take_given(push, repositories, &names, out));
    if (!push->build) {
        return NULL;
    }
    if (out->count == count) {
        return error_hint(error_new(ERROR_USAGE, "--build has nothing to build: %s has its --image",
                              count == 1 ? "the service" : "every service"),
            "Give one or the other for a service.");
    }
    return take_missing(push, place, &names, out);
}

// --- building and pushing ------------------------------------------------------------------------

// A build may take longer than what was lent is good for: it is lent once more.
static struct error *
build_all(struct remote_push *push, struct place *place, struct images *images)
{
    struct remote *remote = push->remote;
    const struct json *recipe = json_get(place->json, "build");
    size_t given = images->given;
    if (images->count == given) {
        return NULL;
    }
    TRY(remote_build_check(
        remote, recipe, push->checkout, &images->items[given], images->count - given));
    for (size_t i = given; i < images->count; i++) {
        TRY(remote_build(remote, recipe, push->checkout, push->json, &images->items[i]));
    }
    return place->lent != NULL ? ask_place(push, place) : NULL;
}

static struct error *
push_one(struct remote_push *push, const struct place *place, const struct remote_image *image)
{
    struct cli *cli = push->remote->cli;
    struct push_report *report CLEANUP(push_report_freep) = push_report_new(cli, push->json);
    struct push_run run = {.cli = cli, .platform = &place->platform, .source = image->source};
    const char *digest = NULL;
    TRY(reference_of(push, place, image->service, &run.reference));
    TRY(push_run(&run, report, push->remote->arena, &digest));
    json_set_str(push->digests, image->service, digest);
    return NULL;
}

static struct error *
push_to(struct remote_push *push, struct place *place, struct images *images)
{
    if (push->version == NULL) {
        push->version = remote_clean(push->remote->arena, json_get(place->json, "version"));
    }
    if (push->version == NULL) {
        return error_hint(error_new(ERROR_USAGE, "it is not said which version this is"),
            "The spec says 'version: tag' and the job runs for no tag; give --version.");
    }
    TRY(find_images(push, place, images));
    TRY(build_all(push, place, images));
    for (size_t i = 0; i < images->count; i++) {
        TRY(push_one(push, place, &images->items[i]));
    }
    return NULL;
}

struct error *
remote_push(struct remote_push *push)
{
    struct place place CLEANUP(place_done) = {0};
    struct images images CLEANUP(images_done) = {0};
    TRY(ask_place(push, &place));
    return push_to(push, &place, &images);
}
